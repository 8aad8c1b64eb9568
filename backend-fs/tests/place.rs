//! Names that are taken away from under an open store: what leads elsewhere is noticed, what is in order is left in peace.

#![cfg(unix)]

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use foldb_core::{
    Error, ErrorKind,
    storage::{LockHolder, Storage, StorageError, StorageFile},
};
use foldb_fs::FsStorage;
use foldb_testkit::{output, undisturbed};
use tempfile::{TempDir, tempdir};

/// A storage with one file, below a directory of its own.
fn store() -> (TempDir, PathBuf, FsStorage) {
    let parent = tempdir().unwrap();
    let path = parent.path().join("store");
    let storage = FsStorage::open(&path, true).unwrap();
    storage.create("log-1").unwrap().sync().unwrap();
    (parent, path, storage)
}

/// Every way in, and the question itself, says what has happened, in these words.
fn assert_displaced(storage: &FsStorage, words: &str) {
    let answers = [
        ("asking", storage.check_place()),
        ("creating", storage.create("log-2").map(drop)),
        ("opening", storage.open("log-1").map(drop)),
        ("removing", storage.remove("log-1")),
        ("listing", storage.list().map(drop)),
    ];
    for (what, answer) in answers {
        let Err(error @ StorageError::Displaced { .. }) = answer else { panic!("{what}: {answer:?}") };
        let text = error.to_string();
        assert!(text.contains(words) && text.contains(&storage.path().display().to_string()), "{what}: {text}");
        assert_eq!(Error::from(error).kind(), ErrorKind::Poisoned);
    }
}

#[test]
fn a_lock_file_that_was_removed_is_noticed() {
    let (_parent, path, storage) = store();
    storage.check_place().unwrap();
    fs::remove_file(path.join("lock")).unwrap();
    assert_displaced(&storage, "`lock` was removed");
}

#[test]
fn a_second_owner_who_was_let_in_that_way_is_in_order_and_the_first_is_not() {
    let (_parent, path, first) = store();
    fs::remove_file(path.join("lock")).unwrap();
    let second = FsStorage::open(&path, false).unwrap();
    assert_displaced(&first, "`lock` is another one");
    second.check_place().unwrap();
    // What the first gives back is its own lock and nothing of the second's.
    drop(first);
    second.check_place().unwrap();
    assert!(matches!(FsStorage::open(&path, false), Err(Error::Storage(StorageError::Locked { .. }))));
}

#[test]
fn a_directory_that_was_moved_is_noticed_and_moved_back_is_in_order() {
    let (parent, path, storage) = store();
    let away = parent.path().join("away");
    fs::rename(&path, &away).unwrap();
    assert_displaced(&storage, "directory was removed or moved");
    fs::rename(&away, &path).unwrap();
    storage.check_place().unwrap();
    storage.create("log-2").unwrap();
}

#[test]
fn a_directory_above_that_was_moved_is_noticed() {
    let (parent, _, storage) = store();
    let away = parent.path().with_extension("away");
    fs::rename(parent.path(), &away).unwrap();
    assert_displaced(&storage, "directory was removed or moved");
    fs::rename(&away, parent.path()).unwrap();
}

#[test]
fn a_directory_that_was_removed_is_noticed() {
    let (_parent, path, storage) = store();
    fs::remove_dir_all(&path).unwrap();
    assert_displaced(&storage, "directory was removed or moved");
}

#[test]
fn another_directory_in_the_place_of_the_store_is_noticed_and_left_alone() {
    let (parent, path, storage) = store();
    // As somebody does who puts a backup back: the same names, the same bytes, the same store.
    let copy = parent.path().join("copy");
    fs::create_dir(&copy).unwrap();
    fs::copy(path.join("log-1"), copy.join("log-1")).unwrap();
    fs::rename(&path, parent.path().join("away")).unwrap();
    fs::rename(&copy, &path).unwrap();
    assert_displaced(&storage, "another directory");
    assert_eq!(names(&path), ["log-1"], "nothing was made or removed in it");
}

#[test]
fn a_copy_of_hard_links_in_the_place_of_the_store_is_another_directory() {
    let (parent, path, storage) = store();
    let copy = parent.path().join("copy");
    fs::create_dir(&copy).unwrap();
    for name in ["lock", "log-1"] {
        fs::hard_link(path.join(name), copy.join(name)).unwrap();
    }
    fs::rename(&path, parent.path().join("away")).unwrap();
    fs::rename(&copy, &path).unwrap();
    assert_displaced(&storage, "another directory");
}

#[test]
fn a_file_in_the_place_of_the_store_is_noticed() {
    let (parent, path, storage) = store();
    fs::rename(&path, parent.path().join("away")).unwrap();
    File::create(&path).unwrap();
    assert_displaced(&storage, "another directory is in its place");
}

#[test]
fn what_does_not_change_where_the_names_lead_is_no_reason_for_alarm() {
    let (parent, path, storage) = store();
    // Another name for the same directory, other files in it, another mode and time of the lock.
    std::os::unix::fs::symlink(&path, parent.path().join("alias")).unwrap();
    fs::write(path.join("notes.txt"), "mine").unwrap();
    fs::set_permissions(path.join("lock"), std::os::unix::fs::PermissionsExt::from_mode(0o444)).unwrap();
    fs::hard_link(path.join("lock"), path.join("lock.bak")).unwrap();
    fs::remove_file(path.join("lock.bak")).unwrap();
    storage.check_place().unwrap();
    storage.create("log-2").unwrap();
}

