//! The life of runs, of stores, and of the directories that stores are in.

mod scenario;

use std::{
    collections::BTreeMap,
    fs,
    ops::ControlFlow,
    path::Path,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use foldb::{
    Db, Durability, Error, ErrorKind, Options, Result, RunFilter, RunId, RunOptions, RunStatus, TransactionOptions,
    log::{Previous, SegmentHeader},
    primitive::{ScanOptions, TraceKind, TraceRecord},
    storage::{MemStorage, Storage},
    tree::{Direction, KeyRange},
    value::{Integer, Value},
};
use foldb_testkit::{
    SeededHost,
    crash::{CrashStorage, Image},
};
use scenario::open;
use serde_json::json;

const STRICT: Durability = Durability::Strict;
const BUFFERED: Durability = Durability::buffered();

fn store() -> Db<MemStorage> {
    open(MemStorage::new(), BUFFERED, 1 << 20, 1).unwrap()
}

#[track_caller]
fn assert_kind<T>(result: Result<T>, kind: ErrorKind) -> Error {
    let error = result.err().expect("an error");
    assert_eq!(error.kind(), kind, "{error}");
    error
}

fn names<S: Storage>(db: &Db<S>, filter: &RunFilter) -> Vec<String> {
    db.runs().list(filter).unwrap().into_iter().map(|run| run.name).collect()
}

fn begin<S: Storage>(db: &Db<S>, name: &str) -> RunId {
    db.runs().begin(RunOptions::named(name)).unwrap().id()
}

// Runs ----------------------------------------------------------------------------------------------------------------

#[test]
fn a_run_begins_works_and_ends_in_one_of_three_ways() {
    let db = store();
    let [completed, failed, cancelled] = ["completed", "failed", "cancelled"].map(|name| {
        let run = db.runs().begin(RunOptions::named(name)).unwrap();
        assert_eq!(run.info().unwrap().status, RunStatus::Active);
        run.kv().put("k", 1).unwrap();
        run
    });
    completed.end().unwrap();
    failed.fail("no more tea").unwrap();
    cancelled.cancel("nobody wants it").unwrap();
    let infos = [completed.info().unwrap(), failed.info().unwrap(), cancelled.info().unwrap()];
    assert_eq!(
        infos.each_ref().map(|info| info.status),
        [RunStatus::Completed, RunStatus::Failed, RunStatus::Cancelled]
    );
    assert_eq!(
        infos.each_ref().map(|info| info.message.as_deref()),
        [None, Some("no more tea"), Some("nobody wants it")]
    );
    for info in infos {
        assert!(info.ended_micros.unwrap() > info.began_micros);
        assert_eq!((info.commits, info.resumed), (3, 0));
        assert!(info.last_seq > info.first_seq);
        assert_eq!(info.name, info.status.name());
    }
}

#[test]
fn a_run_that_has_ended_takes_no_writes_and_can_still_be_read() {
    let db = store();
    let run = db.runs().begin(RunOptions::named("run")).unwrap();
    run.kv().put("k", 1).unwrap();
    run.end().unwrap();
    let seq = db.view().seq();
    for result in [
        run.kv().put("k", 2),
        run.kv().remove("k"),
        run.kv().add_i64("k", 1),
        run.json().set("d", &json!(1)),
        run.events().append("s", "e", 1).map(|_| ()),
        run.events().trim("s", 1),
        run.state().set("c", 1).map(|_| ()),
        run.trace().record(TraceRecord::new(TraceKind::Thought, "t")).map(|_| ()),
        run.end().map(|_| ()),
        run.fail("too late").map(|_| ()),
    ] {
        let error = assert_kind(result, ErrorKind::RunEnded);
        assert!(
            error.to_string().contains(&run.id().to_string()) && error.to_string().contains("completed"),
            "{error}"
        );
    }
    assert_eq!(db.view().seq(), seq);
    assert_eq!(run.kv().get::<i64>("k").unwrap(), Some(1));
    // Words about it can still be changed.
    run.set_label("checked", "yes").unwrap();
    run.set_metadata("fine").unwrap();
    assert_eq!(run.info().unwrap().labels["checked"], "yes");
    // And it can be taken up again.
    run.resume().unwrap();
    run.kv().put("k", 2).unwrap();
    let info = run.info().unwrap();
    assert_eq!((info.status, info.resumed, info.ended_micros), (RunStatus::Active, 1, None));
}

#[test]
fn a_run_can_begin_work_and_end_in_one_transaction() {
    let db = store();
    let id = db
        .transaction(|tx| {
            let run = tx.runs().begin(RunOptions::named("short"))?;
            run.kv().put("k", 1)?;
            run.kv().add_i64("n", 2)?;
            assert_eq!(run.kv().get::<i64>("n")?, Some(2));
            run.events().append("s", "e", 1)?;
            run.json().set("d", &json!({}))?;
            // The same run by its id, and another one under it.
            assert!(tx.run(run.id())?.kv().exists("k")?);
            let child = tx.runs().begin(RunOptions::named("child").parent(run.id()))?;
            child.kv().put("of", "child")?;
            tx.runs().set_label(run.id(), "kind".into(), Some("short".into()))?;
            tx.runs().end(run.id(), Some("all done".into()))?;
            Ok(run.id())
        })
        .unwrap();
    let info = db.runs().info(id).unwrap();
    assert_eq!((info.status, info.commits, info.first_seq), (RunStatus::Completed, 1, info.last_seq));
    assert_eq!((info.labels["kind"].as_str(), info.message.as_deref()), ("short", Some("all done")));
    assert_eq!(db.view().run(id).unwrap().kv().get::<i64>("k").unwrap(), Some(1));
    assert_eq!(db.runs().get(id).unwrap().children().unwrap()[0].name, "child");
    assert_eq!(db.replay(id).unwrap().transactions(), 1);
    assert!(db.verify(&mut |_| ControlFlow::Continue(())).unwrap().is_ok());
}

#[test]
fn a_transaction_may_resume_a_run_write_to_it_and_end_it_again() {
    let db = store();
    let run = db.runs().begin(RunOptions::named("run")).unwrap();
    run.end().unwrap();
    db.transaction(|tx| {
        tx.runs().resume(run.id())?;
        tx.run(run.id())?.kv().put("k", 1)?;
        tx.runs().end(run.id(), None)
    })
    .unwrap();
    assert_eq!(run.info().unwrap().status, RunStatus::Completed);
    assert_eq!(run.kv().get::<i64>("k").unwrap(), Some(1));
    let twice = db.transaction(|tx| {
        tx.runs().resume(run.id())?;
        tx.runs().end(run.id(), None)?;
        tx.runs().fail(run.id(), "twice".into())
    });
    assert_kind(twice, ErrorKind::RunEnded);
    let twice = db.transaction(|tx| {
        tx.runs().delete(run.id())?;
        tx.runs().delete(run.id())
    });
    assert_kind(twice, ErrorKind::NotFound);
    db.kv().put("the store", "goes on").unwrap();
}

#[test]
fn two_that_end_the_same_run_at_once_do_not_both_succeed() {
    let db = store();
    let id = begin(&db, "run");
    let (first, second) = (db.begin_transaction().unwrap(), db.begin_transaction().unwrap());
    first.runs().end(id, None).unwrap();
    second.runs().fail(id, "no".into()).unwrap();
    first.commit().unwrap();
    assert_kind(second.commit(), ErrorKind::Conflict);
    // Who looked at a run's status before it changed is in conflict too.
    let id = begin(&db, "another");
    let reader = db.begin_transaction().unwrap();
    assert_eq!(reader.runs().info(id).unwrap().status, RunStatus::Active);
    reader.kv().put("it is", "active").unwrap();
    db.runs().get(id).unwrap().end().unwrap();
    assert_kind(reader.commit(), ErrorKind::Conflict);
}

#[test]
fn runs_are_deleted_with_all_that_they_hold_and_only_once() {
    let db = store();
    let (kept, gone) = (begin(&db, "kept"), begin(&db, "gone"));
    let run = db.runs().get(gone).unwrap();
    run.kv().put("large", vec![1_u8; 5000]).unwrap();
    run.events().append("s", "e", 1).unwrap();
    let view = db.view();
    let live = |db: &Db<MemStorage>| db.stats().unwrap().segments.iter().map(|segment| segment.live_bytes).sum::<u64>();
    assert!(live(&db) > 5000);
    db.runs().delete(gone).unwrap();
    assert_eq!(live(&db), 0, "nothing of it is alive in the log");
    assert_eq!(names(&db, &RunFilter::all()), ["kept"]);
    for result in [
        db.runs().get(gone).map(|_| ()),
        db.runs().info(gone).map(|_| ()),
        db.runs().delete(gone).map(|_| ()),
        db.view().run(gone).map(|_| ()),
        db.transaction(|tx| tx.run(gone).map(|_| ())),
        run.kv().put("k", 1),
        run.kv().get::<i64>("large").map(|_| ()),
        run.info().map(|_| ()),
    ] {
        assert_kind(result, ErrorKind::NotFound);
    }
    // A view from before still shows it.
    assert_eq!(view.run(gone).unwrap().kv().get::<Vec<u8>>("large").unwrap().unwrap().len(), 5000);
    // Its number is never given again; its id may be.
    let again = db.runs().begin(RunOptions::named("again").id(gone)).unwrap();
    assert_eq!(again.info().unwrap().number, 3);
    assert_eq!(again.kv().count(&KeyRange::all()).unwrap(), 0);
    assert_eq!(db.runs().info(kept).unwrap().number, 1);
    assert!(db.verify(&mut |_| ControlFlow::Continue(())).unwrap().is_ok());
}

#[test]
fn a_run_of_a_taken_id_or_under_an_unknown_parent_does_not_begin() {
    let db = store();
    let id = begin(&db, "first");
    let error = assert_kind(db.runs().begin(RunOptions::named("second").id(id)), ErrorKind::Precondition);
    assert!(error.to_string().contains(&id.to_string()), "{error}");
    let unknown = RunId::from_bytes([9; 16]);
    assert_kind(db.runs().begin(RunOptions::named("orphan").parent(unknown)), ErrorKind::NotFound);
    assert_kind(db.runs().get(unknown), ErrorKind::NotFound);
    assert_kind(db.replay(unknown), ErrorKind::NotFound);
    // Twice in one transaction, and by two transactions at once.
    let twice = db.transaction(|tx| {
        tx.runs().begin(RunOptions::named("a").id(unknown))?;
        tx.runs().begin(RunOptions::named("b").id(unknown)).map(|_| ())
    });
    assert_kind(twice, ErrorKind::Precondition);
    let (first, second) = (db.begin_transaction().unwrap(), db.begin_transaction().unwrap());
    first.runs().begin(RunOptions::named("a").id(unknown)).unwrap();
    second.runs().begin(RunOptions::named("b").id(unknown)).unwrap();
    first.commit().unwrap();
    assert_kind(second.commit(), ErrorKind::Precondition);
    assert_eq!(names(&db, &RunFilter::all()), ["first", "a"]);
}

#[test]
fn runs_are_found_by_status_name_parent_and_labels_page_by_page() {
    let db = store();
    let parent = begin(&db, "parent");
    for number in 0..10 {
        let run = db
            .runs()
            .begin(
                RunOptions::named(if number % 2 == 0 { "even" } else { "odd" })
                    .parent(parent)
                    .label("number", number.to_string())
                    .label("half", if number < 5 { "first" } else { "second" }),
            )
            .unwrap();
        match number % 4 {
            1 => _ = run.end().unwrap(),
            3 => _ = run.fail("no").unwrap(),
            _ => {}
        }
    }
    let numbers = |filter: &RunFilter| -> Vec<String> {
        db.runs().list(filter).unwrap().into_iter().filter_map(|run| run.labels.get("number").cloned()).collect()
    };
    let all = RunFilter::all;
    assert_eq!(numbers(&all()), ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]);
    assert_eq!(numbers(&all().newest_first().limit(2)), ["9", "8"]);
    assert_eq!(numbers(&all().name("odd")), ["1", "3", "5", "7", "9"]);
    assert_eq!(numbers(&all().status(RunStatus::Completed)), ["1", "5", "9"]);
    assert_eq!(numbers(&all().status(RunStatus::Failed)), ["3", "7"]);
    assert_eq!(numbers(&all().status(RunStatus::Cancelled)), [""; 0]);
    assert_eq!(numbers(&all().label("half", "second").name("even")), ["6", "8"]);
    assert_eq!(numbers(&all().label("half", "third")), [""; 0]);
    assert_eq!(numbers(&all().limit(0)), [""; 0]);
    assert_eq!(db.runs().get(parent).unwrap().children().unwrap().len(), 10);
    for newest_first in [false, true] {
        for size in 1..5 {
            let (mut found, mut after) = (Vec::new(), None);
            loop {
                let mut filter = all().parent(parent).limit(size);
                if newest_first {
                    filter = filter.newest_first();
                }
                if let Some(after) = after {
                    filter = filter.after(after);
                }
                let page = db.runs().list(&filter).unwrap();
                let Some(last) = page.last() else { break };
                after = Some(last.id);
                found.extend(page.into_iter().map(|run| run.number));
            }
            let mut expected: Vec<_> = (2..12).collect();
            if newest_first {
                expected.reverse();
            }
            assert_eq!(found, expected, "pages of {size}");
        }
    }
    assert_kind(db.runs().list(&all().after(RunId::from_bytes([1; 16]))), ErrorKind::NotFound);
}

