//! Recovery of a whole store: the newest valid snapshot, and the fold of the log behind it.
//!
//! Invariant: this only reads. It says what has to be written before the store may be served ([`Recovered::outcome`]:
//! the tail, the continuation), and whoever drives the engine does that.

use alloc::{
    string::{String, ToString},
    vec::Vec,
};

use super::{
    Damage, ProgressCallback, RecoveryMode,
    import::refuse_unfinished_import,
    log::{LogOutcome, LogReport, LogStart, Survey, TailFrame, fold, survey},
    report_progress,
};
use crate::{
    Error, ErrorKind, Result, RunId,
    host::Host,
    log::{parse_snapshot_name, snapshot_name},
    planted::{self, Planted},
    snapshot::{self, SnapshotMeta},
    state::{LoggedTransaction, State},
    storage::Storage,
    tree::PageSource,
};

/// What opening a store found and did.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct RecoveryReport {
    /// Whether the store was created: there was nothing before. An evicted store must not look like a first visit.
    pub created: bool,
    /// Generation and seq of the snapshot that was used.
    pub snapshot: Option<(u64, u64)>,
    /// Snapshots that could not be used, and why. Where one is listed, an older one or the log stood in: nothing is
    /// lost.
    pub rejected_snapshots: Vec<Damage>,
    /// What the log had, behind the snapshot.
    pub log: LogReport,
    /// What is wrong with names, anchors or headers and did not end recovery.
    pub damage: Vec<Damage>,
    /// Seq of the last commit of the recovered state.
    pub seq: u64,
    /// Runs that were open when the last process ended.
    pub orphaned_runs: Vec<RunId>,
    /// Microseconds spent on each phase, in order.
    pub phases: Vec<(&'static str, u64)>,
}

/// What recovery comes to.
pub struct Recovered {
    /// Everything that is proven to be durable, folded.
    pub state: State,
    /// What there is on the storage.
    pub survey: Survey,
    /// What the log says about its end.
    pub outcome: LogOutcome,
    /// The snapshot that the state reads its absent leaves from.
    pub loaded: Option<SnapshotMeta>,
    /// For people.
    pub report: RecoveryReport,
}

/// How to recover.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecoverySettings {
    /// What is accepted.
    pub mode: RecoveryMode,
    /// Whether a snapshot is read from end to end before it is used. Otherwise a damaged page in it shows when it is
    /// first touched. Always done in strict mode.
    pub check_snapshots: bool,
    /// Whether the mark of an unfinished import is passed over. For the import itself, which looks at what it has written
    /// before it says that it is a store.
    pub importing: bool,
}

/// Recovers the state of a storage. `pages` reads pages of the storage's snapshots.
///
/// Fails with [`Error::Corrupt`] where something promised is damaged and neither an older snapshot nor the log can stand
/// in, with [`Error::NotAStore`] for a foreign directory, with [`Error::ImportUnfinished`] for half of a store, and with [`Error::Cancelled`] where `progress` says stop. The
/// storage is as it was before.
pub fn recover<S: Storage>(
    storage: &S,
    host: &dyn Host,
    pages: &dyn PageSource,
    settings: RecoverySettings,
    progress: ProgressCallback<'_>,
) -> Result<Recovered> {
    let mode = settings.mode;
    let mut clock = PhaseClock { host, since: host.now_micros(), phases: Vec::new() };
    report_progress(progress, "survey", 0, 1)?;
    if !settings.importing {
        refuse_unfinished_import(storage)?;
    }
    let mut survey = survey(storage, mode)?;
    clock.end("survey");
    let mut report = RecoveryReport { created: survey.store.is_none(), ..RecoveryReport::default() };
    let mut candidates = finished_snapshots(&mut survey);
    let (state, outcome, loaded) = loop {
        let loaded = newest_snapshot(storage, &survey, &mut candidates, settings, &mut report)?;
        clock.end("snapshot");
        let folded = fold_from(storage, &mut survey, loaded, pages, mode, progress);
        clock.end("log");
        match folded {
            Ok(folded) => break folded,
            // The log touched a page of the snapshot, and the page is damaged: the older snapshot stands in.
            Err(Error::Corrupt { file, offset, rule, what }) if parse_snapshot_name(&file).is_some() => {
                let name = file.clone();
                reject(&name, Error::Corrupt { file, offset, rule, what }, mode, &mut report)?;
            }
            Err(error) => return Err(error),
        }
    };
    check_nothing_is_missing(&survey, loaded.as_ref(), &state, &outcome, mode)?;
    // An opening that went on in a segment has noted its epoch behind the header, and perhaps before the snapshot.
    survey.epoch = survey.epoch.max(outcome.epoch).max(loaded.as_ref().map_or(0, |meta| meta.epoch));
    report.snapshot = loaded.as_ref().map(|meta| (meta.generation, meta.seq));
    report.log = outcome.report.clone();
    report.damage = survey.damage.clone();
    report.seq = outcome.tail.last().map_or(state.seq(), |last| last.seq);
    report.phases = clock.phases;
    Ok(Recovered { state, survey, outcome, loaded, report })
}

