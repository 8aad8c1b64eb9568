//! Runs under a key: begun once, and found by it ever after.

use std::thread;

use foldb::RunStatus;
use foldb_testkit::crash::CrashStorage;

use super::*;

const KEY: &str = "import of 2026-11-29";

fn named(name: &str) -> RunOptions {
    RunOptions::named(name)
}

#[test]
fn a_run_of_a_key_is_begun_once_and_given_back_whatever_has_become_of_it() {
    let db = store();
    let run = db.runs().begin_or_get(KEY, named("first")).unwrap();
    run.kv().put("position", 7).unwrap();
    let again = db.runs().begin_or_get(KEY, named("second")).unwrap();
    assert_eq!((again.id(), again.info().unwrap().name.as_str()), (run.id(), "first"));
    for (end, status) in [("ended", RunStatus::Completed), ("failed", RunStatus::Failed)] {
        match end {
            "ended" => run.end().unwrap(),
            _ => run.fail("no tea").unwrap(),
        };
        let found = db.runs().begin_or_get(KEY, named("third")).unwrap();
        assert_eq!((found.id(), found.info().unwrap().status), (run.id(), status));
        assert_eq!(found.kv().get::<i64>("position").unwrap(), Some(7));
        run.resume().unwrap();
    }
    assert_eq!(db.runs().list(&RunFilter::all()).unwrap().len(), 1);
    assert_ne!(db.runs().begin_or_get("another", named("other")).unwrap().id(), run.id());
}

#[test]
fn a_program_that_was_killed_after_the_end_of_its_run_finds_that_it_is_done() {
    let disk = CrashStorage::new();
    let db = open(disk.clone(), STRICT, 1 << 20, 1).unwrap();
    let run = db.runs().begin_or_get(KEY, named("run")).unwrap();
    run.end().unwrap();
    let id = run.id();
    // What is on stable media, and nothing else; what the first process would still do at its end it does not get to.
    let left = disk.crash_point(disk.operation_count()).nothing_survives();
    let db = open(CrashStorage::from_image(&left), STRICT, 1 << 20, 2).unwrap();
    let found = db.runs().begin_or_get(KEY, named("run")).unwrap();
    assert_eq!((found.id(), found.info().unwrap().status), (id, RunStatus::Completed));
}

#[test]
fn of_threads_that_begin_the_run_of_one_key_one_begins_it_and_all_get_it() {
    for durability in [STRICT, BUFFERED] {
        let db = open(MemStorage::new(), durability, 1 << 20, 1).unwrap();
        for round in 0..20 {
            let key = format!("key {round}");
            let ids: Vec<RunId> = thread::scope(|scope| {
                let begin = || db.runs().begin_or_get(&key, named("run")).unwrap().id();
                let threads: Vec<_> = (0..4).map(|_| scope.spawn(begin)).collect();
                threads.into_iter().map(|thread| thread.join().unwrap()).collect()
            });
            assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
        }
        assert_eq!(db.runs().list(&RunFilter::all()).unwrap().len(), 20);
    }
}

#[test]
fn a_run_of_a_key_that_was_deleted_is_begun_anew() {
    let db = store();
    let run = db.runs().begin_or_get(KEY, named("first")).unwrap();
    run.kv().put("position", 7).unwrap();
    let id = run.id();
    db.runs().delete(id).unwrap();
    let again = db.runs().begin_or_get(KEY, named("second")).unwrap();
    assert_eq!((again.id(), again.info().unwrap().name.as_str()), (id, "second"));
    assert_eq!(again.kv().get::<i64>("position").unwrap(), None);
}

#[test]
fn the_key_gives_the_id_and_a_chosen_one_is_refused() {
    let db = store();
    let chosen = named("run").id(RunId::from_bytes([7; 16]));
    let error = assert_kind(db.runs().begin_or_get(KEY, chosen), ErrorKind::Invalid);
    assert!(error.to_string().contains("07070707-"), "{error}");
    let parent = named("run").parent(RunId::from_bytes([7; 16]));
    assert_kind(db.runs().begin_or_get(KEY, parent), ErrorKind::NotFound);
    assert!(db.runs().list(&RunFilter::all()).unwrap().is_empty());
}
