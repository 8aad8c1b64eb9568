//! What the handles of one open store share, and who owns which part of it.
//!
//! Invariants:
//! - The engine is changed under the lock of [`Core`] only.
//! - Readers never take that lock while what is [published](Published) is as new as they may see.

use alloc::{collections::BTreeMap, string::String, sync::Arc, vec, vec::Vec};
use std::sync::PoisonError;

use litemap::LiteMap;

use super::{
    Durability, Options,
    handed_over::HandedOver,
    hiding::{Hider, Moment},
    metrics::Metrics,
    open_files::OpenFiles,
    published::{Published, Version},
    reader::Reader,
    subscriptions::{Callbacks, End, Feed, OwnFeed},
    turns::Turns,
};
use crate::{
    Error, Result,
    engine::Engine,
    host::Host,
    limits::OPEN_SNAPSHOTS,
    log::{Anchor, AnchorSlot, segment_name, snapshot_name},
    planted::{self, Planted},
    state::{Source, State},
    storage::{Storage, StorageError, StorageFile},
    sync::{AtomicU64, Condvar, Mutex, MutexGuard, Ordering, RwLock},
    tree::{PageRef, PageSource},
};

pub(crate) struct Shared<S: Storage> {
    pub(crate) storage: S,
    pub(crate) host: Arc<dyn Host + Send + Sync>,
    pub(crate) options: Options,
    /// The open epoch of this process; where it only reads, that of the last process that wrote, which goes on. Nothing is decided by it
    /// among threads.
    epoch: AtomicU64,
    /// Where this handle stands in the log, if it only reads.
    pub(crate) reader: Option<Reader>,
    /// The snapshot that this process was opened from: absent leaves are read from it as long as the process lives.
    pub(crate) loaded_generation: Option<u64>,
    /// Snapshots that checkpoints still read, and how many do. Whoever removes a snapshot holds the lock meanwhile.
    pub(crate) pinned: Mutex<BTreeMap<u64, u64>>,
    core: Mutex<Core>,
    wake: Condvar,
    /// What readers may see.
    pub(crate) published: Published<State>,
    pub(crate) files: Files<S>,
    pub(crate) metrics: Metrics,
    /// How often the log was synced: the place of the store is looked at every so many times.
    pub(crate) syncs: AtomicU64,
    /// Who goes next among transactions that were lost.
    pub(crate) turns: Turns,
    /// Who hears of commits. Before the callbacks, which are told of its end.
    pub(crate) feed: OwnFeed,
    pub(crate) callbacks: Callbacks,
    /// Who commits for tasks.
    #[cfg(feature = "async")]
    pub(crate) helper: super::awaited::OwnHelper<S>,
}

/// What only the holder of the lock may touch.
pub(crate) struct Core {
    pub(crate) engine: Engine,
    /// Whether somebody is writing and syncing outside the lock. There is one such leader at a time.
    pub(crate) flushing: bool,
    /// Whether somebody waits until the bytes that are on their way have arrived.
    pub(crate) write_awaited: bool,
    /// Whether a transaction is encoded and not applied: nobody else may commit until it is.
    pub(crate) exclusive: bool,
    /// Whether somebody writes a snapshot.
    pub(crate) snapshotting: bool,
    /// When the oldest commit that no sync has begun for has to be on stable media, in microseconds of the host's clock.
    pub(crate) sync_due: Option<u64>,
    /// The newest anchor, as written.
    pub(crate) anchor: Option<Anchor>,
    /// What each slot holds, as far as it is known to be valid.
    pub(crate) anchors: [Option<Anchor>; 2],
    /// Where the next one goes.
    pub(crate) anchor_slot: AnchorSlot,
    /// The slots whose files this opening has made: they are written over in place. The others are made anew first.
    pub(crate) own_anchors: Vec<AnchorSlot>,
    /// Bytes of log when the newest snapshot was taken.
    pub(crate) log_bytes_at_snapshot: u64,
    /// Seq of the newest snapshot.
    pub(crate) snapshot_seq: u64,
    /// Bytes that were ever given to the log by this process.
    pub(crate) log_bytes: u64,
    /// The generation that the next snapshot gets.
    pub(crate) next_generation: u64,
    /// Seq of the newest durable commit when the timer last found nothing else to do.
    pub(crate) seq_at_tick: u64,
    /// How often the timer has called since an anchor was written.
    pub(crate) ticks_without_anchor: u32,
    /// The newest segment that this opening found, and how much of the file was ever used: the rest is given back as soon as
    /// the log goes on in another one.
    pub(crate) found: Option<(u64, u64)>,
    /// Files that nothing needs; they go once an anchor was written by this process.
    pub(crate) garbage: Vec<String>,
    pub(crate) closed: bool,
    /// Somebody is closing it: no commit begins any more.
    pub(crate) closing: bool,
}

/// The files that an open store reads and writes, kept open within bounds.
pub(crate) struct Files<S: Storage> {
    segments: OpenFiles<S::File>,
    snapshots: OpenFiles<S::File>,
    /// Snapshots that stay open whatever their writer removes: those that states of a store which only reads are made of.
    held: RwLock<LiteMap<u64, Arc<S::File>>>,
    /// How far the storage has the log.
    pub(crate) handed_over: HandedOver,
}

