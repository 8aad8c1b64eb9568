//! The end of the log: what of the newest segment counts.
//!
//! Invariant: the decision between a torn tail and corruption rests on proof only. Unsynced writes reach the disk in any
//! order, so that a good frame behind a bad one proves nothing by being there; but every frame says how far the log was
//! durable when it was written, and that is the truth (rule F-16). Rules F-12, F-22 and F-25.

use alloc::{format, string::String, vec::Vec};

use super::{
    scan::{self, first_used},
    sequence::corrupt,
    window::{Next, Segment, Window},
};
use crate::{
    Result,
    log::{Frame, FrameOutcome, FrameType, LogPosition, RecordView, peek_seq_and_mark, segment_name},
    planted::{self, Planted},
    storage::StorageFile,
};

/// A transaction past the highest proven seq. It is whole, but the disk may not have it: after a failed sync the page
/// cache shows bytes that were never written. The engine writes it again and syncs it before anybody reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TailRecord {
    /// Seq of the transaction.
    pub seq: u64,
    /// Epoch in which it was written.
    pub epoch: u64,
    /// Its frames, in order.
    pub frames: Vec<TailFrame>,
}

/// One frame of a [`TailRecord`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TailFrame {
    /// Where the frame begins.
    pub at: LogPosition,
    /// Its type.
    pub frame_type: FrameType,
    /// A copy of its payload.
    pub payload: Vec<u8>,
}

impl TailFrame {
    /// A view of the payload, with positions as they were at [`at`](Self::at). It was parsed before and does not fail.
    pub fn record(&self) -> Result<RecordView<'_>> {
        RecordView::parse(&self.payload, self.frame_type, self.at)
    }
}

/// Where and why the log was cut behind its last whole transaction.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Cut {
    /// The file.
    pub file: String,
    /// Offset of the first byte that does not count.
    pub offset: u64,
    /// Bytes from there to the last one that is not zero.
    pub bytes: u64,
    /// The seq that the first transaction behind the cut would have had.
    pub seq: u64,
    /// What was wrong there.
    pub reason: &'static str,
    /// Good frames behind the bad one. They belong to the same unsynced window and count as little.
    pub frames_behind: u64,
}

/// What the newest segment holds, from where it was looked at.
#[derive(Debug)]
pub(super) struct End {
    /// Offset behind the last frame that is part of a whole transaction, or a mark.
    pub(super) offset: u64,
    /// Seq that comes next.
    pub(super) next_seq: u64,
    /// Whether there was any frame at all.
    pub(super) any_frame: bool,
    /// The highest durable mark of any good frame, before and behind a bad one.
    pub(super) mark: u64,
    /// How many parts are there without their commit.
    pub(super) orphaned_parts: u64,
    /// What is cut, where there is a bad frame.
    pub(super) bad: Option<Cut>,
    /// Where the bad frame is: behind the parts that wait for a commit, if any.
    bad_at: u64,
    /// Offset behind the last good frame, whatever it is.
    frames_end: u64,
}

/// Looks for the end of the log from `start` on. Every checksum up to there is verified; structure is verified as far as
/// it decides where the end is.
///
/// Fails where a frame whose checksum holds cannot be where it is.
pub(super) fn find_end<F: StorageFile>(
    segment: &Segment<'_, F>,
    start: u64,
    first_seq: u64,
    buffer: &mut Vec<u8>,
) -> Result<End> {
    let mut end = End {
        offset: start,
        next_seq: first_seq,
        any_frame: false,
        mark: 0,
        orphaned_parts: 0,
        bad: None,
        bad_at: start,
        frames_end: start,
    };
    let len = segment.info.len;
    let mut next = Next::at(start);
    while next.offset < len {
        let stop = end.window(&segment.window(&next, len, buffer)?)?;
        let (bad_at, used, reason) = match stop {
            Stop::Continue(following) => {
                next = following;
                continue;
            }
            Stop::Zeros(offset, until) => match first_used(segment, until, len, buffer)? {
                Some(used) => (offset, used, "zeros, and bytes that are not zero behind them"),
                None => break,
            },
            Stop::Bad(offset, reason) => (offset, offset, reason),
        };
        end.bad_at = bad_at;
        end.look_behind(segment, used, reason, buffer)?;
        break;
    }
    Ok(end)
}

