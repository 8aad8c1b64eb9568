//! Fields of fixed offset in headers: little-endian numbers and byte arrays at ranges that a module names once.

use core::ops::Range;

/// The `N` bytes at `range`. `None` where the range is not inside `bytes` or not `N` long: callers name constant ranges
/// inside arrays of constant size, so that it never is.
pub(super) fn array<const N: usize>(bytes: &[u8], range: Range<usize>) -> Option<[u8; N]> {
    bytes.get(range)?.try_into().ok()
}

/// The little-endian `u64` at `range`.
pub(super) fn u64_at(bytes: &[u8], range: Range<usize>) -> Option<u64> {
    array(bytes, range).map(u64::from_le_bytes)
}

/// The little-endian `u32` at `range`.
pub(super) fn u32_at(bytes: &[u8], range: Range<usize>) -> Option<u32> {
    array(bytes, range).map(u32::from_le_bytes)
}

/// Puts `value` at `range`. Nothing happens where the range does not fit; see [`array`].
pub(super) fn put<const N: usize>(bytes: &mut [u8], range: Range<usize>, value: [u8; N]) {
    if let Some(field) = bytes.get_mut(range).and_then(|field| <&mut [u8; N]>::try_from(field).ok()) {
        *field = value;
    }
}

/// A size in memory as a 64-bit number. It fits on every target that exists.
pub(crate) fn wide(size: usize) -> u64 {
    u64::try_from(size).unwrap_or(u64::MAX)
}
