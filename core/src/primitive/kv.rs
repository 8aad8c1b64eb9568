//! Key-value pairs: [`Kv`].
//!
//! Invariant: only [`Kv::add_i64`] and its siblings, [`Kv::put`], [`Kv::put_many`] and [`Kv::remove`] write without
//! reading, so only they never conflict. Everything else decides by what is there, and the decision holds at its
//! commit.

use alloc::vec::Vec;
use core::{fmt, ops::ControlFlow};

mod writes;

pub(super) use self::writes::check_absent;

use serde::Serialize;

use super::{
    access::{Access, Item, Reads},
    entry::{decoded, exists, lookup},
    pages::Pages,
    scan::{ScanOptions, count, keys, scan},
};
use crate::{
    Result,
    shown::debug_by_key,
    state::{Family, SpaceNumber},
    tree::{Direction, KeyRange},
    value::{Decode, Value, ValueRef},
};

/// The pairs of a space, reached through a store, a run, a transaction or a view.
///
/// Keys are bytes, up to [`KEY_BYTES_MAX`](crate::limits::KEY_BYTES_MAX) of them, in byte order. Values are anything
/// that [encodes](crate::value::Encode), up to [`VALUE_BYTES_MAX`](crate::limits::VALUE_BYTES_MAX).
///
/// # Errors
/// Every operation can fail as the storage does ([`Error::Storage`](crate::Error::Storage),
/// [`Error::Corrupt`](crate::Error::Corrupt)), and every write as a commit does. Reading a value as another type than
/// it has is [`Error::Type`](crate::Error::Type). What else can happen stands with each operation.
#[derive(Clone, Copy, Debug)]
pub struct Kv<A> {
    pub(super) access: A,
    pub(super) space: SpaceNumber,
}

/// Which write of a key is there: the seq of the commit that made it.
///
/// Versions of a key only ever grow, so an equal version is an untouched value. What a transaction has written itself
/// and not committed yet has [`Version::UNCOMMITTED`]. Serialized it is the seq, and 0 for that one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Version(u64);

impl Version {
    /// Written by the transaction that reads it.
    // No commit has seq 0.
    pub const UNCOMMITTED: Version = Version(0);

    /// The version that the commit of this seq made. No commit has seq 0: that gives [`Version::UNCOMMITTED`].
    ///
    /// ```
    /// # extern crate foldb_core as foldb;
    /// use foldb::primitive::Version;
    /// assert_eq!(Version::from_seq(17).seq(), Some(17));
    /// ```
    pub const fn from_seq(seq: u64) -> Self {
        Version(seq)
    }

    /// The seq of the commit, if there was one already.
    ///
    /// ```
    /// # let db = foldb_core::Db::memory();
    /// db.kv().put("a", 1)?;
    /// let version = db.kv().get_versioned::<i64>("a")?.expect("it was just put").version;
    /// assert_eq!(version.seq(), Some(db.view().seq()));
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    pub const fn seq(self) -> Option<u64> {
        if self.0 == 0 { None } else { Some(self.0) }
    }

    pub(crate) fn of(item: &Item<'_>) -> Self {
        item.seq.map_or(Self::UNCOMMITTED, Version)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.seq() {
            Some(seq) => write!(f, "version {seq}"),
            None => f.write_str("an uncommitted version"),
        }
    }
}

/// A value and its version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Versioned<T> {
    /// The value.
    pub value: T,
    /// Which write it is.
    pub version: Version,
}

/// A key, its value and the value's version, as a scan finds them.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct Pair<T = Value> {
    /// The key.
    #[serde(serialize_with = "crate::shown::serialize_key")]
    pub key: Vec<u8>,
    /// The value.
    pub value: T,
    /// Which write of the key it is.
    pub version: Version,
}

debug_by_key!(Pair<T>, key, value, version);

impl<A> Kv<A> {
    /// The pairs of a space, through an access of one's own: for a host that wraps those of this crate. The handles of
    /// stores, runs, transactions and views give theirs.
    pub fn new(access: A, space: SpaceNumber) -> Self {
        Kv { access, space }
    }
}

impl<A: Access> Kv<A> {
    /// The value of a key, if it has one.
    ///
    /// # Errors
    /// [`Error::Type`](crate::Error::Type) if the value is not a `T`.
    ///
    /// ```
    /// # let db = foldb_core::Db::memory();
    /// db.kv().put("name", "Ada")?;
    /// assert_eq!(db.kv().get::<String>("name")?.as_deref(), Some("Ada"));
    /// assert_eq!(db.kv().get::<String>("nobody")?, None);
    /// assert!(db.kv().get::<i64>("name").is_err(), "text is no number");
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    pub fn get<T: Decode>(&self, key: impl AsRef<[u8]>) -> Result<Option<T>> {
        let key = key.as_ref();
        self.access.read(|reads| get(reads, self.space, key))
    }

