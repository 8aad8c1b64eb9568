//! Every row of the native table of targets that this release builds, each beside the plain work for the same bytes.
//!
//! `cargo bench --bench store` runs all of it, `cargo bench --bench store -- get` one group. The
//! stores live below the target directory, or where `FOLDB_BENCH_DIR` says: it must be a real disk. `FOLDB_BENCH_KEYS`
//! changes the million keys. Other engines are measured by the crate in `benches/peers`; `docs/performance.md` says how
//! to read both.
//!
//! Invariant: a group holds foldb and its floor, measured one after the other, so a figure is never read without what
//! the machine could do at that moment.

#![allow(missing_docs, reason = "criterion's macros write public items")]

use std::{
    cell::{Cell, LazyCell, RefCell},
    collections::BTreeMap,
    env,
    fs::{self, File, OpenOptions},
    hint::black_box,
    io::Write as _,
    ops::{Bound, ControlFlow},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::Mutex,
    thread,
    time::{Duration, Instant},
};

use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main, measurement::WallTime};
use foldb::{
    Direction, Durability, KeyRange, Options, RunId, RunOptions, Store, primitive::EventBatch, value::ValueRef,
};
use workload::{Keys, SEED, Values};

#[allow(dead_code, unreachable_pub, reason = "other programs use the same file, and other parts of it")]
#[path = "workload/mod.rs"]
mod workload;

/// Pairs per transaction when a store is loaded in random order.
const LOAD_BATCH: usize = 10_000;
const THREADS: usize = 16;

/// True under `cargo test --all-targets`: everything runs once, on little.
fn is_trial() -> bool {
    !env::args().any(|argument| argument == "--bench")
}

fn key_count() -> usize {
    let wanted = env::var("FOLDB_BENCH_KEYS").ok().and_then(|text| text.parse().ok());
    if is_trial() { 2_000 } else { wanted.unwrap_or(1_000_000) }
}

/// `full`, or little of it in a trial.
fn amount(full: usize) -> usize {
    if is_trial() { (full / 1000).max(2) } else { full }
}

fn length(count: usize) -> u64 {
    u64::try_from(count).expect("a usize fits")
}

/// An empty directory for one purpose.
fn fresh_directory(purpose: &str) -> PathBuf {
    let root = env::var_os("FOLDB_BENCH_DIR").map_or_else(|| PathBuf::from(env!("CARGO_TARGET_TMPDIR")), PathBuf::from);
    let path = root.join("store-bench").join(purpose);
    if path.exists() {
        fs::remove_dir_all(&path).expect("the benchmark's own directory can be removed");
    }
    fs::create_dir_all(&path).expect("the benchmark's directory can be created");
    path
}

fn open(path: &Path, durability: Durability) -> Store {
    foldb::open_with(path, Options::new().durability(durability)).expect("the store opens")
}

/// The keys and values of the run, and the directories that hold stores of them.
struct Shared {
    keys: Keys,
    values: Values,
    /// A store with all keys, loaded in random order, cleanly closed.
    base: LazyCell<PathBuf, Box<dyn FnOnce() -> PathBuf>>,
    next_stream: Cell<u64>,
}

