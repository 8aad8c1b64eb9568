//! Opening a store and naming what is in it.
//!
//! Invariant: a command that only looks writes nothing, makes no store where there was none, and needs no lock.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use foldb::{
    AnyStorage, Durability, ErrorKind, Options, RecoveryMode, Run, RunFilter, RunId, RunInfo, SpaceView, Store,
};

use crate::failure::{Failure, Result, Status};

/// Where a store is, and how careful to be in opening it.
#[derive(Clone, Debug)]
pub(crate) struct Location {
    pub(crate) path: PathBuf,
    pub(crate) recovery: RecoveryMode,
}

impl Location {
    /// Opens a store that must be there, to look at it: also while another process has it open, and without writing anything.
    pub(crate) fn open_to_look(&self) -> Result<Store> {
        self.check_there()?;
        Ok(self.open_read_only()?)
    }

    /// The same with the errors of the store itself, for who has looked already whether anything is there.
    pub(crate) fn open_read_only(&self) -> foldb::Result<Store> {
        foldb::open_with(&self.path, self.options().read_only(true))
    }

    /// Opens a store that must be there, to write to it.
    pub(crate) fn open_existing(&self) -> Result<Store> {
        self.check_there()?;
        Ok(foldb::open_with(&self.path, self.options().create(false))?)
    }

    /// Opens a store, and makes it if it is not there. Every commit is on stable media when it returns: a single command
    /// is not worth much if the power failure after it takes it back.
    pub(crate) fn open_or_create(&self) -> Result<Store> {
        self.open_or_create_with(Durability::Strict)
    }

    /// Opens a store to write into a run or the default space. A run can only be in a store that is there.
    pub(crate) fn open_to_write(&self, run: Option<&str>) -> Result<Store> {
        if run.is_some() { self.open_existing() } else { self.open_or_create() }
    }

    /// Opens a store, and makes it if it is not there, for work of many commits, which chooses itself when a commit counts as written.
    pub(crate) fn open_or_create_with(&self, durability: Durability) -> Result<Store> {
        leads_somewhere(&self.path)?;
        let opened = foldb::open_with(&self.path, self.options().create(true).durability(durability));
        opened.map_err(|error| match error.kind() {
            // Nothing that is missing keeps a directory from being made, but a place that takes none, as /proc.
            ErrorKind::NotFound => {
                let message = format!("no directory can be made at {}", self.path.display());
                Failure::new(Status::Usage, "not_found", message)
                    .hint("name another place with --store DIR or FOLDB_STORE")
            }
            _ => error.into(),
        })
    }

    /// Fails with advice if there is nothing at the path.
    pub(crate) fn check_there(&self) -> Result<()> {
        check_there(&self.path).map_err(|failure| {
            failure.hint(
                "name one with --store DIR or FOLDB_STORE; `foldb import`, `foldb put` and `foldb runs begin` make a new one",
            )
        })
    }

    fn options(&self) -> Options {
        Options::new().recovery(self.recovery)
    }
}

/// Fails if there is nothing at a path.
pub(crate) fn check_there(path: &Path) -> Result<()> {
    if leads_somewhere(path)? {
        return Ok(());
    }
    Err(Failure::new(Status::Usage, "no_store", format!("there is no store at {}", path.display())))
}

/// Whether there is something at a path. A link that leads to nothing is neither a store nor a place for one: whatever is made
/// there would be made somewhere else, and is more likely a disk that is not mounted.
pub(crate) fn leads_somewhere(path: &Path) -> Result<bool> {
    let error = match fs::metadata(path) {
        Ok(_) => return Ok(true),
        Err(error) => error,
    };
    match fs::read_link(path) {
        Ok(target) => {
            let message = format!("{} is a link to {}, which does not lead anywhere", path.display(), target.display());
            Err(Failure::new(Status::Usage, "no_store", message)
                .hint("mount or make what it leads to, or correct the link; `ls -l` shows it"))
        }
        Err(_) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        // What is no directory, the store itself names.
        Err(_) if error.kind() == io::ErrorKind::NotADirectory => Ok(true),
        Err(_) => Err(Failure::io("looking at", path, &error)),
    }
}

