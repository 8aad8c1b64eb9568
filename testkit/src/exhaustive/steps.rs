//! [`Runner`]: doing the steps of a workload, and writing down what they come to.
//!
//! Invariant: what is expected follows from the steps. A step that the store must refuse (a conflict, a full disk, a lost
//! write) fails the workload where it is not refused.

use core::time::Duration;

use foldb_core::{
    Db, Durability, Error, ErrorKind, Result, RunId, RunOptions, TransactionOptions,
    limits::{EDITED_DOCUMENT_BYTES_MIN, IDEMPOTENCY_WINDOW, INLINE_VALUE_BYTES_MAX},
    primitive::{NewEvent, ScanOptions},
};

use super::{
    contents::{Contents, DEFAULT_SPACE},
    execution::{Execution, expect, open, wrong},
    workload::{Step, Workload},
};
use crate::crash::{CrashStorage, Effect, Fault, OperationKind};

/// Puts until a full disk must have shown: a segment of the workloads has at most so many bytes.
const FILLING_PUTS: usize = 16;

pub(super) struct Runner<'a> {
    workload: &'a Workload,
    process: CrashStorage,
    db: Option<Db<CrashStorage>>,
    pub(super) now: Contents,
    counter: i64,
    paid: i64,
    cell: u64,
    events: u64,
    edits: u64,
    /// What is over and not swept: primitive and key, the longest first.
    pub(super) over: Vec<(&'static str, &'static str)>,
    runs: Vec<(String, RunId)>,
    values: u64,
    life: u64,
    /// The newest relaxed commit that has returned: what ends the process does not take it.
    handed_over: u64,
    execution: Execution,
}

impl<'a> Runner<'a> {
    pub(super) fn new(workload: &'a Workload, process: CrashStorage, execution: Execution) -> Result<Self> {
        let db = open(process.clone(), workload, 1)?;
        Ok(Runner {
            workload,
            process,
            db: Some(db),
            now: Contents::default(),
            counter: 0,
            paid: 0,
            cell: 0,
            events: 0,
            edits: 0,
            over: Vec::new(),
            runs: Vec::new(),
            values: 0,
            life: 1,
            handed_over: 0,
            execution,
        })
    }

    /// Does all steps; then the process is killed.
    pub(super) fn run(mut self) -> Result<Execution> {
        for step in &self.workload.steps {
            self.step(step)?;
        }
        self.process.kill_process();
        drop(self.db);
        Ok(self.execution)
    }

    pub(super) fn db(&self) -> &Db<CrashStorage> {
        self.db.as_ref().expect("the store is open between steps")
    }

    fn step(&mut self, step: &Step) -> Result<()> {
        match step {
            Step::Put { key, len } => self.put_one(*key, *len)?,
            Step::Delete { key } => {
                let key = format!("key {key}");
                // Deleting what is not there commits nothing.
                if self.db().kv().delete(&key)? {
                    self.now.delete(DEFAULT_SPACE, "kv", &key);
                    self.committed();
                }
            }
            Step::Mixed => self.mixed()?,
            Step::Edit => self.edit()?,
            Step::Expire => self.expire()?,
            Step::Sweep => self.sweep()?,
            Step::Many { keys, len } => self.many(*keys, *len)?,
            Step::Append { events } => self.append(*events)?,
            Step::Trim => {
                let keep_from = self.events / 2 + 1;
                if self.events > 0 {
                    self.db().events().trim("stream", keep_from)?;
                    self.now.trim(DEFAULT_SPACE, "stream", keep_from);
                    self.committed();
                }
            }
            Step::BeginRun => self.begin_run()?,
            Step::EndRun => {
                if let Some((name, id)) = self.runs.pop() {
                    self.db().runs().get(id)?.end()?;
                    self.now.set_run(&name, true);
                    self.committed();
                }
            }
            Step::Once { key } => self.once(*key)?,
            Step::RememberLess => self.remember_less()?,
            Step::Conflict => self.conflict()?,
            Step::Phantom => self.phantom()?,
            Step::Rollback => self.rollback()?,
            Step::TakenId => self.taken_id()?,
            Step::Sync => {
                self.db().sync()?;
                self.promise();
            }
            Step::Tick => {
                let ticker = self.db().ticker();
                // Sync, mark, a look whether anybody commits, two anchors; a store with a planted bug may never be done.
                for _ in 0..8 {
                    if !ticker.tick()? {
                        break;
                    }
                }
                self.promise();
            }
            Step::Snapshot => {
                // The log before the first commit has nothing to be a snapshot of.
                if self.db().view().seq() > 0 {
                    self.db().snapshot()?;
                    self.execution.snapshots += 1;
                    self.promise();
                }
            }
            Step::LostSnapshot => self.lost_snapshot()?,
            Step::FailSnapshot => self.fail_snapshot()?,
            Step::Reopen => {
                self.close()?;
                self.reopen()?;
            }
            Step::Close => {
                self.close()?;
            }
            Step::Kill => {
                self.kill();
                self.reopen()?;
            }
            Step::FailSync => self.fail(Fault::on(OperationKind::Sync), 20, 1)?,
            Step::FailWrite => self.fail(Fault::on(OperationKind::Write).after(Effect::Prefix(20)), 20, 1)?,
            Step::FailAnchor => {
                let sync = Fault::on(OperationKind::Sync).of_files("anchor-");
                self.fail(sync, 1500, FILLING_PUTS)?;
            }
            Step::FailMark => self.fail_mark()?,
            Step::FullDisk => self.full_disk()?,
        }
        Ok(())
    }

