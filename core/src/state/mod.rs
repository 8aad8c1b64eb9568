//! The state of a store as of one commit: the catalog of runs and one tree for each space.
//!
//! Invariants:
//! - Cloning a [`State`] is O(1) and shares everything; a clone never changes. Readers, snapshots, validation and forks
//!   all rest on that.
//! - `State::apply` is the only way a state changes. Live commits, recovery and replay call it with the same bytes, so
//!   they cannot come to different results.

mod apply;
mod edited;
mod expiry;
mod idempotency;
mod keys;
mod operation;
mod run;
mod runs;
mod stored_runs;
mod stream;
#[cfg(test)]
mod tests;

use alloc::{borrow::Cow, collections::BTreeMap, sync::Arc, vec::Vec};
use core::ops::Bound;

pub use self::{
    apply::LoggedTransaction,
    edited::EditBody,
    expiry::{Sweep, parse_expiry_body, split as split_expiry, split_expiring_body},
    keys::{Family, batch_key, batch_prefix, parse_batch_key, readable_tree_key},
    run::{DEFAULT_SPACE, RunInfo, RunStatus, SpaceNumber},
    stream::{BatchIndex, Block, EventBytes, Link, StreamInfo},
};
pub(crate) use self::{
    apply::{Appended, Chosen, batches_of, counted},
    edited::EditedDocument,
    expiry::{
        check_expiry, check_expiry_entry, expiring_body, expiry_body, over_at, parse_index_key, split, swept_keys,
    },
    idempotency::{IdempotencyWindow, KeptKey, WindowBounds, encode_bounds},
    operation::{Hardness, check_operation, trimmed_to},
    run::{Ended, Ending, RunAnnotated, RunBegun, RunEnded, RunRecord, RunResumed, decode_body, encode_body},
    runs::Runs,
    stored_runs::{ReadRun, StoredRuns, Unended},
    stream::{next_link, read_event},
};
pub use crate::shown::readable;
use crate::{
    Error, Result, RunId,
    log::{LogPointer, LogPosition},
    tree::{EntryRef, PageSource, Tree},
    work,
};

/// How a tree entry keeps its value. Normative text: `docs/format.md`, rule F-32.
pub mod entry_kind {
    /// The value's bytes.
    pub const INLINE: u8 = 0;
    /// A [`LogPointer`](crate::log::LogPointer) to the value's bytes.
    pub const POINTER: u8 = 1;
    /// A [`BatchIndex`](super::BatchIndex).
    pub const BATCH: u8 = 2;
    /// Length and checksum of a document, a [`LogPointer`](crate::log::LogPointer) to where it is whole, and one to each of
    /// the edits that were made since.
    pub const EDITED: u8 = 3;
    /// When the entry is over, the kind that it has otherwise, and what that kind has.
    pub const EXPIRING: u8 = 4;
}

/// Where a state finds what it does not hold itself: absent leaf pages and values that stayed in the log.
pub trait Source: PageSource {
    /// `len` bytes of a segment at `offset`. Whoever asks checks them against the checksum it has.
    fn log_bytes(&self, segment: u64, offset: u64, len: usize) -> Result<Vec<u8>>;

    /// How many bytes of a segment are with the storage and can be read in one piece; 0 where that is not known.
    fn log_len(&self, _segment: u64) -> Result<u64> {
        Ok(0)
    }
}

/// The bytes behind a pointer, checked. Fails with [`Error::Corrupt`] where they do not match the pointer's checksum.
pub(crate) fn resolve(pointer: &LogPointer, source: &dyn Source) -> Result<Vec<u8>> {
    let len = usize::try_from(pointer.len).unwrap_or(usize::MAX);
    let bytes = source.log_bytes(pointer.segment, pointer.offset, len)?;
    check_crc(&bytes, pointer.crc, pointer.segment, pointer.offset)?;
    Ok(bytes)
}

/// Fails with [`Error::Corrupt`] where bytes of the log do not have the checksum that the tree keeps for them.
pub(crate) fn check_crc(bytes: &[u8], expected: u32, segment: u64, offset: u64) -> Result<()> {
    let found = crate::checksum::hash(bytes);
    if found == expected || crate::planted::active(crate::planted::Planted::ValueChecksumSkipped) {
        return Ok(());
    }
    Err(Error::Corrupt {
        file: crate::log::segment_name(segment),
        offset,
        rule: "F-32",
        what: alloc::format!("the value has checksum {found:08x}, its pointer says {expected:08x}"),
    })
}

/// The value of an entry, from the tree or from the log.
pub(crate) fn entry_bytes<'a>(entry: &EntryRef<'a>, source: &dyn Source) -> Result<Cow<'a, [u8]>> {
    let (entry, _) = split(*entry);
    Ok(match entry.kind {
        entry_kind::INLINE | entry_kind::BATCH => Cow::Borrowed(entry.value),
        entry_kind::POINTER => Cow::Owned(resolve(&LogPointer::decode(entry.value)?, source)?),
        _ => read_edited(&entry, source)?,
    })
}

/// Kept apart: most values are no edited documents.
#[cold]
fn read_edited<'a>(entry: &EntryRef<'a>, source: &dyn Source) -> Result<Cow<'a, [u8]>> {
    match (entry.kind, EditedDocument::of(entry)?) {
        (entry_kind::EDITED, Some(document)) => Ok(Cow::Owned(document.read(source)?)),
        _ => Ok(Cow::Borrowed(entry.value)),
    }
}

