//! Entries one after the other, from both ends: what `iter` of each primitive gives.
//!
//! Invariant: every key that is there the whole time is given once, in order, whatever happens between two steps, and whichever ends
//! they are taken from. A page ends at a key, and the next one begins behind it.

use alloc::vec::{self, Vec};

use super::{CellEntry, DocumentEntry, Pair, ScanOptions};
use crate::{
    Result,
    tree::{Direction, KeyRange},
};

/// So many entries are read at a time. A page of them is read in one version; the next step may see a newer one where the handle does.
const PAGE: usize = 128;

/// What has the key by which a page goes on.
pub(crate) trait Keyed {
    fn key(&self) -> &[u8];
}

impl<T> Keyed for Pair<T> {
    fn key(&self) -> &[u8] {
        &self.key
    }
}

impl<T> Keyed for CellEntry<T> {
    fn key(&self) -> &[u8] {
        &self.key
    }
}

impl Keyed for DocumentEntry {
    fn key(&self) -> &[u8] {
        &self.key
    }
}

/// Entries of a range, read page by page.
pub(crate) struct Pages<T, F> {
    read: F,
    /// What no page has had yet.
    rest: KeyRange,
    /// The order of `next`.
    direction: Direction,
    /// How many entries may still be given.
    left: usize,
    /// How many entries the first pages have: it grows, so that whoever stops after a few has not read many.
    page: usize,
    front: vec::IntoIter<T>,
    /// From the end towards the beginning.
    back: vec::IntoIter<T>,
    is_over: bool,
}

impl<T: Keyed, F: FnMut(&ScanOptions) -> Result<Vec<T>>> Pages<T, F> {
    /// `read` gives the entries that options choose.
    pub(crate) fn new(options: &ScanOptions, read: F) -> Self {
        Pages {
            read,
            rest: options.remaining(),
            direction: options.direction,
            left: options.most(),
            page: 8,
            front: Vec::new().into_iter(),
            back: Vec::new().into_iter(),
            is_over: false,
        }
    }

    /// The next page from one end.
    fn page(&mut self, direction: Direction) -> Result<vec::IntoIter<T>> {
        let limit = self.page.min(self.left);
        self.page = (self.page * 2).min(PAGE);
        let options = ScanOptions { range: self.rest.clone(), limit: Some(limit), direction, after: None };
        let entries = (self.read)(&options)?;
        match entries.last() {
            Some(last) if entries.len() == limit => {
                let rest = core::mem::replace(&mut self.rest, KeyRange::all());
                self.rest = match direction {
                    Direction::Forward => rest.gt(last.key()),
                    Direction::Backward => rest.lt(last.key()),
                };
            }
            _ => self.is_over = true,
        }
        Ok(entries.into_iter())
    }

    fn step(&mut self, from_front: bool) -> Result<Option<T>> {
        if self.left == 0 {
            return Ok(None);
        }
        let direction = match (from_front, self.direction) {
            (true, direction) => direction,
            (false, Direction::Forward) => Direction::Backward,
            (false, Direction::Backward) => Direction::Forward,
        };
        let is_empty = if from_front { self.front.len() == 0 } else { self.back.len() == 0 };
        if is_empty && !self.is_over {
            let page = self.page(direction)?;
            *(if from_front { &mut self.front } else { &mut self.back }) = page;
        }
        // Where nothing is left between the two ends, one takes what the other has read.
        let next = match from_front {
            true => self.front.next().or_else(|| self.back.next_back()),
            false => self.back.next().or_else(|| self.front.next_back()),
        };
        self.left -= usize::from(next.is_some());
        Ok(next)
    }

    fn give(&mut self, from_front: bool) -> Option<Result<T>> {
        let step = self.step(from_front);
        if step.is_err() {
            // It is said once: whoever goes on behind an error would leave entries out.
            self.left = 0;
        }
        step.transpose()
    }
}

impl<T: Keyed, F: FnMut(&ScanOptions) -> Result<Vec<T>>> Iterator for Pages<T, F> {
    type Item = Result<T>;

    fn next(&mut self) -> Option<Self::Item> {
        self.give(true)
    }
}

impl<T: Keyed, F: FnMut(&ScanOptions) -> Result<Vec<T>>> DoubleEndedIterator for Pages<T, F> {
    fn next_back(&mut self) -> Option<Self::Item> {
        self.give(false)
    }
}
