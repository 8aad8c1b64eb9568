//! Catalog, segment table and idempotency window as bytes. Rules F-45, F-46, F-48 and F-49.
//!
//! Invariant: reading what was written gives the same state, and nothing that was read can make later folding overflow:
//! every count that a commit adds to is checked to leave room.

use alloc::{collections::BTreeMap, format, string::String, sync::Arc, vec::Vec};

use super::{SnapshotMeta, fields::Fields, layout::wide};
use crate::{
    Result, StoreId,
    limits::{FINGERPRINT_BYTES_MAX, IDEMPOTENCY_KEY_BYTES_MAX, IDEMPOTENCY_WINDOW_MAX, RESULT_BYTES_MAX, SEQ_MAX},
    log::{FRAME_ALIGNMENT, LogPosition, OnceKey, SEGMENT_HEADER_BYTES, varint},
    planted::{self, Planted},
    state::{Ended, Ending, IdempotencyWindow, Run, RunBegun, RunRecord, Space, SpaceNumber, State, WindowBounds},
    transaction::PROVISIONAL,
    tree::Tree,
    value::Value,
};

/// Most bytes of values that a store may have in its log. Sums of them can be added to without a check.
const LIVE_BYTES_MAX: u64 = 1 << 62;

/// The catalog's bytes.
pub(super) fn encode(state: &State, meta: &SnapshotMeta) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    out.extend_from_slice(&meta.store.to_bytes());
    for number in [meta.generation, meta.time_micros, meta.epoch, state.seq, state.time_micros] {
        varint::write(&mut out, number);
    }
    write_position(&mut out, meta.log);
    varint::write(&mut out, u64::from(state.next_number));
    write_space(&mut out, &state.default);
    varint::write(&mut out, wide(state.runs.size()));
    for (number, run) in state.runs.iter() {
        varint::write(&mut out, u64::from(*number));
        write_run(&mut out, &run.record)?;
        write_space(&mut out, &run.space);
    }
    Ok(out)
}

fn write_position(out: &mut Vec<u8>, position: Option<LogPosition>) {
    out.push(u8::from(position.is_some()));
    if let Some(LogPosition { segment, offset }) = position {
        varint::write(out, segment);
        varint::write(out, offset);
    }
}

fn write_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    varint::write(out, wide(bytes.len()));
    out.extend_from_slice(bytes);
}

fn write_live(out: &mut Vec<u8>, live: &BTreeMap<u64, u64>) {
    varint::write(out, wide(live.len()));
    for (segment, bytes) in live {
        varint::write(out, *segment);
        varint::write(out, *bytes);
    }
}

fn write_space(out: &mut Vec<u8>, space: &Space) {
    write_position(out, space.last_position);
    varint::write(out, space.last_seq);
    varint::write(out, space.commits);
    write_live(out, &space.live);
}

fn write_run(out: &mut Vec<u8>, record: &RunRecord) -> Result<()> {
    out.extend_from_slice(&record.id);
    let began = &record.began;
    for number in [record.first_seq, record.changed_seq, record.began_micros, began.epoch, u64::from(record.resumed)] {
        varint::write(out, number);
    }
    out.push(u8::from(began.parent.is_some()));
    out.extend_from_slice(began.parent.as_ref().map_or(&[], |parent| parent.as_slice()));
    write_bytes(out, began.name.as_bytes());
    varint::write(out, wide(began.labels.len()));
    for (key, value) in &began.labels {
        write_bytes(out, key.as_bytes());
        write_bytes(out, value.as_bytes());
    }
    let mut metadata = Vec::new();
    began.metadata.encode(&mut metadata)?;
    write_bytes(out, &metadata);
    let Some(ended) = &record.ended else {
        out.push(0);
        return Ok(());
    };
    // The discriminants are bytes by `repr(u8)`.
    out.push(ended.how as u8);
    varint::write(out, ended.micros);
    out.push(u8::from(ended.message.is_some()));
    if let Some(message) = &ended.message {
        write_bytes(out, message.as_bytes());
    }
    Ok(())
}

