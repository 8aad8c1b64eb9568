//! What replay promises, P1 to P6, for every primitive; and diffs, which rest on it.

#[path = "replay_determinism/diffs.rs"]
mod diffs;
mod scenario;
mod workload;

use std::{ops::ControlFlow, sync::Arc};

use foldb::{
    Db, Direction, Durability, ErrorKind, Options, Replay, RunFilter, RunId, RunOptions, RunStatus,
    primitive::{NewEvent, ScanOptions, TraceKind, TraceRecord},
    storage::{MemStorage, Storage},
};
use foldb_testkit::{
    SeededHost,
    crash::{CrashStorage, Image},
};
use scenario::open;
use serde_json::json;
use workload::{GOLDEN, Workload, fixed_workload};

const STRICT: Durability = Durability::Strict;
const BUFFERED: Durability = Durability::buffered();

fn store() -> Db<MemStorage> {
    open(MemStorage::new(), BUFFERED, 1 << 20, 1).unwrap()
}

fn worked<S: Storage>(storage: S, seed: u64, steps: u64) -> Db<S> {
    let db = open(storage, BUFFERED, 8192, seed).unwrap();
    let mut workload = Workload::new(seed);
    (0..steps).for_each(|_| workload.step(&db));
    db
}

fn runs<S: Storage>(db: &Db<S>) -> Vec<RunId> {
    db.view().runs().into_iter().map(|run| run.id).collect()
}

/// Everything that a replay shows, in words.
fn shown<S: Storage>(replay: &Replay<'_, S>) -> String {
    let all = ScanOptions::all();
    let streams = replay.events().streams(&all).unwrap();
    let events: Vec<_> = streams
        .iter()
        .map(|stream| replay.events().range(&stream.stream, .., None, Direction::Forward).unwrap())
        .collect();
    format!(
        "{:?} {:?} {:?} {:?} {streams:?} {events:?}",
        replay.kv().scan(&all).unwrap(),
        replay.json().list(&all).unwrap(),
        replay.state().list(&all).unwrap(),
        replay.trace().list(&all).unwrap(),
    )
}

#[test]
fn p1_replay_is_a_function_of_the_log_and_of_nothing_else() {
    // The live state comes from a snapshot, every page of which is damaged; replay does not notice.
    let disk = CrashStorage::new();
    let db = worked(disk.clone(), 1, 120);
    let expected: Vec<String> = runs(&db).into_iter().map(|id| shown(&db.replay(id).unwrap())).collect();
    let default = shown(&db.replay_default().unwrap());
    assert!(expected.len() > 3);
    db.snapshot().unwrap();
    db.close().unwrap();
    let mut image = disk.live_image();
    let name = image.names().find(|name| name.starts_with("snap-")).unwrap().to_owned();
    // Damage behind the header and before the catalog: that is where the pages are. Opening reads none of them.
    let mut damaged = 0;
    for offset in (64..image.len(&name).unwrap()).step_by(512) {
        let mut trial = image.clone();
        trial.flip_bit(&name, offset, 3);
        if open(trial.to_memory(), BUFFERED, 8192, 2).is_ok_and(|db| db.recovery_report().rejected_snapshots.is_empty())
        {
            image = trial;
            damaged += 1;
        }
    }
    assert!(damaged > 5, "{damaged} pages are damaged");
    let db = open(image.to_memory(), BUFFERED, 8192, 3).unwrap();
    assert!(db.recovery_report().snapshot.is_some());
    assert!(db.kv().scan(&ScanOptions::all()).is_err(), "the live state cannot be read");
    assert_eq!(shown(&db.replay_default().unwrap()), default);
    let replayed: Vec<String> = runs(&db).into_iter().map(|id| shown(&db.replay(id).unwrap())).collect();
    assert_eq!(replayed, expected);
}

