//! What is promised of fold, as tests.

use alloc::{vec, vec::Vec};
use core::ops::ControlFlow;

use super::{
    super::{LogRecord, LogStart, fold as fold_log, survey as survey_storage},
    Folded,
    build::{Segment, anchor, content, files, files_with, storage, three_segments},
    corruption, go_on, recover, recover_from, tail_seqs,
};
use crate::{
    Error,
    log::{AnchorSlot, FrameType, LogPosition, segment_name},
    recovery::RecoveryMode,
    storage::MemStorage,
};

#[test]
fn every_transaction_is_handed_out_once_and_in_order() {
    let segments = three_segments();
    let (folded, outcome) = recover(&storage(&files(&segments))).unwrap();
    assert_eq!(folded.seqs, [1, 2, 3, 4, 5, 6, 7, 8, 9]);
    // Three frames of transaction 5, four of 8.
    let expected: Vec<_> = [1, 2, 3, 4, 5, 5, 5, 6, 7, 8, 8, 8, 8, 9].into_iter().map(content).collect();
    assert_eq!(folded.ops, expected);
    assert_eq!((outcome.last_seq, outcome.continuation), (9, Some(segments[2].counted())));
    assert!(outcome.tail.is_empty() && outcome.report.cut.is_none() && outcome.report.complete);
    let bytes: usize = segments.iter().map(|segment| segment.bytes.len() - 128).sum();
    assert_eq!((outcome.report.segments, outcome.report.records, outcome.report.bytes), (3, 9, bytes as u64));
    assert_eq!(recover_from(&storage(&files(&segments)), RecoveryMode::Strict, None).unwrap(), (folded, outcome));
}

#[test]
fn records_say_where_they_are() {
    let segments = three_segments();
    let storage = storage(&files(&segments));
    let survey = survey_storage(&storage, RecoveryMode::Default).unwrap();
    let mut seen = vec![];
    fold_log(&storage, &survey, None, RecoveryMode::Default, &mut go_on, &mut |record| {
        seen.push((record.at, record.epoch, record.frames.len()));
        assert_eq!(record.frames[0].at(), record.at);
        assert_eq!(record.header.time_micros, record.header.seq * 1000);
        Ok(())
    })
    .unwrap();
    assert_eq!(seen[0], (LogPosition { segment: 1, offset: 128 }, 1, 1));
    assert_eq!(seen[7], (LogPosition { segment: 5, offset: segments[2].frames[1].offset }, 3, 4));
}

#[test]
fn the_fold_begins_wherever_a_snapshot_ends() {
    let segments = three_segments();
    let storage = storage(&files(&segments));
    for segment in &segments {
        let mut boundaries = vec![(128, segment.header.first_seq - 1)];
        // Behind each transaction and each mark, but not between parts.
        let frames = segment.frames.iter().enumerate();
        let whole = frames.filter(|(index, frame)| {
            segment.frames.get(index + 1).is_none_or(|next| next.seq != frame.seq || next.is_mark)
        });
        boundaries.extend(whole.map(|(_, frame)| (frame.end, frame.seq)));
        for (offset, seq) in boundaries {
            let from = LogStart { segment: segment.header.segment, offset, seq };
            let (folded, outcome) = recover_from(&storage, RecoveryMode::Default, Some(from)).unwrap();
            assert_eq!(folded.seqs, (seq + 1..=9).collect::<Vec<_>>(), "{from:?}");
            // What a snapshot lies behind is durable, the mark at the end too.
            let counted = if offset == segments[2].bytes.len() as u64 && segment.header.segment == 5 {
                segments[2].previous()
            } else {
                segments[2].counted()
            };
            assert_eq!((outcome.last_seq, outcome.continuation), (9, Some(counted)), "{from:?}");
        }
    }
}

