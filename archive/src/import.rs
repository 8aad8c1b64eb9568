//! Reading an archive into a storage.
//!
//! Invariant: the order of F-60. The mark is set before the first file is created; every file is synced when its sum was
//! found to hold; the store is recovered, without writing, and compared with the manifest; then the mark goes. A failure
//! on the way clears away what was written; where that fails too, or the process dies, the mark stays and says so.

use std::io::{ErrorKind, Read};

use foldb_core::{
    StoreId,
    recovery::ProgressCallback,
    storage::{Storage, StorageError, StorageFile},
};

use crate::{
    ArchiveError, Manifest, PIECE_BYTES, Result,
    decode::{Decoder, Event},
    error::report,
    mark,
    source::look,
};

/// What was imported.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Imported {
    /// The store's id; `None` for a store that nothing was committed to.
    pub store: Option<StoreId>,
    /// Seq of its last commit.
    pub seq: u64,
    /// How many files it has.
    pub files: u64,
    /// Their bytes.
    pub file_bytes: u64,
    /// Length of the archive in bytes.
    pub archive_bytes: u64,
}

/// Reads an archive from `reader` into an empty storage and returns the storage, which then is a store, on stable media.
/// Progress is in bytes: of the archive, then of what recovery reads to check it.
///
/// A storage that an unfinished import has left is cleared first. Fails with [`ArchiveError::NotEmpty`] where there is a
/// store already; with [`ArchiveError::Damaged`], [`ArchiveError::Truncated`], [`ArchiveError::Refused`] and the like for
/// what is wrong with the archive; with [`ArchiveError::Transfer`] where the reader fails; with the storage's errors. Then
/// the storage is empty again, or, where the storage itself failed, marked as unfinished.
///
/// Memory: the manifest (100 bytes a file) and pieces of 256 KiB, and at the end what recovering the store takes.
pub fn import<S: Storage>(storage: S, mut reader: impl Read, progress: ProgressCallback<'_>) -> Result<(Imported, S)> {
    let mut importer = Importer::new(storage)?;
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        let told = report(progress, "the import", "archive", importer.position(), importer.total_bytes().unwrap_or(0));
        let count = match told.and_then(|()| read(&mut reader, &mut piece)) {
            Ok(count) => count,
            Err(error) => return Err(importer.fail(error)),
        };
        if count == 0 {
            return importer.finish(progress);
        }
        importer.write(piece.get(..count).unwrap_or_default())?;
    }
}

fn read(reader: &mut impl Read, piece: &mut [u8]) -> Result<usize> {
    loop {
        match reader.read(piece) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            result => return result.map_err(|error| ArchiveError::transfer("reading", &error)),
        }
    }
}

/// An import into which somebody pushes the bytes of an archive as they come, in pieces of any size.
///
/// Dropped before [`Importer::finish`] or [`Importer::cancel`], it leaves the storage marked as unfinished: nothing opens
/// it, and the next import starts over.
pub struct Importer<S: Storage> {
    storage: S,
    decoder: Decoder,
    file: Option<S::File>,
    stage: Stage,
}

/// How far an import has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Nothing was written yet.
    Untouched,
    /// The mark is set.
    Marked,
    /// It failed.
    Failed,
}

impl<S: Storage> Importer<S> {
    /// Fails with [`ArchiveError::NotEmpty`] where there is a store already. Nothing is written before the manifest has
    /// come.
    pub fn new(storage: S) -> Result<Self> {
        mark::check_empty(&storage)?;
        Ok(Importer { storage, decoder: Decoder::new(), file: None, stage: Stage::Untouched })
    }

    /// What is in the archive, once its beginning has come.
    pub fn manifest(&self) -> Option<&Manifest> {
        self.decoder.manifest()
    }

    /// How many bytes of the archive have come.
    pub fn position(&self) -> u64 {
        self.decoder.position()
    }

    /// Bytes of all files of the store, once that is known: a little less than the archive's length.
    pub fn total_bytes(&self) -> Option<u64> {
        self.decoder.manifest().map(Manifest::file_bytes)
    }

