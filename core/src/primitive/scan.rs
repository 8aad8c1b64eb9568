//! What to list: [`ScanOptions`], the same for every primitive.
//!
//! Invariant: a scan that is cut by a limit and continued behind its last key visits every key once that was there the
//! whole time, whatever happened in between: the cursor is a key, not a position.

use alloc::vec::Vec;
use core::{
    fmt,
    ops::{Bound, ControlFlow},
};

use super::access::{Item, Reads};
use crate::{
    Result,
    shown::Shown,
    state::{Family, SpaceNumber},
    tree::{Direction, KeyRange},
};

/// Which keys to visit, in which order, and how many.
///
/// The fields are public, and the methods of the same names set them one after the other:
///
/// ```
/// # extern crate foldb_core as foldb;
/// use foldb::primitive::ScanOptions;
///
/// let first_page = ScanOptions::prefix("user/").limit(50);
/// let next_page = first_page.clone().after("user/0049");
/// assert_eq!(next_page.limit, Some(50));
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct ScanOptions {
    /// The keys to choose from.
    pub range: KeyRange,
    /// The most keys to visit; `None` for all.
    pub limit: Option<usize>,
    /// The order.
    pub direction: Direction,
    /// The cursor: begin behind this key, in the chosen direction. It is the last key of the page before; whether that
    /// key still exists does not matter.
    pub after: Option<Vec<u8>>,
}

impl fmt::Debug for ScanOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("ScanOptions");
        shown.field("range", &self.range).field("limit", &self.limit).field("direction", &self.direction);
        shown.field("after", &self.after.as_deref().map(Shown)).finish()
    }
}

impl Default for ScanOptions {
    fn default() -> Self {
        Self::all()
    }
}

impl From<KeyRange> for ScanOptions {
    fn from(range: KeyRange) -> Self {
        Self::range(range)
    }
}

impl ScanOptions {
    /// Every key, ascending.
    ///
    /// ```
    /// # extern crate foldb_core as foldb;
    /// use foldb::primitive::ScanOptions;
    /// assert_eq!(ScanOptions::all(), ScanOptions::default());
    /// ```
    pub const fn all() -> Self {
        ScanOptions { range: KeyRange::all(), limit: None, direction: Direction::Forward, after: None }
    }

    /// The keys of a range, ascending.
    ///
    /// ```
    /// # extern crate foldb_core as foldb;
    /// use foldb::{primitive::ScanOptions, KeyRange};
    /// assert_eq!(ScanOptions::range(KeyRange::prefix(b"a")), ScanOptions::prefix("a"));
    /// assert!(ScanOptions::range("a".."c").range.contains(b"b"));
    /// ```
    pub fn range(range: impl Into<KeyRange>) -> Self {
        ScanOptions { range: range.into(), limit: None, direction: Direction::Forward, after: None }
    }

    /// The keys that begin with `prefix`, ascending.
    ///
    /// ```
    /// # extern crate foldb_core as foldb;
    /// use foldb::primitive::ScanOptions;
    /// assert!(ScanOptions::prefix("user/").range.contains(b"user/7"));
    /// ```
    pub fn prefix(prefix: impl AsRef<[u8]>) -> Self {
        Self::range(KeyRange::prefix(prefix.as_ref()))
    }

    /// Only the keys behind this one. Like [`gte`](Self::gte), [`lt`](Self::lt) and [`lte`](Self::lte) it takes keys away from what
    /// there is: a prefix stays one.
    ///
    /// ```
    /// # extern crate foldb_core as foldb;
    /// # let db = foldb_core::Db::memory();
    /// use foldb::primitive::ScanOptions;
    /// db.kv().put_many([("a/1", 1), ("a/2", 2), ("a/3", 3), ("b/1", 4)])?;
    /// assert_eq!(db.kv().keys(&ScanOptions::prefix("a/").gt("a/1"))?, [b"a/2", b"a/3"]);
    /// assert_eq!(db.kv().keys(&ScanOptions::prefix("a/").gte("a/2").lt("a/3"))?, [b"a/2"]);
    /// assert_eq!(db.kv().keys(&ScanOptions::all().lte("a/2").reverse())?, [b"a/2", b"a/1"]);
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    #[must_use]
    pub fn gt(mut self, key: impl AsRef<[u8]>) -> Self {
        self.range = self.range.gt(key);
        self
    }

    /// Only this key and those behind it: see [`gt`](Self::gt).
    #[must_use]
    pub fn gte(mut self, key: impl AsRef<[u8]>) -> Self {
        self.range = self.range.gte(key);
        self
    }

    /// Only the keys before this one: see [`gt`](Self::gt).
    #[must_use]
    pub fn lt(mut self, key: impl AsRef<[u8]>) -> Self {
        self.range = self.range.lt(key);
        self
    }

    /// Only this key and those before it: see [`gt`](Self::gt).
    #[must_use]
    pub fn lte(mut self, key: impl AsRef<[u8]>) -> Self {
        self.range = self.range.lte(key);
        self
    }

    /// At most this many keys.
    ///
    /// ```
    /// # extern crate foldb_core as foldb;
    /// use foldb::primitive::ScanOptions;
    /// assert_eq!(ScanOptions::all().limit(10).limit, Some(10));
    /// ```
    #[must_use]
    pub const fn limit(mut self, limit: usize) -> Self {
        self.limit = Some(limit);
        self
    }

