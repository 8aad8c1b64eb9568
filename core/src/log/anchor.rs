//! Anchors: two small files that say which segments and which snapshot there must be.
//!
//! Invariant: an anchor never says more than what was on stable media when it was written. Without one, a lost newest
//! segment would look like a store that simply ends earlier. Rules F-8 and F-9.

use alloc::format;

use super::{
    fields::{array, put, u32_at, u64_at, wide},
    frame::FRAME_ALIGNMENT,
    names::ANCHOR_NAMES,
    segment::{FORMAT_VERSION, SEGMENT_HEADER_BYTES},
};
use crate::{
    Error, Result, StoreId,
    limits::SEQ_MAX,
    planted::{self, Planted},
};

/// Bytes of an anchor file.
pub const ANCHOR_BYTES: usize = 96;

const MAGIC: [u8; 8] = *b"foldbanc";

/// Offsets of the fields. Normative text: `docs/format.md`, rule F-8.
mod at {
    pub(super) const MAGIC: usize = 0;
    pub(super) const VERSION: usize = 8;
    pub(super) const FEATURES: usize = 12;
    pub(super) const STORE: usize = 16;
    pub(super) const COUNTER: usize = 32;
    pub(super) const NEWEST_SEGMENT: usize = 40;
    pub(super) const OLDEST_SEGMENT: usize = 48;
    pub(super) const NEWEST_SNAPSHOT: usize = 56;
    pub(super) const PROVEN_SEQ: usize = 64;
    pub(super) const END_OFFSET: usize = 72;
    pub(super) const END_CHECKSUM: usize = 80;
    pub(super) const RESERVED: usize = 84;
    pub(super) const CHECKSUM: usize = 92;
}
const _: () = assert!(at::CHECKSUM + 4 == ANCHOR_BYTES);

/// One of the two anchor files. They are written in turn, so that a torn write leaves the other one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AnchorSlot {
    /// `anchor-a`
    A,
    /// `anchor-b`
    B,
}

impl AnchorSlot {
    /// Both, in the order of their names.
    pub const BOTH: [AnchorSlot; 2] = [AnchorSlot::A, AnchorSlot::B];

    /// The name of the file.
    pub const fn name(self) -> &'static str {
        match self {
            AnchorSlot::A => ANCHOR_NAMES[0],
            AnchorSlot::B => ANCHOR_NAMES[1],
        }
    }

    /// Its place in [`AnchorSlot::BOTH`].
    pub(crate) const fn index(self) -> usize {
        match self {
            AnchorSlot::A => 0,
            AnchorSlot::B => 1,
        }
    }

    /// The other one: where the next anchor goes when the newest is here.
    pub const fn other(self) -> Self {
        match self {
            AnchorSlot::A => AnchorSlot::B,
            AnchorSlot::B => AnchorSlot::A,
        }
    }
}

/// What there must be in a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Anchor {
    /// Counts the anchors of a store, from 1. The valid one with the higher counter holds.
    pub counter: u64,
    /// The store.
    pub store: StoreId,
    /// The newest segment. There may be one newer segment, made just before a crash, but this one must be there.
    pub newest_segment: u64,
    /// The oldest segment that is needed. Older ones that are still, or again, there are garbage.
    pub oldest_segment: u64,
    /// The newest snapshot; generations begin at 1.
    pub newest_snapshot: Option<u64>,
    /// All commits up to this seq were on stable media when the anchor was written; 0 for none.
    pub proven_seq: u64,
    /// Where the newest segment ended when the anchor was written, if all of it was on stable media and nothing was on its
    /// way: at a clean close, and when the store is idle.
    pub end: Option<LogEnd>,
}

/// Where a segment ends: behind its last frame, whatever that is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogEnd {
    /// Offset behind the frame.
    pub offset: u64,
    /// Checksum of the frame; 0 where there is none.
    pub crc: u32,
}

impl Anchor {
    /// The stored form.
    pub fn encode(&self) -> [u8; ANCHOR_BYTES] {
        let mut bytes = [0; ANCHOR_BYTES];
        put::<{ at::MAGIC }, _, _>(&mut bytes, MAGIC);
        put::<{ at::VERSION }, _, _>(&mut bytes, FORMAT_VERSION.to_le_bytes());
        put::<{ at::STORE }, _, _>(&mut bytes, self.store.to_bytes());
        put::<{ at::COUNTER }, _, _>(&mut bytes, self.counter.to_le_bytes());
        put::<{ at::NEWEST_SEGMENT }, _, _>(&mut bytes, self.newest_segment.to_le_bytes());
        put::<{ at::OLDEST_SEGMENT }, _, _>(&mut bytes, self.oldest_segment.to_le_bytes());
        put::<{ at::NEWEST_SNAPSHOT }, _, _>(&mut bytes, self.newest_snapshot.unwrap_or(0).to_le_bytes());
        put::<{ at::PROVEN_SEQ }, _, _>(&mut bytes, self.proven_seq.to_le_bytes());
        let end = self.end.unwrap_or(LogEnd { offset: 0, crc: 0 });
        put::<{ at::END_OFFSET }, _, _>(&mut bytes, end.offset.to_le_bytes());
        put::<{ at::END_CHECKSUM }, _, _>(&mut bytes, end.crc.to_le_bytes());
        let checksum = crate::checksum::hash(&bytes[..at::CHECKSUM]);
        put::<{ at::CHECKSUM }, _, _>(&mut bytes, checksum.to_le_bytes());
        bytes
    }

