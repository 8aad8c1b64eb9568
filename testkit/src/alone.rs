//! Tests that start programs, beside tests of the same program that open stores.
//!
//! Whoever starts a program gives it, until it has become that program, a copy of every open file: a store that another test closes
//! meanwhile stays locked, and a file that it removes keeps its room. So starting is done [`alone`], and whoever opens a directory
//! again after closing it is [`undisturbed`] while it does.
//!
//! Invariant: nobody is undisturbed while somebody is alone. A test that holds one of the two must not ask for the other.

use std::{
    io,
    process::{Command, Output, Stdio},
    sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

static PROGRAMS: RwLock<()> = RwLock::new(());

/// Until this is dropped no other test of the program is [`alone`] or [`undisturbed`]: for starting programs.
#[must_use = "another program may be started as soon as it is dropped"]
pub fn alone() -> RwLockWriteGuard<'static, ()> {
    // A test that failed has left nothing behind that matters here.
    PROGRAMS.write().unwrap_or_else(PoisonError::into_inner)
}

/// Until this is dropped no other test of the program starts one: for directories that are closed and opened again.
#[must_use = "a program may be started as soon as it is dropped"]
pub fn undisturbed() -> RwLockReadGuard<'static, ()> {
    PROGRAMS.read().unwrap_or_else(PoisonError::into_inner)
}

/// Starts a program [`alone`], and waits until it has ended with nobody held up.
///
/// Fails where it cannot be started.
pub fn output(command: &mut Command) -> io::Result<Output> {
    let command = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = {
        let _alone = alone();
        // It returns when the child has become the program, and has no copies any more.
        command.spawn()?
    };
    child.wait_with_output()
}
