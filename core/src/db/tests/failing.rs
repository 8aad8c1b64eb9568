//! A storage of which one operation fails, whichever it is: what a store does then, and that it comes back.

use alloc::{
    collections::BTreeMap,
    string::{String, ToString},
    sync::Arc,
    vec,
    vec::Vec,
};
use core::{
    ops::ControlFlow,
    sync::atomic::{AtomicU64, Ordering},
};

use crate::{
    Db, ErrorKind, Options, RecoveryMode, Result, RunOptions,
    host::SteppedHost,
    log::{SEGMENT_HEADER_BYTES, segment_name},
    storage::{MemFile, MemStorage, Storage, StorageError, StorageFile},
};

type Files = BTreeMap<String, Vec<u8>>;
/// Work on an open store; whether it found everything in order.
type Task = fn(&Db<Failing>) -> Result<bool>;

/// What the operation does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Fault {
    /// It fails.
    Error,
    /// It reads one byte less than it could. Operations that read nothing succeed.
    ShortRead,
}

/// Operation number `at` has the fault, all others are those of the storage in memory.
#[derive(Clone)]
pub(crate) struct Failing {
    inner: MemStorage,
    fault: Fault,
    at: u64,
    operations: Arc<AtomicU64>,
}

pub(crate) struct FailingFile {
    inner: MemFile,
    storage: Failing,
}

impl Failing {
    pub(crate) fn new(inner: &MemStorage, fault: Fault, at: u64) -> Self {
        Failing { inner: inner.clone(), fault, at, operations: Arc::new(AtomicU64::new(0)) }
    }

    /// Whether this operation is the one.
    fn is_next(&self) -> bool {
        self.operations.fetch_add(1, Ordering::Relaxed) == self.at
    }

    /// Whether the operation has come.
    pub(crate) fn is_past(&self) -> bool {
        self.operations.load(Ordering::Relaxed) > self.at
    }

    fn step(&self, action: &'static str) -> Result<(), StorageError> {
        if self.is_next() && self.fault == Fault::Error {
            return Err(StorageError::Io { name: "file".into(), action, message: "planted".to_string() });
        }
        Ok(())
    }

    fn file(&self, inner: MemFile) -> FailingFile {
        FailingFile { inner, storage: self.clone() }
    }
}

impl Storage for Failing {
    type File = FailingFile;

    fn list(&self) -> Result<Vec<String>, StorageError> {
        self.step("listing")?;
        self.inner.list()
    }

    fn create(&self, name: &str) -> Result<FailingFile, StorageError> {
        self.step("creating")?;
        self.inner.create(name).map(|file| self.file(file))
    }

    fn open(&self, name: &str) -> Result<FailingFile, StorageError> {
        self.step("opening")?;
        self.inner.open(name).map(|file| self.file(file))
    }

    fn remove(&self, name: &str) -> Result<(), StorageError> {
        self.step("removing")?;
        self.inner.remove(name)
    }
}

