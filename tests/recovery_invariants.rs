//! What recovery promises, R1 to R6, over generated workloads on a disk that crashes.
//!
//! [`Scenario::check`](scenario::Scenario::check) looks at one image from all six sides; the tests here take them one by
//! one, each with the workload that puts it under strain.

mod scenario;
mod workload;

use std::{collections::BTreeMap, ops::ControlFlow, sync::Arc};

use foldb::{Db, Durability, ErrorKind, Result, RunOptions, TransactionOptions, storage::MemStorage};
use foldb_testkit::{
    Random, SeededHost,
    crash::{CrashStorage, Image},
};
use scenario::{Scenario, content, open, options, recovered, untimed};
use workload::Workload;

const STRICT: Durability = Durability::Strict;
const BUFFERED: Durability = Durability::buffered();
const SEEDS: std::ops::Range<u64> = 0..4;

/// A store with a random history over several segments, snapshots and openings.
fn random_history(seed: u64, durability: Durability, steps: u64) -> Scenario {
    let mut scenario = Scenario::on(CrashStorage::new(), durability, 8192, seed);
    let (mut workload, mut random) = (Workload::new(seed), Random::new(seed ^ 0xff));
    for _ in 0..steps {
        scenario.step(|db| workload.step(db));
        match random.below(20) {
            0 => scenario.snapshot(),
            1 => scenario.reopen(),
            2 | 3 => scenario.sync(),
            4 => drop(scenario.db().ticker().tick().unwrap()),
            _ => {}
        }
    }
    scenario
}

#[test]
fn r1_the_same_files_give_the_same_state_and_report() {
    for seed in SEEDS {
        let mut scenario = random_history(seed, if seed % 2 == 0 { STRICT } else { BUFFERED }, 40);
        scenario.forget();
        for (at, image) in scenario.crashes(12, 3, seed) {
            let (one, other) = (image.to_memory(), image.to_memory());
            let first = recovered(one.clone(), 8192, 7).unwrap();
            // Other times and other entropy, another moment: the same outcome.
            assert_eq!(recovered(other.clone(), 8192, 8).unwrap(), first, "seed {seed}, crash after operation {at}");
            // With the same host even the files that recovery leaves are the same.
            let third = image.to_memory();
            assert_eq!(recovered(third.clone(), 8192, 7).unwrap(), first);
            assert_eq!(Image::from(&one), Image::from(&third), "seed {seed}, crash after operation {at}");
        }
    }
}

#[test]
fn r1_the_same_damage_gives_the_same_error() {
    let mut scenario = random_history(9, STRICT, 30);
    scenario.forget();
    let whole = scenario.disk.live_image();
    let mut random = Random::new(9);
    let names: Vec<String> = whole.names().filter(|name| name.starts_with("log-")).map(str::to_owned).collect();
    let mut refused = 0;
    for _ in 0..60 {
        let mut image = whole.clone();
        let name = &names[random.index(names.len())];
        image.flip_bit(name, random.below(whole.len(name).unwrap()), u32::try_from(random.below(8)).unwrap());
        // Opening does not read what it does not need: some damage shows only where the value is read.
        let outcome = |seed| -> Result<_> {
            let db = open(image.to_memory(), STRICT, 8192, seed)?;
            let view = db.view();
            let spaces = view.runs().into_iter().map(|run| view.run(run.id)?.digest()).collect::<Result<Vec<_>>>();
            let found = (view.default_space().digest(), spaces, untimed(db.recovery_report()));
            drop(view);
            std::mem::forget(db);
            Ok(found)
        };
        let (first, again) = (outcome(1), outcome(2));
        refused += u32::from(!matches!(&first, Ok((Ok(_), Ok(_), _))));
        assert_eq!(first, again);
    }
    assert!(refused > 10, "{refused} were refused");
}