impl Shared {
    fn new() -> Self {
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
    fn new_keys(&self, count: usize) -> Keys {
        self.next_stream.set(self.next_stream.get() + 1);
        Keys::random(SEED, self.next_stream.get(), count)
    }

    fn open_base(&self) -> Store {
        let store = open(&self.base, Durability::buffered());
        // Everything resident, as after some use.
        assert_eq!(scan(&store), self.keys.len());
        store
    }

    /// The floor of reads, loaded in the same order.
    fn map(&self) -> BTreeMap<Vec<u8>, Vec<u8>> {
        self.keys.iter().map(|key| (key.to_vec(), self.values.of(key).to_vec())).collect()
    }
}

fn load(store: &Store, keys: &Keys, values: &Values) {
    for start in (0..keys.len()).step_by(LOAD_BATCH) {
        let part = (start..(start + LOAD_BATCH).min(keys.len())).map(|index| keys.get(index));
        store.kv().put_many(part.map(|key| (key, values.of(key)))).expect("a batch");
    }
}

/// Reads everything and returns how many pairs there are.
fn scan(store: &Store) -> usize {
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
fn touch(key: &[u8], value: ValueRef<'_>) -> usize {
    match value {
        ValueRef::Bytes(bytes) => usize::from(key[0]) + usize::from(bytes[0]) + bytes.len(),
        _ => 0,
    }
}

/// The time that opening takes, without closing: a store is open once, so one is closed before the next is opened.
fn timed_openings(iterations: u64, open: impl Fn() -> Store) -> Duration {
    let opened = |_| {
        let mut store = None;
        let elapsed = timed(|| store = Some(open()));
        drop(store);
        elapsed
    };
    (0..iterations).map(opened).sum()
}

/// The time that `work` takes.
fn timed(work: impl FnOnce()) -> Duration {
    let started = Instant::now();
    work();
    started.elapsed()
}

fn index(number: u64) -> usize {
    usize::try_from(number).expect("as many iterations as fit in memory")
}

/// A group of slow benchmarks: ten samples, and no longer than it must be.
fn slow<'a>(criterion: &'a mut Criterion, name: &str) -> BenchmarkGroup<'a, WallTime> {
    let mut group = criterion.benchmark_group(name);
    group.sample_size(10).warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(5));
    group
}

fn reads(criterion: &mut Criterion) {
    let shared = Shared::new();
    let store = LazyCell::new(|| shared.open_base());
    let map = LazyCell::new(|| shared.map());
    let lookups = shared.keys.lookups(SEED, 2, amount(1_000_000));

    let mut group = criterion.benchmark_group("get");
    let mut at = 0;
    let mut next = || {
        at = (at + 1) % lookups.len();
        lookups.get(at)
    };
    group.bench_function("foldb", |bencher| {
        let view = store.view();
        let kv = view.kv();
        bencher.iter(|| kv.get_with(next(), |value| touch(b"k", value)).expect("a read").expect("the key is there"));
    });
    group.bench_function("foldb/without-a-view", |bencher| {
        let kv = store.kv();
        bencher.iter(|| kv.get_with(next(), |value| touch(b"k", value)).expect("a read").expect("the key is there"));
    });
    group.bench_function("floor/BTreeMap", |bencher| {
        bencher.iter(|| map.get(next()).map(|value| touch(b"k", ValueRef::Bytes(value))).expect("the key is there"));
    });
    group.finish();

    let mut group = criterion.benchmark_group("range_100");
    group.bench_function("foldb", |bencher| {
        let view = store.view();
        bencher.iter(|| {
            let (mut left, mut sum) = (100, 0);
            let range = KeyRange::new(Bound::Included(next().to_vec()), Bound::Unbounded);
            let each = |key: &[u8], value: ValueRef<'_>| {
                (left, sum) = (left - 1, sum + touch(key, value));
                if left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            };
            view.kv().for_each(range, Direction::Forward, each).expect("a range");
            sum
        });
    });
    group.bench_function("floor/BTreeMap", |bencher| {
        bencher.iter(|| {
            let range = map.range::<[u8], _>((Bound::Included(next()), Bound::Unbounded)).take(100);
            range.map(|(key, value)| touch(key, ValueRef::Bytes(value))).sum::<usize>()
        });
    });
    group.finish();

    let mut group = slow(criterion, "scan");
    group.throughput(Throughput::Elements(length(shared.keys.len())));
    group.bench_function("foldb", |bencher| bencher.iter(|| scan(&store)));
    group.bench_function("floor/BTreeMap", |bencher| {
        bencher.iter(|| map.iter().map(|(key, value)| touch(key, ValueRef::Bytes(value))).sum::<usize>());
    });
    group.finish();
}

