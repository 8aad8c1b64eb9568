//! What the random simulation has found, each as the shortest story that shows it.

mod scenario;

use std::ops::ControlFlow;

use foldb::{Db, Durability, ErrorKind, RunOptions, primitive::ScanOptions, storage::Storage};
use foldb_testkit::crash::{Action, CrashStorage, Fate, Image};
use scenario::open;
use serde_json::json;

const SEGMENT_BYTES: u64 = 1 << 20;

fn strict<S: Storage>(storage: S, life: u64) -> Db<S> {
    open(storage, Durability::Strict, SEGMENT_BYTES, life).unwrap()
}

fn is_sound<S: Storage>(db: &Db<S>) {
    let report = db.verify(&mut |_| ControlFlow::Continue(())).unwrap();
    assert!(report.is_ok(), "{:?}", report.violations);
}

/// Of several pairs in one call, one had a key that was too long. The call failed, and the pairs before it stayed in the
/// transaction: whoever went on and committed had half of what was refused. Seed 129.
#[test]
fn pairs_or_documents_that_cannot_all_be_set_leave_none_in_the_transaction() {
    let db = Db::memory();
    let long = "x".repeat(1025);
    let tx = db.begin_transaction().unwrap();
    let pairs = [("a", 1), (long.as_str(), 2)];
    assert_eq!(tx.kv().put_many(pairs).unwrap_err().kind(), ErrorKind::Limit);
    let documents = [("a", json!(1)), (long.as_str(), json!(2))];
    assert_eq!(tx.json().set_many(documents).unwrap_err().kind(), ErrorKind::Limit);
    tx.kv().put("b", 3).unwrap();
    tx.commit().unwrap();
    assert!(!db.kv().exists("a").unwrap() && !db.json().exists("a").unwrap());
    assert!(db.kv().exists("b").unwrap());
}

/// A transaction that had appended to a stream listed none of them. The model chose its version there and the store did not, so
/// that one of them knew a run that was begun after it. Whoever lists nothing has looked at nothing. Seed 2078.
#[test]
fn a_transaction_that_lists_no_streams_has_not_chosen_its_version_yet() {
    let db = Db::memory();
    let tx = db.begin_transaction().unwrap();
    tx.events().append("log", "event", 1).unwrap();
    assert!(tx.events().streams(&ScanOptions::all().limit(0)).unwrap().is_empty());
    let run = db.runs().begin(RunOptions::named("later")).unwrap().id();
    tx.run(run).unwrap().kv().add_u64("sum", 1).unwrap();
    tx.commit().unwrap();
}

/// What is left when the power fails while the header of a snapshot is written, and everything else has reached the disk.
fn torn_header(disk: &CrashStorage) -> Image {
    let operations = disk.operations();
    let is_header = |action: &Action| matches!(action, Action::Write { offset: 0, bytes } if bytes.len() == 48);
    let header = operations
        .iter()
        .rposition(|operation| operation.name.starts_with("snap-") && is_header(&operation.action))
        .expect("a snapshot was written");
    let point = disk.crash_point(header + 1);
    let fates = vec![Fate::Whole; point.pending().len() - 1];
    point.image(&fates.into_iter().chain([Fate::Prefix(7)]).collect::<Vec<_>>())
}

/// A crash tore the header of a snapshot. The next opening removed the file, wrote a newer snapshot, and the power failure
/// after that brought the removed name back: now it was older than the newest and did not begin with zeros, so it passed for
/// a snapshot that had rotted. Verification called the store damaged, and the file was kept in the place of a good one. Seed
/// 267.
#[test]
fn a_snapshot_whose_header_was_torn_is_no_damage_when_its_removed_name_returns() {
    let disk = CrashStorage::new();
    let db = strict(disk.clone(), 1);
    db.kv().put("a", 1).unwrap();
    db.snapshot().unwrap();
    disk.kill_process();
    drop(db);

    let disk = CrashStorage::from_image(&torn_header(&disk));
    let db = strict(disk.clone(), 2);
    db.kv().put("b", 2).unwrap();
    db.snapshot().unwrap();
    disk.kill_process();
    drop(db);
    let point = disk.crash_point(disk.operation_count());
    let returns = |action: &Action| if *action == Action::Remove { Fate::Lost } else { Fate::Whole };
    let fates: Vec<Fate> = point.pending().iter().map(|pending| returns(&pending.operation.action)).collect();
    assert!(fates.contains(&Fate::Lost), "a file was removed");
    let image = point.image(&fates);
    assert_eq!(image.names().filter(|name| name.starts_with("snap-")).count(), 2);

    let db = strict(CrashStorage::from_image(&image), 3);
    is_sound(&db);
}

/// A page of the newest snapshot had rotted, and the only commit that touched it was the last one, which recovery writes again
/// because nothing proves that it is durable. Pages that the log touches were looked at before the snapshot was chosen; those
/// that this tail touches only afterwards, and the store was refused. Seed 654; fuzzing found it as well.
#[test]
fn a_rotten_page_that_only_the_tail_touches_makes_recovery_take_the_log_instead() {
    let disk = CrashStorage::new();
    let db = strict(disk.clone(), 1);
    db.kv().put("a", 1).unwrap();
    db.snapshot().unwrap();
    db.kv().put("a", 2).unwrap();
    disk.kill_process();
    drop(db);

    let mut image = disk.live_image();
    let snapshot = image.names().find(|name| name.starts_with("snap-")).unwrap().to_owned();
    image.flip_bit(&snapshot, 60, 0);
    let db = strict(CrashStorage::from_image(&image), 2);
    assert_eq!(db.kv().get::<i64>("a").unwrap(), Some(2));
    assert_eq!(db.recovery_report().rejected_snapshots.len(), 1);
}

/// A scan came to a counter that the transaction itself had broken, by adding to what is no number, and failed there. What was
/// behind that key had not been read; all the same it counted as read, and a commit that somebody else made there was a
/// conflict. Whoever began again could conflict for ever, where the answer is that this can never be committed. Seed 723.
#[test]
fn a_scan_that_fails_at_a_counter_has_read_as_far_as_there_and_no_further() {
    let scans = [ScanOptions::all(), ScanOptions::all().reverse()];
    for (scan, before, behind) in [(&scans[0], "sum/1", "sum/9"), (&scans[1], "sum/9", "sum/1")] {
        let commit = |meanwhile: &str| {
            let db = Db::memory();
            db.kv().put("sum/5", "no number").unwrap();
            let tx = db.begin_transaction().unwrap();
            tx.kv().add_i64("sum/5", 1).unwrap();
            assert_eq!(tx.kv().scan(scan).unwrap_err().kind(), ErrorKind::Invalid);
            db.kv().put(meanwhile, 1).unwrap();
            tx.commit().unwrap_err().kind()
        };
        assert_eq!(commit(behind), ErrorKind::Invalid, "nothing that was read has changed, and no retry helps");
        assert_eq!(commit(before), ErrorKind::Conflict, "the scan had come by there");
        assert_eq!(commit("sum/5"), ErrorKind::Conflict, "the next attempt finds a number and commits");
    }
}