#[test]
fn r2_recovering_again_gives_the_identical_state() {
    for seed in SEEDS {
        let mut scenario = random_history(seed, BUFFERED, 40);
        scenario.forget();
        for (at, image) in scenario.crashes(12, 3, seed) {
            let memory = image.to_memory();
            let (first, _) = recovered(memory.clone(), 8192, 1).unwrap();
            let after_first = Image::from(&memory);
            let mut reports = Vec::new();
            for again in 2..5 {
                let (found, report) = recovered(memory.clone(), 8192, again).unwrap();
                assert_eq!(found, first, "seed {seed}, crash after operation {at}, recovery {again}");
                assert_eq!(report.log.tail_records, 0, "the tail was written again once");
                reports.push(report);
            }
            assert!(reports.windows(2).all(|pair| pair[0] == pair[1]), "and the report is the same from then on");
            assert_eq!(Image::from(&memory), after_first, "a second recovery writes nothing");
        }
    }
}

#[test]
fn r2_a_recovery_that_is_interrupted_twice_gives_the_identical_state() {
    let mut interrupted = 0;
    for seed in SEEDS {
        let mut scenario = random_history(seed, BUFFERED, 12);
        scenario.forget();
        for (at, image) in scenario.crashes(3, 2, seed) {
            let (expected, _) = recovered(image.to_memory(), 8192, 1).unwrap();
            let once = CrashStorage::from_image(&image);
            recovered(once.clone(), 8192, 2).unwrap();
            for (first, point) in once.crash_points().enumerate() {
                for image in point.images(3, seed) {
                    let twice = CrashStorage::from_image(&image);
                    let place = format!("seed {seed}, crash after operation {at}, {first} of recovery");
                    assert_eq!(recovered(twice.clone(), 8192, 3).unwrap().0, expected, "{place}");
                    for (second, point) in twice.crash_points().enumerate() {
                        for image in point.images(2, seed) {
                            let (found, _) = recovered(image.to_memory(), 8192, 4).unwrap();
                            assert_eq!(found, expected, "{place}, {second} of the second recovery");
                            interrupted += 1;
                        }
                    }
                }
            }
        }
    }
    assert!(interrupted > 300, "{interrupted} recoveries were interrupted twice");
}

#[test]
fn r3_the_result_is_a_prefix_of_the_commit_order() {
    for seed in SEEDS {
        let mut scenario = random_history(seed, BUFFERED, 60);
        scenario.forget();
        for (at, image) in scenario.crashes(20, 4, seed) {
            scenario.check(&image, at, &format!("seed {seed}, crash after operation {at}"));
        }
    }
}

#[test]
fn r3_no_part_of_a_transaction_in_parts_is_ever_visible() {
    let disk = CrashStorage::new();
    let db = open(disk.clone(), STRICT, 1 << 20, 1).unwrap();
    db.kv().put("before", 1).unwrap();
    let before = db.view().default_space().digest().unwrap();
    let first = disk.operation_count();
    let value = vec![3_u8; 3 << 20];
    // Three frames: 8 MiB are reached twice.
    db.transaction(|tx| {
        for number in 0..6 {
            tx.kv().put(format!("large {number}"), &value)?;
        }
        tx.events().append("log", "last", 1)?;
        Ok::<_, foldb::Error>(())
    })
    .unwrap();
    let after = db.view().default_space().digest().unwrap();
    std::mem::forget(db);
    let last = disk.operation_count();
    let mut outcomes = BTreeMap::new();
    let mut check = |image: &Image, at: usize| {
        let db = open(image.to_memory(), STRICT, 1 << 20, 5).unwrap();
        let found = db.view().default_space().digest().unwrap();
        assert!(found == before || found == after, "a part is visible after operation {at}");
        if at == last {
            assert_eq!(found, after, "it was promised");
        }
        let orphaned = db.recovery_report().log.orphaned_transactions;
        *outcomes.entry((found == after, orphaned)).or_insert(0) += 1;
        std::mem::forget(db);
    };
    for at in first..=last {
        let point = disk.crash_point(at);
        check(&point.nothing_survives(), at);
        check(&point.everything_survives(), at);
        if let Some(len) = point.last_write_len().filter(|len| *len > 16 << 20) {
            for bytes in [len / 5, len / 2, len - 100, len - 1] {
                check(&point.torn_last_write(bytes).unwrap(), at);
            }
        }
    }
    assert!(outcomes.contains_key(&(false, 1)), "parts without their commit were seen: {outcomes:?}");
    assert!(outcomes.contains_key(&(true, 0)), "the whole was seen: {outcomes:?}");
}

