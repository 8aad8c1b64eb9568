//! The bounded share of the enumeration that runs every day, and that it can fail.

use super::*;

/// For builds that are not optimized; `cargo xtask crashes --quick` looks at eight times as many recoveries, and damages the
/// files of every workload.
fn daily() -> Settings {
    Settings { second_crash_every: 64, third_crash_every: 64, damage: false, ..Settings::quick() }
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
    for workload in (0..20).map(Workload::random) {
        let settings = Settings { subsets: 16, ..daily() };
        check(&workload, &settings).unwrap_or_else(|violation| panic!("{violation}"));
    }
}

#[test]
fn damage_at_rest_is_noticed_or_does_no_harm() {
    for name in ["closed", "parts", "once-in-snapshots"] {
        let workload = Workload::find(name).unwrap();
        let mut execution = Execution::of(&workload).unwrap();
        let damaged = damage::check(&mut execution, &workload).unwrap_or_else(|what| panic!("{name}: {what}"));
        assert!(damaged > 400, "{name}: {damaged}");
    }
}

#[test]
fn the_same_workload_has_the_same_images() {
    let workload = Workload::find("killed").unwrap();
    let count = || check(&workload, &daily()).unwrap();
    assert_eq!(count(), count());
}

#[test]
fn an_image_has_the_same_number_on_machines_of_32_and_of_64_bits() {
    let number = |hashed: &dyn Fn(&mut Portable)| {
        let mut hasher = Portable::default();
        hashed(&mut hasher);
        hasher.finish()
    };
    assert_eq!(number(&|hasher| 7_usize.hash(hasher)), number(&|hasher| 7_u64.hash(hasher)));
}

#[test]
fn an_image_that_was_judged_before_is_recognized_and_still_compared_with_what_is_promised() {
    let workload = Workload::find("strict-puts").unwrap();
    let settings = daily();
    let mut explorer = Explorer::new(&workload, &settings, Execution::of(&workload).unwrap());
    explorer.path.push((0, 0));
    let empty = Image::default();
    assert!(matches!(explorer.look(&empty, 0), Ok(0)));
    assert!(matches!(explorer.look(&empty, 0), Ok(0)));
    assert_eq!(explorer.counts.checked, 1);
    assert!(matches!(explorer.look(&empty, 1), Err(Wrong::Here(what)) if what.contains("was promised")));
}

#[test]
fn an_image_has_a_name_that_can_be_typed() {
    let path = ImagePath::new(&[(17, 203), (4, 9)]);
    assert_eq!(path.to_string(), "17.203/4.9");
    assert_eq!(path.to_string().parse(), Ok(path));
    assert!("17".parse::<ImagePath>().is_err());
}

#[test]
fn a_promise_that_the_disk_did_not_keep_is_found_and_found_again_by_its_name() {
    let workload = Workload::find("buffered-puts").unwrap();
    let look = |only| {
        let mut execution = Execution::of(&workload).unwrap();
        // As if buffered commits were promised when they return.
        execution.promise_at(0, execution.newest());
        let settings = Settings { only, ..daily() };
        Explorer::new(&workload, &settings, execution).crash_everywhere(&mut |_| {}).unwrap_err()
    };
    let violation = look(None);
    assert!(violation.what.contains("was promised"), "{violation}");
    let again = look(violation.image.clone());
    assert_eq!((&again.image, &again.what), (&violation.image, &violation.what));
    assert!(violation.operations.is_empty());
    // The very first image: nothing was asked of the disk before.
    assert_eq!(again.operations, ["    0  crash"]);
}
