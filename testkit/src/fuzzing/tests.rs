//! The parts that the targets stand on: a fixup that fixes nothing, or a container that loses files, would make them blind.

use std::ops::ControlFlow;

use foldb_core::{
    RecoveryMode,
    log::{FrameOutcome, FrameSeal, parse_segment_name, parse_snapshot_name, read_frame},
    storage::{MemStorage, Storage},
};

use super::{Disk, Fixup, TARGETS, fixup::sections, mutated, recovery::open, seeds::seeds};
use crate::Random;

#[test]
fn putting_right_what_is_right_changes_nothing() {
    for (name, bytes) in seeds("recovery") {
        let disk = Disk::decode(&bytes);
        let mut files = disk.files.clone();
        // Frames inside of values have no checksums of their own before.
        Fixup { inner_frames: false, ..disk.fixup }.apply(&mut files);
        assert!(files == disk.files, "{name}");
    }
}

#[test]
fn every_checksum_that_a_store_looks_at_is_put_right() {
    for (name, bytes) in seeds("recovery") {
        let disk = Disk::decode(&bytes);
        let mut files = disk.files.clone();
        for (file, bytes) in &mut files {
            for at in checksums(file, &disk.files[file]) {
                bytes[at..at + 4].fill(0xee);
            }
        }
        assert!(name == "empty" || files != disk.files, "{name}");
        // A torn frame has none.
        Fixup { inner_frames: false, frames: name != "torn", ..Fixup::ALL }.apply(&mut files);
        for (file, bytes) in &disk.files {
            let differs = files[file].iter().zip(bytes).position(|(found, wanted)| found != wanted);
            assert!(differs.is_none() || name == "torn", "{name}: {file} differs at {differs:?}");
        }
    }
}

/// Where the checksums of a file are, by the store's own reader.
fn checksums(name: &str, bytes: &[u8]) -> Vec<usize> {
    if let Some(sections) = parse_snapshot_name(name).and_then(|_| sections(bytes)) {
        let ends = sections[1..].iter().map(|section| section.end - 4);
        // What the end says of pages and headers, too.
        return ends.chain([bytes.len() - 4, sections[5].start + 24, sections[5].start + 28]).collect();
    }
    let Some(number) = parse_segment_name(name) else { return vec![92] };
    let seal = FrameSeal::new(bytes[48..64].try_into().expect("sixteen bytes"), number);
    let (mut found, mut offset) = (vec![124], 128);
    while let FrameOutcome::Frame(frame) = read_frame(&bytes[offset.min(bytes.len())..], offset as u64, &seal) {
        offset = usize::try_from(frame.next).expect("a small file");
        found.push(offset - 4);
    }
    found
}

#[test]
fn a_snapshot_with_a_changed_page_is_put_right_down_to_the_page() {
    let (_, bytes) = seeds("snapshot").pop().expect("there are snapshots");
    let mut file = bytes[1..].to_vec();
    // The value of the entry that ends the first page.
    let at = 48 + 12;
    file[at] ^= 1;
    let look = |file: &[u8]| {
        let storage = MemStorage::from_files([("snapshot", file)]);
        let file = storage.open("snapshot").expect("it is there");
        foldb_core::snapshot::verify(&file, "snapshot").map_err(|error| error.to_string())
    };
    assert!(look(&file).unwrap_err().contains("checksum"), "the page's checksum");
    Fixup::ALL.snapshot(&mut file);
    let mended = look(&file);
    assert!(mended.as_ref().err().is_none_or(|error| !error.contains("checksum")), "{mended:?}");
}

#[test]
fn a_disk_survives_being_written_down() {
    for (name, bytes) in seeds("recovery") {
        let disk = Disk::decode(&bytes);
        assert_eq!(Disk::decode(&disk.encode()), disk, "{name}");
        assert!(disk.files.len() > 1 || name == "empty", "{name} has files: {:?}", disk.files.keys());
    }
}

#[test]
fn seeds_of_recovery_are_stores_that_open_and_verify() {
    for (name, bytes) in seeds("recovery") {
        let disk = Disk::decode(&bytes).storage();
        let db = open(&disk, RecoveryMode::Default, 1).unwrap_or_else(|error| panic!("{name}: {error}"));
        let report = db.verify(&mut |_| ControlFlow::Continue(())).expect("it can be verified");
        assert!(report.is_ok(), "{name}: {report:?}");
    }
}

#[test]
fn every_target_has_seeds_and_the_same_ones_each_time() {
    for target in TARGETS {
        let made = seeds(target.name);
        assert!(made.len() >= 4, "{} has {} seeds", target.name, made.len());
        assert_eq!(made, seeds(target.name));
    }
}

#[test]
fn mutations_repeat_and_change_something() {
    let (one, other) = (vec![1; 100], vec![2; 50]);
    let all = |seed| {
        let mut random = Random::new(seed);
        (0..100).map(|_| mutated(&one, &other, &mut random)).collect::<Vec<_>>()
    };
    assert_eq!(all(1), all(1));
    assert!(all(1).iter().filter(|mutant| **mutant != one).count() > 80);
}

/// The corpus of this target is bytes that mean another thing with each new step; these are enough to come to all of them.
#[test]
fn random_transactions_are_what_the_model_says() {
    let target = TARGETS.iter().find(|target| target.name == "transactions").expect("a target of this name");
    let mut random = Random::new(4);
    for length in 0..400 {
        (target.run)(&random.bytes(100 + 4 * length));
    }
}
