//! An embedded, transactional, crash-safe, replayable store for the state of long-running programs.
//!
//! ```
//! # let directory = std::env::temp_dir().join(format!("foldb-doc-{}", std::process::id()));
//! # let path = directory.as_path();
//! let db = foldb::open(path)?;
//!
//! // A run is a keyspace with a life: it begins, does its work, ends, and can be replayed afterwards.
//! let run = db.runs().begin(foldb::RunOptions::named("nightly import").label("source", "orders.jsonl"))?;
//! run.kv().put("position", 1)?;
//!
//! // Several writes over several primitives, whole or not at all; on stable media when this returns.
//! db.transaction(|tx| {
//!     let run = tx.run(run.id())?;
//!     run.json().set("order/1", &serde_json::json!({ "item": "tea", "count": 2 }))?;
//!     run.events().append("orders", "imported", "order/1")?;
//!     run.kv().add_i64("imported", 1)
//! })?;
//! run.end()?;
//!
//! // Fold the run's history again, from the log and nothing else.
//! let replay = db.replay(run.id())?;
//! assert_eq!(replay.kv().get::<i64>("imported")?, Some(1));
//! db.close()?;
//! # std::fs::remove_dir_all(path).unwrap();
//! # Ok::<(), foldb::Error>(())
//! ```
//!
//! - **What is promised**: a commit that was reported durable survives every crash; a transaction is there whole or not
//!   at all; recovery invents nothing. `docs/format.md` says byte by byte why.
//! - **What a store holds**: key-value pairs and counters ([`primitive::Kv`]), JSON documents
//!   ([`primitive::Documents`]), event streams ([`primitive::Events`]), state cells ([`primitive::Cells`]) and traces
//!   ([`primitive::Trace`]), in [runs](Run) or in the default space.
//! - **How it is committed**: serializable optimistic transactions ([`Db::transaction`]), with a
//!   [durability](Durability) per store or per transaction.
//! - **How it is tested**: [`memory`] gives a store of the same type, [`Store`], without files.
//!
//! Most programs need `use foldb::prelude::*` and no more. Everything but the file system is `foldb-core`, which also runs in browsers;
//! the parts that a store is made of, for tools that look into its files, are in [`internal`].
#![warn(missing_debug_implementations)]

use std::{path::Path, sync::Arc, time::Duration};

mod any_storage;
pub mod internal;
pub mod prelude;

#[doc(inline)]
pub use foldb_core::{
    Announcement, Callback, Change, ChangeFilter, CheckpointFile, DeadJob, Durability, Error, ErrorKind,
    IdempotencyWindow, Job, JobId, Options, Primitive, Progress, PushOptions, QueueCounts, Recalled, Receipt,
    RecoveryMode, RecoveryReport, Result, RunFilter, RunId, RunInfo, RunOptions, RunStatus, Savepoint, Seen,
    SnapshotFailures, SnapshotInfo, Stats, StoreId, Subscription, Swept, TransactionOptions, VerifyReport, host, json,
    limits, primitive,
    primitive::ScanOptions,
    recovery::Damage,
    replay::{Diff, Digest, DocumentChange, DocumentDiff, EntryChange, EntryDiff, StreamDiff},
    storage,
    tree::{Direction, KeyRange},
    value,
};
use foldb_fs::Flusher;
pub use foldb_fs::{FsStorage, OsHost};

pub use self::any_storage::{AnyFile, AnyStorage};

/// A store, on the file system or in memory: what [`open`] and [`memory`] give. A function that takes one is tested with a store in
/// memory:
///
/// ```
/// use foldb::{Result, Store};
///
/// fn deposit(store: &Store, amount: i64) -> Result<i64> {
///     store.transaction(|tx| {
///         let balance = tx.kv().get_or("balance", 0)? + amount;
///         tx.kv().put("balance", balance)?;
///         Ok(balance)
///     })
/// }
///
/// assert_eq!(deposit(&foldb::memory(), 20)?, 20);
/// # Ok::<(), foldb::Error>(())
/// ```
pub type Store = Db<AnyStorage>;

