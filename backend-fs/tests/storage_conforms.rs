//! `FsStorage` keeps the storage contract on the file system that holds the temporary directory.

use foldb_core::{Error, storage::StorageError};
use foldb_fs::FsStorage;
use foldb_testkit::conformance::{self, Capability, StorageFactory, Verdict};
use tempfile::TempDir;

struct Files(TempDir);

impl Files {
    fn open(&self, create: bool) -> Result<FsStorage, StorageError> {
        FsStorage::open(self.0.path().join("store"), create).map_err(|error| match error {
            Error::Storage(error) => error,
            other => panic!("{other}"),
        })
    }
}

impl StorageFactory for Files {
    type Storage = FsStorage;

    fn fresh(&mut self) -> Result<FsStorage, StorageError> {
        self.0 = tempfile::tempdir().unwrap();
        self.open(true)
    }

    fn reopen(&mut self) -> Result<FsStorage, StorageError> {
        // One that has no file yet is an empty directory.
        self.open(true)
    }

    fn second_opener(&mut self) -> Option<Result<FsStorage, StorageError>> {
        Some(self.open(false))
    }

    #[cfg(unix)]
    fn displace(&mut self) -> bool {
        std::fs::remove_file(self.0.path().join("store").join("lock")).unwrap();
        true
    }

    fn supports(&self, capability: Capability) -> bool {
        // NTFS fills the gap with zeros unless a file is marked as sparse: 4 GiB of writing for one test.
        capability != Capability::LargeOffsets || cfg!(not(windows))
    }
}

#[test]
fn files_keep_the_storage_contract() {
    conformance::assert_conforms(&mut Files(tempfile::tempdir().unwrap()));
}

#[cfg(unix)]
#[test]
fn nothing_of_the_contract_is_skipped_on_unix() {
    let verdicts = conformance::run(&mut Files(tempfile::tempdir().unwrap()));
    assert!(verdicts.iter().all(|(_, verdict)| *verdict == Verdict::Kept), "{verdicts:?}");
}
