//! Every crash of a small workload: at each operation of the disk, with all that a crash there can leave, and again in
//! the recovery from it, and in the recovery from that; and damage to the files at rest.
//!
//! A [`Workload`] runs once on a [`CrashStorage`], which keeps a journal. [`check`] then goes
//! through the moments after each operation; at each one through all subsets of the operations that no sync covers (up to
//! [`Settings::subsets`], else samples), and through tears of each pending write: every byte of headers, anchors and the
//! beginning and end of frames, every sector of the rest. Each of these images is opened. What is served must be the
//! contents after some commit, exactly as the steps say and no earlier than what was promised by then. Where the recovery
//! wrote something, its own operations are crashed in the same way.
//!
//! The same files give the same outcome (R1 of `docs/reliability.md`, which has tests of its own). So an image that was
//! judged before, at an earlier crash or in another recovery, is recognized and not opened again: what is compared is
//! what had been promised by now with the lowest commit that it and every crash of its recovery came to then.
//!
//! Invariant: an image is named by the way to it ([`ImagePath`]), which depends on the workload and the settings alone.
//! A [`Violation`] names it, and [`Settings::only`] looks at that image again.
//!
//! ```
//! use foldb_testkit::exhaustive::{Settings, Workload, check};
//!
//! let workload = Workload::find("strict-puts").unwrap();
//! let counts = check(&workload, &Settings::quick()).unwrap();
//! assert!(counts.checked > 100);
//! ```

mod contents;
mod damage;
mod execution;
mod expiries;
mod images;
mod judge;
mod path;
mod protocol;
mod steps;
mod workload;

use std::{
    collections::HashMap,
    hash::{BuildHasherDefault, DefaultHasher, Hash, Hasher},
    ops::AddAssign,
};

use self::{contents::Glance, execution::Execution, images::Budget, path::KILLED};
pub use self::{
    path::ImagePath,
    workload::{Step, Workload},
};
use crate::crash::{CrashPoint, CrashStorage, Image};

/// How much is looked at.
#[derive(Clone, Debug)]
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
    /// Whether the files are damaged at rest as well.
    pub damage: bool,
    /// Only this image.
    pub only: Option<ImagePath>,
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
            damage: true,
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
    /// Images that were made and compared with what was promised, the recognized ones included.
    pub images: u64,
    /// Images that were opened and judged: each different one once.
    pub checked: u64,
    /// Of those, after a crash in a recovery.
    pub in_recovery: u64,
    /// Of those, after a crash in the recovery from a crash in a recovery.
    pub in_second_recovery: u64,
    /// Images whose recovery was followed by two more, by verification and by a commit.
    pub gone_on: u64,
    /// Damaged files that were opened.
    pub damaged: u64,
    /// A digest of each image that was opened, in their order, with the commit that it came to and all that was served of it.
    /// It is the same wherever a workload is looked at with the same settings: natively, and as WebAssembly.
    pub digest: u64,
}

impl Counts {
    /// Adds an image that was opened to the digest.
    fn digest(&mut self, path: &[(usize, u64)], print: u64, recovery: &judge::Recovery) {
        let mut hasher = Portable::default();
        (self.digest, print, recovery.seq, recovery.seen).hash(&mut hasher);
        path.hash(&mut hasher);
        self.digest = hasher.finish();
    }
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
        self.damaged += other.damaged;
        self.digest = self.digest.rotate_left(1) ^ other.digest;
    }
}

/// A promise that was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The workload.
    pub workload: String,
    /// The image; `None` where the workload itself failed, or damage at rest was not noticed.
    pub image: Option<ImagePath>,
    /// What is wrong.
    pub what: String,
    /// Where [`Settings::only`] asked for this image: what was asked of the disk on the way to it, a line for each
    /// operation and for each crash.
    pub operations: Vec<String>,
}

impl std::fmt::Display for Violation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "workload {}", self.workload)?;
        if let Some(image) = &self.image {
            write!(f, ", image {image}")?;
        }
        write!(f, ": {}", self.what)
    }
}

impl std::error::Error for Violation {}

/// Runs a workload and checks every crash of it. Fails at the first promise that is broken.
pub fn check(workload: &Workload, settings: &Settings) -> Result<Counts, Violation> {
    check_with(workload, settings, &mut |_| {})
}

/// [`check`], with the counts so far after each crash of the workload.
pub fn check_with(
    workload: &Workload,
    settings: &Settings,
    progress: &mut dyn FnMut(&Counts),
) -> Result<Counts, Violation> {
    let failed =
        |what: String| Violation { workload: workload.name.clone(), image: None, what, operations: Vec::new() };
    let mut execution =
        Execution::of(workload).map_err(|error| failed(format!("the workload fails without a crash: {error}")))?;
    let damaged = match settings.damage && settings.only.is_none() {
        true => damage::check(&mut execution, workload).map_err(failed)?,
        false => 0,
    };
    let mut explorer = Explorer::new(workload, settings, execution);
    explorer.counts.damaged = damaged;
    explorer.crash_everywhere(progress)?;
    Ok(explorer.counts)
}

