//! Transactions over all primitives beside a model of maps.
//!
//! A build with debug assertions insists on it that whatever a commit lets pass is folded; in others a transaction that is refused for
//! another reason than the model's shows it.

mod lives;

use std::collections::BTreeMap;

use arbitrary::{Arbitrary, Unstructured};
use foldb_core::{
    Db, ErrorKind, RecoveryMode, Result, RunId, RunOptions, Savepoint, Transaction,
    limits::EDITED_DOCUMENT_BYTES_MIN,
    primitive::{Cells, Documents, Events, Kv, NewEvent, ScanOptions, access::Access, access::AccessMut},
    storage::MemStorage,
    tree::Direction,
    value::Value,
};
use serde_json::json;

use super::recovery::open;

/// More steps than this make an input slow and no more interesting.
const STEPS_MAX: usize = 64;

#[derive(Arbitrary, Clone, Debug)]
enum Step {
    /// A transaction: operations on spaces, and where a savepoint is set and gone back to, if at all.
    Commit {
        operations: Vec<(u8, Operation)>,
        savepoint: Option<(u8, u8)>,
        abandoned: bool,
    },
    /// The same key again finds the first commit.
    Keyed(u8, Operation),
    Begin,
    End(u8),
    Delete(u8),
    Snapshot,
    Reopen,
    /// A transaction that changes the lives of runs, and writes to them; so much that it is synced before it is applied, or not.
    Lives {
        changes: Box<[(u8, Life); 6]>,
        large: bool,
        strict: bool,
    },
}

/// What a transaction does to a run.
#[derive(Arbitrary, Clone, Debug)]
enum Life {
    /// Begins one, perhaps under an id that another has.
    Begin,
    End,
    Resume,
    Label(u8),
    Delete,
    Put(Key, Small),
}

#[derive(Arbitrary, Clone, Debug)]
enum Operation {
    Put(Key, Small),
    Remove(Key),
    Add(Key, i32),
    Cas(Key, bool, Small),
    Document(Key, Small),
    Push(Key, i32),
    DeleteDocument(Key),
    Append(Key, Vec<i16>),
    Trim(Key, u16),
    DeleteStream(Key),
    Cell(Key, i32),
    Transition(Key, u8, i32),
    DeleteCell(Key),
}

/// A key of up to a kibibyte.
#[derive(Arbitrary, Clone, Debug)]
struct Key {
    name: u8,
    length: u8,
}

impl Key {
    fn bytes(&self) -> Vec<u8> {
        let mut key = vec![b'k'; usize::from(self.length % 8) * 140];
        key.push(self.name % 16);
        key
    }

    /// One that no other operation uses.
    fn sum(&self) -> Vec<u8> {
        vec![b's', self.name % 4]
    }
}

/// A value, inline or in the log.
#[derive(Arbitrary, Clone, Debug)]
enum Small {
    Null,
    Number(i64),
    Float(f64),
    Text(String),
    Bytes(u16),
}

impl Small {
    fn value(&self) -> Value {
        match self {
            Small::Null => Value::Null,
            Small::Number(number) => (*number).into(),
            // Other bits of NaN are not kept (F-37).
            Small::Float(float) if float.is_nan() => f64::NAN.into(),
            Small::Float(float) => (*float).into(),
            Small::Text(text) => text.as_str().into(),
            Small::Bytes(len) => Value::Bytes(vec![7; usize::from(len % 2048)]),
        }
    }
}

type Name = Vec<u8>;

#[derive(Clone, Debug, Default, PartialEq)]
struct Space {
    pairs: BTreeMap<Name, Value>,
    documents: BTreeMap<Name, (Value, Vec<i32>)>,
    /// First event that is kept, and every event that ever was.
    streams: BTreeMap<Name, (u64, Vec<i16>)>,
    cells: BTreeMap<Name, (u64, i32)>,
}

/// The default space, and each run with its space, or nothing where it was deleted.
#[derive(Clone, Debug, Default)]
struct Model {
    default: Space,
    runs: Vec<(RunId, bool, Space)>,
    keys: BTreeMap<u8, u64>,
    /// Whether the transaction at hand writes to a run that has ended: for certain, or perhaps.
    refused: bool,
    doubtful: bool,
    /// A savepoint of the transaction before.
    elsewhere: Option<Savepoint>,
}

