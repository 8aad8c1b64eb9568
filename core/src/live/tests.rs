//! The newest announcements and filters, by themselves.

use super::{
    Announced, ChangeFilter, Recent,
    recent::{ANNOUNCEMENTS_MAX, BYTES_MAX},
};
use crate::{
    log::OpCode,
    state::{DEFAULT_SPACE, State, WindowBounds, encode_bounds},
    transaction::WriteSet,
    tree::NoPages,
};

/// The commit with this seq, which puts a key of this length.
fn commit(seq: u64, keys: u8, key_bytes: usize) -> alloc::sync::Arc<Announced> {
    let mut writes = WriteSet::default();
    for key in 0..keys {
        writes.write(DEFAULT_SPACE, OpCode::KvPut, &alloc::vec![key; key_bytes], &[0]).unwrap();
    }
    Announced::of(&writes, &State::new(), &NoPages).committed(seq, 0)
}

#[test]
fn the_newest_announcements_are_kept_and_the_others_are_known_to_be_gone() {
    let mut recent = Recent::default();
    recent.begin(10);
    let count = u64::try_from(ANNOUNCEMENTS_MAX).unwrap();
    for seq in 11..=count + 13 {
        recent.push(commit(seq, 1, 1));
    }
    assert_eq!(recent.gone(), 13);
    assert_eq!(recent.between(0, u64::MAX).map(|commit| commit.seq).min(), Some(14));
    assert_eq!(recent.between(20, 22).map(|commit| commit.seq).collect::<alloc::vec::Vec<_>>(), [21, 22]);
}

#[test]
fn announcements_are_forgotten_by_their_bytes_too() {
    let mut recent = Recent::default();
    for seq in 1..=ANNOUNCEMENTS_MAX as u64 {
        recent.push(commit(seq, 1, 1000));
    }
    assert_eq!(recent.gone(), 0, "four megabytes");
    recent.begin(0);
    for seq in 1..=2000 {
        recent.push(commit(seq, 8, 1024));
    }
    let kept = recent.between(0, u64::MAX).count();
    assert!(recent.gone() > 0 && kept < ANNOUNCEMENTS_MAX / 2, "{kept} of 8 KiB each");
    assert!(kept * 8 * 1024 <= BYTES_MAX, "{kept} of 8 KiB each");
}

#[test]
fn settings_of_the_store_are_no_change_of_data() {
    let mut writes = WriteSet::default();
    writes.write(DEFAULT_SPACE, OpCode::KvPut, b"key", &[0]).unwrap();
    let filter = ChangeFilter::all();
    assert!(Announced::of(&writes, &State::new(), &NoPages).matches(&filter));
    let mut settings = WriteSet::default();
    let bounds = encode_bounds(&WindowBounds { keys: 9, age_micros: None });
    settings.write(DEFAULT_SPACE, OpCode::KeyWindow, &[], &bounds).unwrap();
    assert!(!Announced::of(&settings, &State::new(), &NoPages).matches(&filter));
}
