//! Storage that fails, lies or is cut off while a snapshot is written.

use core::cell::Cell;

use super::*;
use crate::{db::tests::failing::Fault, storage::StorageError};

/// A file of which operation number `fails_at` (from 0) and all later writes and syncs fail.
struct Failing {
    file: MemFile,
    fails_at: u64,
    operations: Cell<u64>,
}

impl Failing {
    fn new(fails_at: u64) -> Self {
        Self { file: MemFile::default(), fails_at, operations: Cell::new(0) }
    }

    fn step(&self, action: &'static str) -> Result<(), StorageError> {
        let now = self.operations.replace(self.operations.get() + 1);
        if now < self.fails_at {
            return Ok(());
        }
        Err(StorageError::Io { name: snapshot_name(1), action, message: "planted".to_string() })
    }
}

impl StorageFile for Failing {
    fn len(&self) -> Result<u64, StorageError> {
        self.file.len()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, StorageError> {
        self.file.read_at(offset, buffer)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), StorageError> {
        self.step("writing")?;
        self.file.write_at(offset, bytes)
    }

    fn set_len(&self, len: u64) -> Result<(), StorageError> {
        self.step("extending")?;
        self.file.set_len(len)
    }

    fn sync(&self) -> Result<(), StorageError> {
        self.step("syncing")
    }
}

#[test]
fn a_failure_at_any_operation_is_reported_and_leaves_no_snapshot_until_the_header_is_there() {
    let state = rich_state(20_000);
    let mut failures = 0;
    for fails_at in 0.. {
        let file = Failing::new(fails_at);
        let written = write(&file, &state, &meta(&state, 1), &NoPages, &mut on);
        let opened = open(&file, &snapshot_name(1));
        if written.is_ok() {
            assert!(opened.is_ok());
            break;
        }
        assert!(matches!(written, Err(Error::Storage(StorageError::Io { .. }))));
        failures += 1;
        // The last operation is the sync of the header. When it fails the header is there, and the rest was synced before.
        let last = file.operations.get() > 4 && opened.is_ok();
        assert!(last || opened.is_err_and(|error| matches!(rule_of(&error), "F-42" | "F-51")));
    }
    // Two writes of pages, the sections, a sync, the header, a sync.
    assert_eq!(failures, 6);
}

#[test]
fn wiping_a_file_fails_where_its_write_or_its_sync_does() {
    for fails_at in 0..2 {
        let wiped = crate::snapshot::wipe(&Failing::new(fails_at));
        assert!(matches!(wiped, Err(Error::Storage(StorageError::Io { .. }))), "{wiped:?}");
    }
    crate::snapshot::wipe(&Failing::new(2)).unwrap();
}

/// Whether a header of a newer version is believed depends on the checksum of the whole file. Where that cannot be read, the
/// file is neither newer nor damaged.
#[test]
fn a_read_that_fails_while_a_newer_version_is_proved_is_an_error_of_the_device() {
    let mut parts = Parts::of(&bytes_of(&rich_state(2_000)));
    parts.front[10] = 2;
    let storage = MemStorage::new();
    storage.create("newer").unwrap().write_at(0, &parts.seal()).unwrap();
    let mut failures = 0;
    for at in 0.. {
        let failing = crate::db::tests::failing::Failing::new(&storage, Fault::Error, at);
        let file = failing.open("newer").map_err(Error::from);
        let opened = file.and_then(|file| open(&file, &snapshot_name(1))).map(|_| ());
        if !failing.is_past() {
            assert!(matches!(opened, Err(Error::Newer { .. })), "{opened:?}");
            break;
        }
        assert!(matches!(opened, Err(Error::Storage(StorageError::Io { .. }))), "{opened:?}");
        failures += 1;
    }
    assert!(failures >= 4, "{failures}");
}

/// A file that loses or changes what is written at one place.
struct Lying {
    file: MemFile,
    at: u64,
}

impl StorageFile for Lying {
    fn len(&self) -> Result<u64, StorageError> {
        self.file.len()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, StorageError> {
        let read = self.file.read_at(offset, buffer)?;
        let place = self.at.checked_sub(offset).and_then(|place| usize::try_from(place).ok());
        if let Some(byte) = place.and_then(|place| buffer.get_mut(place)) {
            *byte ^= 0x40;
        }
        Ok(read)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), StorageError> {
        self.file.write_at(offset, bytes)
    }

    fn set_len(&self, len: u64) -> Result<(), StorageError> {
        self.file.set_len(len)
    }

    fn sync(&self) -> Result<(), StorageError> {
        self.file.sync()
    }
}

#[test]
fn a_byte_that_reads_back_differently_anywhere_is_noticed_before_the_snapshot_counts() {
    let state = rich_state(20);
    let len = u64::try_from(bytes_of(&state).len()).unwrap();
    for at in 0..len {
        let file = Lying { file: MemFile::default(), at };
        let error = write(&file, &state, &meta(&state, 1), &NoPages, &mut on).unwrap_err();
        assert_eq!(rule_of(&error), "F-51");
        // Damage behind the front is found before the header is written.
        let mut front = [0; layout::FRONT_BYTES];
        file.file.read_at(0, &mut front).unwrap();
        assert_eq!(front != [0; layout::FRONT_BYTES], at < layout::PAGES_OFFSET, "{at}");
    }
}

#[test]
fn progress_ascends_to_its_total_and_can_stop_the_work_anywhere() {
    let state = rich_state(20_000);
    let mut heard = vec![];
    let mut listen = |done, total| {
        heard.push((done, total));
        ControlFlow::Continue(())
    };
    write(&MemFile::default(), &state, &meta(&state, 1), &NoPages, &mut listen).unwrap();
    assert!(heard.is_sorted_by_key(|(done, _)| *done));
    assert_eq!(heard.last(), Some(&(40_006, 40_006)));
    for stop_at in 0..heard.len() {
        let file = MemFile::default();
        let mut calls = 0;
        let mut stop = |_, _| {
            calls += 1;
            if calls > stop_at { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let stopped = write(&file, &state, &meta(&state, 1), &NoPages, &mut stop);
        assert_eq!(stopped, Err(Error::Cancelled { what: "writing a snapshot" }));
        assert!(open(&file, &snapshot_name(1)).is_err());
    }
}

#[test]
fn a_file_that_has_bytes_or_a_meta_of_another_state_is_refused() {
    let state = rich_state(5);
    let used = file_of(b"x");
    let right = meta(&state, 1);
    let refused = |file: &MemFile, meta: &SnapshotMeta| {
        matches!(write(file, &state, meta, &NoPages, &mut on), Err(Error::Invalid { .. }))
    };
    assert!(refused(&used, &right));
    assert_eq!(used.len(), Ok(1));
    assert!(refused(&MemFile::default(), &SnapshotMeta { seq: 5, ..right }));
    assert!(refused(&MemFile::default(), &SnapshotMeta { generation: 0, ..right }));
    assert!(refused(&MemFile::default(), &SnapshotMeta { generation: u64::MAX, ..right }));
}

#[test]
fn what_a_snapshot_cannot_hold_is_an_error_before_it_counts() {
    let mut state = rich_state(5);
    state.next_number = 1;
    let file = MemFile::default();
    let error = write(&file, &state, &meta(&state, 1), &NoPages, &mut on).unwrap_err();
    assert_eq!(rule_of(&error), "F-45");
    assert_eq!(rule_of(&open(&file, &snapshot_name(1)).err().unwrap()), "F-51");
}
