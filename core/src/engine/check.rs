//! What must hold before a transaction is encoded.
//!
//! Invariant: a transaction that passes here is applied without an error. Everything that could fail (a run that has ended or
//! begins twice, a counter that would overflow, an absent leaf that cannot be read) fails before the first byte is written;
//! otherwise a commit could be in the log and not in the state. What is looked at are the writes that will be encoded, and
//! nothing that stands beside them. Each of them is well-formed by itself: see [`WriteSet`].

use alloc::{string::String, vec::Vec};
use core::ops::ControlFlow;

use crate::{
    Error, Result, RunId,
    error::check_limit,
    limits::LABELS_MAX,
    log::{LogPointer, OpCode},
    planted::{self, Planted},
    primitive::trace_index,
    state::{
        DEFAULT_SPACE, EditBody, EditedDocument, Family, Run, RunAnnotated, RunBegun, Space, SpaceNumber, State, Sweep,
        batch_key, batches_of, counted, decode_body, entry_kind, readable, split_expiring_body, trimmed_to,
    },
    transaction::{PROVISIONAL, Write, WriteBody, WriteSet, is_run_operation},
    tree::{Direction, PageSource},
    value::{Delta, apply_delta},
};

/// `now_micros` is the time that the record will have.
pub(crate) fn check(writes: &WriteSet, state: &State, now_micros: u64, pages: &dyn PageSource) -> Result<()> {
    let lives = if writes.has_run_operations() { Lives::follow(writes, state)? } else { Lives::default() };
    let mut last = None;
    for write in writes.iter() {
        let needs_open_run = !is_run_operation(write.code);
        if last != Some((write.space, needs_open_run)) {
            lives.check_space(write.space, needs_open_run, state)?;
            last = Some((write.space, needs_open_run));
        }
        // A run that the transaction itself begins has an empty tree: no leaf is absent, and zero plus one amount is in
        // the range of every counter.
        if let Some(space) = state.space(write.space) {
            check_write(writes, write, space, now_micros, pages)?;
        }
    }
    Ok(())
}

/// What a transaction does to the runs that it begins, ends, resumes, annotates or deletes, by the numbers of their spaces.
#[derive(Default)]
struct Lives(Vec<(SpaceNumber, Life)>);

/// What the transaction has done to a run so far.
#[derive(Default)]
struct Life {
    begun: Option<RunId>,
    /// Whether it ended it or, after that, resumed it.
    ended: Option<bool>,
    resumed: bool,
    deleted: bool,
}

impl Lives {
    /// Follows the lives of runs in the order in which the transaction changed them: none begins with an id that another has,
    /// ends twice, goes twice, or gets more labels than it may have.
    fn follow(writes: &WriteSet, state: &State) -> Result<Self> {
        let mut operations: Vec<&Write> = writes.iter().filter(|write| is_run_operation(write.code)).collect();
        if !operations.is_sorted_by_key(|write| write.space) {
            crate::order::sort_by(&mut operations, |left, right| left.space.cmp(&right.space));
        }
        let mut lives = Lives::default();
        for operations in operations.chunk_by(|left, right| left.space == right.space) {
            let Some(space) = operations.first().map(|first| first.space) else { continue };
            lives.0.push((space, Life::follow(writes, operations, state.run(space))?));
        }
        if !planted::active(Planted::BeginningUnchecked) {
            lives.check_beginnings(state)?;
        }
        Ok(lives)
    }

    /// No two runs have one id, and there are numbers for all of them.
    fn check_beginnings(&self, state: &State) -> Result<()> {
        let begun = || self.0.iter().filter_map(|(_, life)| life.begun);
        let count = begun().count();
        let mut ids: Vec<RunId> = if count > 1 { begun().collect() } else { Vec::new() };
        if !ids.is_sorted() {
            crate::order::sort_by(&mut ids, Ord::cmp);
        }
        let twice = ids.windows(2).find(|pair| pair.first() == pair.last()).and_then(|pair| pair.first().copied());
        if let Some(id) = twice.or_else(|| begun().find(|id| state.number(*id).is_ok())) {
            return Err(Error::Precondition {
                key: alloc::format!("run {id}"),
                expected: String::from("an id that no run has"),
                found: String::from("a run of this id"),
            });
        }
        let left = PROVISIONAL - state.next_number;
        if count > 0 && left <= u32::try_from(count).unwrap_or(u32::MAX) {
            return Err(Error::Limit {
                what: "runs",
                size: u64::from(state.next_number),
                limit: u64::from(PROVISIONAL),
            });
        }
        Ok(())
    }

