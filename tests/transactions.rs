//! Transactions: what they see of each other (the anomalies by name), of themselves, and of time.
//!
//! Interleavings are written out with the guard form, so that they are the same in every run; threads appear only where
//! the result must not depend on how they meet.

use std::{
    ops::{Bound, ControlFlow},
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    thread,
};

use foldb::{
    Db, Durability, Error, ErrorKind, Options, Receipt, Result, RunOptions, TransactionOptions,
    limits::{KEY_BYTES_MAX, TRANSACTION_BYTES_MAX, VALUE_BYTES_MAX},
    primitive::{EventBatch, NewEvent, ScanOptions, TraceKind, TraceRecord, Version},
    storage::{MemFile, MemStorage, Storage, StorageError, StorageFile},
    tree::{Direction, KeyRange},
};
use foldb_testkit::{SeededHost, crash::CrashStorage};
use ruint::aliases::U256;
use serde_json::json;

fn options() -> Options {
    Options::new().durability(Durability::buffered()).snapshot_on_close(false)
}

fn open<S: Storage>(storage: S, options: Options) -> Db<S> {
    Db::open(storage, Arc::new(SeededHost::new(1)), options).unwrap()
}

fn store() -> Db<MemStorage> {
    open(MemStorage::new(), options())
}

/// A store with these integers.
fn store_with(pairs: &[(&str, i64)]) -> Db<MemStorage> {
    let db = store();
    db.kv().put_many(pairs.iter().copied()).unwrap();
    db
}

fn get<S: Storage>(db: &Db<S>, key: &str) -> Option<i64> {
    db.kv().get(key).unwrap()
}

#[track_caller]
fn assert_conflict(result: Result<Receipt>) {
    let error = result.expect_err("a conflict");
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
}

#[track_caller]
fn assert_kind<T: std::fmt::Debug>(result: Result<T>, kind: ErrorKind) -> Error {
    let error = result.expect_err("an error");
    assert_eq!(error.kind(), kind, "{error}");
    error
}

fn keys(found: &[Vec<u8>]) -> Vec<&str> {
    found.iter().map(|key| std::str::from_utf8(key).unwrap()).collect()
}

