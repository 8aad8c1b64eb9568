//! Finding the transactions of one space in the log without reading the rest of it.
//!
//! Every group of operations says where the transaction before it that touched the same space begins (rule F-17), so the
//! history of a space is a chain that leads backwards from its newest transaction. Invariant: the chain is walked
//! through positions that get strictly smaller, so it ends, whatever the bytes are.

use alloc::{format, vec::Vec};

use litemap::LiteMap;

use crate::{
    Error, Result,
    log::{
        FRAME_HEADER_BYTES, FrameOutcome, FrameSeal, FrameType, LogPosition, RecordView, SEGMENT_HEADER_BYTES,
        SegmentHeader, frame_bytes, read_frame, segment_name,
    },
    state::{Source, SpaceNumber},
};

/// The payloads of one transaction's frames.
pub(crate) struct StoredTransaction {
    pub(crate) at: LogPosition,
    frames: Vec<(LogPosition, FrameType, Vec<u8>)>,
}

impl StoredTransaction {
    pub(crate) fn views(&self) -> Result<Vec<RecordView<'_>>> {
        self.frames.iter().map(|(at, frame_type, payload)| RecordView::parse(payload, *frame_type, *at)).collect()
    }

    fn previous(&self, space: SpaceNumber) -> Result<Option<Option<LogPosition>>> {
        for view in self.views()? {
            if let Some(group) = view.groups().find(|group| group.space == space) {
                return Ok(Some(group.previous));
            }
        }
        Ok(None)
    }
}

/// Reads single frames of the log, and checks them.
pub(crate) struct FrameReader<'a> {
    source: &'a dyn Source,
    seals: LiteMap<u64, FrameSeal>,
    /// The piece of the log that was read last. History is followed backwards, so it reaches mostly to the front.
    window: Window,
}

#[derive(Default)]
struct Window {
    segment: u64,
    offset: u64,
    bytes: Vec<u8>,
}

/// How much is read before and behind a frame that is not in the window.
const WINDOW_BEFORE: u64 = 192 << 10;
const WINDOW_BEHIND: u64 = 64 << 10;

impl Window {
    /// The bytes from a position to the end of the window.
    fn from(&self, at: LogPosition) -> &[u8] {
        if at.segment != self.segment {
            return &[];
        }
        let start = at.offset.checked_sub(self.offset).and_then(|start| usize::try_from(start).ok());
        start.and_then(|start| self.bytes.get(start..)).unwrap_or_default()
    }

    /// Whether a whole frame is in it.
    fn has_frame(&self, at: LogPosition) -> bool {
        let bytes = self.from(at);
        frame_bytes(bytes).is_some_and(|total| total <= bytes.len() as u64)
    }
}

impl<'a> FrameReader<'a> {
    pub(crate) fn new(source: &'a dyn Source) -> Self {
        FrameReader { source, seals: LiteMap::new(), window: Window::default() }
    }

    fn seal(&mut self, segment: u64) -> Result<FrameSeal> {
        if let Some(seal) = self.seals.get(&segment) {
            return Ok(seal.clone());
        }
        let name = segment_name(segment);
        let len = usize::try_from(SEGMENT_HEADER_BYTES).unwrap_or(usize::MAX);
        let bytes = self.source.log_bytes(segment, 0, len)?;
        let header = SegmentHeader::decode(&name, &bytes)?
            .ok_or_else(|| corrupt(LogPosition { segment, offset: 0 }, "F-5", "the segment's header does not hold"))?;
        let seal = FrameSeal::new(&header.salt, segment);
        self.seals.insert(segment, seal.clone());
        Ok(seal)
    }

