//! JSON documents: [`Documents`].
//!
//! Invariant: what is stored is JSON and nothing else, in the encoding of values. A value that JSON does not have (NaN,
//! an infinity) is refused where it enters and never written as null.

use alloc::{format, string::String, vec::Vec};

mod edits;
mod finite;
mod paths;
mod updates;

use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value as Json;

use super::{
    access::{Access, AccessMut, Reads, Writes},
    entry::{self, EncodedPairs, decoded, encoded, exists, lookup, unmet},
    kv::{Version, Versioned},
    pages::Pages,
    scan::{ScanOptions, count, keys, scan},
};
use crate::{
    Error, Result,
    log::OpCode,
    shown::debug_by_key,
    state::{Family, SpaceNumber, readable},
    tree::KeyRange,
    value::{Whole, nested_too_deeply},
};

/// The JSON documents of a space, reached through a store, a run, a transaction or a view.
///
/// # Errors
/// Every operation can fail as the storage does ([`Error::Storage`],
/// [`Error::Corrupt`]), and every write as a commit does. An operation at a path fails with
/// [`Error::NotFound`] where the document does not exist. What else can happen stands with each
/// operation.
#[derive(Clone, Copy, Debug)]
pub struct Documents<A> {
    pub(super) access: A,
    pub(super) space: SpaceNumber,
}

/// A document, its key and its version, as a scan finds them.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct DocumentEntry {
    /// The key.
    #[serde(serialize_with = "crate::shown::serialize_key")]
    pub key: Vec<u8>,
    /// The document.
    pub document: Json,
    /// Which write of the key it is.
    pub version: Version,
}

debug_by_key!(DocumentEntry, key, document, version);

impl<A> Documents<A> {
    /// The documents of a space, through an access of one's own: for a host that wraps those of this crate. The handles of
    /// stores, runs, transactions and views give theirs.
    pub fn new(access: A, space: SpaceNumber) -> Self {
        Documents { access, space }
    }
}

impl<A: Access> Documents<A> {
    /// The document of a key, if there is one.
    ///
    /// ```
    /// # let db = foldb_core::Db::memory();
    /// use serde_json::json;
    /// db.json().set("order/1", &json!({"item": "tea"}))?;
    /// assert_eq!(db.json().get("order/1")?, Some(json!({"item": "tea"})));
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    pub fn get(&self, key: impl AsRef<[u8]>) -> Result<Option<Json>> {
        self.access.read(|reads| get(reads, self.space, key.as_ref()))
    }

    /// The document of a key and its version, for [`Documents::cas_version`].
    ///
    /// ```
    /// # let db = foldb_core::Db::memory();
    /// use serde_json::json;
    /// db.json().set("order/1", &json!({"count": 2}))?;
    /// let read = db.json().get_versioned("order/1")?.expect("it was just set");
    /// db.json().cas_version("order/1", Some(read.version), &json!({"count": 3}))?;
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    pub fn get_versioned(&self, key: impl AsRef<[u8]>) -> Result<Option<Versioned<Json>>> {
        let key = key.as_ref();
        self.access.read(|reads| {
            lookup(reads, self.space, Family::Json, key, |item| {
                Ok(Versioned { value: decoded(key, &item.bytes()?)?, version: Version::of(item) })
            })
        })
    }

    /// The document of a key as a type that it describes.
    ///
    /// # Errors
    /// [`Error::Invalid`], in serde's words, if it does not describe a `T`; [`Error::Limit`] if the type goes into itself without
    /// end.
    ///
    /// ```
    /// # let db = foldb_core::Db::memory();
    /// #[derive(serde::Serialize, serde::Deserialize)]
    /// struct Order { item: String, count: u32 }
    ///
    /// db.json().set_as("order/1", &Order { item: "tea".into(), count: 2 })?;
    /// let order: Order = db.json().get_as("order/1")?.expect("it was just set");
    /// assert_eq!(order.item, "tea");
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    pub fn get_as<T: DeserializeOwned>(&self, key: impl AsRef<[u8]>) -> Result<Option<T>> {
        let key = key.as_ref();
        self.get(key)?.map(|document| as_type(key, document)).transpose()
    }

