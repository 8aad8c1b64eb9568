//! The rule for names of files, the same for every backend.
//!
//! Invariant: a name that passes can never leave the store's directory, and means the same file on every system: no
//! separators, no dots, no letter case (Windows and macOS ignore it), no device names.

use super::StorageError;

/// Longest name of a file, in bytes.
pub const FILE_NAME_BYTES_MAX: usize = 64;

/// Names that are well-formed but taken: by the lock of the file-system backend, and by devices of Windows, where
/// opening `nul` succeeds and swallows every byte.
const RESERVED: [&str; 5] = ["lock", "con", "prn", "aux", "nul"];

/// Whether a file of a store may have this name: 1 to [`FILE_NAME_BYTES_MAX`] bytes of `a-z`, `0-9` and `-`, beginning
/// with a letter, and not reserved by a backend or an operating system. Otherwise [`StorageError::Name`].
///
/// ```
/// # extern crate foldb_core as foldb;
/// use foldb::storage::check_name;
/// assert!(check_name("log-00000000000000000001").is_ok());
/// assert!(check_name("../passwd").is_err());
/// ```
pub fn check_name(name: &str) -> Result<(), StorageError> {
    let refuse = |why| Err(StorageError::Name { name: name.into(), why });
    if name.is_empty() {
        return refuse("it is empty");
    }
    if name.len() > FILE_NAME_BYTES_MAX {
        return refuse("it is longer than 64 bytes");
    }
    if !name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-')) {
        return refuse("only a-z, 0-9 and - are allowed");
    }
    if !name.starts_with(|first: char| first.is_ascii_lowercase()) {
        return refuse("it does not begin with a letter");
    }
    if RESERVED.contains(&name) || is_port(name) {
        return refuse("it is reserved");
    }
    Ok(())
}

/// `com0` to `com9` and `lpt0` to `lpt9`, devices of Windows.
fn is_port(name: &str) -> bool {
    let digit = name.strip_prefix("com").or_else(|| name.strip_prefix("lpt"));
    digit.is_some_and(|digit| matches!(digit.as_bytes(), [b'0'..=b'9']))
}
