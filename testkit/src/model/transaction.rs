//! [`ModelTransaction`]: what a transaction sees, when it conflicts, what it leaves.
//!
//! Invariant: a transaction reads one version, taken at its first look, and its own writes. Its commit is refused if
//! anything it has looked at was written since: keys are compared by the commit that wrote them, ranges by all keys in
//! them. What it wrote without a look (puts, additions, events, trims) never conflicts.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
    sync::Arc,
};

use foldb_core::{ErrorKind, RunId, value::Value};
use serde_json::Value as Json;

use super::{
    Model, Run, Space, SpaceId, counter,
    operation::{Delta, Id, Key, NewEvent, Version},
    runs::{RunOperation, RunRecord, check_lives},
    space::{Entry, Stream, put, put_pair, remove, remove_pair},
};

/// A table of a space.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Family {
    Pairs,
    Documents,
    Cells,
    Streams,
    Entries,
}

/// Which entries an index lists.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Index {
    Parent(Option<Id>),
    Kind(String),
}

impl Index {
    pub(super) fn lists(&self, entry: &Entry) -> bool {
        match self {
            Index::Parent(parent) => entry.parent == *parent,
            Index::Kind(kind) => entry.kind.name() == kind,
        }
    }
}

pub(super) type Bounds = (Bound<Key>, Bound<Key>);

/// Something that a transaction has looked at.
#[derive(Clone, Debug)]
pub(super) enum Read {
    Point(SpaceId, Family, Key, Version),
    Range(SpaceId, Family, Bounds),
    Indexed(SpaceId, Index, Bounds),
    Run(RunId, u64),
}

/// What a transaction does to a pair.
#[derive(Clone, Debug)]
pub(super) enum PairWrite {
    /// And when it is over.
    Put(Value, Option<u64>),
    Delete,
    Add(Delta),
    /// Only when it is over.
    Expire(Option<u64>),
}

/// What a transaction does to a stream.
#[derive(Clone, Debug, Default)]
pub(super) struct StreamWrite {
    pub(super) deleted: bool,
    pub(super) trim: Option<u64>,
    /// Whether something was appended after the trim: then nothing of what was appended is trimmed.
    pub(super) trim_first: bool,
    pub(super) appended: Vec<NewEvent>,
}

/// What a transaction does to a space.
#[derive(Clone, Debug, Default)]
pub(super) struct SpaceWrites {
    pub(super) pairs: BTreeMap<Key, PairWrite>,
    pub(super) documents: BTreeMap<Key, Option<Json>>,
    pub(super) cells: BTreeMap<Key, Option<(u64, Value)>>,
    pub(super) streams: BTreeMap<Key, StreamWrite>,
    pub(super) entries: BTreeMap<Key, Entry>,
}

/// What a transaction has written so far: what a savepoint keeps.
#[derive(Clone, Debug, Default)]
pub(super) struct SavedWrites {
    pub(super) spaces: BTreeMap<SpaceId, SpaceWrites>,
    pub(super) runs: Vec<RunOperation>,
}

/// A savepoint, of whichever transaction: its number, which no other has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SavepointId(pub u64);

/// A transaction on the model.
#[derive(Clone, Debug, Default)]
pub struct ModelTransaction {
    pub(super) base: Option<Model>,
    pub(super) reads: Vec<Read>,
    pub(super) writes: SavedWrites,
    /// The savepoints that it can go back to, oldest first.
    saved: Vec<(SavepointId, SavedWrites)>,
    /// Its idempotency key.
    pub key: Option<Vec<u8>>,
}

/// What a commit comes to.
#[derive(Clone, Debug)]
pub enum Commit {
    /// There is a new version.
    Committed(Box<Model>),
    /// A commit had this key before.
    Deduplicated(u64),
    /// There was nothing to write; what it has seen is as of this commit.
    Empty(u64),
    /// It is refused, for one of these reasons.
    Refused(Vec<ErrorKind>),
}

impl ModelTransaction {
    /// The version that it reads.
    pub(super) fn base(&mut self, now: &Model) -> &Model {
        self.base.get_or_insert_with(|| now.clone())
    }

    /// Whether a run is one that this transaction begins.
    pub(super) fn begins(&self, id: RunId) -> bool {
        self.writes.runs.iter().any(|operation| matches!(operation, RunOperation::Begin(begin) if begin.id == id))
    }

