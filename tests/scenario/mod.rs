//! A store on a disk that forgets what was not synced, beside a model that does not: what the crash tests share.
//!
//! A [`Scenario`] runs a workload, remembers the content after every commit and which commits were promised when, and
//! then checks any image of the disk: the recovered content must be that after some commit, and after every promised one.
#![allow(dead_code, unreachable_pub, reason = "a module of several test programs, each of which uses a part of it")]

use std::{collections::BTreeMap, ops::ControlFlow, sync::Arc};

use foldb::{
    Db, Durability, Options, RecoveryReport, Result, RunOptions,
    primitive::ScanOptions,
    storage::{MemStorage, Storage},
    value::Value,
};
use foldb_testkit::{
    Random, SeededHost,
    crash::{CrashStorage, Image},
};

/// Everything that a reader sees, by primitive and key.
pub type Content = BTreeMap<String, String>;

/// A workload on a disk, and what it did.
pub struct Scenario {
    pub disk: CrashStorage,
    pub db: Option<Db<CrashStorage>>,
    pub durability: Durability,
    pub segment_bytes: u64,
    /// Content by seq, from the empty store at 0 on.
    pub history: BTreeMap<u64, Content>,
    /// For each promise: after which operation of the disk it was given, and up to which seq.
    pub promised: Vec<(usize, u64)>,
    host_seed: u64,
}

pub fn options(durability: Durability, segment_bytes: u64) -> Options {
    Options::new().durability(durability).segment_bytes(segment_bytes).snapshot_log_bytes(None).snapshot_on_close(false)
}

/// Opens a store on any storage, with a host of its own.
pub fn open<S: Storage>(storage: S, durability: Durability, segment_bytes: u64, seed: u64) -> Result<Db<S>> {
    Db::open(storage, Arc::new(SeededHost::new(seed)), options(durability, segment_bytes))
}

/// A report without the times, which are the host's.
pub fn untimed(report: &RecoveryReport) -> RecoveryReport {
    let phases = report.phases.iter().map(|(phase, _)| (*phase, 0)).collect();
    RecoveryReport { phases, ..report.clone() }
}

/// What recovery finds, and its report without the times.
pub fn recovered<S: Storage>(storage: S, segment_bytes: u64, seed: u64) -> Result<(Content, RecoveryReport)> {
    let db = open(storage, Durability::Strict, segment_bytes, seed)?;
    let found = (content(&db), untimed(db.recovery_report()));
    // Closing would write: what counts here is what recovery has written.
    std::mem::forget(db);
    Ok(found)
}

/// Everything in a store.
pub fn content<S: Storage>(db: &Db<S>) -> Content {
    let view = db.view();
    let mut content = Content::new();
    let all = ScanOptions::all();
    let mut spaces = vec![(String::from("default"), view.default_space())];
    for run in view.runs() {
        content.insert(
            format!("run {}", run.number),
            format!("{} {:?} {:?}", run.name, run.ended_micros.is_some(), run.labels),
        );
        spaces.push((format!("run {}", run.number), view.run(run.id).unwrap()));
    }
    for (name, space) in &spaces {
        for pair in space.kv().scan(&all).unwrap() {
            content.insert(format!("{name} kv {:?}", pair.key), format!("{:?}", pair.value));
        }
        for document in space.json().list(&all).unwrap() {
            content.insert(format!("{name} json {:?}", document.key), document.document.to_string());
        }
        for cell in space.state().list(&all).unwrap() {
            content.insert(format!("{name} cell {:?}", cell.key), format!("{:?}", cell.cell));
        }
        for entry in space.trace().list(&all).unwrap() {
            content.insert(
                format!("{name} trace {}", entry.id),
                format!("{:?} {} {:?}", entry.kind, entry.name, entry.data),
            );
        }
        for stream in space.events().streams(&all).unwrap() {
            let events = space.events().range(&stream.stream, .., None, foldb::Direction::Forward).unwrap();
            let events: Vec<_> = events.iter().map(|event| (event.seq, &event.kind, &event.payload)).collect();
            content.insert(format!("{name} stream {:?}", stream.stream), format!("{events:?}"));
        }
    }
    content
}

impl Scenario {
    pub fn new(durability: Durability, segment_bytes: u64) -> Self {
        Self::on(CrashStorage::new(), durability, segment_bytes, 1)
    }

    pub fn on(disk: CrashStorage, durability: Durability, segment_bytes: u64, host_seed: u64) -> Self {
        let db = open(disk.clone(), durability, segment_bytes, host_seed).unwrap();
        let mut history = BTreeMap::new();
        history.insert(db.view().seq(), content(&db));
        Scenario { disk, db: Some(db), durability, segment_bytes, history, promised: Vec::new(), host_seed }
    }

    pub fn db(&self) -> &Db<CrashStorage> {
        self.db.as_ref().expect("the store is open")
    }

    /// Does one thing to the store and remembers what it then holds. A strict commit is a promise.
    pub fn step(&mut self, work: impl FnOnce(&Db<CrashStorage>)) {
        work(self.db());
        let seq = self.db().view().seq();
        self.history.insert(seq, content(self.db()));
        if self.durability == Durability::Strict {
            self.promised.push((self.disk.operation_count(), seq));
        }
    }

