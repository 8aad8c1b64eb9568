//! What a transaction has read, and whether it still holds.
//!
//! Invariant: a transaction that validates would have read the same had it run at the moment of its commit. Points are
//! compared by the seq of the entry (two absences are equal), ranges by the structural difference between the version
//! that was read and the version now, so that a key that appeared in a range is noticed: no lost update, no write skew,
//! no phantom. Trees that share everything are compared in constant time.

use alloc::{string::String, vec::Vec};
use core::ops::ControlFlow;

use crate::{
    Error, Result,
    planted::{self, Planted},
    state::{SpaceNumber, State, readable_tree_key},
    tree::{KeyRange, PageSource, Tree},
    work,
};

/// The reads of one transaction. Keys and ranges are those of the tree.
#[derive(Clone, Debug, Default)]
pub(crate) struct ReadSet {
    points: Vec<PointRead>,
    ranges: Vec<(SpaceNumber, KeyRange)>,
    runs: Vec<(SpaceNumber, u64)>,
}

#[derive(Clone, Debug)]
struct PointRead {
    space: SpaceNumber,
    key: Vec<u8>,
    seq: Option<u64>,
}

impl ReadSet {
    /// A key was read and had an entry of this seq, or none.
    pub(crate) fn point(&mut self, space: SpaceNumber, key: Vec<u8>, seq: Option<u64>) {
        self.points.push(PointRead { space, key, seq });
    }

    /// A range was read completely.
    pub(crate) fn range(&mut self, space: SpaceNumber, range: KeyRange) {
        self.ranges.push((space, range));
    }

    /// A run's status, labels or metadata were read, as its last change left them.
    pub(crate) fn run(&mut self, space: SpaceNumber, changed_seq: u64) {
        self.runs.push((space, changed_seq));
    }

    /// Fails with [`Error::Conflict`], naming a key, where something read from `base` is different in `now`.
    pub(crate) fn validate(&self, base: &State, now: &State, pages: &dyn PageSource) -> Result<()> {
        if base.seq() == now.seq() {
            return Ok(());
        }
        let points = if planted::active(Planted::PointReadsIgnored) { &[] } else { self.points.as_slice() };
        for read in points {
            validate_point(read, base, now, pages)?;
        }
        let ranges = if planted::active(Planted::RangeReadsIgnored) { &[] } else { self.ranges.as_slice() };
        for (space, range) in ranges {
            validate_range(*space, range, base, now, pages)?;
        }
        for (space, changed_seq) in &self.runs {
            let seq = now.run(*space).map(|run| run.record.changed_seq);
            if seq != Some(*changed_seq) {
                return Err(conflict(String::from("the run's status"), base, seq.unwrap_or(now.seq())));
            }
        }
        Ok(())
    }
}

/// Whether a space may have changed since `base`.
fn changed(space: SpaceNumber, base: &State, now: &State) -> bool {
    now.space(space).is_none_or(|space| space.last_seq() > base.seq())
}

fn validate_point(read: &PointRead, base: &State, now: &State, pages: &dyn PageSource) -> Result<()> {
    work::count(1);
    if !changed(read.space, base, now) {
        return Ok(());
    }
    let seq = match now.space(read.space) {
        Some(space) => space.tree().get(&read.key, pages)?.map(|entry| entry.seq),
        None => None,
    };
    if seq == read.seq {
        return Ok(());
    }
    Err(conflict(readable_tree_key(&read.key), base, seq.unwrap_or(now.seq())))
}

fn validate_range(
    space: SpaceNumber,
    range: &KeyRange,
    base: &State,
    now: &State,
    pages: &dyn PageSource,
) -> Result<()> {
    work::count(1);
    if !changed(space, base, now) {
        return Ok(());
    }
    let empty = Tree::new();
    let tree = |state: &State| state.space(space).map_or_else(|| empty.clone(), |space| space.tree().clone());
    let mut first = None;
    tree(base).diff(&tree(now), range, pages, &mut |key, _, newer| {
        first = Some((readable_tree_key(key), newer.map_or(now.seq(), |entry| entry.seq)));
        ControlFlow::Break(())
    })?;
    match first {
        Some((key, seq)) => Err(conflict(key, base, seq)),
        None => Ok(()),
    }
}

fn conflict(key: String, base: &State, changed: u64) -> Error {
    Error::Conflict { key, read: base.seq(), changed }
}
