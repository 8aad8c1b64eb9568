//! Code of others on the threads of the store: wakers that panic or let go of it, hosts that refuse a thread.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    task::{Context, Wake, Waker},
    thread,
};

use foldb::{OsHost, Result, host::Host};

use super::{
    awaited::{block_on, threaded},
    slow::Woken,
    *,
};

struct Panicking;

impl Wake for Panicking {
    fn wake(self: Arc<Self>) {
        panic!("a waker that panics");
    }
}

/// It went through the commit of somebody else, who took it for a failure; on the thread that commits for tasks it was the end of that
/// thread, and of every task behind it.
#[test]
fn a_waker_that_panics_harms_neither_who_commits_nor_who_is_woken_after_it() {
    let db = threaded(&Syncs::default(), STRICT);
    let panicking = Waker::from(Arc::new(Panicking));
    let woken = Arc::new(Woken::default());
    let counting = Waker::from(Arc::clone(&woken));
    for (round, commit) in [
        &(|| db.kv().put("a", 1).unwrap()) as &dyn Fn(),
        &|| block_on(db.transaction_async(|tx| tx.kv().put("a", 2))).unwrap(),
        &|| block_on(db.transaction_async(|tx| tx.kv().put("a", 3))).unwrap(),
    ]
    .into_iter()
    .enumerate()
    {
        let mut first = db.subscribe(ChangeFilter::all()).unwrap();
        let mut second = db.subscribe(ChangeFilter::all()).unwrap();
        assert!(first.poll_next(&mut Context::from_waker(&panicking)).is_pending());
        assert!(second.poll_next(&mut Context::from_waker(&counting)).is_pending());
        commit();
        assert_eq!(first.try_next().unwrap().map(|commit| commit.seq()), Some(db.view().seq()));
        // The answer of an awaited commit may come before the others are woken. Closing waits for the thread.
        if round == 0 {
            assert_eq!(woken.count(), 1);
        }
    }
    db.close().unwrap();
    assert_eq!(woken.count(), 3);
}

/// A host of the system, which refuses the next thread.
struct Refusing(AtomicBool);

impl Host for Refusing {
    fn now_micros(&self) -> u64 {
        OsHost.now_micros()
    }

    fn fill_random(&self, bytes: &mut [u8]) {
        OsHost.fill_random(bytes);
    }

    fn spawn(&self, name: &'static str, work: Box<dyn FnOnce() + Send>) -> Result<()> {
        if self.0.swap(false, Ordering::SeqCst) {
            return Err(Error::Unsupported { what: name, why: "no more threads".into() });
        }
        OsHost.spawn(name, work)
    }
}

#[test]
fn a_thread_that_was_refused_once_is_asked_for_again() {
    let host = Arc::new(Refusing(AtomicBool::new(true)));
    let db = Db::open(Syncs::default(), Arc::<Refusing>::clone(&host), Options::new()).unwrap();
    let error = block_on(db.transaction_async(|tx| tx.kv().put("a", 1))).unwrap_err();
    assert!(error.to_string().contains("no more threads"), "{error}");
    assert_eq!(db.kv().get::<i64>("a").unwrap(), None);
    block_on(db.transaction_async(|tx| tx.kv().put("a", 2))).unwrap();

    host.0.store(true, Ordering::SeqCst);
    assert!(db.on_commit(ChangeFilter::all(), |_| ()).is_err());
    let (told, tells) = mpsc::channel();
    let _callback = db.on_commit(ChangeFilter::all(), move |commit| told.send(commit.unwrap().seq()).unwrap()).unwrap();
    db.kv().put("a", 3).unwrap();
    assert_eq!(tells.recv().unwrap(), db.view().seq());
}

/// Lets go of what it has when it is woken.
struct Last(Mutex<Option<Db<Syncs>>>, mpsc::Sender<Option<String>>);

impl Wake for Last {
    fn wake(self: Arc<Self>) {
        drop(self.0.lock().unwrap().take());
        self.1.send(thread::current().name().map(String::from)).unwrap();
    }
}

/// Closing waited for the thread that takes the snapshot: for itself.
#[test]
fn a_waker_on_the_thread_of_a_snapshot_may_let_go_of_the_last_handle() {
    let disk = Syncs::default();
    let options =
        Options::new().durability(Durability::buffered()).snapshot_log_bytes(Some(4096)).snapshot_on_close(false);
    let db = Db::open(disk.clone(), Arc::new(OsHost), options).unwrap();
    // From here on a snapshot is due with the next commit.
    db.kv().put("large", "x".repeat(64 << 10)).unwrap();
    db.sync().unwrap();
    let mut durable = db.subscribe(ChangeFilter::all().durable()).unwrap();
    let (told, tells) = mpsc::channel();
    let last = Waker::from(Arc::new(Last(Mutex::new(Some(db.clone())), told)));
    assert!(durable.poll_next(&mut Context::from_waker(&last)).is_pending());
    let (go, gone) = mpsc::channel::<()>();
    disk.in_next(move || {
        gone.recv().unwrap();
        Ok(())
    });
    block_on(db.transaction_async(|tx| tx.kv().put("small", 1))).unwrap();
    drop(db);
    go.send(()).unwrap();
    assert_eq!(tells.recv().unwrap().as_deref(), Some("foldb-snapshot"));
}
