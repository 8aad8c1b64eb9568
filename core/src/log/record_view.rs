//! Reading records: a view over a frame's payload that is checked once and then read without copying.
//!
//! Invariant: [`RecordView::parse`] reads the payload from the first byte to the last and accepts it only where every
//! length, count, code and number is right. The iterators read the same bytes with the same readers, so that their
//! failure branches cannot be reached; they end the iteration there rather than panic.

use super::{
    FRAME_ALIGNMENT, FrameType, LogPosition, Op, OpCode, SEGMENT_HEADER_BYTES,
    fields::wide,
    names::segment_name,
    record::{
        CAUSE_TEXT, CAUSE_TRACE, CauseRef, FLAG_BASE, FLAG_CAUSE, FLAG_FINGERPRINT, FLAG_KEY, FLAG_RESULT, OnceKey,
        Reasons, RecordHeader,
    },
    varint::{Malformed, Reader},
};
use crate::{
    Error, Result,
    limits::{
        CAUSE_BYTES_MAX, FINGERPRINT_BYTES_MAX, IDEMPOTENCY_KEY_BYTES_MAX, KEY_BYTES_MAX, RESULT_BYTES_MAX, SEQ_MAX,
    },
};

/// A record whose every byte has been checked. Copying it copies a few words.
#[derive(Clone, Copy, Debug)]
pub struct RecordView<'a> {
    header: RecordHeader<'a>,
    at: LogPosition,
    payload: &'a [u8],
    /// From the first group on.
    groups: Reader<'a>,
    group_count: u64,
}

/// The operations of one space in a record.
#[derive(Clone, Copy, Debug)]
pub struct GroupView<'a> {
    /// Number of the space.
    pub space: u32,
    /// Where the transaction before this one that touched the space begins.
    pub previous: Option<LogPosition>,
    /// How many operations there are; at least one.
    pub op_count: u64,
    ops: Ops<'a>,
}

/// The groups of a record, in the order in which they are folded.
#[derive(Clone, Debug)]
pub struct Groups<'a> {
    at: LogPosition,
    /// Behind the header of the last group that was given out, before its operations.
    reader: Reader<'a>,
    payload_len: usize,
    left: u64,
    /// Operations of the last group, which are skipped only when another group is asked for: most records have one.
    to_skip: u64,
}

/// The operations of a group, in the order in which they are folded.
#[derive(Clone, Copy, Debug)]
pub struct Ops<'a> {
    reader: Reader<'a>,
    payload_len: usize,
    left: u64,
}

/// Why a payload is refused.
enum Fault {
    Malformed(Malformed),
    Rule(&'static str, &'static str),
    Newer(&'static str, u64, u64),
}

impl From<Malformed> for Fault {
    fn from(malformed: Malformed) -> Self {
        Fault::Malformed(malformed)
    }
}

impl<'a> RecordView<'a> {
    /// Checks the payload of a frame of type Transaction, Part or Commit that begins at `at`. Cost: one pass over the
    /// operations' heads, none over their bodies.
    ///
    /// Fails with [`Error::Corrupt`] where it breaks a rule, with [`Error::Newer`] where it has an operation or a flag
    /// that this program does not know, and with [`Error::Invalid`] for a mark, which is no record.
    #[inline(always)]
    pub fn parse(payload: &'a [u8], frame_type: FrameType, at: LogPosition) -> Result<Self> {
        let mut reader = Reader::new(payload);
        match Self::read(&mut reader, payload, frame_type, at) {
            Ok(view) => Ok(view),
            Err(fault) => Err(fault.at(at.payload_offset(wide(payload.len() - reader.remaining())), at.segment)),
        }
    }

    #[inline(always)]
    fn read(reader: &mut Reader<'a>, payload: &'a [u8], frame_type: FrameType, at: LogPosition) -> Result<Self, Fault> {
        let header = read_header(reader, frame_type)?;
        let group_count = reader.varint()?;
        let groups = *reader;
        for _ in 0..group_count {
            let (_, _, ops) = read_group(reader, at)?;
            for _ in 0..ops {
                read_op(reader, payload.len())?;
            }
        }
        if !reader.is_empty() {
            return Err(Fault::Rule("F-14", "bytes are left behind the last operation"));
        }
        Ok(Self { header, at, payload, groups, group_count })
    }

