//! That a simulation is a function of its seed, and that it notices what it is there for.

use std::{collections::BTreeSet, sync::Arc};

use foldb_core::{Db, ErrorKind, Options, RunOptions};

use super::{
    Settings,
    judge::{Trouble, recovered, same, survived},
    simulate,
};
use crate::{
    crash::CrashStorage,
    machine::{FaultClass, Fired, Plan, SimHost},
    model::{Begin, Commit, History, Learned, Model, ModelTransaction, Operation, RunOperation},
};

const SHORT: Settings = Settings { steps: 220, plan: Plan::none() };

#[test]
fn a_seed_is_one_history_however_often_it_is_run() {
    let settings = Settings { steps: 200, ..Settings::default() };
    for seed in 0..4 {
        assert_eq!(simulate(seed, &settings), simulate(seed, &settings), "seed {seed}");
    }
    let traces: BTreeSet<String> = (0..4).map(|seed| simulate(seed, &settings).unwrap().trace).collect();
    assert_eq!(traces.len(), 4, "each seed is another history");
}

#[test]
fn a_store_on_a_machine_that_fails_is_what_the_model_says() {
    let mut fired = Fired::default();
    for seed in 100..120 {
        fired += simulate(seed, &Settings { steps: 300, ..Settings::default() }).unwrap().fired;
    }
    for class in [FaultClass::LostWrite, FaultClass::Reordered, FaultClass::ReturnedName, FaultClass::ShortWrite] {
        assert!(fired.of(class) > 0, "{}", class.name());
    }
}

#[test]
fn on_a_machine_that_never_fails_no_fault_is_counted() {
    for seed in 0..6 {
        let outcome = simulate(seed, &SHORT).unwrap();
        assert_eq!(outcome.fired, Fired::default());
        assert!(outcome.counts.commits > 20);
    }
}

fn committed(model: &Model, operation: &Operation) -> Model {
    let mut transaction = ModelTransaction::default();
    transaction.perform(model, None, operation, Learned::default()).unwrap();
    match transaction.commit(model, 0, 1) {
        Commit::Committed(model) => *model,
        other => panic!("{other:?}"),
    }
}

fn put(key: &str, value: i64) -> Operation {
    Operation::Put(key.into(), value.into())
}

fn store() -> Db<CrashStorage> {
    Db::open(CrashStorage::new(), Arc::new(SimHost::new(1)), Options::new()).unwrap()
}

#[test]
fn a_promised_commit_that_is_missing_is_noticed() {
    let db = store();
    let mut history = History::new();
    history.push(committed(history.newest(), &put("a", 1)));
    assert!(recovered(&db, &history, 1).is_ok(), "nothing was promised");
    history.promise(1);
    assert!(matches!(recovered(&db, &history, 1), Err(Trouble::Wrong(what)) if what.contains("promised")));
}

#[test]
fn a_commit_that_was_with_the_system_is_missed_in_the_next_process_unless_the_power_has_failed() {
    let db = store();
    let mut history = History::new();
    history.push(committed(history.newest(), &put("a", 1)));
    assert!(survived(&db, &history, 1).is_ok(), "nobody was told that the system has it");
    history.hand_over(1);
    assert!(matches!(survived(&db, &history, 1), Err(Trouble::Wrong(what)) if what.contains("with the system")));
    assert!(recovered(&db, &history, 1).is_ok(), "a power cut may take it");
    history.lose_power();
    assert!(survived(&db, &history, 1).is_ok());
}

#[test]
fn a_commit_that_never_was_and_a_value_that_nobody_wrote_are_noticed() {
    let db = store();
    db.kv().put("a", 1).unwrap();
    assert!(matches!(recovered(&db, &History::new(), 1), Err(Trouble::Wrong(what)) if what.contains("ever was")));
    let right = committed(&Model::default(), &put("a", 1));
    assert!(same(&db, &right, 1).is_ok());
    let wrong = committed(&Model::default(), &put("a", 2));
    assert!(matches!(same(&db, &wrong, 1), Err(Trouble::Wrong(_))));
}

#[test]
fn a_transaction_conflicts_if_what_it_has_looked_at_was_written_since() {
    let base = committed(&Model::default(), &put("a", 1));
    let mut transaction = ModelTransaction::default();
    transaction.perform(&base, None, &Operation::Get(b"a".to_vec()), Learned::default()).unwrap();
    transaction.perform(&base, None, &put("b", 2), Learned::default()).unwrap();
    let elsewhere = committed(&base, &put("c", 1));
    assert!(matches!(transaction.commit(&elsewhere, 0, 1), Commit::Committed(_)));
    let same_value = committed(&base, &put("a", 1));
    assert!(matches!(transaction.commit(&same_value, 0, 1), Commit::Refused(_)), "written is written");
}

#[test]
fn a_run_that_is_gone_is_not_the_one_that_got_its_id() {
    let id = foldb_core::RunId::from_bytes([5; 16]);
    let begin = Begin { id, name: String::new(), parent: None, labels: Default::default(), metadata: ().into() };
    let change = |model: &Model, operation: &RunOperation| {
        let mut transaction = ModelTransaction::default();
        transaction.change_run(model, operation).unwrap();
        match transaction.commit(model, 0, 1) {
            Commit::Committed(model) => *model,
            other => panic!("{other:?}"),
        }
    };
    let first = change(&Model::default(), &RunOperation::Begin(begin.clone()));
    let mut transaction = ModelTransaction::default();
    transaction.find(&first, Some(id)).unwrap();
    transaction.perform(&first, Some(id), &put("a", 1), Learned::default()).unwrap();
    let second = change(&change(&first, &RunOperation::Delete(id)), &RunOperation::Begin(begin));
    assert!(matches!(transaction.commit(&second, 0, 1), Commit::Refused(_)));
}

#[test]
fn what_is_written_to_a_run_goes_to_no_other_that_gets_its_id_from_the_same_transaction() {
    let id = foldb_core::RunId::from_bytes([5; 16]);
    let begin = || {
        RunOperation::Begin(Begin {
            id,
            name: String::new(),
            parent: None,
            labels: Default::default(),
            metadata: ().into(),
        })
    };
    let change = |model: &Model, operation: &RunOperation| {
        let mut transaction = ModelTransaction::default();
        transaction.change_run(model, operation).unwrap();
        match transaction.commit(model, 0, 1) {
            Commit::Committed(model) => *model,
            other => panic!("{other:?}"),
        }
    };
    let first = change(&Model::default(), &begin());
    let mut transaction = ModelTransaction::default();
    transaction.find(&first, Some(id)).unwrap();
    transaction.perform(&first, Some(id), &put("a", 1), Learned::default()).unwrap();
    transaction.change_run(&first, &begin()).unwrap();
    let gone = change(&first, &RunOperation::Delete(id));
    let Commit::Refused(kinds) = transaction.commit(&gone, 0, 1) else { panic!("it writes to a run that is gone") };
    assert_eq!(kinds, [ErrorKind::NotFound]);

    // The store says the same.
    let db = store();
    let run = db.runs().begin(RunOptions::named("first").id(id)).unwrap();
    let transaction = db.begin_transaction().unwrap();
    transaction.run(id).unwrap().kv().put("a", 1).unwrap();
    transaction.runs().begin(RunOptions::named("second").id(id)).unwrap();
    db.runs().delete(run.id()).unwrap();
    assert_eq!(transaction.commit().unwrap_err().kind(), ErrorKind::NotFound);
}
