//! Tasks of this repository. `cargo xtask test` is all that continuous integration runs; `cargo xtask help` lists the rest.

mod coverage;
mod crashes;
mod flagged;
mod fuzz;
mod miri;
mod msrv;
mod npm;
mod package;
mod pages;
mod schedules;
mod sim;
mod steps;
mod tidy;
mod tools;
mod web;

use std::{
    ffi::{OsStr, OsString},
    path::{Path, PathBuf},
    process::ExitCode,
};

use lexopt::{Arg, ValueExt};

const HELP: &str = "\
Tasks of the foldb repository.

cargo xtask test [--only STEP]...   installs what is missing, then runs every check in order, or only these
cargo xtask test --list             the steps and their commands
cargo xtask crashes [--images N]    crashes small workloads everywhere and judges each image; --help says more
cargo xtask sim --seeds A..B        lives through random simulations on a machine that fails; --help says more
cargo xtask traces                  compares simulations natively and under WebAssembly
cargo xtask schedules [--iterations N]   decides which thread runs when, over and over, and judges; --help says more
cargo xtask kills [--rounds N]      kills processes that work on a store, and looks what is left; --help says more
cargo xtask web [PORT]              builds the npm package and serves the page of examples/web, at port 8080
cargo xtask mutants                 plants bugs in the store and looks whether the crashes show each; --help says more
cargo xtask npm                     builds the npm package into bindings/dist and prints the size of its parts
cargo xtask package                 builds every crate that is published from what it packs, as a registry does
cargo xtask fuzz [--minutes N]      fuzzes whatever reads bytes; --help says more
cargo xtask miri [--target TRIPLE]  runs tests of core under Miri; --help says more
cargo xtask coverage [--html]       what of log, snapshot, recovery and engine the tests reach; --help says more
cargo xtask bench-web [--rounds N]  measures the npm package in Chromium beside its peers; benches/web/README.md says more
cargo xtask tidy                    only the checks of the sources and documents themselves
";

/// What was asked for.
enum Task {
    Help,
    List,
    Test {
        only: Vec<String>,
    },
    Tidy,
    Crashes {
        arguments: Vec<OsString>,
    },
    Traces,
    Mutants {
        arguments: Vec<OsString>,
    },
    Npm,
    /// A task that reads its arguments itself.
    Own(fn(&Path, &[OsString]) -> bool, Vec<OsString>),
}

fn main() -> ExitCode {
    if let Some(code) = flagged::compile() {
        return code;
    }
    let root = repository();
    let done = match parse() {
        Ok(Task::Help) => {
            print!("{HELP}");
            true
        }
        Ok(Task::List) => steps::list(),
        Ok(Task::Test { only }) => steps::run(&root, &only),
        Ok(Task::Tidy) => report(&tidy::problems(&root)),
        Ok(Task::Npm) => done(npm::build(&root)),
        Ok(Task::Mutants { arguments }) => crashes::mutants(&root, &arguments),
        Ok(Task::Own(task, arguments)) => task(&root, &arguments),
        Ok(Task::Crashes { arguments }) => crashes::run(&root, &arguments),
        Ok(Task::Traces) => done(sim::traces(&root)),
        Err(error) => {
            eprintln!("error: {error}\n\n{HELP}");
            false
        }
    };
    if done { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The root of the repository, wherever the command was started.
fn repository() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().unwrap_or(package).into()
}

fn parse() -> Result<Task, lexopt::Error> {
    let mut parser = lexopt::Parser::from_env();
    let (mut name, mut list, mut only) = (None, false, Vec::new());
    while let Some(argument) = parser.next()? {
        match argument {
            // What follows is for the program that does it.
            Arg::Value(value) if name.is_none() && value == "crashes" => {
                return Ok(Task::Crashes { arguments: parser.raw_args()?.collect() });
            }
            Arg::Value(value) if name.is_none() && value == "mutants" => {
                return Ok(Task::Mutants { arguments: parser.raw_args()?.collect() });
            }
            Arg::Value(value) if name.is_none() => {
                if let Some(task) = own(&value) {
                    return Ok(Task::Own(task, parser.raw_args()?.collect()));
                }
                name = Some(value.string()?);
            }
            Arg::Long("list") => list = true,
            Arg::Long("only") => only.push(parser.value()?.string()?),
            Arg::Long("help") | Arg::Short('h') => return Ok(Task::Help),
            other => return Err(other.unexpected()),
        }
    }
    match name.as_deref() {
        Some("test") if list => Ok(Task::List),
        Some("test") => Ok(Task::Test { only }),
        Some("tidy") => Ok(Task::Tidy),
        Some("traces") => Ok(Task::Traces),
        Some("npm") => Ok(Task::Npm),
        None | Some("help") => Ok(Task::Help),
        Some(other) => Err(format!("there is no task {other}").into()),
    }
}

/// The task of this name, if it is one that reads its arguments itself.
fn own(name: &OsStr) -> Option<fn(&Path, &[OsString]) -> bool> {
    match name.to_str()? {
        "schedules" => Some(schedules::run),
        "kills" => Some(schedules::kills),
        "fuzz" => Some(fuzz::run),
        "sim" => Some(sim::simulate),
        "miri" => Some(miri::run),
        "coverage" => Some(coverage::run),
        "bench-web" => Some(web::bench),
        "web" => Some(pages::run),
        "package" => Some(package::run),
        _ => None,
    }
}

/// Says what failed, and returns whether nothing did.
pub(crate) fn done(outcome: Result<(), String>) -> bool {
    if let Err(what) = &outcome {
        eprintln!("failed: {what}");
    }
    outcome.is_ok()
}

/// Prints the problems and returns whether there are none.
fn report(problems: &[tidy::Problem]) -> bool {
    for problem in problems {
        eprintln!("{problem}");
    }
    problems.is_empty()
}
