//! `cargo xtask bench-web`: the store in Chromium beside its peers, as an app gets each from npm.
//!
//! Invariant: the package that is measured is the one that this tree builds.

use std::{ffi::OsString, path::Path, process::Command};

use super::{browsers, tools};
use crate::tools::run;

/// Builds the package, installs the peers in the versions of the lock file, and measures. Returns whether all of it worked.
pub(crate) fn bench(root: &Path, arguments: &[OsString]) -> bool {
    crate::done(measure(root, arguments))
}

fn measure(root: &Path, arguments: &[OsString]) -> Result<(), String> {
    tools::install(root)?;
    browsers::install()?;
    crate::npm::build(root)?;
    let folder = root.join("benches").join("web");
    run(Command::new("npm").args(["ci", "--no-audit", "--no-fund"]).current_dir(&folder))?;
    run(Command::new("node")
        .arg("bench.mjs")
        .args(arguments.iter().skip_while(|argument| *argument == "--"))
        .current_dir(&folder))
}

/// Whether its modules can be parsed. It is not run by the tests: its figures need a machine that does nothing else.
pub(super) fn check(root: &Path) -> Result<(), String> {
    for folder in ["benches/web", "benches/web/engines"] {
        let folder = root.join(folder);
        let entries = std::fs::read_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        let mut modules: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
        modules.retain(|path| path.extension().is_some_and(|ending| ending == "mjs"));
        modules.sort();
        for module in modules {
            run(Command::new("node").arg("--check").arg(&module))?;
        }
    }
    Ok(())
}
