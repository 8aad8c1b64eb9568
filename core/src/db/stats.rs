//! Figures about an open store.

use alloc::{collections::BTreeMap, vec::Vec};
use core::sync::atomic::Ordering;

use super::{
    Db,
    metrics::{SnapshotFailures, SyncTimes},
};
use crate::{
    Result, StoreId,
    log::{parse_segment_name, parse_snapshot_name},
    storage::{Storage, StorageError, StorageFile},
};

/// Figures about an open store, as of one moment. Counters count from its opening.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Stats {
    /// The store's id.
    pub store: alloc::string::String,
    /// Seq of the newest commit.
    pub seq: u64,
    /// Seq of the newest commit on stable media.
    pub durable_seq: u64,
    /// The open epoch: how many processes have written to the store.
    pub epoch: u64,
    /// Runs, ended ones included.
    pub runs: u64,
    /// Entries of the trees of all spaces.
    pub entries: u64,
    /// Bytes that the resident parts of the trees take in memory. A run that nobody has asked for since the store was opened is counted as
    /// if somebody had.
    pub tree_bytes: u64,
    /// Idempotency keys remembered.
    pub idempotency_keys: u64,
    /// Commits.
    pub commits: u64,
    /// Commits that failed validation.
    pub conflicts: u64,
    /// Transactions that were run again.
    pub retries: u64,
    /// Bytes buffered and not handed to the system yet.
    pub pending_bytes: u64,
    /// How long syncs took.
    pub syncs: SyncTimes,
    /// The segments of the log.
    pub segments: Vec<SegmentStats>,
    /// Bytes of all segments.
    pub log_bytes: u64,
    /// Generation and bytes of the snapshots.
    pub snapshots: Vec<(u64, u64)>,
    /// Automatic snapshots that failed.
    pub snapshot_failures: SnapshotFailures,
}

/// Figures about one segment of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct SegmentStats {
    /// Its number.
    pub number: u64,
    /// Length of its file.
    pub bytes: u64,
    /// Bytes of values and events in it that are still referred to. Small values live in the trees and do not count.
    pub live_bytes: u64,
}

impl<S: Storage> Db<S> {
    /// Figures about the store. Walks the trees' inner nodes and lists the files.
    pub fn stats(&self) -> Result<Stats> {
        let shared = self.shared();
        let view = self.view();
        let state = view.folded();
        let (durable_seq, pending_bytes, store): (u64, usize, StoreId) = {
            let core = shared.lock();
            (core.engine.durable_seq(), core.engine.pending_bytes(), core.engine.store())
        };
        let (mut entries, mut tree_bytes, mut live) = (0, 0, BTreeMap::new());
        // One walk: a run that nobody has asked for is built for it, and dropped.
        state.look_at_spaces(&mut |space| {
            entries += space.tree().len();
            tree_bytes += space.tree().memory_bytes();
            space.add_live(&mut live);
        });
        let (mut segments, mut snapshots) = (Vec::new(), Vec::new());
        for name in shared.storage.list()? {
            let (segment, generation) = (parse_segment_name(&name), parse_snapshot_name(&name));
            if segment.is_none() && generation.is_none() {
                continue;
            }
            let bytes = match shared.storage.open(&name) {
                Ok(file) => file.len()?,
                // Removed since it was listed: an old snapshot, or a segment for which there was no room.
                Err(StorageError::Missing { .. }) => continue,
                Err(error) => return Err(error.into()),
            };
            if let Some(number) = segment {
                segments.push(SegmentStats { number, bytes, live_bytes: live.get(&number).copied().unwrap_or(0) });
            }
            snapshots.extend(generation.map(|generation| (generation, bytes)));
        }
        crate::order::sort_by(&mut segments, |left, right| left.number.cmp(&right.number));
        crate::order::sort_by(&mut snapshots, Ord::cmp);
        Ok(Stats {
            store: alloc::format!("{store}"),
            seq: state.seq(),
            durable_seq,
            epoch: shared.epoch(),
            runs: state.run_count() as u64,
            entries,
            tree_bytes,
            idempotency_keys: state.idempotency_keys() as u64,
            commits: shared.metrics.commits.load(Ordering::Relaxed),
            conflicts: shared.metrics.conflicts.load(Ordering::Relaxed),
            retries: shared.metrics.retries.load(Ordering::Relaxed),
            pending_bytes: pending_bytes as u64,
            syncs: shared.metrics.sync_times(),
            log_bytes: segments.iter().map(|segment| segment.bytes).sum(),
            segments,
            snapshots,
            snapshot_failures: shared.metrics.snapshot_failures(),
        })
    }
}
