//! Files whose checksums hold and whose content nobody of ours wrote: found by fuzzing, told one by one.

use alloc::{
    collections::BTreeMap,
    format,
    string::{String, ToString},
    sync::Arc,
    vec,
    vec::Vec,
};
use core::ops::ControlFlow;

use crate::{
    Db, Error, ErrorKind, Options, RecoveryMode, Result, StoreId,
    host::SteppedHost,
    limits::NUMBER_MAX,
    log::{
        Anchor, FrameSeal, FrameType, FrameWriter, LogPosition, OpCode, Reasons, RecordHeader, RecordWriter,
        SegmentHeader, segment_name,
    },
    primitive::ScanOptions,
    state::{EditBody, encode_body},
    storage::MemStorage,
    value::Value,
};

type Files = BTreeMap<String, Vec<u8>>;

const SALT: [u8; 16] = [3; 16];

fn open(files: &Files) -> (MemStorage, Result<Db<MemStorage>>) {
    let storage = MemStorage::from_files(files.clone());
    let db = Db::open(storage.clone(), Arc::new(SteppedHost::new(0)), Options::new().segment_bytes(4096));
    (storage, db)
}

/// Opening fails as `kind` says and has changed nothing. Returns the message.
fn refused(files: &Files, kind: ErrorKind) -> String {
    let (storage, db) = open(files);
    let error = db.expect_err("the store is refused");
    assert_eq!(error.kind(), kind, "{error}");
    assert_eq!(storage.files(), *files, "an opening that failed changed something");
    error.to_string()
}

/// What verification says of a store that opens.
fn violations(files: &Files) -> Vec<String> {
    let db = open(files).1.unwrap();
    let report = db.verify(&mut |_| ControlFlow::Continue(())).unwrap();
    report.violations.iter().map(|violation| violation.what.clone()).collect()
}

/// A log of one segment that is written by hand.
struct Log {
    header: SegmentHeader,
    bytes: Vec<u8>,
    seq: u64,
}

/// An operation: space, code, key, body.
type Operation<'a> = (u32, OpCode, &'a [u8], &'a [u8]);

impl Log {
    fn new() -> Self {
        let header = SegmentHeader {
            store: StoreId::from_bytes([5; 16]),
            segment: 1,
            epoch: 1,
            salt: SALT,
            first_seq: 1,
            previous: None,
        };
        Log { bytes: header.encode().to_vec(), header, seq: 0 }
    }

    /// One frame; a part has its number, and a place in the past to name.
    fn frame(&mut self, kind: FrameType, part: Option<u32>, previous: Option<LogPosition>, operation: Operation<'_>) {
        let at = LogPosition { segment: 1, offset: self.bytes.len() as u64 };
        let (space, code, key, body) = operation;
        let frame = FrameWriter::begin(&mut self.bytes, kind);
        let header = RecordHeader {
            seq: self.seq + 1,
            mark: 0,
            time_micros: 7,
            idempotency_key: None,
            reasons: Reasons::default(),
            part,
        };
        let mut record = RecordWriter::begin(&mut self.bytes, &header, at, 1);
        record.group(space, previous, 1);
        record.op(code, key, body);
        frame.finish(&mut self.bytes, &FrameSeal::new(&SALT, 1), at.offset).unwrap();
        self.seq += u64::from(kind != FrameType::Part);
    }

    fn transaction(&mut self, operation: Operation<'_>) {
        self.frame(FrameType::Transaction, None, None, operation);
    }

    /// The store, by whose anchor everything up to `proven_seq` is durable.
    fn files(&self, proven_seq: u64) -> Files {
        let anchor = Anchor {
            counter: 1,
            store: self.header.store,
            newest_segment: 1,
            oldest_segment: 1,
            newest_snapshot: None,
            proven_seq,
            end: None,
        };
        BTreeMap::from([(segment_name(1), self.bytes.clone()), ("anchor-a".into(), anchor.encode().to_vec())])
    }
}

/// A log of this one operation in the default space.
fn log_of(code: OpCode, key: &[u8], body: &[u8]) -> Log {
    let mut log = Log::new();
    log.transaction((0, code, key, body));
    log
}

/// Verification looked at checksums alone: a pair whose bytes are no value could not be read, and the store was said to be
/// in order.
#[test]
fn what_no_reader_can_read_is_named_by_verification() {
    let event = [1, 1, b'k', 1, 0xff];
    let not_text = [1, 1, 0xff, 1, 0xf6];
    for (code, key, body) in [
        (OpCode::KvPut, &b"key"[..], &[0xff][..]),
        (OpCode::JsonPut, b"key", &[0x41, 0]),
        (OpCode::StatePut, b"key", &[1]),
        (OpCode::KvPutExpiring, b"key", &[9, 0xff]),
        (OpCode::StatePutExpiring, b"key", &[9, 1]),
        (OpCode::EventAppend, b"stream", &event),
        (OpCode::EventAppend, b"stream", &not_text),
    ] {
        let found = violations(&log_of(code, key, body).files(1));
        assert!(!found.is_empty(), "{code:?}");
    }
    assert_eq!(violations(&log_of(OpCode::KvPut, b"key", &[1]).files(1)), Vec::<String>::new());
}

