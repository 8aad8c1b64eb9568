//! What is shown of handles and of what they return: by `Debug` with keys that can be read, by serde for programs.

use std::ops::ControlFlow;

use foldb::{
    KeyRange, ScanOptions,
    primitive::{TraceKind, TraceRecord},
};
use serde_json::{json, to_value as to_json};

use super::*;

#[test]
fn keys_are_shown_as_text_by_debug_and_by_serde() {
    let db = store();
    db.kv().put("user/1", 7).unwrap();
    db.json().set("order/1", &json!({"item": "tea"})).unwrap();
    db.state().set("job", "waiting").unwrap();
    db.events().append("orders", "created", 1).unwrap();
    db.kv().put([0xff, 0], 8).unwrap();
    let options = ScanOptions::all();
    let pairs = db.kv().scan(&options).unwrap();
    let shown = format!(
        "{:?} {:?} {:?} {:?}",
        pairs,
        db.json().list(&options).unwrap(),
        db.state().list(&options).unwrap(),
        db.events().streams(&options).unwrap()
    );
    for key in [r#"key: "user/1""#, r#"key: "order/1""#, r#"key: "job""#, r#"stream: "orders""#, "key: 0xff00"] {
        assert!(shown.contains(key), "{key} in {shown}");
    }
    assert_eq!(to_json(&pairs[0]).unwrap(), json!({"key": "user/1", "value": 7, "version": 1}));
    assert_eq!(to_json(&pairs[1]).unwrap()["key"], json!([255, 0]), "bytes that are no text");
    assert_eq!(to_json(&db.json().list(&options).unwrap()[0]).unwrap()["document"], json!({"item": "tea"}));
    assert_eq!(
        to_json(&db.state().list(&options).unwrap()[0]).unwrap()["cell"],
        json!({"counter": 1, "value": "waiting"})
    );
    let stream = to_json(&db.events().streams(&options).unwrap()[0]).unwrap();
    assert_eq!((&stream["stream"], stream["link"].as_str().unwrap().len()), (&json!("orders"), 64));
    assert_eq!(to_json(db.events().get("orders", 1).unwrap().unwrap()).unwrap()["kind"], json!("created"));
}

#[test]
fn whatever_a_store_says_about_itself_can_be_serialized() {
    let db = store();
    let run = db.runs().begin(RunOptions::named("run")).unwrap();
    let other = db.runs().begin(RunOptions::named("other")).unwrap();
    run.kv().put("key", 1).unwrap();
    run.trace().record(TraceRecord::new(TraceKind::Thought, "t")).unwrap();
    let receipt = other.end().unwrap();
    let diff = to_json(db.diff(other.id(), run.id()).unwrap()).unwrap();
    let all = [
        (to_json(receipt), "seq"),
        (to_json(run.info().unwrap()), "id"),
        (to_json(db.stats().unwrap()), "seq"),
        (to_json(db.verify(&mut |_| ControlFlow::Continue(())).unwrap()), "spaces"),
        (to_json(db.recovery_report()), "created"),
        (to_json(db.snapshot().unwrap()), "seq"),
        (to_json(run.events().verify_chain("s").unwrap()), "events"),
    ];
    for (value, field) in all {
        let value = value.unwrap();
        assert!(value.get(field).is_some(), "{field} in {value}");
    }
    assert_eq!(diff["kv"], json!([{"key": "key", "change": {"added": 1}}]));
}

#[test]
fn every_handle_shows_what_it_is_and_showing_takes_no_version() {
    let db = store();
    let run = db.runs().begin(RunOptions::named("run")).unwrap();
    let tx = db.begin_transaction().unwrap();
    tx.kv().put("user/1", 1).unwrap();
    assert!(format!("{:?}", tx.kv()).contains(r#""user/1""#), "{tx:?}");
    db.kv().put("user/2", 1).unwrap();
    assert!(format!("{tx:?}").contains("seq: None"), "{tx:?}");
    assert_eq!(tx.kv().get::<i64>("user/2").unwrap(), Some(1), "the version was taken now");
    for number in 0..20 {
        tx.kv().put(format!("{number}"), 1).unwrap();
    }
    assert!(format!("{tx:?}").contains("and 5 more"), "{tx:?}");
    let view = db.view();
    let shown = format!("{run:?} {view:?} {:?} {:?} {db:?}", view.run(run.id()).unwrap(), db.replay(run.id()).unwrap());
    for part in
        [&format!("id: {}", run.id()), "View { seq: 2", "SpaceView { space: 1", "Replay { space: 1", "Db { options"]
    {
        assert!(shown.contains(part), "{part} in {shown}");
    }
}

#[test]
fn ranges_are_written_and_shown_as_rust_writes_them() {
    let db = store();
    db.kv().put_many([("a", 1), ("b", 2), ("c", 3), ("d", 4)]).unwrap();
    let keys = |range: KeyRange| {
        let found = db.kv().keys(&ScanOptions::range(range)).unwrap();
        found.iter().map(|key| String::from_utf8_lossy(key).into_owned()).collect::<Vec<_>>().concat()
    };
    let text = |key: &str| String::from(key);
    assert_eq!(keys(("b".."d").into()), "bc");
    assert_eq!(keys(("b"..).into()), "bcd");
    assert_eq!(keys((..="b").into()), "ab");
    assert_eq!(keys((.."b").into()), "a");
    assert_eq!(keys((text("b")..=text("c")).into()), "bc");
    assert_eq!(keys((b"b".to_vec()..).into()), "bcd");
    assert_eq!(keys((..).into()), "abcd");
    assert_eq!(keys(KeyRange::all().gt("a").lt("d")), "bc");
    assert_eq!(keys(KeyRange::prefix(b"b").gt("a").lte("d")), "b", "a bound only takes away");
    assert_eq!(keys(("d".."b").into()), "");
    assert_eq!(db.kv().count("b"..).unwrap(), 3);
    let all = KeyRange::all();
    assert_eq!((db.kv().count(&all).unwrap(), keys(all).len()), (4, 4));
    assert_eq!(db.json().count(..).unwrap() + db.state().count("a".."b").unwrap(), 0);
    for (range, shown) in [
        (KeyRange::from("a".."b"), r#""a".."b""#),
        (KeyRange::from("a"..), r#""a".."#),
        (KeyRange::from(..="b"), r#"..="b""#),
        (KeyRange::all().gt("a"), r#">"a".."#),
        (KeyRange::from([0xff]..), "0xff.."),
        (KeyRange::all(), ".."),
    ] {
        assert_eq!(format!("{range:?}"), shown);
    }
}
