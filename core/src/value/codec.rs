//! Values to bytes and back: [`Value::encode`], [`Value::decode`], and [`ValueRef`] for reading without copying.

use alloc::{borrow::ToOwned, boxed::Box, vec::Vec};

use super::{
    Integer, Value,
    cbor::{self, Head, Reader, major},
};
use crate::Result;

impl Value {
    /// Appends the value's only encoding to `out`.
    ///
    /// # Errors
    /// [`Error::Limit`](crate::Error::Limit) if the encoding is over
    /// [`VALUE_BYTES_MAX`](crate::limits::VALUE_BYTES_MAX) or the nesting over
    /// [`VALUE_DEPTH_MAX`](crate::limits::VALUE_DEPTH_MAX); `out` is then as it was.
    ///
    /// ```
    /// # use foldb_core::value::Value;
    /// let mut bytes = Vec::new();
    /// Value::List(vec![1.into(), "a".into()]).encode(&mut bytes)?;
    /// assert_eq!(bytes, [0x82, 0x01, 0x61, b'a']);
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<()> {
        let start = out.len();
        let result = self.encode_at(out, start, 0);
        if result.is_err() {
            out.truncate(start);
        }
        result
    }

    pub(super) fn encode_at(&self, out: &mut Vec<u8>, start: usize, depth: usize) -> Result<()> {
        match self {
            Value::Null => out.push(cbor::NULL),
            Value::Bool(value) => cbor::write_bool(out, *value),
            Value::Integer(value) => cbor::write_integer(out, *value),
            Value::Float(value) => cbor::write_float(out, *value),
            Value::Text(text) => cbor::write_text(out, text)?,
            Value::Bytes(bytes) => cbor::write_bytes(out, bytes)?,
            Value::List(items) => {
                let depth = cbor::deeper(depth)?;
                cbor::write_length(out, major::LIST, items.len());
                for item in items {
                    item.encode_at(out, start, depth)?;
                }
            }
            Value::Map(pairs) => {
                let depth = cbor::deeper(depth)?;
                cbor::write_length(out, major::MAP, pairs.len());
                for (key, value) in pairs {
                    key.encode_at(out, start, depth)?;
                    value.encode_at(out, start, depth)?;
                }
            }
            Value::Tag(tag, value) => {
                let depth = cbor::deeper(depth)?;
                cbor::write_head(out, major::TAG, *tag);
                value.encode_at(out, start, depth)?;
            }
        }
        // After every item, so that a value of many gigabytes stops at the limit and not at the end of memory.
        cbor::check_bytes(out.len().saturating_sub(start))
    }

    /// Reads one value that fills `bytes`.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) with the offset if the bytes are anything but one value in its only
    /// form, [`Error::Limit`](crate::Error::Limit) if they are too many or nested too deeply.
    ///
    /// ```
    /// # use foldb_core::value::Value;
    /// assert_eq!(Value::decode(&[0x82, 0x01, 0x61, b'a'])?, Value::List(vec![1.into(), "a".into()]));
    /// assert!(Value::decode(&[0x18, 0x01]).is_err(), "1, but not in the shortest form");
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let mut reader = Reader::new(bytes)?;
        let value = Self::decode_at(&mut reader, 0)?;
        reader.finish()?;
        Ok(value)
    }

    pub(super) fn decode_at(reader: &mut Reader<'_>, depth: usize) -> Result<Self> {
        Ok(match reader.head()? {
            Head::Null => Value::Null,
            Head::Bool(value) => Value::Bool(value),
            Head::Integer(value) => Value::Integer(value),
            Head::Float(value) => Value::Float(value),
            Head::Text(length) => Value::Text(reader.text(length)?.to_owned()),
            Head::Bytes(length) => Value::Bytes(reader.bytes(length)?.to_vec()),
            Head::List(count) => {
                let depth = cbor::deeper(depth)?;
                let mut items = Vec::with_capacity(cbor::reserved(count));
                for _ in 0..count {
                    items.push(Self::decode_at(reader, depth)?);
                }
                Value::List(items)
            }
            Head::Map(count) => {
                let depth = cbor::deeper(depth)?;
                let mut pairs = Vec::with_capacity(cbor::reserved(count));
                for _ in 0..count {
                    let key = Self::decode_at(reader, depth)?;
                    pairs.push((key, Self::decode_at(reader, depth)?));
                }
                Value::Map(pairs)
            }
            Head::Tag(tag) => Value::Tag(tag, Box::new(Self::decode_at(reader, cbor::deeper(depth)?)?)),
        })
    }
}

