//! Transactions as users hold them.
//!
//! Invariant: a transaction reads one version, from its first read to its end, plus what it has written itself; what it
//! writes is seen by nobody else before it commits, and dropping it leaves no trace.

use alloc::{string::String, sync::Arc, vec::Vec};
use core::{
    cell::{OnceCell, RefCell},
    ops::{Bound, ControlFlow},
};

use super::{
    Attempts, Durability, Receipt,
    commit::Request,
    shared::Shared,
    view::{visit_tree, with_tree_key},
};
use crate::{
    Error, Result, RunId,
    host::Host,
    log::{OnceKey, OpCode},
    planted::{self, Planted},
    primitive::{
        access::{Access, AccessMut, Item, OnItem, OnPair, PendingStream, Reads, Writes},
        trace_index,
    },
    state::{Appended, DEFAULT_SPACE, Family, RunInfo, Source, SpaceNumber, State, entry_kind, readable},
    storage::Storage,
    transaction::{PROVISIONAL, ReadSet, Write, WriteBody, WriteSet},
    tree::{Direction, KeyRange, Tree},
    value::{Delta, Encode, apply_delta},
};

/// How one transaction is to be committed.
#[derive(Clone, Debug, Default)]
pub struct TransactionOptions {
    durability: Option<Durability>,
    idempotency_key: Option<Vec<u8>>,
    fingerprint: Vec<u8>,
    retries: Option<u32>,
}

impl TransactionOptions {
    /// What the store's [`Options`](super::Options) say, and no idempotency key.
    pub fn new() -> Self {
        Self::default()
    }

    /// This transaction's durability: `Strict` waits for stable media in a `Buffered` store, and `Buffered` does not
    /// wait in a `Strict` one. `InMemory` cannot be asked for here: the log would have a hole.
    #[must_use]
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = Some(durability);
        self
    }

    /// A key that makes the commit happen once, also over crashes and restarts. [`Db::once_with`](super::Db::once_with)
    /// gives back what came of it, [`Db::transaction_with`](super::Db::transaction_with) says
    /// [`AlreadyDone`](Error::AlreadyDone); neither runs its closure. A transaction that is committed by hand changes nothing
    /// and gets a receipt with `deduplicated` set. The newest 65,536 keys are remembered unless the store was told
    /// otherwise: see [`Db::set_idempotency_window`](super::Db::set_idempotency_window).
    #[must_use]
    pub fn idempotency_key(mut self, key: impl AsRef<[u8]>) -> Self {
        self.idempotency_key = Some(key.as_ref().to_vec());
        self
    }

    /// What tells the contents of this transaction from others under the same key: a hash of the request, say, of at most
    /// [`FINGERPRINT_BYTES_MAX`](crate::limits::FINGERPRINT_BYTES_MAX) bytes. The same key with another one is
    /// [`KeyReused`](Error::KeyReused). Without any, the same key stands for the same request.
    #[must_use]
    pub fn fingerprint(mut self, fingerprint: impl AsRef<[u8]>) -> Self {
        self.fingerprint = fingerprint.as_ref().to_vec();
        self
    }

    /// The key, with what is remembered with it.
    pub(crate) fn once(&self) -> Option<OnceKey<'_>> {
        let key = self.idempotency_key.as_deref()?;
        Some(OnceKey { key, fingerprint: &self.fingerprint, result: &[] })
    }

    pub(crate) fn readable_key(&self) -> String {
        readable(self.idempotency_key.as_deref().unwrap_or_default())
    }

    pub(crate) fn durability_or(&self, default: Durability) -> Durability {
        self.durability.unwrap_or(default)
    }

    /// How often the closure form runs again after a conflict.
    #[must_use]
    pub fn retries(mut self, retries: u32) -> Self {
        self.retries = Some(retries);
        self
    }

    pub(crate) fn retries_or(&self, default: u32) -> u32 {
        self.retries.unwrap_or(default)
    }
}

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
    pub(super) durability: Durability,
}

