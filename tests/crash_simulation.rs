//! Crashes at every operation, of every sort: what is recovered is a prefix that holds everything promised.

mod scenario;

use foldb::{Durability, ErrorKind};
use foldb_testkit::crash::{Action, CrashStorage, Fault, OperationKind};
use scenario::{Scenario, content, open};

const STRICT: Durability = Durability::Strict;
const BUFFERED: Durability = Durability::buffered();

#[test]
fn a_crash_after_any_operation_of_strict_commits_loses_nothing_promised() {
    let mut scenario = Scenario::new(STRICT, 1 << 20);
    scenario.mixed(4);
    scenario.forget();
    let images = scenario.crash_everywhere(64);
    assert!(images > 60, "{images} images were checked");
}

#[test]
fn a_crash_after_any_operation_of_buffered_commits_keeps_a_prefix() {
    let mut scenario = Scenario::new(BUFFERED, 1 << 20);
    scenario.mixed(2);
    scenario.sync();
    scenario.mixed(2);
    scenario.sync();
    scenario.mixed(1);
    scenario.forget();
    scenario.crash_everywhere(16);
}

#[test]
fn a_crash_at_rotation_loses_nothing_promised() {
    for durability in [STRICT, BUFFERED] {
        let mut scenario = Scenario::new(durability, 4096);
        scenario.mixed(8);
        scenario.forget();
        let segments = scenario.disk.live_image().names().filter(|name| name.starts_with("log-")).count();
        assert!(segments >= 3, "the scenario has {segments} segments");
        scenario.crash_everywhere(8);
    }
}

#[test]
fn a_crash_while_a_snapshot_is_written_loses_nothing_promised() {
    let mut scenario = Scenario::new(STRICT, 8192);
    scenario.mixed(2);
    scenario.snapshot();
    scenario.mixed(2);
    scenario.snapshot();
    scenario.mixed(1);
    scenario.snapshot();
    scenario.forget();
    scenario.crash_everywhere(8);
}

/// The only anchor was made anew behind the snapshot: a process that was killed in between left a store that was refused.
#[test]
fn a_process_that_dies_at_its_first_snapshot_of_a_store_without_commits_leaves_one_that_opens() {
    let first = CrashStorage::new();
    let db = open(first.clone(), BUFFERED, 1 << 20, 1).unwrap();
    // It makes the segment and the anchor, and stays in memory.
    db.kv().put("lost", 1).unwrap();
    first.kill_process();
    drop(db);
    let second = CrashStorage::from_image(&first.live_image());
    open(second.clone(), BUFFERED, 1 << 20, 2).unwrap().snapshot().unwrap();
    let mut with_snapshot = 0;
    for point in second.crash_points() {
        for image in [point.everything_survives()].into_iter().chain(point.images(16, 3)) {
            let db = open(image.to_memory(), BUFFERED, 1 << 20, 3).unwrap();
            assert_eq!(db.kv().get::<i64>("lost").unwrap(), None);
            with_snapshot += u32::from(db.recovery_report().snapshot.is_some());
        }
    }
    assert!(with_snapshot > 0);
}

#[test]
fn a_crash_at_a_clean_close_or_at_reopening_loses_nothing_promised() {
    let mut scenario = Scenario::new(STRICT, 1 << 20);
    scenario.mixed(1);
    scenario.reopen();
    scenario.mixed(1);
    scenario.reopen();
    scenario.forget();
    scenario.crash_everywhere(16);
}

#[test]
fn a_crash_at_any_operation_of_a_recovery_changes_nothing_about_what_is_recovered() {
    let mut first = Scenario::new(STRICT, 1 << 20);
    first.mixed(2);
    first.forget();
    let operations = first.disk.operation_count();
    // The last commit is synced but not proven: recovery has to write it again.
    let image = first.disk.crash_point(operations).everything_survives();
    let promised = first.promised_by(operations);

    let disk = CrashStorage::from_image(&image);
    let mut second = Scenario::on(disk, STRICT, 1 << 20, 50);
    assert!(second.disk.operation_count() > 0, "the tail is written again");
    second.forget();
    second.history.extend(first.history.clone());
    second.promised.push((0, promised));
    second.crash_everywhere(64);
}

