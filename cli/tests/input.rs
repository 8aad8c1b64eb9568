//! Files in other encodings, lines that are too long, options that are mistyped: what a user is told.

mod common;

use std::fs;

use common::{Place, text};
use predicates::prelude::*;
use serde_json::json;

#[test]
fn a_byte_order_mark_of_utf_8_is_skipped() {
    let place = Place::new();
    let file = place.file("windows.jsonl", "\u{feff}{\"id\":\"a\"}\r\n{\"id\":\"b\"}\r\n");
    assert_eq!(place.json(&["import", &file, "--key", "id"])["documents"], 2);
    let document = place.file("document.json", "\u{feff}{\"a\":1}");
    place.ok(&["json", "set", "doc", &format!("@{document}")]);
    assert_eq!(place.json(&["json", "get", "doc"])["value"], json!({"a": 1}));
    place.foldb(&["put", "k", "-", "--json-value"]).write_stdin("\u{feff}7").assert().success();
    assert_eq!(place.ok(&["get", "k"]), "7\n");
}

#[test]
fn utf_16_is_named_with_advice_and_makes_no_store() {
    let place = Place::new();
    let units = || "{\"id\":1}\r\n".encode_utf16();
    let little: Vec<u8> = [0xff, 0xfe].into_iter().chain(units().flat_map(u16::to_le_bytes)).collect();
    let big: Vec<u8> = [0xfe, 0xff].into_iter().chain(units().flat_map(u16::to_be_bytes)).collect();
    let bare: Vec<u8> = units().flat_map(u16::to_le_bytes).collect();
    for bytes in [little, big, bare] {
        fs::write(place.path("in.jsonl"), &bytes).expect("the directory is writable");
        let error = place.error(2, &["import", "in.jsonl"]);
        assert!(text(&error, "message").contains("in.jsonl:1: this is UTF-16"), "{error}");
        assert!(text(&error, "hint").contains("iconv -f UTF-16 -t UTF-8"), "{error}");
        let error = place.error(2, &["json", "set", "doc", "@in.jsonl"]);
        assert!(text(&error, "message").contains("in.jsonl: this is UTF-16"), "{error}");
    }
    assert!(!place.store().exists());
    fs::write(place.path("latin.jsonl"), b"{}\n{\"a\":\"m\xfcde\"}\n").expect("the directory is writable");
    let error = place.error(2, &["import", "latin.jsonl"]);
    assert!(text(&error, "message").contains("latin.jsonl:2: this is not UTF-8: byte 0xfc (column 8)"), "{error}");
}

#[test]
fn a_line_that_no_value_holds_is_named_by_its_number_and_what_is_before_it_stays() {
    let place = Place::new();
    let long = |bytes: usize| format!("{{\"id\":\"a\"}}\n{{\"id\":\"{}\"}}\n{{\"id\":\"c\"}}\n", "x".repeat(bytes));
    for (name, bytes, key, what) in [
        ("value", 17 << 20, None, "is over the limit of 16777216"),
        ("line", 33 << 20, None, "the line is longer than 32.0 MiB, and a value has at most 16.0 MiB"),
        ("key", 2000, Some("id"), "the key field id holds 2000 bytes; a key has at most 1024"),
    ] {
        let file = place.file(&format!("{name}.jsonl"), &long(bytes));
        let mut arguments = vec!["import", &file];
        arguments.extend(key.iter().flat_map(|key| ["--key", key]));
        let error = place.error(2, &arguments);
        assert!(text(&error, "message").contains(&format!("{name}.jsonl:2: ")), "{error}");
        assert!(text(&error, "message").contains(what), "{error}");
        assert!(text(&error, "hint").starts_with("1 line is imported; "), "{error}");
        assert_eq!(place.json_lines(&["events", "list", "records", "--run", name]).len(), 1);
    }
}

#[test]
fn a_file_whose_first_line_is_nothing_to_import_makes_no_store() {
    let place = Place::new();
    let file = place.file("pretty.json", "[\n  {\"id\": 1},\n  {\"id\": 2}\n]\n");
    let error = place.error(2, &["import", &file]);
    assert!(text(&error, "message").contains("pretty.json:1: cannot be read as JSON"), "{error}");
    assert!(text(&error, "hint").contains("each line has to be one whole JSON value"), "{error}");
    let file = place.file("other.jsonl", "{\"name\":\"a\"}\n");
    place.error(2, &["import", &file, "--key", "id"]);
    assert!(!place.store().exists());
}