/// Where a transaction can go back to: see [`Transaction::savepoint`].
#[derive(Clone, Debug)]
pub struct Savepoint {
    writes: WriteSet,
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
        let mut writes = WriteSet::default();
        writes.idempotency_key.clone_from(&options.idempotency_key);
        writes.fingerprint.clone_from(&options.fingerprint);
        Ok(Transaction {
            shared,
            base: OnceCell::new(),
            reads: RefCell::default(),
            writes: RefCell::new(writes),
            durability,
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
            // It was just made, and has no version yet.
            let _ = transaction.base.set(shared.working_state());
        }
        Ok(transaction)
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

    /// A run, to read and write it inside this transaction. Fails with [`Error::UnknownRun`].
    pub fn run(&self, id: RunId) -> Result<TransactionRun<'_, 'db, S>> {
        Ok(TransactionRun { transaction: self, id, space: self.number(id)? })
    }

    /// The number of a run, which may be one that this transaction begins itself.
    pub(crate) fn number(&self, id: RunId) -> Result<SpaceNumber> {
        if let Ok(number) = self.base().number(id) {
            return Ok(number);
        }
        let writes = self.writes.borrow();
        let position = writes.new_runs.iter().position(|new| *new == Some(id)).ok_or(Error::UnknownRun(id))?;
        Ok(PROVISIONAL | u32::try_from(position).unwrap_or(u32::MAX))
    }

    /// Marks the transaction's present writes, to come back to them with [`Transaction::rollback_to`]. Copies the
    /// buffered writes.
    pub fn savepoint(&self) -> Savepoint {
        Savepoint { writes: self.writes.borrow().clone() }
    }

    /// Forgets what was written since the savepoint. What was read since then still counts for validation. Runs that
    /// were begun since then are not begun any more, and writing to them fails with [`Error::NotFound`].
    pub fn rollback_to(&self, savepoint: &Savepoint) -> Result<()> {
        if planted::active(Planted::RollbackForgotten) {
            return Ok(());
        }
        let mut writes = self.writes_mut()?;
        let begun = writes.new_runs.len();
        *writes = savepoint.writes.clone();
        writes.new_runs.resize(begun, None);
        Ok(())
    }

    /// Commits. Fails with [`Error::Conflict`] where something that was read has changed: begin again then. The change can be
    /// read by that time; where it is a strict commit whose sync has not returned yet, the error waits for that. A conflict
    /// comes before anything else that is wrong with the transaction: what is decided on a version that is out of date would
    /// perhaps not be decided again. What is reported otherwise, such as a counter that would overflow, is true of the newest
    /// version, and beginning again does not mend it. After [`Error::OutcomeUnknown`] only reopening the store tells whether the commit is there.
    pub fn commit(self) -> Result<Receipt> {
        self.commit_with_seqs().map(|(receipt, _)| receipt)
    }

    pub(crate) fn commit_with_seqs(self) -> Result<(Receipt, Vec<Appended>)> {
        self.commit_as(None)
    }

    /// Commits one attempt of a closure; its turn ends where it is applied.
    pub(crate) fn commit_attempt(self, attempts: &mut Attempts<'_>) -> Result<(Receipt, Vec<Appended>)> {
        self.commit_as(Some(attempts))
    }

    fn commit_as(self, attempts: Option<&mut Attempts<'_>>) -> Result<(Receipt, Vec<Appended>)> {
        let (reads, writes) = (self.reads.into_inner(), self.writes.into_inner());
        self.shared.commit(Request {
            base: self.base.into_inner(),
            reads: &reads,
            writes: &writes,
            durability: self.durability,
            attempts,
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

    /// Discards everything. The same as dropping it.
    pub fn rollback(self) {}

    /// The buffered writes, to write to a space.
    fn writes_to(&self, space: SpaceNumber) -> Result<core::cell::RefMut<'_, WriteSet>> {
        let writes = self.writes_mut()?;
        if space & PROVISIONAL != 0 && writes.new_run(space).is_none() {
            let name = "whose beginning was rolled back".into();
            return Err(Error::NotFound { what: "the run", name });
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

    /// What is known of a run as of this transaction's version; `None` for a run that it begins itself.
    pub(crate) fn base_run_info(&self, space: SpaceNumber) -> Option<RunInfo> {
        self.base().run_info(space, self.shared.epoch)
    }

    pub(crate) fn epoch(&self) -> u64 {
        self.shared.epoch
    }

    /// The committed tree of a space; `None` for a run that this transaction begins itself.
    fn tree(&self, space: SpaceNumber) -> Result<Option<&Tree>> {
        if space & PROVISIONAL != 0 {
            return Ok(None);
        }
        match self.base().space(space) {
            Some(space) => Ok(Some(space.tree())),
            None => Err(Error::NotFound { what: "run", name: alloc::format!("number {space}") }),
        }
    }

    /// Reads the committed entry of a key, and records that.
    fn committed(&self, space: SpaceNumber, family: Family, key: &[u8], found: OnItem<'_>) -> Result<()> {
        let Some(tree) = self.tree(space)? else { return found(None) };
        let entry = with_tree_key(family, key, |key| tree.get(key, self.shared))?;
        self.reads.borrow_mut().point(space, family.key(key), entry.map(|entry| entry.seq));
        found(entry.map(|entry| Item::committed(entry, self.shared)))
    }

    /// A counter with what this transaction adds to it.
    fn counter(&self, space: SpaceNumber, key: &[u8], delta: &[u8], found: OnItem<'_>) -> Result<()> {
        let mut sum = Vec::new();
        self.committed(space, Family::Kv, key, &mut |item| {
            let existing = item.map(|item| item.bytes()).transpose()?;
            sum = apply_delta(key, existing.as_deref(), &Delta::decode(delta)?)?;
            Ok(())
        })?;
        found(Some(Item::pending(entry_kind::INLINE, &sum, self.shared)))
    }

    /// Shows a buffered write of a family to a reader. Returns whether the key exists.
    fn pending(&self, writes: &WriteSet, write: &Write, found: OnItem<'_>) -> Result<()> {
        match (write.code, writes.body(write)) {
            (OpCode::KvDelete | OpCode::JsonDelete | OpCode::StateDelete, _) | (_, WriteBody::Events { .. }) => {
                found(None)
            }
            (OpCode::KvAdd, WriteBody::Bytes(delta)) => self.counter(write.space, writes.key(write), delta, found),
            (_, WriteBody::Bytes(body)) => found(Some(Item::pending(entry_kind::INLINE, body, self.shared))),
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
        Family::Stream | Family::Batch | Family::TraceByParent | Family::TraceByType => None,
    }
}

/// The index entries that buffered trace entries will get, as writes of pairs without values.
fn pending_index(writes: &WriteSet, space: SpaceNumber, family: Family) -> Result<WriteSet> {
    let mut index = WriteSet::default();
    for write in writes.sorted_in(space, Family::Trace) {
        let WriteBody::Bytes(body) = writes.body(write) else { continue };
        for key in trace_index(writes.key(write), body)? {
            if let Some((first, key)) = key.split_first()
                && *first == family.byte()
            {
                index.write(space, OpCode::KvPut, key, &[])?;
            }
        }
    }
    Ok(index)
}

impl<S: Storage> Reads for Transaction<'_, S> {
    fn get_with(&self, space: SpaceNumber, family: Family, key: &[u8], found: OnItem<'_>) -> Result<()> {
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
        let own = self.writes.borrow();
        let index;
        let (writes, mut buffered) = match family {
            Family::TraceByParent | Family::TraceByType => {
                index = pending_index(&own, space, family)?;
                (&index, index.sorted_in(space, Family::Kv))
            }
            // What is buffered for a stream is no entry of the tree: see `pending_stream`.
            Family::Stream | Family::Batch => (&*own, Vec::new()),
            Family::Kv | Family::Json | Family::State | Family::Trace => (&*own, own.sorted_in(space, family)),
        };
        buffered.retain(|write| range.contains(writes.key(write)));
        if direction == Direction::Backward {
            buffered.reverse();
        }
        let mut merge = Merge { transaction: self, writes, direction, stopped_at: None };
        let visited = merge.visit(space, family, range, buffered, each);
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
        Ok(self.writes.borrow().pending_stream(space, stream))
    }

    fn pending_streams(&self, space: SpaceNumber) -> Result<Vec<Vec<u8>>> {
        Ok(self.writes.borrow().streams_in(space))
    }

    fn source(&self) -> &dyn Source {
        self.shared
    }
}

/// Committed entries and buffered writes of one range, merged in key order.
struct Merge<'a, 'db, S: Storage> {
    transaction: &'a Transaction<'db, S>,
    writes: &'a WriteSet,
    direction: Direction,
    /// The key that the visit ended at, where it did not come to the end of the range.
    stopped_at: Option<Vec<u8>>,
}

impl<S: Storage> Merge<'_, '_, S> {
    fn visit(
        &mut self,
        space: SpaceNumber,
        family: Family,
        range: &KeyRange,
        buffered: Vec<&Write>,
        each: OnPair<'_>,
    ) -> Result<()> {
        let mut buffered = buffered.into_iter().peekable();
        let mut flow = ControlFlow::Continue(());
        let (transaction, writes) = (self.transaction, self.writes);
        if let Some(tree) = transaction.tree(space)? {
            visit_tree(tree, family, range, self.direction, transaction.shared, &mut |key, item| {
                while let Some(write) = buffered.next_if(|write| self.comes_before(writes.key(write), key)) {
                    flow = self.show(write, each)?;
                    if flow.is_break() {
                        return Ok(flow);
                    }
                }
                flow = match buffered.next_if(|write| writes.key(write) == key) {
                    Some(write) => self.show(write, each)?,
                    None => {
                        let flow = each(key, item);
                        self.reached(key, flow)?
                    }
                };
                Ok(flow)
            })?;
        }
        for write in buffered {
            if flow.is_break() {
                break;
            }
            flow = self.show(write, each)?;
        }
        Ok(())
    }

    fn comes_before(&self, left: &[u8], right: &[u8]) -> bool {
        match self.direction {
            Direction::Forward => left < right,
            Direction::Backward => left > right,
        }
    }

    /// Notes the key where the visit stops there, because nobody wants more or because it fails.
    fn reached(&mut self, key: &[u8], flow: Result<ControlFlow<()>>) -> Result<ControlFlow<()>> {
        if !matches!(flow, Ok(ControlFlow::Continue(()))) {
            self.stopped_at = Some(key.to_vec());
        }
        flow
    }

    /// Shows a buffered write, unless it is a deletion.
    fn show(&mut self, write: &Write, each: OnPair<'_>) -> Result<ControlFlow<()>> {
        let writes = self.writes;
        let mut flow = ControlFlow::Continue(());
        let shown = self.transaction.pending(writes, write, &mut |item| {
            if let Some(item) = item {
                flow = each(writes.key(write), &item)?;
            }
            Ok(())
        });
        self.reached(writes.key(write), shown.map(|()| flow))
    }
}

impl<S: Storage> Writes for Transaction<'_, S> {
    fn write(&self, space: SpaceNumber, code: OpCode, key: &[u8], body: &[u8]) -> Result<()> {
        let mut writes = self.writes_to(space)?;
        if code == OpCode::StreamDelete {
            return writes.delete_stream(space, key);
        }
        writes.write(space, code, key, body)
    }

    fn append(&self, space: SpaceNumber, stream: &[u8], count: u64, events: &[u8]) -> Result<()> {
        self.writes_to(space)?.append(space, stream, count, events)
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

    fn append(&self, space: SpaceNumber, stream: &[u8], count: u64, events: &[u8]) -> Result<Option<u64>> {
        Writes::append(*self, space, stream, count, events).map(|()| None)
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

    /// The number of the run's space in this transaction: a provisional one where it begins the run itself.
    pub fn number(&self) -> SpaceNumber {
        self.space
    }

    super::primitive_handles!(&'tx Transaction<'db, S>, |run| run.transaction, |run| run.space);
}
