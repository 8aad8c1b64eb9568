//! [`Space`]: what a run, or the default space, holds.
//!
//! Invariant: a version that was kept never changes. Maps are shared between versions and copied when they are written,
//! which for the few dozen keys of a simulation costs less than anything cleverer.

use std::{collections::BTreeMap, sync::Arc};

use foldb_core::{primitive::TraceKind, value::Value};
use serde_json::Value as Json;

use super::operation::{EntryFacts, Id, Key, NewEvent, Version};

/// A value, and the commit that wrote it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Row<T> {
    pub(super) value: T,
    pub(super) version: Version,
}

pub(super) type Table<T> = Arc<BTreeMap<Key, Arc<Row<T>>>>;

/// What a space holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Space {
    pub(super) pairs: Table<Value>,
    /// When pairs are over. That is so far away that no clock comes near it: none of them is hidden.
    pub(super) expiries: Arc<BTreeMap<Key, u64>>,
    pub(super) documents: Table<Json>,
    pub(super) cells: Table<(u64, Value)>,
    pub(super) streams: Table<Stream>,
    /// By the bytes of the id.
    pub(super) entries: Table<Entry>,
    /// Seq of the last commit that touched it, and how many did.
    pub(super) last_seq: u64,
    pub(super) commits: u64,
}

impl Space {
    /// The value of a key, and the commit that wrote it.
    pub fn pair(&self, key: &[u8]) -> Option<(Value, Version)> {
        self.pairs.get(key).map(|row| (row.value.clone(), row.version))
    }
}

/// A stream of events.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Stream {
    /// Every event that is kept, by seq, and when it was committed.
    pub(super) events: Arc<BTreeMap<u64, Arc<(NewEvent, u64)>>>,
    pub(super) head: u64,
    /// How many were trimmed off.
    pub(super) trimmed: u64,
    pub(super) created: u64,
    pub(super) appended: u64,
}

impl Stream {
    pub(super) fn first(&self) -> u64 {
        self.trimmed + 1
    }

    pub(super) fn append(&mut self, events: &[NewEvent], time: u64) {
        let kept = Arc::make_mut(&mut self.events);
        for event in events {
            self.head += 1;
            kept.insert(self.head, Arc::new((event.clone(), time)));
        }
        self.appended = time;
    }

    /// Returns whether that changed anything.
    pub(super) fn trim(&mut self, keep_from: u64) -> bool {
        let keep_from = keep_from.min(self.head + 1);
        if keep_from <= self.first() {
            return false;
        }
        let kept = Arc::make_mut(&mut self.events).split_off(&keep_from);
        self.events = Arc::new(kept);
        self.trimmed = keep_from - 1;
        true
    }
}

/// A trace entry without its id.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry {
    pub(super) kind: TraceKind,
    pub(super) name: String,
    pub(super) parent: Option<Id>,
    pub(super) time: u64,
    pub(super) duration: Option<u64>,
    pub(super) data: Value,
    pub(super) output: Value,
}

impl Entry {
    pub(super) fn facts(&self, key: &[u8]) -> EntryFacts {
        EntryFacts {
            id: key.try_into().unwrap_or_default(),
            kind: self.kind.clone(),
            name: self.name.clone(),
            parent: self.parent,
            time: self.time,
            duration: self.duration,
            data: self.data.clone(),
            output: self.output.clone(),
        }
    }
}

pub(super) fn put<T: Clone>(table: &mut Table<T>, key: &[u8], value: T, version: Version) {
    Arc::make_mut(table).insert(key.to_vec(), Arc::new(Row { value, version }));
}

/// Puts a pair that is over at a time, or never.
pub(super) fn put_pair(space: &mut Space, key: &[u8], value: Value, expires: Option<u64>, version: Version) {
    put(&mut space.pairs, key, value, version);
    expire(space, key, expires);
}

pub(super) fn remove_pair(space: &mut Space, key: &[u8]) {
    remove(&mut space.pairs, key);
    expire(space, key, None);
}

fn expire(space: &mut Space, key: &[u8], expires: Option<u64>) {
    if space.expiries.get(key).copied() == expires {
        return;
    }
    let expiries = Arc::make_mut(&mut space.expiries);
    match expires {
        Some(micros) => expiries.insert(key.to_vec(), micros),
        None => expiries.remove(key),
    };
}

pub(super) fn remove<T: Clone>(table: &mut Table<T>, key: &[u8]) {
    if table.contains_key(key) {
        Arc::make_mut(table).remove(key);
    }
}
