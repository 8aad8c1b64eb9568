//! What the outside world tells the core: the time and random bytes. And what it may lend: a thread.
//!
//! Invariant: whatever is asked here and matters later is written into the log. The fold never asks, which is what
//! makes recovery and replay deterministic.

use alloc::boxed::Box;

use crate::{Error, Result};

/// Time and entropy, supplied by a backend: the operating system's, the browser's, or a seeded one in tests.
pub trait Host {
    /// Microseconds since 1970-01-01 UTC. It may jump in both directions: the order of the log does not rest on it. What users count by
    /// time does: leases and delays of a queue, the age of an idempotency key.
    fn now_micros(&self) -> u64;

    /// Fills `bytes` with unpredictable bytes. Salts and ids are made of them: a host that repeats itself can make a
    /// stale frame of an earlier life look current.
    fn fill_random(&self, bytes: &mut [u8]);

    /// Runs `work` on a thread of its own, which ends with it. A store asks for one when something needs it (a callback, a
    /// commit that somebody awaits), never otherwise. Nothing that is written into the log depends on it. It is asked under a lock, and
    /// calls nothing of the store.
    ///
    /// # Errors
    /// [`Error::Unsupported`] of a host without threads, as a browser is, and unless a host says otherwise; whatever the system
    /// refuses a thread with.
    fn spawn(&self, name: &'static str, work: Box<dyn FnOnce() + Send>) -> Result<()> {
        drop(work);
        Err(Error::Unsupported { what: name, why: "it takes a thread, and this host has none to give".into() })
    }
}

/// A host without an outside world: a clock that advances by one microsecond each time it is asked, and bytes that only
/// look random. The same seed gives the same times and bytes, so a test can be repeated. Not for stores that must
/// survive: salts and ids repeat.
#[derive(Debug)]
pub struct SteppedHost {
    micros: core::sync::atomic::AtomicU64,
    random: core::sync::atomic::AtomicU64,
}

impl SteppedHost {
    /// A host whose clock stands at 0.
    pub const fn new(seed: u64) -> Self {
        SteppedHost { micros: core::sync::atomic::AtomicU64::new(0), random: core::sync::atomic::AtomicU64::new(seed) }
    }
}

impl Host for SteppedHost {
    fn now_micros(&self) -> u64 {
        self.micros.fetch_add(1, core::sync::atomic::Ordering::Relaxed)
    }

    fn fill_random(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            // SplitMix64: every state gives another output, and a fetch-and-add is all the state it needs.
            let step = 0x9e37_79b9_7f4a_7c15;
            let mut mixed = self.random.fetch_add(step, core::sync::atomic::Ordering::Relaxed).wrapping_add(step);
            mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            mixed ^= mixed >> 31;
            let word = mixed.to_le_bytes();
            chunk.copy_from_slice(word.get(..chunk.len()).unwrap_or(&word));
        }
    }
}
