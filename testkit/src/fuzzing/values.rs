//! CBOR, as values, as Rust types, as documents and as counters.

use foldb_core::{
    json::{decode_document, encode_document},
    value::{Decode, Delta, Encode, Serde, Value, ValueRef, apply_delta},
};

/// One value, and what typed readers make of the same bytes.
pub(super) fn values(bytes: &[u8]) {
    let decoded = Value::decode(bytes);
    assert_eq!(ValueRef::decode(bytes).is_ok(), decoded.is_ok(), "both ways of reading agree");
    if let Ok(value) = &decoded {
        value_again(value, bytes);
        let by_serde = Serde::<Value>::decode(bytes).expect("what is a value is one for serde, too");
        assert_eq!(encoded(&by_serde.0), bytes, "serde reads the same value");
        let _ = Serde::<serde_json::Value>::decode(bytes);
    } else {
        assert!(Serde::<Value>::decode(bytes).is_err(), "serde reads nothing that is no value");
    }
    typed::<i64>(bytes);
    typed::<u8>(bytes);
    typed::<u128>(bytes);
    typed::<f64>(bytes);
    typed::<f32>(bytes);
    typed::<String>(bytes);
    typed::<Vec<u8>>(bytes);
    typed::<[u8; 4]>(bytes);
    typed::<Option<bool>>(bytes);
    typed::<()>(bytes);
    document(bytes);
    counter(bytes);
}

fn encoded(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    value.encode(&mut out).expect("what was decoded can be encoded");
    out
}

fn value_again(value: &Value, bytes: &[u8]) {
    assert_eq!(encoded(value), bytes, "a value has one encoding");
    assert_eq!(ValueRef::decode(bytes).and_then(|value| value.to_value()).as_ref().map(encoded), Ok(bytes.to_vec()));
    assert_eq!(value.cmp(value), core::cmp::Ordering::Equal);
    let (shown, json) = (value.to_string(), value.to_json_lossy());
    assert!(!shown.is_empty());
    // What JSON can say of a value is a document.
    let mut out = Vec::new();
    if encode_document(&json, &mut out).is_ok() {
        assert_eq!(decode_document(&out), Ok(json));
    }
}

/// What a type reads, it writes the same way.
fn typed<T: Decode + Encode>(bytes: &[u8]) {
    if let Ok(value) = T::decode(bytes) {
        let mut out = Vec::new();
        value.encode(&mut out).expect("what was decoded can be encoded");
        assert_eq!(out, bytes, "{} has one encoding", core::any::type_name::<T>());
    }
}

fn document(bytes: &[u8]) {
    let Ok(document) = decode_document(bytes) else { return };
    assert!(Value::decode(bytes).is_ok(), "a document is a value");
    let mut out = Vec::new();
    encode_document(&document, &mut out).expect("what was decoded can be encoded");
    assert_eq!(decode_document(&out), Ok(document), "a document survives being stored");
    assert_eq!(out.len(), bytes.len(), "only the order of keys may differ");
}

/// The first half as an addition, applied to the second half.
fn counter(bytes: &[u8]) {
    for at in [bytes.len(), bytes.len().min(2), bytes.len() / 2] {
        let (body, existing) = bytes.split_at(at);
        let Ok(delta) = Delta::decode(body) else { continue };
        let mut out = Vec::new();
        delta.encode(&mut out);
        assert_eq!(out, body, "an addition has one encoding");
        for existing in [None, Some(existing)] {
            if let Ok(sum) = apply_delta(b"key", existing, &delta) {
                assert!(Value::decode(&sum).is_ok(), "a sum is a value");
            }
        }
    }
}
