//! Time to live: when pairs, documents and cells are over. What each operation does to it: `docs/expiry.md`.
//!
//! Invariant: a time is asked of the host once, when the call is made, and is data from then on. What is hidden is treated as not there by
//! everything that decides: it is not touched, not kept and not moved.

use core::time::Duration;

use super::{
    Cells, Documents, Kv,
    access::{Access, AccessMut, Reads, Writes},
    entry::{encoded, lookup},
};
use crate::{
    Error, Result,
    host::Host,
    log::OpCode,
    state::{Family, SpaceNumber, check_expiry, expiring_body, expiry_body},
    value::Encode,
};

/// When something that gets so long to live now is over.
pub(super) fn after(host: &dyn Host, ttl: Duration) -> Result<u64> {
    if ttl.is_zero() {
        return Err(Error::Invalid { what: "time to live", why: "it is zero; delete the key instead".into() });
    }
    let now = u128::from(host.now_micros());
    // Less than a microsecond is one: it is a time to live all the same.
    check_expiry(u64::try_from(now.saturating_add(ttl.as_micros().max(1))).unwrap_or(u64::MAX))
}

/// The operations that put something of a family, and say when it is over.
fn codes(family: Family) -> (OpCode, OpCode, OpCode) {
    match family {
        Family::Json => (OpCode::JsonPut, OpCode::JsonPutExpiring, OpCode::JsonExpire),
        Family::State => (OpCode::StatePut, OpCode::StatePutExpiring, OpCode::StateExpire),
        _ => (OpCode::KvPut, OpCode::KvPutExpiring, OpCode::KvExpire),
    }
}

/// Puts what is over at a time, or never.
pub(super) fn put(
    writes: &dyn Writes,
    (space, family): (SpaceNumber, Family),
    key: &[u8],
    body: &[u8],
    expires: Option<u64>,
) -> Result<()> {
    let (put, put_expiring, _) = codes(family);
    match expires {
        Some(micros) => writes.write(space, put_expiring, key, &expiring_body(micros, body)),
        None => writes.write(space, put, key, body),
    }
}

/// When the entry of a key is over, if there is one.
pub(super) fn expiry_of(
    reads: &dyn Reads,
    (space, family): (SpaceNumber, Family),
    key: &[u8],
) -> Result<Option<Option<u64>>> {
    lookup(reads, space, family, key, |item| Ok(item.expires_at()))
}

/// Says when an entry is over, and whether there is one.
fn expire(writes: &dyn Writes, (space, family): (SpaceNumber, Family), key: &[u8], micros: u64) -> Result<bool> {
    let there = expiry_of(writes, (space, family), key)?.is_some();
    if there {
        writes.write(space, codes(family).2, key, &expiry_body(Some(micros)))?;
    }
    Ok(there)
}

/// Takes the expiry of an entry away, and says whether it had one.
fn persist(writes: &dyn Writes, (space, family): (SpaceNumber, Family), key: &[u8]) -> Result<bool> {
    let had = expiry_of(writes, (space, family), key)?.flatten().is_some();
    if had {
        writes.write(space, codes(family).2, key, &expiry_body(None))?;
    }
    Ok(had)
}

