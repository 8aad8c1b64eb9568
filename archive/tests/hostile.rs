//! Archives that are damaged, cut or made by somebody who means harm. Whatever comes, the storage is empty afterwards or
//! holds the whole store, and the error says where and why. Rule F-59.

mod common;

use common::{closed, imported, open, quiet, small_store};
use foldb_archive::{ArchiveError, Importer, import};
use foldb_core::{
    ErrorKind,
    recovery::IMPORT_NAME,
    storage::{MemStorage, Storage, StorageFile},
};
use proptest::prelude::*;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// Imports into an empty storage, which must be empty again where that fails.
fn outcome(bytes: &[u8]) -> Result<MemStorage, ArchiveError> {
    let storage = MemStorage::new();
    match import(storage.clone(), bytes, &mut quiet) {
        Ok((_, copy)) => Ok(copy),
        Err(error) => {
            assert!(storage.files().is_empty(), "{error}: {:?}", storage.list());
            Err(error)
        }
    }
}

/// The header that `foldb export` would write for this path and length.
fn header(path: &str, bytes: u64) -> tar::Header {
    let mut header = tar::Header::new_ustar();
    header.set_path(path).unwrap();
    header.set_size(bytes);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_entry_type(tar::EntryType::Regular);
    header.set_cksum();
    header
}

/// An archive with these entries, as any tool could make it.
fn forged(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (path, content) in entries {
        builder.append(&header(path, content.len() as u64), *content).unwrap();
    }
    builder.into_inner().unwrap()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// An archive of these files whose sums all hold.
fn consistent(store: Value, seq: u64, files: &[(&str, &[u8])]) -> Vec<u8> {
    let entries: Vec<Value> = files
        .iter()
        .map(|(name, content)| json!({ "name": name, "bytes": content.len(), "sha256": hex(&Sha256::digest(content)) }))
        .collect();
    let manifest =
        json!({ "archive": "foldb-store", "version": 1, "format": 1, "store": store, "seq": seq, "files": entries })
            .to_string();
    let mut sums = format!("{}  manifest.json\n", hex(&Sha256::digest(manifest.as_bytes())));
    for (name, content) in files {
        sums += &format!("{}  {name}\n", hex(&Sha256::digest(content)));
    }
    let names: Vec<String> = files.iter().map(|(name, _)| format!("foldb-store/{name}")).collect();
    let mut all: Vec<(&str, &[u8])> =
        vec![("foldb-store/manifest.json", manifest.as_bytes()), ("foldb-store/SHA256SUMS", sums.as_bytes())];
    all.extend(names.iter().zip(files).map(|(name, (_, content))| (name.as_str(), *content)));
    forged(&all)
}

#[test]
fn an_archive_that_was_cut_anywhere_is_refused_and_nothing_of_it_stays() {
    let bytes = closed(&small_store());
    assert_eq!(bytes.len() % 512, 0);
    for len in 0..bytes.len() {
        let error = outcome(&bytes[..len]).unwrap_err();
        match error {
            ArchiveError::NotAnArchive { .. } if len == 0 => {}
            ArchiveError::Truncated { offset, .. } => assert_eq!(offset, len as u64),
            other => panic!("cut at {len}: {other}"),
        }
    }
    let mut longer = bytes.clone();
    longer.push(0);
    assert!(matches!(outcome(&longer), Err(ArchiveError::Refused { rule: "F-55", .. })));
}

#[test]
fn a_bit_that_flipped_anywhere_is_noticed() {
    let bytes = closed(&small_store());
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1 << (at % 8);
        let error = match outcome(&damaged) {
            Err(error) => error,
            Ok(_) => panic!("the flip at {at} of {} passed", bytes.len()),
        };
        let known = matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Invalid | ErrorKind::Unsupported);
        assert!(known, "at {at}: {error}");
    }
}

