//! The table: every operation of every primitive, with what is there before. The next operation gets a line here.

use core::{ops::ControlFlow, time::Duration};
use std::{format, vec, vec::Vec};

use ruint::aliases::U256;
use serde_json::json;

use super::place::{Place, Space};
use crate::{
    Result, RunId, RunOptions, TransactionOptions,
    db::RunFilter,
    limits::EDITED_DOCUMENT_BYTES_MIN,
    primitive::{EventBatch, NewEvent, ScanOptions, TraceKind, TraceRecord, Version},
    tree::{Direction, KeyRange},
};

/// An operation.
pub(super) struct Row {
    pub(super) name: &'static str,
    /// Makes so many of what the operation is done on, in one transaction.
    pub(super) prepare: fn(&Space<'_>, u64),
    /// Does it once: there are so many, and this is the so-manieth time.
    pub(super) operate: fn(&Space<'_>, u64, u64) -> Result<()>,
    /// Whether it goes over all there is: then it may cost the same for each.
    pub(super) is_of_all: bool,
    /// Whether it writes, so that its own history is replayed; a read is done on the replay of what is prepared.
    pub(super) writes: bool,
    /// Whether what is there is committed one by one.
    pub(super) singly: bool,
}

type Operate = fn(&Space<'_>, u64, u64) -> Result<()>;

fn write(name: &'static str, prepare: fn(&Space<'_>, u64), operate: Operate) -> Row {
    Row { name, prepare, operate, is_of_all: false, writes: true, singly: false }
}

fn read(name: &'static str, prepare: fn(&Space<'_>, u64), operate: Operate) -> Row {
    Row { writes: false, ..write(name, prepare, operate) }
}

/// One that deals with everything there is.
fn all(row: Row) -> Row {
    Row { is_of_all: true, ..row }
}

/// One on what is committed one by one: a batch for each event.
fn singly(row: Row) -> Row {
    Row { singly: true, ..row }
}

/// A key as no other number has it, in no order.
fn key(number: u64) -> [u8; 8] {
    number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes()
}

/// One of so many, another one each time.
fn some(amount: u64, turn: u64) -> [u8; 8] {
    key((turn * 37) % amount)
}

fn page() -> ScanOptions {
    ScanOptions::all().limit(3)
}

fn newest() -> ScanOptions {
    ScanOptions::all().reverse().limit(3)
}

/// A page from the middle.
fn middle() -> ScanOptions {
    ScanOptions::all().after([0x80]).limit(3)
}

fn pairs(space: &Space<'_>, amount: u64) {
    (0..amount).for_each(|number| space.kv().put(key(number), number).unwrap());
}

/// Pairs that are over some time, none of them soon.
fn pairs_with_ttl(space: &Space<'_>, amount: u64) {
    let put = |number: u64| space.kv().put_expiring_at(key(number), number, (1 << 50) + (number * 37) % amount);
    (0..amount).for_each(|number| put(number).unwrap());
}

/// Pairs that are over.
fn pairs_over(space: &Space<'_>, amount: u64) {
    (0..amount).for_each(|number| space.kv().put_expiring_at(key(number), number, 1).unwrap());
}

/// In the order of their keys, as a bulk load has them.
fn ascending(space: &Space<'_>, amount: u64) {
    space.kv().put_many((0..amount).map(|number| (number.to_be_bytes(), number))).unwrap();
}

fn documents(space: &Space<'_>, amount: u64) {
    let document = |number| json!({ "n": number, "list": [1, 2] });
    (0..amount).for_each(|number| space.json().set(key(number), &document(number)).unwrap());
}

/// The same, and one that is so large that its changes are logged, and not all of it.
fn documents_and_a_large_one(space: &Space<'_>, amount: u64) {
    documents(space, amount);
    space.json().set("large", &json!({ "text": "x".repeat(2 * EDITED_DOCUMENT_BYTES_MIN), "list": [] })).unwrap();
}

fn cells(space: &Space<'_>, amount: u64) {
    (0..amount).for_each(|number| space.state().init(key(number), number).unwrap());
}

fn stream(space: &Space<'_>, amount: u64) {
    for number in 0..amount {
        space.events().append("log", "e", number).unwrap();
    }
}

fn streams(space: &Space<'_>, amount: u64) {
    for number in 0..amount {
        space.events().append(key(number), "e", number).unwrap();
    }
}

fn trace(space: &Space<'_>, amount: u64) {
    for number in 0..amount {
        let record = TraceRecord::new(TraceKind::ToolCall, "call").time_micros(1_000 * number);
        space.trace().record(record).unwrap();
    }
}

fn runs(space: &Space<'_>, amount: u64) {
    let begin = |tx: &crate::Transaction<'_, crate::storage::MemStorage>| {
        (0..amount).try_for_each(|number| tx.runs().begin(RunOptions::named("r").id(run(number))).map(|_| ()))
    };
    space.in_transaction(begin).unwrap();
}

