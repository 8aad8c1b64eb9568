//! Committing: the path from a transaction to a receipt, and group commit.
//!
//! Nobody spawns a thread for it. Whoever needs durability becomes the leader (takes everything that is pending, one
//! write, one sync, publishes, wakes the rest) or waits for one.
//!
//! Invariants:
//! - Between the lock's release and the end of a flush exactly one thread writes; everyone else waits or goes on.
//! - A failed write or sync poisons the engine before anybody is woken, so nobody takes a failure for a success.

use alloc::{string::ToString, sync::Arc, vec::Vec};

use super::{
    Durability,
    shared::{Core, Shared},
};
use crate::{
    Error, ErrorKind, Result,
    engine::{Batch, Outcome, Prepared},
    planted::{self, Planted},
    state::{Appended, State},
    storage::{Storage, StorageFile},
    sync::{MutexGuard, Ordering},
    transaction::{ReadSet, WriteSet},
};

/// What a commit is answered with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Receipt {
    /// Seq of the commit: its place in the order of all commits of the store.
    pub seq: u64,
    /// Whether it is on stable media already. If not, [`Db::wait_durable`](crate::Db::wait_durable) waits for it.
    pub durable: bool,
    /// Whether the idempotency key was seen before: `seq` is that of the earlier commit and nothing was done now.
    pub deduplicated: bool,
}

/// A transaction on its way to the engine.
pub(crate) struct Request<'a> {
    pub(crate) base: Option<Arc<State>>,
    pub(crate) reads: &'a ReadSet,
    pub(crate) writes: &'a WriteSet,
    pub(crate) durability: Durability,
}

/// From so many writes on a strict transaction is applied after its sync instead of before.
const DEFERRED_WRITES_MIN: usize = 64;

/// How much more than `bytes` may be buffered before a committer has to hand it over itself.
const BACKPRESSURE: usize = 8;

impl<S: Storage> Shared<S> {
    /// Commits, and waits for stable media where the durability asks for it.
    pub(crate) fn commit(&self, request: Request<'_>) -> Result<(Receipt, Vec<Appended>)> {
        self.check_process()?;
        let strict = request.durability == Durability::Strict && !self.is_in_memory();
        let now = self.host.now_micros();
        let deferred = strict && request.writes.writes().len() >= DEFERRED_WRITES_MIN;
        let mut core = self.lock();
        let mut prepared =
            Prepared { base: request.base, reads: request.reads, writes: request.writes, strict, deferred };
        let outcome = loop {
            if core.closed {
                return Err(super::closed());
            }
            if core.exclusive || (deferred && core.flushing) {
                core = self.wait(core);
                continue;
            }
            self.before_commit(&core, strict && !deferred && !planted::active(Planted::ShownBeforeDurable));
            match core.engine.commit(&mut prepared, now, self) {
                Ok(Outcome::Needs(needed)) => core = self.make_space(core, &needed)?,
                Ok(outcome) => break outcome,
                Err(error) => {
                    self.metrics.failed_commit(&error);
                    if error.kind() == ErrorKind::Conflict {
                        self.wait_until_all_shows(core);
                    }
                    return Err(error);
                }
            }
        };
        let (seq, appended, deduplicated) = match outcome {
            Outcome::Committed { seq, appended } => (seq, appended, false),
            Outcome::Deduplicated { seq } => (seq, Vec::new(), true),
            Outcome::Empty { seq } => return Ok((self.receipt(&core, seq, false), Vec::new())),
            Outcome::Deferred { seq } => return self.commit_deferred(core, seq),
            Outcome::Needs(_) => return Err(super::closed()),
        };
        if !deduplicated {
            self.metrics.commits.fetch_add(1, Ordering::Relaxed);
            self.after_commit(&core);
        }
        let core = if strict {
            self.wait_durable_locked(core, seq)?
        } else {
            // It is applied and buffered already: what fails now leaves it open whether it survives.
            self.hand_over_if_much(core).map_err(|error| Error::OutcomeUnknown { seq, cause: error.to_string() })?
        };
        Ok((self.answer(core, seq, deduplicated), appended))
    }

