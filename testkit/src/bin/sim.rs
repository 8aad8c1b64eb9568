//! Lives through random simulations with all cores and prints what was done: what `cargo xtask sim` builds and runs.

use std::{
    process::ExitCode,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use foldb_testkit::{
    machine::{FaultClass, Fired},
    program,
    simulation::{Counts, Settings, Violation, simulate},
};
use indicatif::{ProgressBar, ProgressStyle};
use lexopt::{Arg, ValueExt};

const HELP: &str = "\
Lives through random simulations of a store on a machine that fails, beside a model that does not.

  --seeds A..B    these seeds (default 0..200)
  --seed N        one seed: what a violation prints
  --minutes N     from the first seed on, as many as fit into so many minutes
  --steps N       steps of each seed (default 700)
  --violations N  stop after so many (default 1)
  --threads N     workers (default: the cores there are)
  --json          one object instead of the tables
";

struct Arguments {
    first: u64,
    /// Exclusive; `None` until the time is up.
    end: Option<u64>,
    minutes: Option<f64>,
    settings: Settings,
    violations: usize,
    threads: usize,
    json: bool,
}

/// What all workers have done.
#[derive(Default)]
struct Run {
    seeds: u64,
    counts: Counts,
    fired: Fired,
    violations: Vec<Violation>,
}

fn main() -> ExitCode {
    program::start(HELP, parse(), run)
}

fn parse() -> Result<Option<Arguments>, lexopt::Error> {
    let mut arguments = Arguments {
        first: 0,
        end: Some(200),
        minutes: None,
        settings: Settings::default(),
        violations: 1,
        threads: program::threads(),
        json: false,
    };
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("seeds") => {
                let text = parser.value()?.string()?;
                let range =
                    text.split_once("..").and_then(|(first, end)| Some((first.parse().ok()?, end.parse().ok()?)));
                let (first, end) = range.ok_or_else(|| format!("--seeds takes A..B, not {text:?}"))?;
                (arguments.first, arguments.end) = (first, Some(end));
            }
            Arg::Long("seed") => {
                arguments.first = parser.value()?.parse()?;
                arguments.end = Some(arguments.first + 1);
            }
            Arg::Long("minutes") => {
                arguments.minutes = Some(parser.value()?.parse()?);
                arguments.end = None;
            }
            Arg::Long("steps") => arguments.settings.steps = parser.value()?.parse()?,
            Arg::Long("violations") => arguments.violations = parser.value()?.parse()?,
            Arg::Long("threads") => arguments.threads = parser.value()?.parse::<usize>()?.max(1),
            Arg::Long("json") => arguments.json = true,
            Arg::Long("help") | Arg::Short('h') => return Ok(None),
            other => return Err(other.unexpected()),
        }
    }
    Ok(Some(arguments))
}

fn run(arguments: &Arguments) -> ExitCode {
    let (run, next, stop) = (Mutex::new(Run::default()), AtomicU64::new(arguments.first), AtomicBool::new(false));
    let bar = progress(arguments);
    let begin = Instant::now();
    let limit = arguments.minutes.map(|minutes| Duration::from_secs_f64(minutes * 60.0));
    // Panics are violations, and are printed with their seed.
    std::panic::set_hook(Box::new(|_| {}));
    thread::scope(|scope| {
        for _ in 0..arguments.threads {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) && limit.is_none_or(|limit| begin.elapsed() < limit) {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if arguments.end.is_some_and(|end| seed >= end) {
                        return;
                    }
                    let outcome = simulate(seed, &arguments.settings);
                    let mut run = run.lock().unwrap_or_else(PoisonError::into_inner);
                    run.seeds += 1;
                    match outcome {
                        Ok(outcome) => {
                            run.counts += outcome.counts;
                            run.fired += outcome.fired;
                        }
                        Err(violation) => {
                            run.violations.push(violation);
                            stop.store(run.violations.len() >= arguments.violations, Ordering::Relaxed);
                        }
                    }
                    let position = if arguments.end.is_some() { run.seeds } else { begin.elapsed().as_secs() };
                    bar.set_position(position);
                    bar.set_message(format!("{} seeds, {} images", run.seeds, run.counts.images));
                }
            });
        }
    });
    bar.finish_and_clear();
    let run = run.into_inner().unwrap_or_else(PoisonError::into_inner);
    report(arguments, &run, begin.elapsed())
}