    /// Type, payload and end of the frame at a position.
    fn frame(&mut self, at: LogPosition) -> Result<(FrameType, Vec<u8>, u64)> {
        let seal = self.seal(at.segment)?;
        if !self.window.has_frame(at) {
            self.move_window(at)?;
        }
        if self.window.has_frame(at) {
            return checked_frame(self.window.from(at), at, &seal);
        }
        // Not with the storage yet, or larger than a window.
        let head = self.source.log_bytes(at.segment, at.offset, usize::try_from(FRAME_HEADER_BYTES).unwrap_or(6))?;
        let total = frame_bytes(&head).ok_or_else(|| corrupt(at, "F-10", "the length of the frame is impossible"))?;
        let bytes = self.source.log_bytes(at.segment, at.offset, usize::try_from(total).unwrap_or(usize::MAX))?;
        checked_frame(&bytes, at, &seal)
    }

    /// Reads a new window around a position, as far as the storage has the segment.
    fn move_window(&mut self, at: LogPosition) -> Result<()> {
        let end = self.source.log_len(at.segment)?.min(at.offset.saturating_add(WINDOW_BEHIND));
        let offset = at.offset.saturating_sub(WINDOW_BEFORE);
        if end <= at.offset {
            return Ok(());
        }
        let bytes = self.source.log_bytes(at.segment, offset, usize::try_from(end - offset).unwrap_or(0))?;
        self.window = Window { segment: at.segment, offset, bytes };
        Ok(())
    }

    /// The transaction whose first frame is at a position.
    pub(crate) fn transaction(&mut self, at: LogPosition) -> Result<StoredTransaction> {
        let mut frames = Vec::new();
        let mut next = at;
        loop {
            let (frame_type, payload, end) = self.frame(next)?;
            check_part(&payload, frame_type, next, frames.len())?;
            frames.push((next, frame_type, payload));
            match frame_type {
                FrameType::Transaction | FrameType::Commit => return Ok(StoredTransaction { at, frames }),
                FrameType::Part => next.offset = end,
                FrameType::Mark | FrameType::Opening => {
                    return Err(corrupt(next, "F-19", "a mark inside a transaction"));
                }
            }
        }
    }

    /// Where the transactions of a space begin, oldest first, from the newest one at `newest` back.
    pub(crate) fn history(
        &mut self,
        space: SpaceNumber,
        newest: Option<LogPosition>,
    ) -> Result<Vec<StoredTransaction>> {
        let mut history = Vec::new();
        let mut next = newest;
        while let Some(at) = next {
            let transaction = self.transaction(at)?;
            let Some(previous) = transaction.previous(space)? else {
                return Err(corrupt(
                    at,
                    "F-17",
                    &format!("the history of space {space} leads here, and it is not here"),
                ));
            };
            if previous.is_some_and(|previous| previous >= at) {
                return Err(corrupt(at, "F-17", "the history of a space leads forwards"));
            }
            history.push(transaction);
            next = previous;
        }
        history.reverse();
        Ok(history)
    }
}

/// Type, payload and end of the frame at the front of some bytes.
/// Whether a frame is the one that comes next in a transaction of which `before` frames were read. A chain that leads
/// into the middle of a transaction would have its end read once for each of its parts.
fn check_part(payload: &[u8], frame_type: FrameType, at: LogPosition, before: usize) -> Result<()> {
    let number = match frame_type {
        FrameType::Mark | FrameType::Opening => return Ok(()),
        FrameType::Transaction => Some(0),
        FrameType::Part | FrameType::Commit => {
            let part = RecordView::parse(payload, frame_type, at)?.header().part;
            part.and_then(|part| usize::try_from(part).ok()).filter(|part| frame_type == FrameType::Part || *part > 0)
        }
    };
    if number == Some(before) {
        return Ok(());
    }
    Err(corrupt(at, "F-19", "a frame that does not belong here in a transaction"))
}

fn checked_frame(bytes: &[u8], at: LogPosition, seal: &FrameSeal) -> Result<(FrameType, Vec<u8>, u64)> {
    match read_frame(bytes, at.offset, seal) {
        FrameOutcome::Frame(frame) => Ok((frame.frame_type, frame.payload.to_vec(), frame.next)),
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

fn corrupt(at: LogPosition, rule: &'static str, what: &str) -> Error {
    Error::Corrupt { file: segment_name(at.segment), offset: at.offset, rule, what: what.into() }
}
