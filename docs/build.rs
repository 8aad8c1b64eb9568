//! Makes documentation tests of the programs in the documents, which are written for people: without the lines that only a test needs.
//!
//! Invariant: a document is changed behind its last line and within lines, never by lines in between, so that a failure names the line
//! that is at fault.
//!
//! - A program with a `main` runs in an empty directory of its own.
//! - Anything else is the inside of a function that has `db`, an empty store in memory, and that fails with any error.

use std::{env, fs, io, path::Path};

/// Where the documents are, seen from here.
const DOCUMENTS: [&str; 6] =
    ["../README.md", "../core/README.md", "../archive/README.md", "async.md", "expiry.md", "queue.md"];

fn main() -> io::Result<()> {
    let out =
        env::var_os("OUT_DIR").ok_or_else(|| io::Error::other("cargo gives a build script a place to write to"))?;
    let mut guide: Vec<_> = fs::read_dir("guide")?.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>()?;
    guide.sort();
    let named = DOCUMENTS.iter().map(|name| Path::new(name).to_owned());
    let mut modules = String::new();
    for document in named.chain(["guide.md".into(), "recipes.md".into()]).chain(guide) {
        let words = document.to_string_lossy().replace(|char: char| !char.is_ascii_alphanumeric(), "_");
        let name = words.trim_matches('_').to_lowercase();
        let path = Path::new(&out).join(format!("{name}.md"));
        fs::write(&path, testable(&fs::read_to_string(&document)?))?;
        modules += &format!("#[doc = include_str!({path:?})]\npub mod {name} {{}}\n");
        println!("cargo::rerun-if-changed={}", document.display());
    }
    println!("cargo::rerun-if-changed=guide");
    fs::write(Path::new(&out).join("documents.rs"), modules)
}

/// The document with its programs as tests.
fn testable(document: &str) -> String {
    let mut out = String::new();
    let mut program: Option<Vec<&str>> = None;
    for line in document.lines() {
        match (&mut program, line) {
            (None, "```rust") => program = Some(Vec::new()),
            (Some(lines), "```") => {
                out += &with_what_a_test_needs(lines);
                program = None;
            }
            (Some(lines), _) => {
                lines.push(line);
                continue;
            }
            (None, _) => {}
        }
        out += line;
        out.push('\n');
    }
    out
}

fn with_what_a_test_needs(program: &[&str]) -> String {
    const PLACE: &str = "let _directory = foldb_guide::elsewhere();";
    let is_main = |line: &str| line.contains("fn main(");
    // One that says itself what it needs, in lines that only its readers at docs.rs do not see.
    let is_whole = program.iter().any(|line| line.starts_with("# "));
    let has_main = program.iter().any(|line| is_main(line));
    let mut out = String::new();
    for (number, line) in program.iter().enumerate() {
        if !has_main && !is_whole && number == 0 {
            out += "let db = foldb::memory(); ";
        }
        out += line;
        if is_main(line) {
            out += PLACE;
        }
        out.push('\n');
    }
    if !has_main && !is_whole {
        out += "# Ok::<(), Box<dyn std::error::Error>>(())\n";
    }
    out
}
