//! What is promised of frame, as tests.

use alloc::{vec, vec::Vec};

use proptest::prelude::*;

use super::{
    super::{
        FRAME_OVERHEAD_BYTES, Frame, FrameOutcome, FrameSeal, FrameType, FrameWriter, frame_bytes, frame_bytes_for,
        read_frame, resync,
    },
    golden, hex,
};
use crate::{Error, limits::FRAME_PAYLOAD_BYTES_MAX};

const SALT: [u8; 16] = *b"salt-of-16-bytes";

fn seal() -> FrameSeal {
    FrameSeal::new(&SALT, 7)
}

fn frame(payload: &[u8], offset: u64) -> Vec<u8> {
    let mut buffer = vec![];
    let writer = FrameWriter::begin(&mut buffer, FrameType::Transaction);
    buffer.extend_from_slice(payload);
    writer.finish(&mut buffer, &seal(), offset).unwrap();
    buffer
}

/// The frame with another type and version byte and a checksum that holds.
fn frame_of(frame_type: u8, version: u8) -> Vec<u8> {
    let mut bytes = frame(b"payload", 128);
    (bytes[4], bytes[5]) = (frame_type, version);
    let covered = bytes.len() - 4;
    let crc = seal().checksum(128, &bytes[..covered]);
    bytes[covered..].copy_from_slice(&crc.to_le_bytes());
    bytes
}

#[test]
fn a_frame_has_these_bytes() {
    let bytes = frame(b"payload", 128);
    assert_eq!(hex(&bytes[..20]), golden("0700000001017061796c6f6164000000 00000000"));
    // The checksum as the format says it, over one piece of memory.
    let seed = [&SALT[..], &7_u64.to_le_bytes(), &128_u64.to_le_bytes(), &bytes[..20]].concat();
    assert_eq!(bytes[20..], crc32fast::hash(&seed).to_le_bytes());
    assert_eq!(hex(&bytes[20..]), "697797eb");
}

#[test]
fn every_payload_length_makes_a_multiple_of_eight_bytes() {
    for len in 1..70_usize {
        let payload = vec![0xa5; len];
        let mut bytes = frame(&payload, 4096);
        assert_eq!(bytes.len() % 8, 0);
        assert_eq!(bytes.len() as u64, frame_bytes_for(len as u64));
        assert_eq!(frame_bytes(&bytes), Some(bytes.len() as u64));
        assert!(bytes.len() as u64 - len as u64 - FRAME_OVERHEAD_BYTES < 8);
        bytes.extend_from_slice(&[0xff; 9]);
        let FrameOutcome::Frame(read) = read_frame(&bytes, 4096, &seal()) else { panic!("{len}") };
        assert_eq!((read.payload, read.next), (&payload[..], 4096 + frame_bytes_for(len as u64)));
    }
}

#[test]
fn any_flipped_bit_makes_it_no_frame() {
    let bytes = [frame(b"a payload of some length", 128), vec![0; 64]].concat();
    let len = frame_bytes(&bytes).unwrap() as usize;
    for bit in 0..len * 8 {
        let mut damaged = bytes.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        assert!(matches!(read_frame(&damaged, 128, &seal()), FrameOutcome::Bad(_)), "bit {bit}");
    }
}

#[test]
fn any_cut_makes_it_no_frame() {
    let bytes = frame(b"a payload of some length", 128);
    for len in 1..bytes.len() {
        assert!(matches!(read_frame(&bytes[..len], 128, &seal()), FrameOutcome::Bad(_)), "{len} bytes");
    }
    assert_eq!(read_frame(&[], 128, &seal()), FrameOutcome::End);
}

#[test]
fn a_frame_passes_only_where_it_was_written() {
    let bytes = frame(b"payload", 128);
    assert!(matches!(read_frame(&bytes, 128, &seal()), FrameOutcome::Frame(_)));
    // Anywhere else in the segment, up to offsets that differ in a single high bit.
    for shift in 3..63 {
        assert!(matches!(read_frame(&bytes, 128 ^ (1 << shift), &seal()), FrameOutcome::Bad(_)), "{shift}");
    }
    for offset in (0..1 << 16).step_by(8).filter(|offset| *offset != 128) {
        assert!(matches!(read_frame(&bytes, offset, &seal()), FrameOutcome::Bad(_)), "{offset}");
    }
    // In another segment, and in another life of the same segment.
    assert!(matches!(read_frame(&bytes, 128, &FrameSeal::new(&SALT, 8)), FrameOutcome::Bad(_)));
    for bit in 0..128 {
        let mut salt = SALT;
        salt[bit / 8] ^= 1 << (bit % 8);
        assert!(matches!(read_frame(&bytes, 128, &FrameSeal::new(&salt, 7)), FrameOutcome::Bad(_)));
    }
}

