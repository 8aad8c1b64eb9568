//! The whole store against a model of maps: random operations, closings and crashes, shrunk to a minimal history where
//! the two disagree.
//!
//! The model keeps a copy of itself for every commit. After a crash the store may have lost what it was allowed to lose,
//! so the model goes back to the version that the store has come back with, which must not be older than what was synced.

mod scenario;

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    ops::ControlFlow,
};

use foldb::{
    Db, Durability, ErrorKind, RunFilter, RunId, RunOptions, Transaction,
    primitive::{Cells, Documents, Events, Kv, ScanOptions, access::Access, access::AccessMut},
    tree::{Direction, KeyRange},
};
use foldb_testkit::{Random, crash::CrashStorage};
use proptest::{
    prelude::*,
    test_runner::{Config, RngSeed},
};
use scenario::open;
use serde_json::{Value as Json, json};

/// One step of a history. Numbers choose among what there is.
#[derive(Clone, Debug)]
enum Step {
    /// Several operations in one transaction, on one space each.
    Commit(Vec<(u8, Operation)>),
    /// The same, but rolled back.
    Abandon(Vec<(u8, Operation)>),
    Begin,
    End(u8),
    Resume(u8),
    Delete(u8),
    Sync,
    Snapshot,
    Reopen,
    /// A crash that keeps what this seed says.
    Crash(u64),
}

#[derive(Clone, Debug)]
enum Operation {
    Put(u8, i32),
    PutLarge(u8, u16),
    Remove(u8),
    Add(u8, i16),
    Set(u8, i32),
    Patch(u8, i32),
    DeleteDocument(u8),
    Append(u8, Vec<i16>),
    Trim(u8, u8),
    DeleteStream(u8),
    Cell(u8, i32),
    DeleteCell(u8),
}

#[derive(Clone, Debug, Default, PartialEq)]
struct SpaceModel {
    pairs: BTreeMap<String, foldb::value::Value>,
    documents: BTreeMap<String, Json>,
    /// First seq that is kept, and every event that ever was.
    streams: BTreeMap<String, (u64, Vec<i64>)>,
    cells: BTreeMap<String, (u64, i64)>,
}

#[derive(Clone, Debug, Default, PartialEq)]
struct Model {
    default: SpaceModel,
    /// Whether each run has ended, and what it holds.
    runs: Vec<(RunId, bool, SpaceModel)>,
}

