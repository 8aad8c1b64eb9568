//! [`Workload`]: a short list of things that a program does to a store.
//!
//! Invariant: a workload is data. The same workload makes the same operations on the disk each time, so that the number
//! of a crash image means the same image for ever.

use core::time::Duration;

use foldb_core::{Durability, limits::PART_BYTES_TARGET};

use crate::Random;

/// One thing that a program does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Puts a value of so many bytes, in a commit of its own.
    Put {
        /// The key.
        key: u8,
        /// Bytes of the value.
        len: usize,
    },
    /// Deletes a pair.
    Delete {
        /// The key.
        key: u8,
    },
    /// One transaction over all primitives: a counter, a document, a cell, an event and a pair.
    Mixed,
    /// Appends to a list in a document that is large enough for its changes to be logged alone; makes it first.
    Edit,
    /// A pair and a document that are over already, and a pair that is over some day, which then gets another time.
    Expire,
    /// Removes one of what is over.
    Sweep,
    /// One transaction that puts so many pairs.
    Many {
        /// How many.
        keys: u8,
        /// Bytes of each value.
        len: usize,
    },
    /// Appends so many events in one commit.
    Append {
        /// How many.
        events: u64,
    },
    /// Forgets the older half of the events.
    Trim,
    /// Begins a run, and writes into it.
    BeginRun,
    /// Ends the run that was begun last.
    EndRun,
    /// Fewer idempotency keys are remembered from now on, and not for long.
    RememberLess,
    /// A commit with an idempotency key, which is done once however often it is asked for.
    Once {
        /// The key.
        key: u8,
    },
    /// A transaction that reads a pair which another one changes before it commits: it must not.
    Conflict,
    /// A transaction that reads a range into which another one puts a key before it commits: it must not.
    Phantom,
    /// A transaction that goes back to a savepoint before it commits, and to that of another transaction, which it must not.
    Rollback,
    /// Transactions that begin a run with an id that another run has, small and large: they must not be committed.
    TakenId,
    /// A barrier: everything before is promised.
    Sync,
    /// What the timer does when the store is idle, until there is nothing left to do: it syncs, marks the log, and says in both
    /// anchors how far it goes.
    Tick,
    /// Writes a snapshot, which removes old files.
    Snapshot,
    /// The disk says that it has written a snapshot's pages, and has not: the snapshot must not count.
    LostSnapshot,
    /// The sync of a snapshot's header fails, and so does the removal of the file; the store goes on.
    FailSnapshot,
    /// Closes cleanly and opens again.
    Reopen,
    /// Closes cleanly, and nothing follows.
    Close,
    /// The process dies and another one opens the store; the page cache survives.
    Kill,
    /// The next sync fails while a pair is put; then as [`Step::Kill`]. Whether the pair is there is open.
    FailSync,
    /// The same for the next write, of which a part is done.
    FailWrite,
    /// Large pairs are put until the sync of an anchor fails; then as [`Step::Kill`].
    FailAnchor,
    /// A pair is put, and the sync of the mark that the idle store writes behind it fails; then as [`Step::Kill`].
    FailMark,
    /// Pairs are put until the disk is full, and one more once there is room again.
    FullDisk,
}

/// What is done to a store, and how the store is opened.
#[derive(Clone, Debug)]
pub struct Workload {
    /// For people, and to run it again.
    pub name: String,
    /// When commits return.
    pub durability: Durability,
    /// Where the log goes on in a new segment.
    pub segment_bytes: u64,
    /// Where a transaction goes on in another part frame.
    pub part_bytes: usize,
    /// What is done, in order.
    pub steps: Vec<Step>,
}

const STRICT: Durability = Durability::Strict;
const BUFFERED: Durability = Durability::buffered();
const RELAXED: Durability = Durability::relaxed();
/// Hands its buffer over to the system every few commits, without a sync.
const HANDED_OVER: Durability = Durability::Buffered { interval: Duration::from_millis(100), bytes: 150 };
const SMALLEST_SEGMENT: u64 = 4096;
/// No workload fills it, and no image is larger than it has to be.
const ROOMY_SEGMENT: u64 = 16 << 10;
const SMALL_PARTS: usize = 256;

const fn put(key: u8) -> Step {
    Step::Put { key, len: 20 }
}

const fn large() -> Step {
    Step::Put { key: 9, len: 1500 }
}

const fn once(key: u8) -> Step {
    Step::Once { key }
}

impl Workload {
    fn new(name: &str, durability: Durability, segment_bytes: u64, steps: &[Step]) -> Self {
        let part_bytes = PART_BYTES_TARGET;
        Self { name: name.into(), durability, segment_bytes, part_bytes, steps: steps.to_vec() }
    }

