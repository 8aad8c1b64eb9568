//! The rows that read, and the snapshot, on the large store.

use std::{
    hint::black_box,
    sync::Barrier,
    thread,
    time::{Duration, Instant},
};

use super::{quantile, since, time};
use crate::{
    files,
    harness::{Bench, stream},
    store::{Mode, Store},
    workload::{Keys, SEED, VALUE_BYTES},
};

const ROWS: [&str; 6] = ["get", "get-2", "get-scaling", "range", "scan", "snapshot"];

pub fn reads(bench: &mut Bench) -> anyhow::Result<()> {
    if !bench.wants(&ROWS) {
        return Ok(());
    }
    let mut entrants = bench.open_base(&ROWS, Mode::Buffered)?;
    // Engines with threads of their own come to rest.
    thread::sleep(Duration::from_millis(if bench.quick { 50 } else { 1000 }));
    let keys = bench.keys.clone();
    let (repetitions, long) = (bench.repetitions, bench.repetitions.min(5));

    if bench.wants(&["get"]) {
        let count = bench.amount(100_000);
        let mut round = entrants_of(bench, &mut entrants, "get");
        bench.interleave(&["get"], repetitions, &mut round, |report, entrant, repetition| {
            let lookups = keys.lookups(SEED, stream::LOOKUPS + repetition as u64, count);
            report.sample("get", entrant.name, get_p50(entrant.store.as_ref(), &lookups)?);
            Ok(())
        });
        entrants.extend(round);
        bench.print(&["get"]);
    }
    if bench.wants(&["get-2", "get-scaling"]) {
        let count = bench.amount(200_000);
        let mut round = entrants_of(bench, &mut entrants, "get-2");
        bench.interleave(&["get-2", "get-scaling"], repetitions, &mut round, |report, entrant, repetition| {
            let lookups = |thread| keys.lookups(SEED, stream::LOOKUPS + 1000 + 2 * repetition as u64 + thread, count);
            let lookups = [lookups(0), lookups(1)];
            // Untimed: the engine before this one has left the caches full of its own pages.
            get_throughput(entrant.store.as_ref(), &lookups[..1])?;
            let one = get_throughput(entrant.store.as_ref(), &lookups[..1])?;
            let two = get_throughput(entrant.store.as_ref(), &lookups)?;
            report.sample("get-2", entrant.name, two);
            report.sample("get-scaling", entrant.name, two / one);
            Ok(())
        });
        entrants.extend(round);
        bench.print(&["get-2", "get-scaling"]);
    }
    if bench.wants(&["range"]) {
        let count = bench.amount(5_000);
        let mut round = entrants_of(bench, &mut entrants, "range");
        bench.interleave(&["range"], repetitions, &mut round, |report, entrant, repetition| {
            let starts = keys.lookups(SEED, stream::LOOKUPS + 2000 + repetition as u64, count);
            report.sample("range", entrant.name, range_p50(entrant.store.as_ref(), &starts)?);
            Ok(())
        });
        entrants.extend(round);
        bench.print(&["range"]);
    }
    if bench.wants(&["scan"]) {
        let mut round = entrants_of(bench, &mut entrants, "scan");
        bench.interleave(&["scan"], repetitions, &mut round, |report, entrant, _| {
            report.sample("scan", entrant.name, scan(entrant.store.as_ref(), keys.len())?);
            Ok(())
        });
        entrants.extend(round);
        bench.print(&["scan"]);
    }
    if bench.wants(&["snapshot"]) {
        let directory = bench.directory.clone();
        let mut round = entrants_of(bench, &mut entrants, "snapshot");
        bench.interleave(&["snapshot"], long, &mut round, |report, entrant, _| {
            let copy = files::fresh(directory.join("copy"))?;
            let (elapsed, ()) = time(|| entrant.store.snapshot(&copy))?;
            report.sample("snapshot", entrant.name, elapsed);
            files::remove(&copy)?;
            Ok(files::quiet(&directory)?)
        });
        entrants.extend(round);
        bench.print(&["snapshot"]);
    }
    for entrant in entrants {
        entrant.store.close()?;
    }
    Ok(())
}

/// Takes those entrants out of the list that have a part in this row.
fn entrants_of(bench: &Bench, all: &mut Vec<crate::harness::Entrant>, row: &str) -> Vec<crate::harness::Entrant> {
    let participants = bench.participants(&[row]);
    let (round, rest) = all.drain(..).partition(|entrant| participants.contains(&entrant.peer));
    *all = rest;
    round
}

/// Every read is timed by itself, so the cost of reading the clock twice is in it: the same for everybody.
fn get_p50(store: &dyn Store, lookups: &Keys) -> anyhow::Result<f64> {
    let mut samples = Vec::with_capacity(lookups.len());
    let mut value = Vec::with_capacity(VALUE_BYTES);
    store.with_reader(&mut |reader| {
        for key in lookups.iter() {
            let started = Instant::now();
            let found = reader.get(key, &mut value)?;
            samples.push(since(started));
            anyhow::ensure!(found && value.len() == VALUE_BYTES, "lost a key");
        }
        Ok(())
    })?;
    Ok(quantile(&mut samples, 0.5))
}

/// Reads per second of as many threads as there are lists.
fn get_throughput(store: &dyn Store, lookups: &[Keys]) -> anyhow::Result<f64> {
    let barrier = Barrier::new(lookups.len());
    let get_all = |keys: &Keys| -> anyhow::Result<f64> {
        let mut value = Vec::with_capacity(VALUE_BYTES);
        let mut elapsed = 0.0;
        store.with_reader(&mut |reader| {
            barrier.wait();
            let started = Instant::now();
            for key in keys.iter() {
                anyhow::ensure!(reader.get(key, &mut value)?, "lost a key");
                black_box(&value);
            }
            elapsed = since(started) as f64;
            Ok(())
        })?;
        Ok(keys.len() as f64 / elapsed * 1e9)
    };
    thread::scope(|scope| {
        let threads: Vec<_> = lookups.iter().map(|keys| scope.spawn(|| get_all(keys))).collect();
        threads.into_iter().map(|thread| thread.join().expect("a panic of the engine")).sum()
    })
}

fn range_p50(store: &dyn Store, starts: &Keys) -> anyhow::Result<f64> {
    let mut samples = Vec::with_capacity(starts.len());
    store.with_reader(&mut |reader| {
        for key in starts.iter() {
            let mut sum = 0;
            let started = Instant::now();
            reader.range(key, 100, &mut |key, value| sum += touch(key, value))?;
            samples.push(since(started));
            black_box(sum);
        }
        Ok(())
    })?;
    Ok(quantile(&mut samples, 0.5))
}

fn scan(store: &dyn Store, expected: usize) -> anyhow::Result<f64> {
    let (mut sum, mut count, mut elapsed) = (0, 0, 0.0);
    store.with_reader(&mut |reader| {
        let started = Instant::now();
        count = reader.range(b"", usize::MAX, &mut |key, value| sum += touch(key, value))?;
        elapsed = since(started) as f64;
        Ok(())
    })?;
    black_box(sum);
    anyhow::ensure!(count == expected, "holds {count} keys instead of {expected}");
    Ok(elapsed)
}

/// A little of the key and of the value, so that nobody gets away with lengths.
fn touch(key: &[u8], value: &[u8]) -> u64 {
    u64::from(key.last().copied().unwrap_or(0)) + u64::from(value.first().copied().unwrap_or(0)) + value.len() as u64
}
