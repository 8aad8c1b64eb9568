//! Verification: everything that the store says of itself is checked against its bytes.
//!
//! Invariants:
//! - Verifying changes nothing. What is wrong is collected, not only the first of it.
//! - A finding is about the bytes of the store. Where the system does not let them be looked at, nothing is said about them:
//!   the verification fails with what the system said. Somebody would else restore a backup over a store that is whole.

use alloc::{
    format,
    string::{String, ToString},
    vec::Vec,
};
use core::ops::ControlFlow;

use super::{Db, DetachedView, SpaceView, View, shared::Shared, view::StateReads};
use crate::{
    Error, Result, RunId,
    log::{LogPosition, parse_snapshot_name},
    primitive::{Events, ScanOptions, access::Through, check_entry},
    recovery::{Progress, verify_log},
    replay::{Diff, Digest, Replayed, digest_space, replay},
    snapshot,
    state::{DEFAULT_SPACE, SpaceNumber, entry_kind, readable_tree_key},
    storage::{Storage, StorageError},
    tree::{Direction, KeyRange},
};

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Violation {
    /// Where: a file, a space, a key.
    pub place: String,
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
    /// Transactions replayed.
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
        self.violations.push(Violation { place: place.into(), what: what.into() });
    }

    /// What is wrong with the store becomes a finding; what the system failed at is an error, and no word about the store.
    fn check<T>(&mut self, place: &str, result: Result<T>) -> Result<Option<T>> {
        match result {
            Ok(found) => Ok(Some(found)),
            Err(error) if is_of_the_system(&error) => Err(error),
            Err(error) => {
                self.note(place, error.to_string());
                Ok(None)
            }
        }
    }
}

/// Whether an error says something about the machine, the store's handle or the caller, and nothing about stored bytes. A file
/// that is not there is a finding: the store had it, and somebody has removed it.
fn is_of_the_system(error: &Error) -> bool {
    match error {
        Error::Storage(StorageError::Missing { .. } | StorageError::Name { .. }) => false,
        Error::Storage(_) | Error::Poisoned { .. } | Error::OutcomeUnknown { .. } | Error::Cancelled { .. } => true,
        _ => false,
    }
}

impl<S: Storage> Db<S> {
    /// Checks every checksum of the log and the snapshots, every pointer, every chain of events, and that replaying each
    /// space from the log gives exactly the live state. Reads everything; commits go on meanwhile.
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
    /// snapshots, or one space. Together they are [`Db::verify`] of the moment at which they were begun; commits go on between
    /// them.
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
            return Err(no_log("verification"));
        }
        self.sync()?;
        let view = self.view();
        let spaces = core::iter::once(DEFAULT_SPACE).chain(view.folded().run_numbers()).collect();
        Ok(Verification { view: self.detach_view(view)?, spaces, step: 0, report: VerifyReport::default() })
    }

    /// Does the next step of a verification, which may take as long as it takes to read a whole log or run; nothing where
    /// there is none.
    ///
    /// Fails where `progress` says stop ([`Error::Cancelled`]) and where the system does not let the files be read
    /// ([`Error::Storage`]): the step can be done again, and what earlier ones found is kept. Fails with [`Error::Invalid`] for
    /// a verification of another store.
    pub fn verify_step(
        &self,
        verification: &mut Verification<S>,
        progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
    ) -> Result<()> {
        let view = self.attach_view(&verification.view)?;
        // A step that fails and is done again counts once.
        let mut report = verification.report.clone();
        match verification.step {
            0 => verify_log_of(self.shared(), &mut report, progress)?,
            1 => self.shared().verify_snapshots(&mut report)?,
            step => {
                let Some(space) = verification.spaces.get(step - 2) else { return Ok(()) };
                let total = verification.spaces.len() as u64;
                if progress(Progress { phase: "replaying", done: step as u64 - 2, total }).is_break() {
                    return Err(Error::Cancelled { what: "verification" });
                }
                verify_space(&view, *space, &mut report)?;
            }
        }
        verification.report = report;
        verification.step += 1;
        Ok(())
    }

    /// Folds the history of a run again, from the log and nothing else, into a read-only view.
    ///
    /// Fails with [`Error::UnknownRun`], with [`Error::Unsupported`] where there is no log, and with [`Error::Corrupt`]
    /// where a frame of the history is damaged. Reads the run's transactions only; cost: a few microseconds each.
    pub fn replay(&self, run: RunId) -> Result<Replay<'_, S>> {
        self.replay_at(run, u64::MAX)
    }

    /// [`Db::replay`], up to and including the commit with seq `until`.
    pub fn replay_at(&self, run: RunId, until: u64) -> Result<Replay<'_, S>> {
        let view = self.view();
        let space = view.folded().number(run)?;
        self.replay_space(&view, space, until)
    }

    /// What is different in run `newer`, compared with run `older`, as both are now: see [`SpaceView::diff`].
    pub fn diff(&self, older: RunId, newer: RunId) -> Result<Diff> {
        let view = self.view();
        view.run(older)?.diff(&view.run(newer)?)
    }

    /// [`Db::replay`] of the default space.
    pub fn replay_default(&self) -> Result<Replay<'_, S>> {
        self.replay_space(&self.view(), DEFAULT_SPACE, u64::MAX)
    }

    fn replay_space(&self, view: &View<'_, S>, space: SpaceNumber, until: u64) -> Result<Replay<'_, S>> {
        if self.shared().is_in_memory() {
            return Err(no_log("replay"));
        }
        let newest = newest_position(view, space);
        let Replayed { state, transactions } = replay(space, newest, until, self.shared())?;
        Ok(Replay { view: View::new(self.shared(), state), space, transactions })
    }
}

