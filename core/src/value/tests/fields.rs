//! Records with their own codec are what serde made of the same types, byte for byte: stores have both.

use alloc::{
    collections::BTreeMap,
    string::{String, ToString},
    vec::Vec,
};

use proptest::{collection, option, prelude::*};
use serde::{Deserialize, Serialize};

use super::{any_value, seeded};
use crate::{
    ErrorKind,
    state::{RunAnnotated, RunBegun, decode_body, encode_body},
    value::{Decode, Encode, Serde, Value},
};

/// [`RunBegun`] as it was stored through serde.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Begun {
    name: String,
    parent: Option<[u8; 16]>,
    labels: BTreeMap<String, String>,
    metadata: Value,
    epoch: u64,
}

/// [`RunAnnotated`] likewise.
#[derive(Serialize)]
struct Annotated {
    labels: BTreeMap<String, Option<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<Value>,
}

fn through_serde<T: Serialize>(body: &T) -> Vec<u8> {
    let mut bytes = Vec::new();
    Serde(body).encode(&mut bytes).unwrap();
    bytes
}

proptest! {
    #![proptest_config(seeded(300))]

    #[test]
    fn the_beginning_of_a_run_is_what_serde_made_of_it(
        name: String,
        parent: Option<[u8; 16]>,
        labels in collection::btree_map(any::<String>(), any::<String>(), 0..4),
        metadata in any_value(),
        epoch: u64,
    ) {
        let begun = RunBegun { name: name.clone(), parent, labels: labels.clone(), metadata: metadata.clone(), epoch };
        let bytes = encode_body(&begun).unwrap();
        prop_assert_eq!(&bytes, &through_serde(&Begun { name, parent, labels, metadata, epoch }));
        let read: RunBegun = decode_body("run", &bytes).unwrap();
        prop_assert_eq!(encode_body(&read).unwrap(), bytes.clone());
        // Cut off anywhere, it is an error and no panic.
        for end in 0..bytes.len() {
            prop_assert!(decode_body::<RunBegun>("run", &bytes[..end]).is_err());
        }
    }

    #[test]
    fn what_changes_of_a_run_is_what_serde_made_of_it(
        labels in collection::btree_map(any::<String>(), option::of(any::<String>()), 0..4),
        metadata in option::of(any_value()),
    ) {
        let change = RunAnnotated { labels: labels.clone().into_iter().collect(), metadata: metadata.clone() };
        let bytes = encode_body(&change).unwrap();
        prop_assert_eq!(&bytes, &through_serde(&Annotated { labels, metadata }));
        let read: RunAnnotated = decode_body("run annotation", &bytes).unwrap();
        prop_assert_eq!(encode_body(&read).unwrap(), bytes);
    }
}

fn record(pairs: &[(&str, Value)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let pairs = pairs.iter().map(|(name, value)| (Value::from(*name), value.clone())).collect();
    Value::Map(pairs).encode(&mut bytes).unwrap();
    bytes
}

/// A later version may add fields, and no writer promises an order.
#[test]
fn fields_come_in_any_order_and_unknown_ones_are_passed_over() {
    let empty = || Value::Map(Vec::new());
    let bytes = record(&[
        ("epoch", 3.into()),
        ("later", Value::List(Vec::from([empty(), 1.into()]))),
        ("metadata", Value::Null),
        ("labels", empty()),
        ("name", "a".into()),
    ]);
    let read: RunBegun = decode_body("run", &bytes).unwrap();
    assert_eq!((read.name.as_str(), read.parent, read.epoch), ("a", None, 3));
    let Serde(old) = Serde::<Begun>::decode(&bytes).unwrap();
    assert_eq!((old.name, old.parent, old.metadata), (read.name, read.parent, read.metadata));
}

#[test]
fn a_record_with_a_field_missing_twice_or_of_another_type_is_refused_with_its_name() {
    let empty = Value::Map(Vec::new());
    let whole = [("name", "a".into()), ("labels", empty), ("metadata", Value::Null), ("epoch", 3.into())];
    assert!(decode_body::<RunBegun>("run", &record(&whole)).is_ok());
    for missing in 0..whole.len() {
        let mut fields = whole.to_vec();
        let (name, _) = fields.remove(missing);
        let error = decode_body::<RunBegun>("run", &record(&fields)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(alloc::format!("{error}").contains(name), "{error}");
    }
    let twice = [&whole[..], &[("epoch", 4.into())]].concat();
    assert!(decode_body::<RunBegun>("run", &record(&twice)).unwrap_err().to_string().contains("epoch is there twice"));
    for (name, value) in [("epoch", Value::from("3")), ("epoch", (-1).into()), ("parent", Value::Bytes([7; 16].into()))]
    {
        let mut fields: Vec<_> = whole.iter().filter(|(other, _)| *other != name).cloned().collect();
        fields.push((name, value));
        assert!(decode_body::<RunBegun>("run", &record(&fields)).is_err(), "{name}");
    }
    assert!(decode_body::<RunBegun>("run", &[record(&whole), [0].into()].concat()).is_err(), "bytes behind it");
}
