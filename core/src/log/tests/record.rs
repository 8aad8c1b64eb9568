//! What is promised of record, as tests.

use alloc::{format, string::String, vec, vec::Vec};

use proptest::prelude::*;

use super::{
    super::{
        CauseRef, FrameOutcome, FrameSeal, FrameType, LogPointer, LogPosition, OnceKey, Op, OpCode, Reasons,
        RecordHeader, RecordView, RecordWriter, peek_seq_and_mark, read_frame, read_mark, varint, write_mark,
    },
    golden, hex,
};
use crate::{
    Error,
    limits::{
        CAUSE_BYTES_MAX, FINGERPRINT_BYTES_MAX, IDEMPOTENCY_KEY_BYTES_MAX, KEY_BYTES_MAX, RESULT_BYTES_MAX, SEQ_MAX,
    },
};

const AT: LogPosition = LogPosition { segment: 9, offset: 4096 };

fn header(seq: u64) -> RecordHeader<'static> {
    RecordHeader {
        seq,
        mark: seq - 1,
        time_micros: 1_700_000_000_000_000,
        idempotency_key: None,
        reasons: Reasons::default(),
        part: None,
    }
}

/// A record of one operation.
fn record(header: &RecordHeader<'_>, previous: Option<LogPosition>, key: &[u8], body: &[u8]) -> Vec<u8> {
    let mut payload = vec![];
    let mut writer = RecordWriter::begin(&mut payload, header, AT, 1);
    writer.group(3, previous, 1);
    writer.op(OpCode::KvPut, key, body);
    payload
}

fn refused(payload: &[u8], frame_type: FrameType) -> (String, &'static str) {
    match RecordView::parse(payload, frame_type, AT) {
        Err(Error::Corrupt { file, rule, .. }) => (file, rule),
        other => panic!("{other:?}"),
    }
}

fn rule(payload: &[u8]) -> &'static str {
    refused(payload, FrameType::Transaction).1
}

/// The numbers as a payload.
fn numbers(values: &[u64]) -> Vec<u8> {
    let mut bytes = vec![];
    values.iter().for_each(|value| varint::write(&mut bytes, *value));
    bytes
}

#[test]
fn a_record_has_these_bytes() {
    let header = RecordHeader { seq: 300, mark: 290, idempotency_key: Some(OnceKey::new(b"idem")), ..header(300) };
    let mut payload = vec![];
    let mut writer = RecordWriter::begin(&mut payload, &header, AT, 2);
    writer.group(0, None, 1);
    writer.op(OpCode::KvDelete, b"k", b"");
    writer.group(200, Some(LogPosition { segment: 9, offset: 4080 }), 1);
    let body_at = writer.op(OpCode::KvPut, b"key", b"body");
    let expected = golden(
        "ac02 0a 8080f9c0c1c48203 01 0469 64656d
         02
         00 00 01 11 01 6b 00
         c801 01 02 01 10 03 6b6579 04 626f6479",
    )
    .replace('\n', "");
    assert_eq!(hex(&payload).replace('\n', ""), expected);
    assert_eq!(&payload[body_at as usize..], b"body");
}

#[test]
fn a_record_says_on_what_and_why_its_transaction_was_made_in_these_bytes() {
    let reasons = |base, cause| RecordHeader { reasons: Reasons { base, cause }, ..header(2) };
    let flagged = |header: &RecordHeader<'_>| {
        let payload = record(header, None, b"", b"");
        assert_eq!(RecordView::parse(&payload, FrameType::Transaction, AT).unwrap().header(), header);
        // Behind seq, mark and time.
        hex(&payload[10..payload.len() - 7]).replace('\n', "")
    };
    let golden = |bytes: &str| golden(bytes).replace('\n', "");
    assert_eq!(flagged(&header(2)), golden("00"));
    assert_eq!(flagged(&reasons(Some(1), None)), golden("08 01"));
    assert_eq!(flagged(&reasons(Some(0), Some(CauseRef::Text("Ada")))), golden("18 02 02 03 416461"));
    let entry = flagged(&reasons(None, Some(CauseRef::Trace([7; 16]))));
    assert_eq!(entry, golden(&format!("10 01 {}", "07".repeat(16))));
    let once = RecordHeader { idempotency_key: Some(OnceKey::new(b"k")), ..reasons(Some(1), None) };
    assert_eq!(flagged(&once), golden("09 01 6b 01"));
}

