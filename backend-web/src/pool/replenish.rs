//! [`Pool`]: filling the pool up between operations.
//!
//! Invariants:
//! - A pool file is free only after its header is on the medium. One that is being made when the store is dropped is closed
//!   and left for the next opening to find.
//! - A file that could not be made is tried again under its own number: without room, files do not become more and more.

use std::rc::{Rc, Weak};

use foldb_core::{Result, storage::StorageError};

use super::{Directory, Failure, directory::Owned, open::pool_name, slot::Slot, storage::Core};

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
        let numbers = core.files.borrow_mut().numbers_to_make(count);
        let directory = Rc::clone(&core.directory);
        // While the browser works the store may be dropped: nothing here keeps it open.
        drop(core);
        let names: Vec<String> = numbers.iter().map(|number| pool_name(*number)).collect();
        let opened = directory.open(&names, true).await;
        // Owned at once, so that each is closed whatever happens to another.
        let opened: Vec<_> = opened.into_iter().map(|result| result.map(Owned)).collect();
        let Some(core) = self.core.upgrade() else { return Ok(()) };
        let mut failure: Option<StorageError> = None;
        for (number, opened) in numbers.into_iter().zip(opened) {
            let files = &mut *core.files.borrow_mut();
            let made = match &failure {
                // Where one file has found no room, the next ones do not look for it.
                Some(StorageError::Full { .. }) => Err(Failure::Full),
                _ => opened.and_then(|handle| Slot::format(handle, number, files.next_counter())),
            };
            match made {
                Ok(slot) => drop(files.free.insert(number, Rc::new(slot))),
                Err(cause) => {
                    files.unfinished.push(number);
                    failure = Some(cause.into_error(&pool_name(number), "making"));
                }
            }
        }
        core.without_room.set(matches!(failure, Some(StorageError::Full { .. })));
        drop(flight);
        failure.map_or(Ok(()), |error| Err(error.into()))
    }

    /// Removes what nobody needs: files that could not be made at some time, now that enough have been, and free files that
    /// are more than twice what should be ready: snapshots and segments that went.
    async fn give_back(&self) {
        while let Some(core) = self.core.upgrade() {
            let Some(number) = core.surplus() else { return };
            let directory = Rc::clone(&core.directory);
            drop(core);
            match directory.remove(&pool_name(number)).await {
                Ok(()) | Err(Failure::Missing) => {}
                Err(_) => {
                    // It stays, and is made anew when a file is needed.
                    if let Some(core) = self.core.upgrade() {
                        core.files.borrow_mut().unfinished.push(number);
                    }
                    return;
                }
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

    /// The number of a file to be removed; nobody has it open any more, for a browser does not remove what is open.
    fn surplus(&self) -> Option<u64> {
        let files = &mut *self.files.borrow_mut();
        files.unfinished.pop().or_else(|| {
            let last = files.free.last().map(|(number, _)| *number);
            let last = last.filter(|_| files.free.len() > self.target.get() * 2)?;
            files.free.remove(&last).map(|_| last)
        })
    }

    /// Learns from what was taken since the last time.
    fn adapt(&self) {
        let taken = self.taken.replace(0);
        let wanted = (taken * 2).clamp(self.target_min, TARGET_MAX.max(self.target_min));
        // Down slowly: a burst is rarely the last.
        self.target.set(wanted.max(self.target.get() / 2).max(self.target_min));
    }
}
