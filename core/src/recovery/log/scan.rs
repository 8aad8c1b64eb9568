//! Looking for frames in what is left of a segment, behind a place where there is none.
//!
//! Invariant: every frame is found that one look at all the bytes would find (rule F-24), and memory does not grow with the
//! file: a sparse file of gigabytes costs nothing on a disk, and would take as much memory as it is long.

use alloc::vec::Vec;

use super::window::{Next, Segment, Window};
use crate::{
    Error, Result,
    limits::FRAME_PAYLOAD_BYTES_MAX,
    log::{Frame, frame_bytes_for, is_zero, resync, wide, without_zeros_behind},
    storage::StorageFile,
};

/// How far the scan goes on with one piece in memory. Behind it the piece holds the largest frame that may begin in it.
const STEP_BYTES: u64 = 16 << 20;

/// What is longer is no segment that was written here, but a length that somebody has set: reading it takes hours.
const SCANNED_BYTES_MAX: u64 = 1 << 40;

/// Offset of the first window from `start` on with a byte that is not zero; `None` where there are only zeros up to `end`.
///
/// Cost: reads what is zero once, 256 KiB at a time. Fails with [`Error::Limit`] for more than 1 TiB.
pub(super) fn first_used<F: StorageFile>(
    segment: &Segment<'_, F>,
    start: u64,
    end: u64,
    buffer: &mut Vec<u8>,
) -> Result<Option<u64>> {
    check_length(start, end)?;
    let mut offset = start;
    while offset < end {
        let window = segment.window(&Next::at(offset), end, buffer)?;
        if !is_zero(window.bytes) {
            return Ok(Some(offset));
        }
        offset = window.end();
    }
    Ok(None)
}

/// Gives every frame between `start`, a multiple of 8, and `end` to `visit`, with its offset, and says where the last byte ends
/// that is not zero: at `start` where there is none.
///
/// Cost: as [`resync`], and every byte that is not among many zeros is read up to four times. Memory: 64 MiB.
pub(super) fn frames<F: StorageFile>(
    segment: &Segment<'_, F>,
    start: u64,
    end: u64,
    buffer: &mut Vec<u8>,
    visit: &mut dyn FnMut(u64, &Frame<'_>) -> Result<()>,
) -> Result<u64> {
    let (mut at, mut used) = (start, start);
    while let Some(begin) = first_used(segment, at, end, buffer)? {
        let piece = segment.window(&Next::with(begin, STEP_BYTES.saturating_add(frame_bytes_max())), end, buffer)?;
        let step_end = if piece.is_last { end } else { begin.saturating_add(STEP_BYTES) };
        at = step_end.max(visit_piece(&piece, step_end, visit)?);
        used = begin.saturating_add(wide(without_zeros_behind(piece.bytes).len())).max(used);
    }
    Ok(used)
}

/// Visits the frames that begin before `step_end` and says where the last one ends, which may be behind it.
fn visit_piece(piece: &Window<'_>, step_end: u64, visit: &mut dyn FnMut(u64, &Frame<'_>) -> Result<()>) -> Result<u64> {
    let mut behind = piece.start;
    for (offset, frame) in resync(piece.bytes, piece.start, piece.seal) {
        if offset >= step_end {
            break;
        }
        visit(offset, &frame)?;
        behind = frame.next;
    }
    Ok(behind)
}

fn frame_bytes_max() -> u64 {
    u32::try_from(FRAME_PAYLOAD_BYTES_MAX).map_or(u64::MAX, |payload| frame_bytes_for(payload.into()))
}

fn check_length(start: u64, end: u64) -> Result<()> {
    let size = end.saturating_sub(start);
    if size > SCANNED_BYTES_MAX {
        return Err(Error::Limit { what: "bytes of a log segment to be searched", size, limit: SCANNED_BYTES_MAX });
    }
    Ok(())
}