#[test]
fn r4_only_committed_data_appears() {
    let mut scenario = Scenario::new(BUFFERED, 8192);
    let mut workload = Workload::new(4);
    for round in 0..30 {
        scenario.step(|db| workload.step(db));
        // What is rolled back, refused, or in conflict is no commit, however it is cut short.
        let db = scenario.db();
        let abandoned = db.begin_transaction().unwrap();
        abandoned.kv().put("phantom", round).unwrap();
        abandoned.runs().begin(RunOptions::named("phantom")).unwrap().kv().put("phantom", 1).unwrap();
        drop(abandoned);
        let refused = db.begin_transaction().unwrap();
        refused.kv().put("phantom", round).unwrap();
        refused.kv().add_u64("phantom too large", u64::MAX).unwrap();
        refused.kv().add_i64("sum i64 of another type", 1).unwrap();
        assert!(refused.kv().add_u64("phantom too large", 1).is_err());
        drop(refused);
        let conflicting = db.begin_transaction().unwrap();
        conflicting.kv().get::<i64>("watched").unwrap();
        conflicting.kv().put("phantom", round).unwrap();
        scenario.step(|db| db.kv().put("watched", round).unwrap());
    }
    scenario.sync();
    scenario.forget();
    let mut checked = 0;
    for (at, image) in scenario.crashes(40, 4, 4) {
        let db = open(image.to_memory(), BUFFERED, 8192, 3).unwrap();
        let found = content(&db);
        assert_eq!(found, scenario.history[&db.view().seq()], "crash after operation {at}");
        assert!(!found.values().chain(found.keys()).any(|text| text.contains("phantom")));
        std::mem::forget(db);
        checked += 1;
    }
    assert!(checked > 100);
}

#[test]
fn r4_bytes_of_a_log_inside_a_value_are_never_taken_for_a_log() {
    let mut scenario = Scenario::new(BUFFERED, 1 << 20);
    scenario.step(|db| db.kv().put("secret", "of the first life").unwrap());
    scenario.sync();
    let name = scenario.disk.live_image().names().find(|name| name.starts_with("log-")).unwrap().to_owned();
    // Values that are copies of the log so far, at every alignment: whoever can write values can try to forge frames.
    for shift in 0..8 {
        let mut log = vec![0; shift];
        log.extend(scenario.disk.live_image().bytes(&name).unwrap());
        log.truncate(9000);
        scenario.step(|db| db.kv().put(format!("forged {shift}"), &log).unwrap());
        scenario.step(|db| db.kv().remove("secret").unwrap());
        scenario.sync();
    }
    scenario.forget();
    for (operations, point) in scenario.disk.crash_points().enumerate() {
        for image in point.images(6, operations as u64) {
            scenario.check(&image, operations, &format!("crash after operation {operations}"));
        }
        // A torn value ends in the middle of frames that look whole.
        for bytes in (0..point.last_write_len().unwrap_or(0)).step_by(997) {
            scenario.check(&point.torn_last_write(bytes).unwrap(), operations, "a torn write");
        }
    }
}

#[test]
fn r5_every_commit_that_was_reported_durable_is_there() {
    for seed in SEEDS {
        // Strict and buffered transactions in both sorts of store; what a receipt or a call says is a promise.
        let store = if seed % 2 == 0 { STRICT } else { BUFFERED };
        let mut scenario = Scenario::on(CrashStorage::new(), store, 8192, seed);
        scenario.durability = BUFFERED;
        let mut random = Random::new(seed);
        for round in 0..60_i64 {
            let durability = if random.chance(1, 3) { STRICT } else { BUFFERED };
            let mut promised = None;
            scenario.step(|db| {
                let options = TransactionOptions::new().durability(durability);
                let ((), receipt) = db
                    .transaction_with(&options, |tx| {
                        tx.kv().put(format!("key {}", round % 7), round)?;
                        tx.events().append("log", "round", round).map(|_| ())
                    })
                    .unwrap();
                assert_eq!(receipt.durable, durability == STRICT, "round {round}");
                promised = receipt.durable.then_some(receipt.seq);
                match random.below(8) {
                    0 => promised = Some(db.sync().unwrap()),
                    1 => {
                        db.wait_durable(receipt.seq).unwrap();
                        promised = Some(receipt.seq);
                    }
                    2 => promised = Some(db.durable_seq()),
                    3 => promised = Some(db.snapshot().unwrap().seq),
                    _ => {}
                }
            });
            if let Some(seq) = promised {
                scenario.promised.push((scenario.disk.operation_count(), seq));
            }
        }
        scenario.forget();
        for (at, image) in scenario.crashes(40, 4, seed) {
            scenario.check(&image, at, &format!("seed {seed}, crash after operation {at}"));
        }
    }
}

