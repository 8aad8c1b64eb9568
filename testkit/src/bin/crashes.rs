//! Enumerates crashes with all cores and prints what was looked at: what `cargo xtask crashes` builds and runs.

use std::{
    collections::VecDeque,
    process::ExitCode,
    sync::{Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use foldb_testkit::exhaustive::{Counts, Settings, Violation, Workload, check};
use indicatif::{ProgressBar, ProgressStyle};
use lexopt::{Arg, ValueExt};

const HELP: &str = "\
Crashes small workloads at every operation, and the recoveries from it, and judges every image.

  --workload NAME   only this one (a name of the table, or seed-N for a random one); may be given more than once
  --images N        after the named workloads, random ones until so many images have been checked
  --first-seed N    the first random workload (default 0)
  --image N         of one workload, only the image of this number: what a violation prints
  --quick           the bounded share that the ordinary tests run
  --threads N       workers (default: the cores there are)
  --json            one object instead of the table
";

struct Arguments {
    workloads: Vec<String>,
    images: u64,
    first_seed: u64,
    image: Option<u64>,
    quick: bool,
    threads: usize,
    json: bool,
}

/// The workloads and what was counted so far.
struct Run {
    /// Workload and share that nobody has taken yet.
    tasks: VecDeque<(Workload, usize)>,
    next_seed: u64,
    rows: Vec<Row>,
    checked: u64,
    violation: Option<Violation>,
}

struct Row {
    name: String,
    counts: Counts,
    time: Duration,
}

fn main() -> ExitCode {
    match parse() {
        Ok(Some(arguments)) => run(&arguments),
        Ok(None) => {
            print!("{HELP}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}\n\n{HELP}");
            ExitCode::FAILURE
        }
    }
}

fn parse() -> Result<Option<Arguments>, lexopt::Error> {
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let mut arguments =
        Arguments { workloads: Vec::new(), images: 0, first_seed: 0, image: None, quick: false, threads, json: false };
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("workload") => arguments.workloads.push(parser.value()?.string()?),
            Arg::Long("images") => arguments.images = parser.value()?.parse()?,
            Arg::Long("first-seed") => arguments.first_seed = parser.value()?.parse()?,
            Arg::Long("image") => arguments.image = Some(parser.value()?.parse()?),
            Arg::Long("quick") => arguments.quick = true,
            Arg::Long("threads") => arguments.threads = parser.value()?.parse::<usize>()?.max(1),
            Arg::Long("json") => arguments.json = true,
            Arg::Long("help") | Arg::Short('h') => return Ok(None),
            other => return Err(other.unexpected()),
        }
    }
    Ok(Some(arguments))
}

fn run(arguments: &Arguments) -> ExitCode {
    let workloads = if arguments.workloads.is_empty() {
        Workload::named()
    } else {
        let found: Option<Vec<_>> = arguments.workloads.iter().map(|name| Workload::find(name)).collect();
        let Some(found) = found else {
            let names: Vec<_> = Workload::named().into_iter().map(|workload| workload.name).collect();
            eprintln!("error: no such workload; there are {}, and seed-N for any N", names.join(", "));
            return ExitCode::FAILURE;
        };
        found
    };
    let shares = arguments.threads;
    let tasks = workloads.iter().flat_map(|workload| (0..shares).map(move |share| (workload.clone(), share))).collect();
    let run = Mutex::new(Run { tasks, next_seed: arguments.first_seed, rows: Vec::new(), checked: 0, violation: None });
    let bar = progress(arguments.images);
    let begin = Instant::now();
    thread::scope(|scope| {
        for _ in 0..arguments.threads {
            scope.spawn(|| work(arguments, &run, &bar));
        }
    });
    bar.finish_and_clear();
    let run = run.into_inner().unwrap_or_else(PoisonError::into_inner);
    report(arguments, &run, begin.elapsed())
}

