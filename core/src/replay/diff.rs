//! Diffs: what differs between two spaces, primitive by primitive, down to paths in a document.
//!
//! Invariant: only content counts. Two entries that were written by other commits, at other times, at other places of
//! the log, are equal when their values are. Subtrees that the two share are skipped without being read, so the diff of
//! two versions of one space costs what changed between them, not what is there. Streams that differ are compared from the
//! first batch that does, and traces whole, by alignment: see `align`.

use alloc::vec::Vec;
use core::ops::ControlFlow;

use hashbrown::HashMap;
use litemap::LiteMap;
use rustc_hash::FxBuildHasher;

use super::{
    align::{Classes, Step, align},
    digest::{Places, ordered_trace, places},
};
use crate::{
    Result,
    json::{PathChange, decode_document},
    log::wide,
    primitive::{
        Cell, Event, Events, TraceEntry,
        access::{Reads, Through},
    },
    shown::debug_by_key,
    state::{Family, Source, Space, SpaceNumber, entry_bytes, parse_batch_key},
    tree::{EntryRef, KeyRange},
    value::Value,
};

/// How something differs between an older and a newer space.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum EntryChange<T> {
    /// Only the newer has it.
    Added(T),
    /// Only the older has it.
    Removed(T),
    /// Both have it, and not the same.
    Changed {
        /// The older one.
        from: T,
        /// The newer one.
        to: T,
    },
}

/// A key whose entry differs.
#[derive(Clone, PartialEq, serde::Serialize)]
pub struct EntryDiff<T> {
    /// The key.
    #[serde(serialize_with = "crate::shown::serialize_key")]
    pub key: Vec<u8>,
    /// How it differs.
    pub change: EntryChange<T>,
}

debug_by_key!(EntryDiff<T>, key, change);

/// How a document differs.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DocumentChange {
    /// Only the newer space has it.
    Added(serde_json::Value),
    /// Only the older space has it.
    Removed(serde_json::Value),
    /// Both have it; these places in it differ.
    Changed(Vec<PathChange>),
}

/// A document that differs.
#[derive(Clone, PartialEq, serde::Serialize)]
pub struct DocumentDiff {
    /// Its key.
    #[serde(serialize_with = "crate::shown::serialize_key")]
    pub key: Vec<u8>,
    /// How it differs.
    pub change: DocumentChange,
}

debug_by_key!(DocumentDiff, key, change);

/// A stream that differs.
#[derive(Clone, PartialEq, serde::Serialize)]
pub struct StreamDiff {
    /// Its name.
    #[serde(serialize_with = "crate::shown::serialize_key")]
    pub stream: Vec<u8>,
    /// The events that differ, aligned: one that was inserted makes one difference, and those behind it none. The seq is that in
    /// the newer stream, or in the older one where only that has the event.
    pub events: Vec<(u64, EntryChange<Event>)>,
}

debug_by_key!(StreamDiff, stream, events);

/// What differs between two spaces. Everything is sorted by key, stream or place, so equal inputs give equal diffs.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize)]
pub struct Diff {
    /// Key-value pairs.
    pub kv: Vec<EntryDiff<Value>>,
    /// JSON documents.
    pub json: Vec<DocumentDiff>,
    /// Event streams.
    pub events: Vec<StreamDiff>,
    /// State cells, counter and value.
    pub state: Vec<EntryDiff<Cell<Value>>>,
    /// Trace entries, aligned as events are: ids and times differ from run to run and do not count. The number is the place in the
    /// newer trace, from 1 on, or in the older one where only that has the entry.
    pub trace: Vec<(u64, EntryChange<TraceEntry>)>,
}

impl Diff {
    /// Whether nothing differs.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many pairs, documents, events, cells and trace entries differ.
    pub fn len(&self) -> usize {
        let events: usize = self.events.iter().map(|stream| stream.events.len()).sum();
        self.kv.len() + self.json.len() + events + self.state.len() + self.trace.len()
    }
}

/// One side of a comparison.
#[derive(Clone, Copy)]
pub(crate) struct Side<'a> {
    pub(crate) reads: &'a dyn Reads,
    pub(crate) number: SpaceNumber,
    pub(crate) space: &'a Space,
    pub(crate) source: &'a dyn Source,
}

