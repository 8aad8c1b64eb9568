//! Programs that tasks start: how they are run, and those beyond the toolchain that everybody has, installed where they are missing.
//!
//! Invariants:
//! - Nothing is installed that is there, and each command that installs something is printed first, so that a person can run it.
//! - What [`run`] prints and what it fails with is the command as a person types it.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// The cargo that runs this program, in the root of the repository.
pub(crate) fn cargo(root: &Path) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root);
    command
}

/// Where the workspace is built.
pub(crate) fn target(root: &Path) -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from)
}

/// A command as a person types it: `cargo`, wherever the cargo is that runs this program.
pub(crate) fn line(command: &Command) -> String {
    let program = command.get_program();
    let is_cargo = std::env::var_os("CARGO").is_some_and(|cargo| cargo == program);
    let program = if is_cargo { OsStr::new("cargo") } else { program };
    let words = std::iter::once(program).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

/// Prints a command as a person types it, and runs it. On failure, the command.
pub(crate) fn run(command: &mut Command) -> Result<(), String> {
    let line = line(command);
    println!("$ {line}");
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(_) => Err(line),
        Err(error) => Err(format!("{line} (it cannot be started: {error})")),
    }
}

/// Runs a command, without a word about it, and says whether it succeeded.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    match command.status() {
        Ok(status) => status.success(),
        Err(error) => {
            eprintln!("error: {} cannot be started: {error}", command.get_program().display());
            false
        }
    }
}

fn silent(command: &mut Command) -> &mut Command {
    command.stdout(Stdio::null()).stderr(Stdio::null())
}

/// Makes sure that there is a nightly toolchain with these components.
pub(crate) fn nightly(root: &Path, components: &[&str]) -> bool {
    let there = succeeds(silent(Command::new("cargo").args(["+nightly", "--version"]).current_dir(root)));
    if !there && !install(root, "rustup", &["toolchain", "install", "nightly", "--profile", "minimal"]) {
        return false;
    }
    let mut arguments = vec!["+nightly", "component", "add"];
    let missing = missing_components(root, "nightly", components);
    arguments.extend(missing.iter().copied());
    missing.is_empty() || install(root, "rustup", &arguments)
}

/// The components that a toolchain lacks.
pub(crate) fn missing_components<'c>(root: &Path, toolchain: &str, components: &[&'c str]) -> Vec<&'c str> {
    let listed = Command::new("rustup")
        .args(["component", "list", "--installed", "--toolchain", toolchain])
        .current_dir(root)
        .output();
    let listed = listed.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    let has = |component: &str| listed.lines().any(|line| line.starts_with(component));
    components.iter().copied().filter(|component| !has(component)).collect()
}

/// Makes sure that `cargo NAME` is there, which the crate `package` has.
pub(crate) fn cargo_subcommand(root: &Path, name: &str, package: &str) -> bool {
    let there = succeeds(silent(Command::new("cargo").args([name, "--version"]).current_dir(root)));
    there || install(root, "cargo", &["install", package, "--locked"])
}

/// Runs a command that installs something, and prints it.
pub(crate) fn install(root: &Path, program: &str, arguments: &[&str]) -> bool {
    run(Command::new(program).args(arguments).current_dir(root)).is_ok()
}

#[cfg(test)]
#[path = "tools_tests.rs"]
mod tests;
