//! The steps of `cargo xtask test`: what is run, in which order, what it shows, and how long it usually takes.
//!
//! Invariants:
//! - A step is a plain command that a person can copy from the output and run; `cargo xtask test --only STEP` does the same.
//! - The order goes from cheap to dear, so that a missing semicolon is not found after ten minutes of tests.
//! - A step that fails keeps back only those that need it: one failure that has to do with the machine hides no other.

use std::{
    fmt,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use crate::{
    crashes, msrv, npm, package, report, schedules, sim, tidy,
    tools::{self, succeeds},
    web,
};

/// The targets that core is built for: one that has no std at all, the browser, and the one that Node runs by itself.
const TARGETS: [&str; 3] = ["wasm32v1-none", "wasm32-unknown-unknown", sim::TARGET];
/// The components of the toolchain that the steps use.
const COMPONENTS: [(&str, &str); 2] = [("rustfmt", "fmt --version"), ("clippy", "clippy --version")];

struct Step {
    name: &'static str,
    why: &'static str,
    /// How long it takes on two cores where nothing is built yet.
    seconds: u64,
    /// Another step without which this one cannot be done.
    needs: Option<&'static str>,
    work: Work,
}

enum Work {
    /// The checks of [`tidy`], in this process.
    Tidy,
    /// A command of cargo.
    Cargo(&'static str),
    /// Work of another function, which prints its own commands. It says which of them failed.
    Call(fn(&Path) -> Result<(), String>),
}

/// All steps, in order.
const STEPS: &[Step] = &[
    Step {
        name: "install",
        why: "the wasm targets and components that are missing, by rustup",
        seconds: 20,
        needs: None,
        work: Work::Call(install),
    },
    Step {
        name: "format",
        why: "the sources are formatted",
        seconds: 1,
        needs: Some("install"),
        work: Work::Cargo("fmt --all --check"),
    },
    Step {
        name: "tidy",
        why: "sources and documents keep the rules of CONTRIBUTING.md",
        seconds: 1,
        needs: None,
        work: Work::Tidy,
    },
    Step {
        name: "lint",
        why: "no warnings, in benches and examples neither",
        seconds: 55,
        needs: Some("install"),
        work: Work::Cargo("clippy --workspace --all-targets -- -D warnings"),
    },
    Step {
        name: "docs",
        why: "the documentation builds without warnings",
        seconds: 10,
        needs: None,
        work: Work::Call(docs),
    },
    Step {
        name: "no-std",
        why: "core compiles, without warnings, for a target that has no std at all",
        seconds: 18,
        needs: Some("install"),
        work: Work::Cargo("clippy -p foldb-core --no-default-features --target wasm32v1-none -- -D warnings"),
    },
    Step {
        name: "msrv",
        why: "what programs add compiles with the oldest Rust that the manifests promise",
        seconds: 60,
        needs: None,
        work: Work::Call(msrv::check),
    },
    Step {
        name: "package",
        why: "every crate that is published compiles from the files that it packs",
        seconds: 60,
        needs: Some("install"),
        work: Work::Call(package::check),
    },
    Step {
        name: "web-lint",
        why: "no warnings in what is built for browsers",
        seconds: 30,
        needs: Some("install"),
        work: Work::Call(web::lint),
    },
    Step {
        name: "test",
        why: "all tests, those in the documentation included",
        seconds: 270,
        needs: None,
        work: Work::Cargo("test --workspace"),
    },
    Step {
        name: "crashes",
        why: "small workloads, crashed at every operation and again while they recover, keep every promise",
        seconds: 60,
        needs: None,
        work: Work::Cargo(
            "run --profile proof --package foldb-testkit --features=programs --bin=foldb-crashes -- --quick",
        ),
    },
    Step {
        name: "sim",
        why: "random simulations on a machine that fails, beside a model that does not; every sort of fault happens",
        seconds: 20,
        needs: None,
        work: Work::Cargo(
            "run --profile proof --package foldb-testkit --features=programs --bin=foldb-sim -- --seeds 0..1500",
        ),
    },
    Step {
        name: "traces",
        why: "a seed of the simulation is the same history natively and as WebAssembly",
        seconds: 40,
        needs: Some("install"),
        work: Work::Call(sim::traces),
    },
    Step {
        name: "mutants",
        why: "each of the bugs that can be planted in the store is noticed",
        seconds: 60,
        needs: None,
        work: Work::Call(crashes::mutants_step),
    },
    Step {
        name: "schedules",
        why: "whole stores under schedules that a test decides, and every schedule of their small protocols",
        seconds: 110,
        needs: None,
        work: Work::Call(schedules::share),
    },
    Step {
        name: "web-tools",
        why: "wasm-bindgen, browsers and the driver of Chromium, where they are missing",
        seconds: 150,
        needs: Some("install"),
        work: Work::Call(web::install),
    },
    Step {
        name: "web-test",
        why: "the tests that run in a worker of Chromium and of Firefox",
        seconds: 180,
        needs: Some("web-tools"),
        work: Work::Call(web::test),
    },
    Step {
        name: "web-package",
        why: "the npm package as a user gets it: types, Node, Deno, Bun, pages of Chromium and Firefox",
        seconds: 500,
        needs: Some("web-tools"),
        work: Work::Call(npm::test),
    },
];

/// Prints the steps.
pub(crate) fn list() -> bool {
    for step in STEPS {
        println!("{:<11}  {:>7}  {}", step.name, Usual(step.seconds).to_string(), step.why);
        if let Work::Cargo(arguments) = step.work {
            println!("{:<11}  {:>7}  $ cargo {arguments}", "", "");
        }
    }
    let total = STEPS.iter().map(|step| step.seconds).sum();
    println!("{:<11}  {:>7}  on two cores, where nothing is built yet", "all", Usual(total).to_string());
    true
}

/// Runs all steps, or those named. Returns whether none failed.
pub(crate) fn run(root: &Path, only: &[String]) -> bool {
    if let Some(unknown) = only.iter().find(|name| STEPS.iter().all(|step| step.name != **name)) {
        let names: Vec<_> = STEPS.iter().map(|step| step.name).collect();
        eprintln!("error: there is no step {unknown}; there are {}", names.join(", "));
        return false;
    }
    let wanted: Vec<&Step> =
        STEPS.iter().filter(|step| only.is_empty() || only.iter().any(|name| name == step.name)).collect();
    let outcomes = run_all(&wanted, &mut |step| {
        println!("\n== {}: {} (usually {})", step.name, step.why, Usual(step.seconds));
        let begin = Instant::now();
        let failure = perform(root, &step.work).err();
        let verdict = if failure.is_some() { "FAILED" } else { "ok" };
        println!("== {}: {verdict}, {:.1} s", step.name, begin.elapsed().as_secs_f64());
        (begin.elapsed(), failure)
    });
    println!();
    for line in summary(&outcomes) {
        println!("{line}");
    }
    outcomes.iter().all(|(_, outcome)| matches!(outcome, Outcome::Done(_)))
}

/// What became of a step.
#[derive(Debug, PartialEq)]
enum Outcome {
    Done(Duration),
    /// With the command that failed.
    Failed(Duration, String),
    /// The step that it needs did not succeed.
    KeptBack(&'static str),
}

/// Does one step after the other, but for those that need one that did not succeed.
fn run_all<'s>(
    steps: &[&'s Step],
    perform: &mut dyn FnMut(&Step) -> (Duration, Option<String>),
) -> Vec<(&'s Step, Outcome)> {
    let mut outcomes: Vec<(&Step, Outcome)> = Vec::new();
    for step in steps {
        let succeeded = |needed: &str| {
            outcomes.iter().all(|(done, outcome)| done.name != needed || matches!(outcome, Outcome::Done(_)))
        };
        let outcome = match step.needs {
            // One that was not asked for has been done before, as far as anybody knows here.
            Some(needed) if !succeeded(needed) => Outcome::KeptBack(needed),
            _ => match perform(step) {
                (time, None) => Outcome::Done(time),
                (time, Some(command)) => Outcome::Failed(time, command),
            },
        };
        outcomes.push((step, outcome));
    }
    outcomes
}

/// What became of all of them, and of each that failed how to see it again.
fn summary(outcomes: &[(&Step, Outcome)]) -> Vec<String> {
    let mut lines = Vec::new();
    let mut total = Duration::ZERO;
    for (step, outcome) in outcomes {
        let (verdict, time) = match outcome {
            Outcome::Done(time) => ("ok", *time),
            Outcome::Failed(time, _) => ("FAILED", *time),
            Outcome::KeptBack(needed) => {
                lines.push(format!("{:<11}  not run: it needs {needed}", step.name));
                continue;
            }
        };
        total += time;
        lines.push(format!(
            "{:<11}  {verdict:<6}  {:>6.1} s  (usually {})",
            step.name,
            time.as_secs_f64(),
            Usual(step.seconds)
        ));
    }
    lines.push(format!("{:<11}  {:<6}  {:>6.1} s", "total", "", total.as_secs_f64()));
    for (step, outcome) in outcomes {
        if let Outcome::Failed(_, command) = outcome {
            lines.push(format!("\nFAILED: {}\n  this failed:      {command}", step.name));
            lines.push(format!("  to see it again:  cargo xtask test --only {}", step.name));
        }
    }
    lines
}

/// A time to expect, for a person: seconds, or minutes where there are several.
struct Usual(u64);

impl fmt::Display for Usual {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            seconds @ 0..120 => write!(f, "{seconds} s"),
            seconds => write!(f, "{} min", seconds.div_ceil(60)),
        }
    }
}

/// Does the work. On failure, the command that failed.
fn perform(root: &Path, work: &Work) -> Result<(), String> {
    match work {
        Work::Tidy if report(&tidy::problems(root)) => Ok(()),
        Work::Tidy => Err("cargo xtask tidy".into()),
        Work::Cargo(arguments) => tools::run(&mut cargo(root, arguments)),
        Work::Call(work) => work(root),
    }
}

/// A command of the cargo that runs this program.
fn cargo(root: &Path, arguments: &str) -> Command {
    let mut command = tools::cargo(root);
    command.args(arguments.split(' '));
    command
}

/// Builds the documentation. What rustdoc warns of is an error by its flags; what cargo itself warns of, as of two crates whose pages
/// have the same place, is only printed, so it is read.
fn docs(root: &Path) -> Result<(), String> {
    const ARGUMENTS: &str = "doc --workspace --no-deps";
    let line = format!("RUSTDOCFLAGS=\"-D warnings\" cargo {ARGUMENTS}");
    println!("$ {line}");
    let mut command = cargo(root, ARGUMENTS);
    let child = command.env("RUSTDOCFLAGS", "-D warnings").stderr(Stdio::piped()).spawn();
    let mut child = child.map_err(|error| format!("{line} (it cannot be started: {error})"))?;
    let mut warned = false;
    for said in child.stderr.take().map(BufReader::new).into_iter().flat_map(BufReader::lines).map_while(Result::ok) {
        warned |= said.starts_with("warning");
        eprintln!("{said}");
    }
    match child.wait() {
        Ok(status) if status.success() && !warned => Ok(()),
        _ => Err(line),
    }
}

fn install(root: &Path) -> Result<(), String> {
    TARGETS.iter().try_for_each(|target| install_target(root, target))?;
    for (component, probe) in COMPONENTS {
        if !succeeds(cargo(root, probe).stdout(Stdio::null()).stderr(Stdio::null())) {
            rustup(root, &["component", "add", component])?;
        }
    }
    Ok(())
}

/// Installs the library of a target, where it is missing.
pub(crate) fn install_target(root: &Path, target: &str) -> Result<(), String> {
    if has_target(root, target) { Ok(()) } else { rustup(root, &["target", "add", target]) }
}

fn rustup(root: &Path, arguments: &[&str]) -> Result<(), String> {
    // In the repository, so that rustup changes the toolchain that is used here.
    tools::run(Command::new("rustup").args(arguments).current_dir(root))
}

/// Whether the toolchain has the library of this target, however it was installed.
fn has_target(root: &Path, target: &str) -> bool {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc).args(["--print", "target-libdir", "--target", target]).current_dir(root).output();
    output.is_ok_and(|output| Path::new(String::from_utf8_lossy(&output.stdout).trim()).is_dir())
}

#[cfg(test)]
#[path = "steps_tests.rs"]
mod tests;