    /// The documents of several keys, in the order of the keys, all of one version.
    ///
    /// ```
    /// # let db = foldb_core::Db::memory();
    /// use serde_json::json;
    /// db.json().set("a", &json!([1]))?;
    /// assert_eq!(db.json().get_many(["a", "b"])?, [Some(json!([1])), None]);
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    pub fn get_many<K: AsRef<[u8]>>(&self, keys: impl IntoIterator<Item = K>) -> Result<Vec<Option<Json>>> {
        self.access.read(|reads| keys.into_iter().map(|key| get(reads, self.space, key.as_ref())).collect())
    }

    /// Whether a key has a document.
    ///
    /// ```
    /// # let db = foldb_core::Db::memory();
    /// assert!(!db.json().exists("order/1")?);
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    pub fn exists(&self, key: impl AsRef<[u8]>) -> Result<bool> {
        self.access.read(|reads| exists(reads, self.space, Family::Json, key.as_ref()))
    }

    /// Which of several keys have documents, in the order of the keys, all of one version.
    ///
    /// ```
    /// # let db = foldb_core::Db::memory();
    /// use serde_json::json;
    /// db.json().set("order/1", &json!({}))?;
    /// assert_eq!(db.json().exists_many(["order/1", "order/2"])?, [true, false]);
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    pub fn exists_many<K: AsRef<[u8]>>(&self, keys: impl IntoIterator<Item = K>) -> Result<Vec<bool>> {
        let there = |reads: &dyn Reads, key: K| exists(reads, self.space, Family::Json, key.as_ref());
        self.access.read(|reads| keys.into_iter().map(|key| there(reads, key)).collect())
    }

    /// How many documents a range of keys has. The cost is linear in that number.
    ///
    /// ```
    /// # extern crate foldb_core as foldb;
    /// # let db = foldb_core::Db::memory();
    /// use serde_json::json;
    /// use foldb::KeyRange;
    /// db.json().set("order/1", &json!({}))?;
    /// assert_eq!(db.json().count(KeyRange::prefix("order/"))?, 1);
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    pub fn count(&self, range: impl Into<KeyRange>) -> Result<u64> {
        let range = range.into();
        self.access.read(|reads| count(reads, self.space, Family::Json, &range))
    }

    /// The keys that the options choose.
    ///
    /// ```
    /// # extern crate foldb_core as foldb;
    /// # let db = foldb_core::Db::memory();
    /// use serde_json::json;
    /// use foldb::primitive::ScanOptions;
    /// db.json().set("order/1", &json!({}))?;
    /// assert_eq!(db.json().keys(&ScanOptions::prefix("order/"))?, [b"order/1"]);
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    pub fn keys(&self, options: &ScanOptions) -> Result<Vec<Vec<u8>>> {
        self.access.read(|reads| keys(reads, self.space, Family::Json, options))
    }

    /// The documents that the options choose.
    ///
    /// ```
    /// # extern crate foldb_core as foldb;
    /// # let db = foldb_core::Db::memory();
    /// use serde_json::json;
    /// use foldb::primitive::ScanOptions;
    /// db.json().set("order/1", &json!({"item": "tea"}))?;
    /// let orders = db.json().list(&ScanOptions::prefix("order/").limit(10))?;
    /// assert_eq!(orders[0].document["item"], "tea");
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    pub fn list(&self, options: &ScanOptions) -> Result<Vec<DocumentEntry>> {
        self.filter(options, |_| true)
    }

