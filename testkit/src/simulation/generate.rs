//! What a program asks of a store next: dice that know the model well enough to hit what is there.

use std::ops::Bound;

use foldb_core::{
    RunId,
    limits::{EDITED_DOCUMENT_BYTES_MIN, INLINE_VALUE_BYTES_MAX},
    primitive::TraceKind,
    value::Value,
};
use ruint::aliases::U256;
use serde_json::{Value as Json, json};

use crate::{
    Random,
    model::{Begin, Delta, Ending, Id, Key, Model, NewEvent, Operation, Place, RunOperation, RunQuery, Scan, Standing},
};

/// Chooses what to ask.
pub(super) struct Generator {
    pub(super) random: Random,
    /// Ids of trace entries that were given.
    entries: Vec<Id>,
}

const ENTRIES_KEPT: usize = 24;

impl Generator {
    pub(super) fn new(random: Random) -> Self {
        Self { random, entries: Vec::new() }
    }

    /// The store gave this id.
    pub(super) fn recorded(&mut self, id: Id) {
        if self.entries.len() == ENTRIES_KEPT {
            self.entries.remove(0);
        }
        self.entries.push(id);
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.random.below(bound)
    }

    fn small(&mut self, bound: u8) -> usize {
        self.random.index(bound.into())
    }

    fn maybe<T>(&mut self, one_in: u64, make: impl FnOnce(&mut Self) -> T) -> Option<T> {
        self.random.chance(1, one_in).then(|| make(self))
    }

    fn key(&mut self) -> Key {
        match self.below(40) {
            0 => Vec::new(),
            1 => vec![0xff],
            2 => vec![0xff, 0xff, 0],
            3 => vec![b'L'; 1024],
            4 if self.random.chance(1, 3) => vec![b'L'; 1025],
            _ => {
                let number = self.small(16);
                // Of different lengths, so that pages split in odd places.
                format!("k{number}{}", "x".repeat(number * number % 41)).into_bytes()
            }
        }
    }

    fn counter_key(&mut self) -> Key {
        if self.random.chance(1, 12) { self.key() } else { format!("sum/{}", self.small(6)).into_bytes() }
    }

    fn stream(&mut self) -> Key {
        match self.below(30) {
            0 => Vec::new(),
            1 => vec![b's'; 1025],
            _ => format!("s{}", self.small(5)).into_bytes(),
        }
    }

    fn integer(&mut self) -> i64 {
        match self.below(10) {
            0 => i64::MAX,
            1 => i64::MIN + 1,
            2 => 0,
            _ => i64::try_from(self.below(2000)).unwrap_or(0) - 1000,
        }
    }

    fn float(&mut self) -> f64 {
        match self.below(12) {
            0 => f64::NAN,
            1 => f64::INFINITY,
            2 => -0.0,
            3 => 1e300,
            _ => f64::from(i16::try_from(self.below(4000)).unwrap_or(0)) / 4.0 - 500.0,
        }
    }

    fn text(&mut self, len: usize) -> String {
        let first = self.small(26);
        (0..len).map(|place| char::from(b'a' + u8::try_from((first + place) % 26).unwrap_or(0))).collect()
    }

    fn value(&mut self) -> Value {
        match self.below(16) {
            0 => Value::Null,
            1 => self.random.chance(1, 2).into(),
            2..6 => self.integer().into(),
            6 => u64::MAX.into(),
            7 => self.float().into(),
            8..11 => {
                let len = self.small(40);
                self.text(len).into()
            }
            11 => {
                // Beyond what the tree keeps: such a value lives in the log.
                let len = 500 + self.small(200);
                Value::Bytes(self.random.bytes(len))
            }
            12 => Value::Bytes(self.random.bytes(1500)),
            13 => Value::List(vec![self.integer().into(), "item".into(), Value::Null]),
            14 => Value::Map(vec![("a".into(), self.integer().into()), ("b".into(), Value::List(vec![]))]),
            _ => Value::from(U256::from(self.below(1 << 40)) << self.small(200)),
        }
    }

