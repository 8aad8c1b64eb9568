//! [`Value`] from the types of the standard library, and to and from 256-bit integers.

use alloc::{
    borrow::{Cow, ToOwned},
    boxed::Box,
    collections::BTreeMap,
    string::String,
    vec::Vec,
};

use ruint::aliases::U256;

use super::{BIGNUM_TAG, Integer, Value};

impl Value {
    /// The 256-bit integer, if this is one: tag 2 around at most 32 bytes, the first of them not zero. An
    /// [`Integer`](Value::Integer) is another type, so that a counter keeps its kind however small it is.
    ///
    /// ```
    /// # use foldb_core::value::Value;
    /// use ruint::aliases::U256;
    /// assert_eq!(Value::from(U256::from(1)).as_u256(), Some(U256::from(1)));
    /// assert_eq!(Value::from(1).as_u256(), None);
    /// ```
    pub fn as_u256(&self) -> Option<U256> {
        match self {
            Value::Tag(BIGNUM_TAG, inner) => u256_from_bytes(inner.as_bytes()?),
            _ => None,
        }
    }
}

/// From the shortest big-endian form; `None` if these bytes are longer than needed, or too long.
pub(crate) fn u256_from_bytes(bytes: &[u8]) -> Option<U256> {
    if bytes.first() == Some(&0) {
        return None;
    }
    U256::try_from_be_slice(bytes)
}

impl From<U256> for Value {
    fn from(value: U256) -> Self {
        Value::Tag(BIGNUM_TAG, Box::new(Value::Bytes(value.to_be_bytes_trimmed_vec())))
    }
}

macro_rules! from_integer {
    ($($integer:ident),+) => {$(
        impl From<$integer> for Value {
            fn from(value: $integer) -> Self {
                Value::Integer(Integer::from(value))
            }
        }
    )+};
}

from_integer!(u8, u16, u32, u64, i8, i16, i32, i64, Integer);

impl From<()> for Value {
    fn from((): ()) -> Self {
        Value::Null
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Value::Bool(value)
    }
}

impl From<f32> for Value {
    fn from(value: f32) -> Self {
        Value::Float(f64::from(value))
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Value::Float(value)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Value::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Value::Text(text)
    }
}

impl From<Cow<'_, str>> for Value {
    fn from(text: Cow<'_, str>) -> Self {
        Value::Text(text.into_owned())
    }
}

impl From<&[u8]> for Value {
    fn from(bytes: &[u8]) -> Self {
        Value::Bytes(bytes.to_vec())
    }
}

impl<const N: usize> From<&[u8; N]> for Value {
    fn from(bytes: &[u8; N]) -> Self {
        Value::Bytes(bytes.to_vec())
    }
}

impl<const N: usize> From<[u8; N]> for Value {
    fn from(bytes: [u8; N]) -> Self {
        Value::Bytes(bytes.to_vec())
    }
}

impl From<Vec<u8>> for Value {
    fn from(bytes: Vec<u8>) -> Self {
        Value::Bytes(bytes)
    }
}

impl From<Vec<Value>> for Value {
    fn from(items: Vec<Value>) -> Self {
        Value::List(items)
    }
}

impl From<Vec<(Value, Value)>> for Value {
    fn from(pairs: Vec<(Value, Value)>) -> Self {
        Value::Map(pairs)
    }
}

impl<T: Into<Value>> From<BTreeMap<String, T>> for Value {
    fn from(map: BTreeMap<String, T>) -> Self {
        Value::Map(map.into_iter().map(|(key, value)| (Value::Text(key), value.into())).collect())
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Value::Null, Into::into)
    }
}
