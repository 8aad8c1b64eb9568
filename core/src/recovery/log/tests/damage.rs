//! Every flipped bit and every cut of a small store, against what each has to lead to.

use alloc::{string::ToString, vec::Vec};

use super::{
    build::{Files, Placed, Segment, anchor, files_with, storage, three_segments},
    corruption, recover, recover_from, tail_seqs,
};
use crate::{
    log::{AnchorSlot, segment_name},
    recovery::RecoveryMode,
};

/// Three segments; behind the clean mark of the newest one another session without a clean end, and preallocated space.
fn store() -> ([Segment; 3], Files) {
    let mut segments = three_segments();
    segments[2].commit(9).commit_parts(9, 1).commit(11).commit(11).zeros(40);
    let anchors = [(AnchorSlot::A, anchor(7, &segments, 9)), (AnchorSlot::B, anchor(6, &segments[..2], 6))];
    let files = files_with(&segments, &anchors);
    (segments, files)
}

/// What the newest segment without the frames that `is_good` refuses has to lead to: the seq of the first bad
/// transaction, and whether it is corruption.
fn expected(segment: &Segment, anchored: u64, is_good: impl Fn(&Placed) -> bool) -> (u64, bool) {
    let proof = segment.frames.iter().filter(|frame| is_good(frame)).map(|frame| frame.mark).max().unwrap_or(0);
    let first_bad = segment.frames.iter().find(|frame| !is_good(frame));
    // Behind a bad mark frame the next transaction is missing.
    let next = first_bad.map_or(segment.last_seq + 1, |bad| bad.seq + u64::from(bad.is_mark));
    (next, proof.max(anchored) >= next)
}

#[track_caller]
fn check_newest(files: &Files, next: u64, is_corrupt: bool, offset: Option<u64>, what: &str) {
    let result = recover(&storage(files));
    if is_corrupt {
        let (file, at, rule) = corruption(result);
        assert_eq!((file, rule), (segment_name(5), "F-22"), "{what}");
        assert!(offset.is_none_or(|offset| offset == at), "{what}: {at}");
        return;
    }
    let (folded, outcome) = result.unwrap();
    let all = [folded.seqs, tail_seqs(&outcome)].concat();
    assert_eq!(all, (1..next).collect::<Vec<_>>(), "{what}");
}

#[test]
fn every_flipped_bit_of_the_newest_segment_is_judged_right() {
    let (segments, files) = store();
    let newest = &segments[2];
    for bit in 128 * 8..newest.bytes.len() * 8 {
        let mut damaged = files.clone();
        damaged.get_mut(&newest.name()).unwrap()[bit / 8] ^= 1 << (bit % 8);
        let byte = (bit / 8) as u64;
        let hit = newest.frames.iter().find(|frame| (frame.offset..frame.end).contains(&byte));
        let (next, is_corrupt) = expected(newest, 9, |frame| Some(frame.offset) != hit.map(|hit| hit.offset));
        check_newest(&damaged, next, is_corrupt, hit.map(|hit| hit.offset), &alloc::format!("bit {bit}"));
        // Nothing damaged passes in strict mode, also not a flipped bit of the preallocated zeros.
        assert!(recover_from(&storage(&damaged), RecoveryMode::Strict, None).is_err(), "bit {bit}");
    }
}

#[test]
fn every_cut_of_the_newest_segment_is_judged_right() {
    let (segments, files) = store();
    let newest = &segments[2];
    for len in 128..newest.bytes.len() as u64 {
        let mut damaged = files.clone();
        damaged.get_mut(&newest.name()).unwrap().truncate(len as usize);
        let (next, is_corrupt) = expected(newest, 9, |frame| frame.end <= len);
        check_newest(&damaged, next, is_corrupt, None, &alloc::format!("{len} bytes"));
    }
}

#[test]
fn every_lost_sector_of_the_newest_segment_is_judged_right() {
    let (segments, files) = store();
    let newest = &segments[2];
    for size in [8, 64] {
        for start in (128..newest.bytes.len()).step_by(size) {
            for fill in [0, 0xff, 0x11] {
                let mut damaged = files.clone();
                let bytes = damaged.get_mut(&newest.name()).unwrap();
                let end = bytes.len().min(start + size);
                bytes[start..end].fill(fill);
                let bytes = bytes.clone();
                let same = |frame: &Placed| {
                    let range = frame.offset as usize..frame.end as usize;
                    bytes[range.clone()] == newest.bytes[range]
                };
                let (next, is_corrupt) = expected(newest, 9, same);
                check_newest(&damaged, next, is_corrupt, None, &alloc::format!("{start}, {size} of {fill}"));
            }
        }
    }
}

