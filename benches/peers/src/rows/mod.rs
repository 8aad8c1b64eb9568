//! The rows of the table, in the order in which they run: memory first, while nothing else is alive; reads late, on
//! stores that have been written, closed and opened again.

#[cfg(feature = "foldb")]
mod alone;
mod opening;
mod reads;
mod sizes;
mod writes;

use std::time::Instant;

use crate::{
    engines::floors::{APPEND, MAP, OVERWRITE, WRITE},
    harness::Bench,
    report::{Row, Unit},
};

/// Every row.
pub static ALL: [Row; 27] = [
    row("get", "get, random, 1 thread, p50", Unit::Nanoseconds, Some(MAP)),
    row("get-2", "get, random, 2 threads", Unit::PerSecond, Some(MAP)),
    row("get-scaling", "get, 2 threads to 1 thread", Unit::Factor, Some(MAP)),
    row("range", "range of 100 keys, p50", Unit::Nanoseconds, Some(MAP)),
    row("scan", "full scan", Unit::Nanoseconds, Some(MAP)),
    row("put-memory", "put, own transaction, InMemory, p50", Unit::Nanoseconds, Some(MAP)),
    row("put-memory-p99", "put, own transaction, InMemory, p99", Unit::Nanoseconds, Some(MAP)),
    row("put-buffered", "put, own transaction, Buffered, p50", Unit::Nanoseconds, Some(WRITE)),
    row("put-buffered-p99", "put, own transaction, Buffered, p99", Unit::Nanoseconds, Some(WRITE)),
    row("put-strict", "put, own transaction, Strict, 1 thread, p50", Unit::Nanoseconds, Some(OVERWRITE)),
    row("put-strict-p99", "put, own transaction, Strict, 1 thread, p99", Unit::Nanoseconds, Some(OVERWRITE)),
    row("put-strict-16", "put, own transaction, Strict, 16 threads", Unit::PerSecond, Some(APPEND)),
    row("batch", "1000 random puts in one Strict transaction", Unit::Nanoseconds, Some(MAP)),
    row("bulk", "bulk load, sorted, durable", Unit::Nanoseconds, Some(WRITE)),
    row("events-64", "events of 64 B, batches of 1000, Buffered", Unit::PerSecond, Some(WRITE)),
    row("events-1024", "events of 1 KiB, batches of 1000, Buffered", Unit::PerSecond, Some(WRITE)),
    row("open", "open a clean store and get, warm", Unit::Nanoseconds, None),
    row("open-cold", "open a clean store and get, cold", Unit::Nanoseconds, None),
    row("load", "open and read everything, warm", Unit::Nanoseconds, Some(WRITE)),
    row("snapshot", "snapshot or copy, durable", Unit::Nanoseconds, Some(WRITE)),
    row("memory", "memory per key, all resident", Unit::Bytes, Some(MAP)),
    row("disk", "disk per key, closed", Unit::Bytes, None),
    row("event-get-p99", "event read by seq, p99", Unit::Nanoseconds, None),
    row("replay", "log replay of single-put transactions", Unit::Nanoseconds, None),
    row("recovery", "recovery of a 1 GiB log of 1 KiB records", Unit::Nanoseconds, None),
    row("replay-run", "replay of a run of 10,000 records", Unit::Nanoseconds, None),
    row("diff", "diff of two runs with 1000 keys", Unit::Nanoseconds, None),
];

const fn row(id: &'static str, title: &'static str, unit: Unit, floor: Option<&'static str>) -> Row {
    Row { id, title, unit, floor }
}

/// Runs every wanted row.
pub fn run(bench: &mut Bench) -> anyhow::Result<()> {
    sizes::memory(bench)?;
    writes::bulk(bench)?;
    writes::puts(bench)?;
    writes::strict(bench)?;
    writes::events(bench)?;
    opening::disk(bench)?;
    opening::open(bench)?;
    opening::load(bench)?;
    reads::reads(bench)?;
    writes::batches(bench)?;
    #[cfg(feature = "foldb")]
    alone::alone(bench)?;
    Ok(())
}

/// The time of `work`, in nanoseconds.
fn time<T>(work: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<(f64, T)> {
    let started = Instant::now();
    let result = work()?;
    Ok((started.elapsed().as_nanos() as f64, result))
}

/// The value below which `part` of the samples lie.
fn quantile(samples: &mut [u64], part: f64) -> f64 {
    let place = ((samples.len() - 1) as f64 * part).round() as usize;
    *samples.select_nth_unstable(place).1 as f64
}

/// Nanoseconds since `started`, as a sample.
fn since(started: Instant) -> u64 {
    u64::try_from(started.elapsed().as_nanos()).unwrap_or(u64::MAX)
}
