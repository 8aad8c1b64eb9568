//! Rows about what a crash leaves: the promise is OK.

use foldb::{ErrorKind, internal::log::segment_name};
use foldb_testkit::crash::{Action, CrashStorage, Fault, Image, OperationKind};

use crate::bench::*;

#[test]
fn row_01_a_torn_write_leaves_a_transaction_whole_or_not_at_all() {
    let disk = killed_after(3);
    let mut torn = 0;
    for (operations, point) in disk.crash_points().enumerate() {
        let Some(len) = point.last_write_len() else { continue };
        for bytes in 0..=len.min(600) {
            let found = opens(&point.torn_last_write(bytes).unwrap());
            assert_eq!(found, first(found.len() as u64), "{bytes} bytes of the write before operation {operations}");
            torn += 1;
        }
    }
    assert!(torn > 500, "{torn} torn writes");
}

#[test]
fn row_02_every_acknowledged_commit_survives_the_loss_of_all_unsynced_writes() {
    let disk = CrashStorage::new();
    let db = open(disk.clone(), STRICT, 1).unwrap();
    for number in 1..=5 {
        put(&db, number).unwrap();
        let point = disk.crash_point(disk.operation_count());
        assert_eq!(opens(&point.nothing_survives()), first(number));
    }
}

#[test]
fn row_03_unsynced_writes_in_any_order_leave_a_prefix_and_nothing_resurfaces() {
    let disk = CrashStorage::new();
    let db = open(disk.clone(), HANDED_OVER, 1).unwrap();
    put(&db, 1).unwrap();
    db.sync().unwrap();
    (2..=4).for_each(|number| put(&db, number).unwrap());
    let point = disk.crash_point(disk.operation_count());
    let pending = point.pending().len();
    let mut holes = 0;
    for bits in 0..1 << pending {
        let disk = CrashStorage::from_image(&point.subset(bits));
        let db = open(disk.clone(), STRICT, 2).unwrap();
        let before = numbers(&db);
        assert_eq!(before, first(before.len() as u64), "subset {bits:b}");
        assert!(!before.is_empty(), "commit 1 was synced");
        holes += u64::from(db.recovery_report().log.cut.as_ref().is_some_and(|cut| cut.frames_behind > 0));
        // Another commit of the same size takes the place of the lost ones, and they stay lost.
        db.kv().put("key 009", format!("value 009 {}", "x".repeat(40))).unwrap();
        drop(db);
        let expected: Vec<u64> = before.into_iter().chain([9]).collect();
        assert_eq!(opens(&disk.live_image()), expected, "subset {bits:b}");
    }
    assert!(holes > 0, "a later write was there without an earlier one");
}

#[test]
fn row_13_after_a_failed_sync_nothing_is_retried_whether_the_cache_keeps_the_bytes_or_reverts_them() {
    for reverts in [false, true] {
        let disk = CrashStorage::new();
        let db = open(disk.clone(), STRICT, 1).unwrap();
        put(&db, 1).unwrap();
        disk.inject(Fault::on(OperationKind::Sync));
        assert_eq!(put(&db, 2).unwrap_err().kind(), ErrorKind::OutcomeUnknown);
        // The next sync would succeed, and would say nothing about commit 2.
        assert_eq!(put(&db, 3).unwrap_err().kind(), ErrorKind::Poisoned);
        assert_eq!(db.sync().unwrap_err().kind(), ErrorKind::Poisoned);
        assert_eq!(numbers(&db), first(1), "readers see what is durable");
        disk.kill_process();
        drop(db);
        // ext4 and XFS keep the new bytes readable, Btrfs shows the old ones again.
        let point = disk.crash_point(disk.operation_count());
        let next = if reverts { CrashStorage::from_image(&point.nothing_survives()) } else { disk.next_process() };
        let db = open(next.clone(), STRICT, 2).unwrap();
        let served = numbers(&db);
        assert_eq!(served, first(if reverts { 1 } else { 2 }));
        // What was served stays, whatever the disk had: the tail was written again before anybody could read it.
        let point = next.crash_point(next.operation_count());
        assert_eq!(opens(&point.nothing_survives()), served);
    }
}

