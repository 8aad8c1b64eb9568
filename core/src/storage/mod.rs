//! The contract between the core and whatever holds its bytes.
//!
//! A store is a flat set of named files. There is no rename, so that a file system, a browser's OPFS, memory and a
//! simulated disk can all keep the same promises. Nothing here decides anything: the engine says what to write and when.
//!
//! Invariant: every sentence of this contract is a case of the conformance suite in `foldb-testkit`, which every
//! backend runs.

use alloc::{string::String, vec::Vec};
use core::fmt;

mod memory;
mod name;
mod shared;

pub use memory::{MemFile, MemStorage};
pub use name::{FILE_NAME_BYTES_MAX, check_name};

/// Who has the store that somebody else wants to open, as far as the backend can know: what there is to be closed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum LockHolder {
    /// The system says only that there is somebody.
    #[default]
    Unknown,
    /// A process other than this one.
    OtherProcess,
    /// This process: a handle of the store, or something that keeps it open, as a checkpoint does.
    ThisProcess,
    /// A handle that this process got by `fork`: it holds the lock too, whether the process that opened it lives or not.
    Inherited,
}

impl fmt::Display for LockHolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            LockHolder::Unknown => "another process or tab has the store open; close it there, or wait for it to end",
            LockHolder::OtherProcess => "another process has the store open; close it there, or wait for it to end",
            LockHolder::ThisProcess => "this process has the store open already; use that handle, or close it first",
            LockHolder::Inherited => {
                "this process was forked from one that had the store open, and has a copy of its handle; drop the copy \
                 here, and close the store there"
            }
        })
    }
}

/// Why a backend could not do what it was asked. The variants are told apart because the caller does something
/// different for each.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StorageError {
    /// Another process, worker or handle has the store open.
    #[error("{name} is locked: {holder}")]
    Locked {
        /// The store or the file that is locked.
        name: String,
        /// Who has it.
        holder: LockHolder,
    },
    /// The process that asks is not the one that opened the store: it was forked from it. Two that write through copies of
    /// one handle overwrite each other's commits.
    #[error(
        "{name} was opened by another process, which this one was forked from; open the store in the process that uses it"
    )]
    OtherProcess {
        /// The store.
        name: String,
    },
    /// What the store was opened by does not lead to it any more, so its lock keeps nobody out: somebody else may have the
    /// store open by now. Nothing may be written through this handle.
    #[error(
        "{name} is no longer the store that was opened here: {what}; find out what did that, then open the store again"
    )]
    Displaced {
        /// The store.
        name: String,
        /// What was found in its place.
        what: String,
    },
    /// A file that should be new exists already.
    #[error("{name} exists already")]
    Exists {
        /// The file.
        name: String,
    },
    /// No file of this name.
    #[error("{name} does not exist")]
    Missing {
        /// The file.
        name: String,
    },
    /// A name that [`check_name`] refuses.
    #[error("{name:?} cannot be the name of a file in a store: {why}")]
    Name {
        /// The name.
        name: String,
        /// Which part of the rule it breaks.
        why: &'static str,
    },
    /// The medium, or the quota on it, has no room left.
    #[error("no space left while {action} {name}; free some space and try again")]
    Full {
        /// The file.
        name: String,
        /// What was being done, as in "extending".
        action: &'static str,
    },
    /// The backend makes its files asynchronously and has none left that is ready: a browser, whose event loop has to
    /// run first. Nothing was changed.
    #[error(
        "{name} cannot be created right now: no file is ready for it; let the event loop run (await something) and try again"
    )]
    NotReady {
        /// The file.
        name: String,
    },
    /// The process, or the whole system, has as many files open as it may. Nothing was changed.
    #[error(
        "too many files are open while {action} {name}; raise the limit (`ulimit -n`), or close other files, and try again"
    )]
    TooManyOpen {
        /// The file.
        name: String,
        /// What was being done, as in "opening".
        action: &'static str,
    },
    /// The operating system refuses access.
    #[error("no permission while {action} {name}; check the owner and mode of the store's directory")]
    Denied {
        /// The file.
        name: String,
        /// What was being done, as in "opening".
        action: &'static str,
    },
    /// The storage was opened for reading only, so nothing is made, changed, removed or synced through it.
    #[error("{name} was opened for reading only, so {action} it is not possible; open the store to write")]
    ReadOnly {
        /// The file.
        name: String,
        /// What was asked for, as in "writing".
        action: &'static str,
    },
    /// Anything else that the device or the system reported, and short or empty reads and writes.
    #[error("input/output error while {action} {name}: {message}")]
    Io {
        /// The file.
        name: String,
        /// What was being done, as in "reading".
        action: &'static str,
        /// The system's own words.
        message: String,
    },
}