    fn delta(&mut self) -> Delta {
        match self.below(8) {
            0..4 => Delta::I64(self.integer()),
            4..6 => Delta::U64(if self.random.chance(1, 12) { u64::MAX } else { self.below(1000) }),
            6 => Delta::F64(self.float()),
            _ if self.random.chance(1, 12) => Delta::U256(U256::MAX),
            _ => Delta::U256(U256::from(self.below(1 << 50)) << self.small(180)),
        }
    }

    fn scan(&mut self) -> Scan {
        let mut scan = match self.below(6) {
            0 | 1 => Scan::all(),
            2 => Scan::prefix(b"sum/"),
            3 => Scan::prefix(b"k1"),
            4 => Scan::prefix(&[0xff]),
            _ => {
                let bound = |generator: &mut Self| match generator.below(3) {
                    0 => Bound::Unbounded,
                    1 => Bound::Included(generator.key()),
                    _ => Bound::Excluded(generator.key()),
                };
                Scan { start: bound(self), end: bound(self), ..Scan::all() }
            }
        };
        scan.reverse = self.random.chance(1, 3);
        scan.limit = self.maybe(3, |generator| generator.small(6));
        scan.after = self.maybe(5, Self::key);
        scan
    }

    fn whole_scan(&mut self) -> Scan {
        let reverse = self.random.chance(1, 3);
        Scan { reverse, limit: self.maybe(2, |generator| generator.small(5)), ..Scan::all() }
    }

    fn json(&mut self) -> Json {
        match self.below(9) {
            0 => Json::Null,
            1 => json!(true),
            2 | 3 => json!(self.integer()),
            4 => json!(f64::from(i16::try_from(self.below(400)).unwrap_or(0)) / 4.0),
            5 => json!(self.text(12)),
            6 => json!([self.integer(), "b", null]),
            7 => json!({ "a": self.integer(), "list": [1, 2] }),
            _ => self.document(),
        }
    }

    fn document(&mut self) -> Json {
        json!({
            "a": self.integer(),
            "list": [1, { "a": 2 }, "three"],
            "n": 0.5,
            "s": self.text(9),
            "deep": { "a": { "list": [] }, "a/b~c": null },
        })
    }

    /// One of which only the changes are logged.
    fn large_document(&mut self) -> Json {
        let mut document = self.document();
        let len = EDITED_DOCUMENT_BYTES_MIN.max(INLINE_VALUE_BYTES_MAX) + self.small(200);
        document["text"] = json!(self.text(len));
        document
    }

    fn place(&mut self) -> Place {
        const STEPS: [&str; 13] = ["a", "list", "n", "s", "deep", "a/b~c", "0", "1", "2", "-", "01", "new", "list"];
        let depth = [1, 1, 1, 2, 2, 3, 0][self.small(7)];
        let steps = (0..depth).map(|_| STEPS[self.small(13)].into()).collect();
        Place { steps, dollar: self.random.chance(1, 4), malformed: self.random.chance(1, 40) }
    }

    fn patch(&mut self) -> Json {
        let operations: Vec<Json> = (0..1 + self.small(3)).map(|_| self.patch_operation()).collect();
        if self.random.chance(1, 40) { json!({ "op": "none" }) } else { Json::Array(operations) }
    }

    fn patch_operation(&mut self) -> Json {
        let pointer = |generator: &mut Self| Place { dollar: false, malformed: false, ..generator.place() }.text();
        let (path, from) = (pointer(self), pointer(self));
        match self.below(7) {
            0 | 1 => json!({ "op": "add", "path": path, "value": self.json() }),
            2 => json!({ "op": "remove", "path": path }),
            3 => json!({ "op": "replace", "path": path, "value": self.json() }),
            4 => json!({ "op": "move", "from": from, "path": path }),
            5 => json!({ "op": "copy", "from": from, "path": path }),
            // Only what both readings of "equal" agree about: 1 and 1.0 are the same number to the store.
            _ => json!({ "op": "test", "path": path, "value": "three" }),
        }
    }

