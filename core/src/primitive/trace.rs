//! Trace entries: [`Trace`].
//!
//! Invariants:
//! - Kind, name, parent and time of an entry never change, so the index entries that the fold makes when an entry is
//!   recorded stay right for ever.
//! - Ids sort by the times of their entries: a range of times is a range of ids.

use alloc::{format, vec::Vec};
use core::ops::Bound;

mod id;
mod record;
mod stored;

pub(crate) use self::stored::{check_stored, check_trace_index, trace_index};
use self::{
    id::TIME_MICROS_END,
    stored::{NO_PARENT, Stored},
};
pub use self::{
    id::TraceId,
    record::{TraceEntry, TraceKind, TraceRecord},
};
use super::{
    access::{Access, AccessMut, Reads},
    entry::{exists, lookup, missing},
    kv::Version,
    scan::{ScanOptions, behind_prefix, count, scan, scan_range},
};
use crate::{
    Error, Result,
    log::OpCode,
    state::{Family, SpaceNumber},
    tree::KeyRange,
    value::Value,
};

/// The trace of a space, reached through a store, a run, a transaction or a view: what a program did, why, and what
/// came of it, as a tree of entries.
///
/// # Errors
/// Every operation can fail as the storage does ([`Error::Storage`], [`Error::Corrupt`]), and every write as a commit
/// does. What else can happen stands with each operation.
#[derive(Clone, Copy, Debug)]
pub struct Trace<A> {
    access: A,
    space: SpaceNumber,
}

impl<A> Trace<A> {
    /// The trace entries of a space, through an access of one's own: for a host that wraps those of this crate. The handles of
    /// stores, runs, transactions and views give theirs.
    pub fn new(access: A, space: SpaceNumber) -> Self {
        Trace { access, space }
    }
}

impl<A: Access> Trace<A> {
    /// The entry of this id, if there is one.
    ///
    /// ```
    /// # extern crate foldb_core as foldb;
    /// # let db = foldb_core::Db::memory();
    /// use foldb::primitive::{TraceKind, TraceRecord};
    /// let id = db.trace().record(TraceRecord::new(TraceKind::Decision, "which model").data("the small one"))?;
    /// let entry = db.trace().get(id)?.expect("it was just recorded");
    /// assert_eq!(entry.kind, TraceKind::Decision);
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    pub fn get(&self, id: TraceId) -> Result<Option<TraceEntry>> {
        self.access.read(|reads| get(reads, self.space, id))
    }

    /// Whether there is an entry of this id.
    ///
    /// ```
    /// # extern crate foldb_core as foldb;
    /// # let db = foldb_core::Db::memory();
    /// use foldb::primitive::TraceId;
    /// assert!(!db.trace().exists(TraceId::from_bytes([7; 16]))?);
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    pub fn exists(&self, id: TraceId) -> Result<bool> {
        self.access.read(|reads| exists(reads, self.space, Family::Trace, &id.to_bytes()))
    }

    /// How many entries there are. The cost is linear in that number.
    ///
    /// ```
    /// # let db = foldb_core::Db::memory();
    /// assert_eq!(db.trace().count()?, 0);
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    pub fn count(&self) -> Result<u64> {
        self.access.read(|reads| count(reads, self.space, Family::Trace, &KeyRange::all()))
    }

    /// The entries, oldest first unless the options say otherwise. Keys and cursor of the options are the bytes of ids.
    ///
    /// ```
    /// # extern crate foldb_core as foldb;
    /// # let db = foldb_core::Db::memory();
    /// use foldb::primitive::{ScanOptions, TraceKind, TraceRecord};
    /// db.trace().record(TraceRecord::new(TraceKind::Thought, "plan"))?;
    /// let newest = db.trace().list(&ScanOptions::all().reverse().limit(1))?;
    /// assert_eq!(newest[0].name, "plan");
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    pub fn list(&self, options: &ScanOptions) -> Result<Vec<TraceEntry>> {
        self.access.read(|reads| list(reads, self.space, options))
    }

    /// The parts of an entry, oldest first unless the options say otherwise. Keys and cursor of the options are the
    /// bytes of ids.
    ///
    /// ```
    /// # extern crate foldb_core as foldb;
    /// # let db = foldb_core::Db::memory();
    /// use foldb::primitive::{ScanOptions, TraceKind, TraceRecord};
    /// let plan = db.trace().record(TraceRecord::new(TraceKind::Thought, "plan"))?;
    /// db.trace().record(TraceRecord::new(TraceKind::ToolCall, "search").parent(plan))?;
    /// assert_eq!(db.trace().children(plan, &ScanOptions::all())?[0].name, "search");
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    pub fn children(&self, parent: TraceId, options: &ScanOptions) -> Result<Vec<TraceEntry>> {
        self.access.read(|reads| indexed(reads, self.space, Family::TraceByParent, &parent.to_bytes(), options))
    }

    /// The entries that are part of no other one, as [`Trace::children`] lists parts.
    ///
    /// ```
    /// # extern crate foldb_core as foldb;
    /// # let db = foldb_core::Db::memory();
    /// use foldb::primitive::{ScanOptions, TraceKind, TraceRecord};
    /// db.trace().record(TraceRecord::new(TraceKind::Thought, "plan"))?;
    /// assert_eq!(db.trace().roots(&ScanOptions::all())?.len(), 1);
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    pub fn roots(&self, options: &ScanOptions) -> Result<Vec<TraceEntry>> {
        self.access.read(|reads| indexed(reads, self.space, Family::TraceByParent, &NO_PARENT, options))
    }

