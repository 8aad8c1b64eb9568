//! Updates and upserts by closures that may fail, each with an error of the caller's own.

use alloc::{format, string::String};

use serde_json::json;

use super::store;
use crate::{
    Error,
    primitive::{Cell, ScanOptions},
};

/// A refusal that the store knows nothing of.
#[derive(Debug, PartialEq)]
enum Own {
    Refused(i64),
    Store(String),
}

impl From<Error> for Own {
    fn from(error: Error) -> Self {
        Own::Store(format!("{error}"))
    }
}

#[test]
fn an_update_that_its_closure_refuses_changes_nothing_and_gives_the_closures_error() {
    let db = store();
    db.kv().put("k", 1).unwrap();
    db.state().set("k", 2).unwrap();
    db.json().set("k", &json!(3)).unwrap();
    let seq = db.view().seq();
    let refuse = |value: Option<i64>| Err::<i64, _>(Own::Refused(value.unwrap_or(0)));
    assert_eq!(db.kv().try_update("k", refuse), Err(Own::Refused(1)));
    assert_eq!(db.state().try_update("k", refuse), Err(Own::Refused(2)));
    assert_eq!(db.json().update_as("k", refuse), Err(Own::Refused(3)));
    assert_eq!(db.json().try_update("none", |_| Err(Own::Refused(4))), Err(Own::Refused(4)));
    assert_eq!(db.view().seq(), seq);
    let tx = db.begin_transaction().unwrap();
    assert_eq!(tx.kv().try_update("k", refuse), Err(Own::Refused(1)));
    assert_eq!(tx.json().update_as("k", refuse), Err(Own::Refused(3)));
    tx.commit().unwrap();
    assert_eq!(db.view().seq(), seq);
}

#[test]
fn an_error_of_the_store_comes_through_the_closures_type() {
    let db = store();
    db.kv().put("k", "text").unwrap();
    let add = |value: Option<i64>| Ok::<_, Own>(value.unwrap_or(0) + 1);
    let Err(Own::Store(message)) = db.kv().try_update("k", add) else { panic!("text is no number") };
    assert!(message.contains("expected integer, found text"), "{message}");
    db.json().set("k", &json!("text")).unwrap();
    assert!(matches!(db.json().update_as("k", add), Err(Own::Store(_))));
    assert!(matches!(db.kv().try_update("k".repeat(5000), add), Err(Own::Store(_))), "the key is too long");
}

#[test]
fn an_update_that_lost_to_another_commit_runs_again_and_forgets_what_it_refused_before() {
    let db = store();
    db.kv().put("k", 1).unwrap();
    let mut runs = 0;
    let updated = db.kv().try_update("k", |value: Option<i64>| {
        runs += 1;
        if runs == 1 {
            db.kv().put("k", 5)?;
        }
        Ok::<_, Own>(value.unwrap_or(0) * 2)
    });
    assert_eq!((updated, runs), (Ok(10), 2));
    let mut runs = 0;
    let cell = db.state().try_update("k", |value: Option<i64>| {
        runs += 1;
        if runs == 1 {
            db.state().set("k", 7)?;
        }
        Ok::<_, Own>(value.unwrap_or(0) + 1)
    });
    assert_eq!((cell, runs), (Ok(Cell { counter: 2, value: 8 }), 2));
}

#[test]
fn an_upsert_makes_a_document_and_merges_into_one_that_is_there() {
    let db = store();
    assert!(!db.json().upsert("d", &json!({"a": 1, "gone": null, "in": {"x": 1}})).unwrap());
    assert_eq!(db.json().get("d").unwrap(), Some(json!({"a": 1, "in": {"x": 1}})));
    assert!(db.json().upsert("d", &json!({"a": null, "in": {"y": 2}})).unwrap());
    assert_eq!(db.json().get("d").unwrap(), Some(json!({"in": {"x": 1, "y": 2}})));
    assert!(db.json().upsert_as("d", &Some(7)).unwrap());
    assert_eq!(db.json().get("d").unwrap(), Some(json!(7)), "what is no object replaces");
    let seq = db.view().seq();
    assert!(db.json().upsert("d", &json!(7)).unwrap());
    assert_eq!(db.view().seq(), seq, "the same bytes are not written");
    db.transaction(|tx| tx.json().upsert("e", &json!([])).map(drop)).unwrap();
    assert_eq!(db.json().keys(&ScanOptions::all()).unwrap(), [b"d", b"e"]);
}
