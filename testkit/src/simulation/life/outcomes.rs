//! What a call came to: the store's answer beside the model's, and what the history has of it from then on.
//!
//! Invariant: a commit that returned is in the history, and promised as far as the store says that it is durable; one whose outcome is
//! unknown is the newest of the history, and nothing comes behind it. A difference is an error in words.

use foldb_core::{Durability, Error, ErrorKind, Receipt};

use super::{Called, Life};
use crate::{
    model::{Commit, Model},
    simulation::judge,
};

impl Life<'_, '_> {
    pub(super) fn compare<T: PartialEq + std::fmt::Debug>(
        &self,
        what: &dyn std::fmt::Debug,
        found: Result<T, Error>,
        expected: Result<T, Vec<ErrorKind>>,
    ) -> Result<(), String> {
        let fits = match (&found, &expected) {
            (Ok(found), Ok(expected)) => found == expected,
            (Err(error), Err(kinds)) => kinds.contains(&error.kind()),
            _ => false,
        };
        if fits {
            return Ok(());
        }
        let (found, expected) = judge::difference(&found, &expected);
        Err(format!("{what:?}: the store answers {found}, the model {expected}"))
    }

    /// Compares a call that commits by itself with what it should have come to.
    pub(super) fn settle<T: PartialEq + std::fmt::Debug>(
        &mut self,
        what: &dyn std::fmt::Debug,
        called: Called<T>,
        expected: Result<(T, Commit), ErrorKind>,
    ) -> Result<(), String> {
        match (called, expected) {
            (Called::Disturbed(error), Ok((_, commit))) => self.unknown(&error, commit),
            (Called::Disturbed(_), Err(_)) => Ok(()),
            (Called::Answered(found), Ok((_, Commit::Refused(kinds)))) => self.compare(what, found, Err(kinds)),
            (Called::Answered(found), Ok((answer, commit))) => {
                self.compare(what, found, Ok(answer))?;
                match commit {
                    Commit::Committed(model) => {
                        if matches!(self.sim.config.durability, Durability::Relaxed { .. }) {
                            self.handed_over(model.seq());
                        }
                        self.committed(*model)
                    }
                    _ => Ok(()),
                }
            }
            (Called::Answered(found), Err(kind)) => self.compare(what, found, Err(vec![kind])),
        }
    }

    /// A commit came about.
    fn committed(&mut self, model: Model) -> Result<(), String> {
        let seq = model.seq();
        self.sim.counts.commits += 1;
        self.sim.history.push(model);
        if self.sim.config.durability == Durability::InMemory {
            return Ok(());
        }
        if self.db.view().seq() != seq {
            return Err(format!("commit {seq} returned, and readers see {}", self.db.view().seq()));
        }
        self.sim.history.promise(self.db.durable_seq());
        Ok(())
    }

    /// A relaxed commit has returned: whatever ends this process, the next one finds it. A store in memory has no system.
    fn handed_over(&mut self, seq: u64) {
        if self.sim.config.durability != Durability::InMemory {
            self.sim.history.hand_over(seq);
        }
    }

    /// A commit failed while it was written: it is the newest that the store may come back with.
    pub(super) fn unknown(&mut self, error: &Error, expected: Commit) -> Result<(), String> {
        let (Error::OutcomeUnknown { seq, .. }, Commit::Committed(model)) = (error, expected) else { return Ok(()) };
        if *seq != model.seq() {
            return Err(format!("the outcome of commit {seq} is unknown, and {} was under way", model.seq()));
        }
        self.is_unknown = true;
        self.sim.history.push(*model);
        Ok(())
    }

    pub(super) fn receipt(&mut self, receipt: Receipt, expected: Commit, durability: Durability) -> Result<(), String> {
        let (seq, deduplicated) = match &expected {
            Commit::Committed(model) => (model.seq(), false),
            Commit::Deduplicated(seq) => (*seq, true),
            Commit::Empty(seq) => (*seq, false),
            Commit::Refused(kinds) => return Err(format!("a commit that is {kinds:?} returns {receipt:?}")),
        };
        if receipt.seq != seq || receipt.deduplicated != deduplicated {
            return Err(format!("the receipt is {receipt:?}, and it is commit {seq}, seen before: {deduplicated}"));
        }
        if matches!(durability, Durability::Relaxed { .. }) && !matches!(expected, Commit::Empty(_)) {
            self.handed_over(receipt.seq);
        }
        let is_committed = matches!(expected, Commit::Committed(_));
        if let Commit::Committed(model) = expected {
            self.committed(*model)?;
        }
        if receipt.durable {
            self.sim.history.promise(receipt.seq);
        } else if durability == Durability::Strict && is_committed && self.sim.config.durability != Durability::InMemory
        {
            return Err(format!("a strict commit returns, and is not durable: {receipt:?}"));
        }
        Ok(())
    }
}
