//! Numbers, and members of one name: wherever text becomes a value it is kept as it is written, or refused by its name and place.

mod common;

use common::{Place, text};
use serde_json::json;

/// More than 64 bits, as amounts in wei are.
const WEI: &str = "12345678901234567890123";

#[test]
fn ids_beyond_64_bits_are_refused_by_line_column_and_path_and_do_not_become_one_document() {
    let place = Place::new();
    let file =
        place.file("ids.jsonl", "{\"id\":18446744073709551616,\"n\":1}\n{\"id\":18446744073709551617,\"n\":2}\n");
    let error = place.error(2, &["import", &file, "--key", "id"]);
    let message = text(&error, "message");
    assert!(
        message.contains("ids.jsonl:1: cannot be read as JSON: 18446744073709551616 is an integer beyond"),
        "{error}"
    );
    assert!(message.ends_with("(column 7, at /id)"), "{error}");
    // The widest that fit are two documents.
    let file = place.file(
        "wide.jsonl",
        "{\"id\":18446744073709551614}\n{\"id\":18446744073709551615}\n{\"id\":9007199254740993}\n",
    );
    place.ok(&["import", &file, "--key", "id"]);
    let keys: Vec<_> =
        place.json_lines(&["json", "list", "--run", "wide"]).iter().map(|line| line["key"].clone()).collect();
    assert_eq!(keys, [json!("18446744073709551614"), json!("18446744073709551615"), json!("9007199254740993")]);
}

#[test]
fn no_command_rounds_a_number() {
    let place = Place::new();
    place.ok(&["json", "set", "doc", "{\"a\":1}"]);
    let set = format!("{{\"wei\":{WEI}}}");
    let patch = format!("[{{\"op\":\"add\",\"path\":\"/wei\",\"value\":{WEI}}}]");
    let file = place.file("doc.json", &format!("{{\n  \"wei\": [{WEI}]\n}}\n"));
    let from_file = format!("@{file}");
    for (arguments, place_of_it) in [
        (&["put", "k", WEI, "--json-value"][..], "(column 1)"),
        (&["json", "set", "doc", &set], "(column 8, at /wei)"),
        (&["json", "set", "doc", WEI, "--path", "/a"], "(column 1)"),
        (&["json", "set", "doc", &from_file], "(line 2, column 11, at /wei/0)"),
        (&["json", "merge", "doc", &set], "(column 8, at /wei)"),
        (&["json", "patch", "doc", &patch], "(column 36, at /0/value)"),
        (&["events", "append", "stream", &set, "--json-value"], "(column 8, at /wei)"),
    ] {
        let error = place.error(2, arguments);
        let message = text(&error, "message");
        assert!(message.contains(&format!("{WEI} is an integer beyond 64 bits")), "{arguments:?}: {error}");
        assert!(message.contains("as text, in quotes") && message.ends_with(place_of_it), "{arguments:?}: {error}");
    }
    assert_eq!(place.json(&["json", "get", "doc"])["value"], json!({"a": 1}));
    place.foldb(&["get", "k"]).assert().code(1);
}

#[test]
fn floats_are_kept_to_the_last_bit_or_refused() {
    let place = Place::new();
    // A parser that takes a short cut gives 103035157.48823383.
    for number in
        ["0.1", "1e23", "-0.0", "0.30000000000000004", "103035157.48823385", "5e-324", "1.7976931348623157e308"]
    {
        place.ok(&["put", "k", number, "--json-value"]);
        let kept: f64 = place.ok(&["get", "k"]).trim_end().parse().expect("a float is printed");
        assert_eq!(kept.to_bits(), number.parse::<f64>().expect("a float").to_bits(), "{number}");
    }
    for number in ["1e400", "-1e400", "1e-400", "12345678901234.567", "3.14159265358979323846"] {
        let error = place.error(2, &["put", "k", number, "--json-value"]);
        assert!(text(&error, "message").contains(number), "{error}");
    }
}

#[test]
fn a_key_of_a_document_is_text_or_a_whole_number() {
    let place = Place::new();
    let file = place.file("floats.jsonl", "{\"id\":1}\n{\"id\":1.0}\n");
    let error = place.error(2, &["import", &file, "--key", "id"]);
    assert!(text(&error, "message").ends_with("floats.jsonl:2: the key field id holds 1.0, a number with a fraction or exponent; a key is text or a whole number"), "{error}");
}

#[test]
fn a_member_that_comes_twice_is_refused_and_named() {
    let place = Place::new();
    let twice = "{\"id\":\"a\",\"id\":\"b\"}";
    let file = place.file("twice.jsonl", &format!("{{}}\n{twice}\n"));
    let error = place.error(2, &["import", &file]);
    assert!(
        text(&error, "message").contains("twice.jsonl:2: cannot be read as JSON: the member \"id\" comes twice"),
        "{error}"
    );
    for arguments in [&["json", "set", "doc", twice][..], &["put", "k", twice, "--json-value"]] {
        assert!(text(&place.error(2, arguments), "message").contains("the member \"id\" comes twice"));
    }
}