/// The generations that an anchor vouches for. A newer one was being written when the process died: the log has
/// everything, and the file is garbage.
fn finished_snapshots(survey: &mut Survey) -> Vec<u64> {
    let named = survey.anchor.and_then(|(_, anchor)| anchor.newest_snapshot).unwrap_or(0);
    let (finished, unfinished): (Vec<u64>, Vec<u64>) =
        survey.snapshots.iter().partition(|generation| **generation <= named);
    survey.garbage.extend(unfinished.into_iter().map(snapshot_name));
    finished
}

/// Folds the log behind a snapshot, or all of it.
fn fold_from<S: Storage>(
    storage: &S,
    survey: &mut Survey,
    loaded: Option<(State, SnapshotMeta)>,
    pages: &dyn PageSource,
    mode: RecoveryMode,
    progress: ProgressCallback<'_>,
) -> Result<(State, LogOutcome, Option<SnapshotMeta>)> {
    let (mut state, loaded, from) = match loaded {
        Some((state, meta)) => {
            survey.prove(meta.seq);
            let from = meta.log.map(|at| LogStart { segment: at.segment, offset: at.offset, seq: meta.seq });
            (state, Some(meta), from)
        }
        None => (State::new(), None, None),
    };
    let mut appended = Vec::new();
    let outcome = fold(storage, survey, from, mode, progress, &mut |record| {
        appended.clear();
        let transaction = LoggedTransaction { at: record.at, frames: record.frames };
        if mode != RecoveryMode::Salvage {
            return state.apply(&transaction, pages, &mut appended);
        }
        // Of a transaction that does not fit what is left nothing must stay. And runs whose beginning is lost had numbers too.
        let mut next = state.clone();
        next.pass_over_lost_runs(&transaction);
        next.apply(&transaction, pages, &mut appended)?;
        state = next;
        Ok(())
    })?;
    check_tail(&state, &outcome, pages)?;
    Ok((state, outcome, loaded))
}

/// Times the phases of a recovery. The times are for people: nothing depends on them.
struct PhaseClock<'a> {
    host: &'a dyn Host,
    since: u64,
    phases: Vec<(&'static str, u64)>,
}

impl PhaseClock<'_> {
    fn end(&mut self, phase: &'static str) {
        let now = self.host.now_micros();
        self.phases.push((phase, now.saturating_sub(self.since)));
        self.since = now;
    }
}

