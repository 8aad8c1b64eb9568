//! Frames: the unit that is in the log whole or not at all.
//!
//! `length u32 | type u8 | version u8 | payload | zero padding | checksum u32`, a multiple of 8 bytes in all.
//!
//! Invariant: a frame passes only at the offset of the segment for which it was written. The checksum covers every byte
//! of the frame, the padding too, and begins with the segment's secret salt, its number and the frame's offset: stale,
//! moved and copied bytes do not pass, and neither does a frame that somebody stored inside a value. Rules F-10 to F-13.

use alloc::vec::Vec;

use super::fields::wide;
use crate::planted::{self, Planted};
use crate::{Error, Result, limits::FRAME_PAYLOAD_BYTES_MAX};

/// Bytes before the payload: length, type and version.
pub const FRAME_HEADER_BYTES: u64 = 6;
/// Bytes of a frame besides payload and padding.
pub const FRAME_OVERHEAD_BYTES: u64 = FRAME_HEADER_BYTES + CHECKSUM_BYTES as u64;
/// Frames begin at multiples of this, so that a scan after damage finds the next good one.
pub const FRAME_ALIGNMENT: u64 = 8;
/// Version of the record encoding in the frames that this program writes.
pub const FRAME_VERSION: u8 = 1;

const HEADER_BYTES: usize = 6;
const CHECKSUM_BYTES: usize = 4;
const ALIGNMENT: usize = 8;
const _: () = assert!(HEADER_BYTES as u64 == FRAME_HEADER_BYTES && ALIGNMENT as u64 == FRAME_ALIGNMENT);
const _: () = assert!(FRAME_PAYLOAD_BYTES_MAX < u32::MAX as usize);

/// What a frame holds. Rule F-13.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum FrameType {
    /// A whole transaction.
    Transaction = 1,
    /// A part of a transaction that is too large for one frame.
    Part = 2,
    /// The end of a transaction in parts, which may hold operations itself.
    Commit = 3,
    /// No transaction: how far the log was durable, and how far it had been written.
    Mark = 4,
    /// No transaction: an opening goes on in this segment, with an epoch of its own.
    Opening = 5,
}

impl FrameType {
    /// The type that this byte stands for; `None` for a byte that this program does not know.
    #[inline]
    pub const fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            1 => FrameType::Transaction,
            2 => FrameType::Part,
            3 => FrameType::Commit,
            4 => FrameType::Mark,
            5 => FrameType::Opening,
            _ => return None,
        })
    }

    /// The byte that stands for it in the log.
    #[inline]
    pub const fn to_byte(self) -> u8 {
        self as u8
    }
}

/// What the checksums of a segment's frames begin with: its salt and its number. Cheap to clone.
#[derive(Clone, Debug)]
pub struct FrameSeal {
    /// The checksum's state after salt and number. Each frame continues it with its offset.
    seed: crate::checksum::Hasher,
    segment: u64,
}

impl FrameSeal {
    /// The seal of the segment with this salt and number.
    pub fn new(salt: &[u8; 16], segment: u64) -> Self {
        let mut seed = crate::checksum::Hasher::new();
        if !planted::active(Planted::SaltForgotten) {
            seed.update(salt);
            seed.update(&segment.to_le_bytes());
        }
        Self { seed, segment }
    }

    /// The number of the segment.
    pub const fn segment(&self) -> u64 {
        self.segment
    }

    /// The checksum of a frame at `offset`: CRC-32 over salt, segment number, offset and the frame's bytes (rule F-11).
    #[inline]
    pub(super) fn checksum(&self, offset: u64, covered: &[u8]) -> u32 {
        let mut hasher = self.seed.clone();
        hasher.update(&offset.to_le_bytes());
        hasher.update(covered);
        hasher.finalize()
    }
}

/// How many bytes a frame with a payload of `payload` bytes takes in the log.
#[inline]
pub const fn frame_bytes_for(payload: u64) -> u64 {
    payload.saturating_add(FRAME_OVERHEAD_BYTES).saturating_add(FRAME_ALIGNMENT - 1) / FRAME_ALIGNMENT * FRAME_ALIGNMENT
}

