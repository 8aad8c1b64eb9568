//! How an entry is stored, and the index entries that lead to it. Rules F-31 and F-38.

use alloc::{format, string::String, vec::Vec};

use serde::{Deserialize, Serialize};

use super::{TraceEntry, TraceId, TraceKind};
use crate::{
    Error, Result,
    primitive::{
        access::Item,
        entry::{encoded, named},
    },
    state::Family,
    value::{
        Decode, Serde, Value,
        cbor::{Head, Reader},
    },
};

/// Stands for the parent of entries that have none, in the index by parent. No id is zero: its version is not.
pub(super) const NO_PARENT: [u8; 16] = [0; 16];

/// What an entry is stored as: a map with these names, in this order. The index reads the first two and stops.
#[derive(Serialize, Deserialize)]
pub(super) struct Stored {
    pub(super) kind: TraceKind,
    pub(super) parent: Option<TraceId>,
    pub(super) name: String,
    pub(super) time: u64,
    pub(super) duration: Option<u64>,
    pub(super) data: Value,
}

impl Stored {
    pub(super) fn body(&self) -> Result<Vec<u8>> {
        encoded(&Serde(self))
    }

    pub(super) fn read(id: TraceId, item: &Item<'_>) -> Result<Self> {
        match Serde::<Stored>::decode(&item.bytes()?) {
            Ok(Serde(stored)) => Ok(stored),
            Err(error) => Err(named(error, &id.to_bytes())),
        }
    }

    pub(super) fn into_entry(self, id: TraceId) -> TraceEntry {
        TraceEntry {
            id,
            kind: self.kind,
            name: self.name,
            parent: self.parent,
            time_micros: self.time,
            duration_micros: self.duration,
            data: self.data,
        }
    }
}

/// Whether a reader can take an entry with this id and body.
pub(crate) fn check_stored(id: &[u8], body: &[u8]) -> Result<()> {
    trace_index(id, body)?;
    Serde::<Stored>::decode(body).map(|_| ())
}

/// The tree keys that lead to an entry: one by its parent, one by its kind. A pure function of what is logged.
///
/// Fails with [`Error::Invalid`] or [`Error::Type`] where the body does not begin with kind and parent.
pub(crate) fn trace_index(id: &[u8], body: &[u8]) -> Result<Vec<Vec<u8>>> {
    let (kind, parent) = indexed_fields(body)?;
    if id.len() != NO_PARENT.len() {
        // The indexes could not be led back to an entry.
        return Err(Error::Invalid { what: "id of a trace entry", why: format!("it has {} bytes", id.len()) });
    }
    Ok(Vec::from([
        Family::TraceByParent.key(&[parent, id].concat()),
        Family::TraceByType.key(&[kind.as_bytes(), &[0], id].concat()),
    ]))
}

fn indexed_fields(body: &[u8]) -> Result<(&str, &[u8])> {
    let mut reader = Reader::new(body)?;
    match reader.head()? {
        Head::Map(_) => {}
        other => return Err(other.mismatch("a trace entry")),
    }
    let kind = match (expect_name(&mut reader, "kind")?, reader.head()?) {
        ((), Head::Text(length)) => reader.text(length)?,
        ((), other) => return Err(other.mismatch("the kind of a trace entry")),
    };
    let parent = match (expect_name(&mut reader, "parent")?, reader.head()?) {
        ((), Head::Null) => NO_PARENT.as_slice(),
        ((), Head::Bytes(16)) => reader.bytes(16)?,
        ((), other) => return Err(other.mismatch("the id of a trace entry's parent")),
    };
    if kind.is_empty() || kind.contains('\0') {
        return Err(Error::Invalid { what: "trace kind", why: format!("{kind:?}") });
    }
    Ok((kind, parent))
}

fn expect_name(reader: &mut Reader<'_>, name: &'static str) -> Result<()> {
    match reader.head()? {
        Head::Text(length) if reader.text(length)? == name => Ok(()),
        other => Err(other.mismatch(name)),
    }
}
