//! Removing what is over: [`Db::sweep_expired`].
//!
//! Invariant: a sweep is many small commits, each of which says what it removes, so that nobody waits long for the lock, and replay and
//! recovery remove the same.

use alloc::vec::Vec;
use core::ops::ControlFlow;

use super::{Db, Run, Transaction};
use crate::{
    Error, ErrorKind, Result,
    limits::SWEPT_ENTRIES_MAX,
    log::OpCode,
    primitive::access::{Reads, Writes},
    state::{Family, SpaceNumber, Sweep, over_at, parse_index_key},
    storage::Storage,
    tree::{Direction, KeyRange},
};

/// What a sweep has removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[must_use = "a sweep with a limit may have left something: look at `is_complete`"]
pub struct Swept {
    /// How many pairs, documents and cells were removed.
    pub entries: u64,
    /// Whether nothing was left that had been over when the sweep began.
    pub is_complete: bool,
}

impl<S: Storage> Db<S> {
    /// Removes pairs, documents and cells that are over by the host's clock, at most `limit` of them: those of the default space, and of
    /// all runs that have not ended. It is for the room that they take: [hidden](super::Options::hide_expired) they are already.
    ///
    /// It commits in slices of at most [`SWEPT_ENTRIES_MAX`] entries, between which others commit. A slice is a few bytes in the log. It
    /// looks at the index of each run: with many runs, [`Run::sweep_expired`] for those that have such things costs less. Who subscribes
    /// hears of each key that goes.
    ///
    /// # Errors
    /// As a commit; what the slices before have removed is removed.
    ///
    /// ```
    /// # extern crate foldb_core as foldb;
    /// # let db = foldb::Db::memory();
    /// use core::time::Duration;
    /// db.kv().put_with_ttl("code", 1234, Duration::from_micros(1))?;
    /// db.kv().put_with_ttl("session", "Ada", Duration::from_secs(3600))?;
    /// # while db.kv().exists("code")? {}
    /// let swept = db.sweep_expired(10_000)?;
    /// assert!(swept.entries == 1 && swept.is_complete);
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    pub fn sweep_expired(&self, limit: u64) -> Result<Swept> {
        self.shared.check_writable("a sweep")?;
        let now_micros = self.host().now_micros();
        let (mut swept, mut left) = (Swept::default(), limit);
        for space in self.spaces_to_sweep(now_micros)? {
            let part = match self.sweep(space, now_micros, left) {
                // The run was deleted or has ended since.
                Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::RunEnded) => continue,
                part => part?,
            };
            swept.entries += part.entries;
            left -= part.entries;
            if !part.is_complete {
                return Ok(swept);
            }
        }
        swept.is_complete = true;
        Ok(swept)
    }

    /// The spaces that have something that is over. A run that nobody has asked for is looked at and not kept.
    fn spaces_to_sweep(&self, now_micros: u64) -> Result<Vec<SpaceNumber>> {
        let (view, range) = (self.view(), Family::Expiry.range(&over_at(now_micros)));
        let (mut found, mut failed) = (Vec::new(), None);
        view.folded().look_at_open_spaces(&mut |number, space| {
            let looked = space.tree().visit(&range, Direction::Forward, view.source(), &mut |_, _| {
                found.push(number);
                ControlFlow::Break(())
            });
            failed = failed.take().or(looked.err());
        });
        failed.map_or(Ok(found), Err)
    }

    /// Sweeps one space, slice by slice.
    pub(super) fn sweep(&self, space: SpaceNumber, until_micros: u64, limit: u64) -> Result<Swept> {
        let mut swept = Swept::default();
        loop {
            let most = (limit - swept.entries).min(SWEPT_ENTRIES_MAX);
            let (removed, more) =
                self.transaction(|transaction| sweep_slice(transaction, space, until_micros, most))?;
            swept.entries += removed;
            if !more || removed == 0 {
                swept.is_complete = !more;
                return Ok(swept);
            }
        }
    }
}

impl<S: Storage> Run<'_, S> {
    /// Removes what is over of this run alone: see [`Db::sweep_expired`].
    ///
    /// # Errors
    /// [`Error::RunEnded`]: an ended run stays as it was, and what is over in it is hidden. As [`Db::sweep_expired`].
    pub fn sweep_expired(&self, limit: u64) -> Result<Swept> {
        let db = self.db;
        db.shared.check_writable("a sweep")?;
        db.sweep(self.number(), db.host().now_micros(), limit)
    }
}

/// One slice: how many entries it removes, and whether there are more. What it counts is what the fold removes: the part of the index that
/// it counts is read, and has to be the same at the commit.
fn sweep_slice<S: Storage>(
    transaction: &Transaction<'_, S>,
    space: SpaceNumber,
    until_micros: u64,
    limit: u64,
) -> Result<(u64, bool)> {
    let (mut count, mut more) = (0, false);
    let range: KeyRange = over_at(until_micros);
    let mut entries = Vec::new();
    transaction.visit(space, Family::Expiry, &range, Direction::Forward, &mut |index_key, _| {
        more = count == limit;
        if more {
            return Ok(ControlFlow::Break(()));
        }
        count += 1;
        entries.extend(parse_index_key(index_key).map(|(_, tree_key)| tree_key.to_vec()));
        Ok(ControlFlow::Continue(()))
    })?;
    // The commit needs the leaves that they are in. Looked at here, these are in memory by then, and not read under the lock of the store.
    transaction.bring_in(space, &entries)?;
    if count > 0 {
        Writes::write(transaction, space, OpCode::Sweep, &[], &Sweep { until_micros, limit: count }.encode())?;
    }
    Ok::<_, Error>((count, more))
}