/// How many bytes the frame takes whose first bytes are `head`, by its own word, which nothing has checked yet; for
/// reading a single frame of a file. `None` where there are fewer than four bytes or the length is impossible.
pub fn frame_bytes(head: &[u8]) -> Option<u64> {
    let len = u32::from_le_bytes(*head.first_chunk()?);
    (1..=FRAME_PAYLOAD_BYTES_MAX).contains(&usize::try_from(len).ok()?).then(|| frame_bytes_for(u64::from(len)))
}

/// Writes one frame to the end of a buffer: [`begin`](Self::begin), append the payload to the buffer,
/// [`finish`](Self::finish). The payload is never copied.
///
/// ```
/// use foldb_core::log::{FrameOutcome, FrameSeal, FrameType, FrameWriter, read_frame};
///
/// let seal = FrameSeal::new(&[7; 16], 1);
/// let mut buffer = vec![];
/// let frame = FrameWriter::begin(&mut buffer, FrameType::Transaction);
/// buffer.extend_from_slice(b"payload");
/// let crc = frame.finish(&mut buffer, &seal, 128)?;
///
/// let FrameOutcome::Frame(read) = read_frame(&buffer, 128, &seal) else { panic!() };
/// assert_eq!((read.payload, read.crc, read.next), (&b"payload"[..], crc, 128 + 24));
/// // One alignment further on, the same bytes are no frame.
/// assert!(matches!(read_frame(&buffer, 136, &seal), FrameOutcome::Bad(_)));
/// # Ok::<(), foldb_core::Error>(())
/// ```
#[derive(Debug)]
#[must_use = "a frame without its checksum is no frame"]
pub struct FrameWriter {
    start: usize,
}

impl FrameWriter {
    /// Begins a frame at the end of `buffer`.
    #[inline]
    pub fn begin(buffer: &mut Vec<u8>, frame_type: FrameType) -> Self {
        let start = buffer.len();
        buffer.extend_from_slice(&[0, 0, 0, 0, frame_type.to_byte(), FRAME_VERSION]);
        Self { start }
    }

    /// Ends the frame, which will be written at `offset` of the segment of `seal`, and returns its checksum.
    ///
    /// Fails with [`Error::Limit`] where the payload is over
    /// [`FRAME_PAYLOAD_BYTES_MAX`](crate::limits::FRAME_PAYLOAD_BYTES_MAX), and with [`Error::Invalid`] where it is empty
    /// or the offset is not a multiple of 8. The buffer is then as it was before the frame began.
    #[inline]
    pub fn finish(self, buffer: &mut Vec<u8>, seal: &FrameSeal, offset: u64) -> Result<u32> {
        let payload = buffer.len().saturating_sub(self.start + HEADER_BYTES);
        let len = match u32::try_from(payload) {
            Ok(len) if payload > 0 && payload <= FRAME_PAYLOAD_BYTES_MAX && offset.is_multiple_of(FRAME_ALIGNMENT) => {
                len
            }
            _ => return Err(self.abandon(buffer, payload)),
        };
        let padding = (HEADER_BYTES + payload + CHECKSUM_BYTES).wrapping_neg() % ALIGNMENT;
        let end = buffer.len() + padding;
        // A copy of fixed size and a shorter length are cheaper than a copy of variable size.
        buffer.extend_from_slice(&[0; ALIGNMENT]);
        buffer.truncate(end);
        let Some(covered) = buffer.get_mut(self.start..) else { return Err(self.abandon(buffer, payload)) };
        if let Some(field) = covered.first_chunk_mut() {
            *field = len.to_le_bytes();
        }
        let crc = seal.checksum(offset, covered);
        buffer.extend_from_slice(&crc.to_le_bytes());
        Ok(crc)
    }

    #[cold]
    fn abandon(self, buffer: &mut Vec<u8>, payload: usize) -> Error {
        buffer.truncate(self.start);
        if payload > FRAME_PAYLOAD_BYTES_MAX {
            return Error::Limit { what: "a frame", size: wide(payload), limit: wide(FRAME_PAYLOAD_BYTES_MAX) };
        }
        let why = alloc::format!("a payload of {payload} bytes, or an offset that is no multiple of {FRAME_ALIGNMENT}");
        Error::Invalid { what: "frame", why }
    }
}

