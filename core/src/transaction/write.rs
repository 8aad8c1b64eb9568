//! One buffered write: which place it is for, and in which order it is logged.
//!
//! Invariant: writes that compete for one place have one slot, and the ranks of a space's writes are the order of rule
//! F-39.

use core::ops::Range;

use crate::{
    log::{OpCode, varint},
    state::{Family, SpaceNumber},
};

/// The rank of trimming that was asked for before anything was appended: between deletions and appends.
const TRIMMED_FIRST: u8 = 0x2f;

/// One buffered write. Its key and its body are in the arena of the [`WriteSet`](super::WriteSet). The fields are small and
/// flat: a bulk load has a million of them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Write {
    pub(crate) space: SpaceNumber,
    pub(crate) code: OpCode,
    /// Of a trim: it was asked for before the last events were appended, which it must spare.
    pub(super) trims_first: bool,
    /// Behind the document that is its body there is the edit that is logged in its place.
    pub(super) is_edited: bool,
    kind: Kind,
    key_len: u16,
    body_len: u32,
    /// The epoch of the undo log in which it got its present body.
    pub(super) epoch: u64,
    key_start: usize,
    /// Where the body is, in the arena or among the appended events.
    body_start: usize,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Bytes,
    Events,
    Gone,
}

/// What a write has for a body.
#[derive(Clone, Debug)]
pub(super) enum Body {
    /// A piece of the arena.
    Bytes(Range<usize>),
    /// Appended events: their place among those of all streams.
    Events(usize),
    /// The write was taken back and counts no more.
    Gone,
}

/// What a write becomes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Form {
    pub(super) code: OpCode,
    pub(super) trims_first: bool,
    pub(super) is_edited: bool,
}

impl From<OpCode> for Form {
    fn from(code: OpCode) -> Self {
        Form { code, trims_first: false, is_edited: false }
    }
}

/// The body of one operation of a buffered write.
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

impl Write {
    /// A write with a key in the arena and no body yet.
    pub(super) fn new(space: SpaceNumber, code: OpCode, key: Range<usize>, epoch: u64) -> Self {
        // Keys have at most 1,024 bytes where they enter.
        let key_len = u16::try_from(key.len()).unwrap_or(u16::MAX);
        Write {
            space,
            code,
            trims_first: false,
            is_edited: false,
            kind: Kind::Bytes,
            key_len,
            body_len: 0,
            epoch,
            key_start: key.start,
            body_start: key.end,
        }
    }

    pub(super) fn key(&self) -> Range<usize> {
        self.key_start..self.key_start + usize::from(self.key_len)
    }

    pub(super) fn move_key(&mut self, start: usize) {
        self.key_start = start;
    }

    #[inline]
    pub(super) fn body(&self) -> Body {
        match self.kind {
            Kind::Bytes => Body::Bytes(self.body_start..self.body_start + self.body_len()),
            Kind::Events => Body::Events(self.body_start),
            Kind::Gone => Body::Gone,
        }
    }

    /// Bytes of the body, where it is in the arena.
    pub(super) fn body_len(&self) -> usize {
        // A document and the edit behind it have at most 16 MiB each, which fits the address space everywhere.
        usize::try_from(self.body_len).unwrap_or(usize::MAX)
    }

    #[inline]
    pub(super) fn set_body(&mut self, body: Body) {
        (self.kind, self.body_start, self.body_len) = match body {
            Body::Bytes(range) => (Kind::Bytes, range.start, u32::try_from(range.len()).unwrap_or(u32::MAX)),
            Body::Events(place) => (Kind::Events, place, 0),
            Body::Gone => (Kind::Gone, 0, 0),
        };
    }

    pub(super) fn is_gone(&self) -> bool {
        matches!(self.kind, Kind::Gone)
    }

    /// Space and rank: where it is logged, but for the order of keys.
    pub(super) fn place(&self) -> (SpaceNumber, u8) {
        let rank = if self.code == OpCode::EventTrim && self.trims_first { TRIMMED_FIRST } else { rank(self.code) };
        (self.space, rank)
    }
}

/// Writes that compete for one place share a slot: a later one replaces an earlier one.
pub(super) fn slot(code: OpCode) -> u8 {
    match code {
        OpCode::KvPut | OpCode::KvDelete | OpCode::KvAdd | OpCode::KvPutExpiring | OpCode::KvExpire => {
            Family::Kv.byte()
        }
        OpCode::JsonPut | OpCode::JsonDelete | OpCode::JsonPutExpiring | OpCode::JsonExpire => Family::Json.byte(),
        OpCode::StatePut | OpCode::StateDelete | OpCode::StatePutExpiring | OpCode::StateExpire => Family::State.byte(),
        other => other.to_byte(),
    }
}

/// In which order the operations of a space are logged: its beginning first, its removal last, a stream's deletion
/// before what is appended to it and trimming after that (but see [`Write::trims_first`]).
pub(super) fn rank(code: OpCode) -> u8 {
    match code {
        OpCode::RunBegin => 0,
        // Before everything that is put: what the transaction itself puts is not swept.
        OpCode::Sweep => 1,
        OpCode::StreamDelete => TRIMMED_FIRST - 1,
        OpCode::RunDelete => u8::MAX,
        OpCode::RunEnd | OpCode::RunResume | OpCode::RunAnnotate => 0x60,
        other => slot(other),
    }
}

/// The rank of the writes of a slot.
pub(super) fn rank_of_slot(slot: u8) -> u8 {
    match OpCode::from_byte(slot) {
        Some(code @ (OpCode::StreamDelete | OpCode::Sweep)) => rank(code),
        _ => slot,
    }
}

/// Whether the operation puts something, and when that is over is said with it.
pub(crate) fn puts_expiring(code: OpCode) -> bool {
    matches!(code, OpCode::KvPutExpiring | OpCode::JsonPutExpiring | OpCode::StatePutExpiring)
}

/// Whether the operation only says when something is over.
pub(crate) fn expires(code: OpCode) -> bool {
    matches!(code, OpCode::KvExpire | OpCode::JsonExpire | OpCode::StateExpire)
}

/// The operations of a family that put something: plainly, and with when it is over.
pub(crate) fn puts_of(slot: u8) -> Option<(OpCode, OpCode)> {
    Some(match Family::from_byte(slot)? {
        Family::Kv => (OpCode::KvPut, OpCode::KvPutExpiring),
        Family::Json => (OpCode::JsonPut, OpCode::JsonPutExpiring),
        Family::State => (OpCode::StatePut, OpCode::StatePutExpiring),
        _ => return None,
    })
}

/// Operations on a run itself are kept one by one, in order: ending and resuming in one transaction are two events.
pub(crate) fn is_run_operation(code: OpCode) -> bool {
    matches!(code.to_byte(), 0x60..=0x67)
}
