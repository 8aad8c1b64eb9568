//! [`settled`]: telling damage from what only looks like it while somebody writes.
//!
//! Whoever looks at files one after the other, while another process changes them, sees states that never were: a segment that is
//! named and not listed, a frame that was half written when it was read and has others behind it a moment later. Each of them looks
//! like damage. But a writer only goes forward, and at every moment the files are what a crash in that moment would have left, which
//! recovery takes. So what such a look finds wrong is not found again, by one that begins after it has ended.
//!
//! Invariant: an error of the bytes is given out only when it was found, the same to the byte, by [`SAME`] looks in a row.

use alloc::vec::Vec;

use super::moment::never_at_rest;
use crate::{Error, ErrorKind, Result, recovery::Damage};

/// So many looks may fail, each in its own way.
const LOOKS_MAX: usize = 32;
/// So many looks in a row have to find the same, one behind the other. Two would do if a writer never did the same thing twice.
const SAME: usize = 3;

/// What a look comes to, if not to a clean result.
enum Finding<T> {
    Failed(Error),
    /// A result, and what is wrong in the files beside it.
    Noted(T, Vec<Damage>),
}

impl<T> Finding<T> {
    fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Finding::Failed(this), Finding::Failed(that)) => this == that,
            (Finding::Noted(_, this), Finding::Noted(_, that)) => this == that,
            _ => false,
        }
    }
}

/// Looks until what is found can be believed. `look` is told how many came before it, and gives what it has found wrong beside the
/// result.
///
/// Fails with what was found every time; where each look found something else, with an error of the storage that says to try again.
pub(super) fn settled<T>(mut look: impl FnMut(usize) -> Result<(T, Vec<Damage>)>) -> Result<T> {
    let (mut last, mut same): (Option<Finding<T>>, usize) = (None, 0);
    for number in 0..LOOKS_MAX {
        let finding = match look(number) {
            Ok((found, noted)) if noted.is_empty() => return Ok(found),
            Ok((found, noted)) => Finding::Noted(found, noted),
            Err(error) if may_pass(&error) => Finding::Failed(error),
            Err(error) => return Err(error),
        };
        same = if last.as_ref().is_some_and(|last| last.is_same(&finding)) { same + 1 } else { 1 };
        if same == SAME {
            return match finding {
                Finding::Failed(error) => Err(error),
                Finding::Noted(found, _) => Ok(found),
            };
        }
        last = Some(finding);
        // Whoever is in the middle of something gets on with it.
        std::thread::yield_now();
    }
    match last {
        Some(Finding::Noted(found, _)) => Ok(found),
        _ => Err(never_at_rest()),
    }
}

/// Whether an error may be of a look that was too slow: bytes that do not fit together, or a file that was listed and is gone, or was
/// cut where nothing had been written.
fn may_pass(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::NotFound | ErrorKind::Io)
}
