//! Verification in steps: what happens between two of them is no violation.

use std::ops::ControlFlow;

use super::*;

#[test]
fn commits_rotations_snapshots_and_deletions_between_the_steps_of_a_verification_are_no_violations() {
    // Segments of a few commits each, so that the log goes on in new ones between any two steps.
    let db = open(MemStorage::new(), BUFFERED, 8192, 1).unwrap();
    let runs: Vec<RunId> =
        (0..6).map(|number| db.runs().begin(RunOptions::named(format!("run {number}"))).unwrap().id()).collect();
    let commit = |number: u32| {
        for run in &runs {
            // One of them is deleted on the way.
            let Ok(run) = db.runs().get(*run) else { continue };
            run.kv().put(format!("key {}", number % 7), vec![7_u8; 700]).unwrap();
            run.events().append("log", "line", number).unwrap();
        }
        db.kv().put("number", number).unwrap();
    };
    (0..10).for_each(commit);
    let mut verification = db.begin_verification().unwrap();
    let mut number = 10;
    let mut phases = Vec::new();
    while let Some(next) = verification.next_step() {
        assert_eq!((next.done, next.total), (phases.len() as u64, 9), "the log, the snapshots, and seven spaces");
        phases.push(next.phase);
        db.verify_step(&mut verification, &mut |_| ControlFlow::Continue(())).unwrap();
        (number..number + 10).for_each(commit);
        number += 10;
        db.snapshot().unwrap();
        if next.done == 3 {
            db.runs().get(runs[4]).unwrap().cancel("not needed").unwrap();
            db.runs().delete(runs[4]).unwrap();
        }
    }
    assert_eq!(phases[..3], ["log", "snapshots", "replaying"]);
    let report = verification.into_report();
    assert_eq!(report.violations, []);
    assert_eq!(report.spaces, 7);
}

#[test]
fn a_step_that_was_cancelled_is_done_again_and_one_too_many_does_nothing() {
    let db = store();
    db.kv().put("a", 1).unwrap();
    let expected = db.verify(&mut |_| ControlFlow::Continue(())).unwrap();
    let mut verification = db.begin_verification().unwrap();
    while let Some(next) = verification.next_step() {
        // The snapshots are looked at in one go, and nobody is asked.
        if next.phase != "snapshots" {
            assert_kind(db.verify_step(&mut verification, &mut |_| ControlFlow::Break(())), ErrorKind::Cancelled);
            assert_eq!(verification.next_step(), Some(next));
        }
        db.verify_step(&mut verification, &mut |_| ControlFlow::Continue(())).unwrap();
    }
    db.verify_step(&mut verification, &mut |_| ControlFlow::Continue(())).unwrap();
    assert_kind(store().verify_step(&mut verification, &mut |_| ControlFlow::Continue(())), ErrorKind::Invalid);
    assert_eq!(verification.into_report(), expected);
}
