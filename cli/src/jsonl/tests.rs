//! What is promised of jsonl, as tests.

use serde_json::json;

use super::*;

fn lines(text: &'static str) -> Lines {
    Lines::new("test.jsonl", Box::new(text.as_bytes()))
}

#[test]
fn blank_lines_are_counted_but_give_no_value() {
    let mut lines = lines("{\"a\":1}\n\n  \r\n[2]\n3");
    let mut found = Vec::new();
    while let Some(value) = lines.next_value().expect("every line is JSON") {
        found.push((lines.line(), value));
    }
    assert_eq!(found, [(1, json!({"a": 1})), (4, json!([2])), (5, json!(3))]);
    assert_eq!(lines.bytes(), 18);
}

#[test]
fn a_malformed_line_is_named_by_file_line_and_column() {
    let mut lines = lines("{}\n{\"a\":}\n");
    assert!(lines.next_value().is_ok());
    let failure = lines.next_value().expect_err("the second line is cut");
    let message = failure.message().expect("the failure has words");
    assert_eq!(message, "test.jsonl:2: cannot be read as JSON: expected a value, found '}' (column 6, at /a)");
}

#[test]
fn the_fingerprint_depends_on_what_was_read_and_on_nothing_behind_it() {
    let mut one = lines("{}\n1\n");
    let mut two = lines("{}\n2\n");
    one.skip_to(1).expect("reading memory cannot fail");
    two.skip_to(1).expect("reading memory cannot fail");
    assert_eq!(one.fingerprint(), two.fingerprint());
    one.skip_to(2).expect("reading memory cannot fail");
    two.skip_to(2).expect("reading memory cannot fail");
    assert_ne!(one.fingerprint(), two.fingerprint());
}

#[test]
fn skipping_beyond_the_end_stops_at_the_end() {
    let mut lines = lines("1\n2\n");
    lines.skip_to(10).expect("reading memory cannot fail");
    assert_eq!(lines.line(), 2);
    assert_eq!(lines.next_value().expect("the end is no error"), None);
}

#[test]
fn what_no_value_keeps_is_named_with_line_column_and_path() {
    let mut lines = lines("{}\n{\"wei\": [18446744073709551616]}\n{\"id\":1,\"id\":2}\n");
    assert!(lines.next_value().is_ok());
    let message = |failure: Failure| failure.message().expect("the failure has words").to_owned();
    let wei = message(lines.next_value().expect_err("it does not fit 64 bits"));
    assert!(
        wei.starts_with("test.jsonl:2: cannot be read as JSON: 18446744073709551616 is an integer beyond 64 bits"),
        "{wei}"
    );
    assert!(wei.ends_with("(column 10, at /wei/0)"), "{wei}");
    let twice = message(lines.next_value().expect_err("which of the two?"));
    assert_eq!(
        twice,
        "test.jsonl:3: cannot be read as JSON: the member \"id\" comes twice in one object (column 9, at /id)"
    );
}

#[test]
fn files_of_windows_that_were_put_together_are_read() {
    let mut lines = lines("\u{feff}{\"a\":1}\r\n\u{feff}\r\n\u{feff}[2]\r\n");
    let mut found = Vec::new();
    while let Some(value) = lines.next_value().expect("every line is JSON") {
        found.push((lines.line(), value));
    }
    assert_eq!(found, [(1, json!({"a": 1})), (3, json!([2]))]);
}
