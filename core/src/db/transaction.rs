//! Transactions as users hold them.
//!
//! Invariant: a transaction reads one version, from its first read to its end, plus what it has written itself; what it
//! writes is seen by nobody else before it commits, and dropping it leaves no trace.

use alloc::{sync::Arc, vec::Vec};
use core::{
    cell::{Cell, OnceCell, RefCell},
    ops::Bound,
};

use super::{
    Attempts, Durability, Receipt, TransactionOptions,
    commit::Request,
    hiding::{Hider, Moment},
    lives::Lives,
    merge::Merge,
    shared::Shared,
    view::{show, with_tree_key},
};
use crate::{
    Error, Result, RunId,
    host::Host,
    log::OpCode,
    planted::{self, Planted},
    primitive::{
        EventBatch,
        access::{
            Access, AccessMut, DocumentEdit, Item, OnItem, OnPair, OnPendingEvents, PendingStream, Reads, Writes,
        },
    },
    state::{DEFAULT_SPACE, Family, RunInfo, Source, SpaceNumber, State, entry_kind},
    storage::Storage,
    transaction::{self, Cause, PROVISIONAL, ReadSet, Write, WriteBody, WriteSet},
    tree::{Direction, KeyRange, Tree},
    value::Encode,
};

/// Reads one version of the store and buffers writes until [`Transaction::commit`]. Dropping it discards them.
///
/// Handles of a transaction may be used side by side, but not to write while one of them is iterating: that is
/// [`Error::Invalid`].
pub struct Transaction<'db, S: Storage> {
    pub(super) shared: &'db Shared<S>,
    /// The version that is read; taken at the first read, so that blind writes cost no version at all.
    pub(super) base: OnceCell<Arc<State>>,
    pub(super) reads: RefCell<ReadSet>,
    pub(super) writes: RefCell<WriteSet>,
    pub(super) lives: RefCell<Lives>,
    pub(super) durability: Durability,
    /// The moment that it goes by.
    pub(super) moment: Moment,
    /// Whether it shows what is over, too, at the moment.
    pub(super) shows_all: Cell<bool>,
}

/// Where a transaction can go back to: see [`Transaction::savepoint`]. It is good for that transaction alone.
#[derive(Clone, Debug)]
pub struct Savepoint {
    writes: transaction::Savepoint,
    /// How many changes of runs there were.
    lives: usize,
}

impl<'db, S: Storage> Transaction<'db, S> {
    pub(crate) fn new(shared: &'db Shared<S>, options: &TransactionOptions) -> Result<Self> {
        let durability = options.durability.unwrap_or(shared.options.durability);
        if durability == Durability::InMemory && !shared.is_in_memory() {
            return Err(Error::Unsupported {
                what: "a transaction in memory",
                why: "this store keeps a log, and the log would miss the transaction; open the store in memory".into(),
            });
        }
        if let Some(cause) = &options.cause {
            cause.check()?;
        }
        let mut writes = WriteSet::default();
        writes.cause.clone_from(&options.cause);
        writes.idempotency_key.clone_from(&options.idempotency_key);
        writes.fingerprint.clone_from(&options.fingerprint);
        Ok(Transaction {
            shared,
            base: OnceCell::new(),
            reads: RefCell::default(),
            writes: RefCell::new(writes),
            lives: RefCell::default(),
            durability,
            moment: Moment::default(),
            shows_all: Cell::new(false),
        })
    }

    /// One attempt of a closure. One that was lost before reads the newest version that there is, on stable media or not: what
    /// is read then is what the commit is validated against, and it shares the sync of the commits before it. Neither its
    /// commit nor its error is told to anybody before what it rests on is durable.
    pub(crate) fn attempt(
        shared: &'db Shared<S>,
        options: &TransactionOptions,
        attempts: &Attempts<'_>,
    ) -> Result<Self> {
        let transaction = Self::new(shared, options)?;
        if attempts.is_retry() {
            transaction.read_newest();
        }
        Ok(transaction)
    }

    /// Reads the newest version that there is, of a transaction that was just made: it has no version yet.
    pub(crate) fn read_newest(&self) {
        let _ = self.base.set(self.shared.working_state());
    }

    /// Waits until the version that was read is one that anybody may read.
    pub(crate) fn wait_until_base_shows(&self) -> Result<()> {
        match self.base.get() {
            Some(base) => self.shared.wait_until_shown(base.seq()),
            None => Ok(()),
        }
    }

