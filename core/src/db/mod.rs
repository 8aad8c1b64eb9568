//! The driver: an engine, a storage and the locks between them, as one handle that programs hold.
//!
//! Invariant: this is the only place where the engine meets a storage. It decides *when* bytes are written and synced,
//! never *which*.
#![warn(missing_debug_implementations)]

mod anchors;
mod attempts;
#[cfg(feature = "async")]
mod awaited;
mod checkpoint;
mod commit;
mod commit_info;
mod debug;
mod detached;
mod expiries;
mod hand_over;
mod handed_over;
mod hiding;
mod lives;
mod merge;
mod metrics;
#[cfg(foldb_loom)]
pub mod models;
mod once;
mod open;
mod open_files;
mod opening;
mod options;
mod ownership;
mod published;
mod reader;
mod receipt;
mod replays;
mod runs;
mod segments;
mod shared;
mod snapshots;
mod stats;
mod still;
mod subscriptions;
mod sweep;
#[cfg(test)]
pub(crate) mod tests;
mod transaction;
mod transaction_options;
mod turns;
mod verify;
mod view;

use alloc::sync::Arc;

pub(crate) use self::opening::closed;
use self::{
    attempts::Attempts,
    hiding::Moment,
    opening::Opening,
    shared::{Core, Shared},
    subscriptions::End,
    view::StateReads,
};
pub use self::{
    checkpoint::{Checkpoint, CheckpointFile},
    detached::{DetachedReplay, DetachedTransaction, DetachedView},
    metrics::{SnapshotFailures, SyncTimes},
    once::{IdempotencyWindow, Recalled, Seen},
    options::{Durability, OnProgress, Options},
    receipt::{AppendedEvents, Receipt},
    replays::Replay,
    runs::{Run, RunFilter, RunOptions, Runs, TransactionRuns},
    snapshots::SnapshotInfo,
    stats::{SegmentStats, Stats},
    subscriptions::{Callback, Subscription, Tail},
    sweep::Swept,
    transaction::{Savepoint, Transaction, TransactionRun},
    transaction_options::TransactionOptions,
    verify::{Verification, VerifyReport, Violation},
    view::{SpaceView, View},
};
use crate::{
    Error, Result, StoreId,
    host::Host,
    planted::{self, Planted},
    primitive::{
        EventBatch,
        access::{Access, AccessMut, Reads, Writes},
    },
    recovery::{RecoveryMode, RecoveryReport},
    state::{DEFAULT_SPACE, SpaceNumber},
    storage::Storage,
    sync::MutexGuard,
};

