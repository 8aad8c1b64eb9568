//! Commits that tasks await: by whom they are synced, and what becomes of futures that are dropped.

use std::{
    future::Future,
    pin::pin,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
};

use foldb::{OsHost, TransactionOptions, storage::StorageError};

use super::{slow::Woken, *};

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(value) => return value,
            Poll::Pending => thread::park(),
        }
    }
}

/// Whether a future that is polled once has more to wait for.
fn is_pending<F: Future>(future: &mut std::pin::Pin<&mut F>) -> bool {
    future.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending()
}

/// A store on a host with threads.
pub(crate) fn threaded(disk: &Syncs, durability: Durability) -> Db<Syncs> {
    let options = Options::new().durability(durability).snapshot_on_close(false);
    let db = Db::open(disk.clone(), Arc::new(OsHost), options).unwrap();
    db.kv().put("first", 0).unwrap();
    db
}

#[test]
fn an_awaited_commit_is_synced_by_the_thread_of_the_store_and_by_nobody_else() {
    for writes in [1_u64, 200] {
        let disk = Syncs::default();
        let db = threaded(&disk, STRICT);
        let (told, tells) = mpsc::channel();
        disk.in_next(move || {
            told.send(thread::current().name().map(String::from)).unwrap();
            Ok(())
        });
        let options = TransactionOptions::new();
        let commit = db.transaction_async_with(&options, |tx| {
            tx.kv().put_many((0..writes).map(|number| (number.to_be_bytes(), number)))
        });
        let ((), receipt) = block_on(commit).unwrap();
        assert!(receipt.durable && db.durable_seq() >= receipt.seq);
        assert_eq!(tells.recv().unwrap().as_deref(), Some("foldb-helper"));
        assert_eq!(db.kv().get::<u64>(0_u64.to_be_bytes()).unwrap(), Some(0));
    }
}

