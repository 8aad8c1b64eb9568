//! Views and iteration: what stays the same while others write.

use std::{ops::ControlFlow, thread};

use foldb::{
    Direction, KeyRange,
    primitive::{ScanOptions, TraceKind, TraceRecord},
};
use serde_json::json;

use super::*;

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
        .for_each(KeyRange::all(), Direction::Forward, |_, _| {
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