struct Explorer<'a> {
    workload: &'a Workload,
    settings: &'a Settings,
    execution: Execution,
    counts: Counts,
    /// Where it is: crash points and images so far.
    path: Vec<(usize, u64)>,
    /// What was asked of the disk before each crash of the path, where one image only is wanted.
    journals: Vec<Vec<String>>,
    known: Known,
    glance: Glance,
}

impl<'a> Explorer<'a> {
    fn new(workload: &'a Workload, settings: &'a Settings, execution: Execution) -> Self {
        let counts = Counts { operations: count(execution.disk.operation_count()), ..Counts::default() };
        let (path, journals, known, glance) = Default::default();
        Explorer { workload, settings, execution, counts, path, journals, known, glance }
    }

    fn crash_everywhere(&mut self, progress: &mut dyn FnMut(&Counts)) -> Result<(), Violation> {
        let disk = self.execution.disk.clone();
        for (operations, point) in disk.crash_points().enumerate() {
            if self.is_elsewhere(|only, depth| only.crash(depth) != Some(operations)) {
                continue;
            }
            self.counts.crash_points += 1;
            self.note_operations(&disk, 0..operations);
            let promised = self.execution.promised_by(operations);
            self.explore(operations, &point, promised)?;
            self.kill(operations, promised)?;
            progress(&self.counts);
        }
        Ok(())
    }

    /// The process dies after so many operations and the machine does not: another process opens the store, with all that
    /// the page cache has. Then the power fails, at each operation of that opening.
    fn kill(&mut self, operations: usize, promised: u64) -> Result<(), Violation> {
        if self.is_elsewhere(|only, depth| only.image(depth) != Some(KILLED)) {
            return Ok(());
        }
        self.counts.images += 1;
        self.path.push((operations, KILLED));
        let outcome = self.judge_killed(operations, promised);
        let outcome = outcome.map_err(|wrong| self.violation(wrong));
        self.path.pop();
        outcome
    }

    fn judge_killed(&mut self, operations: usize, promised: u64) -> Result<(), Wrong> {
        let disk = self.execution.disk.as_of(operations);
        let (execution, workload, glance) = (&mut self.execution, self.workload, &mut self.glance);
        let recovery = judge::recover_disk(execution, workload, disk, promised, 1, glance).map_err(Wrong::Here)?;
        self.counts.checked += 1;
        // The path says what it was: everything that the disk had been told by then.
        self.counts.digest(&self.path, 0, &recovery);
        let end = recovery.disk.operation_count();
        for (after, point) in recovery.disk.crash_points().enumerate().skip(operations) {
            if self.is_elsewhere(|only, depth| only.crash(depth).is_some_and(|crash| crash != after)) {
                continue;
            }
            let promised = if after == end { recovery.seq } else { promised };
            self.note_operations(&recovery.disk, operations..after);
            self.explore(after, &point, promised).map_err(Wrong::Deeper)?;
        }
        Ok(())
    }

    /// Keeps what was asked of the disk before the next crash of the path, for whoever wants to see this image alone.
    fn note_operations(&mut self, disk: &CrashStorage, range: std::ops::Range<usize>) {
        if self.settings.only.is_none() {
            return;
        }
        self.journals.truncate(self.path.len());
        let numbered = disk.operations().into_iter().enumerate();
        let of_range = numbered.skip(range.start).take(range.len());
        let lines = of_range.map(|(index, operation)| format!("{:>5}  {operation:?}", index + 1));
        self.journals.push(lines.chain([format!("{:>5}  crash", range.end)]).collect());
    }

    fn violation(&self, wrong: Wrong) -> Violation {
        match wrong {
            Wrong::Deeper(violation) => violation,
            Wrong::Here(what) => {
                let image = Some(ImagePath::new(&self.path));
                let operations = self.journals.concat();
                Violation { workload: self.workload.name.clone(), image, what, operations }
            }
        }
    }

    /// Whether only one image is wanted and it is somewhere else.
    fn is_elsewhere(&self, differs: impl FnOnce(&ImagePath, usize) -> bool) -> bool {
        self.settings.only.as_ref().is_some_and(|only| differs(only, self.path.len()))
    }

