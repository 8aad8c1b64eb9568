//! `fork` under an open store: the child has a copy of the handle, and may do nothing with it but read and drop it.
//!
//! Rust has no safe fork, so the crate `fork` has the unsafe call. Each test starts this program again and lets that one fork:
//! the children of a test must not have copies of what the tests beside it have open. A child ends by `exit`, never by
//! returning into the test runner that it has a copy of.
#![cfg(unix)]

use std::{
    env,
    io::{PipeReader, Read, Write},
    ops::ControlFlow,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    process::{Command, exit},
};

use ::fork::{Fork, fork, waitpid};
use foldb::{
    Store,
    storage::{LockHolder, StorageError},
};

use super::*;

const CASE: &str = "FOLDB_FORK_CASE";
const STORE: &str = "FOLDB_FORK_STORE";

/// Not a test of its own: the program that forks. It returns at once unless it was started as one.
#[test]
fn the_program_that_forks() {
    let (Ok(case), Ok(store)) = (env::var(CASE), env::var(STORE)) else { return };
    let path = PathBuf::from(store);
    match case.as_str() {
        "both write strict" => both_write(&path, STRICT),
        "both write buffered" => both_write(&path, BUFFERED),
        "both write in memory" => both_write(&path, Durability::InMemory),
        "daemon" => daemon(&path),
        other => panic!("no such case: {other}"),
    }
}

/// Starts this program as one that forks, and waits until it and all that it forked have ended.
fn run(case: &str, store: &Path) -> String {
    let mut program = Command::new(env::current_exe().unwrap());
    program.args(["fork::the_program_that_forks", "--exact", "--nocapture", "--test-threads=1"]);
    let output = output(program.env(CASE, case).env(STORE, store)).unwrap();
    // The pipe has ended, so whoever had a copy of it has.
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{case}: {said}");
    said
}

/// Forks. Both get what was there before; the child ends after its work, the parent is told the child's number.
fn forked<T>(before: T, in_child: impl FnOnce(T), in_parent: impl FnOnce(T, i32)) {
    match fork().unwrap() {
        Fork::Parent(child) => in_parent(before, child),
        Fork::Child => exit(i32::from(catch_unwind(AssertUnwindSafe(|| in_child(before))).is_err())),
    }
}

/// Everything that writes, syncs or closes is refused, with what to do.
fn assert_all_refused(db: &Store, in_memory: bool) {
    let refused = |what: &str, result: Result<()>| {
        let error = result.expect_err(what);
        assert!(matches!(error, Error::Storage(StorageError::OtherProcess { .. })), "{what}: {error:?}");
        assert_eq!(error.kind(), ErrorKind::Invalid, "{what}: {error}");
        assert!(error.to_string().contains("open the store in the process that uses it"), "{what}: {error}");
    };
    refused("a put", db.kv().put("child", 1));
    refused("an append", db.events().append("stream", "kind", 1).map(drop));
    refused("many writes", db.transaction(|tx| (0..100).try_for_each(|number| tx.kv().put([number], 1))));
    for durability in [STRICT, BUFFERED] {
        let options = foldb::TransactionOptions::new().durability(durability);
        refused("a transaction", db.transaction_with(&options, |tx| tx.kv().put("child", 1)).map(drop));
    }
    refused("a run", db.runs().begin(RunOptions::named("child")).map(drop));
    refused("a sync", db.sync().map(drop));
    refused("waiting", db.wait_durable(1));
    refused("the timer", db.ticker().tick().map(drop));
    if !in_memory {
        refused("a snapshot", db.snapshot().map(drop));
        refused("a checkpoint", db.checkpoint().map(drop));
        refused("a verification", db.verify(&mut |_| ControlFlow::Continue(())).map(drop));
    }
}

