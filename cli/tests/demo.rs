//! `demo`: the whole story, and that it comes out the same every time.

mod common;

use common::{Place, text};
use predicates::prelude::*;

#[test]
fn the_demo_has_the_same_digest_wherever_the_process_is_killed() {
    let place = Place::new();
    let early = place.json(&["demo", "--kill-at", "20"]);
    let late = place.json(&["demo", "--kill-at", "80"]);
    // Pinned: it is the same on every machine. It changes with the data set, the demo's work, the encoding of values and
    // the definition of a digest, and with nothing else.
    assert_eq!(text(&early, "digest"), "bc1b61926939612d00acc0231d9089817b227110ae96d005422e5f31c30c4cd5");
    assert_eq!(early["digest"], late["digest"]);
    assert_eq!(early["records"], 4635);
    assert_ne!(early["killed_at"], late["killed_at"]);
    assert_eq!(early["steps"].as_array().map(Vec::len), Some(7), "{early}");
    assert!(!place.store().exists(), "the demo works in a directory of its own");
}

#[test]
fn another_seed_changes_other_records() {
    let place = Place::new();
    let one = place.json(&["demo", "--seed", "1"]);
    let two = place.json(&["demo", "--seed", "2"]);
    assert_ne!(one["digest"], two["digest"]);
}

#[test]
fn the_demo_tells_a_person_what_it_does_and_leaves_the_store_on_request() {
    let place = Place::new();
    let directory = place.path("shown");
    let directory = directory.to_str().expect("temporary paths are UTF-8");
    place.foldb(&["demo", "--dir", directory]).assert().success().stdout(
        predicate::str::contains("killed")
            .and(predicate::str::contains("recover"))
            .and(predicate::str::contains("digest")),
    );
    let runs = place.ok(&["runs", "--store", directory]);
    assert_eq!(runs.lines().count(), 3, "a heading and two runs:\n{runs}");
    place.error(2, &["demo", "--dir", directory]);
}
