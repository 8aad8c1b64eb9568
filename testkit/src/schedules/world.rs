//! [`World`]: one execution of a scenario, with its disk and with all that was promised on it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
};

use foldb_core::{
    Db, Durability, Error, Options, Receipt, Result, TransactionOptions, View, recovery::Damage, storage::MemStorage,
};
use shuttle::rand::Rng;

use super::disk::Disk;
use crate::{
    SeededHost,
    crash::{CrashStorage, Fault, Image},
};

/// A store of a scenario.
pub(super) type Store = Db<Disk>;

pub(super) const STRICT: Durability = Durability::Strict;

/// Buffered, with so small a buffer that it is handed over on the way. Who ticks is up to the scenario.
pub(super) const BUFFERED: Durability =
    Durability::Buffered { interval: std::time::Duration::from_secs(1), bytes: 256 };

/// A commit is with the system when it returns. Who ticks is up to the scenario.
pub(super) const RELAXED: Durability = Durability::Relaxed { interval: std::time::Duration::from_secs(1) };

/// Small segments and no snapshot that nobody asked for.
pub(super) fn options(durability: Durability) -> Options {
    Options::new().durability(durability).segment_bytes(16 << 10).snapshot_log_bytes(None).snapshot_on_close(false)
}

/// A number below `bound` that the schedule decides.
pub(super) fn choose(bound: u64) -> u64 {
    shuttle::rand::thread_rng().gen_range(0..bound)
}

/// Something that somebody was told, when the disk had done so many operations: this commit is durable, or the system has it.
struct Promise {
    operations: usize,
    seq: u64,
}

/// One execution.
pub(super) struct World {
    pub(super) disk: CrashStorage,
    storage: Disk,
    promises: Mutex<Vec<Promise>>,
    /// What was said, or seen, to be with the system.
    handed_over: Mutex<Vec<Promise>>,
    /// The key that each commit wrote, as far as its seq was told, also where its outcome was not.
    commits: Mutex<BTreeMap<u64, String>>,
}

impl World {
    pub(super) fn new() -> Self {
        Self::on(CrashStorage::new())
    }

    /// A world that begins with these files.
    pub(super) fn of(image: &Image) -> Self {
        Self::on(CrashStorage::from_image(image))
    }

    fn on(disk: CrashStorage) -> Self {
        let (promises, handed_over) = (Mutex::default(), Mutex::default());
        Self { storage: Disk::new(disk.clone()), disk, promises, handed_over, commits: Mutex::default() }
    }

    /// The storage of this world, to open it with another host.
    pub(super) fn storage(&self) -> Disk {
        self.storage.clone()
    }

    pub(super) fn open(&self, options: Options) -> Store {
        Db::open(self.storage.clone(), Arc::new(SeededHost::new(1)), options).expect("the store opens")
    }

    /// Opens a store and makes its first commit, so that a scenario begins with a segment.
    pub(super) fn begin(&self, options: Options) -> Store {
        let db = self.open(options);
        self.put(&db, "begin", 0, STRICT).expect("the first commit");
        db
    }

    pub(super) fn inject(&self, fault: Fault) {
        self.disk.inject(fault);
    }

    /// Whether the failure that was planned never came: the commits shared so few syncs. Then it does not come any more,
    /// and the store is as good as ever.
    pub(super) fn spared(&self, db: &Store) -> bool {
        self.disk.clear_faults();
        let spared = self.disk.faults_fired().is_empty();
        assert!(!spared || self.put(db, "spared", 0, STRICT).is_ok_and(|receipt| receipt.durable));
        spared
    }

    /// Puts a pair, and holds the store to what it answers.
    pub(super) fn put(&self, db: &Store, key: &str, value: u64, durability: Durability) -> Result<Receipt> {
        self.put_with(db, &TransactionOptions::new().durability(durability), key, value)
    }

    pub(super) fn put_with(&self, db: &Store, options: &TransactionOptions, key: &str, value: u64) -> Result<Receipt> {
        let result = db.transaction_with(options, |tx| tx.kv().put(key, value));
        match result {
            Ok(((), receipt)) => {
                self.answered(key, &receipt);
                Ok(receipt)
            }
            Err(error) => {
                if let Error::OutcomeUnknown { seq, .. } = &error {
                    self.committed(*seq, key);
                }
                Err(error)
            }
        }
    }

    /// Notes a commit, and what its receipt says.
    pub(super) fn answered(&self, key: &str, receipt: &Receipt) {
        if !receipt.deduplicated {
            self.committed(receipt.seq, key);
        }
        if receipt.durable {
            self.promised(receipt.seq);
        }
    }

    pub(super) fn committed(&self, seq: u64, key: &str) {
        let other = self.commits.lock().unwrap_or_else(PoisonError::into_inner).insert(seq, key.into());
        assert_eq!(other, None, "seq {seq} was given twice");
    }

    /// Notes that a commit was said, or seen, to be durable now.
    pub(super) fn promised(&self, seq: u64) {
        let promise = Promise { operations: self.disk.operation_count(), seq };
        self.promises.lock().unwrap_or_else(PoisonError::into_inner).push(promise);
    }