#[test]
fn r5_two_crashes_in_a_row_lose_nothing_that_was_promised_in_either_life() {
    let mut lives = 0;
    for seed in SEEDS {
        let mut first = random_history(seed, STRICT, 15);
        first.forget();
        for (at, image) in first.crashes(4, 2, seed) {
            let promised = first.promised_by(at);
            let mut second = Scenario::on(CrashStorage::from_image(&image), STRICT, 8192, 1000 + seed);
            let mut workload = Workload::new(seed + 77);
            assert!(second.db().view().seq() >= promised);
            second.promised.push((0, promised));
            for (seq, content) in &first.history {
                second.history.entry(*seq).or_insert_with(|| content.clone());
            }
            let recovered = second.db().view().seq();
            // The second life has its own commits behind what it found.
            second.history.retain(|seq, _| *seq <= recovered);
            for _ in 0..6 {
                second.step(|db| workload.step(db));
            }
            second.forget();
            for (later, image) in second.crashes(6, 3, seed) {
                let place = format!("seed {seed}, crashes after operations {at} and {later}");
                second.check(&image, later, &place);
                lives += 1;
            }
        }
    }
    assert!(lives > 100, "{lives} second crashes");
}

#[test]
fn r6_a_strict_store_drops_nothing_whatever_the_crash_does() {
    for seed in SEEDS {
        let mut scenario = random_history(seed, STRICT, 30);
        scenario.forget();
        let last = *scenario.history.last_key_value().unwrap().0;
        let at = scenario.disk.operation_count();
        for image in scenario.disk.crash_point(at).images(64, seed) {
            assert_eq!(scenario.check(&image, at, &format!("seed {seed}")), last, "every commit had returned");
        }
    }
}

#[test]
fn r6_a_buffered_store_drops_at_most_what_came_after_the_last_sync() {
    let mut dropped = 0;
    for seed in SEEDS {
        let mut scenario = Scenario::on(CrashStorage::new(), BUFFERED, 8192, seed);
        let mut workload = Workload::new(seed);
        let mut synced = 0;
        for round in 0..40 {
            scenario.step(|db| workload.step(db));
            if round % 7 == 6 {
                scenario.sync();
                synced = scenario.db().view().seq();
            }
        }
        scenario.forget();
        let at = scenario.disk.operation_count();
        for image in scenario.disk.crash_point(at).images(32, seed) {
            let seq = scenario.check(&image, at, &format!("seed {seed}"));
            assert!(seq >= synced);
            dropped += u32::from(seq < *scenario.history.last_key_value().unwrap().0);
        }
    }
    assert!(dropped > 0, "the permission was used");
}

#[test]
fn r6_the_death_of_the_process_alone_costs_a_buffered_store_only_what_was_not_handed_over() {
    let durability = Durability::Buffered { interval: std::time::Duration::from_secs(3600), bytes: 2000 };
    let mut scenario = Scenario::new(durability, 1 << 20);
    for round in 0..50 {
        scenario.step(|db| db.kv().put(format!("key {round}"), vec![1_u8; 300]).unwrap());
    }
    let pending = scenario.db().stats().unwrap().pending_bytes;
    assert!(pending < 2500, "{pending} bytes wait");
    scenario.forget();
    let at = scenario.disk.operation_count();
    let seq = scenario.check(&scenario.disk.crash_point(at).everything_survives(), at, "the process died");
    assert!(seq >= 42, "at most 2000 bytes were lost: {seq} of 50 are there");
}

