//! Removal, and the merging that keeps a tree from rotting after many of them.
//!
//! Invariant: a removal needs no page but the one of its key: it merges with neighbours that are in memory, or not at all.

use alloc::sync::Arc;

use super::{
    EntryRef, PageSource, Root, Shape, Tree,
    inner::{Children, Inner},
    leaf::Leaf,
    leaf_edit,
    slot::LeafSlot,
};
use crate::Result;

/// One removal on its way down.
struct Removal<'a> {
    key: &'a [u8],
    shape: Shape,
    removed: &'a mut dyn FnMut(EntryRef<'_>),
}

impl Tree {
    /// Removes `key` and calls `removed` with its entry. `false` if it is not there; the tree is then shared as before.
    ///
    /// # Errors
    /// What [`Self::get`] returns. The tree is unchanged then.
    ///
    /// ```
    /// # use foldb_core::tree::{NoPages, Tree};
    /// let mut tree = Tree::new();
    /// tree.insert(b"key", 0, b"value", 1, &NoPages, &mut |_| {})?;
    /// assert!(tree.remove(b"key", &NoPages, &mut |old| assert_eq!(old.value, b"value"))?);
    /// assert!(!tree.remove(b"key", &NoPages, &mut |_| {})?);
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    pub fn remove(
        &mut self,
        key: &[u8],
        pages: &dyn PageSource,
        removed: &mut dyn FnMut(EntryRef<'_>),
    ) -> Result<bool> {
        // Looking first keeps a miss from copying the path of a shared tree, and brings the leaf into memory.
        if self.get(key, pages)?.is_none() {
            return Ok(false);
        }
        let mut removal = Removal { key, shape: self.shape, removed };
        let is_empty = match &mut self.root {
            Root::Empty => false,
            Root::Leaf(slot) => remove_from_leaf(slot, &mut removal),
            Root::Inner(inner) => remove_from_inner(inner, &mut removal),
        };
        if is_empty {
            self.root = Root::Empty;
        }
        self.collapse_root();
        self.len = self.len.saturating_sub(1);
        Ok(true)
    }

    /// A root with one child gives way to it.
    pub(super) fn collapse_root(&mut self) {
        while let Root::Inner(inner) = &self.root {
            let child = match &inner.children {
                Children::Leaves(leaves) if leaves.len() == 1 => leaves.first().cloned().map(Root::Leaf),
                Children::Inners(inners) if inners.len() == 1 => inners.first().cloned().map(Root::Inner),
                _ => return,
            };
            self.root = child.unwrap_or(Root::Empty);
        }
    }
}

/// Returns whether the leaf has no entry left; it is then to be dropped, its page is as before.
fn remove_from_leaf(slot: &mut LeafSlot, removal: &mut Removal<'_>) -> bool {
    // `remove` has found the key, so the page is here and has it.
    let Some(page) = slot.page_mut() else { return false };
    let leaf = Leaf::new(page);
    let Ok((index, entry)) = leaf.find(removal.key) else { return false };
    (removal.removed)(entry.entry);
    if leaf.count() == 1 {
        return true;
    }
    leaf_edit::remove(page, index, &removal.shape);
    false
}

/// Returns whether the node has no child left; it is then to be dropped.
fn remove_from_inner(inner: &mut Arc<Inner>, removal: &mut Removal<'_>) -> bool {
    let node = Arc::make_mut(inner);
    let index = node.separators.route(removal.key);
    let is_empty = match &mut node.children {
        Children::Leaves(leaves) => leaves.get_mut(index).is_some_and(|slot| remove_from_leaf(slot, removal)),
        Children::Inners(inners) => inners.get_mut(index).is_some_and(|child| remove_from_inner(child, removal)),
    };
    if is_empty {
        node.remove_child(index);
    } else {
        merge_around(node, index, &removal.shape);
    }
    node.children.len() == 0
}

/// Merges a child that has become small with one of its neighbours, where there is such a child.
pub(super) fn merge_around(node: &mut Inner, index: usize, shape: &Shape) {
    if !merge(node, index.wrapping_sub(1), index, shape) {
        merge(node, index, index, shape);
    }
}

/// Merges the children `low` and `low + 1`, one of which is the `changed` one, if that has become small and both fit
/// comfortably into one node, so that the next insertion does not split it again.
fn merge(node: &mut Inner, low: usize, changed: usize, shape: &Shape) -> bool {
    let Some(high) = low.checked_add(1) else { return false };
    let merged = match &mut node.children {
        Children::Leaves(leaves) => merge_leaves(leaves, low, changed, shape),
        Children::Inners(inners) => {
            let small = inners.get(changed).is_some_and(|child| child.children.len() <= shape.inner_children_max() / 4);
            match inners.get_mut(low..=high) {
                Some([left, right])
                    if small && left.children.len() + right.children.len() <= shape.inner_children_max() * 3 / 4 =>
                {
                    Arc::make_mut(left).append(node.separators.key(low), right);
                    true
                }
                _ => false,
            }
        }
    };
    if merged {
        node.remove_child(high);
    }
    merged
}

fn merge_leaves(leaves: &mut [LeafSlot], low: usize, changed: usize, shape: &Shape) -> bool {
    let bytes_max = shape.leaf_bytes() * 3 / 4;
    let small = leaves
        .get(changed)
        .and_then(LeafSlot::resident)
        .is_some_and(|page| Leaf::new(page).used_bytes() <= shape.leaf_bytes() / 4);
    let Some([left, right]) = leaves.get_mut(low..).and_then(|leaves| leaves.first_chunk_mut()) else { return false };
    let (Some(left_page), Some(right_page)) = (left.resident(), right.resident()) else { return false };
    // The length alone rules most neighbours out without waiting for their page to come from memory.
    if !small || left_page.len() + right_page.len() > shape.leaf_bytes() {
        return false;
    }
    match leaf_edit::merged(left_page, right_page, bytes_max, shape) {
        Some(page) => {
            *left = LeafSlot::Resident(page);
            true
        }
        None => false,
    }
}
