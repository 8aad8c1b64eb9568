//! The bounded share of the enumeration that runs every day, and that it can fail.

use super::*;

/// For builds that are not optimized; `cargo xtask crashes --quick` looks at eight times as many recoveries.
fn daily() -> Settings {
    Settings { second_crash_every: 64, third_crash_every: 64, ..Settings::quick() }
}

#[test]
fn every_crash_of_the_named_workloads_recovers_an_allowed_prefix() {
    for workload in Workload::named() {
        let counts = check(&workload, &daily()).unwrap_or_else(|violation| panic!("{violation}"));
        assert!(counts.checked > 50 && counts.gone_on > 0, "{}: {counts:?}", workload.name);
    }
}

#[test]
fn every_crash_of_random_workloads_recovers_an_allowed_prefix() {
    for seed in 0..20 {
        let settings = Settings { subsets: 16, ..daily() };
        check(&Workload::random(seed), &settings).unwrap_or_else(|violation| panic!("{violation}"));
    }
}

#[test]
fn the_same_workload_has_the_same_images() {
    let workload = Workload::find("killed").unwrap();
    let count = || check(&workload, &daily()).unwrap();
    assert_eq!(count(), count());
}

#[test]
fn the_shares_of_the_workers_make_up_the_whole() {
    let workload = Workload::find("rotation").unwrap();
    let share = |worker| check(&workload, &Settings { share: (worker, 3), ..daily() }).unwrap();
    let mut sum = share(0);
    sum += share(1);
    sum += share(2);
    assert_eq!(sum, check(&workload, &daily()).unwrap());
}

#[test]
fn a_promise_that_the_disk_did_not_keep_is_found_and_found_again_by_its_number() {
    let workload = Workload::find("buffered-puts").unwrap();
    let mut execution = Execution::of(&workload).unwrap();
    // As if buffered commits were promised when they return.
    let newest = *execution.history.last_key_value().unwrap().0;
    execution.promise_at(0, newest);
    let look = |only| {
        let settings = Settings { only, ..daily() };
        let mut explorer = Explorer {
            workload: &workload,
            settings: &settings,
            execution: &execution,
            counts: Counts::default(),
            number: 0,
        };
        explorer.crash_everywhere().unwrap_err()
    };
    let violation = look(None);
    assert!(violation.what.contains("was promised"), "{violation}");
    assert_eq!(look(violation.image), violation);
}