    fn base(&self) -> &Arc<State> {
        self.base.get_or_init(|| self.shared.state())
    }

    /// Seq of the version that this transaction reads.
    pub fn seq(&self) -> u64 {
        self.base().seq()
    }

    /// A run, to read and write it inside this transaction. Fails with [`Error::UnknownRun`]. Once the transaction has ended the
    /// run, writes to it are [`Error::RunEnded`]; once it has deleted it, everything is [`Error::UnknownRun`].
    pub fn run(&self, id: RunId) -> Result<TransactionRun<'_, 'db, S>> {
        Ok(TransactionRun { transaction: self, id, space: self.number(id)? })
    }

    /// The number of a run, which may be one that this transaction begins itself.
    pub(crate) fn number(&self, id: RunId) -> Result<SpaceNumber> {
        let number = match self.base().number(id) {
            Ok(number) => number,
            Err(_) => self.writes.borrow().new_run_number(id).ok_or(Error::UnknownRun(id))?,
        };
        if self.lives.borrow().is_deleted(number) { Err(Error::UnknownRun(id)) } else { Ok(number) }
    }

    /// Marks the transaction's present writes, to come back to them with [`Transaction::rollback_to`]. Copies nothing: what is
    /// overwritten later is kept as long as somebody holds the savepoint.
    ///
    /// ```
    /// # extern crate foldb_core as foldb;
    /// let db = foldb::Db::memory();
    /// db.transaction(|tx| {
    ///     tx.kv().put("kept", 1)?;
    ///     let savepoint = tx.savepoint();
    ///     tx.kv().put("regretted", 1)?;
    ///     tx.rollback_to(&savepoint)
    /// })?;
    /// assert!(db.kv().exists("kept")? && !db.kv().exists("regretted")?);
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    pub fn savepoint(&self) -> Savepoint {
        Savepoint { writes: self.writes.borrow().savepoint(), lives: self.lives.borrow().len() }
    }

    /// Forgets what was written since the savepoint. What was read since then still counts for validation. Runs that
    /// were begun since then are not begun any more, and writing to them fails with [`Error::NotFound`]. Savepoints nest: one can
    /// be gone back to again and again, and those that were taken behind it are over then. Costs what is undone.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a savepoint of another transaction or another store, of an earlier attempt of the same closure, or
    /// one that was taken behind a savepoint that was gone back to. Nothing is changed then. What another transaction wrote was
    /// never written here: going back to it would be a lost update.
    pub fn rollback_to(&self, savepoint: &Savepoint) -> Result<()> {
        if planted::active(Planted::RollbackForgotten) {
            return Ok(());
        }
        self.writes_mut()?.rollback_to(&savepoint.writes)?;
        self.lives.borrow_mut().truncate(savepoint.lives);
        Ok(())
    }

    /// Commits. Fails with [`Error::Conflict`] where something that was read has changed: begin again then. The change can be
    /// read by that time; where it is a strict commit whose sync has not returned yet, the error waits for that. A conflict
    /// comes before anything else that is wrong with the transaction: what is decided on a version that is out of date would
    /// perhaps not be decided again. What is reported otherwise, such as a counter that would overflow, is true of the newest
    /// version, and beginning again does not mend it. After [`Error::OutcomeUnknown`] only reopening the store tells whether the commit is there.
    pub fn commit(self) -> Result<Receipt> {
        self.commit_as(None)
    }

    /// Commits one attempt of a closure; its turn ends where it is applied.
    pub(crate) fn commit_attempt(self, attempts: &mut Attempts<'_>) -> Result<Receipt> {
        self.commit_as(Some(attempts))
    }

    fn commit_as(self, attempts: Option<&mut Attempts<'_>>) -> Result<Receipt> {
        let (reads, writes) = (self.reads.into_inner(), self.writes.into_inner());
        self.shared.commit(Request {
            base: self.base.into_inner(),
            reads: &reads,
            writes: &writes,
            durability: self.durability,
            attempts,
            is_awaited: false,
            may_run_again: false,
        })
    }

