//! Reading entries in order: [`Cursor`], which is pulled, and [`Tree::visit`], which pushes.

use alloc::vec::Vec;
use core::ops::ControlFlow;

use super::{
    Direction, EntryRef, KeyRange, PageSource, Tree,
    walk::{LeafSpan, LeafWalk},
};
use crate::Result;

/// Reads the entries of a range one by one. Keys are lent from one buffer, values from the pages.
pub struct Cursor<'a> {
    walk: LeafWalk<'a, KeyRange>,
    span: Option<LeafSpan<'a>>,
    key: Vec<u8>,
}

impl Cursor<'_> {
    /// The next key with its entry; `None` at the end of the range.
    ///
    /// # Errors
    /// What [`Tree::get`] returns where a leaf is absent. The cursor stays where it is, and a further call tries again.
    ///
    /// ```
    /// # use foldb_core::tree::{Direction, KeyRange, NoPages, Tree};
    /// let mut tree = Tree::new();
    /// for (key, value) in [(b"a", b"1"), (b"b", b"2")] {
    ///     tree.insert(key, 0, value, 1, &NoPages, &mut |_| {})?;
    /// }
    /// let mut cursor = tree.cursor(KeyRange::all(), Direction::Backward, &NoPages);
    /// while let Some((key, entry)) = cursor.next()? {
    ///     println!("{key:?} = {:?}", entry.value);
    /// }
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    #[expect(
        clippy::should_implement_trait,
        reason = "it lends the key from its own buffer, which Iterator cannot express"
    )]
    pub fn next(&mut self) -> Result<Option<(&[u8], EntryRef<'_>)>> {
        let span = match self.span.as_mut().filter(|span| span.start < span.end) {
            Some(span) => span,
            None => {
                let Some(span) = self.walk.next()? else { return Ok(None) };
                self.span.insert(span)
            }
        };
        let index = match self.walk.direction() {
            Direction::Forward => {
                span.start += 1;
                span.start - 1
            }
            Direction::Backward => {
                span.end -= 1;
                span.end
            }
        };
        let entry = span.leaf.entry(index);
        span.leaf.key_into(&entry, &mut self.key);
        Ok(Some((&self.key, entry.entry)))
    }
}

impl Tree {
    /// A cursor over the entries of `range`. It sees this version of the tree, whatever happens to clones of it.
    pub fn cursor<'a>(&'a self, range: KeyRange, direction: Direction, pages: &'a dyn PageSource) -> Cursor<'a> {
        Cursor { walk: LeafWalk::new(self, range, direction, pages), span: None, key: Vec::new() }
    }

    /// Calls `f` with each key of `range` and its entry until it breaks. A little quicker than a [`Cursor`].
    ///
    /// # Errors
    /// What [`Self::get`] returns where a leaf is absent.
    ///
    /// ```
    /// # use std::ops::ControlFlow;
    /// # use foldb_core::tree::{Direction, KeyRange, NoPages, Tree};
    /// let mut count = 0;
    /// Tree::new().visit(&KeyRange::all(), Direction::Forward, &NoPages, &mut |_key, _entry| {
    ///     count += 1;
    ///     ControlFlow::Continue(())
    /// })?;
    /// assert_eq!(count, 0);
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    pub fn visit(
        &self,
        range: &KeyRange,
        direction: Direction,
        pages: &dyn PageSource,
        f: &mut dyn FnMut(&[u8], EntryRef<'_>) -> ControlFlow<()>,
    ) -> Result<()> {
        let mut walk = LeafWalk::new(self, range, direction, pages);
        let mut key = Vec::new();
        while let Some(LeafSpan { leaf, start, end }) = walk.next()? {
            key.clear();
            key.extend_from_slice(leaf.prefix());
            let mut visit = |index| {
                let entry = leaf.entry(index);
                key.truncate(leaf.prefix().len());
                entry.push_suffix(&mut key);
                f(&key, entry.entry)
            };
            let flow = match direction {
                Direction::Forward => (start..end).try_for_each(&mut visit),
                Direction::Backward => (start..end).rev().try_for_each(&mut visit),
            };
            if flow.is_break() {
                break;
            }
        }
        Ok(())
    }
}