/// A value that borrows text and bytes from its encoded form, and leaves compound values encoded.
///
/// ```
/// # extern crate foldb_core as foldb;
/// use foldb::value::{Value, ValueRef};
///
/// let mut bytes = Vec::new();
/// Value::from("no copy").encode(&mut bytes)?;
/// assert_eq!(ValueRef::decode(&bytes)?, ValueRef::Text("no copy"));
/// # Ok::<(), foldb_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ValueRef<'a> {
    /// Nothing.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// An integer.
    Integer(Integer),
    /// A float.
    Float(f64),
    /// Text, borrowed.
    Text(&'a str),
    /// Bytes, borrowed.
    Bytes(&'a [u8]),
    /// A list: its whole encoding, which has been checked.
    List(&'a [u8]),
    /// A map: its whole encoding, which has been checked.
    Map(&'a [u8]),
    /// A tag: its number, and the whole encoding of the tagged value, which has been checked.
    Tag(u64, &'a [u8]),
}

impl<'a> ValueRef<'a> {
    /// Reads one value that fills `bytes`. A compound value is checked to its end, but nothing is allocated.
    ///
    /// # Errors
    /// As [`Value::decode`].
    ///
    /// ```
    /// # use foldb_core::value::ValueRef;
    /// assert_eq!(ValueRef::decode(&[0x42, 1, 2])?, ValueRef::Bytes(&[1, 2]));
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    pub fn decode(bytes: &'a [u8]) -> Result<Self> {
        let mut reader = Reader::new(bytes)?;
        let head = reader.head()?;
        let inner = reader.at();
        let value = match head {
            Head::Null => ValueRef::Null,
            Head::Bool(value) => ValueRef::Bool(value),
            Head::Integer(value) => ValueRef::Integer(value),
            Head::Float(value) => ValueRef::Float(value),
            Head::Text(length) => ValueRef::Text(reader.text(length)?),
            Head::Bytes(length) => ValueRef::Bytes(reader.bytes(length)?),
            Head::List(_) | Head::Map(_) | Head::Tag(_) => {
                reader.skip(head, 0)?;
                match head {
                    Head::List(_) => ValueRef::List(reader.since(0)),
                    Head::Tag(tag) => ValueRef::Tag(tag, reader.since(inner)),
                    _ => ValueRef::Map(reader.since(0)),
                }
            }
        };
        reader.finish()?;
        Ok(value)
    }

    /// As [`Value::type_name`].
    ///
    /// ```
    /// # use foldb_core::value::ValueRef;
    /// assert_eq!(ValueRef::Text("abc").type_name(), "text");
    /// ```
    pub fn type_name(&self) -> &'static str {
        match self {
            ValueRef::Null => "null",
            ValueRef::Bool(_) => "bool",
            ValueRef::Integer(_) => "integer",
            ValueRef::Float(_) => "float",
            ValueRef::Text(_) => "text",
            ValueRef::Bytes(_) => "bytes",
            ValueRef::List(_) => "list",
            ValueRef::Map(_) => "map",
            ValueRef::Tag(..) => "tag",
        }
    }

    /// The owned value.
    ///
    /// # Errors
    /// None for what [`decode`](Self::decode) returned; for a list, map or tag that was made from other bytes, as
    /// [`Value::decode`].
    ///
    /// ```
    /// # use foldb_core::value::{Value, ValueRef};
    /// assert_eq!(ValueRef::decode(&[0x81, 0x01])?.to_value()?, Value::List(vec![1.into()]));
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    pub fn to_value(&self) -> Result<Value> {
        Ok(match *self {
            ValueRef::Null => Value::Null,
            ValueRef::Bool(value) => Value::Bool(value),
            ValueRef::Integer(value) => Value::Integer(value),
            ValueRef::Float(value) => Value::Float(value),
            ValueRef::Text(text) => Value::Text(text.to_owned()),
            ValueRef::Bytes(bytes) => Value::Bytes(bytes.to_vec()),
            ValueRef::List(encoded) | ValueRef::Map(encoded) => Value::decode(encoded)?,
            ValueRef::Tag(tag, encoded) => Value::Tag(tag, Box::new(Value::decode(encoded)?)),
        })
    }
}
