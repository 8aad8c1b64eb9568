//! [`AnyStorage`]: where a [`Store`](crate::Store) has its bytes, so that one type is a store on disk and a store in memory.
//!
//! Invariant: every call goes to the storage inside, unchanged, and so does its answer. Nothing is decided here.

use foldb_core::storage::{MemFile, MemStorage, Storage, StorageError, StorageFile};
use foldb_fs::{FsFile, FsStorage};

/// The storage of a [`Store`](crate::Store): a directory, or memory. A function that takes a store is tested with one in memory.
///
/// What is inside is chosen by one comparison for each call, beside system calls of microseconds. Reads of what is in memory do not come
/// here at all.
#[derive(Debug)]
pub enum AnyStorage {
    /// Files of a directory.
    Directory(FsStorage),
    /// Bytes of this process.
    Memory(MemStorage),
}

/// An open file of [`AnyStorage`].
#[derive(Debug)]
pub enum AnyFile {
    /// A file of a directory.
    Directory(FsFile),
    /// Bytes of this process.
    Memory(MemFile),
}

impl From<FsStorage> for AnyStorage {
    fn from(storage: FsStorage) -> Self {
        AnyStorage::Directory(storage)
    }
}

impl From<MemStorage> for AnyStorage {
    fn from(storage: MemStorage) -> Self {
        AnyStorage::Memory(storage)
    }
}

/// Calls the same method of whichever it is.
macro_rules! forward {
    ($kind:ident, $this:expr, $inside:ident => $call:expr) => {
        match $this {
            $kind::Directory($inside) => $call,
            $kind::Memory($inside) => $call,
        }
    };
}

// A method with a default that is forgotten here would answer for whatever is inside, and wrongly.
#[deny(clippy::missing_trait_methods)]
impl Storage for AnyStorage {
    type File = AnyFile;

    fn list(&self) -> Result<Vec<String>, StorageError> {
        forward!(AnyStorage, self, storage => storage.list())
    }

    fn create(&self, name: &str) -> Result<AnyFile, StorageError> {
        match self {
            AnyStorage::Directory(storage) => storage.create(name).map(AnyFile::Directory),
            AnyStorage::Memory(storage) => storage.create(name).map(AnyFile::Memory),
        }
    }

    fn open(&self, name: &str) -> Result<AnyFile, StorageError> {
        match self {
            AnyStorage::Directory(storage) => Storage::open(storage, name).map(AnyFile::Directory),
            AnyStorage::Memory(storage) => storage.open(name).map(AnyFile::Memory),
        }
    }

    fn remove(&self, name: &str) -> Result<(), StorageError> {
        forward!(AnyStorage, self, storage => storage.remove(name))
    }

    fn check_process(&self) -> Result<(), StorageError> {
        forward!(AnyStorage, self, storage => storage.check_process())
    }

    fn check_place(&self) -> Result<(), StorageError> {
        forward!(AnyStorage, self, storage => storage.check_place())
    }

    fn has_writer(&self) -> Option<bool> {
        forward!(AnyStorage, self, storage => storage.has_writer())
    }
}

#[deny(clippy::missing_trait_methods)]
impl StorageFile for AnyFile {
    fn len(&self) -> Result<u64, StorageError> {
        forward!(AnyFile, self, file => file.len())
    }

    fn is_empty(&self) -> Result<bool, StorageError> {
        forward!(AnyFile, self, file => file.is_empty())
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, StorageError> {
        forward!(AnyFile, self, file => file.read_at(offset, buffer))
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), StorageError> {
        forward!(AnyFile, self, file => file.write_at(offset, bytes))
    }

    fn set_len(&self, len: u64) -> Result<(), StorageError> {
        forward!(AnyFile, self, file => file.set_len(len))
    }

    fn sync(&self) -> Result<(), StorageError> {
        forward!(AnyFile, self, file => file.sync())
    }
}
