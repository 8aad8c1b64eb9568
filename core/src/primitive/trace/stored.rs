//! How an entry is stored, and the index entries that lead to it. Rules F-31 and F-38.

use alloc::{format, string::String, vec::Vec};

use super::{TraceEntry, TraceId, TraceKind};
use crate::{
    Error, Result,
    error::check_limit,
    limits::KEY_BYTES_MAX,
    primitive::{
        Version,
        access::Item,
        entry::{encoded, named},
    },
    state::Family,
    value::{
        Encode, Value,
        cbor::{Head, Reader},
        fields::{FieldWriter, read_fields, required, set},
    },
};

/// Stands for the parent of entries that have none, in the index by parent. No id is zero: its version is not.
pub(super) const NO_PARENT: [u8; 16] = [0; 16];

/// Longest name of a kind: behind it come a zero byte and an id, and all of that is a key.
pub(super) const KIND_BYTES_MAX: usize = KEY_BYTES_MAX - 17;

/// What an entry is stored as: a map with these names, in this order. The index reads the first two and stops.
pub(super) struct Stored {
    pub(super) kind: TraceKind,
    pub(super) parent: Option<TraceId>,
    pub(super) name: String,
    pub(super) time: u64,
    pub(super) duration: Option<u64>,
    pub(super) data: Value,
    /// Null where nothing came of it, or nobody has said so yet; then it is not stored.
    pub(super) output: Value,
}

impl Stored {
    pub(super) fn body(&self) -> Result<Vec<u8>> {
        encoded(self)
    }

    pub(super) fn read(id: TraceId, item: &Item<'_>) -> Result<Self> {
        Self::decode(&item.bytes()?).map_err(|error| named(error, &id.to_bytes()))
    }

    fn decode(bytes: &[u8]) -> Result<Self> {
        let (mut kind, mut parent, mut name, mut time, mut duration) = (None, None, None, None, None);
        let (mut data, mut output) = (None, None);
        read_fields(bytes, &mut |field, reader| match field {
            "kind" => set(&mut kind, field, TraceKind::from_name(reader.text()?)),
            "parent" => set(&mut parent, field, reader.optional_bytes()?.map(id_of).transpose()?),
            "name" => set(&mut name, field, reader.text()?),
            "time" => set(&mut time, field, reader.number()?),
            "duration" => set(&mut duration, field, reader.optional_number()?),
            "data" => set(&mut data, field, reader.value()?),
            "output" => set(&mut output, field, reader.value()?),
            _ => Ok(false),
        })?;
        Ok(Self {
            kind: required(kind, "kind")?,
            parent: parent.flatten(),
            name: required(name, "name")?.into(),
            time: required(time, "time")?,
            duration: duration.flatten(),
            data: required(data, "data")?,
            output: output.unwrap_or(Value::Null),
        })
    }

    pub(super) fn into_entry(self, id: TraceId, version: Version) -> TraceEntry {
        TraceEntry {
            id,
            kind: self.kind,
            name: self.name,
            parent: self.parent,
            time_micros: self.time,
            duration_micros: self.duration,
            data: self.data,
            output: self.output,
            version,
        }
    }
}

impl Encode for Stored {
    fn encode(&self, out: &mut Vec<u8>) -> Result<()> {
        let start = out.len();
        let written = self.write(out);
        if written.is_err() {
            out.truncate(start);
        }
        written
    }
}

impl Stored {
    fn write(&self, out: &mut Vec<u8>) -> Result<()> {
        let mut fields = FieldWriter::new(out, if self.output == Value::Null { 6 } else { 7 });
        fields.text("kind", Some(self.kind.name()))?;
        fields.bytes("parent", self.parent.map(TraceId::to_bytes).as_ref().map(<[u8; 16]>::as_slice))?;
        fields.text("name", Some(&self.name))?;
        fields.number("time", Some(self.time))?;
        fields.number("duration", self.duration)?;
        fields.value("data", &self.data)?;
        if self.output != Value::Null {
            fields.value("output", &self.output)?;
        }
        fields.finish()
    }
}

fn id_of(bytes: &[u8]) -> Result<TraceId> {
    let id = <[u8; 16]>::try_from(bytes).map(TraceId::from_bytes);
    id.map_err(|_| Error::Invalid { what: "trace id", why: format!("it has {} bytes", bytes.len()) })
}

/// Whether a reader can take an entry with this id and body.
pub(crate) fn check_stored(id: &[u8], body: &[u8]) -> Result<()> {
    trace_index(id, body)?;
    Stored::decode(body).map(|_| ())
}

/// The tree keys that lead to an entry: one by its parent, one by its kind. A pure function of what is logged.
///
/// Fails with [`Error::Invalid`] or [`Error::Type`] where the body does not begin with kind and parent.
pub(crate) fn trace_index(id: &[u8], body: &[u8]) -> Result<Vec<Vec<u8>>> {
    check_trace_index(id, body)?;
    let (kind, parent) = indexed_fields(body)?;
    Ok(Vec::from([
        Family::TraceByParent.key(&[parent, id].concat()),
        Family::TraceByType.key(&[kind.as_bytes(), &[0], id].concat()),
    ]))
}

/// Whether [`trace_index`] succeeds, and the tree can take what it gives. Allocates nothing.
pub(crate) fn check_trace_index(id: &[u8], body: &[u8]) -> Result<()> {
    let (kind, _) = indexed_fields(body)?;
    if id.len() != NO_PARENT.len() {
        // The indexes could not be led back to an entry.
        return Err(Error::Invalid { what: "id of a trace entry", why: format!("it has {} bytes", id.len()) });
    }
    check_limit("trace kind bytes", kind.len(), KIND_BYTES_MAX)
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