#[test]
fn a_second_opener_is_told_who_the_first_is() {
    let _undisturbed = undisturbed();
    let (_parent, path, storage) = store();
    let holder = |opened: Result<FsStorage, Error>| match opened {
        Err(Error::Storage(StorageError::Locked { holder, .. })) => holder,
        other => panic!("{other:?}"),
    };
    let error = FsStorage::open(&path, false).unwrap_err();
    assert!(error.to_string().contains("this process has the store open already"), "{error}");
    assert_eq!(holder(Err(error)), LockHolder::ThisProcess);
    // A file of the store keeps it open too.
    let file = storage.open("log-1").unwrap();
    drop(storage);
    assert_eq!(holder(FsStorage::open(&path, false)), LockHolder::ThisProcess);
    drop(file);
    drop(FsStorage::open(&path, false).unwrap());
    // A lock that nobody took through this library in this process is somebody else's.
    let foreign = File::options().read(true).write(true).open(path.join("lock")).unwrap();
    foreign.lock().unwrap();
    let error = FsStorage::open(&path, false).unwrap_err();
    assert!(error.to_string().contains("another process has the store open"), "{error}");
    assert_eq!(holder(Err(error)), LockHolder::OtherProcess);
}

/// Not a test of its own: what the child process of the next test does. Without the variable it does nothing.
#[test]
fn child_process_that_is_told_who_has_the_store() {
    let Ok(path) = std::env::var("FOLDB_TEST_HELD_STORE") else { return };
    let error = FsStorage::open(&path, false).unwrap_err();
    assert!(error.to_string().contains("another process has the store open"), "{error}");
}

#[test]
fn another_process_is_told_that_it_is_another_process() {
    let (_parent, path, _storage) = store();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "child_process_that_is_told_who_has_the_store"]).env("FOLDB_TEST_HELD_STORE", &path);
    let output = output(&mut command).unwrap();
    assert!(output.status.success(), "{output:?}");
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn an_opening_that_writes_nothing_leaves_no_lock_file_behind() {
    let _undisturbed = undisturbed();
    let empty = tempdir().unwrap();
    drop(FsStorage::open(empty.path(), true).unwrap());
    assert_eq!(names(empty.path()), [""; 0]);
    // Nor in a copy of a store that was only looked at, nor in a directory that just looks like one.
    for name in ["log-00000000000000000001", "log-book.txt"] {
        let copy = tempdir().unwrap();
        fs::write(copy.path().join(name), "bytes").unwrap();
        let storage = FsStorage::open(copy.path(), false).unwrap();
        assert_eq!(names(copy.path()), ["lock", name], "while it is open there is one");
        storage.list().unwrap();
        drop(storage);
        assert_eq!(names(copy.path()), [name]);
    }
}

#[test]
fn a_lock_file_stays_in_a_directory_that_became_a_store_and_in_one_that_had_it() {
    let _undisturbed = undisturbed();
    let (_parent, path, storage) = store();
    drop(storage);
    assert_eq!(names(&path), ["lock", "log-1"]);
    drop(FsStorage::open(&path, false).unwrap());
    assert_eq!(names(&path), ["lock", "log-1"]);
}

#[test]
fn lock_files_that_come_and_go_never_let_two_owners_in() {
    let _undisturbed = undisturbed();
    let parent = tempdir().unwrap();
    let owned = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut owner = 0;
                while owner < 200 {
                    match FsStorage::open(parent.path(), true) {
                        Ok(storage) => {
                            // Nothing is made, so the lock file goes with whoever made it.
                            assert!(!owned.swap(true, Ordering::SeqCst), "two owners");
                            storage.check_place().unwrap();
                            owned.store(false, Ordering::SeqCst);
                            owner += 1;
                        }
                        Err(error) => assert_eq!(error.kind(), ErrorKind::Locked, "{error}"),
                    }
                }
            });
        }
    });
}

#[test]
fn a_link_to_nothing_is_refused_by_name_and_nothing_is_made_where_it_leads() {
    let parent = tempdir().unwrap();
    let (target, link) = (parent.path().join("target"), parent.path().join("link"));
    std::os::unix::fs::symlink(&target, &link).unwrap();
    for create in [false, true] {
        for path in [link.clone(), link.join("store"), link.join("a").join("store")] {
            let error = FsStorage::open(&path, create).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NotAStore, "{error}");
            let text = error.to_string();
            assert!(text.contains(&path.display().to_string()), "{text}");
            let said = format!("{} is a symbolic link to {}", link.display(), target.display());
            assert!(text.contains(&said), "{text}");
        }
    }
    assert_eq!(names(parent.path()), ["link"]);
    // Once there is something, it is the store.
    fs::create_dir(&target).unwrap();
    FsStorage::open(&link, true).unwrap().create("log-1").unwrap();
    assert_eq!(names(&target), ["lock", "log-1"]);
}

#[test]
fn a_lock_that_is_a_link_to_nothing_makes_no_file_where_it_leads() {
    let parent = tempdir().unwrap();
    let (store, target) = (parent.path().join("store"), parent.path().join("target"));
    fs::create_dir(&store).unwrap();
    fs::write(store.join("log-1"), "bytes").unwrap();
    std::os::unix::fs::symlink(&target, store.join("lock")).unwrap();
    let error = FsStorage::open(&store, true).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotAStore, "{error}");
    assert!(error.to_string().contains("symbolic link"), "{error}");
    assert!(!target.exists());
}
