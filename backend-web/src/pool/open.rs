//! Opening a pool: the lock, the files, what their headers say.
//!
//! Invariants:
//! - Nothing is read before the file `owner` is held, so two openers never look at one pool at the same time.
//! - What a crash has left is settled here (rule 5 of `docs/platform.md`, "The pool's files"): a half-made file is the next
//!   to be made, a half-removed one is removed, a destroyed store is gone. A damaged file is left as it is.
//! - A store of which only damage is left is never taken for one that was not there.

use std::rc::Rc;

use foldb_core::{
    Error, ErrorKind, Result,
    storage::{LockHolder, StorageError},
};
use litemap::LiteMap;

use super::{
    AccessHandle, Directory, Failure, PoolStorage,
    directory::Owned,
    slot::{Adopted, Slot},
    storage::Files,
};

/// The file whose exclusive handle stands for the whole store. It is empty, but for one that is being destroyed.
const OWNER: &str = "owner";
/// What the names of pool files begin with; a decimal number follows.
const PREFIX: &str = "pool-";

/// How to open a store.
#[derive(Clone, Debug)]
pub struct OpenOptions {
    pub(crate) create: bool,
    ready: usize,
    lock_wait_millis: u32,
}

impl Default for OpenOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl OpenOptions {
    /// The defaults: create what is not there, 8 files ready, 2 s of waiting for the lock.
    pub fn new() -> Self {
        OpenOptions { create: true, ready: 8, lock_wait_millis: 2000 }
    }

    /// Whether a store that is not there is made (default) or [`StorageError::Missing`].
    #[must_use]
    pub fn create(mut self, create: bool) -> Self {
        self.create = create;
        self
    }

    /// How many files are kept ready to be given a name, at least. Default 8: with segments of 64 MiB that is half a
    /// gigabyte of log before the event loop has to run once. A file that is ready costs 4 KiB and an open handle.
    #[must_use]
    pub fn ready(mut self, files: usize) -> Self {
        self.ready = files.max(1);
        self
    }

    /// How long to try for when another owner has the store, in milliseconds. Default 2000: a browser may release the
    /// locks of a worker only a second after it has ended it.
    #[must_use]
    pub fn lock_wait_millis(mut self, millis: u32) -> Self {
        self.lock_wait_millis = millis;
        self
    }
}

/// What was found when a store was opened.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Opening {
    /// Whether there was no file of a store. An app that has been here before, and finds this, knows that the browser has
    /// evicted its data (or that the user has cleared it): this is not its first visit.
    pub created: bool,
    /// The pool files whose headers are damaged, by name. They are left alone; if one of them held a file that the store
    /// needs, recovery says which.
    pub damaged: Vec<String>,
}

impl<D: Directory> PoolStorage<D> {
    /// Opens the pool in a directory; `name` is what messages call the store.
    ///
    /// # Errors
    ///
    /// - [`StorageError::Locked`]: somebody else has it, and had it for as long as `options` say to wait.
    /// - [`StorageError::Full`], [`StorageError::Denied`], [`StorageError::Io`]: as the directory reports.
    /// - [`Error::Newer`]: a newer version of foldb has made one of the pool files.
    /// - [`Error::Corrupt`]: there are pool files with damaged headers and none that carries a file of the store. Nothing is
    ///   changed.
    pub async fn open_in(directory: D, name: &str, options: &OpenOptions) -> Result<Self> {
        let directory = Rc::new(directory);
        let failed = |failure: Failure| failure.into_error(name, "opening");
        let owner = own(&*directory, name, true, options.lock_wait_millis).await?;
        let mut numbers = numbers(&*directory).await.map_err(failed)?;
        if owner.len().map_err(failed)? > 0 {
            // It was being destroyed. What is left of it is not a store.
            remove_all(&*directory, &numbers, options.lock_wait_millis).await.map_err(failed)?;
            numbers.clear();
            owner.truncate(0).and_then(|()| owner.flush()).map_err(failed)?;
        }
        let names: Vec<String> = numbers.iter().map(|number| pool_name(*number)).collect();
        let handles = open_all(&*directory, name, &names, false, options.lock_wait_millis).await?;
        let (files, damaged) = adopt(name, numbers, handles)?;
        if let (Some(first), true) = (damaged.first(), files.named.is_empty()) {
            return Err(Error::Corrupt {
                file: format!("{name}/{first}"),
                offset: 0,
                rule: "pool rule 2",
                what: format!(
                    "the headers of {} pool files are damaged, and no other carries a file of the store; destroy the \
                     store to begin anew",
                    damaged.len()
                ),
            });
        }
        let opening = Opening { created: files.named.is_empty(), damaged };
        let storage = PoolStorage::new(files, directory, name, options.ready, owner, opening);
        match storage.pool().reserve(options.ready.min(READY_AT_OPENING)).await {
            // A store on a full disk is opened with the files that it has: how else could anybody free some room?
            Err(error) if error.kind() == ErrorKind::StorageFull && !storage.opening().created => Ok(storage),
            reserved => reserved.map(|()| storage),
        }
    }
}

