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
//!
//! This crate opens stores on the file system. Everything else is `foldb-core`, which knows no files and also runs in
//! browsers; all of it is re-exported here.

use std::{path::Path, sync::Arc, time::Duration};

pub use foldb_core::*;
use foldb_fs::Flusher;
pub use foldb_fs::{FsStorage, OsHost};

/// A store on the file system.
pub type Store = Db<FsStorage>;

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
/// Cost: a few milliseconds for a store that was closed cleanly, whatever its size.
pub fn open(path: impl AsRef<Path>) -> Result<Store> {
    open_with(path, Options::new())
}

/// Opens the store in a directory, with options. Fails as [`open`] does, and with [`ErrorKind::NotAStore`] or
/// [`ErrorKind::NotFound`] where there is no store and the options say not to create one.
///
/// ```
/// use foldb::{Durability, Options};
/// # let path = std::env::temp_dir().join(format!("foldb-doc-options-{}", std::process::id()));
/// let db = foldb::open_with(&path, Options::new().durability(Durability::buffered()))?;
/// db.kv().put("key", "value")?; // returns before it is on stable media
/// db.sync()?; // now it is
/// # drop(db);
/// # std::fs::remove_dir_all(path).unwrap();
/// # Ok::<(), foldb::Error>(())
/// ```
pub fn open_with(path: impl AsRef<Path>, options: Options) -> Result<Store> {
    let storage = FsStorage::open(path, options.creates())?;
    let interval = match options.commit_durability() {
        // A little early, so that the thread syncs and not a commit that finds the interval over.
        Durability::Buffered { interval, .. } => Some(interval / 4 * 3),
        Durability::InMemory => None,
        _ => Some(IDLE_INTERVAL),
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
pub fn memory() -> Db<storage::MemStorage> {
    let options = Options::new().durability(Durability::buffered());
    match Db::open(storage::MemStorage::new(), Arc::new(OsHost), options) {
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
#[doc = include_str!("../docs/queue.md")]
pub struct ReadmePrograms;
