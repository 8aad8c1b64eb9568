//! Recovery: a pure function from (names, bytes) to (state, report).
//!
//! Invariant: it reads and never writes, depends on nothing but the bytes, and comes to the same result however often it
//! was interrupted before. What has to be written afterwards (a tail that is not proven, an anchor) it says, and the
//! engine does.
//!
//! This module has what its parts share: how careful to be, what to tell the caller on the way, and what was found to be
//! wrong. [`log`] decides over segments and anchors. Normative text: `docs/format.md`, rules F-22 to F-30.

use alloc::string::String;
use core::ops::ControlFlow;

use crate::{Error, Result};

mod import;
pub mod log;
mod store;

pub use self::import::{IMPORT_NAME, is_import_unfinished};
pub use self::store::{LogVerified, Recovered, RecoveryReport, RecoverySettings, recover, verify_log};
#[cfg(feature = "std")]
pub(crate) use self::store::{catch_up, verify_log_with, with_tail};

/// How careful to be with what is wrong in the files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RecoveryMode {
    /// A torn tail is what a crash leaves behind and is cut; anything else that is wrong is an error, and nothing is
    /// changed.
    #[default]
    Default,
    /// Nothing at all may be wrong: a torn tail, a torn anchor and an interrupted creation are errors too.
    Strict,
    /// Damaged frames are skipped and listed, with what they held as far as that is known. The result may have gaps, is
    /// never said to be complete, and cannot be continued: copy what is left into a new store.
    Salvage,
}

/// How far long work has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Progress {
    /// What is being done, as in "log".
    pub phase: &'static str,
    /// How much of `total` is done; bytes unless the phase says otherwise.
    pub done: u64,
    /// How much there is.
    pub total: u64,
}

/// What is called on the way. [`ControlFlow::Break`] stops the work with [`Error::Cancelled`].
pub type ProgressCallback<'a> = &'a mut dyn FnMut(Progress) -> ControlFlow<()>;

/// Something wrong in the files that did not end recovery.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Damage {
    /// The file.
    pub file: String,
    /// Where the damage begins.
    pub offset: u64,
    /// How many bytes are affected; 0 where that is not known.
    pub len: u64,
    /// The rule of `docs/format.md` that is broken.
    pub rule: &'static str,
    /// What is wrong.
    pub what: String,
    /// First and last seq of the transactions that are lost by it, where that is known.
    pub seqs: Option<(u64, u64)>,
}

impl Damage {
    /// What an error says, as an entry in the list of damage.
    pub(crate) fn from_error(error: &Error, file: &str) -> Self {
        let what = alloc::format!("{error}");
        match error {
            Error::Corrupt { file, offset, rule, what } => {
                Damage { file: file.clone(), offset: *offset, len: 0, rule, what: what.clone(), seqs: None }
            }
            _ => Damage { file: file.into(), offset: 0, len: 0, rule: "F-29", what, seqs: None },
        }
    }

    /// The error that the damage is in a mode that does not go on.
    pub(crate) fn into_error(self) -> Error {
        Error::Corrupt { file: self.file, offset: self.offset, rule: self.rule, what: self.what }
    }
}

/// Reports progress; [`Error::Cancelled`] where the caller says stop.
pub(crate) fn report_progress(
    progress: ProgressCallback<'_>,
    phase: &'static str,
    done: u64,
    total: u64,
) -> Result<()> {
    match progress(Progress { phase, done, total }) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => Err(Error::Cancelled { what: "recovery" }),
    }
}
