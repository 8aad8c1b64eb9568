//! Events, in batches.

use std::{
    cell::{LazyCell, RefCell},
    fs::File,
    io::Write as _,
};

use criterion::{Criterion, Throughput};
use foldb::{Durability, primitive::EventBatch};

use crate::{
    puts::encode,
    setting::{amount, fresh_directory, index, length, open, slow},
    workload::{SEED, Values},
};

pub(crate) fn events(criterion: &mut Criterion) {
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
    let mut random = crate::workload::Random::new(SEED, 9);
    group.bench_function("foldb", |bencher| {
        bencher.iter(|| {
            let seq = 1 + length(random.below(index(count)));
            store.events().get_as::<Vec<u8>>("bench", seq).expect("a read").expect("the event is there")
        });
    });
    group.finish();
}
