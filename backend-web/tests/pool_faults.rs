//! Faults of a browser's files, done by a shim of the access handle. The numbers of rows are those of the fault list in
//! the documentation of reliability. Runs natively and in a worker of a browser.

mod shim;

use std::{rc::Rc, sync::Arc};

use foldb_core::{
    Db, Durability, Error, ErrorKind, Options,
    storage::{LockHolder, Storage, StorageError, StorageFile},
};
use foldb_testkit::{
    SeededHost,
    conformance::{self, StorageFactory, Verdict},
    crash::{CrashStorage, Fault, OperationKind},
};
use shim::{ShimDirectory, ShimStorage, database, now, opened, options};
#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

#[cfg(target_family = "wasm")]
wasm_bindgen_test::wasm_bindgen_test_configure!(run_in_dedicated_worker);

struct Factory {
    directory: ShimDirectory,
    count_max: Option<usize>,
}

impl StorageFactory for Factory {
    type Storage = ShimStorage;

    fn fresh(&mut self) -> Result<ShimStorage, StorageError> {
        self.directory = ShimDirectory::new();
        self.directory.faults.count_max.set(self.count_max);
        self.reopen()
    }

    fn reopen(&mut self) -> Result<ShimStorage, StorageError> {
        let storage = self.directory.open_pool(&options()).map_err(storage_error)?;
        now(storage.pool().reserve(45)).map_err(storage_error)?;
        Ok(storage)
    }

    fn second_opener(&mut self) -> Option<Result<ShimStorage, StorageError>> {
        Some(self.directory.open_pool(&options()).map_err(storage_error))
    }
}

fn storage_error(error: Error) -> StorageError {
    match error {
        Error::Storage(error) => error,
        other => panic!("{other}"),
    }
}

#[test]
fn the_pool_keeps_the_storage_contract_with_nothing_skipped() {
    let verdicts = conformance::run(&mut Factory { directory: ShimDirectory::new(), count_max: None });
    // But for what a browser has not: a name of a store that others can take away while it is open.
    let has_no_place = "a_storage_whose_place_was_taken_says_so_and_not_before";
    let kept = |(name, verdict): &(_, Verdict)| *name == has_no_place || *verdict == Verdict::Kept;
    assert!(verdicts.iter().all(kept), "{verdicts:?}");
}

#[test]
fn row_14_it_keeps_the_contract_where_every_call_moves_a_few_bytes_only() {
    conformance::assert_conforms(&mut Factory { directory: ShimDirectory::new(), count_max: Some(977) });
}

#[test]
fn row_14_a_store_works_where_every_call_moves_seven_bytes() {
    let directory = ShimDirectory::new();
    directory.faults.count_max.set(Some(7));
    for round in 0..3 {
        let db = database(&directory).unwrap();
        for number in 0..30 {
            db.kv().put(format!("key {round} {number}"), vec![number; 300]).unwrap();
        }
        db.close().unwrap();
    }
    directory.faults.count_max.set(None);
    let db = database(&directory).unwrap();
    for round in 0..3 {
        for number in 0..30 {
            assert_eq!(db.kv().get::<Vec<u8>>(format!("key {round} {number}")).unwrap(), Some(vec![number; 300]));
        }
    }
}

#[test]
fn row_14_a_read_that_gives_nothing_inside_the_file_is_an_error_and_not_its_end() {
    let directory = ShimDirectory::new();
    let storage = opened(&directory);
    let file = storage.create("log-1").unwrap();
    file.write_at(0, b"ten bytes!").unwrap();
    directory.faults.empty_reads.set(true);
    let mut buffer = [0; 20];
    let error = file.read_at(0, &mut buffer).unwrap_err();
    assert!(matches!(&error, StorageError::Io { name, action: "reading", .. } if name == "log-1"), "{error}");
    assert_eq!(file.read_at(10, &mut buffer).unwrap(), 0, "at the end it is the end");
    directory.faults.empty_reads.set(false);
    assert_eq!(file.read_at(0, &mut buffer).unwrap(), 10);
    // At an opening it is an error as well, and not a pool file without a header.
    drop((file, storage));
    directory.faults.empty_reads.set(true);
    assert_eq!(directory.open_pool(&options()).unwrap_err().kind(), ErrorKind::Io);
    directory.faults.empty_reads.set(false);
    assert_eq!(opened(&directory).list().unwrap(), ["log-1"]);
}