    /// The next bytes of the archive. After an error nothing of it is left, and there is no going on.
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        if self.stage == Stage::Failed {
            return Err(ArchiveError::Ended);
        }
        self.take(bytes).map_err(|error| self.fail(error))
    }

    /// Checks that the archive was whole and that what was written recovers to what the manifest says, and takes the mark
    /// away: now it is a store. Progress is that of the recovery.
    pub fn finish(mut self, progress: ProgressCallback<'_>) -> Result<(Imported, S)> {
        if self.stage == Stage::Failed {
            return Err(ArchiveError::Ended);
        }
        match self.complete(progress) {
            Ok(imported) => Ok((imported, self.storage)),
            Err(error) => Err(self.fail(error)),
        }
    }

    /// Gives up: clears away what was written, and returns the storage.
    pub fn cancel(mut self) -> Result<S> {
        self.clear()?;
        Ok(self.storage)
    }

    fn take(&mut self, mut input: &[u8]) -> Result<()> {
        while let Some(event) = self.decoder.next(&mut input)? {
            match event {
                Event::Contents => {
                    // From the mark on a failure clears away what is there: it must be ours.
                    mark::check_empty(&self.storage)?;
                    self.stage = Stage::Marked;
                    mark::begin(&self.storage)?;
                }
                Event::FileBegin(index) => {
                    let file = self.decoder.manifest().and_then(|manifest| manifest.files().get(index));
                    let name = file.map_or("", |file| file.name.as_str());
                    self.file = Some(self.storage.create(name)?);
                }
                Event::FileBytes { offset, bytes } => self.file()?.write_at(offset, bytes)?,
                Event::FileEnd => {
                    self.file()?.sync()?;
                    self.file = None;
                }
                Event::End => {}
            }
        }
        Ok(())
    }

    /// The file that is being written. There is one between its beginning and its end.
    fn file(&self) -> Result<&S::File> {
        let missing = || StorageError::Missing { name: "the file that is being imported".into() };
        Ok(self.file.as_ref().ok_or_else(missing)?)
    }

    fn complete(&mut self, progress: ProgressCallback<'_>) -> Result<Imported> {
        self.decoder.finish()?;
        let Some(manifest) = self.decoder.manifest() else { return Err(ArchiveError::Ended) };
        let imported = Imported {
            store: manifest.store(),
            seq: manifest.seq(),
            files: crate::wide(manifest.files().len()),
            file_bytes: manifest.file_bytes(),
            archive_bytes: self.decoder.position(),
        };
        let (store, seq) = look(&self.storage, true, progress)?;
        if (store, seq) != (imported.store, imported.seq) {
            let id = |id: Option<StoreId>| id.map_or_else(|| String::from("none"), |id| id.to_string());
            let what = format!(
                "its files are store {} up to seq {seq}, the manifest says store {} up to seq {}",
                id(store),
                id(imported.store),
                imported.seq
            );
            let entry = crate::entry::MANIFEST_NAME.into();
            return Err(ArchiveError::Refused { entry, offset: 0, rule: "F-60", what });
        }
        mark::end(&self.storage)?;
        Ok(imported)
    }

    /// Clears away what was written, as far as possible, and gives the error back.
    fn fail(&mut self, error: ArchiveError) -> ArchiveError {
        // What cannot be cleared stays marked; the first error is the one that tells why.
        let _ = self.clear();
        self.stage = Stage::Failed;
        error
    }

    fn clear(&mut self) -> Result<()> {
        self.file = None;
        if self.stage == Stage::Marked {
            mark::clear(&self.storage)?;
            mark::end(&self.storage)?;
        }
        self.stage = Stage::Failed;
        Ok(())
    }
}

impl<S: Storage> std::fmt::Debug for Importer<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Importer")
            .field("position", &self.position())
            .field("stage", &self.stage)
            .finish_non_exhaustive()
    }
}
