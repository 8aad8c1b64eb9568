//! Documents to bytes and back.

use alloc::{borrow::ToOwned, string::String, vec::Vec};

use serde_json::{Map, Number, Value as Json};

use crate::{
    Error, Result,
    value::{
        Decode, Encode, Exact,
        cbor::{self, Head, Reader, major},
        exact, integer_to_number, refused_number,
    },
};

/// Appends the document's only encoding to `out`: a CBOR value whose maps have text keys in ascending order of their
/// bytes. Integers that fit `u64` or `i64` stay integers, other numbers are floats, and `1` is not `1.0`.
///
/// # Errors
/// [`Error::Limit`] if the encoding is over [`VALUE_BYTES_MAX`](crate::limits::VALUE_BYTES_MAX) or the nesting over
/// [`VALUE_DEPTH_MAX`](crate::limits::VALUE_DEPTH_MAX); [`Error::Invalid`] with its place for a number of more digits than a value
/// keeps, which there is with serde_json's feature `arbitrary_precision` only. `out` is then as it was.
///
/// ```
/// # extern crate foldb_core as foldb;
/// use foldb::json::{decode_document, encode_document};
/// use serde_json::json;
///
/// let document = json!({"title": "plan", "steps": [1, 2.5]});
/// let mut bytes = Vec::new();
/// encode_document(&document, &mut bytes)?;
/// assert_eq!(decode_document(&bytes)?, document);
/// # Ok::<(), foldb_core::Error>(())
/// ```
pub fn encode_document(document: &Json, out: &mut Vec<u8>) -> Result<()> {
    let start = out.len();
    write(document, out, start, 0).map_err(|error| {
        out.truncate(start);
        refused_number(document).unwrap_or(error)
    })
}

fn write(value: &Json, out: &mut Vec<u8>, start: usize, depth: usize) -> Result<()> {
    match value {
        Json::Null => out.push(cbor::NULL),
        Json::Bool(value) => cbor::write_bool(out, *value),
        Json::Number(number) => write_number(number, out)?,
        Json::String(text) => cbor::write_text(out, text)?,
        Json::Array(items) => {
            let depth = cbor::deeper(depth)?;
            cbor::write_length(out, major::LIST, items.len());
            for item in items {
                write(item, out, start, depth)?;
            }
        }
        Json::Object(members) => {
            let depth = cbor::deeper(depth)?;
            cbor::write_length(out, major::MAP, members.len());
            for (key, value) in sorted(members) {
                cbor::write_text(out, key)?;
                write(value, out, start, depth)?;
            }
        }
    }
    // After every item, so that a huge document stops at the limit and not at the end of memory.
    cbor::check_bytes(out.len().saturating_sub(start))
}

/// The members by ascending key, whatever order the map keeps.
pub(super) fn sorted(members: &Map<String, Json>) -> Vec<(&String, &Json)> {
    let mut sorted: Vec<_> = members.iter().collect();
    if !sorted.is_sorted_by(|(a, _), (b, _)| a <= b) {
        crate::order::sort_by(&mut sorted, |(a, _), (b, _)| a.cmp(b));
    }
    sorted
}

fn write_number(number: &Number, out: &mut Vec<u8>) -> Result<()> {
    match exact(number)? {
        Exact::Integer(value) => cbor::write_integer(out, value),
        Exact::Float(value) => cbor::write_float(out, value),
    }
    Ok(())
}

/// Reads a document that fills `bytes`.
///
/// # Errors
/// [`Error::Invalid`] with the offset if the bytes are not one value in its only form or a key comes twice,
/// [`Error::Type`] if something in it is nothing that JSON has (bytes, a tag, a key that is not text),
/// [`Error::Limit`] if it is too large or too deep.
///
/// ```
/// # extern crate foldb_core as foldb;
/// use foldb::json::decode_document;
/// assert_eq!(decode_document(&[0xa1, 0x61, b'a', 0x01])?, serde_json::json!({"a": 1}));
/// assert!(decode_document(&[0x41, 0x00]).is_err(), "a byte string");
/// # Ok::<(), foldb_core::Error>(())
/// ```
pub fn decode_document(bytes: &[u8]) -> Result<Json> {
    let mut reader = Reader::new(bytes)?;
    let document = read(&mut reader, 0)?;
    reader.finish()?;
    Ok(document)
}

fn read(reader: &mut Reader<'_>, depth: usize) -> Result<Json> {
    let start = reader.at();
    Ok(match reader.head()? {
        Head::Null => Json::Null,
        Head::Bool(value) => Json::Bool(value),
        Head::Integer(value) => Json::Number(
            integer_to_number(value)
                .ok_or_else(|| Reader::invalid(start, format_args!("{value}, which is below i64,")))?,
        ),
        Head::Float(value) => Json::Number(
            Number::from_f64(value)
                .ok_or_else(|| Reader::invalid(start, format_args!("{value:?}, which JSON has not,")))?,
        ),
        Head::Text(length) => Json::String(reader.text(length)?.to_owned()),
        Head::List(count) => {
            let depth = cbor::deeper(depth)?;
            let mut items = Vec::with_capacity(cbor::reserved(count));
            for _ in 0..count {
                items.push(read(reader, depth)?);
            }
            Json::Array(items)
        }
        Head::Map(count) => {
            let depth = cbor::deeper(depth)?;
            let mut members = Map::new();
            for _ in 0..count {
                let at = reader.at();
                let key = read_key(reader)?;
                if members.insert(key, read(reader, depth)?).is_some() {
                    return Err(Reader::invalid(at, "a key that comes twice"));
                }
            }
            Json::Object(members)
        }
        other @ (Head::Bytes(_) | Head::Tag(_)) => return Err(other.mismatch("a type that JSON has")),
    })
}

fn read_key(reader: &mut Reader<'_>) -> Result<String> {
    match reader.head()? {
        Head::Text(length) => reader.text(length).map(ToOwned::to_owned),
        other => {
            let found = other.type_name();
            Err(Error::Type { what: String::from("key of a document"), expected: "text", found })
        }
    }
}

/// As [`encode_document`].
impl Encode for Json {
    fn encode(&self, out: &mut Vec<u8>) -> Result<()> {
        encode_document(self, out)
    }
}

/// As [`decode_document`].
impl Decode for Json {
    fn decode(bytes: &[u8]) -> Result<Self> {
        decode_document(bytes)
    }
}