    /// In this order.
    ///
    /// ```
    /// # extern crate foldb_core as foldb;
    /// use foldb::{primitive::ScanOptions, Direction};
    /// assert_eq!(ScanOptions::all().direction(Direction::Backward), ScanOptions::all().reverse());
    /// ```
    #[must_use]
    pub const fn direction(mut self, direction: Direction) -> Self {
        self.direction = direction;
        self
    }

    /// Descending.
    ///
    /// ```
    /// # extern crate foldb_core as foldb;
    /// use foldb::{primitive::ScanOptions, Direction};
    /// assert_eq!(ScanOptions::all().reverse().direction, Direction::Backward);
    /// ```
    #[must_use]
    pub const fn reverse(self) -> Self {
        self.direction(Direction::Backward)
    }

    /// Begin behind `key`, in the chosen direction.
    ///
    /// ```
    /// # extern crate foldb_core as foldb;
    /// # let db = foldb_core::Db::memory();
    /// use foldb::primitive::ScanOptions;
    /// db.kv().put_many([("a", 1), ("b", 2), ("c", 3)])?;
    /// assert_eq!(db.kv().keys(&ScanOptions::all().after("b"))?, [b"c"]);
    /// assert_eq!(db.kv().keys(&ScanOptions::all().reverse().after("b"))?, [b"a"]);
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    #[must_use]
    pub fn after(mut self, key: impl AsRef<[u8]>) -> Self {
        self.after = Some(key.as_ref().to_vec());
        self
    }

    /// The range without what the cursor has passed already.
    pub fn remaining(&self) -> KeyRange {
        let KeyRange { mut start, mut end } = self.range.clone();
        if let Some(after) = &self.after {
            let cursor = Bound::Excluded(after.clone());
            match self.direction {
                Direction::Forward if begins_before(&start, after) => start = cursor,
                Direction::Backward if ends_behind(&end, after) => end = cursor,
                _ => {}
            }
        }
        KeyRange::new(start, end)
    }

    /// The limit as a number.
    pub(crate) fn most(&self) -> usize {
        self.limit.unwrap_or(usize::MAX)
    }
}

fn begins_before(start: &Bound<Vec<u8>>, key: &[u8]) -> bool {
    match start {
        Bound::Unbounded => true,
        Bound::Included(start) => start.as_slice() <= key,
        Bound::Excluded(start) => start.as_slice() < key,
    }
}

fn ends_behind(end: &Bound<Vec<u8>>, key: &[u8]) -> bool {
    match end {
        Bound::Unbounded => true,
        Bound::Included(end) => end.as_slice() >= key,
        Bound::Excluded(end) => end.as_slice() > key,
    }
}

/// The range of the keys `prefix` + k for every k of `range`: how a range of ids becomes a range of an index.
pub(crate) fn behind_prefix(prefix: &[u8], range: &KeyRange) -> KeyRange {
    let whole = KeyRange::prefix(prefix);
    let key = |rest: &[u8]| [prefix, rest].concat();
    let start = match &range.start {
        Bound::Included(rest) => Bound::Included(key(rest)),
        Bound::Excluded(rest) => Bound::Excluded(key(rest)),
        Bound::Unbounded => whole.start,
    };
    let end = match &range.end {
        Bound::Included(rest) => Bound::Included(key(rest)),
        Bound::Excluded(rest) => Bound::Excluded(key(rest)),
        Bound::Unbounded => whole.end,
    };
    KeyRange::new(start, end)
}

/// Calls `take` for the entries that the options choose. Entries that it refuses (`false`) do not count.
pub(crate) fn scan(
    reads: &dyn Reads,
    space: SpaceNumber,
    family: Family,
    options: &ScanOptions,
    take: &mut dyn FnMut(&[u8], &Item<'_>) -> Result<bool>,
) -> Result<()> {
    scan_range(reads, space, family, (&options.remaining(), options.direction, options.most()), take)
}

/// [`scan`] with range, direction and limit given one by one.
pub(crate) fn scan_range(
    reads: &dyn Reads,
    space: SpaceNumber,
    family: Family,
    (range, direction, limit): (&KeyRange, Direction, usize),
    take: &mut dyn FnMut(&[u8], &Item<'_>) -> Result<bool>,
) -> Result<()> {
    let mut left = limit;
    if left == 0 || range.is_empty() {
        return Ok(());
    }
    reads.visit(space, family, range, direction, &mut |key, item| {
        left -= usize::from(take(key, item)?);
        // Stop at the last entry and not at the one behind it: what is not visited cannot conflict.
        Ok(if left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    })
}

/// How many entries a range has. Every one of them is visited.
pub(crate) fn count(reads: &dyn Reads, space: SpaceNumber, family: Family, range: &KeyRange) -> Result<u64> {
    let mut count = 0;
    scan_range(reads, space, family, (range, Direction::Forward, usize::MAX), &mut |_, _| {
        count += 1;
        Ok(true)
    })?;
    Ok(count)
}

/// The keys that the options choose.
pub(crate) fn keys(
    reads: &dyn Reads,
    space: SpaceNumber,
    family: Family,
    options: &ScanOptions,
) -> Result<Vec<Vec<u8>>> {
    let mut keys = Vec::new();
    scan(reads, space, family, options, &mut |key, _| {
        keys.push(key.to_vec());
        Ok(true)
    })?;
    Ok(keys)
}