/// One run that was given a label so many times.
fn labels(space: &Space<'_>, amount: u64) {
    let run = space.run();
    let label = |tx: &crate::Transaction<'_, crate::storage::MemStorage>| {
        (0..amount).try_for_each(|number| tx.runs().set_label(run, "k".into(), Some(format!("{number}"))))
    };
    space.in_transaction(label).unwrap();
}

fn run(number: u64) -> RunId {
    let mut id = [5; 16];
    id[..8].copy_from_slice(&key(number));
    RunId::from_bytes(id)
}

/// An entry: one of the newest.
fn entry(space: &Space<'_>) -> Result<crate::primitive::TraceEntry> {
    Ok(space.trace().list(&newest())?.remove(0))
}

pub(super) fn pairs_table() -> Vec<Row> {
    vec![
        write("kv.put", pairs, |s, n, i| s.kv().put(key(n + i), i)),
        write("kv.put, in order", ascending, |s, n, i| s.kv().put((n + i).to_be_bytes(), i)),
        write("kv.put over another", pairs, |s, n, i| s.kv().put(some(n, i), i)),
        write("kv.put_many of 4", pairs, |s, n, i| s.kv().put_many((0..4).map(|at| (key(n + 4 * i + at), at)))),
        write("kv.remove", pairs, |s, n, i| s.kv().remove(some(n, i))),
        write("kv.delete", pairs, |s, n, i| s.kv().delete(some(n, i)).map(|_| ())),
        write("kv.delete_many of 4", pairs, |s, n, i| {
            s.kv().delete_many((0..4).map(|at| key((4 * i + at) % n))).map(|_| ())
        }),
        write("kv.update", pairs, |s, n, i| s.kv().update(some(n, i), |value| value.unwrap_or(0_u64) + 1).map(|_| ())),
        write("kv.put_if_absent", pairs, |s, n, i| s.kv().put_if_absent(key(n + i), i)),
        write("kv.cas_version", pairs, |s, n, i| {
            let version: Option<Version> = s.kv().get_versioned::<u64>(some(n, i))?.map(|found| found.version);
            s.kv().cas_version(some(n, i), version, 1)
        }),
        write("kv.cas_value", pairs, |s, n, i| {
            let found = s.kv().get::<u64>(some(n, i))?;
            s.kv().cas_value(some(n, i), found.as_ref(), 1)
        }),
        write("kv.get_and_put", pairs, |s, n, i| s.kv().get_and_put::<u64>(some(n, i), 1).map(|_| ())),
        write("kv.get_and_delete", pairs, |s, n, i| s.kv().get_and_delete::<u64>(some(n, i)).map(|_| ())),
        write("kv.rename", pairs, |s, n, i| s.kv().rename(key(i % n), key(n + i))),
        write("kv.add_i64", pairs, |s, n, i| s.kv().add_i64(some(n, i), 1)),
        write("kv.add_f64", pairs, |s, n, i| s.kv().add_f64(key(n + i), 0.5)),
        write("kv.add_u256", pairs, |s, n, i| s.kv().add_u256(key(n + i), U256::from(1))),
        write("kv.put_with_ttl", pairs_with_ttl, |s, n, i| s.kv().put_with_ttl(key(n + i), i, Duration::from_secs(1))),
        write("kv.put over one with a ttl", pairs_with_ttl, |s, n, i| s.kv().put(some(n, i), i)),
        write("kv.touch", pairs_with_ttl, |s, n, i| s.kv().touch(some(n, i), Duration::from_secs(1)).map(|_| ())),
        read("kv.expires_at", pairs_with_ttl, |s, n, i| s.kv().expires_at(some(n, i)).map(|_| ())),
        write("kv.expire_at and persist", pairs_with_ttl, |s, n, i| {
            s.kv().expire_at(some(n, i), 1 << 51)?;
            s.kv().persist(some(n, i)).map(|_| ())
        }),
        write("kv.put_expiring_at and put_keep_ttl", pairs_with_ttl, |s, n, i| {
            s.kv().put_expiring_at(some(n, i), i, 1 << 51)?;
            s.kv().put_keep_ttl(some(n, i), i)
        }),
        write("kv.put_if_absent_with_ttl", pairs, |s, n, i| {
            s.kv().put_if_absent_with_ttl(key(n + i), i, Duration::from_secs(1))
        }),
        read("kv.ttl", pairs_with_ttl, |s, n, i| s.kv().ttl(some(n, i)).map(|_| ())),
        write("run.sweep_expired(1)", pairs_over, |s, _, _| s.sweep(1)),
        write("kv.put, then a page", pairs, |s, n, i| {
            s.kv().put(key(n + i), i)?;
            s.kv().scan(&page()).map(|_| ())
        }),
        write("kv.put in order, then a page", ascending, |s, n, i| {
            s.kv().put((n + i).to_be_bytes(), i)?;
            s.kv().scan(&newest()).map(|_| ())
        }),
        read("kv.get", pairs, |s, n, i| s.kv().get::<u64>(some(n, i)).map(|_| ())),
        read("kv.get_many of 4", pairs, |s, n, i| {
            s.kv().get_many::<u64, _>((0..4).map(|at| some(n, i + at))).map(|_| ())
        }),
        write("kv.add_u64, then get", pairs, |s, n, i| {
            s.kv().add_u64(some(n, i), 1)?;
            s.kv().get_or(some(n, i), 0_u64).map(|_| ())
        }),
        read("kv.get_with", pairs, |s, n, i| s.kv().get_with(some(n, i), |_| ()).map(|_| ())),
        read("kv.for_each, the first", pairs, |s, _, _| {
            s.kv().for_each(KeyRange::all(), Direction::Forward, |_, _| ControlFlow::Break(()))
        }),
        read("kv.exists", pairs, |s, n, i| s.kv().exists(some(n, i)).map(|_| ())),
        read("kv.exists_many of 4", pairs, |s, n, i| s.kv().exists_many((0..4).map(|at| some(n, i + at))).map(|_| ())),
        read("kv.iter, from both ends", pairs, |s, _, _| {
            let mut entries = s.kv().iter::<u64>(&ScanOptions::all());
            entries.next().transpose()?;
            entries.next_back().transpose().map(|_| ())
        }),
        write("kv.delete_range of one", pairs, |s, n, i| {
            let only = some(n, i);
            s.kv().delete_range(only..=only).map(|_| ())
        }),
        read("kv.scan, a page", pairs, |s, _, _| s.kv().scan(&page()).map(|_| ())),
        read("kv.scan, a page of ascending", ascending, |s, _, _| s.kv().scan(&page()).map(|_| ())),
        read("kv.scan, the last page", pairs, |s, _, _| s.kv().scan(&newest()).map(|_| ())),
        read("kv.keys from the middle", pairs, |s, _, _| s.kv().keys(&middle()).map(|_| ())),
        all(read("kv.count, for each", pairs, |s, _, _| s.kv().count(KeyRange::all()).map(|_| ()))),
    ]
}

