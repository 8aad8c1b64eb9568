//! What can go wrong with an archive, with the place and what to do.

use foldb_core::{Error, ErrorKind, storage::StorageError};

/// The result of nearly everything here.
pub type Result<T, E = ArchiveError> = std::result::Result<T, E>;

/// Why an archive could not be written or read. Offsets count from the beginning of the archive, in bytes.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ArchiveError {
    /// The store or its storage failed.
    #[error(transparent)]
    Store(#[from] Error),
    /// What was read is something else.
    #[error("this is not an archive of a foldb store: {why}; `foldb export` writes one")]
    NotAnArchive {
        /// What was found instead.
        why: String,
    },
    /// The archive was written by a newer version.
    #[error("the archive's {what} {found} is newer than this program understands (up to {supported}); use a newer one")]
    Newer {
        /// What has a version.
        what: &'static str,
        /// The version found.
        found: u32,
        /// The highest version understood.
        supported: u32,
    },
    /// Bytes have changed since the archive was written.
    #[error("the archive is damaged at offset {offset} ({entry}): {what}; take another copy of it")]
    Damaged {
        /// The entry.
        entry: String,
        /// Where in the archive.
        offset: u64,
        /// What was expected and what was found.
        what: String,
    },
    /// The archive has something that no export writes.
    #[error("the archive is refused at offset {offset} ({entry}), rule {rule}: {what}")]
    Refused {
        /// The entry.
        entry: String,
        /// Where in the archive.
        offset: u64,
        /// The rule of `docs/format.md` that is broken.
        rule: &'static str,
        /// What was expected and what was found.
        what: String,
    },
    /// The archive ends too early.
    #[error("the archive ends at offset {offset}, in {entry}: it was not copied whole; take another copy of it")]
    Truncated {
        /// The entry in which it ends.
        entry: String,
        /// Its length.
        offset: u64,
    },
    /// An archive is imported into an empty storage only.
    #[error("there is a store already (it has {name}); import into a new place, or remove it first")]
    NotEmpty {
        /// A file that is there.
        name: String,
    },
    /// A file changed while it was exported.
    #[error("{file} changed while it was exported ({what}); something else writes to it: close that, and export again")]
    Changed {
        /// The file.
        file: String,
        /// What changed.
        what: String,
    },
    /// Whoever gives or takes the bytes of the archive failed.
    #[error("{action} the archive: {message}")]
    Transfer {
        /// What was being done, as in "reading".
        action: &'static str,
        /// The system's own words.
        message: String,
    },
    /// The importer has failed, or was cancelled, before.
    #[error("the import has ended already; begin another")]
    Ended,
}

impl ArchiveError {
    /// What to do about it.
    pub fn kind(&self) -> ErrorKind {
        match self {
            ArchiveError::Store(error) => error.kind(),
            ArchiveError::NotAnArchive { .. } | ArchiveError::Ended => ErrorKind::Invalid,
            ArchiveError::Newer { .. } => ErrorKind::Unsupported,
            ArchiveError::Damaged { .. } | ArchiveError::Refused { .. } | ArchiveError::Truncated { .. } => {
                ErrorKind::Corrupt
            }
            ArchiveError::NotEmpty { .. } => ErrorKind::Precondition,
            ArchiveError::Changed { .. } | ArchiveError::Transfer { .. } => ErrorKind::Io,
        }
    }

    pub(crate) fn transfer(action: &'static str, error: &std::io::Error) -> Self {
        ArchiveError::Transfer { action, message: error.to_string() }
    }
}

impl From<StorageError> for ArchiveError {
    fn from(error: StorageError) -> Self {
        ArchiveError::Store(error.into())
    }
}

/// Tells the caller how far the work is; [`Error::Cancelled`] where the caller says stop.
pub(crate) fn report(
    progress: foldb_core::recovery::ProgressCallback<'_>,
    what: &'static str,
    phase: &'static str,
    done: u64,
    total: u64,
) -> Result<()> {
    if progress(foldb_core::Progress { phase, done, total }).is_break() {
        return Err(Error::Cancelled { what }.into());
    }
    Ok(())
}
