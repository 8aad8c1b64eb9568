//! The corpora of the fuzz targets, replayed on every toolchain, and seeded mutations of them.
//!
//! Each input of `fuzz/corpus/` must run without a panic and within the memory that its size allows; so must what a few
//! random changes make of it. One that was found to break something stays in there for good.

use std::{
    fs,
    path::PathBuf,
    sync::{Mutex, PoisonError},
};

use foldb_testkit::{
    Random,
    fuzzing::{INPUT_BYTES_MAX, MEMORY_BYTES_MAX, Memory, TARGETS, Target, mutated, seeds::seeds, target},
};
use peak_alloc::PeakAlloc;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// One target at a time: memory is counted for the whole process.
static ALONE: Mutex<()> = Mutex::new(());

fn fuzz_folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../fuzz")
}

/// The stored inputs of a target, by name.
fn corpus(target: &Target) -> Vec<(String, Vec<u8>)> {
    let folder = fuzz_folder().join("corpus").join(target.name);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut inputs: Vec<_> = entries
        .map(|entry| {
            let entry = entry.unwrap();
            (entry.file_name().to_string_lossy().into_owned(), fs::read(entry.path()).unwrap())
        })
        .collect();
    inputs.sort();
    inputs
}

const MEMORY: Memory = Memory {
    current: || ALLOCATOR.current_usage(),
    peak: || ALLOCATOR.peak_usage(),
    reset: || ALLOCATOR.reset_peak_usage(),
};

/// Runs a target within the memory that the input allows.
fn run(target: &Target, what: &str, input: &[u8]) {
    let outcome = std::panic::catch_unwind(|| target.run_within_memory(input, &MEMORY));
    let hex = || input.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    assert!(outcome.is_ok(), "{} fails on {what}: {}", target.name, hex());
}

/// A meter that measures nothing would let everything pass.
#[test]
fn an_input_that_makes_a_target_allocate_too_much_is_a_failure() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    fn reserve(input: &[u8]) {
        // As a decoder does that believes a length: eight bytes of the input say how much.
        let len = input.first_chunk().map_or(0, |len| u64::from_le_bytes(*len));
        drop(std::hint::black_box(Vec::<u8>::with_capacity(usize::try_from(len).unwrap())));
    }
    let target = Target { name: "reserve", what: "a length", run: reserve };
    let fails = |len: usize, input_bytes: usize| {
        let mut input = vec![0; input_bytes];
        input[..8].copy_from_slice(&(len as u64).to_le_bytes());
        std::panic::catch_unwind(|| target.run_within_memory(&input, &MEMORY)).is_err()
    };
    assert!(!fails(MEMORY_BYTES_MAX - (64 << 10), 8));
    assert!(fails(MEMORY_BYTES_MAX + 9, 8), "one byte too many");
    assert!(fails(1 << 30, 64 << 10), "and far too many");
    assert!(!fails(MEMORY_BYTES_MAX, 64 << 10), "a longer input may take more");
}

/// Replays the corpus of a target and so many mutations of it.
fn replay(name: &str, mutations: u64) {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let target = target(name).unwrap();
    let inputs = corpus(target);
    for (file, input) in &inputs {
        assert!(input.len() <= INPUT_BYTES_MAX, "{file} is larger than what targets are run with");
        run(target, file, input);
    }
    let mut random = Random::new(0x5eed);
    for number in 0..mutations {
        let (file, input) = &inputs[random.index(inputs.len())];
        let (_, other) = &inputs[random.index(inputs.len())];
        let mutant = mutated(input, other, &mut random);
        run(target, &format!("mutation {number} of {file}"), &mutant);
    }
}

#[test]
fn the_corpora_and_the_programs_are_those_of_the_targets() {
    let names = |folder: &str| {
        let entries = fs::read_dir(fuzz_folder().join(folder)).unwrap();
        let name = |entry: fs::DirEntry| entry.file_name().to_string_lossy().trim_end_matches(".rs").to_owned();
        let mut names: Vec<_> = entries.map(|entry| name(entry.unwrap())).collect();
        names.sort();
        names
    };
    let mut targets: Vec<_> = TARGETS.iter().map(|target| target.name.to_owned()).collect();
    targets.sort();
    assert_eq!(names("fuzz_targets"), targets);
    assert_eq!(names("corpus"), targets);
}

#[test]
fn the_stored_seeds_are_what_this_store_writes() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    for target in TARGETS {
        for (name, bytes) in seeds(target.name) {
            let path = fuzz_folder().join("corpus").join(target.name).join(format!("seed-{name}"));
            let stored = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            assert!(stored == bytes, "{} is out of date: cargo xtask fuzz --seeds", path.display());
        }
    }
}

#[test]
fn hostile_anchors_break_nothing() {
    replay("anchor", 5_000);
}

#[test]
fn hostile_segments_break_nothing() {
    replay("frames", 4_000);
}

#[test]
fn hostile_snapshots_break_nothing() {
    replay("snapshot", 4_000);
}

#[test]
fn hostile_values_break_nothing() {
    replay("values", 10_000);
}

#[test]
fn hostile_documents_and_patches_break_nothing() {
    replay("documents", 10_000);
}

#[test]
fn hostile_operations_break_nothing() {
    replay("operations", 1_500);
}

#[test]
fn arbitrary_transactions_agree_with_the_model() {
    replay("transactions", 400);
}

#[test]
fn hostile_files_with_checksums_put_right_break_no_recovery() {
    replay("recovery", 2_000);
}

#[test]
fn hostile_files_can_be_salvaged_without_a_byte_written() {
    replay("salvage", 2_000);
}
