//! Anchors: two small files that say which segments and which snapshot there must be.
//!
//! Invariant: an anchor never says more than what was on stable media when it was written. Without one, a lost newest
//! segment would look like a store that simply ends earlier. Rules F-8 and F-9.

use alloc::format;

use super::{
    fields::{array, put, u32_at, u64_at, wide},
    names::ANCHOR_NAMES,
    segment::FORMAT_VERSION,
};
use crate::{Error, Result, StoreId, limits::SEQ_MAX};

/// Bytes of an anchor file.
pub const ANCHOR_BYTES: usize = 96;

const MAGIC: [u8; 8] = *b"foldbanc";

/// Offsets of the fields. Normative text: `docs/format.md`, rule F-8.
mod at {
    use core::ops::Range;

    pub(super) const MAGIC: Range<usize> = 0..8;
    pub(super) const VERSION: Range<usize> = 8..12;
    pub(super) const FEATURES: Range<usize> = 12..16;
    pub(super) const STORE: Range<usize> = 16..32;
    pub(super) const COUNTER: Range<usize> = 32..40;
    pub(super) const NEWEST_SEGMENT: Range<usize> = 40..48;
    pub(super) const OLDEST_SEGMENT: Range<usize> = 48..56;
    pub(super) const NEWEST_SNAPSHOT: Range<usize> = 56..64;
    pub(super) const PROVEN_SEQ: Range<usize> = 64..72;
    pub(super) const RESERVED: Range<usize> = 72..92;
    pub(super) const CHECKSUM: Range<usize> = 92..96;
}
const _: () = assert!(at::CHECKSUM.end == ANCHOR_BYTES);

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
}

impl Anchor {
    /// The stored form.
    pub fn encode(&self) -> [u8; ANCHOR_BYTES] {
        let mut bytes = [0; ANCHOR_BYTES];
        put(&mut bytes, at::MAGIC, MAGIC);
        put(&mut bytes, at::VERSION, FORMAT_VERSION.to_le_bytes());
        put(&mut bytes, at::STORE, self.store.to_bytes());
        put(&mut bytes, at::COUNTER, self.counter.to_le_bytes());
        put(&mut bytes, at::NEWEST_SEGMENT, self.newest_segment.to_le_bytes());
        put(&mut bytes, at::OLDEST_SEGMENT, self.oldest_segment.to_le_bytes());
        put(&mut bytes, at::NEWEST_SNAPSHOT, self.newest_snapshot.unwrap_or(0).to_le_bytes());
        put(&mut bytes, at::PROVEN_SEQ, self.proven_seq.to_le_bytes());
        let checksum = crc32fast::hash(&bytes[..at::CHECKSUM.start]);
        put(&mut bytes, at::CHECKSUM, checksum.to_le_bytes());
        bytes
    }

    /// Reads the anchor in `bytes`, which are the whole content of `file`.
    ///
    /// `Ok(None)` where there is none: too few bytes, zeros, or a checksum that does not hold, as a torn write leaves it.
    /// Fails with [`Error::Newer`] for a newer format version or an unknown feature, and with [`Error::Corrupt`] where an
    /// anchor that was written whole breaks a rule.
    pub fn decode(file: &str, bytes: &[u8]) -> Result<Option<Self>> {
        let Some(bytes) = bytes.first_chunk::<ANCHOR_BYTES>() else { return Ok(None) };
        let checksum = crc32fast::hash(&bytes[..at::CHECKSUM.start]);
        if u32_at(bytes, at::CHECKSUM) != Some(checksum) || array(bytes, at::MAGIC) != Some(MAGIC) {
            return Ok(None);
        }
        let newer = |what, found, supported: u32| {
            Err(Error::Newer { file: file.into(), what, found: u64::from(found), supported: u64::from(supported) })
        };
        let version = u32_at(bytes, at::VERSION).unwrap_or(0);
        if version > FORMAT_VERSION {
            return newer("anchor format version", version, FORMAT_VERSION);
        }
        let features = u32_at(bytes, at::FEATURES).unwrap_or(0);
        if features != 0 {
            return newer("anchor feature flags", features, 0);
        }
        // The ranges are constants inside the array, so that nothing here can be `None`.
        let Some(anchor) = Self::fields(bytes) else { return Ok(None) };
        anchor.check(file, version, bytes).map(|()| Some(anchor))
    }

    fn fields(bytes: &[u8; ANCHOR_BYTES]) -> Option<Self> {
        Some(Self {
            counter: u64_at(bytes, at::COUNTER)?,
            store: StoreId::from_bytes(array(bytes, at::STORE)?),
            newest_segment: u64_at(bytes, at::NEWEST_SEGMENT)?,
            oldest_segment: u64_at(bytes, at::OLDEST_SEGMENT)?,
            newest_snapshot: Some(u64_at(bytes, at::NEWEST_SNAPSHOT)?).filter(|generation| *generation != 0),
            proven_seq: u64_at(bytes, at::PROVEN_SEQ)?,
        })
    }

    fn check(&self, file: &str, version: u32, bytes: &[u8; ANCHOR_BYTES]) -> Result<()> {
        let corrupt =
            |offset: usize, what| Err(Error::Corrupt { file: file.into(), offset: wide(offset), rule: "F-8", what });
        if version == 0 {
            return corrupt(at::VERSION.start, "format version 0 does not exist".into());
        }
        if bytes[at::RESERVED].iter().any(|byte| *byte != 0) {
            return corrupt(at::RESERVED.start, "reserved bytes are not zero".into());
        }
        if self.counter == 0 || self.counter == u64::MAX {
            return corrupt(at::COUNTER.start, format!("counter {} is out of range", self.counter));
        }
        if self.oldest_segment == 0 || self.oldest_segment > self.newest_segment || self.newest_segment == u64::MAX {
            let what = format!("segments {} to {} are no range", self.oldest_segment, self.newest_segment);
            return corrupt(at::NEWEST_SEGMENT.start, what);
        }
        if self.newest_snapshot == Some(u64::MAX) {
            return corrupt(at::NEWEST_SNAPSHOT.start, "the snapshot's generation is out of range".into());
        }
        if self.proven_seq > SEQ_MAX {
            return corrupt(at::PROVEN_SEQ.start, format!("proven seq {} is out of range", self.proven_seq));
        }
        Ok(())
    }
}
