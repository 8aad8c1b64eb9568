//! Names of stores, and the directories that hold them.
//!
//! Invariant: every name that [`check_store_name`] accepts has one directory name and the other way round, and the
//! directory name is valid, and distinct, on every system that a browser may map it to: no separators, no dots, no
//! letter case.

use foldb_core::{Error, Result};

/// Longest name of a store, in bytes of UTF-8. Encoded it is at most three times as long, which every file system takes.
pub const STORE_NAME_BYTES_MAX: usize = 80;

/// Whether a store may have this name: 1 to [`STORE_NAME_BYTES_MAX`] bytes of any text.
///
/// # Errors
///
/// [`Error::Invalid`] for the empty name, [`Error::Limit`] for one that is too long.
///
/// ```
/// assert!(foldb_web::check_store_name("notes of Zoë / 2026").is_ok());
/// assert!(foldb_web::check_store_name("").is_err());
/// ```
pub fn check_store_name(name: &str) -> Result<()> {
    if name.is_empty() {
        return Err(Error::Invalid { what: "name of a store", why: "it is empty".into() });
    }
    if name.len() > STORE_NAME_BYTES_MAX {
        let wide = |size: usize| u64::try_from(size).unwrap_or(u64::MAX);
        return Err(Error::Limit {
            what: "name of a store, bytes",
            size: wide(name.len()),
            limit: wide(STORE_NAME_BYTES_MAX),
        });
    }
    Ok(())
}

/// The directory of a store: `a-z`, `0-9` and `-` stay, every other byte is `_` and two hexadecimal digits.
#[cfg_attr(not(target_family = "wasm"), allow(dead_code, reason = "only a browser has these directories"))]
pub(crate) fn encode(name: &str) -> String {
    let mut encoded = String::with_capacity(name.len());
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'-' => encoded.push(char::from(byte)),
            _ => encoded.push_str(&format!("_{byte:02x}")),
        }
    }
    encoded
}

/// The store of a directory; `None` where [`encode`] did not make the name.
#[cfg_attr(not(target_family = "wasm"), allow(dead_code, reason = "only a browser has these directories"))]
pub(crate) fn decode(directory: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(directory.len());
    let mut rest = directory.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'_' {
            let digits = [rest.next()?, rest.next()?];
            bytes.push(u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    let name = String::from_utf8(bytes).ok()?;
    (check_store_name(&name).is_ok() && encode(&name) == directory).then_some(name)
}

#[cfg(test)]
mod tests {
    //! Both directions.

    use super::*;

    #[test]
    fn every_name_comes_back_from_its_directory() {
        let long = "ü".repeat(40);
        for name in ["todo", "a-1", "A", "a_b", "notes of Zoë / 2026", "../..", ".", "con", "\0", "%41", &long] {
            check_store_name(name).unwrap();
            let directory = encode(name);
            assert!(directory.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_')));
            assert!(directory.len() <= 240);
            assert_eq!(decode(&directory).as_deref(), Some(name));
        }
        assert_ne!(encode("a"), encode("A"), "also where the file system ignores case");
    }

    #[test]
    fn a_directory_that_no_name_encodes_to_is_not_a_store() {
        for directory in ["", "A", "_", "_4", "_zz", "_61", "_4A", "_ff", "a.b", "a b", &"a".repeat(81)] {
            assert_eq!(decode(directory), None, "{directory:?}");
        }
    }

    #[test]
    fn a_name_that_is_empty_or_too_long_is_refused() {
        assert!(matches!(check_store_name(""), Err(Error::Invalid { .. })));
        assert!(matches!(check_store_name(&"a".repeat(81)), Err(Error::Limit { size: 81, limit: 80, .. })));
    }
}
