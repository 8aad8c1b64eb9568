//! Differences against the difference of two models.

use alloc::collections::BTreeSet;
use core::ops::Bound;

use proptest::prelude::*;

use super::*;

type Change = (Vec<u8>, Option<Stored>, Option<Stored>);

fn expected(older: &Model, newer: &Model, range: &KeyRange) -> Vec<Change> {
    let keys: BTreeSet<_> = older.keys().chain(newer.keys()).cloned().collect();
    keys.into_iter()
        .filter(|key| range.contains(key))
        .map(|key| (older.get(&key).cloned(), newer.get(&key).cloned(), key))
        .filter(|(old, new, _)| old != new)
        .map(|(old, new, key)| (key, old, new))
        .collect()
}

fn found(older: &Tree, newer: &Tree, range: &KeyRange, pages: &dyn PageSource) -> Vec<Change> {
    let mut changes = Vec::new();
    older
        .diff(newer, range, pages, &mut |key, old, new| {
            changes.push((key.to_vec(), old.map(owned), new.map(owned)));
            ControlFlow::Continue(())
        })
        .expect("pages are there");
    changes
}

fn numbered(number: u16) -> Vec<u8> {
    [b"key/", number.to_be_bytes().as_slice()].concat()
}

fn set(tree: &mut Tree, model: &mut Model, pages: &dyn PageSource, number: u16, seq: u64) {
    let (key, value) = (numbered(number), alloc::vec![7; usize::from(number % 40)]);
    insert(tree, pages, &key, &value, seq);
    model.insert(key, ((seq % 16) as u8, seq, value));
}

fn range() -> impl Strategy<Value = KeyRange> {
    let bound = || {
        prop_oneof![
            2 => Just(Bound::Unbounded),
            1 => (0..700_u16).prop_map(|number| Bound::Included(numbered(number))),
            1 => (0..700_u16).prop_map(|number| Bound::Excluded(numbered(number))),
        ]
    };
    (bound(), bound()).prop_map(|(start, end)| KeyRange::new(start, end))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: if cfg!(miri) { 4 } else { 400 }, ..ProptestConfig::default() })]

    #[test]
    fn a_difference_is_that_of_the_contents(
        common in prop::collection::vec(0..600_u16, 0..600),
        older_changes in prop::collection::vec((any::<bool>(), 0..700_u16, 1..40_u16), 0..8),
        newer_changes in prop::collection::vec((any::<bool>(), 0..700_u16, 1..40_u16), 0..8),
        store in any::<bool>(),
        range in range(),
    ) {
        let shelf = Shelf::default();
        let (mut older, mut older_model) = (Tree::with_config(SMALL), Model::new());
        for number in common {
            set(&mut older, &mut older_model, &shelf, number, 1);
        }
        if store {
            older = shelf.store(&older, SMALL);
        }
        let (mut newer, mut newer_model) = (older.clone(), older_model.clone());
        for (tree, model, changes, seq) in [
            (&mut older, &mut older_model, older_changes, 2),
            (&mut newer, &mut newer_model, newer_changes, 3),
        ] {
            for (put, first, count) in changes {
                for number in first..first + count {
                    if put {
                        set(tree, model, &shelf, number, seq);
                    } else {
                        tree.remove(&numbered(number), &shelf, &mut |_| {}).expect("pages are there");
                        model.remove(&numbered(number));
                    }
                }
            }
        }
        prop_assert_eq!(found(&older, &newer, &range, &shelf), expected(&older_model, &newer_model, &range));
        prop_assert_eq!(found(&newer, &older, &range, &shelf), expected(&newer_model, &older_model, &range));
        prop_assert_eq!(found(&newer, &newer.clone(), &range, &NoPages), Vec::new());
    }

    #[test]
    fn unrelated_trees_are_compared_entry_by_entry(
        left in prop::collection::vec(0..300_u16, 0..300),
        right in prop::collection::vec(0..300_u16, 0..300),
        range in range(),
    ) {
        let wide = TreeConfig { leaf_bytes: 700, leaf_step_bytes: 100, inner_children_max: 9 };
        let (mut older, mut older_model) = (Tree::with_config(SMALL), Model::new());
        let (mut newer, mut newer_model) = (Tree::with_config(wide), Model::new());
        left.into_iter().for_each(|number| set(&mut older, &mut older_model, &NoPages, number, 1));
        right.into_iter().for_each(|number| set(&mut newer, &mut newer_model, &NoPages, number, 1));
        prop_assert_eq!(found(&older, &newer, &range, &NoPages), expected(&older_model, &newer_model, &range));
    }
}

#[test]
fn what_is_shared_is_not_read() {
    let shelf = Shelf::default();
    let (mut tree, mut model) = (Tree::with_config(SMALL), Model::new());
    (0..2000).for_each(|number| set(&mut tree, &mut model, &shelf, number, 1));
    let older = shelf.store(&tree, SMALL);
    // Two openings of one snapshot share no memory, only references.
    let mut newer = shelf.store(&tree, SMALL);
    assert_eq!(found(&older, &older.clone(), &KeyRange::all(), &NoPages), Vec::new());
    let leaves = shelf.leaves(&newer);
    let other = Tree::from_leaves_with(SMALL, leaves.into_iter().map(Ok)).expect("fences ascend");
    assert_eq!(found(&newer, &other, &KeyRange::all(), &NoPages), Vec::new());

    newer = older.clone();
    let mut newer_model = model.clone();
    set(&mut newer, &mut newer_model, &shelf, 1000, 2);
    shelf.reads.set(0);
    assert_eq!(found(&older, &newer, &KeyRange::all(), &shelf), expected(&model, &newer_model, &KeyRange::all()));
    assert!(shelf.reads.get() <= 1, "{} pages were read for one change", shelf.reads.get());
}

#[test]
fn a_difference_stops_when_told_to() {
    let (mut tree, mut model) = (Tree::with_config(SMALL), Model::new());
    (0..500).for_each(|number| set(&mut tree, &mut model, &NoPages, number, 1));
    let mut count = 0;
    let stop_at_three = &mut |_: &[u8], _: Option<EntryRef<'_>>, _: Option<EntryRef<'_>>| {
        count += 1;
        if count == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    Tree::new().diff(&tree, &KeyRange::all(), &NoPages, stop_at_three).expect("all is resident");
    assert_eq!(count, 3);
}
