//! Stores that become an archive and a store again: the same bytes, whatever they hold. Rules F-55 to F-58.

mod common;

use std::{collections::BTreeSet, fs, process::Command, sync::Arc};

use common::{archive, closed, entries, imported, open, options, quiet, same_store, small_store};
use foldb_archive::{ArchiveError, ClosedStore, Exporter, Importer, Manifest, Source};
use foldb_core::{
    Db, Durability, ErrorKind, Options,
    storage::{MemStorage, Storage, StorageFile},
};
use foldb_testkit::{SeededHost, crash::CrashStorage, sameness};
use sha2::{Digest as _, Sha256};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn the_store_that_all_backends_share_is_what_is_pinned() {
    let storage = same_store();
    let names: Vec<String> = storage.files().into_keys().collect();
    assert!(names.iter().filter(|name| name.starts_with("log-")).count() >= 3, "{names:?}");
    assert_eq!(names.iter().filter(|name| name.starts_with("snap-")).count(), 1, "{names:?}");
    let bytes = closed(&storage);
    let db = Db::open(storage, Arc::new(SeededHost::new(3)), sameness::options()).unwrap();
    sameness::check(&db, "the native store").unwrap();
    assert_eq!(hex(&Sha256::digest(&bytes)), sameness::ARCHIVE_SHA256, "the bytes of its archive");
}

#[test]
fn a_store_comes_back_byte_for_byte() {
    let storage = same_store();
    let (report, copy) = imported(&closed(&storage)).unwrap();
    assert_eq!(report.seq, sameness::SEQ);
    assert_eq!(copy.files(), storage.files());
    let db = Db::open(copy, Arc::new(SeededHost::new(4)), sameness::options()).unwrap();
    sameness::check(&db, "the copy").unwrap();
    assert!(db.verify(&mut |_| std::ops::ControlFlow::Continue(())).unwrap().is_ok());
    db.kv().put("and goes on", true).unwrap();
}

#[test]
fn the_same_store_gives_the_same_archive() {
    let storage = same_store();
    let bytes = closed(&storage);
    assert_eq!(closed(&storage), bytes, "twice");
    assert_eq!(closed(&same_store()), bytes, "made again");
    assert_eq!(closed(&imported(&bytes).unwrap().1), bytes, "of the copy");
}

#[test]
fn an_empty_store_comes_back_empty() {
    let storage = MemStorage::new();
    let bytes = closed(&storage);
    assert_eq!(entries(&bytes).len(), 2, "the manifest and the sums");
    let (report, copy) = imported(&bytes).unwrap();
    assert_eq!((report.store, report.seq, report.files), (None, 0, 0));
    assert!(copy.files().is_empty());
    let db = open(&copy, 1);
    assert!(db.recovery_report().created);
    // And while it is open: what was never committed has no id that would last.
    assert_eq!(archive(db.checkpoint().unwrap()), bytes);
}

#[test]
fn a_store_that_crashed_is_exported_as_it_lies_and_recovers_alike() {
    let disk = CrashStorage::new();
    let db = Db::open(disk.clone(), Arc::new(SeededHost::new(1)), options()).unwrap();
    for number in 0..20 {
        db.kv().put(format!("key {number}"), number).unwrap();
    }
    disk.kill_process();
    drop(db);
    let mut image = disk.live_image();
    let name = image.names().find(|name| name.starts_with("log-")).unwrap().to_owned();
    // A torn frame, and the space that was reserved behind it.
    let end = image.bytes(&name).unwrap().iter().rposition(|byte| *byte != 0).unwrap() as u64;
    assert!(image.len(&name).unwrap() > end + 4096, "space is reserved");
    image.zero(&name, end - 5, 6);
    let storage = image.to_memory();
    let bytes = closed(&storage);
    let (report, copy) = imported(&bytes).unwrap();
    assert_eq!(report.seq, 19, "the last commit is torn");
    assert_eq!(copy.files(), storage.files(), "with the torn tail and the reserved space");
    let (one, other) = (open(&storage, 2), open(&copy, 2));
    assert_eq!(one.recovery_report().log, other.recovery_report().log);
    assert_eq!(one.view().default_space().digest().unwrap(), other.view().default_space().digest().unwrap());
}

