//! How the primitives share one tree: a family byte in front of the user's key.
//!
//! Invariant: families never overlap, and inside a family the order of tree keys is the order of user keys, so that a
//! range of one primitive is a range of the tree. Normative text: `docs/format.md`, rule F-31.

use alloc::{format, string::String, vec::Vec};
use core::ops::Bound;

use crate::tree::KeyRange;

/// The part of a space's tree that a primitive owns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Family {
    /// Entries by the time at which they are over: time, tree key of the entry.
    Expiry = 0x08,
    /// Key-value pairs: key.
    Kv = 0x10,
    /// JSON documents: key.
    Json = 0x20,
    /// What is known of each event stream: stream name.
    Stream = 0x30,
    /// Where each batch of events is: length of the stream name, stream name, first seq of the batch.
    Batch = 0x31,
    /// State cells: key.
    State = 0x40,
    /// Trace entries: id.
    Trace = 0x50,
    /// Trace entries by parent: parent id, id.
    TraceByParent = 0x51,
    /// Trace entries by type: type name, zero byte, id.
    TraceByType = 0x52,
}

impl Family {
    /// The first byte of the family's tree keys.
    pub const fn byte(self) -> u8 {
        // The discriminants are bytes by `repr(u8)`.
        self as u8
    }

    /// The family whose tree keys begin with this byte.
    pub const fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            0x08 => Family::Expiry,
            0x10 => Family::Kv,
            0x20 => Family::Json,
            0x30 => Family::Stream,
            0x31 => Family::Batch,
            0x40 => Family::State,
            0x50 => Family::Trace,
            0x51 => Family::TraceByParent,
            0x52 => Family::TraceByType,
            _ => return None,
        })
    }

    /// The tree key of a user key.
    pub fn key(self, key: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(1 + key.len());
        self.write_key(key, &mut out);
        out
    }

    /// Replaces `out` by the tree key of a user key; for loops that reuse one buffer.
    pub fn write_key(self, key: &[u8], out: &mut Vec<u8>) {
        out.clear();
        out.push(self.byte());
        out.extend_from_slice(key);
    }

    /// The tree range of a range of user keys. An unbounded side ends where the family ends.
    pub fn range(self, range: &KeyRange) -> KeyRange {
        let start = match &range.start {
            Bound::Included(key) => Bound::Included(self.key(key)),
            Bound::Excluded(key) => Bound::Excluded(self.key(key)),
            Bound::Unbounded => Bound::Included(self.key(&[])),
        };
        let end = match &range.end {
            Bound::Included(key) => Bound::Included(self.key(key)),
            Bound::Excluded(key) => Bound::Excluded(self.key(key)),
            Bound::Unbounded => Bound::Excluded(Vec::from([self.byte() + 1])),
        };
        KeyRange::new(start, end)
    }
}

/// The user key of a batch of events (in [`Family::Batch`]).
pub fn batch_key(stream: &[u8], first_seq: u64) -> Vec<u8> {
    let mut out = batch_prefix(stream);
    out.extend_from_slice(&first_seq.to_be_bytes());
    out
}

/// What the user keys of all batches of a stream begin with.
pub fn batch_prefix(stream: &[u8]) -> Vec<u8> {
    // Stream names are keys, and keys are at most `KEY_BYTES_MAX` (1024) bytes long where they enter.
    let length = u16::try_from(stream.len()).unwrap_or(u16::MAX);
    let mut out = Vec::with_capacity(2 + stream.len() + 8);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(stream);
    out
}

/// The stream name and first seq in the user key of a batch; `None` if it is malformed.
pub fn parse_batch_key(key: &[u8]) -> Option<(&[u8], u64)> {
    let (length, rest) = key.split_first_chunk::<2>()?;
    let (stream, seq) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
    Some((stream, u64::from_be_bytes(seq.try_into().ok()?)))
}

/// A tree key as people read it: the primitive and the user's key.
pub fn readable_tree_key(key: &[u8]) -> String {
    let Some((first, rest)) = key.split_first() else { return String::from("(empty key)") };
    let (name, rest) = match Family::from_byte(*first) {
        Some(Family::Kv) => ("kv ", rest),
        Some(Family::Json) => ("document ", rest),
        Some(Family::Stream) => ("stream ", rest),
        Some(Family::Batch) => ("stream ", parse_batch_key(rest).map_or(rest, |(stream, _)| stream)),
        Some(Family::State) => ("cell ", rest),
        Some(Family::Trace | Family::TraceByParent | Family::TraceByType) => ("trace ", rest),
        Some(Family::Expiry) => match super::parse_index_key(rest) {
            Some((micros, key)) => return format!("expiry at {micros} of {}", readable_tree_key(key)),
            None => ("expiry ", rest),
        },
        None => ("key ", key),
    };
    String::from(name) + &crate::shown::readable(rest)
}
