//! Giving back what replaced and removed writes have left behind.
//!
//! Invariant: what is held beside the present writes, and beside the old bodies that a savepoint may bring back, is at most about as
//! much again. Each pass looks at everything, and comes only after as much has become useless: what it costs is in the price of
//! the writes before it.

use alloc::vec::Vec;
use core::ops::Range;

use super::{
    write::{Body, Write},
    write_set::WriteSet,
};
use crate::work;

/// The arena is not written anew for less. In tests for little, so that small ones come here.
const WASTE_BYTES_MIN: usize = if cfg!(test) { 512 } else { 64 << 10 };

/// Positions are not given anew for fewer removed writes.
const GONE_MIN: usize = if cfg!(test) { 4 } else { 1024 };

impl WriteSet {
    /// Writes the arena anew where bodies that were replaced take more of it than all the rest.
    pub(super) fn compact_if_wasteful(&mut self) {
        let wasted = self.arena.len().saturating_sub(self.arena_used);
        if self.arena.len() < self.compact_at || wasted < WASTE_BYTES_MIN.max(self.arena_used) {
            return;
        }
        let mut arena = Vec::with_capacity(self.arena_used);
        let mut moved = |range: Range<usize>| {
            let start = arena.len();
            work::count(1);
            work::count_bytes(range.len());
            arena.extend_from_slice(self.arena.get(range).unwrap_or_default());
            start..arena.len()
        };
        for write in &mut self.writes {
            write.move_key(moved(write.key()).start);
            if let Body::Bytes(range) = write.body() {
                write.set_body(Body::Bytes(moved(range)));
            }
        }
        for before in self.undo.get_mut().iter_mut().flat_map(|undo| undo.writes_mut()) {
            if let Body::Bytes(range) = before.body() {
                before.set_body(Body::Bytes(moved(range)));
            }
        }
        self.arena = arena;
        self.compact_at = 2 * self.arena.len();
    }

    /// Gives the writes new positions where more were taken out than are left, and no savepoint speaks of the old ones.
    pub(super) fn sweep_if_wasteful(&mut self) {
        if self.gone < GONE_MIN.max(self.len()) || self.undo.get_mut().as_mut().is_some_and(|undo| !undo.is_empty()) {
            return;
        }
        work::count(self.writes.len());
        let mut appends = Vec::new();
        for write in &mut self.writes {
            match write.body() {
                Body::Events(place) => {
                    write.set_body(Body::Events(appends.len()));
                    appends.push(self.appends.get_mut(place).map(core::mem::take).unwrap_or_default());
                }
                Body::Bytes(_) => {}
                Body::Gone => self.arena_used -= write.key().len(),
            }
        }
        self.appends = appends;
        self.writes.retain(|write| !Write::is_gone(write));
        self.gone = 0;
        self.index.clear();
        self.ordered.take();
        (0..self.writes.len()).for_each(|at| self.insert_into_index(at));
    }
}
