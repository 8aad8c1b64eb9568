//! Transactions of many writes.

use std::{
    cell::{LazyCell, RefCell},
    fs::File,
    io::Write as _,
};

use criterion::{Criterion, Throughput};
use foldb::Durability;

use crate::{
    puts::encode,
    setting::{Shared, fresh_directory, length, load, open, slow, timed},
    workload::Keys,
};

pub(crate) fn transactions(criterion: &mut Criterion) {
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
