//! The file-system backend of foldb: a store is a directory, and a file of the store is a file in it.
//!
//! [`FsStorage`] keeps the contract of [`foldb_core::storage`] on Linux, macOS, Windows and the BSDs; [`OsHost`] supplies
//! the operating system's clock and entropy; [`Flusher`] is the background thread of buffered durability. What differs
//! between systems is told in `docs/platform.md`.
//!
//! Invariant: this crate decides nothing about the store. It never interprets, repairs or deletes a byte on its own, and
//! it never turns a failure of the system into success.
//!
//! ```
//! use foldb_core::storage::{Storage, StorageFile};
//! use foldb_fs::FsStorage;
//!
//! let directory = tempfile::tempdir()?;
//! let storage = FsStorage::open(directory.path().join("store"), true)?;
//! let file = storage.create("log-1")?;
//! file.write_at(0, b"kept")?;
//! file.sync()?; // The bytes, the length and the name are on stable media.
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod directory;
mod failure;
mod file;
mod flusher;
mod host;
mod lock;
mod place;
mod positioned;
mod process;
mod registry;
mod reserve;
mod storage;

pub use file::FsFile;
pub use flusher::{FlushReason, Flusher};
pub use host::OsHost;
pub use storage::FsStorage;
