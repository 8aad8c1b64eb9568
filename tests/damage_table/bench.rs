//! A small store whose every commit is known, and the checks that all rows share.

use std::sync::Arc;

use foldb::{
    Db, Durability, Error, Options, Result,
    internal::log::{
        FrameOutcome, FrameSeal, SEGMENT_HEADER_BYTES, SegmentHeader, parse_segment_name, read_frame, segment_name,
    },
    primitive::ScanOptions,
    storage::Storage,
};
use foldb_testkit::{
    SeededHost,
    crash::{CrashStorage, Image},
};

pub(crate) const STRICT: Durability = Durability::Strict;
/// Hands every commit over to the system, and syncs none.
pub(crate) const HANDED_OVER: Durability =
    Durability::Buffered { interval: std::time::Duration::from_millis(100), bytes: 1 };

pub(crate) fn options(durability: Durability) -> Options {
    Options::new().durability(durability).segment_bytes(4096).snapshot_log_bytes(None).snapshot_on_close(false)
}

/// Opens a store; `life` is a number that no other opening of the same files has.
pub(crate) fn open<S: Storage>(storage: S, durability: Durability, life: u64) -> Result<Db<S>> {
    Db::open(storage, Arc::new(SeededHost::new(life)), options(durability))
}

/// Commit number `number`: one pair, of a size that never differs.
pub(crate) fn put<S: Storage>(db: &Db<S>, number: u64) -> Result<()> {
    db.kv().put(format!("key {number:03}"), format!("value {number:03} {}", "x".repeat(40)))
}

/// A commit that fills most of a segment, so that the next one goes into another.
pub(crate) fn put_large<S: Storage>(db: &Db<S>, number: u64) -> Result<()> {
    db.kv().put(format!("key {number:03}"), format!("value {number:03} {}", "x".repeat(2500)))
}

/// The numbers of the commits that are there. Panics where anything else is there than what [`put`] has written.
pub(crate) fn numbers<S: Storage>(db: &Db<S>) -> Vec<u64> {
    let number = |pair: foldb::primitive::Pair| {
        let key = String::from_utf8(pair.key).unwrap();
        let value = pair.value.as_text().unwrap().to_owned();
        let number = key.strip_prefix("key ").unwrap();
        assert!(value.starts_with(&format!("value {number} x")), "{key} has {value}");
        number.parse().unwrap()
    };
    db.kv().scan(&ScanOptions::all()).unwrap().into_iter().map(number).collect()
}

/// The numbers from 1 to `last`.
pub(crate) fn first(last: u64) -> Vec<u64> {
    (1..=last).collect()
}

/// A disk with a store of so many strict commits, whose process was killed.
pub(crate) fn killed_after(commits: u64) -> CrashStorage {
    let disk = CrashStorage::new();
    let db = open(disk.clone(), STRICT, 1).unwrap();
    (1..=commits).for_each(|number| put(&db, number).unwrap());
    disk.kill_process();
    drop(db);
    disk
}

/// A disk with a store of so many strict commits that was left alone until its timer found nothing more to do, and whose
/// process was killed then.
pub(crate) fn idle_after(commits: u64) -> CrashStorage {
    let disk = CrashStorage::new();
    let db = open(disk.clone(), STRICT, 1).unwrap();
    (1..=commits).for_each(|number| put(&db, number).unwrap());
    let ticker = db.ticker();
    while ticker.tick().unwrap() {}
    disk.kill_process();
    drop(db);
    disk
}

/// The files of a store of so many strict commits that was closed cleanly.
pub(crate) fn closed_after(commits: u64) -> Image {
    let disk = CrashStorage::new();
    let db = open(disk.clone(), STRICT, 1).unwrap();
    (1..=commits).for_each(|number| put(&db, number).unwrap());
    db.close().unwrap();
    disk.live_image()
}

/// The files of a store in three segments, with two snapshots, closed cleanly. Commits 1 to 6 are there.
pub(crate) fn large_and_closed() -> Image {
    let disk = CrashStorage::new();
    let db = open(disk.clone(), STRICT, 1).unwrap();
    for number in 1..=6 {
        put_large(&db, number).unwrap();
        if number == 2 || number == 4 {
            db.snapshot().unwrap();
        }
    }
    db.close().unwrap();
    let image = disk.live_image();
    assert!(segments(&image).len() >= 3, "{image:?}");
    image
}

/// The promise OK: the files open, and what is there is what [`numbers`] says. Returns that.
pub(crate) fn opens(image: &Image) -> Vec<u64> {
    let db = open(CrashStorage::from_image(image), STRICT, 77).unwrap();
    numbers(&db)
}

/// The promise ERR: opening says that this file is corrupt at this offset, and has changed nothing.
#[track_caller]
pub(crate) fn refused(image: &Image, expected_file: &str, expected_offset: u64) {
    let disk = CrashStorage::from_image(image);
    match open(disk.clone(), STRICT, 78).map(|_| ()) {
        Err(Error::Corrupt { file, offset, rule, what }) => {
            assert_eq!((file.as_str(), offset), (expected_file, expected_offset), "{rule}: {what}");
        }
        other => panic!("{expected_file} is damaged at {expected_offset}, and opening says {other:?}"),
    }
    assert!(!disk.is_changed(), "the opening that failed has written: {:?}", disk.operations());
    assert_eq!(&disk.live_image(), image);
}

/// The segments, ascending.
pub(crate) fn segments(image: &Image) -> Vec<u64> {
    image.names().filter_map(parse_segment_name).collect()
}

pub(crate) fn header(image: &Image, segment: u64) -> SegmentHeader {
    let name = segment_name(segment);
    SegmentHeader::decode(&name, &image.bytes(&name).unwrap()).unwrap().unwrap()
}

/// Where the frames of a segment begin, and where the last one ends.
pub(crate) fn frames(image: &Image, segment: u64) -> Vec<u64> {
    let bytes = image.bytes(&segment_name(segment)).unwrap();
    let seal = FrameSeal::new(&header(image, segment).salt, segment);
    let mut offsets = vec![SEGMENT_HEADER_BYTES];
    while let Some(offset) = offsets.last().copied()
        && let FrameOutcome::Frame(frame) = read_frame(&bytes[usize::try_from(offset).unwrap()..], offset, &seal)
    {
        offsets.push(frame.next);
    }
    offsets
}

/// The bytes of a file between two offsets.
pub(crate) fn piece(image: &Image, name: &str, from: u64, to: u64) -> Vec<u8> {
    image.bytes(name).unwrap()[usize::try_from(from).unwrap()..usize::try_from(to).unwrap()].to_vec()
}

/// The first segment of a store.
pub(crate) fn first_segment() -> String {
    segment_name(1)
}
