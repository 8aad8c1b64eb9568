//! Insertion and replacement.
//!
//! Invariant: nothing is changed before the leaf is known to be in memory, so an error leaves the tree as it was.

use alloc::{format, sync::Arc, vec::Vec};

use super::{
    EntryRef, KEY_BYTES_MAX, KIND_MAX, NoPages, PageSource, Root, Shape, Tree, VALUE_BYTES_MAX,
    inner::{Child, Children, Inner},
    leaf::{Leaf, Page, touch_slots},
    leaf_build::NewEntry,
    leaf_edit::{Edited, first_page, put},
    slot::LeafSlot,
};
use crate::{Error, Result, error::check_limit, limits::SEQ_MAX};

/// One insertion on its way down.
struct Insertion<'a> {
    new: NewEntry<'a>,
    shape: Shape,
    replaced: &'a mut dyn FnMut(EntryRef<'_>),
    was_there: bool,
}

/// What became of a node.
enum Outcome<Node> {
    /// The leaf is not in memory; nothing has changed.
    NotResident,
    /// The entry is in it.
    Done,
    /// It is in it, and this new node holds what is not below the separator.
    Split(Vec<u8>, Node),
}

/// Checks what every entry of a tree must keep to.
pub(super) fn check_entry(key: &[u8], entry: &EntryRef<'_>) -> Result<()> {
    check_limit("key bytes", key.len(), KEY_BYTES_MAX)?;
    check_limit("inline value bytes", entry.value.len(), VALUE_BYTES_MAX)?;
    if entry.seq > SEQ_MAX {
        return Err(Error::Limit { what: "seq", size: entry.seq, limit: SEQ_MAX });
    }
    if entry.kind > KIND_MAX {
        return Err(Error::Invalid { what: "entry kind", why: format!("{} is above {KIND_MAX}", entry.kind) });
    }
    Ok(())
}

impl Tree {
    /// Sets the entry of `key`. Calls `replaced` with the entry that was there, if any, before it is overwritten.
    ///
    /// # Errors
    /// [`Error::Limit`] for a key, value or seq over its limit, [`Error::Invalid`] for a kind above [`KIND_MAX`], and what
    /// [`Self::get`] returns if the leaf is absent. The tree is unchanged then.
    ///
    /// ```
    /// # use foldb_core::tree::{NoPages, Tree};
    /// let mut tree = Tree::new();
    /// tree.insert(b"key", 0, b"value", 1, &NoPages, &mut |_| {})?;
    /// assert_eq!(tree.len(), 1);
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    pub fn insert(
        &mut self,
        key: &[u8],
        kind: u8,
        value: &[u8],
        seq: u64,
        pages: &dyn PageSource,
        replaced: &mut dyn FnMut(EntryRef<'_>),
    ) -> Result<()> {
        let entry = EntryRef { kind, seq, value };
        check_entry(key, &entry)?;
        let mut insertion = Insertion { new: NewEntry { key, entry }, shape: self.shape, replaced, was_there: false };
        if !self.put(&mut insertion) {
            self.prepare(key, pages)?;
            if !self.put(&mut insertion) {
                // `prepare` has just loaded this leaf; a source that loses it again is none.
                return NoPages.page(&super::PageRef { generation: 0, offset: 0, len: 0, crc: 0 }).map(|_| ());
            }
        }
        if !insertion.was_there {
            self.len += 1;
        }
        Ok(())
    }

    /// `false` if the leaf is not in memory.
    fn put(&mut self, insertion: &mut Insertion<'_>) -> bool {
        match &mut self.root {
            Root::Empty => self.root = Root::Leaf(LeafSlot::Resident(first_page(&insertion.new, &self.shape))),
            Root::Leaf(slot) => match put_in_leaf(slot, insertion, true) {
                Outcome::NotResident => return false,
                Outcome::Done => {}
                Outcome::Split(separator, upper) => {
                    let (lower, upper) = (Child::Leaf(slot.clone()), Child::Leaf(LeafSlot::Resident(upper)));
                    self.root = Root::Inner(Arc::new(Inner::pair(lower, &separator, upper)));
                }
            },
            Root::Inner(inner) => match put_in_inner(inner, insertion, true) {
                Outcome::NotResident => return false,
                Outcome::Done => {}
                Outcome::Split(separator, upper) => {
                    let (lower, upper) = (Child::Inner(Arc::clone(inner)), Child::Inner(upper));
                    self.root = Root::Inner(Arc::new(Inner::pair(lower, &separator, upper)));
                }
            },
        }
        true
    }
}

fn put_in_leaf(slot: &mut LeafSlot, insertion: &mut Insertion<'_>, rightmost: bool) -> Outcome<Page> {
    let Some(page) = slot.page_mut() else { return Outcome::NotResident };
    touch_slots(page);
    let found = match Leaf::new(page).find(insertion.new.key) {
        Ok((index, old)) => {
            (insertion.replaced)(old.entry);
            insertion.was_there = true;
            Ok(index)
        }
        Err(index) => Err(index),
    };
    match put(page, found, &insertion.new, rightmost, &insertion.shape) {
        Edited::Fits => Outcome::Done,
        Edited::Split(separator, upper) => Outcome::Split(separator, upper),
    }
}

fn put_in_inner(inner: &mut Arc<Inner>, insertion: &mut Insertion<'_>, rightmost: bool) -> Outcome<Arc<Inner>> {
    let node = Arc::make_mut(inner);
    let index = node.separators.route(insertion.new.key);
    let rightmost = rightmost && index == node.separators.len();
    let (separator, upper) = match &mut node.children {
        Children::Leaves(leaves) => {
            let Some(slot) = leaves.get_mut(index) else { return Outcome::NotResident };
            match put_in_leaf(slot, insertion, rightmost) {
                Outcome::NotResident => return Outcome::NotResident,
                Outcome::Done => return Outcome::Done,
                Outcome::Split(separator, upper) => (separator, Child::Leaf(LeafSlot::Resident(upper))),
            }
        }
        Children::Inners(inners) => {
            let Some(child) = inners.get_mut(index) else { return Outcome::NotResident };
            match put_in_inner(child, insertion, rightmost) {
                Outcome::NotResident => return Outcome::NotResident,
                Outcome::Done => return Outcome::Done,
                Outcome::Split(separator, upper) => (separator, Child::Inner(upper)),
            }
        }
    };
    match node.take_in(index, separator, upper, insertion.shape.inner_children_max(), rightmost) {
        None => Outcome::Done,
        Some((separator, upper)) => Outcome::Split(separator, upper),
    }
}