#[test]
fn labels_and_metadata_are_kept_changed_and_removed_also_across_a_snapshot() {
    let disk = CrashStorage::new();
    let db = open(disk.clone(), STRICT, 4096, 1).unwrap();
    let metadata = Value::Map(vec![
        ("text".into(), "häuser".into()),
        (1.into(), Value::Bytes(vec![1, 2])),
        (
            "numbers".into(),
            Value::List(vec![Value::Integer(Integer::MIN), u64::MAX.into(), 0.5.into(), f64::NAN.into()]),
        ),
        (Value::Null, Value::Tag(1000, Box::new(true.into()))),
    ]);
    let run =
        db.runs().begin(RunOptions::named("run").label("a", "1").label("b", "2").metadata(metadata.clone())).unwrap();
    assert_eq!(run.info().unwrap().metadata, metadata);
    run.set_label("a", "3").unwrap();
    run.set_label("c", "4").unwrap();
    run.remove_label("b").unwrap();
    run.remove_label("never there").unwrap();
    let child = begin(&db, "child");
    db.runs().get(child).unwrap().set_metadata(metadata.clone()).unwrap();
    let expected = BTreeMap::from([("a".to_owned(), "3".to_owned()), ("c".to_owned(), "4".to_owned())]);
    let id = run.id();
    for with_snapshot in [false, true] {
        let db = open(disk.live_image().to_memory(), STRICT, 4096, 2).unwrap();
        let info = db.runs().info(id).unwrap();
        assert_eq!((info.labels, info.metadata), (expected.clone(), metadata.clone()), "snapshot: {with_snapshot}");
        assert_eq!(db.runs().info(child).unwrap().metadata, metadata);
        std::mem::forget(db);
    }
    db.snapshot().unwrap();
    std::mem::forget(db);
    let db = open(disk, STRICT, 4096, 3).unwrap();
    assert!(db.recovery_report().snapshot.is_some());
    let info = db.runs().info(id).unwrap();
    assert_eq!((info.labels, info.metadata), (expected, metadata));
}

