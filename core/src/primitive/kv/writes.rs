//! What changes pairs.

use alloc::{format, vec::Vec};

use ruint::aliases::U256;

use super::{Kv, Version, get, get_expiring};
use crate::{
    Error, Result,
    log::OpCode,
    primitive::{
        Deleted,
        access::{AccessMut, Item, Writes},
        closures,
        entry::{self, EncodedPairs, described, encoded, lookup, missing, named, unmet},
        expiry, ranges,
    },
    state::{Family, SpaceNumber},
    tree::KeyRange,
    value::{Decode, Delta, Encode},
};

impl<A: AccessMut> Kv<A> {
    /// Sets a key, whatever it had before, for ever: a time to live is gone. Reads nothing and so never conflicts.
    ///
    /// # Errors
    /// [`Error::Limit`](crate::Error::Limit) if key or value are too large.
    ///
    /// ```
    /// # let db = foldb_core::Db::memory();
    /// db.kv().put("name", "Ada")?;
    /// db.kv().put("born", 1815)?;
    /// db.kv().put("picture", [0x89, 0x50, 0x4e, 0x47])?;
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    pub fn put(&self, key: impl AsRef<[u8]>, value: impl Encode) -> Result<()> {
        let (key, body) = (key.as_ref(), encoded(&value)?);
        self.access.write(|writes| writes.write(self.space, OpCode::KvPut, key, &body))
    }

    /// Sets several keys in one commit. Of two values for one key the later one counts.
    ///
    /// # Errors
    /// As [`Kv::put`]; nothing is set then. All of them together are one transaction and have its limit: an explicit
    /// transaction that meets it has some of them, and can only be rolled back.
    ///
    /// ```
    /// # let db = foldb_core::Db::memory();
    /// db.kv().put_many([("a", 1), ("b", 2)])?;
    /// assert_eq!(db.kv().get::<i64>("b")?, Some(2));
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
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
    ///
    /// ```
    /// # let db = foldb_core::Db::memory();
    /// db.kv().put("a", 1)?;
    /// assert!(db.kv().delete("a")?);
    /// assert!(!db.kv().delete("a")?);
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    pub fn delete(&self, key: impl AsRef<[u8]>) -> Result<bool> {
        let key = key.as_ref();
        self.access.write(|writes| delete(writes, self.space, key))
    }

    /// Deletes a key without looking whether it had a value: it reads nothing and so never conflicts.
    ///
    /// ```
    /// # let db = foldb_core::Db::memory();
    /// db.kv().put("a", 1)?;
    /// db.kv().remove("a")?;
    /// assert!(!db.kv().exists("a")?);
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    pub fn remove(&self, key: impl AsRef<[u8]>) -> Result<()> {
        let key = key.as_ref();
        self.access.write(|writes| writes.write(self.space, OpCode::KvDelete, key, &[]))
    }

    /// Deletes several keys in one commit and says how many of them had values.
    ///
    /// ```
    /// # let db = foldb_core::Db::memory();
    /// db.kv().put_many([("a", 1), ("b", 2)])?;
    /// assert_eq!(db.kv().delete_many(["a", "b", "c"])?, 2);
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
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

    /// Deletes the pairs of a range, in one commit, at most [`DELETED_KEYS_MAX`](crate::limits::DELETED_KEYS_MAX) of them, the first
    /// ones: where the answer says that it is not complete, call again. So others commit between two calls, and the whole range is not
    /// deleted at one moment; [`Deleted`] has the loop. Each key is logged.
    ///
    /// ```
    /// # let db = foldb_core::Db::memory();
    /// db.kv().put_many([("a", 1), ("b", 2), ("c", 3)])?;
    /// let deleted = db.kv().delete_range("a"..="b")?;
    /// assert!(deleted.keys == 2 && deleted.is_complete);
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    pub fn delete_range(&self, range: impl Into<KeyRange>) -> Result<Deleted> {
        let range = range.into();
        self.access.write(|writes| ranges::delete(writes, self.space, (Family::Kv, OpCode::KvDelete), &range))
    }

