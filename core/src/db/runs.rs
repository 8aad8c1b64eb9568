//! Runs: beginning, resuming, ending, finding them.
//!
//! Invariant: every change of a run's life is an operation in a transaction like any other, validated and logged; so a
//! run's life is as durable as its data, and a run can begin, get its first data and end in one commit.

use alloc::{collections::BTreeMap, format, string::String, vec::Vec};
use core::ops::Bound;

use super::{Db, Receipt, Transaction, TransactionOptions, TransactionRun};
use crate::{
    Error, Result, RunId,
    error::check_limit,
    limits::{LABEL_BYTES_MAX, LABELS_MAX},
    log::OpCode,
    primitive::access::Writes,
    state::{Ending, RunAnnotated, RunBegun, RunEnded, RunInfo, RunResumed, RunStatus, SpaceNumber, encode_body},
    storage::Storage,
    value::Value,
};

/// What a run is begun with.
#[derive(Clone, Debug)]
pub struct RunOptions {
    name: String,
    id: Option<RunId>,
    parent: Option<RunId>,
    labels: BTreeMap<String, String>,
    metadata: Value,
}

impl RunOptions {
    /// A run of this name. Names are for people and need not be unique.
    pub fn named(name: impl Into<String>) -> Self {
        RunOptions { name: name.into(), id: None, parent: None, labels: BTreeMap::new(), metadata: Value::Null }
    }

    /// An id of the caller's choice instead of a new one.
    #[must_use]
    pub fn id(mut self, id: RunId) -> Self {
        self.id = Some(id);
        self
    }

    /// The run that this one belongs to.
    #[must_use]
    pub fn parent(mut self, parent: RunId) -> Self {
        self.parent = Some(parent);
        self
    }

    /// A label to find the run by.
    #[must_use]
    pub fn label(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.labels.insert(key.into(), value.into());
        self
    }

    /// Anything else to keep beside it.
    #[must_use]
    pub fn metadata(mut self, metadata: impl Into<Value>) -> Self {
        self.metadata = metadata.into();
        self
    }

    fn check(&self) -> Result<()> {
        check_limit("run name bytes", self.name.len(), LABEL_BYTES_MAX)?;
        check_limit("labels", self.labels.len(), LABELS_MAX)?;
        for (key, value) in &self.labels {
            check_limit("label key bytes", key.len(), LABEL_BYTES_MAX)?;
            check_limit("label value bytes", value.len(), LABEL_BYTES_MAX)?;
        }
        check_metadata(&self.metadata)
    }
}

/// Metadata is a value like any other, and has a value's limits of size and depth.
fn check_metadata(metadata: &Value) -> Result<()> {
    metadata.encode(&mut Vec::new())
}

/// Which runs to list.
#[derive(Clone, Debug, Default)]
pub struct RunFilter {
    status: Option<RunStatus>,
    name: Option<String>,
    parent: Option<RunId>,
    labels: BTreeMap<String, String>,
    after: Option<SpaceNumber>,
    limit: Option<usize>,
    newest_first: bool,
}

impl RunFilter {
    /// All of them, in the order of their beginning.
    pub fn all() -> Self {
        Self::default()
    }

    /// Only runs that stand like this.
    #[must_use]
    pub fn status(mut self, status: RunStatus) -> Self {
        self.status = Some(status);
        self
    }

    /// Only runs of this name.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Only children of this run.
    #[must_use]
    pub fn parent(mut self, parent: RunId) -> Self {
        self.parent = Some(parent);
        self
    }

    /// Only runs with this label.
    #[must_use]
    pub fn label(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.labels.insert(key.into(), value.into());
        self
    }

    /// Only runs that come behind the one of this [number](RunInfo::number): the last of the page before. A number stands for a
    /// place: the run may have been deleted meanwhile.
    ///
    /// ```
    /// # extern crate foldb_core as foldb;
    /// use foldb::{Db, RunFilter, RunOptions};
    /// let db = Db::memory();
    /// let first = db.runs().begin(RunOptions::named("first"))?;
    /// db.runs().begin(RunOptions::named("second"))?;
    /// let place = first.number();
    /// db.runs().delete(first.id())?;
    /// assert_eq!(db.runs().list(&RunFilter::all().after(place))?[0].name, "second");
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    #[must_use]
    pub fn after(mut self, number: SpaceNumber) -> Self {
        self.after = Some(number);
        self
    }

