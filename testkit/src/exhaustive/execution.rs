//! [`Execution`]: a workload that has run on a disk, with what it did and what it was promised.
//!
//! Invariant: the contents after each commit are computed from the steps alone. Of the store only two things are asked:
//! which seq a commit got, and whether a commit whose outcome is unknown is there after reopening.

use std::{collections::BTreeMap, sync::Arc};

use foldb_core::{
    Db, Durability, Error, ErrorKind, Options, Result, RunId, RunOptions, primitive::NewEvent, storage::Storage,
};

use super::{
    contents::{Contents, DEFAULT_SPACE},
    workload::{Step, Workload},
};
use crate::{
    SeededHost,
    crash::{CrashStorage, Fault, OperationKind},
};

/// What a workload did to a disk.
pub(super) struct Execution {
    pub(super) disk: CrashStorage,
    /// The contents after the commit of a seq. More than one where a commit was lost and its seq given again.
    pub(super) history: BTreeMap<u64, Vec<Contents>>,
    /// For each promise: after which operation of the disk it was given, and up to which seq.
    promises: Vec<(usize, u64)>,
}

/// The options under which workloads run and images are opened.
pub(super) fn options(workload: &Workload) -> Options {
    Options::new()
        .durability(workload.durability)
        .segment_bytes(workload.segment_bytes)
        .snapshot_log_bytes(None)
        .snapshot_on_close(false)
}

/// Opens a store; `life` tells this opening from all others of the same bytes: two lives that share their entropy would
/// take the frames of one for those of the other.
pub(super) fn open<S: Storage>(storage: S, workload: &Workload, life: u64) -> Result<Db<S>> {
    Db::open(storage, Arc::new(SeededHost::new(life)), options(workload))
}

struct Runner<'a> {
    workload: &'a Workload,
    process: CrashStorage,
    db: Option<Db<CrashStorage>>,
    now: Contents,
    counter: i64,
    cell: u64,
    events: u64,
    runs: Vec<(String, RunId)>,
    values: u64,
    life: u64,
    execution: Execution,
}

impl Execution {
    /// Runs a workload. Fails where the store refuses something that it should not.
    pub(super) fn of(workload: &Workload) -> Result<Self> {
        let process = CrashStorage::new();
        let db = open(process.clone(), workload, 1)?;
        let execution = Execution {
            disk: process.clone(),
            history: BTreeMap::from([(0, vec![Contents::default()])]),
            promises: Vec::new(),
        };
        let mut runner = Runner {
            workload,
            process,
            db: Some(db),
            now: Contents::default(),
            counter: 0,
            cell: 0,
            events: 0,
            runs: Vec::new(),
            values: 0,
            life: 1,
            execution,
        };
        for step in &workload.steps {
            runner.step(step)?;
        }
        runner.process.kill_process();
        drop(runner.db);
        Ok(runner.execution)
    }

    /// Says that a commit was promised after so many operations of the disk.
    pub(super) fn promise_at(&mut self, operations: usize, seq: u64) {
        self.promises.push((operations, seq));
    }

    /// The highest seq that was promised before the disk had done `operations` operations.
    pub(super) fn promised_by(&self, operations: usize) -> u64 {
        self.promises.iter().filter(|(at, _)| *at <= operations).map(|(_, seq)| *seq).max().unwrap_or(0)
    }
}

