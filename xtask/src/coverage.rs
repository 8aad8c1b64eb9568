//! `cargo xtask coverage`: which regions of the modules that decide over data the tests reach, and whether every one
//! that they do not reach is explained.
//!
//! Invariant: a region that several instances of a generic function have counts once, and is reached if one of them is.
//! What is not reached and not explained in `docs/coverage.md` is a failure; so is an explanation of something that is
//! reached, since it has gone out of date. An explanation names code by its text, never by its number of a line. What only
//! a build with planted bugs can run is counted apart: `cargo xtask mutants` is about that.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsString,
    fs,
    path::Path,
};

use lexopt::Arg;
use serde_json::{Value, json};

use crate::tools::{cargo, cargo_subcommand, install, missing_components, succeeds};

const HELP: &str = "\
cargo xtask coverage [--json | --html] [--report]

Builds core with counters, runs its tests and those of the whole store, and shows per module how many functions, lines
and regions were reached. Fails where a region is not reached and docs/coverage.md does not say why. cargo-llvm-cov and
llvm-tools are installed if they are missing. It takes some minutes.

  --json      figures and regions as JSON
  --html      writes the sources with their counts to target/llvm-cov/html as well
  --report    does not run the tests again, but looks at what the last run has left
";

/// The modules, as parts of paths.
const MODULES: [&str; 4] = ["log", "snapshot", "recovery", "engine"];
/// The tests that are run, as arguments of cargo.
const TESTS: &[&[&str]] = &[
    &["--package", "foldb-core", "--lib"],
    &["--package", "foldb", "--tests"],
    &["--package", "foldb-archive", "--tests"],
    &["--package", "foldb-testkit", "--test", "fuzz_corpus"],
];
const EXPLANATIONS: &str = "docs/coverage.md";

/// A piece of code: file, and where it begins and ends, in lines and columns.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Region {
    file: String,
    start: (u64, u64),
    end: (u64, u64),
}

/// What was counted in one module.
#[derive(Clone, Copy, Default)]
struct Figures {
    functions: (u64, u64),
    lines: (u64, u64),
    regions: (u64, u64),
    /// Regions that only a build with planted bugs can run. They are in no other figure of regions.
    planted: u64,
}

/// The lines of the sources, by file.
struct Sources<'r> {
    root: &'r Path,
    files: BTreeMap<String, Vec<String>>,
}

impl Sources<'_> {
    fn lines(&mut self, file: &str) -> &[String] {
        self.files.entry(file.into()).or_insert_with(|| {
            let text = fs::read_to_string(self.root.join(file)).unwrap_or_default();
            text.lines().map(String::from).collect()
        })
    }
}

/// Does what the arguments say. Returns whether everything that is not reached is explained.
pub(crate) fn run(root: &Path, arguments: &[OsString]) -> bool {
    let (mut as_json, mut html, mut report_only) = (false, false, false);
    let mut parser = lexopt::Parser::from_args(arguments);
    loop {
        match parser.next() {
            Ok(Some(Arg::Long("json"))) => as_json = true,
            Ok(Some(Arg::Long("html"))) => html = true,
            Ok(Some(Arg::Long("report"))) => report_only = true,
            Ok(Some(Arg::Long("help") | Arg::Short('h'))) => {
                print!("{HELP}");
                return true;
            }
            Ok(None) => break,
            Ok(Some(other)) => {
                eprintln!("error: {}\n\n{HELP}", other.unexpected());
                return false;
            }
            Err(error) => {
                eprintln!("error: {error}\n\n{HELP}");
                return false;
            }
        }
    }
    if !prepare(root) || !(report_only || measure(root)) {
        return false;
    }
    if html && !succeeds(cargo(root).args(["llvm-cov", "report", "--package", "foldb-core", "--html"])) {
        return false;
    }
    match export(root) {
        Ok(exported) => judge(root, &exported, as_json),
        Err(error) => {
            eprintln!("error: {error}");
            false
        }
    }
}

