//! What the tests of foldb share.
//!
//! - [`conformance`]: every sentence of the storage contract as a case that any backend can run, a browser's too.
//! - [`crash`]: a disk that keeps apart what was written and what is durable, and shows every state in which a crash
//!   can leave it; with injected failures.
//! - [`exhaustive`]: every crash of a small workload, and every crash of the recovery from it.
//! - [`machine`]: a machine that fails in every way in which real ones do, without a journal, for simulations of hours.
//! - [`model`]: what every call of a store answers, in plain maps, and what may be left after a crash.
//! - [`simulation`]: a store that lives on such a machine, beside the model.
//! - [`sameness`]: one store that every backend has to write and read alike.
//! - [`fuzzing`]: targets for hostile bytes, for libFuzzer and for the ordinary tests.
//! - `schedules` (with `--cfg foldb_shuttle`): a whole store under schedules that a test decides.
//! - `program` (with the feature `programs`): how the programs of this crate begin.
//! - [`Handles`]: a storage that counts its open handles, and runs out of them when it is told to.
//! - [`alone`] and [`undisturbed`]: tests that start programs, beside tests that open stores.
//! - [`Syncs`]: a storage whose syncs a test counts, holds up, looks in from, and makes fail.
//! - [`SeededHost`] and [`Random`]: a clock and entropy that repeat.
//!
//! Invariant: everything here is a function of its seed and of the calls made to it. Nothing reads a clock, entropy, a
//! thread's identity or the iteration order of a hash map, so that one seed is one execution on every machine.

mod alone;
pub mod conformance;
pub mod crash;
pub mod exhaustive;
pub mod fuzzing;
mod handles;
mod host;
pub mod machine;
pub mod model;
#[cfg(feature = "programs")]
pub mod program;
mod random;
pub mod sameness;
#[cfg(foldb_shuttle)]
pub mod schedules;
pub mod simulation;
mod syncs;

pub use alone::{alone, output, undisturbed};
pub use handles::{CountedFile, Handles};
pub use host::SeededHost;
pub use random::Random;
pub use syncs::Syncs;