/// A verification under way: see [`Db::begin_verification`]. It keeps the version that it verifies.
pub struct Verification<S: Storage> {
    view: DetachedView<S>,
    spaces: Vec<SpaceNumber>,
    /// The log, the snapshots, and then each space.
    step: usize,
    report: VerifyReport,
}

impl<S: Storage> Verification<S> {
    /// What the next step is, with how many are done, and of how many; `None` at the end.
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

fn verify_log_of<S: Storage>(
    shared: &Shared<S>,
    report: &mut VerifyReport,
    progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<()> {
    if let Some(log) = report.check("log", shared.still().and_then(|log| verify_log(&log, progress)))? {
        report.segments = log.segments;
        report.records = log.records;
    }
    Ok(())
}

fn no_log(what: &'static str) -> Error {
    Error::Unsupported {
        what,
        why: "the store was opened in memory and keeps no log; open it buffered or strict".into(),
    }
}

fn newest_position<S: Storage>(view: &View<'_, S>, space: SpaceNumber) -> Option<LogPosition> {
    view.folded().space(space).and_then(|space| space.last_position)
}

/// A space as its history in the log makes it: read-only, and independent of the live state.
pub struct Replay<'db, S: Storage> {
    pub(super) view: View<'db, S>,
    pub(super) space: SpaceNumber,
    pub(super) transactions: u64,
}

impl<'db, S: Storage> Replay<'db, S> {
    /// How many transactions were folded.
    pub fn transactions(&self) -> u64 {
        self.transactions
    }

    /// The digest of its content: see [`SpaceView::digest`](super::SpaceView::digest).
    pub fn digest(&self) -> Result<Digest> {
        digest_space(&self.view.reads(), self.space)
    }

    /// The number of the space.
    pub fn number(&self) -> SpaceNumber {
        self.space
    }

    /// The replayed space, to compare it with another.
    pub fn space(&self) -> SpaceView<'_, 'db, S> {
        SpaceView::new(&self.view, self.space)
    }

    /// The view that holds the replayed space and nothing else.
    pub fn view(&self) -> &View<'db, S> {
        &self.view
    }

    super::primitive_handles!(&View<'db, S>, |replay| &replay.view, |replay| replay.space);
}

fn verify_space<S: Storage>(view: &View<'_, S>, space: SpaceNumber, report: &mut VerifyReport) -> Result<()> {
    let name = match space {
        DEFAULT_SPACE => String::from("default space"),
        number => format!("run {number}"),
    };
    report.spaces += 1;
    let Some(live) = view.folded().space(space) else { return Ok(()) };
    verify_values(view, space, &name, report)?;
    let reads = view.reads();
    let events = Events::new(Through(&reads), space);
    if let Some(streams) = report.check(&name, events.streams(&ScanOptions::all()))? {
        for summary in streams {
            if let Some(chain) = report.check(&name, events.verify_chain(&summary.stream))? {
                report.events += chain.events;
            }
        }
    }
    let replayed = replay(space, live.last_position, u64::MAX, view.source());
    let Some(replayed) = report.check(&name, replayed)? else { return Ok(()) };
    report.transactions += replayed.transactions;
    let Some(again) = replayed.state.space(space) else { return Ok(()) };
    let mut different = None;
    let compared = live.tree().diff(again.tree(), &KeyRange::all(), view.source(), &mut |key, _, _| {
        different = Some(readable_tree_key(key));
        ControlFlow::Break(())
    });
    report.check(&name, compared)?;
    if let Some(key) = different {
        report.note(name, format!("replay differs from the live state at {key}"));
    }
    Ok(())
}

/// Reads every value that lives in the log.
fn verify_values<S: Storage>(
    view: &View<'_, S>,
    space: SpaceNumber,
    name: &str,
    report: &mut VerifyReport,
) -> Result<()> {
    let Some(live) = view.folded().space(space) else { return Ok(()) };
    let (mut entries, mut values, mut damaged, mut failure) = (0, 0, Vec::new(), Ok(()));
    let visited = live.tree().visit(&KeyRange::all(), Direction::Forward, view.source(), &mut |key, entry| {
        entries += 1;
        match check_entry(live.tree(), key, &entry, view.source()) {
            Ok(()) => values += u64::from(entry.kind == entry_kind::POINTER),
            Err(error) if is_of_the_system(&error) => {
                failure = Err(error);
                return ControlFlow::Break(());
            }
            Err(error) => damaged.push(format!("{}: {error}", readable_tree_key(key))),
        }
        ControlFlow::Continue(())
    });
    failure?;
    report.check(name, visited)?;
    report.entries += entries;
    report.values += values;
    for what in damaged {
        report.note(name, what);
    }
    Ok(())
}

impl<S: Storage> View<'_, S> {
    pub(crate) fn reads(&self) -> StateReads<'_> {
        StateReads { state: self.folded(), source: self.source() }
    }
}

impl<S: Storage> Shared<S> {
    /// Verifies the snapshots that count, while none comes or goes.
    fn verify_snapshots(&self, report: &mut VerifyReport) -> Result<()> {
        self.with_snapshot_turn(|core| {
            let newest = core.anchor.and_then(|anchor| anchor.newest_snapshot).unwrap_or(0);
            drop(core);
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
                    snapshot::verify(&file, &name).map(|_| 1)
                });
                report.snapshots += report.check(&name, verified)?.unwrap_or(0);
            }
            Ok(())
        })
    }
}
