//! Runs: beginning, work, ending, resuming, deleting, finding.

use std::{collections::BTreeMap, ops::ControlFlow};

use foldb::{
    KeyRange, RunStatus,
    primitive::{TraceKind, TraceRecord},
    value::{Integer, Value},
};
use foldb_testkit::crash::CrashStorage;
use serde_json::json;

use super::*;

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
            Ok::<_, Error>(run.id())
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
    assert_eq!(again.kv().count(KeyRange::all()).unwrap(), 0);
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
                after = Some(last.number);
                found.extend(page.into_iter().map(|run| run.number));
            }
            let mut expected: Vec<_> = (2..12).collect();
            if newest_first {
                expected.reverse();
            }
            assert_eq!(found, expected, "pages of {size}");
        }
    }
    // The cursor was an id, which led nowhere once the run behind it was deleted: the next page was an error.
    let gone = db.runs().list(&all().parent(parent)).unwrap()[3].clone();
    db.runs().delete(gone.id).unwrap();
    assert_eq!(numbers(&all().parent(parent).after(gone.number)), ["4", "5", "6", "7", "8", "9"]);
    assert_eq!(numbers(&all().parent(parent).after(gone.number).newest_first()), ["2", "1", "0"]);
    assert_eq!(numbers(&all().after(u32::MAX)), [""; 0]);
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