/// Reads steps and does them to both.
pub(super) fn transactions(input: &[u8]) {
    let mut source = Unstructured::new(input);
    let storage = MemStorage::new();
    let mut db = open(&storage, RecoveryMode::Default, 0).expect("an empty storage becomes a store");
    let mut model = Model::default();
    for life in 1..=STEPS_MAX as u64 {
        if source.is_empty() {
            break;
        }
        let Ok(step) = Step::arbitrary(&mut source) else { break };
        let reopens = matches!(step, Step::Reopen);
        if reopens {
            db.close().expect("a store can be closed");
            db = open(&storage, RecoveryMode::Default, life).expect("a closed store can be opened");
        } else {
            perform(&db, &mut model, step);
        }
        // Reading everything costs more than a step.
        if reopens || life % 8 == 0 {
            compare(&db, &model);
        }
    }
    compare(&db, &model);
}

fn perform(db: &Db<MemStorage>, model: &mut Model, step: Step) {
    match step {
        Step::Commit { operations, savepoint, abandoned } => commit(db, model, &operations, savepoint, abandoned),
        Step::Keyed(key, operation) => keyed(db, model, key, &operation),
        Step::Begin if model.runs.len() < 4 => {
            let run = db.runs().begin(RunOptions::named("run")).expect("a run can be begun");
            model.runs.push((run.id(), false, Space::default()));
        }
        Step::Begin | Step::Reopen => {}
        Step::End(at) => {
            let Some((id, ended, _)) = pick(&mut model.runs, at) else { return };
            let run = db.runs().get(*id).expect("the run is there");
            let done = if *ended { run.resume().map(|_| ()) } else { run.end().map(|_| ()) };
            done.expect("a run can be ended and resumed");
            *ended = !*ended;
        }
        Step::Delete(at) => {
            if !model.runs.is_empty() {
                let (id, ..) = model.runs.remove(usize::from(at) % model.runs.len());
                db.runs().delete(id).expect("a run can be deleted");
            }
        }
        Step::Snapshot => drop(db.snapshot().expect("a snapshot can be taken")),
        Step::Lives { changes, large, strict } => lives::change(db, model, changes.as_slice(), large, strict),
    }
}

fn pick<T>(items: &mut [T], at: u8) -> Option<&mut T> {
    let len = items.len().max(1);
    items.get_mut(usize::from(at) % len)
}

fn commit(
    db: &Db<MemStorage>,
    model: &mut Model,
    operations: &[(u8, Operation)],
    savepoint: Option<(u8, u8)>,
    abandoned: bool,
) {
    let tx = db.begin_transaction().expect("a transaction can begin");
    let (mut draft, mut saved) = (model.clone(), None);
    if let Some(savepoint) = &model.elsewhere {
        let refused = tx.rollback_to(savepoint).expect_err("a savepoint of another transaction");
        assert_eq!(refused.kind(), ErrorKind::Invalid);
    }
    for (index, (space, operation)) in operations.iter().take(16).enumerate() {
        if savepoint.is_some_and(|(set, _)| usize::from(set % 16) == index) {
            saved = Some((tx.savepoint(), draft.clone()));
        }
        if savepoint.is_some_and(|(_, back)| usize::from(back % 16) == index)
            && let Some((savepoint, before)) = saved.take()
        {
            tx.rollback_to(&savepoint).expect("a savepoint of this transaction");
            draft = before;
        }
        apply(&tx, &mut draft, *space, operation);
    }
    model.elsewhere = Some(tx.savepoint());
    draft.elsewhere.clone_from(&model.elsewhere);
    if abandoned {
        return tx.rollback();
    }
    match tx.commit() {
        Ok(_) => assert!(!draft.refused, "a run that has ended was written to"),
        Err(error) => {
            assert_eq!((error.kind(), draft.doubtful), (ErrorKind::RunEnded, true), "nobody else commits");
            return;
        }
    }
    (draft.refused, draft.doubtful) = (false, false);
    *model = draft;
}

/// One operation in both; they agree whether it can be done.
fn apply(tx: &Transaction<'_, MemStorage>, draft: &mut Model, space: u8, operation: &Operation) {
    let run = usize::from(space) % (draft.runs.len() + 1);
    let (done, expected) = match run.checked_sub(1).and_then(|run| draft.runs.get_mut(run)) {
        None => (operate((tx.kv(), tx.json(), tx.events(), tx.state()), operation), draft.default.apply(operation)),
        Some((id, ended, space)) => {
            let run = tx.run(*id).expect("the run is there");
            let done = operate((run.kv(), run.json(), run.events(), run.state()), operation);
            if *ended {
                // It may be read. What would change it is refused at once, or when the transaction commits.
                let mut changed = space.clone();
                let changes = changed.apply(operation) && changed != *space;
                draft.refused |= done.is_ok() && changes;
                draft.doubtful = true;
                return;
            }
            (done, space.apply(operation))
        }
    };
    assert_eq!(done.is_ok(), expected, "{operation:?} {done:?}");
}

