//! The anomalies of transactions that overlap, by name: each would show under a weaker isolation, and none does.

use std::{
    ops::{Bound, ControlFlow},
    thread,
};

use foldb::{
    Direction, KeyRange,
    primitive::{ScanOptions, TraceKind, TraceRecord},
};
use foldb_testkit::Syncs;
use serde_json::json;

use super::*;

#[test]
fn dirty_read_nobody_sees_what_is_not_committed() {
    let db = store_with(&[("a", 1)]);
    let writer = db.begin_transaction().unwrap();
    writer.kv().put("a", 2).unwrap();
    writer.kv().put("b", 2).unwrap();
    writer.events().append("log", "written", 2).unwrap();
    let reader = db.begin_transaction().unwrap();
    assert_eq!(reader.kv().get::<i64>("a").unwrap(), Some(1));
    assert_eq!(reader.kv().get::<i64>("b").unwrap(), None);
    assert_eq!(reader.events().head("log").unwrap(), 0);
    assert_eq!(get(&db, "a"), Some(1));
    assert_eq!(db.view().kv().get::<i64>("b").unwrap(), None);
    // And what is rolled back is never seen.
    writer.rollback();
    assert_eq!((get(&db, "a"), get(&db, "b")), (Some(1), None));
}

#[test]
fn dirty_read_strict_commits_show_only_when_they_are_durable() {
    let storage = Syncs::default();
    let db = open(storage.clone(), options().durability(Durability::Strict));
    db.kv().put("a", 1).unwrap();
    storage.hold();
    thread::scope(|scope| {
        let writer = scope.spawn(|| db.kv().put("a", 2));
        storage.wait_for_one();
        // Applied and on its way to the disk, and not promised to anybody.
        assert_eq!(get(&db, "a"), Some(1));
        assert_eq!(db.view().kv().get::<i64>("a").unwrap(), Some(1));
        let reader = db.begin_transaction().unwrap();
        assert_eq!(reader.kv().get::<i64>("a").unwrap(), Some(1));
        storage.let_go();
        writer.join().unwrap().unwrap();
        assert_eq!(get(&db, "a"), Some(2));
        // The reader goes on in its own version.
        assert_eq!(reader.kv().get::<i64>("a").unwrap(), Some(1));
    });
}

#[test]
fn non_repeatable_read_a_transaction_reads_one_version_from_its_first_read_on() {
    let db = store_with(&[("a", 1), ("b", 1)]);
    let reader = db.begin_transaction().unwrap();
    assert_eq!(reader.kv().get::<i64>("a").unwrap(), Some(1));
    db.kv().put("a", 2).unwrap();
    db.kv().put("b", 2).unwrap();
    db.kv().delete("b").unwrap();
    db.kv().put("c", 2).unwrap();
    assert_eq!(reader.kv().get::<i64>("a").unwrap(), Some(1));
    assert_eq!(reader.kv().get::<i64>("b").unwrap(), Some(1));
    assert_eq!(keys(&reader.kv().keys(&ScanOptions::all()).unwrap()), ["a", "b"]);
}

#[test]
fn read_skew_two_keys_that_change_together_are_never_seen_half_changed() {
    let db = store_with(&[("a", 50), ("b", 50)]);
    let reader = db.begin_transaction().unwrap();
    let a: i64 = reader.kv().get("a").unwrap().unwrap();
    db.transaction(|tx| {
        tx.kv().put("a", 25)?;
        tx.kv().put("b", 75)
    })
    .unwrap();
    let b: i64 = reader.kv().get("b").unwrap().unwrap();
    assert_eq!(a + b, 100);
}

#[test]
fn lost_update_the_second_of_two_writers_that_read_the_same_version_fails() {
    let db = store_with(&[("a", 10)]);
    let (first, second) = (db.begin_transaction().unwrap(), db.begin_transaction().unwrap());
    let (x, y) = (first.kv().get::<i64>("a").unwrap().unwrap(), second.kv().get::<i64>("a").unwrap().unwrap());
    first.kv().put("a", x + 1).unwrap();
    second.kv().put("a", y + 1).unwrap();
    first.commit().unwrap();
    assert_conflict(second.commit());
    assert_eq!(get(&db, "a"), Some(11));
}

#[test]
fn lost_update_of_a_key_that_was_absent_or_is_deleted_is_noticed_too() {
    let db = store_with(&[("there", 1)]);
    for (key, meanwhile) in [("absent", true), ("there", false)] {
        let writer = db.begin_transaction().unwrap();
        let before: Option<i64> = writer.kv().get(key).unwrap();
        writer.kv().put(key, before.unwrap_or(0) + 1).unwrap();
        if meanwhile {
            db.kv().put(key, 7).unwrap();
        } else {
            db.kv().remove(key).unwrap();
        }
        assert_conflict(writer.commit());
    }
    assert_eq!((get(&db, "absent"), get(&db, "there")), (Some(7), None));
}

