//! The packed copy-on-write B+tree: every state of the store is one, and a new version shares all that did not change.
//!
//! A [`Tree`] maps keys to small entries. Cloning one is O(1); whoever holds a clone sees it unchanged for ever. A node that
//! nobody else owns is changed in place. Leaves are packed byte pages (`leaf.rs` has the layout) that are written to a
//! snapshot as they are and may be *absent*: then only their place is known, and the first access reads and verifies them
//! through a [`PageSource`]. That is why nearly every call takes one and returns a `Result`.
//!
//! Invariants: keys ascend strictly; all leaves are equally deep; no leaf is empty; an error leaves the tree as it was.
//!
//! ```
//! use foldb_core::tree::{NoPages, Tree};
//! let mut tree = Tree::new();
//! tree.insert(b"colour", 0, b"blue", 1, &NoPages, &mut |_| {})?;
//! let before = tree.clone();
//! tree.insert(b"colour", 0, b"red", 2, &NoPages, &mut |old| assert_eq!(old.value, b"blue"))?;
//! assert_eq!(before.get(b"colour", &NoPages)?.map(|entry| entry.value), Some(b"blue".as_slice()));
//! assert_eq!(tree.get(b"colour", &NoPages)?.map(|entry| entry.seq), Some(2));
//! # Ok::<(), foldb_core::Error>(())
//! ```

use alloc::sync::Arc;

use crate::{Result, limits};

mod bounds;
mod builder;
mod bulk;
#[cfg(test)]
mod check;
mod cursor;
mod diff;
mod inner;
mod insert;
mod leaf;
mod leaf_build;
mod leaf_edit;
mod leaf_verify;
mod leaves;
mod page_cell;
mod range;
mod remove;
mod remove_range;
mod separators;
mod slot;
mod source;
#[cfg(test)]
mod tests;
mod walk;

#[cfg(foldb_loom)]
pub(crate) use self::page_cell::fill_a_page_cell_twice;
pub use builder::TreeBuilder;
pub use cursor::Cursor;
pub use diff::DiffVisitor;
pub use leaves::{LeafPage, LeafRef};
pub use range::{Direction, KeyRange};
pub use source::{NoPages, PageRef, PageSource};

use inner::{Children, Inner};
use leaf::{Leaf, touch_slots};
use slot::{Fences, LeafSlot};

/// Longest key of a tree: a user's key and what the primitives put before and behind it.
pub const KEY_BYTES_MAX: usize = limits::KEY_BYTES_MAX + 16;

/// Largest value of a tree. A larger one stays in the log, and the tree holds a pointer to it.
pub const VALUE_BYTES_MAX: usize = limits::ENTRY_VALUE_BYTES_MAX;

/// Highest kind of an entry.
pub const KIND_MAX: u8 = 15;

/// What a tree holds for a key, borrowed from its page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EntryRef<'a> {
    /// What the value means, 0 to [`KIND_MAX`]; the tree does not look at it.
    pub kind: u8,
    /// Sequence number of the commit that wrote it.
    pub seq: u64,
    /// The bytes.
    pub value: &'a [u8],
}

/// The sizes of a tree's nodes. The default is what measurements chose (docs/decisions/0001-tree-layout.md); others exist
/// for measuring and for tests that want many small nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TreeConfig {
    /// A leaf is split when it would need more bytes than this: 128 to 32,768, default 6120, with which the largest allocation
    /// is 6 KiB. Larger leaves make scans and snapshots quicker and save memory; insertions and the first access to an absent
    /// leaf become slower.
    pub leaf_bytes: usize,
    /// A leaf's allocation grows in steps of this many bytes: 16 to 4096, default 256. Smaller steps save memory, half a step
    /// per leaf, and cost more copying.
    pub leaf_step_bytes: usize,
    /// Most children of an inner node: 4 to 64, default 64. Smaller nodes are copied more quickly, larger ones make the tree
    /// less high.
    pub inner_children_max: usize,
}

impl Default for TreeConfig {
    fn default() -> Self {
        Self { leaf_bytes: 6120, leaf_step_bytes: 256, inner_children_max: 64 }
    }
}

/// A [`TreeConfig`] within its bounds, small because every tree carries one.
#[derive(Clone, Copy)]
struct Shape {
    leaf_bytes: u16,
    leaf_step_bytes: u16,
    inner_children_max: u16,
}

impl Shape {
    fn new(config: TreeConfig) -> Self {
        let within = |value: usize, min: usize, max: u16| u16::try_from(value.max(min)).unwrap_or(max).min(max);
        Self {
            leaf_bytes: within(config.leaf_bytes, 128, 32_768),
            leaf_step_bytes: within(config.leaf_step_bytes, 16, 4096),
            inner_children_max: within(config.inner_children_max, 4, 64),
        }
    }

    fn leaf_bytes(&self) -> usize {
        usize::from(self.leaf_bytes)
    }

    fn leaf_step_bytes(&self) -> usize {
        usize::from(self.leaf_step_bytes)
    }

    fn inner_children_max(&self) -> usize {
        usize::from(self.inner_children_max)
    }

    /// The gap of a page that uses `used` bytes: what makes its allocation, with the two counts before the page and an
    /// allocator's own word, a whole number of steps. The holes that grown pages leave then fit other pages.
    fn gap_for(&self, used: usize) -> usize {
        const OUTSIDE: usize = 3 * size_of::<usize>();
        let allocated = used + OUTSIDE;
        allocated.next_multiple_of(self.leaf_step_bytes()) - allocated
    }

    /// How many bytes of a page may be unused before it is written anew.
    fn waste_bytes_max(&self, page_bytes: usize) -> usize {
        (page_bytes / 4).max(2 * self.leaf_step_bytes())
    }
}

