//! What most programs name: `use foldb::prelude::*`.
//!
//! ```
//! use foldb::prelude::*;
//!
//! let store: Store = foldb::memory();
//! store.kv().put_many([("user/1", "Ada"), ("user/2", "Alan")])?;
//! let pairs = store.kv().scan_as::<String>(&ScanOptions::prefix("user/").limit(10))?;
//! assert_eq!(pairs[1].value, "Alan");
//! assert_eq!(store.kv().count("user/2"..)?, 1);
//! # Ok::<(), foldb::Error>(())
//! ```
//!
//! `Error` and `Result` are not among it: they would hide those of the program, or of the standard library.

#[doc(no_inline)]
pub use crate::{
    Direction, Durability, ErrorKind, KeyRange, Options, Receipt, Run, RunFilter, RunId, RunOptions, RunStatus,
    ScanOptions, Store, Transaction, TransactionOptions, View,
    primitive::{EventBatch, NewEvent, TraceKind, TraceRecord},
    value::{Serde, Value},
};