    /// At most this many.
    #[must_use]
    pub fn limit(mut self, limit: usize) -> Self {
        self.limit = Some(limit);
        self
    }

    /// The newest first.
    #[must_use]
    pub fn newest_first(mut self) -> Self {
        self.newest_first = true;
        self
    }

    fn matches(&self, run: &RunInfo) -> bool {
        self.status.is_none_or(|status| run.status == status)
            && self.name.as_ref().is_none_or(|name| run.name == *name)
            && self.parent.is_none_or(|parent| run.parent == Some(parent))
            && self.labels.iter().all(|(key, value)| run.labels.get(key) == Some(value))
    }
}

/// The runs of a store: see [`Db::runs`].
pub struct Runs<'db, S: Storage> {
    db: &'db Db<S>,
}

impl<'db, S: Storage> Runs<'db, S> {
    pub(crate) fn new(db: &'db Db<S>) -> Self {
        Runs { db }
    }

    /// Begins a run and commits that.
    ///
    /// Fails with [`Error::UnknownRun`](crate::Error::UnknownRun) where the parent does not exist, [`Error::Precondition`](crate::Error::Precondition) where a run of the
    /// chosen id does, and [`Error::Limit`](crate::Error::Limit) for names and labels that are too long.
    ///
    /// ```
    /// # extern crate foldb_core as foldb;
    /// use foldb::{Db, RunOptions};
    /// let db = Db::memory();
    /// let run = db.runs().begin(RunOptions::named("import").label("source", "orders.jsonl"))?;
    /// run.kv().put("position", 0)?;
    /// run.end()?;
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    pub fn begin(&self, options: RunOptions) -> Result<Run<'db, S>> {
        let id = options.id.unwrap_or_else(|| RunId::generate(&*self.db.shared().host));
        let options = options.id(id);
        self.db.transaction(|transaction| transaction.runs().begin(options.clone()).map(|_| ()))?;
        self.get(id)
    }

    /// The run of a key: begun now where the store has none, and else the one that there is, whatever has become of it. So a program
    /// that is started again finds its work as it left it, also where it was finished:
    ///
    /// ```
    /// # extern crate foldb_core as foldb;
    /// use foldb::{Db, Result, RunOptions, RunStatus};
    ///
    /// fn import(db: &Db<foldb::storage::MemStorage>) -> Result<()> {
    ///     let run = db.runs().begin_or_get("import of 2026-11-29", RunOptions::named("import"))?;
    ///     match run.info()?.status {
    ///         RunStatus::Active => {}
    ///         RunStatus::Orphaned => drop(run.resume()?), // a process died at it
    ///         _ => return Ok(()),                         // it is done
    ///     }
    ///     run.kv().add_i64("imported", 1)?;
    ///     run.end().map(drop)
    /// }
    ///
    /// let db = Db::memory();
    /// import(&db)?;
    /// import(&db)?;
    /// let run = db.runs().begin_or_get("import of 2026-11-29", RunOptions::named("import"))?;
    /// assert_eq!(run.kv().get::<i64>("imported")?, Some(1), "once");
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    ///
    /// Of several callers at a time one begins it, and all get it; the options count for that one. The key is any bytes. It is part of
    /// the run's id and costs nothing beyond that: unlike an idempotency key it is never forgotten. A run that was
    /// [deleted](Runs::delete) is begun anew. Cost where it exists: a lookup.
    ///
    /// # Errors
    /// As [`Runs::begin`], and [`Error::Invalid`] where the options have an id: the key gives one.
    pub fn begin_or_get(&self, key: impl AsRef<[u8]>, options: RunOptions) -> Result<Run<'db, S>> {
        if let Some(id) = options.id {
            let why =
                format!("it has the id {id}, and the key gives it another; begin it by `begin`, or leave the id out");
            return Err(Error::Invalid { what: "run of a key", why });
        }
        let id = RunId::of_key(self.db.id(), key.as_ref());
        if let Ok(run) = self.get(id) {
            return Ok(run);
        }
        match self.begin(options.id(id)) {
            Err(Error::Precondition { .. }) => {
                // Somebody else was faster, and that commit may be on its way to stable media: before it can be read, nobody is told.
                self.db.shared().wait_until_shown(u64::MAX)?;
                self.get(id)
            }
            begun => begun,
        }
    }

    /// A run that exists. Fails with [`Error::UnknownRun`](crate::Error::UnknownRun).
    pub fn get(&self, id: RunId) -> Result<Run<'db, S>> {
        let space = self.db.shared().with_state(|state| state.number(id))?;
        Ok(Run { db: self.db, id, space })
    }

    /// What is known of a run.
    pub fn info(&self, id: RunId) -> Result<RunInfo> {
        self.db.view().run_info(id)
    }

    /// The runs that match, page by page. Walks the catalog from the cursor on, until it has as many as were asked for: about a
    /// microsecond for each run.
    pub fn list(&self, filter: &RunFilter) -> Result<Vec<RunInfo>> {
        let view = self.db.view();
        let state = view.folded();
        let after = filter.after;
        let epoch = self.db.shared().epoch();
        let infos = |number: SpaceNumber| state.run_info(number, epoch).filter(|run| filter.matches(run));
        let limit = filter.limit.unwrap_or(usize::MAX);
        if filter.newest_first {
            let before = after.map_or(Bound::Unbounded, Bound::Excluded);
            let numbers = state.run_numbers_between(Bound::Unbounded, before).rev();
            return Ok(numbers.filter_map(infos).take(limit).collect());
        }
        let behind = after.map_or(Bound::Unbounded, Bound::Excluded);
        Ok(state.run_numbers_between(behind, Bound::Unbounded).filter_map(infos).take(limit).collect())
    }

    /// Removes a run and all that it holds from the live state. Its history stays in the log.
    pub fn delete(&self, id: RunId) -> Result<Receipt> {
        self.db.change_run(|runs| runs.delete(id))
    }
}

