//! Writing an archive.
//!
//! Every file is read twice: once for its sum, which stands in the manifest at the front, and once for its bytes. A reader
//! knows from the first kilobytes on what comes, and can refuse it, show progress and check each file as it ends.
//!
//! Invariant: the second reading gives the bytes of the first, or the export fails. Rules F-55 to F-58.

use std::io::Write;

use foldb_core::recovery::ProgressCallback;
use sha2::{Digest as _, Sha256};

use crate::{
    ArchiveError, FileEntry, Manifest, PIECE_BYTES, Result, Source,
    entry::{BLOCK_BYTES, MANIFEST_NAME, SUMS_NAME, TRAILER_BYTES, header, padding, stored_bytes},
    error::report,
    manifest::hex,
    narrow, wide,
};

/// What was exported.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Exported {
    /// What is in the archive.
    pub manifest: Manifest,
    /// Length of the archive in bytes.
    pub bytes: u64,
}

/// Writes an archive of `source` to `writer`, with progress in bytes: first of the sums, then of the archive. Nothing is
/// flushed or synced: that is the caller's, who knows what the writer is.
///
/// Fails with [`ArchiveError::Changed`] where the files change meanwhile, with [`ArchiveError::Transfer`] where the writer
/// fails, and with the storage's errors. What was written so far is no archive then: it ends too early.
pub fn export(source: impl Source, writer: &mut impl Write, progress: ProgressCallback<'_>) -> Result<Exported> {
    let mut exporter = Exporter::new(source, progress)?;
    let total = exporter.total_bytes();
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        report(progress, "the export", "archive", exporter.position(), total)?;
        let count = exporter.read(&mut piece)?;
        if count == 0 {
            return Ok(Exported { bytes: total, manifest: exporter.manifest });
        }
        let bytes = piece.get(..count).unwrap_or_default();
        writer.write_all(bytes).map_err(|error| ArchiveError::transfer("writing", &error))?;
    }
}

/// An archive as a stream of bytes that somebody pulls: a browser's `ReadableStream`, or [`export`].
pub struct Exporter<X> {
    source: X,
    manifest: Manifest,
    /// The bytes of the first two entries.
    texts: [Vec<u8>; 2],
    /// How far into the archive.
    position: u64,
    total: u64,
    /// The entry that is being given out; behind the last one, the trailer.
    entry: usize,
    part: Part,
    /// Bytes of the part that were given out.
    offset: u64,
    /// Over the bytes of the entry.
    sum: Sha256,
}

/// What of an entry is given out.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Header,
    Bytes,
    Padding,
}

impl<X: Source> Exporter<X> {
    /// Reads all files once for their sums, with progress in bytes.
    pub fn new(source: X, progress: ProgressCallback<'_>) -> Result<Self> {
        let mut piece = vec![0; PIECE_BYTES];
        let mut summing = Summing::new(source);
        loop {
            report(progress, "the export", "sums", summing.position(), summing.total_bytes())?;
            match summing.step(&mut piece)? {
                Summed::More(more) => summing = more,
                Summed::Ready(exporter) => return Ok(exporter),
            }
        }
    }

    fn of(source: X, files: Vec<FileEntry>) -> Self {
        let manifest = Manifest::new(source.store(), source.seq(), files);
        let text = manifest.encode();
        let sums = manifest.sums(&text);
        let entries = [wide(text.len()), wide(sums.len())].into_iter();
        let entries = entries.chain(manifest.files().iter().map(|file| file.bytes));
        let total = entries.map(stored_bytes).sum::<u64>().saturating_add(TRAILER_BYTES);
        Exporter {
            source,
            manifest,
            texts: [text, sums],
            position: 0,
            total,
            entry: 0,
            part: Part::Header,
            offset: 0,
            sum: Sha256::new(),
        }
    }

    /// What is in the archive.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Length of the archive in bytes.
    pub fn total_bytes(&self) -> u64 {
        self.total
    }

