//! Random operations against a `BTreeMap`, with clones that must not change and round trips through stored leaves.

use alloc::vec;
use core::ops::Bound;

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Operation {
    Insert(Vec<u8>, usize),
    Remove(Vec<u8>),
    /// Keep a clone, to be compared at the end.
    Keep,
    /// Write all leaves and go on with a tree of absent ones.
    Store,
    Range(Bound<Vec<u8>>, Bound<Vec<u8>>),
    /// Remove every key of a range, one by one.
    Clear(Vec<u8>),
    /// The same at once, as a trim of a stream does.
    RemoveRange(Bound<Vec<u8>>, Bound<Vec<u8>>),
}

/// Keys that meet each other often: few letters, shared beginnings, zeros at the end, all lengths around a head.
fn key() -> impl Strategy<Value = Vec<u8>> {
    let letter = prop::sample::select(vec![0_u8, 1, b'a', b'b', 0xff]);
    let tail = prop::collection::vec(letter, 0..7);
    let beginning =
        prop::sample::select(vec![&b""[..], b"k", b"common/prefix/", b"common/prefix/of/many/bytes/that/goes/on/"]);
    (beginning, tail).prop_map(|(beginning, tail)| [beginning, &tail].concat())
}

fn bound() -> impl Strategy<Value = Bound<Vec<u8>>> {
    prop_oneof![Just(Bound::Unbounded), key().prop_map(Bound::Included), key().prop_map(Bound::Excluded)]
}

fn operation() -> impl Strategy<Value = Operation> {
    prop_oneof![
        12 => (key(), prop_oneof![0..20_usize, 0..200_usize]).prop_map(|(key, len)| Operation::Insert(key, len)),
        6 => key().prop_map(Operation::Remove),
        1 => Just(Operation::Keep),
        1 => Just(Operation::Store),
        2 => (bound(), bound()).prop_map(|(start, end)| Operation::Range(start, end)),
        1 => key().prop_map(|mut key| { key.truncate(3); Operation::Clear(key) }),
        1 => (bound(), bound()).prop_map(|(start, end)| Operation::RemoveRange(start, end)),
        1 => key().prop_map(|mut key| {
            key.truncate(3);
            let KeyRange { start, end } = KeyRange::prefix(&key);
            Operation::RemoveRange(start, end)
        }),
    ]
}

fn config() -> impl Strategy<Value = TreeConfig> {
    prop_oneof![
        Just(SMALL),
        Just(TreeConfig { leaf_bytes: 512, leaf_step_bytes: 64, inner_children_max: 5 }),
        Just(TreeConfig::default())
    ]
}

fn value(len: usize, seq: u64) -> Vec<u8> {
    (0..len).map(|index| (index as u64 ^ seq) as u8).collect()
}

fn in_range(model: &Model, range: &KeyRange) -> Vec<(Vec<u8>, Stored)> {
    model.iter().filter(|(key, _)| range.contains(key)).map(|(key, entry)| (key.clone(), entry.clone())).collect()
}

fn remove(tree: &mut Tree, model: &mut Model, key: &[u8], shelf: &Shelf) {
    let mut removed = None;
    let found = tree.remove(key, shelf, &mut |old| removed = Some(owned(old))).expect("pages are there");
    let expected = model.remove(key);
    assert_eq!(found, expected.is_some());
    assert_eq!(removed, expected);
}

fn remove_range(tree: &mut Tree, model: &mut Model, range: &KeyRange, shelf: &Shelf) {
    let mut removed = Vec::new();
    let count = tree.remove_range(range, shelf, &mut |old| removed.push(owned(old))).expect("pages are there");
    let expected = in_range(model, range);
    assert_eq!(count, expected.len() as u64);
    assert_eq!(removed, expected.iter().map(|(_, entry)| entry.clone()).collect::<Vec<_>>());
    expected.iter().for_each(|(key, _)| drop(model.remove(key)));
}

fn with_cursor(tree: &Tree, range: &KeyRange, direction: Direction, shelf: &Shelf) -> Vec<(Vec<u8>, Stored)> {
    let mut cursor = tree.cursor(range.clone(), direction, shelf);
    let mut found = Vec::new();
    while let Some((key, entry)) = cursor.next().expect("pages are there") {
        found.push((key.to_vec(), owned(entry)));
    }
    assert!(cursor.next().expect("the end is no error").is_none());
    found
}

