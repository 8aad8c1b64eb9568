//! The life of runs, of stores, and of the directories that stores are in.

#[path = "lifecycle/clones.rs"]
mod clones;
#[path = "lifecycle/fork.rs"]
mod fork;
#[path = "lifecycle/going_on.rs"]
mod going_on;
#[path = "lifecycle/handles.rs"]
mod handles;
#[path = "lifecycle/modes.rs"]
mod modes;
#[path = "lifecycle/opening.rs"]
mod opening;
#[path = "lifecycle/place.rs"]
mod place;
#[path = "lifecycle/run_keys.rs"]
mod run_keys;
#[path = "lifecycle/runs.rs"]
mod runs;
mod scenario;
#[path = "lifecycle/shown.rs"]
mod shown;
#[path = "lifecycle/verification.rs"]
mod verification;

use foldb::{
    Db, Durability, Error, ErrorKind, Options, Result, RunFilter, RunId, RunOptions,
    storage::{MemStorage, Storage},
};
use foldb_testkit::{
    crash::{CrashStorage, Image},
    output, undisturbed,
};
use scenario::open;

const STRICT: Durability = Durability::Strict;
const BUFFERED: Durability = Durability::buffered();

fn store() -> Db<MemStorage> {
    open(MemStorage::new(), BUFFERED, 1 << 20, 1).unwrap()
}

#[track_caller]
fn assert_kind<T>(result: Result<T>, kind: ErrorKind) -> Error {
    let error = result.err().expect("an error");
    assert_eq!(error.kind(), kind, "{error}");
    error
}

fn names<S: Storage>(db: &Db<S>, filter: &RunFilter) -> Vec<String> {
    db.runs().list(filter).unwrap().into_iter().map(|run| run.name).collect()
}

fn begin<S: Storage>(db: &Db<S>, name: &str) -> RunId {
    db.runs().begin(RunOptions::named(name)).unwrap().id()
}

fn options(durability: Durability) -> Options {
    Options::new().durability(durability)
}

/// A store with one segment, closed, with its segment's name.
fn small_store() -> (Image, String) {
    let disk = CrashStorage::new();
    let db = open(disk.clone(), STRICT, 1 << 20, 1).unwrap();
    db.kv().put("a", 1).unwrap();
    db.close().unwrap();
    let image = disk.live_image();
    let name = image.names().find(|name| name.starts_with("log-")).unwrap().to_owned();
    (image, name)
}
