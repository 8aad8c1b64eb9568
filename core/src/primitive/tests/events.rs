//! What is promised of events, as tests.

use alloc::{format, string::String, vec, vec::Vec};
use core::ops::{Bound, ControlFlow};

use super::{kind_of, store};
use crate::{
    Db, Error, ErrorKind, Result,
    limits::{KEY_BYTES_MAX, VALUE_BYTES_MAX},
    log::varint,
    primitive::{ChainReport, EventBatch, NewEvent, ScanOptions},
    state::{next_link, read_event},
    storage::MemStorage,
    tree::Direction,
    value::{Encode, Value},
};

/// A stream of batches of these sizes, the payload of each event its own seq.
fn stream_of(db: &Db<MemStorage>, stream: &str, batches: &[u64]) {
    let mut seq = 0;
    for size in batches {
        let first = seq + 1;
        let events = (0..*size).map(|_| {
            seq += 1;
            NewEvent::new(if seq % 2 == 0 { "even" } else { "odd" }, seq)
        });
        assert_eq!(db.events().append_batch(stream, events).unwrap(), Some(first));
    }
}

fn seqs(
    db: &Db<MemStorage>,
    stream: &str,
    range: (Bound<u64>, Bound<u64>),
    limit: Option<usize>,
    direction: Direction,
) -> Vec<u64> {
    let events = db.events().range_as::<u64>(stream, range, limit, direction).unwrap();
    for event in &events {
        assert_eq!(event.payload, event.seq);
        assert_eq!(event.kind, if event.seq % 2 == 0 { "even" } else { "odd" });
    }
    events.iter().map(|event| event.seq).collect()
}

#[test]
fn events_get_the_seqs_one_two_three() {
    let db = store();
    assert_eq!(db.events().append("log", "opened", "a").unwrap(), Some(1));
    assert_eq!(db.events().append("log", "closed", "b").unwrap(), Some(2));
    assert_eq!(db.events().append("other", "opened", "c").unwrap(), Some(1));
    let event = db.events().get("log", 2).unwrap().unwrap();
    assert_eq!((event.seq, event.kind.as_str(), &event.payload), (2, "closed", &Value::from("b")));
    assert_eq!(db.events().get_as::<String>("log", 1).unwrap().unwrap().payload, "a");
    assert_eq!(db.events().get("log", 0).unwrap(), None);
    assert_eq!(db.events().get("log", 3).unwrap(), None);
    assert_eq!(db.events().get("absent", 1).unwrap(), None);
    assert!(matches!(db.events().get_as::<i64>("log", 1), Err(Error::Type { what, .. }) if what == "log"));
}

#[test]
fn a_batch_is_one_commit_and_an_empty_one_is_none() {
    let db = store();
    let before = db.view().seq();
    stream_of(&db, "log", &[1000]);
    assert_eq!(db.view().seq(), before + 1);
    assert_eq!(db.events().append_batch::<i64>("log", []).unwrap(), None);
    assert_eq!(db.events().append_encoded("log", &EventBatch::new()).unwrap(), None);
    assert_eq!(db.view().seq(), before + 1);
}

#[test]
fn every_range_of_a_stream_is_what_a_list_would_give() {
    let db = store();
    // Batches of one event, of several blocks, and of one block.
    stream_of(&db, "log", &[1, 3, 2000, 1, 700, 2]);
    let all: Vec<u64> = (1..=2707).collect();
    let cases =
        [(0, 1), (1, 1), (1, 4), (2, 5), (4, 4), (900, 1100), (2003, 2006), (2700, 2707), (2707, 9000), (1, 2707)];
    for (from, to) in cases {
        for limit in [None, Some(0), Some(1), Some(3), Some(500), Some(5000)] {
            let range = (Bound::Included(from), Bound::Included(to));
            let mut expected: Vec<u64> = all.iter().copied().filter(|seq| (from..=to).contains(seq)).collect();
            let most = limit.unwrap_or(usize::MAX);
            let forward: Vec<u64> = expected.iter().copied().take(most).collect();
            expected.reverse();
            expected.truncate(most);
            assert_eq!(seqs(&db, "log", range, limit, Direction::Forward), forward, "{from}..={to}, {limit:?}");
            assert_eq!(seqs(&db, "log", range, limit, Direction::Backward), expected, "{from}..={to}, {limit:?}");
        }
    }
    let open = (Bound::Excluded(2705), Bound::Unbounded);
    assert_eq!(seqs(&db, "log", open, None, Direction::Forward), [2706, 2707]);
    assert_eq!(seqs(&db, "log", (Bound::Unbounded, Bound::Excluded(3)), None, Direction::Backward), [2, 1]);
    for seq in all {
        assert_eq!(db.events().get_as::<u64>("log", seq).unwrap().unwrap().payload, seq);
    }
}

