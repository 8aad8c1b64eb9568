//! `state` and `trace`: what the demo leaves in its runs.

mod common;

use common::Place;
use predicates::prelude::*;
use serde_json::json;

#[test]
fn cells_and_trace_entries_of_a_run_are_shown() {
    let place = Place::new();
    let store = place.store();
    place.ok(&["demo", "--dir", store.to_str().expect("temporary paths are UTF-8")]);
    let cell = place.json(&["state", "job", "--run", "first"]);
    assert_eq!((&cell["counter"], &cell["value"]["done"]), (&json!(186), &json!(4635)));
    place.foldb(&["state", "--run", "first"]).assert().success().stdout(predicate::str::contains("4635"));
    place.foldb(&["state", "nothing", "--run", "first"]).assert().code(1);
    assert_eq!(place.ok(&["state"]), "no cells\n");

    let decisions = place.json_lines(&["trace", "--run", "first"]);
    assert_eq!(decisions.len(), 496);
    assert_eq!(place.json_lines(&["trace", "--run", "first", "--kind", "decision"]), decisions);
    assert_eq!(place.json_lines(&["trace", "--run", "first", "--kind", "query"]).len(), 0);
    let newest = place.json_lines(&["trace", "--run", "first", "--reverse", "--limit", "1"]);
    assert_eq!(newest.first(), decisions.last());
    place
        .foldb(&["trace", "--run", "first", "--limit", "3"])
        .assert()
        .success()
        .stdout(predicate::str::contains("triage"));
}
