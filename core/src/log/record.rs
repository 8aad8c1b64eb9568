//! Writing records: the payload of a frame, appended to the caller's buffer.
//!
//! Invariant: a body is written once, straight into the buffer that goes to the disk. The length of what a closure
//! writes is checked, so that a wrong announcement costs time and never a broken record. Rules F-14 to F-20.

use alloc::vec::Vec;

use super::{
    FRAME_ALIGNMENT, FrameSeal, FrameType, FrameWriter, LogPosition, OpCode,
    fields::wide,
    varint::{self, encoded_len},
};
use crate::Result;

/// Flag of a record: an idempotency key follows.
pub(super) const FLAG_KEY: u64 = 1;
/// Flag of a record with a key: what tells its contents from others follows.
pub(super) const FLAG_FINGERPRINT: u64 = 2;
/// Flag of a record with a key: what the transaction came to follows.
pub(super) const FLAG_RESULT: u64 = 4;
/// Flag of a record: how far back the version is that the transaction read.
pub(super) const FLAG_BASE: u64 = 8;
/// Flag of a record: why the transaction was made follows.
pub(super) const FLAG_CAUSE: u64 = 16;

/// First byte of a cause that is a trace entry.
pub(super) const CAUSE_TRACE: u64 = 1;
/// First byte of a cause that is text.
pub(super) const CAUSE_TEXT: u64 = 2;

/// An idempotency key, and what is remembered with it. Rule F-14.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OnceKey<'a> {
    /// The caller's key.
    pub key: &'a [u8],
    /// What the caller gave to tell its contents from others under the same key; empty for none.
    pub fingerprint: &'a [u8],
    /// What the transaction came to, one value; empty for none.
    pub result: &'a [u8],
}

impl<'a> OnceKey<'a> {
    /// A key, and nothing with it.
    pub const fn new(key: &'a [u8]) -> Self {
        OnceKey { key, fingerprint: &[], result: &[] }
    }
}

/// Why a transaction was made, and on what it was decided. Rule F-14.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reasons<'a> {
    /// Seq of the version that the transaction read; `None` where it read nothing. Less than its own.
    pub base: Option<u64>,
    /// What its author said.
    pub cause: Option<CauseRef<'a>>,
}

/// What the author of a transaction says of why it was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CauseRef<'a> {
    /// A trace entry, by the bytes of its id.
    Trace([u8; 16]),
    /// A word of the author's own, of at most [`CAUSE_BYTES_MAX`](crate::limits::CAUSE_BYTES_MAX) bytes: who, or what for.
    Text(&'a str),
}

/// What every record of a transaction begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordHeader<'a> {
    /// Seq of the transaction; parts of one transaction have the same.
    pub seq: u64,
    /// The durable mark: the highest seq that was known to be on stable media when this was encoded. Less than `seq`.
    pub mark: u64,
    /// When the transaction was committed, in microseconds since 1970, by the host's clock.
    pub time_micros: u64,
    /// The caller's key for noticing that the transaction was committed before; not in a [`FrameType::Part`].
    pub idempotency_key: Option<OnceKey<'a>>,
    /// Why it was made; not in a [`FrameType::Part`].
    pub reasons: Reasons<'a>,
    /// In a [`FrameType::Part`] its number, from 0 on; in a [`FrameType::Commit`] how many parts there are before it;
    /// `None` in a [`FrameType::Transaction`].
    pub part: Option<u32>,
}