#[test]
fn names_labels_and_metadata_that_are_too_large_or_too_deep_are_refused() {
    let db = store();
    let long = "x".repeat(1025);
    assert_kind(db.runs().begin(RunOptions::named(&long)), ErrorKind::Limit);
    assert_kind(db.runs().begin(RunOptions::named("r").label(&long, "v")), ErrorKind::Limit);
    assert_kind(db.runs().begin(RunOptions::named("r").label("k", &long)), ErrorKind::Limit);
    let many = (0..257).fold(RunOptions::named("r"), |options, number| options.label(number.to_string(), "v"));
    assert_kind(db.runs().begin(many), ErrorKind::Limit);
    let nested = |depth| (0..depth).fold(Value::Null, |inner, _| Value::List(vec![inner]));
    for depth in [128, 140, 200, 300, 2000] {
        assert_kind(db.runs().begin(RunOptions::named("r").metadata(nested(depth))), ErrorKind::Limit);
    }
    let run = db.runs().begin(RunOptions::named("r").metadata(nested(100))).unwrap();
    assert_kind(run.set_label(&long, "v"), ErrorKind::Limit);
    assert_kind(run.set_label("k", &long), ErrorKind::Limit);
    assert_kind(run.set_metadata(nested(1000)), ErrorKind::Limit);
    run.set_metadata(nested(110)).unwrap();
    assert_kind(run.set_metadata(vec![0_u8; 17 << 20]), ErrorKind::Limit);
    for number in 0..256 {
        run.set_label(number.to_string(), "v").unwrap();
    }
    assert_kind(run.set_label("one more", "v"), ErrorKind::Limit);
    run.set_label("7", "another value of a label that is there").unwrap();
    run.remove_label("8").unwrap();
    run.set_label("one more", "v").unwrap();
    assert_eq!(run.info().unwrap().metadata, nested(110));
    db.kv().put("the store", "goes on").unwrap();
    assert!(db.verify(&mut |_| ControlFlow::Continue(())).unwrap().is_ok());
}

