//! Each primitive over OPFS: what was written is read, before the store is opened again and after it.

use foldb_core::value::Value;
use foldb_wasm::Operation;
use serde_json::json;
use wasm_bindgen_test::wasm_bindgen_test;

use crate::{
    client::{Client, Opening},
    wire::{Id, Place, STORE},
};

/// Writes with one client, looks, and looks again with another after the store was opened again.
async fn twice(name: &str, write: impl FnOnce(&mut Client), look: impl Fn(&mut Client)) {
    let mut client = Client::fresh(name, Opening::STRICT).await;
    write(&mut client);
    look(&mut client);
    client.close();
    let mut client = Client::open(name, Opening::STRICT).await.unwrap();
    look(&mut client);
    assert_eq!(client.violations(), []);
    client.close();
}

#[wasm_bindgen_test]
async fn pairs_are_kept_with_the_types_of_their_values() {
    let values = || {
        let list = Value::List(vec![1.into(), Value::Null, "ü".into()]);
        let map = Value::Map(vec![("key".into(), 2.5.into()), (3.into(), list.clone())]);
        let large = Value::Bytes((0..100_000_u32).map(|number| number.to_le_bytes()[0]).collect());
        [Value::Null, true.into(), (-5).into(), u64::MAX.into(), 2.5.into(), "text".into(), list, map, large]
    };
    let write = |client: &mut Client| {
        for (number, value) in values().into_iter().enumerate() {
            client.ask(&STORE.ask(Operation::KvPut).bytes(format!("key/{number}")).value(value));
        }
        client.put(STORE, "other", 1);
    };
    twice("test-pairs", write, |client| {
        for (number, value) in values().into_iter().enumerate() {
            assert_eq!(client.get(STORE, &format!("key/{number}")), Some(value));
        }
        assert_eq!(client.get(STORE, "none"), None);
        assert_eq!(client.ask(&STORE.ask(Operation::EntryCount).u8(0).prefix("key/")).number(), 9.0);
        let scan = STORE.ask(Operation::EntryScan).u8(0).prefix("key/").flag(true).number(2).flag(true).none(1);
        let found: Vec<String> = client.ask(&scan).entries().into_iter().map(|(key, _)| key).collect();
        assert_eq!(found, ["key/8", "key/7"]);
        let keys = STORE.ask(Operation::EntryKeys).u8(0).prefix("").none(2).flag(true).bytes("key/7");
        assert_eq!(client.ask(&keys).list(crate::wire::Answer::text), ["key/8", "other"]);
    })
    .await;
}

#[wasm_bindgen_test]
async fn writes_with_a_condition_happen_or_fail_as_a_precondition() {
    let write = |client: &mut Client| {
        client.ask(&STORE.ask(Operation::KvPutIfAbsent).bytes("a").value(1));
        assert_eq!(client.refused(&STORE.ask(Operation::KvPutIfAbsent).bytes("a").value(2)), "Precondition");
        let version = client.ask(&STORE.ask(Operation::EntryGetVersioned).u8(0).bytes("a")).number();
        let cas = |version: f64, value: i32| {
            STORE.ask(Operation::KvCasVersion).bytes("a").flag(true).f64(version).value(value)
        };
        client.ask(&cas(version, 3));
        assert_eq!(client.refused(&cas(version, 4)), "Precondition");
        let cas = |from: i32, to: i32| STORE.ask(Operation::KvCasValue).bytes("a").flag(true).value(from).value(to);
        client.ask(&cas(3, 5));
        assert_eq!(client.refused(&cas(3, 6)), "Precondition");
        assert_eq!(client.ask(&STORE.ask(Operation::KvGetAndPut).bytes("a").value(7)).rest(), Some(5.into()));
        client.ask(&STORE.ask(Operation::KvRename).bytes("a").bytes("b"));
        assert_eq!(client.refused(&STORE.ask(Operation::KvRename).bytes("a").bytes("c")), "NotFound");
        assert!(client.ask(&STORE.ask(Operation::KvDelete).bytes("b")).flag());
        assert!(!client.ask(&STORE.ask(Operation::KvDelete).bytes("b")).flag());
        for _ in 0..3 {
            client.ask(&STORE.ask(Operation::KvAddI64).bytes("counter").raw(&(-2_i64).to_le_bytes()));
        }
        let most = i64::MIN.to_le_bytes();
        let failure = client.try_ask(&STORE.ask(Operation::KvAddI64).bytes("counter").raw(&most)).unwrap_err();
        assert_eq!(failure.code, "CounterOverflow");
    };
    twice("test-conditions", write, |client| {
        assert_eq!(client.number_at(STORE, "counter"), Some(-6));
        assert_eq!(client.pairs(STORE).len(), 1);
    })
    .await;
}

