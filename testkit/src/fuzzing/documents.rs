//! Paths, edits and patches of documents.

use foldb_core::json::{self, Patch, Path};
use serde_json::Value as Json;

/// Three lines: a path, a document, and a value that is a patch as well. The last one is optional.
pub(super) fn documents(input: &[u8]) {
    let mut lines = input.splitn(3, |byte| *byte == b'\n');
    let mut line = || lines.next().unwrap_or_default();
    let path = String::from_utf8_lossy(line()).into_owned();
    let document = serde_json::from_slice::<Json>(line()).unwrap_or(Json::Null);
    let value = serde_json::from_slice::<Json>(line()).unwrap_or(Json::Null);
    for parsed in [Path::parse(&path), Path::from_pointer(&path)].into_iter().flatten() {
        let again = Path::from_pointer(parsed.as_pointer()).expect("a path has a pointer");
        assert_eq!(again, parsed, "a path is its pointer");
        read(&document, &parsed);
        edit(&document, &parsed, &value);
    }
    patch(&document, &value);
    difference(&document, &value);
}

fn read(document: &Json, path: &Path) {
    let found = json::get_at(document, path);
    assert_eq!(found.is_some(), json::type_at(document, path).is_some());
    if let Some(found) = found {
        assert!(json::matches_at(document, path, found), "a value equals itself");
        assert!(path.depth() == path.tokens().count());
    }
    if let Ok(keys) = json::keys_at(document, path) {
        assert_eq!(json::length_at(document, path).ok(), u64::try_from(keys.len()).ok());
    }
}

/// Each edit on a copy: an error leaves it as it was.
fn edit(document: &Json, path: &Path, value: &Json) {
    let on_copy = |edit: &dyn Fn(&mut Json) -> bool| {
        let mut copy = document.clone();
        let done = edit(&mut copy);
        assert!(done || copy == *document, "an edit that failed changed something");
        (done, copy)
    };
    let (done, changed) = on_copy(&|copy| json::set_at(copy, path, value.clone()).is_ok());
    if done && path.tokens().last().is_none_or(|last| last != "-") {
        assert_eq!(json::get_at(&changed, path), Some(value), "what was set is there");
    }
    on_copy(&|copy| json::delete_at(copy, path).is_ok());
    let (done, merged) = on_copy(&|copy| json::merge_at(copy, path, value).is_ok());
    // Merging at the place behind the last item makes a new item each time.
    if done && path.tokens().last().is_none_or(|last| last != "-") {
        let mut twice = merged.clone();
        json::merge_at(&mut twice, path, value).expect("what was merged once can be merged again");
        assert_eq!(twice, merged, "merging is idempotent");
    }
    let (done, pushed) = on_copy(&|copy| json::push_at(copy, path, value.clone()).is_ok());
    if done {
        let mut popped = pushed;
        assert_eq!(json::pop_at(&mut popped, path), Ok(Some(value.clone())), "what was pushed can be popped");
    }
    on_copy(&|copy| json::pop_at(copy, path).is_ok());
    if let Json::Number(by) = value {
        on_copy(&|copy| json::increment_at(copy, path, by).is_ok());
    }
}

fn patch(document: &Json, patch: &Json) {
    let Ok(patch) = Patch::parse(patch) else { return };
    let mut copy = document.clone();
    if patch.apply(&mut copy).is_err() {
        assert_eq!(copy, *document, "a patch that failed changed something");
    }
    for operation in patch.operations() {
        assert!(!operation.name().is_empty());
    }
}

/// There are differences where the documents are not equal, the same number in both directions.
fn difference(older: &Json, newer: &Json) {
    let changes = json::diff(older, newer);
    assert_eq!(changes.is_empty(), older == newer);
    assert_eq!(json::diff(newer, older).len(), changes.len(), "a difference has two directions");
}
