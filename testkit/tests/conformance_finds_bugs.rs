//! The conformance suite notices backends that break the contract. Each defect here is one that a real backend had or
//! could easily have; a suite that lets one pass proves nothing about the others.

use std::cell::Cell;

use foldb_core::storage::{MemFile, MemStorage, Storage, StorageError, StorageFile};
use foldb_testkit::conformance::{self, StorageFactory, Verdict};

#[derive(Clone, Copy, Debug, PartialEq)]
enum Defect {
    CreateTruncatesWhatExists,
    OpenCreatesWhatIsMissing,
    ListForgetsTheLastName,
    NamesAreNotChecked,
    ShortReads,
    ReadPastTheEndFails,
    ReadFillsTheBufferPastTheEnd,
    ShortWrites,
    WriteTruncates,
    EmptyWriteGrows,
    OffsetsAreCutTo32Bits,
    SetLenNeverShrinks,
    SetLenLeavesOldBytes,
    SetLenIsForgotten,
    SyncFailsTheSecondTime,
    ReopeningLosesAFile,
    ReopeningBringsARemovedFileBack,
    SecondOpenerIsLetIn,
    PlaceIsNotLookedAt,
    PlaceIsCalledTakenAfterARemoval,
    AlwaysAnotherProcess,
}

use Defect::*;

const DEFECTS: [Defect; 21] = [
    CreateTruncatesWhatExists,
    OpenCreatesWhatIsMissing,
    ListForgetsTheLastName,
    NamesAreNotChecked,
    ShortReads,
    ReadPastTheEndFails,
    ReadFillsTheBufferPastTheEnd,
    ShortWrites,
    WriteTruncates,
    EmptyWriteGrows,
    OffsetsAreCutTo32Bits,
    SetLenNeverShrinks,
    SetLenLeavesOldBytes,
    SetLenIsForgotten,
    SyncFailsTheSecondTime,
    ReopeningLosesAFile,
    ReopeningBringsARemovedFileBack,
    SecondOpenerIsLetIn,
    PlaceIsNotLookedAt,
    PlaceIsCalledTakenAfterARemoval,
    AlwaysAnotherProcess,
];

#[derive(Clone)]
struct Defective {
    inner: MemStorage,
    defect: Defect,
    removed: Cell<bool>,
}

struct DefectiveFile {
    inner: MemFile,
    defect: Defect,
    synced: Cell<bool>,
}

fn failure() -> StorageError {
    StorageError::Io { name: "log-1".into(), action: "testing", message: "a defect".into() }
}

impl Defective {
    fn file(&self, inner: MemFile) -> DefectiveFile {
        DefectiveFile { inner, defect: self.defect, synced: false.into() }
    }
}

impl Storage for Defective {
    type File = DefectiveFile;

    fn list(&self) -> Result<Vec<String>, StorageError> {
        let mut names = self.inner.list()?;
        if self.defect == ListForgetsTheLastName {
            names.pop();
        }
        Ok(names)
    }

    fn create(&self, name: &str) -> Result<DefectiveFile, StorageError> {
        let name = if self.defect == NamesAreNotChecked && name.is_empty() { "log-0" } else { name };
        match self.inner.create(name) {
            Err(StorageError::Exists { .. }) if self.defect == CreateTruncatesWhatExists => {
                let file = self.open(name)?;
                file.inner.set_len(0)?;
                Ok(file)
            }
            created => created.map(|file| self.file(file)),
        }
    }

    fn open(&self, name: &str) -> Result<DefectiveFile, StorageError> {
        match self.inner.open(name) {
            Err(StorageError::Missing { .. }) if self.defect == OpenCreatesWhatIsMissing => self.create(name),
            opened => opened.map(|file| self.file(file)),
        }
    }

    fn remove(&self, name: &str) -> Result<(), StorageError> {
        self.removed.set(true);
        self.inner.remove(name)
    }

