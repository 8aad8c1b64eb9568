//! The writes of a transaction, buffered until it commits.
//!
//! Invariants:
//! - For each key there is at most one write: a later put or delete replaces an earlier one, additions are summed, and
//!   the events appended to a stream are one batch. So the order of the writes inside a transaction does not matter, and
//!   they are logged sorted by space and key, which makes equal transactions equal bytes.
//! - Keys are kept once, in the arena; the index keeps positions only.

use alloc::{vec, vec::Vec};
use core::{cmp::Ordering, hash::BuildHasher, ops::Range};

use hashbrown::HashTable;

use crate::{
    Error, Result, RunId,
    error::check_limit,
    limits::{KEY_BYTES_MAX, PART_BYTES_TARGET, TRANSACTION_BYTES_MAX, VALUE_BYTES_MAX},
    log::{
        OnceKey, OpCode,
        varint::{self, Reader},
    },
    primitive::access::PendingStream,
    state::{Family, SpaceNumber, read_event, readable},
    value::{Delta, apply_delta},
};

/// Set in the number of a run that the transaction itself begins: the real number is given at commit.
pub(crate) const PROVISIONAL: SpaceNumber = 1 << 31;

/// Up to here a search through all writes is quicker than an index, and most transactions are this small.
const UNINDEXED_MAX: usize = 8;

/// What an operation costs in a frame beyond its key and body: code and two lengths.
const OP_OVERHEAD: usize = 11;

/// One buffered write.
#[derive(Clone, Debug)]
pub(crate) struct Write {
    pub(crate) space: SpaceNumber,
    pub(crate) code: OpCode,
    key: Range<usize>,
    body: Body,
}

#[derive(Clone, Debug)]
enum Body {
    Arena(Range<usize>),
    /// Appended events, in pieces that each become one operation.
    Events(Vec<Events>),
}

/// Events that become one operation.
#[derive(Clone, Debug)]
struct Events {
    count: u64,
    bytes: Vec<u8>,
}

/// The buffered writes of one transaction.
#[derive(Clone, Debug, Default)]
pub(crate) struct WriteSet {
    arena: Vec<u8>,
    writes: Vec<Write>,
    /// Whether the writes are not in the order in which they are logged: then they are sorted at commit and found through
    /// the index. As long as they are, as in every bulk load, neither is needed.
    unordered: bool,
    index: HashTable<usize>,
    /// Upper bound of the operations' encoded bytes.
    encoded_bytes: usize,
    /// Ids of the runs that this transaction begins; provisional numbers count from 0. `None` where the beginning was
    /// rolled back: its number is not used again, because handles with it may still be around.
    pub(crate) new_runs: Vec<Option<RunId>>,
    pub(crate) idempotency_key: Option<Vec<u8>>,
    /// What tells the contents under the key from others; empty for none.
    pub(crate) fingerprint: Vec<u8>,
    /// What the transaction comes to, to be remembered with the key; empty for none.
    pub(crate) result: Vec<u8>,
}

/// Writes that compete for one place share a slot: a later one replaces an earlier one.
fn slot(code: OpCode) -> u8 {
    match code {
        OpCode::KvPut | OpCode::KvDelete | OpCode::KvAdd => Family::Kv.byte(),
        OpCode::JsonPut | OpCode::JsonDelete => Family::Json.byte(),
        OpCode::StatePut | OpCode::StateDelete => Family::State.byte(),
        other => other.to_byte(),
    }
}

/// In which order the operations of a space are logged: its beginning first, its removal last, a stream's deletion
/// before what is appended to it and trimming after that (but see [`WriteSet::is_trimmed_first`]).
fn rank(code: OpCode) -> u8 {
    match code {
        OpCode::RunBegin => 0,
        OpCode::StreamDelete => TRIMMED_FIRST - 1,
        OpCode::RunDelete => u8::MAX,
        OpCode::RunEnd | OpCode::RunResume | OpCode::RunAnnotate => 0x60,
        other => slot(other),
    }
}

/// The rank of trimming that was asked for before anything was appended: between deletions and appends.
const TRIMMED_FIRST: u8 = 0x2f;

