//! When what commits have buffered goes to the system, where nobody waits for stable media.
//!
//! Invariants:
//! - A relaxed commit is with the system when it returns, and before anybody can see it: whoever acts on what was read acts
//!   on something that the death of this process does not take back. So it writes under the lock, and it does not begin while
//!   bytes that come before its own are on their way.
//! - The oldest commit that no sync has begun for waits no longer than its durability allows, as long as there are commits;
//!   the timer sees to the last ones before a pause.

use super::{
    Durability,
    shared::{Core, Shared},
};
use crate::{
    Result,
    engine::Batch,
    planted::{self, Planted},
    storage::Storage,
    sync::MutexGuard,
};

/// How much more than `bytes` may be buffered before a committer has to hand it over itself.
const BACKPRESSURE: usize = 8;

impl Core {
    /// Whether somebody is writing bytes that come before those that are pending. Those of a write that has failed are on their way
    /// for ever, and whoever waited for them would as well.
    pub(super) fn is_write_under_way(&self) -> bool {
        self.flushing && self.engine.is_writing()
    }
}

impl<S: Storage> Shared<S> {
    /// Gives the system all that is buffered: the commits of others too, in one write, because theirs come before. The lock is
    /// kept: giving it away and waking those who wait for it costs more than the write.
    pub(super) fn hand_over<'a>(&'a self, mut core: MutexGuard<'a, Core>) -> Result<MutexGuard<'a, Core>> {
        if planted::active(Planted::RelaxedStaysBuffered) {
            return Ok(core);
        }
        // For a commit that was done before, and whose bytes may be with the leader. A new one has waited already.
        while core.is_write_under_way() && !planted::active(Planted::WrittenBeforeThoseBefore) {
            core = self.wait_for_write(core);
        }
        core.engine.check_usable()?;
        let Some((segment, offset, bytes)) = core.engine.pending() else { return Ok(core) };
        let len = bytes.len() as u64;
        match self.write_log(segment, offset, bytes) {
            Ok(()) => {
                core.log_bytes += len;
                core.engine.wrote_pending();
                Ok(core)
            }
            Err(error) => {
                // How much of it is in the file is not known, and nothing may come behind a gap.
                self.poison(&mut core, &error);
                Err(error)
            }
        }
    }

    /// Waits until the bytes that are on their way have arrived: not for the sync that may come behind, which takes a
    /// thousand times as long.
    pub(super) fn wait_for_write<'a>(&'a self, mut core: MutexGuard<'a, Core>) -> MutexGuard<'a, Core> {
        core.write_awaited = true;
        self.wait(core)
    }

    /// A batch that is about to be synced has been written: relaxed commits need not wait any more.
    pub(super) fn written_before_sync(&self, batch: Batch) {
        let mut core = self.lock();
        core.log_bytes += batch.bytes.len() as u64;
        core.engine.wrote(batch);
        // Whoever waits for the sync would be woken for nothing.
        if core::mem::take(&mut core.write_awaited) {
            self.wake_all();
        }
    }

    /// After a buffered or relaxed commit at `now`: syncs where the oldest of them has waited for as long as its durability allows. A
    /// timer comes earlier where it gets to run; an event loop that is kept busy, or a thread that is starved, would let
    /// commits wait for ever.
    pub(super) fn sync_if_due<'a>(
        &'a self,
        mut core: MutexGuard<'a, Core>,
        now: u64,
        durability: Durability,
    ) -> Result<MutexGuard<'a, Core>> {
        let Some(interval) = durability.interval() else { return Ok(core) };
        if self.is_in_memory() || !core.engine.is_dirty() {
            return Ok(core);
        }
        let own = now.saturating_add(u64::try_from(interval.as_micros()).unwrap_or(u64::MAX));
        match core.sync_due {
            Some(due) if due <= now && !core.flushing => self.flush(core, true),
            // The earlier one: also where the clock was set back meanwhile.
            due => {
                core.sync_due = Some(due.map_or(own, |due| due.min(own)));
                Ok(core)
            }
        }
    }

    /// Buffered mode: hands the buffer to the system when enough has come together. The timer does it earlier.
    pub(super) fn hand_over_if_much<'a>(&'a self, core: MutexGuard<'a, Core>) -> Result<MutexGuard<'a, Core>> {
        let limit = match self.options.durability {
            Durability::Buffered { bytes, .. } => bytes,
            // A single commit asked for less than the store's mode; the next one that asks for more or the timer takes it along.
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
        // Whoever flushed may have failed: then this commit stays in the buffer for ever.
        core.engine.check_usable()?;
        if core.engine.pending_bytes() < limit {
            return Ok(core);
        }
        self.flush(core, false)
    }
}