    fn events(&mut self) -> Vec<NewEvent> {
        let count = if self.random.chance(1, 20) { 20 + self.small(60) } else { self.small(4) };
        (0..count).map(|_| (String::from(["tick", "tock", ""][self.small(3)]), self.value())).collect()
    }

    fn entry(&mut self) -> Id {
        match self.entries.len() {
            0 => [7; 16],
            _ if self.random.chance(1, 20) => [9; 16],
            len => self.entries[self.random.index(len)],
        }
    }

    fn kind(&mut self) -> TraceKind {
        match self.below(12) {
            0..4 => TraceKind::ToolCall,
            4..7 => TraceKind::Thought,
            7..9 => TraceKind::Error,
            9 => TraceKind::Custom("tool".into()),
            10 => TraceKind::Custom("custom\u{1}".into()),
            _ => TraceKind::Custom(if self.random.chance(1, 2) { String::new() } else { "a\0b".into() }),
        }
    }

    /// A call to the primitives of a space.
    pub(super) fn operation(&mut self, model: Option<&crate::model::Space>, now: u64) -> Operation {
        match self.below(100) {
            0..46 => self.pair_operation(model),
            46..64 => self.document_operation(),
            64..80 => self.event_operation(),
            80..92 => self.cell_operation(),
            _ => self.trace_operation(now),
        }
    }

    fn pair_operation(&mut self, model: Option<&crate::model::Space>) -> Operation {
        let key = self.key();
        let known = model.and_then(|space| space.pair(&key));
        match self.below(53) {
            46 | 47 => Operation::PutUntil(key, self.value(), self.some_day()),
            48 => Operation::PutUntil(self.counter_key(), self.integer().into(), self.some_day()),
            49 => Operation::ExpireAt(key, self.some_day()),
            50 => Operation::ExpireAt(self.counter_key(), self.some_day()),
            51 => Operation::Persist(if self.random.chance(1, 2) { key } else { self.counter_key() }),
            52 => Operation::ExpiresAt(if self.random.chance(1, 2) { key } else { self.counter_key() }),
            0..10 => Operation::Put(key, self.value()),
            10..12 => {
                let count = if self.random.chance(1, 30) { 70 } else { self.small(5) };
                let pair = |generator: &mut Self, place: usize| match count {
                    // Enough for a commit that is applied after its sync.
                    70 => (format!("many/{place}").into_bytes(), generator.integer().into()),
                    _ => (generator.key(), generator.value()),
                };
                Operation::PutMany((0..count).map(|place| pair(self, place)).collect())
            }
            12..14 => Operation::Remove(key),
            14..20 => Operation::Add(self.counter_key(), self.delta()),
            20..22 => Operation::Delete(key),
            22 => Operation::DeleteMany((0..self.small(4)).map(|_| self.key()).collect()),
            23 => Operation::Update(self.counter_key(), 3),
            24 => Operation::PutIfAbsent(key, self.value()),
            25..27 => {
                // Seq 0 is that of no commit: it stands for what the transaction has written itself.
                let wrong = self.maybe(4, |generator| Some(1 + generator.below(50)));
                let expected = wrong.map_or(known.map(|(_, version)| version), Some);
                Operation::CasVersion(key, expected, self.value())
            }
            27 => {
                let wrong = self.maybe(4, |_| Value::from("wrong"));
                let expected = wrong.or(known.map(|(value, _)| value));
                Operation::CasValue(key, expected, self.value())
            }
            28 => Operation::GetAndPut(key, self.value()),
            29 => Operation::GetAndDelete(key),
            30..32 => Operation::Rename(key, self.key()),
            32..35 => Operation::Get(key),
            35 => Operation::Get(self.counter_key()),
            36 => Operation::GetVersioned(key),
            37 => Operation::GetMany((0..self.small(4)).map(|_| self.key()).collect()),
            38 => Operation::Exists(key),
            39 => Operation::Count(self.scan()),
            40..42 => Operation::Keys(self.scan()),
            _ => Operation::Pairs(self.scan()),
        }
    }

