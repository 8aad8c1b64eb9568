//! Reading single frames of the log by their places, and checking them.
//!
//! Invariants:
//! - What is read is in proportion to what is asked for: bytes around a frame are read along only where the frames that were
//!   asked for before lay close together. A segment's header and length are looked up once while its frames are read.
//! - No frame is given out whose checksum does not hold.

use alloc::vec::Vec;

use crate::{
    Error, Result,
    log::{
        FRAME_HEADER_BYTES, FrameOutcome, FrameSeal, FrameType, LogPosition, SEGMENT_HEADER_BYTES, SegmentHeader,
        frame_bytes, read_frame, segment_name, wide,
    },
    state::Source,
};

/// Read at a place of which nothing is known: what a disk reads anyway.
const PAGE_BYTES: u64 = 4096;
/// Read at once where one frame after the other is looked at.
const AHEAD_BYTES: u64 = 256 << 10;
/// Most that is read along before a frame.
const BEFORE_BYTES_MAX: u64 = 256 << 10;

/// Some bytes of a segment, in one piece.
#[derive(Default)]
pub(super) struct Window {
    pub(super) segment: u64,
    pub(super) start: u64,
    bytes: Vec<u8>,
}

impl Window {
    /// The bytes from a position to the end of the window; none where that is outside.
    fn from(&self, at: LogPosition) -> &[u8] {
        if at.segment != self.segment {
            return &[];
        }
        let start = at.offset.checked_sub(self.start).and_then(|start| usize::try_from(start).ok());
        start.and_then(|start| self.bytes.get(start..)).unwrap_or_default()
    }

    /// Whether a whole frame is in it.
    pub(super) fn has_frame(&self, at: LogPosition) -> bool {
        let bytes = self.from(at);
        frame_bytes(bytes).is_some_and(|total| total <= wide(bytes.len()))
    }
}

/// A frame whose checksum holds.
pub(crate) struct StoredFrame<'b> {
    pub(crate) frame_type: FrameType,
    pub(crate) payload: &'b [u8],
    /// Offset of the byte behind it.
    pub(crate) end: u64,
}

/// What is known of the segment that is read.
struct SegmentFacts {
    number: u64,
    seal: FrameSeal,
    /// How much of it the storage has; 0 where that is not known.
    len: u64,
}

/// Reads frames by their places.
pub(crate) struct FrameReader<'a> {
    source: &'a dyn Source,
    segment: Option<SegmentFacts>,
    window: Window,
    /// How much is read along before the next frame that is not in the window.
    before: u64,
}

impl<'a> FrameReader<'a> {
    pub(crate) fn new(source: &'a dyn Source) -> Self {
        FrameReader { source, segment: None, window: Window::default(), before: 0 }
    }

    pub(super) fn window(&self) -> &Window {
        &self.window
    }

    /// Makes sure that a frame is in the window, and says whether anything had to be read for that. `behind` is the
    /// frame that was looked at before, further behind in the log, with its length: where the two are close to each other, so
    /// will be those before them.
    pub(super) fn seek(&mut self, at: LogPosition, behind: Option<(LogPosition, u64)>) -> Result<bool> {
        if self.window.has_frame(at) {
            return Ok(false);
        }
        let mut distance = 1;
        if let Some((behind, len)) = behind.filter(|(behind, _)| behind.segment == at.segment) {
            distance = behind.offset.saturating_sub(at.offset).max(1);
            let is_near = distance <= PAGE_BYTES.max(len.saturating_mul(4));
            self.before = if is_near { (self.before * 2).clamp(PAGE_BYTES, BEFORE_BYTES_MAX) } else { 0 };
        }
        // Whole frames, if those before are like this one: half of a large one would be read again.
        self.read_around(at, self.before - self.before % distance)?;
        Ok(true)
    }