#[test]
fn every_flipped_bit_of_a_sealed_segment_is_corruption_up_to_its_valid_length() {
    let (segments, files) = store();
    for segment in &segments[..2] {
        for bit in 0..segment.bytes.len() * 8 {
            let mut damaged = files.clone();
            damaged.get_mut(&segment.name()).unwrap()[bit / 8] ^= 1 << (bit % 8);
            let (file, at, rule) = corruption(recover(&storage(&damaged)));
            assert_eq!(file, segment.name(), "bit {bit}");
            if bit < 128 * 8 {
                // The oldest one is named by the anchor, the other one by its successor.
                let expected = if segment.header.segment == 1 { "F-9" } else { "F-7" };
                assert_eq!((at, rule), (0, expected), "bit {bit}");
            } else {
                let byte = (bit / 8) as u64;
                let hit = segment.frames.iter().find(|frame| (frame.offset..frame.end).contains(&byte)).unwrap();
                assert_eq!((at, rule), (hit.offset, "F-23"), "bit {bit}");
            }
        }
        // What was cut or preallocated behind the valid length is no part of the log.
        let mut longer = files.clone();
        longer.get_mut(&segment.name()).unwrap().extend_from_slice(&[0x5a; 100]);
        assert_eq!(recover(&storage(&longer)).unwrap().0, recover(&storage(&files)).unwrap().0);
    }
}

#[test]
fn every_flipped_bit_of_the_newest_header_is_corruption() {
    let (segments, files) = store();
    for bit in 0..128 * 8 {
        let mut damaged = files.clone();
        damaged.get_mut(&segments[2].name()).unwrap()[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(corruption(recover(&storage(&damaged))), (segments[2].name(), 0, "F-9"), "bit {bit}");
    }
}

#[test]
fn damage_to_one_anchor_costs_nothing_and_is_reported() {
    let (_, files) = store();
    let whole = recover(&storage(&files)).unwrap();
    for slot in AnchorSlot::BOTH {
        for bit in 0..files[slot.name()].len() * 8 {
            let mut damaged = files.clone();
            damaged.get_mut(slot.name()).unwrap()[bit / 8] ^= 1 << (bit % 8);
            let survey = super::super::survey(&storage(&damaged), RecoveryMode::Default).unwrap();
            assert_eq!((survey.damage.len(), survey.damage[0].file.as_str()), (1, slot.name()));
            let (folded, outcome) = recover(&storage(&damaged)).unwrap();
            assert_eq!(
                [folded.seqs, tail_seqs(&outcome)].concat(),
                [&whole.0.seqs[..], &tail_seqs(&whole.1)[..]].concat()
            );
            assert!(recover_from(&storage(&damaged), RecoveryMode::Strict, None).is_err());
        }
        for len in 0..files[slot.name()].len() {
            let mut damaged = files.clone();
            damaged.get_mut(slot.name()).unwrap().truncate(len);
            assert!(recover(&storage(&damaged)).is_ok());
        }
    }
}

#[test]
fn a_frame_moved_or_copied_to_another_place_is_never_taken_for_what_was_there() {
    let (segments, files) = store();
    let frames = segments.iter().flat_map(|segment| segment.frames.iter().map(move |frame| (segment, *frame)));
    for (from, source) in frames.collect::<Vec<_>>() {
        let copied = from.bytes[source.offset as usize..source.end as usize].to_vec();
        for to in &segments {
            for target in &to.frames {
                if (from.name(), source.offset) == (to.name(), target.offset)
                    || target.end - target.offset != source.end - source.offset
                {
                    continue;
                }
                let mut damaged = files.clone();
                let range = target.offset as usize..target.end as usize;
                damaged.get_mut(&to.name()).unwrap()[range].copy_from_slice(&copied);
                let what = alloc::format!("{} {} to {} {}", from.name(), source.offset, to.name(), target.offset);
                if to.header.segment == 5 {
                    let (next, is_corrupt) = expected(to, 9, |frame| frame.offset != target.offset);
                    check_newest(&damaged, next, is_corrupt, Some(target.offset), &what);
                } else {
                    assert_eq!(corruption(recover(&storage(&damaged))), (to.name(), target.offset, "F-23"), "{what}");
                }
            }
        }
    }
}

#[test]
fn arbitrary_files_are_never_a_panic() {
    let (_, files) = store();
    let mut state = 1_u64;
    let mut random = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize
    };
    for _ in 0..3000 {
        let mut damaged = files.clone();
        let names: Vec<_> = damaged.keys().map(ToString::to_string).collect();
        for _ in 0..1 + random() % 3 {
            let name = &names[random() % names.len()];
            let Some(bytes) = damaged.get_mut(name) else { continue };
            match random() % 5 {
                0 => bytes.truncate(random() % (bytes.len() + 1)),
                1 => bytes.extend((0..random() % 50).map(|byte| byte as u8)),
                2 => drop(damaged.remove(name)),
                _ if bytes.is_empty() => {}
                _ => {
                    let at = random() % bytes.len();
                    let end = (at + random() % 20).min(bytes.len());
                    bytes[at..end].fill(random() as u8);
                }
            }
        }
        for mode in [RecoveryMode::Default, RecoveryMode::Strict, RecoveryMode::Salvage] {
            if let Ok((folded, outcome)) = recover_from(&storage(&damaged), mode, None) {
                let seqs = [folded.seqs, tail_seqs(&outcome)].concat();
                assert!(seqs.is_sorted_by(|a, b| a < b));
                // Everything that the anchors prove, or an error.
                let contiguous = seqs == (1..=seqs.len() as u64).collect::<Vec<_>>();
                assert!(mode == RecoveryMode::Salvage || contiguous);
            }
        }
    }
}
