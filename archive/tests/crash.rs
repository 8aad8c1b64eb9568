//! An import that is cut off: whatever the crash leaves is empty, says that an import did not finish, or is the whole
//! store. Never a store with less in it. Rules F-3 and F-60.

mod common;

use std::sync::Arc;

use common::{closed, open, options, quiet};
use foldb_archive::{ArchiveError, import};
use foldb_core::{
    Db, Digest, Error, RecoveryMode,
    recovery::IMPORT_NAME,
    storage::{MemStorage, Storage},
};
use foldb_testkit::{
    SeededHost,
    crash::{CrashStorage, Failure, Fault, Image, OperationKind},
};

/// A store of several small files: two segments, a snapshot, two anchors.
fn store() -> MemStorage {
    let storage = MemStorage::new();
    let small = || options().segment_bytes(4 << 10);
    let db = Db::open(storage.clone(), Arc::new(SeededHost::new(1)), small()).unwrap();
    for number in 0..60 {
        db.kv().put(format!("key {number:02}"), "x".repeat(60)).unwrap();
    }
    db.snapshot().unwrap();
    db.kv().put("last", true).unwrap();
    db.close().unwrap();
    assert!(storage.files().len() >= 5, "{:?}", storage.list());
    storage
}

/// What somebody finds who opens the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Found {
    Nothing,
    Unfinished,
    Whole,
}

fn found(image: &Image, whole: Digest) -> Found {
    let mut all = Vec::new();
    for mode in [RecoveryMode::Default, RecoveryMode::Salvage] {
        let opened = Db::open(image.to_memory(), Arc::new(SeededHost::new(7)), options().recovery(mode));
        all.push(match opened {
            Err(Error::ImportUnfinished) => Found::Unfinished,
            Err(error) => panic!("{error} in {image:?}"),
            Ok(db) if db.recovery_report().created => Found::Nothing,
            Ok(db) => {
                assert_eq!(db.view().default_space().digest().unwrap(), whole, "a part of a store opened: {image:?}");
                Found::Whole
            }
        });
    }
    assert_eq!(all[0], all[1], "salvage sees the same");
    all[0]
}

/// A second import into whatever the crash left works, unless the store is there already.
fn again(image: &Image, archive: &[u8], whole: Digest) {
    let storage = image.to_memory();
    match import(storage, archive, &mut quiet) {
        Ok((_, copy)) => assert_eq!(open(&copy, 8).view().default_space().digest().unwrap(), whole),
        Err(ArchiveError::NotEmpty { .. }) => assert_eq!(found(image, whole), Found::Whole),
        Err(error) => panic!("{error} in {image:?}"),
    }
}

/// Crashes after each operation of a disk, from `from` on, and judges every image. Returns how many there were of each.
fn judge(
    disk: &CrashStorage,
    from: usize,
    archive: &[u8],
    whole: Digest,
    may_be: &dyn Fn(usize) -> Vec<Found>,
) -> [u64; 3] {
    let mut counted = [0; 3];
    for count in from..=disk.operation_count() {
        let point = disk.crash_point(count);
        let torn =
            (0..point.last_write_len().unwrap_or(0)).step_by(64).filter_map(|bytes| point.torn_last_write(bytes));
        for (number, image) in point.images(128, count as u64).chain(torn).enumerate() {
            let found = found(&image, whole);
            assert!(may_be(count).contains(&found), "after {count} operations: {found:?} in {image:?}");
            counted[found as usize] += 1;
            if number % 8 == 0 {
                again(&image, archive, whole);
            }
        }
    }
    counted
}

#[test]
fn an_import_that_crashes_anywhere_leaves_nothing_or_says_that_it_did_not_finish() {
    let original = store();
    let archive = closed(&original);
    let whole = open(&original, 5).view().default_space().digest().unwrap();
    let disk = CrashStorage::new();
    import(disk.clone(), archive.as_slice(), &mut quiet).unwrap();
    let returned = disk.operation_count();
    let counted = judge(&disk, 0, &archive, whole, &|count| {
        // Once the import has returned, the store is there whatever happens.
        if count == returned { vec![Found::Whole] } else { vec![Found::Nothing, Found::Unfinished, Found::Whole] }
    });
    assert!(counted.iter().all(|count| *count > 0), "all three were seen: {counted:?}");
    println!("images: {} empty, {} unfinished, {} whole", counted[0], counted[1], counted[2]);
}

