//! Checkpoints: the files of an open store as of one moment, for a copy that opens as a store of its own.
//!
//! Invariant: what a checkpoint lists does not change while commits go on. Segments are listed up to where they were
//! durable (what is behind is never read, what is before is never written again), anchors are held in memory, snapshots
//! stay until nobody reads them any more. A copy of it is a store that was closed cleanly, but for the snapshot that
//! closing may write.

use alloc::{
    collections::BTreeMap,
    string::{String, ToString},
    sync::Arc,
    vec,
    vec::Vec,
};
use std::sync::PoisonError;

use super::{
    Db,
    reader::{Reader, never_at_rest},
    shared::{Core, Shared},
};
use crate::{
    Error, Result, StoreId,
    log::{ANCHOR_BYTES, AnchorSlot, parse_segment_name, parse_snapshot_name, segment_name, snapshot_name},
    storage::{Storage, StorageError, StorageFile},
    sync::MutexGuard,
};

/// How often a snapshot may go while a reader lists the files.
const READER_ATTEMPTS: usize = 16;

/// The files of a store as of one moment: see [`Db::checkpoint`].
///
/// It keeps the store's files, and so the store's lock, until it is dropped, also when the [`Db`] was closed before.
pub struct Checkpoint<S: Storage> {
    shared: Arc<Shared<S>>,
    /// Known by its address: files of another checkpoint may be gone, or be of another store.
    owner: Arc<()>,
    store: Option<StoreId>,
    seq: u64,
    files: Vec<CheckpointFile>,
    /// Snapshots that somebody else may remove meanwhile.
    held: Vec<(u64, Arc<S::File>)>,
}

/// One file of a [`Checkpoint`], to be read through that one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckpointFile {
    owner: Arc<()>,
    name: String,
    len: u64,
    place: Place,
}

/// Where the bytes of a file are.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    Segment(u64),
    Snapshot(u64),
    /// Written over in place as the store goes on, so the bytes are kept here.
    Anchor(Vec<u8>),
}

impl CheckpointFile {
    /// The name of the file.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How many bytes of it belong to the checkpoint. The file may have more.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether no byte of it belongs to the checkpoint.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

impl<S: Storage> Db<S> {
    /// Syncs everything that was committed, says so in the log, and lists the files that are the store at this moment. A
    /// copy of them, made while commits go on, opens as a store with everything up to [`Checkpoint::seq`].
    ///
    /// Fails with [`Error::Unsupported`] for a store in memory that keeps no log, with [`Error::Poisoned`] after a failed
    /// write, and with the storage's errors.
    ///
    /// Cost: a sync, and a look at the length of each file. Copying is the caller's.
    ///
    /// ```
    /// # extern crate foldb_core as foldb;
    /// let db = foldb::Db::memory();
    /// db.kv().put("key", "value")?;
    /// let checkpoint = db.checkpoint()?;
    /// assert_eq!(checkpoint.seq(), 1);
    /// db.kv().put("later", "not in the checkpoint")?;
    /// let bytes: u64 = checkpoint.files().iter().map(|file| file.len()).sum();
    /// assert!(bytes > 0);
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    pub fn checkpoint(&self) -> Result<Checkpoint<S>> {
        Checkpoint::new(&self.shared)
    }
}

impl<S: Storage> Checkpoint<S> {
    fn new(shared: &Arc<Shared<S>>) -> Result<Self> {
        if shared.is_in_memory() {
            return Err(Error::Unsupported {
                what: "a checkpoint",
                why: "the store was opened in memory and has no log; open it buffered or strict".into(),
            });
        }
        if let Some(reader) = &shared.reader {
            return Self::of_reader(shared, reader);
        }
        let _delivering = shared.feed.delivering();
        let core = shared.settle()?;
        // Held while files are listed and pinned: whoever removes old snapshots holds it too.
        let mut pinned = shared.pinned();
        let owner = Arc::new(());
        let files = shared.list_files(&core, &owner)?;
        // Nothing was created yet: the id would be another one at the next opening.
        let store = (!files.is_empty()).then(|| core.engine.store());
        let seq = core.engine.durable_seq();
        for file in &files {
            if let Place::Snapshot(generation) = file.place {
                *pinned.entry(generation).or_default() += 1;
            }
        }
        drop(pinned);
        drop(core);
        Ok(Checkpoint { shared: Arc::clone(shared), owner, store, seq, files, held: Vec::new() })
    }

