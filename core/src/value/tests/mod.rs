//! Tests of the values, by part.

use std::{boxed::Box, string::String, vec, vec::Vec};

use proptest::{prelude::*, test_runner::RngSeed};

use super::{Integer, Value};
use crate::Result;

mod codec;
mod convert;
mod counter;
mod fields;
mod hostile;
mod number;
mod serde_types;
mod typed;

/// The same cases on every machine and every day.
pub(crate) fn seeded(cases: u32) -> ProptestConfig {
    ProptestConfig {
        // Under Miri, which is a hundred times slower, a few.
        cases: if cfg!(miri) { cases.min(4) } else { cases },
        rng_seed: RngSeed::Fixed(0x666f_6c64_6462),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

fn encoded(value: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    value.encode(&mut bytes).expect("within the limits");
    bytes
}

fn from_hex(text: &str) -> Vec<u8> {
    assert!(text.len().is_multiple_of(2));
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).expect("hexadecimal")).collect()
}

/// Lists in lists, `levels` deep.
fn nested(levels: usize) -> Value {
    (0..levels).fold(Value::Null, |inner, _| Value::List(vec![inner]))
}

fn any_integer() -> impl Strategy<Value = Integer> {
    prop_oneof![
        any::<u64>().prop_map(Integer::from),
        any::<i64>().prop_map(Integer::from),
        any::<u64>().prop_map(|distance| Integer::from_head(true, distance)),
        // Around the widths of heads.
        (prop::sample::select(vec![24_u64, 256, 65_536, 1 << 32, u64::MAX]), -2_i64..=2, any::<bool>())
            .prop_map(|(edge, off, negative)| Integer::from_head(negative, edge.saturating_add_signed(off))),
    ]
}

/// Any float, NaN only as it is stored: the others become it.
fn any_float() -> impl Strategy<Value = f64> {
    prop_oneof![any::<f64>(), any::<f32>().prop_map(f64::from), (-3000_i32..3000).prop_map(|n| f64::from(n) / 8.0)]
        .prop_map(|float| if float.is_nan() { f64::NAN } else { float })
}

fn any_scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any_integer().prop_map(Value::Integer),
        any_float().prop_map(Value::Float),
        any::<String>().prop_map(Value::Text),
        prop::collection::vec(any::<u8>(), 0..300).prop_map(Value::Bytes),
    ]
}

pub(super) fn any_value() -> impl Strategy<Value = Value> {
    any_scalar().prop_recursive(6, 64, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Value::List),
            prop::collection::vec((inner.clone(), inner.clone()), 0..6).prop_map(Value::Map),
            (any::<u64>(), inner).prop_map(|(tag, value)| Value::Tag(tag, Box::new(value))),
        ]
    })
}

fn round_trip(value: &Value) -> Result<Value> {
    Value::decode(&encoded(value))
}