proptest! {
    #![proptest_config(ProptestConfig { cases: if cfg!(miri) { 4 } else { 400 }, ..ProptestConfig::default() })]

    #[test]
    fn a_tree_does_what_a_sorted_map_does(config in config(), operations in prop::collection::vec(operation(), 1..250)) {
        let shelf = Shelf::default();
        let (mut tree, mut model) = (Tree::with_config(config), Model::new());
        let mut kept = Vec::new();
        for (seq, operation) in (1_u64..).zip(operations) {
            match operation {
                Operation::Insert(key, len) => {
                    let value = value(len, seq);
                    let replaced = insert(&mut tree, &shelf, &key, &value, seq);
                    let old = model.insert(key, ((seq % 16) as u8, seq, value));
                    prop_assert_eq!(replaced, old.map(|(_, _, value)| value));
                }
                Operation::Remove(key) => remove(&mut tree, &mut model, &key, &shelf),
                Operation::Keep => kept.push((tree.clone(), model.clone())),
                Operation::Store => tree = shelf.store(&tree, config),
                Operation::Range(start, end) => {
                    let range = KeyRange::new(start, end);
                    let mut expected = in_range(&model, &range);
                    prop_assert!(expected.is_empty() || !range.is_empty());
                    prop_assert_eq!(&contents(&tree, &range, Direction::Forward, &shelf), &expected);
                    prop_assert_eq!(&with_cursor(&tree, &range, Direction::Forward, &shelf), &expected);
                    expected.reverse();
                    prop_assert_eq!(&contents(&tree, &range, Direction::Backward, &shelf), &expected);
                    prop_assert_eq!(&with_cursor(&tree, &range, Direction::Backward, &shelf), &expected);
                }
                Operation::RemoveRange(start, end) => {
                    remove_range(&mut tree, &mut model, &KeyRange::new(start, end), &shelf);
                }
                Operation::Clear(prefix) => {
                    for (key, _) in in_range(&model, &KeyRange::prefix(&prefix)) {
                        remove(&mut tree, &mut model, &key, &shelf);
                    }
                }
            }
            tree.check().map_err(TestCaseError::fail)?;
        }
        assert_matches(&tree, &model, &shelf);
        for (tree, model) in kept {
            assert_matches(&tree, &model, &shelf);
        }
    }

    #[test]
    fn a_built_tree_equals_an_inserted_one(config in config(), keys in prop::collection::btree_map(key(), 0..150_usize, 0..200)) {
        let mut builder = super::super::TreeBuilder::new(config);
        let mut model = Model::new();
        for (seq, (key, len)) in (1_u64..).zip(keys) {
            let value = value(len, seq);
            builder.push(&key, (seq % 16) as u8, &value, seq).expect("keys ascend");
            model.insert(key, ((seq % 16) as u8, seq, value));
        }
        let tree = builder.finish();
        assert_matches(&tree, &model, &NoPages);
        let shelf = Shelf::default();
        let stored = shelf.store(&tree, config);
        assert_matches(&stored, &model, &shelf);
        prop_assert_eq!(shelf.reads.get(), shelf.pages.borrow().len());
        // What was read is canonical: it is written again as it is.
        let again = Shelf::default();
        again.store(&stored, config);
        prop_assert_eq!(&*shelf.pages.borrow(), &*again.pages.borrow());
    }

    #[test]
    fn the_order_of_insertion_does_not_show_in_a_single_page(keys in prop::collection::btree_set(key(), 1..12), seed in 1_u64..) {
        let sorted: Vec<_> = keys.into_iter().collect();
        let mut shuffled = sorted.clone();
        let mut random = Random(seed);
        for index in (1..shuffled.len()).rev() {
            shuffled.swap(index, random.below(index as u64 + 1) as usize);
        }
        let shelf = Shelf::default();
        for order in [sorted, shuffled] {
            let mut tree = Tree::new();
            for key in order {
                insert(&mut tree, &NoPages, &key, &key, 9);
            }
            shelf.leaves(&tree);
        }
        let pages = shelf.pages.borrow();
        prop_assert_eq!(pages.len(), 2);
        prop_assert_eq!(&pages[0], &pages[1]);
    }
}
