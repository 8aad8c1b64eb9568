//! How the recovery of an opening went.

use std::time::Duration;

use foldb::{Damage, RecoveryReport};
use serde_json::{Value, json};

use crate::text;

/// How an opening went, for a person.
pub(crate) fn sentence(report: &RecoveryReport) -> String {
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
    let damage = (report.damage.len() + log.damage.len() + report.rejected_snapshots.len()) as u64;
    if damage > 0 {
        sentence += &format!("; {}", text::counted(damage, "damage that did no harm", "damages that did no harm"));
    }
    sentence
}

/// How an opening went, for a program.
pub(crate) fn record(report: &RecoveryReport) -> Value {
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
