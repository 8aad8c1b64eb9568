//! [`Slot`]: where the answer to something that was handed over is awaited.
//!
//! Invariants:
//! - An answer is given once; where it never will be, that is the answer.
//! - No wake-up is lost: the waker is left under the lock under which the answer is looked for.

use alloc::{string::ToString, sync::Arc};
use core::{
    panic::AssertUnwindSafe,
    pin::Pin,
    task::{Context, Poll, Waker},
};
use std::sync::PoisonError;

use crate::{
    Error, Result,
    planted::{self, Planted},
    sync::Mutex,
};

/// A future of an answer.
pub(super) struct Slot<T>(Arc<Mutex<State<T>>>);

/// The other end of a [`Slot`].
pub(super) struct Answer<T>(Arc<Mutex<State<T>>>);

enum State<T> {
    Waiting(Option<Waker>),
    Given(Result<T>),
    Taken,
}

impl<T> Slot<T> {
    pub(super) fn new() -> Self {
        Slot(Arc::new(Mutex::new(State::Waiting(None))))
    }

    pub(super) fn answer(&self) -> Answer<T> {
        Answer(Arc::clone(&self.0))
    }
}

impl<T> Future for Slot<T> {
    type Output = Result<T>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<T>> {
        // Cloned before the lock and dropped behind it: a waker is the code of others.
        let mut waker = Some(context.waker().clone());
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let State::Waiting(left) = &mut *state {
            core::mem::swap(left, &mut waker);
            drop(state);
            return Poll::Pending;
        }
        let answer = core::mem::replace(&mut *state, State::Taken);
        drop(state);
        Poll::Ready(match answer {
            State::Given(answer) => answer,
            _ => Err(unanswered()),
        })
    }
}

impl<T> Answer<T> {
    /// Gives the answer and wakes the task. Without any lock: a waker is the code of others.
    pub(super) fn give(self, answer: Result<T>) {
        self.give_once(answer);
    }

    fn give_once(&self, answer: Result<T>) {
        let waker = {
            let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            match &mut *state {
                State::Waiting(waker) => {
                    let waker = waker.take();
                    *state = State::Given(answer);
                    waker
                }
                _ => None,
            }
        };
        if let Some(waker) = waker.filter(|_| !planted::active(Planted::AnswerWithoutWaking)) {
            // Who is answered next is not to suffer for a waker that panics.
            drop(std::panic::catch_unwind(AssertUnwindSafe(|| waker.wake())));
        }
    }
}

impl<T> Drop for Answer<T> {
    /// Whatever was to give the answer is gone.
    fn drop(&mut self) {
        self.give_once(Err(unanswered()));
    }
}

fn unanswered() -> Error {
    Error::Unsupported { what: "an awaited commit", why: "the store was closed before it was made".to_string() }
}
