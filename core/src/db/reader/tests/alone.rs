//! What a reader shows, refuses and leaves alone, with a writer that does nothing meanwhile.

use alloc::string::ToString;
use core::ops::ControlFlow;

use super::{commit, host, number, reader, reading, storages::Beside, writing};
use crate::{
    ChangeFilter, Db, Durability, Error, ErrorKind, Options, RunOptions, RunStatus, TransactionOptions,
    log::{SEGMENT_HEADER_BYTES, segment_name},
    storage::{MemStorage, Storage, StorageFile},
};

fn open(storage: &MemStorage) -> Db<MemStorage> {
    Db::open(storage.clone(), host(), writing()).unwrap()
}

#[test]
fn a_reader_sees_what_is_whole_in_the_log_and_a_refresh_what_came_since() {
    let storage = MemStorage::new();
    let writer = open(&storage);
    commit(&writer);
    writer.sync().unwrap();
    let before = storage.files();
    let reader = reader(&storage);
    assert_eq!(number(&reader), 1);
    assert_eq!(reader.refresh().unwrap(), 1, "nothing has come");
    assert_eq!(storage.files(), before, "looking never writes");

    let old = reader.view();
    commit(&writer);
    assert_eq!(reader.refresh().unwrap(), 1, "a buffered commit is with its writer only");
    writer.sync().unwrap();
    assert_eq!(reader.refresh().unwrap(), 2);
    assert_eq!(number(&reader), 2);
    assert_eq!(old.kv().get::<i64>("count").unwrap(), Some(1), "a view stays where it is");
    assert_eq!(reader.durable_seq(), 1, "the second is whole, and nothing in the files proves it yet");
    writer.close().unwrap();
    assert_eq!(reader.refresh().unwrap(), 2);
    assert_eq!(reader.durable_seq(), 2);
}

#[test]
fn every_write_through_a_reader_says_that_it_only_reads() {
    let storage = MemStorage::new();
    let writer = open(&storage);
    let run = writer.runs().begin(RunOptions::named("a run")).unwrap();
    let id = run.id();
    writer.close().unwrap();
    let reader = reader(&storage);
    let run = reader.runs().get(id).unwrap();
    let refused = [
        reader.kv().put("key", 1).map(drop),
        reader.json().set("key", &serde_json::json!({})).map(drop),
        reader.events().append("stream", "kind", 1).map(drop),
        run.kv().put("key", 1).map(drop),
        run.end().map(drop),
        run.resume().map(drop),
        reader.runs().delete(id).map(drop),
        reader.runs().begin(RunOptions::named("another")).map(drop),
        reader.transaction(|tx| tx.kv().put("key", 1)).map(drop),
        reader.transaction_with(&TransactionOptions::new().idempotency_key("key"), |_| Ok(())).map(drop),
        reader.snapshot().map(drop),
        reader.sync().map(drop),
        reader.wait_durable(99).map(drop),
        reader.set_idempotency_window(5, None).map(drop),
        reader.subscribe(ChangeFilter::all()).map(drop),
    ];
    for (number, refused) in refused.into_iter().enumerate() {
        let error = refused.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ReadOnly, "write {number}: {error}");
        assert!(error.to_string().contains("read_only"), "{error}");
    }
    assert_eq!(reader.transaction(|tx| tx.kv().get::<i64>("key")).unwrap(), None, "a transaction that only reads");
    reader.close().unwrap();
}

#[test]
fn a_store_that_is_not_there_is_not_made() {
    let storage = MemStorage::new();
    let error = Db::open(Beside::reader(&storage), host(), reading()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotAStore, "{error}");
    drop(open(&storage));
    let error = Db::open(Beside::reader(&storage), host(), reading()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotAStore, "nothing was committed: {error}");
}

/// A store whose process died with commits that were handed over, half of the last one.
fn crashed() -> (MemStorage, u64) {
    let storage = MemStorage::new();
    let options = writing().durability(Durability::Buffered { interval: core::time::Duration::MAX, bytes: 1 });
    let writer = Db::open(storage.clone(), host(), options).unwrap();
    (0..3).for_each(|_| commit(&writer));
    let whole = storage.files()[&segment_name(1)].iter().rposition(|byte| *byte != 0).unwrap() as u64 + 1;
    commit(&writer);
    // As if the process had been killed.
    std::mem::forget(writer);
    let file = storage.open(&segment_name(1)).unwrap();
    let torn = whole.next_multiple_of(8) + 24;
    let zeros = std::vec![0; usize::try_from(file.len().unwrap() - torn).unwrap()];
    file.write_at(torn, &zeros).unwrap();
    (storage, whole)
}