/// How far a window was read.
enum Stop {
    Continue(Next),
    /// Zeros from the first offset to the second, where the window ends.
    Zeros(u64, u64),
    /// No frame at this offset.
    Bad(u64, &'static str),
}

impl End {
    /// Takes the frames that are whole in a window.
    fn window(&mut self, window: &Window<'_>) -> Result<Stop> {
        let mut offset = window.start;
        while offset < window.end() {
            if let Some(next) = window.needs_more(offset) {
                return Ok(Stop::Continue(next));
            }
            match window.frame(offset) {
                FrameOutcome::Frame(frame) => {
                    self.take(window.position(offset), &frame)?;
                    offset = frame.next;
                }
                FrameOutcome::Bad(reason) => return Ok(Stop::Bad(offset, reason)),
                FrameOutcome::End => return Ok(Stop::Zeros(offset, window.end())),
                newer @ FrameOutcome::Newer { .. } => return Err(window.differs(offset, &newer)),
            }
        }
        Ok(Stop::Continue(Next::at(offset)))
    }

    fn take(&mut self, at: LogPosition, frame: &Frame<'_>) -> Result<()> {
        let malformed = || corrupt(at, "F-14", "a frame without seq and durable mark".into());
        let (seq, mark) = peek_seq_and_mark(frame.payload).ok_or_else(malformed)?;
        let fits = match frame.frame_type {
            FrameType::Transaction => seq == self.next_seq && self.orphaned_parts == 0,
            FrameType::Mark | FrameType::Opening => {
                seq.checked_add(1) == Some(self.next_seq) && self.orphaned_parts == 0
            }
            FrameType::Part => seq == self.next_seq,
            FrameType::Commit => {
                seq == self.next_seq && (self.orphaned_parts > 0 || planted::active(Planted::OpenPartsCounted))
            }
        };
        if !fits {
            let parts = self.orphaned_parts;
            let what = format!(
                "{:?} frame with seq {seq} where seq {} is next and {parts} parts wait",
                frame.frame_type, self.next_seq
            );
            return Err(corrupt(at, "F-15", what));
        }
        self.any_frame = true;
        self.mark = self.mark.max(mark);
        self.frames_end = frame.next;
        match frame.frame_type {
            FrameType::Part if planted::active(Planted::OpenPartsCounted) => self.offset = frame.next,
            FrameType::Part => self.orphaned_parts += 1,
            FrameType::Mark | FrameType::Opening => self.offset = frame.next,
            FrameType::Transaction | FrameType::Commit => {
                self.orphaned_parts = 0;
                self.next_seq += 1;
                self.offset = frame.next;
            }
        }
        Ok(())
    }

    /// Collects the marks of the good frames behind a bad one, from `start` on: before it there is none.
    fn look_behind<F: StorageFile>(
        &mut self,
        segment: &Segment<'_, F>,
        start: u64,
        reason: &'static str,
        buffer: &mut Vec<u8>,
    ) -> Result<()> {
        let (mut frames_behind, mut proven) = (0, None);
        let used = scan::frames(segment, start, segment.info.len, buffer, &mut |_, frame| {
            // A frame of ours always has these numbers.
            if let Some((_, mark)) = peek_seq_and_mark(frame.payload) {
                frames_behind += 1;
                proven = proven.max(Some(mark));
            }
            Ok(())
        })?;
        self.any_frame |= proven.is_some();
        self.mark = self.mark.max(proven.unwrap_or(0));
        self.bad = Some(Cut {
            file: segment_name(segment.info.number),
            offset: self.offset,
            bytes: used.saturating_sub(self.offset),
            seq: self.next_seq,
            reason,
            frames_behind,
        });
        Ok(())
    }

    /// Offset behind the last byte that is not zero, or behind the last frame.
    pub(super) fn used(&self) -> u64 {
        let cut = self.bad.as_ref().map_or(0, |cut| cut.offset.saturating_add(cut.bytes));
        cut.max(self.frames_end)
    }

    /// The watermark rule (F-22): `proven` is the highest seq that anything proves durable. Whatever is missing up to
    /// there was promised to somebody, and the log is not cut but refused.
    pub(super) fn judge(&self, proven: u64, segment: u64) -> Result<()> {
        let refused =
            planted::active(Planted::FramesBehindRefused) && self.bad.as_ref().is_some_and(|bad| bad.frames_behind > 0);
        if (proven < self.next_seq && !refused) || planted::active(Planted::CutAtAnyDamage) {
            return Ok(());
        }
        let at = LogPosition { segment, offset: self.bad_at.max(self.offset) };
        let reason = self.bad.as_ref().map_or("the log ends here", |bad| bad.reason);
        let what =
            format!("seq {} is missing or damaged ({reason}), and seq {proven} was on stable media", self.next_seq);
        Err(corrupt(at, "F-22", what))
    }
}
