//! The difference of two trees.
//!
//! Both are walked side by side, subtree by subtree. Where both sides stand at the same node or leaf, it is skipped without
//! being looked into; otherwise the higher one is opened. So the work follows what has changed, not what there is, however
//! splits and merges have moved things about. For unrelated trees it is a merge of all entries.
//!
//! Invariant: everything before the two positions has been compared, on both sides.

use alloc::{sync::Arc, vec::Vec};
use core::{cmp::Ordering, ops::ControlFlow};

use super::{
    EntryRef, KeyRange, PageSource, Root, Tree,
    inner::{Children, Inner},
    leaf::{Entry, Leaf, Suffix, touch_all},
    slot::{Fences, LeafSlot},
    walk::{end_index, start_index},
};
use crate::Result;

/// What [`Tree::diff`] calls with a key and its entries in the older and in the newer tree.
pub type DiffVisitor<'f> = dyn FnMut(&[u8], Option<EntryRef<'_>>, Option<EntryRef<'_>>) -> ControlFlow<()> + 'f;

/// Where one side stands: everything from here on is still to be compared.
#[derive(Clone, Copy)]
enum Position<'a> {
    /// Before a subtree.
    Node(&'a Arc<Inner>),
    /// Before a leaf that has not been opened.
    Leaf(&'a LeafSlot),
    /// In a leaf.
    Inside(Inside<'a>),
    /// Behind the last key, or behind the range.
    End,
}

#[derive(Clone, Copy)]
struct Inside<'a> {
    slot: &'a LeafSlot,
    leaf: Leaf<'a>,
    /// The next entry.
    index: usize,
    /// Behind the last entry that lies in the range.
    end: usize,
}

/// One of the two trees.
struct Side<'a> {
    position: Position<'a>,
    /// From the root down: the nodes that were opened, and the child in which the position is.
    path: Vec<(&'a Inner, usize)>,
    /// Nodes from root to leaf.
    height: usize,
    /// Whether the range may begin inside the node or leaf before which the side stands.
    seeks: bool,
    range: &'a KeyRange,
    pages: &'a dyn PageSource,
}

impl<'a> Side<'a> {
    fn new(tree: &'a Tree, range: &'a KeyRange, pages: &'a dyn PageSource) -> Self {
        let position = match &tree.root {
            Root::Empty => Position::End,
            Root::Leaf(slot) => Position::Leaf(slot),
            Root::Inner(inner) => Position::Node(inner),
        };
        let mut height = 0;
        if let Root::Inner(root) = &tree.root {
            height = 1;
            let mut inner = root;
            while let Children::Inners(inners) = &inner.children
                && let Some(first) = inners.first()
            {
                height += 1;
                inner = first;
            }
        }
        Self { position, path: Vec::new(), height, seeks: true, range, pages }
    }

    /// How many levels the node before which the side stands is above the leaves.
    fn level(&self) -> usize {
        match self.position {
            Position::Node(_) => self.height.saturating_sub(self.path.len()),
            _ => 0,
        }
    }

    /// Goes one level down.
    fn open(&mut self) -> Result<()> {
        match self.position {
            Position::Node(inner) => {
                let index = match &self.range.start {
                    core::ops::Bound::Included(key) | core::ops::Bound::Excluded(key) if self.seeks => {
                        inner.separators.route(key)
                    }
                    _ => 0,
                };
                self.path.push((inner, index));
                self.stand_before_child();
            }
            Position::Leaf(slot) => {
                let page = slot.page(self.pages, || Fences::along(&self.path))?;
                touch_all(page);
                let leaf = Leaf::new(page);
                let index = if self.seeks { start_index(&leaf, &self.range.start) } else { 0 };
                self.seeks = false;
                self.position = Position::Inside(Inside { slot, leaf, index, end: end_index(&leaf, &self.range.end) });
                self.leave_if_exhausted();
            }
            Position::Inside(_) | Position::End => {}
        }
        Ok(())
    }

    /// Goes behind the node or leaf.
    fn skip(&mut self) {
        self.seeks = false;
        while let Some((inner, index)) = self.path.pop() {
            if index + 1 < inner.children.len() {
                self.path.push((inner, index + 1));
                self.stand_before_child();
                return;
            }
        }
        self.position = Position::End;
    }

    /// Takes the position from the end of the path; a child behind the range is the end.
    fn stand_before_child(&mut self) {
        let Some((inner, index)) = self.path.last() else { return };
        let behind = index.checked_sub(1).is_some_and(|before| {
            !matches!(self.range.end, core::ops::Bound::Unbounded)
                && !self.range.ends_behind(&inner.separators.key(before))
        });
        self.position = match &inner.children {
            _ if behind => Position::End,
            Children::Leaves(leaves) => leaves.get(*index).map_or(Position::End, Position::Leaf),
            Children::Inners(inners) => inners.get(*index).map_or(Position::End, Position::Node),
        };
    }

    /// Goes behind the entry at the position.
    fn pass_entry(&mut self) {
        if let Position::Inside(inside) = &mut self.position {
            inside.index += 1;
        }
        self.leave_if_exhausted();
    }

    fn leave_if_exhausted(&mut self) {
        if let Position::Inside(inside) = &self.position
            && inside.index >= inside.end
        {
            if inside.end < inside.leaf.count() {
                self.position = Position::End;
            } else {
                self.skip();
            }
        }
    }

    /// A key that is not above any key from the position on; `None` if none is known.
    fn lower_bound(&self) -> Option<Vec<u8>> {
        let (inner, index) = self.path.iter().rev().find(|(_, index)| *index > 0)?;
        Some(inner.separators.key(index.checked_sub(1)?))
    }

    /// Whether both sides stand before the same entries.
    fn stands_with(&self, other: &Self) -> bool {
        match (self.position, other.position) {
            (Position::Node(left), Position::Node(right)) => Arc::ptr_eq(left, right) && self.seeks == other.seeks,
            (Position::End, _) | (_, Position::End) | (Position::Node(_), _) | (_, Position::Node(_)) => false,
            (left, right) => {
                let (Some((left, left_at)), Some((right, right_at))) = (left.leaf(), right.leaf()) else {
                    return false;
                };
                left_at == right_at && self.seeks == other.seeks && left.same_as(right)
            }
        }
    }
}

impl<'a> Position<'a> {
    /// The leaf, and the entry in it before which the position is.
    fn leaf(&self) -> Option<(&'a LeafSlot, usize)> {
        match self {
            Position::Leaf(slot) => Some((slot, 0)),
            Position::Inside(inside) => Some((inside.slot, inside.index)),
            Position::Node(_) | Position::End => None,
        }
    }
}

/// The two walks and what they share.
struct Comparison<'a, 'f, 'g> {
    older: Side<'a>,
    newer: Side<'a>,
    keys: [Vec<u8>; 2],
    visitor: &'f mut DiffVisitor<'g>,
}

