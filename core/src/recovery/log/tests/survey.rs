//! What is promised of survey, as tests.

use alloc::{string::String, vec, vec::Vec};

use super::{
    super::{Survey, survey as survey_storage},
    build::{Files, STORE, Segment, anchor, files, files_with, storage, three_segments},
    corruption,
};
use crate::{
    Error, Result, StoreId,
    log::{AnchorSlot, SegmentHeader, segment_name, snapshot_name},
    recovery::RecoveryMode,
    storage::MemStorage,
};

fn survey(files: &Files) -> Result<Survey> {
    survey_storage(&storage(files), RecoveryMode::Default)
}

fn numbers(survey: &Survey) -> Vec<u64> {
    survey.segments.iter().map(|segment| segment.number).collect()
}

fn named(names: &[&str]) -> Files {
    names.iter().map(|name| (String::from(*name), vec![])).collect()
}

#[test]
fn nothing_is_a_fresh_store() {
    let found = survey(&Files::new()).unwrap();
    assert_eq!((found.store, found.epoch, found.next_segment, found.proven_seq), (None, 0, 1, 0));
    assert!(found.segments.is_empty() && found.newest_is_anchored);
    assert_eq!(found.next_anchor_slot(false), AnchorSlot::A);
}

/// A listing with names that a storage of ours would not create.
struct Listing(Vec<String>);

impl crate::storage::Storage for Listing {
    type File = crate::storage::MemFile;

    fn list(&self) -> Result<Vec<String>, crate::storage::StorageError> {
        Ok(self.0.clone())
    }

    fn create(&self, name: &str) -> Result<Self::File, crate::storage::StorageError> {
        MemStorage::new().create(name)
    }

    fn open(&self, name: &str) -> Result<Self::File, crate::storage::StorageError> {
        MemStorage::new().open(name)
    }

    fn remove(&self, name: &str) -> Result<(), crate::storage::StorageError> {
        MemStorage::new().remove(name)
    }
}

#[test]
fn other_files_are_no_store_but_hidden_ones_do_not_count() {
    let of = |names: &[&str]| {
        survey_storage(&Listing(names.iter().map(|name| String::from(*name)).collect()), RecoveryMode::Default)
    };
    assert!(matches!(of(&["photo"]), Err(Error::NotAStore { .. })));
    assert!(matches!(of(&[".DS_Store", "log-1"]), Err(Error::NotAStore { .. })));
    assert!(of(&[".DS_Store"]).is_ok());
    let mut files = files(&three_segments());
    files.extend(named(&["notes", "log-1"]));
    let found = survey(&files).unwrap();
    assert_eq!(found.ignored, ["log-1", "notes"]);
    assert!(found.garbage.is_empty() && found.damage.is_empty());
}

#[test]
fn a_whole_store_is_listed_oldest_first() {
    let segments = three_segments();
    let found = survey(&files(&segments)).unwrap();
    assert_eq!(numbers(&found), [1, 2, 5]);
    assert_eq!((found.store, found.epoch, found.next_segment), (Some(STORE), 3, 6));
    let sealed: Vec<_> = found.segments.iter().map(|segment| segment.sealed).collect();
    assert_eq!(sealed, [Some(segments[0].previous()), Some(segments[1].previous()), None]);
    assert_eq!(found.proven_seq, 6, "the newest segment's header proves what is before it");
    assert!(found.newest_is_anchored);
}

#[test]
fn the_newest_valid_anchor_holds() {
    let segments = three_segments();
    let [a, b] = [anchor(4, &segments, 7), anchor(5, &segments, 8)];
    let found = survey(&files_with(&segments, &[(AnchorSlot::A, a), (AnchorSlot::B, b)])).unwrap();
    assert_eq!((found.anchor, found.proven_seq), (Some((AnchorSlot::B, b)), 8));
    assert_eq!(found.next_anchor_slot(true), AnchorSlot::B, "the newest may be a ghost; the older one is on the disk");
    let mut files = files_with(&segments, &[(AnchorSlot::A, a), (AnchorSlot::B, b)]);
    files.get_mut("anchor-b").unwrap()[40] ^= 1;
    let found = survey(&files).unwrap();
    assert_eq!((found.anchor, found.proven_seq), (Some((AnchorSlot::A, a)), 7));
    assert_eq!(found.next_anchor_slot(true), AnchorSlot::B, "the damaged one is written next");
    assert_eq!((found.damage.len(), found.damage[0].rule), (1, "F-8"));
    assert_eq!(corruption(survey_storage(&storage(&files), RecoveryMode::Strict)).2, "F-8");
}

#[test]
fn two_anchors_with_one_counter_are_corruption() {
    let segments = three_segments();
    let both = [(AnchorSlot::A, anchor(4, &segments, 7)), (AnchorSlot::B, anchor(4, &segments, 8))];
    assert_eq!(corruption(survey(&files_with(&segments, &both))), ("anchor-b".into(), 0, "F-9"));
}