#[test]
fn a_log_cut_at_every_byte_recovers_a_prefix_or_names_the_damage() {
    let mut scenario = Scenario::new(STRICT, 1 << 20);
    scenario.mixed(3);
    scenario.forget();
    let whole = scenario.disk.live_image();
    let name = whole.names().find(|name| name.starts_with("log-")).unwrap().to_owned();
    let mut recovered = std::collections::BTreeSet::new();
    let end = whole.bytes(&name).unwrap().iter().rposition(|byte| *byte != 0).unwrap() as u64 + 1;
    for cut in 0..=end {
        let mut image = whole.clone();
        image.set_len(&name, cut);
        match open(image.to_memory(), STRICT, 1 << 20, 9) {
            Ok(db) => {
                let seq = db.view().seq();
                assert_eq!(content(&db), scenario.history[&seq], "cut at byte {cut}");
                recovered.insert(seq);
            }
            Err(error) => assert_eq!(error.kind(), ErrorKind::Corrupt, "cut at byte {cut}: {error}"),
        }
    }
    assert_eq!(recovered.len(), scenario.history.len(), "every commit boundary was seen");
}

#[test]
fn a_flipped_bit_anywhere_is_an_error_or_a_shorter_prefix_and_never_other_content() {
    let mut scenario = Scenario::new(STRICT, 1 << 20);
    scenario.mixed(2);
    scenario.forget();
    let whole = scenario.disk.live_image();
    let name = whole.names().find(|name| name.starts_with("log-")).unwrap().to_owned();
    let last = *scenario.history.last_key_value().unwrap().0;
    let bytes = whole.bytes(&name).unwrap();
    let end = bytes.iter().rposition(|byte| *byte != 0).unwrap() as u64 + 1;
    let mut refused = 0;
    for offset in 0..end {
        for bit in [0, 3, 7] {
            let mut image = whole.clone();
            image.flip_bit(&name, offset, bit);
            match open(image.to_memory(), STRICT, 1 << 20, 9) {
                Ok(db) => {
                    let seq = db.view().seq();
                    // Only the last commit has no mark behind it that says it had been durable.
                    assert!(seq + 1 >= last, "offset {offset}, bit {bit}: recovery ends at {seq}");
                    assert_eq!(content(&db), scenario.history[&seq], "offset {offset}, bit {bit}");
                }
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::Corrupt, "offset {offset}, bit {bit}: {error}");
                    refused += 1;
                }
            }
        }
    }
    assert!(refused > 1000, "{refused} flips were refused");
}

#[test]
fn after_a_clean_close_every_flipped_bit_of_a_frame_is_noticed() {
    let mut scenario = Scenario::new(STRICT, 1 << 20);
    scenario.mixed(1);
    scenario.db.take().unwrap().close().unwrap();
    let whole = scenario.disk.live_image();
    let name = whole.names().find(|name| name.starts_with("log-")).unwrap().to_owned();
    let last = *scenario.history.last_key_value().unwrap().0;
    // The last frame is the mark itself; damage to it leaves the commits before it, which all carry marks but the last.
    for offset in 128..whole.len(&name).unwrap() - 16 {
        let mut image = whole.clone();
        image.flip_bit(&name, offset, 1);
        match open(image.to_memory(), STRICT, 1 << 20, 9) {
            Ok(db) => assert_eq!(db.view().seq(), last, "offset {offset}"),
            Err(error) => assert_eq!(error.kind(), ErrorKind::Corrupt, "offset {offset}: {error}"),
        }
    }
}

#[test]
fn a_damaged_newest_snapshot_costs_time_and_no_data() {
    let mut scenario = Scenario::new(STRICT, 8192);
    scenario.mixed(3);
    scenario.snapshot();
    scenario.mixed(2);
    scenario.snapshot();
    scenario.mixed(1);
    let expected = content(scenario.db());
    scenario.db.take().unwrap().close().unwrap();
    let whole = scenario.disk.live_image();
    let newest = whole.names().filter(|name| name.starts_with("snap-")).max().unwrap().to_owned();
    let last = whole.len(&newest).unwrap();
    for offset in (0..last).step_by(7) {
        let mut image = whole.clone();
        image.flip_bit(&newest, offset, 2);
        let db = match open(image.to_memory(), STRICT, 8192, 9) {
            Ok(db) => db,
            Err(error) => panic!("offset {offset}: {error}"),
        };
        if db.recovery_report().rejected_snapshots.is_empty() {
            // The damage is in a leaf page, which nothing has read yet, or in the checksum over all.
            let report = db.verify(&mut |_| std::ops::ControlFlow::Continue(())).unwrap();
            assert!(!report.is_ok(), "offset {offset}: the damage is found when it is looked for");
            let options = scenario::options(STRICT, 8192).check_snapshots(true);
            let host = std::sync::Arc::new(foldb_testkit::SeededHost::new(10));
            let db = foldb::Db::open(image.to_memory(), host, options).unwrap();
            assert_eq!(content(&db), expected, "offset {offset}, with the snapshot checked");
        } else {
            assert_eq!(content(&db), expected, "offset {offset}");
        }
        std::mem::forget(db);
    }
    let mut image = whole.clone();
    image.remove(&newest);
    let db = open(image.to_memory(), STRICT, 8192, 9).unwrap();
    assert_eq!(content(&db), expected);
    assert_eq!(db.recovery_report().rejected_snapshots.len(), 1);
}

