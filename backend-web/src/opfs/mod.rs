//! The pool over OPFS: what only a browser can do.
//!
//! Invariant: nothing here decides anything about a store. Offsets reach the browser as `f64`, which holds every whole
//! number up to 2^53, and never as `i32`.

mod asked;
mod directory;
mod failure;
mod handle;
mod host;
mod stores;

pub use directory::OpfsDirectory;
pub use handle::OpfsHandle;
pub use host::BrowserHost;
pub use stores::{OpfsFile, OpfsStorage, destroy, list};
