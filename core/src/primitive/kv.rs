//! Key-value pairs: [`Kv`].
//!
//! Invariant: only [`Kv::add_i64`] and its siblings, [`Kv::put`], [`Kv::put_many`] and [`Kv::remove`] write without
//! reading, so only they never conflict. Everything else decides by what is there, and the decision holds at its commit.

use alloc::{format, vec::Vec};
use core::{fmt, ops::ControlFlow};

use ruint::aliases::U256;

use super::{
    access::{Access, AccessMut, Item, Reads, Writes},
    entry::{EncodedPairs, decoded, described, encoded, exists, lookup, missing, named, unmet},
    scan::{ScanOptions, count, keys, scan},
};
use crate::{
    Result,
    log::OpCode,
    state::{Family, SpaceNumber},
    tree::{Direction, KeyRange},
    value::{Decode, Delta, Encode, Value, ValueRef},
};

/// The pairs of a space, reached through a store, a run, a transaction or a view.
///
/// Keys are bytes, up to [`KEY_BYTES_MAX`](crate::limits::KEY_BYTES_MAX) of them, in byte order. Values are anything
/// that [`Encode`]s, up to [`VALUE_BYTES_MAX`](crate::limits::VALUE_BYTES_MAX).
///
/// # Errors
/// Every operation can fail as the storage does ([`Error::Storage`](crate::Error::Storage),
/// [`Error::Corrupt`](crate::Error::Corrupt)), and every write as a commit does. Reading a value as another type than it
/// has is [`Error::Type`](crate::Error::Type). What else can happen stands with each operation.
#[derive(Clone, Copy, Debug)]
pub struct Kv<A> {
    access: A,
    space: SpaceNumber,
}

/// Which write of a key is there: the seq of the commit that made it.
///
/// Versions of a key only ever grow, so an equal version is an untouched value. What a transaction has written itself
/// and not committed yet has [`Version::UNCOMMITTED`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(u64);

impl Version {
    /// Written by the transaction that reads it.
    // No commit has seq 0.
    pub const UNCOMMITTED: Version = Version(0);

    /// The version that the commit of this seq made.
    pub const fn from_seq(seq: u64) -> Self {
        Version(seq)
    }

    /// The seq of the commit, if there was one already.
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Versioned<T> {
    /// The value.
    pub value: T,
    /// Which write it is.
    pub version: Version,
}

/// A key, its value and the value's version, as a scan finds them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair<T = Value> {
    /// The key.
    pub key: Vec<u8>,
    /// The value.
    pub value: T,
    /// Which write of the key it is.
    pub version: Version,
}

impl<A> Kv<A> {
    pub(crate) fn new(access: A, space: SpaceNumber) -> Self {
        Kv { access, space }
    }
}

impl<A: Access> Kv<A> {
    /// The value of a key, if it has one.
    ///
    /// # Errors
    /// [`Error::Type`](crate::Error::Type) if the value is not a `T`.
    pub fn get<T: Decode>(&self, key: impl AsRef<[u8]>) -> Result<Option<T>> {
        let key = key.as_ref();
        self.access.read(|reads| get(reads, self.space, key))
    }

