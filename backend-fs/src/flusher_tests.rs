//! The life of the thread. No test waits for time to pass: each waits for a call that must come.

use std::sync::mpsc::{self, Receiver};

use super::*;

const NEVER: Duration = Duration::MAX;

/// A flusher that reports every call, and the reports.
fn reporting(interval: Duration) -> (Flusher, Receiver<FlushReason>) {
    let (calls, called) = mpsc::channel();
    let flusher = Flusher::spawn(interval, move |reason| {
        // The test may have ended already.
        let _ = calls.send(reason);
    });
    (flusher.unwrap(), called)
}

#[test]
fn it_calls_again_and_again_at_the_interval() {
    let (_flusher, called) = reporting(Duration::ZERO);
    for _ in 0..3 {
        assert_eq!(called.recv(), Ok(FlushReason::Interval));
    }
}

#[test]
fn a_nudge_does_not_wait_for_the_interval() {
    let (flusher, called) = reporting(NEVER);
    flusher.nudge();
    assert_eq!(called.recv(), Ok(FlushReason::Nudge));
    flusher.nudge();
    assert_eq!(called.recv(), Ok(FlushReason::Nudge));
}

#[test]
fn dropping_calls_one_last_time_and_ends_the_thread() {
    let (flusher, called) = reporting(NEVER);
    drop(flusher);
    assert_eq!(called.recv(), Ok(FlushReason::Shutdown));
    // The sending half went with the thread.
    assert!(called.recv().is_err());
}

#[test]
fn a_nudge_during_a_call_leads_to_another_call() {
    let (calls, called) = mpsc::channel();
    let (resume, resumed) = mpsc::channel::<()>();
    let flusher = Flusher::spawn(NEVER, move |reason| {
        calls.send(reason).unwrap();
        let _ = resumed.recv();
    })
    .unwrap();
    flusher.nudge();
    assert_eq!(called.recv(), Ok(FlushReason::Nudge));
    flusher.nudge();
    resume.send(()).unwrap();
    assert_eq!(called.recv(), Ok(FlushReason::Nudge));
    drop(resume);
}

#[test]
fn the_callback_may_drop_its_own_flusher() {
    let (calls, called) = mpsc::channel();
    let owner = Arc::new(Mutex::new(None));
    let weak = Arc::downgrade(&owner);
    let flusher = Flusher::spawn(NEVER, move |reason| {
        let own: Option<Flusher> = weak.upgrade().and_then(|owner| owner.lock().unwrap().take());
        drop(own);
        calls.send(reason).unwrap();
    })
    .unwrap();
    let flusher = owner.lock().unwrap().insert(flusher).signal.clone();
    flusher.want(|wanted| wanted.nudge = true);
    assert_eq!(called.recv(), Ok(FlushReason::Nudge));
    assert_eq!(called.recv(), Ok(FlushReason::Shutdown));
    assert!(called.recv().is_err());
}

#[test]
fn a_panic_of_the_callback_is_visible_and_dropping_still_works() {
    let (alive, ended) = mpsc::channel::<()>();
    let flusher = Flusher::spawn(NEVER, move |_| {
        let _held_until_the_thread_ends = &alive;
        panic!("expected by the test");
    })
    .unwrap();
    assert!(flusher.is_running());
    flusher.nudge();
    assert!(ended.recv().is_err());
    drop(flusher);
}
