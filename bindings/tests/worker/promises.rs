//! What recovery (R1 to R6) and replay (P1 to P6) promise, as a page sees it: by requests, over OPFS, across workers that die.
//!
//! The same promises over crashes in the middle of writes, with OPFS under them, are in `backend-web/tests/opfs_invariants.rs`; here a
//! worker dies between two requests, which is what the files of a browser can be made to show from inside of it.

use foldb_wasm::Operation;
use wasm_bindgen_test::wasm_bindgen_test;

use crate::{
    client::{Client, Opening},
    wire::{Answer, Id, Request, STORE, transaction, view},
};

/// Fixed ids, so that two stores with one history are alike.
const RUN: Id = [0x11; 16];
const OTHER: Id = [0x22; 16];

/// A worker that dies: its handles are closed, and nothing else is done.
fn die(client: Client) {
    drop(client);
}

/// Commit number `number` of a history, in one message: pairs, a document and events, in two runs and outside of them.
fn commit(client: &mut Client, number: u32) {
    let place = transaction(number);
    let key = format!("key/{:02}", number % 20);
    let payload = vec![u8::try_from(number % 251).unwrap(); 20 + usize::try_from(number * 37 % 900).unwrap()];
    let mut requests = vec![place.ask(Operation::TransactionBegin).none(4)];
    for space in [place, place.run(RUN), place.run(OTHER)] {
        requests.push(space.ask(Operation::KvPut).bytes("last").value(number));
        requests.push(space.ask(Operation::KvPut).bytes(&key).value(payload.clone()));
        requests.push(space.ask(Operation::EventAppend).bytes("log").bytes("line").value(number));
        requests.push(space.ask(Operation::JsonSet).bytes(&key).document(&serde_json::json!({ "n": number })));
    }
    requests.push(place.ask(Operation::TransactionCommit));
    for answer in client.ask_all(&requests) {
        answer.unwrap();
    }
}

fn begin(client: &mut Client) {
    for (name, run) in [("run", RUN), ("other", OTHER)] {
        client.ask(&STORE.ask(Operation::RunBegin).bytes(name).flag(true).raw(&run).none(1).u32(0).value(()));
    }
}

/// A store with a history of so many commits.
async fn history(name: &str, opening: Opening, commits: u32) -> Client {
    let mut client = Client::fresh(name, opening).await;
    begin(&mut client);
    for number in 1..=commits {
        commit(&mut client, number);
        if number == commits / 2 {
            client.ready().await;
            client.ask(&STORE.ask(Operation::StoreSnapshot));
        }
    }
    client.ready().await;
    client
}

/// Digests of the three spaces.
fn digests(client: &mut Client) -> Vec<Vec<u8>> {
    [STORE, STORE.run(RUN), STORE.run(OTHER)].map(|place| client.digest(place)).to_vec()
}

/// What opening found, but for how long it took.
fn report(client: &mut Client) -> Vec<u8> {
    let mut whole = client.ask(&STORE.ask(Operation::StoreOpened)).0;
    let mut answer = Answer(whole.clone());
    answer.text();
    answer.flag();
    answer.optional(|answer| answer.take(16));
    assert_eq!(answer.list(|_| ()), [], "no snapshot was rejected");
    assert_eq!(answer.list(|_| ()), [], "nothing is damaged");
    answer.number();
    answer.list(|answer| answer.take(16));
    let timed = answer.0.len();
    whole.truncate(whole.len() - timed);
    whole
}

/// Number of the last commit that is there, in each space; the same in all, or a transaction is there in part.
fn last(client: &mut Client) -> Option<i64> {
    let [outside, run, other] = [STORE, STORE.run(RUN), STORE.run(OTHER)].map(|place| client.number_at(place, "last"));
    assert_eq!((outside, outside), (run, other), "no transaction is there in part");
    let length = client.ask(&STORE.run(RUN).ask(Operation::EventLength).bytes("log")).number();
    assert_eq!(length, outside.unwrap_or(0) as f64, "the events are those of the commits");
    outside
}

#[wasm_bindgen_test]
async fn r1_and_r2_the_same_files_give_the_same_state_and_report_however_often() {
    let mut client = history("test-r1", Opening::STRICT, 40).await;
    let live = digests(&mut client);
    die(client);
    let mut reports = Vec::new();
    for _ in 0..3 {
        let mut client = Client::open("test-r1", Opening::STRICT).await.unwrap();
        assert_eq!(digests(&mut client), live);
        reports.push(report(&mut client));
        die(client);
    }
    assert!(reports.windows(2).all(|pair| pair[0] == pair[1]), "{reports:?}");
}

#[wasm_bindgen_test]
async fn r3_to_r5_what_was_reported_durable_is_there_whole_and_nothing_else() {
    for commits in [0, 1, 2, 3, 7, 20, 31] {
        let mut client = history("test-r5", Opening::STRICT, commits).await;
        let live = digests(&mut client);
        let seq = client.seq();
        // Written, and never committed.
        client.ask(&transaction(999).ask(Operation::TransactionBegin).none(4));
        client.put(transaction(999), "invented", 1);
        die(client);
        let mut client = Client::open("test-r5", Opening::STRICT).await.unwrap();
        assert_eq!(last(&mut client).unwrap_or(0), i64::from(commits));
        assert_eq!(client.seq(), seq);
        assert_eq!(digests(&mut client), live);
        assert_eq!(client.get(STORE, "invented"), None);
        assert_eq!(client.violations(), []);
        die(client);
    }
}

