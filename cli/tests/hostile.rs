//! Files that nobody of ours wrote, under the program itself: whatever they are, it ends with a status and a message.

mod common;

use std::fs;

use common::Place;
use foldb_testkit::{
    Random,
    fuzzing::{Disk, mutated, seeds::seeds},
};

/// How many mutants of stores are looked at. Each is several processes.
const MUTANTS: usize = 40;

#[test]
fn dump_verify_and_salvage_of_arbitrary_files_end_with_a_status() {
    let stores: Vec<_> = seeds("recovery").into_iter().map(|(_, bytes)| bytes).collect();
    let mut random = Random::new(7);
    for number in 0..MUTANTS {
        let (one, other) = (&stores[number % stores.len()], &stores[random.index(stores.len())]);
        let mut disk = Disk::decode(&mutated(one, other, &mut random));
        disk.fixup.apply(&mut disk.files);
        let place = Place::new();
        fs::create_dir(place.store()).unwrap();
        for (name, bytes) in &disk.files {
            fs::write(place.store().join(name), bytes).unwrap();
        }
        for arguments in [&["dump", "--ops"][..], &["dump", "--ops", "--json"], &["verify"], &["stats"]] {
            let output = place.foldb(arguments).output().unwrap();
            let status = output.status.code();
            // 101 is a panic; none at all is an abort or an overflow of the stack.
            assert!(
                status.is_some_and(|status| status < 100),
                "mutant {number}, {arguments:?}: {status:?}\n{}",
                String::from_utf8_lossy(&output.stderr)
            );
        }
        let found = fs::read_dir(place.store()).unwrap().count();
        assert!(found >= disk.files.len(), "mutant {number}: looking at a store removed a file of it");
    }
}
