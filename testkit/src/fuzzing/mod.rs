//! The bodies of the fuzz targets, as plain functions of bytes.
//!
//! `fuzz/` gives them to libFuzzer on a nightly toolchain; the ordinary tests give them the stored corpora and seeded
//! mutations of those on a stable one. So what a fuzzer found once is looked at by everybody from then on.
//!
//! Invariant: a target panics where a property is broken and nowhere else, is a function of its input alone, and needs
//! memory for the size of the input plus [`MEMORY_BYTES_MAX`], which its callers measure.

mod contents;
mod disk;
mod documents;
mod fixup;
mod log;
mod mutate;
mod operations;
mod recovery;
pub mod seeds;
mod snapshot;
mod transactions;
mod values;

pub use disk::{Disk, File};
pub use fixup::Fixup;
pub use mutate::mutated;

/// How much memory a target may need beyond the size of its input.
pub const MEMORY_BYTES_MAX: usize = 16 << 20;
/// The longest input that the targets are run with. Decoded values take a multiple of their bytes (a list of nulls 32
/// times), so that the limit on memory means something for inputs of this size and is far too strict for huge ones.
pub const INPUT_BYTES_MAX: usize = 64 << 10;

/// Something that reads bytes nobody can be trusted with.
#[derive(Clone, Copy)]
pub struct Target {
    /// Its name: that of the program in `fuzz/` and of its folder in `fuzz/corpus/`.
    pub name: &'static str,
    /// What it reads and which properties it asserts.
    pub what: &'static str,
    /// The target.
    pub run: fn(&[u8]),
}

/// What a program's allocator counts. Whoever runs targets has one that does: a limit that nobody measures holds nothing.
#[derive(Clone, Copy)]
pub struct Memory {
    /// Bytes that are allocated now.
    pub current: fn() -> usize,
    /// The most that were allocated at once since the last reset.
    pub peak: fn() -> usize,
    /// Forgets the peak.
    pub reset: fn(),
}

impl Target {
    /// Runs the target on an input, and panics where that took more memory than the input's size and [`MEMORY_BYTES_MAX`].
    /// Nothing else may allocate meanwhile.
    ///
    /// # Panics
    /// Where the target does, and where it takes too much memory.
    pub fn run_within_memory(&self, input: &[u8], memory: &Memory) {
        let before = (memory.current)();
        (memory.reset)();
        (self.run)(input);
        let used = (memory.peak)().saturating_sub(before);
        let allowed = input.len() + MEMORY_BYTES_MAX;
        assert!(
            used <= allowed,
            "{} allocates {used} bytes for an input of {}, allowed are {allowed}",
            self.name,
            input.len()
        );
    }
}

/// Every target.
pub const TARGETS: &[Target] = &[
    Target { name: "anchor", what: "an anchor: encoding what was decoded gives the same bytes", run: log::anchor },
    Target {
        name: "frames",
        what: "a segment: header, frames, records, the scan behind damage; encoding again gives the same bytes",
        run: log::frames,
    },
    Target {
        name: "snapshot",
        what: "a snapshot file: open, verify and load agree, and writing it again gives the same bytes",
        run: snapshot::snapshot,
    },
    Target {
        name: "values",
        what: "CBOR: values, typed values, documents, counters; one value has one encoding",
        run: values::values,
    },
    Target {
        name: "documents",
        what: "JSON paths, edits, JSON Patch and Merge Patch: whole or not at all; differences are complete",
        run: documents::documents,
    },
    Target {
        name: "operations",
        what: "arbitrary records with valid checksums, folded by recovery, replayed and verified",
        run: operations::operations,
    },
    Target {
        name: "transactions",
        what: "transactions over all primitives beside a model of maps, with reopenings and snapshots",
        run: transactions::transactions,
    },
    Target {
        name: "recovery",
        what: "arbitrary files with checksums put right: a failing open changes nothing; what opens is the same each time",
        run: recovery::recovery,
    },
    Target {
        name: "salvage",
        what: "the same files in salvage and strict mode: nothing is ever written",
        run: recovery::salvage,
    },
];

/// The target of this name.
pub fn target(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}

#[cfg(test)]
mod tests;
