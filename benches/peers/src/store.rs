//! What an engine has to do to take part, and nothing more.
//!
//! Invariant: an adapter is a translation. It holds no cache and no shortcut of its own, and it uses the engine the way
//! the engine's own documentation recommends for the mode; the modes are named in [`Peer::about`] and printed with
//! every result.

use std::{fmt, path::Path};

use crate::workload::{Keys, Values};

/// One engine, or one floor.
pub struct Peer {
    /// The name in the tables and in `--engines`.
    pub name: &'static str,
    /// The version that was measured; empty for floors.
    pub version: &'static str,
    /// Which settings stand behind the modes, in one or two sentences.
    pub about: &'static str,
    /// The rows this peer takes part in; `None` means all that it supports. Floors are floors of certain rows only.
    pub rows: Option<&'static [&'static str]>,
    /// True if closing forgets everything, so that the store must be loaded again whenever it is opened.
    pub volatile: bool,
    /// Opens the store in `directory`, creating it if there is none. The directory exists.
    pub open: fn(directory: &Path, mode: Mode) -> anyhow::Result<Box<dyn Store>>,
}

/// When a write counts as done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Applied in memory; no promise at all.
    Memory,
    /// Applied; on its way to stable media at the engine's own pace. A crash of the machine may lose the last moments.
    Buffered,
    /// On stable media when the call returns.
    Strict,
}

/// An opened store. Writes happen in the mode that it was opened with.
pub trait Store: Send + Sync {
    /// Gives `work` a reader: one read transaction, kept as long as the closure runs.
    fn with_reader(&self, work: &mut dyn FnMut(&mut dyn Reader) -> anyhow::Result<()>) -> anyhow::Result<()>;

    /// Writes one pair in a transaction of its own.
    fn put(&self, key: &[u8], value: &[u8]) -> anyhow::Result<()>;

    /// Writes the pairs of `keys` in one transaction.
    fn put_many(&self, keys: &Keys, values: &Values) -> anyhow::Result<()>;

    /// Loads ascending pairs into an empty store by the fastest recommended way. All of it is durable on return.
    fn bulk_load(&self, sorted: &Keys, values: &Values) -> anyhow::Result<()>;

    /// Appends events, numbered from `first` on, in one transaction.
    fn append_events(&self, first: u64, payloads: &[&[u8]]) -> anyhow::Result<()>;

    /// Waits until background work is done and what can be cached is, as after a quiet minute.
    fn settle(&self) -> anyhow::Result<()> {
        Ok(())
    }

    /// Writes a consistent, durable copy of the whole store into the empty `directory` while the store stays open.
    fn snapshot(&self, directory: &Path) -> anyhow::Result<()> {
        let _ = directory;
        Err(Unsupported.into())
    }

    /// Where this engine's memory is to be found.
    fn memory(&self) -> Memory {
        Memory::Allocator
    }

    /// Closes a store that nothing was written to, without the checkpoint that some write whenever they close.
    fn leave(self: Box<Self>) -> anyhow::Result<()> {
        Ok(())
    }

    /// Closes the store cleanly: the next opening has nothing to recover.
    fn close(self: Box<Self>) -> anyhow::Result<()>;
}

/// A read transaction.
pub trait Reader {
    /// Copies the value of `key` into `out`, replacing what is there. False if there is no such key.
    fn get(&mut self, key: &[u8], out: &mut Vec<u8>) -> anyhow::Result<bool>;

    /// Visits up to `limit` pairs from `from` on, ascending, and returns how many there were.
    fn range(&mut self, from: &[u8], limit: usize, visit: &mut dyn FnMut(&[u8], &[u8])) -> anyhow::Result<usize>;
}

/// How the memory of an engine is counted.
pub enum Memory {
    /// All of it comes from Rust's global allocator, which this program counts.
    Allocator,
    /// The engine counts for itself (bytes, and what they are).
    Own(u64, &'static str),
}

/// The engine has no such thing. Shown as a dash, not as a failure.
#[derive(Debug)]
pub struct Unsupported;

impl fmt::Display for Unsupported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not offered by this engine")
    }
}

impl std::error::Error for Unsupported {}

/// The eight bytes under which engines without event streams keep event number `sequence`.
pub fn event_key(sequence: u64) -> [u8; 8] {
    sequence.to_be_bytes()
}
