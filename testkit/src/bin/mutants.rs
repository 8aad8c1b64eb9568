//! Switches planted bugs on, one after another, and looks whether the enumeration of crashes notices each: what
//! `cargo xtask mutants` builds with `--cfg foldb_planted` and runs.

use std::process::ExitCode;

#[cfg(not(foldb_planted))]
fn main() -> ExitCode {
    eprintln!("error: built without its planted bugs; run cargo xtask mutants");
    ExitCode::FAILURE
}

#[cfg(foldb_planted)]
fn main() -> ExitCode {
    planted::main()
}

#[cfg(foldb_planted)]
mod planted {
    use std::{
        panic::{self, AssertUnwindSafe},
        process::ExitCode,
        sync::{Mutex, PoisonError},
        thread,
        time::Instant,
    };

    use foldb_core::planted::{Planted, activate};
    use foldb_testkit::{
        exhaustive::{Settings, Workload, check},
        program,
    };
    use indicatif::{ProgressBar, ProgressStyle};
    use lexopt::{Arg, ValueExt};

    const HELP: &str = "\
Plants bugs in the store, one at a time, and looks whether the enumeration of crashes and of damage notices each.

  --only NAME    only this bug; may be given more than once
  --seeds N      random workloads that are tried when no named one notices anything (default 1000)
  --thorough     the named workloads with all that is looked at in a recorded run, and no random ones
  --no-hints     the named workloads in their order, without beginning at the one that noticed it last
  --no-control   do not look first that without a bug nothing is noticed
  --threads N    workers (default: the cores there are)
  --json         one object instead of the table
";

    /// Which workload noticed a defect last. A hint and nothing else: it is tried first, and then all the others.
    const HINTS: &str = include_str!("mutants-hints.txt");

    /// Workloads that are run without a defect, to see that nothing is noticed then.
    const CONTROL_SEEDS: u64 = 20;

    struct Arguments {
        only: Vec<String>,
        seeds: u64,
        hints: bool,
        control: bool,
        thorough: bool,
        threads: usize,
        json: bool,
    }

    struct Row {
        defect: Planted,
        caught: Option<Caught>,
        seconds: f64,
    }

    struct Caught {
        workload: String,
        /// How many workloads were run, this one included.
        tried: usize,
        what: String,
    }

    pub(super) fn main() -> ExitCode {
        program::start(HELP, parse(), plant)
    }

    fn plant(arguments: &Arguments) -> ExitCode {
        let named = |defect: &&Planted| arguments.only.iter().any(|name| *name == format!("{defect:?}"));
        let defects: Vec<Planted> = Planted::SINGLE_THREADED
            .iter()
            .filter(|defect| arguments.only.is_empty() || named(defect))
            .copied()
            .collect();
        if defects.is_empty() {
            eprintln!("error: there is no such bug; core/src/planted.rs lists them");
            return ExitCode::FAILURE;
        }
        // A panic of the store is a way to be noticed; its message would only hide the table.
        panic::set_hook(Box::new(|_| {}));
        if let Some(caught) = arguments.control.then(|| control(arguments)).flatten() {
            eprintln!("error: without any bug, {} reports: {}", caught.workload, caught.what);
            return ExitCode::FAILURE;
        }
        let rows = run(arguments, &defects);
        report(arguments, &rows)
    }

    fn parse() -> Result<Option<Arguments>, lexopt::Error> {
        let mut arguments = Arguments {
            only: Vec::new(),
            seeds: 1000,
            hints: true,
            control: true,
            thorough: false,
            threads: program::threads(),
            json: false,
        };
        let mut parser = lexopt::Parser::from_env();
        while let Some(argument) = parser.next()? {
            match argument {
                Arg::Long("only") => arguments.only.push(parser.value()?.string()?),
                Arg::Long("seeds") => arguments.seeds = parser.value()?.parse()?,
                Arg::Long("thorough") => arguments.thorough = true,
                Arg::Long("no-hints") => arguments.hints = false,
                Arg::Long("no-control") => arguments.control = false,
                Arg::Long("threads") => arguments.threads = parser.value()?.parse::<usize>()?.max(1),
                Arg::Long("json") => arguments.json = true,
                Arg::Long("help") | Arg::Short('h') => return Ok(None),
                other => return Err(other.unexpected()),
            }
        }
        Ok(Some(arguments))
    }

