//! foldb for JavaScript: one WebAssembly module behind the npm package `foldb`.
//!
//! What crosses the boundary is bytes. JavaScript writes a request into a buffer of the module and calls once; the answer
//! is in another buffer (`wire`). So the same request travels in a message from the main thread and in a call inside a
//! worker, and there is one place that reads it, which trusts nothing in it.
//!
//! Invariant: there is one driver, [`Db`](foldb_core::Db) over [`PlatformStorage`], and one access, `access::Space`, so
//! that every operation is in the module once, wherever it is called from and wherever the bytes are kept.

mod access;
mod announce;
mod archive;
mod execute;
mod expiry;
mod failure;
mod handles;
mod host;
mod life;
mod node;
mod once;
mod operation;
#[cfg(target_family = "wasm")]
mod opfs;
mod options;
mod platform;
mod primitives;
mod queues;
mod reports;
mod store;
mod together;
mod wire;

pub use archive::StoreImport;
pub use node::NodeFiles;
pub use operation::Operation;
#[cfg(target_family = "wasm")]
pub use opfs::{destroy_store, list_stores};
pub use platform::PlatformStorage;
pub use store::Store;
