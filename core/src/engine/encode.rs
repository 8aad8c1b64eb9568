//! From buffered writes to frames.
//!
//! Invariant: an ordinary transaction is one frame. A larger one is part frames closed by a commit frame, each of whole
//! operations, so that a value never straddles two frames and can be pointed at. Rules F-19 and F-39.

use alloc::vec::Vec;

use crate::{
    Result,
    log::{FrameSeal, FrameType, FrameWriter, LogPosition, OpCode, Reasons, RecordHeader, RecordView, RecordWriter},
    state::{Hardness, SpaceNumber, State},
    transaction::{OP_OVERHEAD, PROVISIONAL, Write, WriteBody, WriteSet},
};

/// Upper bound of what a record has before its groups, and its frame around it: seq, mark, time, flags, base, part number,
/// group count (a varint each), the frame's overhead and padding.
const RECORD_OVERHEAD: usize = 96;
/// Upper bound of what a group has before its operations.
const GROUP_OVERHEAD: usize = 48;

/// What is about to be encoded, in the order in which it will be logged.
pub(crate) struct Plan<'a> {
    writes: &'a WriteSet,
    /// Write and operation of it, for each operation.
    order: Vec<(usize, usize)>,
    /// Where each frame's share of `order` ends.
    ends: Vec<usize>,
    /// The provisional numbers of the runs that the transaction begins, in the order of their beginnings in the log.
    begun: Vec<SpaceNumber>,
    /// The number that the first of them gets.
    first_new_run: SpaceNumber,
    /// Upper bound of the bytes in the log.
    pub(crate) bytes_max: usize,
    /// What the fold has to do for the hardest of the operations.
    pub(crate) hardest: Hardness,
}

impl<'a> Plan<'a> {
    /// `part_bytes_max`: a part ends behind the operation with which its keys and bodies have so many bytes.
    pub(crate) fn new(writes: &'a WriteSet, first_new_run: SpaceNumber, part_bytes_max: usize) -> Self {
        let order = operations(writes);
        let (mut ends, mut part_bytes, mut bytes, mut groups, mut last) = (Vec::new(), 0, 0, 0, None);
        let (mut begun, mut hardest) = (Vec::new(), Hardness::Plain);
        for (position, (index, operation)) in order.iter().enumerate() {
            let Some(write) = writes.get(*index) else { continue };
            if part_bytes >= part_bytes_max {
                ends.push(position);
                (part_bytes, last) = (0, None);
            }
            if last != Some(write.space) {
                groups += 1;
                last = Some(write.space);
            }
            if write.code == OpCode::RunBegin {
                begun.push(write.space);
            }
            let (code, body) = writes.logged(write, *operation);
            hardest = hardest.max(Hardness::of(code));
            let operation_bytes = writes.key(write).len() + body.encoded_len();
            part_bytes += operation_bytes;
            bytes += operation_bytes + OP_OVERHEAD;
        }
        ends.push(order.len());
        let bytes_max = bytes + writes.header_bytes() + groups * GROUP_OVERHEAD + ends.len() * RECORD_OVERHEAD;
        Plan { writes, order, ends, begun, first_new_run, bytes_max, hardest }
    }

    /// The number that a space has in the log.
    pub(crate) fn number(&self, space: SpaceNumber) -> SpaceNumber {
        if space & PROVISIONAL == 0 {
            return space;
        }
        // The log has spaces in ascending order, and so their beginnings. What no run begins under is refused before.
        let before = self.begun.partition_point(|begun| *begun < space);
        self.first_new_run + u32::try_from(before).unwrap_or(u32::MAX)
    }