#[test]
fn lines_that_are_long_are_committed_before_they_fill_the_memory() {
    let place = Place::new();
    let line = format!("\"{}\"\n", "x".repeat(3 << 20));
    let file = place.file("long.jsonl", &line.repeat(7));
    let imported = place.json(&["import", &file]);
    assert_eq!((&imported["records"], &imported["transactions"]), (&json!(7), &json!(3)));
}

#[test]
fn options_that_take_numbers_say_which() {
    let place = Place::new();
    let all = "not a whole number from 0 to 18446744073709551615";
    for (arguments, what) in [
        (&["scan", "--limit", "many"][..], all),
        (&["scan", "--limit", "-1"], all),
        (&["scan", "--limit", "1.5"], all),
        (&["trace", "--limit", "300000000000000000000"], all),
        (&["runs", "--limit", "+1"], all),
        (&["events", "list", "s", "--from", "-3"], all),
        (&["replay", "r", "--at", "0x10"], all),
        (&["dump", "--from", "first"], all),
        (&["diff", "a", "b", "--limit", ""], all),
        (&["import", "f", "--batch", "0"], "not a whole number from 1 to 100000"),
        (&["demo", "--kill-at", "100"], "not a whole number from 1 to 95"),
        (&["get", "k", "--store", ""], "FOLDB_STORE"),
    ] {
        let error = place.error(2, arguments);
        assert!(text(&error, "message").contains(what), "{arguments:?}: {error}");
    }
}

#[test]
fn bounds_that_leave_nothing_between_them_are_refused() {
    let place = Place::new();
    place.ok(&["put", "k", "v"]);
    let error = place.error(2, &["scan", "--from", "b", "--to", "a"]);
    assert!(text(&error, "message").contains("--from \"b\" is behind --to \"a\""), "{error}");
    let error = place.error(2, &["dump", "--from", "7", "--to", "3"]);
    assert!(text(&error, "message").contains("--from 7 is behind --to 3"), "{error}");
}

#[test]
#[cfg(unix)]
fn a_link_that_leads_nowhere_is_no_store_and_no_place_for_one() {
    let place = Place::new();
    std::os::unix::fs::symlink("not/mounted", place.store()).expect("the directory is writable");
    let file = place.file("data.jsonl", "{}\n");
    for arguments in [
        &["get", "k"][..],
        &["put", "k", "v"],
        &["import", &file],
        &["dump"],
        &["verify"],
        &["export", "store", "out.tar"],
        &["import-store", &file, "store"],
        &["demo", "--dir", "store"],
    ] {
        let error = place.error(2, arguments);
        assert_eq!(error["kind"], "no_store", "{arguments:?}: {error}");
        assert!(
            text(&error, "message").contains("store is a link to not/mounted, which does not lead anywhere"),
            "{arguments:?}: {error}"
        );
    }
    assert!(!place.path("not").exists());
}

#[test]
fn files_that_are_something_else_are_named_and_are_no_failure_of_the_system() {
    let place = Place::new();
    place.ok(&["put", "k", "v"]);
    let file = place.file("text.txt", "hello");
    for (arguments, what) in [
        (&["import-store", "store", "new"][..], "store is a directory, not an archive"),
        (&["export", "store", "store"], "store is a directory"),
        (&["export", "store", "missing/out.tar"], "there is no such file or directory"),
        (&["json", "set", "doc", "@store"], "it is a directory"),
        (&["json", "set", "doc", "@missing.json"], "reading missing.json: there is no such file or directory"),
        (&["dump", "--store", &file], "it is not a directory; a store is one"),
        (&["demo", "--dir", &file], "no directory"),
    ] {
        let error = place.error(2, arguments);
        assert!(text(&error, "message").contains(what), "{arguments:?}: {error}");
    }
    assert!(!place.path("new").exists());
    place.foldb(&["get", "k", "--store", "nothing"]).assert().code(2).stderr(predicate::str::contains("foldb put"));
}