#[test]
fn streams_whose_names_begin_alike_do_not_mix() {
    let db = store();
    for stream in ["a", "aa", "", "a\0", "b"] {
        db.events().append(stream, "kind", stream).unwrap();
    }
    for stream in ["a", "aa", "", "a\0", "b"] {
        let events = db.events().range_as::<String>(stream, .., None, Direction::Forward).unwrap();
        assert_eq!(events.iter().map(|event| event.payload.as_str()).collect::<Vec<_>>(), [stream]);
    }
}

#[test]
fn payloads_of_every_size_come_back_whole() {
    let db = store();
    let sizes = [0, 1, 100, 126, 127, 128, 130, 5_000, 16_382, 16_384, 20_000, 3, 2_100_000, 0];
    let events = sizes.iter().map(|size| NewEvent::new("blob", vec![7_u8; *size]));
    db.events().append_batch("log", events).unwrap();
    for (index, size) in sizes.iter().enumerate() {
        let event = db.events().get_as::<Vec<u8>>("log", index as u64 + 1).unwrap().unwrap();
        assert_eq!(event.payload, vec![7; *size]);
    }
    let backward = db.events().range_as::<Vec<u8>>("log", .., None, Direction::Backward).unwrap();
    assert_eq!(backward.iter().map(|event| event.payload.len()).rev().collect::<Vec<_>>(), sizes);
}

#[test]
fn a_batch_is_encoded_as_the_format_says() {
    let (mut batch, mut expected) = (EventBatch::new(), vec![]);
    for size in [0, 200, 3, 70_000, 5, 127, 128] {
        let (payload, mut encoded) = ("x".repeat(size), vec![]);
        payload.encode(&mut encoded).unwrap();
        expected.extend_from_slice(b"\x04kind");
        varint::write(&mut expected, encoded.len() as u64);
        expected.extend_from_slice(&encoded);
        batch.push("kind", payload).unwrap();
    }
    assert_eq!(batch.bytes(), expected);
    assert_eq!((batch.len(), batch.encoded_bytes()), (7, expected.len()));
    let mut reader = varint::Reader::new(batch.bytes());
    while !reader.is_empty() {
        read_event(&mut reader).unwrap();
    }
    assert_eq!(kind_of(batch.push(&"k".repeat(KEY_BYTES_MAX + 1), 1)), ErrorKind::Limit);
    assert_eq!(kind_of(batch.push("kind", vec![0_u8; VALUE_BYTES_MAX + 1])), ErrorKind::Limit);
    assert_eq!(batch.bytes(), expected, "a refused event leaves no trace");
    batch.clear();
    assert!(batch.is_empty());
    batch.push("kind", 1).unwrap();
    assert_eq!(batch.bytes(), b"\x04kind\x01\x01");
}

#[test]
fn a_stream_says_what_it_holds() {
    let db = store();
    assert_eq!(db.events().head("log").unwrap(), 0);
    assert_eq!(db.events().first("log").unwrap(), None);
    assert!(db.events().is_empty("log").unwrap());
    assert_eq!(db.events().info("log").unwrap(), None);
    stream_of(&db, "log", &[3, 4]);
    assert_eq!(db.events().head("log").unwrap(), 7);
    assert_eq!(db.events().first("log").unwrap(), Some(1));
    assert_eq!(db.events().len("log").unwrap(), 7);
    let info = db.events().info("log").unwrap().unwrap();
    assert_eq!((info.head, info.first, info.events), (7, 1, 7));
    assert!(info.bytes > 7 * 5 && info.created_micros > 0 && info.appended_micros >= info.created_micros);
    db.events().append("log", "odd", 8).unwrap();
    assert_ne!(db.events().info("log").unwrap().unwrap().link, info.link);
}

#[test]
fn streams_are_listed_by_name() {
    let db = store();
    for stream in ["b", "a/2", "a/1"] {
        db.events().append(stream, "kind", 1).unwrap();
    }
    let names = |options: ScanOptions| -> Vec<String> {
        let streams = db.events().streams(&options).unwrap();
        streams.iter().map(|summary| String::from_utf8(summary.stream.clone()).unwrap()).collect()
    };
    assert_eq!(names(ScanOptions::all()), ["a/1", "a/2", "b"]);
    assert_eq!(names(ScanOptions::prefix("a/").reverse()), ["a/2", "a/1"]);
    assert_eq!(names(ScanOptions::all().limit(1).after("a/1")), ["a/2"]);
}

