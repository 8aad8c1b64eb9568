//! [`PlatformStorage`]: wherever the bytes are, as one type.
//!
//! Invariant: it adds nothing. A storage is chosen at run time so that the driver over it is compiled, and shipped, once.

use foldb_core::storage::{MemFile, MemStorage, Storage, StorageError, StorageFile};

use crate::node::{NodeFile, NodeStorage};

/// The storage of a store.
pub enum PlatformStorage {
    /// Memory of the module.
    Memory(MemStorage),
    /// A directory, through the functions that the package passes in.
    Node(NodeStorage),
    /// A directory of the origin private file system.
    #[cfg(target_family = "wasm")]
    Opfs(foldb_web::OpfsStorage),
}

/// A file of a [`PlatformStorage`].
pub enum PlatformFile {
    /// Memory of the module.
    Memory(MemFile),
    /// A file of a directory.
    Node(NodeFile),
    /// A file of the origin private file system.
    #[cfg(target_family = "wasm")]
    Opfs(foldb_web::OpfsFile),
}

impl Storage for PlatformStorage {
    type File = PlatformFile;

    fn list(&self) -> Result<Vec<String>, StorageError> {
        match self {
            PlatformStorage::Memory(storage) => storage.list(),
            PlatformStorage::Node(storage) => storage.list(),
            #[cfg(target_family = "wasm")]
            PlatformStorage::Opfs(storage) => storage.list(),
        }
    }

    fn create(&self, name: &str) -> Result<PlatformFile, StorageError> {
        match self {
            PlatformStorage::Memory(storage) => storage.create(name).map(PlatformFile::Memory),
            PlatformStorage::Node(storage) => storage.create(name).map(PlatformFile::Node),
            #[cfg(target_family = "wasm")]
            PlatformStorage::Opfs(storage) => storage.create(name).map(PlatformFile::Opfs),
        }
    }

    fn open(&self, name: &str) -> Result<PlatformFile, StorageError> {
        match self {
            PlatformStorage::Memory(storage) => storage.open(name).map(PlatformFile::Memory),
            PlatformStorage::Node(storage) => storage.open(name).map(PlatformFile::Node),
            #[cfg(target_family = "wasm")]
            PlatformStorage::Opfs(storage) => storage.open(name).map(PlatformFile::Opfs),
        }
    }

    fn remove(&self, name: &str) -> Result<(), StorageError> {
        match self {
            PlatformStorage::Memory(storage) => storage.remove(name),
            PlatformStorage::Node(storage) => storage.remove(name),
            #[cfg(target_family = "wasm")]
            PlatformStorage::Opfs(storage) => storage.remove(name),
        }
    }

    fn check_process(&self) -> Result<(), StorageError> {
        match self {
            PlatformStorage::Memory(storage) => storage.check_process(),
            PlatformStorage::Node(storage) => storage.check_process(),
            #[cfg(target_family = "wasm")]
            PlatformStorage::Opfs(storage) => storage.check_process(),
        }
    }

    fn check_place(&self) -> Result<(), StorageError> {
        match self {
            PlatformStorage::Memory(storage) => storage.check_place(),
            PlatformStorage::Node(storage) => storage.check_place(),
            #[cfg(target_family = "wasm")]
            PlatformStorage::Opfs(storage) => storage.check_place(),
        }
    }
}

/// Gives the call to whichever file it is.
macro_rules! each {
    ($this:expr, $file:ident => $call:expr) => {
        match $this {
            PlatformFile::Memory($file) => $call,
            PlatformFile::Node($file) => $call,
            #[cfg(target_family = "wasm")]
            PlatformFile::Opfs($file) => $call,
        }
    };
}

impl StorageFile for PlatformFile {
    fn len(&self) -> Result<u64, StorageError> {
        each!(self, file => file.len())
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, StorageError> {
        each!(self, file => file.read_at(offset, buffer))
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), StorageError> {
        each!(self, file => file.write_at(offset, bytes))
    }

    fn set_len(&self, len: u64) -> Result<(), StorageError> {
        each!(self, file => file.set_len(len))
    }

    fn sync(&self) -> Result<(), StorageError> {
        each!(self, file => file.sync())
    }
}
