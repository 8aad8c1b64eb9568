//! Whole small spaces: every order of insertion, every removal, every range.

use alloc::vec;
use core::ops::Bound;

use super::*;

/// Keys whose heads and lengths tie in every way that padding allows.
fn awkward_keys() -> Vec<Vec<u8>> {
    vec![
        b"".to_vec(),
        b"a".to_vec(),
        b"a\0".to_vec(),
        b"a\0\0\0".to_vec(),
        b"a\0\0\0\0".to_vec(),
        b"aaaa".to_vec(),
        b"aaaab".to_vec(),
    ]
}

fn permutations(items: &mut Vec<usize>, from: usize, f: &mut dyn FnMut(&[usize])) {
    if from == items.len() {
        f(items);
        return;
    }
    for index in from..items.len() {
        items.swap(from, index);
        permutations(items, from + 1, f);
        items.swap(from, index);
    }
}

#[test]
fn every_order_of_insertion_gives_the_same_tree() {
    let keys = awkward_keys();
    let tiny = TreeConfig { leaf_bytes: 128, leaf_step_bytes: 16, inner_children_max: 4 };
    permutations(&mut (0..keys.len()).collect(), 0, &mut |order| {
        let (mut tree, mut model) = (Tree::with_config(tiny), Model::new());
        for index in order {
            let (key, value) = (&keys[*index], vec![1; 40 * (*index % 3)]);
            insert(&mut tree, &NoPages, key, &value, 5);
            model.insert(key.clone(), (5, 5, value));
        }
        assert_matches(&tree, &model, &NoPages);
        for index in order {
            assert!(tree.remove(&keys[*index], &NoPages, &mut |_| {}).expect("all is resident"));
            model.remove(&keys[*index]);
            tree.check().expect("invariants hold");
            assert_eq!(tree.len(), model.len() as u64);
        }
        assert_eq!(tree.memory_bytes(), 0);
    });
}

#[test]
fn every_range_over_awkward_keys_holds_what_it_contains() {
    let keys = awkward_keys();
    let mut bounds = vec![Bound::Unbounded];
    for key in keys.iter().cloned().chain([b"a\0\0".to_vec(), b"b".to_vec()]) {
        bounds.push(Bound::Included(key.clone()));
        bounds.push(Bound::Excluded(key));
    }
    let mut tree = Tree::with_config(SMALL);
    for key in &keys {
        insert(&mut tree, &NoPages, key, &[0; 50], 1);
    }
    for start in &bounds {
        for end in &bounds {
            let range = KeyRange::new(start.clone(), end.clone());
            for other in &bounds {
                for range_of in
                    [|bound| KeyRange::new(bound, Bound::Unbounded), |bound| KeyRange::new(Bound::Unbounded, bound)]
                {
                    let other: KeyRange = range_of(other.clone());
                    let both = range.clone().intersection(other.clone());
                    assert!(keys.iter().all(|key| both.contains(key) == (range.contains(key) && other.contains(key))));
                }
            }
            let mut expected: Vec<_> = keys.iter().filter(|key| range.contains(key)).cloned().collect();
            assert!(expected.is_empty() || !range.is_empty(), "{range:?}");
            let walk = |direction| -> Vec<_> {
                contents(&tree, &range, direction, &NoPages).into_iter().map(|(key, _)| key).collect()
            };
            assert_eq!(walk(Direction::Forward), expected, "{range:?}");
            expected.reverse();
            assert_eq!(walk(Direction::Backward), expected, "{range:?}");
        }
    }
}

