//! Opening and closing stores, and what is refused.

use std::{fs, ops::ControlFlow, path::Path, sync::Arc};

use foldb::{
    SnapshotFailures, TransactionOptions,
    internal::log::{Previous, SegmentHeader, snapshot_name},
};
use foldb_testkit::SeededHost;

use super::*;

#[test]
fn what_was_written_is_there_after_closing_and_reopening_in_every_mode() {
    let _undisturbed = undisturbed();
    for durability in [STRICT, BUFFERED] {
        let directory = tempfile::tempdir().unwrap();
        let open = || foldb::open_with(directory.path(), options(durability)).unwrap();
        let db = open();
        assert!(db.recovery_report().created);
        let store = db.id();
        for number in 0..300_i64 {
            let not_waiting = TransactionOptions::new().durability(BUFFERED);
            db.transaction_with(&not_waiting, |tx| tx.kv().put(format!("key/{number}"), number)).unwrap();
        }
        let run = db.runs().begin(RunOptions::named("first")).unwrap();
        run.events().append("log", "line", "hello").unwrap();
        run.kv().put("large", vec![7_u8; 5000]).unwrap();
        let id = run.id();
        let digests = |db: &foldb::Store| {
            let view = db.view();
            (view.default_space().digest().unwrap(), view.run(id).unwrap().digest().unwrap(), view.seq())
        };
        let expected = digests(&db);
        db.close().unwrap();
        for _ in 0..2 {
            let db = open();
            assert!(!db.recovery_report().created);
            assert_eq!((digests(&db), db.id()), (expected, store));
            assert_eq!(db.durable_seq(), expected.2);
            assert!(db.verify(&mut |_| ControlFlow::Continue(())).unwrap().is_ok());
            db.close().unwrap();
        }
    }
}

#[test]
fn opening_and_closing_a_clean_store_writes_nothing() {
    let disk = CrashStorage::new();
    let db = open(disk.clone(), STRICT, 1 << 20, 1).unwrap();
    assert_eq!(disk.operation_count(), 0, "opening a new store writes nothing");
    db.close().unwrap();
    assert_eq!(disk.operation_count(), 0, "nor does closing it");
    let db = open(disk.clone(), STRICT, 1 << 20, 1).unwrap();
    db.kv().put("a", 1).unwrap();
    db.close().unwrap();
    let operations = disk.operation_count();
    let image = disk.live_image();
    assert!(image.total_bytes() < 1000, "what was reserved is given back: {image:?}");
    for seed in 2..5 {
        let db = open(disk.clone(), STRICT, 1 << 20, seed).unwrap();
        assert_eq!(db.kv().get::<i64>("a").unwrap(), Some(1));
        assert_eq!(db.recovery_report().log.tail_records, 0);
        db.close().unwrap();
    }
    let writes = disk.operations()[operations..]
        .iter()
        .filter(|operation| !matches!(operation.action, foldb_testkit::crash::Action::Sync))
        .count();
    assert_eq!(writes, 0);
}

#[test]
fn a_store_that_is_dropped_is_closed() {
    let disk = CrashStorage::new();
    let db = open(disk.clone(), BUFFERED, 1 << 20, 1).unwrap();
    db.kv().put("a", 1).unwrap();
    drop(db);
    let image = disk.crash_point(disk.operation_count()).nothing_survives();
    let db = open(image.to_memory(), BUFFERED, 1 << 20, 2).unwrap();
    assert_eq!(db.kv().get::<i64>("a").unwrap(), Some(1));
    assert_eq!(db.recovery_report().log.tail_records, 0, "it was marked as complete");
}

#[test]
fn closing_writes_a_snapshot_where_it_pays() {
    let storage = MemStorage::new();
    let open = |seed| Db::open(storage.clone(), Arc::new(SeededHost::new(seed)), options(BUFFERED)).unwrap();
    let db = open(1);
    db.kv().put("small", 1).unwrap();
    db.close().unwrap();
    assert_eq!(open(2).recovery_report().snapshot, None);
    let db = open(3);
    for number in 0..6 {
        db.kv().put(format!("large {number}"), vec![1_u8; 1 << 20]).unwrap();
    }
    db.close().unwrap();
    let db = open(4);
    assert!(db.recovery_report().snapshot.is_some());
    assert_eq!(db.recovery_report().log.records, 0, "nothing is folded");
    assert_eq!(db.kv().get::<Vec<u8>>("large 5").unwrap().unwrap().len(), 1 << 20);
}

