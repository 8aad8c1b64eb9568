//! `trace`: what a run decided, called and looked up: a list in order of time, a tree, or what comes.

use std::collections::{BTreeMap, BTreeSet};

use clap::{Args, Subcommand};
use foldb::{
    Store,
    primitive::{ScanOptions, TraceEntry, TraceId, TraceKind},
};
use serde_json::json;

use crate::{
    context::{Context, InRun},
    failure::Result,
    follow::TailArgs,
    output::{Column, Listing},
    page::PageArgs,
    store::{self, Space, on_space},
    text, value,
};

/// Arguments of `foldb trace`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct TraceArgs {
    #[command(subcommand)]
    action: Option<Action>,
    /// As a tree: each entry below the one that it belongs to
    #[arg(long, conflicts_with_all = ["kind", "reverse", "limit", "after"])]
    tree: bool,
    /// Only entries of this kind, as in decision or tool_call
    #[arg(long)]
    kind: Option<String>,
    /// From the newest to the oldest
    #[arg(long)]
    reverse: bool,
    #[command(flatten)]
    page: PageArgs,
    #[command(flatten)]
    space: InRun,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Show the newest entries, and with --follow what comes, beside the process that records them
    Tail {
        /// Only entries of this kind, as in decision or tool_call
        #[arg(long)]
        kind: Option<String>,
        #[command(flatten)]
        tail: TailArgs,
        #[command(flatten)]
        space: InRun,
    },
}

/// Entries fetched at a time: a reader that stops early costs one page.
const PAGE: u64 = 1000;

/// `foldb trace`
pub(crate) fn run(args: &TraceArgs, context: &mut Context) -> Result<()> {
    if let Some(Action::Tail { kind, tail: how, space }) = &args.action {
        return tail(kind.as_deref(), how, space, context);
    }
    let store = context.store.open_to_look()?;
    let space = store::space(&store, args.space.run.as_deref())?;
    if args.tree { tree(&space, context) } else { list(args, &store, &space, context) }
}

fn list(args: &TraceArgs, store: &Store, space: &Space<'_>, context: &mut Context) -> Result<()> {
    let mut listing = Listing::new(&[
        Column::Left("id"),
        Column::Left("time"),
        Column::Left("kind"),
        Column::Left("name"),
        Column::Right("took"),
        Column::Left("data"),
        Column::Left("output"),
    ]);
    let kind = args.kind.as_deref().map(TraceKind::from_name);
    let mut left = args.page.limit.unwrap_or(u64::MAX);
    let mut options = if args.reverse { ScanOptions::all().reverse() } else { ScanOptions::all() };
    if let Some(id) = args.page.after_as::<TraceId>("a trace entry")? {
        options = options.after(id.to_bytes());
    }
    let mut is_empty = true;
    while left > 0 {
        options.limit = usize::try_from(left.min(PAGE)).ok();
        let page = fetch(space, kind.as_ref(), &options)?;
        let Some(last) = page.last() else { break };
        is_empty = false;
        options = options.after(last.id.to_bytes());
        left = left.saturating_sub(u64::try_from(page.len()).unwrap_or(u64::MAX));
        for entry in &page {
            listing.push_at(&mut context.output, entry.id.to_string(), record(entry), || row(entry))?;
        }
    }
    listing.finish_page(&mut context.output, "no trace entries", args.page.limit)?;
    if is_empty && !context.output.is_json() {
        let run = args.space.run.as_deref();
        let hint = store::elsewhere(store, run, "trace", |space| Ok(space.trace().count()? > 0));
        return hint.map_or(Ok(()), |hint| context.output.line(hint));
    }
    Ok(())
}

fn fetch(space: &Space<'_>, kind: Option<&TraceKind>, options: &ScanOptions) -> Result<Vec<TraceEntry>> {
    Ok(match kind {
        Some(kind) => on_space!(space, trace, |trace| trace.by_kind(kind, options))?,
        None => on_space!(space, trace, |trace| trace.list(options))?,
    })
}