    /// What the record begins with.
    #[inline]
    pub const fn header(&self) -> &RecordHeader<'a> {
        &self.header
    }

    /// Where the record's frame begins.
    #[inline]
    pub const fn at(&self) -> LogPosition {
        self.at
    }

    /// The payload that this is a view of.
    #[inline]
    pub const fn payload(&self) -> &'a [u8] {
        self.payload
    }

    /// How many groups there are.
    #[inline]
    pub const fn group_count(&self) -> u64 {
        self.group_count
    }

    /// The groups.
    #[inline]
    pub const fn groups(&self) -> Groups<'a> {
        Groups { at: self.at, reader: self.groups, payload_len: self.payload.len(), left: self.group_count, to_skip: 0 }
    }
}

impl<'a> GroupView<'a> {
    /// The operations.
    #[inline]
    pub const fn ops(&self) -> Ops<'a> {
        self.ops
    }
}

impl<'a> Iterator for Groups<'a> {
    type Item = GroupView<'a>;

    #[inline]
    fn next(&mut self) -> Option<GroupView<'a>> {
        self.left = self.left.checked_sub(1)?;
        for _ in 0..self.to_skip {
            // `parse` has read the same bytes: neither this nor the group can fail.
            read_op(&mut self.reader, self.payload_len).ok()?;
        }
        let (space, previous, op_count) = read_group(&mut self.reader, self.at).ok()?;
        self.to_skip = op_count;
        let ops = Ops { reader: self.reader, payload_len: self.payload_len, left: op_count };
        Some(GroupView { space, previous, op_count, ops })
    }
}

impl<'a> Iterator for Ops<'a> {
    type Item = Op<'a>;

    #[inline]
    fn next(&mut self) -> Option<Op<'a>> {
        self.left = self.left.checked_sub(1)?;
        // `parse` has read the same bytes: this cannot fail.
        read_op(&mut self.reader, self.payload_len).ok()
    }
}

/// Seq and durable mark of any frame's payload, which is all that the scan behind a bad frame wants to know. `None`
/// where there are no such numbers.
pub fn peek_seq_and_mark(payload: &[u8]) -> Option<(u64, u64)> {
    read_seq_and_mark(&mut Reader::new(payload)).ok()
}

#[inline(always)]
fn read_seq_and_mark(reader: &mut Reader<'_>) -> Result<(u64, u64), Fault> {
    let seq = reader.varint()?;
    if seq > SEQ_MAX {
        return Err(Fault::Rule("F-15", "the seq is over the limit"));
    }
    let since_mark = reader.varint()?;
    let mark = seq.checked_sub(since_mark).ok_or(Fault::Rule("F-16", "the durable mark is below zero"))?;
    Ok((seq, mark))
}

/// Reads the payload of a [`FrameType::Mark`] that begins at `at`: seq and mark.
pub(crate) fn read_mark(payload: &[u8], at: LogPosition) -> Result<(u64, u64)> {
    read_whole(payload, at, read_seq_and_mark)
}

/// Reads the payload of a [`FrameType::Opening`] frame that begins at `at`: the seq of the last transaction before it, and the
/// epoch of the opening. Fails with [`Error::Corrupt`](crate::Error::Corrupt) where it breaks rule F-20.
pub fn read_opening(payload: &[u8], at: LogPosition) -> Result<(u64, u64)> {
    read_whole(payload, at, |reader| {
        let (seq, mark) = read_seq_and_mark(reader)?;
        let epoch = reader.varint()?;
        if mark != seq || epoch == 0 || epoch == u64::MAX {
            return Err(Fault::Rule("F-20", "an opening goes on behind what is not durable, or has no epoch"));
        }
        Ok((seq, epoch))
    })
}