#[test]
fn a_snapshot_is_written_by_the_commit_that_makes_it_due() {
    let storage = MemStorage::new();
    let options = options(BUFFERED).snapshot_log_bytes(Some(100_000)).segment_bytes(32 << 10);
    let db = Db::open(storage.clone(), Arc::new(SeededHost::new(1)), options).unwrap();
    for number in 0..400 {
        db.kv().put(format!("key {number}"), vec![1_u8; 900]).unwrap();
        if number % 10 == 0 {
            db.sync().unwrap();
        }
    }
    let stats = db.stats().unwrap();
    assert_eq!(stats.snapshots.len(), 2, "{:?}", stats.snapshots);
    assert!(stats.snapshots[1].0 >= 3, "and it was not the first: {:?}", stats.snapshots);
}

/// Nobody was told, and the log grew for ever.
#[test]
fn an_automatic_snapshot_that_fails_is_counted_and_says_why_and_the_commit_stands() {
    let storage = MemStorage::new();
    let options = options(BUFFERED).snapshot_log_bytes(Some(100_000)).segment_bytes(32 << 10);
    let db = Db::open(storage.clone(), Arc::new(SeededHost::new(1)), options).unwrap();
    db.kv().put("first", 1).unwrap();
    assert_eq!(db.stats().unwrap().snapshot_failures, SnapshotFailures::default());
    // What somebody else has put in the way of it.
    let in_the_way = snapshot_name(1);
    drop(storage.create(&in_the_way).unwrap());
    let put = |number| db.kv().put(format!("key {number}"), vec![1_u8; 900]).unwrap();
    (0..150).for_each(put);
    let stats = db.stats().unwrap();
    let failures = &stats.snapshot_failures;
    assert!(failures.count > 0 && failures.last.as_ref().unwrap().contains(&in_the_way), "{failures:?}");
    assert_eq!(stats.commits, 151);
    let before = failures.count;
    (150..300).for_each(put);
    let stats = db.stats().unwrap();
    assert!(!stats.snapshots.is_empty(), "it is tried again");
    assert_eq!(stats.snapshot_failures.count, before);
}

#[test]
fn a_second_opener_is_told_that_the_store_is_open() {
    let _undisturbed = undisturbed();
    let directory = tempfile::tempdir().unwrap();
    let db = foldb::open(directory.path()).unwrap();
    db.kv().put("a", 1).unwrap();
    let error = assert_kind(foldb::open(directory.path()), ErrorKind::Locked);
    assert!(error.to_string().contains(directory.path().file_name().unwrap().to_str().unwrap()), "{error}");
    assert_kind(foldb::open_with(directory.path(), Options::new().create(false)), ErrorKind::Locked);
    db.kv().put("a", 2).unwrap();
    db.close().unwrap();
    assert_eq!(foldb::open(directory.path()).unwrap().kv().get::<i64>("a").unwrap(), Some(2));
}

pub(crate) fn listing(directory: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_directory_of_something_else_is_refused_and_left_as_it_was() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("thesis.txt"), "years of work").unwrap();
    let error = assert_kind(foldb::open(directory.path()), ErrorKind::NotAStore);
    assert!(error.to_string().contains("thesis.txt"), "{error}");
    assert_eq!(listing(directory.path()), ["thesis.txt"]);

    let file = directory.path().join("thesis.txt");
    assert_kind(foldb::open(&file), ErrorKind::NotAStore);
    assert_kind(foldb::open(file.join("below")), ErrorKind::NotAStore);
    assert_eq!(fs::read_to_string(file).unwrap(), "years of work");
}

#[test]
fn a_store_is_created_only_where_that_was_asked_for() {
    let _undisturbed = undisturbed();
    let directory = tempfile::tempdir().unwrap();
    let missing = directory.path().join("not/yet");
    assert_kind(foldb::open_with(&missing, Options::new().create(false)), ErrorKind::NotFound);
    assert!(!directory.path().join("not").exists());
    assert_kind(foldb::open_with(directory.path(), Options::new().create(false)), ErrorKind::NotAStore);
    assert_eq!(listing(directory.path()), [""; 0]);
    assert_kind(
        Db::open(MemStorage::new(), Arc::new(SeededHost::new(1)), Options::new().create(false)),
        ErrorKind::NotAStore,
    );
    foldb::open(&missing).unwrap().kv().put("a", 1).unwrap();
    let db = foldb::open_with(&missing, Options::new().create(false)).unwrap();
    assert_eq!(db.kv().get::<i64>("a").unwrap(), Some(1));
}