impl<S: Storage> Files<S> {
    pub(crate) fn new(open_segments: usize) -> Self {
        Files {
            segments: OpenFiles::new(open_segments),
            snapshots: OpenFiles::new(OPEN_SNAPSHOTS),
            held: RwLock::default(),
            handed_over: HandedOver::everything(),
        }
    }

    pub(crate) fn insert_segment(&self, number: u64, file: S::File) -> Arc<S::File> {
        self.segments.insert(number, file, |number| self.is_written_to(number))
    }

    pub(crate) fn forget_segment(&self, number: u64) {
        self.segments.forget(number);
    }

    pub(crate) fn forget_snapshot(&self, generation: u64) {
        self.snapshots.forget(generation);
    }

    /// Opens or makes a file. Where there is no handle left for it, those that are only kept for later are given back first.
    pub(crate) fn with_handle<T>(&self, open: impl Fn() -> Result<T, StorageError>) -> Result<T, StorageError> {
        match open() {
            Err(StorageError::TooManyOpen { .. }) => {
                self.segments.give_back(|number| self.is_written_to(number));
                self.snapshots.give_back(|_| false);
                open()
            }
            opened => opened,
        }
    }

    pub(crate) fn segment(&self, storage: &S, number: u64) -> Result<Arc<S::File>> {
        self.segment_file(storage, number).map_err(|error| gone(error, segment_name(number)))
    }

    /// [`segment`](Self::segment), for whoever has to say that a file is missing in the words of a storage.
    pub(crate) fn segment_file(&self, storage: &S, number: u64) -> Result<Arc<S::File>, StorageError> {
        let open = || self.with_handle(|| storage.open(&segment_name(number)));
        self.segments.get(number, |number| self.is_written_to(number), open)
    }

    pub(crate) fn snapshot(&self, storage: &S, generation: u64) -> Result<Arc<S::File>> {
        if let Some(file) = self.held.read().unwrap_or_else(PoisonError::into_inner).get(&generation) {
            return Ok(Arc::clone(file));
        }
        let open = || self.with_handle(|| storage.open(&snapshot_name(generation)));
        self.snapshots.get(generation, |_| false, open).map_err(|error| gone(error, snapshot_name(generation)))
    }

    /// Opens a snapshot and keeps it open until [`Files::hold_only`] lets it go.
    pub(crate) fn hold_snapshot(&self, storage: &S, generation: u64) -> Result<()> {
        let file = self.snapshot(storage, generation)?;
        self.held.write().unwrap_or_else(PoisonError::into_inner).insert(generation, file);
        Ok(())
    }

    /// Lets go of the held snapshots that `is_needed` says nobody reads any more.
    pub(crate) fn hold_only(&self, is_needed: impl Fn(u64) -> bool) {
        let mut held = self.held.write().unwrap_or_else(PoisonError::into_inner);
        let idle: Vec<u64> = held.keys().copied().filter(|generation| !is_needed(*generation)).collect();
        let closed: Vec<_> = idle.iter().filter_map(|generation| held.remove(generation)).collect();
        drop(held);
        drop(closed);
    }

    #[cfg(test)]
    pub(crate) fn held_snapshots(&self) -> usize {
        self.held.read().unwrap_or_else(PoisonError::into_inner).len()
    }

    fn is_written_to(&self, segment: u64) -> bool {
        self.handed_over.is_active(segment)
    }
}

