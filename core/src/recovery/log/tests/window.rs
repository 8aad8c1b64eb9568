//! Segments that are longer than a window, and frames that do not fit one.

use alloc::{vec, vec::Vec};

use super::{
    super::{
        newest::find_end,
        survey::survey,
        window::{self, WINDOW_BYTES},
    },
    build::{Segment, content, files, storage},
    corruption, recover, recover_from, tail_seqs,
};
use crate::{
    log::{FrameType, segment_name},
    recovery::RecoveryMode,
    storage::{Storage, StorageFile},
};

/// A body that makes the frame end around the edge of a window that begins with it.
fn body(len: u64) -> (Vec<u8>, Vec<u8>) {
    (b"k".to_vec(), vec![0x6b; usize::try_from(len).unwrap()])
}

fn commit_of(segment: &mut Segment, len: u64, mark: u64) {
    segment.last_seq += 1;
    segment.frame_with(FrameType::Transaction, segment.last_seq, mark, None, &body(len));
}

#[test]
fn frames_at_and_over_the_edge_of_a_window_are_read_whole() {
    for around in 0..40 {
        let mut segment = Segment::first(1);
        segment.commit(0);
        commit_of(&mut segment, WINDOW_BYTES - 60 + around, 1);
        segment.commit(2);
        commit_of(&mut segment, 3 * WINDOW_BYTES + around, 3);
        commit_of(&mut segment, WINDOW_BYTES / 2, 4);
        for _ in 0..2000 {
            segment.commit(5);
        }
        segment.mark(2005);
        let next = segment.next(2);
        let all: Vec<u64> = (1..=2005).collect();
        // In the newest segment, and in a sealed one.
        let (folded, outcome) = recover(&storage(&files(&[segment.clone()]))).unwrap();
        assert_eq!((folded.seqs, outcome.continuation), (all.clone(), Some(segment.counted())), "{around}");
        let (folded, _) = recover(&storage(&files(&[segment, next]))).unwrap();
        assert_eq!(folded.seqs, all, "{around}");
    }
}

#[test]
fn a_transaction_in_parts_over_several_windows_is_handed_out_whole() {
    let mut segment = Segment::first(1);
    for _ in 0..3000 {
        segment.commit(0);
    }
    let seq = segment.last_seq + 1;
    for part in 0..5 {
        segment.frame_with(FrameType::Part, seq, 0, Some(part), &body(WINDOW_BYTES / 2));
    }
    segment.last_seq = seq;
    segment.frame_with(FrameType::Commit, seq, 0, Some(5), &body(10));
    segment.commit_parts(seq, 3).commit(seq);
    let next = segment.next(2);
    let (folded, _) = recover(&storage(&files(&[segment.clone(), next]))).unwrap();
    assert_eq!(folded.seqs, (1..=3003).collect::<Vec<_>>());
    assert_eq!(folded.ops.len(), 3000 + 6 + 4 + 1);
    assert_eq!(folded.ops[0], content(1));
    let (folded, outcome) = recover(&storage(&files(&[segment]))).unwrap();
    assert_eq!((folded.seqs.len(), tail_seqs(&outcome)), (3001, vec![3002, 3003]));
}

#[test]
fn damage_and_zeros_far_behind_the_first_window_are_judged_like_those_in_front() {
    let mut segment = Segment::first(1);
    for _ in 0..12_000 {
        segment.commit(0);
    }
    let damaged_at = segment.frames[11_000].offset;
    let mut sealed = segment.clone();
    sealed.bytes[damaged_at as usize + 9] ^= 1;
    let next = segment.next(2);
    assert_eq!(corruption(recover(&storage(&files(&[sealed.clone(), next])))), (segment_name(1), damaged_at, "F-23"));
    let cut = recover(&storage(&files(&[sealed.clone()]))).unwrap().1.report.cut.unwrap();
    assert_eq!((cut.offset, cut.seq, cut.frames_behind), (damaged_at, 11_001, 999));
    // A mark behind it, in another window, proves what was there.
    sealed.mark(11_001);
    assert_eq!(corruption(recover(&storage(&files(&[sealed])))), (segment_name(1), damaged_at, "F-22"));
    // Zeros for several windows are the end, unless something is behind them.
    let zeros = usize::try_from(3 * WINDOW_BYTES).unwrap();
    segment.zeros(zeros);
    assert!(recover(&storage(&files(&[segment.clone()]))).unwrap().1.report.cut.is_none());
    segment.bytes.push(1);
    let (_, outcome) = recover(&storage(&files(&[segment]))).unwrap();
    assert_eq!((tail_seqs(&outcome).len(), outcome.report.cut.unwrap().bytes), (12_000, 3 * WINDOW_BYTES + 1));
}