#[test]
fn p1_replay_of_a_run_does_not_depend_on_what_other_runs_did_meanwhile() {
    let digest = |noise: u64| {
        let db = store();
        for _ in 0..noise % 3 {
            db.runs().begin(RunOptions::named("before")).unwrap();
        }
        let run = db.runs().begin(RunOptions::named("watched")).unwrap();
        let mut workload = Workload::new(noise);
        for number in 0..30 {
            (0..noise).for_each(|_| workload.step(&db));
            run.kv().put(format!("key {number}"), number).unwrap();
            run.kv().add_i64("sum", number).unwrap();
            run.events().append("log", "e", number).unwrap();
        }
        db.replay(run.id()).unwrap().digest().unwrap()
    };
    let alone = digest(0);
    assert_eq!(digest(1), alone);
    assert_eq!(digest(5), alone);
}

#[test]
fn p2_replay_leaves_contents_files_and_sizes_untouched() {
    let disk = CrashStorage::new();
    let db = worked(disk.clone(), 2, 60);
    db.sync().unwrap();
    // Some of the history is only buffered yet: also that is replayed without being written.
    let id = runs(&db)[0];
    db.kv().put("buffered", 1).unwrap();
    let (image, operations, seq) = (disk.live_image(), disk.operation_count(), db.view().seq());
    let (content, stats) = (scenario::content(&db), db.stats().unwrap());
    for id in runs(&db) {
        let replay = db.replay(id).unwrap();
        shown(&replay);
        replay.digest().unwrap();
        db.replay_at(id, seq / 2).map(|replay| replay.digest()).ok();
        replay.space().diff(&db.replay(id).unwrap().space()).ok();
    }
    shown(&db.replay_default().unwrap());
    db.diff(id, id).unwrap();
    assert_eq!((disk.operation_count(), db.view().seq()), (operations, seq));
    assert!(disk.live_image() == image, "the files are the same, byte by byte");
    assert_eq!((scenario::content(&db), db.stats().unwrap()), (content, stats));
}

#[test]
fn p3_a_replay_is_a_view_of_its_own_that_later_commits_do_not_change() {
    let db = store();
    let run = db.runs().begin(RunOptions::named("run")).unwrap();
    run.kv().put("a", 1).unwrap();
    let replay = db.replay(run.id()).unwrap();
    run.kv().put("a", 2).unwrap();
    run.kv().put("b", 2).unwrap();
    assert_eq!(replay.kv().scan_as::<i64>(&ScanOptions::all()).unwrap().len(), 1);
    assert_eq!(replay.kv().get::<i64>("a").unwrap(), Some(1));
    assert_eq!(db.replay(run.id()).unwrap().kv().get::<i64>("a").unwrap(), Some(2));
    // It holds its run and no other, not even the default space's pairs.
    db.kv().put("default", 1).unwrap();
    assert_eq!(db.replay(run.id()).unwrap().view().kv().get::<i64>("default").unwrap(), None);
    // Deleting the run does not reach into it; but nothing can be replayed from then on.
    db.runs().delete(run.id()).unwrap();
    assert_eq!(replay.kv().get::<i64>("a").unwrap(), Some(1));
    assert_eq!(db.replay(run.id()).err().map(|error| error.kind()), Some(ErrorKind::NotFound));
}

#[test]
fn p4_a_replay_is_not_persisted() {
    let disk = CrashStorage::new();
    let db = worked(disk.clone(), 4, 50);
    let (runs_before, epoch) = (db.view().runs(), db.stats().unwrap().epoch);
    for id in runs(&db) {
        db.replay(id).unwrap();
    }
    db.close().unwrap();
    let untouched = disk.live_image();
    let db = open(disk.clone(), BUFFERED, 8192, 9).unwrap();
    for id in runs(&db) {
        shown(&db.replay(id).unwrap());
    }
    let found = db.view().runs();
    assert_eq!(found.len(), runs_before.len());
    assert!(found.iter().zip(&runs_before).all(|(now, then)| (now.id, now.commits) == (then.id, then.commits)));
    assert_eq!(db.stats().unwrap().epoch, epoch + 1);
    db.close().unwrap();
    assert!(disk.live_image() == untouched, "opening, replaying and closing wrote nothing");
}

