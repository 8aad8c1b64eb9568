//! What the fuzz targets share: the memory that each may use.
//!
//! Invariant: an input that makes a target allocate more than its size and a fixed sum is a finding, like a panic.

use foldb_testkit::fuzzing::{self, MEMORY_BYTES_MAX};
use peak_alloc::PeakAlloc;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// Runs the target of this name on an input.
pub fn run(name: &str, input: &[u8]) {
    let target = fuzzing::target(name).expect("the name is that of a target");
    let before = ALLOCATOR.current_usage();
    ALLOCATOR.reset_peak_usage();
    (target.run)(input);
    let used = ALLOCATOR.peak_usage().saturating_sub(before);
    let allowed = input.len() + MEMORY_BYTES_MAX;
    assert!(used <= allowed, "{used} bytes were allocated for an input of {}, allowed are {allowed}", input.len());
}