    /// A time so far away that no clock of a machine comes near it.
    fn some_day(&mut self) -> u64 {
        (1 << 60) + self.below(4)
    }

    fn document_operation(&mut self) -> Operation {
        let key = format!("d{}", self.small(5)).into_bytes();
        match self.below(24) {
            0..3 => Operation::SetDocument(key, self.document()),
            3 => Operation::SetDocument(key, self.large_document()),
            4 => Operation::SetDocuments((0..self.small(3)).map(|_| (self.key(), self.json())).collect()),
            5 => Operation::DeleteDocument(key),
            6 => Operation::DeleteDocuments(vec![key, self.key()]),
            7..10 => Operation::SetAt(key, self.place(), self.json()),
            10 => Operation::DeleteAt(key, self.place()),
            11 => Operation::MergeAt(key, self.place(), self.json()),
            12..14 => Operation::Patch(key, self.patch()),
            14 => Operation::PushAt(key, self.place(), self.json()),
            15 => Operation::PopAt(key, self.place()),
            16 => {
                let by = if self.random.chance(1, 4) { json!(0.25) } else { json!(self.integer()) };
                Operation::IncrementAt(key, self.place(), by)
            }
            17 => Operation::GetDocument(key),
            18 => Operation::GetDocuments(vec![key, self.key()]),
            19 => match self.below(5) {
                0 => Operation::DocumentExists(key),
                1 => Operation::LengthAt(key, self.place()),
                2 => Operation::TypeAt(key, self.place()),
                3 => Operation::KeysAt(key, self.place()),
                _ => Operation::CountDocuments(self.scan()),
            },
            20 => Operation::GetAt(key, self.place()),
            21 => Operation::Select(self.scan(), self.place(), self.json()),
            _ => Operation::Documents(self.scan()),
        }
    }

    fn event_operation(&mut self) -> Operation {
        let stream = self.stream();
        match self.below(16) {
            0..7 => Operation::Append(stream, self.events()),
            7 | 8 => Operation::Trim(stream, if self.random.chance(1, 20) { u64::MAX } else { self.below(40) }),
            9 => Operation::DeleteStream(stream),
            10 => Operation::Event(stream, self.below(30)),
            11 | 12 => {
                let bound = |generator: &mut Self| match generator.below(4) {
                    0 | 1 => Bound::Unbounded,
                    2 => Bound::Included(generator.below(30)),
                    _ => Bound::Excluded(generator.below(30)),
                };
                let limit = self.maybe(3, |generator| generator.small(5));
                Operation::Events(stream, bound(self), bound(self), limit, self.random.chance(1, 3))
            }
            13 => Operation::Stream(stream),
            _ => Operation::Streams(self.scan()),
        }
    }

    fn cell_operation(&mut self) -> Operation {
        let key = format!("c{}", self.small(5)).into_bytes();
        match self.below(12) {
            0 => Operation::InitCell(key, self.value()),
            1..4 => {
                let value = if self.random.chance(1, 2) { self.integer().into() } else { self.value() };
                Operation::SetCell(key, value)
            }
            4 => Operation::DeleteCell(key),
            5 => Operation::CasCell(key, 1 + self.below(4), self.value()),
            6 | 7 => Operation::Transition(key, self.integer()),
            8 => Operation::TransitionOrInit(key, 7, 4),
            9 => Operation::Cell(key),
            10 => Operation::CountCells(self.scan()),
            _ => Operation::Cells(self.scan()),
        }
    }