#[test]
fn lost_update_of_a_document_a_cell_and_a_trace_entry_is_noticed() {
    let db = store();
    db.json().set("doc", &json!({ "n": 1 })).unwrap();
    db.state().init("cell", 1).unwrap();
    let id = db.trace().record(TraceRecord::new(TraceKind::Query, "q")).unwrap();

    let writer = db.begin_transaction().unwrap();
    writer.json().increment_at("doc", "/n", 1).unwrap();
    db.json().increment_at("doc", "/n", 1).unwrap();
    assert_conflict(writer.commit());
    assert_eq!(db.json().get("doc").unwrap(), Some(json!({ "n": 2 })));

    let writer = db.begin_transaction().unwrap();
    writer.state().set("cell", 5).unwrap();
    db.state().set("cell", 6).unwrap();
    assert_conflict(writer.commit());
    assert_eq!(db.state().get::<i64>("cell").unwrap().unwrap().counter, 2);

    let writer = db.begin_transaction().unwrap();
    writer.trace().finish(id, Some("late".into()), Some(1)).unwrap();
    db.trace().finish(id, Some("first".into()), Some(1)).unwrap();
    assert_conflict(writer.commit());
    assert_eq!(db.trace().get(id).unwrap().unwrap().output, "first".into());
}

#[test]
fn write_skew_on_points_two_doctors_cannot_both_leave() {
    let db = store_with(&[("alice on call", 1), ("bob on call", 1)]);
    let leave = |own: &'static str| {
        let tx = db.begin_transaction().unwrap();
        let on_call: i64 =
            ["alice on call", "bob on call"].iter().map(|key| tx.kv().get::<i64>(key).unwrap().unwrap()).sum();
        assert_eq!(on_call, 2);
        tx.kv().put(own, 0).unwrap();
        tx
    };
    let (alice, bob) = (leave("alice on call"), leave("bob on call"));
    alice.commit().unwrap();
    assert_conflict(bob.commit());
}

#[test]
fn write_skew_across_runs_and_primitives_is_noticed() {
    let db = store();
    let (one, two) = (begin(&db, "one"), begin(&db, "two"));
    db.runs().get(one).unwrap().json().set("doc", &json!({ "free": true })).unwrap();
    db.runs().get(two).unwrap().state().init("cell", "free").unwrap();
    let first = db.begin_transaction().unwrap();
    assert_eq!(first.run(one).unwrap().json().get_at("doc", "/free").unwrap(), Some(json!(true)));
    first.run(two).unwrap().state().set("cell", "taken by the first").unwrap();
    let second = db.begin_transaction().unwrap();
    assert!(second.run(two).unwrap().state().exists("cell").unwrap());
    second.run(one).unwrap().json().set_at("doc", "/free", &json!(false)).unwrap();
    first.commit().unwrap();
    assert_conflict(second.commit());
    assert_eq!(db.runs().get(one).unwrap().json().get("doc").unwrap(), Some(json!({ "free": true })));
}

#[test]
fn write_skew_by_range_two_bookings_of_an_empty_range_cannot_both_be_made() {
    let db = store();
    let book = |who: &'static str| {
        let tx = db.begin_transaction().unwrap();
        assert_eq!(tx.kv().count(KeyRange::prefix(b"room 7/")).unwrap(), 0);
        tx.kv().put(format!("room 7/{who}"), 1).unwrap();
        tx
    };
    let (alice, bob) = (book("alice"), book("bob"));
    alice.commit().unwrap();
    assert_conflict(bob.commit());
}

