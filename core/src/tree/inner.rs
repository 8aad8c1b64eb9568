//! Inner nodes.
//!
//! Invariant: a node has at least one child and one separator fewer than children; all leaves are at the same depth.

use alloc::{sync::Arc, vec::Vec};
use core::hint::black_box;

use super::{separators::Separators, slot::LeafSlot};

/// An inner node.
pub(super) struct Inner {
    pub(super) separators: Separators,
    pub(super) children: Children,
}

/// What an inner node points to. Leaves and nodes lie in vectors of their own kind, so that a search does not ask each
/// child what it is.
pub(super) enum Children {
    Leaves(Vec<LeafSlot>),
    Inners(Vec<Arc<Inner>>),
}

impl Clone for Inner {
    fn clone(&self) -> Self {
        Self { separators: self.separators.clone(), children: self.children.clone() }
    }
}

impl Clone for Children {
    fn clone(&self) -> Self {
        match self {
            Children::Leaves(leaves) => {
                // A clone counts up one number in each leaf, one cache miss after the other. Reading those numbers first lets
                // the processor wait for all of them together.
                let owners = leaves.iter().fold(0, |sum: usize, leaf| {
                    sum.wrapping_add(match leaf {
                        LeafSlot::Resident(page) => Arc::strong_count(page),
                        LeafSlot::Absent(absent) => Arc::strong_count(absent),
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
    pub(super) fn len(&self) -> usize {
        match self {
            Children::Leaves(leaves) => leaves.len(),
            Children::Inners(inners) => inners.len(),
        }
    }

    pub(super) fn remove(&mut self, index: usize) {
        match self {
            Children::Leaves(leaves) => drop(leaves.remove(index)),
            Children::Inners(inners) => drop(inners.remove(index)),
        }
    }

    fn split_off(&mut self, index: usize) -> Self {
        match self {
            Children::Leaves(leaves) => Children::Leaves(leaves.split_off(index)),
            Children::Inners(inners) => Children::Inners(inners.split_off(index)),
        }
    }

    /// Appends clones of the children of `upper`, which is of the same level.
    fn append(&mut self, upper: &Self) {
        match (self, upper) {
            (Children::Leaves(leaves), Children::Leaves(more)) => leaves.extend_from_slice(more),
            (Children::Inners(inners), Children::Inners(more)) => inners.extend_from_slice(more),
            // Siblings are of one level; `Inner` has no other way of being built.
            _ => {}
        }
    }

    fn memory_bytes(&self) -> usize {
        match self {
            Children::Leaves(leaves) => leaves.capacity() * size_of::<LeafSlot>(),
            Children::Inners(inners) => inners.capacity() * size_of::<Arc<Inner>>(),
        }
    }
}

impl Inner {
    /// Moves the children from `middle` on, which is neither 0 nor behind the end, to a new node and returns what separates
    /// both.
    pub(super) fn split_off(&mut self, middle: usize) -> (Vec<u8>, Self) {
        let (separator, separators) = self.separators.split_off(middle.saturating_sub(1));
        (separator, Self { separators, children: self.children.split_off(middle) })
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
        size_of::<Self>() + self.separators.memory_bytes() + self.children.memory_bytes()
    }
}