    /// Says what the transaction comes to: it is remembered with its idempotency key, and [`Db::recall`](super::Db::recall) gives it back. The
    /// last one counts. Without a key it says nothing. [`Db::once`](super::Db::once) does it by itself.
    ///
    /// # Errors
    /// [`Error::Invalid`] and [`Error::Limit`] where it cannot be stored; that it is over
    /// [`RESULT_BYTES_MAX`](crate::limits::RESULT_BYTES_MAX) is said by the commit.
    pub fn set_result<V: Encode + ?Sized>(&self, result: &V) -> Result<()> {
        let mut bytes = Vec::new();
        result.encode(&mut bytes)?;
        self.writes_mut()?.result = bytes;
        Ok(())
    }

    /// Says why this transaction is made: it stands in the log beside what is written, and [`Db::commit_info`](super::Db::commit_info)
    /// tells it. The last one counts. A transaction that writes nothing leaves nothing in the log.
    ///
    /// ```
    /// # extern crate foldb_core as foldb;
    /// use foldb::primitive::{TraceKind, TraceRecord};
    ///
    /// # let db = foldb_core::Db::memory();
    /// db.transaction(|tx| {
    ///     let thought = tx.trace().record(TraceRecord::new(TraceKind::Thought, "the stock is low"))?;
    ///     tx.because(thought)?;
    ///     tx.kv().put("order", 12)
    /// })?;
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Limit`] over [`CAUSE_BYTES_MAX`](crate::limits::CAUSE_BYTES_MAX), [`Error::Invalid`] for an empty text.
    pub fn because(&self, cause: impl Into<Cause>) -> Result<()> {
        let cause = cause.into();
        cause.check()?;
        self.writes_mut()?.cause = Some(cause);
        Ok(())
    }

    /// Discards everything. The same as dropping it.
    pub fn rollback(self) {}

    /// The buffered writes, to write to a space.
    pub(crate) fn writes_to(&self, space: SpaceNumber) -> Result<core::cell::RefMut<'_, WriteSet>> {
        self.shared.check_writable("a write")?;
        let writes = self.writes_mut()?;
        if space & PROVISIONAL != 0 && writes.new_run(space).is_none() {
            return Err(no_such_new_run());
        }
        Ok(writes)
    }

    pub(crate) fn writes_mut(&self) -> Result<core::cell::RefMut<'_, WriteSet>> {
        self.writes.try_borrow_mut().map_err(|_| iterating())
    }

    /// What is known of a run, recorded as read.
    pub(crate) fn record_run(&self, space: SpaceNumber) {
        if let Some(run) = self.base().run(space) {
            self.reads.borrow_mut().run(space, run.record.changed_seq);
        }
    }

    /// What is known of a run as of this transaction's version, with what it has done to the run itself.
    pub(crate) fn known_run(&self, space: SpaceNumber, id: RunId) -> Result<RunInfo> {
        let committed = self.base().run(space);
        let record = self.lives.borrow().applied(space, id, committed.map(|run| &*run.record))?;
        let (last_seq, commits) = committed.map_or((0, 0), |run| (run.space.last_seq(), run.space.commits()));
        let info = record.map(|record| record.info(space, self.shared.epoch(), last_seq, commits));
        info.ok_or(Error::UnknownRun(id))
    }

    /// The transaction has done this to the life of a run.
    pub(crate) fn note_life(&self, space: SpaceNumber, code: OpCode, body: &[u8]) {
        self.lives.borrow_mut().note(space, code, body);
    }

    /// The id of a run, for an error.
    fn id_of(&self, space: SpaceNumber) -> RunId {
        let committed = self.base().run(space).map(|run| run.record.id());
        let id = committed.or_else(|| self.writes.try_borrow().ok().and_then(|writes| writes.new_run(space)));
        id.unwrap_or(RunId::from_bytes([0; 16]))
    }

    /// Whether the transaction itself has left the space there to be read.
    fn check_readable(&self, space: SpaceNumber) -> Result<()> {
        if space != DEFAULT_SPACE && self.lives.borrow().is_deleted(space) {
            return Err(Error::UnknownRun(self.id_of(space)));
        }
        Ok(())
    }

    /// Whether the transaction itself has left the space open for writes.
    fn check_open(&self, space: SpaceNumber) -> Result<()> {
        if space == DEFAULT_SPACE { Ok(()) } else { self.lives.borrow().check_open(space, || self.id_of(space)) }
    }

    pub(crate) fn epoch(&self) -> u64 {
        self.shared.epoch()
    }

    /// The committed tree of a space; `None` for a run that this transaction begins itself.
    pub(super) fn tree(&self, space: SpaceNumber) -> Result<Option<&Tree>> {
        if space & PROVISIONAL != 0 {
            return self.writes.borrow().new_run(space).map(|_| None).ok_or_else(no_such_new_run);
        }
        match self.base().space(space) {
            Some(space) => Ok(Some(space.tree())),
            None => Err(Error::NotFound { what: "run", name: alloc::format!("number {space}") }),
        }
    }

    /// Reads the committed entry of a key, and records that.
    fn committed(&self, space: SpaceNumber, family: Family, key: &[u8], found: OnItem<'_>) -> Result<()> {
        self.committed_as(self.hider(), space, (family, key), found)
    }

    /// The same, of which something else may be hidden. What is hidden was read too: that it is not there to be seen has to be so
    /// at the commit.
    pub(super) fn committed_as(
        &self,
        hider: Hider<'_>,
        space: SpaceNumber,
        (family, key): (Family, &[u8]),
        found: OnItem<'_>,
    ) -> Result<()> {
        let Some(tree) = self.tree(space)? else { return found(None) };
        let entry = with_tree_key(family, key, |key| tree.get(key, self.shared))?;
        self.reads.borrow_mut().point(space, family.key(key), entry.map(|entry| entry.seq));
        show(tree, (family, key), entry, self.shared, hider, found)
    }

    /// Shows a buffered write of a family to a reader. Returns whether the key exists.
    pub(super) fn pending(&self, writes: &WriteSet, write: &Write, found: OnItem<'_>) -> Result<()> {
        match (write.code, writes.body(write)) {
            (OpCode::KvDelete | OpCode::JsonDelete | OpCode::StateDelete, _) | (_, WriteBody::Events { .. }) => {
                found(None)
            }
            (OpCode::KvAdd, WriteBody::Bytes(delta)) => self.counter(write.space, writes.key(write), delta, found),
            (code, WriteBody::Bytes(body)) if transaction::puts_expiring(code) => {
                self.put_expiring(body, writes.edit(write), found)
            }
            (code, WriteBody::Bytes(body)) if transaction::expires(code) => {
                self.expired_anew(writes, write, body, found)
            }
            (_, WriteBody::Bytes(body)) => {
                let item = Item::pending(entry_kind::INLINE, body, self.shared);
                found(Some(item.edited_by(writes.edit(write))))
            }
        }
    }

    super::primitive_handles!(&Self, |transaction| transaction, |_transaction| DEFAULT_SPACE);
}

/// The part of a range that was visited up to a key.
fn until(range: &KeyRange, key: &[u8], direction: Direction) -> KeyRange {
    let here = Bound::Included(key.to_vec());
    match direction {
        Direction::Forward => KeyRange::new(range.start.clone(), here),
        Direction::Backward => KeyRange::new(here, range.end.clone()),
    }
}

fn no_such_new_run() -> Error {
    let name = "whose beginning was rolled back, or which another transaction begins".into();
    Error::NotFound { what: "the run", name }
}

fn iterating() -> Error {
    Error::Invalid { what: "use of a transaction", why: "it is being iterated over; collect first, then write".into() }
}

/// The operation whose slot a buffered write of this family has; `None` for families that are never written directly.
fn slot_of(family: Family) -> Option<OpCode> {
    match family {
        Family::Kv => Some(OpCode::KvPut),
        Family::Json => Some(OpCode::JsonPut),
        Family::State => Some(OpCode::StatePut),
        Family::Trace => Some(OpCode::TracePut),
        Family::Stream | Family::Batch | Family::TraceByParent | Family::TraceByType | Family::Expiry => None,
    }
}

impl<S: Storage> Reads for Transaction<'_, S> {
    fn get_with(&self, space: SpaceNumber, family: Family, key: &[u8], found: OnItem<'_>) -> Result<()> {
        self.check_readable(space)?;
        let writes = self.writes.borrow();
        let buffered = slot_of(family).and_then(|code| writes.find(space, code, key));
        match buffered {
            Some(write) => self.pending(&writes, write, found),
            None => self.committed(space, family, key, found),
        }
    }

    fn visit(
        &self,
        space: SpaceNumber,
        family: Family,
        range: &KeyRange,
        direction: Direction,
        each: OnPair<'_>,
    ) -> Result<()> {
        self.check_readable(space)?;
        let writes = self.writes.borrow();
        let buffered = writes.range(space, family, range, direction)?;
        let mut merge = Merge { transaction: self, writes: &writes, family, direction, stopped_at: None };
        let visited = merge.visit(space, range, buffered, each);
        // A visit that failed has read something too, and the transaction may decide by the failure. What is behind the key
        // that it failed at has not been read: it may change, and the transaction is not out of date.
        if space & PROVISIONAL == 0 {
            let read = match &merge.stopped_at {
                Some(key) => until(range, key, direction),
                None => range.clone(),
            };
            self.reads.borrow_mut().range(space, family.range(&read));
        }
        visited
    }

    fn pending_stream(&self, space: SpaceNumber, stream: &[u8]) -> Result<PendingStream> {
        self.check_readable(space)?;
        Ok(self.writes.borrow().pending_stream(space, stream))
    }

    fn visit_pending(
        &self,
        space: SpaceNumber,
        stream: &[u8],
        range: (u64, u64),
        direction: Direction,
        each: OnPendingEvents<'_>,
    ) -> Result<()> {
        self.writes.borrow().visit_pending((space, stream), range, direction, each)
    }

    fn source(&self) -> &dyn Source {
        self.shared
    }

    fn now_micros(&self) -> u64 {
        self.hider().now_micros()
    }
}

impl<S: Storage> Writes for Transaction<'_, S> {
    fn write(&self, space: SpaceNumber, code: OpCode, key: &[u8], body: &[u8]) -> Result<()> {
        self.check_open(space)?;
        if self.needs_sum(space, code, key) {
            return self.write_sum(space, code, key, body);
        }
        let mut writes = self.writes_to(space)?;
        match code {
            OpCode::StreamDelete => writes.delete_stream(space, key),
            OpCode::RunBegin | OpCode::EventAppend => {
                let why = "runs are begun by Transaction::runs, and events appended as batches".into();
                Err(Error::Invalid { what: "operation", why })
            }
            _ => writes.write(space, code, key, body),
        }
    }

    fn write_edited(&self, space: SpaceNumber, key: &[u8], document: &[u8], edit: DocumentEdit<'_>) -> Result<()> {
        self.check_open(space)?;
        self.writes_to(space)?.write_edited(space, key, document, edit)
    }

    fn with_hidden(&self, work: &mut dyn FnMut() -> Result<()>) -> Result<()> {
        let before = self.shows_all.replace(true);
        let done = work();
        self.shows_all.set(before);
        done
    }

    fn append(&self, space: SpaceNumber, stream: &[u8], events: &EventBatch) -> Result<()> {
        self.check_open(space)?;
        self.writes_to(space)?.append(space, stream, events)
    }

    fn host(&self) -> &dyn Host {
        &*self.shared.host
    }
}

impl<S: Storage> Access for &Transaction<'_, S> {
    fn read<T>(&self, operation: impl FnOnce(&dyn Reads) -> Result<T>) -> Result<T> {
        operation(*self)
    }
}

impl<S: Storage> AccessMut for &Transaction<'_, S> {
    fn write<T>(&self, mut operation: impl FnMut(&dyn Writes) -> Result<T>) -> Result<T> {
        operation(*self)
    }

    fn append(&self, space: SpaceNumber, stream: &[u8], events: &EventBatch) -> Result<Option<u64>> {
        Writes::append(*self, space, stream, events).map(|()| None)
    }
}

/// A run inside a transaction.
pub struct TransactionRun<'tx, 'db, S: Storage> {
    pub(crate) transaction: &'tx Transaction<'db, S>,
    pub(crate) id: RunId,
    pub(crate) space: SpaceNumber,
}

impl<'tx, 'db, S: Storage> TransactionRun<'tx, 'db, S> {
    /// The run's id, also where this transaction begins it.
    pub fn id(&self) -> RunId {
        self.id
    }

    /// The number of the run's space in this transaction. Where it begins the run itself that is a provisional one, which no
    /// other transaction has: there it leads to no run, and writing to it fails with [`Error::NotFound`].
    pub fn number(&self) -> SpaceNumber {
        self.space
    }

    super::primitive_handles!(&'tx Transaction<'db, S>, |run| run.transaction, |run| run.space);
}
