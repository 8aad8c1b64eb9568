//! Commits that meet: group commit, failures, both sorts of transactions, rotation.

use foldb_core::{Error, ErrorKind, Result, Seen, Transaction, TransactionOptions};
use shuttle::thread;

use super::super::{
    Scenario,
    world::{BUFFERED, RELAXED, STRICT, Store, World, choose, options, seq_of},
};
use crate::crash::{Effect, Failure, Fault, OperationKind};

pub(super) const STRICT_COMMITS: Scenario = Scenario {
    name: "strict-commits",
    what: "three threads commit strictly; each commit is durable and can be read when it returns, and syncs are shared",
    run: strict_commits,
};

fn strict_commits() {
    let world = World::new();
    let db = world.open(options(STRICT));
    thread::scope(|scope| {
        for name in ["a", "b", "c"] {
            let (world, db) = (&world, &db);
            scope.spawn(move || {
                for number in 0..2 {
                    let key = format!("{name}/{number}");
                    let receipt = world.put(db, &key, number, STRICT).unwrap();
                    assert!(receipt.durable);
                    assert_eq!(db.kv().get(&key).unwrap(), Some(number), "whoever committed can read it");
                }
            });
        }
    });
    assert!(db.stats().unwrap().syncs.count <= 6, "never more syncs than commits");
    world.finish(db);
}

/// What came of the commits of a thread: nothing succeeds after something has failed.
fn until_it_fails(world: &World, db: &Store, name: &str, count: u64) -> Option<Error> {
    let mut failed: Option<Error> = None;
    for number in 0..count {
        match (world.put(db, &format!("{name}/{number}"), number, STRICT), &failed) {
            (Ok(receipt), None) => assert!(receipt.durable),
            (Ok(receipt), Some(before)) => panic!("commit {} succeeds after: {before}", receipt.seq),
            (Err(error), _) => failed = Some(error),
        }
    }
    failed
}

/// Three threads commit strictly while the disk fails once.
fn fails_once(fault: Fault) {
    let world = World::new();
    let db = world.begin(options(STRICT));
    world.inject(fault);
    let failures = thread::scope(|scope| {
        let threads = ["a", "b", "c"].map(|name| {
            let (world, db) = (&world, &db);
            scope.spawn(move || until_it_fails(world, db, name, 2))
        });
        threads.map(|thread| thread.join().unwrap())
    });
    if world.spared(&db) {
        return world.finish(db);
    }
    assert!(failures.iter().any(Option::is_some), "somebody is told");
    for error in failures.into_iter().flatten() {
        assert!(matches!(error.kind(), ErrorKind::OutcomeUnknown | ErrorKind::Poisoned), "{error}");
    }
    assert_eq!(world.put(&db, "late", 0, STRICT).unwrap_err().kind(), ErrorKind::Poisoned);
    assert_eq!(db.kv().get("begin").unwrap(), Some(0_u64), "reads go on");
    assert_eq!(db.view().seq(), db.durable_seq(), "nothing shows that may be lost");
    drop(db);
    world.judge();
}

pub(super) const FAILED_SYNC: Scenario = Scenario {
    name: "failed-sync",
    what: "a sync fails while several wait for it: none is acknowledged, all are told, and nothing is accepted any more",
    run: || fails_once(Fault::on(OperationKind::Sync).of_files("log-").nth(1 + choose(3))),
};

pub(super) const FAILED_WRITE: Scenario = Scenario {
    name: "failed-write",
    what: "a write of the log fails, wholly or in part, while several wait for it",
    run: || {
        let effect = [Effect::Nothing, Effect::Prefix(30), Effect::Whole][choose(3) as usize];
        fails_once(Fault::on(OperationKind::Write).of_files("log-").nth(1 + choose(3)).after(effect));
    },
};

pub(super) const BUFFERED_COMMITS: Scenario = Scenario {
    name: "buffered-commits",
    what: "buffered commits fill the buffer over and over beside a timer and a barrier; what is said to be durable is",
    run: buffered_commits,
};

fn buffered_commits() {
    let world = World::new();
    let db = world.open(options(BUFFERED));
    thread::scope(|scope| {
        for name in ["a", "b"] {
            let (world, db) = (&world, &db);
            scope.spawn(move || {
                for number in 0..4 {
                    let key = format!("{name}/{number}/{}", "x".repeat(100));
                    let receipt = world.put(db, &key, number, BUFFERED).unwrap();
                    assert_eq!(db.kv().get(&key).unwrap(), Some(number), "it shows at once");
                    if number == 2 {
                        db.wait_durable(receipt.seq).unwrap();
                        world.promised(receipt.seq);
                    }
                }
            });
        }
        scope.spawn(|| {
            let ticker = db.ticker();
            for _ in 0..2 {
                ticker.tick().unwrap();
            }
            world.promised(db.sync().unwrap());
            // Eight times the buffer, and the commits that were let in before.
            assert!(db.stats().unwrap().pending_bytes < 256 * 8 + 2 * 400, "there is backpressure");
        });
    });
    world.finish(db);
}