#[wasm_bindgen_test]
async fn r6_a_buffered_store_may_lose_its_end_and_nothing_before_the_last_sync() {
    let mut client = Client::fresh("test-r6", Opening::BUFFERED).await;
    begin(&mut client);
    for number in 1..=10 {
        commit(&mut client, number);
    }
    client.ask(&STORE.ask(Operation::StoreSync));
    for number in 11..=20 {
        commit(&mut client, number);
    }
    die(client);
    let mut client = Client::open("test-r6", Opening::BUFFERED).await.unwrap();
    let found = last(&mut client).unwrap();
    assert!((10..=20).contains(&found), "{found}");
    assert_eq!(client.violations(), []);
    client.close();
}

#[wasm_bindgen_test]
async fn p1_and_p5_a_replay_is_a_function_of_its_own_history() {
    let mut client = history("test-p1", Opening::STRICT, 12).await;
    client.replay(1, Some(RUN));
    let replayed = client.digest(view(1));
    assert_eq!(replayed, client.digest(STORE.run(RUN)), "replay equals live");
    // What other runs do changes nothing, neither does a snapshot, nor another opening.
    for number in 0..20 {
        client.put(STORE.run(OTHER), "other", number);
    }
    client.ask(&STORE.ask(Operation::StoreSnapshot));
    client.replay(2, Some(RUN));
    assert_eq!(client.digest(view(2)), replayed);
    client.close();
    let mut client = Client::open("test-p1", Opening::STRICT).await.unwrap();
    client.replay(1, Some(RUN));
    assert_eq!(client.digest(view(1)), replayed);
    // Two runs with one history are alike, whatever they are called.
    client.replay(2, None);
    let diff = client.ask(&view(2).ask(Operation::Diff).u32(1)).0;
    let [kv, json, rest @ ..] = &diff.chunks(4).map(|count| count[0]).collect::<Vec<_>>()[..] else { panic!() };
    assert_eq!((*kv, *json), (0, 0), "pairs and documents");
    assert_eq!(rest.last(), Some(&0));
    client.close();
}

#[wasm_bindgen_test]
async fn p2_to_p4_a_replay_leaves_files_and_state_alone_and_is_gone_with_its_holder() {
    let mut client = history("test-p2", Opening::STRICT, 12).await;
    let archive = client.archive();
    let live = digests(&mut client);
    client.replay(1, Some(RUN));
    let replayed = client.digest(view(1));
    let pairs = client.pairs(view(1));
    let writes: [Request; 2] =
        [view(1).ask(Operation::KvPut).bytes("last").value(0), view(1).ask(Operation::KvDelete).bytes("last")];
    for write in &writes {
        assert_eq!(client.refused(write), "Unsupported", "it is a view");
    }
    assert_eq!(digests(&mut client), live);
    assert!(client.archive() == archive, "no file has changed");
    commit(&mut client, 13);
    assert_eq!((client.digest(view(1)), client.pairs(view(1))), (replayed, pairs), "later commits do not show");
    client.close();
    let mut client = Client::open("test-p2", Opening::STRICT).await.unwrap();
    assert_eq!(client.refused(&view(1).ask(Operation::Digest)), "Invalid", "it was not kept");
    client.close();
}

#[wasm_bindgen_test]
async fn p6_any_number_of_replays_gives_the_identical_view() {
    let mut client = history("test-p6", Opening::STRICT, 12).await;
    let transactions = client.replay(1, Some(RUN));
    let (digest, pairs) = (client.digest(view(1)), client.pairs(view(1)));
    for handle in 2..12 {
        assert_eq!(client.replay(handle, Some(RUN)), transactions);
        assert_eq!((client.digest(view(handle)), client.pairs(view(handle))), (digest.clone(), pairs.clone()));
        let diff = client.ask(&view(handle).ask(Operation::Diff).u32(1)).0;
        assert_eq!(diff, [0; 20], "nothing of the five primitives differs");
    }
    // Half of the history is half of the events.
    let half = view(50).run(RUN).ask(Operation::ReplayOpen).flag(true).number(8);
    let fewer = client.ask(&half).number();
    assert!(fewer < transactions);
    let length = client.ask(&view(50).ask(Operation::EventLength).bytes("log")).number();
    assert!(length > 0.0 && length < 12.0, "{length}");
    client.close();
}

#[wasm_bindgen_test]
async fn a_view_keeps_its_version_and_diffs_say_what_changed() {
    let mut client = history("test-views", Opening::STRICT, 5).await;
    let opened = client.ask(&view(1).ask(Operation::ViewOpen)).number();
    assert_eq!(opened, client.seq());
    let before = client.digest(view(1).run(RUN));
    client.put(STORE.run(RUN), "last", 77);
    assert_eq!(client.number_at(view(1).run(RUN), "last"), Some(5));
    assert_eq!(client.digest(view(1).run(RUN)), before);
    assert_ne!(client.digest(STORE.run(RUN)), before);
    let mut diff = client.ask(&STORE.ask(Operation::Diff).flag(true).raw(&OTHER).flag(true).raw(&RUN));
    let changed = diff.list(|answer| (answer.text(), answer.u8(), answer.value(), answer.value()));
    assert_eq!(changed, [("last".to_string(), 2, 5.into(), 77.into())]);
    client.release(1);
    assert_eq!(client.refused(&view(1).ask(Operation::Digest)), "Invalid", "it was given back");
    client.close();
}
