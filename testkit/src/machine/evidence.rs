//! [`Evidence`]: what the bytes of a store prove about what was durable, read without any of the store's own code.
//!
//! Invariant: this follows `docs/format.md` (F-4, F-8, F-10, F-11, F-16, F-20, F-41) and nothing else, so that a mistake in
//! the store's reader is not made twice.

use std::collections::BTreeMap;

use crate::crash::Image;

const SEGMENT_HEADER_BYTES: usize = 128;
const ANCHOR_BYTES: usize = 96;
const SNAPSHOT_HEADER_BYTES: usize = 48;

/// One frame of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Where it begins.
    pub begin: usize,
    /// Where it ends.
    pub end: usize,
    /// The seq of its transaction; of a mark frame, that of the last transaction before it.
    pub seq: u64,
    /// Everything up to this seq was durable when it was written.
    pub mark: u64,
}

/// The frames of a segment, and what its header says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Segment {
    /// Seq of the first transaction that goes into it.
    pub first_seq: u64,
    /// Its whole frames, up to the first place where there is none.
    pub frames: Vec<Frame>,
}

/// What the files of a store say.
#[derive(Clone, Debug, Default)]
pub struct Evidence {
    /// Segments with a header whose checksum holds, by name.
    pub segments: BTreeMap<String, Segment>,
    /// The proven seq of each anchor whose checksum holds, by name.
    pub anchors: BTreeMap<String, u64>,
    /// The seq of each snapshot that begins like one and that an anchor vouches for, by name.
    pub snapshots: BTreeMap<String, u64>,
}

impl Evidence {
    /// Reads all files of an image.
    pub fn of(image: &Image) -> Self {
        let mut evidence = Self::default();
        let mut named = 0;
        for name in image.names() {
            let bytes = image.bytes(name).unwrap_or_default();
            if name.starts_with("log-") {
                evidence.segments.extend(segment(&bytes).map(|segment| (name.into(), segment)));
            } else if name.starts_with("anchor-") {
                evidence.anchors.extend(anchor(&bytes).map(|proven| (name.into(), proven)));
                named = named.max(anchor(&bytes).and_then(|_| number(&bytes, 56)).unwrap_or(0));
            } else if name.starts_with("snap-") && bytes.starts_with(b"foldb-snap") {
                evidence.snapshots.extend(number(&bytes, 30).map(|seq| (name.into(), seq)));
            }
        }
        // A newer one than an anchor names was being written when its process ended: recovery does not look into it.
        let generation = |name: &str| name.strip_prefix("snap-").and_then(|digits| digits.parse::<u64>().ok());
        evidence.snapshots.retain(|name, _| generation(name).is_some_and(|generation| generation <= named));
        evidence
    }

    /// The highest seq that the damaged files still prove to have been durable: no reader can have a reason to end before.
    pub fn proven_by(&self, whole: &Image, damaged: &Image) -> u64 {
        let mut proven = 0;
        let mut prove = |seq: u64| proven = proven.max(seq);
        for (name, segment) in &self.segments {
            let (whole, damaged) = pair(whole, damaged, name);
            if same(&whole, &damaged, 0, SEGMENT_HEADER_BYTES) {
                prove(segment.first_seq.saturating_sub(1));
                for frame in segment.frames.iter().filter(|frame| same(&whole, &damaged, frame.begin, frame.end)) {
                    prove(frame.mark);
                }
            }
        }
        for (name, seq) in &self.anchors {
            let (whole, damaged) = pair(whole, damaged, name);
            if same(&whole, &damaged, 0, ANCHOR_BYTES) {
                prove(*seq);
            }
        }
        for (name, seq) in &self.snapshots {
            let (whole, damaged) = pair(whole, damaged, name);
            if whole == damaged {
                prove(*seq);
            }
        }
        proven
    }

    /// Whether the damage is to a frame, or to the header without which none of a segment's frames is one.
    pub fn frames_are_hit(&self, whole: &Image, damaged: &Image) -> bool {
        self.segments.iter().any(|(name, segment)| {
            let (whole, damaged) = pair(whole, damaged, name);
            let end = segment.frames.last().map_or(SEGMENT_HEADER_BYTES, |frame| frame.end);
            !same(&whole, &damaged, 0, end)
        })
    }

    /// All frames of all segments.
    pub fn frames(&self) -> impl Iterator<Item = (&str, Frame)> {
        self.segments.iter().flat_map(|(name, segment)| segment.frames.iter().map(move |frame| (name.as_str(), *frame)))
    }
}

/// Where the fixed header of a file of this name ends.
pub(super) fn header_bytes(name: &str) -> usize {
    match name.get(..4) {
        Some("log-") => SEGMENT_HEADER_BYTES,
        Some("snap") => SNAPSHOT_HEADER_BYTES,
        _ => ANCHOR_BYTES,
    }
}

fn pair(whole: &Image, damaged: &Image, name: &str) -> (Vec<u8>, Vec<u8>) {
    (whole.bytes(name).unwrap_or_default(), damaged.bytes(name).unwrap_or_default())
}

fn same(whole: &[u8], damaged: &[u8], begin: usize, end: usize) -> bool {
    whole.get(begin..end).is_some_and(|range| damaged.get(begin..end) == Some(range))
}

fn number(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

fn checksum(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn anchor(bytes: &[u8]) -> Option<u64> {
    let valid = bytes.starts_with(b"foldbanc") && crc32fast::hash(bytes.get(..92)?) == checksum(bytes, 92)?;
    number(bytes, 64).filter(|_| valid)
}

fn segment(bytes: &[u8]) -> Option<Segment> {
    let header = bytes.get(..124)?;
    if !header.starts_with(b"foldblog") || crc32fast::hash(header) != checksum(bytes, 124)? {
        return None;
    }
    let mut frames = Vec::new();
    let mut at = SEGMENT_HEADER_BYTES;
    while let Some(frame) = frame(bytes, &header[48..64], &header[32..40], at) {
        at = frame.end;
        frames.push(frame);
    }
    Some(Segment { first_seq: number(bytes, 64)?, frames })
}

fn frame(bytes: &[u8], salt: &[u8], segment: &[u8], begin: usize) -> Option<Frame> {
    let len = usize::try_from(checksum(bytes, begin)?).ok()?;
    let end = begin.checked_add(len.checked_add(10)?.checked_next_multiple_of(8)?)?;
    if len == 0 || end > bytes.len() {
        return None;
    }
    let mut crc = crc32fast::Hasher::new();
    for part in [salt, segment, &u64::try_from(begin).ok()?.to_le_bytes(), &bytes[begin..end - 4]] {
        crc.update(part);
    }
    let mut payload = bytes.get(begin + 6..begin + 6 + len)?;
    let (seq, below) = (varint(&mut payload)?, varint(&mut payload)?);
    (crc.finalize() == checksum(bytes, end - 4)?).then(|| Frame { begin, end, seq, mark: seq.saturating_sub(below) })
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let (mut value, mut shift) = (0, 0);
    loop {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f).checked_shl(shift)?;
        if byte & 0x80 == 0 {
            return Some(value);
        }
        shift += 7;
    }
}
