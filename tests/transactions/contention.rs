//! Closures that are lost to each other: nobody gives up, and nothing that is not durable is told.

use std::{sync::Barrier, thread};

use foldb::primitive::ScanOptions;

use super::*;

const THREADS: u64 = 32;
const CALLS: u64 = 20;

/// `update` of one key from 4, 8, 16 threads: 2.5, 5, 13 calls of a hundred gave up after 64 attempts.
#[test]
fn nobody_gives_up_who_changes_one_pair_from_thirty_two_threads() {
    let directory = tempfile::tempdir().unwrap();
    for durability in [Durability::Strict, Durability::buffered()] {
        let path = directory.path().join(format!("{durability:?}").split(' ').next().unwrap());
        let db = foldb::open_with(path, Options::new().durability(durability)).unwrap();
        thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    for _ in 0..CALLS {
                        db.kv().update("sum", |value: Option<u64>| value.unwrap_or(0) + 1).unwrap();
                    }
                });
            }
        });
        assert_eq!(db.kv().get::<u64>("sum").unwrap(), Some(THREADS * CALLS));
        assert_eq!(db.view().seq(), THREADS * CALLS, "no call has committed twice");
        if durability == Durability::Strict {
            let syncs = db.stats().unwrap().syncs.count;
            assert!(syncs < THREADS * CALLS / 2, "those who wait for each other share syncs: {syncs}");
        }
        db.close().unwrap();
    }
}

#[test]
fn a_consumer_of_a_range_gets_its_turn_beside_a_producer_that_never_stops() {
    let directory = tempfile::tempdir().unwrap();
    let options = Options::new().durability(Durability::buffered());
    let db = foldb::open_with(directory.path().join("store"), options).unwrap();
    let (begin, over) = (Barrier::new(2), std::sync::atomic::AtomicBool::new(false));
    thread::scope(|scope| {
        scope.spawn(|| {
            db.kv().put_many((0..500).map(|number| (format!("work/{number:06}"), number))).unwrap();
            begin.wait();
            let mut number = 500;
            while !over.load(std::sync::atomic::Ordering::Relaxed) {
                db.kv().put(format!("work/{number:06}"), number).unwrap();
                number += 1;
            }
        });
        begin.wait();
        for round in 0..20 {
            // Reads all that there is, so that each put beside it is a conflict.
            let taken = db.transaction(|tx| {
                let pairs = tx.kv().scan(&ScanOptions::prefix("work/"))?;
                for pair in pairs.iter().take(5) {
                    tx.kv().remove(&pair.key)?;
                }
                tx.kv().put("seen", pairs.len() as u64)?;
                Ok::<_, Error>(pairs.len())
            });
            assert!(taken.is_ok(), "round {round}: {:?}", taken.err());
        }
        over.store(true, std::sync::atomic::Ordering::Relaxed);
    });
}

#[test]
fn a_closure_that_commits_on_the_way_and_one_that_waits_for_who_does_get_through() {
    let db = open(MemStorage::new(), Options::new());
    let mut runs = 0;
    db.transaction(|tx| {
        runs += 1;
        let before = tx.kv().get::<u64>("a")?.unwrap_or(0);
        if runs < 10 {
            // Lost by its own doing, in its turn and with the gate closed.
            db.kv().put("a", before + 100)?;
            db.kv().update("b", |value: Option<u64>| value.unwrap_or(0) + 1)?;
        }
        tx.kv().put("a", before + 1)
    })
    .unwrap();
    assert_eq!((runs, db.kv().get::<u64>("a").unwrap()), (10, Some(901)));
    assert_eq!(db.kv().get::<u64>("b").unwrap(), Some(9));
    // Another thread that commits, for which the closure waits: the gate is closed for it, but not for ever.
    let mut runs = 0;
    db.transaction(|tx| {
        runs += 1;
        let before = tx.kv().get::<u64>("a")?.unwrap_or(0);
        if runs < 8 {
            thread::scope(|scope| scope.spawn(|| db.kv().put("a", before + 1)).join().unwrap())?;
        }
        tx.kv().put("a", 0)
    })
    .unwrap();
    assert_eq!(runs, 8);
}
