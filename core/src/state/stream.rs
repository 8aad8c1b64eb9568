//! What the tree keeps of an event stream: one [`StreamInfo`], and one [`BatchIndex`] for each batch.
//!
//! The events themselves stay in the log. A batch of a thousand events is one frame and one tree entry, and a single
//! event of it is read by one small positioned read: the index says where each block of about 4 KiB begins and which
//! checksum it has. Invariant: the blocks of a batch cover its events completely, in order, without gaps.
//! Normative text: `docs/format.md`, rules F-33 to F-35.

use alloc::{vec, vec::Vec};

use crate::{
    Error, Result,
    log::varint::{self, Reader},
    work,
};

/// Smallest block that an event is read by. One block is one read and one checksum.
const BLOCK_BYTES_MIN: usize = 4096;
/// Most blocks of one batch, so that the index stays an ordinary inline entry.
const BLOCKS_MAX: usize = 90;

/// No stream has more events, no more bytes, and no segment is longer: sums of such numbers do not overflow, and whoever
/// finds a larger one looks at damage.
const EVENTS_MAX: u64 = 1 << 62;

/// A link of a stream's hash chain: BLAKE3 over the link before it and the batch.
pub type Link = [u8; 32];

/// What is known of a stream without reading its events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamInfo {
    /// Seq of the newest event; 0 where there never was one. The first event of a stream has seq 1.
    pub head: u64,
    /// Seq of the oldest event that is kept; `head + 1` where none is.
    pub first: u64,
    /// Bytes of all events that were appended, as they are in the log.
    pub bytes: u64,
    /// When the stream got its first event, in microseconds.
    pub created_micros: u64,
    /// When it got its newest, in microseconds.
    pub appended_micros: u64,
    /// The chain's newest link.
    pub link: Link,
}

impl StreamInfo {
    /// A stream that is about to get its first event.
    pub(crate) fn new(now_micros: u64) -> Self {
        StreamInfo {
            head: 0,
            first: 1,
            bytes: 0,
            created_micros: now_micros,
            appended_micros: now_micros,
            link: [0; 32],
        }
    }

    /// How many events are kept.
    pub fn events(&self) -> u64 {
        (self.head + 1).saturating_sub(self.first)
    }

    pub(crate) fn encode(&self) -> [u8; 72] {
        let mut out = [0; 72];
        let words = [self.head, self.first, self.bytes, self.created_micros, self.appended_micros];
        for (chunk, word) in out.chunks_exact_mut(8).zip(words) {
            chunk.copy_from_slice(&word.to_le_bytes());
        }
        out[40..].copy_from_slice(&self.link);
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self> {
        let info = Self::fields(bytes)?;
        // What is counted on from here has to leave room, and nobody ever wrote another order.
        if info.head > EVENTS_MAX || info.bytes > EVENTS_MAX || !(1..=info.head + 1).contains(&info.first) {
            return Err(malformed("stream info", bytes.len()));
        }
        Ok(info)
    }

    fn fields(bytes: &[u8]) -> Result<Self> {
        let bytes: &[u8; 72] = bytes.try_into().map_err(|_| malformed("stream info", bytes.len()))?;
        let (words, _) = bytes.as_chunks::<8>();
        let word = |at: usize| words.get(at).map_or(0, |chunk| u64::from_le_bytes(*chunk));
        let mut link = [0; 32];
        link.copy_from_slice(&bytes[40..]);
        Ok(StreamInfo {
            head: word(0),
            first: word(1),
            bytes: word(2),
            created_micros: word(3),
            appended_micros: word(4),
            link,
        })
    }
}

/// Where a batch of events is in the log, and how to read one of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchIndex {
    /// Segment that holds the events.
    pub segment: u64,
    /// Offset of the first event's first byte in the segment.
    pub offset: u64,
    /// When the batch was committed, in microseconds.
    pub time_micros: u64,
    /// The chain's link after this batch.
    pub link: Link,
    /// The blocks, in order.
    pub blocks: Vec<Block>,
}

/// A piece of a batch that is read and checked as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// How many events it holds.
    pub events: u32,
    /// How many bytes they take.
    pub bytes: u32,
    /// CRC-32 of those bytes.
    pub crc: u32,
}

impl BatchIndex {
    /// How many events the batch holds.
    pub fn events(&self) -> u64 {
        self.blocks.iter().map(|block| u64::from(block.events)).sum()
    }

    /// How many bytes the events take in the log.
    pub fn bytes(&self) -> u64 {
        self.blocks.iter().map(|block| u64::from(block.bytes)).sum()
    }

