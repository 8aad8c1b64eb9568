//! Looking: at single answers, at everything, at versions that were taken earlier, at the store's own verification; and as somebody else
//! who would like to have the store.
//!
//! Invariant: nothing here changes the store. What the machine made fail says nothing; every other answer has to be the model's.

use foldb_core::{Durability, Error, ErrorKind};

use super::{Called, Life};
use crate::simulation::{
    judge::{self, Trouble},
    store,
};

/// How many versions are held at a time.
const VIEWS: usize = 2;

impl Life<'_, '_> {
    pub(super) fn query(&mut self) -> Result<(), String> {
        let now = self.now();
        let query = self.sim.generator.query(&now);
        let db = self.db;
        if self.is_unknown {
            return Ok(());
        }
        match self.call(|| store::query(db, &query)) {
            Called::Disturbed(_) => Ok(()),
            Called::Answered(found) => {
                let expected = Ok(now.query(&query, self.sim.process));
                self.compare(&query, found, expected)
            }
        }
    }

    pub(super) fn second_opener(&mut self) -> Result<(), String> {
        match self.sim.machine.attach() {
            Err(error) if Error::from(error.clone()).kind() == ErrorKind::Locked => Ok(()),
            Err(error) => Err(format!("a second opener is told {error}")),
            Ok(_) => Err("a second opener gets the store".into()),
        }
    }

    /// Takes a view, or looks whether an old one still shows what it showed.
    pub(super) fn view(&mut self) -> Result<(), String> {
        if self.is_unknown {
            return Ok(());
        }
        if self.views.len() < VIEWS {
            let (view, model) = (self.db.view(), self.now());
            self.views.push((view, model));
            return Ok(());
        }
        let place = self.sim.random.index(self.views.len());
        let (view, model) = self.views.swap_remove(place);
        let process = self.sim.process;
        self.judge(|| judge::same_view(&view, &model, process))
    }

    /// Compares everything, unless nobody can know what everything is.
    pub(super) fn check_all(&mut self) -> Result<(), String> {
        let seq = self.db.view().seq();
        let (db, process) = (self.db, self.sim.process);
        let Some(model) = self.sim.history.at(seq).cloned() else {
            return Err(format!("readers see commit {seq}, which never was"));
        };
        if seq != self.sim.history.newest().seq() && !self.is_unknown {
            return Err(format!("readers see commit {seq}, and {} is the newest", self.sim.history.newest().seq()));
        }
        self.judge(|| judge::same(db, &model, process))
    }

    fn judge(&mut self, look: impl FnOnce() -> Result<(), Trouble>) -> Result<(), String> {
        let mut wrong = None;
        let called = self.call(|| match look() {
            Ok(()) => Ok(()),
            Err(Trouble::Store(error)) => Err(error),
            Err(Trouble::Wrong(what)) => {
                wrong = Some(what);
                Ok(())
            }
        });
        match (called, wrong) {
            (_, Some(what)) => Err(what),
            (Called::Answered(Err(error)), None) => Err(format!("reading fails: {error}")),
            _ => Ok(()),
        }
    }

    /// A read-only transaction conflicts with nothing.
    pub(super) fn reads_alone(&mut self) -> Result<(), String> {
        let db = self.db;
        let called = self.call(|| {
            let transaction = db.begin_transaction()?;
            transaction.kv().get::<foldb_core::value::Value>("k1")?;
            transaction.commit()
        });
        match called {
            Called::Answered(Err(error)) => Err(format!("a transaction that reads fails: {error}")),
            _ => Ok(()),
        }
    }

    pub(super) fn verify(&mut self) -> Result<(), String> {
        let db = self.db;
        if self.may_be_poisoned || self.is_unknown || self.sim.config.durability == Durability::InMemory {
            return Ok(());
        }
        self.sim.counts.verified += 1;
        let mut findings = None;
        let called = self.call(|| match judge::verified(db) {
            Ok(()) => Ok(()),
            Err(Trouble::Store(error)) => Err(error),
            Err(Trouble::Wrong(what)) => {
                findings = Some(what);
                Ok(())
            }
        });
        match (called, findings) {
            // What the device would not read is no finding.
            (_, Some(what)) if !self.sim.damaged => Err(what),
            (Called::Answered(Err(error)), _) => Err(format!("verification fails: {error}")),
            _ => {
                self.sim.history.promise(self.db.durable_seq());
                Ok(())
            }
        }
    }
}
