//! Bytes that nobody of ours wrote.

use std::{
    collections::BTreeMap,
    string::{String, ToString},
    vec::Vec,
};

use proptest::prelude::*;

use super::{any_value, encoded, from_hex, seeded};
use crate::{
    Error,
    value::{Decode, Serde, Value, ValueRef, cbor},
};

#[test]
fn whatever_is_not_in_its_only_form_is_refused_with_its_offset() {
    for (hex, why) in [
        ("", "the value is cut off: 1 bytes needed, 0 left, at offset 0"),
        ("19", "the value is cut off: 2 bytes needed, 0 left, at offset 1"),
        ("620a", "the value is cut off: 2 bytes needed, 1 left, at offset 1"),
        ("0000", "1 bytes behind the end of the value at offset 1"),
        ("1817", "23 in a longer form than it needs at offset 0"),
        ("1900ff", "255 in a longer form than it needs at offset 0"),
        ("1a0000ffff", "65535 in a longer form than it needs at offset 0"),
        ("1b00000000ffffffff", "4294967295 in a longer form than it needs at offset 0"),
        ("813817", "23 in a longer form than it needs at offset 1"),
        ("5800", "0 in a longer form than it needs at offset 0"),
        ("1c", "a reserved kind of head at offset 0"),
        ("5f4100ff", "an item of indefinite length, or a break, at offset 0"),
        ("9fff", "an item of indefinite length, or a break, at offset 0"),
        ("ff", "a break without a beginning at offset 0"),
        ("f7", "undefined, which is no value, at offset 0"),
        ("f0", "an unknown simple value at offset 0"),
        ("f818", "an unknown simple value at offset 0"),
        ("fc", "an unknown simple value at offset 0"),
        ("fa3fc00000", "1.5 in another form than the shortest at offset 0"),
        ("fb3ff8000000000000", "1.5 in another form than the shortest at offset 0"),
        ("8161ff", "text that is not UTF-8 at offset 2"),
        ("9bffffffffffffffff", "a count of 18446744073709551615 with only 0 bytes left at offset 0"),
        ("a2000000", "a count of 2 with only 3 bytes left at offset 0"),
        ("5bffffffffffffffff", "the value is cut off: 18446744073709551615 bytes needed, 0 left, at offset 9"),
    ] {
        let bytes = from_hex(hex);
        let expected = Error::Invalid { what: "CBOR value", why: why.to_string() };
        assert_eq!(Value::decode(&bytes), Err(expected.clone()), "{hex}");
        assert_eq!(ValueRef::decode(&bytes), Err(expected.clone()), "{hex}");
        assert_eq!(cbor::check(&bytes), Err(expected), "{hex}");
        assert!(Serde::<serde_json::Value>::decode(&bytes).is_err(), "{hex}");
    }
}

#[test]
fn counts_that_lie_on_every_level_do_not_make_room() {
    // Each level claims as many items as there are bytes behind it; only the innermost would have them.
    let mut bytes = Vec::new();
    let filler = 1 << 20;
    for level in 0..100 {
        cbor::write_length(&mut bytes, cbor::major::LIST, filler + (99 - level) * 5);
    }
    bytes.resize(bytes.len() + filler, 0x00);
    assert!(Value::decode(&bytes).is_err());
    assert!(Serde::<serde_json::Value>::decode(&bytes).is_err());
}

proptest! {
    #![proptest_config(seeded(4000))]

    #[test]
    fn random_bytes_never_panic_and_what_is_accepted_is_written_the_same(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        every_decoder_agrees(&bytes)?;
    }

    #[test]
    fn bytes_with_one_wrong_never_panic_and_what_is_accepted_is_written_the_same(
        value in any_value(), at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<Option<prop::sample::Index>>(),
    ) {
        let mut bytes = encoded(&value);
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        every_decoder_agrees(&bytes)?;
    }
}

fn every_decoder_agrees(bytes: &[u8]) -> Result<(), TestCaseError> {
    let decoded = Value::decode(bytes);
    prop_assert_eq!(decoded.is_ok(), cbor::check(bytes).is_ok());
    prop_assert_eq!(decoded.is_ok(), ValueRef::decode(bytes).is_ok());
    prop_assert_eq!(decoded.is_ok(), Serde::<Value>::decode(bytes).is_ok());
    if let Ok(value) = decoded {
        prop_assert_eq!(encoded(&value), bytes);
        prop_assert_eq!(Serde::<Value>::decode(bytes).map(|read| read.0), Ok(value));
    }
    // Whether these accept the bytes depends on the type; that they return is enough.
    let _ = Serde::<serde_json::Value>::decode(bytes);
    let _ = Serde::<BTreeMap<u64, Vec<f32>>>::decode(bytes);
    let _ = serde_json::Value::decode(bytes);
    let _ = <(u8, String)>::decode_serde(bytes);
    let _ = Option::<[u8; 4]>::decode(bytes);
    let _ = ruint::aliases::U256::decode(bytes);
    let _ = crate::value::Delta::decode(bytes);
    Ok(())
}

trait DecodeSerde: serde::de::DeserializeOwned {
    fn decode_serde(bytes: &[u8]) -> crate::Result<Self> {
        Serde::<Self>::decode(bytes).map(|read| read.0)
    }
}

impl<T: serde::de::DeserializeOwned> DecodeSerde for T {}
