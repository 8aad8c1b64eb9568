//! The commands, one file each, and what they share: [`Context`].

use crate::{
    cli::{Command, Global},
    failure::Result,
    output::Output,
    store::Location,
};

pub(crate) mod archive;
pub(crate) mod demo;
pub(crate) mod diff;
pub(crate) mod dump;
pub(crate) mod events;
pub(crate) mod import;
pub(crate) mod json;
pub(crate) mod kv;
pub(crate) mod replay;
pub(crate) mod runs;
pub(crate) mod snapshot;
pub(crate) mod state;
pub(crate) mod stats;
pub(crate) mod trace;
pub(crate) mod verify;

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