/// One keyspace: its tree and where its history ends.
#[derive(Clone, Default)]
pub struct Space {
    pub(crate) tree: Tree,
    /// Where the newest transaction that touched this space is in the log; the chain of its history begins there.
    pub(crate) last_position: Option<LogPosition>,
    /// Seq of that transaction.
    pub(crate) last_seq: u64,
    /// How many transactions touched the space.
    pub(crate) commits: u64,
    /// Bytes of values and events that live in the log, by segment.
    pub(crate) live: Arc<BTreeMap<u64, u64>>,
    /// Whether anything of it may be over at some time, as far as is known.
    pub(crate) may_expire: expiry::MayExpire,
}

impl Space {
    /// The space's tree.
    pub fn tree(&self) -> &Tree {
        &self.tree
    }

    /// Seq of the last commit that touched the space; 0 where none did.
    pub fn last_seq(&self) -> u64 {
        self.last_seq
    }

    /// How many commits touched the space.
    pub fn commits(&self) -> u64 {
        self.commits
    }

    /// Adds the bytes of values and events that live in the log, by segment.
    pub(crate) fn add_live(&self, sums: &mut BTreeMap<u64, u64>) {
        for (segment, bytes) in self.live.iter() {
            *sums.entry(*segment).or_default() += bytes;
        }
    }
}

/// A run: its space and its life.
#[derive(Clone)]
pub(crate) struct Run {
    pub(crate) space: Space,
    pub(crate) record: Arc<RunRecord>,
}

/// Everything that is committed, as of one seq.
#[derive(Clone, Default)]
pub struct State {
    /// Seq of the last commit in it.
    pub(crate) seq: u64,
    /// The host's time of that commit, in microseconds.
    pub(crate) time_micros: u64,
    pub(crate) default: Space,
    pub(crate) runs: Runs,
    /// The number that the next run gets.
    pub(crate) next_number: SpaceNumber,
    pub(crate) idempotency: IdempotencyWindow,
}

impl State {
    /// The state before the first commit.
    pub fn new() -> Self {
        State { next_number: 1, ..State::default() }
    }

    /// Seq of the last commit in this state; 0 before the first.
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// The host's time of the last commit, in microseconds.
    pub fn time_micros(&self) -> u64 {
        self.time_micros
    }

    /// The space of this number, if it exists.
    pub fn space(&self, number: SpaceNumber) -> Option<&Space> {
        match number {
            DEFAULT_SPACE => Some(&self.default),
            _ => self.runs.get(number).map(|run| &run.space),
        }
    }

    pub(crate) fn space_mut(&mut self, number: SpaceNumber) -> Option<&mut Space> {
        match number {
            DEFAULT_SPACE => Some(&mut self.default),
            _ => self.runs.get_mut(number).map(|run| &mut run.space),
        }
    }

    /// The number of a run.
    pub fn number(&self, id: RunId) -> Result<SpaceNumber> {
        self.runs.find(id).ok_or(Error::UnknownRun(id))
    }

    pub(crate) fn run(&self, number: SpaceNumber) -> Option<&Run> {
        self.runs.get(number)
    }

    /// What is known of a run, for a process with this open epoch.
    pub fn run_info(&self, number: SpaceNumber, epoch: u64) -> Option<RunInfo> {
        work::count(1);
        let run = self.runs.look(number)?;
        Some(run.record.info(number, epoch, run.space.last_seq, run.space.commits))
    }

    /// The numbers of all runs, in the order of their beginning.
    pub fn run_numbers(&self) -> impl DoubleEndedIterator<Item = SpaceNumber> + '_ {
        self.run_numbers_between(Bound::Unbounded, Bound::Unbounded)
    }

    /// The numbers of the runs between two bounds, in the order of their beginning. Finding the first costs O(log n).
    pub fn run_numbers_between(
        &self,
        start: Bound<SpaceNumber>,
        end: Bound<SpaceNumber>,
    ) -> impl DoubleEndedIterator<Item = SpaceNumber> + '_ {
        self.runs.numbers_between(start, end).inspect(|_| work::count(1))
    }

    /// Shows all spaces, the default one first. Leaves no run in memory that was not there.
    pub(crate) fn look_at_spaces(&self, look: &mut dyn FnMut(&Space)) {
        look(&self.default);
        self.runs.iter().for_each(|(_, run)| look(&run.space));
    }

    /// Shows the default space and those of all runs that have not ended, by ascending number. Leaves no run in memory that was not there.
    pub(crate) fn look_at_open_spaces(&self, look: &mut dyn FnMut(SpaceNumber, &Space)) {
        look(DEFAULT_SPACE, &self.default);
        for (number, run) in self.runs.iter().filter(|(_, run)| run.record.ended.is_none()) {
            look(number, &run.space);
        }
    }

    /// How many runs there are.
    pub fn run_count(&self) -> usize {
        self.runs.len()
    }

    /// How many idempotency keys the window remembers.
    pub fn idempotency_keys(&self) -> usize {
        self.idempotency.len()
    }

    /// Bytes of values and events that live in each segment of the log, by segment number.
    pub fn live_bytes(&self) -> BTreeMap<u64, u64> {
        let mut sums = BTreeMap::new();
        self.look_at_spaces(&mut |space| space.add_live(&mut sums));
        sums
    }
}