#[test]
fn what_the_mark_says_rests_on_the_order_of_syncs() {
    let disk = CrashStorage::new();
    import(disk.clone(), closed(&store()).as_slice(), &mut quiet).unwrap();
    let mut marked = false;
    for count in 0..disk.operation_count() {
        let point = disk.crash_point(count);
        let names = point.durable_names();
        let files = names.iter().filter(|name| **name != IMPORT_NAME).count();
        let image = point.nothing_survives();
        if image.len(IMPORT_NAME).is_some_and(|len| len > 0) {
            marked = true;
        } else if marked {
            assert_eq!(files, store().files().len(), "the mark goes when every name is durable, not before");
        } else {
            assert_eq!(files, 0, "no name is durable before the mark is");
        }
    }
    assert!(marked);
}

#[test]
fn an_import_that_fails_and_then_crashes_leaves_no_part_of_a_store() {
    let original = store();
    let archive = closed(&original);
    let whole = open(&original, 5).view().default_space().digest().unwrap();
    // The last file is damaged: everything before it has been written and synced when that shows.
    let mut damaged = archive.clone();
    let at = damaged.len() - 1024 - 512;
    damaged[at] ^= 1;
    let disk = CrashStorage::new();
    let error = import(disk.clone(), damaged.as_slice(), &mut quiet).unwrap_err();
    assert!(matches!(error, ArchiveError::Damaged { .. }), "{error}");
    assert!(disk.list().unwrap().is_empty());
    let counted = judge(&disk, 0, &archive, whole, &|_| vec![Found::Nothing, Found::Unfinished]);
    assert!(counted[0] > 0 && counted[1] > 0, "{counted:?}");
}

#[test]
fn an_import_over_an_unfinished_one_of_another_store_crashes_as_well() {
    let original = store();
    let archive = closed(&original);
    let whole = open(&original, 5).view().default_space().digest().unwrap();
    // Another store, with more segments, whose import was cut off in its last file.
    let other = MemStorage::new();
    let db = Db::open(other.clone(), Arc::new(SeededHost::new(11)), options().segment_bytes(4 << 10)).unwrap();
    (0..150).for_each(|number| db.kv().put(format!("other {number}"), "y".repeat(60)).unwrap());
    db.close().unwrap();
    let disk = CrashStorage::new();
    let bytes = closed(&other);
    let mut importer = foldb_archive::Importer::new(disk.clone()).unwrap();
    importer.write(&bytes[..bytes.len() - 1600]).unwrap();
    drop(importer);
    assert_eq!(found(&disk.live_image(), whole), Found::Unfinished, "dropped, it stays marked");

    let begin = disk.operation_count();
    let next = disk.next_process();
    import(next, archive.as_slice(), &mut quiet).unwrap();
    let returned = disk.operation_count();
    let counted = judge(&disk, begin, &archive, whole, &|count| {
        if count == returned { vec![Found::Whole] } else { vec![Found::Unfinished, Found::Whole] }
    });
    assert!(counted[1] > 0 && counted[2] > 0, "{counted:?}");
}

#[test]
fn a_disk_that_fails_anywhere_in_an_import_leaves_no_part_of_a_store() {
    let original = store();
    let archive = closed(&original);
    let whole = open(&original, 5).view().default_space().digest().unwrap();
    for kind in
        [OperationKind::Create, OperationKind::Write, OperationKind::Sync, OperationKind::SetLen, OperationKind::Read]
    {
        for nth in 0..40 {
            let disk = CrashStorage::new();
            disk.inject(Fault::on(kind).nth(nth).failing_with(Failure::Io));
            let outcome = import(disk.clone(), archive.as_slice(), &mut quiet);
            if disk.faults_fired().is_empty() {
                assert!(outcome.is_ok());
                break;
            }
            let point = disk.crash_point(disk.operation_count());
            for image in point.images(64, nth).chain([disk.live_image()]) {
                let found = found(&image, whole);
                assert!(outcome.is_err() || found == Found::Whole, "{kind:?} {nth}: {found:?}");
            }
            disk.clear_faults();
            if outcome.is_err() {
                again(&disk.live_image(), &archive, whole);
            }
        }
    }
}
