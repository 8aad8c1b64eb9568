//! The leaf index: for each space, its leaves in key order. Rule F-47.
//!
//! Invariant: pages lie one behind the other in the order of the index, so an entry needs no offset, no page can overlap
//! another, and no byte of the pages section is without an owner.

use alloc::{format, vec::Vec};
use core::iter;

use super::{fields::Fields, layout::PAGES_OFFSET};
use crate::{
    Result,
    log::varint,
    tree::{KEY_BYTES_MAX, PageRef, Tree},
};

/// What the index begins a leaf with where there is none: no leaf has zero entries.
const NO_MORE_LEAVES: u8 = 0;

/// Appends a leaf.
pub(super) fn write_leaf(index: &mut Vec<u8>, fence: &[u8], entries: u32, page_len: u32, page_checksum: u32) {
    varint::write(index, u64::from(entries));
    varint::write(index, u64::from(page_len));
    index.extend_from_slice(&page_checksum.to_le_bytes());
    varint::write(index, super::layout::wide(fence.len()));
    index.extend_from_slice(fence);
}

/// Ends the leaves of a space.
pub(super) fn finish_space(index: &mut Vec<u8>) {
    index.push(NO_MORE_LEAVES);
}

/// One leaf as the index describes it.
#[derive(Clone, Copy)]
pub(super) struct IndexedLeaf<'a> {
    pub(super) fence: &'a [u8],
    pub(super) entries: u32,
    pub(super) at: PageRef,
}

/// Reads an index from front to back.
pub(super) struct IndexReader<'a> {
    fields: Fields<'a>,
    generation: u64,
    /// Where the next page begins.
    offset: u64,
    pages_end: u64,
    /// Fence of the leaf before, in the same space.
    before: Option<&'a [u8]>,
}

impl<'a> IndexReader<'a> {
    pub(super) fn new(fields: Fields<'a>, generation: u64, pages_end: u64) -> Self {
        Self { fields, generation, offset: PAGES_OFFSET, pages_end, before: None }
    }

    /// The next leaf of this space; `None` behind its last one, and then the next space begins.
    pub(super) fn leaf(&mut self) -> Result<Option<IndexedLeaf<'a>>> {
        let entries = self.fields.varint32()?;
        if entries == u32::from(NO_MORE_LEAVES) {
            self.before = None;
            return Ok(None);
        }
        let len = self.fields.varint32()?;
        let crc = self.fields.u32()?;
        let fence = self.fields.length_and_bytes()?;
        let ascends = self.before.map_or(fence.is_empty(), |before| before < fence);
        if !ascends || fence.len() > KEY_BYTES_MAX {
            let what = format!("a fence of {} bytes that does not follow the one before it", fence.len());
            return Err(self.fields.corrupt(what));
        }
        let available = self.pages_end.saturating_sub(self.offset);
        if len < entries || u64::from(len) > available {
            let what =
                format!("a page of {len} bytes with {entries} entries, where {available} bytes of pages are left");
            return Err(self.fields.corrupt(what));
        }
        let at = PageRef { generation: self.generation, offset: self.offset, len, crc };
        self.offset += u64::from(len);
        self.before = Some(fence);
        Ok(Some(IndexedLeaf { fence, entries, at }))
    }

    /// The tree of the next space, with all leaves absent.
    pub(super) fn tree(&mut self) -> Result<Tree> {
        // Most of many runs may be empty: no machinery for those.
        if self.fields.skip_byte(NO_MORE_LEAVES) {
            return Ok(Tree::new());
        }
        Tree::from_leaves(iter::from_fn(|| {
            self.leaf().map(|leaf| leaf.map(|leaf| (leaf.fence.to_vec(), leaf.entries, leaf.at))).transpose()
        }))
    }

    /// Fails where leaves or pages are left.
    pub(super) fn finish(self) -> Result<()> {
        if self.offset != self.pages_end {
            let what = format!("the pages end at offset {}, their section at {}", self.offset, self.pages_end);
            return Err(self.fields.corrupt(what));
        }
        self.fields.finish()
    }
}
