//! Snapshots of an open store: when they are taken, which are kept.
//!
//! Invariants:
//! - A snapshot is written from a cloned state while commits go on; the lock is taken to clone and to anchor, not to write.
//! - It counts from the moment when an anchor names it, which is after it was synced and read back.
//! - The two newest are kept. An older one goes only then, and only while nobody reads pages from it.

use alloc::vec::Vec;
use core::ops::ControlFlow;

use super::{
    Db,
    segments::check_number,
    shared::{Core, Shared},
};
pub use crate::snapshot::SnapshotInfo;
use crate::{
    Error, Result,
    log::{LogPosition, parse_snapshot_name, snapshot_name},
    planted::{self, Planted},
    snapshot::{self, SnapshotMeta},
    storage::{Storage, StorageError, StorageFile},
    sync::MutexGuard,
};

/// At a clean close a snapshot pays once this much log has come since the last one: reading it would take longer than
/// opening from the snapshot.
const CLOSING_SNAPSHOT_LOG_BYTES: u64 = 4 << 20;

/// Many small commits take longer to fold than as many bytes of large ones: so many of them take about a millisecond or two.
const CLOSING_SNAPSHOT_COMMITS: u64 = 1_000;

/// For the sake of commits alone a snapshot at a close is written only where it is no larger than so many times the log that it
/// stands for: a large store that is opened for a handful of commits must not be written anew each time.
const CLOSING_SNAPSHOT_SIZE: u64 = 4;

/// How many snapshots are kept. The older one costs space and saves the day when the newer one is damaged.
const KEPT: usize = 2;

impl<S: Storage> Db<S> {
    /// Writes a snapshot now, while commits go on, and returns when it is on stable media and was read back. The next
    /// opening begins from it instead of from the log's beginning.
    ///
    /// Fails with [`Error::Unsupported`] for a store in memory, and with `StorageFull` where there is no room: then
    /// nothing has changed.
    pub fn snapshot(&self) -> Result<SnapshotInfo> {
        self.snapshot_with(&mut |_, _| ControlFlow::Continue(()))
    }

    /// [`Db::snapshot`] with progress in bytes; stops with [`Error::Cancelled`] where the callback says so.
    pub fn snapshot_with(&self, progress: &mut dyn FnMut(u64, u64) -> ControlFlow<()>) -> Result<SnapshotInfo> {
        self.shared().snapshot_with(progress)
    }
}

/// The right to write and remove snapshots, until it is dropped.
struct SnapshotTurn<'a, S: Storage>(&'a Shared<S>);

impl<S: Storage> Drop for SnapshotTurn<'_, S> {
    fn drop(&mut self) {
        self.0.lock().snapshotting = false;
        self.0.wake_all();
    }
}

impl<S: Storage> Shared<S> {
    /// Whether enough log has come since the last snapshot.
    pub(crate) fn is_snapshot_due(&self, core: &Core) -> bool {
        let Some(threshold) = self.options.snapshot_log_bytes else { return false };
        !core.closed && core.log_bytes - core.log_bytes_at_snapshot >= threshold
    }

    pub(crate) fn is_closing_snapshot_due(&self, core: &Core) -> bool {
        let log = core.log_bytes - core.log_bytes_at_snapshot;
        let commits = core.engine.working_state().seq().saturating_sub(core.snapshot_seq);
        let pays = || {
            commits >= CLOSING_SNAPSHOT_COMMITS && log.saturating_mul(CLOSING_SNAPSHOT_SIZE) >= self.newest_size(core)
        };
        self.options.snapshot_on_close && (log >= CLOSING_SNAPSHOT_LOG_BYTES || pays())
    }

    /// Bytes of the newest snapshot; 0 where there is none, or where it cannot be looked at.
    fn newest_size(&self, core: &Core) -> u64 {
        let newest = core.anchor.and_then(|anchor| anchor.newest_snapshot);
        let file = newest.and_then(|generation| self.files.snapshot(&self.storage, generation).ok());
        file.and_then(|file| file.len().ok()).unwrap_or(0)
    }

    /// A snapshot that nobody asked for by name. It may fail (for want of space, say) without harm to the commit that
    /// happened to trigger it: the log has everything. [`Db::stats`] tells of it.
    pub(crate) fn snapshot_in_passing(&self) {
        self.with_snapshot_turn(|core| {
            // Several commits may have found it due together, and one of them has written it by now.
            if self.is_snapshot_due(&core)
                && core.engine.check_usable().is_ok()
                && let Err(error) = self.write_snapshot(core, &mut |_, _| ControlFlow::Continue(()))
            {
                self.metrics.failed_snapshot(&error);
            }
        });
    }

    pub(crate) fn snapshot(&self) -> Result<SnapshotInfo> {
        self.snapshot_with(&mut |_, _| ControlFlow::Continue(()))
    }

