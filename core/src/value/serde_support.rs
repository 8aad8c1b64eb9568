//! serde: any `Serialize` type as a value, any value as a `Deserialize` type, and [`Value`] itself inside such types.

use alloc::{boxed::Box, format, string::String, vec::Vec};
use core::{any::type_name, fmt};

use ciborium::{de, ser};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{DeserializeOwned, MapAccess, SeqAccess, Visitor},
    ser::{SerializeMap as _, SerializeTupleVariant as _},
};

use super::{
    Decode, Encode, Integer, Value, cbor,
    deserialize_depth::Whole,
    serde_depth::{Limited, nested_too_deeply},
};
use crate::{
    Error, Result,
    limits::{VALUE_BYTES_MAX, VALUE_DEPTH_MAX},
};

/// Stores any serde type: structs are maps from field name to value, enums as serde's data model has them.
///
/// What is stored is the only encoding of the value, also where the type does not know its length beforehand (as with
/// `#[serde(flatten)]`). A `HashMap` gives its pairs in another order every time: use a `BTreeMap` where bytes are
/// compared. How strictly fields are read back is the type's own affair, as serde has it; tags that the type does not
/// know are passed over.
///
/// ```
/// # extern crate foldb_core as foldb;
/// use foldb::value::{Decode, Encode, Serde, Value};
///
/// #[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
/// struct Step { name: String, attempts: u32 }
///
/// let step = Step { name: "fetch".into(), attempts: 2 };
/// let mut bytes = Vec::new();
/// Serde(&step).encode(&mut bytes)?;
/// assert_eq!(Value::decode(&bytes)?.to_string(), r#"{"name": "fetch", "attempts": 2}"#);
/// assert_eq!(Serde::<Step>::decode(&bytes)?.0, step);
/// # Ok::<(), foldb_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Serde<T>(pub T);

impl<T: Serialize> Encode for Serde<T> {
    fn encode(&self, out: &mut Vec<u8>) -> Result<()> {
        let start = out.len();
        let result = write(&self.0, out, start);
        if result.is_err() {
            out.truncate(start);
        }
        result
    }
}

fn write<T: Serialize>(value: &T, out: &mut Vec<u8>, start: usize) -> Result<()> {
    let end = start.saturating_add(VALUE_BYTES_MAX);
    ciborium::into_writer(&Limited::new(value), Bounded { out, end }).map_err(|error| match error {
        ser::Error::Io(Full) => too_large(),
        ser::Error::Value(why) => nested_too_deeply(&why).unwrap_or_else(|| Error::Invalid {
            what: "value",
            why: format!("{} does not serialize: {why}", type_name::<T>()),
        }),
    })?;
    let written = out.get(start..).unwrap_or_default();
    match cbor::check(written) {
        // Lengths that were not known beforehand, or an unusual NaN: build the value and write that.
        Err(Error::Invalid { .. }) => {
            let value: Value = read(written)?;
            out.truncate(start);
            value.encode(out)
        }
        checked => checked,
    }
}

impl<T: DeserializeOwned> Decode for Serde<T> {
    /// A mismatch anywhere inside is [`Error::Invalid`] in serde's words: only there are the field and its type known. A type
    /// that goes into itself without end is [`Error::Limit`].
    fn decode(bytes: &[u8]) -> Result<Self> {
        // Before serde sees it: counts are honest and the depth is bounded from here on.
        cbor::check(bytes)?;
        read(bytes).map(Self)
    }
}

/// A [`Value`] takes two of ciborium's levels for each of its own.
const RECURSION_MAX: usize = 2 * VALUE_DEPTH_MAX + 16;

fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    let invalid = |why: String| Error::Invalid { what: "value", why: format!("not a {}: {why}", type_name::<T>()) };
    let mut rest = bytes;
    let read = de::from_reader_with_recursion_limit(&mut rest, RECURSION_MAX);
    let Whole(value) = read.map_err(|error| match error {
        de::Error::Io(_) => invalid(String::from("it ends too early")),
        de::Error::Syntax(offset) => invalid(format!("malformed at offset {offset}")),
        de::Error::Semantic(Some(offset), why) => invalid(format!("{why} at offset {offset}")),
        de::Error::Semantic(None, why) => nested_too_deeply(&why).unwrap_or_else(|| invalid(why)),
        de::Error::RecursionLimitExceeded => invalid(String::from("nested too deeply")),
    })?;
    if rest.is_empty() { Ok(value) } else { Err(invalid(format!("{} bytes too many", rest.len()))) }
}

/// Appends to a vector up to a length, so that a `Serialize` that never ends does.
struct Bounded<'a> {
    out: &'a mut Vec<u8>,
    end: usize,
}

#[derive(Debug)]
struct Full;

