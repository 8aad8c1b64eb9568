//! [`CrashStorage`]: the live side of the disk, as the store under test sees it.
//!
//! Invariant: the live files and the journal change together, under one lock: folding the journal over the initial
//! image, with everything surviving, gives the live files.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use foldb_core::storage::{Storage, StorageError, StorageFile, check_name};

use super::{
    contents::{Contents, wide},
    fates::CrashPoint,
    fault::{Effect, Failure, Fault, Faults, OperationKind},
    image::Image,
    journal::{Action, FileId, Operation},
    medium::Medium,
};

/// A storage that remembers every operation. A clone is another handle of the same disk, held by the same process.
#[derive(Clone, Default)]
pub struct CrashStorage {
    disk: Arc<Mutex<Disk>>,
    process: Process,
}

/// Whoever holds handles of the disk. Once it is dead, nothing that it still tries reaches the disk: destructors of a
/// store under test run, but as if they never had.
#[derive(Clone, Default)]
struct Process {
    dead: Arc<AtomicBool>,
}

impl Process {
    fn check(&self, name: &str) -> Result<(), StorageError> {
        if self.dead.load(Ordering::Relaxed) {
            let message = String::from("the process that held the handle is dead");
            return Err(StorageError::Io { name: name.into(), action: "using a handle of", message });
        }
        Ok(())
    }
}

/// An open file of a [`CrashStorage`].
#[derive(Clone)]
pub struct CrashFile {
    disk: Arc<Mutex<Disk>>,
    process: Process,
    id: FileId,
    name: Arc<str>,
}

#[derive(Default)]
struct Disk {
    initial: Image,
    names: BTreeMap<Arc<str>, FileId>,
    /// By id. Files without a name stay: handles may be open.
    files: Vec<Contents>,
    journal: Vec<Operation>,
    faults: Faults,
    capacity: Option<u64>,
}

impl CrashStorage {
    /// An empty disk.
    pub fn new() -> Self {
        Self::default()
    }

    /// A disk with these files, all of them durable.
    pub fn from_image(image: &Image) -> Self {
        let names = image.files.keys().cloned().enumerate().map(|(number, name)| (name, FileId(number)));
        let disk = Disk {
            initial: image.clone(),
            names: names.collect(),
            files: image.files.values().cloned().collect(),
            ..Disk::default()
        };
        Self { disk: Arc::new(Mutex::new(disk)), process: Process::default() }
    }

    /// The process dies: whatever this handle, its clones and their files are asked from now on fails, and nothing of it
    /// reaches the disk. What was written stays as it is, synced or not: the machine goes on.
    pub fn kill_process(&self) {
        self.process.dead.store(true, Ordering::Relaxed);
    }

    /// A handle of the same disk for another process: it sees what was written, synced or not, as page caches show it.
    pub fn next_process(&self) -> Self {
        Self { disk: Arc::clone(&self.disk), process: Process::default() }
    }

    /// Plans a failure.
    pub fn inject(&self, fault: Fault) {
        self.with(|disk| disk.faults.inject(fault));
    }

    /// Forgets all planned failures.
    pub fn clear_faults(&self) {
        self.with(|disk| disk.faults.clear());
    }

    /// How often each class of failure has happened. A test that enables a class and finds it missing here has tested
    /// nothing.
    pub fn faults_fired(&self) -> BTreeMap<(OperationKind, Failure), u64> {
        self.with(|disk| disk.faults.fired().clone())
    }

    /// From now on, what would make all files together longer than so many bytes is [`StorageError::Full`].
    pub fn limit_capacity(&self, bytes: Option<u64>) {
        self.with(|disk| disk.capacity = bytes);
    }

    /// A disk as it was after the first `count` operations, for another process: what was not synced by then is still in the
    /// page cache, and still pending. What the store that goes on with it does follows in its journal.
    pub fn as_of(&self, count: usize) -> Self {
        let disk = self.with(|disk| {
            let Self { disk: earlier, .. } = Self::from_image(&disk.initial);
            let mut earlier = Arc::into_inner(earlier).map(Mutex::into_inner).and_then(Result::ok).unwrap_or_default();
            for operation in disk.journal.iter().take(count) {
                earlier.again(operation);
            }
            earlier
        });
        Self { disk: Arc::new(Mutex::new(disk)), process: Process::default() }
    }

    /// Whether anything was asked of the disk that can change what is on it. A sync alone keeps what was there.
    pub fn is_changed(&self) -> bool {
        let changes = |operation: &Operation| !matches!(operation.action, Action::Sync | Action::SyncFailed);
        self.with(|disk| disk.journal.iter().any(changes))
    }

