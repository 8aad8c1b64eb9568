//! Opening a directory: what is made, what is locked, what is refused, and that a refused directory stays as it was.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    path::Path,
    process::Command,
};

use foldb_core::{
    Error, ErrorKind,
    storage::{Storage, StorageError, StorageFile},
};
use foldb_fs::FsStorage;
use foldb_testkit::{output, undisturbed};
use tempfile::tempdir;

/// The names in a directory with their lengths.
fn contents(directory: &Path) -> BTreeMap<String, u64> {
    let entries = fs::read_dir(directory).unwrap().map(Result::unwrap);
    entries.map(|entry| (entry.file_name().into_string().unwrap(), entry.metadata().unwrap().len())).collect()
}

fn is_locked(opened: &Result<FsStorage, Error>) -> bool {
    matches!(opened, Err(Error::Storage(StorageError::Locked { .. })))
}

#[test]
fn a_missing_directory_is_made_with_its_parents() {
    let parent = tempdir().unwrap();
    let path = parent.path().join("a").join("b").join("store");
    let storage = FsStorage::open(&path, true).unwrap();
    assert_eq!(storage.list(), Ok(Vec::new()));
    assert_eq!(storage.path(), fs::canonicalize(path).unwrap());
}

#[test]
fn a_missing_directory_is_refused_without_create_and_not_made() {
    let parent = tempdir().unwrap();
    let path = parent.path().join("store");
    let error = FsStorage::open(&path, false).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().contains(&path.display().to_string()), "{error}");
    assert!(!path.exists());
}

#[test]
fn a_file_in_place_of_the_directory_is_not_a_store() {
    let parent = tempdir().unwrap();
    let path = parent.path().join("file");
    fs::write(&path, "text").unwrap();
    for create in [false, true] {
        let error = FsStorage::open(&path, create).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotAStore);
        assert!(error.to_string().contains(&path.display().to_string()), "{error}");
        #[cfg(unix)]
        assert_eq!(FsStorage::open(path.join("below"), create).unwrap_err().kind(), ErrorKind::NotAStore);
    }
    assert_eq!(fs::read(&path).unwrap(), b"text");
}

#[test]
fn a_foreign_directory_is_refused_and_left_as_it_was() {
    let foreign = tempdir().unwrap();
    fs::write(foreign.path().join("Cargo.toml"), "[package]").unwrap();
    fs::create_dir(foreign.path().join("src")).unwrap();
    let before = contents(foreign.path());
    for create in [false, true] {
        assert_eq!(FsStorage::open(foreign.path(), create).unwrap_err().kind(), ErrorKind::NotAStore);
    }
    assert_eq!(contents(foreign.path()), before);
}

#[test]
fn an_empty_directory_becomes_a_store_only_with_create() {
    let empty = tempdir().unwrap();
    assert_eq!(FsStorage::open(empty.path(), false).unwrap_err().kind(), ErrorKind::NotAStore);
    assert_eq!(contents(empty.path()), BTreeMap::new());
    FsStorage::open(empty.path(), true).unwrap();
}

#[test]
fn a_directory_with_only_what_systems_leave_behind_counts_as_empty() {
    let mount = tempdir().unwrap();
    fs::create_dir(mount.path().join("lost+found")).unwrap();
    fs::write(mount.path().join(".DS_Store"), "").unwrap();
    let storage = FsStorage::open(mount.path(), true).unwrap();
    assert_eq!(storage.list(), Ok(Vec::new()));
}

#[test]
fn a_store_that_was_copied_without_its_lock_file_opens() {
    let copy = tempdir().unwrap();
    fs::write(copy.path().join("log-00000000000000000001"), "bytes").unwrap();
    let storage = FsStorage::open(copy.path(), false).unwrap();
    assert_eq!(storage.list(), Ok(vec!["log-00000000000000000001".into()]));
}

#[test]
fn files_that_are_not_ours_are_listed_and_the_lock_is_not() {
    let directory = tempdir().unwrap();
    let storage = FsStorage::open(directory.path(), true).unwrap();
    fs::write(directory.path().join("Notes.txt"), "mine").unwrap();
    storage.create("log-1").unwrap();
    let mut names = storage.list().unwrap();
    names.sort();
    assert_eq!(names, ["Notes.txt", "log-1"]);
    assert!(directory.path().join("lock").exists());
}

#[test]
fn the_second_opener_in_the_same_process_is_told_the_path() {
    let _undisturbed = undisturbed();
    let directory = tempdir().unwrap();
    let first = FsStorage::open(directory.path(), true).unwrap();
    first.create("log-1").unwrap();
    let second = FsStorage::open(directory.path(), true);
    assert!(is_locked(&second), "{second:?}");
    let path = fs::canonicalize(directory.path()).unwrap();
    assert!(second.unwrap_err().to_string().contains(&path.display().to_string()));
    drop(first);
    FsStorage::open(directory.path(), false).unwrap();
}

#[test]
fn an_open_file_keeps_the_store_locked() {
    let _undisturbed = undisturbed();
    let directory = tempdir().unwrap();
    let storage = FsStorage::open(directory.path(), true).unwrap();
    let file = storage.create("log-1").unwrap();
    drop(storage);
    assert!(is_locked(&FsStorage::open(directory.path(), false)));
    drop(file);
    FsStorage::open(directory.path(), false).unwrap();
}

#[cfg(unix)]
#[test]
fn the_same_directory_by_another_name_is_the_same_store() {
    let parent = tempdir().unwrap();
    let first = FsStorage::open(parent.path().join("store"), true).unwrap();
    let alias = parent.path().join("alias");
    std::os::unix::fs::symlink(first.path(), &alias).unwrap();
    assert!(is_locked(&FsStorage::open(&alias, true)));
}

