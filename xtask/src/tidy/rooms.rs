//! The rooms of a crate, which are the modules at its root, and which rooms each may use: the code maps of `docs/architecture.md`
//! and of the program's `main.rs`, as data.
//!
//! Invariant: whatever names another room counts, in a `use` line and in a path alike; tests and documentation do not. A room
//! that no row names, and a row that the document has otherwise, are problems too, so that the map cannot lie.

use std::collections::BTreeMap;

use super::{Problem, Sources, numbered};

/// A crate with its rooms.
struct House {
    /// Where its sources are.
    folder: &'static str,
    /// What every room may use.
    common: &'static [&'static str],
    /// Each room with what else it may use.
    rooms: &'static [(&'static str, &'static [&'static str])],
    /// Rooms whose parts may not use one another by the room's name.
    apart: &'static [&'static str],
}

/// Where the map of core is, for people.
const DOCUMENT: &str = "docs/architecture.md";

/// From the ground upwards. Three arrows lead up: the fold asks `primitive` for the index keys of a trace entry; `state` and `snapshot`
/// know `PROVISIONAL`, the mark of entries that are not committed yet, from `transaction`; and `transaction` answers as the
/// accesses of `primitive` ask.
const CORE: House = House {
    folder: "core/src/",
    common: &["error", "id", "limits", "order", "planted", "shown", "work"],
    rooms: &[
        ("limits", &[]),
        ("order", &[]),
        ("planted", &[]),
        ("shown", &[]),
        ("work", &[]),
        ("checksum", &[]),
        ("host", &[]),
        ("storage", &[]),
        ("sync", &[]),
        ("id", &["host"]),
        ("error", &["storage"]),
        ("value", &[]),
        ("json", &["log", "value"]),
        ("log", &["checksum"]),
        ("tree", &["checksum", "sync"]),
        ("state", &["checksum", "json", "log", "primitive", "transaction", "tree", "value"]),
        ("transaction", &["log", "primitive", "state", "tree", "value"]),
        ("live", &["log", "state", "transaction", "tree"]),
        ("engine", &["log", "primitive", "state", "transaction", "tree", "value"]),
        ("snapshot", &["checksum", "log", "state", "storage", "transaction", "tree", "value"]),
        ("recovery", &["host", "log", "snapshot", "state", "storage", "tree"]),
        ("replay", &["json", "log", "primitive", "state", "tree", "value"]),
        ("history", &["log", "replay", "state", "transaction"]),
        ("primitive", &["checksum", "host", "json", "log", "state", "tree", "value"]),
        (
            "db",
            &[
                "engine",
                "history",
                "host",
                "live",
                "log",
                "primitive",
                "recovery",
                "replay",
                "snapshot",
                "state",
                "storage",
                "sync",
                "transaction",
                "tree",
                "value",
            ],
        ),
        ("queue", &["db", "host", "live", "primitive", "state", "storage", "tree", "value"]),
    ],
    apart: &[],
};

/// The program: what can be typed on top, the commands, and below them what they share.
const CLI: House = House {
    folder: "cli/src/",
    common: &["failure"],
    rooms: &[
        ("failure", &[]),
        ("option", &[]),
        ("progress", &[]),
        ("text", &[]),
        ("input", &[]),
        ("output", &[]),
        ("store", &[]),
        ("page", &["option", "text"]),
        ("follow", &["option", "output"]),
        ("value", &["input", "text"]),
        ("jsonl", &["input", "text", "value"]),
        ("report", &["text", "value"]),
        ("context", &["option", "output", "store"]),
        (
            "command",
            &[
                "context", "follow", "input", "jsonl", "option", "output", "page", "progress", "report", "store",
                "text", "value",
            ],
        ),
        ("cli", &["command", "context"]),
        ("main", &["cli", "context"]),
    ],
    apart: &["command"],
};

pub(super) fn check(sources: &Sources) -> Vec<Problem> {
    let mut problems = [check_house(&CORE, sources), check_house(&CLI, sources)].concat();
    problems.extend(check_map(&CORE, sources));
    problems
}

/// Uses that no row names.
fn check_house(house: &House, sources: &Sources) -> Vec<Problem> {
    let exports = exports(house, sources);
    let mut problems = Vec::new();
    for (path, text) in sources.ending(".rs") {
        let Some(inside) = path.strip_prefix(house.folder).filter(|inside| !is_test(inside)) else { continue };
        let room = inside.split(['/', '.']).next().unwrap_or_default();
        if room == "lib" {
            continue;
        }
        let Some((_, may_use)) = house.rooms.iter().find(|(name, _)| *name == room) else {
            let what = format!("{room} is a room that has no row in xtask/src/tidy/rooms.rs");
            problems.push(Problem::new(path, 1, what));
            continue;
        };
        for (line, name) in named(text, depth(inside)) {
            let used = exports.get(name.as_str()).copied().unwrap_or(name.as_str());
            let is_apart = used == room && house.apart.contains(&room);
            let is_allowed = (used == room && !is_apart) || house.common.contains(&used) || may_use.contains(&used);
            let is_room = house.rooms.iter().any(|(name, _)| *name == used);
            if is_room && !is_allowed {
                let what = if is_apart {
                    format!("a part of {room} uses another: what they share goes below them")
                } else {
                    format!("{room} uses {used}, which its row in xtask/src/tidy/rooms.rs does not name")
                };
                problems.push(Problem::new(path, line, what));
            }
        }
    }
    problems
}

