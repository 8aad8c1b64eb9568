//! `get`, `put`, `delete`, `scan`.

mod common;

use common::Place;
use predicates::prelude::*;
use serde_json::json;

#[test]
fn what_was_put_is_printed_by_get() {
    let place = Place::new();
    place.foldb(&["put", "greeting", "hello there"]).assert().success().stdout("put greeting\n");
    place.foldb(&["get", "greeting"]).assert().success().stdout("hello there\n");
    assert_eq!(place.json(&["get", "greeting"]), json!({"key": "greeting", "value": "hello there"}));
}

#[test]
fn a_value_is_text_unless_it_is_said_to_be_json() {
    let place = Place::new();
    place.ok(&["put", "text", "17"]);
    place.ok(&["put", "number", "17", "--json-value"]);
    place.ok(&["put", "negative", "-17", "--json-value"]);
    place.ok(&["put", "map", r#"{"b":[1,2.5,null]}"#, "--json-value"]);
    assert_eq!(place.json(&["get", "text"])["value"], json!("17"));
    assert_eq!(place.json(&["get", "number"])["value"], json!(17));
    assert_eq!(place.json(&["get", "negative"])["value"], json!(-17));
    assert_eq!(place.json(&["get", "map"])["value"], json!({"b": [1, 2.5, null]}));
    place.foldb(&["get", "number"]).assert().success().stdout("17\n");
    let error = place.error(2, &["put", "bad", "{", "--json-value"]);
    assert!(common::text(&error, "message").starts_with("VALUE: cannot be read as JSON"), "{error}");
}

#[test]
fn bytes_come_from_standard_input_and_are_shown_in_hexadecimal() {
    let place = Place::new();
    place.foldb(&["put", "blob", "-"]).write_stdin([0xff, 0x00, 0x10]).assert().success();
    place.foldb(&["get", "blob"]).assert().success().stdout("0xff0010\n");
    assert_eq!(place.json(&["get", "blob"])["value"], json!({"$bytes": "ff0010"}));
    place.ok(&["put", "fe01", "a key that is not text", "--hex-key"]);
    assert_eq!(place.json(&["get", "fe01", "--hex-key"])["key"], json!({"$bytes": "fe01"}));
    place.error(2, &["get", "fe0", "--hex-key"]);
}

#[test]
fn put_if_absent_does_not_replace() {
    let place = Place::new();
    place.ok(&["put", "k", "first", "--if-absent"]);
    let error = place.error(6, &["put", "k", "second", "--if-absent"]);
    assert_eq!(error["kind"], "precondition");
    assert_eq!(place.ok(&["get", "k"]), "first\n");
}

#[test]
fn nothing_under_a_key_is_status_1() {
    let place = Place::new();
    place.ok(&["put", "a", "1"]);
    place.foldb(&["get", "b"]).assert().code(1).stdout("").stderr(predicate::str::contains("nothing under key \"b\""));
    assert_eq!(place.error(1, &["get", "b"])["kind"], "absent");
    place.foldb(&["delete", "b"]).assert().code(1);
    place.ok(&["delete", "a"]);
    place.foldb(&["get", "a"]).assert().code(1);
}

#[test]
fn scan_lists_in_order_by_prefix_or_range_both_ways() {
    let place = Place::new();
    for key in ["b/2", "a", "b/1", "c", "b/3"] {
        place.ok(&["put", key, key]);
    }
    let keys = |arguments: &[&str]| -> Vec<String> {
        let lines = place.json_lines(&[&["scan"], arguments].concat());
        lines.iter().map(|line| common::text(line, "key").to_owned()).collect()
    };
    assert_eq!(keys(&[]), ["a", "b/1", "b/2", "b/3", "c"]);
    assert_eq!(keys(&["b/"]), ["b/1", "b/2", "b/3"]);
    assert_eq!(keys(&["b/", "--reverse", "--limit", "2"]), ["b/3", "b/2"]);
    assert_eq!(keys(&["--from", "b/2", "--to", "c"]), ["b/2", "b/3"]);
    assert_eq!(keys(&["zzz"]), [""; 0]);
    assert_eq!(place.json(&["scan", "b/", "--count"]), json!({"count": 3}));
    let table = place.ok(&["scan", "b/"]);
    assert_eq!(table, "KEY  VALUE\nb/1  b/1\nb/2  b/2\nb/3  b/3\n");
    assert_eq!(place.ok(&["scan", "zzz"]), "no keys\n");
}

#[test]
fn runs_and_the_default_space_do_not_see_each_other() {
    let place = Place::new();
    let run = place.json(&["runs", "begin", "mine"]);
    place.ok(&["put", "k", "in the run", "--run", "mine"]);
    place.foldb(&["get", "k"]).assert().code(1);
    assert_eq!(place.ok(&["get", "k", "--run", common::text(&run, "id")]), "in the run\n");
}

#[test]
fn oversized_keys_are_refused_with_the_limit() {
    let place = Place::new();
    let error = place.error(2, &["put", &"k".repeat(5000), "v"]);
    assert_eq!(error["kind"], "limit");
    let message = common::text(&error, "message");
    assert!(message.contains("5000") && message.contains("1024"), "{message}");
}
