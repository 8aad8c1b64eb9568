//! Prints the digests of simulations: `foldb-traces FIRST END [STEPS]`. The same lines come out on every machine, and under
//! WebAssembly; `cargo xtask traces` compares the two.
//!
//! It needs nothing but the standard library, so that it builds for `wasm32-wasip1`.

use std::process::ExitCode;

use foldb_testkit::simulation::{Settings, simulate};

fn main() -> ExitCode {
    let numbers: Vec<u64> = std::env::args().skip(1).filter_map(|argument| argument.parse().ok()).collect();
    let (first, end, steps) = match numbers.as_slice() {
        [first, end] => (*first, *end, Settings::default().steps),
        [first, end, steps] => (*first, *end, *steps),
        _ => {
            eprintln!("usage: foldb-traces FIRST END [STEPS]");
            return ExitCode::FAILURE;
        }
    };
    let settings = Settings { steps, ..Settings::default() };
    for seed in first..end {
        match simulate(seed, &settings) {
            Ok(outcome) => println!("{seed} {} {}", outcome.trace, outcome.contents),
            Err(violation) => {
                println!("{violation}");
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}
