//! What the handles of one open store share, and who owns which part of it.
//!
//! Invariants:
//! - The engine is changed under the lock of [`Core`] only.
//! - Readers never take that lock while `published` is as new as `visible`.
//! - `visible` names a seq only after a state of at least that seq can be had.

use alloc::{collections::BTreeMap, sync::Arc, vec, vec::Vec};
use core::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError, RwLock};

use arc_swap::ArcSwapOption;

use super::{Durability, Options, metrics::Metrics};
use crate::{
    Error, Result,
    engine::Engine,
    host::Host,
    log::{Anchor, AnchorSlot, segment_name, snapshot_name},
    state::{Source, State},
    storage::{Storage, StorageFile},
    tree::{PageRef, PageSource},
};

pub(crate) struct Shared<S: Storage> {
    pub(crate) storage: S,
    pub(crate) host: Arc<dyn Host + Send + Sync>,
    pub(crate) options: Options,
    /// The open epoch of this process.
    pub(crate) epoch: u64,
    /// The snapshot that this process was opened from: absent leaves are read from it as long as the process lives.
    pub(crate) loaded_generation: Option<u64>,
    /// Snapshots that checkpoints still read, and how many do. Whoever removes a snapshot holds the lock meanwhile.
    pub(crate) pinned: Mutex<BTreeMap<u64, u64>>,
    core: Mutex<Core>,
    pub(crate) wake: Condvar,
    /// The newest state that readers may see, or `None` until one asks for it. Writers take it back before they change
    /// the working state: as long as nobody reads, nothing is shared and every change is made in place.
    pub(crate) published: ArcSwapOption<State>,
    /// Seq of the newest commit that readers may see.
    pub(crate) visible: AtomicU64,
    pub(crate) files: Files<S>,
    pub(crate) metrics: Metrics,
}

/// What only the holder of the lock may touch.
pub(crate) struct Core {
    pub(crate) engine: Engine,
    /// Whether somebody is writing and syncing outside the lock. There is one such leader at a time.
    pub(crate) flushing: bool,
    /// Whether a transaction is encoded and not applied: nobody else may commit until it is.
    pub(crate) exclusive: bool,
    /// Whether somebody writes a snapshot.
    pub(crate) snapshotting: bool,
    /// The newest anchor, as written.
    pub(crate) anchor: Option<Anchor>,
    /// Where the next one goes.
    pub(crate) anchor_slot: AnchorSlot,
    /// Bytes of log when the newest snapshot was taken.
    pub(crate) log_bytes_at_snapshot: u64,
    /// Bytes that were ever given to the log by this process.
    pub(crate) log_bytes: u64,
    /// The generation that the next snapshot gets.
    pub(crate) next_generation: u64,
    /// Files that nothing needs; they go once an anchor was written by this process.
    pub(crate) garbage: Vec<alloc::string::String>,
    pub(crate) closed: bool,
}

/// The open files of a store.
pub(crate) struct Files<S: Storage> {
    segments: RwLock<BTreeMap<u64, Arc<S::File>>>,
    snapshots: RwLock<BTreeMap<u64, Arc<S::File>>>,
    /// Everything of older segments, and of this one up to `written_offset`, is with the storage.
    written_segment: AtomicU64,
    written_offset: AtomicU64,
}

impl<S: Storage> Files<S> {
    pub(crate) fn new() -> Self {
        Files {
            segments: RwLock::default(),
            snapshots: RwLock::default(),
            written_segment: AtomicU64::new(u64::MAX),
            written_offset: AtomicU64::new(0),
        }
    }

    pub(crate) fn insert_segment(&self, number: u64, file: S::File) -> Arc<S::File> {
        let file = Arc::new(file);
        self.segments.write().unwrap_or_else(PoisonError::into_inner).insert(number, Arc::clone(&file));
        file
    }

    pub(crate) fn forget_segment(&self, number: u64) {
        self.segments.write().unwrap_or_else(PoisonError::into_inner).remove(&number);
    }

    pub(crate) fn insert_snapshot(&self, generation: u64, file: S::File) {
        self.snapshots.write().unwrap_or_else(PoisonError::into_inner).insert(generation, Arc::new(file));
    }

