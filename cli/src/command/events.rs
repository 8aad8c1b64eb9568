//! `events`: streams of events.

use std::ops::Bound;

use clap::{Args, Subcommand};
use foldb::{
    Direction, ErrorKind,
    primitive::{Event, ScanOptions},
};
use serde_json::json;

use crate::{
    context::{Context, InRun},
    failure::{Failure, Result},
    option,
    output::{Column, Listing},
    store::{self, on_space},
    text, value,
};

/// Arguments of `foldb events`.
#[derive(Debug, Args)]
pub(crate) struct EventsArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Append an event to a stream
    Append {
        /// The stream; it begins with its first event
        stream: String,
        /// The event's payload
        #[arg(allow_hyphen_values = true)]
        payload: String,
        /// What sort of event it is
        #[arg(long, default_value = "event")]
        kind: String,
        /// PAYLOAD is JSON rather than text
        #[arg(long)]
        json_value: bool,
        #[command(flatten)]
        space: InRun,
    },
    /// List the events of a stream in their order
    List {
        /// The stream
        stream: String,
        /// Begin with this seq (with --reverse: end with it)
        #[arg(long, value_name = "SEQ", value_parser = option::whole, allow_negative_numbers = true)]
        from: Option<u64>,
        /// From the newest to the oldest
        #[arg(long)]
        reverse: bool,
        /// At most so many
        #[arg(long, value_name = "N", value_parser = option::whole, allow_negative_numbers = true)]
        limit: Option<u64>,
        #[command(flatten)]
        space: InRun,
    },
    /// List the streams
    Streams {
        #[command(flatten)]
        space: InRun,
    },
    /// Check the hash chain of a stream, or of all; status 1 if one is broken
    Verify {
        /// The stream
        stream: Option<String>,
        #[command(flatten)]
        space: InRun,
    },
}

/// `foldb events`
pub(crate) fn run(args: &EventsArgs, context: &mut Context) -> Result<()> {
    match &args.action {
        Action::Append { stream, payload, kind, json_value, space } => {
            append(stream, kind, payload, *json_value, space, context)
        }
        Action::List { stream, from, reverse, limit, space } => {
            list(&Listed { stream, from: *from, reverse: *reverse, limit: *limit }, space, context)
        }
        Action::Streams { space } => streams(space, context),
        Action::Verify { stream, space } => verify(stream.as_deref(), space, context),
    }
}

fn append(
    stream: &str,
    kind: &str,
    payload: &str,
    json_value: bool,
    space: &InRun,
    context: &mut Context,
) -> Result<()> {
    let payload = value::parse("PAYLOAD", payload, json_value)?;
    let store = context.store.open_to_write(space.run.as_deref())?;
    let space = store::space(&store, space.run.as_deref())?;
    let seq = on_space!(&space, events, |events| events.append(stream, kind, &payload))?;
    store::close(store)?;
    // A handle outside of a transaction has committed, so the event has its seq.
    let seq = seq.unwrap_or_default();
    context.output.answer(&json!({ "stream": stream, "seq": seq }), format_args!("appended event {seq} to {stream}"))
}

/// What of a stream is listed.
struct Listed<'a> {
    stream: &'a str,
    from: Option<u64>,
    reverse: bool,
    limit: Option<u64>,
}

fn list(listed: &Listed<'_>, space: &InRun, context: &mut Context) -> Result<()> {
    let store = context.store.open_existing()?;
    let space = store::space(&store, space.run.as_deref())?;
    on_space!(&space, events, |events| events.info(listed.stream))?.ok_or_else(|| absent(listed.stream))?;
    let mut listing =
        Listing::new(&[Column::Right("seq"), Column::Left("time"), Column::Left("kind"), Column::Left("payload")]);
    let direction = if listed.reverse { Direction::Backward } else { Direction::Forward };
    let mut left = listed.limit.unwrap_or(u64::MAX);
    let (mut lowest, mut highest) = if listed.reverse { (0, listed.from) } else { (listed.from.unwrap_or(0), None) };
    while left > 0 {
        let most = usize::try_from(left.min(PAGE)).ok();
        let seqs = (Bound::Included(lowest), highest.map_or(Bound::Unbounded, Bound::Included));
        let page = on_space!(&space, events, |events| events.range(listed.stream, seqs, most, direction))?;
        let Some(last) = page.last() else { break };
        match direction {
            Direction::Forward => lowest = last.seq.saturating_add(1),
            Direction::Backward => highest = Some(last.seq.saturating_sub(1)),
        }
        left = left.saturating_sub(u64::try_from(page.len()).unwrap_or(u64::MAX));
        for event in &page {
            listing.push(&mut context.output, &record(event), || row(event))?;
        }
    }
    listing.finish(&mut context.output, "no events").map(drop)
}

