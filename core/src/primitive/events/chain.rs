//! Proving that a stream is what was appended: its chain of hashes, computed again from the log.

use alloc::{format, string::String, vec::Vec};
use core::ops::ControlFlow;

use super::walk::{StreamState, batch_range, first_seq_of};
use crate::{
    Error, Result,
    log::{segment_name, varint::Reader},
    primitive::access::Reads,
    state::{BatchIndex, Family, Link, Source, SpaceNumber, check_crc, next_link, read_event, readable},
    tree::Direction,
    value::cbor,
};

/// What [`Events::verify_chain`](super::Events::verify_chain) has proved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct ChainReport {
    /// How many batches were read and fit the links before and after them.
    pub batches: u64,
    /// How many events those batches hold. Events that a trim left in the log, in front of the first that is kept but
    /// in the same batch, count as well: the batch is hashed whole.
    pub events: u64,
    /// Seq of the first event that was verified; `None` where none was.
    ///
    /// It is 1 for a stream that was never trimmed. A trim removes the link that the oldest batch continues, so that
    /// batch is taken as the beginning and only what is behind it can be verified.
    pub verified_from: Option<u64>,
}

/// The end of the chain so far: its link, and the seq that the next batch must begin with.
struct ChainEnd {
    link: Link,
    next_seq: u64,
}

pub(super) fn verify(reads: &dyn Reads, space: SpaceNumber, stream: &[u8]) -> Result<ChainReport> {
    let mut report = ChainReport::default();
    let Some(info) = StreamState::read(reads, space, stream)?.committed else { return Ok(report) };
    let mut end: Option<ChainEnd> = None;
    reads.visit(space, Family::Batch, &batch_range(stream, 0, u64::MAX), Direction::Forward, &mut |key, item| {
        let first_seq = first_seq_of(stream, key)?;
        let batch = BatchIndex::decode(item.raw())?;
        let next = ChainEnd { link: batch.link, next_seq: first_seq.saturating_add(batch.events()) };
        let before = match end.take() {
            Some(before) => Some(before),
            None if first_seq > info.first => return Err(gap(stream, info.first, first_seq)),
            None if first_seq == 1 => Some(ChainEnd { link: [0; 32], next_seq: 1 }),
            None => None,
        };
        let bytes = check_blocks(&batch, item.source())?;
        if let Some(before) = before {
            if before.next_seq != first_seq {
                return Err(gap(stream, before.next_seq, first_seq));
            }
            check_link(&batch, first_seq, &before.link, &bytes)?;
            report.batches += 1;
            report.events += batch.events();
            report.verified_from.get_or_insert(first_seq);
        }
        end = Some(next);
        Ok(ControlFlow::Continue(()))
    })?;
    match end {
        Some(end) if end.next_seq != info.head + 1 => Err(gap(stream, end.next_seq, info.head + 1)),
        Some(end) if end.link != info.link => {
            Err(broken(place(stream), 0, "its newest link is not the one of its newest batch"))
        }
        None if info.events() > 0 => Err(gap(stream, info.first, info.head + 1)),
        _ => Ok(report),
    }
}

/// Reads a whole batch: every block has its checksum, and every event in it can be read.
fn check_blocks(batch: &BatchIndex, source: &dyn Source) -> Result<Vec<u8>> {
    let length = usize::try_from(batch.bytes()).unwrap_or(usize::MAX);
    let bytes = source.log_bytes(batch.segment, batch.offset, length)?;
    let (mut rest, mut offset) = (bytes.as_slice(), batch.offset);
    for block in &batch.blocks {
        // Bytes that are missing do not have the checksum, and so are reported as damage of their block.
        let at = usize::try_from(block.bytes).unwrap_or(usize::MAX).min(rest.len());
        let (bytes, behind) = rest.split_at_checked(at).unwrap_or_default();
        check_crc(bytes, block.crc, batch.segment, offset)?;
        check_events(bytes, block.events)?;
        rest = behind;
        offset = offset.saturating_add(u64::from(block.bytes));
    }
    Ok(bytes)
}

/// So many events, each with a kind and a payload that can be read.
fn check_events(bytes: &[u8], count: u32) -> Result<()> {
    let mut reader = Reader::new(bytes);
    for _ in 0..count {
        let (kind, payload) = read_event(&mut reader)?;
        if core::str::from_utf8(kind).is_err() {
            return Err(Error::Invalid { what: "event kind", why: format!("{kind:?} is not UTF-8") });
        }
        cbor::check(payload)?;
    }
    match reader.remaining() {
        0 => Ok(()),
        left => Err(Error::Invalid { what: "block of events", why: format!("{left} bytes behind its {count} events") }),
    }
}

/// Whether a batch with these bytes continues the chain.
fn check_link(batch: &BatchIndex, first_seq: u64, before: &Link, bytes: &[u8]) -> Result<()> {
    if next_link(before, first_seq, batch.time_micros, bytes) == batch.link {
        return Ok(());
    }
    Err(broken(
        segment_name(batch.segment),
        batch.offset,
        &format!("the batch of event {first_seq} does not continue the chain of its stream"),
    ))
}

fn place(stream: &[u8]) -> String {
    format!("stream {}", readable(stream))
}

fn gap(stream: &[u8], expected: u64, found: u64) -> Error {
    broken(place(stream), 0, &format!("event {expected} should follow, but the next is {found}"))
}

fn broken(file: String, offset: u64, what: &str) -> Error {
    Error::Corrupt { file, offset, rule: "F-35", what: String::from(what) }
}
