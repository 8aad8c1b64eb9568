//! Queues with many consumers: contention, waiting, and consumers that are killed.
//!
//! The child of the killing test is this test program again, told by its environment what to do. It is allowed to do so many jobs and is
//! killed when so many of them are done, both by the seed; what it does in that moment is up to the machine.

use std::{
    env, io,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use foldb::{Db, Durability, Job, Options, PushOptions, Store, primitive::ScanOptions, storage::Storage};
use foldb_testkit::Random;

const STORE: &str = "FOLDB_QUEUE_DIRECTORY";
const JOBS: usize = 400;
const CONSUMERS: usize = 8;
/// Short, because the job of a consumer that was killed waits for it.
const LEASE: Duration = Duration::from_millis(30);
/// What a child says of each job.
const DONE: &str = "done";

/// Does a job: its effect and its acknowledgement are one transaction. Whether the job was still its own.
fn work<S: Storage>(db: &Db<S>, job: &Job) -> bool {
    let done = db.transaction(|tx| {
        tx.kv().add_i64(format!("done/{}", job.id), 1)?;
        db.queue("work")?.ack_in(tx, job)
    });
    match done {
        Ok(()) => true,
        Err(error) => {
            assert_eq!(error.kind(), foldb::ErrorKind::Precondition, "{error}");
            false
        }
    }
}

/// The next job, also one that somebody else has leased and does not do; `None` when nothing is left.
fn next_job(db: &Store) -> Option<Job> {
    let queue = db.queue("work").unwrap();
    loop {
        match queue.wait(LEASE, LEASE).unwrap() {
            Some(job) => return Some(job),
            None if queue.counts().unwrap() == Default::default() => return None,
            None => {}
        }
    }
}

/// Not a test of its own: what the child does. It returns at once unless it was started as a child.
#[test]
fn the_child_consumes_until_it_is_killed() {
    let Some(directory) = env::var_os(STORE) else { return };
    let db = open(Path::new(&directory));
    // A line for each job that may be done.
    let is_allowed = || io::stdin().read_line(&mut String::new()).unwrap() > 0;
    thread::scope(|scope| {
        for _ in 0..CONSUMERS {
            scope.spawn(|| {
                while is_allowed() {
                    work(&db, &next_job(&db).unwrap());
                    println!("\n{DONE}");
                }
            });
        }
    });
}

/// Lets a child do up to so many jobs, and kills it when it has said of some of them that they are done.
fn consume_and_be_killed(directory: &Path, allowed: usize, awaited: usize) {
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["--exact", "the_child_consumes_until_it_is_killed", "--nocapture"])
        .env(STORE, directory)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut allows = child.stdin.take().unwrap();
    allows.write_all("\n".repeat(allowed).as_bytes()).unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let done = lines.map(Result::unwrap).filter(|line| line == DONE).take(awaited).count();
    assert_eq!(done, awaited, "the child has failed by itself");
    child.kill().unwrap();
    child.wait().unwrap();
}

fn open(directory: &Path) -> Store {
    let durability = Durability::Buffered { interval: Duration::from_millis(5), bytes: 4096 };
    foldb::open_with(directory, Options::new().durability(durability)).unwrap()
}

#[test]
fn eight_consumers_that_are_killed_at_random_do_each_job_once() {
    let directory = tempfile::tempdir().unwrap();
    {
        let db = open(directory.path());
        let queue = db.queue("work").unwrap();
        for number in 0..JOBS as u64 {
            queue.push_with(&PushOptions::new().attempts(u32::MAX).backoff(Duration::ZERO), number).unwrap();
        }
        db.close().unwrap();
    }
    let mut random = Random::new(13);
    for _ in 0..12 {
        // More than are left it never may do: a consumer without a job would not be killed at work.
        let allowed = CONSUMERS + random.index(JOBS / 12 - CONSUMERS);
        consume_and_be_killed(directory.path(), allowed, random.index(allowed));
    }
    let db = open(directory.path());
    while let Some(job) = next_job(&db) {
        work(&db, &job);
    }
    let effects = db.kv().scan_as::<i64>(&ScanOptions::prefix("done/")).unwrap();
    assert_eq!(effects.len(), JOBS);
    assert!(effects.iter().all(|effect| effect.value == 1), "each once");
}

#[test]
fn consumers_hardly_ever_conflict_and_nobody_gets_the_job_of_another() {
    let db = foldb::memory();
    let queue = db.queue("work").unwrap();
    for number in 0..400_i64 {
        queue.push(number).unwrap();
    }
    let before = db.stats().unwrap().conflicts;
    thread::scope(|scope| {
        for _ in 0..CONSUMERS {
            scope.spawn(|| {
                let queue = db.queue("work").unwrap();
                while let Some(job) = queue.claim(Duration::from_secs(600)).unwrap() {
                    assert!(work(&db, &job));
                }
            });
        }
    });
    let effects = db.kv().scan_as::<i64>(&ScanOptions::prefix("done/")).unwrap();
    assert!(effects.len() == JOBS && effects.iter().all(|effect| effect.value == 1));
    let conflicts = db.stats().unwrap().conflicts - before;
    println!("{conflicts} conflicts of {} commits", 2 * JOBS);
    assert!(conflicts < 20, "{conflicts} conflicts");
}

#[test]
fn whoever_waits_is_woken_by_a_push_and_by_the_end_of_a_delay() {
    let db = foldb::memory();
    let (told, tells) = mpsc::channel();
    thread::scope(|scope| {
        scope.spawn(|| {
            let queue = db.queue("work").unwrap();
            for _ in 0..2 {
                let job = queue.wait(Duration::from_secs(600), Duration::MAX).unwrap().unwrap();
                told.send(job.payload.clone()).unwrap();
                queue.ack(&job).unwrap();
            }
        });
        let queue = db.queue("work").unwrap();
        queue.push("now").unwrap();
        assert_eq!(tells.recv().unwrap(), "now".into());
        queue.push_with(&PushOptions::new().delay(Duration::from_millis(20)), "later").unwrap();
        assert_eq!(tells.recv().unwrap(), "later".into());
    });
    assert_eq!(db.queue("work").unwrap().wait(LEASE, Duration::from_millis(1)).unwrap(), None);
}
