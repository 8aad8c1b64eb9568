//! The histories of several spaces, folded together while the whole log is read from its beginning.
//!
//! Invariants:
//! - What comes out of it for a space is what [`replay`](super::replay) comes to. A transaction over a thousand runs is read once,
//!   and not once for each of them.
//! - Nothing comes out for a space whose history does not lead to each of its transactions (rule F-17): that a reader who follows
//!   it would be led astray is to be found by following it.

use alloc::{collections::BTreeSet, vec::Vec};

use crate::{
    Result,
    log::RecordView,
    state::{Chosen, DEFAULT_SPACE, LoggedTransaction, Space, SpaceNumber, State},
    tree::NoPages,
};

/// Spaces that are replayed together.
pub(crate) struct Together {
    spaces: BTreeSet<SpaceNumber>,
    /// Seq of the last transaction that counts.
    until: u64,
    state: State,
}

impl Together {
    /// Nothing is folded yet.
    pub(crate) fn new(spaces: BTreeSet<SpaceNumber>, until: u64) -> Self {
        Together { spaces, until, state: State::new() }
    }

    /// Folds the next transaction of the log. After an error nothing of this can be used.
    pub(crate) fn fold(&mut self, transaction: &LoggedTransaction<'_>) -> Result<()> {
        if transaction.frames.last().is_some_and(|last| last.header().seq > self.until) {
            return Ok(());
        }
        for group in transaction.frames.iter().flat_map(RecordView::groups) {
            let last = self.state.space(group.space).and_then(|space| space.last_position);
            if last != group.previous && self.spaces.contains(&group.space) {
                self.take(group.space);
            }
        }
        self.state.apply_chosen(Chosen::These(&self.spaces), transaction, &NoPages, &mut Vec::new())
    }

    /// What a space has come to, which is then forgotten; `None` for a space that was not among those chosen.
    pub(crate) fn take(&mut self, space: SpaceNumber) -> Option<Space> {
        if !self.spaces.remove(&space) {
            return None;
        }
        if space == DEFAULT_SPACE {
            return Some(core::mem::take(&mut self.state.default));
        }
        let replayed = self.state.run(space).map(|run| run.space.clone());
        self.state.runs.remove(space);
        Some(replayed.unwrap_or_default())
    }
}
