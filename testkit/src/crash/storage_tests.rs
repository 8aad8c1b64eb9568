//! The disk itself: what survives which crash, and which failures strike.

use super::*;
use crate::{
    Random,
    conformance::{self, StorageFactory},
    crash::Fate,
};

/// A disk that has had `work` done to it, and the moment after it.
fn after(work: impl Fn(&CrashStorage)) -> (CrashStorage, CrashPoint) {
    let disk = CrashStorage::new();
    work(&disk);
    let point = disk.crash_point(disk.operation_count());
    (disk, point)
}

fn created(disk: &CrashStorage, name: &str, bytes: &[u8]) -> CrashFile {
    let file = disk.create(name).unwrap();
    file.write_at(0, bytes).unwrap();
    file
}

fn files(image: &Image) -> Vec<(String, String)> {
    let text = |bytes| String::from_utf8(bytes).unwrap();
    image.to_files().into_iter().map(|(name, bytes)| (name, text(bytes))).collect()
}

fn is_full(result: Result<(), StorageError>) -> bool {
    matches!(result, Err(StorageError::Full { .. }))
}

struct Disks(CrashStorage);

impl StorageFactory for Disks {
    type Storage = CrashStorage;

    fn fresh(&mut self) -> Result<CrashStorage, StorageError> {
        self.0 = CrashStorage::new();
        Ok(self.0.clone())
    }

    /// After a crash that keeps only what is sure, without the removed files that come back.
    fn reopen(&mut self) -> Result<CrashStorage, StorageError> {
        let point = self.0.crash_point(self.0.operation_count());
        let removed = point.pending().iter().map(|pending| match pending.operation.action {
            Action::Remove => Fate::Whole,
            _ => Fate::Lost,
        });
        self.0 = CrashStorage::from_image(&point.image(&removed.collect::<Vec<_>>()));
        Ok(self.0.clone())
    }
}

#[test]
fn the_disk_keeps_the_storage_contract_also_when_every_reopening_is_a_crash() {
    conformance::assert_conforms(&mut Disks(CrashStorage::new()));
}

#[test]
fn everything_surviving_is_what_the_living_saw() {
    let disk = CrashStorage::from_image(&Image::from_files([("log-0", "old"), ("log-9", "older")]));
    let mut random = Random::new(1);
    for _ in 0..2000 {
        let name = format!("log-{}", random.below(4));
        match (disk.open(&name), random.below(12)) {
            (Err(_), _) => drop(disk.create(&name).unwrap()),
            (Ok(_), 0) => disk.remove(&name).unwrap(),
            (Ok(file), 1..3) => file.sync().unwrap(),
            (Ok(file), 3..5) => file.set_len(random.below(10_000)).unwrap(),
            (Ok(file), _) => {
                let count = random.index(5000);
                file.write_at(random.below(9000), &random.bytes(count)).unwrap();
            }
        }
        if random.chance(1, 50) {
            assert_eq!(disk.crash_point(disk.operation_count()).everything_survives(), disk.live_image());
        }
    }
    let last = disk.crash_points().last().unwrap();
    assert_eq!(last.everything_survives(), disk.live_image());
    assert_eq!(disk.crash_points().count(), disk.operation_count() + 1);
}

#[test]
fn a_created_name_vanishes_with_its_bytes_unless_it_was_synced() {
    let (_, point) = after(|disk| drop(created(disk, "log-1", b"bytes")));
    assert!(point.nothing_survives().is_empty());
    assert!(point.durable_names().is_empty());
    // The bytes without the name are nowhere; the name without the bytes is an empty file.
    assert!(point.subset(0b10).is_empty());
    assert_eq!(files(&point.subset(0b01)), [("log-1".into(), String::new())]);

    let (_, point) = after(|disk| created(disk, "log-1", b"bytes").sync().unwrap());
    assert_eq!(files(&point.nothing_survives()), [("log-1".into(), "bytes".into())]);
    assert!(point.pending().is_empty());
}

