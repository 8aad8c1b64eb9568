//! A snapshot file whose frame and checksums hold: what is between raw bytes and a state.
//!
//! Invariant: a [`Contents`] exists only where everything but the pages is proven: the sections cover the file exactly,
//! each has its checksum, and the file's checksum follows from them and from what the end section says of the pages. The
//! pages themselves have not been read.

use alloc::{format, sync::Arc, vec::Vec};
use core::ops::Range;

use super::{
    SnapshotMeta,
    absent_runs::SharedBytes,
    catalog,
    fields::Fields,
    index::{IndexReader, IndexedPages},
    layout::{
        CHECKSUM_BYTES, End, FRONT_BYTES, Header, PAGES_OFFSET, SECTION_HEADER_BYTES, SECTIONS_BEHIND_PAGES,
        SectionType, corrupt, part, read_section_header, wide,
    },
    window,
};
use crate::{
    Error, Result,
    log::parse_snapshot_name,
    planted::{self, Planted},
    state::State,
    storage::StorageFile,
    tree::Tree,
};

/// Front of the file, the five sections behind the pages with a checksum each, and the file's checksum.
const FILE_BYTES_MIN: u64 = PAGES_OFFSET + 5 * (9 + 4) + 4;
const _: () = assert!(SECTION_HEADER_BYTES == 9 && CHECKSUM_BYTES == 4 && SECTIONS_BEHIND_PAGES.len() == 5);

pub(super) struct Contents<'a> {
    file: &'a str,
    header: Header,
    end: End,
    /// Where the pages end and `tail` begins.
    pages_end: u64,
    /// Everything behind the pages. The runs of an open store are built from it.
    tail: Arc<Vec<u8>>,
    /// Where in `tail` the data of the sections behind the pages is, without their checksums.
    sections: [Range<usize>; SECTIONS_BEHIND_PAGES.len()],
}

impl<'a> Contents<'a> {
    /// Reads and proves everything but the pages. Memory and time are those of what lies behind the pages.
    pub(super) fn read<F: StorageFile>(file: &F, name: &'a str) -> Result<Self> {
        let len = file.len()?;
        if len < FILE_BYTES_MIN {
            let what = format!("the file has {len} bytes, the shortest snapshot {FILE_BYTES_MIN}");
            return Err(corrupt(name, len, "F-42", what));
        }
        let mut front = [0; FRONT_BYTES];
        read_exact(file, name, 0, &mut front)?;
        // Looked at before anything else: who made the file decides what its bytes mean.
        let mut fields = Fields::new(name, 0, &front, "F-41");
        match Header::decode(&mut fields, name) {
            Err(newer @ Error::Newer { .. }) => return Err(check_whole(file, name, len).err().unwrap_or(newer)),
            header => header?,
        };
        let behind = FILE_BYTES_MIN - PAGES_OFFSET;
        let mut fields =
            Fields::new(name, PAGES_OFFSET - wide(fields.remaining()), fields.bytes(SECTION_HEADER_BYTES)?, "F-42");
        let pages = read_section_header(&mut fields, SectionType::Pages, |_| len - PAGES_OFFSET - behind)?;
        let pages_end = PAGES_OFFSET + pages;
        let mut tail = room(len - pages_end)?;
        read_exact(file, name, pages_end, &mut tail)?;
        Self::prove(name, &front, pages_end, tail)
    }

    /// Checks the frame from section to section, then every checksum. `front` is the front of the file, `tail` all that
    /// lies behind the pages, which end at `pages_end`.
    pub(super) fn prove(file: &'a str, front: &[u8; FRONT_BYTES], pages_end: u64, tail: Vec<u8>) -> Result<Self> {
        let header = Header::decode(&mut Fields::new(file, 0, front, "F-41"), file)?;
        let mut frame = crate::checksum::Hasher::new();
        frame.update(front);
        let mut fields = Fields::new(file, pages_end, &tail, "F-42");
        let mut sections = [const { 0..0 }; SECTIONS_BEHIND_PAGES.len()];
        for (section, range) in SECTIONS_BEHIND_PAGES.into_iter().zip(&mut sections) {
            let start = tail.len() - fields.remaining();
            *range = section_range(&mut fields, &tail, section)?;
            frame.update(part(&tail, &(start..start + SECTION_HEADER_BYTES)));
        }
        let file_checksum = fields.u32()?;
        fields.finish()?;
        let [.., end] = &sections;
        let end_fields = Fields::new(file, pages_end + wide(end.start), part(&tail, end), SectionType::End.rule());
        let contents = Self { file, header, end: End::decode(end_fields)?, pages_end, tail: Arc::new(tail), sections };
        contents.check_frame(front, frame.finalize(), file_checksum)?;
        Ok(contents)
    }

