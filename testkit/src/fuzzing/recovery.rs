//! Whole recovery of arbitrary files, and the work that goes on after it.

use std::{collections::BTreeMap, ops::ControlFlow, sync::Arc};

use foldb_core::{
    Db, Error, ErrorKind, Options, RecoveryMode, RecoveryReport, Result,
    storage::{MemStorage, Storage},
};

use super::{Disk, contents::Contents};
use crate::SeededHost;

/// Small segments, so that going on means a new one soon, and nothing that depends on how much was written.
pub(super) fn open(storage: &MemStorage, mode: RecoveryMode, seed: u64) -> Result<Db<MemStorage>> {
    let options = Options::new().segment_bytes(4096).snapshot_log_bytes(None).snapshot_on_close(false).recovery(mode);
    Db::open(storage.clone(), Arc::new(SeededHost::new(seed)), options)
}

/// What recovery did is the same each time, but for how long it took.
fn report_of(db: &Db<MemStorage>) -> RecoveryReport {
    RecoveryReport { phases: Vec::new(), ..db.recovery_report().clone() }
}

/// Opens the files by default, goes on, and opens again.
pub(super) fn recovery(input: &[u8]) {
    recover(&Disk::decode(input).storage().files());
}

/// The properties of recovery, on these files.
pub(super) fn recover(files: &BTreeMap<String, Vec<u8>>) {
    let storage = || MemStorage::from_files(files.clone());
    let disk = storage();
    let db = match open(&disk, RecoveryMode::Default, 1) {
        Ok(db) => db,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            assert_eq!(disk.files(), *files, "an opening that failed changed something: {error}");
            return;
        }
    };
    let (contents, report) = (Contents::of(&db), report_of(&db));
    assert_eq!(report.seq, db.view().seq(), "the report says where the state is");
    verified(&db, &contents);
    db.close().expect("a store that nothing was written to can be closed");
    // R2: once more on what the first opening has left.
    let again = open(&disk, RecoveryMode::Default, 2).expect("what was opened can be opened again");
    contents.assert_same(&Contents::of(&again), "a second recovery sees something else");
    drop(again);
    // R1: another machine, the same files.
    let other = storage();
    let db = open(&other, RecoveryMode::Default, 3).expect("the same files can be opened again");
    contents.assert_same(&Contents::of(&db), "the same files, another result");
    assert_eq!(report_of(&db), report, "the same files, another report");
    go_on(db, &other);
}

/// What opens verifies or names the damage: a read that fails is a violation that `verify` reports.
fn verified(db: &Db<MemStorage>, contents: &Contents) {
    let report = db.verify(&mut |_| ControlFlow::Continue(())).expect("a store that is open can be verified");
    assert!(
        contents.failures == 0 || !report.is_ok(),
        "reading fails and verification sees nothing: {contents:?} {report:?}"
    );
}

/// One more commit and a snapshot, both of which are there after the next opening.
fn go_on(db: Db<MemStorage>, disk: &MemStorage) {
    match db.kv().put("gone on", 1) {
        Ok(()) => {}
        // The numbers of something come to their end, or the leaf that the key belongs to is damaged.
        Err(error) => return assert_eq!(kind_of_refusal(&error), Ok(()), "{error}"),
    }
    let snapshot = db.snapshot();
    if let Err(error) = &snapshot {
        assert_eq!(kind_of_refusal(error), Ok(()), "{error}");
    }
    let contents = Contents::of(&db);
    if let Err(error) = db.close() {
        return assert_eq!(kind_of_refusal(&error), Ok(()), "{error}");
    }
    let db = open(disk, RecoveryMode::Default, 4).expect("what was committed to can be opened again");
    let found = Contents::of(&db);
    if contents.failures == 0 {
        return contents.assert_same(&found, "a commit changed what was there, or is not there");
    }
    // A damaged page that nobody has read was copied as it is (F-44), so that it is another file which is named now.
    assert_eq!(found.failures, contents.failures, "{found:?} {contents:?}");
}

/// Whether an error is one that damage or the end of a number range explains.
fn kind_of_refusal(error: &Error) -> Result<(), ErrorKind> {
    match error.kind() {
        ErrorKind::Corrupt | ErrorKind::Limit => Ok(()),
        other => Err(other),
    }
}

/// Opens the files in the modes that only look.
pub(super) fn salvage(input: &[u8]) {
    let disk = Disk::decode(input).storage();
    let files = disk.files();
    if let Ok(db) = open(&disk, RecoveryMode::Salvage, 1) {
        let contents = Contents::of(&db);
        let refused = db.kv().put("key", 1).expect_err("a salvaged store takes no writes");
        assert_eq!(refused.kind(), ErrorKind::Poisoned);
        drop(db);
        let db = open(&disk, RecoveryMode::Salvage, 2).expect("what was salvaged can be salvaged again");
        contents.assert_same(&Contents::of(&db), "the same files, another result");
    }
    assert_eq!(disk.files(), files, "salvage changed something");
    if let Ok(db) = open(&disk, RecoveryMode::Strict, 3) {
        // Nothing was wrong, so the default finds the same.
        let contents = Contents::of(&db);
        drop(db);
        let disk = MemStorage::from_files(files);
        let db = open(&disk, RecoveryMode::Default, 3).expect("the default accepts what the strict mode accepts");
        contents.assert_same(&Contents::of(&db), "the strict mode sees something else");
    }
    assert!(disk.list().is_ok());
}
