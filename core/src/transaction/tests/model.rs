//! Random writes, savepoints and rollbacks beside a list that is copied whole at each savepoint: what is logged, found, shown and
//! counted is the same.

use alloc::{collections::BTreeMap, vec, vec::Vec};
use core::ops::{Bound, ControlFlow};

use proptest::prelude::*;

use super::{super::Savepoint, *};
use crate::{
    log::varint::Reader,
    state::{Family, read_event},
    tree::{Direction, KeyRange},
    value::{Encode, apply_delta, tests::seeded},
};

#[derive(Clone, Debug)]
enum Step {
    Put(u8, usize),
    Delete(u8),
    Add(u8, i64),
    Document(u8, usize),
    Append(u8, u64),
    Trim(u8, u64),
    DeleteStream(u8),
    Save,
    /// Lets go of a savepoint.
    Drop(usize),
    GoBack(usize),
    Scan(u8, u8, bool),
    Read(u8, u64, u64, bool),
}

/// One write of the list, in the order in which it was made. Events are a body too.
#[derive(Clone, Debug, PartialEq)]
struct Plain {
    space: SpaceNumber,
    code: OpCode,
    key: Vec<u8>,
    body: Vec<u8>,
    count: u64,
}

/// The rules of a write set, as a list that is searched from end to end.
#[derive(Clone, Debug, Default)]
struct List(Vec<Plain>);

/// Keys of two spaces: the lowest bit chooses.
fn place(key: u8) -> (SpaceNumber, Vec<u8>) {
    (SpaceNumber::from(key & 1), vec![b'k', key >> 1])
}

fn family(code: OpCode) -> u8 {
    match code {
        OpCode::EventAppend | OpCode::EventTrim | OpCode::StreamDelete => code.to_byte(),
        _ => code.to_byte() & 0xf0,
    }
}

impl List {
    fn position(&self, (space, key): &(SpaceNumber, Vec<u8>), code: OpCode) -> Option<usize> {
        let same = |plain: &Plain| plain.space == *space && plain.key == *key && family(plain.code) == family(code);
        self.0.iter().position(same)
    }

    fn set(&mut self, at: &(SpaceNumber, Vec<u8>), code: OpCode, body: Vec<u8>) {
        match self.position(at, code) {
            Some(place) => (self.0[place].code, self.0[place].body) = (code, body),
            None => self.0.push(Plain { space: at.0, code, key: at.1.clone(), body, count: 0 }),
        }
    }

    fn add(&mut self, at: &(SpaceNumber, Vec<u8>), amount: i64) {
        let existing = self.position(at, OpCode::KvAdd).map(|place| self.0[place].clone());
        let (code, body) = match existing {
            Some(Plain { code: OpCode::KvPut, body, .. }) => {
                (OpCode::KvPut, apply_delta(&at.1, Some(&body), &Delta::I64(amount)))
            }
            Some(Plain { code: OpCode::KvDelete, .. }) => {
                (OpCode::KvPut, apply_delta(&at.1, None, &Delta::I64(amount)))
            }
            Some(Plain { body, .. }) => {
                let Delta::I64(before) = Delta::decode(&body).unwrap() else { panic!("only such are added") };
                (OpCode::KvAdd, Ok(addition(before + amount)))
            }
            None => (OpCode::KvAdd, Ok(addition(amount))),
        };
        // What is put may be no number.
        if let Ok(body) = body {
            self.set(at, code, body);
        }
    }

    fn append(&mut self, at: &(SpaceNumber, Vec<u8>), batch: &EventBatch) {
        if batch.is_empty() {
            return;
        }
        let place = self.position(at, OpCode::EventAppend).unwrap_or_else(|| {
            self.set(at, OpCode::EventAppend, vec![]);
            self.0.len() - 1
        });
        self.0[place].body.extend_from_slice(batch.bytes());
        self.0[place].count += batch.len();
        // What was trimmed before spares all of it.
        if let Some(trim) = self.position(at, OpCode::EventTrim).filter(|trim| *trim > place) {
            self.0.swap(place, trim);
        }
    }

    fn trim(&mut self, at: &(SpaceNumber, Vec<u8>), keep: u64) {
        if let Some(place) = self.position(at, OpCode::EventTrim) {
            if Reader::new(&self.0[place].body).varint().unwrap() > keep {
                return;
            }
            if self.position(at, OpCode::EventAppend).is_some_and(|append| append > place) {
                self.0.remove(place);
            }
        }
        self.set(at, OpCode::EventTrim, varint(keep));
    }

