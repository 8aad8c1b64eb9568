//! A tree as the sequence of its leaves: how a snapshot writes one and gets it back.
//!
//! Invariant: `from_leaves` of what `visit_leaves` gave is a tree with the same entries, without a page being read.

use alloc::{borrow::ToOwned, format, sync::Arc, vec::Vec};

use super::{
    PageRef, Root, Shape, Tree, TreeConfig,
    inner::{Children, Inner},
    leaf_build::canonical_into,
    separators::Separators,
    slot::{AbsentLeaf, LeafSlot},
};
use crate::{Error, Result};

/// One leaf, in key order.
#[derive(Clone, Copy, Debug)]
pub struct LeafRef<'a> {
    /// A lower bound of its keys, above all keys before it; empty for the first leaf.
    pub fence: &'a [u8],
    /// Number of entries, at least 1.
    pub entries: u32,
    /// Where its bytes are.
    pub page: LeafPage<'a>,
}

/// The bytes of a leaf.
#[derive(Clone, Copy, Debug)]
pub enum LeafPage<'a> {
    /// In memory: the page in its canonical form (F-40), ready to be written.
    Resident(&'a [u8]),
    /// In the snapshot file that the reference names, and not read so far.
    Absent(&'a PageRef),
}

impl Tree {
    /// Calls `f` with each leaf in key order until it fails. Reads no absent leaf; memory use is that of one page.
    ///
    /// # Errors
    /// What `f` returns.
    pub fn visit_leaves(&self, f: &mut dyn FnMut(LeafRef<'_>) -> Result<()>) -> Result<()> {
        let mut scratch = Vec::new();
        match &self.root {
            Root::Empty => Ok(()),
            Root::Leaf(slot) => visit_slot(slot, &[], &mut scratch, f),
            Root::Inner(inner) => visit_inner(inner, &[], &mut scratch, f),
        }
    }

    /// A tree of absent leaves: fence (a lower bound, as in [`LeafRef`]), number of entries and place of each, in key
    /// order. Builds the inner nodes in bulk and reads no page.
    ///
    /// # Errors
    /// The first error of `leaves`, and [`Error::Invalid`] if fences do not ascend strictly or a leaf has no entry.
    pub fn from_leaves(leaves: impl Iterator<Item = Result<(Vec<u8>, u32, PageRef)>>) -> Result<Tree> {
        Self::from_leaves_with(TreeConfig::default(), leaves)
    }

    /// As [`Self::from_leaves`], with nodes of these sizes.
    ///
    /// # Errors
    /// As [`Self::from_leaves`].
    pub fn from_leaves_with(
        config: TreeConfig,
        leaves: impl Iterator<Item = Result<(Vec<u8>, u32, PageRef)>>,
    ) -> Result<Tree> {
        let (mut fences, mut slots) = (Vec::new(), Vec::new());
        let mut len = 0_u64;
        for leaf in leaves {
            let (fence, entries, at) = leaf?;
            if fences.last().is_some_and(|before| *before >= fence) || entries == 0 {
                let number = fences.len();
                let why = format!("leaf {number} has {entries} entries, or its fence is not above the one before it");
                return Err(Error::Invalid { what: "list of leaves", why });
            }
            len = len.saturating_add(u64::from(entries));
            fences.push(fence);
            slots.push(LeafSlot::Absent(Arc::new(AbsentLeaf::new(at, entries))));
        }
        let shape = Shape::new(config);
        Ok(Tree { root: build_root(&fences, slots, &shape), len, shape })
    }
}

fn visit_slot(
    slot: &LeafSlot,
    fence: &[u8],
    scratch: &mut Vec<u8>,
    f: &mut dyn FnMut(LeafRef<'_>) -> Result<()>,
) -> Result<()> {
    let entries = slot.entries();
    match slot {
        LeafSlot::Resident(page) => {
            canonical_into(page, scratch);
            f(LeafRef { fence, entries, page: LeafPage::Resident(scratch) })
        }
        LeafSlot::Absent(absent) => {
            // A page that was read from a file is canonical: that is part of its verification.
            let page = absent.loaded().map_or(LeafPage::Absent(&absent.at), |page| LeafPage::Resident(page));
            f(LeafRef { fence, entries, page })
        }
    }
}

/// Recursion as deep as the tree is high.
fn visit_inner(
    inner: &Inner,
    fence: &[u8],
    scratch: &mut Vec<u8>,
    f: &mut dyn FnMut(LeafRef<'_>) -> Result<()>,
) -> Result<()> {
    let mut fence = fence.to_owned();
    for index in 0..inner.children.len() {
        if let Some(before) = index.checked_sub(1) {
            fence = inner.separators.key(before);
        }
        match &inner.children {
            Children::Leaves(leaves) => {
                leaves.get(index).map_or(Ok(()), |slot| visit_slot(slot, &fence, scratch, f))?;
            }
            Children::Inners(inners) => {
                inners.get(index).map_or(Ok(()), |child| visit_inner(child, &fence, scratch, f))?;
            }
        }
    }
    Ok(())
}

/// Builds the inner nodes above `slots`. `fences` has the lower bound of each; the first one counts as unbounded.
pub(super) fn build_root(fences: &[Vec<u8>], slots: Vec<LeafSlot>, shape: &Shape) -> Root {
    if slots.len() <= 1 {
        return slots.into_iter().next().map_or(Root::Empty, Root::Leaf);
    }
    let mut bounds: Vec<&[u8]> = fences.iter().map(Vec::as_slice).collect();
    let mut nodes = group(&mut bounds, slots, Children::Leaves, shape);
    while nodes.len() > 1 {
        nodes = group(&mut bounds, nodes, Children::Inners, shape);
    }
    nodes.pop().map_or(Root::Empty, Root::Inner)
}

/// One level of inner nodes above `children`, filled evenly; `bounds` becomes the lower bounds of the new nodes.
fn group<Child>(
    bounds: &mut Vec<&[u8]>,
    children: Vec<Child>,
    wrap: fn(Vec<Child>) -> Children,
    shape: &Shape,
) -> Vec<Arc<Inner>> {
    let total = children.len();
    let groups = total.div_ceil(shape.inner_children_max()).max(1);
    let mut children = children.into_iter();
    let mut nodes = Vec::with_capacity(groups);
    let mut upper_bounds = Vec::with_capacity(groups);
    for number in 0..groups {
        let (start, end) = (total * number / groups, total * (number + 1) / groups);
        let keys = bounds.get(start + 1..end).unwrap_or_default();
        let mut own = Vec::with_capacity(end - start);
        own.extend(children.by_ref().take(end - start));
        nodes.push(Arc::new(Inner { separators: Separators::build(keys), children: wrap(own) }));
        upper_bounds.extend(bounds.get(start));
    }
    *bounds = upper_bounds;
    nodes
}

impl LeafSlot {
    pub(super) fn memory_bytes(&self) -> u64 {
        // Two counts lie before whatever an `Arc` holds.
        const COUNTS: usize = 2 * size_of::<usize>();
        let bytes = match self {
            LeafSlot::Resident(page) => COUNTS + page.len(),
            LeafSlot::Absent(absent) => {
                let loaded = absent.loaded().map_or(0, |page| size_of_val(page) + COUNTS + page.len());
                COUNTS + size_of::<AbsentLeaf>() + loaded
            }
        };
        u64::try_from(bytes).unwrap_or(u64::MAX)
    }
}

impl Inner {
    /// Bytes of memory of this node and all below it.
    pub(super) fn memory_bytes_below(&self) -> u64 {
        let own = u64::try_from(self.memory_bytes()).unwrap_or(u64::MAX);
        own + match &self.children {
            Children::Leaves(leaves) => leaves.iter().map(LeafSlot::memory_bytes).sum::<u64>(),
            Children::Inners(inners) => inners.iter().map(|inner| inner.memory_bytes_below()).sum(),
        }
    }
}
