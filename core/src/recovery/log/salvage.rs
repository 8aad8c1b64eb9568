//! Salvage: what can still be read of a damaged log.
//!
//! Invariant: a transaction is handed out whole or not at all, and in ascending order of seqs; everything that is skipped
//! is listed. Nothing here claims that the result is complete. Rule F-29.

use alloc::{format, string::String, vec, vec::Vec};

use super::{
    fold::{LogOutcome, LogRecord, LogReport, LogStart, starting_at},
    newest::TailFrame,
    scan,
    sequence::corrupt,
    survey::{SegmentInfo, Survey},
    window::Segment,
};
use crate::{
    Error, Result,
    log::{
        Frame, FrameType, LogPosition, RecordView, SEGMENT_HEADER_BYTES, parse_snapshot_name, read_opening,
        segment_name,
    },
    recovery::{Damage, ProgressCallback, report_progress},
    storage::{Storage, StorageFile},
};

/// Hands out every whole transaction that is left. A starting point that does not fit the log is damage too: everything
/// there is is folded then, behind the seq of the starting point. A transaction for which `apply` fails with
/// [`Error::Corrupt`], and changes nothing, is damage as well.
pub(super) fn fold<S: Storage>(
    storage: &S,
    survey: &Survey,
    from: Option<LogStart>,
    progress: ProgressCallback<'_>,
    apply: &mut dyn FnMut(LogRecord<'_>) -> Result<()>,
) -> Result<LogOutcome> {
    let mut report = LogReport::default();
    let beginning = LogStart { segment: 0, offset: SEGMENT_HEADER_BYTES, seq: from.map_or(0, |from| from.seq) };
    let (segments, start) = starting_at(survey, from).unwrap_or_else(|error| {
        report.damage.push(Damage::from_error(&error, ""));
        (&survey.segments, beginning)
    });
    let total = segments.iter().map(end_of).sum();
    let mut salvager = Salvager { apply, report, seq: start.seq, epoch: 0, open_gap: None };
    let (mut buffer, mut done) = (vec![], 0);
    for (index, info) in segments.iter().enumerate() {
        let offset = if index == 0 { start.offset } else { SEGMENT_HEADER_BYTES };
        salvager.segment(&Segment::open(storage, info)?, offset, &mut buffer)?;
        done += end_of(info);
        report_progress(progress, "log", done, total)?;
    }
    let Salvager { mut report, seq, epoch, .. } = salvager;
    if seq < survey.proven_seq {
        let what = "transactions that were on stable media are not there".into();
        let file = survey.newest().map_or_else(String::new, |newest| segment_name(newest.number));
        let lost = Some((seq + 1, survey.proven_seq));
        report.damage.push(Damage { file, offset: 0, len: 0, rule: "F-22", what, seqs: lost });
    }
    Ok(LogOutcome { last_seq: seq, report, epoch, ..LogOutcome::default() })
}

/// How much of a segment is looked at: not what its successor has cut, because other transactions got those seqs.
fn end_of(info: &SegmentInfo) -> u64 {
    info.valid_len().unwrap_or(info.len).min(info.len)
}

struct Salvager<'f> {
    apply: &'f mut dyn FnMut(LogRecord<'_>) -> Result<()>,
    report: LogReport,
    /// Seq of the last transaction that was handed out.
    seq: u64,
    /// The highest epoch of an opening.
    epoch: u64,
    /// The newest entry of the damage, as long as it may explain which seqs are missing.
    open_gap: Option<usize>,
}

/// Whether a page of a snapshot is damaged: the older one stands in, and everything begins again.
fn is_of_a_snapshot(error: &Error) -> bool {
    matches!(error, Error::Corrupt { file, .. } if parse_snapshot_name(file).is_some())
}

/// The parts of a transaction that wait for their commit. Copies: the next one may be in another piece of the segment.
#[derive(Default)]
struct Parts {
    frames: Vec<TailFrame>,
    /// Seq of all of them.
    seq: u64,
    /// Where the last of them ends: the next one has to begin there.
    end: u64,
}