    /// Looks a run up, to read or write it.
    pub fn find(&mut self, now: &Model, space: SpaceId) -> Result<(), ErrorKind> {
        let Some(id) = space else { return Ok(()) };
        if self.writes.runs.iter().any(|operation| matches!(operation, RunOperation::Delete(gone) if *gone == id)) {
            return Err(ErrorKind::NotFound);
        }
        if self.base(now).runs.contains_key(&id) || self.begins(id) { Ok(()) } else { Err(ErrorKind::NotFound) }
    }

    /// The same for a call that is a transaction by itself: the run is looked up before it begins.
    pub fn find_alone(&self, now: &Model, space: SpaceId) -> Result<(), ErrorKind> {
        now.space(space).map(|_| ()).ok_or(ErrorKind::NotFound)
    }

    /// The runs that it begins.
    pub fn begun(&self) -> Vec<RunId> {
        let begun = |operation: &RunOperation| match operation {
            RunOperation::Begin(begin) => Some(begin.id),
            _ => None,
        };
        self.writes.runs.iter().filter_map(begun).collect()
    }

    /// A space as the transaction sees it, and the keys of counters to which it adds what cannot be added.
    pub(super) fn view(&mut self, now: &Model, id: SpaceId) -> Result<(Space, BTreeSet<Key>), ErrorKind> {
        let mut space = self.committed(now, id).cloned().unwrap_or_default();
        let mut broken = BTreeSet::new();
        if let Some(writes) = self.writes.spaces.get(&id) {
            broken = writes.apply(&mut space, None, 0);
        }
        Ok((space, broken))
    }

    /// What the transaction itself has written to a space, beside nothing. Reading that takes no version.
    pub(super) fn own(&self, id: SpaceId) -> Space {
        let mut space = Space::default();
        if let Some(writes) = self.writes.spaces.get(&id) {
            writes.apply(&mut space, None, 0);
        }
        space
    }

    /// Whether a read of this key sees what the transaction has written and nothing else.
    pub(super) fn decides(&self, id: SpaceId, family: Family, key: &[u8]) -> bool {
        self.writes.spaces.get(&id).is_some_and(|writes| writes.decides(family, key))
    }

    /// What is committed of a space, as of the version that is read.
    pub(super) fn committed(&mut self, now: &Model, id: SpaceId) -> Option<&Space> {
        self.base(now).space(id)
    }

    /// What is written to a space; refused for a run that the transaction has ended itself and not taken up again.
    pub(super) fn writes_to(&mut self, id: SpaceId) -> Result<&mut SpaceWrites, ErrorKind> {
        let of_run = |operation: &&RunOperation| {
            Some(operation.run()) == id && matches!(operation, RunOperation::End(..) | RunOperation::Resume(_))
        };
        match self.writes.runs.iter().rev().find(of_run) {
            Some(RunOperation::End(..)) => Err(ErrorKind::RunEnded),
            _ => Ok(self.writes.spaces.entry(id).or_default()),
        }
    }

    /// Notes that a key was looked at, unless the transaction has written it itself.
    pub(super) fn look(&mut self, now: &Model, id: SpaceId, family: Family, key: &[u8]) {
        if self.decides(id, family, key) {
            return;
        }
        if let Some(space) = self.committed(now, id) {
            let version = space.version(family, key);
            self.reads.push(Read::Point(id, family, key.to_vec(), version));
        }
    }

    /// Notes that a range was looked at.
    pub(super) fn look_over(&mut self, now: &Model, id: SpaceId, family: Family, bounds: Bounds) {
        if self.committed(now, id).is_some() {
            self.reads.push(Read::Range(id, family, bounds));
        }
    }

    /// Notes that an index was looked at.
    pub(super) fn look_up(&mut self, now: &Model, id: SpaceId, index: Index, bounds: Bounds) {
        if self.committed(now, id).is_some() {
            self.reads.push(Read::Indexed(id, index, bounds));
        }
    }

    /// Marks what it has written so far.
    pub fn savepoint(&mut self, id: SavepointId) {
        self.saved.push((id, self.writes.clone()));
    }

