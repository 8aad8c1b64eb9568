//! When a commit is durable and when it shows, with a storage whose syncs wait.

use std::thread;

use foldb::TransactionOptions;
use foldb_testkit::{
    Syncs,
    crash::{CrashStorage, Effect, Fault, OperationKind},
};

use super::*;

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
    let storage = Syncs::default();
    let db = open(storage.clone(), options().durability(Durability::Strict));
    db.kv().put("a", 1).unwrap();
    storage.hold();
    thread::scope(|scope| {
        let strict = scope.spawn(|| db.kv().put("strict", 1));
        storage.wait_for_one();
        let buffered = TransactionOptions::new().durability(Durability::buffered());
        let ((), receipt) = db.transaction_with(&buffered, |tx| tx.kv().put("buffered", 1)).unwrap();
        assert!(!receipt.durable);
        // It may rest on the strict one, which is not promised yet.
        assert_eq!((get(&db, "strict"), get(&db, "buffered")), (None, None));
        storage.let_go();
        strict.join().unwrap().unwrap();
        assert_eq!((get(&db, "strict"), get(&db, "buffered")), (Some(1), Some(1)));
    });
}

fn relaxed() -> TransactionOptions {
    TransactionOptions::new().durability(Durability::relaxed())
}

/// What the next process finds, after this one was killed.
fn after_a_kill(disk: &CrashStorage, db: Db<CrashStorage>) -> Db<MemStorage> {
    let image = disk.live_image();
    std::mem::forget(db);
    open(image.to_memory(), options())
}

#[test]
fn a_relaxed_commit_is_with_the_system_when_it_returns_and_not_on_stable_media() {
    let disk = CrashStorage::new();
    let db = open(disk.clone(), options().durability(Durability::relaxed()));
    db.kv().put("first", 1).unwrap();
    let ((), receipt) = db.transaction_with(&TransactionOptions::new(), |tx| tx.kv().put("second", 2)).unwrap();
    assert!(!receipt.durable);
    assert_eq!((db.durable_seq(), db.stats().unwrap().pending_bytes), (0, 0));
    let power_cut = open(disk.crash_point(disk.operation_count()).nothing_survives().to_memory(), options());
    assert_eq!(power_cut.view().seq(), 0, "only the interval bounds what a power cut takes");
    let killed = after_a_kill(&disk, db);
    assert_eq!((get(&killed, "first"), get(&killed, "second")), (Some(1), Some(2)));
}

#[test]
fn a_relaxed_commit_takes_along_what_was_buffered_before_it_in_one_write() {
    for durability in [Durability::Strict, Durability::buffered()] {
        let disk = CrashStorage::new();
        let db = open(disk.clone(), options().durability(durability));
        db.kv().put("first", 1).unwrap();
        db.sync().unwrap();
        let buffered = TransactionOptions::new().durability(Durability::buffered());
        db.transaction_with(&buffered, |tx| tx.kv().put("buffered", 2)).unwrap();
        let operations = disk.operation_count();
        db.transaction_with(&relaxed(), |tx| tx.kv().put("relaxed", 3)).unwrap();
        assert_eq!(disk.operation_count(), operations + 1, "one write, and no sync");
        let killed = after_a_kill(&disk, db);
        assert_eq!((get(&killed, "buffered"), get(&killed, "relaxed")), (Some(2), Some(3)));
    }
}

#[test]
fn a_relaxed_transaction_that_was_done_before_is_with_the_system_when_it_is_answered() {
    let answers: [fn(&Db<CrashStorage>, &TransactionOptions) -> Receipt; 2] = [
        |db, options| db.once_with(options, |_| Ok::<_, Error>(1)).unwrap().1,
        |db, options| {
            let transaction = db.begin_transaction_with(options).unwrap();
            transaction.kv().put("once", 2).unwrap();
            transaction.commit().unwrap()
        },
    ];
    for answer in answers {
        let disk = CrashStorage::new();
        let db = open(disk.clone(), options());
        let first = TransactionOptions::new().idempotency_key("key");
        db.once_with(&first, |tx| tx.kv().put("once", 1).map(|()| 1)).unwrap();
        assert!(db.stats().unwrap().pending_bytes > 0, "it is buffered");
        assert!(answer(&db, &relaxed().idempotency_key("key")).deduplicated);
        assert_eq!(get(&after_a_kill(&disk, db), "once"), Some(1));
    }
}

