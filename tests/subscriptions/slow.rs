//! Subscribers who are slow, and many of them.

use super::*;

#[test]
fn whoever_falls_behind_is_told_from_where_to_look_again_and_goes_on() {
    let db = store();
    let mut slow = db.subscribe(ChangeFilter::all().prefix("wanted")).unwrap();
    for number in 0..5000 {
        db.kv().put(format!("wanted/{number}"), number).unwrap();
    }
    let error = slow.try_next().unwrap_err();
    assert_eq!(error, Error::Lagged { after: 0, to: 5000 - 4096 });
    assert_eq!(error.kind(), ErrorKind::Lagged);
    assert_eq!(seqs(&mut slow), (5000 - 4096 + 1..=5000).collect::<Vec<_>>());
}

#[test]
fn whoever_looks_now_and_then_is_not_behind_for_what_does_not_concern_him() {
    let db = store();
    let mut commits = db.subscribe(ChangeFilter::all().key("wanted")).unwrap();
    for round in 0..4 {
        for number in 0..3000 {
            db.kv().put("other", number).unwrap();
        }
        assert!(commits.next_timeout(Duration::ZERO).unwrap().is_none());
        assert_eq!(commits.seq(), (round + 1) * 3000);
    }
}

#[test]
fn whoever_waits_is_never_behind_for_what_does_not_concern_him() {
    let db = Arc::new(store());
    let mut commits = db.subscribe(ChangeFilter::all().key("wanted")).unwrap();
    // Registers, as a thread does that waits.
    let woken = Arc::new(Woken::default());
    let waker = std::task::Waker::from(Arc::clone(&woken));
    let mut context = std::task::Context::from_waker(&waker);
    assert!(commits.poll_next(&mut context).is_pending());
    for number in 0..9000 {
        db.kv().put("other", number).unwrap();
    }
    assert_eq!(woken.count(), 0, "nothing concerned him");
    db.kv().put("wanted", 1).unwrap();
    assert_eq!(woken.count(), 1);
    match commits.poll_next(&mut context) {
        std::task::Poll::Ready(Some(Ok(commit))) => assert_eq!(commit.seq(), 9001),
        other => panic!("{other:?}"),
    }
}

/// Up to where it was forgotten counted as seen, or woke him with each commit for nothing.
#[test]
fn whoever_waits_for_durable_commits_is_told_what_was_forgotten_before_it_was_durable() {
    let db = open(Syncs::default(), Durability::Buffered { interval: Duration::from_secs(3600), bytes: 1 << 20 });
    // The first commit is synced at once.
    db.kv().put("first", 0).unwrap();
    let mut commits = db.subscribe(ChangeFilter::all().durable()).unwrap();
    let woken = Arc::new(Woken::default());
    let waker = std::task::Waker::from(Arc::clone(&woken));
    assert!(commits.poll_next(&mut std::task::Context::from_waker(&waker)).is_pending());
    let first = commits.seq();
    for number in 0..5000 {
        db.kv().put("wanted", number).unwrap();
    }
    assert_eq!(woken.count(), 0, "nothing is durable yet");
    db.sync().unwrap();
    assert_eq!(woken.count(), 1);
    assert_eq!(commits.try_next().unwrap_err(), Error::Lagged { after: first, to: first + 5000 - 4096 });
    assert_eq!(seqs(&mut commits).len(), 4096);
}

#[test]
fn a_commit_of_many_keys_is_announced_whole_however_much_memory_it_takes() {
    let db = store();
    let mut commits = db.subscribe(ChangeFilter::all()).unwrap();
    db.kv().put("small", 1).unwrap();
    let key = |number: u64| format!("{number:0>200}");
    db.kv().put_many((0..60_000).map(|number| (key(number), number))).unwrap();
    assert_eq!(commits.try_next().unwrap_err(), Error::Lagged { after: 0, to: 1 }, "the one before it had to go");
    assert_eq!(commits.try_next().unwrap().unwrap().changes().count(), 60_000);
}

#[test]
fn ten_thousand_subscribers_each_hear_of_what_concerns_them() {
    let db = store();
    let woken = Arc::new(Woken::default());
    let waker = std::task::Waker::from(Arc::clone(&woken));
    let mut context = std::task::Context::from_waker(&waker);
    let mut all: Vec<_> =
        (0..10_000_u32).map(|number| db.subscribe(ChangeFilter::all().key(number.to_be_bytes())).unwrap()).collect();
    for commits in &mut all {
        assert!(commits.poll_next(&mut context).is_pending());
    }
    for number in [7_u32, 9_999, 7] {
        db.kv().put(number.to_be_bytes(), 1).unwrap();
    }
    assert_eq!(woken.count(), 2, "who was woken and did not come is not woken again");
    let heard: Vec<_> = all.iter_mut().map(seqs).collect();
    assert_eq!((heard[7].as_slice(), heard[9_999].as_slice()), (&[1, 3][..], &[2][..]));
    assert_eq!(heard.iter().map(Vec::len).sum::<usize>(), 3);
    drop(all);
    db.kv().put("nobody listens", 1).unwrap();
}

/// Counts how often it was woken.
#[derive(Default)]
pub(crate) struct Woken(std::sync::atomic::AtomicUsize);

impl Woken {
    pub(crate) fn count(&self) -> usize {
        self.0.load(std::sync::atomic::Ordering::SeqCst)
    }
}

impl std::task::Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
    }
}
