//! Growth: what each operation costs when there is eight times as much.
//!
//! Work is counted (see [`crate::work`]), not timed, so the figures are the same everywhere. Each operation of the [`table`] is
//! done on little and on much, in all the places where it can be done: on the store itself, once on a store that was just opened
//! and reads each page from a snapshot, in a transaction that reads what is committed, in one that has written all of it itself, and
//! in the replay of its history. Invariant: nowhere does an operation cost much more for there being more.
//!
//! `cargo test -p foldb-core growth -- --nocapture` prints the table that is in `docs/performance.md`.

mod place;
mod table;

use std::{println, string::String, sync::Arc, vec::Vec};

use self::{
    place::{Place, Space},
    table::Row,
};
use crate::{Db, Durability, Options, RunId, RunOptions, host::SteppedHost, storage::MemStorage, work};

/// How much there is. So much that a tree has several leaves, between which there is nothing but height.
const LITTLE: u64 = 800;
const MUCH: u64 = 8 * LITTLE;

/// How often an operation is done: so often that leaves which were full are split by then. One that goes over all there is, less.
const TIMES: u64 = 256;
const TIMES_OF_ALL: u64 = 4;

/// With eight times as much an operation may cost twice as much, and a little more: a tree gets a level higher, and figures are
/// small. What walks over all there is costs eight times as much.
fn most(little: u64) -> u64 {
    2 * little + 24
}

fn open(storage: &MemStorage) -> Db<MemStorage> {
    let options = Options::new().durability(Durability::buffered()).snapshot_on_close(false).snapshot_log_bytes(None);
    Db::open(storage.clone(), Arc::new(SteppedHost::new(7)), options).unwrap()
}

fn store(storage: &MemStorage) -> (Db<MemStorage>, RunId) {
    let db = open(storage);
    let run = db.runs().begin(RunOptions::named("run")).unwrap().id();
    (db, run)
}

/// What something costs, for each of so many.
fn cost(units: u64, work: impl FnOnce()) -> u64 {
    let before = work::done();
    work();
    (work::done() - before).div_ceil(units)
}

fn operate(row: &Row, place: Place<'_>, amount: u64, turn: u64) {
    (row.operate)(&Space(place), amount, turn).unwrap_or_else(|error| panic!("{}: {error}", row.name));
}

/// What an operation costs in a place where so much is.
fn cost_of(row: &Row, place: Place<'_>, amount: u64) -> u64 {
    let times = if row.is_of_all { TIMES_OF_ALL } else { TIMES };
    let units = if row.is_of_all { times * amount } else { times };
    // The first time is the caller's.
    cost(units, || (1..=times).for_each(|turn| operate(row, place, amount, turn)))
}

