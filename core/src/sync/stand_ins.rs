//! What shuttle and loom have no version of, built of what they have: for tests of schedules alone.
//!
//! Invariant: what the original promises, and nothing more that a caller could come to rest on. A lock stands in for
//! arc-swap, whose loads and stores are ordered at least as those of a lock; the original never makes a reader wait, so a
//! deadlock that only the stand-in could have is not possible either: no other lock is asked for while this one is held.

use alloc::{boxed::Box, sync::Arc};
use std::sync::PoisonError;

use super::names::Mutex;

/// Stands in for `ArcSwapOption`.
#[derive(Debug)]
pub(crate) struct SharedOption<T>(Mutex<Option<Arc<T>>>);

/// What [`SharedOption::load`] gives.
pub(crate) type Loaded<T> = Option<Arc<T>>;

impl<T> SharedOption<T> {
    pub(crate) fn empty() -> Self {
        Self(Mutex::new(None))
    }

    pub(crate) fn load(&self) -> Loaded<T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn load_full(&self) -> Loaded<T> {
        self.load()
    }

    pub(crate) fn store(&self, value: Option<Arc<T>>) {
        let old = core::mem::replace(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner), value);
        // Not under the lock: what is dropped may be large.
        drop(old);
    }
}

/// Stands in for `OnceLock`: the first value wins, and whoever comes later sees it. The value is leaked: safe Rust has no
/// other way from a lock to a reference that lasts, and a test ends.
#[derive(Debug)]
pub(crate) struct OnceLock<T: 'static>(Mutex<Option<&'static T>>);

impl<T> OnceLock<T> {
    pub(crate) fn get(&self) -> Option<&T> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn set(&self, value: T) -> Result<(), T> {
        let mut place = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match *place {
            Some(_) => Err(value),
            None => {
                *place = Some(Box::leak(Box::new(value)));
                Ok(())
            }
        }
    }
}

impl<T> Default for OnceLock<T> {
    fn default() -> Self {
        Self(Mutex::new(None))
    }
}

impl<T: Clone> Clone for OnceLock<T> {
    fn clone(&self) -> Self {
        let value = self.get().cloned();
        Self(Mutex::new(value.map(|value| &*Box::leak(Box::new(value)))))
    }
}