fn progress(images: u64) -> ProgressBar {
    let bar = if images > 0 { ProgressBar::new(images) } else { ProgressBar::new_spinner() };
    let style = ProgressStyle::with_template("{elapsed_precise} {bar:30} {human_pos}/{human_len} images  {msg}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar
}

/// Takes tasks until there are none, enough was checked, or a promise is broken.
fn work(arguments: &Arguments, run: &Mutex<Run>, bar: &ProgressBar) {
    let lock = || run.lock().unwrap_or_else(PoisonError::into_inner);
    let base = if arguments.quick { Settings::quick() } else { Settings::thorough() };
    loop {
        // In a statement of its own: the lock must not be held while the workload is checked.
        let task = next(arguments, &mut lock());
        let Some((workload, share)) = task else { return };
        let shares =
            if workload.name.starts_with("seed-") && arguments.workloads.is_empty() { 1 } else { arguments.threads };
        let settings = Settings { share: (share, shares), only: arguments.image, ..base };
        bar.set_message(workload.name.clone());
        let begin = Instant::now();
        let outcome = check(&workload, &settings);
        let mut run = lock();
        match outcome {
            Ok(counts) => {
                run.checked += counts.checked;
                bar.set_position(run.checked);
                run.add(&workload.name, counts, begin.elapsed());
            }
            Err(violation) => run.violation = Some(violation),
        }
    }
}

fn next(arguments: &Arguments, run: &mut Run) -> Option<(Workload, usize)> {
    if run.violation.is_some() {
        return None;
    }
    if let Some(task) = run.tasks.pop_front() {
        return Some(task);
    }
    (run.checked < arguments.images).then(|| {
        let workload = Workload::random(run.next_seed);
        run.next_seed += 1;
        (workload, 0)
    })
}

impl Run {
    /// Random workloads share a row: there are thousands of them.
    fn add(&mut self, name: &str, counts: Counts, time: Duration) {
        let name = if name.starts_with("seed-") { "random" } else { name };
        match self.rows.iter_mut().find(|row| row.name == name) {
            Some(row) => {
                row.counts += counts;
                row.time += time;
            }
            None => self.rows.push(Row { name: name.into(), counts, time }),
        }
    }
}

fn report(arguments: &Arguments, run: &Run, elapsed: Duration) -> ExitCode {
    let mut total = Row { name: "total".into(), counts: Counts::default(), time: Duration::ZERO };
    for row in &run.rows {
        total.counts += row.counts;
        total.time += row.time;
    }
    if arguments.json {
        let rows: Vec<_> = run.rows.iter().chain([&total]).map(Row::json).collect();
        println!(
            r#"{{"threads":{},"seconds":{:.3},"random_workloads":{},"violations":{},"workloads":[{}]}}"#,
            arguments.threads,
            elapsed.as_secs_f64(),
            run.next_seed - arguments.first_seed,
            u8::from(run.violation.is_some()),
            rows.join(",")
        );
    } else {
        println!(
            "{:<20} {:>10} {:>8} {:>12} {:>12} {:>12} {:>12} {:>10} {:>10}",
            "workload",
            "operations",
            "crashes",
            "images",
            "checked",
            "in recovery",
            "in second",
            "gone on",
            "per s+core"
        );
        run.rows.iter().chain([&total]).for_each(Row::print);
        println!(
            "{} random workloads; {:.1} s on {} threads; {} images a second",
            run.next_seed - arguments.first_seed,
            elapsed.as_secs_f64(),
            arguments.threads,
            per_second(total.counts.checked, elapsed)
        );
    }
    match &run.violation {
        None => ExitCode::SUCCESS,
        Some(violation) => {
            eprintln!("\nviolation: {violation}");
            let image = violation.image.map(|image| format!(" --image {image}")).unwrap_or_default();
            let quick = if arguments.quick { " --quick" } else { "" };
            eprintln!("to see it again: cargo xtask crashes --workload {}{image}{quick}", violation.workload);
            ExitCode::FAILURE
        }
    }
}

fn per_second(count: u64, time: Duration) -> u128 {
    u128::from(count) * 1000 / time.as_millis().max(1)
}

impl Row {
    fn print(&self) {
        let counts = &self.counts;
        println!(
            "{:<20} {:>10} {:>8} {:>12} {:>12} {:>12} {:>12} {:>10} {:>10}",
            self.name,
            counts.operations,
            counts.crash_points,
            counts.images,
            counts.checked,
            counts.in_recovery,
            counts.in_second_recovery,
            counts.gone_on,
            per_second(counts.checked, self.time)
        );
    }

    fn json(&self) -> String {
        let counts = &self.counts;
        format!(
            r#"{{"workload":"{}","operations":{},"crash_points":{},"images":{},"checked":{},"in_recovery":{},"in_second_recovery":{},"gone_on":{},"core_seconds":{:.3}}}"#,
            self.name,
            counts.operations,
            counts.crash_points,
            counts.images,
            counts.checked,
            counts.in_recovery,
            counts.in_second_recovery,
            counts.gone_on,
            self.time.as_secs_f64()
        )
    }
}