    fn snapshot_with(&self, progress: &mut dyn FnMut(u64, u64) -> ControlFlow<()>) -> Result<SnapshotInfo> {
        if self.is_in_memory() {
            return Err(Error::Unsupported {
                what: "a snapshot",
                why: "the store was opened in memory; open it buffered or strict".into(),
            });
        }
        self.check_writable("a snapshot")?;
        self.check_process()?;
        self.with_snapshot_turn(|core| {
            core.engine.check_usable()?;
            if core.closed {
                return Err(super::closed("a snapshot"));
            }
            self.write_snapshot(core, progress)
        })
    }

    /// Does `work` while nobody else writes or removes snapshots: two at once would name each other's files in the anchor.
    /// The turn ends also where `work` panics, in a callback of the caller: whoever closes the store waits for it.
    ///
    /// Nobody is woken before the turn is over, although what was synced for the snapshot shows earlier: whoever is woken here
    /// may close the store, or hold its last handle, and closing would wait for the turn of its own thread.
    pub(crate) fn with_snapshot_turn<R>(&self, work: impl FnOnce(MutexGuard<'_, Core>) -> R) -> R {
        let _delivering = self.feed.delivering();
        let mut core = self.lock();
        while core.snapshotting {
            core = self.wait(core);
        }
        core.snapshotting = !planted::active(Planted::TwoSnapshots);
        let _turn = SnapshotTurn(self);
        work(core)
    }

    fn write_snapshot<'a>(
        &'a self,
        mut core: MutexGuard<'a, Core>,
        progress: &mut dyn FnMut(u64, u64) -> ControlFlow<()>,
    ) -> Result<SnapshotInfo> {
        // The log must have what the snapshot has, or a crash would leave a snapshot from the future. Each wait lets others
        // write, rotate and fail: a flush that failed meanwhile leaves frames in the log that are not in the state, and a
        // snapshot that names a place behind them has lost them for good.
        loop {
            if !planted::active(Planted::FailureNotSeenBySnapshot) {
                core.engine.check_usable()?;
            }
            if core.flushing || core.exclusive {
                core = self.wait(core);
            } else if core.engine.is_dirty() && !planted::active(Planted::SnapshotOfTheFuture) {
                let seq = core.engine.working_state().seq();
                core = self.wait_durable_locked(core, seq)?;
            } else if let Some(needed) = core.engine.first_segment_needed() {
                // An anchor names segments, and a snapshot a place in one: a store that has none yet gets its first.
                core = self.make_space(core, &needed)?;
            } else if self.is_only_anchor_next(&core) {
                // It is made anew before the next one, and for a moment there is none: a death then must not leave a snapshot that
                // nothing vouches for.
                self.write_anchor(&mut core, |_| {})?;
            } else {
                break;
            }
        }
        let state = core.engine.working_state().clone();
        let log = core.engine.log_end().or_else(|| {
            core.engine.previous_segment().map(|last| LogPosition { segment: last.segment, offset: last.valid_len })
        });
        let generation = core.next_generation;
        check_number("snapshots of this store", generation)?;
        core.next_generation += 1;
        let log_bytes = core.log_bytes;
        let meta = SnapshotMeta {
            store: core.engine.store(),
            generation,
            time_micros: self.host.now_micros(),
            seq: state.seq(),
            log,
            epoch: core.engine.epoch(),
        };
        drop(core);
        self.check_place()?;
        let name = snapshot_name(generation);
        let file = self.files.with_handle(|| self.storage.create(&name))?;
        let written = snapshot::write(&file, &state, &meta, self, progress);
        drop(file);
        let info = match written {
            Ok(info) => info,
            Err(error) => {
                self.discard_snapshot(&name);
                return Err(error);
            }
        };
        // Writing it took a while, and the anchor goes over one that somebody else may rely on by now.
        self.check_place()?;
        let mut core = self.lock();
        let ready = match planted::active(Planted::FailureNotSeenBySnapshot) {
            true => Ok(()),
            // A store that has failed meanwhile writes no more.
            false => core.engine.check_usable(),
        };
        if let Err(error) = ready.and_then(|()| self.make_room_for_anchor(&mut core)) {
            drop(core);
            self.discard_snapshot(&name);
            return Err(error);
        }
        let before = core.anchor.and_then(|anchor| anchor.newest_snapshot);
        let named = self.name_snapshot(&mut core, generation, log);
        if named.is_err() {
            // It is whole, and perhaps an anchor that names it has reached the disk after all: it goes when the next anchor
            // is written, behind the emptying of that slot.
            core.garbage.push(name);
        }
        named?;
        self.remove_log_before(&core);
        (core.log_bytes_at_snapshot, core.snapshot_seq) = (log_bytes, meta.seq);
        let let_go = self.let_go_of_snapshots_before(&mut core, before);
        drop(core);
        // Where the older anchor could not be written, it may still be on the medium with the snapshot that it names.
        if let_go.is_ok() {
            self.remove_old_snapshots();
        }
        Ok(info)
    }

