//! What each call answers, and what it writes: the documentation of the primitives, sentence by sentence.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
    sync::Arc,
};

use foldb_core::{ErrorKind, value::Value};
use serde_json::Value as Json;

use super::{
    Model, Space, SpaceId, counter, document,
    operation::{Answer, EntryFacts, EventFacts, Id, Key, NewEvent, Operation, Place, Scan, StreamFacts, Version},
    space::{Entry, Row, Stream},
    transaction::{Bounds, Family, Index, ModelTransaction, PairWrite, is_empty},
};

/// The longest key.
const KEY_BYTES_MAX: usize = 1024;

/// What the model cannot know of a call.
#[derive(Clone, Copy, Debug, Default)]
pub struct Learned {
    /// The random bytes that the store was given for an id.
    pub random: Id,
    /// The time of the call.
    pub now: u64,
    /// Whether the call is a transaction by itself, and so knows the seqs of its events.
    pub commits: bool,
}

/// The first time that ids have no room for: 2^48 milliseconds.
const IDS_END_MICROS: u64 = (1 << 48) * 1000;

type Outcome<T = Answer> = Result<T, ErrorKind>;

fn check_key(key: &[u8]) -> Outcome<()> {
    if key.len() > KEY_BYTES_MAX { Err(ErrorKind::Limit) } else { Ok(()) }
}

fn wide(size: usize) -> u64 {
    u64::try_from(size).unwrap_or(u64::MAX)
}

/// The rows of a table that a scan chooses, and how far it had to look.
struct Chosen<'t, T> {
    rows: Vec<(&'t Key, &'t Row<T>)>,
    /// `None` where it did not look at all.
    looked: Option<Bounds>,
}

fn bounds(scan: &Scan) -> Bounds {
    let (mut start, mut end) = (scan.start.clone(), scan.end.clone());
    if let Some(after) = &scan.after {
        let passed = |key: &Key| if scan.reverse { key > after } else { key < after };
        match (scan.reverse, &start, &end) {
            (false, Bound::Included(key) | Bound::Excluded(key), _) if !passed(key) && key != after => {}
            (false, ..) => start = Bound::Excluded(after.clone()),
            (true, _, Bound::Included(key) | Bound::Excluded(key)) if !passed(key) && key != after => {}
            (true, ..) => end = Bound::Excluded(after.clone()),
        }
    }
    (start, end)
}

/// A scan that cannot find anything does not look, and so takes no version.
fn finds_nothing(scan: &Scan) -> bool {
    scan.limit == Some(0) || is_empty(&bounds(scan))
}

/// A scan ends behind the last key that it wants; what is behind that was not looked at.
fn choose<'t, T>(
    table: &'t BTreeMap<Key, Arc<Row<T>>>,
    scan: &Scan,
    wanted: impl Fn(&Key, &Row<T>) -> bool,
) -> Chosen<'t, T> {
    let bounds = bounds(scan);
    let limit = scan.limit.unwrap_or(usize::MAX);
    if finds_nothing(scan) {
        return Chosen { rows: Vec::new(), looked: None };
    }
    let range = table.range::<Key, _>(bounds.clone()).map(|(key, row)| (key, &**row));
    let listed = |(key, row): &(&Key, &Row<T>)| wanted(key, row);
    let rows: Vec<_> = if scan.reverse {
        range.rev().filter(listed).take(limit).collect()
    } else {
        range.filter(listed).take(limit).collect()
    };
    let (start, end) = bounds;
    let looked = match rows.last() {
        Some((last, _)) if rows.len() == limit => {
            let stop = Bound::Included((*last).clone());
            if scan.reverse { (stop, end) } else { (start, stop) }
        }
        _ => (start, end),
    };
    Chosen { rows, looked: Some(looked) }
}

impl ModelTransaction {
    /// Does one call, and says what it answers. What fails writes nothing.
    pub fn perform(&mut self, now: &Model, at: SpaceId, operation: &Operation, learned: Learned) -> Outcome {
        let before = self.writes.clone();
        let outcome = Call { transaction: self, now, at, learned }.perform(operation);
        if outcome.is_err() {
            self.writes = before;
        }
        outcome
    }
}

/// One call.
struct Call<'c> {
    transaction: &'c mut ModelTransaction,
    now: &'c Model,
    at: SpaceId,
    learned: Learned,
}