    /// How many operations the journal has. Taken before and after a call of the store, it tells between which
    /// operations the call happened.
    pub fn operation_count(&self) -> usize {
        self.with(|disk| disk.journal.len())
    }

    /// The journal so far.
    pub fn operations(&self) -> Vec<Operation> {
        self.with(|disk| disk.journal.clone())
    }

    /// The moment after the first `count` operations. A crash within the next one is this moment for a sync, a create or
    /// a remove, and the moment after it with a [`Fate`](super::Fate) for a write.
    pub fn crash_point(&self, count: usize) -> CrashPoint {
        self.with(|disk| {
            let mut medium = Medium::new(&disk.initial);
            for (index, operation) in disk.journal.iter().take(count).enumerate() {
                medium.apply(index, operation);
            }
            CrashPoint::new(medium)
        })
    }

    /// The moments before the first operation, after each, and after the last. Cheaper than asking for each one.
    pub fn crash_points(&self) -> impl Iterator<Item = CrashPoint> {
        let (mut medium, journal) = self.with(|disk| (Medium::new(&disk.initial), disk.journal.clone()));
        (0..=journal.len()).map(move |count| {
            if let Some(index) = count.checked_sub(1) {
                medium.apply(index, &journal[index]);
            }
            CrashPoint::new(medium.clone())
        })
    }

    /// The files as whoever has the disk open sees them now.
    pub fn live_image(&self) -> Image {
        self.with(|disk| {
            let live = disk.names.iter().map(|(name, id)| (name.clone(), disk.files[id.0].clone()));
            Image { files: live.collect() }
        })
    }