    fn check_frame(&self, front: &[u8], frame_checksum: u32, file_checksum: u32) -> Result<()> {
        let end = &self.end;
        let skipped = planted::active(Planted::SnapshotChecksumsSkipped);
        if frame_checksum != end.frame_checksum && !skipped {
            let what =
                format!("the headers have checksum {frame_checksum:08x}, the end says {:08x}", end.frame_checksum);
            return Err(corrupt(self.file, 0, "F-43", what));
        }
        // The file's checksum without reading the pages: they have the checksum that the end says, or somebody will see.
        let mut whole = crate::checksum::Hasher::new();
        whole.update(front);
        let pages = self.pages_end - PAGES_OFFSET;
        whole.combine(&crate::checksum::Hasher::new_with_initial_len(end.pages_checksum, pages));
        let covered = self.tail.len() - CHECKSUM_BYTES;
        whole.update(part(&self.tail, &(0..covered)));
        let found = whole.finalize();
        if found != file_checksum && !skipped {
            let what = format!("the file has checksum {found:08x}, its last bytes say {file_checksum:08x}");
            return Err(corrupt(self.file, self.pages_end + wide(covered), "F-43", what));
        }
        match parse_snapshot_name(self.file) {
            Some(generation) if generation != end.generation => {
                let what = format!("the file holds generation {}: it was renamed, or misplaced", end.generation);
                Err(corrupt(self.file, self.pages_end, "F-50", what))
            }
            _ => Ok(()),
        }
    }

    fn range(&self, section: SectionType) -> Range<usize> {
        let position = SECTIONS_BEHIND_PAGES.iter().position(|other| *other == section);
        position.and_then(|position| self.sections.get(position)).cloned().unwrap_or_default()
    }

    /// The data of a section, to be kept.
    fn shared(&self, section: SectionType) -> SharedBytes {
        SharedBytes::new(Arc::clone(&self.tail), self.range(section))
    }

    fn section(&self, section: SectionType) -> Fields<'_> {
        let range = self.range(section);
        Fields::new(self.file, self.pages_end + wide(range.start), part(&self.tail, &range), section.rule())
    }

    pub(super) fn file(&self) -> &'a str {
        self.file
    }

    /// Where the pages end.
    pub(super) fn pages_end(&self) -> u64 {
        self.pages_end
    }

    /// Length of the file.
    pub(super) fn file_len(&self) -> u64 {
        self.pages_end + wide(self.tail.len())
    }

    /// CRC-32 of all pages, by the end section.
    pub(super) fn pages_checksum(&self) -> u32 {
        self.end.pages_checksum
    }

    fn pages(&self) -> IndexedPages {
        IndexedPages { generation: self.end.generation, end: self.pages_end }
    }

    /// The leaf index, from its beginning.
    pub(super) fn index(&self) -> IndexReader<'_> {
        IndexReader::new(self.section(SectionType::LeafIndex), self.pages())
    }

    /// The state, with all leaves absent.
    pub(super) fn state(&self) -> Result<(State, SnapshotMeta)> {
        self.state_with(|index| index.tree())
    }

    /// Checks all that [`Self::state`] checks, without building a tree.
    /// Returns the number of spaces as well.
    pub(super) fn check(&self) -> Result<(SnapshotMeta, usize)> {
        let skip = |index: &mut IndexReader<'_>| index.skip_space().map(|_| Tree::new());
        let (state, meta) = self.state_with(skip)?;
        Ok((meta, 1 + state.run_count()))
    }

    fn state_with(&self, tree: impl FnOnce(&mut IndexReader<'_>) -> Result<Tree>) -> Result<(State, SnapshotMeta)> {
        let mut index = self.index();
        let shared = [SectionType::Catalog, SectionType::LeafIndex].map(|section| self.shared(section));
        let (mut state, meta, live) = catalog::decode(self.section(SectionType::Catalog), &mut index, &shared, tree)?;
        index.finish()?;
        if (meta.store, meta.generation) != (self.end.store, self.end.generation) {
            let what = format!("the end is that of generation {} of store {}", self.end.generation, self.end.store);
            return Err(self.section(SectionType::Catalog).corrupt(what));
        }
        if Header::of(&meta) != self.header {
            return Err(corrupt(self.file, 0, "F-41", "the header differs from the catalog".into()));
        }
        live.check(self.section(SectionType::SegmentTable))?;
        state.idempotency = window::decode(self.section(SectionType::IdempotencyWindow), state.seq)?;
        Ok((state, meta))
    }
}

