//! A process that writes is killed at random moments, and what it had been promised must be there.
//!
//! The child is this test program again, told by its environment what to do. It prints a line for each promise; the
//! parent reads until the pipe ends, which is the moment of death as the child's threads see it.
//!
//! `FOLDB_KILL_ROUNDS` asks for more rounds than the few that an ordinary run of the tests has time for.

use std::{
    env,
    io::{BufRead, BufReader, Write},
    ops::ControlFlow,
    path::Path,
    process::{Command, Stdio},
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::Duration,
};

use foldb::{Durability, Options, Store, TransactionOptions, primitive::ScanOptions, tree::Direction};
use foldb_testkit::Random;

const DIRECTORY: &str = "FOLDB_KILL_DIRECTORY";
const MODE: &str = "FOLDB_KILL_MODE";
const ROUNDS: &str = "FOLDB_KILL_ROUNDS";
const THREADS: u64 = 4;

#[derive(Clone, Copy, PartialEq)]
enum Mode {
    Strict,
    Buffered,
    /// A buffered store in which some transactions are strict.
    Mixed,
}

impl Mode {
    const ALL: [(Mode, &str); 3] = [(Mode::Strict, "strict"), (Mode::Buffered, "buffered"), (Mode::Mixed, "mixed")];

    fn open(self, directory: &Path) -> Store {
        let durability = match self {
            Mode::Strict => Durability::Strict,
            // A small buffer, so that something is handed over between two syncs.
            _ => Durability::Buffered { interval: Duration::from_millis(7), bytes: 4096 },
        };
        // Small segments and frequent snapshots, so that death comes in the middle of those as well.
        let options = Options::new().durability(durability).segment_bytes(64 << 10).snapshot_log_bytes(Some(200_000));
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

/// Not a test of its own: what the child does. It returns at once unless it was started as a child.
#[test]
fn the_child_writes_until_it_is_killed() {
    let (Ok(directory), Ok(mode)) = (env::var(DIRECTORY), env::var(MODE)) else { return };
    let (mode, _) = Mode::ALL.into_iter().find(|(_, name)| *name == mode).unwrap();
    let db = mode.open(Path::new(&directory));
    println!("opened {}", db.view().seq());
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let db = &db;
            scope.spawn(move || write_for_ever(db, mode, thread));
        }
    });
}

fn write_for_ever(db: &Store, mode: Mode, thread: u64) {
    let from = db.events().head(format!("thread {thread}")).unwrap() + 1;
    // The bound ends a child whose parent is gone.
    for number in from..from + 1_000_000 {
        // A pair, its event and a counter: all of them are there, or none.
        let ((), receipt) = db
            .transaction_with(&mode.transaction(number), |tx| {
                tx.kv().put(format!("{thread}/{number:08}"), vec![7_u8; 100])?;
                tx.events().append(format!("thread {thread}"), "written", number)?;
                tx.kv().add_u64("sum", 1)
            })
            .unwrap();
        let promised = match (receipt.durable, number % 50) {
            (true, _) => receipt.seq,
            (false, 7) => db.sync().unwrap(),
            (false, 31) => {
                db.wait_durable(receipt.seq).unwrap();
                receipt.seq
            }
            (false, _) => 0,
        };
        // One write of a whole line: threads must not mix theirs.
        let line = format!("promised {promised} committed {}\n", receipt.seq);
        if std::io::stdout().lock().write_all(line.as_bytes()).is_err() {
            return;
        }
    }
}

/// What a child said before it died: highest seq that was promised, and highest that was committed.
struct Words {
    promised: u64,
    committed: u64,
    lines: u64,
}

