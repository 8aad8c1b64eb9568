//! [`Execution`]: a workload that has run on a disk, with what it did and what it was promised.
//!
//! Invariant: the contents after each commit are computed from the steps alone. Of the store only two things are asked:
//! which seq a commit got, and whether a commit whose outcome is unknown is there after reopening.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use foldb_core::{Db, Error, ErrorKind, Options, Result, limits::IDEMPOTENCY_WINDOW, storage::Storage};

use super::{
    contents::{Contents, Glance},
    steps::Runner,
    workload::Workload,
};
use crate::{SeededHost, crash::CrashStorage};

/// What a workload did to a disk.
pub(super) struct Execution {
    pub(super) disk: CrashStorage,
    /// The contents after the commit of a seq. More than one where a commit was lost and its seq given again.
    pub(super) history: BTreeMap<u64, Vec<Contents>>,
    /// The idempotency keys that were used, with the seqs of their commits and what came of them.
    pub(super) once: Vec<(String, u64, i64)>,
    /// From the commit of a seq on at most so many of them are remembered.
    pub(super) windows: Vec<(u64, usize)>,
    /// How many snapshots were taken.
    pub(super) snapshots: usize,
    /// For each promise: after which operation of the disk it was given, and up to which seq.
    promises: Vec<(usize, u64)>,
    /// What was seen of stores whose contents were compared and found right: the seq, and the digest of the glance; with the
    /// number of runs that are open in them.
    right: HashMap<(u64, u64), usize>,
}

/// The options under which workloads run and images are opened.
pub(super) fn options(workload: &Workload) -> Options {
    Options::new()
        .durability(workload.durability)
        .segment_bytes(workload.segment_bytes)
        .part_bytes(workload.part_bytes)
        .snapshot_log_bytes(None)
        .snapshot_on_close(false)
        // What is over is there until it is swept, and both have to be seen.
        .hide_expired(false)
}

/// Opens a store; `life` tells this opening from all others of the same bytes: two lives that share their entropy would
/// take the frames of one for those of the other.
pub(super) fn open<S: Storage>(storage: S, workload: &Workload, life: u64) -> Result<Db<S>> {
    Db::open(storage, Arc::new(SeededHost::new(life)), options(workload))
}

impl Execution {
    /// Runs a workload. Fails where the store refuses something that it should not, or does something that it must not.
    pub(super) fn of(workload: &Workload) -> Result<Self> {
        let disk = CrashStorage::new();
        let execution = Execution {
            disk: disk.clone(),
            history: BTreeMap::from([(0, vec![Contents::default()])]),
            once: Vec::new(),
            windows: vec![(0, IDEMPOTENCY_WINDOW)],
            snapshots: 0,
            promises: Vec::new(),
            right: HashMap::new(),
        };
        Runner::new(workload, disk, execution)?.run()
    }

    /// How many idempotency keys a store that ends with this seq remembers at most.
    pub(super) fn window_at(&self, seq: u64) -> usize {
        self.windows.iter().rev().find(|(from, _)| *from <= seq).map_or(IDEMPOTENCY_WINDOW, |(_, keys)| *keys)
    }

    /// Says that a commit was promised after so many operations of the disk.
    pub(super) fn promise_at(&mut self, operations: usize, seq: u64) {
        self.promises.push((operations, seq));
    }

    /// The highest seq that was promised before the disk had done `operations` operations.
    pub(super) fn promised_by(&self, operations: usize) -> u64 {
        self.promises.iter().filter(|(at, _)| *at <= operations).map(|(_, seq)| *seq).max().unwrap_or(0)
    }

    /// The newest commit that the workload made.
    pub(super) fn newest(&self) -> u64 {
        self.history.last_key_value().map_or(0, |(seq, _)| *seq)
    }

    /// How many runs are open in a store whose newest commit is `seq`, or what is wrong with its contents. Fails where
    /// they cannot be read.
    pub(super) fn judge_contents<S: Storage>(
        &mut self,
        db: &Db<S>,
        seq: u64,
        glance: &mut Glance,
    ) -> Result<Result<(usize, u64), String>> {
        let view = db.view();
        let seen = Glance::digest(glance.look(&view)?);
        if let Some(open) = self.right.get(&(seq, seen)) {
            return Ok(Ok((*open, seen)));
        }
        let found = Contents::of(db)?;
        let Some(allowed) = self.history.get(&seq) else { return Ok(Err(format!("commit {seq} never was"))) };
        if allowed.contains(&found) {
            let open = found.open_runs();
            self.right.insert((seq, seen), open);
            return Ok(Ok((open, seen)));
        }
        let difference = allowed.last().map_or_else(String::new, |expected| found.difference(expected));
        Ok(Err(format!("after commit {seq} the contents are wrong: {difference}")))
    }
}

/// What a workload reports when the store did what it must not.
pub(super) fn wrong(what: impl Into<String>) -> Error {
    Error::Invalid { what: "behaviour of the store", why: what.into() }
}

/// Fails unless an outcome is an error of this kind.
pub(super) fn expect<T>(outcome: Result<T>, kind: ErrorKind, otherwise: &str) -> Result<()> {
    match outcome {
        Err(error) if error.kind() == kind => Ok(()),
        Err(error) => Err(wrong(format!("{otherwise}: the error is {error}"))),
        Ok(_) => Err(wrong(otherwise)),
    }
}
