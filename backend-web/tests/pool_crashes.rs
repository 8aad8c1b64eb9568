//! Every crash of the pool: names and bytes, and a whole store over it, on a disk that loses, tears and reorders what was
//! not flushed (rows 1 to 3, 16 and 17 of the fault list). Runs natively and in a worker of a browser.

mod shim;

use std::{collections::BTreeMap, ops::ControlFlow, sync::Arc};

use foldb_core::{
    Db, Options,
    replay::Digest,
    storage::{Storage, StorageFile},
};
use foldb_testkit::{
    Random, SeededHost,
    crash::{CrashStorage, Image},
};
use foldb_web::OpenOptions;
use shim::{ShimDirectory, ShimStorage};
#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

#[cfg(target_family = "wasm")]
wasm_bindgen_test::wasm_bindgen_test_configure!(run_in_dedicated_worker);

/// Images for each moment.
const BUDGET: u64 = 12;

/// What one life of a file was promised.
#[derive(Clone, Debug, Default)]
struct Life {
    /// Operations after which it was created and removed.
    created: usize,
    removed: Option<usize>,
    /// After which operation how many blocks were on the medium.
    synced: Vec<(usize, usize)>,
    /// How many blocks were ever written.
    written: usize,
}

/// A file system's worth of work on the pool, by seed, and what it was promised.
struct Work {
    directory: ShimDirectory,
    storage: Option<ShimStorage>,
    /// Every life of every file; the bytes of a life are its number.
    lives: Vec<(String, Life)>,
    live: BTreeMap<String, usize>,
    random: Random,
}

/// Bytes that a file grows by. Not a whole page, so that pages are shared between writes.
const BLOCK: usize = 1500;

impl Work {
    fn new(seed: u64) -> Self {
        let directory = ShimDirectory::new();
        let storage = directory.open_pool(&OpenOptions::new().ready(3)).unwrap();
        let random = Random::new(seed);
        Work { directory, storage: Some(storage), lives: Vec::new(), live: BTreeMap::new(), random }
    }

    fn operations(&self) -> usize {
        self.directory.disk.operation_count()
    }

    fn step(&mut self) {
        let name = format!("log-{}", self.random.below(3));
        let action = self.random.below(8);
        let now = self.operations();
        let storage = self.storage.as_ref().expect("open");
        match (self.live.get(&name).copied(), action) {
            (None, _) => {
                if storage.create(&name).is_ok() {
                    self.live.insert(name.clone(), self.lives.len());
                    self.lives.push((name, Life { created: now, ..Life::default() }));
                }
            }
            (Some(life), 0..=3) => {
                let file = storage.open(&name).unwrap();
                let (_, promise) = &mut self.lives[life];
                let tag = u8::try_from(life + 1).unwrap();
                file.write_at(u64::try_from(promise.written * BLOCK).unwrap(), &[tag; BLOCK]).unwrap();
                promise.written += 1;
            }
            (Some(life), 4 | 5) => {
                storage.open(&name).unwrap().sync().unwrap();
                let after = self.operations();
                let (_, promise) = &mut self.lives[life];
                promise.synced.push((after, promise.written));
            }
            (Some(life), 6) => {
                storage.remove(&name).unwrap();
                let after = self.operations();
                self.lives[life].1.removed = Some(after);
                self.live.remove(&name);
            }
            (Some(_), _) => {
                self.storage = None;
                self.storage = Some(self.directory.open_pool(&OpenOptions::new().ready(3)).unwrap());
            }
        }
    }

    /// Whether an image of the disk after so many operations is one that the promises allow.
    fn judge(&self, image: &Image, at: usize) -> Result<(), String> {
        let directory = ShimDirectory::on(CrashStorage::from_image(image));
        let mut storage = directory.open_pool(&OpenOptions::new().ready(1)).map_err(|error| error.to_string())?;
        if !storage.opening().damaged.is_empty() {
            return Err(format!("no crash damages a header: {:?}", storage.opening()));
        }
        let first = self.contents(&storage, at)?;
        drop(storage);
        storage = directory.open_pool(&OpenOptions::new().ready(1)).map_err(|error| error.to_string())?;
        if self.contents(&storage, at)? != first {
            return Err("opened twice, it is not the same".into());
        }
        // And it goes on: no name is in the way of a file that is not there.
        for name in ["log-0", "log-1", "log-2"] {
            if !first.contains_key(name) {
                let file = storage.create(name).map_err(|error| error.to_string())?;
                if !file.is_empty().map_err(|error| error.to_string())? {
                    return Err(format!("the new {name} has bytes of an earlier life"));
                }
                storage.remove(name).map_err(|error| error.to_string())?;
            }
        }
        Ok(())
    }

