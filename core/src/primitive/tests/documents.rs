//! What is promised of documents, as tests.

use alloc::{collections::BTreeMap, format, string::String, vec, vec::Vec};
use core::net::Ipv4Addr;

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{kind_of, store, texts, unmet};
use crate::{Error, ErrorKind, primitive::ScanOptions, tree::KeyRange};

#[test]
fn a_document_is_read_back_as_it_was_set() {
    let db = store();
    let document = json!({"title": "plan", "steps": [1, 2.5, -3, null, true], "big": u64::MAX, "empty": {}});
    db.json().set("a", &document).unwrap();
    assert_eq!(db.json().get("a").unwrap(), Some(document));
    assert_eq!(db.json().get("b").unwrap(), None);
    assert!(db.json().exists("a").unwrap());
    assert!(db.json().delete("a").unwrap());
    assert!(!db.json().delete("a").unwrap());
}

#[test]
fn a_large_document_is_read_from_the_log() {
    let db = store();
    let document = json!((0..10_000).collect::<Vec<_>>());
    db.json().set("a", &document).unwrap();
    assert_eq!(db.json().get("a").unwrap(), Some(document));
    assert_eq!(db.json().push_at("a", "", &json!("end")).unwrap(), 10_001);
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Step {
    name: String,
    from: Ipv4Addr,
    weights: BTreeMap<u32, f64>,
    state: State,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum State {
    Waiting,
    Failed { after: u8 },
    Done(Option<u8>, char),
}

#[test]
fn a_type_becomes_the_json_that_people_know_it_as() {
    let db = store();
    for state in [State::Waiting, State::Failed { after: 3 }, State::Done(Some(1), 'x'), State::Done(None, 'y')] {
        let step = Step { name: "fetch".into(), from: Ipv4Addr::LOCALHOST, weights: [(7, 0.5)].into(), state };
        db.json().set_as("a", &step).unwrap();
        assert_eq!(db.json().get_as::<Step>("a").unwrap(), Some(step));
    }
    let expected = json!({"name": "fetch", "from": "127.0.0.1", "weights": {"7": 0.5}, "state": {"Done": [null, "y"]}});
    assert_eq!(db.json().get("a").unwrap(), Some(expected));
    assert_eq!(kind_of(db.json().get_as::<Vec<u8>>("a")), ErrorKind::Invalid);
}

#[test]
fn what_json_does_not_have_is_refused_and_never_becomes_null() {
    let db = store();
    for bad in [f64::NAN, f64::INFINITY] {
        assert_eq!(kind_of(db.json().set_as("a", &bad)), ErrorKind::Invalid);
        assert_eq!(kind_of(db.json().set_as("a", &vec![Some((1, bad))])), ErrorKind::Invalid);
        assert_eq!(kind_of(db.json().set_as("a", &BTreeMap::from([("x", State2 { inner: bad })]))), ErrorKind::Invalid);
    }
    assert_eq!(kind_of(db.json().set_as("a", &BTreeMap::from([(vec![1], 1)]))), ErrorKind::Invalid);
    assert!(!db.json().exists("a").unwrap());
}

#[derive(Serialize)]
struct State2 {
    inner: f64,
}

#[test]
fn a_document_too_deep_or_too_large_is_refused() {
    let db = store();
    let mut deep = json!(1);
    for _ in 0..200 {
        deep = json!([deep]);
    }
    assert_eq!(kind_of(db.json().set("a", &deep)), ErrorKind::Limit);
    db.json().set("a", &json!([])).unwrap();
    assert_eq!(kind_of(db.json().set_at("a", "/-", &deep)), ErrorKind::Limit);
    let huge = json!("x".repeat(crate::limits::VALUE_BYTES_MAX));
    assert_eq!(kind_of(db.json().push_at("a", "", &huge)), ErrorKind::Limit);
    assert_eq!(db.json().get("a").unwrap(), Some(json!([])));
}

#[test]
fn many_documents_are_one_commit() {
    let db = store();
    let before = db.view().seq();
    db.json().set_many([("a", json!(1)), ("b", json!({"x": 2})), ("a", json!(3))]).unwrap();
    assert_eq!(db.view().seq(), before + 1);
    assert_eq!(db.json().get_many(["b", "x", "a"]).unwrap(), [Some(json!({"x": 2})), None, Some(json!(3))]);
    assert_eq!(db.json().count(KeyRange::all()).unwrap(), 2);
    assert_eq!(db.json().delete_many(["a", "x", "b"]).unwrap(), 2);
    assert_eq!(kind_of(db.json().set_many([("a", 1.0), ("b", f64::NAN)])), ErrorKind::Invalid);
    assert!(!db.json().exists("a").unwrap());
}

#[test]
fn documents_are_listed_and_chosen_by_a_field() {
    let db = store();
    for (key, status, tries) in [("job/1", "open", 1), ("job/2", "done", 2), ("job/3", "open", 3), ("x", "open", 1)] {
        db.json().set(key, &json!({"status": status, "tries": tries})).unwrap();
    }
    let list = db.json().list(&ScanOptions::prefix("job/").reverse().limit(2)).unwrap();
    assert_eq!(list.iter().map(|entry| entry.document["tries"].as_u64()).collect::<Vec<_>>(), [Some(3), Some(2)]);
    assert_eq!(texts(&db.json().keys(&ScanOptions::all().after("job/2")).unwrap()), ["job/3", "x"]);
    let keys = |options: ScanOptions, path: &str, value| -> Vec<String> {
        let found = db.json().select(&options, path, &value).unwrap();
        found.into_iter().map(|entry| String::from_utf8(entry.key).unwrap()).collect()
    };
    assert_eq!(keys(ScanOptions::all(), "$.status", json!("open")), ["job/1", "job/3", "x"]);
    assert_eq!(keys(ScanOptions::prefix("job/").limit(1).after("job/1"), "/status", json!("open")), ["job/3"]);
    assert_eq!(keys(ScanOptions::all(), "/tries", json!(1.0)), ["job/1", "x"]);
    assert_eq!(keys(ScanOptions::all(), "/absent", json!(null)), Vec::<String>::new());
    assert_eq!(kind_of(db.json().select(&ScanOptions::all(), "no path", &json!(1))), ErrorKind::Invalid);
    let many = db.json().filter(&ScanOptions::all(), |document| document["tries"].as_u64() > Some(1)).unwrap();
    assert_eq!(many.len(), 2);
}

#[test]
fn a_place_is_read_and_changed_by_both_kinds_of_paths() {
    let db = store();
    db.json().set("a", &json!({"steps": [{"name": "fetch"}], "count": 1})).unwrap();
    let docs = db.json();
    assert_eq!(docs.get_at("a", "$.steps[0].name").unwrap(), Some(json!("fetch")));
    assert_eq!(docs.get_at("a", "/steps/1").unwrap(), None);
    assert_eq!(docs.set_at("a", "/steps/0/name", &json!("parse")).unwrap(), Some(json!("fetch")));
    assert_eq!(docs.set_at("a", "$.done", &json!(false)).unwrap(), None);
    assert_eq!(docs.push_at("a", "/steps", &json!("more")).unwrap(), 2);
    assert_eq!(docs.length_at("a", "/steps").unwrap(), 2);
    assert_eq!(docs.pop_at("a", "/steps").unwrap(), Some(json!("more")));
    assert_eq!(docs.increment_at("a", "/count", 2).unwrap(), 3.into());
    assert_eq!(docs.type_at("a", "/count").unwrap(), Some("number"));
    assert_eq!(docs.type_at("a", "/absent").unwrap(), None);
    assert_eq!(docs.keys_at("a", "").unwrap(), ["count", "done", "steps"]);
    assert_eq!(docs.delete_at("a", "/done").unwrap(), Some(json!(false)));
    assert_eq!(docs.delete_at("a", "/done").unwrap(), None);
    docs.merge_at("a", "", &json!({"count": null, "steps": {"n": 1}})).unwrap();
    assert_eq!(docs.get("a").unwrap(), Some(json!({"steps": {"n": 1}})));
    docs.merge_at("a", "/steps", &json!({"m": 2})).unwrap();
    assert_eq!(docs.get("a").unwrap(), Some(json!({"steps": {"n": 1, "m": 2}})));
}

#[test]
fn a_patch_is_applied_whole_or_not_at_all() {
    let db = store();
    db.json().set("a", &json!({"status": "open", "log": []})).unwrap();
    let close = json!([
        {"op": "test", "path": "/status", "value": "open"},
        {"op": "replace", "path": "/status", "value": "done"},
        {"op": "add", "path": "/log/-", "value": "closed"},
    ]);
    db.json().patch("a", &close).unwrap();
    let done = json!({"status": "done", "log": ["closed"]});
    assert_eq!(db.json().get("a").unwrap(), Some(done.clone()));
    unmet(db.json().patch("a", &close));
    let half = json!([{"op": "remove", "path": "/log"}, {"op": "remove", "path": "/absent"}]);
    let error = db.json().patch("a", &half).expect_err("nothing is there");
    assert!(format!("{error}").contains("/absent"), "{error}");
    assert_eq!(kind_of(db.json().patch("a", &json!({"op": "add"}))), ErrorKind::Invalid);
    assert_eq!(db.json().get("a").unwrap(), Some(done));
}

#[test]
fn a_place_in_a_missing_document_is_not_found() {
    let db = store();
    let docs = db.json();
    assert_eq!(kind_of(docs.get_at("a", "")), ErrorKind::NotFound);
    assert_eq!(kind_of(docs.set_at("a", "/x", &json!(1))), ErrorKind::NotFound);
    assert_eq!(kind_of(docs.delete_at("a", "/x")), ErrorKind::NotFound);
    assert_eq!(kind_of(docs.merge_at("a", "", &json!({}))), ErrorKind::NotFound);
    assert_eq!(kind_of(docs.patch("a", &json!([]))), ErrorKind::NotFound);
    assert_eq!(kind_of(docs.push_at("a", "", &json!(1))), ErrorKind::NotFound);
    assert_eq!(kind_of(docs.pop_at("a", "")), ErrorKind::NotFound);
    assert_eq!(kind_of(docs.increment_at("a", "", 1)), ErrorKind::NotFound);
    assert_eq!(kind_of(docs.length_at("a", "")), ErrorKind::NotFound);
    assert_eq!(kind_of(docs.type_at("a", "")), ErrorKind::NotFound);
    assert_eq!(kind_of(docs.keys_at("a", "")), ErrorKind::NotFound);
}

#[test]
fn an_operation_on_the_wrong_type_names_path_and_document() {
    let db = store();
    db.json().set("doc", &json!({"text": "abc", "n": u64::MAX, "list": [1]})).unwrap();
    let Err(Error::Type { what, .. }) = db.json().push_at("doc", "/text", &json!(1)) else {
        panic!("text is no array")
    };
    assert_eq!(what, "/text in doc");
    assert_eq!(kind_of(db.json().increment_at("doc", "/text", 1)), ErrorKind::Invalid);
    assert!(matches!(db.json().increment_at("doc", "/n", 1), Err(Error::CounterOverflow { .. })));
    assert_eq!(kind_of(db.json().set_at("doc", "/list/5", &json!(1))), ErrorKind::Invalid);
    assert_eq!(kind_of(db.json().set_at("doc", "/x/y", &json!(1))), ErrorKind::NotFound);
    assert_eq!(kind_of(db.json().delete_at("doc", "")), ErrorKind::Invalid);
    assert_eq!(kind_of(db.json().get_at("doc", "text")), ErrorKind::Invalid);
}

#[test]
fn a_change_that_changes_nothing_writes_nothing() {
    let db = store();
    db.json().set("a", &json!({"x": 1})).unwrap();
    let before = db.view().seq();
    db.json().set_at("a", "/x", &json!(1)).unwrap();
    db.json().delete_at("a", "/y").unwrap();
    db.json().merge_at("a", "", &json!({})).unwrap();
    assert_eq!(db.view().seq(), before);
}

#[test]
fn a_transaction_changes_a_document_step_by_step() {
    let db = store();
    db.transaction(|tx| {
        tx.json().set("a", &json!({"n": 1}))?;
        tx.json().increment_at("a", "/n", 1)?;
        tx.json().set_at("a", "/m", &json!([]))?;
        tx.json().push_at("a", "/m", &json!(1))?;
        assert_eq!(tx.json().list(&ScanOptions::all())?.len(), 1);
        Ok::<_, Error>(())
    })
    .unwrap();
    assert_eq!(db.json().get("a").unwrap(), Some(json!({"n": 2, "m": [1]})));
}
