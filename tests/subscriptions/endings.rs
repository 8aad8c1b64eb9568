//! How subscriptions end.

use foldb::storage::StorageError;

use super::{slow::Woken, *};

#[test]
fn a_store_that_is_closed_ends_its_subscriptions_after_what_there_was() {
    let db = store();
    let mut commits = db.subscribe(ChangeFilter::all()).unwrap();
    let mut waited = db.subscribe(ChangeFilter::all()).unwrap();
    db.kv().put("a", 1).unwrap();
    db.close().unwrap();
    assert_eq!(commits.by_ref().map(|commit| commit.unwrap().seq()).collect::<Vec<_>>(), [1]);
    assert!(commits.is_over() && commits.next().is_none());
    assert_eq!(waited.next_timeout(Duration::MAX).unwrap().map(|commit| commit.seq()), Some(1));
    assert_eq!(waited.next_timeout(Duration::MAX).unwrap_err().kind(), ErrorKind::Unsupported);
}

#[test]
fn a_thread_that_waits_wakes_when_the_store_is_dropped() {
    let db = store();
    let mut commits = db.subscribe(ChangeFilter::all()).unwrap();
    let waiting = std::thread::spawn(move || commits.next().is_none());
    drop(db);
    assert!(waiting.join().unwrap());
}

#[test]
fn a_task_that_waits_is_woken_when_the_store_ends() {
    let db = store();
    let mut commits = db.subscribe(ChangeFilter::all()).unwrap();
    let woken = Arc::new(Woken::default());
    let waker = std::task::Waker::from(Arc::clone(&woken));
    let mut context = std::task::Context::from_waker(&waker);
    assert!(commits.poll_next(&mut context).is_pending());
    drop(db);
    assert_eq!(woken.count(), 1);
    assert!(matches!(commits.poll_next(&mut context), std::task::Poll::Ready(None)));
}

#[test]
fn a_failed_sync_ends_subscriptions_with_its_cause_and_without_the_commit() {
    for writes in [1_u64, 200] {
        let disk = Syncs::default();
        let db = open(disk.clone(), STRICT);
        db.kv().put("first", 0).unwrap();
        let mut commits = db.subscribe(ChangeFilter::all()).unwrap();
        disk.in_next(|| Err(StorageError::Io { name: "log".into(), action: "syncing", message: "planted".into() }));
        let put = db.kv().put_many((0..writes).map(|number| (number.to_be_bytes(), number)));
        assert_eq!(put.unwrap_err().kind(), ErrorKind::OutcomeUnknown);
        match commits.next() {
            Some(Err(Error::Poisoned { cause })) => assert!(cause.contains("planted"), "{cause}"),
            other => panic!("{other:?}"),
        }
        assert!(commits.next().is_none());
        assert_eq!(db.subscribe(ChangeFilter::all()).unwrap_err().kind(), ErrorKind::Poisoned);
        drop(db);
        assert_eq!(
            commits.next_timeout(Duration::MAX).unwrap_err().kind(),
            ErrorKind::Poisoned,
            "the first cause stays"
        );
    }
}

#[test]
fn a_failed_sync_of_the_timer_ends_those_who_wait_for_durable_commits() {
    let disk = Syncs::default();
    let db = open(disk.clone(), Durability::buffered());
    db.kv().put("first", 0).unwrap();
    db.sync().unwrap();
    let mut durable = db.subscribe(ChangeFilter::all().durable()).unwrap();
    db.kv().put("second", 0).unwrap();
    disk.in_next(|| Err(StorageError::Io { name: "log".into(), action: "syncing", message: "planted".into() }));
    assert!(db.ticker().tick().is_err());
    assert_eq!(durable.try_next().unwrap_err().kind(), ErrorKind::Poisoned);
}
