//! When a commit is durable and when it shows, with a storage whose syncs wait.

use std::{
    sync::{Condvar, Mutex},
    thread,
};

use foldb::{
    TransactionOptions,
    storage::{MemFile, StorageError, StorageFile},
};
use foldb_testkit::crash::CrashStorage;

use super::*;

#[test]
fn a_strict_transaction_in_a_buffered_store_is_durable_when_it_returns_with_all_before_it() {
    let disk = CrashStorage::new();
    let db = open(disk.clone(), options());
    db.kv().put("buffered before", 1).unwrap();
    let strict = TransactionOptions::new().durability(Durability::Strict);
    let ((), receipt) = db.transaction_with(&strict, |tx| tx.kv().put("strict", 1)).unwrap();
    assert!(receipt.durable);
    assert_eq!(db.durable_seq(), receipt.seq);
    let ((), later) = db.transaction_with(&TransactionOptions::new(), |tx| tx.kv().put("buffered after", 1)).unwrap();
    assert!(!later.durable);
    let image = disk.crash_point(disk.operation_count()).nothing_survives();
    std::mem::forget(db);
    let db = open(image.to_memory(), options());
    assert_eq!((get(&db, "buffered before"), get(&db, "strict"), get(&db, "buffered after")), (Some(1), Some(1), None));
}

#[test]
fn a_buffered_transaction_in_a_strict_store_shows_at_once_where_nothing_strict_is_pending() {
    let disk = CrashStorage::new();
    let db = open(disk.clone(), options().durability(Durability::Strict));
    db.kv().put("strict", 1).unwrap();
    let buffered = TransactionOptions::new().durability(Durability::buffered());
    let operations = disk.operation_count();
    let ((), receipt) = db.transaction_with(&buffered, |tx| tx.kv().put("buffered", 1)).unwrap();
    assert!(!receipt.durable);
    assert_eq!(get(&db, "buffered"), Some(1));
    assert_eq!(disk.operation_count(), operations, "nothing was written yet");
    db.wait_durable(receipt.seq).unwrap();
    assert!(db.durable_seq() >= receipt.seq);
    let image = disk.crash_point(disk.operation_count()).nothing_survives();
    std::mem::forget(db);
    assert_eq!(get(&open(image.to_memory(), options()), "buffered"), Some(1));
}

#[test]
fn a_buffered_transaction_behind_a_strict_one_shows_together_with_it() {
    let storage = Gated::default();
    let db = open(storage.clone(), options().durability(Durability::Strict));
    db.kv().put("a", 1).unwrap();
    storage.gate.close();
    thread::scope(|scope| {
        let strict = scope.spawn(|| db.kv().put("strict", 1));
        storage.gate.wait_for_a_sync();
        let buffered = TransactionOptions::new().durability(Durability::buffered());
        let ((), receipt) = db.transaction_with(&buffered, |tx| tx.kv().put("buffered", 1)).unwrap();
        assert!(!receipt.durable);
        // It may rest on the strict one, which is not promised yet.
        assert_eq!((get(&db, "strict"), get(&db, "buffered")), (None, None));
        storage.gate.open();
        strict.join().unwrap().unwrap();
        assert_eq!((get(&db, "strict"), get(&db, "buffered")), (Some(1), Some(1)));
    });
}

#[test]
fn commits_of_several_threads_share_a_sync() {
    let storage = Gated::default();
    let db = open(storage.clone(), options().durability(Durability::Strict));
    db.kv().put("first", 1).unwrap();
    let syncs = db.stats().unwrap().syncs.count;
    storage.gate.close();
    thread::scope(|scope| {
        let leader = scope.spawn(|| db.kv().put("leader", 1));
        storage.gate.wait_for_a_sync();
        let followers: Vec<_> = (0..8)
            .map(|number| {
                let db = &db;
                scope.spawn(move || db.kv().put(format!("follower {number}"), 1))
            })
            .collect();
        // All of them are applied before the leader's sync returns.
        while db.stats().unwrap().commits < 10 {
            thread::yield_now();
        }
        storage.gate.open();
        leader.join().unwrap().unwrap();
        followers.into_iter().for_each(|follower| follower.join().unwrap().unwrap());
    });
    assert_eq!(db.stats().unwrap().syncs.count - syncs, 2, "the leader's, and one for all others");
}

#[test]
fn a_transaction_in_memory_cannot_be_asked_of_a_store_with_a_log() {
    let db = store();
    let options = TransactionOptions::new().durability(Durability::InMemory);
    assert_kind(db.transaction_with(&options, |tx| tx.kv().put("a", 1)), ErrorKind::Unsupported);
}

/// A storage in memory whose syncs wait while its gate is closed.
#[derive(Clone, Default)]
pub(super) struct Gated {
    files: MemStorage,
    pub(super) gate: Arc<Gate>,
}

pub(super) struct GatedFile {
    file: MemFile,
    gate: Arc<Gate>,
}

#[derive(Default)]
pub(super) struct Gate {
    /// Whether it is closed, and how many syncs wait.
    state: Mutex<(bool, u32)>,
    changed: Condvar,
}

impl Gate {
    pub(super) fn close(&self) {
        self.state.lock().unwrap().0 = true;
    }

    pub(super) fn open(&self) {
        self.state.lock().unwrap().0 = false;
        self.changed.notify_all();
    }

    fn pass(&self) {
        let mut state = self.state.lock().unwrap();
        state.1 += 1;
        self.changed.notify_all();
        while state.0 {
            state = self.changed.wait(state).unwrap();
        }
        state.1 -= 1;
    }

    pub(super) fn wait_for_a_sync(&self) {
        let mut state = self.state.lock().unwrap();
        while state.1 == 0 {
            state = self.changed.wait(state).unwrap();
        }
    }
}

impl Gated {
    fn file(&self, file: MemFile) -> GatedFile {
        GatedFile { file, gate: Arc::clone(&self.gate) }
    }
}

impl Storage for Gated {
    type File = GatedFile;

    fn list(&self) -> Result<Vec<String>, StorageError> {
        self.files.list()
    }

    fn create(&self, name: &str) -> Result<GatedFile, StorageError> {
        self.files.create(name).map(|file| self.file(file))
    }

    fn open(&self, name: &str) -> Result<GatedFile, StorageError> {
        self.files.open(name).map(|file| self.file(file))
    }

    fn remove(&self, name: &str) -> Result<(), StorageError> {
        self.files.remove(name)
    }
}

impl StorageFile for GatedFile {
    fn len(&self) -> Result<u64, StorageError> {
        self.file.len()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, StorageError> {
        self.file.read_at(offset, buffer)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), StorageError> {
        self.file.write_at(offset, bytes)
    }

    fn set_len(&self, len: u64) -> Result<(), StorageError> {
        self.file.set_len(len)
    }

    fn sync(&self) -> Result<(), StorageError> {
        self.gate.pass();
        self.file.sync()
    }
}
