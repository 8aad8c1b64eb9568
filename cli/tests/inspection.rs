//! `replay`, `diff`, `snapshot`, `verify`, `stats`, `dump`.

mod common;

use common::{Place, records, text};
use predicates::prelude::*;
use serde_json::{Value, json};

/// A store with two imports that differ in one record, and pairs beside them.
fn place_with_two_runs() -> Place {
    let place = Place::new();
    let one = place.file("one.jsonl", &records(30));
    let two = place.file("two.jsonl", &records(30).replace("\"n\":7}", "\"n\":700}"));
    place.ok(&["import", &one, "--key", "id", "--batch", "10"]);
    place.ok(&["import", &two, "--key", "id", "--batch", "10"]);
    place.ok(&["put", "k", "v"]);
    place
}

#[test]
fn replay_shows_the_contents_and_the_digest_of_a_run() {
    let place = place_with_two_runs();
    let one = place.json(&["replay", "one"]);
    assert_eq!(one["documents"], 30);
    assert_eq!(one["events"], 30);
    assert_eq!(text(&one, "digest").len(), 64);
    assert_eq!(one["digest"], place.json(&["replay", "one"])["digest"], "replaying again gives the same");
    assert_ne!(one["digest"], place.json(&["replay", "two"])["digest"]);
    let default = place.json(&["replay"]);
    assert_eq!(default["pairs"], 1);
    place.foldb(&["replay", "one"]).assert().success().stdout(predicate::str::contains(text(&one, "digest")));
    place.error(2, &["replay", "nobody"]);
}

#[test]
fn equal_runs_have_no_differences_and_different_ones_end_with_status_1() {
    let place = place_with_two_runs();
    place.foldb(&["diff", "one", "one"]).assert().code(0);
    place.foldb(&["diff", "one", "two"]).assert().code(1).stdout(predicate::str::contains("r0007"));
    let assert = place.foldb(&["diff", "one", "two", "--json"]).assert().code(1);
    let diff: Value = serde_json::from_str(&common::stdout(&assert)).expect("one JSON object");
    assert_eq!(diff["equal"], false);
    assert_eq!(diff["json"]["changed"], 1, "{diff}");
    let changes = diff["changes"].as_array().expect("a list");
    let change = changes.iter().find(|change| change["primitive"] == "json").expect("the changed document");
    assert_eq!(change["key"], "r0007");
    assert_eq!(change["paths"][0], json!({"path": "/n", "change": "changed", "from": 7, "to": 700}));
}

#[test]
fn a_snapshot_is_written_and_the_store_still_verifies() {
    let place = place_with_two_runs();
    let snapshot = place.json(&["snapshot"]);
    assert!(snapshot["bytes"].as_u64().expect("a size") > 0, "{snapshot}");
    let verified = place.json(&["verify"]);
    assert_eq!(verified["ok"], true, "{verified}");
    place.foldb(&["verify"]).assert().success();
    assert_eq!(place.ok(&["get", "k"]), "v\n");
}

#[test]
fn stats_count_what_is_there() {
    let place = place_with_two_runs();
    let stats = place.json(&["stats"]);
    assert_eq!(stats["runs"], 2, "{stats}");
    assert!(stats["seq"].as_u64().expect("a seq") > 6, "{stats}");
    place.foldb(&["stats"]).assert().success().stdout(predicate::str::contains("runs"));
}

#[test]
fn dump_prints_every_frame_and_operation_of_the_log() {
    let place = place_with_two_runs();
    let lines = place.json_lines(&["dump"]);
    let of = |file: &str, member: &str| -> Vec<Value> {
        let of_file = lines.iter().filter(|line| text(line, "file").starts_with(file));
        of_file.map(|line| line[member].clone()).filter(|member| !member.is_null()).collect()
    };
    assert!(!of("log-", "segment").is_empty(), "segment headers");
    let seqs: Vec<u64> = of("log-", "seq").iter().filter_map(Value::as_u64).collect();
    assert!(seqs.len() >= 10, "{seqs:?}");
    assert!(!of("anchor-", "newest_segment").is_empty(), "anchors");
    place.foldb(&["dump", "--ops"]).assert().success().stdout(predicate::str::contains("json_put"));
}

#[test]
fn dump_reads_a_store_that_another_process_has_open() {
    let place = place_with_two_runs();
    let writer = common::hold(&place);
    place.foldb(&["dump"]).assert().success();
    writer.release();
}

#[test]
fn a_damaged_store_is_corrupt_with_file_and_offset() {
    let place = place_with_two_runs();
    let segment = common::first_file(&place.store(), "log-");
    let mut bytes = std::fs::read(&segment).expect("the segment is readable");
    bytes[400] ^= 1;
    std::fs::write(&segment, bytes).expect("the segment is writable");
    let error = place.error(4, &["get", "k"]);
    assert_eq!(error["kind"], "corrupt");
    assert!(text(&error, "message").contains("log-"), "{error}");
    place.foldb(&["dump"]).assert().success().stdout(predicate::str::contains("no frame"));
    let rest = place.ok(&["events", "list", "records", "--run", "one", "--recovery", "salvage"]);
    assert!(rest.contains("record"), "salvage reads what is left: {rest}");
    place.foldb(&["put", "k", "v", "--recovery", "salvage"]).assert().failure();
}

#[test]
fn dump_says_what_an_edit_of_a_large_document_changes() {
    let place = Place::new();
    let document = place.file("document.json", &format!(r#"{{"count":1,"text":"{}"}}"#, "x".repeat(5000)));
    place.ok(&["json", "set", "large", &format!("@{document}")]);
    place.ok(&["json", "set", "large", "2", "--path", "/count"]);
    let dump = place.ok(&["dump", "--ops"]);
    assert!(dump.contains("of seq 1 to 5016 bytes: 1 splice, 1 bytes for 1"), "{dump}");
    let lines = place.json_lines(&["dump", "--ops"]);
    let edits: Vec<&Value> = lines.iter().flat_map(|line| line["operations"].as_array()).flatten().collect();
    let edit = edits.iter().find(|op| op["op"] == "json_edit").unwrap_or_else(|| panic!("{lines:?}"));
    assert_eq!(edit["edit"], json!({"of": 1, "bytes": 5016, "splices": 1, "added": 1, "removed": 1}));
}