// Anomalies -----------------------------------------------------------------------------------------------------------

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
    let storage = Gated::default();
    let db = open(storage.clone(), options().durability(Durability::Strict));
    db.kv().put("a", 1).unwrap();
    storage.gate.close();
    thread::scope(|scope| {
        let writer = scope.spawn(|| db.kv().put("a", 2));
        storage.gate.wait_for_a_sync();
        // Applied and on its way to the disk, and not promised to anybody.
        assert_eq!(get(&db, "a"), Some(1));
        assert_eq!(db.view().kv().get::<i64>("a").unwrap(), Some(1));
        let reader = db.begin_transaction().unwrap();
        assert_eq!(reader.kv().get::<i64>("a").unwrap(), Some(1));
        storage.gate.open();
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
    assert_eq!(db.trace().get(id).unwrap().unwrap().data, "first".into());
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
        assert_eq!(tx.kv().count(&KeyRange::prefix(b"room 7/")).unwrap(), 0);
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
            .for_each(&KeyRange::all(), Direction::Forward, |_, _| {
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

// Its own writes ------------------------------------------------------------------------------------------------------

#[test]
fn a_transaction_reads_its_own_pairs_merged_with_what_is_committed_in_both_directions() {
    let db = store_with(&[("a", 1), ("b", 2), ("c", 3), ("d", 4)]);
    let tx = db.begin_transaction().unwrap();
    tx.kv().put("aa", 10).unwrap();
    tx.kv().put("b", 20).unwrap();
    tx.kv().remove("c").unwrap();
    tx.kv().add_i64("d", 40).unwrap();
    tx.kv().add_i64("e", 5).unwrap();
    tx.kv().put("gone", 1).unwrap();
    assert!(tx.kv().delete("gone").unwrap());
    tx.kv().put("0", 0).unwrap();
    let expected = [("0", 0), ("a", 1), ("aa", 10), ("b", 20), ("d", 44), ("e", 5)];
    let scanned = |options: ScanOptions| -> Vec<(String, i64)> {
        let pairs = tx.kv().scan_as::<i64>(&options).unwrap();
        pairs.into_iter().map(|pair| (String::from_utf8(pair.key).unwrap(), pair.value)).collect()
    };
    let owned =
        |pairs: &[(&str, i64)]| pairs.iter().map(|(key, value)| ((*key).to_owned(), *value)).collect::<Vec<_>>();
    assert_eq!(scanned(ScanOptions::all()), owned(&expected));
    let reversed: Vec<_> = expected.iter().rev().copied().collect();
    assert_eq!(scanned(ScanOptions::all().reverse()), owned(&reversed));
    // Every page size gives the same pairs, in both directions.
    for size in 1..=7 {
        for direction in [Direction::Forward, Direction::Backward] {
            let mut paged = Vec::new();
            let mut options = ScanOptions::all().direction(direction).limit(size);
            loop {
                let page = scanned(options.clone());
                let Some((last, _)) = page.last() else { break };
                options = options.after(last);
                paged.extend(page);
            }
            let expected = if direction == Direction::Forward { owned(&expected) } else { owned(&reversed) };
            assert_eq!(paged, expected, "pages of {size}");
        }
    }
    assert_eq!(tx.kv().count(&KeyRange::prefix(b"a")).unwrap(), 2);
    assert_eq!(tx.kv().get_many::<i64, _>(["c", "d", "x"]).unwrap(), [None, Some(44), None]);
    let version = tx.kv().get_versioned::<i64>("b").unwrap().unwrap().version;
    assert_eq!(version, Version::UNCOMMITTED);
    tx.commit().unwrap();
    let committed: Vec<_> = db.kv().scan_as::<i64>(&ScanOptions::all()).unwrap();
    assert_eq!(committed.into_iter().map(|pair| pair.value).collect::<Vec<_>>(), [0, 1, 10, 20, 44, 5]);
}

#[test]
fn a_transaction_reads_its_own_counters_of_every_type_after_puts_deletes_and_additions() {
    let db = store();
    db.kv().put("put", 100).unwrap();
    db.kv().add_u256("wide", U256::MAX - U256::from(5)).unwrap();
    let tx = db.begin_transaction().unwrap();
    tx.kv().add_i64("put", 1).unwrap();
    tx.kv().put("fresh", 7).unwrap();
    tx.kv().add_i64("fresh", -9).unwrap();
    tx.kv().remove("put again").unwrap();
    tx.kv().add_u64("put again", 3).unwrap();
    tx.kv().add_f64("float", 0.25).unwrap();
    tx.kv().add_f64("float", 0.5).unwrap();
    tx.kv().add_u256("wide", U256::from(5)).unwrap();
    let check = |kv: &dyn Fn(&str) -> Option<foldb::value::Value>| {
        assert_eq!(kv("put"), Some(101.into()));
        assert_eq!(kv("fresh"), Some((-2).into()));
        assert_eq!(kv("put again"), Some(3.into()));
        assert_eq!(kv("float"), Some(0.75.into()));
    };
    check(&|key| tx.kv().get(key).unwrap());
    assert_eq!(tx.kv().get::<U256>("wide").unwrap(), Some(U256::MAX));
    tx.commit().unwrap();
    check(&|key| db.kv().get(key).unwrap());
    assert_eq!(db.kv().get::<U256>("wide").unwrap(), Some(U256::MAX));
}

#[test]
fn a_transaction_reads_its_own_documents_cells_events_and_traces() {
    let db = store();
    db.json().set("old", &json!({ "n": 1 })).unwrap();
    db.state().init("old", 1).unwrap();
    db.events().append_batch("log", [NewEvent::new("e", 1), NewEvent::new("e", 2)]).unwrap();
    let parent = db.trace().record(TraceRecord::new(TraceKind::Thought, "plan")).unwrap();

    let tx = db.begin_transaction().unwrap();
    tx.json().set_at("old", "/n", &json!(2)).unwrap();
    tx.json().set("new", &json!([1])).unwrap();
    assert_eq!(tx.json().push_at("new", "", &json!(2)).unwrap(), 2);
    assert_eq!(tx.json().get("old").unwrap(), Some(json!({ "n": 2 })));
    assert_eq!(keys(&tx.json().keys(&ScanOptions::all().reverse()).unwrap()), ["old", "new"]);
    assert!(tx.json().delete("old").unwrap());
    assert_eq!(tx.json().count(&KeyRange::all()).unwrap(), 1);

    assert_eq!(tx.state().set("old", 2).unwrap(), 2);
    assert_eq!(tx.state().cas("old", 2, 3).unwrap(), 3);
    assert_eq!(tx.state().transition("old", |value: i64| Ok(value * 10)).unwrap().counter, 4);
    assert_eq!(tx.state().get::<i64>("old").unwrap().unwrap().value, 30);
    assert!(tx.state().delete("old").unwrap());
    assert_kind(tx.state().cas("old", 4, 1), ErrorKind::Precondition);

    assert_eq!(tx.events().append("log", "e", 3).unwrap(), None);
    tx.events().append("log", "e", 4).unwrap();
    tx.events().append("other", "e", 1).unwrap();
    let payloads = |direction| -> Vec<i64> {
        let events = tx.events().range_as::<i64>("log", .., None, direction).unwrap();
        events.into_iter().map(|event| event.payload).collect()
    };
    assert_eq!(payloads(Direction::Forward), [1, 2, 3, 4]);
    assert_eq!(payloads(Direction::Backward), [4, 3, 2, 1]);
    assert_eq!((tx.events().head("log").unwrap(), tx.events().len("log").unwrap()), (4, 4));
    tx.events().trim("log", 4).unwrap();
    assert_eq!(payloads(Direction::Forward), [4]);
    assert_eq!(tx.events().streams(&ScanOptions::all()).unwrap().len(), 2);
    assert!(tx.events().delete_stream("log").unwrap());
    assert_eq!(tx.events().head("log").unwrap(), 0);
    tx.events().append("log", "again", 1).unwrap();
    assert_eq!(payloads(Direction::Forward), [1]);

    let child = tx.trace().record(TraceRecord::new(TraceKind::Query, "look").parent(parent)).unwrap();
    assert_eq!(tx.trace().children(parent, &ScanOptions::all()).unwrap()[0].id, child);
    assert_eq!(tx.trace().by_kind(&TraceKind::Query, &ScanOptions::all()).unwrap().len(), 1);
    tx.trace().finish(child, Some("done".into()), Some(9)).unwrap();
    tx.trace().finish(parent, None, Some(9)).unwrap();
    assert_eq!(tx.trace().list(&ScanOptions::all().reverse()).unwrap()[0].duration_micros, Some(9));
    tx.commit().unwrap();

    assert_eq!(db.json().list(&ScanOptions::all()).unwrap()[0].document, json!([1, 2]));
    assert!(!db.state().exists("old").unwrap());
    let events = db.events().range_as::<i64>("log", .., None, Direction::Forward).unwrap();
    assert_eq!(events.iter().map(|event| (event.seq, event.payload)).collect::<Vec<_>>(), [(1, 1)]);
    assert_eq!(db.trace().get(child).unwrap().unwrap().data, "done".into());
    assert!(db.verify(&mut |_| ControlFlow::Continue(())).unwrap().is_ok());
}

#[test]
fn trimming_twice_in_one_transaction_keeps_the_higher_mark() {
    let db = store();
    db.events().append_batch("log", (1..=10).map(|number| NewEvent::new("e", number))).unwrap();
    let tx = db.begin_transaction().unwrap();
    tx.events().trim("log", 8).unwrap();
    tx.events().trim("log", 3).unwrap();
    assert_eq!(tx.events().first("log").unwrap(), Some(8));
    tx.commit().unwrap();
    assert_eq!(db.events().first("log").unwrap(), Some(8));
}

#[test]
fn a_trim_in_a_transaction_spares_what_is_appended_after_it_and_takes_what_was_before() {
    type Step = fn(&foldb::Transaction<'_, MemStorage>) -> Result<()>;
    let append: Step = |tx| tx.events().append("log", "e", 0).map(|_| ());
    let delete: Step = |tx| tx.events().delete_stream("log").map(|_| ());
    let trim_all: Step = |tx| tx.events().trim("log", 1000);
    let trim_to_3: Step = |tx| tx.events().trim("log", 3);
    // The stream has one event before each of these.
    let cases: [(&[Step], &[u64]); 9] = [
        (&[append, append], &[1, 2, 3]),
        (&[trim_all], &[]),
        (&[trim_all, append, append], &[2, 3]),
        // What was appended last must stay, and the first of it stays with it.
        (&[append, trim_all, append], &[2, 3]),
        (&[append, trim_all, append, trim_all], &[]),
        (&[append, append, trim_to_3], &[3]),
        (&[trim_to_3, append, append, trim_all], &[]),
        (&[trim_all, append, trim_all], &[]),
        (&[trim_all, delete, append, append, append, trim_to_3], &[3]),
    ];
    for (number, (steps, expected)) in cases.into_iter().enumerate() {
        let db = store();
        db.events().append("log", "e", 0).unwrap();
        let tx = db.begin_transaction().unwrap();
        steps.iter().for_each(|step| step(&tx).unwrap());
        let seqs = |events: Vec<foldb::primitive::Event>| events.iter().map(|event| event.seq).collect::<Vec<_>>();
        let inside = seqs(tx.events().range("log", .., None, Direction::Forward).unwrap());
        assert_eq!(inside, expected, "inside, case {number}");
        tx.commit().unwrap();
        let committed = seqs(db.events().range("log", .., None, Direction::Forward).unwrap());
        assert_eq!(committed, expected, "committed, case {number}");
        assert!(db.verify(&mut |_| ControlFlow::Continue(())).unwrap().is_ok());
    }
}

// Threads -------------------------------------------------------------------------------------------------------------

#[test]
fn counters_of_every_type_lose_nothing_under_many_threads() {
    let db = store();
    let (threads, rounds) = (8_u32, 100_u32);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                for _ in 0..rounds {
                    let tx = db.begin_transaction().unwrap();
                    tx.kv().add_i64("i64", -3).unwrap();
                    tx.kv().add_u64("u64", 2).unwrap();
                    tx.kv().add_f64("f64", 0.25).unwrap();
                    tx.kv().add_u256("u256", U256::from(1) << 200).unwrap();
                    // No retry: an addition never conflicts.
                    tx.commit().unwrap();
                }
            });
        }
    });
    let count = threads * rounds;
    assert_eq!(db.kv().get("i64").unwrap(), Some(-3 * i64::from(count)));
    assert_eq!(db.kv().get("u64").unwrap(), Some(2 * u64::from(count)));
    assert_eq!(db.kv().get("f64").unwrap(), Some(0.25 * f64::from(count)));
    assert_eq!(db.kv().get("u256").unwrap(), Some(U256::from(count) << 200));
    assert_eq!(db.stats().unwrap().conflicts, 0);
}

