//! `stats`: sizes, counts, and how the recovery at this opening went.

use std::time::Duration;

use clap::Args;
use foldb::{RecoveryReport, Stats, recovery::Damage};
use serde_json::{Value, json};

use crate::{command::Context, failure::Result, text};

/// Arguments of `foldb stats`.
#[derive(Debug, Args)]
pub(crate) struct StatsArgs {}

/// `foldb stats`
pub(crate) fn run(_: &StatsArgs, context: &mut Context) -> Result<()> {
    let store = context.store.open_existing()?;
    let stats = store.stats()?;
    let recovery = store.recovery_report();
    if context.output.is_json() {
        let mut record = json!(stats);
        record["recovery"] = recovery_record(recovery);
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
                text::counted(number(stats.segments.len()), "segment", "segments"),
                text::size(live),
            ),
        ),
        ("snapshots", if snapshots.is_empty() { String::from("none") } else { snapshots.join(", ") }),
        ("idempotency keys", text::count(stats.idempotency_keys)),
        ("last recovery", recovery_sentence(recovery)),
    ]
}

/// How an opening went, for a person.
pub(crate) fn recovery_sentence(report: &RecoveryReport) -> String {
    let from = match report.snapshot {
        Some((generation, seq)) => format!("snapshot {generation} (seq {seq}) and "),
        None => String::new(),
    };
    let log = &report.log;
    let time: u64 = report.phases.iter().map(|(_, micros)| micros).sum();
    let mut sentence = format!(
        "{from}{} ({}) from the log in {}",
        text::counted(log.records + log.tail_records, "transaction", "transactions"),
        text::size(log.bytes),
        text::duration(Duration::from_micros(time)),
    );
    if log.tail_records > 0 {
        sentence += &format!(", {} of them past the last proven one and written again", text::count(log.tail_records));
    }
    if let Some(cut) = &log.cut {
        sentence +=
            &format!("; a torn tail of {} was cut off at {} of {}", text::size(cut.bytes), cut.offset, cut.file);
    }
    if log.orphaned_transactions > 0 {
        sentence += &format!(
            "; {} of which the end is missing",
            text::counted(log.orphaned_transactions, "transaction", "transactions")
        );
    }
    let damage = number(report.damage.len() + log.damage.len() + report.rejected_snapshots.len());
    if damage > 0 {
        sentence += &format!("; {}", text::counted(damage, "damage that did no harm", "damages that did no harm"));
    }
    sentence
}

/// How an opening went, for a program.
pub(crate) fn recovery_record(report: &RecoveryReport) -> Value {
    let orphaned: Vec<String> = report.orphaned_runs.iter().map(ToString::to_string).collect();
    let phases: Value =
        report.phases.iter().map(|(phase, micros)| json!({ "phase": phase, "micros": micros })).collect();
    let log = &report.log;
    json!({
        "created": report.created,
        "seq": report.seq,
        "snapshot": report.snapshot.map(|(generation, seq)| json!({ "generation": generation, "seq": seq })),
        "segments": log.segments,
        "transactions": log.records + log.tail_records,
        "rewritten_transactions": log.tail_records,
        "orphaned_transactions": log.orphaned_transactions,
        "bytes": log.bytes,
        "cut": log.cut.as_ref().map(|cut| json!({ "file": cut.file, "offset": cut.offset, "bytes": cut.bytes, "what": cut.reason })),
        "orphaned_runs": orphaned,
        "rejected_snapshots": damages(&report.rejected_snapshots),
        "damage": damages(report.damage.iter().chain(&log.damage)),
        "phases": phases,
    })
}

fn damages<'a>(damages: impl IntoIterator<Item = &'a Damage>) -> Value {
    let record = |one: &Damage| json!({ "file": one.file, "offset": one.offset, "bytes": one.len, "rule": one.rule, "what": one.what });
    damages.into_iter().map(record).collect()
}

fn number(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}