#[test]
fn row_15_names_are_created_and_removed_and_never_renamed() {
    let disk = killed_after(3);
    let db = open(disk.next_process(), STRICT, 2).unwrap();
    db.snapshot().unwrap();
    drop(db);
    let mut there = std::collections::BTreeSet::new();
    for operation in disk.operations() {
        // The trait has no rename; every file that is used was created under its own name, after the one before was removed.
        match operation.action {
            Action::Create => {
                assert!(there.insert(operation.name.clone()), "{} is created over another", operation.name);
            }
            Action::Remove => assert!(there.remove(&operation.name), "{operation:?}"),
            _ => assert!(there.contains(&operation.name), "{operation:?}"),
        }
    }
    for point in disk.crash_points() {
        opens(&point.nothing_survives());
        opens(&point.everything_survives());
    }
}

#[test]
fn row_16_a_name_that_was_not_synced_may_vanish_and_one_that_was_promised_is_missed() {
    let disk = CrashStorage::new();
    let db = open(disk.clone(), STRICT, 1).unwrap();
    (1..=4).for_each(|number| put_large(&db, number).unwrap());
    // Whatever names a crash takes, what was acknowledged is there.
    let promised = disk.operation_count();
    assert_eq!(opens(&disk.crash_point(promised).nothing_survives()), first(4));
    // The newest file goes missing although its name was durable: the anchor names it.
    let mut image = disk.live_image();
    let newest = segment_name(*segments(&image).last().unwrap());
    image.remove(&newest);
    refused(&image, &newest, 0);
}

#[test]
fn row_18_a_header_never_speaks_of_a_length_that_was_not_durable() {
    // A crash during growth leaves files of every length, and none of them is an error.
    let disk = CrashStorage::new();
    let db = open(disk.clone(), STRICT, 1).unwrap();
    (1..=4).for_each(|number| put_large(&db, number).unwrap());
    for point in disk.crash_points() {
        for image in point.images(64, 1) {
            let found = opens(&image);
            assert_eq!(found, first(found.len() as u64));
        }
    }
    // A file that became shorter than a header says is noticed.
    let mut image = disk.live_image();
    let sealed = header(&image, 2).previous.unwrap();
    image.set_len(&first_segment(), sealed.valid_len - 8);
    refused(&image, &first_segment(), sealed.valid_len - 8);
}

#[test]
fn row_19_a_tail_of_garbage_is_cut() {
    let mut image = killed_after(3).live_image();
    let end = *frames(&image, 1).last().unwrap();
    image.overwrite(&first_segment(), end, &[0xa5; 300]);
    let db = open(CrashStorage::from_image(&image), STRICT, 2).unwrap();
    assert_eq!(numbers(&db), first(3));
    let cut = db.recovery_report().log.cut.clone().unwrap();
    assert_eq!((cut.file, cut.offset, cut.bytes, cut.seq), (first_segment(), end, 300, 4));
}

#[test]
fn row_20_frames_of_another_life_of_the_blocks_are_never_valid() {
    let image = killed_after(6).live_image();
    let offsets = frames(&image, 1);
    // The same commits in another store, of which the fourth and later ones are found behind the third here.
    let mut other = killed_after(3).live_image();
    let stale = piece(&image, &first_segment(), offsets[3], offsets[6]);
    let salted = {
        let disk = CrashStorage::new();
        let db = open(disk.clone(), STRICT, 99).unwrap();
        (1..=6).for_each(|number| put(&db, number).unwrap());
        let image = disk.live_image();
        piece(&image, &first_segment(), offsets[3], offsets[6])
    };
    other.overwrite(&first_segment(), offsets[3], &salted);
    assert_eq!(opens(&other), first(3), "frames with another salt do not count");
    // Even the right ones do not, at another place.
    other.overwrite(&first_segment(), offsets[3], &vec![0; salted.len()]);
    other.overwrite(&first_segment(), offsets[3] + 8, &stale);
    assert_eq!(opens(&other), first(3), "frames that were moved do not count");
}

