//! The decision between a torn tail and corruption, enumerated: which frame is bad, and what proves what.

use alloc::{vec, vec::Vec};

use super::{
    build::{Files, Segment, anchor, files_with, storage},
    corruption, recover, recover_from, tail_seqs,
};
use crate::{
    log::{AnchorSlot, segment_name},
    recovery::RecoveryMode,
};

/// The segment with a bad frame where `seq` was, and without anything behind `keep`.
fn store(segment: &Segment, bad: usize, keep: usize, proven: u64) -> Files {
    let mut damaged = segment.clone();
    damaged.bytes.truncate(segment.frames[keep].end as usize);
    damaged.bytes[segment.frames[bad].offset as usize + 8] ^= 0x40;
    let anchors = [(AnchorSlot::A, anchor(1, &[damaged.clone()], proven))];
    files_with(&[damaged], &anchors)
}

#[test]
fn the_log_is_cut_if_and_only_if_nothing_proves_the_bad_frame() {
    const FRAMES: u64 = 5;
    let mut cases = 0;
    // Every assignment of marks to five transactions.
    for marks in 0..120_u64 {
        let mut segment = Segment::first(1);
        let mut rest = marks;
        for seq in 1..=FRAMES {
            segment.commit(rest % seq);
            rest /= seq;
        }
        for bad in 0..FRAMES {
            for keep in bad..FRAMES {
                for proven in 0..=keep + 1 {
                    let files = store(&segment, bad as usize, keep as usize, proven);
                    let good =
                        segment.frames[..=keep as usize].iter().enumerate().filter(|(index, _)| *index as u64 != bad);
                    let proof = good.map(|(_, frame)| frame.mark).max().unwrap_or(0).max(proven);
                    let result = recover(&storage(&files));
                    cases += 1;
                    if proof > bad {
                        let at = segment.frames[bad as usize].offset;
                        assert_eq!(corruption(result), (segment_name(1), at, "F-22"), "{marks} {bad} {keep} {proven}");
                        continue;
                    }
                    let (folded, outcome) = result.unwrap();
                    assert_eq!(folded.seqs, (1..=proof).collect::<Vec<_>>(), "{marks} {bad} {keep} {proven}");
                    assert_eq!(tail_seqs(&outcome), (proof + 1..=bad).collect::<Vec<_>>());
                    let cut = outcome.report.cut.unwrap();
                    assert_eq!(
                        (cut.seq, cut.frames_behind, cut.offset),
                        (bad + 1, keep - bad, segment.frames[bad as usize].offset)
                    );
                    assert_eq!(corruption(recover_from(&storage(&files), RecoveryMode::Strict, None)).2, "F-29");
                }
            }
        }
    }
    assert_eq!(cases, 120 * (2 + 3 + 4 + 5 + 6 + 3 + 4 + 5 + 6 + 4 + 5 + 6 + 5 + 6 + 6));
}

#[test]
fn a_log_that_ends_at_a_frame_before_what_was_proven_is_corruption() {
    let mut segment = Segment::first(1);
    segment.commit(0).commit(0).commit(0);
    for (keep, end) in [(0, 128), (1, segment.frames[0].end), (2, segment.frames[1].end), (3, segment.frames[2].end)] {
        for proven in 0..=3 {
            for zeros in [0, 64] {
                let mut cut = segment.clone();
                cut.bytes.truncate(end as usize);
                cut.zeros(zeros);
                let files = files_with(&[cut.clone()], &[(AnchorSlot::A, anchor(1, &[cut], proven))]);
                let result = recover(&storage(&files));
                if proven > keep {
                    assert_eq!(corruption(result), (segment_name(1), end, "F-22"));
                } else {
                    assert_eq!(result.unwrap().0.seqs, (1..=proven).collect::<Vec<_>>());
                }
            }
        }
    }
}

