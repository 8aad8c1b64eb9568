//! Every operation of the primitives and every error they promise, through a store in memory.

use alloc::{string::String, vec::Vec};

use crate::{Db, Error, ErrorKind, Result, storage::MemStorage};

mod cells;
mod damage;
mod documents;
mod edited;
mod events;
mod kv;
mod many;
mod trace;
mod updates;
mod versions;

fn store() -> Db<MemStorage> {
    Db::memory()
}

fn kind_of<T: core::fmt::Debug>(result: Result<T>) -> ErrorKind {
    result.expect_err("this should have failed").kind()
}

/// Expected and found of a failed precondition.
fn unmet<T: core::fmt::Debug>(result: Result<T>) -> (String, String) {
    match result {
        Err(Error::Precondition { expected, found, .. }) => (expected, found),
        other => panic!("expected a failed precondition, got {other:?}"),
    }
}

fn texts(keys: &[Vec<u8>]) -> Vec<&str> {
    keys.iter().map(|key| core::str::from_utf8(key).expect("the tests use text as keys")).collect()
}
