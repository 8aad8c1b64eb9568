//! [`OsHost`]: the operating system's clock and entropy.

use std::time::{SystemTime, UNIX_EPOCH};

use foldb_core::host::Host;

/// The operating system's clock and entropy. It has no state; every store can have its own.
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
}