#[test]
fn row_14_a_write_that_takes_nothing_ends_the_handle_of_the_store() {
    let directory = ShimDirectory::new();
    let db = database(&directory).unwrap();
    db.kv().put("before", 1).unwrap();
    directory.faults.empty_writes.set(true);
    let error = db.kv().put("during", 2).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OutcomeUnknown, "{error}");
    directory.faults.empty_writes.set(false);
    assert_eq!(db.kv().put("after", 3).unwrap_err().kind(), ErrorKind::Poisoned, "nothing is retried into a lie");
    assert_eq!(db.kv().get::<i32>("before").unwrap(), Some(1), "reads go on");
    drop(db);
    let db = database(&directory).unwrap();
    assert_eq!(db.kv().get::<i32>("before").unwrap(), Some(1));
    db.kv().put("after", 3).unwrap();
}

#[test]
fn row_13_after_a_failed_flush_a_later_one_makes_nothing_durable() {
    let directory = ShimDirectory::new();
    let storage = opened(&directory);
    let file = storage.create("log-1").unwrap();
    directory.disk.inject(Fault::on(OperationKind::Sync));
    assert!(file.sync().is_err());
    for _ in 0..2 {
        let error = file.sync().unwrap_err();
        assert!(error.to_string().contains("reopen the store"), "{error}");
        assert!(file.write_at(0, b"more").is_err());
    }
    // A removal whose mark may or may not be on the medium is not a removal, and no sync may make up for it.
    let other = storage.create("log-2").unwrap();
    other.write_at(0, b"promised").unwrap();
    other.sync().unwrap();
    directory.disk.inject(Fault::on(OperationKind::Sync).nth(2));
    assert!(storage.remove("log-2").is_err());
    assert!(storage.list().unwrap().contains(&"log-2".into()));
    assert!(other.sync().is_err());
}

#[test]
fn row_17_of_two_pool_files_with_one_name_the_newer_one_counts() {
    let directory = ShimDirectory::new();
    let storage = opened(&directory);
    let file = storage.create("log-1").unwrap();
    file.write_at(0, b"old").unwrap();
    file.sync().unwrap();
    let old = directory.disk.live_image();
    storage.remove("log-1").unwrap();
    storage.create("log-9").unwrap().sync().unwrap();
    let file = storage.create("log-1").unwrap();
    file.write_at(0, b"new").unwrap();
    file.sync().unwrap();
    let mut both = directory.disk.live_image();
    // The pool file of the first life comes back under the second one.
    both.put("pool-1", &old.bytes("pool-1").unwrap());
    let directory = ShimDirectory::on(CrashStorage::from_image(&both));
    let storage = opened(&directory);
    let mut bytes = [0; 8];
    assert_eq!(storage.open("log-1").unwrap().read_at(0, &mut bytes).unwrap(), 3);
    assert_eq!(&bytes[..3], b"new");
    assert_eq!(storage.list().unwrap(), ["log-1"], "log-9 was in the pool file that went back in time");
    drop(storage);
    assert_eq!(opened(&directory).list().unwrap(), ["log-1"], "and it stays so");
}

#[test]
fn row_17_a_handle_of_a_removed_file_does_not_reach_the_file_that_took_its_place() {
    let storage = opened(&ShimDirectory::new());
    let old = storage.create("log-1").unwrap();
    old.write_at(0, b"old").unwrap();
    storage.remove("log-1").unwrap();
    // Every free pool file is taken, so that the one of the removed file is among them.
    let taken: Vec<_> = (2..).map_while(|number| storage.create(&format!("log-{number}")).ok()).collect();
    assert!(taken.len() >= 4);
    let missing = StorageError::Missing { name: "log-1".into() };
    assert_eq!(old.write_at(0, b"stray").unwrap_err(), missing);
    assert_eq!(old.read_at(0, &mut [0; 3]).unwrap_err(), missing);
    assert_eq!(old.sync().unwrap_err(), missing);
    assert!(taken.iter().all(|file| file.is_empty().unwrap()), "and bytes of an earlier life do not show");
}

