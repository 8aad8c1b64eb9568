//! What is promised of names, as tests.

use super::super::{ANCHOR_NAMES, AnchorSlot, parse_segment_name, parse_snapshot_name, segment_name, snapshot_name};
use crate::storage::check_name;

#[test]
fn a_number_and_its_name_determine_each_other() {
    for number in [1, 7, 10, 99_999_999, u64::MAX - 1] {
        assert_eq!(parse_segment_name(&segment_name(number)), Some(number));
        assert_eq!(parse_snapshot_name(&snapshot_name(number)), Some(number));
    }
    assert_eq!(segment_name(1), "log-00000000000000000001");
    assert_eq!(snapshot_name(12), "snap-00000000000000000012");
}

#[test]
fn names_sort_like_their_numbers() {
    assert!(segment_name(9) < segment_name(10));
    assert!(segment_name(u64::MAX - 2) < segment_name(u64::MAX - 1));
}

#[test]
fn a_name_that_is_not_exactly_right_is_not_ours() {
    let not_ours = [
        "log-1",
        "log-0000000000000000000",
        "log-000000000000000000001",
        "log-00000000000000000000",
        "log-18446744073709551615",
        "log-18446744073709551616",
        "log-+0000000000000000001",
        "log-0000000000000000001x",
        "Log-00000000000000000001",
        " log-00000000000000000001",
        "snap-00000000000000000001",
        "log-٠٠٠٠٠٠٠٠٠٠",
        "",
    ];
    for name in not_ours {
        assert_eq!(parse_segment_name(name), None, "{name}");
    }
    assert_eq!(parse_snapshot_name("log-00000000000000000001"), None);
}

#[test]
fn every_backend_allows_the_names() {
    assert!(check_name(&segment_name(u64::MAX - 1)).is_ok() && check_name(&snapshot_name(1)).is_ok());
    for slot in AnchorSlot::BOTH {
        assert!(check_name(slot.name()).is_ok() && ANCHOR_NAMES.contains(&slot.name()));
        assert_ne!(slot, slot.other());
    }
}
