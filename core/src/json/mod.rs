//! JSON documents: [`serde_json::Value`] in the API, the same CBOR as every other value in the store.
//!
//! Invariant: a function here either does what it says or returns an error and leaves the document as it was; a
//! [patch](Patch) is applied whole or not at all. Results depend on the arguments only: member order, which serde_json
//! decides by a feature that any crate of a program may turn on, never shows in stored bytes, keys or diffs.
//!
//! [`parse`] reads JSON text and alters nothing of it. Places in a document are [`Path`]s. No function here makes a document deeper than
//! [`VALUE_DEPTH_MAX`](crate::limits::VALUE_DEPTH_MAX); its size is checked when it is encoded.

mod codec;
mod diff;
mod edit;
mod number;
mod patch;
mod path;
mod text;

#[cfg(test)]
mod tests;

pub use codec::{decode_document, encode_document};
pub use diff::{Change, PathChange, diff};
pub use edit::{
    delete_at, get_at, increment_at, keys_at, length_at, matches_at, merge_at, pop_at, push_at, set_at, type_at,
    type_name,
};
pub use patch::{Operation, Patch};
pub use path::Path;
pub use text::{TextError, parse};
