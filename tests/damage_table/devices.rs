//! Rows about devices that fail while the store runs: full disks, errors, short reads.

use foldb::{
    Db, ErrorKind,
    storage::{Storage, StorageError, StorageFile},
};
use foldb_testkit::crash::{CrashFile, CrashStorage, Failure, Fault, OperationKind};

use crate::bench::*;

/// A store of two commits, and the disk that is about to fail under it.
fn running() -> (CrashStorage, Db<CrashStorage>) {
    let disk = CrashStorage::new();
    let db = open(disk.clone(), STRICT, 1).unwrap();
    (1..=2).for_each(|number| put(&db, number).unwrap());
    (disk, db)
}

/// The promise POISON: the commit in flight is unknown, every later one names the first cause, reads go on, and another
/// process finds a prefix with everything that was acknowledged.
fn poisoned_by(fault: Fault) {
    let (disk, db) = running();
    disk.inject(fault);
    let error = put(&db, 3).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OutcomeUnknown, "{error}");
    disk.clear_faults();
    for outcome in [put(&db, 4), db.sync().map(|_| ()), db.snapshot().map(|_| ())] {
        let error = outcome.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Poisoned, "{error}");
        assert!(error.to_string().contains("log-"), "the first cause is named: {error}");
    }
    assert_eq!(numbers(&db), first(2), "what was published can be read");
    disk.kill_process();
    drop(db);
    let point = disk.crash_point(disk.operation_count());
    for image in [disk.live_image(), point.nothing_survives(), point.everything_survives()] {
        let found = opens(&image);
        assert!(found == first(2) || found == first(3), "{found:?}");
    }
}

#[test]
fn row_10_a_full_disk_shows_before_a_commit_and_poisons_only_inside_one() {
    let (disk, db) = running();
    disk.limit_capacity(Some(disk.live_image().total_bytes()));
    let mut last = 2;
    let error = loop {
        match put_large(&db, last + 1) {
            Ok(()) => last += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), ErrorKind::StorageFull, "{error}");
    assert_eq!(numbers(&db), first(last), "nothing of it is there, and everything can be read");
    // A snapshot does not fit either, and does no harm.
    disk.limit_capacity(Some(disk.live_image().total_bytes()));
    assert_eq!(db.snapshot().unwrap_err().kind(), ErrorKind::StorageFull);
    disk.limit_capacity(None);
    put_large(&db, last + 1).unwrap();
    db.snapshot().unwrap();
    assert_eq!(opens(&disk.crash_point(disk.operation_count()).nothing_survives()), first(last + 1));
    // Where the device had promised the room and breaks its word, the commit is unknown.
    poisoned_by(Fault::on(OperationKind::Write).of_files("log-").failing_with(Failure::Full));
    poisoned_by(Fault::on(OperationKind::Sync).of_files("log-").failing_with(Failure::Full));
}

#[test]
fn row_11_an_error_while_reading_is_not_corruption_and_never_the_end_of_the_log() {
    let image = closed_after(5);
    let mut failures = 0;
    for nth in 1.. {
        let disk = CrashStorage::from_image(&image);
        disk.inject(Fault::on(OperationKind::Read).nth(nth));
        match open(disk.clone(), STRICT, 2) {
            Err(error) => assert_eq!(error.kind(), ErrorKind::Io, "read {nth}: {error}"),
            Ok(_) => break,
        }
        failures += 1;
        assert_eq!(disk.live_image(), image, "nothing was changed");
        assert!(!disk.is_changed());
        // The device recovers, and so does the store.
        assert_eq!(numbers(&open(disk, STRICT, 3).unwrap()), first(5));
    }
    assert!(failures >= 4, "{failures} reads failed");
}

#[test]
fn row_12_an_error_while_writing_poisons() {
    poisoned_by(Fault::on(OperationKind::Write).of_files("log-"));
}

