//! Prints digests that are the same on every machine, and under WebAssembly; `cargo xtask traces` compares the two.
//!
//! - `foldb-traces FIRST END [STEPS]`: of simulations, a line for each seed from `FIRST` to before `END`.
//! - `foldb-traces WORKLOAD...`: of enumerations of crashes with the settings of every day, a line for each workload.
//!
//! It needs nothing but the standard library, so that it builds for `wasm32-wasip1`.

use std::process::ExitCode;

use foldb_testkit::{
    exhaustive::{self, Workload, check},
    simulation::{Settings, simulate},
};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let numbers: Option<Vec<u64>> = arguments.iter().map(|argument| argument.parse().ok()).collect();
    let done = match numbers.as_deref() {
        Some([first, end]) => simulations(*first, *end, Settings::default().steps),
        Some([first, end, steps]) => simulations(*first, *end, *steps),
        None => arguments.iter().try_for_each(|name| crashes(name)),
        Some(_) => Err("usage: foldb-traces FIRST END [STEPS], or foldb-traces WORKLOAD...".into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

fn simulations(first: u64, end: u64, steps: u64) -> Result<(), String> {
    let settings = Settings { steps, ..Settings::default() };
    for seed in first..end {
        let outcome = simulate(seed, &settings).map_err(|violation| violation.to_string())?;
        println!("{seed} {} {}", outcome.trace, outcome.contents);
    }
    Ok(())
}

fn crashes(name: &str) -> Result<(), String> {
    let workload = Workload::find(name).ok_or_else(|| format!("there is no workload {name}"))?;
    let counts = check(&workload, &exhaustive::Settings::quick()).map_err(|violation| violation.to_string())?;
    println!("{name} {} {} {} {:016x}", counts.images, counts.checked, counts.damaged, counts.digest);
    Ok(())
}
