//! Every crash of a small workload: at each operation of the disk, with all that a crash there can leave, and again in
//! the recovery from it, and in the recovery from that.
//!
//! A [`Workload`] runs once on a [`CrashStorage`](crate::crash::CrashStorage), which keeps a journal. [`check`] then goes
//! through the moments after each operation; at each one through all subsets of the operations that no sync covers (up to
//! [`Settings::subsets`], else samples), and through tears of each pending write: every byte of headers, anchors and small
//! frames, every sector of the rest. Each of these images is opened. What is served must be the contents after some
//! commit, exactly as the steps say and no earlier than what was promised by then. Where the recovery wrote something, its
//! own operations are crashed in the same way.
//!
//! Invariant: images have numbers, in an order that depends on the workload and the settings alone. A [`Violation`] names
//! the number, and [`Settings::only`] looks at that image again.
//!
//! ```
//! use foldb_testkit::exhaustive::{Settings, Workload, check};
//!
//! let workload = Workload::find("strict-puts").unwrap();
//! let counts = check(&workload, &Settings::quick()).unwrap();
//! assert!(counts.checked > 100);
//! ```

mod contents;
mod execution;
mod images;
mod judge;
mod workload;

use std::{
    collections::HashSet,
    hash::{DefaultHasher, Hash, Hasher},
    ops::AddAssign,
};

pub use self::workload::{Step, Workload};
use self::{execution::Execution, images::Budget};
use crate::crash::{CrashPoint, Image};

/// How much is looked at.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Up to so many subsets of the pending operations, all of them are tried; else as many samples.
    pub subsets: u64,
    /// The same for a crash in the recovery from a crash.
    pub recovery_subsets: u64,
    /// Of the images of a crash, one in so many has its recovery crashed; 1 for all.
    pub second_crash_every: u64,
    /// Whether writes of a recovery are torn as well, not only lost.
    pub recovery_tears: bool,
    /// Of the images of a crash in a recovery, one in so many has its own recovery crashed as well.
    pub third_crash_every: u64,
    /// Of all images, one in so many is opened a third time, verified, and worked on.
    pub go_on_every: u64,
    /// This worker of so many: it looks at its share of the crash points.
    pub share: (usize, usize),
    /// Only the crash point of this image, up to this image: what comes before it gives it its number.
    pub only: Option<u64>,
}

impl Settings {
    /// All subsets up to 2^12, a crash at every operation of every recovery with up to 2^6 subsets and every tear, and
    /// another one in one of 16 recoveries of those.
    pub fn thorough() -> Self {
        Self {
            subsets: 1 << 12,
            recovery_subsets: 64,
            second_crash_every: 1,
            recovery_tears: true,
            third_crash_every: 16,
            go_on_every: 16,
            share: (0, 1),
            only: None,
        }
    }

    /// A bounded share for every day: one of 8 recoveries is crashed, and its writes are lost but not torn.
    pub fn quick() -> Self {
        Self {
            subsets: 64,
            recovery_subsets: 4,
            second_crash_every: 8,
            recovery_tears: false,
            third_crash_every: 8,
            ..Self::thorough()
        }
    }
}

/// What was looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Operations of the workload on the disk.
    pub operations: u64,
    /// Crashes of the workload.
    pub crash_points: u64,
    /// Images, those that look like another one of the same crash point included.
    pub images: u64,
    /// Images that were opened and judged: each different one once per crash point.
    pub checked: u64,
    /// Of those, after a crash in a recovery.
    pub in_recovery: u64,
    /// Of those, after a crash in the recovery from a crash in a recovery.
    pub in_second_recovery: u64,
    /// Images whose recovery was followed by two more, by verification and by a commit.
    pub gone_on: u64,
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.operations += other.operations;
        self.crash_points += other.crash_points;
        self.images += other.images;
        self.checked += other.checked;
        self.in_recovery += other.in_recovery;
        self.in_second_recovery += other.in_second_recovery;
        self.gone_on += other.gone_on;
    }
}

/// A promise that was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The workload.
    pub workload: String,
    /// The number of the image; `None` where the workload itself failed.
    pub image: Option<u64>,
    /// The crashes on the way, as operations of the disk: in the workload, in the recovery, in the recovery from that.
    pub crashes: Vec<usize>,
    /// What is wrong.
    pub what: String,
}

impl std::fmt::Display for Violation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "workload {}", self.workload)?;
        if let Some(image) = self.image {
            write!(f, ", image {image}, crashes after operations {:?}", self.crashes)?;
        }
        write!(f, ": {}", self.what)
    }
}