    /// Replaces a key's value by what `change` makes of it (of `None`, if it has none), and returns the new value.
    ///
    /// `change` runs again if somebody else changes the key at the same time, so it must have no effects of its own. The key has as long
    /// to live as before.
    ///
    /// # Errors
    /// As [`Kv::get`] and [`Kv::put`].
    ///
    /// ```
    /// # let db = foldb_core::Db::memory();
    /// let doubled = db.kv().update("a", |value: Option<i64>| value.unwrap_or(1) * 2)?;
    /// assert_eq!(doubled, 2);
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    pub fn update<T: Decode + Encode>(
        &self,
        key: impl AsRef<[u8]>,
        mut change: impl FnMut(Option<T>) -> T,
    ) -> Result<T> {
        self.try_update(key, |value| Ok::<_, Error>(change(value)))
    }

    /// As [`Kv::update`], for a `change` that can fail, with any error that the store's can be made into: then nothing is written, and
    /// its error is returned.
    ///
    /// # Errors
    /// As [`Kv::get`] and [`Kv::put`], and what `change` returns.
    ///
    /// ```
    /// # extern crate foldb_core as foldb;
    /// # let db = foldb_core::Db::memory();
    /// use foldb::{Error, Result};
    /// db.kv().put("stock", 1)?;
    /// let take_one = |stock: Option<i64>| -> Result<i64> {
    ///     let left = stock.unwrap_or(0) - 1;
    ///     if left >= 0 { Ok(left) } else { Err(Error::Invalid { what: "order", why: "sold out".into() }) }
    /// };
    /// assert_eq!(db.kv().try_update("stock", take_one)?, 0);
    /// assert!(db.kv().try_update("stock", take_one).is_err());
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    pub fn try_update<T: Decode + Encode, E: From<Error>>(
        &self,
        key: impl AsRef<[u8]>,
        mut change: impl FnMut(Option<T>) -> Result<T, E>,
    ) -> Result<T, E> {
        let key = key.as_ref();
        closures::write(&self.access, |writes| {
            let (before, expires) = get_expiring(writes, self.space, key)?;
            let value = change(before)?;
            expiry::put(writes, (self.space, Family::Kv), key, &encoded(&value)?, expires)?;
            Ok(value)
        })
    }

    /// Sets a key that has no value.
    ///
    /// # Errors
    /// [`Error::Precondition`](crate::Error::Precondition), naming what is there, if it has one; and as [`Kv::put`].
    ///
    /// ```
    /// # extern crate foldb_core as foldb;
    /// # let db = foldb_core::Db::memory();
    /// use foldb::ErrorKind;
    /// db.kv().put_if_absent("leader", "node 1")?;
    /// let error = db.kv().put_if_absent("leader", "node 2").unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::Precondition);
    /// assert!(error.to_string().contains("node 1"));
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
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
    /// [`Error::Precondition`](crate::Error::Precondition), naming the version that is there, if not; and as
    /// [`Kv::put`].
    ///
    /// ```
    /// # let db = foldb_core::Db::memory();
    /// db.kv().cas_version("a", None, 1)?;
    /// let read = db.kv().get_versioned::<i64>("a")?.expect("it was just put");
    /// db.kv().put("a", 5)?;
    /// assert!(db.kv().cas_version("a", Some(read.version), 2).is_err(), "somebody was faster");
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
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
    ///
    /// ```
    /// # let db = foldb_core::Db::memory();
    /// db.kv().put("state", "open")?;
    /// db.kv().cas_value("state", Some("open"), "closed")?;
    /// assert!(db.kv().cas_value("state", Some("open"), "closed").is_err());
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
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
    ///
    /// ```
    /// # let db = foldb_core::Db::memory();
    /// assert_eq!(db.kv().get_and_put::<i64>("a", 1)?, None);
    /// assert_eq!(db.kv().get_and_put::<i64>("a", 2)?, Some(1));
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
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
    ///
    /// ```
    /// # let db = foldb_core::Db::memory();
    /// db.kv().put("a", 1)?;
    /// assert_eq!(db.kv().get_and_delete::<i64>("a")?, Some(1));
    /// assert_eq!(db.kv().get_and_delete::<i64>("a")?, None);
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    pub fn get_and_delete<T: Decode>(&self, key: impl AsRef<[u8]>) -> Result<Option<T>> {
        let key = key.as_ref();
        self.access.write(|writes| {
            let before = get(writes, self.space, key)?;
            delete(writes, self.space, key)?;
            Ok(before)
        })
    }

