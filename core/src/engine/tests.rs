//! The state machine, driven by hand: what it answers where a driver asks out of turn, and where bytes are at each step.

use alloc::{collections::BTreeMap, string::ToString, sync::Arc, vec, vec::Vec};
use core::panic::AssertUnwindSafe;

use super::{Engine, LogWriter, MEMORY_SEGMENT, Outcome, Plan, Prepared, SpaceNeeded};
use crate::{
    Error, RunId, StoreId,
    limits::PART_BYTES_TARGET,
    log::{OpCode, Reasons, RecordHeader, SEGMENT_HEADER_BYTES, SegmentHeader},
    state::{DEFAULT_SPACE, RunBegun, State, encode_body},
    transaction::{PROVISIONAL, ReadSet, WriteSet},
    tree::NoPages,
    value::Value,
};

fn engine_of(state: State, in_memory: bool) -> Engine {
    let log = LogWriter::new(StoreId::from_bytes(*b"a store's number"), 1, 4096, 1, None);
    Engine::new(state, log, in_memory, PART_BYTES_TARGET)
}

fn engine(in_memory: bool) -> Engine {
    engine_of(State::new(), in_memory)
}

fn put(key: &[u8], len: usize) -> WriteSet {
    let mut writes = WriteSet::default();
    // A byte string of CBOR with its length in two bytes.
    let bytes = u16::try_from(len).unwrap().to_be_bytes();
    let body = [&[0x59, bytes[0], bytes[1]], &*vec![7; len]].concat();
    writes.write(DEFAULT_SPACE, OpCode::KvPut, key, &body).unwrap();
    writes
}

fn begin_run(writes: &mut WriteSet) {
    let labels = BTreeMap::new();
    let began = RunBegun { name: "run".into(), parent: None, labels, metadata: Value::Null, epoch: 1 };
    writes.begin_run(RunId::from_bytes([1; 16]), &encode_body(&began).unwrap()).unwrap();
}

fn commit(engine: &mut Engine, writes: &WriteSet, deferred: bool) -> crate::Result<Outcome> {
    let mut transaction = Prepared { base: None, reads: &ReadSet::default(), writes, strict: deferred, deferred };
    engine.commit(&mut transaction, 5, &NoPages)
}

/// An engine with a segment of so many bytes.
fn begun(len: u64) -> Engine {
    let mut engine = engine(false);
    let Outcome::Needs(SpaceNeeded::Rotate { header, .. }) = commit(&mut engine, &put(b"k", 1), false).unwrap() else {
        panic!("the first commit needs a segment")
    };
    engine.rotated(&header, len);
    engine
}

#[test]
fn without_a_segment_nothing_is_marked_carried_or_handed_out() {
    let mut engine = engine(false);
    assert_eq!(engine.mark(), Ok(None));
    engine.mark_carried().unwrap();
    engine.extended(1 << 20);
    assert!(engine.take_pending().is_none());
    assert_eq!(engine.read_log(1, SEGMENT_HEADER_BYTES, 1), None);
    assert_eq!((engine.pending_bytes(), engine.log_end(), engine.active_segment()), (0, None, None));
    assert!(matches!(engine.carry(&[], &NoPages), Err(Error::Unsupported { .. })));
    assert!(matches!(engine.first_segment_needed(), Some(SpaceNeeded::Rotate { .. })));
}

#[test]
fn a_mark_asks_for_room_as_a_commit_does() {
    let mut engine = begun(SEGMENT_HEADER_BYTES + 8);
    let needed = engine.mark().unwrap();
    let Some(SpaceNeeded::Extend { segment: 1, write_end, len }) = needed else { panic!("{needed:?}") };
    assert!(write_end <= len && write_end > SEGMENT_HEADER_BYTES + 8);
    engine.extended(len);
    assert_eq!(engine.mark(), Ok(None));
    assert!(engine.is_marked() && engine.pending_bytes() > 0);
}