pub(super) const RELAXED_COMMITS: Scenario = Scenario {
    name: "relaxed-commits",
    what: "relaxed commits beside a strict one, a buffered one, a timer and readers: what has returned, and what anybody sees of \
           them, outlives the process",
    run: relaxed_commits,
};

fn relaxed_commits() {
    let world = World::new();
    let db = world.begin(options(if choose(2) == 0 { RELAXED } else { BUFFERED }));
    thread::scope(|scope| {
        for name in ["a", "b"] {
            let (world, db) = (&world, &db);
            scope.spawn(move || {
                for number in 0..2 {
                    let receipt = world.put(db, &format!("relaxed/{name}"), number, RELAXED).unwrap();
                    world.handed_over(receipt.seq);
                }
            });
        }
        scope.spawn(|| {
            world.put(&db, &format!("buffered/{}", "x".repeat(300)), 1, BUFFERED).unwrap();
            let receipt = world.put(&db, "strict", 1, STRICT).unwrap();
            world.handed_over(receipt.seq);
            db.ticker().tick().unwrap();
        });
        scope.spawn(|| {
            for _ in 0..2 {
                let view = db.view();
                let relaxed = ["a", "b"].map(|name| seq_of(&view, &format!("relaxed/{name}")));
                world.handed_over(relaxed.into_iter().max().unwrap_or(0));
            }
        });
    });
    world.finish(db);
}

pub(super) const BOTH_SORTS: Scenario = Scenario {
    name: "both-sorts",
    what: "strict transactions in a buffered store and buffered ones in a strict store: what rests on a strict one that is \
           not durable yet does not show before it",
    run: both_sorts,
};

fn both_sorts() {
    let world = World::new();
    let db = world.begin(options(if choose(2) == 0 { STRICT } else { BUFFERED }));
    thread::scope(|scope| {
        for name in ["a", "b"] {
            let (world, db) = (&world, &db);
            scope.spawn(move || {
                for number in 0..2 {
                    let key = format!("strict/{name}");
                    assert!(world.put(db, &key, number, STRICT).is_ok_and(|receipt| receipt.durable));
                    assert_eq!(db.kv().get(&key).unwrap(), Some(number), "whoever committed can read it");
                    world.put(db, &format!("buffered/{name}"), number, BUFFERED).unwrap();
                }
            });
        }
        scope.spawn(|| {
            for _ in 0..3 {
                let view = db.view();
                let strict = ["a", "b"].map(|name| seq_of(&view, &format!("strict/{name}")));
                // Whatever else is in the view came after it or before it; this one was strict.
                world.promised(strict.into_iter().max().unwrap_or(0));
            }
        });
    });
    world.finish(db);
}

/// So many writes make a strict transaction one that is written first and applied afterwards.
const MANY: u64 = 64;

pub(super) fn put_many(world: &World, db: &Store, name: &str) -> Result<()> {
    let options = TransactionOptions::new().durability(STRICT);
    let result = db.transaction_with(&options, |tx| {
        tx.kv().put(name, 1_u64)?;
        tx.kv().put_many((1..MANY).map(|number| (format!("{name}/{number}"), number)))
    });
    match result {
        Ok((_, receipt)) => {
            world.answered(name, &receipt);
            assert!(receipt.durable);
            Ok(())
        }
        Err(error) => {
            if let Error::OutcomeUnknown { seq, .. } = &error {
                world.committed(*seq, name);
            }
            Err(error)
        }
    }
}

/// All of the large transaction is there, or nothing.
fn check_many(db: &Store, name: &str) {
    let view = db.view();
    let there = view.kv().get::<u64>(name).unwrap().is_some();
    let last = view.kv().get::<u64>(format!("{name}/{}", MANY - 1)).unwrap();
    assert_eq!(last, there.then_some(MANY - 1), "a part of a transaction shows");
}

pub(super) const LARGE_BESIDE_SMALL: Scenario = Scenario {
    name: "large-beside-small",
    what: "large strict transactions, which are applied after their sync, beside small strict and buffered ones and readers",
    run: large_beside_small,
};

