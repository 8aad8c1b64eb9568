//! Doing something once: idempotency keys, and what came of the commits that carried them.
//!
//! Invariant: the key is looked up before a closure runs. A payment that was made is not found to be impossible because it
//! was made, a ticket that was given out is not counted again, and whoever asks again gets the answer of the first time.

use alloc::{string::ToString, sync::Arc, vec::Vec};
use core::time::Duration;

use serde::{Serialize, de::DeserializeOwned};

use super::{Db, Durability, Receipt, Transaction, TransactionOptions, shared::Shared};
use crate::{
    Error, Result,
    log::{OnceKey, OpCode},
    planted::{self, Planted},
    primitive::access::Writes,
    state::{DEFAULT_SPACE, KeptKey, WindowBounds, encode_bounds, readable},
    storage::Storage,
    value::{Decode, Encoded, Serde},
};

/// Whether a key was seen: what [`Db::seen`] answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Seen {
    /// This commit carried it.
    Committed {
        /// Seq of the commit.
        seq: u64,
        /// When it was committed, in microseconds since 1970.
        time_micros: u64,
    },
    /// No commit that the store remembers the key of carried it.
    Unknown {
        /// Every key of a commit from this seq on is remembered: one that was used before may be forgotten. 1 where none
        /// ever was.
        since: u64,
    },
}

/// What is remembered of an idempotency key: what [`Db::recall`] answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recalled {
    /// That of the commit, with `deduplicated` set.
    pub receipt: Receipt,
    /// What it came to; `None` where it was committed without a result.
    pub result: Option<Encoded<Vec<u8>>>,
}

/// How far back a store remembers idempotency keys: see [`Db::idempotency_window`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct IdempotencyWindow {
    /// How many keys are remembered.
    pub keys: u64,
    /// The most that are.
    pub keys_max: u64,
    /// How old they get, in microseconds; `None` where age does not count.
    pub age_micros_max: Option<u64>,
    /// Every key of a commit from this seq on is remembered.
    pub since: u64,
}

