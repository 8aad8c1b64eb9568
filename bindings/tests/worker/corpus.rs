//! A valid request for every operation, and a store that they are about.
//!
//! Invariant: every operation is here, on the target that it is for.

use foldb_core::value::Value;
use foldb_wasm::Operation;
use serde_json::json;
use wasm_bindgen_test::wasm_bindgen_test;

use crate::{
    client::Client,
    wire::{Id, Request, STORE, transaction, view},
};

/// The run of the corpus.
pub(crate) const RUN: Id = [7; 16];
/// A transaction that is open, one that is committed, one that is rolled back.
pub(crate) const TRANSACTIONS: [u32; 3] = [1, 2, 3];
/// A view, two replays, a verification and an export.
pub(crate) const VIEWS: [u32; 5] = [11, 12, 13, 18, 19];

/// What requests name that gets its name by chance.
pub(crate) struct Named {
    entry: Id,
    /// Three that are leased, and two that are dead.
    jobs: [Id; 5],
}

/// Fills a store with something of each sort.
pub(crate) fn prepare(client: &mut Client) -> Named {
    let begin = STORE.ask(Operation::RunBegin).bytes("corpus").flag(true).raw(&RUN);
    client.ask(&begin.none(1).u32(1).bytes("label").bytes("one").value("metadata"));
    let mut entry = [0; 16];
    for place in [STORE, STORE.run(RUN)] {
        for (key, value) in [("pair", 5), ("pair/2", 6), ("counter", 1), ("gone", 0)] {
            client.put(place, key, value);
        }
        let document = json!({ "n": 1, "list": [1, 2, 3], "text": "text" });
        client.ask(&place.ask(Operation::JsonSet).bytes("document").document(&document));
        client.ask(&place.ask(Operation::JsonSet).bytes("other").document(&document));
        for number in 0..3 {
            client.ask(&place.ask(Operation::EventAppend).bytes("stream").bytes("kind").value(number));
        }
        client.ask(&place.ask(Operation::CellInit).bytes("cell").value("first"));
        client.ask(&place.ask(Operation::CellInit).bytes("cell/2").value("first"));
        entry = client.ask(&place.ask(Operation::TraceRecord).bytes("query").bytes("name").value(1).none(3)).array();
    }
    for handle in TRANSACTIONS {
        client.ask(&transaction(handle).ask(Operation::TransactionBegin).none(4));
        client.ask(&transaction(handle).ask(Operation::TransactionSavepoint));
    }
    client.ask(&view(VIEWS[0]).ask(Operation::ViewOpen));
    client.ask(&view(VIEWS[3]).ask(Operation::VerifyOpen));
    client.ask(&view(VIEWS[4]).ask(Operation::ExportOpen));
    client.replay(VIEWS[1], None);
    client.replay(VIEWS[2], Some(RUN));
    Named { entry, jobs: jobs(client) }
}

/// Jobs of a queue: one that is ready, and those of [`Named::jobs`].
fn jobs(client: &mut Client) -> [Id; 5] {
    for number in 0..6 {
        let push = STORE.ask(Operation::QueuePush).bytes("jobs").none(2).flag(true).number(1);
        client.ask(&push.none(2).value(number));
    }
    let claim = STORE.ask(Operation::QueueClaim).bytes("jobs").flag(true).number(5).number(600_000);
    let claimed = client.ask(&claim).list(|answer| {
        let id: Id = answer.array();
        answer.value();
        assert_eq!(answer.u32(), 1);
        answer.number();
        id
    });
    for dead in &claimed[3..] {
        client.ask(&STORE.ask(Operation::QueueNack).bytes("jobs").raw(dead).number(1).bytes("why"));
    }
    claimed.try_into().unwrap()
}

/// The requests. Each can be made of a store that was prepared, in this order.
pub(crate) fn corpus(Named { entry, jobs }: &Named) -> Vec<(Operation, Request)> {
    let mut corpus = pairs();
    corpus.extend(documents());
    corpus.extend(events_and_cells());
    corpus.extend(traces(entry));
    corpus.extend(runs());
    corpus.extend(queues(jobs));
    corpus.extend(handles());
    corpus.extend(whole());
    corpus
}

/// What a request has behind its head.
type Write = fn(Request) -> Request;

/// Names what a request asks for.
fn each(requests: Vec<(Operation, Write)>) -> Vec<(Operation, Request)> {
    requests.into_iter().map(|(operation, write)| (operation, write(STORE.run(RUN).ask(operation)))).collect()
}