/// Closes a store after writing, so that the next opening finds nothing to repair.
pub(crate) fn close(store: Store) -> Result<()> {
    Ok(store.close()?)
}

/// A run or the default space, with the same handles on both.
pub(crate) enum Space<'a> {
    /// Outside of all runs.
    Default(&'a Store),
    /// In a run.
    Run(Run<'a>),
}

/// Evaluates an expression on the handle of a primitive, in whichever space: `on_space!(space, kv, |kv| kv.get("a"))`.
macro_rules! on_space {
    ($space:expr, $primitive:ident, |$handle:ident| $body:expr) => {
        match $space {
            $crate::store::Space::Default(store) => {
                let $handle = store.$primitive();
                $body
            }
            $crate::store::Space::Run(run) => {
                let $handle = run.$primitive();
                $body
            }
        }
    };
}
pub(crate) use on_space;

/// The space that `--run` names, or the default space.
pub(crate) fn space<'a>(store: &'a Store, run: Option<&str>) -> Result<Space<'a>> {
    match run {
        None => Ok(Space::Default(store)),
        Some(name) => Ok(Space::Run(store.runs().get(find_run(store, name)?.id)?)),
    }
}

/// Advice for somebody who asked for something in a space in which it is not: where else there is such a thing.
pub(crate) fn elsewhere(
    store: &Store,
    asked: Option<&str>,
    what: &str,
    is_there: impl Fn(&SpaceView<'_, '_, AnyStorage>) -> foldb::Result<bool>,
) -> Option<String> {
    /// So many runs are looked into, the newest first.
    const LOOKED_INTO: usize = 1000;
    let view = store.view();
    let is_there = |space: &SpaceView<'_, '_, AnyStorage>| is_there(space).unwrap_or(false);
    if asked.is_some() && is_there(&view.default_space()) {
        return Some(format!("there is such a {what} in the default space; leave --run out"));
    }
    let runs = view.runs();
    let mut found = runs.iter().rev().take(LOOKED_INTO).filter(|run| view.run(run.id).is_ok_and(|run| is_there(&run)));
    let run = found.next()?;
    let others = if found.next().is_some() { ", and in others" } else { "" };
    Some(format!("there is such a {what} in run {:?}{others}; add --run {}", run.name, run.id))
}

/// A failure with advice, where there is any.
pub(crate) fn advise(failure: Failure, hint: Option<String>) -> Failure {
    match hint {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

/// The run with this id, with an id that begins like this, or with this name. One of them, or an error that says which
/// there are.
pub(crate) fn find_run(store: &Store, wanted: &str) -> Result<RunInfo> {
    if let Ok(id) = wanted.parse::<RunId>() {
        return Ok(store.runs().info(id)?);
    }
    let runs = store.runs().list(&RunFilter::all())?;
    let prefix = wanted.to_ascii_lowercase();
    let named: Vec<&RunInfo> = runs.iter().filter(|run| run.name == wanted).collect();
    let found = if named.is_empty() && is_id_prefix(&prefix) {
        runs.iter().filter(|run| run.id.to_string().starts_with(&prefix)).collect()
    } else {
        named
    };
    match found.as_slice() {
        [run] => Ok((*run).clone()),
        [] => Err(Failure::new(Status::Usage, "not_found", format!("no run has the id or name {wanted:?}"))
            .hint("`foldb runs` lists those that there are")),
        several => Err(Failure::new(Status::Usage, "ambiguous", ambiguous(wanted, several)).hint("use the whole id")),
    }
}

/// Whether a text can be the beginning of an id. Four digits at least: fewer would hardly ever be meant.
fn is_id_prefix(text: &str) -> bool {
    text.len() >= 4 && text.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
}

fn ambiguous(wanted: &str, runs: &[&RunInfo]) -> String {
    const SHOWN: usize = 5;
    let ids: Vec<String> = runs.iter().take(SHOWN).map(|run| run.id.to_string()).collect();
    let more = if runs.len() > SHOWN { ", …" } else { "" };
    format!("{wanted:?} means {} runs: {}{more}", runs.len(), ids.join(", "))
}
