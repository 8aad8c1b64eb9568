//! What is promised of resync, as tests.

use alloc::{vec, vec::Vec};

use proptest::prelude::*;

use super::super::{FrameSeal, FrameType, FrameWriter, frame_bytes_for, resync, write_mark};
use crate::limits::FRAME_PAYLOAD_BYTES_MAX;

fn seal() -> FrameSeal {
    FrameSeal::new(b"salt-of-16-bytes", 7)
}

fn append(buffer: &mut Vec<u8>, base: u64, payload: &[u8], seal: &FrameSeal) -> u64 {
    let offset = base + buffer.len() as u64;
    let writer = FrameWriter::begin(buffer, FrameType::Transaction);
    buffer.extend_from_slice(payload);
    writer.finish(buffer, seal, offset).unwrap();
    offset
}

fn found(bytes: &[u8], offset: u64) -> Vec<u64> {
    resync(bytes, offset, &seal()).map(|(offset, _)| offset).collect()
}

#[test]
fn every_good_frame_behind_damage_is_found() {
    let mut bytes = vec![];
    let offsets: Vec<u64> = (1..40).map(|len| append(&mut bytes, 128, &vec![len; usize::from(len)], &seal())).collect();
    assert_eq!(found(&bytes, 128), offsets);
    for (index, offset) in offsets.iter().enumerate() {
        let mut damaged = bytes.clone();
        damaged[(offset - 128) as usize + 7] ^= 1;
        let rest: Vec<u64> = offsets.iter().copied().filter(|other| other != offset).collect();
        assert_eq!(found(&damaged, 128), rest, "frame {index}");
    }
    for (offset, frame) in resync(&bytes, 128, &seal()) {
        assert_eq!(frame.next, offset + frame_bytes_for(frame.payload.len() as u64));
    }
}

#[test]
fn frames_of_another_life_and_moved_frames_are_not_found() {
    let mut bytes = vec![];
    append(&mut bytes, 128, b"stale", &FrameSeal::new(b"salt-of-16-byteS", 7));
    append(&mut bytes, 128, b"of another segment", &FrameSeal::new(b"salt-of-16-bytes", 6));
    append(&mut bytes, 136, b"moved", &seal());
    assert!(found(&bytes, 128).is_empty());
}

#[test]
fn a_frame_forged_inside_a_value_is_not_found() {
    // Whoever stores values knows the format, the segment and the offset, but not the salt.
    let mut value = vec![];
    for guess in 0..200_u8 {
        append(&mut value, 144, b"forged", &FrameSeal::new(&[guess; 16], 7));
        write_mark(&mut value, &FrameSeal::new(&[guess; 16], 7), 144, 1 << 40, 1 << 40).unwrap();
    }
    let mut bytes = vec![];
    append(&mut bytes, 128, &[&[0; 10], &value[..]].concat(), &seal());
    assert_eq!(found(&bytes, 128), [128]);
    bytes[0] ^= 1;
    assert!(found(&bytes, 128).is_empty());
}

#[test]
fn bytes_that_all_look_like_frames_cost_linear_time() {
    // Every eighth byte claims half of the buffer, with correct padding. Checked one by one these are 10^11 bytes.
    let len = (1_u32 << 19) + 6;
    let [l0, l1, l2, l3] = len.to_le_bytes();
    let mut bytes: Vec<u8> = [l0, l1, l2, l3, 1, 1, 0, 0].into_iter().cycle().take(1 << 20).collect();
    let seal = seal();
    let mut hostile = resync(&bytes, 128, &seal);
    assert_eq!(hostile.by_ref().count(), 0);
    assert!(hostile.has_prefixes(), "the bytes were checked one by one");
    // A good frame among them is found all the same, also once the prefixes are used.
    let mut good = vec![];
    append(&mut good, 128 + (1 << 19), b"a good frame", &seal);
    bytes[1 << 19..(1 << 19) + good.len()].copy_from_slice(&good);
    assert_eq!(found(&bytes, 128), [128 + (1 << 19)]);
}

#[test]
fn an_impossible_length_is_no_candidate() {
    let mut bytes = vec![0; 64];
    bytes[..6].copy_from_slice(&[0xff, 0xff, 0xff, 0xff, 1, 1]);
    let [l0, l1, l2, l3] = (FRAME_PAYLOAD_BYTES_MAX as u32).to_le_bytes();
    bytes[8..14].copy_from_slice(&[l0, l1, l2, l3, 1, 1]);
    assert!(found(&bytes, 128).is_empty());
    assert!(found(&bytes[..7], 128).is_empty());
    assert!(found(&[], 128).is_empty());
}

proptest! {
    #[test]
    fn garbage_between_frames_hides_none(pieces in prop::collection::vec((any::<bool>(), prop::collection::vec(any::<u8>(), 1..60)), 0..30)) {
        let (mut bytes, mut offsets) = (vec![], vec![]);
        for (is_frame, content) in pieces {
            if is_frame {
                offsets.push(append(&mut bytes, 128, &content, &seal()));
            } else {
                bytes.extend_from_slice(&content);
                bytes.resize(bytes.len().next_multiple_of(8), 0xee);
            }
        }
        prop_assert_eq!(found(&bytes, 128), offsets);
    }
}
