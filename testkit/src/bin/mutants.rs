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
        time::Instant,
    };

    use foldb_core::planted::{Planted, activate};
    use foldb_testkit::exhaustive::{Settings, Workload, check};

    /// Random workloads that are tried when no named one notices anything.
    const SEEDS: u64 = 1000;

    pub(super) fn main() -> ExitCode {
        // A panic of the store is a way to be noticed; its message would only hide the table.
        panic::set_hook(Box::new(|_| {}));
        let control = find(None, 40);
        if let Some(caught) = control {
            eprintln!("error: without any defect, {} reports: {}", caught.workload, caught.what);
            return ExitCode::FAILURE;
        }
        println!("{:<28} {:<20} {:>9} {:>8}  what was noticed", "defect", "caught by", "workloads", "seconds");
        let survivors = Planted::ALL.iter().filter(|defect| !is_caught(**defect)).count();
        println!("{} defects, {survivors} survive", Planted::ALL.len());
        if survivors == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }

    fn is_caught(defect: Planted) -> bool {
        let begin = Instant::now();
        let caught = find(Some(defect), SEEDS);
        let seconds = begin.elapsed().as_secs_f64();
        match &caught {
            Some(caught) => {
                let what: String = caught.what.chars().take(90).collect();
                let name = format!("{defect:?}");
                println!("{name:<28} {:<20} {:>9} {seconds:>8.2}  {what}", caught.workload, caught.tried);
            }
            None => {
                println!("{:<28} {:<20} {:>9} {seconds:>8.2}  {}", format!("{defect:?}"), "SURVIVES", "", defect.what())
            }
        }
        caught.is_some()
    }

    struct Caught {
        workload: String,
        /// How many workloads were run, this one included.
        tried: usize,
        what: String,
    }

    /// The first workload that notices a defect.
    fn find(defect: Option<Planted>, seeds: u64) -> Option<Caught> {
        activate(defect);
        let workloads = Workload::named().into_iter().chain((0..seeds).map(Workload::random));
        let caught = workloads.enumerate().find_map(|(place, workload)| {
            let outcome = panic::catch_unwind(AssertUnwindSafe(|| check(&workload, &Settings::quick())));
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
}
