//! Checks of the sources and documents themselves, for the rules of `CONTRIBUTING.md` that no compiler knows.
//!
//! Invariant: a check is a pure function from the files to the problems, so that each has tests of its own.

mod format_rules;
mod links;
mod rooms;
mod rust_files;

use std::{
    collections::BTreeMap,
    fmt, fs, io,
    path::{Path, PathBuf},
};

/// Folders that hold what others wrote or what was generated.
const SKIPPED: [&str; 4] = ["target", "node_modules", "corpus", "pkg"];

/// A place that breaks a rule.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Problem {
    path: String,
    line: usize,
    what: String,
}

/// The texts of the repository by path, with `/` between the parts.
pub(crate) struct Sources {
    texts: BTreeMap<String, String>,
    /// Everything that a link may point at.
    paths: Vec<String>,
}

/// Everything that is wrong, sorted by place.
pub(crate) fn problems(root: &Path) -> Vec<Problem> {
    let sources = match Sources::read(root) {
        Ok(sources) => sources,
        Err(error) => return vec![Problem { path: root.display().to_string(), line: 0, what: error.to_string() }],
    };
    let checks = [rust_files::check, format_rules::check, links::check, rooms::check];
    let mut problems: Vec<Problem> = checks.iter().flat_map(|check| check(&sources)).collect();
    problems.sort();
    problems
}

impl Sources {
    fn read(root: &Path) -> io::Result<Self> {
        let mut sources = Self { texts: BTreeMap::new(), paths: Vec::new() };
        sources.read_directory(root, &PathBuf::new())?;
        Ok(sources)
    }

    fn read_directory(&mut self, root: &Path, relative: &Path) -> io::Result<()> {
        for entry in fs::read_dir(root.join(relative))? {
            let entry = entry?;
            let path = relative.join(entry.file_name());
            let name = entry.file_name().to_string_lossy().into_owned();
            // A repository inside the repository, and what editors and version control leave, is not ours.
            if name == ".git" || name == ".idea" || name == ".vscode" {
                continue;
            }
            self.paths.push(slashed(&path));
            if entry.file_type()?.is_dir() {
                if !SKIPPED.contains(&name.as_str()) {
                    self.read_directory(root, &path)?;
                }
            } else if name.ends_with(".rs") || name.ends_with(".md") {
                self.texts.insert(slashed(&path), fs::read_to_string(entry.path())?);
            }
        }
        Ok(())
    }

    /// The files with this ending.
    fn ending(&self, ending: &str) -> impl Iterator<Item = (&str, &str)> {
        let files = self.texts.iter().map(|(path, text)| (path.as_str(), text.as_str()));
        files.filter(move |(path, _)| path.ends_with(ending))
    }

    #[cfg(test)]
    fn of(files: &[(&str, &str)]) -> Self {
        let texts: BTreeMap<_, _> = files.iter().map(|(path, text)| ((*path).into(), (*text).into())).collect();
        Self { paths: texts.keys().cloned().collect(), texts }
    }
}

impl Problem {
    fn new(path: &str, line: usize, what: impl Into<String>) -> Self {
        Self { path: path.into(), line, what: what.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.what)
    }
}

/// The path as it is written in links, on every system.
fn slashed(path: &Path) -> String {
    let parts: Vec<_> = path.iter().map(|part| part.to_string_lossy()).collect();
    parts.join("/")
}

/// Lines with their numbers, from 1.
fn numbered(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines().enumerate().map(|(index, line)| (index + 1, line))
}

#[cfg(test)]
mod tests;
