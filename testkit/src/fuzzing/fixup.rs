//! [`Fixup`]: checksums put right after a mutation, by `docs/format.md` alone.
//!
//! A fuzzer that changes a byte breaks a checksum, and would test nothing but checksums. With them recomputed, the code
//! behind is reached with fields that nobody of ours wrote. Invariant: nothing here calls the store's own encoders, so that
//! a mistake in those does not cancel out; a change touches checksums and padding only.

use std::{collections::BTreeMap, ops::Range};

use foldb_core::log::{ANCHOR_NAMES, parse_segment_name, parse_snapshot_name};

/// Segment header (F-4).
const SEGMENT_HEADER: usize = 128;
const SALT: Range<usize> = 48..64;
const PREVIOUS_SEGMENT: usize = 72;
const PREVIOUS_VALID_LEN: usize = 80;
const PREVIOUS_LAST_CRC: usize = 96;
const SEGMENT_CHECKSUM: usize = 124;
/// Anchor (F-8).
const ANCHOR_CHECKSUM: usize = 92;
/// Frame (F-10).
const PAYLOAD_MAX: usize = 48 << 20;
/// Frames inside of a payload that are put right: enough to mislead a scan, few enough to stay linear.
const INNER_FRAMES_MAX: usize = 32;
/// Snapshot (F-41, F-42): the front, and the header of a section.
const SNAPSHOT_FRONT: usize = 48;
const SECTION_HEADER: usize = 9;

/// Which checksums are put right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fixup {
    /// Those of anchors and segment headers.
    pub headers: bool,
    /// Those of frames.
    pub frames: bool,
    /// Those of frame-like bytes inside of payloads: what somebody stores who knows the salt.
    pub inner_frames: bool,
    /// What a header says about the last checksum of its predecessor.
    pub links: bool,
    /// Those of a snapshot's sections, its end and the file.
    pub snapshots: bool,
    /// Those of leaf pages, in the leaf index.
    pub pages: bool,
}

impl Fixup {
    /// Everything.
    pub const ALL: Self =
        Self { headers: true, frames: true, inner_frames: false, links: true, snapshots: true, pages: true };
    /// Nothing: plain files.
    pub const NONE: Self =
        Self { headers: false, frames: false, inner_frames: false, links: false, snapshots: false, pages: false };

    /// From the first byte of an input.
    pub fn from_byte(byte: u8) -> Self {
        let bit = |index: u32| byte >> index & 1 == 1;
        Self { headers: bit(0), frames: bit(1), links: bit(2), snapshots: bit(3), pages: bit(4), inner_frames: bit(5) }
    }

    /// The byte that [`Self::from_byte`] reads.
    pub fn to_byte(self) -> u8 {
        let bits = [self.headers, self.frames, self.links, self.snapshots, self.pages, self.inner_frames];
        bits.iter().rev().fold(0, |byte, bit| byte << 1 | u8::from(*bit))
    }

    /// Puts right what was asked for, in the files of a store by name.
    pub fn apply(self, files: &mut BTreeMap<String, Vec<u8>>) {
        for (name, bytes) in files.iter_mut() {
            if let Some(number) = parse_segment_name(name) {
                self.segment(bytes, number);
            } else if parse_snapshot_name(name).is_some() {
                self.snapshot(bytes);
            } else if self.headers && ANCHOR_NAMES.contains(&name.as_str()) {
                put_checksum(bytes, ANCHOR_CHECKSUM);
            }
        }
        if self.links {
            link(files);
        }
        if self.headers {
            for (name, bytes) in files.iter_mut() {
                if parse_segment_name(name).is_some() {
                    put_checksum(bytes, SEGMENT_CHECKSUM);
                }
            }
        }
    }

