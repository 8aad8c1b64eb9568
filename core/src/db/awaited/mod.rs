//! Commits that are awaited instead of waited for: futures, without a runtime.
//!
//! A closure runs where its future is polled; it reads memory and takes microseconds. What it comes to is handed to a thread of the store
//! (the helper), which validates, writes and syncs all that has come together as one group, as a leader among threads does, and wakes the
//! tasks. So no thread of an executor ever waits for a sync, nor for the lock of the store while it commits.
//!
//! Invariants:
//! - A transaction lives inside one poll: no future holds one while it waits.
//! - A future that is dropped takes nothing back: what was handed over is committed, or fails, as if it were there.
//! - Whoever is answered is answered once, and nobody is forgotten: work that is dropped undone answers with an error.

mod helper;
mod slot;

use alloc::boxed::Box;

pub(crate) use self::helper::{Helper, OwnHelper};
use self::{
    helper::{Commit, Work},
    slot::Slot,
};
use super::{Db, Receipt, Transaction, TransactionOptions, shared::Shared};
use crate::{Error, ErrorKind, Result, storage::Storage, sync::Ordering};

/// A store whose commits can be awaited: in memory and on the file system, not in a browser.
impl<S> Db<S>
where
    S: Storage + Send + Sync + 'static,
    S::File: Send + Sync,
{
    /// [`Db::transaction`] for tasks: the future is ready when the commit is as durable as the store's mode says. `work` is an ordinary
    /// closure, which runs while the future is polled: a transaction cannot be held over an `await`.
    ///
    /// ```
    /// # fn block_on<F: Future>(future: F) -> F::Output {
    /// #     let mut future = std::pin::pin!(future);
    /// #     struct Thread(std::thread::Thread);
    /// #     impl std::task::Wake for Thread { fn wake(self: std::sync::Arc<Self>) { self.0.unpark() } }
    /// #     let waker = std::sync::Arc::new(Thread(std::thread::current())).into();
    /// #     let mut context = std::task::Context::from_waker(&waker);
    /// #     loop {
    /// #         match future.as_mut().poll(&mut context) {
    /// #             std::task::Poll::Ready(value) => return value,
    /// #             std::task::Poll::Pending => std::thread::park(),
    /// #         }
    /// #     }
    /// # }
    /// # use foldb_core::{Db, host::Host};
    /// # struct Threads(foldb_core::host::SteppedHost);
    /// # impl Host for Threads {
    /// #     fn now_micros(&self) -> u64 { self.0.now_micros() }
    /// #     fn fill_random(&self, bytes: &mut [u8]) { self.0.fill_random(bytes) }
    /// #     fn spawn(&self, _: &'static str, work: Box<dyn FnOnce() + Send>) -> foldb_core::Result<()> {
    /// #         std::thread::spawn(work);
    /// #         Ok(())
    /// #     }
    /// # }
    /// # let storage = foldb_core::storage::MemStorage::new();
    /// # let host = std::sync::Arc::new(Threads(foldb_core::host::SteppedHost::new(0)));
    /// # let db = Db::open(storage, host, foldb_core::Options::new())?;
    /// # block_on(async {
    /// let stock = db.transaction_async(|tx| {
    ///     let left = tx.kv().get::<i64>("stock")?.unwrap_or(10) - 1;
    ///     tx.kv().put("stock", left)?;
    ///     Ok(left)
    /// }).await?;
    /// assert_eq!(stock, 9);
    /// # Ok::<(), foldb_core::Error>(())
    /// # })?;
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    ///
    /// Nothing that is awaited fits into it:
    ///
    /// ```compile_fail
    /// async fn held(db: &foldb_core::Db<foldb_core::storage::MemStorage>) -> foldb_core::Result<()> {
    ///     db.transaction_async(|tx| async {
    ///         tx.kv().put("a", 1)?;
    ///         std::future::ready(()).await;
    ///         tx.kv().put("b", 1)
    ///     }).await?;
    ///     Ok(())
    /// }
    /// ```
    ///
    /// **Cancelling.** A future that was never polled has done nothing. One that is dropped while it waits has handed its commit over: that
    /// happens or fails as if the future were there, and nobody is told. With an
    /// [idempotency key](TransactionOptions::idempotency_key) one can ask later: [`Db::seen`].
    ///
    /// **Conflicts** run `work` again, up to [`Options::retries`](crate::Options::retries) times. There are no turns as there are among
    /// threads: where many tasks change one key, one of them gets through with each sync.
    ///
    /// In a store with buffered durability a commit waits for no sync: [`Db::transaction`] answers in microseconds, as long as no snapshot
    /// and no end of a segment is due, and is the better call, also for a task.
    ///
    /// # Errors
    /// As [`Db::transaction`]; and [`Error::Unsupported`] where the host has no threads.
    pub async fn transaction_async<T>(&self, work: impl FnMut(&Transaction<'_, S>) -> Result<T>) -> Result<T> {
        self.transaction_async_with(&TransactionOptions::new(), work).await.map(|(value, _)| value)
    }

    /// [`Db::transaction_with`] for tasks: see [`Db::transaction_async`].
    ///
    /// # Errors
    /// As [`Db::transaction_async`], and [`Error::AlreadyDone`].
    pub async fn transaction_async_with<T>(
        &self,
        options: &TransactionOptions,
        mut work: impl FnMut(&Transaction<'_, S>) -> Result<T>,
    ) -> Result<(T, Receipt)> {
        self.check_not_done_async(options).await?;
        let mut left = options.retries_or(self.shared.options.retries);
        let mut is_retry = false;
        loop {
            let attempt = self.attempt_async(options, (is_retry, left > 0), &mut work)?;
            let (value, outcome) = match attempt {
                Attempt::Wrote(value, commit, slot) => {
                    self.hand_over(Work::Commit(commit))?;
                    (value, slot.await)
                }
                Attempt::Failed(error, base) => {
                    // What the error was decided on may be on its way to stable media only.
                    if let Some(seq) = base {
                        self.call("a transaction", move |shared| shared.wait_until_shown(seq)).await?;
                    }
                    return Err(error);
                }
            };
            match outcome {
                Ok(Receipt { deduplicated: true, seq, .. }) => {
                    return Err(Error::AlreadyDone { key: options.readable_key(), seq });
                }
                Ok(receipt) => return Ok((value, receipt)),
                Err(error) if error.kind() == ErrorKind::Conflict && left > 0 => {
                    self.shared.metrics.retries.fetch_add(1, Ordering::Relaxed);
                    (left, is_retry) = (left - 1, true);
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// [`Db::sync`] for tasks.
    ///
    /// # Errors
    /// As [`Db::sync`]; and [`Error::Unsupported`] where the host has no threads.
    pub async fn sync_async(&self) -> Result<u64> {
        self.call("a sync", Shared::sync).await
    }

    /// [`Db::wait_durable`] for tasks.
    ///
    /// # Errors
    /// As [`Db::wait_durable`]; and [`Error::Unsupported`] where the host has no threads.
    pub async fn wait_durable_async(&self, seq: u64) -> Result<()> {
        self.call("waiting for a sync", move |shared| shared.wait_durable(seq)).await
    }

    /// Runs the closure once, and takes what it came to out of the transaction, which ends here.
    fn attempt_async<T>(
        &self,
        options: &TransactionOptions,
        (is_retry, may_run_again): (bool, bool),
        work: &mut impl FnMut(&Transaction<'_, S>) -> Result<T>,
    ) -> Result<Attempt<T>> {
        let transaction = Transaction::new(&self.shared, options)?;
        if is_retry {
            transaction.read_newest();
        }
        match work(&transaction) {
            Ok(value) => {
                let slot = Slot::new();
                let commit = Commit {
                    base: transaction.base.into_inner(),
                    reads: transaction.reads.into_inner(),
                    writes: transaction.writes.into_inner(),
                    durability: transaction.durability,
                    may_run_again,
                    answer: slot.answer(),
                };
                Ok(Attempt::Wrote(value, Box::new(commit), slot))
            }
            Err(error) => {
                let base = transaction.base.get().filter(|_| is_retry).map(|base| base.seq());
                Ok(Attempt::Failed(error, base))
            }
        }
    }

    async fn check_not_done_async(&self, options: &TransactionOptions) -> Result<()> {
        if options.once().is_none() {
            return Ok(());
        }
        let options = options.clone();
        self.call("a transaction", move |shared| shared.check_not_done(&options)).await
    }

    /// Does something on the helper, for its answer.
    async fn call<T: Send + 'static>(
        &self,
        name: &'static str,
        work: impl FnOnce(&Shared<S>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let slot = Slot::new();
        let answer = slot.answer();
        self.hand_over(Work::Call(name, Box::new(move |shared| answer.give(work(shared)))))?;
        slot.await
    }

    fn hand_over(&self, work: Work<S>) -> Result<()> {
        self.shared.check_process()?;
        self.shared.helper.0.hand_over(&self.shared, work)
    }
}

/// What one run of a closure came to.
enum Attempt<T> {
    Wrote(T, Box<Commit>, Slot<Receipt>),
    /// It failed, on a version that nobody else may see yet.
    Failed(Error, Option<u64>),
}
