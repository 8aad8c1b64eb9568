//! Numbers of variable length (LEB128, at most 10 bytes), and a reader that cannot run past its bytes.
//!
//! Invariant: every number has exactly one encoding, the shortest. Two different byte strings never mean the same
//! record, which checksums, golden files and comparisons rest on. Rule F-1.

use alloc::vec::Vec;
use core::fmt;

use crate::Error;

/// Longest encoding of a number: 64 bits in groups of 7.
pub const VARINT_BYTES_MAX: usize = 10;

/// Appends the shortest encoding of `value`.
///
/// ```
/// let mut bytes = vec![];
/// foldb_core::log::varint::write(&mut bytes, 300);
/// assert_eq!(bytes, [0xac, 0x02]);
/// ```
#[inline]
pub fn write(buffer: &mut Vec<u8>, value: u64) {
    if value < 0x80 {
        buffer.push(value.to_le_bytes()[0]);
    } else if value < 1 << 56 {
        write_up_to_eight(buffer, value);
    } else {
        write_slowly(buffer, value);
    }
}

/// How many bytes [`write()`] appends for `value`.
#[inline]
pub const fn encoded_len(value: u64) -> usize {
    // One byte for each begun group of seven bits; at least one.
    (70 - (value | 1).leading_zeros() as usize) / 7
}

/// Spreads groups of 7 bits over 8 bytes without a loop: records hold a time of 51 bits, and a loop over its bytes was
/// a third of the cost of encoding a small transaction.
#[inline]
fn write_up_to_eight(buffer: &mut Vec<u8>, value: u64) {
    let halves = (value & 0x0fff_ffff) | ((value << 4) & 0x0fff_ffff_0000_0000);
    let quarters = (halves & 0x0000_3fff_0000_3fff) | ((halves << 2) & 0x3fff_0000_3fff_0000);
    let groups = (quarters & 0x007f_007f_007f_007f) | ((quarters << 1) & 0x7f00_7f00_7f00_7f00);
    let len = encoded_len(value);
    let continued = 0x0080_8080_8080_8080 & ((1_u64 << (8 * (len - 1))) - 1);
    let end = buffer.len() + len;
    // A copy of fixed size and a shorter length are cheaper than a copy of variable size.
    buffer.extend_from_slice(&(groups | continued).to_le_bytes());
    buffer.truncate(end);
}

#[cold]
fn write_slowly(buffer: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        buffer.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    buffer.push(value.to_le_bytes()[0]);
}

/// Why bytes could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// The bytes end inside what was to be read.
    Short,
    /// A number is not in its shortest form, or has more than 64 bits.
    Number,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Malformed::Short => "the bytes end too early",
            Malformed::Number => "a number is longer than needed or has more than 64 bits",
        })
    }
}

/// For stored bytes whose place is not known where they are read. Whoever knows the place says it instead.
impl From<Malformed> for Error {
    fn from(malformed: Malformed) -> Self {
        Error::Corrupt { file: "a stored value".into(), offset: 0, rule: "F-1", what: alloc::format!("{malformed}") }
    }
}

/// Reads numbers and byte strings from the front of a slice. Nothing here panics or allocates, whatever the bytes are.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// A reader of these bytes.
    #[inline]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Whether nothing is left.
    #[inline]
    pub const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// How many bytes are left.
    #[inline]
    pub const fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// Everything that is left.
    #[inline]
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The next byte.
    #[inline]
    pub fn u8(&mut self) -> Result<u8, Malformed> {
        let (first, rest) = self.rest.split_first().ok_or(Malformed::Short)?;
        self.rest = rest;
        Ok(*first)
    }

    /// The next `len` bytes. The length is compared with what is left before anything else happens.
    #[inline]
    pub fn bytes(&mut self, len: u64) -> Result<&'a [u8], Malformed> {
        let len = usize::try_from(len).map_err(|_| Malformed::Short)?;
        let (taken, rest) = self.rest.split_at_checked(len).ok_or(Malformed::Short)?;
        self.rest = rest;
        Ok(taken)
    }

    /// A number and then as many bytes as it says.
    #[inline]
    pub fn length_and_bytes(&mut self) -> Result<&'a [u8], Malformed> {
        let len = self.varint()?;
        self.bytes(len)
    }

    /// The next number. Fails where it is not in its shortest form: see the invariant above.
    #[inline]
    pub fn varint(&mut self) -> Result<u64, Malformed> {
        let (first, rest) = self.rest.split_first().ok_or(Malformed::Short)?;
        if *first < 0x80 {
            self.rest = rest;
            return Ok(u64::from(*first));
        }
        self.long_varint()
    }

    /// The inverse of [`write_up_to_eight`], where eight bytes are there to be loaded at once.
    #[inline]
    fn long_varint(&mut self) -> Result<u64, Malformed> {
        let Some((word, _)) = self.rest.split_first_chunk::<8>() else { return self.varint_by_bytes() };
        let word = u64::from_le_bytes(*word);
        let ends = !word & 0x8080_8080_8080_8080;
        if ends == 0 {
            return self.varint_by_bytes();
        }
        // The lowest bit of `ends` is bit 7 of the last byte.
        let bits = ends.trailing_zeros() + 1;
        let groups = word & (u64::MAX >> (64 - bits)) & 0x7f7f_7f7f_7f7f_7f7f;
        if groups >> (bits - 8) == 0 {
            return Err(Malformed::Number);
        }
        let quarters = (groups & 0x007f_007f_007f_007f) | ((groups & 0x7f00_7f00_7f00_7f00) >> 1);
        let halves = (quarters & 0x0000_3fff_0000_3fff) | ((quarters & 0x3fff_0000_3fff_0000) >> 2);
        let value = (halves & 0x0fff_ffff) | ((halves & 0x0fff_ffff_0000_0000) >> 4);
        self.rest = self.rest.get(bits as usize / 8..).ok_or(Malformed::Short)?;
        Ok(value)
    }

    #[cold]
    fn varint_by_bytes(&mut self) -> Result<u64, Malformed> {
        let mut value = 0;
        for (index, byte) in self.rest.iter().take(VARINT_BYTES_MAX).enumerate() {
            value |= u64::from(byte & 0x7f) << (7 * index);
            if *byte < 0x80 {
                // The tenth byte holds the 64th bit; a last byte of zero adds nothing.
                let too_wide = index + 1 == VARINT_BYTES_MAX && *byte > 1;
                if too_wide || (*byte == 0 && index > 0) {
                    return Err(Malformed::Number);
                }
                self.rest = self.rest.get(index + 1..).ok_or(Malformed::Short)?;
                return Ok(value);
            }
        }
        Err(if self.rest.len() < VARINT_BYTES_MAX { Malformed::Short } else { Malformed::Number })
    }
}
