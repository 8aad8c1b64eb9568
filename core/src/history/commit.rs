//! [`CommitInfo`]: what the log says of one commit.
//!
//! Invariant: a commit is found by its seq alone. Segments are in the order of their seqs and say with which they begin, so one
//! segment is read, from its beginning to the commit.

use alloc::{string::String, vec::Vec};
use core::fmt;

use crate::{
    Error, Result,
    log::{
        FrameType, LogPosition, RecordHeader, RecordView, SEGMENT_HEADER_BYTES, SegmentHeader, peek_seq_and_mark,
        segment_name,
    },
    replay::FrameReader,
    state::{Source, readable},
    transaction::Cause,
};

/// What the log says of one commit: see [`Db::commit_info`](crate::Db::commit_info).
#[derive(Clone, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct CommitInfo {
    /// Its seq: the `version` of what it wrote.
    pub seq: u64,
    /// When it was made, in microseconds since 1970, by the clock of the host. Nothing is ordered by it.
    pub time_micros: u64,
    /// Seq of the version that the transaction read, on which it was decided: a view of that version saw what it saw. `None`
    /// where it read nothing.
    pub base: Option<u64>,
    /// What its author said.
    pub cause: Option<Cause>,
    /// The idempotency key that it was made under.
    #[serde(serialize_with = "crate::shown::serialize_optional_key")]
    pub idempotency_key: Option<Vec<u8>>,
}

impl CommitInfo {
    fn of(header: &RecordHeader<'_>) -> Self {
        CommitInfo {
            seq: header.seq,
            time_micros: header.time_micros,
            base: header.reasons.base,
            cause: header.reasons.cause.map(Cause::from),
            idempotency_key: header.idempotency_key.map(|once| once.key.to_vec()),
        }
    }
}

impl fmt::Debug for CommitInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key: Option<String> = self.idempotency_key.as_deref().map(readable);
        f.debug_struct("CommitInfo")
            .field("seq", &self.seq)
            .field("time_micros", &self.time_micros)
            .field("base", &self.base)
            .field("cause", &self.cause)
            .field("idempotency_key", &key)
            .finish()
    }
}

/// The commit with this seq; `None` where the log does not have it. `segments` are the numbers of the segments that there are, in
/// ascending order.
pub(crate) fn find(source: &dyn Source, segments: &[u64], seq: u64) -> Result<Option<CommitInfo>> {
    let Some(segment) = segment_of(source, segments, seq)? else { return Ok(None) };
    let mut frames = FrameReader::new(source);
    let mut at = LogPosition { segment, offset: SEGMENT_HEADER_BYTES };
    let is_newest = segments.last() == Some(&segment);
    while let Some(frame) = frames.forward(at, is_newest)? {
        if matches!(frame.frame_type, FrameType::Transaction | FrameType::Commit) {
            let found = peek_seq_and_mark(frame.payload).map_or(0, |(seq, _)| seq);
            if found == seq {
                let record = RecordView::parse(frame.payload, frame.frame_type, at)?;
                return Ok(Some(CommitInfo::of(record.header())));
            }
            if found > seq {
                return Ok(None);
            }
        }
        at.offset = frame.end;
    }
    Ok(None)
}

/// The last segment that begins with this seq or an earlier one.
fn segment_of(source: &dyn Source, segments: &[u64], seq: u64) -> Result<Option<u64>> {
    let (mut from, mut to) = (0, segments.len());
    while from < to {
        let middle = from.midpoint(to);
        let Some(&number) = segments.get(middle) else { break };
        if first_seq(source, number)? <= seq { from = middle + 1 } else { to = middle }
    }
    Ok(from.checked_sub(1).and_then(|last| segments.get(last)).copied())
}

fn first_seq(source: &dyn Source, segment: u64) -> Result<u64> {
    let name = segment_name(segment);
    let len = usize::try_from(SEGMENT_HEADER_BYTES).unwrap_or(usize::MAX);
    let header = SegmentHeader::decode(&name, &source.log_bytes(segment, 0, len)?)?;
    let none =
        || Error::Corrupt { file: name, offset: 0, rule: "F-5", what: "the segment's header does not hold".into() };
    header.map(|header| header.first_seq).ok_or_else(none)
}