    /// The files as a store that only reads has seen them last: up to the last whole transaction, durable or not. A copy opens as a
    /// store that a crash has left so.
    fn of_reader(shared: &Arc<Shared<S>>, reader: &Reader) -> Result<Self> {
        let owner = Arc::new(());
        let file = |name, len, place| CheckpointFile { owner: Arc::clone(&owner), name, len, place };
        for _ in 0..READER_ATTEMPTS {
            let stand = reader.stand();
            let (mut files, mut held, mut is_gone) = (Vec::new(), Vec::new(), false);
            for generation in stand.snapshots() {
                match shared.storage.open(&snapshot_name(generation)) {
                    Ok(snapshot) => {
                        files.push(file(snapshot_name(generation), snapshot.len()?, Place::Snapshot(generation)));
                        held.push((generation, Arc::new(snapshot)));
                    }
                    // The writer has removed it since.
                    Err(StorageError::Missing { .. }) => is_gone = true,
                    Err(error) => return Err(error.into()),
                }
            }
            if is_gone {
                shared.refresh(reader)?;
                continue;
            }
            files.extend(
                stand.ends.iter().map(|(number, end)| file(segment_name(*number), *end, Place::Segment(*number))),
            );
            let anchors = stand.anchors.iter();
            files.extend(
                anchors.map(|(name, bytes)| file(name.clone(), bytes.len() as u64, Place::Anchor(bytes.clone()))),
            );
            let (store, seq) = (Some(stand.store()), stand.seq);
            return Ok(Checkpoint { shared: Arc::clone(shared), owner: Arc::clone(&owner), store, seq, files, held });
        }
        Err(never_at_rest())
    }

    /// The store's id; `None` for a store that nothing was ever committed to, which has no files either.
    pub fn store(&self) -> Option<StoreId> {
        self.store
    }

    /// Seq of the last commit in it.
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// The files: snapshots, then segments, oldest first, then anchors. Copied in this order, and each synced before the
    /// next, a copy that was interrupted does not open as a store with less in it.
    pub fn files(&self) -> &[CheckpointFile] {
        &self.files
    }

    /// Reads from `offset` of a file on: all of `buffer`, or fewer bytes only where the file's part of the checkpoint
    /// ends. Returns how many bytes were read.
    ///
    /// Fails with [`Error::Invalid`] for a file of another checkpoint, and with the storage's errors.
    pub fn read_at(&self, file: &CheckpointFile, offset: u64, buffer: &mut [u8]) -> Result<usize> {
        if !Arc::ptr_eq(&self.owner, &file.owner) {
            return Err(Error::Invalid { what: "file", why: "it is of another checkpoint".into() });
        }
        let left = usize::try_from(file.len.saturating_sub(offset)).unwrap_or(usize::MAX);
        let count = left.min(buffer.len());
        let wanted = buffer.get_mut(..count).unwrap_or_default();
        if wanted.is_empty() {
            return Ok(0);
        }
        let shared = &*self.shared;
        let read = match &file.place {
            Place::Segment(number) => shared.files.segment(&shared.storage, *number)?.read_at(offset, wanted)?,
            Place::Snapshot(generation) => match self.held.iter().find(|(held, _)| held == generation) {
                Some((_, file)) => file.read_at(offset, wanted)?,
                None => shared.files.snapshot(&shared.storage, *generation)?.read_at(offset, wanted)?,
            },
            Place::Anchor(bytes) => {
                let from = usize::try_from(offset).unwrap_or(usize::MAX);
                let bytes = bytes.get(from..).and_then(|rest| rest.get(..count)).unwrap_or_default();
                wanted.get_mut(..bytes.len()).unwrap_or_default().copy_from_slice(bytes);
                bytes.len()
            }
        };
        if read == count {
            return Ok(read);
        }
        Err(StorageError::Io {
            name: file.name.clone(),
            action: "reading",
            message: alloc::format!("it has {read} of {count} bytes at offset {offset}; it was changed from outside"),
        }
        .into())
    }
}

impl<S: Storage> Drop for Checkpoint<S> {
    fn drop(&mut self) {
        if !self.held.is_empty() {
            return;
        }
        let mut pinned = self.shared.pinned();
        for file in &self.files {
            if let Place::Snapshot(generation) = file.place
                && let Some(count) = pinned.get_mut(&generation)
            {
                *count -= 1;
                if *count == 0 {
                    pinned.remove(&generation);
                }
            }
        }
    }
}

impl<S: Storage> core::fmt::Debug for Checkpoint<S> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Checkpoint").field("seq", &self.seq).field("files", &self.files).finish_non_exhaustive()
    }
}

