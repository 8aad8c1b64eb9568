//! Reading and changing one place in a document.

use alloc::{
    borrow::ToOwned,
    format,
    string::{String, ToString},
    vec::Vec,
};
use core::mem;

use jsonptr::{Token, index::Index};
use serde_json::{Map, Number, Value as Json};

use super::{
    codec::sorted,
    number,
    path::{self, Path},
};
use crate::{Error, Result, value::cbor};

/// The value at `path`, if there is one.
///
/// ```
/// # extern crate foldb_core as foldb;
/// use foldb::json::get_at;
/// use serde_json::json;
///
/// let document = json!({"steps": [{"name": "fetch"}]});
/// assert_eq!(get_at(&document, &"$.steps[0].name".parse()?), Some(&json!("fetch")));
/// assert_eq!(get_at(&document, &"/steps/1".parse()?), None);
/// # Ok::<(), foldb_core::Error>(())
/// ```
pub fn get_at<'d>(document: &'d Json, path: &Path) -> Option<&'d Json> {
    document.pointer(path.as_pointer())
}

/// Sets the value at `path` and returns what was there. The last step is created if it is missing: a new member, or at
/// `-` a new last item. Nothing else is created.
///
/// # Errors
/// [`Error::NotFound`] naming the outermost place that is missing, [`Error::Type`] if the path leads through something
/// that has no members, [`Error::Invalid`] for an index outside its array, [`Error::Limit`] if the document would be
/// nested too deeply.
///
/// ```
/// # extern crate foldb_core as foldb;
/// use foldb::json::set_at;
/// use serde_json::json;
///
/// let mut document = json!({"steps": []});
/// set_at(&mut document, &"/steps/-".parse()?, json!("fetch"))?;
/// assert_eq!(set_at(&mut document, &"/steps/0".parse()?, json!("parse"))?, Some(json!("fetch")));
/// assert_eq!(document, json!({"steps": ["parse"]}));
/// assert!(set_at(&mut document, &"/a/b".parse()?, json!(1)).unwrap_err().to_string().contains("/a"));
/// # Ok::<(), foldb_core::Error>(())
/// ```
pub fn set_at(document: &mut Json, path: &Path, value: Json) -> Result<Option<Json>> {
    measure(&value, path.depth())?;
    let Some((container, last)) = container_mut(document, path)? else {
        return Ok(Some(mem::replace(document, value)));
    };
    match container {
        Container::Object(members) => Ok(members.insert(last.decoded().into_owned(), value)),
        Container::Array(items) => match last.to_index() {
            Ok(Index::Next) => {
                items.push(value);
                Ok(None)
            }
            Ok(Index::Num(index)) if index < items.len() => {
                Ok(items.get_mut(index).map(|item| mem::replace(item, value)))
            }
            _ => Err(outside(path, items.len())),
        },
    }
}

/// Removes the value at `path` and returns it; `None` if there was none. Later items of an array move up.
///
/// # Errors
/// [`Error::Invalid`] for the whole document, which is not a place in itself.
///
/// ```
/// # extern crate foldb_core as foldb;
/// use foldb::json::delete_at;
/// use serde_json::json;
///
/// let mut document = json!({"a": [1, 2]});
/// assert_eq!(delete_at(&mut document, &"/a/0".parse()?)?, Some(json!(1)));
/// assert_eq!(delete_at(&mut document, &"/b".parse()?)?, None);
/// assert_eq!(document, json!({"a": [2]}));
/// # Ok::<(), foldb_core::Error>(())
/// ```
pub fn delete_at(document: &mut Json, path: &Path) -> Result<Option<Json>> {
    let Some((parent, last)) = path.split_last() else {
        return Err(Error::Invalid {
            what: "JSON path",
            why: String::from("the whole document cannot be removed from itself; delete the document"),
        });
    };
    Ok(match document.pointer_mut(parent) {
        Some(Json::Object(members)) => members.remove(last.decoded().as_ref()),
        Some(Json::Array(items)) => existing_index(&last, items.len()).map(|index| items.remove(index)),
        _ => None,
    })
}

