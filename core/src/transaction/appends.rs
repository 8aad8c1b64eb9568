//! The events that a transaction appends to one stream.
//!
//! Invariants:
//! - They are kept in pieces that each become one operation, of whole events, in the order in which they were appended.
//! - Reading some of them looks at no more than those and the block before: the blocks are found out once, at the first
//!   read, and only what was appended since is walked over at the next one. Whoever only appends pays nothing for it.

use alloc::vec::Vec;
use core::{cell::RefCell, ops::ControlFlow};

use super::WriteBody;
use crate::{
    Result,
    limits::PART_BYTES_TARGET,
    log::varint::Reader,
    primitive::access::{OnPendingEvents, PendingEvents},
    state::read_event,
    tree::Direction,
    work,
};

/// A block ends with this many events or bytes: what a read of one event walks over, and what one read allocates for when it
/// goes backwards.
const BLOCK_EVENTS_MAX: u64 = 32;
const BLOCK_BYTES_MAX: usize = 4096;

/// The events of one stream.
#[derive(Debug, Default)]
pub(super) struct Appends {
    /// The pieces before the last one.
    full: Vec<Piece>,
    last: Piece,
    count: u64,
    bytes: usize,
    /// What they are counted as of the transaction's bytes in the log.
    cost: usize,
    blocks: RefCell<Vec<Block>>,
}

/// Events that become one operation.
#[derive(Debug, Default)]
struct Piece {
    count: u64,
    bytes: Vec<u8>,
}

/// Neighbouring events of one piece.
#[derive(Clone, Copy, Debug)]
struct Block {
    piece: usize,
    start: usize,
    end: usize,
    /// How many events are before them.
    first: u64,
    count: u64,
}

/// How much there was at some time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Extent {
    /// Pieces before the last one.
    full: usize,
    /// Count and bytes of the last piece.
    last: (u64, usize),
    count: u64,
    bytes: usize,
    cost: usize,
}

impl Block {
    fn is_full(&self) -> bool {
        self.count >= BLOCK_EVENTS_MAX || self.end - self.start >= BLOCK_BYTES_MAX
    }
}

impl Appends {
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn cost(&self) -> usize {
        self.cost
    }

    /// How many operations they are logged as.
    pub(super) fn operations(&self) -> usize {
        self.full.len() + usize::from(self.last.count > 0)
    }

    pub(super) fn operation(&self, operation: usize) -> WriteBody<'_> {
        let piece = self.piece(operation).unwrap_or(&self.last);
        WriteBody::Events { count: piece.count, bytes: &piece.bytes }
    }

    fn piece(&self, piece: usize) -> Option<&Piece> {
        if piece == self.full.len() { Some(&self.last) } else { self.full.get(piece) }
    }

    /// At most how many pieces some events are, by themselves.
    pub(super) fn pieces_of(events: &[u8]) -> usize {
        events.len() / PART_BYTES_TARGET + 1
    }

    /// At most how many more pieces there are with these events.
    pub(super) fn pieces_for(&self, events: &[u8]) -> usize {
        if self.fit(events) { 0 } else { Self::pieces_of(events) }
    }

    fn fit(&self, events: &[u8]) -> bool {
        events.len() <= PART_BYTES_TARGET.saturating_sub(self.last.bytes.len())
    }

    /// Appends to the last piece while it is small, and to new pieces beyond: an operation must fit a frame, and one event
    /// always does.
    pub(super) fn append(&mut self, count: u64, events: &[u8], cost: usize) -> Result<()> {
        if self.fit(events) {
            self.last.count += count;
            self.last.bytes.extend_from_slice(events);
        } else {
            self.append_pieces(events)?;
        }
        self.count += count;
        self.bytes += events.len();
        self.cost += cost;
        Ok(())
    }

    fn append_pieces(&mut self, events: &[u8]) -> Result<()> {
        let mut reader = Reader::new(events);
        let (mut start, mut count) = (0, 0);
        while !reader.is_empty() {
            read_event(&mut reader)?;
            count += 1;
            let end = events.len() - reader.remaining();
            if end - start >= PART_BYTES_TARGET || reader.is_empty() {
                let bytes = events.get(start..end).unwrap_or_default().to_vec();
                let before = core::mem::replace(&mut self.last, Piece { count, bytes });
                if before.count > 0 {
                    self.full.push(before);
                }
                (start, count) = (end, 0);
            }
        }
        Ok(())
    }

    pub(super) fn extent(&self) -> Extent {
        let last = (self.last.count, self.last.bytes.len());
        Extent { full: self.full.len(), last, count: self.count, bytes: self.bytes, cost: self.cost }
    }

    /// Takes back what was appended since.
    pub(super) fn shrink_to(&mut self, extent: &Extent) {
        self.full.truncate(extent.full.saturating_add(1));
        if self.full.len() > extent.full {
            // What was the last piece then.
            self.last = self.full.pop().unwrap_or_default();
        }
        self.last.count = extent.last.0;
        self.last.bytes.truncate(extent.last.1);
        (self.count, self.bytes, self.cost) = (extent.count, extent.bytes, extent.cost);
        let blocks = self.blocks.get_mut();
        while blocks.pop_if(|block| block.first + block.count > extent.count).is_some() {}
    }

    /// Calls `each` for the blocks that hold the events from number `first` to number `last`, counted from 0, in order,
    /// until it breaks.
    pub(super) fn visit(&self, first: u64, last: u64, direction: Direction, each: OnPendingEvents<'_>) -> Result<()> {
        self.find_blocks()?;
        let (from, to) = {
            let blocks = self.blocks.borrow();
            let from = blocks.partition_point(|block| block.first + block.count <= first);
            (from, blocks.partition_point(|block| block.first <= last))
        };
        let mut next = from..to;
        loop {
            let place = match direction {
                Direction::Forward => next.next(),
                Direction::Backward => next.next_back(),
            };
            // Copied: `each` may read the stream again.
            let Some(block) = place.and_then(|place| self.blocks.borrow().get(place).copied()) else { return Ok(()) };
            let bytes =
                self.piece(block.piece).and_then(|piece| piece.bytes.get(block.start..block.end)).unwrap_or_default();
            work::count_bytes(bytes.len());
            if each(PendingEvents { first: block.first, count: block.count, bytes })? == ControlFlow::Break(()) {
                return Ok(());
            }
        }
    }

    /// Finds the blocks of what was appended since they were last asked for.
    fn find_blocks(&self) -> Result<()> {
        let mut blocks = self.blocks.borrow_mut();
        let (mut piece, mut end) = blocks.last().map_or((0, 0), |block| (block.piece, block.end));
        while let Some(bytes) = self.piece(piece).map(|piece| piece.bytes.as_slice()) {
            let mut reader = Reader::new(bytes.get(end..).unwrap_or_default());
            while !reader.is_empty() {
                let start = end;
                read_event(&mut reader)?;
                end = bytes.len() - reader.remaining();
                let first = blocks.last().map_or(0, |block| block.first + block.count);
                match blocks.last_mut().filter(|block| block.piece == piece && !block.is_full()) {
                    Some(block) => (block.end, block.count) = (end, block.count + 1),
                    None => blocks.push(Block { piece, start, end, first, count: 1 }),
                }
            }
            (piece, end) = (piece + 1, 0);
        }
        Ok(())
    }
}
