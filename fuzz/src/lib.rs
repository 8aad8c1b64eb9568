//! What the fuzz targets share: the memory that each may use.
//!
//! Invariant: an input that makes a target allocate more than its size and a fixed sum is a finding, like a panic.

use foldb_testkit::fuzzing::{self, Memory};
use peak_alloc::PeakAlloc;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

const MEMORY: Memory = Memory {
    current: || ALLOCATOR.current_usage(),
    peak: || ALLOCATOR.peak_usage(),
    reset: || ALLOCATOR.reset_peak_usage(),
};

/// Runs the target of this name on an input.
pub fn run(name: &str, input: &[u8]) {
    let target = fuzzing::target(name).expect("the name is that of a target");
    target.run_within_memory(input, &MEMORY);
}