    fn check_process(&self) -> Result<(), StorageError> {
        match self.defect {
            AlwaysAnotherProcess => Err(StorageError::OtherProcess { name: "the store".into() }),
            _ => Ok(()),
        }
    }

    fn check_place(&self) -> Result<(), StorageError> {
        match self.defect {
            PlaceIsCalledTakenAfterARemoval if self.removed.get() => {
                Err(StorageError::Displaced { name: "the store".into(), what: "something was removed".into() })
            }
            _ => Ok(()),
        }
    }
}

impl StorageFile for DefectiveFile {
    fn len(&self) -> Result<u64, StorageError> {
        self.inner.len()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, StorageError> {
        match self.defect {
            ShortReads => {
                let count = buffer.len().min(512);
                self.inner.read_at(offset, &mut buffer[..count])
            }
            ReadPastTheEndFails if offset > self.inner.len()? => Err(failure()),
            ReadFillsTheBufferPastTheEnd => self.inner.read_at(offset, buffer).map(|_| buffer.len()),
            OffsetsAreCutTo32Bits => self.inner.read_at(offset & 0xffff_ffff, buffer),
            _ => self.inner.read_at(offset, buffer),
        }
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), StorageError> {
        match self.defect {
            ShortWrites => self.inner.write_at(offset, &bytes[..65_536.min(bytes.len())]),
            WriteTruncates => {
                self.inner.set_len(offset)?;
                self.inner.write_at(offset, bytes)
            }
            EmptyWriteGrows => {
                self.inner.set_len(self.inner.len()?.max(offset))?;
                self.inner.write_at(offset, bytes)
            }
            OffsetsAreCutTo32Bits => self.inner.write_at(offset & 0xffff_ffff, bytes),
            _ => self.inner.write_at(offset, bytes),
        }
    }

    fn set_len(&self, len: u64) -> Result<(), StorageError> {
        match self.defect {
            SetLenIsForgotten => Ok(()),
            SetLenNeverShrinks => self.inner.set_len(len.max(self.inner.len()?)),
            SetLenLeavesOldBytes if len > self.inner.len()? => {
                let gap = len - self.inner.len()?;
                self.inner.write_at(self.inner.len()?, &vec![7; usize::try_from(gap).unwrap()])
            }
            _ => self.inner.set_len(len),
        }
    }

    fn sync(&self) -> Result<(), StorageError> {
        let again = self.synced.replace(true);
        if again && self.defect == SyncFailsTheSecondTime { Err(failure()) } else { self.inner.sync() }
    }
}

struct Factory {
    storage: Defective,
}

impl StorageFactory for Factory {
    type Storage = Defective;

    fn fresh(&mut self) -> Result<Defective, StorageError> {
        self.storage.inner = MemStorage::new();
        Ok(self.storage.clone())
    }

    fn reopen(&mut self) -> Result<Defective, StorageError> {
        let storage = &self.storage.inner;
        match self.storage.defect {
            ReopeningLosesAFile => storage.list()?.first().map_or(Ok(()), |name| storage.remove(name))?,
            ReopeningBringsARemovedFileBack => drop(storage.create("log-1")),
            _ => {}
        }
        Ok(self.storage.clone())
    }

    fn second_opener(&mut self) -> Option<Result<Defective, StorageError>> {
        (self.storage.defect == SecondOpenerIsLetIn).then(|| Ok(self.storage.clone()))
    }

    fn displace(&mut self) -> bool {
        self.storage.defect == PlaceIsNotLookedAt
    }
}

#[test]
fn every_defect_is_found() {
    for defect in DEFECTS {
        let mut factory =
            Factory { storage: Defective { inner: MemStorage::new(), defect, removed: Cell::new(false) } };
        let verdicts = conformance::run(&mut factory);
        let broken = verdicts.iter().filter(|(_, verdict)| matches!(verdict, Verdict::Broken(_))).count();
        assert!(broken > 0, "{defect:?} was not noticed");
    }
}
