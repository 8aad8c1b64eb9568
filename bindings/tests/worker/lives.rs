//! Stores come and go: created, closed, opened again, locked, listed, destroyed.

use foldb_wasm::{Operation, Store, destroy_store, list_stores};
use wasm_bindgen_test::wasm_bindgen_test;

use crate::{
    client::{Client, Opening, thrown},
    wire::{Answer, STORE},
};

/// Whether opening the store created it, and the seq that it found.
fn opened(client: &mut Client) -> (bool, f64) {
    let mut report = client.ask(&STORE.ask(Operation::StoreOpened));
    report.text();
    let created = report.flag();
    report.optional(|answer| answer.take(16));
    let damage = |answer: &mut Answer| {
        answer.text();
        answer.take(16);
        (answer.text(), answer.text(), answer.optional(|answer| answer.take(16)))
    };
    assert_eq!(report.list(damage), [], "no snapshot was rejected");
    assert_eq!(report.list(damage), [], "nothing is damaged");
    (created, report.number())
}

#[wasm_bindgen_test]
async fn a_store_that_was_closed_is_found_as_it_was() {
    for opening in [Opening::STRICT, Opening::BUFFERED, Opening { snapshot_on_close: true, ..Opening::STRICT }] {
        let mut client = Client::fresh("test-again", opening).await;
        assert_eq!(opened(&mut client), (true, 0.0));
        client.put(STORE, "a", 1);
        client.put(STORE, "a", 2);
        let seq = client.seq();
        client.close();
        let mut client = Client::open("test-again", opening).await.unwrap();
        assert_eq!(opened(&mut client), (false, seq));
        assert_eq!(client.number_at(STORE, "a"), Some(2));
        client.close();
    }
}

#[wasm_bindgen_test]
async fn a_log_grows_into_files_that_were_made_ready() {
    let opening = Opening { segment_bytes: 4096, ..Opening::STRICT };
    let mut client = Client::fresh("test-growing", opening).await;
    for number in 0..60 {
        let put = STORE.ask(Operation::KvPut).bytes(format!("{number:03}")).value(vec![7_u8; 400]);
        if let Err(failure) = client.try_ask(&put) {
            // A burst within one turn of the event loop can use up what is ready, and is told so.
            assert_eq!(failure.kind, "NotReady");
            client.ready().await;
            client.ask(&put);
        }
    }
    assert_eq!(client.pairs(STORE).len(), 60);
    client.close();
    let mut client = Client::open("test-growing", opening).await.unwrap();
    assert_eq!(client.pairs(STORE).len(), 60);
    assert_eq!(client.violations(), []);
    client.close();
}

#[wasm_bindgen_test]
async fn nothing_can_be_asked_of_a_closed_store() {
    let mut client = Client::memory();
    client.put(STORE, "a", 1);
    client.store.close().unwrap();
    client.store.close().unwrap();
    assert_eq!(client.refused(&STORE.ask(Operation::EntryGet).u8(0).bytes("a")), "Unsupported");
    assert_eq!(client.announcements(), []);
    client.store.drop_client(1);
    let _ = client.store.tick();
}

#[wasm_bindgen_test]
async fn a_second_opener_and_a_destroyer_are_told_that_it_is_locked() {
    let client = Client::fresh("test-locked", Opening::STRICT).await;
    let failure = Client::open("test-locked", Opening::STRICT).await.err().unwrap();
    assert_eq!((failure.kind.as_str(), failure.code.as_str()), ("Locked", "Locked"));
    assert!(failure.message.contains("test-locked"), "{}", failure.message);
    let failure = destroy_store("test-locked".into()).await.map_err(thrown).unwrap_err();
    assert_eq!(failure.kind, "Locked");
    client.close();
    assert!(destroy_store("test-locked".into()).await.unwrap());
}

#[wasm_bindgen_test]
async fn stores_are_listed_until_they_are_destroyed() {
    let names = ["test list/1", "test list/ü"];
    for name in names {
        let mut client = Client::fresh(name, Opening::STRICT).await;
        client.put(STORE, name, 1);
        client.close();
    }
    let ours = async || -> Vec<String> {
        let all = list_stores().await.map_err(thrown).unwrap();
        all.into_iter().filter(|name| name.starts_with("test list/")).collect()
    };
    assert_eq!(ours().await, names);
    let missing = Opening { create: false, ..Opening::STRICT };
    for name in names {
        assert!(destroy_store(name.into()).await.unwrap());
        assert!(!destroy_store(name.into()).await.unwrap());
        let failure = Client::open(name, missing).await.err().unwrap();
        assert_eq!(failure.kind, "NotAStore");
    }
    assert_eq!(ours().await, Vec::<String>::new());
    // Of what was destroyed nothing is found by the next of its name.
    let mut client = Client::open(names[0], Opening::STRICT).await.unwrap();
    assert_eq!(opened(&mut client), (true, 0.0));
    client.close();
    destroy_store(names[0].into()).await.unwrap();
}

#[wasm_bindgen_test]
async fn options_that_are_none_open_nothing() {
    let whole = Opening::STRICT.encode();
    for length in 0..whole.len() {
        let failure = Store::open_memory(&whole[..length]).map_err(thrown).err().unwrap();
        assert_eq!(failure.kind, "Invalid", "cut to {length}");
    }
    for at in 0..whole.len() {
        for byte in [0xff, 0x80, 3] {
            let mut changed = whole.clone();
            changed[at] = byte;
            // Some of them are other options; none of them stops the module.
            if let Ok(mut store) = Store::open_memory(&changed) {
                store.close().unwrap();
            }
        }
    }
    let longer = [&whole[..], &[0]].concat();
    assert!(Store::open_memory(&longer).is_err());
    let failure = Store::open_opfs("test-no-options".into(), 0, vec![9], None).await.map_err(thrown).err().unwrap();
    assert_eq!(failure.kind, "Invalid");
    assert!(!list_stores().await.unwrap().contains(&"test-no-options".to_string()));
}
