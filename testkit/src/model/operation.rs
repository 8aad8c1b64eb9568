//! [`Operation`] and [`Answer`]: the public interface of a space as data, so that the store and the model can be asked the
//! same and compared.
//!
//! Invariant: an operation says everything about a call. What the store makes up itself (an id) comes back in the answer, and
//! the model is told.

use std::ops::Bound;

use foldb_core::{
    primitive::{ScanOptions, TraceKind},
    tree::{Direction, KeyRange},
    value::Value,
};
use ruint::aliases::U256;
use serde_json::Value as Json;

/// A key, a name: bytes.
pub type Key = Vec<u8>;

/// What is added to a counter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Delta {
    /// To a signed counter.
    I64(i64),
    /// To an unsigned counter.
    U64(u64),
    /// To a sum of floats.
    F64(f64),
    /// To a counter of 256 bits.
    U256(U256),
}

/// Which keys, in which order, how many.
#[derive(Clone, Debug, PartialEq)]
pub struct Scan {
    /// Where they begin.
    pub start: Bound<Key>,
    /// Where they end.
    pub end: Bound<Key>,
    /// At most so many.
    pub limit: Option<usize>,
    /// Descending.
    pub reverse: bool,
    /// Only what comes behind this key, in the order that was chosen.
    pub after: Option<Key>,
}

impl Scan {
    /// Every key.
    pub fn all() -> Self {
        Self { start: Bound::Unbounded, end: Bound::Unbounded, limit: None, reverse: false, after: None }
    }

    /// The keys that begin like this, as the model understands it: from the prefix up to the first key that does not.
    pub fn prefix(prefix: &[u8]) -> Self {
        let mut end = prefix.to_vec();
        while end.pop_if(|byte| *byte == 0xff).is_some() {}
        let end = match end.last_mut() {
            Some(last) => {
                *last += 1;
                Bound::Excluded(end)
            }
            None => Bound::Unbounded,
        };
        Self { start: Bound::Included(prefix.to_vec()), end, ..Self::all() }
    }

    /// The range, for the store.
    pub fn range(&self) -> KeyRange {
        KeyRange::new(self.start.clone(), self.end.clone())
    }

    /// All of it, for the store.
    pub fn options(&self) -> ScanOptions {
        let direction = if self.reverse { Direction::Backward } else { Direction::Forward };
        ScanOptions { range: self.range(), limit: self.limit, direction, after: self.after.clone() }
    }
}

/// A place in a document, as the steps that lead there.
#[derive(Clone, Debug, PartialEq)]
pub struct Place {
    /// Members and indices.
    pub steps: Vec<String>,
    /// Written as `$['a'][0]` instead of `/a/0`.
    pub dollar: bool,
    /// Not a path at all.
    pub malformed: bool,
}

impl Place {
    /// The path in the form that the store reads.
    pub fn text(&self) -> String {
        if self.malformed {
            return format!("no/{}", self.steps.join("/"));
        }
        if !self.dollar {
            return self.steps.iter().map(|step| format!("/{}", step.replace('~', "~0").replace('/', "~1"))).collect();
        }
        let bracket = |step: &String| match step.parse::<u32>() {
            Ok(index) if index.to_string() == *step => format!("[{step}]"),
            _ => format!("['{}']", step.replace('\\', "\\\\").replace('\'', "\\'")),
        };
        std::iter::once(String::from("$")).chain(self.steps.iter().map(bracket)).collect()
    }
}

/// The version that a compare-and-swap expects: `None` for no value, `Some(None)` for one that the transaction wrote itself.
pub type ExpectedVersion = Option<Option<u64>>;

/// An event on its way in.
pub type NewEvent = (String, Value);