    fn trace_operation(&mut self, now: u64) -> Operation {
        match self.below(16) {
            0..7 => {
                let len = self.small(8);
                Operation::Record {
                    kind: self.kind(),
                    name: self.text(len),
                    parent: self.maybe(2, Self::entry),
                    time: self.maybe(3, |generator| now.saturating_sub(generator.below(5000))),
                    duration: self.maybe(3, |generator| generator.below(1000)),
                    data: self.value(),
                }
            }
            7 | 8 => {
                let (data, duration) = (self.maybe(2, Self::value), self.maybe(2, |generator| generator.below(99)));
                Operation::Finish(self.entry(), data, duration)
            }
            9 => Operation::Entry(self.entry()),
            10 => Operation::Entries(self.whole_scan()),
            11 => Operation::CountEntries,
            12 => Operation::Children(self.entry(), self.whole_scan()),
            13 => Operation::Roots(self.whole_scan()),
            14 => Operation::OfKind(TraceKind::ToolCall, self.whole_scan()),
            _ => {
                let from = now.saturating_sub(self.below(6000));
                Operation::InTime(from, from.saturating_add(self.below(5000)), self.whole_scan())
            }
        }
    }

    /// A run that exists, or (seldom) one that does not.
    pub(super) fn run(&mut self, model: &Model) -> Option<RunId> {
        let ids = model.run_ids();
        match ids.len() {
            _ if self.random.chance(1, 30) => Some(RunId::from_bytes([3; 16])),
            0 => None,
            len => Some(ids[self.random.index(len)]),
        }
    }

    /// A change of a run's life.
    pub(super) fn run_operation(&mut self, model: &Model) -> RunOperation {
        let known = self.run(model);
        let many = model.run_ids().len() > 5;
        match (known, self.below(12)) {
            (None, _) => RunOperation::Begin(self.begin(model)),
            (Some(_), 0..4) if !many => RunOperation::Begin(self.begin(model)),
            (Some(id), 4 | 5) => {
                let how = [Ending::Completed, Ending::Failed, Ending::Cancelled][self.small(3)];
                RunOperation::End(id, how, self.text(5))
            }
            (Some(id), 6 | 7) => RunOperation::Resume(id),
            (Some(id), 8) => {
                let value = self.maybe(2, |generator| generator.text(3));
                RunOperation::Label(id, "label".into(), value)
            }
            (Some(id), 9) => RunOperation::Metadata(id, self.value()),
            (Some(id), _) => RunOperation::Delete(id),
        }
    }

    fn begin(&mut self, model: &Model) -> Begin {
        let id = match self.maybe(20, |generator| generator.run(model)).flatten() {
            Some(taken) => taken,
            None => {
                let mut id = [0; 16];
                self.random.fill(&mut id);
                RunId::from_bytes(id)
            }
        };
        let labels = self.maybe(2, |generator| (String::from("label"), generator.text(1)));
        Begin {
            id,
            name: String::from(["work", "import", ""][self.small(3)]),
            parent: self.maybe(3, |generator| generator.run(model)).flatten(),
            labels: labels.into_iter().collect(),
            metadata: self.value(),
        }
    }

    /// Which runs to list.
    pub(super) fn query(&mut self, model: &Model) -> RunQuery {
        let standings =
            [Standing::Active, Standing::Orphaned, Standing::Ended(Ending::Completed), Standing::Ended(Ending::Failed)];
        RunQuery {
            name: self.maybe(3, |_| "work".into()),
            standing: self.maybe(3, |generator| standings[generator.small(4)]),
            label: self.maybe(5, |generator| ("label".into(), generator.text(1))),
            parent: self.maybe(6, |generator| generator.run(model)).flatten(),
            after: self.maybe(4, |generator| u32::try_from(generator.small(12)).unwrap_or_default()),
            limit: self.maybe(3, |generator| generator.small(4)),
            newest_first: self.random.chance(1, 3),
        }
    }
}
