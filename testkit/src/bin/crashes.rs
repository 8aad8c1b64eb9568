//! Enumerates crashes with all cores and prints what was looked at: what `cargo xtask crashes` builds and runs.

use std::{
    collections::VecDeque,
    process::ExitCode,
    sync::{Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use foldb_testkit::{
    exhaustive::{Counts, ImagePath, Settings, Violation, Workload, check_with},
    program,
};
use indicatif::{ProgressBar, ProgressStyle};
use lexopt::{Arg, ValueExt};

const HELP: &str = "\
Crashes small workloads at every operation, and the recoveries from it, and judges every image.

  --workload NAME   only this one (a name of the table, or seed-N for a random one); may be given more than once
  --images N        after the named workloads, random ones until so many images have been checked
  --first-seed N    the first random workload (default 0)
  --image PATH      of one workload, only this image: what a violation prints, as in 17.203/4.9;
                    with what was asked of the disk on the way to it
  --quick           the bounded share that the ordinary tests run
  --no-damage       crashes only, no damage to files at rest
  --threads N       workers (default: the cores there are)
  --json            one object instead of the table
";

struct Arguments {
    workloads: Vec<String>,
    images: u64,
    first_seed: u64,
    image: Option<ImagePath>,
    quick: bool,
    damage: bool,
    threads: usize,
    json: bool,
}

/// The workloads and what was counted so far.
struct Run {
    /// What nobody has taken yet.
    tasks: VecDeque<Workload>,
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
    program::start(HELP, parse(), run)
}

fn parse() -> Result<Option<Arguments>, lexopt::Error> {
    let mut arguments = Arguments {
        workloads: Vec::new(),
        images: 0,
        first_seed: 0,
        image: None,
        quick: false,
        damage: true,
        threads: program::threads(),
        json: false,
    };
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("workload") => arguments.workloads.push(parser.value()?.string()?),
            Arg::Long("images") => arguments.images = parser.value()?.parse()?,
            Arg::Long("first-seed") => arguments.first_seed = parser.value()?.parse()?,
            Arg::Long("image") => arguments.image = Some(parser.value()?.parse()?),
            Arg::Long("quick") => arguments.quick = true,
            Arg::Long("no-damage") => arguments.damage = false,
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
    let run = Mutex::new(Run {
        tasks: workloads.into(),
        next_seed: arguments.first_seed,
        rows: Vec::new(),
        checked: 0,
        violation: None,
    });
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
        let Some(workload) = task else { return };
        let settings = Settings { only: arguments.image.clone(), damage: arguments.damage, ..base.clone() };
        bar.set_message(workload.name.clone());
        let begin = Instant::now();
        let mut shown = 0;
        let outcome = check_with(&workload, &settings, &mut |counts| {
            bar.inc(counts.checked - shown);
            shown = counts.checked;
        });
        let mut run = lock();
        match outcome {
            Ok(counts) => {
                run.checked += counts.checked;
                run.add(&workload.name, counts, begin.elapsed());
            }
            Err(violation) => run.violation = Some(violation),
        }
    }
}

fn next(arguments: &Arguments, run: &mut Run) -> Option<Workload> {
    if run.violation.is_some() {
        return None;
    }
    if let Some(task) = run.tasks.pop_front() {
        return Some(task);
    }
    (run.checked < arguments.images).then(|| {
        let workload = Workload::random(run.next_seed);
        run.next_seed += 1;
        workload
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
            "{:<20} {:>10} {:>8} {:>12} {:>12} {:>12} {:>12} {:>10} {:>8} {:>11} {:>11}",
            "workload",
            "operations",
            "crashes",
            "images",
            "opened",
            "in recovery",
            "in second",
            "gone on",
            "damaged",
            "images/s",
            "opened/s"
        );
        run.rows.iter().chain([&total]).for_each(Row::print);
        println!(
            "{} random workloads; {:.1} s on {} threads; a second and core: {} images, {} of them opened",
            run.next_seed - arguments.first_seed,
            elapsed.as_secs_f64(),
            arguments.threads,
            per_second(total.counts.images, total.time),
            per_second(total.counts.checked, total.time)
        );
    }
    match &run.violation {
        None => ExitCode::SUCCESS,
        Some(violation) => {
            eprintln!("\nviolation: {violation}");
            let image = violation.image.as_ref().map(|image| format!(" --image {image}")).unwrap_or_default();
            let quick = if arguments.quick { " --quick" } else { "" };
            if let Some(workload) = Workload::find(&violation.workload) {
                eprintln!("{workload:?}");
            }
            for line in &violation.operations {
                eprintln!("{line}");
            }
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
            "{:<20} {:>10} {:>8} {:>12} {:>12} {:>12} {:>12} {:>10} {:>8} {:>11} {:>11}",
            self.name,
            counts.operations,
            counts.crash_points,
            counts.images,
            counts.checked,
            counts.in_recovery,
            counts.in_second_recovery,
            counts.gone_on,
            counts.damaged,
            per_second(counts.images, self.time),
            per_second(counts.checked, self.time)
        );
    }

    fn json(&self) -> String {
        let counts = &self.counts;
        format!(
            r#"{{"workload":"{}","operations":{},"crash_points":{},"images":{},"checked":{},"in_recovery":{},"in_second_recovery":{},"gone_on":{},"damaged":{},"digest":"{:016x}","core_seconds":{:.3}}}"#,
            self.name,
            counts.operations,
            counts.crash_points,
            counts.images,
            counts.checked,
            counts.in_recovery,
            counts.in_second_recovery,
            counts.gone_on,
            counts.damaged,
            counts.digest,
            self.time.as_secs_f64()
        )
    }
}
