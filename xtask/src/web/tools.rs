//! The programs of wasm-bindgen: the one that writes the glue of a module, and the one that runs tests in a browser.
//!
//! Invariant: they are used from the folder of the tools only, and only in the version that `Cargo.lock` has of the crate, because
//! they read what that has written into the module. What is there in the right version is left alone, so that a cached folder
//! costs nothing.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::tools::{cargo, run};

/// Where the folder is, if not in the user's cache.
const FOLDER_VARIABLE: &str = "FOLDB_TOOLS";
/// The package, and those of its programs that are used.
const PACKAGE: &str = "wasm-bindgen-cli";
const PROGRAMS: [&str; 2] = ["wasm-bindgen", "wasm-bindgen-test-runner"];

/// The folder of the tools; the programs are in its `bin`. In the user's cache, because building them takes a while and
/// every clone of the repository wants the same ones; in `target` where there is no such cache.
fn folder(root: &Path) -> PathBuf {
    if let Some(folder) = env::var_os(FOLDER_VARIABLE) {
        return folder.into();
    }
    let home = || env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    let cache = env::var_os("XDG_CACHE_HOME").or_else(|| env::var_os("LOCALAPPDATA")).map(PathBuf::from).or_else(home);
    cache.unwrap_or_else(|| root.join("target")).join("foldb-tools")
}

/// The path of a program of the tools.
pub(super) fn program(root: &Path, name: &str) -> PathBuf {
    folder(root).join("bin").join(format!("{name}{}", env::consts::EXE_SUFFIX))
}

/// Installs the programs, where they are missing or there in another version.
pub(super) fn install(root: &Path) -> Result<(), String> {
    let version = locked_version(root, "wasm-bindgen")?;
    if PROGRAMS.iter().all(|name| is_there(root, name, &version)) {
        return Ok(());
    }
    println!("{PACKAGE} {version} takes two minutes to build; it is kept in {}", folder(root).display());
    let build = root.join("target").join("tools-build");
    let built = run(install_command(root, &version, &build).arg("--locked")).or_else(|_| {
        println!("the dependencies that it was published with cannot be had; trying with newer ones");
        run(&mut install_command(root, &version, &build))
    });
    // Where it cannot be removed it is in nobody's way.
    let _ = fs::remove_dir_all(build);
    built
}

fn install_command(root: &Path, version: &str, build: &Path) -> Command {
    let mut command = cargo(root);
    command.args(["install", "--quiet", "--force", PACKAGE, "--version", &format!("={version}")]);
    command.args(PROGRAMS.iter().flat_map(|name| ["--bin", name])).arg("--root").arg(folder(root));
    // They run for seconds and are built in minutes: the time of the build is what counts.
    command.env("CARGO_TARGET_DIR", build);
    for (setting, value) in [("OPT_LEVEL", "1"), ("LTO", "off"), ("CODEGEN_UNITS", "64"), ("DEBUG", "0")] {
        command.env(format!("CARGO_PROFILE_RELEASE_{setting}"), value);
    }
    command
}

fn is_there(root: &Path, name: &str, version: &str) -> bool {
    let output = Command::new(program(root, name)).arg("--version").output();
    output.is_ok_and(|output| has_version(&String::from_utf8_lossy(&output.stdout), version))
}

/// Whether a program's words about itself, as in `wasm-bindgen 0.2.130`, name this version.
fn has_version(words: &str, version: &str) -> bool {
    words.lines().next().is_some_and(|line| line.split_whitespace().any(|word| word == version))
}

/// The version of a package in `Cargo.lock`.
fn locked_version(root: &Path, package: &str) -> Result<String, String> {
    let path = root.join("Cargo.lock");
    let lock = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    version_in(&lock, package).ok_or_else(|| format!("{} has no package {package}", path.display()))
}

fn version_in(lock: &str, package: &str) -> Option<String> {
    let name = format!("name = \"{package}\"");
    let mut lines = lock.lines().skip_while(|line| *line != name).skip(1);
    let version = lines.next()?.strip_prefix("version = \"")?.strip_suffix('"')?;
    Some(version.into())
}

#[cfg(test)]
mod tests {
    //! Versions, as programs and the lock file name them.

    use super::*;

    #[test]
    fn a_version_is_recognized_in_what_a_program_says_of_itself() {
        assert!(has_version("wasm-bindgen 0.2.130\n", "0.2.130"));
        assert!(has_version("wasm-bindgen-test-runner 0.2.130 (0123abcd)\n\nlicence", "0.2.130"));
        assert!(!has_version("wasm-bindgen 0.2.13", "0.2.130"));
        assert!(!has_version("", "0.2.130"));
    }

    #[test]
    fn a_version_is_read_from_the_lock_file() {
        let lock = "[[package]]\nname = \"wasm-bindgen-futures\"\nversion = \"0.4.80\"\n\n[[package]]\nname = \"wasm-bindgen\"\nversion = \"0.2.130\"\n";
        assert_eq!(version_in(lock, "wasm-bindgen").as_deref(), Some("0.2.130"));
        assert_eq!(version_in(lock, "wasm"), None);
    }
}
