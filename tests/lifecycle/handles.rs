//! How many files a store has open: as many as a bound says, however long its log is; and what it does when the system has no
//! handle left.

use std::{ops::ControlFlow, path::Path, sync::Arc};

use foldb::{
    RecoveryMode,
    internal::log::{parse_segment_name, segment_name},
    limits::OPEN_SEGMENTS_DEFAULT,
    storage::StorageError,
};
use foldb_testkit::{Handles, SeededHost};

use super::*;

const SEGMENTS: u64 = 400;
/// Besides the segments that are kept: the one that is written to, the snapshots, an anchor, and a file that comes in before the
/// one that has to go is closed.
const OTHERS: usize = 8;

type Disk = Handles<MemStorage>;

fn open_counted(storage: &Disk, seed: u64, change: impl FnOnce(Options) -> Options) -> Result<Db<Disk>> {
    Db::open(storage.clone(), Arc::new(SeededHost::new(seed)), change(scenario::options(BUFFERED, 4096)))
}

/// Larger than a segment: each has one of its own.
fn value(number: u64) -> Vec<u8> {
    vec![u8::try_from(number % 251).unwrap(); 5000]
}

fn put<S: Storage>(db: &Db<S>, numbers: impl IntoIterator<Item = u64>) {
    numbers.into_iter().for_each(|number| db.kv().put(format!("key {number}"), value(number)).unwrap());
}

fn assert_all_there<S: Storage>(db: &Db<S>, count: u64) {
    for number in 0..count {
        assert_eq!(db.kv().get::<Vec<u8>>(format!("key {number}")).unwrap(), Some(value(number)), "{number}");
    }
}

fn verify<S: Storage>(db: &Db<S>) -> Result<foldb::VerifyReport> {
    db.verify(&mut |_| ControlFlow::Continue(()))
}

/// Everything that goes through all files of a store.
fn go_through<S: Storage>(db: &Db<S>, count: u64) {
    assert_all_there(db, count);
    let replay = db.replay_default().unwrap();
    assert_eq!(replay.kv().get::<Vec<u8>>("key 7").unwrap(), Some(value(7)));
    drop(replay);
    let report = verify(db).unwrap();
    assert!(report.is_ok() && report.segments >= count, "{report:?}");
    let checkpoint = db.checkpoint().unwrap();
    assert!(checkpoint.files().len() as u64 > count);
    for file in checkpoint.files() {
        let mut bytes = vec![0; usize::try_from(file.len()).unwrap()];
        assert_eq!(checkpoint.read_at(file, 0, &mut bytes).unwrap(), bytes.len(), "{}", file.name());
    }
    drop(checkpoint);
    db.stats().unwrap();
}

#[test]
fn a_store_of_many_segments_has_a_bounded_number_of_files_open_whatever_is_done_with_it() {
    let storage = Handles::new(MemStorage::new());
    let bound = OPEN_SEGMENTS_DEFAULT + OTHERS;
    let check = |what: &str| {
        let most = storage.most();
        assert!(most <= bound, "{what}: {most} open");
    };
    let db = open_counted(&storage, 1, |options| options).unwrap();
    put(&db, 0..SEGMENTS);
    check("writing");
    go_through(&db, SEGMENTS);
    check("reading, replaying, verifying, copying");
    db.snapshot().unwrap();
    put(&db, SEGMENTS..SEGMENTS + 50);
    db.snapshot().unwrap();
    go_through(&db, SEGMENTS + 50);
    check("with snapshots");
    db.close().unwrap();
    assert_eq!(storage.open_now(), 0);
    for mode in [RecoveryMode::Default, RecoveryMode::Strict, RecoveryMode::Salvage] {
        let db = open_counted(&storage, 2, |options| options.recovery(mode).check_snapshots(true)).unwrap();
        check("opening");
        assert_all_there(&db, SEGMENTS + 50);
        check("reading");
    }
}

#[test]
fn how_many_segments_are_kept_open_is_an_option() {
    let storage = Handles::new(MemStorage::new());
    for kept in [1, 3] {
        let db = open_counted(&storage, 1, |options| options.open_segments(kept)).unwrap();
        put(&db, 0..50);
        go_through(&db, 50);
        assert!(storage.most() <= kept + OTHERS);
        assert_all_there(&db, 50);
        assert!(storage.open_now() <= kept + 1, "those, and the one that is written to");
    }
}

#[test]
fn a_log_that_cannot_go_on_for_want_of_a_handle_refuses_a_commit_and_goes_on_later() {
    let storage = Handles::new(MemStorage::new());
    let db = open_counted(&storage, 1, |options| options.durability(STRICT)).unwrap();
    put(&db, 0..20);
    let mut count = 20;
    // Enough for nothing more, for the new segment and not the anchor that names it, and for both.
    for spare in [0, 1, 2] {
        // The segment that is written to has room for small commits, is open, and stays so.
        db.kv().put("small", "before").unwrap();
        storage.allow(1 + spare);
        let before = db.storage_names(&storage);
        let seq = db.view().seq();
        let result = db.kv().put(format!("key {count}"), value(count));
        if spare == 2 {
            result.unwrap();
            count += 1;
        } else {
            let error = assert_kind(result, ErrorKind::Io);
            assert!(matches!(error, Error::Storage(StorageError::TooManyOpen { .. })), "{error:?}");
            assert!(error.to_string().contains("ulimit -n"), "{error}");
            assert_eq!(db.view().seq(), seq, "nothing was committed");
            assert_eq!(db.storage_names(&storage), before, "nothing is left of the segment");
            // Smaller ones go on in what the segment has reserved.
            db.kv().put("small", spare).unwrap();
            // A snapshot takes one handle after the other.
            assert_eq!(db.snapshot().is_ok(), spare == 1);
        }
        storage.allow(usize::MAX);
        put(&db, [count]);
        count += 1;
        db.snapshot().unwrap();
    }
    db.close().unwrap();
    let db = open_counted(&storage, 2, |options| options).unwrap();
    assert_all_there(&db, count);
    assert!(verify(&db).unwrap().is_ok());
}