impl Runner<'_> {
    fn db(&self) -> &Db<CrashStorage> {
        self.db.as_ref().expect("the store is open between steps")
    }

    fn step(&mut self, step: &Step) -> Result<()> {
        match step {
            Step::Put { key, len } => {
                let (key, value) = self.pair(*key, *len);
                self.db().kv().put(&key, value.as_str())?;
                self.put(DEFAULT_SPACE, &key, &value);
                self.committed();
            }
            Step::Delete { key } => {
                let key = format!("key {key}");
                // Deleting what is not there commits nothing.
                if self.db().kv().delete(&key)? {
                    self.now.delete(DEFAULT_SPACE, "kv", &key);
                    self.committed();
                }
            }
            Step::Mixed => self.mixed()?,
            Step::Append { events } => self.append(*events)?,
            Step::BeginRun => self.begin_run()?,
            Step::EndRun => {
                if let Some((name, id)) = self.runs.pop() {
                    self.db().runs().get(id)?.end()?;
                    self.now.set_run(&name, true);
                    self.committed();
                }
            }
            Step::Sync => {
                self.db().sync()?;
                self.promise();
            }
            Step::Tick => {
                self.db().ticker().tick()?;
                self.promise();
            }
            Step::Snapshot => {
                // The log before the first commit has nothing to be a snapshot of.
                if self.db().view().seq() > 0 {
                    self.db().snapshot()?;
                    self.promise();
                }
            }
            Step::Reopen => {
                self.db.take().expect("the store is open between steps").close()?;
                self.promise_seq(self.newest());
                self.reopen()?;
            }
            Step::Kill => {
                self.kill();
                self.reopen()?;
            }
            Step::FailSync => self.fail_sync()?,
        }
        Ok(())
    }

    /// A pair as no other step writes it.
    fn pair(&mut self, key: u8, len: usize) -> (String, String) {
        self.values += 1;
        let mut value = format!("value {} ", self.values);
        while value.len() < len {
            value.push(char::from(b'a' + u8::try_from(value.len() % 26).unwrap_or(0)));
        }
        (format!("key {key}"), value)
    }

    fn put(&mut self, space: &str, key: &str, value: &str) {
        self.now.set(space, "kv", key, &format!("{value:?}"));
    }

    fn mixed(&mut self) -> Result<()> {
        self.counter += 7;
        self.cell += 1;
        let (counter, cell, event) = (self.counter, self.cell, self.events);
        self.db().transaction(|tx| {
            tx.kv().add_i64("sum", 7)?;
            tx.json().set("document", &serde_json::json!({ "sum": counter, "text": "x".repeat(40) }))?;
            tx.state().set("cell", counter)?;
            tx.events().append("stream", "mixed", event)?;
            tx.kv().put("last", counter)
        })?;
        self.events += 1;
        self.now.set(DEFAULT_SPACE, "kv", "sum", &counter.to_string());
        self.now.set(DEFAULT_SPACE, "kv", "last", &counter.to_string());
        let document = format!(r#"{{"sum":{counter},"text":"{}"}}"#, "x".repeat(40));
        self.now.set(DEFAULT_SPACE, "json", "document", &document);
        self.now.set(DEFAULT_SPACE, "cell", "cell", &format!("{counter} at {cell}"));
        // Streams count from 1.
        self.now.append(DEFAULT_SPACE, "stream", event + 1, &event.to_string());
        self.committed();
        Ok(())
    }

    fn append(&mut self, count: u64) -> Result<()> {
        let first = self.events;
        let events: Vec<_> = (first..first + count).map(|number| NewEvent::new("batch", number)).collect();
        self.db().events().append_batch("stream", events)?;
        self.events += count;
        for number in first..first + count {
            self.now.append(DEFAULT_SPACE, "stream", number + 1, &number.to_string());
        }
        self.committed();
        Ok(())
    }

    fn begin_run(&mut self) -> Result<()> {
        let name = format!("run {}", self.runs.len() + self.execution.history.len());
        let id = self.db().runs().begin(RunOptions::named(&name))?.id();
        self.now.set_run(&name, false);
        self.committed();
        self.db().runs().get(id)?.kv().put("input", "tea")?;
        self.put(&name, "input", "tea");
        self.committed();
        self.runs.push((name, id));
        Ok(())
    }

    /// A commit has returned.
    fn committed(&mut self) {
        let seq = self.db().view().seq();
        self.execution.history.entry(seq).or_default().push(self.now.clone());
        if self.workload.durability == Durability::Strict {
            self.promise();
        }
    }

    fn newest(&self) -> u64 {
        self.execution.history.last_key_value().map_or(0, |(seq, _)| *seq)
    }

    /// Everything so far is promised from now on.
    fn promise(&mut self) {
        self.promise_seq(self.db().view().seq());
    }

    fn promise_seq(&mut self, seq: u64) {
        self.execution.promise_at(self.process.operation_count(), seq);
    }

    /// The process dies, and its destructors reach nothing.
    fn kill(&mut self) {
        self.process.kill_process();
        self.db = None;
        self.process = self.process.next_process();
    }

    /// Another process opens the store. What it serves is promised: nobody may see a commit that is gone later.
    fn reopen(&mut self) -> Result<()> {
        self.life += 1;
        let db = open(self.process.clone(), self.workload, self.life)?;
        let seq = db.view().seq();
        self.db = Some(db);
        self.promise();
        // The page cache has everything that was written, so only a commit of unknown outcome can be missing, or what
        // buffered mode had not handed over; the steps go on from what is there.
        let known = self.execution.history.get(&seq).and_then(|contents| contents.last()).cloned();
        let missing = || Error::Invalid { what: "reopened store", why: format!("commit {seq} never was") };
        self.now = known.ok_or_else(missing)?;
        self.forget_after(seq)
    }

    /// The counts of the steps as of what is there.
    fn forget_after(&mut self, seq: u64) -> Result<()> {
        if self.execution.history.range(seq + 1..).next().is_none() {
            return Ok(());
        }
        let db = self.db();
        let counter = db.kv().get::<i64>("sum")?.unwrap_or(0);
        let cell = db.state().get::<i64>("cell")?.map_or(0, |cell| cell.counter);
        let events = db.events().head("stream")?;
        let ended = |id: &RunId| db.runs().get(*id).is_ok();
        let runs: Vec<_> = self.runs.iter().filter(|(_, id)| ended(id)).cloned().collect();
        (self.counter, self.cell, self.events, self.runs) = (counter, cell, events, runs);
        Ok(())
    }

    fn fail_sync(&mut self) -> Result<()> {
        self.process.inject(Fault::on(OperationKind::Sync));
        let (key, value) = self.pair(8, 20);
        let before = self.db().view().seq();
        let outcome = match self.db().kv().put(&key, value.as_str()) {
            Ok(()) => self.db().sync().map(|_| ()),
            Err(error) => Err(error),
        };
        self.process.clear_faults();
        if let Err(error) = outcome {
            let poisoned = self.db().kv().put("later", 1).is_err_and(|later| later.kind() == ErrorKind::Poisoned);
            let fitting = matches!(error.kind(), ErrorKind::OutcomeUnknown | ErrorKind::Io);
            // A store that goes on after a failed sync promises what the disk does not have.
            if !poisoned || !fitting {
                return Err(error);
            }
        }
        self.put(DEFAULT_SPACE, &key, &value);
        self.execution.history.entry(before + 1).or_default().push(self.now.clone());
        self.kill();
        self.reopen()
    }
}
