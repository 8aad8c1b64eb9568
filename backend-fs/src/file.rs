//! [`FsFile`]: one open file.
//!
//! Invariants:
//! - [`StorageFile::sync`] returns only when bytes, length and name are on stable media, as far as the system can be made to
//!   promise it.
//! - Only the process that opened the store changes a file of it.

use std::{fs::File, path::PathBuf, sync::Arc};

use foldb_core::storage::{StorageError, StorageFile};

use crate::{
    directory::{Directory, NameEpoch},
    failure::storage_error,
    positioned, reserve,
};

/// An open file of an [`FsStorage`](crate::FsStorage). It keeps the store locked for as long as it lives.
#[derive(Debug)]
pub struct FsFile {
    file: File,
    name: String,
    directory: Arc<Directory>,
    /// The name is durable once the directory was synced at or after this epoch.
    named: NameEpoch,
}

impl FsFile {
    pub(crate) fn new(file: File, name: &str, directory: &Arc<Directory>, named: NameEpoch) -> Self {
        Self { file, name: name.into(), directory: Arc::clone(directory), named }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join(&self.name)
    }

    /// Fails in a process that got this handle by `fork`: what it wrote would be in the middle of what its parent writes.
    fn check_process(&self) -> Result<(), StorageError> {
        self.directory.check_process_surely()
    }

    fn checked<T>(&self, action: &'static str, result: std::io::Result<T>) -> Result<T, StorageError> {
        result.map_err(|error| storage_error(&self.path(), action, &error))
    }
}

impl StorageFile for FsFile {
    fn len(&self) -> Result<u64, StorageError> {
        self.checked("reading the length of", self.file.metadata().map(|metadata| metadata.len()))
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, StorageError> {
        self.checked("reading", positioned::read(&self.file, offset, buffer))
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), StorageError> {
        self.directory.check_writable(&self.name, "writing")?;
        self.check_process()?;
        self.checked("writing", positioned::write(&self.file, offset, bytes))
    }

    fn set_len(&self, len: u64) -> Result<(), StorageError> {
        self.directory.check_writable(&self.name, "changing the length of")?;
        self.check_process()?;
        let old = self.len()?;
        if len > old {
            return self.checked("extending", reserve::grow(&self.file, old, len));
        }
        self.checked("cutting", self.file.set_len(len))
    }

    fn sync(&self) -> Result<(), StorageError> {
        self.directory.check_writable(&self.name, "syncing")?;
        // Whose process it is was asked surely when there was something to write.
        self.directory.check_process()?;
        // fdatasync and not fsync: it leaves out only what nobody needs to read the bytes back (times, owner). A changed
        // length is needed for that, so it is flushed, and so is the allocation behind it. The full fsync would cost a
        // second journal write per commit on ext4. macOS and Windows get the full flush in any case.
        self.checked("syncing", self.file.sync_data())?;
        self.checked("syncing the name of", self.directory.make_names_durable(self.named))
    }
}
