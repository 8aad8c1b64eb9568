//! What a write set holds beside what will be logged.

use super::*;

/// A mebibyte that is overwritten a thousand times was a gibibyte of memory and the end of the transaction.
#[test]
fn a_value_that_is_overwritten_again_and_again_is_held_about_twice_at_most() {
    let mut writes = WriteSet::default();
    for round in 0..300_usize {
        // Longer and shorter ones, so that some take the place of the one before and some do not.
        let len = (1 << 16) + (round * 7919) % 5000;
        put(&mut writes, b"key", &vec![7; len]);
        put(&mut writes, b"another", &vec![8; len / 2]);
        assert!(writes.arena.len() <= 5 * len, "round {round}: {} bytes", writes.arena.len());
    }
    assert!(writes.encoded_bytes < 1 << 18, "what was replaced does not count");
    assert_eq!(logged(&writes).len(), 2);
}

#[test]
fn a_savepoint_holds_one_old_body_of_each_write_and_those_that_nobody_holds_none() {
    let mut writes = WriteSet::default();
    let body = vec![7; 1 << 16];
    put(&mut writes, b"key", &body);
    let outer = writes.savepoint();
    for _ in 0..100 {
        // Let go of at once, while the outer one stays.
        let _inner = writes.savepoint();
        put(&mut writes, b"key", &body);
        put(&mut writes, b"key", &body);
        assert!(writes.arena.len() <= 8 * body.len(), "{} bytes", writes.arena.len());
    }
    writes.rollback_to(&outer).unwrap();
    assert_eq!(logged(&writes).len(), 1);
    drop(outer);
    for _ in 0..100 {
        put(&mut writes, b"key", &body);
        assert!(writes.arena.len() <= 8 * body.len(), "{} bytes", writes.arena.len());
    }
}

#[test]
fn streams_that_are_appended_to_and_deleted_in_turn_leave_no_more_than_their_names() {
    let mut writes = WriteSet::default();
    for _ in 0..20_000 {
        writes.append(DEFAULT_SPACE, b"log", &events(0..3)).unwrap();
        writes.delete_stream(DEFAULT_SPACE, b"log").unwrap();
        assert!(writes.writes.len() < 2100 && writes.arena.len() < 1 << 18);
    }
    assert_eq!(logged(&writes).len(), 1);
}