    /// Indexes the body of an append operation and extends the stream's chain by it. `offset` is where the first event
    /// is in the segment (that is, behind the count). Fails where the body breaks rule F-33.
    pub(crate) fn build(
        events: &EventBytes<'_>,
        at: (u64, u64),
        time_micros: u64,
        link: &Link,
        first_seq: u64,
    ) -> Result<Self> {
        let target = BLOCK_BYTES_MIN.max(events.bytes.len() / (BLOCKS_MAX - 1));
        let mut blocks = Vec::with_capacity(events.bytes.len() / target + 1);
        let mut reader = Reader::new(events.bytes);
        let (mut start, mut count) = (0, 0);
        for index in 0..events.count {
            skip_event(&mut reader)?;
            count += 1;
            let end = events.bytes.len() - reader.remaining();
            if end - start >= target || index + 1 == events.count {
                let bytes = events.bytes.get(start..end).unwrap_or_default();
                blocks.push(Block { events: count, bytes: narrow(bytes.len())?, crc: crate::checksum::hash(bytes) });
                (start, count) = (end, 0);
            }
        }
        if !reader.is_empty() || blocks.is_empty() {
            return Err(malformed("event batch", events.bytes.len()));
        }
        Ok(BatchIndex {
            segment: at.0,
            offset: at.1,
            time_micros,
            link: next_link(link, first_seq, time_micros, events.bytes),
            blocks,
        })
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = vec![];
        out.extend_from_slice(&self.segment.to_le_bytes());
        out.extend_from_slice(&self.offset.to_le_bytes());
        out.extend_from_slice(&self.time_micros.to_le_bytes());
        out.extend_from_slice(&self.link);
        for block in &self.blocks {
            varint::write(&mut out, u64::from(block.events));
            varint::write(&mut out, u64::from(block.bytes));
            out.extend_from_slice(&block.crc.to_le_bytes());
        }
        debug_assert!(out.len() <= crate::tree::VALUE_BYTES_MAX, "a batch index is a tree entry");
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self> {
        let whole = bytes.len();
        let mut reader = Reader::new(bytes);
        let mut word = || -> Result<u64> {
            let bytes = reader.bytes(8)?;
            Ok(u64::from_le_bytes(bytes.try_into().map_err(|_| malformed("batch index", whole))?))
        };
        let (segment, offset, time_micros) = (word()?, word()?, word()?);
        let link = reader.bytes(32)?.try_into().map_err(|_| malformed("batch index", whole))?;
        let mut blocks = vec![];
        while !reader.is_empty() {
            work::count(1);
            let events = narrow64(reader.varint()?)?;
            let bytes = narrow64(reader.varint()?)?;
            let crc = reader.bytes(4)?.try_into().map_err(|_| malformed("batch index", whole))?;
            blocks.push(Block { events, bytes, crc: u32::from_le_bytes(crc) });
        }
        if blocks.is_empty() || blocks.iter().any(|block| block.events == 0) || offset > EVENTS_MAX {
            return Err(malformed("batch index", whole));
        }
        Ok(BatchIndex { segment, offset, time_micros, link, blocks })
    }
}

/// The chain's next link: BLAKE3 over the link before, the first seq, the time and the events. The time is part of it:
/// otherwise a history could be moved in time without a trace.
pub(crate) fn next_link(link: &Link, first_seq: u64, time_micros: u64, events: &[u8]) -> Link {
    let mut hasher = blake3::Hasher::new();
    hasher.update(link);
    hasher.update(&first_seq.to_le_bytes());
    hasher.update(&time_micros.to_le_bytes());
    hasher.update(events);
    *hasher.finalize().as_bytes()
}

/// The body of an append operation: how many events, and their bytes.
#[derive(Clone, Copy, Debug)]
pub struct EventBytes<'a> {
    /// How many events; at least one.
    pub count: u64,
    /// The events, one behind the other.
    pub bytes: &'a [u8],
}

impl<'a> EventBytes<'a> {
    /// Splits the body of an append operation. The events themselves are checked where they are walked.
    pub(crate) fn parse(body: &'a [u8]) -> Result<Self> {
        let mut reader = Reader::new(body);
        let count = reader.varint()?;
        let bytes = body.get(body.len() - reader.remaining()..).unwrap_or_default();
        // An event takes at least two bytes, so a count beyond that is a lie; looping over it would never end.
        if count == 0 || count > bytes.len() as u64 / 2 {
            return Err(malformed("event batch", body.len()));
        }
        Ok(EventBytes { count, bytes })
    }
}

/// Reads one event: its type and its payload.
pub(crate) fn read_event<'a>(reader: &mut Reader<'a>) -> Result<(&'a [u8], &'a [u8])> {
    work::count(1);
    Ok((reader.length_and_bytes()?, reader.length_and_bytes()?))
}

fn skip_event(reader: &mut Reader<'_>) -> Result<()> {
    read_event(reader).map(|_| ())
}

fn narrow(length: usize) -> Result<u32> {
    u32::try_from(length).map_err(|_| malformed("event batch", length))
}

fn narrow64(number: u64) -> Result<u32> {
    u32::try_from(number).map_err(|_| malformed("batch index", 0))
}

fn malformed(what: &'static str, length: usize) -> Error {
    Error::Invalid { what, why: alloc::format!("{length} bytes that break rules F-33 to F-35") }
}
