//! Bad input, stores that cannot be opened, readers that go away.

mod common;

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _},
    process::{Command, Stdio},
};

use common::{Place, records, text};
use predicates::prelude::*;

#[test]
fn help_documents_commands_and_statuses() {
    let place = Place::new();
    let help = place.ok(&["--help"]);
    for word in [
        "demo",
        "import",
        "runs",
        "get",
        "put",
        "delete",
        "scan",
        "json",
        "events",
        "state",
        "trace",
        "replay",
        "diff",
        "snapshot",
        "verify",
        "stats",
        "export",
        "import-store",
        "dump",
        "Exit status",
        "--json",
        "FOLDB_STORE",
    ] {
        assert!(help.contains(word), "{word} is missing from\n{help}");
    }
    assert!(!help.contains("demo-worker"), "the demo's own process is nobody's business");
    assert!(place.ok(&["--version"]).starts_with("foldb "));
}

#[test]
fn a_mistyped_command_is_a_usage_error_in_either_form() {
    let place = Place::new();
    place.foldb(&["gett", "k"]).assert().code(2).stderr(predicate::str::contains("get"));
    assert_eq!(place.error(2, &["gett", "k"])["kind"], "invalid");
    place.error(2, &["scan", "--limit", "many"]);
}

/// The lines behind the first one were cut off, and they alone say what is missing.
#[test]
fn a_usage_error_as_json_names_what_is_missing_what_is_possible_and_what_was_meant() {
    let place = Place::new();
    let missing = place.error(2, &["put", "key"]);
    assert!(text(&missing, "message").contains("<VALUE>"), "{missing}");
    assert!(text(&missing, "hint").contains("Usage: foldb put"), "{missing}");
    let impossible = place.error(2, &["scan", "--recovery", "hope"]);
    assert!(text(&impossible, "message").contains("possible values: default, strict, salvage"), "{impossible}");
    let mistyped = place.error(2, &["gett", "k"]);
    assert!(text(&mistyped, "hint").contains("'get'"), "{mistyped}");
    for error in [missing, impossible, mistyped] {
        assert!(!text(&error, "message").contains('\n') && !text(&error, "hint").contains('\n'), "{error}");
        assert!(text(&error, "hint").ends_with("`foldb --help` shows what can be asked"), "{error}");
    }
}

#[test]
fn commands_that_only_look_make_no_store() {
    let place = Place::new();
    for arguments in [
        &["get", "k"][..],
        &["scan"],
        &["runs"],
        &["json", "list"],
        &["events", "streams"],
        &["replay"],
        &["verify"],
        &["stats"],
        &["state"],
        &["trace"],
        &["snapshot"],
        &["dump"],
        &["delete", "k"],
        &["diff", "a", "b"],
        &["runs", "end", "a"],
        &["put", "k", "v", "--run", "a"],
    ] {
        let error = place.error(2, arguments);
        assert_eq!(error["kind"], "no_store", "{arguments:?}: {error}");
        assert!(text(&error, "message").contains("store"), "{error}");
        assert!(text(&error, "hint").contains("--store"), "{error}");
        assert!(!place.store().exists(), "{arguments:?} made a store");
    }
}

#[test]
fn a_directory_of_something_else_is_not_a_store_and_stays_as_it_is() {
    let place = Place::new();
    fs::create_dir(place.store()).expect("the directory is writable");
    fs::write(place.store().join("thesis.txt"), "years of work").expect("the directory is writable");
    for arguments in [&["get", "k"][..], &["put", "k", "v"], &["dump"]] {
        assert_eq!(place.error(2, arguments)["kind"], "not_a_store", "{arguments:?}");
    }
    let names: Vec<_> =
        fs::read_dir(place.store()).expect("readable").map(|entry| entry.expect("readable").file_name()).collect();
    assert_eq!(names, ["thesis.txt"]);
}

#[test]
fn a_file_where_the_store_should_be_is_not_a_store() {
    let place = Place::new();
    fs::write(place.store(), "not a directory").expect("the directory is writable");
    for arguments in [&["get", "k"][..], &["put", "k", "v"]] {
        let error = place.error(2, arguments);
        assert_eq!(error["kind"], "not_a_store", "{error}");
    }
}

#[test]
fn a_store_that_another_process_has_can_be_looked_at_and_is_locked_for_writing() {
    let place = Place::new();
    place.ok(&["put", "k", "v"]);
    let holder = common::hold(&place);
    for looking in [
        &["get", "k"][..],
        &["scan"],
        &["runs"],
        &["stats"],
        &["verify"],
        &["replay"],
        &["state"],
        &["trace"],
        &["events", "streams"],
        &["json", "list"],
        &["dump"],
    ] {
        place.ok(looking);
    }
    let error = place.error(3, &["put", "k", "w"]);
    assert_eq!(error["kind"], "locked");
    place.foldb(&["put", "k", "w"]).assert().code(3).stdout("").stderr(predicate::str::contains("error: "));
    holder.release();
    assert_eq!(place.ok(&["get", "k"]), "v\n");
}

#[test]
fn a_reader_that_goes_away_is_a_silent_success() {
    let place = Place::new();
    let file = place.file("data.jsonl", &records(20_000));
    place.ok(&["import", &file, "--key", "id"]);
    for arguments in [
        &["events", "list", "records", "--run", "data"][..],
        &["events", "list", "records", "--run", "data", "--json"],
        &["json", "list", "--run", "data"],
        &["dump", "--ops"],
    ] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_foldb"))
            .args(arguments)
            .env("FOLDB_STORE", place.store())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let mut reader = BufReader::with_capacity(64, child.stdout.take().expect("piped"));
        let mut line = String::new();
        reader.read_line(&mut line).expect("a first line comes");
        drop(reader);
        let mut complaint = String::new();
        child.stderr.take().expect("piped").read_to_string(&mut complaint).expect("readable");
        let status = child.wait().expect("the process can be waited for");
        assert!(status.success() && complaint.is_empty(), "{arguments:?}: {status}, {complaint:?}");
    }
}

/// The older of two snapshots: it is read by a verification and by nothing before it.
#[cfg(target_os = "linux")]
fn older_snapshot(place: &Place) -> std::path::PathBuf {
    for value in ["v", "w"] {
        place.ok(&["put", "k", value]);
        place.ok(&["snapshot"]);
    }
    common::first_file(&place.store(), "snap-")
}

#[test]
#[cfg(target_os = "linux")]
fn a_verification_that_the_system_does_not_let_read_is_status_5_and_no_damage() {
    let place = Place::new();
    let snapshot = older_snapshot(&place);
    // Reading this at its beginning is an error of the device, whoever asks.
    fs::rename(&snapshot, place.path("kept")).expect("the directory is writable");
    std::os::unix::fs::symlink("/proc/self/mem", &snapshot).expect("the directory is writable");
    let error = place.error(5, &["verify"]);
    assert_eq!(error["kind"], "io", "{error}");
    assert!(text(&error, "hint").contains("says nothing about the store"), "{error}");
    place.foldb(&["verify"]).assert().code(5).stdout(predicate::str::contains("damaged").not());
    fs::rename(place.path("kept"), &snapshot).expect("the directory is writable");
    assert_eq!(place.json(&["verify"])["ok"], true);
}
