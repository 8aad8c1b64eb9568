//! What is promised of segment, as tests.

use alloc::vec::Vec;

use proptest::prelude::*;

use super::{
    super::{Previous, SegmentHeader},
    golden, hex,
};
use crate::{Error, StoreId, limits::SEQ_MAX};

const FILE: &str = "log-00000000000000000007";

fn header() -> SegmentHeader {
    SegmentHeader {
        store: StoreId::from_bytes(*b"store-id-16bytes"),
        segment: 7,
        epoch: 3,
        salt: *b"salt-of-16-bytes",
        first_seq: 1001,
        previous: Some(Previous { segment: 5, valid_len: 4096, last_seq: 1000, last_crc: 0xdead_beef }),
    }
}

/// The same bytes with a checksum that holds again.
fn resealed(mut bytes: [u8; 128]) -> [u8; 128] {
    let crc = crc32fast::hash(&bytes[..124]);
    bytes[124..].copy_from_slice(&crc.to_le_bytes());
    bytes
}

fn with(change: impl FnOnce(&mut [u8; 128])) -> [u8; 128] {
    let mut bytes = header().encode();
    change(&mut bytes);
    resealed(bytes)
}

fn rule(bytes: &[u8]) -> &'static str {
    match SegmentHeader::decode(FILE, bytes) {
        Err(Error::Corrupt { rule, file, .. }) => {
            assert_eq!(file, FILE);
            rule
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_header_has_these_bytes() {
    let expected = golden(
        "666f6c64626c6f670100000000000000
         73746f72652d69642d31366279746573
         07000000000000000300000000000000
         73616c742d6f662d31362d6279746573
         e9030000000000000500000000000000
         0010000000000000e803000000000000
         efbeadde000000000000000000000000
         0000000000000000000000003a3c0e59",
    );
    let bytes = header().encode();
    assert_eq!(hex(&bytes), expected);
    assert_eq!(SegmentHeader::decode(FILE, &bytes), Ok(Some(header())));
}

#[test]
fn any_flipped_bit_and_any_cut_makes_it_no_header() {
    let bytes = header().encode();
    for bit in 0..bytes.len() * 8 {
        let mut damaged = bytes;
        damaged[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(SegmentHeader::decode(FILE, &damaged), Ok(None), "bit {bit}");
    }
    for len in 0..bytes.len() {
        assert_eq!(SegmentHeader::decode(FILE, &bytes[..len]), Ok(None), "{len} bytes");
    }
    assert_eq!(SegmentHeader::decode(FILE, &[0; 128]), Ok(None));
    assert_eq!(SegmentHeader::decode(FILE, &[0xff; 128]), Ok(None));
}

#[test]
fn a_newer_version_or_feature_is_named() {
    for (offset, what, found) in [(8, "segment format version", 2), (12, "segment feature flags", 2)] {
        let bytes = with(|bytes| bytes[offset] = 2);
        let Err(Error::Newer { file, what: named, found: named_found, .. }) = SegmentHeader::decode(FILE, &bytes)
        else {
            panic!()
        };
        assert_eq!((file.as_str(), named, named_found), (FILE, what, found));
    }
}

#[test]
fn a_whole_header_that_breaks_a_rule_is_corruption() {
    assert_eq!(rule(&with(|bytes| bytes[8] = 0)), "F-5");
    assert_eq!(rule(&with(|bytes| bytes[100] = 1)), "F-4");
    assert_eq!(rule(&with(|bytes| bytes[32..40].fill(0))), "F-6");
    assert_eq!(rule(&with(|bytes| bytes[32..40].fill(0xff))), "F-6");
    assert_eq!(rule(&with(|bytes| bytes[40..48].fill(0xff))), "F-6");
    let broken = |change: fn(&mut SegmentHeader, &mut Previous)| {
        let (mut broken, mut previous) = (header(), header().previous.unwrap());
        change(&mut broken, &mut previous);
        broken.previous = broken.previous.map(|_| previous);
        rule(&broken.encode())
    };
    assert_eq!(broken(|header, _| header.first_seq = 0), "F-7");
    assert_eq!(broken(|header, _| header.first_seq = SEQ_MAX + 1), "F-7");
    assert_eq!(broken(|header, _| header.first_seq = 1002), "F-7");
    assert_eq!(broken(|header, _| header.previous = None), "F-7");
    assert_eq!(broken(|_, previous| previous.segment = 7), "F-7");
    assert_eq!(broken(|_, previous| previous.segment = 8), "F-7");
    assert_eq!(broken(|_, previous| previous.valid_len = 120), "F-7");
    assert_eq!(broken(|_, previous| previous.valid_len = 4095), "F-7");
    // No predecessor, but a length of it.
    assert_eq!(rule(&with(|bytes| bytes[72..80].fill(0))), "F-7");
}

proptest! {
    #[test]
    fn a_header_is_read_as_it_was_written(
        store: [u8; 16], salt: [u8; 16], segment in 2..u64::MAX, epoch in 0..u64::MAX, last_seq in 0..SEQ_MAX, last_crc: u32,
        back in 1_u64..100, frames in 0_u64..1 << 40, first: bool,
    ) {
        let previous = Previous { segment: segment.saturating_sub(back).max(1), valid_len: 128 + 8 * frames, last_seq, last_crc };
        let header = SegmentHeader {
            store: StoreId::from_bytes(store), segment, epoch, salt,
            first_seq: if first { 1 } else { last_seq + 1 },
            previous: (!first).then_some(previous),
        };
        prop_assert_eq!(SegmentHeader::decode(FILE, &header.encode()), Ok(Some(header)));
    }

    #[test]
    fn arbitrary_bytes_are_never_a_panic(bytes: Vec<u8>, seal: bool) {
        let mut array = [0; 128];
        for (to, from) in array.iter_mut().zip(&bytes) {
            *to = *from;
        }
        if seal {
            array[..8].copy_from_slice(b"foldblog");
            array = resealed(array);
        }
        let _ = SegmentHeader::decode(FILE, &array);
        let _ = SegmentHeader::decode(FILE, &bytes);
    }
}
