//! The life of jobs, with a clock that a test moves.

use alloc::{string::ToString, sync::Arc, vec::Vec};
use core::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use super::{PushOptions, QueueCounts};
use crate::{
    Db, Error, ErrorKind, Options,
    host::{Host, SteppedHost},
    storage::MemStorage,
    value::Value,
};

const LEASE: Duration = Duration::from_secs(10);

/// A clock that stands still until it is moved.
struct Clock {
    micros: AtomicU64,
    entropy: SteppedHost,
}

impl Clock {
    fn pass(&self, time: Duration) {
        self.micros.fetch_add(super::micros(time), Ordering::SeqCst);
    }
}

impl Host for Clock {
    fn now_micros(&self) -> u64 {
        // One more each time, so that jobs have an order.
        self.micros.fetch_add(1, Ordering::SeqCst)
    }

    fn fill_random(&self, bytes: &mut [u8]) {
        self.entropy.fill_random(bytes);
    }
}

fn store() -> (Db<MemStorage>, Arc<Clock>) {
    let clock = Arc::new(Clock { micros: AtomicU64::new(1), entropy: SteppedHost::new(7) });
    let host: Arc<dyn Host + Send + Sync> = clock.clone();
    let db = Db::open(MemStorage::new(), host, Options::new()).unwrap();
    (db, clock)
}

fn counts(ready: u64, delayed: u64, leased: u64, dead: u64) -> QueueCounts {
    QueueCounts { ready, delayed, leased, dead }
}

/// What is left of a queue in the store, but its counters.
fn keys_left(db: &Db<MemStorage>) -> usize {
    let keys = db.kv().keys(&crate::primitive::ScanOptions::all()).unwrap();
    keys.iter().filter(|key| !key.starts_with(b"queue\0mails\0c")).count()
}

#[test]
fn jobs_are_claimed_by_priority_and_then_in_the_order_in_which_they_were_pushed() {
    let (db, _) = store();
    let mails = db.queue("mails").unwrap();
    let options = PushOptions::new;
    for (payload, priority) in [("b", 128), ("c", 128), ("a", 200), ("d", 0)] {
        mails.push_with(&options().priority(priority), payload).unwrap();
    }
    assert_eq!(mails.counts().unwrap(), counts(4, 0, 0, 0));
    let first = mails.claim_many(3, LEASE).unwrap();
    assert_eq!(first.iter().map(|job| job.payload.clone()).collect::<Vec<_>>(), ["a", "b", "c"].map(Value::from));
    assert_eq!(mails.claim(LEASE).unwrap().unwrap().payload, Value::from("d"));
    assert_eq!(mails.claim(LEASE).unwrap(), None);
    assert_eq!(mails.counts().unwrap(), counts(0, 0, 4, 0));
}

#[test]
fn a_job_that_is_acknowledged_is_gone_with_all_that_was_kept_of_it() {
    let (db, _) = store();
    let mails = db.queue("mails").unwrap();
    mails.push("a").unwrap();
    let job = mails.claim(LEASE).unwrap().unwrap();
    mails.ack(&job).unwrap();
    assert_eq!((mails.counts().unwrap(), keys_left(&db)), (counts(0, 0, 0, 0), 0));
    let error = mails.ack(&job).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Precondition, "{error}");
}

#[test]
fn a_delayed_job_is_not_had_before_its_time() {
    let (db, clock) = store();
    let mails = db.queue("mails").unwrap();
    mails.push_with(&PushOptions::new().delay(Duration::from_secs(5)), "later").unwrap();
    assert_eq!((mails.claim(LEASE).unwrap(), mails.counts().unwrap()), (None, counts(0, 1, 0, 0)));
    clock.pass(Duration::from_secs(5));
    assert_eq!(mails.claim(LEASE).unwrap().unwrap().attempt, 1);
}

