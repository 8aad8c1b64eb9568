//! [`Feed`]: the announcements of a store, and those who wait for them.
//!
//! Invariants:
//! - The lock of the feed is taken under that of the store, never the other way round, and nobody is woken under either: a
//!   waker is the code of others, and may end a task that holds the store.
//! - Whoever notes what shows, or that it is over, calls [`Feed::deliver`] afterwards, without any lock and with nothing under way
//!   that closing waits for.
//! - A waker that panics harms nobody else: neither who commits nor who is woken after it.

use alloc::{collections::BTreeMap, string::String, sync::Arc, vec::Vec};
use core::{panic::AssertUnwindSafe, task::Waker};
use std::sync::PoisonError;

use crate::{
    Error, Result,
    live::{Announced, Announcement, ChangeFilter, Recent},
    planted::{self, Planted},
    sync::{AtomicU64, Condvar, Deadline, Mutex, MutexGuard, Ordering},
};

/// What is announced, and who waits.
pub(crate) struct Feed {
    /// How many listen. Commits look at it under the lock of the store, under which it leaves 0.
    listening: AtomicU64,
    heard: Mutex<Heard>,
}

struct Heard {
    recent: Recent,
    /// Seq of the newest commit that readers may see.
    shown: u64,
    /// Seq of the newest one that is on stable media; in memory that is no other.
    durable: u64,
    in_memory: bool,
    /// The newest commits that those who wait were looked through for.
    delivered: (u64, u64),
    end: Option<End>,
    waiting: BTreeMap<u64, Waiting>,
    next: u64,
}

/// Why nothing more is announced.
#[derive(Clone, Debug)]
pub(crate) enum End {
    /// The store was closed.
    Closed,
    /// It takes no more writes, for this cause.
    Poisoned(String),
}

/// Somebody who waits, and up to where there was nothing for him.
struct Waiting {
    filter: Arc<ChangeFilter>,
    seen: u64,
    /// Taken when there is something. The rest stays until he comes: up to where there was nothing is not known elsewhere.
    wake: Option<Wake>,
}

/// How to wake whoever waits.
pub(crate) enum Wake {
    /// A thread.
    Thread(Arc<Signal>),
    /// A task of an executor.
    Task(Waker),
}

impl Wake {
    fn wake(self) {
        match self {
            Wake::Thread(signal) => signal.set(),
            Wake::Task(waker) => waker.wake(),
        }
    }
}

/// What one thread sleeps on.
#[derive(Default)]
pub(crate) struct Signal {
    set: Mutex<bool>,
    changed: Condvar,
}