/// Reads the catalog. `tree` gives the tree of each space, in the order of the catalog.
pub(super) fn decode(mut fields: Fields<'_>, tree: &mut dyn FnMut() -> Result<Tree>) -> Result<(State, SnapshotMeta)> {
    let mut state = State::new();
    let store = StoreId::from_bytes(fields.array()?);
    let (generation, time_micros, epoch) = (fields.varint()?, fields.varint()?, fields.varint()?);
    (state.seq, state.time_micros) = (fields.varint()?, fields.varint()?);
    if state.seq > SEQ_MAX || epoch == u64::MAX {
        return Err(fields.corrupt(format!("seq {} or epoch {epoch} is out of range", state.seq)));
    }
    let log = read_position(&mut fields)?;
    state.next_number = fields.varint32()?;
    if !(1..=PROVISIONAL).contains(&state.next_number) {
        return Err(fields.corrupt(format!("the next run cannot have number {}", state.next_number)));
    }
    state.default = read_space(&mut fields, state.seq, tree)?;
    read_runs(&mut fields, &mut state, tree)?;
    let meta = SnapshotMeta { store, generation, time_micros, seq: state.seq, log, epoch };
    fields.finish()?;
    Ok((state, meta))
}

fn read_position(fields: &mut Fields<'_>) -> Result<Option<LogPosition>> {
    if !fields.flag()? {
        return Ok(None);
    }
    let (segment, offset) = (fields.varint()?, fields.varint()?);
    // Records will refer to it, and a place where no frame can be would make them unreadable.
    if segment == 0 || offset < SEGMENT_HEADER_BYTES || !offset.is_multiple_of(FRAME_ALIGNMENT) {
        return Err(fields.corrupt(format!("no frame begins at offset {offset} of segment {segment}")));
    }
    Ok(Some(LogPosition { segment, offset }))
}

fn read_runs(fields: &mut Fields<'_>, state: &mut State, tree: &mut dyn FnMut() -> Result<Tree>) -> Result<()> {
    let count = fields.varint()?;
    let mut before: SpaceNumber = 0;
    // Nothing is allocated by this count; it ends with the bytes at the latest.
    for _ in 0..count {
        let number = fields.varint32()?;
        if number <= before || number >= state.next_number {
            let what = format!("run {number} is not between run {before} and the next one, {}", state.next_number);
            return Err(fields.corrupt(what));
        }
        before = number;
        let record = read_run(fields, state.seq)?;
        let space = read_space(fields, state.seq, tree)?;
        let id = record.id();
        state.numbers.insert_mut(id, number);
        state.runs.insert_mut(number, Run { space, record: Arc::new(record) });
        if state.numbers.size() != state.runs.size() {
            return Err(fields.corrupt(format!("run {id} is there twice")));
        }
    }
    Ok(())
}

fn read_live(fields: &mut Fields<'_>) -> Result<BTreeMap<u64, u64>> {
    let mut live = BTreeMap::new();
    let mut sum = 0_u64;
    for _ in 0..fields.varint()? {
        let (segment, bytes) = (fields.varint()?, fields.varint()?);
        sum = sum.saturating_add(bytes);
        if live.last_key_value().is_some_and(|(before, _)| *before >= segment) || bytes == 0 || sum > LIVE_BYTES_MAX {
            return Err(
                fields.corrupt(format!("{bytes} live bytes in segment {segment}, which is out of order or range"))
            );
        }
        live.insert(segment, bytes);
    }
    Ok(live)
}

fn read_space(fields: &mut Fields<'_>, seq: u64, tree: &mut dyn FnMut() -> Result<Tree>) -> Result<Space> {
    let last_position = read_position(fields)?;
    let (last_seq, commits) = (fields.varint()?, fields.varint()?);
    if last_seq > seq || commits > seq {
        let what = format!("{commits} commits up to seq {last_seq} in a snapshot up to seq {seq}");
        return Err(fields.corrupt(what));
    }
    let live = Arc::new(read_live(fields)?);
    Ok(Space { tree: tree()?, last_position, last_seq, commits, live })
}

fn read_run(fields: &mut Fields<'_>, seq: u64) -> Result<RunRecord> {
    let id = fields.array()?;
    let (first_seq, changed_seq) = (fields.varint()?, fields.varint()?);
    let (began_micros, epoch) = (fields.varint()?, fields.varint()?);
    let resumed = fields.varint32()?;
    if first_seq > changed_seq || changed_seq > seq || resumed == u32::MAX {
        let what = format!("a run from seq {first_seq}, changed at {changed_seq}, resumed {resumed} times");
        return Err(fields.corrupt(what));
    }
    let parent = if fields.flag()? { Some(fields.array()?) } else { None };
    let name = String::from(fields.text()?);
    let labels = read_labels(fields)?;
    let metadata = fields.length_and_bytes()?;
    let metadata = Value::decode(metadata).map_err(|error| fields.corrupt(format!("a run's metadata: {error}")))?;
    let ended = read_ended(fields)?;
    let began = RunBegun { name, parent, labels, metadata, epoch };
    Ok(RunRecord { id, began, began_micros, first_seq, changed_seq, ended, resumed })
}

