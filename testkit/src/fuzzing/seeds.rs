//! The inputs that a fuzzer starts from: real stores and real values, the same bytes each time they are made.
//!
//! `cargo xtask fuzz --seeds` writes them into `fuzz/corpus/`. Invariant: a seed is a function of this file and of the
//! store; nothing random, no clock.

use std::{collections::BTreeMap, sync::Arc};

use foldb_core::{
    Db, Options, Result, RunOptions,
    log::{
        FrameOutcome, FrameSeal, FrameType, FrameWriter, LogPosition, OpCode, Reasons, RecordHeader, RecordWriter,
        read_frame, varint::Reader, write_mark,
    },
    primitive::{NewEvent, TraceKind, TraceRecord},
    storage::MemStorage,
    value::{Delta, Encode, Value},
};
use serde_json::json;

use super::{Disk, Fixup, disk::File};
use crate::{Random, SeededHost};

/// Files by name, as a store has left them.
type Files = BTreeMap<String, Vec<u8>>;

/// The seeds of a target, each with a name that says what it is.
pub fn seeds(target: &str) -> Vec<(String, Vec<u8>)> {
    match target {
        "anchor" => anchors(),
        "frames" => segments(),
        "snapshot" => snapshots(),
        "values" => values(),
        "documents" => documents(),
        "operations" => operations(),
        "transactions" => transactions(),
        "recovery" | "salvage" => disks(),
        _ => Vec::new(),
    }
}

fn options() -> Options {
    Options::new().segment_bytes(4096).snapshot_log_bytes(None).snapshot_on_close(false)
}

fn store(work: impl FnOnce(&Db<MemStorage>) -> Result<()>, close: bool) -> Files {
    let storage = MemStorage::new();
    let life = || Db::open(storage.clone(), Arc::new(SeededHost::new(1)), options()).expect("a store opens");
    let db = life();
    work(&db).expect("the work succeeds");
    if close {
        db.close().expect("a store closes");
        return trimmed(storage.files());
    }
    // As a killed process leaves it.
    let files = storage.files();
    drop(db);
    trimmed(files)
}

/// Without most of the reserved space at the ends of segments: it is zeros, and a fuzzer would chew on them.
fn trimmed(mut files: Files) -> Files {
    for bytes in files.values_mut() {
        let used = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        bytes.truncate(used.next_multiple_of(8) + 16);
    }
    files
}

fn everything(db: &Db<MemStorage>) -> Result<()> {
    let run = db.runs().begin(RunOptions::named("first").label("kind", "seed").metadata(3))?;
    db.transaction(|tx| {
        let run = tx.run(run.id())?;
        run.kv().put("a", "text")?;
        run.kv().put("large", vec![7_u8; 600])?;
        run.kv().add_u64("counted", 24)?;
        run.json().set("document", &json!({ "list": [1, 2.5, null], "text": "x" }))?;
        run.events().append_batch("stream", [NewEvent::new("kind", "one"), NewEvent::new("kind", "two")])?;
        run.state().set("cell", "on")?;
        let root = run.trace().record(TraceRecord::new(TraceKind::Decision, "root").time_micros(5))?;
        run.trace().record(TraceRecord::new(TraceKind::Error, "child").parent(root).time_micros(6).data(1))?;
        tx.kv().put("default", 1)
    })?;
    run.events().trim("stream", 2)?;
    run.json().patch("document", &json!([{ "op": "add", "path": "/list/-", "value": 3 }]))?;
    run.set_label("kind", "changed")?;
    let options = foldb_core::TransactionOptions::new().idempotency_key("once");
    db.transaction_with(&options, |tx| tx.kv().add_i64("sum", -5))?;
    run.end()?;
    Ok(())
}

fn with_snapshots(db: &Db<MemStorage>) -> Result<()> {
    everything(db)?;
    db.snapshot()?;
    let run = db.runs().begin(RunOptions::named("second"))?;
    for number in 0..20 {
        run.kv().put(format!("key {number}"), number)?;
    }
    db.snapshot()?;
    run.kv().remove("key 3")?;
    run.events().append("stream", "kind", "one")?;
    db.runs().delete(run.id())?;
    Ok(())
}