/// Reads a payload that holds this and nothing else.
fn read_whole<'a, T>(
    payload: &'a [u8],
    at: LogPosition,
    read: impl FnOnce(&mut Reader<'a>) -> Result<T, Fault>,
) -> Result<T> {
    let mut reader = Reader::new(payload);
    let read = read(&mut reader).and_then(|found| {
        if reader.is_empty() { Ok(found) } else { Err(Fault::Rule("F-20", "bytes are left behind it")) }
    });
    read.map_err(|fault| fault.at(at.payload_offset(wide(payload.len() - reader.remaining())), at.segment))
}

#[inline(always)]
fn read_header<'a>(reader: &mut Reader<'a>, frame_type: FrameType) -> Result<RecordHeader<'a>, Fault> {
    let (seq, mark) = read_seq_and_mark(reader)?;
    if seq == 0 || mark == seq {
        return Err(Fault::Rule("F-16", "a transaction has a seq from 1 on and a mark below it"));
    }
    let time_micros = reader.varint()?;
    let flags = reader.varint()?;
    let (mut idempotency_key, mut reasons) = (None, Reasons::default());
    if flags != 0 {
        check_flags(flags, frame_type)?;
        idempotency_key = if flags & FLAGS_OF_KEYS == 0 { None } else { Some(read_once(reader, flags)?) };
        reasons = read_reasons(reader, flags, seq)?;
    }
    let part = match frame_type {
        FrameType::Transaction => None,
        FrameType::Part | FrameType::Commit => {
            let part = reader.varint()?;
            Some(u32::try_from(part).map_err(|_| Fault::Rule("F-19", "the number of a part is over the limit"))?)
        }
        FrameType::Mark | FrameType::Opening => return Err(Fault::Rule("F-13", "this frame holds no record")),
    };
    Ok(RecordHeader { seq, mark, time_micros, idempotency_key, reasons, part })
}

const FLAGS_OF_KEYS: u64 = FLAG_KEY | FLAG_FINGERPRINT | FLAG_RESULT;

fn check_flags(flags: u64, frame_type: FrameType) -> Result<(), Fault> {
    const ALL: u64 = FLAGS_OF_KEYS | FLAG_BASE | FLAG_CAUSE;
    if flags > ALL {
        return Err(Fault::Newer("record flags", flags, ALL));
    }
    if frame_type == FrameType::Part {
        return Err(Fault::Rule("F-14", "a part has no flags: they stand with the last one"));
    }
    if flags & FLAGS_OF_KEYS != 0 && flags & FLAG_KEY == 0 {
        return Err(Fault::Rule("F-14", "what belongs to an idempotency key without one"));
    }
    Ok(())
}

/// Why the transaction was made.
#[inline]
fn read_reasons<'a>(reader: &mut Reader<'a>, flags: u64, seq: u64) -> Result<Reasons<'a>, Fault> {
    let mut reasons = Reasons::default();
    if flags & FLAG_BASE != 0 {
        let back = reader.varint()?;
        let base = seq.checked_sub(back).filter(|_| back > 0);
        reasons.base =
            Some(base.ok_or(Fault::Rule("F-14", "the version that was read is not before the transaction"))?);
    }
    if flags & FLAG_CAUSE != 0 {
        reasons.cause = Some(read_cause(reader)?);
    }
    Ok(reasons)
}

#[cold]
fn read_cause<'a>(reader: &mut Reader<'a>) -> Result<CauseRef<'a>, Fault> {
    match reader.varint()? {
        CAUSE_TRACE => {
            let id = reader.bytes(16)?;
            id.try_into().map(CauseRef::Trace).map_err(|_| Fault::Rule("F-14", "a trace entry's id has 16 bytes"))
        }
        CAUSE_TEXT => {
            let bytes = reader.length_and_bytes()?;
            if bytes.is_empty() || bytes.len() > CAUSE_BYTES_MAX {
                return Err(Fault::Rule("F-14", "a cause is over the limit, or empty"));
            }
            core::str::from_utf8(bytes).map(CauseRef::Text).map_err(|_| Fault::Rule("F-14", "a cause is no UTF-8"))
        }
        0 => Err(Fault::Rule("F-14", "a cause is of no sort")),
        sort => Err(Fault::Newer("sort of cause", sort, CAUSE_TEXT)),
    }
}

