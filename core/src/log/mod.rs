//! The bytes of the log: names, segment headers, anchors, frames and records.
//!
//! This module turns records into bytes and bytes into records, and knows nothing of files, recovery or state. Its
//! invariant: whatever the bytes are, reading them neither panics nor allocates without bound, and nothing that was not
//! written here, at this offset of this segment, passes as a frame.
//!
//! Normative text: `docs/format.md`; the rules are cited as `F-n`.

mod anchor;
mod fields;
mod frame;
mod names;
mod op;
mod pointer;
mod range_checksum;
mod record;
mod record_view;
mod resync;
mod segment;
pub mod varint;

pub use anchor::{ANCHOR_BYTES, Anchor, AnchorSlot, LogEnd};
pub(crate) use fields::wide;
pub use frame::{
    FRAME_ALIGNMENT, FRAME_HEADER_BYTES, FRAME_OVERHEAD_BYTES, FRAME_VERSION, Frame, FrameOutcome, FrameSeal,
    FrameType, FrameWriter, frame_bytes, frame_bytes_for, read_frame,
};
pub(crate) use frame::{is_zero, without_zeros_behind};
pub use names::{ANCHOR_NAMES, parse_segment_name, parse_snapshot_name, segment_name, snapshot_name};
pub use op::{Op, OpCode};
pub use pointer::{LOG_POINTER_BYTES, LogPointer, LogPosition};
pub use record::{CauseRef, OnceKey, Reasons, RecordHeader, RecordWriter, write_mark, write_opening};
pub(crate) use record_view::read_mark;
pub use record_view::{GroupView, Groups, Ops, RecordView, peek_seq_and_mark, read_opening};
pub(crate) use resync::looks_like_frame;
pub use resync::{Found, Resync, resync};
pub use segment::{FORMAT_VERSION, Previous, SEGMENT_HEADER_BYTES, SegmentHeader};

#[cfg(test)]
mod tests;
