//! Pages that lie. The checksum is made right each time, so that the checks behind it are reached.

use alloc::{string::String, vec};

use proptest::prelude::*;

use super::{super::leaf_verify, *};

fn page_of(keys: &[&[u8]]) -> Vec<u8> {
    let mut tree = Tree::new();
    for key in keys {
        insert(&mut tree, &NoPages, key, b"some value", 77);
    }
    let shelf = Shelf::default();
    assert_eq!(shelf.leaves(&tree).len(), 1);
    shelf.pages.take().remove(0)
}

/// A tree whose only leaf has these bytes.
fn tree_of(shelf: &Shelf, page: &[u8], entries: u32) -> Tree {
    let at = shelf.add(page);
    Tree::from_leaves([Ok((Vec::new(), entries, at))].into_iter()).expect("one fence ascends")
}

/// Does everything that can be done with a tree; nothing may panic, whatever it returns.
fn exercise(tree: &Tree, shelf: &Shelf) {
    let mut changed = tree.clone();
    for key in [&b""[..], b"a", b"common/1", b"common/15", b"common/2", b"zzz", &[0xff; 300]] {
        let _ = tree.get(key, shelf);
        let _ = changed.insert(key, 3, &[9; 300], 5, shelf, &mut |_| {});
        let _ = changed.remove(key, shelf, &mut |_| {});
        let _ = changed.insert(key, 3, b"x", 6, shelf, &mut |_| {});
    }
    for direction in [Direction::Forward, Direction::Backward] {
        let _ = changed.visit(&KeyRange::all(), direction, shelf, &mut |_, _| ControlFlow::Continue(()));
    }
    let _ = tree.diff(&changed, &KeyRange::all(), shelf, &mut |_, _, _| ControlFlow::Continue(()));
    let _ = changed.visit_leaves(&mut |_| Ok(()));
}

#[test]
fn every_changed_byte_of_a_page_is_refused_or_harmless() {
    let page = page_of(&[b"common/1", b"common/15", b"common/2", b"common/20000000", b"common/20000001"]);
    let mut accepted = 0;
    for at in 0..page.len() {
        for byte in 0..=255 {
            let mut hostile = page.clone();
            hostile[at] = byte;
            let shelf = Shelf::default();
            let tree = tree_of(&shelf, &hostile, 5);
            accepted += usize::from(tree.get(b"common/2", &shelf).is_ok());
            exercise(&tree, &shelf);
        }
    }
    assert!(accepted > 0, "values and seqs may be anything");
}

#[test]
fn every_cut_page_is_refused() {
    let page = page_of(&[b"a", b"b", b"c"]);
    for len in 0..page.len() {
        let shelf = Shelf::default();
        let tree = tree_of(&shelf, &page[..len], 3);
        assert!(matches!(tree.get(b"a", &shelf), Err(Error::Corrupt { .. })), "cut to {len} bytes");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: if cfg!(miri) { 4 } else { 3000 }, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes_never_panic(mut page in prop::collection::vec(any::<u8>(), 0..600), count in 0..6_u8, prefix_len in 0..20_u8, flags in any::<bool>()) {
        // Mostly plausible headers, so that the checks behind them are reached.
        for (at, byte) in [(0, count), (1, 0), (2, prefix_len), (3, 0), (6, 0), (7, 0), (8, 0), (9, 0), (10, 0), (11, 1)] {
            if flags && at < page.len() {
                page[at] = byte;
            }
        }
        let _ = leaf_verify::canonical(&page, u32::from(count));
        let shelf = Shelf::default();
        exercise(&tree_of(&shelf, &page, u32::from(count).max(1)), &shelf);
    }

    #[test]
    fn several_changed_bytes_never_panic(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4)) {
        let mut page = page_of(&[b"common/1", b"common/15", b"common/2", b"common/3"]);
        for (at, byte) in changes {
            let index = at.index(page.len());
            page[index] = byte;
        }
        let shelf = Shelf::default();
        exercise(&tree_of(&shelf, &page, 4), &shelf);
    }
}

