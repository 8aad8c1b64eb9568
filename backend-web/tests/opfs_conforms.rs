//! `OpfsStorage` keeps the storage contract, in a dedicated worker of a real browser.
#![cfg(target_family = "wasm")]

use foldb_core::{
    Error, ErrorKind,
    storage::{LockHolder, Storage, StorageError, StorageFile},
};
use foldb_testkit::conformance;
use foldb_web::{OpenOptions, OpfsStorage, destroy, list};
use wasm_bindgen_test::{wasm_bindgen_test, wasm_bindgen_test_configure};

wasm_bindgen_test_configure!(run_in_dedicated_worker);

async fn open(name: &str) -> OpfsStorage {
    OpfsStorage::open(name, &OpenOptions::new()).await.unwrap()
}

/// A case that makes more than forty files in one turn, and how many it needs.
const MANY_FILES: (&str, usize) = ("list_has_every_name_once", 40);

#[wasm_bindgen_test]
async fn opfs_keeps_the_storage_contract() {
    let mut broken = Vec::new();
    let cases = conformance::cases::<OpfsStorage>();
    let count = cases.len();
    destroy("conformance").await.unwrap();
    for case in cases {
        for (number, phase) in case.phases.iter().enumerate() {
            let storage = open("conformance").await;
            storage.pool().reserve(if case.name == MANY_FILES.0 { MANY_FILES.1 } else { 8 }).await.unwrap();
            if let Err(why) = phase(&storage) {
                broken.push(format!("{}, phase {number}: {why}", case.name));
                break;
            }
        }
        assert!(destroy("conformance").await.unwrap());
    }
    assert!(broken.is_empty(), "of {count} sentences {} are broken:\n{}", broken.len(), broken.join("\n"));
}

#[wasm_bindgen_test]
async fn a_second_opener_is_told_that_the_store_is_locked() {
    let first = open("second-opener").await;
    let impatient = OpenOptions::new().lock_wait_millis(20);
    let second = OpfsStorage::open("second-opener", &impatient).await.unwrap_err();
    assert_eq!(
        second,
        Error::Storage(StorageError::Locked { name: "second-opener".into(), holder: LockHolder::Unknown })
    );
    assert_eq!(destroy("second-opener").await.unwrap_err().kind(), ErrorKind::Locked);
    let file = first.create("log-1").unwrap();
    drop(first);
    let second = OpfsStorage::open("second-opener", &impatient).await.unwrap_err();
    assert_eq!(second.kind(), ErrorKind::Locked, "a file that is open keeps the store locked");
    drop(file);
    drop(open("second-opener").await);
    assert!(destroy("second-opener").await.unwrap());
}

#[wasm_bindgen_test]
async fn stores_are_listed_by_name_and_gone_when_destroyed() {
    let names = ["Ärger / with a name", "list-a", "list-b"];
    for name in names {
        destroy(name).await.unwrap();
    }
    let refuse = OpenOptions::new().create(false);
    let missing = OpfsStorage::open(names[0], &refuse).await.unwrap_err();
    assert_eq!(missing, Error::Storage(StorageError::Missing { name: names[0].into() }));
    for name in names {
        let storage = open(name).await;
        assert!(storage.opening().created);
        storage.create("log-1").unwrap().sync().unwrap();
    }
    let ours = async || -> Vec<String> {
        let found = list().await.unwrap();
        found.into_iter().filter(|name| names.contains(&name.as_str())).collect()
    };
    let mut expected = names.map(String::from).to_vec();
    expected.sort();
    assert_eq!(ours().await, expected);
    let again = OpfsStorage::open(names[0], &refuse).await.unwrap();
    assert!(!again.opening().created, "it was there");
    drop(again);
    for name in names {
        assert!(destroy(name).await.unwrap());
        assert!(!destroy(name).await.unwrap(), "it is gone");
    }
    assert!(ours().await.is_empty());
    let fresh = open(names[0]).await;
    assert!(fresh.opening().created && fresh.list().unwrap().is_empty());
    drop(fresh);
    destroy(names[0]).await.unwrap();
}

#[wasm_bindgen_test]
async fn an_empty_pool_says_so_at_once_and_is_filled_between_turns() {
    destroy("empty-pool").await.unwrap();
    let storage = OpfsStorage::open("empty-pool", &OpenOptions::new().ready(2)).await.unwrap();
    let pool = storage.pool();
    assert_eq!(pool.ready(), 2);
    for name in ["log-1", "log-2"] {
        storage.create(name).unwrap();
    }
    assert_eq!(storage.create("log-3").unwrap_err(), StorageError::NotReady { name: "log-3".into() });
    assert!(pool.is_low());
    pool.replenish().await.unwrap();
    assert_eq!(pool.ready(), 6, "twice what was wanted");
    storage.create("log-3").unwrap().sync().unwrap();
    pool.reserve(20).await.unwrap();
    assert_eq!(pool.ready(), 20);
    drop(storage);
    assert_eq!(pool.ready(), 0, "the store is closed");
    pool.replenish().await.unwrap();
    destroy("empty-pool").await.unwrap();
}

#[wasm_bindgen_test]
async fn offsets_beyond_two_and_four_gibibytes_are_what_they_say() {
    destroy("large-offsets").await.unwrap();
    let storage = open("large-offsets").await;
    let file = storage.create("log-1").unwrap();
    // One file of more than 4 GiB that takes no more room than the bytes written, where the file system has holes.
    let places = [(1_u64 << 31) - 3, (1 << 31) + 4096, (1 << 32) - 3, (1 << 32) + 5];
    file.set_len((1 << 32) + 100).unwrap();
    for (place, byte) in places.into_iter().zip(1..) {
        file.write_at(place, &[byte; 7]).unwrap();
    }
    file.sync().unwrap();
    drop(file);
    drop(storage);
    let storage = open("large-offsets").await;
    let file = storage.open("log-1").unwrap();
    assert_eq!(file.len().unwrap(), (1 << 32) + 100);
    for (place, byte) in places.into_iter().zip(1..) {
        let mut found = [0xee; 9];
        assert_eq!(file.read_at(place - 1, &mut found).unwrap(), 9);
        assert_eq!(found, [0, byte, byte, byte, byte, byte, byte, byte, 0], "at {place}");
    }
    let mut low = [0xee; 100];
    file.read_at(0, &mut low).unwrap();
    assert_eq!(low, [0; 100], "nothing has gone round");
    storage.remove("log-1").unwrap();
    drop((file, storage));
    destroy("large-offsets").await.unwrap();
}
