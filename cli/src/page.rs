//! Pages of lists: how many are shown, and where the next page begins. The same for every list.
//!
//! Invariant: the cursor of an item, given to `--after`, shows what comes behind that item, whether it is still there or not.

use clap::Args;

use crate::{
    failure::{Failure, Result},
    option, text,
};

/// Which part of a list is shown.
#[derive(Debug, Args)]
pub(crate) struct PageArgs {
    /// At most so many
    #[arg(long, value_name = "N", value_parser = option::whole, allow_negative_numbers = true)]
    pub(crate) limit: Option<u64>,
    /// Go on behind this item: the `cursor` of a record of --json, or what the last line of a page says
    #[arg(long, value_name = "CURSOR", allow_hyphen_values = true)]
    pub(crate) after: Option<String>,
}

impl PageArgs {
    /// The key to go on behind.
    pub(crate) fn after_key(&self) -> Result<Option<Vec<u8>>> {
        let Some(after) = &self.after else { return Ok(None) };
        match after.strip_prefix("0x") {
            None => Ok(Some(after.clone().into_bytes())),
            Some(digits) => text::unhex(digits).map(Some).ok_or_else(|| wrong(after, "a key")),
        }
    }

    /// The number to go on behind.
    pub(crate) fn after_number(&self) -> Result<Option<u64>> {
        let number = |after: &String| after.parse().map_err(|_| wrong(after, "a seq"));
        self.after.as_ref().map(number).transpose()
    }
}

fn wrong(cursor: &str, what: &str) -> Failure {
    Failure::usage(format!("--after {cursor:?} is not the cursor of {what}"))
        .hint("take it from the field `cursor` of --json, or from the last line of the page before")
}

/// The cursor of a key: the key itself, or `0x` and its digits.
pub(crate) fn key_cursor(key: &[u8]) -> String {
    match std::str::from_utf8(key) {
        Ok(text) if !text.starts_with("0x") && !text.chars().any(char::is_control) => text.to_owned(),
        _ => format!("0x{}", text::hex(key)),
    }
}
