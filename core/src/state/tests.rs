//! The examples of `docs/format.md`, rules F-31 to F-38, byte for byte: what is stored today is read by every later
//! version.

use alloc::{
    string::{String, ToString},
    vec::Vec,
};

use super::{
    BatchIndex, Ending, EventBytes, Family, RunBegun, RunEnded, StreamInfo, Sweep, batch_key, decode_body, encode_body,
    entry_kind, expiring_body, next_link, parse_batch_key, parse_expiry_body, split_expiring_body,
};
use crate::{
    Db,
    limits::ENTRY_VALUE_BYTES_MAX,
    log::LogPointer,
    primitive::{EventBatch, TraceKind, TraceRecord},
    tree::{Direction, KeyRange, NoPages},
    value::{Delta, Encode, Value},
};

const TIME: u64 = 1_700_000_000_000_000;

/// Bytes as the document shows them.
fn shown(bytes: &[u8]) -> String {
    let digits: Vec<String> = bytes.iter().map(|byte| alloc::format!("{byte:02x}")).collect();
    digits.join(" ")
}

/// Whether the document has these bytes as an example.
fn assert_documented(bytes: &[u8]) {
    let document = include_str!("../../../docs/format.md").split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(document.contains(&shown(bytes)), "docs/format.md does not show\n{}", shown(bytes));
}

fn two_ticks() -> EventBatch {
    let mut batch = EventBatch::new();
    batch.push("tick", 7).unwrap();
    batch.push("tick", 8).unwrap();
    batch
}

/// Rule F-31.
#[test]
fn the_key_of_a_batch_is_the_documented_one() {
    let key = Family::Batch.key(&batch_key(b"log", 258));
    assert_documented(&key);
    assert_eq!(parse_batch_key(&key[1..]), Some((&b"log"[..], 258)));
}

/// Rule F-31: the length in front keeps streams apart whose names begin alike.
#[test]
fn batches_of_streams_whose_names_begin_alike_do_not_mix() {
    let (first, last) = (batch_key(b"a", 0), batch_key(b"a", u64::MAX));
    for name in [&b"a\0"[..], b"ab", b"", b"b"] {
        for seq in [0, 1, u64::MAX] {
            let other = batch_key(name, seq);
            assert!(other < first || other > last, "{name:?} {seq}");
        }
    }
}

/// Rule F-32.
#[test]
fn a_pointer_is_the_documented_one() {
    let pointer = LogPointer { segment: 9, offset: 4107, len: 600, crc: 0xdead_beef };
    assert_documented(&pointer.encode());
}

/// Rule F-33.
#[test]
fn the_body_of_an_append_is_the_documented_one() {
    let batch = two_ticks();
    let body = [&[2], batch.bytes()].concat();
    assert_documented(&body);
    let events = EventBytes::parse(&body).unwrap();
    assert_eq!((events.count, events.bytes), (2, batch.bytes()));
}

/// Rules F-34 and F-35.
#[test]
fn a_batch_is_the_documented_one() {
    let batch = two_ticks();
    let events = EventBytes { count: 2, bytes: batch.bytes() };
    let index = BatchIndex::build(&events, (3, 160), TIME, &[0; 32], 1).unwrap();
    assert_documented(&index.encode());
    assert_eq!(BatchIndex::decode(&index.encode()).unwrap(), index);
    let hashed = [&[0; 32][..], &1_u64.to_le_bytes(), &TIME.to_le_bytes(), batch.bytes()].concat();
    assert_eq!(index.link, *blake3::hash(&hashed).as_bytes());
    assert_eq!(index.link, next_link(&[0; 32], 1, TIME, batch.bytes()));
}

/// Rule F-34: the largest batch that an operation can be, of events of every size, stays within an entry.
#[test]
fn the_index_of_no_batch_is_longer_than_an_entry_may_be() {
    for (count, payload) in [(100_000_u32, 3_u32), (5_000, 5_000), (90, 277_000), (178, 270_000), (2, 12 << 20)] {
        let mut event = alloc::vec![0];
        crate::log::varint::write(&mut event, u64::from(payload));
        event.extend((0..payload).map(|_| 0));
        let bytes = event.repeat(usize::try_from(count).unwrap());
        let events = EventBytes { count: u64::from(count), bytes: &bytes };
        let index = BatchIndex::build(&events, (u64::MAX, u64::MAX), TIME, &[0; 32], 1).unwrap();
        assert!(index.blocks.len() <= 90, "{count} of {payload}: {} blocks", index.blocks.len());
        assert!(index.encode().len() <= ENTRY_VALUE_BYTES_MAX, "{count} of {payload}: {} bytes", index.encode().len());
        assert_eq!((index.events(), index.bytes()), (u64::from(count), bytes.len() as u64));
    }
}

/// Rule F-34.
#[test]
fn a_stream_has_its_fields_at_the_documented_offsets() {
    let info = StreamInfo {
        head: 1,
        first: 2,
        bytes: 3,
        created_micros: 4,
        appended_micros: 5,
        link: *b"0123456789abcdef0123456789abcdef",
    };
    let encoded = info.encode();
    let words: Vec<u64> = encoded[..40].as_chunks::<8>().0.iter().map(|word| u64::from_le_bytes(*word)).collect();
    assert_eq!((words, &encoded[40..]), (alloc::vec![1, 2, 3, 4, 5], &info.link[..]));
    assert_eq!(StreamInfo::decode(&encoded).unwrap(), info);
}

