//! Reading events: what a stream looks like to its reader, and the walk over its events.
//!
//! Invariants:
//! - The kept events of a stream have every seq between its first and its head, so a number of events is a range of
//!   seqs.
//! - Only the blocks that hold wanted events are read, each is checked before it is looked into, and no more of them
//!   are held in memory than [`SPAN_BYTES_MAX`] says.

use alloc::{format, vec::Vec};
use core::ops::{Bound, ControlFlow};

use crate::{
    Error, Result,
    log::varint::Reader,
    primitive::{
        Version,
        access::{PendingStream, Reads},
        entry::lookup,
    },
    state::{
        BatchIndex, Block, Family, Source, SpaceNumber, StreamInfo, batch_key, check_crc, parse_batch_key, read_event,
    },
    tree::{Direction, KeyRange},
};

/// Most bytes that are read at once; a single block may be larger.
const SPAN_BYTES_MAX: u64 = 256 << 10;

/// A stream as its reader sees it: what is committed, and behind it what the reading transaction has appended.
pub(super) struct StreamState {
    /// What is committed; `None` where nothing is, or where the reading transaction deletes it.
    pub(super) committed: Option<StreamInfo>,
    pub(super) pending: PendingStream,
}

impl StreamState {
    pub(super) fn read(reads: &dyn Reads, space: SpaceNumber, stream: &[u8]) -> Result<Self> {
        let committed = lookup(reads, space, Family::Stream, stream, |item| StreamInfo::decode(item.raw()))?;
        Self::of(reads, space, stream, committed)
    }

    /// With what is committed known already.
    pub(super) fn of(
        reads: &dyn Reads,
        space: SpaceNumber,
        stream: &[u8],
        committed: Option<StreamInfo>,
    ) -> Result<Self> {
        let pending = reads.pending_stream(space, stream)?;
        Ok(StreamState { committed: committed.filter(|_| !pending.deleted), pending })
    }

    pub(super) fn exists(&self) -> bool {
        self.committed.is_some() || self.pending.count > 0
    }

    pub(super) fn committed_head(&self) -> u64 {
        self.committed.map_or(0, |info| info.head)
    }

    /// Seq of the newest event. Seqs of uncommitted events are provisional: others may commit theirs before.
    pub(super) fn head(&self) -> u64 {
        self.committed_head().saturating_add(self.pending.count)
    }

    /// Seq of the oldest event that is kept.
    pub(super) fn first(&self) -> u64 {
        let first = self.committed.map_or(1, |info| info.first);
        let head = if self.pending.trimmed_first { self.committed_head() } else { self.head() };
        self.pending.trimmed.map_or(first, |keep| first.max(keep.min(head + 1)))
    }

    pub(super) fn len(&self) -> u64 {
        (self.head() + 1).saturating_sub(self.first())
    }
}

/// An event as it is stored.
pub(crate) struct StoredEvent<'a> {
    pub(crate) seq: u64,
    pub(crate) kind: &'a [u8],
    pub(crate) payload: &'a [u8],
    pub(crate) commit: Commit,
}

/// The commit that an event came with.
#[derive(Clone, Copy)]
pub(crate) struct Commit {
    pub(crate) version: Version,
    /// 0 where it is not committed yet.
    pub(crate) time_micros: u64,
}

/// What a transaction has appended itself has neither seq nor time yet.
const UNCOMMITTED: Commit = Commit { version: Version::UNCOMMITTED, time_micros: 0 };

