//! The fixed parts of a snapshot file: header, section headers and the end section.
//!
//! Invariant: the constants here are the layout; nobody else counts bytes. Rules F-41, F-42 and F-50.

use alloc::{format, string::String};
use core::ops::Range;

use super::{SnapshotMeta, fields::Fields};
use crate::{Error, Result, StoreId, storage::StorageFile};

/// Version of the snapshot format that this program writes, and the highest that it reads. Rule F-41.
pub const SNAPSHOT_VERSION: u32 = 1;

const MAGIC: [u8; 10] = *b"foldb-snap";

pub(super) const HEADER_BYTES: usize = 39;
pub(super) const SECTION_HEADER_BYTES: usize = 9;
pub(super) const CHECKSUM_BYTES: usize = 4;

/// The header and the header of the pages section: what is read from the front of a file, and written last.
pub(super) const FRONT_BYTES: usize = HEADER_BYTES + SECTION_HEADER_BYTES;

/// Where the first page begins.
pub(super) const PAGES_OFFSET: u64 = 48;
const _: () = assert!(FRONT_BYTES as u64 == PAGES_OFFSET);

/// Offsets of the header's fields. Normative text: `docs/format.md`, rule F-41.
mod at {
    use core::ops::Range;

    pub(super) const MAGIC: Range<usize> = 0..10;
    pub(super) const VERSION: Range<usize> = MAGIC.end..MAGIC.end + 4;
    pub(super) const TIME: Range<usize> = VERSION.end..VERSION.end + 8;
    pub(super) const LOG_SEGMENT: Range<usize> = TIME.end..TIME.end + 8;
    pub(super) const TRANSACTIONS: Range<usize> = LOG_SEGMENT.end..LOG_SEGMENT.end + 8;
    pub(super) const SECTIONS: usize = TRANSACTIONS.end;
}
const _: () = assert!(at::SECTIONS + 1 == HEADER_BYTES);

/// The sections of version 1, in the order of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum SectionType {
    Pages = 1,
    Catalog = 2,
    LeafIndex = 3,
    SegmentTable = 4,
    IdempotencyWindow = 5,
    End = 6,
}

/// The sections behind the pages.
pub(super) const SECTIONS_BEHIND_PAGES: [SectionType; 5] = [
    SectionType::Catalog,
    SectionType::LeafIndex,
    SectionType::SegmentTable,
    SectionType::IdempotencyWindow,
    SectionType::End,
];
const SECTION_COUNT: u8 = 6;

impl SectionType {
    pub(super) const fn code(self) -> u8 {
        // The discriminants are bytes by `repr(u8)`.
        self as u8
    }

    /// The section in the words of an error message.
    pub(super) const fn name(self) -> &'static str {
        match self {
            SectionType::Pages => "pages",
            SectionType::Catalog => "catalog",
            SectionType::LeafIndex => "leaf index",
            SectionType::SegmentTable => "segment table",
            SectionType::IdempotencyWindow => "idempotency window",
            SectionType::End => "end",
        }
    }

    /// The rule that describes its content.
    pub(super) const fn rule(self) -> &'static str {
        match self {
            SectionType::Pages => "F-44",
            SectionType::Catalog => "F-45",
            SectionType::LeafIndex => "F-47",
            SectionType::SegmentTable => "F-48",
            SectionType::IdempotencyWindow => "F-49",
            SectionType::End => "F-50",
        }
    }
}

/// The header of a section whose data has `len` bytes.
pub(super) fn section_header(section: SectionType, len: u64) -> [u8; SECTION_HEADER_BYTES] {
    let mut bytes = [section.code(); SECTION_HEADER_BYTES];
    bytes[1..].copy_from_slice(&len.to_le_bytes());
    bytes
}

/// Reads the header of a section that must be `expected` and returns the length of its data, which is at most `available`.
pub(super) fn read_section_header(
    fields: &mut Fields<'_>,
    expected: SectionType,
    available: impl FnOnce(&Fields<'_>) -> u64,
) -> Result<u64> {
    let found = fields.u8()?;
    if found != expected.code() {
        let what =
            format!("a section of type {found} where the {} (type {}) must be", expected.name(), expected.code());
        return Err(fields.corrupt(what));
    }
    let len = fields.u64()?;
    let available = available(fields);
    if len > available {
        let what = format!("the {} has {len} bytes by its header and {available} in the file", expected.name());
        return Err(fields.corrupt(what));
    }
    Ok(len)
}

/// What the header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) time_micros: u64,
    /// Segment in which folding goes on; 0 for none. With it, retention need not read the catalog.
    pub(super) log_segment: u64,
    /// How many transactions were folded; the same as the seq, because seqs have no gaps.
    pub(super) transactions: u64,
}