fn prepare(root: &Path) -> bool {
    let toolchain = std::env::var("RUSTUP_TOOLCHAIN").unwrap_or_else(|_| "stable".into());
    let missing = missing_components(root, &toolchain, &["llvm-tools"]);
    (missing.is_empty() || install(root, "rustup", &["component", "add", "llvm-tools-preview"]))
        && cargo_subcommand(root, "llvm-cov", "cargo-llvm-cov")
}

/// Runs the tests with counters. What was built before goes: a program that is out of date would be counted, too.
fn measure(root: &Path) -> bool {
    succeeds(cargo(root).args(["llvm-cov", "clean", "--workspace"]))
        && TESTS.iter().all(|tests| succeeds(cargo(root).args(["llvm-cov", "--no-report"]).args(*tests)))
}

fn export(root: &Path) -> Result<Value, String> {
    let output = cargo(root)
        .args(["llvm-cov", "report", "--package", "foldb-core", "--json"])
        .output()
        .map_err(|error| error.to_string())?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    serde_json::from_slice(&output.stdout).map_err(|error| error.to_string())
}

/// The module that a file of core belongs to; `None` for tests and for everything else.
fn module(file: &str) -> Option<&'static str> {
    let inside = file.strip_prefix("core/src/")?;
    if inside.contains("/tests/") || inside.ends_with("tests.rs") {
        return None;
    }
    MODULES.into_iter().find(|module| inside.split('/').next() == Some(module))
}

/// Every region of the modules, with how often it was run.
fn regions(root: &Path, exported: &Value) -> BTreeMap<Region, u64> {
    let mut counts = BTreeMap::new();
    for function in items(exported.pointer("/data/0/functions")) {
        let files: Vec<String> = items(function.get("filenames"))
            .map(|file| {
                let path = Path::new(file.as_str().unwrap_or_default());
                let inside = path.strip_prefix(root).unwrap_or(path);
                inside.to_string_lossy().replace('\\', "/")
            })
            .collect();
        for region in items(function.get("regions")) {
            let field = |index: usize| region.get(index).and_then(Value::as_u64).unwrap_or(0);
            let Some(file) = usize::try_from(field(5)).ok().and_then(|index| files.get(index)) else { continue };
            // The kind 0 is code; others are gaps and skipped pieces.
            if module(file).is_none() || field(7) != 0 {
                continue;
            }
            let place = Region { file: file.clone(), start: (field(0), field(1)), end: (field(2), field(3)) };
            let count = counts.entry(place).or_insert(0);
            *count = field(4).max(*count);
        }
    }
    counts
}

fn items(list: Option<&Value>) -> impl Iterator<Item = &Value> {
    list.and_then(Value::as_array).into_iter().flatten()
}

fn figures(
    root: &Path,
    exported: &Value,
    counts: &BTreeMap<Region, u64>,
    planted: &BTreeSet<Region>,
) -> BTreeMap<&'static str, Figures> {
    let mut figures: BTreeMap<&'static str, Figures> = BTreeMap::new();
    for (region, count) in counts {
        let Some(module) = module(&region.file) else { continue };
        let figures = figures.entry(module).or_default();
        if planted.contains(region) {
            figures.planted += 1;
        } else {
            figures.regions = (figures.regions.0 + u64::from(*count > 0), figures.regions.1 + 1);
        }
    }
    for file in items(exported.pointer("/data/0/files")) {
        let path = Path::new(file.get("filename").and_then(Value::as_str).unwrap_or_default());
        let inside = path.strip_prefix(root).unwrap_or(path).to_string_lossy().replace('\\', "/");
        let Some(module) = module(&inside) else { continue };
        let entry = figures.entry(module).or_default();
        for (name, sum) in [("functions", &mut entry.functions), ("lines", &mut entry.lines)] {
            let number = |what| file.pointer(&format!("/summary/{name}/{what}")).and_then(Value::as_u64).unwrap_or(0);
            *sum = (sum.0 + number("covered"), sum.1 + number("count"));
        }
    }
    figures
}

