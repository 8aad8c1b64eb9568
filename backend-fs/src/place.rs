//! [`Place`]: the names that a store was opened by, and whether they still lead to it.
//!
//! A lock is taken on a file that was found by a name. Whoever removes the name, or puts another directory where this one was,
//! lets a second owner in: it finds, or makes, another file of the same name and locks that. So the name is looked at again.
//!
//! Invariant: [`Place::look`] finds fault only where a name certainly leads elsewhere or nowhere. What the system does not say
//! is no reason to end a store that may be in order.

use std::{
    fs::{self, File, Metadata},
    io::{self, ErrorKind},
    path::{Path, PathBuf},
};

use foldb_core::storage::LockHolder;

/// The file of which the lock stands for the whole store. It is empty, and listed nowhere.
pub(crate) const LOCK_NAME: &str = "lock";

/// Whether a process of this system holds the lock of the store in `directory`, which is not taken to find out.
pub(crate) fn is_locked(directory: &Path) -> Option<bool> {
    let identity = match Identity::at(&directory.join(LOCK_NAME)) {
        Ok(identity) => identity,
        // A store that nobody has open to write need not have a lock file: it was unpacked, or copied.
        Err(error) if error.kind() == ErrorKind::NotFound => return Some(false),
        Err(_) => return None,
    };
    if crate::registry::holder(&identity) == LockHolder::ThisProcess { Some(true) } else { identity.is_listed() }
}

/// What makes a file or directory the one that it is, under whatever name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Identity {
    /// Device and number on it.
    #[cfg(unix)]
    number: (u64, u64),
    /// Elsewhere std gives no number. The path will do: there a name that is open cannot be given to another file.
    #[cfg(not(unix))]
    path: PathBuf,
}

impl Identity {
    /// That of the file which `path` leads to, given what the system says of it.
    #[cfg_attr(unix, expect(unused_variables, reason = "the path is the identity where there is no number"))]
    fn new(path: &Path, metadata: &Metadata) -> Self {
        #[cfg(unix)]
        use std::os::unix::fs::MetadataExt;
        Self {
            #[cfg(unix)]
            number: (metadata.dev(), metadata.ino()),
            #[cfg(not(unix))]
            path: path.into(),
        }
    }

    /// That of an open file, which was opened by `path`.
    pub(crate) fn of_file(path: &Path, file: &File) -> io::Result<Self> {
        Ok(Self::new(path, &file.metadata()?))
    }

    /// Whether the system lists a lock of the file: Linux does, for the processes that it shows to this one. Elsewhere nobody knows.
    #[cfg(target_os = "linux")]
    fn is_listed(&self) -> Option<bool> {
        let locks = fs::read_to_string("/proc/locks").ok()?;
        // `1: FLOCK  ADVISORY  WRITE 4711 fe:00:5333139 0 EOF`. The device is written as other calls do not write it, so the number on
        // it has to do: another file of that number that is locked makes a run look open that is not, and nothing worse.
        let number = self.number.1.to_string();
        let is_of_file = |line: &str| {
            line.split_whitespace().any(|word| word.rsplit_once(':').is_some_and(|(_, inode)| inode == number))
        };
        Some(locks.lines().filter(|line| line.contains("FLOCK")).any(is_of_file))
    }

    #[cfg(not(target_os = "linux"))]
    fn is_listed(&self) -> Option<bool> {
        None
    }

    /// That of whatever `path` leads to now.
    pub(crate) fn at(path: &Path) -> io::Result<Self> {
        Ok(Self::new(path, &fs::metadata(path)?))
    }
}

/// The names of a store's directory and of its lock, and what they led to when it was opened.
#[derive(Debug)]
pub(crate) struct Place {
    directory: PathBuf,
    directory_identity: Identity,
    lock: PathBuf,
    /// `None` where no lock was taken.
    lock_identity: Option<Identity>,
}

impl Place {
    /// The place of the store in `directory`, whose lock has the identity `lock`, if it was taken.
    pub(crate) fn new(directory: PathBuf, lock: Option<Identity>) -> io::Result<Self> {
        Ok(Self {
            directory_identity: Identity::at(&directory)?,
            lock: directory.join(LOCK_NAME),
            lock_identity: lock,
            directory,
        })
    }

    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// What is wrong with the names, if anything. Two calls of the system.
    pub(crate) fn look(&self) -> Result<(), &'static str> {
        // The directory too: a copy of hard links has the same lock, and names that are made in it are synced elsewhere.
        compare(&self.directory, &self.directory_identity)
            .map_err(|found| found.choose("its directory was removed or moved", "another directory is in its place"))?;
        let Some(lock_identity) = &self.lock_identity else { return Ok(()) };
        compare(&self.lock, lock_identity).map_err(|found| {
            found.choose("its file `lock` was removed", "its file `lock` is another one than the one that is locked")
        })
    }
}

enum Found {
    Nothing,
    Another,
}

impl Found {
    fn choose(self, nothing: &'static str, another: &'static str) -> &'static str {
        match self {
            Found::Nothing => nothing,
            Found::Another => another,
        }
    }
}

fn compare(path: &Path, identity: &Identity) -> Result<(), Found> {
    match Identity::at(path) {
        Ok(found) if found == *identity => Ok(()),
        Ok(_) => Err(Found::Another),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Err(Found::Nothing),
        // A directory that may not be entered any more, a server that does not answer: nobody knows.
        Err(_) => Ok(()),
    }
}
