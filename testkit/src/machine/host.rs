//! [`SimHost`]: a clock that stands still while the store works and jumps in between, and entropy of one seed.

use std::sync::{
    Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use foldb_core::host::Host;

use crate::Random;

/// 2026-01-01T00:00:00Z.
const BEGIN_MICROS: u64 = 1_767_225_600_000_000;

/// The first time that no id of a trace entry has room for: 2^48 milliseconds.
const IDS_END_MICROS: u64 = (1 << 48) * 1000;

/// A host whose clock moves only when it is told to. So a test knows the time of each commit to the microsecond.
#[derive(Debug)]
pub struct SimHost {
    now: AtomicU64,
    entropy: Mutex<Entropy>,
}

#[derive(Debug)]
struct Entropy {
    random: Random,
    /// What was given first since [`SimHost::forget`].
    first: Option<Vec<u8>>,
}

impl SimHost {
    /// The host of this seed. Its clock begins in 2026.
    pub fn new(seed: u64) -> Self {
        Self {
            now: AtomicU64::new(BEGIN_MICROS),
            entropy: Mutex::new(Entropy { random: Random::new(seed), first: None }),
        }
    }

    /// What the clock says.
    pub fn now(&self) -> u64 {
        self.now.load(Ordering::Relaxed)
    }

    /// Begins to watch: see [`SimHost::first_given`].
    pub fn forget(&self) {
        self.lock().first = None;
    }

    /// The random bytes that were asked for first since. So a test knows which id was made of them.
    pub fn first_given(&self) -> Option<Vec<u8>> {
        self.lock().first.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Entropy> {
        self.entropy.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Time passes.
    pub fn advance(&self, micros: u64) {
        self.now.store(self.now().saturating_add(micros).min(IDS_END_MICROS - 1), Ordering::Relaxed);
    }

    /// The clock jumps: a little back, to the beginning of time, far ahead, or to the last moment that ids have room for.
    pub fn jump(&self, random: &mut Random) {
        let now = self.now();
        let to = match random.below(6) {
            0 => 0,
            1 => now.saturating_sub(random.below(3_600_000_000)),
            2 => now.saturating_sub(1),
            3 => IDS_END_MICROS - 1,
            4 => BEGIN_MICROS,
            _ => now.saturating_add(random.below(100 * 365 * 86_400_000_000)),
        };
        self.now.store(to.min(IDS_END_MICROS - 1), Ordering::Relaxed);
    }
}

impl Host for SimHost {
    fn now_micros(&self) -> u64 {
        self.now()
    }

    fn fill_random(&self, bytes: &mut [u8]) {
        let mut entropy = self.lock();
        entropy.random.fill(bytes);
        entropy.first.get_or_insert_with(|| bytes.to_vec());
    }
}