/// A row of the table of explanations: file, a line of code, why it is not reached.
#[derive(Debug, PartialEq, Eq)]
struct Explanation {
    file: String,
    code: String,
}

/// The rows of a document's tables whose first cell is a file and whose second is code.
fn explanations(text: &str) -> Vec<Explanation> {
    let row = |line: &str| {
        let cells: Vec<_> = line.strip_prefix("| `")?.splitn(3, " | ").collect();
        let [file, code, _] = cells.as_slice() else { return None };
        let code = code.strip_prefix('`')?.strip_suffix('`')?.replace("\\|", "|");
        Some(Explanation { file: file.strip_suffix('`')?.into(), code })
    };
    text.lines().filter_map(row).collect()
}

/// The line, as an index, that opens what the line with this number closes; `None` where that one does not only close.
fn opener_of(lines: &[String], number: usize) -> Option<usize> {
    let indent = |line: &str| line.len() - line.trim_start().len();
    let (line, before) = lines.get(..number)?.split_last()?;
    let code = line.trim();
    if code.is_empty() || !code.chars().all(|character| "})];".contains(character)) {
        return None;
    }
    before.iter().rposition(|other| {
        let code = other.trim();
        !code.is_empty() && indent(other) == indent(line) && (!code.starts_with('}') || code.starts_with("} else"))
    })
}

/// The line of code with this number, from 1 on. A line that only closes something is named with the one that opens it:
/// what is not reached there is the end of that, as of an `if` whose condition always holds.
fn code_at(lines: &[String], number: usize) -> String {
    let code = number.checked_sub(1).and_then(|index| lines.get(index)).map_or("", |line| line.trim());
    match opener_of(lines, number).and_then(|opener| lines.get(opener)) {
        Some(opener) => format!("{} … {code}", opener.trim()),
        None => code.into(),
    }
}

/// How an explanation names the line with this number: by its text, and where that is there more than once in the file, by the
/// function it is in as well. Neither changes when lines move.
fn name_of(lines: &[String], number: usize) -> String {
    let code = code_at(lines, number);
    let twins = (1..=lines.len()).filter(|other| code_at(lines, *other) == code).count();
    if twins < 2 {
        return code;
    }
    let function = enclosing(lines, number).find_map(|opener| {
        let (_, rest) = lines.get(opener)?.split_once("fn ")?;
        rest.split(['(', '<']).next().map(String::from)
    });
    function.map_or(code.clone(), |function| format!("fn {function}: {code}"))
}

/// The lines, as indexes, that open the blocks around the line with this number, the innermost first.
fn enclosing(lines: &[String], number: usize) -> impl Iterator<Item = usize> {
    let indent = |index: usize| lines.get(index).map(|line: &String| line.len() - line.trim_start().len());
    let mut current = number.checked_sub(1);
    std::iter::from_fn(move || {
        let at = current?;
        let depth = indent(at)?;
        current = (0..at).rev().find(|index| {
            lines.get(*index).is_some_and(|line| !line.trim().is_empty()) && indent(*index) < Some(depth)
        });
        current
    })
}

/// Whether the line with this number can run only where a planted bug is switched on: it asks for one, or lies in the block
/// behind such a question, or in a function that says in its documentation that it is what a planted bug does. The
/// block behind the opposite question is code like any other.
fn is_planted(lines: &[String], number: usize) -> bool {
    let text = |index: usize| lines.get(index).map_or("", |line| line.trim());
    let asks = |line: &str| line.contains("planted::active(");
    // The end of a block goes with its beginning.
    let Some(own) = opener_of(lines, number).or(number.checked_sub(1)) else { return false };
    if asks(text(own)) {
        return true;
    }
    let documented = |index: usize| {
        let above = (0..index).rev().map(text).take_while(|line| line.starts_with("///") || line.starts_with("#["));
        above.into_iter().any(|line| line.contains("[`Planted::"))
    };
    let is_function = |index: usize| text(index).contains("fn ") && documented(index);
    is_function(own)
        || enclosing(lines, own + 1)
            .any(|opener| is_function(opener) || (asks(text(opener)) && !text(opener).contains("!planted::")))
}

