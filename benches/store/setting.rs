//! What the groups share: the keys and values of a run, and the stores that hold them.
//!
//! Invariant: under `cargo test --all-targets` everything runs once, on little; all amounts go through here.

use std::{
    cell::{Cell, LazyCell},
    collections::BTreeMap,
    env,
    hint::black_box,
    ops::ControlFlow,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use criterion::{BenchmarkGroup, Criterion, measurement::WallTime};
use foldb::{Direction, Durability, KeyRange, Options, Store, value::ValueRef};

use crate::{
    directory,
    workload::{Keys, SEED, Values},
};

/// Pairs per transaction when a store is loaded in random order.
pub(crate) const LOAD_BATCH: usize = 10_000;
pub(crate) const THREADS: usize = 16;

/// True under `cargo test --all-targets`: everything runs once, on little.
pub(crate) fn is_trial() -> bool {
    !env::args().any(|argument| argument == "--bench")
}

pub(crate) fn key_count() -> usize {
    let wanted = env::var("FOLDB_BENCH_KEYS").ok().and_then(|text| text.parse().ok());
    if is_trial() { 2_000 } else { wanted.unwrap_or(1_000_000) }
}

/// `full`, or little of it in a trial.
pub(crate) fn amount(full: usize) -> usize {
    if is_trial() { (full / 1000).max(2) } else { full }
}

pub(crate) fn length(count: usize) -> u64 {
    u64::try_from(count).expect("a usize fits")
}

/// An empty directory for one purpose.
pub(crate) fn fresh_directory(purpose: &str) -> PathBuf {
    directory::fresh("store", purpose)
}

pub(crate) fn open(path: &Path, durability: Durability) -> Store {
    foldb::open_with(path, Options::new().durability(durability)).expect("the store opens")
}

/// The keys and values of the run, and the directories that hold stores of them.
pub(crate) struct Shared {
    pub(crate) keys: Keys,
    pub(crate) values: Values,
    /// A store with all keys, loaded in random order, cleanly closed.
    pub(crate) base: LazyCell<PathBuf, Box<dyn FnOnce() -> PathBuf>>,
    pub(crate) next_stream: Cell<u64>,
}

impl Shared {
    pub(crate) fn new() -> Self {
        let (keys, values) = (Keys::random(SEED, 1, key_count()), Values::new(SEED));
        let (own_keys, own_values) = (keys.clone(), values.clone());
        let base = LazyCell::new(Box::new(move || {
            let path = fresh_directory("base");
            let store = open(&path, Durability::buffered());
            load(&store, &own_keys, &own_values);
            store.close().expect("a clean close");
            path
        }) as Box<dyn FnOnce() -> PathBuf>);
        Self { keys, values, base, next_stream: Cell::new(1 << 40) }
    }

    /// Keys that no store has yet.
    pub(crate) fn new_keys(&self, count: usize) -> Keys {
        self.next_stream.set(self.next_stream.get() + 1);
        Keys::random(SEED, self.next_stream.get(), count)
    }

    pub(crate) fn open_base(&self) -> Store {
        let store = open(&self.base, Durability::buffered());
        // Everything resident, as after some use.
        assert_eq!(scan(&store), self.keys.len());
        store
    }

    /// The floor of reads, loaded in the same order.
    pub(crate) fn map(&self) -> BTreeMap<Vec<u8>, Vec<u8>> {
        self.keys.iter().map(|key| (key.to_vec(), self.values.of(key).to_vec())).collect()
    }
}

pub(crate) fn load(store: &Store, keys: &Keys, values: &Values) {
    for start in (0..keys.len()).step_by(LOAD_BATCH) {
        let part = (start..(start + LOAD_BATCH).min(keys.len())).map(|index| keys.get(index));
        store.kv().put_many(part.map(|key| (key, values.of(key)))).expect("a batch");
    }
}

/// Reads everything and returns how many pairs there are.
pub(crate) fn scan(store: &Store) -> usize {
    let (mut count, mut sum) = (0, 0);
    let each = |key: &[u8], value: ValueRef<'_>| {
        count += 1;
        sum += touch(key, value);
        ControlFlow::Continue(())
    };
    store.view().kv().for_each(KeyRange::all(), Direction::Forward, each).expect("a scan");
    black_box(sum);
    count
}

/// A little of the key and of the value, so that nobody gets away with lengths.
pub(crate) fn touch(key: &[u8], value: ValueRef<'_>) -> usize {
    match value {
        ValueRef::Bytes(bytes) => usize::from(key[0]) + usize::from(bytes[0]) + bytes.len(),
        _ => 0,
    }
}

/// The time that opening takes, without closing: a store is open once, so one is closed before the next is opened.
pub(crate) fn timed_openings(iterations: u64, open: impl Fn() -> Store) -> Duration {
    let opened = |_| {
        let mut store = None;
        let elapsed = timed(|| store = Some(open()));
        drop(store);
        elapsed
    };
    (0..iterations).map(opened).sum()
}

/// The time that `work` takes.
pub(crate) fn timed(work: impl FnOnce()) -> Duration {
    let started = Instant::now();
    work();
    started.elapsed()
}

pub(crate) fn index(number: u64) -> usize {
    usize::try_from(number).expect("as many iterations as fit in memory")
}

/// A group of slow benchmarks: ten samples, and no longer than it must be.
pub(crate) fn slow<'a>(criterion: &'a mut Criterion, name: &str) -> BenchmarkGroup<'a, WallTime> {
    let mut group = criterion.benchmark_group(name);
    group.sample_size(10).warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(5));
    group
}
