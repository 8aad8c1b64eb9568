//! The browser backend of foldb: a store is a directory of the origin private file system (OPFS), opened from a
//! dedicated worker.
//!
//! `OpfsStorage` keeps the contract of [`foldb_core::storage`] in every browser that has
//! `FileSystemSyncAccessHandle`; `BrowserHost` supplies the browser's clock and entropy. What browsers promise is told
//! in `docs/platform.md`, together with the layout of the files.
//!
//! The contract is synchronous, and in a browser making, opening and removing files is not. So the store's files live in
//! a *pool* of real files that are open ahead of need ([`pool`]); [`Pool::replenish`](pool::Pool::replenish) makes more
//! of them whenever the worker's owner lets the event loop run. The pool is generic over the directory that it lives in:
//! the same code runs over OPFS and, in the tests, over a disk that crashes.
//!
#![cfg_attr(target_family = "wasm", doc = "```no_run")]
#![cfg_attr(not(target_family = "wasm"), doc = "```text")]
//! # async fn example() -> foldb_core::Result<()> {
//! use std::sync::Arc;
//! use foldb_core::{Db, Options};
//! use foldb_web::{BrowserHost, OpenOptions, OpfsStorage};
//!
//! let storage = OpfsStorage::open("todo", &OpenOptions::new()).await?;
//! let pool = storage.pool();
//! let db = Db::open(storage, Arc::new(BrowserHost::new()), Options::new())?;
//! db.kv().put("greeting", "hello")?;
//! // Between two turns of work: keeps files ready for the log to grow into.
//! pool.replenish().await?;
//! # Ok(())
//! # }
//! ```

mod name;
#[cfg(target_family = "wasm")]
mod opfs;
pub mod pool;

pub use name::{STORE_NAME_BYTES_MAX, check_store_name};
#[cfg(target_family = "wasm")]
pub use opfs::{BrowserHost, OpfsDirectory, OpfsFile, OpfsHandle, OpfsStorage, destroy, list};
pub use pool::OpenOptions;
