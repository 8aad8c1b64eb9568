//! Fields of fixed offset in headers: little-endian numbers and byte arrays at offsets that a module names once.
//!
//! Invariant: a field that is not inside of its header is an error of the compiler, so that reading one cannot fail.

/// The `N` bytes from offset `AT` on.
pub(super) fn array<const AT: usize, const N: usize, const LEN: usize>(bytes: &[u8; LEN]) -> [u8; N] {
    const { assert!(AT + N <= LEN, "the field ends inside of the header") };
    core::array::from_fn(|index| bytes[AT + index])
}

/// The little-endian `u64` at offset `AT`.
pub(super) fn u64_at<const AT: usize, const LEN: usize>(bytes: &[u8; LEN]) -> u64 {
    u64::from_le_bytes(array::<AT, 8, LEN>(bytes))
}

/// The little-endian `u32` at offset `AT`.
pub(super) fn u32_at<const AT: usize, const LEN: usize>(bytes: &[u8; LEN]) -> u32 {
    u32::from_le_bytes(array::<AT, 4, LEN>(bytes))
}

/// Puts `value` at offset `AT`.
pub(super) fn put<const AT: usize, const N: usize, const LEN: usize>(bytes: &mut [u8; LEN], value: [u8; N]) {
    const { assert!(AT + N <= LEN, "the field ends inside of the header") };
    for (index, byte) in value.into_iter().enumerate() {
        bytes[AT + index] = byte;
    }
}

/// A size in memory as a 64-bit number. It fits on every target that exists.
pub(crate) fn wide(size: usize) -> u64 {
    u64::try_from(size).unwrap_or(u64::MAX)
}
