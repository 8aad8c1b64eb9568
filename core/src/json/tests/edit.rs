//! Changing one place.

use std::{
    string::{String, ToString},
    vec,
};

use proptest::prelude::*;
use serde_json::{Number, Value as Json, json};

use super::{any_document, seeded};
use crate::{
    Error, Result,
    json::{
        Path, delete_at, get_at, increment_at, keys_at, length_at, matches_at, merge_at, pop_at, push_at, set_at,
        type_at,
    },
    limits::VALUE_DEPTH_MAX,
};

fn at(path: &str) -> Path {
    Path::parse(path).expect("a path")
}

/// Applies `change` and returns the document with the result; after an error the document must be as before.
fn after<T: std::fmt::Debug>(mut document: Json, change: impl FnOnce(&mut Json) -> Result<T>) -> Result<(Json, T)> {
    let before = document.clone();
    match change(&mut document) {
        Ok(result) => Ok((document, result)),
        Err(error) => {
            assert_eq!(document, before, "{error}");
            Err(error)
        }
    }
}

fn set(document: Json, path: &str, value: Json) -> Result<(Json, Option<Json>)> {
    after(document, |document| set_at(document, &at(path), value))
}

#[test]
fn set_creates_or_replaces_the_last_step_only() {
    assert_eq!(set(json!({}), "/a", json!(1)), Ok((json!({"a": 1}), None)));
    assert_eq!(set(json!({"a": 1}), "/a", json!(2)), Ok((json!({"a": 2}), Some(json!(1)))));
    assert_eq!(set(json!([1]), "/0", json!(2)), Ok((json!([2]), Some(json!(1)))));
    assert_eq!(set(json!([1]), "/-", json!(2)), Ok((json!([1, 2]), None)));
    assert_eq!(set(json!([1]), "", json!(2)), Ok((json!(2), Some(json!([1])))));
    assert_eq!(set(json!({"-": 1}), "/-", json!(2)), Ok((json!({"-": 2}), Some(json!(1)))));
    assert_eq!(set(json!({"a": {}}), "/a/1", json!(2)), Ok((json!({"a": {"1": 2}}), None)));
}

#[test]
fn set_names_what_is_missing_or_in_the_way() {
    let not_found = |name: &str| Err(Error::NotFound { what: "path", name: name.into() });
    assert_eq!(set(json!({}), "/a/b/c", json!(1)), not_found("/a"));
    assert_eq!(set(json!({"a": {}}), "/a/b/c", json!(1)), not_found("/a/b"));
    assert_eq!(set(json!({"a": []}), "/a/0/c", json!(1)), not_found("/a/0"));
    let in_the_way = |what: &str, found| Err(Error::Type { what: what.into(), expected: "object or array", found });
    assert_eq!(set(json!({"a": "text"}), "/a/b", json!(1)), in_the_way("/a", "string"));
    assert_eq!(set(json!({"a": "text"}), "/a/b/c", json!(1)), in_the_way("/a", "string"));
    assert_eq!(set(json!(5), "/a", json!(1)), in_the_way("the document", "number"));
    for index in ["/1", "/01", "/x", "/+0", "/99999999999999999999"] {
        assert!(matches!(set(json!([1]), index, json!(1)), Err(Error::Invalid { what: "JSON path", .. })), "{index}");
    }
}

#[test]
fn delete_returns_what_was_there() {
    let delete = |document: Json, path: &str| after(document, |document| delete_at(document, &at(path)));
    assert_eq!(delete(json!({"a": 1, "b": 2}), "/a"), Ok((json!({"b": 2}), Some(json!(1)))));
    assert_eq!(delete(json!([1, 2, 3]), "/1"), Ok((json!([1, 3]), Some(json!(2)))));
    for missing in ["/x", "/x/y", "/a/b", "/l/1", "/l/-", "/l/x"] {
        let document = json!({"a": 1, "l": [0]});
        assert_eq!(delete(document.clone(), missing), Ok((document, None)), "{missing}");
    }
    assert!(delete(json!({}), "").is_err());
}

