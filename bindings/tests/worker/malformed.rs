//! Requests that are none: whatever bytes come, there is an answer, and the store is what it was.

use std::collections::BTreeSet;

use foldb_wasm::Operation;
use wasm_bindgen_test::wasm_bindgen_test;

use crate::{
    client::Client,
    corpus::{RUN, corpus, prepare},
    wire::{Answer, Failure, Request, STORE, transaction, unheard, view},
};

#[wasm_bindgen_test]
fn each_cut_of_each_valid_request_is_refused_and_changes_nothing() {
    let mut client = Client::memory();
    let entry = prepare(&mut client);
    let (seq, digest) = (client.seq(), client.digest(STORE.run(RUN)));
    let mut cuts = 0;
    for (operation, request) in corpus(&entry) {
        for length in 0..request.0.len() {
            let answer = Failure::of(client.call(&request.0[..length]));
            let failure = answer.expect_err(&format!("{operation:?}, cut to {length} of {}", request.0.len()));
            assert_eq!(failure.kind, "Invalid", "{operation:?}, cut to {length}: {failure:?}");
            cuts += 1;
        }
        assert_eq!(client.seq(), seq, "{operation:?} has committed something");
    }
    assert!(cuts > 2000, "{cuts}");
    assert_eq!(client.digest(STORE.run(RUN)), digest);
    // Handles that were named by what was cut are still there, in the state that they were in.
    for (operation, request) in corpus(&entry) {
        client.try_ask(&request).unwrap_or_else(|failure| panic!("{operation:?}: {failure:?}"));
    }
    assert_eq!(client.violations(), []);
}

#[wasm_bindgen_test]
fn requests_with_a_flipped_bit_are_answered_and_leave_a_store_that_is_whole() {
    let mut kinds = BTreeSet::new();
    // A snapshot of a store that each of these makes larger takes longer each time.
    let slow = [Operation::StoreSnapshot as u8];
    let mut client = Client::memory();
    let entry = prepare(&mut client);
    for (_, request) in corpus(&entry) {
        for at in 0..request.0.len() {
            for bit in 0..8 {
                let mut bytes = request.0.clone();
                bytes[at] ^= 1 << bit;
                if slow.contains(&bytes[0]) && at > 0 {
                    continue;
                }
                if let Err(failure) = Failure::of(client.call(&bytes)) {
                    kinds.insert(failure.kind);
                }
            }
        }
    }
    assert_eq!(client.violations(), []);
    for kind in ["Invalid", "NotFound", "Precondition"] {
        assert!(kinds.contains(kind), "{kind} is among {kinds:?}");
    }
    for kind in ["Corrupt", "Io", "Poisoned"] {
        assert!(!kinds.contains(kind), "a request cannot make the store {kind}");
    }
}

#[wasm_bindgen_test]
fn lengths_and_counts_that_lie_are_not_believed() {
    let mut client = Client::memory();
    for lie in [1, 1000, 1 << 31, u32::MAX - 1, u32::MAX] {
        for operation in [Operation::KvPutMany, Operation::KvDeleteMany, Operation::JsonSetMany, Operation::KvPut] {
            assert_eq!(client.refused(&STORE.ask(operation).u32(lie)), "Invalid", "{operation:?} of {lie}");
        }
        assert_eq!(client.refused(&STORE.ask(Operation::EntryGetMany).u8(0).u32(lie)), "Invalid");
        assert_eq!(client.refused(&STORE.ask(Operation::EventAppendBatch).bytes("s").u32(lie)), "Invalid");
    }
    let numbers = [-1.0, 0.5, f64::NAN, f64::INFINITY, -0.1, 9_007_199_254_740_992.0, 1e300];
    for number in numbers {
        let scan = STORE.ask(Operation::EntryScan).u8(0).prefix("").flag(true).f64(number).none(2);
        assert_eq!(client.refused(&scan), "Invalid", "a limit of {number}");
        assert_eq!(client.refused(&STORE.ask(Operation::StoreWaitDurable).f64(number)), "Invalid", "seq {number}");
    }
    assert_eq!(client.refused(&STORE.ask(Operation::StoreWaitDurable).number(5)), "Invalid", "nobody waits for ever");
}

#[wasm_bindgen_test]
fn what_is_too_large_is_refused_with_the_limit() {
    let mut client = Client::memory();
    let long = |bytes| Request::bytes(STORE.ask(Operation::KvPut), vec![b'k'; bytes]);
    assert_eq!(client.refused(&long(1025).value(1)), "Limit", "a key");
    client.ask(&long(1024).value(1));
    let large = |bytes: u32| {
        // The head of a byte string, and so many bytes.
        let head = [&[0x5a][..], &bytes.to_be_bytes()].concat();
        let encoded = [head, vec![0; usize::try_from(bytes).unwrap()]].concat();
        STORE.ask(Operation::KvPut).bytes("large").bytes(encoded)
    };
    assert_eq!(client.refused(&large((16 << 20) - 4)), "Limit", "a value");
    client.ask(&large(1 << 20));
    // 129 lists in each other.
    let mut deep = vec![0x81; 129];
    deep.push(0);
    let nested = STORE.ask(Operation::KvPut).bytes("deep").bytes(deep);
    assert_eq!(client.refused(&nested), "Limit");
    assert_eq!(client.violations(), []);
}

