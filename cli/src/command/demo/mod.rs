//! `demo`: what the store promises, shown on real data and a process that is really killed.
//!
//! The story: a child process goes through strike reports, in transactions over all primitives, and is killed with
//! SIGKILL on the way. The store is recovered, the run resumed and finished, replayed from the log, and compared with a
//! second run over changed input; then everything is verified. Invariant: the same seed gives the same final digest,
//! on every machine and wherever the process was killed.

use std::{
    ops::ControlFlow,
    path::{Path, PathBuf},
    time::Duration,
};

use clap::Args;
use foldb::{Diff, DocumentChange, Durability, RecoveryMode, RunId, RunOptions, Store, json::Change};
use serde_json::json;

use self::{
    dataset::{Changes, Strike},
    job::{BATCH, Job},
    story::{Story, Told},
    worker::Killed,
};
use crate::{
    context::Context,
    failure::{Failure, Result, Status},
    option,
    report::{Contents, Counts, recovery},
    store::{self, Location},
    text,
};

mod dataset;
mod job;
mod story;
mod worker;

pub(crate) use worker::{WorkerArgs, work};

/// Arguments of `foldb demo`.
#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// Where to make the store, and leave it; without this, a temporary directory that is removed again
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Leave the temporary directory, and say where it is
    #[arg(long, conflicts_with = "dir")]
    keep: bool,
    /// Decides which reports are changed for the second run
    #[arg(long, value_name = "N", default_value_t = 7, value_parser = option::whole, allow_negative_numbers = true)]
    seed: u64,
    /// Kill the process after this part of its work, in percent
    #[arg(long, value_name = "PERCENT", default_value_t = 50, value_parser = option::between(1, 95), allow_negative_numbers = true)]
    kill_at: u64,
}

/// How long the worker takes for each report besides its commits. A real worker waits for models and networks; without
/// any wait it would be done before anybody could kill it.
const PACE: Duration = Duration::from_micros(100);

/// `foldb demo`
pub(crate) fn run(args: &DemoArgs, context: &mut Context) -> Result<()> {
    let place = Place::choose(args)?;
    let input = Input::new(args.seed)?;
    if !context.output.is_json() {
        context.output.line(format_args!(
            "foldb demo: {} wildlife strike reports of the U.S. Federal Aviation Administration, 1998 to 2002,\n\
             {BATCH} reports a transaction. Store: {}\n",
            text::count(number(input.strikes.len())),
            place.path().display(),
        ))?;
        context.output.flush()?;
    }
    let mut story = Story::new();
    let outcome = play(args, &place, &input, &mut story, context)?;
    finish(place, &input, story, &outcome, args.keep, context)
}

/// Where the demo's store is.
enum Place {
    /// The user's directory: it stays.
    Given(PathBuf),
    /// A temporary one, removed when this is dropped.
    Temporary(tempfile::TempDir),
}

impl Place {
    fn choose(args: &DemoArgs) -> Result<Self> {
        let Some(given) = &args.dir else {
            let directory = tempfile::Builder::new().prefix("foldb-demo-").tempdir();
            return directory
                .map(Self::Temporary)
                .map_err(|error| Failure::io("making a directory in", &std::env::temp_dir(), &error));
        };
        if !store::leads_somewhere(given)? {
            return Ok(Self::Given(given.clone()));
        }
        let mut entries = given.read_dir().map_err(|error| Failure::io("listing", given, &error))?;
        if entries.next().is_none() {
            return Ok(Self::Given(given.clone()));
        }
        Err(Failure::usage(format!("{} is not empty", given.display()))
            .hint("the demo makes a store of its own: name a new directory"))
    }

    fn path(&self) -> &Path {
        match self {
            Self::Given(path) => path,
            Self::Temporary(directory) => directory.path(),
        }
    }
}

impl Place {
    /// The place as the store's own functions want it.
    fn location(&self) -> Location {
        Location { path: self.path().to_owned(), recovery: RecoveryMode::Default }
    }
}

/// The reports of both runs.
struct Input {
    strikes: Vec<Strike>,
    changed: Vec<Strike>,
    changes: Changes,
}

impl Input {
    fn new(seed: u64) -> Result<Self> {
        let strikes = dataset::strikes()?;
        let (changed, changes) = dataset::changed(&strikes, seed);
        Ok(Self { strikes, changed, changes })
    }
}

/// What the story comes to.
struct Outcome {
    killed: Killed,
    /// Reports that were done when the store was recovered.
    recovered: usize,
    /// Digests of the two runs.
    runs: [String; 2],
    /// Digest of both, the demo's final one.
    digest: String,
}