fn large_beside_small() {
    let world = World::new();
    let db = world.begin(options(STRICT));
    thread::scope(|scope| {
        let (world, db) = (&world, &db);
        scope.spawn(move || {
            for name in ["large", "larger"] {
                put_many(world, db, name).unwrap();
                check_many(db, name);
            }
        });
        scope.spawn(move || {
            for number in 0..2 {
                assert!(world.put(db, &format!("small/{number}"), number, STRICT).is_ok_and(|it| it.durable));
            }
        });
        scope.spawn(move || {
            for number in 0..2 {
                world.put(db, &format!("buffered/{number}"), number, BUFFERED).unwrap();
            }
        });
        scope.spawn(move || {
            for name in ["large", "larger"] {
                check_many(db, name);
                world.promised(seq_of(&db.view(), name));
            }
        });
    });
    check_many(&db, "large");
    world.finish(db);
}

pub(super) const LARGE_FAILS: Scenario = Scenario {
    name: "large-fails",
    what: "the sync of a large strict transaction, or of the small ones beside it, fails",
    run: large_fails,
};

fn large_fails() {
    let world = World::new();
    let db = world.begin(options(STRICT));
    world.inject(Fault::on(OperationKind::Sync).of_files("log-").nth(1 + choose(2)));
    let (large, small) = thread::scope(|scope| {
        let (world, db) = (&world, &db);
        let large = scope.spawn(move || put_many(world, db, "large").err());
        let small = scope.spawn(move || until_it_fails(world, db, "small", 2));
        check_many(db, "large");
        (large.join().unwrap(), small.join().unwrap())
    });
    check_many(&db, "large");
    if world.spared(&db) {
        return world.finish(db);
    }
    assert!(large.is_some() || small.is_some(), "somebody is told");
    assert_eq!(world.put(&db, "late", 0, STRICT).unwrap_err().kind(), ErrorKind::Poisoned);
    drop(db);
    world.judge();
}

pub(super) const CONTENTION: Scenario = Scenario {
    name: "contention",
    what: "closures that read and write the same pair, strictly: each gets its turn, and no update is lost",
    run: contention,
};

fn contention() {
    let world = World::new();
    let db = world.begin(options(STRICT));
    thread::scope(|scope| {
        for name in ["a", "b"] {
            let (world, db) = (&world, &db);
            scope.spawn(move || {
                for number in 0..2 {
                    let add = |tx: &Transaction<'_, _>| {
                        let before = tx.kv().get::<u64>("sum")?.unwrap_or(0);
                        tx.kv().put("sum", before + 1)?;
                        tx.kv().put(format!("{name}/{number}"), before)
                    };
                    let ((), receipt) = db.transaction_with(&TransactionOptions::new(), add).unwrap();
                    world.answered(&format!("{name}/{number}"), &receipt);
                }
            });
        }
    });
    assert_eq!(db.kv().get("sum").unwrap(), Some(4_u64));
    world.finish(db);
}

pub(super) const DECISIONS: Scenario = Scenario {
    name: "decisions",
    what: "closures that contend decide by what they see when they run again: whatever they answer, with a commit, without one or \
           with an error, rests on what is durable by then",
    run: decisions,
};

fn decisions() {
    let world = World::new();
    let db = world.begin(options(STRICT));
    thread::scope(|scope| {
        for name in ["a", "b", "c"] {
            let (world, db) = (&world, &db);
            scope.spawn(move || {
                for number in 0..2 {
                    let key = format!("{name}/{number}");
                    let (mut seen, mut writes) = (0, false);
                    let decided = db.transaction_with(&TransactionOptions::new(), |tx| {
                        let found = tx.kv().get_versioned::<u64>("sum")?;
                        seen = found.as_ref().and_then(|found| found.version.seq()).unwrap_or(0);
                        writes = false;
                        match found.map_or(0, |found| found.value) {
                            sum if sum < 2 => {
                                writes = true;
                                tx.kv().put("sum", sum + 1)?;
                                tx.kv().put(&key, sum)
                            }
                            2 if number == 0 => Ok(()),
                            _ => Err(Error::Invalid { what: "sum", why: "it is enough".into() }),
                        }
                    });
                    world.promised(seen);
                    match decided {
                        Ok(((), receipt)) if writes => world.answered(&key, &receipt),
                        Ok(((), receipt)) => {
                            assert!(receipt.durable, "nothing was written, and what was read is durable")
                        }
                        Err(error) => assert_eq!(error.kind(), ErrorKind::Invalid, "{error}"),
                    }
                }
            });
        }
    });
    assert_eq!(db.kv().get("sum").unwrap(), Some(2_u64));
    world.finish(db);
}

pub(super) const ONE_KEY: Scenario = Scenario {
    name: "one-key",
    what: "the same idempotency key from three threads: one commit, and three answers that are as durable as it",
    run: one_key,
};