#[test]
fn a_torn_last_frame_is_not_there_yet_and_not_damage() {
    let (storage, _) = crashed();
    let before = storage.files();
    let reader = reader(&storage);
    assert_eq!(number(&reader), 3);
    assert_eq!(reader.recovery_report().log.cut, None);
    assert!(reader.verify(&mut |_| ControlFlow::Continue(())).unwrap().is_ok());
    assert_eq!(reader.refresh().unwrap(), 3);
    assert_eq!(storage.files(), before);
}

#[test]
fn a_reader_follows_a_tail_that_a_recovery_carries_and_what_comes_behind_it() {
    let (storage, _) = crashed();
    let reader = reader(&storage);
    let view = reader.view();
    let writer = open(&storage);
    assert_eq!(reader.refresh().unwrap(), 3);
    assert_eq!(number(&reader), 3);
    commit(&writer);
    writer.sync().unwrap();
    reader.refresh().unwrap();
    assert_eq!(number(&reader), 4);
    assert!(reader.verify(&mut |_| ControlFlow::Continue(())).unwrap().is_ok());
    // The version before reads where the tail lay.
    assert!(view.kv().get::<std::string::String>("large").unwrap().unwrap().starts_with('3'));
    assert_eq!(view.events().len("numbers").unwrap(), 3);
    assert_eq!(view.events().verify_chain("numbers").unwrap().events, 3);
}

#[test]
fn a_reader_goes_back_where_a_power_failure_has_taken_an_unproven_commit() {
    let storage = MemStorage::new();
    let writer = open(&storage);
    commit(&writer);
    writer.sync().unwrap();
    let before = storage.files();
    commit(&writer);
    writer.sync().unwrap();
    let reader = reader(&storage);
    assert_eq!((number(&reader), reader.durable_seq()), (2, 1));
    std::mem::forget(writer);
    for (name, bytes) in before {
        let file = storage.open(&name).unwrap();
        file.set_len(0).unwrap();
        file.write_at(0, &bytes).unwrap();
    }
    assert_eq!(reader.refresh().unwrap(), 1);
    assert_eq!(number(&reader), 1);
    let writer = open(&storage);
    commit(&writer);
    writer.sync().unwrap();
    assert_eq!(reader.refresh().unwrap(), 2);
    assert_eq!(number(&reader), 2);
}

