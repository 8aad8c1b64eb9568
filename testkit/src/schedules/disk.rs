//! [`Disk`]: the crash disk, with a turn of the scheduler around every operation, and with an eye on removed files.
//!
//! Invariant: a sync covers what was written before it *began*. Its effect is taken first and the time that it takes comes
//! after, so that a store which counts on more than that is found out.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use foldb_core::storage::{Storage, StorageError, StorageFile};
use shuttle::{
    rand::Rng,
    sync::atomic::{AtomicUsize, Ordering},
};

use crate::crash::{CrashFile, CrashStorage};

/// A crash disk whose operations take their time. A clone is another handle of the same disk.
#[derive(Clone)]
pub(super) struct Disk {
    pub(super) crash: CrashStorage,
    turns: Arc<AtomicUsize>,
    lives: Arc<Lives>,
}

/// An open file of a [`Disk`].
pub(super) struct DiskFile {
    file: CrashFile,
    name: String,
    /// Which life of its name the file is.
    life: usize,
    turns: Arc<AtomicUsize>,
    lives: Arc<Lives>,
}

/// How often each name was removed: a handle of an earlier life is one of a file that is gone.
#[derive(Default)]
struct Lives(Mutex<BTreeMap<String, usize>>);

impl Lives {
    fn of(&self, name: &str) -> usize {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(name.into()).or_default()
    }

    fn end(&self, name: &str) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(name.into()).or_default() += 1;
    }
}

/// Where the scheduler may let somebody else run.
fn turn(turns: &AtomicUsize) {
    turns.fetch_add(1, Ordering::Relaxed);
}

impl Disk {
    pub(super) fn new(crash: CrashStorage) -> Self {
        Self { crash, turns: Arc::new(AtomicUsize::new(0)), lives: Arc::default() }
    }

    fn opened(&self, file: CrashFile, name: &str) -> DiskFile {
        let (life, turns, lives) = (self.lives.of(name), Arc::clone(&self.turns), Arc::clone(&self.lives));
        DiskFile { file, name: name.into(), life, turns, lives }
    }
}

impl Storage for Disk {
    type File = DiskFile;

    fn list(&self) -> Result<Vec<String>, StorageError> {
        turn(&self.turns);
        self.crash.list()
    }

    fn create(&self, name: &str) -> Result<DiskFile, StorageError> {
        turn(&self.turns);
        self.crash.create(name).map(|file| self.opened(file, name))
    }

    fn open(&self, name: &str) -> Result<DiskFile, StorageError> {
        turn(&self.turns);
        self.crash.open(name).map(|file| self.opened(file, name))
    }

    fn remove(&self, name: &str) -> Result<(), StorageError> {
        turn(&self.turns);
        self.crash.remove(name)?;
        self.lives.end(name);
        Ok(())
    }
}

impl DiskFile {
    /// A system that lets go of a name under an open handle would hide that somebody still needed the file; others would
    /// refuse to remove it, and a browser would not even let it be read.
    fn check_it_is_there(&self) {
        assert_eq!(self.life, self.lives.of(&self.name), "{} is used after it was removed", self.name);
    }
}

impl StorageFile for DiskFile {
    fn len(&self) -> Result<u64, StorageError> {
        turn(&self.turns);
        self.file.len()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, StorageError> {
        turn(&self.turns);
        self.check_it_is_there();
        self.file.read_at(offset, buffer)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), StorageError> {
        turn(&self.turns);
        self.check_it_is_there();
        let written = self.file.write_at(offset, bytes);
        turn(&self.turns);
        written
    }

    fn set_len(&self, len: u64) -> Result<(), StorageError> {
        turn(&self.turns);
        self.file.set_len(len)
    }

    fn sync(&self) -> Result<(), StorageError> {
        turn(&self.turns);
        self.check_it_is_there();
        let synced = self.file.sync();
        // While a real device works everybody else goes on, sometimes for long.
        let turns = if shuttle::rand::thread_rng().gen_range(0..8_u32) == 0 { 40 } else { 2 };
        for _ in 0..turns {
            turn(&self.turns);
        }
        synced
    }
}
