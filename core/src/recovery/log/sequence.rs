//! Which frame may follow which, and the transactions that they make up.
//!
//! Invariant: what is given out is a whole transaction with the next seq. Parts wait until their commit frame has come.
//! Rules F-15, F-19 and F-20.

use alloc::{format, string::String, vec, vec::Vec};

use crate::{
    Error, Result,
    log::{Frame, FrameType, LogPosition, RecordView, read_mark, segment_name},
};

/// The records of one transaction, each with the offset of its payload in the segment.
pub(super) enum Transaction<'b> {
    /// The ordinary case, without an allocation.
    One([RecordView<'b>; 1]),
    /// Parts and the commit that closes them.
    Parts(Vec<RecordView<'b>>),
}

impl<'b> Transaction<'b> {
    pub(super) fn frames(&self) -> &[RecordView<'b>] {
        match self {
            Transaction::One(frame) => frame,
            Transaction::Parts(frames) => frames,
        }
    }
}

/// What a frame adds.
pub(super) enum Step<'b> {
    /// The transaction is complete.
    Whole(Transaction<'b>),
    /// A part; the transaction goes on.
    Part,
    /// A mark.
    Mark,
}

/// The frames of one segment in order.
pub(super) struct Sequence<'b> {
    segment: u64,
    next_seq: u64,
    parts: Vec<RecordView<'b>>,
}

impl<'b> Sequence<'b> {
    pub(super) fn new(segment: u64, next_seq: u64) -> Self {
        Self { segment, next_seq, parts: vec![] }
    }

    /// The seq that the next transaction has to have.
    pub(super) fn next_seq(&self) -> u64 {
        self.next_seq
    }

    /// How many parts wait for their commit.
    pub(super) fn waiting_parts(&self) -> usize {
        self.parts.len()
    }

    /// Takes the frame at `offset`. Fails with [`Error::Corrupt`] where it cannot follow what was before it: its
    /// checksum holds, so that no crash explains it.
    #[inline]
    pub(super) fn accept(&mut self, offset: u64, frame: &Frame<'b>) -> Result<Step<'b>> {
        let at = LogPosition { segment: self.segment, offset };
        if frame.frame_type == FrameType::Mark {
            return self.accept_mark(at, frame.payload);
        }
        let record = RecordView::parse(frame.payload, frame.frame_type, at)?;
        let seq = record.header().seq;
        if seq != self.next_seq {
            return Err(corrupt(at, "F-15", format!("a transaction has seq {seq}, {} is next", self.next_seq)));
        }

        if frame.frame_type == FrameType::Transaction && self.parts.is_empty() {
            self.next_seq += 1;
            return Ok(Step::Whole(Transaction::One([record])));
        }
        self.accept_part(at, frame.frame_type, record)
    }

    #[cold]
    fn accept_part(&mut self, at: LogPosition, kind: FrameType, record: RecordView<'b>) -> Result<Step<'b>> {
        let waiting = self.parts.len();
        let number = record.header().part.and_then(|part| usize::try_from(part).ok());
        if kind == FrameType::Transaction || number != Some(waiting) || (kind == FrameType::Commit && waiting == 0) {
            let what = format!("a frame of type {kind:?} and part {number:?} behind {waiting} parts");
            return Err(corrupt(at, "F-19", what));
        }
        self.parts.push(record);
        if kind == FrameType::Part {
            return Ok(Step::Part);
        }
        self.next_seq += 1;
        Ok(Step::Whole(Transaction::Parts(core::mem::take(&mut self.parts))))
    }

    fn accept_mark(&self, at: LogPosition, payload: &[u8]) -> Result<Step<'b>> {
        let (seq, _) = read_mark(payload, at)?;
        if seq.checked_add(1) != Some(self.next_seq) || !self.parts.is_empty() {
            let what =
                format!("a mark for seq {seq}, seq {} is next and {} parts wait", self.next_seq, self.parts.len());
            return Err(corrupt(at, "F-20", what));
        }
        Ok(Step::Mark)
    }
}

pub(super) fn corrupt(at: LogPosition, rule: &'static str, what: String) -> Error {
    Error::Corrupt { file: segment_name(at.segment), offset: at.offset, rule, what }
}
