//! Committing: the path from a transaction to a receipt, and group commit.
//!
//! Nobody spawns a thread for it. Whoever needs durability becomes the leader (takes everything that is pending, one
//! write, one sync, publishes, wakes the rest) or waits for one.
//!
//! Invariants:
//! - Between the lock's release and the end of a flush exactly one thread writes and syncs; everyone else waits or goes on. A
//!   relaxed commit writes under the lock (see `hand_over`), also while that thread syncs, and never while it writes.
//! - A failed write or sync poisons the engine before anybody is woken, so nobody takes a failure for a success.

use alloc::{string::ToString, sync::Arc, vec::Vec};

use super::{
    AppendedEvents, Attempts, Durability, Receipt,
    shared::{Core, Shared},
};
use crate::{
    Error, ErrorKind, Result,
    engine::{Batch, Outcome, Prepared},
    live::Announced,
    planted::{self, Planted},
    state::State,
    storage::{Storage, StorageFile},
    sync::{MutexGuard, Ordering},
    transaction::{ReadSet, WriteSet},
};

/// A transaction on its way to the engine.
pub(crate) struct Request<'a, 't> {
    pub(crate) base: Option<Arc<State>>,
    pub(crate) reads: &'a ReadSet,
    pub(crate) writes: &'a WriteSet,
    pub(crate) durability: Durability,
    /// Of a closure that may run again.
    pub(crate) attempts: Option<&'a mut Attempts<'t>>,
    /// Whoever has asked does not wait here: a strict commit returns before its sync, which whoever calls this sees to, as to
    /// a snapshot that is due.
    pub(crate) is_awaited: bool,
    /// Also where there are no attempts: after a conflict it runs again.
    pub(crate) may_run_again: bool,
}

/// From so many writes on a strict transaction is applied after its sync instead of before.
const DEFERRED_WRITES_MIN: usize = 64;

/// So many calls of the timer may go by without an anchor while there are commits: what an anchor does not speak of yet has its
/// only witnesses in the segment that it is in.
const BUSY_TICKS_MAX: u32 = 16;

impl<S: Storage> Shared<S> {
    /// Commits, and waits for stable media where the durability asks for it.
    pub(crate) fn commit(&self, request: Request<'_, '_>) -> Result<Receipt> {
        if self.reader.is_some() {
            return self.commit_nothing(&request);
        }
        self.check_process()?;
        let _delivering = self.feed.delivering();
        let strict = request.durability == Durability::Strict && !self.is_in_memory();
        let relaxed = matches!(request.durability, Durability::Relaxed { .. }) && !self.is_in_memory();
        let now = self.host.now_micros();
        let deferred = strict && !request.is_awaited && request.writes.len() >= DEFERRED_WRITES_MIN;
        let mut attempts = request.attempts;
        if !attempts.as_ref().is_some_and(|attempts| attempts.has_turn()) {
            self.turns.pass_gate();
        }
        let mut core = self.lock();
        let mut prepared =
            Prepared { base: request.base, reads: request.reads, writes: request.writes, strict, deferred };
        let (outcome, announced) = loop {
            if core.closed || core.closing {
                return Err(super::closed("a write"));
            }
            if core.exclusive || (deferred && core.flushing) {
                core = self.wait(core);
                continue;
            }
            if relaxed && core.is_write_under_way() && !planted::active(Planted::WrittenBeforeThoseBefore) {
                core = self.wait_for_write(core);
                continue;
            }
            self.before_commit(&core, strict && !deferred && !planted::active(Planted::ShownBeforeDurable));
            // One that is deferred is announced when it is applied.
            let announced = if deferred { None } else { self.to_be_announced(&core, request.writes) };
            match core.engine.commit(&mut prepared, now, self) {
                Ok(Outcome::Needs(needed)) => core = self.make_space(core, &needed)?,
                Ok(outcome) => break (outcome, announced),
                Err(error) => {
                    self.end_if_poisoned(&core);
                    self.metrics.failed_commit(&error);
                    let runs_again = request.may_run_again || attempts.is_some_and(|attempts| attempts.has_next());
                    if error.kind() == ErrorKind::Conflict && !runs_again {
                        self.wait_until_all_shows(core);
                    }
                    return Err(error);
                }
            }
        };
        if let Some(attempts) = attempts.as_mut().filter(|_| !matches!(outcome, Outcome::Deferred { .. })) {
            attempts.end_turn();
        }
        let (seq, appended, deduplicated) = match outcome {
            Outcome::Committed { seq, appended } => (seq, appended, false),
            Outcome::Deduplicated { seq } => (seq, Vec::new(), true),
            Outcome::Empty { seq } => {
                let core = self.wait_until_shown_locked(core, seq)?;
                return Ok(self.receipt(&core, seq, false, Vec::new()));
            }
            Outcome::Deferred { seq } => return self.commit_deferred(core, seq, (request.writes, now)),
            Outcome::Needs(_) => return Err(super::closed("a write")),
        };
        if !deduplicated {
            self.metrics.commits.fetch_add(1, Ordering::Relaxed);
            self.announce(announced, seq, now);
            self.after_commit(&core);
        }
        let appended = AppendedEvents::of(appended, core.engine.working_state());
        let core = if strict && request.is_awaited {
            core
        } else if strict {
            self.wait_durable_locked(core, seq)?
        } else {
            // It is applied and buffered already: what fails now leaves it open whether it survives.
            let unknown = |error: Error| Error::OutcomeUnknown { seq, cause: error.to_string() };
            let core = if relaxed { self.hand_over(core).map_err(unknown)? } else { core };
            let core = self.sync_if_due(core, now, request.durability).map_err(unknown)?;
            self.hand_over_if_much(core).map_err(unknown)?
        };
        if request.is_awaited {
            return Ok(self.receipt(&core, seq, deduplicated, appended));
        }
        Ok(self.answer(core, seq, deduplicated, appended))
    }