/// Not a test of its own: what the child process of the next test does. Without the variable it does nothing.
#[test]
fn child_process_that_opens_the_store_of_its_parent() {
    let Ok(path) = std::env::var("FOLDB_TEST_LOCKED_STORE") else { return };
    let opened = FsStorage::open(&path, false);
    let expect_locked = std::env::var("FOLDB_TEST_EXPECT_LOCKED").is_ok();
    assert_eq!(is_locked(&opened), expect_locked, "{opened:?}");
    assert!(expect_locked || opened.is_ok(), "{opened:?}");
}

#[test]
fn another_process_is_kept_out_until_the_store_is_dropped() {
    let directory = tempdir().unwrap();
    let child = |expect_locked: bool| {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "child_process_that_opens_the_store_of_its_parent"]);
        command.env("FOLDB_TEST_LOCKED_STORE", directory.path());
        if expect_locked {
            command.env("FOLDB_TEST_EXPECT_LOCKED", "1");
        }
        output(&mut command).unwrap()
    };
    let storage = FsStorage::open(directory.path(), true).unwrap();
    storage.create("log-1").unwrap();
    let output = child(true);
    assert!(output.status.success(), "{output:?}");
    drop(storage);
    let output = child(false);
    assert!(output.status.success(), "{output:?}");
}

#[cfg(unix)]
#[test]
fn a_directory_or_file_without_permission_is_denied_by_name() {
    use std::os::unix::fs::PermissionsExt;
    let parent = tempdir().unwrap();
    let path = parent.path().join("store");
    let file = path.join("log-1");
    FsStorage::open(&path, true).unwrap().create("log-1").unwrap().write_at(0, b"bytes").unwrap();
    let mode = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    mode(&path, 0o555);
    if File::create(path.join("probe")).is_ok() {
        // The superuser may do everything, and then there is nothing to see here.
        drop(parent);
        return again_without_privileges("a_directory_or_file_without_permission_is_denied_by_name");
    }
    let _undisturbed = undisturbed();
    let storage = FsStorage::open(&path, false).unwrap();
    let denied = |error: &StorageError, path: &Path| {
        assert!(matches!(error, StorageError::Denied { .. }), "{error:?}");
        assert!(error.to_string().contains(&path.display().to_string()), "{error}");
    };
    denied(&storage.create("log-2").map(drop).unwrap_err(), &path.join("log-2"));
    denied(&storage.remove("log-1").unwrap_err(), &file);
    mode(&path, 0o755);
    for unusable in [0o000, 0o444] {
        mode(&file, unusable);
        denied(&storage.open("log-1").map(drop).unwrap_err(), &file);
    }
    mode(&file, 0o644);
    assert_eq!(fs::read(&file).unwrap(), b"bytes");
    drop(storage);
    mode(&path, 0o000);
    match FsStorage::open(&path, false).unwrap_err() {
        Error::Storage(error) => denied(&error, &path),
        error => panic!("{error}"),
    }
    mode(&path, 0o755);
    // And a whole store says the same: nothing of it is changed.
    mode(&path.join("lock"), 0o444);
    match FsStorage::open(&path, false).unwrap_err() {
        Error::Storage(error) => denied(&error, &path.join("lock")),
        error => panic!("{error}"),
    }
}

/// Runs a test of this program again as a user who may not do everything.
#[cfg(unix)]
fn again_without_privileges(test: &str) {
    use std::os::unix::{fs::PermissionsExt, fs::chown, process::CommandExt};
    const NOBODY: u32 = 65_534;
    let home = tempdir().unwrap();
    // The program itself may lie where that user may not look.
    let program = home.path().join("program");
    fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    fs::set_permissions(home.path(), fs::Permissions::from_mode(0o755)).unwrap();
    chown(home.path(), Some(NOBODY), Some(NOBODY)).unwrap();
    let mut command = Command::new(&program);
    command.args([test, "--exact"]).env("TMPDIR", home.path()).current_dir(home.path()).uid(NOBODY).gid(NOBODY);
    let output = output(&mut command).unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && said.contains("1 passed"), "{said}{}", String::from_utf8_lossy(&output.stderr));
}

#[cfg(target_os = "linux")]
#[test]
fn a_file_is_reserved_when_it_is_extended() {
    use std::os::linux::fs::MetadataExt;
    let directory = tempdir().unwrap();
    let storage = FsStorage::open(directory.path(), true).unwrap();
    let file = storage.create("log-1").unwrap();
    file.set_len(1 << 20).unwrap();
    let metadata = fs::metadata(directory.path().join("log-1")).unwrap();
    assert_eq!(metadata.len(), 1 << 20);
    // Not every file system reserves; where this one does, the blocks are there before anything was written.
    if metadata.st_blocks() > 0 {
        assert!(metadata.st_blocks() * 512 >= 1 << 20);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn more_space_than_the_disk_has_is_refused_and_nothing_is_changed() {
    let directory = tempdir().unwrap();
    let storage = FsStorage::open(directory.path(), true).unwrap();
    let file = storage.create("log-1").unwrap();
    file.write_at(0, b"kept").unwrap();
    // 8 PiB: more than any disk that runs tests, less than the largest file of common file systems would need to be.
    match file.set_len(8 << 50) {
        // ext4 has no file that long at all and says so in other words.
        Err(StorageError::Full { .. } | StorageError::Io { .. }) => {
            assert_eq!(file.len(), Ok(4));
            file.write_at(4, b", usable").unwrap();
            file.sync().unwrap();
        }
        other => assert!(matches!(other, Ok(())), "{other:?}"),
    }
}
