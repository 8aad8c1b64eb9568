//! `stats --by`: how much there is in each run, stream, or group of keys.
//!
//! Invariant: everything is counted at one version of the store.

use std::collections::BTreeMap;

use clap::ValueEnum;
use foldb::{AnyStorage, Direction, KeyRange, RunInfo, SpaceView, Store, primitive::ScanOptions, value::ValueRef};
use serde_json::json;

use crate::{
    context::Context,
    failure::Result,
    output::{Column, Listing},
    report::{self, Contents},
    store, text, value,
};

/// What figures are grouped by.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum By {
    /// The default space and each run: what it holds
    Run,
    /// Each stream of events
    Stream,
    /// Keys of pairs and documents that begin alike, up to the separator
    Prefix,
}

/// Prints the figures, of one run or of all spaces.
pub(super) fn print(by: By, run: Option<&str>, separator: &str, store: &Store, context: &mut Context) -> Result<()> {
    let view = store.view();
    let runs = match run {
        Some(wanted) => vec![Some(store::find_run(store, wanted)?)],
        None => std::iter::once(None).chain(view.runs().into_iter().map(Some)).collect(),
    };
    let mut listing = Listing::new(match by {
        By::Run => &[
            Column::Left("run"),
            Column::Left("id"),
            Column::Left("status"),
            Column::Right("commits"),
            Column::Right("pairs"),
            Column::Right("documents"),
            Column::Right("streams"),
            Column::Right("events"),
            Column::Right("cells"),
            Column::Right("trace"),
        ],
        By::Stream => &[
            Column::Left("run"),
            Column::Left("stream"),
            Column::Right("events"),
            Column::Right("size"),
            Column::Right("head"),
            Column::Left("newest"),
        ],
        By::Prefix => &[
            Column::Left("run"),
            Column::Left("what"),
            Column::Left("prefix"),
            Column::Right("count"),
            Column::Right("size"),
        ],
    });
    for run in &runs {
        let space = match run {
            None => view.default_space(),
            Some(run) => view.run(run.id)?,
        };
        match by {
            By::Run => contents(run.as_ref(), &space, &mut listing, context)?,
            By::Stream => streams(run.as_ref(), &space, &mut listing, context)?,
            By::Prefix => prefixes(run.as_ref(), &space, separator.as_bytes(), &mut listing, context)?,
        }
    }
    listing.finish(&mut context.output, "nothing").map(drop)
}

fn name(run: Option<&RunInfo>) -> String {
    run.map_or_else(|| String::from("(default space)"), |run| text::shortened(&run.name, 40))
}

/// A record that begins with the run that it is of.
fn record(run: Option<&RunInfo>, rest: serde_json::Value) -> serde_json::Value {
    let mut record = json!({ "run": run.map(|run| run.id.to_string()), "name": run.map(|run| &run.name) });
    if let (Some(record), serde_json::Value::Object(rest)) = (record.as_object_mut(), rest) {
        record.extend(rest);
    }
    record
}

type Space<'v, 'db> = SpaceView<'v, 'db, AnyStorage>;

fn contents(run: Option<&RunInfo>, space: &Space<'_, '_>, listing: &mut Listing, context: &mut Context) -> Result<()> {
    let contents = Contents::of(space)?;
    let mut rest = json!(contents);
    rest["status"] = json!(run.map(|run| run.status.name()));
    rest["commits"] = json!(run.map(|run| run.commits));
    listing.push(&mut context.output, &record(run, rest), || {
        vec![
            name(run),
            run.map(|run| run.id.to_string()).unwrap_or_default(),
            run.map(|run| run.status.name().to_owned()).unwrap_or_default(),
            run.map(|run| text::count(run.commits)).unwrap_or_default(),
            text::count(contents.pairs),
            text::count(contents.documents),
            text::count(contents.streams),
            text::count(contents.events),
            text::count(contents.cells),
            text::count(contents.trace_entries),
        ]
    })
}

fn streams(run: Option<&RunInfo>, space: &Space<'_, '_>, listing: &mut Listing, context: &mut Context) -> Result<()> {
    for stream in space.events().streams(&ScanOptions::all())? {
        listing.push(&mut context.output, &record(run, report::stream(&stream)), || {
            vec![
                name(run),
                text::bytes(&stream.stream),
                text::count(stream.events),
                text::size(stream.bytes),
                stream.head.to_string(),
                text::time(stream.appended_micros),
            ]
        })?;
    }
    Ok(())
}

/// How many there are, and about how many bytes their values have: documents as JSON text.
#[derive(Clone, Copy, Default)]
struct Sum {
    count: u64,
    bytes: u64,
}

fn prefixes(
    run: Option<&RunInfo>,
    space: &Space<'_, '_>,
    separator: &[u8],
    listing: &mut Listing,
    context: &mut Context,
) -> Result<()> {
    let mut sums: BTreeMap<(&'static str, Vec<u8>), Sum> = BTreeMap::new();
    let mut add = |what, key: &[u8], bytes: usize| {
        let sum = sums.entry((what, prefix(key, separator).to_vec())).or_default();
        sum.count += 1;
        sum.bytes = sum.bytes.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
    };
    space.kv().for_each(KeyRange::all(), Direction::Forward, |key, value| {
        add("pairs", key, value_bytes(&value));
        std::ops::ControlFlow::Continue(())
    })?;
    for entry in space.json().iter(&ScanOptions::all()) {
        let entry = entry?;
        add("documents", &entry.key, entry.document.to_string().len());
    }
    for ((what, prefix), sum) in sums {
        let rest = json!({
            "what": what, "prefix": value::key_to_json(&prefix), "count": sum.count, "bytes": sum.bytes,
        });
        listing.push(&mut context.output, &record(run, rest), || {
            vec![name(run), what.to_owned(), text::bytes(&prefix), text::count(sum.count), text::size(sum.bytes)]
        })?;
    }
    Ok(())
}

/// What of a key comes up to the first separator, with it; all of a key that has none.
fn prefix<'k>(key: &'k [u8], separator: &[u8]) -> &'k [u8] {
    if separator.is_empty() {
        return key;
    }
    let at = key.windows(separator.len()).position(|window| window == separator);
    at.and_then(|at| key.get(..at + separator.len())).unwrap_or(key)
}

/// About as many bytes as the value takes in the store.
fn value_bytes(value: &ValueRef<'_>) -> usize {
    match value {
        ValueRef::Text(text) => text.len(),
        ValueRef::Bytes(bytes) | ValueRef::List(bytes) | ValueRef::Map(bytes) | ValueRef::Tag(_, bytes) => bytes.len(),
        ValueRef::Null | ValueRef::Bool(_) => 1,
        ValueRef::Integer(_) | ValueRef::Float(_) => 9,
    }
}
