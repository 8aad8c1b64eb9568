//! Failures beside whatever else goes on: for every pair of calls one of which waits for the other.
//!
//! What a call has decided before it waited is out of date when it wakes: the store may be poisoned, rotated, closed. So
//! each execution draws two or three calls and a failure, and what is left must be good for three sorts of successors: one
//! after a power failure, one after a crash of the process alone, and one after a power failure that ends the latter.

use foldb_core::{Error, ErrorKind, Result, TransactionOptions};
use shuttle::thread;

use super::{
    super::{
        Scenario,
        world::{BUFFERED, STRICT, Store, World, choose, options},
    },
    commits::put_many,
};
use crate::crash::{Effect, Failure, Fault, OperationKind};

pub(super) const CALLS_BESIDE_A_FAILURE: Scenario = Scenario {
    name: "calls-beside-a-failure",
    what: "two or three calls of every sort beside a write or sync that fails: nobody takes it for a success, and the next \
           process, with or without a power failure in between, opens what was promised",
    run: calls_beside_a_failure,
};

/// What a thread does.
#[derive(Clone, Copy, Debug)]
enum Call {
    Small,
    Large,
    Buffered,
    /// A commit that does not fit the segment.
    Rotating,
    Snapshot,
    Checkpoint,
    Sync,
    Tick,
}

const CALLS: [Call; 8] = [
    Call::Small,
    Call::Large,
    Call::Buffered,
    Call::Rotating,
    Call::Snapshot,
    Call::Checkpoint,
    Call::Sync,
    Call::Tick,
];

fn draw() -> Call {
    CALLS[choose(8) as usize]
}

/// Does a call, and says how it failed.
fn perform(world: &World, db: &Store, call: Call, name: &str) -> Result<()> {
    match call {
        Call::Small => world.put(db, name, 1, STRICT).map(|receipt| assert!(receipt.durable)),
        Call::Large => put_many(world, db, name),
        Call::Buffered => world.put(db, name, 1, BUFFERED).map(drop),
        Call::Rotating => {
            let work = |tx: &foldb_core::Transaction<'_, _>| {
                tx.kv().put(name, 1_u64)?;
                tx.kv().put(format!("{name}/padding"), vec![7_u8; 3000])
            };
            let result = db.transaction_with(&TransactionOptions::new().durability(STRICT), work);
            match &result {
                Ok(((), receipt)) => world.answered(name, receipt),
                Err(Error::OutcomeUnknown { seq, .. }) => world.committed(*seq, name),
                Err(_) => {}
            }
            result.map(drop)
        }
        Call::Snapshot => db.snapshot().map(|info| world.promised(info.seq)),
        Call::Checkpoint => db.checkpoint().map(|checkpoint| world.promised(checkpoint.seq())),
        Call::Sync => db.sync().map(|seq| world.promised(seq)),
        Call::Tick => db.ticker().tick().map(drop),
    }
}

fn failure() -> Fault {
    let effect = [Effect::Nothing, Effect::Prefix(30), Effect::Whole][choose(3) as usize];
    let kind = [OperationKind::Sync, OperationKind::Sync, OperationKind::Write][choose(3) as usize];
    let files = ["log-", "log-", "anchor-", "snap-"][choose(4) as usize];
    let fault = Fault::on(kind).of_files(files).nth(1 + choose(3)).after(effect);
    if choose(4) == 0 { fault.failing_with(Failure::Full) } else { fault }
}

fn calls_beside_a_failure() {
    let world = World::new();
    let db = world.begin(options(if choose(2) == 0 { STRICT } else { BUFFERED }).segment_bytes(4096));
    // One more, so that the log is longer than the snapshot that some draw.
    world.put(&db, "second", 1, STRICT).unwrap();
    let calls = [draw(), draw(), draw()];
    let count = 2 + choose(2) as usize;
    world.inject(failure());
    thread::scope(|scope| {
        let (world, db) = (&world, &db);
        for (thread, call) in calls.into_iter().take(count).enumerate() {
            scope.spawn(move || {
                for round in 0..2 {
                    let Err(error) = perform(world, db, call, &format!("{thread}/{round}")) else { continue };
                    let told = matches!(
                        error.kind(),
                        ErrorKind::OutcomeUnknown | ErrorKind::Poisoned | ErrorKind::StorageFull | ErrorKind::Io
                    );
                    assert!(told, "{call:?}: {error}");
                }
            });
        }
    });
    world.disk.clear_faults();
    let seq = db.view().seq();
    match db.close() {
        Ok(()) => world.promised(seq),
        Err(error) => assert!(matches!(error.kind(), ErrorKind::OutcomeUnknown | ErrorKind::Poisoned), "{error}"),
    }
    world.judge();
    world.goes_on();
}