fn keyed(db: &Db<MemStorage>, model: &mut Model, key: u8, operation: &Operation) {
    let options = foldb_core::TransactionOptions::new().idempotency_key([key]);
    let mut draft = model.clone();
    let mut expected = true;
    let before = model.keys.get(&key).copied();
    let next = db.view().seq() + 1;
    let done = db.once_with(&options, |tx| {
        assert_eq!(before, None, "what was done before is not begun again");
        expected = draft.default.apply(operation);
        operate((tx.kv(), tx.json(), tx.events(), tx.state()), operation)?;
        Ok::<_, foldb_core::Error>(next)
    });
    let Ok((result, receipt)) = done else {
        return assert!(!expected && before.is_none(), "{operation:?} {done:?}");
    };
    assert_eq!(receipt.seq, before.unwrap_or(next), "the first commit with this key");
    assert_eq!(result, receipt.seq, "the result of the first commit with this key");
    if before.is_none() {
        draft.keys.insert(key, receipt.seq);
        *model = draft;
    }
}

impl Space {
    /// Does an operation to the model, and says whether the store has to accept it.
    fn apply(&mut self, operation: &Operation) -> bool {
        match operation {
            Operation::Put(key, value) => drop(self.pairs.insert(key.bytes(), value.value())),
            Operation::Remove(key) => drop(self.pairs.remove(&key.bytes())),
            Operation::Add(key, by) => {
                let sum = self.pairs.get(&key.sum()).and_then(Value::as_i64).unwrap_or(0);
                self.pairs.insert(key.sum(), (sum + i64::from(*by)).into());
            }
            Operation::Cas(key, right, value) => {
                if !*right {
                    return false;
                }
                self.pairs.insert(key.bytes(), value.value());
            }
            Operation::Document(key, value) => {
                let Some(value) = of_json(value) else { return false };
                self.documents.insert(key.bytes(), (value, Vec::new()));
            }
            Operation::Push(key, item) => match self.documents.get_mut(&key.bytes()) {
                Some((_, list)) => list.push(*item),
                None => return false,
            },
            Operation::DeleteDocument(key) => drop(self.documents.remove(&key.bytes())),
            Operation::Append(_, events) if events.is_empty() => {}
            Operation::Append(key, events) => {
                self.streams.entry(key.bytes()).or_insert((1, Vec::new())).1.extend(events.iter().take(32));
            }
            Operation::Trim(key, to) => {
                if let Some((first, events)) = self.streams.get_mut(&key.bytes()) {
                    *first = (*first).max(u64::from(*to).min(events.len() as u64 + 1));
                }
            }
            Operation::DeleteStream(key) => drop(self.streams.remove(&key.bytes())),
            Operation::Cell(key, value) => {
                let counter = self.cells.get(&key.bytes()).map_or(1, |(counter, _)| counter + 1);
                self.cells.insert(key.bytes(), (counter, *value));
            }
            Operation::Transition(key, counter, value) => match self.cells.get_mut(&key.bytes()) {
                Some(cell) if cell.0 == u64::from(*counter) => *cell = (cell.0 + 1, *value),
                _ => return false,
            },
            Operation::DeleteCell(key) => drop(self.cells.remove(&key.bytes())),
        }
        true
    }
}

/// The document of a key: large for half of them, so that its changes are logged and not all of it.
fn document(key: &[u8], value: &serde_json::Value, list: &[i32]) -> serde_json::Value {
    let len = if key.last().is_some_and(|name| name % 2 == 0) { EDITED_DOCUMENT_BYTES_MIN } else { 0 };
    json!({ "value": value, "list": list, "text": "x".repeat(len) })
}

/// What JSON can hold of a value.
fn of_json(value: &Small) -> Option<Value> {
    match value {
        Small::Float(float) if !float.is_finite() => None,
        Small::Bytes(_) => None,
        value => Some(value.value()),
    }
}

