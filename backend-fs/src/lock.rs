//! [`Lock`]: the lock of a store, from taking it to giving it back.
//!
//! Invariants:
//! - Whoever has one locks the file that the name `lock` leads to, not one that had the name before. So a lock file can be
//!   removed by the one who holds it: whoever opened it before and locks it after looks at the name, and begins again.
//! - An opening that writes nothing into the directory leaves nothing in it: a lock file that it made goes with it. (One that
//!   another opener has locked first stays: whose it was to remove is not known any more.)
//! - A copy that `fork` made gives nothing back: the lock, and whatever became of it, are the parent's.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::ErrorKind,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
};

use foldb_core::{
    Error, Result,
    storage::{LockHolder, StorageError},
};

use crate::{
    failure::storage_error,
    place::{Identity, LOCK_NAME},
    process::Process,
    registry,
    storage::visible_names,
};

/// What the names of the store's own files begin with. Only used to leave a directory alone that is clearly not ours.
const OWN_PREFIXES: [&str; 3] = ["log-", "anchor-", "snap-"];

/// How often another file may take the name between finding it and locking it, before somebody must be doing it on purpose.
const ATTEMPTS: usize = 100;

/// A lock that is held, unless this is a copy in a process that was forked.
#[derive(Debug)]
pub(crate) struct Lock {
    /// There until it is given back.
    file: Option<File>,
    path: PathBuf,
    identity: Identity,
    /// Whether this opening made the file.
    made: bool,
    /// Whether it stays when the lock is given back.
    keep: AtomicBool,
    process: Process,
}

impl Lock {
    /// Takes the lock of the store in `directory`, making its file if the directory is, or with `create` may become, a store.
    pub(crate) fn take(directory: &Path, create: bool) -> Result<Self> {
        let path = directory.join(LOCK_NAME);
        for _ in 0..ATTEMPTS {
            let Some((file, made)) = open(directory, &path, create)? else { continue };
            let identity =
                Identity::of_file(&path, &file).map_err(|error| storage_error(&path, "looking at", &error))?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    // One that was made in vain belongs to whoever has locked it since.
                    let (name, holder) = (directory.display().to_string(), registry::holder(&identity));
                    return Err(StorageError::Locked { name, holder }.into());
                }
                Err(TryLockError::Error(error)) => {
                    if made {
                        // A file system without locks: nobody else can have locked it either.
                        let _ = fs::remove_file(&path);
                    }
                    return Err(storage_error(&path, "locking", &error).into());
                }
            }
            // The name may have gone to another file between opening this one and locking it.
            if Identity::at(&path).is_ok_and(|named| named == identity) {
                registry::enter(&identity);
                let (keep, process) = (AtomicBool::new(!made), Process::this());
                return Ok(Self { file: Some(file), path, identity, made, keep, process });
            }
        }
        Err(StorageError::Locked { name: directory.display().to_string(), holder: LockHolder::Unknown }.into())
    }

    pub(crate) fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The process that took it.
    pub(crate) fn process(&self) -> &Process {
        &self.process
    }

    /// Something was made in the directory: it is a store now, and has a lock file.
    pub(crate) fn keep(&self) {
        self.keep.store(true, Ordering::Relaxed);
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        registry::leave(&self.identity);
        let Some(file) = self.file.take() else { return };
        if !self.process.is_surely_this() {
            // Closing the copy is all that may be done: what is unlocked here is unlocked for the parent too.
            return;
        }
        let goes = self.made && !self.keep.load(Ordering::Relaxed);
        if goes && cfg!(unix) {
            // While it is locked: nobody can have it under this name.
            let _ = fs::remove_file(&self.path);
        }
        // Closing would do, were it not for a child process that was forked but has not yet replaced itself: it still has the
        // file open, and the next opener would find the store locked by nobody.
        let _ = file.unlock();
        drop(file);
        if goes && !cfg!(unix) {
            // An open file cannot be removed there, and this one not if somebody has opened it since.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Opens the lock file, or makes it, and says whether it did. `None` where it came or went in this moment.
fn open(directory: &Path, path: &Path, create: bool) -> Result<Option<(File, bool)>> {
    match options().open(path) {
        Ok(file) => return Ok(Some((file, false))),
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(storage_error(path, "opening", &error).into()),
    }
    refuse_foreign_directory(directory, create)?;
    match options().create_new(true).open(path) {
        Ok(file) => Ok(Some((file, true))),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            refuse_dangling_link(path)?;
            Ok(None)
        }
        Err(error) => Err(storage_error(path, "creating", &error).into()),
    }
}

fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    // Writing is never done, but locks on network file systems need a file that is open for it.
    options.read(true).write(true);
    #[cfg(windows)]
    {
        use std::os::windows::fs::OpenOptionsExt;
        // Without leave to delete: then nobody can remove or rename the file, nor the directory around it, while it is open.
        const FILE_SHARE_READ: u32 = 1;
        const FILE_SHARE_WRITE: u32 = 2;
        options.share_mode(FILE_SHARE_READ | FILE_SHARE_WRITE);
    }
    options
}

/// Refuses a path that is, or leads through, a symbolic link to nothing. To be asked where a path was not found: the system
/// says only that something is missing, and making that something would make it wherever the link points.
pub(crate) fn refuse_dangling_link(path: &Path) -> Result<()> {
    for part in path.ancestors() {
        let (Ok(target), Err(error)) = (fs::read_link(part), fs::metadata(part)) else { continue };
        if error.kind() == ErrorKind::NotFound {
            let why = format!(
                "{} is a symbolic link to {}, and there is nothing there; remove the link, or make what it should lead to",
                part.display(),
                target.display()
            );
            return Err(Error::NotAStore { path: path.display().to_string(), why });
        }
    }
    Ok(())
}

/// Refuses a directory without a lock file that does not look like a store, before anything is written into it.
pub(crate) fn refuse_foreign_directory(directory: &Path, create: bool) -> Result<()> {
    let mut names = visible_names(directory)?;
    // It was not there a moment ago: another opener has made it since.
    names.retain(|name| name != LOCK_NAME);
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
