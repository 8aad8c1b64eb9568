//! The commands, one file each.
//!
//! Invariant: no command uses another one; what several of them need is below them.

pub(crate) mod archive;
pub(crate) mod demo;
pub(crate) mod diff;
pub(crate) mod dump;
pub(crate) mod events;
pub(crate) mod import;
pub(crate) mod json;
pub(crate) mod kv;
pub(crate) mod replay;
pub(crate) mod runs;
pub(crate) mod snapshot;
pub(crate) mod state;
pub(crate) mod stats;
pub(crate) mod trace;
pub(crate) mod verify;
