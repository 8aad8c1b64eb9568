//! What changed between two documents, place by place.

use alloc::{string::String, vec::Vec};
use core::cmp::Ordering;

use jsonptr::{PointerBuf, Token};
use serde_json::{Map, Number, Value as Json};

use super::codec::sorted;
use crate::limits::VALUE_DEPTH_MAX;

/// A place where two documents differ, and how.
///
/// ```
/// # extern crate foldb_core as foldb;
/// use foldb::json::{Change, diff};
/// use serde_json::json;
///
/// let changes = diff(&json!({"a": [1, 2]}), &json!({"a": [1, 3], "b": null}));
/// assert_eq!(changes.len(), 2);
/// assert_eq!(changes[0].path, "/a/1");
/// assert_eq!(changes[0].change, Change::Changed { from: json!(2), to: json!(3) });
/// assert_eq!(changes[1].path, "/b");
/// assert_eq!(changes[1].change, Change::Added(json!(null)));
/// ```
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct PathChange {
    /// The place, as a JSON Pointer.
    pub path: String,
    /// What happened there.
    pub change: Change,
}

/// How a place differs between an older and a newer document.
///
/// ```
/// # extern crate foldb_core as foldb;
/// use foldb::json::{Change, diff};
/// use serde_json::json;
/// assert_eq!(diff(&json!({"a": 1}), &json!({}))[0].change, Change::Removed(json!(1)));
/// ```
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// Only the newer document has a value there.
    Added(Json),
    /// Only the older document has a value there.
    Removed(Json),
    /// Both have one, and not the same.
    Changed {
        /// The older value.
        from: Json,
        /// The newer value.
        to: Json,
    },
}

/// Where `newer` differs from `older`, the outermost places only: objects are compared member by member in ascending
/// order of keys, arrays item by item by index, everything else as a whole. What is stored differently differs here, as `1`
/// and `1.0`, or `0.0` and `-0.0`. Linear in the size of both documents.
///
/// ```
/// # extern crate foldb_core as foldb;
/// use foldb::json::diff;
/// use serde_json::json;
/// assert!(diff(&json!([1, {"a": 2}]), &json!([1, {"a": 2}])).is_empty());
/// ```
pub fn diff(older: &Json, newer: &Json) -> Vec<PathChange> {
    let mut changes = Vec::new();
    compare(&mut PointerBuf::root(), 0, older, newer, &mut changes);
    changes
}

fn compare(path: &mut PointerBuf, depth: usize, older: &Json, newer: &Json, changes: &mut Vec<PathChange>) {
    match (older, newer) {
        (Json::Array(older), Json::Array(newer)) if depth < VALUE_DEPTH_MAX => {
            for index in 0..older.len().max(newer.len()) {
                step(path, depth, Token::from(index), older.get(index), newer.get(index), changes);
            }
        }
        (Json::Object(older), Json::Object(newer)) if depth < VALUE_DEPTH_MAX => {
            compare_members(path, depth, older, newer, changes);
        }
        (Json::Number(from), Json::Number(to)) if !is_same_number(from, to) => {
            record(path, Change::Changed { from: older.clone(), to: newer.clone() }, changes);
        }
        // No stored document is deeper than the limit; one that a caller made up is compared as a whole from there on.
        _ if older == newer => {}
        _ => record(path, Change::Changed { from: older.clone(), to: newer.clone() }, changes),
    }
}

/// Whether two numbers are stored as the same bytes. As floats zero and minus zero are equal, as values they are two.
fn is_same_number(one: &Number, other: &Number) -> bool {
    let sign = |number: &Number| number.as_f64().map(f64::is_sign_negative);
    one == other && sign(one) == sign(other)
}

/// Merges the members of both objects by ascending key.
fn compare_members(
    path: &mut PointerBuf,
    depth: usize,
    older: &Map<String, Json>,
    newer: &Map<String, Json>,
    changes: &mut Vec<PathChange>,
) {
    let (mut older, mut newer) = (sorted(older).into_iter().peekable(), sorted(newer).into_iter().peekable());
    loop {
        let order = match (older.peek(), newer.peek()) {
            (Some((a, _)), Some((b, _))) => a.cmp(b),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => return,
        };
        let from = older.next_if(|_| order.is_le());
        let to = newer.next_if(|_| order.is_ge());
        if let Some((key, _)) = from.or(to) {
            step(path, depth, Token::new(key), from.map(|(_, value)| value), to.map(|(_, value)| value), changes);
        }
    }
}

fn step(
    path: &mut PointerBuf,
    depth: usize,
    token: Token<'_>,
    older: Option<&Json>,
    newer: Option<&Json>,
    changes: &mut Vec<PathChange>,
) {
    path.push_back(token);
    match (older, newer) {
        (Some(older), Some(newer)) => compare(path, depth + 1, older, newer, changes),
        (Some(older), None) => record(path, Change::Removed(older.clone()), changes),
        (None, Some(newer)) => record(path, Change::Added(newer.clone()), changes),
        (None, None) => {}
    }
    path.pop_back();
}

fn record(path: &PointerBuf, change: Change, changes: &mut Vec<PathChange>) {
    changes.push(PathChange { path: String::from(path.as_str()), change });
}
