//! Subscriptions as callbacks.

use std::sync::{Mutex, Weak, mpsc};

use super::*;

#[test]
fn a_callback_is_called_for_each_commit_in_order_until_its_guard_goes() {
    let db = foldb::memory();
    let (told, tells) = mpsc::channel();
    let callback = db.on_commit(ChangeFilter::all(), move |commit| told.send(commit.unwrap().seq()).unwrap()).unwrap();
    for number in 0..200 {
        db.kv().put("a", number).unwrap();
    }
    assert_eq!(tells.iter().take(200).collect::<Vec<_>>(), (1..=200).collect::<Vec<_>>());
    drop(callback);
    // The end of the callback ends the channel, which it owns.
    assert!(tells.recv().is_err());
    db.kv().put("a", 0).unwrap();
}

#[test]
fn a_callback_may_commit_subscribe_and_read() {
    let db = Arc::new(foldb::memory());
    let (told, tells) = mpsc::channel();
    let (store, inner): (Weak<_>, Arc<Mutex<Vec<_>>>) = (Arc::downgrade(&db), Arc::default());
    let kept = Arc::clone(&inner);
    let _callback = db
        .on_commit(ChangeFilter::all().key("ping"), move |commit| {
            let Some(db) = store.upgrade() else { return };
            let commit = commit.unwrap();
            assert!(db.view().seq() >= commit.seq());
            let told = told.clone();
            let another = db.on_commit(ChangeFilter::all().key("pong"), move |commit| {
                let _ = told.send(commit.unwrap().seq());
            });
            kept.lock().unwrap().push(another.unwrap());
            db.kv().put("pong", 1).unwrap();
        })
        .unwrap();
    db.kv().put("ping", 1).unwrap();
    assert_eq!(tells.recv().unwrap(), 2);
    drop(db);
}

#[test]
fn a_callback_that_panics_is_not_called_again_and_the_others_are() {
    let db = foldb::memory();
    let (told, tells) = mpsc::channel();
    let owned = told.clone();
    let broken = db
        .on_commit(ChangeFilter::all(), move |_| {
            owned.send(0).unwrap();
            std::panic::resume_unwind(Box::new("planted"));
        })
        .unwrap();
    let _other = db.on_commit(ChangeFilter::all(), move |commit| told.send(commit.unwrap().seq()).unwrap()).unwrap();
    db.kv().put("a", 1).unwrap();
    let mut heard = [tells.recv().unwrap(), tells.recv().unwrap()];
    heard.sort_unstable();
    assert_eq!(heard, [0, 1]);
    db.kv().put("a", 2).unwrap();
    assert_eq!(tells.recv().unwrap(), 2, "the broken one says nothing");
    assert!(broken.has_panicked());
}

#[test]
fn a_callback_hears_what_was_committed_before_the_end_and_is_dropped_with_the_store() {
    let db = foldb::memory();
    let (told, tells) = mpsc::channel();
    let _callback = db.on_commit(ChangeFilter::all(), move |commit| told.send(commit.unwrap().seq()).unwrap()).unwrap();
    db.kv().put("a", 1).unwrap();
    drop(db);
    assert_eq!(tells.iter().collect::<Vec<_>>(), [1]);
}

#[test]
fn a_callback_may_drop_the_last_handle_of_the_store() {
    let db = Arc::new(foldb::memory());
    let (told, tells) = mpsc::channel();
    let mut own = Some(Arc::clone(&db));
    let other = Arc::clone(&db);
    let _callback = db
        .on_commit(ChangeFilter::all(), move |_| {
            drop(own.take());
            let _ = told.send(());
        })
        .unwrap();
    drop(db);
    other.kv().put("a", 1).unwrap();
    drop(other);
    // It is told once, and its end ends the channel.
    assert_eq!(tells.iter().count(), 1);
}

#[test]
fn a_host_without_threads_says_so() {
    let error = store().on_commit(ChangeFilter::all(), |_| {}).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
}
