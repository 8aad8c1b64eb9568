//! The bytes themselves. A change here is a change of the format: then the files of yesterday need a reader too.

use super::*;

/// Bytes written as hexadecimal digits, with spaces where they help.
fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u32> = text.chars().filter_map(|digit| digit.to_digit(16)).collect();
    digits.chunks(2).map(|pair| u8::try_from(pair[0] * 16 + pair[1]).unwrap()).collect()
}

#[test]
fn the_snapshot_of_an_empty_state_has_these_bytes() {
    let expected = [
        // Header: magic, version 1, time, log segment 3, no transaction, 6 sections.
        "666f6c64622d736e6170 01000000 00401e18240a0600 0300000000000000 0000000000000000 06",
        // Pages: none.
        "01 0000000000000000",
        // Catalog: store; generation 1, time, epoch 9, seq 0, time of the last commit 0.
        "02 2a00000000000000 30313233343536373839616263646566 01 8080f9c0c1c48203 09 00 00",
        // Folding goes on in segment 3 at 4096; the next run is 1; the default space: untouched; no runs.
        "01 03 8020 01 00 00 00 00 00 5c0020e4",
        // Leaf index: the default space has no leaf.
        "03 0500000000000000 00 8def02d2",
        // Segment table: empty. Idempotency window: at most 65,536 keys of any age, none forgotten, none there.
        "04 0500000000000000 00 8def02d2",
        "05 0a00000000000000 808004 00 00 00 be92f691",
        // End: store, generation 1, checksums of no pages and of the headers.
        "06 2400000000000000 30313233343536373839616263646566 0100000000000000 00000000 0ea9d8a7 79f76b6a",
        // The file's checksum.
        "20dd6474",
    ];
    assert_eq!(bytes_of(&State::new()), hex(&expected.concat()));
}

#[test]
fn the_snapshot_of_one_key_has_these_bytes() {
    let mut state = State::new();
    (state.seq, state.time_micros) = (7, 1000);
    put(&mut state.default.tree, b"\x10colour", b"\x64blue", 7, &NoPages);
    state.default.last_position = Some(LogPosition { segment: 1, offset: 128 });
    (state.default.last_seq, state.default.commits) = (7, 7);
    let expected = [
        "666f6c64622d736e6170 01000000 00401e18240a0600 0300000000000000 0700000000000000 06",
        // Pages: one of 36 bytes; its layout is rule F-40.
        "01 2400000000000000 0100 0000 1200 0000 0000 00 01 6c6f6310 1200 0700 0500 070000000000 6f7572 64626c7565",
        "02 2e00000000000000 30313233343536373839616263646566 01 8080f9c0c1c48203 09 07 e807 01 03 8020 01",
        // The default space: last touched at seq 7, in the frame at 128 of segment 1, by seven commits.
        "01 01 8001 07 07 00 00 19717eb4",
        // Leaf index: one leaf with one entry and 36 bytes, no lower bound; no more leaves.
        "03 0c00000000000000 01 24 7b76b1ab 00 00 6bb1eef5",
        "04 0500000000000000 00 8def02d2",
        "05 0a00000000000000 808004 00 00 00 be92f691",
        "06 2400000000000000 30313233343536373839616263646566 0100000000000000 7b76b1ab 32173699 33a629b6",
        "952414a8",
    ];
    assert_eq!(bytes_of(&state), hex(&expected.concat()));
}