trait Names {
    /// The segments that there are.
    fn storage_names(&self, storage: &Disk) -> Vec<String>;
}

impl Names for Db<Disk> {
    fn storage_names(&self, storage: &Disk) -> Vec<String> {
        storage.list().unwrap().into_iter().filter(|name| name.starts_with("log-")).collect()
    }
}

#[test]
fn what_cannot_be_read_for_want_of_a_handle_can_be_read_later() {
    let storage = Handles::new(MemStorage::new());
    let db = open_counted(&storage, 1, |options| options.open_segments(1)).unwrap();
    put(&db, 0..20);
    db.sync().unwrap();
    // The handles that are only kept for later make room: one is enough for any number of segments.
    storage.allow(2);
    assert_all_there(&db, 20);
    storage.allow(1);
    let error = assert_kind(db.kv().get::<Vec<u8>>("key 3"), ErrorKind::Io);
    assert!(matches!(error, Error::Storage(StorageError::TooManyOpen { .. })), "{error:?}");
    assert_kind(db.replay_default().map(drop), ErrorKind::Io);
    assert_kind(db.checkpoint().map(drop), ErrorKind::Io);
    assert_kind(open_counted(&storage, 2, |options| options).map(drop), ErrorKind::Io);
    storage.allow(usize::MAX);
    go_through(&db, 20);
}

/// Until now the error was that of a key or a run that does not exist.
#[test]
fn a_segment_that_was_removed_under_an_open_store_is_damage_wherever_it_shows() {
    let storage = MemStorage::new();
    let options = scenario::options(BUFFERED, 4096).open_segments(1);
    let db = Db::open(storage.clone(), Arc::new(SeededHost::new(1)), options).unwrap();
    put(&db, 0..10);
    db.sync().unwrap();
    let segments: Vec<u64> = storage.list().unwrap().iter().filter_map(|name| parse_segment_name(name)).collect();
    let lost = segment_name(segments[4]);
    storage.remove(&lost).unwrap();
    let lost_keys = (0..10).filter(|number| match db.kv().get::<Vec<u8>>(format!("key {number}")) {
        Ok(found) => {
            assert_eq!(found, Some(value(*number)));
            false
        }
        Err(error) => {
            assert!(error.to_string().contains(&lost) && error.to_string().contains("is gone"), "{error}");
            assert_kind::<()>(Err(error), ErrorKind::Corrupt);
            true
        }
    });
    assert_eq!(lost_keys.count(), 1);
    let error = assert_kind(db.replay_default().map(drop), ErrorKind::Corrupt);
    assert!(error.to_string().contains(&lost), "{error}");
    let report = verify(&db).unwrap();
    let found = format!("{:?}", report.violations);
    assert!(found.contains(&lost), "{found}");
    assert!(!report.is_ok());
    let checkpoint = db.checkpoint().unwrap();
    assert!(checkpoint.files().iter().all(|file| file.name() != lost), "a copy of it does not pretend to have it");
}

/// Not a test of its own: what the next one runs with fewer files than the store has segments.
#[test]
fn the_program_with_few_files() {
    let Ok(path) = std::env::var("FOLDB_FEW_FILES") else { return };
    let path = Path::new(&path);
    let open = || foldb::open_with(path, scenario::options(BUFFERED, 4096)).unwrap();
    let db = open();
    put(&db, 0..SEGMENTS);
    go_through(&db, SEGMENTS);
    db.snapshot().unwrap();
    db.close().unwrap();
    let db = open();
    go_through(&db, SEGMENTS);
    // Something else takes all that is left. What the store only keeps for later it gives back: so again and again.
    let probe = path.with_extension("probe");
    std::fs::write(&probe, "").unwrap();
    let take_all = || std::iter::from_fn(|| std::fs::File::open(&probe).ok()).collect::<Vec<_>>();
    let mut taken = take_all();
    let refused = loop {
        db.kv().put("small", 0).unwrap();
        taken.extend(take_all());
        match db.kv().put("large", value(0)) {
            Ok(()) => taken.extend(take_all()),
            Err(error) => break error,
        }
    };
    assert!(matches!(refused, Error::Storage(StorageError::TooManyOpen { .. })), "{refused:?}");
    db.kv().put("small", 1).unwrap();
    db.sync().unwrap();
    drop(taken);
    db.kv().put("large", value(0)).unwrap();
    db.close().unwrap();
    assert!(verify(&open()).unwrap().is_ok());
    println!("done with few files");
}

#[cfg(unix)]
#[test]
fn a_store_of_400_segments_works_in_a_process_that_may_have_64_files_open() {
    let directory = tempfile::tempdir().unwrap();
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", "ulimit -n 64 && exec \"$0\" handles::the_program_with_few_files --exact --nocapture"]);
    shell.arg(std::env::current_exe().unwrap()).env("FOLDB_FEW_FILES", directory.path().join("store"));
    let output = output(&mut shell).unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && said.contains("done with few files"), "{said}");
}