/// Where an operation is done, and what it costs there.
type Costs = [(&'static str, u64); 6];

/// A store where so much is committed.
fn prepared(storage: &MemStorage, row: &Row, amount: u64) -> (Db<MemStorage>, RunId) {
    let (db, run) = store(storage);
    if row.singly {
        (row.prepare)(&Space(Place::Store(&db, run)), amount);
    } else {
        db.transaction(|tx| {
            (row.prepare)(&Space(Place::Transaction(tx, run)), amount);
            Ok::<_, crate::Error>(())
        })
        .unwrap();
    }
    (db, run)
}

fn costs(row: &Row, amount: u64) -> Costs {
    let (db, run) = prepared(&MemStorage::new(), row, amount);
    let before = db.view().seq();
    // Over what is committed, in a transaction that is dropped.
    let tx = db.begin_transaction().unwrap();
    let inside = cost_of(row, Place::Transaction(&tx, run), amount);
    drop(tx);
    let on_store = cost_of(row, Place::Store(&db, run), amount);
    let replay = if row.writes {
        let without = cost(1, || drop(db.replay_at(run, before).unwrap()));
        let all = cost(1, || drop(db.replay(run).unwrap()));
        all.saturating_sub(without).div_ceil(TIMES)
    } else {
        let replayed = db.replay(run).unwrap();
        cost_of(row, Place::View(replayed.view(), run), amount)
    };
    let (own, whole) = own_writes(row, amount);
    [
        ("store", on_store),
        ("cold", cold(row, amount)),
        ("transaction", inside),
        ("own writes", own),
        ("whole", whole),
        ("replay", replay),
    ]
}

/// What it costs once, on a store that was just opened from a snapshot.
fn cold(row: &Row, amount: u64) -> u64 {
    let storage = MemStorage::new();
    let (db, run) = prepared(&storage, row, amount);
    db.snapshot().unwrap();
    db.close().unwrap();
    let db = open(&storage);
    cost(if row.is_of_all { amount } else { 1 }, || operate(row, Place::Store(&db, run), amount, 0))
}

/// The same in a transaction that begins the run itself, so that nothing is committed. Once is not counted there: what the first
/// scan sorts is kept. It counts in what the whole transaction costs for each of its writes, from the first to the commit.
fn own_writes(row: &Row, amount: u64) -> (u64, u64) {
    let (db, _) = store(&MemStorage::new());
    let mut own = 0;
    let whole = cost(amount, || {
        let tx = db.begin_transaction().unwrap();
        let run = tx.runs().begin(RunOptions::named("new")).unwrap().id();
        (row.prepare)(&Space(Place::Transaction(&tx, run)), amount);
        operate(row, Place::Transaction(&tx, run), amount, 0);
        own = cost_of(row, Place::Transaction(&tx, run), amount);
        tx.commit().unwrap();
    });
    (own, whole)
}

/// Prints what each operation costs, and demands that nothing grows.
fn check(rows: Vec<Row>) {
    let mut wrong: Vec<String> = Vec::new();
    for row in rows {
        let mut line = std::format!("| {} |", row.name);
        for ((place, little), (_, much)) in costs(&row, LITTLE).into_iter().zip(costs(&row, MUCH)) {
            line += &std::format!(" {little} → {much} |");
            if much > most(little) {
                wrong.push(std::format!("{} ({place}): {little} → {much}", row.name));
            }
        }
        println!("{line}");
    }
    assert!(wrong.is_empty(), "with eight times as much these cost more than twice:\n{}", wrong.join("\n"));
}

/// What is another word for one of the others, or looks nothing up.
const ALIASES: &[&str] = &[
    "all_as",
    "begin_or_get",
    "filter",
    "get_as",
    "is_empty",
    "list_as",
    "new",
    "number",
    "place",
    "range_as",
    "remove_label",
    "scan_as",
    "set_as",
    "try_update",
    "update_as",
    "upsert_as",
];

/// An operation that is not in the table could go over all there is, and nobody would see it.
#[test]
fn every_operation_of_every_primitive_is_in_the_table() {
    // What a macro writes for several primitives is deeper inside.
    let expiries = include_str!("../primitive/expiry.rs").replace("\n            pub fn ", "\n    pub fn ");
    let sources = [
        expiries.as_str(),
        include_str!("../primitive/kv.rs"),
        include_str!("../primitive/kv/writes.rs"),
        include_str!("../primitive/documents.rs"),
        include_str!("../primitive/documents/paths.rs"),
        include_str!("../primitive/documents/updates.rs"),
        include_str!("../primitive/events.rs"),
        include_str!("../primitive/events/order.rs"),
        include_str!("../primitive/cells.rs"),
        include_str!("../primitive/trace.rs"),
        include_str!("../db/runs.rs").split("pub struct Runs<").nth(1).unwrap(),
    ];
    let table = include_str!("table.rs");
    let is_name = |char: char| char.is_ascii_alphanumeric() || char == '_';
    let mut missing = Vec::new();
    for operation in sources.iter().flat_map(|source| source.split("\n    pub fn ").skip(1)) {
        let name = operation.split(|char| !is_name(char)).next().unwrap();
        let is_handle = operation.split(')').next().is_none_or(|parameters| !parameters.contains("self"));
        let is_there = table.contains(&std::format!(".{name}(")) || table.contains(&std::format!(".{name}::<"));
        if !is_handle && !is_there && !ALIASES.contains(&name) {
            missing.push(name);
        }
    }
    assert!(missing.is_empty(), "the table of growth does not have {missing:?}");
}

#[test]
fn no_operation_on_pairs_costs_much_more_for_there_being_more() {
    check(table::pairs_table());
}

#[test]
fn no_operation_on_documents_costs_much_more_for_there_being_more() {
    check(table::documents_table());
}

#[test]
fn no_operation_on_events_costs_much_more_for_there_being_more() {
    check(table::events_table());
}

#[test]
fn no_operation_on_cells_costs_much_more_for_there_being_more() {
    check(table::cells_table());
}

#[test]
fn no_operation_on_traces_costs_much_more_for_there_being_more() {
    check(table::trace_table());
}

#[test]
fn no_operation_on_runs_costs_much_more_for_there_being_more() {
    check(table::runs_table());
}

#[test]
fn no_savepoint_costs_much_more_for_there_being_more() {
    check(table::savepoints_table());
}