#[test]
fn row_25_of_two_openers_one_is_told_to_wait() {
    let directory = ShimDirectory::new();
    let first = database(&directory).unwrap();
    let error = database(&directory).unwrap_err();
    assert_eq!(error, Error::Storage(StorageError::Locked { name: "store".into(), holder: LockHolder::Unknown }));
    assert_eq!(directory.paused.get(), 2000, "it was tried for two seconds");
    drop(first);
    database(&directory).unwrap();
}

#[test]
fn row_25_the_locks_of_a_dying_worker_are_waited_for() {
    let directory = ShimDirectory::new();
    let db = database(&directory).unwrap();
    db.kv().put("acknowledged", 1).unwrap();
    let next = directory.kill_worker(1500);
    let error = next.open_pool(&options().lock_wait_millis(700)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Locked);
    let again = database(&next).unwrap();
    assert!((1500..2700).contains(&next.paused.get()), "{} ms", next.paused.get());
    assert_eq!(again.kv().get::<i32>("acknowledged").unwrap(), Some(1));
    drop(db);
}

#[test]
fn row_26_a_lost_handle_poisons_the_store_and_says_to_reopen_it() {
    let directory = ShimDirectory::new();
    let db = database(&directory).unwrap();
    db.kv().put("before", 1).unwrap();
    directory.faults.lost.set(true);
    let error = db.kv().put("during", 2).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OutcomeUnknown);
    assert!(error.to_string().contains("InvalidStateError") && error.to_string().contains("reopen"), "{error}");
    directory.faults.lost.set(false);
    assert_eq!(db.kv().put("after", 3).unwrap_err().kind(), ErrorKind::Poisoned);
    drop(db);
    let db = database(&directory).unwrap();
    assert_eq!(db.kv().get::<i32>("before").unwrap(), Some(1));
    db.kv().put("after", 3).unwrap();
}

#[test]
fn row_27_a_worker_that_is_ended_loses_nothing_that_was_acknowledged() {
    let mut directory = ShimDirectory::new();
    for round in 0..20 {
        let db = database(&directory).unwrap();
        for number in 0..round {
            assert_eq!(db.kv().get::<i32>(format!("key {number}")).unwrap(), Some(number), "round {round}");
        }
        db.kv().put(format!("key {round}"), round).unwrap();
        let pool = opened_pool_files(&directory);
        directory = directory.kill_worker(100);
        // The destructors of the dead worker run here, and reach nothing.
        drop(db);
        assert_eq!(opened_pool_files(&directory), pool);
    }
}

fn opened_pool_files(directory: &ShimDirectory) -> Vec<String> {
    directory.disk.live_image().names().map(str::to_owned).collect()
}

#[test]
fn row_28_over_quota_is_a_full_disk_with_nothing_at_risk() {
    let directory = ShimDirectory::new();
    // Files enough that it is the room that runs out.
    now(opened(&directory).pool().reserve(30)).unwrap();
    let db = database(&directory).unwrap();
    let used = directory.disk.live_image().total_bytes();
    directory.disk.limit_capacity(Some(used + 20_000));
    let (mut written, error) = (0, loop_until_error(&db, &mut 0));
    assert_eq!(error.kind(), ErrorKind::StorageFull, "{error}");
    let again = loop_until_error(&db, &mut written);
    assert_eq!((again.kind(), written), (ErrorKind::StorageFull, 0), "it is still full");
    // Room again, and the same handle goes on.
    directory.disk.limit_capacity(None);
    db.kv().put("after", 1).unwrap();
    db.close().unwrap();
    let db = database(&directory).unwrap();
    assert_eq!(db.kv().get::<i32>("after").unwrap(), Some(1));
}

/// Puts until something fails; `count` says how many succeeded.
fn loop_until_error(db: &Db<ShimStorage>, count: &mut usize) -> Error {
    loop {
        match db.kv().put(format!("filler {count}"), vec![1_u8; 500]) {
            Ok(()) => *count += 1,
            Err(error) => return error,
        }
        assert!(*count < 10_000, "it never fails");
    }
}

