//! Values from Rust types and to JSON.

use std::{boxed::Box, collections::BTreeMap, string::String, vec, vec::Vec};

use proptest::prelude::*;
use ruint::aliases::U256;
use serde_json::json;

use super::{any_value, seeded};
use crate::{
    Error,
    value::{Integer, Value},
};

#[test]
fn rust_types_become_the_values_that_they_look_like() {
    assert_eq!(Value::from(Some(1)), Value::from(1));
    assert_eq!(Value::from(None::<u8>), Value::Null);
    assert_eq!(Value::from(()), Value::Null);
    assert_eq!(Value::from(b"ab"), Value::Bytes(vec![b'a', b'b']));
    assert_eq!(Value::from(1.5_f32), Value::Float(1.5));
    let map = BTreeMap::from([(String::from("b"), 2), (String::from("a"), 1)]);
    assert_eq!(Value::from(map), Value::Map(vec![("a".into(), 1.into()), ("b".into(), 2.into())]));
    assert_eq!(Value::default(), Value::Null);
}

#[test]
fn accessors_answer_only_for_their_own_type() {
    let values: Vec<Value> = vec![
        Value::Null,
        true.into(),
        1.into(),
        1.5.into(),
        "a".into(),
        vec![1_u8].into(),
        Value::List(vec![]),
        Value::Map(vec![]),
    ];
    for value in &values {
        let answers = [
            value.is_null(),
            value.as_bool().is_some(),
            value.as_i64().is_some(),
            value.as_f64().is_some(),
            value.as_text().is_some(),
            value.as_bytes().is_some(),
            value.as_list().is_some(),
            value.as_map().is_some(),
        ];
        assert_eq!(answers.iter().filter(|answer| **answer).count(), 1, "{value}");
    }
}

#[test]
fn json_goes_to_values_and_back_unchanged() {
    let document = json!({"a": [null, true, -1, 18446744073709551615_u64, i64::MIN, 1.5, 1.0, "text"], "b": {}});
    let value = Value::try_from(&document).unwrap();
    assert_eq!(value.get("a").and_then(Value::as_list).map(|list| list[6].clone()), Some(Value::Float(1.0)));
    assert_eq!(serde_json::Value::try_from(value), Ok(document));
}

#[test]
fn what_json_does_not_have_is_a_typed_error() {
    let refused = |value: Value| serde_json::Value::try_from(Value::List(vec![value])).unwrap_err();
    let type_error = |found| Error::Type { what: "value".into(), expected: "a type that JSON has", found };
    assert_eq!(refused(Value::Bytes(vec![])), type_error("bytes"));
    assert_eq!(refused(U256::from(1).into()), type_error("tag"));
    assert!(matches!(
        refused(Value::Map(vec![(1.into(), 1.into())])),
        Error::Type { expected: "text", found: "integer", .. }
    ));
    for value in [
        Value::Float(f64::NAN),
        Value::Float(f64::INFINITY),
        Value::Integer(Integer::MIN),
        Value::Map(vec![("a".into(), 1.into()), ("a".into(), 2.into())]),
    ] {
        assert!(matches!(refused(value), Error::Invalid { what: "JSON value", .. }));
    }
}

#[test]
fn json_for_people_shows_everything() {
    let value = Value::Map(vec![
        ("bytes".into(), Value::Bytes(vec![0, 255])),
        ("nan".into(), f64::NAN.into()),
        ("low".into(), Value::Integer(Integer::MIN)),
        ("time".into(), Value::Tag(1, Box::new(5.into()))),
        ("big".into(), U256::from(7).into()),
        (Value::List(vec![1.into()]), Value::Null),
    ]);
    let expected = json!({
        "bytes": "h'00ff'", "nan": "NaN", "low": "-18446744073709551616", "time": "1(5)", "big": "7", "[1]": null,
    });
    assert_eq!(value.to_json_lossy(), expected);
}

proptest! {
    #![proptest_config(seeded(1000))]

    #[test]
    fn json_for_people_is_the_json_where_there_is_one(value in any_value()) {
        let lossy = value.to_json_lossy();
        if let Ok(exact) = serde_json::Value::try_from(value) {
            prop_assert_eq!(lossy, exact);
        }
    }
}
