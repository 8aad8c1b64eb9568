//! [`Syncs`]: a storage whose syncs a test counts, holds up, looks in from, and makes fail.
//!
//! Invariant: what the test does in a sync runs on the thread that syncs, before anything is synced; nothing else is changed. So a test
//! waits for causes: for a sync to have begun, and for it to be let go.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use foldb_core::storage::{MemStorage, Storage, StorageError, StorageFile};

type Look = Box<dyn FnOnce() -> Result<(), StorageError> + Send>;

/// A storage above another one, or one of its files. A clone has the same syncs.
///
/// ```
/// use foldb_core::storage::{MemStorage, Storage, StorageError, StorageFile};
/// use foldb_testkit::Syncs;
///
/// let storage = Syncs::new(MemStorage::new());
/// let file = storage.create("log-1")?;
/// let io = || StorageError::Io { name: "log-1".into(), action: "syncing", message: "planted".into() };
/// storage.in_next(move || Err(io()));
/// assert_eq!(file.sync(), Err(io()));
/// file.sync()?;
/// assert_eq!(storage.count(), 2);
/// # Ok::<(), StorageError>(())
/// ```
#[derive(Clone)]
pub struct Syncs<I = MemStorage> {
    inner: I,
    gate: Arc<Gate>,
}

#[derive(Default)]
struct Gate {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// Syncs that have begun.
    count: usize,
    /// Those of them that have not got further than here.
    under_way: usize,
    is_held: bool,
    look: Option<Look>,
}

impl Default for Syncs {
    /// In memory.
    fn default() -> Self {
        Self::new(MemStorage::new())
    }
}

impl<I> Syncs<I> {
    /// Syncs as the storage below does, until something else is asked for.
    pub fn new(inner: I) -> Self {
        Self { inner, gate: Arc::default() }
    }

    /// How many have begun so far.
    pub fn count(&self) -> usize {
        self.gate.state().count
    }

    /// Calls this once, in the next one. What it fails with becomes of the sync, and nothing is synced then.
    pub fn in_next(&self, look: impl FnOnce() -> Result<(), StorageError> + Send + 'static) {
        self.gate.state().look = Some(Box::new(look));
    }

    /// From now on they wait until they are let go.
    pub fn hold(&self) {
        self.gate.state().is_held = true;
    }

    /// Lets go of those that wait, and holds no more.
    pub fn let_go(&self) {
        self.gate.state().is_held = false;
        self.gate.changed.notify_all();
    }

    /// Waits until one has begun that is held.
    pub fn wait_for_one(&self) {
        let state = self.gate.state();
        drop(self.gate.changed.wait_while(state, |state| state.under_way == 0).unwrap_or_else(PoisonError::into_inner));
    }

    fn of<F>(&self, inner: F) -> Syncs<F> {
        Syncs { inner, gate: Arc::clone(&self.gate) }
    }
}

impl Gate {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a sync goes through.
    fn pass(&self) -> Result<(), StorageError> {
        let mut state = self.state();
        state.count += 1;
        state.under_way += 1;
        let look = state.look.take();
        self.changed.notify_all();
        let mut state = self.changed.wait_while(state, |state| state.is_held).unwrap_or_else(PoisonError::into_inner);
        state.under_way -= 1;
        // It may sync itself, or ask for the next look.
        drop(state);
        look.map_or(Ok(()), |look| look())
    }
}

impl<S: Storage> Storage for Syncs<S> {
    type File = Syncs<S::File>;

    fn list(&self) -> Result<Vec<String>, StorageError> {
        self.inner.list()
    }

    fn create(&self, name: &str) -> Result<Self::File, StorageError> {
        self.inner.create(name).map(|file| self.of(file))
    }

    fn open(&self, name: &str) -> Result<Self::File, StorageError> {
        self.inner.open(name).map(|file| self.of(file))
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

impl<F: StorageFile> StorageFile for Syncs<F> {
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
        self.gate.pass()?;
        self.inner.sync()
    }
}
