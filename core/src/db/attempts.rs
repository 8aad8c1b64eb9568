//! Closures that run again: one attempt after the other, until one is committed.
//!
//! Invariant: neither a result nor an error is given back before what it was decided on is what readers may see.

use super::{
    Db, Receipt, Transaction, TransactionOptions,
    turns::{Turn, Turns},
};
use crate::{Error, ErrorKind, Result, storage::Storage, sync::Ordering};

/// How often a closure has run, and whether it has the turn now.
pub(crate) struct Attempts<'t> {
    /// How often it may run again.
    left: u32,
    /// Whether it has run before and was lost.
    is_retry: bool,
    turn: Option<Turn<'t>>,
}

impl<'t> Attempts<'t> {
    fn first(retries: u32) -> Self {
        Attempts { left: retries, is_retry: false, turn: None }
    }

    /// One that has the turn from its beginning, and reads as who was lost before does: it is lost to nobody who does so too.
    fn in_turn(retries: u32, turns: &'t Turns) -> Self {
        Attempts { left: retries, is_retry: true, turn: turns.take() }
    }

    pub(crate) fn is_retry(&self) -> bool {
        self.is_retry
    }

    /// Whether a conflict is followed by another attempt.
    pub(crate) fn has_next(&self) -> bool {
        self.left > 0
    }

    /// The transaction is applied: the next one may go.
    pub(crate) fn end_turn(&mut self) {
        self.turn = None;
    }

    pub(crate) fn has_turn(&self) -> bool {
        self.turn.is_some()
    }

    /// The last one was lost to another commit.
    fn next(&mut self, turns: &'t Turns) {
        self.left -= 1;
        self.is_retry = true;
        match &mut self.turn {
            Some(turn) => turn.lost(),
            none => *none = turns.take(),
        }
    }
}

impl<S: Storage> Db<S> {
    /// One attempt after the other, until one is committed.
    ///
    /// Whether there is another one is decided by the store's own error, before the caller's type is made of it: a type that
    /// forgets what a conflict is must not cost the retry.
    pub(super) fn run<T, E: From<Error>>(
        &self,
        options: &TransactionOptions,
        work: impl FnMut(&Transaction<'_, S>) -> Result<T, E>,
    ) -> Result<(T, Receipt), E> {
        let retries = options.retries_or(self.shared.options.retries);
        self.run_attempts(Attempts::first(retries), options, work)
    }

    /// [`Db::transaction`] for what everybody does to the same keys: those who use this go one after the other from the beginning, and
    /// share their syncs.
    pub(crate) fn transaction_in_turn<T>(&self, work: impl FnMut(&Transaction<'_, S>) -> Result<T>) -> Result<T> {
        let attempts = Attempts::in_turn(self.shared.options.retries, &self.shared.turns);
        self.run_attempts(attempts, &TransactionOptions::new(), work).map(|(value, ..)| value)
    }

    fn run_attempts<'db, T, E: From<Error>>(
        &'db self,
        mut attempts: Attempts<'db>,
        options: &TransactionOptions,
        mut work: impl FnMut(&Transaction<'_, S>) -> Result<T, E>,
    ) -> Result<(T, Receipt), E> {
        loop {
            let transaction = Transaction::attempt(&self.shared, options, &attempts)?;
            let value = match work(&transaction) {
                Ok(value) => value,
                Err(error) => {
                    drop(attempts);
                    // What the error was decided on may be on its way to stable media only.
                    transaction.wait_until_base_shows()?;
                    return Err(error);
                }
            };
            match transaction.commit_attempt(&mut attempts) {
                Ok(receipt) => return Ok((value, receipt)),
                Err(error) if error.kind() == ErrorKind::Conflict && attempts.has_next() => {
                    self.shared.metrics.retries.fetch_add(1, Ordering::Relaxed);
                    attempts.next(&self.shared.turns);
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
}