    fn contents(&self, storage: &ShimStorage, at: usize) -> Result<BTreeMap<String, Vec<u8>>, String> {
        let mut found = BTreeMap::new();
        for name in storage.list().map_err(|error| error.to_string())? {
            let file = storage.open(&name).map_err(|error| error.to_string())?;
            let mut bytes = vec![0; usize::try_from(file.len().map_err(|error| error.to_string())?).unwrap()];
            file.read_at(0, &mut bytes).map_err(|error| error.to_string())?;
            found.insert(name, bytes);
        }
        for (name, bytes) in &found {
            self.judge_file(name, bytes, at)?;
        }
        // What was synced, and is not removed or being removed, is there.
        for (name, life) in self.lives.iter().filter(|(_, life)| life.created < at) {
            let promised = life.synced.iter().any(|(when, _)| *when <= at);
            let replaced = self
                .lives
                .iter()
                .any(|(other, later)| other == name && later.created > life.created && later.created < at);
            let removing = life.removed.is_some() && self.is_removal_begun(life, at);
            if promised && !removing && !replaced && !found.contains_key(name) {
                return Err(format!("{name} was synced and is not there: {life:?}"));
            }
        }
        Ok(found)
    }

    /// A removal takes a few operations; it has begun once the one before its end is not ahead any more.
    fn is_removal_begun(&self, life: &Life, at: usize) -> bool {
        const REMOVAL_OPERATIONS: usize = 8;
        life.removed.is_some_and(|removed| at + REMOVAL_OPERATIONS > removed)
    }

    fn judge_file(&self, name: &str, bytes: &[u8], at: usize) -> Result<(), String> {
        let tags: Vec<u8> = bytes.iter().copied().filter(|byte| *byte != 0).collect();
        let Some(tag) = tags.first() else { return self.judge_empty(name, bytes, at) };
        if tags.iter().any(|other| other != tag) {
            return Err(format!("{name} has bytes of several lives"));
        }
        let (of, life) = &self.lives[usize::from(*tag) - 1];
        if of != name {
            return Err(format!("{name} has bytes of {of}"));
        }
        if life.removed.is_some_and(|removed| removed <= at) {
            return Err(format!("{name} was removed, and the removal had returned"));
        }
        let synced = life.synced.iter().filter(|(when, _)| *when <= at).map(|(_, blocks)| *blocks).max().unwrap_or(0);
        if bytes.len() < synced * BLOCK || bytes[..synced * BLOCK].iter().any(|byte| byte != tag) {
            return Err(format!("{name}: {synced} blocks were synced, and not all of them are there"));
        }
        if bytes.len() > life.written * BLOCK {
            return Err(format!("{name} is longer than it ever was"));
        }
        Ok(())
    }

    /// A file without bytes must be of a life of which nothing was promised.
    fn judge_empty(&self, name: &str, bytes: &[u8], at: usize) -> Result<(), String> {
        let possible = self.lives.iter().any(|(of, life)| {
            let synced =
                life.synced.iter().filter(|(when, _)| *when <= at).map(|(_, blocks)| *blocks).max().unwrap_or(0);
            of == name
                && life.created <= at
                && life.removed.is_none_or(|removed| removed > at)
                && synced == 0
                && bytes.len() <= life.written * BLOCK
        });
        if possible { Ok(()) } else { Err(format!("{name} has {} zeros, and no life of it may look so", bytes.len())) }
    }
}

#[test]
fn a_crash_at_any_moment_leaves_every_name_with_its_own_bytes() {
    let mut images = 0;
    for seed in 0..5 {
        let mut work = Work::new(seed);
        (0..60).for_each(|_| work.step());
        assert!(work.lives.len() > 4 && work.lives.iter().any(|(_, life)| life.removed.is_some()), "seed {seed}");
        for (at, point) in work.directory.disk.crash_points().enumerate() {
            for image in point.images(BUDGET, seed) {
                if let Err(why) = work.judge(&image, at) {
                    panic!("seed {seed}, crash after operation {at}, image {images}: {why}");
                }
                images += 1;
            }
        }
    }
    println!("{images} images");
    assert!(images > 2_000, "{images} images");
}

