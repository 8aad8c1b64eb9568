//! Queues with many consumers: contention, waiting, and consumers that are killed.
//!
//! The child of the killing test is this test program again, told by its environment what to do. When it is killed is up to
//! the seed and the machine.

use std::{
    env,
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

/// Works until nothing is left, also of what others have leased.
fn consume(db: &Store) {
    let queue = db.queue("work").unwrap();
    loop {
        match queue.claim(LEASE).unwrap() {
            Some(job) => drop(work(db, &job)),
            None if queue.counts().unwrap() == Default::default() => return,
            None => {
                if let Some(job) = queue.wait(LEASE, LEASE).unwrap() {
                    work(db, &job);
                }
            }
        }
    }
}

/// Not a test of its own: what the child does. It returns at once unless it was started as a child.
#[test]
fn the_child_consumes_until_it_is_killed() {
    let Some(directory) = env::var_os(STORE) else { return };
    let db = open(Path::new(&directory));
    thread::scope(|scope| {
        for _ in 0..CONSUMERS {
            scope.spawn(|| consume(&db));
        }
    });
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
        for number in 0..400_i64 {
            queue.push_with(&PushOptions::new().attempts(u32::MAX).backoff(Duration::ZERO), number).unwrap();
        }
        db.close().unwrap();
    }
    let mut random = Random::new(13);
    for _ in 0..12 {
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--exact", "the_child_consumes_until_it_is_killed"])
            .env(STORE, directory.path())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        thread::sleep(Duration::from_millis(5 + random.below(60)));
        let _ = child.kill();
        child.wait().unwrap();
    }
    let db = open(directory.path());
    consume(&db);
    let effects = db.kv().scan_as::<i64>(&ScanOptions::prefix("done/")).unwrap();
    assert_eq!(effects.len(), JOBS);
    assert!(effects.iter().all(|effect| effect.value == 1), "each once");
}

#[test]
fn consumers_do_not_conflict_and_nobody_gets_the_job_of_another() {
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
