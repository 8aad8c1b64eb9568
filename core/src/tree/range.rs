//! Ranges of keys and the direction of a walk.

use alloc::vec::Vec;
use core::{fmt, ops::Bound};

use crate::shown::Shown;

/// An interval of keys in byte order: a prefix, a range of text or bytes, or both, with further bounds.
///
/// ```
/// # extern crate foldb_core as foldb;
/// use foldb::KeyRange;
/// let users = KeyRange::prefix("user/");
/// assert!(users.contains(b"user/7"));
/// assert!(!users.contains(b"users"));
/// assert!(KeyRange::from("a".."c").contains(b"bee"));
/// assert_eq!(format!("{:?}", users.gte("user/5")), r#""user/5".."user0""#);
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct KeyRange {
    /// Where the range begins.
    pub start: Bound<Vec<u8>>,
    /// Where the range ends.
    pub end: Bound<Vec<u8>>,
}

/// The order in which keys are visited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Ascending.
    Forward,
    /// Descending.
    Backward,
}

/// As Rust writes ranges, with `>` before a key that is left out at the beginning.
impl fmt::Debug for KeyRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.start {
            Bound::Included(key) => write!(f, "{:?}..", Shown(key))?,
            Bound::Excluded(key) => write!(f, ">{:?}..", Shown(key))?,
            Bound::Unbounded => f.write_str("..")?,
        }
        match &self.end {
            Bound::Included(key) => write!(f, "={:?}", Shown(key)),
            Bound::Excluded(key) => write!(f, "{:?}", Shown(key)),
            Bound::Unbounded => Ok(()),
        }
    }
}

impl KeyRange {
    /// Every key.
    pub const fn all() -> Self {
        Self { start: Bound::Unbounded, end: Bound::Unbounded }
    }

    /// The keys between two bounds. A range whose start lies behind its end is allowed and holds no key.
    pub const fn new(start: Bound<Vec<u8>>, end: Bound<Vec<u8>>) -> Self {
        Self { start, end }
    }

    /// The keys that begin with `prefix`; all keys for an empty one.
    pub fn prefix(prefix: impl AsRef<[u8]>) -> Self {
        let prefix = prefix.as_ref();
        // The first key behind them: the prefix without its trailing 0xff bytes, its last byte one higher.
        let end = match prefix.iter().rposition(|byte| *byte != 0xff) {
            None => Bound::Unbounded,
            Some(last) => {
                let mut successor = prefix.get(..=last).unwrap_or_default().to_vec();
                if let Some(byte) = successor.last_mut() {
                    *byte = byte.saturating_add(1);
                }
                Bound::Excluded(successor)
            }
        };
        Self { start: Bound::Included(prefix.to_vec()), end }
    }

    /// The keys that lie in both ranges.
    ///
    /// ```
    /// # extern crate foldb_core as foldb;
    /// use foldb::KeyRange;
    /// let both = KeyRange::prefix(b"a").intersection(KeyRange::prefix(b"ab"));
    /// assert_eq!(both, KeyRange::prefix(b"ab"));
    /// ```
    #[must_use]
    pub fn intersection(self, other: Self) -> Self {
        let start = match (&self.start, &other.start) {
            (_, Bound::Unbounded) => self.start,
            (Bound::Unbounded, _) => other.start,
            // Of equal keys the one that is left out.
            (Bound::Included(own), Bound::Included(key) | Bound::Excluded(key)) if own <= key => other.start,
            (Bound::Excluded(own), Bound::Included(key) | Bound::Excluded(key)) if own < key => other.start,
            _ => self.start,
        };
        let end = match (&self.end, &other.end) {
            (_, Bound::Unbounded) => self.end,
            (Bound::Unbounded, _) => other.end,
            (Bound::Included(own), Bound::Included(key) | Bound::Excluded(key)) if own >= key => other.end,
            (Bound::Excluded(own), Bound::Included(key) | Bound::Excluded(key)) if own > key => other.end,
            _ => self.end,
        };
        Self { start, end }
    }

    /// Whether `key` lies in the range.
    pub fn contains(&self, key: &[u8]) -> bool {
        self.starts_at_or_before(key) && self.ends_behind(key)
    }

    /// Whether no key can lie in the range.
    pub fn is_empty(&self) -> bool {
        match (&self.start, &self.end) {
            // Between a key and its immediate successor, the key with a zero byte behind it, there is none.
            (Bound::Excluded(start), Bound::Excluded(end)) => {
                end <= start || (end.len() == start.len() + 1 && end.starts_with(start) && end.last() == Some(&0))
            }
            (Bound::Included(start), Bound::Excluded(end)) | (Bound::Excluded(start), Bound::Included(end)) => {
                end <= start
            }
            (Bound::Included(start), Bound::Included(end)) => end < start,
            // Nothing sorts before the empty key.
            (Bound::Unbounded, Bound::Excluded(end)) => end.is_empty(),
            _ => false,
        }
    }

    pub(super) fn starts_at_or_before(&self, key: &[u8]) -> bool {
        match &self.start {
            Bound::Unbounded => true,
            Bound::Included(start) => start.as_slice() <= key,
            Bound::Excluded(start) => start.as_slice() < key,
        }
    }

    pub(super) fn ends_behind(&self, key: &[u8]) -> bool {
        match &self.end {
            Bound::Unbounded => true,
            Bound::Included(end) => key <= end.as_slice(),
            Bound::Excluded(end) => key < end.as_slice(),
        }
    }
}