/// RFC 7396, appendix A.
#[test]
fn the_examples_of_rfc_7396_merge_as_given() {
    for (original, patch, result) in [
        (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
        (json!({"a": "b"}), json!({"b": "c"}), json!({"a": "b", "b": "c"})),
        (json!({"a": "b"}), json!({"a": null}), json!({})),
        (json!({"a": "b", "b": "c"}), json!({"a": null}), json!({"b": "c"})),
        (json!({"a": ["b"]}), json!({"a": "c"}), json!({"a": "c"})),
        (json!({"a": "c"}), json!({"a": ["b"]}), json!({"a": ["b"]})),
        (json!({"a": {"b": "c"}}), json!({"a": {"b": "d", "c": null}}), json!({"a": {"b": "d"}})),
        (json!({"a": [{"b": "c"}]}), json!({"a": [1]}), json!({"a": [1]})),
        (json!(["a", "b"]), json!(["c", "d"]), json!(["c", "d"])),
        (json!({"a": "b"}), json!(["c"]), json!(["c"])),
        (json!({"a": "foo"}), json!(null), json!(null)),
        (json!({"a": "foo"}), json!("bar"), json!("bar")),
        (json!({"e": null}), json!({"a": 1}), json!({"e": null, "a": 1})),
        (json!([1, 2]), json!({"a": "b", "c": null}), json!({"a": "b"})),
        (json!({}), json!({"a": {"bb": {"ccc": null}}}), json!({"a": {"bb": {}}})),
    ] {
        let mut document = original.clone();
        merge_at(&mut document, &Path::root(), &patch).expect("merges always");
        assert_eq!(document, result, "{original} and {patch}");
    }
}

#[test]
fn merge_works_at_a_place_and_creates_its_last_step() {
    let merge =
        |document: Json, path: &str, patch: Json| after(document, |document| merge_at(document, &at(path), &patch));
    assert_eq!(merge(json!({"a": {"b": 1}}), "/a", json!({"c": 2})), Ok((json!({"a": {"b": 1, "c": 2}}), ())));
    assert_eq!(merge(json!({}), "/a", json!({"c": 2, "d": null})), Ok((json!({"a": {"c": 2}}), ())));
    assert_eq!(merge(json!([]), "/-", json!({"c": 2})), Ok((json!([{"c": 2}]), ())));
    assert!(matches!(merge(json!({}), "/a/b", json!(1)), Err(Error::NotFound { .. })));
}

#[test]
fn arrays_are_pushed_to_and_popped_from() {
    let push =
        |document: Json, path: &str, value: Json| after(document, |document| push_at(document, &at(path), value));
    let pop = |document: Json, path: &str| after(document, |document| pop_at(document, &at(path)));
    assert_eq!(push(json!({"a": []}), "/a", json!(1)), Ok((json!({"a": [1]}), 1)));
    assert_eq!(push(json!([1]), "", json!(2)), Ok((json!([1, 2]), 2)));
    assert_eq!(pop(json!([1, 2]), ""), Ok((json!([1]), Some(json!(2)))));
    assert_eq!(pop(json!([]), ""), Ok((json!([]), None)));
    assert!(matches!(push(json!({}), "/a", json!(1)), Err(Error::NotFound { .. })));
    assert!(matches!(
        push(json!({"a": {}}), "/a", json!(1)),
        Err(Error::Type { expected: "array", found: "object", .. })
    ));
    assert!(matches!(pop(json!({"a": "b"}), "/a"), Err(Error::Type { expected: "array", found: "string", .. })));
}

fn increment(value: Json, by: Json) -> Result<Json> {
    let by: Number = serde_json::from_value(by).expect("a number");
    let (document, sum) = after(json!({"n": value}), |document| increment_at(document, &at("/n"), &by))?;
    assert_eq!(document["n"], Json::Number(sum));
    Ok(document["n"].clone())
}

#[test]
fn increment_is_exact_or_an_error() {
    assert_eq!(increment(json!(1), json!(2)), Ok(json!(3)));
    assert_eq!(increment(json!(1), json!(-2)), Ok(json!(-1)));
    assert_eq!(increment(json!(u64::MAX), json!(-1)), Ok(json!(u64::MAX - 1)));
    assert_eq!(increment(json!(i64::MAX), json!(1)), Ok(json!(1_u64 << 63)));
    assert_eq!(increment(json!(i64::MIN), json!(u64::MAX)), Ok(json!(i64::MAX)));
    assert_eq!(increment(json!(1.5), json!(0.25)), Ok(json!(1.75)));
    assert_eq!(increment(json!(1), json!(0.5)), Ok(json!(1.5)));
    assert_eq!(increment(json!(0.5), json!(-1)), Ok(json!(-0.5)));
    assert_eq!(increment(json!(1.0), json!(1)), Ok(json!(2.0)), "a float stays a float");
    assert_eq!(increment(json!(1_u64 << 63), json!(0.0)), Ok(json!(9_223_372_036_854_775_808.0)));

    let overflow = |kind| Err(Error::CounterOverflow { key: "/n".into(), kind });
    assert_eq!(increment(json!(u64::MAX), json!(1)), overflow("u64"));
    assert_eq!(increment(json!(i64::MIN), json!(-1)), overflow("i64"));
    assert_eq!(increment(json!(f64::MAX), json!(f64::MAX)), overflow("f64"));
    assert!(matches!(increment(json!((1_u64 << 53) + 1), json!(0.5)), Err(Error::Invalid { what: "increment", .. })));
    assert!(matches!(increment(json!("1"), json!(1)), Err(Error::Type { expected: "number", found: "string", .. })));
    let missing = after(json!({}), |document| increment_at(document, &at("/n"), &1.into()));
    assert!(matches!(missing, Err(Error::NotFound { .. })));
}

#[test]
fn length_type_and_keys_describe_a_place() {
    let document = json!({"list": [1, 2], "map": {"b": 1, "a": 2}, "text": "häß", "n": 1, "no": null, "yes": true});
    for (path, length) in [("/list", 2), ("/map", 2), ("/text", 3), ("", 6)] {
        assert_eq!(length_at(&document, &at(path)), Ok(length), "{path}");
    }
    assert!(matches!(length_at(&document, &at("/n")), Err(Error::Type { found: "number", .. })));
    assert!(matches!(length_at(&document, &at("/x")), Err(Error::NotFound { .. })));
    for (path, name) in [
        ("/list", "array"),
        ("/map", "object"),
        ("/text", "string"),
        ("/n", "number"),
        ("/no", "null"),
        ("/yes", "boolean"),
    ] {
        assert_eq!(type_at(&document, &at(path)), Some(name));
    }
    assert_eq!(type_at(&document, &at("/x")), None);
    assert_eq!(keys_at(&document, &at("/map")), Ok(vec![String::from("a"), String::from("b")]));
    assert!(matches!(keys_at(&document, &at("/list")), Err(Error::Type { expected: "object", .. })));
}

#[test]
fn a_query_compares_numbers_by_value_and_nothing_else_loosely() {
    let document = json!({"n": 1, "big": 9007199254740993_u64, "o": {"a": 1, "b": [2.0]}, "no": null});
    let matches = |path: &str, value: Json| matches_at(&document, &at(path), &value);
    assert!(matches("/n", json!(1)) && matches("/n", json!(1.0)));
    assert!(!matches("/n", json!("1")) && !matches("/n", json!(true)) && !matches("/n", json!(1.5)));
    assert!(!matches("/big", json!(9007199254740992.0)), "rounding is no equality");
    assert!(matches("/o", json!({"b": [2], "a": 1.0})));
    assert!(!matches("/o", json!({"b": [2], "a": 1, "c": 1})) && !matches("/o", json!({"b": [2], "c": 1})));
    assert!(matches("/no", json!(null)) && !matches("/missing", json!(null)));
}

#[test]
fn no_change_makes_a_document_too_deep() {
    let nested = |levels: usize| (0..levels).fold(json!(1), |inner, _| json!([inner]));
    assert!(set(json!({}), "/a", nested(VALUE_DEPTH_MAX - 1)).is_ok());
    let too_deep =
        |result: Result<()>| assert!(matches!(result, Err(Error::Limit { what: "value depth", .. })), "{result:?}");
    let deep = || nested(VALUE_DEPTH_MAX);
    too_deep(set(json!({}), "/a", deep()).map(|_| ()));
    too_deep(after(json!([]), |document| push_at(document, &Path::root(), deep())).map(|_| ()));
    too_deep(after(json!({}), |document| merge_at(document, &at("/a"), &deep())).map(|_| ()));
}

proptest! {
    #![proptest_config(seeded(2000))]

    #[test]
    fn merging_agrees_with_json_patch(document in any_document(), patch in any_document()) {
        let mut theirs = document.clone();
        json_patch::merge(&mut theirs, &patch);
        let mut ours = document;
        merge_at(&mut ours, &Path::root(), &patch).expect("merges always");
        prop_assert_eq!(ours, theirs);
    }

    #[test]
    fn what_was_set_is_there_and_can_be_taken_away(document in any_document(), value in any_document(), pick in any::<prop::sample::Index>()) {
        let places = super::patch::places(&document);
        let path = at(&places[pick.index(places.len())]);
        let mut changed = document.clone();
        let replaced = set_at(&mut changed, &path, value.clone()).expect("the place exists");
        prop_assert_eq!(replaced.as_ref(), get_at(&document, &path));
        prop_assert_eq!(get_at(&changed, &path), Some(&value));
        if !path.is_root() {
            prop_assert_eq!(delete_at(&mut changed, &path).expect("not the whole"), Some(value));
        }
    }
}

#[test]
fn errors_read_well() {
    let error = set(json!({}), "/plan/steps/0", json!(1)).unwrap_err();
    assert_eq!(error.to_string(), "path /plan does not exist");
    let error = set(json!([1]), "/5", json!(1)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "invalid JSON path: /5: the array has 1 items, numbered from 0; the step - is behind the last"
    );
}