#[test]
fn a_trim_forgets_the_oldest_events_only() {
    let db = store();
    stream_of(&db, "log", &[10, 10, 10]);
    db.events().trim("log", 15).unwrap();
    assert_eq!(db.events().first("log").unwrap(), Some(15));
    assert_eq!(db.events().len("log").unwrap(), 16);
    assert_eq!(db.events().get("log", 14).unwrap(), None);
    assert_eq!(db.events().get_as::<u64>("log", 15).unwrap().unwrap().payload, 15);
    let all = (Bound::Unbounded, Bound::Unbounded);
    assert_eq!(seqs(&db, "log", all, None, Direction::Forward), (15..=30).collect::<Vec<_>>());
    db.events().trim("log", 3).unwrap();
    assert_eq!(db.events().first("log").unwrap(), Some(15), "what was forgotten does not come back");
    db.events().trim("log", 1_000).unwrap();
    assert!(db.events().is_empty("log").unwrap());
    assert_eq!(db.events().first("log").unwrap(), None);
    assert_eq!(db.events().append("log", "odd", 31).unwrap(), Some(31));
    assert_eq!(db.events().first("log").unwrap(), Some(31));
    db.events().trim("absent", 5).unwrap();
    assert_eq!(db.events().info("absent").unwrap(), None);
}

#[test]
fn a_deleted_stream_begins_again() {
    let db = store();
    stream_of(&db, "log", &[5]);
    assert!(db.events().delete_stream("log").unwrap());
    assert!(!db.events().delete_stream("log").unwrap());
    assert_eq!(db.events().info("log").unwrap(), None);
    assert_eq!(db.events().get("log", 1).unwrap(), None);
    stream_of(&db, "log", &[2]);
    assert_eq!(db.events().len("log").unwrap(), 2);
    assert_eq!(db.events().verify_chain("log").unwrap().verified_from, Some(1));
}

#[test]
fn for_each_stops_when_told() {
    let db = store();
    stream_of(&db, "log", &[5_000]);
    let mut seen = vec![];
    db.events()
        .for_each("log", 100.., Direction::Forward, |event| {
            seen.push(event.seq);
            if event.seq == 102 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })
        .unwrap();
    assert_eq!(seen, [100, 101, 102]);
}

#[test]
fn names_kinds_and_payloads_have_limits() {
    let db = store();
    let long = "x".repeat(KEY_BYTES_MAX + 1);
    assert_eq!(kind_of(db.events().append(&long, "kind", 1)), ErrorKind::Limit);
    assert_eq!(kind_of(db.events().append("log", &long, 1)), ErrorKind::Limit);
    assert_eq!(kind_of(db.events().append("log", "kind", vec![0_u8; VALUE_BYTES_MAX])), ErrorKind::Limit);
    db.events().append(&long[1..], &long[1..], 1).unwrap();
    assert_eq!(db.events().get(&long[1..], 1).unwrap().unwrap().kind, long[1..]);
}

#[test]
fn a_transaction_sees_its_own_events_behind_the_committed_ones() {
    let db = store();
    stream_of(&db, "log", &[3]);
    let tx = db.begin_transaction().unwrap();
    assert_eq!(tx.events().append("log", "even", 4_u64).unwrap(), None);
    assert_eq!(tx.events().append("new", "odd", 1_u64).unwrap(), None);
    assert_eq!(tx.events().append("log", "odd", 5_u64).unwrap(), None);
    let read = |direction| -> Vec<u64> {
        let events = tx.events().range_as::<u64>("log", 2.., None, direction).unwrap();
        events.iter().for_each(|event| assert_eq!(event.seq, event.payload));
        events.iter().map(|event| event.seq).collect()
    };
    assert_eq!(read(Direction::Forward), [2, 3, 4, 5]);
    assert_eq!(read(Direction::Backward), [5, 4, 3, 2]);
    assert_eq!(tx.events().head("log").unwrap(), 5);
    assert_eq!(tx.events().get("log", 5).unwrap().unwrap().time_micros, 0);
    let streams = tx.events().streams(&ScanOptions::all()).unwrap();
    let heads: Vec<_> = streams.iter().map(|summary| (summary.stream.as_slice(), summary.head)).collect();
    assert_eq!(heads, [(b"log".as_slice(), 5), (b"new".as_slice(), 1)]);
    assert_eq!(db.events().head("log").unwrap(), 3);
    tx.commit().unwrap();
    assert_eq!(db.events().head("log").unwrap(), 5);
    assert_eq!(db.events().head("new").unwrap(), 1);
}

