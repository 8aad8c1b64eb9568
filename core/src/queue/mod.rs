//! Queues of jobs, over the key-value pairs of a store: no new kind of data and no operation of their own.
//!
//! Invariants:
//! - A job is in one place of the index at a time: ready, waiting for its time (delayed or leased), or dead. Each step of its
//!   life is one transaction, so no death of a process leaves it in between.
//! - Whoever finishes a job proves by its attempt that the lease is still his. So the effect that a consumer writes in the
//!   transaction of its acknowledgement is there once, however often the job was handed out.

mod claim;
mod keys;
mod life;
mod record;
#[cfg(test)]
mod tests;

use alloc::{string::String, vec::Vec};
use core::{fmt, time::Duration};

use self::keys::Keys;
use crate::{
    Error, Result,
    db::{Db, Transaction},
    error::check_limit,
    host::Host,
    primitive::access::Writes,
    state::readable,
    storage::Storage,
    value::Value,
};

/// The name of a job, unique in its store and sorted by the time at which it was pushed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId([u8; 16]);

impl JobId {
    /// Eight bytes of the time, in microseconds, and eight that nobody else has.
    fn generate(host: &dyn Host) -> Self {
        let mut bytes = [0; 16];
        let (time, own) = bytes.split_at_mut(8);
        time.copy_from_slice(&host.now_micros().to_be_bytes());
        host.fill_random(own);
        JobId(bytes)
    }

    /// The id with these 16 bytes.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        JobId(bytes)
    }

    /// The 16 bytes of the id, in the order in which they are sorted.
    pub const fn to_bytes(self) -> [u8; 16] {
        self.0
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// As text, as it is displayed.
impl serde::Serialize for JobId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> core::result::Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl fmt::Debug for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JobId({self})")
    }
}

/// Bytes of a queue's name: what else is in its keys has room beside it.
const NAME_BYTES_MAX: usize = 128;

/// A queue of jobs: see [`Db::queue`].
pub struct Queue<'db, S: Storage> {
    db: &'db Db<S>,
    keys: Keys,
}

/// How a job is pushed.
#[derive(Clone, Debug)]
pub struct PushOptions {
    delay: Duration,
    priority: u8,
    attempts: u32,
    backoff: Duration,
    key: Option<Vec<u8>>,
}

/// A job that was claimed. It is the claimer's until the lease ends.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Job {
    /// Its name.
    pub id: JobId,
    /// What there is to do.
    pub payload: Value,
    /// How often it was handed out, this time included.
    pub attempt: u32,
    /// When the lease ends, in microseconds since 1970 by the clock of the host.
    pub lease_until_micros: u64,
}

/// A job that has failed too often: see [`Queue::dead`].
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct DeadJob {
    /// Its name.
    pub id: JobId,
    /// What there was to do.
    pub payload: Value,
    /// How often it was handed out, also before it was revived.
    pub attempts: u32,
    /// What the last attempt failed with.
    pub error: String,
}

/// How many jobs a queue has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct QueueCounts {
    /// Those that can be claimed.
    pub ready: u64,
    /// Those that wait for their time: pushed with a delay, or failed and to be tried again.
    pub delayed: u64,
    /// Those that somebody has claimed. A lease that has ended counts until somebody claims.
    pub leased: u64,
    /// Those that have failed too often.
    pub dead: u64,
}

impl Default for PushOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl PushOptions {
    /// To be done now, with the middle priority; five attempts, the second a second after the first and each later one after
    /// twice the pause.
    pub fn new() -> Self {
        PushOptions { delay: Duration::ZERO, priority: 128, attempts: 5, backoff: Duration::from_secs(1), key: None }
    }

    /// Not to be claimed before so much time has passed.
    #[must_use]
    pub fn delay(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Higher ones are claimed first; among equal ones those that were pushed first.
    #[must_use]
    pub fn priority(mut self, priority: u8) -> Self {
        self.priority = priority;
        self
    }

    /// How often the job is handed out at most, at least once; as often again after it was [revived](Queue::revive). One whose consumer dies has had an attempt.
    #[must_use]
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts.max(1);
        self
    }

    /// The pause before the second attempt; it doubles with each, up to a day.
    #[must_use]
    pub fn backoff(mut self, backoff: Duration) -> Self {
        self.backoff = backoff;
        self
    }

    /// Pushed again with this key, a job is not pushed: the id of the first is given back, whether that was done or not. The store
    /// remembers it as long as its [idempotency window](crate::Db::set_idempotency_window) says. Of no use in
    /// [`Queue::push_in`], where the transaction has a key of its own. Together with the name of the queue it has at most 248 bytes.
    #[must_use]
    pub fn idempotency_key(mut self, key: impl AsRef<[u8]>) -> Self {
        self.key = Some(key.as_ref().to_vec());
        self
    }
}

impl<S: Storage> Db<S> {
    /// A queue of jobs of this name in the default space; it needs no making. Names are text without NUL.
    ///
    /// A job is handed to one consumer at a time, for as long as he asks for (the lease). He acknowledges it, in the transaction
    /// of its effect where that is in the store; or gives it back; or dies, and then it is handed out again when the lease has ended.
    /// So a job is done at least once, and its effect in the store is there once. After its last attempt it is dead, and stays to be
    /// looked at.
    ///
    /// ```
    /// # extern crate foldb_core as foldb;
    /// use core::time::Duration;
    ///
    /// let db = foldb::Db::memory();
    /// let mails = db.queue("mails")?;
    /// mails.push("to Ada")?;
    ///
    /// let job = mails.claim(Duration::from_secs(30))?.expect("it was just pushed");
    /// db.transaction(|tx| {
    ///     tx.kv().add_i64("sent", 1)?;
    ///     mails.ack_in(tx, &job) // fails where the lease was lost, and then nothing was sent here
    /// })?;
    /// assert_eq!(mails.claim(Duration::from_secs(30))?, None);
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    ///
    /// What a queue keeps are pairs that begin with `queue`, a NUL, its name and another NUL; leave them alone.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a name with a NUL, and [`Error::Limit`] for one of more than 128 bytes.
    pub fn queue(&self, name: &str) -> Result<Queue<'_, S>> {
        check_limit("queue name bytes", name.len(), NAME_BYTES_MAX)?;
        if name.contains('\0') {
            let why = alloc::format!("{} has a NUL, which ends a name", readable(name.as_bytes()));
            return Err(Error::Invalid { what: "name of a queue", why });
        }
        Ok(Queue { db: self, keys: Keys::of(name) })
    }
}

impl<S: Storage> fmt::Debug for Queue<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue").field("name", &self.keys.name()).finish_non_exhaustive()
    }
}

/// The clock of a transaction's host.
fn now<S: Storage>(tx: &Transaction<'_, S>) -> u64 {
    host(tx).now_micros()
}

fn host<'tx, S: Storage>(tx: &'tx Transaction<'_, S>) -> &'tx dyn Host {
    Writes::host(tx)
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
