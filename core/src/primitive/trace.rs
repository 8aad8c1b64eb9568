//! Trace entries: [`Trace`].
//!
//! Invariants:
//! - Kind, name, parent and time of an entry never change, so the index entries that the fold makes when an entry is
//!   recorded stay right for ever.
//! - Ids sort by the times of their entries: a range of times is a range of ids.

use alloc::{borrow::ToOwned, format, string::String, vec::Vec};
use core::{fmt, ops::Bound, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{
    access::{Access, AccessMut, Item, Reads},
    entry::{encoded, exists, lookup, missing, named},
    scan::{ScanOptions, behind_prefix, count, scan, scan_range},
};
use crate::{
    Error, Result, RunId,
    error::check_limit,
    host::Host,
    id::uuid_v7,
    limits::KEY_BYTES_MAX,
    log::OpCode,
    state::{Family, SpaceNumber},
    tree::KeyRange,
    value::{
        Decode, Serde, Value,
        cbor::{Head, Reader},
    },
};

/// Stands for the parent of entries that have none, in the index by parent. No id is zero: its version is not.
const NO_PARENT: [u8; 16] = [0; 16];

/// Microseconds of one step of an id's 48-bit time.
const MICROS_PER_MILLI: u64 = 1000;

/// The first time that no id can hold: 2^48 milliseconds, in the year 10889.
const TIME_MICROS_END: u64 = (1 << 48) * MICROS_PER_MILLI;

/// The trace of a space, reached through a store, a run, a transaction or a view: what a program did, why, and what came
/// of it, as a tree of entries.
///
/// # Errors
/// Every operation can fail as the storage does ([`Error::Storage`], [`Error::Corrupt`]), and every write as a commit
/// does. What else can happen stands with each operation.
#[derive(Clone, Copy, Debug)]
pub struct Trace<A> {
    access: A,
    space: SpaceNumber,
}

/// Identifies a trace entry: a UUID of version 7 (RFC 9562) that holds the entry's time to a quarter of a microsecond, so
/// that ids sort by time. Entries of one microsecond have no particular order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TraceId([u8; 16]);

impl TraceId {
    /// The id with these 16 bytes.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        TraceId(bytes)
    }

    /// The 16 bytes of the id, in the order in which they are stored and sorted.
    pub const fn to_bytes(self) -> [u8; 16] {
        self.0
    }

    /// A new id of an entry of this time. The time is checked to be before [`TIME_MICROS_END`].
    fn generate(host: &dyn Host, time_micros: u64) -> Self {
        let mut bytes = uuid_v7(host);
        let [prefix @ .., _, _] = time_prefix(time_micros);
        bytes[..6].copy_from_slice(&prefix);
        // RFC 9562, section 6.2, method 3: the 12 bits behind the version are the fraction of the millisecond.
        let [_, _, _, _, _, _, high, low] = time_prefix(time_micros);
        bytes[6] = 0x70 | high;
        bytes[7] = low;
        TraceId(bytes)
    }

    /// The lowest id that an entry of this time can have.
    fn lowest(time_micros: u64) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&time_prefix(time_micros));
        bytes[6] |= 0x70;
        bytes
    }
}

/// The first 8 bytes of an id of this time, without its version: 48 bits of milliseconds, 4 bits of nothing, and 12 bits
/// of the fraction.
fn time_prefix(time_micros: u64) -> [u8; 8] {
    let millis = time_micros / MICROS_PER_MILLI;
    let fraction = (time_micros % MICROS_PER_MILLI) * 4096 / MICROS_PER_MILLI;
    ((millis << 16) | fraction).to_be_bytes()
}

// A trace id is written the way a run id is; both are UUIDs.
impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&RunId::from_bytes(self.0), f)
    }
}

impl fmt::Debug for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for TraceId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text.parse::<RunId>() {
            Ok(id) => Ok(TraceId(id.to_bytes())),
            Err(Error::Invalid { why, .. }) => Err(Error::Invalid { what: "trace id", why }),
            Err(other) => Err(other),
        }
    }
}

