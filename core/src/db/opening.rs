//! [`Opening`]: what one opening of a store has beside the store itself, shared by all handles of it.
//!
//! Invariant: whoever drops the last handle closes the store, and nobody else does without having asked for it. The timer goes first:
//! it would find a store that is being closed under it.

use alloc::sync::Arc;
use core::any::Any;
use std::{boxed::Box, sync::PoisonError};

use super::{Db, shared::Shared};
use crate::{Error, Result, recovery::RecoveryReport, storage::Storage, sync::Mutex};

pub(super) struct Opening<S: Storage> {
    shared: Arc<Shared<S>>,
    pub(super) recovery: RecoveryReport,
    /// Whatever calls [`Ticker::tick`](super::Ticker::tick).
    timer: Mutex<Option<Box<dyn Any + Send + Sync>>>,
}

impl<S: Storage> Opening<S> {
    fn set_timer(&self, timer: Option<Box<dyn Any + Send + Sync>>) {
        let before = core::mem::replace(&mut *self.timer.lock().unwrap_or_else(PoisonError::into_inner), timer);
        // Without the lock: a timer that ends may wait for its thread.
        drop(before);
    }
}

impl<S: Storage> Db<S> {
    pub(super) fn opened(shared: Shared<S>, recovery: RecoveryReport) -> Self {
        let shared = Arc::new(shared);
        let opening = Opening { shared: Arc::clone(&shared), recovery, timer: Mutex::new(None) };
        Db { shared, opening: Arc::new(opening) }
    }

    /// Keeps a timer as long as the store is open, and drops it first.
    #[must_use]
    pub fn with_timer(self, timer: impl Any + Send + Sync) -> Self {
        self.opening.set_timer(Some(Box::new(timer)));
        self
    }

    /// Closes the store: everything is synced, a snapshot is written where it pays, the log and both anchors say how far
    /// everything is on stable media, and what was reserved is given back. So damage to any file is noticed at the next
    /// opening, and that one goes on where this one ended.
    ///
    /// Where there are other handles of it (clones), they find the store closed: writes and snapshots fail with
    /// [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported), reads go on and find what was there. The storage is let go of, and its lock with it, when the last of them is
    /// dropped.
    ///
    /// Fails with [`Error::Poisoned`] after a write or sync that failed, with [`Error::OutcomeUnknown`] where one fails
    /// now, and with what kept the closing snapshot from being written; in the last case everything else was done. After
    /// an error the store may be opened again like after a crash. Fails with [`ErrorKind::Poisoned`](crate::ErrorKind::Poisoned) where somebody removed or
    /// moved what the store was opened by; and, with nothing done, with [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) in a process that got this
    /// handle by `fork`.
    ///
    /// Cost: up to six syncs for a store that was written to, and none for one that was not.
    pub fn close(self) -> Result<()> {
        self.opening.set_timer(None);
        self.shared.close(true)
    }

    /// Whether the store was closed, by [`Db::close`] of another handle.
    ///
    /// ```
    /// # extern crate foldb_core as foldb;
    /// let db = foldb::Db::memory();
    /// db.kv().put("key", "value")?;
    /// let other = db.clone();
    /// other.close()?;
    /// assert!(db.is_closed() && db.kv().put("key", "other").is_err());
    /// assert_eq!(db.kv().get::<String>("key")?.as_deref(), Some("value"));
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    pub fn is_closed(&self) -> bool {
        self.shared.lock().closed
    }
}

/// Another handle of the same opening. Costs two counters.
impl<S: Storage> Clone for Db<S> {
    fn clone(&self) -> Self {
        Db { shared: Arc::clone(&self.shared), opening: Arc::clone(&self.opening) }
    }
}

impl<S: Storage> Drop for Opening<S> {
    /// What [`Db::close`] does, without the snapshot and without a word about failures: whoever wants to know calls
    /// `close`.
    fn drop(&mut self) {
        self.set_timer(None);
        if !std::thread::panicking() {
            let _ = self.shared.close(false);
        }
    }
}

/// What a handle of a closed store says to whoever wants to change something.
pub(crate) fn closed(what: &'static str) -> Error {
    Error::Unsupported { what, why: "the store was closed; open it again".into() }
}