#[test]
fn zeros_are_the_end_only_up_to_the_end_of_the_file() {
    for len in [0, 1, 5, 6, 7, 16, 4096, 4097, 10_000] {
        let mut zeros = vec![0; len];
        assert_eq!(read_frame(&zeros, 128, &seal()), FrameOutcome::End, "{len}");
        if let Some(last) = zeros.last_mut() {
            *last = 1;
            assert!(matches!(read_frame(&zeros, 128, &seal()), FrameOutcome::Bad(_)), "{len}");
        }
    }
}

#[test]
fn a_length_over_the_limit_is_refused_before_anything_is_read() {
    for len in [FRAME_PAYLOAD_BYTES_MAX as u32 + 1, u32::MAX, u32::MAX - 16] {
        let mut bytes = frame(b"payload", 128);
        bytes[..4].copy_from_slice(&len.to_le_bytes());
        assert!(matches!(read_frame(&bytes, 128, &seal()), FrameOutcome::Bad(_)));
        assert_eq!(frame_bytes(&bytes), None);
    }
    assert_eq!(frame_bytes(&[0; 8]), None);
    assert_eq!(frame_bytes(&[1, 0, 0]), None);
}

#[test]
fn an_unknown_type_or_version_of_a_whole_frame_is_newer_and_not_bad() {
    assert!(matches!(
        read_frame(&frame_of(6, 1), 128, &seal()),
        FrameOutcome::Newer { what: "frame type", found: 6, .. }
    ));
    assert!(matches!(read_frame(&frame_of(1, 2), 128, &seal()), FrameOutcome::Newer { found: 2, supported: 1, .. }));
    assert!(matches!(
        read_frame(&frame_of(4, 1), 128, &seal()),
        FrameOutcome::Frame(Frame { frame_type: FrameType::Mark, .. })
    ));
}

#[test]
fn padding_that_is_not_zero_makes_it_no_frame_whatever_its_checksum() {
    for at in 13..20 {
        let mut bytes = frame(b"payload", 128);
        bytes[at] = 1;
        let crc = seal().checksum(128, &bytes[..20]);
        bytes[20..].copy_from_slice(&crc.to_le_bytes());
        assert!(matches!(read_frame(&bytes, 128, &seal()), FrameOutcome::Bad(_)), "{at}");
        assert_eq!(resync(&bytes, 128, &seal()).count(), 0, "{at}");
    }
}

#[test]
fn a_frame_that_cannot_be_written_leaves_the_buffer_as_it_was() {
    let mut buffer = vec![1, 2, 3];
    let writer = FrameWriter::begin(&mut buffer, FrameType::Transaction);
    assert!(matches!(writer.finish(&mut buffer, &seal(), 128), Err(Error::Invalid { .. })));
    assert_eq!(buffer, [1, 2, 3]);
    let writer = FrameWriter::begin(&mut buffer, FrameType::Transaction);
    buffer.push(1);
    assert!(matches!(writer.finish(&mut buffer, &seal(), 129), Err(Error::Invalid { .. })));
    let writer = FrameWriter::begin(&mut buffer, FrameType::Transaction);
    buffer.resize(3 + 6 + FRAME_PAYLOAD_BYTES_MAX + 1, 0);
    assert!(matches!(writer.finish(&mut buffer, &seal(), 128), Err(Error::Limit { .. })));
    assert_eq!(buffer, [1, 2, 3]);
    let writer = FrameWriter::begin(&mut buffer, FrameType::Transaction);
    buffer.truncate(1);
    assert!(matches!(writer.finish(&mut buffer, &seal(), 128), Err(Error::Invalid { .. })));
}

proptest! {
    #[test]
    fn arbitrary_bytes_are_never_a_frame_and_never_a_panic(bytes: Vec<u8>, offset: u64) {
        prop_assert!(!matches!(read_frame(&bytes, offset, &seal()), FrameOutcome::Frame(_)));
    }
}
