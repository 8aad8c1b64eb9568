//! [`Flusher`]: the timer of buffered durability, a thread that calls back at an interval.
//!
//! It knows nothing about stores. Invariant: after [`Flusher`] was dropped its thread has ended, except when the drop
//! happened on that very thread (then it ends as soon as the callback returns), and the callback is never called again. In a
//! process that got it by `fork` there is no thread, and dropping does nothing.

use std::{
    sync::{Arc, Condvar, Mutex, PoisonError},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use foldb_core::storage::StorageError;

use crate::process::Process;

/// The shortest interval; a smaller one is taken as this. Zero would keep a processor busy with doing nothing.
const INTERVAL_MIN: Duration = Duration::from_millis(1);

/// Why the callback of a [`Flusher`] is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FlushReason {
    /// The interval has passed since the last call ended.
    Interval,
    /// [`Flusher::nudge`] was called since the last call began.
    Nudge,
    /// The flusher is being dropped. This is the last call.
    Shutdown,
}

/// A background thread that calls a function every interval, when nudged, and one last time when it is dropped.
///
/// ```
/// use std::{sync::mpsc, time::Duration};
/// use foldb_fs::{FlushReason, Flusher};
///
/// let (calls, called) = mpsc::channel();
/// let flusher = Flusher::spawn(Duration::from_secs(3600), move |reason| calls.send(reason).unwrap())?;
/// flusher.nudge();
/// assert_eq!(called.recv(), Ok(FlushReason::Nudge));
/// drop(flusher);
/// assert_eq!(called.recv(), Ok(FlushReason::Shutdown));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Flusher {
    signal: Arc<Signal>,
    thread: Option<JoinHandle<()>>,
    /// The process that the thread is in.
    process: Process,
}

#[derive(Debug, Default)]
struct Signal {
    wanted: Mutex<Wanted>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Wanted {
    nudge: bool,
    shutdown: bool,
}

impl Flusher {
    /// Starts the thread. `flush` is called on it, never twice at a time, [`FlushReason::Interval`] after each `interval`
    /// (at least one millisecond) without another call. An `interval` too long for the clock means never.
    ///
    /// A `flush` that panics ends the thread; [`is_running`](Self::is_running) tells. It may drop the last handle of what
    /// it flushes, this flusher included.
    ///
    /// # Errors
    ///
    /// [`StorageError::Io`] if the system refuses another thread.
    pub fn spawn(interval: Duration, flush: impl FnMut(FlushReason) + Send + 'static) -> Result<Self, StorageError> {
        let signal = Arc::new(Signal::default());
        let waiting = Arc::clone(&signal);
        let thread = thread::Builder::new()
            .name("foldb-flusher".into())
            .spawn(move || run(&waiting, interval.max(INTERVAL_MIN), flush))
            .map_err(|error| StorageError::Io {
                name: "the flusher thread".into(),
                action: "starting",
                message: error.to_string(),
            })?;
        Ok(Self { signal, thread: Some(thread), process: Process::this() })
    }

    /// Asks for a call now instead of at the end of the interval. Returns at once; several nudges before the call begins
    /// are one.
    pub fn nudge(&self) {
        self.signal.want(|wanted| wanted.nudge = true);
    }

    /// Whether the thread is there to be called: false after its callback has panicked, and in a process that got this by
    /// `fork`, which copies no threads.
    pub fn is_running(&self) -> bool {
        self.process.is_this() && self.thread.as_ref().is_some_and(|thread| !thread.is_finished())
    }
}

impl Drop for Flusher {
    /// Wakes the thread, which calls back one last time with [`FlushReason::Shutdown`], and waits for it. Hold no lock
    /// that the callback takes.
    fn drop(&mut self) {
        if !self.process.is_this() {
            // Waiting for a thread that is not there would never end, and it may have taken the lock along. The handle is
            // not dropped either: that is a word to the system about a thread that it does not know.
            std::mem::forget(self.thread.take());
            return;
        }
        self.signal.want(|wanted| wanted.shutdown = true);
        let Some(thread) = self.thread.take() else { return };
        if thread.thread().id() == thread::current().id() {
            // The callback itself dropped the last owner. Waiting for this thread on this thread would never end.
            return;
        }
        // A panic of the callback has been reported by its own thread; a second one in a drop would abort the process.
        let _ = thread.join();
    }
}

impl Signal {
    fn want(&self, change: impl FnOnce(&mut Wanted)) {
        change(&mut self.wanted.lock().unwrap_or_else(PoisonError::into_inner));
        self.changed.notify_one();
    }

    /// Waits until something is wanted or `deadline` has passed; without one, until something is wanted.
    fn wait(&self, deadline: Option<Instant>) -> FlushReason {
        let mut wanted = self.wanted.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if wanted.shutdown {
                return FlushReason::Shutdown;
            }
            if std::mem::take(&mut wanted.nudge) {
                return FlushReason::Nudge;
            }
            wanted = match deadline.map(|deadline| deadline.saturating_duration_since(Instant::now())) {
                None => self.changed.wait(wanted).unwrap_or_else(PoisonError::into_inner),
                Some(Duration::ZERO) => return FlushReason::Interval,
                Some(left) => self.changed.wait_timeout(wanted, left).unwrap_or_else(PoisonError::into_inner).0,
            };
        }
    }
}

fn run(signal: &Signal, interval: Duration, mut flush: impl FnMut(FlushReason)) {
    loop {
        // Counted from the end of the last call: a slow device gets its interval of rest instead of a backlog of calls.
        let reason = signal.wait(Instant::now().checked_add(interval));
        flush(reason);
        if reason == FlushReason::Shutdown {
            return;
        }
    }
}

#[cfg(test)]
#[path = "flusher_tests.rs"]
mod tests;
