//! `json`: documents.

mod common;

use common::Place;
use serde_json::json;

fn place_with_document() -> Place {
    let place = Place::new();
    place.ok(&["json", "set", "user/1", r#"{"name":"Ada","tags":["a","b"],"visits":1}"#]);
    place
}

#[test]
fn documents_are_read_whole_or_at_a_path() {
    let place = place_with_document();
    let document = json!({"name": "Ada", "tags": ["a", "b"], "visits": 1});
    assert_eq!(place.json(&["json", "get", "user/1"]), json!({"key": "user/1", "value": document}));
    assert_eq!(place.json(&["json", "get", "user/1", "--path", "/tags/1"])["value"], json!("b"));
    assert_eq!(place.json(&["json", "get", "user/1", "--path", "$.tags[0]"])["value"], json!("a"));
    assert_eq!(place.ok(&["json", "get", "user/1", "--path", "/visits"]), "1\n");
    place.foldb(&["json", "get", "user/1", "--path", "/tags/7"]).assert().code(1);
    place.foldb(&["json", "get", "user/2"]).assert().code(1);
}

#[test]
fn set_and_delete_at_a_path_leave_the_rest() {
    let place = place_with_document();
    place.ok(&["json", "set", "user/1", r#""Lovelace""#, "--path", "/name"]);
    place.ok(&["json", "delete", "user/1", "--path", "/tags/0"]);
    assert_eq!(
        place.json(&["json", "get", "user/1"])["value"],
        json!({"name": "Lovelace", "tags": ["b"], "visits": 1})
    );
    place.ok(&["json", "delete", "user/1"]);
    place.foldb(&["json", "delete", "user/1"]).assert().code(1);
}

#[test]
fn merge_and_patch_follow_their_rfcs() {
    let place = place_with_document();
    place.ok(&["json", "merge", "user/1", r#"{"visits":2,"tags":null}"#]);
    assert_eq!(place.json(&["json", "get", "user/1"])["value"], json!({"name": "Ada", "visits": 2}));
    let operations = r#"[{"op":"test","path":"/visits","value":2},{"op":"add","path":"/city","value":"London"}]"#;
    let file = place.file("operations.json", operations);
    place.ok(&["json", "patch", "user/1", &format!("@{file}")]);
    assert_eq!(place.json(&["json", "get", "user/1", "--path", "/city"])["value"], json!("London"));
}

#[test]
fn a_patch_is_applied_whole_or_not_at_all() {
    let place = place_with_document();
    let operations = r#"[{"op":"add","path":"/city","value":"London"},{"op":"test","path":"/visits","value":99}]"#;
    let assert = place.foldb(&["json", "patch", "user/1", operations]).assert().failure();
    assert!(!common::stderr(&assert).is_empty());
    assert_eq!(place.json(&["json", "get", "user/1", "--path", "/visits"])["value"], json!(1));
    place.foldb(&["json", "get", "user/1", "--path", "/city"]).assert().code(1);
}

#[test]
fn malformed_json_paths_and_patches_are_named() {
    let place = place_with_document();
    place.error(2, &["json", "set", "user/1", "{"]);
    place.error(2, &["json", "get", "user/1", "--path", "no slash"]);
    place.error(2, &["json", "patch", "user/1", r#"[{"op":"jump","path":"/a"}]"#]);
    place.error(2, &["json", "patch", "user/1", r#"{"op":"add"}"#]);
    place.error(2, &["json", "patch", "user/1", "@/no/such/file"]);
}

#[test]
fn documents_are_listed_in_order_by_prefix() {
    let place = place_with_document();
    place.ok(&["json", "set", "user/0", "{}"]);
    place.ok(&["json", "set", "post/1", "[]"]);
    let lines = place.json_lines(&["json", "list", "user/"]);
    assert_eq!(lines[0], json!({"key": "user/0", "value": {}, "cursor": "user/0"}));
    assert_eq!(common::text(&lines[1], "key"), "user/1");
    assert_eq!(lines.len(), 2);
    assert_eq!(place.json_lines(&["json", "list", "--limit", "1"]).len(), 1);
    assert!(place.ok(&["json", "list"]).starts_with("KEY"));
}
