//! `export` and `import-store`: a store as one file.

mod common;

use std::{fs, process::Command};

use common::{Place, first_file, records, text};
use predicates::prelude::*;

/// A store with a run of 200 records.
fn filled() -> Place {
    let place = Place::new();
    let file = place.file("data.jsonl", &records(200));
    place.ok(&["import", &file, "--key", "id", "--batch", "20"]);
    place
}

#[test]
fn a_store_goes_through_one_file_and_is_the_same_store() {
    let place = filled();
    let exported = place.json(&["export", "store", "store.tar"]);
    let imported = place.json(&["import-store", "store.tar", "copy"]);
    for member in ["store", "seq", "files", "bytes"] {
        assert_eq!(exported[member], imported[member], "{member}");
    }
    assert_eq!(exported["bytes"], fs::metadata(place.path("store.tar")).unwrap().len());
    for entry in fs::read_dir(place.store()).unwrap() {
        let entry = entry.unwrap();
        let copy = fs::read(place.path("copy").join(entry.file_name())).unwrap();
        assert!(fs::read(entry.path()).unwrap() == copy, "{:?}", entry.file_name());
    }
    assert_eq!(place.ok(&["runs", "--store", "copy"]), place.ok(&["runs"]));
    assert_eq!(place.ok(&["verify", "--store", "copy"]), place.ok(&["verify"]));
    // Whatever happens to the copy, another export of the store is the same file.
    place.ok(&["put", "k", "v", "--store", "copy"]);
    place.ok(&["export", "store", "again.tar"]);
    assert!(fs::read(place.path("again.tar")).unwrap() == fs::read(place.path("store.tar")).unwrap());
    assert!(place.ok(&["export", "copy", "copy.tar"]).contains("seq"));
}

#[test]
fn an_archive_goes_through_pipes() {
    let place = filled();
    let assert = place.foldb(&["export", "store", "-", "--json"]).assert().success();
    let bytes = assert.get_output().stdout.clone();
    let answer: serde_json::Value = serde_json::from_str(&common::stderr(&assert)).expect("the answer is on stderr");
    assert_eq!(answer["bytes"], bytes.len());
    let assert = place.foldb(&["import-store", "-", "copy"]).write_stdin(bytes).assert().success();
    assert!(common::stdout(&assert).contains("every sum holds"));
    assert_eq!(place.ok(&["runs", "--store", "copy"]), place.ok(&["runs"]));
}

#[test]
fn what_standard_tools_unpack_opens_as_a_store() {
    let place = filled();
    place.ok(&["export", "store", "store.tar"]);
    let status = Command::new("tar").args(["xf", "store.tar"]).current_dir(place.path("")).status();
    assert!(status.expect("tar is there").success());
    assert_eq!(place.ok(&["runs", "--store", "foldb-store"]), place.ok(&["runs"]));
}

#[test]
fn a_file_that_is_there_is_kept_unless_forced() {
    let place = filled();
    let file = place.file("store.tar", "years of work");
    assert_eq!(place.error(2, &["export", "store", "store.tar"])["kind"], "exists");
    assert_eq!(fs::read_to_string(&file).unwrap(), "years of work");
    place.ok(&["export", "store", "store.tar", "--force"]);
    assert!(fs::metadata(&file).unwrap().len() > 10_000);
    assert!(!place.path("store.tar.part").exists());
}

#[test]
fn an_export_that_fails_leaves_no_file() {
    let place = filled();
    let segment = first_file(&place.store(), "log-");
    let mut bytes = fs::read(&segment).unwrap();
    bytes[1000] ^= 1;
    fs::write(&segment, bytes).unwrap();
    assert_eq!(place.error(4, &["export", "store", "store.tar"])["kind"], "corrupt");
    assert!(!place.path("store.tar").exists() && !place.path("store.tar.part").exists());
    place.error(2, &["export", "missing", "store.tar"]);
    assert!(!place.path("missing").exists());
}

/// Every export was one of the default mode, whatever was asked for.
#[test]
fn an_export_is_as_careful_as_it_is_told_to_be() {
    let place = filled();
    // The newest one grows: a crash leaves it so.
    let segment = first_file(&place.store(), "log-");
    let whole = fs::read(&segment).unwrap();
    fs::write(&segment, [&whole[..], b"half a frame"].concat()).unwrap();
    assert_eq!(place.error(4, &["export", "store", "strict.tar", "--recovery", "strict"])["kind"], "corrupt");
    assert!(!place.path("strict.tar").exists());
    place.ok(&["export", "store", "default.tar"]);
    // Damage that no crash leaves: what there is can be taken along, as it is.
    let mut flipped = whole.clone();
    flipped[1000] ^= 1;
    fs::write(&segment, &flipped).unwrap();
    place.error(4, &["export", "store", "damaged.tar"]);
    place.ok(&["export", "store", "damaged.tar", "--recovery", "salvage"]);
    let status = Command::new("tar").args(["xf", "damaged.tar"]).current_dir(place.path("")).status();
    assert!(status.expect("tar is there").success());
    let copy = place.path("foldb-store").join(segment.file_name().unwrap());
    assert!(fs::read(copy).unwrap() == flipped, "not a byte of it is lost or mended");
    let runs = |store| place.ok(&["runs", "--recovery", "salvage", "--store", store]);
    assert_eq!(runs("foldb-store"), runs("store"));
    assert_eq!(place.error(4, &["import-store", "damaged.tar", "copy"])["kind"], "corrupt", "no store is made of it");
}

