//! Snapshots while commits go on, and the old files that go afterwards.

use std::ops::ControlFlow;

use foldb_core::primitive::ScanOptions;
use shuttle::thread;

use super::super::{
    Scenario,
    world::{BUFFERED, STRICT, World, choose, options, reopen, stored_leaves},
};
use crate::crash::Image;

pub(super) const SNAPSHOT_DURING_COMMITS: Scenario = Scenario {
    name: "snapshot-during-commits",
    what: "two threads ask for snapshots while two commit: each snapshot is whole, durable, and of commits that the log has",
    run: snapshot_during_commits,
};

fn snapshot_during_commits() {
    let world = World::new();
    let db = world.open(options(if choose(2) == 0 { STRICT } else { BUFFERED }));
    thread::scope(|scope| {
        let (world, db) = (&world, &db);
        for (name, durability) in [("a", STRICT), ("b", BUFFERED)] {
            scope.spawn(move || {
                for number in 0..2 {
                    world.put(db, &format!("{name}/{number}"), number, durability).unwrap();
                }
            });
        }
        for _ in 0..2 {
            scope.spawn(move || {
                let before = db.view().seq();
                let info = db.snapshot().unwrap();
                assert!(info.seq >= before.min(db.durable_seq()), "it has what could be seen before");
                world.promised(info.seq);
                let image = world.disk.crash_point(world.disk.operation_count()).nothing_survives();
                let used = reopen(&image).recovery_report().snapshot;
                assert!(used.is_some_and(|(generation, _)| generation >= info.generation), "{used:?}, not {info:?}");
            });
        }
    });
    world.finish(db);
}

pub(super) const SNAPSHOTS_IN_PASSING: Scenario = Scenario {
    name: "snapshots-in-passing",
    what: "commits bring about snapshots; of two that come to it together one writes it, and the other does not write it again",
    run: snapshots_in_passing,
};

fn snapshots_in_passing() {
    let world = World::new();
    let db = world.begin(options(STRICT).snapshot_log_bytes(Some(600)));
    thread::scope(|scope| {
        let (world, db) = (&world, &db);
        for name in ["a", "b", "c"] {
            scope.spawn(move || {
                for number in 0..2 {
                    let key = format!("{name}/{number}/{}", "x".repeat(100));
                    assert!(world.put(db, &key, number, STRICT).is_ok_and(|receipt| receipt.durable));
                }
            });
        }
    });
    // Generations are given in turn. Six commits of at most 250 bytes, and one for each 600 bytes of them.
    let newest = db.stats().unwrap().snapshots.last().map_or(0, |(generation, _)| *generation);
    assert!(newest <= 2, "{newest} snapshots of so little log");
    world.finish(db);
}

pub(super) const OLD_FILES_GO: Scenario = Scenario {
    name: "old-files-go",
    what: "a store that was killed in a snapshot and at a rotation is opened again: what is left over goes while readers use \
           what is needed",
    run: old_files_go,
};

fn old_files_go() {
    let (mut image, keys) = stored_leaves();
    // What a process that died leaves: a snapshot that no anchor names, and a segment without a header.
    image.put("snap-00000000000000000009", b"half of a snapshot");
    image.put("log-00000000000000000009", &[0; 512]);
    let world = World::of(&image);
    let db = world.open(options(STRICT).segment_bytes(4096));
    thread::scope(|scope| {
        let (world, db, keys) = (&world, &db, &keys);
        scope.spawn(move || assert_eq!(db.kv().scan(&ScanOptions::prefix("leaf/")).unwrap().len(), keys.len()));
        scope.spawn(move || {
            for number in 0..2 {
                let key = format!("new/{number}/{}", "x".repeat(100));
                assert!(world.put(db, &key, number, STRICT).is_ok_and(|receipt| receipt.durable));
            }
        });
        scope.spawn(move || {
            for _ in 0..2 {
                db.snapshot().unwrap();
                db.stats().unwrap();
            }
        });
        scope.spawn(move || {
            let report = db.verify(&mut |_| ControlFlow::Continue(())).unwrap();
            assert!(report.is_ok(), "a false alarm: {:?}", report.violations);
        });
    });
    let stats = db.stats().unwrap();
    assert!(!stats.segments.iter().any(|segment| segment.number == 9 && segment.bytes == 512), "it is gone: {stats:?}");
    drop(db);
    world.judge();
}

pub(super) const CHECKPOINT: Scenario = Scenario {
    name: "checkpoint",
    what: "a checkpoint is copied while commits go on, segments change and snapshots push the old ones out: the copy opens, \
           with everything up to its seq and nothing after it",
    run: checkpoint,
};

fn checkpoint() {
    let (image, keys) = stored_leaves();
    let world = World::of(&image);
    let db = world.open(options(if choose(2) == 0 { STRICT } else { BUFFERED }).segment_bytes(4096));
    thread::scope(|scope| {
        let (world, db, keys) = (&world, &db, &keys);
        for (name, durability) in [("a", STRICT), ("b", BUFFERED)] {
            scope.spawn(move || {
                for number in 0..2 {
                    let key = format!("{name}/{number}/{}", "x".repeat(200));
                    world.put(db, &key, number, durability).unwrap();
                }
            });
        }
        scope.spawn(move || (0..2).for_each(|_| drop(db.snapshot().unwrap())));
        scope.spawn(move || {
            let checkpoint = db.checkpoint().unwrap();
            world.promised(checkpoint.seq());
            let copied = checkpoint.files().iter().map(|file| {
                let mut bytes = vec![0; usize::try_from(file.len()).unwrap()];
                checkpoint.read_at(file, 0, &mut bytes).unwrap();
                (file.name(), bytes)
            });
            let copy = reopen(&Image::from_files(copied.collect::<Vec<_>>()));
            assert_eq!(copy.view().seq(), checkpoint.seq());
            assert_eq!(copy.kv().scan(&ScanOptions::prefix("leaf/")).unwrap().len(), keys.len());
        });
    });
    drop(db);
    world.judge();
}
