//! [`OpenFiles`]: the files of one kind that are kept open, as many as a bound allows.
//!
//! A log has as many segments as a store has had commits for; a process may have a few hundred files open. Kept open for ever, the
//! segments of a store that is read take all of them one day, and then neither it nor anything else in the process can open a
//! file.
//!
//! Invariants:
//! - At most `bound` files are in here. Whoever was given one keeps it open for as long as it is used, whatever happens here.
//! - The file that is written to is never closed to make room: opening it again could fail, and a commit with it.
//! - Files are opened and closed outside of the lock.

use alloc::{sync::Arc, vec::Vec};
use core::sync::atomic::{AtomicU64, Ordering};
use std::sync::PoisonError;

use litemap::LiteMap;

use crate::{storage::StorageError, sync::RwLock};

/// Open files by number.
pub(crate) struct OpenFiles<F> {
    files: RwLock<LiteMap<u64, Entry<F>>>,
    /// Raised whenever a file comes in. Decides nothing but which file is closed first, so no schedule has to see it.
    clock: AtomicU64,
    bound: usize,
}

struct Entry<F> {
    file: Arc<F>,
    /// What the clock showed when the file was last asked for. Files that were used since the same newcomer are equally young,
    /// so that a file which is read all the time is not written to all the time as well.
    used: AtomicU64,
}

impl<F> OpenFiles<F> {
    /// Keeps up to `bound` files open, one at least.
    pub(crate) fn new(bound: usize) -> Self {
        OpenFiles { files: RwLock::default(), clock: AtomicU64::new(0), bound: bound.max(1) }
    }

    /// The file with this number, which `open` opens if it is not open yet. `is_needed` says of a number whether its file is the
    /// one that is written to.
    pub(crate) fn get(
        &self,
        number: u64,
        is_needed: impl Fn(u64) -> bool,
        open: impl FnOnce() -> Result<F, StorageError>,
    ) -> Result<Arc<F>, StorageError> {
        if let Some(entry) = self.files.read().unwrap_or_else(PoisonError::into_inner).get(&number) {
            let now = self.clock.load(Ordering::Relaxed);
            if entry.used.load(Ordering::Relaxed) != now {
                entry.used.store(now, Ordering::Relaxed);
            }
            return Ok(Arc::clone(&entry.file));
        }
        Ok(self.insert(number, open()?, is_needed))
    }

    /// Puts a file in, in the place of one with the same number.
    pub(crate) fn insert(&self, number: u64, file: F, is_needed: impl Fn(u64) -> bool) -> Arc<F> {
        let file = Arc::new(file);
        let now = self.clock.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        let entry = Entry { file: Arc::clone(&file), used: AtomicU64::new(now) };
        let mut files = self.files.write().unwrap_or_else(PoisonError::into_inner);
        let mut closed = Vec::new();
        closed.extend(files.insert(number, entry));
        while files.len() > self.bound {
            let used = |entry: &Entry<F>| entry.used.load(Ordering::Relaxed);
            let may_go = files.iter().filter(|(other, _)| **other != number && !is_needed(**other));
            let Some(oldest) = may_go.min_by_key(|(_, entry)| used(entry)).map(|(number, _)| *number) else { break };
            closed.extend(files.remove(&oldest));
        }
        drop(files);
        drop(closed);
        file
    }

    /// Closes the file with this number, for when it is removed.
    pub(crate) fn forget(&self, number: u64) {
        let closed = self.files.write().unwrap_or_else(PoisonError::into_inner).remove(&number);
        drop(closed);
    }

    /// Closes all files that nobody uses and nobody writes to.
    pub(crate) fn give_back(&self, is_needed: impl Fn(u64) -> bool) {
        let mut files = self.files.write().unwrap_or_else(PoisonError::into_inner);
        let is_used = |entry: &Entry<F>| Arc::strong_count(&entry.file) > 1;
        let idle: Vec<u64> = files
            .iter()
            .filter(|(number, entry)| !is_used(entry) && !is_needed(**number))
            .map(|(number, _)| *number)
            .collect();
        let closed: Vec<_> = idle.iter().filter_map(|number| files.remove(number)).collect();
        drop(files);
        drop(closed);
    }
}

#[cfg(test)]
mod tests;