impl Salvager<'_> {
    fn segment<F: StorageFile>(&mut self, segment: &Segment<'_, F>, start: u64, buffer: &mut Vec<u8>) -> Result<()> {
        self.report.segments += 1;
        let info = segment.info;
        let (mut expected, mut parts) = (start, Parts::default());
        let used = scan::frames(segment, start, end_of(info).max(start), buffer, &mut |offset, frame| {
            self.gap(info.number, expected, offset, "no frame whose checksum holds");
            expected = frame.next;
            self.report.bytes += frame.next - offset;
            if let Err(error) = self.frame(info, offset, frame, &mut parts)? {
                self.damage(Damage {
                    len: frame.next - offset,
                    ..Damage::from_error(&error, &segment_name(info.number))
                });
            }
            Ok(())
        })?;
        self.orphan(info.number, &mut parts);
        // A sealed segment ends where its successor says; in the newest one zeros are preallocated space.
        let end = info.valid_len().unwrap_or(used);
        self.gap(info.number, expected, end, "no frame whose checksum holds up to the end of the segment");
        Ok(())
    }

    /// Takes a frame whose checksum holds. The outer error is that of the caller's `apply`, the inner one is damage.
    fn frame(&mut self, info: &SegmentInfo, offset: u64, frame: &Frame<'_>, parts: &mut Parts) -> Result<Result<()>> {
        let at = LogPosition { segment: info.number, offset };
        match frame.frame_type {
            FrameType::Mark => return Ok(Ok(())),
            FrameType::Opening => {
                let opening = read_opening(frame.payload, at);
                return Ok(opening.map(|(_, epoch)| self.epoch = self.epoch.max(epoch)));
            }
            FrameType::Transaction | FrameType::Part | FrameType::Commit => {}
        }
        let record = match RecordView::parse(frame.payload, frame.frame_type, at) {
            Ok(record) => record,
            Err(error) => return Ok(Err(error)),
        };

        if frame.frame_type == FrameType::Transaction {
            self.orphan(info.number, parts);
            return self.hand_out(&[record], info.header.epoch);
        }
        let header = record.header();
        let number = header.part.and_then(|part| usize::try_from(part).ok());
        let same = parts.frames.is_empty() || (parts.seq == header.seq && parts.end == offset);
        if !same {
            self.orphan(info.number, parts);
        }
        if number != Some(parts.frames.len()) {
            self.orphan(info.number, parts);
            return Ok(Err(corrupt(
                at,
                "F-19",
                format!("part {number:?} of seq {} without the parts before it", header.seq),
            )));
        }
        if frame.frame_type == FrameType::Part {
            parts.seq = header.seq;
            parts.end = frame.next;
            parts.frames.push(TailFrame { at, frame_type: frame.frame_type, payload: frame.payload.to_vec() });
            return Ok(Ok(()));
        }
        let before = core::mem::take(&mut parts.frames);
        let mut whole = before.iter().map(TailFrame::record).collect::<Result<Vec<_>>>()?;
        whole.push(record);
        self.hand_out(&whole, info.header.epoch)
    }

    fn hand_out(&mut self, frames: &[RecordView<'_>], epoch: u64) -> Result<Result<()>> {
        // A transaction has at least one frame.
        let (Some(first), Some(last)) = (frames.first(), frames.last()) else { return Ok(Ok(())) };
        let (at, header) = (first.at(), *last.header());
        if header.seq <= self.seq {
            let what = format!("seq {} comes after seq {}", header.seq, self.seq);
            return Ok(Err(corrupt(at, "F-15", what)));
        }
        self.missing_up_to(header.seq - 1, at);
        self.seq = header.seq;
        match (self.apply)(LogRecord { header, at, epoch, frames }) {
            // What it goes on from was lost with others, as the run that it writes to. It is one of many.
            Err(error @ Error::Corrupt { .. }) if !is_of_a_snapshot(&error) => {
                let seqs = Some((header.seq, header.seq));
                self.report.damage.push(Damage { seqs, ..Damage::from_error(&error, &segment_name(at.segment)) });
            }
            applied => {
                applied?;
                self.report.records += 1;
            }
        }
        Ok(Ok(()))
    }

    /// Says which transactions are lost: those between the last one and the next one that is there.
    fn missing_up_to(&mut self, last: u64, at: LogPosition) {
        let gap = self.open_gap.take();
        if last <= self.seq {
            return;
        }
        let seqs = Some((self.seq + 1, last));
        match gap.and_then(|index| self.report.damage.get_mut(index)) {
            Some(damage) => damage.seqs = seqs,
            None => {
                let what = "transactions are missing before this one".into();
                let file = segment_name(at.segment);
                self.report.damage.push(Damage { file, offset: at.offset, len: 0, rule: "F-15", what, seqs });
            }
        }
    }

    fn gap(&mut self, segment: u64, start: u64, end: u64, what: &str) {
        if start < end {
            let file = segment_name(segment);
            let damage = Damage { file, offset: start, len: end - start, rule: "F-29", what: what.into(), seqs: None };
            self.damage(damage);
        }
    }

    fn orphan(&mut self, segment: u64, parts: &mut Parts) {
        let frames = core::mem::take(&mut parts.frames);
        if let Some(first) = frames.first() {
            self.report.orphaned_transactions += 1;
            let (seq, offset) = (parts.seq, first.at.offset);
            let what = format!("{} parts of seq {seq} without their commit", frames.len());
            let (file, len) = (segment_name(segment), parts.end.saturating_sub(offset));
            self.damage(Damage { file, offset, len, rule: "F-19", what, seqs: Some((seq, seq)) });
        }
    }

    fn damage(&mut self, damage: Damage) {
        self.report.damage.push(damage);
        self.open_gap = Some(self.report.damage.len() - 1);
    }
}