/// Which of the two sides.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Which {
    Older,
    Newer,
}

impl<'a> Comparison<'a, '_, '_> {
    fn run(&mut self) -> Result<()> {
        loop {
            if self.older.stands_with(&self.newer) {
                self.older.skip();
                self.newer.skip();
                continue;
            }
            let flow = match (self.older.position, self.newer.position) {
                (Position::End, Position::End) => return Ok(()),
                (Position::Inside(older), Position::Inside(newer)) => self.merge(older, newer),
                (Position::Inside(older), other) => self.catch_up(Which::Older, older, other)?,
                (other, Position::Inside(newer)) => self.catch_up(Which::Newer, newer, other)?,
                _ => {
                    let (older_level, newer_level) = (self.older.level(), self.newer.level());
                    let newer_is_at_end = matches!(self.newer.position, Position::End);
                    let older_is_at_end = matches!(self.older.position, Position::End);
                    if !older_is_at_end && (older_level >= newer_level || newer_is_at_end) {
                        self.older.open()?;
                    }
                    if !newer_is_at_end && (newer_level >= older_level || older_is_at_end) {
                        self.newer.open()?;
                    }
                    ControlFlow::Continue(())
                }
            };
            if flow.is_break() {
                return Ok(());
            }
        }
    }

    /// One side is in a leaf, the other before something (`ahead`): the entries below it are on one side only. If there are
    /// none, it has to be opened.
    fn catch_up(&mut self, which: Which, inside: Inside<'a>, ahead: Position<'a>) -> Result<ControlFlow<()>> {
        let other = if which == Which::Older { &mut self.newer } else { &mut self.older };
        let bound = if matches!(ahead, Position::End) { None } else { Some(other.lower_bound()) };
        let until = match &bound {
            // The other side has ended: all that is left is on this side only.
            None => inside.end,
            Some(None) => inside.index,
            Some(Some(key)) => inside.leaf.search(key).unwrap_or_else(|index| index).min(inside.end),
        };
        if until <= inside.index {
            other.open()?;
            return Ok(ControlFlow::Continue(()));
        }
        for index in inside.index..until {
            let entry = inside.leaf.entry(index);
            let flow = self.report_one(which, &inside.leaf, &entry);
            if flow.is_break() {
                return Ok(flow);
            }
            let side = if which == Which::Older { &mut self.older } else { &mut self.newer };
            side.pass_entry();
        }
        Ok(ControlFlow::Continue(()))
    }