#[test]
fn a_counter_that_would_leave_its_range_fails_its_transaction_and_nothing_else() {
    let db = store();
    db.kv().add_u64("u64", u64::MAX).unwrap();
    db.kv().put("text", "no number").unwrap();
    let tx = db.begin_transaction().unwrap();
    tx.kv().put("beside", 1).unwrap();
    tx.kv().add_u64("u64", 1).unwrap();
    let error = assert_kind(tx.commit(), ErrorKind::Invalid);
    assert!(matches!(error, Error::CounterOverflow { kind: "u64", .. }), "{error}");
    let error = assert_kind(db.kv().add_i64("text", 1), ErrorKind::Invalid);
    assert!(matches!(error, Error::Type { .. }), "{error}");
    assert_eq!(get(&db, "beside"), None);
    db.kv().add_u64("u64", 0).unwrap();
    db.kv().put("after", 1).unwrap();
}

#[test]
fn event_appends_of_many_threads_do_not_conflict_and_keep_each_threads_order() {
    let db = store();
    let (threads, rounds) = (8, 60);
    thread::scope(|scope| {
        for number in 0..threads {
            let db = &db;
            scope.spawn(move || {
                for round in 0..rounds {
                    let tx = db.begin_transaction().unwrap();
                    let batch = (0..3).map(|part| NewEvent::new("e", number * 10_000 + round * 10 + part));
                    tx.events().append_batch("shared", batch).unwrap();
                    tx.events().append(format!("own {number}"), "e", round).unwrap();
                    tx.commit().unwrap();
                }
            });
        }
    });
    let events = db.events().range_as::<i64>("shared", .., None, Direction::Forward).unwrap();
    assert_eq!(events.len(), usize::try_from(threads * rounds * 3).unwrap());
    assert!(events.windows(2).all(|pair| pair[0].seq + 1 == pair[1].seq), "seqs have no gaps");
    for number in 0..threads {
        let own: Vec<i64> = events.iter().map(|event| event.payload).filter(|it| it / 10_000 == number).collect();
        assert!(own.is_sorted() && own.len() == usize::try_from(rounds * 3).unwrap());
    }
    // The events of one commit stand next to each other.
    assert!(events.chunks(3).all(|three| three[0].payload + 2 == three[2].payload));
    assert!(db.events().verify_chain("shared").is_ok());
    assert_eq!(db.stats().unwrap().conflicts, 0);
}

