//! A reader beside a writer that goes on in the middle of a look: every operation of the one between every two of the other.

use alloc::{sync::Arc, vec::Vec};
use core::{
    ops::ControlFlow,
    sync::atomic::{AtomicU64, Ordering},
};
use std::sync::Mutex;

use super::{
    commit, host, number, reading,
    storages::{Beside, Between},
    writing,
};
use crate::{
    Db,
    storage::{MemStorage, Storage},
};

/// What a writer does at once.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// A commit that is handed over and synced.
    Commit,
    /// As many as fill a segment or two.
    Rotate,
    Snapshot,
    /// As many as make the first of them go.
    Snapshots,
    /// A clean end, and the next opening.
    Reopen,
    /// The process is killed: what it did not hand over is gone. The next opening carries the tail.
    Crash,
    /// The log and the anchors say what there is.
    Tick,
}

const STEPS: [Step; 7] =
    [Step::Commit, Step::Rotate, Step::Snapshot, Step::Snapshots, Step::Reopen, Step::Crash, Step::Tick];

struct Writer<S: Storage> {
    storage: S,
    db: Option<Db<S>>,
}

impl<S: Storage + Clone> Writer<S> {
    fn new(storage: S) -> Self {
        let db = Db::open(storage.clone(), host(), writing()).unwrap();
        Writer { storage, db: Some(db) }
    }

    fn db(&self) -> &Db<S> {
        self.db.as_ref().unwrap()
    }

    fn open(&mut self) {
        self.db = Some(Db::open(self.storage.clone(), host(), writing()).unwrap());
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Commit => {
                commit(self.db());
                self.db().sync().unwrap();
            }
            Step::Rotate => {
                (0..6).for_each(|_| commit(self.db()));
                self.db().sync().unwrap();
            }
            Step::Snapshot => {
                commit(self.db());
                self.db().snapshot().unwrap();
            }
            Step::Snapshots => (0..3).for_each(|_| self.step(Step::Snapshot)),
            Step::Reopen => {
                if let Some(db) = self.db.take() {
                    db.close().unwrap();
                }
                self.open();
                commit(self.db());
                self.db().sync().unwrap();
            }
            Step::Crash => {
                commit(self.db());
                self.db().sync().unwrap();
                commit(self.db());
                std::mem::forget(self.db.take());
                self.open();
            }
            Step::Tick => {
                let ticker = self.db().ticker();
                for _ in 0..3 {
                    ticker.tick().unwrap();
                }
            }
        }
    }
}

/// Runs `work` before operation number `at` of whoever asks.
fn at_operation(at: u64, mut work: impl FnMut() + Send + 'static) -> (Between, Arc<AtomicU64>) {
    let operations = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&operations);
    let between = move || {
        if counter.fetch_add(1, Ordering::Relaxed) == at {
            work();
        }
    };
    (Arc::new(Mutex::new(between)), operations)
}

/// What somebody sees who opens a copy of the files.
fn seen_alone(storage: &MemStorage) -> i64 {
    let copy = MemStorage::from_files(storage.files());
    number(&Db::open(Beside::reader(&copy), host(), reading()).unwrap())
}

#[test]
fn whatever_a_writer_does_in_the_middle_of_an_opening_the_reader_sees_a_version_and_then_the_newest() {
    for before in [Step::Commit, Step::Snapshots, Step::Crash] {
        for step in STEPS {
            for at in 0.. {
                let storage = MemStorage::new();
                let mut writer = Writer::new(storage.clone());
                writer.step(Step::Rotate);
                writer.step(before);
                let oldest = seen_alone(&storage);
                let (between, operations) = at_operation(at, move || writer.step(step));
                let silent = Beside::reader_with(&storage, between);
                let place = std::format!("{before:?}, then {step:?} at operation {at}");
                let reader = Db::open(silent, host(), reading()).unwrap_or_else(|error| panic!("{place}: {error}"));
                let newest = seen_alone(&storage);
                let seen = number(&reader);
                assert!((oldest..=newest).contains(&seen), "{place}: {seen} of {oldest} to {newest}");
                let report = reader.recovery_report();
                assert!(report.damage.is_empty() && report.rejected_snapshots.is_empty(), "{place}: {report:?}");
                let is_past = operations.load(Ordering::Relaxed) > at;
                reader.refresh().unwrap_or_else(|error| panic!("{place}: {error}"));
                assert_eq!(number(&reader), seen_alone(&storage), "{place}");
                if !is_past {
                    break;
                }
            }
        }
    }
}

