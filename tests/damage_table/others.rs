//! Rows about clocks, other processes, eviction, and threads.

use std::sync::Arc;

use foldb::{Db, ErrorKind};
use foldb_testkit::{
    SeededHost,
    crash::{CrashStorage, Image},
};

use crate::bench::*;

#[test]
fn row_24_clocks_may_jump_as_they_like() {
    let disk = CrashStorage::new();
    let host = Arc::new(SeededHost::new(1));
    let db = Db::open(disk.clone(), host.clone(), options(STRICT)).unwrap();
    for (number, clock) in (1..).zip([u64::MAX / 4, 0, 1, u64::MAX / 2, 5]) {
        host.set_clock(clock);
        put(&db, number).unwrap();
        assert_eq!(db.view().seq(), number, "the order is that of the commits");
    }
    db.close().unwrap();
    assert_eq!(opens(&disk.live_image()), first(5));
}

#[test]
fn row_25_a_second_process_is_refused_and_a_writer_that_was_thought_dead_is_fenced() {
    let directory = tempfile::tempdir().unwrap();
    let db = foldb::open(directory.path()).unwrap();
    let error = foldb::open(directory.path()).map(|_| ()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Locked, "{error}");
    drop(db);

    // A lock that does not hold, as on some network file systems: the old process goes on behind the new one's back.
    let disk = CrashStorage::new();
    let old = open(disk.clone(), STRICT, 1).unwrap();
    put(&old, 1).unwrap();
    let new = open(disk.clone(), STRICT, 2).unwrap();
    put(&new, 2).unwrap();
    let zombie = put(&old, 7);
    drop((old, new));
    let image = disk.live_image();
    // What it wrote into the segment that it still held is behind what the next segment says of it, and does not count.
    assert_eq!(opens(&image), first(2), "the zombie's commit was answered with {zombie:?}");
}

#[test]
fn row_29_a_store_that_was_evicted_is_reported_as_created() {
    // A browser evicts an origin as a whole: nothing is left that could tell. `created` is what an app can notice it by.
    let db = open(CrashStorage::from_image(&Image::default()), STRICT, 1).unwrap();
    assert!(db.recovery_report().created);
    let db = open(CrashStorage::from_image(&closed_after(1)), STRICT, 2).unwrap();
    assert!(!db.recovery_report().created);
}

#[test]
fn row_33_snapshots_are_taken_while_commits_go_on() {
    // The schedules of commit, snapshot, rotation and reader are explored elsewhere; here real threads do it.
    const WRITERS: u64 = 3;
    const COMMITS: u64 = 30;
    let disk = CrashStorage::new();
    let db = open(disk.clone(), STRICT, 1).unwrap();
    std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            let db = &db;
            scope.spawn(move || (0..COMMITS).for_each(|number| put(db, 1 + writer * COMMITS + number).unwrap()));
        }
        for _ in 0..8 {
            if db.view().seq() > 0 {
                db.snapshot().unwrap();
            }
            std::thread::yield_now();
        }
    });
    db.snapshot().unwrap();
    drop(db);
    let all = first(WRITERS * COMMITS);
    assert_eq!(opens(&disk.live_image()), all);
    assert_eq!(opens(&disk.crash_point(disk.operation_count()).nothing_survives()), all);
}
