//! Values: what a pair, an event payload, a cell or a trace entry holds, in the CBOR data model (RFC 8949).
//!
//! Invariant: **one value, one encoding.** Integers and lengths take the shortest form, lengths are definite, floats
//! take the shortest form that keeps them, NaN has one form. Decoding accepts nothing else, so two encodings are equal
//! exactly if the values are, on every machine: comparing, hashing and compare-and-swap work on bytes. Two things are
//! kept as given: the order of a map's pairs, and duplicate keys (only the conversion to JSON refuses those).
//!
//! Nothing is coerced in silence. An integer that does not fit the type asked for is an error that names the value; a
//! float is never an integer; text is never bytes.
//!
//! Hostile bytes cannot panic, recurse past [`VALUE_DEPTH_MAX`](crate::limits::VALUE_DEPTH_MAX), or make a decoder
//! allocate more than a fixed multiple (about 64) of the bytes that are there.

use alloc::{boxed::Box, string::String, vec::Vec};

pub(crate) mod cbor;
mod codec;
mod convert;
mod counter;
mod deserialize_depth;
mod encoded;
pub(crate) mod fields;
mod integer;
mod json;
mod notation;
mod number;
mod order;
mod serde_depth;
mod serde_support;
mod typed;

#[cfg(test)]
pub(crate) mod tests;

pub use codec::ValueRef;
pub use counter::{CounterKind, Delta, apply_delta};
pub(crate) use deserialize_depth::Whole;
pub use encoded::Encoded;
pub use integer::Integer;
pub(crate) use json::integer_to_number;
pub(crate) use number::{Exact, exact, read_literal, refused_number};
pub(crate) use serde_depth::{Limited, nested_too_deeply};
pub use serde_support::Serde;
pub use typed::{Decode, Encode};

/// The tag of an unsigned big number (RFC 8949, section 3.4.3): how 256-bit counters are stored.
pub const BIGNUM_TAG: u64 = 2;

/// Any value that the store can hold.
///
/// Two floats are equal if their bits are: NaN equals itself, and `0.0` does not equal `-0.0`. Values are totally
/// ordered, first by type in the order of the variants, then by content.
///
/// ```
/// # extern crate foldb_core as foldb;
/// use foldb::value::Value;
///
/// let value = Value::Map(vec![("step".into(), 17.into()), ("input".into(), Value::Bytes(vec![1, 2]))]);
/// let mut bytes = Vec::new();
/// value.encode(&mut bytes)?;
/// assert_eq!(Value::decode(&bytes)?, value);
/// assert_eq!(value.to_string(), r#"{"step": 17, "input": h'0102'}"#);
/// # Ok::<(), foldb_core::Error>(())
/// ```
#[derive(Clone, Default)]
pub enum Value {
    /// Nothing; also what `None` is stored as.
    #[default]
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// An integer between -2^64 and 2^64 - 1.
    Integer(Integer),
    /// A 64-bit float. All NaNs are stored as one.
    Float(f64),
    /// UTF-8 text.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
    /// Values in order.
    List(Vec<Value>),
    /// Pairs of key and value, in the order in which they were given.
    Map(Vec<(Value, Value)>),
    /// A value with a tag number that says what it means (RFC 8949, section 3.4).
    Tag(u64, Box<Value>),
}

impl Value {
    /// The name of the type, as error messages use it: `null`, `bool`, `integer`, `float`, `text`, `bytes`, `list`,
    /// `map` or `tag`.
    ///
    /// ```
    /// # use foldb_core::value::Value;
    /// assert_eq!(Value::from("abc").type_name(), "text");
    /// ```
    pub fn type_name(&self) -> &'static str {
        match self {
            Value::Null => "null",
            Value::Bool(_) => "bool",
            Value::Integer(_) => "integer",
            Value::Float(_) => "float",
            Value::Text(_) => "text",
            Value::Bytes(_) => "bytes",
            Value::List(_) => "list",
            Value::Map(_) => "map",
            Value::Tag(..) => "tag",
        }
    }

    /// Whether this is `null`.
    ///
    /// ```
    /// # use foldb_core::value::Value;
    /// assert!(Value::Null.is_null());
    /// ```
    pub fn is_null(&self) -> bool {
        matches!(self, Value::Null)
    }

    /// The truth value, if this is a bool.
    ///
    /// ```
    /// # use foldb_core::value::Value;
    /// assert_eq!(Value::from(true).as_bool(), Some(true));
    /// ```
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Value::Bool(value) => Some(*value),
            _ => None,
        }
    }

    /// The integer as `i64`, if this is an integer that fits.
    ///
    /// ```
    /// # use foldb_core::value::Value;
    /// assert_eq!(Value::from(-5).as_i64(), Some(-5));
    /// assert_eq!(Value::from(u64::MAX).as_i64(), None);
    /// ```
    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Value::Integer(value) => value.as_i64(),
            _ => None,
        }
    }

    /// The integer as `u64`, if this is an integer that fits.
    ///
    /// ```
    /// # use foldb_core::value::Value;
    /// assert_eq!(Value::from(5).as_u64(), Some(5));
    /// assert_eq!(Value::from(-5).as_u64(), None);
    /// ```
    pub fn as_u64(&self) -> Option<u64> {
        match self {
            Value::Integer(value) => value.as_u64(),
            _ => None,
        }
    }

    /// The float, if this is one. An integer is not.
    ///
    /// ```
    /// # use foldb_core::value::Value;
    /// assert_eq!(Value::from(1.5).as_f64(), Some(1.5));
    /// assert_eq!(Value::from(1).as_f64(), None);
    /// ```
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Value::Float(value) => Some(*value),
            _ => None,
        }
    }

    /// The text, if this is text.
    ///
    /// ```
    /// # use foldb_core::value::Value;
    /// assert_eq!(Value::from("abc").as_text(), Some("abc"));
    /// ```
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The bytes, if this is a byte string.
    ///
    /// ```
    /// # use foldb_core::value::Value;
    /// assert_eq!(Value::Bytes(vec![7]).as_bytes(), Some(&[7][..]));
    /// ```
    pub fn as_bytes(&self) -> Option<&[u8]> {
        match self {
            Value::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// The items, if this is a list.
    ///
    /// ```
    /// # use foldb_core::value::Value;
    /// assert_eq!(Value::List(vec![1.into()]).as_list(), Some(&[Value::from(1)][..]));
    /// ```
    pub fn as_list(&self) -> Option<&[Value]> {
        match self {
            Value::List(items) => Some(items),
            _ => None,
        }
    }

    /// The pairs, if this is a map.
    ///
    /// ```
    /// # use foldb_core::value::Value;
    /// assert_eq!(Value::Map(vec![]).as_map(), Some(&[][..]));
    /// ```
    pub fn as_map(&self) -> Option<&[(Value, Value)]> {
        match self {
            Value::Map(pairs) => Some(pairs),
            _ => None,
        }
    }

    /// The value of the first pair whose key is the text `key`, if this is a map that has one. Linear in the pairs.
    ///
    /// ```
    /// # use foldb_core::value::Value;
    /// let value = Value::Map(vec![("a".into(), 1.into())]);
    /// assert_eq!(value.get("a"), Some(&Value::from(1)));
    /// assert_eq!(value.get("b"), None);
    /// ```
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.as_map()?.iter().find(|(name, _)| name.as_text() == Some(key)).map(|(_, value)| value)
    }
}
