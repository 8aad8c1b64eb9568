//! `cargo xtask schedules` and `cargo xtask kills`: build the programs that decide who runs when, and that kill processes, and
//! run them.
//!
//! Invariant: this only builds and starts them. What is run and judged is the business of `foldb-testkit`, of
//! `core/src/db/models.rs`, and of `tests/process_kill.rs`.

use std::{ffi::OsString, path::Path};

use lexopt::{Arg, ValueExt};

use crate::{
    flagged,
    tools::{cargo, succeeds},
};

/// Builds the program, up to its own arguments.
const RUN: [&str; 8] = [
    "run",
    "--profile=proof",
    "--quiet",
    "--package=foldb-testkit",
    "--features=programs",
    "--bin",
    "foldb-schedules",
    "--",
];

/// How many schedules of each scenario every test run looks at.
const SHARE: &str = "--iterations=400";

const HELP: &str = "\
Runs small programs of several threads around one store under schedules that follow from a seed, and judges each; then every
schedule of the small protocols that work without a lock.

cargo xtask schedules --models    only the latter

What follows is for the former:
";

/// Explores schedules with these arguments. Returns whether nothing was wrong.
pub(crate) fn run(root: &Path, arguments: &[OsString]) -> bool {
    if arguments.iter().any(|argument| argument == "--models") {
        return models(root);
    }
    let asks_for_help = arguments.iter().any(|argument| argument == "--help");
    if asks_for_help {
        print!("{HELP}");
    }
    // Whoever asks for one scenario or for defects has no use for the models.
    stores(root, arguments) && (!arguments.is_empty() || models(root))
}

/// The share that every test run has.
pub(crate) fn share(root: &Path) -> Result<(), String> {
    let whole = stores(root, &[SHARE.into()]) && models(root);
    if whole { Ok(()) } else { Err(format!("cargo xtask schedules {SHARE}; cargo xtask schedules --models")) }
}

const KILLS_HELP: &str = "\
Kills processes while they commit, recover, write snapshots and close, and looks what is left of their stores.

cargo xtask kills --rounds N    so many for each durability (default 1000)
";

/// Kills processes that work on a store. Returns whether every promise was kept.
pub(crate) fn kills(root: &Path, arguments: &[OsString]) -> bool {
    let rounds = match rounds(arguments) {
        Ok(Some(rounds)) => rounds,
        Ok(None) => {
            print!("{KILLS_HELP}");
            return true;
        }
        Err(error) => {
            eprintln!("error: {error}\n\n{KILLS_HELP}");
            return false;
        }
    };
    let test = ["test", "--package=foldb", "--test=process_kill", "--", "--nocapture"];
    succeeds(cargo(root).args(test).env("FOLDB_KILL_ROUNDS", rounds.to_string()))
}

fn rounds(arguments: &[OsString]) -> Result<Option<u64>, lexopt::Error> {
    let mut parser = lexopt::Parser::from_args(arguments);
    let mut rounds = 1000;
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("rounds") => rounds = parser.value()?.parse()?,
            Arg::Long("help") | Arg::Short('h') => return Ok(None),
            other => return Err(other.unexpected()),
        }
    }
    Ok(Some(rounds))
}

/// Whole stores under the scheduler of shuttle, with these arguments.
fn stores(root: &Path, arguments: &[OsString]) -> bool {
    built_with(root, flagged::SHUTTLE, arguments)
}

/// Small protocols under that of loom.
fn models(root: &Path) -> bool {
    built_with(root, flagged::LOOM, &[])
}

fn built_with(root: &Path, flag: &str, arguments: &[OsString]) -> bool {
    let mut command = cargo(root);
    if let Err(error) = flagged::with_flag(root, &mut command, flag) {
        eprintln!("error: {error}");
        return false;
    }
    succeeds(command.args(RUN).args(arguments))
}