/// Appends the payload of a [`FrameType::Transaction`], [`FrameType::Part`] or [`FrameType::Commit`] to a buffer, to which
/// [`FrameWriter::begin`] has just been applied.
///
/// As many groups as were announced have to follow, and in each as many operations: the reader believes the counts and
/// refuses the record otherwise.
///
/// ```
/// use foldb_core::log::{FrameType, LogPosition, OpCode, Reasons, RecordHeader, RecordView, RecordWriter};
///
/// let header = RecordHeader { seq: 2, mark: 1, time_micros: 0, idempotency_key: None, reasons: Reasons::default(), part: None };
/// let at = LogPosition { segment: 1, offset: 128 };
/// let mut payload = vec![];
/// let mut record = RecordWriter::begin(&mut payload, &header, at, 1);
/// record.group(0, None, 1);
/// record.op(OpCode::KvPut, b"key", b"body");
///
/// let view = RecordView::parse(&payload, FrameType::Transaction, at)?;
/// let op = view.groups().next().unwrap().ops().next().unwrap();
/// assert_eq!((op.key, op.body), (&b"key"[..], &b"body"[..]));
/// # Ok::<(), foldb_core::Error>(())
/// ```
#[derive(Debug)]
pub struct RecordWriter<'b> {
    buffer: &'b mut Vec<u8>,
    /// Where the payload begins in the buffer.
    start: usize,
    at: LogPosition,
}

impl<'b> RecordWriter<'b> {
    /// Begins a record of `groups` groups in the frame that will be at `at`.
    #[inline]
    pub fn begin(buffer: &'b mut Vec<u8>, header: &RecordHeader<'_>, at: LogPosition, groups: u64) -> Self {
        debug_assert!(header.mark < header.seq, "a transaction cannot be durable before it is written");
        let start = buffer.len();
        varint::write(buffer, header.seq);
        varint::write(buffer, header.seq.saturating_sub(header.mark));
        varint::write(buffer, header.time_micros);
        match (header.idempotency_key, header.reasons) {
            (None, Reasons { base: None, cause: None }) => buffer.push(0),
            (once, reasons) => write_flagged(buffer, once, &reasons, header.seq),
        }
        if let Some(part) = header.part {
            varint::write(buffer, u64::from(part));
        }
        varint::write(buffer, groups);
        Self { buffer, start, at }
    }

    /// Begins the operations of one space. `previous` is where the transaction before this one that touched the space
    /// begins; the history of a space is a chain through the log.
    #[inline]
    pub fn group(&mut self, space: u32, previous: Option<LogPosition>, ops: u64) {
        debug_assert!(ops > 0, "a group without operations says nothing");
        varint::write(self.buffer, u64::from(space));
        write_previous(self.buffer, previous, self.at);
        varint::write(self.buffer, ops);
    }

    /// Appends one operation. Returns the offset of its body from the payload's first byte, as in
    /// [`Op::body_at`](super::Op::body_at).
    #[inline]
    pub fn op(&mut self, code: OpCode, key: &[u8], body: &[u8]) -> u64 {
        self.op_head(code, key, body.len());
        let body_at = self.buffer.len() - self.start;
        self.buffer.extend_from_slice(body);
        wide(body_at)
    }

    /// The same, with a body that `write` appends to the buffer itself: a batch of a thousand events is encoded where it
    /// belongs. `body_len` is how many bytes that will be. Should it be another number, the record is right
    /// nevertheless, at the cost of moving the body.
    #[inline]
    pub fn op_with(&mut self, code: OpCode, key: &[u8], body_len: usize, write: impl FnOnce(&mut Vec<u8>)) -> u64 {
        self.op_head(code, key, body_len);
        let body = self.buffer.len();
        write(self.buffer);
        let written = self.buffer.len().saturating_sub(body);
        if written == body_len {
            return wide(body - self.start);
        }
        self.correct_len(body, body_len, written)
    }

    #[inline]
    fn op_head(&mut self, code: OpCode, key: &[u8], body_len: usize) {
        self.buffer.push(code.to_byte());
        varint::write(self.buffer, wide(key.len()));
        self.buffer.extend_from_slice(key);
        varint::write(self.buffer, wide(body_len));
    }

    #[cold]
    fn correct_len(&mut self, body: usize, announced: usize, written: usize) -> u64 {
        let mut len = Vec::new();
        varint::write(&mut len, wide(written));
        let field = body - encoded_len(wide(announced));
        self.buffer.splice(field..body, len.iter().copied());
        wide(field + len.len() - self.start)
    }

