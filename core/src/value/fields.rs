//! Maps with fixed names: how bodies of runs and entries of a trace are stored, field by field, without serde.
//!
//! Invariant: what is written has the fields in the order in which they were given; what is read may have them in any order, each
//! once, and others besides, which are passed over. Both are what `#[derive(Serialize, Deserialize)]` does with these
//! types, at a tenth of the code: a browser loads it all.

use alloc::{format, string::String, vec::Vec};

use super::{
    Integer, Value,
    cbor::{self, Head, Reader, major},
};
use crate::{Error, Result};

/// The fields are one level deep.
const DEPTH: usize = 1;

/// Writes a map.
pub(crate) struct FieldWriter<'a> {
    out: &'a mut Vec<u8>,
    start: usize,
}

impl<'a> FieldWriter<'a> {
    /// A map of this many fields. What is in `out` when a field fails is not a value.
    pub(crate) fn new(out: &'a mut Vec<u8>, fields: usize) -> Self {
        let start = out.len();
        cbor::write_length(out, major::MAP, fields);
        Self { out, start }
    }

    fn name(&mut self, name: &str) -> Result<&mut Vec<u8>> {
        cbor::write_text(self.out, name)?;
        Ok(self.out)
    }

    pub(crate) fn text(&mut self, name: &str, text: Option<&str>) -> Result<()> {
        let out = self.name(name)?;
        write_optional_text(out, text)
    }

    pub(crate) fn number(&mut self, name: &str, number: Option<u64>) -> Result<()> {
        let out = self.name(name)?;
        match number {
            Some(number) => cbor::write_integer(out, Integer::from(number)),
            None => out.push(cbor::NULL),
        }
        Ok(())
    }

    pub(crate) fn bytes(&mut self, name: &str, bytes: Option<&[u8]>) -> Result<()> {
        let out = self.name(name)?;
        match bytes {
            Some(bytes) => cbor::write_bytes(out, bytes)?,
            None => out.push(cbor::NULL),
        }
        Ok(())
    }

    /// Sixteen bytes as a list of sixteen integers.
    pub(crate) fn list_of_bytes(&mut self, name: &str, bytes: Option<&[u8; 16]>) -> Result<()> {
        let out = self.name(name)?;
        let Some(bytes) = bytes else {
            out.push(cbor::NULL);
            return Ok(());
        };
        cbor::write_length(out, major::LIST, bytes.len());
        bytes.iter().for_each(|byte| cbor::write_integer(out, Integer::from(*byte)));
        Ok(())
    }

    pub(crate) fn texts<'t>(
        &mut self,
        name: &str,
        count: usize,
        texts: &mut dyn Iterator<Item = (&'t str, Option<&'t str>)>,
    ) -> Result<()> {
        let start = self.start;
        let out = self.name(name)?;
        cbor::write_length(out, major::MAP, count);
        for (key, text) in texts {
            cbor::write_text(out, key)?;
            write_optional_text(out, text)?;
            cbor::check_bytes(out.len().saturating_sub(start))?;
        }
        Ok(())
    }

    pub(crate) fn value(&mut self, name: &str, value: &Value) -> Result<()> {
        let start = self.start;
        let out = self.name(name)?;
        value.encode_at(out, start, DEPTH)
    }

    /// Checks that it is not too large.
    pub(crate) fn finish(self) -> Result<()> {
        cbor::check_bytes(self.out.len().saturating_sub(self.start))
    }
}

fn write_optional_text(out: &mut Vec<u8>, text: Option<&str>) -> Result<()> {
    match text {
        Some(text) => cbor::write_text(out, text),
        None => {
            out.push(cbor::NULL);
            Ok(())
        }
    }
}