#[test]
fn whatever_a_writer_does_in_the_middle_of_a_refresh_views_stay_and_the_next_one_shows_the_newest() {
    for step in STEPS {
        for at in 0.. {
            let storage = MemStorage::new();
            let mut writer = Writer::new(storage.clone());
            for before in [Step::Rotate, Step::Snapshot, Step::Commit] {
                writer.step(before);
            }
            let writer = Arc::new(Mutex::new(writer));
            let started = Arc::new(AtomicU64::new(u64::MAX));
            let (acting, start) = (Arc::clone(&writer), Arc::clone(&started));
            let operations = Arc::new(AtomicU64::new(0));
            let counter = Arc::clone(&operations);
            let between: Between = Arc::new(Mutex::new(move || {
                let first = start.load(Ordering::Relaxed);
                if first != u64::MAX && counter.fetch_add(1, Ordering::Relaxed) == first {
                    acting.lock().unwrap().step(step);
                }
            }));
            let reader = Db::open(Beside::reader_with(&storage, between), host(), reading()).unwrap();
            let view = reader.view();
            let old = number(&reader);
            writer.lock().unwrap().step(Step::Rotate);
            started.store(at, Ordering::Relaxed);
            let place = std::format!("{step:?} at operation {at}");
            reader.refresh().unwrap_or_else(|error| panic!("{place}: {error}"));
            let is_past = operations.load(Ordering::Relaxed) > at;
            started.store(u64::MAX, Ordering::Relaxed);
            assert!(number(&reader) >= old + 6, "{place}");
            let newest = seen_alone(&storage);
            reader.refresh().unwrap_or_else(|error| panic!("{place}: {error}"));
            assert_eq!(number(&reader), newest, "{place}");
            assert_eq!(view.kv().get::<i64>("count").unwrap(), Some(old), "{place}");
            assert_eq!(view.events().len("numbers").unwrap(), old.unsigned_abs(), "{place}");
            let report = reader.verify(&mut |_| ControlFlow::Continue(())).unwrap();
            assert!(report.is_ok(), "{place}: {report:?}");
            if !is_past {
                break;
            }
        }
    }
}

#[test]
fn readers_that_look_between_any_two_operations_of_a_writer_see_versions_in_order_and_no_damage() {
    let storage = MemStorage::new();
    let looks: Arc<Mutex<Vec<i64>>> = Arc::default();
    let (files, seen) = (storage.clone(), Arc::clone(&looks));
    let mut long: Option<Db<Beside>> = None;
    let between: Between = Arc::new(Mutex::new(move || {
        let opened = match Db::open(Beside::reader(&files), host(), reading()) {
            Ok(opened) => opened,
            // Before the first commit there is nothing to look at.
            Err(error) if error.kind() == crate::ErrorKind::NotAStore && seen.lock().unwrap().is_empty() => return,
            Err(error) => panic!("opening: {error}"),
        };
        let anew = number(&opened);
        let reader = long.get_or_insert(opened);
        reader.refresh().unwrap_or_else(|error| panic!("refreshing: {error}"));
        assert_eq!(number(reader), anew, "who goes on sees what who opens sees");
        let mut seen = seen.lock().unwrap();
        assert!(
            seen.last().is_none_or(|last| *last <= anew),
            "nothing that was whole is taken back by a process that dies"
        );
        seen.push(anew);
    }));
    let mut writer = Writer::new(Beside::writer_with(&storage, between));
    for first in STEPS {
        for second in STEPS {
            writer.step(first);
            writer.step(second);
        }
    }
    let looks = looks.lock().unwrap();
    assert!(looks.len() > 1000, "{} looks", looks.len());
}