#[test]
fn archives_of_others_are_no_archives() {
    assert!(outcome(&[0; 2000]).is_err());
    for (bytes, why) in [
        // It was called an archive that had not been copied whole.
        (&b"{\"a\":1}"[..], "does not begin like a tar"),
        (b"hello", "does not begin like a tar"),
        (&[b'x'; 5000], "does not begin like a tar"),
        (b"PK\x03\x04", "a zip file"),
        (&[0x1f, 0x8b, 8, 0], "gzip, decompress it first"),
        (&[[0x1f, 0x8b, 8].as_slice(), &[7; 5000]].concat(), "gzip, decompress it first"),
    ] {
        let error = outcome(bytes).unwrap_err();
        assert!(matches!(&error, ArchiveError::NotAnArchive { .. }), "{error}");
        assert!(error.to_string().contains(why), "{error}");
    }
    // Too short for a header, and still told from an archive that was cut.
    for bytes in [&br#"{"a":1}"#[..], b"PK\x03\x04", b"f", b"foldb-store/manifest.jsonl", &[0; 100], &[b'x'; 511]] {
        let expected = matches!(bytes, b"f");
        let error = outcome(bytes).unwrap_err();
        assert_eq!(matches!(error, ArchiveError::Truncated { .. }), expected, "{bytes:?}: {error}");
        assert_eq!(matches!(error, ArchiveError::NotAnArchive { .. }), !expected, "{bytes:?}: {error}");
    }
    let foreign = forged(&[("thesis/chapter-1.txt", b"text")]);
    let error = outcome(&foreign).unwrap_err();
    assert!(matches!(&error, ArchiveError::NotAnArchive { .. }), "{error}");
    assert!(error.to_string().contains("thesis/chapter-1.txt"), "{error}");
}

#[test]
fn entries_that_are_not_announced_are_refused_wherever_they_come() {
    let storage = small_store();
    let bytes = closed(&storage);
    let entries = common::entries(&bytes);
    for (hostile, content) in [("../../etc/passwd", "x"), ("foldb-store/../up", "x"), ("foldb-store/anchor-b", "x")] {
        for place in 1..=entries.len() {
            // The crate will not write a path that leads upwards: its bytes are put in afterwards.
            let mut all: Vec<(&str, &[u8])> =
                entries.iter().map(|(name, content)| (name.as_str(), &content[..])).collect();
            all.insert(place, ("placeholder", content.as_bytes()));
            let mut archive = forged(&all);
            let at = archive.chunks(512).position(|block| block.starts_with(b"placeholder\0")).unwrap() * 512;
            let mut header = tar::Header::new_ustar();
            header.as_mut_bytes().copy_from_slice(&archive[at..at + 512]);
            header.as_mut_bytes()[..hostile.len()].copy_from_slice(hostile.as_bytes());
            header.set_cksum();
            archive[at..at + 512].copy_from_slice(header.as_bytes());
            let error = outcome(&archive).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{hostile} at {place}: {error}");
        }
    }
}

#[test]
fn a_length_that_lies_allocates_nothing() {
    for (bytes, limit) in [(u64::MAX, true), (1 << 62, true), ((16 << 20) + 1, true), (16 << 20, false)] {
        let error = outcome(header("foldb-store/manifest.json", bytes).as_bytes()).unwrap_err();
        assert_eq!(matches!(error, ArchiveError::Refused { rule: "F-59", .. }), limit, "{bytes}: {error}");
    }
    // A file of nearly eight exbibytes, of which nothing comes.
    let manifest = json!({
        "archive": "foldb-store", "version": 1, "format": 1, "seq": 0,
        "store": "01890a5d-ac96-774b-bcce-b302099a8057",
        "files": [{ "name": "anchor-a", "bytes": i64::MAX, "sha256": "0".repeat(64) }],
    })
    .to_string();
    let sums = format!("{}  manifest.json\n{}  anchor-a\n", hex(&Sha256::digest(manifest.as_bytes())), "0".repeat(64));
    let mut archive =
        forged(&[("foldb-store/manifest.json", manifest.as_bytes()), ("foldb-store/SHA256SUMS", sums.as_bytes())]);
    archive.truncate(archive.len() - 1024);
    archive.extend_from_slice(header("foldb-store/anchor-a", i64::MAX as u64).as_bytes());
    let error = outcome(&archive).unwrap_err();
    assert!(matches!(error, ArchiveError::Truncated { .. }), "{error}");
}

