//! A tree as the sequence of its leaves: how a snapshot writes one and gets it back.
//!
//! Invariant: `from_leaves` of what `visit_leaves` gave is a tree with the same entries, without a page being read.

use alloc::{borrow::ToOwned, string::String, vec::Vec};

use super::{
    PageRef, Root, Shape, Tree, TreeConfig,
    bulk::BulkLevels,
    inner::{Children, Inner},
    leaf::touch_all,
    leaf_build::canonical_into,
    slot::{AbsentLeaf, LeafSlot, StoredLeaf},
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
        let shape = Shape::new(config);
        let mut levels = BulkLevels::new(shape);
        let mut len = 0_u64;
        for leaf in leaves {
            let (fence, entries, at) = leaf?;
            if entries == 0 {
                return Err(Error::Invalid { what: "list of leaves", why: String::from("a leaf without entries") });
            }
            len = len.saturating_add(u64::from(entries));
            levels.push(fence, LeafSlot::Absent(AbsentLeaf::new(at, entries)))?;
        }
        Ok(Tree { root: levels.finish(), len, shape })
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
            touch_all(page);
            canonical_into(page, scratch);
            f(LeafRef { fence, entries, page: LeafPage::Resident(scratch) })
        }
        LeafSlot::Absent(absent) => {
            // A page that was read from a file is canonical: that is part of its verification.
            let page = absent.loaded().map_or(LeafPage::Absent(&absent.stored().at), |page| LeafPage::Resident(page));
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

impl LeafSlot {
    pub(super) fn memory_bytes(&self) -> u64 {
        // Two counts lie before whatever an `Arc` holds.
        const COUNTS: usize = 2 * size_of::<usize>();
        let bytes = match self {
            LeafSlot::Resident(page) => COUNTS + page.len(),
            LeafSlot::Absent(absent) => {
                COUNTS + size_of::<StoredLeaf>() + absent.loaded().map_or(0, |page| COUNTS + page.len())
            }
        };
        u64::try_from(bytes).unwrap_or(u64::MAX)
    }

    /// The same once the leaf is resident.
    pub(super) fn resident_bytes(&self) -> u64 {
        let unread = match self {
            LeafSlot::Absent(absent) if absent.loaded().is_none() => u64::from(absent.stored().at.len),
            LeafSlot::Absent(_) | LeafSlot::Resident(_) => 0,
        };
        self.memory_bytes().saturating_add(unread)
    }
}

impl Inner {
    /// Bytes of memory of this node and all below it, once all leaves are resident.
    pub(super) fn resident_bytes_below(&self) -> u64 {
        let own = u64::try_from(self.memory_bytes()).unwrap_or(u64::MAX);
        own + match &self.children {
            Children::Leaves(leaves) => leaves.iter().map(LeafSlot::resident_bytes).sum::<u64>(),
            Children::Inners(inners) => inners.iter().map(|inner| inner.resident_bytes_below()).sum(),
        }
    }

    /// Bytes of memory of this node and all below it.
    pub(super) fn memory_bytes_below(&self) -> u64 {
        let own = u64::try_from(self.memory_bytes()).unwrap_or(u64::MAX);
        own + match &self.children {
            Children::Leaves(leaves) => leaves.iter().map(LeafSlot::memory_bytes).sum::<u64>(),
            Children::Inners(inners) => inners.iter().map(|inner| inner.memory_bytes_below()).sum(),
        }
    }
}