    /// The commit of a store that only reads: of a transaction that wrote nothing, at the version that it read.
    fn commit_nothing(&self, request: &Request<'_, '_>) -> Result<Receipt> {
        if !request.writes.is_empty() || request.writes.once().is_some() {
            self.check_writable("a commit")?;
        }
        let core = self.lock();
        let seq = request.base.as_ref().map_or(core.engine.working_state().seq(), |base| base.seq());
        Ok(self.receipt(&core, seq, false, Vec::new()))
    }

    /// After a conflict: waits until the commit that was lost to can be read. Before its sync returns it does not show, and
    /// whoever begins again reads what is out of date once more.
    fn wait_until_all_shows(&self, core: MutexGuard<'_, Core>) {
        let hidden = core.engine.strict_seq();
        // Where that fails the handle is poisoned, and the next commit says so.
        drop(self.wait_durable_locked(core, hidden));
    }

    /// Waits until readers may see a version, which a closure that has run again may have seen before.
    pub(crate) fn wait_until_shown(&self, seq: u64) -> Result<()> {
        let _delivering = self.feed.delivering();
        self.wait_until_shown_locked(self.lock(), seq).map(drop)
    }

    pub(crate) fn wait_until_shown_locked<'a>(
        &'a self,
        core: MutexGuard<'a, Core>,
        seq: u64,
    ) -> Result<MutexGuard<'a, Core>> {
        // Everything up to the last strict commit shows when that is durable.
        let hidden = core.engine.strict_seq().min(seq);
        if planted::active(Planted::AnsweredBeforeItShows) {
            return Ok(core);
        }
        if self.is_in_memory() || hidden <= core.engine.durable_seq() {
            Ok(core)
        } else {
            self.wait_durable_locked(core, hidden)
        }
    }

    /// Writes and syncs a large strict transaction first and applies it afterwards. Applied before, it would have to
    /// leave alone every node that readers may still see, and copy it; applied after, it changes them in place. Nobody
    /// else commits meanwhile: they would not see it.
    fn commit_deferred(
        &self,
        mut core: MutexGuard<'_, Core>,
        seq: u64,
        (writes, now): (&WriteSet, u64),
    ) -> Result<Receipt> {
        core.exclusive = !planted::active(Planted::NotExclusive);
        core.flushing = true;
        core.sync_due = None;
        let batch = core.engine.take_pending();
        let end = core.engine.handed_out();
        drop(core);

        let written = match &batch {
            Some(batch) => self.write_batch(batch).and_then(|()| match planted::active(Planted::ManyWithoutSync) {
                false => self.sync_segment(batch.segment),
                true => Ok(()),
            }),
            None => Err(super::closed("a write")),
        };

        let mut core = self.lock();
        core.exclusive = false;
        core.flushing = false;
        match &written {
            Ok(()) => self.wake_all(),
            Err(error) => self.poison(&mut core, error),
        }
        let unknown = |error: Error| Error::OutcomeUnknown { seq, cause: error.to_string() };
        written.map_err(unknown)?;
        let Some(batch) = batch else { return Err(super::closed("a write")) };
        // Nobody has asked for the state since, or somebody has: then the nodes that are shared are copied.
        self.before_commit(&core, false);
        // Not earlier: who began to listen meanwhile hears of it.
        let announced = self.to_be_announced(&core, writes);
        let applied = core.engine.apply_deferred(&batch, self);
        let appended = applied.inspect_err(|_| self.end_if_poisoned(&core)).map_err(unknown)?;
        let appended = AppendedEvents::of(appended, core.engine.working_state());
        self.announce(announced, seq, now);
        core.log_bytes += batch.bytes.len() as u64;
        core.engine.wrote(batch);
        core.engine.synced(seq, end);
        self.after_sync(&core, None);
        self.metrics.commits.fetch_add(1, Ordering::Relaxed);
        Ok(self.answer(core, seq, false, appended))
    }

    /// What a transaction is going to change, where anybody listens.
    fn to_be_announced(&self, core: &Core, writes: &WriteSet) -> Option<Announced> {
        self.feed.is_heard().then(|| Announced::of(writes, core.engine.working_state(), self))
    }

    fn announce(&self, announced: Option<Announced>, seq: u64, now: u64) {
        if let Some(announced) = announced {
            self.feed.announce(announced.committed(seq, now));
        }
    }

    /// The receipt of a commit that is done, after the snapshot that it may have brought about.
    fn answer(
        &self,
        core: MutexGuard<'_, Core>,
        seq: u64,
        deduplicated: bool,
        appended: Vec<AppendedEvents>,
    ) -> Receipt {
        let receipt = self.receipt(&core, seq, deduplicated, appended);
        let snapshot_due = !core.snapshotting && self.is_snapshot_due(&core);
        drop(core);
        if snapshot_due {
            // A snapshot takes a while.
            self.feed.deliver();
            self.snapshot_in_passing();
        }
        receipt
    }

    fn receipt(&self, core: &Core, seq: u64, deduplicated: bool, appended: Vec<AppendedEvents>) -> Receipt {
        let durable = !self.is_in_memory() && seq <= core.engine.durable_seq();
        Receipt { seq, durable, deduplicated, appended }
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
        if sync {
            core.sync_due = None;
        }
        let mut batch = core.engine.take_pending();
        let (seq, end) = (core.engine.logged_seq(), core.engine.handed_out());
        let state = (core.engine.strict_seq() > core.engine.durable_seq()).then(|| core.engine.working_state().clone());
        drop(core);

        let mut result = batch.as_ref().map_or(Ok(()), |batch| self.write_batch(batch));
        if sync && result.is_ok() {
            if let Some(batch) = batch.take() {
                self.written_before_sync(batch);
            }
            result = self.sync_segment(segment);
        }

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
                    core.engine.synced(seq, end);
                    self.after_sync(&core, state);
                }
            }
            Err(error) => self.poison(&mut core, error),
        }
        self.wake_all();
        result.map(|()| core)
    }

    /// [`flush`](Self::flush) with a sync, where an error of it is one of whatever was committed last.
    pub(crate) fn flush_everything<'a>(&'a self, core: MutexGuard<'a, Core>) -> Result<MutexGuard<'a, Core>> {
        let seq = core.engine.working_state().seq();
        self.flush(core, true).map_err(|error| Error::OutcomeUnknown { seq, cause: error.to_string() })
    }

    /// Gives the storage a batch. The lock is not held.
    fn write_batch(&self, batch: &Batch) -> Result<()> {
        self.write_log(batch.segment, batch.offset, &batch.bytes)
    }

    /// Gives the storage bytes of the log.
    pub(super) fn write_log(&self, segment: u64, offset: u64, bytes: &[u8]) -> Result<()> {
        let file = self.files.segment(&self.storage, segment)?;
        let written = file.write_at(offset, bytes);
        if !planted::active(Planted::FailedWriteIgnored) {
            written?;
        }
        self.files.handed_over.advance(segment, offset + bytes.len() as u64);
        Ok(())
    }

    fn sync_segment(&self, segment: u64) -> Result<()> {
        if planted::active(Planted::CommitWithoutSync) {
            return Ok(());
        }
        let file = self.files.segment(&self.storage, segment)?;
        let before = self.host.now_micros();
        let synced = file.sync();
        match planted::active(Planted::SyncTriedAgain) {
            true => synced.or_else(|_| file.sync())?,
            false => synced?,
        }
        self.metrics.synced(self.host.now_micros().saturating_sub(before));
        self.check_place_now_and_then()
    }

    /// See [`Db::wait_durable`](super::Db::wait_durable).
    pub(crate) fn wait_durable(&self, seq: u64) -> Result<()> {
        self.check_process()?;
        let _delivering = self.feed.delivering();
        let core = self.lock();
        if seq > core.engine.durable_seq() {
            self.check_writable("waiting for a sync")?;
        }
        let newest = core.engine.working_state().seq();
        if seq > newest {
            let why = alloc::format!("{seq} is not committed; the newest is {newest}");
            return Err(Error::Invalid { what: "seq", why });
        }
        if self.is_in_memory() {
            return Ok(());
        }
        self.wait_durable_locked(core, seq).map(|_| ())
    }

    /// A barrier: everything committed so far is on stable media when it returns.
    pub(crate) fn sync(&self) -> Result<u64> {
        self.check_writable("a sync")?;
        self.check_process()?;
        let _delivering = self.feed.delivering();
        let core = self.lock();
        let seq = core.engine.working_state().seq();
        core.engine.check_usable()?;
        if self.is_in_memory() || !core.engine.is_dirty() || planted::active(Planted::BarrierWithoutSync) {
            return Ok(seq);
        }
        self.wait_durable_locked(core, seq).map(|_| seq)
    }

    /// What the timer calls: syncs what is buffered, and, once everything is durable and nothing was committed since the last
    /// call, says so in the log and in the anchors. Returns whether there was anything to do.
    pub(crate) fn tick(&self) -> Result<bool> {
        if self.reader.is_some() {
            return Ok(false);
        }
        self.check_process()?;
        let _delivering = self.feed.delivering();
        let is_over = |core: &Core| core.closed || core.engine.check_usable().is_err();
        if self.is_in_memory() || is_over(&self.lock()) {
            return Ok(false);
        }
        self.check_place()?;
        let mut core = self.lock();
        if is_over(&core) || core.flushing {
            return Ok(false);
        }
        core.ticks_without_anchor += 1;
        if core.engine.is_dirty() || core.engine.pending_bytes() > 0 {
            core = self.flush(core, !planted::active(Planted::TimerWithoutSync))?;
        } else if !core.engine.is_marked() {
            core = self.mark(core)?;
        } else {
            return self.settle_in_passing(&mut core);
        }
        // A store that is never idle must say how far it is, too.
        if core.ticks_without_anchor >= BUSY_TICKS_MAX {
            self.settle_anchor(&mut core)?;
        }
        Ok(true)
    }
    /// An anchor costs a sync under the lock: where somebody commits all the time, one is written now and then.
    fn settle_in_passing(&self, core: &mut Core) -> Result<bool> {
        let seq = core.engine.durable_seq();
        let is_idle = core::mem::replace(&mut core.seq_at_tick, seq) == seq;
        if is_idle || core.ticks_without_anchor >= BUSY_TICKS_MAX { self.settle_anchor(core) } else { Ok(true) }
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
