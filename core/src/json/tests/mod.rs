//! Tests of the documents, by part.

use std::{string::String, vec};

use proptest::prelude::*;
use serde_json::Value as Json;

mod codec;
mod difference;
mod edit;
mod patch;
mod path;
mod text;

use crate::value::tests::seeded;

fn any_key() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["a", "b", "c", "0", "1", "-", "", "a/b", "m~n"]).prop_map(String::from)
}

/// Small documents of few keys, so that paths often hit. No float equals an integer.
fn any_document() -> impl Strategy<Value = Json> {
    let scalar = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        (-3_i64..3).prop_map(Json::from),
        any::<u64>().prop_map(Json::from),
        (-3_i32..3).prop_map(|n| Json::from(f64::from(n) + 0.5)),
        "[a-c]{0,2}".prop_map(Json::from),
    ];
    scalar.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Json::from),
            prop::collection::btree_map(any_key(), inner, 0..4).prop_map(|members| members.into_iter().collect()),
        ]
    })
}
