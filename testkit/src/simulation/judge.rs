//! Judging an open store: does it hold what the model says, and does the report tell the truth.

use std::{
    fmt::Debug,
    ops::{Bound, ControlFlow},
};

use foldb_core::{Db, Error, storage::Storage};

use super::store::{Handles, handles, run_facts};
use crate::model::{Answer, History, Learned, Model, ModelTransaction, Operation, RunQuery, Scan, SpaceId, Standing};

/// Why a store is not what it should be.
#[derive(Debug)]
pub(super) enum Trouble {
    /// It says something wrong.
    Wrong(String),
    /// It says that it cannot say.
    Store(Error),
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        Self::Store(error)
    }
}

impl Trouble {
    pub(super) fn text(self) -> String {
        match self {
            Self::Wrong(what) => what,
            Self::Store(error) => format!("the store fails: {error}"),
        }
    }
}

/// What a plain crash can interrupt, and what the report then lists: the writing of an anchor (F-8), and the creation of a
/// segment (F-30). Anything else that is called damage after a plain crash is a false alarm.
const UNFINISHED: [&str; 2] = ["F-8", "F-30"];

/// Judges a store that was just opened after a plain crash, and returns the commit that it has come back with.
pub(super) fn recovered<S: Storage>(db: &Db<S>, history: &History, process: u64) -> Result<u64, Trouble> {
    let (seq, report) = (db.view().seq(), db.recovery_report());
    let wrong = |what: &str| Err(Trouble::Wrong(format!("{what}; recovery ends at {seq}: {report:?}")));
    if seq < history.promised() {
        return wrong(&format!("commit {} was promised", history.promised()));
    }
    let Some(model) = history.at(seq) else { return wrong("no such commit ever was") };
    if report.seq != seq || (report.created && seq > 0) || report.snapshot.is_some_and(|(_, at)| at > seq) {
        return wrong("the report is wrong");
    }
    let mut damage = report.damage.iter().chain(&report.log.damage).chain(&report.rejected_snapshots);
    if damage.any(|damage| !UNFINISHED.contains(&damage.rule)) {
        return wrong("the report raises a false alarm");
    }
    if db.durable_seq() != seq {
        return wrong(&format!("what is served is durable, and {} is said to be", db.durable_seq()));
    }
    let orphaned = RunQuery { standing: Some(Standing::Orphaned), ..RunQuery::default() };
    let orphaned = model.query(&orphaned, process);
    if report.orphaned_runs != orphaned.iter().map(|run| run.id).collect::<Vec<_>>() {
        return wrong("the orphaned runs are others");
    }
    same(db, model, process)?;
    Ok(seq)
}

/// The same for the next process: the power has not failed since the system was told what it has.
pub(super) fn survived<S: Storage>(db: &Db<S>, history: &History, process: u64) -> Result<u64, Trouble> {
    let seq = recovered(db, history, process)?;
    if seq < history.handed_over() {
        let what = format!("commit {} was with the system; recovery ends at {seq}", history.handed_over());
        return Err(Trouble::Wrong(what));
    }
    Ok(seq)
}

/// Compares everything that a reader sees with the model.
pub(super) fn same<S: Storage>(db: &Db<S>, model: &Model, process: u64) -> Result<(), Trouble> {
    same_view(&db.view(), model, process)
}

/// The same for a view, which may be an old one.
pub(super) fn same_view<S: Storage>(
    view: &foldb_core::View<'_, S>,
    model: &Model,
    process: u64,
) -> Result<(), Trouble> {
    let runs: Vec<_> = view.runs().into_iter().map(run_facts).collect();
    let expected = model.query(&RunQuery::default(), process);
    if runs != expected {
        let (runs, expected) = difference(&runs, &expected);
        return Err(Trouble::Wrong(format!("after commit {} the runs are {runs} and not {expected}", model.seq())));
    }
    same_space(&handles!(view.default_space()), model, None)?;
    for run in runs {
        same_space(&handles!(view.run(run.id)?), model, Some(run.id))?;
    }
    Ok(())
}

fn same_space<A: foldb_core::primitive::access::Access>(
    handles: &Handles<A>,
    model: &Model,
    space: SpaceId,
) -> Result<(), Trouble> {
    let all = Scan::all();
    let backwards = Scan { reverse: true, ..Scan::all() };
    let lists = [
        Operation::Pairs(all.clone()),
        Operation::Keys(backwards),
        Operation::Documents(all.clone()),
        Operation::Cells(all.clone()),
        Operation::Entries(all.clone()),
        Operation::Roots(all.clone()),
    ];
    for operation in &lists {
        same_answer(handles, model, space, operation)?;
    }
    if let Answer::Streams(streams) = same_answer(handles, model, space, &Operation::Streams(all))? {
        for stream in streams {
            let every = Operation::Events(stream.name, Bound::Unbounded, Bound::Unbounded, None, false);
            same_answer(handles, model, space, &every)?;
        }
    }
    Ok(())
}

fn same_answer<A: foldb_core::primitive::access::Access>(
    handles: &Handles<A>,
    model: &Model,
    space: SpaceId,
    operation: &Operation,
) -> Result<Answer, Trouble> {
    let found = handles.look(operation)?;
    let expected = ModelTransaction::default().perform(model, space, operation, Learned::default());
    if expected.as_ref() == Ok(&found) {
        return Ok(found);
    }
    let (found, expected) = difference(&found, &expected.ok());
    let what = format!("in {space:?} after commit {}, {operation:?} gives {found} and not {expected}", model.seq());
    Err(Trouble::Wrong(what))
}

/// Two values as text, from shortly before the place where the texts part.
pub(super) fn difference(one: &impl Debug, other: &impl Debug) -> (String, String) {
    const BEFORE: usize = 60;
    const SHOWN: usize = 400;
    let (one, other) = (format!("{one:?}"), format!("{other:?}"));
    // The second may be wrapped in a `Some`: then they part at once, and both are shown from their beginnings.
    let other = other.strip_prefix("Some(").unwrap_or(&other).to_owned();
    let same = one.chars().zip(other.chars()).take_while(|(left, right)| left == right).count();
    let show = |text: &str| text.chars().skip(same.saturating_sub(BEFORE)).take(SHOWN).collect();
    (show(&one), show(&other))
}

/// The digests of all spaces, as one text.
pub(super) fn digests<S: Storage>(db: &Db<S>) -> Result<String, Error> {
    let view = db.view();
    let mut text = view.default_space().digest()?.to_string();
    for run in view.runs() {
        text.push(' ');
        text.push_str(&view.run(run.id)?.digest()?.to_string());
    }
    Ok(text)
}

/// Everything that the store can check by itself: checksums, pointers, chains, and that replay equals live.
pub(super) fn verified<S: Storage>(db: &Db<S>) -> Result<(), Trouble> {
    let report = db.verify(&mut |_| ControlFlow::Continue(()))?;
    if let Some(violation) = report.violations.first() {
        return Err(Trouble::Wrong(format!("verification finds {violation:?}")));
    }
    let view = db.view();
    for run in view.runs() {
        let (live, replayed) = (view.run(run.id)?.digest()?, db.replay(run.id)?.digest()?);
        if live != replayed {
            return Err(Trouble::Wrong(format!("run {} replays to {replayed} and is {live}", run.id)));
        }
    }
    Ok(())
}