    fn in_parts(self) -> Self {
        Self { part_bytes: SMALL_PARTS, ..self }
    }

    /// The workloads that have a name: each is about one thing that the store does.
    pub fn named() -> Vec<Self> {
        use Step::{
            Append, BeginRun, Close, Conflict, Delete, Edit, EndRun, Expire, FailAnchor, FailMark, FailSnapshot,
            FailSync, FailWrite, FullDisk, Kill, LostSnapshot, Many, Mixed, Phantom, RememberLess, Reopen, Rollback,
            Snapshot, Sweep, Sync, TakenId, Tick, Trim,
        };
        let roomy = |name, durability, steps: &[Step]| Self::new(name, durability, ROOMY_SEGMENT, steps);
        let small = |name, durability, steps: &[Step]| Self::new(name, durability, SMALLEST_SEGMENT, steps);
        vec![
            roomy("strict-puts", STRICT, &[put(1), put(2), put(1), Delete { key: 2 }]),
            roomy("strict-mixed", STRICT, &[Mixed, put(1), Mixed]),
            roomy("buffered-puts", BUFFERED, &[put(1), put(2), Sync, put(3), put(1), Tick, put(4)]),
            roomy("idle-mark", STRICT, &[put(1), Tick, put(2), Tick]),
            roomy("runs", STRICT, &[BeginRun, EndRun, BeginRun]),
            roomy("events", BUFFERED, &[Append { events: 40 }, Sync, Append { events: 3 }, Sync]),
            roomy("large-value", STRICT, &[large(), put(1), large()]),
            small("rotation", STRICT, &[large(), put(1), large(), large()]),
            small("buffered-rotation", BUFFERED, &[large(), large(), put(1), large(), Sync, put(2)]),
            small(
                "snapshots",
                STRICT,
                &[large(), put(1), Snapshot, large(), large(), Snapshot, put(2), Snapshot, put(3)],
            ),
            roomy("edits", STRICT, &[Edit, Edit, Kill, Edit, Snapshot, Edit, Edit, Reopen, Edit]),
            small("buffered-edits", BUFFERED, &[Edit, Edit, Sync, Edit, Edit, Kill, Edit]),
            roomy("reopening", STRICT, &[put(1), Reopen, put(2), Reopen, Mixed]),
            roomy("killed", STRICT, &[put(1), put(2), Kill, put(3), Kill, put(4)]),
            roomy("buffered-killed", BUFFERED, &[put(1), Sync, put(2), Kill, put(3), Sync]),
            roomy("relaxed-killed", RELAXED, &[put(1), put(2), Kill, Mixed, Sync, put(1), Kill, put(3), Tick, Kill]),
            small("relaxed-rotation", RELAXED, &[large(), large(), put(1), Kill, large(), put(2), Kill]),
            roomy("relaxed-failed-write", RELAXED, &[put(1), FailWrite, put(2), Mixed, FailWrite]),
            roomy("failed-sync", STRICT, &[put(1), FailSync, put(2), FailSync, put(3)]),
            small(
                "killed-at-rotation",
                STRICT,
                &[large(), large(), Kill, large(), Snapshot, Kill, large(), Snapshot, put(1)],
            ),
            roomy(
                "handed-over",
                HANDED_OVER,
                &[put(1), put(2), put(3), Sync, put(4), put(5), put(6), Kill, put(1), put(2)],
            ),
            roomy("parts", STRICT, &[put(1), Many { keys: 3, len: 150 }, put(2), Many { keys: 2, len: 300 }])
                .in_parts(),
            roomy("buffered-parts", BUFFERED, &[Many { keys: 3, len: 150 }, put(1), Sync, Many { keys: 2, len: 300 }])
                .in_parts(),
            small("many-at-once", STRICT, &[put(1), Many { keys: 70, len: 8 }, put(2)]),
            roomy("isolation", STRICT, &[put(1), Conflict, Phantom, Rollback]),
            roomy("run-ids", STRICT, &[BeginRun, TakenId, put(1), Kill, BeginRun]),
            roomy("once", STRICT, &[once(1), once(2), once(1), Kill, once(2), once(3), Reopen, once(1)]),
            roomy(
                "once-not-for-long",
                STRICT,
                &[once(1), once(2), once(3), RememberLess, once(2), once(4), Snapshot, Kill, once(4), RememberLess],
            ),
            roomy("once-in-snapshots", STRICT, &[once(1), Snapshot, once(2), Reopen, once(1), once(2)]),
            roomy("trimmed", STRICT, &[Append { events: 4 }, Append { events: 4 }, Trim, Append { events: 1 }]),
            roomy("failed-write", STRICT, &[put(1), FailWrite, put(2), Mixed, FailWrite]),
            small("failed-anchor", STRICT, &[large(), large(), FailAnchor, put(1), FailAnchor]),
            roomy("failed-mark", STRICT, &[FailMark, put(1), FailMark, put(2)]),
            // The very first anchor: there is none before it, and the one after it must not be taken for its equal.
            small("failed-first-anchor", STRICT, &[FailAnchor, put(1), Kill, put(2), Kill, large(), put(3)]),
            // Neither what the page cache shows of an anchor nor what it hides is what the disk has.
            small("anchor-failing-on", STRICT, &[put(1), large(), FailAnchor, FailAnchor, Kill, large(), put(1)]),
            small("full-disk", STRICT, &[large(), FullDisk, put(1)]),
            roomy("lost-snapshot", STRICT, &[put(1), Mixed, LostSnapshot, Snapshot, put(2)]),
            roomy("failed-snapshot", STRICT, &[put(1), Snapshot, put(2), FailSnapshot, put(1), Snapshot, put(3)]),
            // A snapshot where nothing was committed, next to the only anchor that there ever was.
            roomy("snapshot-of-nothing", BUFFERED, &[put(1), Kill, Snapshot, Kill, put(1), Sync, Snapshot]),
            roomy("buffered-closed", BUFFERED, &[put(1), put(2), Reopen, put(3), Close]),
            roomy("buffered-snapshots", BUFFERED, &[put(1), Sync, put(2), Mixed, Snapshot, put(3)]),
            roomy(
                "once-window",
                STRICT,
                &[
                    once(0),
                    once(1),
                    once(2),
                    once(3),
                    once(4),
                    once(5),
                    once(6),
                    once(7),
                    once(8),
                    once(8),
                    once(1),
                    Kill,
                    once(8),
                    once(0),
                ],
            ),
            roomy("closed", STRICT, &[put(1), Mixed, put(2), Close]),
            small("closed-snapshots", STRICT, &[large(), Mixed, Snapshot, large(), large(), Snapshot, put(1), Close]),
            roomy(
                "expiries",
                STRICT,
                &[Expire, Sweep, Kill, Expire, Snapshot, Expire, Sweep, Reopen, Sweep, Sweep, put(1)],
            ),
        ]
    }