    /// Forgets what it has written since, and the savepoints behind. Refused for a savepoint of another transaction, and for
    /// one that was forgotten.
    pub fn rollback_to(&mut self, id: SavepointId) -> Result<(), ErrorKind> {
        let at = self.saved.iter().position(|(saved, _)| *saved == id).ok_or(ErrorKind::Invalid)?;
        self.saved.truncate(at + 1);
        self.writes = self.saved[at].1.clone();
        Ok(())
    }

    /// Changes the life of a run.
    pub fn change_run(&mut self, now: &Model, operation: &RunOperation) -> Result<(), ErrorKind> {
        match operation {
            RunOperation::Begin(begin) => {
                if let Some(parent) = begin.parent {
                    self.find(now, Some(parent))?;
                }
            }
            other => {
                self.find(now, Some(other.run()))?;
                self.look_at_run(now, other.run());
            }
        }
        self.writes.runs.push(operation.clone());
        Ok(())
    }

    fn look_at_run(&mut self, now: &Model, id: RunId) {
        if let Some(run) = self.base(now).runs.get(&id) {
            let changed = run.record.changed_seq;
            self.reads.push(Read::Run(id, changed));
        }
    }

    /// What is known of a run, with what the transaction has done to it. A run that it begins has the number 0 here.
    pub fn run_facts(&mut self, now: &Model, id: RunId, process: u64) -> Result<super::RunFacts, ErrorKind> {
        self.find(now, Some(id))?;
        self.look_at_run(now, id);
        let mut run = self.base(now).runs.get(&id).map(|run| (run.record.clone(), run.space.clone()));
        for operation in self.writes.runs.iter().filter(|operation| operation.run() == id) {
            match (&mut run, operation) {
                // An id that a run has already is refused by the commit; until then it is that run's.
                (Some(_), RunOperation::Begin(_)) => {}
                (none, RunOperation::Begin(begin)) => {
                    *none = Some((RunRecord::new(begin.clone(), 0, (0, 0, process)), Space::default()));
                }
                (Some((record, _)), change) => record.change(change, (0, 0, process)),
                (None, _) => {}
            }
        }
        run.map(|(record, space)| record.facts(&space, process)).ok_or(ErrorKind::NotFound)
    }

    /// Commits, as the next commit behind `now`, at a time, by a process.
    pub fn commit(&self, now: &Model, time: u64, process: u64) -> Commit {
        if let Some(seq) = self.key.as_ref().and_then(|key| now.keys.get(key)) {
            return Commit::Deduplicated(*seq);
        }
        let writes = &self.writes;
        let writes_nothing = writes.runs.is_empty() && writes.spaces.values().all(SpaceWrites::is_empty);
        if writes_nothing && self.key.is_none() {
            return Commit::Empty(self.base.as_ref().map_or(now.seq, |base| base.seq));
        }
        if let Some(base) = &self.base
            && base.seq != now.seq
            && self.reads.iter().any(|read| !read.holds(base, now))
        {
            return Commit::Refused(vec![ErrorKind::Conflict]);
        }
        let wrong = writes.check(self.base.as_ref().unwrap_or(now), now);
        if !wrong.is_empty() {
            return Commit::Refused(wrong);
        }
        Commit::Committed(Box::new(writes.commit(now, self.key.as_deref(), time, process)))
    }
}

impl Read {
    fn holds(&self, base: &Model, now: &Model) -> bool {
        match self {
            Read::Point(space, family, key, version) => {
                now.space_of(base, *space).and_then(|space| space.version(*family, key)) == *version
            }
            Read::Range(space, family, bounds) => {
                let list = |model: &Model| {
                    model.space_of(base, *space).map_or(Vec::new(), |space| space.versions(*family, bounds))
                };
                list(base) == list(now)
            }
            Read::Indexed(space, index, bounds) => {
                let list = |model: &Model| -> Vec<(Key, Version)> {
                    let Some(space) = model.space_of(base, *space) else { return Vec::new() };
                    let rows = space.entries.range::<Key, _>(bounds.clone());
                    let listed = rows.filter(|(_, row)| index.lists(&row.value));
                    listed.map(|(key, row)| (key.clone(), row.version)).collect()
                };
                list(base) == list(now)
            }
            Read::Run(id, changed) => now.runs.get(id).map(|run| run.record.changed_seq) == Some(*changed),
        }
    }
}

