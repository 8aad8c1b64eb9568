//! Ends: closing, timers that outlive a store, waiting for what never comes.

use foldb_core::{Error, ErrorKind};
use shuttle::thread;

use super::super::{
    Scenario,
    world::{BUFFERED, STRICT, World, choose, options, reopen},
};
use crate::crash::{Fault, OperationKind};

pub(super) const CLOSE_AND_TICK: Scenario = Scenario {
    name: "close-and-tick",
    what: "a store is closed, or dropped, while its timer ticks: everything is durable and marked, and the timer ends",
    run: close_and_tick,
};

fn close_and_tick() {
    let world = World::new();
    let durability = if choose(2) == 0 { STRICT } else { BUFFERED };
    let closes = choose(2) == 0;
    let db = world.open(options(durability));
    for number in 0..2 {
        world.put(&db, &format!("a/{number}"), number, durability).unwrap();
    }
    let (seq, ticker) = (db.view().seq(), db.ticker());
    let timer = thread::spawn(move || {
        for _ in 0..3 {
            ticker.tick().unwrap();
        }
        ticker
    });
    if closes {
        db.close().unwrap();
    } else {
        drop(db);
    }
    let end = world.disk.crash_point(world.disk.operation_count());
    world.promised(seq);
    let ticker = timer.join().unwrap();
    assert!(ticker.is_over());
    assert_eq!(ticker.tick(), Ok(false), "nothing is left to do");
    // As it was when the close returned, whatever the timer still did.
    let db = reopen(&end.nothing_survives());
    let log = &db.recovery_report().log;
    assert!(log.complete && log.tail_records == 0 && log.cut.is_none(), "it was closed cleanly: {log:?}");
    world.judge();
}

pub(super) const WAIT_DURABLE_AND_POISON: Scenario = Scenario {
    name: "wait-durable-and-poison",
    what: "several wait for a buffered commit whose sync fails: all are told, none waits for ever, none is told that it is durable",
    run: wait_durable_and_poison,
};

fn wait_durable_and_poison() {
    let world = World::new();
    let db = world.begin(options(BUFFERED));
    world.inject(Fault::on(OperationKind::Sync).of_files("log-").nth(1 + choose(2)));
    thread::scope(|scope| {
        let (world, db) = (&world, &db);
        for name in ["a", "b", "c"] {
            scope.spawn(move || {
                let Ok(receipt) = world.put(db, name, 1, BUFFERED) else { return };
                match db.wait_durable(receipt.seq) {
                    Ok(()) => world.promised(receipt.seq),
                    Err(Error::OutcomeUnknown { seq, .. }) => assert_eq!(seq, receipt.seq),
                    Err(error) => panic!("{error}"),
                }
            });
        }
        scope.spawn(move || {
            // A tick that fails has poisoned the store, and that shows at the next commit.
            let _ = db.ticker().tick();
            match db.sync() {
                Ok(seq) => world.promised(seq),
                Err(error) => {
                    assert!(matches!(error.kind(), ErrorKind::OutcomeUnknown | ErrorKind::Poisoned), "{error}")
                }
            }
        });
    });
    if world.spared(&db) {
        return world.finish(db);
    }
    assert_eq!(world.put(&db, "late", 0, BUFFERED).unwrap_err().kind(), ErrorKind::Poisoned);
    drop(db);
    world.judge();
}

pub(super) const TICKS: Scenario = Scenario {
    name: "ticks",
    what: "two timers tick beside commits of both sorts and a snapshot; marks are written only of what is durable",
    run: ticks,
};

fn ticks() {
    let world = World::new();
    let db = world.begin(options(BUFFERED).segment_bytes(4096));
    thread::scope(|scope| {
        let (world, db) = (&world, &db);
        for _ in 0..2 {
            scope.spawn(move || {
                let ticker = db.ticker();
                for _ in 0..2 {
                    ticker.tick().unwrap();
                    world.promised(db.durable_seq());
                }
            });
        }
        for (name, durability) in [("a", STRICT), ("b", BUFFERED)] {
            scope.spawn(move || {
                for number in 0..2 {
                    let key = format!("{name}/{number}/{}", "x".repeat(100));
                    world.put(db, &key, number, durability).unwrap();
                }
            });
        }
        if choose(2) == 0 {
            scope.spawn(move || db.snapshot().map(drop).unwrap());
        }
    });
    world.finish(db);
}