#[test]
fn row_28_a_store_on_a_full_disk_is_opened_with_the_files_that_it_has() {
    let directory = ShimDirectory::new();
    drop(directory.open_pool(&options().ready(1)).unwrap());
    let storage = directory.open_pool(&options().ready(1)).unwrap();
    storage.create("log-1").unwrap().sync().unwrap();
    drop(storage);
    directory.disk.limit_capacity(Some(directory.disk.live_image().total_bytes()));
    let storage = opened(&directory);
    assert_eq!(storage.list().unwrap(), ["log-1"]);
    // No turn of the event loop could help: this is not `NotReady`.
    let full = StorageError::Full { name: "log-2".into(), action: "creating" };
    assert_eq!(storage.create("log-2").unwrap_err(), full);
    assert_eq!(now(storage.pool().replenish()).unwrap_err().kind(), ErrorKind::StorageFull);
    assert_eq!(storage.create("log-2").unwrap_err(), full);
    directory.disk.limit_capacity(None);
    now(storage.pool().replenish()).unwrap();
    storage.create("log-2").unwrap();
    while storage.create(&format!("log-{}", storage.list().unwrap().len() + 1)).is_ok() {}
    let not_ready = StorageError::NotReady { name: "log-99".into() };
    assert_eq!(storage.create("log-99").unwrap_err(), not_ready, "with room it is a matter of time again");
    storage.remove("log-1").unwrap();
    storage.create("log-99").unwrap();
}

#[test]
fn row_28_on_a_full_disk_files_that_cannot_be_made_do_not_become_more_with_each_attempt() {
    let directory = ShimDirectory::new();
    let storage = directory.open_pool(&options().ready(1)).unwrap();
    storage.create("log-1").unwrap().sync().unwrap();
    drop(storage);
    directory.disk.limit_capacity(Some(directory.disk.live_image().total_bytes()));
    let before = opened_pool_files(&directory).len();
    let storage = opened(&directory);
    for _ in 0..50 {
        // What a worker does after each request of a store that is low.
        assert_eq!(now(storage.pool().replenish()).unwrap_err().kind(), ErrorKind::StorageFull);
    }
    let during = opened_pool_files(&directory).len();
    assert!(during <= before + 8, "{during} files after 51 attempts, {before} before");
    drop(storage);
    // Nor does what they left keep the store from being opened.
    let storage = opened(&directory);
    assert_eq!(storage.list().unwrap(), ["log-1"]);
    assert!(opened_pool_files(&directory).len() <= during);
    directory.disk.limit_capacity(None);
    now(storage.pool().replenish()).unwrap();
    assert_eq!(storage.pool().ready(), 8);
    assert_eq!(opened_pool_files(&directory).len(), 10, "owner, log-1 and eight that are ready; no empty one is left");
}

#[test]
fn files_that_were_never_finished_are_the_first_to_be_made_and_go_when_enough_are_there() {
    let made = ShimDirectory::new();
    opened(&made).create("log-1").unwrap().sync().unwrap();
    let mut image = made.disk.live_image();
    for number in 100..200 {
        image.put(&format!("pool-{number}"), b"");
    }
    let directory = ShimDirectory::on(CrashStorage::from_image(&image));
    let storage = opened(&directory);
    assert_eq!(storage.list().unwrap(), ["log-1"]);
    assert!(opened_pool_files(&directory).iter().all(|name| image.bytes(name).is_some()), "none was made beside them");
    now(storage.pool().replenish()).unwrap();
    assert!(opened_pool_files(&directory).len() <= 2 + 16, "{:?}", opened_pool_files(&directory));
    drop(storage);
    assert_eq!(opened(&directory).list().unwrap(), ["log-1"]);
}

#[test]
fn row_29_an_evicted_store_is_created_and_not_opened() {
    let directory = ShimDirectory::new();
    let storage = opened(&directory);
    assert!(storage.opening().created);
    storage.create("log-1").unwrap().sync().unwrap();
    drop(storage);
    assert!(!opened(&directory).opening().created);
    // The browser takes a whole origin at once.
    let evicted = ShimDirectory::new();
    assert!(opened(&evicted).opening().created);
}