    /// How many bytes were given out.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// The next bytes of the archive: fills `buffer`, or less at its end. 0 means that all was given out.
    ///
    /// Fails with [`ArchiveError::Changed`] where a file is not what it was when its sum was taken, and with the storage's
    /// errors; the exporter is of no use afterwards.
    pub fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let mut filled = 0;
        while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            if self.position == self.total {
                break;
            }
            let left = self.part_bytes().saturating_sub(self.offset);
            if left == 0 {
                self.next_part()?;
                continue;
            }
            let piece = narrow(left, rest.len());
            let piece = rest.get_mut(..piece).unwrap_or_default();
            self.fill(piece)?;
            self.offset += wide(piece.len());
            self.position += wide(piece.len());
            filled += piece.len();
        }
        Ok(filled)
    }

    /// Name and length of the entry; `None` for the trailer.
    fn current(&self) -> Option<(&str, u64)> {
        match self.entry {
            0 => Some((MANIFEST_NAME, wide(self.texts[0].len()))),
            1 => Some((SUMS_NAME, wide(self.texts[1].len()))),
            file => self.manifest.files().get(file - 2).map(|file| (file.name.as_str(), file.bytes)),
        }
    }

    fn part_bytes(&self) -> u64 {
        match (self.current(), self.part) {
            (None, _) => TRAILER_BYTES,
            (Some(_), Part::Header) => wide(BLOCK_BYTES),
            (Some((_, bytes)), Part::Bytes) => bytes,
            (Some((_, bytes)), Part::Padding) => padding(bytes),
        }
    }

    fn next_part(&mut self) -> Result<()> {
        self.offset = 0;
        self.part = match self.part {
            Part::Header => {
                self.sum = Sha256::new();
                Part::Bytes
            }
            Part::Bytes => {
                self.check_sum()?;
                Part::Padding
            }
            Part::Padding => {
                self.entry += 1;
                Part::Header
            }
        };
        Ok(())
    }

    /// Fills `piece`, which does not go beyond the part.
    fn fill(&mut self, piece: &mut [u8]) -> Result<()> {
        let Some((name, bytes)) = self.current() else {
            piece.fill(0);
            return Ok(());
        };
        match self.part {
            Part::Header => copy(piece, &header(name, bytes), self.offset),
            Part::Padding => piece.fill(0),
            Part::Bytes => match (self.texts.get(self.entry), self.entry.checked_sub(2)) {
                (None, Some(file)) => {
                    let count = self.source.read_at(file, self.offset, piece)?;
                    if count < piece.len() {
                        return Err(changed(name, "it is shorter than it was"));
                    }
                    self.sum.update(&*piece);
                }
                (text, _) => copy(piece, text.map_or(&[], Vec::as_slice), self.offset),
            },
        }
        Ok(())
    }

    /// At the end of a file: whether it is what the manifest says.
    fn check_sum(&mut self) -> Result<()> {
        let file = self.entry.checked_sub(2).and_then(|file| self.manifest.files().get(file));
        let Some(file) = file else { return Ok(()) };
        if hex(&std::mem::take(&mut self.sum).finalize()) == file.sha256 {
            return Ok(());
        }
        Err(changed(&file.name, "it has other bytes than when its sum was taken"))
    }
}

impl<X> std::fmt::Debug for Exporter<X> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Exporter").field("position", &self.position).field("total", &self.total).finish_non_exhaustive()
    }
}

/// Copies from `offset` of `from` on. The caller keeps within it.
fn copy(piece: &mut [u8], from: &[u8], offset: u64) {
    let from = from.get(narrow(offset, from.len())..).unwrap_or_default();
    for (to, from) in piece.iter_mut().zip(from) {
        *to = *from;
    }
}

/// An archive that cannot be read yet, because the sums of its files have to be taken first: a piece at a time, for hosts that
/// must not be kept waiting. [`Exporter::new`] does all of it.
pub struct Summing<X> {
    source: X,
    files: Vec<(String, u64)>,
    entries: Vec<FileEntry>,
    sum: Sha256,
    /// How much of the present file has been read.
    offset: u64,
    position: u64,
    total: u64,
}

/// What a step of [`Summing`] leads to.
pub enum Summed<X> {
    /// There is more to read.
    More(Summing<X>),
    /// The archive can be read.
    Ready(Exporter<X>),
}

impl<X: Source> Summing<X> {
    /// Begins. Nothing is read yet.
    pub fn new(source: X) -> Self {
        let files = source.files();
        let total = files.iter().fold(0_u64, |total, (_, bytes)| total.saturating_add(*bytes));
        Summing { source, files, entries: Vec::new(), sum: Sha256::new(), offset: 0, position: 0, total }
    }

    /// How many bytes were read.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// How many there are to read.
    pub fn total_bytes(&self) -> u64 {
        self.total
    }

    /// Reads a piece of at most as many bytes as `buffer` has.
    ///
    /// Fails with [`ArchiveError::Changed`] where a file is shorter than it was, and where the source cannot be read.
    pub fn step(mut self, buffer: &mut [u8]) -> Result<Summed<X>> {
        let Some((name, bytes)) = self.files.get(self.entries.len()) else {
            return Ok(Summed::Ready(Exporter::of(self.source, self.entries)));
        };
        let wanted = narrow(bytes.saturating_sub(self.offset), buffer.len());
        let wanted = buffer.get_mut(..wanted).unwrap_or_default();
        if self.source.read_at(self.entries.len(), self.offset, wanted)? < wanted.len() {
            return Err(changed(name, "it is shorter than it was"));
        }
        self.sum.update(&*wanted);
        self.offset += wide(wanted.len());
        self.position += wide(wanted.len());
        if self.offset == *bytes {
            let sha256 = hex(&std::mem::take(&mut self.sum).finalize());
            self.entries.push(FileEntry { name: name.clone(), bytes: *bytes, sha256 });
            self.offset = 0;
        }
        Ok(Summed::More(self))
    }
}

impl<X> std::fmt::Debug for Summing<X> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Summing").field("position", &self.position).field("total", &self.total).finish_non_exhaustive()
    }
}

fn changed(file: &str, what: &str) -> ArchiveError {
    ArchiveError::Changed { file: file.into(), what: what.into() }
}
