//! Damage that shows only when it is touched, files that are longer than any memory, stores that do not belong together.

use alloc::{
    collections::BTreeMap,
    string::{String, ToString},
    sync::Arc,
    vec,
    vec::Vec,
};
use core::ops::ControlFlow;

use crate::{
    Db, Error, ErrorKind, Options, RecoveryMode, Result, RunOptions, TransactionOptions,
    host::SteppedHost,
    limits::{LABELS_MAX, SEQ_MAX},
    log::{Anchor, LogPosition, segment_name, snapshot_name},
    primitive::{TraceKind, TraceRecord},
    snapshot::{self, SnapshotMeta},
    state::State,
    storage::{MemStorage, Storage, StorageFile},
    tree::NoPages,
};

type Files = BTreeMap<String, Vec<u8>>;
type Task = fn(&Db<MemStorage>) -> Result<()>;

fn options() -> Options {
    Options::new().segment_bytes(4096).snapshot_log_bytes(None).snapshot_on_close(false)
}

fn open_as(storage: &MemStorage, mode: RecoveryMode, seed: u64) -> Result<Db<MemStorage>> {
    Db::open(storage.clone(), Arc::new(SteppedHost::new(seed)), options().recovery(mode))
}

fn open(files: &Files) -> Result<Db<MemStorage>> {
    open_as(&MemStorage::from_files(files.clone()), RecoveryMode::Default, 1)
}

/// Everything once, in a snapshot, and then so many commits that nothing proves.
fn with_a_snapshot(seed: u64, behind: u8) -> Files {
    let storage = MemStorage::new();
    let db = open_as(&storage, RecoveryMode::Default, seed).unwrap();
    db.transaction(|tx| {
        tx.kv().put("key", 1)?;
        tx.kv().add_i64("sum", 1)?;
        tx.json().set("document", &serde_json::json!({}))?;
        tx.state().set("cell", 1)?;
        tx.events().append("stream", "kind", 1)?;
        tx.trace().record(TraceRecord::new(TraceKind::Error, "name").time_micros(7))?;
        Ok::<_, Error>(())
    })
    .unwrap();
    db.snapshot().unwrap();
    for number in 0..behind {
        db.kv().put("key", number).unwrap();
    }
    storage.files()
}

/// Changes a byte of the first page of a snapshot; the rest of the file is as it was.
fn damage_page(files: &mut Files, generation: u64) {
    files.get_mut(&snapshot_name(generation)).unwrap()[48 + 30] ^= 1;
}

/// A write that touches a damaged page is refused before anything of it is in the log.
#[test]
fn a_write_that_needs_a_damaged_page_is_refused_and_the_store_goes_on() {
    let mut files = with_a_snapshot(1, 0);
    damage_page(&mut files, 1);
    let storage = MemStorage::from_files(files);
    let db = open_as(&storage, RecoveryMode::Default, 1).unwrap();
    let writes: [Task; 9] = [
        |db| db.kv().put("key", 2),
        |db| db.kv().remove("key"),
        |db| db.kv().add_i64("sum", 1),
        |db| db.json().set("document", &serde_json::json!([])),
        |db| db.state().set("cell", 2).map(|_| ()),
        |db| db.events().append("stream", "kind", 2).map(|_| ()),
        |db| db.events().trim("stream", 2),
        |db| db.events().delete_stream("stream").map(|_| ()),
        |db| db.trace().record(TraceRecord::new(TraceKind::Error, "name").time_micros(8)).map(|_| ()),
    ];
    for (number, write) in writes.iter().enumerate() {
        let error = write(&db).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "write {number}: {error}");
        assert!(error.to_string().contains("snap-"), "write {number}: {error}");
    }
    let run = db.runs().begin(RunOptions::named("another space")).unwrap();
    run.kv().put("key", 1).unwrap();
    db.close().unwrap();
    let again = open_as(&storage, RecoveryMode::Default, 2).unwrap();
    assert_eq!(again.view().seq(), 3);
}

