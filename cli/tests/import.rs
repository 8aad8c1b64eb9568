//! `import`: JSON Lines into a run.

mod common;

use std::{
    io::Write as _,
    process::{Command, Stdio},
};

use common::{Place, records, text};
use predicates::prelude::*;
use serde_json::json;

#[test]
fn every_line_becomes_an_event_and_with_a_key_a_document() {
    let place = Place::new();
    let file = place.file("people.jsonl", &records(250));
    let imported = place.json(&["import", &file, "--key", "id", "--batch", "100"]);
    assert_eq!(imported["name"], "people");
    assert_eq!(imported["status"], "completed");
    assert_eq!((&imported["records"], &imported["documents"]), (&json!(250), &json!(250)));
    assert_eq!(imported["transactions"], 3);
    assert!(imported["records_per_second"].is_u64());
    let run = text(&imported, "run");
    let events = place.json_lines(&["events", "list", "records", "--run", run]);
    assert_eq!(events.len(), 250);
    assert_eq!(events[249]["payload"], json!({"id": "r0250", "n": 250}));
    assert_eq!(place.json(&["json", "get", "r0007", "--run", run])["value"], json!({"id": "r0007", "n": 7}));
}

#[test]
fn a_key_may_be_a_pointer_and_a_number() {
    let place = Place::new();
    let file = place.file("in.jsonl", "{\"meta\":{\"id\":7}}\n");
    place.ok(&["import", &file, "--key", "/meta/id", "--stream", "things", "--kind", "thing", "--name", "numbers"]);
    assert_eq!(place.json(&["json", "get", "7", "--run", "numbers"])["value"], json!({"meta": {"id": 7}}));
    assert_eq!(place.json_lines(&["events", "list", "things", "--run", "numbers"])[0]["kind"], "thing");
}

#[test]
fn standard_input_is_a_file_too() {
    let place = Place::new();
    place.foldb(&["import", "-", "--name", "piped"]).write_stdin(records(3)).assert().success();
    assert_eq!(place.json_lines(&["events", "list", "records", "--run", "piped"]).len(), 3);
}

#[test]
fn a_malformed_line_is_named_and_what_was_before_it_stays() {
    let place = Place::new();
    let mut lines = records(7);
    lines.push_str("{\"id\": oops}\n");
    lines.push_str(&records(2));
    let file = place.file("broken.jsonl", &lines);
    let error = place.error(2, &["import", &file, "--batch", "3"]);
    assert!(text(&error, "message").contains("broken.jsonl:8: cannot be read as JSON"), "{error}");
    assert!(text(&error, "hint").contains("--resume"), "{error}");
    assert_eq!(place.json_lines(&["events", "list", "records", "--run", "broken"]).len(), 7);
    let run = place.json(&["runs", "show", "broken"]);
    assert_eq!(run["status"], "failed");
    assert!(text(&run, "message").contains("broken.jsonl:8"), "{run}");
}

#[test]
fn a_resumed_import_goes_on_behind_what_is_there_and_repeats_nothing() {
    let place = Place::new();
    let good = records(20);
    let file = place.file("data.jsonl", &good.replacen("\"n\":8}", "\"n\":8", 1));
    place.error(2, &["import", &file, "--batch", "3", "--key", "id"]);
    place.file("data.jsonl", &good);
    let resumed = place.json(&["import", &file, "--resume", "data", "--batch", "4"]);
    assert_eq!((&resumed["status"], &resumed["records"]), (&json!("completed"), &json!(13)));
    assert_eq!(resumed["skipped_lines"], 7);
    let events = place.json_lines(&["events", "list", "records", "--run", "data"]);
    let numbers: Vec<u64> = events.iter().map(|event| event["payload"]["n"].as_u64().expect("a number")).collect();
    assert_eq!(numbers, (1..=20).collect::<Vec<u64>>());
    assert_eq!(place.json_lines(&["json", "list", "--run", "data"]).len(), 20, "the key is remembered");
}