fn judge(root: &Path, exported: &Value, as_json: bool) -> bool {
    let mut counts = regions(root, exported);
    let mut sources = Sources { root, files: BTreeMap::new() };
    let number = |region: &Region| usize::try_from(region.start.0).unwrap_or(0);
    let planted: BTreeSet<Region> = counts
        .iter()
        .filter(|(region, count)| **count == 0 && is_planted(sources.lines(&region.file), number(region)))
        .map(|(region, _)| region.clone())
        .collect();
    let figures = figures(root, exported, &counts, &planted);
    counts.retain(|region, _| !planted.contains(region));
    let explained = explanations(&fs::read_to_string(root.join(EXPLANATIONS)).unwrap_or_default());
    let mut used = BTreeSet::new();
    let mut unexplained = Vec::new();
    for region in counts.iter().filter(|(_, count)| **count == 0).map(|(region, _)| region) {
        let code = name_of(sources.lines(&region.file), number(region));
        let found = explained.iter().position(|row| row.file == region.file && row.code == code);
        match found {
            Some(row) => drop(used.insert(row)),
            None => unexplained.push((region, code)),
        }
    }
    let stale: Vec<_> = (0..explained.len()).filter(|row| !used.contains(row)).map(|row| &explained[row]).collect();
    if as_json {
        print_json(&figures, &unexplained, &stale);
    } else {
        print_table(&figures, &unexplained, &stale, used.len());
    }
    unexplained.is_empty() && stale.is_empty()
}

fn print_table(
    figures: &BTreeMap<&'static str, Figures>,
    unexplained: &[(&Region, String)],
    stale: &[&Explanation],
    used: usize,
) {
    let share = |(reached, all): (u64, u64)| {
        // Hundredths of a percent in whole numbers: 99.99 is not to be rounded to 100.
        let hundredths = (reached * 10_000).checked_div(all).unwrap_or(10_000);
        format!("{reached:>6} of {all:<5} {:>3}.{:02} %", hundredths / 100, hundredths % 100)
    };
    println!("{:<10} {:<25} {:<25} {:<25}", "module", "functions", "lines", "regions");
    for (module, figures) in figures {
        println!(
            "{module:<10} {:<25} {:<25} {:<25}",
            share(figures.functions),
            share(figures.lines),
            share(figures.regions)
        );
    }
    let planted: u64 = figures.values().map(|figures| figures.planted).sum();
    println!("\n{planted} regions that only a build with planted bugs can run do not count");
    println!("{used} lines of code with regions that are not reached are explained in {EXPLANATIONS}");
    for (region, code) in unexplained {
        eprintln!("{}:{}:{}: not reached, and not explained: {code}", region.file, region.start.0, region.start.1);
    }
    for row in stale {
        eprintln!("{EXPLANATIONS}: what it says of {} is out of date: {}", row.file, row.code);
    }
}

fn print_json(figures: &BTreeMap<&'static str, Figures>, unexplained: &[(&Region, String)], stale: &[&Explanation]) {
    let pair = |(reached, all): (u64, u64)| json!({ "reached": reached, "all": all });
    let modules: BTreeMap<_, _> = figures
        .iter()
        .map(|(module, figures)| {
            let figures = json!({
                "functions": pair(figures.functions),
                "lines": pair(figures.lines),
                "regions": pair(figures.regions),
                "planted": figures.planted,
            });
            (module, figures)
        })
        .collect();
    let regions: Vec<_> = unexplained
        .iter()
        .map(|(region, code)| json!({ "file": region.file, "start": region.start, "end": region.end, "code": code }))
        .collect();
    let stale: Vec<_> = stale.iter().map(|row| json!({ "file": row.file, "code": row.code })).collect();
    println!("{:#}", json!({ "modules": modules, "unexplained": regions, "out_of_date": stale }));
}

