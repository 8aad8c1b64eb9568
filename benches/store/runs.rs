//! Runs: beginning, ending, replay, differences.

use std::cell::LazyCell;

use criterion::{Criterion, Throughput};
use foldb::{Durability, RunId, RunOptions};

use crate::{
    setting::{amount, fresh_directory, length, open, slow},
    workload::{Keys, SEED, Values},
};

pub(crate) fn runs(criterion: &mut Criterion) {
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