#[test]
fn a_transaction_that_trims_and_deletes_sees_the_result() {
    let db = store();
    stream_of(&db, "log", &[3]);
    stream_of(&db, "gone", &[3]);
    db.transaction(|tx| {
        tx.events().append("log", "even", 4_u64)?;
        tx.events().trim("log", 4)?;
        assert_eq!((tx.events().first("log")?, tx.events().len("log")?), (Some(4), 1));
        assert!(tx.events().delete_stream("gone")?);
        assert_eq!(tx.events().info("gone")?, None);
        assert_eq!(tx.events().streams(&ScanOptions::all())?.len(), 1);
        tx.events().append("gone", "odd", 1_u64)?;
        assert_eq!(tx.events().range("gone", .., None, Direction::Forward)?.len(), 1);
        Ok::<_, Error>(())
    })
    .unwrap();
    assert_eq!(db.events().len("log").unwrap(), 1);
    assert_eq!(db.events().len("gone").unwrap(), 1);
    assert_eq!(db.events().get_as::<u64>("gone", 1).unwrap().unwrap().payload, 1);
}

#[test]
fn appends_to_one_stream_do_not_conflict() {
    let db = store();
    let (first, second) = (db.begin_transaction().unwrap(), db.begin_transaction().unwrap());
    first.events().append("log", "kind", 1).unwrap();
    second.events().append("log", "kind", 2).unwrap();
    second.commit().unwrap();
    first.commit().unwrap();
    let events = db.events().range_as::<i64>("log", .., None, Direction::Forward).unwrap();
    assert_eq!(events.iter().map(|event| event.payload).collect::<Vec<_>>(), [2, 1]);
}

#[test]
fn a_chain_is_verified_from_its_beginning() {
    let db = store();
    assert_eq!(db.events().verify_chain("absent").unwrap(), ChainReport::default());
    stream_of(&db, "log", &[1, 2_000, 7]);
    let report = db.events().verify_chain("log").unwrap();
    assert_eq!(report, ChainReport { batches: 3, events: 2_008, verified_from: Some(1) });
}

#[test]
fn a_trimmed_chain_is_verified_behind_its_oldest_batch() {
    let db = store();
    stream_of(&db, "log", &[10, 10, 10]);
    db.events().trim("log", 5).unwrap();
    assert_eq!(db.events().verify_chain("log").unwrap().verified_from, Some(1), "the first batch is still whole");
    db.events().trim("log", 15).unwrap();
    let report = db.events().verify_chain("log").unwrap();
    assert_eq!(report, ChainReport { batches: 1, events: 10, verified_from: Some(21) });
    db.events().trim("log", 31).unwrap();
    assert_eq!(db.events().verify_chain("log").unwrap(), ChainReport::default());
    stream_of_more(&db, "log", 31).unwrap();
    assert_eq!(db.events().verify_chain("log").unwrap().batches, 0);
}

fn stream_of_more(db: &Db<MemStorage>, stream: &str, seq: u64) -> Result<()> {
    assert_eq!(db.events().append(stream, "odd", seq)?, Some(seq));
    Ok(())
}

#[test]
fn a_link_depends_on_order_time_and_every_byte() {
    let link = next_link(&[0; 32], 1, 5, b"events");
    let others = [
        next_link(&[1; 32], 1, 5, b"events"),
        next_link(&[0; 32], 2, 5, b"events"),
        next_link(&[0; 32], 1, 6, b"events"),
        next_link(&[0; 32], 1, 5, b"eventz"),
    ];
    for other in others {
        assert_ne!(link, other);
    }
}

#[test]
fn many_streams_keep_apart() {
    let db = store();
    for round in 0..3_u64 {
        for stream in 0..50 {
            db.events().append(format!("stream/{stream}"), "kind", round * 100 + stream).unwrap();
        }
    }
    for stream in 0..50 {
        let events = db.events().range_as::<u64>(format!("stream/{stream}"), .., None, Direction::Forward).unwrap();
        assert_eq!(events.iter().map(|event| event.payload).collect::<Vec<_>>(), [stream, 100 + stream, 200 + stream]);
    }
}
