//! The operations of the primitives: arguments from a request, results into an answer.
//!
//! Invariant: reads of entries copy a value once, from where it is stored into the answer, and decode nothing. Values come
//! back on the other side.

use core::ops::{Bound, ControlFlow};

use foldb_core::{
    Result,
    primitive::{
        Event, EventBatch, EventPlace, NewEvent, ScanOptions, StreamEvent, TraceEntry, TraceId, TraceKind, TraceRecord,
        Version,
        access::{Access, Item},
    },
    state::Family,
    tree::Direction,
    value::Encoded,
};
use ruint::aliases::U256;
use serde_json::Value as Json;

use crate::{
    access::Space,
    operation::Operation,
    wire::{Entries, Input, Output, malformed},
};

/// The families whose entries are read as they are: their bodies are values, behind a counter for cells.
pub(crate) fn family(input: &mut Input<'_>) -> Result<Family> {
    match input.u8()? {
        0 => Ok(Family::Kv),
        1 => Ok(Family::Json),
        3 => Ok(Family::State),
        _ => Err(malformed("an unknown family")),
    }
}

/// Reads of entries of any of those families, and deleting what a range of them has.
pub(crate) fn entries(operation: Operation, space: &Space<'_>, input: &mut Input<'_>, out: &mut Output) -> Result<()> {
    let family = family(input)?;
    match operation {
        Operation::EntryGet => get(space, family, input.bytes()?, &mut |item| {
            out.0.extend_from_slice(&item.bytes()?);
            Ok(())
        }),
        Operation::EntryGetVersioned => get(space, family, input.bytes()?, &mut |item| {
            out.number(item.seq.unwrap_or(0));
            out.0.extend_from_slice(&item.bytes()?);
            Ok(())
        }),
        Operation::EntryGetMany => {
            let keys = input.list(Input::bytes)?;
            let begin = out.0.len();
            out.count(keys.len());
            (&space).read(|reads| {
                for key in keys {
                    let at = out.0.len();
                    out.u32(0);
                    reads.get_with(space.number, family, key, &mut |item| {
                        let Some(item) = item else { return Ok(()) };
                        out.0.extend_from_slice(&item.bytes()?);
                        Ok(())
                    })?;
                    let length = out.0.len() - at - 4;
                    out.patch(at, length);
                    out.check(begin, 0)?;
                }
                Ok(())
            })
        }
        Operation::EntryExists => {
            let mut found = false;
            get(space, family, input.bytes()?, &mut |_| {
                found = true;
                Ok(())
            })?;
            out.flag(found);
            Ok(())
        }
        Operation::EntryExistsMany => {
            let keys = input.list(Input::bytes)?;
            out.count(keys.len());
            (&space).read(|reads| {
                for key in keys {
                    let mut found = false;
                    reads.get_with(space.number, family, key, &mut |item| {
                        found = item.is_some();
                        Ok(())
                    })?;
                    out.flag(found);
                }
                Ok(())
            })
        }
        Operation::EntryDeleteRange => {
            let range = input.last(Input::range)?;
            let deleted = match family {
                Family::Json => space.json().delete_range(range)?,
                Family::State => space.state().delete_range(range)?,
                _ => space.kv().delete_range(range)?,
            };
            out.number(deleted.keys);
            out.flag(deleted.is_complete);
            Ok(())
        }
        Operation::EntryCount => {
            let mut count = 0u64;
            scan(space, family, &ScanOptions::range(input.range()?), &mut |_, _| {
                count += 1;
                Ok(())
            })?;
            out.number(count);
            Ok(())
        }
        Operation::EntryKeys => {
            let at = out.0.len();
            out.u32(0);
            let mut count = 0;
            scan(space, family, &input.scan()?, &mut |key, _| {
                out.bytes(key);
                count += 1;
                Ok(())
            })?;
            out.patch(at, count);
            Ok(())
        }
        _ => {
            let mut entries = Entries::begin(out);
            scan(space, family, &input.scan()?, &mut |key, item| {
                entries.push(out, key, item.seq.unwrap_or(0), |values| {
                    values.extend_from_slice(&item.bytes()?);
                    Ok(())
                })
            })?;
            entries.finish(out);
            Ok(())
        }
    }
}

