//! What is promised of documents whose changes are logged, and not all of them each time.

use alloc::{format, string::String, sync::Arc, vec, vec::Vec};
use core::ops::ControlFlow;

use serde_json::{Value as Json, json};

use super::{kind_of, store};
use crate::{
    Db, Durability, ErrorKind, Options, RunOptions,
    host::SteppedHost,
    json::encode_document,
    limits::DOCUMENT_EDITS_MAX,
    state::{EditedDocument, Family, entry_kind},
    storage::{MemStorage, Storage},
};

/// Numbers that follow from a seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

fn open(storage: &MemStorage, options: Options) -> Db<MemStorage> {
    Db::open(storage.clone(), Arc::new(SteppedHost::new(7)), options).unwrap()
}

fn encoded(document: &Json) -> Vec<u8> {
    let mut bytes = vec![];
    encode_document(document, &mut bytes).unwrap();
    bytes
}

fn large() -> Json {
    let items: Vec<_> = (0..200).map(|id| json!({"id": id, "text": "thirty bytes of text, or so, fine"})).collect();
    json!({"count": 0, "items": items, "title": "plan"})
}

/// The places that the document `doc` of the default space is read from; `None` where it is whole.
fn edits<S: Storage>(db: &Db<S>) -> Option<EditedDocument> {
    let view = db.view();
    let space = view.folded().space(0).unwrap();
    let entry = space.tree().get(&Family::Json.key(b"doc"), view.source()).unwrap().unwrap();
    (entry.kind == entry_kind::EDITED).then(|| EditedDocument::of(&entry).unwrap().unwrap())
}

fn log_bytes(storage: &MemStorage) -> usize {
    storage.files().iter().filter(|(name, _)| name.starts_with("log-")).map(|(_, bytes)| bytes.len()).sum()
}

fn violations<S: Storage>(db: &Db<S>) -> Vec<String> {
    let report = db.verify(&mut |_| ControlFlow::Continue(())).unwrap();
    report.violations.into_iter().map(|violation| violation.what).collect()
}

#[test]
fn a_change_of_a_large_document_is_logged_and_not_the_document() {
    let storage = MemStorage::new();
    let db = open(&storage, Options::new());
    db.json().set("doc", &large()).unwrap();
    db.close().unwrap();
    let before = log_bytes(&storage);
    let db = open(&storage, Options::new());
    let mut expected = large();
    for id in 0..500 {
        let item = json!({"id": id, "text": "one more"});
        db.json().push_at("doc", "/items", &item).unwrap();
        db.json().increment_at("doc", "/count", 1).unwrap();
        expected["items"].as_array_mut().unwrap().push(item);
        expected["count"] = json!(id + 1);
    }
    assert_eq!(db.json().get("doc").unwrap(), Some(expected.clone()));
    db.close().unwrap();
    // Whole it would have been 16 MiB. A push is 20 bytes, a count 2, a frame around them 80.
    assert!(log_bytes(&storage) - before < 300_000, "{} bytes", log_bytes(&storage) - before);
    let db = open(&storage, Options::new());
    assert_eq!(db.json().get("doc").unwrap(), Some(expected));
    assert_eq!(violations(&db), Vec::<String>::new());
    let view = db.view();
    assert_eq!(db.replay_default().unwrap().digest().unwrap(), view.default_space().digest().unwrap());
}