    /// A workload that bad luck writes.
    pub fn random(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let durability = match random.below(8) {
            0..6 => STRICT,
            6 => BUFFERED,
            _ if random.chance(1, 2) => RELAXED,
            _ => HANDED_OVER,
        };
        let segment_bytes = if random.chance(2, 3) { SMALLEST_SEGMENT } else { ROOMY_SEGMENT };
        let part_bytes = if random.chance(1, 4) { SMALL_PARTS } else { PART_BYTES_TARGET };
        let steps = (0..4 + random.below(9)).map(|_| Step::random(&mut random)).collect();
        Self { name: format!("seed-{seed}"), durability, segment_bytes, part_bytes, steps }
    }

    /// The workload of a name: a named one, or `seed-N` for a random one.
    pub fn find(name: &str) -> Option<Self> {
        match name.strip_prefix("seed-") {
            Some(seed) => seed.parse().ok().map(Self::random),
            None => Self::named().into_iter().find(|workload| workload.name == name),
        }
    }
}

impl Step {
    fn random(random: &mut Random) -> Self {
        let key = u8::try_from(random.below(5)).unwrap_or(0);
        match random.below(32) {
            0..5 => put(key),
            5..9 => Step::Put { key, len: 200 + random.index(1800) },
            9 => Step::Delete { key },
            10 => Step::Mixed,
            11 => Step::Edit,
            12 => Step::Append { events: 1 + random.below(30) },
            13 => Step::Trim,
            14 => Step::BeginRun,
            15 => Step::EndRun,
            16 => Step::Sync,
            17 => Step::Tick,
            18 | 19 => Step::Snapshot,
            20 | 21 => Step::Reopen,
            22 | 23 => Step::Kill,
            24 => Step::FailSync,
            25 => {
                if random.chance(1, 2) {
                    Step::FailWrite
                } else {
                    Step::FailAnchor
                }
            }
            26 => Step::FullDisk,
            27 => {
                if random.chance(1, 2) {
                    Step::LostSnapshot
                } else {
                    Step::FailSnapshot
                }
            }
            28 => Step::Many { keys: 2 + key, len: 100 + random.index(200) },
            29 => Step::Once { key },
            30 => Step::Conflict,
            _ => Step::Phantom,
        }
    }
}
