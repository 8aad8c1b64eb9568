//! Pages read one after the other, in large pieces: for loading and verifying a whole snapshot.

use alloc::vec::Vec;
use core::cell::RefCell;

use super::{contents::read_exact, layout::wide};
use crate::{
    Result,
    storage::StorageFile,
    tree::{PageRef, PageSource},
};

/// Bytes per read: many pages for one call, and little enough that what was read is still in the processor's cache when
/// its pages are checked.
const PIECE_BYTES: u64 = 256 << 10;

/// A source for pages that are asked for in the order of the file. Any other order is right too, but slow.
pub(super) struct SequentialPages<'a, F> {
    file: &'a F,
    name: &'a str,
    /// Where the pages end.
    end: u64,
    piece: RefCell<Piece>,
}

#[derive(Default)]
struct Piece {
    offset: u64,
    bytes: Vec<u8>,
}

impl Piece {
    fn page(&self, at: &PageRef) -> Option<&[u8]> {
        let start = usize::try_from(at.offset.checked_sub(self.offset)?).ok()?;
        let end = start.checked_add(usize::try_from(at.len).ok()?)?;
        self.bytes.get(start..end)
    }
}

impl<'a, F: StorageFile> SequentialPages<'a, F> {
    /// Pages of an open file that end at offset `end`.
    pub(super) fn new(file: &'a F, name: &'a str, end: u64) -> Self {
        Self { file, name, end, piece: RefCell::default() }
    }
}

impl<F: StorageFile> PageSource for SequentialPages<'_, F> {
    fn page(&self, at: &PageRef) -> Result<Vec<u8>> {
        // Nothing in here calls back, so the cell is never borrowed twice.
        let mut piece = self.piece.borrow_mut();
        if piece.page(at).is_none() {
            // The index was checked against the file, so that a page ends before `end`; not more than that is allocated.
            let len = self.end.saturating_sub(at.offset).min(PIECE_BYTES.max(u64::from(at.len)));
            let mut bytes = core::mem::take(&mut piece.bytes);
            bytes.resize(usize::try_from(len).unwrap_or(usize::MAX), 0);
            read_exact(self.file, self.name, at.offset, &mut bytes)?;
            *piece = Piece { offset: at.offset, bytes };
        }
        // Shorter where the reference is not of this file: the tree compares lengths.
        Ok(piece.page(at).map_or_else(Vec::new, <[u8]>::to_vec))
    }
}

/// The checksum of pages that lie one behind the other, from theirs.
pub(super) fn append_page(checksum: &mut crate::checksum::Hasher, len: usize, page_checksum: u32) {
    checksum.combine(&crate::checksum::Hasher::new_with_initial_len(page_checksum, wide(len)));
}
