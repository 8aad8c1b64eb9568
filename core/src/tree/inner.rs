//! Inner nodes.
//!
//! Invariant: a node has at least one child and one separator fewer than children; all leaves are at the same depth.
//!
//! A node is one allocation but for the separators' bytes, which a search seldom needs: heads and children lie in the same
//! memory page, so that following a node costs one address translation instead of three.

use alloc::{sync::Arc, vec::Vec};
use core::hint::black_box;

use arrayvec::ArrayVec;

use super::{
    separators::{SEPARATORS_MAX, Separators},
    slot::LeafSlot,
};
use crate::work;

/// Most children of a node.
pub(super) const CHILDREN_MAX: usize = SEPARATORS_MAX + 1;

/// An inner node.
#[derive(Clone)]
pub(super) struct Inner {
    pub(super) separators: Separators,
    pub(super) children: Children,
}

/// What an inner node points to. A node has children of one kind, so that a search does not ask each what it is.
#[expect(clippy::large_enum_variant, reason = "nearly all nodes are of the large kind")]
pub(super) enum Children {
    Leaves(ArrayVec<LeafSlot, CHILDREN_MAX>),
    Inners(ArrayVec<Arc<Inner>, CHILDREN_MAX>),
}

/// A child on its way into a node.
pub(super) enum Child {
    Leaf(LeafSlot),
    Inner(Arc<Inner>),
}

impl Clone for Children {
    fn clone(&self) -> Self {
        match self {
            Children::Leaves(leaves) => {
                work::count(leaves.len());
                // A clone counts up one number in each leaf, one cache miss after the other. Reading those numbers first lets
                // the processor wait for all of them together.
                let owners = leaves.iter().fold(0, |sum: usize, leaf| {
                    sum.wrapping_add(match leaf {
                        LeafSlot::Resident(page) => Arc::strong_count(page),
                        LeafSlot::Absent(absent) => Arc::strong_count(absent.stored()),
                    })
                });
                black_box(owners);
                Children::Leaves(leaves.clone())
            }
            Children::Inners(inners) => Children::Inners(inners.clone()),
        }
    }
}

impl Children {
    #[inline]
    pub(super) fn len(&self) -> usize {
        match self {
            Children::Leaves(leaves) => leaves.len(),
            Children::Inners(inners) => inners.len(),
        }
    }

    fn remove(&mut self, index: usize) {
        match self {
            Children::Leaves(leaves) => drop(leaves.remove(index)),
            Children::Inners(inners) => drop(inners.remove(index)),
        }
    }

    fn split_off(&mut self, index: usize) -> Self {
        match self {
            Children::Leaves(leaves) => Children::Leaves(leaves.drain(index..).collect()),
            Children::Inners(inners) => Children::Inners(inners.drain(index..).collect()),
        }
    }

    /// Puts `child` before the one at `index`; the caller has seen to it that there is room.
    fn insert(&mut self, index: usize, child: Child) {
        match (self, child) {
            (Children::Leaves(leaves), Child::Leaf(leaf)) => leaves.insert(index, leaf),
            (Children::Inners(inners), Child::Inner(inner)) => inners.insert(index, inner),
            // A child comes from the split of a sibling, and siblings are of one kind.
            _ => debug_assert!(false, "a child of the wrong level"),
        }
    }

    /// Appends clones of the children of `upper`, which is of the same level; the caller has seen to it that there is room.
    fn append(&mut self, upper: &Self) {
        match (self, upper) {
            (Children::Leaves(leaves), Children::Leaves(more)) => leaves.extend(more.iter().cloned()),
            (Children::Inners(inners), Children::Inners(more)) => inners.extend(more.iter().cloned()),
            _ => debug_assert!(false, "siblings of different levels"),
        }
    }
}

impl Child {
    /// A node with this only child.
    fn alone(self) -> Inner {
        let children = match self {
            Child::Leaf(leaf) => Children::Leaves(ArrayVec::from_iter([leaf])),
            Child::Inner(inner) => Children::Inners(ArrayVec::from_iter([inner])),
        };
        Inner { separators: Separators::default(), children }
    }
}

impl Inner {
    /// A node with two children.
    pub(super) fn pair(lower: Child, separator: &[u8], upper: Child) -> Self {
        let mut node = lower.alone();
        node.insert(0, separator, upper);
        node
    }

    fn insert(&mut self, index: usize, separator: &[u8], upper: Child) {
        self.separators.insert(index, separator);
        self.children.insert(index + 1, upper);
    }

    /// Takes in what was split off from child `index`. If the node has `children_max` children already it is split first, and
    /// the new node is returned with what separates both. `rightmost` says that the node is the last of its level.
    pub(super) fn take_in(
        &mut self,
        index: usize,
        separator: Vec<u8>,
        upper: Child,
        children_max: usize,
        rightmost: bool,
    ) -> Option<(Vec<u8>, Arc<Inner>)> {
        let children = self.children.len();
        if children < children_max.min(CHILDREN_MAX) {
            self.insert(index, &separator, upper);
            return None;
        }
        if rightmost && index + 1 == children {
            // Keys come behind the last one only, so that what is here is complete: it stays full.
            return Some((separator, Arc::new(upper.alone())));
        }
        let middle = children / 2;
        let (middle_separator, separators) = self.separators.split_off(middle - 1);
        let mut high = Self { separators, children: self.children.split_off(middle) };
        if index < middle {
            self.insert(index, &separator, upper);
        } else {
            high.insert(index - middle, &separator, upper);
        }
        Some((middle_separator, Arc::new(high)))
    }

    /// Appends the children of the next sibling, which `separator` separates from this node.
    pub(super) fn append(&mut self, separator: Vec<u8>, upper: &Self) {
        self.separators.append(separator, &upper.separators);
        self.children.append(&upper.children);
    }

    /// Takes child `index` out; its neighbour takes over its keys.
    pub(super) fn remove_child(&mut self, index: usize) {
        self.children.remove(index);
        if self.separators.len() > 0 {
            self.separators.remove(index.saturating_sub(1));
        }
    }

    /// Bytes of memory of this node alone.
    pub(super) fn memory_bytes(&self) -> usize {
        size_of::<Self>() + self.separators.memory_bytes()
    }
}
