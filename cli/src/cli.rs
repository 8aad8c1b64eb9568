//! What can be typed, and which command it runs. The arguments of a command are in the command's own file.

use clap::{Parser, Subcommand};

use crate::{
    command::{
        archive, demo, diff, dump, events, import, json, kv, replay, runs, snapshot, state, stats, trace, verify,
    },
    context::{Context, Global},
    failure::{Result, STATUS_HELP},
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

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show what the store promises: import, kill, recover, resume, replay, compare, verify
    Demo(demo::DemoArgs),
    /// Import JSON Lines into a run: an event each, and with --key a document each
    Import(import::ImportArgs),
    /// List runs, the newest first; begin them, end them, resume them
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
    /// Event streams: append, list, tail, streams, verify
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

/// Runs a command.
pub(crate) fn run(command: &Command, context: &mut Context) -> Result<()> {
    match command {
        Command::Demo(args) => demo::run(args, context),
        Command::Import(args) => import::run(args, context),
        Command::Runs(args) => runs::run(args, context),
        Command::Get(args) => kv::get(args, context),
        Command::Put(args) => kv::put(args, context),
        Command::Delete(args) => kv::delete(args, context),
        Command::Scan(args) => kv::scan(args, context),
        Command::Json(args) => json::run(args, context),
        Command::Events(args) => events::run(args, context),
        Command::State(args) => state::run(args, context),
        Command::Trace(args) => trace::run(args, context),
        Command::Replay(args) => replay::run(args, context),
        Command::Diff(args) => diff::run(args, context),
        Command::Snapshot(args) => snapshot::run(args, context),
        Command::Verify(args) => verify::run(args, context),
        Command::Stats(args) => stats::run(args, context),
        Command::Export(args) => archive::export_store(args, context),
        Command::ImportStore(args) => archive::import_store(args, context),
        Command::Dump(args) => dump::run(args, context),
        Command::DemoWorker(args) => demo::work(args, context),
    }
}