/// A flat set of named files that one owner holds exclusively from opening to drop.
///
/// - A created name is durable when a [`StorageFile::sync`] of that file has returned, through whichever handle.
/// - A removed name may come back after a crash, with the bytes that were last synced.
/// - Dropping a file or the storage promises nothing about bytes that were not synced.
/// - Files are independent: a sync of one says nothing about the bytes of another, and what was not synced may reach
///   the medium in any order, in part, or not at all.
/// - Names follow [`check_name`]; any other is [`StorageError::Name`].
///
/// Methods take `&self`, and implementations allow calls from several handles at once where their handles can be
/// shared at all. Nothing here is `Send` by contract, because a browser's file handles are not.
pub trait Storage {
    /// An open file of this storage. Several handles of one file see the same bytes.
    type File: StorageFile;

    /// The names of all files, each once, in no particular order: callers must not depend on the order. A file that
    /// the store did not make may be among them, also under a name that [`check_name`] refuses; callers ignore what
    /// they do not know.
    fn list(&self) -> Result<Vec<String>, StorageError>;

    /// Creates an empty file and opens it. [`StorageError::Exists`] if there is one of this name.
    fn create(&self, name: &str) -> Result<Self::File, StorageError>;

    /// Opens an existing file. [`StorageError::Missing`] if there is none of this name.
    fn open(&self, name: &str) -> Result<Self::File, StorageError>;

    /// Removes a file. [`StorageError::Missing`] if there is none. Every handle of it should have been dropped before:
    /// some backends refuse otherwise.
    fn remove(&self, name: &str) -> Result<(), StorageError>;

    /// Whether the process that asks is the one that opened the storage; else [`StorageError::OtherProcess`]. `fork` copies
    /// handles, buffers and the right to the lock, and no thread: two processes would write over each other through one
    /// handle, and a buffer that a timer should sync is never synced in the child. Reading stays allowed.
    ///
    /// The driver asks before every commit, before it takes a lock that a thread of the parent may hold for ever. So this
    /// makes no system call. A backend for which there is no `fork` has nothing to answer.
    fn check_process(&self) -> Result<(), StorageError> {
        Ok(())
    }

    /// Whether what the storage was opened by still leads to it; else [`StorageError::Displaced`]. A lock is a name: somebody
    /// who removes it, or puts another directory in the place of this one, lets a second owner in while this one goes on.
    ///
    /// The driver asks when the log goes on in a new segment, before and after a snapshot is written, at a close, from its
    /// timer, and after every few syncs; what was found ends the handle. It may cost a system call. Where the system does not
    /// let the backend know, the answer is `Ok`: to end a store that is in order is worse than to notice later. A backend
    /// whose names cannot be taken away while it has them open has nothing to answer.
    fn check_place(&self) -> Result<(), StorageError> {
        Ok(())
    }

    /// Whether somebody has the store open to write, where the backend can see that without taking the lock; `None` where it cannot
    /// know. Only a store that is opened for reading asks, and decides nothing by it but how a run is shown that is open in the
    /// log: open, or left behind by a process that is gone.
    fn has_writer(&self) -> Option<bool> {
        None
    }
}

/// One file: positioned reads and writes, length, sync.
pub trait StorageFile {
    /// Length in bytes.
    fn len(&self) -> Result<u64, StorageError>;

    /// Whether the file has no bytes.
    fn is_empty(&self) -> Result<bool, StorageError> {
        Ok(self.len()? == 0)
    }

    /// Reads into `buffer` from `offset`, looping over short reads, and returns how many bytes were read: all of
    /// `buffer`, or fewer only where the file ends. A short or empty read inside the file's length is
    /// [`StorageError::Io`], never an end of file: that mistake would turn a failing device into lost commits.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, StorageError>;

    /// Writes all of `bytes` at `offset`, looping over short writes; the file grows as needed, and a gap reads as zeros.
    /// A system call that writes zero of them is [`StorageError::Io`], not a reason to try for ever. Writing an empty
    /// slice changes nothing.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), StorageError>;

    /// Sets the length. New bytes read as zeros, also where bytes were cut off before. A backend that can reserve the
    /// space does so, and reports [`StorageError::Full`] here, with the length unchanged, rather than at a later write.
    fn set_len(&self, len: u64) -> Result<(), StorageError>;

    /// Returns when all bytes written and the length are on stable media (and, the first time, the file's name). After
    /// an error nothing written since the last good sync may be assumed to be there.
    fn sync(&self) -> Result<(), StorageError>;
}
