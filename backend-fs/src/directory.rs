//! The directory of a store: its lock, whether it is still what was opened, and which names in it are on stable media.
//!
//! Invariant: when [`Directory::make_names_durable`] returns for a file, the name of that file, and every name that
//! existed before the call, survives a power failure. Syncing a file does not do that: the name lives in the directory.

use std::{
    fs::File,
    io::Result,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use foldb_core::storage::StorageError;

use crate::{lock::Lock, place::Place};

/// A moment in the life of the directory, counted in created names.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NameEpoch(u64);

/// An open directory, locked unless it is only read. Files keep it alive, so that the lock outlasts every handle that could still
/// write.
#[derive(Debug)]
pub(crate) struct Directory {
    place: Place,
    /// `None` where nothing is ever written through this handle.
    lock: Option<Lock>,
    #[cfg(unix)]
    handle: File,
    /// How many names were created. It begins at 1: names of an earlier life of the process may never have been synced.
    created: AtomicU64,
    /// The value of `created` that the last sync of the directory covers.
    durable: AtomicU64,
}

impl Directory {
    /// The directory at `path`, whose lock the caller has taken.
    pub(crate) fn new(path: PathBuf, lock: Lock) -> Result<Self> {
        Ok(Self {
            #[cfg(unix)]
            handle: File::open(&path)?,
            place: Place::new(path, Some(lock.identity().clone()))?,
            lock: Some(lock),
            created: AtomicU64::new(1),
            durable: AtomicU64::new(0),
        })
    }

    /// The directory at `path`, for reading only: without a lock.
    pub(crate) fn read_only(path: PathBuf) -> Result<Self> {
        Ok(Self {
            #[cfg(unix)]
            handle: File::open(&path)?,
            place: Place::new(path, None)?,
            lock: None,
            created: AtomicU64::new(1),
            durable: AtomicU64::new(0),
        })
    }

    pub(crate) fn is_read_only(&self) -> bool {
        self.lock.is_none()
    }

    /// Fails where the directory is only read.
    pub(crate) fn check_writable(&self, name: &str, action: &'static str) -> std::result::Result<(), StorageError> {
        if !self.is_read_only() {
            return Ok(());
        }
        Err(StorageError::ReadOnly { name: self.path().join(name).display().to_string(), action })
    }

    pub(crate) fn path(&self) -> &Path {
        self.place.directory()
    }

    /// Fails in a process that got its handle by `fork`. Costs no system call.
    pub(crate) fn check_process(&self) -> std::result::Result<(), StorageError> {
        let is_this = self.lock.as_ref().is_none_or(|lock| lock.process().is_this());
        if is_this { Ok(()) } else { Err(self.of_another_process()) }
    }

    /// [`check_process`](Self::check_process) before a call that changes something, which is a system call anyway.
    pub(crate) fn check_process_surely(&self) -> std::result::Result<(), StorageError> {
        let is_this = self.lock.as_ref().is_none_or(|lock| lock.process().is_surely_this());
        if is_this { Ok(()) } else { Err(self.of_another_process()) }
    }

    #[cold]
    fn of_another_process(&self) -> StorageError {
        StorageError::OtherProcess { name: self.path().display().to_string() }
    }

    /// Fails if the names that the store was opened by lead elsewhere.
    pub(crate) fn check_place(&self) -> std::result::Result<(), StorageError> {
        let displaced =
            |what: &str| StorageError::Displaced { name: self.path().display().to_string(), what: what.into() };
        self.place.look().map_err(displaced)
    }

    /// The epoch of a name that was just created.
    pub(crate) fn name_created(&self) -> NameEpoch {
        if let Some(lock) = &self.lock {
            lock.keep();
        }
        NameEpoch(self.created.fetch_add(1, Ordering::AcqRel) + 1)
    }

    /// The epoch that covers every name there is now.
    pub(crate) fn names_now(&self) -> NameEpoch {
        NameEpoch(self.created.load(Ordering::Acquire))
    }

    /// Returns when every name of `epoch` and before is on stable media. Costs nothing if that is known already. It also
    /// makes earlier removals durable: they wait for the next created name, because a removed file that comes back is
    /// garbage to the store, not a danger.
    pub(crate) fn make_names_durable(&self, epoch: NameEpoch) -> Result<()> {
        if self.durable.load(Ordering::Acquire) >= epoch.0 {
            return Ok(());
        }
        // Read before the sync: a name that is created meanwhile may or may not be covered.
        let covered = self.names_now();
        #[cfg(unix)]
        sync_directory(&self.handle)?;
        // Windows offers no flush of a directory; NTFS writes names to its journal in order. See docs/platform.md.
        self.durable.fetch_max(covered.0, Ordering::AcqRel);
        Ok(())
    }
}

/// Makes the names in the directory at `path` durable.
#[cfg(unix)]
pub(crate) fn sync_path(path: &Path) -> Result<()> {
    sync_directory(&File::open(path)?)
}

/// Makes the names in the directory at `path` durable, as far as the system offers it, which is not at all.
#[cfg(not(unix))]
pub(crate) fn sync_path(_path: &Path) -> Result<()> {
    Ok(())
}

#[cfg(unix)]
fn sync_directory(handle: &File) -> Result<()> {
    match handle.sync_all() {
        // Some network file systems do not know the operation on a directory at all and say "invalid argument". Names
        // are then as durable as the server makes them; failing every commit would help nobody.
        Err(error) if error.kind() == std::io::ErrorKind::InvalidInput => Ok(()),
        other => other,
    }
}
