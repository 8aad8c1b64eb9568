//! The same calls, made to the store.

use foldb_core::{
    Db, Error, Result, RunInfo, RunOptions, RunStatus, Transaction,
    db::RunFilter,
    primitive::{
        Cell, Cells, Documents, Event, Events, Kv, NewEvent as NewStoreEvent, ScanOptions, StreamSummary, Trace,
        TraceEntry, TraceId, TraceRecord, Version as StoreVersion,
        access::{Access, AccessMut},
    },
    storage::Storage,
    tree::Direction,
    value::Value,
};

use crate::model::{
    Answer, Begin, Delta, Ending, EntryFacts, EventFacts, Operation, RunFacts, RunOperation, RunQuery, Standing,
    StreamFacts, Version,
};

/// The primitives of a space.
pub(super) struct Handles<A> {
    pub(super) kv: Kv<A>,
    pub(super) json: Documents<A>,
    pub(super) events: Events<A>,
    pub(super) state: Cells<A>,
    pub(super) trace: Trace<A>,
}

/// The handles that anything with five methods gives.
macro_rules! handles {
    ($space:expr) => {{
        let space = &$space;
        $crate::simulation::store::Handles {
            kv: space.kv(),
            json: space.json(),
            events: space.events(),
            state: space.state(),
            trace: space.trace(),
        }
    }};
}
pub(super) use handles;

/// What a transition of the simulation does, in the words of the interface.
fn transition(value: i64, by: i64) -> Result<i64> {
    let refused = || Error::Invalid { what: "transition", why: "the fifth state has no way out".into() };
    crate::model::transition(value, by).ok_or_else(refused)
}

fn version(version: StoreVersion) -> Version {
    version.seq()
}

fn event(event: Event) -> EventFacts {
    (event.seq, event.kind, event.payload, event.time_micros)
}

fn cell<T: Into<Value>>(cell: Cell<T>) -> (u64, Value) {
    (cell.counter, cell.value.into())
}

pub(super) fn stream(summary: StreamSummary) -> StreamFacts {
    StreamFacts {
        name: summary.stream,
        head: summary.head,
        first: summary.first,
        events: summary.events,
        times: (summary.created_micros, summary.appended_micros),
    }
}

pub(super) fn entry(entry: TraceEntry) -> EntryFacts {
    EntryFacts {
        id: entry.id.to_bytes(),
        kind: entry.kind,
        name: entry.name,
        parent: entry.parent.map(TraceId::to_bytes),
        time: entry.time_micros,
        duration: entry.duration_micros,
        data: entry.data,
        output: entry.output,
    }
}

fn entries(found: Vec<TraceEntry>) -> Answer {
    Answer::Entries(found.into_iter().map(entry).collect())
}

impl<A: AccessMut> Handles<A> {
    /// Makes a call.
    pub(super) fn perform(&self, operation: &Operation) -> Result<Answer> {
        use Operation as O;
        match operation {
            O::SetDocument(..)
            | O::SetDocuments(_)
            | O::DeleteDocument(_)
            | O::DeleteDocuments(_)
            | O::SetAt(..)
            | O::DeleteAt(..)
            | O::MergeAt(..)
            | O::Patch(..)
            | O::PushAt(..)
            | O::PopAt(..)
            | O::IncrementAt(..) => self.write_documents(operation),
            O::Append(..) | O::Trim(..) | O::DeleteStream(_) => self.write_events(operation),
            O::InitCell(..)
            | O::SetCell(..)
            | O::DeleteCell(_)
            | O::CasCell(..)
            | O::Transition(..)
            | O::TransitionOrInit(..) => self.write_cells(operation),
            O::Record { .. } | O::Finish(..) => self.write_trace(operation),
            O::Put(..)
            | O::PutMany(_)
            | O::PutUntil(..)
            | O::ExpireAt(..)
            | O::Persist(_)
            | O::Remove(_)
            | O::Add(..)
            | O::Delete(_)
            | O::DeleteMany(_)
            | O::Update(..)
            | O::PutIfAbsent(..)
            | O::CasVersion(..)
            | O::CasValue(..)
            | O::GetAndPut(..)
            | O::GetAndDelete(_)
            | O::Rename(..) => self.write_pairs(operation),
            _ => self.look(operation),
        }
    }

