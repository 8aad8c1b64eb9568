//! [`SeededHost`]: a clock and entropy that repeat.

use std::sync::atomic::{AtomicU64, Ordering};

use foldb_core::host::Host;

use crate::random::{GOLDEN_STEP, mixed};

/// 2026-01-01T00:00:00Z: a time that looks like one in printed output.
const BEGIN_MICROS: u64 = 1_767_225_600_000_000;

/// A host whose clock advances by a fixed step at every reading and whose entropy comes from a seed.
///
/// Two hosts of one seed that are asked the same questions give the same answers. Readings of the clock do not disturb
/// the entropy and the other way round, so that code may read the clock once more without changing every id.
///
/// ```
/// use foldb_core::host::Host;
/// use foldb_testkit::SeededHost;
///
/// let host = SeededHost::new(7).with_step(1_000);
/// let first = host.now_micros();
/// assert_eq!(host.now_micros(), first + 1_000);
/// host.set_clock(5); // Clocks jump.
/// assert_eq!(host.now_micros(), 5);
/// ```
#[derive(Debug)]
pub struct SeededHost {
    now: AtomicU64,
    step: u64,
    entropy: AtomicU64,
}

impl SeededHost {
    /// The host of this seed. Its clock begins in 2026 and steps by one millisecond.
    pub fn new(seed: u64) -> Self {
        Self { now: AtomicU64::new(BEGIN_MICROS), step: 1_000, entropy: AtomicU64::new(seed) }
    }

    /// The same with another step, in microseconds.
    #[must_use]
    pub fn with_step(self, micros: u64) -> Self {
        Self { step: micros, ..self }
    }

    /// Sets the clock: the next reading gives `micros`.
    pub fn set_clock(&self, micros: u64) {
        self.now.store(micros, Ordering::Relaxed);
    }
}

impl Host for SeededHost {
    fn now_micros(&self) -> u64 {
        self.now.fetch_add(self.step, Ordering::Relaxed)
    }

    fn fill_random(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let state = self.entropy.fetch_add(GOLDEN_STEP, Ordering::Relaxed).wrapping_add(GOLDEN_STEP);
            chunk.copy_from_slice(&mixed(state).to_le_bytes()[..chunk.len()]);
        }
    }
}

#[cfg(test)]
mod tests {
    //! What a seed promises.

    use super::*;

    #[test]
    fn one_seed_is_one_sequence_however_often_the_clock_is_read() {
        let (one, other) = (SeededHost::new(3), SeededHost::new(3));
        let (mut left, mut right) = ([0; 21], [0; 21]);
        for _ in 0..3 {
            one.now_micros();
            one.fill_random(&mut left);
            other.fill_random(&mut right);
            assert_eq!(left, right);
        }
        SeededHost::new(4).fill_random(&mut right);
        assert_ne!(left, right);
    }
}
