//! The manifest: what is in an archive, before any of it comes.
//!
//! Invariant: a manifest that was parsed names only files of a store, each once, in the order of the archive; lengths are
//! possible and sums have the form of sums. What comes afterwards can be compared with it byte by byte. Rules F-56, F-57.

use std::fmt::Write as _;

use foldb_core::{
    StoreId,
    limits::SEQ_MAX,
    log::{ANCHOR_NAMES, FORMAT_VERSION, parse_segment_name, parse_snapshot_name},
};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::{ArchiveError, Result, entry, wide};

/// The version of archives that this program writes, and the highest one that it reads.
pub const ARCHIVE_VERSION: u32 = 1;

/// Longest manifest that is read: a store of more than 100,000 files. Nothing is allocated for what an archive merely says.
pub const MANIFEST_BYTES_MAX: u64 = 16 << 20;

/// What the member `archive` says.
const ARCHIVE: &str = "foldb-store";

/// Longest file: an offset has to fit the signed 64 bits of every system.
const FILE_BYTES_MAX: u64 = i64::MAX as u64;

/// What is in an archive: the first entry, a JSON text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// `foldb-store`.
    archive: String,
    /// [`ARCHIVE_VERSION`].
    version: u32,
    /// The format version of the store's files.
    format: u32,
    /// The store's id; null for a store that nothing was committed to.
    store: Option<String>,
    /// Seq of the last commit.
    seq: u64,
    /// The files, in the order of the archive.
    files: Vec<FileEntry>,
}

/// A file of the store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileEntry {
    /// Its name in the store.
    pub name: String,
    /// Its length in bytes.
    pub bytes: u64,
    /// Its SHA-256, as 64 hexadecimal digits.
    pub sha256: String,
}

/// What every version of a manifest has.
#[derive(Deserialize)]
struct Envelope {
    archive: String,
    version: u32,
}

impl Manifest {
    pub(crate) fn new(store: Option<StoreId>, seq: u64, files: Vec<FileEntry>) -> Self {
        Manifest {
            archive: ARCHIVE.into(),
            version: ARCHIVE_VERSION,
            format: FORMAT_VERSION,
            store: store.map(|id| id.to_string()),
            seq,
            files,
        }
    }

    /// The store's id; `None` for a store that nothing was committed to.
    pub fn store(&self) -> Option<StoreId> {
        self.store.as_ref().and_then(|id| id.parse().ok())
    }

    /// Seq of the last commit.
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// The files of the store, in the order of the archive.
    pub fn files(&self) -> &[FileEntry] {
        &self.files
    }

    /// Bytes of all files together. It fits: `Manifest::parse` has added them up.
    pub fn file_bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }

    /// The text of the first entry. The same manifest has the same text.
    pub(crate) fn encode(&self) -> Vec<u8> {
        // Strings and numbers of our own making: there is nothing that could fail to be written.
        let mut text = serde_json::to_vec_pretty(self).unwrap_or_default();
        text.push(b'\n');
        text
    }

    /// The text of the second entry, for `sha256sum -c`: the manifest's own sum and those of the files.
    pub(crate) fn sums(&self, encoded: &[u8]) -> Vec<u8> {
        let mut text = format!("{}  {}\n", hex(&Sha256::digest(encoded)), entry::MANIFEST_NAME);
        for file in &self.files {
            let _ = writeln!(text, "{}  {}", file.sha256, file.name);
        }
        text.into_bytes()
    }

    /// Reads and checks the text of the first entry, which begins at `offset` of the archive.
    pub(crate) fn parse(text: &[u8], offset: u64) -> Result<Self> {
        let malformed = |error: serde_json::Error| {
            // What a compiler calls the numbers of the manifest says nothing to whoever has the archive.
            let why = error
                .to_string()
                .replace("expected u32", "expected a number")
                .replace("expected u64", "expected a number");
            refused(offset, format!("the manifest cannot be read: {why}"))
        };
        let envelope: Envelope = serde_json::from_slice(text).map_err(malformed)?;
        if envelope.archive != ARCHIVE {
            let why = format!("its manifest is that of {:?}", shortened(&envelope.archive));
            return Err(ArchiveError::NotAnArchive { why });
        }
        if envelope.version > ARCHIVE_VERSION {
            let found = envelope.version;
            return Err(ArchiveError::Newer { what: "version", found, supported: ARCHIVE_VERSION });
        }
        let manifest: Manifest = serde_json::from_slice(text).map_err(malformed)?;
        if manifest.format > FORMAT_VERSION {
            let found = manifest.format;
            return Err(ArchiveError::Newer { what: "format version of files", found, supported: FORMAT_VERSION });
        }
        manifest.check().map_err(|what| refused(offset, what))?;
        Ok(manifest)
    }

    fn check(&self) -> Result<(), String> {
        if self.version == 0 || self.format == 0 {
            return Err("version 0 does not exist".into());
        }
        if self.seq > SEQ_MAX {
            return Err(format!("seq {} is out of range", self.seq));
        }
        if self.store.is_some() != self.store().is_some() || self.store() != self.canonical_store() {
            return Err(format!("{:?} is not the id of a store", shortened(self.store.as_deref().unwrap_or(""))));
        }
        if self.store.is_none() != self.files.is_empty() || (self.store.is_none() && self.seq > 0) {
            return Err("a store has an id exactly if it has files".into());
        }
        let mut total = 0_u64;
        let mut previous = None;
        for file in &self.files {
            let Some(rank) = rank(&file.name) else {
                return Err(format!("{:?} is not the name of a file of a store", shortened(&file.name)));
            };
            if previous.is_some_and(|previous| rank <= previous) {
                return Err(format!("{} is there twice or out of order", file.name));
            }
            previous = Some(rank);
            if !is_sum(&file.sha256) {
                return Err(format!("{:?} is not a SHA-256 of {}", shortened(&file.sha256), file.name));
            }
            total = total
                .checked_add(file.bytes)
                .filter(|total| *total <= FILE_BYTES_MAX)
                .ok_or_else(|| format!("{} of {} bytes is more than any system can hold", file.name, file.bytes))?;
        }
        Ok(())
    }

    /// The id if it is written as it should be.
    fn canonical_store(&self) -> Option<StoreId> {
        self.store().filter(|id| Some(id.to_string()) == self.store)
    }
}

fn refused(offset: u64, what: String) -> ArchiveError {
    ArchiveError::Refused { entry: entry::MANIFEST_NAME.into(), offset, rule: "F-56", what }
}

/// The place of a file in the order of an archive; `None` for a name that is not a store's (rule F-2). Anchors are last:
/// what they name has come before them.
pub(crate) fn rank(name: &str) -> Option<(u8, u64)> {
    if let Some(generation) = parse_snapshot_name(name) {
        return Some((0, generation));
    }
    if let Some(number) = parse_segment_name(name) {
        return Some((1, number));
    }
    ANCHOR_NAMES.iter().position(|anchor| *anchor == name).map(|place| (2, wide(place)))
}

/// Two hexadecimal digits a byte.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn is_sum(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// A text of somebody else's, for a message.
pub(crate) fn shortened(text: &str) -> String {
    text.chars().take(80).collect()
}

#[cfg(test)]
#[path = "manifest_tests.rs"]
mod tests;
