//! Writing a snapshot: pages first, header last.
//!
//! Invariant: the header is written after all the rest was synced, read back and compared. Until then the file begins with
//! zeros and is not a snapshot, whatever a crash or a failing device leaves of it. Rule F-51.

use alloc::{format, vec, vec::Vec};
use core::ops::ControlFlow;

use super::{
    SnapshotInfo, SnapshotMeta,
    catalog::CatalogWriter,
    contents::{Contents, read_exact},
    index,
    layout::{
        CHECKSUM_BYTES, End, FRONT_BYTES, HEADER_BYTES, Header, PAGES_OFFSET, SectionType, corrupt, section_header,
        wide,
    },
    pages::append_page,
    window,
};
use crate::{
    Error, Result,
    log::snapshot_name,
    planted::{self, Planted},
    state::{Space, State},
    storage::StorageFile,
    tree::{LeafPage, LeafRef, PageRef, PageSource},
};

/// Bytes per write and per read: large enough that a call costs nothing beside its bytes, small enough to stay in the
/// processor's cache between the tree, the checksum and the storage.
const BUFFER_BYTES: usize = 512 << 10;

/// Writes a snapshot of `state` into `file`, which is new and empty, and returns when it counts: synced, read back, and
/// checked as [`open`](super::open) checks it.
///
/// `state` is a cheap clone that nobody changes, so commits go on meanwhile. Memory beyond it: one buffer of half a
/// mebibyte, and the leaf index (some 25 bytes for each leaf). Leaves that are absent are copied from `pages` as bytes,
/// their checksums compared, and stay absent.
///
/// `progress` hears of the work done and the work there is, in units that mean nothing but their ratio, about every half
/// mebibyte; [`ControlFlow::Break`] ends it with [`Error::Cancelled`].
///
/// # Errors
/// [`Error::Invalid`] where `meta` is not that of `state` or the file is not empty, [`Error::Corrupt`] where an absent leaf
/// is damaged or what was read back differs from what was written, and what storage and page source report. The file is
/// not a snapshot then; remove it.
///
/// See [`open`](super::open) for an example.
pub fn write<F: StorageFile>(
    file: &F,
    state: &State,
    meta: &SnapshotMeta,
    pages: &dyn PageSource,
    progress: &mut dyn FnMut(u64, u64) -> ControlFlow<()>,
) -> Result<SnapshotInfo> {
    check_request(file, state, meta)?;
    let mut progress = Progress::new(progress, state);
    let mut writer = PageWriter::new(file);
    let mut catalog = CatalogWriter::begin(state, meta);
    writer.space(&state.default, pages, &mut progress)?;
    for (number, run) in state.runs.iter() {
        writer.space(&run.space, pages, &mut progress)?;
        catalog.run(number, &run)?;
    }
    let (pages_written, entries) = (writer.pages, writer.entries);
    let pages_end = writer.flush()?;
    let name = snapshot_name(meta.generation);
    let sections = Sections::encode(state, meta, catalog, writer);
    file.write_at(pages_end, &sections.tail)?;
    if !planted::active(Planted::SnapshotBodyWithoutSync) {
        file.sync()?;
    }
    let file_len = pages_end + wide(sections.tail.len());
    let tail = if planted::active(Planted::SnapshotNotReadBack) {
        sections.tail.clone()
    } else {
        read_back(file, &name, &sections, file_len, &mut progress)?
    };
    // What nobody could open must not get a header either, whatever the reason.
    let (found, _) = Contents::prove(&name, &sections.front, pages_end, tail)?.check()?;
    file.write_at(0, &sections.front)?;
    if !planted::active(Planted::SnapshotHeaderWithoutSync) {
        file.sync()?;
    }
    let mut front = [0; FRONT_BYTES];
    read_exact(file, &name, 0, &mut front)?;
    if front != sections.front || found != *meta {
        return Err(corrupt(&name, 0, "F-51", "the header read back differs from the one written".into()));
    }
    let SnapshotMeta { generation, seq, time_micros, .. } = *meta;
    Ok(SnapshotInfo { generation, seq, time_micros, bytes: file_len, pages: pages_written, entries })
}

