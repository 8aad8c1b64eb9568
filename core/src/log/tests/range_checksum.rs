//! What is promised of range_checksum, as tests.

use alloc::vec::Vec;

use proptest::prelude::*;

use super::super::range_checksum::RangeChecksum;

fn direct(seed: u32, bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new_with_initial(seed);
    hasher.update(bytes);
    hasher.finalize()
}

fn noise(len: usize) -> Vec<u8> {
    let mut state = 7_u32;
    let step = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_le_bytes()[3]
    };
    (0..len).map(step).collect()
}

#[test]
fn every_range_of_a_small_buffer_has_the_direct_checksum() {
    let bytes = noise(300);
    let ranges = RangeChecksum::new(&bytes);
    for start in 0..=bytes.len() {
        for end in start..=bytes.len() {
            assert_eq!(
                ranges.of(0x1234_5678, start, end),
                Some(direct(0x1234_5678, &bytes[start..end])),
                "{start}..{end}"
            );
        }
    }
    assert_eq!(ranges.of(0, 10, 9), None);
    assert_eq!(ranges.of(0, 0, 301), None);
}

proptest! {
    #[test]
    fn long_ranges_have_the_direct_checksum(seed: u32, start in 0_usize..1 << 18, len in 0_usize..1 << 18) {
        let bytes = noise(1 << 19);
        let ranges = RangeChecksum::new(&bytes);
        prop_assert_eq!(ranges.of(seed, start, start + len), Some(direct(seed, &bytes[start..start + len])));
    }
}