    /// The frames of a segment.
    pub fn segment(self, bytes: &mut [u8], number: u64) {
        let Some(salt) = bytes.get(SALT).map(<[u8]>::to_vec) else { return };
        let mut seed = crc32fast::Hasher::new();
        seed.update(&salt);
        seed.update(&number.to_le_bytes());
        let (mut at, mut behind_damage) = (SEGMENT_HEADER, false);
        while self.frames && at + 8 <= bytes.len() {
            let found = frame_len(bytes, at).filter(|total| *total <= bytes.len() - at);
            let Some(total) = found.filter(|_| !behind_damage || is_known(bytes, at)) else {
                // Frames begin at multiples of eight, but not every eight bytes are one.
                (at, behind_damage) = (at + 8, true);
                continue;
            };
            if self.inner_frames {
                self.inner(bytes, at, total, &seed);
            }
            seal(bytes, at, total, &seed);
            at += total;
        }
    }

    fn inner(self, bytes: &mut [u8], at: usize, total: usize, seed: &crc32fast::Hasher) {
        let end = at + total - 4;
        let places = (at + 8..end).step_by(8);
        let found = places.filter_map(|place| {
            let len = frame_len(bytes, place).filter(|total| is_known(bytes, place) && place + total <= end);
            len.map(|total| (place, total))
        });
        for (place, total) in found.take(INNER_FRAMES_MAX).collect::<Vec<_>>() {
            seal(bytes, place, total, seed);
        }
    }

    /// A snapshot's pages, sections, end and file.
    pub fn snapshot(self, bytes: &mut [u8]) {
        let Some(sections) = sections(bytes) else { return };
        if self.pages {
            fix_pages(bytes, &sections);
        }
        if self.snapshots {
            fix_sections(bytes, &sections);
        }
    }
}

fn put(bytes: &mut [u8], at: usize, word: u32) {
    if let Some(field) = bytes.get_mut(at..).and_then(|rest| rest.first_chunk_mut()) {
        *field = word.to_le_bytes();
    }
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// Stores the checksum of everything before `at` there.
fn put_checksum(bytes: &mut [u8], at: usize) {
    if bytes.len() >= at + 4 {
        let checksum = crc32fast::hash(&bytes[..at]);
        put(bytes, at, checksum);
    }
}

/// The whole length of the frame at `at`, by its own word.
fn frame_len(bytes: &[u8], at: usize) -> Option<usize> {
    let len = u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?);
    let len = usize::try_from(len).ok().filter(|len| (1..=PAYLOAD_MAX).contains(len))?;
    Some((6 + len + 4).next_multiple_of(8))
}

/// Whether there are a type and a version that exist.
fn is_known(bytes: &[u8], at: usize) -> bool {
    bytes.get(at + 5) == Some(&1) && matches!(bytes.get(at + 4), Some(1..=4))
}

/// Zeroes the padding of a frame and stores its checksum (F-11).
fn seal(bytes: &mut [u8], at: usize, total: usize, seed: &crc32fast::Hasher) {
    let Some(frame) = bytes.get_mut(at..at + total) else { return };
    let len = u32::from_le_bytes([frame[0], frame[1], frame[2], frame[3]]);
    let payload_end = 6 + usize::try_from(len).unwrap_or(usize::MAX);
    if let Some(padding) = frame.get_mut(payload_end..total - 4) {
        padding.fill(0);
    }
    let mut hasher = seed.clone();
    hasher.update(&u64::try_from(at).unwrap_or(u64::MAX).to_le_bytes());
    hasher.update(&frame[..total - 4]);
    put(frame, total - 4, hasher.finalize());
}