/// A store that grows under single puts, begun anew before it is larger than the others.
struct Growing {
    purpose: &'static str,
    durability: Durability,
    store: RefCell<Option<(Store, usize)>>,
}

impl Growing {
    fn new(purpose: &'static str, durability: Durability) -> Self {
        Self { purpose, durability, store: RefCell::new(None) }
    }

    fn with_room_for(&self, count: usize, work: impl FnOnce(&Store) -> Duration) -> Duration {
        let mut slot = self.store.borrow_mut();
        if slot.as_ref().is_none_or(|(_, puts)| puts + count > key_count()) {
            drop(slot.take());
            *slot = Some((open(&fresh_directory(self.purpose), self.durability), 0));
        }
        let (store, puts) = slot.as_mut().expect("opened above");
        *puts += count;
        work(store)
    }
}

fn puts(criterion: &mut Criterion) {
    let shared = Shared::new();
    let modes = [
        ("put_in_memory", Durability::InMemory),
        ("put_buffered", Durability::buffered()),
        ("put_relaxed", Durability::relaxed()),
        ("put_strict", Durability::Strict),
    ];
    for (name, durability) in modes {
        let mut group = criterion.benchmark_group(name);
        let growing = Growing::new(name, durability);
        group.bench_function("foldb", |bencher| {
            bencher.iter_custom(|iterations| {
                let keys = shared.new_keys(index(iterations));
                growing.with_room_for(keys.len(), |store| {
                    timed(|| keys.iter().for_each(|key| store.kv().put(key, shared.values.of(key)).expect("a put")))
                })
            });
        });
        match durability {
            Durability::InMemory => floor_map_put(&mut group, &shared),
            Durability::Strict => floor_synced(&mut group, &shared),
            _ => floor_written(&mut group, &shared),
        }
        group.finish();
    }

    relaxed_threads(criterion, &shared);

    let mut group = slow(criterion, "put_strict_16_threads");
    group.throughput(Throughput::Elements(length(THREADS)));
    let growing = Growing::new("put_strict_16_threads", Durability::Strict);
    group.bench_function("foldb", |bencher| {
        bencher.iter_custom(|iterations| {
            let keys: Vec<Keys> = (0..THREADS).map(|_| shared.new_keys(index(iterations))).collect();
            growing.with_room_for(THREADS * index(iterations), |store| {
                let (store, values) = (&store, &shared.values);
                let put_all =
                    |keys: &Keys| keys.iter().for_each(|key| store.kv().put(key, values.of(key)).expect("a put"));
                timed(|| thread::scope(|scope| keys.iter().for_each(|keys| drop(scope.spawn(|| put_all(keys))))))
            })
        });
    });
    group.finish();
}

/// Relaxed commits of several threads at once, beside as many that write to one file, one after the other.
fn relaxed_threads(criterion: &mut Criterion, shared: &Shared) {
    for threads in [2, 8] {
        let name = format!("put_relaxed_{threads}_threads");
        let mut group = criterion.benchmark_group(&name);
        group.throughput(Throughput::Elements(length(threads)));
        let timed_by_all = |keys: &[Keys], put: &(dyn Fn(&[u8], &[u8]) + Sync)| {
            let values = &shared.values;
            let put_all = |keys: &Keys| keys.iter().for_each(|key| put(key, values.of(key)));
            timed(|| thread::scope(|scope| keys.iter().for_each(|keys| drop(scope.spawn(|| put_all(keys))))))
        };
        let keys_of_all = |iterations| (0..threads).map(|_| shared.new_keys(index(iterations))).collect::<Vec<Keys>>();
        for (name, durability) in [("foldb", Durability::relaxed()), ("foldb buffered", Durability::buffered())] {
            let growing = Growing::new("put_relaxed_threads", durability);
            group.bench_function(name, |bencher| {
                bencher.iter_custom(|iterations| {
                    let keys = keys_of_all(iterations);
                    growing.with_room_for(threads * index(iterations), |store| {
                        timed_by_all(&keys, &|key, value| store.kv().put(key, value).expect("a put"))
                    })
                });
            });
        }
        let file =
            Mutex::new((File::create(fresh_directory("floor-written").join("log")).expect("a file"), Vec::new()));
        group.bench_function("floor/write", |bencher| {
            bencher.iter_custom(|iterations| {
                let put = |key: &[u8], value: &[u8]| {
                    let mut file = file.lock().expect("no thread panics");
                    let (file, record) = &mut *file;
                    record.clear();
                    encode(key, value, record);
                    file.write_all(record).expect("a write");
                };
                timed_by_all(&keys_of_all(iterations), &put)
            });
        });
        group.finish();
    }
}

