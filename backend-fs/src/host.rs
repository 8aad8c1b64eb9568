//! [`OsHost`]: the operating system's clock, entropy and threads.

use std::{
    thread,
    time::{SystemTime, UNIX_EPOCH},
};

use foldb_core::{Result, host::Host, storage::StorageError};

/// The operating system's clock, entropy and threads. It has no state; every store can have its own.
#[derive(Clone, Copy, Debug, Default)]
pub struct OsHost;

impl Host for OsHost {
    /// The wall clock. A clock before 1970 counts as 1970: times are shown to people, nothing is ordered by them.
    fn now_micros(&self) -> u64 {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since_epoch.as_micros()).unwrap_or(u64::MAX)
    }

    /// Bytes of the system's random source.
    ///
    /// # Panics
    ///
    /// If the system has no working random source. Salts that repeat let stale frames pass for current ones, so there
    /// is no second-best answer.
    fn fill_random(&self, bytes: &mut [u8]) {
        getrandom::fill(bytes).expect("the operating system has a working random source");
    }

    /// A thread of the system, which nobody waits for.
    ///
    /// # Errors
    ///
    /// [`StorageError::Io`] if the system refuses another thread.
    fn spawn(&self, name: &'static str, work: Box<dyn FnOnce() + Send>) -> Result<()> {
        let started = thread::Builder::new().name(name.into()).spawn(work);
        started.map(drop).map_err(|error| {
            StorageError::Io { name: name.into(), action: "starting the thread of", message: error.to_string() }.into()
        })
    }
}
