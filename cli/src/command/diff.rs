//! `diff`: what differs between two runs, primitive by primitive, down to paths in a document.

use clap::Args;
use foldb::{
    Diff, DocumentChange, EntryChange,
    json::{Change, PathChange},
    primitive::{Cell, Event, TraceEntry},
    value::Value,
};
use serde_json::{Value as Json, json};

use crate::{
    context::Context,
    failure::{Failure, Result},
    option,
    output::{Column, Listing, Output},
    report::Counts,
    store, text, value,
};

/// Arguments of `foldb diff`.
#[derive(Debug, Args)]
pub(crate) struct DiffArgs {
    /// The older run, by id, by the beginning of its id, or by name
    older: String,
    /// The newer one
    newer: String,
    /// Print at most so many differences; the counts are always whole [default: 100, with --json all]
    #[arg(long, value_name = "N", value_parser = option::whole, allow_negative_numbers = true)]
    limit: Option<u64>,
}

/// `foldb diff`
pub(crate) fn run(args: &DiffArgs, context: &mut Context) -> Result<()> {
    let store = context.store.open_to_look()?;
    let older = store::find_run(&store, &args.older)?;
    let newer = store::find_run(&store, &args.newer)?;
    let diff = store.diff(older.id, newer.id)?;
    let counts = Counts::of(&diff);
    let differences = differences(&diff);
    if context.output.is_json() {
        let mut record = json!(counts);
        record["older"] = json!(older.id.to_string());
        record["newer"] = json!(newer.id.to_string());
        record["equal"] = json!(diff.is_empty());
        record["changes"] = differences.iter().take(shown(args.limit, usize::MAX)).map(Difference::record).collect();
        context.output.record(&record)?;
    } else {
        print(&differences, &counts, shown(args.limit, SHOWN), &mut context.output)?;
    }
    if diff.is_empty() { Ok(()) } else { Err(Failure::Negative) }
}

fn print(differences: &[Difference], counts: &Counts, limit: usize, output: &mut Output) -> Result<()> {
    let mut listing = Listing::new(&[
        Column::Left("what"),
        Column::Left("key"),
        Column::Left("change"),
        Column::Left("from"),
        Column::Left("to"),
    ]);
    for difference in differences.iter().take(limit) {
        for row in difference.rows() {
            listing.push(output, &(), || row)?;
        }
    }
    listing.finish(output, "the runs have the same content")?;
    if differences.is_empty() {
        return Ok(());
    }
    if differences.len() > limit {
        let more = u64::try_from(differences.len() - limit).unwrap_or(u64::MAX);
        output.line(format_args!("… and {} more; --limit {} shows all", text::count(more), differences.len()))?;
    }
    output.line("")?;
    output.line(counts.sentence())
}

/// One thing that differs, of whichever primitive.
pub(crate) struct Difference {
    primitive: &'static str,
    /// The key for a person: of events, stream and seq; of trace entries, the place.
    key: String,
    /// The members that say the same to a program.
    place: Json,
    change: Changed,
}

/// How it differs, with values as JSON.
enum Changed {
    Added(Json),
    Removed(Json),
    Whole(Json, Json),
    /// Places in a document.
    Paths(Vec<PathChange>),
}

/// All differences, in the order of the primitives and of their keys.
pub(crate) fn differences(diff: &Diff) -> Vec<Difference> {
    let mut all = Vec::new();
    for pair in &diff.kv {
        all.push(Difference::new("kv", &pair.key, Changed::of(&pair.change, value::to_json)));
    }
    for document in &diff.json {
        all.push(Difference::new("json", &document.key, Changed::of_document(&document.change)));
    }
    for stream in &diff.events {
        for (seq, change) in &stream.events {
            let mut difference = Difference::new("events", &stream.stream, Changed::of(change, event));
            difference.key = format!("{} {seq}", difference.key);
            difference.place["seq"] = json!(seq);
            all.push(difference);
        }
    }
    for cell in &diff.state {
        all.push(Difference::new("state", &cell.key, Changed::of(&cell.change, state_cell)));
    }
    for (place, change) in &diff.trace {
        let change = Changed::of(change, trace_entry);
        all.push(Difference { primitive: "trace", key: place.to_string(), place: json!({ "place": place }), change });
    }
    all
}