/// Only the tail touched the damaged page: the store could not be opened, although the log had everything.
#[test]
fn a_damaged_page_that_only_the_tail_touches_makes_way_for_the_log() {
    let mut files = with_a_snapshot(1, 2);
    damage_page(&mut files, 1);
    let db = open(&files).unwrap();
    assert_eq!(db.kv().get::<u8>("key"), Ok(Some(1)));
    assert_eq!(db.recovery_report().rejected_snapshots.len(), 1);
    assert_eq!(db.recovery_report().snapshot, None);
    let strict = open_as(&MemStorage::from_files(files), RecoveryMode::Strict, 1);
    assert_eq!(strict.unwrap_err().kind(), ErrorKind::Corrupt);
}

#[test]
fn a_snapshot_of_another_store_or_of_the_future_is_not_used() {
    let files = with_a_snapshot(1, 2);
    let mut foreign = files.clone();
    foreign.insert(snapshot_name(1), with_a_snapshot(2, 0)[&snapshot_name(1)].clone());
    let rejected = |files: &Files| {
        let db = open(files).unwrap();
        assert_eq!(db.kv().get::<u8>("key"), Ok(Some(1)));
        db.recovery_report().rejected_snapshots[0].clone()
    };
    assert_eq!(rejected(&foreign).rule, "F-53");
    let refused = open_as(&MemStorage::from_files(foreign), RecoveryMode::Strict, 1);
    assert!(matches!(refused, Err(Error::Corrupt { rule: "F-53", .. })));
    // One that goes on in a segment which the log does not have.
    let storage = MemStorage::from_files(files.clone());
    let db = open_as(&storage, RecoveryMode::Default, 1).unwrap();
    let meta = SnapshotMeta {
        store: db.id(),
        generation: 1,
        time_micros: 0,
        seq: 0,
        log: Some(LogPosition { segment: 99, offset: 128 }),
        epoch: 1,
    };
    let other = MemStorage::new();
    let file = other.create("file").unwrap();
    snapshot::write(&file, &State::new(), &meta, &NoPages, &mut |_, _| ControlFlow::Continue(())).unwrap();
    let mut future = files;
    future.insert(snapshot_name(1), other.files()["file"].clone());
    assert_eq!(rejected(&future).rule, "F-53");
}

/// A sparse file of exabytes costs nothing on a disk, and ended the process here.
#[test]
fn files_that_are_longer_than_memory_are_an_error() {
    let files = with_a_snapshot(1, 2);
    let open_with = |name: &str, mode| {
        let storage = MemStorage::from_files(files.clone());
        storage.open(name).unwrap().set_len(1 << 62).unwrap();
        open_as(&storage, mode, 1)
    };
    for mode in [RecoveryMode::Default, RecoveryMode::Salvage] {
        let db = open_with(&snapshot_name(1), mode).unwrap();
        assert!(db.recovery_report().rejected_snapshots[0].what.contains("sections of a snapshot in memory"));
        assert_eq!(db.kv().get::<u8>("key"), Ok(Some(1)), "the log stands in");
    }
    let error = open_with(&snapshot_name(1), RecoveryMode::Strict).unwrap_err();
    assert!(matches!(error, Error::Limit { what: "the sections of a snapshot in memory", .. }), "{error}");
    let error = open_with(&segment_name(1), RecoveryMode::Salvage).unwrap_err();
    assert!(matches!(error, Error::Limit { what: "bytes of a log segment to be searched", .. }), "{error}");
}