/// Reads a range in a transaction that also writes something, lets `meanwhile` happen, and commits.
fn after_reading(
    read: impl Fn(&foldb::Transaction<'_, MemStorage>),
    meanwhile: impl Fn(&Db<MemStorage>),
) -> Result<Receipt> {
    let db = store_with(&[("a", 1), ("c", 1), ("e", 1), ("g", 1), ("i", 1)]);
    let tx = db.begin_transaction().unwrap();
    read(&tx);
    tx.kv().put("z", 1).unwrap();
    meanwhile(&db);
    tx.commit()
}

#[test]
fn phantom_a_key_that_appears_disappears_or_changes_in_a_range_that_was_read_conflicts() {
    let range = || ScanOptions::range(KeyRange::new(Bound::Included(b"c".to_vec()), Bound::Excluded(b"i".to_vec())));
    for direction in [Direction::Forward, Direction::Backward] {
        let read = |tx: &foldb::Transaction<'_, MemStorage>| {
            assert_eq!(keys(&tx.kv().keys(&range().direction(direction)).unwrap()).len(), 3);
        };
        assert_conflict(after_reading(read, |db| db.kv().put("d", 1).unwrap()));
        assert_conflict(after_reading(read, |db| db.kv().put("hh", 1).unwrap()));
        assert_conflict(after_reading(read, |db| db.kv().remove("e").unwrap()));
        assert_conflict(after_reading(read, |db| db.kv().put("g", 2).unwrap()));
        assert_conflict(after_reading(read, |db| db.kv().add_i64("c", 1).unwrap()));
        // Beside the range anything may happen, also at its excluded end.
        after_reading(read, |db| db.kv().put("b", 1).unwrap()).unwrap();
        after_reading(read, |db| db.kv().put("i", 2).unwrap()).unwrap();
        after_reading(read, |db| db.kv().remove("a").unwrap()).unwrap();
        // Another primitive's key of the same name is another key.
        after_reading(read, |db| db.json().set("d", &json!(1)).unwrap()).unwrap();
    }
}

#[test]
fn phantom_a_scan_with_a_limit_conflicts_as_far_as_it_went_and_no_further() {
    let forward = |tx: &foldb::Transaction<'_, MemStorage>| {
        assert_eq!(keys(&tx.kv().keys(&ScanOptions::all().limit(2)).unwrap()), ["a", "c"]);
    };
    assert_conflict(after_reading(forward, |db| db.kv().put("0", 1).unwrap()));
    assert_conflict(after_reading(forward, |db| db.kv().put("b", 1).unwrap()));
    assert_conflict(after_reading(forward, |db| db.kv().remove("c").unwrap()));
    after_reading(forward, |db| db.kv().put("cc", 1).unwrap()).unwrap();
    after_reading(forward, |db| db.kv().remove("e").unwrap()).unwrap();

    let backward = |tx: &foldb::Transaction<'_, MemStorage>| {
        assert_eq!(keys(&tx.kv().keys(&ScanOptions::all().reverse().limit(2)).unwrap()), ["i", "g"]);
    };
    assert_conflict(after_reading(backward, |db| db.kv().put("x", 1).unwrap()));
    assert_conflict(after_reading(backward, |db| db.kv().put("h", 1).unwrap()));
    assert_conflict(after_reading(backward, |db| db.kv().remove("g").unwrap()));
    after_reading(backward, |db| db.kv().put("f", 1).unwrap()).unwrap();

    let second_page = |tx: &foldb::Transaction<'_, MemStorage>| {
        assert_eq!(keys(&tx.kv().keys(&ScanOptions::all().after("c").limit(2)).unwrap()), ["e", "g"]);
    };
    assert_conflict(after_reading(second_page, |db| db.kv().put("d", 1).unwrap()));
    after_reading(second_page, |db| db.kv().put("c", 2).unwrap()).unwrap();
    after_reading(second_page, |db| db.kv().put("h", 2).unwrap()).unwrap();
}

#[test]
fn phantom_a_walk_that_stops_by_itself_conflicts_as_far_as_it_went() {
    let walk = |tx: &foldb::Transaction<'_, MemStorage>| {
        let mut seen = 0;
        tx.kv()
            .for_each(KeyRange::all(), Direction::Forward, |_, _| {
                seen += 1;
                if seen == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            })
            .unwrap();
    };
    assert_conflict(after_reading(walk, |db| db.kv().put("d", 1).unwrap()));
    after_reading(walk, |db| db.kv().put("f", 1).unwrap()).unwrap();
}

#[test]
fn phantom_a_scan_that_failed_was_still_a_read() {
    let db = store_with(&[("a", 1), ("b", 1)]);
    let tx = db.begin_transaction().unwrap();
    assert_kind(tx.kv().scan_as::<String>(&ScanOptions::all()), ErrorKind::Invalid);
    tx.kv().put("verdict", "no text").unwrap();
    db.kv().put("a", "text").unwrap();
    assert_conflict(tx.commit());
}