    /// After a conflict: waits until the commit that was lost to can be read. Before its sync returns it does not show, and
    /// whoever begins again reads what is out of date once more.
    fn wait_until_all_shows(&self, core: MutexGuard<'_, Core>) {
        let hidden = core.engine.strict_seq();
        // Where that fails the handle is poisoned, and the next commit says so.
        drop(self.wait_durable_locked(core, hidden));
    }

    /// Writes and syncs a large strict transaction first and applies it afterwards. Applied before, it would have to
    /// leave alone every node that readers may still see, and copy it; applied after, it changes them in place. Nobody
    /// else commits meanwhile: they would not see it.
    fn commit_deferred(&self, mut core: MutexGuard<'_, Core>, seq: u64) -> Result<(Receipt, Vec<Appended>)> {
        core.exclusive = !planted::active(Planted::NotExclusive);
        core.flushing = true;
        let batch = core.engine.take_pending();
        drop(core);

        let written = match &batch {
            Some(batch) => self.write_batch(batch.segment, Some(batch), !planted::active(Planted::ManyWithoutSync)),
            None => Err(super::closed()),
        };

        let mut core = self.lock();
        core.exclusive = false;
        core.flushing = false;
        if let Err(error) = &written {
            core.engine.poison(error);
        }
        self.wake_all();
        let unknown = |error: Error| Error::OutcomeUnknown { seq, cause: error.to_string() };
        written.map_err(unknown)?;
        let Some(batch) = batch else { return Err(super::closed()) };
        // Nobody has asked for the state since, or somebody has: then the nodes that are shared are copied.
        self.before_commit(&core, false);
        let appended = core.engine.apply_deferred(&batch, self).map_err(unknown)?;
        core.log_bytes += batch.bytes.len() as u64;
        core.engine.wrote(batch);
        core.engine.synced(seq);
        self.after_sync(&core, None);
        self.metrics.commits.fetch_add(1, Ordering::Relaxed);
        Ok((self.answer(core, seq, false), appended))
    }

    /// The receipt of a commit that is done, after the snapshot that it may have brought about.
    fn answer(&self, core: MutexGuard<'_, Core>, seq: u64, deduplicated: bool) -> Receipt {
        let receipt = self.receipt(&core, seq, deduplicated);
        let snapshot_due = !core.snapshotting && self.is_snapshot_due(&core);
        drop(core);
        if snapshot_due {
            self.snapshot_in_passing();
        }
        receipt
    }

    fn receipt(&self, core: &Core, seq: u64, deduplicated: bool) -> Receipt {
        let durable = !self.is_in_memory() && seq <= core.engine.durable_seq();
        Receipt { seq, durable, deduplicated }
    }

    /// Buffered mode: hands the buffer to the system when enough has come together. The timer does it earlier.
    fn hand_over_if_much<'a>(&'a self, core: MutexGuard<'a, Core>) -> Result<MutexGuard<'a, Core>> {
        let limit = match self.options.durability {
            Durability::Buffered { bytes, .. } => bytes,
            // A single commit asked for less than the store's mode; the next strict one or the timer takes it along.
            _ => return Ok(core),
        };
        let pending = core.engine.pending_bytes();
        if pending < limit || (core.flushing && pending < limit.saturating_mul(BACKPRESSURE)) {
            return Ok(core);
        }
        let mut core = core;
        while core.flushing {
            core = self.wait(core);
        }
        if core.engine.pending_bytes() < limit {
            return Ok(core);
        }
        self.flush(core, false)
    }

