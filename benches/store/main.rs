//! Every row of the native table of targets that this release builds, each beside the plain work for the same bytes.
//!
//! `cargo bench --bench store` runs all of it, `cargo bench --bench store -- get` one group. The
//! stores live below the target directory, or where `FOLDB_BENCH_DIR` says: it must be a real disk. `FOLDB_BENCH_KEYS`
//! changes the million keys. Other engines are measured by the crate in `benches/peers`; `docs/performance.md` says how
//! to read both.
//!
//! Invariant: a group holds foldb and its floor, measured one after the other, so a figure is never read without what
//! the machine could do at that moment.

#![allow(missing_docs, reason = "criterion's macros write public items")]

use criterion::{criterion_group, criterion_main};

#[path = "../directory/mod.rs"]
mod directory;
mod events;
mod memory;
mod opening;
mod puts;
mod reads;
mod recovery;
mod runs;
mod setting;
mod transactions;
#[allow(dead_code, unreachable_pub, reason = "other programs use the same file, and other parts of it")]
#[path = "../workload/mod.rs"]
mod workload;

use self::{
    events::events, memory::memory, opening::opening, puts::puts, reads::reads, recovery::recovery, runs::runs,
    transactions::transactions,
};

// Memory first: later groups leave an allocator full of free blocks, which would hide what a store takes.
criterion_group!(store, memory, reads, puts, transactions, events, opening, recovery, runs);
criterion_main!(store);
