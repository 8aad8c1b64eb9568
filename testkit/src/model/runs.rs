//! Runs: their lives, and what is known of them.

use std::collections::BTreeMap;

use foldb_core::{ErrorKind, RunId, value::Value};

use super::{Model, Space};

/// What a run is begun with.
#[derive(Clone, Debug, PartialEq)]
pub struct Begin {
    /// Its id.
    pub id: RunId,
    /// Its name.
    pub name: String,
    /// The run that it belongs to.
    pub parent: Option<RunId>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Anything else.
    pub metadata: Value,
}

/// How a run ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Well.
    Completed,
    /// With an error.
    Failed,
    /// Because somebody asked for it.
    Cancelled,
}

/// A change of a run's life.
#[derive(Clone, Debug, PartialEq)]
pub enum RunOperation {
    /// Begins it.
    Begin(Begin),
    /// Ends it.
    End(RunId, Ending, String),
    /// Takes it up again.
    Resume(RunId),
    /// Sets or removes a label.
    Label(RunId, String, Option<String>),
    /// Replaces its metadata.
    Metadata(RunId, Value),
    /// Removes it.
    Delete(RunId),
}

/// How a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// This process works on it.
    Active,
    /// Nobody does.
    Orphaned,
    /// It has ended.
    Ended(Ending),
}

/// What is known of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct RunFacts {
    /// Its id.
    pub id: RunId,
    /// Its number.
    pub number: u32,
    /// Its name.
    pub name: String,
    /// How it stands.
    pub standing: Standing,
    /// The run that it belongs to.
    pub parent: Option<RunId>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Anything else.
    pub metadata: Value,
    /// When it began.
    pub began: u64,
    /// When it ended, and what was said.
    pub ended: Option<(u64, Option<String>)>,
    /// How often it was resumed.
    pub resumed: u32,
    /// Seqs of its beginning and of the last commit that touched it.
    pub seqs: (u64, u64),
    /// How many commits touched it.
    pub commits: u64,
}

/// Which runs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RunQuery {
    /// Only these.
    pub name: Option<String>,
    /// Only those that stand so.
    pub standing: Option<Standing>,
    /// Only with this label.
    pub label: Option<(String, String)>,
    /// Only children of this one.
    pub parent: Option<RunId>,
    /// Only behind this number, whether there is a run that has it or not.
    pub after: Option<u32>,
    /// At most so many.
    pub limit: Option<usize>,
    /// Backwards.
    pub newest_first: bool,
}

/// The life of a run.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct RunRecord {
    pub(super) begin: Begin,
    pub(super) number: u32,
    /// The process that began or resumed it.
    pub(super) process: u64,
    pub(super) began: u64,
    pub(super) first_seq: u64,
    /// Seq of the last change of the run itself.
    pub(super) changed_seq: u64,
    pub(super) ended: Option<(Ending, u64, Option<String>)>,
    pub(super) resumed: u32,
}

impl RunRecord {
    /// A run that begins.
    pub(super) fn new(begin: Begin, number: u32, (seq, time, process): (u64, u64, u64)) -> Self {
        RunRecord { begin, number, process, began: time, first_seq: seq, changed_seq: seq, ended: None, resumed: 0 }
    }

    pub(super) fn facts(&self, space: &Space, process: u64) -> RunFacts {
        let standing = match &self.ended {
            Some((how, ..)) => Standing::Ended(*how),
            None if self.process == process => Standing::Active,
            None => Standing::Orphaned,
        };
        RunFacts {
            id: self.begin.id,
            number: self.number,
            name: self.begin.name.clone(),
            standing,
            parent: self.begin.parent,
            labels: self.begin.labels.clone(),
            metadata: self.begin.metadata.clone(),
            began: self.began,
            ended: self.ended.as_ref().map(|(_, time, message)| (*time, message.clone())),
            resumed: self.resumed,
            seqs: (self.first_seq, space.last_seq),
            commits: space.commits,
        }
    }

    /// Applies a change that was allowed.
    pub(super) fn change(&mut self, operation: &RunOperation, (seq, time, process): (u64, u64, u64)) {
        self.changed_seq = seq;
        match operation {
            RunOperation::End(_, how, message) => {
                // A run that ends well needs no words, and is given none.
                let message = (*how != Ending::Completed).then(|| message.clone());
                self.ended = Some((*how, time, message));
            }
            RunOperation::Resume(_) => {
                self.ended = None;
                self.process = process;
                self.resumed += 1;
            }
            RunOperation::Label(_, key, Some(value)) => drop(self.begin.labels.insert(key.clone(), value.clone())),
            RunOperation::Label(_, key, None) => drop(self.begin.labels.remove(key)),
            RunOperation::Metadata(_, metadata) => self.begin.metadata = metadata.clone(),
            RunOperation::Begin(_) | RunOperation::Delete(_) => {}
        }
    }
}

impl RunOperation {
    /// The run.
    pub fn run(&self) -> RunId {
        match self {
            RunOperation::Begin(begin) => begin.id,
            RunOperation::End(id, ..)
            | RunOperation::Resume(id)
            | RunOperation::Label(id, ..)
            | RunOperation::Metadata(id, _)
            | RunOperation::Delete(id) => *id,
        }
    }
}

/// Follows the lives of the runs that a transaction ends, resumes and deletes, and says what is not possible.
pub(super) fn check_lives(operations: &[RunOperation], base: &Model, now: &Model) -> Vec<ErrorKind> {
    let (mut wrong, mut ended, mut deleted) = (Vec::new(), BTreeMap::new(), Vec::new());
    for operation in operations {
        let id = operation.run();
        let has_ended = || now.run_of(base, id).is_some_and(|run| run.record.ended.is_some());
        match operation {
            RunOperation::Resume(_) => drop(ended.insert(id, false)),
            RunOperation::End(..) => {
                let before = ended.insert(id, true);
                if before == Some(true) || (before.is_none() && has_ended()) {
                    wrong.push(ErrorKind::RunEnded);
                }
            }
            RunOperation::Delete(_) if deleted.contains(&id) => wrong.push(ErrorKind::NotFound),
            RunOperation::Delete(_) => deleted.push(id),
            _ => {}
        }
    }
    wrong
}

pub(super) fn query(model: &Model, query: &RunQuery, process: u64) -> Vec<RunFacts> {
    let is_behind =
        |number: u32| query.after.is_none_or(|after| if query.newest_first { number < after } else { number > after });
    let mut found: Vec<RunFacts> = model
        .runs
        .values()
        .map(|run| run.record.facts(&run.space, process))
        .filter(|run| is_behind(run.number))
        .filter(|run| query.name.as_ref().is_none_or(|name| run.name == *name))
        .filter(|run| query.standing.is_none_or(|standing| run.standing == standing))
        .filter(|run| query.parent.is_none_or(|parent| run.parent == Some(parent)))
        .filter(|run| query.label.as_ref().is_none_or(|(key, value)| run.labels.get(key) == Some(value)))
        .collect();
    found.sort_by_key(|run| run.number);
    if query.newest_first {
        found.reverse();
    }
    found.truncate(query.limit.unwrap_or(usize::MAX));
    found
}
