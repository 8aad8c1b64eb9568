//! Each check on small repositories, and all of them on this one.

use super::*;

const DOCUMENT: &str = "docs/format.md";

/// The problems of a check as lines.
fn found(check: fn(&Sources) -> Vec<Problem>, files: &[(&str, &str)]) -> Vec<String> {
    check(&Sources::of(files)).iter().map(ToString::to_string).collect()
}

#[test]
fn this_repository_is_tidy() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let problems: Vec<String> = problems(root).iter().map(ToString::to_string).collect();
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
}

#[test]
fn a_rust_file_begins_with_what_it_owns() {
    let files = [("core/src/a.rs", "//! It owns a.\n"), ("src/b.rs", "// Not a doc comment.\n//! Too late.\n")];
    assert_eq!(found(rust_files::check, &files), ["src/b.rs:1: the file does not begin with //! and what it owns"]);
}

#[test]
fn a_long_file_is_noticed_where_files_should_be_short() {
    let long = "//! Long.\n".repeat(601);
    let files = [("core/src/a.rs", long.as_str()), ("backend-fs/src/b.rs", &long), ("tests/c.rs", &long)];
    let what = "601 lines, more than 600; the file owns more than one idea";
    assert_eq!(
        found(rust_files::check, &files),
        [format!("backend-fs/src/b.rs:600: {what}"), format!("core/src/a.rs:600: {what}"),]
    );
}

#[test]
fn unfinished_work_is_noticed_and_similar_words_are_not() {
    let unfinished =
        concat!("//! Doc.\nfn a() { todo", "!() }\n#[", "ignore]\n#[", "ignore = \"slow\"]\n// FIX", "ME\n");
    let fine = concat!("//! Doc.\nlet MASTO", "DON = not_todo", "!(1); // TO", "DOS\n");
    let problems = found(rust_files::check, &[("a.rs", unfinished), ("b.rs", fine)]);
    let lines: Vec<&str> = problems.iter().map(|problem| &problem[..7]).collect();
    assert_eq!(lines, ["a.rs:2:", "a.rs:3:", "a.rs:4:", "a.rs:5:"].map(|line| &line[..7]));
}

#[test]
fn rules_and_their_citations_match() {
    let document = "# Format\n\n**F-1** Little-endian.\n- F-2 (see F-1)\n### F-3: Header\n| F-4 | table |\n";
    let code = "//! Rules F-1 to F-3.\n// F-4, and 0xF-5 is no rule.\n";
    assert_eq!(found(format_rules::check, &[(DOCUMENT, document), ("a.rs", code)]), Vec::<String>::new());
}

#[test]
fn a_rule_that_is_not_cited_not_defined_or_defined_twice_is_noticed() {
    let document = "F-1 one\nF-2 two, unlike F-9\nF-1 again\n";
    let files = [(DOCUMENT, document), ("core/a.rs", "//! F-1 and F-7.\n"), ("README.md", "see F-8\n")];
    assert_eq!(
        found(format_rules::check, &files),
        [
            "docs/format.md:3: F-1 is defined in line 1 already",
            "core/a.rs:1: F-7 is not a rule of docs/format.md",
            "README.md:1: F-8 is not a rule of docs/format.md",
            "docs/format.md:2: F-9 is not a rule of docs/format.md",
            "docs/format.md:2: F-2 is cited by no code and no test",
        ]
    );
}

#[test]
fn links_between_documents_resolve() {
    let readme = "[format](docs/format.md#byte-order--layout) [self](#top) [site](https://example.org/x.md)\n\
                  # Top\n`[code](nowhere.md)`\n```\n[code](nowhere.md)\n```\n[ref]: docs/format.md\n";
    let format = "# Byte order / layout\n[back](../README.md) [root](/README.md#top)\n";
    assert_eq!(found(links::check, &[("README.md", readme), (DOCUMENT, format)]), Vec::<String>::new());
}