#[test]
fn a_missing_segment_is_corruption_wherever_it_was() {
    let expected = [(1, "F-9"), (2, "F-7"), (5, "F-9")];
    for (number, rule) in expected {
        let mut files = files(&three_segments());
        files.remove(&segment_name(number));
        assert_eq!(corruption(survey(&files)), (segment_name(number), 0, rule), "missing");
        // The same where there is a file without a header.
        files.insert(segment_name(number), vec![0; 4096]);
        assert_eq!(corruption(survey(&files)), (segment_name(number), 0, rule), "headless");
    }
}

#[test]
fn a_newer_segment_than_the_anchor_names_is_part_of_the_chain() {
    let segments = three_segments();
    let files = files_with(&segments, &[(AnchorSlot::A, anchor(1, &segments[..2], 0))]);
    let found = survey(&files).unwrap();
    assert_eq!(numbers(&found), [1, 2, 5]);
    assert!(!found.newest_is_anchored, "its header has to be written again");
}

#[test]
fn interrupted_creations_are_ignored_and_their_numbers_skipped() {
    for content in [vec![], vec![0; 64], vec![0; 4096], vec![0xee; 128], vec![0x11; 4096]] {
        let mut files = files(&three_segments());
        files.insert(segment_name(3), content.clone());
        files.insert(segment_name(6), content);
        let found = survey(&files).unwrap();
        assert_eq!((numbers(&found), found.next_segment), (vec![1, 2, 5], 7));
        assert_eq!(found.garbage, [segment_name(3), segment_name(6)]);
        assert_eq!(corruption(survey_storage(&storage(&files), RecoveryMode::Strict)).2, "F-30");
    }
}

#[test]
fn segments_below_the_oldest_needed_one_are_garbage_whatever_they_are() {
    let segments = three_segments();
    let mut files = files_with(&segments, &[(AnchorSlot::A, anchor(1, &segments[1..], 0))]);
    let found = survey(&files).unwrap();
    assert_eq!((numbers(&found), found.garbage), (vec![2, 5], vec![segment_name(1)]));
    files.insert(segment_name(1), vec![0xff; 10]);
    assert_eq!(numbers(&survey(&files).unwrap()), [2, 5]);
    files.remove(&segment_name(1));
    assert_eq!(numbers(&survey(&files).unwrap()), [2, 5]);
}

#[test]
fn two_segments_with_one_predecessor_are_a_fork() {
    let segments = three_segments();
    for number in [3, 4] {
        let mut files = files(&segments);
        let fork = segments[1].next(number);
        files.insert(fork.name(), fork.bytes);
        assert_eq!(corruption(survey(&files)), (segment_name(number), 0, "F-7"));
    }
    // The newest of the two is followed; the one that the anchor names is then not on the way.
    let mut files = files(&segments);
    let fork = segments[1].next(6);
    files.insert(fork.name(), fork.bytes);
    assert_eq!(corruption(survey(&files)), (segment_name(5), 0, "F-7"));
}

#[test]
fn a_segment_under_another_name_is_corruption() {
    let segments = three_segments();
    let mut files = files(&segments);
    files.insert(segment_name(9), segments[2].bytes.clone());
    assert_eq!(corruption(survey(&files)), (segment_name(9), 0, "F-6"));
}

/// The chain ends at a segment that says nothing came before it, and the anchor says that an older one is needed: one of
/// both is of another life of the store.
#[test]
fn a_chain_that_ends_before_the_segment_that_the_anchor_needs_is_corruption() {
    let segments = [Segment::first(1), Segment::first(2)];
    let files = files_with(&segments, &[(AnchorSlot::A, anchor(1, &segments, 0))]);
    assert_eq!(corruption(survey(&files)), (segment_name(1), 0, "F-9"));
    let salvaged = survey_storage(&storage(&files), RecoveryMode::Salvage).unwrap();
    assert_eq!(numbers(&salvaged), [2]);
    let rules: Vec<_> = salvaged.damage.iter().map(|damage| (damage.file.as_str(), damage.rule)).collect();
    assert_eq!(rules, [(&*segment_name(1), "F-9"), (&*segment_name(1), "F-7")]);
}

#[test]
fn a_file_of_another_store_is_corruption() {
    let other = StoreId::from_bytes([9; 16]);
    let segments = three_segments();
    let mut files_with_segment = files(&segments);
    let foreign = Segment::with_header(SegmentHeader { store: other, ..segments[1].header.clone() });
    files_with_segment.insert(foreign.name(), foreign.bytes);
    assert_eq!(corruption(survey(&files_with_segment)), (segment_name(2), 0, "F-6"));
    let mut foreign = anchor(9, &segments, 0);
    foreign.store = other;
    let files = files_with(&segments, &[(AnchorSlot::A, anchor(1, &segments, 0)), (AnchorSlot::B, foreign)]);
    assert_eq!(corruption(survey(&files)), ("anchor-b".into(), 0, "F-6"));
}

