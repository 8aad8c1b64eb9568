//! Building a tree from entries that come in key order: full leaves, each byte written once or twice.

use alloc::{format, vec::Vec};

use super::{
    EntryRef, Shape, Tree, TreeConfig,
    bulk::BulkLevels,
    insert::check_entry,
    leaf::{Entry, SLOT_BYTES, at},
    leaf_build::{Item, NewEntry, assemble, common_len, entry_bytes, shared_prefix},
    slot::LeafSlot,
};
use crate::{Error, Result};

/// Builds a [`Tree`] of full leaves from entries in ascending order of their keys.
///
/// ```
/// use foldb_core::tree::{NoPages, TreeBuilder, TreeConfig};
/// let mut builder = TreeBuilder::new(TreeConfig::default());
/// builder.push(b"a", 0, b"1", 1)?;
/// builder.push(b"b", 0, b"2", 1)?;
/// let tree = builder.finish();
/// assert_eq!(tree.get(b"b", &NoPages)?.map(|entry| entry.value), Some(b"2".as_slice()));
/// # Ok::<(), foldb_core::Error>(())
/// ```
pub struct TreeBuilder {
    shape: Shape,
    len: u64,
    levels: BulkLevels,
    /// Lower bound of the leaf that is being filled.
    fence: Vec<u8>,
    staged: Staged,
    last_key: Vec<u8>,
}

/// The entries of the leaf that is being filled, encoded without a prefix: how long that is shows only at the end.
#[derive(Default)]
struct Staged {
    heap: Vec<u8>,
    /// Of each entry its head and where it begins in `heap`.
    entries: Vec<(u32, usize)>,
    /// Lengths of key and value of each.
    lens: Vec<(usize, usize)>,
    first_key: Vec<u8>,
    prefix_len: usize,
    /// Bytes of slots and heap with a prefix of this length.
    bytes: usize,
    scratch: Vec<u8>,
}

impl Staged {
    /// Length of the page if an entry with this key and value were added, and of its prefix.
    fn bytes_with(&self, key: &[u8], value_len: usize) -> (usize, usize) {
        let stored = |prefix_len: usize, (key_len, value_len): (usize, usize)| {
            SLOT_BYTES + entry_bytes(key_len.saturating_sub(prefix_len), value_len)
        };
        if self.entries.is_empty() {
            return (stored(key.len(), (key.len(), value_len)), key.len());
        }
        let beginning = self.first_key.get(..self.prefix_len).unwrap_or_default();
        let prefix_len = common_len(beginning, key);
        let others = if prefix_len == self.prefix_len {
            self.bytes
        } else {
            self.lens.iter().map(|lens| stored(prefix_len, *lens)).sum()
        };
        (others + stored(prefix_len, (key.len(), value_len)), prefix_len)
    }

    fn push(&mut self, new: &NewEntry<'_>) {
        let (bytes, prefix_len) = self.bytes_with(new.key, new.entry.value.len());
        if self.entries.is_empty() {
            self.first_key.clear();
            self.first_key.extend_from_slice(new.key);
        }
        (self.bytes, self.prefix_len) = (bytes, prefix_len);
        let item = Item::fresh(new, 0, &mut self.scratch);
        self.entries.push((item.entry.head, self.heap.len()));
        self.heap.extend_from_slice(item.entry.bytes);
        self.lens.push((new.key.len(), new.entry.value.len()));
    }

    fn take_page(&mut self) -> LeafSlot {
        let decode = |&(head, start): &(u32, usize)| Entry::decode(head, self.heap.get(start..)?);
        let items: Vec<Item<'_>> =
            self.entries.iter().filter_map(decode).map(|entry| Item { prefix: &[], entry }).collect();
        let page = assemble(&shared_prefix(&items), &items, 0);
        self.heap.clear();
        self.entries.clear();
        self.lens.clear();
        LeafSlot::Resident(page)
    }
}

impl TreeBuilder {
    /// A builder of a tree with nodes of these sizes.
    pub fn new(config: TreeConfig) -> Self {
        Self {
            shape: Shape::new(config),
            len: 0,
            levels: BulkLevels::new(Shape::new(config)),
            fence: Vec::new(),
            staged: Staged::default(),
            last_key: Vec::new(),
        }
    }

    /// Adds an entry.
    ///
    /// # Errors
    /// [`Error::Invalid`] if `key` is not above the one before it; otherwise as [`Tree::insert`]. The entry is not added then.
    pub fn push(&mut self, key: &[u8], kind: u8, value: &[u8], seq: u64) -> Result<()> {
        let entry = EntryRef { kind, seq, value };
        check_entry(key, &entry)?;
        if self.len > 0 && key <= self.last_key.as_slice() {
            return Err(Error::Invalid {
                what: "order of keys",
                why: format!("key {} is not above the one before it", self.len),
            });
        }
        let (bytes, prefix_len) = self.staged.bytes_with(key, value.len());
        if self.len > 0 && at::HEADER_END + prefix_len + bytes > self.shape.leaf_bytes() {
            let separator = key.get(..=common_len(&self.last_key, key)).unwrap_or(key);
            let fence = core::mem::replace(&mut self.fence, separator.to_vec());
            self.levels.push(fence, self.staged.take_page())?;
        }
        self.staged.push(&NewEntry { key, entry });
        self.last_key.clear();
        self.last_key.extend_from_slice(key);
        self.len += 1;
        Ok(())
    }

    /// The tree of all entries.
    pub fn finish(mut self) -> Tree {
        if self.len > 0 {
            // Separators of ascending keys ascend, so that the last leaf cannot be refused.
            let last = self.levels.push(self.fence, self.staged.take_page());
            debug_assert!(last.is_ok(), "separators ascend");
        }
        Tree { root: self.levels.finish(), len: self.len, shape: self.shape }
    }
}
