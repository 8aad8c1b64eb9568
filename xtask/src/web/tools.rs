//! The programs from the crate registry: wasm-pack, wasm-bindgen with its test runner, geckodriver.
//!
//! Invariant: a tool is used from the folder of the tools only, and only in the version named here. What is there in the
//! right version is left alone, so that a cached folder costs nothing.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use super::{cargo, run};

/// Where the folder is, if not in the user's cache.
const FOLDER_VARIABLE: &str = "FOLDB_TOOLS";

struct Tool {
    package: &'static str,
    version: String,
    /// The program that tells its version.
    program: &'static str,
    /// Whether the package builds with the dependencies that it was published with.
    locked: bool,
}

fn tools(root: &Path) -> Result<Vec<Tool>, String> {
    let tool = |package, version: &str, program, locked| Tool { package, version: version.into(), program, locked };
    Ok(vec![
        tool("wasm-pack", "0.15.1", "wasm-pack", true),
        // It reads what the crate of the same version has written into the program, so both must be the same.
        tool("wasm-bindgen-cli", &locked_version(root, "wasm-bindgen")?, "wasm-bindgen", false),
        tool("geckodriver", "0.37.1", "geckodriver", true),
    ])
}

/// The folder of the tools; the programs are in its `bin`. In the user's cache, because building them takes minutes and
/// every clone of the repository wants the same ones; in `target` where there is no such cache.
pub(super) fn folder(root: &Path) -> PathBuf {
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

/// Installs the tools that are missing, or there in another version.
pub(super) fn install(root: &Path) -> Result<(), String> {
    for tool in tools(root)? {
        if is_there(root, &tool) {
            continue;
        }
        println!(
            "{} {} takes some minutes to build; it is kept in {}",
            tool.package,
            tool.version,
            folder(root).display()
        );
        let mut command = cargo(root);
        command.args(["install", "--quiet", "--force", tool.package, "--version", &format!("={}", tool.version)]);
        command.arg("--root").arg(folder(root));
        if tool.locked {
            command.arg("--locked");
        }
        // They run for seconds and are built in minutes: the time of the build is what counts. A folder for all of them,
        // as they share dependencies.
        command.env("CARGO_TARGET_DIR", root.join("target").join("tools-build"));
        for (setting, value) in [("OPT_LEVEL", "1"), ("LTO", "off"), ("CODEGEN_UNITS", "64"), ("DEBUG", "0")] {
            command.env(format!("CARGO_PROFILE_RELEASE_{setting}"), value);
        }
        run(&mut command)?;
    }
    Ok(())
}

fn is_there(root: &Path, tool: &Tool) -> bool {
    let output = Command::new(program(root, tool.program)).arg("--version").output();
    output.is_ok_and(|output| has_version(&String::from_utf8_lossy(&output.stdout), &tool.version))
}

/// Whether a program's words about itself, as in `wasm-pack 0.15.1`, name this version.
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
        assert!(has_version("wasm-pack 0.15.1\n", "0.15.1"));
        assert!(has_version("geckodriver 0.37.1 (0123abcd 2026-01-01 00:00 +0000)\n\nlicence", "0.37.1"));
        assert!(!has_version("wasm-bindgen 0.2.13", "0.2.130"));
        assert!(!has_version("", "0.15.1"));
    }

    #[test]
    fn a_version_is_read_from_the_lock_file() {
        let lock = "[[package]]\nname = \"wasm-bindgen-futures\"\nversion = \"0.4.80\"\n\n[[package]]\nname = \"wasm-bindgen\"\nversion = \"0.2.130\"\n";
        assert_eq!(version_in(lock, "wasm-bindgen").as_deref(), Some("0.2.130"));
        assert_eq!(version_in(lock, "wasm"), None);
    }
}