#[test]
fn runs_that_a_process_leaves_open_are_orphaned_for_the_next_until_it_resumes_them() {
    let disk = CrashStorage::new();
    let db = open(disk.clone(), STRICT, 4096, 1).unwrap();
    let (left, ended, other) = (begin(&db, "left"), begin(&db, "ended"), begin(&db, "other"));
    db.runs().get(ended).unwrap().end().unwrap();
    std::mem::forget(db);

    let db = open(disk.clone(), STRICT, 4096, 2).unwrap();
    assert_eq!(db.recovery_report().orphaned_runs, [left, other]);
    assert_eq!(names(&db, &RunFilter::all().status(RunStatus::Orphaned)), ["left", "other"]);
    // An orphaned run is open: it can be written to, resumed, or ended.
    db.runs().get(other).unwrap().kv().put("k", 1).unwrap();
    assert_eq!(db.runs().info(other).unwrap().status, RunStatus::Orphaned);
    db.runs().get(other).unwrap().fail("its process died").unwrap();
    let run = db.runs().get(left).unwrap();
    run.resume().unwrap();
    assert_eq!(run.info().unwrap().status, RunStatus::Active);
    db.close().unwrap();

    // Closing cleanly does not end runs either.
    let db = open(disk, STRICT, 4096, 3).unwrap();
    assert_eq!(db.recovery_report().orphaned_runs, [left]);
    assert_eq!(db.runs().info(other).unwrap().status, RunStatus::Failed);
}

#[test]
fn a_run_in_the_tail_that_is_written_again_is_orphaned_too() {
    let disk = CrashStorage::new();
    let db = open(disk.clone(), STRICT, 1 << 20, 1).unwrap();
    db.kv().put("first", 1).unwrap();
    let id = begin(&db, "last words");
    std::mem::forget(db);
    // The last commit is durable, and nothing behind it says so: it is carried into a new segment.
    let disk = CrashStorage::from_image(&disk.live_image());
    for life in 0..3 {
        let db = open(disk.clone(), STRICT, 1 << 20, 2 + life).unwrap();
        assert_eq!(db.recovery_report().log.tail_records, u64::from(life != 1), "life {life}");
        assert_eq!(db.recovery_report().orphaned_runs, [id], "life {life}");
        assert_eq!(db.runs().info(id).unwrap().status, RunStatus::Orphaned, "life {life}");
        // A run that is begun now is this process's, and not the dead one's.
        if life == 1 {
            let own = begin(&db, "own");
            assert_eq!(db.runs().info(own).unwrap().status, RunStatus::Active);
            db.runs().get(own).unwrap().end().unwrap();
        }
        std::mem::forget(db);
    }
}