/// An idempotency key, and what stands with it.
#[cold]
fn read_once<'a>(reader: &mut Reader<'a>, flags: u64) -> Result<OnceKey<'a>, Fault> {
    let mut field = |flag, limit| {
        let bytes = if flags & flag == 0 { return Ok(&[][..]) } else { reader.length_and_bytes()? };
        if bytes.len() > limit || (bytes.is_empty() && flag != FLAG_KEY) {
            return Err(Fault::Rule(
                "F-14",
                "an idempotency key, its fingerprint or its result is over the limit, or empty",
            ));
        }
        Ok(bytes)
    };
    Ok(OnceKey {
        key: field(FLAG_KEY, IDEMPOTENCY_KEY_BYTES_MAX)?,
        fingerprint: field(FLAG_FINGERPRINT, FINGERPRINT_BYTES_MAX)?,
        result: field(FLAG_RESULT, RESULT_BYTES_MAX)?,
    })
}

/// Space, previous position and number of operations.
#[inline(always)]
fn read_group(reader: &mut Reader<'_>, at: LogPosition) -> Result<(u32, Option<LogPosition>, u64), Fault> {
    let space =
        u32::try_from(reader.varint()?).map_err(|_| Fault::Rule("F-17", "the space's number is over the limit"))?;
    let previous = read_previous(reader, at)?;
    let ops = reader.varint()?;
    if ops == 0 {
        return Err(Fault::Rule("F-17", "a group has no operations"));
    }
    Ok((space, previous, ops))
}

/// A position that is not strictly before the frame is refused: a chain that leads in a circle would never end.
#[inline]
fn read_previous(reader: &mut Reader<'_>, at: LogPosition) -> Result<Option<LogPosition>, Fault> {
    const BROKEN: Fault = Fault::Rule("F-17", "the previous position is not before this frame");
    let Some(segments) = reader.varint()?.checked_sub(1) else { return Ok(None) };
    let bytes = reader.varint()?.checked_mul(FRAME_ALIGNMENT).ok_or(BROKEN)?;
    let segment = at.segment.checked_sub(segments).filter(|segment| *segment > 0).ok_or(BROKEN)?;
    let offset = if segments == 0 { at.offset.checked_sub(bytes).ok_or(BROKEN)? } else { bytes };
    let previous = LogPosition { segment, offset };
    if offset < SEGMENT_HEADER_BYTES || previous >= at {
        return Err(BROKEN);
    }
    Ok(Some(previous))
}

#[inline(always)]
fn read_op<'a>(reader: &mut Reader<'a>, payload_len: usize) -> Result<Op<'a>, Fault> {
    let byte = reader.u8()?;
    let Some(code) = OpCode::from_byte(byte) else { return Err(unknown_code(byte)) };
    let key = reader.length_and_bytes()?;
    if key.len() > KEY_BYTES_MAX {
        return Err(Fault::Rule("F-18", "a key is over the limit"));
    }
    let len = reader.varint()?;
    let body_at = payload_len - reader.remaining();
    let body = reader.bytes(len)?;
    Ok(Op { code, key, body, body_at: wide(body_at) })
}

#[cold]
fn unknown_code(byte: u8) -> Fault {
    let known = OpCode::ALL.iter().map(|code| u64::from(code.to_byte())).max().unwrap_or(0);
    Fault::Newer("operation code", u64::from(byte), known)
}

impl Fault {
    /// The error for a fault at `offset` of a segment.
    #[cold]
    fn at(self, offset: u64, segment: u64) -> Error {
        let file = segment_name(segment);
        match self {
            Fault::Malformed(malformed) => {
                Error::Corrupt { file, offset, rule: "F-1", what: alloc::format!("a record is malformed: {malformed}") }
            }
            Fault::Rule(rule, what) => Error::Corrupt { file, offset, rule, what: what.into() },
            Fault::Newer(what, found, supported) => {
                Error::Newer { file: alloc::format!("{file}, offset {offset}"), what, found, supported }
            }
        }
    }
}