/// Whether a file has no header and so never became a snapshot. Where that cannot be read, it counts as one: better a
/// file too many than a snapshot too few.
pub fn is_unfinished(file: &impl StorageFile) -> bool {
    has_no_header(file).unwrap_or(false)
}

/// [`is_unfinished`], for who can say that the file could not be read.
pub(crate) fn has_no_header(file: &impl StorageFile) -> Result<bool> {
    let mut magic = [0; MAGIC.len()];
    file.read_at(0, &mut magic)?;
    Ok(magic.iter().all(|byte| *byte == 0))
}

/// Makes a file that was never named as a snapshot look like one that was never finished, for good. Rule F-51.
///
/// # Errors
/// What the storage reports.
pub(crate) fn wipe(file: &impl StorageFile) -> Result<()> {
    file.write_at(0, &[0; FRONT_BYTES])?;
    Ok(file.sync()?)
}

impl Header {
    pub(super) fn of(meta: &SnapshotMeta) -> Self {
        Self {
            time_micros: meta.time_micros,
            log_segment: meta.log.map_or(0, |position| position.segment),
            transactions: meta.seq,
        }
    }

    pub(super) fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[at::MAGIC].copy_from_slice(&MAGIC);
        bytes[at::VERSION].copy_from_slice(&SNAPSHOT_VERSION.to_le_bytes());
        bytes[at::TIME].copy_from_slice(&self.time_micros.to_le_bytes());
        bytes[at::LOG_SEGMENT].copy_from_slice(&self.log_segment.to_le_bytes());
        bytes[at::TRANSACTIONS].copy_from_slice(&self.transactions.to_le_bytes());
        bytes[at::SECTIONS] = SECTION_COUNT;
        bytes
    }

    /// Reads the header at the start of a file. Its checksum is in the end section.
    pub(super) fn decode(fields: &mut Fields<'_>, file: &str) -> Result<Self> {
        let magic = fields.bytes(MAGIC.len())?;
        if magic.iter().all(|byte| *byte == 0) {
            return Err(corrupt(file, 0, "F-51", "there is no header: the snapshot was never finished".into()));
        }
        if magic != MAGIC {
            return Err(corrupt(file, 0, "F-41", "the first ten bytes are not those of a snapshot".into()));
        }
        let version = fields.u32()?;
        if version > SNAPSHOT_VERSION {
            let (found, supported) = (u64::from(version), u64::from(SNAPSHOT_VERSION));
            return Err(Error::Newer { file: file.into(), what: "snapshot format version", found, supported });
        }
        if version == 0 {
            return Err(fields.corrupt("format version 0 does not exist".into()));
        }
        let header = Self { time_micros: fields.u64()?, log_segment: fields.u64()?, transactions: fields.u64()? };
        let sections = fields.u8()?;
        if sections != SECTION_COUNT {
            return Err(fields.corrupt(format!("{sections} sections; version 1 has {SECTION_COUNT}")));
        }
        Ok(header)
    }
}

/// What the end section says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct End {
    pub(super) store: StoreId,
    pub(super) generation: u64,
    /// CRC-32 of all pages, one behind the other.
    pub(super) pages_checksum: u32,
    /// CRC-32 of the file's header and all section headers, one behind the other.
    pub(super) frame_checksum: u32,
}

/// Bytes of the end section's data without its checksum.
pub(super) const END_BYTES: usize = 32;

impl End {
    pub(super) fn encode(&self) -> [u8; END_BYTES] {
        let mut bytes = [0; END_BYTES];
        bytes[..16].copy_from_slice(&self.store.to_bytes());
        bytes[16..24].copy_from_slice(&self.generation.to_le_bytes());
        bytes[24..28].copy_from_slice(&self.pages_checksum.to_le_bytes());
        bytes[28..].copy_from_slice(&self.frame_checksum.to_le_bytes());
        bytes
    }

    pub(super) fn decode(mut fields: Fields<'_>) -> Result<Self> {
        let end = Self {
            store: StoreId::from_bytes(fields.array()?),
            generation: fields.u64()?,
            pages_checksum: fields.u32()?,
            frame_checksum: fields.u32()?,
        };
        fields.finish()?;
        Ok(end)
    }
}

/// Stored bytes that break a rule.
pub(super) fn corrupt(file: &str, offset: u64, rule: &'static str, what: String) -> Error {
    Error::Corrupt { file: file.into(), offset, rule, what }
}

/// A size in memory as a size in a file. It fits on every target that exists.
pub(super) fn wide(size: usize) -> u64 {
    u64::try_from(size).unwrap_or(u64::MAX)
}

/// The part of `bytes` at `range`, which the caller has measured inside of them.
pub(super) fn part<'a>(bytes: &'a [u8], range: &Range<usize>) -> &'a [u8] {
    bytes.get(range.clone()).unwrap_or_default()
}