fn rotated(db: &Db<MemStorage>) -> Result<()> {
    for number in 0..14_u8 {
        db.kv().put([number], vec![number; 900])?;
    }
    db.kv().remove([3])
}

/// A document of which only the changes are logged, and a snapshot of it.
fn edited(db: &Db<MemStorage>) -> Result<()> {
    let text = "x".repeat(foldb_core::limits::EDITED_DOCUMENT_BYTES_MIN);
    db.json().set("document", &json!({ "list": [1, 2.5, null], "text": text }))?;
    db.json().push_at("document", "/list", &json!("item"))?;
    db.snapshot()?;
    db.transaction(|tx| {
        tx.json().push_at("document", "/list", &json!(4))?;
        tx.json().set_at("document", "/new", &json!(true)).map(|_| ())
    })
}

/// Real stores, closed, killed, torn and misled.
fn disks() -> Vec<(String, Vec<u8>)> {
    let killed = store(everything, false);
    let mut torn = killed.clone();
    if let Some(bytes) = torn.get_mut(&foldb_core::log::segment_name(1)) {
        bytes.truncate(bytes.len() * 3 / 4);
    }
    let disks = [
        ("empty", store(|_| Ok(()), true), Fixup::ALL),
        ("one-commit", store(|db| db.kv().put("key", "value"), true), Fixup::ALL),
        ("everything-closed", store(everything, true), Fixup::ALL),
        ("everything-killed", killed.clone(), Fixup::ALL),
        ("torn", torn, Fixup { frames: false, ..Fixup::ALL }),
        ("plain", killed, Fixup::NONE),
        ("snapshots", store(with_snapshots, true), Fixup::ALL),
        ("snapshots-killed", store(with_snapshots, false), Fixup::ALL),
        ("rotated", store(rotated, false), Fixup::ALL),
        ("reopened", reopened(), Fixup::ALL),
        ("parts", in_parts(), Fixup::ALL),
        ("edited", store(edited, false), Fixup::ALL),
        ("forged", forged(), Fixup { inner_frames: true, ..Fixup::ALL }),
    ];
    disks.into_iter().map(|(name, files, fixup)| (name.into(), Disk { fixup, files }.encode())).collect()
}

/// A store that was killed twice: its tail was carried into a second segment.
fn reopened() -> Files {
    let storage = MemStorage::from_files(store(everything, false));
    let db = Db::open(storage.clone(), Arc::new(SeededHost::new(2)), options()).expect("a killed store opens");
    db.kv().put("second life", 1).expect("it goes on");
    let files = storage.files();
    drop(db);
    trimmed(files)
}

/// The frames of segment 1 of a store, with the salt of its header.
fn frames_of(files: &Files) -> (FrameSeal, &[u8]) {
    let bytes = &files[&foldb_core::log::segment_name(1)];
    let salt = bytes[48..64].try_into().expect("sixteen bytes");
    (FrameSeal::new(&salt, 1), bytes)
}

/// A store whose log ends with a transaction in three frames.
fn in_parts() -> Files {
    let mut files = store(|db| db.kv().put("key", "value"), false);
    let (seal, bytes) = frames_of(&files);
    let (mut end, mut seq) = (128, 0);
    while let FrameOutcome::Frame(frame) = read_frame(&bytes[end..], end as u64, &seal) {
        end = usize::try_from(frame.next).expect("a small file");
        seq += u64::from(frame.frame_type == FrameType::Transaction);
    }
    let mut log = bytes[..end].to_vec();
    for (kind, part) in [(FrameType::Part, 0), (FrameType::Part, 1), (FrameType::Commit, 2)] {
        let at = LogPosition { segment: 1, offset: log.len() as u64 };
        let frame = FrameWriter::begin(&mut log, kind);
        let header = RecordHeader {
            seq: seq + 1,
            mark: seq,
            time_micros: 9,
            idempotency_key: None,
            reasons: Reasons::default(),
            part: Some(part),
        };
        let mut record = RecordWriter::begin(&mut log, &header, at, 1);
        record.group(0, Some(LogPosition { segment: 1, offset: 128 }), 1);
        record.op(OpCode::KvPut, &[b'p', u8::try_from(part).unwrap_or(0)], b"\x01");
        frame.finish(&mut log, &seal, at.offset).expect("a small frame");
    }
    let offset = log.len() as u64;
    write_mark(&mut log, &seal, offset, seq + 1, seq + 1).expect("a small frame");
    files.insert(foldb_core::log::segment_name(1), log);
    files
}

