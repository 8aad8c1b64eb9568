//! The one error type, and [`ErrorKind`], which tells a caller what to do next.

use alloc::string::String;

use crate::{id::RunId, storage::StorageError};

/// The result of nearly everything here.
pub type Result<T, E = Error> = core::result::Result<T, E>;

/// What to do about an [`Error`]. Match on this; the variants of the error itself carry the evidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Something that the transaction read has changed since. Run it again; the closure form does so itself.
    Conflict,
    /// A condition that the caller set (absent, version, value) does not hold. Read again and decide.
    Precondition,
    /// It was done before, under this idempotency key. Nothing was done now, and nothing need be.
    AlreadyDone,
    /// The request is malformed, of the wrong type, or made where it cannot be, as through a handle that another process
    /// opened before it forked. Change the call; retrying cannot help.
    Invalid,
    /// A size or count is over a limit. Split the data; the message names the limit.
    Limit,
    /// The named run, document or file does not exist.
    NotFound,
    /// The run has ended and takes no more writes. Resume it, or begin another.
    RunEnded,
    /// Another process or tab has the store. Wait for it, or close it there.
    Locked,
    /// No room on the medium. Free some and try again: nothing was changed and the store stays usable.
    StorageFull,
    /// The backend has no file ready to go on with, and its event loop has to run to make one, as in a browser after a
    /// very large piece of work in one turn. Await something and try again: nothing was changed and the store stays usable.
    NotReady,
    /// The device or the system failed while reading, or has no handle left to open a file with. Trying again may help.
    Io,
    /// An earlier write or sync failed, or the store was taken away under this handle, so it takes no more writes. Reopen the
    /// store.
    Poisoned,
    /// The commit may or may not survive. Reopen the store to find out.
    OutcomeUnknown,
    /// Stored bytes do not match the format. Retrying cannot help: restore a copy, or open in salvage mode.
    Corrupt,
    /// The files were written by a newer version, or the feature is not available in this mode.
    Unsupported,
    /// The path does not hold a store.
    NotAStore,
    /// The caller cancelled long work.
    Cancelled,
    /// The store was opened for reading only. Open it without [`Options::read_only`](crate::Options::read_only), in the process that
    /// should write: retrying through this handle cannot help.
    ReadOnly,
    /// A subscriber was too slow for what it was to be told. Read again what it wants to know; it goes on from there.
    Lagged,
}

/// Everything that can go wrong, with the place and the values that show why.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The backend failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// Stored bytes break a rule of `docs/format.md`.
    #[error("{file}, offset {offset}, rule {rule}: {what}")]
    Corrupt {
        /// The file.
        file: String,
        /// Where in the file, in bytes.
        offset: u64,
        /// The rule of `docs/format.md` that is broken, as in `F-12`.
        rule: &'static str,
        /// What was expected and what was found.
        what: String,
    },
    /// A file of a newer format or with an unknown feature.
    #[error(
        "{file}: {what} {found} is newer than this program understands (up to {supported}); use a newer version of foldb"
    )]
    Newer {
        /// The file.
        file: String,
        /// What has a version, as in "segment format version".
        what: &'static str,
        /// The version found.
        found: u64,
        /// The highest version understood.
        supported: u64,
    },
    /// Something asked for that this mode or this store cannot do.
    #[error("{what} is not available: {why}")]
    Unsupported {
        /// The operation.
        what: &'static str,
        /// Why not, and what to do instead.
        why: String,
    },
    /// The path exists but is not a store.
    #[error("{path} is not a foldb store: {why}")]
    NotAStore {
        /// The path, or the name of the storage.
        path: String,
        /// What was found there.
        why: String,
    },
    /// The files are a part of a store: an import of them began and did not finish.
    #[error(
        "an import into this store did not finish, so it is not a store yet; import the archive again (that starts over), or remove what is there"
    )]
    ImportUnfinished,
    /// A size or count over a limit of [`limits`](crate::limits).
    #[error("{what}: {size} is over the limit of {limit}")]
    Limit {
        /// What is too large, as in "key bytes".
        what: &'static str,
        /// Its size.
        size: u64,
        /// The limit.
        limit: u64,
    },
    /// A malformed or ill-typed request.
    #[error("invalid {what}: {why}")]
    Invalid {
        /// What is malformed, as in "JSON pointer".
        what: &'static str,
        /// How, with the value found.
        why: String,
    },
    /// A stored value has another type than the operation needs. Nothing is ever coerced in silence.
    #[error("{what}: expected {expected}, found {found}")]
    Type {
        /// The key or path.
        what: String,
        /// The type that the operation needs.
        expected: &'static str,
        /// The type that is there.
        found: &'static str,
    },
    /// A counter would leave the range of its type.
    #[error("adding to counter {key} would leave the range of {kind}")]
    CounterOverflow {
        /// The key.
        key: String,
        /// The counter's type, as in "i64".
        kind: &'static str,
    },
    /// Validation failed: something read has changed.
    #[error(
        "conflict on {key}: it changed after this transaction read it (read at seq {read}, changed at seq {changed}); run the transaction again"
    )]
    Conflict {
        /// The key, or the first changed key of a range, in readable form.
        key: String,
        /// The seq of the state that the transaction read.
        read: u64,
        /// The seq of the commit that changed it (or of the latest one, where the key was removed).
        changed: u64,
    },
    /// A commit with this idempotency key was made before: the closure was not run, or what it did was thrown away.
    #[error("this was done before, in commit {seq}, under the idempotency key {key}; nothing was done now")]
    AlreadyDone {
        /// The key.
        key: String,
        /// Seq of the commit.
        seq: u64,
    },
    /// An idempotency key that a commit has carried comes again for something else.
    #[error("the idempotency key {key} was used by commit {seq} for {why}; use another key for another request")]
    KeyReused {
        /// The key.
        key: String,
        /// Seq of the commit.
        seq: u64,
        /// What is different.
        why: &'static str,
    },
    /// A precondition of the caller does not hold.
    #[error("precondition on {key} failed: expected {expected}, found {found}")]
    Precondition {
        /// The key.
        key: String,
        /// What the caller expected.
        expected: String,
        /// What is there.
        found: String,
    },
    /// Nothing of this name.
    #[error("{what} {name} does not exist")]
    NotFound {
        /// The sort of thing, as in "document".
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// No run of this id.
    #[error("run {0} does not exist; `runs` lists those that do")]
    UnknownRun(RunId),
    /// The run has ended.
    #[error("run {run} has ended ({status}) and takes no more writes; resume it, or begin another")]
    RunEnded {
        /// The run.
        run: RunId,
        /// How it ended.
        status: &'static str,
    },
    /// An earlier write or sync failed.
    #[error("the store takes no more writes since an earlier failure ({cause}); reads go on; reopen it to write again")]
    Poisoned {
        /// The first failure, in its own words.
        cause: String,
    },
    /// The write or sync of this commit failed: it may or may not be there after reopening.
    #[error("the outcome of commit {seq} is unknown ({cause}); reopen the store to find out")]
    OutcomeUnknown {
        /// The seq of the commit.
        seq: u64,
        /// The failure, in its own words.
        cause: String,
    },
    /// A write through a handle that only reads. Nothing was changed.
    #[error(
        "{what} is not possible: the store was opened for reading only; open it without `read_only`, or write in the process that has it open"
    )]
    ReadOnly {
        /// The operation, as in "a commit".
        what: &'static str,
    },
    /// The caller's progress callback said stop.
    #[error("{what} was cancelled")]
    Cancelled {
        /// The work that was stopped.
        what: &'static str,
    },
    /// A subscriber did not take what was announced, and the oldest of it was forgotten.
    #[error(
        "the commits behind seq {after} up to seq {to} were not announced, because this subscriber was too slow; look again at what has changed since seq {after}"
    )]
    Lagged {
        /// Everything up to this seq was announced. From here on the subscriber has to look again.
        after: u64,
        /// Everything behind this seq will be announced; it can be read already.
        to: u64,
    },
}

