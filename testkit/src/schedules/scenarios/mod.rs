//! The scenarios, by what they are about.

mod commits;
mod endings;
mod failures;
mod readers;
mod snapshots;
mod subscribers;

use super::Scenario;

/// All of them.
pub const SCENARIOS: &[Scenario] = &[
    commits::STRICT_COMMITS,
    commits::FAILED_SYNC,
    commits::FAILED_WRITE,
    commits::BUFFERED_COMMITS,
    commits::RELAXED_COMMITS,
    commits::BOTH_SORTS,
    commits::LARGE_BESIDE_SMALL,
    commits::LARGE_FAILS,
    commits::CONTENTION,
    commits::DECISIONS,
    commits::ONE_KEY,
    commits::SEEN,
    commits::ROTATION,
    commits::FULL_DISK,
    failures::CALLS_BESIDE_A_FAILURE,
    readers::MONOTONIC_READERS,
    readers::LOG_RESIDENT_VALUES,
    readers::REPLAY_AND_VERIFY,
    readers::ABSENT_LEAVES,
    snapshots::SNAPSHOT_DURING_COMMITS,
    snapshots::SNAPSHOTS_IN_PASSING,
    snapshots::OLD_FILES_GO,
    snapshots::CHECKPOINT,
    endings::CLOSE_AND_TICK,
    endings::WAIT_DURABLE_AND_POISON,
    endings::TICKS,
    subscribers::SUBSCRIBERS,
    subscribers::TASKS,
];