/// All steps, in their order.
fn play(args: &DemoArgs, place: &Place, input: &Input, story: &mut Story, context: &mut Context) -> Result<Outcome> {
    let killed = kill(args, place, input, story, context)?;
    let store = recover(place, &killed, story, context)?;
    let first = Job { store: &store, run: killed.run, strikes: &input.strikes, pace: Duration::ZERO };
    let recovered = check_recovered(&first, &killed)?;
    resume(&first, recovered, story, context)?;
    let replayed = replay_first(&store, killed.run, story, context)?;
    let second = second_run(&store, input, story, context)?;
    compare(&store, killed.run, second, story, context)?;
    verify(&store, story, context)?;
    let view = store.view();
    let runs = [replayed, view.run(second)?.digest()?.to_string()];
    // The default space holds nothing but the digests of the two runs, so its own digest is that of both.
    store.kv().put_many([("first", runs[0].as_str()), ("second", runs[1].as_str())])?;
    let digest = store.view().default_space().digest()?.to_string();
    store::close(store)?;
    Ok(Outcome { killed, recovered, runs, digest })
}

fn kill(args: &DemoArgs, place: &Place, input: &Input, story: &mut Story, context: &mut Context) -> Result<Killed> {
    let all = input.strikes.len();
    let enough = all * usize::try_from(args.kill_at).unwrap_or(100) / 100;
    story.step(
        context,
        "a child process works through the reports, and is killed",
        || worker::start_and_kill(place.path(), enough, PACE),
        |killed, _| Told {
            sentences: vec![format!(
                "it had said that {} of {} reports are durable when it ended by {}",
                text::count(number(killed.reported)),
                text::count(number(all)),
                killed.ended_by,
            )],
            details: json!({
                "run": killed.run.to_string(), "reported": killed.reported, "of": all, "ended_by": killed.ended_by,
            }),
        },
    )
}

fn recover(place: &Place, killed: &Killed, story: &mut Story, context: &mut Context) -> Result<Store> {
    story.step(
        context,
        "recover the store",
        || place.location().open_or_create_with(Durability::buffered()),
        |store, _| {
            let report = store.recovery_report();
            let orphaned = report.orphaned_runs.contains(&killed.run);
            let state =
                if orphaned { "the run of the dead process is marked orphaned" } else { "no run was left open" };
            Told { sentences: vec![recovery::sentence(report), String::from(state)], details: recovery::record(report) }
        },
    )
}

/// What the worker had promised must be there, nothing may be there in part, and it must really have been cut.
fn check_recovered(job: &Job<'_>, killed: &Killed) -> Result<usize> {
    let recovered = job.position()?;
    let promise = if recovered < killed.reported {
        "reports that were said to be durable are gone"
    } else if recovered % BATCH != 0 {
        "a part of a transaction is there"
    } else if recovered >= job.strikes.len() {
        "the process was killed too late: it was done"
    } else {
        return Ok(recovered);
    };
    let message = format!("{promise}: {recovered} reports found, {} promised", killed.reported);
    Err(Failure::new(Status::Negative, "demo", message))
}

fn resume(job: &Job<'_>, recovered: usize, story: &mut Story, context: &mut Context) -> Result<()> {
    story
        .step(
            context,
            "resume the run where it was cut, and end it",
            || {
                let run = job.store.runs().get(job.run)?;
                run.resume()?;
                let transactions = job.work(|_| Ok(()))?;
                run.end()?;
                job.store.sync()?;
                Ok(transactions)
            },
            |transactions, time| {
                let left = number(job.strikes.len() - recovered);
                Told {
                    sentences: vec![
                        format!(
                            "{} reports were there, {} were left: nothing twice, nothing missing",
                            text::count(number(recovered)),
                            text::count(left)
                        ),
                        format!(
                            "{} in {}, {} reports/s",
                            text::count(left),
                            text::counted(*transactions, "transaction", "transactions"),
                            text::count(text::rate(left, time))
                        ),
                    ],
                    details: json!({ "recovered": recovered, "left": left, "transactions": transactions }),
                }
            },
        )
        .map(drop)
}

/// Replays the first run and returns its digest. The live state must have the same.
fn replay_first(store: &Store, run: RunId, story: &mut Story, context: &mut Context) -> Result<String> {
    let (contents, digest, _) = story.step(
        context,
        "replay the run from the log",
        || {
            let replay = store.replay(run)?;
            Ok((Contents::of(&replay.space())?, replay.digest()?, replay.transactions()))
        },
        |(contents, digest, transactions), _| Told {
            sentences: vec![
                format!(
                    "{} folded again: {}",
                    text::counted(*transactions, "transaction", "transactions"),
                    contents.sentence()
                ),
                format!("digest {digest}"),
            ],
            details: json!({ "transactions": transactions, "contents": contents, "digest": digest.to_string() }),
        },
    )?;
    let live = store.view().run(run)?.digest()?;
    if live != digest {
        let message =
            format!("replay differs from the live state: {digest} is not {live}, with {}", contents.sentence());
        return Err(Failure::new(Status::Negative, "demo", message));
    }
    Ok(digest.to_string())
}