/// Parent and child have the same handle, and the parent goes on with it while the child lives and after it has dropped it.
fn both_write(path: &Path, durability: Durability) {
    let in_memory = durability == Durability::InMemory;
    let db = foldb::open_with(path, options(durability)).unwrap();
    db.kv().put("before", "the fork").unwrap();
    let large = vec![7_u8; 5000];
    db.kv().put("large", large.clone()).unwrap();
    let (parent_is_done, tell) = std::io::pipe().unwrap();
    let (child_has_tried, told) = std::io::pipe().unwrap();
    forked(
        (db, tell, told),
        |(db, tell, told)| {
            drop(tell);
            assert_eq!(db.kv().get::<String>("before").unwrap().as_deref(), Some("the fork"));
            assert_eq!(db.kv().get::<Vec<u8>>("large").unwrap().as_ref(), Some(&large));
            assert_all_refused(&db, in_memory);
            drop(told);
            wait_for_the_end(&parent_is_done);
            assert_all_refused(&db, in_memory);
            if in_memory {
                drop(db);
            } else {
                assert_kind(db.close(), ErrorKind::Invalid);
            }
        },
        |(db, tell, told), child| {
            drop(told);
            wait_for_the_end(&child_has_tried);
            (0..100_u64).for_each(|number| db.kv().put(format!("parent {number}"), number).unwrap());
            drop(tell);
            assert_eq!(waitpid(child).unwrap(), 0, "the child fails; what it said is above");
            // The child has dropped its copy: nothing of the store was synced, marked, cut or unlocked by that.
            let lock = std::fs::File::open(path.join("lock")).unwrap();
            assert!(lock.try_lock().is_err(), "the lock is still the parent's");
            (100..200_u64).for_each(|number| db.kv().put(format!("parent {number}"), number).unwrap());
            db.close().unwrap();
            lock.try_lock().unwrap();
        },
    );
}

/// Waits until every copy of the other end of a pipe is closed.
fn wait_for_the_end(mut pipe: &PipeReader) {
    assert_eq!(pipe.read(&mut [0]).unwrap(), 0);
}

fn assert_parents_commits_are_there(path: &Path) {
    let db = foldb::open(path).unwrap();
    for number in 0..200_u64 {
        assert_eq!(db.kv().get::<u64>(format!("parent {number}")).unwrap(), Some(number));
    }
    assert_eq!(db.kv().get::<i64>("child").unwrap(), None);
    assert_eq!(db.view().seq(), 202, "and nothing else");
    let report = db.recovery_report();
    assert_eq!((report.log.tail_records, &report.damage), (0, &vec![]), "it was closed cleanly");
    assert!(db.verify(&mut |_| ControlFlow::Continue(())).unwrap().is_ok());
}

#[test]
fn of_parent_and_child_with_one_handle_only_the_parent_writes_and_loses_nothing() {
    for case in ["both write strict", "both write buffered"] {
        let directory = tempfile::tempdir().unwrap();
        run(case, directory.path());
        assert_parents_commits_are_there(directory.path());
    }
}

#[test]
fn a_child_may_not_write_to_a_store_in_memory_over_a_directory_either() {
    let directory = tempfile::tempdir().unwrap();
    run("both write in memory", directory.path());
    assert_eq!(opening::listing(directory.path()), [""; 0], "it leaves nothing behind");
}

/// A program that opens its store and becomes a daemon then: the parent ends without a word, the child has a handle whose timer
/// does not exist, and whose lock it holds.
fn daemon(path: &Path) {
    let db = foldb::open_with(path, options(BUFFERED)).unwrap();
    db.kv().put("durable", 1).unwrap();
    db.sync().unwrap();
    let (parent_has_ended, ends_with_it) = std::io::pipe().unwrap();
    forked(
        (db, ends_with_it),
        |(inherited, ends_with_parent)| {
            drop(ends_with_parent);
            wait_for_the_end(&parent_has_ended);
            assert_all_refused(&inherited, false);
            // What it holds a copy of, it is told about.
            let error = assert_kind(foldb::open(path), ErrorKind::Locked);
            let inherits = |error: &Error| {
                matches!(error, Error::Storage(StorageError::Locked { holder: LockHolder::Inherited, .. }))
            };
            assert!(inherits(&error), "{error:?}");
            assert!(error.to_string().contains("drop the copy here"), "{error}");
            drop(inherited);
            let db = foldb::open_with(path, options(BUFFERED)).unwrap();
            assert_eq!(db.kv().get::<i64>("durable").unwrap(), Some(1));
            db.kv().put("daemon", 1).unwrap();
            db.wait_durable(db.view().seq()).unwrap();
            db.close().unwrap();
            std::io::stdout().write_all(b"the daemon is done\n").unwrap();
        },
        // Without dropping anything, as the parent of a daemon ends.
        |before, _| {
            std::mem::forget(before);
            exit(0)
        },
    );
}

#[test]
fn a_daemon_that_opens_the_store_itself_has_it_and_the_handle_from_before_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let said = run("daemon", directory.path());
    assert!(said.contains("the daemon is done"), "{said}");
    let db = foldb::open(directory.path()).unwrap();
    assert_eq!(db.kv().get::<i64>("daemon").unwrap(), Some(1));
}