// Opening and closing -------------------------------------------------------------------------------------------------

fn options(durability: Durability) -> Options {
    Options::new().durability(durability)
}

#[test]
fn what_was_written_is_there_after_closing_and_reopening_in_every_mode() {
    for durability in [STRICT, BUFFERED] {
        let directory = tempfile::tempdir().unwrap();
        let open = || foldb::open_with(directory.path(), options(durability)).unwrap();
        let db = open();
        assert!(db.recovery_report().created);
        let store = db.id();
        for number in 0..300_i64 {
            let not_waiting = TransactionOptions::new().durability(BUFFERED);
            db.transaction_with(&not_waiting, |tx| tx.kv().put(format!("key/{number}"), number)).unwrap();
        }
        let run = db.runs().begin(RunOptions::named("first")).unwrap();
        run.events().append("log", "line", "hello").unwrap();
        run.kv().put("large", vec![7_u8; 5000]).unwrap();
        let id = run.id();
        let digests = |db: &foldb::Store| {
            let view = db.view();
            (view.default_space().digest().unwrap(), view.run(id).unwrap().digest().unwrap(), view.seq())
        };
        let expected = digests(&db);
        db.close().unwrap();
        for _ in 0..2 {
            let db = open();
            assert!(!db.recovery_report().created);
            assert_eq!((digests(&db), db.id()), (expected, store));
            assert_eq!(db.durable_seq(), expected.2);
            assert!(db.verify(&mut |_| ControlFlow::Continue(())).unwrap().is_ok());
            db.close().unwrap();
        }
    }
}

#[test]
fn opening_and_closing_a_clean_store_writes_nothing() {
    let disk = CrashStorage::new();
    let db = open(disk.clone(), STRICT, 1 << 20, 1).unwrap();
    assert_eq!(disk.operation_count(), 0, "opening a new store writes nothing");
    db.close().unwrap();
    assert_eq!(disk.operation_count(), 0, "nor does closing it");
    let db = open(disk.clone(), STRICT, 1 << 20, 1).unwrap();
    db.kv().put("a", 1).unwrap();
    db.close().unwrap();
    let operations = disk.operation_count();
    let image = disk.live_image();
    assert!(image.total_bytes() < 1000, "what was reserved is given back: {image:?}");
    for seed in 2..5 {
        let db = open(disk.clone(), STRICT, 1 << 20, seed).unwrap();
        assert_eq!(db.kv().get::<i64>("a").unwrap(), Some(1));
        assert_eq!(db.recovery_report().log.tail_records, 0);
        db.close().unwrap();
    }
    let writes = disk.operations()[operations..]
        .iter()
        .filter(|operation| !matches!(operation.action, foldb_testkit::crash::Action::Sync))
        .count();
    assert_eq!(writes, 0);
}

#[test]
fn a_store_that_is_dropped_is_closed() {
    let disk = CrashStorage::new();
    let db = open(disk.clone(), BUFFERED, 1 << 20, 1).unwrap();
    db.kv().put("a", 1).unwrap();
    drop(db);
    let image = disk.crash_point(disk.operation_count()).nothing_survives();
    let db = open(image.to_memory(), BUFFERED, 1 << 20, 2).unwrap();
    assert_eq!(db.kv().get::<i64>("a").unwrap(), Some(1));
    assert_eq!(db.recovery_report().log.tail_records, 0, "it was marked as complete");
}

#[test]
fn closing_writes_a_snapshot_where_it_pays() {
    let storage = MemStorage::new();
    let open = |seed| Db::open(storage.clone(), Arc::new(SeededHost::new(seed)), options(BUFFERED)).unwrap();
    let db = open(1);
    db.kv().put("small", 1).unwrap();
    db.close().unwrap();
    assert_eq!(open(2).recovery_report().snapshot, None);
    let db = open(3);
    for number in 0..6 {
        db.kv().put(format!("large {number}"), vec![1_u8; 1 << 20]).unwrap();
    }
    db.close().unwrap();
    let db = open(4);
    assert!(db.recovery_report().snapshot.is_some());
    assert_eq!(db.recovery_report().log.records, 0, "nothing is folded");
    assert_eq!(db.kv().get::<Vec<u8>>("large 5").unwrap().unwrap().len(), 1 << 20);
}

#[test]
fn a_snapshot_is_written_by_the_commit_that_makes_it_due() {
    let storage = MemStorage::new();
    let options = options(BUFFERED).snapshot_log_bytes(Some(100_000)).segment_bytes(32 << 10);
    let db = Db::open(storage.clone(), Arc::new(SeededHost::new(1)), options).unwrap();
    for number in 0..400 {
        db.kv().put(format!("key {number}"), vec![1_u8; 900]).unwrap();
        if number % 10 == 0 {
            db.sync().unwrap();
        }
    }
    let stats = db.stats().unwrap();
    assert_eq!(stats.snapshots.len(), 2, "{:?}", stats.snapshots);
    assert!(stats.snapshots[1].0 >= 3, "and it was not the first: {:?}", stats.snapshots);
}

