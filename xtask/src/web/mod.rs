//! What is built for browsers and tested in them.
//!
//! Invariant: the tools have the version that `Cargo.lock` fixes, wherever they come from. So a test that fails on one machine
//! fails on the next one.

mod bench;
mod browsers;
mod tools;

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

pub(crate) use bench::bench;
use browsers::Browser;

use crate::tools::{cargo, run, target};

/// The target of everything here.
const TARGET: &str = "wasm32-unknown-unknown";
/// The crates whose tests run in browsers, in a dedicated worker.
const TESTED: [&str; 2] = ["--package=foldb-web", "--package=foldb-wasm"];

/// Installs what building for browsers and testing in them needs, where it is missing.
pub(crate) fn install(root: &Path) -> Result<(), String> {
    tools::install(root)?;
    browsers::install()
}

/// The lints of what is built for browsers, and whether the benchmark there can be parsed.
pub(crate) fn lint(root: &Path) -> Result<(), String> {
    let mut command = cargo(root);
    command.arg("clippy").args(TESTED).args(["--package=foldb-testkit", "--all-targets", "--target", TARGET]);
    run(command.args(["--", "-D", "warnings"]))?;
    bench::check(root)
}

/// The tests of [`TESTED`] in Chromium and in Firefox.
pub(crate) fn test(root: &Path) -> Result<(), String> {
    for browser in [Browser::Chromium, Browser::Firefox] {
        let (variable, driver) = browser.driver(root)?;
        let mut command = cargo(root);
        // Optimized, for the sake of the minutes that the workloads take otherwise.
        command.arg("test").args(TESTED).args(["--lib", "--tests", "--profile=proof", "--target", TARGET]);
        command.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUNNER", tools::program(root, "wasm-bindgen-test-runner"));
        command.env(variable, driver).env("WASM_BINDGEN_TEST_ONLY_WEB", "1");
        // A workload may take longer than the 20 s that a test has by default, on a busy machine.
        command.env("WASM_BINDGEN_TEST_TIMEOUT", "300");
        run(&mut command)?;
    }
    Ok(())
}

/// Builds the module of the npm package, with the flags for the compiler, and writes it and its glue into `folder`.
pub(crate) fn module(root: &Path, flags: &str, folder: &Path) -> Result<(), String> {
    let mut command = cargo(root);
    command.args(["build", "--package=foldb-wasm", "--lib", "--profile=npm", "--target", TARGET]);
    run(command.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS", flags))?;
    let mut command = Command::new(tools::program(root, "wasm-bindgen"));
    command.arg(target(root).join(TARGET).join("npm").join("foldb_wasm.wasm"));
    run(command.args(["--target", "web", "--no-typescript", "--out-dir"]).arg(folder).current_dir(root))
}

/// The program that drives Firefox, for tests that do so themselves.
pub(crate) fn firefox_driver(root: &Path) -> Result<PathBuf, String> {
    Browser::Firefox.driver(root).map(|(_, driver)| driver)
}

/// The first of these programs that is on the search path.
fn find(names: &[&str]) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    let folders: Vec<PathBuf> = env::split_paths(&path).collect();
    names.iter().find_map(|name| {
        let file = format!("{name}{}", env::consts::EXE_SUFFIX);
        folders.iter().map(|folder| folder.join(&file)).find(|program| program.is_file())
    })
}
