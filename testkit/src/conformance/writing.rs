//! Cases about writing.

use foldb_core::storage::{Storage, StorageFile};

use super::{
    Capability, Case, Outcome,
    check::{Doing, case, created, holds, named_holds, pattern, read, same, same_bytes, wide},
};

pub(super) fn cases<S: Storage>() -> Vec<Case<S>> {
    vec![
        case("a_write_changes_its_bytes_and_no_others", &[a_write_changes_only_its_bytes]),
        case("a_write_across_the_end_grows_the_file", &[a_write_across_the_end]),
        case("a_write_beyond_the_end_leaves_zeros_between", &[a_write_beyond_the_end]),
        case("a_write_never_shortens_the_file", &[a_write_never_shortens]),
        case("an_empty_write_changes_nothing", &[an_empty_write]),
        case("a_huge_buffer_is_written_and_read_whole", &[a_huge_buffer]),
        case("bytes_written_one_by_one_are_all_there", &[tiny_buffers]),
        case("several_handles_of_a_file_see_the_same_bytes", &[several_handles]),
        case("files_do_not_share_bytes", &[files_are_separate]),
        Case {
            needs: Some(Capability::LargeOffsets),
            ..case("offsets_above_4_gib_are_not_cut_to_32_bits", &[offsets_above_4_gib])
        },
    ]
}

fn a_write_changes_only_its_bytes<S: Storage>(storage: &S) -> Outcome {
    let mut expected = pattern(9000);
    let file = created(storage, "log-1", &expected)?;
    for (start, count) in [(0, 1), (8999, 1), (4095, 2), (100, 5000), (0, 9000)] {
        let bytes = pattern(count);
        file.write_at(wide(start), &bytes).doing("writing")?;
        expected[start..start + count].copy_from_slice(&bytes);
        holds(&file, &expected).map_err(|why| format!("{count} bytes at {start}: {why}"))?;
    }
    Ok(())
}

fn a_write_across_the_end<S: Storage>(storage: &S) -> Outcome {
    let file = created(storage, "log-1", b"abcdef")?;
    file.write_at(4, b"EFGH").doing("writing")?;
    holds(&file, b"abcdEFGH")?;
    file.write_at(8, b"I").doing("writing at the end")?;
    holds(&file, b"abcdEFGHI")
}

fn a_write_beyond_the_end<S: Storage>(storage: &S) -> Outcome {
    for (number, gap) in [1, 511, 4096, 70_001].into_iter().enumerate() {
        let file = created(storage, &format!("log-{number}"), b"ab")?;
        file.write_at(wide(2 + gap), b"cd").doing("writing")?;
        let expected = [b"ab".as_slice(), &vec![0; gap], b"cd"].concat();
        holds(&file, &expected).map_err(|why| format!("gap of {gap}: {why}"))?;
    }
    Ok(())
}

fn a_write_never_shortens<S: Storage>(storage: &S) -> Outcome {
    let file = created(storage, "log-1", b"abcdef")?;
    file.write_at(0, b"X").doing("writing")?;
    holds(&file, b"Xbcdef")
}

fn an_empty_write<S: Storage>(storage: &S) -> Outcome {
    let file = created(storage, "log-1", b"abcdef")?;
    for offset in [0, 3, 6, 1000] {
        file.write_at(offset, b"").doing("writing nothing")?;
        holds(&file, b"abcdef").map_err(|why| format!("at {offset}: {why}"))?;
    }
    Ok(())
}

fn a_huge_buffer<S: Storage>(storage: &S) -> Outcome {
    let bytes = pattern((5 << 20) + 3);
    let file = created(storage, "log-1", &bytes)?;
    holds(&file, &bytes)?;
    // In odd pieces, so that no piece begins or ends where a block does.
    let mut at = 0;
    while at < bytes.len() {
        let count = (bytes.len() - at).min(333_331);
        same_bytes(&format!("piece at {at}"), &read(&file, wide(at), count)?, &bytes[at..at + count])?;
        at += count;
    }
    Ok(())
}

fn tiny_buffers<S: Storage>(storage: &S) -> Outcome {
    let bytes = pattern(300);
    let file = storage.create("log-1").doing("creating")?;
    for (at, byte) in bytes.iter().enumerate() {
        file.write_at(wide(at), &[*byte]).doing("writing a byte")?;
    }
    for (at, byte) in bytes.iter().enumerate() {
        same(&format!("byte {at}"), read(&file, wide(at), 1)?, vec![*byte])?;
    }
    holds(&file, &bytes)
}

fn several_handles<S: Storage>(storage: &S) -> Outcome {
    let first = created(storage, "log-1", b"abcdef")?;
    let second = storage.open("log-1").doing("opening a second handle")?;
    holds(&second, b"abcdef")?;
    second.write_at(1, b"BC").doing("writing")?;
    holds(&first, b"aBCdef")?;
    first.set_len(2).doing("cutting")?;
    holds(&second, b"aB")?;
    second.write_at(3, b"D").doing("writing")?;
    drop(second);
    holds(&first, b"aB\0D")?;
    named_holds(storage, "log-1", b"aB\0D")
}

fn files_are_separate<S: Storage>(storage: &S) -> Outcome {
    let first = created(storage, "log-1", b"first")?;
    let second = created(storage, "log-2", b"second")?;
    first.write_at(0, b"FIRST and longer").doing("writing")?;
    second.set_len(3).doing("cutting")?;
    holds(&first, b"FIRST and longer")?;
    holds(&second, b"sec")
}

fn offsets_above_4_gib<S: Storage>(storage: &S) -> Outcome {
    let edge = u64::from(u32::MAX) + 1;
    let file = created(storage, "log-1", b"at zero")?;
    // No set_len here: a backend may reserve the space, and this is about numbers, not about room.
    file.write_at(edge - 2, b"across").doing("writing across 4 GiB")?;
    file.write_at(edge + 100, b"above").doing("writing above 4 GiB")?;
    same("length", file.len().doing("asking for the length")?, edge + 105)?;
    same_bytes("bytes at zero", &read(&file, 0, 8)?, b"at zero\0")?;
    same_bytes("bytes across 4 GiB", &read(&file, edge - 3, 8)?, b"\0across\0")?;
    same_bytes("bytes above 4 GiB", &read(&file, edge + 99, 10)?, b"\0above")?;
    file.set_len(edge + 101).doing("cutting above 4 GiB")?;
    same_bytes("bytes above 4 GiB after the cut", &read(&file, edge + 99, 10)?, b"\0a")
}