/// The last seq is taken, and none after it.
#[test]
fn a_store_that_has_used_up_its_seqs_takes_no_more_commits() {
    let files = with_a_snapshot(1, 0);
    let storage = MemStorage::from_files(files.clone());
    let db = open_as(&storage, RecoveryMode::Default, 1).unwrap();
    let state = State { seq: SEQ_MAX, ..State::new() };
    let anchor = Anchor::decode("anchor-b", &files["anchor-b"]).unwrap().unwrap();
    let used = files[&segment_name(1)].iter().rposition(|byte| *byte != 0).unwrap() as u64 + 1;
    let log = Some(LogPosition { segment: 1, offset: used });
    let meta = SnapshotMeta { store: db.id(), generation: 1, time_micros: 0, seq: SEQ_MAX, log, epoch: 1 };
    drop(db);
    let other = MemStorage::new();
    let file = other.create("file").unwrap();
    snapshot::write(&file, &state, &meta, &NoPages, &mut |_, _| ControlFlow::Continue(())).unwrap();
    let mut files = files;
    files.insert(snapshot_name(1), other.files()["file"].clone());
    assert_eq!(anchor.newest_snapshot, Some(1));
    let db = open(&files).unwrap();
    assert_eq!(db.view().seq(), SEQ_MAX);
    let error = db.kv().put("key", 1).unwrap_err();
    assert!(matches!(error, Error::Limit { what: "commits of this store", .. }), "{error}");
}

#[test]
fn labels_are_counted_over_all_that_a_transaction_does() {
    let db = Db::memory();
    let many = |from: usize, count: usize| (from..from + count).map(|number| alloc::format!("label {number}"));
    let set = |id, labels: Vec<String>| {
        db.transaction(|tx| {
            labels.iter().try_for_each(|label| tx.runs().set_label(id, label.clone(), Some("value".into())))
        })
    };
    let run = db.runs().begin(RunOptions::named("run")).unwrap();
    set(run.id(), many(0, LABELS_MAX).collect()).unwrap();
    assert_eq!(set(run.id(), many(LABELS_MAX, 1).collect()).unwrap_err().kind(), ErrorKind::Limit);
    db.transaction(|tx| {
        tx.runs().set_label(run.id(), "label 0".into(), None)?;
        tx.runs().set_label(run.id(), "another".into(), Some("value".into()))
    })
    .unwrap();
    // Of a run that begins in the same transaction.
    let begun = db.transaction(|tx| {
        let begun = tx.runs().begin(RunOptions::named("new").label("first", "value"))?;
        many(0, LABELS_MAX).try_for_each(|label| tx.runs().set_label(begun.id(), label, Some("value".into())))
    });
    assert_eq!(begun.unwrap_err().kind(), ErrorKind::Limit);
}

/// Segments of every fill: the mark of a clean close finds room, or begins the next one.
#[test]
fn a_close_marks_the_log_also_where_the_segment_is_full() {
    for len in (3400..4000).step_by(8) {
        let storage = MemStorage::new();
        let db = open_as(&storage, RecoveryMode::Default, 1).unwrap();
        db.kv().put("key", vec![7_u8; len]).unwrap();
        db.close().unwrap();
        let before = storage.files();
        let db = open_as(&storage, RecoveryMode::Strict, 2).unwrap();
        assert_eq!(db.recovery_report().log.tail_records, 0, "{len}: the mark proves the commit");
        assert_eq!(db.kv().get::<Vec<u8>>("key").unwrap().map(|value| value.len()), Some(len));
        drop(db);
        assert_eq!(storage.files(), before, "{len}: an opening after a clean close writes nothing");
    }
}

#[test]
fn a_key_without_writes_is_a_commit_of_its_own() {
    let storage = MemStorage::new();
    let db = open_as(&storage, RecoveryMode::Default, 1).unwrap();
    let options = TransactionOptions::new().idempotency_key("once");
    let ((), first) = db.transaction_with(&options, |_| Ok::<_, Error>(())).unwrap();
    let again = db.begin_transaction_with(&options).unwrap().commit().unwrap();
    assert_eq!((first.seq, again.seq, again.deduplicated), (1, 1, true));
}
