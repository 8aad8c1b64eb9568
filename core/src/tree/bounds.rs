//! [`KeyRange`]s of Rust's own ranges, and ranges that are made narrower bound by bound.
//!
//! Invariant: a bound only takes keys away. One that is wider than what is there changes nothing, so that a prefix stays a prefix
//! whatever a caller asks for inside of it.

use alloc::vec::Vec;
use core::ops::{Bound, Range, RangeFrom, RangeFull, RangeInclusive, RangeTo, RangeToInclusive};

use super::KeyRange;

fn bytes(key: impl AsRef<[u8]>) -> Vec<u8> {
    key.as_ref().to_vec()
}

impl KeyRange {
    /// Only the keys behind this one.
    ///
    /// ```
    /// # extern crate foldb_core as foldb;
    /// use foldb::KeyRange;
    /// let page = KeyRange::prefix(b"user/").gt("user/0049");
    /// assert!(page.contains(b"user/0050") && !page.contains(b"user/0049") && !page.contains(b"users"));
    /// ```
    #[must_use]
    pub fn gt(self, key: impl AsRef<[u8]>) -> Self {
        self.intersection(Self::new(Bound::Excluded(bytes(key)), Bound::Unbounded))
    }

    /// Only this key and those behind it.
    ///
    /// ```
    /// # extern crate foldb_core as foldb;
    /// use foldb::KeyRange;
    /// assert_eq!(KeyRange::all().gte("b"), KeyRange::from("b"..));
    /// ```
    #[must_use]
    pub fn gte(self, key: impl AsRef<[u8]>) -> Self {
        self.intersection(Self::new(Bound::Included(bytes(key)), Bound::Unbounded))
    }

    /// Only the keys before this one.
    ///
    /// ```
    /// # extern crate foldb_core as foldb;
    /// use foldb::KeyRange;
    /// assert_eq!(KeyRange::all().gte("b").lt("d"), KeyRange::from("b".."d"));
    /// ```
    #[must_use]
    pub fn lt(self, key: impl AsRef<[u8]>) -> Self {
        self.intersection(Self::new(Bound::Unbounded, Bound::Excluded(bytes(key))))
    }

    /// Only this key and those before it.
    ///
    /// ```
    /// # extern crate foldb_core as foldb;
    /// use foldb::KeyRange;
    /// assert_eq!(KeyRange::all().lte("d"), KeyRange::from(..="d"));
    /// ```
    #[must_use]
    pub fn lte(self, key: impl AsRef<[u8]>) -> Self {
        self.intersection(Self::new(Bound::Unbounded, Bound::Included(bytes(key))))
    }
}

impl From<&KeyRange> for KeyRange {
    fn from(range: &KeyRange) -> Self {
        range.clone()
    }
}

impl From<RangeFull> for KeyRange {
    fn from(_: RangeFull) -> Self {
        Self::all()
    }
}

/// `"a".."b"`: text, bytes, or whatever else gives bytes.
impl<K: AsRef<[u8]>> From<Range<K>> for KeyRange {
    fn from(range: Range<K>) -> Self {
        Self::new(Bound::Included(bytes(range.start)), Bound::Excluded(bytes(range.end)))
    }
}

/// `"a"..`
impl<K: AsRef<[u8]>> From<RangeFrom<K>> for KeyRange {
    fn from(range: RangeFrom<K>) -> Self {
        Self::new(Bound::Included(bytes(range.start)), Bound::Unbounded)
    }
}

/// `"a"..="b"`
impl<K: AsRef<[u8]>> From<RangeInclusive<K>> for KeyRange {
    fn from(range: RangeInclusive<K>) -> Self {
        let (start, end) = range.into_inner();
        Self::new(Bound::Included(bytes(start)), Bound::Included(bytes(end)))
    }
}

/// `.."b"`
impl<K: AsRef<[u8]>> From<RangeTo<K>> for KeyRange {
    fn from(range: RangeTo<K>) -> Self {
        Self::new(Bound::Unbounded, Bound::Excluded(bytes(range.end)))
    }
}

/// `..="b"`
impl<K: AsRef<[u8]>> From<RangeToInclusive<K>> for KeyRange {
    fn from(range: RangeToInclusive<K>) -> Self {
        Self::new(Bound::Unbounded, Bound::Included(bytes(range.end)))
    }
}

/// `(Bound::Excluded("a"), Bound::Unbounded)`, for a range that Rust has no sign for.
impl<K: AsRef<[u8]>> From<(Bound<K>, Bound<K>)> for KeyRange {
    fn from((start, end): (Bound<K>, Bound<K>)) -> Self {
        Self::new(start.map(bytes), end.map(bytes))
    }
}