/// One call to the primitives of a space.
#[expect(missing_docs, reason = "each is the call of that name, with its arguments")]
#[derive(Clone, Debug, PartialEq)]
pub enum Operation {
    // Pairs that are written without a look.
    Put(Key, Value),
    PutMany(Vec<(Key, Value)>),
    Remove(Key),
    Add(Key, Delta),
    PutUntil(Key, Value, u64),
    // Pairs that are looked at and written.
    ExpireAt(Key, u64),
    Persist(Key),
    Delete(Key),
    DeleteMany(Vec<Key>),
    Update(Key, i64),
    PutIfAbsent(Key, Value),
    CasVersion(Key, ExpectedVersion, Value),
    CasValue(Key, Option<Value>, Value),
    GetAndPut(Key, Value),
    GetAndDelete(Key),
    Rename(Key, Key),
    // Pairs that are read.
    ExpiresAt(Key),
    Get(Key),
    GetVersioned(Key),
    GetMany(Vec<Key>),
    Exists(Key),
    Count(Scan),
    Keys(Scan),
    Pairs(Scan),
    // Documents.
    SetDocument(Key, Json),
    SetDocuments(Vec<(Key, Json)>),
    DeleteDocument(Key),
    DeleteDocuments(Vec<Key>),
    SetAt(Key, Place, Json),
    DeleteAt(Key, Place),
    MergeAt(Key, Place, Json),
    Patch(Key, Json),
    PushAt(Key, Place, Json),
    PopAt(Key, Place),
    IncrementAt(Key, Place, Json),
    GetDocument(Key),
    GetDocuments(Vec<Key>),
    DocumentExists(Key),
    GetAt(Key, Place),
    LengthAt(Key, Place),
    TypeAt(Key, Place),
    KeysAt(Key, Place),
    Documents(Scan),
    CountDocuments(Scan),
    Select(Scan, Place, Json),
    // Events.
    Append(Key, Vec<NewEvent>),
    Trim(Key, u64),
    DeleteStream(Key),
    Event(Key, u64),
    Events(Key, Bound<u64>, Bound<u64>, Option<usize>, bool),
    Stream(Key),
    Streams(Scan),
    // Cells.
    InitCell(Key, Value),
    SetCell(Key, Value),
    DeleteCell(Key),
    CasCell(Key, u64, Value),
    Transition(Key, i64),
    TransitionOrInit(Key, i64, i64),
    Cell(Key),
    Cells(Scan),
    CountCells(Scan),
    // Traces.
    Record { kind: TraceKind, name: String, parent: Option<Id>, time: Option<u64>, duration: Option<u64>, data: Value },
    Finish(Id, Option<Value>, Option<u64>),
    Entry(Id),
    Entries(Scan),
    CountEntries,
    Children(Id, Scan),
    Roots(Scan),
    OfKind(TraceKind, Scan),
    InTime(u64, u64, Scan),
}

/// The bytes of an id.
pub type Id = [u8; 16];

/// What is known of a stream.
#[derive(Clone, Debug, PartialEq)]
pub struct StreamFacts {
    /// Its name.
    pub name: Key,
    /// Seq of the newest event.
    pub head: u64,
    /// Seq of the oldest that is kept.
    pub first: u64,
    /// How many are kept.
    pub events: u64,
    /// When it began and when it last grew, where that is committed.
    pub times: (u64, u64),
}

/// A trace entry.
#[derive(Clone, Debug, PartialEq)]
pub struct EntryFacts {
    /// Its id.
    pub id: Id,
    /// What sort of step.
    pub kind: TraceKind,
    /// Its name.
    pub name: String,
    /// What it is a part of.
    pub parent: Option<Id>,
    /// When it began.
    pub time: u64,
    /// How long it took.
    pub duration: Option<u64>,
    /// What else there is.
    pub data: Value,
    /// What came of it.
    pub output: Value,
}

/// An event as it is read: seq, kind, payload, time.
pub type EventFacts = (u64, String, Value, u64);

/// A version: the seq of a commit, or none yet.
pub type Version = Option<u64>;

/// What a call came to.
#[expect(missing_docs, reason = "each is named after what it holds")]
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    Unit,
    Bool(bool),
    Number(u64),
    MaybeNumber(Option<u64>),
    Value(Option<Value>),
    Versioned(Option<(Value, Version)>),
    Values(Vec<Option<Value>>),
    Keys(Vec<Key>),
    Pairs(Vec<(Key, Value, Version)>),
    Json(Option<Json>),
    Jsons(Vec<Option<Json>>),
    Documents(Vec<(Key, Json, Version)>),
    Text(Option<String>),
    Texts(Vec<String>),
    Cell(Option<(u64, Value)>),
    Cells(Vec<(Key, u64, Value)>),
    Events(Vec<EventFacts>),
    Stream(Option<StreamFacts>),
    Streams(Vec<StreamFacts>),
    Entry(Option<EntryFacts>),
    Entries(Vec<EntryFacts>),
    Id(Id),
}
