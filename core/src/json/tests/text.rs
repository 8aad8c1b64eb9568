//! JSON text: what is read, and what is refused rather than altered.

use std::{
    format,
    string::{String, ToString},
};

use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::{any_document, seeded};
use crate::{Error, json::parse, limits::VALUE_DEPTH_MAX};

#[test]
fn json_is_read_as_it_is_written() {
    let text = "\n\t{ \"a\" : [1, -1, 0.1, 1e2, true, false, null], \"\" : {}, \"\\u00fc/\\ud83d\\ude00\\n\": \"\\\"\\\\ü\" } \r\n";
    let expected = json!({"a": [1, -1, 0.1, 100.0, true, false, null], "": {}, "ü/😀\n": "\"\\ü"});
    assert_eq!(parse(text).unwrap(), expected);
    for scalar in ["0", "\"\"", "[]", "{}", "null", " 1 "] {
        assert_eq!(parse(scalar).unwrap(), serde_json::from_str::<Json>(scalar).unwrap());
    }
    assert_eq!(parse("-0").unwrap(), json!(0), "an integer has no sign of zero, and never becomes a float");
    // The nearest float is this one; a parser that takes a short cut gives its neighbour.
    assert_eq!(parse("103035157.48823385").unwrap().to_string(), "103035157.48823385");
}

/// What is wrong, line, column and path.
fn refused(text: &str) -> (String, u64, u64, String) {
    let error = parse(text).expect_err(text);
    (error.what().to_string(), error.line(), error.column(), error.path().to_string())
}

#[test]
fn numbers_that_no_value_keeps_are_refused_where_they_stand() {
    let (what, line, column, path) = refused("{\"id\": 1,\n \"müde\": [0, {\"wei\":  18446744073709551616}]}");
    assert!(what.starts_with("18446744073709551616 is an integer beyond 64 bits"), "{what}");
    assert_eq!((line, column, path.as_str()), (2, 23, "/müde/1/wei"));
    assert!(refused("1e400").0.starts_with("1e400 is larger than any 64-bit float"));
    assert!(
        refused("[12345678901234.567]").0.starts_with("12345678901234.567 has more digits than a 64-bit float keeps")
    );
    let error = Error::from(parse("[0, 18446744073709551616]").unwrap_err());
    assert!(error.to_string().ends_with("(line 1, column 5, at /1)"), "{error}");
}

#[test]
fn a_member_that_comes_twice_is_refused_and_named() {
    let (what, line, column, path) = refused("{\"a\": {\"id\": 1, \"n\": 2, \"\\u0069d\": 3}}");
    assert_eq!(what, "the member \"id\" comes twice in one object");
    assert_eq!((line, column, path.as_str()), (1, 25, "/a/id"));
    assert!(parse("[{\"id\": 1}, {\"id\": 1}]").is_ok(), "in two objects it is two members");
}

#[test]
fn what_is_not_json_is_named_with_what_was_expected() {
    for (text, what, column) in [
        ("", "expected a value, found the end", 1),
        ("{\"a\":}", "expected a value, found '}'", 6),
        ("[1 2]", "expected ',' or ']', found '2'", 4),
        ("[1,]", "expected a value, found ']'", 4),
        ("{\"a\":1,}", "expected the name of a member, in quotes, found '}'", 8),
        ("{a:1}", "expected the name of a member, in quotes, found 'a'", 2),
        ("{\"a\" 1}", "expected ':', found '1'", 6),
        ("{\"a\":1", "expected ',' or '}', found the end", 7),
        ("1 x", "expected nothing behind the value, found 'x'", 3),
        ("NaN", "expected a value, found 'N'", 1),
        ("'a'", "expected a value, found '\\''", 1),
        ("+1", "expected a value, found '+'", 1),
        ("-", "expected a digit, found the end", 2),
        ("1.", "expected a digit, found the end", 3),
        ("1e", "expected a digit, found the end", 3),
        ("007", "a number that begins with a zero", 1),
        ("\"ab", "text whose closing quote is missing", 1),
        ("\"a\\\"", "text whose closing quote is missing", 1),
        ("\"a\nb\"", "a control character in text; write it escaped, as in \\n", 3),
        ("[\"\\ud800\"]", "text with an escape that JSON does not have, or with half of a surrogate pair", 2),
        ("[\"ü\\x\"]", "text with an escape that JSON does not have, or with half of a surrogate pair", 2),
    ] {
        let (found, line, at, _) = refused(text);
        assert_eq!((found.as_str(), line, at), (what, 1, column), "{text}");
    }
}

#[test]
fn nesting_ends_at_the_limit_of_values() {
    let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    assert!(parse(&nested(VALUE_DEPTH_MAX)).is_ok());
    assert!(refused(&nested(VALUE_DEPTH_MAX + 1)).0.contains("128"));
    assert!(refused(&"[".repeat(1 << 20)).0.contains("128"), "and no stack overflows");
}

/// Whether serde_json reads this to something that we refuse on purpose.
fn altered_by_others(what: &str) -> bool {
    ["comes twice", "beyond 64 bits", "larger than any", "more digits"].iter().any(|reason| what.contains(reason))
}

proptest! {
    #![proptest_config(seeded(512))]

    #[test]
    fn a_document_that_was_written_is_read_again(document in any_document()) {
        prop_assert_eq!(&parse(&document.to_string()).unwrap(), &document);
        prop_assert_eq!(&parse(&format!("{document:#}")).unwrap(), &document);
    }

    #[test]
    fn what_is_json_to_others_is_json_here_but_for_what_they_alter(
        document in any_document(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), prop::sample::select(b"{}[]\",:0123.e-+\\ux \n".to_vec())), 0..4),
    ) {
        let mut bytes = document.to_string().into_bytes();
        for (place, byte) in damage {
            let at = place.index(bytes.len());
            bytes[at] = byte;
        }
        let Ok(text) = String::from_utf8(bytes) else { return Ok(()) };
        match (parse(&text), serde_json::from_str::<Json>(&text)) {
            (Ok(ours), Ok(theirs)) => {
                // They may miss the nearest float, and make a float of -0.
                prop_assert!(ours == theirs || text.contains(['.', 'e', '-']), "{}: {} and {}", text, ours, theirs);
            }
            (Ok(ours), Err(error)) => prop_assert!(false, "{}: {} and {}", text, ours, error),
            (Err(error), Ok(_)) => prop_assert!(altered_by_others(error.what()), "{}: {}", text, error),
            (Err(error), Err(_)) => prop_assert!(!error.what().is_empty()),
        }
    }
}

#[test]
fn every_beginning_of_a_text_is_refused_without_a_panic() {
    let text = "{\"ä\\u00fc\": [1.5e-3, \"\\ud83d\\ude00\", {\"b\": null}], \"c\": true}";
    for (end, _) in text.char_indices() {
        assert!(parse(&text[..end]).is_err(), "{}", &text[..end]);
    }
}
