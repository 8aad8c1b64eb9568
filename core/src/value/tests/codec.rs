//! The bytes: vectors of the RFC, agreement with ciborium, round trips, limits, order and notation.

use std::{
    boxed::Box,
    hash::{DefaultHasher, Hash, Hasher},
    string::ToString,
    vec,
    vec::Vec,
};

use proptest::prelude::*;

use super::{any_value, encoded, from_hex, nested, round_trip, seeded};
use crate::{
    Error,
    limits::{VALUE_BYTES_MAX, VALUE_DEPTH_MAX},
    value::{Integer, Value, ValueRef, cbor},
};

/// RFC 8949, appendix A: encoding and diagnostic notation, without what is not in its preferred form.
const VECTORS: &[(&str, &str)] = &[
    ("00", "0"),
    ("01", "1"),
    ("0a", "10"),
    ("17", "23"),
    ("1818", "24"),
    ("1819", "25"),
    ("1864", "100"),
    ("1903e8", "1000"),
    ("1a000f4240", "1000000"),
    ("1b000000e8d4a51000", "1000000000000"),
    ("1bffffffffffffffff", "18446744073709551615"),
    ("3bffffffffffffffff", "-18446744073709551616"),
    ("c249010000000000000000", "2(h'010000000000000000')"),
    ("c349010000000000000000", "3(h'010000000000000000')"),
    ("20", "-1"),
    ("29", "-10"),
    ("3863", "-100"),
    ("3903e7", "-1000"),
    ("f90000", "0.0"),
    ("f98000", "-0.0"),
    ("f93c00", "1.0"),
    ("fb3ff199999999999a", "1.1"),
    ("f93e00", "1.5"),
    ("f97bff", "65504.0"),
    ("fa47c35000", "100000.0"),
    ("fa7f7fffff", "3.4028234663852886e38"),
    ("fb7e37e43c8800759c", "1e300"),
    ("f90001", "5.960464477539063e-8"),
    ("f90400", "6.103515625e-5"),
    ("f9c400", "-4.0"),
    ("fbc010666666666666", "-4.1"),
    ("f97c00", "Infinity"),
    ("f97e00", "NaN"),
    ("f9fc00", "-Infinity"),
    ("f4", "false"),
    ("f5", "true"),
    ("f6", "null"),
    ("c074323031332d30332d32315432303a30343a30305a", "0(\"2013-03-21T20:04:00Z\")"),
    ("c11a514b67b0", "1(1363896240)"),
    ("c1fb41d452d9ec200000", "1(1363896240.5)"),
    ("d74401020304", "23(h'01020304')"),
    ("d818456449455446", "24(h'6449455446')"),
    ("d82076687474703a2f2f7777772e6578616d706c652e636f6d", "32(\"http://www.example.com\")"),
    ("40", "h''"),
    ("4401020304", "h'01020304'"),
    ("60", "\"\""),
    ("6161", "\"a\""),
    ("6449455446", "\"IETF\""),
    ("62225c", "\"\\\"\\\\\""),
    ("62c3bc", "\"ü\""),
    ("63e6b0b4", "\"水\""),
    ("64f0908591", "\"𐅑\""),
    ("80", "[]"),
    ("83010203", "[1, 2, 3]"),
    ("8301820203820405", "[1, [2, 3], [4, 5]]"),
    (
        "98190102030405060708090a0b0c0d0e0f101112131415161718181819",
        "[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25]",
    ),
    ("a0", "{}"),
    ("a201020304", "{1: 2, 3: 4}"),
    ("a26161016162820203", "{\"a\": 1, \"b\": [2, 3]}"),
    ("826161a161626163", "[\"a\", {\"b\": \"c\"}]"),
    (
        "a56161614161626142616361436164614461656145",
        "{\"a\": \"A\", \"b\": \"B\", \"c\": \"C\", \"d\": \"D\", \"e\": \"E\"}",
    ),
];

