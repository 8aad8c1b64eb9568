//! Snapshots of states whose leaves are in an older snapshot.

use core::cell::Cell;

use super::*;
use crate::tree::LeafPage;

fn leaves(tree: &Tree) -> (u64, u64) {
    let (mut resident, mut absent) = (0, 0);
    tree.visit_leaves(&mut |leaf| {
        match leaf.page {
            LeafPage::Resident(_) => resident += 1,
            LeafPage::Absent(_) => absent += 1,
        }
        Ok(())
    })
    .unwrap();
    (resident, absent)
}

fn reopen(storage: &MemStorage, generation: u64) -> State {
    let name = snapshot_name(generation);
    open(&storage.open(&name).unwrap(), &name).unwrap().0
}

#[test]
fn absent_leaves_are_copied_through_generations_and_stay_absent() {
    let storage = MemStorage::new();
    let mut expected = rich_state(5000);
    snapshot(&storage, &expected, 1, &NoPages);
    for generation in 2..=4 {
        let mut state = reopen(&storage, generation - 1);
        // One leaf changes, in both.
        let key = format!("\x10default {generation}");
        let source = Snapshots(storage.clone());
        put(&mut state.default.tree, key.as_bytes(), b"new", 999_999, &source);
        put(&mut expected.default.tree, key.as_bytes(), b"new", 999_999, &NoPages);
        let before = leaves(&state.default.tree);
        assert_eq!(before.0, 1);
        snapshot(&storage, &state, generation, &source);
        assert_eq!(leaves(&state.default.tree), before, "writing a snapshot makes nothing resident");
        // The new snapshot stands by itself: the older one is removed.
        storage.remove(&snapshot_name(generation - 1)).unwrap();
        assert_same(&expected, &NoPages, &reopen(&storage, generation), &source);
        verify(&storage.open(&snapshot_name(generation)).unwrap(), &snapshot_name(generation)).unwrap();
    }
}

#[test]
fn leaves_of_several_generations_come_together_in_one_snapshot() {
    let storage = MemStorage::new();
    let source = Snapshots(storage.clone());
    let mut state = rich_state(100);
    snapshot(&storage, &state, 1, &NoPages);
    let first = reopen(&storage, 1);
    state.default.tree = tree("\x10other ", 2000);
    snapshot(&storage, &state, 2, &NoPages);
    let mut mixed = reopen(&storage, 2);
    add_run(&mut mixed, run(4, first.default.tree.clone()));
    add_run(&mut state, run(4, rich_state(100).default.tree));
    snapshot(&storage, &mixed, 3, &source);
    assert_same(&state, &NoPages, &reopen(&storage, 3), &source);
}

#[test]
fn a_damaged_page_is_reported_with_its_file_and_never_copied() {
    let storage = MemStorage::new();
    snapshot(&storage, &rich_state(1000), 1, &NoPages);
    let state = reopen(&storage, 1);
    let file = storage.open(&snapshot_name(1)).unwrap();
    let mut byte = [0];
    file.read_at(layout::PAGES_OFFSET + 5000, &mut byte).unwrap();
    file.write_at(layout::PAGES_OFFSET + 5000, &[byte[0] ^ 1]).unwrap();
    let new = storage.create(&snapshot_name(2)).unwrap();
    let error = write(&new, &state, &meta(&state, 2), &Snapshots(storage), &mut on).unwrap_err();
    assert_eq!(rule_of(&error), "F-44");
    assert!(open(&new, &snapshot_name(2)).is_err());
}

#[test]
fn a_page_of_the_wrong_length_is_never_copied() {
    struct Longer(Snapshots);
    impl PageSource for Longer {
        fn page(&self, at: &PageRef) -> Result<Vec<u8>> {
            self.0.page(&PageRef { len: at.len + 1, ..*at })
        }
    }
    let storage = MemStorage::new();
    snapshot(&storage, &rich_state(1000), 1, &NoPages);
    let state = reopen(&storage, 1);
    let new = storage.create(&snapshot_name(2)).unwrap();
    let error = write(&new, &state, &meta(&state, 2), &Longer(Snapshots(storage)), &mut on).unwrap_err();
    assert_eq!(rule_of(&error), "F-44");
}

#[test]
fn each_absent_page_is_read_once_while_copying() {
    struct Counting(Snapshots, Cell<u64>);
    impl PageSource for Counting {
        fn page(&self, at: &PageRef) -> Result<Vec<u8>> {
            self.1.set(self.1.get() + 1);
            self.0.page(at)
        }
    }
    let storage = MemStorage::new();
    let info = snapshot(&storage, &rich_state(3000), 1, &NoPages);
    let state = reopen(&storage, 1);
    let source = Counting(Snapshots(storage.clone()), Cell::new(0));
    snapshot(&storage, &state, 2, &source);
    assert_eq!(source.1.get(), info.pages);
}
