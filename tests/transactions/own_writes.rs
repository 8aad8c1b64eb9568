//! What a transaction sees of its own writes, merged with what is committed.

use std::ops::ControlFlow;

use foldb::{
    Direction, KeyRange,
    primitive::{NewEvent, ScanOptions, TraceKind, TraceRecord, Version},
};
use ruint::aliases::U256;
use serde_json::json;

use super::*;

#[test]
fn a_transaction_reads_its_own_pairs_merged_with_what_is_committed_in_both_directions() {
    let db = store_with(&[("a", 1), ("b", 2), ("c", 3), ("d", 4)]);
    let tx = db.begin_transaction().unwrap();
    tx.kv().put("aa", 10).unwrap();
    tx.kv().put("b", 20).unwrap();
    tx.kv().remove("c").unwrap();
    tx.kv().add_i64("d", 40).unwrap();
    tx.kv().add_i64("e", 5).unwrap();
    tx.kv().put("gone", 1).unwrap();
    assert!(tx.kv().delete("gone").unwrap());
    tx.kv().put("0", 0).unwrap();
    let expected = [("0", 0), ("a", 1), ("aa", 10), ("b", 20), ("d", 44), ("e", 5)];
    let scanned = |options: ScanOptions| -> Vec<(String, i64)> {
        let pairs = tx.kv().scan_as::<i64>(&options).unwrap();
        pairs.into_iter().map(|pair| (String::from_utf8(pair.key).unwrap(), pair.value)).collect()
    };
    let owned =
        |pairs: &[(&str, i64)]| pairs.iter().map(|(key, value)| ((*key).to_owned(), *value)).collect::<Vec<_>>();
    assert_eq!(scanned(ScanOptions::all()), owned(&expected));
    let reversed: Vec<_> = expected.iter().rev().copied().collect();
    assert_eq!(scanned(ScanOptions::all().reverse()), owned(&reversed));
    // Every page size gives the same pairs, in both directions.
    for size in 1..=7 {
        for direction in [Direction::Forward, Direction::Backward] {
            let mut paged = Vec::new();
            let mut options = ScanOptions::all().direction(direction).limit(size);
            loop {
                let page = scanned(options.clone());
                let Some((last, _)) = page.last() else { break };
                options = options.after(last);
                paged.extend(page);
            }
            let expected = if direction == Direction::Forward { owned(&expected) } else { owned(&reversed) };
            assert_eq!(paged, expected, "pages of {size}");
        }
    }
    assert_eq!(tx.kv().count(KeyRange::prefix(b"a")).unwrap(), 2);
    assert_eq!(tx.kv().get_many::<i64, _>(["c", "d", "x"]).unwrap(), [None, Some(44), None]);
    let version = tx.kv().get_versioned::<i64>("b").unwrap().unwrap().version;
    assert_eq!(version, Version::UNCOMMITTED);
    tx.commit().unwrap();
    let committed: Vec<_> = db.kv().scan_as::<i64>(&ScanOptions::all()).unwrap();
    assert_eq!(committed.into_iter().map(|pair| pair.value).collect::<Vec<_>>(), [0, 1, 10, 20, 44, 5]);
}

#[test]
fn a_transaction_reads_its_own_counters_of_every_type_after_puts_deletes_and_additions() {
    let db = store();
    db.kv().put("put", 100).unwrap();
    db.kv().add_u256("wide", U256::MAX - U256::from(5)).unwrap();
    let tx = db.begin_transaction().unwrap();
    tx.kv().add_i64("put", 1).unwrap();
    tx.kv().put("fresh", 7).unwrap();
    tx.kv().add_i64("fresh", -9).unwrap();
    tx.kv().remove("put again").unwrap();
    tx.kv().add_u64("put again", 3).unwrap();
    tx.kv().add_f64("float", 0.25).unwrap();
    tx.kv().add_f64("float", 0.5).unwrap();
    tx.kv().add_u256("wide", U256::from(5)).unwrap();
    let check = |kv: &dyn Fn(&str) -> Option<foldb::value::Value>| {
        assert_eq!(kv("put"), Some(101.into()));
        assert_eq!(kv("fresh"), Some((-2).into()));
        assert_eq!(kv("put again"), Some(3.into()));
        assert_eq!(kv("float"), Some(0.75.into()));
    };
    check(&|key| tx.kv().get(key).unwrap());
    assert_eq!(tx.kv().get::<U256>("wide").unwrap(), Some(U256::MAX));
    tx.commit().unwrap();
    check(&|key| db.kv().get(key).unwrap());
    assert_eq!(db.kv().get::<U256>("wide").unwrap(), Some(U256::MAX));
}