/// A persistent map from keys to entries. Cloning it costs one reference count; the clones are independent.
#[derive(Clone)]
pub struct Tree {
    root: Root,
    len: u64,
    shape: Shape,
}

#[derive(Clone)]
enum Root {
    Empty,
    Leaf(LeafSlot),
    Inner(Arc<Inner>),
}

impl Default for Tree {
    fn default() -> Self {
        Self::new()
    }
}

impl core::fmt::Debug for Tree {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Tree").field("len", &self.len).finish_non_exhaustive()
    }
}

impl Tree {
    /// An empty tree. It owns no memory until the first insertion.
    pub fn new() -> Self {
        Self::with_config(TreeConfig::default())
    }

    /// An empty tree with nodes of these sizes; what is out of bounds is brought to the nearest bound.
    pub fn with_config(config: TreeConfig) -> Self {
        Self { root: Root::Empty, len: 0, shape: Shape::new(config) }
    }

    /// Number of keys.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether there is no key.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The entry of `key`, borrowed from its page. Allocates nothing and, in a tree larger than the caches, waits for
    /// memory about twice.
    ///
    /// # Errors
    /// What `pages` returns, and [`Error::Corrupt`](crate::Error::Corrupt) (F-40), if the leaf is absent.
    ///
    /// ```
    /// # use foldb_core::tree::{NoPages, Tree};
    /// let tree = Tree::new();
    /// assert!(tree.get(b"nothing", &NoPages)?.is_none());
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    #[inline]
    pub fn get<'a>(&'a self, key: &[u8], pages: &dyn PageSource) -> Result<Option<EntryRef<'a>>> {
        let Some(slot) = self.slot_for(key) else { return Ok(None) };
        let page = slot.page(pages, || self.fences_around(key))?;
        touch_slots(page);
        Ok(Leaf::new(page).get(key))
    }

    /// Makes the leaf of `key` resident, so that an insertion or removal of this key that follows cannot fail for want of
    /// a page. A removal merges with resident neighbours only.
    ///
    /// # Errors
    /// As for [`Self::get`].
    ///
    /// ```
    /// # use foldb_core::tree::{NoPages, Tree};
    /// Tree::new().prepare(b"key", &NoPages)?;
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    pub fn prepare(&self, key: &[u8], pages: &dyn PageSource) -> Result<()> {
        match self.slot_for(key) {
            Some(slot) => slot.page(pages, || self.fences_around(key)).map(|_| ()),
            None => Ok(()),
        }
    }

    /// Which page of a snapshot file holds `key`, or would; `None` where the leaf is not as it was read.
    pub(crate) fn page_of(&self, key: &[u8]) -> Option<PageRef> {
        match self.slot_for(key)? {
            LeafSlot::Absent(absent) => Some(absent.stored().at),
            LeafSlot::Resident(_) => None,
        }
    }

    /// Whether both are the same version by construction: neither has been changed since one was cloned from the other. O(1);
    /// `false` says nothing about the contents.
    ///
    /// ```
    /// # use foldb_core::tree::Tree;
    /// let tree = Tree::new();
    /// assert!(tree.shares_root_with(&tree.clone()));
    /// ```
    pub fn shares_root_with(&self, other: &Self) -> bool {
        match (&self.root, &other.root) {
            (Root::Empty, Root::Empty) => true,
            (Root::Leaf(left), Root::Leaf(right)) => left.same_as(right),
            (Root::Inner(left), Root::Inner(right)) => Arc::ptr_eq(left, right),
            _ => false,
        }
    }

    /// The leaf that `key` belongs to.
    #[inline]
    fn slot_for(&self, key: &[u8]) -> Option<&LeafSlot> {
        let mut inner = match &self.root {
            Root::Empty => return None,
            Root::Leaf(slot) => return Some(slot),
            Root::Inner(inner) => inner,
        };
        loop {
            let index = inner.separators.route(key);
            match &inner.children {
                Children::Leaves(leaves) => return leaves.get(index),
                Children::Inners(inners) => inner = inners.get(index)?,
            }
        }
    }

    /// The bounds of the leaf that `key` belongs to.
    #[cold]
    fn fences_around(&self, key: &[u8]) -> Fences {
        let mut fences = Fences::default();
        let Root::Inner(root) = &self.root else { return fences };
        let mut inner = root;
        loop {
            let index = inner.separators.route(key);
            fences.narrow_to_child(inner, index);
            match &inner.children {
                Children::Leaves(_) => return fences,
                Children::Inners(inners) => match inners.get(index) {
                    Some(child) => inner = child,
                    None => return fences,
                },
            }
        }
    }

    /// Bytes of memory that the tree holds, shared ones included: pages with their gaps, inner nodes, references to absent
    /// leaves. Walks all nodes.
    ///
    /// ```
    /// # use foldb_core::tree::Tree;
    /// assert_eq!(Tree::new().memory_bytes(), 0);
    /// ```
    pub fn memory_bytes(&self) -> u64 {
        match &self.root {
            Root::Empty => 0,
            Root::Leaf(slot) => slot.memory_bytes(),
            Root::Inner(inner) => inner.memory_bytes_below(),
        }
    }

    /// About as many bytes of memory as a tree with the same entries takes that has no absent leaf. Walks all nodes, reads none.
    ///
    /// ```
    /// # use foldb_core::tree::Tree;
    /// assert_eq!(Tree::new().resident_bytes(), 0);
    /// ```
    pub fn resident_bytes(&self) -> u64 {
        match &self.root {
            Root::Empty => 0,
            Root::Leaf(slot) => slot.resident_bytes(),
            Root::Inner(inner) => inner.resident_bytes_below(),
        }
    }
}
