//! A store as one file: a plain tar of the store's files, with a manifest of SHA-256 sums, the same for the same store.
//!
//! The file systems of servers and the private ones of browsers have nothing in common but bytes. An archive takes a
//! store from one to the other, and is a backup that standard tools can list (`tar tvf`), unpack (`tar xf`: the result is
//! a store) and verify (`sha256sum -c SHA256SUMS`).
//!
//! - [`export`] writes an archive of a [`Source`]: a [`Checkpoint`](foldb_core::Checkpoint) of an open store, while
//!   commits go on, or a [`ClosedStore`]. [`Exporter`] is the same for whoever pulls, such as a browser's stream.
//! - [`import`] reads one into an empty storage. [`Importer`] is the same for whoever pushes.
//!
//! Invariants: memory is bounded whatever the size of store or archive. Nothing that an archive says is believed before it
//! was checked. Until the last byte was checked and is on stable media, the storage is not a store and says so.
//!
//! Normative text: `docs/format.md`, rules F-55 to F-60.
//!
//! ```
//! use foldb_archive::{export, import};
//! use foldb_core::{Db, Options, host::SteppedHost, storage::MemStorage};
//! use std::{ops::ControlFlow, sync::Arc};
//!
//! let db = Db::memory();
//! db.kv().put("key", "value")?;
//!
//! let mut archive = Vec::new();
//! export(db.checkpoint()?, &mut archive, &mut |_| ControlFlow::Continue(()))?;
//!
//! let (imported, storage) = import(MemStorage::new(), archive.as_slice(), &mut |_| ControlFlow::Continue(()))?;
//! assert_eq!(imported.seq, 1);
//! let copy = Db::open(storage, Arc::new(SteppedHost::new(7)), Options::new())?;
//! assert_eq!(copy.kv().get::<String>("key")?.as_deref(), Some("value"));
//! # Ok::<(), foldb_archive::ArchiveError>(())
//! ```
#![forbid(unsafe_code)]

mod decode;
mod entry;
mod error;
mod export;
mod import;
mod manifest;
mod mark;
mod source;

pub use error::{ArchiveError, Result};
pub use export::{Exported, Exporter, Summed, Summing, export};
pub use import::{Imported, Importer, import};
pub use manifest::{ARCHIVE_VERSION, FileEntry, MANIFEST_BYTES_MAX, Manifest};
pub use source::{ClosedStore, Source};

/// What progress callbacks are told: see [`foldb_core::recovery::ProgressCallback`].
pub use foldb_core::recovery::{Progress, ProgressCallback};

/// Bytes are read from files, and hashed, in pieces of this size.
const PIECE_BYTES: usize = 256 << 10;

/// A size in memory as a size in a file; it fits 64 bits on every target that exists.
fn wide(size: usize) -> u64 {
    u64::try_from(size).unwrap_or(u64::MAX)
}

/// As much of `size` as fits the memory at hand.
fn narrow(size: u64, most: usize) -> usize {
    usize::try_from(size).unwrap_or(usize::MAX).min(most)
}
