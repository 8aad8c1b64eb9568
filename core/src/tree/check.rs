//! Verification of a whole tree in memory, for tests.

use alloc::{format, string::String, vec::Vec};

use super::{
    Root, Tree,
    inner::{Children, Inner},
    leaf::Leaf,
    leaf_verify::{entries_are_sound, within},
    slot::LeafSlot,
};

impl Tree {
    /// Every invariant of the tree; says which one is broken.
    pub(super) fn check(&self) -> Result<(), String> {
        let (entries, _) = match &self.root {
            Root::Empty => (0, 0),
            Root::Leaf(slot) => (check_leaf(slot, None, None)?, 0),
            Root::Inner(inner) => {
                if inner.children.len() < 2 {
                    return Err(format!("the root has {} children", inner.children.len()));
                }
                self.check_inner(inner, None, None)?
            }
        };
        if entries == self.len { Ok(()) } else { Err(format!("{entries} entries, but a length of {}", self.len)) }
    }

    /// Number of entries and height.
    fn check_inner(&self, inner: &Inner, lower: Option<&[u8]>, upper: Option<&[u8]>) -> Result<(u64, usize), String> {
        let children = inner.children.len();
        if inner.separators.len() + 1 != children || children > self.shape.inner_children_max() {
            return Err(format!("{} separators for {children} children", inner.separators.len()));
        }
        let keys: Vec<Vec<u8>> = (0..inner.separators.len()).map(|index| inner.separators.key(index)).collect();
        if !keys.is_sorted_by(|left, right| left < right) {
            return Err(format!("separators out of order: {keys:?}"));
        }
        let (mut entries, mut heights) = (0, Vec::new());
        for index in 0..children {
            let low = index.checked_sub(1).and_then(|before| keys.get(before)).map(Vec::as_slice).or(lower);
            let high = keys.get(index).map(Vec::as_slice).or(upper);
            if matches!((low, high), (Some(low), Some(high)) if low >= high) {
                return Err(format!("child {index} has bounds {low:?} and {high:?}"));
            }
            let (below, height) = match &inner.children {
                Children::Leaves(leaves) => (check_leaf(&leaves[index], low, high)?, 0),
                Children::Inners(inners) => self.check_inner(&inners[index], low, high)?,
            };
            entries += below;
            heights.push(height + 1);
        }
        if heights.windows(2).any(|pair| pair[0] != pair[1]) {
            return Err(format!("children of different heights: {heights:?}"));
        }
        Ok((entries, heights[0]))
    }
}

fn check_leaf(slot: &LeafSlot, lower: Option<&[u8]>, upper: Option<&[u8]>) -> Result<u64, String> {
    let Some(page) = slot.resident() else { return Ok(u64::from(slot.entries())) };
    let leaf = Leaf::new(page);
    if leaf.count() == 0 || leaf.used_bytes() > page.len() {
        return Err(format!("{} entries take {} of {} bytes", leaf.count(), leaf.used_bytes(), page.len()));
    }
    entries_are_sound(&leaf)?;
    within(&leaf, lower, upper)?;
    let live: usize = (0..leaf.count()).map(|index| leaf.entry(index).bytes.len()).sum();
    if live + leaf.dead_bytes() != leaf.heap_bytes() {
        return Err(format!("{live} live and {} dead bytes in a heap of {}", leaf.dead_bytes(), leaf.heap_bytes()));
    }
    Ok(u64::from(slot.entries()))
}
