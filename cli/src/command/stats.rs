//! `stats`: sizes, counts, and how the recovery at this opening went; with `--by`, how much there is of what.

mod by;

use clap::Args;
use foldb::{RecoveryReport, SnapshotFailures, Stats};
use serde_json::json;

use crate::{context::Context, failure::Result, report::recovery, text};

/// Arguments of `foldb stats`.
#[derive(Debug, Args)]
pub(crate) struct StatsArgs {
    /// How much there is in each run, in each stream, or under each prefix of keys, instead of figures of the whole store
    #[arg(long, value_enum)]
    by: Option<by::By>,
    /// With --by prefix: where the prefix of a key ends
    #[arg(long, value_name = "TEXT", default_value = "/", requires = "by")]
    separator: String,
    /// With --by: only in this run, by id, by the beginning of its id, or by name
    #[arg(long, value_name = "RUN", requires = "by")]
    run: Option<String>,
}

/// `foldb stats`
pub(crate) fn run(args: &StatsArgs, context: &mut Context) -> Result<()> {
    let store = context.store.open_to_look()?;
    if let Some(by) = args.by {
        return by::print(by, args.run.as_deref(), &args.separator, &store, context);
    }
    let stats = store.stats()?;
    let recovery = store.recovery_report();
    if context.output.is_json() {
        let mut record = json!(stats);
        record["recovery"] = recovery::record(recovery);
        return context.output.record(&record);
    }
    context.output.fields(&fields(&stats, recovery))
}

fn fields(stats: &Stats, recovery: &RecoveryReport) -> Vec<(&'static str, String)> {
    let live: u64 = stats.segments.iter().map(|segment| segment.live_bytes).sum();
    let snapshots: Vec<String> =
        stats.snapshots.iter().map(|(generation, bytes)| format!("{generation} ({})", text::size(*bytes))).collect();
    vec![
        ("store", stats.store.clone()),
        ("seq", format!("{}, durable up to {}", stats.seq, stats.durable_seq)),
        ("open epoch", stats.epoch.to_string()),
        ("runs", text::count(stats.runs)),
        ("entries", format!("{}, {} in memory now", text::count(stats.entries), text::size(stats.tree_bytes))),
        (
            "log",
            format!(
                "{} in {}, {} of them values and events that are still in use",
                text::size(stats.log_bytes),
                text::counted(stats.segments.len() as u64, "segment", "segments"),
                text::size(live),
            ),
        ),
        ("snapshots", if snapshots.is_empty() { String::from("none") } else { snapshots.join(", ") }),
        ("failed snapshots", failures(&stats.snapshot_failures)),
        ("idempotency keys", text::count(stats.idempotency_keys)),
        ("last recovery", recovery::sentence(recovery)),
    ]
}

fn failures(failures: &SnapshotFailures) -> String {
    match &failures.last {
        None => String::from("none since this opening"),
        Some(last) => format!("{} since this opening, the last one because {last}", text::count(failures.count)),
    }
}
