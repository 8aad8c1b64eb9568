//! Rust types in and out, without coercion.

use std::{
    borrow::Cow,
    string::{String, ToString},
    vec,
    vec::Vec,
};

use proptest::prelude::*;
use ruint::aliases::U256;

use super::{encoded, seeded};
use crate::{
    Error,
    limits::VALUE_BYTES_MAX,
    value::{Decode, Encode, Integer, Value},
};

fn bytes_of(value: &(impl Encode + ?Sized)) -> Vec<u8> {
    let mut bytes = Vec::new();
    value.encode(&mut bytes).expect("within the limits");
    bytes
}

fn by_ciborium(value: &(impl serde::Serialize + ?Sized)) -> Vec<u8> {
    let mut bytes = Vec::new();
    ciborium::into_writer(value, &mut bytes).expect("a vector takes everything");
    bytes
}

/// serde writes `&[u8]` as a list; this writes the byte string that it stands for.
struct ByteString<'a>(&'a [u8]);

impl serde::Serialize for ByteString<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

macro_rules! direct_path {
    ($($test:ident: $type:ty),+ $(,)?) => {
        proptest! {
            #![proptest_config(seeded(500))]
            $(
                #[test]
                fn $test(value in any::<$type>()) {
                    let bytes = bytes_of(&value);
                    prop_assert_eq!(&bytes, &by_ciborium(&value));
                    prop_assert_eq!(<$type>::decode(&bytes), Ok(value.clone()));
                    prop_assert_eq!(bytes, encoded(&Value::from(value)));
                }
            )+
        }
    };
}

direct_path! {
    u8_takes_the_direct_path_to_the_bytes_of_ciborium: u8,
    u16_takes_the_direct_path_to_the_bytes_of_ciborium: u16,
    u32_takes_the_direct_path_to_the_bytes_of_ciborium: u32,
    u64_takes_the_direct_path_to_the_bytes_of_ciborium: u64,
    i8_takes_the_direct_path_to_the_bytes_of_ciborium: i8,
    i16_takes_the_direct_path_to_the_bytes_of_ciborium: i16,
    i32_takes_the_direct_path_to_the_bytes_of_ciborium: i32,
    i64_takes_the_direct_path_to_the_bytes_of_ciborium: i64,
    bool_takes_the_direct_path_to_the_bytes_of_ciborium: bool,
    text_takes_the_direct_path_to_the_bytes_of_ciborium: String,
    options_take_the_direct_path_to_the_bytes_of_ciborium: Option<i32>,
}

proptest! {
    #![proptest_config(seeded(500))]

    #[test]
    fn bytes_take_the_direct_path_to_the_bytes_of_ciborium(value in prop::collection::vec(any::<u8>(), 0..70_000)) {
        let bytes = bytes_of(&value);
        prop_assert_eq!(&bytes, &by_ciborium(&ByteString(&value)));
        prop_assert_eq!(Vec::<u8>::decode(&bytes), Ok(value.clone()));
        prop_assert_eq!(bytes, bytes_of(value.as_slice()));
    }

    #[test]
    fn u256_takes_the_direct_path_to_the_bytes_of_its_value(limbs in any::<[u64; 4]>(), shift in 0_usize..=256) {
        let number = U256::from_limbs(limbs).checked_shr(shift).unwrap_or(U256::ZERO);
        let bytes = bytes_of(&number);
        prop_assert_eq!(U256::decode(&bytes), Ok(number));
        prop_assert_eq!(Value::decode(&bytes).expect("valid").as_u256(), Some(number));
        prop_assert_eq!(bytes, encoded(&Value::from(number)));
    }
}

#[test]
fn the_other_forms_of_text_and_bytes_are_the_same() {
    assert_eq!(bytes_of("abc"), bytes_of(&String::from("abc")));
    assert_eq!(bytes_of("abc"), bytes_of(&Cow::Borrowed("abc")));
    assert_eq!(bytes_of(&[1_u8, 2]), bytes_of(&vec![1_u8, 2]));
    assert_eq!(bytes_of(&&&"abc"), bytes_of("abc"));
    assert_eq!(<[u8; 2]>::decode(&bytes_of(&[1_u8, 2])), Ok([1, 2]));
    assert!(matches!(<[u8; 3]>::decode(&bytes_of(&[1_u8, 2])), Err(Error::Invalid { what: "byte string", .. })));
    assert_eq!(Integer::decode(&bytes_of(&Integer::MIN)), Ok(Integer::MIN));
    assert_eq!(<()>::decode(&bytes_of(&())), Ok(()));
}