/// Rows of the document's table that say something else than the data.
fn check_map(house: &House, sources: &Sources) -> Vec<Problem> {
    let Some(document) = sources.texts.get(DOCUMENT) else { return Vec::new() };
    let mut problems = Vec::new();
    let mut missing: Vec<&str> = house.rooms.iter().map(|(name, _)| *name).collect();
    for (line, row) in numbered(document) {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let [_, rooms, _, _, may_use, _] = cells.as_slice() else { continue };
        for room in in_backticks(rooms) {
            let Some((_, data)) = house.rooms.iter().find(|(name, _)| *name == room) else { continue };
            missing.retain(|name| *name != room);
            let mut said: Vec<&str> = in_backticks(may_use).collect();
            said.sort_unstable();
            let mut expected = data.to_vec();
            expected.sort_unstable();
            if said != expected {
                let expected = if expected.is_empty() { "nothing else".into() } else { expected.join(", ") };
                problems.push(Problem::new(
                    DOCUMENT,
                    line,
                    format!("by xtask/src/tidy/rooms.rs {room} may use {expected}"),
                ));
            }
        }
    }
    problems.extend(missing.iter().map(|room| Problem::new(DOCUMENT, 1, format!("the map does not show {room}"))));
    problems
}

fn in_backticks(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

/// Whether a file is there for tests alone.
fn is_test(path: &str) -> bool {
    path.split(['/', '.']).any(|part| part == "tests" || part.ends_with("_tests"))
}

/// How many modules a file is below the root of its crate.
fn depth(path: &str) -> usize {
    let levels = path.split('/').count();
    if path.ends_with("/mod.rs") { levels - 1 } else { levels }
}

/// What the root of the crate gives out under its own name: for each the room that it is of.
fn exports<'s>(house: &House, sources: &'s Sources) -> BTreeMap<&'s str, &'s str> {
    let lib = sources.texts.get(&format!("{}lib.rs", house.folder)).map_or("", String::as_str);
    let statements = lib.split(';').filter_map(|statement| statement.rsplit_once("pub use ").map(|(_, tree)| tree));
    let mut exports = BTreeMap::new();
    for (room, names) in statements.filter_map(|tree| tree.split_once("::")) {
        let names = names.split(|char: char| !(char.is_alphanumeric() || char == '_')).filter(|name| !name.is_empty());
        exports.extend(names.map(|name| (name, room.trim())));
    }
    exports
}

/// Every name that is taken from the root of the crate, with its line: behind `crate::`, and behind as many `super::` as lead there.
fn named(text: &str, depth: usize) -> Vec<(usize, String)> {
    let code = without_comments_and_texts(text);
    // A test module that is inside of the file is its end.
    let code = code.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let root = "super::".repeat(depth);
    let mut names = Vec::new();
    for marker in ["crate::", root.as_str()] {
        for (at, _) in code.match_indices(marker) {
            let before = code[..at].chars().next_back();
            // A longer chain, or a longer word.
            if before.is_some_and(|char| char.is_alphanumeric() || matches!(char, '_' | ':' | '$')) {
                continue;
            }
            for (offset, name) in first_names(&code[at + marker.len()..]) {
                let place = at + marker.len() + offset;
                names.push((code[..place].matches('\n').count() + 1, name));
            }
        }
    }
    names.sort();
    names
}

/// The first name of a path, or of each branch of a tree in braces, with its place.
fn first_names(code: &str) -> Vec<(usize, String)> {
    let word = |from: usize| -> String {
        let rest = code[from..].chars();
        rest.take_while(|char| char.is_alphanumeric() || *char == '_').collect()
    };
    if !code.starts_with('{') {
        return vec![(0, word(0))];
    }
    let (mut names, mut open, mut begins) = (Vec::new(), 0_usize, false);
    for (at, char) in code.char_indices() {
        match char {
            '{' => {
                open += 1;
                begins = open == 1;
            }
            '}' if open == 1 => break,
            '}' => open -= 1,
            ',' => begins = open == 1,
            char if begins && !char.is_whitespace() => {
                names.push((at, word(at)));
                begins = false;
            }
            _ => {}
        }
    }
    names
}

/// The same text with comments and texts blank, so that lines stay where they are.
fn without_comments_and_texts(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    for line in text.lines() {
        let (mut is_text, mut previous) = (false, ' ');
        for (at, char) in line.char_indices() {
            if !is_text && line[at..].starts_with("//") {
                break;
            }
            if char == '"' && previous != '\\' && previous != '\'' {
                is_text = !is_text;
            }
            code.push(if is_text { ' ' } else { char });
            previous = char;
        }
        code.push('\n');
    }
    code
}
