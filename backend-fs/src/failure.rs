//! From the operating system's errors to [`StorageError`], in one place.
//!
//! Invariant: the variants that a caller acts on (`Full`, `Denied`, `Missing`, `Exists`, `TooManyOpen`) come from the kind that
//! std gives the error on every system, or, where std has none, from rustix's names; never from a number of one system.
//! Everything else keeps the system's own words.

use std::{
    io::{Error, ErrorKind},
    path::Path,
};

use foldb_core::storage::StorageError;

/// The typed form of what happened while `action` was done to `path`.
pub(crate) fn storage_error(path: &Path, action: &'static str, error: &Error) -> StorageError {
    let name = path.display().to_string();
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => StorageError::Full { name, action },
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => StorageError::Denied { name, action },
        ErrorKind::NotFound => StorageError::Missing { name },
        ErrorKind::AlreadyExists => StorageError::Exists { name },
        _ if is_out_of_handles(error) => StorageError::TooManyOpen { name, action },
        _ => StorageError::Io { name, action, message: error.to_string() },
    }
}

/// Whether the process, or the system, has no handle left to open a file with.
#[cfg(unix)]
fn is_out_of_handles(error: &Error) -> bool {
    use rustix::io::Errno;
    matches!(Errno::from_io_error(error), Some(Errno::MFILE | Errno::NFILE))
}

/// Windows counts handles in millions; memory ends before.
#[cfg(not(unix))]
fn is_out_of_handles(_error: &Error) -> bool {
    false
}

#[cfg(all(test, unix))]
#[path = "failure_tests.rs"]
mod tests;
