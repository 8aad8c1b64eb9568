//! The modes of durability, timers and figures.

use std::{
    ops::ControlFlow,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use foldb::{
    ChangeFilter, Direction, TransactionOptions,
    primitive::{ScanOptions, TraceKind, TraceRecord},
};
use foldb_testkit::SeededHost;
use serde_json::json;

use super::*;

#[test]
fn a_store_in_memory_does_everything_that_needs_no_log_and_says_why_not_for_the_rest() {
    let files = MemStorage::new();
    let db = Db::open(files.clone(), Arc::new(SeededHost::new(1)), options(Durability::InMemory)).unwrap();
    db.kv().put("a", 1).unwrap();
    db.kv().put("large", vec![3_u8; 100_000]).unwrap();
    db.kv().add_i64("n", 5).unwrap();
    db.json().set("d", &json!({ "text": "x".repeat(5000) })).unwrap();
    db.events().append_batch("s", (0..2000).map(|number| foldb::primitive::NewEvent::new("e", number))).unwrap();
    db.events().trim("s", 1000).unwrap();
    db.state().init("c", "v").unwrap();
    db.trace().record(TraceRecord::new(TraceKind::Thought, "t")).unwrap();
    let run = db.runs().begin(RunOptions::named("run")).unwrap();
    run.kv().put("k", vec![4_u8; 5000]).unwrap();
    run.end().unwrap();
    let tx = db.begin_transaction().unwrap();
    let seen: i64 = tx.kv().get("a").unwrap().unwrap();
    tx.kv().put("a", seen + 1).unwrap();
    db.kv().put("a", 7).unwrap();
    assert_kind(tx.commit(), ErrorKind::Conflict);

    assert_eq!(db.kv().get::<Vec<u8>>("large").unwrap().unwrap(), vec![3_u8; 100_000]);
    assert_eq!(db.events().range_as::<i64>("s", 1500.., 2, Direction::Forward).unwrap()[1].payload, 1500);
    // The batch that the trim went through is still whole in the log.
    assert_eq!(db.events().verify_chain("s").unwrap().events, 2000);
    assert_eq!(db.json().length_at("d", "/text").unwrap(), 5000);
    assert_eq!(run.kv().get::<Vec<u8>>("k").unwrap().unwrap().len(), 5000);
    assert!(db.view().run(run.id()).unwrap().digest().is_ok());

    let seq = db.sync().unwrap();
    db.wait_durable(seq).unwrap();
    for error in [
        assert_kind(db.snapshot(), ErrorKind::Unsupported),
        assert_kind(db.replay(run.id()), ErrorKind::Unsupported),
        assert_kind(db.replay_default(), ErrorKind::Unsupported),
        assert_kind(db.verify(&mut |_| ControlFlow::Continue(())), ErrorKind::Unsupported),
    ] {
        assert!(error.to_string().contains("memory"), "{error}");
    }
    db.close().unwrap();
    assert!(files.files().is_empty(), "no storage ever sees anything");
    // A store that is there already cannot be opened like that: its log would stop.
    let (image, _) = small_store();
    let opened = Db::open(image.to_memory(), Arc::new(SeededHost::new(1)), options(Durability::InMemory));
    assert_kind(opened, ErrorKind::Unsupported);
}

#[test]
fn receipts_of_a_store_in_memory_never_say_durable() {
    let db = Db::open(MemStorage::new(), Arc::new(SeededHost::new(1)), options(Durability::InMemory)).unwrap();
    for durability in [Durability::InMemory, STRICT, BUFFERED] {
        let options = TransactionOptions::new().durability(durability);
        let ((), receipt) = db.transaction_with(&options, |tx| tx.kv().put("a", 1)).unwrap();
        assert!(!receipt.durable, "{durability:?}");
    }
}

#[test]
fn a_buffered_store_is_synced_by_its_timer_within_the_interval() {
    let directory = tempfile::tempdir().unwrap();
    let interval = Duration::from_millis(20);
    let db = foldb::open_with(directory.path(), options(Durability::Buffered { interval, bytes: 1 << 20 })).unwrap();
    let mut durable = db.subscribe(ChangeFilter::all().durable()).unwrap();
    let ((), receipt) = db.transaction_with(&TransactionOptions::new(), |tx| tx.kv().put("a", 1)).unwrap();
    // How long that takes is the machine's affair; that it happens by itself is not.
    let synced = durable.next_timeout(Duration::from_secs(20)).unwrap().expect("somebody syncs");
    assert_eq!(synced.seq(), receipt.seq);
    assert!(db.stats().unwrap().syncs.count > 0);
}

#[test]
fn an_idle_strict_store_is_marked_by_its_timer() {
    let directory = tempfile::tempdir().unwrap();
    let db = foldb::open(directory.path()).unwrap();
    db.kv().put("a", 1).unwrap();
    let syncs = db.stats().unwrap().syncs.count;
    let patience = Instant::now() + Duration::from_secs(20);
    while db.stats().unwrap().syncs.count == syncs {
        assert!(Instant::now() < patience, "nobody marked");
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn sync_and_wait_durable_say_what_is_on_stable_media() {
    let disk = CrashStorage::new();
    let db = open(disk.clone(), BUFFERED, 1 << 20, 1).unwrap();
    assert_eq!(db.sync().unwrap(), 0);
    let receipts: Vec<_> = (0..5)
        .map(|number| {
            db.transaction_with(&TransactionOptions::new(), |tx| tx.kv().put(format!("k{number}"), number)).unwrap().1
        })
        .collect();
    assert_eq!(db.durable_seq(), 0);
    assert!(receipts.iter().all(|receipt| !receipt.durable));
    db.wait_durable(receipts[2].seq).unwrap();
    assert!(db.durable_seq() >= receipts[2].seq);
    let seq = db.sync().unwrap();
    assert_eq!((seq, db.durable_seq()), (receipts[4].seq, receipts[4].seq));
    let operations = disk.operation_count();
    db.sync().unwrap();
    db.wait_durable(seq).unwrap();
    assert_eq!(disk.operation_count(), operations, "there was nothing to do");
    assert_kind(db.wait_durable(seq + 1), ErrorKind::Invalid);
    let image = disk.crash_point(operations).nothing_survives();
    std::mem::forget(db);
    assert_eq!(open(image.to_memory(), BUFFERED, 1 << 20, 2).unwrap().view().seq(), seq);
}

#[test]
fn stats_are_sane() {
    let _undisturbed = undisturbed();
    let directory = tempfile::tempdir().unwrap();
    let db = foldb::open(directory.path()).unwrap();
    let fresh = db.stats().unwrap();
    assert_eq!((fresh.seq, fresh.durable_seq, fresh.runs, fresh.entries, fresh.log_bytes), (0, 0, 0, 0, 0));
    let run = db.runs().begin(RunOptions::named("run")).unwrap();
    run.kv().put_many((0..1000).map(|number| (format!("key {number}"), number))).unwrap();
    run.kv().put("large", vec![1_u8; 10_000]).unwrap();
    let once = TransactionOptions::new().idempotency_key("once");
    db.transaction_with(&once, |tx| tx.kv().put("a", 1)).unwrap();
    db.snapshot().unwrap();
    let stats = db.stats().unwrap();
    assert_eq!(stats.store, db.id().to_string());
    assert_eq!((stats.seq, stats.durable_seq, stats.commits), (4, 4, 4));
    assert_eq!((stats.runs, stats.entries, stats.idempotency_keys), (1, 1002, 1));
    assert_eq!((stats.conflicts, stats.retries, stats.pending_bytes, stats.epoch), (0, 0, 0, 1));
    assert!(stats.tree_bytes > 10_000 && stats.tree_bytes < 1 << 20, "{}", stats.tree_bytes);
    assert_eq!(stats.segments.len(), 1);
    assert!((10_000..10_100).contains(&stats.segments[0].live_bytes), "{:?}", stats.segments);
    assert_eq!(stats.log_bytes, stats.segments[0].bytes);
    assert_eq!(stats.snapshots.len(), 1);
    assert!(stats.syncs.count >= 4);
    assert_eq!(stats.syncs.histogram.iter().map(|(_, count)| count).sum::<u64>(), stats.syncs.count);
    run.kv().remove("large").unwrap();
    assert_eq!(db.stats().unwrap().segments[0].live_bytes, 0);
    db.close().unwrap();
    let db = foldb::open(directory.path()).unwrap();
    let again = db.stats().unwrap();
    assert_eq!((again.seq, again.commits, again.epoch, again.entries), (5, 0, 2, 1001));
    assert_eq!(again.idempotency_keys, 1);
}

#[test]
fn a_scan_of_a_whole_store_in_memory_is_what_was_put() {
    let db = foldb::memory();
    db.kv().put_many((0..100).map(|number| (format!("{number:03}"), number))).unwrap();
    let pairs = db.kv().scan_as::<i64>(&ScanOptions::all()).unwrap();
    assert!(pairs.iter().map(|pair| pair.value).eq(0..100));
}

/// Verification read files that commits were changing: a segment that had been trimmed since its length was looked at was an
/// input/output error, one that an anchor named already and the listing not yet was a missing file. Whoever verified a busy
/// store was told that it was damaged. Found by the schedules.
#[test]
fn a_verification_during_which_commits_go_on_raises_no_false_alarm() {
    let disk = CrashStorage::new();
    let db = open(disk, STRICT, 4096, 1).unwrap();
    let put = |number: u32| db.kv().put(format!("k{number}"), vec![7_u8; 1500]).unwrap();
    (0..5).for_each(put);
    let mut calls = 5;
    let report = db
        .verify(&mut |_| {
            // Each of these fills most of a segment: the log goes on in the next one while the old one is read.
            (calls..calls + 3).for_each(put);
            calls += 3;
            ControlFlow::Continue(())
        })
        .unwrap();
    assert!(calls > 8, "there were commits meanwhile");
    assert!(report.is_ok(), "{:?}", report.violations);
    assert!(report.records >= 5);
}

/// A panic in the callback of a snapshot left the store believing that somebody still wrote it, and closing waited for ever.
#[test]
fn a_callback_that_panics_in_a_snapshot_does_not_keep_the_store_from_closing() {
    let disk = CrashStorage::new();
    let db = open(disk.clone(), STRICT, 1 << 20, 1).unwrap();
    db.kv().put("a", 1).unwrap();
    let panics = || db.snapshot_with(&mut |_, _| panic!("the bar is broken"));
    assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(panics)).is_err());
    let info = db.snapshot().unwrap();
    assert_eq!(info.seq, 1);
    db.close().unwrap();
    let db = open(disk, STRICT, 1 << 20, 2).unwrap();
    assert_eq!(db.kv().get("a").unwrap(), Some(1));
}