fn check_request<F: StorageFile>(file: &F, state: &State, meta: &SnapshotMeta) -> Result<()> {
    let invalid = |why| Err(Error::Invalid { what: "snapshot", why });
    if meta.seq != state.seq {
        return invalid(format!("it is to be of seq {}, the state is of seq {}", meta.seq, state.seq));
    }
    if !(1..u64::MAX).contains(&meta.generation) {
        return invalid(format!("generation {} does not exist", meta.generation));
    }
    let len = file.len()?;
    if len > 0 {
        return invalid(format!("its file has {len} bytes already; numbers are never used twice"));
    }
    Ok(())
}

/// Counts the entries of the trees twice, for writing and for reading back. Where runs were changed since the snapshot that the
/// store was opened from, there may be fewer than are counted on; then the first half ends early.
struct Progress<'a> {
    report: &'a mut dyn FnMut(u64, u64) -> ControlFlow<()>,
    entries: u64,
}

impl<'a> Progress<'a> {
    fn new(report: &'a mut dyn FnMut(u64, u64) -> ControlFlow<()>, state: &State) -> Self {
        Self { report, entries: state.default.tree.len().saturating_add(state.runs.entries_at_most()) }
    }

    fn report(&mut self, done: u64) -> Result<()> {
        match (self.report)(done, self.entries.saturating_mul(2)) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(Error::Cancelled { what: "writing a snapshot" }),
        }
    }

    fn written(&mut self, entries: u64) -> Result<()> {
        self.report(entries.min(self.entries))
    }

    fn read_back(&mut self, bytes: u64, of: u64) -> Result<()> {
        let share = u128::from(self.entries) * u128::from(bytes) / u128::from(of.max(1));
        self.report(self.entries.saturating_add(u64::try_from(share).unwrap_or(u64::MAX)))
    }
}

/// Streams pages into the file and collects their index.
struct PageWriter<'a, F> {
    file: &'a F,
    buffer: Vec<u8>,
    /// Where the buffer goes.
    offset: u64,
    index: Vec<u8>,
    /// Checksum of all pages so far.
    checksum: crate::checksum::Hasher,
    pages: u64,
    entries: u64,
}

impl<'a, F: StorageFile> PageWriter<'a, F> {
    fn new(file: &'a F) -> Self {
        Self {
            file,
            buffer: Vec::with_capacity(BUFFER_BYTES),
            offset: PAGES_OFFSET,
            index: Vec::new(),
            checksum: crate::checksum::Hasher::new(),
            pages: 0,
            entries: 0,
        }
    }

    fn space(&mut self, space: &Space, pages: &dyn PageSource, progress: &mut Progress<'_>) -> Result<()> {
        space.tree.visit_leaves(&mut |leaf| self.leaf(&leaf, pages, progress))?;
        index::finish_space(&mut self.index);
        Ok(())
    }

    fn leaf(&mut self, leaf: &LeafRef<'_>, pages: &dyn PageSource, progress: &mut Progress<'_>) -> Result<()> {
        match leaf.page {
            LeafPage::Resident(page) => self.page(leaf, page, crate::checksum::hash(page), progress),
            LeafPage::Absent(at) => {
                let page = pages.page(at)?;
                let checksum = crate::checksum::hash(&page);
                // Copied bytes get no new checksum: damage must not be made valid by copying it.
                if checksum != at.crc || u32::try_from(page.len()) != Ok(at.len) {
                    return Err(damaged(at, page.len(), checksum));
                }
                self.page(leaf, &page, checksum, progress)
            }
        }
    }

    fn page(&mut self, leaf: &LeafRef<'_>, page: &[u8], checksum: u32, progress: &mut Progress<'_>) -> Result<()> {
        let len = u32::try_from(page.len())
            .map_err(|_| Error::Invalid { what: "leaf page", why: format!("it has {} bytes", page.len()) })?;
        if self.buffer.len() + page.len() > BUFFER_BYTES {
            self.flush()?;
            progress.written(self.entries)?;
        }
        self.buffer.extend_from_slice(page);
        index::write_leaf(&mut self.index, leaf.fence, leaf.entries, len, checksum);
        append_page(&mut self.checksum, page.len(), checksum);
        self.pages += 1;
        self.entries += u64::from(leaf.entries);
        Ok(())
    }

    /// Writes what is buffered and returns where it ends.
    fn flush(&mut self) -> Result<u64> {
        self.file.write_at(self.offset, &self.buffer)?;
        self.offset += wide(self.buffer.len());
        self.buffer.clear();
        Ok(self.offset)
    }
}