/// What a walk calls for each event.
pub(super) type OnEvent<'f> = &'f mut dyn FnMut(StoredEvent<'_>) -> Result<ControlFlow<()>>;

/// Which seqs to walk over, both ends included, and in which order.
#[derive(Clone, Copy)]
pub(super) struct Wanted {
    pub(super) from: u64,
    pub(super) to: u64,
    pub(super) direction: Direction,
}

impl Wanted {
    /// The first `limit` of a range of seqs, as far as a stream has them.
    pub(super) fn of(
        state: &StreamState,
        (start, end): (Bound<u64>, Bound<u64>),
        direction: Direction,
        limit: Option<usize>,
    ) -> Option<Self> {
        let from = match start {
            Bound::Included(seq) => seq,
            Bound::Excluded(seq) => seq.checked_add(1)?,
            Bound::Unbounded => 0,
        };
        let to = match end {
            Bound::Included(seq) => seq,
            Bound::Excluded(seq) => seq.checked_sub(1)?,
            Bound::Unbounded => u64::MAX,
        };
        let (mut from, mut to) = (from.max(state.first()), to.min(state.head()));
        if let Some(limit) = limit {
            let more = u64::try_from(limit).unwrap_or(u64::MAX).checked_sub(1)?;
            match direction {
                Direction::Forward => to = to.min(from.saturating_add(more)),
                Direction::Backward => from = from.max(to.saturating_sub(more)),
            }
        }
        (from <= to).then_some(Wanted { from, to, direction })
    }

    fn has(&self, seq: u64) -> bool {
        (self.from..=self.to).contains(&seq)
    }
}

/// Calls `each` for the wanted events of a stream, in order, until it breaks.
pub(super) fn walk(
    reads: &dyn Reads,
    (space, stream): (SpaceNumber, &[u8]),
    state: &StreamState,
    wanted: Wanted,
    each: OnEvent<'_>,
) -> Result<()> {
    let committed = Wanted { to: wanted.to.min(state.committed_head()), ..wanted };
    let flow = match wanted.direction {
        Direction::Forward => walk_committed(reads, (space, stream), committed, each)?,
        Direction::Backward => walk_pending(reads, (space, stream), state, wanted, each)?,
    };
    if flow.is_break() {
        return Ok(());
    }
    let _the_end = match wanted.direction {
        Direction::Forward => walk_pending(reads, (space, stream), state, wanted, each)?,
        Direction::Backward => walk_committed(reads, (space, stream), committed, each)?,
    };
    Ok(())
}

/// What the reading transaction has appended. When that is committed is not known yet.
fn walk_pending(
    reads: &dyn Reads,
    (space, stream): (SpaceNumber, &[u8]),
    state: &StreamState,
    wanted: Wanted,
    each: OnEvent<'_>,
) -> Result<ControlFlow<()>> {
    let mut flow = ControlFlow::Continue(());
    let first_seq = state.committed_head() + 1;
    let Some(last) = wanted.to.checked_sub(first_seq) else { return Ok(flow) };
    let range = (wanted.from.saturating_sub(first_seq), last);
    reads.visit_pending(space, stream, range, wanted.direction, &mut |events| {
        flow =
            walk_bytes(events.bytes, events.count, first_seq.saturating_add(events.first), UNCOMMITTED, wanted, each)?;
        Ok(flow)
    })?;
    Ok(flow)
}

fn walk_committed(
    reads: &dyn Reads,
    (space, stream): (SpaceNumber, &[u8]),
    wanted: Wanted,
    each: OnEvent<'_>,
) -> Result<ControlFlow<()>> {
    let mut flow = ControlFlow::Continue(());
    if wanted.from > wanted.to {
        return Ok(flow);
    }
    let first = match wanted.direction {
        Direction::Forward => batch_with(reads, space, stream, wanted.from)?,
        Direction::Backward => 0,
    };
    let range = batch_range(stream, first, wanted.to);
    reads.visit(space, Family::Batch, &range, wanted.direction, &mut |key, item| {
        let first_seq = first_seq_of(stream, key)?;
        let batch = BatchIndex::decode(item.raw())?;
        let place = (first_seq, Version::of(item));
        flow = walk_batch(&batch, place, item.source(), wanted, each)?;
        // Backwards, no batch before the one that holds the last wanted event has any.
        let done = wanted.direction == Direction::Backward && first_seq <= wanted.from;
        Ok(if done { ControlFlow::Break(()) } else { flow })
    })?;
    Ok(flow)
}

/// The batches of a stream whose first seqs are in a range, both ends included.
pub(super) fn batch_range(stream: &[u8], first: u64, last: u64) -> KeyRange {
    KeyRange::new(Bound::Included(batch_key(stream, first)), Bound::Included(batch_key(stream, last)))
}

/// The first seq that a batch's key names.
pub(super) fn first_seq_of(stream: &[u8], key: &[u8]) -> Result<u64> {
    parse_batch_key(key).map(|(_, first_seq)| first_seq).ok_or_else(|| Error::Corrupt {
        file: format!("stream {}", crate::state::readable(stream)),
        offset: 0,
        rule: "F-31",
        what: format!("the key of a batch has {} bytes", key.len()),
    })
}

/// First seq of the batch that holds `seq`, or would hold it.
fn batch_with(reads: &dyn Reads, space: SpaceNumber, stream: &[u8], seq: u64) -> Result<u64> {
    let mut found = 0;
    reads.visit(space, Family::Batch, &batch_range(stream, 0, seq), Direction::Backward, &mut |key, _| {
        found = first_seq_of(stream, key)?;
        Ok(ControlFlow::Break(()))
    })?;
    Ok(found)
}

/// A block, where it is in the segment, and the seq of its first event.
#[derive(Clone, Copy)]
struct Placed {
    block: Block,
    offset: u64,
    first_seq: u64,
}

impl Placed {
    fn end(&self) -> u64 {
        self.offset + u64::from(self.block.bytes)
    }
}

/// The blocks of a batch that hold wanted events, in the order of the walk.
fn wanted_blocks(batch: &BatchIndex, first_seq: u64, wanted: Wanted) -> Vec<Placed> {
    let mut placed = Vec::with_capacity(batch.blocks.len());
    let (mut offset, mut first_seq) = (batch.offset, first_seq);
    for block in &batch.blocks {
        let next_seq = first_seq.saturating_add(u64::from(block.events));
        if first_seq <= wanted.to && next_seq > wanted.from {
            placed.push(Placed { block: *block, offset, first_seq });
        }
        offset = offset.saturating_add(u64::from(block.bytes));
        first_seq = next_seq;
    }
    if wanted.direction == Direction::Backward {
        placed.reverse();
    }
    placed
}

fn walk_batch(
    batch: &BatchIndex,
    (first_seq, version): (u64, Version),
    source: &dyn Source,
    wanted: Wanted,
    each: OnEvent<'_>,
) -> Result<ControlFlow<()>> {
    let blocks = wanted_blocks(batch, first_seq, wanted);
    let mut rest = blocks.as_slice();
    // A reader that stops early should not pay for more than it looked at: begin with one block and double.
    let mut at_once = 1;
    while let Some((span, behind)) =
        rest.split_at_checked(span_length(rest, at_once)).filter(|(span, _)| !span.is_empty())
    {
        if walk_span((batch, version), span, source, wanted, each)?.is_break() {
            return Ok(ControlFlow::Break(()));
        }
        rest = behind;
        at_once *= 2;
    }
    Ok(ControlFlow::Continue(()))
}

/// How many of the next blocks are read at once.
fn span_length(blocks: &[Placed], most: usize) -> usize {
    let mut bytes = 0;
    let fitting = blocks.iter().take(most).take_while(|placed| {
        bytes += u64::from(placed.block.bytes);
        bytes <= SPAN_BYTES_MAX
    });
    fitting.count().max(1).min(blocks.len())
}

/// Reads neighbouring blocks by one read and walks over their events.
fn walk_span(
    (batch, version): (&BatchIndex, Version),
    span: &[Placed],
    source: &dyn Source,
    wanted: Wanted,
    each: OnEvent<'_>,
) -> Result<ControlFlow<()>> {
    let commit = Commit { version, time_micros: batch.time_micros };
    let start = span.iter().map(|placed| placed.offset).min().unwrap_or_default();
    let end = span.iter().map(Placed::end).max().unwrap_or_default();
    let bytes = source.log_bytes(batch.segment, start, length(end - start))?;
    for placed in span {
        let at = length(placed.offset - start);
        let block = bytes.get(at..at.saturating_add(length(u64::from(placed.block.bytes)))).unwrap_or_default();
        check_crc(block, placed.block.crc, batch.segment, placed.offset)?;
        let count = u64::from(placed.block.events);
        if walk_bytes(block, count, placed.first_seq, commit, wanted, each)?.is_break() {
            return Ok(ControlFlow::Break(()));
        }
    }
    Ok(ControlFlow::Continue(()))
}

/// A length that does not fit the address space cannot be read either: the read fails then.
fn length(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

/// Walks over encoded events.
fn walk_bytes(
    bytes: &[u8],
    count: u64,
    first_seq: u64,
    commit: Commit,
    wanted: Wanted,
    each: OnEvent<'_>,
) -> Result<ControlFlow<()>> {
    let mut reader = Reader::new(bytes);
    let mut backwards = Vec::new();
    for seq in first_seq..first_seq.saturating_add(count) {
        if seq > wanted.to {
            break;
        }
        let (kind, payload) = read_event(&mut reader)?;
        if !wanted.has(seq) {
            continue;
        }
        let event = StoredEvent { seq, kind, payload, commit };
        if wanted.direction == Direction::Backward {
            backwards.push(event);
        } else if each(event)?.is_break() {
            return Ok(ControlFlow::Break(()));
        }
    }
    for event in backwards.into_iter().rev() {
        if each(event)?.is_break() {
            return Ok(ControlFlow::Break(()));
        }
    }
    Ok(ControlFlow::Continue(()))
}
