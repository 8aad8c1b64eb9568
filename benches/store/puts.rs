//! Single writes in each durability, beside plain writes and syncs of the same bytes.

use std::{
    cell::{LazyCell, RefCell},
    collections::BTreeMap,
    fs::{File, OpenOptions},
    io::Write as _,
    os::unix::fs::FileExt,
    sync::Mutex,
    thread,
    time::Duration,
};

use criterion::{BenchmarkGroup, Criterion, Throughput, measurement::WallTime};
use foldb::{Durability, Store};

use crate::{
    setting::{Shared, THREADS, fresh_directory, index, key_count, length, open, slow, timed},
    workload::Keys,
};

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

pub(crate) fn puts(criterion: &mut Criterion) {
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
pub(crate) fn encode(key: &[u8], value: &[u8], record: &mut Vec<u8>) {
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
