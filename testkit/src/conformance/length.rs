//! Cases about the length of a file.

use foldb_core::storage::{Storage, StorageFile};

use super::{
    Case, Outcome,
    check::{Doing, case, created, holds, pattern, wide},
};

pub(super) fn cases<S: Storage>() -> Vec<Case<S>> {
    vec![
        case("growing_appends_zeros", &[growing_appends_zeros]),
        case("shrinking_cuts_the_end_off", &[shrinking_cuts_the_end_off]),
        case("bytes_that_were_cut_off_read_as_zeros_after_growing", &[cut_bytes_do_not_come_back]),
        case("setting_the_length_that_it_has_changes_nothing", &[the_same_length]),
        case("a_file_can_be_emptied_and_used_again", &[a_file_can_be_emptied]),
        case("a_preallocated_file_is_written_in_place", &[a_preallocated_file]),
    ]
}

fn growing_appends_zeros<S: Storage>(storage: &S) -> Outcome {
    let file = created(storage, "log-1", b"ab")?;
    let mut expected = b"ab".to_vec();
    for len in [3, 512, 4096, 4097, 100_000] {
        file.set_len(wide(len)).doing("growing")?;
        expected.resize(len, 0);
        holds(&file, &expected).map_err(|why| format!("grown to {len}: {why}"))?;
    }
    Ok(())
}

fn shrinking_cuts_the_end_off<S: Storage>(storage: &S) -> Outcome {
    let bytes = pattern(100_000);
    let file = created(storage, "log-1", &bytes)?;
    for len in [99_999, 65_536, 4097, 4096, 1, 0] {
        file.set_len(wide(len)).doing("cutting")?;
        holds(&file, &bytes[..len]).map_err(|why| format!("cut to {len}: {why}"))?;
    }
    Ok(())
}

fn cut_bytes_do_not_come_back<S: Storage>(storage: &S) -> Outcome {
    for (number, len) in [0, 1, 4095, 4096, 70_000].into_iter().enumerate() {
        let mut expected = pattern(100_000);
        let file = created(storage, &format!("log-{number}"), &expected)?;
        file.set_len(wide(len)).doing("cutting")?;
        file.set_len(100_000).doing("growing")?;
        expected[len..].fill(0);
        holds(&file, &expected).map_err(|why| format!("cut to {len} and grown: {why}"))?;
        // The same when a write does the growing.
        file.write_at(0, &pattern(100_000)).doing("writing")?;
        file.set_len(wide(len)).doing("cutting")?;
        file.write_at(99_999, b"!").doing("writing beyond the end")?;
        let mut expected = pattern(100_000);
        expected[len..].fill(0);
        expected[99_999] = b'!';
        holds(&file, &expected).map_err(|why| format!("cut to {len} and written beyond: {why}"))?;
    }
    Ok(())
}

fn the_same_length<S: Storage>(storage: &S) -> Outcome {
    let file = created(storage, "log-1", b"abc")?;
    file.set_len(3).doing("setting the same length")?;
    holds(&file, b"abc")?;
    let empty = storage.create("log-2").doing("creating")?;
    empty.set_len(0).doing("setting the same length of an empty file")?;
    holds(&empty, b"")
}

fn a_file_can_be_emptied<S: Storage>(storage: &S) -> Outcome {
    let file = created(storage, "log-1", b"abc")?;
    file.set_len(0).doing("emptying")?;
    holds(&file, b"")?;
    file.write_at(2, b"d").doing("writing")?;
    holds(&file, b"\0\0d")
}

fn a_preallocated_file<S: Storage>(storage: &S) -> Outcome {
    let file = storage.create("log-1").doing("creating")?;
    let mut expected = vec![0; 1 << 20];
    file.set_len(wide(expected.len())).doing("preallocating")?;
    for at in [0, 128, 4090, 65_530, (1 << 20) - 8] {
        file.write_at(wide(at), b"12345678").doing("writing")?;
        expected[at..at + 8].copy_from_slice(b"12345678");
    }
    file.sync().doing("syncing")?;
    holds(&file, &expected)
}