/// What differs between two spaces of one store.
pub(crate) fn diff(older: Side<'_>, newer: Side<'_>) -> Result<Diff> {
    let mut found = Found { diff: Diff::default(), streams: LiteMap::new(), trace: false };
    let mut failed = None;
    older.space.tree().diff(
        newer.space.tree(),
        &KeyRange::all(),
        older.source,
        &mut |key, from, to| match found.entry(key, from, to, older.source, newer.source) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                failed = Some(error);
                ControlFlow::Break(())
            }
        },
    )?;
    if let Some(error) = failed {
        return Err(error);
    }
    for (stream, from_seq) in core::mem::take(&mut found.streams) {
        let events = diff_stream(&older, &newer, &stream, from_seq)?;
        if !events.is_empty() {
            found.diff.events.push(StreamDiff { stream, events });
        }
    }
    if found.trace {
        found.diff.trace = diff_trace(&older, &newer)?;
    }
    Ok(found.diff)
}

struct Found {
    diff: Diff,
    /// Streams with a batch that differs, and the seq from which on to compare.
    streams: LiteMap<Vec<u8>, u64>,
    trace: bool,
}

impl Found {
    fn entry(
        &mut self,
        tree_key: &[u8],
        from: Option<EntryRef<'_>>,
        to: Option<EntryRef<'_>>,
        older: &dyn Source,
        newer: &dyn Source,
    ) -> Result<()> {
        let Some((first, key)) = tree_key.split_first() else { return Ok(()) };
        match Family::from_byte(*first) {
            Some(Family::Kv) => {
                let change = change(from, to, older, newer, Value::decode)?;
                self.diff.kv.extend(change.map(|change| EntryDiff { key: key.to_vec(), change }));
            }
            Some(Family::State) => {
                let change = change(from, to, older, newer, Cell::<Value>::decode)?;
                self.diff.state.extend(change.map(|change| EntryDiff { key: key.to_vec(), change }));
            }
            Some(Family::Json) => {
                let change = change(from, to, older, newer, decode_document)?.and_then(document_change);
                self.diff.json.extend(change.map(|change| DocumentDiff { key: key.to_vec(), change }));
            }
            Some(Family::Batch) => {
                if let Some((stream, first_seq)) = parse_batch_key(key) {
                    let from = self.streams.entry(stream.to_vec()).or_insert(first_seq);
                    *from = first_seq.min(*from);
                }
            }
            Some(Family::Trace) => self.trace = true,
            Some(Family::Stream | Family::TraceByParent | Family::TraceByType | Family::Expiry) | None => {}
        }
        Ok(())
    }
}

/// How two entries differ in what they hold; `None` where they do not.
fn change<T>(
    from: Option<EntryRef<'_>>,
    to: Option<EntryRef<'_>>,
    older: &dyn Source,
    newer: &dyn Source,
    decode: impl Fn(&[u8]) -> Result<T>,
) -> Result<Option<EntryChange<T>>> {
    let from = from.map(|entry| entry_bytes(&entry, older)).transpose()?;
    let to = to.map(|entry| entry_bytes(&entry, newer)).transpose()?;
    Ok(match (from, to) {
        (Some(from), Some(to)) if from == to => None,
        (Some(from), Some(to)) => Some(EntryChange::Changed { from: decode(&from)?, to: decode(&to)? }),
        (Some(from), None) => Some(EntryChange::Removed(decode(&from)?)),
        (None, Some(to)) => Some(EntryChange::Added(decode(&to)?)),
        (None, None) => None,
    })
}

/// Two documents whose bytes differ may still be equal; then nothing has changed.
fn document_change(change: EntryChange<serde_json::Value>) -> Option<DocumentChange> {
    match change {
        EntryChange::Added(document) => Some(DocumentChange::Added(document)),
        EntryChange::Removed(document) => Some(DocumentChange::Removed(document)),
        EntryChange::Changed { from, to } => {
            let paths = crate::json::diff(&from, &to);
            (!paths.is_empty()).then_some(DocumentChange::Changed(paths))
        }
    }
}

fn diff_stream(
    older: &Side<'_>,
    newer: &Side<'_>,
    stream: &[u8],
    from_seq: u64,
) -> Result<Vec<(u64, EntryChange<Event>)>> {
    let (older, newer) = (events_of(older, stream, from_seq)?, events_of(newer, stream, from_seq)?);
    let (mut exact, mut alike) = (Classes::new(), Classes::new());
    let mut classes = |events: &[Event]| -> Result<(Vec<u32>, Vec<u32>)> {
        let mut found = (Vec::new(), Vec::new());
        for event in events {
            let mut payload = Vec::new();
            event.payload.encode(&mut payload)?;
            found.0.push(exact.of((event.kind.clone(), payload)));
            found.1.push(alike.of(event.kind.clone()));
        }
        Ok(found)
    };
    let (left, right) = (classes(&older)?, classes(&newer)?);
    let steps = align((&left.0, &right.0), (&left.1, &right.1));
    // Streams that hold the same at other seqs differ in nothing else.
    let is_moved = left.0 == right.0;
    let (mut older, mut newer) = (older.into_iter(), newer.into_iter());
    let mut changes = Vec::new();
    for step in steps {
        match step {
            Step::Older(_) => changes.extend(older.next().map(|from| (from.seq, EntryChange::Removed(from)))),
            Step::Newer(_) => changes.extend(newer.next().map(|to| (to.seq, EntryChange::Added(to)))),
            Step::Both(at, to) => {
                let is_equal = left.0.get(at) == right.0.get(to);
                let pair = older.next().zip(newer.next());
                let pair = pair.filter(|(from, to)| !is_equal || (is_moved && from.seq != to.seq));
                changes.extend(pair.map(|(from, to)| (to.seq, EntryChange::Changed { from, to })));
            }
        }
    }
    Ok(changes)
}