#[test]
fn removing_every_range_of_a_tree_of_three_levels_leaves_the_rest_and_reads_no_more() {
    let keys: Vec<Vec<u8>> = (0..40_u8).map(|number| vec![b'k', number]).collect();
    let (mut whole, mut all) = (Tree::with_config(SMALL), Model::new());
    for key in &keys {
        insert(&mut whole, &NoPages, key, &[0; 30], 1);
        all.insert(key.clone(), (1, 1, vec![0; 30]));
    }
    for start in 0..keys.len() {
        for end in start..=keys.len() {
            let end = keys.get(end).map_or(Bound::Unbounded, |key| Bound::Excluded(key.clone()));
            let range = KeyRange::new(Bound::Included(keys[start].clone()), end);
            let shelf = Shelf::default();
            let before = shelf.store(&whole, SMALL);
            let mut tree = before.clone();
            let mut model = all.clone();
            model.retain(|key, _| !range.contains(key));
            let count = tree.remove_range(&range, &shelf, &mut |_| {}).expect("pages are there");
            assert_eq!(count, (all.len() - model.len()) as u64);
            // Those of the range, and no neighbours: a page has two entries or more.
            assert!(shelf.reads.get() <= all.len() - model.len() + 1, "{} pages for {count}", shelf.reads.get());
            assert_matches(&tree, &model, &shelf);
            assert_matches(&before, &all, &shelf);
        }
    }
}

#[test]
fn a_range_that_cannot_be_read_is_not_removed_and_one_that_holds_nothing_changes_nothing() {
    let mut tree = Tree::with_config(SMALL);
    (0..200_u8).for_each(|number| drop(insert(&mut tree, &NoPages, &[b'k', number], &[0; 30], 1)));
    let shelf = Shelf::default();
    let mut stored = shelf.store(&tree, SMALL);
    // The last page of the range is missing: the first ones are read before that shows.
    let missing = shelf.pages.borrow_mut().pop();
    let untouched = stored.clone();
    let refused = stored.remove_range(&KeyRange::all(), &shelf, &mut |_| panic!("nothing is removed"));
    assert!(refused.is_err() && stored.shares_root_with(&untouched) && stored.len() == 200);
    shelf.pages.borrow_mut().extend(missing);
    assert_eq!(stored.remove_range(&KeyRange::prefix(b"x"), &shelf, &mut |_| {}), Ok(0));
    assert!(stored.shares_root_with(&untouched));
    assert_eq!(stored.remove_range(&KeyRange::all(), &shelf, &mut |_| {}), Ok(200));
    assert_eq!((stored.len(), stored.memory_bytes()), (0, 0));
}

#[test]
fn a_prefix_range_holds_exactly_the_keys_with_the_prefix() {
    let keys: Vec<Vec<u8>> =
        (0..=u16::MAX).step_by(127).map(|n| n.to_be_bytes().to_vec()).chain([vec![], vec![0xff]]).collect();
    for prefix in [&b""[..], &[0], &[0xff], &[0xff, 0xff], &[1], &[0x7f, 0xff]] {
        let range = KeyRange::prefix(prefix);
        for key in &keys {
            assert_eq!(range.contains(key), key.starts_with(prefix), "{prefix:?} {key:?}");
        }
    }
}

#[test]
fn the_longest_keys_and_values_fit_and_longer_ones_are_refused() {
    let mut tree = Tree::new();
    let mut model = Model::new();
    for byte in 0..40_u8 {
        let (key, value) = (vec![byte; super::super::KEY_BYTES_MAX], vec![byte; super::super::VALUE_BYTES_MAX]);
        insert(&mut tree, &NoPages, &key, &value, 3);
        model.insert(key, (3, 3, value));
    }
    assert_matches(&tree, &model, &NoPages);
    let mut refuse =
        |key: &[u8], kind, value: &[u8], seq| tree.insert(key, kind, value, seq, &NoPages, &mut |_| {}).unwrap_err();
    assert!(matches!(refuse(&[0; super::super::KEY_BYTES_MAX + 1], 0, b"", 1), Error::Limit { what: "key bytes", .. }));
    assert!(matches!(
        refuse(b"k", 0, &[0; super::super::VALUE_BYTES_MAX + 1], 1),
        Error::Limit { what: "inline value bytes", .. }
    ));
    assert!(matches!(refuse(b"k", 16, b"", 1), Error::Invalid { .. }));
    assert!(matches!(refuse(b"k", 0, b"", crate::limits::SEQ_MAX + 1), Error::Limit { what: "seq", .. }));
    assert_matches(&tree, &model, &NoPages);
}