#[test]
fn links_that_lead_nowhere_are_noticed() {
    let readme = "[a](docs/missing.md) and [b](docs/format.md#missing)\n[ref]: ../outside.md\n[c](#missing)\n";
    assert_eq!(
        found(links::check, &[("README.md", readme), (DOCUMENT, "# Format\n")]),
        [
            "README.md:1: the link docs/missing.md leads nowhere: there is no docs/missing.md",
            "README.md:1: the link docs/format.md#missing leads nowhere: docs/format.md has no heading of that name",
            "README.md:2: the link ../outside.md leads nowhere: it leaves the repository",
            "README.md:3: the link #missing leads nowhere: README.md has no heading of that name",
        ]
    );
}

#[test]
fn a_heading_that_occurs_twice_has_two_anchors() {
    let document = "# Log\n# Log\n[first](#log) [second](#log-1)\n";
    assert_eq!(found(links::check, &[("a.md", document)]), Vec::<String>::new());
}

#[test]
fn a_room_that_uses_one_that_its_row_does_not_name_is_noticed() {
    let lib = "//! Root.\npub use id::{RunId, StoreId};\npub use recovery::Progress;\n";
    let files = [
        ("core/src/lib.rs", lib),
        (
            "core/src/log/frame.rs",
            "//! Log.\nuse crate::{\n    Error, RunId,\n    checksum::{a, b},\n    tree::Tree,\n};\n",
        ),
        ("core/src/log/mod.rs", "//! Log.\nfn f() { super::value::g(super::limits::L) }\n"),
        (
            "core/src/tree/leaf/edit.rs",
            "//! Tree.\nuse super::super::super::log::Frame;\nuse super::log;\nuse crate::Progress;\n",
        ),
        ("core/src/cellar.rs", "//! No room.\n"),
    ];
    assert_eq!(
        found(rooms::check, &files),
        [
            "core/src/cellar.rs:1: cellar is a room that has no row in xtask/src/tidy/rooms.rs",
            "core/src/log/frame.rs:5: log uses tree, which its row in xtask/src/tidy/rooms.rs does not name",
            "core/src/log/mod.rs:2: log uses value, which its row in xtask/src/tidy/rooms.rs does not name",
            "core/src/tree/leaf/edit.rs:2: tree uses log, which its row in xtask/src/tidy/rooms.rs does not name",
            "core/src/tree/leaf/edit.rs:4: tree uses recovery, which its row in xtask/src/tidy/rooms.rs does not name",
        ]
    );
}

#[test]
fn comments_texts_and_tests_use_nothing() {
    let quiet = "//! See crate::db::Db.\n/// [`crate::tree`]\nconst A: &str = \"crate::db\"; // crate::db\n#[cfg(test)]\nmod tests {\n    use crate::db::Db;\n}\n";
    let files = [("core/src/log/a.rs", quiet), ("core/src/log/tests/b.rs", "//! T.\nuse crate::db::Db;\n")];
    assert_eq!(found(rooms::check, &files), Vec::<String>::new());
}

#[test]
fn commands_of_the_program_use_no_other_command() {
    let files = [("cli/src/command/demo/mod.rs", "//! Demo.\nuse crate::{command::replay, store};\n")];
    assert_eq!(
        found(rooms::check, &files),
        ["cli/src/command/demo/mod.rs:2: a part of command uses another: what they share goes below them"]
    );
}

#[test]
fn a_map_that_says_something_else_than_the_data_is_noticed() {
    let document = "| module | what | invariant | may use |\n|---|---|---|---|\n| `json` | documents | whole | `value`, `tree` |\n| `id`, `error` | both | none | `host` |\n";
    let problems = found(rooms::check, &[("docs/architecture.md", document)]);
    assert_eq!(problems[0], "docs/architecture.md:3: by xtask/src/tidy/rooms.rs json may use log, value");
    assert_eq!(problems[1], "docs/architecture.md:4: by xtask/src/tidy/rooms.rs error may use storage");
    assert!(problems.contains(&"docs/architecture.md:1: the map does not show db".to_string()), "{problems:?}");
}
