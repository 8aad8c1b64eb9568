//! An embedded, transactional, crash-safe, replayable store for the state of long-running programs.
//!
//! ```sh
//! cargo add foldb
//! ```
//!
//! ```
//! use foldb::prelude::*;
//!
//! fn main() -> foldb::Result<()> {
//! #   let directory = tempfile::tempdir().unwrap();
//! #   std::env::set_current_dir(&directory).unwrap();
//!     let db = foldb::open("my-store")?; // created on first use, recovered after a crash
//!     let visits = db.kv().get_or("visits", 0)? + 1;
//!     db.kv().put("visits", visits)?; // on stable media when it returns
//!     println!("visit number {visits}");
//!     db.close()
//! }
//! ```
//!
//! # Where to look
//!
//! | for | see |
//! |---|---|
//! | opening a store, on disk or in memory | [`open`], [`open_with`], [`Options`], [`memory`]; [`Store`] is the type of all of them |
//! | pairs, counters, documents, streams, cells, traces | [`primitive`]: [`Kv`](primitive::Kv), [`Documents`](primitive::Documents), [`Events`](primitive::Events), [`Cells`](primitive::Cells), [`Trace`](primitive::Trace) |
//! | several writes as one, what is done once | [`Db::transaction`], [`Db::once`], [`TransactionOptions`] |
//! | work with a beginning and an end, which goes on after a crash | [`Db::runs`], [`Run`], [`Runs::begin_or_get`] |
//! | how the state came to be | [`Db::replay`], [`Db::diff`], [`Db::verify`] |
//! | hearing of commits, following a stream | [`Db::subscribe`], [`Events::tail`](primitive::Events::tail) |
//! | work for somebody else | [`Db::queue`] |
//! | what is over after a while | [`Kv::put_with_ttl`](primitive::Kv::put_with_ttl), [`Db::sweep_expired`] |
//! | when and why a commit was made | [`Db::commit_info`], [`TransactionOptions::because`] |
//! | what is lost when | [`Durability`] |
//! | values and types of one's own | [`value`], [`Serde`](value::Serde) |
//! | what went wrong, and what to do | [`Error`], [`ErrorKind`] |
//! | how large a thing may be | [`limits`] |
//!
//! Most programs need `use foldb::prelude::*` and no more. The
//! [guide](https://github.com/foldb/foldb/blob/main/docs/guide.md) has a page for each topic, and recipes for tokio, axum, Tauri and React.
//!
//! # Several writes, and a run
//!
//! ```
//! let db = foldb::memory();
//! // A run is a keyspace with a life: it begins, does its work, ends, and can be replayed afterwards.
//! let run = db.runs().begin(foldb::RunOptions::named("nightly import").label("source", "orders.jsonl"))?;
//!
//! // Several writes over several primitives, whole or not at all.
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
//! # Ok::<(), foldb::Error>(())
//! ```
//!
//! # What is promised
//!
//! A commit that was reported durable survives every crash; a transaction is there whole or not at all; recovery invents nothing.
//! The [page about reliability](https://github.com/foldb/foldb/blob/main/docs/reliability.md) says how that is tested, and what nobody can promise.
//!
//! # Features
//!
//! Both are off by default, and neither brings a runtime along.
//!
//! - `async`: commits that are awaited: `Db::transaction_async`, `transaction_async_with`, `sync_async`, `wait_durable_async`.
//! - `stream`: [`Subscription`] and [`Tail`] are a `futures_core::Stream`.
//!
//! # Other crates
//!
//! `foldb-archive` writes a store into one file and reads it back, `foldb-cli` is the program `foldb`, the npm package `foldb` is the same
//! store in JavaScript. Everything but the file system is `foldb-core`. Tools that look into the files of a store, and backends,
//! find the parts that it is made of in [`internal`].
#![cfg_attr(docsrs, feature(doc_cfg))]
#![warn(missing_debug_implementations)]

use std::{path::Path, sync::Arc, time::Duration};

mod any_storage;
pub mod internal;
pub mod prelude;

#[doc(inline)]
pub use foldb_core::{
    Announcement, AppendedEvents, Callback, Cause, Change, ChangeFilter, CheckpointFile, CommitInfo, DeadJob,
    Durability, Error, ErrorKind, IdempotencyWindow, Job, JobId, Options, Primitive, Progress, PushOptions,
    QueueCounts, Recalled, Receipt, RecoveryMode, RecoveryReport, Result, RunFilter, RunId, RunInfo, RunOptions,
    RunStatus, Savepoint, Seen, SnapshotFailures, SnapshotInfo, Stats, StoreId, Subscription, Swept,
    TransactionOptions, VerifyReport, json, limits, primitive,
    primitive::ScanOptions,
    recovery::Damage,
    replay::{Diff, Digest, DocumentChange, DocumentDiff, EntryChange, EntryDiff, StreamDiff},
    tree::{Direction, KeyRange},
    value,
};
// For backends and tools: their place in the documentation is `internal`.
#[doc(hidden)]
pub use foldb_core::{host, storage};
use foldb_fs::Flusher;
#[doc(inline)]
pub use foldb_fs::FsStorage;
#[doc(hidden)]
pub use foldb_fs::OsHost;

#[doc(hidden)]
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
