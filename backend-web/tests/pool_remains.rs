//! What is left of a store: headers of pool files that are damaged, and destructions that are cut short or come while some
//! files are not given back yet. Runs natively and in a worker of a browser.

mod shim;

use foldb_core::{
    ErrorKind,
    storage::{Storage, StorageFile},
};
use foldb_testkit::crash::CrashStorage;
use foldb_web::pool::{self, Directory};
use shim::{ShimDirectory, database, database_on, now, opened, options};
#[cfg(target_family = "wasm")]
use wasm_bindgen_test::wasm_bindgen_test as test;

#[cfg(target_family = "wasm")]
wasm_bindgen_test::wasm_bindgen_test_configure!(run_in_dedicated_worker);

#[test]
fn a_damaged_header_is_reported_and_its_file_left_alone() {
    let directory = ShimDirectory::new();
    let storage = opened(&directory);
    for name in ["log-1", "log-2"] {
        let file = storage.create(name).unwrap();
        file.write_at(0, name.as_bytes()).unwrap();
        file.sync().unwrap();
    }
    drop(storage);
    let mut image = directory.disk.live_image();
    for at in [40, 2048 + 40] {
        image.flip_bit("pool-1", at, 3);
    }
    let before = image.bytes("pool-1").unwrap();
    let directory = ShimDirectory::on(CrashStorage::from_image(&image));
    let storage = opened(&directory);
    assert_eq!(storage.opening().damaged, ["pool-1"]);
    assert!(!storage.opening().created);
    assert_eq!(storage.list().unwrap(), ["log-2"]);
    let mut number = 3;
    while storage.create(&format!("log-{number}")).is_ok() {
        number += 1;
    }
    assert_eq!(directory.disk.live_image().bytes("pool-1").unwrap(), before);
    // One copy is enough.
    let mut image = directory.disk.live_image();
    image.flip_bit("pool-2", 40, 3);
    let directory = ShimDirectory::on(CrashStorage::from_image(&image));
    assert!(opened(&directory).list().unwrap().contains(&"log-2".into()));
}

#[test]
fn a_store_of_which_only_damage_is_left_does_not_look_like_a_first_visit() {
    let made = ShimDirectory::new();
    now(opened(&made).pool().reserve(12)).unwrap();
    let db = database(&made).unwrap();
    for number in 0..20 {
        db.kv().put(format!("key {number}"), vec![1_u8; 500]).unwrap();
    }
    db.snapshot().unwrap();
    db.close().unwrap();
    let image = made.disk.live_image();
    // The pool files that carry something; the others are 4 KiB long and can be made again.
    let carrying: Vec<String> = image
        .names()
        .filter(|name| image.bytes(name).is_some_and(|bytes| bytes.len() > 4096))
        .map(String::from)
        .collect();
    assert!((4..=10).contains(&carrying.len()), "{carrying:?}");
    let mut refused = 0;
    for damaged in 1_u32..1 << carrying.len() {
        let mut image = image.clone();
        let names = (0..).zip(&carrying).filter(|(place, _)| damaged >> place & 1 == 1);
        let names: Vec<String> = names.map(|(_, name)| name.clone()).collect();
        for name in &names {
            image.flip_bit(name, 40, 3);
            image.flip_bit(name, 2048 + 40, 3);
        }
        let directory = ShimDirectory::on(CrashStorage::from_image(&image));
        let storage = match directory.open_pool(&options()) {
            Ok(storage) => storage,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Corrupt, "{names:?}: {error}");
                assert_eq!(names, carrying, "with one good file left, it is for recovery to judge");
                assert!(error.to_string().contains("destroy the store"), "{error}");
                assert!(carrying.iter().all(|name| directory.disk.live_image().bytes(name) == image.bytes(name)));
                now(pool::destroy(&directory, "store", 0)).unwrap();
                assert!(directory.open_pool(&options()).unwrap().opening().created);
                refused += 1;
                continue;
            }
        };
        assert_eq!((storage.opening().created, &storage.opening().damaged), (false, &names));
        match database_on(storage) {
            Ok(db) => assert!(!db.recovery_report().created, "{names:?} passed for a new store"),
            Err(error) => assert_eq!(error.kind(), ErrorKind::Corrupt, "{names:?}: {error}"),
        }
    }
    assert_eq!(refused, 1);
}

#[test]
fn row_25_a_destruction_waits_for_pool_files_that_are_given_back_after_the_lock_of_the_store() {
    let directory = ShimDirectory::new();
    let storage = opened(&directory);
    storage.create("log-1").unwrap().sync().unwrap();
    drop(storage);
    // A worker that was closed while it made files, or that is dying, holds some of them yet.
    directory.hold("pool-2", 700);
    directory.hold("pool-3", 900);
    now(pool::destroy(&directory, "store", 2000)).unwrap();
    assert!(directory.disk.live_image().is_empty());
    assert!((900..=1200).contains(&directory.paused.get()), "{} ms", directory.paused.get());

    drop(opened(&directory));
    directory.hold("pool-2", 5000);
    assert_eq!(now(pool::destroy(&directory, "store", 2000)).unwrap_err().kind(), ErrorKind::Locked);
    assert_eq!(
        directory.open_pool(&options()).unwrap_err().kind(),
        ErrorKind::Locked,
        "it is half gone, and never opened"
    );
    now(directory.pause(2000));
    let storage = opened(&directory);
    assert!(storage.opening().created, "what was left of it is gone");
}

#[test]
fn a_destruction_that_was_cut_short_is_finished_by_the_next_opening() {
    let made = ShimDirectory::new();
    let db = database(&made).unwrap();
    db.kv().put("gone", 1).unwrap();
    assert_eq!(now(pool::destroy(&made, "store", 0)).unwrap_err().kind(), ErrorKind::Locked);
    db.close().unwrap();
    let image = made.disk.live_image();
    let whole = ShimDirectory::on(CrashStorage::from_image(&image));
    now(pool::destroy(&whole, "store", 0)).unwrap();
    let operations = whole.disk.operation_count();
    assert!(whole.disk.live_image().is_empty());
    let (mut kept, mut destroyed) = (0, 0);
    for count in 0..=operations {
        let cut = ShimDirectory::on(CrashStorage::from_image(&whole.disk.crash_point(count).everything_survives()));
        let db = database(&cut).unwrap_or_else(|error| panic!("crash after operation {count}: {error}"));
        match db.kv().get::<i32>("gone").unwrap() {
            Some(_) => kept += 1,
            None => destroyed += 1,
        }
        db.kv().put("new", 1).unwrap();
    }
    assert!(kept > 0 && destroyed > 0, "{kept} {destroyed}");
}
