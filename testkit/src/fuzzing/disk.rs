//! [`Disk`]: a handful of files as one string of bytes that a fuzzer can change.
//!
//! Invariant: every string of bytes is a disk, so that no mutation is wasted on the container.

use std::collections::BTreeMap;

use foldb_core::{
    log::{ANCHOR_NAMES, segment_name, snapshot_name},
    storage::MemStorage,
};

use super::Fixup;

/// More files than this are not read: each costs an opening some work, and a store of a fuzzer has few.
const FILES_MAX: usize = 12;

/// Which file: tag and number decide the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct File {
    /// 0 and 1 are the anchors, 2 a segment, 3 a snapshot, 4 something else.
    pub tag: u8,
    /// The number of a segment or snapshot; the highest ones stand for numbers near the ends of the range.
    pub number: u8,
}

impl File {
    /// The file with this name, if it is one that has a short form here.
    pub fn of(name: &str) -> Option<Self> {
        let file = |tag, number: u64| u8::try_from(number).ok().map(|number| File { tag, number });
        if let Some(number) = foldb_core::log::parse_segment_name(name) {
            return file(2, number);
        }
        if let Some(generation) = foldb_core::log::parse_snapshot_name(name) {
            return file(3, generation);
        }
        let tag = ANCHOR_NAMES.iter().position(|anchor| *anchor == name)?;
        file(u8::try_from(tag).ok()?, 0)
    }

    fn name(self) -> String {
        let number = match self.number {
            number @ 0..=247 => u64::from(number),
            248 => 1 << 32,
            249 => 1 << 48,
            250 => 1 << 62,
            251 => 1 << 63,
            252 => u64::MAX - 3,
            253 => u64::MAX - 2,
            254 => u64::MAX - 1,
            255 => u64::MAX,
        };
        match (self.tag % 5, self.number % 3) {
            (0, _) => ANCHOR_NAMES[0].into(),
            (1, _) => ANCHOR_NAMES[1].into(),
            (2, _) => segment_name(number),
            (3, _) => snapshot_name(number),
            (_, 0) => "notes.txt".into(),
            (_, 1) => ".hidden".into(),
            _ => "log-7".into(),
        }
    }
}

/// Files, and which checksums in them are to be put right before they are used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disk {
    /// What is put right.
    pub fixup: Fixup,
    /// Contents by name.
    pub files: BTreeMap<String, Vec<u8>>,
}

impl Disk {
    /// Reads a disk: one byte for the [`Fixup`], then for each file tag, number, a length in three bytes and the bytes.
    /// A length beyond the end means "the rest".
    pub fn decode(input: &[u8]) -> Self {
        let mut disk = Disk { fixup: Fixup::from_byte(input.first().copied().unwrap_or(0)), files: BTreeMap::new() };
        let mut rest = input.get(1..).unwrap_or_default();
        while let [tag, number, l0, l1, l2, bytes @ ..] = rest {
            if disk.files.len() == FILES_MAX {
                break;
            }
            let len = usize::try_from(u32::from_le_bytes([*l0, *l1, *l2, 0])).unwrap_or(usize::MAX).min(bytes.len());
            let (content, behind) = bytes.split_at(len);
            disk.files.insert(File { tag: *tag, number: *number }.name(), content.to_vec());
            rest = behind;
        }
        disk
    }

    /// The bytes that [`Self::decode`] makes this disk of; files whose names have no short form, and files of 16 MiB or
    /// more, are left out.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![self.fixup.to_byte()];
        for (name, bytes) in &self.files {
            let (Some(file), Ok(len)) = (File::of(name), u32::try_from(bytes.len())) else { continue };
            let [l0, l1, l2, 0] = len.to_le_bytes() else { continue };
            out.extend_from_slice(&[file.tag, file.number, l0, l1, l2]);
            out.extend_from_slice(bytes);
        }
        out
    }

    /// The files with their checksums put right, as a storage.
    pub fn storage(mut self) -> MemStorage {
        self.fixup.apply(&mut self.files);
        MemStorage::from_files(self.files)
    }
}
