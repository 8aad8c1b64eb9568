//! Transactions: what they see of each other (the anomalies by name), of themselves, and of time.
//!
//! Interleavings are written out with the guard form, so that they are the same in every run; threads appear only where
//! the result must not depend on how they meet.

#[path = "transactions/atomicity.rs"]
mod atomicity;
#[path = "transactions/contention.rs"]
mod contention;
#[path = "transactions/durability.rs"]
mod durability;
#[path = "transactions/errors.rs"]
mod errors;
#[path = "transactions/isolation.rs"]
mod isolation;
#[path = "transactions/once.rs"]
mod once;
#[path = "transactions/own_writes.rs"]
mod own_writes;
#[path = "transactions/owners.rs"]
mod owners;
#[path = "transactions/views.rs"]
mod views;

use std::sync::Arc;

use foldb::{
    Db, Durability, Error, ErrorKind, Options, Receipt, Result, RunOptions,
    storage::{MemStorage, Storage},
};
use foldb_testkit::SeededHost;

fn options() -> Options {
    Options::new().durability(Durability::buffered()).snapshot_on_close(false)
}

fn open<S: Storage>(storage: S, options: Options) -> Db<S> {
    Db::open(storage, Arc::new(SeededHost::new(1)), options).unwrap()
}

fn store() -> Db<MemStorage> {
    open(MemStorage::new(), options())
}

/// A store with these integers.
fn store_with(pairs: &[(&str, i64)]) -> Db<MemStorage> {
    let db = store();
    db.kv().put_many(pairs.iter().copied()).unwrap();
    db
}

fn get<S: Storage>(db: &Db<S>, key: &str) -> Option<i64> {
    db.kv().get(key).unwrap()
}

#[track_caller]
fn assert_conflict(result: Result<Receipt>) {
    let error = result.expect_err("a conflict");
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
}

#[track_caller]
fn assert_kind<T: std::fmt::Debug>(result: Result<T>, kind: ErrorKind) -> Error {
    let error = result.expect_err("an error");
    assert_eq!(error.kind(), kind, "{error}");
    error
}

fn keys(found: &[Vec<u8>]) -> Vec<&str> {
    found.iter().map(|key| std::str::from_utf8(key).unwrap()).collect()
}

fn begin<S: Storage>(db: &Db<S>, name: &str) -> foldb::RunId {
    db.runs().begin(RunOptions::named(name)).unwrap().id()
}
