//! What a child does until it is killed, and what it says on the way.

use std::{
    env,
    io::Write,
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use foldb::{Durability, Options, RunOptions, Store, TransactionOptions};
use foldb_testkit::Random;

pub(crate) const STORE: &str = "FOLDB_KILL_DIRECTORY";
pub(crate) const MODE: &str = "FOLDB_KILL_MODE";
pub(crate) const WORK: &str = "FOLDB_KILL_WORK";
pub(crate) const THREADS: u64 = 4;
/// A small buffer, so that something is handed over between two syncs.
pub(crate) const BUFFER_BYTES: usize = 4096;

/// How a child's store is opened.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Mode {
    Strict,
    Buffered,
    Relaxed,
    /// A buffered store in which some transactions are strict.
    Mixed,
    InMemory,
}

/// What a child is killed in.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Work {
    Commits,
    /// Its recovery from the death before.
    Opening,
    Snapshots,
    Closing,
}

impl Mode {
    const ALL: [Mode; 5] = [Mode::Strict, Mode::Buffered, Mode::Relaxed, Mode::Mixed, Mode::InMemory];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Mode::Strict => "strict",
            Mode::Buffered => "buffered",
            Mode::Relaxed => "relaxed",
            Mode::Mixed => "mixed",
            Mode::InMemory => "in memory",
        }
    }

    pub(crate) fn open(self, directory: &Path) -> Store {
        let durability = match self {
            Mode::Strict => Durability::Strict,
            Mode::InMemory => Durability::InMemory,
            Mode::Relaxed => Durability::Relaxed { interval: Duration::from_millis(7) },
            _ => Durability::Buffered { interval: Duration::from_millis(7), bytes: BUFFER_BYTES },
        };
        // Small segments and frequent snapshots, so that death comes in the middle of those as well.
        let options = Options::new().durability(durability).segment_bytes(32 << 10).snapshot_log_bytes(Some(150_000));
        foldb::open_with(directory, options).unwrap()
    }

    /// How the nth transaction of a thread is committed.
    fn transaction(self, number: u64) -> TransactionOptions {
        match self {
            Mode::Mixed if number.is_multiple_of(5) => TransactionOptions::new().durability(Durability::Strict),
            _ => TransactionOptions::new(),
        }
    }
}

impl Work {
    pub(crate) const ALL: [Work; 4] = [Work::Commits, Work::Opening, Work::Snapshots, Work::Closing];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Work::Commits => "committing",
            Work::Opening => "opening",
            Work::Snapshots => "writing snapshots",
            Work::Closing => "closing",
        }
    }

    pub(crate) fn choose(random: &mut Random) -> Self {
        match random.below(8) {
            0..4 => Work::Commits,
            4 => Work::Opening,
            5 | 6 => Work::Snapshots,
            _ => Work::Closing,
        }
    }

    /// The line from which on the time until the death counts.
    pub(crate) fn begins(self) -> &'static str {
        match self {
            Work::Commits => "opened",
            Work::Opening => "opening",
            Work::Snapshots => "snapshot",
            Work::Closing => "closing",
        }
    }

    /// How long it may live from then on, at most.
    pub(crate) fn micros_max(self) -> u64 {
        match self {
            Work::Commits => 60_000,
            Work::Opening => 6_000,
            Work::Snapshots => 12_000,
            Work::Closing => 8_000,
        }
    }
}

/// The key of a pair, and of the idempotency of its commit.
pub(crate) fn key(thread: u64, number: u64) -> String {
    format!("{thread}/{number:08}")
}

/// One write of a whole line: threads must not mix theirs, and a death must not leave half of one in a buffer.
fn say(line: &str) {
    // A parent that is gone hears nothing; the bound on the work ends this process then.
    let _ = std::io::stdout().lock().write_all(format!("{line}\n").as_bytes());
}

fn say_commit(promised: u64, committed: u64) {
    say(&format!("said {promised} {committed} ."));
}

pub(crate) fn main() {
    let (Ok(directory), Ok(mode), Ok(work)) = (env::var(STORE), env::var(MODE), env::var(WORK)) else { return };
    let mode = Mode::ALL.into_iter().find(|known| known.name() == mode).unwrap();
    let work = Work::ALL.into_iter().find(|known| known.name() == work).unwrap();
    // The test program has begun a line of its own.
    say("");
    say("opening");
    let db = mode.open(Path::new(&directory));
    say("opened");
    match work {
        Work::Opening => {}
        Work::Commits => commit_for_ever(&db, mode),
        Work::Snapshots => snapshot_for_ever(&db, mode),
        Work::Closing => return close(db, mode),
    }
    say("done");
}

/// A run that this process works on, so that it is orphaned by its death.
fn begin_run(db: &Store, mode: Mode) {
    db.runs().begin(RunOptions::named("child")).unwrap();
    match mode {
        Mode::Strict => {
            let seq = db.durable_seq();
            say_commit(seq, seq);
        }
        Mode::Relaxed => say_commit(0, db.view().seq()),
        _ => {}
    }
}

fn commit_for_ever(db: &Store, mode: Mode) {
    begin_run(db, mode);
    thread::scope(|scope| {
        for thread in 0..THREADS {
            scope.spawn(move || commit(db, mode, thread, 1_000_000, &AtomicBool::new(false)));
        }
    });
}

fn snapshot_for_ever(db: &Store, mode: Mode) {
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        for thread in 0..2 {
            let over = &over;
            scope.spawn(move || commit(db, mode, thread, 1_000_000, over));
        }
        for _ in 0..200 {
            say("snapshot");
            let info = db.snapshot().unwrap();
            say_commit(info.seq, info.seq);
        }
        over.store(true, Ordering::Relaxed);
    });
}

fn close(db: Store, mode: Mode) {
    begin_run(&db, mode);
    for thread in 0..THREADS {
        commit(&db, mode, thread, 20, &AtomicBool::new(false));
    }
    let seq = db.view().seq();
    say("closing");
    db.close().unwrap();
    say_commit(seq, seq);
    say("done");
}

fn commit(db: &Store, mode: Mode, thread: u64, count: u64, over: &AtomicBool) {
    let from = db.events().head(format!("thread {thread}")).unwrap() + 1;
    for number in (from..from + count).take_while(|_| !over.load(Ordering::Relaxed)) {
        let options = mode.transaction(number).idempotency_key(key(thread, number));
        // A pair, its event and a counter: all of them are there, or none.
        let (_, receipt) = db
            .once_with(&options, |tx| {
                tx.kv().put(key(thread, number), vec![7_u8; 100])?;
                tx.events().append(format!("thread {thread}"), "written", number)?;
                tx.kv().add_u64("sum", 1)?;
                Ok::<_, foldb::Error>(number)
            })
            .unwrap();
        let promised = match (receipt.durable, number % 50) {
            _ if mode == Mode::InMemory => 0,
            (true, _) => receipt.seq,
            (false, 7) => db.sync().unwrap(),
            (false, 31) => {
                db.wait_durable(receipt.seq).unwrap();
                receipt.seq
            }
            (false, 43) => {
                // Nobody asks for it: the timer alone has to do it.
                while db.durable_seq() < receipt.seq {
                    thread::sleep(Duration::from_millis(1));
                }
                receipt.seq
            }
            (false, _) => 0,
        };
        say_commit(promised, receipt.seq);
    }
}