/// What is the same for pairs, documents and cells. `$put` is how the examples make one.
macro_rules! expiries {
    ($primitive:ident, $family:expr, $handle:literal, $put:literal) => {
        impl<A: Access> $primitive<A> {
            /// When the key is over, in microseconds since 1970 by the host's clock; `None` where it never is, and where there is
            /// none.
            ///
            /// ```
            /// # let db = foldb_core::Db::memory();
            #[doc = $put]
            #[doc = concat!("assert_eq!(", $handle, ".expires_at(\"a\")?, None);")]
            #[doc = concat!($handle, ".expire_at(\"a\", 4_000_000_000_000_000)?;")]
            #[doc = concat!("assert_eq!(", $handle, ".expires_at(\"a\")?, Some(4_000_000_000_000_000));")]
            /// # Ok::<(), foldb_core::Error>(())
            /// ```
            pub fn expires_at(&self, key: impl AsRef<[u8]>) -> Result<Option<u64>> {
                let key = key.as_ref();
                self.access.read(|reads| Ok(expiry_of(reads, (self.space, $family), key)?.flatten()))
            }

            /// How long the key has to live yet, by the moment that the reader goes by; `None` where that is for ever, and where there is
            /// none.
            ///
            /// ```
            /// # use core::time::Duration;
            /// # let db = foldb_core::Db::memory();
            #[doc = $put]
            #[doc = concat!($handle, ".touch(\"a\", Duration::from_secs(60))?;")]
            #[doc = concat!("assert!(", $handle, ".ttl(\"a\")? <= Some(Duration::from_secs(60)));")]
            /// # Ok::<(), foldb_core::Error>(())
            /// ```
            pub fn ttl(&self, key: impl AsRef<[u8]>) -> Result<Option<Duration>> {
                let key = key.as_ref();
                self.access.read(|reads| {
                    let expires = expiry_of(reads, (self.space, $family), key)?.flatten();
                    Ok(expires.map(|micros| Duration::from_micros(micros.saturating_sub(reads.now_micros()))))
                })
            }
        }

        impl<A: AccessMut> $primitive<A> {
            /// Gives the key so long to live from now on, whatever it had, and says whether there is one; where there is none, nothing is
            /// written. The value is not read and not written again, but the version is a new one: the key was changed.
            ///
            /// # Errors
            /// [`Error::Invalid`] for a time of zero, [`Error::Limit`] for one beyond
            /// [`EXPIRY_MICROS_MAX`](crate::limits::EXPIRY_MICROS_MAX).
            ///
            /// ```
            /// # use core::time::Duration;
            /// # let db = foldb_core::Db::memory();
            #[doc = $put]
            #[doc = concat!("assert!(", $handle, ".touch(\"a\", Duration::from_secs(60))?);")]
            #[doc = concat!("assert!(!", $handle, ".touch(\"b\", Duration::from_secs(60))?);")]
            /// # Ok::<(), foldb_core::Error>(())
            /// ```
            pub fn touch(&self, key: impl AsRef<[u8]>, ttl: Duration) -> Result<bool> {
                let key = key.as_ref();
                self.access.write(|writes| {
                    let micros = after(writes.host(), ttl)?;
                    expire(writes, (self.space, $family), key, micros)
                })
            }

            /// As `touch`, with the time at which the key is over, in microseconds since 1970. One that is past is over at once.
            ///
            /// # Errors
            /// [`Error::Invalid`] for 0, [`Error::Limit`] beyond [`EXPIRY_MICROS_MAX`](crate::limits::EXPIRY_MICROS_MAX).
            ///
            /// ```
            /// # let db = foldb_core::Db::memory();
            #[doc = $put]
            #[doc = concat!("assert!(", $handle, ".expire_at(\"a\", 4_000_000_000_000_000)?);")]
            #[doc = concat!("assert!(!", $handle, ".expire_at(\"b\", 4_000_000_000_000_000)?);")]
            /// # Ok::<(), foldb_core::Error>(())
            /// ```
            pub fn expire_at(&self, key: impl AsRef<[u8]>, micros: u64) -> Result<bool> {
                let (key, micros) = (key.as_ref(), check_expiry(micros)?);
                self.access.write(|writes| expire(writes, (self.space, $family), key, micros))
            }

            /// Lets the key live for ever, and says whether it was to be over at some time.
            ///
            /// ```
            /// # use core::time::Duration;
            /// # let db = foldb_core::Db::memory();
            #[doc = $put]
            #[doc = concat!($handle, ".touch(\"a\", Duration::from_secs(60))?;")]
            #[doc = concat!("assert!(", $handle, ".persist(\"a\")?);")]
            #[doc = concat!("assert!(!", $handle, ".persist(\"a\")?, \"it has no expiry any more\");")]
            /// # Ok::<(), foldb_core::Error>(())
            /// ```
            pub fn persist(&self, key: impl AsRef<[u8]>) -> Result<bool> {
                let key = key.as_ref();
                self.access.write(|writes| persist(writes, (self.space, $family), key))
            }
        }
    };
}

expiries!(Kv, Family::Kv, "db.kv()", "db.kv().put(\"a\", 1)?;");
expiries!(Documents, Family::Json, "db.json()", "db.json().set(\"a\", &serde_json::json!({\"name\": \"Ada\"}))?;");
expiries!(Cells, Family::State, "db.state()", "db.state().set(\"a\", \"waiting\")?;");

