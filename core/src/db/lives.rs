//! What a transaction has done to the lives of runs so far, in the order in which it did.
//!
//! Invariant: a transaction writes to no run that it has ended or deleted itself. Such a write would vanish with the run, or be
//! there behind its end, and whoever made it would have been told that all is well.

use alloc::{collections::BTreeMap, vec::Vec};

use crate::{
    Error, Result, RunId,
    log::OpCode,
    state::{RunRecord, SpaceNumber},
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
    /// Where the changes of each run are.
    by_space: BTreeMap<SpaceNumber, Vec<usize>>,
}

impl Lives {
    pub(super) fn len(&self) -> usize {
        self.changes.len()
    }

    pub(super) fn note(&mut self, space: SpaceNumber, code: OpCode, body: &[u8]) {
        self.by_space.entry(space).or_default().push(self.changes.len());
        self.changes.push(Change { space, code, body: body.to_vec() });
    }

    /// Forgets all but the first `len` of them.
    pub(super) fn truncate(&mut self, len: usize) {
        while self.changes.len() > len {
            let Some(change) = self.changes.pop() else { return };
            if let Some(places) = self.by_space.get_mut(&change.space) {
                places.pop();
            }
        }
    }

    /// What was done to a run, oldest first.
    pub(super) fn of(&self, space: SpaceNumber) -> impl DoubleEndedIterator<Item = &Change> {
        self.by_space.get(&space).into_iter().flatten().filter_map(|place| self.changes.get(*place))
    }

    pub(super) fn is_deleted(&self, space: SpaceNumber) -> bool {
        self.of(space).next_back().is_some_and(|last| last.code == OpCode::RunDelete)
    }

    /// Fails with [`Error::UnknownRun`] for a run that the transaction has deleted, and with [`Error::RunEnded`] for one that it
    /// has ended and not taken up again.
    pub(super) fn check_open(&self, space: SpaceNumber, id: impl FnOnce() -> RunId) -> Result<()> {
        let decides = |change: &&Change| matches!(change.code, OpCode::RunEnd | OpCode::RunResume | OpCode::RunDelete);
        match self.of(space).rev().find(decides).map(|change| change.code) {
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
        let mut record = committed.cloned();
        for change in self.of(space) {
            match (&mut record, change.code) {
                (none, OpCode::RunBegin) => *none = Some(RunRecord::begin(id, &change.body, 0, 0)?),
                (Some(record), code) => record.change(code, &change.body, 0, 0)?,
                (None, _) => {}
            }
        }
        Ok(record)
    }
}
