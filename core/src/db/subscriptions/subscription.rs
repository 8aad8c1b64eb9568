//! [`Subscription`]: the commits that somebody wants to hear of, one after the other.
//!
//! Invariant: what is handed over begins behind the version that readers saw when the subscription was made, and has no gap that
//! is not an error.

use alloc::{string::ToString, sync::Arc};
use core::{
    fmt,
    task::{Context, Poll},
    time::Duration,
};

use super::{
    End, Feed,
    feed::{Next, Signal, Wake},
};
use crate::{
    Error, Result,
    db::{Db, shared::Shared},
    live::{Announcement, ChangeFilter},
    storage::Storage,
    sync::Deadline,
};

impl<S: Storage> Db<S> {
    /// Hears of the commits that are made from now on, as far as the filter asks for them: an iterator that waits. Each commit
    /// is announced once, in the order of the seqs, and only when it can be read: whoever reads the store then reads that commit
    /// or a later one. Reading before and subscribing afterwards can miss a commit; subscribe first, then read.
    ///
    /// A subscription borrows nothing. Dropping it ends it.
    ///
    /// **Slow subscribers** hold nobody up and take no memory of their own: the store keeps the newest 4,096 announcements, at most
    /// 8 MiB of them (always the newest one, whatever it takes). Whoever falls behind that gets [`Error::Lagged`] once, which
    /// says from which seq he has to look again, and goes on behind it.
    ///
    /// ```
    /// # extern crate foldb_core as foldb;
    /// use core::time::Duration;
    /// use foldb::{ChangeFilter, Primitive};
    ///
    /// let db = foldb::Db::memory();
    /// let mut orders = db.subscribe(ChangeFilter::all().primitive(Primitive::Json).prefix("order/"))?;
    /// db.kv().put("elsewhere", 1)?;
    /// db.json().set("order/7", &serde_json::json!({ "item": "tea" }))?;
    ///
    /// let commit = orders.next_timeout(Duration::from_secs(1))?.expect("it was just made");
    /// assert_eq!(commit.changes().map(|change| change.key).collect::<Vec<_>>(), [b"order/7"]);
    /// assert!(orders.next_timeout(Duration::ZERO)?.is_none());
    ///
    /// drop(db);
    /// assert!(orders.next().is_none(), "the store was closed");
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    ///
    /// Cost: a commit copies the keys that it writes, once, as long as anybody listens, and looks them through for each
    /// subscriber that waits.
    ///
    /// # Errors
    /// [`Error::ReadOnly`] for a store that was opened for reading only: what a process commits is announced there, and who reads
    /// beside it calls [`Db::refresh`]. [`Error::Poisoned`] where the store takes no more writes, and what [`Db::wait_durable`] fails with: where a strict
    /// commit is on its way, its sync is waited for.
    pub fn subscribe(&self, filter: ChangeFilter) -> Result<Subscription> {
        self.shared.subscribe(filter)
    }
}

impl<S: Storage> Shared<S> {
    pub(crate) fn subscribe(&self, filter: ChangeFilter) -> Result<Subscription> {
        // What a process commits is announced in that process.
        self.check_writable("a subscription")?;
        self.check_process()?;
        let _delivering = self.feed.delivering();
        let core = self.lock();
        if core.closed {
            return Err(ended(End::Closed));
        }
        core.engine.check_usable()?;
        let committed = core.engine.working_state().seq();
        self.feed.listen(committed, self.published.visible(), core.engine.durable_seq());
        let mut subscription = Subscription {
            feed: Arc::clone(&self.feed.0),
            filter: Arc::new(filter),
            after: committed,
            signal: None,
            waiting: None,
            is_over: false,
        };
        // What was committed and does not show yet was announced to nobody, and whoever reads now does not see it either.
        let core = self.wait_until_shown_locked(core, committed)?;
        subscription.after = self.published.visible();
        drop(core);
        Ok(subscription)
    }
}

/// Commits as they are made: see [`Db::subscribe`].
///
/// As an iterator it waits for the next one, for ever. It ends when the store is closed. [`Error::Lagged`] comes between two
/// commits; [`Error::Poisoned`] is the last one before the end: the store takes no more writes.
pub struct Subscription {
    feed: Arc<Feed>,
    filter: Arc<ChangeFilter>,
    /// Everything up to this seq was looked at.
    after: u64,
    /// What a thread waits on; made when one does.
    signal: Option<Arc<Signal>>,
    /// The number under which a task is registered.
    waiting: Option<u64>,
    /// Its last word was said.
    is_over: bool,
}

