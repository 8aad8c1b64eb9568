//! Documents as bytes.

use std::{boxed::Box, string::ToString, vec, vec::Vec};

use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::{any_document, seeded};
use crate::{
    Error,
    json::{decode_document, encode_document},
    limits::VALUE_DEPTH_MAX,
    value::{Decode, Encode, Value},
};

fn encoded(document: &Json) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode_document(document, &mut bytes).expect("within the limits");
    bytes
}

fn nested(levels: usize) -> Json {
    (0..levels).fold(Json::Null, |inner, _| json!([inner]))
}

#[test]
fn numbers_keep_type_and_value() {
    let numbers = json!([0, u64::MAX, i64::MIN, i64::MAX, 1.0, -0.0, 0.1, 1e300, 5e-324, 9007199254740993_i64]);
    let back = decode_document(&encoded(&numbers)).expect("its own encoding");
    assert_eq!(back, numbers);
    assert_eq!(back.to_string(), numbers.to_string(), "1.0 is still 1.0 and -0.0 still -0.0");
}

#[test]
fn a_document_is_the_value_with_its_keys_in_order() {
    let document = json!({"b": 1, "a": {"z": [], "": null}, "aa": "ü", "ä": 1.5});
    let bytes = encoded(&document);
    assert_eq!(
        Value::decode(&bytes).expect("a value").to_string(),
        r#"{"a": {"": null, "z": []}, "aa": "ü", "b": 1, "ä": 1.5}"#
    );
    let mut through_trait = Vec::new();
    document.encode(&mut through_trait).expect("within the limits");
    assert_eq!(through_trait, bytes);
    assert_eq!(Json::decode(&bytes), Ok(document));
}

#[test]
fn what_is_no_document_is_refused() {
    let refused = |value: Value| {
        let mut bytes = Vec::new();
        value.encode(&mut bytes).expect("within the limits");
        decode_document(&bytes).unwrap_err()
    };
    assert!(matches!(refused(Value::Bytes(vec![1])), Error::Type { found: "bytes", .. }));
    assert!(matches!(refused(Value::Tag(0, Box::new("a".into()))), Error::Type { found: "tag", .. }));
    assert!(matches!(refused(Value::Map(vec![(1.into(), 1.into())])), Error::Type { found: "integer", .. }));
    let twice = Value::Map(vec![("a".into(), 1.into()), ("a".into(), 2.into())]);
    assert!(matches!(refused(twice), Error::Invalid { .. }));
    assert!(matches!(refused(f64::NAN.into()), Error::Invalid { .. }));
    assert!(matches!(refused(Value::Integer(crate::value::Integer::MIN)), Error::Invalid { .. }));
    assert!(decode_document(&[0x01, 0x01]).is_err());
    assert!(decode_document(&[]).is_err());
}

#[test]
fn depth_is_limited_on_both_ways() {
    let deepest = nested(VALUE_DEPTH_MAX);
    assert_eq!(decode_document(&encoded(&deepest)), Ok(deepest.clone()));
    let mut out = vec![7];
    assert!(matches!(encode_document(&json!([deepest]), &mut out), Err(Error::Limit { what: "value depth", .. })));
    assert_eq!(out, [7]);
    let mut bytes = vec![0x81; VALUE_DEPTH_MAX + 1];
    bytes.push(0);
    assert!(matches!(decode_document(&bytes), Err(Error::Limit { what: "value depth", .. })));
}

proptest! {
    #![proptest_config(seeded(2000))]

    #[test]
    fn every_document_comes_back_as_it_was(document in any_document()) {
        let bytes = encoded(&document);
        prop_assert_eq!(decode_document(&bytes), Ok(document.clone()));
        prop_assert_eq!(Value::decode(&bytes), Value::try_from(document));
    }

    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..48)) {
        if let Ok(document) = decode_document(&bytes) {
            // Only the order of keys may have been another.
            prop_assert_eq!(encoded(&document).len(), bytes.len());
        }
    }
}
