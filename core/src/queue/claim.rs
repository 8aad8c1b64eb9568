//! Claiming jobs, and waiting for some.
//!
//! Invariant: consumers do not conflict with one another. A claim takes a turn before it reads, and reads the newest version that
//! there is; the turn ends when it is applied, so that those who claim meanwhile share its sync with one another.

use alloc::vec::Vec;
use core::time::Duration;

use super::{Job, Queue, keys::Keys, life::LEASE_ENDED, micros, now, record::Place};
use crate::{
    Error, Result,
    db::Transaction,
    live::{ChangeFilter, Primitive},
    primitive::ScanOptions,
    storage::Storage,
    value::Value,
};

/// So many delays and leases that have ended are looked after in one transaction.
const DUE_AT_ONCE: usize = 64;

impl<S: Storage> Queue<'_, S> {
    /// Takes the first job that can be had, for so long. `None` where there is none.
    ///
    /// # Errors
    /// As a commit.
    pub fn claim(&self, lease: Duration) -> Result<Option<Job>> {
        Ok(self.claim_many(1, lease)?.pop())
    }

    /// Takes up to `limit` jobs, in one commit: those of the highest priority first. Delays and leases that have ended are looked after
    /// first, 64 in a commit.
    ///
    /// # Errors
    /// As a commit.
    pub fn claim_many(&self, limit: usize, lease: Duration) -> Result<Vec<Job>> {
        loop {
            if let Some(jobs) = self.db.transaction_in_turn(|tx| self.claim_in(tx, limit, lease))? {
                return Ok(jobs);
            }
        }
    }

    /// [`Queue::claim_many`] when this transaction commits. `None` where more delays and leases have ended than are looked after in one
    /// transaction: commit it, and claim again. Transactions that claim at the same time conflict; only [`Queue::claim_many`] takes
    /// turns.
    ///
    /// # Errors
    /// As a write of the transaction.
    pub fn claim_in(&self, tx: &Transaction<'_, S>, limit: usize, lease: Duration) -> Result<Option<Vec<Job>>> {
        let now = now(tx);
        // Before anything is handed out: a job of the highest priority may be among those that are due.
        if !self.look_after_due(tx, now)? {
            return Ok(None);
        }
        self.take_ready(tx, limit, now.saturating_add(micros(lease))).map(Some)
    }

    /// The changes by which a job can be claimed that could not be before, or earlier than it could: what a consumer subscribes to that
    /// waits in another way than [`Queue::wait`] does. [`Queue::next_due_micros`] says how long it may.
    pub fn changes(&self) -> ChangeFilter {
        let filter = ChangeFilter::all().default_space().primitive(Primitive::Kv);
        filter.prefix(self.keys.all_ready()).prefix(self.keys.all_timed())
    }

    fn take_ready(&self, tx: &Transaction<'_, S>, limit: usize, until: u64) -> Result<Vec<Job>> {
        let ready = tx.kv().keys(&ScanOptions::prefix(self.keys.all_ready()).limit(limit))?;
        let jobs = ready.iter().filter_map(|key| Keys::id_of(key)).map(|id| {
            let mut record = self.record(tx, id)?;
            record.attempts = record.attempts.saturating_add(1);
            let attempt = record.attempts;
            self.go(tx, id, record, Place::Leased { until })?;
            let payload = tx.kv().get(self.keys.payload(id))?.unwrap_or(Value::Null);
            Ok(Job { id, payload, attempt, lease_until_micros: until })
        });
        jobs.collect()
    }

    /// [`Queue::claim`] that waits for a job for so long: for a push, for the end of a delay, for the end of a lease of
    /// somebody who has died. It sleeps until one of these.
    ///
    /// # Errors
    /// As a commit, and as [`Subscription::next_timeout`](crate::Subscription::next_timeout) when the store ends.
    pub fn wait(&self, lease: Duration, timeout: Duration) -> Result<Option<Job>> {
        if let Some(job) = self.claim(lease)? {
            return Ok(Some(job));
        }
        // Subscribed before the second look: what is pushed behind that look wakes. Also by a time that comes earlier.
        let mut changes = self.db.subscribe(self.changes())?;
        let host = self.db.host();
        let end = host.now_micros().saturating_add(micros(timeout));
        loop {
            // What was announced so far the next claim sees. Each by itself would be a claim for every job that others were faster at.
            while matches!(changes.try_next(), Ok(Some(_)) | Err(Error::Lagged { .. })) {}
            if let Some(job) = self.claim(lease)? {
                return Ok(Some(job));
            }
            let now = host.now_micros();
            if now >= end {
                return Ok(None);
            }
            let due = self.next_due_micros()?.unwrap_or(u64::MAX).min(end);
            let pause = Duration::from_micros(due.saturating_sub(now).max(1));
            match changes.next_timeout(pause) {
                Ok(_) | Err(Error::Lagged { .. }) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// When the next delay or lease ends, in microseconds since 1970 by the clock of the host; `None` where none does.
    ///
    /// # Errors
    /// As a read.
    pub fn next_due_micros(&self) -> Result<Option<u64>> {
        let first = self.db.kv().keys(&ScanOptions::prefix(self.keys.all_timed()).limit(1))?;
        Ok(first.first().and_then(|key| self.keys.time_of(key)))
    }

    /// Delays that have ended make a job ready, leases that have ended make an attempt a failed one. Returns whether that was all.
    fn look_after_due(&self, tx: &Transaction<'_, S>, now: u64) -> Result<bool> {
        let due = tx.kv().keys(&ScanOptions::range(self.keys.due(now)).limit(DUE_AT_ONCE))?;
        for id in due.iter().filter_map(|key| Keys::id_of(key)) {
            let mut record = self.record(tx, id)?;
            let place = match record.place {
                Place::Leased { .. } => match record.failed(now, LEASE_ENDED) {
                    Place::Dead => Place::Dead,
                    // It was paused for as long as the lease.
                    _ => Place::Ready,
                },
                _ => Place::Ready,
            };
            self.go(tx, id, record, place)?;
        }
        Ok(due.len() < DUE_AT_ONCE)
    }
}
