//! The storage contract as cases that every backend runs.
//!
//! Each sentence of [`foldb_core::storage`] is a [`Case`]: a name, and one or more *phases* that get an open storage and
//! say what is wrong with it. Between two phases the caller drops the storage and opens it again. A phase starts no
//! thread, waits for nothing and touches nothing but the storage, so that a backend whose opening is asynchronous, as in
//! a browser's worker, runs the very same cases:
//!
//! ```text
//! for case in conformance::cases::<OpfsStorage>() {
//!     let mut storage = open_empty_directory().await;
//!     for (number, phase) in case.phases.iter().enumerate() {
//!         if number > 0 { storage = close_and_open_again(storage).await; }
//!         report(case.name, phase(&storage));
//!     }
//! }
//! ```
//!
//! A backend that opens synchronously implements [`StorageFactory`] and calls [`assert_conforms`]:
//!
//! ```
//! use foldb_core::storage::{MemStorage, StorageError};
//! use foldb_testkit::conformance::{self, StorageFactory};
//!
//! #[derive(Default)]
//! struct Memory(MemStorage);
//!
//! impl StorageFactory for Memory {
//!     type Storage = MemStorage;
//!     fn fresh(&mut self) -> Result<MemStorage, StorageError> {
//!         self.0 = MemStorage::new();
//!         Ok(self.0.clone())
//!     }
//!     fn reopen(&mut self) -> Result<MemStorage, StorageError> {
//!         Ok(self.0.clone())
//!     }
//! }
//!
//! conformance::assert_conforms(&mut Memory::default());
//! ```

mod check;
mod length;
mod model;
mod names;
mod persistence;
mod place;
mod reading;
mod writing;

use foldb_core::storage::{Storage, StorageError};

/// What is wrong, in words, or nothing.
pub type Outcome = Result<(), String>;

/// A part of a case between two openings of the storage.
pub type Phase<S> = fn(&S) -> Outcome;

/// Something that not every medium can do and that a case needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Capability {
    /// Files of more than 4 GiB that take no more room than the bytes written.
    LargeOffsets,
}

/// One sentence of the contract.
#[derive(Debug)]
pub struct Case<S> {
    /// The sentence, as the name of a test.
    pub name: &'static str,
    /// What the medium must be able to do; else the case is skipped.
    pub needs: Option<Capability>,
    /// To be run in order on a storage that is empty at first, dropped and opened again between two of them.
    pub phases: Vec<Phase<S>>,
}

/// A source of storages of one backend.
pub trait StorageFactory {
    /// The backend.
    type Storage: Storage;

    /// Opens a storage without files. The one before has been dropped.
    fn fresh(&mut self) -> Result<Self::Storage, StorageError>;

    /// Opens the storage of the last [`fresh`](Self::fresh) again. The handle before has been dropped.
    fn reopen(&mut self) -> Result<Self::Storage, StorageError>;

    /// Tries to open, as a second owner, the storage that is open already. `None` if the backend does not exclude
    /// others, as memory does not.
    fn second_opener(&mut self) -> Option<Result<Self::Storage, StorageError>> {
        None
    }

    /// Does to the open storage what lets a second owner in behind its back, as somebody does who removes its lock file.
    /// `false` if nothing of the kind can be done to this backend.
    fn displace(&mut self) -> bool {
        false
    }

    /// Whether the medium can do this.
    fn supports(&self, _capability: Capability) -> bool {
        true
    }
}

/// How a case ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The backend keeps this sentence.
    Kept,
    /// The backend does not claim it.
    Skipped,
    /// The backend breaks it, in this way.
    Broken(String),
}

/// All cases, in the order of the contract.
pub fn cases<S: Storage>() -> Vec<Case<S>> {
    let topics = [
        names::cases(),
        reading::cases(),
        writing::cases(),
        length::cases(),
        persistence::cases(),
        place::cases(),
        model::cases(),
    ];
    topics.into_iter().flatten().collect()
}

/// Runs everything and returns each case's name and how it ended.
pub fn run<F: StorageFactory>(factory: &mut F) -> Vec<(&'static str, Verdict)> {
    let mut verdicts: Vec<_> = cases::<F::Storage>()
        .iter()
        .map(|case| {
            let verdict = match case.needs {
                Some(capability) if !factory.supports(capability) => Verdict::Skipped,
                _ => run_case(factory, case).map_or_else(Verdict::Broken, |()| Verdict::Kept),
            };
            (case.name, verdict)
        })
        .collect();
    verdicts.push(("a_second_opener_is_told_that_the_store_is_locked", second_opener(factory)));
    verdicts.push((place::DISPLACED, place::displaced(factory)));
    verdicts
}

/// Runs everything.
///
/// # Panics
///
/// With every broken sentence and how it is broken.
pub fn assert_conforms<F: StorageFactory>(factory: &mut F) {
    let broken: Vec<String> = run(factory)
        .into_iter()
        .filter_map(|(name, verdict)| match verdict {
            Verdict::Broken(why) => Some(format!("{name}: {why}")),
            Verdict::Kept | Verdict::Skipped => None,
        })
        .collect();
    assert!(broken.is_empty(), "the storage breaks its contract:\n{}", broken.join("\n"));
}

fn run_case<F: StorageFactory>(factory: &mut F, case: &Case<F::Storage>) -> Outcome {
    for (number, phase) in case.phases.iter().enumerate() {
        let storage = if number == 0 { factory.fresh() } else { factory.reopen() };
        let storage = storage.map_err(|error| format!("opening before phase {number}: {error}"))?;
        phase(&storage).map_err(|why| if number == 0 { why } else { format!("after opening again: {why}") })?;
    }
    Ok(())
}

fn second_opener<F: StorageFactory>(factory: &mut F) -> Verdict {
    let first = match factory.fresh() {
        Ok(first) => first,
        Err(error) => return Verdict::Broken(format!("opening: {error}")),
    };
    match factory.second_opener() {
        None => return Verdict::Skipped,
        Some(Err(StorageError::Locked { .. })) => {}
        Some(Err(other)) => return Verdict::Broken(format!("the second opener got {other:?} instead of Locked")),
        Some(Ok(_)) => return Verdict::Broken("two owners have the store open".into()),
    }
    drop(first);
    match factory.reopen() {
        Ok(_) => Verdict::Kept,
        Err(error) => Verdict::Broken(format!("opening after the first owner had gone: {error}")),
    }
}
