//! The fold over the log: every transaction behind a starting point, in order, and where the log ends.

use alloc::{format, vec, vec::Vec};

use super::{
    newest::{Cut, End, TailFrame, TailRecord, find_end},
    read::{read_exactly, read_range},
    salvage,
    sequence::{Sequence, Step, Transaction, corrupt},
    survey::{SegmentInfo, Survey},
};
use crate::{
    Result,
    log::{
        FRAME_ALIGNMENT, FrameSeal, FrameType, LogPosition, Previous, RecordHeader, RecordView,
        SEGMENT_HEADER_BYTES, reread_frame, segment_name, wide,
    },
    recovery::{Damage, ProgressCallback, RecoveryMode, report_progress},
    storage::Storage,
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
#[derive(Clone, Debug, Default, PartialEq, Eq)]
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
    /// What was read and what was found.
    pub report: LogReport,
}

/// Hands out every transaction behind `from` (or from the beginning of the log) in order, up to the highest proven seq,
/// and returns those past it as a tail. Reads only. An error of `apply` ends the fold and is returned.
///
/// Fails with [`Error::Corrupt`] where anything proves that more was durable than is there, or where bytes that are not
/// the torn tail of the newest segment break a rule: what was handed out until then must be thrown away. Fails with
/// [`Error::Cancelled`] where `progress` says stop, and with the storage's error where it fails.
///
/// Cost: one read and one checksum pass over the segments behind `from`; memory for the largest of them.
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
    let mut folder = Folder { progress, apply, report, total, done: 0, reported: 0, seq: from.seq };
    let mut outcome = LogOutcome::default();
    let (mut buffer, mut read) = (vec![], 0);
    for (index, info) in segments.iter().enumerate() {
        let start = if index == 0 { from.offset } else { SEGMENT_HEADER_BYTES };
        let end = info.valid_len().unwrap_or(info.len);
        let name = segment_name(info.number);
        let file = storage.open(&name)?;
        let crc_before = crc_before(&file, &name, start)?;
        folder.report.segments += 1;
        if let Some(sealed) = info.sealed {
            folder.sealed(&file, info, &sealed, (start, crc_before), &mut buffer)?;
        } else {
            read_range(&file, &name, start, end, &mut buffer)?;
            let segment = Loaded { info, start, bytes: &buffer };
            outcome = folder.newest(&segment, crc_before, survey, mode)?;
        }
        // Preallocated space that was read counts too.
        read += end - start;
        folder.done = read;
        folder.advance(0, true)?;
    }
    outcome.report = folder.report;
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

/// The checksum of the frame that ends at `start`: its last four bytes (rule F-10).
fn crc_before<F: crate::storage::StorageFile>(file: &F, name: &str, start: u64) -> Result<u32> {
    let mut crc = [0; 4];
    if start > SEGMENT_HEADER_BYTES {
        read_exactly(file, name, start - 4, &mut crc)?;
    }
    Ok(u32::from_le_bytes(crc))
}

/// A piece of a segment in memory.
pub(super) struct Loaded<'b> {
    pub(super) info: &'b SegmentInfo,
    /// Offset of its first byte in the segment.
    pub(super) start: u64,
    pub(super) bytes: &'b [u8],
}

impl<'b> Loaded<'b> {
    pub(super) fn seal(&self) -> FrameSeal {
        FrameSeal::new(&self.info.header.salt, self.info.number)
    }

    pub(super) fn position(&self, offset: u64) -> LogPosition {
        LogPosition { segment: self.info.number, offset }
    }

    /// The bytes from `offset` on; none where that is outside.
    pub(super) fn from(&self, offset: u64) -> &'b [u8] {
        let at = offset.checked_sub(self.start).and_then(|at| usize::try_from(at).ok());
        at.and_then(|at| self.bytes.get(at..)).unwrap_or_default()
    }

    pub(super) fn end(&self) -> u64 {
        self.start.saturating_add(wide(self.bytes.len()))
    }
}

pub(super) struct Folder<'f> {
    progress: ProgressCallback<'f>,
    apply: &'f mut dyn FnMut(LogRecord<'_>) -> Result<()>,
    pub(super) report: LogReport,
    total: u64,
    done: u64,
    reported: u64,
    /// Seq of the last transaction that was handed out or put into the tail.
    pub(super) seq: u64,
}