#[test]
fn p5_the_digest_of_a_fixed_workload_is_this_on_every_machine() {
    // Natively and in wasm, today and next year. If this changes, stored digests of users stop matching.
    let db = store();
    let run = fixed_workload(&db);
    let digest = db.replay(run).unwrap().digest().unwrap().to_string();
    assert_eq!(digest, GOLDEN);
    assert_eq!(db.view().run(run).unwrap().digest().unwrap().to_string(), GOLDEN);
}

#[test]
fn p5_digests_are_independent_of_times_ids_places_sizes_and_crashes() {
    let digests = |db: &Db<CrashStorage>| -> Vec<String> {
        let view = db.view();
        let mut found = vec![view.default_space().digest().unwrap().to_string()];
        found.extend(view.runs().iter().map(|run| view.run(run.id).unwrap().digest().unwrap().to_string()));
        let mut replayed = vec![db.replay_default().unwrap().digest().unwrap().to_string()];
        replayed.extend(view.runs().iter().map(|run| db.replay(run.id).unwrap().digest().unwrap().to_string()));
        assert_eq!(found, replayed);
        found
    };
    let first = open(CrashStorage::new(), BUFFERED, 1 << 20, 1).unwrap();
    let mut workload = Workload::new(77);
    (0..80).for_each(|_| workload.step(&first));
    let expected = digests(&first);

    // Another host, small segments, strict, with snapshots, and killed and reopened on the way.
    let mut disk = CrashStorage::new();
    let mut workload = Workload::new(77);
    for life in 0..8 {
        let host = SeededHost::new(100 + life).with_step(17);
        // Time goes on: traces are in the order of their times.
        host.set_clock(1_000_000 * (life + 1));
        let db = Db::open(disk.clone(), Arc::new(host), scenario::options(STRICT, 4096)).unwrap();
        for _ in 0..10 {
            workload.step(&db);
        }
        if life % 3 == 1 {
            db.snapshot().unwrap();
        }
        std::mem::forget(db);
        disk = CrashStorage::from_image(&disk.crash_point(disk.operation_count()).nothing_survives());
    }
    let last = open(disk, STRICT, 4096, 999).unwrap();
    assert_eq!(digests(&last), expected);
    // And what differs in content differs in digest.
    last.kv().put("one more", 1).unwrap();
    assert_ne!(digests(&last)[0], expected[0]);
    assert_eq!(digests(&last)[1..], expected[1..]);
}

#[test]
fn p6_any_number_of_replays_gives_the_identical_view() {
    let db = worked(CrashStorage::new(), 6, 80);
    for id in runs(&db) {
        let first = db.replay(id).unwrap();
        let expected = (shown(&first), first.digest().unwrap(), first.transactions());
        for _ in 0..4 {
            // Also with other work in between, and side by side.
            db.kv().put("in between", 1).unwrap();
            let again = db.replay(id).unwrap();
            assert_eq!((shown(&again), again.digest().unwrap(), again.transactions()), expected);
            assert_eq!(first.digest().unwrap(), expected.1);
        }
    }
}