#[test]
fn a_second_opener_is_told_that_the_store_is_open() {
    let directory = tempfile::tempdir().unwrap();
    let db = foldb::open(directory.path()).unwrap();
    db.kv().put("a", 1).unwrap();
    let error = assert_kind(foldb::open(directory.path()), ErrorKind::Locked);
    assert!(error.to_string().contains(directory.path().file_name().unwrap().to_str().unwrap()), "{error}");
    assert_kind(foldb::open_with(directory.path(), Options::new().create(false)), ErrorKind::Locked);
    db.kv().put("a", 2).unwrap();
    db.close().unwrap();
    assert_eq!(foldb::open(directory.path()).unwrap().kv().get::<i64>("a").unwrap(), Some(2));
}

fn listing(directory: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_directory_of_something_else_is_refused_and_left_as_it_was() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("thesis.txt"), "years of work").unwrap();
    let error = assert_kind(foldb::open(directory.path()), ErrorKind::NotAStore);
    assert!(error.to_string().contains("thesis.txt"), "{error}");
    assert_eq!(listing(directory.path()), ["thesis.txt"]);

    let file = directory.path().join("thesis.txt");
    assert_kind(foldb::open(&file), ErrorKind::NotAStore);
    assert_kind(foldb::open(file.join("below")), ErrorKind::NotAStore);
    assert_eq!(fs::read_to_string(file).unwrap(), "years of work");
}

#[test]
fn a_store_is_created_only_where_that_was_asked_for() {
    let directory = tempfile::tempdir().unwrap();
    let missing = directory.path().join("not/yet");
    assert_kind(foldb::open_with(&missing, Options::new().create(false)), ErrorKind::NotFound);
    assert!(!directory.path().join("not").exists());
    assert_kind(foldb::open_with(directory.path(), Options::new().create(false)), ErrorKind::NotAStore);
    assert_eq!(listing(directory.path()), [""; 0]);
    assert_kind(
        Db::open(MemStorage::new(), Arc::new(SeededHost::new(1)), Options::new().create(false)),
        ErrorKind::NotAStore,
    );
    foldb::open(&missing).unwrap().kv().put("a", 1).unwrap();
    let db = foldb::open_with(&missing, Options::new().create(false)).unwrap();
    assert_eq!(db.kv().get::<i64>("a").unwrap(), Some(1));
}

#[test]
fn files_that_are_not_ours_are_never_touched_inside_a_store() {
    let directory = tempfile::tempdir().unwrap();
    let db = foldb::open(directory.path()).unwrap();
    db.kv().put("a", 1).unwrap();
    db.close().unwrap();
    for name in ["notes.txt", "log-1", "snap-old", "log-00000000000000000001.bak", ".hidden"] {
        fs::write(directory.path().join(name), "mine").unwrap();
    }
    let db = foldb::open(directory.path()).unwrap();
    assert_eq!(db.kv().get::<i64>("a").unwrap(), Some(1));
    db.kv().put("a", 2).unwrap();
    db.snapshot().unwrap();
    db.close().unwrap();
    for name in ["notes.txt", "log-1", "snap-old", "log-00000000000000000001.bak", ".hidden"] {
        assert_eq!(fs::read_to_string(directory.path().join(name)).unwrap(), "mine");
    }
}

/// A store with one segment, closed, with its segment's name.
fn small_store() -> (Image, String) {
    let disk = CrashStorage::new();
    let db = open(disk.clone(), STRICT, 1 << 20, 1).unwrap();
    db.kv().put("a", 1).unwrap();
    db.close().unwrap();
    let image = disk.live_image();
    let name = image.names().find(|name| name.starts_with("log-")).unwrap().to_owned();
    (image, name)
}

#[test]
fn a_store_of_a_newer_format_is_refused_by_name_and_left_as_it_was() {
    let (mut image, name) = small_store();
    let mut header = image.bytes(&name).unwrap()[..128].to_vec();
    header[8] = 2;
    let checksum = crc32(&header[..124]);
    header[124..].copy_from_slice(&checksum.to_le_bytes());
    image.overwrite(&name, 0, &header);
    let memory = image.to_memory();
    let error = assert_kind(open(memory.clone(), STRICT, 1 << 20, 2), ErrorKind::Unsupported);
    assert!(error.to_string().contains(&name) && error.to_string().contains("newer version of foldb"), "{error}");
    assert_eq!(Image::from(&memory), image);
    // A feature that this version does not know is the same.
    header[8] = 1;
    header[12] = 1;
    let checksum = crc32(&header[..124]);
    header[124..].copy_from_slice(&checksum.to_le_bytes());
    image.overwrite(&name, 0, &header);
    let error = assert_kind(open(image.to_memory(), STRICT, 1 << 20, 2), ErrorKind::Unsupported);
    assert!(error.to_string().contains("feature"), "{error}");
}

/// CRC-32 as in zip and PNG, bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 })
    })
}

