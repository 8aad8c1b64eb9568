//! `runs`: the life of a run.

mod common;

use common::{Place, text};
use predicates::prelude::*;

#[test]
fn a_run_is_begun_shown_ended_and_resumed() {
    let place = Place::new();
    let begun = place.json(&["runs", "begin", "job", "--label", "team=blue"]);
    let id = text(&begun, "id");
    let shown = place.json(&["runs", "show", "job"]);
    assert_eq!(text(&shown, "id"), id);
    assert_eq!(shown["labels"]["team"], "blue");
    place.ok(&["runs", "end", id]);
    assert_eq!(place.json(&["runs", "show", id])["status"], "completed");
    place.ok(&["runs", "resume", id]);
    place.ok(&["put", "k", "v", "--run", id]);
    place.ok(&["runs", "fail", id, "the disk was on fire"]);
    let failed = place.json(&["runs", "show", id]);
    assert_eq!((text(&failed, "status"), text(&failed, "message")), ("failed", "the disk was on fire"));
}

#[test]
fn an_ended_run_takes_no_writes_and_says_what_to_do() {
    let place = Place::new();
    place.ok(&["runs", "begin", "job"]);
    place.ok(&["put", "k", "v", "--run", "job"]);
    place.ok(&["runs", "cancel", "job"]);
    let error = place.error(6, &["put", "k", "w", "--run", "job"]);
    assert_eq!(error["kind"], "run_ended");
    assert!(text(&error, "hint").contains("foldb runs resume"), "{error}");
    assert_eq!(place.ok(&["get", "k", "--run", "job"]), "v\n", "reading goes on");
}

#[test]
fn a_run_whose_process_is_gone_is_orphaned() {
    let place = Place::new();
    place.ok(&["runs", "begin", "job"]);
    assert_eq!(place.json(&["runs", "show", "job"])["status"], "orphaned");
}

#[test]
fn runs_are_listed_newest_first_and_filtered() {
    let place = Place::new();
    place.ok(&["runs", "begin", "one", "--label", "team=blue"]);
    place.ok(&["runs", "begin", "two", "--label", "team=red"]);
    place.ok(&["runs", "begin", "three", "--label", "team=blue"]);
    place.ok(&["runs", "end", "two"]);
    let names = |arguments: &[&str]| -> Vec<String> {
        let lines = place.json_lines(&[&["runs"], arguments].concat());
        lines.iter().map(|line| text(line, "name").to_owned()).collect()
    };
    assert_eq!(names(&[]), ["three", "two", "one"]);
    assert_eq!(names(&["--status", "completed"]), ["two"]);
    assert_eq!(names(&["--label", "team=blue"]), ["three", "one"]);
    assert_eq!(names(&["--name", "one"]), ["one"]);
    assert_eq!(names(&["--limit", "1"]), ["three"]);
    place.foldb(&["runs"]).assert().success().stdout(predicate::str::contains("STATUS"));
}

#[test]
fn a_run_is_found_by_the_beginning_of_its_id() {
    let place = Place::new();
    let begun = place.json(&["runs", "begin", "job"]);
    let id = text(&begun, "id");
    let beginning = id.get(..13).expect("an id has 36 characters");
    assert_eq!(text(&place.json(&["runs", "show", beginning]), "id"), id);
}

#[test]
fn unknown_and_ambiguous_names_are_usage_errors() {
    let place = Place::new();
    place.ok(&["runs", "begin", "twin"]);
    place.ok(&["runs", "begin", "twin"]);
    let error = place.error(2, &["get", "k", "--run", "twin"]);
    assert_eq!(error["kind"], "ambiguous");
    let error = place.error(2, &["get", "k", "--run", "nobody"]);
    assert_eq!(error["kind"], "not_found");
    assert!(text(&error, "hint").contains("foldb runs"), "{error}");
    let error = place.error(2, &["get", "k", "--run", "01890a5d-ac96-774b-bcce-b302099a8057"]);
    assert_eq!(error["kind"], "not_found");
}
