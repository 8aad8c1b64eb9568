//! A job from its push to its end: the steps that change it.
//!
//! Invariant: each step takes the job out of the place of the index where its record says that it is, puts it into another, and
//! counts both.

use alloc::{format, vec::Vec};
use core::time::Duration;

use super::{
    DeadJob, Job, JobId, PushOptions, Queue, QueueCounts, host,
    keys::Keys,
    micros, now,
    record::{Place, Record},
};
use crate::{
    Error, Result,
    db::{Transaction, TransactionOptions},
    primitive::ScanOptions,
    storage::Storage,
    value::{Decode, Encode, Value},
};

/// The longest pause between two attempts.
const BACKOFF_MAX_MICROS: u64 = 24 * 3600 * 1_000_000;

/// What a job whose consumer never came back has failed with.
pub(super) const LEASE_ENDED: &str = "its lease ended before it was acknowledged";

impl Place {
    fn count(self) -> &'static str {
        match self {
            Place::Ready => "ready",
            Place::Delayed { .. } => "delayed",
            Place::Leased { .. } => "leased",
            Place::Dead => "dead",
        }
    }
}

impl Record {
    /// Where a job goes whose attempt has failed.
    pub(super) fn failed(&mut self, now: u64, error: &str) -> Place {
        self.error = Some(error.into());
        let attempts = self.attempts.saturating_sub(self.attempts_forgiven);
        if attempts >= self.attempts_max {
            return Place::Dead;
        }
        let doublings = attempts.saturating_sub(1).min(63);
        let pause = self.backoff_micros.saturating_mul(1 << doublings).min(BACKOFF_MAX_MICROS);
        if pause == 0 { Place::Ready } else { Place::Delayed { until: now.saturating_add(pause) } }
    }
}