/// The rank of the writes of a slot.
fn rank_of_slot(slot: u8) -> u8 {
    if slot == OpCode::StreamDelete.to_byte() { rank(OpCode::StreamDelete) } else { slot }
}

/// Operations on a run itself are kept one by one, in order: ending and resuming in one transaction are two events.
fn is_run_operation(code: OpCode) -> bool {
    code.to_byte() & 0xf0 == 0x60
}

impl WriteSet {
    pub(crate) fn is_empty(&self) -> bool {
        self.writes.is_empty()
    }

    /// Upper bound of the bytes that the operations take in the log.
    pub(crate) fn encoded_bytes(&self) -> usize {
        let once = |key: &Vec<u8>| key.len() + self.fingerprint.len() + self.result.len() + 3 * OP_OVERHEAD;
        self.encoded_bytes + self.idempotency_key.as_ref().map_or(0, once)
    }

    pub(crate) fn key(&self, write: &Write) -> &[u8] {
        // Ranges are only ever made from positions in the arena, which never shrinks below a write that is kept.
        self.arena.get(write.key.clone()).unwrap_or_default()
    }

    /// How many operations the write is logged as: one, but for appends that are too much for one.
    pub(crate) fn operations(&self, write: &Write) -> usize {
        match &write.body {
            Body::Arena(_) => 1,
            Body::Events(pieces) => pieces.len(),
        }
    }

    /// The body of the write's first operation, which for everything but appends is all of it.
    pub(crate) fn body<'a>(&'a self, write: &'a Write) -> WriteBody<'a> {
        self.operation_body(write, 0)
    }

    /// The body of one of the write's operations.
    pub(crate) fn operation_body<'a>(&'a self, write: &'a Write, operation: usize) -> WriteBody<'a> {
        match &write.body {
            Body::Arena(range) => WriteBody::Bytes(self.arena.get(range.clone()).unwrap_or_default()),
            Body::Events(pieces) => match pieces.get(operation) {
                Some(piece) => WriteBody::Events { count: piece.count, bytes: &piece.bytes },
                None => WriteBody::Events { count: 0, bytes: &[] },
            },
        }
    }