/// The last checksum of each predecessor (F-7), where its valid length is inside of it.
fn link(files: &mut BTreeMap<String, Vec<u8>>) {
    let lasts: BTreeMap<(u64, u64), u32> = files
        .values()
        .filter_map(|bytes| {
            let (segment, valid_len) = (u64_at(bytes, PREVIOUS_SEGMENT)?, u64_at(bytes, PREVIOUS_VALID_LEN)?);
            let previous = files.get(&foldb_core::log::segment_name(segment))?;
            let end = usize::try_from(valid_len).ok()?;
            let crc = match end {
                SEGMENT_HEADER => 0,
                _ => u32::from_le_bytes(*previous.get(..end)?.last_chunk()?),
            };
            Some(((segment, valid_len), crc))
        })
        .collect();
    for (name, bytes) in files.iter_mut() {
        let fields = (u64_at(bytes, PREVIOUS_SEGMENT), u64_at(bytes, PREVIOUS_VALID_LEN));
        if let (Some(_), (Some(segment), Some(valid_len))) = (parse_segment_name(name), fields)
            && let Some(crc) = lasts.get(&(segment, valid_len))
        {
            put(bytes, PREVIOUS_LAST_CRC, *crc);
        }
    }
}

/// Where the data of the six sections is, their headers in front of it (F-42). `None` where they do not fit.
pub(super) fn sections(bytes: &[u8]) -> Option<[Range<usize>; 6]> {
    let mut sections = [const { 0..0 }; 6];
    let mut at = SNAPSHOT_FRONT - SECTION_HEADER;
    for section in &mut sections {
        let len = usize::try_from(u64_at(bytes, at + 1)?).ok()?;
        let start = at + SECTION_HEADER;
        *section = start..start.checked_add(len).filter(|end| *end <= bytes.len())?;
        at = section.end;
    }
    (at + 4 == bytes.len()).then_some(sections)
}

/// A number of variable length at `at` (F-1), and where it ends.
fn varint(bytes: &[u8], mut at: usize) -> Option<(u64, usize)> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = *bytes.get(at)?;
        at += 1;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some((value, at));
        }
    }
    None
}

/// The checksum of each page in the leaf index (F-47).
fn fix_pages(bytes: &mut [u8], sections: &[Range<usize>; 6]) {
    let [pages, _, index, ..] = sections;
    let (mut at, mut page) = (index.start, pages.start);
    while at + 4 < index.end {
        let Some((entries, next)) = varint(bytes, at) else { return };
        if entries == 0 {
            at = next;
            continue;
        }
        let Some((len, crc_at)) = varint(bytes, next) else { return };
        let end = usize::try_from(len).ok().and_then(|len| page.checked_add(len));
        let Some(checksum) = end.filter(|end| *end <= pages.end).map(|end| crc32fast::hash(&bytes[page..end])) else {
            return;
        };
        let Some((fence, next)) = varint(bytes, crc_at + 4) else { return };
        let Some(behind) = usize::try_from(fence).ok().and_then(|fence| next.checked_add(fence)) else { return };
        put(bytes, crc_at, checksum);
        (page, at) = (end.unwrap_or(page), behind);
    }
}

/// Sections, end and file (F-43, F-50).
fn fix_sections(bytes: &mut [u8], sections: &[Range<usize>; 6]) {
    let [pages, middle @ .., end] = sections;
    for section in middle {
        fix_section(bytes, section);
    }
    // The end says what the pages and all headers come to.
    if end.len() == 36 {
        let pages_checksum = crc32fast::hash(&bytes[pages.clone()]);
        put(bytes, end.start + 24, pages_checksum);
        let mut headers = crc32fast::Hasher::new();
        headers.update(&bytes[..SNAPSHOT_FRONT]);
        for section in middle.iter().chain([end]) {
            headers.update(&bytes[section.start - SECTION_HEADER..section.start]);
        }
        put(bytes, end.start + 28, headers.finalize());
    }
    fix_section(bytes, end);
    let whole = bytes.len() - 4;
    put_checksum(bytes, whole);
}

fn fix_section(bytes: &mut [u8], section: &Range<usize>) {
    if section.len() >= 4 {
        let data = section.start..section.end - 4;
        let checksum = crc32fast::hash(&bytes[data]);
        put(bytes, section.end - 4, checksum);
    }
}