    fn write_pairs(&self, operation: &Operation) -> Result<Answer> {
        let kv = &self.kv;
        let unit = |()| Answer::Unit;
        match operation {
            Operation::Put(key, value) => kv.put(key, value.clone()).map(unit),
            Operation::PutMany(pairs) => kv.put_many(pairs.iter().map(|(key, value)| (key, value.clone()))).map(unit),
            Operation::PutUntil(key, value, micros) => kv.put_expiring_at(key, value.clone(), *micros).map(unit),
            Operation::ExpireAt(key, micros) => kv.expire_at(key, *micros).map(Answer::Bool),
            Operation::Persist(key) => kv.persist(key).map(Answer::Bool),
            Operation::Remove(key) => kv.remove(key).map(unit),
            Operation::Add(key, Delta::I64(by)) => kv.add_i64(key, *by).map(unit),
            Operation::Add(key, Delta::U64(by)) => kv.add_u64(key, *by).map(unit),
            Operation::Add(key, Delta::F64(by)) => kv.add_f64(key, *by).map(unit),
            Operation::Add(key, Delta::U256(by)) => kv.add_u256(key, *by).map(unit),
            Operation::Delete(key) => kv.delete(key).map(Answer::Bool),
            Operation::DeleteMany(keys) => kv.delete_many(keys).map(Answer::Number),
            Operation::Update(key, by) => {
                let change = |value: Option<i64>| value.unwrap_or(0).saturating_add(*by);
                kv.update(key, change).map(|value| Answer::Value(Some(value.into())))
            }
            Operation::PutIfAbsent(key, value) => kv.put_if_absent(key, value.clone()).map(unit),
            Operation::CasVersion(key, expected, value) => {
                let expected = expected.map(|seq| seq.map_or(StoreVersion::UNCOMMITTED, StoreVersion::from_seq));
                kv.cas_version(key, expected, value.clone()).map(unit)
            }
            Operation::CasValue(key, expected, value) => kv.cas_value(key, expected.as_ref(), value.clone()).map(unit),
            Operation::GetAndPut(key, value) => kv.get_and_put(key, value.clone()).map(Answer::Value),
            Operation::GetAndDelete(key) => kv.get_and_delete(key).map(Answer::Value),
            Operation::Rename(from, to) => kv.rename(from, to).map(unit),
            _ => Ok(Answer::Unit),
        }
    }

    fn write_documents(&self, operation: &Operation) -> Result<Answer> {
        let json = &self.json;
        let unit = |()| Answer::Unit;
        match operation {
            Operation::SetDocument(key, document) => json.set(key, document).map(unit),
            Operation::SetDocuments(documents) => {
                json.set_many(documents.iter().map(|(key, document)| (key, document))).map(unit)
            }
            Operation::DeleteDocument(key) => json.delete(key).map(Answer::Bool),
            Operation::DeleteDocuments(keys) => json.delete_many(keys).map(Answer::Number),
            Operation::SetAt(key, place, value) => json.set_at(key, &place.text(), value).map(Answer::Json),
            Operation::DeleteAt(key, place) => json.delete_at(key, &place.text()).map(Answer::Json),
            Operation::MergeAt(key, place, changes) => json.merge_at(key, &place.text(), changes).map(unit),
            Operation::Patch(key, operations) => json.patch(key, operations).map(unit),
            Operation::PushAt(key, place, value) => json.push_at(key, &place.text(), value).map(Answer::Number),
            Operation::PopAt(key, place) => json.pop_at(key, &place.text()).map(Answer::Json),
            Operation::IncrementAt(key, place, by) => {
                let by = by.as_number().cloned().unwrap_or_else(|| 0.into());
                json.increment_at(key, &place.text(), by).map(|sum| Answer::Json(Some(sum.into())))
            }
            _ => Ok(Answer::Unit),
        }
    }

    fn write_events(&self, operation: &Operation) -> Result<Answer> {
        match operation {
            Operation::Append(name, events) => {
                let first = match events.as_slice() {
                    [(kind, payload)] => self.events.append(name, kind, payload.clone()),
                    many => {
                        let new = many.iter().map(|(kind, payload)| NewStoreEvent::new(kind, payload.clone()));
                        self.events.append_batch(name, new)
                    }
                };
                first.map(Answer::MaybeNumber)
            }
            Operation::Trim(name, keep_from) => self.events.trim(name, *keep_from).map(|()| Answer::Unit),
            Operation::DeleteStream(name) => self.events.delete_stream(name).map(Answer::Bool),
            _ => Ok(Answer::Unit),
        }
    }