    fn delete_stream(&mut self, at: &(SpaceNumber, Vec<u8>)) {
        for code in [OpCode::EventAppend, OpCode::EventTrim] {
            if let Some(place) = self.position(at, code) {
                self.0.remove(place);
            }
        }
        self.set(at, OpCode::StreamDelete, vec![]);
    }

    fn trims_first(&self, trim: usize) -> bool {
        let plain = &self.0[trim];
        let append = self.position(&(plain.space, plain.key.clone()), OpCode::EventAppend);
        plain.code == OpCode::EventTrim && append.is_some_and(|append| append > trim)
    }

    fn logged(&self) -> Logged {
        let rank = |at: usize| match self.0[at].code {
            OpCode::StreamDelete => 0x2e,
            OpCode::EventTrim if self.trims_first(at) => 0x2f,
            code => family(code),
        };
        let mut order: Vec<usize> = (0..self.0.len()).collect();
        order.sort_by_key(|at| (self.0[*at].space, rank(*at), self.0[*at].key.clone()));
        let logged = order.into_iter().map(|at| {
            let Plain { space, code, key, body, count } = self.0[at].clone();
            let body = if count > 0 { [&count.to_le_bytes(), body.as_slice()].concat() } else { body };
            (space, code, key, body)
        });
        logged.collect()
    }

    fn shown(&self, space: SpaceNumber, code: OpCode, range: &KeyRange) -> Vec<Vec<u8>> {
        let here = self.0.iter().filter(|plain| plain.space == space && family(plain.code) == family(code));
        let mut keys: Vec<_> = here.map(|plain| plain.key.clone()).filter(|key| range.contains(key)).collect();
        keys.sort();
        keys
    }
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let key = 0..12_u8;
    let step = prop_oneof![
        6 => (key.clone(), prop_oneof![0..4_usize, 0..2000_usize]).prop_map(|(key, len)| Step::Put(key, len)),
        1 => key.clone().prop_map(Step::Delete),
        2 => (key.clone(), -9..9_i64).prop_map(|(key, amount)| Step::Add(key, amount)),
        1 => (key.clone(), 0..9_usize).prop_map(|(key, len)| Step::Document(key, len)),
        4 => (key.clone(), prop_oneof![0..4_u64, 0..90_u64]).prop_map(|(key, count)| Step::Append(key, count)),
        2 => (key.clone(), 0..9_u64).prop_map(|(key, keep)| Step::Trim(key, keep)),
        2 => key.clone().prop_map(Step::DeleteStream),
        3 => Just(Step::Save),
        1 => (0..9_usize).prop_map(Step::Drop),
        2 => (0..9_usize).prop_map(Step::GoBack),
        2 => (key.clone(), key.clone(), any::<bool>()).prop_map(|(from, to, back)| Step::Scan(from, to, back)),
        2 => (key, 0..90_u64, 0..90_u64, any::<bool>()).prop_map(|(key, a, b, back)| Step::Read(key, a, b, back)),
    ];
    prop::collection::vec(step, 1..120)
}

/// Both, and the savepoints that are held.
#[derive(Default)]
struct Pair {
    writes: WriteSet,
    list: List,
    saved: Vec<(Savepoint, List)>,
}

