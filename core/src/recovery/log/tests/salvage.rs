//! What is promised of salvage, as tests.

use alloc::{vec, vec::Vec};

use super::{
    build::{Files, Segment, anchor, files, files_with, storage, three_segments},
    recover_from,
};
use crate::{
    Result,
    log::{AnchorSlot, segment_name},
    recovery::{Damage, RecoveryMode, log::LogStart},
};

fn salvage(files: &Files) -> Result<(Vec<u64>, Vec<Damage>)> {
    let (folded, outcome) = recover_from(&storage(files), RecoveryMode::Salvage, None)?;
    assert!(!outcome.report.complete, "salvage never says that nothing is missing");
    assert!(outcome.continuation.is_none() && outcome.tail.is_empty());
    Ok((folded.seqs, outcome.report.damage))
}

fn flip(files: &mut Files, segment: &Segment, frame: usize) {
    files.get_mut(&segment.name()).unwrap()[segment.frames[frame].offset as usize + 9] ^= 1;
}

#[test]
fn a_whole_store_is_salvaged_without_damage_also_what_is_not_proven() {
    let mut segments = three_segments();
    segments[2].commit(9).commit(9);
    assert_eq!(salvage(&files(&segments)).unwrap(), ((1..=11).collect(), vec![]));
}

#[test]
fn every_damaged_frame_is_skipped_and_listed_with_what_it_held() {
    let segments = three_segments();
    for segment in &segments {
        for (index, frame) in segment.frames.iter().enumerate() {
            let mut files = files(&segments);
            flip(&mut files, segment, index);
            let (seqs, damage) = salvage(&files).unwrap();
            let lost = |seq: &u64| !frame.is_mark && *seq == frame.seq;
            assert_eq!(seqs, (1..=9).filter(|seq| !lost(seq)).collect::<Vec<_>>());
            let gap =
                damage.iter().find(|gap| gap.offset == frame.offset && gap.len == frame.end - frame.offset).unwrap();
            assert_eq!(gap.file, segment.name());
            let known = damage.iter().any(|gap| gap.seqs == Some((frame.seq, frame.seq)));
            // Behind the last transaction nothing follows that would say which seq is missing.
            let is_last = frame.seq == 9 || frame.is_mark;
            assert!(known || is_last, "{damage:?}");
        }
    }
}

#[test]
fn runs_of_damage_say_which_transactions_are_gone() {
    let segments = three_segments();
    let mut damaged = files(&segments);
    for frame in 1..3 {
        flip(&mut damaged, &segments[0], frame);
    }
    flip(&mut damaged, &segments[1], 0);
    let (seqs, damage) = salvage(&damaged).unwrap();
    assert_eq!(seqs, [1, 5, 6, 7, 8, 9]);
    assert_eq!(damage.iter().filter_map(|gap| gap.seqs).collect::<Vec<_>>(), [(2, 4)]);
}

#[test]
fn missing_and_headless_segments_are_listed() {
    let segments = three_segments();
    for (number, expected) in [(1, vec![4, 5, 6, 7, 8, 9]), (2, vec![1, 2, 3, 7, 8, 9]), (5, vec![1, 2, 3, 4, 5, 6])] {
        for headless in [false, true] {
            let mut files = files(&segments);
            files.remove(&segment_name(number));
            if headless {
                files.insert(segment_name(number), vec![0xee; 500]);
            }
            let survey = super::super::survey(&storage(&files), RecoveryMode::Salvage).unwrap();
            assert!(survey.damage.iter().any(|damage| damage.file == segment_name(number)));
            let result = salvage(&files);
            let (seqs, damage) = result.unwrap();
            assert_eq!(seqs, expected);
            assert!(number == 5 || damage.iter().any(|damage| damage.seqs.is_some()));
        }
    }
}

#[test]
fn what_was_proven_and_is_not_there_is_listed() {
    let segments = three_segments();
    let mut files = files_with(&segments, &[(AnchorSlot::A, anchor(1, &segments, 9))]);
    let newest = &segments[2];
    files.get_mut(&newest.name()).unwrap().truncate(newest.frames[1].offset as usize);
    let (seqs, damage) = salvage(&files).unwrap();
    assert_eq!(seqs, (1..=7).collect::<Vec<_>>());
    assert_eq!((damage.last().unwrap().rule, damage.last().unwrap().seqs), ("F-22", Some((8, 9))));
}

#[test]
fn parts_without_all_their_frames_are_never_handed_out() {
    let segments = three_segments();
    let parts: Vec<usize> = (0..segments[2].frames.len()).filter(|index| segments[2].frames[*index].seq == 8).collect();
    for frame in parts {
        let mut files = files(&segments);
        flip(&mut files, &segments[2], frame);
        let (folded, outcome) = recover_from(&storage(&files), RecoveryMode::Salvage, None).unwrap();
        assert_eq!(folded.seqs, [1, 2, 3, 4, 5, 6, 7, 9]);
        assert_eq!(folded.ops.len(), 10);
        // The parts before the damage wait for a commit that does not come; those behind it have no beginning.
        assert!(outcome.report.damage.iter().any(|damage| damage.rule == "F-19"), "frame {frame}");
    }
}

#[test]
fn a_store_without_anchors_is_salvaged() {
    let segments = three_segments();
    assert_eq!(salvage(&files_with(&segments, &[])).unwrap().0, (1..=9).collect::<Vec<_>>());
}

#[test]
fn a_starting_point_that_is_gone_is_listed_and_everything_behind_its_seq_is_folded() {
    let mut segments = three_segments();
    let mut damaged = files(&segments);
    damaged.remove(&segment_name(2));
    let from = LogStart { segment: 2, offset: 128, seq: 3 };
    let (folded, outcome) = recover_from(&storage(&damaged), RecoveryMode::Salvage, Some(from)).unwrap();
    assert_eq!(folded.seqs, [7, 8, 9]);
    assert!(outcome.report.damage.iter().any(|damage| damage.rule == "F-23"));
    // And one that is still there.
    segments[1].zeros(0);
    let (folded, _) = recover_from(&storage(&files(&segments)), RecoveryMode::Salvage, Some(from)).unwrap();
    assert_eq!(folded.seqs, [4, 5, 6, 7, 8, 9]);
}

#[test]
fn a_segment_beside_the_chain_is_listed_and_not_taken() {
    let segments = three_segments();
    let mut files = files(&segments);
    let mut fork = segments[0].next(4);
    fork.commit(3).commit(3);
    files.insert(fork.name(), fork.bytes);
    // Also where the chain is broken, so that any older segment is taken.
    for broken in [false, true] {
        if broken {
            files.remove(&segment_name(1));
        }
        let survey = super::super::survey(&storage(&files), RecoveryMode::Salvage).unwrap();
        assert!(survey.damage.iter().any(|damage| damage.file == segment_name(4) && damage.rule == "F-7"));
        assert!(survey.segments.iter().all(|segment| segment.number != 4));
        assert_eq!(salvage(&files).unwrap().0, (if broken { 4 } else { 1 }..=9).collect::<Vec<_>>());
    }
}
