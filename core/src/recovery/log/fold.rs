//! The fold over the log: every transaction behind a starting point, in order, and where the log ends.

use alloc::{format, vec, vec::Vec};

use super::{
    newest::{Cut, End, TailFrame, TailRecord, find_end},
    salvage,
    sequence::{Sequence, Step, corrupt},
    survey::{SegmentInfo, Survey},
    window::{Next, Segment, Window},
};
use crate::{
    Result,
    log::{
        FRAME_ALIGNMENT, Frame, FrameOutcome, FrameType, LogEnd, LogPosition, Previous, RecordHeader, RecordView,
        SEGMENT_HEADER_BYTES, wide,
    },
    planted::{self, Planted},
    recovery::{Damage, ProgressCallback, RecoveryMode, report_progress},
    storage::{Storage, StorageFile},
};

/// How many bytes are folded between two reports of progress.
const PROGRESS_BYTES: u64 = 1 << 20;

/// Where to begin: behind a snapshot, or at an older one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogStart {
    /// Number of the segment.
    pub segment: u64,
    /// Offset of the first frame to fold.
    pub offset: u64,
    /// Seq of the last transaction before it.
    pub seq: u64,
}

/// One transaction.
#[derive(Clone, Copy, Debug)]
pub struct LogRecord<'a> {
    /// What its record begins with; of a transaction in parts, that of the commit.
    pub header: RecordHeader<'a>,
    /// Where its first frame begins.
    pub at: LogPosition,
    /// Epoch in which it was written.
    pub epoch: u64,
    /// The records of its frames, in order.
    pub frames: &'a [RecordView<'a>],
}

/// What was read and what was found.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct LogReport {
    /// Segments that were read.
    pub segments: u64,
    /// Transactions that were handed out.
    pub records: u64,
    /// Bytes of all frames that were folded or are in the tail.
    pub bytes: u64,
    /// Transactions in the tail.
    pub tail_records: u64,
    /// Transactions in parts that were never closed.
    pub orphaned_transactions: u64,
    /// Where the log was cut, if it was.
    pub cut: Option<Cut>,
    /// What else is wrong. In salvage: everything that was skipped.
    pub damage: Vec<Damage>,
    /// Whether everything that was ever promised is there. Never said in salvage.
    pub complete: bool,
}

/// What [`fold`] found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogOutcome {
    /// Seq of the last transaction that was handed out, or of the starting point.
    pub last_seq: u64,
    /// What the header of the next segment has to say about its predecessor. `None` where there is no segment yet, and
    /// in salvage, after which nothing may be appended.
    pub continuation: Option<Previous>,
    /// Whole transactions past the highest proven seq, in order: to be written again into a new segment before anything
    /// is served (rule F-25).
    pub tail: Vec<TailRecord>,
    /// Whether the newest segment has a frame. Until the first one is written an anchor need not be durable.
    pub any_frame: bool,
    /// The highest epoch of an opening that began a segment or went on in one, of those that were read.
    pub epoch: u64,
    /// Where the newest segment ends, if the log may go on in it (rule F-25): all of it is on stable media, and an anchor
    /// says that nothing was on its way behind.
    pub resumable: Option<LogEnd>,
    /// Offset in the newest segment behind the last whole transaction, tail included, or the mark behind it.
    pub end: u64,
    /// Everything up to this seq is proven to have been on stable media, by the survey, the starting point or a frame.
    pub proven_seq: u64,
    /// Offset behind the last byte of the newest segment that is not zero: what is behind was reserved and never used.
    pub used: u64,
    /// What was read and what was found.
    pub report: LogReport,
}