impl<S: Storage> Shared<S> {
    /// The lock, with everything durable, log and anchors saying so, and nothing under way.
    fn settle(&self) -> Result<MutexGuard<'_, Core>> {
        self.check_process()?;
        let mut core = self.lock();
        loop {
            core.engine.check_usable()?;
            if core.closed {
                return Err(super::closed("a checkpoint"));
            }
            if core.flushing || core.exclusive {
                core = self.wait(core);
            } else if core.engine.is_dirty() || core.engine.pending_bytes() > 0 {
                core = self.flush(core, true)?;
            } else if !core.engine.is_marked() {
                core = self.mark(core)?;
            } else {
                self.settle_anchors(&mut core)?;
                return Ok(core);
            }
        }
    }

    /// The snapshots that checkpoints read.
    pub(crate) fn pinned(&self) -> MutexGuard<'_, BTreeMap<u64, u64>> {
        self.pinned.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The files that are the store, given that everything is durable and nothing is written meanwhile.
    fn list_files(&self, core: &Core, owner: &Arc<()>) -> Result<Vec<CheckpointFile>> {
        let Some(anchor) = core.anchor else { return Ok(Vec::new()) };
        let names = self.storage.list()?;
        let file = |name, len, place| CheckpointFile { owner: Arc::clone(owner), name, len, place };
        let is_needed = |name: &String| !core.garbage.contains(name);
        let numbers = |parse: fn(&str) -> Option<u64>| {
            let mut numbers: Vec<u64> =
                names.iter().filter(|name| is_needed(name)).filter_map(|name| parse(name)).collect();
            numbers.sort_unstable();
            numbers
        };
        let mut files = Vec::new();
        // One that is newer than the anchor says is being written.
        let newest_snapshot = anchor.newest_snapshot.unwrap_or(0);
        for generation in numbers(parse_snapshot_name).into_iter().filter(|number| *number <= newest_snapshot) {
            let len = self.files.snapshot(&self.storage, generation)?.len()?;
            files.push(file(snapshot_name(generation), len, Place::Snapshot(generation)));
        }
        let active = core.engine.active_segment();
        let newest_segment = active.map_or(u64::MAX, |(number, _)| number).max(anchor.newest_segment);
        let needed = anchor.oldest_segment..=newest_segment;
        for number in numbers(parse_segment_name).into_iter().filter(|number| needed.contains(number)) {
            let len = match active {
                Some((active, end)) if active == number => end,
                _ => self.files.segment(&self.storage, number)?.len()?,
            };
            files.push(file(segment_name(number), len, Place::Segment(number)));
        }
        for slot in AnchorSlot::BOTH {
            if let Some(bytes) = self.anchor_bytes(slot)? {
                let len = bytes.len() as u64;
                files.push(file(slot.name().to_string(), len, Place::Anchor(bytes)));
            }
        }
        Ok(files)
    }

    /// The bytes of an anchor, or of what is left of one.
    fn anchor_bytes(&self, slot: AnchorSlot) -> Result<Option<Vec<u8>>> {
        let file = match self.storage.open(slot.name()) {
            Err(StorageError::Missing { .. }) => return Ok(None),
            opened => opened?,
        };
        let mut bytes = vec![0; ANCHOR_BYTES];
        let read = file.read_at(0, &mut bytes)?;
        bytes.truncate(read);
        Ok(Some(bytes))
    }
}
