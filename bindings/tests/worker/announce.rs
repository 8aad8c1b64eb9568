//! Announcements: what was committed, once, in order, and nothing else.

use foldb_wasm::Operation;
use wasm_bindgen_test::wasm_bindgen_test;

use crate::{
    client::Client,
    corpus::RUN,
    wire::{STORE, transaction},
};

/// The numbers of the primitives.
const KV: u8 = 0;
const EVENTS: u8 = 2;
const RUNS: u8 = 5;

#[wasm_bindgen_test]
fn commits_are_announced_with_what_they_changed() {
    let mut client = Client::memory();
    client.put(STORE, "before", 1);
    assert!(!client.announced, "nobody listens");
    client.listen(9);
    client.ask(&STORE.ask(Operation::RunBegin).bytes("run").flag(true).raw(&RUN).none(1).u32(0).value(()));
    client.put(STORE.run(RUN), "a", 1);
    client.ask(&STORE.ask(Operation::EventAppend).bytes("log").bytes("line").value(1));
    assert!(client.announced);
    let seq = client.seq();
    let expected = [
        (seq - 2.0, vec![(Some(RUN), RUNS, String::new())]),
        (seq - 1.0, vec![(Some(RUN), KV, "a".into())]),
        (seq, vec![(None, EVENTS, "log".into())]),
    ];
    assert_eq!(client.announcements(), expected);
    assert_eq!(client.announcements(), [], "once");
    client.get(STORE, "a");
    assert!(!client.announced, "a read is no commit");
}

#[wasm_bindgen_test]
fn what_was_not_committed_is_not_announced() {
    let mut client = Client::memory();
    client.listen(9);
    let place = transaction(1);
    client.ask(&place.ask(Operation::TransactionBegin).none(4));
    client.put(place, "kept", 1);
    client.ask(&place.ask(Operation::TransactionSavepoint));
    client.put(place, "undone", 1);
    client.ask(&place.ask(Operation::TransactionRollbackTo).u32(0));
    assert!(!client.announced);
    client.ask(&place.ask(Operation::TransactionCommit));
    let announced = client.announcements();
    assert_eq!(announced, [(client.seq(), vec![(None, KV, "kept".into())])]);
    // Rolled back, refused, and in conflict.
    for handle in [2, 3] {
        client.ask(&transaction(handle).ask(Operation::TransactionBegin).none(4));
        client.get(transaction(handle), "kept");
        client.put(transaction(handle), "kept", i64::from(handle));
    }
    client.ask(&transaction(2).ask(Operation::TransactionRollback));
    client.put(STORE, "kept", 9);
    assert_eq!(client.announcements().len(), 1);
    assert_eq!(client.refused(&transaction(3).ask(Operation::TransactionCommit)), "Conflict");
    assert_eq!(client.refused(&STORE.ask(Operation::KvPutIfAbsent).bytes("kept").value(1)), "Precondition");
    assert!(!client.announced);
    assert_eq!(client.announcements(), []);
    client.release(9);
    client.put(STORE, "kept", 10);
    assert!(!client.announced);
}
