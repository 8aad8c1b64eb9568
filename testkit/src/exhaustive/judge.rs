//! Judging one image: what is recovered from it, whether that is allowed, and whether work can go on.
//!
//! Invariant: an image that is judged is never changed; each opening works on a copy that shares its pages.

use foldb_core::{Error, Result, storage::StorageError};

use super::{
    contents::Contents,
    execution::{Execution, open},
    workload::Workload,
};
use crate::crash::{Action, CrashStorage, Image};

/// What a plain crash can interrupt, and what the report then lists: the writing of an anchor (F-8), and the creation of a
/// segment (F-30). Anything else that is called damage after a plain crash is a false alarm.
const UNFINISHED: [&str; 2] = ["F-8", "F-30"];

/// What one recovery of an image did.
pub(super) struct Recovery {
    /// The disk, with a journal of what the recovery did to it.
    pub(super) disk: CrashStorage,
    /// The newest commit that is served.
    pub(super) seq: u64,
}

impl Recovery {
    /// Whether it changed the disk. Recovery syncs what it reads, so that it never believes a page cache alone; that
    /// changes nothing.
    pub(super) fn writes(&self) -> bool {
        self.disk.operations().iter().any(|operation| operation.action != Action::Sync)
    }
}

/// Lives of stores that open images: far from those of the workload, so that no salt is ever given twice.
const FIRST_LIFE: u64 = 1 << 32;

/// Opens an image, and says what is wrong with what comes out: it must be the contents after some commit, no earlier
/// than `promised`.
pub(super) fn recover(
    execution: &Execution,
    workload: &Workload,
    image: &Image,
    promised: u64,
    depth: u64,
) -> Result<Recovery, String> {
    let disk = CrashStorage::from_image(image);
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
    let found = Contents::of(&db).map_err(|error| format!("reading fails after commit {seq}: {error}"))?;
    let allowed = execution.history.get(&seq).ok_or_else(|| format!("commit {seq} never was"))?;
    if !allowed.contains(&found) {
        let difference = allowed.last().map_or_else(String::new, |expected| found.difference(expected));
        return Err(format!("after commit {seq} the contents are wrong: {difference}"));
    }
    disk.kill_process();
    drop(db);
    Ok(Recovery { disk, seq })
}

/// The dear half: a third recovery finds the same as the second and changes nothing that the second had not, the store
/// verifies, and one more commit is there after one more recovery.
pub(super) fn go_on(workload: &Workload, recovered: &Recovery) -> Result<(), String> {
    let says = |what: &'static str| move |error: Error| format!("{what}: {error}");
    let second = open_again(workload, recovered, 8).map_err(says("opening a second time"))?;
    let before = second.disk.live_image();
    let third = open_again(workload, &second, 9).map_err(says("opening a third time"))?;
    if (second.seq, third.seq) != (recovered.seq, recovered.seq) {
        return Err(format!("recovered {}, then {}, then {}", recovered.seq, second.seq, third.seq));
    }
    if third.writes() || third.disk.live_image() != before {
        return Err(format!("the third opening writes: {:?}", third.disk.operations()));
    }
    work_on(workload, &third).map_err(says("going on"))
}

fn open_again(workload: &Workload, recovered: &Recovery, life: u64) -> Result<Recovery> {
    let disk = CrashStorage::from_image(&recovered.disk.live_image());
    let db = open(disk.clone(), workload, FIRST_LIFE + life)?;
    let seq = db.view().seq();
    disk.kill_process();
    drop(db);
    Ok(Recovery { disk, seq })
}

fn work_on(workload: &Workload, recovered: &Recovery) -> Result<()> {
    let disk = CrashStorage::from_image(&recovered.disk.live_image());
    let db = open(disk.clone(), workload, FIRST_LIFE + 10)?;
    db.kv().put("after", "the crash")?;
    db.sync()?;
    let report = db.verify(&mut |_| core::ops::ControlFlow::Continue(()))?;
    if let Some(violation) = report.violations.first() {
        return Err(Error::Invalid { what: "recovered store", why: format!("{violation:?}") });
    }
    disk.kill_process();
    drop(db);
    // The machine goes down as well: only what was synced is left.
    let image = disk.crash_point(disk.operation_count()).nothing_survives();
    let db = open(CrashStorage::from_image(&image), workload, FIRST_LIFE + 11)?;
    match db.kv().get::<String>("after")? {
        Some(value) if value == "the crash" => Ok(()),
        _ => Err(StorageError::Missing { name: "the commit after the crash".into() }.into()),
    }
}