#[wasm_bindgen_test]
async fn documents_are_changed_at_paths_and_found_by_a_field() {
    let set = |key: &str, document: serde_json::Value| STORE.ask(Operation::JsonSet).bytes(key).document(&document);
    let at = |operation, path: &str| STORE.ask(operation).bytes("order").bytes(path);
    let write = |client: &mut Client| {
        client.ask(&set("order", json!({ "item": "tea", "count": 1, "notes": [] })));
        client.ask(&set("other", json!({ "item": "coffee", "count": 1.5 })));
        client.ask(&at(Operation::JsonPushAt, "/notes").document(&json!("hot")));
        assert_eq!(
            client.ask(&at(Operation::JsonIncrementAt, "$.count").document(&json!(4))).rest_document(),
            Some(json!(5))
        );
        client.ask(&at(Operation::JsonMergeAt, "").document(&json!({ "paid": true, "item": null })));
        let patch = json!([{ "op": "test", "path": "/paid", "value": false }, { "op": "remove", "path": "/paid" }]);
        let failed = client.refused(&STORE.ask(Operation::JsonPatch).bytes("order").document(&patch));
        assert_eq!(failed, "Precondition", "and nothing of the patch is done");
        assert_eq!(client.refused(&at(Operation::JsonPushAt, "/count").document(&json!(1))), "Invalid");
    };
    twice("test-documents", write, move |client| {
        let found = client.ask(&STORE.ask(Operation::EntryGet).u8(1).bytes("order")).rest_document();
        assert_eq!(found, Some(json!({ "count": 5, "notes": ["hot"], "paid": true })));
        assert_eq!(client.ask(&at(Operation::JsonGetAt, "/notes/0")).rest_document(), Some(json!("hot")));
        assert_eq!(client.ask(&at(Operation::JsonLengthAt, "/notes")).number(), 1.0);
        let select = STORE.ask(Operation::JsonSelect).bytes("/item").document(&json!("coffee")).scan("");
        let found: Vec<String> = client.ask(&select).entries().into_iter().map(|(key, _)| key).collect();
        assert_eq!(found, ["other"]);
    })
    .await;
}

#[wasm_bindgen_test]
async fn events_keep_their_order_and_their_chain() {
    let write = |client: &mut Client| {
        let append = |number: i32| STORE.ask(Operation::EventAppend).bytes("log").bytes("line").value(number);
        let first = client.ask(&append(1)).optional(crate::wire::Answer::number);
        assert_eq!(first, Some(1.0));
        for stream in ["log", "whole"] {
            let batch = STORE.ask(Operation::EventAppendBatch).bytes(stream).u32(3);
            let batch = (2..5).fold(batch, |batch, number| batch.bytes("line").value(number));
            let first = if stream == "log" { 2.0 } else { 1.0 };
            assert_eq!(client.ask(&batch).optional(crate::wire::Answer::number), Some(first));
        }
        client.ask(&STORE.ask(Operation::EventTrim).bytes("log").number(2));
        client.ask(&STORE.ask(Operation::EventAppend).bytes("gone").bytes("line").value(1));
        assert!(client.ask(&STORE.ask(Operation::EventDeleteStream).bytes("gone")).flag());
    };
    twice("test-events", write, |client| {
        let range = STORE.ask(Operation::EventRange).bytes("log").none(6).flag(true).number(2).flag(true);
        let mut answer = client.ask(&range);
        let found = answer.list(|answer| {
            let seq = answer.number();
            // When it was committed, and by which commit.
            answer.number();
            answer.number();
            (seq, answer.text(), answer.value())
        });
        assert_eq!(found, [(4.0, "line".into(), 4.into()), (3.0, "line".into(), 3.into())]);
        assert_eq!(client.ask(&STORE.ask(Operation::EventLength).bytes("log")).number(), 3.0);
        assert_eq!(client.ask(&STORE.ask(Operation::EventHead).bytes("log")).number(), 4.0);
        assert_eq!(client.ask(&STORE.ask(Operation::EventHead).bytes("gone")).number(), 0.0);
        let mut chain = |stream: &str| {
            let mut report = client.ask(&STORE.ask(Operation::EventVerifyChain).bytes(stream));
            (report.number(), report.number())
        };
        assert_eq!(chain("whole"), (1.0, 3.0), "batches and events");
        assert_eq!(chain("log"), (0.0, 0.0), "the batch that is left is where the chain begins");
    })
    .await;
}

#[wasm_bindgen_test]
async fn cells_change_by_their_counter() {
    let write = |client: &mut Client| {
        client.ask(&STORE.ask(Operation::CellInit).bytes("job").value("queued"));
        assert_eq!(client.refused(&STORE.ask(Operation::CellInit).bytes("job").value("again")), "Precondition");
        let cas = |counter| STORE.ask(Operation::CellCas).bytes("job").number(counter).value("running");
        assert_eq!(client.ask(&cas(1)).number(), 2.0);
        assert_eq!(client.refused(&cas(1)), "Precondition");
        assert_eq!(client.ask(&STORE.ask(Operation::CellSet).bytes("job").value("done")).number(), 3.0);
        client.ask(&STORE.ask(Operation::CellSet).bytes("gone").value(1));
        assert!(client.ask(&STORE.ask(Operation::CellDelete).bytes("gone")).flag());
    };
    twice("test-cells", write, |client| {
        let mut cell = client.ask(&STORE.ask(Operation::EntryGet).u8(3).bytes("job"));
        // The counter is in front of the value.
        assert_eq!(cell.u8(), 3);
        assert_eq!(cell.rest(), Some("done".into()));
        assert!(client.ask(&STORE.ask(Operation::EntryGet).u8(3).bytes("gone")).is_empty());
    })
    .await;
}