/// Merges `patch` into the value at `path` (JSON Merge Patch, RFC 7396): members of objects are merged, null removes a
/// member, anything else replaces. A missing last step is created.
///
/// # Errors
/// As [`set_at`].
///
/// ```
/// # extern crate foldb_core as foldb;
/// use foldb::json::{Path, merge_at};
/// use serde_json::json;
///
/// let mut document = json!({"a": 1, "b": {"c": 2, "d": 3}});
/// merge_at(&mut document, &Path::root(), &json!({"a": null, "b": {"c": 4}}))?;
/// assert_eq!(document, json!({"b": {"c": 4, "d": 3}}));
/// # Ok::<(), foldb_core::Error>(())
/// ```
pub fn merge_at(document: &mut Json, path: &Path, patch: &Json) -> Result<()> {
    // The result is at most as deep as the document or the patch, so that this also bounds the recursion.
    measure(patch, path.depth())?;
    if let Some(target) = document.pointer_mut(path.as_pointer()) {
        merge(target, patch);
        return Ok(());
    }
    let mut created = Json::Null;
    merge(&mut created, patch);
    set_at(document, path, created).map(|_| ())
}

fn merge(target: &mut Json, patch: &Json) {
    let Json::Object(changes) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Json::Object(Map::new());
    }
    let Json::Object(members) = target else { return };
    for (key, change) in changes {
        if change.is_null() {
            members.remove(key);
        } else {
            merge(members.entry(key.as_str()).or_insert(Json::Null), change);
        }
    }
}

/// Appends to the array at `path` and returns its new length.
///
/// # Errors
/// [`Error::NotFound`] if nothing is there, [`Error::Type`] if it is no array, [`Error::Limit`] if the document would
/// be nested too deeply.
///
/// ```
/// # extern crate foldb_core as foldb;
/// use foldb::json::push_at;
/// use serde_json::json;
///
/// let mut document = json!({"log": ["a"]});
/// assert_eq!(push_at(&mut document, &"/log".parse()?, json!("b"))?, 2);
/// # Ok::<(), foldb_core::Error>(())
/// ```
pub fn push_at(document: &mut Json, path: &Path, value: Json) -> Result<u64> {
    measure(&value, path.depth().saturating_add(1))?;
    let items = array_mut(document, path)?;
    items.push(value);
    Ok(wide(items.len()))
}

/// Removes the last item of the array at `path` and returns it; `None` if the array is empty.
///
/// # Errors
/// [`Error::NotFound`] if nothing is there, [`Error::Type`] if it is no array.
///
/// ```
/// # extern crate foldb_core as foldb;
/// use foldb::json::pop_at;
/// use serde_json::json;
///
/// let mut document = json!({"log": ["a"]});
/// assert_eq!(pop_at(&mut document, &"/log".parse()?)?, Some(json!("a")));
/// assert_eq!(pop_at(&mut document, &"/log".parse()?)?, None);
/// # Ok::<(), foldb_core::Error>(())
/// ```
pub fn pop_at(document: &mut Json, path: &Path) -> Result<Option<Json>> {
    array_mut(document, path).map(Vec::pop)
}

/// Adds `by` to the number at `path` and returns the sum. Integers stay integers; if either is a float, so is the sum.
///
/// # Errors
/// [`Error::NotFound`] if nothing is there, [`Error::Type`] if it is no number, [`Error::CounterOverflow`] if the sum
/// fits neither `i64` nor `u64`, or is not finite, [`Error::Invalid`] if an integer would have to be rounded to be added
/// to a float.
///
/// ```
/// # extern crate foldb_core as foldb;
/// use foldb::json::increment_at;
/// use serde_json::json;
///
/// let mut document = json!({"count": 1});
/// assert_eq!(increment_at(&mut document, &"/count".parse()?, &2.into())?, 3.into());
/// assert_eq!(document, json!({"count": 3}));
/// # Ok::<(), foldb_core::Error>(())
/// ```
pub fn increment_at(document: &mut Json, path: &Path, by: &Number) -> Result<Number> {
    match present_mut(document, path)? {
        Json::Number(value) => {
            let sum = number::add(&path.shown(), value, by)?;
            *value = sum.clone();
            Ok(sum)
        }
        other => Err(mismatch(path.as_pointer(), "number", other)),
    }
}

