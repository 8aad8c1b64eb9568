//! The buffered writes of a range, in the order of their keys.
//!
//! Invariant: what is visited is what was asked for, and no more than that is looked at: a scan inside a transaction costs what it
//! shows, however much the transaction has written. While the writes are in the order of the log that order is used; the first scan
//! of others sorts them once, into a tree of positions that follows them from then on.

use alloc::{boxed::Box, vec::Vec};
use core::ops::Bound;

use super::{
    write::{Body, Write, rank_of_slot, slot},
    write_set::WriteSet,
};
use crate::{
    Error, Result,
    log::OpCode,
    primitive::trace_index,
    state::{Family, SpaceNumber},
    tree::{Cursor, Direction, KeyRange, NoPages, Tree},
};

/// Bytes in front of a key of the tree: the number of the space, and the family.
const PREFIX_BYTES: usize = 5;

/// Buffered writes of one family in one range. One of them is at hand; see [`Range::current`].
pub(crate) struct Range<'a> {
    writes: &'a WriteSet,
    source: Source<'a>,
    at_hand: Option<&'a Write>,
    /// The key of the write at hand, where it is not the write's own.
    key: Vec<u8>,
}

enum Source<'a> {
    /// A piece of the writes, which are in order.
    Slice {
        writes: &'a [Write],
        direction: Direction,
    },
    Tree(Cursor<'a>),
}

impl WriteSet {
    /// The writes of a family whose keys are in a range. Those of the indexes by parent and by type are the index entries that
    /// buffered trace entries will get, those of streams are appends.
    pub(crate) fn range(
        &self,
        space: SpaceNumber,
        family: Family,
        range: &KeyRange,
        direction: Direction,
    ) -> Result<Range<'_>> {
        let source = if family == Family::Batch {
            // Batches are made by the fold.
            Source::Slice { writes: &[], direction }
        } else if self.unordered || matches!(family, Family::TraceByParent | Family::TraceByType) {
            let tree = self.in_order()?;
            Source::Tree(tree.cursor(in_tree(space, family, range), direction, &NoPages))
        } else {
            Source::Slice { writes: self.slice(space, family, range), direction }
        };
        let mut found = Range { writes: self, source, at_hand: None, key: Vec::new() };
        found.advance()?;
        Ok(found)
    }

    /// The writes of a family in a range, while all writes are in order.
    fn slice(&self, space: SpaceNumber, family: Family, range: &KeyRange) -> &[Write] {
        let place = (space, rank_of_slot(family.byte()));
        let is_before = |write: &Write, key: Option<&[u8]>, included: bool| {
            let own = key.map(|key| self.key(write).cmp(key));
            write.place() < place
                || (write.place() == place && own.is_some_and(|own| own.is_lt() || (included && own.is_eq())))
        };
        let start = match &range.start {
            Bound::Unbounded => self.writes.partition_point(|write| is_before(write, None, false)),
            Bound::Included(key) => self.writes.partition_point(|write| is_before(write, Some(key), false)),
            Bound::Excluded(key) => self.writes.partition_point(|write| is_before(write, Some(key), true)),
        };
        let end = match &range.end {
            Bound::Unbounded => self.writes.partition_point(|write| write.place() <= place),
            Bound::Included(key) => self.writes.partition_point(|write| is_before(write, Some(key), true)),
            Bound::Excluded(key) => self.writes.partition_point(|write| is_before(write, Some(key), false)),
        };
        self.writes.get(start..end).unwrap_or_default()
    }

    /// The tree of positions, made when it is first asked for.
    fn in_order(&self) -> Result<&Tree> {
        if let Some(tree) = self.ordered.get() {
            return Ok(tree);
        }
        let mut tree = Tree::new();
        for (at, write) in self.writes.iter().enumerate() {
            self.tree_keys(write, &mut |key| insert(&mut tree, key, at))?;
        }
        Ok(self.ordered.get_or_init(|| Box::new(tree)))
    }

    /// Under which keys the tree has a write.
    fn tree_keys(&self, write: &Write, each: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let Some(family) = Family::from_byte(slot(write.code)).filter(|_| !write.is_gone()) else { return Ok(()) };
        // The slots of trims and deletions of streams are no families of their own.
        if matches!(write.code, OpCode::EventTrim | OpCode::StreamDelete) {
            return Ok(());
        }
        let space = write.space.to_be_bytes();
        each(&[&space[..], &[family.byte()], self.key(write)].concat())?;
        if let (OpCode::TracePut, Body::Bytes(body)) = (write.code, write.body()) {
            for key in trace_index(self.key(write), self.arena.get(body).unwrap_or_default())? {
                each(&[&space[..], &key].concat())?;
            }
        }
        Ok(())
    }

    /// Where the tree is there, it gets the write at a position.
    pub(super) fn insert_into_order(&mut self, at: usize) {
        self.change_order(at, &|tree, key| insert(tree, key, at));
    }

    /// The reverse.
    pub(super) fn remove_from_order(&mut self, at: usize) {
        self.change_order(at, &|tree, key| tree.remove(key, &NoPages, &mut |_| {}).map(|_| ()));
    }

    fn change_order(&mut self, at: usize, change: &dyn Fn(&mut Tree, &[u8]) -> Result<()>) {
        let Some(mut tree) = self.ordered.take() else { return };
        let Some(write) = self.writes.get(at) else { return };
        // What does not succeed here shows where the tree is made anew.
        if self.tree_keys(write, &mut |key| change(&mut tree, key)).is_ok() {
            self.ordered = tree.into();
        }
    }
}

impl<'a> Range<'a> {
    /// The next write and the key that it is shown under.
    pub(crate) fn current(&self) -> Option<(&[u8], &'a Write)> {
        let write = self.at_hand?;
        Some(match self.source {
            Source::Slice { .. } => (self.writes.key(write), write),
            Source::Tree(_) => (&self.key, write),
        })
    }

    /// Goes on behind it.
    pub(crate) fn advance(&mut self) -> Result<()> {
        self.at_hand = match &mut self.source {
            Source::Slice { writes, direction: Direction::Forward } => writes.split_off_first(),
            Source::Slice { writes, direction: Direction::Backward } => writes.split_off_last(),
            Source::Tree(cursor) => match cursor.next()? {
                Some((key, entry)) => {
                    self.key.clear();
                    self.key.extend_from_slice(key.get(PREFIX_BYTES..).unwrap_or_default());
                    self.writes.get(position(entry.value)?)
                }
                None => None,
            },
        };
        Ok(())
    }
}

/// The range of the tree's keys.
fn in_tree(space: SpaceNumber, family: Family, range: &KeyRange) -> KeyRange {
    let inside = family.range(range);
    let bound = |bound: Bound<Vec<u8>>| bound.map(|key| [&space.to_be_bytes(), key.as_slice()].concat());
    KeyRange::new(bound(inside.start), bound(inside.end))
}

fn insert(tree: &mut Tree, key: &[u8], at: usize) -> Result<()> {
    let position = u64::try_from(at).unwrap_or(u64::MAX).to_le_bytes();
    tree.insert(key, 0, &position, 0, &NoPages, &mut |_| {})
}

fn position(bytes: &[u8]) -> Result<usize> {
    let number = bytes.try_into().map(u64::from_le_bytes).ok().and_then(|number| usize::try_from(number).ok());
    number.ok_or_else(|| Error::Invalid { what: "place of a buffered write", why: alloc::format!("{bytes:?}") })
}
