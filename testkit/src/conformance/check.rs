//! Small assertions that return what is wrong instead of panicking, so that they work where a panic ends the worker.

use foldb_core::storage::{Storage, StorageError, StorageFile};

use super::{Case, Outcome, Phase};

/// A case that needs nothing special.
pub(super) fn case<S>(name: &'static str, phases: &[Phase<S>]) -> Case<S> {
    Case { name, needs: None, phases: phases.to_vec() }
}

/// Adds what was being done to an unexpected error.
pub(super) trait Doing<T> {
    fn doing(self, what: &str) -> Result<T, String>;
}

impl<T> Doing<T> for Result<T, StorageError> {
    fn doing(self, what: &str) -> Result<T, String> {
        self.map_err(|error| format!("{what} failed: {error}"))
    }
}

/// Whether two values are the same; `what` says which ones.
pub(super) fn same<T: PartialEq + std::fmt::Debug>(what: &str, found: T, expected: T) -> Outcome {
    if found == expected { Ok(()) } else { Err(format!("{what}: expected {expected:?}, found {found:?}")) }
}

/// Whether two byte strings are the same, without printing megabytes if not.
pub(super) fn same_bytes(what: &str, found: &[u8], expected: &[u8]) -> Outcome {
    same(&format!("{what}: length"), found.len(), expected.len())?;
    match found.iter().zip(expected).position(|(found, expected)| found != expected) {
        None => Ok(()),
        Some(at) => Err(format!("{what}: byte {at} of {} is {}, expected {}", found.len(), found[at], expected[at])),
    }
}

/// A new file with these bytes.
pub(super) fn created<S: Storage>(storage: &S, name: &str, bytes: &[u8]) -> Result<S::File, String> {
    let file = storage.create(name).doing("creating")?;
    file.write_at(0, bytes).doing("writing")?;
    Ok(file)
}

/// Reads `count` bytes at `offset` into a buffer full of a byte that nobody writes, and returns those that were read.
pub(super) fn read(file: &impl StorageFile, offset: u64, count: usize) -> Result<Vec<u8>, String> {
    let mut buffer = vec![0xee; count];
    let read = file.read_at(offset, &mut buffer).doing("reading")?;
    if read > count {
        return Err(format!("read {read} bytes into a buffer of {count}"));
    }
    buffer.truncate(read);
    Ok(buffer)
}

/// Whether the file has exactly these bytes, by its length and by reading one byte more than it should have.
pub(super) fn holds(file: &impl StorageFile, expected: &[u8]) -> Outcome {
    same("length of the file", file.len().doing("asking for the length")?, wide(expected.len()))?;
    same("whether the file is empty", file.is_empty().doing("asking for emptiness")?, expected.is_empty())?;
    same_bytes("bytes of the file", &read(file, 0, expected.len() + 1)?, expected)
}

/// Whether the file of this name has exactly these bytes.
pub(super) fn named_holds<S: Storage>(storage: &S, name: &str, expected: &[u8]) -> Outcome {
    let file = storage.open(name).doing("opening")?;
    holds(&file, expected).map_err(|why| format!("{name}: {why}"))
}

/// Whether the storage has exactly these names.
pub(super) fn has_names<S: Storage>(storage: &S, expected: &[&str]) -> Outcome {
    let mut names = storage.list().doing("listing")?;
    names.sort();
    let mut expected: Vec<String> = expected.iter().map(|name| String::from(*name)).collect();
    expected.sort();
    same("names", names, expected)
}

/// Bytes in which no two neighbourhoods look alike, so that a shift or a lost block shows.
pub(super) fn pattern(count: usize) -> Vec<u8> {
    crate::Random::new(wide(count)).bytes(count)
}

/// A size in memory as a size in a file.
pub(super) fn wide(size: usize) -> u64 {
    u64::try_from(size).unwrap_or(u64::MAX)
}
