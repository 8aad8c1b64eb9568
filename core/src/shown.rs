//! How keys are shown: to people in errors and by `Debug`, and to programs by serde.
//!
//! Invariant: what is text reads as text. A key that shows as a list of numbers is not recognized by whoever chose it.

use alloc::{string::String, vec::Vec};
use core::fmt;

use serde::Serializer;

/// A key as people read it: text where it is text, hexadecimal digits otherwise.
pub fn readable(key: &[u8]) -> String {
    match core::str::from_utf8(key) {
        Ok(text) if !text.chars().any(char::is_control) => String::from(text),
        _ => {
            let mut out = String::from("0x");
            for byte in key {
                let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or('?');
                out.push(digit(byte >> 4));
                out.push(digit(byte & 15));
            }
            out
        }
    }
}

/// A key for `Debug`: text in quotes, or hexadecimal digits.
pub(crate) struct Shown<'a>(pub(crate) &'a [u8]);

impl fmt::Debug for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match core::str::from_utf8(self.0) {
            Ok(text) => write!(f, "{text:?}"),
            Err(_) => f.write_str(&readable(self.0)),
        }
    }
}

/// Text where the key is text, and bytes otherwise: the two cannot be taken for each other.
pub(crate) fn serialize_key<S: Serializer>(key: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    match core::str::from_utf8(key) {
        Ok(text) => serializer.serialize_str(text),
        Err(_) => serializer.serialize_bytes(key),
    }
}

/// [`serialize_key`] of a key that may be missing.
pub(crate) fn serialize_optional_key<S: Serializer>(key: &Option<Vec<u8>>, serializer: S) -> Result<S::Ok, S::Error> {
    match key {
        Some(key) => serialize_key(key, serializer),
        None => serializer.serialize_none(),
    }
}

/// 64 hexadecimal digits, as hashes are shown everywhere.
pub(crate) fn serialize_hash<S: Serializer>(hash: &[u8; 32], serializer: S) -> Result<S::Ok, S::Error> {
    struct Digits<'a>(&'a [u8; 32]);
    impl fmt::Display for Digits<'_> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
        }
    }
    serializer.collect_str(&Digits(hash))
}

/// `Debug` for something with a key, which is shown by [`Shown`], and the other fields as they are.
macro_rules! debug_by_key {
    ($name:ident $(<$content:ident>)?, $key:ident, $($field:ident),+) => {
        impl$(<$content: core::fmt::Debug>)? core::fmt::Debug for $name$(<$content>)? {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.debug_struct(stringify!($name))
                    .field(stringify!($key), &$crate::shown::Shown(&self.$key))
                    $(.field(stringify!($field), &self.$field))+
                    .finish()
            }
        }
    };
}
pub(crate) use debug_by_key;