    fn run(arguments: &Arguments, defects: &[Planted]) -> Vec<Row> {
        let bar = ProgressBar::new(defects.len() as u64);
        let style = ProgressStyle::with_template("{elapsed_precise} {bar:30} {pos}/{len} bugs  {msg}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        if !arguments.json {
            println!("{:<28} {:<20} {:>9} {:>8}  what was noticed", "bug", "caught by", "workloads", "seconds");
        }
        let rows = in_parallel(arguments.threads, defects, |defect| {
            bar.set_message(format!("{defect:?}"));
            let begin = Instant::now();
            let caught = find(workloads(arguments, *defect), Some(*defect));
            bar.inc(1);
            let row = Row { defect: *defect, caught, seconds: begin.elapsed().as_secs_f64() };
            if !arguments.json {
                bar.suspend(|| row.print());
            }
            row
        });
        bar.finish_and_clear();
        rows
    }

    /// Does the same for each of some things, several at a time, and returns the results in the order of the things.
    fn in_parallel<T: Sync, R: Send>(threads: usize, things: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
        let next = Mutex::new(things.iter().enumerate());
        let results = Mutex::new(Vec::new());
        thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    loop {
                        let Some((place, thing)) = next.lock().unwrap_or_else(PoisonError::into_inner).next() else {
                            return;
                        };
                        let result = work(thing);
                        results.lock().unwrap_or_else(PoisonError::into_inner).push((place, result));
                    }
                });
            }
        });
        let mut results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
        results.sort_by_key(|(place, _)| *place);
        results.into_iter().map(|(_, result)| result).collect()
    }

    /// What is noticed although nothing is switched on: the program is worth nothing then.
    fn control(arguments: &Arguments) -> Option<Caught> {
        let random = (0..CONTROL_SEEDS).map(Workload::random);
        let all: Vec<Workload> = Workload::named().into_iter().chain(random).collect();
        let caught = in_parallel(arguments.threads, &all, |workload| {
            find([(workload.clone(), Settings::quick())].into_iter(), None)
        });
        caught.into_iter().flatten().next()
    }

    /// All workloads, the one that noticed the defect last in front. A hint may say that it takes a thorough look.
    fn workloads(arguments: &Arguments, defect: Planted) -> impl Iterator<Item = (Workload, Settings)> + use<> {
        let name = format!("{defect:?}");
        let hint = HINTS.lines().filter_map(|line| line.split_once(' ')).find(|(defect, _)| *defect == name);
        let first = hint.filter(|_| arguments.hints).and_then(|(_, workload)| {
            let (workload, thorough) = match workload.strip_suffix(" thorough") {
                Some(workload) => (workload, true),
                None => (workload, false),
            };
            Some((Workload::find(workload)?, if thorough { Settings::thorough() } else { Settings::quick() }))
        });
        let (settings, seeds) =
            if arguments.thorough { (Settings::thorough(), 0) } else { (Settings::quick(), arguments.seeds) };
        let all = Workload::named().into_iter().chain((0..seeds).map(Workload::random));
        first.into_iter().chain(all.map(move |workload| (workload, settings.clone())))
    }

    /// The first workload that notices a defect.
    fn find(workloads: impl Iterator<Item = (Workload, Settings)>, defect: Option<Planted>) -> Option<Caught> {
        activate(defect);
        let caught = workloads.enumerate().find_map(|(place, (workload, settings))| {
            let outcome = panic::catch_unwind(AssertUnwindSafe(|| check(&workload, &settings)));
            let what = match outcome {
                Ok(Ok(_)) => return None,
                Ok(Err(violation)) => violation.what,
                Err(_) => "the store panics".into(),
            };
            Some(Caught { workload: workload.name, tried: place + 1, what })
        });
        activate(None);
        caught
    }

    fn report(arguments: &Arguments, rows: &[Row]) -> ExitCode {
        let survivors = rows.iter().filter(|row| row.caught.is_none()).count();
        if arguments.json {
            let rows: Vec<_> = rows.iter().map(Row::json).collect();
            println!("{}", serde_json::json!({ "bugs": rows.len(), "survivors": survivors, "rows": rows }));
        } else {
            println!("{} bugs, {survivors} survive", rows.len());
        }
        if survivors == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }

    impl Row {
        fn print(&self) {
            let name = format!("{:?}", self.defect);
            match &self.caught {
                Some(caught) => {
                    let what: String = caught.what.chars().take(90).collect();
                    println!("{name:<28} {:<20} {:>9} {:>8.2}  {what}", caught.workload, caught.tried, self.seconds);
                }
                None => {
                    let what = self.defect.what();
                    println!("{name:<28} {:<20} {:>9} {:>8.2}  {what}", "SURVIVES", "", self.seconds);
                }
            }
        }

        fn json(&self) -> serde_json::Value {
            let caught = self.caught.as_ref();
            serde_json::json!({
                "bug": format!("{:?}", self.defect),
                "does": self.defect.what(),
                "caught_by": caught.map(|caught| &caught.workload),
                "workloads": caught.map(|caught| caught.tried),
                "noticed": caught.map(|caught| &caught.what),
                "seconds": self.seconds,
            })
        }
    }
}
