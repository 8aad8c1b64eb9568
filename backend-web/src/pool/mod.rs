//! A storage over a pool of files that are open ahead of need.
//!
//! A browser makes, opens and removes files asynchronously, and [`Storage`](foldb_core::storage::Storage) is
//! synchronous. So the pool keeps real files with neutral names open, exclusively, and each says in its first block which
//! file of the store it carries. To create a file is to take a free one and write its header; to remove one is to mark
//! it free. What is asynchronous happens when the pool is opened and in [`Pool::replenish`], between operations. When
//! no file is ready, creating fails with [`StorageError::NotReady`](foldb_core::storage::StorageError::NotReady), at
//! once and with nothing changed.
//!
//! The layout, and why a crash at any point leaves it readable, is in `docs/platform.md` ("The pool's files"); the code
//! cites its rules.
//!
//! Invariants:
//! - The header of a pool file and the bytes behind it become durable by one flush of one handle, so a store's file is
//!   there, with its name, when its sync has returned.
//! - Bytes of an earlier life of a pool file are cut off, durably, before it is free; they never show under a new name.
//! - What a failed flush leaves open is never made durable by a later one: the file takes no more writes.

mod directory;
mod file;
mod header;
mod open;
mod positioned;
mod replenish;
mod slot;
mod storage;

pub use directory::{AccessHandle, Directory, Failure};
pub use file::PoolFile;
pub use header::HEADER_BYTES;
pub use open::{OpenOptions, Opening, destroy};
pub use replenish::Pool;
pub use storage::PoolStorage;
