//! Operations at a path inside a document.
//!
//! Each of them reads the document, works on it in memory and, if it changed, writes it back, in one transaction. So
//! what fails changes nothing, and two changes of one document at the same time are run one after the other. Of a large
//! document only the change is logged, where that is smaller: see [`edits`].

use alloc::{format, string::String, vec::Vec};

use serde_json::{Number, Value as Json};

use super::{DocumentEntry, Documents, edits};
use crate::{
    Error, Result,
    json::{self, Patch, Path},
    primitive::{
        access::{Access, AccessMut},
        entry::{decoded, encoded, lookup, missing},
        expiry,
        scan::ScanOptions,
    },
    state::{Family, readable},
};

impl<A: Access> Documents<A> {
    /// The value at a path, if there is one.
    ///
    /// # Errors
    /// [`Error::NotFound`] if the document does not exist, [`Error::Invalid`] if the path is malformed.
    ///
    /// ```
    /// # let db = foldb_core::Db::memory();
    /// use serde_json::json;
    /// db.json().set("order/1", &json!({"items": [{"name": "tea"}]}))?;
    /// assert_eq!(db.json().get_at("order/1", "/items/0/name")?, Some(json!("tea")));
    /// assert_eq!(db.json().get_at("order/1", "$.items[0].name")?, Some(json!("tea")));
    /// assert_eq!(db.json().get_at("order/1", "/total")?, None);
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    pub fn get_at(&self, key: impl AsRef<[u8]>, path: &str) -> Result<Option<Json>> {
        self.inspect(key.as_ref(), path, |document, path| Ok(json::get_at(document, path).cloned()))
    }

    /// How long what is at a path is: items of an array, members of an object, characters of a string.
    ///
    /// # Errors
    /// [`Error::NotFound`] if nothing is there, [`Error::Type`] if it has no length, and as [`Documents::get_at`].
    ///
    /// ```
    /// # let db = foldb_core::Db::memory();
    /// use serde_json::json;
    /// db.json().set("order/1", &json!({"items": ["tea", "salt"]}))?;
    /// assert_eq!(db.json().length_at("order/1", "/items")?, 2);
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    pub fn length_at(&self, key: impl AsRef<[u8]>, path: &str) -> Result<u64> {
        self.inspect(key.as_ref(), path, json::length_at)
    }

    /// The name of the type of what is at a path, if something is: `null`, `boolean`, `number`, `string`, `array` or
    /// `object`.
    ///
    /// # Errors
    /// As [`Documents::get_at`].
    ///
    /// ```
    /// # let db = foldb_core::Db::memory();
    /// use serde_json::json;
    /// db.json().set("order/1", &json!({"total": 9.5}))?;
    /// assert_eq!(db.json().type_at("order/1", "/total")?, Some("number"));
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    pub fn type_at(&self, key: impl AsRef<[u8]>, path: &str) -> Result<Option<&'static str>> {
        self.inspect(key.as_ref(), path, |document, path| Ok(json::type_at(document, path)))
    }

    /// The names of the members of the object at a path, ascending.
    ///
    /// # Errors
    /// [`Error::NotFound`] if nothing is there, [`Error::Type`] if it is no object, and as [`Documents::get_at`].
    ///
    /// ```
    /// # let db = foldb_core::Db::memory();
    /// use serde_json::json;
    /// db.json().set("order/1", &json!({"total": 9.5, "items": []}))?;
    /// assert_eq!(db.json().keys_at("order/1", "")?, ["items", "total"]);
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    pub fn keys_at(&self, key: impl AsRef<[u8]>, path: &str) -> Result<Vec<String>> {
        self.inspect(key.as_ref(), path, json::keys_at)
    }

    /// The documents that the options choose and that have this value at a path; a limit counts matches only. Numbers
    /// are equal if their numerical values are; where nothing is, nothing matches, not even null. Every document of the
    /// range is read.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the path is malformed.
    ///
    /// ```
    /// # extern crate foldb_core as foldb;
    /// # let db = foldb_core::Db::memory();
    /// use serde_json::json;
    /// use foldb::primitive::ScanOptions;
    /// db.json().set("order/1", &json!({"status": "open"}))?;
    /// db.json().set("order/2", &json!({"status": "paid"}))?;
    /// let open = db.json().select(&ScanOptions::prefix("order/"), "/status", &json!("open"))?;
    /// assert_eq!(open[0].key, b"order/1");
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    pub fn select(&self, options: &ScanOptions, path: &str, value: &Json) -> Result<Vec<DocumentEntry>> {
        let path = Path::parse(path)?;
        self.filter(options, |document| json::matches_at(document, &path, value))
    }

    fn inspect<T>(&self, key: &[u8], path: &str, look: impl FnOnce(&Json, &Path) -> Result<T>) -> Result<T> {
        let path = Path::parse(path)?;
        let document = self.get(key)?.ok_or_else(|| missing("document", key))?;
        look(&document, &path).map_err(|error| inside(error, key))
    }
}

