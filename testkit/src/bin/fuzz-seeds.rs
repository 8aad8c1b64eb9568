//! `foldb-fuzz-seeds FOLDER`: writes the seeds of every fuzz target into a folder of its own in there.
//!
//! Invariant: files that are there under other names stay: they were found by fuzzers.

use std::{fs, path::PathBuf, process::ExitCode};

use foldb_testkit::fuzzing::{TARGETS, seeds::seeds};

fn main() -> ExitCode {
    let Some(folder) = std::env::args_os().nth(1).map(PathBuf::from) else {
        eprintln!("error: name the folder of the corpora, as in fuzz/corpus");
        return ExitCode::FAILURE;
    };
    for target in TARGETS {
        let corpus = folder.join(target.name);
        let written = fs::create_dir_all(&corpus).and_then(|()| {
            let made = seeds(target.name);
            for (name, bytes) in &made {
                fs::write(corpus.join(format!("seed-{name}")), bytes)?;
            }
            Ok(made.len())
        });
        match written {
            Ok(count) => println!("{:<14}{count:>4} seeds", target.name),
            Err(error) => {
                eprintln!("error: {}: {error}", corpus.display());
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}
