//! Replays as users hold them.
//!
//! Invariant: a replay reads the log alone, changes nothing, and shares nothing with the live state.

use super::{Db, SpaceView, View};
use crate::{
    Error, Result, RunId,
    log::LogPosition,
    replay::{Diff, Digest, Replayed, digest_space, replay},
    state::{DEFAULT_SPACE, SpaceNumber},
    storage::Storage,
};

impl<S: Storage> Db<S> {
    /// Folds the history of a run again, from the log and nothing else, into a read-only view.
    ///
    /// Fails with [`Error::UnknownRun`], with [`Error::Unsupported`] where there is no log, and with [`Error::Corrupt`]
    /// where a frame of the history is damaged. Reads the run's transactions only; cost: a few microseconds each.
    pub fn replay(&self, run: RunId) -> Result<Replay<'_, S>> {
        self.replay_at(run, u64::MAX)
    }

    /// [`Db::replay`], up to and including the commit with seq `until`: before the beginning of the run there is nothing in it.
    pub fn replay_at(&self, run: RunId, until: u64) -> Result<Replay<'_, S>> {
        let view = self.view();
        let space = view.folded().number(run)?;
        self.replay_space(&view, space, until)
    }

    /// What is different in run `newer`, compared with run `older`, as both are now: see [`SpaceView::diff`].
    pub fn diff(&self, older: RunId, newer: RunId) -> Result<Diff> {
        let view = self.view();
        view.run(older)?.diff(&view.run(newer)?)
    }

    /// [`Db::replay`] of the default space.
    pub fn replay_default(&self) -> Result<Replay<'_, S>> {
        self.replay_space(&self.view(), DEFAULT_SPACE, u64::MAX)
    }

    fn replay_space(&self, view: &View<'_, S>, space: SpaceNumber, until: u64) -> Result<Replay<'_, S>> {
        if self.shared().is_in_memory() {
            return Err(no_log("replay"));
        }
        let newest = newest_position(view, space);
        let Replayed { state, transactions } = replay(space, newest, until, self.shared())?;
        Ok(Replay { view: View::new(self.shared(), state).with_place(space).showing_all(), space, transactions })
    }
}

pub(super) fn no_log(what: &'static str) -> Error {
    Error::Unsupported {
        what,
        why: "the store was opened in memory and keeps no log; open it buffered or strict".into(),
    }
}

fn newest_position<S: Storage>(view: &View<'_, S>, space: SpaceNumber) -> Option<LogPosition> {
    view.folded().space(space).and_then(|space| space.last_position)
}

/// A space as its history in the log makes it: read-only, and independent of the live state.
pub struct Replay<'db, S: Storage> {
    pub(super) view: View<'db, S>,
    pub(super) space: SpaceNumber,
    pub(super) transactions: u64,
}

impl<'db, S: Storage> Replay<'db, S> {
    /// How many transactions were folded.
    pub fn transactions(&self) -> u64 {
        self.transactions
    }

    /// The digest of its content: see [`SpaceView::digest`](super::SpaceView::digest).
    pub fn digest(&self) -> Result<Digest> {
        digest_space(&self.view.reads(), self.space)
    }

    /// The number of the space.
    pub fn number(&self) -> SpaceNumber {
        self.space
    }

    /// The replayed space, to compare it with another.
    pub fn space(&self) -> SpaceView<'_, 'db, S> {
        SpaceView::new(&self.view, self.space)
    }

    /// The view that holds the replayed space and nothing else.
    pub fn view(&self) -> &View<'db, S> {
        &self.view
    }

    super::primitive_handles!(&View<'db, S>, |replay| &replay.view, |replay| replay.space);
}