fn one_key() {
    let world = World::new();
    let db = world.begin(options(STRICT));
    let receipts = thread::scope(|scope| {
        let threads = [STRICT, STRICT, BUFFERED].map(|durability| {
            let (world, db) = (&world, &db);
            scope.spawn(move || {
                let options = TransactionOptions::new().idempotency_key("once").durability(durability);
                let count = |tx: &Transaction<'_, _>| {
                    tx.kv().add_i64("count", 1)?;
                    tx.kv().get::<i64>("count")
                };
                let (count, receipt) = db.once_with(&options, count).unwrap();
                assert_eq!(count, Some(1), "all get the result of the one that was committed");
                if receipt.durable {
                    world.promised(receipt.seq);
                }
                assert!(receipt.durable || durability != STRICT, "also the answer to a repetition waits");
                receipt
            })
        });
        threads.map(|thread| thread.join().unwrap())
    });
    assert!(matches!(db.seen("once"), Seen::Committed { seq, .. } if seq == receipts[0].seq));
    assert_eq!(receipts.iter().filter(|receipt| !receipt.deduplicated).count(), 1);
    assert!(receipts.iter().all(|receipt| receipt.seq == receipts[0].seq));
    assert_eq!(db.kv().get("count").unwrap(), Some(1_i64));
    world.finish(db);
}

pub(super) const SEEN: Scenario = Scenario {
    name: "seen",
    what: "a key is said to have been seen, and its window to be set, when that is durable and not before",
    run: seen,
};

fn seen() {
    let world = World::new();
    let db = world.begin(options(STRICT));
    thread::scope(|scope| {
        scope.spawn(|| {
            let receipt =
                db.once_with(&TransactionOptions::new().idempotency_key("once"), |_| Ok::<_, Error>(1)).unwrap().1;
            world.promised(receipt.seq);
            db.set_idempotency_window(9, None).unwrap();
        });
        // Whoever is told that it was done acts upon it.
        for _ in 0..3 {
            if let Seen::Committed { seq, .. } = db.seen("once") {
                world.promised(seq);
            }
            if db.idempotency_window().keys_max == 9 {
                world.promised(db.view().seq());
            }
            thread::yield_now();
        }
    });
    assert!(matches!(db.seen("once"), Seen::Committed { .. }));
    world.finish(db);
}

pub(super) const ROTATION: Scenario = Scenario {
    name: "rotation",
    what: "commits of both sorts fill segments; the log goes on in the next one only when the last is complete and synced",
    run: rotation,
};

fn rotation() {
    let world = World::new();
    let db = world.open(options(if choose(2) == 0 { STRICT } else { BUFFERED }).segment_bytes(4096));
    thread::scope(|scope| {
        for (name, durability) in [("a", STRICT), ("b", BUFFERED), ("c", STRICT)] {
            let (world, db) = (&world, &db);
            scope.spawn(move || {
                for number in 0..3 {
                    let key = format!("{name}/{number}");
                    let options = TransactionOptions::new().durability(durability);
                    let work = |tx: &Transaction<'_, _>| {
                        tx.kv().put(&key, number)?;
                        tx.kv().put(format!("{key}/padding"), vec![7_u8; 1100])
                    };
                    let ((), receipt) = db.transaction_with(&options, work).unwrap();
                    world.answered(&key, &receipt);
                }
            });
        }
    });
    assert!(db.stats().unwrap().segments.len() > 2);
    world.finish(db);
}

pub(super) const FULL_DISK: Scenario = Scenario {
    name: "full-disk",
    what: "the disk is full while several commit: each is durable or refused, and when there is room all go on",
    run: full_disk,
};

fn full_disk() {
    let world = World::new();
    let db = world.begin(options(STRICT).segment_bytes(4096));
    let kind = [OperationKind::SetLen, OperationKind::Create][choose(2) as usize];
    world.inject(Fault::on(kind).nth(1 + choose(2)).failing_with(Failure::Full));
    thread::scope(|scope| {
        for name in ["a", "b", "c"] {
            let (world, db) = (&world, &db);
            scope.spawn(move || {
                for number in 0..2 {
                    let key = format!("{name}/{number}");
                    let work = |tx: &Transaction<'_, _>| {
                        tx.kv().put(&key, number)?;
                        tx.kv().put(format!("{key}/padding"), vec![7_u8; 1500])
                    };
                    match db.transaction_with(&TransactionOptions::new(), work) {
                        Ok(((), receipt)) => world.answered(&key, &receipt),
                        Err(error) => assert_eq!(error.kind(), ErrorKind::StorageFull, "{error}"),
                    }
                }
            });
        }
    });
    assert!(world.put(&db, "after", 1, STRICT).is_ok_and(|receipt| receipt.durable), "the store stays usable");
    world.finish(db);
}
