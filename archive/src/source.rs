//! What is exported: an open store by its checkpoint, or a closed one.
//!
//! Invariant: a source stays as it is while it is read. The exporter checks that nevertheless. Rule F-58.

use std::cell::RefCell;

use foldb_core::{
    Checkpoint, Error, StoreId,
    host::SteppedHost,
    log::snapshot_name,
    recovery::{ProgressCallback, RecoverySettings, recover},
    storage::{Storage, StorageError, StorageFile},
    tree::{PageRef, PageSource},
};

use crate::{Result, manifest::rank, wide};

/// The files of a store at one moment.
pub trait Source {
    /// The store's id; `None` where nothing was ever committed, and there are no files.
    fn store(&self) -> Option<StoreId>;

    /// Seq of the last commit in the files.
    fn seq(&self) -> u64;

    /// Names and lengths, in the order of an archive: snapshots, segments, anchors.
    fn files(&self) -> Vec<(String, u64)>;

    /// Reads from `offset` of the file at `index` on, and returns how many bytes that were: all of `buffer`, or fewer at
    /// the end of the file.
    fn read_at(&self, index: usize, offset: u64, buffer: &mut [u8]) -> Result<usize>;
}

impl<S: Storage> Source for Checkpoint<S> {
    fn store(&self) -> Option<StoreId> {
        Checkpoint::store(self)
    }

    fn seq(&self) -> u64 {
        Checkpoint::seq(self)
    }

    fn files(&self) -> Vec<(String, u64)> {
        Checkpoint::files(self).iter().map(|file| (file.name().to_owned(), file.len())).collect()
    }

    fn read_at(&self, index: usize, offset: u64, buffer: &mut [u8]) -> Result<usize> {
        let Some(file) = Checkpoint::files(self).get(index) else { return Ok(0) };
        Ok(Checkpoint::read_at(self, file, offset, buffer)?)
    }
}

/// A store that nobody has open, as it lies in its storage: after a crash with its torn tail and its reserved space, byte
/// for byte. An import of it recovers to what opening the original would.
///
/// Whoever makes one holds the storage, and so its lock. Nothing is written.
pub struct ClosedStore<S: Storage> {
    storage: S,
    store: Option<StoreId>,
    seq: u64,
    files: Vec<(String, u64)>,
    /// The file that was read last, kept open: files are read from end to end, one after the other.
    open: RefCell<Option<(usize, S::File)>>,
}

impl<S: Storage> ClosedStore<S> {
    /// Looks at the store in a storage as opening it would, without writing anything.
    ///
    /// Fails where opening would fail, so that an archive never is a copy of a broken store: with
    /// [`Error::Corrupt`], [`Error::NotAStore`] and so on. A damaged store is copied by copying its files.
    ///
    /// Cost: that of opening the store.
    pub fn new(storage: S, progress: ProgressCallback<'_>) -> Result<Self> {
        let (store, seq) = look(&storage, false, progress)?;
        let mut names = storage.list()?;
        names.retain(|name| rank(name).is_some());
        names.sort_by_key(|name| rank(name));
        // What an interrupted creation left is no store yet (rule F-30): the next opening makes another id.
        if store.is_none() {
            names.clear();
        }
        let mut files = Vec::with_capacity(names.len());
        for name in names {
            let len = storage.open(&name)?.len()?;
            files.push((name, len));
        }
        Ok(ClosedStore { storage, store, seq, files, open: RefCell::new(None) })
    }

    /// The storage again.
    pub fn into_storage(self) -> S {
        self.storage
    }
}

impl<S: Storage> Source for ClosedStore<S> {
    fn store(&self) -> Option<StoreId> {
        self.store
    }

    fn seq(&self) -> u64 {
        self.seq
    }

    fn files(&self) -> Vec<(String, u64)> {
        self.files.clone()
    }

    fn read_at(&self, index: usize, offset: u64, buffer: &mut [u8]) -> Result<usize> {
        let Some((name, _)) = self.files.get(index) else { return Ok(0) };
        let mut open = self.open.borrow_mut();
        if open.as_ref().is_none_or(|(other, _)| *other != index) {
            *open = None;
            *open = Some((index, self.storage.open(name)?));
        }
        match open.as_ref() {
            Some((_, file)) => Ok(file.read_at(offset, buffer)?),
            None => Ok(0),
        }
    }
}

impl<S: Storage> std::fmt::Debug for ClosedStore<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClosedStore").field("seq", &self.seq).field("files", &self.files).finish_non_exhaustive()
    }
}

/// Recovers the store in a storage without writing: its id, and the seq of its last commit. `importing` passes over the
/// mark of an unfinished import.
pub(crate) fn look<S: Storage>(
    storage: &S,
    importing: bool,
    progress: ProgressCallback<'_>,
) -> Result<(Option<StoreId>, u64)> {
    let settings = RecoverySettings { importing, ..RecoverySettings::default() };
    // The host is asked for nothing but how long the phases took, which nobody looks at here.
    let recovered = recover(storage, &SteppedHost::new(0), &Pages(storage), settings, progress)?;
    Ok((recovered.survey.store, recovered.report.seq))
}

/// Reads pages of a storage's snapshots.
struct Pages<'a, S>(&'a S);

impl<S: Storage> PageSource for Pages<'_, S> {
    fn page(&self, at: &PageRef) -> foldb_core::Result<Vec<u8>> {
        let name = snapshot_name(at.generation);
        let file = self.0.open(&name)?;
        let len = usize::try_from(at.len).unwrap_or(usize::MAX);
        let found = file.len()?.saturating_sub(at.offset);
        if found < u64::from(at.len) {
            let what = format!("a page of {len} bytes is referred to, and the file has {found} from there");
            return Err(Error::Corrupt { file: name, offset: at.offset, rule: "F-47", what });
        }
        let mut page = vec![0; len];
        let read = file.read_at(at.offset, &mut page)?;
        if read < page.len() {
            let message = format!("{} of {} bytes came", wide(read), wide(page.len()));
            return Err(StorageError::Io { name, action: "reading", message }.into());
        }
        Ok(page)
    }
}