/// One change of the document, in the store's words and in the model.
fn change<A: crate::primitive::access::AccessMut>(
    json: &crate::primitive::Documents<A>,
    expected: &mut Json,
    dice: &mut Dice,
) {
    let len = expected["items"].as_array().unwrap().len();
    let at = usize::try_from(dice.below(len.max(1) as u64)).unwrap();
    let text = "x".repeat(usize::try_from(dice.below(60)).unwrap());
    match dice.below(12) {
        0..4 => {
            json.push_at("doc", "/items", &json!(text)).unwrap();
            expected["items"].as_array_mut().unwrap().push(json!(text));
        }
        4..7 if len > 0 => {
            json.set_at("doc", &format!("/items/{at}"), &json!([text, 1.5])).unwrap();
            expected["items"][at] = json!([text, 1.5]);
        }
        7 if len > 0 => {
            json.delete_at("doc", &format!("/items/{at}")).unwrap();
            expected["items"].as_array_mut().unwrap().remove(at);
        }
        8 => {
            let member = format!("member {}", dice.below(30));
            json.merge_at("doc", "", &json!({ (&member): text })).unwrap();
            expected[&member] = json!(text);
        }
        9 => {
            let patch = json!([
                {"op": "add", "path": "/items/0", "value": text},
                {"op": "add", "path": "/title", "value": text},
                {"op": "add", "path": "/items/-", "value": -0.0},
            ]);
            json.patch("doc", &patch).unwrap();
            let items = expected["items"].as_array_mut().unwrap();
            items.insert(0, json!(text));
            items.push(json!(-0.0));
            expected["title"] = json!(text);
        }
        10 if dice.below(40) == 0 => {
            *expected = large();
            json.set("doc", expected).unwrap();
        }
        _ => {
            let count = json.increment_at("doc", "/count", 1).unwrap();
            expected["count"] = Json::Number(count);
        }
    }
}

#[test]
fn an_edited_document_is_bit_for_bit_what_it_would_be_whole() {
    for seed in 0..4 {
        let mut dice = Dice(seed);
        let storage = MemStorage::new();
        let durability = if seed % 2 == 0 { Durability::Strict } else { Durability::buffered() };
        let options = || Options::new().durability(durability).segment_bytes(64 << 10).snapshot_log_bytes(None);
        let mut db = open(&storage, options());
        let mut expected = large();
        db.json().set("doc", &expected).unwrap();
        let mut edited = 0;
        for step in 0..400 {
            if dice.below(5) == 0 {
                let mut draft = expected.clone();
                db.transaction(|tx| {
                    draft = expected.clone();
                    for _ in 0..dice.below(6) {
                        change(&tx.json(), &mut draft, &mut dice);
                    }
                    assert_eq!(tx.json().get("doc")?, Some(draft.clone()), "a transaction sees what it writes");
                    Ok::<_, crate::Error>(())
                })
                .unwrap();
                expected = draft;
            } else {
                change(&db.json(), &mut expected, &mut dice);
            }
            if let Some(document) = edits(&db) {
                edited += 1;
                assert!(document.edits.len() <= DOCUMENT_EDITS_MAX);
                let bytes = document.bytes_of(document.edits.len());
                assert!(bytes <= 2 * encoded(&expected).len() as u64, "{bytes} bytes are read");
            }
            if step % 50 == 49 {
                db.snapshot().unwrap();
            }
            if step % 40 == 39 {
                // What a crash leaves, and what is there after an orderly end, or after none.
                let crashed = open(&MemStorage::from_files(storage.files()), options());
                assert_eq!(violations(&crashed), Vec::<String>::new());
                if dice.below(2) == 0 {
                    db.sync().unwrap();
                    drop(db);
                } else {
                    db.close().unwrap();
                }
                db = open(&storage, options());
            }
            let view = db.view();
            let entry = view.folded().space(0).unwrap().tree().get(&Family::Json.key(b"doc"), view.source());
            let bytes = crate::state::entry_bytes(&entry.unwrap().unwrap(), view.source()).unwrap().into_owned();
            assert_eq!(bytes, encoded(&expected), "seed {seed}, step {step}");
        }
        assert!(edited > 300, "{edited} of 400 steps found edits");
        assert_eq!(violations(&db), Vec::<String>::new());
    }
}

#[test]
fn several_changes_in_one_transaction_are_one_edit() {
    let db = store();
    db.json().set("doc", &large()).unwrap();
    db.transaction(|tx| {
        for id in 0..10 {
            tx.json().push_at("doc", "/items", &json!(id))?;
        }
        Ok::<_, crate::Error>(())
    })
    .unwrap();
    let document = edits(&db).unwrap();
    assert_eq!(document.edits.len(), 1);
    assert!(document.edits[0].len < 50, "ten items of a byte each");
    assert_eq!(db.json().length_at("doc", "/items").unwrap(), 210);
}

