//! A store whose lock or directory is taken away while it is open stops, and says why, before it does harm to whoever has its
//! place by then. A store that is refused leaves the directory as it found it.

use std::{fs, ops::ControlFlow, path::Path, sync::Arc};

use foldb::{FsStorage, RecoveryMode, Store};
use foldb_testkit::{
    SeededHost,
    machine::{Plan, SimMachine, SimStorage},
};

use super::{opening::listing, *};

/// So many syncs may be acknowledged between two looks.
const SYNCS_MAX: u64 = 64;

/// A store with small segments on a machine of its own, with one commit.
fn on_a_machine(durability: Durability) -> (SimMachine, Db<SimStorage>) {
    let machine = SimMachine::new(1, Plan::none());
    let db = open(machine.attach().unwrap(), durability, 4096, 1).unwrap();
    db.kv().put("before", 1).unwrap();
    db.sync().unwrap();
    (machine, db)
}

/// Nothing is written any more, reading goes on, and the error says what has happened.
fn assert_stopped(db: &Db<SimStorage>) {
    let error = assert_kind(db.kv().put("after", 1), ErrorKind::Poisoned);
    assert!(error.to_string().contains("its lock was taken away"), "{error}");
    assert_kind(db.sync(), ErrorKind::Poisoned);
    assert_kind(db.snapshot(), ErrorKind::Poisoned);
    assert_eq!(db.kv().get::<i64>("before").unwrap(), Some(1));
}

#[test]
fn a_log_does_not_go_on_in_a_new_segment_once_the_place_is_another_owners() {
    let (machine, db) = on_a_machine(STRICT);
    machine.displace();
    let files: Vec<String> = machine.live_image().names().map(str::to_owned).collect();
    // More than a segment holds.
    let error = assert_kind(db.kv().put("large", vec![7_u8; 8192]), ErrorKind::Poisoned);
    assert!(error.to_string().contains("no longer the store that was opened here"), "{error}");
    assert_eq!(machine.live_image().names().collect::<Vec<_>>(), files, "the next owner may have made that segment");
    assert_stopped(&db);
}

#[test]
fn a_snapshot_is_not_written_once_the_place_is_another_owners() {
    let (machine, db) = on_a_machine(STRICT);
    machine.displace();
    let before = machine.live_image();
    assert_kind(db.snapshot(), ErrorKind::Poisoned);
    assert_eq!(machine.live_image(), before);
    assert_stopped(&db);
}

#[test]
fn a_snapshot_during_which_the_place_was_taken_is_named_by_no_anchor() {
    let (machine, db) = on_a_machine(STRICT);
    let anchors = |machine: &SimMachine| {
        let image = machine.live_image();
        ["anchor-a", "anchor-b"].map(|name| image.bytes(name))
    };
    let before = anchors(&machine);
    let snapshot = db.snapshot_with(&mut |_, _| {
        machine.displace();
        ControlFlow::Continue(())
    });
    assert_kind(snapshot, ErrorKind::Poisoned);
    assert_eq!(anchors(&machine), before, "they may be the next owner's");
    assert_stopped(&db);
}

#[test]
fn the_timer_notices_that_the_place_was_taken() {
    for durability in [STRICT, BUFFERED] {
        let (machine, db) = on_a_machine(durability);
        let ticker = db.ticker();
        ticker.tick().unwrap();
        machine.displace();
        assert_kind(ticker.tick(), ErrorKind::Poisoned);
        assert_eq!(ticker.tick(), Ok(false), "there is nothing left to do");
        assert_stopped(&db);
    }
}

#[test]
fn a_close_after_the_place_was_taken_writes_nothing_and_says_so() {
    let (machine, db) = on_a_machine(BUFFERED);
    db.kv().put("buffered", 1).unwrap();
    machine.displace();
    let before = machine.live_image();
    let error = assert_kind(db.close(), ErrorKind::Poisoned);
    assert!(error.to_string().contains("its lock was taken away"), "{error}");
    assert_eq!(machine.live_image(), before);
}

