//! The runs that a transaction begins.
//!
//! Invariant: the number that a run has until its commit is one that no other transaction of this process gives out, in this
//! store or another: a number that comes to the wrong transaction leads to no run there.

use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, Ordering};

use hashbrown::HashTable;

use crate::{RunId, state::SpaceNumber, work};

/// Set in the number of a run that the transaction itself begins: the real number is given at commit.
pub(crate) const PROVISIONAL: SpaceNumber = 1 << 31;

/// Up to here a search through all is quicker than an index, and nearly every transaction begins no more.
const UNINDEXED_MAX: usize = 8;

/// The next provisional number. Nothing follows from its value, but that it differs from those before it: it is not logged,
/// and comes round after two thousand million runs.
static NEXT: AtomicU32 = AtomicU32::new(0);

/// Numbers and ids, in the order of their beginning.
#[derive(Debug, Default)]
pub(super) struct NewRuns {
    runs: Vec<(SpaceNumber, RunId)>,
    /// Places in `runs`, by id: the first of those that share one.
    by_id: HashTable<usize>,
    /// The numbers came round in this transaction, and are not in order.
    disordered: bool,
}

impl NewRuns {
    /// Gives a run its number until the commit.
    pub(super) fn begin(&mut self, id: RunId) -> SpaceNumber {
        let number = PROVISIONAL | NEXT.fetch_add(1, Ordering::Relaxed);
        self.disordered |= self.runs.last().is_some_and(|(last, _)| *last > number);
        let first_with_id = self.number(id).is_none();
        self.runs.push((number, id));
        if self.runs.len() == UNINDEXED_MAX + 1 {
            for at in (0..self.runs.len()).rev() {
                self.insert(at);
            }
        } else if self.runs.len() > UNINDEXED_MAX && first_with_id {
            self.insert(self.runs.len() - 1);
        }
        number
    }

    /// Puts a place into the index, over a later one with the same id.
    fn insert(&mut self, at: usize) {
        let runs = &self.runs;
        let Some((_, id)) = runs.get(at) else { return };
        let same = |other: &usize| runs.get(*other).is_some_and(|(_, other)| other == id);
        let hash_of = |at: &usize| runs.get(*at).map_or(0, |(_, id)| id.hash_for_table());
        if let Some(later) = self.by_id.find_mut(id.hash_for_table(), same) {
            *later = at;
        } else {
            self.by_id.insert_unique(id.hash_for_table(), at, hash_of);
        }
    }

    /// The number of the first run with an id.
    pub(super) fn number(&self, id: RunId) -> Option<SpaceNumber> {
        let same = |at: &usize| {
            work::count(1);
            self.runs.get(*at).is_some_and(|(_, other)| *other == id)
        };
        let at = if self.runs.len() <= UNINDEXED_MAX {
            (0..self.runs.len()).find(same)?
        } else {
            *self.by_id.find(id.hash_for_table(), same)?
        };
        self.runs.get(at).map(|(number, _)| *number)
    }

    /// The id of the run with a number.
    pub(super) fn id(&self, number: SpaceNumber) -> Option<RunId> {
        let at = if self.disordered {
            self.runs.iter().position(|(other, _)| *other == number)?
        } else {
            self.runs.binary_search_by_key(&number, |(other, _)| *other).ok()?
        };
        self.runs.get(at).map(|(_, id)| *id)
    }

    /// Forgets the newest run, whose beginning was taken back.
    pub(super) fn take_back_newest(&mut self) {
        let Some(at) = self.runs.len().checked_sub(1) else { return };
        if at <= UNINDEXED_MAX {
            self.by_id.clear();
        } else if let Some((_, id)) = self.runs.get(at)
            && let Ok(entry) = self.by_id.find_entry(id.hash_for_table(), |other| *other == at)
        {
            entry.remove();
        }
        self.runs.pop();
    }
}
