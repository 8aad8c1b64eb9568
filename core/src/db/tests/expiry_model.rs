//! Random writes with and without times to live, one by one and in transactions, beside plain maps: through sweeps, snapshots and
//! reopenings, and a clock that goes both ways, the store shows what the maps have.

use alloc::{collections::BTreeMap, string::String, vec, vec::Vec};
use core::time::Duration;

use proptest::prelude::*;
use serde_json::json;

use super::expiry::{Clock, assert_sound, indexed, open};
use crate::{
    Db, Error, Result,
    primitive::{
        Cells, Documents, Kv, ScanOptions,
        access::{Access, AccessMut},
    },
    storage::MemStorage,
    value::tests::seeded,
};

#[derive(Clone, Copy, Debug)]
enum Step {
    Put(u8, i64),
    PutTtl(u8, i64, u16),
    PutKeep(u8, i64),
    PutIfAbsent(u8, i64),
    Update(u8),
    Add(u8, i64),
    Delete(u8),
    Remove(u8),
    Rename(u8, u8),
    Touch(u8, u16),
    ExpireAt(u8, u16),
    Persist(u8),
    Document(u8, Option<u16>),
    Member(u8, u8),
    TouchDocument(u8, u16),
    DeleteDocument(u8),
    Cell(u8, Option<u16>),
    Change(u8),
    PersistCell(u8),
}

#[derive(Clone, Debug)]
enum Stage {
    One(Step),
    Together(Vec<Step>, bool),
    Sweep(u8),
    Clock(u16),
    Snapshot,
    Reopen,
}

/// What is there, and when it is over.
type Map<V> = BTreeMap<u8, (V, Option<u64>)>;

#[derive(Clone, Debug, Default, PartialEq)]
struct Model {
    pairs: Map<i64>,
    documents: Map<BTreeMap<u8, u64>>,
    cells: Map<u64>,
}

fn see<V: Clone>(map: &Map<V>, key: u8, now: u64) -> Option<(V, Option<u64>)> {
    map.get(&key).filter(|(_, expires)| expires.is_none_or(|micros| micros > now)).cloned()
}

fn seen<V: Clone>(map: &Map<V>, now: u64) -> Vec<(u8, V, Option<u64>)> {
    map.keys().filter_map(|key| see(map, *key, now).map(|(value, expires)| (*key, value, expires))).collect()
}

fn expire<V>(map: &mut Map<V>, key: u8, now: u64, expires: Option<u64>) {
    if let Some(entry) = map.get_mut(&key).filter(|(_, expires)| expires.is_none_or(|micros| micros > now)) {
        entry.1 = expires;
    }
}

fn after(now: u64, ttl: u16) -> u64 {
    now + u64::from(ttl.max(1))
}

impl Model {
    fn step(&mut self, step: Step, now: u64) {
        match step {
            Step::Put(key, value) => drop(self.pairs.insert(key, (value, None))),
            Step::PutTtl(key, value, ttl) => drop(self.pairs.insert(key, (value, Some(after(now, ttl))))),
            Step::PutKeep(key, value) => {
                let expires = see(&self.pairs, key, now).and_then(|(_, expires)| expires);
                self.pairs.insert(key, (value, expires));
            }
            Step::PutIfAbsent(key, value) => {
                if see(&self.pairs, key, now).is_none() {
                    self.pairs.insert(key, (value, None));
                }
            }
            Step::Update(key) => self.add(key, 1, now),
            Step::Add(key, amount) => self.add(key, amount, now),
            // Also what is hidden.
            Step::Delete(key) | Step::Remove(key) => drop(self.pairs.remove(&key)),
            Step::Rename(from, to) => {
                if let (Some(moved), None, true) = (see(&self.pairs, from, now), see(&self.pairs, to, now), from != to)
                {
                    self.pairs.remove(&from);
                    self.pairs.insert(to, moved);
                }
            }
            Step::Touch(key, ttl) => expire(&mut self.pairs, key, now, Some(after(now, ttl))),
            Step::ExpireAt(key, at) => expire(&mut self.pairs, key, now, Some(u64::from(at.max(1)))),
            Step::Persist(key) => expire(&mut self.pairs, key, now, None),
            Step::Document(key, ttl) => {
                self.documents.insert(key, (BTreeMap::new(), ttl.map(|ttl| after(now, ttl))));
            }
            Step::Member(key, member) => {
                if see(&self.documents, key, now).is_some() {
                    *self.documents.get_mut(&key).unwrap().0.entry(member % 4).or_default() += 1;
                }
            }
            Step::TouchDocument(key, ttl) => expire(&mut self.documents, key, now, Some(after(now, ttl))),
            Step::DeleteDocument(key) => drop(self.documents.remove(&key)),
            Step::Cell(key, ttl) => {
                let counter = see(&self.cells, key, now).map_or(1, |(counter, _)| counter + 1);
                self.cells.insert(key, (counter, ttl.map(|ttl| after(now, ttl))));
            }
            Step::Change(key) => {
                let (counter, expires) = see(&self.cells, key, now).unwrap_or((0, None));
                self.cells.insert(key, (counter + 1, expires));
            }
            Step::PersistCell(key) => expire(&mut self.cells, key, now, None),
        }
    }