#[test]
fn a_corrupt_page_is_named_by_file_offset_and_rule() {
    let shelf = Shelf::default();
    let mut at = shelf.add(&page_of(&[b"a"]));
    at.generation = 42;
    at.crc ^= 1;
    let tree = Tree::from_leaves([Ok((Vec::new(), 1, at))].into_iter()).expect("one fence ascends");
    match tree.get(b"a", &shelf) {
        Err(Error::Corrupt { file, offset: 0, rule: "F-40", what }) => {
            assert_eq!(file, "snap-00000000000000000042");
            assert!(what.contains("checksum"), "{what}");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_page_in_the_place_of_another_is_refused() {
    let shelf = Shelf::default();
    let low = shelf.add(&page_of(&[b"a", b"b"]));
    let high = shelf.add(&page_of(&[b"m", b"n"]));
    let leaves = |first, second| [Ok((Vec::new(), 2, first)), Ok((b"k".to_vec(), 2, second))].into_iter();
    let right = Tree::from_leaves(leaves(low, high)).expect("fences ascend");
    assert!(right.get(b"m", &shelf).expect("the page is sound").is_some());
    let swapped = Tree::from_leaves(leaves(high, low)).expect("fences ascend");
    for key in [b"a", b"m"] {
        assert!(matches!(swapped.get(key, &shelf), Err(Error::Corrupt { .. })));
    }
}

#[test]
fn a_wrong_number_of_entries_is_refused() {
    let shelf = Shelf::default();
    let tree = tree_of(&shelf, &page_of(&[b"a", b"b"]), 3);
    assert!(matches!(tree.get(b"a", &shelf), Err(Error::Corrupt { .. })));
}

#[test]
fn fences_that_do_not_ascend_are_refused() {
    let at = Shelf::default().add(b"");
    for fences in [[b"a", b"a"], [b"b", b"a"]] {
        let leaves = fences.into_iter().map(|fence| Ok((fence.to_vec(), 1, at)));
        assert!(matches!(Tree::from_leaves(leaves), Err(Error::Invalid { .. })));
    }
    let empty = Tree::from_leaves([Ok((vec![], 0, at))].into_iter());
    assert!(matches!(empty, Err(Error::Invalid { .. })));
}

/// Fails for all pages until it is told to work.
struct Failing<'a> {
    shelf: &'a Shelf,
    works: Cell<bool>,
}

impl PageSource for Failing<'_> {
    fn page(&self, at: &PageRef) -> Result<Vec<u8>> {
        if self.works.get() {
            return self.shelf.page(at);
        }
        Err(Error::Poisoned { cause: String::from("test") })
    }
}

#[test]
fn a_failing_source_leaves_the_tree_as_it_was_and_may_recover() {
    let shelf = Shelf::default();
    let mut resident = Tree::with_config(SMALL);
    let mut model = Model::new();
    for number in 0..300_u16 {
        insert(&mut resident, &NoPages, &number.to_be_bytes(), b"value", 4);
        model.insert(number.to_be_bytes().to_vec(), (4, 4, b"value".to_vec()));
    }
    let mut tree = shelf.store(&resident, SMALL);
    let pages = Failing { shelf: &shelf, works: Cell::new(false) };
    let key = 100_u16.to_be_bytes();
    assert!(tree.insert(&key, 0, b"new", 9, &pages, &mut |_| panic!("nothing is replaced")).is_err());
    assert!(tree.remove(&key, &pages, &mut |_| panic!("nothing is removed")).is_err());
    assert!(tree.get(&key, &pages).is_err());
    {
        let other = tree.clone();
        let mut cursor = other.cursor(KeyRange::all(), Direction::Forward, &pages);
        assert!(cursor.next().is_err());
        pages.works.set(true);
        let mut count = 0;
        while cursor.next().expect("the source works").is_some() {
            count += 1;
            // Failing in the middle loses nothing either.
            pages.works.set(false);
            let failed = cursor.next();
            count += usize::from(matches!(failed, Ok(Some(_))));
            pages.works.set(true);
        }
        assert_eq!(count, 300);
    }
    assert_matches(&tree, &model, &shelf);
}

#[test]
fn a_prepared_key_can_be_changed_without_the_source() {
    let shelf = Shelf::default();
    let mut resident = Tree::with_config(SMALL);
    for number in 0..300_u16 {
        insert(&mut resident, &NoPages, &number.to_be_bytes(), b"value", 4);
    }
    for number in (0..300_u16).step_by(7) {
        let mut tree = shelf.store(&resident, SMALL);
        let key = number.to_be_bytes();
        tree.prepare(&key, &shelf).expect("the page is there");
        tree.insert(&key, 0, &[1; 90], 9, &NoPages, &mut |_| {}).expect("the leaf is resident");
        assert!(tree.remove(&key, &NoPages, &mut |_| {}).expect("the leaf is resident"));
        tree.check().expect("invariants hold");
        assert_eq!(tree.len(), 299);
    }
}

/// Pages that any thread may read.
#[cfg(feature = "std")]
struct SharedPages(Vec<Vec<u8>>);

#[cfg(feature = "std")]
impl PageSource for SharedPages {
    fn page(&self, at: &PageRef) -> Result<Vec<u8>> {
        Ok(self.0[usize::try_from(at.offset).expect("an index")].clone())
    }
}

#[cfg(feature = "std")]
#[test]
fn readers_of_several_threads_and_versions_see_the_same_absent_leaves() {
    let shelf = Shelf::default();
    let mut resident = Tree::with_config(SMALL);
    for number in 0..500_u16 {
        insert(&mut resident, &NoPages, &number.to_be_bytes(), b"value", 4);
    }
    let tree = shelf.store(&resident, SMALL);
    let pages = SharedPages(shelf.pages.take());
    std::thread::scope(|scope| {
        for reader in 0..4_u16 {
            let (mut own, pages) = (tree.clone(), &pages);
            scope.spawn(move || {
                own.insert(&(reader * 100).to_be_bytes(), 0, b"mine", 9, pages, &mut |_| {}).expect("pages are there");
                for number in 0..500_u16 {
                    let entry =
                        own.get(&number.to_be_bytes(), pages).expect("pages are there").expect("the key is there");
                    assert_eq!(entry.value, if number == reader * 100 { b"mine".as_slice() } else { b"value" });
                }
                own.check().expect("invariants hold");
            });
        }
    });
    // What the threads have read, all versions have: the source is not asked again.
    assert_eq!(contents(&tree, &KeyRange::all(), Direction::Forward, &NoPages).len(), 500);
}
