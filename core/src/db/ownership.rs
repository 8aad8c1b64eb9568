//! Asking the storage whose the store is: whether this is the process that opened it, and whether it is still in its place.
//!
//! Both were true when the store was opened, and neither stays true by itself. A process that forks has two copies of every
//! handle, and a lock is a name that somebody may remove.
//!
//! Invariants:
//! - No commit, sync or close of another process gets as far as the lock of the store: a thread of the parent may have held it
//!   at the fork, and nobody is there to give it back.
//! - A store that was found out of its place is poisoned: by then somebody else may write to what has its name.

use super::shared::{Core, Shared};
use crate::{
    Error, Result,
    storage::{Storage, StorageError},
    sync::Ordering,
};

/// So many syncs may come between two looks at the place of the store. The timer looks as well, and every rotation and
/// snapshot: this is for a store that has no timer, and for the moment between two ticks. A look takes about a microsecond.
const SYNCS_BETWEEN_LOOKS: u64 = 64;

impl<S: Storage> Shared<S> {
    /// Fails with [`StorageError::OtherProcess`] in a process that got this store by `fork`.
    pub(crate) fn check_process(&self) -> Result<()> {
        Ok(self.storage.check_process()?)
    }

    /// Fails with [`Error::ReadOnly`] where the store was opened for reading only.
    pub(crate) fn check_writable(&self, what: &'static str) -> Result<()> {
        if self.reader.is_some() { Err(Error::ReadOnly { what }) } else { Ok(()) }
    }

    /// Fails with [`StorageError::Displaced`] where the names that the store was opened by lead elsewhere, and poisons the store.
    /// Must not be called under the lock: a server that is slow to answer keeps nobody waiting then.
    pub(crate) fn check_place(&self) -> Result<()> {
        self.storage.check_place().map_err(|error| self.displaced(&mut self.lock(), error))
    }

    /// [`check_place`](Self::check_place) under the lock, where the answer must not be older than what comes next.
    pub(crate) fn check_place_locked(&self, core: &mut Core) -> Result<()> {
        self.storage.check_place().map_err(|error| self.displaced(core, error))
    }

    fn displaced(&self, core: &mut Core, error: StorageError) -> Error {
        let error = error.into();
        self.poison(core, &error);
        error
    }

    /// Looks at the place after every so many syncs, before what they made durable is acknowledged. The caller poisons the
    /// store if this fails, as for a failed sync.
    pub(crate) fn check_place_now_and_then(&self) -> Result<()> {
        let before = self.syncs.fetch_add(1, Ordering::Relaxed);
        if before % SYNCS_BETWEEN_LOOKS == SYNCS_BETWEEN_LOOKS - 1 {
            self.storage.check_place()?;
        }
        Ok(())
    }
}