fn pairs() -> Vec<(Operation, Request)> {
    use Operation as Op;
    each(vec![
        (Op::EntryGet, |r| r.u8(0).bytes("pair")),
        (Op::EntryGetVersioned, |r| r.u8(0).bytes("pair")),
        (Op::EntryGetMany, |r| r.u8(1).u32(2).bytes("document").bytes("none")),
        (Op::EntryExists, |r| r.u8(3).bytes("cell")),
        (Op::EntryCount, |r| r.u8(0).prefix("pair")),
        (Op::EntryKeys, |r| r.u8(0).scan("pair")),
        (Op::EntryScan, |r| r.u8(0).prefix("pair").flag(true).number(1).flag(true).flag(true).bytes("pair/2")),
        (Op::EntryScan, |r| r.u8(0).none(1).flag(true).bytes("a").none(2).flag(true).bytes("pair").none(5)),
        (Op::EntryExistsMany, |r| r.u8(3).u32(2).bytes("cell").bytes("none")),
        (Op::EntryDeleteRange, |r| r.u8(0).prefix("deleted")),
        (Op::EntryPut, |r| r.u8(0).bytes("living").u8(1).number(60_000).value(1)),
        (Op::EntryPut, |r| r.u8(3).bytes("living").u8(2).raw(&4e15_f64.to_le_bytes()).value(1)),
        (Op::EntryPut, |r| r.u8(1).bytes("living").u8(0).value(1)),
        (Op::EntryPutIfAbsent, |r| r.u8(0).bytes("lock").flag(true).number(60_000).value(1)),
        (Op::EntryTouch, |r| r.u8(0).bytes("pair").number(60_000)),
        (Op::EntryExpireAt, |r| r.u8(1).bytes("document").raw(&4e15_f64.to_le_bytes())),
        (Op::EntryPersist, |r| r.u8(0).bytes("pair")),
        (Op::EntryExpiresAt, |r| r.u8(0).bytes("pair")),
        (Op::KvPut, |r| r.bytes("pair").value(Value::List(vec![1.into(), "two".into(), 3.5.into()]))),
        (Op::KvPutMany, |r| r.u32(2).bytes("a").value(1).bytes("b").value(&[1_u8, 2][..])),
        (Op::KvPutIfAbsent, |r| r.bytes("absent").value(true)),
        (Op::KvDelete, |r| r.bytes("absent")),
        (Op::KvRemove, |r| r.bytes("a")),
        (Op::KvDeleteMany, |r| r.u32(2).bytes("a").bytes("b")),
        (Op::KvCasVersion, |r| r.bytes("new").flag(false).value(1)),
        (Op::KvCasValue, |r| r.bytes("new").flag(true).value(1).value(2)),
        (Op::KvGetAndPut, |r| r.bytes("new").value("newer")),
        (Op::KvGetAndDelete, |r| r.bytes("new")),
        (Op::KvRename, |r| r.bytes("gone").bytes("renamed")),
        (Op::KvAddI64, |r| r.bytes("i64").raw(&(-3_i64).to_le_bytes())),
        (Op::KvAddU64, |r| r.bytes("u64").raw(&3_u64.to_le_bytes())),
        (Op::KvAddF64, |r| r.bytes("f64").f64(1.5)),
        (Op::KvAddU256, |r| r.bytes("u256").raw(&[3; 32])),
    ])
}

fn documents() -> Vec<(Operation, Request)> {
    use Operation as Op;
    each(vec![
        (Op::JsonSet, |r| r.bytes("third").document(&json!({ "list": [1, null, "ü"] }))),
        (Op::JsonSetMany, |r| r.u32(2).bytes("a").document(&json!(1)).bytes("b").document(&json!([]))),
        (Op::JsonCasVersion, |r| r.bytes("new").flag(false).document(&json!(1))),
        (Op::JsonUpsert, |r| r.bytes("new").document(&json!({ "a": null, "b": 1 }))),
        (Op::JsonReplace, |r| r.bytes("new").document(&json!({ "b": 2 }))),
        (Op::JsonDelete, |r| r.bytes("a")),
        (Op::JsonDeleteMany, |r| r.u32(2).bytes("a").bytes("b")),
        (Op::JsonGetAt, |r| r.bytes("document").bytes("/list/1")),
        (Op::JsonLengthAt, |r| r.bytes("document").bytes("$.list")),
        (Op::JsonTypeAt, |r| r.bytes("document").bytes("/text")),
        (Op::JsonKeysAt, |r| r.bytes("document").bytes("")),
        (Op::JsonSelect, |r| r.bytes("/n").document(&json!(1)).scan("")),
        (Op::JsonSetAt, |r| r.bytes("document").bytes("/n").document(&json!(2))),
        (Op::JsonDeleteAt, |r| r.bytes("document").bytes("/text")),
        (Op::JsonMergeAt, |r| r.bytes("document").bytes("").document(&json!({ "merged": true }))),
        (Op::JsonPatch, |r| r.bytes("document").document(&json!([{ "op": "add", "path": "/patched", "value": 1 }]))),
        (Op::JsonPushAt, |r| r.bytes("document").bytes("/list").document(&json!(4))),
        (Op::JsonPopAt, |r| r.bytes("document").bytes("/list")),
        (Op::JsonIncrementAt, |r| r.bytes("document").bytes("/n").document(&json!(40))),
    ])
}

