//! The workload that every measurement of this repository shares: keys of 16 to 24 random bytes, values of 100 bytes,
//! all of it from one seed.
//!
//! Invariant: the same seed gives the same bytes on every machine, so that two engines, or two versions of one, are
//! always asked the same questions in the same order. Values come out of a pool: large enough that neighbours do not
//! repeat each other, so that engines which compress gain nothing, and small enough to stay in a core's cache, because
//! a benchmark that misses the cache to find out *what* to write measures itself.

use std::ops::Range;

/// The seed that every published figure uses.
pub const SEED: u64 = 0x666f_6c64_6264_2e31;
/// Shortest key, in bytes.
pub const KEY_BYTES_MIN: usize = 16;
/// Longest key, in bytes.
pub const KEY_BYTES_MAX: usize = 24;
/// Length of every value of a pair, in bytes.
pub const VALUE_BYTES: usize = 100;

/// Bytes that values are cut from.
const POOL_BYTES: usize = 1 << 20;

/// SplitMix64: the whole state is one number, and every seed is a good one.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// A generator of its own for `stream`, so that adding one measurement does not change the keys of another.
    pub fn new(seed: u64, stream: u64) -> Self {
        let mut random = Self(seed ^ stream.wrapping_mul(0xd1b5_4a32_d192_ed03));
        random.next_u64();
        random
    }

    /// The next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// A number below `bound`, which must not be zero. The bias of the multiplication is below 2^-32 for our bounds.
    pub fn below(&mut self, bound: usize) -> usize {
        let bound = u128::try_from(bound).expect("a usize fits");
        usize::try_from((u128::from(self.next_u64()) * bound) >> 64).expect("below a usize")
    }
}

/// Keys, one behind the other in one buffer: walking them in order is what the prefetcher likes best, so that the
/// engine's own cache misses are the ones that get measured.
#[derive(Clone, Debug, Default)]
pub struct Keys {
    bytes: Vec<u8>,
    ends: Vec<u32>,
}

impl Keys {
    /// `count` random keys of `stream`. They are distinct as far as 128 random bits are.
    pub fn random(seed: u64, stream: u64, count: usize) -> Self {
        let mut random = Random::new(seed, stream);
        let mut keys = Self::default();
        keys.bytes.reserve(count * (KEY_BYTES_MIN + KEY_BYTES_MAX) / 2);
        keys.ends.reserve(count);
        for _ in 0..count {
            let mut key = [0; KEY_BYTES_MAX];
            for chunk in key.chunks_exact_mut(8) {
                chunk.copy_from_slice(&random.next_u64().to_le_bytes());
            }
            let length = KEY_BYTES_MIN + random.below(KEY_BYTES_MAX - KEY_BYTES_MIN + 1);
            keys.push(&key[..length]);
        }
        keys
    }

    fn push(&mut self, key: &[u8]) {
        self.bytes.extend_from_slice(key);
        self.ends.push(u32::try_from(self.bytes.len()).expect("fewer than 4 GiB of keys"));
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Key number `index`.
    pub fn get(&self, index: usize) -> &[u8] {
        let end = |index: usize| usize::try_from(self.ends[index]).expect("a u32 fits");
        &self.bytes[if index == 0 { 0 } else { end(index - 1) }..end(index)]
    }

    /// The keys in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        (0..self.len()).map(|index| self.get(index))
    }

    /// The same keys in ascending order.
    pub fn sorted(&self) -> Self {
        let mut order: Vec<&[u8]> = self.iter().collect();
        order.sort_unstable();
        let mut sorted = Self::default();
        order.into_iter().for_each(|key| sorted.push(key));
        sorted
    }

    /// `count` of these keys, drawn at random with repetition, copied into the order in which they will be asked for.
    pub fn lookups(&self, seed: u64, stream: u64, count: usize) -> Self {
        let mut random = Random::new(seed, stream);
        let mut picked = Self::default();
        for _ in 0..count {
            picked.push(self.get(random.below(self.len())));
        }
        picked
    }

    /// The keys numbered `range`, as a list of their own.
    pub fn slice(&self, range: Range<usize>) -> Self {
        let mut part = Self::default();
        range.for_each(|index| part.push(self.get(index)));
        part
    }
}

/// The values that belong to keys, and the payloads of events.
#[derive(Clone, Debug)]
pub struct Values {
    pool: Vec<u8>,
}

impl Values {
    /// The pool of `seed`.
    pub fn new(seed: u64) -> Self {
        let mut random = Random::new(seed, u64::MAX);
        Self { pool: (0..POOL_BYTES / 8).flat_map(|_| random.next_u64().to_le_bytes()).collect() }
    }

    /// The value of `key`: [`VALUE_BYTES`] bytes that depend on the key alone, so that any reader can check them.
    pub fn of(&self, key: &[u8]) -> &[u8] {
        let bits = key.first_chunk::<8>().map_or(0, |first| u64::from_le_bytes(*first));
        self.cut(bits, VALUE_BYTES)
    }

    /// The payload of event number `sequence`, `length` bytes long.
    pub fn payload(&self, sequence: u64, length: usize) -> &[u8] {
        self.cut(sequence.wrapping_mul(0x9e37_79b9_7f4a_7c15), length)
    }

    fn cut(&self, bits: u64, length: usize) -> &[u8] {
        let places = (POOL_BYTES - length) / 8;
        let place = usize::try_from(bits % u64::try_from(places).expect("a usize fits")).expect("below a usize");
        &self.pool[place * 8..place * 8 + length]
    }
}
