//! Whole or not at all: several runs and primitives, savepoints, preconditions, limits.

use std::ops::ControlFlow;

use foldb::{
    Direction, TransactionOptions,
    limits::{KEY_BYTES_MAX, TRANSACTION_BYTES_MAX, VALUE_BYTES_MAX},
    primitive::{EventBatch, ScanOptions, TraceKind, TraceRecord, Version},
};
use serde_json::json;

use super::*;

#[test]
fn a_transaction_over_several_runs_and_primitives_is_there_whole_or_not_at_all() {
    let db = store();
    let (one, two) = (begin(&db, "one"), begin(&db, "two"));
    let before = (db.view().seq(), db.view().run(one).unwrap().digest().unwrap());
    let work = |tx: &foldb::Transaction<'_, MemStorage>| -> Result<()> {
        for id in [one, two] {
            let run = tx.run(id)?;
            run.kv().put("k", 1)?;
            run.kv().add_i64("n", 1)?;
            run.json().set("d", &json!({}))?;
            run.events().append("s", "e", 1)?;
            run.state().init("c", 1)?;
            run.trace().record(TraceRecord::new(TraceKind::Decision, "d"))?;
        }
        tx.runs().begin(RunOptions::named("three"))?.kv().put("k", 3)?;
        tx.runs().end(one, None)?;
        tx.kv().put("default", 1)
    };
    let tx = db.begin_transaction().unwrap();
    work(&tx).unwrap();
    drop(tx);
    assert_eq!((db.view().seq(), db.view().run(one).unwrap().digest().unwrap()), before);
    assert_eq!(db.runs().list(&foldb::RunFilter::all()).unwrap().len(), 2);

    let tx = db.begin_transaction().unwrap();
    work(&tx).unwrap();
    let receipt = tx.commit().unwrap();
    assert_eq!(receipt.seq, before.0 + 1, "one commit");
    let view = db.view();
    for id in [one, two] {
        let run = view.run(id).unwrap();
        assert!(run.kv().exists("k").unwrap() && run.json().exists("d").unwrap() && run.state().exists("c").unwrap());
        assert_eq!((run.events().head("s").unwrap(), run.trace().count().unwrap()), (1, 1));
    }
    assert_eq!(view.runs().len(), 3);
    assert_eq!(db.kv().get::<i64>("default").unwrap(), Some(1));
}

#[test]
fn a_transaction_that_fails_at_commit_leaves_nothing_of_any_of_its_runs() {
    let db = store();
    let (open_run, ended) = (begin(&db, "open"), begin(&db, "ended"));
    let tx = db.begin_transaction().unwrap();
    tx.run(open_run).unwrap().kv().put("k", 1).unwrap();
    tx.run(ended).unwrap().kv().put("k", 1).unwrap();
    db.runs().get(ended).unwrap().end().unwrap();
    assert_kind(tx.commit(), ErrorKind::RunEnded);
    assert!(!db.runs().get(open_run).unwrap().kv().exists("k").unwrap());
}

#[test]
fn savepoints_nest_and_undo_every_sort_of_write() {
    let db = store_with(&[("kept", 1)]);
    db.events().append("log", "e", 1).unwrap();
    db.json().set("doc", &json!({ "n": 0 })).unwrap();
    let tx = db.begin_transaction().unwrap();
    tx.kv().put("first", 1).unwrap();
    let outer = tx.savepoint();
    write_everything(&tx, 2);
    let inner = tx.savepoint();
    let at_inner = seen(&tx);
    write_everything(&tx, 3);
    tx.kv().remove("kept").unwrap();
    tx.events().delete_stream("log").unwrap();
    assert_ne!(seen(&tx), at_inner);
    tx.rollback_to(&inner).unwrap();
    assert_eq!(seen(&tx), at_inner, "back to the inner one");
    // A savepoint can be used again, and an outer one after an inner one.
    write_everything(&tx, 4);
    tx.rollback_to(&inner).unwrap();
    assert_eq!(seen(&tx), at_inner, "back to the inner one again");
    tx.rollback_to(&outer).unwrap();
    assert_eq!(tx.kv().get::<i64>("first").unwrap(), Some(1));
    assert_eq!(tx.kv().get::<i64>("n").unwrap(), None);
    tx.events().append("log", "e", 9).unwrap();
    tx.commit().unwrap();
    assert_eq!((get(&db, "first"), get(&db, "kept"), get(&db, "n")), (Some(1), Some(1), None));
    assert_eq!(db.events().get_as::<i64>("log", 2).unwrap().unwrap().payload, 9);
    assert_eq!(db.json().get("doc").unwrap(), Some(json!({ "n": 0 })));
    assert!(db.view().runs().is_empty());
}