#[test]
fn replay_equals_live_for_every_primitive_of_random_runs() {
    for seed in 10..16 {
        let db = worked(CrashStorage::new(), seed, 150);
        let report = db.verify(&mut |_| ControlFlow::Continue(())).unwrap();
        assert!(report.is_ok(), "seed {seed}: {:?}", report.violations);
        let view = db.view();
        for info in view.runs() {
            let replay = db.replay(info.id).unwrap();
            assert_eq!(replay.transactions(), info.commits, "{info:?}");
            assert_eq!(replay.digest().unwrap(), view.run(info.id).unwrap().digest().unwrap());
            let live = view.run(info.id).unwrap();
            assert_eq!(live.kv().scan(&ScanOptions::all()).unwrap(), replay.kv().scan(&ScanOptions::all()).unwrap());
            assert_eq!(
                live.trace().list(&ScanOptions::all()).unwrap(),
                replay.trace().list(&ScanOptions::all()).unwrap()
            );
            let streams = live.events().streams(&ScanOptions::all()).unwrap();
            assert_eq!(streams, replay.events().streams(&ScanOptions::all()).unwrap());
            for stream in streams {
                let events = |direction| live.events().range(&stream.stream, .., None, direction).unwrap();
                let replayed = replay.events().range(&stream.stream, .., None, Direction::Forward).unwrap();
                assert_eq!(events(Direction::Forward), replayed);
                let chain = live.events().verify_chain(&stream.stream).unwrap();
                assert_eq!(replay.events().verify_chain(&stream.stream).unwrap(), chain);
            }
        }
    }
}

#[test]
fn replay_equals_live_after_json_patches_merges_and_edits() {
    let db = store();
    let run = db.runs().begin(RunOptions::named("documents")).unwrap();
    let json = run.json();
    json.set("d", &json!({ "a": { "b": [1, 2, 3] }, "n": 1, "t": "x" })).unwrap();
    let steps: [&dyn Fn(); 9] = [
        &|| json.patch("d", &json!([{ "op": "add", "path": "/a/b/1", "value": { "new": true } }])).unwrap(),
        &|| json.patch("d", &json!([{ "op": "move", "from": "/a/b/0", "path": "/first" }])).unwrap(),
        &|| json.patch("d", &json!([{ "op": "copy", "from": "/a", "path": "/copy" }])).unwrap(),
        &|| json.patch("d", &json!([{ "op": "replace", "path": "/n", "value": 1.5 }])).unwrap(),
        &|| json.merge_at("d", "", &json!({ "t": null, "a": { "b": null, "c": {} } })).unwrap(),
        &|| assert_eq!(json.push_at("d", "/copy/b", &json!([])).unwrap(), 4),
        &|| drop(json.pop_at("d", "$.copy.b").unwrap()),
        &|| _ = json.increment_at("d", "/n", 2).unwrap(),
        &|| drop(json.delete_at("d", "/copy/b/0").unwrap()),
    ];
    for (number, step) in steps.iter().enumerate() {
        step();
        let (live, replay) = (json.get("d").unwrap(), db.replay(run.id()).unwrap());
        assert_eq!(replay.json().get("d").unwrap(), live, "step {number}");
    }
    // A patch that fails half way has changed nothing, and is not in the history.
    let before = (json.get("d").unwrap(), db.view().seq());
    let failing = json!([
        { "op": "remove", "path": "/n" },
        { "op": "test", "path": "/first", "value": "something else" },
    ]);
    assert!(json.patch("d", &failing).is_err());
    assert_eq!((json.get("d").unwrap(), db.view().seq()), before);
}

#[test]
fn replay_keeps_the_order_of_sums_of_floats() {
    // Sums of floats depend on their order, so equal bits mean equal order.
    let db = store();
    let run = db.runs().begin(RunOptions::named("floats")).unwrap();
    for number in 0..200 {
        let sign = if number % 2 == 0 { 1.0 } else { -1.0 };
        run.kv().add_f64("sum", sign * 10_f64.powi(number % 17) / 3.0).unwrap();
    }
    let live: f64 = run.kv().get("sum").unwrap().unwrap();
    let replayed: f64 = db.replay(run.id()).unwrap().kv().get("sum").unwrap().unwrap();
    assert_eq!(live.to_bits(), replayed.to_bits());
}

