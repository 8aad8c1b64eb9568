//! What is announced, and when.

use std::sync::mpsc;

use super::*;

#[test]
fn each_commit_is_announced_once_in_order_with_what_it_changed() {
    let db = store();
    db.kv().put("before", 1).unwrap();
    let mut commits = db.subscribe(ChangeFilter::all()).unwrap();
    let run = db.runs().begin(RunOptions::named("import")).unwrap();
    db.transaction(|tx| {
        tx.kv().put("a", 1)?;
        tx.kv().put("a", 2)?;
        tx.json().set("b", &serde_json::json!(1))?;
        let run = tx.run(run.id())?;
        run.events().append("c", "tick", 1)?;
        run.events().append("c", "tick", 2)
    })
    .unwrap();
    db.transaction(|tx| tx.kv().get::<i64>("a").map(drop)).unwrap();
    run.end().unwrap();

    let heard: Vec<Vec<_>> = std::iter::from_fn(|| commits.try_next().unwrap())
        .map(|commit| {
            commit.changes().map(|change| (change.run, change.primitive, change.key.to_vec())).collect::<Vec<_>>()
        })
        .collect();
    let life = vec![(Some(run.id()), Primitive::Run, Vec::new())];
    let data = vec![
        (None, Primitive::Kv, b"a".to_vec()),
        (None, Primitive::Json, b"b".to_vec()),
        (Some(run.id()), Primitive::Events, b"c".to_vec()),
    ];
    assert_eq!(heard, [life.clone(), data, life]);
    assert_eq!(commits.seq(), db.view().seq());
}

#[test]
fn a_run_that_is_begun_or_deleted_is_announced_by_its_id() {
    let db = store();
    let mut commits = db.subscribe(ChangeFilter::all()).unwrap();
    let id = db.transaction(|tx| Ok::<_, Error>(tx.runs().begin(RunOptions::named("short"))?.id())).unwrap();
    db.transaction(|tx| tx.runs().delete(id)).unwrap();
    for _ in 0..2 {
        let commit = commits.try_next().unwrap().unwrap();
        assert_eq!(commit.changes().next().map(|change| change.run), Some(Some(id)));
    }
}

#[test]
fn a_filter_lets_through_what_it_names_and_nothing_else() {
    let db = store();
    let run = db.runs().begin(RunOptions::named("import")).unwrap();
    let all = ChangeFilter::all;
    let filters = [
        all().prefix("order/"),
        all().key("order/1"),
        all().primitive(Primitive::Json),
        all().primitive(Primitive::Json).primitive(Primitive::Kv).key("order/1"),
        all().run(run.id()),
        all().default_space().prefix("order/"),
    ];
    let mut heard: Vec<_> = filters.into_iter().map(|filter| db.subscribe(filter).unwrap()).collect();
    db.transaction(|tx| {
        tx.kv().put("order/1", 1)?;
        tx.json().set("order/2", &serde_json::json!(1))?;
        tx.events().append("order/1", "tick", 1)?;
        tx.kv().put("other", 1)?;
        tx.run(run.id())?.kv().put("order/3", 1)
    })
    .unwrap();
    let keys: Vec<_> = heard.iter_mut().map(|heard| keys(&heard.try_next().unwrap().unwrap())).collect();
    let expected: [&[&str]; 6] = [
        &["order/1", "order/2", "order/1", "order/3"],
        &["order/1", "order/1"],
        &["order/2"],
        &["order/1"],
        &["order/3"],
        &["order/1", "order/2", "order/1"],
    ];
    assert_eq!(keys, expected);
}