#[test]
fn a_starting_point_that_does_not_fit_the_log_is_corruption() {
    let segments = three_segments();
    let storage = storage(&files(&segments));
    let end = segments[0].bytes.len() as u64;
    let start = |segment, offset, seq| Some(LogStart { segment, offset, seq });
    let refused = [
        start(3, 128, 6),
        start(1, 127, 0),
        start(1, 129, 0),
        start(1, 128, 1),
        start(1, end + 8, 3),
        start(1, end, 4),
        start(2, 128, 2),
        start(5, 1 << 20, 9),
    ];
    for from in refused {
        assert_eq!(corruption(recover_from(&storage, RecoveryMode::Default, from)).2, "F-23", "{from:?}");
    }
    // A seq that the log contradicts.
    assert_eq!(corruption(recover_from(&storage, RecoveryMode::Default, start(1, end, 2))).2, "F-23");
    let second = segments[0].frames[1].offset;
    assert_eq!(corruption(recover_from(&storage, RecoveryMode::Default, start(1, second, 2))).2, "F-15");
}

#[test]
fn a_log_without_its_beginning_needs_a_snapshot() {
    let segments = three_segments();
    let storage = storage(&files_with(&segments[1..], &[(AnchorSlot::A, anchor(1, &segments[1..], 0))]));
    assert_eq!(corruption(recover(&storage)), (segment_name(2), 0, "F-23"));
    let from = LogStart { segment: 2, offset: 128, seq: 3 };
    assert_eq!(recover_from(&storage, RecoveryMode::Default, Some(from)).unwrap().0.seqs, [4, 5, 6, 7, 8, 9]);
}

#[test]
fn an_empty_store_folds_to_nothing() {
    let (folded, outcome) = recover(&MemStorage::new()).unwrap();
    assert_eq!((folded, outcome.last_seq, outcome.continuation), (Folded::default(), 0, None));
    let only = Segment::first(1);
    let (_, outcome) = recover(&storage(&files(core::slice::from_ref(&only)))).unwrap();
    assert_eq!(outcome.continuation, Some(only.previous()));
}

#[test]
fn preallocated_zeros_are_the_end() {
    for zeros in [1, 5, 6, 8, 100, 10_000] {
        let mut segment = Segment::first(1);
        segment.commit(0).commit(1);
        let expected = segment.previous();
        segment.zeros(zeros);
        let (folded, outcome) = recover(&storage(&files(&[segment]))).unwrap();
        assert_eq!((folded.seqs, tail_seqs(&outcome)), (vec![1], vec![2]));
        assert!(outcome.report.cut.is_none());
        // The second transaction is not proven and is no part of what the next header counts.
        assert!(outcome.continuation.unwrap().valid_len < expected.valid_len);
    }
}

#[test]
fn what_is_not_proven_is_the_tail() {
    let mut segment = Segment::first(1);
    segment.commit(0).commit(0).commit_parts(1, 2).commit(2).commit(2);
    let (folded, outcome) = recover(&storage(&files(&[segment.clone()]))).unwrap();
    assert_eq!((folded.seqs, tail_seqs(&outcome)), (vec![1, 2], vec![3, 4, 5]));
    let types: Vec<FrameType> = outcome.tail[0].frames.iter().map(|frame| frame.frame_type).collect();
    assert_eq!(types, [FrameType::Part, FrameType::Part, FrameType::Commit]);
    let counted = outcome.continuation.unwrap();
    assert_eq!((counted.last_seq, counted.valid_len), (2, segment.frames[2].offset));
    assert_eq!(outcome.last_seq, 2);
    // A mark for everything makes it proven. The mark itself may not be durable and does not count.
    segment.mark(5);
    let (folded, outcome) = recover(&storage(&files(&[segment.clone()]))).unwrap();
    assert_eq!((folded.seqs, tail_seqs(&outcome)), (vec![1, 2, 3, 4, 5], vec![]));
    assert_eq!(outcome.continuation, Some(segment.counted()));
}

#[test]
fn marks_behind_what_is_proven_are_not_counted() {
    let mut segment = Segment::first(1);
    segment.commit(0).mark(1).commit(1).mark(1);
    let (folded, outcome) = recover(&storage(&files(&[segment.clone()]))).unwrap();
    assert_eq!((folded.seqs, tail_seqs(&outcome)), (vec![1], vec![2]));
    assert_eq!(outcome.continuation.unwrap().valid_len, segment.frames[0].end);
}

