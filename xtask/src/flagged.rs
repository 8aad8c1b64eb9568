//! Builds with a `--cfg` for the crates of this workspace alone: the dependencies are those that are built already.
//!
//! `RUSTFLAGS` would compile every dependency once more for each flag. Instead cargo is told to start this very program in the place of
//! the compiler for crates of the workspace, under a name that is the flag; it adds the flag and starts the compiler. As cargo tells
//! builds by different wrappers apart, crates with and without a flag lie beside each other in one folder. Cargo asks for the
//! configuration of the target the same way, so that `[target.'cfg(flag)'.dependencies]` are seen.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

/// The flags that there are, each with what it switches on.
const FLAGS: [&str; 3] = [PLANTED, SHUTTLE, LOOM];
/// The planted bugs of `core/src/planted.rs`.
pub(crate) const PLANTED: &str = "foldb_planted";
/// Locks whose order of turns shuttle decides.
pub(crate) const SHUTTLE: &str = "foldb_shuttle";
/// Locks whose every order of turns loom tries.
pub(crate) const LOOM: &str = "foldb_loom";

/// Makes a command of cargo build the crates of the workspace with one of the flags.
pub(crate) fn with_flag(root: &Path, command: &mut Command, flag: &str) -> Result<(), String> {
    let link =
        link(root, flag).map_err(|error| format!("this program cannot be put beside itself as {flag}: {error}"))?;
    command.env("RUSTC_WORKSPACE_WRAPPER", link);
    Ok(())
}

/// This program under the name of a flag, as it is now.
fn link(root: &Path, flag: &str) -> io::Result<PathBuf> {
    let folder = root.join("target").join("flagged");
    fs::create_dir_all(&folder)?;
    let link = folder.join(format!("{flag}{}", env::consts::EXE_SUFFIX));
    match fs::remove_file(&link) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let this = env::current_exe()?;
    // Another file system may be in the way of a link.
    fs::hard_link(&this, &link).or_else(|_| fs::copy(&this, &link).map(drop))?;
    Ok(link)
}

/// Where cargo has started this program in the place of the compiler: compiles, and says how it went.
pub(crate) fn compile() -> Option<ExitCode> {
    let mut arguments = env::args_os();
    let name = PathBuf::from(arguments.next()?).file_stem()?.to_owned();
    let flag = FLAGS.into_iter().find(|flag| name == *flag)?;
    let status = Command::new(arguments.next()?).args(arguments).args(["--cfg", flag]).status();
    Some(if status.is_ok_and(|status| status.success()) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