#[test]
fn a_document_that_a_transaction_sets_or_deletes_itself_is_logged_whole() {
    let db = store();
    db.json().set("doc", &large()).unwrap();
    db.transaction(|tx| {
        tx.json().push_at("doc", "/items", &json!("lost"))?;
        tx.json().set("doc", &large())?;
        tx.json().push_at("doc", "/items", &json!("kept"))?;
        Ok::<_, crate::Error>(())
    })
    .unwrap();
    assert_eq!(edits(&db), None);
    assert_eq!(db.json().get_at("doc", "/items/200").unwrap(), Some(json!("kept")));
    db.transaction(|tx| {
        tx.json().push_at("doc", "/items", &json!("lost"))?;
        tx.json().delete("doc")?;
        assert_eq!(kind_of(tx.json().push_at("doc", "/items", &json!(1))), ErrorKind::NotFound);
        Ok::<_, crate::Error>(())
    })
    .unwrap();
    assert_eq!(db.json().get("doc").unwrap(), None);
    // One that never was committed has nothing to be edited, also in a run that does not exist yet.
    db.transaction(|tx| {
        tx.json().set("doc", &large())?;
        tx.json().push_at("doc", "/items", &json!(1))?;
        let run = tx.runs().begin(RunOptions::named("run"))?;
        run.json().set("doc", &large())?;
        run.json().push_at("doc", "/items", &json!(1)).map(|_| ())
    })
    .unwrap();
    assert_eq!(edits(&db), None);
    let run = db.view().runs()[0].id;
    assert_eq!(db.runs().get(run).unwrap().json().length_at("doc", "/items").unwrap(), 201);
}

#[test]
fn a_savepoint_takes_edits_back() {
    let db = store();
    db.json().set("doc", &large()).unwrap();
    db.transaction(|tx| {
        tx.json().push_at("doc", "/items", &json!("first"))?;
        let savepoint = tx.savepoint();
        tx.json().push_at("doc", "/items", &json!("lost"))?;
        tx.rollback_to(&savepoint)?;
        tx.json().push_at("doc", "/items", &json!("second")).map(|_| ())
    })
    .unwrap();
    assert_eq!(edits(&db).unwrap().edits.len(), 1);
    assert_eq!(db.json().get_at("doc", "/items/200").unwrap(), Some(json!("first")));
    assert_eq!(db.json().get_at("doc", "/items/201").unwrap(), Some(json!("second")));
    assert_eq!(db.json().length_at("doc", "/items").unwrap(), 202);
}

#[test]
fn two_changes_of_one_document_at_a_time_are_a_conflict() {
    let db = store();
    db.json().set("doc", &large()).unwrap();
    let (one, other) = (db.begin_transaction().unwrap(), db.begin_transaction().unwrap());
    one.json().push_at("doc", "/items", &json!(1)).unwrap();
    other.json().push_at("doc", "/items", &json!(2)).unwrap();
    one.commit().unwrap();
    assert_eq!(kind_of(other.commit()), ErrorKind::Conflict);
    assert_eq!(db.json().length_at("doc", "/items").unwrap(), 201);
}

#[test]
fn a_document_that_shrinks_is_logged_whole_before_its_past_is_most_of_what_is_read() {
    let db = store();
    db.json().set("doc", &large()).unwrap();
    let mut whole = 0;
    for _ in 0..180 {
        db.json().pop_at("doc", "/items").unwrap();
        match edits(&db) {
            Some(document) => {
                let len = encoded(&db.json().get("doc").unwrap().unwrap()).len() as u64;
                assert!(document.bytes_of(document.edits.len()) <= 2 * len);
            }
            None => whole += 1,
        }
    }
    assert!(whole > 0);
    assert_eq!(edits(&db), None, "a small document is not edited");
    assert_eq!(db.json().length_at("doc", "/items").unwrap(), 20);
}