    /// The documents that the options choose, one after the other, from either end, as [`Kv::iter`](super::Kv::iter) gives pairs.
    ///
    /// ```
    /// # extern crate foldb_core as foldb;
    /// # let db = foldb_core::Db::memory();
    /// use serde_json::json;
    /// use foldb::primitive::ScanOptions;
    /// db.json().set_many([("order/1", json!({"item": "tea"})), ("order/2", json!({"item": "salt"}))])?;
    /// let newest = db.json().iter(&ScanOptions::prefix("order/")).next_back().transpose()?;
    /// assert_eq!(newest.map(|entry| entry.document["item"].clone()), Some(json!("salt")));
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Documents::list`], as the last item.
    pub fn iter(&self, options: &ScanOptions) -> impl DoubleEndedIterator<Item = Result<DocumentEntry>> + use<A>
    where
        A: Clone,
    {
        let documents = self.clone();
        Pages::new(options, move |page| documents.list(page))
    }

    /// The documents that the options choose and that `wanted` accepts; a limit counts accepted documents only.
    ///
    /// ```
    /// # extern crate foldb_core as foldb;
    /// # let db = foldb_core::Db::memory();
    /// use serde_json::json;
    /// use foldb::primitive::ScanOptions;
    /// db.json().set("order/1", &json!({"count": 2}))?;
    /// let large = db.json().filter(&ScanOptions::all(), |order| order["count"].as_u64() >= Some(2))?;
    /// assert_eq!(large.len(), 1);
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    pub fn filter(&self, options: &ScanOptions, mut wanted: impl FnMut(&Json) -> bool) -> Result<Vec<DocumentEntry>> {
        let mut entries = Vec::new();
        self.access.read(|reads| {
            scan(reads, self.space, Family::Json, options, &mut |key, item| {
                let document: Json = decoded(key, &item.bytes()?)?;
                let wanted = wanted(&document);
                if wanted {
                    entries.push(DocumentEntry { key: key.to_vec(), document, version: Version::of(item) });
                }
                Ok(wanted)
            })
        })?;
        Ok(entries)
    }
}

impl<A: AccessMut> Documents<A> {
    /// Sets a document, whatever there was before. Reads nothing and so never conflicts.
    ///
    /// # Errors
    /// [`Error::Limit`] if key or document are too large or the document is nested too deeply.
    ///
    /// ```
    /// # let db = foldb_core::Db::memory();
    /// use serde_json::json;
    /// db.json().set("order/1", &json!({"item": "tea", "count": 2}))?;
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    pub fn set(&self, key: impl AsRef<[u8]>, document: &Json) -> Result<()> {
        let (key, body) = (key.as_ref(), encoded(document)?);
        self.access.write(|writes| writes.write(self.space, OpCode::JsonPut, key, &body))
    }

    /// As [`Documents::set`], with the document that a value describes.
    ///
    /// # Errors
    /// As [`Documents::set`], and [`Error::Invalid`] if it describes something that JSON does not have: NaN, an
    /// infinity, keys that are not text or numbers.
    ///
    /// ```
    /// # let db = foldb_core::Db::memory();
    /// use std::collections::BTreeMap;
    /// db.json().set_as("ages", &BTreeMap::from([("Ada", 36), ("Alan", 41)]))?;
    /// assert!(db.json().set_as("broken", &f64::NAN).is_err(), "JSON has no NaN");
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    pub fn set_as(&self, key: impl AsRef<[u8]>, document: &impl Serialize) -> Result<()> {
        let (key, body) = (key.as_ref(), encoded(&described(document)?)?);
        self.access.write(|writes| writes.write(self.space, OpCode::JsonPut, key, &body))
    }

