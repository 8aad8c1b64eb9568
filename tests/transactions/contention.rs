//! Transactions of many threads: what must not depend on how they meet.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    thread,
};

use foldb::{
    TransactionOptions,
    primitive::{NewEvent, ScanOptions},
    tree::Direction,
};
use ruint::aliases::U256;

use super::*;

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

/// A retry used to come back at once to the version that had just been found too old: what is committed strictly shows only
/// after its sync, and sixty-four attempts were over long before that. The user got a conflict that was none.
#[test]
fn strict_closures_that_meet_wait_for_what_they_lost_to_and_all_commit() {
    let storage = durability::Gated::default();
    let db = open(storage.clone(), options().durability(Durability::Strict));
    db.kv().put("sum", 0).unwrap();
    storage.gate.close();
    let add = || db.kv().update("sum", |sum: Option<i64>| sum.unwrap_or(0) + 1).map(drop);
    thread::scope(|scope| {
        let first = scope.spawn(add);
        storage.gate.wait_for_a_sync();
        // The first is committed and does not show yet: whatever the second reads is out of date until the sync returns.
        let second = scope.spawn(add);
        while db.stats().unwrap().conflicts == 0 {
            thread::yield_now();
        }
        // Time enough for all the attempts that there are, if nobody waits.
        for _ in 0..10_000 {
            thread::yield_now();
        }
        storage.gate.open();
        first.join().unwrap().unwrap();
        second.join().unwrap().unwrap();
    });
    assert_eq!(get(&db, "sum"), Some(2));
    assert!(db.stats().unwrap().conflicts <= 2, "nobody tries again before it can succeed");
}
