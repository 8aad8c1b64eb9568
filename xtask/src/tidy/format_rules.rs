//! The rules of `docs/format.md` and the code that keeps them know of each other.
//!
//! A rule is *defined* in the document where its number, as in `F-12`, is the first word of a line (behind marks such as
//! `#`, `-`, `|` and `**`). Everywhere else, there and in Rust files, the number *cites* it; `F-4 to F-7` cites all four.
//! Every rule is defined once and cited by code or tests, and whatever is cited is defined.

use std::collections::{BTreeMap, BTreeSet};

use super::{Problem, Sources, numbered};

const DOCUMENT: &str = "docs/format.md";

pub(super) fn check(sources: &Sources) -> Vec<Problem> {
    let mut problems = Vec::new();
    let Some(document) = sources.texts.get(DOCUMENT) else {
        return vec![Problem::new(DOCUMENT, 0, "the normative document of the format is missing")];
    };
    let defined = definitions(document, &mut problems);
    let mut cited_by_code = BTreeSet::new();
    for (path, text) in sources.ending(".rs").filter(|(path, _)| !path.starts_with("xtask/")) {
        for (line, rule) in citations(text) {
            cited_by_code.insert(rule);
            if !defined.contains_key(&rule) {
                problems.push(Problem::new(path, line, format!("F-{rule} is not a rule of {DOCUMENT}")));
            }
        }
    }
    for (path, text) in sources.ending(".md") {
        for (line, rule) in citations(text).filter(|(_, rule)| !defined.contains_key(rule)) {
            problems.push(Problem::new(path, line, format!("F-{rule} is not a rule of {DOCUMENT}")));
        }
    }
    for (rule, line) in defined.iter().filter(|(rule, _)| !cited_by_code.contains(rule)) {
        problems.push(Problem::new(DOCUMENT, *line, format!("F-{rule} is cited by no code and no test")));
    }
    problems
}

/// The rules that the document defines, with their lines.
fn definitions(document: &str, problems: &mut Vec<Problem>) -> BTreeMap<u32, usize> {
    let mut defined = BTreeMap::new();
    for (line, text) in numbered(document) {
        let text = text.trim_start_matches(|char: char| char.is_whitespace() || "#*-|>`".contains(char));
        let Some((rule, _)) = parse(text) else { continue };
        if let Some(first) = defined.insert(rule, line) {
            problems.push(Problem::new(DOCUMENT, line, format!("F-{rule} is defined in line {first} already")));
        }
    }
    defined
}

/// Every rule that a text names, with its line.
fn citations(text: &str) -> impl Iterator<Item = (usize, u32)> {
    numbered(text).flat_map(|(number, line)| {
        // Each once per line, also where a range and a number overlap.
        let mut rules = BTreeSet::new();
        for (at, _) in line.match_indices("F-") {
            let word_before = line[..at].chars().next_back().is_some_and(char::is_alphanumeric);
            let Some((first, behind)) = parse(&line[at..]).filter(|_| !word_before) else { continue };
            let last = behind.strip_prefix(" to ").and_then(parse).map_or(first, |(last, _)| last);
            rules.extend(first..=last.min(first.saturating_add(1000)));
        }
        rules.into_iter().map(move |rule| (number, rule))
    })
}

/// The number of the rule at the beginning of a text, and what follows.
fn parse(text: &str) -> Option<(u32, &str)> {
    let digits = text.strip_prefix("F-")?;
    let end = digits.find(|char: char| !char.is_ascii_digit()).unwrap_or(digits.len());
    let (digits, behind) = digits.split_at(end);
    Some((digits.parse().ok()?, behind))
}
