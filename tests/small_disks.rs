//! Disks that are full, that fail while they sync, and that may not be written to: real ones of a few megabytes.
//!
//! Where this program may mount (as root, on Linux), it makes a tmpfs and an ext4 in a file, and takes them away again. Where
//! it may not, the disk in memory stands in, and the test says so.

#[path = "small_disks/device.rs"]
mod device;

use std::{collections::BTreeMap, fs, ops::ControlFlow, path::Path};

use foldb::{
    Db, Durability, Error, ErrorKind, Options, Result,
    storage::{Storage, StorageError},
};

use foldb_testkit::alone;

use self::device::{Device, Mounted, Simulated};

fn options() -> Options {
    Options::new()
        .durability(Durability::Strict)
        .segment_bytes(64 << 10)
        .snapshot_log_bytes(None)
        .snapshot_on_close(false)
}

fn put<S: Storage>(db: &Db<S>, number: u64) -> Result<()> {
    db.transaction(|tx| {
        tx.kv().put(format!("pair/{number}"), number)?;
        tx.kv().put(format!("value/{number}"), vec![7_u8; 3000])
    })
}

/// Commits until there is no room. Returns how many commits there are now.
fn fill<S: Storage>(db: &Db<S>, from: u64) -> (u64, Error) {
    for number in from..1_000_000 {
        if let Err(error) = put(db, number) {
            return (number, error);
        }
    }
    panic!("the disk is larger than it was said to be");
}

fn check<S: Storage>(db: &Db<S>, count: u64, place: &str) {
    for number in 0..count {
        assert_eq!(db.kv().get(format!("pair/{number}")).unwrap(), Some(number), "{place}: a commit that returned");
        let value = db.kv().get::<Vec<u8>>(format!("value/{number}")).unwrap();
        assert_eq!(value, Some(vec![7_u8; 3000]), "{place}");
    }
    assert!(!db.kv().exists(format!("pair/{count}")).unwrap(), "{place}: a commit that was refused");
}

/// The real disks that can be had here, each of so many bytes; else a word about it.
fn real_disks(bytes: u64) -> Vec<Mounted> {
    let disks: Vec<Mounted> = [Mounted::tmpfs(bytes), Mounted::ext4(bytes)].into_iter().flatten().collect();
    if disks.is_empty() {
        println!("this program may not mount anything here: full disks are simulated");
    }
    disks
}

/// A large commit was refused, and somebody else takes what room there still is. Small ones may go into what the newest segment
/// has reserved, or be refused. The store used to give that room back and to count on it: a small commit then failed while it
/// was written, and took the store with it.
fn small_commits<D: Device>(db: &Db<D::Storage>, disk: &D, place: &str) {
    disk.occupy_the_rest();
    for number in 0..200_u64 {
        if let Err(error) = db.kv().put("small", number) {
            assert_eq!(error.kind(), ErrorKind::StorageFull, "{place}: after {number} small commits: {error}");
            break;
        }
    }
}

fn a_disk_fills_up<D: Device>(disk: &D) {
    let place = disk.name();
    disk.occupy_all_but(2 << 20);
    let db = disk.open("store", options()).unwrap();
    let (count, error) = fill(&db, 0);
    assert!(count > 100, "{place}: {count} commits went in");
    assert_eq!(error.kind(), ErrorKind::StorageFull, "{place}: {error}");
    // It can be asked again and again, it changes nothing, and what is there can be read.
    for _ in 0..3 {
        assert_eq!(put(&db, count).unwrap_err().kind(), ErrorKind::StorageFull, "{place}");
    }
    assert_eq!(db.view().seq(), count, "{place}");
    check(&db, count, &place);
    small_commits(&db, disk, &place);
    check(&db, count, &place);
    let snapshot = db.snapshot().unwrap_err();
    assert_eq!(snapshot.kind(), ErrorKind::StorageFull, "{place}: {snapshot}");
    disk.vacate();
    let more = count + 20;
    (count..more).for_each(|number| put(&db, number).unwrap());
    db.snapshot().unwrap();
    check(&db, more, &place);
    db.close().unwrap();
    let db = disk.open("store", options()).unwrap();
    check(&db, more, &place);
    let report = db.verify(&mut |_| ControlFlow::Continue(())).unwrap();
    assert!(report.is_ok(), "{place}: {:?}", report.violations);
    println!("{place}: full after {count} commits, usable all the time, {more} after some room was made");
}

#[test]
fn a_store_on_a_full_disk_stays_usable_and_goes_on_when_there_is_room() {
    let _alone = alone();
    real_disks(4 << 20).iter().for_each(a_disk_fills_up);
    a_disk_fills_up(&Simulated::new(4 << 20));
}

