//! The contract between the core and whatever holds its bytes.
//!
//! A store is a flat set of named files. There is no rename, so that a file system, a browser's OPFS, memory and a
//! simulated disk can all keep the same promises. Nothing here decides anything: the engine says what to write and when.
//!
//! Invariant: every sentence of this contract is a case of the conformance suite in `foldb-testkit`, which every
//! backend runs.

use alloc::{string::String, vec::Vec};

mod memory;
mod name;
mod shared;

pub use memory::{MemFile, MemStorage};
pub use name::{FILE_NAME_BYTES_MAX, check_name};

/// Why a backend could not do what it was asked. The variants are told apart because the caller does something
/// different for each.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StorageError {
    /// Another process, worker or handle has the store open.
    #[error("{name} is locked: another process or tab has the store open; close it there, or wait for it to end")]
    Locked {
        /// The store or the file that is locked.
        name: String,
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
    /// The operating system refuses access.
    #[error("no permission while {action} {name}; check the owner and mode of the store's directory")]
    Denied {
        /// The file.
        name: String,
        /// What was being done, as in "opening".
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
