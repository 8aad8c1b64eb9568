//! A leaf as its parent holds it: resident, or a reference to a page in a snapshot file.
//!
//! Invariant: an absent leaf is verified before anyone sees its bytes, and is kept once it has been read.

use alloc::{format, string::String, sync::Arc, vec::Vec};

use super::{
    PageRef, PageSource,
    leaf::{Leaf, Page},
    leaf_verify,
    page_cell::PageCell,
};
use crate::{
    Error, Result,
    planted::{self, Planted},
    work,
};

/// One leaf.
#[derive(Clone)]
pub(super) enum LeafSlot {
    /// In memory, perhaps changed since the last snapshot.
    Resident(Page),
    /// In a snapshot file, unchanged since.
    Absent(AbsentLeaf),
}

/// A leaf in a snapshot file, as one node holds it.
#[derive(Clone)]
pub(super) struct AbsentLeaf {
    /// The page once this node has asked for it: a second reference, without the way through `stored`.
    near: PageCell,
    stored: Arc<StoredLeaf>,
}

/// A leaf in a snapshot file, as all versions of the tree share it: what one of them has read, the others need not.
pub(super) struct StoredLeaf {
    pub(super) at: PageRef,
    pub(super) entries: u32,
    page: PageCell,
}

/// The bounds that the separators above a leaf set for its keys.
#[derive(Default)]
pub(super) struct Fences {
    /// No key is below it.
    pub(super) lower: Option<Vec<u8>>,
    /// Every key is below it.
    pub(super) upper: Option<Vec<u8>>,
}

impl AbsentLeaf {
    pub(super) fn new(at: PageRef, entries: u32) -> Self {
        Self { near: PageCell::default(), stored: Arc::new(StoredLeaf { at, entries, page: PageCell::default() }) }
    }

    pub(super) fn stored(&self) -> &Arc<StoredLeaf> {
        &self.stored
    }

    /// The page, if it has been read.
    #[inline]
    pub(super) fn loaded(&self) -> Option<&Page> {
        self.near.page().or_else(|| self.fetch_near())
    }

    #[cold]
    fn fetch_near(&self) -> Option<&Page> {
        let page = self.stored.page.page()?;
        self.near.fill(Arc::clone(page));
        Some(page)
    }

    /// Reads and verifies the page. Out of line: it must not slow down what is resident.
    #[cold]
    fn load(&self, pages: &dyn PageSource, fences: &Fences) -> Result<&Page> {
        let StoredLeaf { at, entries, page } = &*self.stored;
        work::count(1);
        work::count_bytes(usize::try_from(at.len).unwrap_or(usize::MAX));
        let bytes = pages.page(at)?;
        verify(at, *entries, &bytes, fences).map_err(|what| Error::Corrupt {
            file: format!("snap-{:020}", at.generation),
            offset: at.offset,
            rule: "F-40",
            what,
        })?;
        page.fill(Page::from(bytes));
        self.loaded().ok_or(Error::Unsupported { what: "keeping a leaf page", why: String::from("its cell is empty") })
    }
}

/// Everything that must hold before the bytes of a page are believed.
fn verify(at: &PageRef, entries: u32, bytes: &[u8], fences: &Fences) -> Result<(), String> {
    if u32::try_from(bytes.len()) != Ok(at.len) {
        return Err(format!("the leaf page has {} bytes, its reference says {}", bytes.len(), at.len));
    }
    let crc = crate::checksum::hash(bytes);
    if crc != at.crc && !planted::active(Planted::PageChecksumSkipped) {
        return Err(format!("the leaf page has checksum {crc:#010x}, its reference says {:#010x}", at.crc));
    }
    leaf_verify::canonical(bytes, entries)?;
    leaf_verify::within(&Leaf::new(bytes), fences.lower.as_deref(), fences.upper.as_deref())
}

impl LeafSlot {
    /// The page, if it is in memory.
    #[inline]
    pub(super) fn resident(&self) -> Option<&Page> {
        match self {
            LeafSlot::Resident(page) => Some(page),
            LeafSlot::Absent(absent) => absent.loaded(),
        }
    }

    /// The page. `fences` is asked only if it has to be read.
    #[inline]
    pub(super) fn page(&self, pages: &dyn PageSource, fences: impl FnOnce() -> Fences) -> Result<&Page> {
        match self {
            LeafSlot::Resident(page) => Ok(page),
            LeafSlot::Absent(absent) => match absent.loaded() {
                Some(page) => Ok(page),
                None => absent.load(pages, &fences()),
            },
        }
    }

    /// The page for changing it: the leaf stops being a reference. `None` if it is not in memory.
    #[inline]
    pub(super) fn page_mut(&mut self) -> Option<&mut Page> {
        if let LeafSlot::Absent(absent) = self {
            *self = LeafSlot::Resident(Arc::clone(absent.loaded()?));
        }
        match self {
            LeafSlot::Resident(page) => Some(page),
            LeafSlot::Absent(_) => None,
        }
    }

    /// Whether both are known to hold the same entries without looking at them.
    pub(super) fn same_as(&self, other: &Self) -> bool {
        match (self, other) {
            (LeafSlot::Resident(left), LeafSlot::Resident(right)) => Arc::ptr_eq(left, right),
            (LeafSlot::Absent(left), LeafSlot::Absent(right)) => left.stored.at == right.stored.at,
            (LeafSlot::Resident(page), LeafSlot::Absent(absent))
            | (LeafSlot::Absent(absent), LeafSlot::Resident(page)) => {
                absent.loaded().is_some_and(|loaded| Arc::ptr_eq(loaded, page))
            }
        }
    }

    /// Number of entries.
    pub(super) fn entries(&self) -> u32 {
        match self {
            LeafSlot::Resident(page) => u32::try_from(Leaf::new(page).count()).unwrap_or(u32::MAX),
            LeafSlot::Absent(absent) => absent.stored.entries,
        }
    }
}
