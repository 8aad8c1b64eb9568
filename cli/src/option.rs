//! Values of options: numbers and names, read so that a mistyped one is answered in plain words.

use std::{ffi::OsString, path::PathBuf};

/// A whole number.
pub(crate) fn whole(text: &str) -> Result<u64, String> {
    between(0, u64::MAX)(text)
}

/// A whole number between two others, both included.
pub(crate) fn between(low: u64, high: u64) -> impl Fn(&str) -> Result<u64, String> + Clone {
    move |text| {
        let number = if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None };
        number
            .filter(|number| (low..=high).contains(number))
            .ok_or_else(|| format!("not a whole number from {low} to {high}"))
    }
}

/// A path that is not empty, as it is where a variable of a script was never set.
pub(crate) fn path(text: OsString) -> Result<PathBuf, String> {
    if text.is_empty() {
        return Err(String::from("it is empty; FOLDB_STORE, if it is set, has to name a directory"));
    }
    Ok(PathBuf::from(text))
}
