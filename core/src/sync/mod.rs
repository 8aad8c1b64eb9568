//! The primitives of synchronization that the driver is built of, named in one place.
//!
//! Invariant: whatever a thread of the driver can wait for, or see from another thread, goes through this module. So a test
//! can decide who runs when: `--cfg foldb_shuttle` puts the scheduler of shuttle behind these names (random schedules of
//! a whole store), `--cfg foldb_loom` that of loom (every schedule, and every order of memory, of a small protocol). In
//! all other builds they are the standard library's and arc-swap's, at no cost. `cargo xtask schedules` sets the flags.
//!
//! Not here: counters that nothing decides by, and locks inside of a storage. The latter are held for one copy of bytes and
//! never while anything else is waited for, so no schedule can show a difference.

#[cfg(any(foldb_shuttle, foldb_loom))]
mod stand_ins;

#[cfg(not(any(foldb_shuttle, foldb_loom)))]
mod names {
    pub(crate) use core::sync::atomic::{AtomicBool, AtomicU64};
    pub(crate) use std::{
        sync::{Condvar, Mutex, MutexGuard, OnceLock, RwLock},
        thread::ThreadId,
    };

    /// The thread that asks.
    pub(crate) fn current_thread() -> ThreadId {
        std::thread::current().id()
    }

    /// A value that readers take without touching a lock or a counter that threads share.
    pub(crate) type SharedOption<T> = arc_swap::ArcSwapOption<T>;
    /// What [`SharedOption::load`] gives.
    pub(crate) type Loaded<T> = arc_swap::Guard<Option<alloc::sync::Arc<T>>>;
}

#[cfg(foldb_shuttle)]
mod names {
    pub(crate) use shuttle::{
        sync::{
            Condvar, Mutex, MutexGuard, RwLock,
            atomic::{AtomicBool, AtomicU64},
        },
        thread::ThreadId,
    };

    pub(crate) use super::stand_ins::{Loaded, OnceLock, SharedOption};

    pub(crate) fn current_thread() -> ThreadId {
        shuttle::thread::current().id()
    }
}

#[cfg(all(foldb_loom, not(foldb_shuttle)))]
mod names {
    pub(crate) use loom::{
        sync::{
            Condvar, Mutex, MutexGuard, RwLock,
            atomic::{AtomicBool, AtomicU64},
        },
        thread::ThreadId,
    };

    pub(crate) use super::stand_ins::{Loaded, OnceLock, SharedOption};

    pub(crate) fn current_thread() -> ThreadId {
        loom::thread::current().id()
    }
}

pub(crate) use core::sync::atomic::Ordering;

pub(crate) use names::{
    AtomicBool, AtomicU64, Condvar, Loaded, Mutex, MutexGuard, OnceLock, RwLock, SharedOption, ThreadId, current_thread,
};

/// Until when a thread waits. It is measured by the clock that the wait itself goes by, which no [`Host`](crate::Host) stands in for;
/// nothing is decided by it but how long a thread sleeps.
#[derive(Clone, Copy)]
pub(crate) struct Deadline(Option<std::time::Instant>);

impl Deadline {
    /// For ever.
    pub(crate) const NEVER: Self = Deadline(None);

    /// So long from now on. A time that no clock can tell is for ever.
    #[expect(clippy::disallowed_methods, reason = "how long a thread sleeps is no input of the store")]
    pub(crate) fn after(timeout: core::time::Duration) -> Self {
        Deadline(std::time::Instant::now().checked_add(timeout))
    }

    /// How long that is from now on; `None` for ever.
    #[expect(clippy::disallowed_methods, reason = "how long a thread sleeps is no input of the store")]
    pub(crate) fn rest(self) -> Option<core::time::Duration> {
        self.0.map(|until| until.saturating_duration_since(std::time::Instant::now()))
    }
}
