//! [`Helper`]: the thread of a store that commits and syncs for tasks.
//!
//! Invariants:
//! - What was handed over is done in that order; strict commits that have come together share one sync.
//! - Whoever closes the store waits until nothing of this holds it any more: else its lock on the files would outlive it.

use alloc::{
    boxed::Box,
    string::ToString,
    sync::{Arc, Weak},
    vec::Vec,
};
use std::sync::PoisonError;

use super::{super::closed, slot::Answer};
use crate::{
    Error, Result,
    db::{Durability, Receipt, commit::Request, shared::Shared},
    state::State,
    storage::Storage,
    sync::{Condvar, Mutex, MutexGuard, ThreadId, current_thread},
    transaction::{ReadSet, WriteSet},
};

/// Something to be done by the thread.
pub(super) enum Work<S: Storage> {
    Commit(Box<Commit>),
    /// This is what it is for.
    Call(&'static str, Call<S>),
}

impl<S: Storage> Work<S> {
    fn name(&self) -> &'static str {
        match self {
            Work::Commit(_) => "a write",
            Work::Call(name, _) => name,
        }
    }
}

/// Something that answers for itself.
type Call<S> = Box<dyn FnOnce(&Shared<S>) + Send>;

/// A transaction that is over, and to be committed.
pub(super) struct Commit {
    pub(super) base: Option<Arc<State>>,
    pub(super) reads: ReadSet,
    pub(super) writes: WriteSet,
    pub(super) durability: Durability,
    /// After a conflict the closure may run again.
    pub(super) may_run_again: bool,
    pub(super) answer: Answer<Receipt>,
}

/// What was handed over, and the thread that does it.
pub(crate) struct Helper<S: Storage> {
    queue: Mutex<Queue<S>>,
    changed: Condvar,
}

struct Queue<S: Storage> {
    work: Vec<Work<S>>,
    /// How much was ever handed over, and how much of it is done.
    handed_over: u64,
    done: u64,
    has_thread: bool,
    /// The store is closed: nothing more is taken.
    closed: bool,
    /// The store is gone.
    over: bool,
    /// The thread, while it is there.
    thread: Option<ThreadId>,
    /// How many threads of this hold the store at the moment.
    holding: usize,
    /// Those that take a snapshot, of them.
    aside: Vec<ThreadId>,
}

impl<S: Storage> Queue<S> {
    /// A task that is woken, or dropped, on a thread of this may hold the last handle of the store: closing it there would wait
    /// for itself.
    fn is_own_thread(&self) -> bool {
        let current = current_thread();
        self.thread == Some(current) || self.aside.contains(&current)
    }
}