impl Call<'_> {
    fn view(&mut self) -> Outcome<(Space, BTreeSet<Key>)> {
        self.transaction.view(self.now, self.at)
    }

    /// The space as far as one key of it goes, which is looked at.
    fn view_at(&mut self, family: Family, key: &[u8]) -> Outcome<(Space, BTreeSet<Key>)> {
        if self.transaction.decides(self.at, family, key) {
            return Ok((self.transaction.own(self.at), BTreeSet::new()));
        }
        self.look(family, key);
        self.view()
    }

    fn look(&mut self, family: Family, key: &[u8]) {
        self.transaction.look(self.now, self.at, family, key);
    }

    fn look_over(&mut self, family: Family, looked: Option<Bounds>) {
        if let Some(bounds) = looked {
            self.transaction.look_over(self.now, self.at, family, bounds);
        }
    }

    fn perform(&mut self, operation: &Operation) -> Outcome {
        use Operation as O;
        match operation {
            O::Put(..) | O::PutMany(_) | O::Remove(_) | O::Add(..) => self.write_blindly(operation),
            O::Delete(_)
            | O::DeleteMany(_)
            | O::Update(..)
            | O::PutIfAbsent(..)
            | O::CasVersion(..)
            | O::CasValue(..)
            | O::GetAndPut(..)
            | O::GetAndDelete(_)
            | O::Rename(..) => self.change_pair(operation),
            O::Get(_) | O::GetVersioned(_) | O::GetMany(_) | O::Exists(_) | O::Count(_) | O::Keys(_) | O::Pairs(_) => {
                self.read_pairs(operation)
            }
            O::SetDocument(..) | O::SetDocuments(_) | O::DeleteDocument(_) | O::DeleteDocuments(_) => {
                self.write_documents(operation)
            }
            O::SetAt(..)
            | O::DeleteAt(..)
            | O::MergeAt(..)
            | O::Patch(..)
            | O::PushAt(..)
            | O::PopAt(..)
            | O::IncrementAt(..) => self.edit_document(operation),
            O::GetDocument(_)
            | O::GetDocuments(_)
            | O::DocumentExists(_)
            | O::GetAt(..)
            | O::LengthAt(..)
            | O::TypeAt(..)
            | O::KeysAt(..)
            | O::Documents(_)
            | O::CountDocuments(_)
            | O::Select(..) => self.read_documents(operation),
            O::Append(..)
            | O::Trim(..)
            | O::DeleteStream(_)
            | O::Event(..)
            | O::Events(..)
            | O::Stream(_)
            | O::Streams(_) => self.events(operation),
            O::InitCell(..)
            | O::SetCell(..)
            | O::DeleteCell(_)
            | O::CasCell(..)
            | O::Transition(..)
            | O::TransitionOrInit(..)
            | O::Cell(_)
            | O::Cells(_)
            | O::CountCells(_) => self.cells(operation),
            O::Record { .. }
            | O::Finish(..)
            | O::Entry(_)
            | O::Entries(_)
            | O::CountEntries
            | O::Children(..)
            | O::Roots(_)
            | O::OfKind(..)
            | O::InTime(..) => self.trace(operation),
        }
    }

    // Pairs.

    fn put(&mut self, key: &[u8], write: PairWrite) -> Outcome<()> {
        check_key(key)?;
        self.transaction.writes_to(self.at).pairs.insert(key.to_vec(), write);
        Ok(())
    }

    fn write_blindly(&mut self, operation: &Operation) -> Outcome {
        match operation {
            Operation::Put(key, value) => self.put(key, PairWrite::Put(value.clone()))?,
            Operation::PutMany(pairs) => {
                pairs.iter().try_for_each(|(key, value)| self.put(key, PairWrite::Put(value.clone())))?;
            }
            Operation::Remove(key) => self.put(key, PairWrite::Delete)?,
            Operation::Add(key, delta) => {
                check_key(key)?;
                let write = match self.transaction.writes_to(self.at).pairs.get(key) {
                    None => PairWrite::Add(*delta),
                    // The value is known: it is a sum from here on.
                    Some(PairWrite::Put(value)) => PairWrite::Put(counter::sum(Some(value), *delta)?),
                    Some(PairWrite::Delete) => PairWrite::Put(counter::sum(None, *delta)?),
                    Some(PairWrite::Add(before)) => PairWrite::Add(counter::both(*before, *delta)?),
                };
                self.put(key, write)?;
            }
            _ => {}
        }
        Ok(Answer::Unit)
    }

    fn pair(&mut self, key: &[u8]) -> Outcome<Option<Row<Value>>> {
        let (space, broken) = self.view_at(Family::Pairs, key)?;
        if broken.contains(key) {
            return Err(ErrorKind::Invalid);
        }
        Ok(space.pairs.get(key).map(|row| (**row).clone()))
    }

    fn delete(&mut self, key: &[u8]) -> Outcome<bool> {
        let there = self.pair(key)?.is_some();
        if there {
            self.put(key, PairWrite::Delete)?;
        }
        Ok(there)
    }

    fn put_if(&mut self, holds: bool, key: &[u8], value: &Value) -> Outcome {
        if !holds {
            return Err(ErrorKind::Precondition);
        }
        self.put(key, PairWrite::Put(value.clone()))?;
        Ok(Answer::Unit)
    }

    fn change_pair(&mut self, operation: &Operation) -> Outcome {
        match operation {
            Operation::Delete(key) => self.delete(key).map(Answer::Bool),
            Operation::DeleteMany(keys) => {
                let mut deleted = 0;
                for key in keys {
                    deleted += u64::from(self.delete(key)?);
                }
                Ok(Answer::Number(deleted))
            }
            Operation::Update(key, by) => {
                let value = match self.pair(key)? {
                    None => 0,
                    Some(row) => row.value.as_i64().ok_or(ErrorKind::Invalid)?,
                };
                let value = Value::from(value.saturating_add(*by));
                self.put(key, PairWrite::Put(value.clone()))?;
                Ok(Answer::Value(Some(value)))
            }
            Operation::PutIfAbsent(key, value) => {
                let holds = self.pair(key)?.is_none();
                self.put_if(holds, key, value)
            }
            Operation::CasVersion(key, expected, value) => {
                let holds = self.pair(key)?.map(|row| row.version) == *expected;
                self.put_if(holds, key, value)
            }
            Operation::CasValue(key, expected, value) => {
                let holds = self.pair(key)?.map(|row| row.value) == *expected;
                self.put_if(holds, key, value)
            }
            Operation::GetAndPut(key, value) => {
                let before = self.pair(key)?.map(|row| row.value);
                self.put(key, PairWrite::Put(value.clone()))?;
                Ok(Answer::Value(before))
            }
            Operation::GetAndDelete(key) => {
                let before = self.pair(key)?.map(|row| row.value);
                if before.is_some() {
                    self.put(key, PairWrite::Delete)?;
                }
                Ok(Answer::Value(before))
            }
            Operation::Rename(from, to) => {
                let value = self.pair(from)?.ok_or(ErrorKind::NotFound)?.value;
                if from != to {
                    if self.pair(to)?.is_some() {
                        return Err(ErrorKind::Precondition);
                    }
                    self.put(to, PairWrite::Put(value))?;
                    self.put(from, PairWrite::Delete)?;
                }
                Ok(Answer::Unit)
            }
            _ => Ok(Answer::Unit),
        }
    }

    fn read_pairs(&mut self, operation: &Operation) -> Outcome {
        match operation {
            Operation::Get(key) => Ok(Answer::Value(self.pair(key)?.map(|row| row.value))),
            Operation::GetVersioned(key) => Ok(Answer::Versioned(self.pair(key)?.map(|row| (row.value, row.version)))),
            Operation::GetMany(keys) => {
                let values: Outcome<Vec<_>> = keys.iter().map(|key| Ok(self.pair(key)?.map(|row| row.value))).collect();
                values.map(Answer::Values)
            }
            Operation::Exists(key) => Ok(Answer::Bool(self.pair(key)?.is_some())),
            Operation::Count(scan) => {
                let scan = Scan { limit: None, reverse: false, after: None, ..scan.clone() };
                self.pairs(&scan).map(|pairs| Answer::Number(wide(pairs.len())))
            }
            Operation::Keys(scan) => {
                self.pairs(scan).map(|pairs| Answer::Keys(pairs.into_iter().map(|(key, ..)| key).collect()))
            }
            Operation::Pairs(scan) => self.pairs(scan).map(Answer::Pairs),
            _ => Ok(Answer::Unit),
        }
    }

    fn pairs(&mut self, scan: &Scan) -> Outcome<Vec<(Key, Value, Version)>> {
        if finds_nothing(scan) {
            return Ok(Vec::new());
        }
        let (mut space, broken) = self.view()?;
        // A counter that cannot be read shows where the scan comes to it.
        for key in &broken {
            super::space::put(&mut space.pairs, key, Value::Null, None);
        }
        let chosen = choose(&space.pairs, scan, |_, _| true);
        let failed = chosen.rows.iter().position(|(key, _)| broken.contains(*key));
        let looked = match failed {
            // It has looked as far as there.
            Some(place) => choose(&space.pairs, &Scan { limit: Some(place + 1), ..scan.clone() }, |_, _| true).looked,
            None => chosen.looked,
        };
        let pairs = chosen.rows.iter().map(|(key, row)| ((*key).clone(), row.value.clone(), row.version)).collect();
        self.look_over(Family::Pairs, looked);
        if failed.is_some() { Err(ErrorKind::Invalid) } else { Ok(pairs) }
    }

    // Documents.

    fn document(&mut self, key: &[u8]) -> Outcome<Option<Json>> {
        Ok(self.view_at(Family::Documents, key)?.0.documents.get(key).map(|row| row.value.clone()))
    }

    fn set_document(&mut self, key: &[u8], document: Option<Json>) -> Outcome<()> {
        check_key(key)?;
        self.transaction.writes_to(self.at).documents.insert(key.to_vec(), document);
        Ok(())
    }

    fn write_documents(&mut self, operation: &Operation) -> Outcome {
        match operation {
            Operation::SetDocument(key, document) => {
                self.set_document(key, Some(document.clone()))?;
                Ok(Answer::Unit)
            }
            Operation::SetDocuments(documents) => {
                for (key, document) in documents {
                    self.set_document(key, Some(document.clone()))?;
                }
                Ok(Answer::Unit)
            }
            Operation::DeleteDocument(key) => self.delete_document(key).map(Answer::Bool),
            Operation::DeleteDocuments(keys) => {
                let mut deleted = 0;
                for key in keys {
                    deleted += u64::from(self.delete_document(key)?);
                }
                Ok(Answer::Number(deleted))
            }
            _ => Ok(Answer::Unit),
        }
    }

    fn delete_document(&mut self, key: &[u8]) -> Outcome<bool> {
        let there = self.document(key)?.is_some();
        if there {
            self.set_document(key, None)?;
        }
        Ok(there)
    }

    fn edit_document(&mut self, operation: &Operation) -> Outcome {
        match operation {
            Operation::SetAt(key, place, value) => {
                self.edit(key, place, |document, steps| document::set(document, steps, value.clone()).map(Answer::Json))
            }
            Operation::DeleteAt(key, place) => {
                self.edit(key, place, |document, steps| document::delete(document, steps).map(Answer::Json))
            }
            Operation::MergeAt(key, place, changes) => self
                .edit(key, place, |document, steps| document::merge(document, steps, changes).map(|()| Answer::Unit)),
            Operation::Patch(key, operations) => {
                let whole = Place { steps: Vec::new(), dollar: false, malformed: false };
                let patch = document::parsed(operations)?;
                self.edit(key, &whole, |document, _| document::patch(document, &patch).map(|()| Answer::Unit))
            }
            Operation::PushAt(key, place, value) => self
                .edit(key, place, |document, steps| document::push(document, steps, value.clone()).map(Answer::Number)),
            Operation::PopAt(key, place) => {
                self.edit(key, place, |document, steps| document::pop(document, steps).map(Answer::Json))
            }
            Operation::IncrementAt(key, place, by) => self.edit(key, place, |document, steps| match by {
                Json::Number(by) => document::increment(document, steps, by).map(|sum| Answer::Json(Some(sum))),
                _ => Err(ErrorKind::Invalid),
            }),
            _ => Ok(Answer::Unit),
        }
    }

    /// Only a document that has changed is written.
    fn edit(&mut self, key: &[u8], place: &Place, change: impl FnOnce(&mut Json, &[String]) -> Outcome) -> Outcome {
        let steps = document::steps(place)?;
        let before = self.document(key)?.ok_or(ErrorKind::NotFound)?;
        let mut document = before.clone();
        let answer = change(&mut document, steps)?;
        if document != before {
            self.set_document(key, Some(document))?;
        }
        Ok(answer)
    }

    fn inspect(&mut self, key: &[u8], place: &Place, look: impl FnOnce(&Json, &[String]) -> Outcome) -> Outcome {
        let steps = document::steps(place)?;
        let document = self.document(key)?.ok_or(ErrorKind::NotFound)?;
        look(&document, steps)
    }

    fn read_documents(&mut self, operation: &Operation) -> Outcome {
        match operation {
            Operation::GetDocument(key) => self.document(key).map(Answer::Json),
            Operation::GetDocuments(keys) => {
                let documents: Outcome<Vec<_>> = keys.iter().map(|key| self.document(key)).collect();
                documents.map(Answer::Jsons)
            }
            Operation::DocumentExists(key) => Ok(Answer::Bool(self.document(key)?.is_some())),
            Operation::GetAt(key, place) => {
                self.inspect(key, place, |document, steps| Ok(Answer::Json(document::get(document, steps).cloned())))
            }
            Operation::LengthAt(key, place) => {
                self.inspect(key, place, |document, steps| document::length(document, steps).map(Answer::Number))
            }
            Operation::TypeAt(key, place) => {
                self.inspect(key, place, |document, steps| Ok(Answer::Text(document::type_of(document, steps))))
            }
            Operation::KeysAt(key, place) => {
                self.inspect(key, place, |document, steps| document::keys(document, steps).map(Answer::Texts))
            }
            Operation::Documents(scan) => self.documents(scan, |_| true).map(Answer::Documents),
            Operation::CountDocuments(scan) => {
                let scan = Scan { limit: None, reverse: false, after: None, ..scan.clone() };
                self.documents(&scan, |_| true).map(|documents| Answer::Number(wide(documents.len())))
            }
            Operation::Select(scan, place, value) => {
                let steps = document::steps(place)?;
                let wanted = |found: &Json| document::get(found, steps).is_some_and(|at| document::equal(at, value));
                self.documents(scan, wanted).map(Answer::Documents)
            }
            _ => Ok(Answer::Unit),
        }
    }

    fn documents(&mut self, scan: &Scan, wanted: impl Fn(&Json) -> bool) -> Outcome<Vec<(Key, Json, Version)>> {
        if finds_nothing(scan) {
            return Ok(Vec::new());
        }
        let (space, _) = self.view()?;
        let chosen = choose(&space.documents, scan, |_, row| wanted(&row.value));
        let found = chosen.rows.iter().map(|(key, row)| ((*key).clone(), row.value.clone(), row.version)).collect();
        self.look_over(Family::Documents, chosen.looked);
        Ok(found)
    }

    // Events.

    fn stream(&mut self, name: &[u8]) -> Outcome<Option<Stream>> {
        Ok(self.view_at(Family::Streams, name)?.0.streams.get(name).map(|row| row.value.clone()))
    }

    fn events(&mut self, operation: &Operation) -> Outcome {
        match operation {
            Operation::Append(name, events) => self.append(name, events),
            Operation::Trim(name, keep_from) => {
                check_key(name)?;
                let write = self.transaction.writes_to(self.at).streams.entry(name.clone()).or_default();
                // What was trimmed stays trimmed.
                if write.trim.is_none_or(|before| before <= *keep_from) {
                    write.trim = Some(*keep_from);
                    write.trim_first = false;
                }
                Ok(Answer::Unit)
            }
            Operation::DeleteStream(name) => {
                let exists = self.stream(name)?.is_some();
                if exists {
                    check_key(name)?;
                    let write = super::transaction::StreamWrite { deleted: true, ..Default::default() };
                    self.transaction.writes_to(self.at).streams.insert(name.clone(), write);
                }
                Ok(Answer::Bool(exists))
            }
            Operation::Event(name, seq) => {
                let found = self.range(name, (Bound::Included(*seq), Bound::Included(*seq)), None, true)?;
                Ok(Answer::Events(found))
            }
            Operation::Events(name, start, end, limit, reverse) => {
                self.range(name, (*start, *end), *limit, *reverse).map(Answer::Events)
            }
            Operation::Stream(name) => {
                let facts = self.stream(name)?.map(|stream| stream_facts(name, &stream));
                Ok(Answer::Stream(facts))
            }
            Operation::Streams(scan) => self.streams(scan),
            _ => Ok(Answer::Unit),
        }
    }

    fn append(&mut self, name: &[u8], events: &[NewEvent]) -> Outcome {
        if events.is_empty() {
            return Ok(Answer::MaybeNumber(None));
        }
        check_key(name)?;
        let write = self.transaction.writes_to(self.at).streams.entry(name.to_vec()).or_default();
        write.trim_first |= write.trim.is_some();
        write.appended.extend_from_slice(events);
        let head = self.now.space(self.at).and_then(|space| space.streams.get(name)).map_or(0, |row| row.value.head);
        Ok(Answer::MaybeNumber(self.learned.commits.then_some(head + 1)))
    }

    fn range(
        &mut self,
        name: &[u8],
        (start, end): (Bound<u64>, Bound<u64>),
        limit: Option<usize>,
        reverse: bool,
    ) -> Outcome<Vec<EventFacts>> {
        let Some(stream) = self.stream(name)? else { return Ok(Vec::new()) };
        let inside = |seq: &u64| {
            let behind_start = match start {
                Bound::Included(start) => *seq >= start,
                Bound::Excluded(start) => *seq > start,
                Bound::Unbounded => true,
            };
            behind_start
                && match end {
                    Bound::Included(end) => *seq <= end,
                    Bound::Excluded(end) => *seq < end,
                    Bound::Unbounded => true,
                }
        };
        let facts = |(seq, event): (&u64, &Arc<(NewEvent, u64)>)| {
            let ((kind, payload), time) = &**event;
            (*seq, kind.clone(), payload.clone(), *time)
        };
        let chosen = stream.events.iter().filter(|(seq, _)| inside(seq));
        let limit = limit.unwrap_or(usize::MAX);
        Ok(match reverse {
            true => chosen.rev().take(limit).map(facts).collect(),
            false => chosen.take(limit).map(facts).collect(),
        })
    }

    /// Looks over the committed streams, and at those that only the transaction has.
    fn streams(&mut self, scan: &Scan) -> Outcome {
        let appends =
            |writes: &super::transaction::SpaceWrites| writes.streams.values().any(|write| !write.appended.is_empty());
        if finds_nothing(scan) && !self.transaction.writes.spaces.get(&self.at).is_some_and(appends) {
            return Ok(Answer::Streams(Vec::new()));
        }
        let (space, _) = self.view()?;
        let committed = self.transaction.committed(self.now, self.at).map(|space| Arc::clone(&space.streams));
        let committed = committed.unwrap_or_default();
        let known = choose(&committed, scan, |name, _| space.streams.contains_key(name));
        let known_names: BTreeSet<Key> = known.rows.iter().map(|(name, _)| (*name).clone()).collect();
        self.look_over(Family::Streams, known.looked);
        // A limit of none is for the committed ones only: the others are looked at, and then cut off.
        let unlimited = Scan { limit: None, ..scan.clone() };
        let appended: BTreeSet<Key> = match self.transaction.writes.spaces.get(&self.at) {
            Some(writes) => {
                let streams = writes.streams.iter().filter(|(_, write)| !write.appended.is_empty());
                streams.map(|(name, _)| name.clone()).collect()
            }
            None => BTreeSet::new(),
        };
        let listed =
            choose(&space.streams, &unlimited, |name, _| known_names.contains(name) || appended.contains(name));
        let mut facts: Vec<StreamFacts> =
            listed.rows.iter().map(|(name, row)| stream_facts(name, &row.value)).collect();
        for name in listed.rows.iter().map(|(name, _)| *name).filter(|name| !known_names.contains(*name)) {
            self.look(Family::Streams, name);
        }
        facts.truncate(scan.limit.unwrap_or(usize::MAX));
        Ok(Answer::Streams(facts))
    }

    // Cells.

    fn cell(&mut self, key: &[u8]) -> Outcome<Option<(u64, Value)>> {
        Ok(self.view_at(Family::Cells, key)?.0.cells.get(key).map(|row| row.value.clone()))
    }

    fn set_cell(&mut self, key: &[u8], cell: Option<(u64, Value)>) -> Outcome<()> {
        check_key(key)?;
        self.transaction.writes_to(self.at).cells.insert(key.to_vec(), cell);
        Ok(())
    }

    fn cells(&mut self, operation: &Operation) -> Outcome {
        match operation {
            Operation::InitCell(key, value) => {
                if self.cell(key)?.is_some() {
                    return Err(ErrorKind::Precondition);
                }
                self.set_cell(key, Some((1, value.clone())))?;
                Ok(Answer::Unit)
            }
            Operation::SetCell(key, value) => {
                let counter = self.cell(key)?.map_or(1, |(counter, _)| counter + 1);
                self.set_cell(key, Some((counter, value.clone())))?;
                Ok(Answer::Number(counter))
            }
            Operation::DeleteCell(key) => {
                let there = self.cell(key)?.is_some();
                if there {
                    self.set_cell(key, None)?;
                }
                Ok(Answer::Bool(there))
            }
            Operation::CasCell(key, expected, value) => {
                if self.cell(key)?.map(|(counter, _)| counter) != Some(*expected) {
                    return Err(ErrorKind::Precondition);
                }
                self.set_cell(key, Some((expected + 1, value.clone())))?;
                Ok(Answer::Number(expected + 1))
            }
            Operation::Transition(key, by) => {
                let before = self.cell(key)?.ok_or(ErrorKind::NotFound)?;
                self.transit(key, before, *by)
            }
            Operation::TransitionOrInit(key, init, by) => {
                let before = self.cell(key)?.unwrap_or((1, Value::from(*init)));
                self.transit(key, before, *by)
            }
            Operation::Cell(key) => self.cell(key).map(Answer::Cell),
            Operation::Cells(scan) => self.list_cells(scan).map(Answer::Cells),
            Operation::CountCells(scan) => {
                let scan = Scan { limit: None, reverse: false, after: None, ..scan.clone() };
                self.list_cells(&scan).map(|cells| Answer::Number(wide(cells.len())))
            }
            _ => Ok(Answer::Unit),
        }
    }

    fn transit(&mut self, key: &[u8], (counter, value): (u64, Value), by: i64) -> Outcome {
        let value = value.as_i64().ok_or(ErrorKind::Invalid)?;
        let cell = (counter + 1, Value::from(transition(value, by).ok_or(ErrorKind::Invalid)?));
        self.set_cell(key, Some(cell.clone()))?;
        Ok(Answer::Cell(Some(cell)))
    }

    fn list_cells(&mut self, scan: &Scan) -> Outcome<Vec<(Key, u64, Value)>> {
        if finds_nothing(scan) {
            return Ok(Vec::new());
        }
        let (space, _) = self.view()?;
        let chosen = choose(&space.cells, scan, |_, _| true);
        let list = |(key, row): &(&Key, &Row<(u64, Value)>)| ((*key).clone(), row.value.0, row.value.1.clone());
        let cells = chosen.rows.iter().map(list).collect();
        self.look_over(Family::Cells, chosen.looked);
        Ok(cells)
    }

    // Traces.

    fn entry(&mut self, id: &Id) -> Outcome<Option<Entry>> {
        Ok(self.view_at(Family::Entries, id)?.0.entries.get(&id[..]).map(|row| row.value.clone()))
    }

    fn trace(&mut self, operation: &Operation) -> Outcome {
        let now = self.learned.now;
        match operation {
            Operation::Record { kind, name, parent, time, duration, data } => {
                if kind.name().is_empty() || kind.name().contains('\0') {
                    return Err(ErrorKind::Invalid);
                }
                let entry = Entry {
                    kind: kind.clone(),
                    name: name.clone(),
                    parent: *parent,
                    time: time.unwrap_or(now),
                    duration: *duration,
                    data: data.clone(),
                };
                let id = id_of(entry.time, self.learned.random);
                self.transaction.writes_to(self.at).entries.insert(id.to_vec(), entry);
                Ok(Answer::Id(id))
            }
            Operation::Finish(id, data, duration) => {
                let mut entry = self.entry(id)?.ok_or(ErrorKind::NotFound)?;
                entry.duration = Some(duration.unwrap_or(now.saturating_sub(entry.time)));
                if let Some(data) = data {
                    entry.data = data.clone();
                }
                self.transaction.writes_to(self.at).entries.insert(id.to_vec(), entry.clone());
                Ok(Answer::Entry(Some(entry.facts(id))))
            }
            Operation::Entry(id) => Ok(Answer::Entry(self.entry(id)?.map(|entry| entry.facts(id)))),
            Operation::Entries(scan) => self.entries(scan, |_| true),
            Operation::CountEntries => match self.entries(&Scan::all(), |_| true)? {
                Answer::Entries(entries) => Ok(Answer::Number(wide(entries.len()))),
                other => Ok(other),
            },
            Operation::Children(parent, scan) => self.indexed(&Index::Parent(Some(*parent)), scan),
            Operation::Roots(scan) => self.indexed(&Index::Parent(None), scan),
            Operation::OfKind(kind, scan) => self.indexed(&Index::Kind(kind.name().into()), scan),
            Operation::InTime(from, to, scan) => self.entries_in_time(*from, *to, scan),
            _ => Ok(Answer::Unit),
        }
    }

    fn entries(&mut self, scan: &Scan, wanted: impl Fn(&Entry) -> bool) -> Outcome {
        if finds_nothing(scan) {
            return Ok(Answer::Entries(Vec::new()));
        }
        let (space, _) = self.view()?;
        let chosen = choose(&space.entries, scan, |_, row| wanted(&row.value));
        let entries: Vec<EntryFacts> = chosen.rows.iter().map(|(key, row)| row.value.facts(key)).collect();
        self.look_over(Family::Entries, chosen.looked);
        Ok(Answer::Entries(entries))
    }

    /// Ids sort by time, so a range of times is a range of ids: the scan looks no further.
    fn entries_in_time(&mut self, from: u64, to: u64, scan: &Scan) -> Outcome {
        if from >= to {
            return Ok(Answer::Entries(Vec::new()));
        }
        let lowest = |micros: u64| {
            let mut id = time_of_id(micros).to_vec();
            id.extend([0; 8]);
            id
        };
        // No id is of a later time than this.
        let end = if to < IDS_END_MICROS { Bound::Excluded(lowest(to)) } else { Bound::Unbounded };
        let scan = Scan { start: Bound::Included(lowest(from)), end, ..scan.clone() };
        self.entries(&scan, |entry| (from..to).contains(&entry.time))
    }

    /// The index says which; each of them is then looked at.
    fn indexed(&mut self, index: &Index, scan: &Scan) -> Outcome {
        if finds_nothing(scan) {
            return Ok(Answer::Entries(Vec::new()));
        }
        let (space, _) = self.view()?;
        let chosen = choose(&space.entries, scan, |_, row| index.lists(&row.value));
        let entries: Vec<EntryFacts> = chosen.rows.iter().map(|(key, row)| row.value.facts(key)).collect();
        if let Some(bounds) = chosen.looked {
            self.transaction.look_up(self.now, self.at, index.clone(), bounds);
        }
        for entry in &entries {
            self.look(Family::Entries, &entry.id);
        }
        Ok(Answer::Entries(entries))
    }
}

/// The half of an id that is its time: milliseconds, version 7, the rest in 1/4096 of a millisecond.
fn time_of_id(micros: u64) -> [u8; 8] {
    let (millis, rest) = (micros / 1000, micros % 1000);
    ((millis << 16) | 0x7000 | (rest * 4096 / 1000)).to_be_bytes()
}

/// A UUID of version 7 (RFC 9562, section 5.7): the time, and random bytes with the variant in their first two bits.
pub(crate) fn id_of(micros: u64, random: Id) -> Id {
    let mut id = random;
    id[..8].copy_from_slice(&time_of_id(micros));
    id[8] = (id[8] & 0x3f) | 0x80;
    id
}

/// What the transitions of the simulation do to a cell: every fifth value has no way out.
pub(crate) fn transition(value: i64, by: i64) -> Option<i64> {
    (value.rem_euclid(5) != 4).then(|| value.saturating_add(by))
}

fn stream_facts(name: &[u8], stream: &Stream) -> StreamFacts {
    StreamFacts {
        name: name.to_vec(),
        head: stream.head,
        first: stream.first(),
        events: (stream.head + 1).saturating_sub(stream.first()),
        times: (stream.created, stream.appended),
    }
}