#[test]
fn the_vectors_of_rfc_8949_read_print_and_write_as_given() {
    for (hex, notation) in VECTORS {
        let bytes = from_hex(hex);
        let value = Value::decode(&bytes).unwrap_or_else(|error| panic!("{hex}: {error}"));
        assert_eq!(value.to_string(), *notation, "{hex}");
        assert_eq!(encoded(&value), bytes, "{notation}");
    }
}

#[test]
fn control_characters_never_reach_a_terminal_as_they_are() {
    assert_eq!(Value::from("a\n\u{1b}\u{9b}\0").to_string(), r#""a\n\u001b\u009b\u0000""#);
}

#[test]
fn every_nan_is_stored_as_the_same_three_bytes() {
    for bits in [0x7ff8_0000_0000_0000, 0xfff8_0000_0000_0000, 0x7ff0_0000_0000_0001, 0x7fff_ffff_ffff_ffff_u64] {
        assert_eq!(encoded(&Value::Float(f64::from_bits(bits))), [0xf9, 0x7e, 0x00]);
    }
    for other in ["f97e01", "f9fe00", "f97c01", "fa7fc00000", "fb7ff8000000000000"] {
        assert!(Value::decode(&from_hex(other)).is_err(), "{other}");
    }
}

fn hash(value: &Value) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

proptest! {
    #![proptest_config(seeded(2000))]

    #[test]
    fn encoding_agrees_with_ciborium_byte_for_byte(value in any_value()) {
        let mut theirs = Vec::new();
        ciborium::into_writer(&value, &mut theirs).expect("a vector takes everything");
        prop_assert_eq!(encoded(&value), theirs);
    }

    #[test]
    fn what_is_encoded_decodes_to_the_same_value(value in any_value()) {
        prop_assert_eq!(round_trip(&value).expect("its own encoding"), value.clone());
        let bytes = encoded(&value);
        let borrowed = ValueRef::decode(&bytes).expect("its own encoding");
        prop_assert_eq!(borrowed.type_name(), value.type_name());
        prop_assert_eq!(borrowed.to_value().expect("checked before"), value);
    }

    #[test]
    fn equal_values_are_exactly_those_with_equal_bytes(a in any_value(), b in any_value()) {
        prop_assert_eq!(a == b, encoded(&a) == encoded(&b));
        prop_assert_eq!(a.cmp(&b), b.cmp(&a).reverse());
        prop_assert_eq!(a == b, hash(&a) == hash(&b), "64 bits and a fixed seed: no accident");
    }

    #[test]
    fn floats_take_the_shortest_form_that_keeps_them(bits in any::<u64>()) {
        let float = f64::from_bits(bits);
        prop_assume!(!float.is_nan());
        let mut ours = Vec::new();
        cbor::write_float(&mut ours, float);
        let mut theirs = Vec::new();
        ciborium::into_writer(&float, &mut theirs).expect("a vector takes everything");
        prop_assert_eq!(&ours, &theirs);
        let Value::Float(back) = Value::decode(&ours).expect("its own encoding") else { panic!("not a float") };
        prop_assert_eq!(back.to_bits(), bits);
    }
}

#[test]
fn every_half_float_reads_and_writes_as_itself() {
    for half in 0..=u16::MAX {
        let [high, low] = half.to_be_bytes();
        let is_other_nan = half & 0x7c00 == 0x7c00 && half & 0x03ff != 0 && half != 0x7e00;
        let bytes = [0xf9, high, low];
        match Value::decode(&bytes) {
            Ok(value) => assert_eq!(encoded(&value), bytes),
            Err(error) => assert!(is_other_nan, "{half:#06x}: {error}"),
        }
    }
}

#[test]
fn types_come_in_a_fixed_order() {
    let ascending = [
        Value::Null,
        Value::from(false),
        Value::from(true),
        Value::Integer(Integer::MIN),
        Value::from(-1),
        Value::from(0),
        Value::Integer(Integer::MAX),
        Value::from(f64::NEG_INFINITY),
        Value::from(-0.0),
        Value::from(0.0),
        Value::from(f64::NAN),
        Value::from(""),
        Value::from("b"),
        Value::from(vec![0_u8]),
        Value::List(vec![]),
        Value::List(vec![1.into()]),
        Value::Map(vec![]),
        Value::Tag(0, Box::new(Value::Null)),
        Value::Tag(1, Box::new(Value::Null)),
    ];
    for (at, value) in ascending.iter().enumerate() {
        for (other_at, other) in ascending.iter().enumerate() {
            assert_eq!(value.cmp(other), at.cmp(&other_at), "{value} and {other}");
        }
    }
}

#[test]
fn depth_is_limited_on_both_ways() {
    let deepest = nested(VALUE_DEPTH_MAX);
    assert_eq!(round_trip(&deepest), Ok(deepest.clone()));
    let mut out = vec![7];
    let too_deep = Error::Limit { what: "value depth", size: 129, limit: 128 };
    assert_eq!(Value::List(vec![deepest.clone()]).encode(&mut out), Err(too_deep.clone()));
    assert_eq!(Value::Tag(1, Box::new(deepest)).encode(&mut out), Err(too_deep.clone()));
    assert_eq!(out, [7], "nothing is left of a value that failed");

    for level in [0x81, 0xc1] {
        let mut bytes = vec![level; VALUE_DEPTH_MAX];
        bytes.push(0x00);
        assert!(Value::decode(&bytes).is_ok());
        bytes.insert(0, level);
        assert_eq!(Value::decode(&bytes), Err(too_deep.clone()));
        assert_eq!(ValueRef::decode(&bytes), Err(too_deep.clone()));
    }
}

#[test]
fn size_is_limited_to_the_byte() {
    let mut out = Vec::new();
    let largest = vec![b'x'; VALUE_BYTES_MAX - 5];
    cbor::write_bytes(&mut out, &largest).expect("fits");
    assert_eq!(out.len(), VALUE_BYTES_MAX);
    assert!(ValueRef::decode(&out).is_ok());

    let one_more = vec![b'x'; VALUE_BYTES_MAX - 4];
    let size = u64::try_from(VALUE_BYTES_MAX + 1).expect("small");
    let too_large = Error::Limit { what: "encoded value bytes", size, limit: size - 1 };
    out.clear();
    assert_eq!(cbor::write_bytes(&mut out, &one_more), Err(too_large.clone()));
    let list = Value::List(vec![Value::Bytes(largest)]);
    assert_eq!(list.encode(&mut out), Err(too_large.clone()));
    assert!(out.is_empty());
    assert_eq!(Value::decode(&vec![0; VALUE_BYTES_MAX + 1]), Err(too_large));
}

#[test]
fn integers_keep_their_ends() {
    assert_eq!(Integer::MIN.as_i128(), -(1 << 64));
    assert_eq!(Integer::try_from(-(1_i128 << 64)), Ok(Integer::MIN));
    assert!(Integer::try_from(-(1_i128 << 64) - 1).is_err());
    assert!(Integer::try_from(1_i128 << 64).is_err());
    assert!(Integer::try_from(1_u128 << 64).is_err());
    for value in [i64::MIN, -1, 0, 1, i64::MAX] {
        assert_eq!(Integer::from(value).as_i64(), Some(value));
        assert_eq!(Integer::from(value).as_i128(), i128::from(value));
        assert_eq!(Integer::try_from(i128::from(value)), Ok(Integer::from(value)), "one representation each");
    }
    assert_eq!(Integer::try_from(-(1_i128 << 63) - 1).expect("fits").as_i64(), None);
    let error = u8::try_from(Integer::from(300)).unwrap_err();
    assert_eq!(error.to_string(), "invalid integer: 300 is not a whole number from 0 to 255");
}