/// How many free files an opening waits for: the first segment, both anchors and a snapshot. The rest is made while the
/// store is in use already.
const READY_AT_OPENING: usize = 4;

/// Removes the store in a directory, if nobody has it open. The directory itself stays, empty.
///
/// A crash in between leaves a store that is destroyed by its next opening, never half a store.
///
/// # Errors
///
/// As [`PoolStorage::open_in`].
pub async fn destroy<D: Directory>(directory: &D, name: &str, lock_wait_millis: u32) -> Result<()> {
    let failed = |failure: Failure| failure.into_error(name, "destroying");
    let owner = own(directory, name, true, lock_wait_millis).await?;
    owner.write(0, b"d").and_then(|_| owner.flush()).map_err(failed)?;
    let numbers = numbers(directory).await.map_err(failed)?;
    remove_all(directory, &numbers, lock_wait_millis).await.map_err(failed)?;
    drop(owner);
    match directory.remove(OWNER).await {
        // Somebody opens a store of this name at this moment: it is theirs, and a new one.
        Err(Failure::Locked | Failure::Missing) | Ok(()) => Ok(()),
        Err(failure) => Err(failed(failure).into()),
    }
}

pub(super) fn pool_name(number: u64) -> String {
    format!("{PREFIX}{number}")
}

/// The numbers of the pool files in a directory, sorted. Names that are not ours are overlooked.
async fn numbers<D: Directory>(directory: &D) -> Result<Vec<u64>, Failure> {
    let names = directory.list().await?;
    let parse = |name: &String| {
        let number = name.strip_prefix(PREFIX)?.parse().ok()?;
        (pool_name(number) == *name).then_some(number)
    };
    let mut numbers: Vec<u64> = names.iter().filter_map(parse).collect();
    numbers.sort_unstable();
    Ok(numbers)
}

/// Removes these, and waits for locks that a worker has not given back yet: one that is dying, or that was closed while it
/// made files, has given back `owner` before.
async fn remove_all<D: Directory>(directory: &D, numbers: &[u64], wait_millis: u32) -> Result<(), Failure> {
    let mut patience = Patience::of(wait_millis);
    for number in numbers {
        loop {
            match directory.remove(&pool_name(*number)).await {
                Ok(()) | Err(Failure::Missing) => break,
                Err(Failure::Locked) if patience.is_left() => patience.pause(directory).await,
                Err(failure) => return Err(failure),
            }
        }
    }
    Ok(())
}

/// How long a lock is still waited for. The pauses become longer: most locks are given back at once.
struct Patience {
    left_millis: u32,
    pause_millis: u32,
}

impl Patience {
    fn of(millis: u32) -> Self {
        Patience { left_millis: millis, pause_millis: 5 }
    }

    fn is_left(&self) -> bool {
        self.left_millis > 0
    }

    async fn pause<D: Directory>(&mut self, directory: &D) {
        let millis = self.pause_millis.min(self.left_millis);
        directory.pause(millis).await;
        self.left_millis -= millis;
        self.pause_millis = (self.pause_millis * 2).min(200);
    }
}