#[test]
fn phantom_documents_cells_streams_and_traces_are_validated_like_pairs() {
    type Reads = fn(&foldb::Transaction<'_, MemStorage>) -> Result<usize>;
    type Changes = fn(&Db<MemStorage>) -> Result<()>;
    let cases: [(Reads, Changes); 6] = [
        (|tx| tx.json().list(&ScanOptions::prefix("d")).map(|found| found.len()), |db| db.json().set("d2", &json!(1))),
        (|tx| tx.state().keys(&ScanOptions::prefix("c")).map(|found| found.len()), |db| db.state().init("c2", 1)),
        (
            |tx| tx.events().streams(&ScanOptions::prefix("s")).map(|found| found.len()),
            |db| db.events().append("s2", "new", 1).map(|_| ()),
        ),
        (
            |tx| tx.events().range("s", .., None, Direction::Forward).map(|found| found.len()),
            |db| db.events().append("s", "new", 1).map(|_| ()),
        ),
        (
            |tx| tx.trace().list(&ScanOptions::all()).map(|found| found.len()),
            |db| db.trace().record(TraceRecord::new(TraceKind::Thought, "new")).map(|_| ()),
        ),
        (
            |tx| tx.trace().by_kind(&TraceKind::Thought, &ScanOptions::all()).map(|found| found.len()),
            |db| db.trace().record(TraceRecord::new(TraceKind::Thought, "new")).map(|_| ()),
        ),
    ];
    for (number, (read, change)) in cases.into_iter().enumerate() {
        let db = store();
        db.json().set("d1", &json!(1)).unwrap();
        db.state().init("c1", 1).unwrap();
        db.events().append("s", "first", 1).unwrap();
        db.trace().record(TraceRecord::new(TraceKind::Thought, "first")).unwrap();
        let tx = db.begin_transaction().unwrap();
        assert_eq!(read(&tx).unwrap(), 1, "case {number}");
        tx.kv().put("decision", 1).unwrap();
        change(&db).unwrap();
        let error = tx.commit().expect_err("a conflict");
        assert_eq!(error.kind(), ErrorKind::Conflict, "case {number}: {error}");
    }
}

#[test]
fn read_only_anomaly_a_reader_between_two_writers_sees_a_state_that_some_order_explains() {
    // Fekete, O'Neil, O'Neil 2004: under snapshot isolation the reader proves that the deposit came before the
    // withdrawal, and the withdrawal's fee proves the opposite.
    let db = store_with(&[("checking", 0), ("savings", 0)]);
    let withdrawal = db.begin_transaction().unwrap();
    let total = withdrawal.kv().get::<i64>("checking").unwrap().unwrap()
        + withdrawal.kv().get::<i64>("savings").unwrap().unwrap();
    let fee = i64::from(total < 10);
    db.kv().put("savings", 20).unwrap();
    let report = db.begin_transaction().unwrap();
    assert_eq!(report.kv().get::<i64>("savings").unwrap(), Some(20));
    assert_eq!(report.kv().get::<i64>("checking").unwrap(), Some(0));
    report.commit().unwrap();
    withdrawal.kv().put("checking", -10 - fee).unwrap();
    assert_conflict(withdrawal.commit());
}

#[test]
fn a_transaction_that_only_reads_never_conflicts() {
    let db = store_with(&[("a", 1)]);
    let report = db.begin_transaction().unwrap();
    assert_eq!(report.kv().scan_as::<i64>(&ScanOptions::all()).unwrap()[0].value, 1);
    let seq = report.seq();
    db.kv().put("a", 2).unwrap();
    db.kv().put("b", 2).unwrap();
    // It happened, whole, where it began.
    let receipt = report.commit().unwrap();
    assert_eq!(receipt.seq, seq);
}

#[test]
fn blind_writes_do_not_conflict_and_the_later_one_stays() {
    let db = store_with(&[("a", 1)]);
    let (first, second) = (db.begin_transaction().unwrap(), db.begin_transaction().unwrap());
    for (tx, number) in [(&first, 1), (&second, 2)] {
        tx.kv().put("a", number * 10).unwrap();
        tx.kv().remove("gone").unwrap();
        tx.json().set("doc", &json!(number)).unwrap();
        tx.events().append("log", "blind", number).unwrap();
        tx.events().trim("log", 1).unwrap();
        tx.kv().add_i64("sum", number).unwrap();
        tx.trace().record(TraceRecord::new(TraceKind::Thought, "blind")).unwrap();
    }
    second.commit().unwrap();
    first.commit().unwrap();
    assert_eq!((get(&db, "a"), get(&db, "sum")), (Some(10), Some(3)));
    assert_eq!(db.json().get("doc").unwrap(), Some(json!(1)));
    assert_eq!(db.events().get_as::<i64>("log", 1).unwrap().unwrap().payload, 2);
    assert_eq!(db.trace().count().unwrap(), 2);
}