    /// Everything so far is promised from now on.
    pub fn sync(&mut self) {
        let seq = self.db().sync().unwrap();
        self.promised.push((self.disk.operation_count(), seq));
    }

    pub fn snapshot(&mut self) {
        let info = self.db().snapshot().unwrap();
        self.promised.push((self.disk.operation_count(), info.seq));
    }

    /// Closes cleanly and opens again on the same disk.
    pub fn reopen(&mut self) {
        self.db.take().expect("the store is open").close().unwrap();
        let seq = *self.history.last_key_value().unwrap().0;
        self.promised.push((self.disk.operation_count(), seq));
        self.host_seed += 1;
        self.db = Some(open(self.disk.clone(), self.durability, self.segment_bytes, self.host_seed).unwrap());
    }

    /// Drops the handle without letting it write anything more.
    pub fn forget(&mut self) {
        std::mem::forget(self.db.take());
    }

    /// Crashes at so many moments of what it did, spread over all of it, and what each leaves: at most `budget` images each.
    pub fn crashes(&self, moments: usize, budget: u64, seed: u64) -> Vec<(usize, Image)> {
        let count = self.disk.operation_count();
        let mut random = Random::new(seed);
        let mut found = Vec::new();
        for moment in 0..moments {
            // One in each stretch, so that no part of it is left out by chance.
            let at = (moment * count + random.index(count)) / moments;
            let point = self.disk.crash_point(at);
            found.extend(point.images(budget, random.next()).map(|image| (at, image)));
        }
        found
    }

    /// A workload over all primitives.
    pub fn mixed(&mut self, rounds: u64) {
        let mut run = None;
        for round in 0..rounds {
            self.step(|db| db.kv().put(format!("key {}", round % 5), format!("value {round}")).unwrap());
            self.step(|db| {
                db.transaction(|tx| {
                    tx.kv().add_i64("counter", 1)?;
                    tx.json().set("document", &serde_json::json!({ "round": round, "text": "x".repeat(40) }))?;
                    tx.events().append("stream", "round", i64::try_from(round).unwrap())?;
                    Ok::<_, foldb::Error>(())
                })
                .unwrap();
            });
            match run {
                None => self.step(|db| run = Some(db.runs().begin(RunOptions::named("work")).unwrap().id())),
                Some(id) => {
                    self.step(|db| db.runs().get(id).unwrap().kv().put("large", vec![7_u8; 1500]).unwrap());
                    self.step(|db| {
                        let run = db.runs().get(id).unwrap();
                        run.end().unwrap();
                    });
                    run = None;
                }
            }
        }
    }

    /// The highest seq that was promised before the disk had done `operations` operations.
    pub fn promised_by(&self, operations: usize) -> u64 {
        self.promised.iter().filter(|(at, _)| *at <= operations).map(|(_, seq)| *seq).max().unwrap_or(0)
    }

    /// Opens an image and checks R1 to R6 on it: a prefix of the history that contains everything promised, the same
    /// again when it is opened again, verified, and fit to go on. Returns the seq that was recovered.
    pub fn check(&self, image: &Image, operations: usize, what: &str) -> u64 {
        let memory = image.to_memory();
        let promised = self.promised_by(operations);
        let db = open(memory.clone(), self.durability, self.segment_bytes, 99)
            .unwrap_or_else(|error| panic!("{what}: recovery failed: {error}"));
        let seq = db.view().seq();
        let found = content(&db);
        assert!(
            seq >= promised,
            "{what}: commit {promised} was promised, recovery ends at {seq}: {:?}",
            db.recovery_report()
        );
        let expected = self.history.get(&seq).unwrap_or_else(|| panic!("{what}: commit {seq} never was"));
        assert_eq!(&found, expected, "{what}: the content after commit {seq}");
        std::mem::forget(db);

        let again = open(memory.clone(), self.durability, self.segment_bytes, 100)
            .unwrap_or_else(|error| panic!("{what}: second recovery failed: {error}"));
        assert_eq!(content(&again), found, "{what}: recovered twice");
        again.kv().put("after", "the crash").unwrap();
        let report = again.verify(&mut |_| ControlFlow::Continue(())).unwrap();
        assert!(report.is_ok(), "{what}: {:?}", report.violations);
        again.close().unwrap();

        let third = open(memory, self.durability, self.segment_bytes, 101).unwrap();
        assert_eq!(third.kv().get::<String>("after").unwrap().as_deref(), Some("the crash"), "{what}: going on");
        seq
    }

    /// Crashes after every operation of the disk, with up to `budget` images for each.
    pub fn crash_everywhere(&self, budget: u64) -> u64 {
        let mut images = 0;
        for (operations, point) in self.disk.crash_points().enumerate() {
            for image in point.images(budget, operations as u64) {
                self.check(&image, operations, &format!("crash after operation {operations}, image {images}"));
                images += 1;
            }
        }
        images
    }
}

/// A store in memory with these files.
pub fn memory_of(image: &Image) -> MemStorage {
    image.to_memory()
}

/// A value of a size.
pub fn bytes(len: usize) -> Value {
    Value::Bytes(vec![b'v'; len])
}