/// Calls `found` with the entry of a key, if there is one.
fn get(space: &Space<'_>, family: Family, key: &[u8], found: &mut dyn FnMut(&Item<'_>) -> Result<()>) -> Result<()> {
    space.read_dyn(&mut |reads| {
        reads.get_with(space.number, family, key, &mut |item| item.map_or(Ok(()), |item| found(&item)))
    })
}

/// Calls `each` for the entries that the options choose, and stops at the last, so that nothing behind it can conflict.
fn scan(
    space: &Space<'_>,
    family: Family,
    options: &ScanOptions,
    each: &mut dyn FnMut(&[u8], &Item<'_>) -> Result<()>,
) -> Result<()> {
    let range = options.remaining();
    let mut left = options.limit.unwrap_or(usize::MAX);
    if left == 0 || range.is_empty() {
        return Ok(());
    }
    space.read_dyn(&mut |reads| {
        reads.visit(space.number, family, &range, options.direction, &mut |key, item| {
            each(key, item)?;
            left -= 1;
            Ok(if left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        })
    })
}

/// Writes a value that may not be there: its bytes, or none.
fn maybe(out: &mut Output, value: Option<Encoded<Vec<u8>>>) {
    if let Some(Encoded(bytes)) = value {
        out.0.extend_from_slice(&bytes);
    }
}

/// A pair of key and encoded value.
fn pair<'a>(input: &mut Input<'a>) -> Result<(&'a [u8], Encoded<&'a [u8]>)> {
    Ok((input.bytes()?, Encoded(input.bytes()?)))
}

/// Writes of pairs.
pub(crate) fn kv(operation: Operation, space: &Space<'_>, input: &mut Input<'_>, out: &mut Output) -> Result<()> {
    let kv = space.kv();
    match operation {
        Operation::KvPutMany => return kv.put_many(input.last(|input| input.list(pair))?),
        Operation::KvDeleteMany => {
            out.number(kv.delete_many(input.last(|input| input.list(Input::bytes))?)?);
            return Ok(());
        }
        _ => {}
    }
    let key = input.bytes()?;
    if matches!(operation, Operation::KvDelete | Operation::KvRemove | Operation::KvGetAndDelete) {
        input.finish()?;
    }
    match operation {
        Operation::KvPut => kv.put(key, Encoded(input.last(Input::bytes)?)),
        Operation::KvPutIfAbsent => kv.put_if_absent(key, Encoded(input.last(Input::bytes)?)),
        Operation::KvDelete => {
            out.flag(kv.delete(key)?);
            Ok(())
        }
        Operation::KvRemove => kv.remove(key),
        Operation::KvCasVersion => {
            let expected = input.optional(Input::number)?.map(Version::from_seq);
            kv.cas_version(key, expected, Encoded(input.last(Input::bytes)?))
        }
        Operation::KvCasValue => {
            let expected = input.optional(Input::bytes)?.map(Encoded);
            kv.cas_value(key, expected.as_ref(), Encoded(input.last(Input::bytes)?))
        }
        Operation::KvGetAndPut => {
            maybe(out, kv.get_and_put(key, Encoded(input.last(Input::bytes)?))?);
            Ok(())
        }
        Operation::KvGetAndDelete => {
            maybe(out, kv.get_and_delete(key)?);
            Ok(())
        }
        Operation::KvRename => kv.rename(key, input.last(Input::bytes)?),
        Operation::KvAddI64 => kv.add_i64(key, i64::from_le_bytes(input.last(Input::array)?)),
        Operation::KvAddU64 => kv.add_u64(key, u64::from_le_bytes(input.last(Input::array)?)),
        Operation::KvAddF64 => kv.add_f64(key, input.last(Input::f64)?),
        _ => kv.add_u256(key, U256::from_le_bytes(input.last(Input::array::<32>)?)),
    }
}

/// Writes of documents, and all that happens at paths.
pub(crate) fn json(operation: Operation, space: &Space<'_>, input: &mut Input<'_>, out: &mut Output) -> Result<()> {
    let json = space.json();
    let maybe = |out: &mut Output, value: Option<Json>| match value {
        Some(value) => foldb_core::json::encode_document(&value, &mut out.0),
        None => Ok(()),
    };
    match operation {
        Operation::JsonSetMany => {
            let documents = input.last(|input| input.list(|input| Ok((input.bytes()?, input.document()?))))?;
            return json.set_many(documents);
        }
        Operation::JsonDeleteMany => {
            out.number(json.delete_many(input.last(|input| input.list(Input::bytes))?)?);
            return Ok(());
        }
        Operation::JsonSelect => {
            let (path, value) = (input.text()?, input.document()?);
            let found = json.select(&input.scan()?, path, &value)?;
            let mut entries = Entries::begin(out);
            for entry in &found {
                entries.push(out, &entry.key, seq(entry.version), |values| {
                    foldb_core::json::encode_document(&entry.document, values)
                })?;
            }
            entries.finish(out);
            return Ok(());
        }
        _ => {}
    }
    let key = input.bytes()?;
    match operation {
        Operation::JsonSet => return json.set(key, &input.last(Input::document)?),
        Operation::JsonDelete => {
            input.finish()?;
            out.flag(json.delete(key)?);
            return Ok(());
        }
        Operation::JsonCasVersion => {
            let expected = input.optional(Input::number)?.map(Version::from_seq);
            return json.cas_version(key, expected, &input.last(Input::document)?);
        }
        Operation::JsonUpsert => {
            out.flag(json.upsert(key, &input.last(Input::document)?)?);
            return Ok(());
        }
        Operation::JsonReplace => {
            // Not set: of a change of a large document the change is logged, as it is by an update in Rust.
            let document = input.last(Input::document)?;
            return json.update(key, |_| document.clone()).map(drop);
        }
        Operation::JsonPatch => return json.patch(key, &input.last(Input::document)?),
        _ => {}
    }
    let path = input.text()?;
    if matches!(operation, Operation::JsonDeleteAt | Operation::JsonPopAt) {
        input.finish()?;
    }
    match operation {
        Operation::JsonGetAt => maybe(out, json.get_at(key, path)?),
        Operation::JsonLengthAt => {
            out.number(json.length_at(key, path)?);
            Ok(())
        }
        Operation::JsonTypeAt => {
            out.0.extend_from_slice(json.type_at(key, path)?.unwrap_or_default().as_bytes());
            Ok(())
        }
        Operation::JsonKeysAt => {
            let keys = json.keys_at(key, path)?;
            out.count(keys.len());
            keys.iter().for_each(|key| out.text(key));
            Ok(())
        }
        Operation::JsonSetAt => maybe(out, json.set_at(key, path, &input.last(Input::document)?)?),
        Operation::JsonDeleteAt => maybe(out, json.delete_at(key, path)?),
        Operation::JsonMergeAt => json.merge_at(key, path, &input.last(Input::document)?),
        Operation::JsonPushAt => {
            out.number(json.push_at(key, path, &input.last(Input::document)?)?);
            Ok(())
        }
        Operation::JsonPopAt => maybe(out, json.pop_at(key, path)?),
        _ => match input.last(Input::document)? {
            Json::Number(by) => maybe(out, Some(Json::Number(json.increment_at(key, path, by)?))),
            _ => Err(malformed("the increment is not a number")),
        },
    }
}

/// Events.
pub(crate) fn events(operation: Operation, space: &Space<'_>, input: &mut Input<'_>, out: &mut Output) -> Result<()> {
    let events = space.events();
    if operation == Operation::EventStreams {
        let streams = events.streams(&input.scan()?)?;
        out.count(streams.len());
        streams.iter().for_each(|summary| stream(summary, out));
        return Ok(());
    }
    if operation == Operation::EventAll {
        let after = input.optional(|input| {
            let version = Version::from_seq(input.number()?);
            Ok(EventPlace { version, stream: input.bytes()?.to_vec(), seq: input.number()? })
        })?;
        let (limit, direction) = (input.limit()?, input.direction()?);
        let found = events.all_as::<Encoded<Vec<u8>>>(after, limit, direction)?;
        out.count(found.len());
        for StreamEvent { stream, event } in &found {
            out.bytes(stream);
            self::event(event, out);
        }
        return Ok(());
    }
    let name = input.bytes()?;
    match operation {
        Operation::EventGet => {
            let seq = input.number()?;
            walk(space, name, (Bound::Included(seq), Bound::Included(seq)), Direction::Forward, 1, out)?;
        }
        Operation::EventRange => {
            let range = seqs(input)?;
            let (limit, direction) = (input.limit()?, input.direction()?);
            walk(space, name, range, direction, limit.unwrap_or(usize::MAX), out)?;
        }
        Operation::EventHead => out.number(events.head(name)?),
        Operation::EventFirst => {
            let first = events.first(name)?;
            out.optional(first, Output::number);
        }
        Operation::EventLength => out.number(events.len(name)?),
        Operation::EventInfo => {
            let info = events.info(name)?;
            out.optional(info, |out, info| stream(&info, out));
        }
        Operation::EventVerifyChain => {
            let report = events.verify_chain(name)?;
            out.number(report.batches);
            out.number(report.events);
            out.optional(report.verified_from, Output::number);
        }
        Operation::EventAppend => {
            let (kind, payload) = (input.text()?, Encoded(input.last(Input::bytes)?));
            let seq = events.append(name, kind, payload)?;
            out.optional(seq, Output::number);
        }
        Operation::EventAppendBatch => {
            let new =
                input.last(|input| input.list(|input| Ok(NewEvent::new(input.text()?, Encoded(input.bytes()?)))))?;
            let mut batch = EventBatch::new();
            for event in new {
                batch.push(event.kind, event.payload)?;
            }
            let seq = events.append_encoded(name, &batch)?;
            out.optional(seq, Output::number);
        }
        Operation::EventTrim => events.trim(name, input.last(Input::number)?)?,
        _ => {
            input.finish()?;
            out.flag(events.delete_stream(name)?);
        }
    }
    Ok(())
}

/// A range of seqs, by its bounds `gt`, `gte`, `lt`, `lte`, `from` and `to`, of which the last is in it.
fn seqs(input: &mut Input<'_>) -> Result<(Bound<u64>, Bound<u64>)> {
    let (mut from, mut to) = (0, u64::MAX);
    for bound in 0..6 {
        let Some(seq) = input.optional(Input::number)? else { continue };
        match bound {
            0 => from = from.max(seq.saturating_add(1)),
            1 | 4 => from = from.max(seq),
            2 => to = to.min(seq),
            _ => to = to.min(seq.saturating_add(1)),
        }
    }
    Ok((Bound::Included(from), Bound::Excluded(to)))
}

/// Writes the events of a range, as many as asked for.
fn walk(
    space: &Space<'_>,
    stream: &[u8],
    seqs: (Bound<u64>, Bound<u64>),
    direction: Direction,
    limit: usize,
    out: &mut Output,
) -> Result<()> {
    let found = space.events().range_as::<Encoded<Vec<u8>>>(stream, seqs, limit, direction)?;
    out.count(found.len());
    found.iter().for_each(|found| event(found, out));
    Ok(())
}

fn event(event: &Event<Encoded<Vec<u8>>>, out: &mut Output) {
    event_head(event, out);
    out.bytes(&event.payload.0);
}

/// What is read of an event before its payload.
pub(crate) fn event_head<T>(event: &Event<T>, out: &mut Output) {
    out.number(event.seq);
    out.number(event.time_micros);
    out.number(seq(event.version));
    out.text(&event.kind);
}

/// A version, as JavaScript has it.
fn seq(version: Version) -> u64 {
    version.seq().unwrap_or(0)
}

fn stream(summary: &foldb_core::primitive::StreamSummary, out: &mut Output) {
    out.bytes(&summary.stream);
    for number in
        [summary.head, summary.first, summary.events, summary.bytes, summary.created_micros, summary.appended_micros]
    {
        out.number(number);
    }
    out.bytes(summary.link.as_ref());
}

/// Writes of cells.
pub(crate) fn cells(operation: Operation, space: &Space<'_>, input: &mut Input<'_>, out: &mut Output) -> Result<()> {
    let cells = space.state();
    let key = input.bytes()?;
    match operation {
        Operation::CellInit => cells.init(key, Encoded(input.last(Input::bytes)?))?,
        Operation::CellSet => out.number(cells.set(key, Encoded(input.last(Input::bytes)?))?),
        Operation::CellDelete => {
            input.finish()?;
            out.flag(cells.delete(key)?);
        }
        _ => {
            let expected = input.number()?;
            out.number(cells.cas(key, expected, Encoded(input.last(Input::bytes)?))?);
        }
    }
    Ok(())
}

/// Trace entries.
pub(crate) fn trace(operation: Operation, space: &Space<'_>, input: &mut Input<'_>, out: &mut Output) -> Result<()> {
    let trace = space.trace();
    let id = |input: &mut Input<'_>| input.array().map(TraceId::from_bytes);
    match operation {
        Operation::TraceGet => {
            let found = trace.get(id(input)?)?;
            out.flag(found.is_some());
            found.map_or(Ok(()), |found| entry(&found, out))
        }
        Operation::TraceExists => {
            out.flag(trace.exists(id(input)?)?);
            Ok(())
        }
        Operation::TraceCount => {
            out.number(trace.count()?);
            Ok(())
        }
        Operation::TraceList => {
            let mut options = ScanOptions::all();
            input.page(&mut options)?;
            let found = match input.u8()? {
                0 => trace.list(&options)?,
                1 => trace.children(id(input)?, &options)?,
                2 => trace.roots(&options)?,
                3 => trace.by_kind(&TraceKind::from_name(input.text()?), &options)?,
                4 => trace.by_time(input.number()?, input.number()?, &options)?,
                _ => return Err(malformed("an unknown list of trace entries")),
            };
            out.count(found.len());
            found.iter().try_for_each(|found| entry(found, out))
        }
        Operation::TraceRecord => {
            let mut record = TraceRecord::new(TraceKind::from_name(input.text()?), input.text()?);
            record.data = input.value()?;
            record.parent = input.optional(id)?;
            record.duration_micros = input.optional(Input::number)?;
            record.time_micros = input.last(|input| input.optional(Input::number))?;
            out.0.extend_from_slice(&trace.record(record)?.to_bytes());
            Ok(())
        }
        _ => {
            let id = id(input)?;
            let output = input.optional(Input::value)?;
            let duration_micros = input.last(|input| input.optional(Input::number))?;
            let finished = trace.finish(id, output, duration_micros)?;
            entry(&finished, out)
        }
    }
}

pub(crate) fn entry(entry: &TraceEntry, out: &mut Output) -> Result<()> {
    out.0.extend_from_slice(&entry.id.to_bytes());
    out.text(entry.kind.name());
    out.text(&entry.name);
    out.optional(entry.parent, |out, parent| out.0.extend_from_slice(&parent.to_bytes()));
    out.number(entry.time_micros);
    out.optional(entry.duration_micros, Output::number);
    out.number(seq(entry.version));
    out.value(&entry.data)?;
    out.value(&entry.output)
}