#[test]
fn tasks_that_commit_during_a_sync_share_the_next_one() {
    let disk = Syncs::default();
    let db = threaded(&disk, STRICT);
    let (go, gone) = mpsc::channel::<()>();
    disk.in_next(move || {
        gone.recv().unwrap();
        Ok(())
    });
    let before = disk.count();
    let mut tasks: Vec<_> = (0..64_u64)
        .map(|number| Box::pin(db.transaction_async(move |tx| tx.kv().put(number.to_be_bytes(), number))))
        .collect();
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(Arc::clone(&woken));
    for task in &mut tasks {
        assert!(task.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    }
    go.send(()).unwrap();
    for task in &mut tasks {
        block_on(task.as_mut()).unwrap();
    }
    let syncs = disk.count() - before;
    assert!(syncs <= 3, "64 commits took {syncs} syncs");
    assert_eq!(db.durable_seq(), 65);
}

#[test]
fn tasks_that_change_one_pair_all_get_through() {
    let db = Arc::new(threaded(&Syncs::default(), STRICT));
    let threads: Vec<_> = (0..8)
        .map(|_| {
            let db = Arc::clone(&db);
            thread::spawn(move || {
                for _ in 0..50 {
                    block_on(db.transaction_async(|tx| {
                        let sum = tx.kv().get::<i64>("sum")?.unwrap_or(0);
                        tx.kv().put("sum", sum + 1)
                    }))
                    .unwrap();
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    assert_eq!(db.kv().get::<i64>("sum").unwrap(), Some(400));
}

#[test]
fn a_future_that_is_dropped_has_done_nothing_before_it_was_polled_and_takes_nothing_back_after() {
    let disk = Syncs::default();
    let db = threaded(&disk, STRICT);
    drop(db.transaction_async(|tx| tx.kv().put("never", 1)));
    let (go, gone) = mpsc::channel::<()>();
    // Or it could be done before it is dropped.
    disk.in_next(move || {
        gone.recv().unwrap();
        Ok(())
    });
    {
        let mut polled = pin!(db.transaction_async(|tx| tx.kv().put("handed over", 1)));
        assert!(polled.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    }
    go.send(()).unwrap();
    block_on(db.sync_async()).unwrap();
    assert_eq!(db.kv().get::<i64>("handed over").unwrap(), Some(1));
    assert_eq!(db.kv().get::<i64>("never").unwrap(), None);
    drop(db);
    let db = open(disk, STRICT);
    assert_eq!(db.kv().get::<i64>("handed over").unwrap(), Some(1), "closing waits for what was handed over");
}

#[test]
fn a_failed_sync_is_told_to_every_task_that_waits_for_it() {
    let disk = Syncs::default();
    let db = threaded(&disk, STRICT);
    let (go, gone) = mpsc::channel::<()>();
    disk.in_next(move || {
        gone.recv().unwrap();
        Err(StorageError::Io { name: "log".into(), action: "syncing", message: "planted".into() })
    });
    let mut tasks: Vec<_> = (0..4_u64)
        .map(|number| Box::pin(db.transaction_async(move |tx| tx.kv().put(number.to_be_bytes(), number))))
        .collect();
    for task in &mut tasks {
        assert!(task.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    }
    go.send(()).unwrap();
    let kinds: Vec<_> = tasks.iter_mut().map(|task| block_on(task.as_mut()).unwrap_err().kind()).collect();
    assert_eq!(kinds[0], ErrorKind::OutcomeUnknown);
    assert!(kinds.iter().all(|kind| matches!(kind, ErrorKind::OutcomeUnknown | ErrorKind::Poisoned)), "{kinds:?}");
    assert_eq!(block_on(db.sync_async()).unwrap_err().kind(), ErrorKind::Poisoned);
}

#[test]
fn what_a_closure_fails_with_is_given_back_and_nothing_is_committed() {
    let db = threaded(&Syncs::default(), STRICT);
    let failed: foldb::Result<()> = block_on(db.transaction_async(|tx| {
        tx.kv().put("a", 1)?;
        Err(Error::Cancelled { what: "the test" })
    }));
    assert_eq!(failed.unwrap_err().kind(), ErrorKind::Cancelled);
    assert_eq!(db.view().seq(), 1);
}

#[test]
fn an_idempotency_key_is_done_once_among_tasks() {
    let disk = Syncs::default();
    let db = threaded(&disk, STRICT);
    let options = TransactionOptions::new().idempotency_key("payment");
    let runs = AtomicUsize::new(0);
    let pay = || {
        db.transaction_async_with(&options, |tx| {
            runs.fetch_add(1, Ordering::SeqCst);
            tx.kv().add_i64("paid", 1)
        })
    };
    let (mut first, mut second) = (pin!(pay()), pin!(pay()));
    // The thread of the store is busy, so both will have looked for the key before either commits.
    disk.hold();
    let mut before = pin!(db.transaction_async(|tx| tx.kv().put("before", 1)));
    assert!(is_pending(&mut before));
    disk.wait_for_one();
    assert!(is_pending(&mut first) && is_pending(&mut second));
    disk.let_go();
    block_on(before).unwrap();
    block_on(db.sync_async()).unwrap();
    disk.hold();
    assert!(is_pending(&mut first) && is_pending(&mut second));
    disk.let_go();
    block_on(first).unwrap();
    assert_eq!(block_on(second).unwrap_err().kind(), ErrorKind::AlreadyDone);
    assert_eq!(runs.load(Ordering::SeqCst), 2);
    assert_eq!(block_on(pay()).unwrap_err().kind(), ErrorKind::AlreadyDone);
    assert_eq!(runs.load(Ordering::SeqCst), 2, "the closure of a known key does not run");
    assert_eq!(db.kv().get::<i64>("paid").unwrap(), Some(1));
}

#[test]
fn a_store_can_be_opened_again_as_soon_as_its_last_task_is_done() {
    let directory = tempfile::tempdir().unwrap();
    for number in 0..30 {
        let db = foldb::open(directory.path()).unwrap();
        block_on(db.transaction_async(move |tx| tx.kv().put("number", number))).unwrap();
        block_on(db.wait_durable_async(db.view().seq())).unwrap();
    }
}

#[test]
fn a_task_may_hold_the_last_handle_of_the_store() {
    let db = Arc::new(threaded(&Syncs::default(), STRICT));
    let (told, tells) = mpsc::channel();
    // A task that owns the store, and is dropped by the thread that wakes it.
    struct Task(Mutex<Option<std::pin::Pin<Box<dyn Future<Output = ()> + Send>>>>);
    impl Wake for Task {
        fn wake(self: Arc<Self>) {
            let waker = Waker::from(Arc::clone(&self));
            let mut future = self.0.lock().unwrap();
            if future.as_mut().is_some_and(|future| future.as_mut().poll(&mut Context::from_waker(&waker)).is_ready()) {
                *future = None;
            }
        }
    }
    let task = async move {
        db.transaction_async(|tx| tx.kv().put("a", 1)).await.unwrap();
        drop(db);
        told.send(()).unwrap();
    };
    Arc::new(Task(Mutex::new(Some(Box::pin(task))))).wake();
    tells.recv().unwrap();
}

#[test]
fn a_host_without_threads_has_no_awaited_commits() {
    let error = block_on(store().transaction_async(|tx| tx.kv().put("a", 1))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
}

#[test]
fn a_subscription_is_a_stream() {
    fn next<S: futures_core::Stream + Unpin>(stream: &mut S) -> Poll<Option<S::Item>> {
        std::pin::Pin::new(stream).poll_next(&mut Context::from_waker(Waker::noop()))
    }
    let db = store();
    let mut commits = db.subscribe(ChangeFilter::all()).unwrap();
    let mut tail = db.events().tail("log", 1).unwrap();
    assert!(next(&mut commits).is_pending() && next(&mut tail).is_pending());
    db.events().append("log", "tick", 1).unwrap();
    assert!(matches!(next(&mut commits), Poll::Ready(Some(Ok(_)))));
    assert!(matches!(next(&mut tail), Poll::Ready(Some(Ok(event))) if event.seq == 1));
}

/// Closing waited for whatever had been handed over, also for what came while it waited: as long as tasks went on, it did not end.
#[test]
fn a_store_closes_although_tasks_go_on_committing_until_they_are_refused() {
    for durability in [Durability::relaxed(), STRICT] {
        let db = threaded(&Syncs::default(), durability);
        let (began, begins) = mpsc::channel();
        thread::scope(|scope| {
            for task in 0..4 {
                let (db, began) = (db.clone(), began.clone());
                scope.spawn(move || {
                    let refused = (0_u64..).find_map(|number| {
                        let _ = began.send(());
                        block_on(db.transaction_async(|tx| tx.kv().put(format!("{task}"), number))).err()
                    });
                    assert_eq!(refused.map(|error| error.kind()), Some(ErrorKind::Unsupported));
                });
            }
            begins.iter().take(100).for_each(drop);
            db.clone().close().unwrap();
        });
        assert!(db.is_closed());
    }
}
