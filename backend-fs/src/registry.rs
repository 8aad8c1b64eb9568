//! Which stores this process has open, so that a second opener can be told whether to look here or elsewhere.
//!
//! Invariant: nothing is decided by it but the words of an error. The lock decides who may open a store; this can be behind it
//! for a moment.

use std::{
    collections::BTreeMap,
    process,
    sync::{Mutex, MutexGuard, PoisonError},
};

use foldb_core::storage::LockHolder;

use crate::place::Identity;

/// The locks that are held, each with the number of the process that took it: `fork` copies the map.
static OPEN: Mutex<BTreeMap<Identity, u32>> = Mutex::new(BTreeMap::new());

fn open() -> MutexGuard<'static, BTreeMap<Identity, u32>> {
    OPEN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// This process has taken the lock.
pub(crate) fn enter(lock: &Identity) {
    open().insert(lock.clone(), process::id());
}

/// The handle in this process is gone. To be called before the lock is given back, or the entry of whoever takes it next would go.
pub(crate) fn leave(lock: &Identity) {
    open().remove(lock);
}

/// Who has a lock that could not be taken.
pub(crate) fn holder(lock: &Identity) -> LockHolder {
    match open().get(lock) {
        None => LockHolder::OtherProcess,
        Some(id) if *id == process::id() => LockHolder::ThisProcess,
        Some(_) => LockHolder::Inherited,
    }
}
