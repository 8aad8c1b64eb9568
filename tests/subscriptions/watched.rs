//! [`Watched`]: a storage in memory that lets a test look in while it syncs.
//!
//! Invariant: what the test does then runs on the thread that syncs, in the middle of its sync; nothing else is changed.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use foldb::storage::{MemFile, MemStorage, Storage, StorageError, StorageFile};

type Look = Box<dyn FnMut() -> Result<(), StorageError> + Send>;

#[derive(Clone, Default)]
pub(crate) struct Watched {
    inner: MemStorage,
    look: Arc<Mutex<Option<Look>>>,
    syncs: Arc<AtomicUsize>,
}

pub(crate) struct WatchedFile {
    inner: MemFile,
    look: Arc<Mutex<Option<Look>>>,
    syncs: Arc<AtomicUsize>,
}

impl Watched {
    /// Calls this once, in the next sync. What it returns becomes of the sync.
    pub(crate) fn in_next_sync(&self, look: impl FnMut() -> Result<(), StorageError> + Send + 'static) {
        *self.look.lock().unwrap() = Some(Box::new(look));
    }

    fn file(&self, inner: MemFile) -> WatchedFile {
        WatchedFile { inner, look: Arc::clone(&self.look), syncs: Arc::clone(&self.syncs) }
    }

    /// How many syncs there were so far.
    pub(crate) fn syncs(&self) -> usize {
        self.syncs.load(Ordering::SeqCst)
    }
}

impl Storage for Watched {
    type File = WatchedFile;

    fn list(&self) -> Result<Vec<String>, StorageError> {
        self.inner.list()
    }

    fn create(&self, name: &str) -> Result<WatchedFile, StorageError> {
        self.inner.create(name).map(|file| self.file(file))
    }

    fn open(&self, name: &str) -> Result<WatchedFile, StorageError> {
        self.inner.open(name).map(|file| self.file(file))
    }

    fn remove(&self, name: &str) -> Result<(), StorageError> {
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
        self.inner.write_at(offset, bytes)
    }

    fn set_len(&self, len: u64) -> Result<(), StorageError> {
        self.inner.set_len(len)
    }

    fn sync(&self) -> Result<(), StorageError> {
        self.syncs.fetch_add(1, Ordering::SeqCst);
        let look = self.look.lock().unwrap().take();
        look.map_or(Ok(()), |mut look| look())?;
        self.inner.sync()
    }
}
