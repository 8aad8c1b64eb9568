//! Removal of all that a range holds, in one pass.
//!
//! Invariant: nodes and leaves that lie in the range as a whole are dropped without being changed or copied; only those at its two
//! ends are edited. The pages of the range are read before anything changes, so an error leaves the tree as it was.

use alloc::sync::Arc;
use core::ops::Bound;

use super::{
    Direction, EntryRef, KeyRange, PageSource, Root, Shape, Tree,
    inner::{Children, Inner},
    leaf::Leaf,
    leaf_edit,
    remove::merge_around,
    slot::LeafSlot,
    walk::{LeafWalk, end_index, start_index},
};
use crate::Result;

/// One removal on its way down.
struct Removal<'a> {
    range: &'a KeyRange,
    shape: Shape,
    removed: &'a mut dyn FnMut(EntryRef<'_>),
}

impl Tree {
    /// Removes every key of a range, calls `removed` with each of their entries, in order, and returns how many there were.
    /// Costs O(log n) and what is removed. Where nothing is, the tree is shared as before.
    ///
    /// # Errors
    /// What [`Self::get`] returns. The tree is unchanged then.
    ///
    /// ```
    /// # use foldb_core::tree::{KeyRange, NoPages, Tree};
    /// let mut tree = Tree::new();
    /// for key in [b"a/1", b"a/2", b"b/1"] {
    ///     tree.insert(key, 0, b"", 1, &NoPages, &mut |_| {})?;
    /// }
    /// assert_eq!(tree.remove_range(&KeyRange::prefix(b"a/"), &NoPages, &mut |_| {})?, 2);
    /// assert_eq!(tree.len(), 1);
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    pub fn remove_range(
        &mut self,
        range: &KeyRange,
        pages: &dyn PageSource,
        removed: &mut dyn FnMut(EntryRef<'_>),
    ) -> Result<u64> {
        // Looking first keeps a miss from copying the paths of a shared tree, and brings the leaves into memory.
        let mut count = 0;
        let mut walk = LeafWalk::new(self, range, Direction::Forward, pages);
        while let Some(span) = walk.next()? {
            count += (span.end - span.start) as u64;
        }
        if count == 0 {
            return Ok(0);
        }
        let mut removal = Removal { range, shape: self.shape, removed };
        let is_empty = match &mut self.root {
            Root::Empty => false,
            Root::Leaf(slot) => removal.of_leaf(slot),
            Root::Inner(inner) => removal.of_inner(inner),
        };
        if is_empty {
            self.root = Root::Empty;
        }
        self.collapse_root();
        self.len = self.len.saturating_sub(count);
        Ok(count)
    }
}

impl Removal<'_> {
    /// Returns whether the leaf has no entry left; it is then to be dropped, its page is as before.
    fn of_leaf(&mut self, slot: &mut LeafSlot) -> bool {
        let Some(page) = slot.resident() else { return false };
        let leaf = Leaf::new(page);
        let (start, end) = (start_index(&leaf, &self.range.start), end_index(&leaf, &self.range.end));
        (start..end).for_each(|index| (self.removed)(leaf.entry(index).entry));
        if start == 0 && end == leaf.count() {
            return true;
        }
        if start < end
            && let Some(page) = slot.page_mut()
        {
            leaf_edit::remove_span(page, start, end, &self.shape);
        }
        false
    }

    /// Returns whether the node has no child left; it is then to be dropped.
    fn of_inner(&mut self, inner: &mut Arc<Inner>) -> bool {
        let node = Arc::make_mut(inner);
        let first = match &self.range.start {
            Bound::Included(key) | Bound::Excluded(key) => node.separators.route(key),
            Bound::Unbounded => 0,
        };
        let last = match &self.range.end {
            Bound::Included(key) | Bound::Excluded(key) => node.separators.route(key),
            Bound::Unbounded => node.separators.len(),
        };
        let mut emptied = (0, 0);
        for index in first..=last {
            let is_inside = first < index && index < last;
            let is_empty = match &mut node.children {
                Children::Leaves(leaves) => leaves.get_mut(index).is_some_and(|slot| self.of_leaf(slot)),
                Children::Inners(inners) if is_inside => inners.get(index).is_some_and(|child| self.of_all(child)),
                Children::Inners(inners) => inners.get_mut(index).is_some_and(|child| self.of_inner(child)),
            };
            if is_empty {
                // All but the first and the last are, so they are neighbours.
                emptied = if emptied.1 == 0 { (index, index + 1) } else { (emptied.0, index + 1) };
            }
        }
        for index in (emptied.0..emptied.1).rev() {
            node.remove_child(index);
        }
        merge_around(node, first + 1, &self.shape);
        merge_around(node, first, &self.shape);
        node.children.len() == 0
    }

    /// Goes through a node that is in the range as a whole, and is to be dropped.
    fn of_all(&mut self, inner: &Inner) -> bool {
        match &inner.children {
            Children::Leaves(leaves) => {
                for page in leaves.iter().filter_map(LeafSlot::resident) {
                    let leaf = Leaf::new(page);
                    (0..leaf.count()).for_each(|index| (self.removed)(leaf.entry(index).entry));
                }
            }
            Children::Inners(inners) => inners.iter().for_each(|child| {
                self.of_all(child);
            }),
        }
        true
    }
}