impl<A: AccessMut> Kv<A> {
    /// [`Kv::put`], of a pair that is over when so much time has passed. Reads nothing and so never conflicts.
    ///
    /// # Errors
    /// As [`Kv::put`] and [`Kv::touch`].
    ///
    /// ```
    /// # let db = foldb_core::Db::memory();
    /// use core::time::Duration;
    /// db.kv().put_with_ttl("session/1", "Ada", Duration::from_secs(3600))?;
    /// assert_eq!(db.kv().get::<String>("session/1")?.as_deref(), Some("Ada"));
    /// // A plain put makes it one that lives for ever.
    /// db.kv().put("session/1", "Alan")?;
    /// assert_eq!(db.kv().expires_at("session/1")?, None);
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    pub fn put_with_ttl(&self, key: impl AsRef<[u8]>, value: impl Encode, ttl: Duration) -> Result<()> {
        let (key, body) = (key.as_ref(), encoded(&value)?);
        self.access.write(|writes| {
            let micros = after(writes.host(), ttl)?;
            put(writes, (self.space, Family::Kv), key, &body, Some(micros))
        })
    }

    /// [`Kv::put`], of a pair that is over at a time, in microseconds since 1970.
    ///
    /// # Errors
    /// As [`Kv::put`] and [`Kv::expire_at`].
    ///
    /// ```
    /// # let db = foldb_core::Db::memory();
    /// db.kv().put_expiring_at("offer", "tea", 4_000_000_000_000_000)?;
    /// assert_eq!(db.kv().expires_at("offer")?, Some(4_000_000_000_000_000));
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    pub fn put_expiring_at(&self, key: impl AsRef<[u8]>, value: impl Encode, micros: u64) -> Result<()> {
        let (key, body, micros) = (key.as_ref(), encoded(&value)?, check_expiry(micros)?);
        self.access.write(|writes| put(writes, (self.space, Family::Kv), key, &body, Some(micros)))
    }

    /// [`Kv::put`] that leaves the key as long to live as it has. It reads that, and so can conflict.
    ///
    /// # Errors
    /// As [`Kv::put`].
    ///
    /// ```
    /// # let db = foldb_core::Db::memory();
    /// db.kv().put_expiring_at("offer", "tea", 4_000_000_000_000_000)?;
    /// db.kv().put_keep_ttl("offer", "salt")?;
    /// assert_eq!(db.kv().expires_at("offer")?, Some(4_000_000_000_000_000));
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    pub fn put_keep_ttl(&self, key: impl AsRef<[u8]>, value: impl Encode) -> Result<()> {
        let (key, body) = (key.as_ref(), encoded(&value)?);
        self.access.write(|writes| {
            let expires = expiry_of(writes, (self.space, Family::Kv), key)?.flatten();
            put(writes, (self.space, Family::Kv), key, &body, expires)
        })
    }

    /// [`Kv::put_if_absent`], of a pair that is over when so much time has passed: a lock that nobody has to give back.
    ///
    /// # Errors
    /// As [`Kv::put_if_absent`] and [`Kv::touch`].
    ///
    /// ```
    /// # let db = foldb_core::Db::memory();
    /// use core::time::Duration;
    /// db.kv().put_if_absent_with_ttl("lock", "node 1", Duration::from_secs(30))?;
    /// assert!(db.kv().put_if_absent_with_ttl("lock", "node 2", Duration::from_secs(30)).is_err());
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    pub fn put_if_absent_with_ttl(&self, key: impl AsRef<[u8]>, value: impl Encode, ttl: Duration) -> Result<()> {
        let (key, body) = (key.as_ref(), encoded(&value)?);
        self.access.write(|writes| {
            super::kv::check_absent(writes, self.space, key)?;
            let micros = after(writes.host(), ttl)?;
            put(writes, (self.space, Family::Kv), key, &body, Some(micros))
        })
    }
}

impl<A: AccessMut> Documents<A> {
    /// [`Documents::set`], of a document that is over when so much time has passed. Reads nothing and so never conflicts. Changes at
    /// a path leave it as long to live.
    ///
    /// # Errors
    /// As [`Documents::set`] and [`Documents::touch`].
    ///
    /// ```
    /// # let db = foldb_core::Db::memory();
    /// use core::time::Duration;
    /// use serde_json::json;
    /// db.json().set_with_ttl("cart/1", &json!({"items": []}), Duration::from_secs(3600))?;
    /// db.json().push_at("cart/1", "/items", &json!("tea"))?;
    /// assert!(db.json().expires_at("cart/1")?.is_some());
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    pub fn set_with_ttl(&self, key: impl AsRef<[u8]>, document: &serde_json::Value, ttl: Duration) -> Result<()> {
        let (key, body) = (key.as_ref(), encoded(document)?);
        self.access.write(|writes| {
            let micros = after(writes.host(), ttl)?;
            put(writes, (self.space, Family::Json), key, &body, Some(micros))
        })
    }

