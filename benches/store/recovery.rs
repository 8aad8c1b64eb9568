//! Opening a store whose history has to be folded.

use std::{cell::LazyCell, path::Path};

use criterion::{Criterion, Throughput};
use foldb::Options;

use crate::{
    opening::unsnapshotted,
    setting::{amount, key_count, length, slow, timed_openings},
    workload::{Keys, SEED, Values},
};

pub(crate) fn recovery(criterion: &mut Criterion) {
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
