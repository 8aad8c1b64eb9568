//! The undo log of a write set: how it gets back to a savepoint.
//!
//! Invariants:
//! - Nothing is recorded while nobody holds a savepoint, and of each write at most one old body for each savepoint that
//!   somebody holds.
//! - A savepoint is good for the write set that gave it out, as long as it does not go back to an earlier one: another
//!   transaction's, or one of an earlier attempt, would bring back what was never written here.

use alloc::{
    boxed::Box,
    sync::{Arc, Weak},
    vec::Vec,
};
use core::cell::RefCell;

use super::{
    appends::{Appends, Extent},
    write::{Body, Write},
};
use crate::{
    planted::{self, Planted},
    work,
};

/// What the owner of a savepoint holds: its epoch. It is known by its address, which stays taken as long as it is held.
#[derive(Clone, Debug)]
pub(crate) struct Savepoint(Arc<u64>);

/// Where a savepoint is.
#[derive(Clone, Debug)]
pub(super) struct Mark {
    holder: Weak<u64>,
    /// What was written in this epoch or before was there at the savepoint.
    epoch: u64,
    /// How many records, writes and streams with appended events there were.
    pub(super) records: usize,
    pub(super) writes: usize,
    pub(super) streams: usize,
}

/// One change that can be taken back. Writes that were added are not recorded: they are those behind the mark's.
#[derive(Debug)]
pub(super) enum Record {
    /// A write got another body.
    Changed { at: usize, before: Write },
    /// Events were appended to those of a write.
    Grown { at: usize, epoch: u64, before: Extent },
    /// A write was taken out, with the events that it had.
    Removed { at: usize, before: Write, events: Option<Appends> },
}

/// The records since the oldest savepoint that somebody holds.
#[derive(Debug, Default)]
pub(super) struct Undo {
    marks: Vec<Mark>,
    records: Vec<Record>,
    /// Rises with each savepoint.
    epoch: u64,
    /// Bytes of old bodies in the records.
    held_bytes: usize,
    /// With so many marks, records or held bytes it is time to let go of what nobody can go back to.
    prune_at: Limits,
}

#[derive(Debug)]
struct Limits {
    marks: usize,
    records: usize,
    bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        // In tests little, so that small ones come there.
        if cfg!(test) {
            return Limits { marks: 4, records: 8, bytes: 512 };
        }
        Limits { marks: 64, records: 256, bytes: 64 << 10 }
    }
}

impl Mark {
    fn is_held(&self) -> bool {
        self.holder.strong_count() > 0
    }
}

/// The undo log, where there is one and it has to keep what a write of this epoch was.
#[inline]
pub(super) fn keeping(undo: &mut RefCell<Option<Box<Undo>>>, epoch: u64) -> Option<&mut Undo> {
    let undo = undo.get_mut().as_deref_mut()?;
    if undo.keeps(epoch) { Some(undo) } else { None }
}

/// The undo log, where a write at this position was there at the newest savepoint and must come back whole. Whether it was
/// changed since does not count: what a record says of its growth needs the rest of it.
pub(super) fn keeping_whole(undo: &mut RefCell<Option<Box<Undo>>>, at: usize) -> Option<&mut Undo> {
    let undo = undo.get_mut().as_deref_mut()?;
    undo.forget_newest();
    if undo.marks.last().is_some_and(|mark| mark.writes > at) { Some(undo) } else { None }
}

impl Undo {
    pub(super) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Whether nobody holds a savepoint.
    pub(super) fn is_empty(&mut self) -> bool {
        self.forget_newest();
        self.marks.is_empty()
    }

    /// Gives out a savepoint. Costs one allocation.
    pub(super) fn mark(&mut self, writes: usize, streams: usize) -> Savepoint {
        self.forget_newest();
        if self.marks.len() >= self.prune_at.marks {
            self.prune();
        }
        let holder = Arc::new(self.epoch);
        self.marks.push(Mark {
            holder: Arc::downgrade(&holder),
            epoch: self.epoch,
            records: self.records.len(),
            writes,
            streams,
        });
        self.epoch += 1;
        Savepoint(holder)
    }

    /// Whether what a write of this epoch was must be recorded before it is changed.
    #[inline]
    fn keeps(&mut self, epoch: u64) -> bool {
        self.forget_newest();
        self.marks.last().is_some_and(|mark| mark.epoch >= epoch)
    }