    fn write_cells(&self, operation: &Operation) -> Result<Answer> {
        let state = &self.state;
        match operation {
            Operation::InitCell(key, value) => state.init(key, value.clone()).map(|()| Answer::Unit),
            Operation::SetCell(key, value) => state.set(key, value.clone()).map(Answer::Number),
            Operation::DeleteCell(key) => state.delete(key).map(Answer::Bool),
            Operation::CasCell(key, expected, value) => state.cas(key, *expected, value.clone()).map(Answer::Number),
            Operation::Transition(key, by) => {
                state.transition(key, |value: i64| transition(value, *by)).map(|new| Answer::Cell(Some(cell(new))))
            }
            Operation::TransitionOrInit(key, init, by) => state
                .transition_or_init(key, *init, |value: i64| transition(value, *by))
                .map(|new| Answer::Cell(Some(cell(new)))),
            _ => Ok(Answer::Unit),
        }
    }

    fn write_trace(&self, operation: &Operation) -> Result<Answer> {
        match operation {
            Operation::Record { kind, name, parent, time, duration, data } => {
                let mut record = TraceRecord::new(kind.clone(), name.as_str()).data(data.clone());
                record.parent = parent.map(TraceId::from_bytes);
                record.time_micros = *time;
                record.duration_micros = *duration;
                self.trace.record(record).map(|id| Answer::Id(id.to_bytes()))
            }
            Operation::Finish(id, data, duration) => {
                let finished = self.trace.finish(TraceId::from_bytes(*id), data.clone(), *duration);
                finished.map(|finished| Answer::Entry(Some(entry(finished))))
            }
            _ => Ok(Answer::Unit),
        }
    }
}

impl<A: Access> Handles<A> {
    /// Makes a call that only reads.
    pub(super) fn look(&self, operation: &Operation) -> Result<Answer> {
        use Operation as O;
        match operation {
            O::GetDocument(_)
            | O::GetDocuments(_)
            | O::DocumentExists(_)
            | O::GetAt(..)
            | O::LengthAt(..)
            | O::TypeAt(..)
            | O::KeysAt(..)
            | O::Documents(_)
            | O::CountDocuments(_)
            | O::Select(..) => self.look_at_documents(operation),
            O::Event(..) | O::Events(..) | O::Stream(_) | O::Streams(_) => self.look_at_events(operation),
            O::Cell(_) | O::Cells(_) | O::CountCells(_) => self.look_at_cells(operation),
            O::Entry(_)
            | O::Entries(_)
            | O::CountEntries
            | O::Children(..)
            | O::Roots(_)
            | O::OfKind(..)
            | O::InTime(..) => self.look_at_trace(operation),
            _ => self.look_at_pairs(operation),
        }
    }

    fn look_at_pairs(&self, operation: &Operation) -> Result<Answer> {
        let kv = &self.kv;
        match operation {
            Operation::ExpiresAt(key) => kv.expires_at(key).map(Answer::MaybeNumber),
            Operation::Get(key) => kv.get(key).map(Answer::Value),
            Operation::GetVersioned(key) => {
                let found = kv.get_versioned(key)?;
                Ok(Answer::Versioned(found.map(|found| (found.value, version(found.version)))))
            }
            Operation::GetMany(keys) => kv.get_many(keys).map(Answer::Values),
            Operation::Exists(key) => kv.exists(key).map(Answer::Bool),
            Operation::Count(scan) => kv.count(scan.range()).map(Answer::Number),
            Operation::Keys(scan) => kv.keys(&scan.options()).map(Answer::Keys),
            Operation::Pairs(scan) => {
                let pairs = kv.scan(&scan.options())?;
                let pair = |pair: foldb_core::primitive::Pair| (pair.key, pair.value, version(pair.version));
                Ok(Answer::Pairs(pairs.into_iter().map(pair).collect()))
            }
            _ => Ok(Answer::Unit),
        }
    }

