//! The process that the demo kills: it works, and says on standard output what it has committed.
//!
//! Protocol: a line `run <id>`, then a line `done <reports>` for each transaction that is on stable media.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use clap::Args;
use foldb::{RunId, RunOptions};

use super::{dataset, job::Job};
use crate::{
    context::Context,
    failure::{Failure, Result, Status},
    store,
};

/// Arguments of the hidden command.
#[derive(Debug, Args)]
pub(crate) struct WorkerArgs {
    /// How long each report takes
    #[arg(long)]
    pace_micros: u64,
}

/// The worker's side.
pub(crate) fn work(args: &WorkerArgs, context: &mut Context) -> Result<()> {
    let strikes = dataset::strikes()?;
    let store = context.store.open_or_create()?;
    let run = store.runs().begin(RunOptions::named("first"))?.id();
    say(&format!("run {run}"))?;
    let job = Job { store: &store, run, strikes: &strikes, pace: Duration::from_micros(args.pace_micros) };
    job.work(|done| say(&format!("done {done}")))?;
    store.runs().get(run)?.end()?;
    store::close(store)
}

/// Says it at once: what waits in a buffer is lost with the process.
fn say(line: &str) -> Result<()> {
    let mut stdout = std::io::stdout().lock();
    let said = writeln!(stdout, "{line}").and_then(|()| stdout.flush());
    said.map_err(|_| Failure::OutputClosed)
}

/// What is known of a worker that was killed.
pub(super) struct Killed {
    pub(super) run: RunId,
    /// How many reports it said were durable, until it died.
    pub(super) reported: usize,
    /// How it ended, in the system's words.
    pub(super) ended_by: String,
}

/// The demo's side: starts a worker, kills it when it has done `enough` reports, and listens until nothing more comes.
pub(super) fn start_and_kill(store: &Path, enough: usize, pace: Duration) -> Result<Killed> {
    let mut child = start(store, pace)?;
    let stdout = child.stdout.take().ok_or_else(|| broken("its output cannot be read"))?;
    let (mut run, mut reported) = (None, 0);
    for line in BufReader::new(stdout).lines() {
        let line = line.map_err(|error| broken(&error.to_string()))?;
        match line.split_once(' ') {
            Some(("run", id)) => run = Some(id.parse::<RunId>()?),
            Some(("done", done)) => reported = done.parse().map_err(|_| broken(&line))?,
            _ => return Err(broken(&line)),
        }
        if reported >= enough {
            // SIGKILL on Unix, TerminateProcess on Windows: no handler runs, nothing is flushed. What it says before it
            // is dead still comes through the pipe and counts as promised.
            child.kill().map_err(|error| broken(&error.to_string()))?;
        }
    }
    let status = child.wait().map_err(|error| broken(&error.to_string()))?;
    if status.success() {
        return Err(broken("it came to its end before it could be killed"));
    }
    if reported < enough {
        return Err(broken(&format!("it ended by itself: {status}")));
    }
    let run = run.ok_or_else(|| broken("it never said which run it works on"))?;
    Ok(Killed { run, reported, ended_by: status.to_string() })
}

fn start(store: &Path, pace: Duration) -> Result<Child> {
    let program = std::env::current_exe().map_err(|error| broken(&error.to_string()))?;
    Command::new(program)
        .arg("demo-worker")
        .arg("--store")
        .arg(store)
        .args(["--pace-micros", &pace.as_micros().to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| broken(&error.to_string()))
}

fn broken(what: &str) -> Failure {
    Failure::new(Status::System, "demo", format!("the demo's worker process: {what}"))
}
