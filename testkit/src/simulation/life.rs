//! The life of one process: several committers, their calls, and the answers.
//!
//! Invariant: a call is made to the store first and to the model second, with what the store made up; then both answers are
//! compared. A call that the machine made fail has happened as a whole or not at all, and which of the two is known from
//! the sort of error, until the store is opened again.

use foldb_core::{
    Db, Durability, Error, ErrorKind, Receipt, Result as StoreResult, RunId, Savepoint, Transaction,
    TransactionOptions, View,
};

use super::{
    Simulation,
    judge::{self, Trouble},
    store::{self, handles},
};
use crate::{
    machine::{FaultClass, SimStorage},
    model::{Answer, Commit, Learned, Model, ModelTransaction, Operation, RunOperation, SavepointId, SpaceId},
};

/// How many transactions are open at a time.
const COMMITTERS: usize = 4;
const VIEWS: usize = 2;
/// How many savepoints are held at a time.
const SAVEPOINTS: usize = 8;
/// Runs that a transaction begins have provisional numbers from here on, until it commits.
const FIRST_PROVISIONAL: u32 = 1 << 31;

/// A transaction of the store, and the same one of the model.
struct Open<'db> {
    store: Transaction<'db, SimStorage>,
    model: ModelTransaction,
    durability: Durability,
}

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

impl<'db> Life<'_, 'db> {
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

    fn compare<T: PartialEq + std::fmt::Debug>(
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

    /// What readers see: the newest version, or, where the newest commit failed, perhaps the one before.
    fn now(&self) -> Model {
        let history = &self.sim.history;
        let visible = if self.is_unknown { history.at(self.db.view().seq()) } else { None };
        visible.unwrap_or_else(|| history.newest()).clone()
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
    fn unknown(&mut self, error: &Error, expected: Commit) -> Result<(), String> {
        let (Error::OutcomeUnknown { seq, .. }, Commit::Committed(model)) = (error, expected) else { return Ok(()) };
        if *seq != model.seq() {
            return Err(format!("the outcome of commit {seq} is unknown, and {} was under way", model.seq()));
        }
        self.is_unknown = true;
        self.sim.history.push(*model);
        Ok(())
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

    /// A call that is a transaction by itself.
    fn call_alone(&mut self) -> Result<(), String> {
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

    /// Compares a call that commits by itself with what it should have come to.
    fn settle<T: PartialEq + std::fmt::Debug>(
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

    fn change_run_alone(&mut self) -> Result<(), String> {
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

    fn query(&mut self) -> Result<(), String> {
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

    fn sync(&mut self) -> Result<(), String> {
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

    fn tick(&mut self) -> Result<(), String> {
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

    fn snapshot(&mut self) -> Result<(), String> {
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

    fn wait_durable(&mut self) -> Result<(), String> {
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

    fn second_opener(&mut self) -> Result<(), String> {
        match self.sim.machine.attach() {
            Err(error) if Error::from(error.clone()).kind() == ErrorKind::Locked => Ok(()),
            Err(error) => Err(format!("a second opener is told {error}")),
            Ok(_) => Err("a second opener gets the store".into()),
        }
    }

    /// Takes a view, or looks whether an old one still shows what it showed.
    fn view(&mut self) -> Result<(), String> {
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
    fn check_all(&mut self) -> Result<(), String> {
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
    fn reads_alone(&mut self) -> Result<(), String> {
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

    fn verify(&mut self) -> Result<(), String> {
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

    // Transactions that stay open while others commit.

    fn step_of_a_committer(&mut self) -> Result<(), String> {
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

    fn receipt(&mut self, receipt: Receipt, expected: Commit, durability: Durability) -> Result<(), String> {
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