    /// Notes that the system has a commit now: the death of the process does not take it.
    pub(super) fn handed_over(&self, seq: u64) {
        let promise = Promise { operations: self.disk.operation_count(), seq };
        self.handed_over.lock().unwrap_or_else(PoisonError::into_inner).push(promise);
    }

    /// Closes the store and looks at everything.
    pub(super) fn finish(&self, db: Store) {
        let seq = db.view().seq();
        db.close().expect("the store closes");
        self.promised(seq);
        self.judge();
    }

    /// Holds every promise against the worst that a crash could have left in that moment; and what is there now, synced or
    /// not, against the commits that there were.
    pub(super) fn judge(&self) {
        for (operations, seq) in highest(&self.handed_over) {
            let found = self.recover(&self.disk.crash_point(operations).everything_survives());
            assert!(
                found >= seq,
                "commit {seq} was with the system, and a death of the process would have left {found}"
            );
        }
        for (operations, seq) in highest(&self.promises) {
            let found = self.recover(&self.disk.crash_point(operations).nothing_survives());
            assert!(found >= seq, "commit {seq} was said to be durable and a crash would have left {found}");
        }
        let end = self.disk.crash_point(self.disk.operation_count());
        self.recover(&end.everything_survives());
    }

    /// The process dies and another one goes on with what it left in the page cache, and then the power fails: what rested
    /// on bytes that never reached the disk would come out now.
    pub(super) fn goes_on(&self) {
        self.disk.kill_process();
        let next = self.disk.next_process();
        next.clear_faults();
        let db = Db::open(next.clone(), Arc::new(SeededHost::new(3)), options(STRICT)).expect("the next process opens");
        let receipt = db.transaction_with(&TransactionOptions::new(), |tx| tx.kv().put("next process", 1_u64));
        let ((), receipt) = receipt.expect("the next process commits");
        // What nobody was told the outcome of got its outcome now, and the seqs behind it are free again.
        self.commits.lock().unwrap_or_else(PoisonError::into_inner).split_off(&receipt.seq);
        self.committed(receipt.seq, "next process");
        let end = next.crash_point(next.operation_count());
        let found = self.recover(&end.nothing_survives());
        assert_eq!(found, receipt.seq, "what the next process was promised");
    }

    /// Opens an image as a store of its own. What is in it must be exactly the commits up to one, which is returned.
    fn recover(&self, image: &Image) -> u64 {
        let db = reopen(image);
        let seq = db.view().seq();
        let commits = self.commits.lock().unwrap_or_else(PoisonError::into_inner);
        let expected: BTreeSet<&str> = commits.range(..=seq).map(|(_, key)| key.as_str()).collect();
        for key in commits.values() {
            let found = db.kv().get::<u64>(key).expect("the pair can be read").is_some();
            assert_eq!(found, expected.contains(key.as_str()), "{key} after a recovery that ends at commit {seq}");
        }
        seq
    }
}

/// The newest commit that was spoken of, by how much the disk had done.
fn highest(promises: &Mutex<Vec<Promise>>) -> BTreeMap<usize, u64> {
    let mut highest: BTreeMap<usize, u64> = BTreeMap::new();
    for promise in promises.lock().unwrap_or_else(PoisonError::into_inner).iter() {
        let seq = highest.entry(promise.operations).or_default();
        *seq = promise.seq.max(*seq);
    }
    highest
}

/// Opens an image, without the turns of the scheduler that a [`Disk`] has.
pub(super) fn reopen(image: &Image) -> Db<MemStorage> {
    let db = Db::open(image.to_memory(), Arc::new(SeededHost::new(2)), options(STRICT)).expect("the image opens");
    let report = db.recovery_report();
    // What a crash can interrupt: an anchor, and the creation of a segment. Anything else is a false alarm.
    let alarm = |damage: &Damage| !["F-8", "F-30"].contains(&damage.rule);
    let mut damage = report.damage.iter().chain(&report.log.damage).chain(&report.rejected_snapshots);
    assert!(!damage.any(alarm), "a false alarm: {report:?}");
    db
}

/// Seq of the commit that wrote a pair; 0 where there is none.
pub(super) fn seq_of(view: &View<'_, Disk>, key: &str) -> u64 {
    view.kv()
        .get_versioned::<u64>(key)
        .expect("the pair can be read")
        .and_then(|found| found.version.seq())
        .unwrap_or(0)
}

/// The files of a store whose pairs fill several leaves, which were written to a snapshot; and their keys. Whoever opens it
/// finds the leaves absent.
pub(super) fn stored_leaves() -> (Image, Vec<String>) {
    let disk = CrashStorage::new();
    let db = Db::open(disk.clone(), Arc::new(SeededHost::new(3)), options(STRICT)).expect("the store opens");
    let keys: Vec<String> = (0..60).map(|number| format!("leaf/{number:02}")).collect();
    db.kv().put_many(keys.iter().map(|key| (key, vec![5_u8; 300]))).expect("the pairs are put");
    db.snapshot().expect("the snapshot is written");
    db.close().expect("the store closes");
    (disk.live_image(), keys)
}