#[test]
fn without_timer_rotation_or_snapshot_the_place_is_looked_at_every_so_many_syncs() {
    let machine = SimMachine::new(1, Plan::none());
    let db = open(machine.attach().unwrap(), STRICT, 1 << 20, 1).unwrap();
    db.kv().put("before", 1).unwrap();
    machine.displace();
    let mut acknowledged = 0;
    let error = loop {
        match db.kv().put("key", acknowledged) {
            Ok(()) => acknowledged += 1,
            Err(error) => break error,
        }
        assert!(acknowledged < SYNCS_MAX, "nobody looked");
    };
    assert_eq!(error.kind(), ErrorKind::OutcomeUnknown, "{error}");
    assert!(error.to_string().contains("its lock was taken away"), "{error}");
    assert_stopped(&db);
}

/// What a person does who finds a file named `lock` in the way: until now both went on, and the one that closed last had
/// thrown the commits of the other away.
#[cfg(unix)]
#[test]
fn of_two_owners_after_a_lock_file_was_removed_the_first_stops_and_the_second_loses_nothing() {
    let _undisturbed = undisturbed();
    let directory = tempfile::tempdir().unwrap();
    let first = foldb::open(directory.path()).unwrap();
    first.kv().put("first", 1).unwrap();
    fs::remove_file(directory.path().join("lock")).unwrap();
    let second = foldb::open(directory.path()).unwrap();
    let mut acknowledged = 0;
    while first.kv().put("first", acknowledged).is_ok() {
        second.kv().put(format!("second {acknowledged}"), acknowledged).unwrap();
        acknowledged += 1;
        assert!(acknowledged < SYNCS_MAX, "nobody looked");
    }
    let error = assert_kind(first.kv().put("first", 0), ErrorKind::Poisoned);
    assert!(error.to_string().contains("`lock` is another one"), "{error}");
    assert_kind(first.close(), ErrorKind::Poisoned);
    second.kv().put("last", 1).unwrap();
    second.snapshot().unwrap();
    second.close().unwrap();
    let db = foldb::open(directory.path()).unwrap();
    for number in 0..acknowledged {
        assert_eq!(db.kv().get::<u64>(format!("second {number}")).unwrap(), Some(number));
    }
    assert_eq!(db.kv().get::<i64>("last").unwrap(), Some(1));
    assert!(db.verify(&mut |_| ControlFlow::Continue(())).unwrap().is_ok());
}

#[cfg(unix)]
#[test]
fn commits_into_a_directory_that_is_gone_do_not_stay_ok() {
    let _undisturbed = undisturbed();
    let parent = tempfile::tempdir().unwrap();
    let path = parent.path().join("store");
    for take_away in [(|path: &Path| fs::remove_dir_all(path).unwrap()) as fn(&Path), |path| {
        fs::rename(path, path.with_extension("away")).unwrap();
    }] {
        let db = foldb::open(&path).unwrap();
        db.kv().put("before", 1).unwrap();
        take_away(&path);
        let refused = (0..SYNCS_MAX).find_map(|number| db.kv().put("key", number).err()).expect("somebody looked");
        assert!(refused.to_string().contains("removed or moved"), "{refused}");
        assert!(db.close().is_err());
        assert!(!path.exists(), "nothing was made in the old place");
    }
}