/// Writes aliases whose storage need not be named.
macro_rules! of_any_storage {
    ($($(#[$doc:meta])* $name:ident<$($life:lifetime),*>;)+) => {
        $($(#[$doc])* pub type $name<$($life,)* S = AnyStorage> = foldb_core::$name<$($life,)* S>;)+
    };
}

of_any_storage! {
    /// An open store: a handle to read and to write it by. [`Store`] is the one that [`open`] gives.
    Db<>;
    /// Reads one version of a store and buffers writes until it is committed: see [`Db::transaction`].
    Transaction<'db>;
    /// A run inside a transaction.
    TransactionRun<'tx, 'db>;
    /// A run of a store: a keyspace with a life. Each write commits on its own.
    Run<'db>;
    /// The runs of a store: see [`Db::runs`].
    Runs<'db>;
    /// One version of a whole store, read-only: see [`Db::view`].
    View<'db>;
    /// One run, or the default space, of a [`View`].
    SpaceView<'view, 'db>;
    /// A space as its history in the log makes it: see [`Db::replay`].
    Replay<'db>;
    /// The files of an open store as of one moment: see [`Db::checkpoint`].
    Checkpoint<>;
    /// Events of a stream, those there are and those to come: see [`primitive::Events::tail`].
    Tail<'db>;
    /// Jobs that consumers take and finish: see [`Db::queue`].
    Queue<'db>;
    /// The check of a whole store in steps: see [`Db::begin_verification`].
    Verification<>;
}

/// How often an idle strict store is looked at, to mark in the log that everything in it is durable.
const IDLE_INTERVAL: Duration = Duration::from_secs(1);

/// Opens the store in a directory, or creates it there, with the defaults of [`Options::new`]: every commit is on stable
/// media when it returns.
///
/// # Errors
///
/// - [`ErrorKind::Locked`]: another process, or another handle of this one, has the store open.
/// - [`ErrorKind::NotAStore`]: the path is a file, or a directory of something else.
/// - [`ErrorKind::Corrupt`]: something that was promised to be durable is damaged; nothing was changed.
/// - [`ErrorKind::Unsupported`]: a newer version wrote the store.
/// - [`ErrorKind::Io`], [`ErrorKind::StorageFull`]: the system's errors.
///
/// Cost: less than a millisecond for a small store that was closed cleanly. It grows with the store: reading the index of the newest
/// snapshot takes about 5 ms for a million pairs and 15 ms for a hundred thousand runs; the log behind the snapshot is folded, 2 to 17 ms
/// for each MiB of it, most for small records of new keys.
pub fn open(path: impl AsRef<Path>) -> Result<Store> {
    open_with(path, Options::new())
}

/// Opens the store in a directory, with options. Fails as [`open`] does, and with [`ErrorKind::NotAStore`] or
/// [`ErrorKind::NotFound`] where there is no store and the options say not to create one.
///
/// With [`Options::read_only`] it opens beside a process that writes, and writes nothing itself:
///
/// ```
/// use foldb::{ErrorKind, Options};
/// # let path = std::env::temp_dir().join(format!("foldb-doc-reader-{}", std::process::id()));
/// let writer = foldb::open(&path)?;
/// writer.kv().put("position", 1)?;
/// let reader = foldb::open_with(&path, Options::new().read_only(true))?;
/// writer.kv().put("position", 2)?;
/// assert_eq!(reader.kv().get::<i64>("position")?, Some(1));
/// reader.refresh()?;
/// assert_eq!(reader.kv().get::<i64>("position")?, Some(2));
/// assert_eq!(reader.kv().put("position", 3).unwrap_err().kind(), ErrorKind::ReadOnly);
/// # drop((writer, reader));
/// # std::fs::remove_dir_all(path).unwrap();
/// # Ok::<(), foldb::Error>(())
/// ```
///
/// ```
/// use foldb::{Durability, Options};
/// # let path = std::env::temp_dir().join(format!("foldb-doc-options-{}", std::process::id()));
/// let db = foldb::open_with(&path, Options::new().durability(Durability::relaxed()))?;
/// db.kv().put("key", "value")?; // with the operating system when it returns, and not on stable media yet
/// db.sync()?; // now it is
/// # drop(db);
/// # std::fs::remove_dir_all(path).unwrap();
/// # Ok::<(), foldb::Error>(())
/// ```
pub fn open_with(path: impl AsRef<Path>, options: Options) -> Result<Store> {
    if options.is_read_only() {
        return Db::open(AnyStorage::Directory(FsStorage::open_read_only(path)?), Arc::new(OsHost), options);
    }
    let storage = AnyStorage::Directory(FsStorage::open(path, options.creates())?);
    let durability = options.commit_durability();
    let interval = match durability.interval() {
        // A little early, so that the thread syncs and not a commit that finds the interval over.
        Some(interval) => Some(interval / 4 * 3),
        None if durability == Durability::InMemory => None,
        None => Some(IDLE_INTERVAL),
    };
    let db = Db::open(storage, Arc::new(OsHost), options)?;
    let Some(interval) = interval else { return Ok(db) };
    let ticker = db.ticker();
    // A failed tick has poisoned the store: the next commit says so, to somebody who can act on it.
    let flusher = Flusher::spawn(interval, move |_| drop(ticker.tick()))?;
    Ok(db.with_timer(flusher))
}

/// A store in memory, for tests and for work that need not survive: all that a store on disk has (transactions, runs,
/// replay), with the system's clock and entropy.
///
/// ```
/// let db = foldb::memory();
/// db.kv().put("key", "value")?;
/// assert_eq!(db.kv().get::<String>("key")?.as_deref(), Some("value"));
/// # Ok::<(), foldb::Error>(())
/// ```
pub fn memory() -> Store {
    // Strict as a store on disk is: with another mode there would be commits that nobody makes durable, and who waits for that
    // would find it works on disk and not in a test.
    match Db::open(AnyStorage::Memory(storage::MemStorage::new()), Arc::new(OsHost), Options::new()) {
        Ok(db) => db,
        // An empty storage in memory has nothing that could fail to be read, and opening writes nothing.
        Err(error) => unreachable!("a new store in memory: {error}"),
    }
}

/// The programs in the READMEs, compiled with the documentation's examples.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
#[doc = include_str!("../core/README.md")]
#[doc = include_str!("../docs/async.md")]
#[doc = include_str!("../docs/expiry.md")]
#[doc = include_str!("../docs/queue.md")]
pub struct ReadmePrograms;