/// Hands out every transaction behind `from` (or from the beginning of the log) in order, up to the highest proven seq,
/// and returns those past it as a tail. Reads only. An error of `apply` ends the fold and is returned; in salvage a
/// transaction that does not fit what is left is skipped and listed instead, and `apply` must have changed nothing then.
///
/// Fails with `Error::Corrupt` where anything proves that more was durable than is there, or where bytes that are not
/// the torn tail of the newest segment break a rule: what was handed out until then must be thrown away. Fails with
/// `Error::Cancelled` where `progress` says stop, and with the storage's error where it fails.
///
/// Cost: one read and one checksum pass over the segments behind `from`, two over the newest. Memory: a small window, or
/// the rest of a segment where a transaction in parts or damage has to be looked at.
pub fn fold<S: Storage>(
    storage: &S,
    survey: &Survey,
    from: Option<LogStart>,
    mode: RecoveryMode,
    progress: ProgressCallback<'_>,
    apply: &mut dyn FnMut(LogRecord<'_>) -> Result<()>,
) -> Result<LogOutcome> {
    if survey.segments.is_empty() {
        let report = LogReport { complete: mode != RecoveryMode::Salvage, ..LogReport::default() };
        return Ok(LogOutcome { report, ..LogOutcome::default() });
    }
    if mode == RecoveryMode::Salvage {
        return salvage::fold(storage, survey, from, progress, apply);
    }
    let (segments, from) = starting_at(survey, from)?;
    let spans = segments.iter().map(|segment| segment.valid_len().unwrap_or(segment.len) - SEGMENT_HEADER_BYTES);
    let total = spans.sum::<u64>() - (from.offset - SEGMENT_HEADER_BYTES);
    let report = LogReport { complete: true, ..LogReport::default() };
    let mut folder = Folder { progress, apply, report, total, done: 0, reported: 0, seq: from.seq, epoch: 0 };
    let mut outcome = LogOutcome::default();
    let (mut buffer, mut read) = (vec![], 0);
    for (index, info) in segments.iter().enumerate() {
        let start = if index == 0 { from.offset } else { SEGMENT_HEADER_BYTES };
        let end = info.valid_len().unwrap_or(info.len);
        let segment = Segment::open(storage, info)?;
        let last_crc = segment.crc_before(start)?;
        let before = Previous { segment: info.number, valid_len: start, last_seq: folder.seq, last_crc };
        folder.report.segments += 1;
        folder.epoch = folder.epoch.max(info.header.epoch);
        match info.sealed {
            Some(sealed) => folder.sealed(&segment, before, &sealed, &mut buffer)?,
            None => outcome = folder.newest(&segment, before, survey, mode, &mut buffer)?,
        }
        // Preallocated space that was read counts too.
        read += end - start;
        folder.done = read;
        folder.advance(0, true)?;
    }
    (outcome.report, outcome.epoch) = (folder.report, folder.epoch);
    Ok(outcome)
}

/// The segments from the starting point on, and the starting point itself.
pub(super) fn starting_at(survey: &Survey, from: Option<LogStart>) -> Result<(&[SegmentInfo], LogStart)> {
    let Some(from) = from else { return from_beginning(survey) };
    let refuse = |what| {
        let at = LogPosition { segment: from.segment, offset: from.offset };
        Err(corrupt(at, "F-23", what))
    };
    let Some(index) = survey.segments.iter().position(|segment| segment.number == from.segment) else {
        return refuse("a snapshot goes on in this segment, which is missing or no longer part of the log".into());
    };
    let segments = survey.segments.get(index..).unwrap_or_default();
    let Some(info) = segments.first() else { return from_beginning(survey) };
    let end = info.valid_len().unwrap_or(info.len);
    if from.offset < SEGMENT_HEADER_BYTES || from.offset > end || !from.offset.is_multiple_of(FRAME_ALIGNMENT) {
        return refuse(format!("a snapshot goes on at this offset, and the segment ends at {end}"));
    }
    let last_seq = info.sealed.map_or(u64::MAX, |sealed| sealed.last_seq);
    let before = info.header.first_seq - 1;
    let at_start = from.offset == SEGMENT_HEADER_BYTES;
    if from.seq < before || from.seq > last_seq || (at_start && from.seq != before) {
        return refuse(format!(
            "a snapshot goes on here behind seq {}, and the segment begins at {}",
            from.seq,
            before + 1
        ));
    }
    Ok((segments, from))
}

fn from_beginning(survey: &Survey) -> Result<(&[SegmentInfo], LogStart)> {
    let oldest = survey.segments.first().map_or((1, 1), |segment| (segment.number, segment.header.first_seq));
    let (segment, first_seq) = oldest;
    if first_seq != 1 {
        let what = format!("the log begins at seq {first_seq}, and no snapshot has what was before");
        return Err(corrupt(LogPosition { segment, offset: 0 }, "F-23", what));
    }
    Ok((&survey.segments, LogStart { segment, offset: SEGMENT_HEADER_BYTES, seq: 0 }))
}

struct Folder<'f> {
    progress: ProgressCallback<'f>,
    apply: &'f mut dyn FnMut(LogRecord<'_>) -> Result<()>,
    report: LogReport,
    total: u64,
    done: u64,
    reported: u64,
    /// Seq of the last transaction that was handed out or put into the tail.
    seq: u64,
    /// The highest epoch so far.
    epoch: u64,
}

