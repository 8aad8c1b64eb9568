//! A directory of access handles over a disk that crashes: what the pool runs on where there is no browser.
//!
//! Locks, short and empty counts, lost handles and quota are done here; what is written, durable and torn is the
//! business of [`CrashStorage`]. Closing flushes nothing, as in a browser.
#![allow(dead_code, unreachable_pub, reason = "a module of several test programs, each of which uses a part of it")]

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    pin::pin,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use foldb_core::{
    Db, Options,
    storage::{Storage, StorageError, StorageFile},
};
use foldb_testkit::{
    SeededHost,
    crash::{CrashFile, CrashStorage},
};
use foldb_web::{
    OpenOptions,
    pool::{AccessHandle, Directory, Failure, PoolStorage},
};

pub type ShimStorage = PoolStorage<ShimDirectory>;

pub fn options() -> OpenOptions {
    OpenOptions::new()
}

/// The pool of a directory, which opens.
pub fn opened(directory: &ShimDirectory) -> ShimStorage {
    directory.open_pool(&options()).unwrap()
}

/// A store with small segments and without snapshots, over the pool of a directory.
pub fn database(directory: &ShimDirectory) -> foldb_core::Result<Db<ShimStorage>> {
    database_on(directory.open_pool(&options())?)
}

/// The same, over a pool that is open.
pub fn database_on(storage: ShimStorage) -> foldb_core::Result<Db<ShimStorage>> {
    let small = Options::new().segment_bytes(8192).snapshot_log_bytes(None).snapshot_on_close(false);
    Db::open(storage, Arc::new(SeededHost::new(1)), small)
}

/// A directory. A clone is the same one, for another opener.
#[derive(Clone)]
pub struct ShimDirectory {
    pub disk: CrashStorage,
    pub faults: Rc<Faults>,
    locks: Rc<RefCell<BTreeMap<String, Lock>>>,
    /// Milliseconds that [`Directory::pause`] has let pass.
    pub paused: Rc<Cell<u32>>,
}

enum Lock {
    Held,
    /// Its worker was ended; it is given back once so many milliseconds have passed in all.
    Until(u32),
}

/// What handles do wrong from now on.
#[derive(Default)]
pub struct Faults {
    /// The most bytes that one call reads or writes.
    pub count_max: Cell<Option<usize>>,
    /// Reads, or writes, transfer nothing.
    pub empty_reads: Cell<bool>,
    pub empty_writes: Cell<bool>,
    /// Every call of a handle throws InvalidStateError.
    pub lost: Cell<bool>,
}

pub struct ShimHandle {
    file: CrashFile,
    name: String,
    directory: ShimDirectory,
}

impl ShimDirectory {
    pub fn on(disk: CrashStorage) -> Self {
        ShimDirectory { disk, faults: Rc::default(), locks: Rc::default(), paused: Rc::default() }
    }

    pub fn new() -> Self {
        Self::on(CrashStorage::new())
    }

    /// The worker is ended in the middle of its work: nothing that its handles still try reaches the disk, and its locks are
    /// given back only after so many milliseconds. Returns the directory as the next worker sees it.
    pub fn kill_worker(&self, locked_millis: u32) -> Self {
        self.disk.kill_process();
        let until = self.paused.get() + locked_millis;
        let locks = self.locks.borrow().keys().map(|name| (name.clone(), Lock::Until(until))).collect();
        ShimDirectory {
            disk: self.disk.next_process(),
            faults: Rc::default(),
            locks: Rc::new(RefCell::new(locks)),
            paused: Rc::clone(&self.paused),
        }
    }

    /// Somebody holds this file, and gives it back only after so many milliseconds.
    pub fn hold(&self, name: &str, millis: u32) {
        self.locks.borrow_mut().insert(name.into(), Lock::Until(self.paused.get() + millis));
    }

    pub fn open_pool(&self, options: &OpenOptions) -> foldb_core::Result<ShimStorage> {
        now(PoolStorage::open_in(self.clone(), "store", options))
    }

    fn open_one(&self, name: &str, create: bool) -> Result<ShimHandle, Failure> {
        let locks = &mut *self.locks.borrow_mut();
        match locks.get(name) {
            Some(Lock::Held) => return Err(Failure::Locked),
            Some(Lock::Until(until)) if self.paused.get() < *until => return Err(Failure::Locked),
            _ => {}
        }
        let file = match self.disk.open(name) {
            Err(StorageError::Missing { .. }) if create => self.disk.create(name),
            opened => opened,
        };
        let file = file.map_err(failure)?;
        locks.insert(name.into(), Lock::Held);
        Ok(ShimHandle { file, name: name.into(), directory: self.clone() })
    }
}

impl Directory for ShimDirectory {
    type Handle = ShimHandle;

    async fn list(&self) -> Result<Vec<String>, Failure> {
        self.disk.list().map_err(failure)
    }

    async fn open(&self, names: &[String], create: bool) -> Vec<Result<ShimHandle, Failure>> {
        names.iter().map(|name| self.open_one(name, create)).collect()
    }

    async fn remove(&self, name: &str) -> Result<(), Failure> {
        match self.locks.borrow().get(name) {
            Some(Lock::Until(until)) if self.paused.get() >= *until => {}
            Some(_) => return Err(Failure::Locked),
            None => {}
        }
        self.disk.remove(name).map_err(failure)
    }

    async fn pause(&self, millis: u32) {
        self.paused.set(self.paused.get() + millis);
    }
}

impl ShimHandle {
    fn alive(&self) -> Result<&Faults, Failure> {
        if self.directory.faults.lost.get() {
            return Err(Failure::Lost("InvalidStateError: the access handle was already closed".into()));
        }
        Ok(&self.directory.faults)
    }

    fn shortened(&self, wanted: usize) -> usize {
        self.directory.faults.count_max.get().map_or(wanted, |max| wanted.min(max))
    }
}

impl AccessHandle for ShimHandle {
    fn len(&self) -> Result<u64, Failure> {
        self.alive()?;
        self.file.len().map_err(failure)
    }

    fn read(&self, at: u64, buffer: &mut [u8]) -> Result<usize, Failure> {
        let count = if self.alive()?.empty_reads.get() { 0 } else { self.shortened(buffer.len()) };
        self.file.read_at(at, &mut buffer[..count]).map_err(failure)
    }

    fn write(&self, at: u64, bytes: &[u8]) -> Result<usize, Failure> {
        let count = if self.alive()?.empty_writes.get() { 0 } else { self.shortened(bytes.len()) };
        self.file.write_at(at, &bytes[..count]).map_err(failure)?;
        Ok(count)
    }

    fn truncate(&self, len: u64) -> Result<(), Failure> {
        self.alive()?;
        self.file.set_len(len).map_err(failure)
    }

    fn flush(&self) -> Result<(), Failure> {
        self.alive()?;
        self.file.sync().map_err(failure)
    }

    fn close(&self) {
        self.directory.locks.borrow_mut().remove(&self.name);
    }
}

fn failure(error: StorageError) -> Failure {
    match error {
        StorageError::Full { .. } => Failure::Full,
        StorageError::Missing { .. } => Failure::Missing,
        other => Failure::Other(other.to_string()),
    }
}

/// The result of work that never waits: nothing of the shim does.
pub fn now<T>(work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    match work.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(done) => done,
        Poll::Pending => panic!("the shim never waits"),
    }
}