    /// Waits until a seq is on stable media, leading the flush where nobody else does.
    pub(crate) fn wait_durable_locked<'a>(
        &'a self,
        mut core: MutexGuard<'a, Core>,
        seq: u64,
    ) -> Result<MutexGuard<'a, Core>> {
        loop {
            if core.engine.durable_seq() >= seq || planted::active(Planted::AcknowledgedEarly) {
                return Ok(core);
            }
            if let Err(Error::Poisoned { cause }) = core.engine.check_usable() {
                return Err(Error::OutcomeUnknown { seq, cause });
            }
            if core.flushing {
                core = self.wait(core);
                if planted::active(Planted::ForeignSyncTrusted) {
                    return Ok(core);
                }
                continue;
            }
            core = self.flush(core, true).map_err(|error| Error::OutcomeUnknown { seq, cause: error.to_string() })?;
        }
    }

    /// Writes what is pending, and syncs. The lock is released meanwhile, so that others can commit into the next batch.
    /// The caller has seen that nobody else is flushing.
    pub(crate) fn flush<'a>(&'a self, mut core: MutexGuard<'a, Core>, sync: bool) -> Result<MutexGuard<'a, Core>> {
        core.engine.check_usable()?;
        let Some((segment, _)) = core.engine.active_segment() else { return Ok(core) };
        core.flushing = true;
        let batch = core.engine.take_pending();
        let seq = core.engine.logged_seq();
        let state = (core.engine.strict_seq() > core.engine.durable_seq()).then(|| core.engine.working_state().clone());
        drop(core);

        let result = self.write_batch(segment, batch.as_ref(), sync);

        let mut core = self.lock();
        let seq = if planted::active(Planted::SyncCoversTooMuch) { core.engine.logged_seq() } else { seq };
        core.flushing = false;
        if result.is_err() && planted::active(Planted::PoisonedTooLate) {
            self.wake_all();
            drop(core);
            core = self.lock();
        }
        match &result {
            Ok(()) => {
                if let Some(batch) = batch {
                    core.log_bytes += batch.bytes.len() as u64;
                    core.engine.wrote(batch);
                }
                if sync || planted::active(Planted::HandedOverCountsAsDurable) {
                    core.engine.synced(seq);
                    self.after_sync(&core, state);
                }
            }
            Err(error) => core.engine.poison(error),
        }
        self.wake_all();
        result.map(|()| core)
    }

    fn write_batch(&self, segment: u64, batch: Option<&Batch>, sync: bool) -> Result<()> {
        let file = self.files.segment(&self.storage, segment)?;
        if let Some(batch) = batch {
            let written = file.write_at(batch.offset, &batch.bytes);
            if !planted::active(Planted::FailedWriteIgnored) {
                written?;
            }
            self.files.handed_over.advance(batch.segment, batch.offset + batch.bytes.len() as u64);
        }
        if sync && !planted::active(Planted::CommitWithoutSync) {
            let before = self.host.now_micros();
            let synced = file.sync();
            match planted::active(Planted::SyncTriedAgain) {
                true => synced.or_else(|_| file.sync())?,
                false => synced?,
            }
            self.metrics.synced(self.host.now_micros().saturating_sub(before));
            self.check_place_now_and_then()?;
        }
        Ok(())
    }

    /// A barrier: everything committed so far is on stable media when it returns.
    pub(crate) fn sync(&self) -> Result<u64> {
        self.check_process()?;
        let core = self.lock();
        let seq = core.engine.working_state().seq();
        core.engine.check_usable()?;
        if self.is_in_memory() || !core.engine.is_dirty() || planted::active(Planted::BarrierWithoutSync) {
            return Ok(seq);
        }
        self.wait_durable_locked(core, seq).map(|_| seq)
    }

    /// What the timer calls: syncs what is buffered, and writes a mark once everything is durable and the store idle.
    /// Returns whether there was anything to do. A failure poisons the store and shows at the next commit.
    pub(crate) fn tick(&self) -> Result<bool> {
        self.check_process()?;
        let is_over = |core: &Core| core.closed || core.engine.check_usable().is_err();
        if self.is_in_memory() || is_over(&self.lock()) {
            return Ok(false);
        }
        self.check_place()?;
        let core = self.lock();
        if is_over(&core) || core.flushing {
            return Ok(false);
        }
        if core.engine.is_dirty() {
            return self.flush(core, !planted::active(Planted::TimerWithoutSync)).map(|_| true);
        }
        if core.engine.is_marked() {
            return Ok(false);
        }
        self.mark(core).map(|_| true)
    }

    /// Writes a mark frame and syncs it. Everything is durable already: the mark only says so.
    pub(crate) fn mark<'a>(&'a self, mut core: MutexGuard<'a, Core>) -> Result<MutexGuard<'a, Core>> {
        loop {
            while core.flushing {
                core = self.wait(core);
            }
            match core.engine.mark()? {
                None => return self.flush(core, true),
                Some(needed) => core = self.make_space(core, &needed)?,
            }
        }
    }
}
