//! The scan for good frames behind a bad one.
//!
//! Invariant: it finds every frame that [`read_frame`](super::read_frame) would accept at a multiple of the alignment,
//! except inside a frame that it has found before, and its cost is linear in the size of the segment whatever the bytes
//! are. Rule F-24.

use super::{
    FRAME_ALIGNMENT, FRAME_VERSION, Frame, FrameSeal, FrameType,
    fields::wide,
    frame::{FRAME_HEADER_BYTES, is_zero, without_zeros_behind},
    frame_bytes,
    range_checksum::RangeChecksum,
};

/// How much is checksummed directly, as a multiple of what there is to scan, before prefix checksums are made. On bytes
/// that were not made to look like frames, all candidates together stay far below.
const DIRECT_FACTOR: u64 = 2;

/// A good frame that the scan found.
pub type Found<'a> = (u64, Frame<'a>);

/// Searches `bytes`, which are those of the segment from `offset` to the end of the file, for frames. `offset` must be a
/// multiple of 8.
///
/// Cost: one pass over the bytes, and a bounded amount of work for each place that looks like a frame. Memory: nothing,
/// or a sixteenth of the bytes where they were made to look like frames.
pub fn resync<'a>(bytes: &'a [u8], offset: u64, seal: &'a FrameSeal) -> Resync<'a> {
    // Where only zeros follow, no frame begins.
    let until = without_zeros_behind(bytes).len();
    Resync {
        bytes,
        until,
        offset,
        seal,
        at: 0,
        direct: wide(bytes.len()).saturating_mul(DIRECT_FACTOR),
        prefixes: None,
    }
}

/// The good frames behind a bad one, with their offsets; see [`resync`].
pub struct Resync<'a> {
    bytes: &'a [u8],
    /// Behind the last byte that is not zero.
    until: usize,
    offset: u64,
    seal: &'a FrameSeal,
    /// Where to look next, from the start of `bytes`.
    at: usize,
    /// How many bytes may still be checksummed directly.
    direct: u64,
    prefixes: Option<RangeChecksum<'a>>,
}

impl<'a> Iterator for Resync<'a> {
    type Item = Found<'a>;

    fn next(&mut self) -> Option<Found<'a>> {
        while self.at < self.until {
            let rest = self.bytes.get(self.at..)?;
            let head = rest.first_chunk::<8>()?;
            let found = candidate(head, wide(rest.len())).and_then(|(kind, total)| self.check(rest, kind, total));
            if let Some((frame, total)) = found {
                let offset = self.offset.saturating_add(wide(self.at));
                self.at += total;
                return Some((offset, frame));
            }
            self.at += 8;
        }
        None
    }
}

/// What `head` claims to be, where that is possible at all with so many bytes from there on: the type and the whole
/// length.
fn candidate(head: &[u8; 8], available: u64) -> Option<(FrameType, u64)> {
    let [.., frame_type, version, _, _] = head;
    if *version != FRAME_VERSION {
        return None;
    }
    let frame_type = FrameType::from_byte(*frame_type)?;
    let total = frame_bytes(head)?;
    (total <= available).then_some((frame_type, total))
}

/// Whether `head` could be the first bytes of a frame, with `available` bytes from there on; for a segment whose salt is
/// lost, where no checksum can be computed.
pub(crate) fn looks_like_frame(head: &[u8; 8], available: u64) -> bool {
    candidate(head, available).is_some()
}

impl<'a> Resync<'a> {
    /// Whether the bytes were made to look like frames, so that checksumming each was given up.
    #[cfg(test)]
    pub(super) fn has_prefixes(&self) -> bool {
        self.prefixes.is_some()
    }

    fn check(&mut self, rest: &'a [u8], frame_type: FrameType, total: u64) -> Option<(Frame<'a>, usize)> {
        let total = usize::try_from(total).ok()?;
        let (covered, crc) = rest.get(..total)?.split_last_chunk::<4>()?;
        let crc = u32::from_le_bytes(*crc);
        let header = usize::try_from(FRAME_HEADER_BYTES).ok()?;
        let payload_len = usize::try_from(u32::from_le_bytes(*covered.first_chunk()?)).ok()?;
        let (payload, padding) = covered.get(header..)?.split_at_checked(payload_len)?;
        if !is_zero(padding) || self.checksum(covered) != Some(crc) {
            return None;
        }
        let next = self.offset.saturating_add(wide(self.at + total));
        Some((Frame { frame_type, payload, next, crc }, total))
    }

    /// The checksum of `covered`, which begins at `self.at`: directly as long as that is cheap, then by prefixes.
    fn checksum(&mut self, covered: &[u8]) -> Option<u32> {
        let offset = self.offset.saturating_add(wide(self.at));
        let cost = wide(covered.len());
        if self.prefixes.is_none() && cost <= self.direct {
            self.direct -= cost;
            return Some(self.seal.checksum(offset, covered));
        }
        let bytes = self.bytes;
        let prefixes = self.prefixes.get_or_insert_with(|| RangeChecksum::new(bytes));
        prefixes.of(self.seal.checksum(offset, &[]), self.at, self.at + covered.len())
    }
}

const _: () = assert!(FRAME_ALIGNMENT == 8, "the scan steps by 8 bytes");
