//! Pages of lists: how many are shown, and where the next page begins. The same for every list that has pages.
//!
//! Invariant: the cursor of an item, given to `--after`, shows what comes behind that item, whether it is still there or not.

use std::str::FromStr;

use clap::Args;
use foldb::ScanOptions;

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

    /// What to go on behind, where that is no key; `what` says what it is.
    pub(crate) fn after_as<T: FromStr>(&self, what: &str) -> Result<Option<T>> {
        let parsed = |after: &String| after.parse().map_err(|_| wrong(after, what));
        self.after.as_ref().map(parsed).transpose()
    }

    /// This page of a list that goes by keys.
    pub(crate) fn of(&self, list: ScanOptions) -> Result<ScanOptions> {
        let limit = self.limit.and_then(|limit| usize::try_from(limit).ok());
        Ok(ScanOptions { limit, after: self.after_key()?, ..list })
    }
}

fn wrong(cursor: &str, what: &str) -> Failure {
    Failure::usage(format!("--after {cursor:?} is not the cursor of {what}"))
        .hint("take it from the field `cursor` of --json, or from the last line of the page before")
}

/// The cursor of a key: the key itself, or `0x` and its digits.
pub(crate) fn key_cursor(key: &[u8]) -> String {
    if key.starts_with(b"0x") { format!("0x{}", text::hex(key)) } else { text::bytes(key) }
}
