//! From a request to its answer.
//!
//! Invariant: a request is done whole or answered with an error; no request can make another one fail, but for those of the
//! same transaction.

use core::ops::ControlFlow;

use foldb_archive::ArchiveError;
use foldb_core::{
    Db, Diff, Digest, Durability, Error, Replay, Result, RunId, Transaction, Verification, View, recovery::Damage,
    value::Encoded,
};

use crate::{
    access::{Space, Target},
    announce::{self, Due, Listener},
    archive::Export,
    expiry, failure,
    handles::{Handle, Handles, OpenTransaction},
    life, once,
    operation::Operation,
    options,
    platform::PlatformStorage,
    primitives, queues, reports,
    together::{Together, UNTIL_ANSWERED},
    wire::{Input, Output, REQUEST_BYTES_MAX, malformed},
};

/// After so many bytes of answers the rest of a message is answered separately, so that its length does not count.
pub(crate) const PART_BYTES: usize = 16 << 20;

/// Answers: what the first byte says.
const DONE: u8 = 0;
const FAILED: u8 = 1;

/// The parts of a store that requests work on.
pub(crate) struct Executor<'a> {
    pub(crate) db: &'a Db<PlatformStorage>,
    pub(crate) handles: &'a mut Handles,
    pub(crate) together: &'a Together,
    pub(crate) due: &'a Due,
    /// What is wrong in the storage itself, for the report of recovery.
    pub(crate) damage: &'a [Damage],
    pub(crate) client: u32,
    /// Whether a commit waits for stable media by default.
    pub(crate) strict: bool,
}

/// A request whose head has been read.
struct Request<'a> {
    operation: Operation,
    run: Option<RunId>,
    input: Input<'a>,
}

