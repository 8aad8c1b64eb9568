//! `cargo xtask miri`: runs what fits of the tests under Miri, the interpreter that notices undefined behaviour.
//!
//! Invariant: the selection is here and nowhere else; a test that takes too long under Miri is named with the reason.

use std::{ffi::OsString, path::Path, process::Command};

use lexopt::{Arg, ValueExt};

use crate::tools::{nightly, succeeds};

const HELP: &str = "\
cargo xtask miri [--target TRIPLE]...

Runs the unit tests of core that fit under Miri, on a nightly toolchain; toolchain and components are installed if they
are missing. It takes some minutes, so it is no step of cargo xtask test.

  --target TRIPLE   for this target instead of the machine's own, as in i686-unknown-linux-gnu (32 bits) or
                    s390x-unknown-linux-gnu (big-endian)
";

/// Modules of core whose tests Miri runs, as filters of test names.
const TESTS: &[&str] = &[
    "engine",
    "json::tests",
    "log::tests",
    "portable",
    "recovery::log::tests",
    "snapshot::tests",
    "state::tests",
    "storage",
    "tree::tests",
    "value::tests",
];

/// Tests that take minutes each at a hundredth of the speed, and show nothing that others do not.
const SKIPPED: &[&str] = &[];

/// Does what the arguments say. Returns whether all tests passed on every target.
pub(crate) fn run(root: &Path, arguments: &[OsString]) -> bool {
    let targets = match parse(arguments) {
        Ok(Some(targets)) => targets,
        Ok(None) => {
            print!("{HELP}");
            return true;
        }
        Err(error) => {
            eprintln!("error: {error}\n\n{HELP}");
            return false;
        }
    };
    if !nightly(root, &["miri", "rust-src"]) {
        return false;
    }
    if targets.is_empty() {
        return test(root, None);
    }
    targets.iter().all(|target| test(root, Some(target)))
}

fn parse(arguments: &[OsString]) -> Result<Option<Vec<String>>, lexopt::Error> {
    let mut targets = Vec::new();
    let mut parser = lexopt::Parser::from_args(arguments);
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("target") => targets.push(parser.value()?.string()?),
            Arg::Long("help") | Arg::Short('h') => return Ok(None),
            other => return Err(other.unexpected()),
        }
    }
    Ok(Some(targets))
}

fn test(root: &Path, target: Option<&str>) -> bool {
    println!("== {}", target.unwrap_or("this machine"));
    let mut process = Command::new("cargo");
    process.current_dir(root).args(["+nightly", "miri", "test", "--package", "foldb-core", "--lib"]);
    if let Some(target) = target {
        process.args(["--target", target]);
    }
    process.arg("--").args(TESTS);
    for test in SKIPPED {
        process.args(["--skip", test]);
    }
    // Property tests look for a file of failures, which isolation refuses, and a few cases are enough here.
    process.env("MIRIFLAGS", "-Zmiri-disable-isolation").env("PROPTEST_CASES", "4");
    succeeds(&mut process)
}
