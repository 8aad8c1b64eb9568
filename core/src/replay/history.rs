//! The transactions of one space, in order, without reading the rest of the log.
//!
//! Every group of operations says where the transaction before it that touched the same space begins (rule F-17), so the
//! history of a space is a chain that leads backwards from its newest transaction. It is walked back once, which notes no
//! more than the windows that were read, and then read forwards, window by window.
//!
//! Invariants:
//! - The chain is walked through positions that get strictly smaller, so it ends, whatever the bytes are.
//! - At no time is there more in memory than a window of 256 KiB or a transaction that is larger, and 16 bytes for each
//!   window. Each byte is read once on the way back and once on the way forth.

use alloc::{format, vec::Vec};
use core::ops::ControlFlow;

use super::frames::{FrameReader, corrupt};
use crate::{
    Error, Result,
    log::{FrameType, LogPosition, RecordView, wide},
    state::{LoggedTransaction, Source, SpaceNumber},
};

/// What is called for each transaction, oldest first.
pub(super) type OnTransaction<'f> = &'f mut dyn FnMut(&LoggedTransaction<'_>) -> Result<ControlFlow<()>>;

/// A window that was read on the way back.
struct Note {
    start: u64,
    len: u32,
    /// Where the newest transaction of it that belongs to the history is, from its start.
    newest: u32,
}

/// The windows of one segment, newest first.
struct Notes {
    segment: u64,
    windows: Vec<Note>,
}

/// Calls `each` for the transactions of a space, oldest first, from the first one to the one at `newest` or until it breaks.
///
/// Fails with what `each` and the source fail with, and with [`Error::Corrupt`] where a frame of the history is damaged.
pub(super) fn for_each_transaction(
    source: &dyn Source,
    space: SpaceNumber,
    newest: Option<LogPosition>,
    each: OnTransaction<'_>,
) -> Result<()> {
    let mut reader = FrameReader::new(source);
    let notes = walk_back(&mut reader, space, newest)?;
    for Notes { segment, windows } in notes.iter().rev() {
        for note in windows.iter().rev() {
            reader.read(*segment, note.start, usize::try_from(note.len).unwrap_or(usize::MAX))?;
            if read_forwards(&mut reader, space, *segment, note, each)?.is_break() {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// Follows the chain to its beginning, and notes the windows that were read for it.
fn walk_back(reader: &mut FrameReader<'_>, space: SpaceNumber, newest: Option<LogPosition>) -> Result<Vec<Notes>> {
    let mut notes: Vec<Notes> = Vec::new();
    let (mut next, mut behind) = (newest, None);
    while let Some(at) = next {
        if reader.seek(at, behind)? {
            let window = reader.window();
            let narrow = |bytes: u64| u32::try_from(bytes).unwrap_or(u32::MAX);
            // What is behind the frame in the window belongs to the windows before.
            let end = reader.frame(at)?.end;
            let note = Note {
                start: window.start,
                len: narrow(end.saturating_sub(window.start)),
                newest: narrow(at.offset.saturating_sub(window.start)),
            };
            match notes.last_mut().filter(|notes| notes.segment == at.segment) {
                Some(notes) => notes.windows.push(note),
                None => notes.push(Notes { segment: at.segment, windows: Vec::from([note]) }),
            }
        }
        let (previous, len) = previous(reader, space, at)?;
        behind = Some((at, len));
        next = previous;
    }
    Ok(notes)
}

/// Where the transaction before one begins, and how long its first frame is.
fn previous(reader: &mut FrameReader<'_>, space: SpaceNumber, at: LogPosition) -> Result<(Option<LogPosition>, u64)> {
    let frame = reader.frame(at)?;
    check_part(frame.payload, frame.frame_type, at, 0)?;
    let (mut frame_type, mut end) = (frame.frame_type, frame.end);
    let len = end.saturating_sub(at.offset);
    let mut found = group_of(&RecordView::parse(frame.payload, frame_type, at)?, space);
    let mut parts = 1;
    // The space may come in a later part only.
    while found.is_none() && frame_type == FrameType::Part {
        let at = LogPosition { segment: at.segment, offset: end };
        let (part_type, payload, part_end) = reader.frame_beside(at)?;
        check_part(&payload, part_type, at, parts)?;
        found = group_of(&RecordView::parse(&payload, part_type, at)?, space);
        (frame_type, end, parts) = (part_type, part_end, parts + 1);
    }
    match found {
        None => Err(not_here(at, space)),
        Some(previous) if previous.is_some_and(|previous| previous >= at) => {
            Err(corrupt(at, "F-17", "the history of a space leads forwards"))
        }
        Some(previous) => Ok((previous, len)),
    }
}

/// What a record says of the history of a space, if it has anything of it.
fn group_of(record: &RecordView<'_>, space: SpaceNumber) -> Option<Option<LogPosition>> {
    record.groups().find(|group| group.space == space).map(|group| group.previous)
}

fn not_here(at: LogPosition, space: SpaceNumber) -> Error {
    corrupt(at, "F-17", &format!("the history of space {space} leads here, and it is not here"))
}

/// Gives out the transactions that begin in the reader's window, oldest first.
fn read_forwards(
    reader: &mut FrameReader<'_>,
    space: SpaceNumber,
    segment: u64,
    note: &Note,
    each: OnTransaction<'_>,
) -> Result<ControlFlow<()>> {
    let mut offsets = Vec::new();
    let mut next = Some(LogPosition { segment, offset: note.start.saturating_add(u64::from(note.newest)) });
    while let Some(at) = next.filter(|at| at.segment == segment && reader.window().has_frame(*at)) {
        offsets.push(at.offset);
        next = previous(reader, space, at)?.0;
    }
    for offset in offsets.iter().rev() {
        if give_out(reader, LogPosition { segment, offset: *offset }, each)?.is_break() {
            return Ok(ControlFlow::Break(()));
        }
    }
    Ok(ControlFlow::Continue(()))
}

/// Gives out the transaction whose first frame is at a position of the window.
fn give_out(reader: &mut FrameReader<'_>, at: LogPosition, each: OnTransaction<'_>) -> Result<ControlFlow<()>> {
    let first = reader.frame(at)?;
    if first.frame_type != FrameType::Part {
        let frames = [RecordView::parse(first.payload, first.frame_type, at)?];
        return each(&LoggedTransaction { at, frames: &frames });
    }
    let mut parts = Vec::from([(at, first.frame_type, first.payload.to_vec())]);
    let mut next = LogPosition { offset: first.end, ..at };
    loop {
        let (frame_type, payload, end) = reader.frame_beside(next)?;
        check_part(&payload, frame_type, next, parts.len())?;
        parts.push((next, frame_type, payload));
        match frame_type {
            FrameType::Part => next.offset = end,
            FrameType::Transaction | FrameType::Commit => break,
            FrameType::Mark | FrameType::Opening => {
                return Err(corrupt(next, "F-19", "a mark inside a transaction"));
            }
        }
    }
    let frames: Vec<RecordView<'_>> = parts
        .iter()
        .map(|(at, frame_type, payload)| RecordView::parse(payload, *frame_type, *at))
        .collect::<Result<_>>()?;
    each(&LoggedTransaction { at, frames: &frames })
}

/// Whether a frame is the one that comes next in a transaction of which `before` frames were read. A chain that leads
/// into the middle of a transaction would have its end read once for each of its parts.
fn check_part(payload: &[u8], frame_type: FrameType, at: LogPosition, before: usize) -> Result<()> {
    let number = match frame_type {
        FrameType::Mark | FrameType::Opening => {
            return Err(corrupt(at, "F-19", "a mark where a transaction should be"));
        }
        FrameType::Transaction => Some(0),
        FrameType::Part | FrameType::Commit => {
            let part = RecordView::parse(payload, frame_type, at)?.header().part;
            part.map(u64::from).filter(|part| frame_type == FrameType::Part || *part > 0)
        }
    };
    if number == Some(wide(before)) {
        return Ok(());
    }
    Err(corrupt(at, "F-19", "a frame that does not belong here in a transaction"))
}