#[test]
fn sums_that_hold_do_not_make_a_store() {
    let small = small_store();
    let files = small.files();
    let (segment, anchor) = (&files["log-00000000000000000001"], &files["anchor-a"]);
    let id = open(&small, 9).id().to_string();
    let (log, a) = ("log-00000000000000000001", "anchor-a");
    assert!(outcome(&consistent(json!(id), 2, &[(log, segment), (a, anchor)])).is_ok(), "the forger's tool works");
    let mut rotten = segment.clone();
    rotten[140] ^= 1;
    let other = "01890a5d-ac96-774b-bcce-b302099a8057";
    for (what, archive) in [
        ("rot", consistent(json!(id), 2, &[(log, &rotten), (a, anchor)])),
        ("garbage", consistent(json!(id), 2, &[(log, b"garbage"), (a, b"garbage")])),
        ("without the anchor", consistent(json!(id), 2, &[(log, segment)])),
        ("without the log", consistent(json!(id), 2, &[(a, anchor)])),
        ("cut", consistent(json!(id), 2, &[(log, &segment[..160]), (a, anchor)])),
        ("another seq", consistent(json!(id), 1, &[(log, segment), (a, anchor)])),
        ("another store", consistent(json!(other), 2, &[(log, segment), (a, anchor)])),
        ("an unfinished creation", consistent(json!(id), 0, &[(log, b"")])),
        ("a foreign snapshot", consistent(json!(id), 2, &[("snap-00000000000000000001", b"x"), (log, segment)])),
    ] {
        let error = outcome(&archive).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Corrupt), "{what}: {error}");
    }
}

#[test]
fn nothing_is_imported_over_what_is_there() {
    let bytes = closed(&small_store());
    let there = small_store();
    let before = there.files();
    let error = import(there.clone(), bytes.as_slice(), &mut quiet).unwrap_err();
    assert!(matches!(error, ArchiveError::NotEmpty { .. }), "{error}");
    assert_eq!(there.files(), before);
    let foreign = MemStorage::from_files([("thesis", b"years of work")]);
    let error = import(foreign.clone(), bytes.as_slice(), &mut quiet).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotAStore, "{error}");
    assert_eq!(foreign.files().len(), 1);
    // Also what comes between the first look and the first byte is left alone.
    let storage = MemStorage::new();
    let mut importer = Importer::new(storage.clone()).unwrap();
    let db = open(&storage, 5);
    db.kv().put("mine", 1).unwrap();
    db.close().unwrap();
    let before = storage.files();
    assert!(matches!(importer.write(&bytes), Err(ArchiveError::NotEmpty { .. })));
    assert_eq!(storage.files(), before);
}

#[test]
fn an_importer_that_failed_takes_nothing_more() {
    let bytes = closed(&small_store());
    let mut importer = Importer::new(MemStorage::new()).unwrap();
    importer.write(&bytes[..3000]).unwrap();
    assert!(importer.write(&[7; 600]).is_err());
    assert_eq!(importer.write(&bytes[3000..]), Err(ArchiveError::Ended));
    assert!(matches!(importer.finish(&mut quiet), Err(ArchiveError::Ended)));
}

#[test]
fn a_full_disk_ends_an_import_and_leaves_nothing() {
    let bytes = closed(&small_store());
    for capacity in [0, 50, 100, 300, 500, 4000] {
        let disk = foldb_testkit::crash::CrashStorage::new();
        disk.limit_capacity(Some(capacity));
        let outcome = import(disk.clone(), bytes.as_slice(), &mut quiet);
        if outcome.is_ok() {
            continue;
        }
        let error = outcome.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::StorageFull, "{error}");
        let left: Vec<String> = disk.list().unwrap().into_iter().filter(|name| name != IMPORT_NAME).collect();
        assert!(left.is_empty(), "{left:?}");
        assert!(disk.open(IMPORT_NAME).is_err() || disk.open(IMPORT_NAME).unwrap().len().unwrap() <= 100);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_done_to_an_archive_the_outcome_is_the_store_or_an_error(
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..3_u8), 1..4),
        chunk in 1..2000_usize,
    ) {
        let bytes = closed(&small_store());
        let mut edited = bytes.clone();
        for (place, byte, edit) in edits {
            let at = place.index(edited.len());
            match edit {
                0 => edited[at] = byte,
                1 => edited.insert(at, byte),
                _ => drop(edited.remove(at)),
            }
        }
        let storage = MemStorage::new();
        let mut importer = Importer::new(storage.clone()).unwrap();
        let written = edited.chunks(chunk).try_for_each(|chunk| importer.write(chunk));
        match written.and_then(|()| importer.finish(&mut quiet).map(drop)) {
            Ok(()) => prop_assert!(edited == bytes),
            Err(_) => prop_assert!(storage.files().is_empty()),
        }
    }
}

#[test]
fn the_whole_of_it_still_imports() {
    assert!(imported(&closed(&small_store())).is_ok());
}
