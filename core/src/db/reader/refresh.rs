//! Moving a store that is opened for reading only forward.
//!
//! Invariants:
//! - Whoever reads sees the version before or the one after, whole.
//! - A refresh that fails leaves everything as it was.

use alloc::{sync::Arc, vec::Vec};

use super::{
    super::{Db, closed, shared::Shared},
    Reader, Shown, Stand,
    anew::{Found, Look},
    moment::Moment,
    settled::settled,
};
use crate::{
    Result,
    log::segment_name,
    recovery::RecoverySettings,
    storage::{Storage, StorageFile},
};

impl<S: Storage> Db<S> {
    /// Moves a store that was opened by [`Options::read_only`](crate::Options::read_only) forward, to every commit that is whole in the
    /// log now, and returns the seq of the last one. Views and transactions that were taken before stay where they are.
    ///
    /// The seq grows as the writer commits. It falls only where a power failure, or a sync of the writer that failed, has taken commits
    /// back which nothing had proven to be durable: those behind [`Db::durable_seq`].
    ///
    /// A store that is open to write shows its newest version always; there this only returns its seq.
    ///
    /// Fails with [`ErrorKind::Corrupt`](crate::ErrorKind::Corrupt) where something that was promised is damaged, with
    /// [`ErrorKind::Io`](crate::ErrorKind::Io) where the system fails, or where the writer changed the files under every attempt (try again), and
    /// with [`ErrorKind::Poisoned`](crate::ErrorKind::Poisoned) where another store is in the place of this one. What was shown before is still
    /// shown then.
    ///
    /// Cost: a listing and two small reads where nothing has happened. Otherwise one small read for each segment, and folding what
    /// the log has got, as [`Db::open`] says; all of it behind the last snapshot only where the writer's process died meanwhile and its tail
    /// was lost.
    pub fn refresh(&self) -> Result<u64> {
        let shared = &*self.shared;
        match &shared.reader {
            Some(_) if shared.lock().closed => Err(closed("moving on")),
            Some(reader) => shared.refresh(reader),
            None => Ok(shared.state().seq()),
        }
    }
}

impl<S: Storage> Shared<S> {
    pub(in crate::db) fn refresh(&self, reader: &Reader) -> Result<u64> {
        let mut versions = reader.turn();
        let stand = reader.stand();
        let settings = RecoverySettings {
            mode: self.options.recovery,
            check_snapshots: self.options.check_snapshots,
            importing: false,
        };
        let look = Look { storage: &self.storage, host: &*self.host, files: &self.files, settings };
        let found = settled(|number| {
            // What could not be read on from where we stand, twice, is read anew.
            if number < 2 {
                let moment = Moment::take(&self.storage)?;
                if self.is_unchanged(&moment, &stand)? {
                    return Ok((None, Vec::new()));
                }
                if let Some(found) = look.onward(moment, &stand)? {
                    return Ok((Some(found), Vec::new()));
                }
            }
            let (found, noted) = look.found_anew()?;
            found.check_same_store(&stand)?;
            Ok((Some(found), noted))
        })?;
        match found {
            Some(found) => Ok(self.show(reader, found, &mut versions)),
            None => {
                self.set_epoch(stand.shown_epoch(&self.storage));
                Ok(self.state().seq())
            }
        }
    }

    /// Whether there is nothing behind where we stand: no file has come or gone, the anchors say the same, and nothing was written
    /// behind the end. A tail that nothing proves may be gone, or elsewhere, and nothing of that shows from here.
    fn is_unchanged(&self, moment: &Moment<'_, S>, stand: &Stand) -> Result<bool> {
        let has_no_tail = stand.from.as_ref().is_some_and(|(from, _)| from.seq == stand.seq);
        let Some((newest, end)) = stand.ends.last().filter(|_| has_no_tail) else { return Ok(false) };
        if moment.seen.names != stand.listed || moment.seen.anchors != stand.anchors {
            return Ok(false);
        }
        // As much as a frame begins with.
        let mut next = [0; 8];
        let read = self.storage.open(&segment_name(*newest))?.read_at(*end, &mut next)?;
        Ok(next.iter().take(read).all(|byte| *byte == 0))
    }

    /// Shows what was found from now on.
    fn show(&self, reader: &Reader, found: Found, versions: &mut Vec<Shown>) -> u64 {
        let Found { stand, shown } = found;
        let before = reader.stand().generation;
        let generation = stand.generation;
        let seq = shown.seq();
        {
            let mut core = self.lock();
            let state = self.published.newest_full();
            versions.extend(state.map(|state| Shown { generation: before, state: Arc::downgrade(&state) }));
            core.anchor = stand.anchor;
            core.engine.follow(shown.clone(), stand.proven_seq);
            self.set_epoch(stand.shown_epoch(&self.storage));
            reader.move_to(stand);
            self.published.show_version(shown);
        }
        versions.retain(|version| version.state.strong_count() > 0);
        let is_held = |held: u64| versions.iter().any(|version| version.generation == Some(held));
        self.files.hold_only(|held| generation == Some(held) || is_held(held));
        seq
    }
}