fn damaged(at: &PageRef, len: usize, checksum: u32) -> Error {
    let what = format!(
        "a page of {len} bytes with checksum {checksum:08x}, its reference says {} bytes and {:08x}",
        at.len, at.crc
    );
    corrupt(&snapshot_name(at.generation), at.offset, "F-44", what)
}

/// Everything but the pages.
struct Sections {
    /// Header and pages section header: the first bytes of the file.
    front: [u8; FRONT_BYTES],
    /// Everything behind the pages.
    tail: Vec<u8>,
    pages_checksum: u32,
}

impl Sections {
    fn encode<F: StorageFile>(
        state: &State,
        meta: &SnapshotMeta,
        catalog: CatalogWriter,
        writer: PageWriter<'_, F>,
    ) -> Self {
        let pages_bytes = writer.offset - PAGES_OFFSET;
        let mut front = [0; FRONT_BYTES];
        front[..HEADER_BYTES].copy_from_slice(&Header::of(meta).encode());
        front[HEADER_BYTES..].copy_from_slice(&section_header(SectionType::Pages, pages_bytes));
        let mut sections = SectionWriter { frame: crate::checksum::Hasher::new(), tail: Vec::new() };
        sections.frame.update(&front);
        let (catalog, live) = catalog.finish();
        sections.section(SectionType::Catalog, &catalog);
        sections.section(SectionType::LeafIndex, &writer.index);
        sections.section(SectionType::SegmentTable, &live.encode());
        sections.section(SectionType::IdempotencyWindow, &window::encode(&state.idempotency));
        let pages_checksum = writer.checksum.clone().finalize();
        let mut tail = sections.finish(meta, pages_checksum);

        let mut whole = crate::checksum::Hasher::new();
        whole.update(&front);
        whole.combine(&writer.checksum);
        whole.update(&tail);
        tail.extend_from_slice(&whole.finalize().to_le_bytes());
        Self { front, tail, pages_checksum }
    }
}

struct SectionWriter {
    /// Checksum of the header and of all section headers so far.
    frame: crate::checksum::Hasher,
    tail: Vec<u8>,
}

impl SectionWriter {
    fn section(&mut self, section: SectionType, data: &[u8]) {
        let header = section_header(section, wide(data.len() + CHECKSUM_BYTES));
        self.frame.update(&header);
        self.tail.extend_from_slice(&header);
        self.tail.extend_from_slice(data);
        self.tail.extend_from_slice(&crate::checksum::hash(data).to_le_bytes());
    }

    fn finish(mut self, meta: &SnapshotMeta, pages_checksum: u32) -> Vec<u8> {
        let mut end = End { store: meta.store, generation: meta.generation, pages_checksum, frame_checksum: 0 };
        // The frame's checksum covers the end's own header, so that is added before the end is encoded.
        self.frame.update(&section_header(SectionType::End, wide(end.encode().len() + CHECKSUM_BYTES)));
        end.frame_checksum = self.frame.clone().finalize();
        self.section(SectionType::End, &end.encode());
        self.tail
    }
}

/// Reads back everything behind the front of the file, compares it with what was written, and returns what lies behind the
/// pages.
fn read_back<F: StorageFile>(
    file: &F,
    name: &str,
    sections: &Sections,
    file_len: u64,
    progress: &mut Progress<'_>,
) -> Result<Vec<u8>> {
    let differs = |offset, what| Err(corrupt(name, offset, "F-51", what));
    let pages_end = file_len - wide(sections.tail.len());
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut checksum = crate::checksum::Hasher::new();
    let mut offset = PAGES_OFFSET;
    while offset < pages_end {
        progress.read_back(offset - PAGES_OFFSET, file_len)?;
        let len = usize::try_from(pages_end - offset).unwrap_or(usize::MAX).min(BUFFER_BYTES);
        let piece = buffer.get_mut(..len).unwrap_or_default();
        read_exact(file, name, offset, piece)?;
        checksum.update(piece);
        offset += wide(len);
    }
    if checksum.finalize() != sections.pages_checksum {
        return differs(PAGES_OFFSET, "the pages read back differ from those written".into());
    }
    let found_len = file.len()?;
    let mut tail = vec![0; sections.tail.len()];
    read_exact(file, name, pages_end, &mut tail)?;
    if tail != sections.tail || found_len != file_len {
        return differs(
            pages_end,
            format!("the sections read back differ from those written, {found_len} bytes of {file_len}"),
        );
    }
    progress.read_back(file_len, file_len)?;
    Ok(tail)
}