/// Every way in which an opening is refused: the directory has the names that it had.
#[test]
fn a_refused_opening_leaves_no_file_behind() {
    let _undisturbed = undisturbed();
    let refused = |what: &str, files: &[(&str, Vec<u8>)], options: Options, kind: ErrorKind| {
        let directory = tempfile::tempdir().unwrap();
        for (name, bytes) in files {
            fs::write(directory.path().join(name), bytes).unwrap();
        }
        let before = listing(directory.path());
        let error = foldb::open_with(directory.path(), options).expect_err(what);
        assert_eq!(error.kind(), kind, "{what}: {error}");
        assert_eq!(listing(directory.path()), before, "{what}");
        for (name, bytes) in files {
            assert_eq!(&fs::read(directory.path().join(name)).unwrap(), bytes, "{what}: {name}");
        }
    };
    let (mut image, segment) = small_store();
    let store = || -> Vec<(String, Vec<u8>)> {
        image.names().map(|name| (name.to_owned(), image.bytes(name).unwrap())).collect()
    };
    fn borrowed(files: &[(String, Vec<u8>)]) -> Vec<(&str, Vec<u8>)> {
        files.iter().map(|(name, bytes)| (name.as_str(), bytes.clone())).collect()
    }
    refused("another program's", &[("thesis.txt", b"work".to_vec())], Options::new(), ErrorKind::NotAStore);
    refused("one that looks like ours", &[("log-book.txt", b"work".to_vec())], Options::new(), ErrorKind::NotAStore);
    refused("an empty one", &[], Options::new().create(false), ErrorKind::NotAStore);
    let mut unfinished = store();
    unfinished.push(("import".into(), b"not finished".to_vec()));
    refused("half of a store", &borrowed(&unfinished), Options::new(), ErrorKind::NotAStore);
    refused("in memory", &borrowed(&store()), options(Durability::InMemory), ErrorKind::Unsupported);
    let cancelled = Options::new().progress(|_| ControlFlow::Break(()));
    refused("a cancelled one", &borrowed(&store()), cancelled, ErrorKind::Cancelled);
    let mut torn = store();
    for (name, bytes) in &mut torn {
        if *name == segment {
            bytes.truncate(100);
        }
    }
    refused("a damaged one", &borrowed(&torn), Options::new(), ErrorKind::Corrupt);
    refused("in strict mode", &borrowed(&torn), Options::new().recovery(RecoveryMode::Strict), ErrorKind::Corrupt);
    let mut header = image.bytes(&segment).unwrap()[..128].to_vec();
    header[8] = 2;
    let checksum = opening::crc32(&header[..124]);
    header[124..].copy_from_slice(&checksum.to_le_bytes());
    image.overwrite(&segment, 0, &header);
    let newer: Vec<(String, Vec<u8>)> =
        image.names().map(|name| (name.to_owned(), image.bytes(name).unwrap())).collect();
    refused("a newer one", &borrowed(&newer), Options::new(), ErrorKind::Unsupported);
}

#[test]
fn a_store_that_was_opened_and_left_alone_is_left_as_it_was() {
    let _undisturbed = undisturbed();
    let directory = tempfile::tempdir().unwrap();
    let db = foldb::open(directory.path()).unwrap();
    assert_eq!(db.kv().get::<i64>("a").unwrap(), None);
    db.close().unwrap();
    assert_eq!(listing(directory.path()), [""; 0]);
    let db = foldb::open(directory.path()).unwrap();
    db.kv().put("a", 1).unwrap();
    db.close().unwrap();
    // A copy of it without the lock file, as an archiver may make one.
    fs::remove_file(directory.path().join("lock")).unwrap();
    let files = listing(directory.path());
    let db: Store = foldb::open(directory.path()).unwrap();
    assert_eq!(db.kv().get::<i64>("a").unwrap(), Some(1));
    db.close().unwrap();
    assert_eq!(listing(directory.path()), files, "reading it made nothing in it");
}

#[test]
fn a_salvaged_store_is_looked_at_and_nothing_of_it_is_written() {
    let _undisturbed = undisturbed();
    let directory = tempfile::tempdir().unwrap();
    let db = foldb::open(directory.path()).unwrap();
    db.kv().put("a", 1).unwrap();
    db.close().unwrap();
    fs::remove_file(directory.path().join("lock")).unwrap();
    let files = listing(directory.path());
    let storage = FsStorage::open(directory.path(), false).unwrap();
    let options = Options::new().recovery(RecoveryMode::Salvage);
    let db = Db::open(storage, Arc::new(SeededHost::new(1)), options).unwrap();
    assert_eq!(db.kv().get::<i64>("a").unwrap(), Some(1));
    drop(db);
    assert_eq!(listing(directory.path()), files);
}