#[test]
fn a_full_disk_shows_before_a_commit_and_leaves_the_store_usable() {
    let mut scenario = Scenario::new(STRICT, 4096);
    scenario.mixed(1);
    let used = scenario.disk.live_image().total_bytes();
    scenario.disk.limit_capacity(Some(used + 4096));
    let mut full = None;
    for round in 0..200 {
        match scenario.db().kv().put(format!("more {round}"), vec![1_u8; 200]) {
            Ok(()) => {
                let seq = scenario.db().view().seq();
                let now = content(scenario.db());
                scenario.history.insert(seq, now);
                scenario.promised.push((scenario.disk.operation_count(), seq));
            }
            Err(error) => {
                full = Some(error);
                break;
            }
        }
    }
    let error = full.expect("the disk gets full");
    assert_eq!(error.kind(), ErrorKind::StorageFull, "{error}");
    // Reads go on, and so do writes once there is room.
    assert_eq!(content(scenario.db()), *scenario.history.last_key_value().unwrap().1);
    scenario.disk.limit_capacity(None);
    scenario.step(|db| db.kv().put("after", "room").unwrap());
    scenario.forget();
    scenario.crash_everywhere(4);
}

#[test]
fn a_failed_sync_poisons_the_store_and_the_commit_is_unknown() {
    let mut scenario = Scenario::new(STRICT, 1 << 20);
    scenario.mixed(1);
    let before = content(scenario.db());
    scenario.disk.inject(Fault::on(OperationKind::Sync).nth(1));
    let error = scenario.db().kv().put("unlucky", 1).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OutcomeUnknown, "{error}");
    // Reads of what was published go on; nothing is retried into a lie.
    assert_eq!(content(scenario.db()), before);
    let error = scenario.db().kv().put("later", 1).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Poisoned, "{error}");
    scenario.forget();
    // Whether the commit is there afterwards is open; half of it never is.
    let operations = scenario.disk.operation_count();
    let last = *scenario.history.last_key_value().unwrap().0;
    let mut with = scenario.history[&last].clone();
    with.insert(format!("default kv {:?}", b"unlucky"), String::from("1"));
    scenario.history.insert(last + 1, with);
    for image in scenario.disk.crash_point(operations).images(64, 1) {
        scenario.check(&image, operations, "after a failed sync");
    }
}

#[test]
fn a_segment_whose_first_sync_failed_is_created_anew_before_an_anchor_names_it() {
    // The enumeration of crashes found this: the failed sync should have made the name durable. Recovery saw the segment
    // in the page cache and had an anchor name it; the power failure after that took the segment and left the anchor,
    // and from then on the store could not be opened.
    let disk = CrashStorage::new();
    let db = open(disk.clone(), STRICT, 4096, 1).unwrap();
    db.kv().put("promised", 1).unwrap();
    // Segment 1 fills up; the sync that fails is the first one of segment 2.
    disk.inject(Fault::on(OperationKind::Sync).of_files("log-00000000000000000002"));
    let value = vec![7_u8; 300];
    let full = (0..100).find_map(|round| db.kv().put(format!("key {round}"), value.clone()).err());
    assert!(full.is_some(), "the sync of the new segment failed");
    let promised = db.view().seq();
    disk.kill_process();
    drop(db);

    let disk = disk.next_process();
    disk.clear_faults();
    let db = open(disk.clone(), STRICT, 4096, 2).unwrap();
    assert!(db.view().seq() >= promised);
    disk.kill_process();
    drop(db);
    for (operations, point) in disk.crash_points().enumerate().skip(disk.operation_count() - 8) {
        for image in [point.nothing_survives(), point.everything_survives()] {
            let db = open(image.to_memory(), STRICT, 4096, 3)
                .unwrap_or_else(|error| panic!("power failure after operation {operations}: {error}"));
            assert!(db.view().seq() >= promised);
        }
    }
}