#[test]
fn a_strict_transaction_in_a_relaxed_store_and_a_barrier_are_on_stable_media() {
    let disk = CrashStorage::new();
    let db = open(disk.clone(), options().durability(Durability::relaxed()));
    db.kv().put("relaxed", 1).unwrap();
    let strict = TransactionOptions::new().durability(Durability::Strict);
    assert!(db.transaction_with(&strict, |tx| tx.kv().put("strict", 2)).unwrap().1.durable);
    db.kv().put("barrier", 3).unwrap();
    assert_eq!(db.sync().unwrap(), 3);
    db.kv().put("behind", 4).unwrap();
    let db = open(disk.crash_point(disk.operation_count()).nothing_survives().to_memory(), options());
    assert_eq!(["relaxed", "strict", "barrier", "behind"].map(|key| get(&db, key)), [Some(1), Some(2), Some(3), None]);
}

#[test]
fn a_relaxed_commit_does_not_wait_for_a_sync_that_is_under_way_nor_does_that_sync_speak_for_it() {
    for durability in [Durability::relaxed(), Durability::Strict] {
        let storage = Syncs::default();
        let db = open(storage.clone(), options().durability(durability));
        db.transaction_with(&relaxed(), |tx| tx.kv().put("before", 1)).unwrap();
        storage.hold();
        thread::scope(|scope| {
            let barrier = scope.spawn(|| db.sync());
            storage.wait_for_one();
            let ((), receipt) = db.transaction_with(&relaxed(), |tx| tx.kv().put("meanwhile", 2)).unwrap();
            let (pending, shown) = (db.stats().unwrap().pending_bytes, get(&db, "meanwhile"));
            storage.let_go();
            assert_eq!((receipt.seq, receipt.durable, shown), (2, false, Some(2)));
            assert_eq!(pending, 0, "the system has it");
            assert_eq!(barrier.join().unwrap().unwrap(), 1);
        });
        assert_eq!(db.durable_seq(), 1);
        db.sync().unwrap();
        assert_eq!(db.durable_seq(), 2);
    }
}

#[test]
fn a_relaxed_commit_whose_write_fails_midway_is_of_unknown_outcome_and_the_last_one() {
    for effect in [Effect::Nothing, Effect::Prefix(30), Effect::Whole] {
        let disk = CrashStorage::new();
        let db = open(disk.clone(), options().durability(Durability::relaxed()));
        db.kv().put("before", 1).unwrap();
        disk.inject(Fault::on(OperationKind::Write).of_files("log-").after(effect));
        assert_kind(db.kv().put("failed", 2), ErrorKind::OutcomeUnknown);
        disk.clear_faults();
        assert_kind(db.kv().put("behind", 3), ErrorKind::Poisoned);
        assert_kind(db.sync(), ErrorKind::Poisoned);
        assert_eq!(db.durable_seq(), 0);
        let killed = after_a_kill(&disk, db);
        let is_whole = matches!(effect, Effect::Whole);
        assert_eq!(get(&killed, "before"), Some(1), "what had returned is there");
        assert_eq!((get(&killed, "failed"), get(&killed, "behind")), (is_whole.then_some(2), None));
    }
}

/// The bytes of a write that failed counted as on their way, and the next relaxed commit waited for them: for ever.
#[test]
fn a_relaxed_commit_behind_a_failed_write_of_somebody_else_is_refused_and_does_not_wait() {
    for first in [Durability::buffered(), Durability::Strict] {
        let disk = CrashStorage::new();
        let db = open(disk.clone(), options().durability(first));
        db.kv().put("before", 1).unwrap();
        disk.inject(Fault::on(OperationKind::Write).of_files("log-"));
        let failed = db.kv().put("failed", 2).and_then(|()| db.sync().map(drop));
        assert_kind(failed, ErrorKind::OutcomeUnknown);
        let refused = db.transaction_with(&relaxed(), |tx| tx.kv().put("behind", 3)).map(drop);
        assert_kind(refused, ErrorKind::Poisoned);
    }
}

#[test]
fn a_relaxed_transaction_of_a_store_in_memory_is_one_like_any_other() {
    let db = open(MemStorage::new(), options().durability(Durability::InMemory));
    let ((), receipt) = db.transaction_with(&relaxed(), |tx| tx.kv().put("a", 1)).unwrap();
    assert!(!receipt.durable);
    assert_eq!(get(&db, "a"), Some(1));
}

#[test]
fn commits_of_several_threads_share_a_sync() {
    let storage = Syncs::default();
    let db = open(storage.clone(), options().durability(Durability::Strict));
    db.kv().put("first", 1).unwrap();
    let syncs = db.stats().unwrap().syncs.count;
    storage.hold();
    thread::scope(|scope| {
        let leader = scope.spawn(|| db.kv().put("leader", 1));
        storage.wait_for_one();
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
        storage.let_go();
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