    /// Writes the anchor that makes a snapshot count.
    fn name_snapshot(&self, core: &mut Core, generation: u64, log: Option<LogPosition>) -> Result<()> {
        if planted::active(Planted::SnapshotWithoutAnchor) {
            return Ok(());
        }
        self.write_anchor(core, |anchor| {
            anchor.newest_snapshot = Some(generation);
            if planted::active(Planted::LogKeptFromNewerSnapshot) {
                anchor.oldest_segment = log.map_or(anchor.oldest_segment, |log| log.segment);
            }
        })
    }

    /// Writes the other anchor too where that names a snapshot older than `before`, the newest one until now: which it does where each
    /// process writes one snapshot and no more, because each begins with the slot of the newest anchor. Every snapshot since
    /// would have to stay for it, for ever.
    fn let_go_of_snapshots_before(&self, core: &mut Core, before: Option<u64>) -> Result<()> {
        let other = core.anchors.get(core.anchor_slot.index()).copied().flatten();
        let is_older = other.is_some_and(|other| other.newest_snapshot.is_some() && other.newest_snapshot < before);
        if is_older && !planted::active(Planted::SnapshotWithoutAnchor) {
            self.write_anchor(core, |_| {})
        } else {
            Ok(())
        }
    }

    /// Removes all but the two newest snapshots, oldest first, but for those that the present state or a checkpoint reads, and
    /// those not older than what an anchor names.
    /// One that was never finished, because a process died while it wrote it, does not count as one of the two. What
    /// cannot be removed is garbage, and is tried again next time.
    fn remove_old_snapshots(&self) {
        // Before the pins are taken: whoever has the store's lock may wait for them.
        let named = self.oldest_named();
        let pinned = self.pinned();
        let Ok(names) = self.storage.list() else { return };
        let mut generations: Vec<u64> = names.iter().filter_map(|name| parse_snapshot_name(name)).collect();
        generations.sort_unstable();
        let (unfinished, finished): (Vec<u64>, Vec<u64>) =
            generations.into_iter().partition(|generation| self.is_unfinished(*generation));
        let kept = if planted::active(Planted::OneSnapshotKept) { 1 } else { KEPT };
        let old = finished.len().saturating_sub(kept);
        let mut oldest_first = finished;
        if planted::active(Planted::NewestSnapshotRemoved) {
            oldest_first.reverse();
        }
        // An anchor that names it may be all that the next power failure leaves.
        let may_go = |generation: &u64| named.is_none_or(|named| *generation < named);
        for generation in unfinished.into_iter().chain(oldest_first.into_iter().take(old).filter(may_go)) {
            let loaded = self.loaded_generation == Some(generation) && !planted::active(Planted::LoadedSnapshotRemoved);
            if loaded || pinned.contains_key(&generation) {
                continue;
            }
            self.files.forget_snapshot(generation);
            let _ = self.storage.remove(&snapshot_name(generation));
        }
    }

    /// The older of the snapshots that the two anchors name. The next opening writes over the newer anchor first, and a power
    /// failure in that moment leaves the other: what that names is then missed, and the newer snapshots are not counted.
    fn oldest_named(&self) -> Option<u64> {
        if planted::active(Planted::OneSnapshotKept) || planted::active(Planted::NewestSnapshotRemoved) {
            return None;
        }
        let anchors = self.lock().anchors;
        anchors.iter().flatten().filter_map(|anchor| anchor.newest_snapshot).min()
    }

    /// What [`Planted::LogKeptFromNewerSnapshot`] does: a plan for the log that only the newest snapshot needs.
    fn remove_log_before(&self, core: &Core) {
        let Some(anchor) = core.anchor.filter(|_| planted::active(Planted::LogKeptFromNewerSnapshot)) else { return };
        let names = self.storage.list().unwrap_or_default();
        for name in names
            .iter()
            .filter(|name| crate::log::parse_segment_name(name).is_some_and(|number| number < anchor.oldest_segment))
        {
            let _ = self.storage.remove(name);
        }
    }

    /// Whether the file of a snapshot was never finished.
    pub(crate) fn is_unfinished(&self, generation: u64) -> bool {
        self.storage.open(&snapshot_name(generation)).is_ok_and(|file| snapshot::is_unfinished(&file))
    }

    /// Zeroes the header of a snapshot that no anchor names (rule F-51). It may be torn; once a newer snapshot is named it
    /// would pass for a good one that has rotted, and be kept in the place of one.
    pub(super) fn wipe_snapshot(&self, name: &str) -> Result<()> {
        match self.storage.open(name) {
            Ok(file) if snapshot::is_unfinished(&file) => Ok(()),
            Ok(file) => snapshot::wipe(&file),
            Err(StorageError::Missing { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// A snapshot could not be written or named: what there is of it goes at once, because the disk may be full. Where not even that
    /// is possible, it goes before the next anchor.
    fn discard_snapshot(&self, name: &str) {
        if self.wipe_snapshot(name).is_err() {
            self.lock().garbage.push(name.into());
            return;
        }
        let _ = self.storage.remove(name);
    }
}