impl Executor<'_> {
    /// Answers one request.
    pub(crate) fn answer(&mut self, request: &[u8], out: &mut Output) {
        let at = out.0.len();
        out.u8(DONE);
        let done = self.execute(Input::new(request), out).and_then(|()| Ok(out.check(at, 0)?));
        if let Err(error) = done {
            out.0.truncate(at);
            fail(&error, out);
        }
    }

    /// Answers requests, each behind its length, with answers behind theirs, until [`PART_BYTES`] have come together, and
    /// returns how many bytes of the requests are answered. Durable commits among them share one sync, as those of several
    /// threads do natively.
    pub(crate) fn answer_all(&mut self, requests: &[u8], out: &mut Output) -> usize {
        self.together.active.set(self.strict);
        let answered = self.answer_each(requests, out);
        self.together.active.set(false);
        if self.together.unsynced.replace(false)
            && let Err(error) = self.db.sync()
        {
            // What was read may be lost with what was written: nobody may act upon any of it.
            self.handles.fail_listeners(&error);
            out.0.clear();
            fail_each(requests.get(..answered).unwrap_or_default(), &error, out);
        }
        answered
    }

    fn answer_each(&mut self, requests: &[u8], out: &mut Output) -> usize {
        let mut input = Input::new(requests);
        let mut answered = 0;
        // What is malformed has no length, and neither it nor what follows can have an answer.
        while out.0.len() < PART_BYTES
            && let Ok(request) = input.bytes()
        {
            let at = out.0.len();
            out.u32(0);
            self.answer(request, out);
            let length = out.0.len() - at - 4;
            out.patch(at, length);
            answered = requests.len() - input.len();
        }
        answered
    }

    fn execute(&mut self, mut input: Input<'_>, out: &mut Output) -> Result<(), ArchiveError> {
        let operation = Operation::from_byte(input.u8()?).ok_or_else(|| malformed("an unknown operation"))?;
        let target = input.u8()?;
        let handle = if target == 0 { 0 } else { input.u32()? };
        let run = input.optional(Input::run)?;
        if matches!(
            operation,
            Operation::TransactionCommit | Operation::TransactionRollback | Operation::ViewOpen | Operation::Release
        ) {
            input.finish()?;
        }
        let request = Request { operation, run, input };
        let done = match (target, operation) {
            (2, Operation::ExportStep) => return self.export(handle, request, out),
            (0, _) => self.on_store(request, out),
            (1, Operation::TransactionBegin) => self.begin(handle, request),
            (3, Operation::TransactionBegin) => {
                let begun = self.begin(handle, request);
                if let Err(error) = &begun
                    && self.handles.get(self.client, handle).is_err()
                {
                    self.handles.put_back(self.client, handle, Handle::Failed(error.clone()));
                }
                begun
            }
            (1, Operation::TransactionCommit) => self.commit(handle, out),
            (1, Operation::TransactionRollback) => self.handles.take(self.client, handle).map(|_| ()),
            (1, _) => self.on_transaction(handle, request, out),
            (3, _) => {
                // Nobody waits for this answer, so an error must reach whatever comes next: a transaction is committed
                // whole, or not.
                self.on_transaction(handle, request, out)
                    .inspect_err(|error| self.handles.fail(self.client, handle, error))
            }
            (2, Operation::ViewOpen) => self.open_view(handle, out),
            (2, Operation::ReplayOpen) => self.open_replay(handle, request, out),
            (2, Operation::Subscribe | Operation::QueueSubscribe) => self.subscribe(handle, request),
            (2, Operation::VerifyOpen) => self.begin_verification(handle, request, out),
            (2, Operation::VerifyStep) => self.verify(handle, request, out),
            (2, Operation::ExportOpen) => self.begin_export(handle, request),
            (2, Operation::Release) => self.handles.take(self.client, handle).map(|_| ()),
            (2, _) => self.on_view(handle, request, out),
            _ => Err(malformed("an unknown target")),
        };
        Ok(done?)
    }

    fn on_store(&self, mut request: Request<'_>, out: &mut Output) -> Result<()> {
        let db = self.db;
        let input = &mut request.input;
        match request.operation {
            Operation::StoreSync => out.number(db.sync()?),
            Operation::StoreWaitDurable => db.wait_durable(input.number()?)?,
            Operation::StoreDurableSeq => out.number(db.durable_seq()),
            Operation::StoreSnapshot => {
                let info = db.snapshot()?;
                out.number(info.generation);
                out.number(info.seq);
                out.number(info.bytes);
            }
            Operation::StoreStats => reports::stats(&db.stats()?, out),
            Operation::StoreOpened => {
                out.text(&db.id().to_string());
                reports::recovery(db.recovery_report(), self.damage, out);
            }
            Operation::StoreRecall => return once::recall(db, input, out),
            Operation::StoreSeen => once::seen(db, input, out)?,
            Operation::StoreKeyWindow => once::window(db, out),
            Operation::StoreSetKeyWindow => once::set_window(db, input)?,
            Operation::StoreRefresh => out.number(db.refresh()?),
            Operation::StoreSweep => expiry::sweep(db, request.run, input.last(Input::number)?, out)?,
            Operation::StoreCommitInfo => reports::commit(db.commit_info(input.last(Input::number)?)?.as_ref(), out),
            Operation::Digest => digest(&live_digest(&db.view(), request.run)?, out),
            Operation::Diff => {
                let diff = live_diff(&db.view(), input.optional(Input::run)?, input.optional(Input::run)?)?;
                reports::diff(&diff, out)?;
            }
            _ => {
                let number = request.run.map_or(Ok(0), |run| db.runs().get(run).map(|run| run.number()))?;
                return self.primitive(Target::Store(db), number, request, out);
            }
        }
        request.input.finish()
    }

    /// An operation of a primitive, or on runs.
    fn primitive(&self, target: Target<'_>, number: u32, request: Request<'_>, out: &mut Output) -> Result<()> {
        let Request { operation, mut input, .. } = request;
        if input.len() > REQUEST_BYTES_MAX {
            return Err(Error::Limit {
                what: "request bytes",
                size: input.len() as u64,
                limit: REQUEST_BYTES_MAX as u64,
            });
        }
        let space = Space { target, number, together: self.together };
        let input = &mut input;
        match operation as u8 {
            1..=9 => primitives::entries(operation, &space, input, out)?,
            10..=15 => expiry::entries(operation, &space, input, out)?,
            16..=30 => primitives::kv(operation, &space, input, out)?,
            40..=58 => primitives::json(operation, &space, input, out)?,
            70..=82 => primitives::events(operation, &space, input, out)?,
            90..=93 => primitives::cells(operation, &space, input, out)?,
            100..=105 => primitives::trace(operation, &space, input, out)?,
            120..=128 => life::runs(operation, target, self.together, input, out)?,
            190..=198 => queues::queues(operation, self.db, target, self.together, input, out)?,
            _ => return Err(malformed("the operation is not one of this target")),
        }
        // Writes have seen to it before they began.
        input.finish()
    }

    fn begin(&mut self, handle: u32, mut request: Request<'_>) -> Result<()> {
        let (mut options, durability) = options::transaction(&mut request.input)?;
        request.input.finish()?;
        let deferred = self.together.active.get() && durability.is_none_or(|wanted| wanted == Durability::Strict);
        if deferred {
            options = options.durability(UNTIL_ANSWERED);
        }
        let transaction = self.db.detach_transaction(self.db.begin_transaction_with(&options)?)?;
        let open = OpenTransaction { transaction, savepoints: Vec::new(), deferred };
        self.handles.insert(self.client, handle, Handle::Transaction(Box::new(open)))
    }

    fn take_transaction(&mut self, handle: u32) -> Result<Box<OpenTransaction>> {
        match self.handles.take(self.client, handle)? {
            Handle::Transaction(open) => Ok(open),
            Handle::Failed(error) => {
                self.handles.put_back(self.client, handle, Handle::Failed(error.clone()));
                Err(error)
            }
            other => self.mistaken(handle, other, "the handle is not a transaction"),
        }
    }

    fn commit(&mut self, handle: u32, out: &mut Output) -> Result<()> {
        let open = *match self.handles.take(self.client, handle)? {
            Handle::Transaction(open) => open,
            // It has ended by this, like any that cannot be committed.
            Handle::Failed(error) => return Err(error),
            other => return self.mistaken(handle, other, "the handle is not a transaction"),
        };
        let mut receipt = self.db.attach_transaction(open.transaction)?.commit()?;
        if open.deferred && !receipt.durable {
            match self.together.active.get() {
                true => self.together.unsynced.set(true),
                false => drop(self.db.sync()?),
            }
            // Whoever hears of it hears of it after the sync.
            receipt.durable = true;
        }
        life::receipt(&receipt, out);
        Ok(())
    }

    fn on_transaction(&mut self, handle: u32, request: Request<'_>, out: &mut Output) -> Result<()> {
        let OpenTransaction { transaction, mut savepoints, deferred } = *self.take_transaction(handle)?;
        let transaction = self.db.attach_transaction(transaction)?;
        let done = self.in_transaction(&transaction, &mut savepoints, request, out);
        let transaction = self.db.detach_transaction(transaction)?;
        let open = OpenTransaction { transaction, savepoints, deferred };
        self.handles.put_back(self.client, handle, Handle::Transaction(Box::new(open)));
        done
    }

    fn in_transaction(
        &self,
        transaction: &Transaction<'_, PlatformStorage>,
        savepoints: &mut Vec<foldb_core::Savepoint>,
        mut request: Request<'_>,
        out: &mut Output,
    ) -> Result<()> {
        match request.operation {
            Operation::TransactionSeq => out.number(transaction.seq()),
            Operation::TransactionSavepoint => {
                out.count(savepoints.len());
                savepoints.push(transaction.savepoint());
            }
            Operation::TransactionRollbackTo => {
                let wanted = usize::try_from(request.input.u32()?).unwrap_or(usize::MAX);
                let savepoint = savepoints.get(wanted).ok_or_else(|| Error::Invalid {
                    what: "savepoint",
                    why: format!("{wanted} was not made in this transaction, or one before it was gone back to"),
                })?;
                transaction.rollback_to(savepoint)?;
                savepoints.truncate(wanted + 1);
            }
            Operation::TransactionBecause => transaction.because(request.input.last(Input::cause)?)?,
            Operation::TransactionResult => transaction.set_result(&Encoded(request.input.last(Input::bytes)?))?,
            _ => {
                let number = request.run.map_or(Ok(0), |run| transaction.run(run).map(|run| run.number()))?;
                return self.primitive(Target::Transaction(transaction), number, request, out);
            }
        }
        request.input.finish()
    }

    fn open_view(&mut self, handle: u32, out: &mut Output) -> Result<()> {
        let view = self.db.view();
        out.number(view.seq());
        let view = self.db.detach_view(view)?;
        self.handles.insert(self.client, handle, Handle::View(view))
    }

    fn open_replay(&mut self, handle: u32, mut request: Request<'_>, out: &mut Output) -> Result<()> {
        let until = request.input.last(|input| input.optional(Input::number))?;
        let replay = match (request.run, until) {
            (Some(run), None) => self.db.replay(run)?,
            (Some(run), Some(until)) => self.db.replay_at(run, until)?,
            (None, None) => self.db.replay_default()?,
            (None, Some(_)) => return Err(malformed("the default space is replayed whole")),
        };
        out.number(replay.transactions());
        let replay = self.db.detach_replay(replay)?;
        self.handles.insert(self.client, handle, Handle::Replay(replay))
    }

    /// Listens from now on. Nothing is answered: whoever listens hears by [`Store::announcements`](crate::Store::announcements).
    fn subscribe(&mut self, handle: u32, mut request: Request<'_>) -> Result<()> {
        let input = &mut request.input;
        let filter = match request.operation {
            Operation::Subscribe => announce::filter(input)?,
            _ => queues::changes(self.db, input)?,
        };
        input.finish()?;
        let listener = Listener::new(self.db, filter, self.due, (self.client, handle))?;
        self.handles.insert(self.client, handle, Handle::Listener(Box::new(listener)))
    }

    fn begin_verification(&mut self, handle: u32, request: Request<'_>, out: &mut Output) -> Result<()> {
        request.input.finish()?;
        self.verified(handle, self.db.begin_verification()?, out)
    }

    fn verify(&mut self, handle: u32, request: Request<'_>, out: &mut Output) -> Result<()> {
        request.input.finish()?;
        match self.handles.take(self.client, handle)? {
            Handle::Verification(mut verification) => {
                self.db.verify_step(&mut verification, &mut |_| ControlFlow::Continue(()))?;
                self.verified(handle, *verification, out)
            }
            other => self.mistaken(handle, other, "the handle is not a verification"),
        }
    }

    /// Answers with the step that comes next, or with the report. With the report the handle is given back.
    fn verified(&mut self, handle: u32, verification: Verification<PlatformStorage>, out: &mut Output) -> Result<()> {
        let next = verification.next_step();
        out.flag(next.is_none());
        let Some(next) = next else {
            reports::verify(&verification.into_report(), out);
            return Ok(());
        };
        out.text(next.phase);
        out.number(next.done);
        out.number(next.total);
        self.handles.insert(self.client, handle, Handle::Verification(Box::new(verification)))
    }

    fn begin_export(&mut self, handle: u32, request: Request<'_>) -> Result<()> {
        request.input.finish()?;
        let export = Export::new(self.db.checkpoint()?);
        self.handles.insert(self.client, handle, Handle::Export(Box::new(export)))
    }

    fn export(&mut self, handle: u32, request: Request<'_>, out: &mut Output) -> Result<(), ArchiveError> {
        request.input.finish()?;
        match self.handles.take(self.client, handle)? {
            Handle::Export(export) => {
                if let Some(export) = export.step(out)? {
                    self.handles.put_back(self.client, handle, Handle::Export(Box::new(export)));
                }
                Ok(())
            }
            other => Ok(self.mistaken(handle, other, "the handle is not an export")?),
        }
    }

    /// Puts back what is something else than it was taken for.
    fn mistaken<T>(&mut self, handle: u32, other: Handle, why: &str) -> Result<T> {
        self.handles.put_back(self.client, handle, other);
        Err(malformed(why))
    }

    fn on_view(&self, handle: u32, mut request: Request<'_>, out: &mut Output) -> Result<()> {
        match self.handles.get(self.client, handle)? {
            Handle::View(view) => {
                let view = self.db.attach_view(view)?;
                match request.operation {
                    Operation::Digest => digest(&live_digest(&view, request.run)?, out),
                    Operation::Diff => {
                        let input = &mut request.input;
                        let (older, newer) = (input.optional(Input::run)?, input.optional(Input::run)?);
                        reports::diff(&live_diff(&view, older, newer)?, out)?;
                    }
                    _ => {
                        let number = request.run.map_or(Ok(0), |run| view.run(run).map(|space| space.number()))?;
                        return self.primitive(Target::View(&view), number, request, out);
                    }
                }
                request.input.finish()
            }
            Handle::Replay(replay) => {
                let replay = self.db.attach_replay(replay)?;
                self.on_replay(&replay, request, out)
            }
            _ => Err(malformed("the handle is not a view")),
        }
    }

    fn on_replay(
        &self,
        replay: &Replay<'_, PlatformStorage>,
        mut request: Request<'_>,
        out: &mut Output,
    ) -> Result<()> {
        match request.operation {
            Operation::Digest => digest(&replay.digest()?, out),
            Operation::Diff => {
                let Handle::Replay(newer) = self.handles.get(self.client, request.input.u32()?)? else {
                    return Err(malformed("a replay is compared with a replay"));
                };
                let newer = self.db.attach_replay(newer)?;
                reports::diff(&replay.space().diff(&newer.space())?, out)?;
            }
            _ => {
                let target = Target::View(replay.view());
                return self.primitive(target, replay.number(), Request { run: None, ..request }, out);
            }
        }
        request.input.finish()
    }
}

/// Answers requests with an error.
pub(crate) fn fail_each(requests: &[u8], error: &Error, out: &mut Output) {
    let mut answer = Output::default();
    fail(&error.clone().into(), &mut answer);
    let mut input = Input::new(requests);
    while input.bytes().is_ok() {
        out.bytes(&answer.0);
    }
}

/// The answer that an error is.
pub(crate) fn fail(error: &ArchiveError, out: &mut Output) {
    out.u8(FAILED);
    failure::write(error, out);
}

fn live_digest(view: &View<'_, PlatformStorage>, run: Option<RunId>) -> Result<Digest> {
    match run {
        Some(run) => view.run(run)?.digest(),
        None => view.default_space().digest(),
    }
}

fn live_diff(view: &View<'_, PlatformStorage>, older: Option<RunId>, newer: Option<RunId>) -> Result<Diff> {
    let space = |run: Option<RunId>| run.map_or_else(|| Ok(view.default_space()), |run| view.run(run));
    space(older)?.diff(&space(newer)?)
}

fn digest(digest: &Digest, out: &mut Output) {
    out.0.extend_from_slice(&digest.to_bytes());
}