impl<S: Storage> Queue<'_, S> {
    /// Adds a job, to be done now. The payload is anything that a pair can have; a type of one's own goes in a [`Serde`](crate::value::Serde).
    ///
    /// # Errors
    /// As a commit.
    pub fn push(&self, payload: impl Encode) -> Result<JobId> {
        self.push_with(&PushOptions::new(), payload)
    }

    /// [`Queue::push`] with options.
    ///
    /// # Errors
    /// As a commit, and [`Error::Limit`] for an idempotency key that is too long.
    pub fn push_with(&self, options: &PushOptions, payload: impl Encode) -> Result<JobId> {
        let push = |tx: &Transaction<'_, S>| self.push_in(tx, options, &payload);
        let Some(key) = &options.key else { return self.db.transaction(push) };
        let once = TransactionOptions::new().idempotency_key(self.keys.once(key)?);
        if let Some(id) = self.pushed(&once)? {
            return Ok(id);
        }
        let pushed = self.db.transaction_with(&once, |tx| {
            let id = push(tx)?;
            tx.set_result(&id.to_bytes())?;
            Ok::<JobId, Error>(id)
        });
        match pushed {
            // Somebody else was faster.
            Err(Error::AlreadyDone { key, seq }) => self.pushed(&once)?.ok_or(Error::AlreadyDone { key, seq }),
            pushed => pushed.map(|(id, _)| id),
        }
    }

    /// The job that was pushed under a key, where that is remembered.
    fn pushed(&self, once: &TransactionOptions) -> Result<Option<JobId>> {
        let Some(result) = self.db.recall(once)?.and_then(|recalled| recalled.result) else { return Ok(None) };
        <[u8; 16]>::decode(&result.0).map(|id| Some(JobId::from_bytes(id)))
    }

    /// Adds a job when this transaction commits, and not otherwise.
    ///
    /// # Errors
    /// As a write of the transaction.
    pub fn push_in(&self, tx: &Transaction<'_, S>, options: &PushOptions, payload: impl Encode) -> Result<JobId> {
        let id = JobId::generate(host(tx));
        let place = match micros(options.delay) {
            0 => Place::Ready,
            delay => Place::Delayed { until: now(tx).saturating_add(delay) },
        };
        let record = Record {
            place,
            priority: options.priority,
            attempts: 0,
            attempts_forgiven: 0,
            attempts_max: options.attempts,
            backoff_micros: micros(options.backoff),
            error: None,
        };
        tx.kv().put(self.keys.payload(id), payload)?;
        self.enter(tx, id, &record)?;
        Ok(id)
    }

    /// The job is done: it goes. Give a transaction of the effect to [`Queue::ack_in`] where the effect is in the store.
    ///
    /// # Errors
    /// As [`Queue::ack_in`], and as a commit.
    pub fn ack(&self, job: &Job) -> Result<()> {
        self.db.transaction(|tx| self.ack_in(tx, job))
    }

    /// The job is done when this transaction commits.
    ///
    /// # Errors
    /// [`Error::Precondition`] where the lease was lost: it has ended and somebody has looked after it since (a claim does), whether the
    /// job was handed out again or not; or the job is gone. Its effect is not this consumer's to have. Let the transaction fail.
    pub fn ack_in(&self, tx: &Transaction<'_, S>, job: &Job) -> Result<()> {
        let record = self.held(tx, job)?;
        self.leave(tx, job.id, &record)?;
        self.forget(tx, job.id)
    }

    /// The attempt has failed, for this reason: the job is handed out again after its pause, or is dead after its last attempt.
    ///
    /// # Errors
    /// As [`Queue::ack_in`], and as a commit.
    pub fn nack(&self, job: &Job, error: &str) -> Result<()> {
        self.db.transaction(|tx| self.nack_in(tx, job, error))
    }

    /// [`Queue::nack`] when this transaction commits.
    ///
    /// # Errors
    /// As [`Queue::ack_in`].
    pub fn nack_in(&self, tx: &Transaction<'_, S>, job: &Job, error: &str) -> Result<()> {
        let mut record = self.held(tx, job)?;
        let place = record.failed(now(tx), error);
        self.go(tx, job.id, record, place)
    }

    /// Keeps the job for so long from now on.
    ///
    /// # Errors
    /// As [`Queue::ack_in`], and as a commit.
    pub fn extend(&self, job: &mut Job, lease: Duration) -> Result<()> {
        job.lease_until_micros = self.db.transaction(|tx| self.extend_in(tx, job, lease))?;
        Ok(())
    }

    /// [`Queue::extend`] when this transaction commits. Returns when the lease ends then, in microseconds since 1970.
    ///
    /// # Errors
    /// As [`Queue::ack_in`].
    pub fn extend_in(&self, tx: &Transaction<'_, S>, job: &Job, lease: Duration) -> Result<u64> {
        let until = now(tx).saturating_add(micros(lease));
        let record = self.held(tx, job)?;
        self.go(tx, job.id, record, Place::Leased { until }).map(|()| until)
    }

    /// The jobs that have failed too often, those that were pushed first before the others, at most `limit`.
    ///
    /// # Errors
    /// As a read.
    pub fn dead(&self, limit: usize) -> Result<Vec<DeadJob>> {
        let view = self.db.view();
        let dead = view.kv().keys(&ScanOptions::prefix(self.keys.all_dead()).limit(limit))?;
        let jobs = dead.iter().filter_map(|key| Keys::id_of(key)).map(|id| {
            let record = record_of(id, view.kv().get(self.keys.record(id))?)?;
            let payload = view.kv().get(self.keys.payload(id))?.unwrap_or(Value::Null);
            Ok(DeadJob { id, payload, attempts: record.attempts, error: record.error.unwrap_or_default() })
        });
        jobs.collect()
    }

    /// A dead job is tried again, with all its attempts before it.
    ///
    /// # Errors
    /// [`Error::NotFound`] for a job that is not dead, and as a commit.
    pub fn revive(&self, id: JobId) -> Result<()> {
        self.db.transaction(|tx| self.revive_in(tx, id))
    }

    /// [`Queue::revive`] when this transaction commits.
    ///
    /// # Errors
    /// [`Error::NotFound`] for a job that is not dead.
    pub fn revive_in(&self, tx: &Transaction<'_, S>, id: JobId) -> Result<()> {
        let mut record = self.dead_record(tx, id)?;
        record.attempts_forgiven = record.attempts;
        self.go(tx, id, record, Place::Ready)
    }

    /// A dead job goes for good.
    ///
    /// # Errors
    /// [`Error::NotFound`] for a job that is not dead, and as a commit.
    pub fn discard(&self, id: JobId) -> Result<()> {
        self.db.transaction(|tx| self.discard_in(tx, id))
    }

    /// [`Queue::discard`] when this transaction commits.
    ///
    /// # Errors
    /// [`Error::NotFound`] for a job that is not dead.
    pub fn discard_in(&self, tx: &Transaction<'_, S>, id: JobId) -> Result<()> {
        let record = self.dead_record(tx, id)?;
        self.leave(tx, id, &record)?;
        self.forget(tx, id)
    }

    /// How many jobs there are. Costs four lookups.
    ///
    /// # Errors
    /// As a read.
    pub fn counts(&self) -> Result<QueueCounts> {
        let view = self.db.view();
        let count = |of| {
            let count = view.kv().get_or::<i64>(self.keys.count(of), 0)?;
            Ok::<u64, Error>(u64::try_from(count).unwrap_or(0))
        };
        Ok(QueueCounts {
            ready: count("ready")?,
            delayed: count("delayed")?,
            leased: count("leased")?,
            dead: count("dead")?,
        })
    }

    pub(super) fn record(&self, tx: &Transaction<'_, S>, id: JobId) -> Result<Record> {
        record_of(id, tx.kv().get(self.keys.record(id))?)
    }

    /// The record of a job that its claimer still has.
    fn held(&self, tx: &Transaction<'_, S>, job: &Job) -> Result<Record> {
        let found = match self.record(tx, job.id) {
            Ok(record) if matches!(record.place, Place::Leased { .. }) && record.attempts == job.attempt => {
                return Ok(record);
            }
            Ok(record) => format!("{}, after attempt {}", record.place.count(), record.attempts),
            Err(Error::NotFound { .. }) => "nothing: it was done or discarded".into(),
            Err(error) => return Err(error),
        };
        let expected = format!("a lease of attempt {}", job.attempt);
        Err(Error::Precondition { key: format!("job {} of queue {}", job.id, self.keys.name()), expected, found })
    }

    fn dead_record(&self, tx: &Transaction<'_, S>, id: JobId) -> Result<Record> {
        let record = self.record(tx, id)?;
        if record.place == Place::Dead {
            return Ok(record);
        }
        Err(Error::NotFound { what: "dead job", name: format!("{id}, which is {},", record.place.count()) })
    }

    /// Moves a job.
    pub(super) fn go(&self, tx: &Transaction<'_, S>, id: JobId, mut record: Record, to: Place) -> Result<()> {
        self.leave(tx, id, &record)?;
        record.place = to;
        self.enter(tx, id, &record)
    }

    fn enter(&self, tx: &Transaction<'_, S>, id: JobId, record: &Record) -> Result<()> {
        tx.kv().put(self.keys.record(id), record)?;
        tx.kv().put(self.place(id, record), ())?;
        tx.kv().add_i64(self.keys.count(record.place.count()), 1)
    }

    fn leave(&self, tx: &Transaction<'_, S>, id: JobId, record: &Record) -> Result<()> {
        tx.kv().remove(self.place(id, record))?;
        tx.kv().add_i64(self.keys.count(record.place.count()), -1)
    }

    fn forget(&self, tx: &Transaction<'_, S>, id: JobId) -> Result<()> {
        tx.kv().remove(self.keys.record(id))?;
        tx.kv().remove(self.keys.payload(id))
    }

    /// The key of the index that a job is at.
    fn place(&self, id: JobId, record: &Record) -> Vec<u8> {
        match record.place {
            Place::Ready => self.keys.ready(record.priority, id),
            Place::Delayed { until } | Place::Leased { until } => self.keys.timed(until, id),
            Place::Dead => self.keys.dead(id),
        }
    }
}

/// What was found as the record of a job.
fn record_of(id: JobId, found: Option<Record>) -> Result<Record> {
    found.ok_or_else(|| Error::NotFound { what: "job", name: format!("{id}") })
}