#[test]
fn a_store_is_exported_while_it_is_open_and_written_to() {
    let storage = MemStorage::new();
    let options = || Options::new().durability(Durability::buffered()).segment_bytes(8 << 10).snapshot_log_bytes(None);
    let db = Db::open(storage.clone(), Arc::new(SeededHost::new(1)), options()).unwrap();
    for number in 0..300 {
        db.kv().put(format!("key {number}"), "x".repeat(100)).unwrap();
    }
    db.snapshot().unwrap();
    db.kv().put("last", true).unwrap();
    let checkpoint = db.checkpoint().unwrap();
    let digest = db.view().default_space().digest().unwrap();

    // The archive is pulled in small pieces, and between them everything changes: anchors, segments, snapshots.
    let mut exporter = Exporter::new(checkpoint, &mut quiet).unwrap();
    let (mut bytes, mut piece) = (Vec::new(), [0; 4096]);
    loop {
        let count = exporter.read(&mut piece).unwrap();
        if count == 0 {
            break;
        }
        bytes.extend_from_slice(&piece[..count]);
        db.kv().put(format!("later {}", bytes.len()), "y".repeat(300)).unwrap();
        if bytes.len() % 5 == 0 {
            db.snapshot().unwrap();
        }
    }
    assert!(storage.files().keys().filter(|name| name.starts_with("snap-")).count() > 2, "the first is still there");
    drop(exporter);
    db.snapshot().unwrap();
    assert_eq!(storage.files().keys().filter(|name| name.starts_with("snap-")).count(), 2, "and now it is not");

    let (report, copy) = imported(&bytes).unwrap();
    assert_eq!(report.seq, 301);
    let copy = Db::open(copy, Arc::new(SeededHost::new(2)), options()).unwrap();
    assert_eq!(copy.recovery_report().seq, 301);
    assert!(copy.recovery_report().damage.is_empty() && copy.recovery_report().snapshot.is_some());
    assert_eq!(copy.view().default_space().digest().unwrap(), digest);
    assert!(copy.verify(&mut |_| std::ops::ControlFlow::Continue(())).unwrap().is_ok());
}

#[test]
fn a_checkpoint_of_an_idle_store_is_what_closing_leaves() {
    let storage = MemStorage::new();
    let db = open(&storage, 1);
    db.kv().put("key", "value").unwrap();
    let hot = archive(db.checkpoint().unwrap());
    db.close().unwrap();
    assert_eq!(closed(&storage), hot);
}

#[test]
fn every_commit_up_to_the_checkpoint_is_in_it_also_when_others_commit_meanwhile() {
    let storage = MemStorage::new();
    let db = open(&storage, 1);
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for number in 0..300 {
                db.kv().put(format!("key {number:03}"), number).unwrap();
            }
        });
        for _ in 0..10 {
            let checkpoint = db.checkpoint().unwrap();
            let seq = checkpoint.seq();
            let (report, copy) = imported(&archive(checkpoint)).unwrap();
            assert_eq!(report.seq, seq);
            let copy = open(&copy, 2);
            assert_eq!(copy.kv().count(foldb_core::tree::KeyRange::all()).unwrap(), seq, "a prefix");
        }
        writer.join().unwrap();
    });
}

#[test]
fn a_store_in_memory_without_a_log_has_no_checkpoint() {
    let options = Options::new().durability(Durability::InMemory);
    let db = Db::open(MemStorage::new(), Arc::new(SeededHost::new(1)), options).unwrap();
    db.kv().put("key", 1).unwrap();
    assert_eq!(db.checkpoint().unwrap_err().kind(), ErrorKind::Unsupported);
}

#[test]
fn a_broken_store_is_not_exported() {
    let storage = small_store();
    let name = storage.files().into_keys().find(|name| name.starts_with("log-")).unwrap();
    storage.open(&name).unwrap().write_at(140, b"rot").unwrap();
    let error = ClosedStore::new(storage, &mut quiet).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
}

#[test]
fn files_of_others_stay_behind() {
    let storage = small_store();
    storage.create("notes").unwrap().write_at(0, b"mine").unwrap();
    let names: BTreeSet<String> = entries(&closed(&storage)).into_iter().map(|(name, _)| name).collect();
    assert!(!names.contains("foldb-store/notes"), "{names:?}");
}

#[test]
fn a_file_that_changes_while_it_is_exported_ends_the_export() {
    let storage = small_store();
    let mut exporter = Exporter::new(ClosedStore::new(storage.clone(), &mut quiet).unwrap(), &mut quiet).unwrap();
    let name = storage.files().into_keys().find(|name| name.starts_with("log-")).unwrap();
    storage.open(&name).unwrap().write_at(200, b"!").unwrap();
    let mut bytes = vec![0; 1 << 20];
    let error = exporter.read(&mut bytes).unwrap_err();
    assert!(matches!(&error, ArchiveError::Changed { file, .. } if *file == name), "{error}");
}

