//! What can be typed: the command line as types. The arguments of a command are in the command's own file.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use foldb::RecoveryMode;

use crate::{
    command::{
        archive, demo, diff, dump, events, import, json, kv, replay, runs, snapshot, state, stats, trace, verify,
    },
    failure::STATUS_HELP,
};

/// Looks into foldb stores and works with them: import, inspect, replay, compare, verify.
#[derive(Debug, Parser)]
#[command(name = "foldb", version, after_help = STATUS_HELP, max_term_width = 110)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

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
        value_name = "DIR"
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

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show what the store promises: import, kill, recover, resume, replay, compare, verify
    Demo(demo::DemoArgs),
    /// Import JSON Lines into a run: an event each, and with --key a document each
    Import(import::ImportArgs),
    /// List runs, begin them, end them, resume them
    Runs(runs::RunsArgs),
    /// Print the value of a key
    Get(kv::GetArgs),
    /// Set the value of a key
    Put(kv::PutArgs),
    /// Delete a key
    Delete(kv::DeleteArgs),
    /// List keys and values in order
    Scan(kv::ScanArgs),
    /// JSON documents: get, set, delete, list, merge, patch
    Json(json::JsonArgs),
    /// Event streams: append, list, streams, verify
    Events(events::EventsArgs),
    /// State cells: list them, or print one
    State(state::StateArgs),
    /// Trace entries: what was decided, called, looked up
    Trace(trace::TraceArgs),
    /// Fold the log of a run again, from its beginning, and show what results
    Replay(replay::ReplayArgs),
    /// Show what differs between two runs; status 1 if anything does
    Diff(diff::DiffArgs),
    /// Write a snapshot now, so that opening needs less of the log
    Snapshot(snapshot::SnapshotArgs),
    /// Check everything: checksums, pointers, chains, and that replay equals the live state
    Verify(verify::VerifyArgs),
    /// Show sizes, counts and how the last recovery went
    Stats(stats::StatsArgs),
    /// Write a store into one file: a tar with checksums, for a copy, a backup, or a browser
    Export(archive::ExportArgs),
    /// Make a store of such a file
    ImportStore(archive::ImportStoreArgs),
    /// Print the files of a store in readable form: log frames, snapshots, anchors
    Dump(dump::DumpArgs),
    /// The process that `demo` starts and kills
    #[command(hide = true)]
    DemoWorker(demo::WorkerArgs),
}
