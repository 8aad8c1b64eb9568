//! Transactions over the wire: whole or not at all, one version to read from, and nothing lost between two of them.

use foldb_wasm::Operation;
use wasm_bindgen_test::wasm_bindgen_test;

use crate::{
    client::{Client, Opening},
    wire::{Place, STORE, transaction, unheard},
};

fn begin(client: &mut Client, handle: u32) -> Place {
    client.ask(&transaction(handle).ask(Operation::TransactionBegin).none(4));
    transaction(handle)
}

fn commit(client: &mut Client, place: Place) -> Result<f64, String> {
    let done = client.try_ask(&place.ask(Operation::TransactionCommit));
    done.map(|mut receipt| receipt.number()).map_err(|failure| failure.kind)
}

#[wasm_bindgen_test]
async fn a_transaction_is_there_whole_or_not_at_all() {
    let mut client = Client::fresh("test-whole", Opening::STRICT).await;
    let run = client.begin_run("run");
    let first = begin(&mut client, 1);
    client.put(first, "a", 1);
    client.put(first.run(run), "a", 2);
    client.ask(&first.ask(Operation::EventAppend).bytes("log").bytes("line").value(1));
    assert_eq!(client.number_at(first, "a"), Some(1), "it reads its own writes");
    assert_eq!(client.get(STORE, "a"), None, "nobody else does");
    let second = begin(&mut client, 2);
    client.put(second, "b", 1);
    client.ask(&second.ask(Operation::TransactionRollback));
    commit(&mut client, first).unwrap();
    // What is under way when the store is closed was never committed.
    let third = begin(&mut client, 3);
    client.put(third, "c", 1);
    client.close();
    let mut client = Client::open("test-whole", Opening::STRICT).await.unwrap();
    assert_eq!(client.pairs(STORE).len(), 1);
    assert_eq!(client.number_at(STORE.run(run), "a"), Some(2));
    assert_eq!(client.ask(&STORE.ask(Operation::EventLength).bytes("log")).number(), 1.0);
    client.close();
}

#[wasm_bindgen_test]
async fn of_two_that_depend_on_each_other_the_second_conflicts() {
    let mut client = Client::fresh("test-conflicts", Opening::STRICT).await;
    client.put(STORE, "on call", 2);
    let [first, second] = [1, 2].map(|handle| begin(&mut client, handle));
    // Each sees two on call and takes one away: together they would leave none (write skew).
    for (place, key) in [(first, "one"), (second, "other")] {
        assert_eq!(client.number_at(place, "on call"), Some(2));
        client.ask(&place.ask(Operation::EntryCount).u8(0).prefix(""));
        client.put(place, key, 1);
    }
    commit(&mut client, first).unwrap();
    assert_eq!(commit(&mut client, second), Err("Conflict".into()));
    assert_eq!(client.get(STORE, "other"), None);
    // Counters and events do not depend on what was there.
    let [first, second] = [3, 4].map(|handle| begin(&mut client, handle));
    for place in [first, second] {
        client.ask(&place.ask(Operation::KvAddI64).bytes("counter").raw(&1_i64.to_le_bytes()));
        client.ask(&place.ask(Operation::EventAppend).bytes("log").bytes("line").value(1));
    }
    commit(&mut client, first).unwrap();
    commit(&mut client, second).unwrap();
    assert_eq!(client.number_at(STORE, "counter"), Some(2));
    client.close();
}

#[wasm_bindgen_test]
fn going_back_to_a_savepoint_undoes_what_came_after_it() {
    let mut client = Client::memory();
    let place = begin(&mut client, 1);
    let mut savepoints = Vec::new();
    for number in 0..4 {
        savepoints.push(client.ask(&place.ask(Operation::TransactionSavepoint)).u32());
        client.put(place, "number", number);
    }
    let back = |savepoint| place.ask(Operation::TransactionRollbackTo).u32(savepoint);
    client.ask(&back(savepoints[2]));
    assert_eq!(client.number_at(place, "number"), Some(1));
    assert_eq!(client.refused(&back(savepoints[3])), "Invalid", "it was made after the one that was gone back to");
    client.ask(&back(savepoints[2]));
    client.ask(&back(savepoints[1]));
    assert_eq!(client.number_at(place, "number"), Some(0));
    commit(&mut client, place).unwrap();
    assert_eq!(client.number_at(STORE, "number"), Some(0));
}

#[wasm_bindgen_test]
async fn an_idempotency_key_is_committed_once_even_across_openings() {
    let mut client = Client::fresh("test-idempotent", Opening::STRICT).await;
    let again = |client: &mut Client, handle: u32| {
        let place = transaction(handle);
        client.ask(&place.ask(Operation::TransactionBegin).none(1).flag(true).bytes("order-7").none(2));
        client.ask(&place.ask(Operation::KvAddI64).bytes("counter").raw(&1_i64.to_le_bytes()));
        let mut receipt = client.ask(&place.ask(Operation::TransactionCommit));
        let seq = receipt.number();
        receipt.flag();
        (seq, receipt.flag())
    };
    let (seq, deduplicated) = again(&mut client, 1);
    assert!(!deduplicated);
    assert_eq!(again(&mut client, 2), (seq, true));
    client.close();
    let mut client = Client::open("test-idempotent", Opening::STRICT).await.unwrap();
    assert_eq!(again(&mut client, 1), (seq, true));
    assert_eq!(client.number_at(STORE, "counter"), Some(1));
    client.close();
}

#[wasm_bindgen_test]
async fn requests_of_one_message_are_done_in_order_and_durable_together() {
    let mut client = Client::fresh("test-message", Opening::STRICT).await;
    let put = |number: i32| STORE.ask(Operation::KvPut).bytes(format!("{number:03}")).value(number);
    let mut requests: Vec<_> = (0..100).map(put).collect();
    requests.push(STORE.ask(Operation::EntryCount).u8(0).prefix(""));
    requests.push(unheard(1).ask(Operation::TransactionBegin).none(4));
    requests.push(unheard(1).ask(Operation::KvPut).bytes("in it").value(1));
    requests.push(transaction(1).ask(Operation::TransactionCommit));
    let mut answers = client.ask_all(&requests);
    assert!(answers.iter().all(Result::is_ok));
    assert_eq!(answers[100].as_mut().unwrap().number(), 100.0);
    let seq = client.seq();
    assert_eq!(client.ask(&STORE.ask(Operation::StoreDurableSeq)).number(), seq, "all of it is on stable media");
    // As if the worker had died: nothing is closed.
    drop(client);
    let mut client = Client::open("test-message", Opening::STRICT).await.unwrap();
    assert_eq!(client.pairs(STORE).len(), 101);
    client.close();
}

#[wasm_bindgen_test]
fn handles_belong_to_their_client_and_go_with_it() {
    let mut client = Client::memory();
    let place = begin(&mut client, 1);
    client.put(place, "a", 1);
    client.number = 2;
    assert_eq!(client.refused(&place.ask(Operation::TransactionCommit)), "Invalid", "it is another's");
    begin(&mut client, 1);
    client.store.drop_client(1);
    client.put(place, "b", 1);
    commit(&mut client, place).unwrap();
    client.number = 1;
    assert_eq!(client.refused(&place.ask(Operation::TransactionCommit)), "Invalid", "it went with its client");
    assert_eq!(client.pairs(STORE).len(), 1);
}