pub(super) fn documents_table() -> Vec<Row> {
    vec![
        write("json.set", documents, |s, n, i| s.json().set(key(n + i), &json!({ "n": i }))),
        write("json.set_with_ttl and set_keep_ttl", documents, |s, n, i| {
            s.json().set_with_ttl(key(n + i), &json!({ "n": i }), Duration::from_secs(1))?;
            s.json().set_as_with_ttl(key(n + i), &i, Duration::from_secs(2))?;
            s.json().set_expiring_at(some(n, i), &json!(i), 1 << 50)?;
            s.json().set_keep_ttl(some(n, i), &json!(i + 1))
        }),
        write("json.delete", documents, |s, n, i| s.json().delete(some(n, i)).map(|_| ())),
        write("json.set_at", documents, |s, n, i| s.json().set_at(some(n, i), "/n", &json!(i)).map(|_| ())),
        write("json.push_at", documents, |s, n, i| s.json().push_at(some(n, i), "/list", &json!(i)).map(|_| ())),
        write("json.push_at and set_at, a large document", documents_and_a_large_one, |s, _, i| {
            s.json().push_at("large", "/list", &json!(i))?;
            s.json().set_at("large", "/list/0", &json!(i)).map(|_| ())
        }),
        write("json.merge_at", documents, |s, n, i| s.json().merge_at(some(n, i), "", &json!({ "m": i })).map(|_| ())),
        write("json.set_many of 4", documents, |s, n, i| {
            s.json().set_many((0..4).map(|at| (key(n + 4 * i + at), json!({ "n": at }))))
        }),
        write("json.delete_many of 4", documents, |s, n, i| {
            s.json().delete_many((0..4).map(|at| key((4 * i + at) % n))).map(|_| ())
        }),
        write("json.delete_at", documents, |s, n, i| s.json().delete_at(some(n, i), "/m").map(|_| ())),
        write("json.patch", documents, |s, n, i| {
            s.json().patch(some(n, i), &json!([{ "op": "replace", "path": "/n", "value": i }]))
        }),
        write("json.pop_at", documents, |s, n, i| s.json().pop_at(some(n, i), "/list").map(|_| ())),
        write("json.increment_at", documents, |s, n, i| s.json().increment_at(some(n, i), "/n", 1).map(|_| ())),
        read("json.get_many of 4", documents, |s, n, i| {
            s.json().get_many((0..4).map(|at| some(n, i + at))).map(|_| ())
        }),
        read("json.exists", documents, |s, n, i| s.json().exists(some(n, i)).map(|_| ())),
        read("json.length_at, type_at, keys_at", documents, |s, n, i| {
            s.json().length_at(some(n, i), "/list")?;
            s.json().type_at(some(n, i), "/n")?;
            s.json().keys_at(some(n, i), "").map(|_| ())
        }),
        read("json.keys, the last page", documents, |s, _, _| s.json().keys(&newest()).map(|_| ())),
        all(read("json.count, for each", documents, |s, _, _| s.json().count(KeyRange::all()).map(|_| ()))),
        read("json.exists_many of 4", documents, |s, n, i| {
            s.json().exists_many((0..4).map(|at| some(n, i + at))).map(|_| ())
        }),
        read("json.iter, from both ends", documents, |s, _, _| {
            let mut entries = s.json().iter(&ScanOptions::all());
            entries.next().transpose()?;
            entries.next_back().transpose().map(|_| ())
        }),
        write("json.delete_range of one", documents, |s, n, i| {
            let only = some(n, i);
            s.json().delete_range(only..=only).map(|_| ())
        }),
        write("json.upsert and update", documents, |s, n, i| {
            s.json().upsert(key(n + i), &json!({ "m": i }))?;
            s.json().update(some(n, i), |document| document.unwrap_or_default()).map(|_| ())
        }),
        read("json.get", documents, |s, n, i| s.json().get(some(n, i)).map(|_| ())),
        read("json.get_at", documents, |s, n, i| s.json().get_at(some(n, i), "/n").map(|_| ())),
        read("json.list, a page", documents, |s, _, _| s.json().list(&page()).map(|_| ())),
        all(read("json.select, for each", documents, |s, _, _| {
            s.json().select(&ScanOptions::all(), "/n", &json!(1)).map(|_| ())
        })),
    ]
}

