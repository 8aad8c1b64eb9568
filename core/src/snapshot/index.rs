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

/// The pages that an index is of.
#[derive(Clone, Copy)]
pub(super) struct IndexedPages {
    pub(super) generation: u64,
    /// Where they end.
    pub(super) end: u64,
}

/// Where in an index a space begins.
#[derive(Clone, Copy, Default)]
pub(super) struct IndexPlace {
    /// Bytes of the index from there on.
    left: usize,
    /// Where its first page begins.
    page: u64,
}

/// Reads an index from front to back.
pub(super) struct IndexReader<'a> {
    fields: Fields<'a>,
    pages: IndexedPages,
    /// Where the next page begins.
    offset: u64,
    /// Fence of the leaf before, in the same space.
    before: Option<&'a [u8]>,
}

impl<'a> IndexReader<'a> {
    pub(super) fn new(fields: Fields<'a>, pages: IndexedPages) -> Self {
        Self { fields, pages, offset: PAGES_OFFSET, before: None }
    }

    /// Goes on at the place of a space. `index` ends where the whole index does.
    pub(super) fn resume(index: &'a [u8], place: IndexPlace, pages: IndexedPages) -> Self {
        let start = index.len().saturating_sub(place.left);
        let rest = index.get(start..).unwrap_or_default();
        Self { fields: Fields::new("the leaf index", 0, rest, "F-47"), pages, offset: place.page, before: None }
    }

    pub(super) fn pages(&self) -> IndexedPages {
        self.pages
    }

    /// Where the next space begins.
    pub(super) fn place(&self) -> IndexPlace {
        IndexPlace { left: self.fields.remaining(), page: self.offset }
    }

    /// How many bytes the spaces have that were not read.
    pub(super) fn remaining(&self) -> usize {
        self.fields.remaining()
    }

    /// Checks the leaves of the next space without building its tree. Returns how many entries they have.
    pub(super) fn skip_space(&mut self) -> Result<u64> {
        let mut entries = 0_u64;
        while let Some(leaf) = self.leaf()? {
            entries = entries.saturating_add(u64::from(leaf.entries));
        }
        Ok(entries)
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
        let available = self.pages.end.saturating_sub(self.offset);
        if len < entries || u64::from(len) > available {
            let what =
                format!("a page of {len} bytes with {entries} entries, where {available} bytes of pages are left");
            return Err(self.fields.corrupt(what));
        }
        let at = PageRef { generation: self.pages.generation, offset: self.offset, len, crc };
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
        if self.offset != self.pages.end {
            let what = format!("the pages end at offset {}, their section at {}", self.offset, self.pages.end);
            return Err(self.fields.corrupt(what));
        }
        self.fields.finish()
    }
}
