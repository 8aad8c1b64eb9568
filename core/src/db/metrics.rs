//! Counters of an open store. They are for people and dashboards; nothing decides by them.

use core::sync::atomic::{AtomicU64, Ordering};
use std::{
    string::{String, ToString as _},
    sync::{Mutex, PoisonError},
    vec::Vec,
};

use crate::{Error, ErrorKind};

/// Syncs are counted by the power of two of their microseconds.
const BUCKETS: usize = 24;

#[derive(Debug, Default)]
pub(crate) struct Metrics {
    pub(crate) commits: AtomicU64,
    pub(crate) conflicts: AtomicU64,
    pub(crate) retries: AtomicU64,
    pub(crate) syncs: AtomicU64,
    sync_micros: AtomicU64,
    buckets: [AtomicU64; BUCKETS],
    snapshot_failures: Mutex<SnapshotFailures>,
}

impl Metrics {
    /// A snapshot that nobody waits for has failed: else nobody would ever know.
    pub(crate) fn failed_snapshot(&self, error: &Error) {
        let mut failures = self.snapshot_failures.lock().unwrap_or_else(PoisonError::into_inner);
        failures.count += 1;
        failures.last = Some(error.to_string());
    }

    pub(crate) fn snapshot_failures(&self) -> SnapshotFailures {
        self.snapshot_failures.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn synced(&self, micros: u64) {
        self.syncs.fetch_add(1, Ordering::Relaxed);
        self.sync_micros.fetch_add(micros, Ordering::Relaxed);
        let bucket = usize::try_from(u64::BITS - micros.leading_zeros()).unwrap_or(BUCKETS);
        if let Some(bucket) = self.buckets.get(bucket.min(BUCKETS - 1)) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn failed_commit(&self, error: &Error) {
        if error.kind() == ErrorKind::Conflict {
            self.conflicts.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn sync_times(&self) -> SyncTimes {
        let mut le_micros = Vec::new();
        for (power, bucket) in (0u32..).zip(&self.buckets) {
            let count = bucket.load(Ordering::Relaxed);
            if count > 0 {
                le_micros.push((1u64 << power, count));
            }
        }
        SyncTimes {
            count: self.syncs.load(Ordering::Relaxed),
            total_micros: self.sync_micros.load(Ordering::Relaxed),
            histogram: le_micros,
        }
    }
}

/// Automatic snapshots that could not be written since the store was opened. The commits that made them due are safe in the log, but
/// the log grows, and the next opening takes longer, until one succeeds.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct SnapshotFailures {
    /// How many there were.
    pub count: u64,
    /// What the last one failed with, in words; `None` where there was none.
    pub last: Option<String>,
}

/// How long the syncs of a store have taken since it was opened.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct SyncTimes {
    /// How many there were.
    pub count: u64,
    /// Microseconds in all of them.
    pub total_micros: u64,
    /// Upper bound in microseconds (a power of two) and number of syncs below it, without empty buckets.
    pub histogram: Vec<(u64, u64)>,
}
