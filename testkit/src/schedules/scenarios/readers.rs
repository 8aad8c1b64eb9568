//! Readers beside writers: what they see, in which order, and where they find it.

use std::ops::ControlFlow;

use foldb_core::{Transaction, TransactionOptions, primitive::ScanOptions, tree::Direction};
use shuttle::thread;

use super::super::{
    Scenario,
    world::{BUFFERED, STRICT, World, choose, options, stored_leaves},
};

pub(super) const MONOTONIC_READERS: Scenario = Scenario {
    name: "monotonic-readers",
    what: "readers of a strict store: no part of a transaction, nothing that is not durable, never back in time",
    run: monotonic_readers,
};

fn monotonic_readers() {
    let world = World::new();
    let db = world.begin(options(STRICT));
    thread::scope(|scope| {
        let (world, db) = (&world, &db);
        for name in ["a", "b"] {
            scope.spawn(move || {
                for number in 0..2 {
                    let key = format!("{name}/{number}");
                    let options = TransactionOptions::new();
                    let transfer = |tx: &Transaction<'_, _>| {
                        tx.kv().put(&key, number)?;
                        tx.kv().add_i64("left", -1)?;
                        tx.kv().add_i64("right", 1)
                    };
                    let ((), receipt) = db.transaction_with(&options, transfer).unwrap();
                    world.answered(&key, &receipt);
                }
            });
        }
        for _ in 0..2 {
            scope.spawn(move || {
                let (mut seq, mut right) = (0, 0);
                for _ in 0..3 {
                    let now = db.kv().get::<i64>("right").unwrap().unwrap_or(0);
                    assert!(now >= right, "from {right} back to {now}");
                    let view = db.view();
                    assert!(view.seq() >= seq, "from commit {seq} back to {}", view.seq());
                    (seq, right) = (view.seq(), view.kv().get::<i64>("right").unwrap().unwrap_or(0));
                    assert!(right >= now, "from {now} back to {right}");
                    assert_eq!(view.kv().get::<i64>("left").unwrap().unwrap_or(0), -right, "half of a transaction");
                    world.promised(seq);
                }
            });
        }
    });
    world.finish(db);
}

pub(super) const LOG_RESIDENT_VALUES: Scenario = Scenario {
    name: "log-resident-values",
    what: "values and events that live in the log are read while they move from the buffer through a write to the storage, \
           and while the log goes on in the next segment",
    run: log_resident_values,
};

fn log_resident_values() {
    let world = World::new();
    let db = world.open(options(if choose(2) == 0 { STRICT } else { BUFFERED }).segment_bytes(4096));
    thread::scope(|scope| {
        let (world, db) = (&world, &db);
        for name in [1_u8, 2] {
            scope.spawn(move || {
                for number in 0..3_u64 {
                    let key = format!("{name}/{number}");
                    let work = |tx: &Transaction<'_, _>| {
                        tx.kv().put(&key, number)?;
                        tx.kv().put(format!("value/{name}"), vec![name; 900 + 100 * number as usize])?;
                        tx.events().append("events", "e", vec![name; 300]).map(drop)
                    };
                    let ((), receipt) = db.transaction_with(&TransactionOptions::new(), work).unwrap();
                    world.answered(&key, &receipt);
                }
            });
        }
        scope.spawn(move || {
            for _ in 0..2 {
                for name in [1_u8, 2] {
                    let value = db.kv().get::<Vec<u8>>(format!("value/{name}")).unwrap().unwrap_or_default();
                    assert!(value.iter().all(|byte| *byte == name), "bytes of another value");
                }
                let events = db.events().range_as::<Vec<u8>>("events", .., None, Direction::Forward).unwrap();
                assert!(events.iter().all(|event| event.payload.len() == 300));
                db.events().verify_chain("events").unwrap();
            }
        });
    });
    world.finish(db);
}

pub(super) const REPLAY_AND_VERIFY: Scenario = Scenario {
    name: "replay-and-verify",
    what: "the log is replayed and verified while commits go on, segments change and snapshots come and go: no false alarm",
    run: replay_and_verify,
};

fn replay_and_verify() {
    let world = World::new();
    let db = world.begin(options(if choose(2) == 0 { STRICT } else { BUFFERED }).segment_bytes(4096));
    thread::scope(|scope| {
        let (world, db) = (&world, &db);
        scope.spawn(move || {
            for number in 0..5 {
                let key = format!("a/{number}");
                let work = |tx: &Transaction<'_, _>| {
                    tx.kv().put(&key, number)?;
                    tx.kv().put("padding", vec![7_u8; 1500])
                };
                let ((), receipt) = db.transaction_with(&TransactionOptions::new(), work).unwrap();
                world.answered(&key, &receipt);
            }
        });
        scope.spawn(move || {
            for _ in 0..3 {
                db.snapshot().unwrap();
            }
        });
        scope.spawn(move || {
            let view = db.view();
            let replayed = db.replay_default().unwrap();
            assert!(replayed.view().folded().seq() >= view.seq() || view.seq() <= db.view().seq());
            db.stats().unwrap();
        });
        scope.spawn(move || {
            let report = db.verify(&mut |_| ControlFlow::Continue(())).unwrap();
            assert!(report.is_ok(), "a false alarm: {:?}", report.violations);
        });
    });
    world.finish(db);
}

pub(super) const ABSENT_LEAVES: Scenario = Scenario {
    name: "absent-leaves",
    what: "leaves that are still in the snapshot of the opening are read by several, and changed, while newer snapshots push \
           older ones out",
    run: absent_leaves,
};

fn absent_leaves() {
    let (image, keys) = stored_leaves();
    let world = World::of(&image);
    let db = world.open(options(STRICT));
    let from = db.view();
    thread::scope(|scope| {
        let (world, db, from, keys) = (&world, &db, &from, &keys);
        for _ in 0..2 {
            scope.spawn(move || {
                for key in keys.iter().step_by(7) {
                    let value = from.kv().get::<Vec<u8>>(key).unwrap().unwrap();
                    assert_eq!(value.len(), 300, "{key}");
                }
                assert_eq!(db.kv().scan(&ScanOptions::prefix("leaf/")).unwrap().len(), keys.len());
            });
        }
        scope.spawn(move || {
            for number in 0..2 {
                assert!(world.put(db, &format!("new/{number}"), number, STRICT).is_ok_and(|it| it.durable));
                db.kv().put(&keys[10], vec![9_u8; 300]).unwrap();
            }
        });
        scope.spawn(move || {
            for _ in 0..3 {
                db.snapshot().unwrap();
            }
        });
    });
    assert_eq!(from.kv().scan(&ScanOptions::prefix("leaf/")).unwrap().len(), keys.len());
    drop(from);
    drop(db);
    world.judge();
}
