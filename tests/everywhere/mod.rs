//! What recovery (R1 to R6) and replay (P1 to P6) promise, on any storage: natively over files in memory and in a browser
//! over OPFS, by the same code and with the same digests.
//!
//! The histories run on the crash disk, which is deterministic; what each crash leaves is then laid down on the storage under
//! test and opened there. The thorough forms of these tests are in `recovery_invariants.rs` and `replay_determinism.rs`.

#![allow(unreachable_pub, reason = "a module of several test programs")]

use std::{collections::BTreeMap, ops::ControlFlow, sync::Arc};

use foldb::{
    Db, Durability, ErrorKind, RunId, RunOptions,
    storage::{MemStorage, Storage},
};
use foldb_testkit::{
    Random, SeededHost,
    crash::{CrashStorage, Image},
};

use crate::{
    scenario::{Scenario, content, open, options, recovered},
    workload::{GOLDEN, Workload, fixed_workload},
};

const STRICT: Durability = Durability::Strict;
const BUFFERED: Durability = Durability::buffered();
const SEGMENT_BYTES: u64 = 8192;

/// A place whose files can be set and taken.
pub trait Disk {
    type Storage: Storage;

    /// Opens the storage with these files and no others, all of them synced.
    fn load(&self, image: &Image) -> Self::Storage;

    /// Opens the storage with the files that it has.
    fn again(&self) -> Self::Storage;

    /// The files.
    fn image(&self) -> Image;
}

type Check<D> = fn(&D);