fn progress(arguments: &Arguments) -> ProgressBar {
    let (length, unit) = match (arguments.end, arguments.minutes) {
        (Some(end), _) => (end.saturating_sub(arguments.first), "seeds"),
        (None, minutes) => (Duration::from_secs_f64(minutes.unwrap_or(0.0) * 60.0).as_secs(), "s"),
    };
    let bar = ProgressBar::new(length);
    let template = format!("{{elapsed_precise}} {{bar:30}} {{human_pos}}/{{human_len}} {unit}  {{msg}}");
    bar.set_style(ProgressStyle::with_template(&template).unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar
}

/// A run of several seeds has to show each class; one seed alone is there to look at.
fn missing(arguments: &Arguments, run: &Run) -> Vec<FaultClass> {
    if run.seeds < 2 { Vec::new() } else { run.fired.missing(&arguments.settings.plan) }
}

fn report(arguments: &Arguments, run: &Run, elapsed: Duration) -> ExitCode {
    let missing = missing(arguments, run);
    if arguments.json {
        print_json(arguments, run, elapsed);
    } else {
        print_tables(run, elapsed);
    }
    for violation in &run.violations {
        eprintln!("\nviolation: {violation}");
        let steps = match arguments.settings.steps {
            steps if steps == Settings::default().steps => String::new(),
            steps => format!(" --steps {steps}"),
        };
        eprintln!("to see it again: cargo xtask sim --seed {}{steps}", violation.seed);
    }
    for class in &missing {
        eprintln!("error: no {} has happened: more seeds are needed", class.name());
    }
    if run.violations.is_empty() && missing.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn rows(counts: &Counts) -> [(&'static str, &'static str, u64); 10] {
    [
        ("calls", "calls compared with the model", counts.calls),
        ("commits", "commits", counts.commits),
        ("conflicts", "conflicts", counts.conflicts),
        ("processes", "processes", counts.processes),
        ("images", "images opened and judged", counts.images),
        ("verified", "stores verified from end to end", counts.verified),
        ("refused", "damage refused at opening", counts.refused),
        ("noticed", "damage noticed when read", counts.noticed),
        ("shortened", "damage to commits before any mark", counts.shortened),
        ("harmless", "damage that cost nothing", counts.harmless),
    ]
}

fn per_second(count: u64, elapsed: Duration) -> u128 {
    u128::from(count) * 1000 / elapsed.as_millis().max(1)
}

fn print_tables(run: &Run, elapsed: Duration) {
    println!("{:<34} {:>12}", "fault", "fired");
    for class in FaultClass::ALL {
        println!("{:<34} {:>12}", class.name(), run.fired.of(class));
    }
    println!("\n{:<34} {:>12} {:>12}", "done", "", "per second");
    for (_, name, count) in rows(&run.counts) {
        println!("{name:<34} {count:>12} {:>12}", per_second(count, elapsed));
    }
    println!("\n{} seeds, {:.1} s, {} violations", run.seeds, elapsed.as_secs_f64(), run.violations.len());
}

fn print_json(arguments: &Arguments, run: &Run, elapsed: Duration) {
    let fired: Vec<_> =
        FaultClass::ALL.into_iter().map(|class| format!(r#""{}":{}"#, class.name(), run.fired.of(class))).collect();
    let done: Vec<_> = rows(&run.counts).into_iter().map(|(key, _, count)| format!(r#""{key}":{count}"#)).collect();
    println!(
        r#"{{"first_seed":{},"seeds":{},"steps":{},"threads":{},"seconds":{:.3},"violations":{},{},"fired":{{{}}}}}"#,
        arguments.first,
        run.seeds,
        arguments.settings.steps,
        arguments.threads,
        elapsed.as_secs_f64(),
        run.violations.len(),
        done.join(","),
        fired.join(",")
    );
}