#[test]
fn replay_of_runs_that_take_turns_over_many_segments_reads_each_its_own() {
    let disk = CrashStorage::new();
    let db = open(disk.clone(), BUFFERED, 4096, 3).unwrap();
    let runs: Vec<_> = (0..5).map(|name| db.runs().begin(RunOptions::named(format!("run {name}"))).unwrap()).collect();
    for round in 0..40_i64 {
        for (number, run) in runs.iter().enumerate() {
            run.kv().put(format!("round {round}"), vec![u8::try_from(number).unwrap(); 60]).unwrap();
        }
        db.transaction(|tx| {
            for run in &runs {
                tx.run(run.id())?.events().append("shared", "round", round)?;
            }
            Ok::<_, foldb::Error>(())
        })
        .unwrap();
    }
    let segments = db.stats().unwrap().segments.len();
    assert!(segments > 6, "{segments} segments");
    for (number, run) in runs.iter().enumerate() {
        let replay = db.replay(run.id()).unwrap();
        assert_eq!(replay.transactions(), 1 + 40 + 40);
        assert_eq!(replay.kv().count(foldb::KeyRange::all()).unwrap(), 40);
        assert_eq!(replay.kv().get("round 39").unwrap(), Some(vec![u8::try_from(number).unwrap(); 60]));
        assert_eq!(replay.events().head("shared").unwrap(), 40);
        assert_eq!(replay.digest().unwrap(), db.view().run(run.id()).unwrap().digest().unwrap());
    }
}

#[test]
fn replay_of_a_transaction_in_parts_and_of_values_that_live_in_the_log() {
    let disk = CrashStorage::new();
    let db = open(disk.clone(), BUFFERED, 1 << 20, 3).unwrap();
    let (one, two) = {
        let begin = |name: &str| db.runs().begin(RunOptions::named(name)).unwrap().id();
        (begin("one"), begin("two"))
    };
    db.transaction(|tx| {
        for id in [one, two] {
            let run = tx.run(id)?;
            for number in 0..6_u8 {
                run.kv().put(format!("large {number}"), vec![number; 1 << 20])?;
            }
            run.json().set("doc", &json!({ "text": "x".repeat(100_000) }))?;
            run.events().append_batch("log", (0..50).map(|_| NewEvent::new("large", vec![1_u8; 20_000])))?;
        }
        Ok::<_, foldb::Error>(())
    })
    .unwrap();
    for id in [one, two] {
        let (replay, view) = (db.replay(id).unwrap(), db.view());
        assert_eq!(replay.transactions(), 2, "a transaction in parts is one");
        assert_eq!(replay.digest().unwrap(), view.run(id).unwrap().digest().unwrap());
        assert_eq!(replay.kv().get("large 5").unwrap(), Some(vec![5_u8; 1 << 20]));
    }
    db.close().unwrap();
    let db = open(disk, BUFFERED, 1 << 20, 4).unwrap();
    assert!(db.verify(&mut |_| ControlFlow::Continue(())).unwrap().is_ok());
    assert_eq!(db.replay(two).unwrap().events().len("log").unwrap(), 50);
}

#[test]
fn replay_at_shows_every_version_as_it_was() {
    let db = store();
    let run = db.runs().begin(RunOptions::named("versions")).unwrap();
    let mut versions = Vec::new();
    let mut random = foldb_testkit::Random::new(5);
    for number in 0..60_i64 {
        match random.below(5) {
            0 => run.kv().put(format!("key {}", number % 9), number).unwrap(),
            1 => run.kv().add_i64("sum", number).unwrap(),
            2 => drop(run.events().append("log", "e", number).unwrap()),
            3 => run.events().trim("log", random.below(6)).unwrap(),
            _ => db.kv().put("elsewhere", number).unwrap(),
        }
        let view = db.view();
        versions.push((view.seq(), view.run(run.id()).unwrap().digest().unwrap()));
    }
    for (seq, digest) in versions {
        assert_eq!(db.replay_at(run.id(), seq).unwrap().digest().unwrap(), digest, "as of {seq}");
    }
    let first = db.runs().info(run.id()).unwrap().first_seq;
    assert_eq!(db.replay_at(run.id(), first).unwrap().kv().count(foldb::KeyRange::all()).unwrap(), 0);
    // Before its beginning there is nothing in a run.
    let before = db.replay_at(run.id(), first - 1).unwrap();
    assert_eq!((before.transactions(), before.kv().count(foldb::KeyRange::all()).unwrap()), (0, 0));
    let empty = db.runs().begin(RunOptions::named("empty")).unwrap();
    assert_eq!(before.digest(), db.view().run(empty.id()).unwrap().digest());
}