impl Space {
    pub(super) fn version(&self, family: Family, key: &[u8]) -> Version {
        match family {
            Family::Pairs => self.pairs.get(key).and_then(|row| row.version),
            Family::Documents => self.documents.get(key).and_then(|row| row.version),
            Family::Cells => self.cells.get(key).and_then(|row| row.version),
            Family::Streams => self.streams.get(key).and_then(|row| row.version),
            Family::Entries => self.entries.get(key).and_then(|row| row.version),
        }
    }

    fn versions(&self, family: Family, bounds: &Bounds) -> Vec<(Key, Version)> {
        macro_rules! list {
            ($table:expr) => {
                $table.range::<Key, _>(bounds.clone()).map(|(key, row)| (key.clone(), row.version)).collect()
            };
        }
        if is_empty(bounds) {
            return Vec::new();
        }
        match family {
            Family::Pairs => list!(self.pairs),
            Family::Documents => list!(self.documents),
            Family::Cells => list!(self.cells),
            Family::Streams => list!(self.streams),
            Family::Entries => list!(self.entries),
        }
    }
}

/// Whether no key can be in a range. A map panics when it is asked for some of these.
pub(super) fn is_empty((start, end): &Bounds) -> bool {
    match (start, end) {
        (Bound::Included(start), Bound::Included(end)) => start > end,
        (Bound::Excluded(start), Bound::Excluded(end)) => {
            // Nothing is between a key and the same with a zero behind it.
            start >= end || end.strip_prefix(start.as_slice()) == Some(&[0])
        }
        (Bound::Included(start) | Bound::Excluded(start), Bound::Included(end) | Bound::Excluded(end)) => start >= end,
        (Bound::Unbounded, Bound::Excluded(end)) => end.is_empty(),
        _ => false,
    }
}

impl SpaceWrites {
    fn is_empty(&self) -> bool {
        self.pairs.is_empty()
            && self.documents.is_empty()
            && self.cells.is_empty()
            && self.streams.is_empty()
            && self.entries.is_empty()
    }

    /// Whether a read of this key sees what the transaction has written and nothing else. An addition is not enough: the
    /// sum depends on what was there.
    fn decides(&self, family: Family, key: &[u8]) -> bool {
        match family {
            Family::Pairs => {
                self.pairs.get(key).is_some_and(|write| !matches!(write, PairWrite::Add(_) | PairWrite::Expire(_)))
            }
            Family::Documents => self.documents.contains_key(key),
            Family::Cells => self.cells.contains_key(key),
            // The head of a stream depends on what others append.
            Family::Streams => false,
            Family::Entries => self.entries.contains_key(key),
        }
    }

    /// Applies them, and returns the keys of counters that have what cannot be added to.
    fn apply(&self, space: &mut Space, version: Version, time: u64) -> BTreeSet<Key> {
        let mut broken = BTreeSet::new();
        for (key, write) in &self.pairs {
            match write {
                PairWrite::Put(value, expires) => put_pair(space, key, value.clone(), *expires, version),
                PairWrite::Delete => remove_pair(space, key),
                PairWrite::Expire(expires) => {
                    if let Some(value) = space.pairs.get(key).map(|row| row.value.clone()) {
                        put_pair(space, key, value, *expires, version);
                    }
                }
                PairWrite::Add(delta) => match counter::sum(space.pairs.get(key).map(|row| &row.value), *delta) {
                    Ok(sum) => put(&mut space.pairs, key, sum, version),
                    Err(_) => drop(broken.insert(key.clone())),
                },
            }
        }
        for (key, write) in &self.documents {
            match write {
                Some(document) => put(&mut space.documents, key, document.clone(), version),
                None => remove(&mut space.documents, key),
            }
        }
        for (key, write) in &self.cells {
            match write {
                Some(cell) => put(&mut space.cells, key, cell.clone(), version),
                None => remove(&mut space.cells, key),
            }
        }
        for (key, write) in &self.streams {
            write.apply(space, key, version, time);
        }
        for (key, entry) in &self.entries {
            put(&mut space.entries, key, entry.clone(), version);
        }
        broken
    }
}