#[test]
fn bytes_are_read_from_the_buffer_then_from_the_write_and_then_from_the_storage() {
    let mut engine = begun(4096);
    commit(&mut engine, &put(b"first", 100), false).unwrap();
    let first = engine.pending_bytes();
    let read = |engine: &Engine, offset, len| engine.read_log(1, SEGMENT_HEADER_BYTES + offset, len);
    let bytes = read(&engine, 0, first).unwrap();
    let batch = engine.take_pending().unwrap();
    commit(&mut engine, &put(b"second", 100), false).unwrap();
    // The first is being written, the second waits behind it; nothing straddles the two.
    assert!(engine.take_pending().is_none(), "one batch at a time");
    assert_eq!(read(&engine, 0, first), Some(bytes.clone()));
    assert_eq!(read(&engine, 16, first - 16), Some(bytes[16..].to_vec()));
    assert!(read(&engine, first as u64, engine.pending_bytes()).is_some());
    assert_eq!(read(&engine, 0, first + 1), None);
    assert_eq!(engine.read_log(2, SEGMENT_HEADER_BYTES, 1), None, "another segment");
    assert_eq!(engine.read_log(1, 0, 1), None, "the header was never here");
    assert_eq!(read(&engine, first as u64, 4096), None, "more than there is");
    // A reader still holds the batch: its buffer is not used again.
    let held = Arc::clone(&batch.bytes);
    engine.wrote(batch);
    assert_eq!((read(&engine, 0, first), &*held), (None, &bytes));
    let second = engine.take_pending().unwrap();
    assert_eq!((second.offset, second.seq), (SEGMENT_HEADER_BYTES + first as u64, 2));
    engine.wrote(second);
    assert_eq!(*held, bytes);
}

#[test]
fn in_memory_nothing_is_handed_out_and_only_what_is_kept_can_be_read() {
    let mut engine = engine(true);
    let _ = commit(&mut engine, &put(b"small", 1), false).unwrap();
    assert_eq!(engine.read_log(MEMORY_SEGMENT, SEGMENT_HEADER_BYTES, 1), None, "it lives in the tree");
    let _ = commit(&mut engine, &put(b"large", 60_000), false).unwrap();
    assert!(engine.read_log(MEMORY_SEGMENT, SEGMENT_HEADER_BYTES, 60_000).is_some());
    assert_eq!(engine.read_log(MEMORY_SEGMENT, SEGMENT_HEADER_BYTES, 1 << 20), None);
    assert_eq!(engine.read_log(MEMORY_SEGMENT, 1 << 40, 1), None);
    assert_eq!(engine.read_log(MEMORY_SEGMENT, 0, 1), None);
    assert_eq!((engine.mark(), engine.first_segment_needed()), (Ok(None), None));
    assert!(engine.take_pending().is_none());
    assert_eq!(engine.durable_seq(), 2);
}

#[test]
fn a_deferred_transaction_is_applied_once() {
    let mut engine = begun(4096);
    assert_eq!(commit(&mut engine, &put(b"k", 1), true).unwrap(), Outcome::Deferred { seq: 1 });
    assert_eq!((engine.working_state().seq(), engine.logged_seq()), (0, 1));
    let batch = engine.take_pending().unwrap();
    assert_eq!(engine.apply_deferred(&batch, &NoPages), Ok(vec![]));
    assert_eq!((engine.working_state().seq(), engine.strict_seq()), (1, 1));
    assert_eq!(engine.apply_deferred(&batch, &NoPages), Ok(vec![]), "there is none any more");
    assert_eq!(engine.working_state().seq(), 1);
}