    /// Reads the anchor in `bytes`, which are the whole content of `file`.
    ///
    /// `Ok(None)` where there is none: too few bytes, zeros, or a checksum that does not hold, as a torn write leaves it.
    /// Fails with [`Error::Newer`] for a newer format version or an unknown feature, and with [`Error::Corrupt`] where an
    /// anchor that was written whole breaks a rule.
    pub fn decode(file: &str, bytes: &[u8]) -> Result<Option<Self>> {
        let Some(bytes) = bytes.first_chunk::<ANCHOR_BYTES>() else { return Ok(None) };
        let checksum = crate::checksum::hash(&bytes[..at::CHECKSUM]);
        let holds = u32_at::<{ at::CHECKSUM }, _>(bytes) == checksum || planted::active(Planted::AnchorChecksumSkipped);
        if !holds || array::<{ at::MAGIC }, _, _>(bytes) != MAGIC {
            return Ok(None);
        }
        let newer = |what, found, supported: u32| {
            Err(Error::Newer { file: file.into(), what, found: u64::from(found), supported: u64::from(supported) })
        };
        let version = u32_at::<{ at::VERSION }, _>(bytes);
        if version > FORMAT_VERSION {
            return newer("anchor format version", version, FORMAT_VERSION);
        }
        let features = u32_at::<{ at::FEATURES }, _>(bytes);
        if features != 0 {
            return newer("anchor feature flags", features, 0);
        }
        let anchor = Self::fields(bytes);
        anchor.check(file, version, bytes).map(|()| Some(anchor))
    }

    fn fields(bytes: &[u8; ANCHOR_BYTES]) -> Self {
        Self {
            counter: u64_at::<{ at::COUNTER }, _>(bytes),
            store: StoreId::from_bytes(array::<{ at::STORE }, _, _>(bytes)),
            newest_segment: u64_at::<{ at::NEWEST_SEGMENT }, _>(bytes),
            oldest_segment: u64_at::<{ at::OLDEST_SEGMENT }, _>(bytes),
            newest_snapshot: Some(u64_at::<{ at::NEWEST_SNAPSHOT }, _>(bytes)).filter(|generation| *generation != 0),
            proven_seq: u64_at::<{ at::PROVEN_SEQ }, _>(bytes),
            end: Some(LogEnd {
                offset: u64_at::<{ at::END_OFFSET }, _>(bytes),
                crc: u32_at::<{ at::END_CHECKSUM }, _>(bytes),
            })
            .filter(|end| end.offset != 0),
        }
    }

    fn check(&self, file: &str, version: u32, bytes: &[u8; ANCHOR_BYTES]) -> Result<()> {
        let corrupt =
            |offset: usize, what| Err(Error::Corrupt { file: file.into(), offset: wide(offset), rule: "F-8", what });
        if version == 0 {
            return corrupt(at::VERSION, "format version 0 does not exist".into());
        }
        if bytes[at::RESERVED..at::CHECKSUM].iter().any(|byte| *byte != 0) {
            return corrupt(at::RESERVED, "reserved bytes are not zero".into());
        }
        if self.counter == 0 || self.counter == u64::MAX {
            return corrupt(at::COUNTER, format!("counter {} is out of range", self.counter));
        }
        if self.oldest_segment == 0 || self.oldest_segment > self.newest_segment || self.newest_segment == u64::MAX {
            let what = format!("segments {} to {} are no range", self.oldest_segment, self.newest_segment);
            return corrupt(at::NEWEST_SEGMENT, what);
        }
        if self.newest_snapshot == Some(u64::MAX) {
            return corrupt(at::NEWEST_SNAPSHOT, "the snapshot's generation is out of range".into());
        }
        if self.proven_seq > SEQ_MAX {
            return corrupt(at::PROVEN_SEQ, format!("proven seq {} is out of range", self.proven_seq));
        }
        let is_place = |end: &LogEnd| end.offset >= SEGMENT_HEADER_BYTES && end.offset.is_multiple_of(FRAME_ALIGNMENT);
        let has_checksum = bytes[at::END_CHECKSUM..at::RESERVED].iter().any(|byte| *byte != 0);
        if !self.end.as_ref().map_or(!has_checksum, is_place) {
            let offset = self.end.map_or(0, |end| end.offset);
            return corrupt(at::END_OFFSET, format!("no frame ends at offset {offset}"));
        }
        Ok(())
    }
}
