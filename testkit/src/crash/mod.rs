//! A disk that loses what was not synced, and shows every state in which a crash can leave it.
//!
//! [`CrashStorage`] is a storage in memory that writes down every operation. After a workload has run on it,
//! [`CrashStorage::crash_point`] answers, for the moment after any operation: what is on the medium for sure, which
//! operations are *pending* (asked for, but not covered by a sync), and what the files look like for any choice of their
//! [`Fate`]s: an [`Image`]. An image is opened again as a new `CrashStorage`, so that recovery itself can be crashed.
//! [`Fault`]s make the nth operation of a kind fail; damage at rest is done to images.
//!
//! What this disk does to a store, exactly as the contract in [`foldb_core::storage`] allows:
//!
//! - pending writes and lengths reach the medium in any order, in part, or not at all
//! - a created name is there for sure after a successful sync of the file, and with it everything written before
//! - a removed name may come back, with the bytes that were last synced, until its name is taken by a file that was synced
//! - after a failed sync the bytes stay readable, but no later sync makes them durable: this is what page caches do
//! - dropping handles does nothing
//!
//! ```
//! use foldb_core::storage::{Storage, StorageFile};
//! use foldb_testkit::crash::CrashStorage;
//!
//! let disk = CrashStorage::new();
//! let file = disk.create("log-1")?;
//! file.write_at(0, b"kept")?;
//! file.sync()?;
//! file.write_at(4, b" or not")?;
//!
//! let point = disk.crash_point(disk.operation_count());
//! assert_eq!(point.nothing_survives().bytes("log-1").unwrap(), b"kept");
//! assert_eq!(point.everything_survives().bytes("log-1").unwrap(), b"kept or not");
//! assert_eq!(point.torn_last_write(3).unwrap().bytes("log-1").unwrap(), b"kept or");
//! # Ok::<(), foldb_core::storage::StorageError>(())
//! ```

pub(crate) mod contents;
mod fates;
mod fault;
mod image;
mod journal;
pub(crate) mod medium;
mod storage;

pub(crate) use fates::sectors;
pub use fates::{CrashPoint, Fate};
pub use fault::{Effect, Failure, Fault, OperationKind};
pub use image::Image;
pub use journal::{Action, FileId, Operation};
pub use medium::Pending;
pub use storage::{CrashFile, CrashStorage};