#[test]
fn whoever_has_lost_the_lease_cannot_acknowledge_and_his_effect_is_not_there() {
    let (db, clock) = store();
    let mails = db.queue("mails").unwrap();
    mails.push("a").unwrap();
    let lost = mails.claim(LEASE).unwrap().unwrap();
    clock.pass(LEASE);
    let again = mails.claim(LEASE).unwrap().unwrap();
    assert_eq!((again.id, again.attempt), (lost.id, 2));
    for (job, succeeds) in [(&lost, false), (&again, true)] {
        let done = db.transaction(|tx| {
            tx.kv().add_i64("sent", 1)?;
            mails.ack_in(tx, job)
        });
        assert_eq!(done.is_ok(), succeeds, "{done:?}");
    }
    assert_eq!(db.kv().get::<i64>("sent").unwrap(), Some(1));
}

#[test]
fn a_lease_that_is_extended_lasts_so_much_longer() {
    let (db, clock) = store();
    let mails = db.queue("mails").unwrap();
    mails.push("a").unwrap();
    let mut job = mails.claim(LEASE).unwrap().unwrap();
    clock.pass(Duration::from_secs(9));
    mails.extend(&mut job, LEASE).unwrap();
    clock.pass(Duration::from_secs(9));
    assert_eq!(mails.claim(LEASE).unwrap(), None);
    mails.ack(&job).unwrap();
    assert_eq!(keys_left(&db), 0);
}

#[test]
fn who_waits_in_a_way_of_his_own_learns_by_what_and_when_there_may_be_a_job() {
    let (db, clock) = store();
    let mails = db.queue("mails").unwrap();
    let mut changes = db.subscribe(mails.changes()).unwrap();
    let claim = || db.transaction(|tx| mails.claim_in(tx, 1, LEASE)).unwrap().unwrap();
    assert_eq!((claim(), mails.next_due_micros().unwrap()), (Vec::new(), None));
    db.kv().put("elsewhere", 1).unwrap();
    db.queue("others").unwrap().push("b").unwrap();
    assert!(changes.try_next().unwrap().is_none());
    mails.push_with(&PushOptions::new().delay(LEASE), "later").unwrap();
    assert!(changes.try_next().unwrap().is_some());
    let due = mails.next_due_micros().unwrap().unwrap();
    assert!(due > clock.now_micros());
    assert_eq!(claim(), []);
    clock.pass(LEASE);
    assert!(due <= clock.now_micros());
    assert_eq!(claim().len(), 1);
    mails.push("now").unwrap();
    while let Some(commit) = changes.try_next().unwrap() {
        assert!(commit.changes().count() > 0);
    }
    assert_eq!(claim().len(), 1);
}

#[test]
fn a_job_that_fails_is_tried_again_after_doubling_pauses_and_is_dead_in_the_end() {
    let (db, clock) = store();
    let mails = db.queue("mails").unwrap();
    let options = PushOptions::new().attempts(3).backoff(Duration::from_secs(1));
    let id = mails.push_with(&options, "a").unwrap();
    for (attempt, pause) in [(1, 1), (2, 2)] {
        let job = mails.claim(LEASE).unwrap().unwrap();
        assert_eq!(job.attempt, attempt);
        mails.nack(&job, "no answer").unwrap();
        clock.pass(Duration::from_secs(pause) - Duration::from_millis(1));
        assert_eq!(mails.claim(LEASE).unwrap(), None, "before its pause is over");
        clock.pass(Duration::from_millis(1));
    }
    // The last consumer dies.
    mails.claim(LEASE).unwrap().unwrap();
    clock.pass(LEASE);
    assert_eq!((mails.claim(LEASE).unwrap(), mails.counts().unwrap()), (None, counts(0, 0, 0, 1)));
    let dead = mails.dead(10).unwrap();
    assert_eq!((dead[0].id, dead[0].attempts, dead[0].payload.clone()), (id, 3, Value::from("a")));
    assert_eq!(dead[0].error, super::life::LEASE_ENDED);

    mails.revive(id).unwrap();
    let job = mails.claim(LEASE).unwrap().unwrap();
    assert_eq!(job.attempt, 4);
    assert_eq!(mails.discard(id).unwrap_err().kind(), ErrorKind::NotFound);
    mails.ack(&job).unwrap();
    assert_eq!(keys_left(&db), 0);
}