impl Folder<'_> {
    pub(super) fn advance(&mut self, bytes: u64, now: bool) -> Result<()> {
        self.done = self.done.saturating_add(bytes);
        if !now && self.done - self.reported < PROGRESS_BYTES {
            return Ok(());
        }
        self.reported = self.done;
        report_progress(self.progress, "log", self.done, self.total)
    }

    pub(super) fn hand_out(&mut self, transaction: &Transaction<'_>, epoch: u64) -> Result<()> {
        self.report.records += 1;
        let frames = transaction.frames();
        // A transaction has at least one frame.
        let (Some(first), Some(last)) = (frames.first(), frames.last()) else { return Ok(()) };
        (self.apply)(LogRecord { header: *last.header(), at: first.at(), epoch, frames })
    }

    /// The newest segment, where the log ends.
    fn newest(
        &mut self,
        segment: &Loaded<'_>,
        crc_before: u32,
        survey: &Survey,
        mode: RecoveryMode,
    ) -> Result<LogOutcome> {
        let end = find_end(segment.bytes, segment.start, self.seq + 1, &segment.seal())?;
        if end.any_frame && survey.anchor.is_none() {
            // An anchor is durable before the first commit.
            let what = "there are commits, and no valid anchor".into();
            return Err(corrupt(segment.position(segment.start), "F-9", what));
        }
        let proven = survey.proven_seq.max(self.seq).max(end.mark);
        end.judge(proven, segment.info.number)?;
        self.note_end(&end, segment, mode)?;
        let counted = Previous {
            segment: segment.info.number,
            valid_len: segment.start,
            last_seq: self.seq,
            last_crc: crc_before,
        };
        let (continuation, tail) = self.up_to_end(segment, &end, proven, counted)?;
        let last_seq = continuation.last_seq;
        self.report.tail_records = wide(tail.len());
        Ok(LogOutcome { last_seq, continuation: Some(continuation), tail, report: LogReport::default() })
    }

    fn note_end(&mut self, end: &End, segment: &Loaded<'_>, mode: RecoveryMode) -> Result<()> {
        let wrong = match &end.bad {
            Some(cut) => Some(format!("a torn tail of {} bytes: {}", cut.bytes, cut.reason)),
            None if end.orphaned_parts > 0 => Some(format!("{} parts without their commit", end.orphaned_parts)),
            None => None,
        };
        if let (RecoveryMode::Strict, Some(what)) = (mode, wrong) {
            return Err(corrupt(segment.position(end.offset), "F-29", what));
        }
        self.report.orphaned_transactions += u64::from(end.orphaned_parts > 0);
        self.report.cut = end.bad.clone();
        Ok(())
    }

    /// Second pass over frames whose checksums hold: hands out what is proven and keeps the rest as the tail.
    /// `counts` is what counts before the first of them, and is returned with what counts behind the last proven one.
    fn up_to_end(
        &mut self,
        segment: &Loaded<'_>,
        end: &End,
        proven: u64,
        mut counts: Previous,
    ) -> Result<(Previous, Vec<TailRecord>)> {
        let info = segment.info;
        let mut sequence = Sequence::new(info.number, self.seq + 1);
        let mut tail: Vec<TailRecord> = vec![];
        let mut offset = segment.start;
        while offset < end.offset {
            let Some(frame) = reread_frame(segment.from(offset), offset) else {
                return Err(corrupt(segment.position(offset), "F-10", "the frame changed while it was read".into()));
            };
            if let Step::Whole(transaction) = sequence.accept(offset, &frame)? {
                let seq = sequence.next_seq() - 1;
                if seq <= proven {
                    self.hand_out(&transaction, info.header.epoch)?;
                    // What was synced with this transaction, and no mark behind it: that one may be in the page cache
                    // only, and then the next header would promise bytes that the disk does not have.
                    counts = Previous { valid_len: frame.next, last_seq: seq, last_crc: frame.crc, ..counts };
                } else {
                    tail.push(tail_record(&transaction, seq, info.header.epoch));
                }
            }
            self.report.bytes += frame.next - offset;
            self.advance(frame.next - offset, false)?;
            offset = frame.next;
        }
        self.seq = sequence.next_seq() - 1;
        Ok((counts, tail))
    }
}

fn tail_record(transaction: &Transaction<'_>, seq: u64, epoch: u64) -> TailRecord {
    let parts = transaction.frames().len();
    let frames = transaction.frames().iter().enumerate().map(|(index, record)| {
        let frame_type = match (parts, index) {
            (1, _) => FrameType::Transaction,
            (_, index) if index + 1 == parts => FrameType::Commit,
            _ => FrameType::Part,
        };
        TailFrame { at: record.at(), frame_type, payload: record.payload().to_vec() }
    });
    TailRecord { seq, epoch, frames: frames.collect() }
}