    /// What `look` makes of a key's value, without copying it: text and bytes are borrowed from where they are stored.
    pub fn get_with<R>(&self, key: impl AsRef<[u8]>, look: impl FnOnce(ValueRef<'_>) -> R) -> Result<Option<R>> {
        self.access.read(|reads| {
            lookup(reads, self.space, Family::Kv, key.as_ref(), |item| Ok(look(ValueRef::decode(&item.bytes()?)?)))
        })
    }

    /// The value of a key and its version, for [`Kv::cas_version`].
    ///
    /// # Errors
    /// As [`Kv::get`].
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
    pub fn get_or<T: Decode>(&self, key: impl AsRef<[u8]>, default: T) -> Result<T> {
        Ok(self.get(key)?.unwrap_or(default))
    }

    /// The values of several keys, in the order of the keys, all of one version.
    ///
    /// # Errors
    /// As [`Kv::get`].
    pub fn get_many<T: Decode, K: AsRef<[u8]>>(&self, keys: impl IntoIterator<Item = K>) -> Result<Vec<Option<T>>> {
        self.access.read(|reads| keys.into_iter().map(|key| get(reads, self.space, key.as_ref())).collect())
    }

    /// Whether a key has a value.
    pub fn exists(&self, key: impl AsRef<[u8]>) -> Result<bool> {
        self.access.read(|reads| exists(reads, self.space, Family::Kv, key.as_ref()))
    }

    /// How many keys of a range have values. The cost is linear in that number.
    pub fn count(&self, range: &KeyRange) -> Result<u64> {
        self.access.read(|reads| count(reads, self.space, Family::Kv, range))
    }

    /// The keys that the options choose.
    pub fn keys(&self, options: &ScanOptions) -> Result<Vec<Vec<u8>>> {
        self.access.read(|reads| keys(reads, self.space, Family::Kv, options))
    }

    /// The pairs that the options choose, whatever their types are.
    pub fn scan(&self, options: &ScanOptions) -> Result<Vec<Pair>> {
        self.scan_as(options)
    }

    /// The pairs that the options choose, all of one type.
    ///
    /// # Errors
    /// [`Error::Type`](crate::Error::Type), naming the key, if one of them is not a `T`.
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

    /// Calls `each` for the pairs of a range, in order, until it breaks, without copying them.
    pub fn for_each(
        &self,
        range: &KeyRange,
        direction: Direction,
        mut each: impl FnMut(&[u8], ValueRef<'_>) -> ControlFlow<()>,
    ) -> Result<()> {
        self.access.read(|reads| {
            reads.visit(self.space, Family::Kv, range, direction, &mut |key, item| {
                Ok(each(key, ValueRef::decode(&item.bytes()?)?))
            })
        })
    }
}

impl<A: AccessMut> Kv<A> {
    /// Sets a key, whatever it had before. Reads nothing and so never conflicts.
    ///
    /// # Errors
    /// [`Error::Limit`](crate::Error::Limit) if key or value are too large.
    pub fn put(&self, key: impl AsRef<[u8]>, value: impl Encode) -> Result<()> {
        let (key, body) = (key.as_ref(), encoded(&value)?);
        self.access.write(|writes| writes.write(self.space, OpCode::KvPut, key, &body))
    }

    /// Sets several keys in one commit. Of two values for one key the later one counts.
    ///
    /// # Errors
    /// As [`Kv::put`]; nothing is set then. All of them together are one transaction and have its limit.
    pub fn put_many<K: AsRef<[u8]>, V: Encode>(&self, pairs: impl IntoIterator<Item = (K, V)>) -> Result<()> {
        let mut encoded = EncodedPairs::default();
        for (key, value) in pairs {
            encoded.push(key.as_ref(), &value)?;
        }
        self.access.write(|writes| {
            encoded.iter().try_for_each(|(key, body)| writes.write(self.space, OpCode::KvPut, key, body))
        })
    }

    /// Deletes a key and says whether it had a value.
    pub fn delete(&self, key: impl AsRef<[u8]>) -> Result<bool> {
        let key = key.as_ref();
        self.access.write(|writes| delete(writes, self.space, key))
    }

    /// Deletes a key without looking whether it had a value: it reads nothing and so never conflicts.
    pub fn remove(&self, key: impl AsRef<[u8]>) -> Result<()> {
        let key = key.as_ref();
        self.access.write(|writes| writes.write(self.space, OpCode::KvDelete, key, &[]))
    }

    /// Deletes several keys in one commit and says how many of them had values.
    pub fn delete_many<K: AsRef<[u8]>>(&self, keys: impl IntoIterator<Item = K>) -> Result<u64> {
        let keys: Vec<K> = keys.into_iter().collect();
        self.access.write(|writes| {
            let mut deleted = 0;
            for key in &keys {
                deleted += u64::from(delete(writes, self.space, key.as_ref())?);
            }
            Ok(deleted)
        })
    }

    /// Replaces a key's value by what `change` makes of it (of `None`, if it has none), and returns the new value.
    ///
    /// `change` runs again if somebody else changes the key at the same time, so it must have no effects of its own.
    ///
    /// # Errors
    /// As [`Kv::get`] and [`Kv::put`].
    pub fn update<T: Decode + Encode>(
        &self,
        key: impl AsRef<[u8]>,
        mut change: impl FnMut(Option<T>) -> T,
    ) -> Result<T> {
        self.try_update(key, |value| Ok(change(value)))
    }

    /// As [`Kv::update`], for a `change` that can fail: then nothing is written, and its error is returned.
    ///
    /// # Errors
    /// As [`Kv::get`] and [`Kv::put`], and what `change` returns.
    pub fn try_update<T: Decode + Encode>(
        &self,
        key: impl AsRef<[u8]>,
        mut change: impl FnMut(Option<T>) -> Result<T>,
    ) -> Result<T> {
        let key = key.as_ref();
        self.access.write(|writes| {
            let value = change(get(writes, self.space, key)?)?;
            writes.write(self.space, OpCode::KvPut, key, &encoded(&value)?)?;
            Ok(value)
        })
    }

    /// Sets a key that has no value.
    ///
    /// # Errors
    /// [`Error::Precondition`](crate::Error::Precondition), naming what is there, if it has one; and as [`Kv::put`].
    pub fn put_if_absent(&self, key: impl AsRef<[u8]>, value: impl Encode) -> Result<()> {
        let (key, body) = (key.as_ref(), encoded(&value)?);
        self.access.write(|writes| {
            check_absent(writes, self.space, key)?;
            writes.write(self.space, OpCode::KvPut, key, &body)
        })
    }

    /// Sets a key if its value is still of the version that was read; with `None`, if it has no value.
    ///
    /// # Errors
    /// [`Error::Precondition`](crate::Error::Precondition), naming the version that is there, if not; and as [`Kv::put`].
    pub fn cas_version(&self, key: impl AsRef<[u8]>, expected: Option<Version>, value: impl Encode) -> Result<()> {
        let (key, body) = (key.as_ref(), encoded(&value)?);
        self.access.write(|writes| {
            let found = lookup(writes, self.space, Family::Kv, key, |item| Ok(Version::of(item)))?;
            if found != expected {
                let text = |version: Option<Version>| version.map_or("no value".into(), |version| format!("{version}"));
                return Err(unmet(key, text(expected), text(found)));
            }
            writes.write(self.space, OpCode::KvPut, key, &body)
        })
    }

    /// Sets a key if its value equals `expected`; with `None`, if it has no value. Values are equal if their encodings
    /// are: `1` does not equal `1.0`.
    ///
    /// # Errors
    /// [`Error::Precondition`](crate::Error::Precondition), naming the value that is there, if not; and as [`Kv::put`].
    pub fn cas_value<E: Encode + ?Sized>(
        &self,
        key: impl AsRef<[u8]>,
        expected: Option<&E>,
        value: impl Encode,
    ) -> Result<()> {
        let (key, body) = (key.as_ref(), encoded(&value)?);
        let expected = expected.map(encoded).transpose()?;
        self.access.write(|writes| {
            check_value(writes, self.space, key, expected.as_deref())?;
            writes.write(self.space, OpCode::KvPut, key, &body)
        })
    }

    /// Sets a key and returns the value that it had before.
    ///
    /// # Errors
    /// As [`Kv::get`] and [`Kv::put`].
    pub fn get_and_put<T: Decode>(&self, key: impl AsRef<[u8]>, value: impl Encode) -> Result<Option<T>> {
        let (key, body) = (key.as_ref(), encoded(&value)?);
        self.access.write(|writes| {
            let before = get(writes, self.space, key)?;
            writes.write(self.space, OpCode::KvPut, key, &body)?;
            Ok(before)
        })
    }

    /// Deletes a key and returns the value that it had.
    ///
    /// # Errors
    /// As [`Kv::get`]; nothing is deleted then.
    pub fn get_and_delete<T: Decode>(&self, key: impl AsRef<[u8]>) -> Result<Option<T>> {
        let key = key.as_ref();
        self.access.write(|writes| {
            let before = get(writes, self.space, key)?;
            if before.is_some() {
                writes.write(self.space, OpCode::KvDelete, key, &[])?;
            }
            Ok(before)
        })
    }

    /// Moves a value from one key to another. A key that is renamed to itself stays as it is.
    ///
    /// # Errors
    /// [`Error::NotFound`](crate::Error::NotFound) if `from` has no value,
    /// [`Error::Precondition`](crate::Error::Precondition) if `to` has one.
    pub fn rename(&self, from: impl AsRef<[u8]>, to: impl AsRef<[u8]>) -> Result<()> {
        let (from, to) = (from.as_ref(), to.as_ref());
        self.access.write(|writes| {
            let body = lookup(writes, self.space, Family::Kv, from, |item| Ok(item.bytes()?.into_owned()))?
                .ok_or_else(|| missing("key", from))?;
            if from == to {
                return Ok(());
            }
            check_absent(writes, self.space, to)?;
            writes.write(self.space, OpCode::KvPut, to, &body)?;
            writes.write(self.space, OpCode::KvDelete, from, &[])
        })
    }

    /// Adds to a signed counter; a key without a value counts from zero. Reads nothing, so any number of writers can add
    /// to one counter at the same time without a conflict. [`Kv::get`] reads it as `i64`.
    ///
    /// # Errors
    /// [`Error::CounterOverflow`](crate::Error::CounterOverflow) if the sum leaves the range,
    /// [`Error::Type`](crate::Error::Type) if the key has a value of another type. In a transaction both may show only
    /// at its commit.
    pub fn add_i64(&self, key: impl AsRef<[u8]>, delta: i64) -> Result<()> {
        self.add(key.as_ref(), &Delta::I64(delta))
    }

    /// As [`Kv::add_i64`], for an unsigned counter.
    ///
    /// # Errors
    /// As [`Kv::add_i64`].
    pub fn add_u64(&self, key: impl AsRef<[u8]>, delta: u64) -> Result<()> {
        self.add(key.as_ref(), &Delta::U64(delta))
    }

    /// As [`Kv::add_i64`], for a sum of floats. The sum depends on the order of the additions, as sums of floats do; that
    /// order is the order of the commits, so every replay comes to the same bits.
    ///
    /// # Errors
    /// As [`Kv::add_i64`].
    pub fn add_f64(&self, key: impl AsRef<[u8]>, delta: f64) -> Result<()> {
        self.add(key.as_ref(), &Delta::F64(delta))
    }

    /// As [`Kv::add_i64`], for an unsigned counter of 256 bits.
    ///
    /// # Errors
    /// As [`Kv::add_i64`].
    pub fn add_u256(&self, key: impl AsRef<[u8]>, delta: U256) -> Result<()> {
        self.add(key.as_ref(), &Delta::U256(delta))
    }

    fn add(&self, key: &[u8], delta: &Delta) -> Result<()> {
        let mut body = Vec::new();
        delta.encode(&mut body);
        self.access
            .write(|writes| writes.write(self.space, OpCode::KvAdd, key, &body).map_err(|error| named(error, key)))
    }
}

fn get<T: Decode>(reads: &dyn Reads, space: SpaceNumber, key: &[u8]) -> Result<Option<T>> {
    lookup(reads, space, Family::Kv, key, |item| decoded(key, &item.bytes()?))
}

fn delete(writes: &dyn Writes, space: SpaceNumber, key: &[u8]) -> Result<bool> {
    let there = exists(writes, space, Family::Kv, key)?;
    if there {
        writes.write(space, OpCode::KvDelete, key, &[])?;
    }
    Ok(there)
}

fn check_absent(writes: &dyn Writes, space: SpaceNumber, key: &[u8]) -> Result<()> {
    check_value(writes, space, key, None)
}

/// Fails where a key's value is not encoded as `expected`.
fn check_value(writes: &dyn Writes, space: SpaceNumber, key: &[u8], expected: Option<&[u8]>) -> Result<()> {
    let text = |value: Option<&[u8]>| value.map_or("no value".into(), described);
    let mut held = Ok(());
    writes.get_with(space, Family::Kv, key, &mut |item| {
        let found = item.map(|item| item.bytes()).transpose()?;
        if found.as_deref() != expected {
            held = Err(unmet(key, text(expected), text(found.as_deref())));
        }
        Ok(())
    })?;
    held
}