    fn look_at_documents(&self, operation: &Operation) -> Result<Answer> {
        let json = &self.json;
        let list = |found: Vec<foldb_core::primitive::DocumentEntry>| {
            let found = found.into_iter().map(|found| (found.key, found.document, version(found.version)));
            Answer::Documents(found.collect())
        };
        match operation {
            Operation::GetDocument(key) => json.get(key).map(Answer::Json),
            Operation::GetDocuments(keys) => json.get_many(keys).map(Answer::Jsons),
            Operation::DocumentExists(key) => json.exists(key).map(Answer::Bool),
            Operation::GetAt(key, place) => json.get_at(key, &place.text()).map(Answer::Json),
            Operation::LengthAt(key, place) => json.length_at(key, &place.text()).map(Answer::Number),
            Operation::TypeAt(key, place) => {
                json.type_at(key, &place.text()).map(|name| Answer::Text(name.map(String::from)))
            }
            Operation::KeysAt(key, place) => json.keys_at(key, &place.text()).map(Answer::Texts),
            Operation::Documents(scan) => json.list(&scan.options()).map(list),
            Operation::CountDocuments(scan) => json.count(scan.range()).map(Answer::Number),
            Operation::Select(scan, place, value) => json.select(&scan.options(), &place.text(), value).map(list),
            _ => Ok(Answer::Unit),
        }
    }

    fn look_at_events(&self, operation: &Operation) -> Result<Answer> {
        match operation {
            Operation::Event(name, seq) => {
                let found = self.events.get(name, *seq)?;
                Ok(Answer::Events(found.into_iter().map(event).collect()))
            }
            Operation::Events(name, start, end, limit, reverse) => {
                let direction = if *reverse { Direction::Backward } else { Direction::Forward };
                let found = self.events.range(name, (*start, *end), *limit, direction)?;
                Ok(Answer::Events(found.into_iter().map(event).collect()))
            }
            Operation::Stream(name) => Ok(Answer::Stream(self.events.info(name)?.map(stream))),
            Operation::Streams(scan) => {
                let found = self.events.streams(&scan.options())?;
                Ok(Answer::Streams(found.into_iter().map(stream).collect()))
            }
            _ => Ok(Answer::Unit),
        }
    }

    fn look_at_cells(&self, operation: &Operation) -> Result<Answer> {
        match operation {
            Operation::Cell(key) => Ok(Answer::Cell(self.state.get::<Value>(key)?.map(cell))),
            Operation::Cells(scan) => {
                let found = self.state.list(&scan.options())?;
                let facts = |found: foldb_core::primitive::CellEntry| (found.key, found.cell.counter, found.cell.value);
                Ok(Answer::Cells(found.into_iter().map(facts).collect()))
            }
            Operation::CountCells(scan) => self.state.count(scan.range()).map(Answer::Number),
            _ => Ok(Answer::Unit),
        }
    }

    fn look_at_trace(&self, operation: &Operation) -> Result<Answer> {
        let trace = &self.trace;
        match operation {
            Operation::Entry(id) => Ok(Answer::Entry(trace.get(TraceId::from_bytes(*id))?.map(entry))),
            Operation::Entries(scan) => trace.list(&scan.options()).map(entries),
            Operation::CountEntries => trace.count().map(Answer::Number),
            Operation::Children(parent, scan) => {
                trace.children(TraceId::from_bytes(*parent), &scan.options()).map(entries)
            }
            Operation::Roots(scan) => trace.roots(&scan.options()).map(entries),
            Operation::OfKind(kind, scan) => trace.by_kind(kind, &scan.options()).map(entries),
            Operation::InTime(from, to, scan) => {
                // The scan's own range is one of ids, and all of them are asked for.
                let options = ScanOptions { range: foldb_core::tree::KeyRange::all(), ..scan.options() };
                trace.by_time(*from, *to, &options).map(entries)
            }
            _ => Ok(Answer::Unit),
        }
    }
}

fn options(begin: &Begin) -> RunOptions {
    let mut options = RunOptions::named(begin.name.as_str()).id(begin.id).metadata(begin.metadata.clone());
    for (key, value) in &begin.labels {
        options = options.label(key.as_str(), value.as_str());
    }
    match begin.parent {
        Some(parent) => options.parent(parent),
        None => options,
    }
}