    fn report_one(&mut self, which: Which, leaf: &Leaf<'_>, entry: &Entry<'_>) -> ControlFlow<()> {
        let [key, _] = &mut self.keys;
        leaf.key_into(entry, key);
        match which {
            Which::Older => (self.visitor)(key, Some(entry.entry), None),
            Which::Newer => (self.visitor)(key, None, Some(entry.entry)),
        }
    }

    /// Both sides are in leaves: compares entries until one leaf is exhausted.
    fn merge(&mut self, mut older: Inside<'a>, mut newer: Inside<'a>) -> ControlFlow<()> {
        let mut flow = ControlFlow::Continue(());
        while flow.is_continue() && older.index < older.end && newer.index < newer.end {
            let (old, new) = (older.leaf.entry(older.index), newer.leaf.entry(newer.index));
            match self.compare_keys(&older.leaf, &old, &newer.leaf, &new) {
                Ordering::Less => {
                    flow = self.report_one(Which::Older, &older.leaf, &old);
                    older.index += 1;
                }
                Ordering::Greater => {
                    flow = self.report_one(Which::Newer, &newer.leaf, &new);
                    newer.index += 1;
                }
                Ordering::Equal => {
                    if old.entry != new.entry {
                        let [key, _] = &mut self.keys;
                        older.leaf.key_into(&old, key);
                        flow = (self.visitor)(key, Some(old.entry), Some(new.entry));
                    }
                    older.index += 1;
                    newer.index += 1;
                }
            }
        }
        self.older.position = Position::Inside(older);
        self.newer.position = Position::Inside(newer);
        self.older.leave_if_exhausted();
        self.newer.leave_if_exhausted();
        flow
    }

    fn compare_keys(&mut self, older: &Leaf<'_>, old: &Entry<'_>, newer: &Leaf<'_>, new: &Entry<'_>) -> Ordering {
        if older.prefix() == newer.prefix() {
            let suffix = Suffix { head: old.head, len: old.suffix_len, rest: old.rest };
            return suffix.cmp_entry(new);
        }
        let [old_key, new_key] = &mut self.keys;
        older.key_into(old, old_key);
        newer.key_into(new, new_key);
        old_key.cmp(&new_key)
    }
}

impl Tree {
    /// Calls `f` with each key of `range` whose entry (kind, seq or value) differs between this tree and `newer`, in key
    /// order, until it breaks: with the entry here and the one there, `None` where there is none.
    ///
    /// What both share is skipped without being read: the cost follows the number of changed leaves, not the size of
    /// the trees. Any two trees can be compared.
    ///
    /// # Errors
    /// What [`Self::get`] returns where a leaf that has to be compared is absent.
    ///
    /// ```
    /// # use std::ops::ControlFlow;
    /// # use foldb_core::tree::{KeyRange, NoPages, Tree};
    /// let older = Tree::new();
    /// let mut newer = older.clone();
    /// newer.insert(b"key", 0, b"value", 1, &NoPages, &mut |_| {})?;
    /// let mut added = Vec::new();
    /// older.diff(&newer, &KeyRange::all(), &NoPages, &mut |key, old, new| {
    ///     assert!(old.is_none() && new.is_some());
    ///     added.push(key.to_vec());
    ///     ControlFlow::Continue(())
    /// })?;
    /// assert_eq!(added, [b"key"]);
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    pub fn diff(&self, newer: &Tree, range: &KeyRange, pages: &dyn PageSource, f: &mut DiffVisitor<'_>) -> Result<()> {
        let older = Side::new(self, range, pages);
        let newer = Side::new(newer, range, pages);
        Comparison { older, newer, keys: [Vec::new(), Vec::new()], visitor: f }.run()
    }
}
