//! Tests of the tree: against a model, over whole small spaces, and with hostile pages.
#![allow(clippy::cast_possible_truncation, reason = "the numbers of these tests are small")]

use alloc::{collections::BTreeMap, vec::Vec};
use core::{
    cell::{Cell, RefCell},
    ops::ControlFlow,
};

use super::{Direction, EntryRef, KeyRange, LeafPage, NoPages, PageRef, PageSource, Tree, TreeConfig};
use crate::{Error, Result};

mod difference;
mod exhaustive;
mod hostile;
mod model;
mod shapes;

/// Kind, seq and value.
type Stored = (u8, u64, Vec<u8>);
/// What the tree should hold.
type Model = BTreeMap<Vec<u8>, Stored>;

/// Nodes so small that some hundred keys make several levels.
const SMALL: TreeConfig = TreeConfig { leaf_bytes: 160, leaf_step_bytes: 16, inner_children_max: 4 };

/// Pages by number: the offset of a reference is an index. Counts what is read.
#[derive(Default)]
struct Shelf {
    pages: RefCell<Vec<Vec<u8>>>,
    reads: Cell<usize>,
}

impl Shelf {
    fn add(&self, bytes: &[u8]) -> PageRef {
        let mut pages = self.pages.borrow_mut();
        pages.push(bytes.to_vec());
        PageRef {
            generation: 1,
            offset: pages.len() as u64 - 1,
            len: u32::try_from(bytes.len()).expect("a page is short"),
            crc: crc32fast::hash(bytes),
        }
    }

    /// The same tree with all leaves absent.
    fn store(&self, tree: &Tree, config: TreeConfig) -> Tree {
        Tree::from_leaves_with(config, self.leaves(tree).into_iter().map(Ok)).expect("fences ascend")
    }

    fn leaves(&self, tree: &Tree) -> Vec<(Vec<u8>, u32, PageRef)> {
        let mut leaves = Vec::new();
        tree.visit_leaves(&mut |leaf| {
            let at = match leaf.page {
                LeafPage::Resident(bytes) => self.add(bytes),
                LeafPage::Absent(at) => *at,
            };
            leaves.push((leaf.fence.to_vec(), leaf.entries, at));
            Ok(())
        })
        .expect("the visitor does not fail");
        leaves
    }
}

impl PageSource for Shelf {
    fn page(&self, at: &PageRef) -> Result<Vec<u8>> {
        self.reads.set(self.reads.get() + 1);
        let pages = self.pages.borrow();
        usize::try_from(at.offset)
            .ok()
            .and_then(|index| pages.get(index))
            .cloned()
            .ok_or_else(|| NoPages.page(at).unwrap_err())
    }
}

fn insert(tree: &mut Tree, pages: &dyn PageSource, key: &[u8], value: &[u8], seq: u64) -> Option<Vec<u8>> {
    let mut replaced = None;
    tree.insert(key, (seq % 16) as u8, value, seq, pages, &mut |old| replaced = Some(old.value.to_vec()))
        .expect("within limits");
    replaced
}

fn contents(tree: &Tree, range: &KeyRange, direction: Direction, pages: &dyn PageSource) -> Vec<(Vec<u8>, Stored)> {
    let mut found = Vec::new();
    tree.visit(range, direction, pages, &mut |key, entry| {
        found.push((key.to_vec(), owned(entry)));
        ControlFlow::Continue(())
    })
    .expect("pages are there");
    found
}

fn owned(entry: EntryRef<'_>) -> Stored {
    (entry.kind, entry.seq, entry.value.to_vec())
}

/// Checks invariants, length, each key, and full walks in both directions.
#[track_caller]
fn assert_matches(tree: &Tree, model: &Model, pages: &dyn PageSource) {
    tree.check().expect("invariants hold");
    assert_eq!(tree.len(), model.len() as u64);
    for (key, expected) in model {
        assert_eq!(tree.get(key, pages).expect("pages are there").map(owned).as_ref(), Some(expected), "key {key:?}");
    }
    let all: Vec<_> = model.iter().map(|(key, entry)| (key.clone(), entry.clone())).collect();
    assert_eq!(contents(tree, &KeyRange::all(), Direction::Forward, pages), all);
    let backward: Vec<_> = all.into_iter().rev().collect();
    assert_eq!(contents(tree, &KeyRange::all(), Direction::Backward, pages), backward);
    tree.check().expect("loaded pages are sound");
}

/// A small deterministic generator (xorshift), so that large cases need no library.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn key(&mut self) -> Vec<u8> {
        let len = 16 + self.below(9);
        (0..len).map(|_| self.next().to_le_bytes()[3]).collect()
    }
}
