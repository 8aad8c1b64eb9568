//! A device that fails once, at whichever operation of a recovery: that says nothing about what is on it.

use alloc::vec;

use super::{
    build::{Files, Segment, anchor, files, files_with, storage, three_segments},
    recover_from,
};
use crate::{
    Error,
    db::tests::failing::{Failing, Fault},
    log::{AnchorSlot, snapshot_name},
    recovery::{IMPORT_NAME, RecoveryMode, log::window::WINDOW_BYTES},
};

/// Fails each operation in turn. Returns how many there were.
fn each_operation(files: &Files, what: &str) -> u64 {
    let storage = storage(files);
    for mode in [RecoveryMode::Default, RecoveryMode::Strict, RecoveryMode::Salvage] {
        let undisturbed = recover_from(&storage, mode, None);
        for at in 0.. {
            let failing = Failing::new(&storage, Fault::Error, at);
            let outcome = recover_from(&failing, mode, None);
            if !failing.is_past() {
                assert_eq!(outcome, undisturbed, "{what}, {mode:?}");
                if mode == RecoveryMode::Salvage {
                    return at;
                }
                break;
            }
            assert!(matches!(outcome, Err(Error::Storage(_))), "{what}, {mode:?}, operation {at}: {outcome:?}");
        }
    }
    0
}

#[test]
fn an_error_of_the_device_is_handed_up_whichever_operation_it_meets() {
    assert!(each_operation(&files(&three_segments()), "three segments") > 20);
    let mut zeros = Segment::first(1);
    zeros.commit(0).commit(1).zeros(3 * usize::try_from(WINDOW_BYTES).unwrap());
    assert!(each_operation(&files(&[zeros]), "zeros for several windows") > 8);
}

#[test]
fn an_error_of_the_device_is_no_lost_segment_where_only_snapshots_are_left() {
    let mut only_snapshots = Files::new();
    only_snapshots.insert(snapshot_name(1), vec![]);
    only_snapshots.insert(snapshot_name(2), vec![7; 100]);
    only_snapshots.insert(IMPORT_NAME.into(), vec![]);
    assert!(each_operation(&only_snapshots, "snapshots alone") >= 5);
    // With a segment that nothing was committed to, and no anchor.
    let mut fresh = files_with(&[Segment::first(1)], &[]);
    fresh.extend(only_snapshots);
    assert!(each_operation(&fresh, "snapshots and an empty segment") >= 5);
    // And where the anchor is all there is.
    let anchor = anchor(1, &[Segment::first(1)], 0);
    assert!(each_operation(&files_with(&[], &[(AnchorSlot::A, anchor)]), "an anchor alone") >= 4);
}