/// An opening wrote an anchor, and began a segment for the tail, before it noticed that the tail cannot be folded.
#[test]
fn a_tail_that_cannot_be_folded_is_refused_before_anything_is_written() {
    let log = log_of(OpCode::KvAdd, b"key", &[9]);
    for proven_seq in [0, 1] {
        assert!(refused(&log.files(proven_seq), ErrorKind::Corrupt).contains("F-39"));
    }
    let mut log = Log::new();
    log.transaction((4, OpCode::KvPut, b"key", &[1]));
    assert!(refused(&log.files(0), ErrorKind::Corrupt).contains("F-36"));
}

/// Where the first transaction of a log is.
const FIRST: LogPosition = LogPosition { segment: 1, offset: 128 };

/// The body of an edit of the document of commit `base_seq`, which makes it this one.
fn edit(base_seq: u64, kept: u64, splices: &[u8], document: &[u8]) -> Vec<u8> {
    let len = u32::try_from(document.len()).unwrap();
    EditBody { base_seq, kept, len, crc: crate::checksum::hash(document), splices }.encode()
}

/// A document: a text of so many `x`.
fn text(count: usize) -> Vec<u8> {
    let mut bytes = vec![0x79, 0, 0];
    bytes[1..3].copy_from_slice(&u16::try_from(count).unwrap().to_be_bytes());
    bytes.resize(count + 3, b'x');
    bytes
}

/// One more `x`: the head changes, and the letter comes behind it.
const ONE_MORE: [u8; 6] = [1, 2, 3, 0x03, 0xe9, b'x'];

#[test]
fn an_edit_of_another_document_than_the_one_that_is_there_is_corruption() {
    let (whole, longer) = (text(1000), text(1001));
    let splices = &ONE_MORE[..];
    let log = || log_of(OpCode::JsonPut, b"doc", &whole);
    let with = |mut log: Log, body: &[u8]| {
        log.frame(FrameType::Transaction, None, Some(FIRST), (0, OpCode::JsonEdit, b"doc", body));
        log.files(log.seq)
    };
    let good = with(log(), &edit(1, 0, splices, &longer));
    let db = open(&good).1.unwrap();
    assert_eq!(db.json().get("doc").unwrap().unwrap().as_str().map(str::len), Some(1001));
    assert_eq!(violations(&good), Vec::<String>::new());
    let bad = [
        ("another commit", edit(2, 0, splices, &longer)),
        ("edits that are not there", edit(1, 1, splices, &longer)),
        ("more than there may be", edit(1, 32, splices, &longer)),
        ("no splices", edit(1, 0, &[], &longer)),
        ("bytes that are none", edit(1, 0, &[1, 2, 9], &longer)),
        ("cut off", vec![1, 0]),
    ];
    for (what, body) in bad {
        let error = open(&with(log(), &body)).1.expect_err(what);
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{what}: {error}");
    }
    let small = log_of(OpCode::JsonPut, b"doc", &text(256));
    assert!(refused(&with(small, &edit(1, 0, splices, &longer)), ErrorKind::Corrupt).contains("in the tree"));
    let none = log_of(OpCode::JsonPut, b"other", &whole);
    assert!(refused(&with(none, &edit(1, 0, splices, &longer)), ErrorKind::Corrupt).contains("no document"));
}

/// What comes out is looked at whenever it is read, and by verification: the fold only notes where the splices are.
#[test]
fn an_edit_that_makes_something_else_than_it_says_is_found_by_whoever_reads_it() {
    for (splices, document) in [(&ONE_MORE[..], text(1002)), (&[9, 200, 200, 7, 1, b'y'][..], text(1001))] {
        let mut log = log_of(OpCode::JsonPut, b"doc", &text(1000));
        let operation = (0, OpCode::JsonEdit, &b"doc"[..], &edit(1, 0, splices, &document)[..]);
        log.frame(FrameType::Transaction, None, Some(FIRST), operation);
        let files = log.files(2);
        let db = open(&files).1.unwrap();
        assert_eq!(db.json().get("doc").unwrap_err().kind(), ErrorKind::Corrupt);
        assert_eq!(db.json().push_at("doc", "", &serde_json::json!(1)).unwrap_err().kind(), ErrorKind::Corrupt);
        assert_eq!(violations(&files).len(), 1);
    }
}