    /// Whether a space is there and, where it has to be, open.
    fn check_space(&self, number: SpaceNumber, needs_open_run: bool, state: &State) -> Result<()> {
        if number == DEFAULT_SPACE && needs_open_run {
            return Ok(());
        }
        let life = self.0.binary_search_by_key(&number, |(space, _)| *space).ok().and_then(|at| self.0.get(at));
        if life.is_some_and(|(_, life)| life.begun.is_some()) {
            return Ok(());
        }
        let Some(run) = state.run(number) else {
            return Err(Error::NotFound { what: "run", name: alloc::format!("number {number}") });
        };
        // A run that the transaction takes up again is open for all that it writes.
        let is_resumed = life.is_some_and(|(_, life)| life.resumed);
        if needs_open_run && !is_resumed { run.record.check_open() } else { Ok(()) }
    }
}

impl Life {
    /// `operations` are those on one run, which is `run` where it is there before.
    fn follow(writes: &WriteSet, operations: &[&Write], run: Option<&Run>) -> Result<Self> {
        let mut life = Life::default();
        let mut annotated = false;
        for (place, write) in operations.iter().enumerate() {
            let id = || run.map(|run| run.record.id()).or(life.begun).unwrap_or(RunId::from_bytes([0; 16]));
            match write.code {
                // The space of a run that begins is its own, and it is the first that happens there.
                OpCode::RunBegin if place > 0 || write.space & PROVISIONAL == 0 => {
                    let why = alloc::format!("space {} is another's", write.space);
                    return Err(Error::Invalid { what: "beginning of a run", why });
                }
                OpCode::RunBegin => life.begun = RunId::from_slice(writes.key(write)),
                OpCode::RunEnd => match (life.ended, run) {
                    (Some(true), _) => return Err(Error::RunEnded { run: id(), status: "by this transaction" }),
                    (None, Some(run)) => run.record.check_open()?,
                    (Some(false), _) | (None, None) => {}
                },
                OpCode::RunDelete if life.deleted => return Err(Error::UnknownRun(id())),
                _ => {}
            }
            life.ended = match write.code {
                OpCode::RunEnd => Some(true),
                OpCode::RunResume => Some(false),
                _ => life.ended,
            };
            life.resumed |= write.code == OpCode::RunResume;
            life.deleted |= write.code == OpCode::RunDelete;
            annotated |= write.code == OpCode::RunAnnotate;
        }
        if annotated {
            check_labels(writes, operations, run)?;
        }
        Ok(life)
    }
}

/// A run gets no more labels than it may have.
fn check_labels(writes: &WriteSet, operations: &[&Write], run: Option<&Run>) -> Result<()> {
    let mut labels = run.map(|run| run.record.began.labels.clone()).unwrap_or_default();
    for write in operations {
        let WriteBody::Bytes(body) = writes.body(write) else { continue };
        match write.code {
            OpCode::RunBegin => labels = decode_body::<RunBegun>("run", body)?.labels,
            OpCode::RunAnnotate => {
                for (key, value) in decode_body::<RunAnnotated>("run annotation", body)?.labels {
                    match value {
                        Some(value) => labels.insert(key, value),
                        None => labels.remove(&key),
                    };
                }
                check_limit("labels", labels.len(), LABELS_MAX)?;
            }
            _ => {}
        }
    }
    Ok(())
}

