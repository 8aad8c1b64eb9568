//! Those who hear of commits, and tasks that await theirs.

use std::sync::Arc;

use foldb_core::{ChangeFilter, Db, Result, host::Host};
use shuttle::{future::block_on, thread};

use super::super::{
    Scenario,
    world::{BUFFERED, STRICT, World, choose, options},
};
use crate::SeededHost;

pub(super) const SUBSCRIBERS: Scenario = Scenario {
    name: "subscribers",
    what: "two threads wait for the commits of two others, and a third begins to meanwhile: each hears of each that it could not \
           read, once, in order, and can read it; the end wakes them",
    run: subscribers,
};

fn subscribers() {
    let world = World::new();
    let durability = if choose(2) == 0 { STRICT } else { BUFFERED };
    let db = world.begin(options(durability));
    let mut heard: Vec<_> = (0..2).map(|_| db.subscribe(ChangeFilter::all()).unwrap()).collect();
    let mut late = heard.pop().unwrap();
    thread::scope(|scope| {
        let (world, db) = (&world, &db);
        for name in ["a", "b"] {
            scope.spawn(move || {
                for number in 0..2 {
                    world.put(db, &format!("{name}/{number}"), number, durability).unwrap();
                }
            });
        }
        scope.spawn(move || {
            let mut commits = db.subscribe(ChangeFilter::all()).unwrap();
            let from = commits.seq();
            assert!(db.view().seq() >= from, "what comes before the first that is announced can be read");
            for seq in from + 1..=5 {
                assert_eq!(commits.next().unwrap().unwrap().seq(), seq, "and nothing behind it is missed");
            }
        });
        for mut commits in heard {
            scope.spawn(move || {
                for seq in 2..=5 {
                    let commit = commits.next().unwrap().unwrap();
                    assert_eq!(commit.seq(), seq, "each once, in order");
                    assert!(db.view().seq() >= seq, "what is announced can be read");
                    if commit.is_durable() || durability == STRICT {
                        world.promised(seq);
                    }
                }
            });
        }
    });
    let waiting = thread::spawn(move || late.by_ref().map(|commit| commit.unwrap().seq()).collect::<Vec<_>>());
    world.finish(db);
    assert_eq!(waiting.join().unwrap(), [2, 3, 4, 5], "the end comes after all that there was");
}

pub(super) const TASKS: Scenario = Scenario {
    name: "tasks",
    what: "tasks await their commits beside a thread that waits for its own: all are answered, with what is durable",
    run: tasks,
};

/// A host whose threads are those of the schedule.
struct Threads(SeededHost);

impl Host for Threads {
    fn now_micros(&self) -> u64 {
        self.0.now_micros()
    }

    fn fill_random(&self, bytes: &mut [u8]) {
        self.0.fill_random(bytes);
    }

    fn spawn(&self, _name: &'static str, work: Box<dyn FnOnce() + Send>) -> Result<()> {
        thread::spawn(work);
        Ok(())
    }
}

fn tasks() {
    let world = World::new();
    let host = Arc::new(Threads(SeededHost::new(1)));
    let db = Db::open(world.storage(), host, options(STRICT)).unwrap();
    world.put(&db, "begin", 0, STRICT).unwrap();
    thread::scope(|scope| {
        let (world, db) = (&world, &db);
        for name in ["a", "b"] {
            scope.spawn(move || {
                let options = foldb_core::TransactionOptions::new();
                let commit = db.transaction_async_with(&options, |tx| tx.kv().put(name, 1));
                let ((), receipt) = block_on(commit).unwrap();
                assert!(receipt.durable);
                world.answered(name, &receipt);
            });
        }
        scope.spawn(move || world.put(db, "c", 1, STRICT).unwrap());
    });
    world.finish(db);
}