    pub(crate) fn forget_snapshot(&self, generation: u64) {
        self.snapshots.write().unwrap_or_else(PoisonError::into_inner).remove(&generation);
    }

    /// Says how far the storage has the active segment. Called by the one who writes, after the write.
    pub(crate) fn written(&self, segment: u64, offset: u64) {
        // Offset first: a reader that sees the new segment must not see the old segment's offset with it.
        if self.written_segment.load(Ordering::Acquire) != segment {
            self.written_offset.store(0, Ordering::Release);
            self.written_segment.store(segment, Ordering::Release);
        }
        self.written_offset.store(offset, Ordering::Release);
    }

    /// How far the storage has a segment; `None` where it has all of it.
    fn written_end(&self, segment: u64) -> Option<u64> {
        let active = self.written_segment.load(Ordering::Acquire);
        (segment >= active).then(|| self.written_offset.load(Ordering::Acquire))
    }

    fn is_written(&self, segment: u64, end: u64) -> bool {
        let active = self.written_segment.load(Ordering::Acquire);
        segment < active || (segment == active && end <= self.written_offset.load(Ordering::Acquire))
    }

    pub(crate) fn segment(&self, storage: &S, number: u64) -> Result<Arc<S::File>> {
        if let Some(file) = self.segments.read().unwrap_or_else(PoisonError::into_inner).get(&number) {
            return Ok(Arc::clone(file));
        }
        Ok(self.insert_segment(number, storage.open(&segment_name(number))?))
    }

    pub(crate) fn snapshot(&self, storage: &S, generation: u64) -> Result<Arc<S::File>> {
        if let Some(file) = self.snapshots.read().unwrap_or_else(PoisonError::into_inner).get(&generation) {
            return Ok(Arc::clone(file));
        }
        self.insert_snapshot(generation, storage.open(&snapshot_name(generation))?);
        self.snapshot(storage, generation)
    }
}

impl<S: Storage> Shared<S> {
    pub(crate) fn new(
        storage: S,
        host: Arc<dyn Host + Send + Sync>,
        options: Options,
        core: Core,
        files: Files<S>,
        loaded_generation: Option<u64>,
    ) -> Self {
        let visible = AtomicU64::new(core.engine.working_state().seq());
        Shared {
            storage,
            host,
            options,
            epoch: core.engine.epoch(),
            loaded_generation,
            pinned: Mutex::default(),
            core: Mutex::new(core),
            wake: Condvar::new(),
            published: ArcSwapOption::empty(),
            visible,
            files,
            metrics: Metrics::default(),
        }
    }

    /// The lock. A thread that panicked while it held the lock did so in code that checks before it changes; the engine
    /// poisons itself where a change was cut short.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn wait<'a>(&self, core: MutexGuard<'a, Core>) -> MutexGuard<'a, Core> {
        self.wake.wait(core).unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn is_strict(&self) -> bool {
        self.options.durability == Durability::Strict
    }

    pub(crate) fn is_in_memory(&self) -> bool {
        self.options.durability == Durability::InMemory
    }

    /// The newest state that readers may see.
    pub(crate) fn state(&self) -> Arc<State> {
        if let Some(state) = self.published.load_full()
            && state.seq() >= self.visible.load(Ordering::Acquire)
        {
            return state;
        }
        self.publish()
    }

    /// Runs `read` on the newest state that readers may see, without touching a counter that threads share.
    pub(crate) fn with_state<T>(&self, read: impl FnOnce(&State) -> Result<T>) -> Result<T> {
        {
            let published = self.published.load();
            if let Some(state) = published.as_ref()
                && state.seq() >= self.visible.load(Ordering::Acquire)
            {
                return read(state);
            }
        }
        read(&self.publish())
    }

    /// Publishes the working state for readers: a handful of counters, no copy.
    fn publish(&self) -> Arc<State> {
        let core = self.lock();
        let visible = self.visible.load(Ordering::Acquire);
        if let Some(state) = self.published.load_full()
            && state.seq() >= visible
        {
            return state;
        }
        // Where the working state is ahead of what readers may see, what they may see stays published (see
        // `before_commit`), and this line is not reached.
        debug_assert_eq!(core.engine.working_state().seq(), visible, "what is visible can be had");
        let state = Arc::new(core.engine.working_state().clone());
        self.published.store(Some(Arc::clone(&state)));
        state
    }