/// Text for people, 16 bytes in the store.
impl Serialize for TraceId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() { serializer.collect_str(self) } else { serializer.serialize_bytes(&self.0) }
    }
}

impl<'de> Deserialize<'de> for TraceId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let id = match Value::deserialize(deserializer)? {
            Value::Bytes(bytes) => bytes.try_into().map(TraceId).ok(),
            Value::Text(text) => text.parse().ok(),
            _ => None,
        };
        id.ok_or_else(|| serde::de::Error::custom("expected a trace id of 16 bytes"))
    }
}

/// What sort of step an entry records.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TraceKind {
    /// Something outside was called.
    ToolCall,
    /// One way was chosen among several.
    Decision,
    /// Something was looked up.
    Query,
    /// Something was considered.
    Thought,
    /// Something went wrong.
    Error,
    /// Anything else, by its own name.
    Custom(String),
}

impl TraceKind {
    /// The name that the kind is stored and found under.
    pub fn name(&self) -> &str {
        match self {
            TraceKind::ToolCall => "tool_call",
            TraceKind::Decision => "decision",
            TraceKind::Query => "query",
            TraceKind::Thought => "thought",
            TraceKind::Error => "error",
            TraceKind::Custom(name) => name,
        }
    }

    /// The kind of this name: one of the five, or a custom one.
    pub fn from_name(name: &str) -> Self {
        match name {
            "tool_call" => TraceKind::ToolCall,
            "decision" => TraceKind::Decision,
            "query" => TraceKind::Query,
            "thought" => TraceKind::Thought,
            "error" => TraceKind::Error,
            _ => TraceKind::Custom(name.to_owned()),
        }
    }

    /// A name becomes part of a key of the index, and a zero byte marks its end there.
    fn check(&self) -> Result<()> {
        let name = self.name();
        check_limit("trace kind bytes", name.len(), KEY_BYTES_MAX - 17)?;
        if name.is_empty() || name.contains('\0') {
            let why = format!("{name:?} is empty or contains a zero character");
            return Err(Error::Invalid { what: "trace kind", why });
        }
        Ok(())
    }
}

impl fmt::Display for TraceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Serialize for TraceKind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for TraceKind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(TraceKind::from_name(&String::deserialize(deserializer)?))
    }
}

/// An entry that is to be recorded.
#[derive(Clone, Debug, PartialEq)]
pub struct TraceRecord {
    /// What sort of step it is.
    pub kind: TraceKind,
    /// What it is called, as in the name of a tool.
    pub name: String,
    /// Whatever else there is to say.
    pub data: Value,
    /// The entry that this one is a part of. Whether it exists is not checked: parts may arrive before the whole.
    pub parent: Option<TraceId>,
    /// How long it took, in microseconds, where that is known already.
    pub duration_micros: Option<u64>,
    /// When it began, in microseconds since 1970; `None` for now.
    pub time_micros: Option<u64>,
}

impl TraceRecord {
    /// An entry without data, of now.
    pub fn new(kind: TraceKind, name: impl Into<String>) -> Self {
        TraceRecord {
            kind,
            name: name.into(),
            data: Value::Null,
            parent: None,
            duration_micros: None,
            time_micros: None,
        }
    }

    /// With this data.
    #[must_use]
    pub fn data(mut self, data: impl Into<Value>) -> Self {
        self.data = data.into();
        self
    }

    /// As a part of this entry.
    #[must_use]
    pub fn parent(mut self, parent: TraceId) -> Self {
        self.parent = Some(parent);
        self
    }

    /// With this duration, in microseconds.
    #[must_use]
    pub fn duration_micros(mut self, duration: u64) -> Self {
        self.duration_micros = Some(duration);
        self
    }

    /// With this beginning, in microseconds since 1970.
    #[must_use]
    pub fn time_micros(mut self, time: u64) -> Self {
        self.time_micros = Some(time);
        self
    }
}

/// A recorded entry.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TraceEntry {
    /// Its id.
    pub id: TraceId,
    /// What sort of step it is.
    pub kind: TraceKind,
    /// What it is called.
    pub name: String,
    /// The entry that it is a part of.
    pub parent: Option<TraceId>,
    /// When it began, in microseconds since 1970.
    pub time_micros: u64,
    /// How long it took, in microseconds; `None` while that is not known.
    pub duration_micros: Option<u64>,
    /// Whatever else there is to say.
    pub data: Value,
}

