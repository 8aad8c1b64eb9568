//! `cargo xtask crashes` and `cargo xtask mutants`: build the programs that enumerate crashes, optimized, and run them.
//!
//! Invariant: this only builds and starts them. What is enumerated and judged is the business of `foldb-testkit`.

use std::{ffi::OsString, path::Path, process::Command};

/// Builds and runs a program of the test kit, up to its name.
const RUN: [&str; 7] = ["run", "--release", "--quiet", "--package", "foldb-testkit", "--features=programs", "--bin"];

/// Enumerates crashes with these arguments. Returns whether every image was as promised.
pub(crate) fn run(root: &Path, arguments: &[OsString]) -> bool {
    succeeds(cargo(root).args(RUN).args(["foldb-crashes", "--"]).args(arguments))
}

/// Switches planted bugs on, one after another, with these arguments. Returns whether the enumeration notices each.
pub(crate) fn mutants(root: &Path, arguments: &[OsString]) -> bool {
    // A target directory of its own: the flag would rebuild everything else each time. And the quickest build that is
    // optimized: most defects are noticed within a second.
    let target = root.join("target").join("planted");
    let quick_build = [("LTO", "off"), ("CODEGEN_UNITS", "16"), ("DEBUG", "none")];
    succeeds(
        cargo(root)
            .args(RUN)
            .args(["foldb-mutants", "--"])
            .args(arguments)
            .env("RUSTFLAGS", "--cfg foldb_planted")
            .env("CARGO_TARGET_DIR", target)
            .envs(quick_build.map(|(name, value)| (format!("CARGO_PROFILE_RELEASE_{name}"), value))),
    )
}

fn cargo(root: &Path) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root);
    command
}

fn succeeds(command: &mut Command) -> bool {
    match command.status() {
        Ok(status) => status.success(),
        Err(error) => {
            eprintln!("error: cargo cannot be started: {error}");
            false
        }
    }
}