/// Attempts began at 1 again, so that a consumer whose lease had ended long ago passed for the one that has the job now.
#[test]
fn whoever_had_a_job_before_it_was_revived_cannot_finish_it() {
    let (db, clock) = store();
    let mails = db.queue("mails").unwrap();
    let id = mails.push_with(&PushOptions::new().attempts(2), "a").unwrap();
    let mut before = Vec::new();
    for _ in 0..2 {
        before.push(mails.claim(LEASE).unwrap().unwrap());
        clock.pass(LEASE);
    }
    assert_eq!(mails.claim(LEASE).unwrap(), None);
    mails.revive(id).unwrap();
    for round in 0..2 {
        let job = mails.claim(LEASE).unwrap().unwrap();
        for stale in &before {
            assert_eq!(mails.ack(stale).unwrap_err().kind(), ErrorKind::Precondition, "round {round}");
            assert_eq!(mails.nack(stale, "late").unwrap_err().kind(), ErrorKind::Precondition, "round {round}");
        }
        before.push(job);
        clock.pass(LEASE);
    }
    assert_eq!(mails.claim(LEASE).unwrap(), None, "it has all its attempts again, and no more");
    assert_eq!(mails.counts().unwrap(), counts(0, 0, 0, 1));
}

/// A claim looked after 64 ends of leases and handed out what it saw then: nothing, or a job of lower priority.
#[test]
fn however_many_leases_have_ended_a_claim_finds_what_is_due_behind_them() {
    let (db, clock) = store();
    let mails = db.queue("mails").unwrap();
    for number in 0..200 {
        mails.push_with(&PushOptions::new().attempts(1), number).unwrap();
    }
    assert_eq!(mails.claim_many(200, LEASE).unwrap().len(), 200);
    let delay = LEASE + Duration::from_secs(1);
    let due = mails.push_with(&PushOptions::new().delay(delay), "due").unwrap();
    clock.pass(delay);
    assert_eq!(mails.claim(LEASE).unwrap().map(|job| job.id), Some(due));
    assert_eq!(mails.counts().unwrap(), counts(0, 0, 1, 200));
}

#[test]
fn a_push_with_a_key_is_made_once_also_when_its_job_is_done() {
    let (db, _) = store();
    let mails = db.queue("mails").unwrap();
    let options = PushOptions::new().idempotency_key("order 7");
    let id = mails.push_with(&options, "a").unwrap();
    assert_eq!(mails.push_with(&options, "a").unwrap(), id);
    let job = mails.claim(LEASE).unwrap().unwrap();
    mails.ack(&job).unwrap();
    assert_eq!(mails.push_with(&options, "a").unwrap(), id);
    assert_eq!(mails.counts().unwrap(), QueueCounts::default());
    let other = db.queue("others").unwrap();
    assert_ne!(other.push_with(&options, "a").unwrap(), id, "keys are of one queue");
}

#[test]
fn queues_whose_names_begin_alike_know_nothing_of_each_other() {
    let (db, _) = store();
    db.queue("a").unwrap().push(1).unwrap();
    assert_eq!(db.queue("").unwrap().claim(LEASE).unwrap(), None);
    assert_eq!(db.queue("ar").unwrap().claim(LEASE).unwrap(), None);
    assert!(matches!(db.queue("a\0r"), Err(Error::Invalid { .. })));
    assert_eq!(db.queue(&"x".repeat(257)).unwrap_err().kind(), ErrorKind::Limit);
}

#[test]
fn a_job_is_pushed_when_its_transaction_commits_and_not_otherwise() {
    let (db, _) = store();
    let mails = db.queue("mails").unwrap();
    let failed: crate::Result<()> = db.transaction(|tx| {
        mails.push_in(tx, &PushOptions::new(), "never")?;
        Err(Error::Cancelled { what: "the test" })
    });
    assert!(failed.unwrap_err().to_string().contains("cancelled"));
    assert_eq!((mails.claim(LEASE).unwrap(), keys_left(&db)), (None, 0));
}
