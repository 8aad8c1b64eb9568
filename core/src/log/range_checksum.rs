//! The CRC-32 of any range of a buffer, in a time that does not depend on the range's length.
//!
//! Invariant: [`RangeChecksum::of`] is what a CRC over the range itself gives. It rests on the CRC being linear: the
//! checksum of `a` followed by `b` is that of `a`, shifted by the length of `b`, combined with that of `b`. So the
//! checksums of all prefixes determine those of all ranges.
//!
//! What it is for: a stored value may look like a frame at every eighth byte, each of them claiming to be megabytes
//! long. Checking them one by one would take days for one segment. See [`resync`](super::resync).

use alloc::{boxed::Box, vec::Vec};

use super::fields::wide;

/// Bytes between two prefixes that are kept. Memory is 4 bytes for each block; time is one block at either end.
const BLOCK: usize = 64;

/// The polynomial of CRC-32 (IEEE 802.3), bits reversed as the algorithm processes them.
const POLYNOMIAL: u32 = 0xedb8_8320;
/// The polynomials 1 and x^8 in the same notation.
const ONE: u32 = 1 << 31;
const BYTE: u32 = 1 << 23;

/// Checksums of the prefixes of `bytes`.
pub(super) struct RangeChecksum<'a> {
    bytes: &'a [u8],
    /// Checksum of the first `index * BLOCK` bytes.
    prefixes: Vec<u32>,
    shifts: Shifts,
}

impl<'a> RangeChecksum<'a> {
    /// One pass over `bytes`.
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        let mut prefixes = Vec::with_capacity(bytes.len() / BLOCK + 1);
        let mut hasher = crate::checksum::Hasher::new();
        prefixes.push(0);
        for block in bytes.chunks_exact(BLOCK) {
            hasher.update(block);
            prefixes.push(hasher.clone().finalize());
        }
        Self { bytes, prefixes, shifts: Shifts::new() }
    }

    /// The checksum of `start..end` after bytes whose checksum is `seed`; `None` where that is no range of the bytes.
    pub(super) fn of(&self, seed: u32, start: usize, end: usize) -> Option<u32> {
        let len = end.checked_sub(start)?;
        // Two checksums of the same range differ by the shifted difference of what they began with.
        Some(self.prefix(end)? ^ self.shifts.shift(self.prefix(start)? ^ seed, len))
    }

    fn prefix(&self, len: usize) -> Option<u32> {
        let whole = len / BLOCK;
        let rest = self.bytes.get(whole * BLOCK..len)?;
        let mut hasher = crate::checksum::Hasher::new_with_initial(*self.prefixes.get(whole)?);
        hasher.update(rest);
        Some(hasher.finalize())
    }
}

/// x^(8 n 256^k) for every byte `n` at every place `k` of a length: a shift is one multiplication for each byte of the
/// length that is not zero.
struct Shifts {
    places: Box<[[u32; 256]; 8]>,
}

impl Shifts {
    fn new() -> Self {
        let mut places = Box::new([[ONE; 256]; 8]);
        let mut base = BYTE;
        for place in places.iter_mut() {
            let mut power = ONE;
            for entry in place.iter_mut() {
                *entry = power;
                power = multiply(power, base);
            }
            // Multiplied 256 times: the base of the next place.
            base = power;
        }
        Self { places }
    }

    /// What `len` further zero bytes make of a difference of two checksums.
    fn shift(&self, difference: u32, len: usize) -> u32 {
        let digits = self.places.iter().zip(wide(len).to_le_bytes()).filter(|(_, byte)| *byte != 0);
        digits.fold(difference, |shifted, (place, byte)| multiply(shifted, place[usize::from(byte)]))
    }
}

/// The product of two polynomials over GF(2), modulo the CRC's.
const fn multiply(a: u32, mut b: u32) -> u32 {
    let mut product = 0;
    let mut bit = 32;
    while bit > 0 {
        bit -= 1;
        product ^= b & ((a >> bit) & 1).wrapping_neg();
        b = (b >> 1) ^ (POLYNOMIAL & (b & 1).wrapping_neg());
    }
    product
}