    /// Looks at the images of one crash, after so many operations. Returns the lowest commit that any of them, or of
    /// those of a crash in their recovery, came to.
    fn explore(&mut self, operations: usize, point: &CrashPoint, promised: u64) -> Result<u64, Violation> {
        let first = self.path.is_empty();
        let subsets = if first { self.settings.subsets } else { self.settings.recovery_subsets };
        let budget = Budget { subsets, tears: first || self.settings.recovery_tears };
        let mut lowest = u64::MAX;
        images::for_each(point, budget, |number, image| {
            if self.is_elsewhere(|only, depth| only.image(depth) != Some(number)) {
                return Ok(());
            }
            self.counts.images += 1;
            self.path.push((operations, number));
            let outcome = self.look(&image, promised);
            let outcome = outcome.map_err(|wrong| self.violation(wrong));
            self.path.pop();
            lowest = lowest.min(outcome?);
            Ok(())
        })?;
        Ok(lowest)
    }

    /// Recognizes an image, or judges it.
    fn look(&mut self, image: &Image, promised: u64) -> Result<u64, Wrong> {
        let depth = self.path.len();
        let print = fingerprint(image);
        if let Some(lowest) = self.known.find(print, depth)
            && lowest >= promised
            && self.settings.only.is_none()
        {
            return Ok(lowest);
        }
        let lowest = self.judge(image, print, promised)?;
        self.known.remember(print, depth, lowest);
        Ok(lowest)
    }

    fn judge(&mut self, image: &Image, print: u64, promised: u64) -> Result<u64, Wrong> {
        let depth = self.path.len();
        let recovery =
            judge::recover(&mut self.execution, self.workload, image, promised, count(depth), &mut self.glance)
                .map_err(Wrong::Here)?;
        self.counts.checked += 1;
        self.counts.digest(&self.path, print, &recovery);
        self.counts.in_recovery += u64::from(depth > 1);
        self.counts.in_second_recovery += u64::from(depth > 2);
        // Which ones is decided by the image itself, so that it does not depend on what was seen before.
        let one_in = |every: u64, salt: u32| print.rotate_left(salt).is_multiple_of(every);
        if one_in(self.settings.go_on_every, 0) || self.settings.only.is_some() {
            self.counts.gone_on += 1;
            judge::go_on(&mut self.execution, self.workload, &recovery, &mut self.glance).map_err(Wrong::Here)?;
        }
        let crash_again = match (&self.settings.only, depth) {
            (Some(only), depth) => only.crash(depth).is_some(),
            (None, 1) => one_in(self.settings.second_crash_every, 16),
            (None, 2) => one_in(self.settings.third_crash_every, 32),
            (None, _) => false,
        };
        let mut lowest = recovery.seq;
        if !crash_again || !recovery.disk.is_changed() {
            return Ok(lowest);
        }
        let operations = recovery.disk.operation_count();
        for (after, point) in recovery.disk.crash_points().enumerate() {
            if self.is_elsewhere(|only, depth| only.crash(depth) != Some(after)) {
                continue;
            }
            // Once the store is open, what it serves is promised as well.
            let promised = if after == operations { recovery.seq } else { promised };
            self.note_operations(&recovery.disk, 0..after);
            lowest = lowest.min(self.explore(after, &point, promised).map_err(Wrong::Deeper)?);
        }
        Ok(lowest)
    }
}

enum Wrong {
    Here(String),
    Deeper(Violation),
}

/// The images that were judged, each with the lowest commit that it, and every crash of its recovery, came to.
#[derive(Default)]
struct Known {
    /// By fingerprint, which is a hash already: the depth in the upper 16 bits, the seq below.
    lowest: HashMap<u64, u64, BuildHasherDefault<Unhashed>>,
}

/// More would be memory without end; what is not remembered is judged again.
const KNOWN_MAX: usize = 1 << 22;

impl Known {
    /// What an image came to that was judged as deep, or less deep: there its recovery was crashed at least as often.
    fn find(&self, print: u64, depth: usize) -> Option<u64> {
        let found = *self.lowest.get(&print)?;
        (found >> 48 <= count(depth)).then_some(found & (u64::MAX >> 16))
    }

    fn remember(&mut self, print: u64, depth: usize, lowest: u64) {
        if self.lowest.len() < KNOWN_MAX {
            self.lowest.insert(print, count(depth) << 48 | lowest);
        }
    }
}

/// Hashes numbers that are hashes to themselves.
#[derive(Default)]
struct Unhashed(u64);

impl Hasher for Unhashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.0 = self.0.rotate_left(8) ^ u64::from(*byte));
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }
}

/// A number that tells images apart: the same image has the same number everywhere.
fn fingerprint(image: &Image) -> u64 {
    let mut hasher = Portable::default();
    image.hash(&mut hasher);
    hasher.finish()
}

/// A hasher with a fixed key that does not see how wide a `usize` is. The lengths of names and files are among what is hashed;
/// with the width of the machine in them, 32 bits would crash other recoveries than 64.
#[derive(Default)]
struct Portable(DefaultHasher);

impl Hasher for Portable {
    fn finish(&self) -> u64 {
        self.0.finish()
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0.write(bytes);
    }

    fn write_usize(&mut self, number: usize) {
        self.0.write_u64(count(number));
    }
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