#[test]
fn another_type_is_an_error_and_never_a_conversion() {
    fn refused<T: Decode + std::fmt::Debug>(value: impl Into<Value>) -> (&'static str, &'static str) {
        match T::decode(&encoded(&value.into())) {
            Err(Error::Type { expected, found, .. }) => (expected, found),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(refused::<u8>(1.0), ("integer", "float"));
    assert_eq!(refused::<i64>("1"), ("integer", "text"));
    assert_eq!(refused::<i64>(U256::from(1)), ("integer", "tag"));
    assert_eq!(refused::<f64>(1), ("float", "integer"));
    assert_eq!(refused::<f32>(1), ("float", "integer"));
    assert_eq!(refused::<bool>(1), ("bool", "integer"));
    assert_eq!(refused::<String>(vec![b'a']), ("text", "bytes"));
    assert_eq!(refused::<Vec<u8>>("a"), ("bytes", "text"));
    assert_eq!(refused::<Vec<u8>>(vec![Value::from(1)]), ("bytes", "list"));
    assert_eq!(refused::<U256>(1), ("256-bit integer", "integer"));
    assert_eq!(refused::<String>(Value::Null), ("text", "null"));
    assert_eq!(refused::<()>(false), ("null", "bool"));
    assert_eq!(refused::<Option<u8>>("a"), ("integer", "text"));
}

#[test]
fn an_integer_that_does_not_fit_is_named() {
    let why = |error: Error| error.to_string();
    assert_eq!(
        why(u8::decode(&bytes_of(&256)).unwrap_err()),
        "invalid integer: 256 is not a whole number from 0 to 255"
    );
    assert_eq!(
        why(u64::decode(&bytes_of(&-1)).unwrap_err()),
        "invalid integer: -1 is not a whole number from 0 to 18446744073709551615"
    );
    assert_eq!(
        why(i64::decode(&bytes_of(&u64::MAX)).unwrap_err()),
        "invalid integer: 18446744073709551615 is not a whole number from -9223372036854775808 to 9223372036854775807"
    );
    assert_eq!(
        why(f32::decode(&bytes_of(&1.1)).unwrap_err()),
        "invalid float: 1.1 is not a number that a 32-bit float keeps"
    );
    assert_eq!(f32::decode(&bytes_of(&1.5)), Ok(1.5));
    assert!(f32::decode(&bytes_of(&f64::NAN)).expect("NaN is one of f32").is_nan());
    let mut out = Vec::new();
    assert!((1_u128 << 64).encode(&mut out).is_err());
    assert!((-(1_i128 << 64) - 1).encode(&mut out).is_err());
    assert!(out.is_empty());
    assert_eq!(i128::decode(&bytes_of(&-(1_i128 << 64))), Ok(-(1 << 64)));
    assert_eq!(u128::decode(&bytes_of(&u64::MAX)), Ok(u128::from(u64::MAX)));
    assert_eq!(usize::decode(&bytes_of(&7_usize)), Ok(7));
}

#[test]
fn a_big_number_must_be_in_its_shortest_form() {
    assert_eq!(U256::decode(&[0xc2, 0x40]), Ok(U256::ZERO));
    assert!(U256::decode(&[0xc2, 0x41, 0x00]).is_err());
    assert_eq!(Value::decode(&[0xc2, 0x41, 0x00]).expect("a tag").as_u256(), None);
    let mut long = vec![0xc2, 0x58, 33];
    long.resize(3 + 33, 0x01);
    assert!(U256::decode(&long).is_err());
    assert!(U256::decode(&[0xc3, 0x41, 0x01]).is_err(), "a negative one");
    assert_eq!(bytes_of(&U256::MAX).len(), 2 + 1 + 32);
}

#[test]
fn text_over_the_limit_leaves_nothing_behind() {
    let mut out = vec![1, 2];
    let text = "x".repeat(VALUE_BYTES_MAX);
    assert!(matches!(text.encode(&mut out), Err(Error::Limit { .. })));
    assert_eq!(out, [1, 2]);
}
