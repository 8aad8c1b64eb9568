//! Values between the store, the command line and JSON.
//!
//! JSON knows less than the store: bytes become `{"$bytes": "c0ffee"}`, numbers that it lacks `{"$number": "NaN"}`, a map
//! with keys that are not text a list of pairs under `$map`, a tagged value `{"$tag": 2, "value": …}`. 256-bit counters are
//! numbers in text, as 64 bits would not hold them. Everything else has one obvious form.

use foldb::{json::TextError, value::Value};
use serde_json::{Map, json};

use crate::{
    failure::{Failure, Result},
    input::{self, Named},
    text,
};

/// A value given on the command line as argument `what`: text as it is, or JSON.
pub(crate) fn parse(what: &str, text: &str, as_json: bool) -> Result<Value> {
    if as_json { Ok(from_json(&parse_json(what, text)?)?) } else { Ok(Value::Text(text.to_owned())) }
}

/// The value of [`json_argument`].
pub(crate) fn from_argument(what: &str, argument: &str) -> Result<Value> {
    Ok(from_json(&json_argument(what, argument)?)?)
}

/// JSON from argument `what` itself, from standard input (`-`) or from a file (`@FILE`).
pub(crate) fn json_argument(what: &str, argument: &str) -> Result<serde_json::Value> {
    let Named { name, text } = input::argument(what, argument)?;
    parse_json(&name, &text)
}

fn parse_json(name: &str, text: &str) -> Result<serde_json::Value> {
    foldb::json::parse(text).map_err(|error| {
        let failure = unreadable(&error, text.trim_end().contains('\n')).at(name);
        if text.trim_start().starts_with(['{', '[', '"']) {
            return failure;
        }
        failure.hint("text in JSON has quotes of its own, as in '\"text\"'")
    })
}

/// Why JSON cannot be taken, and where: the line is told where there are several.
pub(crate) fn unreadable(error: &TextError, with_line: bool) -> Failure {
    let line = if with_line { format!("line {}, ", error.line()) } else { String::new() };
    let path = if error.path().is_empty() { String::new() } else { format!(", at {}", error.path()) };
    Failure::usage(format!("cannot be read as JSON: {} ({line}column {}{path})", error.what(), error.column()))
}

/// The value of a JSON value. The members of an object are sorted by name: their order in memory is decided by a feature of
/// the JSON library that any crate of a program can turn on, and must not decide what is stored.
pub(crate) fn from_json(json: &serde_json::Value) -> foldb::Result<Value> {
    Ok(match json {
        serde_json::Value::Array(items) => Value::List(items.iter().map(from_json).collect::<foldb::Result<_>>()?),
        serde_json::Value::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            members.sort_by_key(|(name, _)| *name);
            let pairs = members.into_iter().map(|(name, member)| Ok((Value::from(name.as_str()), from_json(member)?)));
            Value::Map(pairs.collect::<foldb::Result<_>>()?)
        }
        scalar => Value::try_from(scalar)?,
    })
}

/// A value as JSON.
pub(crate) fn to_json(value: &Value) -> serde_json::Value {
    if let Some(number) = value.as_u256() {
        return json!({ "$number": number.to_string() });
    }
    match value {
        Value::Null => serde_json::Value::Null,
        Value::Bool(value) => json!(value),
        Value::Integer(integer) => match (integer.as_i64(), integer.as_u64()) {
            (Some(integer), _) => json!(integer),
            (None, Some(integer)) => json!(integer),
            (None, None) => json!({ "$number": integer.to_string() }),
        },
        Value::Float(float) if float.is_finite() => json!(float),
        Value::Float(float) => json!({ "$number": float.to_string() }),
        Value::Text(text) => json!(text),
        Value::Bytes(bytes) => json!({ "$bytes": text::hex(bytes) }),
        Value::List(items) => items.iter().map(to_json).collect(),
        Value::Map(pairs) => map_to_json(pairs),
        Value::Tag(tag, value) => json!({ "$tag": tag, "value": to_json(value) }),
    }
}

/// An object if that loses nothing, else a list of pairs.
fn map_to_json(pairs: &[(Value, Value)]) -> serde_json::Value {
    let object: Map<_, _> =
        pairs.iter().filter_map(|(key, value)| Some((key.as_text()?.to_owned(), to_json(value)))).collect();
    if object.len() == pairs.len() {
        return serde_json::Value::Object(object);
    }
    let pairs: Vec<_> = pairs.iter().map(|(key, value)| json!([to_json(key), to_json(value)])).collect();
    json!({ "$map": pairs })
}

/// A key as JSON.
pub(crate) fn key_to_json(key: &[u8]) -> serde_json::Value {
    match std::str::from_utf8(key) {
        Ok(text) => json!(text),
        Err(_) => json!({ "$bytes": text::hex(key) }),
    }
}

/// A value as a person reads it: text without quotes, bytes as text or hexadecimal digits, the rest as JSON.
pub(crate) fn to_text(value: &Value) -> String {
    match value {
        Value::Text(text) => text.clone(),
        Value::Bytes(bytes) => text::bytes(bytes),
        other => match to_json(other) {
            serde_json::Value::Object(object) => match object.get("$number") {
                Some(serde_json::Value::String(number)) if object.len() == 1 => number.clone(),
                _ => serde_json::Value::Object(object).to_string(),
            },
            plain => plain.to_string(),
        },
    }
}

#[cfg(test)]
mod tests;