    /// What `look` makes of a key's value, without copying it: text and bytes are borrowed from where they are stored.
    ///
    /// ```
    /// # extern crate foldb_core as foldb;
    /// # let db = foldb_core::Db::memory();
    /// use foldb::value::ValueRef;
    /// db.kv().put("name", "Ada")?;
    /// let length = db.kv().get_with("name", |value| match value {
    ///     ValueRef::Text(text) => text.len(),
    ///     _ => 0,
    /// })?;
    /// assert_eq!(length, Some(3));
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    pub fn get_with<R>(&self, key: impl AsRef<[u8]>, look: impl FnOnce(ValueRef<'_>) -> R) -> Result<Option<R>> {
        self.access.read(|reads| {
            lookup(reads, self.space, Family::Kv, key.as_ref(), |item| Ok(look(ValueRef::decode(&item.bytes()?)?)))
        })
    }

    /// The value of a key and its version, for [`Kv::cas_version`].
    ///
    /// # Errors
    /// As [`Kv::get`].
    ///
    /// ```
    /// # let db = foldb_core::Db::memory();
    /// db.kv().put("a", 1)?;
    /// let read = db.kv().get_versioned::<i64>("a")?.expect("it was just put");
    /// db.kv().cas_version("a", Some(read.version), read.value + 1)?;
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    pub fn get_versioned<T: Decode>(&self, key: impl AsRef<[u8]>) -> Result<Option<Versioned<T>>> {
        let key = key.as_ref();
        self.access.read(|reads| {
            lookup(reads, self.space, Family::Kv, key, |item| {
                Ok(Versioned { value: decoded(key, &item.bytes()?)?, version: Version::of(item) })
            })
        })
    }

    /// The value of a key, or `default` if it has none. Nothing is written.
    ///
    /// # Errors
    /// As [`Kv::get`].
    ///
    /// ```
    /// # let db = foldb_core::Db::memory();
    /// assert_eq!(db.kv().get_or("retries", 3)?, 3);
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    pub fn get_or<T: Decode>(&self, key: impl AsRef<[u8]>, default: T) -> Result<T> {
        Ok(self.get(key)?.unwrap_or(default))
    }

    /// The values of several keys, in the order of the keys, all of one version.
    ///
    /// # Errors
    /// As [`Kv::get`].
    ///
    /// ```
    /// # let db = foldb_core::Db::memory();
    /// db.kv().put("a", 1)?;
    /// assert_eq!(db.kv().get_many::<i64, _>(["a", "b"])?, [Some(1), None]);
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    pub fn get_many<T: Decode, K: AsRef<[u8]>>(&self, keys: impl IntoIterator<Item = K>) -> Result<Vec<Option<T>>> {
        self.access.read(|reads| keys.into_iter().map(|key| get(reads, self.space, key.as_ref())).collect())
    }

    /// Whether a key has a value.
    ///
    /// ```
    /// # let db = foldb_core::Db::memory();
    /// db.kv().put("a", 1)?;
    /// assert!(db.kv().exists("a")?);
    /// assert!(!db.kv().exists("b")?);
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    pub fn exists(&self, key: impl AsRef<[u8]>) -> Result<bool> {
        self.access.read(|reads| exists(reads, self.space, Family::Kv, key.as_ref()))
    }

    /// Which of several keys have values, in the order of the keys, all of one version.
    ///
    /// ```
    /// # let db = foldb_core::Db::memory();
    /// db.kv().put("a", 1)?;
    /// assert_eq!(db.kv().exists_many(["a", "b"])?, [true, false]);
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    pub fn exists_many<K: AsRef<[u8]>>(&self, keys: impl IntoIterator<Item = K>) -> Result<Vec<bool>> {
        let there = |reads: &dyn Reads, key: K| exists(reads, self.space, Family::Kv, key.as_ref());
        self.access.read(|reads| keys.into_iter().map(|key| there(reads, key)).collect())
    }

    /// How many keys of a range have values. The cost is linear in that number.
    ///
    /// ```
    /// # extern crate foldb_core as foldb;
    /// # let db = foldb_core::Db::memory();
    /// use foldb::KeyRange;
    /// db.kv().put_many([("user/1", "Ada"), ("user/2", "Alan"), ("x", "")])?;
    /// assert_eq!(db.kv().count(KeyRange::prefix("user/"))?, 2);
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    pub fn count(&self, range: impl Into<KeyRange>) -> Result<u64> {
        let range = range.into();
        self.access.read(|reads| count(reads, self.space, Family::Kv, &range))
    }

    /// The keys that the options choose.
    ///
    /// ```
    /// # extern crate foldb_core as foldb;
    /// # let db = foldb_core::Db::memory();
    /// use foldb::primitive::ScanOptions;
    /// db.kv().put_many([("a", 1), ("b", 2), ("c", 3)])?;
    /// assert_eq!(db.kv().keys(&ScanOptions::all().reverse().limit(2))?, [b"c", b"b"]);
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    pub fn keys(&self, options: &ScanOptions) -> Result<Vec<Vec<u8>>> {
        self.access.read(|reads| keys(reads, self.space, Family::Kv, options))
    }

    /// The pairs that the options choose, whatever their types are.
    ///
    /// ```
    /// # extern crate foldb_core as foldb;
    /// # let db = foldb_core::Db::memory();
    /// use foldb::primitive::ScanOptions;
    /// db.kv().put_many([("a", 1), ("b", 2), ("c", 3)])?;
    /// let first = db.kv().scan(&ScanOptions::all().limit(2))?;
    /// // The last key of a page is the cursor of the next one.
    /// let next = db.kv().scan(&ScanOptions::all().after(&first[1].key))?;
    /// assert_eq!(next[0].key, b"c");
    /// assert_eq!(next[0].value, 3.into());
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    pub fn scan(&self, options: &ScanOptions) -> Result<Vec<Pair>> {
        self.scan_as(options)
    }

    /// The pairs that the options choose, all of one type.
    ///
    /// # Errors
    /// [`Error::Type`](crate::Error::Type), naming the key, if one of them is not a `T`.
    ///
    /// ```
    /// # extern crate foldb_core as foldb;
    /// # let db = foldb_core::Db::memory();
    /// use foldb::primitive::ScanOptions;
    /// db.kv().put_many([("a", 1), ("b", 2)])?;
    /// let sum: i64 = db.kv().scan_as::<i64>(&ScanOptions::all())?.iter().map(|pair| pair.value).sum();
    /// assert_eq!(sum, 3);
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    pub fn scan_as<T: Decode>(&self, options: &ScanOptions) -> Result<Vec<Pair<T>>> {
        let mut pairs = Vec::new();
        self.access.read(|reads| {
            scan(reads, self.space, Family::Kv, options, &mut |key, item| {
                let value = decoded(key, &item.bytes()?)?;
                pairs.push(Pair { key: key.to_vec(), value, version: Version::of(item) });
                Ok(true)
            })
        })?;
        Ok(pairs)
    }

    /// The pairs that the options choose, one after the other, from either end: read in pages, so whoever stops has not read the rest. A
    /// limit counts what is given, from whichever end. A view and a transaction give one version; a handle of a store goes on in a
    /// newer one where there is one. In a transaction it counts as read as far as it was read: a page at a time.
    ///
    /// ```
    /// # extern crate foldb_core as foldb;
    /// # let db = foldb_core::Db::memory();
    /// use foldb::primitive::ScanOptions;
    /// db.kv().put_many([("a", 1), ("b", 2), ("c", 3)])?;
    /// let mut pairs = db.kv().iter::<i64>(&ScanOptions::all());
    /// assert_eq!(pairs.next().transpose()?.map(|pair| pair.value), Some(1));
    /// assert_eq!(pairs.next_back().transpose()?.map(|pair| pair.value), Some(3));
    /// let first_even = db.kv().iter::<i64>(&ScanOptions::all()).find(|pair| pair.as_ref().is_ok_and(|pair| pair.value % 2 == 0));
    /// assert_eq!(first_even.transpose()?.map(|pair| pair.key), Some(b"b".to_vec()));
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Kv::scan_as`], as the last item.
    pub fn iter<T: Decode>(&self, options: &ScanOptions) -> impl DoubleEndedIterator<Item = Result<Pair<T>>> + use<A, T>
    where
        A: Clone,
    {
        let kv = self.clone();
        Pages::new(options, move |page| kv.scan_as(page))
    }

    /// Calls `each` for the pairs of a range, in order, until it breaks, without copying them.
    ///
    /// ```
    /// # extern crate foldb_core as foldb;
    /// # let db = foldb_core::Db::memory();
    /// use core::ops::ControlFlow;
    /// use foldb::Direction;
    /// db.kv().put_many([("a", 1), ("b", 2)])?;
    /// let mut keys = 0;
    /// db.kv().for_each(.., Direction::Forward, |_key, _value| {
    ///     keys += 1;
    ///     ControlFlow::Continue(())
    /// })?;
    /// assert_eq!(keys, 2);
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    pub fn for_each(
        &self,
        range: impl Into<KeyRange>,
        direction: Direction,
        mut each: impl FnMut(&[u8], ValueRef<'_>) -> ControlFlow<()>,
    ) -> Result<()> {
        self.access.read(|reads| {
            reads.visit(self.space, Family::Kv, &range.into(), direction, &mut |key, item| {
                Ok(each(key, ValueRef::decode(&item.bytes()?)?))
            })
        })
    }
}

/// The value of a key, and when it is over.
fn get_expiring<T: Decode>(reads: &dyn Reads, space: SpaceNumber, key: &[u8]) -> Result<(Option<T>, Option<u64>)> {
    let found = lookup(reads, space, Family::Kv, key, |item| Ok((decoded(key, &item.bytes()?)?, item.expires_at())))?;
    Ok(found.map_or((None, None), |(value, expires)| (Some(value), expires)))
}

fn get<T: Decode>(reads: &dyn Reads, space: SpaceNumber, key: &[u8]) -> Result<Option<T>> {
    lookup(reads, space, Family::Kv, key, |item| decoded(key, &item.bytes()?))
}