#[test]
fn a_removed_name_returns_with_its_synced_bytes_until_the_name_is_taken() {
    let (disk, point) = after(|disk| {
        let file = created(disk, "log-1", b"first");
        file.sync().unwrap();
        file.write_at(0, b"FIRST").unwrap();
        disk.remove("log-1").unwrap();
    });
    assert_eq!(files(&point.nothing_survives()), [("log-1".into(), "first".into())]);
    assert!(point.everything_survives().is_empty());

    let file = created(&disk, "log-1", b"second");
    let point = disk.crash_point(disk.operation_count());
    assert_eq!(files(&point.nothing_survives()), [("log-1".into(), "first".into())]);
    file.sync().unwrap();
    let point = disk.crash_point(disk.operation_count());
    assert_eq!(files(&point.nothing_survives()), [("log-1".into(), "second".into())]);
    assert_eq!(files(&point.everything_survives()), [("log-1".into(), "second".into())]);
}

#[test]
fn pending_writes_survive_in_any_choice_and_the_synced_ones_always() {
    let (_, point) = after(|disk| {
        let file = created(disk, "log-1", b"....");
        file.sync().unwrap();
        file.write_at(0, b"a").unwrap();
        file.write_at(1, b"b").unwrap();
        file.write_at(3, b"de").unwrap();
    });
    let images: Vec<String> = point.images(8, 0).map(|image| files(&image).remove(0).1).collect();
    assert_eq!(images, ["....", "a...", ".b..", "ab..", "...de", "a..de", ".b.de", "ab.de"]);
}

#[test]
fn the_last_write_tears_at_every_byte() {
    let (_, point) = after(|disk| {
        let file = created(disk, "log-1", b"....");
        file.sync().unwrap();
        file.write_at(1, b"abc").unwrap();
    });
    assert_eq!(point.last_write_len(), Some(3));
    let torn = (0..=3).map(|bytes| files(&point.torn_last_write(bytes).unwrap()).remove(0).1);
    assert_eq!(torn.collect::<Vec<_>>(), ["....", ".a..", ".ab.", ".abc"]);
}

#[test]
fn sectors_of_a_write_survive_one_by_one() {
    let (_, point) = after(|disk| {
        created(disk, "log-1", b"").sync().unwrap();
        disk.open("log-1").unwrap().write_at(0, &[7; 1300]).unwrap();
    });
    let image = point.image(&[Fate::Sectors(vec![true, false, true])]);
    assert_eq!(image.bytes("log-1").unwrap(), [vec![7; 512], vec![0; 512], vec![7; 276]].concat());
}

#[test]
fn files_are_synced_one_by_one() {
    let (_, point) = after(|disk| {
        let other = created(disk, "log-1", b"unsynced");
        created(disk, "log-2", b"synced").sync().unwrap();
        other.set_len(3).unwrap();
    });
    assert_eq!(files(&point.nothing_survives()), [("log-2".into(), "synced".into())]);
    assert_eq!(point.durable_names().into_iter().collect::<Vec<_>>(), ["log-2"]);
}

#[test]
fn after_a_failed_sync_no_later_one_saves_what_was_pending() {
    let (disk, point) = after(|disk| {
        let file = created(disk, "log-1", b"old");
        file.sync().unwrap();
        file.write_at(0, b"new").unwrap();
        disk.inject(Fault::on(OperationKind::Sync));
        file.sync().unwrap_err();
        file.write_at(3, b"!").unwrap();
        file.sync().unwrap();
    });
    // The living read it, the disk does not have it, and what came later is there.
    assert_eq!(files(&disk.live_image()), [("log-1".into(), "new!".into())]);
    assert_eq!(files(&point.nothing_survives()), [("log-1".into(), "old!".into())]);
    assert_eq!(files(&point.everything_survives()), [("log-1".into(), "new!".into())]);
}

#[test]
fn a_sync_that_worked_but_was_reported_as_failed_has_worked() {
    let (_, point) = after(|disk| {
        disk.inject(Fault::on(OperationKind::Sync).after(Effect::Whole));
        created(disk, "log-1", b"bytes").sync().unwrap_err();
    });
    assert_eq!(files(&point.nothing_survives()), [("log-1".into(), "bytes".into())]);
}

