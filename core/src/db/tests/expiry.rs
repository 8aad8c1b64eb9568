//! When pairs, documents and cells are over, with a clock that a test sets.

use alloc::{collections::BTreeMap, sync::Arc, vec::Vec};
use core::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use serde_json::json;

use crate::{
    ChangeFilter, Db, ErrorKind, Options, Result, RunOptions,
    host::{Host, SteppedHost},
    limits::{EXPIRY_MICROS_MAX, SWEPT_ENTRIES_MAX},
    primitive::{ScanOptions, Version},
    state::{DEFAULT_SPACE, Family},
    storage::MemStorage,
    tree::{Direction, KeyRange},
};

/// A clock that stands still until a test sets it.
pub(super) struct Clock(AtomicU64, SteppedHost);

impl Clock {
    pub(super) fn at(micros: u64) -> Arc<Self> {
        Arc::new(Clock(AtomicU64::new(micros), SteppedHost::new(micros)))
    }

    pub(super) fn set(&self, micros: u64) {
        self.0.store(micros, Ordering::Relaxed);
    }

    pub(super) fn now(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Host for Clock {
    fn now_micros(&self) -> u64 {
        self.now()
    }

    fn fill_random(&self, bytes: &mut [u8]) {
        self.1.fill_random(bytes);
    }
}

pub(super) fn open(storage: &MemStorage, clock: &Arc<Clock>) -> Db<MemStorage> {
    Db::open(storage.clone(), Arc::clone(clock) as _, Options::new().snapshot_on_close(false)).unwrap()
}

/// A store at 1,000.
fn store() -> (Db<MemStorage>, Arc<Clock>) {
    let clock = Clock::at(1000);
    (open(&MemStorage::new(), &clock), clock)
}

const TTL: Duration = Duration::from_micros(100);

/// How many entries of the default space are over at some time, by its index.
pub(super) fn indexed(db: &Db<MemStorage>) -> u64 {
    let (view, mut count) = (db.view(), 0);
    let tree = view.folded().space(DEFAULT_SPACE).unwrap().tree();
    let range = Family::Expiry.range(&KeyRange::all());
    tree.visit(&range, Direction::Forward, view.source(), &mut |_, _| {
        count += 1;
        core::ops::ControlFlow::Continue(())
    })
    .unwrap();
    count
}

/// Log and state agree, and the index with the entries.
pub(super) fn assert_sound(db: &Db<MemStorage>) {
    let report = db.verify(&mut |_| core::ops::ControlFlow::Continue(())).unwrap();
    assert!(report.violations.is_empty(), "{:?}", report.violations);
    assert_eq!(db.replay_default().unwrap().digest().unwrap(), db.view().default_space().digest().unwrap());
}

#[test]
fn what_is_over_is_seen_by_no_read() {
    let (db, clock) = store();
    db.kv().put("b", 2).unwrap();
    for key in ["a", "c"] {
        db.kv().put_with_ttl(key, 1, TTL).unwrap();
        db.json().set_with_ttl(key, &json!({"n": 1}), TTL).unwrap();
        db.state().set_with_ttl(key, 1, TTL).unwrap();
    }
    let keys = |db: &Db<MemStorage>| db.kv().keys(&ScanOptions::all()).unwrap();
    clock.set(1099);
    assert_eq!((keys(&db).len(), db.json().count(..).unwrap(), db.state().count(..).unwrap()), (3, 2, 2));
    assert_eq!(db.kv().ttl("a").unwrap(), Some(Duration::from_micros(1)));
    clock.set(1100);
    assert_eq!(keys(&db), [b"b"]);
    assert_eq!(db.kv().count(..).unwrap(), 1);
    assert_eq!(db.kv().scan(&ScanOptions::all().reverse().limit(1)).unwrap()[0].key, b"b");
    assert_eq!(
        db.kv().iter::<i64>(&ScanOptions::all()).rev().map(|pair| pair.unwrap().key).collect::<Vec<_>>(),
        [b"b"]
    );
    assert_eq!(db.kv().get_many::<i64, _>(["a", "b"]).unwrap(), [None, Some(2)]);
    assert_eq!(db.kv().exists_many(["a", "b", "c"]).unwrap(), [false, true, false]);
    assert_eq!(db.kv().get_with("a", |_| ()).unwrap(), None);
    assert!(db.kv().get_versioned::<i64>("a").unwrap().is_none());
    assert_eq!((db.kv().expires_at("a").unwrap(), db.kv().ttl("a").unwrap()), (None, None));
    assert_eq!((db.json().get("a").unwrap(), db.json().list(&ScanOptions::all()).unwrap().len()), (None, 0));
    assert!(db.json().get_at("a", "/n").is_err() && !db.json().exists("c").unwrap());
    assert!(db.state().get::<i64>("a").unwrap().is_none() && db.state().keys(&ScanOptions::all()).unwrap().is_empty());
    let view = db.view();
    assert!(!view.kv().exists("a").unwrap() && view.kv().count(..).unwrap() == 1);
    db.transaction(|tx| {
        assert!(!tx.kv().exists("a")? && tx.json().get("a")?.is_none() && tx.kv().count(..)? == 1);
        Ok::<_, crate::Error>(())
    })
    .unwrap();
    assert_sound(&db);
}

#[test]
fn a_store_that_hides_nothing_shows_what_is_over_until_it_is_swept() {
    let clock = Clock::at(1000);
    let storage = MemStorage::new();
    let options = Options::new().hide_expired(false);
    let db = Db::open(storage, Arc::clone(&clock) as _, options).unwrap();
    db.kv().put_with_ttl("a", 1, TTL).unwrap();
    clock.set(5000);
    assert_eq!(db.kv().get::<i64>("a").unwrap(), Some(1));
    assert_eq!(db.kv().ttl("a").unwrap(), Some(Duration::ZERO));
    assert_eq!(db.sweep_expired(10).unwrap().entries, 1);
    assert_eq!(db.kv().get::<i64>("a").unwrap(), None);
    // An addition is the same whatever a store hides.
    db.kv().add_i64("n", 5).unwrap();
    db.kv().touch("n", TTL).unwrap();
    clock.set(9000);
    let seen = db.transaction(|tx| {
        tx.kv().add_i64("n", 1)?;
        tx.kv().get::<i64>("n")
    });
    assert_eq!((seen.unwrap(), db.kv().get::<i64>("n").unwrap()), (Some(1), Some(1)));
}

#[test]
fn a_reader_goes_by_one_moment() {
    let (db, clock) = store();
    db.kv().put_with_ttl("a", 1, TTL).unwrap();
    let view = db.view();
    assert!(view.kv().exists("a").unwrap());
    let tx = db.begin_transaction().unwrap();
    assert!(tx.kv().exists("a").unwrap());
    clock.set(2000);
    assert!(view.kv().exists("a").unwrap() && view.clone().kv().exists("a").unwrap(), "it was there");
    assert!(tx.kv().exists("a").unwrap());
    assert!(!db.kv().exists("a").unwrap() && !db.view().kv().exists("a").unwrap());
    let kept = db.detach_view(view).unwrap();
    assert!(db.attach_view(&kept).unwrap().kv().exists("a").unwrap());
    let kept = db.detach_transaction(tx).unwrap();
    assert!(db.attach_transaction(kept).unwrap().kv().exists("a").unwrap());
}

/// What an operation does to when a key is over.
#[test]
fn a_write_in_place_of_another_lives_for_ever_and_a_change_lives_as_long_as_before() {
    let (db, clock) = store();
    let (kv, cells, documents) = (db.kv(), db.state(), db.json());
    type Operation<'a> = &'a dyn Fn() -> Result<()>;
    let pair = |operation: Operation<'_>| {
        kv.put_with_ttl("k", 1, TTL).unwrap();
        operation().unwrap();
        kv.expires_at("k").unwrap()
    };
    let version = || kv.get_versioned::<i64>("k").unwrap().unwrap().version;
    let replacing: [Operation<'_>; 7] = [
        &|| kv.put("k", 2),
        &|| kv.put_many([("k", 2)]),
        &|| kv.cas_value("k", Some(&1), 2),
        &|| kv.cas_version("k", Some(version()), 2),
        &|| kv.get_and_put::<i64>("k", 2).map(drop),
        &|| kv.persist("k").map(drop),
        &|| kv.delete("k").map(drop),
    ];
    for (number, operation) in replacing.into_iter().enumerate() {
        assert_eq!(pair(operation), None, "operation {number}");
    }
    let keeping: [Operation<'_>; 4] = [
        &|| kv.add_i64("k", 1),
        &|| kv.update("k", |n: Option<i64>| n.unwrap() + 1).map(drop),
        &|| kv.put_keep_ttl("k", 2),
        &|| db.transaction(|tx| tx.kv().add_i64("k", 1).and_then(|()| tx.kv().add_i64("k", 1))),
    ];
    for (number, operation) in keeping.into_iter().enumerate() {
        assert_eq!(pair(operation), Some(1100), "operation {number}");
    }
    kv.put_with_ttl("k", 1, TTL).unwrap();
    kv.rename("k", "moved").unwrap();
    assert_eq!((kv.expires_at("moved").unwrap(), kv.exists("k").unwrap()), (Some(1100), false));

    let large = json!({"text": "x".repeat(2000), "list": []});
    documents.set_with_ttl("d", &large, TTL).unwrap();
    documents.set_at("d", "/n", &json!(1)).unwrap();
    documents.push_at("d", "/list", &json!(1)).unwrap();
    documents.patch("d", &json!([{"op": "add", "path": "/m", "value": 1}])).unwrap();
    documents.upsert("d", &json!({"o": 1})).unwrap();
    documents.update("d", |document| document.unwrap()).unwrap();
    assert_eq!(documents.get_at("d", "/list/0").unwrap(), Some(json!(1)));
    documents.set_keep_ttl("d", &json!({"small": 1})).unwrap();
    documents.set_at("d", "/small", &json!(2)).unwrap();
    assert_eq!(documents.expires_at("d").unwrap(), Some(1100));
    documents.set("d", &large).unwrap();
    assert_eq!(documents.expires_at("d").unwrap(), None);

    cells.set_with_ttl("c", 1, TTL).unwrap();
    cells.update("c", |n: Option<i64>| n.unwrap() + 1).unwrap();
    cells.transition("c", |n: i64| Ok(n + 1)).unwrap();
    cells.transition_or_init("c", 0, |n: i64| Ok(n + 1)).unwrap();
    assert_eq!(cells.set_keep_ttl("c", 7).unwrap(), 5);
    assert_eq!(cells.expires_at("c").unwrap(), Some(1100));
    assert_eq!(cells.cas("c", 5, 8).unwrap(), 6);
    assert_eq!(cells.expires_at("c").unwrap(), None);
    assert_eq!(indexed(&db), 1, "only what was moved");
    clock.set(1100);
    assert_sound(&db);
}

#[test]
fn what_is_over_is_absent_to_whoever_decides_by_it() {
    let (db, clock) = store();
    for key in ["a", "b", "c", "d", "e", "f", "g"] {
        db.kv().put_with_ttl(key, 1, TTL).unwrap();
    }
    db.state().set_with_ttl("cell", 1, TTL).unwrap();
    db.state().set_with_ttl("cell", 2, TTL).unwrap();
    db.json().set_with_ttl("d", &json!({"n": 1}), TTL).unwrap();
    let stale = db.kv().get_versioned::<i64>("b").unwrap().unwrap().version;
    clock.set(1100);
    db.kv().put_if_absent("a", 2).unwrap();
    assert!(db.kv().cas_version("b", Some(stale), 2).is_err());
    db.kv().cas_version("b", None, 2).unwrap();
    assert!(db.kv().cas_value("c", Some(&1), 2).is_err());
    db.kv().cas_value::<i64>("c", None, 2).unwrap();
    assert_eq!(db.kv().get_and_put::<i64>("d", 2).unwrap(), None);
    assert_eq!(db.kv().get_and_delete::<i64>("e").unwrap(), None);
    assert!(!db.kv().delete("e").unwrap() && !db.kv().touch("e", TTL).unwrap() && !db.kv().persist("e").unwrap());
    assert!(!db.kv().expire_at("e", 9999).unwrap());
    assert!(db.kv().rename("e", "x").is_err());
    db.kv().rename("a", "f").unwrap();
    db.kv().put_keep_ttl("g", 3).unwrap();
    assert_eq!(db.kv().expires_at("g").unwrap(), None, "there was nothing to keep");
    assert_eq!(db.state().cas("cell", 2, 3).unwrap_err().kind(), ErrorKind::Precondition);
    assert_eq!(db.state().set("cell", 3).unwrap(), 1, "it counts anew");
    assert!(!db.json().upsert("d", &json!({"m": 2})).unwrap());
    assert_eq!(db.json().get("d").unwrap(), Some(json!({"m": 2})));
    assert_eq!(db.kv().delete_range(..).unwrap().keys, 5);
    assert_eq!(indexed(&db), 0, "what was hidden went with its deletion");
    assert_sound(&db);
}

#[test]
fn an_addition_to_a_counter_that_is_over_begins_at_zero_although_nobody_has_read_it() {
    let (db, clock) = store();
    db.kv().add_i64("n", 40).unwrap();
    db.kv().touch("n", TTL).unwrap();
    db.kv().add_i64("n", 2).unwrap();
    assert_eq!((db.kv().get::<i64>("n").unwrap(), db.kv().expires_at("n").unwrap()), (Some(42), Some(1100)));
    // One that could not be added to any more, and one that is no number, are over too.
    db.kv().put_with_ttl("full", i64::MAX, TTL).unwrap();
    db.kv().put_with_ttl("text", "x".repeat(600), TTL).unwrap();
    assert!(db.kv().add_i64("full", 1).is_err() && db.kv().add_i64("text", 1).is_err());
    clock.set(1100);
    for key in ["n", "full", "text"] {
        db.kv().add_i64(key, 1).unwrap();
        assert_eq!((db.kv().get::<i64>(key).unwrap(), db.kv().expires_at(key).unwrap()), (Some(1), None), "{key}");
    }
    assert_eq!(indexed(&db), 0);
    assert_sound(&db);
}

#[test]
fn a_transaction_reads_the_times_that_it_sets_itself() {
    let (db, clock) = store();
    db.kv().put("n", 1).unwrap();
    db.json().set("d", &json!({"text": "x".repeat(2000)})).unwrap();
    db.transaction(|tx| {
        assert!(tx.kv().touch("n", TTL)?);
        assert_eq!((tx.kv().expires_at("n")?, tx.kv().get::<i64>("n")?), (Some(1100), Some(1)));
        assert_eq!(tx.kv().get_versioned::<i64>("n")?.map(|read| read.version), Some(Version::UNCOMMITTED));
        tx.kv().add_i64("n", 1)?;
        assert_eq!((tx.kv().expires_at("n")?, tx.kv().get::<i64>("n")?), (Some(1100), Some(2)));
        tx.kv().add_i64("m", 5)?;
        tx.kv().touch("m", TTL)?;
        tx.kv().add_i64("m", 5)?;
        tx.kv().put_with_ttl("p", 1, TTL)?;
        assert!(tx.kv().persist("p")? && !tx.kv().persist("p")?);
        tx.kv().put("q", 1)?;
        tx.kv().expire_at("q", 900)?;
        assert!(!tx.kv().exists("q")? && tx.kv().keys(&ScanOptions::all())? == [b"m", b"n", b"p"]);
        tx.kv().add_i64("q", 3)?;
        assert_eq!((tx.kv().get::<i64>("q")?, tx.kv().expires_at("q")?), (Some(3), None));
        tx.kv().expire_at("q", 900)?;
        tx.kv().delete("p")?;
        assert!(!tx.kv().touch("p", TTL)?);
        // A change that only is logged, then a time, then another change.
        tx.json().set_at("d", "/n", &json!(1))?;
        tx.json().touch("d", TTL)?;
        tx.json().set_at("d", "/m", &json!(2))?;
        assert_eq!((tx.json().expires_at("d")?, tx.json().get_at("d", "/m")?), (Some(1100), Some(json!(2))));
        tx.state().set_with_ttl("c", 1, TTL)?;
        tx.state().update("c", |n: Option<i64>| n.unwrap() + 1)?;
        assert_eq!(tx.state().expires_at("c")?, Some(1100));
        Ok::<_, crate::Error>(())
    })
    .unwrap();
    assert_eq!((db.kv().get::<i64>("m").unwrap(), db.kv().expires_at("m").unwrap()), (Some(10), Some(1100)));
    assert_eq!(
        (db.json().get_at("d", "/n").unwrap(), db.json().expires_at("d").unwrap()),
        (Some(json!(1)), Some(1100))
    );
    assert!(!db.kv().exists("q").unwrap() && !db.kv().exists("p").unwrap());
    assert_eq!(indexed(&db), 5, "n, m, q, d, c");
    clock.set(1100);
    assert_eq!(db.kv().count(..).unwrap(), 0);
    assert_sound(&db);
}

#[test]
fn a_changed_document_that_is_over_at_a_time_is_logged_as_its_change() {
    let (db, _) = store();
    db.json().set_with_ttl("d", &json!({"text": "x".repeat(20_000)}), TTL).unwrap();
    let bytes = || db.shared().lock().log_bytes;
    let before = bytes();
    db.transaction(|tx| {
        tx.json().set_at("d", "/n", &json!(1))?;
        tx.json().set_at("d", "/m", &json!(1))
    })
    .unwrap();
    db.json().touch("d", TTL).unwrap();
    db.json().set_at("d", "/o", &json!(1)).unwrap();
    assert!(bytes() - before < 2000, "{} bytes", bytes() - before);
    assert_eq!(
        (db.json().get_at("d", "/o").unwrap(), db.json().expires_at("d").unwrap()),
        (Some(json!(1)), Some(1100))
    );
    assert_sound(&db);
}

#[test]
fn what_a_transaction_did_not_see_because_it_was_over_has_to_stay_so() {
    let (db, clock) = store();
    db.kv().put_with_ttl("a", 1, TTL).unwrap();
    clock.set(1100);
    let (point, range) = (db.begin_transaction().unwrap(), db.begin_transaction().unwrap());
    assert!(!point.kv().exists("a").unwrap() && range.kv().count(..).unwrap() == 0);
    point.kv().put("seen", 0).unwrap();
    range.kv().put("seen", 0).unwrap();
    // Somebody whose clock is behind.
    clock.set(1000);
    assert!(db.kv().touch("a", Duration::from_secs(1)).unwrap());
    assert_eq!(point.commit().unwrap_err().kind(), ErrorKind::Conflict);
    assert_eq!(range.commit().unwrap_err().kind(), ErrorKind::Conflict);
}

#[test]
fn a_sweep_removes_what_is_over_the_longest_first_and_says_whether_that_was_all() {
    let (db, clock) = store();
    for number in 0..10_u8 {
        db.kv().put_expiring_at([number], "x".repeat(600), 2000 - u64::from(number)).unwrap();
    }
    db.json().set_expiring_at("d", &json!(1), 1995).unwrap();
    db.state().set_expiring_at("c", 1, 3000).unwrap();
    let before = db.view().folded().live_bytes().into_values().sum::<u64>();
    assert_eq!(db.sweep_expired(100).unwrap(), crate::Swept { entries: 0, is_complete: true });
    let seq = db.view().seq();
    clock.set(2500);
    let mut heard = db.subscribe(ChangeFilter::all()).unwrap();
    let swept = db.sweep_expired(3).unwrap();
    assert_eq!((swept.entries, swept.is_complete), (3, false));
    assert_eq!(db.view().seq(), seq + 1, "one commit");
    let told = heard.try_next().unwrap().unwrap();
    assert_eq!(told.changes().map(|change| change.key.to_vec()).collect::<Vec<_>>(), [[9], [8], [7]]);
    let swept = db.sweep_expired(100).unwrap();
    assert_eq!((swept.entries, swept.is_complete), (8, true));
    let after = db.view().folded().live_bytes().into_values().sum::<u64>();
    assert!(before >= 10 * 600 && after == 0, "{before} and {after}");
    assert_eq!((indexed(&db), db.state().expires_at("c").unwrap()), (1, Some(3000)));
    assert_sound(&db);
}

#[test]
fn a_sweep_of_much_is_many_commits() {
    let (db, clock) = store();
    let many = 2 * SWEPT_ENTRIES_MAX + 7;
    db.transaction(|tx| (0..many).try_for_each(|n| tx.kv().put_with_ttl(n.to_be_bytes(), n, TTL))).unwrap();
    let seq = db.view().seq();
    clock.set(1100);
    let swept = db.sweep_expired(u64::MAX).unwrap();
    assert_eq!((swept.entries, swept.is_complete, db.view().seq() - seq), (many, true, 3));
    assert_eq!(db.stats().unwrap().entries, 0);
    assert_sound(&db);
}

#[test]
fn runs_are_swept_too_but_not_those_that_have_ended() {
    let (db, clock) = store();
    let (open, ended) =
        (db.runs().begin(RunOptions::named("a")).unwrap(), db.runs().begin(RunOptions::named("b")).unwrap());
    for run in [&open, &ended] {
        run.kv().put_with_ttl("k", 1, TTL).unwrap();
    }
    ended.end().unwrap();
    clock.set(1100);
    assert_eq!(ended.sweep_expired(10).unwrap_err().kind(), ErrorKind::RunEnded);
    assert_eq!(db.sweep_expired(10).unwrap().entries, 1);
    assert!(!open.kv().exists("k").unwrap() && !ended.kv().exists("k").unwrap());
    // History is not hidden.
    let replay = db.replay(ended.id()).unwrap();
    assert!(replay.kv().exists("k").unwrap());
    assert_eq!(replay.digest().unwrap(), db.view().run(ended.id()).unwrap().digest().unwrap());
    db.runs().delete(ended.id()).unwrap();
    assert_sound(&db);
}

#[test]
fn snapshots_and_recovery_keep_the_times_and_the_index() {
    let (storage, clock) = (MemStorage::new(), Clock::at(1000));
    let db = open(&storage, &clock);
    db.kv().put_with_ttl("pair", 1, TTL).unwrap();
    db.kv().put_with_ttl("large", "x".repeat(2000), TTL).unwrap();
    db.json().set_with_ttl("document", &json!({"text": "x".repeat(2000)}), TTL).unwrap();
    db.json().set_at("document", "/n", &json!(1)).unwrap();
    db.state().set_with_ttl("cell", 1, TTL).unwrap();
    db.snapshot().unwrap();
    db.kv().touch("pair", Duration::from_micros(500)).unwrap();
    db.kv().put("large", 1).unwrap();
    db.close().unwrap();
    let db = open(&storage, &clock);
    let times = |db: &Db<MemStorage>| {
        let kv = ["pair", "large"].map(|key| db.kv().expires_at(key).unwrap());
        (kv, db.json().expires_at("document").unwrap(), db.state().expires_at("cell").unwrap())
    };
    assert_eq!(times(&db), ([Some(1500), None], Some(1100), Some(1100)));
    assert_eq!(indexed(&db), 3);
    // What is absent in memory yet is found by whatever replaces it.
    db.state().set("cell", 2).unwrap();
    db.kv().delete("pair").unwrap();
    assert_eq!((indexed(&db), times(&db)), (1, ([None, None], Some(1100), None)));
    db.snapshot().unwrap();
    db.close().unwrap();
    clock.set(1200);
    let db = open(&storage, &clock);
    assert!(!db.json().exists("document").unwrap());
    assert_eq!(db.sweep_expired(9).unwrap().entries, 1);
    let reader = Db::open(storage.clone(), Clock::at(1050) as _, Options::new().read_only(true)).unwrap();
    assert!(!reader.json().exists("document").unwrap() && reader.sweep_expired(1).is_err());
    assert_sound(&db);
}

#[test]
fn a_store_that_only_reads_hides_by_its_own_clock() {
    let (storage, clock) = (MemStorage::new(), Clock::at(1000));
    let db = open(&storage, &clock);
    db.kv().put_with_ttl("a", 1, TTL).unwrap();
    for (now, there) in [(1099, true), (1100, false)] {
        let reader = Db::open(storage.clone(), Clock::at(now) as _, Options::new().read_only(true)).unwrap();
        assert_eq!(reader.kv().exists("a").unwrap(), there);
        assert_eq!(reader.view().kv().count(..).unwrap(), u64::from(there));
    }
}

#[test]
fn times_that_nothing_can_be_over_at_are_refused() {
    let (db, _) = store();
    db.kv().put("a", 1).unwrap();
    let kinds = [
        db.kv().put_with_ttl("a", 1, Duration::ZERO).unwrap_err().kind(),
        db.kv().touch("a", Duration::ZERO).unwrap_err().kind(),
        db.kv().expire_at("a", 0).unwrap_err().kind(),
        db.state().set_expiring_at("a", 1, 0).unwrap_err().kind(),
    ];
    assert_eq!(kinds, [ErrorKind::Invalid; 4]);
    let kinds = [
        db.kv().put_with_ttl("a", 1, Duration::MAX).unwrap_err().kind(),
        db.json().set_with_ttl("a", &json!(1), Duration::from_micros(EXPIRY_MICROS_MAX)).unwrap_err().kind(),
        db.kv().expire_at("a", EXPIRY_MICROS_MAX + 1).unwrap_err().kind(),
    ];
    assert_eq!(kinds, [ErrorKind::Limit; 3]);
    db.kv().expire_at("a", EXPIRY_MICROS_MAX).unwrap();
    db.kv().put_with_ttl("short", 1, Duration::from_nanos(1)).unwrap();
    assert_eq!(db.kv().expires_at("short").unwrap(), Some(1001));
    // As large as without a time.
    let largest = alloc::vec![0_u8; crate::limits::VALUE_BYTES_MAX - 5];
    db.kv().put_with_ttl("large", largest.as_slice(), TTL).unwrap();
    assert!(db.kv().put_with_ttl("large", alloc::vec![0_u8; crate::limits::VALUE_BYTES_MAX], TTL).is_err());
    let key = alloc::vec![7_u8; crate::limits::KEY_BYTES_MAX];
    db.kv().put_with_ttl(&key, 1, TTL).unwrap();
    db.kv().touch(&key, TTL).unwrap();
    assert_eq!(indexed(&db), 4);
    assert_sound(&db);
}

#[test]
fn a_touch_is_a_change_of_the_key_and_nothing_else() {
    let (db, _) = store();
    db.kv().put("a", 1).unwrap();
    let read = db.kv().get_versioned::<i64>("a").unwrap().unwrap();
    let mut heard = db.subscribe(ChangeFilter::all()).unwrap();
    db.kv().touch("a", TTL).unwrap();
    assert_eq!(heard.try_next().unwrap().unwrap().changes().next().unwrap().key, b"a");
    assert!(db.kv().cas_version("a", Some(read.version), 2).is_err(), "it is another version");
    assert_eq!(db.kv().get::<i64>("a").unwrap(), Some(1));
    let times: BTreeMap<&str, Option<u64>> =
        ["a", "b"].into_iter().map(|key| (key, db.kv().expires_at(key).unwrap())).collect();
    assert_eq!(times, BTreeMap::from([("a", Some(1100)), ("b", None)]));
    assert!(!db.kv().touch("b", TTL).unwrap() && !db.kv().exists("b").unwrap());
}

/// A revoked session came back when the clock was set back.
#[test]
fn what_is_deleted_while_it_is_hidden_does_not_come_back_with_a_clock_that_is_set_back() {
    let (db, clock) = store();
    for key in ["deleted", "taken", "many", "range/1", "range/2"] {
        db.kv().put_with_ttl(key, 1, TTL).unwrap();
    }
    db.json().set_with_ttl("deleted", &json!({}), TTL).unwrap();
    db.state().init_with_ttl("deleted", 1, TTL).unwrap();
    clock.set(5000);
    assert!(!db.kv().delete("deleted").unwrap(), "nobody could see it");
    assert_eq!(db.kv().get_and_delete::<i64>("taken").unwrap(), None);
    assert_eq!(db.kv().delete_many(["many"]).unwrap(), 0);
    assert_eq!(db.kv().delete_range(KeyRange::prefix("range/")).unwrap().keys, 2);
    assert!(!db.json().delete("deleted").unwrap() && !db.state().delete("deleted").unwrap());
    clock.set(1000);
    assert_eq!(db.kv().keys(&ScanOptions::all()).unwrap(), [b""; 0]);
    assert!(!db.json().exists("deleted").unwrap() && !db.state().exists("deleted").unwrap());
    assert_eq!(indexed(&db), 0);
}
