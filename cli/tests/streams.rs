//! `events`: streams of events.

mod common;

use common::Place;
use serde_json::json;

fn place_with_events() -> Place {
    let place = Place::new();
    for n in 1..=3 {
        let payload = format!("{{\"n\":{n}}}");
        let appended = place.json(&["events", "append", "orders", &payload, "--kind", "placed", "--json-value"]);
        assert_eq!(appended, json!({"stream": "orders", "seq": n}));
    }
    place
}

#[test]
fn events_are_listed_in_order_from_a_seq_and_backwards() {
    let place = place_with_events();
    let seqs = |arguments: &[&str]| -> Vec<u64> {
        let lines = place.json_lines(&[&["events", "list", "orders"], arguments].concat());
        lines.iter().map(|line| line["seq"].as_u64().expect("a seq is a number")).collect()
    };
    assert_eq!(seqs(&[]), [1, 2, 3]);
    assert_eq!(seqs(&["--from", "2"]), [2, 3]);
    assert_eq!(seqs(&["--reverse", "--limit", "2"]), [3, 2]);
    let first = &place.json_lines(&["events", "list", "orders"])[0];
    assert_eq!(first["kind"], "placed");
    assert_eq!(first["payload"], json!({"n": 1}));
    assert!(first["time_micros"].is_u64());
}

#[test]
fn an_event_may_be_plain_text() {
    let place = Place::new();
    place.ok(&["events", "append", "log", "it works"]);
    let line = &place.json_lines(&["events", "list", "log"])[0];
    assert_eq!((&line["kind"], &line["payload"]), (&json!("event"), &json!("it works")));
}

#[test]
fn streams_are_listed_with_their_length_and_their_chains_hold() {
    let place = place_with_events();
    place.ok(&["events", "append", "audit", "x"]);
    let streams = place.json_lines(&["events", "streams"]);
    assert_eq!(streams.len(), 2);
    assert_eq!((&streams[0]["stream"], &streams[0]["events"]), (&json!("audit"), &json!(1)));
    assert_eq!(
        (&streams[1]["stream"], &streams[1]["events"], &streams[1]["head"]),
        (&json!("orders"), &json!(3), &json!(3))
    );
    let checked = place.json_lines(&["events", "verify"]);
    assert_eq!(checked.len(), 2);
    assert!(checked.iter().all(|stream| stream["valid"] == true));
    place.ok(&["events", "verify", "orders"]);
}

#[test]
fn a_stream_that_is_not_there_is_status_1() {
    let place = place_with_events();
    place.foldb(&["events", "list", "nothing"]).assert().code(1);
    place.foldb(&["events", "verify", "nothing"]).assert().code(1);
}