#[test]
fn a_strict_commit_is_announced_after_its_sync_and_can_be_read_then() {
    let disk = Syncs::default();
    let db = Arc::new(open(disk.clone(), STRICT));
    db.kv().put("first", 0).unwrap();
    for writes in [1_u64, 200] {
        // 64 writes and more are applied behind their sync.
        let mut commits = db.subscribe(ChangeFilter::all()).unwrap();
        let (reader, (told, tells)) = (Arc::clone(&db), mpsc::channel());
        let before = db.view().seq();
        disk.in_next(move || {
            told.send((commits.try_next().unwrap().is_some(), reader.view().seq())).unwrap();
            Ok(())
        });
        let mut after = db.subscribe(ChangeFilter::all()).unwrap();
        db.kv().put_many((0..writes).map(|number| (number.to_be_bytes(), number))).unwrap();
        assert_eq!(tells.recv().unwrap(), (false, before), "nothing is announced that cannot be read");
        let commit = after.try_next().unwrap().expect("it is announced when the call returns");
        assert_eq!((commit.seq(), commit.changes().count() as u64), (before + 1, writes));
        assert!(commit.is_durable() && db.view().seq() >= commit.seq());
    }
}

#[test]
fn a_buffered_commit_behind_a_strict_one_is_announced_when_both_show() {
    let disk = Syncs::default();
    let db = Arc::new(open(disk.clone(), STRICT));
    db.kv().put("first", 0).unwrap();
    let mut commits = db.subscribe(ChangeFilter::all()).unwrap();
    let (writer, (told, tells)) = (Arc::clone(&db), mpsc::channel());
    let mut early = db.subscribe(ChangeFilter::all()).unwrap();
    disk.in_next(move || {
        let buffered = foldb::TransactionOptions::new().durability(Durability::buffered());
        writer.transaction_with(&buffered, |tx| tx.kv().put("behind", 1)).unwrap();
        told.send(early.try_next().unwrap().is_none()).unwrap();
        Ok(())
    });
    db.kv().put("strict", 1).unwrap();
    assert!(tells.recv().unwrap(), "it rests on what is not durable");
    assert_eq!(seqs(&mut commits), [2, 3]);
}

#[test]
fn whoever_waits_for_durable_commits_hears_of_buffered_ones_after_the_sync() {
    let db = open(Syncs::default(), Durability::buffered());
    let mut shown = db.subscribe(ChangeFilter::all()).unwrap();
    let mut durable = db.subscribe(ChangeFilter::all().durable()).unwrap();
    db.kv().put("a", 1).unwrap();
    db.kv().put("b", 1).unwrap();
    assert!(!shown.try_next().unwrap().unwrap().is_durable());
    assert!(durable.try_next().unwrap().is_none());
    db.sync().unwrap();
    assert!(shown.try_next().unwrap().unwrap().is_durable());
    let heard: Vec<_> = std::iter::from_fn(|| durable.try_next().unwrap()).collect();
    assert_eq!(
        heard.iter().map(|commit| (commit.seq(), commit.is_durable())).collect::<Vec<_>>(),
        [(1, true), (2, true)]
    );
}

#[test]
fn in_memory_nothing_is_durable_and_nobody_waits_for_it() {
    let db = open(MemStorage::new(), Durability::InMemory);
    let mut durable = db.subscribe(ChangeFilter::all().durable()).unwrap();
    db.kv().put("a", 1).unwrap();
    assert!(!durable.try_next().unwrap().unwrap().is_durable());
}

#[test]
fn a_transaction_that_is_refused_or_rolled_back_is_not_announced() {
    let db = store();
    let mut commits = db.subscribe(ChangeFilter::all()).unwrap();
    let lost = db.begin_transaction().unwrap();
    let _ = lost.kv().get::<i64>("a").unwrap();
    lost.kv().put("b", 1).unwrap();
    db.kv().put("a", 1).unwrap();
    assert_eq!(lost.commit().unwrap_err().kind(), ErrorKind::Conflict);
    db.transaction(|tx| {
        let savepoint = tx.savepoint();
        tx.kv().put("c", 1)?;
        tx.rollback_to(&savepoint)?;
        tx.kv().put("d", 1)
    })
    .unwrap();
    let heard: Vec<_> = std::iter::from_fn(|| commits.try_next().unwrap()).map(|commit| keys(&commit)).collect();
    assert_eq!(heard, [["a"], ["d"]]);
}
