//! Verification: everything that the store says of itself is checked against its bytes.
//!
//! Invariants:
//! - Verifying changes nothing. What is wrong is collected, not only the first of it.
//! - A finding is about the bytes of the store. Where the system does not let them be looked at, nothing is said about them:
//!   the verification fails with what the system said. Somebody would else restore a backup over a store that is whole.
//! - The log is read once, and the histories of the spaces are folded on the way. Those that are too large to be folded
//!   together are followed one by one, each on its way back and forth.

mod space;
mod watched;

use alloc::{
    collections::BTreeSet,
    string::{String, ToString},
    vec::Vec,
};
use core::ops::ControlFlow;

use self::{
    space::SpaceCheck,
    watched::{Watch, WatchedFile},
};
use super::{Db, DetachedView, reader::Reader, shared::Shared};
use crate::{
    Error, Result,
    log::{parse_snapshot_name, snapshot_name},
    recovery::{Progress, verify_log_with},
    replay::Together,
    snapshot,
    state::{DEFAULT_SPACE, LoggedTransaction, SpaceNumber, State},
    storage::{Storage, StorageError},
};

/// Spaces that take up to so many bytes of memory in all are replayed together while the log is read.
const TOGETHER_BYTES_MAX: u64 = 64 << 20;

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Violation {
    /// Where: a file, or a space.
    pub place: String,
    /// The run whose space it is in, by [`RunInfo::number`](crate::RunInfo::number); `None` for a file and for the default space.
    pub run: Option<u32>,
    /// What is wrong there.
    pub what: String,
}

/// What verification looked at, and what it found.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize)]
pub struct VerifyReport {
    /// Log segments read from end to end.
    pub segments: u64,
    /// Transactions in them whose checksums held.
    pub records: u64,
    /// Snapshots read from end to end.
    pub snapshots: u64,
    /// Spaces whose replay was compared with the live state.
    pub spaces: u64,
    /// Tree entries compared.
    pub entries: u64,
    /// Transactions replayed: one that touched several spaces counts for each of them.
    pub transactions: u64,
    /// Values in the log whose checksum held.
    pub values: u64,
    /// Events whose chain held.
    pub events: u64,
    /// What is wrong; empty where all is well.
    pub violations: Vec<Violation>,
}

impl VerifyReport {
    /// Whether nothing is wrong.
    pub fn is_ok(&self) -> bool {
        self.violations.is_empty()
    }

    fn note(&mut self, place: impl Into<String>, what: impl Into<String>) {
        self.violations.push(Violation { place: place.into(), run: None, what: what.into() });
    }