    fn add(&mut self, key: u8, amount: i64, now: u64) {
        let (value, expires) = see(&self.pairs, key, now).unwrap_or((0, None));
        self.pairs.insert(key, (value + amount, expires));
    }

    /// Removes so many of what is over, the longest first.
    fn sweep(&mut self, now: u64, limit: usize) -> u64 {
        let mut over: Vec<(u64, u8, u8)> = Vec::new();
        let mut note = |family: u8, key: u8, expires: Option<u64>| {
            over.extend(expires.filter(|micros| *micros <= now).map(|micros| (micros, family, key)));
        };
        self.pairs.iter().for_each(|(key, (_, expires))| note(0, *key, *expires));
        self.documents.iter().for_each(|(key, (_, expires))| note(1, *key, *expires));
        self.cells.iter().for_each(|(key, (_, expires))| note(2, *key, *expires));
        over.sort_unstable();
        over.truncate(limit);
        for (_, family, key) in &over {
            match family {
                0 => drop(self.pairs.remove(key)),
                1 => drop(self.documents.remove(key)),
                _ => drop(self.cells.remove(key)),
            }
        }
        over.len() as u64
    }

    fn expiring(&self) -> u64 {
        let pairs = self.pairs.values().filter(|(_, expires)| expires.is_some()).count();
        let documents = self.documents.values().filter(|(_, expires)| expires.is_some()).count();
        (pairs + documents + self.cells.values().filter(|(_, expires)| expires.is_some()).count()) as u64
    }
}

/// A document that is changed and not logged whole.
fn document() -> serde_json::Value {
    json!({"text": "x".repeat(1500)})
}

fn step<A: AccessMut>(kv: &Kv<A>, documents: &Documents<A>, cells: &Cells<A>, step: Step) -> Result<()> {
    let ttl = |ttl: u16| Duration::from_micros(u64::from(ttl.max(1)));
    match step {
        Step::Put(key, value) => kv.put([key], value),
        Step::PutTtl(key, value, time) => kv.put_with_ttl([key], value, ttl(time)),
        Step::PutKeep(key, value) => kv.put_keep_ttl([key], value),
        Step::PutIfAbsent(key, value) => match kv.put_if_absent([key], value) {
            Err(Error::Precondition { .. }) => Ok(()),
            other => other,
        },
        Step::Update(key) => kv.update([key], |value: Option<i64>| value.unwrap_or(0) + 1).map(drop),
        Step::Add(key, amount) => kv.add_i64([key], amount),
        Step::Delete(key) => kv.delete([key]).map(drop),
        Step::Remove(key) => kv.remove([key]),
        Step::Rename(from, to) => match kv.rename([from], [to]) {
            Err(Error::Precondition { .. } | Error::NotFound { .. }) => Ok(()),
            other => other,
        },
        Step::Touch(key, time) => kv.touch([key], ttl(time)).map(drop),
        Step::ExpireAt(key, at) => kv.expire_at([key], u64::from(at.max(1))).map(drop),
        Step::Persist(key) => kv.persist([key]).map(drop),
        Step::Document(key, None) => documents.set([key], &document()),
        Step::Document(key, Some(time)) => documents.set_with_ttl([key], &document(), ttl(time)),
        Step::Member(key, member) => {
            let path = alloc::format!("/m{}", member % 4);
            match documents.get_at([key], &path) {
                Ok(found) => {
                    let count = found.and_then(|found| found.as_u64()).unwrap_or(0) + 1;
                    documents.set_at([key], &path, &json!(count)).map(drop)
                }
                Err(Error::NotFound { .. }) => Ok(()),
                Err(error) => Err(error),
            }
        }
        Step::TouchDocument(key, time) => documents.touch([key], ttl(time)).map(drop),
        Step::DeleteDocument(key) => documents.delete([key]).map(drop),
        Step::Cell(key, None) => cells.set([key], "x").map(drop),
        Step::Cell(key, Some(time)) => cells.set_with_ttl([key], "x", ttl(time)).map(drop),
        Step::Change(key) => cells.update([key], |_: Option<String>| String::from("y")).map(drop),
        Step::PersistCell(key) => cells.persist([key]).map(drop),
    }
}

/// What a reader sees.
fn shown<A: Access>(kv: &Kv<A>, documents: &Documents<A>, cells: &Cells<A>, backwards: bool) -> Model {
    let options = if backwards { ScanOptions::all().reverse() } else { ScanOptions::all() };
    let pairs = kv.scan_as::<i64>(&options).unwrap();
    let members = |document: &serde_json::Value| {
        let member = |number: u8| Some((number, document.get(alloc::format!("m{number}"))?.as_u64()?));
        (0..4).filter_map(member).collect::<BTreeMap<_, _>>()
    };
    Model {
        pairs: pairs.iter().map(|pair| (pair.key[0], (pair.value, kv.expires_at(&pair.key).unwrap()))).collect(),
        documents: documents
            .list(&options)
            .unwrap()
            .iter()
            .map(|entry| (entry.key[0], (members(&entry.document), documents.expires_at(&entry.key).unwrap())))
            .collect(),
        cells: cells
            .list(&options)
            .unwrap()
            .iter()
            .map(|entry| (entry.key[0], (entry.cell.counter, cells.expires_at(&entry.key).unwrap())))
            .collect(),
    }
}