#[test]
fn the_closure_form_runs_again_until_it_fits_under_contention() {
    let db = open(MemStorage::new(), options().retries(100_000));
    db.kv().put_many((0..4).map(|account| (format!("account/{account}"), 1000_i64))).unwrap();
    thread::scope(|scope| {
        for number in 0..4_u64 {
            let db = &db;
            scope.spawn(move || {
                let mut random = foldb_testkit::Random::new(number);
                for _ in 0..60 {
                    let (from, to) = (random.below(4), random.below(4));
                    db.transaction(|tx| {
                        let take = |account: u64, by: i64| {
                            tx.kv().update(format!("account/{account}"), |it: Option<i64>| it.unwrap_or(0) + by)
                        };
                        take(from, -7)?;
                        take(to, 7)?;
                        let pairs = tx.kv().scan_as::<i64>(&ScanOptions::prefix("account/"))?;
                        assert_eq!(pairs.iter().map(|pair| pair.value).sum::<i64>(), 4000, "inside a transaction");
                        Ok(())
                    })
                    .unwrap();
                    let total: i64 =
                        db.view().kv().scan_as::<i64>(&ScanOptions::all()).unwrap().iter().map(|it| it.value).sum();
                    assert_eq!(total, 4000, "in a view");
                }
            });
        }
    });
}

