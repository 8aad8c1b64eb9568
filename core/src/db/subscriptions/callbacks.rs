//! Subscriptions as callbacks, which one thread of the store calls.
//!
//! Nobody who commits ever waits for a callback: it runs on a thread of its own, which is asked of the [`Host`] when it is first needed and
//! has nothing of the store but the feed.
//!
//! Invariants:
//! - Callbacks run one after the other and under no lock: they may commit, subscribe, end themselves and drop the store.
//! - A callback that panics is not called again, and the others are.

use alloc::{boxed::Box, collections::VecDeque, sync::Arc, task::Wake as WakeTask};
use core::{
    fmt,
    panic::AssertUnwindSafe,
    task::{Context, Poll, Waker},
};
use std::sync::PoisonError;

use super::Subscription;
use crate::{
    Result,
    db::Db,
    host::Host,
    live::{Announcement, ChangeFilter},
    storage::Storage,
    sync::{AtomicBool, Condvar, Mutex, MutexGuard, Ordering},
};

/// So many commits are handed to one callback before it is the turn of the next.
const COMMITS_IN_A_ROW: usize = 64;

impl<S: Storage> Db<S> {
    /// Calls `callback` for each commit that is made from now on, as far as the filter asks for it, until the guard is dropped or
    /// the store is closed. It hears what a [`Subscription`] hears, errors included: [`Db::subscribe`] says when and in which order.
    ///
    /// All callbacks of a store share one thread, which is not that of whoever commits. So a callback may commit and subscribe, and a
    /// slow one holds up the other callbacks and nobody else; whoever waits long takes a thread and a [`Subscription`]. A callback
    /// that panics is not called again. A callback that holds the store keeps it open: give it a `Weak`.
    ///
    /// # Errors
    /// As [`Db::subscribe`], and [`Error::Unsupported`](crate::Error::Unsupported) where the host has no threads.
    pub fn on_commit(
        &self,
        filter: ChangeFilter,
        callback: impl FnMut(Result<Announcement>) + Send + 'static,
    ) -> Result<Callback> {
        let subscription = self.shared.subscribe(filter)?;
        self.shared.callbacks.call(&*self.shared.host, subscription, Box::new(callback))
    }
}

type Work = (Subscription, Box<dyn FnMut(Result<Announcement>) + Send>);

/// The thread that calls, once there is one.
#[derive(Default)]
pub(crate) struct Callbacks {
    queue: Arc<Queue>,
}

#[derive(Default)]
struct Queue {
    ready: Mutex<Ready>,
    changed: Condvar,
}

#[derive(Default)]
struct Ready {
    tasks: VecDeque<Arc<Task>>,
    has_thread: bool,
    /// The store is gone: what is ready is the rest.
    over: bool,
}

/// One callback with what it listens to.
struct Task {
    queue: Arc<Queue>,
    /// Taken by the thread alone, while it calls. Empty once it is over.
    work: Mutex<Option<Work>>,
    /// Whether it waits in the queue.
    queued: AtomicBool,
    cancelled: AtomicBool,
    panicked: AtomicBool,
}

/// Keeps a callback subscribed: see [`Db::on_commit`]. Dropping it ends the subscription; a call that is under way goes on to its
/// end.
#[must_use = "the callback is called as long as this is kept"]
pub struct Callback(Arc<Task>);

impl Callback {
    /// Whether the callback has panicked, and is not called any more.
    pub fn has_panicked(&self) -> bool {
        self.0.panicked.load(Ordering::Acquire)
    }
}

impl Drop for Callback {
    fn drop(&mut self) {
        self.0.cancelled.store(true, Ordering::Release);
        self.0.enqueue();
    }
}

impl fmt::Debug for Callback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Callback").field("has_panicked", &self.has_panicked()).finish_non_exhaustive()
    }
}

impl Callbacks {
    fn call(
        &self,
        host: &dyn Host,
        subscription: Subscription,
        callback: Box<dyn FnMut(Result<Announcement>) + Send>,
    ) -> Result<Callback> {
        // Until it is there nobody else may take it for there: his callback would never be called.
        let mut ready = self.queue.lock();
        if !ready.has_thread {
            let queue = Arc::clone(&self.queue);
            host.spawn("foldb-callbacks", Box::new(move || queue.run()))?;
            ready.has_thread = true;
        }
        drop(ready);
        let task = Arc::new(Task {
            queue: Arc::clone(&self.queue),
            work: Mutex::new(Some((subscription, callback))),
            queued: AtomicBool::new(false),
            cancelled: AtomicBool::new(false),
            panicked: AtomicBool::new(false),
        });
        // The first time it registers.
        task.enqueue();
        Ok(Callback(task))
    }
}

impl Drop for Callbacks {
    fn drop(&mut self) {
        self.queue.lock().over = true;
        self.queue.changed.notify_all();
    }
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Ready> {
        self.ready.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the thread does.
    fn run(&self) {
        while let Some(task) = self.next() {
            task.queued.store(false, Ordering::Release);
            if task.run() {
                task.enqueue();
            }
        }
    }

    fn next(&self) -> Option<Arc<Task>> {
        let mut ready = self.lock();
        loop {
            if let Some(task) = ready.tasks.pop_front() {
                return Some(task);
            }
            if ready.over {
                ready.has_thread = false;
                return None;
            }
            ready = self.changed.wait(ready).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Task {
    fn enqueue(self: &Arc<Self>) {
        let mut ready = self.queue.lock();
        // Behind the end of the thread nobody would take it out again.
        if (ready.has_thread || !ready.over) && !self.queued.swap(true, Ordering::AcqRel) {
            ready.tasks.push_back(Arc::clone(self));
            drop(ready);
            self.queue.changed.notify_one();
        }
    }

    /// Calls for what there is. Returns whether there is more.
    fn run(self: &Arc<Self>) -> bool {
        let waker = Waker::from(Arc::clone(self));
        let mut work = self.work.lock().unwrap_or_else(PoisonError::into_inner);
        let mut is_over = false;
        for _ in 0..COMMITS_IN_A_ROW {
            let Some((subscription, callback)) = work.as_mut() else { return false };
            let polled = match self.cancelled.load(Ordering::Acquire) {
                true => Poll::Ready(None),
                false => subscription.poll_next(&mut Context::from_waker(&waker)),
            };
            match polled {
                Poll::Pending => return false,
                Poll::Ready(None) => is_over = true,
                Poll::Ready(Some(commit)) => {
                    is_over = std::panic::catch_unwind(AssertUnwindSafe(|| callback(commit))).is_err();
                    self.panicked.fetch_or(is_over, Ordering::AcqRel);
                }
            }
            if is_over {
                break;
            }
        }
        let over = if is_over { work.take() } else { None };
        drop(work);
        // What the callback owns may be the store, and what is dropped may panic as well.
        drop(std::panic::catch_unwind(AssertUnwindSafe(move || drop(over))));
        !is_over
    }
}

impl WakeTask for Task {
    fn wake(self: Arc<Self>) {
        self.enqueue();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.enqueue();
    }
}