/// All of them, by name.
pub fn checks<D: Disk>() -> [(&'static str, Check<D>); 12] {
    [
        ("r1_the_same_files_give_the_same_state_and_report_on_every_storage", r1),
        ("r2_recovering_again_gives_the_identical_state_and_writes_nothing", r2),
        ("r3_the_result_is_a_prefix_of_the_commit_order", r3),
        ("r4_only_committed_data_appears", r4),
        ("r5_every_commit_that_was_reported_durable_is_there", r5),
        ("r6_what_was_not_promised_may_go_and_nothing_else", r6),
        ("p1_a_replay_does_not_depend_on_what_other_runs_did", p1),
        ("p2_a_replay_leaves_contents_files_and_sizes_untouched", p2),
        ("p3_a_replay_is_a_view_that_later_commits_do_not_change", p3),
        ("p4_a_replay_is_not_persisted", p4),
        ("p5_digests_are_these_on_every_machine_and_storage", p5),
        ("p6_any_number_of_replays_gives_the_identical_view", p6),
    ]
}

/// A store with a random history over several segments, snapshots and openings.
fn history(seed: u64, durability: Durability, steps: u64) -> Scenario {
    let mut scenario = Scenario::on(CrashStorage::new(), durability, SEGMENT_BYTES, seed);
    let (mut workload, mut random) = (Workload::new(seed), Random::new(seed ^ 0xff));
    for _ in 0..steps {
        scenario.step(|db| workload.step(db));
        match random.below(20) {
            0 => scenario.snapshot(),
            1 => scenario.reopen(),
            2 | 3 => scenario.sync(),
            _ => {}
        }
    }
    scenario.forget();
    scenario
}

fn r1<D: Disk>(disk: &D) {
    let scenario = history(1, BUFFERED, 30);
    for (at, image) in scenario.crashes(6, 2, 1) {
        let memory = image.to_memory();
        let expected = recovered(memory.clone(), SEGMENT_BYTES, 7).unwrap();
        assert_eq!(recovered(disk.load(&image), SEGMENT_BYTES, 7).unwrap(), expected, "crash after operation {at}");
        assert_eq!(disk.image(), Image::from(&memory), "the files that recovery leaves, after operation {at}");
        assert_eq!(
            recovered(disk.load(&image), SEGMENT_BYTES, 8).unwrap(),
            expected,
            "with other entropy, after operation {at}"
        );
    }
}

fn r2<D: Disk>(disk: &D) {
    let scenario = history(2, BUFFERED, 30);
    for (at, image) in scenario.crashes(6, 2, 2) {
        let (first, _) = recovered(disk.load(&image), SEGMENT_BYTES, 1).unwrap();
        let after_first = disk.image();
        let (second, report) = recovered(disk.again(), SEGMENT_BYTES, 2).unwrap();
        assert_eq!(second, first, "crash after operation {at}");
        assert_eq!(report.log.tail_records, 0, "the tail was written again once");
        assert_eq!(recovered(disk.again(), SEGMENT_BYTES, 3).unwrap(), (second, report));
        assert_eq!(disk.image(), after_first, "a second recovery writes nothing");
    }
    // Interrupted in the middle: what the interrupted one has left is recovered to the same.
    let (_, image) = scenario.crashes(1, 2, 3).pop().unwrap();
    let (expected, _) = recovered(image.to_memory(), SEGMENT_BYTES, 1).unwrap();
    let once = CrashStorage::from_image(&image);
    recovered(once.clone(), SEGMENT_BYTES, 2).unwrap();
    for point in once.crash_points() {
        for image in point.images(2, 2) {
            assert_eq!(recovered(disk.load(&image), SEGMENT_BYTES, 3).unwrap().0, expected);
        }
    }
}

/// Looks at an image as [`Scenario::check`] does, on this disk. Returns the seq that was recovered.
fn check<D: Disk>(disk: &D, scenario: &Scenario, image: &Image, at: usize) -> u64 {
    let db = open(disk.load(image), scenario.durability, SEGMENT_BYTES, 99).unwrap();
    let seq = db.view().seq();
    assert!(seq >= scenario.promised_by(at), "crash after operation {at}: {:?}", db.recovery_report());
    assert_eq!(scenario.history.get(&seq), Some(&content(&db)), "crash after operation {at}: commit {seq}");
    db.kv().put("after", "the crash").unwrap();
    db.close().unwrap();
    let db = open(disk.again(), scenario.durability, SEGMENT_BYTES, 100).unwrap();
    assert_eq!(db.kv().get::<String>("after").unwrap().as_deref(), Some("the crash"), "going on");
    let report = db.verify(&mut |_| ControlFlow::Continue(())).unwrap();
    assert!(report.is_ok(), "crash after operation {at}: {:?}", report.violations);
    seq
}

fn r3<D: Disk>(disk: &D) {
    let scenario = history(3, BUFFERED, 40);
    for (at, image) in scenario.crashes(8, 2, 3) {
        check(disk, &scenario, &image, at);
    }
}

fn r4<D: Disk>(disk: &D) {
    let mut scenario = Scenario::new(BUFFERED, SEGMENT_BYTES);
    let mut workload = Workload::new(4);
    for round in 0..15 {
        scenario.step(|db| workload.step(db));
        let abandoned = scenario.db().begin_transaction().unwrap();
        abandoned.kv().put("phantom", round).unwrap();
        drop(abandoned);
        let refused = scenario.db().begin_transaction().unwrap();
        refused.kv().put("phantom", round).unwrap();
        refused.kv().add_u64("phantom too large", u64::MAX).unwrap();
        assert!(refused.kv().add_u64("phantom too large", 1).is_err());
    }
    scenario.sync();
    scenario.forget();
    for (at, image) in scenario.crashes(8, 2, 4) {
        let db = open(disk.load(&image), BUFFERED, SEGMENT_BYTES, 3).unwrap();
        let found = content(&db);
        assert_eq!(found, scenario.history[&db.view().seq()], "crash after operation {at}");
        assert!(!found.values().chain(found.keys()).any(|text| text.contains("phantom")));
        std::mem::forget(db);
    }
}

fn r5<D: Disk>(disk: &D) {
    let scenario = history(5, STRICT, 30);
    for (at, image) in scenario.crashes(8, 2, 5) {
        check(disk, &scenario, &image, at);
    }
    let end = scenario.disk.operation_count();
    let last = *scenario.history.last_key_value().unwrap().0;
    let image = scenario.disk.crash_point(end).nothing_survives();
    assert_eq!(check(disk, &scenario, &image, end), last, "each commit had returned");
}

fn r6<D: Disk>(disk: &D) {
    let scenario = history(6, BUFFERED, 25);
    let end = scenario.disk.operation_count();
    let point = scenario.disk.crash_point(end);
    let everything = check(disk, &scenario, &point.everything_survives(), end);
    let nothing = check(disk, &scenario, &point.nothing_survives(), end);
    assert!(nothing >= scenario.promised_by(end) && nothing <= everything, "{nothing} {everything}");
}

/// A fresh store with a random history.
fn worked<D: Disk>(disk: &D, seed: u64, steps: u64) -> Db<D::Storage> {
    let db = open(disk.load(&Image::default()), BUFFERED, SEGMENT_BYTES, seed).unwrap();
    let mut workload = Workload::new(seed);
    (0..steps).for_each(|_| workload.step(&db));
    db
}

fn runs<S: Storage>(db: &Db<S>) -> Vec<RunId> {
    db.view().runs().into_iter().map(|run| run.id).collect()
}

/// The digests of the default space and of every run, live; checked to be those of their replays.
fn digests<S: Storage>(db: &Db<S>) -> Vec<String> {
    let view = db.view();
    let mut live = vec![view.default_space().digest().unwrap().to_string()];
    live.extend(view.runs().iter().map(|run| view.run(run.id).unwrap().digest().unwrap().to_string()));
    let mut replayed = vec![db.replay_default().unwrap().digest().unwrap().to_string()];
    replayed.extend(view.runs().iter().map(|run| db.replay(run.id).unwrap().digest().unwrap().to_string()));
    assert_eq!(live, replayed, "replay equals live");
    live
}

fn p1<D: Disk>(disk: &D) {
    let digest = |noise: u64| {
        let db = open(disk.load(&Image::default()), BUFFERED, SEGMENT_BYTES, 1).unwrap();
        let run = db.runs().begin(RunOptions::named("watched")).unwrap();
        let mut workload = Workload::new(noise);
        for number in 0..15 {
            (0..noise).for_each(|_| workload.step(&db));
            run.kv().put(format!("key {number}"), number).unwrap();
            run.events().append("log", "e", number).unwrap();
        }
        db.replay(run.id()).unwrap().digest().unwrap()
    };
    let alone = digest(0);
    assert_eq!(digest(1), alone);
    assert_eq!(digest(3), alone);
}

fn p2<D: Disk>(disk: &D) {
    let db = worked(disk, 2, 40);
    db.sync().unwrap();
    db.kv().put("buffered", 1).unwrap();
    let (image, seq, before) = (disk.image(), db.view().seq(), content(&db));
    for id in runs(&db) {
        db.replay(id).unwrap().digest().unwrap();
        db.replay_at(id, seq / 2).map(|replay| replay.digest()).ok();
    }
    assert!(disk.image() == image, "the files are the same, byte by byte");
    assert_eq!((content(&db), db.view().seq()), (before, seq));
}

fn p3<D: Disk>(disk: &D) {
    let db = open(disk.load(&Image::default()), STRICT, SEGMENT_BYTES, 1).unwrap();
    let run = db.runs().begin(RunOptions::named("run")).unwrap();
    run.kv().put("a", 1).unwrap();
    let replay = db.replay(run.id()).unwrap();
    run.kv().put("a", 2).unwrap();
    assert_eq!(replay.kv().get::<i64>("a").unwrap(), Some(1));
    assert_eq!(db.replay(run.id()).unwrap().kv().get::<i64>("a").unwrap(), Some(2));
    db.runs().delete(run.id()).unwrap();
    assert_eq!(replay.kv().get::<i64>("a").unwrap(), Some(1));
    assert_eq!(db.replay(run.id()).err().map(|error| error.kind()), Some(ErrorKind::NotFound));
}

fn p4<D: Disk>(disk: &D) {
    let db = worked(disk, 4, 40);
    let before = db.view().runs();
    db.close().unwrap();
    let untouched = disk.image();
    let db = open(disk.again(), BUFFERED, SEGMENT_BYTES, 9).unwrap();
    digests(&db);
    let found = db.view().runs();
    assert!(found.iter().zip(&before).all(|(now, then)| (now.id, now.commits) == (then.id, then.commits)));
    assert_eq!(found.len(), before.len());
    db.close().unwrap();
    assert!(disk.image() == untouched, "opening, replaying and closing wrote nothing");
}

/// For each seed, the digest of the default space and of the first run after 60 steps.
const PINNED: [(u64, &str, &str); 2] = [
    (
        77,
        "2aad5c81464a85681cb92183cdb6ea6bbec2d211638b9311a9f205bcdf36cc31",
        "a1d0c768ab453fc88cddec614eaced4e3fbc05613c558309b17acb0f34a22302",
    ),
    (
        78,
        "32ff2c3a8333e35d106f16e086065e5b0ce4abc881d034c74fe8a95568b92f58",
        "c5a7a4241bb52a341555a83d07102257cae0609db53cdee912b75c648410f5c2",
    ),
];

fn p5<D: Disk>(disk: &D) {
    let db = open(disk.load(&Image::default()), STRICT, SEGMENT_BYTES, 1).unwrap();
    let run = fixed_workload(&db);
    assert_eq!(db.replay(run).unwrap().digest().unwrap().to_string(), GOLDEN);
    db.close().unwrap();
    let mut found = BTreeMap::new();
    for (seed, ..) in PINNED {
        let db = worked(disk, seed, 60);
        let live = digests(&db);
        db.snapshot().unwrap();
        db.close().unwrap();
        // Once more from the files: with a snapshot, and by another host.
        let host = SeededHost::new(1000 + seed).with_step(17);
        let db = Db::open(disk.again(), Arc::new(host), options(STRICT, 4096)).unwrap();
        assert_eq!(digests(&db), live);
        found.insert(seed, (live[0].clone(), live[1].clone()));
    }
    for (seed, default, first_run) in PINNED {
        assert_eq!(found[&seed], (default.into(), first_run.into()), "seed {seed}: {found:?}");
    }
}

fn p6<D: Disk>(disk: &D) {
    let db = worked(disk, 6, 40);
    let first = digests(&db);
    for _ in 0..3 {
        assert_eq!(digests(&db), first);
    }
}

/// Files in memory.
#[derive(Default)]
pub struct Memory(std::cell::RefCell<MemStorage>);

impl Disk for Memory {
    type Storage = MemStorage;

    fn load(&self, image: &Image) -> MemStorage {
        self.0.replace(image.to_memory());
        self.again()
    }

    fn again(&self) -> MemStorage {
        self.0.borrow().clone()
    }

    fn image(&self) -> Image {
        Image::from(&*self.0.borrow())
    }
}
