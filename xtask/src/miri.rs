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

  --target TRIPLE   for this target instead of the machine's own, as in armv7-unknown-linux-gnueabihf (32 bits) or
                    s390x-unknown-linux-gnu (big-endian)
";

/// Tests of core that Miri runs, as filters of names: the pinned bytes first, then whatever handles bytes at a low level.
const TESTS: &[&str] = &[
    "db::tests::portable",
    "db::tests::forged",
    "log::tests::anchor",
    "log::tests::names",
    "log::tests::record",
    "log::tests::segment",
    "log::tests::varint",
    "state::tests",
    "storage",
    "value::tests::convert",
    "value::tests::counter",
];

/// Tests that would take hours at a hundredth of the speed: recovery enumerates every crash and every cut.
const SKIPPED: &[&str] = &["recovery"];

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
