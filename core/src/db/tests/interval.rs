//! What a buffered and a relaxed store keep of their interval where no timer ever runs: an event loop that is kept busy, a thread that is
//! starved.

use alloc::{format, sync::Arc};
use core::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use crate::{
    Db, Durability, Options, Result, TransactionOptions,
    host::{Host, SteppedHost},
    storage::{MemStorage, Storage},
};

/// In microseconds, which are steps of the host's clock.
const INTERVAL: u64 = 1000;

/// What a commit and a sync read of the clock, at most.
const READINGS: u64 = 8;

fn buffered(interval_micros: u64) -> Durability {
    Durability::Buffered { interval: Duration::from_micros(interval_micros), bytes: usize::MAX }
}

fn opened(host: Arc<dyn Host + Send + Sync>, durability: Durability) -> Db<MemStorage> {
    Db::open(MemStorage::new(), host, Options::new().durability(durability)).unwrap()
}

/// Commits `count` times, and gives back how many commits were the most that were not on stable media yet.
fn furthest_behind<S: Storage>(db: &Db<S>, count: u64, mut commit: impl FnMut(u64) -> Result<()>) -> u64 {
    let mut most = 0;
    for number in 0..count {
        commit(number).unwrap();
        most = most.max(db.view().seq() - db.durable_seq());
    }
    most
}

#[test]
fn a_store_whose_timer_never_runs_is_no_further_behind_than_its_interval() {
    let db = opened(Arc::new(SteppedHost::new(1)), buffered(INTERVAL));
    let behind = furthest_behind(&db, 10 * INTERVAL, |number| db.kv().put(format!("key {}", number % 7), number));
    assert!(behind <= INTERVAL, "{behind} commits of a microsecond each, or more, were not synced");
    assert!(behind >= INTERVAL / READINGS, "synced after {behind} commits already");
    let syncs = db.stats().unwrap().syncs.count;
    assert!((1..=10 * READINGS).contains(&syncs), "{syncs} syncs in {} intervals or a few more", 10);
}

#[test]
fn a_relaxed_store_whose_timer_never_runs_is_no_further_behind_than_its_interval() {
    let relaxed = Durability::Relaxed { interval: Duration::from_micros(INTERVAL) };
    let db = opened(Arc::new(SteppedHost::new(6)), relaxed);
    let behind = furthest_behind(&db, 10 * INTERVAL, |number| {
        db.kv().put(format!("key {}", number % 7), number)?;
        assert_eq!(db.stats()?.pending_bytes, 0, "nothing of it is left in this process");
        Ok(())
    });
    assert!((INTERVAL / READINGS..=INTERVAL).contains(&behind), "{behind} commits were not synced");
}

#[test]
fn a_buffered_transaction_of_a_strict_store_has_its_interval_too() {
    let db = opened(Arc::new(SteppedHost::new(2)), Durability::Strict);
    let options = TransactionOptions::new().durability(buffered(INTERVAL));
    let put = |number| db.transaction_with(&options, |tx| tx.kv().put("key", number)).map(drop);
    let behind = furthest_behind(&db, 3 * INTERVAL, put);
    assert!((2..=INTERVAL).contains(&behind), "{behind} commits were not synced");
}

#[test]
fn whoever_is_sooner_due_takes_along_whoever_could_wait() {
    let db = opened(Arc::new(SteppedHost::new(3)), buffered(1_000_000));
    db.kv().put("patient", 1).unwrap();
    let soon = TransactionOptions::new().durability(buffered(20));
    db.transaction_with(&soon, |tx| tx.kv().put("soon", 1)).unwrap();
    let behind = furthest_behind(&db, 20, |number| db.kv().put("later", number));
    assert!(behind <= 22 && db.durable_seq() >= 2, "{behind} commits were not synced");
}

/// A clock that a test sets.
struct Set(AtomicU64, SteppedHost);

impl Host for Set {
    fn now_micros(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    fn fill_random(&self, bytes: &mut [u8]) {
        self.1.fill_random(bytes);
    }
}

#[test]
fn a_clock_that_is_set_back_puts_no_sync_off() {
    let host = Arc::new(Set(AtomicU64::new(3_600_000_000), SteppedHost::new(4)));
    let db = opened(Arc::clone(&host) as _, buffered(INTERVAL));
    db.kv().put("before", 1).unwrap();
    host.0.store(5, Ordering::Relaxed);
    db.kv().put("behind", 1).unwrap();
    assert_eq!(db.durable_seq(), 0, "nothing was due yet");
    host.0.store(5 + INTERVAL, Ordering::Relaxed);
    db.kv().put("due", 1).unwrap();
    assert_eq!(db.durable_seq(), 3);
}

#[test]
fn what_was_synced_otherwise_is_not_synced_again() {
    let host = Arc::new(Set(AtomicU64::new(7), SteppedHost::new(5)));
    let db = opened(Arc::clone(&host) as _, buffered(INTERVAL));
    db.kv().put("a", 1).unwrap();
    db.sync().unwrap();
    let syncs = db.stats().unwrap().syncs.count;
    host.0.store(8 + INTERVAL, Ordering::Relaxed);
    // The interval of the first is over, and nothing of it is left to be synced.
    db.kv().put("b", 1).unwrap();
    assert_eq!((db.stats().unwrap().syncs.count, db.durable_seq()), (syncs, 1));
}
