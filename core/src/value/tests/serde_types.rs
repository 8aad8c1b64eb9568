//! Types of the user's own, through serde.

use std::{
    boxed::Box,
    collections::BTreeMap,
    format,
    string::{String, ToString},
    vec,
    vec::Vec,
};

use proptest::prelude::*;
use ruint::aliases::U256;
use serde::{Deserialize, Serialize};

use super::{any_value, encoded, nested, seeded};
use crate::{
    Error,
    limits::{VALUE_BYTES_MAX, VALUE_DEPTH_MAX},
    value::{Decode, Encode, Integer, Serde, Value},
};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Outcome {
    Nothing,
    Text(String),
    Pair(u8, i64),
    Full { code: u32, note: Option<String> },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Step {
    name: String,
    ratio: f32,
    outcomes: Vec<Outcome>,
    large: u128,
    payload: Value,
    #[serde(flatten)]
    labels: BTreeMap<String, u64>,
}

fn step() -> Step {
    Step {
        name: "fetch".into(),
        ratio: 0.25,
        outcomes: vec![
            Outcome::Nothing,
            Outcome::Text("a".repeat(5000)),
            Outcome::Pair(1, -2),
            Outcome::Full { code: 3, note: None },
        ],
        large: 1 << 100,
        payload: Value::Map(vec![(1.into(), Value::from(U256::from(5))), (Value::Null, Value::Bytes(vec![1]))]),
        labels: BTreeMap::from([("b".into(), 1), ("a".into(), 2)]),
    }
}

fn bytes_of<T: Serialize>(value: T) -> Vec<u8> {
    let mut bytes = Vec::new();
    Serde(value).encode(&mut bytes).expect("within the limits");
    bytes
}

#[test]
fn a_type_with_everything_comes_back_as_it_was() {
    let bytes = bytes_of(step());
    assert_eq!(Serde::<Step>::decode(&bytes), Ok(Serde(step())));
    // A flattened map has no length beforehand; what is stored is in its only form all the same.
    let value = Value::decode(&bytes).expect("in its only form");
    assert_eq!(encoded(&value), bytes);
    assert_eq!(value.get("payload").and_then(|payload| payload.as_map()).map(<[_]>::len), Some(2));
}

#[test]
fn options_units_and_characters_are_what_serde_makes_of_them() {
    assert_eq!(bytes_of(None::<u8>), [0xf6]);
    assert_eq!(bytes_of(()), [0xf6]);
    assert_eq!(bytes_of('ü'), [0x62, 0xc3, 0xbc]);
    assert_eq!(bytes_of((1, "a")), [0x82, 0x01, 0x61, b'a']);
    assert_eq!(Serde::<Vec<u16>>::decode(&bytes_of([1, 2, 3])), Ok(Serde(vec![1, 2, 3])));
}

proptest! {
    #![proptest_config(seeded(1000))]

    #[test]
    fn a_value_inside_a_type_keeps_its_tags_and_its_bytes(value in any_value()) {
        let bytes = bytes_of(&value);
        prop_assert_eq!(&bytes, &encoded(&value));
        prop_assert_eq!(Serde::<Value>::decode(&bytes), Ok(Serde(value.clone())));
        let list = bytes_of((1, &value));
        prop_assert_eq!(Serde::<(u8, Value)>::decode(&list), Ok(Serde((1, value))));
    }

    #[test]
    fn a_value_reads_what_json_writes(value in "[a-z]{0,8}", number in any::<i64>()) {
        let json = format!(r#"{{"a": ["{value}", {number}, 1.5, null, true]}}"#);
        let read: Value = serde_json::from_str(&json).expect("JSON");
        let plain: serde_json::Value = serde_json::from_str(&json).expect("JSON");
        prop_assert_eq!(Ok(read), Value::try_from(plain));
    }
}

#[test]
fn small_big_numbers_stay_big_numbers_inside_types() {
    for number in [U256::ZERO, U256::from(5), U256::MAX] {
        let bytes = bytes_of(vec![Value::from(number)]);
        let read = Serde::<Vec<Value>>::decode(&bytes).expect("its own encoding").0;
        assert_eq!(read[0].as_u256(), Some(number));
    }
    assert_eq!(Serde::<Integer>::decode(&bytes_of(Integer::MIN)), Ok(Serde(Integer::MIN)));
}

#[test]
fn an_unusual_nan_inside_a_type_becomes_the_stored_one() {
    assert_eq!(bytes_of([f64::from_bits(0xfff8_0000_0000_0001)]), [0x81, 0xf9, 0x7e, 0x00]);
}

#[test]
fn a_mismatch_says_which_type_and_why() {
    let error = Serde::<Vec<u8>>::decode(&[0x81, 0x61, b'a']).unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, Error::Invalid { .. }), "{text}");
    assert!(text.contains("Vec<u8>") && text.contains("expected integer"), "{text}");
    let text = Serde::<BTreeMap<String, u8>>::decode(&[0xa1, 0x61, b'a', 0x19, 0x01, 0x00]).unwrap_err().to_string();
    assert!(text.contains("256"), "{text}");
}

#[test]
fn depth_and_size_are_limited_for_types_too() {
    let deepest = nested(VALUE_DEPTH_MAX);
    assert_eq!(Serde::<Value>::decode(&bytes_of(&deepest)), Ok(Serde(deepest.clone())));
    let tagged = (0..VALUE_DEPTH_MAX).fold(Value::from(1), |inner, _| Value::Tag(2, Box::new(inner)));
    assert_eq!(Serde::<Value>::decode(&bytes_of(&tagged)), Ok(Serde(tagged)));

    let mut out = vec![9];
    assert!(matches!(Serde(vec![deepest]).encode(&mut out), Err(Error::Limit { what: "value depth", .. })));
    let endless = Serde(Endless);
    assert!(matches!(endless.encode(&mut out), Err(Error::Limit { what: "encoded value bytes", .. })));
    assert!(matches!(Serde("x".repeat(VALUE_BYTES_MAX)).encode(&mut out), Err(Error::Limit { .. })));
    assert_eq!(out, [9]);
}