    /// Sets a document if its version is `expected`; with `None`, if there is none. Whatever has changed the document since, also
    /// only a place in it, has given it another version.
    ///
    /// # Errors
    /// [`Error::Precondition`], naming the version that is there, if not; and as [`Documents::set`].
    ///
    /// ```
    /// # let db = foldb_core::Db::memory();
    /// use serde_json::json;
    /// db.json().cas_version("order/1", None, &json!({"count": 1}))?;
    /// let read = db.json().get_versioned("order/1")?.expect("it was just set");
    /// db.json().set_at("order/1", "/count", &json!(5))?;
    /// assert!(db.json().cas_version("order/1", Some(read.version), &json!({})).is_err(), "somebody was faster");
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    pub fn cas_version(&self, key: impl AsRef<[u8]>, expected: Option<Version>, document: &Json) -> Result<()> {
        let (key, body) = (key.as_ref(), encoded(document)?);
        self.access.write(|writes| {
            let found = lookup(writes, self.space, Family::Json, key, |item| Ok(Version::of(item)))?;
            if found != expected {
                let text =
                    |version: Option<Version>| version.map_or("no document".into(), |version| format!("{version}"));
                return Err(unmet(key, text(expected), text(found)));
            }
            writes.write(self.space, OpCode::JsonPut, key, &body)
        })
    }

    /// Sets several documents in one commit. Of two documents for one key the later one counts.
    ///
    /// # Errors
    /// As [`Documents::set_as`]; nothing is set then. All of them together are one transaction and have its limit: an explicit
    /// transaction that meets it has some of them, and can only be rolled back.
    ///
    /// ```
    /// # let db = foldb_core::Db::memory();
    /// use serde_json::json;
    /// db.json().set_many([("order/1", json!({"item": "tea"})), ("order/2", json!({"item": "salt"}))])?;
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    pub fn set_many<K: AsRef<[u8]>, D: Serialize>(&self, documents: impl IntoIterator<Item = (K, D)>) -> Result<()> {
        let mut encoded = EncodedPairs::default();
        for (key, document) in documents {
            encoded.push(key.as_ref(), &described(&document)?)?;
        }
        self.access.write(|writes| {
            encoded.iter().try_for_each(|(key, body)| writes.write(self.space, OpCode::JsonPut, key, body))
        })
    }

    /// Deletes a document and says whether there was one.
    ///
    /// ```
    /// # let db = foldb_core::Db::memory();
    /// use serde_json::json;
    /// db.json().set("order/1", &json!({}))?;
    /// assert!(db.json().delete("order/1")?);
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    pub fn delete(&self, key: impl AsRef<[u8]>) -> Result<bool> {
        let key = key.as_ref();
        self.access.write(|writes| delete(writes, self.space, key))
    }

    /// Deletes several documents in one commit and says how many there were.
    ///
    /// ```
    /// # let db = foldb_core::Db::memory();
    /// assert_eq!(db.json().delete_many(["order/1", "order/2"])?, 0);
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
}

/// The type that a document describes.
fn as_type<T: DeserializeOwned>(key: &[u8], document: Json) -> Result<T> {
    serde_json::from_value(document).map(|Whole(value)| value).map_err(|error| {
        let message = format!("{error}");
        let invalid = || Error::Invalid { what: "document", why: format!("{}: {message}", readable(key)) };
        nested_too_deeply(&message).unwrap_or_else(invalid)
    })
}

/// The document that a type describes.
pub(super) fn described<T: Serialize>(value: &T) -> Result<Json> {
    let invalid = |why: String| Error::Invalid { what: "document", why };
    finite::check(value).map_err(|error| {
        let message = format!("{error}");
        nested_too_deeply(&message).unwrap_or_else(|| invalid(message))
    })?;
    serde_json::to_value(value).map_err(|error| invalid(format!("{error}")))
}

fn get(reads: &dyn Reads, space: SpaceNumber, key: &[u8]) -> Result<Option<Json>> {
    lookup(reads, space, Family::Json, key, |item| decoded(key, &item.bytes()?))
}

fn delete(writes: &dyn Writes, space: SpaceNumber, key: &[u8]) -> Result<bool> {
    entry::delete(writes, space, (Family::Json, OpCode::JsonDelete), key)
}
