//! What is promised of trace, as tests.

use alloc::{format, string::ToString, vec, vec::Vec};

use super::{kind_of, store};
use crate::{
    ErrorKind,
    primitive::{ScanOptions, TraceId, TraceKind, TraceRecord, trace_index},
    state::Family,
    value::Value,
};

fn thought(name: &str) -> TraceRecord {
    TraceRecord::new(TraceKind::Thought, name)
}

fn names(entries: &[crate::primitive::TraceEntry]) -> Vec<&str> {
    entries.iter().map(|entry| entry.name.as_str()).collect()
}

#[test]
fn an_entry_is_read_back_as_it_was_recorded() {
    let db = store();
    let parent = db.trace().record(thought("plan")).unwrap();
    let data = Value::from(vec![Value::from(1), Value::from(vec![1_u8, 2])]);
    let record = TraceRecord::new(TraceKind::ToolCall, "search")
        .data(data.clone())
        .parent(parent)
        .duration_micros(250)
        .time_micros(1_700_000_000_123_456);
    let id = db.trace().record(record).unwrap();
    let entry = db.trace().get(id).unwrap().unwrap();
    assert_eq!((entry.id, entry.kind, entry.name.as_str()), (id, TraceKind::ToolCall, "search"));
    assert_eq!((entry.parent, entry.duration_micros), (Some(parent), Some(250)));
    assert_eq!((entry.time_micros, entry.data), (1_700_000_000_123_456, data));
    assert!(db.trace().exists(id).unwrap());
    assert_eq!(db.trace().get(TraceId::from_bytes([1; 16])).unwrap(), None);
}

/// The output of a tool replaced its input, which was gone.
#[test]
fn finishing_sets_duration_and_output_and_nothing_else() {
    let db = store();
    let id = db.trace().record(TraceRecord::new(TraceKind::ToolCall, "search").data("in")).unwrap();
    let before = db.trace().get(id).unwrap().unwrap();
    assert_eq!(before.duration_micros, None);
    let after = db.trace().finish(id, Some(Value::from("out")), Some(99)).unwrap();
    assert_eq!(after.duration_micros, Some(99));
    assert_eq!((after.data, after.output), (Value::from("in"), Value::from("out")));
    assert_eq!(before.output, Value::Null);
    assert_eq!((after.kind, after.name, after.time_micros), (before.kind, before.name, before.time_micros));
    assert_eq!(db.trace().finish(id, None, None).unwrap().output, Value::from("out"));
    assert_eq!(db.trace().get(id).unwrap().unwrap().output, Value::from("out"));
    assert_eq!(db.trace().finish(id, Some(Value::Null), None).unwrap().output, Value::Null);
    assert_eq!(db.trace().count().unwrap(), 1);
    assert_eq!(kind_of(db.trace().finish(TraceId::from_bytes([1; 16]), None, None)), ErrorKind::NotFound);
}

#[test]
fn entries_are_found_by_parent_kind_and_time() {
    let db = store();
    let trace = db.trace();
    let root = trace.record(thought("root").time_micros(1_000)).unwrap();
    let call = TraceRecord::new(TraceKind::ToolCall, "call").parent(root).time_micros(2_001);
    let call = trace.record(call).unwrap();
    trace.record(TraceRecord::new(TraceKind::Error, "error").parent(call).time_micros(2_002)).unwrap();
    trace.record(TraceRecord::new(TraceKind::Custom("retry".into()), "again").parent(root).time_micros(5_000)).unwrap();
    let all = ScanOptions::all();
    assert_eq!(names(&trace.list(&all).unwrap()), ["root", "call", "error", "again"]);
    assert_eq!(names(&trace.roots(&all).unwrap()), ["root"]);
    assert_eq!(names(&trace.children(root, &all).unwrap()), ["call", "again"]);
    assert_eq!(names(&trace.children(root, &ScanOptions::all().reverse().limit(1)).unwrap()), ["again"]);
    let after = ScanOptions::all().after(call.to_bytes());
    assert_eq!(names(&trace.children(root, &after).unwrap()), ["again"]);
    assert_eq!(names(&trace.by_kind(&TraceKind::ToolCall, &all).unwrap()), ["call"]);
    assert_eq!(names(&trace.by_kind(&TraceKind::Custom("retry".into()), &all).unwrap()), ["again"]);
    assert_eq!(names(&trace.by_kind(&TraceKind::Query, &all).unwrap()), Vec::<&str>::new());
    assert_eq!(names(&trace.by_time(2_001, 2_002, &all).unwrap()), ["call"]);
    assert_eq!(names(&trace.by_time(2_002, u64::MAX, &all).unwrap()), ["error", "again"]);
    assert_eq!(names(&trace.by_time(0, u64::MAX, &all).unwrap()).len(), 4);
    assert_eq!(names(&trace.by_time(3_000, 2_000, &all).unwrap()).len(), 0);
    assert_eq!(names(&trace.by_time(1_000, 5_000, &ScanOptions::all().limit(2)).unwrap()), ["root", "call"]);
}