#[test]
fn resuming_with_another_file_is_refused() {
    let place = Place::new();
    let file = place.file("data.jsonl", &format!("{}oops\n", records(5)));
    place.error(2, &["import", &file]);
    let other = place.file("other.jsonl", &records(9).replace("r0003", "r9999"));
    let error = place.error(2, &["import", &other, "--resume", "data"]);
    assert!(text(&error, "message").contains("other.jsonl"), "{error}");
    let short = place.file("short.jsonl", &records(2));
    place.error(2, &["import", &short, "--resume", "data"]);
    assert_eq!(place.json_lines(&["events", "list", "records", "--run", "data"]).len(), 5);
}

#[test]
fn a_completed_import_or_another_sort_of_run_cannot_be_resumed() {
    let place = Place::new();
    let file = place.file("data.jsonl", &records(2));
    place.ok(&["import", &file]);
    assert_eq!(place.error(6, &["import", &file, "--resume", "data"])["kind"], "run_ended");
    place.ok(&["runs", "begin", "job"]);
    place.error(2, &["import", &file, "--resume", "job"]);
}

#[test]
fn a_record_without_its_key_is_named() {
    let place = Place::new();
    let file = place.file("data.jsonl", "{\"id\":\"a\"}\n{\"name\":\"b\"}\n");
    let error = place.error(2, &["import", &file, "--key", "id"]);
    assert!(text(&error, "message").contains("data.jsonl:2"), "{error}");
    let file = place.file("data2.jsonl", "{\"id\":[1]}\n");
    let error = place.error(2, &["import", &file, "--key", "id"]);
    assert!(text(&error, "message").contains("data2.jsonl:1"), "{error}");
}

#[test]
fn a_file_that_is_not_there_makes_no_store() {
    let place = Place::new();
    place.error(2, &["import", "no-such-file.jsonl"]);
    let directory = place.path("");
    place.error(2, &["import", directory.to_str().expect("temporary paths are UTF-8")]);
    assert!(!place.store().exists());
}

#[test]
fn a_person_is_told_what_was_done() {
    let place = Place::new();
    let file = place.file("data.jsonl", &records(2));
    place
        .foldb(&["import", &file])
        .assert()
        .success()
        .stdout(predicate::str::contains("2 records").and(predicate::str::contains("completed")))
        .stderr("");
}

#[test]
fn an_import_that_was_killed_goes_on_where_it_was() {
    let place = Place::new();
    let all = records(1000);
    let first_half: String = all.split_inclusive('\n').take(500).collect();
    let mut child = Command::new(env!("CARGO_BIN_EXE_foldb"))
        .args(["import", "-", "--name", "data", "--batch", "10", "--durability", "strict", "--key", "id"])
        .env("FOLDB_STORE", place.store())
        .stdin(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut input = child.stdin.take().expect("piped");
    input.write_all(first_half.as_bytes()).expect("the program reads");
    // It waits for more, in the middle of its work. Dumping the log takes no lock, so it shows how far the import is.
    while transactions(&place) < 50 {
        assert!(child.try_wait().expect("the process can be asked").is_none(), "the import goes on until it is killed");
    }
    child.kill().expect("the process can be killed");
    child.wait().expect("the process can be waited for");
    assert_eq!(place.json(&["runs", "show", "data"])["status"], "orphaned");

    let file = place.file("all.jsonl", &all);
    let resumed = place.json(&["import", &file, "--resume", "data"]);
    assert!(resumed["skipped_lines"].as_u64().expect("a number") >= 490, "{resumed}");
    let events = place.json_lines(&["events", "list", "records", "--run", "data"]);
    let numbers: Vec<u64> = events.iter().map(|event| event["payload"]["n"].as_u64().expect("a number")).collect();
    assert_eq!(numbers, (1..=1000).collect::<Vec<u64>>(), "every record once");
    assert_eq!(place.json_lines(&["json", "list", "--run", "data"]).len(), 1000);
    place.ok(&["verify"]);
}

/// How many transactions the log shows; none as long as there is no log.
fn transactions(place: &Place) -> usize {
    let output = place.foldb(&["dump"]).output().expect("the program starts");
    String::from_utf8_lossy(&output.stdout).matches("  transaction ").count()
}
