//! Closures of a caller that fail with an error of the caller's own, inside of an operation that knows the store's only.
//!
//! Invariant: what comes back is the error of the last attempt, and the caller's own only where it was the caller who failed. What
//! the store has to say, as that the outcome is not known, is not hidden by a refusal.

use super::access::{AccessMut, Writes};
use crate::{Error, Result};

/// Stands for the caller's error on its way through the store.
const REFUSED: Error = Error::Cancelled { what: "a change by the closure that should make it" };

/// Runs `operation` as [`AccessMut::write`] does.
pub(crate) fn write<A: AccessMut, T, E: From<Error>>(
    access: &A,
    mut operation: impl FnMut(&dyn Writes) -> Result<T, E>,
) -> Result<T, E> {
    let mut own = None;
    let written = access.write(|writes| {
        own = None;
        operation(writes).map_err(|error| {
            own = Some(error);
            REFUSED
        })
    });
    match (written, own) {
        (Ok(value), _) => Ok(value),
        (Err(error), Some(own)) if error == REFUSED => Err(own),
        (Err(error), _) => Err(error.into()),
    }
}
