//! The writes of a transaction, buffered until it commits.
//!
//! Invariants:
//! - For each key there is at most one write: a later put or delete replaces an earlier one, additions are summed, and
//!   the events appended to a stream are one batch. So the order of the writes inside a transaction does not matter, and
//!   they are logged sorted by space and key, which makes equal transactions equal bytes.
//! - Keys are kept once, in the arena; the index keeps positions only. What the arena holds beyond that is bounded by it.
//! - Every write is well-formed: the fold can read it.

use alloc::{boxed::Box, vec, vec::Vec};
use core::{
    cell::{OnceCell, RefCell},
    cmp::Ordering,
    hash::BuildHasher,
};

use hashbrown::HashTable;

use super::{
    Cause,
    appends::Appends,
    expiries::{sum_unknown, value_len},
    new_runs::{NewRuns, PROVISIONAL},
    undo::{Record, Undo, keeping, keeping_whole},
    write::{Body, Form, Write, WriteBody, expires, is_run_operation, puts_expiring, rank, rank_of_slot, slot},
};
use crate::{
    Error, Result, RunId,
    error::check_limit,
    limits::{KEY_BYTES_MAX, TRANSACTION_BYTES_MAX, VALUE_BYTES_MAX},
    log::{OnceKey, OpCode, varint::Reader},
    primitive::{
        EventBatch,
        access::{OnPendingEvents, PendingStream},
    },
    state::{SpaceNumber, check_operation, readable},
    tree::{Direction, Tree},
    value::{Delta, apply_delta},
    work,
};

/// Up to here a search through all writes is quicker than an index, and most transactions are this small.
const UNINDEXED_MAX: usize = 8;

/// What an operation costs in a frame beyond its key and body: code and two lengths.
pub(crate) const OP_OVERHEAD: usize = 11;

/// The buffered writes of one transaction.
#[derive(Debug, Default)]
pub(crate) struct WriteSet {
    pub(super) arena: Vec<u8>,
    pub(super) writes: Vec<Write>,
    /// How many of the writes were taken out again.
    pub(super) gone: usize,
    pub(super) run_operations: usize,
    /// Whether any stream was ever trimmed.
    has_trims: bool,
    /// Whether it was ever said when something is over.
    pub(crate) has_expiries: bool,
    /// Whether the writes are not in the order in which they are logged: then they are sorted at commit and found through
    /// the index. As long as they are, as in every bulk load, neither is needed.
    pub(super) unordered: bool,
    pub(super) index: HashTable<usize>,
    /// The writes in the order of their keys, from the first time on that somebody asks for a range of unordered ones.
    pub(super) ordered: OnceCell<Box<Tree>>,
    pub(super) appends: Vec<Appends>,
    /// Upper bound of the operations' encoded bytes.
    pub(super) encoded_bytes: usize,
    /// Bytes of the arena that keys and present bodies take.
    pub(super) arena_used: usize,
    /// How long the arena has to be before it is looked at again.
    pub(super) compact_at: usize,
    pub(super) new_runs: Option<Box<NewRuns>>,
    /// From the first savepoint on. In a cell of its own: one may be taken while the writes are read.
    pub(super) undo: RefCell<Option<Box<Undo>>>,
    pub(crate) idempotency_key: Option<Vec<u8>>,
    /// What tells the contents under the key from others; empty for none.
    pub(crate) fingerprint: Vec<u8>,
    /// What the transaction comes to, to be remembered with the key; empty for none.
    pub(crate) result: Vec<u8>,
    /// Why the transaction is made.
    pub(crate) cause: Option<Cause>,
}

impl WriteSet {
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many writes there are.
    pub(crate) fn len(&self) -> usize {
        self.writes.len() - self.gone
    }

    /// Whether a run is begun, ended, resumed, annotated or deleted.
    pub(crate) fn has_run_operations(&self) -> bool {
        self.run_operations > 0
    }

    /// Upper bound of what an idempotency key, its fingerprint and its result, and a cause, take in the log.
    pub(crate) fn header_bytes(&self) -> usize {
        let once = |key: &Vec<u8>| key.len() + self.fingerprint.len() + self.result.len() + 3 * OP_OVERHEAD;
        let cause = self.cause.as_ref().map_or(0, |cause| cause.bytes() + OP_OVERHEAD);
        self.idempotency_key.as_ref().map_or(0, once) + cause
    }