/// The same work over changed reports, in a run of its own.
fn second_run(store: &Store, input: &Input, story: &mut Story, context: &mut Context) -> Result<RunId> {
    let changes = input.changes;
    story.step(
        context,
        "do a second run over changed input",
        || {
            let run = store.runs().begin(RunOptions::named("second"))?;
            let job = Job { store, run: run.id(), strikes: &input.changed, pace: Duration::ZERO };
            job.work(|_| Ok(()))?;
            run.end()?;
            store.sync()?;
            Ok(run.id())
        },
        |run, time| {
            let reports = number(input.changed.len());
            Told {
                sentences: vec![format!(
                    "{} reports ({} left out, {} made worse), {} reports/s",
                    text::count(reports),
                    changes.dropped,
                    changes.altered,
                    text::count(text::rate(reports, time)),
                )],
                details: json!({ "run": run.to_string(), "reports": reports, "changes": changes }),
            }
        },
    )
}

fn compare(store: &Store, first: RunId, second: RunId, story: &mut Story, context: &mut Context) -> Result<()> {
    story
        .step(
            context,
            "compare the two runs",
            || Ok(store.diff(first, second)?),
            |diff, _| {
                let counts = Counts::of(diff);
                let mut sentences = vec![counts.sentence()];
                sentences.extend(example(diff));
                Told { sentences, details: json!({ "differences": diff.len(), "counts": counts }) }
            },
        )
        .map(drop)
}

/// One difference in words: a place in a document, as that says most.
fn example(diff: &Diff) -> Option<String> {
    let document = diff.json.iter().find(|document| matches!(document.change, DocumentChange::Changed(_)))?;
    let DocumentChange::Changed(paths) = &document.change else { return None };
    paths.iter().find_map(|path| match &path.change {
        Change::Changed { from, to } => {
            Some(format!("for example {} {}: {from} became {to}", text::bytes(&document.key), path.path))
        }
        Change::Added(_) | Change::Removed(_) => None,
    })
}

fn verify(store: &Store, story: &mut Story, context: &mut Context) -> Result<()> {
    let report = story.step(
        context,
        "verify everything",
        || Ok(store.verify(&mut |_| ControlFlow::Continue(()))?),
        |report, _| Told {
            sentences: vec![
                format!(
                    "{} in {}: every checksum holds",
                    text::counted(report.records, "transaction", "transactions"),
                    text::counted(report.segments, "segment", "segments"),
                ),
                format!("{} replayed: equal to the live state", text::counted(report.spaces, "space", "spaces")),
                format!("{} in unbroken chains", text::counted(report.events, "event", "events")),
            ],
            details: json!(report),
        },
    )?;
    match report.violations.first() {
        None => Ok(()),
        Some(violation) => {
            let message = format!("verification failed: {}: {}", violation.place, violation.what);
            Err(Failure::new(Status::Negative, "demo", message))
        }
    }
}

/// The last words: the digest, and where the store is, if it stays.
fn finish(
    place: Place,
    input: &Input,
    story: Story,
    outcome: &Outcome,
    keep: bool,
    context: &mut Context,
) -> Result<()> {
    let total = story.total();
    let directory = match place {
        Place::Given(path) => Some(path),
        Place::Temporary(directory) if keep => Some(directory.keep()),
        Place::Temporary(_) => None,
    };
    if context.output.is_json() {
        return context.output.record(&json!({
            "records": input.strikes.len(),
            "killed_at": outcome.killed.reported,
            "recovered": outcome.recovered,
            "steps": story.into_steps(),
            "seconds": total.as_secs_f64(),
            "first_digest": outcome.runs[0],
            "second_digest": outcome.runs[1],
            "digest": outcome.digest,
            "store": directory,
        }));
    }
    context.output.line(format_args!(
        "All as promised, in {}. The digest of both runs, the same on every machine:",
        text::duration(total)
    ))?;
    context.output.line(format_args!("digest {}", outcome.digest))?;
    match directory {
        None => context.output.line("\nThe store was temporary and is gone; `foldb demo --keep` leaves it to look at."),
        Some(path) => {
            let store = path.display();
            context.output.line(format_args!("\nLook around:\n  foldb --store {store} runs\n  foldb --store {store} json list --run first\n  foldb --store {store} diff first second"))
        }
    }
}

fn number(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}