fn write_everything(tx: &foldb::Transaction<'_, MemStorage>, number: i64) {
    tx.kv().put("pair", number).unwrap();
    tx.kv().add_i64("n", number).unwrap();
    for extra in 0..20 {
        // Enough writes that they are indexed.
        tx.kv().put(format!("many/{number}/{extra}"), number).unwrap();
    }
    tx.json().set_at("doc", "/n", &json!(number)).unwrap();
    tx.events().append("log", "e", number).unwrap();
    tx.state().set("cell", number).unwrap();
    tx.trace().record(TraceRecord::new(TraceKind::Thought, format!("thought {number}"))).unwrap();
    tx.runs().begin(RunOptions::named(format!("run {number}"))).unwrap().kv().put("in the run", number).unwrap();
}

/// What a transaction sees of its own writes.
fn seen(tx: &foldb::Transaction<'_, MemStorage>) -> String {
    let events = tx.events().range("log", .., None, Direction::Forward).unwrap();
    let all = ScanOptions::all();
    format!(
        "{:?} {:?} {:?} {events:?} {:?}",
        tx.kv().scan(&all).unwrap(),
        tx.json().list(&all).unwrap(),
        tx.state().list(&all).unwrap(),
        tx.trace().list(&all).unwrap(),
    )
}

#[test]
fn a_run_that_was_rolled_back_takes_no_writes_and_does_no_harm() {
    let db = store();
    let tx = db.begin_transaction().unwrap();
    let before = tx.runs().begin(RunOptions::named("before")).unwrap();
    let savepoint = tx.savepoint();
    let lost = tx.runs().begin(RunOptions::named("lost")).unwrap();
    lost.kv().put("k", "of the lost run").unwrap();
    tx.rollback_to(&savepoint).unwrap();
    assert_kind(lost.kv().put("k", "of the lost run"), ErrorKind::NotFound);
    assert_kind(lost.events().append("s", "e", 1), ErrorKind::NotFound);
    assert_kind(tx.run(lost.id()).map(|_| ()), ErrorKind::NotFound);
    let kept = tx.runs().begin(RunOptions::named("kept")).unwrap();
    // A handle of the lost run is no handle of the one that was begun after it.
    assert_kind(lost.kv().put("k", "of the lost run"), ErrorKind::NotFound);
    before.kv().put("k", "of the run before").unwrap();
    kept.kv().put("k", "of the kept run").unwrap();
    let (before, kept) = (before.id(), kept.id());
    tx.commit().unwrap();
    let view = db.view();
    let text = |id| view.run(id).unwrap().kv().get::<String>("k").unwrap();
    assert_eq!(view.runs().iter().map(|run| (run.number, run.id)).collect::<Vec<_>>(), [(1, before), (2, kept)]);
    assert_eq!(text(before).as_deref(), Some("of the run before"));
    assert_eq!(text(kept).as_deref(), Some("of the kept run"));
    db.kv().put("the store", "goes on").unwrap();
    assert!(db.verify(&mut |_| ControlFlow::Continue(())).unwrap().is_ok());
}