impl StreamWrite {
    fn apply(&self, space: &mut Space, name: &[u8], version: Version, time: u64) {
        if self.deleted {
            remove(&mut space.streams, name);
        }
        let existing = space.streams.get(name).map(|row| row.value.clone());
        let exists = existing.is_some();
        let mut stream = existing.unwrap_or_else(|| Stream { created: time, ..Stream::default() });
        let appended = stream.appended;
        let mut changed = false;
        let mut trim = |stream: &mut Stream| changed |= self.trim.is_some_and(|keep_from| stream.trim(keep_from));
        if self.trim_first && exists {
            trim(&mut stream);
        }
        stream.append(&self.appended, time);
        if self.appended.is_empty() || version.is_none() {
            // Only a commit counts as growth.
            stream.appended = appended;
        }
        if !self.trim_first && (exists || !self.appended.is_empty()) {
            trim(&mut stream);
        }
        if changed || !self.appended.is_empty() {
            put(&mut space.streams, name, stream, version);
        }
    }
}

impl SavedWrites {
    /// What keeps the transaction from being committed behind `now`.
    fn check(&self, base: &Model, now: &Model) -> Vec<ErrorKind> {
        let mut wrong = check_lives(&self.runs, base, now);
        let mut new: BTreeSet<RunId> = BTreeSet::new();
        // What it does to a run that was there when it looked is done to that one, also where it begins another of that id.
        let is_gone = |new: &BTreeSet<RunId>, id: RunId| {
            now.run_of(base, id).is_none() && (base.runs.contains_key(&id) || !new.contains(&id))
        };
        for operation in &self.runs {
            let id = operation.run();
            if let RunOperation::Begin(_) = operation {
                if now.runs.contains_key(&id) || !new.insert(id) {
                    wrong.push(ErrorKind::Precondition);
                }
            } else if is_gone(&new, id) {
                wrong.push(ErrorKind::NotFound);
            }
        }
        for (id, writes) in self.spaces.iter().filter(|(_, writes)| !writes.is_empty()) {
            let Some(space) = now.space_of(base, *id) else {
                wrong.extend(id.filter(|id| is_gone(&new, *id)).map(|_| ErrorKind::NotFound));
                continue;
            };
            let resumes =
                |operation: &RunOperation| matches!(operation, RunOperation::Resume(run) if Some(*run) == *id);
            let has_ended = id.and_then(|id| now.run_of(base, id)).is_some_and(|run| run.record.ended.is_some());
            if has_ended && !self.runs.iter().any(resumes) {
                wrong.push(ErrorKind::RunEnded);
            }
            for (key, write) in &writes.pairs {
                if let PairWrite::Add(delta) = write {
                    wrong.extend(counter::sum(space.pairs.get(key).map(|row| &row.value), *delta).err());
                }
            }
        }
        wrong
    }

    fn commit(&self, now: &Model, key: Option<&[u8]>, time: u64, process: u64) -> Model {
        let mut model = now.clone();
        model.seq += 1;
        let seq = model.seq;
        let mut touched: BTreeSet<SpaceId> = BTreeSet::new();
        for operation in &self.runs {
            if let RunOperation::Begin(begin) = operation {
                model.begun += 1;
                let record = RunRecord::new(begin.clone(), model.begun, (seq, time, process));
                model.runs.insert(begin.id, Arc::new(Run { record, space: Space::default() }));
            }
            touched.insert(Some(operation.run()));
        }
        for (id, writes) in self.spaces.iter().filter(|(_, writes)| !writes.is_empty()) {
            touched.insert(*id);
            let space = match id {
                None => Arc::make_mut(&mut model.default),
                Some(id) => match model.runs.get_mut(id) {
                    Some(run) => &mut Arc::make_mut(run).space,
                    None => continue,
                },
            };
            writes.apply(space, Some(seq), time);
        }
        for operation in &self.runs {
            if let Some(run) = model.runs.get_mut(&operation.run())
                && !matches!(operation, RunOperation::Begin(_))
            {
                Arc::make_mut(run).record.change(operation, (seq, time, process));
            }
        }
        for id in touched {
            let space = match id {
                None => Some(Arc::make_mut(&mut model.default)),
                Some(id) => model.runs.get_mut(&id).map(|run| &mut Arc::make_mut(run).space),
            };
            if let Some(space) = space {
                space.last_seq = seq;
                space.commits += 1;
            }
        }
        for operation in &self.runs {
            if let RunOperation::Delete(id) = operation {
                model.runs.remove(id);
            }
        }
        if let Some(key) = key {
            Arc::make_mut(&mut model.keys).insert(key.to_vec(), seq);
        }
        model
    }
}
