//! Judging one image: what is recovered from it, whether that is allowed, and whether work can go on.
//!
//! Invariant: an image that is judged is never changed; each opening works on a copy that shares its pages.

use foldb_core::{Db, Result, TransactionOptions, storage::Storage};

use super::{
    contents::Glance,
    execution::{Execution, open, wrong},
    protocol,
    workload::Workload,
};
use crate::crash::{CrashStorage, Image};

/// What a plain crash can interrupt, and what the report then lists: the writing of an anchor (F-8), and the creation of a
/// segment (F-30). Anything else that is called damage after a plain crash is a false alarm.
const UNFINISHED: [&str; 2] = ["F-8", "F-30"];

/// What one recovery of an image did.
pub(super) struct Recovery {
    /// The disk, with a journal of what the recovery did to it.
    pub(super) disk: CrashStorage,
    /// The newest commit that is served.
    pub(super) seq: u64,
    /// The digest of everything that is served.
    pub(super) seen: u64,
}

/// Lives of stores that open images: far from those of the workload, so that no salt is ever given twice.
const FIRST_LIFE: u64 = 1 << 32;

/// Opens an image, and says what is wrong with what comes out: it must be the contents after some commit, no earlier
/// than `promised`.
pub(super) fn recover(
    execution: &mut Execution,
    workload: &Workload,
    image: &Image,
    promised: u64,
    depth: u64,
    glance: &mut Glance,
) -> Result<Recovery, String> {
    let recovery = recover_disk(execution, workload, CrashStorage::from_image(image), promised, depth, glance)?;
    protocol::check(image, &recovery.disk)?;
    Ok(recovery)
}

/// The same for a disk of which not everything is durable, as a process leaves it that dies alone.
pub(super) fn recover_disk(
    execution: &mut Execution,
    workload: &Workload,
    disk: CrashStorage,
    promised: u64,
    depth: u64,
    glance: &mut Glance,
) -> Result<Recovery, String> {
    let db = open(disk.clone(), workload, FIRST_LIFE + depth).map_err(|error| format!("opening fails: {error}"))?;
    let (seq, report) = (db.view().seq(), db.recovery_report());
    if seq < promised {
        return Err(format!("commit {promised} was promised, recovery ends at {seq}: {report:?}"));
    }
    let unfinished = |rule: &str| UNFINISHED.contains(&rule);
    let mut damage = report.damage.iter().chain(&report.log.damage).chain(&report.rejected_snapshots);
    let false_alarm = damage.any(|damage| !unfinished(damage.rule));
    if report.seq != seq || false_alarm {
        return Err(format!("the report is wrong about commit {seq}: {report:?}"));
    }
    let seen = judge_contents(execution, &db, seq, glance)?;
    disk.kill_process();
    drop(db);
    Ok(Recovery { disk, seq, seen })
}

/// Says what is wrong with what a store serves, of which `seq` is the newest commit; else its digest.
fn judge_contents<S: Storage>(
    execution: &mut Execution,
    db: &Db<S>,
    seq: u64,
    glance: &mut Glance,
) -> Result<u64, String> {
    let failed = |error| format!("reading fails after commit {seq}: {error}");
    let (open, seen) = execution.judge_contents(db, seq, glance).map_err(failed)??;
    // Whoever worked on a run is dead: all runs that are open are orphaned.
    let orphaned = db.recovery_report().orphaned_runs.len();
    if orphaned != open {
        return Err(format!("{orphaned} runs are said to be orphaned after commit {seq}, {open} are open"));
    }
    Ok(seen)
}

/// The dear half: a third recovery finds the same as the second and changes nothing that the second had not, the store
/// verifies, what was done once is not done again, and one more commit is there after one more recovery.
pub(super) fn go_on(
    execution: &mut Execution,
    workload: &Workload,
    recovered: &Recovery,
    glance: &mut Glance,
) -> Result<(), String> {
    let mut again = |what: &str, recovered: &Recovery, life| {
        open_again(execution, workload, recovered, life, glance)
            .map_err(|error| format!("opening a {what} time: {error}"))
    };
    let second = again("second", recovered, 8)?;
    let before = second.disk.live_image();
    let third = again("third", &second, 9)?;
    if (second.seq, third.seq) != (recovered.seq, recovered.seq) {
        return Err(format!("recovered {}, then {}, then {}", recovered.seq, second.seq, third.seq));
    }
    if third.disk.is_changed() || third.disk.live_image() != before {
        return Err(format!("the third opening writes: {:?}", third.disk.operations()));
    }
    work_on(execution, workload, &third).map_err(|error| format!("going on: {error}"))
}

fn open_again(
    execution: &mut Execution,
    workload: &Workload,
    recovered: &Recovery,
    life: u64,
    glance: &mut Glance,
) -> Result<Recovery, String> {
    let disk = CrashStorage::from_image(&recovered.disk.live_image());
    let db = open(disk.clone(), workload, FIRST_LIFE + life).map_err(|error| error.to_string())?;
    let seq = db.view().seq();
    let seen = judge_contents(execution, &db, seq, glance)?;
    disk.kill_process();
    drop(db);
    Ok(Recovery { disk, seq, seen })
}

fn work_on(execution: &Execution, workload: &Workload, recovered: &Recovery) -> Result<()> {
    let disk = CrashStorage::from_image(&recovered.disk.live_image());
    let db = open(disk.clone(), workload, FIRST_LIFE + 10)?;
    do_once_again(execution, &db, recovered.seq)?;
    db.kv().put("after", "the crash")?;
    db.sync()?;
    let report = db.verify(&mut |_| core::ops::ControlFlow::Continue(()))?;
    if let Some(violation) = report.violations.first() {
        return Err(wrong(format!("verification finds {violation:?}")));
    }
    disk.kill_process();
    drop(db);
    // The machine goes down as well: only what was synced is left.
    let image = disk.crash_point(disk.operation_count()).nothing_survives();
    let db = open(CrashStorage::from_image(&image), workload, FIRST_LIFE + 11)?;
    match db.kv().get::<String>("after")? {
        Some(value) if value == "the crash" => Ok(()),
        _ => Err(wrong("the commit after the crash is missing")),
    }
}

/// Every commit that carried an idempotency key and is there is asked for again.
fn do_once_again<S: Storage>(execution: &Execution, db: &Db<S>, seq: u64) -> Result<()> {
    // Where a seq was given twice, the key may be that of the commit that was lost.
    let surely = |at: &u64| execution.history.get(at).is_some_and(|contents| contents.len() == 1);
    let there = execution.once.iter().rev().filter(|(_, at, _)| *at <= seq).take(execution.window_at(seq));
    for (key, _, sum) in there.filter(|(_, at, _)| surely(at)) {
        let options = TransactionOptions::new().idempotency_key(key);
        let (found, receipt) = db.once_with(&options, |tx| {
            tx.kv().put("done twice", key.as_str())?;
            Ok::<_, foldb_core::Error>(0)
        })?;
        if !receipt.deduplicated {
            return Err(wrong(format!("{key} is done twice, again after the crash")));
        }
        if found != *sum {
            return Err(wrong(format!("{key} came to {sum} and is told as {found} after the crash")));
        }
    }
    Ok(())
}