fn floor_map_put(group: &mut BenchmarkGroup<'_, WallTime>, shared: &Shared) {
    let mut map = BTreeMap::new();
    group.bench_function("floor/BTreeMap", |bencher| {
        bencher.iter_custom(|iterations| {
            let keys = shared.new_keys(index(iterations));
            if map.len() + keys.len() > key_count() {
                map.clear();
            }
            timed(|| keys.iter().for_each(|key| drop(map.insert(key.to_vec(), shared.values.of(key).to_vec()))))
        });
    });
}

/// What a log cannot do without: two lengths before key and value.
fn encode(key: &[u8], value: &[u8], record: &mut Vec<u8>) {
    record.extend_from_slice(&length(key.len()).to_le_bytes()[..4]);
    record.extend_from_slice(&length(value.len()).to_le_bytes()[..4]);
    record.extend_from_slice(key);
    record.extend_from_slice(value);
}

fn floor_written(group: &mut BenchmarkGroup<'_, WallTime>, shared: &Shared) {
    let file =
        LazyCell::new(|| RefCell::new(File::create(fresh_directory("floor-written").join("log")).expect("a file")));
    group.bench_function("floor/write", |bencher| {
        bencher.iter_custom(|iterations| {
            let (keys, mut record) = (shared.new_keys(index(iterations)), Vec::with_capacity(256));
            let mut file = file.borrow_mut();
            timed(|| {
                for key in keys.iter() {
                    record.clear();
                    encode(key, shared.values.of(key), &mut record);
                    file.write_all(&record).expect("a write");
                }
            })
        });
    });
}

/// Bytes of the file that is overwritten: written and synced once, so that no later write changes metadata.
const OVERWRITTEN_BYTES: u64 = 16 << 20;

fn floor_synced(group: &mut BenchmarkGroup<'_, WallTime>, shared: &Shared) {
    for (name, written) in [("floor/overwrite+fdatasync", OVERWRITTEN_BYTES), ("floor/append+fdatasync", 0)] {
        let file = LazyCell::new(|| {
            let path = fresh_directory("floor-synced").join("log");
            let file = OpenOptions::new().create(true).truncate(true).write(true).open(path).expect("a file");
            file.write_all_at(&vec![0; index(written)], 0).expect("zeros");
            file.sync_all().expect("a sync");
            file
        });
        let mut at = 0;
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|iterations| {
                let (keys, mut record) = (shared.new_keys(index(iterations)), Vec::with_capacity(256));
                timed(|| {
                    for key in keys.iter() {
                        record.clear();
                        encode(key, shared.values.of(key), &mut record);
                        if written > 0 && at + length(record.len()) > written {
                            at = 0;
                        }
                        file.write_all_at(&record, at).expect("a write");
                        file.sync_data().expect("a sync");
                        at += length(record.len());
                    }
                })
            });
        });
    }
}

