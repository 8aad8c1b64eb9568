//! Cases about reading.

use foldb_core::storage::{Storage, StorageFile};

use super::{
    Case, Outcome,
    check::{Doing, case, created, pattern, read, same_bytes, wide},
};

pub(super) fn cases<S: Storage>() -> Vec<Case<S>> {
    vec![
        case("a_read_inside_the_file_fills_the_buffer", &[a_read_inside_fills_the_buffer]),
        case("a_read_across_the_end_gives_what_there_is", &[a_read_across_the_end]),
        case("a_read_past_the_end_gives_nothing", &[a_read_past_the_end]),
        case("a_read_into_an_empty_buffer_gives_nothing", &[an_empty_buffer]),
        case("a_read_changes_nothing_in_the_file", &[a_read_changes_nothing]),
    ]
}

fn a_read_inside_fills_the_buffer<S: Storage>(storage: &S) -> Outcome {
    let bytes = pattern(100);
    let file = created(storage, "log-1", &bytes)?;
    for start in 0..=bytes.len() {
        for end in start..=bytes.len() {
            let found = read(&file, wide(start), end - start)?;
            same_bytes(&format!("bytes {start}..{end}"), &found, &bytes[start..end])?;
        }
    }
    Ok(())
}

fn a_read_across_the_end<S: Storage>(storage: &S) -> Outcome {
    let bytes = pattern(100);
    let file = created(storage, "log-1", &bytes)?;
    for start in [0, 1, 50, 99, 100] {
        for count in [101, 4096, 70_000] {
            let found = read(&file, wide(start), count)?;
            same_bytes(&format!("{count} bytes from {start}"), &found, &bytes[start..])?;
        }
    }
    Ok(())
}

fn a_read_past_the_end<S: Storage>(storage: &S) -> Outcome {
    let empty = storage.create("log-1").doing("creating")?;
    let short = created(storage, "log-2", b"short")?;
    same_bytes("an empty file", &read(&empty, 0, 10)?, b"")?;
    // The last ones are offsets that some systems cannot even name. The file ends before them all the same.
    for offset in [5, 6, 4096, u64::from(u32::MAX) + 1, (1 << 53) - 1, 1 << 53, i64::MAX.unsigned_abs(), u64::MAX] {
        same_bytes(&format!("a file of 5 bytes from {offset}"), &read(&short, offset, 10)?, b"")?;
    }
    Ok(())
}

fn an_empty_buffer<S: Storage>(storage: &S) -> Outcome {
    let file = created(storage, "log-1", b"bytes")?;
    for offset in [0, 3, 5, 500] {
        same_bytes("an empty buffer", &read(&file, offset, 0)?, b"")?;
    }
    Ok(())
}

fn a_read_changes_nothing<S: Storage>(storage: &S) -> Outcome {
    let file = created(storage, "log-1", b"bytes")?;
    // A backend that moves a cursor to read would write in the wrong place after this.
    read(&file, 3, 2)?;
    read(&file, 1000, 10)?;
    file.write_at(1, b"Y").doing("writing")?;
    super::check::holds(&file, b"bYtes")
}
