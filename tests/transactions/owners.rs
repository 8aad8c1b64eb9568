//! A handle knows whose it is: what one transaction, store or checkpoint gave out is refused by another, and nothing changes. And
//! nothing is logged that could not be applied, whoever asks for it.

use foldb::{
    TransactionRun,
    internal::state::DEFAULT_SPACE,
    primitive::{Events, Kv, TraceKind, TraceRecord, access::Writes},
};
use foldb_testkit::crash::CrashStorage;

use super::*;

fn strict() -> Options {
    options().durability(Durability::Strict)
}

/// A savepoint of the first transaction brought back its puts into the second, without the beginning of their run: the commit
/// was in the log before anybody noticed, and the store did not open again (F-36).
#[test]
fn a_savepoint_of_another_transaction_is_refused_and_the_store_opens_again() {
    let disk = CrashStorage::new();
    let db = open(disk.clone(), strict());
    let first = db.begin_transaction().unwrap();
    let run = first.runs().begin(RunOptions::named("run")).unwrap();
    (0..64).for_each(|number| run.kv().put(format!("key {number}"), number).unwrap());
    let savepoint = first.savepoint();
    first.commit().unwrap();

    let second = db.begin_transaction().unwrap();
    second.kv().put("own", 1).unwrap();
    let error = assert_kind(second.rollback_to(&savepoint), ErrorKind::Invalid);
    assert!(error.to_string().contains("savepoint"), "{error}");
    assert_eq!(second.kv().get::<i64>("own").unwrap(), Some(1), "nothing was changed");
    second.commit().unwrap();
    assert_eq!(db.runs().list(&foldb::RunFilter::all()).unwrap().len(), 1);
    db.close().unwrap();

    let db = open(disk, strict());
    assert_eq!((get(&db, "own"), db.view().seq()), (Some(1), 2));
    assert!(db.verify(&mut |_| std::ops::ControlFlow::Continue(())).unwrap().is_ok());
}

/// The account has 100; 10 are taken from it while somebody else pays in 900. The second attempt went back to what the first
/// one had written.
#[test]
fn a_savepoint_of_an_earlier_attempt_is_refused_and_no_update_is_lost() {
    let db = store_with(&[("account", 100)]);
    let (mut kept, mut refused) = (None, 0);
    db.transaction(|tx| {
        let before: i64 = tx.kv().get("account")?.unwrap_or(0);
        tx.kv().put("account", before - 10)?;
        match &kept {
            None => {
                kept = Some(tx.savepoint());
                db.kv().add_i64("account", 900)?;
            }
            Some(savepoint) => {
                assert_kind(tx.rollback_to(savepoint), ErrorKind::Invalid);
                refused += 1;
            }
        }
        Ok::<_, Error>(())
    })
    .unwrap();
    assert_eq!((get(&db, "account"), refused), (Some(990), 1));
}

#[test]
fn a_savepoint_of_another_store_is_refused() {
    let (db, other) = (store(), store());
    let (tx, of_other) = (db.begin_transaction().unwrap(), other.begin_transaction().unwrap());
    tx.kv().put("a", 1).unwrap();
    of_other.kv().put("b", 1).unwrap();
    let (savepoint, foreign) = (tx.savepoint(), of_other.savepoint());
    assert_kind(tx.rollback_to(&foreign), ErrorKind::Invalid);
    assert_kind(of_other.rollback_to(&savepoint), ErrorKind::Invalid);
    tx.kv().put("c", 1).unwrap();
    tx.rollback_to(&savepoint).unwrap();
    tx.commit().unwrap();
    assert_eq!((get(&db, "a"), get(&db, "b"), get(&db, "c")), (Some(1), None, None));
}

#[test]
fn a_savepoint_ends_when_an_earlier_one_is_gone_back_to_and_lives_on_while_its_transaction_is_detached() {
    let db = store();
    let tx = db.begin_transaction().unwrap();
    let outer = tx.savepoint();
    tx.kv().put("a", 1).unwrap();
    let inner = tx.savepoint();
    let kept = db.detach_transaction(tx).unwrap();
    let tx = db.attach_transaction(kept).unwrap();
    tx.kv().put("a", 2).unwrap();
    tx.rollback_to(&inner).unwrap();
    assert_eq!(tx.kv().get::<i64>("a").unwrap(), Some(1));
    tx.rollback_to(&outer).unwrap();
    assert_kind(tx.rollback_to(&inner), ErrorKind::Invalid);
    assert_eq!(tx.kv().get::<i64>("a").unwrap(), None);
}