    /// The frame at a position, for whoever goes from one to the next; `None` behind the last one of the segment. Frames of the
    /// newest segment need not be with the storage yet.
    pub(crate) fn forward(&mut self, at: LogPosition, is_newest: bool) -> Result<Option<StoredFrame<'_>>> {
        if !self.window.has_frame(at) {
            let len = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
            match self.facts(at.segment)?.len.saturating_sub(at.offset) {
                0 if !is_newest => return Ok(None),
                0 => {
                    let total = self.frame_len(at)?;
                    self.read(at.segment, at.offset, total)?;
                }
                left => {
                    self.read(at.segment, at.offset, len(left.min(AHEAD_BYTES)))?;
                    let there = wide(self.window.from(at).len());
                    if let Some(total) = frame_bytes(self.window.from(at)).filter(|total| *total > there) {
                        self.read(at.segment, at.offset, len(total.min(left)))?;
                    }
                }
            }
        }
        let seal = self.facts(at.segment)?.seal.clone();
        match read_frame(self.window.from(at), at.offset, &seal) {
            FrameOutcome::End => Ok(None),
            _ => checked_frame(self.window.from(at), at, &seal).map(Some),
        }
    }

    /// Reads these bytes of a segment as the window.
    pub(super) fn read(&mut self, segment: u64, start: u64, len: usize) -> Result<()> {
        self.facts(segment)?;
        self.window = Window { segment, start, bytes: self.source.log_bytes(segment, start, len)? };
        Ok(())
    }

    /// The frame at a position, which has to be in the window.
    pub(super) fn frame(&self, at: LogPosition) -> Result<StoredFrame<'_>> {
        match &self.segment {
            Some(facts) if facts.number == at.segment => checked_frame(self.window.from(at), at, &facts.seal),
            _ => Err(corrupt(at, "F-12", "there is no frame")),
        }
    }

    /// Type, payload and end of a frame that need not be in the window, and leaves it alone.
    pub(super) fn frame_beside(&mut self, at: LogPosition) -> Result<(FrameType, Vec<u8>, u64)> {
        let seal = self.facts(at.segment)?.seal.clone();
        let read;
        let bytes = if self.window.has_frame(at) {
            self.window.from(at)
        } else {
            let total = self.frame_len(at)?;
            read = self.source.log_bytes(at.segment, at.offset, total)?;
            &read
        };
        let frame = checked_frame(bytes, at, &seal)?;
        Ok((frame.frame_type, frame.payload.to_vec(), frame.end))
    }

    fn read_around(&mut self, at: LogPosition, before: u64) -> Result<()> {
        let len = self.facts(at.segment)?.len;
        let end = len.min(at.offset.saturating_add(PAGE_BYTES));
        if end <= at.offset {
            // Not with the storage yet: only whole frames can be had.
            let total = self.frame_len(at)?;
            return self.read(at.segment, at.offset, total);
        }
        let start = at.offset.saturating_sub(before).max(SEGMENT_HEADER_BYTES).min(at.offset);
        self.read(at.segment, start, usize::try_from(end - start).unwrap_or(usize::MAX))?;
        let there = wide(self.window.from(at).len());
        let Some(total) = frame_bytes(self.window.from(at)).filter(|total| *total > there) else { return Ok(()) };
        let rest = usize::try_from(total - there).unwrap_or(usize::MAX);
        let rest = self.source.log_bytes(at.segment, end, rest)?;
        self.window.bytes.extend_from_slice(&rest);
        Ok(())
    }

    fn frame_len(&self, at: LogPosition) -> Result<usize> {
        let head = usize::try_from(FRAME_HEADER_BYTES).unwrap_or(usize::MAX);
        let head = self.source.log_bytes(at.segment, at.offset, head)?;
        let total = frame_bytes(&head).ok_or_else(|| corrupt(at, "F-10", "the length of the frame is impossible"))?;
        Ok(usize::try_from(total).unwrap_or(usize::MAX))
    }

    fn facts(&mut self, number: u64) -> Result<&SegmentFacts> {
        if let Some(facts) = self.segment.take_if(|facts| facts.number == number) {
            return Ok(self.segment.insert(facts));
        }
        let len = usize::try_from(SEGMENT_HEADER_BYTES).unwrap_or(usize::MAX);
        let bytes = self.source.log_bytes(number, 0, len)?;
        let header = SegmentHeader::decode(&segment_name(number), &bytes)?.ok_or_else(|| {
            corrupt(LogPosition { segment: number, offset: 0 }, "F-5", "the segment's header does not hold")
        })?;
        let (seal, len) = (FrameSeal::new(&header.salt, number), self.source.log_len(number)?);
        Ok(self.segment.insert(SegmentFacts { number, seal, len }))
    }
}

/// The frame at the front of some bytes.
fn checked_frame<'b>(bytes: &'b [u8], at: LogPosition, seal: &FrameSeal) -> Result<StoredFrame<'b>> {
    match read_frame(bytes, at.offset, seal) {
        FrameOutcome::Frame(frame) => {
            Ok(StoredFrame { frame_type: frame.frame_type, payload: frame.payload, end: frame.next })
        }
        FrameOutcome::Newer { what, found, supported } => Err(Error::Newer {
            file: segment_name(at.segment),
            what,
            found: u64::from(found),
            supported: u64::from(supported),
        }),
        FrameOutcome::End => Err(corrupt(at, "F-12", "there is no frame")),
        FrameOutcome::Bad(why) => Err(corrupt(at, "F-11", why)),
    }
}

pub(super) fn corrupt(at: LogPosition, rule: &'static str, what: &str) -> Error {
    Error::Corrupt { file: segment_name(at.segment), offset: at.offset, rule, what: what.into() }
}