/// So many zeros. The number comes from a file system, where a sparse file of terabytes costs nothing.
fn room(len: u64) -> Result<Vec<u8>> {
    let too_large = || Error::Limit {
        what: "the sections of a snapshot in memory",
        size: len,
        limit: wide(isize::MAX.unsigned_abs()),
    };
    let mut bytes = Vec::new();
    let len = usize::try_from(len).map_err(|_| too_large())?;
    bytes.try_reserve_exact(len).map_err(|_| too_large())?;
    bytes.resize(len, 0);
    Ok(bytes)
}

/// Reads a section header and its data, checks the data's checksum, and returns where in `tail` the data is without it.
fn section_range(fields: &mut Fields<'_>, tail: &[u8], section: SectionType) -> Result<Range<usize>> {
    let available = |fields: &Fields<'_>| wide(fields.remaining().saturating_sub(CHECKSUM_BYTES));
    let len = read_section_header(fields, section, available)?;
    let len = usize::try_from(len).unwrap_or(usize::MAX);
    let start = tail.len() - fields.remaining();
    let Some(data) = len.checked_sub(CHECKSUM_BYTES) else {
        return Err(fields.corrupt(format!("the {} of {len} bytes has no checksum", section.name())));
    };
    let found = crate::checksum::hash(fields.bytes(data)?);
    let expected = fields.u32()?;
    if found != expected && !planted::active(Planted::SnapshotChecksumsSkipped) {
        let what = format!("the {} has checksum {found:08x}, its last bytes say {expected:08x}", section.name());
        return Err(fields.with_rule("F-43").corrupt(what));
    }
    Ok(start..start + data)
}

/// Compares the checksum of the whole file with its last four bytes, which every version has there. Read to the end only
/// where the header says that the file is of a newer program: one rotten bit must not pass for one, because nothing can
/// stand in for a file that this program does not understand, and much for one that is damaged.
fn check_whole<F: StorageFile>(file: &F, name: &str, len: u64) -> Result<()> {
    let mut checksum = crate::checksum::Hasher::new();
    let mut buffer = alloc::vec![0; 64 << 10];
    let (mut offset, end) = (0, len - wide(CHECKSUM_BYTES));
    while offset < end {
        let count = usize::try_from(end - offset).unwrap_or(usize::MAX).min(buffer.len());
        let piece = buffer.get_mut(..count).unwrap_or_default();
        read_exact(file, name, offset, piece)?;
        checksum.update(piece);
        offset += wide(count);
    }
    let mut expected = [0; CHECKSUM_BYTES];
    read_exact(file, name, end, &mut expected)?;
    let (found, expected) = (checksum.finalize(), u32::from_le_bytes(expected));
    if found == expected {
        return Ok(());
    }
    let what = format!("the file has checksum {found:08x}, its last bytes say {expected:08x}");
    Err(corrupt(name, end, "F-43", what))
}

/// Fills `buffer`, or says that the file became shorter than it was.
pub(super) fn read_exact<F: StorageFile>(file: &F, name: &str, offset: u64, buffer: &mut [u8]) -> Result<()> {
    let read = file.read_at(offset, buffer)?;
    if read == buffer.len() {
        return Ok(());
    }
    let what = format!("{read} of {} bytes are there", buffer.len());
    Err(corrupt(name, offset.saturating_add(wide(read)), "F-42", what))
}
