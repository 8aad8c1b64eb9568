//! [`Process`]: the process that opened something, so that a copy of the handle is known for one.
//!
//! `fork` copies handles, buffers and the right to every lock, and no thread. Rust has no way to forbid it, and a program may
//! fork without knowing that a library of it holds a store.
//!
//! Invariant: in a process that was made by the C library's `fork`, [`Process::is_this`] is false from its first instruction
//! on. A process that was made behind the library's back is noticed by [`Process::is_surely_this`], which costs a system call.

use std::process;

#[cfg(unix)]
use forkguard::atfork::Guard;

/// The process in which this value was made.
#[derive(Debug)]
pub(crate) struct Process {
    id: u32,
    /// How many forks there had been. `None` where the system did not let them be counted.
    #[cfg(unix)]
    forks: Option<Guard>,
}

impl Process {
    pub(crate) fn this() -> Self {
        Self {
            id: process::id(),
            #[cfg(unix)]
            forks: Guard::try_new().ok(),
        }
    }

    /// Whether this process is that one. Reads a counter: asked at every commit, where asking the system for the process's
    /// number would cost a tenth of a buffered one (docs/decisions/0012).
    #[inline]
    pub(crate) fn is_this(&self) -> bool {
        #[cfg(unix)]
        return match &self.forks {
            // Of a clone, because the answer of a guard changes it: each question is about now.
            Some(forks) => !forks.clone().detected_fork(),
            None => self.has_this_id(),
        };
        // There is no fork.
        #[cfg(not(unix))]
        true
    }

    /// [`is_this`](Self::is_this), asking the system as well. For what is a system call anyway.
    pub(crate) fn is_surely_this(&self) -> bool {
        self.is_this() && self.has_this_id()
    }

    fn has_this_id(&self) -> bool {
        process::id() == self.id
    }
}