#[test]
fn runs_end_before_their_numbers_are_those_of_runs_that_a_transaction_begins() {
    let mut state = State::new();
    state.next_number = PROVISIONAL - 1;
    let mut engine = engine_of(state, false);
    let mut writes = put(b"k", 1);
    let began = RunBegun { name: "run".into(), parent: None, labels: BTreeMap::new(), metadata: Value::Null, epoch: 1 };
    writes.begin_run(RunId::from_bytes([1; 16]), &encode_body(&began).unwrap()).unwrap();
    let refused = commit(&mut engine, &writes, false);
    let size = u64::from(PROVISIONAL - 1);
    assert_eq!(refused, Err(Error::Limit { what: "runs", size, limit: size + 1 }));
}

#[test]
fn the_first_cause_of_a_failure_is_the_one_that_is_told() {
    let mut engine = begun(4096);
    engine.poison(&Error::Cancelled { what: "the first" });
    engine.poison(&Error::Cancelled { what: "the second" });
    let causes: Vec<_> = [engine.mark().map(|_| ()), commit(&mut engine, &put(b"k", 1), false).map(|_| ())]
        .into_iter()
        .map(|outcome| outcome.unwrap_err().to_string())
        .collect();
    assert!(causes.iter().all(|cause| cause.contains("the first")), "{causes:?}");
}

#[test]
fn what_follows_a_segment_says_where_it_ended() {
    let mut engine = begun(4096);
    commit(&mut engine, &put(b"k", 100), false).unwrap();
    let batch = engine.take_pending().unwrap();
    engine.wrote(batch);
    let end = engine.previous_segment().unwrap();
    let needed = commit(&mut engine, &put(b"k", 4000), false).unwrap();
    let Outcome::Needs(SpaceNeeded::Rotate {
        header: SegmentHeader { segment: 2, previous, first_seq: 2, .. }, ..
    }) = needed
    else {
        panic!("{needed:?}")
    };
    assert_eq!(previous, Some(end));
}

/// A record that passed the check and that the fold refuses: none is known, so one is made behind the check's back. What was
/// written of one once made a store that does not open.
#[test]
fn what_the_fold_refuses_is_never_handed_out() {
    let header = RecordHeader {
        seq: 2,
        mark: 1,
        time_micros: 5,
        idempotency_key: None,
        reasons: Reasons::default(),
        part: None,
    };
    let (mut run, mut addition) = (put(b"k", 1), put(b"k", 1));
    begin_run(&mut run);
    addition.write(DEFAULT_SPACE, OpCode::KvAdd, b"n", &[1, 1]).unwrap();
    for (writes, deferred) in [(&run, true), (&run, false), (&addition, true)] {
        let mut engine = begun(4096);
        commit(&mut engine, &put(b"before", 1), false).unwrap();
        let before = (engine.pending_bytes(), engine.log_end(), engine.previous_segment());
        // The run begins under a number that is not the next; the space that is added to is not there.
        let plan = Plan::new(writes, 99, PART_BYTES_TARGET);
        let end = engine.log(&plan, &header).unwrap();
        if !writes.has_run_operations() {
            // The number of the group, behind seq, mark, time, flags and the number of groups.
            let group = engine.encoded[0].payload.start + 5;
            engine.log.active.as_mut().unwrap().pending[group] = 7;
        }
        let refused = std::panic::catch_unwind(AssertUnwindSafe(|| match deferred {
            true => engine.defer(&plan, end, &NoPages),
            false => engine.apply_pending(end, &NoPages).map(|_| ()),
        }));
        // A build with assertions insists on what the check promises, and panics.
        assert!(!matches!(refused, Ok(Ok(()))));
        assert_eq!((engine.pending_bytes(), engine.log_end(), engine.previous_segment()), before);
        assert_eq!(engine.logged_seq(), 1);
        match deferred {
            // The state was tried on a clone, or not touched: the store goes on.
            true => drop(commit(&mut engine, &put(b"after", 1), false).unwrap()),
            // It may be half changed.
            false => assert!(commit(&mut engine, &put(b"after", 1), false).is_err()),
        }
    }
}