#[test]
fn pieces_of_any_size_make_no_difference() {
    let storage = small_store();
    let bytes = closed(&storage);
    for size in [1, 7, 511, 512, 513, 4096] {
        let mut exporter = Exporter::new(ClosedStore::new(storage.clone(), &mut quiet).unwrap(), &mut quiet).unwrap();
        let (mut pulled, mut piece) = (Vec::new(), vec![0; size]);
        loop {
            let count = exporter.read(&mut piece).unwrap();
            if count == 0 {
                break;
            }
            pulled.extend_from_slice(&piece[..count]);
        }
        assert!(pulled == bytes, "pulled in pieces of {size}");
        let mut importer = Importer::new(MemStorage::new()).unwrap();
        bytes.chunks(size).for_each(|chunk| importer.write(chunk).unwrap());
        let (_, copy) = importer.finish(&mut quiet).unwrap();
        assert!(copy.files() == storage.files(), "pushed in pieces of {size}");
    }
}

#[test]
fn an_export_and_an_import_can_be_cancelled() {
    let storage = small_store();
    let stop = &mut |_| std::ops::ControlFlow::Break(());
    let source = ClosedStore::new(storage.clone(), &mut quiet).unwrap();
    let error = foldb_archive::export(source, &mut Vec::new(), stop).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
    let empty = MemStorage::new();
    let error = foldb_archive::import(empty.clone(), closed(&storage).as_slice(), stop).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
    assert!(empty.files().is_empty());
    let mut importer = Importer::new(empty.clone()).unwrap();
    importer.write(&closed(&storage)[..4600]).unwrap();
    assert!(!empty.files().is_empty());
    importer.cancel().unwrap();
    assert!(empty.files().is_empty());
}

#[test]
fn the_manifest_says_what_is_in_the_archive() {
    let storage = small_store();
    let source = ClosedStore::new(storage.clone(), &mut quiet).unwrap();
    let store = Source::store(&source).unwrap();
    let exporter = Exporter::new(source, &mut quiet).unwrap();
    let manifest: &Manifest = exporter.manifest();
    assert_eq!((manifest.store(), manifest.seq()), (Some(store), 2));
    let files: Vec<(&str, u64)> = manifest.files().iter().map(|file| (file.name.as_str(), file.bytes)).collect();
    let segment = "log-00000000000000000001";
    assert_eq!(files, [(segment, storage.open(segment).unwrap().len().unwrap()), ("anchor-a", 96), ("anchor-b", 96)]);
    let text = String::from_utf8(entries(&closed(&storage))[0].1.clone()).unwrap();
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(json["archive"], "foldb-store");
    assert_eq!((&json["version"], &json["format"], &json["seq"]), (&1.into(), &1.into(), &2.into()));
    assert_eq!(json["store"], store.to_string());
    assert_eq!(json["files"][1]["name"], "anchor-a");
}

#[test]
fn standard_tools_list_unpack_and_verify_an_archive_and_what_they_unpack_is_a_store() {
    let storage = same_store();
    let bytes = closed(&storage);
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("store.tar");
    fs::write(&file, &bytes).unwrap();
    let run = |program: &str, arguments: &[&str], directory: &std::path::Path| {
        let output = Command::new(program).args(arguments).current_dir(directory).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{program}: {text}");
        text
    };
    let list = run("tar", &["tvf", "store.tar"], place.path());
    let lines: Vec<&str> = list.lines().collect();
    assert_eq!(lines.len(), storage.files().len() + 2, "{list}");
    assert!(lines[0].contains("-rw-r--r-- 0/0") && lines[0].ends_with("foldb-store/manifest.json"), "{list}");
    assert!(lines.last().unwrap().ends_with("foldb-store/anchor-b"), "{list}");
    run("tar", &["xf", "store.tar"], place.path());
    let unpacked = place.path().join("foldb-store");
    let verified = run("sha256sum", &["-c", "SHA256SUMS"], &unpacked);
    assert_eq!(verified.lines().filter(|line| line.ends_with(": OK")).count(), storage.files().len() + 1, "{verified}");
    for (name, content) in storage.files() {
        assert!(fs::read(unpacked.join(&name)).unwrap() == content, "{name}");
    }
    let files: Vec<(String, Vec<u8>)> = fs::read_dir(&unpacked)
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap()))
        .collect();
    // With the manifest and the sums beside them, as they lie there.
    let db = Db::open(MemStorage::from_files(files), Arc::new(SeededHost::new(3)), sameness::options()).unwrap();
    sameness::check(&db, "the unpacked store").unwrap();
}
