//! Whole documents that are made of what is there, or of nothing: upserts, updates, and deleting what a range has.
//!
//! Invariant: of a change of a large document the change is logged, whichever operation made it.

use super::{
    super::{
        Deleted,
        access::AccessMut,
        closures,
        entry::{decoded, encoded, lookup},
        expiry, ranges,
    },
    Documents, described, edits,
};
use crate::{
    Error, Result,
    json::{self, Path},
    log::OpCode,
    state::Family,
    tree::KeyRange,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value as Json;

impl<A: AccessMut> Documents<A> {
    /// Merges into a document (JSON Merge Patch, RFC 7396), which is made where there is none, and says whether it was there.
    ///
    /// # Errors
    /// [`Error::Limit`] if the document becomes too large or too deep.
    ///
    /// ```
    /// # let db = foldb_core::Db::memory();
    /// use serde_json::json;
    /// assert!(!db.json().upsert("user/1", &json!({"name": "Ada", "visits": 1}))?);
    /// assert!(db.json().upsert("user/1", &json!({"visits": 2}))?);
    /// assert_eq!(db.json().get("user/1")?, Some(json!({"name": "Ada", "visits": 2})));
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    pub fn upsert(&self, key: impl AsRef<[u8]>, changes: &Json) -> Result<bool> {
        let (whole, mut there) = (Path::parse("")?, false);
        self.try_update(key, |document| {
            there = document.is_some();
            let mut document = document.unwrap_or(Json::Null);
            json::merge_at(&mut document, &whole, changes)?;
            Ok::<_, Error>(document)
        })?;
        Ok(there)
    }

    /// [`Documents::upsert`], with what a value describes.
    ///
    /// # Errors
    /// As [`Documents::upsert`] and [`Documents::set_as`].
    pub fn upsert_as(&self, key: impl AsRef<[u8]>, changes: &impl Serialize) -> Result<bool> {
        self.upsert(key, &described(changes)?)
    }

    /// Replaces a document by what `change` makes of it (of `None`, if there is none), and returns the new one.
    ///
    /// `change` runs again if somebody else changes the document at the same time, so it must have no effects of its own.
    ///
    /// # Errors
    /// As [`Documents::set`].
    ///
    /// ```
    /// # let db = foldb_core::Db::memory();
    /// use serde_json::json;
    /// let add_tea = |order: Option<serde_json::Value>| {
    ///     let mut order = order.unwrap_or_else(|| json!({"items": []}));
    ///     order["items"].as_array_mut().unwrap().push(json!("tea"));
    ///     order
    /// };
    /// db.json().update("order/1", add_tea)?;
    /// assert_eq!(db.json().update("order/1", add_tea)?, json!({"items": ["tea", "tea"]}));
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    pub fn update(&self, key: impl AsRef<[u8]>, mut change: impl FnMut(Option<Json>) -> Json) -> Result<Json> {
        self.try_update(key, |document| Ok::<_, Error>(change(document)))
    }

    /// As [`Documents::update`], for a `change` that can fail, with any error that the store's can be made into: then nothing is
    /// written, and its error is returned.
    ///
    /// # Errors
    /// What `change` returns, and as [`Documents::update`].
    pub fn try_update<E: From<Error>>(
        &self,
        key: impl AsRef<[u8]>,
        mut change: impl FnMut(Option<Json>) -> Result<Json, E>,
    ) -> Result<Json, E> {
        let key = key.as_ref();
        closures::write(&self.access, |writes| {
            // The caller's error leaves by itself: the lookup knows the store's only.
            let mut own = None;
            let changed = lookup(writes, self.space, Family::Json, key, |item| {
                let before = item.bytes()?;
                let document = match change(Some(decoded(key, &before)?)) {
                    Ok(document) => document,
                    Err(error) => {
                        own = Some(error);
                        return Ok(None);
                    }
                };
                let after = encoded(&document)?;
                let edit = if after == *before { None } else { Some(edits::between(item, &before, &after)?) };
                Ok(Some((document, after, edit, item.expires_at())))
            })?;
            match changed {
                Some(Some((document, after, edit, expires))) => {
                    match edit {
                        Some(Some(edit)) => writes.write_edited(self.space, key, &after, edit.as_ref())?,
                        Some(None) => expiry::put(writes, (self.space, Family::Json), key, &after, expires)?,
                        None => {}
                    }
                    Ok(document)
                }
                Some(None) => Err(own.unwrap_or_else(|| no_answer().into())),
                None => {
                    let document = change(None)?;
                    writes.write(self.space, OpCode::JsonPut, key, &encoded(&document)?)?;
                    Ok(document)
                }
            }
        })
    }

    /// [`Documents::try_update`], for a document as a type that it describes.
    ///
    /// ```
    /// # extern crate foldb_core as foldb;
    /// # let db = foldb_core::Db::memory();
    /// #[derive(Default, serde::Serialize, serde::Deserialize)]
    /// struct Order { count: u32 }
    ///
    /// let order = db.json().update_as("order/1", |order: Option<Order>| {
    ///     let before = order.unwrap_or_default();
    ///     Ok::<_, foldb::Error>(Order { count: before.count + 1 })
    /// })?;
    /// assert_eq!(order.count, 1);
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// What `change` returns, and as [`Documents::get_as`] and [`Documents::set_as`].
    pub fn update_as<T: Serialize + DeserializeOwned, E: From<Error>>(
        &self,
        key: impl AsRef<[u8]>,
        mut change: impl FnMut(Option<T>) -> Result<T, E>,
    ) -> Result<T, E> {
        let (key, mut made) = (key.as_ref(), None);
        self.try_update(key, |document| {
            let before = document.map(|document| super::as_type(key, document)).transpose()?;
            let after = change(before)?;
            let document = described(&after)?;
            made = Some(after);
            Ok::<_, E>(document)
        })?;
        made.ok_or_else(|| no_answer().into())
    }

    /// Deletes the documents of a range, in one commit, at most [`DELETED_KEYS_MAX`](crate::limits::DELETED_KEYS_MAX) of them, the
    /// first ones: where the answer says that it is not complete, call again. So others commit between two calls, and the whole range
    /// is not deleted at one moment; [`Deleted`] has the loop. Each key is logged.
    ///
    /// ```
    /// # let db = foldb_core::Db::memory();
    /// use serde_json::json;
    /// db.json().set_many([("order/1", json!({})), ("order/2", json!({}))])?;
    /// assert_eq!(db.json().delete_range("order/".."order0")?.keys, 2);
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    pub fn delete_range(&self, range: impl Into<KeyRange>) -> Result<Deleted> {
        let range = range.into();
        self.access.write(|writes| ranges::delete(writes, self.space, (Family::Json, OpCode::JsonDelete), &range))
    }
}

/// A closure that was run and neither gave a document nor an error: an access that did not run it.
fn no_answer() -> Error {
    Error::Cancelled { what: "an update of a document" }
}
