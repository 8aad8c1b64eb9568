//! Savepoints: whose they are, and what they cost.

use super::{super::Savepoint, *};
use crate::{Error, RunId, limits::TRANSACTION_BYTES_MAX};

fn is_refused(writes: &mut WriteSet, savepoint: &Savepoint) -> bool {
    let before = logged(writes);
    let refused = matches!(writes.rollback_to(savepoint), Err(Error::Invalid { what: "savepoint", .. }));
    assert_eq!(logged(writes), before, "nothing is changed");
    refused
}

#[test]
fn a_savepoint_is_good_for_the_writes_that_gave_it_out_and_no_others() {
    let (mut own, mut other) = (WriteSet::default(), WriteSet::default());
    put(&mut own, b"a", b"1");
    let of_own = own.savepoint();
    for key in [b"a", b"b"] {
        put(&mut other, key, b"2");
        let of_other = other.savepoint();
        assert!(is_refused(&mut own, &of_other));
        assert!(is_refused(&mut other, &of_own));
        assert!(is_refused(&mut WriteSet::default(), &of_other));
        other.rollback_to(&of_other).unwrap();
    }
    put(&mut own, b"b", b"1");
    own.rollback_to(&of_own.clone()).unwrap();
    assert_eq!(own.len(), 1);
}

#[test]
fn one_that_was_taken_behind_another_ends_when_that_is_gone_back_to() {
    let mut writes = WriteSet::default();
    let outer = writes.savepoint();
    put(&mut writes, b"a", b"1");
    let inner = writes.savepoint();
    put(&mut writes, b"a", b"2");
    writes.rollback_to(&inner).unwrap();
    writes.rollback_to(&outer).unwrap();
    assert!(is_refused(&mut writes, &inner));
    put(&mut writes, b"b", b"3");
    // The next one has the number that the inner one had.
    let next = writes.savepoint();
    put(&mut writes, b"b", b"4");
    assert!(is_refused(&mut writes, &inner));
    writes.rollback_to(&next).unwrap();
    assert_eq!(logged(&writes).last().unwrap().3, b"3");
    writes.rollback_to(&outer).unwrap();
    assert!(writes.is_empty());
}

#[test]
fn a_run_that_was_begun_since_is_not_begun_any_more_and_its_number_is_not_given_again() {
    let mut writes = WriteSet::default();
    let id = |number: u8| RunId::from_bytes([number; 16]);
    // So many that they are looked up in an index, and so few that they are not.
    for before in [1, 20] {
        for number in 0..before {
            writes.begin_run(id(number), b"").unwrap();
        }
        let savepoint = writes.savepoint();
        let lost: Vec<_> = (100..112).map(|number| writes.begin_run(id(number), b"").unwrap()).collect();
        writes.rollback_to(&savepoint).unwrap();
        assert!(lost.iter().all(|lost| writes.new_run(*lost).is_none()));
        assert!((100..112).all(|number| writes.new_run_number(id(number)).is_none()));
        for number in 0..before {
            let space = writes.new_run_number(id(number)).unwrap();
            assert_eq!(writes.new_run(space), Some(id(number)));
        }
        let again = writes.begin_run(id(100), b"").unwrap();
        assert!(!lost.contains(&again));
        assert_eq!(writes.new_run_number(id(100)), Some(again));
        writes = WriteSet::default();
    }
}

#[test]
fn a_number_of_a_run_that_one_transaction_begins_is_none_of_another() {
    let (mut left, mut right) = (WriteSet::default(), WriteSet::default());
    let id = RunId::from_bytes([1; 16]);
    let (of_left, of_right) = (left.begin_run(id, b"").unwrap(), right.begin_run(id, b"").unwrap());
    assert_eq!((left.new_run(of_right), right.new_run(of_left)), (None, None));
}

#[test]
fn a_transaction_that_is_too_large_refuses_what_is_too_much_and_can_still_go_back() {
    let mut writes = WriteSet::default();
    put(&mut writes, b"small", b"1");
    let savepoint = writes.savepoint();
    // As if a gibibyte, but for these bytes, was written already.
    writes.encoded_bytes = TRANSACTION_BYTES_MAX - 100;
    let refused = writes.write(DEFAULT_SPACE, OpCode::KvPut, b"large", &[0; 100]);
    assert!(matches!(refused, Err(Error::Limit { what: "transaction bytes", .. })), "{refused:?}");
    let refused = writes.append(DEFAULT_SPACE, b"log", &events(0..40));
    assert!(matches!(refused, Err(Error::Limit { what: "transaction bytes", .. })), "{refused:?}");
    put(&mut writes, b"fits", b"1");
    assert_eq!(logged(&writes).len(), 2);
    writes.rollback_to(&savepoint).unwrap();
    assert_eq!(logged(&writes).len(), 1);
}