impl<S: Storage> Db<S> {
    /// Does something once under a key, and gives its result back whenever it is asked for again.
    ///
    /// The key is looked up first. If a commit carried it, `work` does not run: what it returned then was stored in that
    /// commit and is returned now. Else `work` runs in a transaction like that of [`Db::transaction`], and key and result are
    /// committed with what it wrote. Of several callers at a time, in one process or one after another over crashes, one
    /// commits, and all get its result.
    ///
    /// The result is any type of serde's, at most [`RESULT_BYTES_MAX`](crate::limits::RESULT_BYTES_MAX) bytes: keep what is
    /// large in the store, and return its key. The newest 65,536 keys are remembered unless the store was
    /// told otherwise: see [`Db::set_idempotency_window`].
    ///
    /// ```
    /// # extern crate foldb_core as foldb;
    /// # let db = foldb_core::Db::memory();
    /// use foldb::{Error, Result};
    /// db.kv().put("balance", 100)?;
    /// let pay = || -> Result<i64> {
    ///     db.once("payment 4711", |tx| {
    ///         let left = tx.kv().get::<i64>("balance")?.unwrap_or(0) - 80;
    ///         if left < 0 {
    ///             return Err(Error::Invalid { what: "payment", why: "not enough is there".into() });
    ///         }
    ///         tx.kv().put("balance", left)?;
    ///         Ok(left)
    ///     })
    /// };
    /// assert_eq!(pay()?, 20);
    /// assert_eq!(pay()?, 20, "it was paid once, and that is what is answered");
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Db::transaction`]; [`Error::KeyReused`] where the key was used without a result, and [`Error::Type`] where its
    /// result is of another type.
    pub fn once<T: Serialize + DeserializeOwned, E: From<Error>>(
        &self,
        key: impl AsRef<[u8]>,
        work: impl FnMut(&Transaction<'_, S>) -> Result<T, E>,
    ) -> Result<T, E> {
        let options = TransactionOptions::new().idempotency_key(key);
        self.once_with(&options, work).map(|(value, _)| value)
    }

    /// [`Db::once`] with options, among them the key, and with the receipt, which says whether it was done before.
    ///
    /// # Errors
    /// As [`Db::once`]; [`Error::Invalid`] where the options have no key; [`Error::KeyReused`] where the key was used with
    /// another [fingerprint](TransactionOptions::fingerprint).
    pub fn once_with<T: Serialize + DeserializeOwned, E: From<Error>>(
        &self,
        options: &TransactionOptions,
        mut work: impl FnMut(&Transaction<'_, S>) -> Result<T, E>,
    ) -> Result<(T, Receipt), E> {
        let once = options.once().ok_or_else(no_key)?;
        if let Some((kept, receipt)) = self.shared().kept(&once, options)? {
            return Ok((result_of(&kept, &once)?, receipt));
        }
        let recorded = |transaction: &Transaction<'_, S>| -> Result<T, E> {
            let value = work(transaction)?;
            transaction.set_result(&Serde(&value))?;
            Ok(value)
        };
        let (value, receipt) = self.run(options, recorded)?;
        if !receipt.deduplicated {
            return Ok((value, receipt));
        }
        // Somebody else was faster. The window may have gone on since, but not by so many keys.
        match self.shared().kept(&once, options)? {
            Some((kept, receipt)) => Ok((result_of(&kept, &once)?, receipt)),
            None => Err(Error::AlreadyDone { key: readable(once.key), seq: receipt.seq }.into()),
        }
    }

    /// What is remembered of the key of these options: the commit that carried it, and its result. For hosts that cannot give
    /// [`Db::once_with`] a closure: ask, and if nothing is remembered begin a transaction with these options, give it its
    /// result by [`Transaction::set_result`] and commit; where its receipt says `deduplicated`, ask again.
    ///
    /// ```
    /// # extern crate foldb_core as foldb;
    /// # let db = foldb_core::Db::memory();
    /// use foldb::TransactionOptions;
    /// let options = TransactionOptions::new().idempotency_key("payment 4711");
    /// assert!(db.recall(&options)?.is_none());
    /// let tx = db.begin_transaction_with(&options)?;
    /// tx.set_result(&20)?;
    /// tx.commit()?;
    /// assert_eq!(db.recall(&options)?.unwrap().result.unwrap().0, [20]);
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Invalid`] where the options have no key, [`Error::KeyReused`] where it was used with another fingerprint; and
    /// those of a commit, as the commit that carried the key is waited for.
    pub fn recall(&self, options: &TransactionOptions) -> Result<Option<Recalled>> {
        let once = options.once().ok_or_else(no_key)?;
        let found = self.shared().kept(&once, options)?;
        Ok(found.map(|(kept, receipt)| {
            let result = (!kept.result.is_empty()).then(|| Encoded(kept.result.to_vec()));
            Recalled { receipt, result }
        }))
    }

    /// Whether a commit has carried an idempotency key, and which, as readers may see it: a durable commit that is still on its
    /// way has not. Cost: a lookup.
    ///
    /// ```
    /// # extern crate foldb_core as foldb;
    /// # let db = foldb_core::Db::memory();
    /// use foldb::Seen;
    /// assert_eq!(db.seen("payment 4711"), Seen::Unknown { since: 1 });
    /// db.once("payment 4711", |tx| tx.kv().put("paid", true))?;
    /// assert!(matches!(db.seen("payment 4711"), Seen::Committed { seq: 1, .. }));
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    pub fn seen(&self, key: impl AsRef<[u8]>) -> Seen {
        let state = self.shared().state();
        match state.idempotency.get(key.as_ref()) {
            Some(kept) => Seen::Committed { seq: kept.seq, time_micros: kept.time_micros },
            None => Seen::Unknown { since: state.idempotency.forgotten_seq + 1 },
        }
    }

    /// How far back idempotency keys are remembered.
    pub fn idempotency_window(&self) -> IdempotencyWindow {
        let state = self.shared().state();
        let window = &state.idempotency;
        IdempotencyWindow {
            keys: window.len() as u64,
            keys_max: window.bounds.keys,
            age_micros_max: window.bounds.age_micros,
            since: window.forgotten_seq + 1,
        }
    }

