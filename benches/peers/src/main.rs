//! Measures foldb beside other embedded stores, and all of them beside the plain work for the same bytes.
//!
//! Invariant: nothing is ever measured alone. Every repetition of a row goes through all engines, in an order that
//! rotates, so that a machine which slows down slows down for everybody; and every figure stands beside its floor.
//!
//! `cargo run --release -- --help`, in this directory. `docs/performance.md` says how to read the result.

mod engines;
mod files;
mod harness;
mod memory;
mod report;
mod rows;
mod store;
#[path = "../../workload/mod.rs"]
mod workload;

#[cfg(test)]
mod tests;

use std::path::PathBuf;

use clap::Parser;

/// Measures foldb beside redb, fjall, LMDB, SQLite, sled and aedb, interleaved.
#[derive(Parser, Debug)]
struct Arguments {
    /// Keys in the store that reads, snapshots and large transactions work on.
    #[arg(long, default_value_t = 1_000_000)]
    keys: usize,
    /// Repetitions of every row; the median counts. Long rows are repeated at most five times.
    #[arg(long, default_value_t = 9)]
    repetitions: usize,
    /// Few repetitions of little work: shows that everything runs, measures nothing well.
    #[arg(long)]
    quick: bool,
    /// Only these rows, by their id.
    #[arg(long, value_delimiter = ',')]
    rows: Vec<String>,
    /// Only these engines and floors, by their name.
    #[arg(long, value_delimiter = ',')]
    engines: Vec<String>,
    /// Writes every figure of every repetition to this file.
    #[arg(long)]
    json: Option<PathBuf>,
    /// Where the stores live. It must be on a real disk: a file system in memory syncs for nothing.
    #[arg(long, default_value = "target/peers-data")]
    dir: PathBuf,
    /// Lists the ids of all rows and the settings of all engines, and measures nothing.
    #[arg(long)]
    list: bool,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    if arguments.list {
        rows::ALL.iter().for_each(|row| println!("{:<18} {}", row.id, row.title));
        println!();
        engines::all().iter().for_each(|peer| println!("{} {}: {}", peer.name, peer.version, peer.about));
        return Ok(());
    }
    let mut bench = harness::Bench::new(&arguments)?;
    println!("{}\n{}", report::machine(), bench.setup());
    rows::run(&mut bench)?;
    bench.report.print_summary(&rows::ALL, &bench.peers);
    if let Some(path) = &arguments.json {
        bench.report.write_json(path, bench.setup(), &rows::ALL, &bench.peers)?;
    }
    files::remove(&bench.directory)?;
    Ok(())
}