/// A file that an open store needs, and that is not there, is damage and nothing that a caller asked for: `NotFound` would
/// read as if a key or a run did not exist.
fn gone(error: StorageError, file: String) -> Error {
    match error {
        StorageError::Missing { .. } => Error::Corrupt {
            file,
            offset: 0,
            rule: "F-27",
            what: "the file is gone; it was removed while the store was open, and not by the store".into(),
        },
        error => error.into(),
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
        let seq = core.engine.working_state().seq();
        let published = Published::new(seq);
        let feed = OwnFeed(Feed::new(seq, options.durability == Durability::InMemory));
        Shared {
            storage,
            host,
            options,
            epoch: AtomicU64::new(core.engine.epoch()),
            reader: None,
            loaded_generation,
            pinned: Mutex::default(),
            core: Mutex::new(core),
            wake: Condvar::new(),
            published,
            files,
            metrics: Metrics::default(),
            syncs: AtomicU64::new(0),
            turns: Turns::new(),
            feed,
            callbacks: Callbacks::default(),
            #[cfg(feature = "async")]
            helper: super::awaited::OwnHelper(Arc::new(super::awaited::Helper::new())),
        }
    }

    pub(crate) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Relaxed)
    }

    pub(crate) fn set_epoch(&self, epoch: u64) {
        self.epoch.store(epoch, Ordering::Relaxed);
    }

    /// The lock. A thread that panicked while it held the lock did so in code that checks before it changes; the engine
    /// poisons itself where a change was cut short.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn wait<'a>(&self, core: MutexGuard<'a, Core>) -> MutexGuard<'a, Core> {
        self.wake.wait(core).unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes whoever waits for the end of a flush, of a snapshot, or of an exclusive commit: all of them, because each waits
    /// for something else.
    pub(crate) fn wake_all(&self) {
        if planted::active(Planted::OneWoken) {
            self.wake.notify_one();
        } else if !planted::active(Planted::WakeForgotten) {
            self.wake.notify_all();
        }
    }

    /// What a reader with this moment does not see.
    pub(crate) fn hider<'a>(&'a self, moment: &'a Moment) -> Hider<'a> {
        Hider::new(&*self.host, moment, self.options.hide_expired)
    }

    pub(crate) fn is_strict(&self) -> bool {
        self.options.durability == Durability::Strict
    }

    pub(crate) fn is_in_memory(&self) -> bool {
        self.options.durability == Durability::InMemory
    }

    /// The newest state that readers may see.
    pub(crate) fn state(&self) -> Arc<State> {
        self.published.newest_full().unwrap_or_else(|| self.publish())
    }

    /// Runs `read` on the newest state that readers may see, without touching a counter that threads share.
    pub(crate) fn with_state<T>(&self, read: impl FnOnce(&State) -> Result<T>) -> Result<T> {
        {
            let loaded = self.published.load();
            if let Some(state) = self.published.newest(&loaded) {
                return read(state);
            }
        }
        read(&self.publish())
    }

    fn publish(&self) -> Arc<State> {
        let core = self.lock();
        self.published.publish(core.engine.working_state())
    }

    /// The state with every commit in it, also those that readers may not see yet.
    pub(crate) fn working_state(&self) -> Arc<State> {
        Arc::new(self.lock().engine.working_state().clone())
    }

    /// Before the working state changes; `hidden` where the change must not show before it is durable.
    pub(crate) fn before_commit(&self, core: &Core, hidden: bool) {
        self.published.before_commit(core.engine.working_state(), hidden);
    }

    /// After a commit that need not be durable first: it shows now, unless one before it is still hidden.
    pub(crate) fn after_commit(&self, core: &Core) {
        let early = planted::active(Planted::ShownEarly) || planted::active(Planted::ShownBeforeDurable);
        if core.engine.strict_seq() <= core.engine.durable_seq() || early {
            self.published.show(core.engine.working_state());
        }
        self.show_to_subscribers(core);
    }

    fn show_to_subscribers(&self, core: &Core) {
        self.feed.show(self.published.visible(), core.engine.durable_seq());
    }

    /// From now on nothing is accepted; who waits for anything is told.
    pub(crate) fn poison(&self, core: &mut Core, cause: &Error) {
        core.engine.poison(cause);
        self.end_if_poisoned(core);
        self.wake_all();
    }

    /// The engine may have poisoned itself.
    pub(crate) fn end_if_poisoned(&self, core: &Core) {
        if let Err(Error::Poisoned { cause }) = core.engine.check_usable() {
            self.feed.end(End::Poisoned(cause));
        }
    }

    /// After a sync: what is durable shows. `state` is the state as of the synced seq.
    pub(crate) fn after_sync(&self, core: &Core, state: Option<State>) {
        let working = core.engine.working_state();
        if core.engine.strict_seq() <= core.engine.durable_seq() {
            if working.seq() == core.engine.durable_seq() && state.is_some() {
                self.published.show_published(working);
            } else {
                self.published.show(working);
            }
        } else if let Some(state) = state {
            self.published.show_version(state);
        }
        self.show_to_subscribers(core);
    }
}

impl Version for State {
    fn seq(&self) -> u64 {
        State::seq(self)
    }
}

/// So many bytes are read without a look at how long the file is.
const UNASKED_BYTES_MAX: usize = 64 << 10;

/// Reads exactly `len` bytes, or says that the file is too short.
pub(crate) fn read_exact(file: &impl StorageFile, name: &str, offset: u64, len: usize) -> Result<Vec<u8>> {
    // Checked before the allocation: a damaged length must not ask for more memory than there are bytes. What is small costs
    // less than to ask the system for the length of the file.
    let available = if len <= UNASKED_BYTES_MAX { len as u64 } else { file.len()?.saturating_sub(offset) };
    if available < len as u64 {
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
        crate::work::count_bytes(len);
        let end = offset.saturating_add(len as u64);
        if !self.files.handed_over.has(segment, end)
            && let Some(bytes) = self.lock().engine.read_log(segment, offset, len)
        {
            return Ok(bytes);
        }
        let file = self.files.segment(&self.storage, segment)?;
        read_exact(&*file, &segment_name(segment), offset, len)
    }

    fn log_len(&self, segment: u64) -> Result<u64> {
        if let Some(end) = self.reader.as_ref().and_then(|reader| reader.stand().end(segment)) {
            return Ok(end);
        }
        let end = {
            let _core = self.lock();
            self.files.handed_over.end(segment)
        };
        match end {
            Some(end) => Ok(end),
            None => Ok(self.files.segment(&self.storage, segment)?.len()?),
        }
    }
}
