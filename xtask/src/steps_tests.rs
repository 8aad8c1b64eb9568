//! What is done after a step that failed, and what is said of it.

use super::*;

fn step(name: &'static str, needs: Option<&'static str>) -> Step {
    Step { name, why: "", seconds: 90, needs, work: Work::Tidy }
}

/// Does these steps, of which some fail.
fn outcomes<'s>(steps: &[&'s Step], failing: &[&str]) -> Vec<(&'s Step, Outcome)> {
    run_all(steps, &mut |step| {
        let failure = failing.contains(&step.name).then(|| format!("cargo {}", step.name));
        (Duration::from_secs(2), failure)
    })
}

#[test]
fn a_step_that_fails_keeps_back_only_those_that_need_it() {
    let steps = [step("tools", None), step("lint", None), step("page", Some("tools")), step("test", None)];
    let steps: Vec<&Step> = steps.iter().collect();
    let found: Vec<Outcome> = outcomes(&steps, &["tools"]).into_iter().map(|(_, outcome)| outcome).collect();
    let done = || Outcome::Done(Duration::from_secs(2));
    let failed = Outcome::Failed(Duration::from_secs(2), "cargo tools".into());
    assert_eq!(found, [failed, done(), Outcome::KeptBack("tools"), done()]);
    let found = outcomes(&steps[2..], &[]);
    assert!(found.iter().all(|(_, outcome)| *outcome == done()), "what was not asked for is taken to be there");
}

#[test]
fn what_a_kept_back_step_was_needed_for_is_kept_back_too() {
    let steps = [step("install", None), step("tools", Some("install")), step("page", Some("tools"))];
    let steps: Vec<&Step> = steps.iter().collect();
    let found = outcomes(&steps, &["install"]);
    assert_eq!(found[2].1, Outcome::KeptBack("tools"));
}

#[test]
fn the_summary_names_each_failed_step_and_how_to_see_it_again() {
    let steps = [step("lint", None), step("page", None)];
    let steps: Vec<&Step> = steps.iter().collect();
    let lines = summary(&outcomes(&steps, &["lint", "page"])).join("\n");
    for part in [
        "lint         FAILED     2.0 s  (usually 90 s)",
        "total                   4.0 s",
        "FAILED: lint\n  this failed:      cargo lint\n  to see it again:  cargo xtask test --only lint",
        "FAILED: page\n  this failed:      cargo page\n  to see it again:  cargo xtask test --only page",
    ] {
        assert!(lines.contains(part), "{part} is missing from\n{lines}");
    }
}

#[test]
fn every_step_needs_one_that_comes_before_it() {
    for (place, step) in STEPS.iter().enumerate() {
        let is_before = |needed: &str| STEPS[..place].iter().any(|before| before.name == needed);
        assert!(step.needs.is_none_or(is_before), "{}", step.name);
        assert!(step.seconds > 0, "{}: how long it usually takes is measured", step.name);
    }
}
