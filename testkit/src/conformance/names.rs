//! Cases about names: creating, opening, listing, removing.

use foldb_core::storage::{FILE_NAME_BYTES_MAX, Storage, StorageError, StorageFile};

use super::{
    Case, Outcome,
    check::{Doing, case, created, has_names, holds, named_holds, same},
};

pub(super) fn cases<S: Storage>() -> Vec<Case<S>> {
    vec![
        case("a_fresh_storage_has_no_files", &[|storage| has_names(storage, &[])]),
        case("create_makes_an_empty_file", &[create_makes_an_empty_file]),
        case("create_refuses_a_name_that_exists_and_leaves_the_file_alone", &[create_is_exclusive]),
        case("open_refuses_a_name_that_does_not_exist_and_does_not_make_it", &[open_needs_a_file]),
        case("list_has_every_name_once", &[list_has_every_name_once]),
        case("remove_takes_the_name_away", &[remove_takes_the_name_away]),
        case("remove_refuses_a_name_that_does_not_exist", &[remove_needs_a_file]),
        case("a_removed_name_can_be_created_again_and_is_empty", &[a_removed_name_can_be_created_again]),
        case("a_name_outside_the_rule_is_refused_everywhere", &[a_name_outside_the_rule_is_refused]),
        case("the_longest_name_is_a_name", &[the_longest_name_is_a_name]),
    ]
}

fn create_makes_an_empty_file<S: Storage>(storage: &S) -> Outcome {
    holds(&storage.create("log-1").doing("creating")?, b"")?;
    has_names(storage, &["log-1"])
}

fn create_is_exclusive<S: Storage>(storage: &S) -> Outcome {
    let file = created(storage, "log-1", b"kept")?;
    match storage.create("log-1") {
        Err(StorageError::Exists { .. }) => {}
        Err(other) => return Err(format!("expected Exists, found {other:?}")),
        Ok(_) => return Err("created twice".into()),
    }
    holds(&file, b"kept")?;
    drop(file);
    match storage.create("log-1") {
        Err(StorageError::Exists { .. }) => named_holds(storage, "log-1", b"kept"),
        other => Err(format!("with no handle open: expected Exists, found {:?}", other.err())),
    }
}

fn open_needs_a_file<S: Storage>(storage: &S) -> Outcome {
    match storage.open("log-1") {
        Err(StorageError::Missing { .. }) => has_names(storage, &[]),
        other => Err(format!("expected Missing, found {:?}", other.err())),
    }
}

fn list_has_every_name_once<S: Storage>(storage: &S) -> Outcome {
    let names: Vec<String> = (0..40).map(|number| format!("log-{number}")).collect();
    for name in &names {
        let file = storage.create(name).doing("creating")?;
        // A name belongs to the list with and without an open handle, and is there once with two of them.
        let _second = storage.open(name).doing("opening")?;
        drop(file);
    }
    has_names(storage, &names.iter().map(String::as_str).collect::<Vec<_>>())
}

fn remove_takes_the_name_away<S: Storage>(storage: &S) -> Outcome {
    drop(created(storage, "log-1", b"going")?);
    drop(created(storage, "log-2", b"staying")?);
    storage.remove("log-1").doing("removing")?;
    has_names(storage, &["log-2"])?;
    named_holds(storage, "log-2", b"staying")?;
    match storage.open("log-1") {
        Err(StorageError::Missing { .. }) => Ok(()),
        other => Err(format!("opening a removed file: expected Missing, found {:?}", other.err())),
    }
}

fn remove_needs_a_file<S: Storage>(storage: &S) -> Outcome {
    drop(storage.create("log-1").doing("creating")?);
    storage.remove("log-1").doing("removing")?;
    for name in ["log-1", "log-2"] {
        match storage.remove(name) {
            Err(StorageError::Missing { .. }) => {}
            other => return Err(format!("removing {name}: expected Missing, found {other:?}")),
        }
    }
    Ok(())
}

fn a_removed_name_can_be_created_again<S: Storage>(storage: &S) -> Outcome {
    for round in 0..3 {
        let file = storage.create("log-1").doing("creating")?;
        same("length of the new file", file.len().doing("asking for the length")?, 0)?;
        file.write_at(0, b"bytes of an earlier life").doing("writing")?;
        file.sync().doing("syncing")?;
        drop(file);
        storage.remove("log-1").doing("removing").map_err(|why| format!("round {round}: {why}"))?;
    }
    holds(&storage.create("log-1").doing("creating")?, b"")
}

fn a_name_outside_the_rule_is_refused<S: Storage>(storage: &S) -> Outcome {
    let long = "x".repeat(FILE_NAME_BYTES_MAX + 1);
    let names = [
        "", ".", "..", "../log-1", "/log-1", "log/1", "log\\1", "log-1\0", "log.1", "Log-1", "log 1", "1-log", "-log",
        "lög", "lock", "nul", "con", "com1", "lpt9", &long,
    ];
    for name in names {
        let results = [
            ("create", storage.create(name).err()),
            ("open", storage.open(name).err()),
            ("remove", storage.remove(name).err()),
        ];
        for (what, error) in results {
            if !matches!(error, Some(StorageError::Name { .. })) {
                return Err(format!("{what} {name:?}: expected Name, found {error:?}"));
            }
        }
    }
    has_names(storage, &[])
}

fn the_longest_name_is_a_name<S: Storage>(storage: &S) -> Outcome {
    let name = "x".repeat(FILE_NAME_BYTES_MAX);
    drop(created(storage, &name, b"long")?);
    has_names(storage, &[&name])?;
    named_holds(storage, &name, b"long")
}
