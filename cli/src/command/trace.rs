//! `trace`: what a run decided, called and looked up, in order of time.

use clap::Args;
use foldb::primitive::{ScanOptions, TraceEntry, TraceKind};
use serde_json::json;

use crate::{
    context::{Context, InRun},
    failure::Result,
    option,
    output::{Column, Listing},
    store::{self, on_space},
    text, value,
};

/// Arguments of `foldb trace`.
#[derive(Debug, Args)]
pub(crate) struct TraceArgs {
    /// Only entries of this kind, as in decision or tool_call
    #[arg(long)]
    kind: Option<String>,
    /// From the newest to the oldest
    #[arg(long)]
    reverse: bool,
    /// At most so many
    #[arg(long, value_name = "N", value_parser = option::whole, allow_negative_numbers = true)]
    limit: Option<u64>,
    #[command(flatten)]
    space: InRun,
}

/// Entries fetched at a time: a reader that stops early costs one page.
const PAGE: u64 = 1000;

/// `foldb trace`
pub(crate) fn run(args: &TraceArgs, context: &mut Context) -> Result<()> {
    let store = context.store.open_to_look()?;
    let space = store::space(&store, args.space.run.as_deref())?;
    let mut listing = Listing::new(&[
        Column::Left("time"),
        Column::Left("kind"),
        Column::Left("name"),
        Column::Right("took"),
        Column::Left("data"),
        Column::Left("output"),
    ]);
    let kind = args.kind.as_deref().map(TraceKind::from_name);
    let mut left = args.limit.unwrap_or(u64::MAX);
    let mut options = if args.reverse { ScanOptions::all().reverse() } else { ScanOptions::all() };
    while left > 0 {
        options.limit = usize::try_from(left.min(PAGE)).ok();
        let page = match &kind {
            Some(kind) => on_space!(&space, trace, |trace| trace.by_kind(kind, &options))?,
            None => on_space!(&space, trace, |trace| trace.list(&options))?,
        };
        let Some(last) = page.last() else { break };
        options = options.after(last.id.to_bytes());
        left = left.saturating_sub(u64::try_from(page.len()).unwrap_or(u64::MAX));
        for entry in &page {
            listing.push(&mut context.output, &record(entry), || row(entry))?;
        }
    }
    listing.finish(&mut context.output, "no trace entries").map(drop)
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
    let took = entry.duration_micros.map(|micros| text::duration(std::time::Duration::from_micros(micros)));
    vec![
        text::time(entry.time_micros),
        entry.kind.name().to_owned(),
        text::shortened(&entry.name, 40),
        took.unwrap_or_default(),
        text::shortened(&value::to_text(&entry.data), text::VALUE_WIDTH),
        text::shortened(&value::to_text(&entry.output), text::VALUE_WIDTH),
    ]
}