#[test]
fn a_base_that_is_not_before_its_transaction_and_a_cause_that_is_none_are_refused() {
    // The version of the transaction itself, and one before the first.
    assert_eq!(rule(&numbers(&[2, 1, 0, 8, 0, 0])), "F-14");
    assert_eq!(rule(&numbers(&[2, 1, 0, 8, 3, 0])), "F-14");
    // Of no sort; of a sort that is not known yet; an empty text; one that is too long; one that is no text.
    assert_eq!(rule(&numbers(&[2, 1, 0, 16, 0, 0])), "F-14");
    let newer = numbers(&[2, 1, 0, 16, 3, 0]);
    let Err(Error::Newer { what, found: 3, .. }) = RecordView::parse(&newer, FrameType::Transaction, AT) else {
        panic!()
    };
    assert_eq!(what, "sort of cause");
    assert_eq!(rule(&numbers(&[2, 1, 0, 16, 2, 0, 0])), "F-14");
    let long = "x".repeat(CAUSE_BYTES_MAX + 1);
    let caused = |cause| RecordHeader { reasons: Reasons { base: None, cause: Some(cause) }, ..header(2) };
    assert_eq!(rule(&record(&caused(CauseRef::Text(&long)), None, b"", b"")), "F-14");
    assert_eq!(rule(&[&numbers(&[2, 1, 0, 16, 2, 2])[..], b"\xc3\x28", &[0]].concat()), "F-14");
    // In a part, of which the last frame speaks.
    let part = RecordHeader { part: Some(0), ..caused(CauseRef::Text("Ada")) };
    assert_eq!(refused(&record(&part, None, b"", b""), FrameType::Part).1, "F-14");
    assert!(RecordView::parse(&record(&part, None, b"", b""), FrameType::Commit, AT).is_ok());
}

#[test]
fn a_position_in_another_segment_is_stored_as_it_is() {
    let payload = record(&header(2), Some(LogPosition { segment: 2, offset: 128 }), b"", b"");
    // Seven segments back, and 16 times 8 bytes from its start.
    assert_eq!(payload[payload.len() - 6..], [8, 16, 1, 0x10, 0, 0]);
    let view = RecordView::parse(&payload, FrameType::Transaction, AT).unwrap();
    assert_eq!(view.groups().next().unwrap().previous, Some(LogPosition { segment: 2, offset: 128 }));
}

#[test]
fn a_position_that_is_not_before_the_frame_is_refused() {
    let group =
        |segments: u64, units: u64| [numbers(&[2, 1, 0, 0, 1, 3, segments, units, 1]), vec![0x10, 0, 0]].concat();
    assert!(RecordView::parse(&group(1, 1), FrameType::Transaction, AT).is_ok());
    assert!(RecordView::parse(&group(9, 16), FrameType::Transaction, AT).is_ok());
    // Itself, before the first frame of the segment, before the first segment, a header, and overflow.
    for (segments, units) in
        [(1, 0), (1, 497), (1, 513), (10, 16), (u64::MAX, 16), (2, 15), (2, u64::MAX), (1, u64::MAX)]
    {
        assert_eq!(rule(&group(segments, units)), "F-17", "{segments} {units}");
    }
}

#[test]
fn a_body_that_a_closure_writes_is_the_same_as_one_that_is_given() {
    for (announced, written) in [(300, 300), (0, 0), (1, 300), (300, 1), (200, 100), (20_000, 0)] {
        let body = vec![7; written];
        let expected = record(&header(5), None, b"key", &body);
        let mut payload = vec![];
        let mut writer = RecordWriter::begin(&mut payload, &header(5), AT, 1);
        writer.group(3, None, 1);
        let body_at = writer.op_with(OpCode::KvPut, b"key", announced, |buffer| buffer.extend_from_slice(&body));
        assert_eq!(writer.payload_bytes(), expected.len());
        assert_eq!(payload, expected, "{announced} announced, {written} written");
        assert_eq!(&payload[body_at as usize..], body);
    }
}

