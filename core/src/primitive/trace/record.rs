//! What is recorded: kinds, entries on their way in, and entries as they are read.

use alloc::{borrow::ToOwned, format, string::String};
use core::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{TraceId, stored::KIND_BYTES_MAX};
use crate::{Error, Result, error::check_limit, primitive::Version, value::Value};

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
    ///
    /// ```
    /// # extern crate foldb_core as foldb;
    /// use foldb::primitive::TraceKind;
    /// assert_eq!(TraceKind::ToolCall.name(), "tool_call");
    /// ```
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
    ///
    /// ```
    /// # extern crate foldb_core as foldb;
    /// use foldb::primitive::TraceKind;
    /// assert_eq!(TraceKind::from_name("decision"), TraceKind::Decision);
    /// assert_eq!(TraceKind::from_name("retry"), TraceKind::Custom("retry".into()));
    /// ```
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
    pub(super) fn check(&self) -> Result<()> {
        let name = self.name();
        check_limit("trace kind bytes", name.len(), KIND_BYTES_MAX)?;
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
    ///
    /// ```
    /// # extern crate foldb_core as foldb;
    /// use foldb::primitive::{TraceKind, TraceRecord};
    /// let record = TraceRecord::new(TraceKind::Thought, "plan").data("first the tests");
    /// assert_eq!(record.time_micros, None);
    /// ```
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
    ///
    /// ```
    /// # extern crate foldb_core as foldb;
    /// use foldb::{primitive::{TraceKind, TraceRecord}, value::Value};
    /// let limits = Value::try_from(serde_json::json!({"limit": 10}))?;
    /// let record = TraceRecord::new(TraceKind::Query, "users").data(limits);
    /// assert_eq!(record.data.get("limit"), Some(&10.into()));
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    #[must_use]
    pub fn data(mut self, data: impl Into<Value>) -> Self {
        self.data = data.into();
        self
    }

    /// As a part of this entry.
    ///
    /// ```
    /// # extern crate foldb_core as foldb;
    /// # let db = foldb_core::Db::memory();
    /// use foldb::primitive::{TraceKind, TraceRecord};
    /// let plan = db.trace().record(TraceRecord::new(TraceKind::Thought, "plan"))?;
    /// db.trace().record(TraceRecord::new(TraceKind::ToolCall, "search").parent(plan))?;
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    #[must_use]
    pub fn parent(mut self, parent: TraceId) -> Self {
        self.parent = Some(parent);
        self
    }

    /// With this duration, in microseconds.
    ///
    /// ```
    /// # extern crate foldb_core as foldb;
    /// use foldb::primitive::{TraceKind, TraceRecord};
    /// let record = TraceRecord::new(TraceKind::ToolCall, "search").duration_micros(1_500);
    /// assert_eq!(record.duration_micros, Some(1_500));
    /// ```
    #[must_use]
    pub fn duration_micros(mut self, duration: u64) -> Self {
        self.duration_micros = Some(duration);
        self
    }

    /// With this beginning, in microseconds since 1970.
    ///
    /// ```
    /// # extern crate foldb_core as foldb;
    /// use foldb::primitive::{TraceKind, TraceRecord};
    /// let record = TraceRecord::new(TraceKind::ToolCall, "search").time_micros(1_700_000_000_000_000);
    /// assert_eq!(record.time_micros, Some(1_700_000_000_000_000));
    /// ```
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
    /// What was recorded with it, as the input of a tool.
    pub data: Value,
    /// What came of it: see [`Trace::finish`](super::Trace::finish). Null for nothing.
    pub output: Value,
    /// Which commit recorded or finished it; [`Version::UNCOMMITTED`] in what [`Trace::finish`](super::Trace::finish) gives back.
    pub version: Version,
}
