//! Several handles of one opening: what closing by one of them, and dropping the last, does for the others. And one type of store, on
//! disk and in memory.

use foldb::{AnyStorage, FsStorage, OsHost, Store};
use foldb_testkit::crash::CrashStorage;

use super::*;

/// What a program does with a store, wherever it is.
fn deposit(store: &Store, amount: i64) -> Result<i64> {
    store.transaction(|tx| {
        let balance = tx.kv().get_or("balance", 0)? + amount;
        tx.kv().put("balance", balance)?;
        Ok(balance)
    })
}

#[test]
fn a_function_that_takes_a_store_works_on_disk_and_in_memory() {
    let _undisturbed = undisturbed();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    for store in [foldb::open(&path).unwrap(), foldb::memory()] {
        assert_eq!(deposit(&store, 20).unwrap(), 20);
        assert_eq!(deposit(&store, 1).unwrap(), 21);
        assert_eq!(store.clone().kv().get::<i64>("balance").unwrap(), Some(21));
    }
    // Storages of one's own are as good: here that of a directory, opened by hand.
    let storage = AnyStorage::from(FsStorage::open(&path, false).unwrap());
    let store = Store::open(storage, std::sync::Arc::new(OsHost), Options::new()).unwrap();
    assert_eq!(deposit(&store, 1).unwrap(), 22);
}

#[test]
fn a_store_that_was_closed_by_one_handle_says_so_to_the_others() {
    let storage = MemStorage::new();
    let db = open(storage.clone(), STRICT, 1 << 20, 1).unwrap();
    db.kv().put("key", 1).unwrap();
    let (other, transaction) = (db.clone(), db.begin_transaction().unwrap());
    transaction.kv().put("key", 2).unwrap();
    assert!(!db.is_closed());
    other.close().unwrap();
    assert!(db.is_closed());
    let files = Image::from(&storage);
    assert_closed(db.kv().put("key", 3));
    assert_closed(transaction.commit());
    assert_closed(db.transaction(|tx| tx.kv().get::<i64>("key")));
    assert_closed(db.runs().begin(RunOptions::named("run")));
    assert_closed(db.snapshot());
    assert_closed(db.checkpoint());
    // What was there can be read, and nothing of it is written again.
    assert_eq!(db.kv().get::<i64>("key").unwrap(), Some(1));
    assert_eq!((db.sync().unwrap(), db.durable_seq()), (1, 1));
    db.close().unwrap();
    assert_eq!(Image::from(&storage), files);
}

#[track_caller]
fn assert_closed<T>(result: Result<T>) {
    let error = assert_kind(result, ErrorKind::Unsupported);
    assert!(error.to_string().contains("the store was closed"), "{error}");
}

#[test]
fn the_last_handle_that_is_dropped_closes_the_store_and_no_other_does() {
    let disk = CrashStorage::new();
    let db = open(disk.clone(), BUFFERED, 1 << 20, 1).unwrap();
    let other = db.clone();
    db.kv().put("key", 1).unwrap();
    drop(db);
    assert!(!other.is_closed());
    other.kv().put("key", 2).unwrap();
    assert_eq!(other.durable_seq(), 0, "nothing was synced by the first drop");
    drop(other);
    let left = disk.crash_point(disk.operation_count()).nothing_survives();
    let db = open(CrashStorage::from_image(&left), BUFFERED, 1 << 20, 2).unwrap();
    assert_eq!(db.kv().get::<i64>("key").unwrap(), Some(2));
}

#[test]
fn the_directory_is_free_again_when_the_last_handle_is_gone() {
    let _undisturbed = undisturbed();
    let directory = tempfile::tempdir().unwrap();
    let store = foldb::open(directory.path()).unwrap();
    deposit(&store, 20).unwrap();
    let other = store.clone();
    store.close().unwrap();
    assert_kind(foldb::open(directory.path()), ErrorKind::Locked);
    drop(other);
    assert_eq!(deposit(&foldb::open(directory.path()).unwrap(), 1).unwrap(), 21);
}

/// Each commit that came while a store was being closed was one more to sync before it was.
#[test]
fn a_store_closes_although_others_go_on_committing_until_they_are_refused() {
    for durability in
        [STRICT, Durability::relaxed(), Durability::Buffered { interval: std::time::Duration::ZERO, bytes: 64 }]
    {
        let db = open(MemStorage::new(), durability, 1 << 20, 1).unwrap();
        let (began, begins) = std::sync::mpsc::channel();
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let (db, began) = (db.clone(), began.clone());
                scope.spawn(move || {
                    let refused = (0_u64..).find_map(|number| {
                        let _ = began.send(());
                        db.kv().put(format!("{thread}"), number).err()
                    });
                    assert_eq!(refused.map(|error| error.kind()), Some(ErrorKind::Unsupported));
                });
            }
            begins.iter().take(100).for_each(drop);
            db.clone().close().unwrap();
        });
        assert!(db.is_closed());
    }
}