/// A snapshot that waited for the sync of a large transaction did not look whether it had failed: it was written of a state
/// without the transaction, at a place behind its frames, and after a power failure the store did not open. Whoever closed
/// the store was told that all was well.
#[test]
fn row_35_whoever_waited_for_a_flush_that_failed_is_told() {
    let disk = CrashStorage::new();
    let db = open(disk.clone(), STRICT, 1).unwrap();
    (1..=10).for_each(|number| put(&db, number).unwrap());
    disk.inject(Fault::on(OperationKind::Sync).of_files("log-"));
    let many = |tx: &foldb::Transaction<'_, _>| tx.kv().put_many((0..64).map(|number| (format!("many {number}"), 1)));
    assert_eq!(db.transaction(many).unwrap_err().kind(), ErrorKind::OutcomeUnknown);
    disk.clear_faults();
    assert_eq!(db.snapshot().unwrap_err().kind(), ErrorKind::Poisoned);
    assert_eq!(db.checkpoint().unwrap_err().kind(), ErrorKind::Poisoned);
    assert_eq!(db.sync().unwrap_err().kind(), ErrorKind::Poisoned);
    assert_eq!(db.ticker().tick(), Ok(false));
    assert_eq!(db.close().unwrap_err().kind(), ErrorKind::Poisoned, "what was not written is not closed");
    assert!(disk.live_image().names().all(|name| !name.starts_with("snap-")));
    // The next process goes on with what the page cache shows, and then the power fails.
    disk.kill_process();
    let next = disk.next_process();
    let db = open(next.clone(), STRICT, 2).unwrap();
    db.kv().delete_many((0..64).map(|number| format!("many {number}"))).unwrap();
    put(&db, 11).unwrap();
    next.kill_process();
    assert_eq!(opens(&next.crash_point(next.operation_count()).nothing_survives()), first(11));
}

/// A device that reads one byte less than it was asked for, and says so.
struct Short(CrashStorage);
struct ShortFile(CrashFile);

impl Storage for Short {
    type File = ShortFile;

    fn list(&self) -> Result<Vec<String>, StorageError> {
        self.0.list()
    }

    fn create(&self, name: &str) -> Result<ShortFile, StorageError> {
        self.0.create(name).map(ShortFile)
    }

    fn open(&self, name: &str) -> Result<ShortFile, StorageError> {
        self.0.open(name).map(ShortFile)
    }

    fn remove(&self, name: &str) -> Result<(), StorageError> {
        self.0.remove(name)
    }
}

impl StorageFile for ShortFile {
    fn len(&self) -> Result<u64, StorageError> {
        self.0.len()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, StorageError> {
        // Headers and anchors are read whole; of anything larger a byte is missing.
        let wanted = if buffer.len() > 128 { buffer.len() - 1 } else { buffer.len() };
        self.0.read_at(offset, &mut buffer[..wanted])
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), StorageError> {
        self.0.write_at(offset, bytes)
    }

    fn set_len(&self, len: u64) -> Result<(), StorageError> {
        self.0.set_len(len)
    }

    fn sync(&self) -> Result<(), StorageError> {
        self.0.sync()
    }
}

#[test]
fn row_14_a_short_read_inside_a_file_is_an_error_and_never_its_end() {
    // That backends loop over short reads and writes, and take zero bytes for an error, their own tests show
    // (`backend-fs/src/positioned_tests.rs`). Here a backend breaks that word.
    let image = closed_after(5);
    let disk = CrashStorage::from_image(&image);
    let error = open(Short(disk.clone()), STRICT, 2).map(|_| ()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io, "{error}");
    assert!(error.to_string().contains(&first_segment()), "{error}");
    assert_eq!(disk.live_image(), image, "nothing was cut");
}

#[test]
fn row_26_a_lost_handle_poisons_until_the_store_is_opened_again() {
    // As a browser invalidates the handles of a sleeping tab: from now on everything fails. The browser's own errors are
    // told apart in `backend-web`.
    let (disk, db) = running();
    disk.inject(Fault::on_any().for_ever());
    assert_eq!(put(&db, 3).unwrap_err().kind(), ErrorKind::OutcomeUnknown);
    assert_eq!(put(&db, 4).unwrap_err().kind(), ErrorKind::Poisoned);
    assert_eq!(numbers(&db), first(2));
    disk.kill_process();
    drop(db);
    disk.clear_faults();
    let db = open(disk.next_process(), STRICT, 2).unwrap();
    assert_eq!(numbers(&db), first(2));
    put(&db, 3).unwrap();
}

#[test]
fn row_28_an_exhausted_quota_is_a_full_disk_at_whichever_call_it_shows() {
    let mut full = 0;
    for kind in [OperationKind::Create, OperationKind::SetLen] {
        for nth in 1..=4 {
            let disk = CrashStorage::new();
            let db = open(disk.clone(), STRICT, 1).unwrap();
            disk.inject(Fault::on(kind).nth(nth).failing_with(Failure::Full));
            let mut last = 0;
            while last < 4 {
                match put_large(&db, last + 1) {
                    Ok(()) => last += 1,
                    Err(error) => {
                        assert_eq!(error.kind(), ErrorKind::StorageFull, "{kind:?} {nth}: {error}");
                        full += 1;
                    }
                }
            }
            drop(db);
            assert_eq!(opens(&disk.crash_point(disk.operation_count()).nothing_survives()), first(4));
        }
    }
    assert!(full >= 4, "the quota showed {full} times");
}