fn events_and_cells() -> Vec<(Operation, Request)> {
    use Operation as Op;
    each(vec![
        (Op::EventGet, |r| r.bytes("stream").number(2)),
        (Op::EventRange, |r| {
            r.bytes("stream").none(4).flag(true).number(1).flag(true).number(3).flag(true).number(2).flag(true)
        }),
        (Op::EventAll, |r| r.flag(true).number(2).bytes("stream").number(1).flag(true).number(5).flag(false)),
        (Op::EventHead, |r| r.bytes("stream")),
        (Op::EventFirst, |r| r.bytes("stream")),
        (Op::EventLength, |r| r.bytes("stream")),
        (Op::EventInfo, |r| r.bytes("stream")),
        (Op::EventStreams, |r| r.scan("str")),
        (Op::EventVerifyChain, |r| r.bytes("stream")),
        (Op::EventAppend, |r| r.bytes("stream").bytes("kind").value("payload")),
        (Op::EventAppendBatch, |r| r.bytes("stream").u32(2).bytes("a").value(1).bytes("b").value(2)),
        (Op::EventTrim, |r| r.bytes("stream").number(2)),
        (Op::EventDeleteStream, |r| r.bytes("none")),
        (Op::CellInit, |r| r.bytes("third").value(1)),
        (Op::CellSet, |r| r.bytes("cell").value("second")),
        (Op::CellDelete, |r| r.bytes("third")),
        (Op::CellCas, |r| r.bytes("cell/2").number(1).value("second")),
    ])
}

fn traces(entry: &Id) -> Vec<(Operation, Request)> {
    use Operation as Op;
    let ask = |operation: Operation| STORE.run(RUN).ask(operation);
    let requests = vec![
        ask(Op::TraceGet).raw(entry),
        ask(Op::TraceExists).raw(entry),
        ask(Op::TraceCount),
        ask(Op::TraceList).none(3).u8(0),
        ask(Op::TraceList).flag(true).number(3).flag(true).flag(true).bytes(entry).u8(1).raw(entry),
        ask(Op::TraceList).none(3).u8(2),
        ask(Op::TraceList).none(3).u8(3).bytes("query"),
        ask(Op::TraceList).none(3).u8(4).number(0).f64(9e15),
        ask(Op::TraceRecord)
            .bytes("decision")
            .bytes("why")
            .value("data")
            .flag(true)
            .raw(entry)
            .flag(true)
            .number(7)
            .none(1),
        ask(Op::TraceFinish).raw(entry).flag(true).value("done").flag(true).number(5),
    ];
    requests.into_iter().map(|request| (named(request.0[0]), request)).collect()
}

/// The operation of a number.
fn named(number: u8) -> Operation {
    Operation::ALL.iter().map(|(_, operation)| *operation).find(|operation| *operation as u8 == number).unwrap()
}

fn runs() -> Vec<(Operation, Request)> {
    use Operation as Op;
    let ended: Id = [8; 16];
    let begin = STORE.ask(Op::RunBegin).bytes("another").flag(true).raw(&ended).flag(true).raw(&RUN);
    let list = STORE.ask(Op::RunList).flag(true).u8(0).flag(true).bytes("corpus").flag(false);
    let requests = vec![
        begin.u32(1).bytes("key").bytes("value").value("metadata"),
        STORE.ask(Op::RunBeginOrGet).bytes("key").bytes("by key").none(1).u32(0).value(()),
        STORE.ask(Op::RunInfo).raw(&ended),
        list.u32(1).bytes("label").bytes("one").flag(false).flag(true).number(5).flag(true),
        STORE.ask(Op::RunEnd).raw(&ended).u8(1).flag(true).bytes("why"),
        STORE.ask(Op::RunResume).raw(&ended),
        STORE.ask(Op::RunSetLabel).raw(&ended).bytes("key").flag(true).bytes("other"),
        STORE.ask(Op::RunSetMetadata).raw(&ended).value(3),
        STORE.ask(Op::RunEnd).raw(&ended).u8(0).flag(false),
        STORE.ask(Op::RunDelete).raw(&ended),
    ];
    requests.into_iter().map(|request| (named(request.0[0]), request)).collect()
}

