//! One operation of a transaction, in readable form. Operations are shown, not applied: a body that this cannot decode is
//! shown by its size, because a dump is for stores in which something may be wrong.

use foldb::{
    RunId,
    internal::log::{Op, OpCode, varint::Reader},
    internal::state::{EditBody, Sweep, parse_expiry_body, split_expiring_body},
    json::Splices,
    value::{Delta, Value},
};
use serde_json::{Value as Json, json};

use crate::{text, value};

/// How much of a value a line shows.
const WIDTH: usize = 100;

/// For a person.
pub(super) fn to_text(op: &Op<'_>) -> String {
    let body = body_text(content(op), op);
    format!("{:<13} {}  {}", name(op.code), key_text(op), text::shortened(&body, WIDTH)).trim_end().to_owned()
}

fn body_text(content: Content, op: &Op<'_>) -> String {
    match content {
        Content::None => String::new(),
        Content::Value(value) => value::to_text(&value),
        Content::Added(delta) => format!("+ {delta}"),
        Content::Cell(counter, value) => format!("change {counter}: {}", value::to_text(&value)),
        Content::Events(events) => events_text(&events),
        Content::KeptFrom(seq) => format!("keeps from {seq} on"),
        Content::Edit { of, bytes, splices, added, removed } => {
            let splices = text::counted(splices, "splice", "splices");
            format!("of seq {of} to {bytes} bytes: {splices}, {added} bytes for {removed}")
        }
        Content::Until(micros, content) => {
            let inner = body_text(*content, op);
            format!("{inner}{}until {}", if inner.is_empty() { "" } else { "  " }, text::time(micros))
        }
        Content::Swept(sweep) => {
            let entries = text::counted(sweep.limit, "entry", "entries");
            format!("at most {entries} over at {}", text::time(sweep.until_micros))
        }
        Content::Unknown => format!("({})", text::counted(length(op.body), "byte", "bytes")),
    }
}

/// For a program.
pub(super) fn to_json(space: u32, op: &Op<'_>) -> Json {
    let key = id(op).map_or_else(|| value::key_to_json(op.key), |id| json!(id));
    let mut object = json!({ "space": space, "op": name(op.code), "key": key, "bytes": length(op.body) });
    add_content(&mut object, content(op));
    object
}

fn add_content(object: &mut Json, content: Content) {
    match content {
        Content::None | Content::Unknown => {}
        Content::Until(micros, content) => {
            add_content(object, *content);
            object["expires_micros"] = json!(micros);
        }
        Content::Swept(sweep) => {
            object["until_micros"] = json!(sweep.until_micros);
            object["limit"] = json!(sweep.limit);
        }
        Content::Value(found) => object["value"] = value::to_json(&found),
        Content::Added(delta) => object["delta"] = json!(delta),
        Content::Cell(counter, found) => {
            object["counter"] = json!(counter);
            object["value"] = value::to_json(&found);
        }
        Content::Events(events) => {
            let record =
                |(kind, payload): &(String, Value)| json!({ "kind": kind, "payload": value::to_json(payload) });
            object["events"] = events.iter().map(record).collect();
        }
        Content::KeptFrom(seq) => object["kept_from"] = json!(seq),
        Content::Edit { of, bytes, splices, added, removed } => {
            object["edit"] =
                json!({ "of": of, "bytes": bytes, "splices": splices, "added": added, "removed": removed });
        }
    }
}

/// What an operation's body says.
enum Content {
    /// There is no body.
    None,
    Value(Value),
    /// What is added to a counter, in decimal digits.
    Added(String),
    /// A cell's counter and value.
    Cell(u64, Value),
    /// Kind and payload of each event.
    Events(Vec<(String, Value)>),
    /// The first seq that a trim keeps.
    KeptFrom(u64),
    /// The commit whose document changes, how many bytes it then has, and how much comes in place of how much.
    Edit {
        of: u64,
        bytes: u32,
        splices: u64,
        added: u64,
        removed: u64,
    },
    /// When something is over, and what is put beside that.
    Until(u64, Box<Content>),
    /// What a sweep removes.
    Swept(Sweep),
    /// Bytes that are not what the operation should have.
    Unknown,
}

fn content(op: &Op<'_>) -> Content {
    if op.body.is_empty() {
        return Content::None;
    }
    let decoded = match op.code {
        OpCode::KvPutExpiring | OpCode::JsonPutExpiring => until(op.body, &value_of),
        OpCode::StatePutExpiring => until(op.body, &cell),
        OpCode::KvExpire | OpCode::JsonExpire | OpCode::StateExpire => {
            let micros = parse_expiry_body(op.body).ok().flatten();
            micros.map(|micros| Content::Until(micros, Box::new(Content::None)))
        }
        OpCode::Sweep => Sweep::parse(op.body).ok().map(Content::Swept),
        OpCode::KvAdd => Delta::decode(op.body).ok().map(|delta| Content::Added(digits(&delta))),
        OpCode::JsonEdit => edit(op.body),
        OpCode::StatePut => cell(op.body),
        OpCode::EventAppend => events(op.body).map(Content::Events),
        OpCode::EventTrim => Reader::new(op.body).varint().ok().map(Content::KeptFrom),
        _ => value_of(op.body),
    };
    decoded.unwrap_or(Content::Unknown)
}