/// Starts a child, lets it work for a while, and kills it.
fn round(directory: &Path, mode: &str, random: &mut Random) -> Words {
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["the_child_writes_until_it_is_killed", "--exact", "--nocapture", "--test-threads=1"])
        .env(DIRECTORY, directory)
        .env(MODE, mode)
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).split(b'\n');
    // Only from its first words on does the time count: starting takes as long as the machine likes.
    while !lines.next().expect("the child opens the store").unwrap().windows(6).any(|word| word == b"opened") {}
    let delay = Duration::from_micros(random.below(60_000));
    let killer = thread::spawn(move || {
        thread::sleep(delay);
        child.kill().unwrap();
        child.wait().unwrap()
    });
    let mut words = Words { promised: 0, committed: 0, lines: 0 };
    for line in lines {
        // The last line may have been cut: then it has too few words, or a number too short, which promises less.
        let line = String::from_utf8(line.unwrap()).unwrap();
        let mut numbers = line.split(' ').filter_map(|word| word.parse::<u64>().ok());
        if let (true, Some(promised), Some(committed)) = (line.starts_with("promised"), numbers.next(), numbers.next())
        {
            words.promised = words.promised.max(promised);
            words.committed = words.committed.max(committed);
            words.lines += 1;
        }
    }
    assert!(!killer.join().unwrap().success(), "it was killed and did not end by itself");
    words
}

/// Looks at what is there after a death. Returns how many commits survived.
fn check(db: &Store, mode: Mode, words: &Words, place: &str) -> u64 {
    let seq = db.view().seq();
    assert!(seq >= words.promised, "{place}: commit {} was promised, recovery ends at {seq}", words.promised);
    if mode == Mode::Strict {
        assert!(seq >= words.committed, "{place}: every commit that returned was durable");
    }
    let mut commits = 0;
    for thread in 0..THREADS {
        let events = db.events().range_as::<u64>(format!("thread {thread}"), .., None, Direction::Forward).unwrap();
        let pairs = db.kv().keys(&ScanOptions::prefix(format!("{thread}/"))).unwrap();
        assert_eq!(pairs.len(), events.len(), "{place}: half of a transaction of thread {thread}");
        for (number, (event, pair)) in (1_u64..).zip(events.iter().zip(&pairs)) {
            assert_eq!((event.seq, event.payload), (number, number), "{place}: a gap in thread {thread}");
            assert_eq!(*pair, format!("{thread}/{number:08}").into_bytes(), "{place}");
        }
        commits += events.len() as u64;
    }
    // Every commit is one of these, so what is there is a prefix of the order of all commits.
    assert_eq!(commits, seq, "{place}: a hole in the order of commits");
    assert_eq!(db.kv().get::<u64>("sum").unwrap().unwrap_or(0), seq, "{place}");
    commits
}

fn kill_again_and_again(mode: Mode, name: &str, seed: u64) {
    let rounds = env::var(ROUNDS).ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(12);
    let directory = tempfile::tempdir().unwrap();
    let mut random = Random::new(seed);
    let said = AtomicU64::new(0);
    let mut before = 0;
    for number in 0..rounds {
        let words = round(directory.path(), name, &mut random);
        said.fetch_add(words.lines, Ordering::Relaxed);
        let db = mode.open(directory.path());
        let commits = check(&db, mode, &words, &format!("{name}, round {number}"));
        assert!(commits >= before, "what survived one death survives the next");
        before = commits;
        if number % 4 == 3 {
            let report = db.verify(&mut |_| ControlFlow::Continue(())).unwrap();
            assert!(report.is_ok(), "{name}, round {number}: {:?}", report.violations);
        }
        // Sometimes it is closed in between, sometimes it dies again right after its recovery.
        if random.chance(1, 2) {
            db.close().unwrap();
        }
    }
    assert!(said.load(Ordering::Relaxed) > rounds, "the children had time to work");
}

#[test]
fn a_killed_strict_process_loses_no_commit_that_returned() {
    kill_again_and_again(Mode::Strict, "strict", 1);
}

#[test]
fn a_killed_buffered_process_leaves_a_prefix_with_everything_that_was_synced() {
    kill_again_and_again(Mode::Buffered, "buffered", 2);
}

#[test]
fn a_killed_process_with_both_sorts_of_transactions_keeps_what_each_was_promised() {
    kill_again_and_again(Mode::Mixed, "mixed", 3);
}
