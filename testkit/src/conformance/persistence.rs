//! Cases about what is there when the storage is opened again. Power is not cut here: that is for the crash disk and
//! for machines. But a backend that forgets to write a name or a length down is found.

use foldb_core::storage::{Storage, StorageFile};

use super::{
    Case, Outcome,
    check::{Doing, case, created, has_names, named_holds, pattern},
};

pub(super) fn cases<S: Storage>() -> Vec<Case<S>> {
    vec![
        case("synced_bytes_lengths_and_names_are_there_after_reopening", &[write_some_files, some_files_are_there]),
        case(
            "an_empty_file_that_was_synced_is_there_after_reopening",
            &[
                |storage| storage.create("log-1").doing("creating")?.sync().doing("syncing"),
                |storage| named_holds(storage, "log-1", b""),
            ],
        ),
        case("what_was_synced_last_is_there_after_reopening", &[overwrite_between_syncs, the_last_bytes_are_there]),
        case(
            "a_sync_covers_what_other_handles_of_the_file_wrote",
            &[sync_through_another_handle, |storage| named_holds(storage, "log-1", b"by the second")],
        ),
        case(
            "a_length_without_bytes_is_there_after_reopening",
            &[
                |storage| {
                    let file = created(storage, "log-1", b"cut here, not there")?;
                    file.set_len(8).doing("cutting")?;
                    file.sync().doing("syncing")?;
                    let file = storage.create("log-2").doing("creating")?;
                    file.set_len(5000).doing("growing")?;
                    file.sync().doing("syncing")
                },
                |storage| {
                    named_holds(storage, "log-1", b"cut here")?;
                    named_holds(storage, "log-2", &[0; 5000])
                },
            ],
        ),
        case(
            "a_removed_file_is_gone_after_closing_and_reopening",
            &[
                |storage| {
                    for name in ["log-1", "log-2"] {
                        created(storage, name, b"bytes")?.sync().doing("syncing")?;
                    }
                    storage.remove("log-1").doing("removing")
                },
                |storage| has_names(storage, &["log-2"]),
            ],
        ),
        case(
            "a_file_created_under_a_removed_name_is_the_new_one_after_reopening",
            &[
                |storage| {
                    created(storage, "log-1", b"the old and longer file")?.sync().doing("syncing")?;
                    storage.remove("log-1").doing("removing")?;
                    created(storage, "log-1", b"the new")?.sync().doing("syncing")
                },
                |storage| named_holds(storage, "log-1", b"the new"),
            ],
        ),
        case(
            "syncing_what_is_synced_already_works",
            &[|storage| {
                let file = created(storage, "log-1", b"bytes")?;
                (0..3).try_for_each(|_| file.sync().doing("syncing again"))
            }],
        ),
        case(
            "work_goes_on_where_it_stopped_after_reopening",
            &[
                |storage| created(storage, "log-1", b"0")?.sync().doing("syncing"),
                |storage| append(storage, b"1"),
                |storage| append(storage, b"2"),
                |storage| named_holds(storage, "log-1", b"012"),
            ],
        ),
    ]
}

const SIZES: [(&str, usize); 5] =
    [("anchor-a", 1), ("anchor-b", 128), ("log-1", 4096), ("log-2", 4097), ("snap-1", 300_000)];

fn write_some_files<S: Storage>(storage: &S) -> Outcome {
    for (name, size) in SIZES {
        created(storage, name, &pattern(size))?.sync().doing("syncing")?;
    }
    Ok(())
}

fn some_files_are_there<S: Storage>(storage: &S) -> Outcome {
    has_names(storage, &SIZES.map(|(name, _)| name))?;
    SIZES.into_iter().try_for_each(|(name, size)| named_holds(storage, name, &pattern(size)))
}

fn overwrite_between_syncs<S: Storage>(storage: &S) -> Outcome {
    let file = created(storage, "log-1", &pattern(10_000))?;
    file.sync().doing("syncing")?;
    file.write_at(4000, &[7; 200]).doing("overwriting")?;
    file.sync().doing("syncing")?;
    file.set_len(9000).doing("cutting")?;
    file.write_at(9500, b"end").doing("writing beyond the end")?;
    file.sync().doing("syncing")
}

fn the_last_bytes_are_there<S: Storage>(storage: &S) -> Outcome {
    let mut expected = pattern(10_000);
    expected[4000..4200].fill(7);
    expected.truncate(9000);
    expected.resize(9500, 0);
    expected.extend(b"end");
    named_holds(storage, "log-1", &expected)
}

fn sync_through_another_handle<S: Storage>(storage: &S) -> Outcome {
    let first = storage.create("log-1").doing("creating")?;
    let second = storage.open("log-1").doing("opening a second handle")?;
    second.write_at(0, b"by the second").doing("writing")?;
    first.sync().doing("syncing")
}

fn append<S: Storage>(storage: &S, bytes: &[u8]) -> Outcome {
    let file = storage.open("log-1").doing("opening")?;
    let end = file.len().doing("asking for the length")?;
    file.write_at(end, bytes).doing("appending")?;
    file.sync().doing("syncing")
}
