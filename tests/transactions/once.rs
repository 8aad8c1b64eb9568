//! Done once: a key is looked up before the closure runs, and what came of it is given back, over crashes and for as long as
//! the window says.

use std::{ops::ControlFlow, thread, time::Duration};

use foldb::{RunId, Seen, TransactionOptions, limits::RESULT_BYTES_MAX};
use foldb_testkit::crash::CrashStorage;

use super::*;

/// Pays 80 of what is there, which can be done once only.
fn pay<S: Storage>(db: &Db<S>, options: &TransactionOptions) -> Result<(i64, Receipt)> {
    db.once_with(options, |tx| {
        let left = tx.kv().get_or("balance", 0_i64)? - 80;
        if left < 0 {
            return Err(Error::Invalid { what: "payment", why: format!("only {} there", left + 80) });
        }
        tx.kv().put("balance", left)?;
        Ok(left)
    })
}

fn keyed(key: &str) -> TransactionOptions {
    TransactionOptions::new().idempotency_key(key)
}

/// The next ticket, under a key.
fn ticket<S: Storage>(db: &Db<S>, key: &str) -> i64 {
    db.once(key, |tx| {
        tx.kv().add_i64("tickets", 1)?;
        tx.kv().get_or("tickets", 0)
    })
    .unwrap()
}

#[test]
fn a_payment_that_was_made_is_not_found_impossible_because_it_was_made() {
    let db = store_with(&[("balance", 100)]);
    let (left, first) = pay(&db, &keyed("payment 4711")).unwrap();
    let (again, second) = pay(&db, &keyed("payment 4711")).unwrap();
    assert_eq!((left, again, get(&db, "balance")), (20, 20, Some(20)));
    assert_eq!((first.seq, first.deduplicated), (second.seq, !second.deduplicated));
    assert_kind(pay(&db, &keyed("payment 4712")), ErrorKind::Invalid);
    // A closure that failed has not used its key.
    assert_eq!(db.seen("payment 4712"), Seen::Unknown { since: 1 });
    db.kv().put("balance", 100).unwrap();
    assert_eq!(pay(&db, &keyed("payment 4712")).unwrap().0, 20);
}

#[test]
fn a_ticket_that_was_given_out_is_the_same_ticket_when_it_is_asked_for_again() {
    let db = store();
    let tickets: Vec<_> = (0..10).map(|number| ticket(&db, &format!("person {number}"))).collect();
    assert_eq!(tickets, (1..=10).collect::<Vec<_>>());
    assert_eq!(ticket(&db, "person 3"), 4);
    assert_eq!(get(&db, "tickets"), Some(10));
}

#[test]
fn a_run_that_was_begun_under_a_key_is_the_run_that_is_given_back() {
    let db = store();
    let begin = || -> RunId {
        db.once("run of today", |tx| tx.runs().begin(RunOptions::named("today")).map(|run| run.id())).unwrap()
    };
    let id = begin();
    assert_eq!(begin(), id);
    assert_eq!(db.runs().get(id).unwrap().info().unwrap().name, "today");
}

#[test]
fn the_closure_of_a_known_key_does_not_run_in_any_form() {
    let db = store();
    ticket(&db, "known");
    let untouched = |_: &foldb::Transaction<'_, MemStorage>| -> Result<i64> { panic!("it was done before") };
    assert_eq!(db.once("known", untouched).unwrap(), 1);
    let error = db.transaction_with(&keyed("known"), untouched).unwrap_err();
    assert!(matches!(&error, Error::AlreadyDone { key, seq: 1 } if key == "known"), "{error}");
    assert_eq!(error.kind(), ErrorKind::AlreadyDone);
}

#[test]
fn other_contents_under_a_key_are_an_error_and_so_is_another_type() {
    let db = store_with(&[("balance", 100)]);
    let with = |contents: &[u8]| keyed("payment").fingerprint(contents);
    pay(&db, &with(b"80 to Ada")).unwrap();
    pay(&db, &with(b"80 to Ada")).unwrap();
    for other in [b"80 to Bob".as_slice(), b""] {
        let error = pay(&db, &with(other)).unwrap_err();
        assert!(matches!(&error, Error::KeyReused { seq: 2, .. }), "{error}");
        assert_eq!(error.kind(), ErrorKind::Precondition);
        let tx = db.begin_transaction_with(&with(other)).unwrap();
        tx.kv().put("x", 1).unwrap();
        assert_kind(tx.commit(), ErrorKind::Precondition);
    }
    assert_kind(db.once::<String, Error>("payment", |_| unreachable!()), ErrorKind::Precondition);
    db.once("number", |_| Ok::<_, Error>(7)).unwrap();
    assert_kind(db.once::<String, Error>("number", |_| unreachable!()), ErrorKind::Invalid);
    // One that was committed without a result has none to give back.
    db.transaction_with(&keyed("plain"), |_| Ok::<_, Error>(())).unwrap();
    assert!(matches!(db.once("plain", |_| Ok::<_, Error>(1)), Err(Error::KeyReused { .. })));
    assert_eq!(get(&db, "x"), None);
}