#[test]
fn row_21_nothing_is_appended_to_a_segment_that_was_recovered() {
    let disk = killed_after(3);
    let mut image = disk.live_image();
    let end = *frames(&image, 1).last().unwrap();
    // A torn tail, which nobody neutralizes.
    image.overwrite(&first_segment(), end, &[1, 2, 3, 4, 5, 6, 7, 8, 9]);
    let before = image.bytes(&first_segment()).unwrap();
    let mut last = 3;
    for life in 2..6 {
        let disk = CrashStorage::from_image(&image);
        let db = open(disk.clone(), STRICT, life).unwrap();
        last += 1;
        put(&db, last).unwrap();
        disk.kill_process();
        drop(db);
        image = disk.crash_point(disk.operation_count()).nothing_survives();
        assert_eq!(image.bytes(&first_segment()).unwrap(), before, "the old segment is left as it was");
        assert_eq!(opens(&image), first(last), "commits behind a torn tail are not lost at the next opening");
    }
}

#[test]
fn row_22_a_recovery_that_is_crashed_twice_comes_to_the_same() {
    let image = killed_after(3).live_image();
    let digest = |image: &Image| {
        let db = open(CrashStorage::from_image(image), STRICT, 90).unwrap();
        db.view().default_space().digest().unwrap()
    };
    let expected = digest(&image);
    let crashed = |image: &Image, life| {
        let disk = CrashStorage::from_image(image);
        drop(open(disk.clone(), STRICT, life).unwrap());
        let points: Vec<_> = disk.crash_points().collect();
        points.iter().flat_map(|point| [point.nothing_survives(), point.everything_survives()]).collect::<Vec<_>>()
    };
    let mut crashes = 0;
    for once in crashed(&image, 2) {
        assert_eq!(digest(&once), expected);
        for twice in crashed(&once, 3) {
            assert_eq!(digest(&twice), expected);
            crashes += 1;
        }
    }
    assert!(crashes > 50, "{crashes} crashes");
}

#[test]
fn row_23_what_only_the_page_cache_has_is_made_durable_before_it_is_served() {
    let disk = CrashStorage::new();
    let db = open(disk.clone(), HANDED_OVER, 1).unwrap();
    put(&db, 1).unwrap();
    db.sync().unwrap();
    put(&db, 2).unwrap();
    disk.kill_process();
    drop(db);
    // Commit 2 is in the page cache and not on the disk.
    let before = disk.operation_count();
    assert_eq!(opens(&disk.crash_point(before).nothing_survives()), first(1));
    let next = disk.next_process();
    let db = open(next.clone(), STRICT, 2).unwrap();
    assert_eq!(numbers(&db), first(2));
    assert_eq!(opens(&next.crash_point(next.operation_count()).nothing_survives()), first(2));
    // What decides is synced before it is read.
    let syncs = next.operations().into_iter().skip(before).take_while(|operation| operation.action == Action::Sync);
    let synced: Vec<_> = syncs.map(|operation| operation.name.to_string()).collect();
    assert!(synced.contains(&String::from("anchor-a")) && synced.contains(&first_segment()), "{synced:?}");
}

#[test]
fn row_27_a_worker_that_is_killed_while_it_writes_is_a_crash_like_any_other() {
    let disk = killed_after(3);
    for operations in 0..=disk.operation_count() {
        // No destructor runs and nothing is flushed; what was written stays with the system.
        let image = disk.crash_point(operations).everything_survives();
        let found = opens(&image);
        assert_eq!(found, first(found.len() as u64));
    }
}
