//! Replay: the history of one space, folded again from the log and from nothing else.
//!
//! Invariant: replay does not look at the live state (but for where the space's history ends), writes nothing, and has
//! no effect on the store. So "replay equals live" is a check with meaning, and `verify` performs it.

mod align;
mod diff;
mod digest;
mod frames;
mod history;
#[cfg(all(test, feature = "std"))]
mod tests;
mod together;

use alloc::{sync::Arc, vec::Vec};
use core::ops::ControlFlow;

pub use self::{
    diff::{Diff, DocumentChange, DocumentDiff, EntryChange, EntryDiff, StreamDiff},
    digest::Digest,
};
pub(crate) use self::{
    diff::{Side, diff},
    digest::digest_space,
    frames::FrameReader,
    together::Together,
};
use crate::{
    Result,
    log::LogPosition,
    state::{Chosen, Source, SpaceNumber, State},
    tree::NoPages,
};

/// A space as its history makes it.
pub(crate) struct Replayed {
    /// A state that holds this space and no other.
    pub(crate) state: Arc<State>,
    /// How many transactions were folded.
    pub(crate) transactions: u64,
}

/// Folds the history of a space that ends at `newest`, up to and including seq `until`. Before the beginning of a run its
/// space is empty.
///
/// Memory: what the space holds, at most ever held; and a window of the log, or a transaction that is larger.
pub(crate) fn replay(
    space: SpaceNumber,
    newest: Option<LogPosition>,
    until: u64,
    source: &dyn Source,
) -> Result<Replayed> {
    let mut state = State::new();
    let (mut transactions, mut appended) = (0, Vec::new());
    history::for_each_transaction(source, space, newest, &mut |transaction| {
        if transaction.frames.last().is_some_and(|last| last.header().seq > until) {
            return Ok(ControlFlow::Break(()));
        }
        state.apply_chosen(Chosen::One(space), transaction, &NoPages, &mut appended)?;
        appended.clear();
        transactions += 1;
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(Replayed { state: Arc::new(state), transactions })
}