#[test]
fn anchor_and_snapshot_prove_commits_too() {
    let mut segment = Segment::first(1);
    segment.commit(0).commit(0).commit(0);
    let segments = [segment];
    for proven in 0..=3 {
        let expected: Vec<u64> = (1..=proven).collect();
        let by_anchor = storage(&files_with(&segments, &[(AnchorSlot::B, anchor(1, &segments, proven))]));
        assert_eq!(recover(&by_anchor).unwrap().0.seqs, expected);
        let storage = storage(&files(&segments));
        let mut survey = survey_storage(&storage, RecoveryMode::Default).unwrap();
        survey.prove(proven);
        let mut folded = Folded::default();
        fold_log(&storage, &survey, None, RecoveryMode::Default, &mut go_on, &mut |record| folded.take(record))
            .unwrap();
        assert_eq!(folded.seqs, expected);
    }
}

#[test]
fn parts_without_a_commit_are_an_orphaned_transaction() {
    for parts in 1..4 {
        let mut segment = Segment::first(1);
        segment.commit(0).mark(1);
        let counted = segment.counted();
        segment.parts(1, parts);
        let files = files(&[segment]);
        let (folded, outcome) = recover(&storage(&files)).unwrap();
        assert_eq!((folded.seqs, outcome.report.orphaned_transactions), (vec![1], 1));
        assert_eq!((outcome.continuation, outcome.tail), (Some(counted), vec![]));
        assert_eq!(corruption(recover_from(&storage(&files), RecoveryMode::Strict, None)).2, "F-29");
    }
}

#[test]
fn frames_that_cannot_follow_each_other_are_corruption() {
    type Build = fn(&mut Segment);
    let cases: [(Build, &str); 11] = [
        (
            |segment| {
                segment.frame(FrameType::Transaction, 3, 0, None);
            },
            "F-15",
        ),
        (
            |segment| {
                segment.frame(FrameType::Transaction, 1, 0, None);
            },
            "F-15",
        ),
        (
            |segment| {
                segment.parts(0, 1).frame(FrameType::Transaction, 2, 0, None);
            },
            "F-15",
        ),
        (
            |segment| {
                segment.parts(0, 1).frame(FrameType::Commit, 3, 0, Some(1));
            },
            "F-15",
        ),
        (
            |segment| {
                segment.parts(0, 2).frame(FrameType::Commit, 2, 0, Some(1));
            },
            "F-19",
        ),
        (
            |segment| {
                segment.frame(FrameType::Part, 2, 0, Some(1)).frame(FrameType::Commit, 2, 0, Some(1));
            },
            "F-19",
        ),
        (
            |segment| {
                segment.frame(FrameType::Commit, 2, 0, Some(0));
            },
            "F-15",
        ),
        (
            |segment| {
                segment.parts(0, 1).frame(FrameType::Part, 2, 0, Some(0)).frame(FrameType::Commit, 2, 0, Some(2));
            },
            "F-19",
        ),
        (
            |segment| {
                segment.parts(0, 1).mark(0);
            },
            "F-15",
        ),
        (
            |segment| {
                segment.last_seq = 5;
                segment.mark(0);
            },
            "F-15",
        ),
        (
            |segment| {
                segment.last_seq = 0;
                segment.mark(0);
            },
            "F-15",
        ),
    ];
    for (index, (build, rule)) in cases.into_iter().enumerate() {
        let mut segment = Segment::first(1);
        segment.commit(0);
        build(&mut segment);
        assert_eq!(corruption(recover(&storage(&files(&[segment.clone()])))).2, rule, "case {index}, newest");
        // In a sealed segment.
        segment.last_seq = 2;
        let next = segment.next(2);
        let sealed = corruption(recover(&storage(&files(&[segment, next])))).2;
        assert!(["F-15", "F-19", "F-20"].contains(&sealed), "case {index}, sealed: {sealed}");
    }
}

#[test]
fn open_parts_at_the_end_of_a_sealed_segment_are_corruption() {
    let mut first = Segment::first(1);
    first.commit(0).parts(1, 2);
    let next = first.next(2);
    assert_eq!(corruption(recover(&storage(&files(&[first, next])))).2, "F-23");
}

