//! Rules for single Rust files: they say what they own, they stay readable, they leave nothing unfinished.

use super::{Problem, Sources, numbered};

/// Folders of what ships: a file there that grows past this owns more than one idea.
const SHORT_FILES: [&str; 2] = ["core/", "backend-"];
const LINES_MAX: usize = 600;

/// What marks unfinished work, and why it may not stay. Written in two parts, so that this file does not find itself.
const MARKERS: [(&str, &str); 6] = [
    (concat!("todo", "!("), "code that panics where it should work"),
    (concat!("unimplemented", "!("), "code that panics where it should work"),
    (concat!("dbg", "!("), "a trace of debugging"),
    (concat!("FIX", "ME"), "a known fault; fix it or describe it in an issue"),
    (concat!("TO", "DO"), "a wish; describe it in an issue"),
    (concat!("#[", "ignore"), "a test that does not run; one that nobody runs is worse than none"),
];

pub(super) fn check(sources: &Sources) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (path, text) in sources.ending(".rs") {
        if !text.starts_with("//!") {
            problems.push(Problem::new(path, 1, "the file does not begin with //! and what it owns"));
        }
        let lines = text.lines().count();
        if lines > LINES_MAX && SHORT_FILES.iter().any(|folder| path.starts_with(folder)) {
            let what = format!("{lines} lines, more than {LINES_MAX}; the file owns more than one idea");
            problems.push(Problem::new(path, LINES_MAX, what));
        }
        for (number, line) in numbered(text) {
            for (marker, why) in MARKERS.iter().filter(|(marker, _)| has_word(line, marker)) {
                problems.push(Problem::new(path, number, format!("{marker}: {why}")));
            }
        }
    }
    problems
}

/// Whether `marker` occurs as a word of its own, not as the end or the beginning of another one.
fn has_word(line: &str, marker: &str) -> bool {
    let part_of_word = |char: Option<char>| char.is_some_and(|char| char.is_alphanumeric() || char == '_');
    let ends_in_word = part_of_word(marker.chars().next_back());
    line.match_indices(marker).any(|(at, _)| {
        let (before, after) = (line[..at].chars().next_back(), line[at + marker.len()..].chars().next());
        let runs_on = ends_in_word && part_of_word(after);
        !runs_on && !part_of_word(before)
    })
}
