//! What must hold before a transaction is encoded.
//!
//! Invariant: a transaction that passes here is applied without an error. Everything that could fail (an ended run, a
//! counter that would overflow, an absent leaf that cannot be read) fails before the first byte is written; otherwise a
//! commit could be in the log and not in the state.

use alloc::{collections::BTreeMap, string::String};
use core::ops::ControlFlow;

use hashbrown::{HashMap, HashSet};
use rustc_hash::FxBuildHasher;

use crate::{
    Error, Result, RunId,
    error::check_limit,
    limits::LABELS_MAX,
    log::{LogPointer, OpCode},
    primitive::trace_index,
    state::{
        DEFAULT_SPACE, EditBody, EditedDocument, Family, RunAnnotated, RunBegun, Space, SpaceNumber, State, batch_key,
        batch_prefix, decode_body, entry_kind, readable,
    },
    transaction::{PROVISIONAL, Write, WriteBody, WriteSet},
    tree::{Direction, KeyRange, PageSource},
    value::{Delta, apply_delta},
};

pub(crate) fn check(writes: &WriteSet, state: &State, pages: &dyn PageSource) -> Result<()> {
    check_new_runs(&writes.new_runs, state)?;
    check_lives(writes, state)?;
    check_labels(writes, state)?;
    let mut last = None;
    for write in writes.writes() {
        if write.space & PROVISIONAL != 0 {
            // A run that the transaction itself begins has an empty tree: no leaf is absent, and zero plus one amount is in
            // the range of every counter.
            continue;
        }
        let checked = (write.space, needs_open_run(write.code));
        if last != Some(checked) {
            check_space(writes, write, state)?;
            last = Some(checked);
        }
        if let Some(space) = state.space(write.space) {
            check_write(writes, write, space, pages)?;
        }
    }
    Ok(())
}

fn check_new_runs(ids: &[Option<RunId>], state: &State) -> Result<()> {
    let mut seen = HashSet::with_hasher(FxBuildHasher);
    for id in ids.iter().flatten() {
        if state.number(*id).is_ok() || !seen.insert(*id) {
            return Err(Error::Precondition {
                key: alloc::format!("run {id}"),
                expected: String::from("an id that no run has"),
                found: String::from("a run of this id"),
            });
        }
    }
    if PROVISIONAL - state.next_number <= u32::try_from(ids.len()).unwrap_or(u32::MAX) {
        return Err(Error::Limit { what: "runs", size: u64::from(state.next_number), limit: u64::from(PROVISIONAL) });
    }
    Ok(())
}

/// What the transaction has done to a run so far.
#[derive(Default)]
struct Life {
    /// Whether it ended it or, after that, resumed it.
    ended: Option<bool>,
    deleted: bool,
    /// Its labels by now, where any were changed.
    labels: Option<BTreeMap<String, String>>,
}

/// Follows the lives of the runs that the transaction ends, resumes or deletes, in the order in which it did: none ends
/// or goes twice.
fn check_lives(writes: &WriteSet, state: &State) -> Result<()> {
    let mut lives: HashMap<SpaceNumber, Life, FxBuildHasher> = HashMap::default();
    for write in writes.writes() {
        let run = state.run(write.space);
        let id = || run.map(|run| run.record.id()).or_else(|| writes.new_run(write.space));
        match write.code {
            OpCode::RunResume => {
                lives.entry(write.space).or_default().ended = Some(false);
            }
            OpCode::RunEnd => match (lives.entry(write.space).or_default().ended.replace(true), run) {
                (Some(true), _) => {
                    let run = id().unwrap_or(RunId::from_bytes([0; 16]));
                    return Err(Error::RunEnded { run, status: "by this transaction" });
                }
                (None, Some(run)) => run.record.check_open()?,
                (Some(false), _) | (None, None) => {}
            },
            OpCode::RunDelete if core::mem::replace(&mut lives.entry(write.space).or_default().deleted, true) => {
                return Err(Error::UnknownRun(id().unwrap_or(RunId::from_bytes([0; 16]))));
            }
            _ => {}
        }
    }
    Ok(())
}

