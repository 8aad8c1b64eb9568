//! A process that works on a store is killed at random moments, and what it had been promised must be there.
//!
//! The child is this test program again, told by its environment what to do. It says a line for each promise, in one write to
//! a pipe: what was said before the death is in the pipe, whatever became of the child. The parent reads until the pipe
//! ends, looks at the store, and the next child goes on in the same directory.
//!
//! Which sort of work is killed, and after how long, follows from the seed; where that moment falls is up to the machine.
//! `cargo xtask kills --rounds N` asks for more rounds than the share that every test run does.

#[path = "process_kill/child.rs"]
mod child;

use std::{
    env,
    io::{BufRead, BufReader},
    ops::ControlFlow,
    path::Path,
    process::{ChildStdout, Command, Stdio},
    thread,
    time::Duration,
};

use foldb::{Direction, RunFilter, RunStatus, Store, TransactionOptions, primitive::ScanOptions};
use foldb_testkit::{Random, alone, undisturbed};

use self::child::{MODE, Mode, STORE, THREADS, WORK, Work};

/// How many deaths each mode gets.
const ROUNDS: &str = "FOLDB_KILL_ROUNDS";
const ROUNDS_DEFAULT: u64 = 68;
/// After so many deaths the next directory is begun: looking at everything would take longer and longer.
const ROUNDS_IN_ONE_PLACE: u64 = 17;

/// Buffered commits that had returned and are not with the system: at most what the buffer holds before it makes a committer
/// wait, once in the buffer and once on its way. The smallest commit here has more than 150 bytes.
const LOST_MAX: u64 = 2 * 8 * child::BUFFER_BYTES as u64 / 150 + THREADS;

/// Not a test of its own: what the child does. It returns at once unless it was started as a child.
#[test]
fn the_child_works_until_it_is_killed() {
    child::main();
}

/// What a child said before it died.
#[derive(Default)]
struct Words {
    /// Highest seq that was promised.
    promised: u64,
    /// Highest seq whose commit returned.
    committed: u64,
    lines: u64,
    /// Whether it did all that it was asked to, and ended by itself.
    done: bool,
}

impl Words {
    /// The last line may have been cut: then a number is missing, or the line does not end, and nothing is taken from it.
    fn hear(&mut self, line: &str) {
        let mut words = line.split(' ');
        match (words.next(), words.next().map(str::parse), words.next().map(str::parse), words.next()) {
            (Some("said"), Some(Ok(promised)), Some(Ok(committed)), Some(".")) => {
                self.promised = self.promised.max(promised);
                self.committed = self.committed.max(committed);
                self.lines += 1;
            }
            (Some("done"), ..) => self.done = true,
            _ => {}
        }
    }
}

fn next_line(lines: &mut BufReader<ChildStdout>) -> Option<String> {
    let mut line = Vec::new();
    lines.read_until(b'\n', &mut line).unwrap();
    (!line.is_empty()).then(|| String::from_utf8_lossy(&line).trim_end().into())
}

/// Starts a child, waits for the word that its work begins, lets it go on for a while, and kills it.
fn round(directory: &Path, mode: Mode, work: Work, random: &mut Random) -> Words {
    let alone = alone();
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["the_child_works_until_it_is_killed", "--exact", "--nocapture", "--test-threads=1"])
        .env(STORE, directory)
        .env(MODE, mode.name())
        .env(WORK, work.name())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap();
    drop(alone);
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    let mut words = Words::default();
    // Only from here on does the time count: starting takes as long as the machine likes.
    while let Some(line) = next_line(&mut lines) {
        words.hear(&line);
        if line == work.begins() {
            break;
        }
    }
    let delay = Duration::from_micros(random.below(work.micros_max()));
    let killer = thread::spawn(move || {
        thread::sleep(delay);
        child.kill().unwrap();
        child.wait().unwrap()
    });
    while let Some(line) = next_line(&mut lines) {
        words.hear(&line);
    }
    let status = killer.join().unwrap();
    assert!(status.code().is_none_or(|code| code == 0), "the child failed by itself: {status}");
    words
}

