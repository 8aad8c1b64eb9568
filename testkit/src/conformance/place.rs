//! Cases about whose the storage is: that an owner is told so as long as it is true, and told when it no longer is. A false
//! alarm is the worse of the two mistakes, for it ends a store that is in order.

use foldb_core::storage::{Storage, StorageError, StorageFile};

use super::{
    Case, Outcome, StorageFactory, Verdict,
    check::{Doing, case, created},
};

pub(super) const DISPLACED: &str = "a_storage_whose_place_was_taken_says_so_and_not_before";

pub(super) fn cases<S: Storage>() -> Vec<Case<S>> {
    vec![case(
        "a_storage_that_nobody_has_touched_is_still_its_owners_whatever_it_does",
        &[stays_ours_while_files_come_and_go, is_ours],
    )]
}

fn is_ours<S: Storage>(storage: &S) -> Outcome {
    storage.check_process().doing("asking whose process it is")?;
    storage.check_place().doing("asking whether it is in its place")
}

fn stays_ours_while_files_come_and_go<S: Storage>(storage: &S) -> Outcome {
    is_ours(storage)?;
    let file = created(storage, "log-1", b"bytes")?;
    is_ours(storage)?;
    file.sync().doing("syncing")?;
    is_ours(storage)?;
    drop(file);
    storage.remove("log-1").doing("removing")?;
    is_ours(storage)
}

pub(super) fn displaced<F: StorageFactory>(factory: &mut F) -> Verdict {
    match try_displacing(factory) {
        Ok(verdict) => verdict,
        Err(why) => Verdict::Broken(why),
    }
}

fn try_displacing<F: StorageFactory>(factory: &mut F) -> Result<Verdict, String> {
    let storage = factory.fresh().doing("opening")?;
    drop(created(&storage, "log-1", b"bytes")?);
    is_ours(&storage)?;
    if !factory.displace() {
        return Ok(Verdict::Skipped);
    }
    // Twice: the answer is about now, not about what has changed since the last time.
    for _ in 0..2 {
        match storage.check_place() {
            Err(StorageError::Displaced { .. }) => {}
            other => return Err(format!("its place was taken: expected Displaced, found {other:?}")),
        }
    }
    Ok(Verdict::Kept)
}
