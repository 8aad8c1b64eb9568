//! How the programs of this crate begin: what they do with their arguments, and how many threads they take.
//!
//! Invariant: help goes to the standard output and is a success; what is wrong with the arguments goes to the standard error,
//! with the help behind it, and is a failure.

use std::{process::ExitCode, thread};

/// Runs a program with its arguments, or shows its help where they are `None`, because it was asked for.
pub fn start<A>(help: &str, arguments: Result<Option<A>, lexopt::Error>, run: impl FnOnce(&A) -> ExitCode) -> ExitCode {
    match arguments {
        Ok(Some(arguments)) => run(&arguments),
        Ok(None) => {
            print!("{help}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}\n\n{help}");
            ExitCode::FAILURE
        }
    }
}

/// How many workers there are if nobody says: one for each core.
pub fn threads() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}