fn transactions(criterion: &mut Criterion) {
    const PUTS: usize = 1000;
    let shared = Shared::new();
    let mut group = slow(criterion, "transaction_of_1000_puts_strict");
    group.throughput(Throughput::Elements(length(PUTS)));
    let store = LazyCell::new(|| {
        let store = open(&fresh_directory("transactions"), Durability::Strict);
        load(&store, &shared.keys, &shared.values);
        store
    });
    let batches = |iterations| (0..iterations).map(|_| shared.new_keys(PUTS)).collect::<Vec<_>>();
    group.bench_function("foldb", |bencher| {
        bencher.iter_custom(|iterations| {
            let batches = batches(iterations);
            let put = |keys: &Keys| store.kv().put_many(keys.iter().map(|key| (key, shared.values.of(key))));
            timed(|| batches.iter().for_each(|keys| put(keys).expect("a transaction")))
        });
    });
    let map = LazyCell::new(|| RefCell::new(shared.map()));
    group.bench_function("floor/BTreeMap", |bencher| {
        bencher.iter_custom(|iterations| {
            let (batches, mut map) = (batches(iterations), map.borrow_mut());
            let mut put = |key: &[u8]| drop(map.insert(key.to_vec(), shared.values.of(key).to_vec()));
            timed(|| batches.iter().for_each(|keys| keys.iter().for_each(&mut put)))
        });
    });
    group.finish();

    let sorted = shared.keys.sorted();
    let mut group = slow(criterion, "bulk_load_sorted_durable");
    group.throughput(Throughput::Elements(length(sorted.len())));
    group.bench_function("foldb", |bencher| {
        bencher.iter_custom(|iterations| {
            let load = |_| {
                let store = open(&fresh_directory("bulk"), Durability::Strict);
                let pairs = || sorted.iter().map(|key| (key, shared.values.of(key)));
                timed(|| store.kv().put_many(pairs()).expect("a bulk load"))
            };
            (0..iterations).map(load).sum()
        });
    });
    group.bench_function("floor/write+fdatasync", |bencher| {
        bencher.iter_custom(|iterations| {
            let write = |_| {
                let mut file = File::create(fresh_directory("bulk").join("log")).expect("a file");
                let mut bytes = Vec::with_capacity(2 << 20);
                timed(|| {
                    for key in sorted.iter() {
                        encode(key, shared.values.of(key), &mut bytes);
                        if bytes.len() > 1 << 20 {
                            file.write_all(&bytes).expect("a write");
                            bytes.clear();
                        }
                    }
                    file.write_all(&bytes).expect("a write");
                    file.sync_data().expect("a sync");
                })
            };
            (0..iterations).map(write).sum()
        });
    });
    group.finish();
}

fn events(criterion: &mut Criterion) {
    const BATCH: u64 = 1000;
    let values = Values::new(SEED);
    for payload_bytes in [64, 1024] {
        let mut group = slow(criterion, &format!("events_of_{payload_bytes}_bytes_by_1000"));
        group.throughput(Throughput::Elements(BATCH));
        let payloads: Vec<&[u8]> = (0..BATCH).map(|number| values.payload(number, payload_bytes)).collect();
        let store = LazyCell::new(|| open(&fresh_directory("events"), Durability::buffered()));
        let mut batch = EventBatch::new();
        group.bench_function("foldb", |bencher| {
            bencher.iter(|| {
                batch.clear();
                payloads.iter().for_each(|payload| batch.push("e", *payload).expect("an event"));
                store.events().append_encoded("bench", &batch).expect("a batch")
            });
        });
        let file =
            LazyCell::new(|| RefCell::new(File::create(fresh_directory("floor-events").join("log")).expect("a file")));
        let mut bytes = Vec::new();
        group.bench_function("floor/write", |bencher| {
            bencher.iter(|| {
                bytes.clear();
                payloads.iter().for_each(|payload| encode(b"", payload, &mut bytes));
                file.borrow_mut().write_all(&bytes).expect("a write");
            });
        });
        group.finish();
    }

    let mut group = criterion.benchmark_group("event_by_seq");
    let count = length(amount(1_000_000));
    let store = LazyCell::new(|| {
        let store = open(&fresh_directory("event-by-seq"), Durability::buffered());
        let mut batch = EventBatch::new();
        for first in (0..count).step_by(1000) {
            batch.clear();
            (first..first + 1000).for_each(|number| batch.push("e", values.payload(number, 64)).expect("an event"));
            store.events().append_encoded("bench", &batch).expect("a batch");
        }
        store.sync().expect("a sync");
        store
    });
    let mut random = workload::Random::new(SEED, 9);
    group.bench_function("foldb", |bencher| {
        bencher.iter(|| {
            let seq = 1 + length(random.below(index(count)));
            store.events().get_as::<Vec<u8>>("bench", seq).expect("a read").expect("the event is there")
        });
    });
    group.finish();
}