impl<A: AccessMut> Documents<A> {
    /// Sets the value at a path and returns what was there. The last step is made if it is missing: a new member, or at
    /// `-` a new last item. Nothing else is made.
    ///
    /// # Errors
    /// [`Error::NotFound`] naming the document or the outermost place that is missing, [`Error::Type`] if the path
    /// leads through something that has no members, [`Error::Invalid`] for a malformed path or an index outside its
    /// array, [`Error::Limit`] if the document becomes too large or too deep.
    ///
    /// ```
    /// # let db = foldb_core::Db::memory();
    /// use serde_json::json;
    /// db.json().set("order/1", &json!({"items": []}))?;
    /// assert_eq!(db.json().set_at("order/1", "/status", &json!("open"))?, None);
    /// db.json().set_at("order/1", "/items/-", &json!("tea"))?;
    /// assert_eq!(db.json().get("order/1")?, Some(json!({"items": ["tea"], "status": "open"})));
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    pub fn set_at(&self, key: impl AsRef<[u8]>, path: &str, value: &Json) -> Result<Option<Json>> {
        self.edit(key.as_ref(), path, |document, path| json::set_at(document, path, value.clone()))
    }

    /// Removes the value at a path and returns it; `None` if there was none.
    ///
    /// # Errors
    /// [`Error::NotFound`] if the document does not exist, [`Error::Invalid`] if the path is malformed or leads to the
    /// whole document: [`Documents::delete`] deletes that.
    ///
    /// ```
    /// # let db = foldb_core::Db::memory();
    /// use serde_json::json;
    /// db.json().set("order/1", &json!({"items": ["tea", "salt"]}))?;
    /// assert_eq!(db.json().delete_at("order/1", "/items/0")?, Some(json!("tea")));
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    pub fn delete_at(&self, key: impl AsRef<[u8]>, path: &str) -> Result<Option<Json>> {
        self.edit(key.as_ref(), path, json::delete_at)
    }

    /// Merges into the value at a path (JSON Merge Patch, RFC 7396): members of objects are merged, null removes a
    /// member, anything else replaces. The path `""` is the whole document.
    ///
    /// # Errors
    /// As [`Documents::set_at`].
    ///
    /// ```
    /// # let db = foldb_core::Db::memory();
    /// use serde_json::json;
    /// db.json().set("order/1", &json!({"status": "open", "note": "hurry"}))?;
    /// db.json().merge_at("order/1", "", &json!({"status": "paid", "note": null}))?;
    /// assert_eq!(db.json().get("order/1")?, Some(json!({"status": "paid"})));
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    pub fn merge_at(&self, key: impl AsRef<[u8]>, path: &str, changes: &Json) -> Result<()> {
        self.edit(key.as_ref(), path, |document, path| json::merge_at(document, path, changes))
    }

    /// Applies a JSON Patch (RFC 6902), given as the array of its operations, whole or not at all.
    ///
    /// # Errors
    /// [`Error::Precondition`] if one of its tests fails, [`Error::Invalid`], naming the operation, if the patch is
    /// malformed or one of its operations is not possible, [`Error::NotFound`] if the document does not exist,
    /// [`Error::Limit`] if it becomes too large or too deep.
    ///
    /// ```
    /// # let db = foldb_core::Db::memory();
    /// use serde_json::json;
    /// db.json().set("order/1", &json!({"status": "open"}))?;
    /// db.json().patch("order/1", &json!([
    ///     {"op": "test", "path": "/status", "value": "open"},
    ///     {"op": "replace", "path": "/status", "value": "paid"},
    /// ]))?;
    /// assert_eq!(db.json().get_at("order/1", "/status")?, Some(json!("paid")));
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    pub fn patch(&self, key: impl AsRef<[u8]>, operations: &Json) -> Result<()> {
        let patch = Patch::parse(operations)?;
        self.edit(key.as_ref(), "", |document, _| patch.apply(document))
    }

