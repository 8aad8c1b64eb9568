//! Where benchmarks keep their stores.
//!
//! Invariant: what is measured begins with an empty directory, on the disk that `FOLDB_BENCH_DIR` names or that the target directory is
//! on, and nothing outside of a benchmark's own directory is removed.

use std::{env, fs, path::PathBuf};

/// An empty directory for one purpose of a benchmark.
pub(crate) fn fresh(benchmark: &str, purpose: &str) -> PathBuf {
    let root = env::var_os("FOLDB_BENCH_DIR").map_or_else(|| PathBuf::from(env!("CARGO_TARGET_TMPDIR")), PathBuf::from);
    let path = root.join(format!("{benchmark}-bench")).join(purpose);
    if path.exists() {
        fs::remove_dir_all(&path).expect("the benchmark's own directory can be removed");
    }
    fs::create_dir_all(&path).expect("the benchmark's directory can be created");
    path
}
