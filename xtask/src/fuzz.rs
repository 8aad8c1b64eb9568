//! `cargo xtask fuzz`: gives the fuzz targets to libFuzzer, one after the other.
//!
//! Invariant: this only builds, starts and sums up. Targets and properties are the business of `foldb-testkit`; what is
//! kept in the repository (`fuzz/corpus/`) changes only where it is asked for.

use std::{
    ffi::OsString,
    fs,
    io::{BufRead, BufReader, IsTerminal, Write},
    path::Path,
    process::{Command, Stdio},
};

use lexopt::{Arg, ValueExt};

use crate::tools::{cargo, cargo_subcommand, nightly, succeeds};

const HELP: &str = "\
cargo xtask fuzz [--target NAME]... [--minutes N]

Fuzzes each target, or those named, for so many minutes (1; fractions are allowed). It needs rustup and a C++
compiler; a nightly toolchain and cargo-fuzz are installed if they are missing.

  --seeds     makes the seeds in fuzz/corpus/ anew, from real stores, and ends
  --merge     adds to fuzz/corpus/ what earlier runs have found and the corpus does not cover, and ends
";

/// Inputs that are longer find nothing that shorter ones do not, and are slow.
const INPUT_BYTES_MAX: u32 = 16 << 10;
/// Inputs that are worth a place in the repository.
const STORED_BYTES_MAX: u32 = 3 << 10;
/// An input that takes longer is a finding.
const SECONDS_MAX: u32 = 20;

struct Settings {
    targets: Vec<String>,
    minutes: f64,
    seeds: bool,
    merge: bool,
}

/// What became of a target.
struct Outcome {
    target: String,
    executions: u64,
    per_second: u64,
    new_inputs: u64,
    finding: Option<String>,
}

/// Does what the arguments say. Returns whether nothing was found.
pub(crate) fn run(root: &Path, arguments: &[OsString]) -> bool {
    let known = targets(root);
    let settings = match parse(arguments, &known) {
        Ok(Some(settings)) => settings,
        Ok(None) => {
            print!("{HELP}\nTargets: {}\n", known.join(", "));
            return true;
        }
        Err(error) => {
            eprintln!("error: {error}\n\n{HELP}\nTargets: {}", known.join(", "));
            return false;
        }
    };
    if settings.seeds {
        let package = ["run", "--quiet", "--package", "foldb-testkit", "--features=programs"];
        return succeeds(cargo(root).args(package).args(["--bin=foldb-fuzz-seeds", "--", "fuzz/corpus"]));
    }
    if !nightly(root, &[]) || !cargo_subcommand(root, "fuzz", "cargo-fuzz") {
        return false;
    }
    if settings.merge {
        return settings.targets.iter().all(|target| merge(root, target));
    }
    let outcomes: Vec<Outcome> =
        settings.targets.iter().map(|target| fuzz(root, target, settings.minutes * 60.0)).collect();
    summarize(&outcomes);
    outcomes.iter().all(|outcome| outcome.finding.is_none())
}

/// The programs that there are.
fn targets(root: &Path) -> Vec<String> {
    let entries = fs::read_dir(root.join("fuzz/fuzz_targets")).into_iter().flatten().flatten();
    let mut names: Vec<_> =
        entries.filter_map(|entry| entry.file_name().to_string_lossy().strip_suffix(".rs").map(String::from)).collect();
    names.sort();
    names
}

fn parse(arguments: &[OsString], known: &[String]) -> Result<Option<Settings>, lexopt::Error> {
    let mut settings = Settings { targets: Vec::new(), minutes: 1.0, seeds: false, merge: false };
    let mut parser = lexopt::Parser::from_args(arguments);
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("target") => {
                let name = parser.value()?.string()?;
                if !known.contains(&name) {
                    return Err(format!("there is no target {name}").into());
                }
                settings.targets.push(name);
            }
            Arg::Long("minutes") => settings.minutes = parser.value()?.parse()?,
            Arg::Long("seeds") => settings.seeds = true,
            Arg::Long("merge") => settings.merge = true,
            Arg::Long("help") | Arg::Short('h') => return Ok(None),
            other => return Err(other.unexpected()),
        }
    }
    if settings.targets.is_empty() {
        settings.targets = known.to_vec();
    }
    Ok(Some(settings))
}

/// `cargo fuzz COMMAND TARGET` on the nightly toolchain. Without a sanitizer: there is no unsafe code to look at, and the
/// program is several times as fast.
fn cargo_fuzz(root: &Path, command: &str, target: &str) -> Command {
    let mut process = Command::new("cargo");
    process.current_dir(root).args(["+nightly", "fuzz", command, "--sanitizer", "none", target]);
    process
}