#[wasm_bindgen_test]
async fn trace_entries_are_a_tree() {
    let record = |kind: &str, parent: Option<Id>| {
        let request = STORE.ask(Operation::TraceRecord).bytes(kind).bytes("name").value(kind);
        request.optional(parent, |request, parent| request.raw(&parent)).none(2)
    };
    let write = |client: &mut Client| {
        let root: Id = client.ask(&record("decision", None)).array();
        let child = client.ask(&record("tool_call", Some(root))).array();
        client.ask(&record("thought", Some(child)));
        client.ask(&STORE.ask(Operation::TraceFinish).raw(&child).flag(true).value("result").flag(true).number(12));
    };
    twice("test-traces", write, |client| {
        assert_eq!(client.ask(&STORE.ask(Operation::TraceCount)).number(), 3.0);
        let list = |which| STORE.ask(Operation::TraceList).none(3).u8(which);
        let ids = |client: &mut Client, request| {
            let mut found = client.ask(&request);
            let ids = found.list(|answer| {
                let id: Id = answer.array();
                let kind = answer.text();
                answer.text();
                answer.optional(|answer| answer.take(16));
                answer.number();
                answer.optional(crate::wire::Answer::number);
                // The commit that it came with.
                answer.number();
                // What it was given, and what came of it.
                answer.value();
                answer.value();
                (id, kind)
            });
            assert!(found.is_empty());
            ids
        };
        let roots = ids(client, list(2));
        assert_eq!(roots.len(), 1);
        let children = ids(client, list(1).raw(&roots[0].0));
        assert_eq!(children.iter().map(|(_, kind)| kind.as_str()).collect::<Vec<_>>(), ["tool_call"]);
        assert_eq!(ids(client, list(3).bytes("thought")).len(), 1);
        assert_eq!(ids(client, list(4).number(0).f64(9e15)).len(), 3);
    })
    .await;
}

/// Id, name, status and message of runs.
fn runs(client: &mut Client) -> Vec<(Id, String, String, Option<String>)> {
    let mut answer = client.ask(&STORE.ask(Operation::RunList).none(3).u32(0).none(3));
    let runs = answer.list(|answer| {
        let id = answer.array();
        answer.u32();
        let (name, status) = (answer.text(), answer.text());
        answer.optional(|answer| answer.take(16));
        answer.list(|answer| (answer.text(), answer.text()));
        answer.value();
        answer.number();
        answer.optional(crate::wire::Answer::number);
        let message = answer.optional(crate::wire::Answer::text);
        answer.take(4 + 3 * 8);
        (id, name, status, message)
    });
    assert!(answer.is_empty());
    runs
}

#[wasm_bindgen_test]
async fn runs_end_and_are_orphaned_when_their_process_goes() {
    let mut client = Client::fresh("test-runs", Opening::STRICT).await;
    let [ended, failed, left, deleted] = ["ended", "failed", "left", "deleted"].map(|name| client.begin_run(name));
    let within = |run: Id| -> Place { STORE.run(run) };
    for run in [ended, failed, left, deleted] {
        client.put(within(run), "key", 1);
    }
    let end = |run: Id, how| STORE.ask(Operation::RunEnd).raw(&run).u8(how);
    client.ask(&end(ended, 0).flag(false));
    client.ask(&end(failed, 1).flag(true).bytes("no luck"));
    client.ask(&end(deleted, 2).flag(true).bytes("not needed"));
    client.ask(&STORE.ask(Operation::RunDelete).raw(&deleted));
    assert_eq!(client.refused(&within(ended).ask(Operation::KvPut).bytes("key").value(2)), "RunEnded");
    assert_eq!(client.refused(&within(deleted).ask(Operation::EntryGet).u8(0).bytes("key")), "NotFound");
    assert_eq!(client.get(STORE, "key"), None, "a run is a space of its own");
    client.close();

    let mut client = Client::open("test-runs", Opening::STRICT).await.unwrap();
    let found: Vec<_> = runs(&mut client).into_iter().map(|(id, _, status, message)| (id, status, message)).collect();
    let luck = Some("no luck".into());
    let expected =
        [(ended, "completed".into(), None), (failed, "failed".into(), luck), (left, "orphaned".into(), None)];
    assert_eq!(found, expected);
    client.ask(&STORE.ask(Operation::RunResume).raw(&left));
    client.put(within(left), "key", 2);
    assert_eq!(client.number_at(within(left), "key"), Some(2));
    client.close();
}
