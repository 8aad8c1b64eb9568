//! Which frame may follow which, and the transactions that parts make up.
//!
//! Invariant: what is given out is a whole transaction with the next seq. Parts wait until their commit frame has come.
//! Rules F-15, F-19 and F-20.

use alloc::{format, string::String, vec, vec::Vec};

use crate::{
    Error, Result,
    log::{Frame, FrameType, LogPosition, RecordView, read_mark, read_opening, segment_name},
    planted::{self, Planted},
};

/// What a frame that is not a whole transaction adds.
pub(super) enum Step<'b> {
    /// A transaction in parts is complete.
    Whole(Vec<RecordView<'b>>),
    /// A part; the transaction goes on.
    Part,
    /// A mark.
    Mark,
    /// The opening of this epoch went on in the segment.
    Opening(u64),
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

    /// How many parts wait for their commit.
    pub(super) fn waiting_parts(&self) -> usize {
        self.parts.len()
    }

    /// Takes a transaction in one frame: nearly every frame of nearly every log. Nothing is copied or wrapped here.
    #[inline]
    pub(super) fn accept_transaction(&mut self, record: &RecordView<'_>) -> Result<()> {
        if record.header().seq == self.next_seq && self.parts.is_empty() {
            self.next_seq += 1;
            return Ok(());
        }
        Err(self.refuse(record, FrameType::Transaction))
    }

    /// Takes the frame at `offset`, which is of another type. Fails with [`Error::Corrupt`] where it cannot follow what
    /// was before it: its checksum holds, so that no crash explains it.
    #[cold]
    pub(super) fn accept(&mut self, offset: u64, frame: &Frame<'b>) -> Result<Step<'b>> {
        let at = LogPosition { segment: self.segment, offset };
        match frame.frame_type {
            FrameType::Mark => return self.accept_between(at, read_mark(frame.payload, at)?.0, Step::Mark),
            FrameType::Opening => {
                let (seq, epoch) = read_opening(frame.payload, at)?;
                return self.accept_between(at, seq, Step::Opening(epoch));
            }
            FrameType::Transaction | FrameType::Part | FrameType::Commit => {}
        }
        let record = RecordView::parse(frame.payload, frame.frame_type, at)?;
        let waiting = self.parts.len();
        let number = record.header().part.and_then(|part| usize::try_from(part).ok());
        let is_commit = frame.frame_type == FrameType::Commit;
        if record.header().seq != self.next_seq || number != Some(waiting) || (is_commit && waiting == 0) {
            return Err(self.refuse(&record, frame.frame_type));
        }
        self.parts.push(record);
        if !is_commit {
            return Ok(Step::Part);
        }
        self.next_seq += 1;
        let mut parts = core::mem::take(&mut self.parts);
        if planted::active(Planted::PartSkipped) {
            parts.remove(0);
        }
        Ok(Step::Whole(parts))
    }

    #[cold]
    fn refuse(&self, record: &RecordView<'_>, kind: FrameType) -> Error {
        let (at, seq) = (record.at(), record.header().seq);
        if seq != self.next_seq {
            return corrupt(at, "F-15", format!("a transaction has seq {seq}, {} is next", self.next_seq));
        }
        let (part, waiting) = (record.header().part, self.parts.len());
        corrupt(at, "F-19", format!("a frame of type {kind:?} and part {part:?} behind {waiting} parts"))
    }

    /// Takes a frame that stands between two transactions, the first of which has this seq.
    fn accept_between(&self, at: LogPosition, seq: u64, step: Step<'b>) -> Result<Step<'b>> {
        if seq.checked_add(1) != Some(self.next_seq) || !self.parts.is_empty() {
            let what =
                format!("a frame behind seq {seq}, seq {} is next and {} parts wait", self.next_seq, self.parts.len());
            return Err(corrupt(at, "F-20", what));
        }
        Ok(step)
    }
}

pub(super) fn corrupt(at: LogPosition, rule: &'static str, what: String) -> Error {
    Error::Corrupt { file: segment_name(at.segment), offset: at.offset, rule, what }
}