#[test]
fn keys_fingerprints_and_results_have_limits_that_errors_name() {
    let db = store();
    let long = TransactionOptions::new().idempotency_key([0; 257]);
    assert_kind(db.transaction_with(&long, |_| Ok(())), ErrorKind::Limit);
    assert_kind(db.transaction_with(&keyed("k").fingerprint([0; 65]), |_| Ok(())), ErrorKind::Limit);
    let large = "x".repeat(RESULT_BYTES_MAX);
    let error = assert_kind(db.once("k", |tx| tx.kv().put("a", 1).map(|()| large.clone())), ErrorKind::Limit);
    assert!(error.to_string().contains("4096"), "{error}");
    assert_eq!(get(&db, "a"), None, "nothing was done");
    let fits = "x".repeat(RESULT_BYTES_MAX - 3);
    assert_eq!(db.once("k", |_| Ok::<_, Error>(fits.clone())).unwrap(), fits);
    assert_kind(db.once_with(&TransactionOptions::new(), |_| Ok(())), ErrorKind::Invalid);
}

#[test]
fn results_survive_reopening_a_crash_and_a_snapshot_in_between() {
    let strict = || options().durability(Durability::Strict).segment_bytes(4096);
    let disk = CrashStorage::new();
    let db = open(disk.clone(), strict());
    for number in 0..200 {
        ticket(&db, &format!("person {number}"));
    }
    db.snapshot().unwrap();
    ticket(&db, "after the snapshot");
    db.close().unwrap();

    let db = open(disk.clone(), strict());
    assert_eq!((ticket(&db, "person 0"), ticket(&db, "after the snapshot")), (1, 201));
    assert_eq!(ticket(&db, "just before the crash"), 202);
    std::mem::forget(db);
    let image = disk.crash_point(disk.operation_count()).nothing_survives();

    let db = open(image.to_memory(), strict());
    for (key, expected) in [("person 199", 200), ("after the snapshot", 201), ("just before the crash", 202)] {
        assert_eq!(ticket(&db, key), expected, "{key}");
    }
    assert_eq!((get(&db, "tickets"), db.stats().unwrap().idempotency_keys), (Some(202), 202));
}

#[test]
fn the_window_ends_by_count_and_by_age_and_its_end_is_said() {
    let storage = MemStorage::new();
    let host = Arc::new(SeededHost::new(1));
    let db = Db::open(storage.clone(), Arc::clone(&host) as Arc<_>, options()).unwrap();
    db.set_idempotency_window(3, Some(Duration::from_secs(3600))).unwrap();
    let seq = db.view().seq();
    db.set_idempotency_window(3, Some(Duration::from_secs(3600))).unwrap();
    assert_eq!(db.view().seq(), seq, "nothing is committed where it is so already");
    for number in 1..=5 {
        ticket(&db, &format!("person {number}"));
    }
    let window = db.idempotency_window();
    assert_eq!((window.keys, window.keys_max, window.since), (3, 3, seq + 3));
    assert_eq!(db.seen("person 2"), Seen::Unknown { since: seq + 3 });
    assert!(matches!(db.seen("person 3"), Seen::Committed { seq: at, .. } if at == seq + 3));
    db.close().unwrap();

    // Another process finds the same bounds, without being told, and from a snapshot too.
    let db = Db::open(storage.clone(), Arc::clone(&host) as Arc<_>, options()).unwrap();
    assert_eq!(db.idempotency_window(), window);
    db.snapshot().unwrap();
    db.close().unwrap();
    let db = Db::open(storage, Arc::clone(&host) as Arc<_>, options()).unwrap();
    assert_eq!(db.idempotency_window(), window);
    host.set_clock(foldb::host::Host::now_micros(&*host) + 3601 * 1_000_000);
    assert_eq!(ticket(&db, "person 5"), 5, "it is remembered until a younger one comes");
    ticket(&db, "person 6");
    assert_eq!(db.idempotency_window().keys, 1, "an hour later only the new one is left");
    assert_eq!(ticket(&db, "person 5"), 7, "it was forgotten, and is done again");
    for wrong in [(0, None), (1, Some(Duration::ZERO))] {
        assert_kind(db.set_idempotency_window(wrong.0, wrong.1), ErrorKind::Invalid);
    }
    assert_kind(db.set_idempotency_window(1 << 21, None), ErrorKind::Limit);
}

#[test]
fn threads_that_do_the_same_thing_get_one_answer() {
    let db = store_with(&[("balance", 100)]);
    for round in 0..50 {
        let key = format!("round {round}");
        let answers: Vec<i64> = thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| ticket(&db, &key))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(answers.iter().all(|answer| *answer == round + 1), "{answers:?}");
    }
    assert_eq!(get(&db, "tickets"), Some(50));
}

#[test]
fn a_replay_and_a_verification_have_the_window_in_them() {
    let db = store();
    db.set_idempotency_window(2, None).unwrap();
    for number in 0..5 {
        ticket(&db, &format!("person {number}"));
    }
    assert!(db.verify(&mut |_| ControlFlow::Continue(())).unwrap().is_ok());
}