async fn own<D: Directory>(
    directory: &D,
    store: &str,
    create: bool,
    wait_millis: u32,
) -> Result<Owned<D::Handle>, StorageError> {
    let mut handles = open_all(directory, store, &[OWNER.into()], create, wait_millis).await?;
    handles.pop().ok_or_else(|| StorageError::Missing { name: store.into() })
}

/// Opens all of these, and waits for locks that a dying worker has not given back yet.
async fn open_all<D: Directory>(
    directory: &D,
    store: &str,
    names: &[String],
    create: bool,
    wait_millis: u32,
) -> Result<Vec<Owned<D::Handle>>, StorageError> {
    let mut opened: Vec<Option<Owned<D::Handle>>> = names.iter().map(|_| None).collect();
    let mut patience = Patience::of(wait_millis);
    loop {
        let missing: Vec<usize> =
            (0..).zip(&opened).filter(|(_, handle)| handle.is_none()).map(|(place, _)| place).collect();
        if missing.is_empty() {
            return Ok(opened.into_iter().flatten().collect());
        }
        let wanted: Vec<String> = missing.iter().filter_map(|place| names.get(*place).cloned()).collect();
        let results: Vec<_> =
            directory.open(&wanted, create).await.into_iter().map(|result| result.map(Owned)).collect();
        for (place, result) in missing.into_iter().zip(results) {
            match result {
                Ok(handle) => drop(opened.get_mut(place).map(|slot| slot.insert(handle))),
                Err(Failure::Locked) if patience.is_left() => {}
                Err(Failure::Locked) => {
                    return Err(StorageError::Locked { name: store.into(), holder: LockHolder::Unknown });
                }
                Err(failure) => {
                    return Err(failure.into_error(names.get(place).map_or(store, String::as_str), "opening"));
                }
            }
        }
        if opened.iter().any(Option::is_none) {
            patience.pause(directory).await;
        }
    }
}

/// Reads all headers and settles what they leave open.
fn adopt<H: AccessHandle>(store: &str, numbers: Vec<u64>, handles: Vec<Owned<H>>) -> Result<(Files<H>, Vec<String>)> {
    let mut files = Files {
        named: LiteMap::new(),
        free: LiteMap::new(),
        retired: Vec::new(),
        unfinished: Vec::new(),
        counter: 0,
        number: numbers.last().copied().unwrap_or(0),
    };
    let (mut damaged, mut losers) = (Vec::new(), Vec::new());
    for (number, handle) in numbers.into_iter().zip(handles) {
        let name = pool_name(number);
        let adopted = Slot::adopt(handle, number).map_err(|failure| failure.into_error(&name, "reading"))?;
        match adopted {
            Adopted::Free(slot) => {
                files.counter = files.counter.max(slot.counter());
                files.free.insert(number, Rc::new(slot));
            }
            Adopted::Named(slot, carried) => {
                files.counter = files.counter.max(slot.counter());
                losers.extend(newest(&mut files.named, carried, Rc::new(slot)));
            }
            Adopted::Blank => files.unfinished.push(number),
            Adopted::Damaged => damaged.push(name),
            Adopted::Newer(version) => {
                return Err(Error::Newer {
                    file: format!("{store}/{name}"),
                    what: "pool file version",
                    found: version.into(),
                    supported: 1,
                });
            }
        }
    }
    for slot in losers {
        let released = slot.release(files.next_counter()).and_then(|()| slot.empty());
        released.map_err(|failure| failure.into_error(&pool_name(slot.number), "clearing"))?;
        files.free.insert(slot.number, slot);
    }
    Ok((files, damaged))
}

/// Gives a name to the pool file with the higher counter, and returns the other one.
fn newest<H: AccessHandle>(
    named: &mut LiteMap<String, Rc<Slot<H>>>,
    name: String,
    slot: Rc<Slot<H>>,
) -> Option<Rc<Slot<H>>> {
    match named.get(&name) {
        Some(other) if other.counter() > slot.counter() => Some(slot),
        _ => named.insert(name, slot),
    }
}