/// Reads a map that fills `bytes`. `field` is called for each name, and reads what it has; it returns whether it knows the
/// name.
pub(crate) fn read_fields<'a>(
    bytes: &'a [u8],
    field: &mut dyn FnMut(&'a str, &mut FieldReader<'_, 'a>) -> Result<bool>,
) -> Result<()> {
    let mut reader = Reader::new(bytes)?;
    let count = match reader.head()? {
        Head::Map(count) => count,
        other => return Err(other.mismatch("map")),
    };
    for _ in 0..count {
        let name = text(&mut reader)?;
        if !field(name, &mut FieldReader(&mut reader))? {
            let head = reader.head()?;
            reader.skip(head, DEPTH)?;
        }
    }
    reader.finish()
}

/// Reads what a field has.
pub(crate) struct FieldReader<'r, 'a>(&'r mut Reader<'a>);

impl<'a> FieldReader<'_, 'a> {
    pub(crate) fn text(&mut self) -> Result<&'a str> {
        text(self.0)
    }

    pub(crate) fn optional_text(&mut self) -> Result<Option<&'a str>> {
        optional_text(self.0)
    }

    pub(crate) fn number(&mut self) -> Result<u64> {
        self.optional_number()?.ok_or_else(|| Head::Null.mismatch("integer"))
    }

    pub(crate) fn optional_number(&mut self) -> Result<Option<u64>> {
        match self.0.head()? {
            Head::Null => Ok(None),
            Head::Integer(number) => match number.as_u64() {
                Some(number) => Ok(Some(number)),
                None => Err(Error::Invalid { what: "value", why: format!("{number} is not from 0 to 2^64 - 1") }),
            },
            other => Err(other.mismatch("integer")),
        }
    }

    pub(crate) fn optional_bytes(&mut self) -> Result<Option<&'a [u8]>> {
        match self.0.head()? {
            Head::Null => Ok(None),
            Head::Bytes(length) => self.0.bytes(length).map(Some),
            other => Err(other.mismatch("bytes")),
        }
    }

    pub(crate) fn optional_list_of_bytes(&mut self) -> Result<Option<[u8; 16]>> {
        match self.0.head()? {
            Head::Null => return Ok(None),
            Head::List(16) => {}
            other => return Err(other.mismatch("list of 16 bytes")),
        }
        let mut bytes = [0; 16];
        for byte in &mut bytes {
            let number = self.number()?;
            *byte = u8::try_from(number)
                .map_err(|_| Error::Invalid { what: "value", why: format!("{number} is not a byte") })?;
        }
        Ok(Some(bytes))
    }

    /// Calls `each` for each text with its name.
    pub(crate) fn texts(&mut self, each: &mut dyn FnMut(&'a str, Option<&'a str>) -> Result<()>) -> Result<()> {
        let count = match self.0.head()? {
            Head::Map(count) => count,
            other => return Err(other.mismatch("map")),
        };
        for _ in 0..count {
            let key = text(self.0)?;
            each(key, optional_text(self.0)?)?;
        }
        Ok(())
    }

    pub(crate) fn value(&mut self) -> Result<Value> {
        Value::decode_at(self.0, DEPTH)
    }
}

fn text<'a>(reader: &mut Reader<'a>) -> Result<&'a str> {
    optional_text(reader)?.ok_or_else(|| Head::Null.mismatch("text"))
}

fn optional_text<'a>(reader: &mut Reader<'a>) -> Result<Option<&'a str>> {
    match reader.head()? {
        Head::Null => Ok(None),
        Head::Text(length) => reader.text(length).map(Some),
        other => Err(other.mismatch("text")),
    }
}

/// Keeps what a field has. A field that is there twice is not a record of ours.
pub(crate) fn set<T>(slot: &mut Option<T>, name: &str, value: T) -> Result<bool> {
    match slot.replace(value) {
        None => Ok(true),
        Some(_) => Err(Error::Invalid { what: "value", why: format!("the field {name} is there twice") }),
    }
}

/// What a field has that must be there.
pub(crate) fn required<T>(slot: Option<T>, name: &str) -> Result<T> {
    slot.ok_or_else(|| Error::Invalid { what: "value", why: format!("the field {name} is missing") })
}

/// Text that is to be kept.
pub(crate) fn owned(text: Option<&str>) -> Option<String> {
    text.map(String::from)
}