#[test]
fn faults_strike_the_nth_operation_of_their_kind_once_or_for_ever() {
    let disk = CrashStorage::new();
    let file = disk.create("log-1").unwrap();
    disk.inject(Fault::on(OperationKind::Write).nth(2).failing_with(Failure::Full));
    disk.inject(Fault::on(OperationKind::Read).for_ever());
    disk.inject(Fault::on(OperationKind::Sync).of_files("snap-"));
    let writes: Vec<bool> = (0..4).map(|_| is_full(file.write_at(0, b"x"))).collect();
    assert_eq!(writes, [false, true, false, false]);
    assert!((0..3).all(|_| file.read_at(0, &mut [0]).is_err()));
    file.sync().unwrap();
    disk.create("snap-1").unwrap().sync().unwrap_err();
    let fired = disk.faults_fired();
    assert_eq!(fired[&(OperationKind::Write, Failure::Full)], 1);
    assert_eq!(fired[&(OperationKind::Read, Failure::Io)], 3);
    assert_eq!(fired[&(OperationKind::Sync, Failure::Io)], 1);
    disk.clear_faults();
    file.read_at(0, &mut [0]).unwrap();
}

#[test]
fn a_failed_write_may_leave_a_part() {
    let disk = CrashStorage::new();
    let file = disk.create("log-1").unwrap();
    disk.inject(Fault::on(OperationKind::Write).after(Effect::Prefix(2)));
    file.write_at(0, b"abcd").unwrap_err();
    assert_eq!(files(&disk.live_image()), [("log-1".into(), "ab".into())]);
}

#[test]
fn a_full_disk_refuses_to_grow_and_takes_what_fits() {
    let disk = CrashStorage::new();
    disk.limit_capacity(Some(10));
    let file = created(&disk, "log-1", b"12345678");
    assert!(is_full(file.write_at(8, b"abc")));
    assert!(is_full(disk.create("log-2").unwrap().set_len(3)));
    file.write_at(0, b"overwrite!").unwrap();
    file.set_len(1).unwrap();
    disk.open("log-2").unwrap().set_len(9).unwrap();
}

#[test]
fn random_images_repeat_with_their_seed() {
    let (_, point) = after(|disk| {
        for name in ["log-1", "log-2"] {
            let file = created(disk, name, &[1; 3000]);
            file.sync().unwrap();
            (0..20).for_each(|at| file.write_at(at * 100, &[2; 1500]).unwrap());
        }
    });
    let images = |seed| point.images(50, seed).collect::<Vec<_>>();
    assert_eq!(images(1), images(1));
    assert_ne!(images(1), images(2));
    assert_eq!(images(1)[0], point.nothing_survives());
    assert_eq!(images(1)[1], point.everything_survives());
}

#[test]
fn damage_is_done_where_it_was_asked_for() {
    let mut image = Image::from_files([("log-1", b"abcdef".as_slice()), ("log-2", b"")]);
    image.flip_bit("log-1", 0, 1);
    image.zero("log-1", 2, 2);
    image.append("log-1", b"gh");
    image.set_len("log-2", 2);
    assert_eq!(image.bytes("log-1").unwrap(), b"cb\0\0efgh");
    assert_eq!(image.remove("log-2"), [0, 0]);
    assert_eq!(image.names().collect::<Vec<_>>(), ["log-1"]);
}

#[test]
fn what_a_dead_process_still_does_never_reaches_the_disk() {
    let disk = CrashStorage::new();
    let file = disk.create("log-1").unwrap();
    file.write_at(0, b"written").unwrap();
    disk.kill_process();
    let operations = disk.operation_count();
    assert!(file.write_at(0, b"too late").is_err());
    assert!(file.sync().is_err());
    assert!(disk.remove("log-1").is_err());
    assert_eq!(disk.operation_count(), operations);

    let next = disk.next_process();
    let mut bytes = [0; 7];
    assert_eq!(next.open("log-1").unwrap().read_at(0, &mut bytes).unwrap(), 7);
    assert_eq!(&bytes, b"written", "the page cache survives the process");
    let point = next.crash_point(next.operation_count());
    assert!(point.nothing_survives().is_empty(), "and not the machine");
}
