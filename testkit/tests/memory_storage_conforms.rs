//! The in-memory storage keeps the storage contract.

use foldb_core::storage::{MemStorage, StorageError};
use foldb_testkit::conformance::{self, StorageFactory, Verdict};

#[derive(Default)]
struct Memory(MemStorage);

impl StorageFactory for Memory {
    type Storage = MemStorage;

    fn fresh(&mut self) -> Result<MemStorage, StorageError> {
        self.0 = MemStorage::new();
        Ok(self.0.clone())
    }

    fn reopen(&mut self) -> Result<MemStorage, StorageError> {
        Ok(self.0.clone())
    }
}

#[test]
fn memory_keeps_the_storage_contract() {
    conformance::assert_conforms(&mut Memory::default());
}

#[test]
fn only_to_be_in_one_place_with_one_owner_is_not_claimed_by_memory() {
    let skipped =
        conformance::run(&mut Memory::default()).into_iter().filter(|(_, verdict)| *verdict == Verdict::Skipped);
    let names: Vec<_> = skipped.map(|(name, _)| name).collect();
    let claims =
        ["a_second_opener_is_told_that_the_store_is_locked", "a_storage_whose_place_was_taken_says_so_and_not_before"];
    assert_eq!(names, claims);
}