#[test]
fn the_number_of_a_run_that_one_transaction_begins_leads_nowhere_in_another() {
    let (db, other) = (store(), store());
    let first = db.begin_transaction().unwrap();
    let number = first.runs().begin(RunOptions::named("of the first")).unwrap().number();
    // Each of these has begun a run of its own, which must not be taken for that one.
    for (db, name) in [(&db, "the same store"), (&other, "another store")] {
        let tx = db.begin_transaction().unwrap();
        let own = tx.runs().begin(RunOptions::named(name)).unwrap();
        assert_kind(Kv::new(&tx, number).put("a", 1), ErrorKind::NotFound);
        assert_kind(Kv::new(&tx, number).get::<i64>("a"), ErrorKind::NotFound);
        assert_kind(Events::new(&tx, number).append("log", "e", 1), ErrorKind::NotFound);
        assert_kind(Events::new(&tx, number).head("log"), ErrorKind::NotFound);
        Kv::new(&tx, own.number()).put("a", 2).unwrap();
        tx.commit().unwrap();
    }
    assert_kind(Kv::new(&db, number).put("a", 1), ErrorKind::NotFound);
    Kv::new(&first, number).put("a", 3).unwrap();
    first.commit().unwrap();
    let values = |db: &Db<MemStorage>| -> Vec<Option<i64>> {
        let view = db.view();
        view.runs().iter().map(|run| view.run(run.id).unwrap().kv().get("a").unwrap()).collect()
    };
    assert_eq!((values(&db), values(&other)), (vec![Some(2), Some(3)], vec![Some(2)]));
}

#[test]
fn runs_of_two_stores_are_not_compared_by_where_their_values_lie() {
    let (db, other) = (store(), store());
    let large = |byte| vec![byte; 2000];
    for (db, byte) in [(&db, 1_u8), (&other, 2)] {
        db.kv().put("a", large(byte)).unwrap();
    }
    let (view, of_other) = (db.view(), other.view());
    assert_kind(view.default_space().diff(&of_other.default_space()), ErrorKind::Invalid);
    assert!(view.default_space().diff(&db.view().default_space()).unwrap().is_empty());
}

#[test]
fn what_a_store_keeps_for_a_host_is_good_for_that_opening_alone() {
    let (db, other) = (open(MemStorage::new(), strict()), open(MemStorage::new(), strict()));
    for db in [&db, &other] {
        db.kv().put("a", 1).unwrap();
    }
    let view = db.detach_view(db.view()).unwrap();
    assert_kind(other.attach_view(&view).map(|_| ()), ErrorKind::Invalid);
    assert_kind(other.detach_view(db.view()).map(|_| ()), ErrorKind::Invalid);
    let replay = db.detach_replay(db.replay_default().unwrap()).unwrap();
    assert_kind(other.attach_replay(&replay).map(|_| ()), ErrorKind::Invalid);
    let kept = db.detach_transaction(db.begin_transaction().unwrap()).unwrap();
    assert_kind(other.attach_transaction(kept).map(|_| ()), ErrorKind::Invalid);
    let mut verification = db.begin_verification().unwrap();
    let go_on = &mut |_| std::ops::ControlFlow::Continue(());
    assert_kind(other.verify_step(&mut verification, go_on), ErrorKind::Invalid);
    db.verify_step(&mut verification, go_on).unwrap();
    // A file of a checkpoint that is gone may be gone as well.
    let (first, second) = (db.checkpoint().unwrap(), db.checkpoint().unwrap());
    let of_other = other.checkpoint().unwrap();
    for foreign in [&second.files()[0], &of_other.files()[0]] {
        assert_kind(first.read_at(foreign, 0, &mut [0; 16]), ErrorKind::Invalid);
    }
    let file = first.files()[0].clone();
    assert_eq!(first.read_at(&file, 0, &mut [0; 16]).unwrap(), 16);
}

