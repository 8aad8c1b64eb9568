//! [`Random`]: numbers that look random and repeat.
//!
//! Invariant: the sequence of a seed never changes, also not with a new version of a dependency, because a failing seed
//! that is written into a bug report must fail next year as well. That is why it is written here.

/// A splitmix64 generator (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014).
///
/// ```
/// use foldb_testkit::Random;
/// assert_eq!(Random::new(7).next(), Random::new(7).next());
/// ```
#[derive(Clone, Debug)]
pub struct Random {
    state: u64,
}

/// The step between states: 2^64 divided by the golden ratio, odd, so that every state is visited.
pub(crate) const GOLDEN_STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// The output for a state.
pub(crate) fn mixed(state: u64) -> u64 {
    let state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    state ^ (state >> 31)
}

impl Random {
    /// The generator of this seed.
    pub fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// The next 64 bits.
    #[expect(
        clippy::should_implement_trait,
        reason = "an endless source is not an iterator that somebody would collect"
    )]
    pub fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(GOLDEN_STEP);
        mixed(self.state)
    }

    /// A number below `bound`, or 0 if `bound` is 0. The bias of the method is below 2^-32 for every bound under 2^32.
    pub fn below(&mut self, bound: u64) -> u64 {
        // The upper half of the product maps 64 bits onto 0..bound without a division.
        let product = u128::from(self.next()) * u128::from(bound);
        u64::try_from(product >> 64).unwrap_or(0)
    }

    /// An index into something of length `len`, or 0 if it is empty.
    pub fn index(&mut self, len: usize) -> usize {
        usize::try_from(self.below(u64::try_from(len).unwrap_or(u64::MAX))).unwrap_or(0)
    }

    /// True in `part` of `whole` cases.
    pub fn chance(&mut self, part: u64, whole: u64) -> bool {
        self.below(whole) < part
    }

    /// Fills `bytes`.
    pub fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let word = self.next().to_le_bytes();
            chunk.copy_from_slice(&word[..chunk.len()]);
        }
    }

    /// So many bytes.
    pub fn bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        self.fill(&mut bytes);
        bytes
    }

    /// An independent generator, so that drawing more numbers in one part of a test does not change the others.
    pub fn split(&mut self) -> Self {
        Self::new(self.next())
    }
}

#[cfg(test)]
#[path = "random_tests.rs"]
mod tests;