/// Rule F-36.
#[test]
fn the_beginning_of_a_run_is_the_documented_one() {
    let mut begun = RunBegun {
        name: "a".into(),
        parent: None,
        labels: [("k".into(), "v".into())].into(),
        metadata: Value::Null,
        epoch: 3,
    };
    let body = encode_body(&begun).unwrap();
    assert_documented(&body);
    assert_eq!(decode_body::<RunBegun>("run", &body).unwrap(), begun);
    begun.parent = Some([7; 16]);
    let body = encode_body(&begun).unwrap();
    let parent = [&b"\x66parent\x90"[..], &[7; 16]].concat();
    assert!(body.windows(parent.len()).any(|bytes| bytes == parent), "a list of 16 integers: {}", shown(&body));
}

/// Rule F-36.
#[test]
fn the_end_of_a_run_says_how_it_ended_as_text() {
    for (how, name) in [(Ending::Completed, "Completed"), (Ending::Failed, "Failed"), (Ending::Cancelled, "Cancelled")]
    {
        let body = encode_body(&RunEnded { how, message: None }).unwrap();
        assert_eq!(
            Value::decode(&body).unwrap().to_string(),
            alloc::format!(r#"{{"how": "{name}", "message": null}}"#)
        );
    }
}

/// Rule F-37.
#[test]
fn an_addition_is_the_documented_one() {
    let mut body = Vec::new();
    Delta::U64(24).encode(&mut body);
    assert_documented(&body);
}

/// Rule F-38.
#[test]
fn times_at_which_something_is_over_are_written_as_documented() {
    let body = expiring_body(TIME, b"\x62on");
    assert_documented(&body);
    assert_eq!(split_expiring_body(&body).unwrap(), (TIME, &b"\x62on"[..]));
    let sweep = Sweep { until_micros: TIME, limit: 10 };
    assert_documented(&sweep.encode());
    assert_eq!(Sweep::parse(&sweep.encode()).unwrap(), sweep);
    for body in [&[][..], &[1], &[0, 1], &[1, 0], &[1, 0x81, 0x20], &[1, 1, 0]] {
        assert!(Sweep::parse(body).is_err(), "{body:?}");
    }
    assert!(split_expiring_body(&[0, 1]).is_err() && parse_expiry_body(&[1, 1]).is_err());
    assert_eq!((parse_expiry_body(&[]).unwrap(), parse_expiry_body(&[7]).unwrap()), (None, Some(7)));
}

#[test]
fn the_index_of_what_is_over_is_the_documented_one() {
    let db = Db::memory();
    db.kv().put_expiring_at("key", 1, TIME).unwrap();
    let (view, mut keys) = (db.view(), Vec::new());
    let range = KeyRange::all();
    view.folded()
        .default
        .tree
        .visit(&range, Direction::Forward, &NoPages, &mut |key, entry| {
            keys.push((key.to_vec(), entry.kind, entry.value.to_vec()));
            core::ops::ControlFlow::Continue(())
        })
        .unwrap();
    let [(index, kind, value), (_, pair_kind, pair)] = &keys[..] else { panic!("{keys:?}") };
    assert_documented(index);
    assert_eq!((*kind, value.len(), *pair_kind), (entry_kind::INLINE, 0, entry_kind::EXPIRING));
    assert_eq!(*pair, [&TIME.to_le_bytes()[..], &[entry_kind::INLINE, 1]].concat());
}

#[test]
fn a_cell_and_a_trace_entry_are_the_documented_ones() {
    let db = Db::memory();
    db.state().init("cell", "on").unwrap();
    let record = TraceRecord::new(TraceKind::Error, "x").time_micros(5);
    let id = db.trace().record(record).unwrap().to_bytes();
    assert_eq!(id[..8], [0, 0, 0, 0, 0, 0, 0x70, 20], "5 * 4096 / 1000");
    let view = db.view();
    let (mut keys, mut values) = (Vec::new(), Vec::new());
    let tree = view.folded().space(0).unwrap().tree();
    tree.visit(&KeyRange::all(), Direction::Forward, &NoPages, &mut |key, entry| {
        assert_eq!(entry.kind, entry_kind::INLINE);
        keys.push(key.to_vec());
        values.push(entry.value.to_vec());
        core::ops::ControlFlow::Continue(())
    })
    .unwrap();
    let parent = [&[0x51][..], &[0; 16], &id].concat();
    let kind = [&b"\x52error\0"[..], &id].concat();
    assert_eq!(keys, [b"\x40cell".to_vec(), [&[0x50][..], &id].concat(), parent, kind]);
    let mut on = alloc::vec![1];
    "on".encode(&mut on).unwrap();
    assert_eq!(values, [on, values[1].clone(), Vec::new(), Vec::new()]);
    assert_documented(&values[0]);
    assert_documented(&values[1]);
}