impl Folder<'_> {
    fn advance(&mut self, bytes: u64, now: bool) -> Result<()> {
        self.done = self.done.saturating_add(bytes);
        if !now && self.done - self.reported < PROGRESS_BYTES {
            return Ok(());
        }
        self.reported = self.done;
        report_progress(self.progress, "log", self.done, self.total)
    }

    /// The newest segment, where the log ends.
    fn newest<F: StorageFile>(
        &mut self,
        segment: &Segment<'_, F>,
        before: Previous,
        survey: &Survey,
        mode: RecoveryMode,
        buffer: &mut Vec<u8>,
    ) -> Result<LogOutcome> {
        let end = find_end(segment, before.valid_len, self.seq + 1, buffer)?;
        if end.any_frame && survey.anchor.is_none() {
            // An anchor is durable before the first commit.
            let what = "there are commits, and no valid anchor".into();
            return Err(corrupt(segment.position(before.valid_len), "F-9", what));
        }
        let proven = survey.proven_seq.max(self.seq).max(end.mark);
        end.judge(proven, segment.info.number)?;
        self.note_end(&end, segment.position(end.offset), mode)?;
        let mut tail = vec![];
        let continuation = self.range(segment, before, end.offset, &mut Sink { proven, tail: &mut tail }, buffer)?;
        self.report.tail_records = wide(tail.len());
        Ok(LogOutcome {
            last_seq: continuation.last_seq,
            continuation: Some(continuation),
            resumable: if tail.is_empty() { resumable(segment, &end, survey)? } else { None },
            tail,
            any_frame: end.any_frame,
            end: end.offset,
            proven_seq: proven,
            used: end.used(),
            ..LogOutcome::default()
        })
    }

    fn note_end(&mut self, end: &End, at: LogPosition, mode: RecoveryMode) -> Result<()> {
        let wrong = match &end.bad {
            Some(cut) => Some(format!("a torn tail of {} bytes: {}", cut.bytes, cut.reason)),
            None if end.orphaned_parts > 0 => Some(format!("{} parts without their commit", end.orphaned_parts)),
            None => None,
        };
        if let (RecoveryMode::Strict, Some(what)) = (mode, wrong) {
            return Err(corrupt(at, "F-29", what));
        }
        self.report.orphaned_transactions += u64::from(end.orphaned_parts > 0);
        self.report.cut = end.bad.clone();
        Ok(())
    }

    /// A sealed segment was synced as a whole before its successor was made, and the successor says how it ends.
    /// Whatever differs is corruption, never an end (rule F-23).
    fn sealed<F: StorageFile>(
        &mut self,
        segment: &Segment<'_, F>,
        before: Previous,
        sealed: &Previous,
        buffer: &mut Vec<u8>,
    ) -> Result<()> {
        let mut sink = Sink { proven: u64::MAX, tail: &mut vec![] };
        let found = self.range(segment, before, sealed.valid_len, &mut sink, buffer)?;
        // The checksum is that of the last frame, which may be a mark.
        let last_crc = segment.crc_before(sealed.valid_len)?;
        if (found.last_seq, last_crc) == (sealed.last_seq, sealed.last_crc) {
            return Ok(());
        }
        let what = format!(
            "the segment ends with seq {} and checksum {last_crc:08x}; its successor says {} and {:08x}",
            found.last_seq, sealed.last_seq, sealed.last_crc
        );
        Err(corrupt(segment.position(sealed.valid_len), "F-23", what))
    }

    /// Folds the frames up to `end`, all of which have to be good. `counts` is what counts before the first of them; it
    /// is returned with what counts behind the last proven one.
    fn range<F: StorageFile>(
        &mut self,
        segment: &Segment<'_, F>,
        mut counts: Previous,
        end: u64,
        sink: &mut Sink<'_>,
        buffer: &mut Vec<u8>,
    ) -> Result<Previous> {
        let mut next = Next::at(counts.valid_len);
        while next.offset < end {
            let window = segment.window(&next, end, buffer)?;
            next = self.window(&window, &mut counts, sink)?;
        }
        Ok(counts)
    }

    /// Folds the frames that are whole in a window. Every call folds at least one, asks for a larger window, or fails.
    fn window(&mut self, window: &Window<'_>, counts: &mut Previous, sink: &mut Sink<'_>) -> Result<Next> {
        let mut sequence = Sequence::new(window.info.number, self.seq + 1);
        let mut offset = window.start;
        while offset < window.end() {
            if let Some(next) = window.needs_more(offset) {
                return Ok(next);
            }
            let frame = match window.frame(offset) {
                FrameOutcome::Frame(frame) => frame,
                other => return Err(window.differs(offset, &other)),
            };
            if frame.frame_type == FrameType::Transaction {
                let record = RecordView::parse(frame.payload, frame.frame_type, window.position(offset))?;
                sequence.accept_transaction(&record)?;
                self.take(core::slice::from_ref(&record), window, &frame, counts, sink)?;
            } else {
                match sequence.accept(offset, &frame)? {
                    Step::Whole(records) => self.take(&records, window, &frame, counts, sink)?,
                    Step::Mark if planted::active(Planted::MarkCountedInSeal) => {
                        (counts.valid_len, counts.last_crc) = (frame.next, frame.crc);
                    }
                    Step::Mark => {}
                    Step::Opening(epoch) => self.opening(epoch, window.position(offset))?,
                    // All parts have to be there together. The rest of the segment is enough, and is enough for all
                    // transactions in parts that follow.
                    Step::Part if !window.is_last => return Ok(Next::whole(offset)),
                    Step::Part => {}
                }
            }
            self.report.bytes += frame.next - offset;
            self.advance(frame.next - offset, false)?;
            offset = frame.next;
        }
        if sequence.waiting_parts() > 0 {
            let what = "parts without their commit before the end of the segment".into();
            return Err(corrupt(window.position(offset), "F-23", what));
        }
        Ok(Next::at(offset))
    }

    /// An opening went on in the segment: its epoch is higher than all before (rule F-6).
    fn opening(&mut self, epoch: u64, at: LogPosition) -> Result<()> {
        if epoch <= self.epoch && !planted::active(Planted::EpochNotRaised) {
            return Err(corrupt(at, "F-6", format!("an opening of epoch {epoch} behind one of epoch {}", self.epoch)));
        }
        self.epoch = epoch;
        Ok(())
    }

    /// Hands out the next transaction, if it is proven, and keeps it for the tail otherwise.
    #[inline]
    fn take(
        &mut self,
        records: &[RecordView<'_>],
        window: &Window<'_>,
        last: &Frame<'_>,
        counts: &mut Previous,
        sink: &mut Sink<'_>,
    ) -> Result<()> {
        self.seq += 1;
        let epoch = window.info.header.epoch;
        if self.seq > sink.proven {
            sink.tail.push(tail_record(records, self.seq, epoch));
            return Ok(());
        }
        // What was synced with this transaction, and no mark behind it: that one may be in the page cache only, and then
        // the next header would promise bytes that the disk does not have.
        (counts.valid_len, counts.last_seq, counts.last_crc) = (last.next, self.seq, last.crc);
        self.report.records += 1;
        // A transaction has at least one frame.
        let (Some(first), Some(last)) = (records.first(), records.last()) else { return Ok(()) };
        (self.apply)(LogRecord { header: *last.header(), at: first.at(), epoch, frames: records })
    }
}

