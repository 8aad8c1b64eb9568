//! Tests of the log's recovery: hand-built stores, every kind of damage to them, and simulated crashes.
#![allow(clippy::cast_possible_truncation, reason = "numbers in tests are small")]

mod build;
mod crash;
mod damage;
mod disk;
mod failing;
mod fold;
mod salvage;
mod survey;
mod watermark;
mod window;

use alloc::{vec, vec::Vec};
use core::ops::ControlFlow;

use super::{LogOutcome, LogRecord, LogStart, fold as fold_log, survey as survey_storage};
use crate::{
    Error, Result,
    recovery::{Progress, RecoveryMode},
    storage::{MemStorage, Storage},
};

fn go_on(_: Progress) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

/// What was handed out: the seq of every transaction, and its operations as key and body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Folded {
    seqs: Vec<u64>,
    ops: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Folded {
    fn take(&mut self, record: LogRecord<'_>) -> Result<()> {
        self.seqs.push(record.header.seq);
        for view in record.frames {
            self.ops.extend(view.groups().flat_map(|group| group.ops()).map(|op| (op.key.to_vec(), op.body.to_vec())));
        }
        Ok(())
    }
}

/// Survey and fold in one.
fn recover_from<S: Storage>(storage: &S, mode: RecoveryMode, from: Option<LogStart>) -> Result<(Folded, LogOutcome)> {
    let survey = survey_storage(storage, mode)?;
    let mut folded = Folded::default();
    let outcome = fold_log(storage, &survey, from, mode, &mut go_on, &mut |record| folded.take(record))?;
    Ok((folded, outcome))
}

fn recover(storage: &MemStorage) -> Result<(Folded, LogOutcome)> {
    recover_from(storage, RecoveryMode::Default, None)
}

/// The rule and the place of a corruption.
#[track_caller]
fn corruption<T: core::fmt::Debug>(result: Result<T>) -> (alloc::string::String, u64, &'static str) {
    match result {
        Err(Error::Corrupt { file, offset, rule, .. }) => (file, offset, rule),
        other => panic!("no corruption: {other:?}"),
    }
}

fn tail_seqs(outcome: &LogOutcome) -> Vec<u64> {
    let mut seqs = vec![];
    for record in &outcome.tail {
        seqs.push(record.seq);
        for frame in &record.frames {
            assert_eq!(frame.record().unwrap().header().seq, record.seq);
        }
    }
    seqs
}
