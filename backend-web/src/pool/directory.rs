//! What the pool asks of the place that it lives in: a directory of files that can be opened exclusively.
//!
//! Invariant: nothing here decides anything. The browser's directory and the one of the tests differ behind these two
//! traits only.

use foldb_core::storage::{LockHolder, StorageError};

/// Why an operation on a directory or a handle failed, as far as the pool does something different about it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Failure {
    /// The quota, or the medium, has no room left.
    Full,
    /// Somebody else has the file open.
    Locked,
    /// There is no such file.
    Missing,
    /// Access is refused, in these words.
    Denied(String),
    /// The browser has taken the handle away (a tab that slept, a profile that was cleared), in these words.
    Lost(String),
    /// Anything else, in these words.
    Other(String),
}

impl Failure {
    /// The error of the contract: `action` was being done to `name`.
    pub fn into_error(self, name: &str, action: &'static str) -> StorageError {
        let name = String::from(name);
        match self {
            Failure::Full => StorageError::Full { name, action },
            Failure::Locked => StorageError::Locked { name, holder: LockHolder::Unknown },
            Failure::Missing => StorageError::Missing { name },
            Failure::Denied(_) => StorageError::Denied { name, action },
            Failure::Lost(message) => {
                let message = format!("the browser has taken the file away ({message}); reopen the store");
                StorageError::Io { name, action, message }
            }
            Failure::Other(message) => StorageError::Io { name, action, message },
        }
    }
}

/// A file that is open for reading and writing, and for nobody else: `FileSystemSyncAccessHandle` and its like. Reads and
/// writes may be short; the pool loops over them.
pub trait AccessHandle {
    /// Length in bytes.
    fn len(&self) -> Result<u64, Failure>;

    /// Reads at most the buffer's length at `at`; how many bytes those were. 0 at the end of the file, and, in some
    /// browsers, where reading fails.
    fn read(&self, at: u64, buffer: &mut [u8]) -> Result<usize, Failure>;

    /// Writes at most the bytes given at `at`; how many those were. The file grows as needed and a gap reads as zeros.
    fn write(&self, at: u64, bytes: &[u8]) -> Result<usize, Failure>;

    /// Sets the length; new bytes read as zeros.
    fn truncate(&self, len: u64) -> Result<(), Failure>;

    /// Brings bytes and length to the medium.
    fn flush(&self) -> Result<(), Failure>;

    /// Gives the file back. Flushes nothing.
    fn close(&self);

    /// Whether the file has no bytes.
    fn is_empty(&self) -> Result<bool, Failure> {
        Ok(self.len()? == 0)
    }
}

/// A directory of files.
#[allow(async_fn_in_trait, reason = "browser handles are not Send, so there is no bound that a caller could want")]
pub trait Directory {
    /// An open file of it.
    type Handle: AccessHandle;

    /// The names of its files, in any order.
    async fn list(&self) -> Result<Vec<String>, Failure>;

    /// Opens these files at the same time, for each a handle or why not; with `create`, those that are missing are made.
    async fn open(&self, names: &[String], create: bool) -> Vec<Result<Self::Handle, Failure>>;

    /// Removes a file that nobody has open.
    async fn remove(&self, name: &str) -> Result<(), Failure>;

    /// Lets so much time pass.
    async fn pause(&self, millis: u32);
}

/// A handle that is closed when it is dropped.
#[derive(Debug)]
pub(super) struct Owned<H: AccessHandle>(pub(super) H);

impl<H: AccessHandle> Drop for Owned<H> {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl<H: AccessHandle> std::ops::Deref for Owned<H> {
    type Target = H;

    fn deref(&self) -> &H {
        &self.0
    }
}
