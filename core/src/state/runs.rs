//! The runs of a state: those of the snapshot, and what came of them since.
//!
//! Invariants:
//! - Cloning is O(1) and shares everything.
//! - What was begun or changed since the snapshot hides what the snapshot has under the same number; a number is never used
//!   twice, so a deleted run stays hidden.

use alloc::{sync::Arc, vec::Vec};
use core::ops::Bound;

use rpds::RedBlackTreeMapSync;

use super::{
    Run, SpaceNumber,
    stored_runs::{Looked, StoredRuns},
};
use crate::RunId;

/// The runs of a state, by number and by id.
#[derive(Clone, Default)]
pub(crate) struct Runs {
    stored: Option<Arc<StoredRuns>>,
    /// Runs that were begun or changed since the snapshot; `None` for one that is gone although the snapshot has it.
    changed: RedBlackTreeMapSync<SpaceNumber, Option<Run>>,
    /// The numbers of runs that the snapshot does not have.
    numbers: RedBlackTreeMapSync<RunId, SpaceNumber>,
    len: usize,
}

impl Runs {
    /// Those of a snapshot, unchanged.
    pub(crate) fn stored(stored: StoredRuns) -> Self {
        let len = stored.numbers().len();
        Self { stored: Some(Arc::new(stored)).filter(|_| len > 0), len, ..Self::default() }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The run of this number. One of the snapshot is built now and stays.
    pub(crate) fn get(&self, number: SpaceNumber) -> Option<&Run> {
        match self.changed.get(&number) {
            Some(run) => run.as_ref(),
            None => self.stored.as_ref()?.get(number),
        }
    }

    /// The run of this number, for a look in passing: what walks over all runs leaves none of them in memory.
    pub(crate) fn look(&self, number: SpaceNumber) -> Option<Looked<'_>> {
        match self.changed.get(&number) {
            Some(run) => run.as_ref().map(Looked::Kept),
            None => self.stored.as_ref()?.look(number),
        }
    }

    pub(crate) fn get_mut(&mut self, number: SpaceNumber) -> Option<&mut Run> {
        if self.changed.get(&number).is_none() {
            let run = self.stored.as_ref()?.get(number)?.clone();
            self.changed.insert_mut(number, Some(run));
        }
        self.changed.get_mut(&number)?.as_mut()
    }

    /// The number of the run with this id.
    pub(crate) fn find(&self, id: RunId) -> Option<SpaceNumber> {
        if let Some(number) = self.numbers.get(&id) {
            return Some(*number);
        }
        let number = self.stored.as_ref()?.find(id)?;
        self.is_shown(number).then_some(number)
    }

    /// Whether a run of the snapshot is still there. Its id is never changed.
    fn is_shown(&self, number: SpaceNumber) -> bool {
        self.changed.get(&number).is_none_or(Option::is_some)
    }

    /// Adds a run under a number that none has or had.
    pub(crate) fn insert(&mut self, number: SpaceNumber, run: Run) {
        self.numbers.insert_mut(run.record.id(), number);
        self.changed.insert_mut(number, Some(run));
        self.len += 1;
    }

    pub(crate) fn remove(&mut self, number: SpaceNumber) {
        let Some(id) = self.look(number).map(|run| run.record.id()) else { return };
        self.numbers.remove_mut(&id);
        if self.stored.as_ref().is_some_and(|stored| stored.contains(number)) {
            self.changed.insert_mut(number, None);
        } else {
            self.changed.remove_mut(&number);
        }
        self.len -= 1;
    }

    /// The numbers between two bounds, ascending. Finding the first is O(log n), as is each of those of the snapshot.
    pub(crate) fn numbers_between(
        &self,
        start: Bound<SpaceNumber>,
        end: Bound<SpaceNumber>,
    ) -> impl DoubleEndedIterator<Item = SpaceNumber> + '_ {
        let stored = between(self.stored.as_ref().map_or(&[], |stored| stored.numbers()), start, end);
        let stored = stored.iter().copied().filter(|number| self.changed.get(number).is_none());
        // A range that ends before it begins is no range of the map's, and it would panic.
        let is_empty = is_empty(start, end);
        let changed = (!is_empty).then(|| self.changed.range((start, end))).into_iter().flatten();
        Merged::new(stored, changed.filter(|(_, run)| run.is_some()).map(|(number, _)| *number))
    }

    /// All runs by ascending number, each looked at in passing.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (SpaceNumber, Looked<'_>)> {
        let numbers = self.numbers_between(Bound::Unbounded, Bound::Unbounded);
        numbers.filter_map(|number| Some((number, self.look(number)?)))
    }

    /// The ids of runs that have not ended and that a process of another epoch began or resumed, by ascending number.
    /// Builds none of the snapshot's.
    pub(crate) fn orphans(&self, epoch: u64) -> Vec<RunId> {
        let stored = self.stored.iter().flat_map(|stored| stored.unended());
        let stored = stored.filter(|(number, ..)| self.changed.get(number).is_none());
        let changed = self.changed.iter().filter_map(|(number, run)| Some((*number, run.as_ref()?)));
        let changed = changed.filter(|(_, run)| run.record.ended.is_none());
        let changed = changed.map(|(number, run)| (number, run.record.id(), run.record.began.epoch));
        let mut found: Vec<_> = stored.chain(changed).filter(|(.., began)| *began != epoch).collect();
        crate::order::sort_by(&mut found, |left, right| left.0.cmp(&right.0));
        found.into_iter().map(|(_, id, _)| id).collect()
    }

    /// How many entries the trees of all runs have, or some more: those that the snapshot had of a run count for it even if it
    /// was changed since.
    pub(crate) fn entries_at_most(&self) -> u64 {
        let changed = self.changed.values().flatten().map(|run| run.space.tree.len()).sum::<u64>();
        changed.saturating_add(self.stored.as_ref().map_or(0, |stored| stored.entries()))
    }
}

