//! The programs in the README files, the guide and the recipes, compiled and run as documentation tests: `build.rs` makes them.
//!
//! Invariant: nothing here is published or used by anything that is, so what the recipes need is compiled by nobody else.

use std::env;

/// A new empty directory, which the process goes to: what a program opens by a relative path is in it. It is removed with the guard.
///
/// # Panics
/// Where there is no room for a directory: there is nothing to test then.
#[must_use]
pub fn elsewhere() -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("a directory for the program of a document");
    env::set_current_dir(directory.path()).expect("a directory that was just made can be entered");
    directory
}

#[cfg(doctest)]
include!(concat!(env!("OUT_DIR"), "/documents.rs"));
