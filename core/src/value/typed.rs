//! [`Encode`] and [`Decode`]: the Rust types that go in and out of the store directly.

use alloc::{
    borrow::{Cow, ToOwned},
    format,
    string::String,
    vec::Vec,
};

use ruint::aliases::U256;

use super::{
    BIGNUM_TAG, Integer, Value, ValueRef,
    cbor::{self, Head, Reader},
    convert::u256_from_bytes,
};
use crate::{Error, Result};

/// What can be stored as a value: text, bytes, numbers, bool, [`Value`], options of these (`None` is null), and any
/// serde type inside [`Serde`](super::Serde).
///
/// `u8` slices, vectors and arrays are byte strings; a list is a [`Value::List`] or a `Serde<Vec<T>>`.
///
/// ```
/// # extern crate foldb_core as foldb;
/// use foldb::value::{Decode, Encode};
///
/// let mut bytes = Vec::new();
/// 1_000_u32.encode(&mut bytes)?;
/// assert_eq!(bytes, [0x19, 0x03, 0xe8]);
/// assert_eq!(u16::decode(&bytes)?, 1_000);
/// # Ok::<(), foldb_core::Error>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "a `{Self}` is not a value that a store keeps by itself",
    label = "neither a number, text, bytes, a `Value` nor `Serde(..)`",
    note = "a type that serde serializes is stored inside of `Serde`: `kv().put(key, Serde(value))`, and read by `kv().get::<Serde<T>>(key)`",
    note = "as a JSON document it is stored by `json().set_as(key, &value)`, and read by `json().get_as::<T>(key)`"
)]
pub trait Encode {
    /// Appends the only encoding of this value to `out`.
    ///
    /// # Errors
    /// [`Error::Limit`] over [`VALUE_BYTES_MAX`](crate::limits::VALUE_BYTES_MAX) or
    /// [`VALUE_DEPTH_MAX`](crate::limits::VALUE_DEPTH_MAX), [`Error::Invalid`] if the value is none of the data model
    /// (an integer out of range, a failing `Serialize`). `out` is then as it was.
    ///
    /// ```
    /// # use foldb_core::value::Encode;
    /// let mut bytes = Vec::new();
    /// "hi".encode(&mut bytes)?;
    /// assert_eq!(bytes, b"\x62hi");
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    fn encode(&self, out: &mut Vec<u8>) -> Result<()>;
}

/// What can be read from a stored value. The opposite of [`Encode`], and just as strict.
///
/// ```
/// # extern crate foldb_core as foldb;
/// use foldb::{Error, value::Decode};
///
/// assert_eq!(String::decode(b"\x62hi")?, "hi");
/// assert!(matches!(u8::decode(b"\x62hi"), Err(Error::Type { expected: "integer", found: "text", .. })));
/// assert!(matches!(u8::decode(&[0x19, 0x01, 0x2c]), Err(Error::Invalid { .. })), "300 is too much");
/// # Ok::<(), foldb_core::Error>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "a `{Self}` is not read from a stored value by itself",
    label = "neither a number, text, bytes, a `Value` nor `Serde<..>`",
    note = "a type that serde deserializes is read inside of `Serde`: `kv().get::<Serde<T>>(key)`",
    note = "a JSON document is read as a type of serde by `json().get_as::<T>(key)`"
)]
pub trait Decode: Sized {
    /// Reads the value that fills `bytes`.
    ///
    /// # Errors
    /// [`Error::Type`] if the value has another type, [`Error::Invalid`] if it does not fit, or if the bytes are not a
    /// value in its only form.
    ///
    /// ```
    /// # use foldb_core::value::Decode;
    /// assert_eq!(Option::<i64>::decode(&[0xf6])?, None);
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    fn decode(bytes: &[u8]) -> Result<Self>;
}

impl<T: Encode + ?Sized> Encode for &T {
    fn encode(&self, out: &mut Vec<u8>) -> Result<()> {
        (**self).encode(out)
    }
}