/// Compared as numbers the two are equal, so minus zero was never written over zero.
#[test]
fn a_change_that_only_the_bytes_show_is_a_change() {
    let db = store();
    db.json().set("doc", &json!({"n": 0.0})).unwrap();
    db.json().set_at("doc", "/n", &json!(-0.0)).unwrap();
    let found = db.json().get_at("doc", "/n").unwrap().unwrap();
    assert!(found.as_f64().unwrap().is_sign_negative());
    let seq = db.view().seq();
    db.json().set_at("doc", "/n", &json!(-0.0)).unwrap();
    assert_eq!(db.view().seq(), seq, "nothing has changed");
}

#[test]
fn every_place_that_an_edited_document_is_read_from_is_alive_until_it_goes() {
    let storage = MemStorage::new();
    let db = open(&storage, Options::new().segment_bytes(16 << 10));
    let live = || db.view().folded().live_bytes();
    db.json().set("doc", &large()).unwrap();
    for id in 0..200 {
        db.json().push_at("doc", "/items", &json!({"id": id, "text": "x".repeat(90)})).unwrap();
        let expected = edits(&db).map_or(0, |document| document.bytes_of(usize::MAX));
        assert!(expected == 0 || live().values().sum::<u64>() == expected);
    }
    assert!(live().len() > 1, "the edits are in several segments");
    db.json().delete("doc").unwrap();
    assert_eq!(live().len(), 0);
}

#[test]
fn edits_in_a_transaction_in_parts_and_in_a_large_strict_one_are_folded() {
    let storage = MemStorage::new();
    let db = open(&storage, Options::new().part_bytes(4096));
    let names: Vec<String> = (0..100).map(|number| format!("doc {number:03}")).collect();
    db.json().set_many(names.iter().map(|name| (name, large()))).unwrap();
    db.transaction(|tx| {
        for name in &names {
            tx.json().push_at(name, "/items", &json!("x".repeat(100)))?;
        }
        Ok::<_, crate::Error>(())
    })
    .unwrap();
    let check = |db: &Db<MemStorage>| {
        for name in &names {
            assert_eq!(db.json().length_at(name, "/items").unwrap(), 201);
        }
        assert_eq!(violations(db), Vec::<String>::new());
    };
    check(&db);
    // As a crash leaves it: nothing says that the last commit is durable, so it is carried into a new segment.
    let crashed = open(&MemStorage::from_files(storage.files()), Options::new());
    check(&crashed);
    crashed.json().push_at(&names[0], "/items", &json!(1)).unwrap();
    drop(db);
}

#[test]
fn an_edited_document_of_a_run_is_found_by_its_replay() {
    let storage = MemStorage::new();
    let db = open(&storage, Options::new());
    let run = db.runs().begin(RunOptions::named("run")).unwrap();
    run.json().set("doc", &large()).unwrap();
    let mut seqs = vec![];
    for id in 0..60 {
        run.json().push_at("doc", "/items", &json!(id)).unwrap();
        seqs.push(db.view().seq());
    }
    for (pushed, seq) in (201..).zip(seqs) {
        let replay = db.replay_at(run.id(), seq).unwrap();
        assert_eq!(replay.json().length_at("doc", "/items").unwrap(), pushed);
    }
}

#[test]
fn of_a_large_document_that_is_upserted_or_updated_the_change_is_logged_too() {
    let db = store();
    db.json().set("doc", &large()).unwrap();
    db.json().upsert("doc", &json!({"count": 1})).unwrap();
    assert_eq!(edits(&db).unwrap().edits.len(), 1);
    let retitle = |document: Option<Json>| {
        let mut document = document.unwrap();
        document["title"] = json!("another plan");
        document
    };
    db.json().update("doc", retitle).unwrap();
    assert_eq!(edits(&db).unwrap().edits.len(), 2);
    assert_eq!(db.json().get_at("doc", "/count").unwrap(), Some(json!(1)));
    assert!(violations(&db).is_empty());
}
