//! [`FsStorage`]: a directory as a storage.
//!
//! Invariant: from a successful [`FsStorage::open`] until the storage and its last file are dropped, nobody else who
//! asks in the same way can have the store open, in this process or another.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::ErrorKind,
    path::{Path, PathBuf},
    sync::Arc,
};

use foldb_core::{
    Error, Result,
    storage::{LockHolder, Storage, StorageError, check_name},
};

use crate::{
    FsFile,
    directory::{self, Directory},
    failure::storage_error,
};

/// The file whose lock stands for the whole store. It is empty, never listed and never removed: removing a lock file
/// lets two openers lock two different files of the same name.
const LOCK_NAME: &str = "lock";

/// What the names of the store's own files begin with. Only used to leave a directory alone that is clearly not ours.
const OWN_PREFIXES: [&str; 3] = ["log-", "anchor-", "snap-"];

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
    /// - [`StorageError::Locked`] naming the path: another process, or this one, has the store open.
    /// - [`StorageError::Missing`]: there is nothing at the path and `create` is false.
    /// - [`Error::NotAStore`]: the path is a file; or the directory has no lock file and holds foreign files only, or
    ///   nothing at all while `create` is false. Such a directory is left exactly as it was.
    /// - [`StorageError::Denied`]: the directory cannot be entered or written.
    /// - [`StorageError::Full`] or [`StorageError::Io`], as the system reports.
    pub fn open(path: impl AsRef<Path>, create: bool) -> Result<Self> {
        let path = path.as_ref();
        let path = existing_directory(path, create)?;
        let lock = lock(&path, create)?;
        let directory = Directory::new(path.clone(), lock).map_err(|error| storage_error(&path, "opening", &error))?;
        Ok(Self { directory: Arc::new(directory) })
    }

    /// The directory, absolute and with symbolic links resolved, so that a later change of the working directory cannot
    /// split the store in two.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    fn open_with(&self, name: &str, action: &'static str, options: &mut OpenOptions) -> Result<File, StorageError> {
        let path = self.file_path(name)?;
        options.read(true).write(true).open(&path).map_err(|error| storage_error(&path, action, &error))
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
        let names = visible_names(self.directory.path())?;
        Ok(names.into_iter().filter(|name| name != LOCK_NAME).collect())
    }

    fn create(&self, name: &str) -> Result<FsFile, StorageError> {
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
        // The directory is not synced: the removal becomes durable with the next created name, or never, and the
        // contract allows both.
        fs::remove_file(&path).map_err(|error| storage_error(&path, "removing", &error))
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
        Err(error) if error.kind() == ErrorKind::NotFound && create => {
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

/// Takes the lock of the store in `directory`, making the lock file if the directory is, or may become, a store.
fn lock(directory: &Path, create: bool) -> Result<File> {
    let path = directory.join(LOCK_NAME);
    let options = || {
        let mut options = OpenOptions::new();
        // Writing is never done, but locks on network file systems need a file that is open for it.
        options.read(true).write(true);
        options
    };
    let file = match options().open(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            refuse_foreign_directory(directory, create)?;
            options().create(true).truncate(false).open(&path)
        }
        other => other,
    };
    let file = file.map_err(|error| storage_error(&path, "opening", &error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            Err(StorageError::Locked { name: directory.display().to_string(), holder: LockHolder::Unknown }.into())
        }
        Err(TryLockError::Error(error)) => Err(storage_error(&path, "locking", &error).into()),
    }
}

/// Refuses a directory without a lock file that does not look like a store, before anything is written into it.
fn refuse_foreign_directory(directory: &Path, create: bool) -> Result<()> {
    let names = visible_names(directory)?;
    let path = directory.display().to_string();
    match names.first() {
        None if create => Ok(()),
        None => Err(Error::NotAStore { path, why: "the directory is empty".into() }),
        Some(_) if names.iter().any(|name| OWN_PREFIXES.iter().any(|prefix| name.starts_with(prefix))) => Ok(()),
        Some(other) => {
            let why = format!("it holds other files (such as {other:?}); choose an empty or a new directory");
            Err(Error::NotAStore { path, why })
        }
    }
}

/// The names in `directory` that a person would call its contents.
fn visible_names(directory: &Path) -> Result<Vec<String>, StorageError> {
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
