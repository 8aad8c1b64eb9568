//! The life of one process: several committers, their calls, and the answers.
//!
//! Invariant: a call is made to the store first and to the model second, with what the store made up; then both answers are
//! compared. A call that the machine made fail has happened as a whole or not at all, and which of the two is known from
//! the sort of error, until the store is opened again.

mod alone;
mod committers;
mod outcomes;
mod readers;

use foldb_core::{Db, Durability, Error, ErrorKind, Result as StoreResult, Savepoint, View};

use self::committers::{COMMITTERS, Open};
use super::Simulation;
use crate::{
    machine::{FaultClass, SimStorage},
    model::{Answer, Learned, Model, Operation, SavepointId, SpaceId},
};

/// The process, as long as it lives.
struct Life<'s, 'db> {
    sim: &'s mut Simulation,
    db: &'db Db<SimStorage>,
    open: [Option<Open<'db>>; COMMITTERS],
    views: Vec<(View<'db, SimStorage>, Model)>,
    /// Savepoints of all transactions, also of those that have ended.
    savepoints: Vec<(Savepoint, SavepointId)>,
    next_savepoint: u64,
    /// A call failed in a way that may have poisoned the store.
    may_be_poisoned: bool,
    /// A commit is there or not.
    is_unknown: bool,
}

/// What became of a call.
enum Called<T> {
    /// It was answered, well or badly.
    Answered(Result<T, Error>),
    /// The machine made it fail.
    Disturbed(Error),
}

impl Simulation {
    /// The process lives for so many steps, or until its end is near.
    pub(super) fn live(&mut self, db: &Db<SimStorage>, steps: u64) -> Result<(), String> {
        if !self.damaged && self.config.durability != Durability::InMemory && self.random.chance(1, 3) {
            self.machine.cut_power_after(self.random.below(steps * 3 + 1));
        }
        let mut life = Life {
            sim: self,
            db,
            open: [const { None }; COMMITTERS],
            views: Vec::new(),
            savepoints: Vec::new(),
            next_savepoint: 0,
            may_be_poisoned: false,
            is_unknown: false,
        };
        let mut after_trouble = 6;
        for step in 0..steps {
            let before = life.sim.history.newest().seq();
            life.step()
                .map_err(|what| format!("process {}, step {step}, behind commit {before}: {what}", life.sim.process))?;
            if life.may_be_poisoned || life.is_unknown {
                after_trouble -= 1;
            }
            if life.sim.machine.is_down() || after_trouble == 0 {
                break;
            }
        }
        if !life.sim.machine.is_down() {
            life.check_all()?;
        }
        Ok(())
    }
}

impl Life<'_, '_> {
    fn step(&mut self) -> Result<(), String> {
        let sim = &mut *self.sim;
        let pause = sim.random.below(5000);
        sim.host.advance(pause);
        if sim.strikes(FaultClass::ClockJump) {
            sim.host.jump(&mut sim.random);
            sim.machine.count(FaultClass::ClockJump);
        }
        if sim.strikes(FaultClass::SecondOpener) {
            self.second_opener()?;
        }
        self.sim.counts.calls += 1;
        match self.sim.random.below(1000) {
            0..330 => self.call_alone(),
            330..800 => self.step_of_a_committer(),
            800..860 => self.change_run_alone(),
            860..885 => self.query(),
            885..920 => self.sync(),
            920..945 => self.tick(),
            945..957 => self.snapshot(),
            957..970 => self.wait_durable(),
            970..985 => self.view(),
            985..990 => self.check_all(),
            990..996 => self.reads_alone(),
            _ => self.verify(),
        }
    }

    /// Makes a call, and finds out whether a failure is the machine's.
    fn call<T>(&mut self, call: impl FnOnce() -> StoreResult<T>) -> Called<T> {
        let before = self.sim.machine.fired();
        let result = call();
        let disturbed = self.sim.is_disturbed(&before);
        let created_only = |class: &FaultClass| {
            *class == FaultClass::FullAtCreate || self.sim.machine.fired().of(*class) == before.of(*class)
        };
        // A disk that is full where room is made leaves the store usable.
        self.may_be_poisoned |= disturbed && !super::FAILING.iter().all(created_only);
        self.may_be_poisoned |= self.sim.machine.is_down();
        match result {
            Err(error) => {
                let expected = match error.kind() {
                    ErrorKind::Io | ErrorKind::StorageFull => disturbed,
                    ErrorKind::Poisoned | ErrorKind::OutcomeUnknown => self.may_be_poisoned,
                    // Nobody says what a damaged store is called at which call; only that it is called something.
                    ErrorKind::Corrupt => self.sim.damaged,
                    _ => self.sim.machine.is_down(),
                };
                self.may_be_poisoned |= self.sim.damaged;
                if expected { Called::Disturbed(error) } else { Called::Answered(Err(error)) }
            }
            Ok(answer) => Called::Answered(Ok(answer)),
        }
    }

    /// What readers see: the newest version, or, where the newest commit failed, perhaps the one before.
    fn now(&self) -> Model {
        let history = &self.sim.history;
        let visible = if self.is_unknown { history.at(self.db.view().seq()) } else { None };
        visible.unwrap_or_else(|| history.newest()).clone()
    }

    /// A space to work in.
    fn space(&mut self, model: &Model) -> SpaceId {
        if self.sim.random.chance(1, 2) { self.sim.generator.run(model) } else { None }
    }

    fn operation(&mut self, model: &Model, space: SpaceId) -> Operation {
        let now = self.sim.host.now();
        self.sim.generator.operation(model.space(space), now)
    }

    /// What the store made up on the way.
    fn learned(&mut self, answer: Option<&Answer>, commits: bool) -> Learned {
        if let Some(Answer::Id(id)) = answer {
            self.sim.generator.recorded(*id);
        }
        let given = self.sim.host.first_given().and_then(|bytes| bytes.try_into().ok());
        Learned { now: self.sim.host.now(), commits, random: given.unwrap_or_default() }
    }
}