#[test]
fn a_torn_anchor_is_zeroed_and_synced_before_another_one_is_written_over_it() {
    // The enumeration of crashes found this, three crashes deep: two writes of one slot, both cut off, made up the anchor
    // that had been there before both, whole to the last bit. It named a snapshot that the log no longer reached, and the
    // store refused to open.
    let mut scenario = Scenario::new(STRICT, 4096);
    scenario.mixed(4);
    scenario.forget();
    let mut image = scenario.disk.live_image();
    image.flip_bit("anchor-a", 30, 0);
    let disk = CrashStorage::from_image(&image);
    let db = open(disk.clone(), STRICT, 4096, 7).unwrap();
    db.snapshot().unwrap();
    drop(db);

    let operations = disk.operations();
    let of_slot = operations.iter().filter(|operation| &*operation.name == "anchor-a");
    let mut actions = of_slot.map(|operation| &operation.action).skip_while(|action| **action == Action::Sync);
    let Some(Action::Write { offset: 0, bytes }) = actions.next() else {
        panic!("the slot is written: {operations:?}")
    };
    assert!(bytes.iter().all(|byte| *byte == 0), "first with zeros");
    assert_eq!(actions.next(), Some(&Action::Sync));
    assert_eq!(
        (actions.next(), actions.next()),
        (Some(&Action::Remove), Some(&Action::Create)),
        "then it is made anew"
    );
    let write = actions.find(|action| matches!(action, Action::Write { .. }));
    assert!(
        matches!(write, Some(Action::Write { offset: 0, bytes }) if bytes.starts_with(b"foldbanc")),
        "{operations:?}"
    );
}

#[test]
fn an_anchor_whose_name_was_never_durable_does_not_cost_the_store_the_other_one() {
    // The enumeration of crashes found this. The first sync of an anchor failed; later openings wrote the file again and synced
    // it with success, which does not bring the name back on a disk that dropped it. Then the other anchor, the only one that
    // the disk had, was written over, and a power failure in that moment left none: the store was refused.
    let disk = CrashStorage::new();
    let db = open(disk.clone(), STRICT, 1 << 20, 1).unwrap();
    db.kv().put("key", 1).unwrap();
    disk.inject(Fault::on(OperationKind::Sync).of_files("anchor-"));
    assert!(db.snapshot().is_err(), "the second anchor is not synced");
    disk.clear_faults();
    drop(db);
    // Two more lives on the same page cache, each of which writes both anchors.
    for life in 2..4 {
        let db = open(disk.next_process(), STRICT, 1 << 20, life).unwrap();
        db.kv().put("key", life).unwrap();
        db.snapshot().unwrap();
        db.snapshot().unwrap();
    }
    for point in disk.crash_points() {
        for image in point.images(64, 1) {
            let db = open(image.to_memory(), STRICT, 1 << 20, 9).unwrap_or_else(|error| panic!("{error}"));
            drop(db);
        }
    }
}

#[test]
fn a_snapshot_whose_last_sync_failed_is_disowned_before_the_store_goes_on() {
    // The enumeration of crashes found this: the header was written, its sync failed, and so did the removal of the file. The
    // next power failure left a part of the header. From then on that file counted as one of the two snapshots that are
    // kept, and verification complained about a snapshot that never was.
    let disk = CrashStorage::new();
    let db = open(disk.clone(), STRICT, 1 << 20, 1).unwrap();
    db.kv().put("key", 1).unwrap();
    db.snapshot().unwrap();
    db.kv().put("key", 2).unwrap();
    disk.inject(Fault::on(OperationKind::Sync).of_files("snap-").nth(2));
    disk.inject(Fault::on(OperationKind::Remove).of_files("snap-"));
    assert_eq!(db.snapshot().unwrap_err().kind(), ErrorKind::Io);
    db.kv().put("key", 3).unwrap();
    db.snapshot().unwrap();
    let names = |disk: &CrashStorage| disk.live_image().names().filter(|name| name.starts_with("snap-")).count();
    assert_eq!(names(&disk), 2, "the first and the third are the two that are kept");
    drop(db);

    for image in disk.crash_point(disk.operation_count()).images(4096, 1) {
        let db = open(image.to_memory(), STRICT, 1 << 20, 2).unwrap();
        let report = db.verify(&mut |_| std::ops::ControlFlow::Continue(())).unwrap();
        assert!(report.is_ok(), "{:?}", report.violations);
        assert_eq!(db.recovery_report().snapshot.map(|(generation, _)| generation), Some(3));
    }
}
