//! The oldest Rust that the crates which programs use are built with: what their manifests promise, tried.
//!
//! Invariant: the version stands in one place, `rust-version` of the workspace. Clippy warns by it of what came into the standard library
//! later, and this step builds with that very version, where it can be had, and the locked dependencies: a promise that nobody tries is
//! broken by the next `cargo update`. Where rustup cannot get that version, the step says that nothing was tried, and does not fail.

use std::{fs, path::Path, process::Command};

use crate::tools::run;

/// What a program adds or installs. What tests and tools need may be newer.
const CHECK: &str =
    "check --locked --target-dir target/msrv -p foldb-core -p foldb-fs -p foldb-archive -p foldb -p foldb-cli";

/// Builds with the oldest version, after rustup has got it. Where it cannot be had, that is said, and no failure.
pub(crate) fn check(root: &Path) -> Result<(), String> {
    let manifest = root.join("Cargo.toml");
    let text = fs::read_to_string(&manifest).map_err(|error| format!("reading {}: {error}", manifest.display()))?;
    let version = promised(&text).ok_or("Cargo.toml of the workspace has no rust-version")?;
    let toolchain = if version.matches('.').count() == 1 { format!("{version}.0") } else { version.into() };
    if rustup(root, &["run", &toolchain, "rustc", "--version"]).is_err() {
        let install = ["toolchain", "install", &toolchain, "--profile", "minimal"];
        if let Err(line) = rustup(root, &install) {
            // Without a way to get it, that says nothing about the sources.
            println!("NOT TRIED with Rust {toolchain}, because it could not be had: {line}");
            return Ok(());
        }
    }
    let mut arguments = vec!["run", &toolchain, "cargo"];
    arguments.extend(CHECK.split(' '));
    rustup(root, &arguments)
}

fn rustup(root: &Path, arguments: &[&str]) -> Result<(), String> {
    run(Command::new("rustup").args(arguments).current_dir(root))
}

/// The version that the manifest of the workspace names.
fn promised(manifest: &str) -> Option<&str> {
    let line = manifest.lines().find(|line| line.trim_start().starts_with("rust-version"))?;
    line.split('"').nth(1)
}

#[cfg(test)]
mod tests {
    use super::promised;

    #[test]
    fn the_version_is_the_one_of_the_manifest() {
        assert_eq!(promised("[workspace.package]\nedition = \"2024\"\nrust-version = \"1.90\"\n"), Some("1.90"));
        assert_eq!(promised("[package]\nname = \"x\"\n"), None);
    }
}
