//! `cargo xtask web [PORT]`: the page of `examples/web`, with the package that it shows.

use std::{ffi::OsString, path::Path, process::Command};

use crate::npm;

const PORT: &str = "8080";

/// Builds the package, and serves the page until the program is ended. Returns whether that worked.
pub(crate) fn run(root: &Path, arguments: &[OsString]) -> bool {
    if arguments.len() > 1 {
        eprintln!("error: cargo xtask web takes a port and nothing else");
        return false;
    }
    if let Err(what) = npm::build(root) {
        eprintln!("failed: {what}");
        return false;
    }
    let port = arguments.first().map_or(PORT.into(), OsString::clone);
    let mut command = Command::new("node");
    command.arg("examples/web/serve.mjs").arg(port).current_dir(root);
    match command.status() {
        Ok(status) => status.success(),
        Err(error) => {
            eprintln!("error: node cannot be started: {error}; version 20 or newer is needed");
            false
        }
    }
}