#[cfg(test)]
mod tests {
    //! What counts, on an export that is made up.

    use super::*;

    fn exported() -> Value {
        let function = |count: u64| {
            json!({
                "filenames": ["/r/core/src/log/frame.rs", "/r/core/src/tree/mod.rs"],
                "regions": [[1, 1, 2, 2, count, 0, 0, 0], [3, 1, 3, 9, 0, 0, 0, 0], [4, 1, 4, 2, 0, 0, 0, 3],
                            [1, 1, 1, 9, 0, 1, 0, 0]],
            })
        };
        json!({ "data": [{ "functions": [function(0), function(5)], "files": [] }] })
    }

    #[test]
    fn a_region_is_reached_if_one_instance_of_the_function_reaches_it() {
        let counts = regions(Path::new("/r"), &exported());
        let counts: Vec<_> = counts.iter().map(|(region, count)| (region.start.0, *count)).collect();
        assert_eq!(counts, [(1, 5), (3, 0)], "gaps and other modules do not count");
    }

    #[test]
    fn a_test_is_no_part_of_its_module() {
        assert_eq!(module("core/src/recovery/log/fold.rs"), Some("recovery"));
        assert_eq!(module("core/src/recovery/log/tests/fold.rs"), None);
        assert_eq!(module("core/src/state/tests.rs"), None);
        assert_eq!(module("core/src/tree/mod.rs"), None);
        assert_eq!(module("src/log/mod.rs"), None);
    }

    #[test]
    fn a_closing_bracket_is_named_with_what_it_closes() {
        let lines: Vec<_> =
            ["fn f() {", "    if let Some(a) = b {", "        c();", "    }", "}"].map(String::from).into();
        assert_eq!(code_at(&lines, 3), "c();");
        assert_eq!(code_at(&lines, 4), "if let Some(a) = b { … }");
        assert_eq!(code_at(&lines, 5), "fn f() { … }");
        assert_eq!(code_at(&lines, 6), "");
    }

    fn lines(text: &str) -> Vec<String> {
        text.lines().map(String::from).collect()
    }

    #[test]
    fn a_line_that_is_there_twice_is_named_with_its_function() {
        let lines =
            lines("fn one() {\n    return;\n}\nfn two<T>() {\n    if a {\n        return;\n    }\n    b();\n}\n");
        assert_eq!(name_of(&lines, 2), "fn one: return;");
        assert_eq!(name_of(&lines, 6), "fn two: return;");
        assert_eq!(name_of(&lines, 8), "b();");
    }

    #[test]
    fn what_a_planted_bug_does_is_told_from_what_it_leaves_out() {
        let lines = lines(
            "fn f() {\n    if planted::active(A) {\n        bug();\n    } else {\n        right();\n    }\n    \
             if !planted::active(B) {\n        sync()?;\n    }\n}\n/// What [`Planted::A`] does.\nfn g() {\n    \
             h();\n}\n",
        );
        let planted: Vec<_> = (1..=lines.len()).filter(|number| is_planted(&lines, *number)).collect();
        // The question, what it guards, the end of a block that is always entered, and the function.
        assert_eq!(planted, [2, 3, 7, 9, 12, 13, 14]);
    }

    #[test]
    fn explanations_are_rows_with_a_file_and_a_line_of_code() {
        let text = "# Title\n| file | code | why |\n|---|---|---|\n| `core/src/a.rs` | `a \\| b` | because |\n";
        assert_eq!(explanations(text), [Explanation { file: "core/src/a.rs".into(), code: "a | b".into() }]);
    }
}