#[test]
fn a_closure_that_never_fits_gives_the_conflict_after_its_retries() {
    let db = store_with(&[("a", 0)]);
    let attempts = AtomicU32::new(0);
    let options = TransactionOptions::new().retries(3);
    let result = db.transaction_with(&options, |tx| {
        let attempt = attempts.fetch_add(1, Ordering::Relaxed) + 1;
        let seen: i64 = tx.kv().get("a")?.unwrap();
        db.kv().put("a", i64::from(attempt))?;
        tx.kv().put("a", seen + 100)
    });
    let error = assert_kind(result, ErrorKind::Conflict);
    assert!(error.to_string().contains('a') && matches!(error, Error::Conflict { .. }), "{error}");
    assert_eq!(attempts.load(Ordering::Relaxed), 4, "once, and three times again");
    assert_eq!(get(&db, "a"), Some(4));
    let stats = db.stats().unwrap();
    assert_eq!((stats.conflicts, stats.retries), (4, 3));
}

#[test]
fn an_error_of_the_closure_is_returned_at_once_and_nothing_is_committed() {
    let db = store();
    let mut attempts = 0;
    let result: Result<()> = db.transaction(|tx| {
        attempts += 1;
        tx.kv().put("a", 1)?;
        tx.events().append("log", "e", 1)?;
        Err(Error::Invalid { what: "order", why: "sold out".into() })
    });
    assert_kind(result, ErrorKind::Invalid);
    assert_eq!((attempts, get(&db, "a"), db.view().seq()), (1, None, 0));
}

// Atomicity -----------------------------------------------------------------------------------------------------------

fn begin<S: Storage>(db: &Db<S>, name: &str) -> foldb::RunId {
    db.runs().begin(RunOptions::named(name)).unwrap().id()
}

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

// Savepoints ----------------------------------------------------------------------------------------------------------

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

// Preconditions -------------------------------------------------------------------------------------------------------

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

// Idempotency ---------------------------------------------------------------------------------------------------------

fn once<S: Storage>(db: &Db<S>, key: &str) -> Receipt {
    let options = TransactionOptions::new().idempotency_key(key);
    db.transaction_with(&options, |tx| tx.kv().add_i64("times", 1)).unwrap().1
}

