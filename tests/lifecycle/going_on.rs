//! Stores that are opened often: the log goes on in the segment that the last opening has ended cleanly.

use std::{ops::ControlFlow, sync::Arc};

use foldb::{
    RunStatus,
    internal::log::{parse_segment_name, segment_name},
};
use foldb_testkit::SeededHost;

use super::*;

fn segments(image: &Image) -> Vec<u64> {
    image.names().filter_map(parse_segment_name).collect()
}

fn reopen(disk: &CrashStorage, life: u64) -> Db<CrashStorage> {
    open(disk.clone(), STRICT, 1 << 20, life).unwrap()
}

/// Each opening that wrote left a segment for ever: after 2,500 of them a store had 2,500 files.
#[test]
fn a_store_that_is_opened_for_one_commit_two_thousand_times_stays_a_handful_of_files() {
    let storage = MemStorage::new();
    for number in 0..2000_u64 {
        let db = Db::open(storage.clone(), Arc::new(SeededHost::new(number)), Options::new()).unwrap();
        let folded = db.recovery_report().log.records;
        assert!(folded <= 1001, "opening {number} folds {folded} commits");
        db.kv().put(format!("key/{}", number % 50), number).unwrap();
        db.close().unwrap();
    }
    let names: Vec<String> = storage.files().into_keys().collect();
    assert!(names.len() <= 8, "{names:?}");
    assert_eq!(names.iter().filter(|name| name.starts_with("log-")).count(), 1, "{names:?}");
    let db = open(storage, STRICT, 1 << 20, 5000).unwrap();
    assert_eq!(db.view().seq(), 2000);
    assert_eq!(db.kv().get::<u64>("key/49").unwrap(), Some(1999));
    let report = db.verify(&mut |_| ControlFlow::Continue(())).unwrap();
    assert!(report.is_ok(), "{:?}", report.violations);
    assert_eq!(db.replay_default().unwrap().transactions(), 2000);
}

/// Each opening begins with the slot of the newest anchor. One that wrote a snapshot and no other anchor left the older anchor as it had
/// been, and with it the snapshot that this named and all that came since: a `foldb snapshot` each night filled the disk.
#[test]
fn a_store_that_is_opened_for_one_snapshot_again_and_again_keeps_two() {
    for (commits, closes) in [(false, false), (false, true), (true, false), (true, true)] {
        let storage = MemStorage::new();
        for number in 0..40_u64 {
            let db = Db::open(storage.clone(), Arc::new(SeededHost::new(number)), Options::new()).unwrap();
            if commits || number == 0 {
                db.kv().put("key", number).unwrap();
            }
            db.snapshot().unwrap();
            if closes {
                db.close().unwrap();
            }
        }
        let snapshots = storage.files().into_keys().filter(|name| name.starts_with("snap-")).count();
        assert!(snapshots <= 3, "{snapshots} snapshots, with commits: {commits}, closed: {closes}");
        // Whichever anchor is lost, the snapshot that the other one names is there.
        for lost in ["anchor-a", "anchor-b"] {
            let files = storage.files().into_iter().filter(|(name, _)| name != lost);
            let db = open(MemStorage::from_files(files), STRICT, 1 << 20, 99).unwrap();
            assert_eq!(db.kv().get::<u64>("key").unwrap(), Some(if commits { 39 } else { 0 }));
            assert_eq!(db.recovery_report().rejected_snapshots.len(), 0);
        }
    }
}

#[test]
fn a_run_of_an_opening_that_went_on_in_a_segment_is_orphaned_by_the_next_one() {
    for snapshot in [false, true] {
        let disk = CrashStorage::new();
        let db = reopen(&disk, 1);
        db.kv().put("a", 1).unwrap();
        db.close().unwrap();
        let mut begun = Vec::new();
        let mut disk = disk;
        for life in 2..6 {
            let db = reopen(&disk, life);
            let statuses: Vec<RunStatus> = begun.iter().map(|run| db.runs().info(*run).unwrap().status).collect();
            assert!(statuses.iter().all(|status| *status == RunStatus::Orphaned), "life {life}: {statuses:?}");
            assert_eq!(db.recovery_report().orphaned_runs.len(), begun.len());
            begun.push(begin(&db, "run"));
            assert_eq!(db.runs().info(*begun.last().unwrap()).unwrap().status, RunStatus::Active);
            if snapshot {
                db.snapshot().unwrap();
            }
            // Two that end cleanly, so that the next goes on where they ended, and two that are killed.
            if life % 2 == 0 {
                db.close().unwrap();
            } else {
                disk.kill_process();
                drop(db);
                disk = disk.next_process();
            }
        }
    }
}