/// Without the check of its base the edit would have been made in the document of the commit before the lost one.
#[test]
fn salvage_skips_an_edit_whose_document_is_lost() {
    let mut log = log_of(OpCode::JsonPut, b"doc", &text(1000));
    let lost = log.bytes.len();
    log.transaction((0, OpCode::JsonPut, b"doc", &text(1000)));
    log.transaction((0, OpCode::JsonEdit, b"doc", &edit(2, 0, &ONE_MORE, &text(1001))));
    log.transaction((0, OpCode::KvPut, b"key", &[1]));
    log.bytes[lost + 40] ^= 1;
    let storage = MemStorage::from_files(log.files(4));
    let options = Options::new().recovery(RecoveryMode::Salvage);
    let db = Db::open(storage, Arc::new(SteppedHost::new(0)), options).unwrap();
    assert_eq!(db.json().get("doc").unwrap().unwrap().as_str().map(str::len), Some(1000));
    assert_eq!(db.kv().get::<u8>("key"), Ok(Some(1)));
    let damage = &db.recovery_report().damage;
    assert!(format!("{:?} {:?}", damage, db.recovery_report().log.damage).contains("document of seq 2"), "{damage:?}");
}

fn begin(name: &str) -> Vec<u8> {
    let metadata = Value::Null;
    let labels = BTreeMap::new();
    encode_body(&crate::state::RunBegun { name: name.into(), parent: None, labels, metadata, epoch: 1 }).unwrap()
}

/// Both runs were listed, and the id led to the second one only; a snapshot of that could not be written any more.
#[test]
fn a_second_run_with_the_same_id_is_corruption() {
    let mut log = Log::new();
    log.transaction((1, OpCode::RunBegin, &[1; 16], &begin("first")));
    assert_eq!(open(&log.files(1)).1.unwrap().view().runs().len(), 1);
    log.transaction((2, OpCode::RunBegin, &[1; 16], &begin("second")));
    assert!(refused(&log.files(2), ErrorKind::Corrupt).contains("F-36"));
}

/// The program that shows findings read the number out of the text, and looked it up to name the run.
#[test]
fn a_finding_in_a_run_has_the_number_of_the_run() {
    let mut log = Log::new();
    log.transaction((0, OpCode::KvPut, b"key", &[0xff]));
    let begun = LogPosition { segment: 1, offset: log.bytes.len() as u64 };
    log.transaction((1, OpCode::RunBegin, &[1; 16], &begin("run")));
    log.frame(FrameType::Transaction, None, Some(begun), (1, OpCode::KvPut, b"key", &[0xff]));
    let db = open(&log.files(3)).1.unwrap();
    let report = db.verify(&mut |_| ControlFlow::Continue(())).unwrap();
    let mut found: Vec<_> =
        report.violations.iter().map(|violation| (violation.place.as_str(), violation.run)).collect();
    found.dedup();
    assert_eq!(found, [("default space", None), ("run 1", Some(1))]);
}

/// A trace entry's index leads back by the last sixteen bytes of its key: with an id of another length it led nowhere.
#[test]
fn a_trace_entry_has_an_id_of_sixteen_bytes() {
    let db = Db::memory();
    let record = crate::primitive::TraceRecord::new(crate::primitive::TraceKind::Error, "name").time_micros(5);
    db.trace().record(record).unwrap();
    let body = [&b"\xa6\x64kind\x65error\x66parent\xf6\x64name\x61x\x64time\x05"[..], b"\x68duration\xf6\x64data\xf6"];
    let body = body.concat();
    assert!(open(&log_of(OpCode::TracePut, &[1; 16], &body).files(1)).1.is_ok());
    assert!(refused(&log_of(OpCode::TracePut, &[1; 15], &body).files(1), ErrorKind::Corrupt).contains("15 bytes"));
}

/// The history of a space led into the middle of a transaction in parts, whose rest was read for each of them: the work
/// grew with the square of the log.
#[test]
fn a_history_that_leads_into_a_transaction_is_refused() {
    let mut log = Log::new();
    log.transaction((0, OpCode::KvPut, b"a", &[1]));
    let first = LogPosition { segment: 1, offset: 128 };
    let mut parts = Vec::new();
    for part in 0..3 {
        parts.push(LogPosition { segment: 1, offset: log.bytes.len() as u64 });
        log.frame(FrameType::Part, Some(part), Some(first), (0, OpCode::KvPut, b"b", &[1]));
    }
    log.frame(FrameType::Commit, Some(3), Some(first), (0, OpCode::KvPut, b"c", &[1]));
    assert_eq!(violations(&log.files(2)), Vec::<String>::new(), "as long as it leads to the beginning");
    log.frame(FrameType::Transaction, None, Some(parts[1]), (0, OpCode::KvPut, b"d", &[1]));
    let found = violations(&log.files(3));
    assert!(found.iter().any(|what| what.contains("does not belong here")), "{found:?}");
}

