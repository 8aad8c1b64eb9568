//! Finding the transactions of one space in the log without reading the rest of it.
//!
//! Every group of operations says where the transaction before it that touched the same space begins (rule F-17), so the
//! history of a space is a chain that leads backwards from its newest transaction. Invariant: the chain is walked
//! through positions that get strictly smaller, so it ends, whatever the bytes are.

use alloc::{collections::BTreeMap, format, vec::Vec};

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
    seals: BTreeMap<u64, FrameSeal>,
}

impl<'a> FrameReader<'a> {
    pub(crate) fn new(source: &'a dyn Source) -> Self {
        FrameReader { source, seals: BTreeMap::new() }
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
        let head = self.source.log_bytes(at.segment, at.offset, usize::try_from(FRAME_HEADER_BYTES).unwrap_or(6))?;
        let total = frame_bytes(&head).ok_or_else(|| corrupt(at, "F-10", "the length of the frame is impossible"))?;
        let bytes = self.source.log_bytes(at.segment, at.offset, usize::try_from(total).unwrap_or(usize::MAX))?;
        match read_frame(&bytes, at.offset, &seal) {
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

    /// The transaction whose first frame is at a position.
    pub(crate) fn transaction(&mut self, at: LogPosition) -> Result<StoredTransaction> {
        let mut frames = Vec::new();
        let mut next = at;
        loop {
            let (frame_type, payload, end) = self.frame(next)?;
            frames.push((next, frame_type, payload));
            match frame_type {
                FrameType::Transaction | FrameType::Commit => return Ok(StoredTransaction { at, frames }),
                FrameType::Part => next.offset = end,
                FrameType::Mark => return Err(corrupt(next, "F-18", "a mark inside a transaction")),
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

fn corrupt(at: LogPosition, rule: &'static str, what: &str) -> Error {
    Error::Corrupt { file: segment_name(at.segment), offset: at.offset, rule, what: what.into() }
}
