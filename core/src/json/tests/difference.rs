//! Differences of documents.

use std::{string::String, vec::Vec};

use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::{any_document, seeded};
use crate::json::{Change, Operation, Patch, Path, PathChange, diff};

fn change(path: &str, change: Change) -> PathChange {
    PathChange { path: String::from(path), change }
}

#[test]
fn differences_are_the_outermost_places_in_order() {
    let older = json!({"b": {"x": 1, "y": [1, 2, 3]}, "a": 1, "gone": {"deep": true}, "same": [1], "a/b": 1});
    let newer = json!({"b": {"x": 1, "y": [1, 5]}, "a": "1", "new": [], "same": [1], "a/b": 2});
    assert_eq!(
        diff(&older, &newer),
        [
            change("/a", Change::Changed { from: json!(1), to: json!("1") }),
            change("/a~1b", Change::Changed { from: json!(1), to: json!(2) }),
            change("/b/y/1", Change::Changed { from: json!(2), to: json!(5) }),
            change("/b/y/2", Change::Removed(json!(3))),
            change("/gone", Change::Removed(json!({"deep": true}))),
            change("/new", Change::Added(json!([]))),
        ]
    );
    assert_eq!(diff(&json!(1), &json!(1.0)), [change("", Change::Changed { from: json!(1), to: json!(1.0) })]);
    assert_eq!(diff(&json!([]), &json!({})), [change("", Change::Changed { from: json!([]), to: json!({}) })]);
}

/// The patch that a difference stands for. Items are removed from the last to the first, so that indices hold.
/// Zero and minus zero are two values, stored as other bytes, and a difference that did not say so left a document that had
/// changed without a change. Numbers compare as floats do where nobody looks.
#[test]
fn zero_and_minus_zero_are_two_values() {
    let of = |from: Json, to: Json| Change::Changed { from, to };
    assert_eq!(diff(&json!(0.0), &json!(-0.0)), [change("", of(json!(0.0), json!(-0.0)))]);
    let nested = diff(&json!({"a": [1, -0.0]}), &json!({"a": [1, 0.0]}));
    assert_eq!(nested, [change("/a/1", of(json!(-0.0), json!(0.0)))]);
    let Change::Changed { from, to } = &nested[0].change else { panic!("{nested:?}") };
    let sign = |number: &Json| number.as_f64().unwrap().is_sign_negative();
    assert!(sign(from) && !sign(to));
    for same in [json!(0.0), json!(-0.0), json!(0), json!(2.5), json!(-1)] {
        assert!(diff(&same, &same).is_empty(), "{same}");
    }
}

fn as_patch(changes: &[PathChange]) -> Patch {
    let path = |change: &PathChange| Path::from_pointer(&change.path).expect("a pointer");
    let set = changes.iter().filter_map(|each| match &each.change {
        Change::Added(value) => Some(Operation::Add { path: path(each), value: value.clone() }),
        Change::Changed { to, .. } => Some(Operation::Replace { path: path(each), value: to.clone() }),
        Change::Removed(_) => None,
    });
    let removed = changes.iter().rev().filter(|each| matches!(each.change, Change::Removed(_)));
    Patch::new(set.chain(removed.map(|each| Operation::Remove { path: path(each) })).collect())
}

/// The difference the other way round, as it must be.
fn reversed(changes: Vec<PathChange>) -> Vec<PathChange> {
    let turn = |change: Change| match change {
        Change::Added(value) => Change::Removed(value),
        Change::Removed(value) => Change::Added(value),
        Change::Changed { from, to } => Change::Changed { from: to, to: from },
    };
    changes.into_iter().map(|each| PathChange { path: each.path, change: turn(each.change) }).collect()
}

proptest! {
    #![proptest_config(seeded(3000))]

    #[test]
    fn a_difference_leads_from_one_document_to_the_other(older in any_document(), newer in any_document()) {
        let changes = diff(&older, &newer);
        prop_assert_eq!(changes.is_empty(), older == newer);
        let mut document = older.clone();
        as_patch(&changes).apply(&mut document).expect("all places exist");
        prop_assert_eq!(&document, &newer);
        prop_assert_eq!(diff(&newer, &older), reversed(changes));
    }

    #[test]
    fn a_document_does_not_differ_from_itself(document in any_document()) {
        prop_assert_eq!(diff(&document, &document), []);
    }
}

#[test]
fn documents_deeper_than_any_stored_one_are_compared_without_recursion() {
    let nested = |value: Json| (0..1000).fold(value, |inner, _| json!([inner]));
    let changes = diff(&nested(json!(1)), &nested(json!(2)));
    assert_eq!(changes.len(), 1);
    assert_eq!(changes[0].path, "/0".repeat(crate::limits::VALUE_DEPTH_MAX));
}
