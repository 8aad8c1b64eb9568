//! Digests: one number for the content of a space.
//!
//! Invariant: a digest depends on what users put in and on nothing else: not on times, ids, seqs, where values lie in the
//! log, or how often the process was killed on the way. So equal inputs give equal digests on every machine.

use alloc::vec::Vec;
use core::fmt;

use hashbrown::HashMap;
use rustc_hash::FxBuildHasher;

use crate::{
    Result,
    primitive::{
        Events, ScanOptions, Trace, TraceEntry, TraceId,
        access::{Reads, Through},
    },
    state::{Family, SpaceNumber},
    tree::{Direction, KeyRange},
    value::Value,
};

/// BLAKE3 over the content of a space.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The 32 bytes.
    pub const fn to_bytes(self) -> [u8; 32] {
        self.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// As text, as it is shown.
impl serde::Serialize for Digest {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> core::result::Result<S::Ok, S::Error> {
        crate::shown::serialize_hash(&self.0, serializer)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Hashes parts so that no two lists of parts look alike: each comes behind its length.
struct PartHasher(blake3::Hasher);

impl PartHasher {
    fn part(&mut self, bytes: &[u8]) {
        self.0.update(&(bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
    }

    fn number(&mut self, number: u64) {
        self.0.update(&number.to_le_bytes());
    }
}

/// The digest of a space.
pub(crate) fn digest_space(reads: &dyn Reads, space: SpaceNumber) -> Result<Digest> {
    let mut hasher = PartHasher(blake3::Hasher::new());
    for family in [Family::Kv, Family::Json, Family::State] {
        hasher.part(&[family.byte()]);
        reads.visit(space, family, &KeyRange::all(), Direction::Forward, &mut |key, item| {
            hasher.part(key);
            hasher.part(&item.bytes()?);
            Ok(core::ops::ControlFlow::Continue(()))
        })?;
    }
    hash_streams(reads, space, &mut hasher)?;
    hash_trace(reads, space, &mut hasher)?;
    Ok(Digest(*hasher.0.finalize().as_bytes()))
}

fn hash_streams(reads: &dyn Reads, space: SpaceNumber, hasher: &mut PartHasher) -> Result<()> {
    let events = Events::new(Through(reads), space);
    hasher.part(&[Family::Stream.byte()]);
    for summary in events.streams(&ScanOptions::all())? {
        hasher.part(&summary.stream);
        hasher.number(summary.first);
        hasher.number(summary.head);
        events.for_each_stored(&summary.stream, &mut |event| {
            hasher.number(event.seq);
            hasher.part(event.kind);
            hasher.part(event.payload);
            Ok(())
        })?;
    }
    Ok(())
}

/// Trace entries in the order of their times; a parent counts by its place among them, because ids differ from run to run.
fn hash_trace(reads: &dyn Reads, space: SpaceNumber, hasher: &mut PartHasher) -> Result<()> {
    hasher.part(&[Family::Trace.byte()]);
    let entries = ordered_trace(reads, space)?;
    let places = places(&entries);
    for entry in &entries {
        hasher.number(entry.parent.and_then(|parent| places.get(&parent).copied()).unwrap_or(0));
        hasher.part(entry.kind.name().as_bytes());
        hasher.part(entry.name.as_bytes());
        let mut data = Vec::new();
        entry.data.encode(&mut data)?;
        hasher.part(&data);
        if entry.output != Value::Null {
            // No place is that large.
            hasher.number(u64::MAX);
            let mut output = Vec::new();
            entry.output.encode(&mut output)?;
            hasher.part(&output);
        }
    }
    Ok(())
}

/// Places of trace entries by their ids.
pub(super) type Places = HashMap<TraceId, u64, FxBuildHasher>;

/// The place of each entry among these, from 1 on.
pub(super) fn places(entries: &[TraceEntry]) -> Places {
    (1..).zip(entries).map(|(place, entry)| (entry.id, place)).collect()
}

/// Trace entries by time, and by content within one microsecond: there their ids are random, and two equal programs
/// would come to different orders.
pub(super) fn ordered_trace(reads: &dyn Reads, space: SpaceNumber) -> Result<Vec<TraceEntry>> {
    let mut entries = Trace::new(Through(reads), space).list(&ScanOptions::all())?;
    crate::order::sort_by(&mut entries, |left, right| {
        let content = |entry: &TraceEntry| (entry.time_micros, entry.parent.is_some());
        content(left)
            .cmp(&content(right))
            .then_with(|| left.kind.name().cmp(right.kind.name()))
            .then_with(|| left.name.cmp(&right.name))
            .then_with(|| left.data.cmp(&right.data))
            .then_with(|| left.output.cmp(&right.output))
    });
    Ok(entries)
}