impl<S: Storage> Db<S> {
    fn change_run(&self, mut change: impl FnMut(&TransactionRuns<'_, '_, S>) -> Result<()>) -> Result<Receipt> {
        self.transaction_with(&TransactionOptions::new(), |transaction| change(&transaction.runs()))
            .map(|((), receipt)| receipt)
    }
}

/// A run of a store: a keyspace with a life. Each write commits on its own; use [`Transaction::run`] for more.
pub struct Run<'db, S: Storage> {
    pub(super) db: &'db Db<S>,
    id: RunId,
    space: SpaceNumber,
}

impl<S: Storage> Clone for Run<'_, S> {
    fn clone(&self) -> Self {
        Run { ..*self }
    }
}

impl<'db, S: Storage> Run<'db, S> {
    /// The run's id.
    pub fn id(&self) -> RunId {
        self.id
    }

    /// The number of the run's space.
    pub fn number(&self) -> SpaceNumber {
        self.space
    }

    /// What is known of the run now.
    pub fn info(&self) -> Result<RunInfo> {
        self.db.runs().info(self.id)
    }

    /// Ends the run well. Fails with [`Error::RunEnded`](crate::Error::RunEnded) where it has ended before.
    pub fn end(&self) -> Result<Receipt> {
        self.db.change_run(|runs| runs.end(self.id, None))
    }

    /// Ends the run as failed, and says why.
    pub fn fail(&self, message: impl Into<String>) -> Result<Receipt> {
        let message = message.into();
        self.db.change_run(|runs| runs.fail(self.id, message.clone()))
    }

    /// Ends the run because somebody asked for it.
    pub fn cancel(&self, message: impl Into<String>) -> Result<Receipt> {
        let message = message.into();
        self.db.change_run(|runs| runs.cancel(self.id, message.clone()))
    }

    /// Takes up an orphaned or ended run again: from now on it is this process's.
    pub fn resume(&self) -> Result<Receipt> {
        self.db.change_run(|runs| runs.resume(self.id))
    }

    /// Sets a label.
    pub fn set_label(&self, key: impl Into<String>, value: impl Into<String>) -> Result<Receipt> {
        let (key, value) = (key.into(), value.into());
        self.db.change_run(|runs| runs.set_label(self.id, key.clone(), Some(value.clone())))
    }

    /// Removes a label.
    pub fn remove_label(&self, key: impl Into<String>) -> Result<Receipt> {
        let key = key.into();
        self.db.change_run(|runs| runs.set_label(self.id, key.clone(), None))
    }

    /// Replaces the metadata.
    pub fn set_metadata(&self, metadata: impl Into<Value>) -> Result<Receipt> {
        let metadata = metadata.into();
        self.db.change_run(|runs| runs.set_metadata(self.id, metadata.clone()))
    }

    /// The runs that were begun under this one.
    pub fn children(&self) -> Result<Vec<RunInfo>> {
        self.db.runs().list(&RunFilter::all().parent(self.id))
    }

