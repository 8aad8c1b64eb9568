//! Commits that tasks await beside commits that threads wait for: strict, each of one small pair, by 1, 8 and 64 of them.
//!
//! `cargo bench --bench awaited`. The store lives below the target directory, or where `FOLDB_BENCH_DIR` says: it must be
//! a real disk. Both forms take turns, round after round, so that a disk that slows down slows down for both.
//!
//! Invariant: both do the same number of the same commits on stores that are made alike.

use std::{
    env,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use foldb::Store;
use tokio::runtime::{Builder, Runtime};

#[path = "directory/mod.rs"]
mod directory;

const ROUNDS: usize = 7;

fn fresh_store() -> Arc<Store> {
    let db = foldb::open(directory::fresh("awaited", "store")).expect("the store opens");
    db.kv().put("first", 0).expect("the first commit makes the segment");
    Arc::new(db)
}

/// The key of a commit, of nobody else.
fn key(who: usize, number: usize) -> [u8; 16] {
    let mut key = [0; 16];
    key[..8].copy_from_slice(&(who as u64).to_be_bytes());
    key[8..].copy_from_slice(&(number as u64).to_be_bytes());
    key
}

fn by_threads(db: &Store, count: usize, commits: usize) -> Duration {
    let begin = Instant::now();
    thread::scope(|scope| {
        for who in 0..count {
            scope.spawn(move || {
                for number in 0..commits {
                    db.transaction(|tx| tx.kv().put(key(who, number), 1)).expect("the commit");
                }
            });
        }
    });
    begin.elapsed()
}

fn by_tasks(runtime: &Runtime, db: &Arc<Store>, count: usize, commits: usize) -> Duration {
    let begin = Instant::now();
    runtime.block_on(async {
        let tasks: Vec<_> = (0..count)
            .map(|who| {
                let db = Arc::clone(db);
                tokio::spawn(async move {
                    for number in 0..commits {
                        db.transaction_async(|tx| tx.kv().put(key(who, number), 1)).await.expect("the commit");
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.expect("the task ends well");
        }
    });
    begin.elapsed()
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

fn main() {
    let is_trial = !env::args().any(|argument| argument == "--bench");
    let (rounds, seconds_of_commits) = if is_trial { (1, 4) } else { (ROUNDS, 400) };
    let runtime = Builder::new_multi_thread().build().expect("the runtime starts");
    println!("{:>5} {:>18} {:>18} {:>8}", "", "threads, commits/s", "tasks, commits/s", "ratio");
    for count in [1, 8, 64] {
        let commits = seconds_of_commits / if count == 64 { 4 } else { 1 };
        let all = (count * commits) as f64;
        let (mut threads, mut tasks, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
        for round in 0..rounds {
            let threads_first = round % 2 == 0;
            let waited = || all / by_threads(&fresh_store(), count, commits).as_secs_f64();
            let awaited = || all / by_tasks(&runtime, &fresh_store(), count, commits).as_secs_f64();
            let (waited, awaited) = if threads_first {
                let waited = waited();
                (waited, awaited())
            } else {
                let awaited = awaited();
                (waited(), awaited)
            };
            threads.push(waited);
            tasks.push(awaited);
            ratios.push(awaited / waited);
        }
        println!("{count:>5} {:>18.0} {:>18.0} {:>8.2}", median(threads), median(tasks), median(ratios));
    }
}