impl Pair {
    fn write(&mut self, at: &(SpaceNumber, Vec<u8>), code: OpCode, body: Vec<u8>) {
        self.writes.write(at.0, code, &at.1, &body).unwrap();
        self.list.set(at, code, body);
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Put(key, len) => {
                let mut body = vec![];
                vec![key; len].encode(&mut body).unwrap();
                // A small one is a number, that can be added to.
                let body = if len < 4 { vec![u8::try_from(len).unwrap()] } else { body };
                self.write(&place(key), OpCode::KvPut, body);
            }
            Step::Delete(key) => self.write(&place(key), OpCode::KvDelete, vec![]),
            Step::Document(key, len) => self.write(&place(key), OpCode::JsonPut, vec![key; len]),
            Step::Add(key, amount) => {
                let (space, key) = place(key);
                drop(self.writes.write(space, OpCode::KvAdd, &key, &addition(amount)));
                self.list.add(&(space, key), amount);
            }
            Step::Append(key, count) => {
                let (at, batch) = (place(key), events(0..count));
                self.writes.append(at.0, &at.1, &batch).unwrap();
                self.list.append(&at, &batch);
            }
            Step::Trim(key, keep) => {
                let at = place(key);
                self.writes.write(at.0, OpCode::EventTrim, &at.1, &varint(keep)).unwrap();
                self.list.trim(&at, keep);
            }
            Step::DeleteStream(key) => {
                let at = place(key);
                self.writes.delete_stream(at.0, &at.1).unwrap();
                self.list.delete_stream(&at);
            }
            Step::Save => self.saved.push((self.writes.savepoint(), self.list.clone())),
            Step::Drop(which) if which < self.saved.len() => drop(self.saved.remove(which)),
            Step::GoBack(which) if which < self.saved.len() => {
                let (savepoint, list) = &self.saved[which];
                self.writes.rollback_to(savepoint).unwrap();
                self.list = list.clone();
                for (behind, _) in self.saved.drain(which + 1..) {
                    assert!(self.writes.rollback_to(&behind).is_err());
                }
            }
            Step::Drop(_) | Step::GoBack(_) => {}
            Step::Scan(from, to, backward) => self.scan(from, to, backward),
            Step::Read(key, a, b, backward) => self.read(key, a.min(b), a.max(b), backward),
        }
    }

    fn scan(&self, from: u8, to: u8, backward: bool) {
        let (space, from) = place(from);
        let range = KeyRange::new(Bound::Included(from), Bound::Excluded(place(to).1));
        for (family, code) in [(Family::Kv, OpCode::KvPut), (Family::Stream, OpCode::EventAppend)] {
            let direction = if backward { Direction::Backward } else { Direction::Forward };
            let mut found = vec![];
            let mut buffered = self.writes.range(space, family, &range, direction).unwrap();
            while let Some((key, write)) = buffered.current() {
                assert_eq!(self.writes.key(write), key);
                found.push(key.to_vec());
                buffered.advance().unwrap();
            }
            let mut expected = self.list.shown(space, code, &range);
            if backward {
                expected.reverse();
            }
            assert_eq!(found, expected);
        }
    }

    fn read(&self, key: u8, first: u64, last: u64, backward: bool) {
        let at = place(key);
        let direction = if backward { Direction::Backward } else { Direction::Forward };
        let mut found = BTreeMap::new();
        let mut read = |events: crate::primitive::access::PendingEvents<'_>| {
            let mut reader = Reader::new(events.bytes);
            for number in events.first..events.first + events.count {
                found.insert(number, read_event(&mut reader)?.1.to_vec());
            }
            assert!(reader.is_empty() && events.count <= 32);
            Ok(ControlFlow::Continue(()))
        };
        self.writes.visit_pending((at.0, &at.1), (first, last), direction, &mut read).unwrap();
        let mut expected = BTreeMap::new();
        if let Some(place) = self.list.position(&at, OpCode::EventAppend) {
            let mut reader = Reader::new(&self.list.0[place].body);
            for number in 0..self.list.0[place].count {
                expected.insert(number, read_event(&mut reader).unwrap().1.to_vec());
            }
        }
        for number in first..=last {
            assert_eq!(found.get(&number), expected.get(&number), "event {number}");
        }
    }

    fn check(&self) {
        let logged = self.list.logged();
        assert_eq!(super::logged(&self.writes), logged);
        assert_eq!(self.writes.len(), logged.len());
        let least: usize = logged.iter().map(|(_, _, key, body)| key.len() + body.len()).sum();
        let counted = self.writes.encoded_bytes;
        assert!((least..=least + 40 * logged.len()).contains(&counted), "{counted} bytes for {least}");
        for (place, plain) in self.list.0.iter().enumerate() {
            let found = self.writes.find(plain.space, plain.code, &plain.key).unwrap();
            assert_eq!(found.code, plain.code);
            if plain.code == OpCode::EventTrim {
                let pending = self.writes.pending_stream(plain.space, &plain.key);
                assert_eq!(pending.trimmed, Some(Reader::new(&plain.body).varint().unwrap()));
                assert_eq!(pending.trimmed_first, self.list.trims_first(place));
            }
        }
    }
}

proptest! {
    #![proptest_config(seeded(if cfg!(miri) { 4 } else { 400 }))]

    #[test]
    fn a_write_set_logs_finds_and_shows_what_a_list_does_whatever_is_taken_back(steps in steps()) {
        let mut pair = Pair::default();
        for step in &steps {
            pair.step(step);
            pair.check();
        }
    }
}
