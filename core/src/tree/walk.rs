//! Walking over the leaves of a range, in both directions, for cursors and visits.
//!
//! Invariant: leaves come in key order, each at most once; only those that the range touches are read.

use alloc::vec::Vec;
use core::{borrow::Borrow, ops::Bound};

use super::{
    Direction, KeyRange, PageSource, Root, Tree,
    inner::{Children, Inner},
    leaf::{Leaf, touch_all, touch_slots},
    slot::{Fences, LeafSlot},
};
use crate::{Result, work};

/// From so many entries on it pays to ask for a whole page at once.
const TOUCH_ENTRIES_MIN: usize = 8;

/// The entries of a leaf that lie in the range.
#[derive(Clone, Copy)]
pub(super) struct LeafSpan<'a> {
    pub(super) leaf: Leaf<'a>,
    /// Index of the first one.
    pub(super) start: usize,
    /// Index behind the last one.
    pub(super) end: usize,
}

/// A walk over leaves. The range is owned or borrowed.
pub(super) struct LeafWalk<'a, R> {
    tree: &'a Tree,
    pages: &'a dyn PageSource,
    range: R,
    direction: Direction,
    /// From the root down: a node and the index of the child that the walk is in.
    path: Vec<(&'a Inner, usize)>,
    position: Position,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Position {
    BeforeFirst,
    Inside,
    Done,
}

impl Fences {
    /// Takes the bounds of child `index` of `inner` where it has any; walks call it from the root down.
    pub(super) fn narrow_to_child(&mut self, inner: &Inner, index: usize) {
        if let Some(before) = index.checked_sub(1) {
            self.lower = Some(inner.separators.key(before));
        }
        if index < inner.separators.len() {
            self.upper = Some(inner.separators.key(index));
        }
    }

    /// The bounds of the leaf at the end of `path`.
    pub(super) fn along(path: &[(&Inner, usize)]) -> Self {
        let mut fences = Self::default();
        for (inner, index) in path {
            fences.narrow_to_child(inner, *index);
        }
        fences
    }
}

/// The index of the first entry of `leaf` that a range starting like this holds.
pub(super) fn start_index(leaf: &Leaf<'_>, start: &Bound<Vec<u8>>) -> usize {
    match start {
        Bound::Unbounded => 0,
        Bound::Included(key) => leaf.search(key).unwrap_or_else(|index| index),
        Bound::Excluded(key) => leaf.search(key).map_or_else(|index| index, |index| index + 1),
    }
}

/// The index behind the last entry of `leaf` that a range ending like this holds.
pub(super) fn end_index(leaf: &Leaf<'_>, end: &Bound<Vec<u8>>) -> usize {
    match end {
        Bound::Unbounded => leaf.count(),
        Bound::Included(key) => leaf.search(key).map_or_else(|index| index, |index| index + 1),
        Bound::Excluded(key) => leaf.search(key).unwrap_or_else(|index| index),
    }
}

impl<'a, R: Borrow<KeyRange>> LeafWalk<'a, R> {
    pub(super) fn new(tree: &'a Tree, range: R, direction: Direction, pages: &'a dyn PageSource) -> Self {
        Self { tree, pages, range, direction, path: Vec::new(), position: Position::BeforeFirst }
    }

    pub(super) fn direction(&self) -> Direction {
        self.direction
    }

    /// The next leaf with entries of the range. After an error the walk stands where it was and may be tried again.
    pub(super) fn next(&mut self) -> Result<Option<LeafSpan<'a>>> {
        loop {
            let is_first = self.position == Position::BeforeFirst;
            let mut path = core::mem::take(&mut self.path);
            let slot = match self.position {
                Position::Done => None,
                Position::BeforeFirst => self.first_slot(&mut path),
                Position::Inside => self.following_slot(&mut path),
            };
            let Some(slot) = slot else {
                self.position = Position::Done;
                return Ok(None);
            };
            let page = match slot.page(self.pages, || Fences::along(&path)) {
                Ok(page) => page,
                Err(error) => {
                    self.step_back(path, is_first);
                    return Err(error);
                }
            };
            self.path = path;
            touch_slots(page);
            let span = self.clip(Leaf::new(page), is_first);
            if span.end.saturating_sub(span.start) >= TOUCH_ENTRIES_MIN {
                touch_all(page);
            }
            if span.start < span.end {
                return Ok(Some(span));
            }
        }
    }

    /// Undoes one step, so that the leaf that could not be read is the next one again.
    fn step_back(&mut self, mut path: Vec<(&'a Inner, usize)>, is_first: bool) {
        if is_first {
            path.clear();
        } else {
            let forward = self.direction == Direction::Forward;
            step(&mut path, !forward);
        }
        self.path = path;
    }

    /// Cuts the leaf's entries to the range, and ends the walk where the range ends in it.
    fn clip(&mut self, leaf: Leaf<'a>, is_first: bool) -> LeafSpan<'a> {
        let range: &KeyRange = self.range.borrow();
        let count = leaf.count();
        let mut span = LeafSpan { leaf, start: 0, end: count };
        self.position = Position::Inside;
        match self.direction {
            Direction::Forward => {
                if is_first {
                    span.start = start_index(&leaf, &range.start);
                }
                span.end = end_index(&leaf, &range.end);
                if span.end < count {
                    self.position = Position::Done;
                }
            }
            Direction::Backward => {
                if is_first {
                    span.end = end_index(&leaf, &range.end);
                }
                span.start = start_index(&leaf, &range.start);
                if span.start > 0 {
                    self.position = Position::Done;
                }
            }
        }
        span
    }

    /// The leaf in which the walk begins.
    fn first_slot(&self, path: &mut Vec<(&'a Inner, usize)>) -> Option<&'a LeafSlot> {
        let range: &KeyRange = self.range.borrow();
        let inner = match &self.tree.root {
            Root::Empty => return None,
            Root::Leaf(slot) => return Some(slot),
            Root::Inner(inner) => inner,
        };
        let (bound, at_end) = match self.direction {
            Direction::Forward => (&range.start, false),
            Direction::Backward => (&range.end, true),
        };
        let choose = |inner: &Inner| match bound {
            Bound::Included(key) | Bound::Excluded(key) => inner.separators.route(key),
            Bound::Unbounded if at_end => inner.separators.len(),
            Bound::Unbounded => 0,
        };
        descend(path, inner, choose)
    }

    fn following_slot(&self, path: &mut Vec<(&'a Inner, usize)>) -> Option<&'a LeafSlot> {
        step(path, self.direction == Direction::Forward)
    }
}

/// Goes down from `inner` to a leaf, at each node to the child that `choose` names.
fn descend<'a>(
    path: &mut Vec<(&'a Inner, usize)>,
    mut inner: &'a Inner,
    choose: impl Fn(&Inner) -> usize,
) -> Option<&'a LeafSlot> {
    loop {
        let index = choose(inner);
        path.push((inner, index));
        match &inner.children {
            Children::Leaves(leaves) => return leaves.get(index),
            Children::Inners(inners) => inner = inners.get(index)?,
        }
    }
}

/// Moves `path` to the leaf behind or before its own. At the end it stays empty, and without a leaf.
fn step<'a>(path: &mut Vec<(&'a Inner, usize)>, forward: bool) -> Option<&'a LeafSlot> {
    while let Some((inner, index)) = path.pop() {
        work::count(1);
        let next = if forward { index.checked_add(1) } else { index.checked_sub(1) };
        let Some(next) = next.filter(|next| *next < inner.children.len()) else { continue };
        path.push((inner, next));
        return match &inner.children {
            Children::Leaves(leaves) => leaves.get(next),
            Children::Inners(inners) => {
                descend(path, inners.get(next)?, |inner| if forward { 0 } else { inner.separators.len() })
            }
        };
    }
    None
}