#[test]
fn an_idempotency_key_makes_a_commit_happen_once_in_one_process() {
    let db = store();
    let first = once(&db, "order 17");
    let again = once(&db, "order 17");
    assert_eq!((again.seq, again.deduplicated, first.deduplicated), (first.seq, true, false));
    once(&db, "order 18");
    assert_eq!(get(&db, "times"), Some(2));
    // A transaction that failed has not used its key.
    let options = TransactionOptions::new().idempotency_key("order 19");
    let tx = db.begin_transaction_with(&options).unwrap();
    tx.kv().get::<i64>("times").unwrap();
    tx.kv().put("x", 1).unwrap();
    db.kv().add_i64("times", 1).unwrap();
    assert_conflict(tx.commit());
    assert!(!once(&db, "order 19").deduplicated);
    // The key alone counts, also without writes.
    let marker = TransactionOptions::new().idempotency_key("seen");
    assert!(!db.transaction_with(&marker, |_| Ok(())).unwrap().1.deduplicated);
    assert!(db.transaction_with(&marker, |_| Ok(())).unwrap().1.deduplicated);
    let long = TransactionOptions::new().idempotency_key([0; 300]);
    assert_kind(db.transaction_with(&long, |_| Ok(())), ErrorKind::Limit);
}

#[test]
fn an_idempotency_key_survives_reopening_a_crash_and_a_snapshot_in_between() {
    let strict = || options().durability(Durability::Strict).segment_bytes(4096);
    let disk = CrashStorage::new();
    let db = open(disk.clone(), strict());
    let first = once(&db, "before everything");
    for number in 0..200 {
        once(&db, &format!("filler {number}"));
    }
    db.snapshot().unwrap();
    once(&db, "after the snapshot");
    db.close().unwrap();

    let db = open(disk.clone(), strict());
    let again = once(&db, "before everything");
    assert!(again.deduplicated && again.seq == first.seq);
    assert!(once(&db, "after the snapshot").deduplicated);
    assert!(once(&db, "filler 0").deduplicated);
    let last = once(&db, "just before the crash");
    std::mem::forget(db);
    let image = disk.crash_point(disk.operation_count()).nothing_survives();

    let db = open(image.to_memory(), strict());
    for key in ["before everything", "after the snapshot", "filler 199"] {
        assert!(once(&db, key).deduplicated, "{key}");
    }
    let again = once(&db, "just before the crash");
    assert!(again.deduplicated && again.seq == last.seq);
    assert_eq!(get(&db, "times"), Some(203));
    assert_eq!(db.stats().unwrap().idempotency_keys, 203);
}

// Durability ----------------------------------------------------------------------------------------------------------

#[test]
fn a_strict_transaction_in_a_buffered_store_is_durable_when_it_returns_with_all_before_it() {
    let disk = CrashStorage::new();
    let db = open(disk.clone(), options());
    db.kv().put("buffered before", 1).unwrap();
    let strict = TransactionOptions::new().durability(Durability::Strict);
    let ((), receipt) = db.transaction_with(&strict, |tx| tx.kv().put("strict", 1)).unwrap();
    assert!(receipt.durable);
    assert_eq!(db.durable_seq(), receipt.seq);
    let ((), later) = db.transaction_with(&TransactionOptions::new(), |tx| tx.kv().put("buffered after", 1)).unwrap();
    assert!(!later.durable);
    let image = disk.crash_point(disk.operation_count()).nothing_survives();
    std::mem::forget(db);
    let db = open(image.to_memory(), options());
    assert_eq!((get(&db, "buffered before"), get(&db, "strict"), get(&db, "buffered after")), (Some(1), Some(1), None));
}

#[test]
fn a_buffered_transaction_in_a_strict_store_shows_at_once_where_nothing_strict_is_pending() {
    let disk = CrashStorage::new();
    let db = open(disk.clone(), options().durability(Durability::Strict));
    db.kv().put("strict", 1).unwrap();
    let buffered = TransactionOptions::new().durability(Durability::buffered());
    let operations = disk.operation_count();
    let ((), receipt) = db.transaction_with(&buffered, |tx| tx.kv().put("buffered", 1)).unwrap();
    assert!(!receipt.durable);
    assert_eq!(get(&db, "buffered"), Some(1));
    assert_eq!(disk.operation_count(), operations, "nothing was written yet");
    db.wait_durable(receipt.seq).unwrap();
    assert!(db.durable_seq() >= receipt.seq);
    let image = disk.crash_point(disk.operation_count()).nothing_survives();
    std::mem::forget(db);
    assert_eq!(get(&open(image.to_memory(), options()), "buffered"), Some(1));
}