/// The newest of the candidates that holds, which is taken from them with all that are newer. One that does not hold is
/// reported, and in strict mode an error: the next older one, or the log, stands in, which costs time and no data.
fn newest_snapshot<S: Storage>(
    storage: &S,
    survey: &Survey,
    candidates: &mut Vec<u64>,
    settings: RecoverySettings,
    report: &mut RecoveryReport,
) -> Result<Option<(State, SnapshotMeta)>> {
    let mode = settings.mode;
    let named = survey.anchor.and_then(|(_, anchor)| anchor.newest_snapshot);
    if let Some(named) = named
        && !survey.snapshots.contains(&named)
        && report.rejected_snapshots.is_empty()
    {
        reject(&snapshot_name(named), missing(named), mode, report)?;
    }
    while let Some(generation) = candidates.pop() {
        let name = snapshot_name(generation);
        let opened = open_snapshot(storage, &name, settings).and_then(|opened| check_store(opened, survey, &name));
        match opened {
            Ok(opened) => return Ok(Some(opened)),
            // One that does not fit into memory is no better than a damaged one.
            Err(error) if matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Limit) => {
                reject(&name, error, mode, report)?;
                if planted::active(Planted::OlderSnapshotIgnored) {
                    candidates.clear();
                }
            }
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

fn open_snapshot<S: Storage>(storage: &S, name: &str, settings: RecoverySettings) -> Result<(State, SnapshotMeta)> {
    let file = storage.open(name)?;
    if settings.check_snapshots || settings.mode == RecoveryMode::Strict {
        snapshot::verify(&file, name)?;
    }
    snapshot::open(&file, name)
}

fn reject(name: &str, error: Error, mode: RecoveryMode, report: &mut RecoveryReport) -> Result<()> {
    if mode == RecoveryMode::Strict {
        return Err(error);
    }
    report.rejected_snapshots.push(Damage::from_error(&error, name));
    Ok(())
}

fn missing(generation: u64) -> Error {
    corrupt(snapshot_name(generation), "F-54", "an anchor names this snapshot, and it is not there".to_string())
}

fn corrupt(file: String, rule: &'static str, what: String) -> Error {
    Error::Corrupt { file, offset: 0, rule, what }
}

/// A snapshot of another store, or one that has more than the log, is not ours to use.
fn check_store(opened: (State, SnapshotMeta), survey: &Survey, name: &str) -> Result<(State, SnapshotMeta)> {
    let meta = &opened.1;
    if survey.store.is_some_and(|store| store != meta.store) {
        return Err(corrupt(name.into(), "F-53", alloc::format!("it belongs to store {}", meta.store)));
    }
    let newest = survey.newest().map_or(0, |segment| segment.number);
    if meta.log.is_some_and(|at| at.segment > newest) {
        return Err(corrupt(name.into(), "F-53", "it begins behind the newest segment of the log".to_string()));
    }
    Ok(opened)
}

/// Everything that was proven durable must be in the state: a fold that ends before is a loss, not an end.
fn check_nothing_is_missing(
    survey: &Survey,
    loaded: Option<&SnapshotMeta>,
    state: &State,
    outcome: &LogOutcome,
    mode: RecoveryMode,
) -> Result<()> {
    let reached = outcome.tail.last().map_or(state.seq(), |last| last.seq);
    let proven = survey.proven_seq.max(loaded.map_or(0, |meta| meta.seq));
    if mode == RecoveryMode::Salvage || reached >= proven {
        return Ok(());
    }
    let file = survey.newest().map_or_else(String::new, |segment| crate::log::segment_name(segment.number));
    Err(corrupt(file, "F-22", alloc::format!("commit {proven} was durable, and the log ends at {reached}")))
}

/// Folds what the log has got behind `from` into a state of that place, as [`recover`] does behind a snapshot. The state goes on to
/// what is proven; what is not is the outcome's tail. After an error the state is good for nothing.
#[cfg(feature = "std")]
pub(crate) fn catch_up<S: Storage>(
    storage: &S,
    survey: &Survey,
    from: LogStart,
    state: &mut State,
    pages: &dyn PageSource,
    progress: ProgressCallback<'_>,
) -> Result<LogOutcome> {
    let mut appended = Vec::new();
    let outcome = fold(storage, survey, Some(from), RecoveryMode::Default, progress, &mut |record| {
        appended.clear();
        state.apply(&LoggedTransaction { at: record.at, frames: record.frames }, pages, &mut appended)
    })?;
    check_nothing_is_missing(survey, None, state, &outcome, RecoveryMode::Default)?;
    Ok(outcome)
}

/// Whether the tail can be folded, tried on a clone: it will be written again before it is applied, and an opening that
/// fails must have changed nothing. A page of the snapshot that only the tail touches is read here, so that the older
/// snapshot stands in for one that is damaged.
fn check_tail(state: &State, outcome: &LogOutcome, pages: &dyn PageSource) -> Result<()> {
    with_tail(state, outcome, pages).map(drop)
}

/// The state with the tail in it, where it lies now.
pub(crate) fn with_tail(state: &State, outcome: &LogOutcome, pages: &dyn PageSource) -> Result<State> {
    let mut state = state.clone();
    let mut appended = Vec::new();
    for record in &outcome.tail {
        let frames = record.frames.iter().map(TailFrame::record).collect::<Result<Vec<_>>>()?;
        // A transaction has at least one frame.
        let Some(first) = frames.first() else { continue };
        appended.clear();
        state.apply(&LoggedTransaction { at: first.at(), frames: &frames }, pages, &mut appended)?;
    }
    Ok(state)
}

/// What a check of the whole log came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogVerified {
    /// Segments read from end to end.
    pub segments: u64,
    /// Transactions whose checksums held.
    pub records: u64,
}

/// Reads the whole log and checks every frame, without folding it into a state. Fails as [`recover`] does.
pub fn verify_log<S: Storage>(storage: &S, progress: ProgressCallback<'_>) -> Result<LogVerified> {
    verify_log_with(storage, progress, &mut |_| {})
}

/// The same, which calls `each` for every transaction on the way, in order, also for those that nothing has proven to be
/// durable.
pub(crate) fn verify_log_with<S: Storage>(
    storage: &S,
    progress: ProgressCallback<'_>,
    each: &mut dyn FnMut(&LoggedTransaction<'_>),
) -> Result<LogVerified> {
    let survey = survey(storage, RecoveryMode::Default)?;
    let outcome = fold(storage, &survey, None, RecoveryMode::Default, progress, &mut |record| {
        each(&LoggedTransaction { at: record.at, frames: record.frames });
        Ok(())
    })?;
    for record in &outcome.tail {
        let frames = record.frames.iter().map(TailFrame::record).collect::<Result<Vec<_>>>()?;
        if let Some(first) = frames.first() {
            each(&LoggedTransaction { at: first.at(), frames: &frames });
        }
    }
    let records = outcome.report.records + outcome.report.tail_records;
    Ok(LogVerified { segments: outcome.report.segments, records })
}
