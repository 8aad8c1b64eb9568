//! The runs of the snapshot that a store was opened from: each is built when somebody asks for it.
//!
//! Invariant: what is here was proven when the snapshot was opened, and never changes: a run that is changed afterwards lives
//! in [`Runs`](super::runs::Runs). So a run that nobody asks for costs its bytes and three numbers, and opening a store does not
//! build a hundred thousand names, maps and trees of which it needs none.

use alloc::{boxed::Box, vec::Vec};

use hashbrown::{HashTable, hash_table::Entry};
use once_cell::race::OnceBox;

use super::{Run, SpaceNumber};
use crate::RunId;

/// Builds runs from bytes that are known to be whole. `at` is the place of a run in the order of their numbers.
pub(crate) trait ReadRun: Send + Sync {
    /// The id of a run.
    fn id(&self, at: usize) -> RunId;
    /// A run, with all leaves of its tree absent.
    fn read(&self, at: usize) -> Run;
}

/// A run that had not ended.
#[derive(Clone, Copy)]
pub(crate) struct Unended {
    /// Its place.
    pub(crate) at: usize,
    /// The open epoch of the process that began or last resumed it.
    pub(crate) epoch: u64,
}

/// All runs of a snapshot.
pub(crate) struct StoredRuns {
    /// Ascending.
    numbers: Vec<SpaceNumber>,
    /// Places by the id there.
    by_id: HashTable<u32>,
    unended: Vec<Unended>,
    /// How many entries all their trees have.
    entries: u64,
    /// What was built. Two threads that ask at once build the same from the same bytes, and one of both stays.
    built: Vec<OnceBox<Run>>,
    reader: Box<dyn ReadRun>,
}

impl StoredRuns {
    /// Fails with the number of a run whose id another one has as well. `numbers` ascend.
    pub(crate) fn new(
        numbers: Vec<SpaceNumber>,
        unended: Vec<Unended>,
        entries: u64,
        reader: Box<dyn ReadRun>,
    ) -> Result<Self, SpaceNumber> {
        let mut by_id: HashTable<u32> = HashTable::with_capacity(numbers.len());
        // There are at most as many as there are numbers, which have 32 bits.
        for (place, number) in (0..=u32::MAX).zip(&numbers) {
            let id = reader.id(place_of(place));
            let same = |other: &u32| reader.id(place_of(*other)) == id;
            match by_id.entry(id.hash_for_table(), same, |other| reader.id(place_of(*other)).hash_for_table()) {
                Entry::Occupied(_) => return Err(*number),
                Entry::Vacant(vacant) => _ = vacant.insert(place),
            }
        }
        let mut built = Vec::new();
        built.resize_with(numbers.len(), OnceBox::new);
        Ok(Self { numbers, by_id, unended, entries, built, reader })
    }

    /// The numbers, ascending.
    pub(crate) fn numbers(&self) -> &[SpaceNumber] {
        &self.numbers
    }

    /// How many entries the trees of all these runs have.
    pub(crate) fn entries(&self) -> u64 {
        self.entries
    }

    /// The run of this number. It stays built. O(log n).
    pub(crate) fn get(&self, number: SpaceNumber) -> Option<&Run> {
        let at = self.place(number)?;
        Some(self.built.get(at)?.get_or_init(|| Box::new(self.reader.read(at))))
    }

    /// The run of this number if it was built already, or built for the caller alone.
    pub(crate) fn look(&self, number: SpaceNumber) -> Option<Looked<'_>> {
        let at = self.place(number)?;
        Some(match self.built.get(at)?.get() {
            Some(run) => Looked::Kept(run),
            None => Looked::Built(Box::new(self.reader.read(at))),
        })
    }

    pub(crate) fn contains(&self, number: SpaceNumber) -> bool {
        self.place(number).is_some()
    }

    /// The number of the run with this id. O(1).
    pub(crate) fn find(&self, id: RunId) -> Option<SpaceNumber> {
        let place = self.by_id.find(id.hash_for_table(), |place| self.reader.id(place_of(*place)) == id)?;
        self.numbers.get(place_of(*place)).copied()
    }

    /// The runs that had not ended: number, id and epoch, by ascending number. Builds none of them.
    pub(crate) fn unended(&self) -> impl Iterator<Item = (SpaceNumber, RunId, u64)> + '_ {
        let found = |run: &Unended| Some((*self.numbers.get(run.at)?, self.reader.id(run.at), run.epoch));
        self.unended.iter().filter_map(found)
    }

    fn place(&self, number: SpaceNumber) -> Option<usize> {
        self.numbers.binary_search(&number).ok()
    }
}

/// A run that is looked at in passing.
pub(crate) enum Looked<'a> {
    Kept(&'a Run),
    Built(Box<Run>),
}

impl core::ops::Deref for Looked<'_> {
    type Target = Run;

    fn deref(&self) -> &Run {
        match self {
            Looked::Kept(run) => run,
            Looked::Built(run) => run,
        }
    }
}

/// A place as an index. It fits on every target that exists.
fn place_of(place: u32) -> usize {
    usize::try_from(place).unwrap_or(usize::MAX)
}
