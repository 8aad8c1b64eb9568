//! Replay: the history of one space, folded again from the log and from nothing else.
//!
//! Invariant: replay does not look at the live state (but for where the space's history ends), writes nothing, and has
//! no effect on the store. So "replay equals live" is a check with meaning, and `verify` performs it.

pub(crate) mod chain;
mod diff;
mod digest;

use alloc::{sync::Arc, vec::Vec};

use self::chain::FrameReader;
pub(crate) use self::diff::{Side, diff};
pub(crate) use self::digest::digest_space;
pub use self::{
    diff::{Diff, DocumentChange, DocumentDiff, EntryChange, EntryDiff, StreamDiff},
    digest::Digest,
};
use crate::{
    Result,
    log::LogPosition,
    state::{DEFAULT_SPACE, LoggedTransaction, Source, SpaceNumber, State},
    tree::NoPages,
};

/// A space as its history makes it.
pub(crate) struct Replayed {
    /// A state that holds this space and no other.
    pub(crate) state: Arc<State>,
    /// How many transactions were folded.
    pub(crate) transactions: u64,
}

/// Folds the history of a space that ends at `newest`, up to and including seq `until`.
pub(crate) fn replay(
    space: SpaceNumber,
    newest: Option<LogPosition>,
    until: u64,
    source: &dyn Source,
) -> Result<Replayed> {
    let mut state = State::new();
    state.expect_run(space);
    let (mut transactions, mut appended) = (0, Vec::new());
    for stored in FrameReader::new(source).history(space, newest)? {
        let views = stored.views()?;
        if views.last().is_some_and(|last| last.header().seq > until) {
            break;
        }
        let transaction = LoggedTransaction { at: stored.at, frames: &views };
        state.apply_only(Some(space), &transaction, &NoPages, &mut appended)?;
        appended.clear();
        transactions += 1;
    }
    Ok(Replayed { state: Arc::new(state), transactions })
}

impl State {
    /// Makes the next run to begin the one of this number: a replay folds one run, not those before it.
    fn expect_run(&mut self, space: SpaceNumber) {
        if space != DEFAULT_SPACE {
            self.next_number = space;
        }
    }
}
