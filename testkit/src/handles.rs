//! [`Handles`]: a storage that counts its open handles, and has no more of them than it is told.
//!
//! Invariant: what is counted is what a system would count: a handle from opening or creating it until it is dropped. Without
//! one, nothing is opened and nothing is created.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use foldb_core::storage::{Storage, StorageError, StorageFile};

/// A storage above another one. A clone counts with it.
///
/// ```
/// use foldb_core::storage::{MemStorage, Storage, StorageError};
/// use foldb_testkit::Handles;
///
/// let storage = Handles::new(MemStorage::new());
/// let first = storage.create("log-1")?;
/// storage.allow(1);
/// assert!(matches!(storage.create("log-2"), Err(StorageError::TooManyOpen { .. })));
/// drop(first);
/// assert_eq!((storage.open_now(), storage.most()), (0, 1));
/// # Ok::<(), StorageError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Handles<S> {
    inner: S,
    count: Arc<Count>,
}

/// An open file of a [`Handles`].
#[derive(Debug)]
pub struct CountedFile<F> {
    inner: F,
    /// Behind the file: it is counted until it is closed.
    _one: One,
}

#[derive(Debug)]
struct Count {
    open: AtomicUsize,
    most: AtomicUsize,
    allowed: AtomicUsize,
}

impl<S> Handles<S> {
    /// Counts the handles of a storage, and allows as many as anybody wants.
    pub fn new(inner: S) -> Self {
        let (open, most, allowed) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(usize::MAX));
        Self { inner, count: Arc::new(Count { open, most, allowed }) }
    }

    /// From now on no handle is given that would be more than this many.
    pub fn allow(&self, handles: usize) {
        self.count.allowed.store(handles, Ordering::SeqCst);
    }

    /// How many are open.
    pub fn open_now(&self) -> usize {
        self.count.open.load(Ordering::SeqCst)
    }

    /// How many were open at once since the last time that this was asked.
    pub fn most(&self) -> usize {
        self.count.most.swap(self.open_now(), Ordering::SeqCst)
    }

    fn counted<F>(
        &self,
        name: &str,
        action: &'static str,
        open: impl FnOnce() -> Result<F, StorageError>,
    ) -> Result<CountedFile<F>, StorageError> {
        let before = self.count.open.fetch_add(1, Ordering::SeqCst);
        let one = One(Arc::clone(&self.count));
        if before >= self.count.allowed.load(Ordering::SeqCst) {
            return Err(StorageError::TooManyOpen { name: name.into(), action });
        }
        let inner = open()?;
        self.count.most.fetch_max(before + 1, Ordering::SeqCst);
        Ok(CountedFile { inner, _one: one })
    }
}

/// A handle, there or on its way.
#[derive(Debug)]
struct One(Arc<Count>);

impl Drop for One {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::SeqCst);
    }
}

impl<S: Storage> Storage for Handles<S> {
    type File = CountedFile<S::File>;

    fn list(&self) -> Result<Vec<String>, StorageError> {
        self.inner.list()
    }

    fn create(&self, name: &str) -> Result<Self::File, StorageError> {
        self.counted(name, "creating", || self.inner.create(name))
    }

    fn open(&self, name: &str) -> Result<Self::File, StorageError> {
        self.counted(name, "opening", || self.inner.open(name))
    }

    fn remove(&self, name: &str) -> Result<(), StorageError> {
        self.inner.remove(name)
    }

    fn check_process(&self) -> Result<(), StorageError> {
        self.inner.check_process()
    }

    fn check_place(&self) -> Result<(), StorageError> {
        self.inner.check_place()
    }
}

impl<F: StorageFile> StorageFile for CountedFile<F> {
    fn len(&self) -> Result<u64, StorageError> {
        self.inner.len()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, StorageError> {
        self.inner.read_at(offset, buffer)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), StorageError> {
        self.inner.write_at(offset, bytes)
    }

    fn set_len(&self, len: u64) -> Result<(), StorageError> {
        self.inner.set_len(len)
    }

    fn sync(&self) -> Result<(), StorageError> {
        self.inner.sync()
    }
}