pub(super) fn events_table() -> Vec<Row> {
    let rows = vec![
        write("events.append", stream, |s, _, i| s.events().append("log", "e", i).map(|_| ())),
        write("events.append_batch of 4", stream, |s, _, _| {
            s.events().append_batch("log", (0..4).map(|number| NewEvent::new("e", number))).map(|_| ())
        }),
        write("events.append_encoded to a new stream", streams, |s, n, i| {
            let mut batch = EventBatch::new();
            batch.push("e", i)?;
            s.events().append_encoded(key(n + i), &batch).map(|_| ())
        }),
        write("events.append, then the newest", stream, |s, _, i| {
            s.events().append("log", "e", i)?;
            s.events().range("log", .., 1, Direction::Backward).map(|_| ())
        }),
        write("events.get and trim, one by one", stream, |s, _, i| {
            let first = s.events().first("log")?.unwrap_or(0);
            assert!(s.events().get("log", first)?.is_some(), "event {i}");
            s.events().trim("log", first + 1)
        }),
        write("events.append and trim, one stream of many", streams, |s, n, i| {
            s.events().append(some(n, i), "e", i)?;
            s.events().trim(some(n, i), 2)
        }),
        write("events.delete_stream", streams, |s, n, i| s.events().delete_stream(some(n, i)).map(|_| ())),
        write("events.append and delete_stream", streams, |s, n, i| {
            s.events().append(key(n + i), "e", i)?;
            s.events().delete_stream(key(n + i)).map(|_| ())
        }),
        all(read("events.all, for each stream", streams, |s, _, _| {
            s.events().all(None, 3, Direction::Forward).map(|_| ())
        })),
        read("events.all, behind one", stream, |s, _, _| {
            let newest = s.events().all(None, 1, Direction::Backward)?;
            s.events().all(newest[0].place(), 3, Direction::Backward).map(|_| ())
        }),
        read("events.get", stream, |s, n, i| s.events().get("log", (i * 37) % n + 1).map(|_| ())),
        read("events.range, the oldest", stream, |s, _, _| {
            s.events().range("log", .., 3, Direction::Forward).map(|_| ())
        }),
        read("events.range, the newest", stream, |s, _, _| {
            s.events().range("log", .., 3, Direction::Backward).map(|_| ())
        }),
        read("events.range from the middle", stream, |s, n, _| {
            s.events().range("log", n / 2.., 3, Direction::Forward).map(|_| ())
        }),
        read("events.for_each, the newest", stream, |s, _, _| {
            s.events().for_each("log", .., Direction::Backward, |_| ControlFlow::Break(()))
        }),
        read("events.head, first, len, info", stream, |s, _, _| {
            s.events().head("log")?;
            s.events().first("log")?;
            s.events().len("log")?;
            s.events().info("log").map(|_| ())
        }),
        read("events.streams, a page", streams, |s, _, _| s.events().streams(&page()).map(|_| ())),
        read("events.streams, the last page", streams, |s, _, _| s.events().streams(&newest()).map(|_| ())),
        all(read("events.for_each, for each", stream, |s, _, _| {
            s.events().for_each("log", .., Direction::Forward, |_| ControlFlow::Continue(()))
        })),
        all(read("events.verify_chain, for each", stream, |s, _, _| s.events().verify_chain("log").map(|_| ()))),
    ];
    rows.into_iter().map(singly).collect()
}

