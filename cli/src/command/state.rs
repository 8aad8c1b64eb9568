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
    store::{self, on_space},
    text, value,
};

/// Arguments of `foldb state`.
#[derive(Debug, Args)]
pub(crate) struct StateArgs {
    /// Only the cell of this key; without it, all cells
    key: Option<String>,
    #[command(flatten)]
    space: InRun,
}

/// `foldb state`
pub(crate) fn run(args: &StateArgs, context: &mut Context) -> Result<()> {
    let store = context.store.open_to_look()?;
    let space = store::space(&store, args.space.run.as_deref())?;
    if let Some(key) = &args.key {
        let cell = on_space!(&space, state, |cells| cells.get::<Value>(key))?;
        let cell = cell.ok_or_else(|| Failure::absent(format!("there is no cell {key:?}")))?;
        let entry = CellEntry { key: key.clone().into_bytes(), cell };
        return context.output.answer(&record(&entry), value::to_text(&entry.cell.value));
    }
    let cells = on_space!(&space, state, |cells| cells.list(&ScanOptions::all()))?;
    let mut listing = Listing::new(&[Column::Left("key"), Column::Right("counter"), Column::Left("value")]);
    for entry in &cells {
        listing.push(&mut context.output, &record(entry), || {
            let shown = text::shortened(&value::to_text(&entry.cell.value), text::VALUE_WIDTH);
            vec![text::bytes(&entry.key), entry.cell.counter.to_string(), shown]
        })?;
    }
    listing.finish(&mut context.output, "no cells").map(drop)
}

fn record(entry: &CellEntry) -> serde_json::Value {
    json!({
        "key": value::key_to_json(&entry.key),
        "counter": entry.cell.counter,
        "value": value::to_json(&entry.cell.value),
    })
}