#[test]
fn a_segment_of_another_store_is_noticed() {
    let (mut image, name) = small_store();
    let header = SegmentHeader::decode(&name, &image.bytes(&name).unwrap()).unwrap().unwrap();
    let length = image.len(&name).unwrap();
    let foreign = SegmentHeader {
        store: foldb::StoreId::from_bytes([7; 16]),
        segment: header.segment + 1,
        epoch: header.epoch + 1,
        salt: [1; 16],
        first_seq: 2,
        previous: Some(Previous { segment: header.segment, valid_len: length, last_seq: 1, last_crc: 0 }),
    };
    image.put(&foldb::log::segment_name(header.segment + 1), &foreign.encode());
    let error = assert_kind(open(image.to_memory(), STRICT, 1 << 20, 2), ErrorKind::Corrupt);
    assert!(error.to_string().contains("store"), "{error}");
}

#[test]
fn a_missing_segment_is_noticed_wherever_it_was() {
    let disk = CrashStorage::new();
    let db = open(disk.clone(), STRICT, 4096, 1).unwrap();
    for number in 0..40 {
        db.kv().put(format!("key {number}"), vec![1_u8; 500]).unwrap();
    }
    db.close().unwrap();
    let whole = disk.live_image();
    let segments: Vec<String> = whole.names().filter(|name| name.starts_with("log-")).map(str::to_owned).collect();
    assert!(segments.len() > 4);
    for name in &segments {
        let mut image = whole.clone();
        image.remove(name);
        let error = assert_kind(open(image.to_memory(), STRICT, 4096, 2), ErrorKind::Corrupt);
        assert!(error.to_string().contains("log-") || error.to_string().contains("anchor"), "{name}: {error}");
    }
}

// Modes ---------------------------------------------------------------------------------------------------------------

#[test]
fn a_store_in_memory_does_everything_that_needs_no_log_and_says_why_not_for_the_rest() {
    let files = MemStorage::new();
    let db = Db::open(files.clone(), Arc::new(SeededHost::new(1)), options(Durability::InMemory)).unwrap();
    db.kv().put("a", 1).unwrap();
    db.kv().put("large", vec![3_u8; 100_000]).unwrap();
    db.kv().add_i64("n", 5).unwrap();
    db.json().set("d", &json!({ "text": "x".repeat(5000) })).unwrap();
    db.events().append_batch("s", (0..2000).map(|number| foldb::primitive::NewEvent::new("e", number))).unwrap();
    db.events().trim("s", 1000).unwrap();
    db.state().init("c", "v").unwrap();
    db.trace().record(TraceRecord::new(TraceKind::Thought, "t")).unwrap();
    let run = db.runs().begin(RunOptions::named("run")).unwrap();
    run.kv().put("k", vec![4_u8; 5000]).unwrap();
    run.end().unwrap();
    let tx = db.begin_transaction().unwrap();
    let seen: i64 = tx.kv().get("a").unwrap().unwrap();
    tx.kv().put("a", seen + 1).unwrap();
    db.kv().put("a", 7).unwrap();
    assert_kind(tx.commit(), ErrorKind::Conflict);

    assert_eq!(db.kv().get::<Vec<u8>>("large").unwrap().unwrap(), vec![3_u8; 100_000]);
    assert_eq!(db.events().range_as::<i64>("s", 1500.., 2, Direction::Forward).unwrap()[1].payload, 1500);
    // The batch that the trim went through is still whole in the log.
    assert_eq!(db.events().verify_chain("s").unwrap().events, 2000);
    assert_eq!(db.json().length_at("d", "/text").unwrap(), 5000);
    assert_eq!(run.kv().get::<Vec<u8>>("k").unwrap().unwrap().len(), 5000);
    assert!(db.view().run(run.id()).unwrap().digest().is_ok());

    let seq = db.sync().unwrap();
    db.wait_durable(seq).unwrap();
    for error in [
        assert_kind(db.snapshot(), ErrorKind::Unsupported),
        assert_kind(db.replay(run.id()), ErrorKind::Unsupported),
        assert_kind(db.replay_default(), ErrorKind::Unsupported),
        assert_kind(db.verify(&mut |_| ControlFlow::Continue(())), ErrorKind::Unsupported),
    ] {
        assert!(error.to_string().contains("memory"), "{error}");
    }
    db.close().unwrap();
    assert!(files.files().is_empty(), "no storage ever sees anything");
    // A store that is there already cannot be opened like that: its log would stop.
    let (image, _) = small_store();
    let opened = Db::open(image.to_memory(), Arc::new(SeededHost::new(1)), options(Durability::InMemory));
    assert_kind(opened, ErrorKind::Unsupported);
}

#[test]
fn receipts_of_a_store_in_memory_never_say_durable() {
    let db = Db::open(MemStorage::new(), Arc::new(SeededHost::new(1)), options(Durability::InMemory)).unwrap();
    for durability in [Durability::InMemory, STRICT, BUFFERED] {
        let options = TransactionOptions::new().durability(durability);
        let ((), receipt) = db.transaction_with(&options, |tx| tx.kv().put("a", 1)).unwrap();
        assert!(!receipt.durable, "{durability:?}");
    }
}