pub(super) fn cells_table() -> Vec<Row> {
    vec![
        write("state.init", cells, |s, n, i| s.state().init(key(n + i), i)),
        write("state.init_with_ttl", cells, |s, n, i| s.state().init_with_ttl(key(n + i), i, Duration::from_secs(1))),
        write("state.set_with_ttl and set_keep_ttl", cells, |s, n, i| {
            s.state().set_with_ttl(some(n, i), i, Duration::from_secs(1))?;
            s.state().set_expiring_at(some(n, i), i, 1 << 50)?;
            s.state().set_keep_ttl(some(n, i), i).map(|_| ())
        }),
        write("state.set", cells, |s, n, i| s.state().set(some(n, i), i).map(|_| ())),
        write("state.cas", cells, |s, n, i| {
            let counter = s.state().get::<u64>(some(n, i))?.map_or(0, |cell| cell.counter);
            s.state().cas(some(n, i), counter, i).map(|_| ())
        }),
        write("state.transition", cells, |s, n, i| {
            s.state().transition(some(n, i), |value: u64| Ok(value + 1)).map(|_| ())
        }),
        write("state.delete", cells, |s, n, i| s.state().delete(some(n, i)).map(|_| ())),
        write("state.transition_or_init", cells, |s, n, i| {
            s.state().transition_or_init(key(n + i), 0_u64, |value| Ok(value + 1)).map(|_| ())
        }),
        read("state.exists", cells, |s, n, i| s.state().exists(some(n, i)).map(|_| ())),
        read("state.keys, the last page", cells, |s, _, _| s.state().keys(&newest()).map(|_| ())),
        read("state.exists_many of 4", cells, |s, n, i| {
            s.state().exists_many((0..4).map(|at| some(n, i + at))).map(|_| ())
        }),
        read("state.iter, from both ends", cells, |s, _, _| {
            let mut entries = s.state().iter::<u64>(&ScanOptions::all());
            entries.next().transpose()?;
            entries.next_back().transpose().map(|_| ())
        }),
        write("state.delete_range of one", cells, |s, n, i| {
            let only = some(n, i);
            s.state().delete_range(only..=only).map(|_| ())
        }),
        write("state.update", cells, |s, n, i| {
            s.state().update(some(n, i), |value: Option<u64>| value.unwrap_or(0) + 1).map(|_| ())
        }),
        read("state.get", cells, |s, n, i| s.state().get::<u64>(some(n, i)).map(|_| ())),
        read("state.list, a page", cells, |s, _, _| s.state().list(&page()).map(|_| ())),
        all(read("state.count, for each", cells, |s, _, _| s.state().count(KeyRange::all()).map(|_| ()))),
    ]
}

