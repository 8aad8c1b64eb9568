//! What the conformance suite cannot see from outside: sparseness, sharing, copying out and in.

use super::*;

#[test]
fn a_preallocated_file_costs_nothing_until_it_is_written() {
    let file = MemFile::default();
    file.set_len(1 << 50).unwrap();
    file.write_at((1 << 49) + 7, b"here").unwrap();
    assert_eq!(file.bytes.read(|content| content.chunks.len()), 1);
    let mut buffer = [1; 6];
    assert_eq!(file.read_at((1 << 49) + 6, &mut buffer), Ok(6));
    assert_eq!(&buffer, b"\0here\0");
}

#[test]
fn bytes_cut_off_do_not_come_back_at_any_place_in_a_chunk() {
    for cut in [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES] {
        let file = MemFile::default();
        file.write_at(0, &vec![7; 3 * CHUNK_BYTES]).unwrap();
        file.set_len(wide(cut)).unwrap();
        file.set_len(wide(3 * CHUNK_BYTES)).unwrap();
        let expected: Vec<u8> = (0..3 * CHUNK_BYTES).map(|at| if at < cut { 7 } else { 0 }).collect();
        assert_eq!(file.to_vec(), expected, "cut at {cut}");
    }
}

#[test]
fn files_are_the_same_after_copying_out_and_in() {
    let storage = MemStorage::new();
    storage.create("log-1").unwrap().write_at(wide(CHUNK_BYTES) - 3, b"across a chunk").unwrap();
    storage.create("anchor-a").unwrap();
    let copy = MemStorage::from_files(storage.files());
    assert_eq!(copy.files(), storage.files());
    copy.open("log-1").unwrap().set_len(0).unwrap();
    assert_ne!(copy.files(), storage.files());
}

#[test]
fn a_clone_is_a_handle_of_the_same_files() {
    let storage = MemStorage::new();
    let other = storage.clone();
    let file = storage.create("log-1").unwrap();
    other.open("log-1").unwrap().write_at(0, b"x").unwrap();
    assert_eq!(file.len(), Ok(1));
    other.remove("log-1").unwrap();
    assert_eq!(storage.list(), Ok(Vec::new()));
}

#[test]
fn an_offset_past_the_end_of_all_numbers_is_refused() {
    let file = MemFile::default();
    assert!(matches!(file.write_at(u64::MAX, b"x"), Err(StorageError::Full { .. })));
    assert_eq!(file.read_at(u64::MAX, &mut [0]), Ok(0));
}
