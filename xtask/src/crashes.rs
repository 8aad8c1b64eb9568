//! `cargo xtask crashes`: builds the program that enumerates crashes, optimized, and runs it.
//!
//! Invariant: this only builds and starts it. What is enumerated and judged is the business of `foldb-testkit`.

use std::{ffi::OsString, path::Path, process::Command};

/// Of the program, up to its own arguments.
const COMMAND: [&str; 8] =
    ["run", "--release", "--quiet", "--package", "foldb-testkit", "--features=programs", "--bin=foldb-crashes", "--"];

/// Runs the program with these arguments. Returns whether every image was as promised.
pub(crate) fn run(root: &Path, arguments: &[OsString]) -> bool {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo).args(COMMAND).args(arguments).current_dir(root).status();
    match status {
        Ok(status) => status.success(),
        Err(error) => {
            eprintln!("error: cargo cannot be started: {error}");
            false
        }
    }
}
