//! What `Debug` shows of the handles of a store: which store, space, version or run it is, and what is waiting to be written.
//!
//! Invariant: showing a handle does nothing to it. It takes no version, reads no page, and waits for nobody but the lock of a moment.

use core::fmt::{Debug, Formatter, Result};

use super::{
    Db, DetachedReplay, DetachedTransaction, DetachedView, Replay, Run, Runs, SpaceView, Ticker, Transaction,
    TransactionRun, TransactionRuns, Verification, View,
};
use crate::{shown::Shown, storage::Storage, transaction::WriteSet};

/// So many writes of a transaction are shown.
const WRITES_SHOWN: usize = 16;

impl<S: Storage> Debug for Db<S> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("Db").field("options", &self.shared.options).finish_non_exhaustive()
    }
}

impl<S: Storage> Debug for Ticker<S> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("Ticker").field("is_over", &self.is_over()).finish()
    }
}

impl<S: Storage> Debug for View<'_, S> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("View").field("seq", &self.seq()).finish_non_exhaustive()
    }
}

impl<S: Storage> Debug for SpaceView<'_, '_, S> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("SpaceView").field("space", &self.number()).field("seq", &self.view().seq()).finish()
    }
}

impl<S: Storage> Debug for Replay<'_, S> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let mut shown = f.debug_struct("Replay");
        shown.field("space", &self.number()).field("transactions", &self.transactions());
        shown.field("seq", &self.view().seq()).finish()
    }
}

impl<S: Storage> Debug for Runs<'_, S> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("Runs").finish_non_exhaustive()
    }
}

impl<S: Storage> Debug for TransactionRuns<'_, '_, S> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("TransactionRuns").finish_non_exhaustive()
    }
}

impl<S: Storage> Debug for Run<'_, S> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("Run").field("id", &self.id()).field("space", &self.number()).finish()
    }
}

impl<S: Storage> Debug for TransactionRun<'_, '_, S> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("TransactionRun").field("id", &self.id()).field("space", &self.number()).finish()
    }
}

impl<S: Storage> Debug for Transaction<'_, S> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let mut shown = f.debug_struct("Transaction");
        shown.field("seq", &self.base.get().map(|base| base.seq())).field("durability", &self.durability);
        if let Ok(writes) = self.writes.try_borrow() {
            shown.field("writes", &Writes(&writes));
        }
        shown.finish_non_exhaustive()
    }
}

/// What is buffered: how much, and the first of it by space, operation and key.
struct Writes<'a>(&'a WriteSet);

impl Debug for Writes<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let mut list = f.debug_list();
        for write in self.0.iter().take(WRITES_SHOWN) {
            list.entry(&(write.space, write.code, Shown(self.0.key(write))));
        }
        match self.0.len().saturating_sub(WRITES_SHOWN) {
            0 => list.finish(),
            more => list.entry(&format_args!("and {more} more")).finish(),
        }
    }
}

impl<S: Storage> Debug for DetachedView<S> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("DetachedView").finish_non_exhaustive()
    }
}

impl<S: Storage> Debug for DetachedReplay<S> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let mut shown = f.debug_struct("DetachedReplay");
        shown.field("space", &self.number()).field("transactions", &self.transactions()).finish_non_exhaustive()
    }
}

impl<S: Storage> Debug for DetachedTransaction<S> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("DetachedTransaction").finish_non_exhaustive()
    }
}

impl<S: Storage> Debug for Verification<S> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("Verification").field("next_step", &self.next_step()).finish_non_exhaustive()
    }
}
