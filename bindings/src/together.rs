//! Commits of one message that share a sync, as those of several threads do natively.
//!
//! Invariant: a commit whose sync was put off is told to nobody before that sync has returned.

use core::{cell::Cell, time::Duration};

use foldb_core::{Durability, TransactionOptions};

/// The durability of a commit whose sync is left to whoever answers, however long that takes.
pub(crate) const UNTIL_ANSWERED: Durability = Durability::Buffered { interval: Duration::MAX, bytes: usize::MAX };

/// Whether commits leave their sync to the end of the message, and whether one has.
#[derive(Default)]
pub(crate) struct Together {
    pub(crate) active: Cell<bool>,
    pub(crate) unsynced: Cell<bool>,
}

impl Together {
    /// How a commit of the present operation is made: at once, or with those of the whole message.
    pub(crate) fn options(&self) -> TransactionOptions {
        if !self.active.get() {
            return TransactionOptions::new();
        }
        self.unsynced.set(true);
        TransactionOptions::new().durability(UNTIL_ANSWERED)
    }
}
