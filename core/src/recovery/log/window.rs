//! A segment's bytes, a window at a time.
//!
//! Invariant: a frame that is given out lies wholly inside the window, or the window reaches to the end of what counts.
//! A frame is never judged by a part of it.
//!
//! Windows are small, so that the processor's cache holds what was just copied: copying, checksumming and parsing a whole
//! segment one after the other is several times the work for the memory, and the pages of a large buffer cost more than
//! reading a small log.

use alloc::{format, string::String, vec::Vec};

use super::{
    read::{read_exactly, read_range},
    sequence::corrupt,
    survey::SegmentInfo,
};
use crate::{
    Error, Result,
    log::{FrameOutcome, FrameSeal, LogPosition, SEGMENT_HEADER_BYTES, frame_bytes, read_frame, segment_name, wide},
    storage::{Storage, StorageFile},
};

/// How much is read at a time. Larger frames are read whole.
pub(super) const WINDOW_BYTES: u64 = 256 << 10;

/// A segment's file.
pub(super) struct Segment<'i, F> {
    pub(super) info: &'i SegmentInfo,
    pub(super) seal: FrameSeal,
    name: String,
    file: F,
}

/// Where the next window begins and how many bytes have to be in it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Next {
    pub(super) offset: u64,
    needs: u64,
}

impl Next {
    pub(super) fn at(offset: u64) -> Self {
        Self { offset, needs: WINDOW_BYTES }
    }

    /// So many bytes, if there are.
    pub(super) fn with(offset: u64, needs: u64) -> Self {
        Self { offset, needs }
    }

    /// Everything that is left.
    pub(super) fn whole(offset: u64) -> Self {
        Self { offset, needs: u64::MAX }
    }
}

impl<'i, F: StorageFile> Segment<'i, F> {
    pub(super) fn open<S: Storage<File = F>>(storage: &S, info: &'i SegmentInfo) -> Result<Self> {
        let name = segment_name(info.number);
        let file = storage.open(&name)?;
        Ok(Self { info, seal: FrameSeal::new(&info.header.salt, info.number), name, file })
    }

    pub(super) fn position(&self, offset: u64) -> LogPosition {
        LogPosition { segment: self.info.number, offset }
    }

    /// Reads the next window, which does not go beyond `end`.
    pub(super) fn window<'b>(&'b self, next: &Next, end: u64, buffer: &'b mut Vec<u8>) -> Result<Window<'b>> {
        let until = next.offset.saturating_add(next.needs).min(end);
        read_range(&self.file, &self.name, next.offset, until, buffer)?;
        Ok(Window { info: self.info, seal: &self.seal, start: next.offset, bytes: buffer, is_last: until >= end })
    }

    /// The checksum of the frame that ends at `offset`: its last four bytes (rule F-10). 0 where there is none.
    pub(super) fn crc_before(&self, offset: u64) -> Result<u32> {
        let mut crc = [0; 4];
        if offset > SEGMENT_HEADER_BYTES {
            read_exactly(&self.file, &self.name, offset - wide(crc.len()), &mut crc)?;
        }
        Ok(u32::from_le_bytes(crc))
    }
}

/// Some of a segment's bytes.
pub(super) struct Window<'b> {
    pub(super) info: &'b SegmentInfo,
    pub(super) seal: &'b FrameSeal,
    /// Offset of the first byte in the segment.
    pub(super) start: u64,
    pub(super) bytes: &'b [u8],
    /// Whether it reaches to the end of what counts.
    pub(super) is_last: bool,
}

impl<'b> Window<'b> {
    pub(super) fn end(&self) -> u64 {
        self.start.saturating_add(wide(self.bytes.len()))
    }

    pub(super) fn position(&self, offset: u64) -> LogPosition {
        LogPosition { segment: self.info.number, offset }
    }

    /// The bytes from `offset` on; none where that is outside.
    pub(super) fn from(&self, offset: u64) -> &'b [u8] {
        let at = offset.checked_sub(self.start).and_then(|at| usize::try_from(at).ok());
        at.and_then(|at| self.bytes.get(at..)).unwrap_or_default()
    }

    /// The window that has to follow because this one ends inside the frame at `offset`. `None` where the frame is whole,
    /// or so broken that more of it changes nothing.
    #[inline]
    pub(super) fn needs_more(&self, offset: u64) -> Option<Next> {
        if self.is_last {
            return None;
        }
        let rest = self.from(offset);
        let needs = if rest.len() < 8 { WINDOW_BYTES } else { frame_bytes(rest)? };
        (needs > wide(rest.len())).then(|| Next { offset, needs: needs.max(WINDOW_BYTES) })
    }

    /// What is at `offset`.
    #[inline]
    pub(super) fn frame(&self, offset: u64) -> FrameOutcome<'b> {
        read_frame(self.from(offset), offset, self.seal)
    }

    /// The error where there has to be a frame at `offset` and is none.
    #[cold]
    pub(super) fn differs(&self, offset: u64, found: &FrameOutcome<'_>) -> Error {
        let what = match found {
            FrameOutcome::Newer { what, found, supported } => {
                let file = format!("{}, offset {offset}", segment_name(self.info.number));
                return Error::Newer { file, what, found: (*found).into(), supported: (*supported).into() };
            }
            FrameOutcome::Bad(reason) => reason,
            FrameOutcome::End | FrameOutcome::Frame(_) => "zeros instead of a frame",
        };
        corrupt(self.position(offset), "F-23", String::from("the segment is damaged before its end: ") + what)
    }
}
