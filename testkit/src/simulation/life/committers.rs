//! Transactions that stay open while others commit.
//!
//! Invariant: each is open in the store and in the model, with the same calls behind it, until it ends in both. One in which the machine
//! made a call fail is given up: what the store has of it is never committed.

use foldb_core::{Durability, Error, ErrorKind, RunId, Transaction, TransactionOptions};

use super::{Called, Life};
use crate::{
    machine::SimStorage,
    model::{Commit, ModelTransaction, RunOperation, SavepointId},
    simulation::store::{self, handles},
};

/// How many transactions are open at a time.
pub(super) const COMMITTERS: usize = 4;
/// How many savepoints are held at a time.
const SAVEPOINTS: usize = 8;
/// Runs that a transaction begins have provisional numbers from here on, until it commits.
const FIRST_PROVISIONAL: u32 = 1 << 31;

/// A transaction of the store, and the same one of the model.
pub(super) struct Open<'db> {
    store: Transaction<'db, SimStorage>,
    model: ModelTransaction,
    durability: Durability,
}

impl<'db> Life<'_, 'db> {
    pub(super) fn step_of_a_committer(&mut self) -> Result<(), String> {
        let place = self.sim.random.index(COMMITTERS);
        match self.open[place].take() {
            None => {
                self.open[place] = Some(self.begin()?);
                Ok(())
            }
            Some(open) => {
                self.open[place] = self.go_on(open)?;
                Ok(())
            }
        }
    }

    fn begin(&mut self) -> Result<Open<'db>, String> {
        let mut durability = self.sim.config.durability;
        let mut options = TransactionOptions::new();
        if durability != Durability::InMemory && self.sim.random.chance(1, 5) {
            durability = [Durability::Strict, Durability::relaxed(), Durability::buffered()][self.sim.random.index(3)];
            options = options.durability(durability);
        }
        let key = self.sim.random.chance(1, 6).then(|| format!("key {}", self.sim.random.below(12)).into_bytes());
        if let Some(key) = &key {
            options = options.idempotency_key(key);
        }
        let store = self.db.begin_transaction_with(&options).map_err(|error| format!("beginning fails: {error}"))?;
        let mut model = ModelTransaction::default();
        model.key = key;
        Ok(Open { store, model, durability })
    }

    /// One more thing of a transaction. Returns it, if it is still open.
    fn go_on(&mut self, mut open: Open<'db>) -> Result<Option<Open<'db>>, String> {
        match self.sim.random.below(100) {
            0..58 => return self.call_inside(open),
            58..66 => return self.change_run_inside(open),
            66..69 => return self.run_info_inside(open),
            69..74 => self.savepoint(&mut open),
            74..79 => self.rollback_to_some(&mut open)?,
            79..82 => {
                open.store.rollback();
                return Ok(None);
            }
            _ => {
                self.commit(open)?;
                return Ok(None);
            }
        }
        Ok(Some(open))
    }

    fn savepoint(&mut self, open: &mut Open<'db>) {
        let id = SavepointId(self.next_savepoint);
        self.next_savepoint += 1;
        open.model.savepoint(id);
        if self.savepoints.len() == SAVEPOINTS {
            // One of them is let go of: the transaction that it is of need not keep it any more.
            self.savepoints.swap_remove(self.sim.random.index(SAVEPOINTS));
        }
        self.savepoints.push((open.store.savepoint(), id));
    }

    /// Goes back to a savepoint, mostly the newest; whosoever it is.
    fn rollback_to_some(&mut self, open: &mut Open<'db>) -> Result<(), String> {
        let Some(newest) = self.savepoints.len().checked_sub(1) else { return Ok(()) };
        let place = if self.sim.random.chance(1, 2) { newest } else { self.sim.random.index(newest + 1) };
        let (savepoint, id) = &self.savepoints[place];
        let found = open.store.rollback_to(savepoint);
        let expected = open.model.rollback_to(*id);
        self.sim.note(("rollback", id, found.as_ref().err().map(Error::kind)));
        self.compare(&("going back to", id), found, expected.map_err(|kind| vec![kind]))
    }

    fn call_inside(&mut self, mut open: Open<'db>) -> Result<Option<Open<'db>>, String> {
        if self.is_unknown {
            return Ok(None);
        }
        let now = self.now();
        let begun: Vec<RunId> = open.model.begun();
        let space = match begun.last() {
            Some(id) if self.sim.random.chance(1, 2) => Some(*id),
            _ => self.space(&now),
        };
        let operation = self.operation(&now, space);
        let store = &open.store;
        self.sim.host.forget();
        let called = self.call(|| match space {
            None => handles!(store).perform(&operation),
            Some(id) => handles!(store.run(id)?).perform(&operation),
        });
        let Called::Answered(found) = called else { return Ok(None) };
        let learned = self.learned(found.as_ref().ok(), false);
        self.sim.note((&operation, space, found.as_ref().err().map(Error::kind)));
        let expected = match open.model.find(&now, space) {
            Ok(()) => open.model.perform(&now, space, &operation, learned),
            Err(kind) => Err(kind),
        };
        self.compare(&("inside", &operation, space), found, expected.map_err(|kind| vec![kind]))?;
        Ok(Some(open))
    }

    fn change_run_inside(&mut self, mut open: Open<'db>) -> Result<Option<Open<'db>>, String> {
        let now = self.now();
        let mut operation = self.sim.generator.run_operation(&now);
        if let (Some(id), RunOperation::Resume(_)) = (open.model.begun().last(), &operation) {
            operation = RunOperation::Label(*id, "begun".into(), Some("here".into()));
        }
        let store = &open.store;
        let called = self.call(|| store::change_run_in(store, &operation));
        let Called::Answered(found) = called else { return Ok(None) };
        let expected = open.model.change_run(&now, &operation);
        self.sim.note(&operation);
        self.compare(&("inside", &operation), found, expected.map_err(|kind| vec![kind]))?;
        Ok(Some(open))
    }

    /// What is known of a run inside a transaction, which may have begun it.
    fn run_info_inside(&mut self, mut open: Open<'db>) -> Result<Option<Open<'db>>, String> {
        if self.is_unknown {
            return Ok(None);
        }
        let now = self.now();
        let begun = open.model.begun().last().copied().filter(|_| self.sim.random.chance(1, 3));
        let Some(id) = begun.or_else(|| self.sim.generator.run(&now)) else { return Ok(Some(open)) };
        let store = &open.store;
        let called = self.call(|| {
            let mut facts = store.runs().info(id).map(store::run_facts)?;
            // Which one it is in the transaction says nothing: some may have been rolled back.
            facts.number = if facts.number < FIRST_PROVISIONAL { facts.number } else { 0 };
            Ok(facts)
        });
        let Called::Answered(found) = called else { return Ok(None) };
        let expected = open.model.run_facts(&now, id, self.sim.process);
        self.compare(&("inside, info of", id), found, expected.map_err(|kind| vec![kind]))?;
        Ok(Some(open))
    }

    fn commit(&mut self, open: Open<'db>) -> Result<(), String> {
        if self.is_unknown {
            return Ok(());
        }
        let now = self.now();
        let expected = open.model.commit(&now, self.sim.host.now(), self.sim.process);
        let store = open.store;
        let found = match self.call(|| store.commit()) {
            Called::Disturbed(error) => return self.unknown(&error, expected),
            Called::Answered(found) => found,
        };
        self.sim.note(("commit", found.as_ref().map(|receipt| receipt.seq).map_err(Error::kind)));
        match (found, expected) {
            (Ok(receipt), expected) => self.receipt(receipt, expected, open.durability),
            (Err(error), Commit::Refused(kinds)) if kinds.contains(&error.kind()) => {
                self.sim.counts.conflicts += u64::from(error.kind() == ErrorKind::Conflict);
                Ok(())
            }
            (Err(error), Commit::Refused(kinds)) => {
                Err(format!("a commit fails with {error:?}, the model says {kinds:?}"))
            }
            (Err(error), _) => Err(format!("a commit fails with {error:?}, and nothing is wrong with it")),
        }
    }
}
