//! What the browser is asked for, until it answers.
//!
//! Invariants:
//! - The object that was asked is held until its promise has settled. Chromium collects a file handle that nobody holds,
//!   and with it forgets the promise that it gave: whoever waits for that waits for ever, with every lock that is held.
//! - No wait is without an end. What is not answered in time is given up with a failure that says so, and a file that
//!   comes after all is closed, so that it is locked for nobody.

use std::{future::poll_fn, pin::Pin, task::Poll};

use js_sys::{Function, Promise};
use wasm_bindgen::{JsCast, JsValue, prelude::wasm_bindgen};
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::FileSystemSyncAccessHandle;

use super::failure::failure;
use crate::pool::Failure;

#[wasm_bindgen]
extern "C" {
    // A number in browsers, an object in Node.
    #[wasm_bindgen(js_name = setTimeout)]
    fn set_timeout(handler: &Function, millis: u32) -> JsValue;
    #[wasm_bindgen(js_name = clearTimeout)]
    fn clear_timeout(timer: &JsValue);
}

/// How long the browser may take to answer: many times what a busy computer takes, and less than the patience of whoever
/// waits for a store.
const ANSWER_MILLIS: u32 = 30_000;

/// A question to the browser that is under way.
pub(super) struct Asked {
    /// What was asked. Held and never read: see the module's first invariant.
    _owner: JsValue,
    answer: JsFuture,
    timer: Timer,
}

impl Asked {
    /// Asks `owner`. Several can be asked before the first is waited for; the time of each runs from here.
    pub(super) fn of<T: AsRef<JsValue>>(owner: &T, ask: impl FnOnce(&T) -> Promise) -> Self {
        let answer = JsFuture::from(ask(owner));
        Asked { _owner: owner.as_ref().clone(), answer, timer: Timer::start(ANSWER_MILLIS) }
    }

    /// What the browser answers.
    pub(super) async fn answer(mut self) -> Result<JsValue, Failure> {
        let answered = poll_fn(|context| match Pin::new(&mut self.answer).poll(context) {
            Poll::Ready(answer) => Poll::Ready(Some(answer)),
            Poll::Pending => self.timer.poll(context).map(|()| None),
        });
        match answered.await {
            Some(answer) => answer.map_err(|thrown| failure(&thrown)),
            None => {
                spawn_local(self.give_back());
                let seconds = ANSWER_MILLIS / 1000;
                Err(Failure::Other(format!("the browser has not answered for {seconds} s, and was given up")))
            }
        }
    }

    /// Waits on for an answer that nobody wants any more. Where it is a file, that is closed.
    async fn give_back(self) {
        if let Ok(answer) = self.answer.await
            && let Ok(file) = answer.dyn_into::<FileSystemSyncAccessHandle>()
        {
            file.close();
        }
    }
}

/// Lets so much time pass.
pub(super) async fn pause(millis: u32) {
    let mut timer = Timer::start(millis);
    poll_fn(|context| timer.poll(context)).await;
}

/// A timer of the engine, which is stopped when it is dropped.
struct Timer {
    passed: JsFuture,
    number: JsValue,
}

impl Timer {
    fn start(millis: u32) -> Self {
        let mut number = JsValue::UNDEFINED;
        let passed = Promise::new(&mut |resolve, _| number = set_timeout(&resolve, millis));
        Timer { passed: JsFuture::from(passed), number }
    }

    fn poll(&mut self, context: &mut std::task::Context<'_>) -> Poll<()> {
        Pin::new(&mut self.passed).poll(context).map(drop)
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        clear_timeout(&self.number);
    }
}