/// The number of items of the array, members of the object, or characters (Unicode scalar values) of the string at
/// `path`.
///
/// # Errors
/// [`Error::NotFound`] if nothing is there, [`Error::Type`] for null, booleans and numbers.
///
/// ```
/// # extern crate foldb_core as foldb;
/// use foldb::json::{Path, length_at};
/// assert_eq!(length_at(&serde_json::json!("naïve"), &Path::root())?, 5);
/// # Ok::<(), foldb_core::Error>(())
/// ```
pub fn length_at(document: &Json, path: &Path) -> Result<u64> {
    match present(document, path)? {
        Json::Array(items) => Ok(wide(items.len())),
        Json::Object(members) => Ok(wide(members.len())),
        Json::String(text) => Ok(wide(text.chars().count())),
        other => Err(mismatch(path.as_pointer(), "array, object or string", other)),
    }
}

/// The type of the value at `path`, as [`type_name`]; `None` if nothing is there.
///
/// ```
/// # extern crate foldb_core as foldb;
/// use foldb::json::type_at;
/// let document = serde_json::json!({"a": [1]});
/// assert_eq!(type_at(&document, &"/a".parse()?), Some("array"));
/// assert_eq!(type_at(&document, &"/b".parse()?), None);
/// # Ok::<(), foldb_core::Error>(())
/// ```
pub fn type_at(document: &Json, path: &Path) -> Option<&'static str> {
    get_at(document, path).map(type_name)
}

/// The keys of the object at `path`, in ascending order.
///
/// # Errors
/// [`Error::NotFound`] if nothing is there, [`Error::Type`] if it is no object.
///
/// ```
/// # extern crate foldb_core as foldb;
/// use foldb::json::{Path, keys_at};
/// assert_eq!(keys_at(&serde_json::json!({"b": 1, "a": 2}), &Path::root())?, ["a", "b"]);
/// # Ok::<(), foldb_core::Error>(())
/// ```
pub fn keys_at(document: &Json, path: &Path) -> Result<Vec<String>> {
    match present(document, path)? {
        Json::Object(members) => Ok(sorted(members).into_iter().map(|(key, _)| key.clone()).collect()),
        other => Err(mismatch(path.as_pointer(), "object", other)),
    }
}

/// Whether the value at `path` equals `value`: the condition of a query by field value. Numbers are equal if their
/// numerical values are, so `1` matches `1.0`; a missing field matches nothing, not even null.
///
/// ```
/// # extern crate foldb_core as foldb;
/// use foldb::json::matches_at;
/// use serde_json::json;
///
/// let document = json!({"status": "open", "tries": 1});
/// assert!(matches_at(&document, &"$.status".parse()?, &json!("open")));
/// assert!(matches_at(&document, &"$.tries".parse()?, &json!(1.0)));
/// assert!(!matches_at(&document, &"$.owner".parse()?, &json!(null)));
/// # Ok::<(), foldb_core::Error>(())
/// ```
pub fn matches_at(document: &Json, path: &Path, value: &Json) -> bool {
    get_at(document, path).is_some_and(|found| number::same(found, value))
}

/// The name of a value's type in JSON: `null`, `boolean`, `number`, `string`, `array` or `object`.
///
/// ```
/// # extern crate foldb_core as foldb;
/// use foldb::json::type_name;
/// assert_eq!(type_name(&serde_json::json!(1.5)), "number");
/// ```
pub fn type_name(value: &Json) -> &'static str {
    match value {
        Json::Null => "null",
        Json::Bool(_) => "boolean",
        Json::Number(_) => "number",
        Json::String(_) => "string",
        Json::Array(_) => "array",
        Json::Object(_) => "object",
    }
}

