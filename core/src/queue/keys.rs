//! Where a queue keeps what: keys that begin with `queue`, NUL, the name, NUL, and one letter for the sort of thing.
//!
//! | key | value |
//! |---|---|
//! | `j` id | the record of a job: what is known of it but its payload |
//! | `p` id | its payload, written once |
//! | `r` 255 − priority, id | null: it can be claimed; the first key is the first to go |
//! | `t` time (8 bytes, big-endian), id | null: something is due at that time: a delay or a lease ends |
//! | `d` id | null: it is dead |
//! | `c` `ready`, `delayed`, `leased`, `dead` | how many there are: counters, which never conflict |
//!
//! Invariant: the order of keys is the order of claims, so a claim reads those jobs that it takes and those that are due, and no others.

use alloc::vec::Vec;

use super::JobId;
use crate::{Result, error::check_limit, limits::IDEMPOTENCY_KEY_BYTES_MAX, tree::KeyRange};

#[derive(Clone, Debug)]
pub(super) struct Keys {
    prefix: Vec<u8>,
}

const START: &[u8] = b"queue\0";

impl Keys {
    pub(super) fn of(name: &str) -> Self {
        Keys { prefix: [START, name.as_bytes(), b"\0"].concat() }
    }

    pub(super) fn name(&self) -> &str {
        let name = self.prefix.get(START.len()..self.prefix.len() - 1).unwrap_or_default();
        core::str::from_utf8(name).unwrap_or_default()
    }

    fn key(&self, letter: u8, rest: &[&[u8]]) -> Vec<u8> {
        let mut key = self.prefix.clone();
        key.push(letter);
        rest.iter().for_each(|part| key.extend_from_slice(part));
        key
    }

    pub(super) fn record(&self, id: JobId) -> Vec<u8> {
        self.key(b'j', &[&id.to_bytes()])
    }

    pub(super) fn payload(&self, id: JobId) -> Vec<u8> {
        self.key(b'p', &[&id.to_bytes()])
    }

    pub(super) fn ready(&self, priority: u8, id: JobId) -> Vec<u8> {
        self.key(b'r', &[&[255 - priority], &id.to_bytes()])
    }

    pub(super) fn all_ready(&self) -> Vec<u8> {
        self.key(b'r', &[])
    }

    pub(super) fn timed(&self, micros: u64, id: JobId) -> Vec<u8> {
        self.key(b't', &[&micros.to_be_bytes(), &id.to_bytes()])
    }

    pub(super) fn all_timed(&self) -> Vec<u8> {
        self.key(b't', &[])
    }

    /// Everything whose time has come.
    pub(super) fn due(&self, now: u64) -> KeyRange {
        use core::ops::Bound::{Excluded, Included};
        KeyRange::new(Included(self.all_timed()), Excluded(self.key(b't', &[&now.saturating_add(1).to_be_bytes()])))
    }

    /// The time in a key of [`timed`](Self::timed).
    pub(super) fn time_of(&self, key: &[u8]) -> Option<u64> {
        let bytes = key.get(self.prefix.len() + 1..self.prefix.len() + 9)?;
        Some(u64::from_be_bytes(bytes.try_into().ok()?))
    }

    pub(super) fn dead(&self, id: JobId) -> Vec<u8> {
        self.key(b'd', &[&id.to_bytes()])
    }

    pub(super) fn all_dead(&self) -> Vec<u8> {
        self.key(b'd', &[])
    }

    pub(super) fn count(&self, of: &str) -> Vec<u8> {
        self.key(b'c', &[of.as_bytes()])
    }

    /// What tells a push from those of other queues.
    ///
    /// # Errors
    /// [`Error::Limit`](crate::Error::Limit) for a key that has no room beside the name of the queue.
    pub(super) fn once(&self, key: &[u8]) -> Result<Vec<u8>> {
        let room = IDEMPOTENCY_KEY_BYTES_MAX.saturating_sub(self.prefix.len() + 1);
        check_limit("bytes of an idempotency key in this queue", key.len(), room)?;
        Ok(self.key(b'k', &[key]))
    }

    /// The job at the end of a key of an index.
    pub(super) fn id_of(key: &[u8]) -> Option<JobId> {
        let bytes = key.get(key.len().checked_sub(16)?..)?;
        Some(JobId::from_bytes(bytes.try_into().ok()?))
    }
}