fn read_labels(fields: &mut Fields<'_>) -> Result<BTreeMap<String, String>> {
    let mut labels = BTreeMap::new();
    for _ in 0..fields.varint()? {
        let (key, value) = (fields.text()?, fields.text()?);
        if labels.last_key_value().is_some_and(|(before, _): (&String, _)| before.as_str() >= key) {
            return Err(fields.corrupt(format!("label {key:?} is out of order")));
        }
        labels.insert(String::from(key), String::from(value));
    }
    Ok(labels)
}

fn read_ended(fields: &mut Fields<'_>) -> Result<Option<Ended>> {
    let how = match fields.u8()? {
        0 => return Ok(None),
        1 => Ending::Completed,
        2 => Ending::Failed,
        3 => Ending::Cancelled,
        other => return Err(fields.corrupt(format!("a run that ended in way {other}"))),
    };
    let micros = fields.varint()?;
    let message = if fields.flag()? { Some(String::from(fields.text()?)) } else { None };
    Ok(Some(Ended { how, micros, message }))
}

/// The segment table's bytes: what keeps each segment alive, over all spaces.
pub(super) fn encode_segments(state: &State) -> Vec<u8> {
    let mut out = Vec::new();
    write_live(&mut out, &state.live_bytes());
    out
}

/// Checks the segment table against the spaces: it repeats their sums.
pub(super) fn check_segments(mut fields: Fields<'_>, state: &State) -> Result<()> {
    let table = read_live(&mut fields)?;
    let mut sums = BTreeMap::<u64, u64>::new();
    for space in spaces(state) {
        for (segment, bytes) in space.live.iter() {
            let sum = sums.entry(*segment).or_default();
            *sum = sum.saturating_add(*bytes);
        }
    }
    if table != sums {
        return Err(fields.corrupt("the live bytes differ from the sums over all spaces".into()));
    }
    fields.finish()
}

/// The idempotency window's bytes.
pub(super) fn encode_window(window: &IdempotencyWindow) -> Vec<u8> {
    let mut out = Vec::new();
    let saved = if planted::active(Planted::IdempotencyWindowNotSaved) { 0 } else { window.len() };
    varint::write(&mut out, window.bounds.keys);
    varint::write(&mut out, window.bounds.age_micros.unwrap_or(0));
    varint::write(&mut out, window.forgotten_seq);
    varint::write(&mut out, wide(saved));
    for (key, kept) in window.entries().take(saved) {
        write_bytes(&mut out, key);
        varint::write(&mut out, kept.seq);
        varint::write(&mut out, kept.time_micros);
        write_bytes(&mut out, &kept.fingerprint);
        write_bytes(&mut out, &kept.result);
    }
    out
}

/// Reads the idempotency window of a state with this seq.
pub(super) fn decode_window(mut fields: Fields<'_>, seq: u64) -> Result<IdempotencyWindow> {
    let mut window = IdempotencyWindow::default();
    window.bounds.keys = IDEMPOTENCY_WINDOW_MAX;
    let (keys, age_micros, forgotten_seq) = (fields.varint()?, fields.varint()?, fields.varint()?);
    let count = fields.varint()?;
    if !(1..=IDEMPOTENCY_WINDOW_MAX).contains(&keys) || count > keys || forgotten_seq > seq {
        return Err(fields.corrupt(format!("{count} keys of {keys}, and those up to seq {forgotten_seq} are gone")));
    }
    let mut last = forgotten_seq;
    for _ in 0..count {
        let key = fields.length_and_bytes()?;
        let (at, time_micros) = (fields.varint()?, fields.varint()?);
        let once = OnceKey { key, fingerprint: fields.length_and_bytes()?, result: fields.length_and_bytes()? };
        let fits = key.len() <= IDEMPOTENCY_KEY_BYTES_MAX
            && once.fingerprint.len() <= FINGERPRINT_BYTES_MAX
            && once.result.len() <= RESULT_BYTES_MAX;
        if !fits || at <= last || at > seq {
            return Err(fields.corrupt(format!("a key of {} bytes from seq {at} behind seq {last}", key.len())));
        }
        last = at;
        window.insert(&once, at, time_micros);
    }
    fields.finish()?;
    // Only now: what is in a snapshot was within its bounds when it was written.
    window.bounds = WindowBounds { keys, age_micros: Some(age_micros).filter(|age| *age != 0) };
    window.forgotten_seq = forgotten_seq;
    Ok(window)
}

/// All spaces in the order of catalog and index: the default space, then the runs by number.
pub(super) fn spaces(state: &State) -> impl Iterator<Item = &Space> {
    core::iter::once(&state.default).chain(state.runs.values().map(|run| &run.space))
}