    fn with<R>(&self, look: impl FnOnce(&mut Disk) -> R) -> R {
        look(&mut self.disk.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn file(&self, id: FileId, name: Arc<str>) -> CrashFile {
        CrashFile { disk: Arc::clone(&self.disk), process: self.process.clone(), id, name }
    }
}

impl Disk {
    /// Does `work` unless a fault strikes; with one, does as much of it as the fault lets through, and fails.
    fn attempt<R>(
        &mut self,
        kind: OperationKind,
        name: &str,
        work: impl FnOnce(&mut Self, Option<usize>) -> Result<R, StorageError>,
    ) -> Result<R, StorageError> {
        match self.faults.strike(kind, name) {
            None => work(self, None),
            Some((error, effect)) => {
                match effect {
                    Effect::Nothing => {}
                    Effect::Prefix(bytes) if kind == OperationKind::Write => drop(work(self, Some(bytes))),
                    Effect::Prefix(_) => {}
                    Effect::Whole => drop(work(self, None)),
                }
                Err(error)
            }
        }
    }

    fn record(&mut self, file: FileId, name: &Arc<str>, action: Action) {
        self.journal.push(Operation { file, name: Arc::clone(name), action });
    }

    /// Does an operation of another disk's journal.
    fn again(&mut self, operation: &Operation) {
        match &operation.action {
            Action::Create => {
                self.files.push(Contents::default());
                self.names.insert(Arc::clone(&operation.name), operation.file);
            }
            Action::Remove => drop(self.names.remove(&operation.name)),
            Action::Write { offset, bytes } => self.files[operation.file.0].write(*offset, bytes),
            Action::SetLen { len } => self.files[operation.file.0].set_len(*len),
            Action::Sync | Action::SyncFailed => {}
        }
        self.journal.push(operation.clone());
    }

    fn create(&mut self, name: &str) -> Result<(FileId, Arc<str>), StorageError> {
        if self.names.contains_key(name) {
            return Err(StorageError::Exists { name: name.into() });
        }
        let id = FileId(self.files.len());
        self.files.push(Contents::default());
        let name: Arc<str> = name.into();
        self.names.insert(Arc::clone(&name), id);
        self.record(id, &name, Action::Create);
        Ok((id, name))
    }

    fn remove(&mut self, name: &str) -> Result<(), StorageError> {
        let (name, id) = self.names.remove_entry(name).ok_or_else(|| StorageError::Missing { name: name.into() })?;
        self.record(id, &name, Action::Remove);
        Ok(())
    }

    fn write(&mut self, id: FileId, name: &Arc<str>, offset: u64, bytes: &[u8]) -> Result<(), StorageError> {
        let end = offset.checked_add(wide(bytes.len()));
        let full = || StorageError::Full { name: name.to_string(), action: "writing" };
        self.check_room(id, end.ok_or_else(full)?).map_err(|()| full())?;
        if !bytes.is_empty() {
            self.files[id.0].write(offset, bytes);
            self.record(id, name, Action::Write { offset, bytes: bytes.into() });
        }
        Ok(())
    }

    fn set_len(&mut self, id: FileId, name: &Arc<str>, len: u64) -> Result<(), StorageError> {
        self.check_room(id, len).map_err(|()| StorageError::Full { name: name.to_string(), action: "extending" })?;
        self.files[id.0].set_len(len);
        self.record(id, name, Action::SetLen { len });
        Ok(())
    }

    /// Whether the file may be so long.
    fn check_room(&self, id: FileId, len: u64) -> Result<(), ()> {
        let Some(capacity) = self.capacity else { return Ok(()) };
        let own = self.files[id.0].len();
        let all: u64 = self.names.values().map(|id| self.files[id.0].len()).sum();
        if len > own && all.saturating_add(len - own) > capacity { Err(()) } else { Ok(()) }
    }
}

impl Storage for CrashStorage {
    type File = CrashFile;

    fn list(&self) -> Result<Vec<String>, StorageError> {
        self.process.check("the disk")?;
        self.with(|disk| {
            disk.attempt(OperationKind::List, "", |disk, _| {
                Ok(disk.names.keys().map(|name| name.to_string()).collect())
            })
        })
    }

    fn create(&self, name: &str) -> Result<CrashFile, StorageError> {
        check_name(name)?;
        self.process.check(name)?;
        let (id, name) = self.with(|disk| disk.attempt(OperationKind::Create, name, |disk, _| disk.create(name)))?;
        Ok(self.file(id, name))
    }

    fn open(&self, name: &str) -> Result<CrashFile, StorageError> {
        check_name(name)?;
        self.process.check(name)?;
        let missing = || StorageError::Missing { name: name.into() };
        let find = |disk: &mut Disk, _| {
            disk.names.get_key_value(name).map(|(name, id)| (*id, Arc::clone(name))).ok_or_else(missing)
        };
        let (id, name) = self.with(|disk| disk.attempt(OperationKind::Open, name, find))?;
        Ok(self.file(id, name))
    }

    fn remove(&self, name: &str) -> Result<(), StorageError> {
        check_name(name)?;
        self.process.check(name)?;
        self.with(|disk| disk.attempt(OperationKind::Remove, name, |disk, _| disk.remove(name)))
    }
}

impl CrashFile {
    fn attempt<R>(
        &self,
        kind: OperationKind,
        work: impl FnOnce(&mut Disk, Option<usize>) -> Result<R, StorageError>,
    ) -> Result<R, StorageError> {
        self.process.check(&self.name)?;
        self.disk.lock().unwrap_or_else(PoisonError::into_inner).attempt(kind, &self.name, work)
    }
}

impl StorageFile for CrashFile {
    fn len(&self) -> Result<u64, StorageError> {
        self.attempt(OperationKind::Len, |disk, _| Ok(disk.files[self.id.0].len()))
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, StorageError> {
        self.attempt(OperationKind::Read, |disk, _| Ok(disk.files[self.id.0].read(offset, buffer)))
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), StorageError> {
        self.attempt(OperationKind::Write, |disk, prefix| {
            if disk.faults.loses(&self.name) {
                return Ok(());
            }
            let count = prefix.map_or(bytes.len(), |prefix| prefix.min(bytes.len()));
            disk.write(self.id, &self.name, offset, &bytes[..count])
        })
    }

    fn set_len(&self, len: u64) -> Result<(), StorageError> {
        self.attempt(OperationKind::SetLen, |disk, _| disk.set_len(self.id, &self.name, len))
    }

    fn sync(&self) -> Result<(), StorageError> {
        self.process.check(&self.name)?;
        let mut reached = false;
        let result = self.attempt(OperationKind::Sync, |disk, _| {
            reached = true;
            disk.record(self.id, &self.name, Action::Sync);
            Ok(())
        });
        if result.is_err() && !reached {
            let mut disk = self.disk.lock().unwrap_or_else(PoisonError::into_inner);
            disk.record(self.id, &self.name, Action::SyncFailed);
        }
        result
    }
}

impl fmt::Debug for CrashStorage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CrashStorage").field("files", &self.live_image()).finish_non_exhaustive()
    }
}

impl fmt::Debug for CrashFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CrashFile").field("name", &self.name).finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "storage_tests.rs"]
mod tests;