#[test]
fn a_buffered_transaction_behind_a_strict_one_shows_together_with_it() {
    let storage = Gated::default();
    let db = open(storage.clone(), options().durability(Durability::Strict));
    db.kv().put("a", 1).unwrap();
    storage.gate.close();
    thread::scope(|scope| {
        let strict = scope.spawn(|| db.kv().put("strict", 1));
        storage.gate.wait_for_a_sync();
        let buffered = TransactionOptions::new().durability(Durability::buffered());
        let ((), receipt) = db.transaction_with(&buffered, |tx| tx.kv().put("buffered", 1)).unwrap();
        assert!(!receipt.durable);
        // It may rest on the strict one, which is not promised yet.
        assert_eq!((get(&db, "strict"), get(&db, "buffered")), (None, None));
        storage.gate.open();
        strict.join().unwrap().unwrap();
        assert_eq!((get(&db, "strict"), get(&db, "buffered")), (Some(1), Some(1)));
    });
}

#[test]
fn commits_of_several_threads_share_a_sync() {
    let storage = Gated::default();
    let db = open(storage.clone(), options().durability(Durability::Strict));
    db.kv().put("first", 1).unwrap();
    let syncs = db.stats().unwrap().syncs.count;
    storage.gate.close();
    thread::scope(|scope| {
        let leader = scope.spawn(|| db.kv().put("leader", 1));
        storage.gate.wait_for_a_sync();
        let followers: Vec<_> = (0..8)
            .map(|number| {
                let db = &db;
                scope.spawn(move || db.kv().put(format!("follower {number}"), 1))
            })
            .collect();
        // All of them are applied before the leader's sync returns.
        while db.stats().unwrap().commits < 10 {
            thread::yield_now();
        }
        storage.gate.open();
        leader.join().unwrap().unwrap();
        followers.into_iter().for_each(|follower| follower.join().unwrap().unwrap());
    });
    assert_eq!(db.stats().unwrap().syncs.count - syncs, 2, "the leader's, and one for all others");
}

#[test]
fn a_transaction_in_memory_cannot_be_asked_of_a_store_with_a_log() {
    let db = store();
    let options = TransactionOptions::new().durability(Durability::InMemory);
    assert_kind(db.transaction_with(&options, |tx| tx.kv().put("a", 1)), ErrorKind::Unsupported);
}

// Views and iteration -------------------------------------------------------------------------------------------------

#[test]
fn a_view_stays_the_same_while_ten_thousand_commits_go_on() {
    let db = store();
    db.kv().put_many((0..500).map(|number| (format!("key/{number:04}"), 0_i64))).unwrap();
    db.events().append("log", "e", 0).unwrap();
    let view = db.view();
    let (seq, digest) = (view.seq(), view.default_space().digest().unwrap());
    let pairs = view.kv().scan(&ScanOptions::all()).unwrap();
    thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for number in 0..10_000_i64 {
                match number % 4 {
                    0 => db.kv().put(format!("key/{:04}", number % 500), number).unwrap(),
                    1 => db.kv().remove(format!("key/{:04}", number % 333)).unwrap(),
                    2 => db.kv().put(format!("new/{number}"), number).unwrap(),
                    _ => drop(db.events().append("log", "e", number).unwrap()),
                }
            }
        });
        let mut rounds = 0;
        while !writer.is_finished() || rounds < 3 {
            assert_eq!(view.kv().scan(&ScanOptions::all()).unwrap(), pairs);
            rounds += 1;
        }
    });
    assert_eq!((view.seq(), view.default_space().digest().unwrap()), (seq, digest));
    assert_eq!(db.view().seq(), seq + 10_000);
    assert_eq!(view.events().head("log").unwrap(), 1);
}