#[test]
fn a_successor_that_says_something_else_is_corruption() {
    let segments = three_segments();
    let wrong = |change: fn(&mut crate::log::Previous)| {
        let mut header = segments[1].header.clone();
        change(header.previous.as_mut().unwrap());
        header.first_seq = header.previous.unwrap().last_seq + 1;
        let mut changed = Segment::with_header(header);
        changed.commit(0);
        let segments = [segments[0].clone(), changed];
        corruption(recover(&storage(&files(&segments)))).2
    };
    assert_eq!(wrong(|previous| previous.last_crc ^= 1), "F-23");
    assert_eq!(wrong(|previous| previous.last_seq += 1), "F-23");
    assert_eq!(wrong(|previous| previous.last_seq -= 1), "F-23");
    assert_eq!(wrong(|previous| previous.valid_len -= 8), "F-23");
}

#[test]
fn an_error_of_apply_and_a_cancellation_end_the_fold() {
    let storage = storage(&files(&three_segments()));
    let survey = survey_storage(&storage, RecoveryMode::Default).unwrap();
    for mode in [RecoveryMode::Default, RecoveryMode::Salvage] {
        let stop = Error::Cancelled { what: "test" };
        let result = fold_log(&storage, &survey, None, mode, &mut go_on, &mut |_| Err(stop.clone()));
        assert_eq!(result.unwrap_err(), stop);
        let result = fold_log(&storage, &survey, None, mode, &mut |_| ControlFlow::Break(()), &mut |_| Ok(()));
        assert_eq!(result.unwrap_err(), Error::Cancelled { what: "recovery" });
    }
}

#[test]
fn an_error_of_apply_ends_the_fold_at_every_transaction_also_at_one_in_parts() {
    let mut segment = Segment::first(1);
    segment.commit(0).commit_parts(1, 2).commit(2);
    let next = segment.next(2);
    let storage = storage(&files(&[segment, next]));
    let survey = survey_storage(&storage, RecoveryMode::Default).unwrap();
    for stop in 1..=3 {
        let refuse = Error::Cancelled { what: "test" };
        let mut apply = |record: LogRecord<'_>| if record.header.seq == stop { Err(refuse.clone()) } else { Ok(()) };
        let result = fold_log(&storage, &survey, None, RecoveryMode::Default, &mut go_on, &mut apply);
        assert_eq!(result.unwrap_err(), refuse, "{stop}");
    }
}

#[test]
fn a_cancellation_in_the_middle_of_a_long_segment_ends_the_fold_there() {
    let mut segment = Segment::first(1);
    for seq in 0..30_000 {
        segment.commit(seq);
    }
    assert!(segment.bytes.len() > 1 << 20, "{}", segment.bytes.len());
    let next = segment.next(2);
    let storage = storage(&files(&[segment, next]));
    let survey = survey_storage(&storage, RecoveryMode::Default).unwrap();
    let mut calls = 0;
    let mut progress = |_: crate::recovery::Progress| {
        calls += 1;
        ControlFlow::Break(())
    };
    let mut folded = 0;
    let mut apply = |_: LogRecord<'_>| {
        folded += 1;
        Ok(())
    };
    let result = fold_log(&storage, &survey, None, RecoveryMode::Default, &mut progress, &mut apply);
    assert_eq!(result.unwrap_err(), Error::Cancelled { what: "recovery" });
    assert_eq!(calls, 1);
    assert!((1..30_000).contains(&folded), "{folded}");
}

/// Sealed by its successor, a mark is read to its last byte; it has two numbers and nothing else.
#[test]
fn a_mark_with_bytes_behind_its_numbers_is_corruption() {
    let mut segment = Segment::first(1);
    segment.commit(0).commit(1);
    let at = segment.bytes.len() as u64;
    segment.mark_and(2, &[0]).commit(2);
    let next = segment.next(2);
    assert_eq!(corruption(recover(&storage(&files(&[segment, next])))), (segment_name(1), at + 6 + 2, "F-20"));
}

#[test]
fn progress_reaches_its_total() {
    let storage = storage(&files(&three_segments()));
    let survey = survey_storage(&storage, RecoveryMode::Default).unwrap();
    let mut last = None;
    let mut progress = |now: crate::recovery::Progress| {
        assert!(now.done <= now.total);
        last = Some(now);
        ControlFlow::Continue(())
    };
    fold_log(&storage, &survey, None, RecoveryMode::Default, &mut progress, &mut |_| Ok(())).unwrap();
    assert_eq!(last.map(|now| (now.phase, now.done)), last.map(|now| ("log", now.total)));
}
