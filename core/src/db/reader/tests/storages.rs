//! Storages for tests of readers: one that may not be touched, and ones that let somebody else go on in between.

use alloc::{string::String, sync::Arc, vec::Vec};
use std::sync::Mutex;

use crate::storage::{MemFile, MemStorage, Storage, StorageError, StorageFile};

/// What happens before an operation of a storage.
pub(super) type Between = Arc<Mutex<dyn FnMut() + Send>>;

/// Files that are only read: everything else panics. Before every operation somebody else may go on.
#[derive(Clone)]
pub(super) struct Silent {
    inner: MemStorage,
    between: Option<Between>,
}

pub(super) struct SilentFile {
    inner: MemFile,
    between: Option<Between>,
}

fn go_on(between: Option<&Between>) {
    if let Some(between) = between {
        // What happens in between does not come here again: it goes to the files by another way.
        (between.lock().unwrap())();
    }
}

impl Silent {
    pub(super) fn new(inner: &MemStorage) -> Self {
        Silent { inner: inner.clone(), between: None }
    }

    pub(super) fn with_between(inner: &MemStorage, between: Between) -> Self {
        Silent { inner: inner.clone(), between: Some(between) }
    }
}

impl Storage for Silent {
    type File = SilentFile;

    fn list(&self) -> Result<Vec<String>, StorageError> {
        go_on(self.between.as_ref());
        self.inner.list()
    }

    fn create(&self, name: &str) -> Result<SilentFile, StorageError> {
        panic!("a reader made {name}")
    }

    fn open(&self, name: &str) -> Result<SilentFile, StorageError> {
        go_on(self.between.as_ref());
        Ok(SilentFile { inner: self.inner.open(name)?, between: self.between.clone() })
    }

    fn remove(&self, name: &str) -> Result<(), StorageError> {
        panic!("a reader removed {name}")
    }
}

impl StorageFile for SilentFile {
    fn len(&self) -> Result<u64, StorageError> {
        go_on(self.between.as_ref());
        self.inner.len()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, StorageError> {
        go_on(self.between.as_ref());
        self.inner.read_at(offset, buffer)
    }

    fn write_at(&self, _: u64, _: &[u8]) -> Result<(), StorageError> {
        panic!("a reader wrote")
    }

    fn set_len(&self, _: u64) -> Result<(), StorageError> {
        panic!("a reader changed a length")
    }

    fn sync(&self) -> Result<(), StorageError> {
        panic!("a reader synced")
    }
}

/// The files of a writer: somebody looks before each operation that changes something, and in the middle of each write.
#[derive(Clone)]
pub(super) struct Watched {
    inner: MemStorage,
    between: Between,
}

pub(super) struct WatchedFile {
    inner: MemFile,
    between: Between,
}

impl Watched {
    pub(super) fn new(inner: &MemStorage, between: Between) -> Self {
        Watched { inner: inner.clone(), between }
    }
}

impl Storage for Watched {
    type File = WatchedFile;

    fn list(&self) -> Result<Vec<String>, StorageError> {
        self.inner.list()
    }

    fn create(&self, name: &str) -> Result<WatchedFile, StorageError> {
        go_on(Some(&self.between));
        Ok(WatchedFile { inner: self.inner.create(name)?, between: Arc::clone(&self.between) })
    }

    fn open(&self, name: &str) -> Result<WatchedFile, StorageError> {
        Ok(WatchedFile { inner: self.inner.open(name)?, between: Arc::clone(&self.between) })
    }

    fn remove(&self, name: &str) -> Result<(), StorageError> {
        go_on(Some(&self.between));
        self.inner.remove(name)
    }
}

impl StorageFile for WatchedFile {
    fn len(&self) -> Result<u64, StorageError> {
        self.inner.len()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, StorageError> {
        self.inner.read_at(offset, buffer)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), StorageError> {
        go_on(Some(&self.between));
        let half = bytes.len() / 2;
        self.inner.write_at(offset, &bytes[..half])?;
        go_on(Some(&self.between));
        self.inner.write_at(offset + half as u64, &bytes[half..])
    }

    fn set_len(&self, len: u64) -> Result<(), StorageError> {
        go_on(Some(&self.between));
        self.inner.set_len(len)
    }

    fn sync(&self) -> Result<(), StorageError> {
        go_on(Some(&self.between));
        self.inner.sync()
    }
}
