//! The header of a segment: what the segment is, and how much of its predecessor counts.
//!
//! Invariant: a header is complete and covered by its own checksum, or it is no header at all. What it says about the
//! predecessor is what makes a missing, foreign, duplicated or cut segment noticeable, and what makes the cut of a torn
//! tail durable without truncating anything. Rules F-4 to F-7.

use alloc::format;

use super::{
    fields::{array, put, u32_at, u64_at},
    frame::FRAME_ALIGNMENT,
};
use crate::{
    Error, Result, StoreId,
    limits::SEQ_MAX,
    planted::{self, Planted},
};

/// Bytes of a segment header; the first frame begins behind it. Less than the smallest sector, so that a header is
/// written in one piece on every disk that keeps sectors whole.
pub const SEGMENT_HEADER_BYTES: u64 = 128;
const HEADER_BYTES: usize = 128;

/// Version of the format that this program writes, and the highest that it reads. Rule F-5.
pub const FORMAT_VERSION: u32 = 1;

const MAGIC: [u8; 8] = *b"foldblog";

/// Offsets of the fields. Normative text: `docs/format.md`, rule F-4.
mod at {
    pub(super) const MAGIC: usize = 0;
    pub(super) const VERSION: usize = 8;
    pub(super) const FEATURES: usize = 12;
    pub(super) const STORE: usize = 16;
    pub(super) const SEGMENT: usize = 32;
    pub(super) const EPOCH: usize = 40;
    pub(super) const SALT: usize = 48;
    pub(super) const FIRST_SEQ: usize = 64;
    pub(super) const PREVIOUS_SEGMENT: usize = 72;
    pub(super) const PREVIOUS_VALID_LEN: usize = 80;
    pub(super) const PREVIOUS_LAST_SEQ: usize = 88;
    pub(super) const PREVIOUS_LAST_CRC: usize = 96;
    pub(super) const RESERVED: usize = 100;
    pub(super) const CHECKSUM: usize = 124;
}
const _: () = assert!(at::CHECKSUM + 4 == HEADER_BYTES && HEADER_BYTES as u64 == SEGMENT_HEADER_BYTES);

/// What the first bytes of a segment say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentHeader {
    /// The store that the segment belongs to.
    pub store: StoreId,
    /// Its number, the same as in its name. From 1 on, never reused.
    pub segment: u64,
    /// Which opening of the store made it: larger than that of every earlier opening that wrote anything.
    pub epoch: u64,
    /// Random bytes that every checksum of this segment depends on, so that frames of another life of the same disk
    /// blocks, or bytes that a user stored as a value, do not pass as frames.
    pub salt: [u8; 16],
    /// Seq of the first transaction that goes into the segment.
    pub first_seq: u64,
    /// The segment before it; `None` for the first of a store.
    pub previous: Option<Previous>,
}

/// What a segment's header says about the segment before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Previous {
    /// Its number.
    pub segment: u64,
    /// How many of its bytes count: the end of its last frame that counts. Bytes behind it are no part of the log.
    pub valid_len: u64,
    /// Seq of the last transaction up to there.
    pub last_seq: u64,
    /// Checksum of the last frame up to there; 0 where there is none.
    pub last_crc: u32,
}

impl SegmentHeader {
    /// The stored form.
    pub fn encode(&self) -> [u8; HEADER_BYTES] {
        let none = Previous { segment: 0, valid_len: 0, last_seq: 0, last_crc: 0 };
        let previous = self.previous.unwrap_or(none);
        let mut bytes = [0; HEADER_BYTES];
        put::<{ at::MAGIC }, _, _>(&mut bytes, MAGIC);
        put::<{ at::VERSION }, _, _>(&mut bytes, FORMAT_VERSION.to_le_bytes());
        put::<{ at::STORE }, _, _>(&mut bytes, self.store.to_bytes());
        put::<{ at::SEGMENT }, _, _>(&mut bytes, self.segment.to_le_bytes());
        put::<{ at::EPOCH }, _, _>(&mut bytes, self.epoch.to_le_bytes());
        put::<{ at::SALT }, _, _>(&mut bytes, self.salt);
        put::<{ at::FIRST_SEQ }, _, _>(&mut bytes, self.first_seq.to_le_bytes());
        put::<{ at::PREVIOUS_SEGMENT }, _, _>(&mut bytes, previous.segment.to_le_bytes());
        put::<{ at::PREVIOUS_VALID_LEN }, _, _>(&mut bytes, previous.valid_len.to_le_bytes());
        put::<{ at::PREVIOUS_LAST_SEQ }, _, _>(&mut bytes, previous.last_seq.to_le_bytes());
        put::<{ at::PREVIOUS_LAST_CRC }, _, _>(&mut bytes, previous.last_crc.to_le_bytes());
        let checksum = crate::checksum::hash(&bytes[..at::CHECKSUM]);
        put::<{ at::CHECKSUM }, _, _>(&mut bytes, checksum.to_le_bytes());
        bytes
    }

