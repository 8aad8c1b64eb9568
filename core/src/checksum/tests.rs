//! Both implementations give the same numbers.

use alloc::vec::Vec;

use proptest::prelude::*;

use super::tables;

#[test]
fn the_check_value_of_the_standard_comes_out() {
    assert_eq!(tables::hash(b"123456789"), 0xcbf4_3926);
    assert_eq!(tables::hash(b""), 0);
}

#[test]
fn every_length_around_a_step_has_the_checksum_of_crc32fast() {
    let bytes: Vec<u8> = (0..100_u8).map(|byte| byte.wrapping_mul(151)).collect();
    for start in 0..20 {
        for end in start..bytes.len() {
            assert_eq!(tables::hash(&bytes[start..end]), crc32fast::hash(&bytes[start..end]), "{start}..{end}");
        }
    }
}

proptest! {
    #![proptest_config(crate::value::tests::seeded(200))]

    #[test]
    fn pieces_and_combinations_have_the_checksum_of_crc32fast(
        pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..80), 0..6),
        initial: u32,
        len in 0..1_u64 << 40,
        behind: u32,
    ) {
        let mut ours = tables::Hasher::new_with_initial(initial);
        let mut theirs = crc32fast::Hasher::new_with_initial(initial);
        for piece in &pieces {
            ours.update(piece);
            theirs.update(piece);
        }
        prop_assert_eq!(ours.clone().finalize(), theirs.clone().finalize());
        ours.combine(&tables::Hasher::new_with_initial_len(behind, len));
        theirs.combine(&crc32fast::Hasher::new_with_initial_len(behind, len));
        ours.update(b"and on");
        theirs.update(b"and on");
        prop_assert_eq!(ours.finalize(), theirs.finalize());
    }
}
