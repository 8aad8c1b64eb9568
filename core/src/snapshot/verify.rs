//! Verifying a snapshot: every byte of it, in bounded memory.

use alloc::{format, vec::Vec};

use super::{
    SnapshotInfo,
    contents::Contents,
    index::IndexedLeaf,
    layout::{PAGES_OFFSET, corrupt},
    pages::{SequentialPages, append_page},
};
use crate::{
    Result,
    storage::StorageFile,
    tree::{PageSource, Tree},
};

/// Reads and checks every byte of a snapshot: all that [`open`](super::open) checks, and of every page its checksum, its
/// structure, and that its keys lie between the fences of the index. Keeps one page at a time.
///
/// # Errors
/// As for [`open`](super::open), and [`Error::Corrupt`](crate::Error::Corrupt) for the first damaged page.
pub fn verify<F: StorageFile>(file: &F, name: &str) -> Result<SnapshotInfo> {
    let contents = Contents::read(file, name)?;
    let (meta, spaces) = contents.check()?;
    let source = SequentialPages::new(file, name, contents.pages_end());
    let mut index = contents.index();
    let mut pages = PageCheck { checksum: crate::checksum::Hasher::new(), pages: 0, entries: 0 };
    for _ in 0..spaces {
        // A page is checked when the one behind it is known, because that one's fence is its upper bound.
        let mut window: [Option<IndexedLeaf<'_>>; 3] = [None; 3];
        loop {
            let next = index.leaf()?;
            window = [window[1], window[2], next];
            if let Some(leaf) = window[1] {
                pages.check(&window, &leaf, &source)?;
            }
            if next.is_none() {
                break;
            }
        }
    }
    index.finish()?;
    let checksum = pages.checksum.finalize();
    if checksum != contents.pages_checksum() {
        let what = format!("the pages have checksum {checksum:08x}, the end says {:08x}", contents.pages_checksum());
        return Err(corrupt(contents.file(), PAGES_OFFSET, "F-43", what));
    }
    Ok(SnapshotInfo {
        generation: meta.generation,
        seq: meta.seq,
        time_micros: meta.time_micros,
        bytes: contents.file_len(),
        pages: pages.pages,
        entries: pages.entries,
    })
}

struct PageCheck {
    checksum: crate::checksum::Hasher,
    pages: u64,
    entries: u64,
}

impl PageCheck {
    /// Checks `leaf`, the middle of `window`, the way the tree does: as a leaf between its neighbours.
    fn check(
        &mut self,
        window: &[Option<IndexedLeaf<'_>>; 3],
        leaf: &IndexedLeaf<'_>,
        source: &dyn PageSource,
    ) -> Result<()> {
        let leaves = window.iter().flatten().map(|leaf| Ok((Vec::from(leaf.fence), leaf.entries, leaf.at)));
        Tree::from_leaves(leaves)?.prepare(leaf.fence, source)?;
        // `prepare` has compared the page with this checksum.
        append_page(&mut self.checksum, usize::try_from(leaf.at.len).unwrap_or(usize::MAX), leaf.at.crc);
        self.pages += 1;
        self.entries += u64::from(leaf.entries);
        Ok(())
    }
}