pub(super) fn trace_table() -> Vec<Row> {
    vec![
        write("trace.record", trace, |s, _, _| {
            s.trace().record(TraceRecord::new(TraceKind::Thought, "thought")).map(|_| ())
        }),
        write("trace.finish", trace, |s, _, _| s.trace().finish(entry(s)?.id, None, Some(1)).map(|_| ())),
        write("trace.record, then those of its kind", trace, |s, n, i| {
            let record = TraceRecord::new(TraceKind::ToolCall, "call").time_micros(1_000 * (n + i));
            s.trace().record(record)?;
            s.trace().by_kind(&TraceKind::ToolCall, &newest()).map(|_| ())
        }),
        read("trace.get", trace, |s, _, _| s.trace().get(entry(s)?.id).map(|_| ())),
        read("trace.exists", trace, |s, _, _| s.trace().exists(entry(s)?.id).map(|_| ())),
        read("trace.by_time, one id of a long time", trace, |s, _, _| {
            let id = entry(s)?.id.to_bytes();
            s.trace().by_time(0, u64::MAX, &ScanOptions::range(KeyRange::prefix(id))).map(|_| ())
        }),
        read("trace.list, the last page", trace, |s, _, _| s.trace().list(&newest()).map(|_| ())),
        read("trace.children", trace, |s, _, _| s.trace().children(entry(s)?.id, &page()).map(|_| ())),
        read("trace.roots, a page", trace, |s, _, _| s.trace().roots(&page()).map(|_| ())),
        read("trace.by_kind, the last page", trace, |s, _, _| {
            s.trace().by_kind(&TraceKind::ToolCall, &newest()).map(|_| ())
        }),
        read("trace.by_time, a page", trace, |s, n, _| s.trace().by_time(500 * n, u64::MAX, &page()).map(|_| ())),
        all(read("trace.count, for each", trace, |s, _, _| s.trace().count().map(|_| ()))),
    ]
}