/// No run gets more labels than it may have.
fn check_labels(writes: &WriteSet, state: &State) -> Result<()> {
    let mut changed: HashMap<SpaceNumber, Life, FxBuildHasher> = HashMap::default();
    let bodies = |code| writes.writes().iter().filter(move |write| write.code == code);
    for write in bodies(OpCode::RunAnnotate) {
        let WriteBody::Bytes(body) = writes.body(write) else { continue };
        let labels = match &mut changed.entry(write.space).or_default().labels {
            Some(labels) => labels,
            none => none.insert(match state.run(write.space) {
                Some(run) => run.record.began.labels.clone(),
                None => match bodies(OpCode::RunBegin).find(|begin| begin.space == write.space) {
                    Some(begin) => match writes.body(begin) {
                        WriteBody::Bytes(body) => decode_body::<RunBegun>("run", body)?.labels,
                        WriteBody::Events { .. } => BTreeMap::new(),
                    },
                    None => BTreeMap::new(),
                },
            }),
        };
        for (key, value) in decode_body::<RunAnnotated>("run annotation", body)?.labels {
            match value {
                Some(value) => labels.insert(key, value),
                None => labels.remove(&key),
            };
        }
        check_limit("labels", labels.len(), LABELS_MAX)?;
    }
    Ok(())
}

/// Whether an operation is refused by a run that has ended. Ends are looked at one by one: see [`check_lives`].
fn needs_open_run(code: OpCode) -> bool {
    !matches!(code, OpCode::RunEnd | OpCode::RunResume | OpCode::RunAnnotate | OpCode::RunDelete)
}

fn check_space(writes: &WriteSet, write: &Write, state: &State) -> Result<()> {
    if write.space == DEFAULT_SPACE {
        return Ok(());
    }
    let Some(run) = state.run(write.space) else {
        return Err(Error::NotFound { what: "run", name: alloc::format!("number {}", write.space) });
    };
    // A run that the transaction takes up again is open for all that it writes.
    let is_resumed =
        || writes.writes().iter().any(|other| other.space == write.space && other.code == OpCode::RunResume);
    match run.record.check_open() {
        Err(error) if needs_open_run(write.code) && !is_resumed() => Err(error),
        _ => Ok(()),
    }
}

fn check_write(writes: &WriteSet, write: &Write, space: &Space, pages: &dyn PageSource) -> Result<()> {
    let key = writes.key(write);
    if space.tree().is_empty() && write.code != OpCode::KvAdd && writes.edit(write).is_none() {
        // Nothing can be absent.
        return Ok(());
    }
    let prepare = |family: Family, key: &[u8]| space.tree().prepare(&family.key(key), pages);
    match (write.code, writes.body(write)) {
        (OpCode::KvPut | OpCode::KvDelete, _) => prepare(Family::Kv, key),
        (OpCode::JsonPut | OpCode::JsonDelete, _) => {
            prepare(Family::Json, key)?;
            writes.edit(write).map_or(Ok(()), |edit| check_edit(key, edit.body, space, pages))
        }
        (OpCode::StatePut | OpCode::StateDelete, _) => prepare(Family::State, key),
        (OpCode::KvAdd, WriteBody::Bytes(body)) => check_counter(key, body, space, pages),
        (OpCode::TracePut, WriteBody::Bytes(body)) => {
            prepare(Family::Trace, key)?;
            trace_index(key, body)?.iter().try_for_each(|key| space.tree().prepare(key, pages))
        }
        (OpCode::EventAppend, _) => {
            prepare(Family::Stream, key)?;
            let next = space.stream(key, pages)?.map_or(1, |info| info.head + 1);
            prepare(Family::Batch, &batch_key(key, next))
        }
        (OpCode::EventTrim | OpCode::StreamDelete, _) => {
            prepare(Family::Stream, key)?;
            let range = KeyRange::prefix(&Family::Batch.key(&batch_prefix(key)));
            // Visiting faults the leaves in; what is removed from them later needs no more reads.
            space.tree().visit(&range, Direction::Forward, pages, &mut |_, _| ControlFlow::Continue(()))
        }
        _ => Ok(()),
    }
}

/// Whether an edit is one of the document that is there: it was read, and has not changed since.
fn check_edit(key: &[u8], body: &[u8], space: &Space, pages: &dyn PageSource) -> Result<()> {
    let entry = space.tree().get(&Family::Json.key(key), pages)?;
    // Where its splices will be makes no difference.
    let nowhere = LogPointer { segment: 0, offset: 0, len: 0, crc: 0 };
    EditedDocument::after(entry.as_ref(), &EditBody::parse(body)?, nowhere).map(|_| ())
}

fn check_counter(key: &[u8], body: &[u8], space: &Space, pages: &dyn PageSource) -> Result<()> {
    let delta = Delta::decode(body)?;
    let existing = space.tree().get(&Family::Kv.key(key), pages)?;
    if existing.is_some_and(|entry| entry.kind != entry_kind::INLINE) {
        return Err(Error::Type { what: readable(key), expected: delta.kind().name(), found: "a large value" });
    }
    apply_delta(key, existing.map(|entry| entry.value), &delta).map(|_| ())
}
