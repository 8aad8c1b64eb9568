//! What trees look like after typical loads: how full leaves are, how much memory they take, that they do not rot.

use super::*;

fn leaf_count(tree: &Tree) -> usize {
    let mut count = 0;
    tree.visit_leaves(&mut |_| {
        count += 1;
        Ok(())
    })
    .expect("the visitor does not fail");
    count
}

#[test]
fn random_insertions_stay_within_the_memory_budget() {
    let mut random = Random(1);
    let mut tree = Tree::new();
    for _ in 0..50_000 {
        insert(&mut tree, &NoPages, &random.key(), &[5; 100], 1);
    }
    tree.check().expect("invariants hold");
    let per_key = tree.memory_bytes() / tree.len();
    assert!(per_key <= 145, "{per_key} bytes per key");
}

#[test]
fn ascending_insertions_leave_full_leaves() {
    let mut tree = Tree::new();
    for number in 0..20_000_u64 {
        insert(&mut tree, &NoPages, &number.to_be_bytes(), &[5; 100], 1);
    }
    tree.check().expect("invariants hold");
    // 6120 bytes hold 52 entries of 116 bytes with their slots.
    assert!(leaf_count(&tree) <= 20_000 / 51, "{} leaves", leaf_count(&tree));
}

#[test]
fn ascending_insertions_between_other_keys_leave_full_leaves_too() {
    let mut tree = Tree::new();
    for stream in 0..40_u8 {
        insert(&mut tree, &NoPages, &[stream, 0xff], b"end of the stream", 1);
    }
    for number in 0..1000_u64 {
        for stream in 0..40_u8 {
            // Ten in a row, as a batch writes them.
            for part in 0..10 {
                let key = [&[stream], (number * 10 + part).to_be_bytes().as_slice()].concat();
                if number < 50 {
                    insert(&mut tree, &NoPages, &key, &[5; 100], 1);
                }
            }
        }
    }
    tree.check().expect("invariants hold");
    let entries_per_leaf = tree.len() as usize / leaf_count(&tree);
    assert!(entries_per_leaf >= 38, "{entries_per_leaf} entries per leaf");
}

#[test]
fn mass_removal_leaves_a_small_tree() {
    let mut random = Random(2);
    let mut keys: Vec<Vec<u8>> = (0..20_000).map(|_| random.key()).collect();
    let mut tree = Tree::new();
    for key in &keys {
        insert(&mut tree, &NoPages, key, &[5; 100], 1);
    }
    let full = leaf_count(&tree);
    let kept = keys.split_off(19_000);
    for key in &keys {
        assert!(tree.remove(key, &NoPages, &mut |_| {}).expect("all is resident"));
    }
    tree.check().expect("invariants hold");
    assert!(leaf_count(&tree) <= full / 8, "{} of {full} leaves for a twentieth of the keys", leaf_count(&tree));
    assert!(tree.memory_bytes() <= 1000 * 200, "{} bytes", tree.memory_bytes());
    for key in &kept {
        assert!(tree.remove(key, &NoPages, &mut |_| {}).expect("all is resident"));
    }
    assert!(tree.is_empty());
    assert_eq!(tree.memory_bytes(), 0);
}

#[test]
fn a_tree_of_few_entries_is_small() {
    let mut tree = Tree::new();
    insert(&mut tree, &NoPages, b"status", b"running", 1);
    assert!(tree.memory_bytes() + size_of::<Tree>() as u64 <= 400);
}

#[test]
fn a_clone_shares_all_but_the_changed_path() {
    let mut random = Random(3);
    let mut tree = Tree::new();
    for _ in 0..20_000 {
        insert(&mut tree, &NoPages, &random.key(), &[5; 100], 1);
    }
    let before = tree.clone();
    assert!(before.shares_root_with(&tree));
    assert!(!tree.remove(b"not there", &NoPages, &mut |_| {}).expect("all is resident"));
    assert!(before.shares_root_with(&tree), "a removal of nothing copies nothing");
    insert(&mut tree, &NoPages, b"one more", b"entry", 2);
    assert!(!before.shares_root_with(&tree));
    assert_eq!(before.len() + 1, tree.len());
    assert!(before.get(b"one more", &NoPages).expect("all is resident").is_none());
}

#[test]
fn trees_of_absent_leaves_are_built_without_reading() {
    let leaves = (0..33_000_u32).map(|number| {
        let at = PageRef { generation: 1, offset: u64::from(number) * 4096, len: 4000, crc: 0 };
        Ok((number.to_be_bytes().to_vec(), 30, at))
    });
    let tree = Tree::from_leaves(leaves).expect("fences ascend");
    tree.check().expect("invariants hold");
    assert_eq!(tree.len(), 990_000);
    assert_eq!(leaf_count(&tree), 33_000);
}

#[test]
fn equal_overwrites_take_no_memory() {
    let mut random = Random(4);
    let keys: Vec<Vec<u8>> = (0..1000).map(|_| random.key()).collect();
    let mut tree = Tree::new();
    for round in 0..5 {
        for key in &keys {
            insert(&mut tree, &NoPages, key, &[round; 100], u64::from(round));
        }
    }
    let equal = tree.memory_bytes();
    for round in 0..50 {
        for key in &keys {
            insert(&mut tree, &NoPages, key, &alloc::vec![round; 100 - usize::from(round % 7)], 9);
        }
    }
    tree.check().expect("invariants hold");
    assert!(tree.memory_bytes() <= equal * 5 / 4, "{} against {equal} bytes", tree.memory_bytes());
}
