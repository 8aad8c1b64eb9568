//! What is promised of varint, as tests.

use alloc::{vec, vec::Vec};

use proptest::prelude::*;

use super::super::varint::{Malformed, Reader, VARINT_BYTES_MAX, encoded_len, write};

fn encoded(value: u64) -> Vec<u8> {
    let mut bytes = vec![];
    write(&mut bytes, value);
    bytes
}

/// LEB128 as its definition says it, to compare with.
fn by_definition(mut value: u64) -> Vec<u8> {
    let mut bytes = vec![];
    loop {
        let group = (value & 0x7f) as u8;
        value >>= 7;
        if value == 0 {
            bytes.push(group);
            return bytes;
        }
        bytes.push(group | 0x80);
    }
}

#[test]
fn every_length_has_the_bytes_of_the_definition() {
    for bits in 0..64 {
        for value in [1_u64 << bits, (1_u64 << bits) - 1, (1_u64 << bits) | 1, u64::MAX >> bits] {
            let bytes = encoded(value);
            assert_eq!(bytes, by_definition(value), "{value}");
            assert_eq!(bytes.len(), encoded_len(value), "{value}");
            // With nothing behind it, and with enough behind it for the wide load.
            for padding in [0, 1, 7, 16] {
                let padded = [bytes.clone(), vec![0xff; padding]].concat();
                let mut reader = Reader::new(&padded);
                assert_eq!(reader.varint(), Ok(value));
                assert_eq!(reader.remaining(), padding);
            }
        }
    }
}

#[test]
fn a_number_that_is_longer_than_needed_is_refused() {
    for bytes in
        [&[0x80, 0x00][..], &[0xff, 0x00], &[0x81, 0x80, 0x00], &[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00]]
    {
        assert_eq!(Reader::new(bytes).varint(), Err(Malformed::Number), "{bytes:?}");
        let padded = [bytes, &[0x55; 16]].concat();
        assert_eq!(Reader::new(&padded).varint(), Err(Malformed::Number), "{bytes:?}");
    }
}

#[test]
fn a_number_of_more_than_64_bits_is_refused() {
    let mut bytes = [0xff; VARINT_BYTES_MAX];
    bytes[9] = 0x02;
    assert_eq!(Reader::new(&bytes).varint(), Err(Malformed::Number));
    assert_eq!(Reader::new(&[0xff; 16]).varint(), Err(Malformed::Number));
    bytes[9] = 0x01;
    assert_eq!(Reader::new(&bytes).varint(), Ok(u64::MAX));
}

#[test]
fn a_number_that_is_cut_off_is_short() {
    for value in [128, 1 << 20, 1 << 55, u64::MAX] {
        let bytes = encoded(value);
        for cut in 0..bytes.len() {
            assert_eq!(Reader::new(&bytes[..cut]).varint(), Err(Malformed::Short), "{value} cut to {cut}");
        }
    }
}

#[test]
fn a_reader_does_not_run_past_its_bytes() {
    let mut reader = Reader::new(&[3, 1, 2]);
    assert_eq!(reader.length_and_bytes(), Err(Malformed::Short));
    assert_eq!(reader.bytes(u64::MAX), Err(Malformed::Short));
    assert_eq!(reader.bytes(2), Ok(&[1, 2][..]));
    assert!(reader.is_empty());
    assert_eq!(reader.u8(), Err(Malformed::Short));
    assert_eq!(reader.bytes(0), Ok(&[][..]));
}

proptest! {
    #[test]
    fn what_is_written_is_read(values in prop::collection::vec(any::<u64>(), 0..20), shift in 0_u32..64) {
        let mut bytes = vec![];
        for value in &values {
            write(&mut bytes, value >> shift);
        }
        let mut reader = Reader::new(&bytes);
        for value in &values {
            prop_assert_eq!(reader.varint(), Ok(value >> shift));
        }
        prop_assert!(reader.is_empty());
    }

    #[test]
    fn what_is_read_is_the_shortest_form(bytes in prop::collection::vec(any::<u8>(), 0..24)) {
        let mut reader = Reader::new(&bytes);
        if let Ok(value) = reader.varint() {
            let used = bytes.len() - reader.remaining();
            prop_assert_eq!(&bytes[..used], &by_definition(value)[..]);
        }
    }
}