    /// Before the working state changes: keeps what readers may see where the change must stay hidden, and takes it back
    /// where the change shows at once, so that it can be made in place.
    pub(crate) fn before_commit(&self, core: &Core, hidden: bool) {
        let visible = self.visible.load(Ordering::Acquire);
        let is_current = core.engine.working_state().seq() == visible;
        if !is_current {
            return;
        }
        if !hidden {
            // Looking is much cheaper than storing, and mostly nobody has asked for a state since the last commit.
            if self.published.load().is_some() {
                self.published.store(None);
            }
        } else if self.published.load().as_ref().is_none_or(|state| state.seq() < visible) {
            self.published.store(Some(Arc::new(core.engine.working_state().clone())));
        }
    }

    /// After a commit that need not be durable first: it shows now, unless one before it is still hidden.
    pub(crate) fn after_commit(&self, core: &Core) {
        if core.engine.strict_seq() <= core.engine.durable_seq() {
            self.visible.store(core.engine.working_state().seq(), Ordering::Release);
        }
    }

    /// After a sync: what is durable shows. `state` is the state as of the synced seq.
    pub(crate) fn after_sync(&self, core: &Core, state: Option<State>) {
        let working = core.engine.working_state();
        if core.engine.strict_seq() <= core.engine.durable_seq() {
            if working.seq() == core.engine.durable_seq() && state.is_some() {
                self.published.store(Some(Arc::new(working.clone())));
            }
            self.visible.store(working.seq(), Ordering::Release);
        } else if let Some(state) = state {
            let seq = state.seq();
            self.published.store(Some(Arc::new(state)));
            self.visible.store(seq, Ordering::Release);
        }
    }
}

/// Reads exactly `len` bytes, or says that the file is too short.
pub(crate) fn read_exact(file: &impl StorageFile, name: &str, offset: u64, len: usize) -> Result<Vec<u8>> {
    let available = file.len()?.saturating_sub(offset);
    if available < len as u64 {
        // Checked before the allocation: a damaged length must not ask for more memory than there are bytes.
        return Err(too_short(name, offset, len, available));
    }
    let mut bytes = vec![0; len];
    let read = file.read_at(offset, &mut bytes)?;
    if read < len {
        return Err(too_short(name, offset, len, read as u64));
    }
    Ok(bytes)
}

fn too_short(name: &str, offset: u64, len: usize, found: u64) -> Error {
    Error::Corrupt {
        file: name.into(),
        offset,
        rule: "F-32",
        what: alloc::format!("{len} bytes are referred to and the file has {found} from there"),
    }
}

/// Reads pages of a storage's snapshots.
pub(crate) struct StoragePages<'a, S: Storage> {
    pub(crate) storage: &'a S,
    pub(crate) files: &'a Files<S>,
}

impl<S: Storage> PageSource for StoragePages<'_, S> {
    fn page(&self, at: &PageRef) -> Result<Vec<u8>> {
        let file = self.files.snapshot(self.storage, at.generation)?;
        let len = usize::try_from(at.len).unwrap_or(usize::MAX);
        read_exact(&*file, &snapshot_name(at.generation), at.offset, len)
    }
}

impl<S: Storage> PageSource for Shared<S> {
    fn page(&self, at: &PageRef) -> Result<Vec<u8>> {
        StoragePages { storage: &self.storage, files: &self.files }.page(at)
    }
}

impl<S: Storage> Source for Shared<S> {
    fn log_bytes(&self, segment: u64, offset: u64, len: usize) -> Result<Vec<u8>> {
        let end = offset.saturating_add(len as u64);
        if !self.files.is_written(segment, end)
            && let Some(bytes) = self.lock().engine.read_log(segment, offset, len)
        {
            return Ok(bytes);
        }
        let file = self.files.segment(&self.storage, segment)?;
        read_exact(&*file, &segment_name(segment), offset, len)
    }

    fn log_len(&self, segment: u64) -> Result<u64> {
        match self.files.written_end(segment) {
            Some(end) => Ok(end),
            None => Ok(self.files.segment(&self.storage, segment)?.len()?),
        }
    }
}