#[test]
fn offsets_of_bodies_lead_to_the_bytes_in_the_segment() {
    let seal = FrameSeal::new(&[1; 16], 9);
    let mut segment = vec![0; 4096];
    let frame = super::super::FrameWriter::begin(&mut segment, FrameType::Transaction);
    let mut writer = RecordWriter::begin(&mut segment, &header(2), AT, 1);
    writer.group(0, None, 2);
    writer.op(OpCode::KvPut, b"a", b"first");
    let written_at = writer.op(OpCode::KvPut, b"b", b"second");
    frame.finish(&mut segment, &seal, AT.offset).unwrap();
    let FrameOutcome::Frame(frame) = read_frame(&segment[4096..], AT.offset, &seal) else { panic!() };
    let view = RecordView::parse(frame.payload, frame.frame_type, AT).unwrap();
    let op = view.groups().flat_map(|group| group.ops()).last().unwrap();
    assert_eq!(op.body_at, written_at);
    let start = AT.payload_offset(op.body_at) as usize;
    assert_eq!(&segment[start..start + op.body.len()], b"second");
}

#[test]
fn every_cut_and_every_appended_byte_is_refused() {
    let header = RecordHeader {
        idempotency_key: Some(OnceKey::new(b"idem")),
        reasons: Reasons { base: Some(7), cause: Some(CauseRef::Text("Ada")) },
        ..header(300)
    };
    let payload = record(&header, Some(LogPosition { segment: 9, offset: 128 }), b"key", b"body");
    assert!(RecordView::parse(&payload, FrameType::Transaction, AT).is_ok());
    for len in 0..payload.len() {
        assert!(RecordView::parse(&payload[..len], FrameType::Transaction, AT).is_err(), "{len} bytes");
    }
    assert_eq!(rule(&[&payload[..], &[0]].concat()), "F-14");
    let part = record(
        &RecordHeader { part: Some(300), idempotency_key: None, reasons: Reasons::default(), ..header },
        None,
        b"key",
        b"body",
    );
    assert!(RecordView::parse(&part, FrameType::Part, AT).is_ok());
    for len in 0..part.len() {
        assert!(RecordView::parse(&part[..len], FrameType::Part, AT).is_err(), "{len} bytes of a part");
    }
}

#[test]
fn an_unknown_operation_is_newer_and_names_file_offset_and_code() {
    let mut payload = record(&header(2), None, b"", b"");
    let code_at = payload.len() - 3;
    payload[code_at] = 0x70;
    let Err(Error::Newer { file, what, found, supported }) = RecordView::parse(&payload, FrameType::Transaction, AT)
    else {
        panic!()
    };
    assert_eq!((what, found, supported), ("operation code", 0x70, 0x69));
    assert!(file.starts_with("log-00000000000000000009, offset "), "{file}");
    // An unknown flag.
    let flags = numbers(&[2, 1, 0, 32, 0]);
    assert!(matches!(
        RecordView::parse(&flags, FrameType::Transaction, AT),
        Err(Error::Newer { what: "record flags", .. })
    ));
}