#[test]
fn a_buffered_store_is_synced_by_its_timer_within_the_interval() {
    let directory = tempfile::tempdir().unwrap();
    let interval = Duration::from_millis(20);
    let db = foldb::open_with(directory.path(), options(Durability::Buffered { interval, bytes: 1 << 20 })).unwrap();
    let ((), receipt) = db.transaction_with(&TransactionOptions::new(), |tx| tx.kv().put("a", 1)).unwrap();
    // How long that takes is the machine's affair; that it happens by itself is not.
    let patience = Instant::now() + Duration::from_secs(20);
    while db.durable_seq() < receipt.seq {
        assert!(Instant::now() < patience, "nobody synced");
        thread::sleep(Duration::from_millis(2));
    }
    assert!(db.stats().unwrap().syncs.count > 0);
}

#[test]
fn an_idle_strict_store_is_marked_by_its_timer() {
    let directory = tempfile::tempdir().unwrap();
    let db = foldb::open(directory.path()).unwrap();
    db.kv().put("a", 1).unwrap();
    let syncs = db.stats().unwrap().syncs.count;
    let patience = Instant::now() + Duration::from_secs(20);
    while db.stats().unwrap().syncs.count == syncs {
        assert!(Instant::now() < patience, "nobody marked");
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn sync_and_wait_durable_say_what_is_on_stable_media() {
    let disk = CrashStorage::new();
    let db = open(disk.clone(), BUFFERED, 1 << 20, 1).unwrap();
    assert_eq!(db.sync().unwrap(), 0);
    let receipts: Vec<_> = (0..5)
        .map(|number| {
            db.transaction_with(&TransactionOptions::new(), |tx| tx.kv().put(format!("k{number}"), number)).unwrap().1
        })
        .collect();
    assert_eq!(db.durable_seq(), 0);
    assert!(receipts.iter().all(|receipt| !receipt.durable));
    db.wait_durable(receipts[2].seq).unwrap();
    assert!(db.durable_seq() >= receipts[2].seq);
    let seq = db.sync().unwrap();
    assert_eq!((seq, db.durable_seq()), (receipts[4].seq, receipts[4].seq));
    let operations = disk.operation_count();
    db.sync().unwrap();
    db.wait_durable(seq).unwrap();
    assert_eq!(disk.operation_count(), operations, "there was nothing to do");
    assert_kind(db.wait_durable(seq + 1), ErrorKind::Invalid);
    let image = disk.crash_point(operations).nothing_survives();
    std::mem::forget(db);
    assert_eq!(open(image.to_memory(), BUFFERED, 1 << 20, 2).unwrap().view().seq(), seq);
}

#[test]
fn stats_are_sane() {
    let directory = tempfile::tempdir().unwrap();
    let db = foldb::open(directory.path()).unwrap();
    let fresh = db.stats().unwrap();
    assert_eq!((fresh.seq, fresh.durable_seq, fresh.runs, fresh.entries, fresh.log_bytes), (0, 0, 0, 0, 0));
    let run = db.runs().begin(RunOptions::named("run")).unwrap();
    run.kv().put_many((0..1000).map(|number| (format!("key {number}"), number))).unwrap();
    run.kv().put("large", vec![1_u8; 10_000]).unwrap();
    let once = TransactionOptions::new().idempotency_key("once");
    db.transaction_with(&once, |tx| tx.kv().put("a", 1)).unwrap();
    db.snapshot().unwrap();
    let stats = db.stats().unwrap();
    assert_eq!(stats.store, db.id().to_string());
    assert_eq!((stats.seq, stats.durable_seq, stats.commits), (4, 4, 4));
    assert_eq!((stats.runs, stats.entries, stats.idempotency_keys), (1, 1002, 1));
    assert_eq!((stats.conflicts, stats.retries, stats.pending_bytes, stats.epoch), (0, 0, 0, 1));
    assert!(stats.tree_bytes > 10_000 && stats.tree_bytes < 1 << 20, "{}", stats.tree_bytes);
    assert_eq!(stats.segments.len(), 1);
    assert!((10_000..10_100).contains(&stats.segments[0].live_bytes), "{:?}", stats.segments);
    assert_eq!(stats.log_bytes, stats.segments[0].bytes);
    assert_eq!(stats.snapshots.len(), 1);
    assert!(stats.syncs.count >= 4);
    assert_eq!(stats.syncs.histogram.iter().map(|(_, count)| count).sum::<u64>(), stats.syncs.count);
    run.kv().remove("large").unwrap();
    assert_eq!(db.stats().unwrap().segments[0].live_bytes, 0);
    db.close().unwrap();
    let db = foldb::open(directory.path()).unwrap();
    let again = db.stats().unwrap();
    assert_eq!((again.seq, again.commits, again.epoch, again.entries), (5, 0, 2, 1001));
    assert_eq!(again.idempotency_keys, 1);
}

#[test]
fn a_scan_of_a_whole_store_in_memory_is_what_was_put() {
    let db = foldb::memory();
    db.kv().put_many((0..100).map(|number| (format!("{number:03}"), number))).unwrap();
    let pairs = db.kv().scan_as::<i64>(&ScanOptions::all()).unwrap();
    assert!(pairs.iter().map(|pair| pair.value).eq(0..100));
}
