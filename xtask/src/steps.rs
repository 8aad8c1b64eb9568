//! The steps of `cargo xtask test`: what is run, in which order, and what it shows.
//!
//! Invariant: a step is a plain command that a person can copy from the output and run. The order goes from cheap to
//! dear, so that a missing semicolon is not found after ten minutes of tests.

use std::{
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use crate::{crashes, npm, report, schedules, sim, tidy, web};

/// The targets that core is built for: one that has no std at all, the browser, and the one that Node runs by itself.
const TARGETS: [&str; 3] = ["wasm32v1-none", "wasm32-unknown-unknown", sim::TARGET];
/// The components of the toolchain that the steps use.
const COMPONENTS: [(&str, Cargo); 2] = [("rustfmt", cargo("fmt --version")), ("clippy", cargo("clippy --version"))];

struct Step {
    name: &'static str,
    why: &'static str,
    work: Work,
}

enum Work {
    /// Install what the toolchain lacks.
    Install,
    /// The checks of [`tidy`], in this process.
    Tidy,
    /// Commands of cargo.
    Cargo(&'static [Cargo]),
    /// Work of another module, which prints its own commands.
    Call(fn(&Path) -> Result<(), String>),
}

struct Cargo {
    arguments: &'static str,
    environment: Option<(&'static str, &'static str)>,
}

const fn cargo(arguments: &'static str) -> Cargo {
    Cargo { arguments, environment: None }
}

/// All steps, in order.
const STEPS: &[Step] = &[
    Step { name: "install", why: "the wasm targets and components that are missing, by rustup", work: Work::Install },
    Step { name: "format", why: "the sources are formatted", work: Work::Cargo(&[cargo("fmt --all --check")]) },
    Step { name: "tidy", why: "sources and documents keep the rules of CONTRIBUTING.md", work: Work::Tidy },
    Step {
        name: "lint",
        why: "no warnings, in benches and examples neither",
        work: Work::Cargo(&[cargo("clippy --workspace --all-targets -- -D warnings")]),
    },
    Step {
        name: "docs",
        why: "the documentation builds without warnings",
        work: Work::Cargo(&[Cargo {
            arguments: "doc --workspace --no-deps",
            environment: Some(("RUSTDOCFLAGS", "-D warnings")),
        }]),
    },
    Step {
        name: "no-std",
        why: "core builds, without warnings, for a target that has no std at all",
        work: Work::Cargo(&[
            cargo("clippy -p foldb-core --no-default-features --target wasm32v1-none -- -D warnings"),
            cargo("build -p foldb-core --no-default-features --target wasm32v1-none"),
        ]),
    },
    Step {
        name: "browser",
        why: "core, and the conformance suite for storages, build for the browser",
        work: Work::Cargo(&[cargo("build -p foldb-core -p foldb-testkit --target wasm32-unknown-unknown")]),
    },
    Step {
        name: "web-tools",
        why: "wasm-pack, wasm-bindgen, browsers and their drivers, where they are missing",
        work: Work::Call(web::install),
    },
    Step { name: "web-lint", why: "no warnings in what exists in browsers only", work: Work::Call(web::lint) },
    Step {
        name: "web-test",
        why: "the tests that run in a worker of Chromium and of Firefox",
        work: Work::Call(web::test),
    },
    Step {
        name: "web-package",
        why: "the npm package as a user gets it: types, Node, Deno, Bun, pages of Chromium and Firefox",
        work: Work::Call(npm::test),
    },
    Step {
        name: "test",
        why: "all tests, those in the documentation included",
        work: Work::Cargo(&[cargo("test --workspace")]),
    },
    Step {
        name: "crashes",
        why: "small workloads, crashed at every operation and again while they recover, keep every promise",
        work: Work::Cargo(&[cargo(
            "run --profile proof --package foldb-testkit --features=programs --bin=foldb-crashes -- --quick",
        )]),
    },
    Step {
        name: "sim",
        why: "random simulations on a machine that fails, beside a model that does not; every sort of fault happens",
        work: Work::Cargo(&[cargo(
            "run --profile proof --package foldb-testkit --features=programs --bin=foldb-sim -- --seeds 0..1500",
        )]),
    },
    Step {
        name: "traces",
        why: "a seed of the simulation is the same history natively and as WebAssembly",
        work: Work::Call(sim::traces),
    },
    Step {
        name: "mutants",
        why: "each of the bugs that can be planted in the store is noticed",
        work: Work::Call(crashes::mutants_step),
    },
    Step {
        name: "schedules",
        why: "whole stores under schedules that a test decides, and every schedule of their small protocols",
        work: Work::Call(schedules::share),
    },
    Step {
        name: "benches",
        why: "the benchmarks compile as they will be run",
        work: Work::Cargo(&[cargo("check --workspace --benches")]),
    },
];

impl Cargo {
    /// The command as a person types it.
    fn line(&self) -> String {
        let variable = self.environment.map(|(name, value)| format!("{name}={value:?} ")).unwrap_or_default();
        format!("{variable}cargo {}", self.arguments)
    }

    /// The command, to be run by the cargo that runs this program.
    fn process(&self, root: &Path) -> Command {
        let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        command.args(self.arguments.split(' ')).envs(self.environment).current_dir(root);
        command
    }
}

/// Prints the steps.
pub(crate) fn list() -> bool {
    for step in STEPS {
        println!("{:<9}  {}", step.name, step.why);
        if let Work::Cargo(commands) = step.work {
            for command in commands {
                println!("{:<9}  $ {}", "", command.line());
            }
        }
    }
    true
}

/// Runs all steps, or those named, until one fails. Returns whether none did.
pub(crate) fn run(root: &Path, only: &[String]) -> bool {
    if let Some(unknown) = only.iter().find(|name| STEPS.iter().all(|step| step.name != **name)) {
        let names: Vec<_> = STEPS.iter().map(|step| step.name).collect();
        eprintln!("error: there is no step {unknown}; there are {}", names.join(", "));
        return false;
    }
    let wanted: Vec<&Step> =
        STEPS.iter().filter(|step| only.is_empty() || only.iter().any(|name| name == step.name)).collect();
    let mut done: Vec<(&str, Duration)> = Vec::new();
    let mut failure = None;
    for step in &wanted {
        println!("\n== {}: {}", step.name, step.why);
        let begin = Instant::now();
        let outcome = perform(root, &step.work);
        done.push((step.name, begin.elapsed()));
        if let Err(what) = outcome {
            failure = Some(what);
            break;
        }
        println!("== {}: ok, {:.1} s", step.name, begin.elapsed().as_secs_f64());
    }
    summarize(&wanted, &done, failure.as_deref());
    failure.is_none()
}

fn summarize(wanted: &[&Step], done: &[(&str, Duration)], failure: Option<&str>) {
    println!();
    for (place, step) in wanted.iter().enumerate() {
        let failed = failure.is_some() && place + 1 == done.len();
        match done.get(place) {
            Some((_, time)) => {
                let verdict = if failed { "FAILED" } else { "ok" };
                println!("{:<9}  {verdict:<7}  {:>6.1} s", step.name, time.as_secs_f64());
            }
            None => println!("{:<9}  not run", step.name),
        }
    }
    let total: Duration = done.iter().map(|(_, time)| *time).sum();
    println!("{:<9}  {:<7}  {:>6.1} s", "total", "", total.as_secs_f64());
    if let Some(what) = failure {
        eprintln!("\nfailed: {what}");
    }
}

/// Does the work; on failure, says what to run to see it again.
fn perform(root: &Path, work: &Work) -> Result<(), String> {
    match work {
        Work::Install => install(root),
        Work::Tidy if report(&tidy::problems(root)) => Ok(()),
        Work::Tidy => Err("cargo xtask tidy".into()),
        Work::Cargo(commands) => commands.iter().try_for_each(|command| {
            let line = command.line();
            println!("$ {line}");
            if succeeds(&mut command.process(root)) { Ok(()) } else { Err(line) }
        }),
        Work::Call(work) => work(root),
    }
}

fn install(root: &Path) -> Result<(), String> {
    TARGETS.iter().try_for_each(|target| install_target(root, target))?;
    for (component, probe) in COMPONENTS {
        if !succeeds(probe.process(root).stdout(Stdio::null()).stderr(Stdio::null())) {
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
    let line = format!("rustup {}", arguments.join(" "));
    println!("$ {line}");
    // In the repository, so that rustup changes the toolchain that is used here.
    if succeeds(Command::new("rustup").args(arguments).current_dir(root)) { Ok(()) } else { Err(line) }
}

/// Whether the toolchain has the library of this target, however it was installed.
fn has_target(root: &Path, target: &str) -> bool {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc).args(["--print", "target-libdir", "--target", target]).current_dir(root).output();
    output.is_ok_and(|output| Path::new(String::from_utf8_lossy(&output.stdout).trim()).is_dir())
}

fn succeeds(command: &mut Command) -> bool {
    match command.status() {
        Ok(status) => status.success(),
        Err(error) => {
            eprintln!("{} cannot be started: {error}", command.get_program().display());
            false
        }
    }
}