#[test]
fn a_mark_at_a_clean_close_proves_the_last_commits() {
    let mut segment = Segment::first(1);
    segment.commit(0).commit(1).commit(1).mark(3);
    let keep = segment.frames.len() - 1;
    for bad in 0..3 {
        assert_eq!(corruption(recover(&storage(&store(&segment, bad, keep, 0)))).2, "F-22", "{bad}");
    }
    // Damage to the mark itself costs the proof and nothing else.
    let (folded, outcome) = recover(&storage(&store(&segment, 3, keep, 0))).unwrap();
    assert_eq!((folded.seqs, tail_seqs(&outcome)), (vec![1], vec![2, 3]));
}

#[test]
fn damage_inside_a_transaction_in_parts_is_judged_by_its_seq() {
    for proven_later in [false, true] {
        let mut segment = Segment::first(1);
        segment.commit(0).commit_parts(1, 3).commit(if proven_later { 2 } else { 1 });
        let keep = segment.frames.len() - 1;
        for bad in 1..5 {
            let result = recover(&storage(&store(&segment, bad, keep, 0)));
            if proven_later {
                assert_eq!(corruption(result), (segment_name(1), segment.frames[bad].offset, "F-22"));
                continue;
            }
            let (folded, outcome) = result.unwrap();
            let cut = outcome.report.cut.unwrap();
            // The cut is before the first part: no part of a transaction counts.
            assert_eq!((folded.seqs, cut.seq, cut.offset), (vec![1], 2, segment.frames[1].offset));
            assert_eq!(outcome.report.orphaned_transactions, u64::from(bad > 1));
            assert_eq!(outcome.continuation.unwrap().valid_len, segment.frames[1].offset);
        }
    }
}

#[test]
fn zeros_in_the_middle_are_a_bad_frame_and_not_the_end() {
    // A lost sector reads as zeros.
    for proven_later in [false, true] {
        let mut segment = Segment::first(1);
        segment.commit(0).commit(1).commit(if proven_later { 2 } else { 1 });
        let hole = segment.frames[1].offset as usize..segment.frames[1].end as usize;
        segment.bytes[hole].fill(0);
        let result =
            recover(&storage(&files_with(&[segment.clone()], &[(AnchorSlot::A, anchor(1, &[segment.clone()], 0))])));
        if proven_later {
            assert_eq!(corruption(result), (segment_name(1), segment.frames[1].offset, "F-22"));
        } else {
            let (folded, outcome) = result.unwrap();
            assert_eq!((folded.seqs, outcome.report.cut.unwrap().frames_behind), (vec![1], 1));
        }
    }
}

#[test]
fn a_stale_or_forged_frame_behind_the_damage_proves_nothing() {
    let mut segment = Segment::first(1);
    segment.commit(0).commit(1);
    // A value that contains frames which would prove everything, made with another salt.
    let mut forged = Segment::first(1);
    forged.header.salt = [0x77; 16];
    let mut forged = Segment::with_header(forged.header);
    forged.commit(0).commit(1).commit(2).mark(3);
    let body = forged.bytes[128..].to_vec();
    segment.last_seq += 1;
    segment.frame_with(crate::log::FrameType::Transaction, 3, 1, None, &(b"k".to_vec(), body.clone()));
    // And the same as leftovers behind the end, as a recycled disk block would have them.
    segment.bytes.extend_from_slice(&body);
    let whole = files_with(&[segment.clone()], &[(AnchorSlot::A, anchor(1, &[segment.clone()], 0))]);
    let (folded, outcome) = recover(&storage(&whole)).unwrap();
    assert_eq!((folded.seqs, tail_seqs(&outcome)), (vec![1], vec![2, 3]));
    assert_eq!(outcome.report.cut.unwrap().frames_behind, 0);
    // The carrier damaged: what it contains is still nothing.
    segment.bytes[segment.frames[2].offset as usize + 6] ^= 1;
    let damaged = files_with(&[segment.clone()], &[(AnchorSlot::A, anchor(1, &[segment], 0))]);
    let (folded, outcome) = recover(&storage(&damaged)).unwrap();
    assert_eq!((folded.seqs, tail_seqs(&outcome), outcome.report.cut.unwrap().frames_behind), (vec![1], vec![2], 0));
}
