//! Counters.

use std::{string::ToString, vec, vec::Vec};

use proptest::prelude::*;
use ruint::aliases::U256;

use super::{encoded, seeded};
use crate::{
    Error,
    value::{CounterKind, Delta, Value, apply_delta},
};

fn add(existing: Option<Value>, delta: Delta) -> Result<Value, Error> {
    let existing = existing.map(|value| encoded(&value));
    Value::decode(&apply_delta(b"k", existing.as_deref(), &delta)?)
}

#[test]
fn an_absent_counter_starts_at_zero_and_has_the_type_of_the_delta() {
    assert_eq!(add(None, Delta::I64(-3)), Ok(Value::from(-3)));
    assert_eq!(add(None, Delta::U64(3)), Ok(Value::from(3)));
    assert_eq!(add(None, Delta::F64(0.5)), Ok(Value::from(0.5)));
    assert_eq!(add(None, Delta::U256(U256::from(3))), Ok(Value::from(U256::from(3))));
    assert_eq!(add(None, Delta::U256(U256::ZERO)), Ok(Value::from(U256::ZERO)));
}

#[test]
fn a_sum_outside_the_range_is_an_overflow_and_the_last_one_inside_is_not() {
    let overflow = |kind| Err(Error::CounterOverflow { key: "k".into(), kind });
    assert_eq!(add(Some(i64::MAX.into()), Delta::I64(0)), Ok(i64::MAX.into()));
    assert_eq!(add(Some(i64::MAX.into()), Delta::I64(1)), overflow("i64"));
    assert_eq!(add(Some(i64::MIN.into()), Delta::I64(-1)), overflow("i64"));
    assert_eq!(add(Some(i64::MIN.into()), Delta::I64(i64::MAX)), Ok((-1).into()));
    assert_eq!(add(Some(u64::MAX.into()), Delta::U64(1)), overflow("u64"));
    assert_eq!(add(Some((u64::MAX - 1).into()), Delta::U64(1)), Ok(u64::MAX.into()));
    assert_eq!(add(Some(U256::MAX.into()), Delta::U256(U256::from(1))), overflow("u256"));
    assert_eq!(add(Some((U256::MAX - U256::from(1)).into()), Delta::U256(U256::from(1))), Ok(U256::MAX.into()));
    assert_eq!(add(Some(f64::MAX.into()), Delta::F64(f64::MAX)), Ok(f64::INFINITY.into()));
}

#[test]
fn another_type_is_an_error_that_names_both() {
    let wrong = |expected, found| Err(Error::Type { what: "k".into(), expected, found });
    assert_eq!(add(Some("1".into()), Delta::I64(1)), wrong("i64", "text"));
    assert_eq!(add(Some(1.0.into()), Delta::I64(1)), wrong("i64", "float"));
    assert_eq!(add(Some(u64::MAX.into()), Delta::I64(1)), wrong("i64", "an integer that is none"));
    assert_eq!(add(Some((-1).into()), Delta::U64(2)), wrong("u64", "an integer that is none"));
    assert_eq!(add(Some(1.into()), Delta::F64(1.0)), wrong("f64", "an integer that is none"));
    assert_eq!(add(Some(1.into()), Delta::U256(U256::from(1))), wrong("u256", "an integer that is none"));
    assert_eq!(add(Some(Value::from(U256::from(1))), Delta::U64(1)), wrong("u64", "tag"));
    assert_eq!(add(Some(Value::Null), Delta::I64(1)), wrong("i64", "null"));
    assert!(matches!(apply_delta(b"k", Some(&[0xff]), &Delta::I64(1)), Err(Error::Invalid { what: "CBOR value", .. })));
}

#[test]
fn a_sum_that_is_no_number_is_always_the_same_bytes() {
    let nan = |existing: f64, delta: f64| apply_delta(b"k", Some(&encoded(&existing.into())), &Delta::F64(delta));
    for (existing, delta) in [(f64::INFINITY, f64::NEG_INFINITY), (f64::NAN, 1.0), (1.0, -f64::NAN)] {
        assert_eq!(nan(existing, delta), Ok(vec![0xf9, 0x7e, 0x00]));
    }
}

#[test]
fn keys_that_are_no_text_are_named_in_hexadecimal() {
    let error = apply_delta(&[0, 255], Some(&[0x60]), &Delta::I64(1)).unwrap_err();
    assert_eq!(error.to_string(), "h'00ff': expected i64, found text");
}

#[test]
fn kinds_keep_their_numbers() {
    for (kind, number) in [(CounterKind::I64, 1), (CounterKind::U64, 2), (CounterKind::F64, 3), (CounterKind::U256, 4)]
    {
        assert_eq!(kind.number(), number);
        assert_eq!(CounterKind::from_number(number), Some(kind));
    }
    assert_eq!(CounterKind::from_number(5), None);
}

#[test]
fn a_body_of_the_wrong_kind_is_refused() {
    for body in
        [&[][..], &[1], &[0, 0], &[5, 0], &[1, 0, 0], &[1, 0xf9, 0, 0], &[2, 0x20], &[3, 0], &[4, 0], &[1, 0x18, 1]]
    {
        assert!(Delta::decode(body).is_err(), "{body:?}");
    }
}

fn any_delta() -> impl Strategy<Value = Delta> {
    prop_oneof![
        any::<i64>().prop_map(Delta::I64),
        any::<u64>().prop_map(Delta::U64),
        any::<f64>().prop_filter("NaN does not equal itself", |float| !float.is_nan()).prop_map(Delta::F64),
        any::<[u64; 4]>().prop_map(|limbs| Delta::U256(U256::from_limbs(limbs))),
    ]
}

proptest! {
    #![proptest_config(seeded(1000))]

    #[test]
    fn a_body_comes_back_as_it_was(delta in any_delta()) {
        let mut body = Vec::new();
        delta.encode(&mut body);
        prop_assert_eq!(body[0], delta.kind().number());
        prop_assert_eq!(Delta::decode(&body), Ok(delta));
    }

    #[test]
    fn additions_that_fit_commute(a in any::<i32>(), b in any::<i32>()) {
        let sum = |first, second| add(Some(add(None, Delta::I64(first))?), Delta::I64(second));
        prop_assert_eq!(sum(i64::from(a), i64::from(b)), sum(i64::from(b), i64::from(a)));
    }
}

#[test]
fn the_name_of_a_kind_is_what_it_displays() {
    assert_eq!(CounterKind::U256.to_string(), "u256");
}