/// Changes the life of a run, in a commit of its own.
pub(super) fn change_run<S: Storage>(db: &Db<S>, operation: &RunOperation) -> Result<()> {
    let runs = db.runs();
    let done = |_| ();
    match operation {
        RunOperation::Begin(begin) => runs.begin(options(begin)).map(|_| ()),
        RunOperation::End(id, Ending::Completed, _) => runs.get(*id)?.end().map(done),
        RunOperation::End(id, Ending::Failed, message) => runs.get(*id)?.fail(message.as_str()).map(done),
        RunOperation::End(id, Ending::Cancelled, message) => runs.get(*id)?.cancel(message.as_str()).map(done),
        RunOperation::Resume(id) => runs.get(*id)?.resume().map(done),
        RunOperation::Label(id, key, Some(value)) => runs.get(*id)?.set_label(key.as_str(), value.as_str()).map(done),
        RunOperation::Label(id, key, None) => runs.get(*id)?.remove_label(key.as_str()).map(done),
        RunOperation::Metadata(id, metadata) => runs.get(*id)?.set_metadata(metadata.clone()).map(done),
        RunOperation::Delete(id) => runs.delete(*id).map(done),
    }
}

/// The same in a transaction.
pub(super) fn change_run_in<S: Storage>(transaction: &Transaction<'_, S>, operation: &RunOperation) -> Result<()> {
    let runs = transaction.runs();
    match operation {
        RunOperation::Begin(begin) => runs.begin(options(begin)).map(|_| ()),
        RunOperation::End(id, Ending::Completed, _) => runs.end(*id, None),
        RunOperation::End(id, Ending::Failed, message) => runs.fail(*id, message.clone()),
        RunOperation::End(id, Ending::Cancelled, message) => runs.cancel(*id, message.clone()),
        RunOperation::Resume(id) => runs.resume(*id),
        RunOperation::Label(id, key, value) => runs.set_label(*id, key.clone(), value.clone()),
        RunOperation::Metadata(id, metadata) => runs.set_metadata(*id, metadata.clone()),
        RunOperation::Delete(id) => runs.delete(*id),
    }
}

/// What the store knows of a run, as the model says it.
pub(super) fn run_facts(info: RunInfo) -> RunFacts {
    RunFacts {
        id: info.id,
        number: info.number,
        name: info.name,
        standing: match info.status {
            RunStatus::Active => Standing::Active,
            RunStatus::Completed => Standing::Ended(Ending::Completed),
            RunStatus::Failed => Standing::Ended(Ending::Failed),
            RunStatus::Cancelled => Standing::Ended(Ending::Cancelled),
            _ => Standing::Orphaned,
        },
        parent: info.parent,
        labels: info.labels,
        metadata: info.metadata,
        began: info.began_micros,
        ended: info.ended_micros.map(|micros| (micros, info.message)),
        resumed: info.resumed,
        seqs: (info.first_seq, info.last_seq),
        commits: info.commits,
    }
}

/// Lists runs.
pub(super) fn query<S: Storage>(db: &Db<S>, query: &RunQuery) -> Result<Vec<RunFacts>> {
    let mut filter = RunFilter::all();
    if let Some(name) = &query.name {
        filter = filter.name(name.as_str());
    }
    if let Some(standing) = query.standing {
        filter = filter.status(match standing {
            Standing::Active => RunStatus::Active,
            Standing::Orphaned => RunStatus::Orphaned,
            Standing::Ended(Ending::Completed) => RunStatus::Completed,
            Standing::Ended(Ending::Failed) => RunStatus::Failed,
            Standing::Ended(Ending::Cancelled) => RunStatus::Cancelled,
        });
    }
    if let Some((key, value)) = &query.label {
        filter = filter.label(key.as_str(), value.as_str());
    }
    if let Some(parent) = query.parent {
        filter = filter.parent(parent);
    }
    if let Some(after) = query.after {
        filter = filter.after(after);
    }
    if let Some(limit) = query.limit {
        filter = filter.limit(limit);
    }
    if query.newest_first {
        filter = filter.newest_first();
    }
    Ok(db.runs().list(&filter)?.into_iter().map(run_facts).collect())
}
