//! Both forms of paths.

use std::{
    string::{String, ToString},
    vec::Vec,
};

use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::{any_document, any_key, seeded};
use crate::json::{Path, get_at};

#[test]
fn the_pointers_of_rfc_6901_find_what_it_says() {
    let document = json!({
        "foo": ["bar", "baz"], "": 0, "a/b": 1, "c%d": 2, "e^f": 3, "g|h": 4, "i\\j": 5, "k\"l": 6, " ": 7, "m~n": 8
    });
    for (pointer, value) in [
        ("", document.clone()),
        ("/foo", json!(["bar", "baz"])),
        ("/foo/0", json!("bar")),
        ("/", json!(0)),
        ("/a~1b", json!(1)),
        ("/c%d", json!(2)),
        ("/e^f", json!(3)),
        ("/g|h", json!(4)),
        ("/i\\j", json!(5)),
        ("/k\"l", json!(6)),
        ("/ ", json!(7)),
        ("/m~0n", json!(8)),
    ] {
        let path = Path::parse(pointer).expect(pointer);
        assert_eq!(get_at(&document, &path), Some(&value), "{pointer}");
        assert_eq!(path.to_string(), pointer);
    }
}

#[test]
fn the_dollar_form_is_another_spelling() {
    for (dollar, pointer) in [
        ("$", ""),
        ("$.a", "/a"),
        ("$.a.b[0]", "/a/b/0"),
        ("$['a b'][0]", "/a b/0"),
        ("$[\"a'b\"]", "/a'b"),
        ("$['a\\'b\\\\']", "/a'b\\"),
        ("$['']", "/"),
        ("$['a/b']['m~n']", "/a~1b/m~0n"),
        ("$[10][2]", "/10/2"),
        ("$.list[-]", "/list/-"),
        ("$.snake_case.kebab-case.größe", "/snake_case/kebab-case/größe"),
        ("$.a['$.b']", "/a/$.b"),
    ] {
        assert_eq!(Path::parse(dollar).expect(dollar).as_pointer(), pointer, "{dollar}");
    }
}

#[test]
fn what_is_no_path_is_refused() {
    for text in [
        "a",
        "a/b",
        "/~",
        "/~2",
        "/a~",
        "$a",
        "$.",
        "$..a",
        "$.a.",
        "$.*",
        "$[*]",
        "$[]",
        "$[01]",
        "$[-1]",
        "$[0",
        "$['a'",
        "$['a",
        "$['a\\",
        "$[a]",
        "$[0:2]",
        "$[?(@.a)]",
        "$.a b",
        "$.a]",
        "$[0]x",
        "$ ",
        "#/a",
    ] {
        let error = Path::parse(text).expect_err(text);
        assert!(error.to_string().starts_with("invalid JSON path"), "{error}");
    }
}

proptest! {
    #![proptest_config(seeded(1000))]

    #[test]
    fn a_pointer_made_of_steps_reads_as_those_steps(tokens in prop::collection::vec(any::<String>(), 0..5)) {
        let mut path = Path::root();
        for token in &tokens {
            path.push(token);
        }
        prop_assert_eq!(path.depth(), tokens.len());
        let again = Path::parse(path.as_pointer()).expect("a pointer");
        prop_assert_eq!(again.tokens().collect::<Vec<_>>(), tokens);
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in "[/$.\\[\\]'\"\\\\~01a*-]{0,12}") {
        if let Ok(path) = Path::parse(&text) {
            prop_assert_eq!(Path::from_pointer(path.as_pointer()), Ok(path));
        }
    }

    #[test]
    fn a_lookup_goes_the_same_way_as_a_walk(document in any_document(), tokens in prop::collection::vec(any_key(), 0..4)) {
        let mut path = Path::root();
        let mut place = Some(&document);
        for token in &tokens {
            path.push(token);
            place = match place {
                Some(Json::Object(members)) => members.get(token),
                Some(Json::Array(items)) => token.parse::<usize>().ok().and_then(|index| items.get(index)),
                _ => None,
            };
        }
        prop_assert_eq!(get_at(&document, &path), place);
    }
}
