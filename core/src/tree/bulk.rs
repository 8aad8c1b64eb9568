//! Building the inner nodes above leaves that come in key order.
//!
//! Invariant: a node is finished, and becomes a child of the level above, as soon as it is full; memory use beyond the tree
//! itself is one unfinished node per level.

use alloc::{format, sync::Arc, vec::Vec};
use core::mem;

use arrayvec::ArrayVec;

use super::{
    Root, Shape,
    inner::{CHILDREN_MAX, Children, Inner},
    separators::Separators,
    slot::LeafSlot,
};
use crate::{Error, Result};

/// The unfinished nodes at the right edge of a tree.
pub(super) struct BulkLevels {
    shape: Shape,
    leaves: Level<LeafSlot>,
    /// From the parents of leaf parents upwards.
    inners: Vec<Level<Arc<Inner>>>,
    last_fence: Vec<u8>,
}

/// The children of one unfinished node, with the lower bound of each.
struct Level<Child> {
    fences: Vec<Vec<u8>>,
    children: ArrayVec<Child, CHILDREN_MAX>,
}

impl<Child> Level<Child> {
    fn new() -> Self {
        Self { fences: Vec::with_capacity(CHILDREN_MAX), children: ArrayVec::new() }
    }

    /// Turns the children into a node and returns it with its lower bound; the level is empty then.
    fn close(&mut self, wrap: fn(ArrayVec<Child, CHILDREN_MAX>) -> Children) -> (Vec<u8>, Arc<Inner>) {
        let separators = Separators::build(self.fences.get(1..).unwrap_or_default());
        let node = Arc::new(Inner { separators, children: wrap(mem::take(&mut self.children)) });
        let fence = self.fences.first_mut().map(mem::take).unwrap_or_default();
        self.fences.clear();
        (fence, node)
    }
}

impl BulkLevels {
    pub(super) fn new(shape: Shape) -> Self {
        Self { shape, leaves: Level::new(), inners: Vec::new(), last_fence: Vec::new() }
    }

    /// Adds a leaf whose keys are not below `fence`; that of the first leaf does not matter.
    pub(super) fn push(&mut self, fence: Vec<u8>, leaf: LeafSlot) -> Result<()> {
        let is_first = self.leaves.children.is_empty() && self.inners.is_empty();
        if !is_first && fence <= self.last_fence {
            let why = format!("the fence {fence:?} is not above the one before it, {:?}", self.last_fence);
            return Err(Error::Invalid { what: "list of leaves", why });
        }
        if self.leaves.children.len() >= self.shape.inner_children_max() {
            let (fence, node) = self.leaves.close(Children::Leaves);
            self.push_inner(0, fence, node);
        }
        self.last_fence.clear();
        self.last_fence.extend_from_slice(&fence);
        self.leaves.fences.push(fence);
        self.leaves.children.push(leaf);
        Ok(())
    }

    fn push_inner(&mut self, level: usize, mut fence: Vec<u8>, mut node: Arc<Inner>) {
        for level in level.. {
            let Some(parent) = self.inners.get_mut(level) else {
                self.inners.push(Level { fences: Vec::from([fence]), children: ArrayVec::from_iter([node]) });
                return;
            };
            let full = parent.children.len() >= self.shape.inner_children_max();
            let closed = if full { Some(parent.close(Children::Inners)) } else { None };
            parent.fences.push(fence);
            parent.children.push(node);
            match closed {
                Some(closed) => (fence, node) = closed,
                None => return,
            }
        }
    }

    /// The tree of all leaves.
    pub(super) fn finish(mut self) -> Root {
        if self.inners.is_empty() && self.leaves.children.len() <= 1 {
            return self.leaves.children.pop().map_or(Root::Empty, Root::Leaf);
        }
        let (fence, node) = self.leaves.close(Children::Leaves);
        self.push_inner(0, fence, node);
        let mut level = 0;
        loop {
            let levels = self.inners.len();
            let Some(edge) = self.inners.get_mut(level) else { return Root::Empty };
            if level + 1 == levels && edge.children.len() == 1 {
                return edge.children.pop().map_or(Root::Empty, Root::Inner);
            }
            let (fence, node) = edge.close(Children::Inners);
            level += 1;
            self.push_inner(level, fence, node);
        }
    }
}