#[test]
fn a_transaction_reads_its_own_documents_cells_events_and_traces() {
    let db = store();
    db.json().set("old", &json!({ "n": 1 })).unwrap();
    db.state().init("old", 1).unwrap();
    db.events().append_batch("log", [NewEvent::new("e", 1), NewEvent::new("e", 2)]).unwrap();
    let parent = db.trace().record(TraceRecord::new(TraceKind::Thought, "plan")).unwrap();

    let tx = db.begin_transaction().unwrap();
    tx.json().set_at("old", "/n", &json!(2)).unwrap();
    tx.json().set("new", &json!([1])).unwrap();
    assert_eq!(tx.json().push_at("new", "", &json!(2)).unwrap(), 2);
    assert_eq!(tx.json().get("old").unwrap(), Some(json!({ "n": 2 })));
    assert_eq!(keys(&tx.json().keys(&ScanOptions::all().reverse()).unwrap()), ["old", "new"]);
    assert!(tx.json().delete("old").unwrap());
    assert_eq!(tx.json().count(KeyRange::all()).unwrap(), 1);

    assert_eq!(tx.state().set("old", 2).unwrap(), 2);
    assert_eq!(tx.state().cas("old", 2, 3).unwrap(), 3);
    assert_eq!(tx.state().transition("old", |value: i64| Ok(value * 10)).unwrap().counter, 4);
    assert_eq!(tx.state().get::<i64>("old").unwrap().unwrap().value, 30);
    assert!(tx.state().delete("old").unwrap());
    assert_kind(tx.state().cas("old", 4, 1), ErrorKind::Precondition);

    assert_eq!(tx.events().append("log", "e", 3).unwrap(), None);
    tx.events().append("log", "e", 4).unwrap();
    tx.events().append("other", "e", 1).unwrap();
    let payloads = |direction| -> Vec<i64> {
        let events = tx.events().range_as::<i64>("log", .., None, direction).unwrap();
        events.into_iter().map(|event| event.payload).collect()
    };
    assert_eq!(payloads(Direction::Forward), [1, 2, 3, 4]);
    assert_eq!(payloads(Direction::Backward), [4, 3, 2, 1]);
    assert_eq!((tx.events().head("log").unwrap(), tx.events().len("log").unwrap()), (4, 4));
    tx.events().trim("log", 4).unwrap();
    assert_eq!(payloads(Direction::Forward), [4]);
    assert_eq!(tx.events().streams(&ScanOptions::all()).unwrap().len(), 2);
    assert!(tx.events().delete_stream("log").unwrap());
    assert_eq!(tx.events().head("log").unwrap(), 0);
    tx.events().append("log", "again", 1).unwrap();
    assert_eq!(payloads(Direction::Forward), [1]);

    let child = tx.trace().record(TraceRecord::new(TraceKind::Query, "look").parent(parent)).unwrap();
    assert_eq!(tx.trace().children(parent, &ScanOptions::all()).unwrap()[0].id, child);
    assert_eq!(tx.trace().by_kind(&TraceKind::Query, &ScanOptions::all()).unwrap().len(), 1);
    tx.trace().finish(child, Some("done".into()), Some(9)).unwrap();
    tx.trace().finish(parent, None, Some(9)).unwrap();
    assert_eq!(tx.trace().list(&ScanOptions::all().reverse()).unwrap()[0].duration_micros, Some(9));
    tx.commit().unwrap();

    assert_eq!(db.json().list(&ScanOptions::all()).unwrap()[0].document, json!([1, 2]));
    assert!(!db.state().exists("old").unwrap());
    let events = db.events().range_as::<i64>("log", .., None, Direction::Forward).unwrap();
    assert_eq!(events.iter().map(|event| (event.seq, event.payload)).collect::<Vec<_>>(), [(1, 1)]);
    assert_eq!(db.trace().get(child).unwrap().unwrap().output, "done".into());
    assert!(db.verify(&mut |_| ControlFlow::Continue(())).unwrap().is_ok());
}

#[test]
fn trimming_twice_in_one_transaction_keeps_the_higher_mark() {
    let db = store();
    db.events().append_batch("log", (1..=10).map(|number| NewEvent::new("e", number))).unwrap();
    let tx = db.begin_transaction().unwrap();
    tx.events().trim("log", 8).unwrap();
    tx.events().trim("log", 3).unwrap();
    assert_eq!(tx.events().first("log").unwrap(), Some(8));
    tx.commit().unwrap();
    assert_eq!(db.events().first("log").unwrap(), Some(8));
}

#[test]
fn a_trim_in_a_transaction_spares_what_is_appended_after_it_and_takes_what_was_before() {
    type Step = fn(&foldb::Transaction<'_, MemStorage>) -> Result<()>;
    let append: Step = |tx| tx.events().append("log", "e", 0).map(|_| ());
    let delete: Step = |tx| tx.events().delete_stream("log").map(|_| ());
    let trim_all: Step = |tx| tx.events().trim("log", 1000);
    let trim_to_3: Step = |tx| tx.events().trim("log", 3);
    // The stream has one event before each of these.
    let cases: [(&[Step], &[u64]); 9] = [
        (&[append, append], &[1, 2, 3]),
        (&[trim_all], &[]),
        (&[trim_all, append, append], &[2, 3]),
        // What was appended last must stay, and the first of it stays with it.
        (&[append, trim_all, append], &[2, 3]),
        (&[append, trim_all, append, trim_all], &[]),
        (&[append, append, trim_to_3], &[3]),
        (&[trim_to_3, append, append, trim_all], &[]),
        (&[trim_all, append, trim_all], &[]),
        (&[trim_all, delete, append, append, append, trim_to_3], &[3]),
    ];
    for (number, (steps, expected)) in cases.into_iter().enumerate() {
        let db = store();
        db.events().append("log", "e", 0).unwrap();
        let tx = db.begin_transaction().unwrap();
        steps.iter().for_each(|step| step(&tx).unwrap());
        let seqs = |events: Vec<foldb::primitive::Event>| events.iter().map(|event| event.seq).collect::<Vec<_>>();
        let inside = seqs(tx.events().range("log", .., None, Direction::Forward).unwrap());
        assert_eq!(inside, expected, "inside, case {number}");
        tx.commit().unwrap();
        let committed = seqs(db.events().range("log", .., None, Direction::Forward).unwrap());
        assert_eq!(committed, expected, "committed, case {number}");
        assert!(db.verify(&mut |_| ControlFlow::Continue(())).unwrap().is_ok());
    }
}