    /// Appends to the array at a path and returns its new length.
    ///
    /// # Errors
    /// [`Error::NotFound`] if nothing is there, [`Error::Type`] if it is no array, and as [`Documents::set_at`].
    ///
    /// ```
    /// # let db = foldb_core::Db::memory();
    /// use serde_json::json;
    /// db.json().set("order/1", &json!({"items": ["tea"]}))?;
    /// assert_eq!(db.json().push_at("order/1", "/items", &json!("salt"))?, 2);
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    pub fn push_at(&self, key: impl AsRef<[u8]>, path: &str, value: &Json) -> Result<u64> {
        self.edit(key.as_ref(), path, |document, path| json::push_at(document, path, value.clone()))
    }

    /// Removes the last item of the array at a path and returns it; `None` if the array is empty.
    ///
    /// # Errors
    /// As [`Documents::push_at`].
    ///
    /// ```
    /// # let db = foldb_core::Db::memory();
    /// use serde_json::json;
    /// db.json().set("order/1", &json!({"items": ["tea"]}))?;
    /// assert_eq!(db.json().pop_at("order/1", "/items")?, Some(json!("tea")));
    /// assert_eq!(db.json().pop_at("order/1", "/items")?, None);
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    pub fn pop_at(&self, key: impl AsRef<[u8]>, path: &str) -> Result<Option<Json>> {
        self.edit(key.as_ref(), path, json::pop_at)
    }

    /// Adds to the number at a path and returns the sum. Integers stay integers; if either is a float, so is the sum.
    ///
    /// # Errors
    /// [`Error::NotFound`] if nothing is there, [`Error::Type`] if it is no number, [`Error::CounterOverflow`] if the
    /// sum leaves the range of its type, [`Error::Invalid`] if an integer would have to be rounded.
    ///
    /// ```
    /// # let db = foldb_core::Db::memory();
    /// use serde_json::json;
    /// db.json().set("order/1", &json!({"count": 2}))?;
    /// assert_eq!(db.json().increment_at("order/1", "/count", 3)?.as_i64(), Some(5));
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    pub fn increment_at(&self, key: impl AsRef<[u8]>, path: &str, by: impl Into<Number>) -> Result<Number> {
        let by = by.into();
        self.edit(key.as_ref(), path, |document, path| json::increment_at(document, path, &by))
    }

    /// Runs `change` on a document and writes the result, if its bytes are other ones.
    fn edit<T>(&self, key: &[u8], path: &str, mut change: impl FnMut(&mut Json, &Path) -> Result<T>) -> Result<T> {
        let path = Path::parse(path)?;
        self.access.write(|writes| {
            let changed = lookup(writes, self.space, Family::Json, key, |item| {
                let before = item.bytes()?;
                let mut document: Json = decoded(key, &before)?;
                let result = change(&mut document, &path).map_err(|error| inside(error, key))?;
                let after = encoded(&document)?;
                if after == *before {
                    return Ok((result, None));
                }
                let edit = edits::between(item, &before, &after)?;
                Ok((result, Some((after, edit, item.expires_at()))))
            })?;
            let (result, written) = changed.ok_or_else(|| missing("document", key))?;
            match written {
                Some((after, Some(edit), _)) => writes.write_edited(self.space, key, &after, edit.as_ref())?,
                Some((after, None, expires)) => {
                    expiry::put(writes, (self.space, Family::Json), key, &after, expires)?;
                }
                None => {}
            }
            Ok(result)
        })
    }
}

/// The same error, with the document's key in front of the path.
fn inside(error: Error, key: &[u8]) -> Error {
    let at = |path: String| format!("{path} in {}", readable(key));
    match error {
        Error::Type { what, expected, found } => Error::Type { what: at(what), expected, found },
        Error::NotFound { what, name } => Error::NotFound { what, name: at(name) },
        Error::CounterOverflow { key, kind } => Error::CounterOverflow { key: at(key), kind },
        Error::Precondition { key, expected, found } => Error::Precondition { key: at(key), expected, found },
        other => other,
    }
}