    /// Says how many idempotency keys are remembered, and for how long. It is written into the log, and holds from then on in
    /// every process that opens the store; where it is so already, nothing is committed. A key that is out of bounds goes with
    /// this commit; one that gets too old goes with the next commit that carries a key and is so much younger, by the times of
    /// the commits.
    ///
    /// Memory and each snapshot hold the window: some 400 bytes of memory for a key of 16 bytes, and what its result has beyond a few
    /// bytes.
    ///
    /// ```
    /// # let db = foldb_core::Db::memory();
    /// use std::time::Duration;
    /// db.set_idempotency_window(1_000_000, Some(Duration::from_secs(7 * 24 * 3600)))?;
    /// assert_eq!(db.idempotency_window().keys_max, 1_000_000);
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Invalid`] for no keys and for an age below a microsecond; [`Error::Limit`] for more than
    /// [`IDEMPOTENCY_WINDOW_MAX`](crate::limits::IDEMPOTENCY_WINDOW_MAX) keys; and those of a commit.
    pub fn set_idempotency_window(&self, keys: u64, age: Option<Duration>) -> Result<()> {
        let bounds =
            WindowBounds { keys, age_micros: age.map(|age| u64::try_from(age.as_micros()).unwrap_or(u64::MAX)) };
        if keys == 0 || bounds.age_micros == Some(0) {
            let why = "it would remember nothing; give at least one key, and an age of a microsecond or none".into();
            return Err(Error::Invalid { what: "idempotency window", why });
        }
        if keys > crate::limits::IDEMPOTENCY_WINDOW_MAX {
            let limit = crate::limits::IDEMPOTENCY_WINDOW_MAX;
            return Err(Error::Limit { what: "idempotency keys", size: keys, limit });
        }
        if self.shared().state().idempotency.bounds == bounds {
            return Ok(());
        }
        let body = encode_bounds(&bounds);
        self.transaction(|transaction| Writes::write(transaction, DEFAULT_SPACE, OpCode::KeyWindow, &[], &body))
    }

    pub(super) fn check_not_done(&self, options: &TransactionOptions) -> Result<()> {
        self.shared().check_not_done(options)
    }
}

impl<S: Storage> Shared<S> {
    /// Fails where a transaction with this key was committed before.
    pub(super) fn check_not_done(&self, options: &TransactionOptions) -> Result<()> {
        let Some(once) = options.once() else { return Ok(()) };
        match self.kept(&once, options)? {
            Some((kept, _)) => Err(Error::AlreadyDone { key: readable(once.key), seq: kept.seq }),
            None => Ok(()),
        }
    }

    /// What is remembered of a key, once its commit is as durable as the asking transaction wants to be.
    fn kept(&self, once: &OnceKey<'_>, options: &TransactionOptions) -> Result<Option<(Arc<KeptKey>, Receipt)>> {
        let _delivering = self.feed.delivering();
        let core = self.lock();
        let Some(kept) = core.engine.working_state().idempotency.get(once.key).cloned() else { return Ok(None) };
        kept.check_contents(once)?;
        let core = match options.durability_or(self.options.durability) {
            _ if self.is_in_memory() => core,
            Durability::Strict => self.wait_durable_locked(core, kept.seq)?,
            Durability::Relaxed { .. } => self
                .hand_over(core)
                .map_err(|error| Error::OutcomeUnknown { seq: kept.seq, cause: error.to_string() })?,
            Durability::InMemory | Durability::Buffered { .. } => core,
        };
        let durable = !self.is_in_memory() && kept.seq <= core.engine.durable_seq();
        let receipt = Receipt { seq: kept.seq, durable, deduplicated: true, ..Receipt::default() };
        Ok(Some((kept, receipt)))
    }
}

fn no_key() -> Error {
    let why = "there is none; TransactionOptions::idempotency_key gives one".into();
    Error::Invalid { what: "idempotency key", why }
}

/// The result that was stored with a key.
fn result_of<T: DeserializeOwned>(kept: &KeptKey, once: &OnceKey<'_>) -> Result<T> {
    if kept.result.is_empty() || planted::active(Planted::ResultForgotten) {
        let why = "something that has no result";
        return Err(Error::KeyReused { key: readable(once.key), seq: kept.seq, why });
    }
    Serde::<T>::decode(&kept.result).map(|Serde(value)| value)
}
