//! Runs whole stores, and models of small protocols, under schedules that it decides: what `cargo xtask schedules` builds with
//! `--cfg foldb_shuttle` for the one and `--cfg foldb_loom` for the other, and runs.

use std::process::ExitCode;

#[cfg(not(any(foldb_shuttle, foldb_loom)))]
fn main() -> ExitCode {
    eprintln!("error: built with the system's own locks; run cargo xtask schedules");
    ExitCode::FAILURE
}

#[cfg(foldb_shuttle)]
fn main() -> ExitCode {
    program::main()
}

/// Looks at every schedule of each model. Fails where one fails that must not, or holds that must not.
#[cfg(all(foldb_loom, not(foldb_shuttle)))]
fn main() -> ExitCode {
    use std::{panic, time::Instant};

    use foldb_core::{models::MODELS, planted::activate};

    let hook = panic::take_hook();
    let mut wrong = 0;
    println!("{:<80} {:>8}", "model", "seconds");
    for model in MODELS {
        let begin = Instant::now();
        if model.fails_with.is_some() {
            // A failure is what is hoped for.
            panic::set_hook(Box::new(|_| {}));
        }
        let outcome = panic::catch_unwind(model.run);
        activate(None);
        let said = outcome.err().map(|payload| {
            let text = payload.downcast_ref::<String>().cloned();
            text.or_else(|| payload.downcast_ref::<&str>().map(|text| (*text).into())).unwrap_or_default()
        });
        let as_expected = match (&said, model.fails_with) {
            (None, None) => true,
            (Some(said), Some(expected)) => said.contains(expected),
            _ => false,
        };
        let verdict = if as_expected { String::new() } else { format!("  WRONG: {said:?}") };
        println!("{:<80} {:>8.1}{verdict}", model.name, begin.elapsed().as_secs_f64());
        wrong += usize::from(!as_expected);
    }
    panic::set_hook(hook);
    if wrong == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

#[cfg(foldb_shuttle)]
mod program {
    use std::{
        panic,
        process::ExitCode,
        sync::{
            Mutex, PoisonError,
            atomic::{AtomicUsize, Ordering},
        },
        thread,
        time::{Duration, Instant},
    };

    use foldb_testkit::{
        program,
        schedules::{
            Failure, SCENARIOS, Scenario, explore,
            planted::{Planted, activate},
            repeats, replay,
        },
    };
    use lexopt::{Arg, ValueExt};

    const HELP: &str = "\
Runs small programs of several threads around one store under schedules that follow from a seed, and judges each.

  --iterations N     schedules for each scenario (default 20000)
  --seed N           where they begin (default 1)
  --scenario NAME    only this one; may be given more than once
  --schedule TEXT    of one scenario, only this schedule: what a failure prints
  --defects          switches planted defects of synchronization on, one after another, and looks whether each is noticed
  --defect NAME      with this one switched on
  --threads N        workers (default: the cores there are)
  --list             the scenarios
";

    struct Arguments {
        iterations: usize,
        seed: u64,
        scenarios: Vec<&'static Scenario>,
        schedule: Option<String>,
        defects: bool,
        threads: usize,
        list: bool,
    }

    /// What came of a scenario.
    struct Row {
        scenario: &'static Scenario,
        outcome: Result<usize, Failure>,
        time: Duration,
    }

    pub(super) fn main() -> ExitCode {
        program::start(HELP, parse(), |arguments| match run(arguments) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("error: {error}");
                ExitCode::FAILURE
            }
        })
    }

    fn parse() -> Result<Option<Arguments>, lexopt::Error> {
        let mut arguments = Arguments {
            iterations: 20_000,
            seed: 1,
            scenarios: Vec::new(),
            schedule: None,
            defects: false,
            threads: program::threads(),
            list: false,
        };
        let mut parser = lexopt::Parser::from_env();
        while let Some(argument) = parser.next()? {
            match argument {
                Arg::Long("iterations") => arguments.iterations = parser.value()?.parse::<usize>()?.max(1),
                Arg::Long("seed") => arguments.seed = parser.value()?.parse()?,
                Arg::Long("scenario") => {
                    let name = parser.value()?.string()?;
                    let unknown = || format!("there is no scenario {name}; --list shows them");
                    arguments.scenarios.push(Scenario::find(&name).ok_or_else(unknown)?);
                }
                Arg::Long("schedule") => arguments.schedule = Some(parser.value()?.string()?),
                Arg::Long("defect") => {
                    let name = parser.value()?.string()?;
                    let found = Planted::SCHEDULED.iter().find(|defect| format!("{defect:?}") == name);
                    activate(Some(*found.ok_or_else(|| format!("there is no defect {name}"))?));
                }
                Arg::Long("defects") => arguments.defects = true,
                Arg::Long("threads") => arguments.threads = parser.value()?.parse::<usize>()?.max(1),
                Arg::Long("list") => arguments.list = true,
                Arg::Long("help") | Arg::Short('h') => return Ok(None),
                other => return Err(other.unexpected()),
            }
        }
        if arguments.scenarios.is_empty() {
            arguments.scenarios = SCENARIOS.iter().collect();
        }
        Ok(Some(arguments))
    }

    fn run(arguments: &Arguments) -> Result<(), String> {
        if arguments.list {
            for scenario in &arguments.scenarios {
                println!("{:<24}  {}", scenario.name, scenario.what);
            }
            return Ok(());
        }
        if let Some(schedule) = &arguments.schedule {
            let [scenario] = arguments.scenarios[..] else {
                return Err("a schedule is one of one scenario: name it with --scenario".into());
            };
            return replay(scenario, schedule)
                .map(|()| println!("{}: nothing is wrong under this schedule", scenario.name))
                .map_err(|failure| failure.what);
        }
        if arguments.defects { defects(arguments) } else { explore_all(arguments) }
    }

    /// Runs every scenario, several at a time, and prints a row for each.
    fn explore_all(arguments: &Arguments) -> Result<(), String> {
        println!("{:<24} {:>10} {:>8} {:>9}", "scenario", "schedules", "seconds", "a second");
        let begin = Instant::now();
        let rows = each(arguments, |scenario| {
            let begin = Instant::now();
            let twice = repeats(scenario, arguments.seed, 3);
            let outcome = twice.and_then(|()| explore(scenario, arguments.seed, arguments.iterations, true));
            let row = Row { scenario, outcome, time: begin.elapsed() };
            print_row(&row);
            row
        });
        let schedules: usize = rows.iter().filter_map(|row| row.outcome.as_ref().ok()).sum();
        let failures = rows.iter().filter(|row| row.outcome.is_err()).count();
        println!("{:<24} {schedules:>10} {:>8.1}", "all", begin.elapsed().as_secs_f64());
        if failures == 0 { Ok(()) } else { Err(format!("{failures} scenarios fail")) }
    }

    fn print_row(row: &Row) {
        let (name, seconds) = (row.scenario.name, row.time.as_secs_f64());
        match &row.outcome {
            Ok(schedules) => {
                println!("{name:<24} {schedules:>10} {seconds:>8.1} {:>9.0}", *schedules as f64 / seconds.max(1e-9));
            }
            Err(failure) => {
                println!("{name:<24} {:>10} {seconds:>8.1}  {} schedule: {}", "FAILS", failure.scheduler, failure.what);
                eprintln!(
                    "{name}: to see it again:\n  cargo xtask schedules --scenario {name} --schedule TEXT\nwhere TEXT is the \
                     failing schedule that was printed above"
                );
            }
        }
    }

    /// Calls `work` for every scenario, on as many threads as there may be, and returns the answers in order.
    fn each<R: Send>(arguments: &Arguments, work: impl Fn(&'static Scenario) -> R + Sync) -> Vec<R> {
        let next = AtomicUsize::new(0);
        let done = Mutex::new(Vec::new());
        thread::scope(|scope| {
            for _ in 0..arguments.threads {
                scope.spawn(|| {
                    while let Some(scenario) = arguments.scenarios.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let answer = work(scenario);
                        done.lock().unwrap_or_else(PoisonError::into_inner).push(answer);
                    }
                });
            }
        });
        done.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    /// Switches defects on, one after another. Fails where one is not noticed by any scenario.
    fn defects(arguments: &Arguments) -> Result<(), String> {
        let control = each(arguments, |scenario| explore(scenario, arguments.seed, 200, true));
        if let Some(Err(failure)) = control.into_iter().find(Result::is_err) {
            return Err(format!("without any defect: {}", failure.what));
        }
        // From here on a panic is what is hoped for.
        panic::set_hook(Box::new(|_| {}));
        println!("{:<24} {:<24} {:>8}  what was noticed", "defect", "caught by", "seconds");
        let survivors = Planted::SCHEDULED.iter().filter(|defect| !is_caught(arguments, **defect)).count();
        println!("{} defects, {survivors} survive", Planted::SCHEDULED.len());
        if survivors == 0 { Ok(()) } else { Err(format!("{survivors} defects are not noticed")) }
    }

    fn is_caught(arguments: &Arguments, defect: Planted) -> bool {
        let begin = Instant::now();
        activate(Some(defect));
        // A few schedules of each first: most defects need few, and the scenario that shows one may be the last.
        let rounds = [200, arguments.iterations.max(200)];
        let caught = rounds.into_iter().find_map(|iterations| {
            arguments.scenarios.iter().find_map(|scenario| {
                explore(scenario, arguments.seed, iterations, false).err().map(|failure| (scenario.name, failure.what))
            })
        });
        activate(None);
        let (name, seconds) = (format!("{defect:?}"), begin.elapsed().as_secs_f64());
        match &caught {
            Some((scenario, what)) => {
                let what: String = what.lines().next().unwrap_or_default().chars().take(90).collect();
                println!("{name:<24} {scenario:<24} {seconds:>8.2}  {what}");
            }
            None => println!("{name:<24} {:<24} {seconds:>8.2}  {}", "SURVIVES", defect.what()),
        }
        caught.is_some()
    }
}
