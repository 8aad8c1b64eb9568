//! [`PoolStorage`]: the storage, and the state of its pool.
//!
//! Invariant: every pool file is in exactly one place: it carries one of the store's files, it is free and empty, it is
//! on its way (being made), it is unfinished, because it could not be made, or it is retired, because something failed while
//! its header changed, until the next opening. Damaged ones are in none: they are left alone.

use std::{
    cell::{Cell, RefCell},
    fmt,
    rc::Rc,
};

use foldb_core::storage::{Storage, StorageError, check_name};
use litemap::LiteMap;

use super::{Directory, Opening, Pool, PoolFile, directory::Owned, slot::Slot};

/// The files of a store in a pool of open files. Exclusive from opening until it and its last [`PoolFile`] are dropped.
pub struct PoolStorage<D: Directory> {
    core: Rc<Core<D>>,
    opening: Opening,
}

pub(super) struct Core<D: Directory> {
    /// Before `owner`: the lock on the whole is given back last.
    pub(super) files: RefCell<Files<D::Handle>>,
    pub(super) directory: Rc<D>,
    /// Of the store, for messages.
    pub(super) name: String,
    /// Pool files that are being made.
    pub(super) on_their_way: Cell<usize>,
    /// How many free ones there should be.
    pub(super) target: Cell<usize>,
    /// The smallest `target` ever is.
    pub(super) target_min: usize,
    /// How many free ones were asked for since the pool was last filled up.
    pub(super) taken: Cell<usize>,
    /// Whether there was no room for a file when files were made last.
    pub(super) without_room: Cell<bool>,
    _owner: Owned<D::Handle>,
}

/// The pool files by what they are.
pub(super) struct Files<H: super::AccessHandle> {
    pub(super) named: LiteMap<String, Rc<Slot<H>>>,
    pub(super) free: LiteMap<u64, Rc<Slot<H>>>,
    /// Kept open, so that their handles stay ours.
    pub(super) retired: Vec<Rc<Slot<H>>>,
    /// Numbers of pool files that are closed, and empty or not there at all: the next to be made.
    pub(super) unfinished: Vec<u64>,
    /// The highest counter of any header.
    pub(super) counter: u64,
    /// The highest number of any pool file.
    pub(super) number: u64,
}

impl<H: super::AccessHandle> Files<H> {
    pub(super) fn next_counter(&mut self) -> u64 {
        // One for each header that is written: 2^64 of them are never reached.
        self.counter = self.counter.saturating_add(1);
        self.counter
    }

    /// So many numbers to make pool files of: of unfinished ones first, then new ones.
    pub(super) fn numbers_to_make(&mut self, count: usize) -> Vec<u64> {
        let mut numbers = self.unfinished.split_off(self.unfinished.len().saturating_sub(count));
        while numbers.len() < count {
            self.number += 1;
            numbers.push(self.number);
        }
        numbers
    }
}

impl<D: Directory> PoolStorage<D> {
    pub(super) fn new(
        files: Files<D::Handle>,
        directory: Rc<D>,
        name: &str,
        ready: usize,
        owner: Owned<D::Handle>,
        opening: Opening,
    ) -> Self {
        let core = Core {
            files: RefCell::new(files),
            directory,
            name: name.into(),
            on_their_way: Cell::new(0),
            target: Cell::new(ready),
            target_min: ready,
            taken: Cell::new(0),
            without_room: Cell::new(false),
            _owner: owner,
        };
        PoolStorage { core: Rc::new(core), opening }
    }

    /// What was found when it was opened.
    pub fn opening(&self) -> &Opening {
        &self.opening
    }

    /// A handle to the pool itself, to be kept beside the store: it fills the pool up between operations.
    pub fn pool(&self) -> Pool<D> {
        Pool::new(&self.core)
    }
}

impl<D: Directory> Storage for PoolStorage<D> {
    type File = PoolFile<D>;

    fn list(&self) -> Result<Vec<String>, StorageError> {
        Ok(self.core.files.borrow().named.keys().cloned().collect())
    }

    fn create(&self, name: &str) -> Result<PoolFile<D>, StorageError> {
        check_name(name)?;
        let files = &mut *self.core.files.borrow_mut();
        if files.named.contains_key(name) {
            return Err(StorageError::Exists { name: name.into() });
        }
        // Also an attempt that fails: the next filling-up knows then how many were wanted.
        self.core.taken.set(self.core.taken.get() + 1);
        let first = files.free.first().map(|(number, _)| *number);
        let Some(slot) = first.and_then(|number| files.free.remove(&number)) else {
            // Where files cannot be made, waiting for them helps nobody.
            return Err(match self.core.without_room.get() {
                true => StorageError::Full { name: name.into(), action: "creating" },
                false => StorageError::NotReady { name: name.into() },
            });
        };
        if let Err(failure) = slot.claim(name, files.next_counter()) {
            files.retired.push(slot);
            return Err(failure.into_error(name, "creating"));
        }
        files.named.insert(name.into(), Rc::clone(&slot));
        Ok(PoolFile::new(slot, name, Rc::clone(&self.core)))
    }

    fn open(&self, name: &str) -> Result<PoolFile<D>, StorageError> {
        check_name(name)?;
        match self.core.files.borrow().named.get(name) {
            Some(slot) => Ok(PoolFile::new(Rc::clone(slot), name, Rc::clone(&self.core))),
            None => Err(StorageError::Missing { name: name.into() }),
        }
    }

    fn remove(&self, name: &str) -> Result<(), StorageError> {
        check_name(name)?;
        let files = &mut *self.core.files.borrow_mut();
        let Some(slot) = files.named.get(name).map(Rc::clone) else {
            return Err(StorageError::Missing { name: name.into() });
        };
        slot.release(files.next_counter()).map_err(|failure| failure.into_error(name, "removing"))?;
        files.named.remove(name);
        // The name is gone, durably; that its room cannot be used again now is no reason to say otherwise.
        match slot.empty() {
            Ok(()) => drop(files.free.insert(slot.number, slot)),
            Err(_) => files.retired.push(slot),
        }
        Ok(())
    }
}

impl<D: Directory> fmt::Debug for PoolStorage<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let files = self.core.files.borrow();
        f.debug_struct("PoolStorage")
            .field("name", &self.core.name)
            .field("files", &files.named.keys().collect::<Vec<_>>())
            .field("free", &files.free.len())
            .field("retired", &files.retired.len())
            .finish_non_exhaustive()
    }
}