fn event(event: &Event) -> Json {
    json!({ "kind": event.kind, "payload": value::to_json(&event.payload) })
}

fn state_cell(cell: &Cell<Value>) -> Json {
    json!({ "counter": cell.counter, "value": value::to_json(&cell.value) })
}

fn trace_entry(entry: &TraceEntry) -> Json {
    json!({ "kind": entry.kind.name(), "name": entry.name, "data": value::to_json(&entry.data), "output": value::to_json(&entry.output) })
}

impl Changed {
    fn of<T>(change: &EntryChange<T>, show: impl Fn(&T) -> Json) -> Self {
        match change {
            EntryChange::Added(to) => Self::Added(show(to)),
            EntryChange::Removed(from) => Self::Removed(show(from)),
            EntryChange::Changed { from, to } => Self::Whole(show(from), show(to)),
        }
    }

    fn of_document(change: &DocumentChange) -> Self {
        match change {
            DocumentChange::Added(to) => Self::Added(to.clone()),
            DocumentChange::Removed(from) => Self::Removed(from.clone()),
            DocumentChange::Changed(paths) => Self::Paths(paths.clone()),
        }
    }
}

impl Difference {
    fn new(primitive: &'static str, key: &[u8], change: Changed) -> Self {
        Self { primitive, key: text::bytes(key), place: json!({ "key": value::key_to_json(key) }), change }
    }

    /// For a program.
    fn record(&self) -> Json {
        let mut record = self.place.clone();
        record["primitive"] = json!(self.primitive);
        match &self.change {
            Changed::Added(to) => {
                record["change"] = json!("added");
                record["to"] = to.clone();
            }
            Changed::Removed(from) => {
                record["change"] = json!("removed");
                record["from"] = from.clone();
            }
            Changed::Whole(from, to) => {
                record["change"] = json!("changed");
                record["from"] = from.clone();
                record["to"] = to.clone();
            }
            Changed::Paths(paths) => {
                record["change"] = json!("changed");
                record["paths"] = paths.iter().map(path_record).collect();
            }
        }
        record
    }

    /// For a person: a line, or one for each place in a document.
    pub(crate) fn rows(&self) -> Vec<Vec<String>> {
        let row = |key: String, change: &str, from: Option<&Json>, to: Option<&Json>| {
            let cell = |json: Option<&Json>| {
                json.map(|json| text::shortened(&json.to_string(), CELL_WIDTH)).unwrap_or_default()
            };
            vec![self.primitive.to_owned(), key, change.to_owned(), cell(from), cell(to)]
        };
        match &self.change {
            Changed::Added(to) => vec![row(self.key.clone(), "added", None, Some(to))],
            Changed::Removed(from) => vec![row(self.key.clone(), "removed", Some(from), None)],
            Changed::Whole(from, to) => vec![row(self.key.clone(), "changed", Some(from), Some(to))],
            Changed::Paths(paths) => {
                let path = |path: &PathChange| {
                    let key = format!("{} {}", self.key, path.path);
                    match &path.change {
                        Change::Added(to) => row(key, "added", None, Some(to)),
                        Change::Removed(from) => row(key, "removed", Some(from), None),
                        Change::Changed { from, to } => row(key, "changed", Some(from), Some(to)),
                    }
                };
                paths.iter().map(path).collect()
            }
        }
    }
}

fn path_record(path: &PathChange) -> Json {
    match &path.change {
        Change::Added(to) => json!({ "path": path.path, "change": "added", "to": to }),
        Change::Removed(from) => json!({ "path": path.path, "change": "removed", "from": from }),
        Change::Changed { from, to } => json!({ "path": path.path, "change": "changed", "from": from, "to": to }),
    }
}

/// How many differences are printed.
fn shown(limit: Option<u64>, otherwise: usize) -> usize {
    limit.map_or(otherwise, |limit| usize::try_from(limit).unwrap_or(usize::MAX))
}

/// How many differences a person is shown who did not ask for more.
const SHOWN: usize = 100;

/// How much of a value a table shows: two of them stand side by side.
const CELL_WIDTH: usize = 48;