/// A store on the pool, and its digest after every commit.
struct History {
    directory: ShimDirectory,
    digests: BTreeMap<u64, Digest>,
    /// After which operation which commit was promised.
    promised: Vec<(usize, u64)>,
}

fn open(directory: &ShimDirectory, ready: usize, seed: u64) -> foldb_core::Result<Db<ShimStorage>> {
    let storage = directory.open_pool(&OpenOptions::new().ready(ready))?;
    shim::now(storage.pool().reserve(ready))?;
    let options = Options::new().segment_bytes(4096).snapshot_log_bytes(None).snapshot_on_close(false);
    Db::open(storage, Arc::new(SeededHost::new(seed)), options)
}

fn digest(db: &Db<ShimStorage>) -> (u64, Digest) {
    let view = db.view();
    (view.seq(), view.default_space().digest().unwrap())
}

fn history(seed: u64, commits: u64) -> History {
    let directory = ShimDirectory::new();
    let mut db = open(&directory, 30, seed).unwrap();
    let (seq, first) = digest(&db);
    let mut history =
        History { directory: directory.clone(), digests: BTreeMap::from([(seq, first)]), promised: Vec::new() };
    let mut random = Random::new(seed);
    for commit in 0..commits {
        let len = 20 + random.index(900);
        let value = random.bytes(len);
        db.transaction(|tx| {
            tx.kv().put(format!("key {}", random.below(9)), &value)?;
            tx.events().append("log", "commit", commit).map(drop)
        })
        .unwrap();
        let (seq, now) = digest(&db);
        history.digests.insert(seq, now);
        history.promised.push((directory.disk.operation_count(), seq));
        match random.below(9) {
            0 => drop(db.snapshot().unwrap()),
            1 => {
                db.close().unwrap();
                db = open(&directory, 30, seed + commit).unwrap();
            }
            _ => {}
        }
    }
    std::mem::forget(db);
    history
}

impl History {
    fn check(&self, image: &Image, at: usize) -> u64 {
        let directory = ShimDirectory::on(CrashStorage::from_image(image));
        let db = open(&directory, 6, 99).unwrap_or_else(|error| panic!("crash after operation {at}: {error}"));
        let (seq, found) = digest(&db);
        let promised = self.promised.iter().filter(|(when, _)| *when <= at).map(|(_, seq)| *seq).max().unwrap_or(0);
        assert!(seq >= promised, "crash after operation {at}: commit {promised} was promised, there are {seq}");
        assert_eq!(self.digests.get(&seq), Some(&found), "crash after operation {at}: the content after commit {seq}");
        db.kv().put("after", "the crash").unwrap();
        assert!(db.verify(&mut |_| ControlFlow::Continue(())).unwrap().is_ok(), "crash after operation {at}");
        seq
    }
}

#[test]
fn a_store_on_the_pool_keeps_every_promise_after_a_crash_at_any_moment() {
    let mut images = 0;
    for seed in 0..3 {
        let history = history(seed, 25);
        for (at, point) in history.directory.disk.crash_points().enumerate() {
            for image in point.images(4, seed) {
                history.check(&image, at);
                images += 1;
            }
        }
    }
    println!("{images} images");
    assert!(images > 1_000, "{images} images");
}

#[test]
fn a_recovery_on_the_pool_that_is_cut_short_anywhere_gives_the_identical_state() {
    let history = history(5, 12);
    let operations = history.directory.disk.operation_count();
    let mut images = 0;
    for at in (0..=operations).step_by(7) {
        for image in history.directory.disk.crash_point(at).images(2, 5) {
            let expected = history.check(&image, at);
            let disk = CrashStorage::from_image(&image);
            let db = open(&ShimDirectory::on(disk.clone()), 6, 7).unwrap();
            std::mem::forget(db);
            for point in disk.crash_points() {
                for image in point.images(3, 5) {
                    assert_eq!(history.check(&image, at), expected, "crash after operation {at}, and in the recovery");
                    images += 1;
                }
            }
        }
    }
    println!("{images} images");
    assert!(images > 300, "{images} images");
}