fn queues([acknowledged, failed, kept, revived, discarded]: &[Id; 5]) -> Vec<(Operation, Request)> {
    use Operation as Op;
    let ask = |operation| STORE.ask(operation).bytes("jobs");
    let push = ask(Op::QueuePush).flag(true).number(5).flag(true).number(200).flag(true).number(3);
    let in_it = transaction(TRANSACTIONS[0]).ask(Op::QueuePush).bytes("jobs").none(5).value("in it");
    let filter = view(20).ask(Op::Subscribe).flag(true).raw(&RUN).flag(false).u32(2).u8(0).u8(5);
    let requests = vec![
        push.flag(true).number(7).flag(true).bytes("key").value("job"),
        in_it,
        ask(Op::QueueClaim).flag(true).number(1).number(1000),
        ask(Op::QueueAck).raw(acknowledged).number(1),
        ask(Op::QueueNack).raw(failed).number(1).bytes("why"),
        ask(Op::QueueExtend).raw(kept).number(1).number(1000),
        ask(Op::QueueDead).flag(true).number(5),
        ask(Op::QueueRevive).raw(revived),
        ask(Op::QueueDiscard).raw(discarded),
        ask(Op::QueueCounts),
        filter.u32(1).bytes("key").u32(1).bytes("prefix").flag(true).flag(true),
        view(21).ask(Op::QueueSubscribe).bytes("jobs"),
    ];
    requests.into_iter().map(|request| (named(request.0[0]), request)).collect()
}

fn handles() -> Vec<(Operation, Request)> {
    use Operation as Op;
    let [open, committed, rolled_back] = TRANSACTIONS.map(transaction);
    let requests = vec![
        transaction(4)
            .ask(Op::TransactionBegin)
            .flag(true)
            .u8(1)
            .number(5)
            .number(500)
            .flag(true)
            .bytes("idempotency")
            .none(1)
            .flag(true)
            .flag(false)
            .bytes("Ada"),
        open.ask(Op::TransactionSeq),
        open.run(RUN).ask(Op::KvPut).bytes("in it").value(1),
        open.ask(Op::TransactionSavepoint),
        open.ask(Op::TransactionRollbackTo).u32(0),
        open.ask(Op::TransactionBecause).flag(true).raw(&[7; 16]),
        open.ask(Op::TransactionResult).value("done"),
        committed.ask(Op::TransactionCommit),
        rolled_back.ask(Op::TransactionRollback),
        view(14).ask(Op::ViewOpen),
        view(15).run(RUN).ask(Op::ReplayOpen).flag(true).number(20),
        view(VIEWS[0]).run(RUN).ask(Op::Digest),
        view(VIEWS[0]).ask(Op::Diff).flag(false).flag(true).raw(&RUN),
        view(VIEWS[1]).ask(Op::Diff).u32(VIEWS[2]),
        view(VIEWS[1]).ask(Op::EntryGet).u8(0).bytes("pair"),
        view(15).ask(Op::Release),
        view(16).ask(Op::VerifyOpen),
        view(VIEWS[3]).ask(Op::VerifyStep),
        view(17).ask(Op::ExportOpen),
        view(VIEWS[4]).ask(Op::ExportStep),
    ];
    requests.into_iter().map(|request| (named(request.0[0]), request)).collect()
}

fn whole() -> Vec<(Operation, Request)> {
    use Operation as Op;
    let requests = vec![
        STORE.ask(Op::StoreSync),
        STORE.ask(Op::StoreWaitDurable).number(3),
        STORE.ask(Op::StoreDurableSeq),
        STORE.ask(Op::StoreSnapshot),
        STORE.ask(Op::StoreStats),
        STORE.ask(Op::StoreOpened),
        STORE.ask(Op::StoreRecall).none(1).flag(true).bytes("idempotency").flag(true).bytes("fingerprint").none(1),
        STORE.ask(Op::StoreCommitInfo).number(3),
        STORE.ask(Op::StoreSweep).number(100),
        STORE.ask(Op::StoreSeen).bytes("idempotency"),
        STORE.ask(Op::StoreKeyWindow),
        STORE.ask(Op::StoreRefresh),
        STORE.ask(Op::StoreSetKeyWindow).number(100).flag(true).number(60_000),
        STORE.ask(Op::Diff).flag(false).flag(true).raw(&RUN),
    ];
    requests.into_iter().map(|request| (named(request.0[0]), request)).collect()
}

#[wasm_bindgen_test]
fn every_operation_is_answered() {
    let mut client = Client::memory();
    let entry = prepare(&mut client);
    let corpus = corpus(&entry);
    for (name, operation) in Operation::ALL {
        assert!(corpus.iter().any(|(other, _)| *other == *operation), "{name} is in the corpus");
    }
    for (operation, request) in &corpus {
        if let Err(failure) = client.try_ask(request) {
            panic!("{operation:?}: {failure:?}");
        }
    }
    assert_eq!(client.violations(), []);
}
