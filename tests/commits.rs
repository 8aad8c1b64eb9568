//! What the log says of single commits: when each was made, on what, and why.

use std::sync::Arc;

use foldb::{
    Cause, ChangeFilter, Db, Durability, Error, ErrorKind, FsStorage, Options, OsHost, RunOptions, TransactionOptions,
    primitive::{TraceKind, TraceRecord},
    storage::{MemStorage, Storage},
};
use foldb_testkit::SeededHost;

fn open<S: Storage>(storage: S, options: Options) -> Db<S> {
    Db::open(storage, Arc::new(SeededHost::new(1)), options).unwrap()
}

#[test]
fn a_commit_says_when_it_was_made_on_what_and_why() {
    for durability in [Durability::buffered(), Durability::relaxed(), Durability::Strict] {
        let db = open(MemStorage::new(), Options::new().durability(durability));
        db.kv().put("blind", 1).unwrap();
        let (entry, receipt) = db
            .transaction_with(&TransactionOptions::new().because("Ada"), |tx| {
                let read = tx.kv().get::<i64>("blind")?;
                let entry = tx.trace().record(TraceRecord::new(TraceKind::Thought, "one more"))?;
                tx.because(entry)?;
                tx.kv().put("blind", read.unwrap_or(0) + 1)?;
                Ok::<_, Error>(entry)
            })
            .unwrap();
        let keyed = TransactionOptions::new().because("Ada").idempotency_key("once");
        db.transaction_with(&keyed, |tx| tx.kv().put("a", 1)).unwrap();

        let blind = db.commit_info(1).unwrap().unwrap();
        assert_eq!((blind.seq, blind.base, blind.cause), (1, None, None));
        let decided = db.commit_info(receipt.seq).unwrap().unwrap();
        assert_eq!((decided.seq, decided.base, &decided.cause), (2, Some(1), &Some(Cause::Trace(entry))));
        assert!(decided.time_micros > blind.time_micros && blind.time_micros > 0);
        let keyed = db.commit_info(3).unwrap().unwrap();
        assert_eq!(keyed.idempotency_key.as_deref(), Some(&b"once"[..]));
        assert_eq!(
            serde_json::to_value(&keyed).unwrap(),
            serde_json::json!({
                "seq": 3, "time_micros": keyed.time_micros, "base": keyed.base, "cause": { "text": "Ada" },
                "idempotency_key": "once",
            })
        );
        assert!(format!("{keyed:?}").contains(r#"idempotency_key: Some("once")"#), "{keyed:?}");
        assert_eq!((db.commit_info(0).unwrap(), db.commit_info(4).unwrap()), (None, None));
    }
}

/// Ten commits in a segment, some of them in parts, some not with the storage yet; then the same after reopening, when the newest
/// ones have been carried over.
#[test]
fn every_commit_is_found_wherever_it_is_in_the_log() {
    let options = || Options::new().segment_bytes(64 << 10).part_bytes(1 << 10);
    let storage = MemStorage::new();
    let db = open(storage.clone(), options());
    let run = db.runs().begin(RunOptions::named("run")).unwrap();
    let mut seqs = vec![];
    for number in 0..200_u64 {
        let options = TransactionOptions::new().because(format!("number {number}"));
        let write = |tx: &foldb::Transaction<'_, _>| {
            let text = "x".repeat(usize::try_from(number % 7 * 2000).unwrap());
            tx.run(run.id())?.kv().put_many((0..=number % 3).map(|key| (key.to_be_bytes(), &text)))
        };
        seqs.push((number, db.transaction_with(&options, write).unwrap().1.seq));
    }
    let check = |db: &Db<MemStorage>| {
        for (number, seq) in &seqs {
            let commit = db.commit_info(*seq).unwrap().unwrap_or_else(|| panic!("seq {seq}"));
            assert_eq!((commit.seq, commit.cause), (*seq, Some(Cause::Text(format!("number {number}")))));
        }
    };
    assert!(db.stats().unwrap().segments.len() > 5);
    check(&db);
    let crashed = storage.clone();
    drop(db);
    for _ in 0..3 {
        let db = open(crashed.clone(), options());
        check(&db);
        db.kv().put("another", 1).unwrap();
    }
}

#[test]
fn a_cause_that_is_empty_or_too_long_is_refused_before_anything_is_written() {
    let db = open(MemStorage::new(), Options::new());
    let run = |cause: &str| {
        let options = TransactionOptions::new().because(cause);
        db.transaction_with(&options, |tx| tx.kv().put("a", 1)).map(drop).unwrap_err().kind()
    };
    assert_eq!((run(""), run(&"x".repeat(257))), (ErrorKind::Invalid, ErrorKind::Limit));
    let inside = db.transaction(|tx| tx.because("")).unwrap_err();
    assert_eq!(inside.kind(), ErrorKind::Invalid);
    assert_eq!(db.view().seq(), 0);
    let longest = TransactionOptions::new().because("x".repeat(256));
    db.transaction_with(&longest, |tx| tx.kv().put("a", 1)).unwrap();
    assert_eq!(db.commit_info(1).unwrap().unwrap().cause, Some(Cause::Text("x".repeat(256))));
}

#[test]
fn a_store_in_memory_says_that_it_keeps_no_log() {
    let db = open(MemStorage::new(), Options::new().durability(Durability::InMemory));
    db.kv().put("a", 1).unwrap();
    let error = db.commit_info(1).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
}

#[test]
fn who_only_reads_a_store_is_told_of_its_commits_too() {
    let directory = tempfile::tempdir().unwrap();
    let db = foldb::open(directory.path()).unwrap();
    db.transaction_with(&TransactionOptions::new().because("Ada"), |tx| tx.kv().put("a", 1)).unwrap();
    db.sync().unwrap();
    let storage = FsStorage::open_read_only(directory.path()).unwrap();
    let reader = Db::open(storage, Arc::new(OsHost), Options::new().read_only(true)).unwrap();
    assert_eq!(reader.commit_info(1).unwrap().unwrap().cause, Some(Cause::Text("Ada".into())));
}

/// What was decided on an old version is lost, and decided again on a new one: the log has the one that counted.
#[test]
fn the_base_of_a_transaction_that_ran_again_is_the_one_that_it_was_committed_on() {
    let db = open(MemStorage::new(), Options::new());
    db.kv().put("a", 0).unwrap();
    let mut rounds = 0;
    let options = TransactionOptions::new();
    let (_, receipt) = db
        .transaction_with(&options, |tx| {
            let read = tx.kv().get::<i64>("a")?.unwrap_or(0);
            rounds += 1;
            if rounds == 1 {
                db.kv().put("a", 10)?;
            }
            tx.kv().put("a", read + 1)
        })
        .unwrap();
    assert_eq!((rounds, db.kv().get::<i64>("a").unwrap()), (2, Some(11)));
    assert_eq!(db.commit_info(receipt.seq).unwrap().unwrap().base, Some(2));
}

#[test]
fn whoever_hears_of_a_commit_hears_why_it_was_made() {
    let db = open(MemStorage::new(), Options::new());
    let mut commits = db.subscribe(ChangeFilter::all()).unwrap();
    db.transaction_with(&TransactionOptions::new().because("Ada"), |tx| tx.kv().put("a", 1)).unwrap();
    db.kv().put("b", 1).unwrap();
    let told = commits.try_next().unwrap().unwrap();
    assert_eq!(told.cause(), Some(&Cause::Text("Ada".into())));
    let change = told.changes().next().unwrap();
    let expected = serde_json::json!({ "run": null, "primitive": "kv", "key": "a" });
    assert_eq!(serde_json::to_value(change).unwrap(), expected);
    assert!(format!("{told:?}").contains(r#"key: "a""#), "{told:?}");
    assert_eq!(commits.try_next().unwrap().unwrap().cause(), None);
}

/// A segment whose header is not written yet belongs to a writer that is making it, or to one that was killed while it did.
#[test]
fn a_segment_that_is_being_made_is_not_asked_about_a_commit() {
    let directory = tempfile::tempdir().unwrap();
    let db = foldb::open(directory.path()).unwrap();
    db.transaction_with(&TransactionOptions::new().because("Ada"), |tx| tx.kv().put("a", 1)).unwrap();
    db.sync().unwrap();
    std::fs::write(directory.path().join("log-00000000000000000002"), vec![0; 4096]).unwrap();
    let storage = FsStorage::open_read_only(directory.path()).unwrap();
    let reader = Db::open(storage, Arc::new(OsHost), Options::new().read_only(true)).unwrap();
    assert_eq!(reader.commit_info(1).unwrap().unwrap().cause, Some(Cause::Text("Ada".into())));
    drop(reader);
    db.close().unwrap();
    // The same for whoever opens the store after the death of the one that made it.
    std::fs::write(directory.path().join("log-00000000000000000002"), vec![0; 4096]).unwrap();
    let db = foldb::open(directory.path()).unwrap();
    assert_eq!(db.commit_info(1).unwrap().unwrap().cause, Some(Cause::Text("Ada".into())));
}