    /// Moves a value from one key to another, with when it is over. A key that is renamed to itself stays as it is.
    ///
    /// # Errors
    /// [`Error::NotFound`](crate::Error::NotFound) if `from` has no value,
    /// [`Error::Precondition`](crate::Error::Precondition) if `to` has one.
    ///
    /// ```
    /// # let db = foldb_core::Db::memory();
    /// db.kv().put("old", 1)?;
    /// db.kv().rename("old", "new")?;
    /// assert_eq!(db.kv().get::<i64>("new")?, Some(1));
    /// assert!(db.kv().rename("old", "other").is_err());
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    pub fn rename(&self, from: impl AsRef<[u8]>, to: impl AsRef<[u8]>) -> Result<()> {
        let (from, to) = (from.as_ref(), to.as_ref());
        self.access.write(|writes| {
            let moved = |item: &Item<'_>| Ok((item.bytes()?.into_owned(), item.expires_at()));
            let found = lookup(writes, self.space, Family::Kv, from, moved)?;
            let (body, expires) = found.ok_or_else(|| missing("key", from))?;
            if from == to {
                return Ok(());
            }
            check_absent(writes, self.space, to)?;
            expiry::put(writes, (self.space, Family::Kv), to, &body, expires)?;
            writes.write(self.space, OpCode::KvDelete, from, &[])
        })
    }

    /// Adds to a signed counter; a key without a value counts from zero. Reads nothing, so any number of writers can
    /// add to one counter at the same time without a conflict. [`Kv::get`] reads it as `i64`.
    ///
    /// # Errors
    /// [`Error::CounterOverflow`](crate::Error::CounterOverflow) if the sum leaves the range,
    /// [`Error::Type`](crate::Error::Type) if the key has a value of another type. In a transaction both may show only
    /// at its commit.
    ///
    /// ```
    /// # let db = foldb_core::Db::memory();
    /// db.kv().add_i64("balance", 10)?;
    /// db.kv().add_i64("balance", -3)?;
    /// assert_eq!(db.kv().get::<i64>("balance")?, Some(7));
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    pub fn add_i64(&self, key: impl AsRef<[u8]>, delta: i64) -> Result<()> {
        self.add(key.as_ref(), &Delta::I64(delta))
    }

    /// As [`Kv::add_i64`], for an unsigned counter.
    ///
    /// # Errors
    /// As [`Kv::add_i64`].
    ///
    /// ```
    /// # let db = foldb_core::Db::memory();
    /// db.kv().add_u64("visits", 1)?;
    /// assert_eq!(db.kv().get::<u64>("visits")?, Some(1));
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    pub fn add_u64(&self, key: impl AsRef<[u8]>, delta: u64) -> Result<()> {
        self.add(key.as_ref(), &Delta::U64(delta))
    }

    /// As [`Kv::add_i64`], for a sum of floats. The sum depends on the order of the additions, as sums of floats do;
    /// that order is the order of the commits, so every replay comes to the same bits.
    ///
    /// # Errors
    /// As [`Kv::add_i64`].
    ///
    /// ```
    /// # let db = foldb_core::Db::memory();
    /// db.kv().add_f64("hours", 0.5)?;
    /// assert_eq!(db.kv().get::<f64>("hours")?, Some(0.5));
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    pub fn add_f64(&self, key: impl AsRef<[u8]>, delta: f64) -> Result<()> {
        self.add(key.as_ref(), &Delta::F64(delta))
    }

    /// As [`Kv::add_i64`], for an unsigned counter of 256 bits.
    ///
    /// # Errors
    /// As [`Kv::add_i64`].
    ///
    /// ```
    /// # let db = foldb_core::Db::memory();
    /// use ruint::aliases::U256;
    /// db.kv().add_u256("wei", U256::from(10).pow(U256::from(30)))?;
    /// db.kv().add_u256("wei", U256::from(1))?;
    /// assert!(db.kv().get::<U256>("wei")? > Some(U256::from(u64::MAX)));
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
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

fn delete(writes: &dyn Writes, space: SpaceNumber, key: &[u8]) -> Result<bool> {
    entry::delete(writes, space, (Family::Kv, OpCode::KvDelete), key)
}

pub(crate) fn check_absent(writes: &dyn Writes, space: SpaceNumber, key: &[u8]) -> Result<()> {
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