impl ciborium_io::Write for Bounded<'_> {
    type Error = Full;

    fn write_all(&mut self, data: &[u8]) -> Result<(), Full> {
        if data.len() > self.end.saturating_sub(self.out.len()) {
            return Err(Full);
        }
        self.out.extend_from_slice(data);
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Full> {
        Ok(())
    }
}

fn too_large() -> Error {
    match cbor::check_bytes(VALUE_BYTES_MAX + 1) {
        Err(error) => error,
        Ok(()) => Error::Invalid { what: "value", why: String::from("too large") },
    }
}

/// How ciborium marks a tag in serde's data model, which has none. These names are its documented interface.
const TAG_ENUM: &str = "@@TAG@@";
const TAGGED: &str = "@@TAGGED@@";

impl Serialize for Integer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match (self.as_u64(), self.as_i64()) {
            (Some(value), _) => serializer.serialize_u64(value),
            (None, Some(value)) => serializer.serialize_i64(value),
            (None, None) => serializer.serialize_i128(self.as_i128()),
        }
    }
}

impl<'de> Deserialize<'de> for Integer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match deserializer.deserialize_any(PlainVisitor)? {
            Value::Integer(value) => Ok(value),
            other => Err(serde::de::Error::custom(format_args!("expected integer, found {}", other.type_name()))),
        }
    }
}

/// Into a format without byte strings or tags they go as that format's serde support has it; for JSON use
/// `serde_json::Value::try_from` or [`Value::to_json_lossy`].
impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Value::Null => serializer.serialize_unit(),
            Value::Bool(value) => serializer.serialize_bool(*value),
            Value::Integer(value) => value.serialize(serializer),
            Value::Float(value) => serializer.serialize_f64(*value),
            Value::Text(text) => serializer.serialize_str(text),
            Value::Bytes(bytes) => serializer.serialize_bytes(bytes),
            Value::List(items) => serializer.collect_seq(items),
            Value::Map(pairs) => {
                let mut map = serializer.serialize_map(Some(pairs.len()))?;
                for (key, value) in pairs {
                    map.serialize_entry(key, value)?;
                }
                map.end()
            }
            Value::Tag(tag, value) => {
                let mut tagged = serializer.serialize_tuple_variant(TAG_ENUM, 0, TAGGED, 2)?;
                tagged.serialize_field(tag)?;
                tagged.serialize_field(value)?;
                tagged.end()
            }
        }
    }
}

/// From ciborium, and from self-describing formats for people, such as JSON. Of other binary formats nothing is
/// promised: tags need ciborium's way of showing them. serde_json's own parser rounds integers beyond 64 bits before this type
/// sees them, and shows floats as maps where its feature `arbitrary_precision` is on: read JSON text by
/// [`json::parse`](crate::json::parse), which does neither, and convert.
impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            return deserializer.deserialize_any(PlainVisitor);
        }
        // Asked for "any", ciborium turns small big numbers into integers: a 256-bit counter would lose its type.
        Ok(match MaybeTagged::deserialize(deserializer)? {
            MaybeTagged::Untagged(Plain(value)) => value,
            MaybeTagged::Tagged(tag, value) => Value::Tag(tag, value),
        })
    }
}

#[derive(Deserialize)]
#[serde(rename = "@@TAG@@")]
enum MaybeTagged {
    #[serde(rename = "@@UNTAGGED@@")]
    Untagged(Plain),
    #[serde(rename = "@@TAGGED@@")]
    Tagged(u64, Box<Value>),
}

/// A value that is known to carry no tag itself.
struct Plain(Value);

impl<'de> Deserialize<'de> for Plain {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PlainVisitor).map(Self)
    }
}

struct PlainVisitor;

macro_rules! visit {
    ($($visit:ident: $from:ty),+) => {$(
        fn $visit<E: serde::de::Error>(self, value: $from) -> Result<Value, E> {
            Ok(Value::from(value))
        }
    )+};
}

impl<'de> Visitor<'de> for PlainVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    visit!(visit_bool: bool, visit_i64: i64, visit_u64: u64, visit_f64: f64, visit_str: &str, visit_string: String);
    visit!(visit_bytes: &[u8], visit_byte_buf: Vec<u8>);

    fn visit_i128<E: serde::de::Error>(self, value: i128) -> Result<Value, E> {
        Integer::try_from(value).map(Value::Integer).map_err(E::custom)
    }

    fn visit_u128<E: serde::de::Error>(self, value: u128) -> Result<Value, E> {
        Integer::try_from(value).map(Value::Integer).map_err(E::custom)
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E: serde::de::Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        Value::deserialize(deserializer)
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        Value::deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element()? {
            items.push(item);
        }
        Ok(Value::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut pairs = Vec::new();
        while let Some(pair) = access.next_entry()? {
            pairs.push(pair);
        }
        Ok(Value::Map(pairs))
    }
}