#[test]
fn an_older_snapshot_and_the_log_give_the_identical_content() {
    for seed in SEEDS {
        let mut scenario = Scenario::on(CrashStorage::new(), STRICT, 8192, seed);
        let mut workload = Workload::new(seed);
        for _ in 0..3 {
            (0..15).for_each(|_| scenario.step(|db| workload.step(db)));
            scenario.snapshot();
        }
        (0..5).for_each(|_| scenario.step(|db| workload.step(db)));
        let expected = content(scenario.db());
        scenario.db.take().unwrap().close().unwrap();
        let whole = scenario.disk.live_image();
        let mut snapshots: Vec<String> =
            whole.names().filter(|name| name.starts_with("snap-")).map(str::to_owned).collect();
        snapshots.sort();
        assert_eq!(snapshots.len(), 2, "two are kept");

        let (found, report) = recovered(whole.to_memory(), 8192, 1).unwrap();
        assert_eq!((found, report.rejected_snapshots.len()), (expected.clone(), 0));
        let newest = report.snapshot.unwrap().0;
        // The newest is cut, then the older one as well: each time the next one stands in, and it is said.
        let mut image = whole.clone();
        image.set_len(&snapshots[1], whole.len(&snapshots[1]).unwrap() / 2);
        let (found, report) = recovered(image.to_memory(), 8192, 1).unwrap();
        assert_eq!(found, expected, "seed {seed}: from the older snapshot");
        assert!(report.snapshot.unwrap().0 < newest);
        assert_eq!(report.rejected_snapshots.len(), 1);
        assert_eq!(report.rejected_snapshots[0].file, snapshots[1]);
        image.remove(&snapshots[0]);
        let (found, report) = recovered(image.to_memory(), 8192, 1).unwrap();
        assert_eq!(found, expected, "seed {seed}: from the log alone");
        assert_eq!(report.snapshot, None);
        // And a store goes on from there as if nothing had been.
        let db = open(image.to_memory(), STRICT, 8192, 3).unwrap();
        db.kv().put("after", 1).unwrap();
        db.snapshot().unwrap();
        assert!(db.verify(&mut |_| ControlFlow::Continue(())).unwrap().violations.iter().all(|violation| {
            // The damaged one is still there, and still damaged.
            violation.place == snapshots[1]
        }));
    }
}

#[test]
fn an_idle_store_is_marked_so_that_damage_to_its_last_commit_is_noticed() {
    let mut scenario = Scenario::new(STRICT, 1 << 20);
    scenario.step(|db| db.kv().put("a", 1).unwrap());
    scenario.step(|db| db.kv().put("b", 2).unwrap());
    let unmarked = scenario.disk.live_image();
    let ticker = scenario.db().ticker();
    assert!(ticker.tick().unwrap(), "a mark is written");
    assert!(ticker.tick().unwrap(), "nobody has committed since the last look");
    assert!(ticker.tick().unwrap() && ticker.tick().unwrap(), "then both anchors say so");
    assert!(!ticker.tick().unwrap(), "and then there is nothing left to do");
    scenario.forget();
    let marked = scenario.disk.live_image();
    let name = marked.names().find(|name| name.starts_with("log-")).unwrap().to_owned();
    let value = marked.bytes(&name).unwrap().windows(2).rposition(|pair| pair == [b'b', 1]).unwrap() as u64;
    for (image, noticed) in [(unmarked, false), (marked, true)] {
        let mut image = image;
        image.flip_bit(&name, value, 0);
        let opened = open(image.to_memory(), STRICT, 1 << 20, 3);
        assert_eq!(opened.is_err(), noticed, "{:?}", opened.err());
        if let Err(error) = opened {
            assert_eq!(error.kind(), ErrorKind::Corrupt);
        }
    }
}