#[test]
fn limits_and_rules_of_the_header_are_checked() {
    assert_eq!(rule(&numbers(&[SEQ_MAX + 1, 1, 0, 0, 0])), "F-15");
    assert_eq!(rule(&numbers(&[1, 2, 0, 0, 0])), "F-16");
    assert_eq!(rule(&numbers(&[1, 0, 0, 0, 0])), "F-16");
    assert_eq!(rule(&numbers(&[0, 0, 0, 0, 0])), "F-16");
    let long = vec![0; IDEMPOTENCY_KEY_BYTES_MAX + 1];
    assert_eq!(
        rule(&record(&RecordHeader { idempotency_key: Some(OnceKey::new(&long)), ..header(2) }, None, b"", b"")),
        "F-14"
    );
    assert_eq!(rule(&record(&header(2), None, &[0; KEY_BYTES_MAX + 1], b"")), "F-18");
    assert!(RecordView::parse(&record(&header(2), None, &[0; KEY_BYTES_MAX], b""), FrameType::Transaction, AT).is_ok());
    assert_eq!(rule(&numbers(&[2, 1, 0, 0, 1, 3, 0, 0])), "F-17");
    assert_eq!(rule(&numbers(&[2, 1, 0, 0, 1, 1 << 32, 0, 1])), "F-17");
    assert_eq!(refused(&numbers(&[2, 1, 0, 0, 1 << 32, 0]), FrameType::Part).1, "F-19");
    assert_eq!(refused(&numbers(&[2, 1, 0, 0]), FrameType::Mark).1, "F-13");
    // A huge count costs nothing: it fails at the first group that is not there.
    assert_eq!(rule(&numbers(&[2, 1, 0, 0, u64::MAX])), "F-1");
    // What belongs to a key stands with one, within its limits, and is left out where there is none.
    assert_eq!(rule(&numbers(&[2, 1, 0, 2, 1, 7, 0])), "F-14");
    assert_eq!(rule(&numbers(&[2, 1, 0, 3, 1, 7, 0, 0])), "F-14");
    for (fingerprint, result) in [(FINGERPRINT_BYTES_MAX + 1, 1), (1, RESULT_BYTES_MAX + 1)] {
        let (fingerprint, result) = (vec![1; fingerprint], vec![2; result]);
        let once = OnceKey { key: b"key", fingerprint: &fingerprint, result: &result };
        let header = RecordHeader { idempotency_key: Some(once), ..header(2) };
        assert_eq!(rule(&record(&header, None, b"", b"")), "F-14");
    }
    let keyed_part = RecordHeader { idempotency_key: Some(OnceKey::new(b"key")), part: Some(0), ..header(2) };
    assert_eq!(refused(&record(&keyed_part, None, b"", b""), FrameType::Part).1, "F-14");
    assert!(RecordView::parse(&record(&keyed_part, None, b"", b""), FrameType::Commit, AT).is_ok());
}

#[test]
fn an_empty_transaction_is_a_record() {
    let mut payload = vec![];
    RecordWriter::begin(&mut payload, &header(2), AT, 0);
    let view = RecordView::parse(&payload, FrameType::Transaction, AT).unwrap();
    assert_eq!((view.group_count(), view.groups().count()), (0, 0));
}

#[test]
fn a_mark_is_read_as_it_was_written() {
    let seal = FrameSeal::new(&[1; 16], 9);
    for (seq, mark) in [(0, 0), (1, 0), (300, 290), (SEQ_MAX, SEQ_MAX)] {
        let mut buffer = vec![];
        let crc = write_mark(&mut buffer, &seal, AT.offset, seq, mark).unwrap();
        let FrameOutcome::Frame(frame) = read_frame(&buffer, AT.offset, &seal) else { panic!() };
        assert_eq!((frame.frame_type, frame.crc), (FrameType::Mark, crc));
        assert_eq!(read_mark(frame.payload, AT), Ok((seq, mark)));
        assert_eq!(peek_seq_and_mark(frame.payload), Some((seq, mark)));
    }
    assert!(read_mark(&numbers(&[1, 0, 0]), AT).is_err());
    assert!(read_mark(&numbers(&[1, 2]), AT).is_err());
}

#[test]
fn every_operation_code_is_its_own_byte() {
    for code in OpCode::ALL {
        assert_eq!(OpCode::from_byte(code.to_byte()), Some(code));
    }
    let known = (0..=255).filter(|byte| OpCode::from_byte(*byte).is_some()).count();
    assert_eq!(known, OpCode::ALL.len());
}

#[test]
fn a_pointer_has_these_bytes() {
    let pointer = LogPointer { segment: 1, offset: 0x0203, len: 4, crc: 0x0506_0708 };
    assert_eq!(hex(&pointer.encode()), golden("01000000000000000302000000000000 0400000008070605"));
    assert_eq!(LogPointer::decode(&pointer.encode()), Ok(pointer));
    for len in [0, 23, 25] {
        assert!(matches!(LogPointer::decode(&vec![0; len]), Err(Error::Corrupt { .. })));
    }
}

