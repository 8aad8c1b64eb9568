//! Where the pages of absent leaves come from: [`PageRef`], [`PageSource`] and [`NoPages`].
//!
//! Invariant: the tree trusts nothing that a source returns. Length, checksum and structure are verified once, when a page
//! becomes resident, and never again.

use alloc::{string::String, vec::Vec};

use crate::{Error, Result};

/// The place of one leaf page in a snapshot file, with what is needed to verify it.
///
/// ```
/// use foldb_core::tree::PageRef;
/// let page = PageRef { generation: 7, offset: 4096, len: 3900, crc: 0x1234_5678 };
/// assert_eq!(page.generation, 7);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageRef {
    /// Number of the snapshot file: the page is in `snap-<generation, 20 digits>`.
    pub generation: u64,
    /// Offset of the page's first byte in that file, in bytes.
    pub offset: u64,
    /// Length of the page in bytes.
    pub len: u32,
    /// CRC-32 (as in `crc32fast`) of the page's bytes.
    pub crc: u32,
}

/// Supplies the bytes of absent leaves.
///
/// A tree whose leaves are all resident never asks. The tree verifies the bytes itself, so a source only has to read.
pub trait PageSource {
    /// The `at.len` bytes at `at.offset` of snapshot file `at.generation`.
    ///
    /// # Errors
    /// Whatever the storage reports. The tree is unchanged then, and the next access asks again.
    fn page(&self, at: &PageRef) -> Result<Vec<u8>>;
}

/// The source of a tree that is wholly in memory: it is never asked, and says so if it is.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoPages;

impl PageSource for NoPages {
    fn page(&self, _at: &PageRef) -> Result<Vec<u8>> {
        Err(Error::Unsupported {
            what: "reading a leaf page from a snapshot",
            why: String::from("this tree was opened without a page source; pass the one of its store"),
        })
    }
}