#[test]
fn a_sealed_segment_that_is_shorter_than_its_successor_says_is_cut() {
    let segments = three_segments();
    let len = segments[0].bytes.len();
    for cut in 128..len {
        let mut files = files(&segments);
        files.get_mut(&segment_name(1)).unwrap().truncate(cut);
        assert_eq!(corruption(survey(&files)), (segment_name(1), cut as u64, "F-23"));
    }
}

#[test]
fn links_that_contradict_each_other_are_corruption() {
    let segments = three_segments();
    let with_first = |change: fn(&mut SegmentHeader)| {
        let mut changed = segments[1].header.clone();
        change(&mut changed);
        let mut files = files(&segments);
        let mut bytes = segments[1].bytes.clone();
        bytes[..128].copy_from_slice(&changed.encode());
        files.insert(segment_name(2), bytes);
        corruption(survey(&files))
    };
    assert_eq!(with_first(|header| header.epoch = 99), (segment_name(2), 0, "F-6"));
    let later = |header: &mut SegmentHeader| {
        header.first_seq = 50;
        header.previous.as_mut().unwrap().last_seq = 49;
    };
    assert_eq!(with_first(later), (segment_name(2), 0, "F-7"));
}

#[test]
fn a_store_whose_first_segment_was_being_created_is_fresh() {
    for content in [vec![], vec![0; 128], vec![0; 100_000], vec![0xee; 100], vec![0xee; 4096]] {
        // The first anchor may have been torn, and then the header that was written again.
        let files: Files = [(segment_name(1), content), ("anchor-a".into(), vec![7; 40])].into();
        let found = survey(&files).unwrap();
        assert_eq!((found.store, found.next_segment), (None, 2));
        assert_eq!(found.garbage, [segment_name(1)]);
    }
}

#[test]
fn a_store_that_lost_its_headers_and_anchors_is_not_fresh() {
    let mut first = Segment::first(1);
    first.commit(0);
    first.bytes[0] ^= 1;
    let mut files: Files = [(segment_name(1), first.bytes)].into();
    assert_eq!(corruption(survey(&files)), (segment_name(1), 0, "F-30"));
    files.insert("anchor-a".into(), anchor(1, &[], 0).encode().to_vec());
    assert_eq!(corruption(survey(&files)), (segment_name(1), 0, "F-9"));
    files.remove("anchor-a");
    files.insert(segment_name(1), vec![]);
    files.insert(snapshot_name(4), vec![1]);
    assert_eq!(corruption(survey(&files)), (snapshot_name(4), 0, "F-9"));
    files.remove(&segment_name(1));
    assert_eq!(corruption(survey(&files)), (snapshot_name(4), 0, "F-9"));
}

#[test]
fn commits_without_an_anchor_are_corruption() {
    let segments = three_segments();
    let without = files_with(&segments, &[]);
    assert_eq!(corruption(survey(&without)), (segment_name(2), 0, "F-9"));
    // With one segment, the fold sees it.
    let mut first = Segment::first(1);
    assert_eq!(numbers(&survey(&files_with(&[first.clone()], &[])).unwrap()), [1]);
    first.commit(0);
    let only = storage(&files_with(&[first], &[]));
    assert_eq!(corruption(super::recover(&only)), (segment_name(1), 128, "F-9"));
    // A snapshot without an anchor.
    let mut files = files_with(&[Segment::first(1)], &[]);
    files.insert(snapshot_name(1), vec![1]);
    assert_eq!(corruption(survey(&files)), (snapshot_name(1), 0, "F-9"));
    // An empty one holds nothing: a removed file may come back like that (F-60).
    files.insert(snapshot_name(1), vec![]);
    assert!(survey(&files).is_ok());
}

#[test]
fn a_store_without_commits_needs_no_anchor() {
    // Created, and created again after a crash between header and anchor.
    let first = Segment::first(1);
    let segments = [first.clone(), first.next(2)];
    let found = survey(&files_with(&segments, &[])).unwrap();
    assert_eq!((numbers(&found), found.proven_seq, found.newest_is_anchored), (vec![1, 2], 0, false));
    assert!(super::recover(&storage(&files_with(&segments, &[]))).is_ok());
}

#[test]
fn a_newer_format_is_named() {
    let mut files = files(&three_segments());
    let bytes = files.get_mut(&segment_name(5)).unwrap();
    bytes[8] = 9;
    let crc = crc32fast::hash(&bytes[..124]);
    bytes[124..128].copy_from_slice(&crc.to_le_bytes());
    assert!(matches!(survey(&files), Err(Error::Newer { found: 9, .. })));
}

#[test]
fn the_largest_number_leaves_room_for_the_next() {
    let mut files = files(&three_segments());
    files.insert(segment_name(u64::MAX - 1), vec![]);
    files.insert(segment_name(u64::MAX), vec![]);
    let found = survey(&files).unwrap();
    assert_eq!((found.next_segment, found.ignored), (u64::MAX, vec![segment_name(u64::MAX)]));
}