#[test]
fn a_clock_that_jumps_backwards_changes_no_order_and_loses_nothing() {
    let disk = CrashStorage::new();
    let host = Arc::new(SeededHost::new(5));
    let db = Db::open(disk.clone(), host.clone(), options(STRICT, 4096)).unwrap();
    let begin = |name: &str| db.runs().begin(RunOptions::named(name)).unwrap().id();
    let first = begin("first");
    db.events().append("log", "e", 1).unwrap();
    for (number, clock) in [(2, 5_000_000), (3, 0), (4, 9_000_000_000_000_000), (5, 1)] {
        host.set_clock(clock);
        db.events().append("log", "e", number).unwrap();
        db.kv().put("last", number).unwrap();
        db.snapshot().unwrap();
    }
    host.set_clock(0);
    let second = begin("second");
    db.runs().get(second).unwrap().end().unwrap();
    let expected = content(&db);
    std::mem::forget(db);
    let image = disk.crash_point(disk.operation_count()).nothing_survives();
    let host = Arc::new(SeededHost::new(6));
    host.set_clock(3);
    let db = Db::open(image.to_memory(), host, options(STRICT, 4096)).unwrap();
    assert_eq!(content(&db), expected);
    let events = db.events().range_as::<i64>("log", .., None, foldb::Direction::Forward).unwrap();
    assert_eq!(events.iter().map(|event| event.payload).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
    assert!(events[3].time_micros > events[4].time_micros, "times are what the clock said");
    let runs = db.view().runs();
    assert_eq!(runs.iter().map(|run| run.id).collect::<Vec<_>>(), [first, second], "in the order of their beginning");
    assert!(runs[1].began_micros < runs[0].began_micros);
    assert!(db.verify(&mut |_| ControlFlow::Continue(())).unwrap().is_ok());
}

#[test]
fn a_snapshot_of_an_empty_store_is_no_trap() {
    let disk = CrashStorage::new();
    let db = open(disk.clone(), STRICT, 4096, 1).unwrap();
    db.snapshot().unwrap();
    std::mem::forget(db);
    for round in 0..3 {
        let image = disk.crash_point(disk.operation_count()).nothing_survives();
        let db = open(image.to_memory(), STRICT, 4096, 2).unwrap_or_else(|error| panic!("round {round}: {error}"));
        db.kv().put("a", 1).unwrap();
        db.close().unwrap();
        let db = open(disk.clone(), STRICT, 4096, 2 + round).unwrap();
        db.kv().put(format!("round {round}"), 1).unwrap();
        std::mem::forget(db);
    }
    let db = open(disk, STRICT, 4096, 9).unwrap();
    assert_eq!(db.kv().count(foldb::KeyRange::all()).unwrap(), 3);
}

#[test]
fn a_store_that_lost_both_anchors_says_so_and_can_still_be_salvaged() {
    let mut scenario = random_history(3, STRICT, 30);
    let expected = content(scenario.db());
    scenario.db.take().unwrap().close().unwrap();
    let mut image = scenario.disk.live_image();
    image.remove("anchor-a");
    assert_eq!(recovered(image.to_memory(), 8192, 1).unwrap().0, expected, "one is enough");
    image.remove("anchor-b");
    let error = recovered(image.to_memory(), 8192, 1).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    let salvage = options(STRICT, 8192).recovery(foldb::RecoveryMode::Salvage);
    let db = Db::open(image.to_memory(), Arc::new(SeededHost::new(2)), salvage).unwrap();
    assert_eq!(content(&db), expected);
}

/// The segment in which a run began was gone. What was done to the run later could not be folded, and salvage refused the
/// whole store for it, with all that had nothing to do with that run. Found by the enumeration, workload `runs`.
#[test]
fn salvage_passes_over_a_run_whose_beginning_is_lost_and_reads_everything_else() {
    let disk = CrashStorage::new();
    let db = open(disk.clone(), STRICT, 4096, 1).unwrap();
    let lost = db.runs().begin(RunOptions::named("lost")).unwrap().id();
    db.kv().put("first", "x".repeat(3000)).unwrap();
    // In the next segment: of the lost run, of a new one, and of neither.
    db.kv().put("second", "x".repeat(3000)).unwrap();
    db.runs().get(lost).unwrap().kv().put("input", "tea").unwrap();
    let kept = db.runs().begin(RunOptions::named("kept")).unwrap().id();
    db.runs().get(kept).unwrap().kv().put("input", "coffee").unwrap();
    db.kv().put("third", 3).unwrap();
    let last = db.view().seq();
    db.close().unwrap();

    let mut image = disk.live_image();
    let first = image.names().find(|name| name.starts_with("log-")).unwrap().to_owned();
    image.remove(&first);
    assert_eq!(recovered(image.to_memory(), 8192, 1).unwrap_err().kind(), ErrorKind::Corrupt);
    let salvage = options(STRICT, 8192).recovery(foldb::RecoveryMode::Salvage);
    let db = Db::open(image.to_memory(), Arc::new(SeededHost::new(2)), salvage).unwrap();
    assert_eq!(db.kv().get::<String>("first").unwrap(), None);
    assert_eq!(db.kv().get::<String>("second").unwrap().unwrap().len(), 3000);
    assert_eq!(db.kv().get::<i64>("third").unwrap(), Some(3));
    assert!(db.runs().get(lost).is_err());
    assert_eq!(db.runs().get(kept).unwrap().kv().get::<String>("input").unwrap().as_deref(), Some("coffee"));
    let report = db.recovery_report();
    assert_eq!(report.seq, last);
    let skipped: Vec<_> = report.log.damage.iter().filter(|damage| damage.rule == "F-36").collect();
    assert!(matches!(skipped.as_slice(), [damage] if damage.seqs == Some((4, 4))), "{skipped:?}");
}

#[test]
fn salvage_shows_everything_that_default_recovery_shows_and_writes_nothing() {
    for seed in SEEDS {
        let mut scenario = random_history(seed, BUFFERED, 30);
        scenario.forget();
        for (at, image) in scenario.crashes(8, 3, seed) {
            let (expected, report) = recovered(image.to_memory(), 8192, 1).unwrap();
            let memory = image.to_memory();
            let salvage = options(STRICT, 8192).recovery(foldb::RecoveryMode::Salvage);
            let db = Db::open(memory.clone(), Arc::new(SeededHost::new(2)), salvage).unwrap();
            assert_eq!(content(&db), expected, "seed {seed}, crash after operation {at}: {report:?}");
            assert!(!db.recovery_report().log.complete, "salvage never claims that");
            assert!(db.kv().put("a", 1).is_err(), "what may have gaps is not continued");
            drop(db);
            assert_eq!(Image::from(&memory), image, "salvage writes nothing");
        }
    }
}

#[test]
fn recovery_in_strict_mode_accepts_a_clean_store_and_nothing_else() {
    let strict = || options(STRICT, 8192).recovery(foldb::RecoveryMode::Strict);
    let open_strictly = |image: &Image| -> Result<Db<MemStorage>> {
        Db::open(image.to_memory(), Arc::new(SeededHost::new(2)), strict())
    };
    let mut scenario = random_history(2, STRICT, 20);
    let expected = content(scenario.db());
    scenario.db.take().unwrap().close().unwrap();
    let clean = scenario.disk.live_image();
    let db = open_strictly(&clean).unwrap();
    assert_eq!(content(&db), expected);
    drop(db);
    let newest = clean.names().filter(|name| name.starts_with("log-")).max().unwrap().to_owned();
    let mut torn = clean.clone();
    torn.append(&newest, b"what a crash left behind");
    let error = open_strictly(&torn).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    assert_eq!(recovered(torn.to_memory(), 8192, 1).unwrap().0, expected);
}

#[test]
fn recovery_reports_progress_and_can_be_stopped() {
    let mut scenario = random_history(1, STRICT, 10);
    scenario.forget();
    let memory = scenario.disk.live_image().to_memory();
    let before = Image::from(&memory);
    let stopping = options(STRICT, 8192).progress(|_| ControlFlow::Break(()));
    let error = Db::open(memory.clone(), Arc::new(SeededHost::new(1)), stopping).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled, "{error}");
    assert_eq!(Image::from(&memory), before);
    let steps = Arc::new(std::sync::Mutex::new(Vec::new()));
    let seen = Arc::clone(&steps);
    let watching = options(STRICT, 8192).progress(move |step| {
        seen.lock().unwrap().push((step.phase, step.done, step.total));
        ControlFlow::Continue(())
    });
    drop(Db::open(memory, Arc::new(SeededHost::new(1)), watching).unwrap());
    let steps = steps.lock().unwrap();
    assert!(steps.iter().any(|(phase, done, total)| *phase == "log" && done == total && *total > 0), "{steps:?}");
}