impl Subscription {
    /// Everything up to this seq was announced, or is not asked for by the filter.
    pub fn seq(&self) -> u64 {
        self.after
    }

    /// Whether it has ended: the store was closed, or takes no more writes, and that was said.
    pub fn is_over(&self) -> bool {
        self.is_over
    }

    /// The next commit, where there is one already.
    ///
    /// # Errors
    /// As [`Subscription::next_timeout`].
    pub fn try_next(&mut self) -> Result<Option<Announcement>> {
        let next = self.step(None)?;
        self.given(next)
    }

    /// The next commit; `None` where none was made within that time.
    ///
    /// # Errors
    /// [`Error::Lagged`] where this subscription was too slow; it goes on behind that. [`Error::Poisoned`] where the store takes
    /// no more writes, and [`Error::Unsupported`] where it was closed; both come after all that there was, and stay.
    pub fn next_timeout(&mut self, timeout: Duration) -> Result<Option<Announcement>> {
        if timeout.is_zero() { self.try_next() } else { self.next_until(Deadline::after(timeout)) }
    }

    /// As [`next_timeout`](Self::next_timeout), until then.
    pub(super) fn next_until(&mut self, until: Deadline) -> Result<Option<Announcement>> {
        let next = self.wait(until)?;
        self.given(next)
    }

    fn given(&mut self, next: Next) -> Result<Option<Announcement>> {
        match next {
            Next::Commit(commit) => Ok(Some(commit)),
            Next::Nothing(_) => Ok(None),
            Next::Over(end) => {
                self.is_over = true;
                Err(ended(end))
            }
        }
    }

    /// The next commit for a task, which is woken when there is one. `None` at the end, as of the iterator. No runtime is needed,
    /// nor is one brought along.
    pub fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Announcement>>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        if self.waiting.is_some_and(|number| self.feed.wake_by(number, context.waker())) {
            return Poll::Pending;
        }
        match self.step(Some(&|| Wake::Task(context.waker().clone()))) {
            Ok(Next::Nothing(number)) => {
                self.waiting = number;
                Poll::Pending
            }
            Ok(Next::Commit(commit)) => Poll::Ready(Some(Ok(commit))),
            Ok(Next::Over(end)) => Poll::Ready(self.last_word(end)),
            Err(error) => Poll::Ready(Some(Err(error))),
        }
    }

    fn step(&mut self, wake: Option<&dyn Fn() -> Wake>) -> Result<Next> {
        self.forget();
        self.feed.next(&mut self.after, &self.filter, wake)
    }

    /// Waits on this thread.
    fn wait(&mut self, until: Deadline) -> Result<Next> {
        let signal = Arc::clone(self.signal.get_or_insert_default());
        loop {
            match self.step(Some(&|| Wake::Thread(Arc::clone(&signal))))? {
                Next::Nothing(number) => self.waiting = number,
                there => return Ok(there),
            }
            if !signal.wait(until) {
                return self.step(None);
            }
        }
    }

    /// Waits no more, and takes along up to where there was nothing.
    fn forget(&mut self) {
        if let Some(seen) = self.waiting.take().and_then(|number| self.feed.forget(number)) {
            self.after = self.after.max(seen);
        }
    }

    /// What an iterator ends with.
    fn last_word(&mut self, end: End) -> Option<Result<Announcement>> {
        self.is_over = true;
        match end {
            End::Closed => None,
            poisoned @ End::Poisoned(_) => Some(Err(ended(poisoned))),
        }
    }
}

impl Iterator for Subscription {
    type Item = Result<Announcement>;

    /// Waits for the next commit, for as long as that takes.
    fn next(&mut self) -> Option<Self::Item> {
        if self.is_over {
            return None;
        }
        match self.wait(Deadline::NEVER) {
            Ok(Next::Commit(commit)) => Some(Ok(commit)),
            Ok(Next::Over(end)) => self.last_word(end),
            // Without a time there is always something.
            Ok(Next::Nothing(_)) => None,
            Err(error) => Some(Err(error)),
        }
    }
}

#[cfg(feature = "stream")]
impl futures_core::Stream for Subscription {
    type Item = Result<Announcement>;

    fn poll_next(self: core::pin::Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Subscription::poll_next(self.get_mut(), context)
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.forget();
        self.feed.leave();
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription").field("filter", &self.filter).field("seq", &self.after).finish_non_exhaustive()
    }
}

fn ended(end: End) -> Error {
    match end {
        End::Closed => Error::Unsupported { what: "waiting for commits", why: "the store was closed".to_string() },
        End::Poisoned(cause) => Error::Poisoned { cause },
    }
}
