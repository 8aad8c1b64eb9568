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
type Cell = crate::sync::OnceLock<Page>;

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

/// Every schedule of two readers that read the same page: see `crate::db::models`.
#[cfg(foldb_loom)]
pub(crate) fn fill_a_page_cell_twice() {
    loom::model(|| {
        let cell = alloc::sync::Arc::new(PageCell::default());
        let read = |cell: &PageCell| {
            if cell.page().is_none() {
                cell.fill(Page::from([1_u8, 2, 3].as_slice()));
            }
            Page::clone(cell.page().expect("it was filled"))
        };
        let other = loom::thread::spawn({
            let cell = alloc::sync::Arc::clone(&cell);
            move || read(&cell)
        });
        let (mine, others) = (read(&cell), other.join().expect("the other reader"));
        assert!(alloc::sync::Arc::ptr_eq(&mine, &others), "one page, however many have read it");
    });
}
