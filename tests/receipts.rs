//! What a commit is answered with: where its events are.

use foldb::{
    AppendedEvents, Db, Durability, Error, Options, RunOptions, TransactionOptions, primitive::NewEvent,
    storage::MemStorage,
};
use foldb_testkit::SeededHost;
use std::{ops::RangeInclusive, sync::Arc};

fn open(durability: Durability) -> Db<MemStorage> {
    Db::open(MemStorage::new(), Arc::new(SeededHost::new(1)), Options::new().durability(durability)).unwrap()
}

fn places(appended: &[AppendedEvents]) -> Vec<(bool, String, RangeInclusive<u64>)> {
    let place = |events: &AppendedEvents| {
        (events.run.is_some(), String::from_utf8(events.stream.clone()).unwrap(), events.seqs())
    };
    appended.iter().map(place).collect()
}

#[test]
fn a_receipt_says_which_seqs_the_events_of_its_transaction_have_stream_by_stream() {
    // A strict one of many writes is applied behind its sync.
    for (durability, writes) in [(Durability::buffered(), 1), (Durability::Strict, 1), (Durability::Strict, 200)] {
        let db = open(durability);
        db.events().append("log", "earlier", 1).unwrap();
        let (run, receipt) = db
            .transaction_with(&TransactionOptions::new(), |tx| {
                tx.kv().put_many((0..writes).map(|number: u64| (number.to_be_bytes(), number)))?;
                let run = tx.runs().begin(RunOptions::named("new"))?;
                run.events().append("log", "of the run", 1)?;
                tx.events().append("log", "b", 1)?;
                tx.events().append_batch("other", (0..3).map(|number| NewEvent::new("c", number)))?;
                tx.events().append("log", "d", 1)?;
                Ok::<_, Error>(run.id())
            })
            .unwrap();
        let expected = [(false, "log", 2..=3), (false, "other", 1..=3), (true, "log", 1..=1)];
        let expected: Vec<_> = expected.map(|(run, stream, seqs)| (run, stream.to_string(), seqs)).into();
        assert_eq!(places(&receipt.appended), expected);
        assert_eq!(receipt.appended[2].run, Some(run));
        assert_eq!(db.events().get("log", 3).unwrap().unwrap().kind, "d");
    }
}

#[test]
fn a_receipt_of_what_was_done_before_names_no_events() {
    let db = open(Durability::Strict);
    let once = TransactionOptions::new().idempotency_key("once");
    let append = |tx: &foldb::Transaction<'_, _>| tx.events().append("log", "paid", 1);
    let (_, first) = db.once_with(&once, append).unwrap();
    assert_eq!(places(&first.appended), [(false, "log".to_string(), 1..=1)]);
    let (_, again) = db.once_with(&once, append).unwrap();
    assert!(again.deduplicated && again.seq == first.seq && again.appended.is_empty());
}

#[test]
fn a_receipt_reads_well_and_is_data() {
    let db = open(Durability::buffered());
    let append = |tx: &foldb::Transaction<'_, _>| tx.events().append("log", "paid", 1);
    let (_, receipt) = db.transaction_with(&TransactionOptions::new(), append).unwrap();
    assert!(format!("{receipt:?}").contains(r#"stream: "log", seqs: 1..=1"#), "{receipt:?}");
    let expected = serde_json::json!({
        "seq": 1, "durable": false, "deduplicated": false,
        "appended": [{ "run": null, "stream": "log", "first_seq": 1, "count": 1 }],
    });
    assert_eq!(serde_json::to_value(&receipt).unwrap(), expected);
}

/// It named the default space, and the seqs of a stream there that has the same name.
#[test]
fn a_receipt_does_not_name_events_that_went_with_a_run_that_the_transaction_deleted() {
    let db = open(Durability::buffered());
    let run = db.runs().begin(RunOptions::named("short")).unwrap().id();
    let (_, receipt) = db
        .transaction_with(&TransactionOptions::new(), |tx| {
            tx.run(run)?.events().append("log", "of the run", 1)?;
            tx.events().append("log", "kept", 1)?;
            tx.runs().delete(run)
        })
        .unwrap();
    assert_eq!(places(&receipt.appended), [(false, "log".to_string(), 1..=1)]);
}

/// More than 8 MiB for one stream are several operations.
#[test]
fn a_receipt_names_a_stream_once_however_much_was_appended_to_it() {
    let db = open(Durability::buffered());
    let large = "x".repeat(5 << 20);
    let (_, receipt) = db
        .transaction_with(&TransactionOptions::new(), |tx| {
            (0..3).try_for_each(|_| tx.events().append("log", "large", large.as_str()).map(drop))
        })
        .unwrap();
    assert_eq!(places(&receipt.appended), [(false, "log".to_string(), 1..=3)]);
}
