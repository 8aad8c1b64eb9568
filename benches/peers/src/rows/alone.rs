//! The rows that only foldb has: no other engine keeps its history in a form that could be folded again.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use foldb::{Durability, Options, RunOptions, Store, primitive::EventBatch};

use super::{quantile, since};
use crate::{
    engines::FOLDB,
    files,
    harness::{Bench, guarded, stream},
    workload::{Keys, Random, SEED},
};

/// Repetitions of rows that take seconds each.
const LONG_REPETITIONS: usize = 5;

/// A row's name and how it is measured.
type Measure = (&'static str, fn(&mut Bench) -> anyhow::Result<()>);

pub fn alone(bench: &mut Bench) -> anyhow::Result<()> {
    if !bench.peers.iter().any(|peer| peer.name == FOLDB) {
        return Ok(());
    }
    let rows: [Measure; 5] = [
        ("event-get-p99", event_get),
        ("replay", replay),
        ("recovery", recovery),
        ("replay-run", replay_run),
        ("diff", diff),
    ];
    for (row, measure) in rows {
        if bench.wants(&[row]) {
            if let Err(error) = guarded(|| measure(bench)) {
                bench.excuse(&[row], FOLDB, &error);
            }
            bench.print(&[row]);
        }
    }
    Ok(())
}

/// No snapshot is ever written, so opening has to fold the whole log.
fn without_snapshots() -> Options {
    Options::new().durability(Durability::buffered()).snapshot_log_bytes(None).snapshot_on_close(false)
}

/// Fills a store, closes it, and times how long it takes to open again.
fn reopen(bench: &mut Bench, row: &'static str, fill: impl FnOnce(&Store) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let path: PathBuf = files::fresh(bench.directory.join(row))?;
    let store = foldb::open_with(&path, without_snapshots())?;
    fill(&store)?;
    store.close()?;
    files::quiet(&bench.directory)?;
    for _ in 0..bench.repetitions.min(LONG_REPETITIONS) {
        let started = Instant::now();
        let store = foldb::open_with(&path, without_snapshots())?;
        bench.report.sample(row, FOLDB, since(started) as f64);
        drop(store);
    }
    Ok(files::remove(&path)?)
}

fn replay(bench: &mut Bench) -> anyhow::Result<()> {
    let (keys, values) = (bench.keys.clone(), bench.values.clone());
    reopen(bench, "replay", |store| Ok(keys.iter().try_for_each(|key| store.kv().put(key, values.of(key)))?))
}

fn recovery(bench: &mut Bench) -> anyhow::Result<()> {
    let (records, values) = (bench.amount(1 << 20) as u64, bench.values.clone());
    reopen(bench, "recovery", |store| {
        for number in 0..records {
            store.events().append("bench", "e", values.payload(number, 1000))?;
        }
        Ok(())
    })
}

fn replay_run(bench: &mut Bench) -> anyhow::Result<()> {
    const RECORDS: usize = 10_000;
    let path = files::fresh(bench.directory.join("replay-run"))?;
    let store = foldb::open_with(&path, without_snapshots())?;
    let run = store.runs().begin(RunOptions::named("replayed"))?;
    for key in Keys::random(SEED, stream::PUTS, RECORDS).iter() {
        run.kv().put(key, bench.values.of(key))?;
    }
    store.sync()?;
    for _ in 0..bench.repetitions {
        let started = Instant::now();
        let replayed = store.replay(run.id())?;
        bench.report.sample("replay-run", FOLDB, since(started) as f64);
        anyhow::ensure!(replayed.transactions() >= RECORDS as u64, "folded {} records", replayed.transactions());
    }
    store.close()?;
    Ok(files::remove(&path)?)
}

/// Two runs that wrote the same keys on their own, ten of them with another value.
fn diff(bench: &mut Bench) -> anyhow::Result<()> {
    const KEYS: usize = 1000;
    let path = files::fresh(bench.directory.join("diff"))?;
    let store = foldb::open_with(&path, without_snapshots())?;
    let keys = Keys::random(SEED, stream::PUTS, KEYS);
    let [older, newer] = ["older", "newer"].map(|name| store.runs().begin(RunOptions::named(name)));
    let (older, newer) = (older?, newer?);
    for run in [&older, &newer] {
        run.kv().put_many(keys.iter().map(|key| (key, bench.values.of(key))))?;
    }
    (0..10).try_for_each(|key| newer.kv().put(keys.get(key * 97), "changed"))?;
    store.sync()?;
    for _ in 0..bench.repetitions {
        let mut samples = Vec::new();
        for _ in 0..100 {
            let started = Instant::now();
            let diff = store.diff(older.id(), newer.id())?;
            samples.push(since(started));
            anyhow::ensure!(diff.len() == 10, "finds {} changes", diff.len());
        }
        bench.report.sample("diff", FOLDB, quantile(&mut samples, 0.5));
    }
    store.close()?;
    Ok(files::remove(&path)?)
}

fn event_get(bench: &mut Bench) -> anyhow::Result<()> {
    const BATCH: u64 = 1000;
    let (count, reads) = (bench.amount(1_000_000) as u64 / BATCH * BATCH, bench.amount(100_000));
    let path = files::fresh(bench.directory.join("event-get"))?;
    let store = foldb::open_with(&path, without_snapshots())?;
    let mut batch = EventBatch::new();
    for first in (0..count).step_by(BATCH as usize) {
        batch.clear();
        for number in first..first + BATCH {
            batch.push("e", bench.values.payload(number, 64))?;
        }
        store.events().append_encoded("bench", &batch)?;
    }
    store.sync()?;
    std::thread::sleep(Duration::from_millis(50));
    for repetition in 0..bench.repetitions {
        let mut random = Random::new(SEED, stream::LOOKUPS + 5000 + repetition as u64);
        let mut samples = Vec::with_capacity(reads);
        let view = store.view();
        for _ in 0..reads {
            let seq = 1 + random.below(count as usize) as u64;
            let started = Instant::now();
            let event = view.events().get_as::<Vec<u8>>("bench", seq)?;
            samples.push(since(started));
            anyhow::ensure!(event.is_some_and(|event| event.payload.len() == 64), "lost an event");
        }
        bench.report.sample("event-get-p99", FOLDB, quantile(&mut samples, 0.99));
    }
    store.close()?;
    Ok(files::remove(&path)?)
}
