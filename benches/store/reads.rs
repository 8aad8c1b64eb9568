//! Reading: single keys, ranges, everything.

use std::{
    cell::LazyCell,
    ops::{Bound, ControlFlow},
};

use criterion::{Criterion, Throughput};
use foldb::{Direction, KeyRange, value::ValueRef};

use crate::{
    setting::{Shared, amount, length, scan, slow, touch},
    workload::SEED,
};

pub(crate) fn reads(criterion: &mut Criterion) {
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