/// A store with a value that is made of frames: whoever reads the log at the wrong place finds them.
fn forged() -> Files {
    let frames = store(|db| db.kv().put("key", "value"), false);
    let copied = frames_of(&frames).1[128..].repeat(4);
    store(
        |db| {
            db.kv().put("key", "value")?;
            db.kv().put("forged", copied.clone())?;
            db.kv().put("behind", 1)
        },
        false,
    )
}

/// All files of the disks with this tag.
fn files_with_tag(tag: u8) -> Vec<(String, u8, Vec<u8>)> {
    let mut found = Vec::new();
    for (disk, bytes) in disks() {
        for (name, bytes) in Disk::decode(&bytes).files {
            if let Some(file) = File::of(&name).filter(|file| file.tag == tag) {
                found.push((format!("{disk}-{tag}-{}", file.number), file.number, bytes));
            }
        }
    }
    found
}

fn anchors() -> Vec<(String, Vec<u8>)> {
    let found = files_with_tag(0).into_iter().chain(files_with_tag(1));
    found.map(|(name, _, bytes)| (name, [&[Fixup::ALL.to_byte()], &bytes[..]].concat())).collect()
}

fn segments() -> Vec<(String, Vec<u8>)> {
    let fixup = |name: &str| Fixup { inner_frames: name.starts_with("forged"), ..Fixup::ALL }.to_byte();
    let found = files_with_tag(2).into_iter();
    found.map(|(name, number, bytes)| (name.clone(), [&[fixup(&name), number], &bytes[..]].concat())).collect()
}

fn snapshots() -> Vec<(String, Vec<u8>)> {
    let found = files_with_tag(3).into_iter();
    found.map(|(name, _, bytes)| (name, [&[Fixup::ALL.to_byte()], &bytes[..]].concat())).collect()
}

fn values() -> Vec<(String, Vec<u8>)> {
    let deep = (0..100).fold(Value::Null, |inner, _| Value::List(vec![inner]));
    let values: [(&str, Value); 12] = [
        ("null", Value::Null),
        ("true", true.into()),
        ("integers", Value::List([0_i64, 23, 24, 255, 256, 65_536, -1, i64::MIN].map(Value::from).into())),
        ("floats", Value::List([0.0, -0.0, 1.5, f64::NAN, f64::INFINITY, 0.1, 65_504.0].map(Value::from).into())),
        ("text", "naïve".into()),
        ("bytes", Value::Bytes(vec![0, 255])),
        ("map", Value::Map(vec![("a".into(), 1.into()), ("a".into(), Value::Null)])),
        ("keys", Value::Map(vec![(Value::List(vec![]), Value::Map(vec![]))])),
        ("tag", Value::Tag(2, Box::new(Value::Bytes(vec![1; 32])))),
        ("tagged-tag", Value::Tag(0, Box::new(Value::Tag(u64::MAX, Box::new(1.into()))))),
        ("deep", deep),
        ("document", Value::Map(vec![("list".into(), Value::List(vec![1.into(), 2.5.into()]))])),
    ];
    let encoded = |value: &Value| {
        let mut out = Vec::new();
        value.encode(&mut out).expect("a small value");
        out
    };
    let mut seeds: Vec<_> = values.iter().map(|(name, value)| ((*name).to_owned(), encoded(value))).collect();
    for (name, delta) in [("i64", Delta::I64(-5)), ("u64", Delta::U64(24)), ("f64", Delta::F64(0.5))] {
        let mut out = Vec::new();
        delta.encode(&mut out);
        let _ = 7_i64.encode(&mut out);
        seeds.push((format!("counter-{name}"), out));
    }
    // Heads that lie, nest or repeat themselves.
    seeds.push(("counts".into(), [[0x9b, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]; 8].concat()));
    seeds.push(("too-deep".into(), vec![0x81; 300]));
    seeds.push(("tags".into(), vec![0xc1; 200]));
    seeds
}