pub(super) fn runs_table() -> Vec<Row> {
    vec![
        write("runs.begin", runs, |s, n, i| {
            s.in_transaction(|tx| tx.runs().begin(RunOptions::named("r").id(run(n + i))).map(|_| ()))
        }),
        write("runs.begin, and a pair in it", runs, |s, n, i| {
            s.in_transaction(|tx| tx.runs().begin(RunOptions::named("r").id(run(n + i)))?.kv().put("a", 1))
        }),
        write("runs.end", runs, |s, n, i| s.in_transaction(|tx| tx.runs().end(run(i % n), None))),
        write("runs.resume, and a pair in it", runs, |s, n, i| {
            s.in_transaction(|tx| {
                tx.runs().resume(run(i % n))?;
                tx.run(run(i % n))?.kv().put("a", 1)
            })
        }),
        write("runs.set_label", runs, |s, n, i| {
            s.in_transaction(|tx| tx.runs().set_label(run(i % n), "k".into(), Some("v".into())))
        }),
        write("runs.set_label and info, of one run", labels, |s, _, i| {
            let run = s.run();
            s.in_transaction(|tx| {
                tx.runs().set_label(run, "k".into(), Some(format!("{i}")))?;
                tx.runs().info(run).map(|_| ())
            })
        }),
        write("runs.set_label of one run, and a pair in it", labels, |s, _, i| {
            let run = s.run();
            s.in_transaction(|tx| {
                tx.runs().set_label(run, "k".into(), Some(format!("{i}")))?;
                tx.run(run)?.kv().put("a", i)
            })
        }),
        write("runs.fail and cancel", runs, |s, n, i| {
            s.in_transaction(|tx| match i % 2 {
                0 => tx.runs().fail(run(i % n), "why".into()),
                _ => tx.runs().cancel(run(i % n), "why".into()),
            })
        }),
        write("runs.set_metadata", runs, |s, n, i| s.in_transaction(|tx| tx.runs().set_metadata(run(i % n), i.into()))),
        write("runs.delete", runs, |s, n, i| s.in_transaction(|tx| tx.runs().delete(run(i % n)))),
        read("runs.info", runs, |s, n, i| match s.0 {
            Place::Store(db, _) => db.runs().info(run(i % n)).map(|_| ()),
            Place::View(..) => Ok(()),
            Place::Transaction(tx, _) => tx.runs().info(run(i % n)).map(|_| ()),
        }),
        all(read("runs.list by name, for each", runs, |s, _, _| {
            s.list_runs(&RunFilter::all().name("r").limit(3).parent(run(0))).map(|_| ())
        })),
        read("runs.list, a page", runs, |s, _, _| s.list_runs(&RunFilter::all().limit(3)).map(|_| ())),
        read("runs.list, a page from the middle", runs, |s, n, _| {
            s.list_runs(&RunFilter::all().limit(3).after(u32::try_from(n / 2).unwrap())).map(|_| ())
        }),
        read("runs.list, the newest before one", runs, |s, n, _| {
            s.list_runs(&RunFilter::all().limit(3).after(u32::try_from(n / 2).unwrap()).newest_first()).map(|_| ())
        }),
        write("once, seen and recall", pairs, |s, _, i| match s.0 {
            Place::Store(db, _) => {
                db.once(key(i), |tx| tx.kv().put("a", i))?;
                let _ = db.seen(key(i));
                db.recall(&TransactionOptions::new().idempotency_key(key(i))).map(|_| ())
            }
            _ => Ok(()),
        }),
        write("a transaction with a key", pairs, |s, _, i| match s.0 {
            Place::Store(db, _) => {
                let options = TransactionOptions::new().idempotency_key(key(i));
                db.transaction_with(&options, |tx| tx.kv().put("a", i)).map(|_| ())
            }
            _ => Ok(()),
        }),
    ]
}

pub(super) fn savepoints_table() -> Vec<Row> {
    vec![
        write("savepoint, put", pairs, |s, n, i| {
            let (run, number) = (s.run(), key(n + i));
            s.in_transaction(|tx| {
                let _savepoint = tx.savepoint();
                tx.run(run)?.kv().put(number, i)
            })
        }),
        write("savepoint, put over another, rollback", pairs, |s, n, i| {
            let (run, number) = (s.run(), some(n, i));
            s.in_transaction(|tx| {
                let savepoint = tx.savepoint();
                tx.run(run)?.kv().put(number, format!("{i}"))?;
                tx.rollback_to(&savepoint)
            })
        }),
        write("savepoint, append, rollback", stream, |s, _, i| {
            let run = s.run();
            s.in_transaction(|tx| {
                let savepoint = tx.savepoint();
                tx.run(run)?.events().append("log", "e", i)?;
                tx.rollback_to(&savepoint)
            })
        }),
    ]
}