impl StorageFile for FailingFile {
    fn len(&self) -> Result<u64, StorageError> {
        self.storage.step("looking at")?;
        self.inner.len()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, StorageError> {
        if self.storage.fault == Fault::ShortRead {
            let read = self.inner.read_at(offset, buffer)?;
            return Ok(if self.storage.is_next() { read.saturating_sub(1) } else { read });
        }
        self.storage.step("reading")?;
        self.inner.read_at(offset, buffer)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), StorageError> {
        self.storage.step("writing")?;
        self.inner.write_at(offset, bytes)
    }

    fn set_len(&self, len: u64) -> Result<(), StorageError> {
        self.storage.step("extending")?;
        self.inner.set_len(len)
    }

    fn sync(&self) -> Result<(), StorageError> {
        self.storage.step("syncing")
    }
}

fn open<S: Storage>(storage: S, mode: RecoveryMode) -> Result<Db<S>> {
    let options = Options::new().segment_bytes(4096).snapshot_log_bytes(None).snapshot_on_close(false).recovery(mode);
    Db::open(storage, Arc::new(SteppedHost::new(0)), options)
}

/// Several segments, two snapshots, commits behind the second one that nothing proves yet.
fn killed() -> Files {
    let storage = MemStorage::new();
    let db = open(storage.clone(), RecoveryMode::Default).unwrap();
    let run = db.runs().begin(RunOptions::named("run")).unwrap();
    for number in 0..4_u8 {
        run.kv().put([number], vec![number; 900]).unwrap();
    }
    run.events().append("stream", "kind", 1).unwrap();
    db.snapshot().unwrap();
    for number in 0..4_u8 {
        db.kv().put([number], vec![number; 900]).unwrap();
    }
    db.snapshot().unwrap();
    db.kv().put("large", vec![7_u8; 600]).unwrap();
    db.kv().put("last", 1).unwrap();
    storage.files()
}

/// Stores in every condition that an opening has to do something about.
fn stores() -> Vec<(&'static str, Files)> {
    let killed = killed();
    let newest = killed.keys().rev().find(|name| name.starts_with("log-")).unwrap().clone();
    let mut torn = killed.clone();
    let bytes = torn.get_mut(&newest).unwrap();
    let used = bytes.iter().rposition(|byte| *byte != 0).unwrap();
    bytes[used - 20] ^= 1;
    // A segment that was created and is not named by an anchor yet.
    let mut unanchored = killed.clone();
    let begun: u64 = crate::log::parse_segment_name(&newest).unwrap() + 7;
    unanchored.insert(segment_name(begun), vec![0; 300]);
    let closed = MemStorage::new();
    let db = open(closed.clone(), RecoveryMode::Default).unwrap();
    db.kv().put("key", "value").unwrap();
    db.close().unwrap();
    // A first segment whose creation was interrupted.
    let created = BTreeMap::from([(segment_name(1), vec![0; 400])]);
    let mut header_only = closed.files();
    header_only.retain(|name, _| name.starts_with("log-"));
    header_only.get_mut(&segment_name(1)).unwrap().truncate(usize::try_from(SEGMENT_HEADER_BYTES).unwrap());
    Vec::from([
        ("killed", killed),
        ("torn", torn),
        ("unanchored", unanchored),
        ("closed", closed.files()),
        ("created", created),
        ("header only", header_only),
    ])
}

/// What is in a store, or that it is refused.
fn contents<S: Storage>(db: &Db<S>) -> Result<String> {
    let all = crate::primitive::ScanOptions::all();
    let view = db.view();
    let mut text = alloc::format!("{:?}", view.default_space().kv().scan(&all)?);
    for run in view.runs() {
        let space = view.run(run.id)?;
        text += &alloc::format!("{:?} {}", space.kv().scan(&all)?, space.digest()?);
    }
    Ok(text)
}

#[test]
fn whichever_operation_of_an_opening_fails_the_store_is_there_afterwards() {
    for (name, files) in stores() {
        for mode in [RecoveryMode::Default, RecoveryMode::Strict, RecoveryMode::Salvage] {
            // What an interrupted opening leaves is nothing for the strict mode.
            let look = if mode == RecoveryMode::Strict { RecoveryMode::Default } else { mode };
            let whole = contents(&open(MemStorage::from_files(files.clone()), look).unwrap()).unwrap();
            for fault in [Fault::Error, Fault::ShortRead] {
                for at in 0.. {
                    let disk = MemStorage::from_files(files.clone());
                    let failing = Failing::new(&disk, fault, at);
                    let opened = open(failing.clone(), mode).map(|_| ());
                    if !failing.is_past() {
                        assert!(at > 1, "{name} {mode:?}: an opening looks at the storage");
                        break;
                    }
                    if let (Err(error), Fault::Error) = (&opened, fault) {
                        let strict = mode == RecoveryMode::Strict && error.kind() == ErrorKind::Corrupt;
                        assert!(strict || error.kind() == ErrorKind::Io, "{name} {mode:?} {at}: {error}");
                    }
                    let again = open(disk, look).unwrap_or_else(|error| panic!("{name} {mode:?} {at}: {error}"));
                    assert_eq!(contents(&again).unwrap(), whole, "{name} {mode:?} {fault:?} {at}");
                }
            }
        }
    }
}

fn operations_of_an_opening(files: &Files, fault: Fault) -> u64 {
    let counted = Failing::new(&MemStorage::from_files(files.clone()), fault, u64::MAX);
    let db = open(counted.clone(), RecoveryMode::Default).unwrap();
    let operations = counted.operations.load(Ordering::Relaxed);
    drop(db);
    operations
}

#[test]
fn whichever_operation_of_verification_or_of_a_snapshot_fails_it_is_said_and_nothing_is_lost() {
    let files = killed();
    let whole = contents(&open(MemStorage::from_files(files.clone()), RecoveryMode::Default).unwrap()).unwrap();
    let tasks: [Task; 3] = [
        |db| Ok(db.verify(&mut |_| ControlFlow::Continue(()))?.is_ok()),
        |db| db.snapshot().map(|_| true),
        |db| contents(db).map(|_| true),
    ];
    for (number, task) in tasks.iter().enumerate() {
        for fault in [Fault::Error, Fault::ShortRead] {
            for at in 0.. {
                let disk = MemStorage::from_files(files.clone());
                // The opening goes well; the task meets the fault.
                let failing = Failing::new(&disk, fault, operations_of_an_opening(&files, fault) + at);
                let db = open(failing.clone(), RecoveryMode::Default).unwrap();
                let done = task(&db);
                let met = failing.is_past();
                drop(db);
                let again = open(disk, RecoveryMode::Default).unwrap();
                assert_eq!(contents(&again).unwrap(), whole, "task {number}, {fault:?} {at}: {done:?}");
                if !met {
                    assert_eq!(done, Ok(true));
                    break;
                }
            }
        }
    }
}

/// What is wrong with the verification of these files where one of its operations fails, whichever it is.
fn failures_of_verification(files: &Files) {
    for at in 0.. {
        let disk = MemStorage::from_files(files.clone());
        let failing = Failing::new(&disk, Fault::Error, operations_of_an_opening(files, Fault::Error) + at);
        let db = open(failing.clone(), RecoveryMode::Default).unwrap();
        let mut verification = db.begin_verification().unwrap();
        let mut failed = 0;
        while let Some(step) = verification.next_step() {
            if let Err(error) = db.verify_step(&mut verification, &mut |_| ControlFlow::Continue(())) {
                assert_eq!(error.kind(), ErrorKind::Io, "operation {at}: {error}");
                assert_eq!(verification.next_step(), Some(step), "operation {at}: the step is done again");
                failed += 1;
            }
        }
        let met = failing.is_past();
        let report = verification.into_report();
        assert_eq!(report.violations, [], "operation {at} of the storage failed");
        let whole = open(disk, RecoveryMode::Default).unwrap().verify(&mut |_| ControlFlow::Continue(())).unwrap();
        assert_eq!((failed, &report), (u32::from(met), &whole), "operation {at}: what is done again counts once");
        if !met {
            assert!(at > 10, "a verification looks at the storage");
            break;
        }
    }
}

#[test]
fn a_system_that_fails_while_a_store_is_verified_is_an_error_and_no_finding() {
    // Somebody restored an older copy over a store that was whole, because there was no file handle left to read it with.
    failures_of_verification(&killed());
    // A snapshot that was never finished is none, also where that cannot be seen at once.
    let mut interrupted = killed();
    interrupted.get_mut(&crate::log::snapshot_name(1)).unwrap().fill(0);
    failures_of_verification(&interrupted);
}