/// The next number after the last one was taken as if it existed: the commit that took it could not be read any more. With
/// an epoch at its end the opening overflowed.
/// A counter of exactly the limit was opened, counted on from, and then refused by every opening.
#[test]
fn no_number_is_written_that_the_next_opening_would_refuse_to_read() {
    let mut files = log_of(OpCode::KvPut, b"key", &[1]).files(1);
    let anchor = Anchor { counter: NUMBER_MAX - 1, ..Anchor::decode("anchor-a", &files["anchor-a"]).unwrap().unwrap() };
    files.insert("anchor-a".into(), anchor.encode().to_vec());
    let (storage, db) = open(&files);
    let db = db.unwrap();
    db.kv().put("more", 1).unwrap();
    // The first commit has written the last anchor that there is, and the snapshot needs another one.
    assert_eq!(db.snapshot().unwrap_err().kind(), ErrorKind::Limit);
    drop(db);
    let options = Options::new().recovery(RecoveryMode::Salvage);
    let db = Db::open(storage, Arc::new(SteppedHost::new(0)), options).unwrap();
    assert_eq!(db.kv().get::<u8>("more"), Ok(Some(1)));
}

#[test]
fn a_store_whose_numbers_come_to_their_end_is_refused_while_it_can_still_be_read() {
    let whole = log_of(OpCode::KvPut, b"key", &[1]).files(1);
    for name in ["log-18446744073709551614", "snap-18446744073709551614"] {
        let mut files = whole.clone();
        files.insert(name.into(), vec![0; 8]);
        assert!(refused(&files, ErrorKind::Limit).contains("9223372036854775808"), "{name}");
    }
    let mut files = whole.clone();
    files.insert(segment_name(NUMBER_MAX - 2), vec![0; 8]);
    let db = open(&files).1.unwrap();
    db.kv().put("more", 1).unwrap();
    for (epoch, kind) in
        [(u64::MAX, ErrorKind::Corrupt), (u64::MAX - 1, ErrorKind::Limit), (NUMBER_MAX, ErrorKind::Limit)]
    {
        let mut log = Log::new();
        log.header.epoch = epoch;
        log.bytes = log.header.encode().to_vec();
        refused(&log.files(0), kind);
    }
    let mut files = whole;
    for counter in [NUMBER_MAX, u64::MAX - 1] {
        let anchor = Anchor { counter, ..Anchor::decode("anchor-a", &files["anchor-a"]).unwrap().unwrap() };
        files.insert("anchor-a".into(), anchor.encode().to_vec());
        refused(&files, ErrorKind::Limit);
    }
    // What is there can be read all the same.
    let storage = MemStorage::from_files(files);
    let options = Options::new().recovery(RecoveryMode::Salvage);
    let db = Db::open(storage, Arc::new(SteppedHost::new(0)), options).unwrap();
    assert_eq!(db.kv().get::<u8>("key"), Ok(Some(1)));
}

/// It was `Invalid`, as if the caller had asked wrongly.
#[test]
fn a_value_that_nobody_can_read_is_damage_and_told_with_the_page_that_it_came_from() {
    type Read = fn(&Db<MemStorage>) -> Result<()>;
    let reads: [(OpCode, &str, Read); 5] = [
        (OpCode::KvPut, "get", |db| db.kv().get::<u8>("key").map(drop)),
        (OpCode::KvPut, "scan", |db| db.kv().scan(&ScanOptions::all()).map(drop)),
        (OpCode::KvPut, "in a transaction", |db| db.transaction(|tx| tx.kv().get::<u8>("key").map(drop)).map(drop)),
        (OpCode::JsonPut, "document", |db| db.json().get("key").map(drop)),
        (OpCode::StatePut, "cell", |db| db.state().get::<u8>("key").map(drop)),
    ];
    for (code, name, read) in reads {
        let (storage, db) = open(&log_of(code, b"key", &[0x1c, 0xff]).files(1));
        let db = db.unwrap();
        assert_eq!(read(&db).unwrap_err().kind(), ErrorKind::Corrupt, "{name}, from the log");
        db.snapshot().unwrap();
        db.close().unwrap();
        let db = open(&storage.files()).1.unwrap();
        match read(&db).unwrap_err() {
            Error::Corrupt { file, offset, what, .. } => {
                assert!(
                    file.starts_with("snap-") && offset > 0 && what.contains("key"),
                    "{name}: {file} {offset} {what}"
                );
            }
            other => panic!("{name}: {other}"),
        }
    }
    // What is in order, and not what was asked for, stays the caller's.
    let db = open(&log_of(OpCode::KvPut, b"key", &[0x61, b'a']).files(1)).1.unwrap();
    assert_eq!(db.kv().get::<u8>("key").unwrap_err().kind(), ErrorKind::Invalid);
}