/// A frame whose checksum holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// What it holds.
    pub frame_type: FrameType,
    /// Its payload.
    pub payload: &'a [u8],
    /// Offset of the byte behind it, where the next frame begins.
    pub next: u64,
    /// Its checksum.
    pub crc: u32,
}

/// What is at an offset of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameOutcome<'a> {
    /// A frame.
    Frame(Frame<'a>),
    /// The end of the log: nothing, or nothing but zeros to the end of the file (rule F-12).
    End,
    /// No frame, and why not. Whether that is a torn tail or corruption is for recovery to decide (rule F-22).
    Bad(&'static str),
    /// A whole frame of a type or version that this program does not know.
    Newer {
        /// What has a version.
        what: &'static str,
        /// The version found.
        found: u8,
        /// The highest that this program knows.
        supported: u8,
    },
}

/// Reads the frame at the start of `bytes`, which are those of the segment from `offset` to the end of the file (or
/// exactly one frame, where the caller knows its extent). The length is checked before anything else is believed. Cost:
/// one pass over the frame; where there is none, over a run of zeros.
#[inline]
pub fn read_frame<'a>(bytes: &'a [u8], offset: u64, seal: &FrameSeal) -> FrameOutcome<'a> {
    let Some([l0, l1, l2, l3, frame_type, version]) = bytes.first_chunk::<HEADER_BYTES>() else {
        return end_or_bad(bytes, "the file ends inside a frame's header");
    };
    let len = u32::from_le_bytes([*l0, *l1, *l2, *l3]);
    // Where a `u32` is wider than the address space, the length is over the limit anyway.
    let payload = usize::try_from(len).unwrap_or(usize::MAX);
    if payload == 0 {
        return end_or_bad(bytes, "a length of zero, and bytes that are not zero behind it");
    }
    if payload > FRAME_PAYLOAD_BYTES_MAX {
        return FrameOutcome::Bad("a length over the limit");
    }
    let total = (HEADER_BYTES + payload + CHECKSUM_BYTES).next_multiple_of(ALIGNMENT);
    let Some((covered, crc)) = bytes.get(..total).and_then(|frame| frame.split_last_chunk::<CHECKSUM_BYTES>()) else {
        return FrameOutcome::Bad("the file ends inside the frame");
    };
    let crc = u32::from_le_bytes(*crc);
    if seal.checksum(offset, covered) != crc && !planted::active(Planted::FrameChecksumSkipped) {
        return FrameOutcome::Bad("the checksum does not hold");
    }
    let (Some(payload), Some(padding)) =
        (covered.get(HEADER_BYTES..HEADER_BYTES + payload), covered.get(HEADER_BYTES + payload..))
    else {
        return FrameOutcome::Bad("the frame is shorter than its payload");
    };
    if !is_zero(padding) {
        return FrameOutcome::Bad("the padding is not zero");
    }
    if *version != FRAME_VERSION {
        return FrameOutcome::Newer { what: "record version", found: *version, supported: FRAME_VERSION };
    }
    match FrameType::from_byte(*frame_type) {
        Some(frame_type) => {
            FrameOutcome::Frame(Frame { frame_type, payload, next: offset.saturating_add(wide(total)), crc })
        }
        None => FrameOutcome::Newer { what: "frame type", found: *frame_type, supported: FrameType::Opening.to_byte() },
    }
}

#[cold]
fn end_or_bad<'a>(bytes: &[u8], reason: &'static str) -> FrameOutcome<'a> {
    if is_zero(bytes) || planted::active(Planted::ZerosEndTheLog) {
        FrameOutcome::End
    } else {
        FrameOutcome::Bad(reason)
    }
}

/// Whether there is nothing but zeros. In blocks, so that the compiler can compare many bytes at once: preallocated
/// segments end in megabytes of them.
pub(crate) fn is_zero(bytes: &[u8]) -> bool {
    bytes.chunks(4096).all(|block| block.iter().fold(0, |union, byte| union | byte) == 0)
}

/// The bytes up to the last one that is not zero. In blocks from behind, as preallocated segments end in megabytes of
/// zeros.
pub(crate) fn without_zeros_behind(mut bytes: &[u8]) -> &[u8] {
    while let Some((before, block)) = bytes.split_last_chunk::<256>() {
        if !is_zero(block) {
            break;
        }
        bytes = before;
    }
    let end = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    bytes.get(..end).unwrap_or_default()
}