impl<S: Storage> Helper<S> {
    pub(crate) fn new() -> Self {
        let queue = Queue {
            work: Vec::new(),
            handed_over: 0,
            done: 0,
            has_thread: false,
            closed: false,
            over: false,
            thread: None,
            holding: 0,
            aside: Vec::new(),
        };
        Helper { queue: Mutex::new(queue), changed: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, Queue<S>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Before the store closes: waits until everything that was handed over before is done. Not for what comes meanwhile: tasks that
    /// go on until they are refused would keep a store from closing for ever. Not on the thread that does it.
    pub(crate) fn finish(&self) {
        let mut queue = self.lock();
        let until = queue.handed_over;
        while queue.has_thread && !queue.is_own_thread() && queue.done < until {
            queue = self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// When the store is closed, or has failed to: nothing more is taken, and no thread of this holds the store when it returns.
    pub(crate) fn end(&self) {
        let mut queue = self.lock();
        queue.closed = true;
        while queue.has_thread && !queue.is_own_thread() && !(queue.work.is_empty() && queue.holding == 0) {
            queue = self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Waits for something to do. `None` when the store is gone.
    fn take(&self) -> Option<Vec<Work<S>>> {
        let mut queue = self.lock();
        loop {
            if !queue.work.is_empty() {
                queue.thread = Some(current_thread());
                queue.holding += 1;
                return Some(core::mem::take(&mut queue.work));
            }
            if queue.over {
                queue.has_thread = false;
                return None;
            }
            queue = self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// This thread has done so much, and has let go of the store.
    fn let_go(&self, done: usize) {
        let mut queue = self.lock();
        queue.holding -= 1;
        queue.done = queue.done.saturating_add(u64::try_from(done).unwrap_or(u64::MAX));
        drop(queue);
        self.changed.notify_all();
    }
}

impl<S> Helper<S>
where
    S: Storage + Send + Sync + 'static,
    S::File: Send + Sync,
{
    pub(super) fn hand_over(self: &Arc<Self>, shared: &Arc<Shared<S>>, work: Work<S>) -> Result<()> {
        let mut queue = self.lock();
        if queue.closed {
            return Err(closed(work.name()));
        }
        // Until it is there nobody else may take it for there: nobody would do what he hands over.
        if !queue.has_thread {
            let (helper, store) = (Arc::clone(self), Arc::downgrade(shared));
            shared.host.spawn("foldb-helper", Box::new(move || helper.run(&store)))?;
            queue.has_thread = true;
        }
        queue.work.push(work);
        queue.handed_over = queue.handed_over.saturating_add(1);
        drop(queue);
        self.changed.notify_all();
        Ok(())
    }

    /// What the thread does.
    fn run(self: Arc<Self>, store: &Weak<Shared<S>>) {
        while let Some(work) = self.take() {
            let done = work.len();
            if let Some(shared) = store.upgrade() {
                shared.do_together(work);
                self.take_snapshot_aside(shared);
            }
            self.let_go(done);
        }
    }

    /// A snapshot that is due takes a while, and nobody waits for it: it gets a thread of its own. Where there is none to be had
    /// this one takes it.
    fn take_snapshot_aside(self: &Arc<Self>, shared: Arc<Shared<S>>) {
        let is_due = {
            let core = shared.lock();
            !core.snapshotting && shared.is_snapshot_due(&core)
        };
        if !is_due {
            return;
        }
        self.lock().holding += 1;
        let (helper, store) = (Arc::clone(self), Arc::clone(&shared));
        let aside = move || {
            helper.lock().aside.push(current_thread());
            store.snapshot_in_passing();
            drop(store);
            helper.lock().aside.retain(|thread| *thread != current_thread());
            helper.let_go(0);
        };
        if shared.host.spawn("foldb-snapshot", Box::new(aside)).is_err() {
            self.let_go(0);
            shared.snapshot_in_passing();
        }
    }
}

impl<S: Storage> Shared<S> {
    /// Does all of it, with one sync at the end for the commits that need one.
    fn do_together(&self, work: Vec<Work<S>>) {
        let mut unsynced: Vec<(Receipt, Answer<Receipt>)> = Vec::new();
        for work in work {
            let commit = match work {
                Work::Call(_, call) => {
                    call(self);
                    continue;
                }
                Work::Commit(commit) => *commit,
            };
            let strict = commit.durability == Durability::Strict && !self.is_in_memory();
            let committed = self.commit(Request {
                base: commit.base,
                reads: &commit.reads,
                writes: &commit.writes,
                durability: commit.durability,
                attempts: None,
                is_awaited: true,
                may_run_again: commit.may_run_again,
            });
            match committed {
                Ok(receipt) if strict && !receipt.durable => unsynced.push((receipt, commit.answer)),
                done => commit.answer.give(done),
            }
        }
        let Some(newest) = unsynced.iter().map(|(receipt, _)| receipt.seq).max() else { return };
        let synced = self.wait_durable(newest);
        let durable = self.lock().engine.durable_seq();
        for (receipt, answer) in unsynced {
            // One that another thread has synced before the failure is durable all the same.
            answer.give(match &synced {
                Err(error) if receipt.seq > durable => {
                    Err(Error::OutcomeUnknown { seq: receipt.seq, cause: cause_of(error) })
                }
                _ => Ok(Receipt { durable: true, ..receipt }),
            });
        }
    }
}

/// The first failure, in its own words.
fn cause_of(error: &Error) -> alloc::string::String {
    match error {
        Error::OutcomeUnknown { cause, .. } | Error::Poisoned { cause } => cause.clone(),
        error => error.to_string(),
    }
}

/// The helper of an open store: its thread goes with it.
pub(crate) struct OwnHelper<S: Storage>(pub(crate) Arc<Helper<S>>);

impl<S: Storage> Drop for OwnHelper<S> {
    fn drop(&mut self) {
        self.0.lock().over = true;
        self.0.changed.notify_all();
    }
}