    /// Lets go of the newest savepoints that nobody holds, and of all records where those were all.
    fn forget_newest(&mut self) {
        while self.marks.pop_if(|mark| !mark.is_held()).is_some() {
            work::count(1);
        }
        if self.marks.is_empty() {
            work::count(self.records.len());
            self.records.clear();
            (self.held_bytes, self.prune_at) = (0, Limits::default());
        }
    }

    pub(super) fn record(&mut self, record: Record) {
        self.held_bytes += record.held_bytes();
        self.records.push(record);
        if self.records.len() >= self.prune_at.records || self.held_bytes >= self.prune_at.bytes {
            self.prune();
        }
    }

    /// The place of a savepoint that can be gone back to; those behind it are forgotten.
    pub(super) fn go_back(&mut self, savepoint: &Savepoint) -> Option<Mark> {
        if planted::active(Planted::ForeignSavepointTaken) && self.marks.is_empty() {
            return Some(Mark { holder: Weak::new(), epoch: *savepoint.0, records: 0, writes: 0, streams: 0 });
        }
        let at = self.marks.binary_search_by_key(&*savepoint.0, |mark| mark.epoch).ok()?;
        let mark = self.marks.get(at).filter(|mark| core::ptr::eq(mark.holder.as_ptr(), Arc::as_ptr(&savepoint.0)))?;
        let mark = mark.clone();
        self.marks.truncate(at + 1);
        Some(mark)
    }

    /// The newest record behind a mark.
    pub(super) fn pop(&mut self, mark: &Mark) -> Option<Record> {
        if self.records.len() <= mark.records {
            return None;
        }
        let record = self.records.pop()?;
        self.held_bytes -= record.held_bytes();
        Some(record)
    }

    /// Every write that is kept here, to move its body.
    pub(super) fn writes_mut(&mut self) -> impl Iterator<Item = &mut Write> {
        self.records.iter_mut().filter_map(|record| match record {
            Record::Changed { before, .. } | Record::Removed { before, .. } => Some(before),
            Record::Grown { .. } => None,
        })
    }

    /// Lets go of savepoints that nobody holds, and of old bodies that lie between two of which nobody holds the later: what
    /// was before is in an earlier record. Each record is looked at once for as many as were added since.
    fn prune(&mut self) {
        work::count(self.marks.len() + self.records.len());
        let mut marks = core::mem::take(&mut self.marks);
        marks.retain(Mark::is_held);
        let (mut kept, mut held_bytes) = (Vec::with_capacity(self.records.len()), 0);
        // Marks before this one have their new places.
        let mut next = 0;
        for (at, record) in core::mem::take(&mut self.records).into_iter().enumerate() {
            while let Some(mark) = marks.get_mut(next).filter(|mark| mark.records <= at) {
                mark.records = kept.len();
                next += 1;
            }
            let newest = next.checked_sub(1).and_then(|newest| marks.get(newest)).map(|mark| mark.epoch);
            if newest.is_some_and(|newest| record.is_needed_by(newest)) {
                held_bytes += record.held_bytes();
                kept.push(record);
            }
        }
        for mark in marks.get_mut(next..).unwrap_or_default() {
            mark.records = kept.len();
        }
        let least = Limits::default();
        self.prune_at = Limits {
            marks: least.marks.max(2 * marks.len()),
            records: least.records.max(2 * kept.len()),
            bytes: least.bytes.max(2 * held_bytes),
        };
        (self.marks, self.records, self.held_bytes) = (marks, kept, held_bytes);
    }
}

impl Record {
    pub(super) fn position(&self) -> usize {
        match self {
            Record::Changed { at, .. } | Record::Grown { at, .. } | Record::Removed { at, .. } => *at,
        }
    }

    fn held_bytes(&self) -> usize {
        match self {
            Record::Changed { before, .. } | Record::Removed { before, .. } => match before.body() {
                Body::Bytes(range) => range.len(),
                Body::Events(_) | Body::Gone => 0,
            },
            Record::Grown { .. } => 0,
        }
    }

    /// Whether a savepoint of this epoch, or one before it, needs the record. What was changed since is in an earlier record
    /// then, or the write was not there; but what was taken out has to be put back first.
    fn is_needed_by(&self, epoch: u64) -> bool {
        match self {
            Record::Changed { before, .. } => before.epoch <= epoch,
            Record::Grown { .. } | Record::Removed { .. } => true,
        }
    }
}
