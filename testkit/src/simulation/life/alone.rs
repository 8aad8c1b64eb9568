//! Calls that are transactions by themselves, and those that are about all commits: syncs, snapshots, the timer.
//!
//! Invariant: the model does such a call on the version that readers see, as one transaction.

use foldb_core::{Durability, ErrorKind};

use super::{Called, Life};
use crate::{
    model::ModelTransaction,
    simulation::store::{self, handles},
};

impl Life<'_, '_> {
    /// A call that is a transaction by itself.
    pub(super) fn call_alone(&mut self) -> Result<(), String> {
        let now = self.now();
        let space = self.space(&now);
        let operation = self.operation(&now, space);
        let db = self.db;
        self.sim.host.forget();
        let called = self.call(|| match space {
            None => handles!(db).perform(&operation),
            Some(id) => handles!(db.runs().get(id)?).perform(&operation),
        });
        let (answer, kind) = match &called {
            Called::Answered(Ok(answer)) => (Some(answer), None),
            Called::Answered(Err(error)) | Called::Disturbed(error) => (None, Some(error.kind())),
        };
        let learned = self.learned(answer, true);
        self.sim.note((&operation, space, kind));
        let mut transaction = ModelTransaction::default();
        let performed = match transaction.find_alone(&now, space) {
            Ok(()) => transaction.perform(&now, space, &operation, learned),
            Err(kind) => Err(kind),
        };
        let commit = performed.map(|answer| (answer, transaction.commit(&now, learned.now, self.sim.process)));
        self.settle(&(operation, space), called, commit)
    }

    pub(super) fn change_run_alone(&mut self) -> Result<(), String> {
        let now = self.now();
        let operation = self.sim.generator.run_operation(&now);
        let db = self.db;
        let called = self.call(|| store::change_run(db, &operation));
        let mut transaction = ModelTransaction::default();
        let changed = transaction.change_run(&now, &operation);
        let commit = changed.map(|()| ((), transaction.commit(&now, self.sim.host.now(), self.sim.process)));
        self.sim.note(&operation);
        self.settle(&operation, called, commit)
    }

    pub(super) fn sync(&mut self) -> Result<(), String> {
        let db = self.db;
        match self.call(|| db.sync()) {
            Called::Disturbed(_) => Ok(()),
            Called::Answered(found) => {
                let newest = self.sim.history.newest().seq();
                self.sim.history.promise(newest);
                self.compare(&"sync", found, Ok(newest))
            }
        }
    }

    pub(super) fn tick(&mut self) -> Result<(), String> {
        let db = self.db;
        match self.call(|| db.ticker().tick()) {
            Called::Answered(Err(error)) => Err(format!("the timer fails: {error}")),
            _ => {
                if self.sim.config.durability != Durability::InMemory {
                    self.sim.history.promise(self.db.durable_seq());
                }
                Ok(())
            }
        }
    }

    pub(super) fn snapshot(&mut self) -> Result<(), String> {
        let db = self.db;
        match self.call(|| db.snapshot()) {
            Called::Disturbed(_) => Ok(()),
            Called::Answered(Err(error))
                if self.sim.config.durability == Durability::InMemory && error.kind() == ErrorKind::Unsupported =>
            {
                Ok(())
            }
            Called::Answered(found) => {
                let newest = self.sim.history.newest().seq();
                self.sim.history.promise(newest);
                self.sim.note("snapshot");
                self.compare(&"snapshot", found.map(|info| info.seq), Ok(newest))
            }
        }
    }

    pub(super) fn wait_durable(&mut self) -> Result<(), String> {
        if self.is_unknown {
            return Ok(());
        }
        let (db, newest) = (self.db, self.sim.history.newest().seq());
        let seq = self.sim.random.below(newest + 2);
        match self.call(|| db.wait_durable(seq)) {
            Called::Disturbed(_) => Ok(()),
            Called::Answered(found) if seq > newest => {
                self.compare(&"waiting for the future", found, Err(vec![ErrorKind::Invalid]))
            }
            Called::Answered(found) => {
                self.sim.history.promise(seq);
                self.compare(&"waiting", found, Ok(()))
            }
        }
    }
}