/// All entries, each below its parent. One whose parent is not there stands by itself.
fn tree(space: &Space<'_>, context: &mut Context) -> Result<()> {
    let entries: Vec<TraceEntry> = on_space!(space, trace, |trace| trace.list(&ScanOptions::all()))?;
    let ids: BTreeSet<TraceId> = entries.iter().map(|entry| entry.id).collect();
    let mut children: BTreeMap<Option<TraceId>, Vec<&TraceEntry>> = BTreeMap::new();
    for entry in &entries {
        // An entry that is its own parent would never be reached.
        let parent = entry.parent.filter(|parent| ids.contains(parent) && *parent != entry.id);
        children.entry(parent).or_default().push(entry);
    }
    let mut listing = Listing::new(&[
        Column::Left("name"),
        Column::Left("kind"),
        Column::Left("id"),
        Column::Left("time"),
        Column::Right("took"),
        Column::Left("data"),
        Column::Left("output"),
    ]);
    // A trace may be deeper than a stack of calls.
    let mut open: Vec<(u64, &TraceEntry)> =
        children.remove(&None).unwrap_or_default().into_iter().map(|e| (0, e)).rev().collect();
    while let Some((depth, entry)) = open.pop() {
        let below = children.remove(&Some(entry.id)).unwrap_or_default();
        open.extend(below.into_iter().rev().map(|child| (depth + 1, child)));
        let mut record = record(entry);
        record["depth"] = json!(depth);
        listing.push(&mut context.output, &record, || {
            let [time, kind, name, took, data, output] = cells(entry);
            let indent = usize::try_from(depth.min(40)).unwrap_or(0);
            let name = if depth == 0 { name } else { format!("{}└ {name}", "  ".repeat(indent - 1)) };
            vec![name, kind, entry.id.to_string(), time, took, data, output]
        })?;
    }
    listing.finish(&mut context.output, "no trace entries").map(drop)
}

/// Entries are shown that came with times up to so many microseconds before the newest that was shown: clocks and ids of
/// several threads do not agree to the microsecond.
const LATE_MICROS: u64 = 10_000_000;

/// Shows entries as they come, a line each.
fn tail(kind: Option<&str>, args: &TailArgs, space: &InRun, context: &mut Context) -> Result<()> {
    let store = context.store.open_to_look()?;
    let space = store::space(&store, space.run.as_deref())?;
    let kind = kind.map(TraceKind::from_name);
    let mut newest_first = ScanOptions::all().reverse();
    newest_first.limit = usize::try_from(args.last).ok();
    let mut first = if args.last == 0 { Vec::new() } else { fetch(&space, kind.as_ref(), &newest_first)? };
    first.reverse();
    // What is there already and was not asked for is not new.
    let newest = on_space!(&space, trace, |trace| trace.list(&ScanOptions::all().reverse().limit(1)))?;
    let mut newest_micros = newest.first().map_or(0, |entry| entry.time_micros);
    let mut shown: BTreeMap<TraceId, u64> = recent(&space, newest_micros)?.iter().map(place).collect();
    args.each_time(&store, &mut context.output, |output| {
        let found = recent(&space, newest_micros)?;
        let fresh = found.into_iter().filter(|entry| !shown.contains_key(&entry.id));
        let fresh: Vec<TraceEntry> = std::mem::take(&mut first).into_iter().chain(fresh).collect();
        for entry in &fresh {
            newest_micros = newest_micros.max(entry.time_micros);
            shown.extend([place(entry)]);
            if kind.as_ref().is_none_or(|kind| entry.kind == *kind) {
                output.answer(&record(entry), row(entry).join("  "))?;
            }
        }
        shown.retain(|_, time| *time >= newest_micros.saturating_sub(LATE_MICROS));
        Ok(())
    })
}

fn place(entry: &TraceEntry) -> (TraceId, u64) {
    (entry.id, entry.time_micros)
}

fn recent(space: &Space<'_>, newest_micros: u64) -> Result<Vec<TraceEntry>> {
    let from = newest_micros.saturating_sub(LATE_MICROS);
    Ok(on_space!(space, trace, |trace| trace.by_time(from, u64::MAX, &ScanOptions::all()))?)
}

fn record(entry: &TraceEntry) -> serde_json::Value {
    json!({
        "id": entry.id.to_string(),
        "kind": entry.kind.name(),
        "name": entry.name,
        "parent": entry.parent.map(|parent| parent.to_string()),
        "time_micros": entry.time_micros,
        "duration_micros": entry.duration_micros,
        "data": value::to_json(&entry.data),
        "output": value::to_json(&entry.output),
    })
}

fn row(entry: &TraceEntry) -> Vec<String> {
    [vec![entry.id.to_string()], cells(entry).to_vec()].concat()
}

fn cells(entry: &TraceEntry) -> [String; 6] {
    let took = entry.duration_micros.map(|micros| text::duration(std::time::Duration::from_micros(micros)));
    [
        text::time(entry.time_micros),
        entry.kind.name().to_owned(),
        text::shortened(&entry.name, 40),
        took.unwrap_or_default(),
        text::shortened(&value::to_text(&entry.data), text::VALUE_WIDTH),
        text::shortened(&value::to_text(&entry.output), text::VALUE_WIDTH),
    ]
}