#[test]
fn files_that_are_not_ours_are_never_touched_inside_a_store() {
    let _undisturbed = undisturbed();
    let directory = tempfile::tempdir().unwrap();
    let db = foldb::open(directory.path()).unwrap();
    db.kv().put("a", 1).unwrap();
    db.close().unwrap();
    for name in ["notes.txt", "log-1", "snap-old", "log-00000000000000000001.bak", ".hidden"] {
        fs::write(directory.path().join(name), "mine").unwrap();
    }
    let db = foldb::open(directory.path()).unwrap();
    assert_eq!(db.kv().get::<i64>("a").unwrap(), Some(1));
    db.kv().put("a", 2).unwrap();
    db.snapshot().unwrap();
    db.close().unwrap();
    for name in ["notes.txt", "log-1", "snap-old", "log-00000000000000000001.bak", ".hidden"] {
        assert_eq!(fs::read_to_string(directory.path().join(name)).unwrap(), "mine");
    }
}

#[test]
fn a_store_of_a_newer_format_is_refused_by_name_and_left_as_it_was() {
    let (mut image, name) = small_store();
    let mut header = image.bytes(&name).unwrap()[..128].to_vec();
    header[8] = 2;
    let checksum = crc32(&header[..124]);
    header[124..].copy_from_slice(&checksum.to_le_bytes());
    image.overwrite(&name, 0, &header);
    let memory = image.to_memory();
    let error = assert_kind(open(memory.clone(), STRICT, 1 << 20, 2), ErrorKind::Unsupported);
    assert!(error.to_string().contains(&name) && error.to_string().contains("newer version of foldb"), "{error}");
    assert_eq!(Image::from(&memory), image);
    // A feature that this version does not know is the same.
    header[8] = 1;
    header[12] = 1;
    let checksum = crc32(&header[..124]);
    header[124..].copy_from_slice(&checksum.to_le_bytes());
    image.overwrite(&name, 0, &header);
    let error = assert_kind(open(image.to_memory(), STRICT, 1 << 20, 2), ErrorKind::Unsupported);
    assert!(error.to_string().contains("feature"), "{error}");
}

/// CRC-32 as in zip and PNG, bit by bit.
pub(crate) fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 })
    })
}

#[test]
fn a_segment_of_another_store_is_noticed() {
    let (mut image, name) = small_store();
    let header = SegmentHeader::decode(&name, &image.bytes(&name).unwrap()).unwrap().unwrap();
    let length = image.len(&name).unwrap();
    let foreign = SegmentHeader {
        store: foldb::StoreId::from_bytes([7; 16]),
        segment: header.segment + 1,
        epoch: header.epoch + 1,
        salt: [1; 16],
        first_seq: 2,
        previous: Some(Previous { segment: header.segment, valid_len: length, last_seq: 1, last_crc: 0 }),
    };
    image.put(&foldb::internal::log::segment_name(header.segment + 1), &foreign.encode());
    let error = assert_kind(open(image.to_memory(), STRICT, 1 << 20, 2), ErrorKind::Corrupt);
    assert!(error.to_string().contains("store"), "{error}");
}

#[test]
fn a_missing_segment_is_noticed_wherever_it_was() {
    let disk = CrashStorage::new();
    let db = open(disk.clone(), STRICT, 4096, 1).unwrap();
    for number in 0..40 {
        db.kv().put(format!("key {number}"), vec![1_u8; 500]).unwrap();
    }
    db.close().unwrap();
    let whole = disk.live_image();
    let segments: Vec<String> = whole.names().filter(|name| name.starts_with("log-")).map(str::to_owned).collect();
    assert!(segments.len() > 4);
    for name in &segments {
        let mut image = whole.clone();
        image.remove(name);
        let error = assert_kind(open(image.to_memory(), STRICT, 4096, 2), ErrorKind::Corrupt);
        assert!(error.to_string().contains("log-") || error.to_string().contains("anchor"), "{name}: {error}");
    }
}