fn fuzz(root: &Path, target: &str, seconds: f64) -> Outcome {
    println!("== {target}: {seconds:.0} seconds");
    let work = format!("fuzz/work/{target}");
    let corpus = format!("fuzz/corpus/{target}");
    let mut outcome = Outcome { target: target.into(), executions: 0, per_second: 0, new_inputs: 0, finding: None };
    if let Err(error) = fs::create_dir_all(root.join(&work)) {
        outcome.finding = Some(format!("{work}: {error}"));
        return outcome;
    }
    let mut process = cargo_fuzz(root, "run", target);
    process.args([&work, &corpus]).arg("--").args([
        format!("-max_total_time={seconds:.0}"),
        format!("-max_len={INPUT_BYTES_MAX}"),
        format!("-timeout={SECONDS_MAX}"),
        "-rss_limit_mb=4096".into(),
        "-print_final_stats=1".into(),
    ]);
    let log = watch(root, target, &mut process, &mut outcome);
    if let Some(error) = log {
        outcome.finding.get_or_insert(error);
    }
    outcome
}

/// Runs libFuzzer, keeps what it says, and shows its pulse. Returns what kept it from running, if anything.
fn watch(root: &Path, target: &str, process: &mut Command, outcome: &mut Outcome) -> Option<String> {
    let path = root.join("fuzz/work").join(format!("{target}.log"));
    let log = fs::File::create(&path);
    let (mut child, mut log) = match (process.stderr(Stdio::piped()).stdout(Stdio::null()).spawn(), log) {
        (Ok(child), Ok(log)) => (child, log),
        (Err(error), _) | (_, Err(error)) => return Some(format!("it cannot be started: {error}")),
    };
    let terminal = std::io::stdout().is_terminal();
    for line in BufReader::new(child.stderr.take()?).lines().map_while(Result::ok) {
        let _ = writeln!(log, "{line}");
        if terminal && line.starts_with('#') {
            print!("\r\x1b[2K{}", line.chars().take(100).collect::<String>());
            let _ = std::io::stdout().flush();
        }
        note(&line, outcome);
    }
    if terminal {
        print!("\r\x1b[2K");
    }
    match child.wait() {
        Ok(status) if status.success() => None,
        _ => Some(format!("it failed; see {}", path.display())),
    }
}

/// Takes what matters from a line of libFuzzer's.
fn note(line: &str, outcome: &mut Outcome) {
    let number = |name: &str| line.strip_prefix(name).and_then(|rest| rest.trim().parse().ok());
    if let Some(count) = number("stat::number_of_executed_units:") {
        outcome.executions = count;
    } else if let Some(rate) = number("stat::average_exec_per_sec:") {
        outcome.per_second = rate;
    } else if let Some(count) = number("stat::new_units_added:") {
        outcome.new_inputs = count;
    } else if let Some((_, path)) = line.split_once("Test unit written to ") {
        outcome.finding = Some(path.trim().into());
    }
}

fn summarize(outcomes: &[Outcome]) {
    println!("\n{:<14}{:>14}{:>10}{:>12}  findings", "target", "executions", "a second", "new inputs");
    for Outcome { target, executions, per_second, new_inputs, finding } in outcomes {
        let found = finding.as_deref().unwrap_or("none");
        println!("{target:<14}{executions:>14}{per_second:>10}{new_inputs:>12}  {found}");
    }
    for outcome in outcomes {
        if let Some(path) = outcome.finding.as_deref().filter(|path| path.contains("artifacts")) {
            eprintln!("\nreproduce: cargo +nightly fuzz run --sanitizer none {} {path}", outcome.target);
        }
    }
}

/// Adds to the corpus the smallest set that covers what is new: code, not how often it ran, which would keep thousands of inputs.
fn merge(root: &Path, target: &str) -> bool {
    let (corpus, work) = (format!("fuzz/corpus/{target}"), format!("fuzz/work/{target}"));
    if !root.join(&work).is_dir() {
        println!("{target:<14}nothing was found yet");
        return true;
    }
    let before = count(root, &corpus);
    let mut process = cargo_fuzz(root, "run", target);
    process
        .args([&corpus, &work])
        .args(["--", "-set_cover_merge=1", "-use_counters=0"])
        .arg(format!("-max_len={STORED_BYTES_MAX}"));
    let merged = succeeds(process.stderr(Stdio::null()).stdout(Stdio::null()));
    println!("{target:<14}{before:>5} inputs before, {:>5} now", count(root, &corpus));
    merged
}

fn count(root: &Path, folder: &str) -> usize {
    fs::read_dir(root.join(folder)).map_or(0, Iterator::count)
}