    /// The idempotency key with what is remembered with it.
    pub(crate) fn once(&self) -> Option<OnceKey<'_>> {
        let key = self.idempotency_key.as_deref()?;
        Some(OnceKey { key, fingerprint: &self.fingerprint, result: &self.result })
    }

    /// The id of a run that the transaction begins and has not rolled back.
    pub(crate) fn new_run(&self, space: SpaceNumber) -> Option<RunId> {
        let position = usize::try_from(space & !PROVISIONAL).ok().filter(|_| space & PROVISIONAL != 0)?;
        self.new_runs.get(position).copied().flatten()
    }

    pub(crate) fn writes(&self) -> &[Write] {
        &self.writes
    }

    /// Positions of the writes in the order in which they are logged.
    pub(crate) fn sorted(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.writes.len()).collect();
        if !self.unordered {
            return order;
        }
        let place = |at: usize, write: &Write| match write.code {
            OpCode::EventTrim if self.is_trimmed_first(at) => (write.space, TRIMMED_FIRST),
            code => (write.space, rank(code)),
        };
        order.sort_by(|left_at, right_at| {
            let (Some(left), Some(right)) = (self.writes.get(*left_at), self.writes.get(*right_at)) else {
                return Ordering::Equal;
            };
            let keys = || self.sort_key(left).cmp(self.sort_key(right));
            place(*left_at, left).cmp(&place(*right_at, right)).then_with(keys)
        });
        order
    }

    /// Whether a stream was trimmed before the last was appended to it: then what was appended must not be trimmed.
    fn is_trimmed_first(&self, trim: usize) -> bool {
        let Some(write) = self.writes.get(trim) else { return false };
        let append = self.position(write.space, slot(OpCode::EventAppend), self.key(write));
        append.is_some_and(|append| append > trim)
    }

    /// Whether a key is behind those of all writes, so that it cannot be among them; the case of every bulk load.
    fn is_behind_all(&self, space: SpaceNumber, code: OpCode, key: &[u8]) -> bool {
        !self.unordered
            && self
                .writes
                .last()
                .is_some_and(|last| (last.space, rank(last.code), self.sort_key(last)) < (space, rank(code), key))
    }

    /// Whether a write is logged behind all others without being sorted. A trim may have to go before what was appended
    /// later, so it never counts as in order.
    fn is_in_order(&self, write: &Write) -> bool {
        let place = |write: &Write| (write.space, rank(write.code));
        let is_behind = |last: &Write| {
            place(last).cmp(&place(write)).then_with(|| self.sort_key(last).cmp(self.sort_key(write))) == Ordering::Less
        };
        write.code != OpCode::EventTrim && self.writes.last().is_none_or(is_behind)
    }

    /// Operations on a run keep the order in which they were issued (the sort is stable).
    fn sort_key(&self, write: &Write) -> &[u8] {
        if is_run_operation(write.code) { &[] } else { self.key(write) }
    }

    /// The write that decides what a read of this key sees.
    pub(crate) fn find(&self, space: SpaceNumber, code: OpCode, key: &[u8]) -> Option<&Write> {
        self.position(space, slot(code), key).and_then(|at| self.writes.get(at))
    }

    fn position(&self, space: SpaceNumber, slot_of_key: u8, key: &[u8]) -> Option<usize> {
        let same = |write: &Write| write.space == space && slot(write.code) == slot_of_key && self.key(write) == key;
        if self.writes.len() <= UNINDEXED_MAX {
            return self.writes.iter().position(same);
        }
        if !self.unordered {
            return self.search(space, slot_of_key, key);
        }
        let hash = hash(space, slot_of_key, key);
        self.index.find(hash, |at| self.writes.get(*at).is_some_and(same)).copied()
    }

    /// The position of a key while the writes are in order. Writes of one slot lie side by side there: the operations
    /// on a stream have a slot and a rank each.
    fn search(&self, space: SpaceNumber, slot_of_key: u8, key: &[u8]) -> Option<usize> {
        let wanted = (space, rank_of_slot(slot_of_key), key);
        let found =
            self.writes.binary_search_by(|write| (write.space, rank(write.code), self.sort_key(write)).cmp(&wanted));
        found.ok()
    }

    fn push(&mut self, write: Write) {
        let at = self.writes.len();
        let in_order = self.is_in_order(&write);
        self.writes.push(write);
        if !self.unordered && in_order {
            return;
        }
        // The index is built when the order is left, and kept from then on.
        let first = if self.unordered { at } else { 0 };
        self.unordered = true;
        for at in first..self.writes.len() {
            let (writes, arena) = (&self.writes, &self.arena);
            let hash_of = |at: &usize| {
                let key = |write: &Write| arena.get(write.key.clone()).unwrap_or_default();
                writes.get(*at).map_or(0, |write| hash(write.space, slot(write.code), key(write)))
            };
            self.index.insert_unique(hash_of(&at), at, hash_of);
        }
    }

    fn store(&mut self, bytes: &[u8]) -> Range<usize> {
        let start = self.arena.len();
        self.arena.extend_from_slice(bytes);
        start..self.arena.len()
    }

    fn grow(&mut self, bytes: usize) -> Result<()> {
        let encoded = self.encoded_bytes.saturating_add(bytes);
        check_limit("transaction bytes", encoded, TRANSACTION_BYTES_MAX)?;
        self.encoded_bytes = encoded;
        Ok(())
    }

    /// Buffers one operation. Fails with [`Error::Limit`] and changes nothing where something is too large.
    pub(crate) fn write(&mut self, space: SpaceNumber, code: OpCode, key: &[u8], body: &[u8]) -> Result<()> {
        check_limit("key bytes", key.len(), KEY_BYTES_MAX)?;
        check_limit("value bytes", body.len(), VALUE_BYTES_MAX)?;
        self.grow(key.len() + body.len() + OP_OVERHEAD)?;
        if !self.is_behind_all(space, code, key)
            && !is_run_operation(code)
            && let Some(at) = self.position(space, slot(code), key)
        {
            match code {
                // A stream that was trimmed stays trimmed.
                OpCode::EventTrim if self.trimmed_to(at) > varint_of(body) => return Ok(()),
                // From now on what was appended in between is trimmed as well.
                OpCode::EventTrim if self.is_trimmed_first(at) => {
                    self.writes.remove(at);
                    self.rebuild_index();
                }
                _ => return self.replace(at, code, body),
            }
        }
        let key = self.store(key);
        let body = Body::Arena(self.store(body));
        self.push(Write { space, code, key, body });
        Ok(())
    }

    /// The oldest seq that a trim keeps.
    fn trimmed_to(&self, trim: usize) -> u64 {
        match self.writes.get(trim).map(|write| self.body(write)) {
            Some(WriteBody::Bytes(body)) => varint_of(body),
            _ => 0,
        }
    }

    fn replace(&mut self, at: usize, code: OpCode, body: &[u8]) -> Result<()> {
        let Some(write) = self.writes.get(at) else { return Ok(()) };
        let (code, body) = match (write.code, code) {
            // The counter is known already (or known to be absent): what is added makes a plain put of it.
            (OpCode::KvPut, OpCode::KvAdd) => (OpCode::KvPut, self.sum(write, body)?),
            (OpCode::KvDelete, OpCode::KvAdd) => {
                (OpCode::KvPut, apply_delta(self.key(write), None, &Delta::decode(body)?)?)
            }
            (OpCode::KvAdd, OpCode::KvAdd) => {
                let WriteBody::Bytes(old) = self.body(write) else { return Ok(()) };
                let mut sum = vec![];
                sum_of(self.key(write), Delta::decode(old)?, Delta::decode(body)?)?.encode(&mut sum);
                (OpCode::KvAdd, sum)
            }
            _ => (code, body.to_vec()),
        };
        let body = self.store(&body);
        if let Some(write) = self.writes.get_mut(at) {
            write.code = code;
            write.body = Body::Arena(body);
        }
        Ok(())
    }

    fn sum(&self, put: &Write, delta: &[u8]) -> Result<Vec<u8>> {
        match self.body(put) {
            WriteBody::Bytes(value) => apply_delta(self.key(put), Some(value), &Delta::decode(delta)?),
            WriteBody::Events { .. } => Err(Error::Invalid { what: "counter", why: "it is a stream".into() }),
        }
    }

    /// Buffers events for the end of a stream.
    pub(crate) fn append(&mut self, space: SpaceNumber, stream: &[u8], count: u64, events: &[u8]) -> Result<()> {
        check_limit("stream name bytes", stream.len(), KEY_BYTES_MAX)?;
        if count == 0 {
            return Ok(());
        }
        // Every piece repeats the name of the stream.
        let pieces = events.len() / PART_BYTES_TARGET + 1;
        self.grow(events.len() + pieces.saturating_mul(stream.len() + 2 * OP_OVERHEAD))?;
        let at = match self.position(space, slot(OpCode::EventAppend), stream) {
            Some(at) => self.spare_from_trimming(at),
            None => {
                let key = self.store(stream);
                self.push(Write { space, code: OpCode::EventAppend, key, body: Body::Events(Vec::new()) });
                self.writes.len() - 1
            }
        };
        if let Some(Write { body: Body::Events(pieces), .. }) = self.writes.get_mut(at) {
            append_pieces(pieces, count, events)?;
        }
        Ok(())
    }

    /// Appended to again after it was trimmed, a stream keeps all that was appended to it: it is one batch, and losing what
    /// came after the trim would be worse than keeping what came before. Returns where the append is now.
    fn spare_from_trimming(&mut self, append: usize) -> usize {
        let Some(write) = self.writes.get(append) else { return append };
        let trim = self.position(write.space, slot(OpCode::EventTrim), self.key(write));
        let Some(trim) = trim.filter(|trim| *trim > append) else { return append };
        self.writes.swap(append, trim);
        self.rebuild_index();
        trim
    }

    /// Deleting a stream also forgets what this transaction appended to it or trimmed off it before.
    pub(crate) fn delete_stream(&mut self, space: SpaceNumber, stream: &[u8]) -> Result<()> {
        for code in [OpCode::EventAppend, OpCode::EventTrim] {
            if let Some(at) = self.position(space, slot(code), stream) {
                self.writes.remove(at);
                self.rebuild_index();
            }
        }
        self.write(space, OpCode::StreamDelete, stream, &[])
    }

    /// Positions have moved: index them again.
    fn rebuild_index(&mut self) {
        let writes = core::mem::take(&mut self.writes);
        self.index = HashTable::new();
        self.unordered = false;
        for write in writes {
            self.push(write);
        }
    }

    /// What is buffered for a stream.
    pub(crate) fn pending_stream(&self, space: SpaceNumber, stream: &[u8]) -> PendingStream {
        let mut pending = PendingStream {
            deleted: self.find(space, OpCode::StreamDelete, stream).is_some(),
            ..PendingStream::default()
        };
        if let Some(trim) = self.position(space, slot(OpCode::EventTrim), stream) {
            pending.trimmed = Some(self.trimmed_to(trim));
            pending.trimmed_first = self.is_trimmed_first(trim);
        }
        if let Some(Write { body: Body::Events(pieces), .. }) = self.find(space, OpCode::EventAppend, stream) {
            for piece in pieces {
                pending.count += piece.count;
                pending.bytes.extend_from_slice(&piece.bytes);
            }
        }
        pending
    }

    /// Every write of a slot in a space, sorted by key.
    pub(crate) fn sorted_in(&self, space: SpaceNumber, family: Family) -> Vec<&Write> {
        let mut found: Vec<&Write> =
            self.writes.iter().filter(|write| write.space == space && slot(write.code) == family.byte()).collect();
        crate::order::sort_by(&mut found, |left, right| self.key(left).cmp(self.key(right)));
        found
    }

    /// Names of the streams to which events are appended, sorted.
    pub(crate) fn streams_in(&self, space: SpaceNumber) -> Vec<Vec<u8>> {
        let appends = |write: &&Write| write.space == space && write.code == OpCode::EventAppend;
        let mut names: Vec<Vec<u8>> =
            self.writes.iter().filter(appends).map(|write| self.key(write).to_vec()).collect();
        crate::order::sort_by(&mut names, Ord::cmp);
        names
    }
}

