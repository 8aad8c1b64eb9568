//! What the primitives share: one entry looked up, decoded and described.
//!
//! Invariant: an error that a value causes names the key it is stored under, and a value is never converted in silence.

use alloc::{format, string::String, vec::Vec};

use super::access::{Item, Reads, Writes};
use crate::{
    Error, Result,
    error::check_limit,
    limits::{KEY_BYTES_MAX, VALUE_BYTES_MAX},
    log::OpCode,
    state::{Family, SpaceNumber, readable},
    value::{Decode, Encode, ValueRef},
};

/// Longest text that an error shows of a value.
const SHOWN_CHARS_MAX: usize = 64;
/// Largest value that is shown at all; of a larger one only type and size are.
const SHOWN_BYTES_MAX: usize = 256;

/// What `decode` makes of a key's entry, if it has one.
pub(crate) fn lookup<T>(
    reads: &dyn Reads,
    space: SpaceNumber,
    family: Family,
    key: &[u8],
    decode: impl FnOnce(&Item<'_>) -> Result<T>,
) -> Result<Option<T>> {
    let (mut found, mut decode) = (None, Some(decode));
    reads.get_with(space, family, key, &mut |item| {
        if let (Some(item), Some(decode)) = (item, decode.take()) {
            found = Some(decode(&item)?);
        }
        Ok(())
    })?;
    Ok(found)
}

/// Whether a key has an entry.
pub(crate) fn exists(reads: &dyn Reads, space: SpaceNumber, family: Family, key: &[u8]) -> Result<bool> {
    let mut there = false;
    reads.get_with(space, family, key, &mut |item| {
        there = item.is_some();
        Ok(())
    })?;
    Ok(there)
}

/// Deletes the entry of a key, and says whether it could be seen. One that is hidden because it is over goes too: else a clock that
/// is set back would show again what somebody has deleted.
pub(crate) fn delete(
    writes: &dyn Writes,
    space: SpaceNumber,
    (family, code): (Family, OpCode),
    key: &[u8],
) -> Result<bool> {
    let is_shown = exists(writes, space, family, key)?;
    let mut is_there = is_shown;
    if !is_shown {
        writes.with_hidden(&mut || {
            is_there = exists(writes, space, family, key)?;
            Ok(())
        })?;
    }
    if is_there {
        writes.write(space, code, key, &[])?;
    }
    Ok(is_shown)
}

/// A value's encoded form.
pub(crate) fn encoded<V: Encode + ?Sized>(value: &V) -> Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(64);
    value.encode(&mut bytes)?;
    Ok(bytes)
}

/// Keys and encoded values of one commit, one behind the other in a single buffer.
#[derive(Default)]
pub(crate) struct EncodedPairs {
    bytes: Vec<u8>,
    /// Where each key and each value ends.
    ends: Vec<(usize, usize)>,
}

impl EncodedPairs {
    /// Fails where one of the pairs could not be written: found out only while they are, the pairs before it would stay in
    /// the transaction.
    pub(crate) fn push<V: Encode + ?Sized>(&mut self, key: &[u8], value: &V) -> Result<()> {
        check_limit("key bytes", key.len(), KEY_BYTES_MAX)?;
        self.bytes.extend_from_slice(key);
        let key_end = self.bytes.len();
        value.encode(&mut self.bytes)?;
        check_limit("value bytes", self.bytes.len() - key_end, VALUE_BYTES_MAX)?;
        self.ends.push((key_end, self.bytes.len()));
        Ok(())
    }

    /// Keys and values, in the order in which they were pushed.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let mut start = 0;
        self.ends.iter().map(move |(key_end, end)| {
            let key = self.bytes.get(start..*key_end).unwrap_or_default();
            start = *end;
            (key, self.bytes.get(*key_end..*end).unwrap_or_default())
        })
    }
}

/// Decodes what is stored under `key`.
pub(crate) fn decoded<T: Decode>(key: &[u8], bytes: &[u8]) -> Result<T> {
    T::decode(bytes).map_err(|error| named(error, key))
}

/// The same error, with the key: in the place of the word "value", or behind what is wrong.
pub(crate) fn named(error: Error, key: &[u8]) -> Error {
    match error {
        Error::Type { expected, found, .. } => Error::Type { what: readable(key), expected, found },
        Error::Invalid { what, why } => Error::Invalid { what, why: format!("{why} (under key {})", readable(key)) },
        other => other,
    }
}

/// A condition that does not hold.
pub(crate) fn unmet(key: &[u8], expected: impl Into<String>, found: impl Into<String>) -> Error {
    Error::Precondition { key: readable(key), expected: expected.into(), found: found.into() }
}

/// Nothing of this name.
pub(crate) fn missing(what: &'static str, key: &[u8]) -> Error {
    Error::NotFound { what, name: readable(key) }
}

/// A stored value as an error message shows it.
pub(crate) fn described(bytes: &[u8]) -> String {
    let Ok(value) = ValueRef::decode(bytes) else { return format!("{} bytes that are no value", bytes.len()) };
    let name = value.type_name();
    match value.to_value() {
        Ok(value) if bytes.len() <= SHOWN_BYTES_MAX => {
            let text = format!("{value}");
            match text.char_indices().nth(SHOWN_CHARS_MAX) {
                Some((end, _)) => format!("{name} {}…", text.get(..end).unwrap_or_default()),
                None => format!("{name} {text}"),
            }
        }
        _ => format!("{name} of {} bytes", bytes.len()),
    }
}