    /// An error becomes a finding, if it says something of the store.
    fn check<T>(&mut self, place: &str, result: Result<T>) -> Result<Option<T>> {
        match result {
            Ok(found) => Ok(Some(found)),
            Err(error) if is_finding(&error) => {
                self.note(place, error.to_string());
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

/// Whether an error says something of the store's bytes, and not of the machine, the store's handle or the caller. A file that is
/// not there is a finding: the store had it, and somebody has removed it.
fn is_finding(error: &Error) -> bool {
    match error {
        Error::Storage(StorageError::Missing { .. } | StorageError::Name { .. }) => true,
        Error::Storage(_) | Error::Poisoned { .. } | Error::OutcomeUnknown { .. } | Error::Cancelled { .. } => false,
        _ => true,
    }
}

impl<S: Storage> Db<S> {
    /// Checks every checksum of the log and the snapshots, every pointer, every chain of events, and that replaying each
    /// space from the log gives exactly the live state. Reads everything; commits go on meanwhile.
    ///
    /// Cost: the log is read once, and again of it the values and events that are alive, as a reader finds them. Memory: the leaves that
    /// are not in memory yet come there as they do with every read; beside them 64 MiB for the spaces that are
    /// replayed while the log is read, or as much as a larger space has, if there is one, and a window of the log or its
    /// largest transaction. How long the log is makes no difference.
    ///
    /// What is wrong with the store is in the report. Fails where `progress` says stop ([`Error::Cancelled`]), where the log
    /// cannot be synced first, and where the system does not let the files be read ([`Error::Storage`]: no handle left, no
    /// permission, a device that fails): that says nothing about what is in them.
    pub fn verify(&self, progress: &mut dyn FnMut(Progress) -> ControlFlow<()>) -> Result<VerifyReport> {
        let mut verification = self.begin_verification()?;
        while verification.next_step().is_some() {
            self.verify_step(&mut verification, progress)?;
        }
        Ok(verification.report)
    }

    /// Begins a verification that is done in steps, for hosts that must not be kept waiting: each reads the log, the
    /// snapshots, or one space; a large space takes several. Together they are [`Db::verify`] of the moment at which they were begun;
    /// commits go on between them.
    ///
    /// ```
    /// use core::ops::ControlFlow;
    ///
    /// # use foldb_core::{Db, Options, host::SteppedHost, storage::MemStorage};
    /// # let db = Db::open(MemStorage::new(), std::sync::Arc::new(SteppedHost::new(0)), Options::new())?;
    /// db.kv().put("answer", 42)?;
    /// let mut verification = db.begin_verification()?;
    /// while let Some(next) = verification.next_step() {
    ///     assert!(next.done < next.total);
    ///     db.verify_step(&mut verification, &mut |_| ControlFlow::Continue(()))?;
    /// }
    /// assert!(verification.into_report().is_ok());
    /// # Ok::<(), foldb_core::Error>(())
    /// ```
    ///
    /// Fails with [`Error::Unsupported`] where there is no log, and where the log cannot be synced.
    pub fn begin_verification(&self) -> Result<Verification<S>> {
        let shared = self.shared();
        if shared.is_in_memory() {
            return Err(super::replays::no_log("verification"));
        }
        // What a reader stands on was handed over by its writer, and no more is looked at.
        if shared.reader.is_none() {
            self.sync()?;
        }
        let view = self.view();
        let spaces = core::iter::once(DEFAULT_SPACE).chain(view.folded().run_numbers()).collect();
        Ok(Verification {
            view: self.detach_view(view)?,
            spaces,
            step: 0,
            together: None,
            at: None,
            report: VerifyReport::default(),
        })
    }

    /// Does the next step of a verification; nothing where there is none. The log and the snapshots may take as long as it takes to
    /// read them; `progress` is called at least once for each MiB that is read, and can stop inside of every step.
    ///
    /// Fails where `progress` says stop ([`Error::Cancelled`]) and where the system does not let the files be read
    /// ([`Error::Storage`]): what is left of the step can be done then, and what was found before is kept. Fails with
    /// [`Error::Invalid`] for a verification of another store.
    pub fn verify_step(
        &self,
        verification: &mut Verification<S>,
        progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
    ) -> Result<()> {
        let view = self.attach_view(&verification.view)?;
        let Some(mut next) = verification.next_step() else { return Ok(()) };
        let report = &mut verification.report;
        match verification.step {
            0 => {
                let mut together = together(view.folded(), &verification.spaces);
                verify_log_of(self.shared(), report, progress, &mut together)?;
                verification.together = together;
            }
            1 => self.shared().verify_snapshots(report, &Watch::new(progress, next)?)?,
            step => {
                let Some(space) = verification.spaces.get(step - 2) else { return Ok(()) };
                (next.done, next.total) = (step as u64 - 2, verification.spaces.len() as u64);
                let watch = Watch::new(progress, next)?;
                let check = match &mut verification.at {
                    Some(check) => check,
                    none => {
                        let replayed = verification.together.as_mut().and_then(|together| together.take(*space));
                        none.insert(SpaceCheck::new(*space, replayed))
                    }
                };
                if !check.go_on(view.folded(), view.source(), &watch, report)? {
                    return Ok(());
                }
                verification.at = None;
            }
        }
        verification.step += 1;
        Ok(())
    }
}

/// The spaces that are replayed while the log is read: in their order, as long as there is room for what they hold.
fn together(state: &State, spaces: &[SpaceNumber]) -> Option<Together> {
    let mut room = TOGETHER_BYTES_MAX;
    let mut chosen = BTreeSet::new();
    for space in spaces {
        let bytes = state.space(*space).map_or(0, |space| space.tree().resident_bytes());
        if let Some(left) = room.checked_sub(bytes) {
            chosen.insert(*space);
            room = left;
        }
    }
    Some(Together::new(chosen, state.seq()))
}

/// A verification under way: see [`Db::begin_verification`]. It keeps the version that it verifies, and what was replayed and
/// not compared yet.
pub struct Verification<S: Storage> {
    view: DetachedView<S>,
    spaces: Vec<SpaceNumber>,
    /// The log, the snapshots, and then each space.
    step: usize,
    together: Option<Together>,
    /// The space that is looked at.
    at: Option<SpaceCheck>,
    report: VerifyReport,
}

impl<S: Storage> Verification<S> {
    /// What the next step is, with how many are done, and of how many; `None` at the end. A space that takes several steps
    /// counts when it is done.
    pub fn next_step(&self) -> Option<Progress> {
        let (done, total) = (self.step as u64, self.spaces.len() as u64 + 2);
        let phase = match done {
            0 => "log",
            1 => "snapshots",
            _ => "replaying",
        };
        (done < total).then_some(Progress { phase, done, total })
    }

    /// What was found so far.
    pub fn into_report(self) -> VerifyReport {
        self.report
    }
}

/// Reads the log, and folds the histories of some spaces on the way. Where that cannot be done, they are followed one by one.
fn verify_log_of<S: Storage>(
    shared: &Shared<S>,
    report: &mut VerifyReport,
    progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
    together: &mut Option<Together>,
) -> Result<()> {
    let mut fold = |transaction: &LoggedTransaction<'_>| {
        if together.as_mut().is_some_and(|together| together.fold(transaction).is_err()) {
            *together = None;
        }
    };
    let verified = shared.still().and_then(|log| verify_log_with(&log, progress, &mut fold));
    match report.check("log", verified)? {
        Some(log) => {
            report.segments = log.segments;
            report.records = log.records;
        }
        // Not all of it was folded.
        None => *together = None,
    }
    Ok(())
}

impl<S: Storage> Shared<S> {
    /// Verifies the snapshots that count, while none comes or goes.
    fn verify_snapshots(&self, report: &mut VerifyReport, watch: &Watch<'_>) -> Result<()> {
        if let Some(reader) = &self.reader {
            return self.verify_snapshots_beside(reader, report, watch);
        }
        self.with_snapshot_turn(|core| {
            let newest = core.anchor.and_then(|anchor| anchor.newest_snapshot).unwrap_or(0);
            drop(core);
            let mut found = VerifyReport::default();
            for name in self.storage.list()? {
                // A newer one was being written when a process died: it never will count.
                let Some(generation) = parse_snapshot_name(&name).filter(|generation| *generation <= newest) else {
                    continue;
                };
                let verified = self.storage.open(&name).map_err(Error::from).and_then(|file| {
                    // Nor does an older one that was never finished.
                    if generation < newest && snapshot::has_no_header(&file)? {
                        return Ok(0);
                    }
                    let verified = snapshot::verify(&WatchedFile::new(&file, watch), &name);
                    // The file cannot say by itself why it was not read.
                    watch.check().and(verified.map(|_| 1))
                });
                found.snapshots += found.check(&name, verified)?.unwrap_or(0);
            }
            // Only now, as the step may have to be done again.
            report.snapshots = found.snapshots;
            report.violations.append(&mut found.violations);
            Ok(())
        })
    }

    /// The same beside a writer, which may remove a snapshot at any time: one that is gone was in order, as far as anybody knows.
    fn verify_snapshots_beside(&self, reader: &Reader, report: &mut VerifyReport, watch: &Watch<'_>) -> Result<()> {
        let stand = reader.stand();
        let newest = stand.snapshots().last();
        let mut found = VerifyReport::default();
        for generation in stand.snapshots() {
            let name = snapshot_name(generation);
            let file = match self.storage.open(&name) {
                Err(StorageError::Missing { .. }) => continue,
                opened => opened?,
            };
            if Some(generation) != newest && snapshot::has_no_header(&file)? {
                continue;
            }
            let verified = snapshot::verify(&WatchedFile::new(&file, watch), &name);
            watch.check()?;
            found.snapshots += found.check(&name, verified.map(|_| 1))?.unwrap_or(0);
        }
        report.snapshots = found.snapshots;
        report.violations.append(&mut found.violations);
        Ok(())
    }
}
