//! [`Receipt`]: what a commit is answered with.
//!
//! Invariant: it says what is known when the commit returns, and nothing that another commit may change.

use alloc::vec::Vec;
use core::{fmt, ops::RangeInclusive};

use crate::{
    RunId,
    state::{Appended, DEFAULT_SPACE, State, readable},
};

/// What a commit is answered with.
///
/// ```
/// # extern crate foldb_core as foldb;
/// use foldb::TransactionOptions;
///
/// # let db = foldb_core::Db::memory();
/// let (_, receipt) = db.transaction_with(&TransactionOptions::new(), |tx| {
///     tx.kv().put("balance", 70)?;
///     tx.events().append("payments", "paid", 30)
/// })?;
/// assert_eq!(receipt.seq, db.view().seq());
/// assert_eq!(receipt.appended[0].seqs(), 1..=1);
/// # Ok::<(), foldb_core::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct Receipt {
    /// Seq of the commit: its place in the order of all commits of the store.
    pub seq: u64,
    /// Whether it is on stable media already. If not, [`Db::wait_durable`](crate::Db::wait_durable) waits for it.
    pub durable: bool,
    /// Whether the idempotency key was seen before: `seq` is that of the earlier commit and nothing was done now.
    pub deduplicated: bool,
    /// The events that it has appended: one for each stream, those of the default space first. Nothing of what was done earlier under
    /// the same idempotency key.
    pub appended: Vec<AppendedEvents>,
}

/// Where events that were appended together are in their stream.
#[derive(Clone, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct AppendedEvents {
    /// The run whose stream it is; `None` for the default space.
    pub run: Option<RunId>,
    /// The name of the stream.
    #[serde(serialize_with = "crate::shown::serialize_key")]
    pub stream: Vec<u8>,
    /// Seq of the first of them.
    pub first_seq: u64,
    /// How many they are; at least one. Their seqs follow one another.
    pub count: u64,
}

impl AppendedEvents {
    /// The seqs of the events.
    pub fn seqs(&self) -> RangeInclusive<u64> {
        self.first_seq..=self.first_seq.saturating_add(self.count.saturating_sub(1))
    }

    /// With the ids of the runs, which the state has that they were folded into: what was appended to a run that the same
    /// transaction has deleted is gone with it. A large batch is several operations, which are one here.
    pub(super) fn of(appended: Vec<Appended>, state: &State) -> Vec<Self> {
        let mut named: Vec<Self> = Vec::with_capacity(appended.len());
        for Appended { space, stream, first_seq, count } in appended {
            let run = match space {
                DEFAULT_SPACE => None,
                _ => match state.run(space) {
                    Some(run) => Some(run.record.id()),
                    None => continue,
                },
            };
            match named.last_mut() {
                Some(last) if last.run == run && last.stream == stream && last.seqs().end() + 1 == first_seq => {
                    last.count += count;
                }
                _ => named.push(AppendedEvents { run, stream, first_seq, count }),
            }
        }
        named
    }
}

impl fmt::Debug for AppendedEvents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("AppendedEvents");
        shown.field("run", &self.run).field("stream", &readable(&self.stream)).field("seqs", &self.seqs()).finish()
    }
}