impl Error {
    /// What to do about it.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Error::Storage(StorageError::Locked { .. }) => ErrorKind::Locked,
            Error::Storage(StorageError::Full { .. }) => ErrorKind::StorageFull,
            Error::Storage(StorageError::NotReady { .. }) => ErrorKind::NotReady,
            Error::Storage(StorageError::Missing { .. }) | Error::NotFound { .. } | Error::UnknownRun(_) => {
                ErrorKind::NotFound
            }
            Error::Storage(StorageError::Name { .. } | StorageError::OtherProcess { .. }) => ErrorKind::Invalid,
            Error::Storage(StorageError::ReadOnly { .. }) => ErrorKind::ReadOnly,
            Error::Storage(StorageError::Displaced { .. }) => ErrorKind::Poisoned,
            Error::Storage(_) => ErrorKind::Io,
            Error::Corrupt { .. } => ErrorKind::Corrupt,
            Error::Newer { .. } | Error::Unsupported { .. } => ErrorKind::Unsupported,
            Error::NotAStore { .. } | Error::ImportUnfinished => ErrorKind::NotAStore,
            Error::Limit { .. } => ErrorKind::Limit,
            Error::Invalid { .. } | Error::Type { .. } | Error::CounterOverflow { .. } => ErrorKind::Invalid,
            Error::Conflict { .. } => ErrorKind::Conflict,
            Error::Precondition { .. } | Error::KeyReused { .. } => ErrorKind::Precondition,
            Error::AlreadyDone { .. } => ErrorKind::AlreadyDone,
            Error::RunEnded { .. } => ErrorKind::RunEnded,
            Error::Poisoned { .. } => ErrorKind::Poisoned,
            Error::OutcomeUnknown { .. } => ErrorKind::OutcomeUnknown,
            Error::Cancelled { .. } => ErrorKind::Cancelled,
            Error::ReadOnly { .. } => ErrorKind::ReadOnly,
            Error::Lagged { .. } => ErrorKind::Lagged,
        }
    }
}

/// Fails with [`Error::Limit`] if `size` is over `limit`.
pub(crate) fn check_limit(what: &'static str, size: usize, limit: usize) -> Result<()> {
    if size <= limit {
        return Ok(());
    }
    // A size in memory fits 64 bits on every target that exists.
    let wide = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
    Err(Error::Limit { what, size: wide(size), limit: wide(limit) })
}