/// Writes the five methods that give the primitives of a space, for a handle that knows its access and its space.
macro_rules! primitive_handles {
    ($access:ty, |$this:ident| $give:expr, |$that:ident| $space:expr) => {
        $crate::db::primitive_handles! {
            @methods $access, |$this| $give, |$that| $space;
            /// Key-value pairs and counters.
            kv Kv,
            /// JSON documents.
            json Documents,
            /// Event streams.
            events Events,
            /// State cells.
            state Cells,
            /// Trace entries.
            trace Trace,
        }
    };
    (
        @methods $access:ty, |$this:ident| $give:expr, |$that:ident| $space:expr;
        $($(#[$doc:meta])+ $name:ident $primitive:ident,)+
    ) => {
        $(
            $(#[$doc])+
            pub fn $name(&self) -> $crate::primitive::$primitive<$access> {
                let access = {
                    let $this = self;
                    $give
                };
                let space = {
                    let $that = self;
                    $space
                };
                $crate::primitive::$primitive::new(access, space)
            }
        )+
    };
}
pub(crate) use primitive_handles;

/// An open store.
///
/// All methods take `&self`; a `Db` is `Send` and `Sync` when its storage is, so threads can share one by reference, or have a
/// clone each: a clone is another handle of the same store, which is closed when the last of them is dropped. A store is
/// opened once at a time: the storage's lock sees to that.
///
/// ```
/// # extern crate foldb_core as foldb;
/// let db = foldb::Db::memory();
/// db.kv().put("greeting", "hello")?;
/// assert_eq!(db.kv().get::<String>("greeting")?.as_deref(), Some("hello"));
///
/// // Several writes, over several primitives, whole or not at all:
/// db.transaction(|tx| {
///     tx.kv().add_i64("orders", 1)?;
///     tx.json().set("order/1", &serde_json::json!({"item": "tea", "count": 2}))?;
///     tx.events().append("orders", "created", "order/1")
/// })?;
/// # Ok::<(), foldb_core::Error>(())
/// ```
pub struct Db<S: Storage> {
    shared: Arc<Shared<S>>,
    opening: Arc<Opening<S>>,
}

/// Lets a timer keep a store's promises about time without keeping the store open: see [`Db::ticker`].
pub struct Ticker<S: Storage> {
    shared: alloc::sync::Weak<Shared<S>>,
}

impl<S: Storage> Ticker<S> {
    /// Syncs what is buffered and, once everything is durable, says so in the log. Returns `false` when there was
    /// nothing to do; an error has poisoned the store and shows at its next commit too.
    pub fn tick(&self) -> Result<bool> {
        self.shared.upgrade().map_or(Ok(false), |shared| shared.tick())
    }

    /// Whether the store has been closed or dropped: the timer can stop.
    pub fn is_over(&self) -> bool {
        self.shared.strong_count() == 0
    }
}

impl<S: Storage> Db<S> {
    /// A handle for a timer. The buffered and the relaxed mode need one for the last commits before a pause, that ticks a little more often
    /// than its interval: then commits, which look at the interval too, rarely find a sync due. Strict mode uses it to mark
    /// the log when the store is idle, so that damage to the last commits is noticed.
    pub fn ticker(&self) -> Ticker<S> {
        Ticker { shared: Arc::downgrade(&self.shared) }
    }

    /// The newest version that is visible, to read from as often as needed: it does not change.
    pub fn view(&self) -> View<'_, S> {
        View::new(&self.shared, self.shared.state())
    }

    /// Runs `work` in a transaction and commits it. Where something that it read has been changed by another commit, it
    /// runs again, on the newest version, up to [`Options::retries`] times; so it should have no effects of its own.
    ///
    /// Whoever was lost takes a turn: such transactions go one after the other, in the order in which they were lost first, and
    /// one that loses even then makes the others wait before they commit. So `work` should not be slow, nor wait for another thread that
    /// commits: that holds up both for a while. When it runs again it may see commits that are not on stable media yet; neither
    /// its result nor its error is given back before they are.
    ///
    /// Fails with whatever `work` fails with (then nothing is committed), and with the errors of
    /// [`Transaction::commit`]. Errors may be of any type that an [`Error`] can be made into: an enum of the program's own, or
    /// `Box<dyn std::error::Error>`. A transaction meets its conflicts when it is committed, so what `work` makes of an error never
    /// keeps it from running again. Where nothing else says what type the errors have (`work` uses `?` and ends with `Ok(())`), say it
    /// at its end:
    ///
    /// ```
    /// # extern crate foldb_core as foldb;
    /// use foldb::{Db, Error};
    ///
    /// #[derive(Debug)]
    /// enum TransferError {
    ///     NotEnough { missing: i64 },
    ///     Store(Error),
    /// }
    ///
    /// impl From<Error> for TransferError {
    ///     fn from(error: Error) -> Self {
    ///         TransferError::Store(error)
    ///     }
    /// }
    ///
    /// let db = Db::memory();
    /// let transferred = db.transaction(|tx| {
    ///     let left = tx.kv().get::<i64>("balance")?.unwrap_or(0) - 80;
    ///     if left < 0 {
    ///         return Err(TransferError::NotEnough { missing: -left });
    ///     }
    ///     tx.kv().put("balance", left)?;
    ///     Ok(left)
    /// });
    /// assert!(matches!(transferred, Err(TransferError::NotEnough { missing: 80 })));
    ///
    /// db.transaction(|tx| {
    ///     tx.kv().put("balance", 100)?;
    ///     Ok::<_, Error>(())
    /// })?;
    /// # Ok::<(), Error>(())
    /// ```
    pub fn transaction<T, E: From<Error>>(
        &self,
        work: impl FnMut(&Transaction<'_, S>) -> Result<T, E>,
    ) -> Result<T, E> {
        self.transaction_with(&TransactionOptions::new(), work).map(|(value, _)| value)
    }

    /// [`Db::transaction`] with options, and with the receipt.
    ///
    /// With an [idempotency key](TransactionOptions::idempotency_key) that a commit has carried, `work` does not run:
    /// [`Error::AlreadyDone`] names the commit. [`Db::once_with`] gives back what it came to.
    pub fn transaction_with<T, E: From<Error>>(
        &self,
        options: &TransactionOptions,
        work: impl FnMut(&Transaction<'_, S>) -> Result<T, E>,
    ) -> Result<(T, Receipt), E> {
        self.check_not_done(options)?;
        let (value, receipt) = self.run(options, work)?;
        if receipt.deduplicated {
            // Somebody else did it between the two looks. The value is that of a transaction which was thrown away.
            return Err(Error::AlreadyDone { key: options.readable_key(), seq: receipt.seq }.into());
        }
        Ok((value, receipt))
    }

    /// A transaction to hold and to commit by hand. Nothing is retried.
    pub fn begin_transaction(&self) -> Result<Transaction<'_, S>> {
        self.begin_transaction_with(&TransactionOptions::new())
    }

    /// [`Db::begin_transaction`] with options.
    pub fn begin_transaction_with(&self, options: &TransactionOptions) -> Result<Transaction<'_, S>> {
        Transaction::new(&self.shared, options)
    }

    /// A barrier: when it returns, everything committed before is on stable media. Returns the seq that it reached.
    pub fn sync(&self) -> Result<u64> {
        self.shared.sync()
    }

    /// Waits until the commit with this seq is on stable media. Fails with [`Error::OutcomeUnknown`] where a write or
    /// sync failed before that, and with [`Error::Invalid`] for a seq that nobody has committed yet.
    pub fn wait_durable(&self, seq: u64) -> Result<()> {
        self.shared.wait_durable(seq)
    }

    /// Highest seq that is on stable media; of a store that only reads, the highest that the files prove to be.
    pub fn durable_seq(&self) -> u64 {
        self.shared.lock().engine.durable_seq()
    }

    /// The store's id, the same for its whole life.
    pub fn id(&self) -> StoreId {
        self.shared.lock().engine.store()
    }

    /// What opening this store found and did.
    pub fn recovery_report(&self) -> &RecoveryReport {
        &self.opening.recovery
    }

    /// The runs of this store.
    pub fn runs(&self) -> Runs<'_, S> {
        Runs::new(self)
    }

    pub(crate) fn shared(&self) -> &Shared<S> {
        &self.shared
    }

    pub(crate) fn host(&self) -> &dyn Host {
        &*self.shared.host
    }

    primitive_handles!(&Self, |db| db, |_db| DEFAULT_SPACE);
}

impl<S: Storage> Access for &Db<S> {
    fn read<T>(&self, operation: impl FnOnce(&dyn Reads) -> Result<T>) -> Result<T> {
        let moment = Moment::default();
        let hider = self.shared.hider(&moment);
        self.shared.with_state(|state| operation(&StateReads { state, source: &*self.shared, place: None, hider }))
    }
}

impl<S: Storage> AccessMut for &Db<S> {
    fn write<T>(&self, mut operation: impl FnMut(&dyn Writes) -> Result<T>) -> Result<T> {
        self.transaction(|transaction| operation(transaction))
    }

    fn append(&self, space: SpaceNumber, stream: &[u8], events: &EventBatch) -> Result<Option<u64>> {
        let append = |transaction: &Transaction<'_, S>| Writes::append(transaction, space, stream, events);
        let ((), receipt) = self.run(&TransactionOptions::new(), append)?;
        Ok(receipt.appended.first().map(|appended| appended.first_seq))
    }
}

impl<S: Storage> Shared<S> {
    /// See [`Db::close`].
    fn close(&self, with_snapshot: bool) -> Result<()> {
        if self.reader.is_some() {
            self.closed(&mut self.lock());
            return Ok(());
        }
        self.check_process()?;
        #[cfg(feature = "async")]
        self.helper.0.finish();
        let closed = {
            let _delivering = self.feed.delivering();
            let mut core = self.lock();
            // Commits that keep coming would each be one more to sync.
            core.closing = true;
            let closed = self.close_locked(core, with_snapshot);
            self.lock().closing = false;
            closed
        };
        #[cfg(feature = "async")]
        self.helper.0.end();
        closed
    }

    fn close_locked<'a>(&'a self, mut core: MutexGuard<'a, Core>, with_snapshot: bool) -> Result<()> {
        let (mut with_snapshot, mut snapshot) = (with_snapshot, Ok(()));
        // Each step lets go of the lock, and what was true before it need not be true behind it.
        let mut was_flushed = false;
        loop {
            if (core.flushing || core.snapshotting || core.exclusive) && !planted::active(Planted::CloseDoesNotWait) {
                core = self.wait(core);
                continue;
            }
            if core.closed {
                return Ok(());
            }
            if self.is_in_memory() || self.options.recovery == RecoveryMode::Salvage {
                self.closed(&mut core);
                return Ok(());
            }
            core.engine.check_usable()?;
            if core.engine.log_end().is_none() || planted::active(Planted::CloseWithoutSync) {
                self.closed(&mut core);
                return Ok(());
            }
            self.check_place_locked(&mut core)?;
            let is_left = core.engine.is_dirty() || core.engine.pending_bytes() > 0;
            if is_left && !(was_flushed && planted::active(Planted::PoisonForgotten)) {
                // Without its poison a store that has failed would be flushed for ever.
                was_flushed = true;
                core = self.flush_everything(core)?;
            } else if with_snapshot && self.is_closing_snapshot_due(&core) {
                with_snapshot = false;
                drop(core);
                // The log has everything; a close for want of room for a snapshot is a clean close all the same.
                snapshot = self.snapshot().map(drop);
                core = self.lock();
            } else if !core.engine.is_marked() && !planted::active(Planted::CloseWithoutWitness) {
                core = self.mark(core)?;
            } else {
                break;
            }
        }
        if !planted::active(Planted::CloseWithoutWitness) {
            self.settle_anchors(&mut core)?;
        }
        self.closed(&mut core);
        if let Some((_, end)) = core.engine.active_segment() {
            self.release_unused(&core, end);
        }
        snapshot
    }

    fn closed(&self, core: &mut Core) {
        core.closed = true;
        self.feed.end(End::Closed);
    }
}
