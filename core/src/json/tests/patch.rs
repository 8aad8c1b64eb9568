//! JSON Patch: the examples of RFC 6902, its rules, and agreement with the crate json-patch.

use std::{
    format,
    string::{String, ToString},
    vec,
    vec::Vec,
};

use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::{any_document, any_key, seeded};
use crate::{
    Error, ErrorKind, Result,
    json::{Operation, Patch, Path},
    limits::VALUE_DEPTH_MAX,
};

/// Applies the patch; after an error the document must be as before.
fn apply(document: &Json, patch: &Json) -> Result<Json> {
    let mut changed = document.clone();
    match Patch::parse(patch).and_then(|patch| patch.apply(&mut changed)) {
        Ok(()) => Ok(changed),
        Err(error) => {
            assert_eq!(&changed, document, "{error}");
            Err(error)
        }
    }
}

/// RFC 6902, appendix A: document, patch, and the result where there is one.
#[test]
fn the_examples_of_rfc_6902_do_what_it_says() {
    let examples: [(&str, &str, &str, Option<&str>); 16] = [
        (
            "A.1",
            r#"{"foo": "bar"}"#,
            r#"[{"op": "add", "path": "/baz", "value": "qux"}]"#,
            Some(r#"{"baz": "qux", "foo": "bar"}"#),
        ),
        (
            "A.2",
            r#"{"foo": ["bar", "baz"]}"#,
            r#"[{"op": "add", "path": "/foo/1", "value": "qux"}]"#,
            Some(r#"{"foo": ["bar", "qux", "baz"]}"#),
        ),
        ("A.3", r#"{"baz": "qux", "foo": "bar"}"#, r#"[{"op": "remove", "path": "/baz"}]"#, Some(r#"{"foo": "bar"}"#)),
        (
            "A.4",
            r#"{"foo": ["bar", "qux", "baz"]}"#,
            r#"[{"op": "remove", "path": "/foo/1"}]"#,
            Some(r#"{"foo": ["bar", "baz"]}"#),
        ),
        (
            "A.5",
            r#"{"baz": "qux", "foo": "bar"}"#,
            r#"[{"op": "replace", "path": "/baz", "value": "boo"}]"#,
            Some(r#"{"baz": "boo", "foo": "bar"}"#),
        ),
        (
            "A.6",
            r#"{"foo": {"bar": "baz", "waldo": "fred"}, "qux": {"corge": "grault"}}"#,
            r#"[{"op": "move", "from": "/foo/waldo", "path": "/qux/thud"}]"#,
            Some(r#"{"foo": {"bar": "baz"}, "qux": {"corge": "grault", "thud": "fred"}}"#),
        ),
        (
            "A.7",
            r#"{"foo": ["all", "grass", "cows", "eat"]}"#,
            r#"[{"op": "move", "from": "/foo/1", "path": "/foo/3"}]"#,
            Some(r#"{"foo": ["all", "cows", "eat", "grass"]}"#),
        ),
        (
            "A.8",
            r#"{"baz": "qux", "foo": ["a", 2, "c"]}"#,
            r#"[{"op": "test", "path": "/baz", "value": "qux"}, {"op": "test", "path": "/foo/1", "value": 2}]"#,
            Some(r#"{"baz": "qux", "foo": ["a", 2, "c"]}"#),
        ),
        ("A.9", r#"{"baz": "qux"}"#, r#"[{"op": "test", "path": "/baz", "value": "bar"}]"#, None),
        (
            "A.10",
            r#"{"foo": "bar"}"#,
            r#"[{"op": "add", "path": "/child", "value": {"grandchild": {}}}]"#,
            Some(r#"{"foo": "bar", "child": {"grandchild": {}}}"#),
        ),
        (
            "A.11",
            r#"{"foo": "bar"}"#,
            r#"[{"op": "add", "path": "/baz", "value": "qux", "xyz": 123}]"#,
            Some(r#"{"foo": "bar", "baz": "qux"}"#),
        ),
        ("A.12", r#"{"foo": "bar"}"#, r#"[{"op": "add", "path": "/baz/bat", "value": "qux"}]"#, None),
        ("A.13", r#"{"foo": "bar"}"#, r#"[{"op": "add", "path": "/baz", "value": "qux", "op": "remove"}]"#, None),
        (
            "A.14",
            r#"{"/": 9, "~1": 10}"#,
            r#"[{"op": "test", "path": "/~01", "value": 10}]"#,
            Some(r#"{"/": 9, "~1": 10}"#),
        ),
        ("A.15", r#"{"/": 9, "~1": 10}"#, r#"[{"op": "test", "path": "/~01", "value": "10"}]"#, None),
        (
            "A.16",
            r#"{"foo": ["bar"]}"#,
            r#"[{"op": "add", "path": "/foo/-", "value": ["abc", "def"]}]"#,
            Some(r#"{"foo": ["bar", ["abc", "def"]]}"#),
        ),
    ];
    let read = |text: &str| -> Json { serde_json::from_str(text).expect("JSON") };
    for (name, document, patch, result) in examples {
        assert_eq!(apply(&read(document), &read(patch)).ok(), result.map(read), "{name}");
    }
}

#[test]
fn a_failing_operation_undoes_the_ones_before_it() {
    let document = json!({"a": [1, 2], "b": {"c": 3}});
    let changes = [
        json!({"op": "remove", "path": "/a/0"}),
        json!({"op": "add", "path": "", "value": 5}),
        json!({"op": "move", "from": "/b", "path": "/a/0"}),
        json!({"op": "replace", "path": "/b/c", "value": 4}),
    ];
    for change in changes {
        let error = apply(&document, &json!([change, {"op": "remove", "path": "/x/y"}])).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.to_string().starts_with("invalid JSON patch: operation 1 (remove /x/y): "), "{error}");
    }
}

#[test]
fn a_failing_test_is_a_precondition_and_shows_both_values() {
    let error = apply(&json!({"a": 1}), &json!([{"op": "test", "path": "/a", "value": {"b": 2}}])).unwrap_err();
    assert_eq!(error.to_string(), r#"precondition on /a (operation 0 of the patch) failed: expected {"b":2}, found 1"#);
    let error = apply(&json!({}), &json!([{"op": "test", "path": "/a", "value": "x".repeat(1000)}])).unwrap_err();
    assert!(error.to_string().len() < 300 && error.to_string().ends_with("found nothing"), "{error}");
}

#[test]
fn tests_compare_numbers_by_value() {
    let document = json!({"n": 1, "l": [1.0, {"x": -2}]});
    assert!(apply(&document, &json!([{"op": "test", "path": "/n", "value": 1.0}])).is_ok());
    assert!(apply(&document, &json!([{"op": "test", "path": "/l", "value": [1, {"x": -2.0}]}])).is_ok());
    assert!(apply(&document, &json!([{"op": "test", "path": "/n", "value": 1.5}])).is_err());
}

#[test]
fn nothing_moves_into_itself() {
    let document = json!({"a": {"b": {}}, "ab": 1});
    for (from, path) in [("/a", "/a/b/c"), ("", "/a"), ("/a", "/a/b")] {
        let error = apply(&document, &json!([{"op": "move", "from": from, "path": path}])).unwrap_err();
        assert!(error.to_string().contains("is inside"), "{error}");
    }
    assert!(apply(&document, &json!([{"op": "move", "from": "/a", "path": "/ab"}])).is_ok());
    assert_eq!(apply(&document, &json!([{"op": "move", "from": "/a", "path": "/a"}])), Ok(document));
}

#[test]
fn what_is_no_patch_is_refused_by_index_and_reason() {
    for (patch, why) in [
        (json!({}), "expected an array of operations, found object"),
        (json!([1]), "operation 0: expected an object, found number"),
        (json!([{}]), "operation 0: it has no op"),
        (json!([{"op": 5}]), "operation 0: its op is 5"),
        (
            json!([{"op": "spam", "path": ""}]),
            "operation 0 (spam): unknown; there are add, remove, replace, move, copy and test",
        ),
        (json!([{"op": "test", "path": "", "value": 1}, {"op": "remove"}]), "operation 1 (remove): it has no path"),
        (json!([{"op": "remove", "path": 1}]), "operation 0 (remove): its path is number, not a string"),
        (json!([{"op": "copy", "path": "/a"}]), "operation 0 (copy): it has no from"),
        (json!([{"op": "replace", "path": "/a"}]), "operation 0 (replace): it has no value"),
    ] {
        let error = Patch::parse(&patch).unwrap_err();
        assert_eq!(error, Error::Invalid { what: "JSON patch", why: why.to_string() });
    }
    let error = Patch::parse(&json!([{"op": "remove", "path": "a"}])).unwrap_err();
    assert!(error.to_string().contains("operation 0 (remove): its path is an invalid JSON path: \"a\""), "{error}");
    assert!(Patch::parse(&json!([{"op": "remove", "path": "$.a"}])).is_err(), "RFC 6902 knows pointers only");
}

#[test]
fn copies_of_copies_stop_before_they_fill_memory() {
    let text = "x".repeat(1000);
    let doubling = Operation::Copy { from: Path::root(), path: Path::parse("/-").expect("a path") };
    let error = Patch::new(vec![doubling; 100]).apply(&mut json!([text.clone()])).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Limit);
    let appending =
        Operation::Copy { from: Path::parse("/0").expect("a path"), path: Path::parse("/-").expect("a path") };
    let mut document = json!([text]);
    let before = document.clone();
    let error = Patch::new(vec![appending; 20_000]).apply(&mut document).unwrap_err();
    assert!(matches!(error, Error::Limit { what: "bytes copied by a JSON patch", .. }));
    assert_eq!(document, before);
}

#[test]
fn moves_cannot_stack_a_document_deeper_than_the_limit() {
    let level = [
        json!({"op": "add", "path": "/x", "value": {}}),
        json!({"op": "move", "from": "/d", "path": "/x/d"}),
        json!({"op": "move", "from": "/x", "path": "/d"}),
    ];
    let patch = |levels: usize| Json::Array(level.iter().cloned().cycle().take(3 * levels).collect());
    let document = json!({"d": {}});
    // The document is itself one level, and its innermost object another.
    assert!(apply(&document, &patch(VALUE_DEPTH_MAX - 3)).is_ok());
    assert_eq!(apply(&document, &patch(100_000)).unwrap_err().kind(), ErrorKind::Limit);
}

/// All places of a document, as pointers.
pub(super) fn places(document: &Json) -> Vec<String> {
    let mut places = vec![String::new()];
    let inner: Vec<(String, &Json)> = match document {
        Json::Array(items) => items.iter().enumerate().map(|(index, item)| (index.to_string(), item)).collect(),
        Json::Object(members) => members.iter().map(|(key, value)| (key.clone(), value)).collect(),
        _ => vec![],
    };
    for (token, value) in inner {
        let mut step = Path::root();
        step.push(&token);
        places.extend(places_below(&step, value));
    }
    places
}

fn places_below(step: &Path, value: &Json) -> Vec<String> {
    places(value).into_iter().map(|below| format!("{step}{below}")).collect()
}

#[derive(Clone, Debug)]
struct Sketch {
    op: &'static str,
    from: prop::sample::Index,
    path: prop::sample::Index,
    below: Option<String>,
    value: Json,
    value_from_document: bool,
}

fn any_sketch() -> impl Strategy<Value = Sketch> {
    let op = prop::sample::select(vec!["add", "remove", "replace", "move", "copy", "test"]);
    let below = prop::option::weighted(0.4, any_key());
    (op, any::<prop::sample::Index>(), any::<prop::sample::Index>(), below, any_document(), any::<bool>()).prop_map(
        |(op, from, path, below, value, value_from_document)| Sketch {
            op,
            from,
            path,
            below,
            value,
            value_from_document,
        },
    )
}

/// An operation whose places mostly exist in `document`.
fn drawn(sketch: &Sketch, document: &Json) -> Json {
    let places = places(document);
    let existing = |index: &prop::sample::Index| places[index.index(places.len())].clone();
    let mut path = Path::from_pointer(&existing(&sketch.path)).expect("a pointer");
    if let Some(token) = &sketch.below {
        path.push(token);
    }
    let value = if sketch.value_from_document {
        document.pointer(path.as_pointer()).unwrap_or(&sketch.value)
    } else {
        &sketch.value
    };
    json!({"op": sketch.op, "from": existing(&sketch.from), "path": path.as_pointer(), "value": value})
}

proptest! {
    #![proptest_config(seeded(4000))]

    #[test]
    fn patching_agrees_with_json_patch(document in any_document(), sketches in prop::collection::vec(any_sketch(), 1..6)) {
        // Each operation is drawn for the document as the ones before it have left it.
        let mut now = document.clone();
        let mut operations = Vec::new();
        for sketch in &sketches {
            let operation = drawn(sketch, &now);
            let one = json!([operation]);
            let theirs = by_json_patch(&now, &one);
            prop_assert_eq!(apply(&now, &one).ok(), theirs.clone(), "{} on {}", one, now);
            now = theirs.unwrap_or(now);
            operations.push(operation);
        }
        let all = Json::Array(operations);
        prop_assert_eq!(apply(&document, &all).ok(), by_json_patch(&document, &all), "{} on {}", all, document);
    }
}

fn by_json_patch(document: &Json, patch: &Json) -> Option<Json> {
    let patch: json_patch::Patch = serde_json::from_value(patch.clone()).expect("a patch");
    let mut changed = document.clone();
    json_patch::patch_unsafe(&mut changed, &patch).ok().map(|()| changed)
}
