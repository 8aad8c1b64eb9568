//! `cargo xtask sim` and `cargo xtask traces`: build the programs of the random simulation and of the enumeration of crashes,
//! optimized, and run them.
//!
//! Invariant: this builds, starts and compares what they print. What is simulated is the business of `foldb-testkit`.

use std::{
    ffi::OsString,
    path::Path,
    process::{Command, Stdio},
};

use crate::{
    steps::install_target,
    tools::{cargo, line, run, succeeds, target},
};

/// The target that has a standard library, files and clocks, and needs no browser: Node runs it.
pub(crate) const TARGET: &str = "wasm32-wasip1";
/// First and last seed whose traces are compared, the last one exclusive, and how many steps each of them has.
const SEEDS: [&str; 3] = ["0", "16", "400"];
/// The small workloads whose crashes are enumerated: one for each thing that the store writes.
const WORKLOADS: [&str; 8] =
    ["strict-mixed", "killed", "runs", "rotation", "parts", "once-in-snapshots", "failed-anchor", "buffered-closed"];

/// Lives through simulations with these arguments. Returns whether every promise was kept.
pub(crate) fn simulate(root: &Path, arguments: &[OsString]) -> bool {
    let mut command = cargo(root);
    command.args(["run", "--release", "--quiet", "--package", "foldb-testkit", "--features=programs"]);
    succeeds(command.args(["--bin", "foldb-sim", "--"]).args(arguments))
}

/// Runs the same seeds twice natively and once under WebAssembly, and the crashes of the same workloads once each, and compares
/// every digest.
pub(crate) fn traces(root: &Path) -> Result<(), String> {
    let build =
        ["build", "--profile", "proof", "--package", "foldb-testkit", "--features=programs", "--bin", "foldb-traces"];
    run(cargo(root).args(build))?;
    let first = lines(Command::new(program(root, &["proof", NATIVE_NAME])).args(SEEDS))?;
    let second = lines(Command::new(program(root, &["proof", NATIVE_NAME])).args(SEEDS))?;
    same("run twice", &first, &second)?;

    install_target(root, TARGET)?;
    // Without the programs' features: what the others need has no business there.
    let build = build.iter().filter(|argument| !argument.starts_with("--features"));
    run(cargo(root).args(build).args(["--target", TARGET]))?;
    let module = program(root, &[TARGET, "proof", "foldb-traces.wasm"]);
    let as_wasm = |arguments: &[&str]| {
        let mut node = Command::new("node");
        node.current_dir(root).args(["--no-warnings", "xtask/src/wasi.mjs"]).arg(&module).args(arguments);
        lines(&mut node).map_err(|error| format!("{error} (the traces need Node 20 or newer)"))
    };
    same("run under WebAssembly", &first, &as_wasm(&SEEDS)?)?;
    println!("{} seeds have the same trace and contents, twice natively and under WebAssembly", first.len());

    let native = lines(Command::new(program(root, &["proof", NATIVE_NAME])).args(WORKLOADS))?;
    same("run under WebAssembly", &native, &as_wasm(&WORKLOADS)?)?;
    println!("the crashes of {} workloads come to the same contents, natively and under WebAssembly", native.len());
    native.iter().for_each(|line| println!("  {line}"));
    Ok(())
}

const NATIVE_NAME: &str = if cfg!(windows) { "foldb-traces.exe" } else { "foldb-traces" };

fn program(root: &Path, parts: &[&str]) -> std::path::PathBuf {
    parts.iter().fold(target(root), |path, part| path.join(part))
}

/// What a command prints, line by line.
fn lines(command: &mut Command) -> Result<Vec<String>, String> {
    let line = line(command);
    println!("$ {line}");
    let output = command.stderr(Stdio::inherit()).output().map_err(|error| format!("{line}: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() { Ok(text.lines().map(String::from).collect()) } else { Err(format!("{line}: {text}")) }
}

fn same(how: &str, one: &[String], other: &[String]) -> Result<(), String> {
    if one.is_empty() {
        return Err("nothing was traced".into());
    }
    match one.iter().zip(other).find(|(one, other)| one != other) {
        Some((one, other)) => Err(format!("{how}, a line differs:\n{one}\n{other}")),
        None if one.len() != other.len() => {
            Err(format!("{how}, there are {} lines and not {}", other.len(), one.len()))
        }
        None => Ok(()),
    }
}
