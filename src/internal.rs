//! What a store is made of: the log, the tree, the state, recovery. For tools that look into the files of a store, as the program `foldb`
//! does, and for hosts that cannot borrow. A program that keeps its data in a store needs nothing of it.
//!
//! What is here changes more often than the rest; `docs/format.md` says what the bytes mean.

#[doc(no_inline)]
pub use foldb_core::{
    DetachedReplay, DetachedTransaction, DetachedView, Ticker, checksum, engine, host, log, recovery, replay, snapshot,
    state, storage, tree,
};
#[doc(no_inline)]
pub use foldb_fs::OsHost;

#[doc(inline)]
pub use crate::any_storage::{AnyFile, AnyStorage};
