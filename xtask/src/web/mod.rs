//! What is built for browsers and tested in them.
//!
//! Invariant: the tools have the versions that are named here, or that `Cargo.lock` fixes, wherever they come from. So a
//! test that fails on one machine fails on the next one.

mod bench;
mod browsers;
mod tools;

use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
    process::Command,
};

pub(crate) use bench::bench;
use browsers::Browser;

/// The crates whose tests run in browsers, in a dedicated worker.
const TESTED: [&str; 2] = ["backend-web", "bindings"];

/// Installs what building for browsers and testing in them needs, where it is missing.
pub(crate) fn install(root: &Path) -> Result<(), String> {
    tools::install(root)?;
    browsers::install()
}

/// The lints of what exists in browsers only, and whether the benchmark there can be parsed.
pub(crate) fn lint(root: &Path) -> Result<(), String> {
    let arguments = "clippy -p foldb-web -p foldb-wasm --all-targets --target wasm32-unknown-unknown -- -D warnings";
    run(cargo(root).args(arguments.split(' ')))?;
    bench::check(root)
}

/// The tests of [`TESTED`] in Chromium and in Firefox.
pub(crate) fn test(root: &Path) -> Result<(), String> {
    for browser in [Browser::Chromium, Browser::Firefox] {
        let driver = browser.driver(root)?;
        for folder in TESTED {
            let mut command = Command::new(tools::program(root, "wasm-pack"));
            command.args(["test", "--headless", browser.wasm_pack_flag()]);
            command.arg(browser.wasm_pack_driver_flag()).arg(&driver).arg(folder);
            // Optimized, for the sake of the minutes that the workloads take otherwise.
            command.arg("--release").current_dir(root).env("PATH", path(root)?);
            // Linking all of it with link-time optimization would take longer than the tests.
            command.env("CARGO_PROFILE_RELEASE_LTO", "off").env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16");
            // A workload may take longer than the 20 s that a test has by default, on a busy machine.
            command.env("WASM_BINDGEN_TEST_TIMEOUT", "300");
            run(&mut command)?;
        }
    }
    Ok(())
}

/// The search path with the tools before everything else: programs find each other there.
pub(crate) fn path(root: &Path) -> Result<OsString, String> {
    let mut folders = vec![tools::folder(root).join("bin")];
    folders.extend(env::split_paths(&env::var_os("PATH").unwrap_or_default()));
    env::join_paths(folders).map_err(|error| error.to_string())
}

fn cargo(root: &Path) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root);
    command
}

/// Prints a command as a person types it, and runs it. On failure, the command.
fn run(command: &mut Command) -> Result<(), String> {
    let line = line(command);
    println!("$ {line}");
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(_) => Err(line),
        Err(error) => Err(format!("{line} (it cannot be started: {error})")),
    }
}

fn line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
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