    /// Reads the header at the start of `bytes`, which are the first bytes of `file`.
    ///
    /// `Ok(None)` where there is no header: too few bytes, zeros, or a checksum that does not hold. Whether that is an
    /// interrupted creation or damage is for recovery to decide (rule F-30). Fails with [`Error::Newer`] for a newer
    /// format version or an unknown feature, and with [`Error::Corrupt`] where a header that was written whole breaks a
    /// rule.
    pub fn decode(file: &str, bytes: &[u8]) -> Result<Option<Self>> {
        let Some(header) = bytes.first_chunk::<HEADER_BYTES>() else { return Ok(None) };
        let checksum = crate::checksum::hash(&header[..at::CHECKSUM]);
        let holds =
            u32_at::<{ at::CHECKSUM }, _>(header) == checksum || planted::active(Planted::SegmentChecksumSkipped);
        if !holds || array::<{ at::MAGIC }, _, _>(header) != MAGIC {
            return Ok(None);
        }
        let newer = |what, found, supported: u32| {
            Err(Error::Newer { file: file.into(), what, found: u64::from(found), supported: u64::from(supported) })
        };
        let version = u32_at::<{ at::VERSION }, _>(header);
        if version > FORMAT_VERSION {
            return newer("segment format version", version, FORMAT_VERSION);
        }
        let features = u32_at::<{ at::FEATURES }, _>(header);
        if features != 0 {
            return newer("segment feature flags", features, 0);
        }
        let decoded = Self::fields(header);
        decoded.check(file, version, header).map(|()| Some(decoded))
    }

    fn fields(bytes: &[u8; HEADER_BYTES]) -> Self {
        let previous = Previous {
            segment: u64_at::<{ at::PREVIOUS_SEGMENT }, _>(bytes),
            valid_len: u64_at::<{ at::PREVIOUS_VALID_LEN }, _>(bytes),
            last_seq: u64_at::<{ at::PREVIOUS_LAST_SEQ }, _>(bytes),
            last_crc: u32_at::<{ at::PREVIOUS_LAST_CRC }, _>(bytes),
        };
        Self {
            store: StoreId::from_bytes(array::<{ at::STORE }, _, _>(bytes)),
            segment: u64_at::<{ at::SEGMENT }, _>(bytes),
            epoch: u64_at::<{ at::EPOCH }, _>(bytes),
            salt: array::<{ at::SALT }, _, _>(bytes),
            first_seq: u64_at::<{ at::FIRST_SEQ }, _>(bytes),
            previous: (previous.segment != 0).then_some(previous),
        }
    }

    /// What must hold of every header by itself. A header whose checksum holds and that breaks this was made by a
    /// program with a defect, or by somebody who wants to do harm.
    fn check(&self, file: &str, version: u32, bytes: &[u8; HEADER_BYTES]) -> Result<()> {
        let corrupt = |rule, offset: usize, what| {
            Err(Error::Corrupt { file: file.into(), offset: super::fields::wide(offset), rule, what })
        };
        if version == 0 {
            return corrupt("F-5", at::VERSION, "format version 0 does not exist".into());
        }
        if bytes[at::RESERVED..at::CHECKSUM].iter().any(|byte| *byte != 0) {
            return corrupt("F-4", at::RESERVED, "reserved bytes are not zero".into());
        }
        if self.segment == 0 || self.segment == u64::MAX {
            return corrupt("F-6", at::SEGMENT, format!("segment number {} does not exist", self.segment));
        }
        if self.epoch == u64::MAX {
            return corrupt("F-6", at::EPOCH, "there is no opening behind this epoch".into());
        }
        if self.first_seq == 0 || self.first_seq > SEQ_MAX {
            return corrupt("F-7", at::FIRST_SEQ, format!("first seq {} is out of range", self.first_seq));
        }
        let Some(previous) = self.previous else {
            let none = bytes[at::PREVIOUS_VALID_LEN..at::RESERVED].iter().all(|byte| *byte == 0);
            if none && self.first_seq == 1 {
                return Ok(());
            }
            return corrupt("F-7", at::PREVIOUS_SEGMENT, "a segment without predecessor begins with seq 1".into());
        };
        if previous.segment >= self.segment {
            let what = format!("segment {} names segment {} as its predecessor", self.segment, previous.segment);
            return corrupt("F-7", at::PREVIOUS_SEGMENT, what);
        }
        if previous.valid_len < SEGMENT_HEADER_BYTES || !previous.valid_len.is_multiple_of(FRAME_ALIGNMENT) {
            let what = format!("valid length {} of the predecessor is not the end of a frame", previous.valid_len);
            return corrupt("F-7", at::PREVIOUS_VALID_LEN, what);
        }
        if previous.last_seq.checked_add(1) != Some(self.first_seq) {
            let what = format!("first seq {} does not follow seq {}", self.first_seq, previous.last_seq);
            return corrupt("F-7", at::FIRST_SEQ, what);
        }
        Ok(())
    }
}