    /// The entries of a kind, oldest first unless the options say otherwise. Keys and cursor of the options are the
    /// bytes of ids.
    ///
    /// ```
    /// # extern crate foldb_core as foldb;
    /// # let db = foldb_core::Db::memory();
    /// use foldb::primitive::{ScanOptions, TraceKind, TraceRecord};
    /// db.trace().record(TraceRecord::new(TraceKind::Error, "timeout"))?;
    /// assert_eq!(db.trace().by_kind(&TraceKind::Error, &ScanOptions::all())?[0].name, "timeout");
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    pub fn by_kind(&self, kind: &TraceKind, options: &ScanOptions) -> Result<Vec<TraceEntry>> {
        let prefix = [kind.name().as_bytes(), &[0]].concat();
        self.access.read(|reads| indexed(reads, self.space, Family::TraceByType, &prefix, options))
    }

    /// The entries that began at `from_micros` or later and before `to_micros`, in microseconds since 1970, as
    /// [`Trace::list`] lists them.
    ///
    /// ```
    /// # extern crate foldb_core as foldb;
    /// # let db = foldb_core::Db::memory();
    /// use foldb::primitive::{ScanOptions, TraceKind, TraceRecord};
    /// db.trace().record(TraceRecord::new(TraceKind::Thought, "early").time_micros(1_000))?;
    /// db.trace().record(TraceRecord::new(TraceKind::Thought, "late").time_micros(2_000))?;
    /// assert_eq!(db.trace().by_time(0, 2_000, &ScanOptions::all())?.len(), 1);
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
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
        options.range = options.range.intersection(KeyRange::new(Bound::Included(begin), end));
        self.access.read(|reads| list(reads, self.space, &options))
    }
}

impl<A: AccessMut> Trace<A> {
    /// Records an entry and returns its id.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the name of the kind is empty or contains a zero character, or the time is behind the year
    /// 10000; [`Error::Limit`] if the entry is too large.
    ///
    /// ```
    /// # extern crate foldb_core as foldb;
    /// # let db = foldb_core::Db::memory();
    /// use foldb::{primitive::{TraceKind, TraceRecord}, value::Value};
    /// let query = Value::try_from(serde_json::json!({"query": "tea"}))?;
    /// let call = TraceRecord::new(TraceKind::ToolCall, "search").data(query);
    /// let id = db.trace().record(call)?;
    /// db.trace().finish(id, None, None)?;
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    pub fn record(&self, record: TraceRecord) -> Result<TraceId> {
        record.kind.check()?;
        let mut stored = Stored {
            kind: record.kind,
            parent: record.parent,
            name: record.name,
            time: 0,
            duration: record.duration_micros,
            data: record.data,
            output: Value::Null,
        };
        self.access.write(|writes| {
            stored.time = record.time_micros.unwrap_or_else(|| writes.host().now_micros());
            if stored.time >= TIME_MICROS_END {
                let why = format!("{} microseconds since 1970 are too many for an id", stored.time);
                return Err(Error::Invalid { what: "trace time", why });
            }
            let id = TraceId::generate(writes.host(), stored.time);
            writes.write(self.space, OpCode::TracePut, &id.to_bytes(), &stored.body()?)?;
            Ok(id)
        })
    }

    /// Completes an entry: sets how long it took (with `None`, from its beginning until now) and, unless `None`, its output: what
    /// came of it. Everything else about an entry never changes, its data neither. Returns the completed entry.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is no such entry, [`Error::Limit`] if it is too large.
    ///
    /// ```
    /// # extern crate foldb_core as foldb;
    /// # let db = foldb_core::Db::memory();
    /// use foldb::primitive::{TraceKind, TraceRecord};
    /// let id = db.trace().record(TraceRecord::new(TraceKind::ToolCall, "search").data("tea"))?;
    /// let entry = db.trace().finish(id, Some("3 hits".into()), None)?;
    /// assert!(entry.duration_micros.is_some());
    /// assert_eq!((entry.data, entry.output), ("tea".into(), "3 hits".into()));
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    pub fn finish(&self, id: TraceId, output: Option<Value>, duration_micros: Option<u64>) -> Result<TraceEntry> {
        self.access.write(|writes| {
            let mut stored = lookup(writes, self.space, Family::Trace, &id.to_bytes(), |item| Stored::read(id, item))?
                .ok_or_else(|| not_found(id))?;
            let now = writes.host().now_micros();
            stored.duration = Some(duration_micros.unwrap_or(now.saturating_sub(stored.time)));
            if let Some(output) = &output {
                stored.output = output.clone();
            }
            writes.write(self.space, OpCode::TracePut, &id.to_bytes(), &stored.body()?)?;
            Ok(stored.into_entry(id, Version::UNCOMMITTED))
        })
    }
}

fn not_found(id: TraceId) -> Error {
    Error::NotFound { what: "trace entry", name: format!("{id}") }
}

fn get(reads: &dyn Reads, space: SpaceNumber, id: TraceId) -> Result<Option<TraceEntry>> {
    lookup(reads, space, Family::Trace, &id.to_bytes(), |item| {
        Ok(Stored::read(id, item)?.into_entry(id, Version::of(item)))
    })
}

/// The entries that the options choose.
fn list(reads: &dyn Reads, space: SpaceNumber, options: &ScanOptions) -> Result<Vec<TraceEntry>> {
    let mut entries = Vec::new();
    scan(reads, space, Family::Trace, options, &mut |key, item| {
        let id = id_at_end(key)?;
        entries.push(Stored::read(id, item)?.into_entry(id, Version::of(item)));
        Ok(true)
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
pub(crate) fn id_at_end(key: &[u8]) -> Result<TraceId> {
    let id = key.last_chunk().ok_or_else(|| missing("id of trace entry", key))?;
    Ok(TraceId::from_bytes(*id))
}
