//! `cargo xtask crashes` and `cargo xtask mutants`: build the programs that enumerate crashes, optimized, and run them.
//!
//! Invariant: this only builds and starts them, the second with the planted bugs compiled in. What is enumerated and judged is the business of `foldb-testkit`.

use std::{ffi::OsString, path::Path};

use crate::{
    flagged,
    tools::{cargo, succeeds},
};

/// Builds and runs a program of the test kit, up to its name.
const RUN: [&str; 7] = ["run", "--release", "--quiet", "--package", "foldb-testkit", "--features=programs", "--bin"];

/// Enumerates crashes with these arguments. Returns whether every image was as promised.
pub(crate) fn run(root: &Path, arguments: &[OsString]) -> bool {
    succeeds(cargo(root).args(RUN).args(["foldb-crashes", "--"]).args(arguments))
}

/// Switches planted bugs on, one after another, with these arguments. Returns whether the suite notices each.
pub(crate) fn mutants(root: &Path, arguments: &[OsString]) -> bool {
    let mut run = cargo(root);
    run.args(["run", "--profile", "proof", "--quiet", "--package", "foldb-testkit", "--features=programs"]);
    if let Err(error) = flagged::with_flag(root, &mut run, flagged::PLANTED) {
        eprintln!("error: {error}");
        return false;
    }
    succeeds(run.args(["--bin", "foldb-mutants", "--"]).args(arguments))
}

/// The step of `cargo xtask test`.
pub(crate) fn mutants_step(root: &Path) -> Result<(), String> {
    println!("$ cargo xtask mutants");
    if mutants(root, &[]) { Ok(()) } else { Err("cargo xtask mutants".into()) }
}