    pub(crate) fn key(&self, write: &Write) -> &[u8] {
        work::count(1);
        // Ranges are only ever made from positions in the arena, and move with it.
        self.arena.get(write.key()).unwrap_or_default()
    }

    /// How many operations the write is logged as: one, but for appends that are too much for one.
    pub(crate) fn operations(&self, write: &Write) -> usize {
        match write.body() {
            Body::Bytes(_) => 1,
            Body::Events(place) => self.appends.get(place).map_or(0, Appends::operations),
            Body::Gone => 0,
        }
    }

    /// The body of the write's first operation, which for everything but appends is all of it.
    pub(crate) fn body(&self, write: &Write) -> WriteBody<'_> {
        self.operation_body(write, 0)
    }

    /// The body of one of the write's operations.
    pub(crate) fn operation_body(&self, write: &Write, operation: usize) -> WriteBody<'_> {
        match write.body() {
            Body::Bytes(range) if write.is_edited => WriteBody::Bytes(self.document(range)),
            Body::Bytes(range) => WriteBody::Bytes(self.arena.get(range).unwrap_or_default()),
            Body::Events(place) => match self.appends.get(place) {
                Some(appends) => appends.operation(operation),
                None => WriteBody::Events { count: 0, bytes: &[] },
            },
            Body::Gone => WriteBody::Bytes(&[]),
        }
    }

    /// The write at a position that [`WriteSet::sorted`] gave.
    pub(crate) fn get(&self, at: usize) -> Option<&Write> {
        self.writes.get(at).filter(|write| !write.is_gone())
    }

    /// The idempotency key with what is remembered with it.
    pub(crate) fn once(&self) -> Option<OnceKey<'_>> {
        let key = self.idempotency_key.as_deref()?;
        Some(OnceKey { key, fingerprint: &self.fingerprint, result: &self.result })
    }

    /// The writes, in the order in which they were made.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Write> {
        self.writes.iter().inspect(|_| work::count(1)).filter(|write| !write.is_gone())
    }

    /// Positions of the writes in the order in which they are logged.
    pub(crate) fn sorted(&self) -> Vec<usize> {
        work::count(self.writes.len());
        let mut order: Vec<usize> = (0..self.writes.len()).collect();
        if !self.unordered {
            return order;
        }
        order.retain(|at| self.get(*at).is_some());
        order.sort_by(|left, right| {
            let (Some(left), Some(right)) = (self.writes.get(*left), self.writes.get(*right)) else {
                return Ordering::Equal;
            };
            let keys = || self.sort_key(left).cmp(self.sort_key(right));
            left.place().cmp(&right.place()).then_with(keys)
        });
        order
    }

    /// Operations on a run keep the order in which they were issued (the sort is stable).
    fn sort_key(&self, write: &Write) -> &[u8] {
        if is_run_operation(write.code) { &[] } else { self.key(write) }
    }

    /// Whether a key is logged behind those of all writes, so that it cannot be among them and need not be sorted; the case
    /// of every bulk load. A trim may have to go before what was appended later, so it never counts as in order.
    fn is_behind_all(&self, space: SpaceNumber, code: OpCode, key: &[u8]) -> bool {
        let sort_key = if is_run_operation(code) { &[] } else { key };
        let is_behind = |last: &Write| (last.place(), self.sort_key(last)) < ((space, rank(code)), sort_key);
        !self.unordered && code != OpCode::EventTrim && self.writes.last().is_none_or(is_behind)
    }

    /// The write that decides what a read of this key sees.
    pub(crate) fn find(&self, space: SpaceNumber, code: OpCode, key: &[u8]) -> Option<&Write> {
        self.position(space, slot(code), key).and_then(|at| self.writes.get(at))
    }

    fn position(&self, space: SpaceNumber, slot_of_key: u8, key: &[u8]) -> Option<usize> {
        let same = |write: &Write| {
            !write.is_gone() && write.space == space && slot(write.code) == slot_of_key && self.key(write) == key
        };
        if self.writes.len() <= UNINDEXED_MAX {
            return self.writes.iter().position(same);
        }
        if !self.unordered {
            return self.search(space, slot_of_key, key);
        }
        let hash = hash(space, slot_of_key, key);
        self.index.find(hash, |at| self.writes.get(*at).is_some_and(same)).copied()
    }

    /// The position of a key while the writes are in order, and none is gone. Writes of one slot lie side by side there: the
    /// operations on a stream have a slot and a rank each.
    fn search(&self, space: SpaceNumber, slot_of_key: u8, key: &[u8]) -> Option<usize> {
        let wanted = ((space, rank_of_slot(slot_of_key)), key);
        self.writes.binary_search_by(|write| (write.place(), self.sort_key(write)).cmp(&wanted)).ok()
    }

    fn store(&mut self, bytes: &[u8]) -> core::ops::Range<usize> {
        work::count_bytes(bytes.len());
        let start = self.arena.len();
        self.arena.extend_from_slice(bytes);
        start..self.arena.len()
    }

    /// The present epoch of the undo log.
    fn epoch(&mut self) -> u64 {
        self.undo.get_mut().as_ref().map_or(0, |undo| undo.epoch())
    }

    /// Counts a write as larger by `more` bytes and smaller by `less`.
    fn count_bytes(&mut self, more: usize, less: usize) -> Result<()> {
        let encoded = self.encoded_bytes.saturating_add(more).saturating_sub(less);
        if more > less {
            check_limit("transaction bytes", encoded, TRANSACTION_BYTES_MAX)?;
        }
        self.encoded_bytes = encoded;
        Ok(())
    }

    /// Buffers one operation. Fails with [`Error::Limit`] where something is too large and with [`Error::Invalid`] or
    /// [`Error::Type`] where the fold could not read it, and changes nothing then.
    pub(crate) fn write(&mut self, space: SpaceNumber, code: OpCode, key: &[u8], body: &[u8]) -> Result<()> {
        check_limit("key bytes", key.len(), KEY_BYTES_MAX)?;
        check_limit("value bytes", value_len(code, body), VALUE_BYTES_MAX)?;
        if code == OpCode::JsonEdit {
            // It stands for a document, which reads of this transaction have to see.
            let why = "a change of a document is written with the document".into();
            return Err(Error::Invalid { what: "operation", why });
        }
        check_operation(space, code, key, body)?;
        self.write_well_formed(space, code.into(), key, body)
    }

    pub(super) fn write_well_formed(&mut self, space: SpaceNumber, form: Form, key: &[u8], body: &[u8]) -> Result<()> {
        let code = form.code;
        self.has_expiries |= expires(code) || puts_expiring(code);
        let in_order = self.is_behind_all(space, code, key);
        if !in_order
            && !is_run_operation(code)
            && let Some(at) = self.position(space, slot(code), key)
        {
            return self.write_again(at, form, body);
        }
        self.count_bytes(key.len() + body.len() + OP_OVERHEAD, 0)?;
        let key = self.store(key);
        let mut write = Write::new(space, code, key, self.epoch());
        write.is_edited = form.is_edited;
        write.set_body(Body::Bytes(self.store(body)));
        self.has_trims |= code == OpCode::EventTrim;
        self.push(write, in_order);
        Ok(())
    }

    /// Begins a run, in a space of its own, whose number is returned. `body` is that of the operation.
    pub(crate) fn begin_run(&mut self, id: RunId, body: &[u8]) -> Result<SpaceNumber> {
        check_limit("value bytes", body.len(), VALUE_BYTES_MAX)?;
        let number = self.new_runs.get_or_insert_default().begin(id);
        let written = self.write_well_formed(number, OpCode::RunBegin.into(), &id.to_bytes(), body);
        if written.is_err() {
            self.take_back_newest_run();
        }
        written.map(|()| number)
    }

    /// Changes a run: ends, resumes, annotates or deletes it. `body` is that of the operation.
    pub(crate) fn change_run(&mut self, space: SpaceNumber, code: OpCode, body: &[u8]) -> Result<()> {
        check_limit("value bytes", body.len(), VALUE_BYTES_MAX)?;
        self.write_well_formed(space, code.into(), &[], body)
    }

    /// Forgets the run that was begun last.
    pub(super) fn take_back_newest_run(&mut self) {
        if let Some(runs) = &mut self.new_runs {
            runs.take_back_newest();
        }
    }

    /// The id of a run that the transaction begins and has not rolled back.
    pub(crate) fn new_run(&self, space: SpaceNumber) -> Option<RunId> {
        if space & PROVISIONAL == 0 { None } else { self.new_runs.as_ref()?.id(space) }
    }

    /// The number of a run that the transaction begins.
    pub(crate) fn new_run_number(&self, id: RunId) -> Option<SpaceNumber> {
        self.new_runs.as_ref()?.number(id)
    }

    fn push(&mut self, write: Write, in_order: bool) {
        let at = self.writes.len();
        if !in_order {
            self.leave_order();
        }
        self.arena_used += write.key().len() + write.body_len();
        self.run_operations += usize::from(is_run_operation(write.code));
        self.writes.push(write);
        if self.unordered {
            self.insert_into_index(at);
        }
        self.insert_into_order(at);
    }

    /// The index is built when the order is left, and kept from then on.
    pub(super) fn leave_order(&mut self) {
        if !self.unordered {
            self.unordered = true;
            (0..self.writes.len()).for_each(|at| self.insert_into_index(at));
        }
    }

    fn hash_at(writes: &[Write], arena: &[u8], at: usize) -> u64 {
        let key = |write: &Write| arena.get(write.key()).unwrap_or_default();
        writes.get(at).map_or(0, |write| hash(write.space, slot(write.code), key(write)))
    }

    pub(super) fn insert_into_index(&mut self, at: usize) {
        let (writes, arena) = (&self.writes, &self.arena);
        let hash_of = |at: &usize| Self::hash_at(writes, arena, *at);
        self.index.insert_unique(hash_of(&at), at, hash_of);
    }

    pub(super) fn remove_from_index(&mut self, at: usize) {
        let hash = Self::hash_at(&self.writes, &self.arena, at);
        if let Ok(entry) = self.index.find_entry(hash, |other| *other == at) {
            entry.remove();
        }
    }

    /// Writes to a place that has a write already.
    fn write_again(&mut self, at: usize, form: Form, body: &[u8]) -> Result<()> {
        let Some(write) = self.writes.get(at) else { return Ok(()) };
        match (write.code, form.code) {
            // A stream that was trimmed stays trimmed.
            (OpCode::EventTrim, OpCode::EventTrim) if self.number_of(write) > varint_of(body) => Ok(()),
            // The counter is known already (or known to be absent): what is added makes a plain put of it.
            (OpCode::KvPut, OpCode::KvAdd) => {
                let WriteBody::Bytes(value) = self.body(write) else { return Ok(()) };
                let sum = apply_delta(self.key(write), Some(value), &Delta::decode(body)?)?;
                self.change(at, OpCode::KvPut.into(), &sum)
            }
            (OpCode::KvDelete, OpCode::KvAdd) => {
                let sum = apply_delta(self.key(write), None, &Delta::decode(body)?)?;
                self.change(at, OpCode::KvPut.into(), &sum)
            }
            (OpCode::KvAdd, OpCode::KvAdd) => {
                let WriteBody::Bytes(old) = self.body(write) else { return Ok(()) };
                let mut sum = vec![];
                sum_of(self.key(write), Delta::decode(old)?, Delta::decode(body)?)?.encode(&mut sum);
                self.change(at, OpCode::KvAdd.into(), &sum)
            }
            (OpCode::KvPutExpiring, OpCode::KvAdd) => self.add_to_expiring(at, body),
            (OpCode::KvExpire, OpCode::KvAdd) | (OpCode::KvAdd, OpCode::KvExpire) => Err(sum_unknown()),
            (before, after) if expires(after) && !expires(before) => self.expire_again(at, body),
            // A trim that is asked for again comes behind what was appended in between.
            _ => self.change(at, form, body),
        }
    }

    /// The number that the body of a trim holds.
    fn number_of(&self, trim: &Write) -> u64 {
        match self.body(trim) {
            WriteBody::Bytes(body) => varint_of(body),
            WriteBody::Events { .. } => 0,
        }
    }

    /// Gives a write another body, and keeps the old one where a savepoint may bring it back.
    pub(super) fn change(&mut self, at: usize, form: Form, body: &[u8]) -> Result<()> {
        let Some(before) = self.writes.get(at).copied() else { return Ok(()) };
        let Body::Bytes(old) = before.body() else { return Ok(()) };
        self.count_bytes(body.len(), old.len())?;
        let mut write = before;
        (write.code, write.trims_first, write.is_edited) = (form.code, form.trims_first, form.is_edited);
        write.epoch = self.epoch();
        let keeps = match keeping(&mut self.undo, before.epoch) {
            Some(undo) => {
                undo.record(Record::Changed { at, before });
                true
            }
            None => false,
        };
        if keeps {
            // The old body stays where it is.
        } else if old.end == self.arena.len() {
            self.arena.truncate(old.start);
        }
        match self.arena.get_mut(old.start..old.start + body.len()) {
            Some(room) if !keeps && body.len() <= old.len() => {
                room.copy_from_slice(body);
                write.set_body(Body::Bytes(old.start..old.start + body.len()));
            }
            _ => write.set_body(Body::Bytes(self.store(body))),
        }
        self.arena_used = self.arena_used + body.len() - old.len();
        self.replace(at, write);
        self.compact_if_wasteful();
        Ok(())
    }

    /// Puts another write at a position. What it is found by stays.
    pub(super) fn replace(&mut self, at: usize, write: Write) {
        self.remove_from_order(at);
        if let Some(place) = self.writes.get_mut(at) {
            *place = write;
        }
        self.insert_into_order(at);
    }

    /// Buffers events for the end of a stream.
    pub(crate) fn append(&mut self, space: SpaceNumber, stream: &[u8], events: &EventBatch) -> Result<()> {
        check_limit("stream name bytes", stream.len(), KEY_BYTES_MAX)?;
        if events.is_empty() {
            return Ok(());
        }
        let in_order = self.is_behind_all(space, OpCode::EventAppend, stream);
        let found = if in_order { None } else { self.position(space, slot(OpCode::EventAppend), stream) };
        // Every piece repeats the name of the stream.
        let known = found.and_then(|at| self.appends_at(at));
        let pieces = known.map_or(Appends::pieces_of(events.bytes()), |appends| appends.pieces_for(events.bytes()));
        let cost = events.bytes().len() + pieces.saturating_mul(stream.len() + 2 * OP_OVERHEAD);
        self.count_bytes(cost, 0)?;
        self.spare_from_trimming(space, stream)?;
        let at = match found {
            Some(at) => at,
            None => {
                let key = self.store(stream);
                let mut write = Write::new(space, OpCode::EventAppend, key, self.epoch());
                write.set_body(Body::Events(self.appends.len()));
                self.appends.push(Appends::default());
                self.push(write, in_order);
                self.writes.len() - 1
            }
        };
        let Some(write) = self.writes.get_mut(at) else { return Ok(()) };
        let Body::Events(place) = write.body() else { return Ok(()) };
        let Some(appends) = self.appends.get_mut(place) else { return Ok(()) };
        if let Some(undo) = keeping(&mut self.undo, write.epoch) {
            undo.record(Record::Grown { at, epoch: write.epoch, before: appends.extent() });
            write.epoch = undo.epoch();
        }
        appends.append(events.len(), events.bytes(), cost)
    }

    /// Appended to again after it was trimmed, a stream keeps all that was appended to it: it is one batch, and losing what
    /// came after the trim would be worse than keeping what came before.
    fn spare_from_trimming(&mut self, space: SpaceNumber, stream: &[u8]) -> Result<()> {
        if !self.has_trims {
            return Ok(());
        }
        let Some(at) = self.position(space, slot(OpCode::EventTrim), stream) else { return Ok(()) };
        let Some(trim) = self.writes.get(at).filter(|trim| !trim.trims_first) else { return Ok(()) };
        let WriteBody::Bytes(body) = self.body(trim) else { return Ok(()) };
        let body = body.to_vec();
        self.change(at, Form { trims_first: true, ..OpCode::EventTrim.into() }, &body)
    }

    /// Deleting a stream also forgets what this transaction appended to it or trimmed off it before.
    pub(crate) fn delete_stream(&mut self, space: SpaceNumber, stream: &[u8]) -> Result<()> {
        check_limit("key bytes", stream.len(), KEY_BYTES_MAX)?;
        for code in [OpCode::EventAppend, OpCode::EventTrim] {
            if let Some(at) = self.position(space, slot(code), stream) {
                self.take_out(at);
            }
        }
        self.write(space, OpCode::StreamDelete, stream, &[])
    }

    fn take_out(&mut self, at: usize) {
        self.leave_order();
        self.remove_from_index(at);
        self.remove_from_order(at);
        let Some(write) = self.writes.get_mut(at) else { return };
        let before = *write;
        write.set_body(Body::Gone);
        self.gone += 1;
        self.run_operations -= usize::from(is_run_operation(before.code));
        self.arena_used -= before.body_len();
        let (cost, events) = match before.body() {
            Body::Events(place) => {
                let events = self.appends.get_mut(place).map(core::mem::take);
                (events.as_ref().map_or(0, Appends::cost), events)
            }
            _ => (before.key().len() + before.body_len() + OP_OVERHEAD, None),
        };
        self.encoded_bytes -= cost;
        if let Some(undo) = keeping_whole(&mut self.undo, at) {
            undo.record(Record::Removed { at, before, events });
        }
        self.sweep_if_wasteful();
        self.compact_if_wasteful();
    }

    /// What is buffered for a stream.
    pub(crate) fn pending_stream(&self, space: SpaceNumber, stream: &[u8]) -> PendingStream {
        let mut pending = PendingStream {
            deleted: self.find(space, OpCode::StreamDelete, stream).is_some(),
            ..PendingStream::default()
        };
        if let Some(trim) = self.find(space, OpCode::EventTrim, stream).filter(|_| self.has_trims) {
            pending.trimmed = Some(self.number_of(trim));
            pending.trimmed_first = trim.trims_first;
        }
        if let Some(appends) = self.appends_of(space, stream) {
            pending.count = appends.count();
            pending.bytes = u64::try_from(appends.bytes()).unwrap_or(u64::MAX);
        }
        pending
    }

    /// Calls `each` for the events from number `first` to number `last` that are buffered for a stream.
    pub(crate) fn visit_pending(
        &self,
        (space, stream): (SpaceNumber, &[u8]),
        (first, last): (u64, u64),
        direction: Direction,
        each: OnPendingEvents<'_>,
    ) -> Result<()> {
        match self.appends_of(space, stream) {
            Some(appends) => appends.visit(first, last, direction, each),
            None => Ok(()),
        }
    }

    fn appends_of(&self, space: SpaceNumber, stream: &[u8]) -> Option<&Appends> {
        self.appends_at(self.position(space, slot(OpCode::EventAppend), stream)?)
    }

    fn appends_at(&self, at: usize) -> Option<&Appends> {
        match self.writes.get(at)?.body() {
            Body::Events(place) => self.appends.get(place),
            Body::Bytes(_) | Body::Gone => None,
        }
    }
}

/// The number that the body of a trim holds.
fn varint_of(body: &[u8]) -> u64 {
    Reader::new(body).varint().unwrap_or(0)
}

/// What two additions to one counter come to.
fn sum_of(key: &[u8], left: Delta, right: Delta) -> Result<Delta> {
    let sum = match (&left, &right) {
        (Delta::I64(left), Delta::I64(right)) => left.checked_add(*right).map(Delta::I64),
        (Delta::U64(left), Delta::U64(right)) => left.checked_add(*right).map(Delta::U64),
        (Delta::F64(left), Delta::F64(right)) => Some(Delta::F64(left + right)),
        (Delta::U256(left), Delta::U256(right)) => left.checked_add(*right).map(Delta::U256),
        _ => {
            let (expected, found) = (left.kind().name(), right.kind().name());
            return Err(Error::Type { what: readable(key), expected, found });
        }
    };
    sum.ok_or_else(|| Error::CounterOverflow { key: readable(key), kind: left.kind().name() })
}

fn hash(space: SpaceNumber, slot: u8, key: &[u8]) -> u64 {
    // Keys come from the program that embeds the store; the table lives as long as one transaction.
    rustc_hash::FxBuildHasher.hash_one((space, slot, key))
}