/// What has places in it.
pub(super) enum Container<'d> {
    Object(&'d mut Map<String, Json>),
    Array(&'d mut Vec<Json>),
}

/// What contains the place, and the step to it; `None` for the whole document.
pub(super) fn container_mut<'d, 'p>(
    document: &'d mut Json,
    path: &'p Path,
) -> Result<Option<(Container<'d>, Token<'p>)>> {
    let Some((parent, last)) = path.split_last() else { return Ok(None) };
    if document.pointer(parent).is_none() {
        return Err(missing(document, parent));
    }
    match document.pointer_mut(parent) {
        Some(Json::Object(members)) => Ok(Some((Container::Object(members), last))),
        Some(Json::Array(items)) => Ok(Some((Container::Array(items), last))),
        Some(other) => Err(mismatch(parent, "object or array", other)),
        // Has been looked up above.
        None => Err(not_found(parent)),
    }
}

/// The index of an item that exists.
pub(super) fn existing_index(token: &Token<'_>, length: usize) -> Option<usize> {
    token.to_index().ok()?.for_len(length).ok()
}

/// That an index is no place in its array.
pub(super) fn outside(path: &Path, length: usize) -> Error {
    Error::Invalid {
        what: "JSON path",
        why: format!("{path}: the array has {length} items, numbered from 0; the step - is behind the last"),
    }
}

/// Fails if `value` would be nested too deeply under `depth` containers. Returns about how many bytes it takes.
pub(super) fn measure(value: &Json, depth: usize) -> Result<usize> {
    /// What an item costs besides its text.
    const ITEM_BYTES: usize = 9;
    let mut bytes = ITEM_BYTES;
    match value {
        Json::Null | Json::Bool(_) | Json::Number(_) => {}
        Json::String(text) => bytes = bytes.saturating_add(text.len()),
        Json::Array(items) => {
            let depth = cbor::deeper(depth)?;
            for item in items {
                bytes = bytes.saturating_add(measure(item, depth)?);
            }
        }
        Json::Object(members) => {
            let depth = cbor::deeper(depth)?;
            for (key, value) in members {
                bytes = bytes.saturating_add(key.len()).saturating_add(measure(value, depth)?);
            }
        }
    }
    Ok(bytes)
}

pub(super) fn present<'d>(document: &'d Json, path: &Path) -> Result<&'d Json> {
    get_at(document, path).ok_or_else(|| missing(document, path.as_pointer()))
}

pub(super) fn present_mut<'d>(document: &'d mut Json, path: &Path) -> Result<&'d mut Json> {
    present(document, path)?;
    document.pointer_mut(path.as_pointer()).ok_or_else(|| not_found(path.as_pointer()))
}

fn array_mut<'d>(document: &'d mut Json, path: &Path) -> Result<&'d mut Vec<Json>> {
    match present_mut(document, path)? {
        Json::Array(items) => Ok(items),
        other => Err(mismatch(path.as_pointer(), "array", other)),
    }
}

/// Why nothing is at `pointer`: the outermost place on the way that is missing, or cannot have places in it.
fn missing(document: &Json, pointer: &str) -> Error {
    let ends = pointer.match_indices('/').map(|(at, _)| at).skip(1).chain([pointer.len()]);
    let mut parent = "";
    for end in ends {
        let place = pointer.get(..end).unwrap_or(pointer);
        if document.pointer(place).is_none() {
            return match document.pointer(parent) {
                Some(Json::Object(_) | Json::Array(_)) | None => not_found(place),
                Some(other) => mismatch(parent, "object or array", other),
            };
        }
        parent = place;
    }
    not_found(pointer)
}

fn not_found(pointer: &str) -> Error {
    Error::NotFound { what: "path", name: pointer.to_owned() }
}

fn mismatch(pointer: &str, expected: &'static str, found: &Json) -> Error {
    Error::Type { what: path::shown(pointer).to_string(), expected, found: type_name(found) }
}

fn wide(length: usize) -> u64 {
    // A length in memory fits 64 bits on every target that exists.
    u64::try_from(length).unwrap_or(u64::MAX)
}
