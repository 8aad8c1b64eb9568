//! Deleting what a range has: [`Deleted`].
//!
//! Invariant: one call is one commit of a bounded size, whatever the range has. The log has no operation for a range, so each key is
//! written; a range of millions in one commit would hold up everybody else, and take memory for all of it.

use alloc::vec::Vec;

use super::{access::Writes, scan::scan_range};
use crate::{
    Result,
    limits::DELETED_KEYS_MAX,
    log::OpCode,
    state::{Family, SpaceNumber},
    tree::{Direction, KeyRange},
};

/// What one call has deleted of a range.
///
/// ```
/// # let db = foldb_core::Db::memory();
/// db.kv().put_many([("job/1", 1), ("job/2", 2), ("user/1", 3)])?;
/// let mut deleted = 0;
/// loop {
///     let batch = db.kv().delete_range("job/".."job0")?;
///     deleted += batch.keys;
///     if batch.is_complete {
///         break;
///     }
/// }
/// assert_eq!((deleted, db.kv().count(..)?), (2, 1));
/// # Ok::<(), foldb_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[must_use = "a range may have more keys than one call deletes: look at `is_complete`"]
pub struct Deleted {
    /// How many keys were deleted, those included that were over and not swept yet.
    pub keys: u64,
    /// Whether nothing was left in the range at this commit. Else call again.
    pub is_complete: bool,
}

/// Deletes the first keys of a range, as many as one call may.
pub(crate) fn delete(
    writes: &dyn Writes,
    space: SpaceNumber,
    (family, code): (Family, OpCode),
    range: &KeyRange,
) -> Result<Deleted> {
    // Collected first: nothing may be written while it is visited. One more than may go tells whether any is left.
    let mut keys = Vec::new();
    // What is over and not swept goes too: a clock that is set back would show it again.
    writes.with_hidden(&mut || {
        scan_range(writes, space, family, (range, Direction::Forward, DELETED_KEYS_MAX + 1), &mut |key, _| {
            keys.push(key.to_vec());
            Ok(true)
        })
    })?;
    let is_complete = keys.len() <= DELETED_KEYS_MAX;
    keys.truncate(DELETED_KEYS_MAX);
    for key in &keys {
        writes.write(space, code, key, &[])?;
    }
    Ok(Deleted { keys: keys.len() as u64, is_complete })
}
