//! `events`: streams of events.

use std::ops::Bound;

use clap::{Args, Subcommand};
use foldb::{
    Direction, ErrorKind, Store,
    primitive::{Event, ScanOptions},
};
use serde_json::json;

use crate::{
    context::{Context, InRun},
    failure::{Failure, Result},
    follow::TailArgs,
    option,
    output::{Column, Listing},
    page::{self, PageArgs},
    report,
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
        #[command(flatten)]
        page: PageArgs,
        #[command(flatten)]
        space: InRun,
    },
    /// Show the newest events of a stream, and with --follow what comes, beside the process that appends them
    Tail {
        /// The stream
        stream: String,
        #[command(flatten)]
        tail: TailArgs,
        #[command(flatten)]
        space: InRun,
    },
    /// List the streams
    Streams {
        #[command(flatten)]
        page: PageArgs,
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
        Action::List { stream, from, reverse, page, space } => {
            list(&Listed { stream, from: *from, reverse: *reverse, page }, space, context)
        }
        Action::Tail { stream, tail: args, space } => tail(stream, args, space, context),
        Action::Streams { page, space } => streams(page, space, context),
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
    page: &'a PageArgs,
}

fn list(listed: &Listed<'_>, space: &InRun, context: &mut Context) -> Result<()> {
    let store = context.store.open_to_look()?;
    let run = space.run.as_deref();
    let space = store::space(&store, run)?;
    on_space!(&space, events, |events| events.info(listed.stream))?
        .ok_or_else(|| absent_in(&store, run, listed.stream))?;
    let mut listing =
        Listing::new(&[Column::Right("seq"), Column::Left("time"), Column::Left("kind"), Column::Left("payload")]);
    let direction = if listed.reverse { Direction::Backward } else { Direction::Forward };
    let mut left = listed.page.limit.unwrap_or(u64::MAX);
    let (mut lowest, mut highest) = if listed.reverse { (0, listed.from) } else { (listed.from.unwrap_or(0), None) };
    match (listed.page.after_as::<u64>("an event")?, listed.reverse) {
        (Some(after), false) => lowest = lowest.max(after.saturating_add(1)),
        (Some(after), true) => highest = Some(highest.unwrap_or(u64::MAX).min(after.saturating_sub(1))),
        (None, _) => {}
    }
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
            listing.push_at(&mut context.output, event.seq.to_string(), record(event), || row(event))?;
        }
    }
    listing.finish_page(&mut context.output, "no events", listed.page.limit)
}

/// Shows events as they come, a line each.
fn tail(stream: &str, args: &TailArgs, space: &InRun, context: &mut Context) -> Result<()> {
    let store = context.store.open_to_look()?;
    let run = space.run.as_deref();
    let space = store::space(&store, run)?;
    let head = match on_space!(&space, events, |events| events.info(stream))? {
        Some(info) => info.head,
        // It begins with its first event.
        None if args.follow => 0,
        None => return Err(absent_in(&store, run, stream)),
    };
    let mut next = head.saturating_sub(args.last).saturating_add(1);
    args.each_time(&store, &mut context.output, |output| {
        // A power failure, or a sync of the writer that failed, has taken back what was printed: others get these seqs.
        let head = on_space!(&space, events, |events| events.info(stream))?.map_or(0, |info| info.head);
        next = next.min(head.saturating_add(1));
        loop {
            let seqs = (Bound::Included(next), Bound::Unbounded);
            let most = usize::try_from(PAGE).ok();
            let page = on_space!(&space, events, |events| events.range(stream, seqs, most, Direction::Forward))?;
            let Some(last) = page.last() else { return Ok(()) };
            next = last.seq.saturating_add(1);
            for event in &page {
                output.answer(&record(event), row(event).join("  "))?;
            }
        }
    })
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

fn streams(page: &PageArgs, space: &InRun, context: &mut Context) -> Result<()> {
    let store = context.store.open_to_look()?;
    let space = store::space(&store, space.run.as_deref())?;
    let options = page.of(ScanOptions::all())?;
    let streams = on_space!(&space, events, |events| events.streams(&options))?;
    let mut listing = Listing::new(&[
        Column::Left("stream"),
        Column::Right("events"),
        Column::Right("first"),
        Column::Right("head"),
        Column::Right("size"),
        Column::Left("newest"),
    ]);
    for stream in &streams {
        listing.push_at(&mut context.output, page::key_cursor(&stream.stream), report::stream(stream), || {
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
    listing.finish_page(&mut context.output, "no streams", page.limit)
}

/// Checks every chain, also behind a broken one: whoever asks wants to know all of it.
fn verify(stream: Option<&str>, space: &InRun, context: &mut Context) -> Result<()> {
    let store = context.store.open_to_look()?;
    let run = space.run.as_deref();
    let space = store::space(&store, run)?;
    let names = match stream {
        None => on_space!(&space, events, |events| events.streams(&ScanOptions::all()))?
            .into_iter()
            .map(|summary| summary.stream)
            .collect(),
        Some(name) => {
            on_space!(&space, events, |events| events.info(name))?.ok_or_else(|| absent_in(&store, run, name))?;
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

fn absent_in(store: &Store, run: Option<&str>, stream: &str) -> Failure {
    let hint = store::elsewhere(store, run, "stream", |space| Ok(space.events().info(stream)?.is_some()));
    store::advise(Failure::absent(format!("there is no stream {stream:?}")), hint)
}