#[test]
fn a_length_that_claims_more_than_the_segment_has_is_damage_and_not_a_larger_window() {
    let mut segment = Segment::first(1);
    for _ in 0..8000 {
        segment.commit(0);
    }
    let at = segment.frames[10].offset as usize;
    let next = segment.next(2);
    // More than the segment has, and more than any frame can have.
    for len in [40 << 20, u32::MAX] {
        segment.bytes[at..at + 4].copy_from_slice(&len.to_le_bytes());
        let sealed = files(&[segment.clone(), next.clone()]);
        assert_eq!(corruption(recover(&storage(&sealed))), (segment_name(1), at as u64, "F-23"));
        let newest = recover(&storage(&files(&[segment.clone()]))).unwrap();
        assert_eq!(tail_seqs(&newest.1), (1..=10).collect::<Vec<_>>());
    }
}

/// As much as is searched at once, before the largest frame that may begin in it.
const PIECE_BYTES: usize = 16 << 20;

#[test]
fn frames_behind_holes_and_over_the_edges_of_what_is_searched_at_once_are_all_found() {
    for before_edge in [0, 40, 1 << 20] {
        let mut segment = Segment::first(1);
        segment.commit(0);
        let cut_at = segment.bytes.len();
        // A hole, and bytes that are no frame: the first piece begins with the window that has them.
        segment.bytes.resize(cut_at + 5 * WINDOW_BYTES as usize, 0);
        segment.bytes.resize(segment.bytes.len() + 8, 0xee);
        let first_piece = cut_at + 4 * WINDOW_BYTES as usize;
        segment.bytes.resize(first_piece + PIECE_BYTES - before_edge, 0);
        for _ in 0..3 {
            segment.commit(0);
        }
        // Another hole, and a frame larger than a piece, begun before an edge.
        segment.bytes.resize(segment.bytes.len() + 3 * PIECE_BYTES - before_edge, 0);
        commit_of(&mut segment, 20 << 20, 0);
        segment.commit(0);
        let files = files(&[segment]);
        let cut = recover(&storage(&files)).unwrap().1.report.cut.unwrap();
        assert_eq!((cut.offset, cut.seq, cut.frames_behind), (cut_at as u64, 2, 5), "{before_edge}");
        let used = files[&segment_name(1)].iter().rposition(|byte| *byte != 0).unwrap() + 1;
        assert_eq!(cut.bytes, (used - cut_at) as u64);
        let salvaged = recover_from(&storage(&files), RecoveryMode::Salvage, None).unwrap().0.seqs;
        assert_eq!(salvaged, (1..=6).collect::<Vec<_>>(), "{before_edge}");
    }
}

/// As much memory was taken as the hole was long.
#[test]
fn memory_does_not_grow_with_a_hole_behind_the_log() {
    let mut segment = Segment::first(1);
    segment.commit(0).commit(0);
    let end_at = segment.bytes.len() as u64;
    for (last_byte, memory) in [(false, 2 * WINDOW_BYTES), (true, 65 << 20)] {
        let storage = storage(&files(&[segment.clone()]));
        let file = storage.open(&segment.name()).unwrap();
        file.set_len(300 << 20).unwrap();
        if last_byte {
            file.write_at((300 << 20) - 1, &[1]).unwrap();
        }
        let found = survey(&storage, RecoveryMode::Default).unwrap();
        let opened = window::Segment::open(&storage, found.newest().unwrap()).unwrap();
        let mut buffer = vec![];
        let end = find_end(&opened, 128, 1, &mut buffer).unwrap();
        assert_eq!((end.offset, end.bad.is_some()), (end_at, last_byte));
        assert!(buffer.capacity() as u64 <= memory, "{} bytes", buffer.capacity());
    }
}