#[test]
fn preconditions_on_absence_version_and_value_hold_at_the_commit() {
    let db = store_with(&[("a", 1)]);
    assert_kind(db.kv().put_if_absent("a", 2), ErrorKind::Precondition);
    assert_kind(db.kv().cas_value("a", Some(&2), 3), ErrorKind::Precondition);
    assert_kind(db.kv().cas_value::<i64>("a", None, 3), ErrorKind::Precondition);
    assert_kind(db.kv().cas_version("a", None, 3), ErrorKind::Precondition);
    assert_kind(db.kv().cas_version("absent", Some(Version::from_seq(1)), 3), ErrorKind::Precondition);
    assert_kind(db.kv().rename("a", "a2").and_then(|()| db.kv().rename("a", "a3")), ErrorKind::NotFound);
    let version = db.kv().get_versioned::<i64>("a2").unwrap().unwrap().version;
    db.kv().cas_version("a2", Some(version), 5).unwrap();
    db.kv().cas_value("a2", Some(&5), 6).unwrap();
    assert_eq!(get(&db, "a2"), Some(6));
    assert_kind(db.state().cas("cell", 1, 1), ErrorKind::Precondition);
    db.state().init("cell", 1).unwrap();
    assert_kind(db.state().init("cell", 1), ErrorKind::Precondition);
    // Held when it was checked, and no more at the commit: a conflict, not a lost update.
    type Check = fn(&foldb::Transaction<'_, MemStorage>) -> Result<()>;
    let checks: [Check; 3] = [
        |tx| tx.kv().put_if_absent("new", 1),
        |tx| tx.kv().cas_version("new", None, 1),
        |tx| tx.kv().cas_value::<i64>("new", None, 1),
    ];
    for check in checks {
        db.kv().remove("new").unwrap();
        let tx = db.begin_transaction().unwrap();
        check(&tx).unwrap();
        db.kv().put("new", "somebody else's").unwrap();
        assert_conflict(tx.commit());
    }
}

#[test]
fn a_transaction_that_is_committed_by_hand_under_a_known_key_changes_nothing() {
    let db = store();
    let commit = |key: &str| {
        let tx = db.begin_transaction_with(&TransactionOptions::new().idempotency_key(key)).unwrap();
        tx.kv().add_i64("times", 1).unwrap();
        tx.commit().unwrap()
    };
    let (first, again) = (commit("order 17"), commit("order 17"));
    assert_eq!((again.seq, again.deduplicated, first.deduplicated), (first.seq, true, false));
    commit("order 18");
    assert_eq!(get(&db, "times"), Some(2));
    // A transaction that failed has not used its key.
    let tx = db.begin_transaction_with(&TransactionOptions::new().idempotency_key("order 19")).unwrap();
    tx.kv().get::<i64>("times").unwrap();
    tx.kv().put("x", 1).unwrap();
    db.kv().add_i64("times", 1).unwrap();
    assert_conflict(tx.commit());
    assert!(!commit("order 19").deduplicated);
    // The key alone counts, also without writes.
    let marker = || db.begin_transaction_with(&TransactionOptions::new().idempotency_key("seen")).unwrap();
    assert!(!marker().commit().unwrap().deduplicated);
    assert!(marker().commit().unwrap().deduplicated);
}

#[test]
fn a_key_or_a_value_that_is_too_large_is_an_error_that_names_limit_and_size() {
    let db = store();
    let key = vec![b'k'; KEY_BYTES_MAX + 1];
    for result in [
        db.kv().put(&key, 1),
        db.kv().remove(&key),
        db.kv().add_i64(&key, 1),
        db.json().set(&key, &json!(1)),
        db.state().init(&key, 1),
        db.events().append(&key, "e", 1).map(|_| ()),
    ] {
        let error = assert_kind(result, ErrorKind::Limit);
        assert!(error.to_string().contains("1024") && error.to_string().contains("1025"), "{error}");
    }
    let value = vec![0_u8; VALUE_BYTES_MAX];
    for result in [
        db.kv().put("a", &value),
        db.json().set("a", &json!("x".repeat(VALUE_BYTES_MAX))),
        db.state().set("a", &value).map(|_| ()),
        db.events().append("a", "e", &value).map(|_| ()),
    ] {
        assert_kind(result, ErrorKind::Limit);
    }
    assert_eq!(db.view().seq(), 0, "nothing was committed");
    // The largest that fit do.
    db.kv().put(&key[1..], &value[..VALUE_BYTES_MAX - 5]).unwrap();
    let read: Vec<u8> = db.kv().get(&key[1..]).unwrap().unwrap();
    assert_eq!(read.len(), VALUE_BYTES_MAX - 5);
}

/// Only what will be logged counts. (That the limit holds is tested where a transaction can be taken for almost full.)
#[test]
fn what_a_transaction_writes_again_and_again_counts_once_however_much_it_was_in_all() {
    let db = store_with(&[("a", 1)]);
    let tx = db.begin_transaction().unwrap();
    tx.kv().put("small", 1).unwrap();
    let savepoint = tx.savepoint();
    let value = vec![0_u8; VALUE_BYTES_MAX - 64];
    let mut batch = EventBatch::new();
    batch.push("e", &value).unwrap();
    for _ in 0..=TRANSACTION_BYTES_MAX / value.len() {
        tx.events().append_encoded("log", &batch).unwrap();
        tx.events().delete_stream("log").unwrap();
        tx.kv().put("large", &value).unwrap();
        tx.kv().remove("large").unwrap();
    }
    tx.rollback_to(&savepoint).unwrap();
    tx.kv().put("large", &value).unwrap();
    tx.commit().unwrap();
    assert_eq!(get(&db, "small"), Some(1));
    assert_eq!(db.kv().get::<Vec<u8>>("large").unwrap().map(|read| read.len()), Some(value.len()));
}