#[test]
fn after_a_kill_the_log_goes_on_elsewhere_and_what_was_reserved_is_given_back() {
    let disk = CrashStorage::new();
    let db = reopen(&disk, 1);
    db.kv().put("a", 1).unwrap();
    db.kv().put("b", 2).unwrap();
    disk.kill_process();
    drop(db);
    let disk = disk.next_process();
    let before = disk.live_image();
    let name = segment_name(1);
    let used = before.bytes(&name).unwrap().iter().rposition(|byte| *byte != 0).unwrap() as u64 + 1;
    assert!(before.len(&name).unwrap() > used + 60_000, "room was reserved");
    let db = reopen(&disk, 2);
    db.kv().put("c", 3).unwrap();
    let after = disk.live_image();
    assert_eq!(segments(&after), [1, 2]);
    assert_eq!(after.len(&name).unwrap(), used, "and nothing that was written is gone");
    db.close().unwrap();
    assert_eq!(segments(&disk.live_image()), [1, 2]);
}

/// Something is behind the end that the anchor names: whatever it is, nothing is written over it.
#[test]
fn nothing_is_written_behind_an_end_that_is_not_the_end_that_was_closed() {
    let (image, name) = small_store();
    let end = image.len(&name).unwrap();
    for (what, change) in [
        (
            "a byte behind it",
            Box::new(|image: &mut Image| image.append("log-00000000000000000001", &[7])) as Box<dyn Fn(&mut Image)>,
        ),
        (
            "a byte behind zeros",
            Box::new(|image: &mut Image| {
                image.append("log-00000000000000000001", &[0; 4096]);
                image.append("log-00000000000000000001", &[7]);
            }),
        ),
        (
            "it ends before the mark",
            Box::new(move |image: &mut Image| {
                image.set_len("log-00000000000000000001", end - 16);
            }),
        ),
    ] {
        let mut changed = image.clone();
        change(&mut changed);
        let disk = CrashStorage::from_image(&changed);
        let db = reopen(&disk, 2);
        db.kv().put("b", 2).unwrap();
        db.close().unwrap();
        let left = disk.live_image();
        assert_eq!(segments(&left), [1, 2], "{what}");
        let kept = changed.bytes(&name).unwrap();
        assert!(kept.starts_with(&left.bytes(&name).unwrap()), "{what}");
        assert_eq!(reopen(&CrashStorage::from_image(&left), 3).view().seq(), 2, "{what}");
    }
    // Zeros are what was reserved.
    let mut changed = image.clone();
    changed.append(&name, &[0; 5000]);
    let disk = CrashStorage::from_image(&changed);
    reopen(&disk, 2).kv().put("b", 2).unwrap();
    assert_eq!(segments(&disk.live_image()), [1]);
}

#[test]
fn a_commit_that_is_refused_after_the_log_has_gone_on_leaves_a_store_that_closes() {
    let (image, _) = small_store();
    let disk = CrashStorage::from_image(&image);
    let db = reopen(&disk, 2);
    let tx = db.begin_transaction().unwrap();
    tx.kv().add_i64("a", 1).unwrap();
    tx.kv().put("large", vec![1_u8; 2000]).unwrap();
    let late = db.begin_transaction().unwrap();
    assert_eq!(late.kv().get::<i64>("a").unwrap(), Some(1));
    tx.commit().unwrap();
    late.kv().put("a", 7).unwrap();
    assert_kind(late.commit(), ErrorKind::Conflict);
    db.close().unwrap();
    let db = reopen(&disk, 3);
    assert_eq!(db.kv().get::<i64>("a").unwrap(), Some(2));
    assert_eq!(segments(&disk.live_image()), [1]);
}
