//! The core of foldb: everything that is not I/O.
//!
//! **The log is the database; everything else is a fold over it.** Live state, recovery, replay, diffs and snapshots
//! all come from folding the same committed records with the same pure function.
//!
//! Invariant: this crate does not know that files, clocks, threads or randomness exist. It sees named regions of
//! bytes through [`storage::Storage`] and time and entropy through [`host::Host`]. It builds for targets without `std`.
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(
    not(feature = "std"),
    allow(dead_code, unused_imports, reason = "the driver, which calls the rest, needs std")
)]

extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

pub mod checksum;
#[cfg(feature = "std")]
pub mod db;
pub mod engine;
pub mod error;
#[cfg(all(test, feature = "std"))]
mod growth_tests;
mod history;
pub mod host;
pub mod id;
pub mod json;
pub mod limits;
pub(crate) mod live;
pub mod log;
mod order;
#[cfg(any(foldb_planted, foldb_shuttle, foldb_loom))]
#[doc(hidden)]
pub mod planted;
#[cfg(not(any(foldb_planted, foldb_shuttle, foldb_loom)))]
mod planted;
pub mod primitive;
#[cfg(feature = "std")]
mod queue;
pub mod recovery;
pub mod replay;
mod shown;
pub mod snapshot;
pub mod state;
pub mod storage;
#[cfg(feature = "std")]
mod sync;
mod transaction;
pub mod tree;
pub mod value;
mod work;

#[cfg(all(feature = "std", foldb_loom))]
#[doc(hidden)]
pub use db::models;
#[cfg(feature = "std")]
pub use db::{
    AppendedEvents, Callback, Checkpoint, CheckpointFile, Db, DetachedReplay, DetachedTransaction, DetachedView,
    Durability, IdempotencyWindow, Options, Recalled, Receipt, Replay, Run, RunFilter, RunOptions, Runs, Savepoint,
    Seen, SnapshotFailures, SnapshotInfo, SpaceView, Stats, Subscription, Swept, Tail, Ticker, Transaction,
    TransactionOptions, TransactionRun, Verification, VerifyReport, View,
};
pub use error::{Error, ErrorKind, Result};
pub use history::CommitInfo;
pub use id::{RunId, StoreId};
pub use live::{Announcement, Change, ChangeFilter, Primitive};
pub use primitive::ScanOptions;
#[cfg(feature = "std")]
pub use queue::{DeadJob, Job, JobId, PushOptions, Queue, QueueCounts};
pub use recovery::{Progress, RecoveryMode, RecoveryReport};
pub use replay::{Diff, Digest};
pub use state::{RunInfo, RunStatus};
pub use transaction::Cause;
pub use tree::{Direction, KeyRange};