fn operation() -> impl Strategy<Value = Operation> {
    let key = 0..6_u8;
    prop_oneof![
        3 => (key.clone(), any::<i32>()).prop_map(|(key, value)| Operation::Put(key, value)),
        1 => (key.clone(), 1000..5000_u16).prop_map(|(key, len)| Operation::PutLarge(key, len)),
        2 => key.clone().prop_map(Operation::Remove),
        3 => (key.clone(), any::<i16>()).prop_map(|(key, by)| Operation::Add(key, by)),
        2 => (key.clone(), any::<i32>()).prop_map(|(key, value)| Operation::Set(key, value)),
        2 => (key.clone(), any::<i32>()).prop_map(|(key, value)| Operation::Patch(key, value)),
        1 => key.clone().prop_map(Operation::DeleteDocument),
        3 => (0..3_u8, prop::collection::vec(any::<i16>(), 0..6)).prop_map(|(key, events)| Operation::Append(key, events)),
        1 => (0..3_u8, 0..12_u8).prop_map(|(key, to)| Operation::Trim(key, to)),
        1 => (0..3_u8).prop_map(Operation::DeleteStream),
        2 => (key.clone(), any::<i32>()).prop_map(|(key, value)| Operation::Cell(key, value)),
        1 => key.prop_map(Operation::DeleteCell),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let operations = || prop::collection::vec((any::<u8>(), operation()), 1..6);
    prop_oneof![
        24 => operations().prop_map(Step::Commit),
        2 => operations().prop_map(Step::Abandon),
        3 => Just(Step::Begin),
        2 => any::<u8>().prop_map(Step::End),
        1 => any::<u8>().prop_map(Step::Resume),
        1 => any::<u8>().prop_map(Step::Delete),
        2 => Just(Step::Sync),
        1 => Just(Step::Snapshot),
        1 => Just(Step::Reopen),
        2 => any::<u64>().prop_map(Step::Crash),
    ]
}

fn key(number: u8) -> String {
    // Of very different lengths, so that pages split in odd places.
    format!("{number}{}", "k".repeat(usize::from(number) * 40))
}

impl SpaceModel {
    /// Does an operation to the model, and says whether the store has to accept it.
    fn apply(&mut self, operation: &Operation) {
        match operation {
            Operation::Put(at, value) => drop(self.pairs.insert(key(*at), (*value).into())),
            Operation::PutLarge(at, len) => {
                let bytes = vec![*at; usize::from(*len)];
                self.pairs.insert(key(*at), foldb::value::Value::Bytes(bytes));
            }
            Operation::Remove(at) => drop(self.pairs.remove(&key(*at))),
            Operation::Add(at, by) => {
                let sum = self.pairs.entry(format!("sum {at}")).or_insert_with(|| 0.into());
                *sum = (sum.as_i64().unwrap() + i64::from(*by)).into();
            }
            Operation::Set(at, value) => drop(self.documents.insert(key(*at), json!({ "v": value, "list": [] }))),
            Operation::Patch(at, value) => {
                if let Some(document) = self.documents.get_mut(&key(*at)) {
                    document["v"] = json!(value);
                    document["list"].as_array_mut().unwrap().push(json!(value));
                }
            }
            Operation::DeleteDocument(at) => drop(self.documents.remove(&key(*at))),
            Operation::Append(at, events) => {
                if !events.is_empty() {
                    let stream = self.streams.entry(key(*at)).or_insert((1, Vec::new()));
                    stream.1.extend(events.iter().map(|event| i64::from(*event)));
                }
            }
            Operation::Trim(at, to) => {
                if let Some((first, events)) = self.streams.get_mut(&key(*at)) {
                    *first = (*first).max(u64::from(*to).min(events.len() as u64 + 1));
                }
            }
            Operation::DeleteStream(at) => drop(self.streams.remove(&key(*at))),
            Operation::Cell(at, value) => {
                let counter = self.cells.get(&key(*at)).map_or(1, |(counter, _)| counter + 1);
                self.cells.insert(key(*at), (counter, i64::from(*value)));
            }
            Operation::DeleteCell(at) => drop(self.cells.remove(&key(*at))),
        }
    }
}

/// Does an operation to the store.
fn perform<A: AccessMut>(
    (kv, json, events, state): (Kv<A>, Documents<A>, Events<A>, Cells<A>),
    operation: &Operation,
) -> foldb::Result<()> {
    match operation {
        Operation::Put(at, value) => kv.put(key(*at), *value),
        Operation::PutLarge(at, len) => kv.put(key(*at), vec![*at; usize::from(*len)]),
        Operation::Remove(at) => kv.remove(key(*at)),
        Operation::Add(at, by) => kv.add_i64(format!("sum {at}"), i64::from(*by)),
        Operation::Set(at, value) => json.set(key(*at), &json!({ "v": value, "list": [] })),
        Operation::Patch(at, value) => {
            if !json.exists(key(*at))? {
                return Ok(());
            }
            let patch = json!([
                { "op": "replace", "path": "/v", "value": value },
                { "op": "add", "path": "/list/-", "value": value },
            ]);
            json.patch(key(*at), &patch)
        }
        Operation::DeleteDocument(at) => json.delete(key(*at)).map(|_| ()),
        Operation::Append(at, payloads) => {
            let new = payloads.iter().map(|payload| foldb::primitive::NewEvent::new("e", i64::from(*payload)));
            events.append_batch(key(*at), new).map(|_| ())
        }
        Operation::Trim(at, to) => events.trim(key(*at), u64::from(*to)),
        Operation::DeleteStream(at) => events.delete_stream(key(*at)).map(|_| ()),
        Operation::Cell(at, value) => state.set(key(*at), i64::from(*value)).map(|_| ()),
        Operation::DeleteCell(at) => state.delete(key(*at)).map(|_| ()),
    }
}

/// Compares all that a reader sees of a space with the model, through every sort of read.
fn compare<A: Access>(handles: (Kv<A>, Documents<A>, Events<A>, Cells<A>), model: &SpaceModel) {
    let (kv, json, events, state) = handles;
    let all = ScanOptions::all();
    let text = |key: &[u8]| String::from_utf8(key.to_vec()).unwrap();
    let pairs: Vec<_> = kv.scan(&all).unwrap().into_iter().map(|pair| (text(&pair.key), pair.value)).collect();
    let expected: Vec<_> = model.pairs.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
    assert_eq!(pairs, expected);
    let mut backwards: Vec<_> = kv.keys(&all.clone().reverse()).unwrap();
    backwards.reverse();
    assert_eq!(backwards, kv.keys(&all).unwrap());
    let range = KeyRange::prefix(b"sum");
    assert_eq!(kv.count(&range).unwrap(), model.pairs.keys().filter(|key| key.starts_with("sum")).count() as u64);
    for number in 0..6 {
        assert_eq!(kv.get::<foldb::value::Value>(key(number)).unwrap().as_ref(), model.pairs.get(&key(number)));
    }
    let documents: BTreeMap<_, _> =
        json.list(&all).unwrap().into_iter().map(|entry| (text(&entry.key), entry.document)).collect();
    assert_eq!(documents, model.documents);
    let cells: BTreeMap<_, _> = state
        .list_as::<i64>(&all)
        .unwrap()
        .into_iter()
        .map(|entry| (text(&entry.key), (entry.cell.counter, entry.cell.value)))
        .collect();
    assert_eq!(cells, model.cells);
    let streams: Vec<_> = events.streams(&all).unwrap().into_iter().map(|info| text(&info.stream)).collect();
    assert_eq!(streams, model.streams.keys().cloned().collect::<Vec<_>>());
    for (stream, (first, all_events)) in &model.streams {
        let numbered: Vec<_> = (1..).zip(all_events.iter().copied()).filter(|(seq, _)| seq >= first).collect();
        let read = |direction, limit: Option<usize>| -> Vec<(u64, i64)> {
            let found = events.range_as::<i64>(stream, .., limit, direction).unwrap();
            found.into_iter().map(|event| (event.seq, event.payload)).collect()
        };
        assert_eq!(read(Direction::Forward, None), numbered);
        let mut newest: Vec<_> = numbered.iter().rev().take(3).copied().collect();
        assert_eq!(read(Direction::Backward, Some(3)), newest);
        newest.clear();
        assert_eq!(events.head(stream).unwrap(), all_events.len() as u64);
    }
}

/// The store and the model, side by side.
struct Pair {
    disk: CrashStorage,
    db: Option<Db<CrashStorage>>,
    durability: Durability,
    lives: u64,
    model: Model,
    /// The model as of each seq.
    history: BTreeMap<u64, Model>,
    synced: u64,
}

impl Pair {
    fn new(durability: Durability) -> Self {
        let disk = CrashStorage::new();
        let db = open(disk.clone(), durability, 8192, 0).unwrap();
        let history = BTreeMap::from([(0, Model::default())]);
        Pair { disk, db: Some(db), durability, lives: 0, model: Model::default(), history, synced: 0 }
    }

    fn db(&self) -> &Db<CrashStorage> {
        self.db.as_ref().expect("the store is open")
    }

    fn committed(&mut self) {
        let seq = self.db().view().seq();
        self.history.insert(seq, self.model.clone());
        self.synced = self.synced.max(self.db().durable_seq());
    }

    fn take(&mut self, step: &Step) {
        match step {
            Step::Commit(operations) => {
                let model = self.transact(operations, true);
                self.model = model;
            }
            Step::Abandon(operations) => drop(self.transact(operations, false)),
            Step::Begin if self.model.runs.len() < 4 => {
                let id = self.db().runs().begin(RunOptions::named("run")).unwrap().id();
                self.model.runs.push((id, false, SpaceModel::default()));
            }
            Step::End(which) => self.end(*which),
            Step::Resume(which) => {
                if let Some(at) = self.choose(*which) {
                    self.db().runs().get(self.model.runs[at].0).unwrap().resume().unwrap();
                    self.model.runs[at].1 = false;
                }
            }
            Step::Delete(which) => {
                if let Some(at) = self.choose(*which) {
                    let (id, _, _) = self.model.runs.remove(at);
                    self.db().runs().delete(id).unwrap();
                }
            }
            Step::Sync => drop(self.db().sync().unwrap()),
            Step::Snapshot => drop(self.db().snapshot().unwrap()),
            Step::Reopen => self.reopen(),
            Step::Crash(seed) => self.crash(*seed),
            Step::Begin => {}
        }
        self.committed();
        self.check();
    }

    fn choose(&self, which: u8) -> Option<usize> {
        (!self.model.runs.is_empty()).then(|| usize::from(which) % self.model.runs.len())
    }

    fn end(&mut self, which: u8) {
        let Some(at) = self.choose(which) else { return };
        let ended = self.db().runs().get(self.model.runs[at].0).unwrap().end();
        match ended {
            Ok(_) => assert!(!self.model.runs[at].1),
            Err(error) => assert!(self.model.runs[at].1 && error.kind() == ErrorKind::RunEnded, "{error}"),
        }
        self.model.runs[at].1 = true;
    }

    /// Runs operations in one transaction, compares what it sees of them, and returns the model with them done.
    fn transact(&self, operations: &[(u8, Operation)], commit: bool) -> Model {
        let mut model = self.model.clone();
        let tx = self.db().begin_transaction().unwrap();
        let mut appended = BTreeSet::new();
        for (which, operation) in operations {
            let space = usize::from(*which) % (model.runs.len() + 1);
            match operation {
                Operation::Append(stream, _) => drop(appended.insert((space, *stream))),
                // What becomes of that is more than a model of maps should know; `transactions.rs` does.
                Operation::Trim(stream, _) if appended.contains(&(space, *stream)) => continue,
                _ => {}
            }
            match space.checked_sub(1) {
                None => {
                    perform((tx.kv(), tx.json(), tx.events(), tx.state()), operation).unwrap();
                    model.default.apply(operation);
                }
                Some(at) if !model.runs[at].1 => {
                    let run = tx.run(model.runs[at].0).unwrap();
                    perform((run.kv(), run.json(), run.events(), run.state()), operation).unwrap();
                    model.runs[at].2.apply(operation);
                }
                Some(_) => {}
            }
        }
        self.check_inside(&tx, &model);
        if commit {
            tx.commit().unwrap();
        }
        model
    }

    fn check_inside(&self, tx: &Transaction<'_, CrashStorage>, model: &Model) {
        compare((tx.kv(), tx.json(), tx.events(), tx.state()), &model.default);
        for (id, _, space) in &model.runs {
            let run = tx.run(*id).unwrap();
            compare((run.kv(), run.json(), run.events(), run.state()), space);
        }
    }

    fn check(&self) {
        let view = self.db().view();
        compare((view.kv(), view.json(), view.events(), view.state()), &self.model.default);
        let runs = self.db().runs().list(&RunFilter::all()).unwrap();
        let expected: Vec<_> = self.model.runs.iter().map(|(id, ended, _)| (*id, *ended)).collect();
        assert_eq!(runs.iter().map(|run| (run.id, run.status.is_ended())).collect::<Vec<_>>(), expected);
        for (id, _, space) in &self.model.runs {
            let run = view.run(*id).unwrap();
            compare((run.kv(), run.json(), run.events(), run.state()), space);
        }
    }

    fn reopen(&mut self) {
        self.db.take().expect("the store is open").close().unwrap();
        self.lives += 1;
        self.db = Some(open(self.disk.clone(), self.durability, 8192, self.lives).unwrap());
    }

    fn crash(&mut self, seed: u64) {
        std::mem::forget(self.db.take());
        let point = self.disk.crash_point(self.disk.operation_count());
        let image = point.random(&mut Random::new(seed));
        self.disk = CrashStorage::from_image(&image);
        self.lives += 1;
        let db = open(self.disk.clone(), self.durability, 8192, self.lives).unwrap();
        let seq = db.view().seq();
        assert!(seq >= self.synced, "commit {} was durable, and recovery ends at {seq}", self.synced);
        self.model = self.history.get(&seq).expect("a commit that was").clone();
        self.history.retain(|at, _| *at <= seq);
        self.db = Some(db);
    }

    fn finish(mut self) {
        let db = self.db.take().expect("the store is open");
        let report = db.verify(&mut |_| ControlFlow::Continue(())).unwrap();
        assert!(report.is_ok(), "{:?}", report.violations);
        db.close().unwrap();
    }
}

fn run(durability: Durability, cases: u32, seed: u64) {
    let config = Config { cases, rng_seed: RngSeed::Fixed(seed), failure_persistence: None, ..Config::default() };
    let steps_taken = RefCell::new(0);
    proptest!(config, |(steps in prop::collection::vec(step(), 1..40))| {
        let mut pair = Pair::new(durability);
        for step in &steps {
            pair.take(step);
        }
        pair.finish();
        *steps_taken.borrow_mut() += steps.len();
    });
    assert!(*steps_taken.borrow() > 10 * usize::try_from(cases).unwrap());
}

#[test]
fn a_buffered_store_is_what_the_model_says_through_reopenings_and_crashes() {
    run(Durability::buffered(), 64, 1);
}

#[test]
fn a_strict_store_is_what_the_model_says_through_reopenings_and_crashes() {
    run(Durability::Strict, 64, 2);
}