#[test]
fn writing_while_iterating_is_a_typed_error_and_no_panic() {
    let db = store_with(&[("a", 1), ("b", 1)]);
    db.events().append("log", "e", 1).unwrap();
    db.trace().record(TraceRecord::new(TraceKind::Thought, "t")).unwrap();
    let id = begin(&db, "run");
    let tx = db.begin_transaction().unwrap();
    let savepoint = tx.savepoint();
    let mut tried = 0;
    tx.kv()
        .for_each(&KeyRange::all(), Direction::Forward, |_, _| {
            tried += 1;
            let invalid = |result: Result<()>| drop(assert_kind(result, ErrorKind::Invalid));
            invalid(tx.kv().put("c", 1));
            invalid(tx.kv().add_i64("c", 1));
            invalid(tx.json().set("c", &json!(1)));
            invalid(tx.events().append("log", "e", 1).map(|_| ()));
            invalid(tx.state().set("c", 1).map(|_| ()));
            invalid(tx.trace().record(TraceRecord::new(TraceKind::Thought, "t")).map(|_| ()));
            invalid(tx.runs().begin(RunOptions::named("r")).map(|_| ()));
            invalid(tx.runs().end(id, None));
            invalid(tx.rollback_to(&savepoint));
            // Reading is fine, also in a loop in the loop.
            assert_eq!(tx.kv().get::<i64>("a").unwrap(), Some(1));
            assert_eq!(tx.kv().keys(&ScanOptions::all()).unwrap().len(), 2);
            assert_eq!(tx.events().head("log").unwrap(), 1);
            drop(tx.savepoint());
            // And so is another transaction.
            db.kv().put(format!("meanwhile {tried}"), 1).unwrap();
            ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!(tried, 2);
    tx.kv().put("c", 1).unwrap();
    assert_conflict(tx.commit());
}

// Limits --------------------------------------------------------------------------------------------------------------

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

#[test]
fn a_transaction_that_is_too_large_is_an_error_and_can_still_go_back() {
    let db = store_with(&[("a", 1)]);
    let tx = db.begin_transaction().unwrap();
    tx.kv().put("small", 1).unwrap();
    let savepoint = tx.savepoint();
    let value = vec![0_u8; VALUE_BYTES_MAX - 64];
    let mut batch = EventBatch::new();
    batch.push("e", &value).unwrap();
    let mut error = None;
    for number in 0..=TRANSACTION_BYTES_MAX / value.len() {
        // Deleting the stream frees the memory; the transaction is only ever estimated upwards.
        if let Err(refused) = tx.events().append_encoded("log", &batch) {
            error = Some((number, refused));
            break;
        }
        tx.events().delete_stream("log").unwrap();
    }
    let (number, error) = error.expect("a gibibyte is too much");
    assert!(number > 60 && error.kind() == ErrorKind::Limit, "{number}: {error}");
    tx.rollback_to(&savepoint).unwrap();
    tx.commit().unwrap();
    assert_eq!(get(&db, "small"), Some(1));
}

// A storage whose syncs wait ------------------------------------------------------------------------------------------

/// A storage in memory whose syncs wait while its gate is closed.
#[derive(Clone, Default)]
struct Gated {
    files: MemStorage,
    gate: Arc<Gate>,
}

struct GatedFile {
    file: MemFile,
    gate: Arc<Gate>,
}

#[derive(Default)]
struct Gate {
    /// Whether it is closed, and how many syncs wait.
    state: Mutex<(bool, u32)>,
    changed: Condvar,
}

impl Gate {
    fn close(&self) {
        self.state.lock().unwrap().0 = true;
    }

    fn open(&self) {
        self.state.lock().unwrap().0 = false;
        self.changed.notify_all();
    }

    fn pass(&self) {
        let mut state = self.state.lock().unwrap();
        state.1 += 1;
        self.changed.notify_all();
        while state.0 {
            state = self.changed.wait(state).unwrap();
        }
        state.1 -= 1;
    }

    fn wait_for_a_sync(&self) {
        let mut state = self.state.lock().unwrap();
        while state.1 == 0 {
            state = self.changed.wait(state).unwrap();
        }
    }
}

impl Gated {
    fn file(&self, file: MemFile) -> GatedFile {
        GatedFile { file, gate: Arc::clone(&self.gate) }
    }
}

impl Storage for Gated {
    type File = GatedFile;

    fn list(&self) -> Result<Vec<String>, StorageError> {
        self.files.list()
    }

    fn create(&self, name: &str) -> Result<GatedFile, StorageError> {
        self.files.create(name).map(|file| self.file(file))
    }

    fn open(&self, name: &str) -> Result<GatedFile, StorageError> {
        self.files.open(name).map(|file| self.file(file))
    }

    fn remove(&self, name: &str) -> Result<(), StorageError> {
        self.files.remove(name)
    }
}

impl StorageFile for GatedFile {
    fn len(&self) -> Result<u64, StorageError> {
        self.file.len()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, StorageError> {
        self.file.read_at(offset, buffer)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), StorageError> {
        self.file.write_at(offset, bytes)
    }

    fn set_len(&self, len: u64) -> Result<(), StorageError> {
        self.file.set_len(len)
    }

    fn sync(&self) -> Result<(), StorageError> {
        self.gate.pass();
        self.file.sync()
    }
}
