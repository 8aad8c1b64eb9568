//! [`Pool`]: filling the pool up between operations.
//!
//! Invariant: a pool file is free only after its header is on the medium. One that is being made when the store is
//! dropped is closed and left for the next opening to find.

use std::rc::{Rc, Weak};

use foldb_core::{Result, storage::StorageError};

use super::{Directory, directory::Owned, open::pool_name, slot::Slot, storage::Core};

/// No burst makes the pool keep more files ready than this by itself.
const TARGET_MAX: usize = 64;

/// The pool of an open store, for whoever lets the event loop run. It does not keep the store open.
pub struct Pool<D: Directory> {
    core: Weak<Core<D>>,
}

impl<D: Directory> Clone for Pool<D> {
    fn clone(&self) -> Self {
        Pool { core: Weak::clone(&self.core) }
    }
}

impl<D: Directory> Pool<D> {
    pub(super) fn new(core: &Rc<Core<D>>) -> Self {
        Pool { core: Rc::downgrade(core) }
    }

    /// How many files are ready to be given a name now; 0 once the store is closed.
    pub fn ready(&self) -> usize {
        self.core.upgrade().map_or(0, |core| core.files.borrow().free.len())
    }

    /// Whether no more files are ready, or on their way, than half of those that should be. Cheap: made to be asked after
    /// every turn.
    pub fn is_low(&self) -> bool {
        self.core.upgrade().is_some_and(|core| core.coming() * 2 <= core.target.get())
    }

    /// Fills the pool up if it [is low](Self::is_low), and gives back what a burst has left over. After a burst it keeps
    /// twice as many files ready as the burst took, up to 64. Several calls at once share the work.
    ///
    /// # Errors
    ///
    /// As the directory reports, [`StorageError::Full`] above all. The store stays usable with the files that it has.
    pub async fn replenish(&self) -> Result<()> {
        if let Some(core) = self.core.upgrade() {
            core.adapt();
        }
        if self.is_low() {
            self.make(|core| core.target.get().saturating_sub(core.coming())).await?;
        }
        self.give_back().await;
        Ok(())
    }

    /// Waits until so many files are ready at least: what a burst of work will need that is done in one turn. A segment
    /// of the log, a snapshot and an anchor are a file each.
    ///
    /// # Errors
    ///
    /// As [`replenish`](Self::replenish).
    pub async fn reserve(&self, files: usize) -> Result<()> {
        loop {
            self.make(|core| files.saturating_sub(core.coming())).await?;
            let Some(core) = self.core.upgrade() else { return Ok(()) };
            if core.files.borrow().free.len() >= files {
                return Ok(());
            }
            // Somebody else is making some of them, or has taken some.
            let directory = Rc::clone(&core.directory);
            drop(core);
            directory.pause(1).await;
        }
    }

    /// Makes as many pool files as `missing` says now.
    async fn make(&self, missing: impl FnOnce(&Core<D>) -> usize) -> Result<()> {
        let Some(core) = self.core.upgrade() else { return Ok(()) };
        let count = missing(&core);
        if count == 0 {
            return Ok(());
        }
        let flight = Flight::begin(&core, count);
        let numbers: Vec<u64> = {
            let files = &mut *core.files.borrow_mut();
            let first = files.number + 1;
            files.number += u64::try_from(count).unwrap_or(0);
            (first..=files.number).collect()
        };
        let directory = Rc::clone(&core.directory);
        // While the browser works the store may be dropped: nothing here keeps it open.
        drop(core);
        let names: Vec<String> = numbers.iter().map(|number| pool_name(*number)).collect();
        let opened = directory.open(&names, true).await;
        // All are taken out of the results first, so that each is closed whatever happens to another.
        let mut failure = None;
        let mut handles = Vec::new();
        for ((number, name), result) in numbers.iter().zip(&names).zip(opened) {
            match result {
                Ok(handle) => handles.push((*number, Owned(handle))),
                Err(cause) => failure = Some(cause.into_error(name, "making")),
            }
        }
        let Some(core) = self.core.upgrade() else { return Ok(()) };
        for (number, handle) in handles {
            let counter = core.files.borrow_mut().next_counter();
            match Slot::format(handle, number, counter) {
                Ok(slot) => drop(core.files.borrow_mut().free.insert(number, Rc::new(slot))),
                Err(cause) => failure = Some(cause.into_error(&pool_name(number), "making")),
            }
        }
        drop(flight);
        failure.map_or(Ok(()), |error: StorageError| Err(error.into()))
    }

    /// Removes free files that are more than twice what should be ready: snapshots and segments that went.
    async fn give_back(&self) {
        while let Some(core) = self.core.upgrade() {
            let surplus = {
                let files = &mut *core.files.borrow_mut();
                let last = files.free.last().map(|(number, _)| *number);
                let last = last.filter(|_| files.free.len() > core.target.get() * 2);
                last.and_then(|number| Some((number, files.free.remove(&number)?)))
            };
            let Some((number, slot)) = surplus else { return };
            let directory = Rc::clone(&core.directory);
            drop(core);
            // Closed first: a browser does not remove what is open. A free file that stays is found at the next opening.
            drop(slot);
            if directory.remove(&pool_name(number)).await.is_err() {
                return;
            }
        }
    }
}

/// Counts files on their way for as long as it lives, also if the work is dropped in the middle.
struct Flight<D: Directory> {
    core: Weak<Core<D>>,
    count: usize,
}

impl<D: Directory> Flight<D> {
    fn begin(core: &Rc<Core<D>>, count: usize) -> Self {
        core.on_their_way.set(core.on_their_way.get() + count);
        Flight { core: Rc::downgrade(core), count }
    }
}

impl<D: Directory> Drop for Flight<D> {
    fn drop(&mut self) {
        if let Some(core) = self.core.upgrade() {
            core.on_their_way.set(core.on_their_way.get().saturating_sub(self.count));
        }
    }
}

impl<D: Directory> Core<D> {
    /// Free files, and those that will be.
    fn coming(&self) -> usize {
        self.files.borrow().free.len() + self.on_their_way.get()
    }

    /// Learns from what was taken since the last time.
    fn adapt(&self) {
        let taken = self.taken.replace(0);
        let wanted = (taken * 2).clamp(self.target_min, TARGET_MAX.max(self.target_min));
        // Down slowly: a burst is rarely the last.
        self.target.set(wanted.max(self.target.get() / 2).max(self.target_min));
    }
}
