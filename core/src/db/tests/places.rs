//! Handles and cursors stand for a place, and not for a thing that must still be there.

use alloc::{string::String, vec::Vec};

use serde_json::json;

use crate::{
    Db, ErrorKind, RunFilter, RunId, RunOptions, RunStatus,
    host::SteppedHost,
    primitive::{NewEvent, ScanOptions, TraceKind, TraceRecord},
    storage::MemStorage,
};

fn store() -> Db<MemStorage> {
    Db::open(MemStorage::new(), alloc::sync::Arc::new(SteppedHost::new(1)), crate::Options::new()).unwrap()
}

/// The page after a run that was deleted meanwhile was an error, so that whoever deleted what it had listed never came to an
/// end.
#[test]
fn a_page_of_runs_begins_behind_one_that_was_deleted() {
    let db = store();
    for number in 0..9_u8 {
        db.runs().begin(RunOptions::named(alloc::format!("{number}"))).unwrap();
    }
    let (mut names, mut after) = (String::new(), None);
    loop {
        let filter = RunFilter::all().limit(2);
        let page = db.runs().list(&after.map_or(filter.clone(), |after| filter.after(after))).unwrap();
        let Some(last) = page.last() else { break };
        after = Some(last.number);
        names.extend(page.iter().map(|run| run.name.as_str()));
        db.runs().delete(last.id).unwrap();
    }
    assert_eq!(names, "012345678");
    let place = db.runs().list(&RunFilter::all()).unwrap()[2].number;
    let backwards = db.runs().list(&RunFilter::all().newest_first().after(place + 1)).unwrap();
    assert_eq!(backwards.iter().map(|run| run.name.as_str()).collect::<String>(), "420");
}

/// It said that the run did not exist, which the transaction was writing to.
#[test]
fn a_transaction_knows_of_a_run_what_it_has_done_to_it() {
    let db = store();
    let old = db.runs().begin(RunOptions::named("old").label("kept", "1")).unwrap();
    let begun = RunId::from_bytes([9; 16]);
    let tx = db.begin_transaction().unwrap();
    tx.runs().begin(RunOptions::named("new").id(begun).parent(old.id()).label("a", "b").metadata(5)).unwrap();
    let info = tx.runs().info(begun).unwrap();
    assert_eq!((info.name.as_str(), info.status, info.parent), ("new", RunStatus::Active, Some(old.id())));
    assert_eq!((info.began_micros, info.first_seq, info.last_seq, info.commits), (0, 0, 0, 0));
    let savepoint = tx.savepoint();
    tx.runs().set_label(begun, "a".into(), None).unwrap();
    tx.runs().set_metadata(begun, 6.into()).unwrap();
    tx.runs().fail(begun, "no".into()).unwrap();
    let info = tx.runs().info(begun).unwrap();
    assert_eq!((info.status, info.labels.len(), info.metadata), (RunStatus::Failed, 0, 6.into()));
    assert_eq!(info.message.as_deref(), Some("no"));
    tx.rollback_to(&savepoint).unwrap();
    assert_eq!(tx.runs().info(begun).unwrap().status, RunStatus::Active);
    tx.runs().cancel(old.id(), "enough".into()).unwrap();
    let info = tx.runs().info(old.id()).unwrap();
    assert_eq!((info.status, info.labels.len(), info.commits), (RunStatus::Cancelled, 1, 1));
    tx.runs().resume(old.id()).unwrap();
    assert_eq!(tx.runs().info(old.id()).unwrap().resumed, 1);
    tx.commit().unwrap();
    assert_eq!(db.runs().info(begun).unwrap().metadata, 5.into());
    assert_eq!(db.runs().info(old.id()).unwrap().status, RunStatus::Active);
}