/// Events fetched at a time: a reader that stops early costs one page.
const PAGE: u64 = 1000;

fn record(event: &Event) -> serde_json::Value {
    json!({
        "seq": event.seq,
        "time_micros": event.time_micros,
        "kind": event.kind,
        "payload": value::to_json(&event.payload),
    })
}

fn row(event: &Event) -> Vec<String> {
    let payload = text::shortened(&value::to_text(&event.payload), text::VALUE_WIDTH);
    vec![event.seq.to_string(), text::time(event.time_micros), event.kind.clone(), payload]
}

fn streams(space: &InRun, context: &mut Context) -> Result<()> {
    let store = context.store.open_existing()?;
    let space = store::space(&store, space.run.as_deref())?;
    let streams = on_space!(&space, events, |events| events.streams(&ScanOptions::all()))?;
    let mut listing = Listing::new(&[
        Column::Left("stream"),
        Column::Right("events"),
        Column::Right("first"),
        Column::Right("head"),
        Column::Right("size"),
        Column::Left("newest"),
    ]);
    for stream in &streams {
        let record = json!({
            "stream": value::key_to_json(&stream.stream),
            "events": stream.events,
            "first": stream.first,
            "head": stream.head,
            "bytes": stream.bytes,
            "created_micros": stream.created_micros,
            "appended_micros": stream.appended_micros,
            "link": text::hex(&stream.link),
        });
        listing.push(&mut context.output, &record, || {
            vec![
                text::bytes(&stream.stream),
                text::count(stream.events),
                stream.first.to_string(),
                stream.head.to_string(),
                text::size(stream.bytes),
                text::time(stream.appended_micros),
            ]
        })?;
    }
    listing.finish(&mut context.output, "no streams").map(drop)
}

/// Checks every chain, also behind a broken one: whoever asks wants to know all of it.
fn verify(stream: Option<&str>, space: &InRun, context: &mut Context) -> Result<()> {
    let store = context.store.open_existing()?;
    let space = store::space(&store, space.run.as_deref())?;
    let names = match stream {
        None => on_space!(&space, events, |events| events.streams(&ScanOptions::all()))?
            .into_iter()
            .map(|summary| summary.stream)
            .collect(),
        Some(name) => {
            on_space!(&space, events, |events| events.info(name))?.ok_or_else(|| absent(name))?;
            vec![name.as_bytes().to_vec()]
        }
    };
    let mut listing = Listing::new(&[
        Column::Left("stream"),
        Column::Left("chain"),
        Column::Right("events"),
        Column::Left("problem"),
    ]);
    let mut broken = false;
    for name in &names {
        let checked = on_space!(&space, events, |events| events.verify_chain(name));
        let (events, problem) = match checked {
            Ok(report) => (Some(report.events), None),
            // A broken chain is the answer here; anything else is a failure of the question.
            Err(error) if error.kind() == ErrorKind::Corrupt => (None, Some(error.to_string())),
            Err(error) => return Err(error.into()),
        };
        broken |= problem.is_some();
        let valid = problem.is_none();
        let record =
            json!({ "stream": value::key_to_json(name), "valid": valid, "events": events, "problem": problem });
        listing.push(&mut context.output, &record, || {
            let chain = if valid { "holds" } else { "broken" };
            let events = events.map(text::count).unwrap_or_default();
            vec![text::bytes(name), String::from(chain), events, problem.clone().unwrap_or_default()]
        })?;
    }
    listing.finish(&mut context.output, "no streams")?;
    if broken { Err(Failure::Negative) } else { Ok(()) }
}

fn absent(stream: &str) -> Failure {
    Failure::absent(format!("there is no stream {stream:?}"))
}
