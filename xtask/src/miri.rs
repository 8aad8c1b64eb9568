//! `cargo xtask miri`: runs what fits of the tests under Miri, the interpreter that notices undefined behaviour.
//!
//! Invariant: the selection is here and nowhere else; a test that takes too long under Miri is named with the reason.

use std::{ffi::OsString, path::Path, process::Command, time::Instant};

use lexopt::{Arg, ValueExt};

use crate::tools::{nightly, succeeds};

const HELP: &str = "\
cargo xtask miri [--target TRIPLE]... [--whole]

Runs the unit tests of core that fit under Miri, on a nightly toolchain; toolchain and components are installed if they
are missing. Without arguments that is the whole selection on this machine, and the tests of pinned bytes for a machine of
32 bits and for a big-endian one. It takes some minutes, so it is no step of cargo xtask test.

  --target TRIPLE   the tests of pinned bytes for this target alone; no linker for it is needed
  --whole           the whole selection on each target
";

/// Machines that nobody here has: what is pinned has to be the same there. Miri interprets, so that nothing is linked; what has
/// to be compiled by a C compiler on them is out, as BLAKE3 on i686.
const FOREIGN: [&str; 2] = ["armv7-unknown-linux-gnueabihf", "s390x-unknown-linux-gnu"];

/// The tests of pinned bytes, as filters of names.
const PINNED: &[&str] = &["db::tests::portable"];

/// Tests of core that Miri runs: whatever handles bytes at a low level. All of them together take a few minutes; those of state and
/// of forged stores take hours there.
const TESTS: &[&str] = &[
    "db::tests::portable",
    "log::tests::anchor",
    "log::tests::names",
    "log::tests::record",
    "log::tests::segment",
    "log::tests::varint",
    "storage::",
    "value::tests::convert",
    "value::tests::counter",
];

/// Tests of the same names that enumerate every crash and every cut.
const SKIPPED: &[&str] = &["recovery"];

/// What a run is asked for.
struct Settings {
    targets: Vec<String>,
    whole: bool,
}

/// Does what the arguments say. Returns whether all tests passed on every target.
pub(crate) fn run(root: &Path, arguments: &[OsString]) -> bool {
    let settings = match parse(arguments) {
        Ok(Some(settings)) => settings,
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
    let named = |tests| settings.targets.iter().map(|target| (Some(target.as_str()), tests)).collect::<Vec<_>>();
    let parts: Vec<(Option<&str>, &[&str])> = match (settings.targets.is_empty(), settings.whole) {
        (false, whole) => named(if whole { TESTS } else { PINNED }),
        (true, whole) => {
            let tests = if whole { TESTS } else { PINNED };
            let foreign = FOREIGN.iter().map(|target| (Some(*target), tests));
            [(None, TESTS)].into_iter().chain(foreign).collect()
        }
    };
    let outcomes: Vec<_> = parts
        .iter()
        .map(|(target, tests)| {
            let begin = Instant::now();
            (target.unwrap_or("this machine"), test(root, *target, tests), begin.elapsed())
        })
        .collect();
    println!("\n{:<36}{:>10}  result", "target", "seconds");
    for (target, passed, time) in &outcomes {
        println!("{target:<36}{:>10}  {}", time.as_secs(), if *passed { "passed" } else { "FAILED" });
    }
    outcomes.iter().all(|(_, passed, _)| *passed)
}

fn parse(arguments: &[OsString]) -> Result<Option<Settings>, lexopt::Error> {
    let mut settings = Settings { targets: Vec::new(), whole: false };
    let mut parser = lexopt::Parser::from_args(arguments);
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("target") => settings.targets.push(parser.value()?.string()?),
            Arg::Long("whole") => settings.whole = true,
            Arg::Long("help") | Arg::Short('h') => return Ok(None),
            other => return Err(other.unexpected()),
        }
    }
    Ok(Some(settings))
}

fn test(root: &Path, target: Option<&str>, tests: &[&str]) -> bool {
    println!("== {}", target.unwrap_or("this machine"));
    let mut process = Command::new("cargo");
    process.current_dir(root).args(["+nightly", "miri", "test", "--package", "foldb-core", "--lib"]);
    if let Some(target) = target {
        process.args(["--target", target]);
    }
    process.arg("--").args(tests);
    for test in SKIPPED {
        process.args(["--skip", test]);
    }
    // Property tests look for a file of failures, which isolation refuses, and a few cases are enough here.
    process.env("MIRIFLAGS", "-Zmiri-disable-isolation").env("PROPTEST_CASES", "4");
    succeeds(&mut process)
}