impl Signal {
    fn set(&self) {
        *self.lock() = true;
        self.changed.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, bool> {
        self.set.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until it is set, and resets it. Returns whether it was.
    pub(crate) fn wait(&self, until: Deadline) -> bool {
        let mut set = self.lock();
        while !core::mem::take(&mut *set) {
            set = match until.rest() {
                None => self.changed.wait(set).unwrap_or_else(PoisonError::into_inner),
                Some(rest) => {
                    let (set, outcome) = self.changed.wait_timeout(set, rest).unwrap_or_else(PoisonError::into_inner);
                    if (outcome.timed_out() || rest.is_zero()) && !*set {
                        return false;
                    }
                    set
                }
            };
        }
        true
    }
}

/// What there is for a subscription.
pub(crate) enum Next {
    Commit(Announcement),
    /// Nothing yet. Whoever gave a way to be woken is registered under this number.
    Nothing(Option<u64>),
    Over(End),
}

impl Feed {
    pub(crate) fn new(shown: u64, in_memory: bool) -> Arc<Self> {
        let heard = Heard {
            recent: Recent::default(),
            shown,
            durable: shown,
            in_memory,
            delivered: (shown, shown),
            end: None,
            waiting: BTreeMap::new(),
            next: 0,
        };
        Arc::new(Feed { listening: AtomicU64::new(0), heard: Mutex::new(heard) })
    }

    fn lock(&self) -> MutexGuard<'_, Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether commits have to be announced. Under the lock of the store.
    #[inline]
    pub(crate) fn is_heard(&self) -> bool {
        self.listening.load(Ordering::Relaxed) > 0
    }

    /// From now on commits are announced. Under the lock of the store, with the seqs of what it has.
    pub(crate) fn listen(&self, committed: u64, shown: u64, durable: u64) {
        let mut heard = self.lock();
        if self.listening.fetch_add(1, Ordering::Relaxed) == 0 {
            heard.recent.begin(committed);
            (heard.shown, heard.durable) = (shown, durable);
            heard.delivered = (shown, durable);
        }
    }

    /// One listens no more.
    pub(crate) fn leave(&self) {
        let mut heard = self.lock();
        if self.listening.fetch_sub(1, Ordering::Relaxed) == 1 {
            heard.recent = Recent::default();
        }
    }

    /// A commit was made. It is not handed over before it shows. Under the lock of the store.
    pub(crate) fn announce(&self, announced: Arc<Announced>) {
        self.lock().recent.push(announced);
    }

    /// Readers may see what was committed up to here, and so much is on stable media. Under the lock of the store.
    pub(crate) fn show(&self, shown: u64, durable: u64) {
        if self.is_heard() {
            let mut heard = self.lock();
            heard.shown = heard.shown.max(shown);
            heard.durable = heard.durable.max(durable);
        }
    }

    /// Nothing more will be announced. The first cause stays.
    pub(crate) fn end(&self, end: End) {
        self.lock().end.get_or_insert(end);
    }

    /// Wakes those for whom there is something. Without a lock.
    pub(crate) fn deliver(&self) {
        if !self.is_heard() || planted::active(Planted::DeliveryForgotten) {
            return;
        }
        let due = self.lock().due();
        for wake in due {
            // It would take along whoever commits, or the thread that commits for tasks, and leave the others asleep.
            drop(std::panic::catch_unwind(AssertUnwindSafe(|| wake.wake())));
        }
    }

    /// [`deliver`](Self::deliver) when what is returned is dropped: taken before the lock of the store, it is dropped behind it.
    pub(crate) fn delivering(&self) -> Delivering<'_> {
        Delivering(self)
    }

    /// The next commit behind `after` for this filter; `after` is moved to it. Where there is none and `wake` says how,
    /// whoever asks is woken when there may be one: `Nothing` has the number to [forget](Self::forget) that by.
    ///
    /// # Errors
    /// [`Error::Lagged`] where commits were forgotten that were not looked at. It is not said before the last of them shows:
    /// whoever looks again then finds them.
    pub(crate) fn next(
        &self,
        after: &mut u64,
        filter: &Arc<ChangeFilter>,
        wake: Option<&dyn Fn() -> Wake>,
    ) -> Result<Next> {
        let mut heard = self.lock();
        let limit = heard.limit(filter);
        let gone = heard.recent.gone();
        if *after < gone && gone <= limit {
            let missed_after = core::mem::replace(after, gone);
            return Err(Error::Lagged { after: missed_after, to: gone });
        }
        if *after >= gone {
            let found = heard.recent.between(*after, limit).find(|commit| commit.matches(filter)).cloned();
            *after = found.as_ref().map_or(limit.max(*after), |commit| commit.seq);
            if let Some(commit) = found {
                let durable = !heard.in_memory && commit.seq <= heard.durable;
                return Ok(Next::Commit(Announcement::new(commit, Arc::clone(filter), durable)));
            }
        }
        if let Some(end) = &heard.end {
            return Ok(Next::Over(end.clone()));
        }
        let Some(wake) = wake else { return Ok(Next::Nothing(None)) };
        let number = heard.next;
        heard.next += 1;
        heard.waiting.insert(number, Waiting { filter: Arc::clone(filter), seen: *after, wake: Some(wake()) });
        Ok(Next::Nothing(Some(number)))
    }

    /// Whoever is registered under this number waits no more. Returns up to where there was nothing for him.
    pub(crate) fn forget(&self, number: u64) -> Option<u64> {
        // What is dropped is the code of others, too.
        let waiting = self.lock().waiting.remove(&number);
        waiting.map(|waiting| waiting.seen)
    }

    /// Another way to wake whoever is registered under this number. Returns whether he still has to be.
    pub(crate) fn wake_by(&self, number: u64, waker: &Waker) -> bool {
        let old = {
            let mut heard = self.lock();
            let Some(waiting) = heard.waiting.get_mut(&number) else { return false };
            match &waiting.wake {
                None => return false,
                Some(Wake::Task(old)) if old.will_wake(waker) => None,
                Some(_) => waiting.wake.replace(Wake::Task(waker.clone())),
            }
        };
        drop(old);
        true
    }
}

impl Heard {
    /// Up to where somebody with this filter may hear of commits.
    fn limit(&self, filter: &ChangeFilter) -> u64 {
        let durable = if self.in_memory { self.shown } else { self.durable };
        if filter.is_durable() { self.shown.min(durable) } else { self.shown }
    }

    fn has_for(&self, waiting: &Waiting, limit: u64) -> bool {
        self.recent.between(waiting.seen, limit).any(|commit| commit.matches(&waiting.filter))
    }

    /// Those for whom there is something since the last time; each is woken once.
    fn due(&mut self) -> Vec<Wake> {
        if (self.shown, self.durable) == self.delivered && self.end.is_none() {
            return Vec::new();
        }
        let mut waiting = core::mem::take(&mut self.waiting);
        let mut due = Vec::new();
        let gone = self.recent.gone();
        for waiting in waiting.values_mut().filter(|waiting| waiting.wake.is_some()) {
            let limit = self.limit(&waiting.filter);
            let is_behind = waiting.seen < gone;
            let is_due =
                self.end.is_some() || (is_behind && gone <= limit) || (!is_behind && self.has_for(waiting, limit));
            if is_due {
                due.extend(waiting.wake.take());
            } else if !is_behind {
                // What was forgotten before it showed is not to be taken for seen: it is told once all of that shows.
                waiting.seen = waiting.seen.max(limit);
            }
        }
        self.waiting = waiting;
        self.delivered = (self.shown, self.durable);
        due
    }
}

/// See [`Feed::delivering`].
pub(crate) struct Delivering<'f>(&'f Feed);

impl Drop for Delivering<'_> {
    fn drop(&mut self) {
        self.0.deliver();
    }
}

/// The feed of an open store: ends with it.
pub(crate) struct OwnFeed(pub(crate) Arc<Feed>);

impl core::ops::Deref for OwnFeed {
    type Target = Feed;

    fn deref(&self) -> &Feed {
        &self.0
    }
}

impl Drop for OwnFeed {
    fn drop(&mut self) {
        self.end(End::Closed);
        self.deliver();
    }
}