/// An id that is taken, in a transaction so large that it is synced before it is applied.
#[test]
fn a_run_whose_id_is_taken_is_refused_before_anything_is_written() {
    let disk = CrashStorage::new();
    let db = open(disk.clone(), strict());
    let taken = begin(&db, "first");
    let fill = |run: &TransactionRun<'_, '_, CrashStorage>| {
        (0..80).for_each(|number| run.kv().put(format!("key {number}"), number).unwrap());
    };
    // Taken by a run of the store that was begun since, and twice by one transaction.
    let tx = db.begin_transaction().unwrap();
    fill(&tx.runs().begin(RunOptions::named("second").id(taken)).unwrap());
    assert_kind(tx.commit(), ErrorKind::Precondition);
    let tx = db.begin_transaction().unwrap();
    let id = foldb::RunId::from_bytes([7; 16]);
    let runs = [1, 2].map(|_| tx.runs().begin(RunOptions::named("twice").id(id)).unwrap());
    fill(&runs[0]);
    assert_kind(tx.commit(), ErrorKind::Precondition);
    // The store goes on, with the next numbers.
    let tx = db.begin_transaction().unwrap();
    let run = tx.runs().begin(RunOptions::named("large")).unwrap();
    fill(&run);
    tx.runs().end(run.id(), None).unwrap();
    tx.runs().end(taken, None).unwrap();
    tx.commit().unwrap();
    db.close().unwrap();
    let db = open(disk, strict());
    let runs = db.view().runs();
    assert_eq!(runs.iter().map(|run| run.number).collect::<Vec<_>>(), [1, 2]);
    assert!(runs.iter().all(|run| run.ended_micros.is_some()));
    assert_eq!((db.view().seq(), runs[1].commits), (2, 1));
}

/// Whoever writes operations by hand, through the access of a transaction, gets an error for what recovery could not read.
#[test]
fn operations_that_could_not_be_applied_do_not_get_into_a_transaction() {
    let db = store();
    let run = begin(&db, "run");
    let tx = db.begin_transaction().unwrap();
    let new = tx.runs().begin(RunOptions::named("new")).unwrap();
    use foldb::internal::log::OpCode;
    for space in [DEFAULT_SPACE, tx.run(run).unwrap().number(), new.number()] {
        for (code, key, body) in [
            (OpCode::KvAdd, &b"sum"[..], &b""[..]),
            (OpCode::KvAdd, b"sum", b"\x02\x20"),
            (OpCode::EventTrim, b"log", b""),
            (OpCode::EventTrim, b"log", b"\x80"),
            (OpCode::EventAppend, b"log", b"\x01"),
            (OpCode::KvPutExpiring, b"k", b""),
            (OpCode::KvPutExpiring, b"k", b"\x00\x01"),
            (OpCode::JsonExpire, b"k", b"\x01\x01"),
            (OpCode::StateExpire, b"k", b"\x80"),
            (OpCode::Sweep, b"", b"\x01\x00"),
            (OpCode::Sweep, b"key", b"\x01\x01"),
            (OpCode::TracePut, b"an id of 16 byte", b"no map"),
            (OpCode::TracePut, b"short", b""),
            (OpCode::RunBegin, b"an id of 16 byte", b"\xa0"),
            (OpCode::RunEnd, b"", b"\xa0"),
            (OpCode::RunResume, b"", b""),
            (OpCode::RunAnnotate, b"", b"\x01"),
        ] {
            let refused = Writes::write(&tx, space, code, key, body);
            assert!(refused.is_err(), "{code:?} {body:?} in space {space}");
        }
    }
    // An operation on a run where there is none.
    let other = db.begin_transaction().unwrap();
    Writes::write(&other, DEFAULT_SPACE, OpCode::RunDelete, b"", b"").unwrap();
    assert_kind(other.commit(), ErrorKind::NotFound);
    // Bounds of the window of keys: none, too many, with a key, and outside of the default space.
    for (space, key, body) in [
        (DEFAULT_SPACE, &b""[..], &b""[..]),
        (DEFAULT_SPACE, b"", b"\x00\x00"),
        (DEFAULT_SPACE, b"", b"\xff\xff\xff\x7f\x00"),
        (DEFAULT_SPACE, b"key", b"\x08\x00"),
        (new.number(), b"", b"\x08\x00"),
    ] {
        let refused = Writes::write(&tx, space, OpCode::KeyWindow, key, body);
        assert!(refused.is_err(), "{body:?} under {key:?} in space {space}");
    }
    tx.trace().record(TraceRecord::new(TraceKind::Thought, "fine")).unwrap();
    tx.commit().unwrap();
    assert!(db.verify(&mut |_| std::ops::ControlFlow::Continue(())).unwrap().is_ok());
}
