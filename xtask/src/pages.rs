//! `cargo xtask web [PORT]`: the page of `examples/web`, with the package that it shows.

use std::{ffi::OsString, path::Path, process::Command};

use crate::{npm, tools};

const PORT: &str = "8080";

/// Builds the package, and serves the page until the program is ended. Returns whether that worked.
pub(crate) fn run(root: &Path, arguments: &[OsString]) -> bool {
    if arguments.len() > 1 {
        eprintln!("error: cargo xtask web takes a port and nothing else");
        return false;
    }
    if !crate::done(npm::build(root)) {
        return false;
    }
    let port = arguments.first().map_or(PORT.into(), OsString::clone);
    let mut command = Command::new("node");
    command.arg("examples/web/serve.mjs").arg(port).current_dir(root);
    crate::done(tools::run(&mut command).map_err(|what| format!("{what}; Node 20 or newer is needed")))
}