    /// Appends the transaction's frames to `buffer`, which begins at `base` in the segment. Calls `frame` with the
    /// range of each frame in the buffer, and returns the last frame's checksum.
    pub(crate) fn encode(
        &self,
        header: &RecordHeader<'_>,
        state: &State,
        seal: &FrameSeal,
        base: u64,
        buffer: &mut Vec<u8>,
        frames: &mut Vec<Encoded>,
    ) -> Result<u32> {
        let parts = u32::try_from(self.ends.len()).unwrap_or(u32::MAX) - 1;
        let (mut start, mut crc) = (0, 0);
        for (number, end) in (0..).zip(&self.ends) {
            let share = self.order.get(start..*end).unwrap_or_default();
            start = *end;
            let (frame_type, part) = match (parts, number) {
                (0, _) => (FrameType::Transaction, None),
                (parts, number) if number == parts => (FrameType::Commit, Some(parts)),
                (_, number) => (FrameType::Part, Some(number)),
            };
            // What is said of the whole transaction stands in the frame that makes it one.
            let header = match number == parts {
                true => RecordHeader { part, ..*header },
                false => RecordHeader { part, idempotency_key: None, reasons: Reasons::default(), ..*header },
            };
            let at = LogPosition { segment: seal.segment(), offset: base + buffer.len() as u64 };
            let frame = FrameWriter::begin(buffer, frame_type);
            let payload_start = buffer.len();
            self.encode_record(&header, at, share, state, buffer);
            let payload_end = buffer.len();
            crc = frame.finish(buffer, seal, at.offset)?;
            frames.push(Encoded { frame_type, payload: payload_start..payload_end, at });
        }
        Ok(crc)
    }

    fn encode_record(
        &self,
        header: &RecordHeader<'_>,
        at: LogPosition,
        share: &[(usize, usize)],
        state: &State,
        buffer: &mut Vec<u8>,
    ) {
        let write = |(index, _): &(usize, usize)| self.writes.get(*index);
        let space = |place: &(usize, usize)| write(place).map(|write| write.space);
        let groups = share.chunk_by(|left, right| space(left) == space(right));
        let mut record = RecordWriter::begin(buffer, header, at, groups.clone().count() as u64);
        for group in groups {
            let Some(number) = group.first().and_then(space) else { continue };
            // Without a log, offsets are used again and say nothing about what came before.
            let previous = state.space(number).and_then(|space| space.last_position).filter(|last| *last < at);
            record.group(self.number(number), previous, group.len() as u64);
            for place in group {
                crate::work::count(1);
                if let Some(write) = write(place) {
                    self.encode_op(write, place.1, &mut record);
                }
            }
        }
    }

    fn encode_op(&self, write: &Write, operation: usize, record: &mut RecordWriter<'_>) {
        let key = self.writes.key(write);
        let (code, body) = self.writes.logged(write, operation);
        match body {
            WriteBody::Bytes(body) => {
                record.op(code, key, body);
            }
            WriteBody::Events { count, bytes } => {
                record.op_with(code, key, body.encoded_len(), |buffer| {
                    crate::log::varint::write(buffer, count);
                    buffer.extend_from_slice(bytes);
                });
            }
        }
    }
}

/// The operations of all writes, in the order in which they are logged.
fn operations(writes: &WriteSet) -> Vec<(usize, usize)> {
    let sorted = writes.sorted().into_iter();
    sorted
        .flat_map(|index| {
            let count = writes.get(index).map_or(0, |write| writes.operations(write));
            (0..count).map(move |operation| (index, operation))
        })
        .collect()
}

/// One frame that was appended to a buffer.
pub(crate) struct Encoded {
    pub(crate) frame_type: FrameType,
    /// Where its payload is in the buffer.
    pub(crate) payload: core::ops::Range<usize>,
    /// Where it is in the log.
    pub(crate) at: LogPosition,
}

impl Encoded {
    /// The frame's record, read again from the buffer that it was appended to.
    #[inline]
    pub(crate) fn view<'a>(&self, buffer: &'a [u8]) -> Result<RecordView<'a>> {
        RecordView::parse(buffer.get(self.payload.clone()).unwrap_or_default(), self.frame_type, self.at)
    }
}

/// Appends the payload of a record that was read from another place in the log: the same, but for where the histories
/// of its spaces continue, and for the durable mark.
pub(crate) fn copy_record(record: &RecordView<'_>, at: LogPosition, mark: u64, state: &State, buffer: &mut Vec<u8>) {
    let header = RecordHeader { mark: mark.min(record.header().seq.saturating_sub(1)), ..*record.header() };
    let mut writer = RecordWriter::begin(buffer, &header, at, record.group_count());
    for group in record.groups() {
        let previous = state.space(group.space).and_then(|space| space.last_position);
        writer.group(group.space, previous, group.op_count);
        for op in group.ops() {
            writer.op(op.code, op.key, op.body);
        }
    }
}
