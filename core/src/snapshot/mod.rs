//! Snapshots: a whole [`State`](crate::state::State) in one file, `snap-<generation>`, that opens without being read.
//!
//! The leaf pages are most of the file and come first, because they stream out of the tree while it is being walked. What
//! opening needs lies behind them: the catalog, the index of the leaves, the idempotency window. Opening reads the front
//! of the file and that rest, proves both by checksums, and builds trees of absent leaves; a page is read and verified
//! when somebody first touches it.
//!
//! Invariants:
//! - A file without a valid header is not a snapshot. The header is written last, after everything else was synced and
//!   read back. So whoever finds a header need not read the pages to know that they once were on stable media.
//! - Every byte of the file is covered: by the section checksums and the file's checksum when it is opened, or, the pages,
//!   by the checksums in the index at first touch. [`verify`] checks all of them.
//! - Nothing here trusts a length before it was compared with the length of the file.
//!
//! Normative text: `docs/format.md`, rules F-41 to F-54. Leaf pages themselves are rule F-40 and belong to the tree.

mod absent_runs;
mod catalog;
mod contents;
mod fields;
mod index;
mod layout;
mod open;
mod pages;
mod segment_table;
mod verify;
mod window;
mod write;

#[cfg(test)]
mod tests;

pub(crate) use layout::has_no_header;
pub(crate) use layout::wipe;
pub use layout::{SNAPSHOT_VERSION, is_unfinished};
pub use open::{load_resident, open};
pub use verify::verify;
pub use write::write;

use crate::{StoreId, log::LogPosition};

/// What a snapshot is a snapshot of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SnapshotMeta {
    /// The store. Whoever opens a snapshot compares it with the store at hand: a foreign file is no error in itself.
    pub store: StoreId,
    /// Number of the snapshot, as in its file's name; from 1, never used twice.
    pub generation: u64,
    /// When it was taken, by the host's clock, in microseconds.
    pub time_micros: u64,
    /// Seq of the last commit in it.
    pub seq: u64,
    /// Where in the log folding goes on: the place of the first frame behind that commit. `None` for a store without log.
    pub log: Option<LogPosition>,
    /// The open epoch of the process that wrote it.
    pub epoch: u64,
}

/// What was written, or found to be whole.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct SnapshotInfo {
    /// Number of the snapshot.
    pub generation: u64,
    /// Seq of the last commit in it.
    pub seq: u64,
    /// When it was taken, in microseconds.
    pub time_micros: u64,
    /// Size of the file in bytes.
    pub bytes: u64,
    /// How many leaf pages it holds.
    pub pages: u64,
    /// How many entries those pages hold, of all spaces.
    pub entries: u64,
}