    /// [`Documents::set_with_ttl`], with the document that a value describes.
    ///
    /// # Errors
    /// As [`Documents::set_as`] and [`Documents::touch`].
    pub fn set_as_with_ttl(
        &self,
        key: impl AsRef<[u8]>,
        document: &impl serde::Serialize,
        ttl: Duration,
    ) -> Result<()> {
        self.set_with_ttl(key, &super::documents::described(document)?, ttl)
    }

    /// [`Documents::set`], of a document that is over at a time, in microseconds since 1970.
    ///
    /// # Errors
    /// As [`Documents::set`] and [`Documents::expire_at`].
    pub fn set_expiring_at(&self, key: impl AsRef<[u8]>, document: &serde_json::Value, micros: u64) -> Result<()> {
        let (key, body, micros) = (key.as_ref(), encoded(document)?, check_expiry(micros)?);
        self.access.write(|writes| put(writes, (self.space, Family::Json), key, &body, Some(micros)))
    }

    /// [`Documents::set`] that leaves the document as long to live as it has. It reads that, and so can conflict.
    ///
    /// # Errors
    /// As [`Documents::set`].
    pub fn set_keep_ttl(&self, key: impl AsRef<[u8]>, document: &serde_json::Value) -> Result<()> {
        let (key, body) = (key.as_ref(), encoded(document)?);
        self.access.write(|writes| {
            let expires = expiry_of(writes, (self.space, Family::Json), key)?.flatten();
            put(writes, (self.space, Family::Json), key, &body, expires)
        })
    }
}

impl<A: AccessMut> Cells<A> {
    /// [`Cells::set`], of a cell that is over when so much time has passed. One that is made again later counts from 1.
    ///
    /// # Errors
    /// As [`Cells::set`] and [`Cells::touch`].
    ///
    /// ```
    /// # let db = foldb_core::Db::memory();
    /// use core::time::Duration;
    /// assert_eq!(db.state().set_with_ttl("lease", "node 1", Duration::from_secs(30))?, 1);
    /// // A change leaves it as long to live; a plain `set` makes it one that lives for ever.
    /// db.state().update("lease", |_: Option<String>| "node 2".to_string())?;
    /// assert!(db.state().expires_at("lease")?.is_some());
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    pub fn set_with_ttl(&self, key: impl AsRef<[u8]>, value: impl Encode, ttl: Duration) -> Result<u64> {
        let key = key.as_ref();
        self.access.write(|writes| {
            let micros = after(writes.host(), ttl)?;
            super::cells::set(writes, self.space, key, &value, Some(micros))
        })
    }

    /// [`Cells::set`], of a cell that is over at a time, in microseconds since 1970.
    ///
    /// # Errors
    /// As [`Cells::set`] and [`Cells::expire_at`].
    pub fn set_expiring_at(&self, key: impl AsRef<[u8]>, value: impl Encode, micros: u64) -> Result<u64> {
        let (key, micros) = (key.as_ref(), check_expiry(micros)?);
        self.access.write(|writes| super::cells::set(writes, self.space, key, &value, Some(micros)))
    }

    /// [`Cells::set`] that leaves the cell as long to live as it has.
    ///
    /// # Errors
    /// As [`Cells::set`].
    pub fn set_keep_ttl(&self, key: impl AsRef<[u8]>, value: impl Encode) -> Result<u64> {
        let key = key.as_ref();
        self.access.write(|writes| {
            let expires = expiry_of(writes, (self.space, Family::State), key)?.flatten();
            super::cells::set(writes, self.space, key, &value, expires)
        })
    }

    /// [`Cells::init`], of a cell that is over when so much time has passed.
    ///
    /// # Errors
    /// As [`Cells::init`] and [`Cells::touch`].
    ///
    /// ```
    /// # let db = foldb_core::Db::memory();
    /// use core::time::Duration;
    /// db.state().init_with_ttl("leader", "node 1", Duration::from_secs(30))?;
    /// assert!(db.state().init_with_ttl("leader", "node 2", Duration::from_secs(30)).is_err());
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    pub fn init_with_ttl(&self, key: impl AsRef<[u8]>, value: impl Encode, ttl: Duration) -> Result<()> {
        let key = key.as_ref();
        self.access.write(|writes| {
            let micros = after(writes.host(), ttl)?;
            super::cells::init(writes, self.space, key, &value, Some(micros))
        })
    }
}