#[test]
fn damage_of_what_was_promised_is_damage_to_a_reader_too() {
    let storage = MemStorage::new();
    let writer = open(&storage);
    (0..3).for_each(|_| commit(&writer));
    writer.close().unwrap();
    let file = storage.open(&segment_name(1)).unwrap();
    file.write_at(SEGMENT_HEADER_BYTES + 40, &[0xff; 8]).unwrap();
    let error = Db::open(Beside::reader(&storage), host(), reading()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
}

#[test]
fn another_store_in_the_place_of_this_one_is_not_a_newer_version_of_it() {
    let storage = MemStorage::new();
    let writer = open(&storage);
    commit(&writer);
    writer.close().unwrap();
    let reader = reader(&storage);
    for name in storage.list().unwrap() {
        storage.remove(&name).unwrap();
    }
    let other = crate::host::SteppedHost::new(1_000_000);
    other_store(&storage, other);
    let error = reader.refresh().unwrap_err();
    assert!(matches!(error, Error::Storage(crate::storage::StorageError::Displaced { .. })), "{error}");
    assert_eq!(reader.view().kv().get::<i64>("count").unwrap(), Some(1), "what was shown is still shown");
}

/// A segment of the same number is another one then, and ends before the place where the reader stands: nothing new shows from there.
#[test]
fn a_store_that_was_put_back_from_a_copy_and_has_gone_on_is_read_anew() {
    let storage = MemStorage::new();
    let writer = open(&storage);
    commit(&writer);
    writer.close().unwrap();
    let copy = storage.files();
    let into_the_second_segment = |writer: &Db<MemStorage>| {
        while !storage.list().unwrap().contains(&segment_name(2)) {
            commit(writer);
        }
    };
    let writer = open(&storage);
    into_the_second_segment(&writer);
    commit(&writer);
    let before = number(&writer);
    writer.close().unwrap();
    let reader = reader(&storage);
    assert_eq!(number(&reader), before);
    for name in storage.list().unwrap() {
        storage.remove(&name).unwrap();
    }
    for (name, bytes) in copy {
        storage.create(&name).unwrap().write_at(0, &bytes).unwrap();
    }
    // Whoever opens it now has other entropy.
    let other = crate::host::SteppedHost::new(1_000_000);
    let writer = Db::open(storage.clone(), std::sync::Arc::new(other), writing()).unwrap();
    into_the_second_segment(&writer);
    writer.close().unwrap();
    reader.refresh().unwrap();
    assert_eq!(number(&reader), before - 1);
}

fn other_store(storage: &MemStorage, host: crate::host::SteppedHost) {
    // Ids come from the host, which counts: another one is asked for first, so that the two differ.
    let _ = crate::StoreId::generate(&host);
    let writer = Db::open(storage.clone(), std::sync::Arc::new(host), writing()).unwrap();
    commit(&writer);
    writer.close().unwrap();
}

#[test]
fn a_run_of_the_process_that_writes_is_open_and_one_of_a_process_before_is_orphaned() {
    let storage = MemStorage::new();
    let writer = open(&storage);
    let left = writer.runs().begin(RunOptions::named("left")).unwrap().id();
    writer.close().unwrap();
    let writer = open(&storage);
    let working = writer.runs().begin(RunOptions::named("working")).unwrap().id();
    writer.sync().unwrap();
    let reader = reader(&storage);
    assert_eq!(reader.runs().info(left).unwrap().status, RunStatus::Orphaned);
    assert_eq!(reader.runs().info(working).unwrap().status, RunStatus::Active);
    assert_eq!(reader.recovery_report().orphaned_runs, [left]);
}

#[test]
fn a_replay_and_a_verification_of_a_reader_stay_at_its_version() {
    let storage = MemStorage::new();
    let writer = Db::open(storage.clone(), host(), Options::new().segment_bytes(4096)).unwrap();
    (0..5).for_each(|_| commit(&writer));
    let reader = reader(&storage);
    let mut verification = reader.begin_verification().unwrap();
    (0..5).for_each(|_| commit(&writer));
    writer.snapshot().unwrap();
    while verification.next_step().is_some() {
        reader.verify_step(&mut verification, &mut |_| ControlFlow::Continue(())).unwrap();
    }
    let report = verification.into_report();
    assert!(report.is_ok(), "{report:?}");
    assert_eq!(report.records, 5);
    let replay = reader.replay_default().unwrap();
    assert_eq!(replay.kv().get::<i64>("count").unwrap(), Some(5));
    assert_eq!(replay.digest().unwrap(), reader.view().default_space().digest().unwrap());
}

#[test]
fn versions_of_a_reader_stay_readable_when_the_writer_removes_their_snapshots() {
    // Salvage begins anew at each refresh, and so stands on another snapshot each time.
    for options in [reading(), reading().recovery(crate::RecoveryMode::Salvage)] {
        let storage = MemStorage::new();
        let writer = open(&storage);
        let snapshot = || {
            (0..3).for_each(|_| commit(&writer));
            writer.snapshot().unwrap();
        };
        snapshot();
        let reader = Db::open(Beside::reader(&storage), host(), options).unwrap();
        // Nothing of it was read yet: its leaves are in the file.
        let versions: std::vec::Vec<_> = (0..6)
            .map(|_| {
                let view = reader.view();
                snapshot();
                reader.refresh().unwrap();
                view
            })
            .collect();
        assert!(storage.list().unwrap().iter().filter(|name| name.starts_with("snap-")).count() < 4);
        for (version, number) in versions.iter().zip([3, 6, 9, 12, 15, 18]) {
            assert_eq!(version.kv().get::<i64>("count").unwrap(), Some(number));
            assert_eq!(version.kv().get::<i64>("n/1").unwrap(), Some(1));
        }
        drop(versions);
        snapshot();
        reader.refresh().unwrap();
        assert_eq!(number(&reader), 24);
        assert_eq!(reader.shared().files.held_snapshots(), 1, "what nobody reads any more is let go of");
    }
}

#[test]
fn a_copy_of_what_a_reader_has_seen_opens_as_a_store() {
    let storage = MemStorage::new();
    let writer = Db::open(storage.clone(), host(), Options::new().segment_bytes(4096)).unwrap();
    // Two snapshots: the reader stands on the newer one, and the older one is held by the copy alone.
    for commits in [3, 2] {
        (0..commits).for_each(|_| commit(&writer));
        writer.snapshot().unwrap();
    }
    (0..5).for_each(|_| commit(&writer));
    let reader = reader(&storage);
    let checkpoint = reader.checkpoint().unwrap();
    assert_eq!(checkpoint.seq(), 10);
    assert_eq!(checkpoint.files().iter().filter(|file| file.name().starts_with("snap-")).count(), 2);
    (0..3).for_each(|_| {
        commit(&writer);
        writer.snapshot().unwrap();
    });
    let copy = MemStorage::from_files(checkpoint.files().iter().map(|file| {
        let mut bytes = std::vec![0; usize::try_from(file.len()).unwrap()];
        assert_eq!(checkpoint.read_at(file, 0, &mut bytes).unwrap(), bytes.len());
        (file.name(), bytes)
    }));
    let copied = open(&copy);
    assert_eq!(number(&copied), 10);
    assert!(copied.recovery_report().rejected_snapshots.is_empty());
    assert!(copied.recovery_report().damage.is_empty());
}
