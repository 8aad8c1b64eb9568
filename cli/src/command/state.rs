//! `state`: cells, each with the counter of its changes.

use clap::Args;
use foldb::{
    primitive::{CellEntry, ScanOptions},
    value::Value,
};
use serde_json::json;

use crate::{
    context::{Context, InRun},
    failure::{Failure, Result},
    output::{Column, Listing},
    page::{self, PageArgs},
    store::{self, on_space},
    text, value,
};

/// Arguments of `foldb state`.
#[derive(Debug, Args)]
pub(crate) struct StateArgs {
    /// Only the cell of this key; without it, all cells
    #[arg(conflicts_with_all = ["limit", "after"])]
    key: Option<String>,
    #[command(flatten)]
    page: PageArgs,
    #[command(flatten)]
    space: InRun,
}

/// `foldb state`
pub(crate) fn run(args: &StateArgs, context: &mut Context) -> Result<()> {
    let store = context.store.open_to_look()?;
    let space = store::space(&store, args.space.run.as_deref())?;
    if let Some(key) = &args.key {
        let cell = on_space!(&space, state, |cells| cells.get_versioned::<Value>(key))?;
        let found = cell.ok_or_else(|| {
            let hint = store::elsewhere(&store, args.space.run.as_deref(), "cell", |space| space.state().exists(key));
            store::advise(Failure::absent(format!("there is no cell {key:?}")), hint)
        })?;
        let entry = CellEntry { key: key.clone().into_bytes(), cell: found.value, version: found.version };
        return context.output.answer(&record(&entry), value::to_text(&entry.cell.value));
    }
    let options = args.page.of(ScanOptions::all())?;
    let cells = on_space!(&space, state, |cells| cells.list(&options))?;
    let mut listing = Listing::new(&[Column::Left("key"), Column::Right("counter"), Column::Left("value")]);
    for entry in &cells {
        listing.push_at(&mut context.output, page::key_cursor(&entry.key), record(entry), || {
            let shown = text::shortened(&value::to_text(&entry.cell.value), text::VALUE_WIDTH);
            vec![text::bytes(&entry.key), entry.cell.counter.to_string(), shown]
        })?;
    }
    listing.finish_page(&mut context.output, "no cells", args.page.limit)
}

fn record(entry: &CellEntry) -> serde_json::Value {
    json!({
        "key": value::key_to_json(&entry.key),
        "counter": entry.cell.counter,
        "value": value::to_json(&entry.cell.value),
    })
}