    /// How many bytes the payload has so far; for closing a part once it is large enough.
    #[inline]
    pub fn payload_bytes(&self) -> usize {
        self.buffer.len() - self.start
    }
}

/// What only some records have, behind the flags that say which.
fn write_flagged(buffer: &mut Vec<u8>, once: Option<OnceKey<'_>>, reasons: &Reasons<'_>, seq: u64) {
    debug_assert!(reasons.base.is_none_or(|base| base < seq), "a transaction cannot have read itself");
    let once = once.map_or([None; 3], |once| [Some(once.key), some(once.fingerprint), some(once.result)]);
    let flags = [FLAG_KEY, FLAG_FINGERPRINT, FLAG_RESULT].into_iter().zip(once);
    let flags: u64 = flags.filter(|(_, bytes)| bytes.is_some()).map(|(flag, _)| flag).sum();
    let base = if reasons.base.is_some() { FLAG_BASE } else { 0 };
    let cause = if reasons.cause.is_some() { FLAG_CAUSE } else { 0 };
    varint::write(buffer, flags | base | cause);
    for bytes in once.into_iter().flatten() {
        varint::write(buffer, wide(bytes.len()));
        buffer.extend_from_slice(bytes);
    }
    if let Some(base) = reasons.base {
        varint::write(buffer, seq.saturating_sub(base));
    }
    match reasons.cause {
        None => {}
        Some(CauseRef::Trace(id)) => {
            varint::write(buffer, CAUSE_TRACE);
            buffer.extend_from_slice(&id);
        }
        Some(CauseRef::Text(text)) => {
            varint::write(buffer, CAUSE_TEXT);
            varint::write(buffer, wide(text.len()));
            buffer.extend_from_slice(text.as_bytes());
        }
    }
}

/// What is left out where it is empty.
fn some(bytes: &[u8]) -> Option<&[u8]> {
    (!bytes.is_empty()).then_some(bytes)
}

/// 0 for none, otherwise 1 + how many segments back, and the offset in units of the frame alignment: back from this
/// frame within one segment, which is a small number for a space in use, absolute in another one. Rule F-17.
#[inline]
fn write_previous(buffer: &mut Vec<u8>, previous: Option<LogPosition>, at: LogPosition) {
    debug_assert!(previous.is_none_or(|previous| previous < at), "history is a chain that leads backwards");
    // A position that is not before this frame would be refused by every reader. No chain is better than no record.
    match previous.filter(|previous| *previous < at) {
        None => buffer.push(0),
        Some(previous) => {
            let segments = at.segment - previous.segment;
            let bytes = if segments == 0 { at.offset - previous.offset } else { previous.offset };
            varint::write(buffer, 1 + segments);
            varint::write(buffer, bytes / FRAME_ALIGNMENT);
        }
    }
}

/// Appends a whole [`FrameType::Mark`] frame: transactions were written up to `seq` and are on stable media up to `mark`.
/// Returns its checksum. Fails as [`FrameWriter::finish`] does. Rule F-20.
pub fn write_mark(buffer: &mut Vec<u8>, seal: &FrameSeal, offset: u64, seq: u64, mark: u64) -> Result<u32> {
    debug_assert!(mark <= seq, "nothing can be durable that was not written");
    let frame = FrameWriter::begin(buffer, FrameType::Mark);
    varint::write(buffer, seq);
    varint::write(buffer, seq.saturating_sub(mark));
    frame.finish(buffer, seal, offset)
}

/// Appends a whole [`FrameType::Opening`] frame: the opening of this epoch goes on in the segment, behind the transactions up
/// to `seq`, all of which are on stable media. Returns its checksum. Fails as [`FrameWriter::finish`] does. Rule F-20.
pub fn write_opening(buffer: &mut Vec<u8>, seal: &FrameSeal, offset: u64, seq: u64, epoch: u64) -> Result<u32> {
    let frame = FrameWriter::begin(buffer, FrameType::Opening);
    varint::write(buffer, seq);
    varint::write(buffer, 0);
    varint::write(buffer, epoch);
    frame.finish(buffer, seal, offset)
}
