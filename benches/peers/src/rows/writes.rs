//! The rows that write.

use std::{thread, time::Instant};

use super::{quantile, since, time};
use crate::{
    files,
    harness::{Bench, stream},
    report::Report,
    store::{Mode, Store},
    workload::{Keys, SEED},
};

/// Repetitions of rows that take seconds each.
const LONG_REPETITIONS: usize = 5;

/// Single puts into a store that starts empty and grows, in memory and buffered.
pub fn puts(bench: &mut Bench) -> anyhow::Result<()> {
    single(bench, ["put-memory", "put-memory-p99"], Mode::Memory, bench.amount(50_000), stream::PUTS)?;
    single(bench, ["put-buffered", "put-buffered-p99"], Mode::Buffered, bench.amount(50_000), stream::PUTS)
}

/// Single puts, each of them synced.
pub fn strict(bench: &mut Bench) -> anyhow::Result<()> {
    single(bench, ["put-strict", "put-strict-p99"], Mode::Strict, bench.amount(1000), stream::STRICT)?;
    strict_threads(bench)
}

fn single(bench: &mut Bench, rows: [&'static str; 2], mode: Mode, count: usize, stream: u64) -> anyhow::Result<()> {
    if !bench.wants(&rows) {
        return Ok(());
    }
    let mut entrants = bench.open_fresh(&rows, rows[0], mode);
    let (values, directory) = (bench.values.clone(), bench.directory.clone());
    bench.interleave(&rows, bench.repetitions, &mut entrants, |report, entrant, repetition| {
        let keys = Keys::random(SEED, stream + repetition as u64, count);
        let mut samples = Vec::with_capacity(keys.len());
        for key in keys.iter() {
            let started = Instant::now();
            entrant.store.put(key, values.of(key))?;
            samples.push(since(started));
        }
        report.sample(rows[0], entrant.name, quantile(&mut samples, 0.5));
        report.sample(rows[1], entrant.name, quantile(&mut samples, 0.99));
        Ok(files::quiet(&directory)?)
    });
    bench.discard(entrants, rows[0])?;
    bench.print(&rows);
    Ok(())
}

fn strict_threads(bench: &mut Bench) -> anyhow::Result<()> {
    const ROWS: [&str; 1] = ["put-strict-16"];
    const THREADS: u64 = 16;
    if !bench.wants(&ROWS) {
        return Ok(());
    }
    let mut entrants = bench.open_fresh(&ROWS, ROWS[0], Mode::Strict);
    let (values, count) = (bench.values.clone(), bench.amount(400));
    bench.interleave(&ROWS, bench.repetitions, &mut entrants, |report, entrant, repetition| {
        let keys = |thread| Keys::random(SEED, stream::THREADS + repetition as u64 * THREADS + thread, count);
        let keys: Vec<Keys> = (0..THREADS).map(keys).collect();
        let put_all = |keys: &Keys| keys.iter().try_for_each(|key| entrant.store.put(key, values.of(key)));
        let (elapsed, ()) = time(|| {
            thread::scope(|scope| {
                let threads: Vec<_> = keys.iter().map(|keys| scope.spawn(|| put_all(keys))).collect();
                threads.into_iter().try_for_each(|thread| thread.join().expect("a panic of the engine"))
            })
        })?;
        report.sample(ROWS[0], entrant.name, (THREADS as usize * count) as f64 / elapsed * 1e9);
        Ok(())
    });
    bench.discard(entrants, ROWS[0])?;
    bench.print(&ROWS);
    Ok(())
}

/// 1000 random new keys in one durable transaction, on top of the large store.
pub fn batches(bench: &mut Bench) -> anyhow::Result<()> {
    const ROWS: [&str; 1] = ["batch"];
    const PUTS: usize = 1000;
    if !bench.wants(&ROWS) {
        return Ok(());
    }
    let mut entrants = bench.open_base(&ROWS, Mode::Strict)?;
    let (values, per_repetition) = (bench.values.clone(), bench.amount(60).min(10));
    bench.interleave(&ROWS, bench.repetitions, &mut entrants, |report, entrant, repetition| {
        let mut samples = Vec::with_capacity(per_repetition);
        for batch in 0..per_repetition {
            let number = (repetition * per_repetition + batch) as u64;
            let keys = Keys::random(SEED, stream::BATCHES + number, PUTS);
            let started = Instant::now();
            entrant.store.put_many(&keys, &values)?;
            samples.push(since(started));
        }
        report.sample(ROWS[0], entrant.name, quantile(&mut samples, 0.5));
        Ok(())
    });
    bench.discard(entrants, "base")?;
    bench.print(&ROWS);
    Ok(())
}

/// All keys, ascending, into an empty store.
pub fn bulk(bench: &mut Bench) -> anyhow::Result<()> {
    const ROWS: [&str; 1] = ["bulk"];
    if !bench.wants(&ROWS) {
        return Ok(());
    }
    let (sorted, values, directory) = (bench.keys.sorted(), bench.values.clone(), bench.directory.clone());
    for repetition in 0..bench.repetitions.min(LONG_REPETITIONS) {
        // A fresh store for every repetition, so the entrants are opened anew; the order still rotates.
        let mut entrants = bench.open_fresh(&ROWS, ROWS[0], Mode::Strict);
        let turns = entrants.len().max(1);
        entrants.rotate_left(repetition % turns);
        bench.interleave(&ROWS, 1, &mut entrants, |report, entrant, _| {
            let (elapsed, ()) = time(|| entrant.store.bulk_load(&sorted, &values))?;
            report.sample(ROWS[0], entrant.name, elapsed);
            check_count(entrant.store.as_ref(), sorted.len())?;
            Ok(files::quiet(&directory)?)
        });
        bench.discard(entrants, ROWS[0])?;
    }
    bench.print(&ROWS);
    Ok(())
}

fn check_count(store: &dyn Store, expected: usize) -> anyhow::Result<()> {
    store.with_reader(&mut |reader| {
        let count = reader.range(b"", usize::MAX, &mut |_, _| ())?;
        anyhow::ensure!(count == expected, "holds {count} keys instead of {expected}");
        Ok(())
    })
}

/// Events in batches of 1000, buffered.
pub fn events(bench: &mut Bench) -> anyhow::Result<()> {
    append(bench, ["events-64"], 64, bench.amount(1000))?;
    append(bench, ["events-1024"], 1024, bench.amount(100))
}

fn append(bench: &mut Bench, rows: [&'static str; 1], payload_bytes: usize, batches: usize) -> anyhow::Result<()> {
    const BATCH: u64 = 1000;
    if !bench.wants(&rows) {
        return Ok(());
    }
    let mut entrants = bench.open_fresh(&rows, rows[0], Mode::Buffered);
    let (values, directory) = (bench.values.clone(), bench.directory.clone());
    let repetitions = bench.repetitions.min(LONG_REPETITIONS);
    bench.interleave(&rows, repetitions, &mut entrants, |report: &mut Report, entrant, repetition| {
        let mut nanoseconds = 0;
        for batch in 0..batches as u64 {
            let first = 1 + (repetition as u64 * batches as u64 + batch) * BATCH;
            let payloads: Vec<&[u8]> = (first..first + BATCH).map(|at| values.payload(at, payload_bytes)).collect();
            let started = Instant::now();
            entrant.store.append_events(first, &payloads)?;
            nanoseconds += since(started);
        }
        report.sample(rows[0], entrant.name, (batches as u64 * BATCH) as f64 / nanoseconds as f64 * 1e9);
        Ok(files::quiet(&directory)?)
    });
    bench.discard(entrants, rows[0])?;
    bench.print(&rows);
    Ok(())
}
