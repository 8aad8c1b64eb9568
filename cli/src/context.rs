//! What every command works with: the options that all of them take, the store that these name, and where the answer goes.
//!
//! Invariant: commands use this and what is below it, and never one another.

use std::path::PathBuf;

use clap::{
    Args, ValueEnum,
    builder::{OsStringValueParser, TypedValueParser as _},
};
use foldb::RecoveryMode;

use crate::{option, output::Output, store::Location};

/// Options that every command takes.
#[derive(Debug, Args)]
pub(crate) struct Global {
    /// The directory of the store
    #[arg(
        long,
        help_heading = "Options of every command",
        global = true,
        env = "FOLDB_STORE",
        default_value = "./foldb-data",
        value_name = "DIR",
        value_parser = OsStringValueParser::new().try_map(option::path)
    )]
    pub(crate) store: PathBuf,
    /// What may be wrong with a store that is opened
    #[arg(long, help_heading = "Options of every command", global = true, value_enum, default_value_t = Recovery::Default)]
    pub(crate) recovery: Recovery,
    /// Print JSON: one object, or one a line where there is a list
    #[arg(long, help_heading = "Options of every command", global = true)]
    pub(crate) json: bool,
}

/// How careful to be with what is wrong in the files of a store.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Recovery {
    /// What a crash leaves behind
    Default,
    /// Nothing at all
    Strict,
    /// Anything: read what can be read, and take no writes
    Salvage,
}

impl Recovery {
    pub(crate) fn mode(self) -> RecoveryMode {
        match self {
            Recovery::Default => RecoveryMode::Default,
            Recovery::Strict => RecoveryMode::Strict,
            Recovery::Salvage => RecoveryMode::Salvage,
        }
    }
}

/// Where a command reads or writes.
#[derive(Debug, Args)]
pub(crate) struct InRun {
    /// The run, by id, by the beginning of its id, or by name; without it, the default space
    #[arg(long, value_name = "RUN")]
    pub(crate) run: Option<String>,
}

/// What every command works with.
pub(crate) struct Context {
    /// Where the store is.
    pub(crate) store: Location,
    /// Where the answer goes.
    pub(crate) output: Output,
}

impl Context {
    pub(crate) fn new(global: &Global) -> Self {
        let store = Location { path: global.store.clone(), recovery: global.recovery.mode() };
        Self { store, output: Output::new(global.json) }
    }
}