fn value_of(body: &[u8]) -> Option<Content> {
    Value::decode(body).ok().map(Content::Value)
}

/// A time, and what is behind it.
fn until(body: &[u8], rest: &dyn Fn(&[u8]) -> Option<Content>) -> Option<Content> {
    let (micros, body) = split_expiring_body(body).ok()?;
    Some(Content::Until(micros, Box::new(rest(body)?)))
}

fn digits(delta: &Delta) -> String {
    match delta {
        Delta::I64(number) => number.to_string(),
        Delta::U64(number) => number.to_string(),
        Delta::F64(number) => number.to_string(),
        Delta::U256(number) => number.to_string(),
    }
}

fn cell(body: &[u8]) -> Option<Content> {
    let mut reader = Reader::new(body);
    let counter = reader.varint().ok()?;
    let value = body.get(body.len().checked_sub(reader.remaining())?..)?;
    Some(Content::Cell(counter, Value::decode(value).ok()?))
}

fn edit(body: &[u8]) -> Option<Content> {
    let edit = EditBody::parse(body).ok()?;
    let (mut splices, mut added, mut removed) = (0, 0_u64, 0_u64);
    for splice in Splices::new(edit.splices) {
        let splice = splice.ok()?;
        splices += 1;
        added = added.saturating_add(length(splice.added));
        removed = removed.saturating_add(splice.removed);
    }
    Some(Content::Edit { of: edit.base_seq, bytes: edit.len, splices, added, removed })
}

/// Nothing is allocated for a count before the events are there: the count may be wrong.
fn events(body: &[u8]) -> Option<Vec<(String, Value)>> {
    let mut reader = Reader::new(body);
    let count = reader.varint().ok()?;
    let mut events = Vec::new();
    for _ in 0..count {
        let kind = text::bytes(reader.length_and_bytes().ok()?);
        events.push((kind, Value::decode(reader.length_and_bytes().ok()?).ok()?));
    }
    Some(events)
}

fn events_text(events: &[(String, Value)]) -> String {
    let count = text::counted(u64::try_from(events.len()).unwrap_or(u64::MAX), "event", "events");
    match events.first() {
        Some((kind, payload)) => format!("{count}, first {kind}: {}", value::to_text(payload)),
        None => count,
    }
}

/// The keys of trace entries and of operations on runs are ids.
fn id(op: &Op<'_>) -> Option<String> {
    let is_id = matches!(
        op.code,
        OpCode::TracePut
            | OpCode::RunBegin
            | OpCode::RunEnd
            | OpCode::RunResume
            | OpCode::RunAnnotate
            | OpCode::RunDelete
    );
    let bytes = op.key.try_into().ok().filter(|_| is_id)?;
    Some(RunId::from_bytes(bytes).to_string())
}

/// Whether it is of the run, or the trace entry, with this id in text.
pub(super) fn is_of_run(op: &Op<'_>, text: &[u8]) -> bool {
    id(op).is_some_and(|id| id.as_bytes() == text)
}

fn key_text(op: &Op<'_>) -> String {
    id(op).unwrap_or_else(|| text::bytes(op.key))
}

fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

/// The operation's name, as the format page has it.
const fn name(code: OpCode) -> &'static str {
    match code {
        OpCode::KvPut => "kv_put",
        OpCode::KvDelete => "kv_delete",
        OpCode::KvAdd => "kv_add",
        OpCode::KvPutExpiring => "kv_put_until",
        OpCode::KvExpire => "kv_expire",
        OpCode::JsonPut => "json_put",
        OpCode::JsonDelete => "json_delete",
        OpCode::JsonEdit => "json_edit",
        OpCode::JsonPutExpiring => "json_put_until",
        OpCode::JsonExpire => "json_expire",
        OpCode::EventAppend => "event_append",
        OpCode::EventTrim => "event_trim",
        OpCode::StreamDelete => "stream_delete",
        OpCode::StatePut => "state_put",
        OpCode::StateDelete => "state_delete",
        OpCode::StatePutExpiring => "state_put_until",
        OpCode::StateExpire => "state_expire",
        OpCode::Sweep => "sweep",
        OpCode::TracePut => "trace_put",
        OpCode::RunBegin => "run_begin",
        OpCode::RunEnd => "run_end",
        OpCode::RunResume => "run_resume",
        OpCode::RunAnnotate => "run_annotate",
        OpCode::RunDelete => "run_delete",
        // A code that a later version of the library adds.
        _ => "unknown",
    }
}
