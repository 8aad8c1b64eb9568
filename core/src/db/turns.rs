//! [`Turns`]: who goes next among transactions that were lost to others.
//!
//! Optimism is blind to patience: of 32 threads that change one pair, each has one chance in 32 with every sync, and one in
//! eight calls had none within 64 attempts. So whoever was lost takes a turn. Turns are given in the order in which they
//! were asked for, and end when the transaction is applied, so that those behind share its sync. Whoever loses
//! even in its turn, to transactions that come for the first time, closes a gate: the others wait before they commit.
//!
//! Invariants:
//! - At most one thread has the turn, and turns are given in order.
//! - Nobody waits for itself: a closure that commits something else on the way passes through.
//! - Nobody waits for ever: a closure may wait for another thread that commits, which no store can see. Whoever has waited
//!   too long goes on as if there were no turns. Then nothing is lost but the order.

use core::time::Duration;
use std::{collections::VecDeque, sync::PoisonError};

use crate::sync::{AtomicU64, Condvar, Mutex, MutexGuard, Ordering, ThreadId, current_thread};

/// How long a thread waits for its turn. Each takes microseconds; with slow closures and many threads it may take long.
const TURN_WAIT_MAX: Duration = Duration::from_secs(2);

/// How long a commit waits for another that has closed the gate.
const GATE_WAIT_MAX: Duration = Duration::from_millis(100);

/// So often a transaction is lost in its turn before it closes the gate.
const LOST_BEFORE_GATE: u32 = 4;

/// The threads that wait for each other.
pub(crate) struct Turns {
    queue: Mutex<Queue>,
    /// Waiters are spread over a few, so that the end of a turn wakes one of them, or a few, and not all.
    wake: [Condvar; 8],
    /// Whether the gate is closed: what a commit looks at without the lock. 1 where it is.
    gate: AtomicU64,
    /// Those who wait for the gate.
    opened: Condvar,
}

#[derive(Default)]
struct Queue {
    next: u64,
    /// Tickets that wait, in order. The first one is that of the thread that has the turn.
    waiting: VecDeque<u64>,
    holder: Option<ThreadId>,
    /// The thread for which the gate is closed.
    closed_for: Option<ThreadId>,
}

/// The turn of a thread, until it is dropped.
pub(crate) struct Turn<'t> {
    turns: &'t Turns,
    lost: u32,
}

impl Turns {
    pub(crate) fn new() -> Self {
        Turns {
            queue: Mutex::default(),
            wake: core::array::from_fn(|_| Condvar::new()),
            gate: AtomicU64::new(0),
            opened: Condvar::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake_of(&self, ticket: u64) -> &Condvar {
        // The remainder is below the length.
        let [first, ..] = &self.wake;
        usize::try_from(ticket % 8).ok().and_then(|at| self.wake.get(at)).unwrap_or(first)
    }

    /// Waits for a turn; `None` for a thread that has one already, and for one that has waited too long.
    pub(crate) fn take(&self) -> Option<Turn<'_>> {
        let me = current_thread();
        let mut queue = self.lock();
        if queue.holder == Some(me) {
            return None;
        }
        let ticket = queue.next;
        queue.next += 1;
        queue.waiting.push_back(ticket);
        while queue.waiting.front() != Some(&ticket) {
            let (woken, outcome) =
                self.wake_of(ticket).wait_timeout(queue, TURN_WAIT_MAX).unwrap_or_else(PoisonError::into_inner);
            queue = woken;
            if outcome.timed_out() && queue.waiting.front() != Some(&ticket) {
                queue.waiting.retain(|waiting| *waiting != ticket);
                return None;
            }
        }
        queue.holder = Some(me);
        Some(Turn { turns: self, lost: 0 })
    }

    /// Waits until the gate is open, but not for ever. Whoever comes in the moment in which it is closed may get through;
    /// then the transaction that has closed it is lost once more.
    #[inline]
    pub(crate) fn pass_gate(&self) {
        if self.gate.load(Ordering::Relaxed) != 0 {
            self.wait_at_gate();
        }
    }

    #[cold]
    fn wait_at_gate(&self) {
        let me = current_thread();
        let mut queue = self.lock();
        while queue.closed_for.is_some_and(|holder| holder != me) {
            let (woken, outcome) =
                self.opened.wait_timeout(queue, GATE_WAIT_MAX).unwrap_or_else(PoisonError::into_inner);
            queue = woken;
            if outcome.timed_out() {
                return;
            }
        }
    }
}

impl Turn<'_> {
    /// The transaction was lost in its turn.
    pub(crate) fn lost(&mut self) {
        self.lost += 1;
        if self.lost >= LOST_BEFORE_GATE {
            self.turns.lock().closed_for = Some(current_thread());
            self.turns.gate.store(1, Ordering::Relaxed);
        }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut queue = self.turns.lock();
        queue.holder = None;
        queue.waiting.pop_front();
        let next = queue.waiting.front().copied();
        let was_closed = queue.closed_for.take().is_some();
        self.turns.gate.store(0, Ordering::Relaxed);
        drop(queue);
        if let Some(next) = next {
            self.turns.wake_of(next).notify_all();
        }
        if was_closed {
            self.turns.opened.notify_all();
        }
    }
}
