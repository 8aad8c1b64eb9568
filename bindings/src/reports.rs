//! What the store says of itself: statistics, verification, recovery, differences.

use foldb_core::{
    CommitInfo, Diff, RecoveryReport, Result, Stats, VerifyReport,
    json::Change,
    primitive::{Cell, Event},
    recovery::Damage,
    replay::{DocumentChange, EntryChange},
    value::Value,
};

use crate::{primitives, wire::Output};

/// What the log says of a commit.
pub(crate) fn commit(commit: Option<&CommitInfo>, out: &mut Output) {
    out.optional(commit, |out, commit| {
        out.number(commit.seq);
        out.number(commit.time_micros);
        out.optional(commit.base, Output::number);
        out.cause(commit.cause.as_ref());
        out.optional(commit.idempotency_key.as_deref(), Output::bytes);
    });
}

pub(crate) fn stats(stats: &Stats, out: &mut Output) {
    out.text(&stats.store);
    for number in [
        stats.seq,
        stats.durable_seq,
        stats.epoch,
        stats.runs,
        stats.entries,
        stats.tree_bytes,
        stats.idempotency_keys,
        stats.commits,
        stats.conflicts,
        stats.retries,
        stats.pending_bytes,
        stats.syncs.count,
        stats.syncs.total_micros,
        stats.log_bytes,
    ] {
        out.number(number);
    }
    pairs(&stats.syncs.histogram, out);
    out.count(stats.segments.len());
    for segment in &stats.segments {
        out.number(segment.number);
        out.number(segment.bytes);
        out.number(segment.live_bytes);
    }
    pairs(&stats.snapshots, out);
}

fn pairs(pairs: &[(u64, u64)], out: &mut Output) {
    out.count(pairs.len());
    for (first, second) in pairs {
        out.number(*first);
        out.number(*second);
    }
}

pub(crate) fn verify(report: &VerifyReport, out: &mut Output) {
    for number in [
        report.segments,
        report.records,
        report.snapshots,
        report.spaces,
        report.entries,
        report.transactions,
        report.values,
        report.events,
    ] {
        out.number(number);
    }
    out.count(report.violations.len());
    for violation in &report.violations {
        out.text(&violation.place);
        out.text(&violation.what);
    }
}

/// What opening found: `storage` is the damage below the store's files, which recovery does not see.
pub(crate) fn recovery(report: &RecoveryReport, storage: &[Damage], out: &mut Output) {
    out.flag(report.created);
    out.optional(report.snapshot, |out, (generation, seq)| {
        out.number(generation);
        out.number(seq);
    });
    damages(&report.rejected_snapshots, out);
    let all: Vec<Damage> = storage.iter().chain(&report.damage).chain(&report.log.damage).cloned().collect();
    damages(&all, out);
    out.number(report.seq);
    out.count(report.orphaned_runs.len());
    report.orphaned_runs.iter().for_each(|run| out.0.extend_from_slice(&run.to_bytes()));
    out.count(report.phases.len());
    for (phase, micros) in &report.phases {
        out.text(phase);
        out.number(*micros);
    }
}

fn damages(damages: &[Damage], out: &mut Output) {
    out.count(damages.len());
    for damage in damages {
        out.text(&damage.file);
        out.number(damage.offset);
        out.number(damage.len);
        out.text(damage.rule);
        out.text(&damage.what);
        out.optional(damage.seqs, |out, (first, last)| {
            out.number(first);
            out.number(last);
        });
    }
}

/// Differences, primitive by primitive. A change is 0 for added, 1 for removed, 2 for changed, and then one or two items.
pub(crate) fn diff(diff: &Diff, out: &mut Output) -> Result<()> {
    out.count(diff.kv.len());
    for entry in &diff.kv {
        out.bytes(&entry.key);
        change(&entry.change, out, &|out, value: &Value| out.value(value))?;
    }
    out.count(diff.json.len());
    for entry in &diff.json {
        out.bytes(&entry.key);
        document(&entry.change, out)?;
    }
    out.count(diff.events.len());
    for stream in &diff.events {
        out.bytes(&stream.stream);
        out.count(stream.events.len());
        for (seq, event) in &stream.events {
            out.number(*seq);
            change(event, out, &|out, event: &Event| {
                primitives::event_head(event, out);
                out.value(&event.payload)
            })?;
        }
    }
    out.count(diff.state.len());
    for entry in &diff.state {
        out.bytes(&entry.key);
        change(&entry.change, out, &|out, cell: &Cell| {
            out.number(cell.counter);
            out.value(&cell.value)
        })?;
    }
    out.count(diff.trace.len());
    for (place, entry) in &diff.trace {
        out.number(*place);
        change(entry, out, &|out, entry| primitives::entry(entry, out))?;
    }
    Ok(())
}

fn change<T>(change: &EntryChange<T>, out: &mut Output, write: &dyn Fn(&mut Output, &T) -> Result<()>) -> Result<()> {
    match change {
        EntryChange::Added(value) => {
            out.u8(0);
            write(out, value)
        }
        EntryChange::Removed(value) => {
            out.u8(1);
            write(out, value)
        }
        EntryChange::Changed { from, to } => {
            out.u8(2);
            write(out, from)?;
            write(out, to)
        }
    }
}

fn document(change: &DocumentChange, out: &mut Output) -> Result<()> {
    match change {
        DocumentChange::Added(document) => {
            out.u8(0);
            out.document(document)
        }
        DocumentChange::Removed(document) => {
            out.u8(1);
            out.document(document)
        }
        DocumentChange::Changed(places) => {
            out.u8(3);
            out.count(places.len());
            for place in places {
                out.text(&place.path);
                match &place.change {
                    Change::Added(value) => {
                        out.u8(0);
                        out.document(value)?;
                    }
                    Change::Removed(value) => {
                        out.u8(1);
                        out.document(value)?;
                    }
                    Change::Changed { from, to } => {
                        out.u8(2);
                        out.document(from)?;
                        out.document(to)?;
                    }
                }
            }
            Ok(())
        }
    }
}
