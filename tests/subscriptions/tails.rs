//! Streams that go on.

use super::{slow::Woken, *};

/// Appends so many events in one commit.
fn append(db: &Db<MemStorage>, count: i64) {
    db.transaction(|tx| (1..=count).try_for_each(|number| tx.events().append("log", "tick", number).map(drop)))
        .unwrap();
}

#[test]
fn a_tail_goes_on_with_what_is_appended_and_can_be_taken_up_again() {
    let db = store();
    append(&db, 600);
    let mut tail = db.events().tail("log", 1).unwrap();
    for seq in 1..=600 {
        assert_eq!(tail.next_timeout(Duration::ZERO).unwrap().unwrap().seq, seq);
    }
    assert_eq!(tail.next_timeout(Duration::ZERO).unwrap(), None);
    db.events().append("other", "tick", 1).unwrap();
    db.events().append("log", "tick", 601).unwrap();
    db.events().append("log", "tick", 602).unwrap();
    assert_eq!(tail.next().unwrap().unwrap().payload, 601.into());
    let from = tail.seq();
    drop(tail);
    assert_eq!(db.events().tail("log", from).unwrap().next().unwrap().unwrap().seq, 602);
}

#[test]
fn a_tail_loses_nothing_to_writers_beside_it() {
    let db = store();
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let db = &db;
            scope.spawn(move || {
                for number in 0..250 {
                    db.events().append("log", "tick", writer * 1000 + number).unwrap();
                }
            });
        }
        let tail = db.events().tail("log", 1).unwrap();
        let seen: Vec<_> = tail.take(1000).map(|event| event.unwrap().seq).collect();
        assert_eq!(seen, (1..=1000).collect::<Vec<_>>());
    });
}

#[test]
fn a_tail_that_was_overtaken_by_thousands_of_commits_reads_them() {
    let db = store();
    let mut tail = db.events().tail("log", 1).unwrap();
    for number in 0..5000 {
        db.events().append("log", "tick", number).unwrap();
    }
    for seq in 1..=5000 {
        assert_eq!(tail.next().unwrap().unwrap().seq, seq);
    }
}

#[test]
fn a_tail_goes_on_behind_what_was_trimmed() {
    let db = store();
    let mut tail = db.events().tail("log", 1).unwrap();
    append(&db, 10);
    db.events().trim("log", 8).unwrap();
    assert_eq!(tail.next().unwrap().unwrap().seq, 8);
}

#[test]
fn a_tail_that_waits_for_a_run_is_woken_when_that_is_deleted_and_ends_with_an_error() {
    let db = store();
    let run = db.runs().begin(RunOptions::named("import")).unwrap();
    run.events().append("log", "tick", 1).unwrap();
    let mut tail = run.events().tail("log", 1).unwrap();
    assert_eq!(tail.next().unwrap().unwrap().seq, 1);
    let woken = Arc::new(Woken::default());
    let waker = std::task::Waker::from(Arc::clone(&woken));
    let mut context = std::task::Context::from_waker(&waker);
    assert!(tail.poll_next(&mut context).is_pending());
    db.transaction(|tx| tx.runs().delete(run.id())).unwrap();
    assert_eq!(woken.count(), 1);
    match tail.poll_next(&mut context) {
        std::task::Poll::Ready(Some(Err(error))) => assert_eq!(error.kind(), ErrorKind::NotFound, "{error}"),
        other => panic!("{other:?}"),
    }
    assert!(tail.next().is_none(), "said once");
    assert_eq!(tail.try_next().unwrap_err().kind(), ErrorKind::NotFound);
}

/// The time began anew with each announcement: beside somebody who appends what it does not ask for it never ended.
#[test]
fn a_tail_waits_no_longer_than_it_was_asked_to_whatever_is_announced_meanwhile() {
    let db = store();
    let mut tail = db.events().tail("log", u64::MAX).unwrap();
    let over = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(std::sync::atomic::Ordering::SeqCst) {
                append(&db, 1);
            }
        });
        assert!(tail.next_timeout(Duration::from_millis(50)).unwrap().is_none());
        over.store(true, std::sync::atomic::Ordering::SeqCst);
    });
}