    /// As no other step has it.
    pub(super) fn number(&mut self) -> u64 {
        self.values += 1;
        self.values
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

    fn put_one(&mut self, key: u8, len: usize) -> Result<()> {
        let (key, value) = self.pair(key, len);
        self.db().kv().put(&key, value.as_str())?;
        self.put(DEFAULT_SPACE, &key, &value);
        self.committed();
        Ok(())
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

    /// A document whose changes are logged and not all of it, but for the first time.
    fn edit(&mut self) -> Result<()> {
        let text = "x".repeat(EDITED_DOCUMENT_BYTES_MIN.max(INLINE_VALUE_BYTES_MAX));
        match self.edits {
            0 => self.db().json().set("edited", &serde_json::json!({ "items": [0], "text": text }))?,
            number => drop(self.db().json().push_at("edited", "/items", &serde_json::json!(number))?),
        }
        self.edits += 1;
        let items: Vec<_> = (0..self.edits).map(|number| number.to_string()).collect();
        let document = format!(r#"{{"items":[{}],"text":"{text}"}}"#, items.join(","));
        self.now.set(DEFAULT_SPACE, "json", "edited", &document);
        self.committed();
        Ok(())
    }

    /// One transaction of many pairs: in parts where it is larger than the part size, applied after its sync where it has
    /// many writes.
    fn many(&mut self, keys: u8, len: usize) -> Result<()> {
        let pairs: Vec<_> = (0..keys).map(|key| self.pair(key, len)).collect();
        let pairs = || pairs.iter().map(|(key, value)| (format!("many {key}"), value.as_str()));
        self.db().kv().put_many(pairs())?;
        pairs().for_each(|(key, value)| self.put(DEFAULT_SPACE, &key, value));
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

    /// A payment that must happen once, however often it is asked for.
    fn once(&mut self, key: u8) -> Result<()> {
        let key = format!("payment {key}");
        let used = &self.execution.once;
        let window = self.execution.window_at(u64::MAX);
        let remembered = used[used.len().saturating_sub(window)..].iter().any(|(used, _, _)| *used == key);
        let options = TransactionOptions::new().idempotency_key(&key);
        let mut ran = false;
        let (sum, receipt) = self.db().once_with(&options, |tx| {
            ran = true;
            tx.kv().add_i64("paid", 5)?;
            tx.kv().get_or("paid", 0_i64)
        })?;
        if ran == receipt.deduplicated {
            return Err(wrong(format!("{key}: the closure ran is {ran}, and so is that it was done before")));
        }
        if receipt.deduplicated != remembered {
            let what = if remembered { "is done twice" } else { "is taken for one that was done before" };
            return Err(wrong(format!("{key} {what}")));
        }
        let first = used.iter().rev().find(|(used, _, _)| *used == key).map(|(_, _, sum)| *sum);
        let expected = first.filter(|_| remembered).unwrap_or(self.paid + 5);
        if sum != expected {
            return Err(wrong(format!("{key} came to {expected} and is told as {sum}")));
        }
        if remembered {
            return Ok(());
        }
        self.paid += 5;
        self.now.set(DEFAULT_SPACE, "kv", "paid", &self.paid.to_string());
        self.execution.once.push((key, receipt.seq, sum));
        if window < IDEMPOTENCY_WINDOW {
            // Each commit is a millisecond younger than the one before.
            self.execution.windows.push((receipt.seq, 1));
        }
        self.set_idempotency_keys();
        self.committed();
        Ok(())
    }

    /// Two keys are remembered from now on, and from the next key on that alone: the others are too old.
    fn remember_less(&mut self) -> Result<()> {
        self.db().set_idempotency_window(2, Some(Duration::from_micros(1)))?;
        let seq = self.db().view().seq();
        if self.execution.window_at(u64::MAX) == IDEMPOTENCY_WINDOW {
            self.execution.windows.push((seq, 2));
            self.set_idempotency_keys();
            self.committed();
        }
        Ok(())
    }

    fn set_idempotency_keys(&mut self) {
        let remembered = self.execution.once.len().min(self.execution.window_at(u64::MAX));
        self.now.set_idempotency_keys(remembered);
    }

    /// A transaction decides by a pair that somebody else changes meanwhile.
    fn conflict(&mut self) -> Result<()> {
        let (_, value) = self.pair(0, 20);
        let outcome = {
            let db = self.db();
            let transaction = db.begin_transaction()?;
            transaction.kv().get::<String>("balance")?;
            db.kv().put("balance", value.as_str())?;
            transaction.kv().put("spent", "all of it")?;
            transaction.commit()
        };
        expect(outcome, ErrorKind::Conflict, "a transaction commits on a balance that is out of date")?;
        self.put(DEFAULT_SPACE, "balance", &value);
        self.committed();
        Ok(())
    }

    /// A transaction decides by a range into which somebody else puts a key meanwhile.
    fn phantom(&mut self) -> Result<()> {
        let (_, value) = self.pair(0, 20);
        let key = format!("shelf/{}", self.values);
        let outcome = {
            let db = self.db();
            let transaction = db.begin_transaction()?;
            transaction.kv().keys(&ScanOptions::prefix("shelf/"))?;
            db.kv().put(&key, value.as_str())?;
            transaction.kv().put("shelves", "counted")?;
            transaction.commit()
        };
        expect(outcome, ErrorKind::Conflict, "a transaction commits on a range that is out of date")?;
        self.put(DEFAULT_SPACE, &key, &value);
        self.committed();
        Ok(())
    }

    /// A transaction takes back a part of what it wrote, and is refused what another one would take back.
    fn rollback(&mut self) -> Result<()> {
        let (key, value) = self.pair(6, 20);
        let elsewhere = self.db().begin_transaction()?;
        elsewhere.kv().put("elsewhere", value.as_str())?;
        let foreign = elsewhere.savepoint();
        elsewhere.rollback();
        self.db().transaction(|transaction| {
            transaction.kv().put(&key, value.as_str())?;
            let refused = transaction.rollback_to(&foreign);
            expect(refused, ErrorKind::Invalid, "a savepoint of another transaction is gone back to")?;
            let savepoint = transaction.savepoint();
            transaction.kv().put("regretted", value.as_str())?;
            transaction.rollback_to(&savepoint)
        })?;
        self.put(DEFAULT_SPACE, &key, &value);
        self.committed();
        Ok(())
    }

    /// A run begins with the id of one that was begun before, alone and with so many pairs that the transaction would be
    /// synced before it is applied.
    fn taken_id(&mut self) -> Result<()> {
        let Some((_, id)) = self.runs.last().cloned() else { return Ok(()) };
        for pairs in [0, 70] {
            let transaction = self.db().begin_transaction()?;
            let run = transaction.runs().begin(RunOptions::named("taken").id(id))?;
            for number in 0..pairs {
                run.kv().put(format!("key {number}"), number)?;
            }
            expect(transaction.commit(), ErrorKind::Precondition, "two runs have one id")?;
        }
        Ok(())
    }

    /// The device says that it has written a snapshot's pages, and has not: reading back must show it.
    fn lost_snapshot(&mut self) -> Result<()> {
        if self.db().view().seq() == 0 {
            return Ok(());
        }
        self.process.inject(Fault::lost_write().of_files("snap-"));
        let outcome = self.db().snapshot();
        self.process.clear_faults();
        expect(outcome, ErrorKind::Corrupt, "a snapshot that the device lost counts")?;
        self.promise();
        Ok(())
    }

    /// A snapshot's header was written and its sync fails: what is there of it may be whole, or not, and does not count.
    fn fail_snapshot(&mut self) -> Result<()> {
        if self.db().view().seq() == 0 {
            return Ok(());
        }
        self.process.inject(Fault::on(OperationKind::Sync).of_files("snap-").nth(2));
        self.process.inject(Fault::on(OperationKind::Remove).of_files("snap-"));
        let outcome = self.db().snapshot();
        self.process.clear_faults();
        expect(outcome, ErrorKind::Io, "a snapshot that was not synced counts")?;
        self.promise();
        Ok(())
    }

    /// The disk gets full: the commit that shows it changes nothing, and the next one after room was made succeeds.
    fn full_disk(&mut self) -> Result<()> {
        self.process.limit_capacity(Some(self.process.live_image().total_bytes()));
        let mut outcome = Ok(());
        for _ in 0..FILLING_PUTS {
            let (values, seq) = (self.values, self.db().view().seq());
            outcome = self.put_one(7, 1500);
            if outcome.is_err() {
                self.values = values;
                if self.db().view().seq() != seq {
                    return Err(wrong("a commit that did not fit shows"));
                }
                break;
            }
        }
        self.process.limit_capacity(None);
        expect(outcome, ErrorKind::StorageFull, "a full disk does not show")?;
        self.put_one(7, 20)
    }

    /// A commit has returned.
    pub(super) fn committed(&mut self) {
        let seq = self.db().view().seq();
        self.execution.history.entry(seq).or_default().push(self.now.clone());
        match self.workload.durability {
            Durability::Strict => self.promise(),
            Durability::Relaxed { .. } => self.handed_over = seq,
            _ => {}
        }
    }

    /// Everything so far is promised from now on.
    fn promise(&mut self) {
        self.promise_seq(self.db().view().seq());
    }

    fn promise_seq(&mut self, seq: u64) {
        self.execution.promise_at(self.process.operation_count(), seq);
    }

    /// Closes the store: everything that it serves is promised. A commit that failed before is not among it.
    fn close(&mut self) -> Result<()> {
        let seq = self.db().view().seq();
        self.db.take().expect("the store is open between steps").close()?;
        self.promise_seq(seq);
        Ok(())
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
        if seq < self.handed_over {
            let last = self.handed_over;
            return Err(wrong(format!("commit {last} was with the system, and the next process finds {seq}")));
        }
        self.db = Some(db);
        self.promise();
        // The page cache has everything that was written, so only a commit of unknown outcome can be missing, or what
        // buffered mode had not handed over; the steps go on from what is there.
        let known = self.execution.history.get(&seq).and_then(|contents| contents.last()).cloned();
        self.now = known.ok_or_else(|| wrong(format!("after reopening, commit {seq} is served and never was")))?;
        self.forget_after(seq)
    }

    /// The counts of the steps as of what is there.
    fn forget_after(&mut self, seq: u64) -> Result<()> {
        if self.execution.history.range(seq + 1..).next().is_none() {
            return Ok(());
        }
        self.execution.once.retain(|(_, at, _)| *at <= seq);
        self.execution.windows.retain(|(from, _)| *from <= seq);
        let db = self.db();
        let counter = db.kv().get::<i64>("sum")?.unwrap_or(0);
        let paid = db.kv().get::<i64>("paid")?.unwrap_or(0);
        let cell = db.state().get::<i64>("cell")?.map_or(0, |cell| cell.counter);
        let events = db.events().head("stream")?;
        let edits = if db.json().exists("edited")? { db.json().length_at("edited", "/items")? } else { 0 };
        let exists = |id: &RunId| db.runs().get(*id).is_ok();
        let runs: Vec<_> = self.runs.iter().filter(|(_, id)| exists(id)).cloned().collect();
        (self.counter, self.paid, self.cell, self.events, self.runs) = (counter, paid, cell, events, runs);
        self.edits = edits;
        Ok(())
    }

    /// Commits until the disk fails once during one of them, at most so many. Whether that one is there afterwards is open,
    /// unless it was promised.
    fn fail(&mut self, fault: Fault, len: usize, commits: usize) -> Result<()> {
        self.process.inject(fault);
        for _ in 0..commits {
            let (key, value) = self.pair(8, len);
            let before = self.db().view().seq();
            let outcome = match self.db().kv().put(&key, value.as_str()) {
                Ok(()) => self.db().sync().map(|_| ()),
                Err(error) => Err(error),
            };
            self.put(DEFAULT_SPACE, &key, &value);
            self.execution.history.entry(before + 1).or_default().push(self.now.clone());
            match outcome {
                Ok(()) => self.promise_seq(before + 1),
                Err(error) => {
                    self.process.clear_faults();
                    self.failed(&error, before)?;
                    break;
                }
            }
        }
        self.process.clear_faults();
        self.kill();
        self.reopen()
    }

    /// The page cache has the mark, and no later sync brings it to the disk. It is true all the same; the commits before it
    /// are durable.
    fn fail_mark(&mut self) -> Result<()> {
        self.put_one(8, 20)?;
        self.db().sync()?;
        self.promise();
        self.process.inject(Fault::on(OperationKind::Sync).of_files("log-"));
        let ticked = self.db().ticker().tick();
        self.process.clear_faults();
        let before = self.db().view().seq();
        match ticked {
            Ok(_) => return Err(wrong("a mark whose sync failed is no failure")),
            Err(error) => self.failed(&error, before)?,
        }
        self.kill();
        self.reopen()
    }

    /// The disk has failed in the commit after `before`.
    fn failed(&self, error: &Error, before: u64) -> Result<()> {
        // A store that goes on after a failed write or sync promises what the disk does not have.
        let later = self.db().kv().put("later", 1);
        expect(later, ErrorKind::Poisoned, "the store goes on after a failure of the disk")?;
        if !matches!(error.kind(), ErrorKind::OutcomeUnknown | ErrorKind::Io) {
            return Err(error.clone());
        }
        if self.workload.durability == Durability::Strict && self.db().view().seq() != before {
            return Err(wrong("a strict commit shows before it is durable"));
        }
        Ok(())
    }
}
