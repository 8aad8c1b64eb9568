//! A place for a page that is filled once and read by anyone: how an absent leaf becomes resident without a lock.
//!
//! With `std` the reference to the page lies in the cell itself, so that a leaf that was read from a snapshot is found with
//! as few cache misses as one that was never away. Without `std` safe Rust has no such cell, and the reference lies in a box.

#[cfg(not(feature = "std"))]
use alloc::boxed::Box;

use super::leaf::Page;

#[cfg(not(feature = "std"))]
type Cell = once_cell::race::OnceBox<Page>;
#[cfg(feature = "std")]
type Cell = std::sync::OnceLock<Page>;

/// A place for one page.
#[derive(Clone, Default)]
pub(super) struct PageCell(Cell);

impl PageCell {
    /// The page, if it is here.
    #[inline]
    pub(super) fn page(&self) -> Option<&Page> {
        self.0.get()
    }

    /// Puts `page` in. Where two threads do so at once the first one wins; both have read the same verified bytes.
    pub(super) fn fill(&self, page: Page) {
        #[cfg(not(feature = "std"))]
        let page = Box::new(page);
        drop(self.0.set(page));
    }
}