#[test]
fn a_store_that_is_in_use_is_exported_as_it_is_at_that_moment() {
    let place = filled();
    let seq = |exported: &serde_json::Value| exported["seq"].as_u64().expect("a number");
    let before = seq(&place.json(&["stats"]));
    let holder = common::hold(&place);
    let exported = place.json(&["export", "store", "store.tar"]);
    holder.release();
    let after = seq(&place.json(&["stats"]));
    assert!((before..=after).contains(&seq(&exported)), "{exported} of {before} to {after}");
    place.ok(&["import-store", "store.tar", "copy"]);
    assert_eq!(seq(&place.json(&["stats", "--store", "copy"])), seq(&exported));
    place.ok(&["verify", "--store", "copy"]);
}

#[test]
fn nothing_is_imported_over_a_store_or_other_files() {
    let place = filled();
    place.ok(&["export", "store", "store.tar"]);
    let runs = place.ok(&["runs"]);
    let error = place.error(6, &["import-store", "store.tar", "store"]);
    assert_eq!(error["kind"], "not_empty");
    assert_eq!(place.ok(&["runs"]), runs);
    fs::create_dir(place.path("papers")).unwrap();
    fs::write(place.path("papers/thesis.txt"), "years of work").unwrap();
    assert_eq!(place.error(2, &["import-store", "store.tar", "papers"])["kind"], "not_a_store");
    assert_eq!(fs::read_dir(place.path("papers")).unwrap().count(), 1);
}

#[test]
fn a_damaged_archive_makes_no_store_and_says_where_it_is_damaged() {
    let place = filled();
    place.ok(&["export", "store", "store.tar"]);
    let bytes = fs::read(place.path("store.tar")).unwrap();
    let mut flipped = bytes.clone();
    flipped[8000] ^= 1;
    fs::write(place.path("flipped.tar"), flipped).unwrap();
    let error = place.error(4, &["import-store", "flipped.tar", "copy"]);
    assert_eq!(error["kind"], "corrupt");
    assert!(text(&error, "message").contains("log-00000000000000000001"), "{error}");
    assert!(text(&error, "message").contains("SHA-256"), "{error}");
    fs::write(place.path("cut.tar"), &bytes[..bytes.len() / 2]).unwrap();
    assert_eq!(place.error(4, &["import-store", "cut.tar", "copy"])["kind"], "truncated");
    assert_eq!(place.error(2, &["get", "k", "--store", "copy"])["kind"], "not_a_store");
    place.file("text.tar", "hello");
    assert_eq!(place.error(2, &["import-store", "text.tar", "copy"])["kind"], "not_an_archive");
    place.file("text.tar", &"hello ".repeat(200));
    assert_eq!(place.error(2, &["import-store", "text.tar", "copy"])["kind"], "not_an_archive");
    assert_eq!(place.error(2, &["import-store", "missing.tar", "new"])["kind"], "not_found");
    assert!(!place.path("new").exists());
    // The same directory takes the good one.
    place.ok(&["import-store", "store.tar", "copy"]);
}

#[test]
fn an_import_that_was_killed_is_no_store_and_can_be_done_again() {
    let place = filled();
    place.ok(&["export", "store", "store.tar"]);
    let archive = fs::read(place.path("store.tar")).unwrap();
    // A writer that sends most of the archive and then hangs until the importer is killed.
    let mut child = Command::new(env!("CARGO_BIN_EXE_foldb"))
        .args(["import-store", "-", "copy"])
        .current_dir(place.path(""))
        .stdin(std::process::Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut stdin = child.stdin.take().expect("piped");
    std::io::Write::write_all(&mut stdin, &archive[..archive.len() - 2000]).expect("the importer reads");
    let segment = place.path("copy/log-00000000000000000001");
    while fs::metadata(&segment).map_or(0, |metadata| metadata.len()) < 4096 {
        std::thread::yield_now();
    }
    child.kill().expect("the importer is running");
    child.wait().expect("the importer can be waited for");
    for arguments in [&["runs", "--store", "copy"][..], &["runs", "--store", "copy", "--recovery", "salvage"]] {
        let error = place.error(2, arguments);
        assert!(text(&error, "message").contains("import"), "{error}");
    }
    place.foldb(&["export", "copy", "other.tar"]).assert().code(2).stderr(predicate::str::contains("import"));
    place.ok(&["import-store", "store.tar", "copy"]);
    assert_eq!(place.ok(&["runs", "--store", "copy"]), place.ok(&["runs"]));
}

#[test]
fn an_empty_store_goes_through_a_file_too() {
    let place = Place::new();
    place.ok(&["put", "k", "v"]);
    fs::create_dir(place.path("new")).unwrap();
    // A store that was opened and never written to is a directory with a lock.
    fs::write(place.path("new/lock"), "").unwrap();
    let exported = place.json(&["export", "new", "new.tar"]);
    assert_eq!((&exported["store"], &exported["files"]), (&serde_json::Value::Null, &0.into()));
    place.ok(&["import-store", "new.tar", "copy"]);
    place.ok(&["put", "k", "v", "--store", "copy"]);
}