impl std::error::Error for Violation {}

/// Runs a workload and checks every crash of it. Fails at the first promise that is broken.
pub fn check(workload: &Workload, settings: &Settings) -> Result<Counts, Violation> {
    let failed = |error: foldb_core::Error| Violation {
        workload: workload.name.clone(),
        image: None,
        crashes: Vec::new(),
        what: format!("the workload fails without a crash: {error}"),
    };
    let execution = Execution::of(workload).map_err(failed)?;
    let mut explorer = Explorer { workload, settings, execution: &execution, counts: Counts::default(), number: 0 };
    explorer.crash_everywhere()?;
    Ok(explorer.counts)
}

struct Explorer<'a> {
    workload: &'a Workload,
    settings: &'a Settings,
    execution: &'a Execution,
    counts: Counts,
    number: u64,
}

impl Explorer<'_> {
    fn crash_everywhere(&mut self) -> Result<(), Violation> {
        let (worker, workers) = self.settings.share;
        if worker == 0 {
            self.counts.operations = count(self.execution.disk.operation_count());
        }
        for (operations, point) in self.execution.disk.crash_points().enumerate() {
            let elsewhere = self.settings.only.is_some_and(|only| only >> 32 != count(operations));
            if elsewhere || operations % workers != worker {
                continue;
            }
            // Numbers begin anew at each crash point, so that a worker does not need to look at those of the others.
            self.number = count(operations) << 32;
            self.counts.crash_points += 1;
            let promised = self.execution.promised_by(operations);
            self.explore(&point, promised, &mut vec![operations])?;
        }
        Ok(())
    }

    /// Looks at the images of one crash; `crashes` says how it came to it.
    fn explore(&mut self, point: &CrashPoint, promised: u64, crashes: &mut Vec<usize>) -> Result<(), Violation> {
        let mut seen = HashSet::new();
        let first = crashes.len() == 1;
        let subsets = if first { self.settings.subsets } else { self.settings.recovery_subsets };
        let budget = Budget { subsets, samples: subsets, tears: first || self.settings.recovery_tears };
        images::for_each(point, budget, self.number, |image| {
            self.number += 1;
            self.counts.images += 1;
            if !seen.insert(fingerprint(&image)) {
                return Ok(());
            }
            if self.settings.only.is_some_and(|only| self.number > only) {
                return Ok(());
            }
            let number = self.number;
            self.judge(&image, promised, crashes).map_err(|what| match what {
                Wrong::Here(what) => Violation {
                    workload: self.workload.name.clone(),
                    image: Some(number),
                    crashes: crashes.clone(),
                    what,
                },
                Wrong::Deeper(violation) => violation,
            })
        })
    }

    fn judge(&mut self, image: &Image, promised: u64, crashes: &mut Vec<usize>) -> Result<(), Wrong> {
        let depth = crashes.len();
        let number = self.number;
        let recovery =
            judge::recover(self.execution, self.workload, image, promised, count(depth)).map_err(Wrong::Here)?;
        self.counts.checked += 1;
        self.counts.in_recovery += u64::from(depth > 1);
        self.counts.in_second_recovery += u64::from(depth > 2);
        if number.is_multiple_of(self.settings.go_on_every) {
            self.counts.gone_on += 1;
            judge::go_on(self.workload, &recovery).map_err(Wrong::Here)?;
        }
        let operations = recovery.disk.operation_count();
        let crash_again = match depth {
            1 => number.is_multiple_of(self.settings.second_crash_every),
            2 => number.is_multiple_of(self.settings.third_crash_every),
            _ => false,
        };
        if !crash_again || !recovery.writes() {
            return Ok(());
        }
        for (after, point) in recovery.disk.crash_points().enumerate() {
            // Once the store is open, what it serves is promised as well.
            let promised = if after == operations { recovery.seq } else { promised };
            crashes.push(after);
            let outcome = self.explore(&point, promised, crashes).map_err(Wrong::Deeper);
            crashes.pop();
            outcome?;
        }
        Ok(())
    }
}

enum Wrong {
    Here(String),
    Deeper(Violation),
}

/// A number that tells images apart. The hasher has a fixed key: the same image has the same number everywhere.
fn fingerprint(image: &Image) -> u64 {
    let mut hasher = DefaultHasher::new();
    image.hash(&mut hasher);
    hasher.finish()
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
