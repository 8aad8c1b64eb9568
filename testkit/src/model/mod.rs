//! The sequential specification of a store: what every call answers, and what may be left after a crash.
//!
//! [`Model`] is the content of a store as of one commit, in plain maps. [`ModelTransaction`] says what a transaction sees,
//! when it conflicts, and what it leaves. Nothing here uses the store's tree, log, encoding or fold; types of the public
//! interface (values, documents, kinds of errors) are all that the two share. JSON Patch is judged by the crate `json-patch`.
//!
//! After a crash the rule is short, and [`History`] holds it: the store must hold exactly what it held after some commit,
//! none of the promised ones missing. What is promised depends on the mode: every strict commit that returned, and what a
//! sync, a snapshot or a clean close covered.

mod counter;
mod document;
mod operation;
mod perform;
mod runs;
mod space;
mod transaction;

use std::{collections::BTreeMap, sync::Arc};

use foldb_core::RunId;

pub(crate) use self::perform::transition;
use self::runs::RunRecord;
pub use self::{
    operation::{
        Answer, Delta, EntryFacts, EventFacts, ExpectedVersion, Id, Key, NewEvent, Operation, Place, Scan, StreamFacts,
        Version,
    },
    perform::Learned,
    runs::{Begin, Ending, RunFacts, RunOperation, RunQuery, Standing},
    space::Space,
    transaction::{Commit, ModelTransaction, SavepointId},
};

/// A run, or `None` for the default space.
pub type SpaceId = Option<RunId>;

/// What a store holds after one commit.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Model {
    seq: u64,
    default: Arc<Space>,
    runs: BTreeMap<RunId, Arc<Run>>,
    /// How many runs were ever begun: the number of the last one.
    begun: u32,
    /// Idempotency keys, and the commits that carried them.
    keys: Arc<BTreeMap<Vec<u8>, u64>>,
}

#[derive(Clone, Debug, PartialEq)]
struct Run {
    record: RunRecord,
    space: Space,
}

impl Model {
    /// Seq of the commit.
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// A space, if it exists.
    pub fn space(&self, id: SpaceId) -> Option<&Space> {
        match id {
            None => Some(&self.default),
            Some(id) => self.runs.get(&id).map(|run| &run.space),
        }
    }

    /// A space that somebody has seen in an older version. A run that was deleted meanwhile is gone, also where another one
    /// has got its id.
    fn space_of(&self, older: &Model, id: SpaceId) -> Option<&Space> {
        match id {
            None => Some(&self.default),
            Some(id) => self.run_of(older, id).map(|run| &run.space),
        }
    }

    /// The same for a run.
    fn run_of(&self, older: &Model, id: RunId) -> Option<&Run> {
        let number = older.runs.get(&id)?.record.number;
        self.runs.get(&id).map(|run| &**run).filter(|run| run.record.number == number)
    }

    /// The ids of all runs, in the order of their beginning.
    pub fn run_ids(&self) -> Vec<RunId> {
        let mut ids: Vec<(u32, RunId)> = self.runs.iter().map(|(id, run)| (run.record.number, *id)).collect();
        ids.sort_unstable();
        ids.into_iter().map(|(_, id)| id).collect()
    }

    /// What is known of a run, for somebody in the process of this number.
    pub fn run(&self, id: RunId, process: u64) -> Option<RunFacts> {
        self.runs.get(&id).map(|run| run.record.facts(&run.space, process))
    }

    /// What is known of the runs that a query chooses.
    pub fn query(&self, query: &RunQuery, process: u64) -> Vec<RunFacts> {
        runs::query(self, query, process)
    }
}

/// The model after each commit, as far as the store may still go back to it.
#[derive(Clone, Debug, Default)]
pub struct History {
    versions: BTreeMap<u64, Model>,
    promised: u64,
    handed_over: u64,
}

impl History {
    /// The history of an empty store.
    pub fn new() -> Self {
        Self { versions: BTreeMap::from([(0, Model::default())]), promised: 0, handed_over: 0 }
    }

    /// The newest version.
    pub fn newest(&self) -> &Model {
        self.versions.last_key_value().map(|(_, model)| model).expect("a history begins with the empty store")
    }

    /// The version after a commit.
    pub fn at(&self, seq: u64) -> Option<&Model> {
        self.versions.get(&seq)
    }

    /// One more commit.
    pub fn push(&mut self, model: Model) {
        self.versions.insert(model.seq, model);
    }

    /// Everything up to this commit is durable, and somebody has been told.
    pub fn promise(&mut self, seq: u64) {
        self.promised = self.promised.max(seq);
    }

    /// The newest promised commit.
    pub fn promised(&self) -> u64 {
        self.promised
    }

    /// Everything up to this commit is with the system, and somebody has been told: the end of the process takes none of it.
    pub fn hand_over(&mut self, seq: u64) {
        self.handed_over = self.handed_over.max(seq);
    }

    /// The newest commit that the next process has to find, unless the power fails before.
    pub fn handed_over(&self) -> u64 {
        self.handed_over.max(self.promised)
    }

    /// The power has failed: what was with the system and no further may be gone.
    pub fn lose_power(&mut self) {
        self.handed_over = 0;
    }

    /// A crash left everything up to this commit, and the store has served it: from now on that is promised.
    pub fn cut(&mut self, seq: u64) {
        self.versions.split_off(&(seq + 1));
        self.promised = seq;
        self.handed_over = 0;
    }
}
