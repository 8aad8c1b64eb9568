//! Views, replays and transactions that are kept without borrowing the store: for hosts that cannot borrow.
//!
//! A JavaScript object, or any handle on the other side of a foreign interface, outlives the call that made it. It keeps
//! the detached form and attaches it for as long as each call lasts.
//!
//! Invariant: what is attached to a store was detached from it, from this very opening. A version of another store would
//! read pages and log bytes that are not its own.

use alloc::sync::{Arc, Weak};
use core::cell::{Cell, OnceCell, RefCell};

use super::{Db, Durability, Replay, Transaction, View, hiding::Moment, lives::Lives, shared::Shared};
use crate::{
    Error, Result,
    state::{SpaceNumber, State},
    storage::Storage,
    transaction::{ReadSet, WriteSet},
};

/// A [`View`] that borrows nothing: see [`Db::detach_view`].
pub struct DetachedView<S: Storage> {
    owner: Weak<Shared<S>>,
    state: Arc<State>,
    moment: Moment,
}

/// A [`Replay`] that borrows nothing: see [`Db::detach_replay`].
pub struct DetachedReplay<S: Storage> {
    view: DetachedView<S>,
    space: SpaceNumber,
    transactions: u64,
}

/// A [`Transaction`] that borrows nothing: see [`Db::detach_transaction`]. Dropping it discards its writes.
pub struct DetachedTransaction<S: Storage> {
    owner: Weak<Shared<S>>,
    base: Option<Arc<State>>,
    reads: ReadSet,
    writes: WriteSet,
    lives: Lives,
    durability: Durability,
    moment: Moment,
}

impl<S: Storage> Db<S> {
    /// Lets go of the borrow and keeps the version. Fails with [`Error::Invalid`] for a view of another store.
    ///
    /// ```
    /// # extern crate foldb_core as foldb;
    /// let db = foldb::Db::memory();
    /// db.kv().put("answer", 41)?;
    /// let kept = db.detach_view(db.view())?;
    /// db.kv().put("answer", 42)?;
    /// assert_eq!(db.attach_view(&kept)?.kv().get::<i64>("answer")?, Some(41));
    /// assert!(foldb::Db::memory().attach_view(&kept).is_err(), "another store");
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    pub fn detach_view(&self, view: View<'_, S>) -> Result<DetachedView<S>> {
        let (shared, state, moment) = view.into_parts();
        self.check_own(shared)?;
        Ok(DetachedView { owner: Arc::downgrade(&self.shared), state, moment })
    }

    /// The view again. Costs a counter. Fails with [`Error::Invalid`] for a view of another store.
    pub fn attach_view(&self, view: &DetachedView<S>) -> Result<View<'_, S>> {
        self.check_owner(&view.owner)?;
        Ok(View::at(&self.shared, Arc::clone(&view.state), view.moment.clone()))
    }

    /// Lets go of the borrow and keeps the replay. Fails with [`Error::Invalid`] for a replay of another store.
    pub fn detach_replay(&self, replay: Replay<'_, S>) -> Result<DetachedReplay<S>> {
        let Replay { view, space, transactions } = replay;
        Ok(DetachedReplay { view: self.detach_view(view)?, space, transactions })
    }

    /// The replay again. Costs a counter. Fails with [`Error::Invalid`] for a replay of another store.
    pub fn attach_replay(&self, replay: &DetachedReplay<S>) -> Result<Replay<'_, S>> {
        let view = self.attach_view(&replay.view)?.with_place(replay.space).showing_all();
        Ok(Replay { view, space: replay.space, transactions: replay.transactions })
    }

    /// Lets go of the borrow and keeps what the transaction has read and written. Fails with [`Error::Invalid`] for a
    /// transaction of another store.
    ///
    /// ```
    /// # extern crate foldb_core as foldb;
    /// let db = foldb::Db::memory();
    /// let transaction = db.begin_transaction()?;
    /// transaction.kv().put("a", 1)?;
    /// let kept = db.detach_transaction(transaction)?;
    /// assert!(!db.kv().exists("a")?);
    /// db.attach_transaction(kept)?.commit()?;
    /// assert!(db.kv().exists("a")?);
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    pub fn detach_transaction(&self, transaction: Transaction<'_, S>) -> Result<DetachedTransaction<S>> {
        self.check_own(transaction.shared)?;
        Ok(DetachedTransaction {
            owner: Arc::downgrade(&self.shared),
            base: transaction.base.into_inner(),
            reads: transaction.reads.into_inner(),
            writes: transaction.writes.into_inner(),
            lives: transaction.lives.into_inner(),
            durability: transaction.durability,
            moment: transaction.moment,
        })
    }

    /// The transaction again; moves a few hundred bytes. Fails with [`Error::Invalid`] for a transaction of another
    /// store, which is then lost.
    pub fn attach_transaction(&self, kept: DetachedTransaction<S>) -> Result<Transaction<'_, S>> {
        self.check_owner(&kept.owner)?;
        Ok(Transaction {
            shared: &self.shared,
            base: kept.base.map_or_else(OnceCell::new, OnceCell::from),
            reads: RefCell::new(kept.reads),
            writes: RefCell::new(kept.writes),
            lives: RefCell::new(kept.lives),
            shows_all: Cell::new(false),
            durability: kept.durability,
            moment: kept.moment,
        })
    }

    fn check_own(&self, shared: &Shared<S>) -> Result<()> {
        if core::ptr::eq(shared, &raw const *self.shared) { Ok(()) } else { Err(foreign()) }
    }

    fn check_owner(&self, owner: &Weak<Shared<S>>) -> Result<()> {
        // A weak handle keeps the address taken, so an equal one is the same opening.
        if core::ptr::eq(owner.as_ptr(), &raw const *self.shared) { Ok(()) } else { Err(foreign()) }
    }
}

impl<S: Storage> DetachedReplay<S> {
    /// How many transactions were folded.
    pub fn transactions(&self) -> u64 {
        self.transactions
    }

    /// The number of the space.
    pub fn number(&self) -> SpaceNumber {
        self.space
    }
}

pub(crate) fn foreign() -> Error {
    Error::Invalid { what: "handle", why: "it belongs to another store, or to an earlier opening of this one".into() }
}