impl Encode for Value {
    fn encode(&self, out: &mut Vec<u8>) -> Result<()> {
        Value::encode(self, out)
    }
}

impl Decode for Value {
    fn decode(bytes: &[u8]) -> Result<Self> {
        Value::decode(bytes)
    }
}

impl<T: Encode> Encode for Option<T> {
    fn encode(&self, out: &mut Vec<u8>) -> Result<()> {
        match self {
            Some(value) => value.encode(out),
            None => ().encode(out),
        }
    }
}

impl<T: Decode> Decode for Option<T> {
    fn decode(bytes: &[u8]) -> Result<Self> {
        if bytes == [cbor::NULL] { Ok(None) } else { T::decode(bytes).map(Some) }
    }
}

impl Encode for () {
    fn encode(&self, out: &mut Vec<u8>) -> Result<()> {
        out.push(cbor::NULL);
        Ok(())
    }
}

impl Decode for () {
    fn decode(bytes: &[u8]) -> Result<Self> {
        match one(bytes)? {
            (Head::Null, reader) => reader.finish(),
            (other, _) => Err(other.mismatch("null")),
        }
    }
}

impl Encode for bool {
    fn encode(&self, out: &mut Vec<u8>) -> Result<()> {
        cbor::write_bool(out, *self);
        Ok(())
    }
}

impl Decode for bool {
    fn decode(bytes: &[u8]) -> Result<Self> {
        match one(bytes)? {
            (Head::Bool(value), reader) => reader.finish().map(|()| value),
            (other, _) => Err(other.mismatch("bool")),
        }
    }
}

impl Encode for str {
    fn encode(&self, out: &mut Vec<u8>) -> Result<()> {
        cbor::write_text(out, self)
    }
}

impl Encode for String {
    fn encode(&self, out: &mut Vec<u8>) -> Result<()> {
        cbor::write_text(out, self)
    }
}

impl Encode for Cow<'_, str> {
    fn encode(&self, out: &mut Vec<u8>) -> Result<()> {
        cbor::write_text(out, self)
    }
}

impl Decode for String {
    fn decode(bytes: &[u8]) -> Result<Self> {
        let (head, mut reader) = one(bytes)?;
        let Head::Text(length) = head else { return Err(head.mismatch("text")) };
        let text = reader.text(length)?;
        reader.finish()?;
        Ok(text.to_owned())
    }
}

impl Encode for [u8] {
    fn encode(&self, out: &mut Vec<u8>) -> Result<()> {
        cbor::write_bytes(out, self)
    }
}

impl Encode for Vec<u8> {
    fn encode(&self, out: &mut Vec<u8>) -> Result<()> {
        cbor::write_bytes(out, self)
    }
}

impl<const N: usize> Encode for [u8; N] {
    fn encode(&self, out: &mut Vec<u8>) -> Result<()> {
        cbor::write_bytes(out, self)
    }
}

impl Decode for Vec<u8> {
    fn decode(bytes: &[u8]) -> Result<Self> {
        read_bytes(bytes).map(<[u8]>::to_vec)
    }
}

impl<const N: usize> Decode for [u8; N] {
    fn decode(bytes: &[u8]) -> Result<Self> {
        let found = read_bytes(bytes)?;
        found.try_into().map_err(|_| Error::Invalid {
            what: "byte string",
            why: format!("expected {N} bytes, found {}", found.len()),
        })
    }
}

impl Encode for f64 {
    fn encode(&self, out: &mut Vec<u8>) -> Result<()> {
        cbor::write_float(out, *self);
        Ok(())
    }
}

impl Decode for f64 {
    fn decode(bytes: &[u8]) -> Result<Self> {
        match one(bytes)? {
            (Head::Float(value), reader) => reader.finish().map(|()| value),
            (other, _) => Err(other.mismatch("float")),
        }
    }
}

