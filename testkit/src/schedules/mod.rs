//! Whole stores under schedules that a test decides: who runs next is drawn anew at every lock, every atomic and every
//! operation of the disk.
//!
//! A [`Scenario`] is a small program of two to five threads around one store on a disk that keeps apart what was written and
//! what is durable. Whatever a thread is promised on the way is noted together with the disk's operations so far; when all
//! threads have ended, each promise is held against the worst that a crash in that moment could have left.
//!
//! What is looked for: a wake-up that gets lost (the scheduler sees that nobody can go on), an acknowledgement before the
//! bytes are durable, a reader that sees what is not durable, goes back in time or reads a file that was removed, a
//! failure that somebody takes for a success.
//!
//! Invariant: a scenario is a function of the schedule. Nothing in it asks a clock, entropy or a real thread, so a schedule
//! that fails can be replayed from its text. Built with `--cfg foldb_shuttle` alone: `cargo xtask schedules` does that.

mod disk;
mod explore;
mod scenarios;
mod world;

pub use explore::{Failure, explore, repeats, replay};
pub use foldb_core::planted;
pub use scenarios::SCENARIOS;

/// A program of several threads around one store.
#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    /// What to call it.
    pub name: &'static str,
    /// What it does, and what must hold.
    pub what: &'static str,
    /// One execution. It panics where something does not hold.
    pub run: fn(),
}

impl Scenario {
    /// The scenario of this name.
    pub fn find(name: &str) -> Option<&'static Scenario> {
        SCENARIOS.iter().find(|scenario| scenario.name == name)
    }
}