/// The part of ascending numbers that lies between two bounds.
fn between(numbers: &[SpaceNumber], start: Bound<SpaceNumber>, end: Bound<SpaceNumber>) -> &[SpaceNumber] {
    let first = match start {
        Bound::Included(start) => numbers.partition_point(|number| *number < start),
        Bound::Excluded(start) => numbers.partition_point(|number| *number <= start),
        Bound::Unbounded => 0,
    };
    let behind = match end {
        Bound::Included(end) => numbers.partition_point(|number| *number <= end),
        Bound::Excluded(end) => numbers.partition_point(|number| *number < end),
        Bound::Unbounded => numbers.len(),
    };
    numbers.get(first..behind).unwrap_or_default()
}

/// Whether no number can lie between two bounds because the first is above the second.
fn is_empty(start: Bound<SpaceNumber>, end: Bound<SpaceNumber>) -> bool {
    match (start, end) {
        (Bound::Unbounded, _) | (_, Bound::Unbounded) => false,
        (Bound::Included(start), Bound::Included(end)) => start > end,
        (Bound::Included(start) | Bound::Excluded(start), Bound::Excluded(end) | Bound::Included(end)) => start >= end,
    }
}

/// Two ascending iterators without a common element, as one.
struct Merged<A: Iterator, B: Iterator> {
    left: A,
    right: B,
    /// What was taken from the fronts and the backs and not yet given out.
    fronts: (Option<A::Item>, Option<B::Item>),
    backs: (Option<A::Item>, Option<B::Item>),
}

impl<A: Iterator, B: Iterator> Merged<A, B> {
    fn new(left: A, right: B) -> Self {
        Self { left, right, fronts: (None, None), backs: (None, None) }
    }
}

impl<A, B> Iterator for Merged<A, B>
where
    A: Iterator<Item = SpaceNumber>,
    B: Iterator<Item = SpaceNumber>,
{
    type Item = SpaceNumber;

    fn next(&mut self) -> Option<SpaceNumber> {
        // Where an iterator has come to its end, what its other end still holds is its last element.
        let left = self.fronts.0.take().or_else(|| self.left.next()).or_else(|| self.backs.0.take());
        let right = self.fronts.1.take().or_else(|| self.right.next()).or_else(|| self.backs.1.take());
        match (left, right) {
            (Some(left), Some(right)) if left < right => {
                self.fronts.1 = Some(right);
                Some(left)
            }
            (Some(left), Some(right)) => {
                self.fronts.0 = Some(left);
                Some(right)
            }
            (left, right) => left.or(right),
        }
    }
}

impl<A, B> DoubleEndedIterator for Merged<A, B>
where
    A: DoubleEndedIterator<Item = SpaceNumber>,
    B: DoubleEndedIterator<Item = SpaceNumber>,
{
    fn next_back(&mut self) -> Option<SpaceNumber> {
        let left = self.backs.0.take().or_else(|| self.left.next_back()).or_else(|| self.fronts.0.take());
        let right = self.backs.1.take().or_else(|| self.right.next_back()).or_else(|| self.fronts.1.take());
        match (left, right) {
            (Some(left), Some(right)) if left > right => {
                self.backs.1 = Some(right);
                Some(left)
            }
            (Some(left), Some(right)) => {
                self.backs.0 = Some(left);
                Some(right)
            }
            (left, right) => left.or(right),
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(crate::value::tests::seeded(300))]

        #[test]
        fn two_iterators_merge_from_both_ends(
            of_left in prop::collection::vec(any::<bool>(), 0..20),
            from_front in prop::collection::vec(any::<bool>(), 20),
        ) {
            let numbers: Vec<SpaceNumber> = (0..).take(of_left.len()).collect();
            let side = |wanted: bool| numbers.iter().copied().zip(&of_left).filter(move |(_, left)| **left == wanted);
            let mut merged = Merged::new(side(true).map(|(number, _)| number), side(false).map(|(number, _)| number));
            let mut expected = numbers.iter().copied();
            for front in from_front {
                let (found, expected) =
                    if front { (merged.next(), expected.next()) } else { (merged.next_back(), expected.next_back()) };
                prop_assert_eq!(found, expected);
            }
        }
    }

    #[test]
    fn bounds_that_cross_have_nothing_between_them() {
        let numbers = [1, 3, 5];
        let all = [Bound::Unbounded, Bound::Included(3), Bound::Excluded(3), Bound::Included(4), Bound::Excluded(0)];
        for (start, end) in all.into_iter().flat_map(|start| all.map(|end| (start, end))) {
            let expected: Vec<_> =
                numbers.into_iter().filter(|number| core::ops::RangeBounds::contains(&(start, end), number)).collect();
            assert_eq!(between(&numbers, start, end), expected, "{start:?} {end:?}");
            assert!(!is_empty(start, end) || expected.is_empty(), "{start:?} {end:?}");
        }
    }
}