fn documents() -> Vec<(String, Vec<u8>)> {
    let seeds = [
        ("root", "\n{\"a\":1}\n{\"a\":null,\"b\":{\"c\":2}}"),
        ("pointer", "/a/b~1c/0\n{\"a\":{\"b/c\":[1,2,3]}}\n7"),
        ("dollar", "$.a.b[0]\n{\"a\":{\"b\":[1]}}\n{\"x\":[]}"),
        ("quoted", "$['a b'][\"c\"]\n{\"a b\":{\"c\":null}}\n1.5"),
        ("append", "/list/-\n{\"list\":[]}\n\"item\""),
        ("number", "/n\n{\"n\":18446744073709551615}\n1"),
        (
            "patch",
            "/a\n{\"a\":[1,2],\"b\":{}}\n[{\"op\":\"test\",\"path\":\"/a/0\",\"value\":1.0},\
             {\"op\":\"move\",\"from\":\"/a/1\",\"path\":\"/b/x\"},{\"op\":\"copy\",\"from\":\"/b\",\"path\":\"/a/-\"},\
             {\"op\":\"remove\",\"path\":\"/a/0\"},{\"op\":\"replace\",\"path\":\"\",\"value\":[]}]",
        ),
        (
            "doubling",
            "/a\n{\"a\":[0]}\n[{\"op\":\"copy\",\"from\":\"/a\",\"path\":\"/a/-\"},\
             {\"op\":\"copy\",\"from\":\"/a\",\"path\":\"/a/-\"},{\"op\":\"copy\",\"from\":\"/a\",\"path\":\"/a/-\"}]",
        ),
        ("deep", "/0/0/0/0\n[[[[[[[[1]]]]]]]]\n[[[[2]]]]"),
    ];
    seeds.iter().map(|(name, text)| ((*name).into(), text.as_bytes().to_vec())).collect()
}

/// The records of the stores from the number of their groups on.
fn operations() -> Vec<(String, Vec<u8>)> {
    let disks = disks().into_iter().map(|(name, bytes)| (name, Disk::decode(&bytes).files));
    disks
        .filter_map(|(name, files)| {
            files.get(&foldb_core::log::segment_name(1))?;
            let (seal, bytes) = frames_of(&files);
            let (mut offset, mut out) = (128, Vec::new());
            while let FrameOutcome::Frame(frame) = read_frame(&bytes[offset.min(bytes.len())..], offset as u64, &seal) {
                offset = usize::try_from(frame.next).ok()?;
                if frame.frame_type == FrameType::Transaction {
                    let (keyed, groups) = groups_of(frame.payload)?;
                    out.push(u8::from(keyed));
                    out.extend_from_slice(&u16::try_from(groups.len()).ok()?.to_le_bytes());
                    out.extend_from_slice(groups);
                }
            }
            (!out.is_empty()).then_some((name, out))
        })
        .collect()
}

/// Whether a record has an idempotency key, and what follows its head (F-14).
fn groups_of(payload: &[u8]) -> Option<(bool, &[u8])> {
    let mut reader = Reader::new(payload);
    for _ in 0..3 {
        reader.varint().ok()?;
    }
    let keyed = reader.varint().ok()? == 1;
    if keyed {
        reader.length_and_bytes().ok()?;
    }
    Some((keyed, &payload[payload.len() - reader.remaining()..]))
}

/// Bytes for the generator of steps: nothing that anybody could write by hand.
fn transactions() -> Vec<(String, Vec<u8>)> {
    let mut random = Random::new(1);
    (0..6).map(|number| (format!("random-{number}"), random.split().bytes(200 << number))).collect()
}