#[test]
fn a_snapshot_that_was_never_finished_is_no_snapshot_for_anybody() {
    let mut scenario = Scenario::new(STRICT, 1 << 20);
    let mut workload = Workload::new(6);
    for _ in 0..2 {
        (0..5).for_each(|_| scenario.step(|db| workload.step(db)));
        scenario.snapshot();
    }
    (0..5).for_each(|_| scenario.step(|db| workload.step(db)));
    let before = scenario.disk.operation_count();
    scenario.snapshot();
    scenario.forget();
    // A death just before the header of the third one is written.
    let created = scenario.disk.operations()[before..]
        .iter()
        .position(|operation| operation.name.starts_with("snap-"))
        .expect("a snapshot is created");
    let image = scenario.disk.crash_point(before + created + 2).everything_survives();
    let snapshots = |image: &Image| image.names().filter(|name| name.starts_with("snap-")).count();
    assert_eq!(snapshots(&image), 3);

    // The next process writes one too, and dies before it has cleared up: the anchor then names a newer one.
    let disk = CrashStorage::from_image(&image);
    let db = open(disk.clone(), STRICT, 1 << 20, 2).unwrap();
    db.kv().put("later", 1).unwrap();
    db.snapshot().unwrap();
    let verified = db.verify(&mut |_| ControlFlow::Continue(())).unwrap();
    assert!(verified.is_ok() && verified.snapshots == 2, "{verified:?}");
    std::mem::forget(db);
    for (operations, point) in disk.crash_points().enumerate() {
        let memory = point.everything_survives().to_memory();
        let db = open(memory.clone(), STRICT, 1 << 20, 3).unwrap();
        let verified = db.verify(&mut |_| ControlFlow::Continue(())).unwrap();
        assert!(verified.is_ok(), "crash after operation {operations}: {:?}", verified.violations);
        // And the unfinished one is never kept in the place of a good one.
        db.kv().put("again", 1).unwrap();
        db.snapshot().unwrap();
        let verified = db.verify(&mut |_| ControlFlow::Continue(())).unwrap();
        assert!(verified.is_ok(), "crash after operation {operations}: {:?}", verified.violations);
        // A third one stays where the older anchor names it.
        assert!((2..=3).contains(&verified.snapshots), "crash after operation {operations}: {}", verified.snapshots);
        drop(db);
        let mut kept = Image::from(&memory);
        assert!(snapshots(&kept) <= 3, "{kept:?}");
        let newest = kept.names().filter(|name| name.starts_with("snap-")).max().unwrap().to_owned();
        kept.remove(&newest);
        let db = open(kept.to_memory(), STRICT, 1 << 20, 4).unwrap();
        assert!(db.recovery_report().snapshot.is_some(), "crash after operation {operations}: an older one stands in");
    }
}

#[test]
fn snapshots_that_are_asked_for_at_once_are_written_one_after_the_other() {
    let disk = CrashStorage::new();
    let db = open(disk.clone(), BUFFERED, 8192, 1).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let db = &db;
            scope.spawn(move || {
                for round in 0..15 {
                    db.kv().put(format!("{thread} {round}"), vec![1_u8; 300]).unwrap();
                    db.snapshot().unwrap();
                }
            });
        }
    });
    let snapshots = db.stats().unwrap().snapshots;
    assert_eq!(snapshots.iter().map(|(generation, _)| *generation).collect::<Vec<_>>(), [59, 60]);
    std::mem::forget(db);
    let (_, report) =
        recovered(disk.crash_point(disk.operation_count()).nothing_survives().to_memory(), 8192, 2).unwrap();
    assert_eq!(report.snapshot, Some((60, 60)));
    assert!(report.rejected_snapshots.is_empty());
}