fn events_of(side: &Side<'_>, stream: &[u8], from_seq: u64) -> Result<Vec<Event>> {
    let events = Events::new(Through(side.reads), side.number);
    events.range(stream, from_seq.., None, crate::tree::Direction::Forward)
}

/// Compares two traces, aligned: first what is equal, and between that what is the same step, by kind, name and the steps that
/// it is part of. A parent counts by the entry that stands for it, because ids are new in each run.
fn diff_trace(older: &Side<'_>, newer: &Side<'_>) -> Result<Vec<(u64, EntryChange<TraceEntry>)>> {
    let entries = |side: &Side<'_>| ordered_trace(side.reads, side.number);
    let (older, newer) = (entries(older)?, entries(newer)?);
    let (older_places, newer_places) = (places(&older), places(&newer));
    let (mut exact, mut alike) = (Classes::new(), Classes::new());
    let left = classes_of(&older, &older_places, &mut exact, &mut alike)?;
    let right = classes_of(&newer, &newer_places, &mut exact, &mut alike)?;
    let steps = align((&left.0, &right.0), (&left.1, &right.1));
    let stands_for: HashMap<u64, u64, FxBuildHasher> = steps
        .iter()
        .filter_map(|step| match step {
            Step::Both(from, to) => Some((wide(*from) + 1, wide(*to) + 1)),
            Step::Older(_) | Step::Newer(_) => None,
        })
        .collect();
    let same_parent = |from: &TraceEntry, to: &TraceEntry| {
        let place = |entry: &TraceEntry, places: &Places| entry.parent.map(|parent| places.get(&parent).copied());
        let from = place(from, &older_places).map(|place| place.map(|place| stands_for.get(&place).copied()));
        from == place(to, &newer_places).map(|place| place.map(Some))
    };
    let mut changes = Vec::new();
    for step in &steps {
        match *step {
            Step::Older(at) => {
                changes.extend(older.get(at).map(|from| (wide(at) + 1, EntryChange::Removed(from.clone()))));
            }
            Step::Newer(at) => changes.extend(newer.get(at).map(|to| (wide(at) + 1, EntryChange::Added(to.clone())))),
            Step::Both(from, to) => {
                let is_equal = left.0.get(from) == right.0.get(to);
                let pair = older.get(from).zip(newer.get(to)).filter(|(from, to)| !is_equal || !same_parent(from, to));
                changes.extend(
                    pair.map(|(from, into)| {
                        (wide(to) + 1, EntryChange::Changed { from: from.clone(), to: into.clone() })
                    }),
                );
            }
        }
    }
    Ok(changes)
}

/// A step: the one that it is part of, kind and name. Of parents that come later, or are not here, nothing is known yet.
type TraceStep<'e> = (Option<Option<u32>>, &'e str, &'e str);

/// The classes of trace entries, by content and by step.
fn classes_of<'e>(
    entries: &'e [TraceEntry],
    places: &Places,
    exact: &mut Classes<(u32, Vec<u8>)>,
    alike: &mut Classes<TraceStep<'e>>,
) -> Result<(Vec<u32>, Vec<u32>)> {
    let (mut contents, mut steps) = (Vec::new(), Vec::<u32>::new());
    for (place, entry) in (1..).zip(entries) {
        let parent = entry.parent.map(|parent| {
            let place = places.get(&parent).filter(|parent| **parent < place);
            place.and_then(|place| steps.get(usize::try_from(place - 1).ok()?).copied())
        });
        let step = alike.of((parent, entry.kind.name(), entry.name.as_str()));
        let mut data = Vec::new();
        entry.data.encode(&mut data)?;
        // One value ends before the next one begins.
        entry.output.encode(&mut data)?;
        contents.push(exact.of((step, data)));
        steps.push(step);
    }
    Ok((contents, steps))
}