/// Where the segment ends, if the anchor says so too. A frame behind the end that the anchor names may be in the page cache
/// only; and where something was written behind it and is gone, others may have been promised more than is there.
fn resumable<F: StorageFile>(segment: &Segment<'_, F>, end: &End, survey: &Survey) -> Result<Option<LogEnd>> {
    let Some((_, anchor)) = survey.anchor.filter(|(_, anchor)| anchor.newest_segment == segment.info.number) else {
        return Ok(None);
    };
    let ends_cleanly = end.bad.is_none() && end.orphaned_parts == 0 && anchor.proven_seq + 1 == end.next_seq;
    if !ends_cleanly && !planted::active(Planted::AppendedToRecovered) {
        return Ok(None);
    }
    let found = LogEnd { offset: end.offset, crc: segment.crc_before(end.offset)? };
    Ok(Some(found).filter(|_| anchor.end == Some(found) || planted::active(Planted::AppendedToRecovered)))
}

/// Where transactions go.
struct Sink<'t> {
    /// Up to this seq they are handed out.
    proven: u64,
    /// Behind it they are kept.
    tail: &'t mut Vec<TailRecord>,
}

#[cold]
fn tail_record(records: &[RecordView<'_>], seq: u64, epoch: u64) -> TailRecord {
    let frames = records.iter().enumerate().map(|(index, record)| {
        let frame_type = match record.header().part {
            None => FrameType::Transaction,
            Some(_) if index + 1 == records.len() => FrameType::Commit,
            Some(_) => FrameType::Part,
        };
        TailFrame { at: record.at(), frame_type, payload: record.payload().to_vec() }
    });
    TailRecord { seq, epoch, frames: frames.collect() }
}