/// The disk has room for so many bytes more when the store is opened, which decides what the full disk interrupts: the first
/// segment, the filling of a segment with zeros, the next segment, a snapshot.
fn there_is_room_for<D: Device>(disk: &D, bytes: u64) -> u64 {
    let place = format!("{}, {bytes} bytes left", disk.name());
    let name = format!("store-{bytes}");
    disk.occupy_all_but(bytes);
    let db = match disk.open(&name, options().segment_bytes(16 << 10)) {
        Ok(db) => db,
        Err(error) => {
            // A directory or the lock file itself needs room.
            assert_eq!(error.kind(), ErrorKind::StorageFull, "{place}: {error}");
            disk.vacate();
            return 0;
        }
    };
    let (count, error) = fill(&db, 0);
    assert_eq!(error.kind(), ErrorKind::StorageFull, "{place}: {error}");
    let before = db.stats().unwrap().snapshots;
    match db.snapshot() {
        Ok(info) => assert_eq!(info.seq, count, "{place}"),
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::StorageFull, "{place}: {error}");
            assert_eq!(db.stats().unwrap().snapshots, before, "{place}: half of a snapshot is left");
        }
    }
    check(&db, count, &place);
    small_commits(&db, disk, &place);
    // What a process that died now would leave.
    let copy = disk.copy(&name);
    disk.vacate();
    if let Some(copy) = copy {
        let db = disk.open(&copy, options()).unwrap();
        check(&db, count, &place);
        drop(db);
        disk.remove(&copy);
    }
    put(&db, count).unwrap();
    check(&db, count + 1, &place);
    db.close().unwrap();
    let db = disk.open(&name, options()).unwrap();
    check(&db, count + 1, &place);
    assert!(db.recovery_report().log.complete && db.recovery_report().damage.is_empty(), "{place}");
    drop(db);
    disk.remove(&name);
    count
}

#[test]
fn wherever_the_disk_becomes_full_nothing_is_lost_and_nothing_is_left_over() {
    let _alone = alone();
    for disk in real_disks(2 << 20) {
        let counts: Vec<u64> = (0..40).map(|pages| there_is_room_for(&disk, pages * 4096)).collect();
        println!("{}: full at 40 places, after {:?} commits", disk.name(), counts);
        assert!(counts.first() < counts.last());
    }
    (0..160).for_each(|step| {
        there_is_room_for(&Simulated::new(2 << 20), step * 512);
    });
}

fn bytes_of(directory: &Path) -> BTreeMap<String, Vec<u8>> {
    let files = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    files.map(|path| (path.display().to_string(), fs::read(&path).unwrap())).collect()
}

#[test]
fn an_opening_that_needs_room_and_finds_none_changes_nothing_and_succeeds_later() {
    let _alone = alone();
    for disk in real_disks(2 << 20) {
        let db = disk.open("store", options()).unwrap();
        (0..5).for_each(|number| put(&db, number).unwrap());
        // The store as its process would leave it if it died now: the last commit is not proven, and is written again.
        let copy = disk.copy("store").unwrap();
        drop(db);
        disk.occupy_all_but(0);
        let before = bytes_of(&disk.path(&copy));
        let error = disk.open(&copy, options()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::StorageFull, "{}: {error}", disk.name());
        let mut after = bytes_of(&disk.path(&copy));
        // The creation of a segment was interrupted; an empty file of the next number may be left.
        after.retain(|name, bytes| before.contains_key(name) || !bytes.iter().all(|byte| *byte == 0));
        assert_eq!(before, after, "{}", disk.name());
        disk.vacate();
        let db = disk.open(&copy, options()).unwrap();
        check(&db, 5, &disk.name());
    }
}

/// The ext4 lies in a file that has more bytes than the tmpfs under it: the file system believes in room that the device does
/// not have, takes the writes, and the sync fails. That is what a real device does when it fails.
#[test]
fn a_sync_that_really_fails_is_told_and_what_was_acknowledged_is_on_the_device() {
    let _alone = alone();
    let Some(mut disk) = Mounted::ext4_that_will_fail(16 << 20, 3 << 20) else {
        println!("this program may not mount anything here: only the tests of the simulated disk make a sync fail");
        return;
    };
    let db = disk.open("store", options()).unwrap();
    let (count, error) = fill(&db, 0);
    // In the middle of a commit, or before it, where the next segment was being made. Never a full disk that the store survives.
    assert!(matches!(error.kind(), ErrorKind::OutcomeUnknown | ErrorKind::Poisoned | ErrorKind::Io), "{error}");
    println!("{}: after {count} commits: {error}", disk.name());
    assert_eq!(put(&db, count).unwrap_err().kind(), ErrorKind::Poisoned, "nothing is accepted any more");
    assert!((0..count).all(|number| db.kv().get(format!("pair/{number}")).unwrap() == Some(number)), "reads go on");
    drop(db);
    // The machine goes down, and what only the page cache had is gone. The device is repaired.
    disk.remount_on_a_larger_device(32 << 20);
    let db = disk.open("store", options()).unwrap();
    let found = db.view().seq();
    assert!(found == count || found == count + 1, "{count} were acknowledged, one is unknown, and {found} are there");
    check(&db, found, &disk.name());
    put(&db, found).unwrap();
    let report = db.verify(&mut |_| ControlFlow::Continue(())).unwrap();
    assert!(report.is_ok(), "{:?}", report.violations);
}

#[test]
fn a_store_on_a_file_system_that_became_read_only_says_so() {
    let _alone = alone();
    for disk in real_disks(2 << 20) {
        let db = disk.open("store", options()).unwrap();
        put(&db, 0).unwrap();
        db.close().unwrap();
        disk.make_read_only();
        let error = disk.open("store", options()).unwrap_err();
        assert!(matches!(error, Error::Storage(StorageError::Denied { .. })), "{}: {error}", disk.name());
    }
}