/// What an entry is stored as: a map with these names, in this order. The index reads the first two and stops.
#[derive(Serialize, Deserialize)]
struct Stored {
    kind: TraceKind,
    parent: Option<TraceId>,
    name: String,
    time: u64,
    duration: Option<u64>,
    data: Value,
}

impl Stored {
    fn body(&self) -> Result<Vec<u8>> {
        encoded(&Serde(self))
    }

    fn read(id: TraceId, item: &Item<'_>) -> Result<Self> {
        match Serde::<Stored>::decode(&item.bytes()?) {
            Ok(Serde(stored)) => Ok(stored),
            Err(error) => Err(named(error, &id.0)),
        }
    }

    fn into_entry(self, id: TraceId) -> TraceEntry {
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

/// The tree keys that lead to an entry: one by its parent, one by its kind. A pure function of what is logged.
///
/// Fails with [`Error::Invalid`] or [`Error::Type`] where the body does not begin with kind and parent.
pub(crate) fn trace_index(id: &[u8], body: &[u8]) -> Result<Vec<Vec<u8>>> {
    let (kind, parent) = indexed_fields(body)?;
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

impl<A> Trace<A> {
    pub(crate) fn new(access: A, space: SpaceNumber) -> Self {
        Trace { access, space }
    }
}

impl<A: Access> Trace<A> {
    /// The entry of this id, if there is one.
    pub fn get(&self, id: TraceId) -> Result<Option<TraceEntry>> {
        self.access.read(|reads| get(reads, self.space, id))
    }

    /// Whether there is an entry of this id.
    pub fn exists(&self, id: TraceId) -> Result<bool> {
        self.access.read(|reads| exists(reads, self.space, Family::Trace, &id.0))
    }

    /// How many entries there are. The cost is linear in that number.
    pub fn count(&self) -> Result<u64> {
        self.access.read(|reads| count(reads, self.space, Family::Trace, &KeyRange::all()))
    }

    /// The entries, oldest first unless the options say otherwise. Keys and cursor of the options are the bytes of ids.
    pub fn list(&self, options: &ScanOptions) -> Result<Vec<TraceEntry>> {
        self.access.read(|reads| list(reads, self.space, options, &KeyRange::all()))
    }

    /// The parts of an entry, oldest first unless the options say otherwise. Keys and cursor of the options are the bytes
    /// of ids.
    pub fn children(&self, parent: TraceId, options: &ScanOptions) -> Result<Vec<TraceEntry>> {
        self.access.read(|reads| indexed(reads, self.space, Family::TraceByParent, &parent.0, options))
    }

    /// The entries that are part of no other one, as [`Trace::children`] lists parts.
    pub fn roots(&self, options: &ScanOptions) -> Result<Vec<TraceEntry>> {
        self.access.read(|reads| indexed(reads, self.space, Family::TraceByParent, &NO_PARENT, options))
    }

    /// The entries of a kind, oldest first unless the options say otherwise. Keys and cursor of the options are the bytes
    /// of ids.
    pub fn by_kind(&self, kind: &TraceKind, options: &ScanOptions) -> Result<Vec<TraceEntry>> {
        let prefix = [kind.name().as_bytes(), &[0]].concat();
        self.access.read(|reads| indexed(reads, self.space, Family::TraceByType, &prefix, options))
    }

    /// The entries that began at `from_micros` or later and before `to_micros`, in microseconds since 1970, as
    /// [`Trace::list`] lists them.
    pub fn by_time(&self, from_micros: u64, to_micros: u64, options: &ScanOptions) -> Result<Vec<TraceEntry>> {
        let begin = TraceId::lowest(from_micros.min(TIME_MICROS_END - 1)).to_vec();
        if from_micros >= to_micros.min(TIME_MICROS_END) {
            return Ok(Vec::new());
        }
        let end = match to_micros {
            TIME_MICROS_END.. => Bound::Unbounded,
            _ => Bound::Excluded(TraceId::lowest(to_micros).to_vec()),
        };
        let mut options = options.clone();
        let asked = core::mem::replace(&mut options.range, KeyRange::new(Bound::Included(begin), end));
        self.access.read(|reads| list(reads, self.space, &options, &asked))
    }
}

impl<A: AccessMut> Trace<A> {
    /// Records an entry and returns its id.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the name of the kind is empty or contains a zero character, or the time is behind the year
    /// 10000; [`Error::Limit`] if the entry is too large.
    pub fn record(&self, record: TraceRecord) -> Result<TraceId> {
        record.kind.check()?;
        let mut stored = Stored {
            kind: record.kind,
            parent: record.parent,
            name: record.name,
            time: 0,
            duration: record.duration_micros,
            data: record.data,
        };
        self.access.write(|writes| {
            stored.time = record.time_micros.unwrap_or_else(|| writes.host().now_micros());
            if stored.time >= TIME_MICROS_END {
                let why = format!("{} microseconds since 1970 are too many for an id", stored.time);
                return Err(Error::Invalid { what: "trace time", why });
            }
            let id = TraceId::generate(writes.host(), stored.time);
            writes.write(self.space, OpCode::TracePut, &id.0, &stored.body()?)?;
            Ok(id)
        })
    }

    /// Completes an entry: sets how long it took (with `None`, from its beginning until now) and, unless `None`, what
    /// came of it. Everything else about an entry never changes. Returns the completed entry.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is no such entry, [`Error::Limit`] if it is too large.
    pub fn finish(&self, id: TraceId, data: Option<Value>, duration_micros: Option<u64>) -> Result<TraceEntry> {
        self.access.write(|writes| {
            let mut stored = lookup(writes, self.space, Family::Trace, &id.0, |item| Stored::read(id, item))?
                .ok_or_else(|| not_found(id))?;
            let now = writes.host().now_micros();
            stored.duration = Some(duration_micros.unwrap_or(now.saturating_sub(stored.time)));
            if let Some(data) = &data {
                stored.data = data.clone();
            }
            writes.write(self.space, OpCode::TracePut, &id.0, &stored.body()?)?;
            Ok(stored.into_entry(id))
        })
    }
}

fn not_found(id: TraceId) -> Error {
    Error::NotFound { what: "trace entry", name: format!("{id}") }
}

fn get(reads: &dyn Reads, space: SpaceNumber, id: TraceId) -> Result<Option<TraceEntry>> {
    lookup(reads, space, Family::Trace, &id.0, |item| Ok(Stored::read(id, item)?.into_entry(id)))
}

/// The entries that the options choose and whose ids are in a range as well.
fn list(reads: &dyn Reads, space: SpaceNumber, options: &ScanOptions, asked: &KeyRange) -> Result<Vec<TraceEntry>> {
    let mut entries = Vec::new();
    scan(reads, space, Family::Trace, options, &mut |key, item| {
        let id = id_at_end(key)?;
        let wanted = asked.contains(&id.0);
        if wanted {
            entries.push(Stored::read(id, item)?.into_entry(id));
        }
        Ok(wanted)
    })?;
    Ok(entries)
}

/// The entries that an index has behind a prefix.
fn indexed(
    reads: &dyn Reads,
    space: SpaceNumber,
    family: Family,
    prefix: &[u8],
    options: &ScanOptions,
) -> Result<Vec<TraceEntry>> {
    let range = behind_prefix(prefix, &options.remaining());
    let mut ids = Vec::new();
    scan_range(reads, space, family, (&range, options.direction, options.most()), &mut |key, _| {
        ids.push(id_at_end(key)?);
        Ok(true)
    })?;
    ids.into_iter().map(|id| get(reads, space, id)?.ok_or_else(|| not_found(id))).collect()
}

/// The id that a key of the entries or of an index ends with.
fn id_at_end(key: &[u8]) -> Result<TraceId> {
    let id = key.last_chunk().ok_or_else(|| missing("id of trace entry", key))?;
    Ok(TraceId(*id))
}
