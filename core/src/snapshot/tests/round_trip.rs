//! What is written comes back.

use super::*;
use crate::{snapshot::load_resident, tree::LeafPage};

/// A page source that must not be asked.
struct Never;

impl PageSource for Never {
    fn page(&self, at: &PageRef) -> Result<Vec<u8>> {
        panic!("page {at:?} was asked for")
    }
}

#[test]
fn an_empty_state_comes_back() {
    let storage = MemStorage::new();
    let info = snapshot(&storage, &State::new(), 1, &NoPages);
    let file = storage.open(&snapshot_name(1)).unwrap();
    let (state, found) = open(&file, &snapshot_name(1)).unwrap();
    assert_eq!(found, meta(&State::new(), 1));
    assert_same(&State::new(), &NoPages, &state, &NoPages);
    assert_eq!((info.pages, info.entries, info.bytes), (0, 0, file.len().unwrap()));
    assert_eq!(verify(&file, &snapshot_name(1)), Ok(info));
}

#[test]
fn every_field_of_a_state_comes_back() {
    for keys in [0, 1, 2, 100, 20_000] {
        let storage = MemStorage::new();
        let state = rich_state(keys);
        let info = snapshot(&storage, &state, 1, &NoPages);
        let file = storage.open(&snapshot_name(1)).unwrap();
        let (opened, found) = open(&file, &snapshot_name(1)).unwrap();
        assert_eq!(found, meta(&state, 1));
        assert_same(&state, &NoPages, &opened, &Snapshots(storage));
        assert_eq!(info.entries, keys + 3);
        assert_eq!(verify(&file, &snapshot_name(1)), Ok(info));
    }
}

#[test]
fn opening_reads_no_page_and_answers_what_the_catalog_knows() {
    let storage = MemStorage::new();
    let state = rich_state(5000);
    snapshot(&storage, &state, 1, &NoPages);
    let (opened, _) = open(&storage.open(&snapshot_name(1)).unwrap(), &snapshot_name(1)).unwrap();
    assert_eq!(opened.default.tree.len(), 5000);
    assert_eq!(opened.run_info(1, 9), state.run_info(1, 9));
    assert_eq!(opened.live_bytes(), state.live_bytes());
    assert_eq!(opened.idempotency.get(b"request 7"), state.idempotency.get(b"request 7"));
    opened
        .default
        .tree
        .visit_leaves(&mut |leaf| {
            assert!(matches!(leaf.page, LeafPage::Absent(_)));
            Ok(())
        })
        .unwrap();
}

#[test]
fn a_snapshot_that_is_loaded_whole_asks_for_no_page_afterwards() {
    let storage = MemStorage::new();
    let state = rich_state(20_000);
    snapshot(&storage, &state, 1, &NoPages);
    let (loaded, _) = load_resident(&storage.open(&snapshot_name(1)).unwrap(), &snapshot_name(1)).unwrap();
    assert_same(&state, &NoPages, &loaded, &Never);
}

#[test]
fn the_same_state_gives_the_same_bytes() {
    assert_eq!(bytes_of(&rich_state(3000)), bytes_of(&rich_state(3000)));
}

#[test]
fn a_snapshot_of_an_opened_snapshot_has_the_same_sections() {
    let storage = MemStorage::new();
    snapshot(&storage, &rich_state(3000), 1, &NoPages);
    let (opened, _) = open(&storage.open(&snapshot_name(1)).unwrap(), &snapshot_name(1)).unwrap();
    snapshot(&storage, &opened, 2, &Snapshots(storage.clone()));
    let files = storage.files();
    let (first, second) = (Parts::of(&files[&snapshot_name(1)]), Parts::of(&files[&snapshot_name(2)]));
    assert_eq!(first.pages, second.pages);
    // All but the catalog, which holds the generation.
    assert_eq!(first.sections[1..], second.sections[1..]);
}

#[test]
fn ten_thousand_runs_come_back() {
    let storage = MemStorage::new();
    let mut state = State::new();
    state.seq = 1;
    for number in 1..=10_000 {
        let count = u64::from(number % 3);
        add_run(&mut state, run(number, tree("\x20", count)));
    }
    let info = snapshot(&storage, &state, 1, &NoPages);
    let file = storage.open(&snapshot_name(1)).unwrap();
    let (opened, _) = open(&file, &snapshot_name(1)).unwrap();
    assert_same(&state, &NoPages, &opened, &Snapshots(storage));
    // A run without entries has no page.
    assert_eq!((info.pages, info.entries), (6667, 10_000));
    assert_eq!(verify(&file, &snapshot_name(1)), Ok(info));
}

#[test]
fn a_full_idempotency_window_comes_back() {
    let mut state = State::new();
    state.seq = 100_000;
    for number in 0..70_000 {
        let key = format!("{number:05}");
        state.idempotency.insert(&OnceKey::new(key.as_bytes()), number + 1, number);
    }
    let (opened, _) = open(&file_of(&bytes_of(&state)), &snapshot_name(1)).unwrap();
    assert_same(&state, &NoPages, &opened, &NoPages);
    assert_eq!(opened.idempotency.get(b"69999").map(|kept| kept.seq), Some(70_000));
    assert_eq!(opened.idempotency.forgotten_seq, 70_000 - 65_536);
    assert_eq!(opened.idempotency.get(b"00000"), None);
}

#[test]
fn keys_of_any_length_and_bytes_come_back() {
    let mut state = State::new();
    state.seq = 1;
    for length in [1, 2, 255, 256, 1024, 1040] {
        for byte in [0, 0x7f, 0xff] {
            put(&mut state.default.tree, &vec![byte; length], &vec![byte; length.min(1024)], 1, &NoPages);
        }
    }
    assert_eq!(read_all(&bytes_of(&state)), Ok(()));
    let storage = MemStorage::new();
    snapshot(&storage, &state, 1, &NoPages);
    let (opened, _) = open(&storage.open(&snapshot_name(1)).unwrap(), &snapshot_name(1)).unwrap();
    assert_same(&state, &NoPages, &opened, &Snapshots(storage));
}

#[test]
fn a_store_without_a_log_has_no_position_to_go_on_from() {
    let storage = MemStorage::new();
    let file = storage.create(&snapshot_name(1)).unwrap();
    let meta = SnapshotMeta { log: None, ..meta(&State::new(), 1) };
    write(&file, &State::new(), &meta, &NoPages, &mut on).unwrap();
    assert_eq!(open(&file, &snapshot_name(1)).unwrap().1, meta);
}