    super::primitive_handles!(&'db Db<S>, |run| run.db, |run| run.space);
}

/// The runs of a store inside a transaction: see [`Transaction::runs`].
pub struct TransactionRuns<'tx, 'db, S: Storage> {
    transaction: &'tx Transaction<'db, S>,
}

impl<'db, S: Storage> Transaction<'db, S> {
    /// The runs of the store: begin, resume and end them in this transaction.
    pub fn runs(&self) -> TransactionRuns<'_, 'db, S> {
        TransactionRuns { transaction: self }
    }
}

impl<'tx, 'db, S: Storage> TransactionRuns<'tx, 'db, S> {
    /// Begins a run, which can be written in the same transaction.
    pub fn begin(&self, options: RunOptions) -> Result<TransactionRun<'tx, 'db, S>> {
        self.transaction.shared.check_writable("beginning a run")?;
        options.check()?;
        let id = options.id.unwrap_or_else(|| RunId::generate(self.transaction.host()));
        if let Some(parent) = options.parent {
            self.transaction.number(parent)?;
        }
        let body = encode_body(&RunBegun {
            name: options.name,
            parent: options.parent.map(RunId::to_bytes),
            labels: options.labels,
            metadata: options.metadata,
            epoch: self.transaction.epoch(),
        })?;
        let space = self.transaction.writes_mut()?.begin_run(id, &body)?;
        self.transaction.note_life(space, OpCode::RunBegin, &body);
        Ok(TransactionRun { transaction: self.transaction, id, space })
    }

    /// Ends a run well.
    pub fn end(&self, id: RunId, message: Option<String>) -> Result<()> {
        self.finish(id, Ending::Completed, message)
    }

    /// Ends a run as failed.
    pub fn fail(&self, id: RunId, message: String) -> Result<()> {
        self.finish(id, Ending::Failed, Some(message))
    }

    /// Ends a run because somebody asked for it.
    pub fn cancel(&self, id: RunId, message: String) -> Result<()> {
        self.finish(id, Ending::Cancelled, Some(message))
    }

    fn finish(&self, id: RunId, how: Ending, message: Option<String>) -> Result<()> {
        self.write(id, OpCode::RunEnd, &encode_body(&RunEnded { how, message })?)
    }

    /// Takes up an orphaned or ended run again.
    pub fn resume(&self, id: RunId) -> Result<()> {
        self.write(id, OpCode::RunResume, &encode_body(&RunResumed { epoch: self.transaction.epoch() })?)
    }

    /// Sets a label, or removes it.
    pub fn set_label(&self, id: RunId, key: String, value: Option<String>) -> Result<()> {
        check_limit("label key bytes", key.len(), LABEL_BYTES_MAX)?;
        check_limit("label value bytes", value.as_ref().map_or(0, String::len), LABEL_BYTES_MAX)?;
        let change = RunAnnotated { labels: Vec::from([(key, value)]), metadata: None };
        self.write(id, OpCode::RunAnnotate, &encode_body(&change)?)
    }

    /// Replaces the metadata.
    pub fn set_metadata(&self, id: RunId, metadata: Value) -> Result<()> {
        check_metadata(&metadata)?;
        let change = RunAnnotated { labels: Vec::new(), metadata: Some(metadata) };
        self.write(id, OpCode::RunAnnotate, &encode_body(&change)?)
    }

    /// Removes a run and all that it holds.
    pub fn delete(&self, id: RunId) -> Result<()> {
        self.write(id, OpCode::RunDelete, &[])
    }

    /// What is known of a run as of the transaction's version, with what the transaction has done to it itself, also where it
    /// begins it. What only the commit will give, times and seqs, is 0 then. Another commit that ends, resumes or annotates the run
    /// meanwhile is a conflict.
    pub fn info(&self, id: RunId) -> Result<RunInfo> {
        self.transaction.run_info(id)
    }

    fn write(&self, id: RunId, code: OpCode, body: &[u8]) -> Result<()> {
        let space = self.transaction.number(id)?;
        self.transaction.record_run(space);
        self.transaction.writes_to(space)?.change_run(space, code, body)?;
        self.transaction.note_life(space, code, body);
        Ok(())
    }
}

impl<S: Storage> Transaction<'_, S> {
    fn run_info(&self, id: RunId) -> Result<RunInfo> {
        let space = self.number(id)?;
        self.record_run(space);
        self.known_run(space, id)
    }
}