fn check_write(writes: &WriteSet, write: &Write, space: &Space, now_micros: u64, pages: &dyn PageSource) -> Result<()> {
    let key = writes.key(write);
    if space.tree().is_empty() && write.code != OpCode::KvAdd && writes.edit(write).is_none() {
        // Nothing can be absent.
        return Ok(());
    }
    let prepare = |family: Family, key: &[u8]| space.tree().prepare(&family.key(key), pages);
    let prepare_entry = |family: Family, key: &[u8], expires: Option<u64>| {
        let key = family.key(key);
        space.tree().prepare(&key, pages)?;
        space.prepare_expiry(&key, expires, pages)
    };
    match (write.code, writes.body(write)) {
        (OpCode::KvPut | OpCode::KvDelete, _) => prepare_entry(Family::Kv, key, None),
        (OpCode::JsonPut | OpCode::JsonDelete, _) => {
            prepare_entry(Family::Json, key, None)?;
            writes.edit(write).map_or(Ok(()), |edit| check_edit(key, edit.body, space, pages))
        }
        (OpCode::StatePut | OpCode::StateDelete, _) => prepare_entry(Family::State, key, None),
        (OpCode::KvAdd, WriteBody::Bytes(body)) => {
            check_counter(key, body, space, now_micros, pages)?;
            space.prepare_expiry(&Family::Kv.key(key), None, pages)
        }
        (OpCode::KvPutExpiring | OpCode::KvExpire, WriteBody::Bytes(body)) => {
            prepare_entry(Family::Kv, key, expiry_of(body)?)
        }
        (OpCode::JsonPutExpiring | OpCode::JsonExpire, WriteBody::Bytes(body)) => {
            prepare_entry(Family::Json, key, expiry_of(body)?)?;
            writes.edit(write).map_or(Ok(()), |edit| check_edit(key, edit.body, space, pages))
        }
        (OpCode::StatePutExpiring | OpCode::StateExpire, WriteBody::Bytes(body)) => {
            prepare_entry(Family::State, key, expiry_of(body)?)
        }
        (OpCode::Sweep, WriteBody::Bytes(body)) => space.prepare_sweep(&Sweep::parse(body)?, pages),
        (OpCode::TracePut, WriteBody::Bytes(body)) => {
            prepare(Family::Trace, key)?;
            trace_index(key, body)?.iter().try_for_each(|key| space.tree().prepare(key, pages))
        }
        (OpCode::EventAppend, _) => {
            prepare(Family::Stream, key)?;
            let next = space.stream(key, pages)?.map_or(1, |info| info.head + 1);
            prepare(Family::Batch, &batch_key(key, next))
        }
        (OpCode::EventTrim, WriteBody::Bytes(body)) => {
            prepare(Family::Stream, key)?;
            let Some(info) = space.stream(key, pages)? else { return Ok(()) };
            space
                .batches_before(key, &info, trimmed_to(body)?, pages)?
                .map_or(Ok(()), |range| fault_in(space, &range, pages))
        }
        (OpCode::StreamDelete, _) => {
            prepare(Family::Stream, key)?;
            fault_in(space, &batches_of(key), pages)
        }
        _ => Ok(()),
    }
}

/// Visiting faults leaves in; what is removed from them later needs no more reads.
fn fault_in(space: &Space, range: &crate::tree::KeyRange, pages: &dyn PageSource) -> Result<()> {
    space.tree().visit(range, Direction::Forward, pages, &mut |_, _| ControlFlow::Continue(()))
}

/// Whether an edit is one of the document that is there: it was read, and has not changed since.
fn check_edit(key: &[u8], body: &[u8], space: &Space, pages: &dyn PageSource) -> Result<()> {
    let entry = space.tree().get(&Family::Json.key(key), pages)?;
    // Where its splices will be makes no difference.
    let nowhere = LogPointer { segment: 0, offset: 0, len: 0, crc: 0 };
    EditedDocument::after(entry.as_ref(), &EditBody::parse(body)?, nowhere).map(|_| ())
}

/// The time that a body begins with; none where it is empty.
fn expiry_of(body: &[u8]) -> Result<Option<u64>> {
    if body.is_empty() { Ok(None) } else { split_expiring_body(body).map(|(micros, _)| Some(micros)) }
}

fn check_counter(key: &[u8], body: &[u8], space: &Space, now_micros: u64, pages: &dyn PageSource) -> Result<()> {
    let delta = Delta::decode(body)?;
    let (existing, _) = counted(space.tree().get(&Family::Kv.key(key), pages)?, now_micros);
    if existing.is_some_and(|entry| entry.kind != entry_kind::INLINE) {
        return Err(Error::Type { what: readable(key), expected: delta.kind().name(), found: "a large value" });
    }
    apply_delta(key, existing.map(|entry| entry.value), &delta).map(|_| ())
}
