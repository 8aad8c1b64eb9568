//! The mark of an import that did not finish: a store is never served from half of its files.
//!
//! Invariant: as long as the file [`IMPORT_NAME`] has bytes in it, recovery refuses the storage in every mode. An import
//! writes the mark before its first file and empties it, with a sync, after its last. Rule F-3.

use crate::{
    Error, Result,
    storage::{Storage, StorageError, StorageFile},
};

/// The name of the file that marks an import.
pub const IMPORT_NAME: &str = "import";

/// Whether an import into this storage has begun and not finished: its mark is there and not empty. An empty mark is what
/// a crash may leave, or bring back, of an import that finished.
pub fn is_import_unfinished<S: Storage>(storage: &S) -> Result<bool> {
    match storage.open(IMPORT_NAME) {
        Ok(mark) => Ok(!mark.is_empty()?),
        Err(StorageError::Missing { .. }) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Fails with [`Error::ImportUnfinished`] where an import has begun and not finished.
pub(super) fn refuse_unfinished_import<S: Storage>(storage: &S) -> Result<()> {
    if is_import_unfinished(storage)? { Err(Error::ImportUnfinished) } else { Ok(()) }
}