/// Would fill all memory.
struct Endless;

impl Serialize for Endless {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(std::iter::repeat(u64::MAX))
    }
}

/// Says two items and gives one, or fails.
struct Lying(bool);

impl Serialize for Lying {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::{Error as _, SerializeSeq};
        if self.0 {
            return Err(S::Error::custom("not today"));
        }
        let mut seq = serializer.serialize_seq(Some(2))?;
        seq.serialize_element(&1)?;
        seq.end()
    }
}

#[test]
fn a_type_that_serializes_wrongly_is_refused_and_leaves_nothing_behind() {
    let mut out = vec![9];
    assert!(matches!(Serde(Lying(false)).encode(&mut out), Err(Error::Invalid { .. })));
    let error = Serde(Lying(true)).encode(&mut out).unwrap_err();
    assert!(error.to_string().contains("not today"), "{error}");
    assert_eq!(out, [9]);
}

/// A list whose end is as far away as somebody likes, in a type that writes nothing for half of its levels.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Node {
    next: Option<Box<Node>>,
}

impl Node {
    fn chain(length: usize) -> Self {
        (1..length).fold(Node { next: None }, |next, _| Node { next: Some(Box::new(next)) })
    }
}

/// Frees a chain from its beginning: its own destructor would be the next overflow.
fn dismantle(mut node: Node) {
    while let Some(next) = node.next.take() {
        node = *next;
    }
}

/// A type that leads back to itself.
struct Circle;

impl Serialize for Circle {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_newtype_struct("Circle", self)
    }
}

/// A user kept a log as a linked list. With enough of it, the process ended in an overflow of the stack.
#[test]
fn a_type_that_is_nested_without_end_is_an_error_and_leaves_no_bytes() {
    let long = Node::chain(100_000);
    let mut out = vec![7];
    let error = Serde(&long).encode(&mut out).unwrap_err();
    assert!(matches!(error, Error::Limit { what: "the nesting of a serialized type", .. }), "{error}");
    assert!(matches!(Serde(Circle).encode(&mut out), Err(Error::Limit { .. })));
    assert_eq!(out, [7]);
    let db = crate::Db::memory();
    assert_eq!(db.json().set_as("key", &long).unwrap_err().kind(), crate::ErrorKind::Limit);
    assert_eq!(db.json().set_as("key", &Circle).unwrap_err().kind(), crate::ErrorKind::Limit);
    dismantle(long);
    // Every depth that a value may have can be reached, with two levels of the type for each.
    Serde(&Node::chain(VALUE_DEPTH_MAX)).encode(&mut out).unwrap();
    let error = Serde(&Node::chain(VALUE_DEPTH_MAX + 1)).encode(&mut out).unwrap_err();
    assert!(matches!(error, Error::Limit { what: "value depth", .. }), "{error}");
}

/// A newtype around an option of itself: any value but null is one, without end.
#[derive(Debug, PartialEq, Deserialize)]
struct Endlessly(Option<Box<Endlessly>>);

/// A newtype around itself.
#[derive(Debug, PartialEq, Deserialize)]
struct Bottomless(Box<Bottomless>);

/// Types that went into themselves without reading a byte overflowed the stack, whatever the bytes were, and with it went the
/// process.
#[test]
fn a_type_that_goes_into_itself_without_reading_is_an_error() {
    let five = bytes_of(Value::from(5));
    let limit = |error: &Error| matches!(error, Error::Limit { what: "the nesting of a deserialized type", .. });
    assert!(limit(&Serde::<Endlessly>::decode(&five).unwrap_err()));
    assert_eq!(Serde::<Endlessly>::decode(&bytes_of(&Value::Null)), Ok(Serde(Endlessly(None))));
    assert!(limit(&Serde::<Bottomless>::decode(&five).unwrap_err()));
    // Inside of what does read: in a list, a map, an option and an enum.
    let within = bytes_of(Value::List(vec![Value::List(vec![Value::from(5)])]));
    assert!(limit(&Serde::<Vec<Vec<Endlessly>>>::decode(&within).unwrap_err()));
    let within = bytes_of(BTreeMap::from([("key", Some(5))]));
    assert!(limit(&Serde::<BTreeMap<String, Option<Bottomless>>>::decode(&within).unwrap_err()));
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    enum Around<T> {
        One(T),
        Two(u8, T),
        Named { inner: T },
    }
    for around in [Around::One(5), Around::Two(1, 5), Around::Named { inner: 5 }] {
        let within = bytes_of(around);
        let error = Serde::<Around<Endlessly>>::decode(&within).unwrap_err();
        assert!(limit(&error), "{error}");
        assert!(Serde::<Around<u8>>::decode(&within).is_ok());
    }
    let db = crate::Db::memory();
    db.json().set("key", &serde_json::json!([5])).unwrap();
    assert!(limit(&db.json().get_as::<Vec<Endlessly>>("key").unwrap_err()));
    // As deep as values may be, a type can be read.
    for depth in [1, VALUE_DEPTH_MAX] {
        let chain = Node::chain(depth);
        assert_eq!(Serde::<Node>::decode(&bytes_of(&chain)), Ok(Serde(chain)), "{depth}");
    }
}
