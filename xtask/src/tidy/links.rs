//! Links between documents lead somewhere: to a file or folder that is there, and to a heading that is in it.
//!
//! Addresses of other sites are not looked at: a check that needs the network fails on somebody's train.

use std::collections::BTreeSet;

use super::{Problem, Sources, numbered};

pub(super) fn check(sources: &Sources) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (path, text) in sources.ending(".md") {
        for (line, link) in links(text) {
            if let Err(what) = resolve(sources, path, link) {
                problems.push(Problem::new(path, line, format!("the link {link} leads nowhere: {what}")));
            }
        }
    }
    problems
}

/// The targets of all links to other places in the repository, with their lines. Code is left out.
fn links(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut in_code = false;
    numbered(text).flat_map(move |(number, line)| {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        }
        let line = if in_code { "" } else { line };
        let inline = line.match_indices("](").filter(|(at, _)| !inside_code(line, *at)).filter_map(|(at, _)| {
            let target = &line[at + 2..];
            target.find([')', ' ']).map(|end| &target[..end])
        });
        // `[name]: target` on a line of its own.
        let reference = line.strip_prefix('[').and_then(|rest| rest.split_once("]: ")).map(|(_, target)| target.trim());
        inline
            .chain(reference)
            .filter(|target| !is_elsewhere(target))
            .map(move |target| (number, target))
            .collect::<Vec<_>>()
    })
}

/// Whether the place in the line is between two backticks.
fn inside_code(line: &str, at: usize) -> bool {
    line[..at].matches('`').count() % 2 == 1 && line[at..].contains('`')
}

fn is_elsewhere(target: &str) -> bool {
    target.is_empty() || target.contains("://") || target.starts_with("mailto:")
}

fn resolve(sources: &Sources, from: &str, link: &str) -> Result<(), String> {
    let (target, heading) = link.split_once('#').map_or((link, None), |(target, heading)| (target, Some(heading)));
    let path = if target.is_empty() { from.to_owned() } else { joined(from, target)? };
    if !path.is_empty() && !sources.paths.contains(&path) {
        return Err(format!("there is no {path}"));
    }
    match (heading, sources.texts.get(&path)) {
        (Some(heading), Some(text)) if path.ends_with(".md") && !headings(text).contains(heading) => {
            Err(format!("{path} has no heading of that name"))
        }
        _ => Ok(()),
    }
}

/// The path of a link's target, seen from the root of the repository.
fn joined(from: &str, target: &str) -> Result<String, String> {
    let mut parts: Vec<&str> = if target.starts_with('/') { Vec::new() } else { from.split('/').collect() };
    parts.pop();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop().ok_or("it leaves the repository")?),
            part => parts.push(part),
        }
    }
    Ok(parts.join("/"))
}

/// The anchors of a document's headings: lower case, words joined by hyphens, other marks left out, a number behind one
/// that occurs again.
fn headings(text: &str) -> BTreeSet<String> {
    let mut anchors = BTreeSet::new();
    let mut in_code = false;
    for (_, line) in numbered(text) {
        in_code ^= line.trim_start().starts_with("```");
        let Some(title) = line.strip_prefix('#').filter(|_| !in_code) else { continue };
        let title = title.trim_start_matches('#').trim().to_lowercase();
        let kept = title.chars().filter(|char| char.is_alphanumeric() || matches!(char, ' ' | '-' | '_'));
        let anchor: String = kept.map(|char| if char == ' ' { '-' } else { char }).collect();
        let again = (1..).map(|number| format!("{anchor}-{number}"));
        let mut names = std::iter::once(anchor.clone()).chain(again);
        anchors.extend(names.find(|name| !anchors.contains(name)));
    }
    anchors
}