#[wasm_bindgen_test]
fn values_that_are_no_values_are_not_stored() {
    let mut client = Client::memory();
    client.put(STORE, "pair", 1);
    let digest = client.digest(STORE);
    // No bytes, two values, an indefinite list, a number in a long form, a reserved code, half of a text, text that is not UTF-8.
    let broken: [&[u8]; 7] = [&[], &[1, 2], &[0x9f, 1, 0xff], &[0x18, 1], &[0x1c], &[0x62, b'a'], &[0x61, 0xff]];
    for bytes in broken {
        for operation in [Operation::KvPut, Operation::KvPutIfAbsent, Operation::CellInit, Operation::CellSet] {
            let kind = client.refused(&STORE.ask(operation).bytes("broken").bytes(bytes));
            assert!(kind == "Invalid" || kind == "Corrupt", "{operation:?} of {bytes:?}: {kind}");
        }
        let kind = client.refused(&STORE.ask(Operation::EventAppend).bytes("s").bytes("kind").bytes(bytes));
        assert!(kind == "Invalid" || kind == "Corrupt", "an event of {bytes:?}: {kind}");
    }
    assert_eq!(client.digest(STORE), digest);
    assert_eq!(client.violations(), []);
}

#[wasm_bindgen_test]
fn operations_of_another_target_are_refused() {
    let mut client = Client::memory();
    prepare(&mut client);
    for number in 0..=u8::MAX {
        let known = Operation::ALL.iter().any(|(_, operation)| *operation as u8 == number);
        for target in 0..=u8::MAX {
            // A handle that is not open, no run, and nothing behind it.
            let bytes = [number, target, 99, 0, 0, 0, 0];
            let answer = Failure::of(client.call(&bytes[..if target == 0 { 3 } else { 7 }]));
            if !known || target > 3 {
                assert_eq!(answer.expect_err("it is unknown").kind, "Invalid", "operation {number} on target {target}");
            }
        }
    }
    let mut client = Client::memory();
    client.ask(&transaction(1).ask(Operation::TransactionBegin).none(4));
    client.ask(&view(2).ask(Operation::ViewOpen));
    assert_eq!(client.refused(&view(1).ask(Operation::Digest)), "Invalid", "a transaction is no view");
    assert_eq!(
        client.refused(&transaction(2).ask(Operation::TransactionCommit)),
        "Invalid",
        "a view is no transaction"
    );
    assert_eq!(client.refused(&view(2).ask(Operation::KvPut).bytes("a").value(1)), "Unsupported");
    assert_eq!(client.refused(&transaction(1).ask(Operation::RunList).none(3).u32(0).none(3)), "Unsupported");
    assert_eq!(client.refused(&transaction(1).ask(Operation::TransactionBegin).none(4)), "Invalid", "in use");
    client.ask(&transaction(1).ask(Operation::TransactionCommit));
    assert_eq!(client.refused(&transaction(1).ask(Operation::TransactionCommit)), "Invalid", "it has ended");
}

#[wasm_bindgen_test]
fn a_message_with_a_malformed_request_answers_the_others() {
    let mut client = Client::memory();
    let put = |key: &str| STORE.ask(Operation::KvPut).bytes(key).value(1);
    let answers = client.ask_all(&[put("a"), Request(vec![255, 0, 0]), Request(vec![]), put("b")]);
    let done: Vec<bool> = answers.iter().map(Result::is_ok).collect();
    assert_eq!(done, [true, false, false, true]);
    assert_eq!(client.pairs(STORE).len(), 2);
    // A length that reaches past the end ends the message: what follows it cannot be told apart.
    let cut = Request(Vec::new()).bytes(&put("c").0).u32(1000).raw(&put("d").0);
    let mut answers = client.call_all(&cut.0);
    assert_eq!(Failure::of(Answer(answers.bytes())), Ok(Answer(Vec::new())));
    assert!(answers.is_empty());
    assert_eq!(client.pairs(STORE).len(), 3);
}

#[wasm_bindgen_test]
fn a_length_beyond_the_buffer_is_an_empty_request() {
    let mut client = Client::memory();
    client.store.reserve(16).unwrap();
    for length in [1 << 20, u32::MAX] {
        let returned = client.store.call(1, length);
        assert!(returned & ((1 << 29) - 1) > 0, "it has an answer");
        client.store.call_all(1, 0, length);
    }
    client.put(STORE, "a", 1);
}

#[wasm_bindgen_test]
fn a_write_that_nobody_waits_for_dooms_its_transaction() {
    let mut client = Client::memory();
    client.ask(&unheard(1).ask(Operation::TransactionBegin).none(4));
    client.ask(&unheard(1).ask(Operation::KvPut).bytes("a").value(1));
    // Nobody hears of this one.
    let refused = client.try_ask(&unheard(1).ask(Operation::KvPut).bytes("b").bytes([0xff]));
    assert!(refused.is_err());
    client.try_ask(&unheard(1).ask(Operation::KvPut).bytes("c").value(1)).expect_err("nothing more is done");
    client.try_ask(&transaction(1).ask(Operation::TransactionCommit)).expect_err("it is not committed in part");
    assert_eq!(client.pairs(STORE), []);
    assert_eq!(client.refused(&transaction(1).ask(Operation::TransactionCommit)), "Invalid", "it has ended");
}
