//! Places in the log: [`LogPosition`] of a frame and [`LogPointer`] to the bytes of a value inside a frame.

use super::{
    fields::{put, u32_at, u64_at},
    frame::FRAME_HEADER_BYTES,
};
use crate::{Error, Result};

/// Where a frame begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogPosition {
    /// Number of the segment.
    pub segment: u64,
    /// Offset of the frame's first byte in the segment's file; always a multiple of 8.
    pub offset: u64,
}

impl LogPosition {
    /// Offset in the segment of a byte of this frame's payload, as in [`Op::body_at`](super::Op::body_at).
    #[inline]
    pub const fn payload_offset(&self, at: u64) -> u64 {
        self.offset.saturating_add(FRAME_HEADER_BYTES).saturating_add(at)
    }
}

/// Bytes of a [`LogPointer`] as it is stored in a tree entry.
pub const LOG_POINTER_BYTES: usize = 24;

/// The bytes of a value that stayed in the log: where, how many, and their checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LogPointer {
    /// Number of the segment.
    pub segment: u64,
    /// Offset of the value's first byte in the segment's file.
    pub offset: u64,
    /// How many bytes.
    pub len: u32,
    /// Plain CRC-32 of those bytes, so that one value can be read and checked without its frame.
    pub crc: u32,
}

impl LogPointer {
    /// The stored form: segment, offset, length, checksum, little-endian.
    pub fn encode(&self) -> [u8; LOG_POINTER_BYTES] {
        let mut bytes = [0; LOG_POINTER_BYTES];
        put::<0, _, _>(&mut bytes, self.segment.to_le_bytes());
        put::<8, _, _>(&mut bytes, self.offset.to_le_bytes());
        put::<16, _, _>(&mut bytes, self.len.to_le_bytes());
        put::<20, _, _>(&mut bytes, self.crc.to_le_bytes());
        bytes
    }

    /// Reads the stored form. Fails with [`Error::Corrupt`] where it does not have 24 bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let bytes: &[u8; LOG_POINTER_BYTES] = bytes.try_into().map_err(|_| Error::Corrupt {
            file: "a tree entry".into(),
            offset: 0,
            rule: "F-32",
            what: alloc::format!("a pointer into the log has {LOG_POINTER_BYTES} bytes, this one {}", bytes.len()),
        })?;
        Ok(Self {
            segment: u64_at::<0, _>(bytes),
            offset: u64_at::<8, _>(bytes),
            len: u32_at::<16, _>(bytes),
            crc: u32_at::<20, _>(bytes),
        })
    }
}
