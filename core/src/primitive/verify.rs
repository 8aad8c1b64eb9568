//! Verification of what primitives keep in a tree: everything that a reader would decode can be decoded.
//!
//! Invariant: where [`check_entry`] and the chain of a stream find nothing wrong, no read of a primitive fails. A log that
//! holds is not enough for that: checksums say that bytes are those which were written, not that they are values.

use alloc::format;

use super::{
    cells::Cell,
    trace::{check_stored, id_at_end},
};
use crate::{
    Error, ErrorKind, Result,
    json::decode_document,
    log::snapshot_name,
    state::{BatchIndex, Family, Source, StreamInfo, check_expiry_entry, entry_bytes, entry_kind, readable},
    tree::{EntryRef, Tree},
    value::cbor,
};

/// Checks one entry of a space: its key, its kind, and the value as its reader takes it. Cost: one pass over the value,
/// which is read from the log where it is large; for an index entry of a trace, one lookup.
pub(crate) fn check_entry(tree: &Tree, key: &[u8], entry: &EntryRef<'_>, source: &dyn Source) -> Result<()> {
    let whole = key;
    let Some((family, key)) = key.split_first().and_then(|(byte, key)| Some((Family::from_byte(*byte)?, key))) else {
        return Err(corrupt("F-31", format!("a tree key that begins with {:?}", key.first())));
    };
    check_expiry_entry(tree, whole, entry, source)?;
    match family {
        Family::Expiry => Ok(()),
        Family::Kv => cbor::check(&entry_bytes(entry, source)?),
        Family::Json => decode_document(&entry_bytes(entry, source)?).map(|_| ()),
        Family::State => Cell::decode(&entry_bytes(entry, source)?).map(|_| ()),
        Family::Trace => check_stored(key, &entry_bytes(entry, source)?),
        Family::Stream => StreamInfo::decode(entry.value).map(|_| ()),
        Family::Batch if entry.kind == entry_kind::BATCH => BatchIndex::decode(entry.value).map(|_| ()),
        Family::Batch => Err(corrupt("F-34", format!("a batch is of kind {}", entry.kind))),
        Family::TraceByParent | Family::TraceByType => {
            let id = id_at_end(key)?;
            match tree.get(&Family::Trace.key(&id.to_bytes()), source)? {
                Some(_) => Ok(()),
                None => Err(corrupt("F-31", format!("an index leads to trace entry {id}, which is not there"))),
            }
        }
    }
}

/// The error of a reader of an entry: damage where nobody could read the entry, with the page that it came from; the same error
/// where the entry is in order and is only not what this reader asked for.
///
/// A checksum that holds says that bytes are those which were written. `Invalid` would tell the caller to change the call.
#[cold]
pub(crate) fn judged(error: Error, tree: &Tree, key: &[u8], entry: &EntryRef<'_>, source: &dyn Source) -> Error {
    if error.kind() != ErrorKind::Invalid {
        return error;
    }
    match check_entry(tree, key, entry, source) {
        Ok(()) => error,
        Err(found) if matches!(found.kind(), ErrorKind::Invalid | ErrorKind::Limit) => {
            let (file, offset) = match tree.page_of(key) {
                Some(page) => (snapshot_name(page.generation), page.offset),
                None => ("tree".into(), 0),
            };
            let key = readable(key.get(1..).unwrap_or_default());
            Error::Corrupt {
                file,
                offset,
                rule: "F-32",
                what: format!("the entry of key {key} cannot be read: {found}"),
            }
        }
        Err(found) => found,
    }
}

fn corrupt(rule: &'static str, what: alloc::string::String) -> Error {
    Error::Corrupt { file: "tree".into(), offset: 0, rule, what }
}