/// The body of a buffered write.
#[derive(Clone, Copy, Debug)]
pub(crate) enum WriteBody<'a> {
    Bytes(&'a [u8]),
    Events { count: u64, bytes: &'a [u8] },
}

impl WriteBody<'_> {
    /// How long the body is in the log.
    pub(crate) fn encoded_len(&self) -> usize {
        match self {
            WriteBody::Bytes(bytes) => bytes.len(),
            WriteBody::Events { count, bytes } => varint::encoded_len(*count) + bytes.len(),
        }
    }
}

/// The number that the body of a trim holds.
fn varint_of(body: &[u8]) -> u64 {
    Reader::new(body).varint().unwrap_or(0)
}

/// Appends events to the last piece while it is small, and to new pieces beyond: an operation must fit a frame, and one
/// event always does.
fn append_pieces(pieces: &mut Vec<Events>, count: u64, events: &[u8]) -> Result<()> {
    let room = pieces.last().map_or(PART_BYTES_TARGET, |last| PART_BYTES_TARGET.saturating_sub(last.bytes.len()));
    if events.len() <= room {
        match pieces.last_mut() {
            Some(last) => {
                last.count += count;
                last.bytes.extend_from_slice(events);
            }
            None => pieces.push(Events { count, bytes: events.to_vec() }),
        }
        return Ok(());
    }
    let mut reader = Reader::new(events);
    let (mut start, mut in_piece) = (0, 0);
    while !reader.is_empty() {
        read_event(&mut reader)?;
        in_piece += 1;
        let end = events.len() - reader.remaining();
        if end - start >= PART_BYTES_TARGET || reader.is_empty() {
            let bytes = events.get(start..end).unwrap_or_default().to_vec();
            pieces.push(Events { count: in_piece, bytes });
            (start, in_piece) = (end, 0);
        }
    }
    Ok(())
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