fn opening(criterion: &mut Criterion) {
    let shared = Shared::new();
    let mut group = slow(criterion, "open_clean_store_and_get");
    let key = shared.keys.get(shared.keys.len() / 2);
    group.bench_function("foldb", |bencher| {
        bencher.iter_custom(|iterations| {
            timed_openings(iterations, || {
                let store = open(&shared.base, Durability::buffered());
                assert!(store.kv().exists(key).expect("a read"), "lost a key");
                store
            })
        });
    });
    group.finish();

    let mut group = slow(criterion, "snapshot");
    group.throughput(Throughput::Elements(length(shared.keys.len())));
    let store = LazyCell::new(|| shared.open_base());
    group.bench_function("foldb/written", |bencher| {
        bencher.iter_custom(|iterations| {
            let mut written = Duration::ZERO;
            for number in 0..iterations {
                // A change, so that there is something to write a snapshot of.
                store.state().set("bench", number).expect("a write");
                written += timed(|| {
                    store.snapshot().expect("a snapshot");
                });
            }
            written
        });
    });
    let bytes: Vec<u8> = shared.keys.iter().flat_map(|key| [key, shared.values.of(key)].concat()).collect();
    group.bench_function("floor/write+fdatasync", |bencher| {
        bencher.iter_custom(|iterations| {
            let write = |_| {
                let mut file = File::create(fresh_directory("floor-snapshot").join("copy")).expect("a file");
                timed(|| {
                    file.write_all(&bytes).expect("a write");
                    file.sync_data().expect("a sync");
                })
            };
            (0..iterations).map(write).sum()
        });
    });
    drop(store);
    group.bench_function("foldb/opened-and-loaded-whole", |bencher| {
        bencher.iter_custom(|iterations| {
            timed_openings(iterations, || {
                let store = open(&shared.base, Durability::buffered());
                assert_eq!(scan(&store), shared.keys.len());
                store
            })
        });
    });
    group.finish();
}

/// A store whose whole history has to be folded at the next opening.
fn unsnapshotted(purpose: &str, fill: impl FnOnce(&Store)) -> PathBuf {
    let path = fresh_directory(purpose);
    let options = Options::new().durability(Durability::buffered()).snapshot_log_bytes(None).snapshot_on_close(false);
    let store = foldb::open_with(&path, options).expect("the store opens");
    fill(&store);
    store.close().expect("a clean close");
    path
}

fn recovery(criterion: &mut Criterion) {
    let values = Values::new(SEED);
    let open_again =
        |path: &Path| foldb::open_with(path, Options::new().snapshot_on_close(false)).expect("the store opens");

    let mut group = slow(criterion, "log_replay_of_single_puts");
    let keys = Keys::random(SEED, 3, key_count());
    group.throughput(Throughput::Elements(length(keys.len())));
    let path = LazyCell::new(|| {
        unsnapshotted("log-replay", |store| {
            keys.iter().for_each(|key| store.kv().put(key, values.of(key)).expect("a put"));
        })
    });
    group.bench_function("foldb", |bencher| {
        bencher.iter_custom(|iterations| timed_openings(iterations, || open_again(&path)));
    });
    group.finish();

    let mut group = slow(criterion, "recovery_of_1GiB_of_1KiB_records");
    let records = length(amount(1 << 20));
    group.throughput(Throughput::Bytes(records * 1024));
    let path = LazyCell::new(|| {
        unsnapshotted("recovery", |store| {
            for number in 0..records {
                store.events().append("bench", "e", values.payload(number, 1000)).expect("an event");
            }
        })
    });
    group.bench_function("foldb", |bencher| {
        bencher.iter_custom(|iterations| timed_openings(iterations, || open_again(&path)));
    });
    group.finish();
}

