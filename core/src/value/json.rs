//! [`Value`] to and from [`serde_json::Value`].

use alloc::{
    format,
    string::{String, ToString},
};

use serde_json::{Map, Number, Value as Json};

use super::{Exact, Integer, Value, exact, refused_number};
use crate::{Error, Result};

/// Objects become maps with text keys, in the object's order. Numbers are integers if they are written without a
/// fraction or exponent, else floats.
///
/// Fails with [`Error::Invalid`], which names the number and its place, where serde_json's feature `arbitrary_precision` is on
/// and a number has more digits than a value keeps. Without the feature it cannot fail, but `serde_json::from_str` has rounded
/// such numbers before anybody could see them: [`json::parse`](crate::json::parse) reads JSON text and rounds nothing.
///
/// ```
/// # extern crate foldb_core as foldb;
/// use foldb::value::Value;
/// let value = Value::try_from(serde_json::json!({"a": [1, 2.5, null]}))?;
/// assert_eq!(value.to_string(), r#"{"a": [1, 2.5, null]}"#);
/// # Ok::<(), foldb_core::Error>(())
/// ```
impl TryFrom<Json> for Value {
    type Error = Error;

    fn try_from(json: Json) -> Result<Self> {
        Value::try_from(&json)
    }
}

/// As of the document itself.
impl TryFrom<&Json> for Value {
    type Error = Error;

    fn try_from(json: &Json) -> Result<Self> {
        from_json(json).map_err(|error| refused_number(json).unwrap_or(error))
    }
}

fn from_json(json: &Json) -> Result<Value> {
    Ok(match json {
        Json::Null => Value::Null,
        Json::Bool(value) => Value::Bool(*value),
        Json::Number(number) => match exact(number)? {
            Exact::Integer(value) => Value::Integer(value),
            Exact::Float(value) => Value::Float(value),
        },
        Json::String(text) => Value::Text(text.clone()),
        Json::Array(items) => Value::List(items.iter().map(from_json).collect::<Result<_>>()?),
        Json::Object(members) => {
            let pairs = members.iter().map(|(key, value)| Ok((Value::Text(key.clone()), from_json(value)?)));
            Value::Map(pairs.collect::<Result<_>>()?)
        }
    })
}

fn no_json(what: impl core::fmt::Display) -> Error {
    Error::Invalid { what: "JSON value", why: format!("{what} cannot be written as JSON") }
}

/// Fails with [`Error::Type`] for bytes, tags and keys that are not text, and with [`Error::Invalid`] for NaN,
/// infinities, integers below -2^63 and duplicate keys: JSON has none of these, or not reliably.
///
/// ```
/// # extern crate foldb_core as foldb;
/// use foldb::value::Value;
/// let json = serde_json::Value::try_from(Value::from(vec![Value::from("a"), Value::from(1)]))?;
/// assert_eq!(json, serde_json::json!(["a", 1]));
/// assert!(serde_json::Value::try_from(Value::Bytes(vec![1])).is_err());
/// # Ok::<(), foldb_core::Error>(())
/// ```
impl TryFrom<Value> for Json {
    type Error = Error;

    fn try_from(value: Value) -> Result<Self> {
        Ok(match value {
            Value::Null => Json::Null,
            Value::Bool(value) => Json::Bool(value),
            Value::Integer(value) => Json::Number(integer_to_number(value).ok_or_else(|| no_json(value))?),
            Value::Float(float) => Json::Number(Number::from_f64(float).ok_or_else(|| no_json(Value::Float(float)))?),
            Value::Text(text) => Json::String(text),
            Value::List(items) => Json::Array(items.into_iter().map(Json::try_from).collect::<Result<_>>()?),
            Value::Map(pairs) => Json::Object(to_object(pairs)?),
            Value::Bytes(_) | Value::Tag(..) => {
                let found = value.type_name();
                return Err(Error::Type { what: String::from("value"), expected: "a type that JSON has", found });
            }
        })
    }
}

fn to_object(pairs: alloc::vec::Vec<(Value, Value)>) -> Result<Map<String, Json>> {
    let mut members = Map::new();
    for (key, value) in pairs {
        let Value::Text(name) = key else {
            return Err(Error::Type { what: String::from("key of a map"), expected: "text", found: key.type_name() });
        };
        if members.contains_key(&name) {
            return Err(no_json(format_args!("the key {name:?} twice in one map")));
        }
        members.insert(name, Json::try_from(value)?);
    }
    Ok(members)
}

pub(crate) fn integer_to_number(value: Integer) -> Option<Number> {
    value.as_u64().map(Number::from).or_else(|| value.as_i64().map(Number::from))
}

impl Value {
    /// JSON for people to read, never to be stored: whatever JSON does not have is text in diagnostic notation (bytes
    /// as `h'00ff'`, NaN, tags as `1(1700000000)`, large negative integers), 256-bit integers are decimal digits, keys
    /// that are not text are their notation, and of duplicate keys the last remains.
    ///
    /// ```
    /// # extern crate foldb_core as foldb;
    /// use foldb::value::Value;
    /// let value = Value::Map(vec![(1.into(), Value::Bytes(vec![0, 255]))]);
    /// assert_eq!(value.to_json_lossy(), serde_json::json!({"1": "h'00ff'"}));
    /// ```
    pub fn to_json_lossy(&self) -> Json {
        let notation = || Json::String(self.to_string());
        match self {
            Value::Null => Json::Null,
            Value::Bool(value) => Json::Bool(*value),
            Value::Integer(value) => integer_to_number(*value).map_or_else(notation, Json::Number),
            Value::Float(value) => Number::from_f64(*value).map_or_else(notation, Json::Number),
            Value::Text(text) => Json::String(text.clone()),
            Value::List(items) => Json::Array(items.iter().map(Value::to_json_lossy).collect()),
            Value::Map(pairs) => Json::Object(
                pairs
                    .iter()
                    .map(|(key, value)| {
                        (key.as_text().map_or_else(|| key.to_string(), String::from), value.to_json_lossy())
                    })
                    .collect(),
            ),
            Value::Bytes(_) => notation(),
            Value::Tag(..) => self.as_u256().map_or_else(notation, |number| Json::String(number.to_string())),
        }
    }
}
