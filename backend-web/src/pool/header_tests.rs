//! What passes for a header, and what does not.

use super::*;

fn named(counter: u64, name: &str) -> Header {
    Header { counter, name: Some(name.into()) }
}

fn free(counter: u64) -> Header {
    Header { counter, name: None }
}

/// The first block with these copies, of pool file 7.
fn block(first: Option<&Header>, second: Option<&Header>) -> Vec<u8> {
    let mut block = vec![0; 4096];
    for (header, at) in [(first, 0), (second, 2048)] {
        if let Some(header) = header {
            block[at..at + COPY_BYTES].copy_from_slice(&header.encode(7));
        }
    }
    block
}

#[test]
fn a_header_is_these_bytes() {
    let bytes = named(0x0102, "log-1").encode(7);
    assert_eq!(&bytes[..16], b"foldb\0pf\x01\0\0\0\x01\x05\0\0");
    assert_eq!(&bytes[16..32], &[2, 1, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(&bytes[32..38], b"log-1\0");
    assert_eq!(&bytes[124..], &crc32fast::hash(&bytes[..124]).to_le_bytes());
}

#[test]
fn the_copy_with_the_higher_counter_counts() {
    for (first, second, place) in [(3, 4, 1), (4, 3, 0)] {
        let (first, second) = (named(first, "log-1"), free(second));
        let expected = if place == 0 { first.clone() } else { second.clone() };
        let found = decode(&block(Some(&first), Some(&second)), 7, 4096);
        assert_eq!(found, Decoded::Valid { header: expected, place, settled: false });
    }
    let both = named(4, "log-1");
    let found = decode(&block(Some(&both), Some(&both)), 7, 9000);
    assert_eq!(found, Decoded::Valid { header: both, place: 0, settled: true });
}

#[test]
fn any_changed_bit_of_a_copy_leaves_the_other_one_in_charge() {
    let (old, new) = (named(1, "snap-1"), free(2));
    let whole = block(Some(&old), Some(&new));
    for bit in 0..COPY_BYTES * 8 {
        let mut block = whole.clone();
        block[2048 + bit / 8] ^= 1 << (bit % 8);
        let found = decode(&block, 7, 4096);
        assert_eq!(found, Decoded::Valid { header: old.clone(), place: 0, settled: false }, "bit {bit}");
    }
}

#[test]
fn a_copy_that_was_cut_anywhere_leaves_the_other_one_in_charge() {
    let (old, new) = (free(1), named(2, "log-1"));
    for cut in 0..COPY_BYTES - 4 {
        let mut block = block(Some(&old), None);
        block[2048..2048 + cut].copy_from_slice(&new.encode(7)[..cut]);
        assert!(matches!(decode(&block, 7, 4096), Decoded::Valid { place: 0, .. }), "{cut} bytes");
    }
}

#[test]
fn a_header_of_another_pool_file_does_not_pass() {
    let block = block(Some(&named(1, "log-1")), None);
    assert_eq!(decode(&block, 8, 9000), Decoded::Damaged);
}

#[test]
fn a_file_without_a_header_was_never_finished_unless_bytes_are_behind_it() {
    assert_eq!(decode(&[], 7, 0), Decoded::Blank);
    assert_eq!(decode(&[0; 100], 7, 100), Decoded::Blank);
    assert_eq!(decode(&[0; 4096], 7, 4096), Decoded::Blank);
    assert_eq!(decode(&[0; 4096], 7, 4097), Decoded::Damaged, "its header was wiped out");
    let torn = &free(1).encode(7)[..50];
    assert_eq!(decode(torn, 7, 4096), Decoded::Blank, "its making was cut short");
    assert_eq!(decode(torn, 7, 9000), Decoded::Damaged);
}

#[test]
fn a_header_of_a_newer_version_is_not_guessed_at() {
    let mut block = block(Some(&free(1)), Some(&named(2, "log-1")));
    block[2048 + AT_VERSION] = 2;
    let checksum = crc32fast::hash(&block[2048..2048 + AT_CHECKSUM]);
    block[2048 + AT_CHECKSUM..2048 + COPY_BYTES].copy_from_slice(&checksum.to_le_bytes());
    assert_eq!(decode(&block, 7, 4096), Decoded::Newer { version: 2 });
}

#[test]
fn a_name_or_a_state_outside_the_rule_does_not_pass_whatever_its_checksum() {
    for (at, byte) in [(AT_STATE, 2), (AT_NAME_LEN, 0), (AT_NAME_LEN, 200), (AT_NAME, b'.'), (AT_NAME, 0xff)] {
        let mut block = block(Some(&named(1, "log-1")), None);
        block[at] = byte;
        let checksum = crc32fast::hash(&block[..AT_CHECKSUM]);
        block[AT_CHECKSUM..COPY_BYTES].copy_from_slice(&checksum.to_le_bytes());
        assert_eq!(decode(&block, 7, 4097), Decoded::Damaged, "{at} {byte}");
    }
}