/// Writes behind an end were committed into a run that had ended, and those behind a deletion vanished with an `Ok`.
#[test]
fn a_transaction_does_not_write_to_a_run_that_it_has_ended_or_deleted() {
    for begins in [false, true] {
        let db = store();
        let id = RunId::from_bytes([7; 16]);
        if !begins {
            db.runs().begin(RunOptions::named("run").id(id)).unwrap();
        }
        let tx = db.begin_transaction().unwrap();
        if begins {
            tx.runs().begin(RunOptions::named("run").id(id)).unwrap();
        }
        let run = tx.run(id).unwrap();
        run.kv().put("key", 1).unwrap();
        let savepoint = tx.savepoint();
        let writes = |expected: Option<ErrorKind>| {
            let entry = TraceRecord::new(TraceKind::Thought, "plan");
            let done = [
                run.kv().put("key", 2).map(|_| ()),
                run.kv().add_i64("counter", 2).map(|_| ()),
                run.json().set("doc", &json!(1)).map(|_| ()),
                run.events().append("stream", "kind", 1).map(|_| ()),
                run.events().append_batch("stream", [NewEvent::new("kind", 2)]).map(|_| ()),
                run.events().trim("stream", 1).map(|_| ()),
                run.state().set("cell", 1).map(|_| ()),
                run.trace().record(entry).map(|_| ()),
            ];
            for (number, done) in done.into_iter().enumerate() {
                assert_eq!(done.as_ref().err().map(crate::Error::kind), expected, "write {number}: {done:?}");
            }
        };
        tx.runs().end(id, None).unwrap();
        writes(Some(ErrorKind::RunEnded));
        assert_eq!(run.kv().get::<i64>("key"), Ok(Some(1)), "what has ended can be read");
        tx.runs().resume(id).unwrap();
        writes(None);
        tx.runs().delete(id).unwrap();
        writes(Some(ErrorKind::NotFound));
        assert_eq!(run.kv().get::<i64>("key").unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!(run.kv().scan(&ScanOptions::all()).unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!(tx.run(id).err().map(|error| error.kind()), Some(ErrorKind::NotFound));
        assert_eq!(tx.runs().end(id, None).unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!(tx.runs().info(id).unwrap_err().kind(), ErrorKind::NotFound);
        tx.rollback_to(&savepoint).unwrap();
        writes(None);
        // What another thread holds between two calls knows it too.
        tx.runs().end(id, None).unwrap();
        let tx = db.attach_transaction(db.detach_transaction(tx).unwrap()).unwrap();
        assert_eq!(tx.run(id).unwrap().kv().put("key", 3).unwrap_err().kind(), ErrorKind::RunEnded);
        tx.commit().unwrap();
        assert_eq!(db.runs().info(id).unwrap().status, RunStatus::Completed);
        assert_eq!(db.runs().get(id).unwrap().kv().get::<i64>("key"), Ok(Some(2)));
    }
}

/// The replay was there, and reading it spoke of a run number that nobody had ever seen.
#[test]
fn before_its_beginning_there_is_nothing_in_a_run() {
    let db = store();
    db.kv().put("first", 1).unwrap();
    let run = db.runs().begin(RunOptions::named("run")).unwrap();
    run.kv().put("key", 1).unwrap();
    run.events().append("stream", "kind", 1).unwrap();
    let replay = db.replay_at(run.id(), 1).unwrap();
    let kept = db.replay_at(run.id(), 0).unwrap();
    let kept = db.detach_replay(kept).unwrap();
    let kept = db.attach_replay(&kept).unwrap();
    let empty = db.runs().begin(RunOptions::named("empty")).unwrap();
    for replay in [replay, kept] {
        assert_eq!(replay.transactions(), 0);
        assert_eq!(replay.kv().get::<i64>("key"), Ok(None));
        assert_eq!(replay.kv().scan(&ScanOptions::all()), Ok(Vec::new()));
        assert_eq!(replay.events().streams(&ScanOptions::all()), Ok(Vec::new()));
        assert_eq!(replay.digest(), db.replay(empty.id()).unwrap().digest());
        assert_eq!(replay.space().diff(&db.replay(run.id()).unwrap().space()).unwrap().len(), 2);
        assert!(replay.view().runs().is_empty());
    }
}
