//! [`Beside`]: the files of a store as its reader or its writer has them, while somebody else goes on in between.
//!
//! Invariant: a reader changes nothing, or the test ends; what happens in between happens before each operation that reads, of a reader,
//! and before each operation that changes something and in the middle of each write, of a writer.

use alloc::{string::String, sync::Arc, vec::Vec};
use std::sync::Mutex;

use crate::storage::{MemFile, MemStorage, Storage, StorageError, StorageFile};

/// What happens in between. It goes to the files by another way, so it does not come here again.
pub(super) type Between = Arc<Mutex<dyn FnMut() + Send>>;

/// Files, or one of them.
#[derive(Clone)]
pub(super) struct Beside<I = MemStorage> {
    inner: I,
    who: Who,
    between: Option<Between>,
}

#[derive(Clone, Copy, PartialEq)]
enum Who {
    Reader,
    Writer,
}

impl Beside {
    /// A reader's, beside whom nobody does anything.
    pub(super) fn reader(inner: &MemStorage) -> Self {
        Beside { inner: inner.clone(), who: Who::Reader, between: None }
    }

    pub(super) fn reader_with(inner: &MemStorage, between: Between) -> Self {
        Beside { inner: inner.clone(), who: Who::Reader, between: Some(between) }
    }

    pub(super) fn writer_with(inner: &MemStorage, between: Between) -> Self {
        Beside { inner: inner.clone(), who: Who::Writer, between: Some(between) }
    }

    fn file(&self, inner: MemFile) -> Beside<MemFile> {
        Beside { inner, who: self.who, between: self.between.clone() }
    }
}

impl<I> Beside<I> {
    fn go_on(&self) {
        if let Some(between) = &self.between {
            (between.lock().unwrap())();
        }
    }

    /// Before an operation that reads.
    fn reads(&self) {
        if self.who == Who::Reader {
            self.go_on();
        }
    }

    /// Before an operation that changes something.
    fn changes(&self, what: &str) {
        assert!(self.who == Who::Writer, "a reader {what}");
        self.go_on();
    }
}

impl Storage for Beside {
    type File = Beside<MemFile>;

    fn list(&self) -> Result<Vec<String>, StorageError> {
        self.reads();
        self.inner.list()
    }

    fn create(&self, name: &str) -> Result<Self::File, StorageError> {
        self.changes("made a file");
        self.inner.create(name).map(|file| self.file(file))
    }

    fn open(&self, name: &str) -> Result<Self::File, StorageError> {
        self.reads();
        self.inner.open(name).map(|file| self.file(file))
    }

    fn remove(&self, name: &str) -> Result<(), StorageError> {
        self.changes("removed a file");
        self.inner.remove(name)
    }
}

impl StorageFile for Beside<MemFile> {
    fn len(&self) -> Result<u64, StorageError> {
        self.reads();
        self.inner.len()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, StorageError> {
        self.reads();
        self.inner.read_at(offset, buffer)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), StorageError> {
        self.changes("wrote");
        let half = bytes.len() / 2;
        self.inner.write_at(offset, &bytes[..half])?;
        self.go_on();
        self.inner.write_at(offset + half as u64, &bytes[half..])
    }

    fn set_len(&self, len: u64) -> Result<(), StorageError> {
        self.changes("changed a length");
        self.inner.set_len(len)
    }

    fn sync(&self) -> Result<(), StorageError> {
        self.changes("synced");
        self.inner.sync()
    }
}