impl Encode for f32 {
    fn encode(&self, out: &mut Vec<u8>) -> Result<()> {
        f64::from(*self).encode(out)
    }
}

impl Decode for f32 {
    fn decode(bytes: &[u8]) -> Result<Self> {
        let wide = f64::decode(bytes)?;
        #[allow(clippy::cast_possible_truncation, reason = "whether anything was lost is checked in the next line")]
        let narrow = wide as f32;
        if wide.is_nan() || f64::from(narrow) == wide {
            return Ok(narrow);
        }
        Err(Error::Invalid { what: "float", why: format!("{wide:?} is not a number that a 32-bit float keeps") })
    }
}

impl Encode for Integer {
    fn encode(&self, out: &mut Vec<u8>) -> Result<()> {
        cbor::write_integer(out, *self);
        Ok(())
    }
}

impl Decode for Integer {
    fn decode(bytes: &[u8]) -> Result<Self> {
        read_integer(bytes)
    }
}

macro_rules! encode_integers {
    ($($integer:ident),+) => {$(
        impl Encode for $integer {
            fn encode(&self, out: &mut Vec<u8>) -> Result<()> {
                cbor::write_integer(out, Integer::from(*self));
                Ok(())
            }
        }
    )+};
}

encode_integers!(u8, u16, u32, u64, i8, i16, i32, i64);

/// Integers of which not all, or not on every machine, are values: of 128 bits, or as wide as an address.
macro_rules! encode_wide_integers {
    ($($integer:ident),+) => {$(
        impl Encode for $integer {
            fn encode(&self, out: &mut Vec<u8>) -> Result<()> {
                cbor::write_integer(out, Integer::try_from(*self)?);
                Ok(())
            }
        }
    )+};
}

encode_wide_integers!(usize, isize, u128, i128);

macro_rules! decode_integers {
    ($($integer:ident),+) => {$(
        impl Decode for $integer {
            fn decode(bytes: &[u8]) -> Result<Self> {
                $integer::try_from(read_integer(bytes)?)
            }
        }
    )+};
}

decode_integers!(u8, u16, u32, u64, u128, usize, i8, i16, i32, i64, isize);

impl Decode for i128 {
    fn decode(bytes: &[u8]) -> Result<Self> {
        read_integer(bytes).map(Self::from)
    }
}

impl Encode for U256 {
    fn encode(&self, out: &mut Vec<u8>) -> Result<()> {
        cbor::write_head(out, cbor::major::TAG, BIGNUM_TAG);
        cbor::write_bytes(out, &self.to_be_bytes_trimmed_vec())
    }
}

impl Decode for U256 {
    fn decode(bytes: &[u8]) -> Result<Self> {
        match ValueRef::decode(bytes)? {
            ValueRef::Tag(BIGNUM_TAG, inner) => {
                let digits = read_bytes(inner)?;
                u256_from_bytes(digits).ok_or_else(|| Error::Invalid {
                    what: "256-bit integer",
                    why: format!("{} bytes that are not the shortest form of 256 bits", digits.len()),
                })
            }
            other => {
                Err(Error::Type { what: String::from("value"), expected: "256-bit integer", found: other.type_name() })
            }
        }
    }
}

/// The head of a value, and what follows it.
fn one(bytes: &[u8]) -> Result<(Head, Reader<'_>)> {
    let mut reader = Reader::new(bytes)?;
    let head = reader.head()?;
    Ok((head, reader))
}

fn read_integer(bytes: &[u8]) -> Result<Integer> {
    match one(bytes)? {
        (Head::Integer(value), reader) => reader.finish().map(|()| value),
        (other, _) => Err(other.mismatch("integer")),
    }
}

fn read_bytes(bytes: &[u8]) -> Result<&[u8]> {
    let (head, mut reader) = one(bytes)?;
    let Head::Bytes(length) = head else { return Err(head.mismatch("bytes")) };
    let found = reader.bytes(length)?;
    reader.finish()?;
    Ok(found)
}
