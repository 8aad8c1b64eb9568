//! What the harness does with files: sizes, fresh directories, a cold page cache, a quiet disk.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use rustix::fs::{Advice, fadvise, syncfs};

/// An empty directory of this name, whatever was there before.
pub fn fresh(path: PathBuf) -> io::Result<PathBuf> {
    remove(&path)?;
    fs::create_dir_all(&path)?;
    Ok(path)
}

/// Removes a directory if it is there.
pub fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Every file below `directory`.
fn files(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            found.extend(files(&entry.path())?);
        } else {
            found.push(entry.path());
        }
    }
    Ok(found)
}

/// Bytes that the files below `directory` occupy on disk: a sparse or preallocated file counts what it holds.
pub fn disk_bytes(directory: &Path) -> io::Result<u64> {
    use std::os::unix::fs::MetadataExt;
    files(directory)?.iter().map(|path| Ok(fs::metadata(path)?.blocks() * 512)).sum()
}

/// Writes every dirty page of the file system, so that the next measurement does not share the disk with the last.
pub fn quiet(directory: &Path) -> io::Result<()> {
    Ok(syncfs(File::open(directory)?)?)
}

/// Drops the pages of all files below `directory` from the page cache. Nobody may have them mapped or dirty.
pub fn make_cold(directory: &Path) -> io::Result<()> {
    quiet(directory)?;
    for path in files(directory)? {
        fadvise(File::open(path)?, 0, None, Advice::DontNeed)?;
    }
    Ok(())
}
