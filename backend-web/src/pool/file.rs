//! [`PoolFile`]: one open file of a store.
//!
//! Invariant: a handle reaches the bytes of the file that it was opened for, and of no file that took its place later.

use std::{fmt, rc::Rc};

use foldb_core::storage::{StorageError, StorageFile};

use super::{Directory, Failure, slot::Slot, storage::Core};

/// An open file of a [`PoolStorage`](super::PoolStorage). It keeps the store open, and with it locked, for as long as it
/// lives. After the file was removed it answers [`StorageError::Missing`].
pub struct PoolFile<D: Directory> {
    slot: Rc<Slot<D::Handle>>,
    life: u64,
    name: Rc<str>,
    // The pool, and the lock on it, outlive the last file.
    _core: Rc<Core<D>>,
}

impl<D: Directory> PoolFile<D> {
    pub(super) fn new(slot: Rc<Slot<D::Handle>>, name: &str, core: Rc<Core<D>>) -> Self {
        PoolFile { life: slot.life(), slot, name: name.into(), _core: core }
    }

    fn checked<T>(
        &self,
        action: &'static str,
        work: impl FnOnce(&Slot<D::Handle>) -> Result<T, Failure>,
    ) -> Result<T, StorageError> {
        if self.slot.life() != self.life {
            return Err(StorageError::Missing { name: self.name.as_ref().into() });
        }
        work(&self.slot).map_err(|failure| failure.into_error(&self.name, action))
    }
}

impl<D: Directory> StorageFile for PoolFile<D> {
    fn len(&self) -> Result<u64, StorageError> {
        self.checked("reading the length of", Slot::len)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, StorageError> {
        self.checked("reading", |slot| slot.read(offset, buffer))
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), StorageError> {
        self.checked("writing", |slot| slot.write(offset, bytes))
    }

    fn set_len(&self, len: u64) -> Result<(), StorageError> {
        self.checked("setting the length of", |slot| slot.set_len(len))
    }

    fn sync(&self) -> Result<(), StorageError> {
        self.checked("syncing", |slot| slot.sync(&self.name))
    }
}

impl<D: Directory> fmt::Debug for PoolFile<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PoolFile").field("name", &self.name).field("pool_file", &self.slot.number).finish()
    }
}