/// Looks at what is there after a death. Returns the seq of the newest commit that survived.
fn check(db: &Store, mode: Mode, words: &Words, place: &str) -> u64 {
    let seq = db.view().seq();
    assert!(seq >= words.promised, "{place}: commit {} was promised, recovery ends at {seq}", words.promised);
    let lost = words.committed.saturating_sub(seq);
    match mode {
        Mode::Strict => assert_eq!(lost, 0, "{place}: every commit that returned was durable"),
        Mode::Relaxed => assert_eq!(lost, 0, "{place}: every commit that returned was with the system"),
        _ => assert!(lost <= LOST_MAX, "{place}: {lost} commits are lost, and the buffer holds at most {LOST_MAX}"),
    }
    let mut commits = 0;
    for thread in 0..THREADS {
        let events = db.events().range_as::<u64>(format!("thread {thread}"), .., None, Direction::Forward).unwrap();
        let pairs = db.kv().keys(&ScanOptions::prefix(format!("{thread}/"))).unwrap();
        assert_eq!(pairs.len(), events.len(), "{place}: half of a transaction of thread {thread}");
        for (number, (event, pair)) in (1_u64..).zip(events.iter().zip(&pairs)) {
            assert_eq!((event.seq, event.payload), (number, number), "{place}: a gap in thread {thread}");
            assert_eq!(*pair, child::key(thread, number).into_bytes(), "{place}");
        }
        commits += events.len() as u64;
        check_that_it_is_not_done_twice(db, thread, events.len() as u64, place);
    }
    let sum = db.kv().get::<u64>("sum").unwrap().unwrap_or(0);
    assert_eq!(sum, commits, "{place}: the counter has what the commits have");
    let runs = db.runs().list(&RunFilter::all()).unwrap();
    let ended = runs.iter().filter(|run| run.status != RunStatus::Orphaned).count() as u64;
    // Every commit is one of these, so what is there is a prefix of the order of all commits.
    assert_eq!(commits + runs.len() as u64 + ended, seq, "{place}: a hole in the order of commits");
    let orphaned = &db.recovery_report().orphaned_runs;
    assert_eq!(orphaned.len() as u64 + ended, runs.len() as u64, "{place}: a run that nobody works on is orphaned");
    seq
}

/// A thread that comes back and does its last work again changes nothing.
fn check_that_it_is_not_done_twice(db: &Store, thread: u64, number: u64, place: &str) {
    if number == 0 {
        return;
    }
    let again = TransactionOptions::new().idempotency_key(child::key(thread, number));
    let twice = |tx: &foldb::Transaction<'_, _>| tx.kv().put("twice", thread).map(|()| 0_u64);
    let (result, receipt) = db.once_with(&again, twice).unwrap();
    assert!(receipt.deduplicated, "{place}: the key of commit {number} of thread {thread} is forgotten");
    assert_eq!(result, number, "{place}: what came of commit {number} of thread {thread}");
}

fn kill_again_and_again(mode: Mode, seed: u64) {
    let rounds = env::var(ROUNDS).ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(ROUNDS_DEFAULT);
    let mut random = Random::new(seed);
    let (mut lines, mut killed, mut commits) = (0, [0_u64; Work::ALL.len()], 0);
    let mut directory = tempfile::tempdir().unwrap();
    let mut before = 0;
    for number in 0..rounds {
        if number % ROUNDS_IN_ONE_PLACE == 0 {
            commits += before;
            (directory, before) = (tempfile::tempdir().unwrap(), 0);
        }
        let work = Work::choose(&mut random);
        let words = round(directory.path(), mode, work, &mut random);
        lines += words.lines;
        killed[work as usize] += u64::from(!words.done);
        let place = format!("{}, round {number}, {}", mode.name(), work.name());
        let _undisturbed = undisturbed();
        let db = mode.open(directory.path());
        let seq = check(&db, mode, &words, &place);
        assert!(seq >= before, "{place}: what survived one death survives the next");
        before = seq;
        if number % 6 == 5 {
            let report = db.verify(&mut |_| ControlFlow::Continue(())).unwrap();
            assert!(report.is_ok(), "{place}: {:?}", report.violations);
        }
        if random.chance(1, 2) {
            for run in db.recovery_report().orphaned_runs.clone() {
                db.runs().get(run).unwrap().fail("its process was killed").unwrap();
                before += 1;
            }
        }
        // Sometimes it is closed with all that belongs to it, sometimes only dropped.
        if random.chance(1, 2) {
            db.close().unwrap();
        }
    }
    commits += before;
    let killed: Vec<_> = Work::ALL.iter().zip(killed).map(|(work, count)| format!("{} {count}", work.name())).collect();
    println!("{}: {rounds} rounds, {commits} commits survived; killed while: {}", mode.name(), killed.join(", "));
    assert!(lines > rounds, "the children had time to work");
}

#[test]
fn a_killed_strict_process_loses_no_commit_that_returned() {
    kill_again_and_again(Mode::Strict, 1);
}

#[test]
fn a_killed_buffered_process_loses_no_more_than_its_buffer() {
    kill_again_and_again(Mode::Buffered, 2);
}

#[test]
fn a_killed_relaxed_process_loses_no_commit_that_returned() {
    kill_again_and_again(Mode::Relaxed, 5);
}

#[test]
fn a_killed_process_with_both_sorts_of_transactions_keeps_what_each_was_promised() {
    kill_again_and_again(Mode::Mixed, 3);
}

#[test]
fn a_killed_process_in_memory_leaves_nothing_behind() {
    let directory = tempfile::tempdir().unwrap();
    let mut random = Random::new(4);
    for _ in 0..4 {
        let words = round(directory.path(), Mode::InMemory, Work::Commits, &mut random);
        assert_eq!(words.promised, 0, "nothing of it is ever durable");
        let _undisturbed = undisturbed();
        let db = Mode::Strict.open(directory.path());
        assert!(db.recovery_report().created, "there was nothing");
        assert_eq!(db.view().seq(), 0);
    }
}
