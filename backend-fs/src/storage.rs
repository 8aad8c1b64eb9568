//! [`FsStorage`]: a directory as a storage.
//!
//! Invariants:
//! - From a successful [`FsStorage::open`] until the storage and its last file are dropped, nobody else who asks in the same
//!   way can have the store open, in this process or another.
//! - Where that stops being so, because somebody took the names away or forked, nothing is made, removed or written any more.

use std::{
    fs::{self, File, OpenOptions},
    io::ErrorKind,
    path::{Path, PathBuf},
    sync::Arc,
};

use foldb_core::{
    Error, Result,
    storage::{Storage, StorageError, check_name},
};

use crate::{
    FsFile,
    directory::{self, Directory},
    failure::storage_error,
    lock::{Lock, refuse_dangling_link, refuse_foreign_directory},
    place::{LOCK_NAME, is_locked},
};

/// The files of one directory, locked against every other opener.
///
/// Names that begin with a dot, and `lost+found`, are not listed: file systems and desktops leave them in directories
/// that they were not asked to touch. Everything else is, also what the store did not make.
#[derive(Debug)]
pub struct FsStorage {
    directory: Arc<Directory>,
}

impl FsStorage {
    /// Opens the directory at `path` and locks it. With `create`, a missing directory is made, parents included, and its
    /// name is durable when this returns.
    ///
    /// # Errors
    ///
    /// - [`StorageError::Locked`] naming the path: another process, or this one, has the store open; it says which.
    /// - [`StorageError::Missing`]: there is nothing at the path and `create` is false.
    /// - [`Error::NotAStore`]: the path is a file, or a symbolic link to nothing; or the directory has no lock file and holds
    ///   foreign files only, or nothing at all while `create` is false. Such a directory is left exactly as it was.
    /// - [`StorageError::Denied`]: the directory cannot be entered or written.
    /// - [`StorageError::Full`] or [`StorageError::Io`], as the system reports.
    pub fn open(path: impl AsRef<Path>, create: bool) -> Result<Self> {
        let path = path.as_ref();
        let path = existing_directory(path, create)?;
        let lock = Lock::take(&path, create)?;
        let directory = Directory::new(path.clone(), lock).map_err(|error| storage_error(&path, "opening", &error))?;
        Ok(Self { directory: Arc::new(directory) })
    }

    /// Opens the directory at `path` for reading only: without its lock, so also while another process has the store open, and
    /// where nothing may be written. Nothing is made, changed, removed or synced through it; what would do so is
    /// [`StorageError::ReadOnly`].
    ///
    /// # Errors
    ///
    /// - [`StorageError::Missing`]: there is nothing at the path.
    /// - [`Error::NotAStore`]: the path is a file, or a directory with nothing or only foreign files in it.
    /// - [`StorageError::Denied`] or [`StorageError::Io`], as the system reports.
    pub fn open_read_only(path: impl AsRef<Path>) -> Result<Self> {
        let path = existing_directory(path.as_ref(), false)?;
        // As for an opening that locks: a directory with a lock file is a store, with or without anything in it.
        if !path.join(LOCK_NAME).exists() {
            refuse_foreign_directory(&path, false)?;
        }
        let directory = Directory::read_only(path.clone()).map_err(|error| storage_error(&path, "opening", &error))?;
        Ok(Self { directory: Arc::new(directory) })
    }

    /// The directory, absolute and with symbolic links resolved, so that a later change of the working directory cannot
    /// split the store in two.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    fn open_with(&self, name: &str, action: &'static str, options: &mut OpenOptions) -> Result<File, StorageError> {
        let path = self.file_path(name)?;
        // Each name is looked for in whatever the path of the directory leads to now.
        self.directory.check_place()?;
        options
            .read(true)
            .write(!self.directory.is_read_only())
            .open(&path)
            .map_err(|error| storage_error(&path, action, &error))
    }

    /// The path of a file, only for names that stay inside the directory.
    fn file_path(&self, name: &str) -> Result<PathBuf, StorageError> {
        check_name(name)?;
        Ok(self.directory.path().join(name))
    }
}

impl Storage for FsStorage {
    type File = FsFile;

    fn list(&self) -> Result<Vec<String>, StorageError> {
        self.directory.check_place()?;
        let names = visible_names(self.directory.path())?;
        Ok(names.into_iter().filter(|name| name != LOCK_NAME).collect())
    }

    fn create(&self, name: &str) -> Result<FsFile, StorageError> {
        self.directory.check_writable(name, "creating")?;
        self.directory.check_process_surely()?;
        let file = self.open_with(name, "creating", OpenOptions::new().create_new(true))?;
        Ok(FsFile::new(file, name, &self.directory, self.directory.name_created()))
    }

    fn open(&self, name: &str) -> Result<FsFile, StorageError> {
        let file = self.open_with(name, "opening", &mut OpenOptions::new())?;
        // Whoever created it may have died before the first sync, so its name counts as not yet durable.
        Ok(FsFile::new(file, name, &self.directory, self.directory.names_now()))
    }

    fn remove(&self, name: &str) -> Result<(), StorageError> {
        let path = self.file_path(name)?;
        self.directory.check_writable(name, "removing")?;
        self.directory.check_process_surely()?;
        self.directory.check_place()?;
        // The directory is not synced: the removal becomes durable with the next created name, or never, and the
        // contract allows both.
        fs::remove_file(&path).map_err(|error| storage_error(&path, "removing", &error))
    }

    fn check_process(&self) -> Result<(), StorageError> {
        self.directory.check_process()
    }

    fn check_place(&self) -> Result<(), StorageError> {
        self.directory.check_place()
    }

    fn has_writer(&self) -> Option<bool> {
        is_locked(self.directory.path())
    }
}

/// The directory at `path`, resolved; made if it is missing and `create` is set.
fn existing_directory(path: &Path, create: bool) -> Result<PathBuf> {
    let not_a_store = |why: &str| Error::NotAStore { path: path.display().to_string(), why: why.into() };
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => {}
        Ok(_) => return Err(not_a_store("it is not a directory; a store is one")),
        Err(error) if error.kind() == ErrorKind::NotADirectory => {
            return Err(not_a_store("a part of the path is a file, not a directory"));
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            refuse_dangling_link(path)?;
            if !create {
                return Err(storage_error(path, "opening", &error).into());
            }
            create_directories(path).map_err(|error| storage_error(path, "creating the directory", &error))?;
        }
        Err(error) => return Err(storage_error(path, "opening", &error).into()),
    }
    Ok(fs::canonicalize(path).map_err(|error| storage_error(path, "opening", &error))?)
}

/// Makes `path` and its missing parents, each name durable before the next: a commit that is on stable media in a
/// directory that is not would be lost with it.
fn create_directories(path: &Path) -> std::io::Result<()> {
    let parent = match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => return Ok(()),
    };
    match fs::create_dir(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            create_directories(parent)?;
            fs::create_dir(path)?;
        }
        // Somebody else made it in the same moment; the lock decides who gets it.
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        other => other?,
    }
    directory::sync_path(parent)
}

/// The names in `directory` that a person would call its contents.
pub(crate) fn visible_names(directory: &Path) -> Result<Vec<String>, StorageError> {
    let failed = |error: std::io::Error| storage_error(directory, "listing", &error);
    let mut names = Vec::new();
    for entry in fs::read_dir(directory).map_err(failed)? {
        // A name that is not Unicode is not ours; that it is there still matters.
        let name = entry.map_err(failed)?.file_name().to_string_lossy().into_owned();
        if !name.starts_with('.') && name != "lost+found" {
            names.push(name);
        }
    }
    Ok(names)
}