/// Does an operation to the store.
fn operate<A: AccessMut>(
    (kv, json, events, state): (Kv<A>, Documents<A>, Events<A>, Cells<A>),
    operation: &Operation,
) -> Result<()> {
    match operation {
        Operation::Put(key, value) => kv.put(key.bytes(), value.value()),
        Operation::Remove(key) => kv.delete(key.bytes()).map(|_| ()),
        Operation::Add(key, by) => kv.add_i64(key.sum(), i64::from(*by)),
        Operation::Cas(key, right, value) => {
            let found = kv.get::<Value>(key.bytes())?;
            let wrong = Value::from("a text that no operation puts");
            let expected = if *right { found } else { Some(wrong) };
            kv.cas_value(key.bytes(), expected.as_ref(), value.value())
        }
        Operation::Document(key, value) => {
            let value = match value {
                Small::Bytes(_) => return kv.get::<u8>(b"").and(Err(not_json())),
                Small::Float(float) if !float.is_finite() => return Err(not_json()),
                value => value.value().to_json_lossy(),
            };
            json.set(key.bytes(), &document(&key.bytes(), &value, &[]))
        }
        Operation::Push(key, item) => json.push_at(key.bytes(), "/list", &json!(item)).map(|_| ()),
        Operation::DeleteDocument(key) => json.delete(key.bytes()).map(|_| ()),
        Operation::Append(key, payloads) => {
            let new = payloads.iter().take(32).map(|payload| NewEvent::new("kind", i64::from(*payload)));
            events.append_batch(key.bytes(), new).map(|_| ())
        }
        Operation::Trim(key, to) => events.trim(key.bytes(), u64::from(*to)),
        Operation::DeleteStream(key) => events.delete_stream(key.bytes()).map(|_| ()),
        Operation::Cell(key, value) => state.set(key.bytes(), *value).map(|_| ()),
        Operation::Transition(key, counter, value) => state.cas(key.bytes(), u64::from(*counter), *value).map(|_| ()),
        Operation::DeleteCell(key) => state.delete(key.bytes()).map(|_| ()),
    }
}

fn not_json() -> foldb_core::Error {
    foldb_core::Error::Invalid { what: "document", why: "JSON has no such value".into() }
}

fn compare(db: &Db<MemStorage>, model: &Model) {
    let view = db.view();
    let space = view.default_space();
    compare_space((space.kv(), space.json(), space.events(), space.state()), &model.default);
    let ids: Vec<_> = view.runs().iter().map(|run| (run.id, run.ended_micros.is_some())).collect();
    let expected: Vec<_> = model.runs.iter().map(|(id, ended, _)| (*id, *ended)).collect();
    assert_eq!(ids, expected);
    for (id, _, expected) in &model.runs {
        let space = view.run(*id).expect("the run is there");
        compare_space((space.kv(), space.json(), space.events(), space.state()), expected);
    }
}

fn compare_space<A: Access>((kv, json, events, state): (Kv<A>, Documents<A>, Events<A>, Cells<A>), model: &Space) {
    let all = ScanOptions::all();
    let pairs: BTreeMap<_, _> = kv.scan(&all).unwrap().into_iter().map(|pair| (pair.key, pair.value)).collect();
    assert_eq!(pairs, model.pairs);
    let documents: BTreeMap<_, _> =
        json.list(&all).unwrap().into_iter().map(|entry| (entry.key, entry.document)).collect();
    let expected: BTreeMap<_, _> = model
        .documents
        .iter()
        .map(|(key, (value, list))| (key.clone(), document(key, &value.to_json_lossy(), list)))
        .collect();
    assert_eq!(documents, expected);
    let cells: BTreeMap<_, _> = state
        .list_as::<i32>(&all)
        .unwrap()
        .into_iter()
        .map(|entry| (entry.key, (entry.cell.counter, entry.cell.value)))
        .collect();
    assert_eq!(cells, model.cells);
    let streams: BTreeMap<_, _> = events
        .streams(&all)
        .unwrap()
        .into_iter()
        .map(|info| {
            let read = events.range_as::<i16>(&info.stream, .., None, Direction::Forward).unwrap();
            let read: Vec<_> = read.into_iter().map(|event| (event.seq, event.payload)).collect();
            (info.stream, (info.first, info.head, read))
        })
        .collect();
    let expected: BTreeMap<_, _> = model
        .streams
        .iter()
        .map(|(name, (first, events))| {
            let numbered = (1..).zip(events.iter().copied()).filter(|(seq, _)| seq >= first).collect::<Vec<_>>();
            (name.clone(), (*first, events.len() as u64, numbered))
        })
        .collect();
    assert_eq!(streams, expected);
}