#[test]
fn finishing_leaves_the_index_alone() {
    let db = store();
    let root = db.trace().record(thought("root")).unwrap();
    let part = db.trace().record(thought("part").parent(root)).unwrap();
    db.trace().finish(part, None, Some(1)).unwrap();
    let all = ScanOptions::all();
    assert_eq!(names(&db.trace().children(root, &all).unwrap()), ["part"]);
    assert_eq!(names(&db.trace().by_kind(&TraceKind::Thought, &all).unwrap()).len(), 2);
}

#[test]
fn ids_sort_by_time_to_the_microsecond() {
    let db = store();
    let times = [0, 1, 999, 1_000, 1_001, 1_999_999, 1_700_000_000_000_000, (1 << 48) * 1000 - 1];
    let ids: Vec<_> = times.iter().map(|time| db.trace().record(thought("").time_micros(*time)).unwrap()).collect();
    assert!(ids.is_sorted());
    for id in ids {
        assert_eq!(id.to_bytes()[6] >> 4, 7, "version 7");
        assert_eq!(id.to_bytes()[8] >> 6, 2, "the variant of RFC 9562");
        assert_eq!(id.to_string().parse::<TraceId>().unwrap(), id);
    }
    assert_eq!(kind_of(db.trace().record(thought("").time_micros((1 << 48) * 1000))), ErrorKind::Invalid);
    assert_eq!(kind_of("no id".parse::<TraceId>()), ErrorKind::Invalid);
}

#[test]
fn a_kind_needs_a_name_that_can_be_a_key() {
    let db = store();
    for name in ["", "a\0b"] {
        let record = TraceRecord::new(TraceKind::Custom(name.into()), "x");
        assert_eq!(kind_of(db.trace().record(record)), ErrorKind::Invalid);
    }
    let long = TraceRecord::new(TraceKind::Custom("k".repeat(2_000)), "x");
    assert_eq!(kind_of(db.trace().record(long)), ErrorKind::Limit);
    assert_eq!(TraceKind::from_name("tool_call"), TraceKind::ToolCall);
    assert_eq!(TraceKind::from_name("other").name(), "other");
}

#[test]
fn a_transaction_finds_its_own_entries() {
    let db = store();
    let root = db.trace().record(thought("root")).unwrap();
    db.transaction(|tx| {
        let part = tx.trace().record(thought("part").parent(root))?;
        assert_eq!(tx.trace().get(part)?.map(|entry| entry.name).as_deref(), Some("part"));
        assert_eq!(names(&tx.trace().list(&ScanOptions::all())?).len(), 2);
        assert_eq!(names(&tx.trace().children(root, &ScanOptions::all())?), ["part"]);
        assert_eq!(tx.trace().by_kind(&TraceKind::Thought, &ScanOptions::all())?.len(), 2);
        tx.trace().finish(part, None, Some(5))?;
        Ok::<_, crate::Error>(())
    })
    .unwrap();
    assert_eq!(db.trace().children(root, &ScanOptions::all()).unwrap()[0].duration_micros, Some(5));
}

#[test]
fn a_large_entry_is_kept_in_the_log_and_indexed_all_the_same() {
    let db = store();
    let id = db.trace().record(thought("large").data(vec![7_u8; 100_000])).unwrap();
    assert_eq!(db.trace().get(id).unwrap().unwrap().data.as_bytes().map(<[u8]>::len), Some(100_000));
    assert_eq!(names(&db.trace().roots(&ScanOptions::all()).unwrap()), ["large"]);
}

#[test]
fn the_index_of_a_malformed_entry_is_an_error_and_never_a_panic() {
    let bodies: [&[u8]; 6] = [b"", b"\xa0", b"\xa1\x64kind\x01", b"\xf6", b"\xa2\x64kind\x61a\x66parent\x41x", b"\xff"];
    for body in bodies {
        assert!(trace_index(&[0; 16], body).is_err(), "{body:?}");
    }
    let keys = trace_index(&[9; 16], b"\xa2\x64kind\x61a\x66parent\xf6").unwrap();
    assert_eq!(keys[0], Family::TraceByParent.key(&[&[0; 16][..], &[9; 16]].concat()));
    assert_eq!(keys[1], Family::TraceByType.key(format!("a\0{}", "\t".repeat(16)).as_bytes()));
}