fn runs(criterion: &mut Criterion) {
    let values = Values::new(SEED);
    let store = LazyCell::new(|| open(&fresh_directory("runs"), Durability::buffered()));
    let begin = |name: &str| store.runs().begin(RunOptions::named(name)).expect("a run");

    let mut group = slow(criterion, "replay_of_a_run");
    for records in [1_000, 10_000] {
        let run = LazyCell::new(|| -> RunId {
            let run = begin("replayed");
            let keys = Keys::random(SEED, 4, amount(records).min(records));
            keys.iter().for_each(|key| run.kv().put(key, values.of(key)).expect("a put"));
            store.sync().expect("a sync");
            run.id()
        });
        group.throughput(Throughput::Elements(length(records)));
        group.bench_function(format!("foldb/{records}-records"), |bencher| {
            bencher.iter(|| store.replay(*run).expect("a replay"));
        });
    }
    group.finish();

    let mut group = criterion.benchmark_group("diff_of_two_runs_with_1000_keys");
    let pair = LazyCell::new(|| {
        let keys = Keys::random(SEED, 5, 1_000);
        let ids = [0, 1].map(|changed| {
            let run = begin("compared");
            run.kv().put_many(keys.iter().map(|key| (key, values.of(key)))).expect("a batch");
            // Ten keys differ, and both runs have written the others on their own.
            (0..10 * changed).for_each(|key| run.kv().put(keys.get(key * 97), "changed").expect("a put"));
            run.id()
        });
        store.sync().expect("a sync");
        ids
    });
    group.bench_function("foldb", |bencher| {
        let [older, newer] = *pair;
        assert_eq!(store.diff(older, newer).expect("a diff").len(), 10);
        bencher.iter(|| store.diff(older, newer).expect("a diff"));
    });
    group.finish();
}

/// Prints resident memory per key once: what the process has grown by, so allocator overhead is in it.
fn memory(_: &mut Criterion) {
    let mut filters = env::args().skip(1).filter(|argument| !argument.starts_with('-'));
    let is_wanted =
        filters.next().is_none_or(|first| "memory".contains(&first) || filters.any(|next| "memory".contains(&next)));
    if !is_wanted || env::args().any(|argument| argument == "--list") || !Path::new("/proc/self/statm").exists() {
        return;
    }
    let (keys, values) = (Keys::random(SEED, 1, key_count()), Values::new(SEED));
    let grown = |load: &mut dyn FnMut()| {
        let before = resident_bytes();
        load();
        (resident_bytes().saturating_sub(before)) / length(keys.len())
    };
    let mut store = None;
    let ours = grown(&mut || {
        let opened = open(&fresh_directory("memory"), Durability::buffered());
        load(&opened, &keys, &values);
        opened.sync().expect("a sync");
        store = Some(opened);
    });
    let mut map = BTreeMap::new();
    let floor = grown(&mut || keys.iter().for_each(|key| drop(map.insert(key.to_vec(), values.of(key).to_vec()))));
    println!("memory per key: foldb {ours} B, floor/BTreeMap {floor} B (resident set, {} keys)", keys.len());
    drop((store, map));
}

fn resident_bytes() -> u64 {
    let text = fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: u64 = text.split(' ').nth(1).and_then(|pages| pages.parse().ok()).unwrap_or(0);
    pages * 4096
}

// Memory first: later groups leave an allocator full of free blocks, which would hide what a store takes.
criterion_group!(store, memory, reads, puts, transactions, events, opening, recovery, runs);
criterion_main!(store);