type Ops = Vec<(OpCode, Vec<u8>, Vec<u8>)>;

fn arbitrary_groups() -> impl Strategy<Value = Vec<(u32, Option<LogPosition>, Ops)>> {
    let op = (
        prop::sample::select(OpCode::ALL.to_vec()),
        prop::collection::vec(any::<u8>(), 0..30),
        prop::collection::vec(any::<u8>(), 0..300),
    );
    let same = (16_u64..512).prop_map(|units| LogPosition { segment: AT.segment, offset: units * 8 });
    let other =
        (1..AT.segment, 16_u64..1 << 40).prop_map(|(segment, units)| LogPosition { segment, offset: units * 8 });
    let group = (any::<u32>(), prop::option::of(prop_oneof![same, other]), prop::collection::vec(op, 1..5));
    prop::collection::vec(group, 0..4)
}

proptest! {
    #[test]
    fn a_record_is_read_as_it_was_written(
        groups in arbitrary_groups(), seq in 1..=SEQ_MAX, back in 1..=SEQ_MAX, time_micros: u64,
        key in prop::option::of(prop::collection::vec(any::<u8>(), 0..40)), fingerprint in prop::collection::vec(any::<u8>(), 0..9),
        result in prop::collection::vec(any::<u8>(), 0..200), part in prop::option::of(any::<u32>()),
        read in any::<bool>(), text in "[a-zé]{1,30}", entry: [u8; 16], sort in 0..3_u8,
    ) {
        let once = key.as_deref().map(|key| OnceKey { key, fingerprint: &fingerprint, result: &result });
        let cause = [None, Some(CauseRef::Trace(entry)), Some(CauseRef::Text(&text))][usize::from(sort)];
        let reasons = Reasons { base: read.then(|| seq.saturating_sub(back)), cause };
        let header = RecordHeader { seq, mark: seq.saturating_sub(back), time_micros, idempotency_key: once, reasons, part };
        let frame_type = if part.is_some() { FrameType::Commit } else { FrameType::Transaction };
        let mut payload = vec![];
        let mut writer = RecordWriter::begin(&mut payload, &header, AT, groups.len() as u64);
        for (space, previous, ops) in &groups {
            writer.group(*space, *previous, ops.len() as u64);
            for (code, key, body) in ops {
                writer.op(*code, key, body);
            }
        }
        let view = RecordView::parse(&payload, frame_type, AT).unwrap();
        prop_assert_eq!(view.header(), &header);
        prop_assert_eq!(peek_seq_and_mark(&payload), Some((seq, header.mark)));
        let read: Vec<(u32, Option<LogPosition>, Ops)> = view.groups().map(|group| {
            let ops: Vec<Op<'_>> = group.ops().collect();
            assert_eq!(ops.len() as u64, group.op_count);
            for op in &ops {
                assert_eq!(&payload[op.body_at as usize..][..op.body.len()], op.body);
            }
            (group.space, group.previous, ops.iter().map(|op| (op.code, op.key.to_vec(), op.body.to_vec())).collect())
        }).collect();
        prop_assert_eq!(read, groups);
    }

    #[test]
    fn what_parses_is_what_the_writer_would_have_written(mut payload in prop::collection::vec(any::<u8>(), 0..60), real: bool, change: u8, at: prop::sample::Index) {
        if real {
            payload = record(&header(300), None, b"key", b"some body");
            let at = at.index(payload.len());
            payload[at] = change;
        }
        if let Ok(view) = RecordView::parse(&payload, FrameType::Transaction, AT) {
            let mut again = vec![];
            let mut writer = RecordWriter::begin(&mut again, view.header(), AT, view.group_count());
            for group in view.groups() {
                writer.group(group.space, group.previous, group.op_count);
                for op in group.ops() {
                    writer.op(op.code, op.key, op.body);
                }
            }
            prop_assert_eq!(again, payload);
        }
    }
}