#[test]
fn replay_follows_a_run_through_end_resume_and_other_processes() {
    let disk = CrashStorage::new();
    let mut id = None;
    for life in 0..4 {
        let db = open(disk.clone(), STRICT, 4096, life).unwrap();
        let run = match id {
            None => db.runs().begin(RunOptions::named("long")).unwrap(),
            Some(id) => {
                let run = db.runs().get(id).unwrap();
                run.resume().unwrap();
                run
            }
        };
        id = Some(run.id());
        run.events().append("lives", "life", life).unwrap();
        if life % 2 == 0 {
            run.end().unwrap();
        }
        std::mem::forget(db);
    }
    let db = open(disk, STRICT, 4096, 9).unwrap();
    let id = id.unwrap();
    let replay = db.replay(id).unwrap();
    let lives = replay.events().range_as::<u64>("lives", .., None, Direction::Forward).unwrap();
    assert_eq!(lives.iter().map(|event| event.payload).collect::<Vec<_>>(), [0, 1, 2, 3]);
    let info = db.runs().info(id).unwrap();
    assert_eq!((info.resumed, info.status), (3, RunStatus::Orphaned));
    assert_eq!(db.runs().list(&RunFilter::all().status(RunStatus::Orphaned)).unwrap().len(), 1);
    assert_eq!(db.recovery_report().orphaned_runs, [id]);
    assert!(db.verify(&mut |_| ControlFlow::Continue(())).unwrap().is_ok());
}

#[test]
fn verify_notices_when_the_log_is_not_what_the_live_state_came_from() {
    let disk = CrashStorage::new();
    let db = worked(disk.clone(), 8, 60);
    db.snapshot().unwrap();
    db.close().unwrap();
    let whole = disk.live_image();
    let name = whole.names().filter(|name| name.starts_with("log-")).min().unwrap().to_owned();
    for offset in (200..4000).step_by(211) {
        let mut image = whole.clone();
        image.flip_bit(&name, offset, 1);
        let db = open(image.to_memory(), BUFFERED, 8192, 2).unwrap();
        assert!(db.recovery_report().snapshot.is_some(), "nothing of the log's beginning is read");
        let report = db.verify(&mut |_| ControlFlow::Continue(())).unwrap();
        assert!(report.violations.iter().any(|violation| violation.what.contains("log-")), "{report:?}");
        std::mem::forget(db);
    }
}

#[test]
fn replay_diff_and_verify_of_a_store_without_a_log_say_why_not() {
    let options = Options::new().durability(Durability::InMemory);
    let db = Db::open(MemStorage::new(), Arc::new(SeededHost::new(1)), options).unwrap();
    let run = db.runs().begin(RunOptions::named("run")).unwrap();
    run.kv().put("a", 1).unwrap();
    let error = db.replay(run.id()).err().unwrap();
    assert!(error.kind() == ErrorKind::Unsupported && error.to_string().contains("log"), "{error}");
    let error = db.verify(&mut |_| ControlFlow::Continue(())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    assert!(Image::from(&MemStorage::new()).is_empty());
    assert!(db.diff(run.id(), run.id()).unwrap().is_empty(), "a diff needs no log");
}