#[test]
fn an_empty_pool_is_not_ready_with_nothing_at_risk_and_the_store_goes_on() {
    let directory = ShimDirectory::new();
    let db = database(&directory).unwrap();
    let mut count = 0;
    let error = loop_until_error(&db, &mut count);
    assert_eq!(error.kind(), ErrorKind::NotReady, "{error}");
    assert!(count >= 16, "some segments were filled: {count}");
    let mut more = 0;
    assert_eq!(loop_until_error(&db, &mut more).kind(), ErrorKind::NotReady, "it says so each time, at once");
    for number in 0..count {
        assert!(db.kv().exists(format!("filler {number}")).unwrap(), "what was committed is there");
    }
    drop(db);
    // The event loop runs: here by opening, in a worker by `replenish`.
    let db = database(&directory).unwrap();
    for number in 0..count {
        assert!(db.kv().exists(format!("filler {number}")).unwrap());
    }
    db.kv().put("after", 1).unwrap();
}

#[test]
fn a_burst_in_one_turn_goes_on_after_replenishing_and_more_is_kept_ready_from_then_on() {
    let directory = ShimDirectory::new();
    let storage = opened(&directory);
    let pool = storage.pool();
    let options = Options::new().segment_bytes(8192).snapshot_log_bytes(None);
    let db = Db::open(storage, Arc::new(SeededHost::new(1)), options).unwrap();
    let mut turns = 0;
    let mut done = 0;
    while done < 400 {
        match db.kv().put(format!("key {done}"), vec![1_u8; 500]) {
            Ok(()) => done += 1,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::NotReady);
                turns += 1;
                now(pool.replenish()).unwrap();
            }
        }
    }
    assert!((1..=4).contains(&turns), "the pool learns: {turns} turns");
    let ready = pool.ready();
    drop(db);
    assert_eq!(pool.ready(), 0);
    assert!(ready > 0);
}

#[test]
fn reserving_makes_a_burst_of_known_size_possible_in_one_turn() {
    let directory = ShimDirectory::new();
    let storage = opened(&directory);
    now(storage.pool().reserve(40)).unwrap();
    let options = Options::new().segment_bytes(8192).snapshot_log_bytes(None);
    let db = Db::open(storage, Arc::new(SeededHost::new(1)), options).unwrap();
    for number in 0..400 {
        db.kv().put(format!("key {number}"), vec![1_u8; 500]).unwrap();
    }
}

#[test]
fn what_a_burst_has_left_over_is_given_back() {
    let directory = ShimDirectory::new();
    let storage = opened(&directory);
    now(storage.pool().reserve(60)).unwrap();
    assert_eq!(storage.pool().ready(), 60);
    now(storage.pool().replenish()).unwrap();
    assert_eq!(storage.pool().ready(), 16);
    assert_eq!(opened_pool_files(&directory).len(), 17, "and their files are removed");
}

#[test]
fn a_store_that_is_closed_while_files_are_made_leaves_no_lock_behind() {
    let directory = ShimDirectory::new();
    let storage = opened(&directory);
    let making = storage.pool();
    let making = making.reserve(20);
    drop(storage);
    now(making).unwrap();
    let storage = opened(&directory);
    assert!(storage.opening().damaged.is_empty());
    assert_eq!(Rc::strong_count(&directory.paused), 1 + directories_alive(&storage), "handles are gone with the store");
}

/// How many clones of the directory an open store holds: one for itself, one for each handle.
fn directories_alive(storage: &ShimStorage) -> usize {
    1 + 1 + storage.pool().ready()
}

#[test]
fn offsets_that_do_not_fit_in_32_bits_arrive_whole_and_those_that_fit_nothing_are_refused() {
    let storage = opened(&ShimDirectory::new());
    let file = storage.create("log-1").unwrap();
    for place in [(1_u64 << 31) - 1, 1 << 31, (1 << 32) - 1, 1 << 32, (1 << 52) + 1] {
        file.write_at(place, b"here").unwrap();
        let mut found = [0; 4];
        assert_eq!(file.read_at(place, &mut found).unwrap(), 4);
        assert_eq!(&found, b"here");
        assert_eq!(file.len().unwrap(), place + 4);
    }
    for place in [u64::MAX, u64::MAX - 3, u64::MAX - 4096] {
        assert!(matches!(file.write_at(place, b"nowhere"), Err(StorageError::Full { .. })));
        assert!(matches!(file.set_len(place), Err(StorageError::Full { .. })) || place == u64::MAX - 4096);
        assert_eq!(file.read_at(place, &mut [0; 4]).unwrap(), 0);
    }
    let durability = Durability::Strict;
    assert_eq!(durability, Options::new().commit_durability(), "what is tested here is what an app gets");
}
