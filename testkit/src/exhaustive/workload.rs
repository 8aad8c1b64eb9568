//! [`Workload`]: a short list of things that a program does to a store.
//!
//! Invariant: a workload is data. The same workload makes the same operations on the disk each time, so that the number
//! of a crash image means the same image for ever.

use foldb_core::Durability;

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
    /// Appends so many events in one commit.
    Append {
        /// How many.
        events: u64,
    },
    /// Begins a run, and writes into it.
    BeginRun,
    /// Ends the run that was begun last.
    EndRun,
    /// A barrier: everything before is promised.
    Sync,
    /// What the timer does when the store is idle: syncs, and marks the log.
    Tick,
    /// Writes a snapshot, which removes old files.
    Snapshot,
    /// Closes cleanly and opens again.
    Reopen,
    /// The process dies and another one opens the store; the page cache survives.
    Kill,
    /// The next sync fails while a pair is put; then as [`Step::Kill`]. Whether the pair is there is open.
    FailSync,
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
    /// What is done, in order.
    pub steps: Vec<Step>,
}

const STRICT: Durability = Durability::Strict;
const BUFFERED: Durability = Durability::buffered();
const SMALLEST_SEGMENT: u64 = 4096;
const ROOMY_SEGMENT: u64 = 1 << 20;

const fn put(key: u8) -> Step {
    Step::Put { key, len: 20 }
}

impl Workload {
    fn new(name: &str, durability: Durability, segment_bytes: u64, steps: &[Step]) -> Self {
        Self { name: name.into(), durability, segment_bytes, steps: steps.to_vec() }
    }

    /// The workloads that have a name: each is about one thing that the store does.
    pub fn named() -> Vec<Self> {
        use Step::{Append, BeginRun, Delete, EndRun, FailSync, Kill, Mixed, Reopen, Snapshot, Sync, Tick};
        let large = Step::Put { key: 9, len: 1500 };
        vec![
            Self::new("strict-puts", STRICT, ROOMY_SEGMENT, &[put(1), put(2), put(1), Delete { key: 2 }]),
            Self::new("strict-mixed", STRICT, ROOMY_SEGMENT, &[Mixed, put(1), Mixed]),
            Self::new("buffered-puts", BUFFERED, ROOMY_SEGMENT, &[put(1), put(2), Sync, put(3), put(1), Tick, put(4)]),
            Self::new("idle-mark", STRICT, ROOMY_SEGMENT, &[put(1), Tick, put(2), Tick]),
            Self::new("runs", STRICT, ROOMY_SEGMENT, &[BeginRun, EndRun, BeginRun]),
            Self::new("events", BUFFERED, ROOMY_SEGMENT, &[Append { events: 40 }, Sync, Append { events: 3 }, Sync]),
            Self::new("large-value", STRICT, ROOMY_SEGMENT, &[large.clone(), put(1), large.clone()]),
            Self::new("rotation", STRICT, SMALLEST_SEGMENT, &[large.clone(), put(1), large.clone(), large.clone()]),
            Self::new(
                "buffered-rotation",
                BUFFERED,
                SMALLEST_SEGMENT,
                &[large.clone(), large.clone(), put(1), large.clone(), Sync, put(2)],
            ),
            Self::new(
                "snapshots",
                STRICT,
                SMALLEST_SEGMENT,
                &[large.clone(), put(1), Snapshot, large.clone(), large.clone(), Snapshot, put(2), Snapshot, put(3)],
            ),
            Self::new("reopening", STRICT, ROOMY_SEGMENT, &[put(1), Reopen, put(2), Reopen, Mixed]),
            Self::new("killed", STRICT, ROOMY_SEGMENT, &[put(1), put(2), Kill, put(3), Kill, put(4)]),
            Self::new("buffered-killed", BUFFERED, ROOMY_SEGMENT, &[put(1), Sync, put(2), Kill, put(3), Sync]),
            Self::new("failed-sync", STRICT, ROOMY_SEGMENT, &[put(1), FailSync, put(2), FailSync, put(3)]),
            Self::new(
                "killed-at-rotation",
                STRICT,
                SMALLEST_SEGMENT,
                &[large.clone(), large.clone(), Kill, large.clone(), Snapshot, Kill, large, Snapshot, put(1)],
            ),
        ]
    }

    /// A workload that bad luck writes.
    pub fn random(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let durability = if random.chance(3, 4) { STRICT } else { BUFFERED };
        let segment_bytes = if random.chance(2, 3) { SMALLEST_SEGMENT } else { ROOMY_SEGMENT };
        let steps = (0..4 + random.below(9)).map(|_| Step::random(&mut random)).collect();
        Self { name: format!("seed-{seed}"), durability, segment_bytes, steps }
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
        match random.below(20) {
            0..5 => put(key),
            5..8 => Step::Put { key, len: 200 + random.index(1800) },
            8 => Step::Delete { key },
            9..11 => Step::Mixed,
            11 => Step::Append { events: 1 + random.below(30) },
            12 => Step::BeginRun,
            13 => Step::EndRun,
            14 => Step::Sync,
            15 => Step::Tick,
            16 => Step::Snapshot,
            17 => Step::Reopen,
            18 => Step::Kill,
            _ => Step::FailSync,
        }
    }
}
