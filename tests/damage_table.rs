//! The damage table: one test for each row of the table of faults in `docs/reliability.md`.
//!
//! The promise of a row is one of: *OK*, the store opens with an exact prefix that has everything promised; *ERR*, a typed
//! error with file and offset, and not a byte changed; *POISON*, the handle refuses to go on until it is opened again;
//! *N/A*, nothing can tell, and the document says so. Whatever is asserted here is asserted through the public interface.

#[path = "damage_table/active.rs"]
mod active;
#[path = "damage_table/bench.rs"]
mod bench;
#[path = "damage_table/crashes.rs"]
mod crashes;
#[path = "damage_table/devices.rs"]
mod devices;
#[path = "damage_table/others.rs"]
mod others;
#[path = "damage_table/rot.rs"]
mod rot;

/// The rows of the table.
const ROWS: std::ops::RangeInclusive<u32> = 1..=36;

/// Where the tests of rows are.
const SOURCES: [&str; 5] = [
    include_str!("damage_table/active.rs"),
    include_str!("damage_table/crashes.rs"),
    include_str!("damage_table/devices.rs"),
    include_str!("damage_table/others.rs"),
    include_str!("damage_table/rot.rs"),
];

#[test]
fn no_row_of_the_table_is_without_a_test_and_no_test_without_a_row() {
    let document = include_str!("../docs/reliability.md");
    let rows: Vec<(u32, &str)> = document
        .lines()
        .filter_map(|line| {
            let cells: Vec<&str> = line.strip_prefix("| ")?.strip_suffix(" |")?.split(" | ").collect();
            let [number, _, _, test] = cells.as_slice() else { return None };
            Some((number.parse().ok()?, test.trim_matches('`')))
        })
        .collect();
    assert_eq!(rows.iter().map(|(number, _)| *number).collect::<Vec<_>>(), ROWS.collect::<Vec<_>>());
    let sources = SOURCES.concat();
    for (number, test) in &rows {
        assert!(test.starts_with(&format!("row_{number:02}_")), "row {number} names {test}");
        assert!(sources.contains(&format!("#[test]\nfn {test}() {{")), "row {number}: there is no test {test}");
    }
    // A row may have more tests than the one that the document names.
    for test in sources.lines().filter_map(|line| line.strip_prefix("fn row_")) {
        let number: u32 = test[..2].parse().unwrap();
        assert!(ROWS.contains(&number), "row_{test} is in no row");
    }
}
