//! What a transaction has done to the lives of runs so far, in the order in which it did.
//!
//! Invariant: a transaction writes to no run that it has ended or deleted itself. Such a write would vanish with the run, or be
//! there behind its end, and whoever made it would have been told that all is well. What is asked here costs no more for how much
//! was done before.

use alloc::{collections::BTreeMap, vec::Vec};
use core::cell::RefCell;

use crate::{
    Error, Result, RunId,
    log::OpCode,
    state::{RunRecord, SpaceNumber},
    work,
};

/// One operation on a run.
pub(super) struct Change {
    space: SpaceNumber,
    pub(super) code: OpCode,
    pub(super) body: Vec<u8>,
}

/// The operations of a transaction on runs.
#[derive(Default)]
pub(super) struct Lives {
    changes: Vec<Change>,
    by_space: BTreeMap<SpaceNumber, Life>,
}

/// The changes of one run, as places among all.
#[derive(Default)]
struct Life {
    changes: Vec<usize>,
    /// Those that decide whether it can be written to.
    deciding: Vec<usize>,
    /// The run behind so many of its changes, where somebody has asked.
    known: RefCell<Option<(usize, Option<RunRecord>)>>,
}

/// Whether an operation decides if a run can be written to.
fn decides(code: OpCode) -> bool {
    matches!(code, OpCode::RunEnd | OpCode::RunResume | OpCode::RunDelete)
}

impl Lives {
    pub(super) fn len(&self) -> usize {
        self.changes.len()
    }

    pub(super) fn note(&mut self, space: SpaceNumber, code: OpCode, body: &[u8]) {
        let life = self.by_space.entry(space).or_default();
        life.changes.push(self.changes.len());
        if decides(code) {
            life.deciding.push(self.changes.len());
        }
        self.changes.push(Change { space, code, body: body.to_vec() });
    }

    /// Forgets all but the first `len` of them.
    pub(super) fn truncate(&mut self, len: usize) {
        while self.changes.len() > len {
            let Some(change) = self.changes.pop() else { return };
            if let Some(life) = self.by_space.get_mut(&change.space) {
                life.changes.pop();
                life.deciding.pop_if(|place| *place >= self.changes.len());
                let len = life.changes.len();
                life.known.get_mut().take_if(|(behind, _)| *behind > len);
            }
        }
    }

    fn decision(&self, space: SpaceNumber) -> Option<OpCode> {
        let place = self.by_space.get(&space)?.deciding.last()?;
        work::count(1);
        self.changes.get(*place).map(|change| change.code)
    }

    pub(super) fn is_deleted(&self, space: SpaceNumber) -> bool {
        self.decision(space) == Some(OpCode::RunDelete)
    }

    /// Fails with [`Error::UnknownRun`] for a run that the transaction has deleted, and with [`Error::RunEnded`] for one that it
    /// has ended and not taken up again.
    pub(super) fn check_open(&self, space: SpaceNumber, id: impl FnOnce() -> RunId) -> Result<()> {
        match self.decision(space) {
            Some(OpCode::RunDelete) => Err(Error::UnknownRun(id())),
            Some(OpCode::RunEnd) => Err(Error::RunEnded { run: id(), status: "by this transaction" }),
            _ => Ok(()),
        }
    }

    /// A run with what the transaction has done to it. What only a commit gives, times and seqs, is 0.
    pub(super) fn applied(
        &self,
        space: SpaceNumber,
        id: RunId,
        committed: Option<&RunRecord>,
    ) -> Result<Option<RunRecord>> {
        let Some(life) = self.by_space.get(&space) else { return Ok(committed.cloned()) };
        // The transaction's version of a run does not change.
        let (done, mut record) = life.known.take().unwrap_or_else(|| (0, committed.cloned()));
        for place in life.changes.get(done..).unwrap_or_default() {
            let Some(change) = self.changes.get(*place) else { continue };
            work::count(1);
            match (&mut record, change.code) {
                (none, OpCode::RunBegin) => *none = Some(RunRecord::begin(id, &change.body, 0, 0)?),
                (Some(record), code) => record.change(code, &change.body, 0, 0)?,
                (None, _) => {}
            }
        }
        life.known.replace(Some((life.changes.len(), record.clone())));
        Ok(record)
    }
}