fn assert_seen(found: &Model, model: &Model, now: u64) {
    assert_eq!(seen(&found.pairs, 0), seen(&model.pairs, now));
    assert_eq!(seen(&found.documents, 0), seen(&model.documents, now));
    assert_eq!(seen(&found.cells, 0), seen(&model.cells, now));
}

fn live(stages: &[Stage]) {
    let (storage, clock) = (MemStorage::new(), Clock::at(1000));
    let (mut db, mut model) = (Some(open(&storage, &clock)), Model::default());
    for (number, stage) in stages.iter().enumerate() {
        let store: &Db<MemStorage> = db.as_ref().unwrap();
        match stage {
            Stage::One(one) => {
                step(&store.kv(), &store.json(), &store.state(), *one).unwrap();
                model.step(*one, clock.now());
            }
            Stage::Together(steps, commits) => {
                let (tx, mut then) = (store.begin_transaction().unwrap(), model.clone());
                for one in steps {
                    step(&tx.kv(), &tx.json(), &tx.state(), *one).unwrap();
                    then.step(*one, clock.now());
                    assert_seen(&shown(&tx.kv(), &tx.json(), &tx.state(), number % 2 == 0), &then, clock.now());
                }
                if *commits {
                    tx.commit().unwrap();
                    model = then;
                }
            }
            Stage::Sweep(limit) => {
                let expected = model.sweep(clock.now(), usize::from(*limit));
                assert_eq!(store.sweep_expired(u64::from(*limit)).unwrap().entries, expected);
            }
            Stage::Clock(micros) => clock.set(u64::from(*micros).max(1)),
            Stage::Snapshot => drop(store.snapshot().unwrap()),
            Stage::Reopen => {
                db.take().unwrap().close().unwrap();
                db = Some(open(&storage, &clock));
            }
        }
        let store = db.as_ref().unwrap();
        assert_seen(&shown(&store.kv(), &store.json(), &store.state(), number % 2 == 0), &model, clock.now());
        assert_eq!(indexed(store), model.expiring());
    }
    let store = db.unwrap();
    assert_sound(&store);
    let replay = store.replay_default().unwrap();
    assert_eq!(shown(&replay.kv(), &replay.json(), &replay.state(), false), model, "history hides nothing");
}

fn one() -> impl Strategy<Value = Step> {
    let key = || 0..6_u8;
    let ttl = || 1..400_u16;
    prop_oneof![
        (key(), 0..100_i64).prop_map(|(key, value)| Step::Put(key, value)),
        (key(), 0..100_i64, ttl()).prop_map(|(key, value, ttl)| Step::PutTtl(key, value, ttl)),
        (key(), 0..100_i64).prop_map(|(key, value)| Step::PutKeep(key, value)),
        (key(), 0..100_i64).prop_map(|(key, value)| Step::PutIfAbsent(key, value)),
        key().prop_map(Step::Update),
        (key(), 0..100_i64).prop_map(|(key, amount)| Step::Add(key, amount)),
        key().prop_map(Step::Delete),
        key().prop_map(Step::Remove),
        (key(), key()).prop_map(|(from, to)| Step::Rename(from, to)),
        (key(), ttl()).prop_map(|(key, ttl)| Step::Touch(key, ttl)),
        (key(), 800..1500_u16).prop_map(|(key, at)| Step::ExpireAt(key, at)),
        key().prop_map(Step::Persist),
        (key(), proptest::option::of(ttl())).prop_map(|(key, ttl)| Step::Document(key, ttl)),
        (key(), any::<u8>()).prop_map(|(key, member)| Step::Member(key, member)),
        (key(), ttl()).prop_map(|(key, ttl)| Step::TouchDocument(key, ttl)),
        key().prop_map(Step::DeleteDocument),
        (key(), proptest::option::of(ttl())).prop_map(|(key, ttl)| Step::Cell(key, ttl)),
        key().prop_map(Step::Change),
        key().prop_map(Step::PersistCell),
    ]
}

fn stage() -> impl Strategy<Value = Stage> {
    prop_oneof![
        6 => one().prop_map(Stage::One),
        4 => (proptest::collection::vec(one(), 1..12), any::<bool>()).prop_map(|(steps, commits)| Stage::Together(steps, commits)),
        2 => (0..6_u8).prop_map(Stage::Sweep),
        4 => (900..1600_u16).prop_map(Stage::Clock),
        1 => Just(Stage::Snapshot),
        1 => Just(Stage::Reopen),
    ]
}

proptest! {
    #![proptest_config(seeded(128))]

    #[test]
    fn a_store_with_times_to_live_shows_what_plain_maps_show(stages in proptest::collection::vec(stage(), 1..40)) {
        live(&stages);
    }
}
